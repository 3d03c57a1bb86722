//! ACLs that others call (`acl = NAME`): who comes to them, and whether before mail has been taken. Pure.

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
    /// All who call it refuse whom it accepts.
    pub(super) accepts_to_refuse: bool,
}

/// Of each, in their order.
pub(super) fn reach(acls: &[Acl<'_>], lines: &[Line]) -> Vec<Reach> {
    let entered = |acl: &Acl<'_>| acl.name.is_none_or(|name| is_entered(name, lines));
    let mut all: Vec<Reach> = acls
        .iter()
        .map(|acl| Reach {
            is_reached: entered(acl),
            is_in_time: entered(acl),
            accepts_to_refuse: !entered(acl) && refuses(acl, acls),
        })
        .collect();
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

/// Whether every call of it is a condition of a statement that refuses whom the condition holds for.
fn refuses(acl: &Acl<'_>, acls: &[Acl<'_>]) -> bool {
    let calls = |statement: &&Statement<'_>| called(statement).any(|name| Some(name) == acl.name);
    let mut callers = acls.iter().flat_map(|acl| &acl.statements).filter(calls).peekable();
    let is_positive = |statement: &Statement<'_>| {
        values(statement, "acl").any(|(_, value)| value.split_whitespace().next() == acl.name)
    };
    callers.peek().is_some()
        && callers.all(|statement| REFUSING.contains(&statement.verb) && is_positive(statement))
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
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // What is made when mail comes may be any name, or a file.
    let is_open = |line: &&Line| line.text.starts_with("acl_") && line.text.contains(['$', '/']);
    let names = |line: &&Line| {
        let condition = strip_verb(&line.text);
        let is_call = condition.split_once('=').is_some_and(|(word, value)| {
            matches!(word.trim(), "acl" | "!acl") && self::name(value).is_some()
        });
        label(&line.text).is_none() && !is_call && line.text.split(|c| !is_word(c)).any(|word| word == name)
    };
    lines.iter().any(|line| is_open(&line) || names(&line))
}
