//! Exim's `+include_unknown` and `+defer_unknown`: what becomes of mail while nobody answers. Pure.
//!
//! Left alone, a list that does not answer lists nobody.

use super::super::finding::{Area, Check, Cure};
use super::is_ours;
use super::statement::{List, REFUSING, Statement, line};
use crate::model::Name;
use crate::snippet::Program;
use crate::snippet::wiring::Wiring;

/// What docs/doctor.md calls it.
pub(crate) const NAME: &str = "mail-stops";

/// What no answer is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Excluded,
    Included,
    Deferred,
}

impl Unknown {
    fn of(item: &str) -> Option<Self> {
        match item.trim().to_ascii_lowercase().as_str() {
            "+exclude_unknown" => Some(Self::Excluded),
            "+include_unknown" => Some(Self::Included),
            "+defer_unknown" => Some(Self::Deferred),
            _ => None,
        }
    }
}

pub(super) fn checks(statements: &[Statement], wiring: &Wiring) -> Vec<Check> {
    let Ok(text) = Program::Exim.text(wiring) else { return Vec::new() };
    let lists =
        statements.iter().flat_map(|statement| statement.lists.iter().map(move |list| (statement, list)));
    lists.filter_map(|(statement, list)| check(statement, list, wiring, &text)).collect()
}

fn check(statement: &Statement, list: &List, wiring: &Wiring, text: &str) -> Option<Check> {
    let mut unknown = Unknown::Excluded;
    let mut found: Option<(&Name, &str, &str)> = None;
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for (item, mention) in &list.items {
        unknown = Unknown::of(item).unwrap_or(unknown);
        let Some(mention) = mention.as_ref().filter(|mention| is_ours(&mention.zone, wiring)) else {
            others.push((item.clone(), mention.clone()));
            continue;
        };
        if let Some(becomes) = becomes(statement, list.is_negated, unknown) {
            found = found.or_else(|| Some((&mention.zone, becomes, item_of(unknown))));
        }
        ours.push((item.clone(), Some(mention.clone())));
    }
    let (zone, becomes, item) = found?;
    // What is said of others stays said of them.
    if others.iter().all(|(_, mention)| mention.is_none()) {
        others.clear();
    }
    let without = List { items: ours.into_iter().chain(others).collect(), ..list.clone() };
    let items = without.whole(wiring, text);
    let what = format!("Exim, {}: while nobody answers for {zone}, {becomes}", list.at);
    let cause =
        format!("`{item}` stands before it; without that mail passes while gatepost or the resolver is away");
    let check = Check::bad(Area::Mail, NAME, what).because(cause);
    if items.is_empty() {
        return Some(check.cured_by(format!("Exim: take the list out there, or `{item}` before it")));
    }
    Some(check.cured(Cure {
        how: format!("Exim: in the place of the whole list that begins at {}", list.at),
        lines: line(list.is_negated, &items),
    }))
}

fn item_of(unknown: Unknown) -> &'static str {
    if unknown == Unknown::Deferred { "+defer_unknown" } else { "+include_unknown" }
}

/// What becomes of mail that the statement is there for, where that is not what would become of it without the list.
fn becomes(statement: &Statement, is_negated: bool, unknown: Unknown) -> Option<&'static str> {
    let verb = statement.verb.as_str();
    match (unknown, verb, is_negated) {
        (Unknown::Excluded, ..) | (_, "warn", _) => None,
        (Unknown::Deferred, ..) | (_, "defer", false) => Some("all mail has to wait (451)"),
        (_, "discard", false) => Some("all mail is thrown away"),
        (_, "require", true) => Some("all mail is refused"),
        (_, verb, false) if REFUSING.contains(&verb) => Some("all mail is refused"),
        (_, "accept", false) => Some("all mail is let in unchecked"),
        _ => None,
    }
}
