//! What the doctor says: a line for each check, and of what is not right why, and the lines that cure it.
//!
//! Never: looking at anything.

use std::io::Write;

use serde_json::{Value, json};

use super::super::output::{BAD, DIM, GOOD, HEAD, Out, WARN, counted, styled, wrapped};
use crate::error::ExitStatus;

/// How wide what is told in words may be.
const WIDTH: usize = 100;

/// A station of the way from a listing to a mail that is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Area {
    Server,
    Resolver,
    Mail,
    Host,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
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
pub(super) struct Check {
    area: Area,
    /// What docs/doctor.md calls it; nothing for what is right.
    name: &'static str,
    pub(super) level: Level,
    what: String,
    cause: Option<String>,
    cures: Vec<Cure>,
}

/// What sets it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cure {
    /// What to do, and with which file or program.
    pub(super) how: String,
    /// What to paste or to type there, as it is.
    pub(super) lines: String,
}

impl Check {
    /// It is right.
    pub(super) fn ok(area: Area, what: impl Into<String>) -> Self {
        Self { area, name: "", level: Level::Ok, what: what.into(), cause: None, cures: Vec::new() }
    }

    /// It is not.
    pub(super) fn bad(area: Area, name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Bad, ..Self::ok(area, what) }
    }

    /// It will bite.
    pub(super) fn warn(area: Area, name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, ..Self::ok(area, what) }
    }

    /// It cannot be told.
    pub(super) fn unknown(area: Area, name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Unknown, ..Self::ok(area, what) }
    }

    /// What docs/doctor.md calls it.
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    #[cfg(test)]
    pub(super) fn cures(&self) -> &[Cure] {
        &self.cures
    }

    #[must_use]
    pub(super) fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// A cure without lines to paste.
    #[must_use]
    pub(super) fn cured_by(self, how: impl Into<String>) -> Self {
        self.cured(Cure { how: how.into(), lines: String::new() })
    }

    #[must_use]
    pub(super) fn cured(mut self, cure: Cure) -> Self {
        self.cures.push(cure);
        self
    }

    /// Whether docs/doctor.md calls it that.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Says something else in the place of what it says so.
    #[must_use]
    pub(super) fn retold(mut self, said: &str, instead: &str) -> Self {
        self.what = self.what.replace(said, instead);
        self.cause = self.cause.map(|cause| cause.replace(said, instead));
        self
    }

    /// Adds to what is to be done of whatever names `path`.
    #[must_use]
    pub(super) fn noted(mut self, path: &str, note: &str) -> Self {
        let is_found_there = self.what.contains(path);
        for cure in self.cures.iter_mut().filter(|cure| is_found_there || cure.how.contains(path)) {
            cure.how = format!("{}; {note}", cure.how);
        }
        self
    }
}

/// All checks, in the order of the way.
pub(super) struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(checks: Vec<Check>) -> Self {
        Self { checks }
    }

    /// 1 with a finding, 3 when without one something could not be looked at, else 0.
    pub(super) fn status(&self) -> ExitStatus {
        let any = |level| self.checks.iter().any(|check| check.level == level);
        match any(Level::Bad) || any(Level::Warn) {
            true => ExitStatus::Found,
            false if any(Level::Unknown) => ExitStatus::CannotTell,
            false => ExitStatus::Ok,
        }
    }

    /// What has to be set right before all else: the first that is wrong on the way, or else the first that will bite.
    fn first(&self) -> Option<&Check> {
        let first = |level| self.checks.iter().find(|check| check.level == level);
        first(Level::Bad).or_else(|| first(Level::Warn)).or_else(|| first(Level::Unknown))
    }

    pub(super) fn write(&self, out: &mut Out) -> std::io::Result<()> {
        for station in self.checks.chunk_by(|a, b| a.area == b.area) {
            writeln!(out, "{}", styled(HEAD, station[0].area.word()))?;
            for check in station {
                check.write(out)?;
            }
        }
        let count = |level| self.checks.iter().filter(|check| check.level == level).count() as u64;
        let Some(first) = self.first() else {
            return writeln!(out, "\n{}", styled(GOOD, "nothing is wrong"));
        };
        let told = [
            (count(Level::Bad), "thing is wrong", "things are wrong"),
            (count(Level::Warn), "warning", "warnings"),
            (count(Level::Unknown), "thing could not be looked at", "things could not be looked at"),
        ];
        let told: Vec<String> = told
            .into_iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, one, many)| counted(number, one, many))
            .collect();
        let (style, _) = first.level.shown();
        writeln!(out, "\n{}; first of all: {}", styled(style, told.join(", ")), first.what)
    }

    pub(super) fn as_json(&self) -> Value {
        let checks: Vec<Value> = self.checks.iter().map(Check::as_json).collect();
        json!({
            "right": self.status() == ExitStatus::Ok,
            "first": self.first().map(Check::as_json),
            "checks": checks,
        })
    }
}

impl Check {
    fn write(&self, out: &mut Out) -> std::io::Result<()> {
        let (style, word) = self.level.shown();
        let mut lines = wrapped(&self.what, WIDTH).into_iter();
        writeln!(out, "  {} {}", styled(style, format_args!("{word:5}")), lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| writeln!(out, "        {line}"))?;
        let words = |out: &mut Out, head: &str, text: &str| {
            let heads = std::iter::once(head).chain(std::iter::repeat(""));
            let mut lines = heads.zip(wrapped(text, WIDTH));
            lines.try_for_each(|(head, line)| {
                writeln!(out, "        {} {line}", styled(DIM, format_args!("{head:5}")))
            })
        };
        if let Some(cause) = &self.cause {
            words(out, "why", cause)?;
        }
        for (at, cure) in self.cures.iter().enumerate() {
            words(out, if at == 0 { "cure" } else { "or" }, &cure.how)?;
            for line in cure.lines.lines() {
                writeln!(out, "{}", format!("                {line}").trim_end())?;
            }
        }
        Ok(())
    }

    fn as_json(&self) -> Value {
        let (_, level) = self.level.shown();
        let cures: Vec<Value> =
            self.cures.iter().map(|cure| json!({ "how": cure.how, "lines": cure.lines })).collect();
        json!({
            "area": self.area.word(),
            "level": level,
            "name": (!self.name.is_empty()).then_some(self.name),
            "what": self.what,
            "cause": self.cause,
            "cures": cures,
        })
    }
}

impl Area {
    fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Resolver => "resolver",
            Self::Mail => "mail",
            Self::Host => "host",
        }
    }
}

impl Level {
    fn shown(self) -> (clap::builder::styling::Style, &'static str) {
        match self {
            Self::Ok => (GOOD, "ok"),
            Self::Unknown => (WARN, "?"),
            Self::Warn => (WARN, "warn"),
            Self::Bad => (BAD, "bad"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_the_first_of_them_is_named() {
        let ok = || Check::ok(Area::Server, "good");
        let warn = || Check::warn(Area::Server, "w", "bites");
        let bad = |what: &str| Check::bad(Area::Resolver, "b", what);
        let unknown = || Check::unknown(Area::Resolver, "u", "hidden");
        let of = |checks: Vec<Check>| {
            let report = Report::new(checks);
            (report.status().code(), report.first().map(|check| check.what.clone()))
        };
        assert_eq!(of(vec![ok()]), (0, None));
        assert_eq!(of(vec![ok(), unknown()]), (3, Some("hidden".to_owned())));
        assert_eq!(of(vec![unknown(), warn()]), (1, Some("bites".to_owned())));
        assert_eq!(of(vec![warn(), bad("one"), bad("two")]), (1, Some("one".to_owned())));
    }
}
