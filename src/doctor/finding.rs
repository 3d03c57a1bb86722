//! What the doctor finds: a check, and of what is not right why, and the lines that cure it.
//!
//! Never: looking at anything, or showing it.

/// A station of the way from a listing to a mail that is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Area {
    Server,
    Resolver,
    Mail,
    Host,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// As it must be.
    Ok,
    /// Could not be looked at.
    Unknown,
    /// Mail is checked, but something will bite.
    Warn,
    /// Mail is not checked as it should be.
    Bad,
}

/// One check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Check {
    pub(crate) area: Area,
    /// What docs/doctor.md calls it; nothing for what is right.
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) what: String,
    pub(crate) cause: Option<String>,
    pub(crate) cures: Vec<Cure>,
}

/// What sets it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cure {
    /// What to do, and with which file or program.
    pub(crate) how: String,
    /// What to paste or to type there, as it is.
    pub(crate) lines: String,
}

impl Check {
    /// It is right.
    pub(crate) fn ok(area: Area, what: impl Into<String>) -> Self {
        Self { area, name: "", level: Level::Ok, what: what.into(), cause: None, cures: Vec::new() }
    }

    /// It is not.
    pub(crate) fn bad(area: Area, name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Bad, ..Self::ok(area, what) }
    }

    /// It will bite.
    pub(crate) fn warn(area: Area, name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, ..Self::ok(area, what) }
    }

    /// It cannot be told.
    pub(crate) fn unknown(area: Area, name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Unknown, ..Self::ok(area, what) }
    }

    /// What docs/doctor.md calls it.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    #[cfg(test)]
    pub(crate) fn cures(&self) -> &[Cure] {
        &self.cures
    }

    #[must_use]
    pub(crate) fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// A cure without lines to paste.
    #[must_use]
    pub(crate) fn cured_by(self, how: impl Into<String>) -> Self {
        self.cured(Cure { how: how.into(), lines: String::new() })
    }

    /// A cure that is typed.
    #[must_use]
    pub(crate) fn cured_with(self, how: &str, lines: impl Into<String>) -> Self {
        self.cured(Cure { how: how.to_owned(), lines: lines.into() })
    }

    #[must_use]
    pub(crate) fn cured(mut self, cure: Cure) -> Self {
        self.cures.push(cure);
        self
    }

    /// Whether docs/doctor.md calls it that.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Says something else in the place of what it says so.
    #[must_use]
    pub(crate) fn retold(mut self, said: &str, instead: &str) -> Self {
        self.what = self.what.replace(said, instead);
        self.cause = self.cause.map(|cause| cause.replace(said, instead));
        self
    }

    /// Adds to what is to be done of whatever names `path`.
    #[must_use]
    pub(crate) fn noted(mut self, path: &str, note: &str) -> Self {
        let is_found_there = self.what.contains(path);
        for cure in self.cures.iter_mut().filter(|cure| is_found_there || cure.how.contains(path)) {
            cure.how = format!("{}; {note}", cure.how);
        }
        self
    }
}
