//! A use of a zone that is wrong; and of many that are wrong in the same way one check. Pure.

use super::super::cure;
use super::super::finding::{Area, Check, Cure};
use super::Mention;
use crate::snippet::Program;

#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub(super) mention: &'a Mention,
    /// What docs/doctor.md calls it.
    pub(super) name: &'static str,
    pub(super) is_bad: bool,
    /// What is said of the zone.
    pub(super) rest: String,
    pub(super) cause: String,
    pub(super) cure: Cure,
}

impl<'a> Fault<'a> {
    pub(super) fn bad(
        mention: &'a Mention,
        name: &'static str,
        rest: impl Into<String>,
        cause: impl Into<String>,
        cure: Cure,
    ) -> Self {
        Self { mention, name, is_bad: true, rest: rest.into(), cause: cause.into(), cure }
    }

    pub(super) fn warn(
        mention: &'a Mention,
        name: &'static str,
        rest: impl Into<String>,
        cause: impl Into<String>,
        cure: Cure,
    ) -> Self {
        Self { is_bad: false, ..Self::bad(mention, name, rest, cause, cure) }
    }
}

/// Findings of which a configuration has many when it has one: a domain that was renamed, a text for another program.
const TOGETHER: [&str; 2] = ["mail-unknown-zone", "mail-wrong-use"];

/// A check for each, and for those that go together one.
pub(super) fn checks(faults: Vec<Fault<'_>>) -> Vec<Check> {
    let mut groups: Vec<Vec<Fault<'_>>> = Vec::new();
    for fault in faults {
        match groups.iter_mut().find(|group| go_together(&group[0], &fault)) {
            Some(group) => group.push(fault),
            None => groups.push(vec![fault]),
        }
    }
    groups.iter().map(|group| check(group)).collect()
}

fn go_together(one: &Fault<'_>, other: &Fault<'_>) -> bool {
    let said = |fault: &Fault<'_>| (fault.mention.program, fault.name, fault.rest.clone());
    // Exim's lists stand in a statement each, and what is to be pasted into one is nothing for another.
    let is_apart = one.mention.program == Program::Exim && one.cure != other.cure;
    // A list that is put in whole is put in once.
    let is_one_list = one.mention.program == Program::Exim && one.mention.at == other.mention.at;
    (TOGETHER.contains(&one.name) || is_one_list) && said(one) == said(other) && !is_apart
}

fn check(faults: &[Fault<'_>]) -> Check {
    let first = &faults[0];
    let mentions = || faults.iter().map(|fault| fault.mention);
    let program = cure::name(first.mention.program);
    let places = distinct(mentions().map(|mention| mention.at.clone()));
    let zones = distinct(mentions().map(|mention| mention.zone.clone()));
    let rest = &first.rest;
    let joined =
        |zones: &[crate::model::Name]| zones.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let what = match (&zones[..], &places[..]) {
        ([zone], _) => format!("{program}, {}: {zone} {rest}", places.join(", ")),
        (_, [place]) => format!("{program}, {place}: each of {} {rest}", joined(&zones)),
        _ => {
            let each = zones.iter().map(|zone| {
                let places =
                    mentions().filter(|mention| mention.zone == *zone).map(|mention| mention.at.clone());
                format!("{zone} ({})", distinct(places).join(", "))
            });
            format!("{program}: each of {} {rest}", each.collect::<Vec<_>>().join(", "))
        }
    };
    let check = match faults.iter().any(|fault| fault.is_bad) {
        true => Check::bad(Area::Mail, first.name, what),
        false => Check::warn(Area::Mail, first.name, what),
    };
    let causes = distinct(faults.iter().map(|fault| fault.cause.clone()));
    cures(faults).into_iter().fold(check.because(causes.join("; ")), Check::cured)
}

/// What is done alike is told once, with all its lines.
fn cures(faults: &[Fault<'_>]) -> Vec<Cure> {
    let mut cures: Vec<Cure> = Vec::new();
    for Fault { cure, .. } in faults {
        match cures.iter_mut().find(|other| other.how == cure.how) {
            None => cures.push(cure.clone()),
            Some(other) if other.lines.contains(&cure.lines) => {}
            Some(other) => other.lines = format!("{}\n{}", other.lines, cure.lines),
        }
    }
    cures
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}
