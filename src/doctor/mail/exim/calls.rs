//! ACLs that others call (`acl = NAME`): who comes to them, whether before mail has been taken, and what comes of what they say. Pure.

use super::super::Does;
use super::super::statement::REFUSING;
use super::acl::{Acl, Statement, label, strip_verb, values};
use super::{Line, taken};

/// What there is to know of an ACL.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// Somebody comes to it.
    pub(super) is_reached: bool,
    /// Before an `accept` has taken strangers' mail.
    pub(super) is_in_time: bool,
}

/// What comes of what an ACL says: called as a condition it only makes that hold or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Means {
    /// To whom it accepts; to weigh where that cannot be told.
    pub(super) accepted: Does,
    /// Whom it denies is refused, as far as it can be told.
    pub(super) is_refusing: bool,
}

impl Means {
    const OWN: Self = Self { accepted: Does::Let, is_refusing: true };
    const UNKNOWN: Self = Self { accepted: Does::Weigh, is_refusing: false };

    /// What a statement of an ACL that means this makes of what it calls.
    fn of_called(self, verb: &str, is_negated: bool) -> Self {
        let refused = if self.is_refusing { Does::Reject } else { Does::Weigh };
        match (verb, is_negated) {
            (verb, false) if REFUSING.contains(&verb) => Self { accepted: refused, ..Self::UNKNOWN },
            ("require", true) => Self { accepted: refused, ..Self::UNKNOWN },
            (verb, true) if REFUSING.contains(&verb) => Self { is_refusing: self.is_refusing, ..Self::OWN },
            ("require", false) => Self { is_refusing: self.is_refusing, ..Self::OWN },
            ("accept", false) => Self { accepted: self.accepted, ..Self::UNKNOWN },
            _ => Self::UNKNOWN,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            accepted: if self.accepted == other.accepted { self.accepted } else { Does::Weigh },
            is_refusing: self.is_refusing && other.is_refusing,
        }
    }

    /// The verb of a statement whose ACL means this; where what it decides is another's to make something of, one that decides nothing.
    pub(super) fn verb(self, verb: &str) -> &str {
        match verb {
            "accept" if self.accepted != Does::Let => "warn",
            "accept" => verb,
            _ if !self.is_refusing => "warn",
            _ => verb,
        }
    }
}

impl Default for Means {
    fn default() -> Self {
        Self::OWN
    }
}

/// Of each, in their order.
pub(super) fn means(acls: &[Acl<'_>], lines: &[Line]) -> Vec<Means> {
    let mut all = vec![Means::OWN; acls.len()];
    // Each round goes one call further.
    for _ in acls {
        all = acls
            .iter()
            .map(|acl| acl.name.map_or(Means::OWN, |name| meant(name, acls, &all, lines)))
            .collect();
    }
    all
}

/// `all` is what is known of those who may call it.
fn meant(name: &str, acls: &[Acl<'_>], all: &[Means], lines: &[Line]) -> Means {
    let mut named = lines.iter().filter(|line| names(line, name));
    if named.clone().any(|line| line.text.starts_with("acl_")) {
        return Means::OWN;
    }
    // `${acl{NAME}}` gives a text, of which anything may be made.
    if named.any(|line| line.text.contains('$')) {
        return Means::UNKNOWN;
    }
    let calls = acls.iter().zip(all).flat_map(|(acl, means)| {
        acl.statements.iter().flat_map(move |statement| {
            let all = [("acl", false), ("!acl", true)].into_iter();
            let all = all.flat_map(|(word, is_negated)| {
                values(statement, word).map(move |(_, value)| (value, is_negated))
            });
            all.filter(|(value, _)| self::name(value) == Some(name))
                .map(|(_, is_negated)| means.of_called(statement.verb, is_negated))
        })
    });
    calls.reduce(Means::and).unwrap_or_default()
}

/// Of each, in their order.
pub(super) fn reach(acls: &[Acl<'_>], lines: &[Line]) -> Vec<Reach> {
    let entered = |acl: &Acl<'_>| acl.name.is_none_or(|name| is_entered(name, lines));
    let mut all: Vec<Reach> =
        acls.iter().map(|acl| Reach { is_reached: entered(acl), is_in_time: entered(acl) }).collect();
    // Each round goes one call further.
    for _ in acls {
        for (at, caller) in acls.iter().enumerate() {
            let Reach { is_reached, is_in_time, .. } = all[at];
            let mut is_taken = false;
            for statement in caller.reached() {
                for name in called(statement) {
                    for (acl, reach) in acls.iter().zip(&mut all).filter(|(acl, _)| acl.name == Some(name)) {
                        debug_assert!(acl.name.is_some());
                        reach.is_reached |= is_reached;
                        reach.is_in_time |= is_in_time && !is_taken;
                    }
                }
                is_taken |= taken::whose(statement, lines).is_some();
            }
        }
    }
    all
}

/// The ACLs that a statement calls by their names.
pub(super) fn called<'a>(statement: &'a Statement<'_>) -> impl Iterator<Item = &'a str> {
    let all = values(statement, "acl").chain(values(statement, "!acl"));
    all.filter_map(|(_, value)| name(value))
}

/// `NAME` or `NAME ARGUMENTS`; what is made when mail comes is none.
fn name(value: &str) -> Option<&str> {
    value.split_whitespace().next().filter(|name| !name.contains(['$', '/', '"', '{']))
}

/// Whether something else than such a call names it, as far as it can be told.
fn is_entered(name: &str, lines: &[Line]) -> bool {
    // What is made when mail comes may be any name, or a file.
    let is_open = |line: &Line| line.text.starts_with("acl_") && line.text.contains(['$', '/']);
    lines.iter().any(|line| is_open(line) || names(line, name))
}

/// Whether a line names it, and is neither its label nor such a call.
pub(super) fn names(line: &Line, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let condition = strip_verb(&line.text);
    let is_call = condition
        .split_once('=')
        .is_some_and(|(word, value)| matches!(word.trim(), "acl" | "!acl") && self::name(value).is_some());
    label(&line.text).is_none() && !is_call && line.text.split(|c| !is_word(c)).any(|word| word == name)
}
