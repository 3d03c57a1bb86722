//! What the doctor says: a line for each check, and of what is not right why, and the lines that cure it.
//!
//! Never: looking at anything.

use std::io::Write;

use clap::builder::styling::Style;
use serde_json::{Value, json};

use super::super::output::{BAD, DIM, GOOD, HEAD, Out, WARN, counted, styled, wrapped};
use crate::doctor::finding::{Area, Check, Level};
use crate::error::ExitStatus;

/// How wide what is told in words may be.
const WIDTH: usize = 100;

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
            writeln!(out, "{}", styled(HEAD, word(station[0].area)))?;
            for check in station {
                write(check, out)?;
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
        let (style, _) = shown(first.level);
        writeln!(out, "\n{}; first of all: {}", styled(style, told.join(", ")), first.what)
    }

    pub(super) fn as_json(&self) -> Value {
        let checks: Vec<Value> = self.checks.iter().map(as_json).collect();
        json!({
            "right": self.status() == ExitStatus::Ok,
            "first": self.first().map(as_json),
            "checks": checks,
        })
    }
}

fn write(check: &Check, out: &mut Out) -> std::io::Result<()> {
    let (style, word) = shown(check.level);
    let mut lines = wrapped(&check.what, WIDTH).into_iter();
    writeln!(out, "  {} {}", styled(style, format_args!("{word:5}")), lines.next().unwrap_or_default())?;
    lines.try_for_each(|line| writeln!(out, "        {line}"))?;
    let words = |out: &mut Out, head: &str, text: &str| {
        let heads = std::iter::once(head).chain(std::iter::repeat(""));
        let mut lines = heads.zip(wrapped(text, WIDTH));
        lines.try_for_each(|(head, line)| {
            writeln!(out, "        {} {line}", styled(DIM, format_args!("{head:5}")))
        })
    };
    if let Some(cause) = &check.cause {
        words(out, "why", cause)?;
    }
    for (at, cure) in check.cures.iter().enumerate() {
        words(out, if at == 0 { "cure" } else { "or" }, &cure.how)?;
        for line in cure.lines.lines() {
            writeln!(out, "{}", format!("                {line}").trim_end())?;
        }
    }
    Ok(())
}

fn as_json(check: &Check) -> Value {
    let (_, level) = shown(check.level);
    let cures: Vec<Value> =
        check.cures.iter().map(|cure| json!({ "how": cure.how, "lines": cure.lines })).collect();
    json!({
        "area": word(check.area),
        "level": level,
        "name": (!check.name.is_empty()).then_some(check.name),
        "what": check.what,
        "cause": check.cause,
        "cures": cures,
    })
}

fn word(area: Area) -> &'static str {
    match area {
        Area::Server => "server",
        Area::Resolver => "resolver",
        Area::Mail => "mail",
        Area::Host => "host",
    }
}

fn shown(level: Level) -> (Style, &'static str) {
    match level {
        Level::Ok => (GOOD, "ok"),
        Level::Unknown => (WARN, "?"),
        Level::Warn => (WARN, "warn"),
        Level::Bad => (BAD, "bad"),
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
