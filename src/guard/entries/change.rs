//! Held against an earlier version: did it shrink, grow, or turn into another list?

use super::{Limits, Reason};
use crate::set::Changed;

/// The earlier version, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Its entries.
    pub entries: u64,
    /// What came and went since; `None` when its entries cannot be read any more.
    pub changed: Option<Changed>,
}

/// What speaks against a version of `entries` entries after `before`. A list that was small may become one of
/// [`Limits::compare_above`] entries and half as many again: below that nothing is compared.
pub fn compare(entries: u64, before: Before, limits: &Limits) -> Vec<Reason> {
    let mut found = Vec::new();
    let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
    let growth = share(entries.saturating_sub(before.entries), before.entries);
    let base = before.entries.max(limits.compare_above);
    if share(entries.saturating_sub(base), base) > limits.max_growth {
        found.push(Reason::Growth {
            entries,
            before: before.entries,
            share: growth * 100.0,
            limit: limits.max_growth * 100.0,
        });
    }
    if before.entries <= limits.compare_above {
        return found;
    }
    let shrink = share(before.entries.saturating_sub(entries), before.entries);
    if shrink > limits.max_shrink {
        found.push(Reason::Shrink {
            entries,
            before: before.entries,
            share: shrink * 100.0,
            limit: limits.max_shrink * 100.0,
        });
    }
    if let Some(changed) = before.changed.filter(|changed| changed.gone() > limits.max_gone) {
        found.push(Reason::Turnover {
            gone: changed.removed,
            before: changed.removed + changed.kept,
            share: changed.gone() * 100.0,
            limit: limits.max_gone * 100.0,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(before: u64, entries: u64, gone: u64) -> Vec<&'static str> {
        let changed = Changed { added: entries + gone - before, removed: gone, kept: before - gone };
        let before = Before { entries: before, changed: Some(changed) };
        compare(entries, before, &Limits::default()).iter().map(Reason::kind).collect()
    }

    #[test]
    fn the_bands() {
        assert_eq!(kinds(1000, 750, 250), [""; 0], "25 % fewer may be");
        assert_eq!(kinds(1000, 749, 251), ["shrink"]);
        assert_eq!(kinds(1000, 1500, 0), [""; 0], "50 % more may be");
        assert_eq!(kinds(1000, 1501, 0), ["growth"]);
        assert_eq!(kinds(1000, 1000, 400), [""; 0], "40 % may be gone");
        assert_eq!(kinds(1000, 1000, 401), ["turnover"]);
        assert_eq!(kinds(1000, 599, 401), ["shrink", "turnover"]);
    }

    #[test]
    fn small_lists_are_not_compared() {
        assert_eq!(kinds(500, 1, 500), [""; 0]);
        assert_eq!(kinds(501, 1, 501), ["shrink", "turnover"]);
        assert_eq!(kinds(3, 750, 3), [""; 0], "one of 500 may become one of 750");
        assert_eq!(kinds(3, 751, 3), ["growth"]);
    }

    #[test]
    fn what_is_not_known_is_not_held_against_it() {
        let before = Before { entries: 1000, changed: None };
        assert_eq!(compare(1000, before, &Limits::default()), []);
        let reasons = compare(100, before, &Limits::default());
        assert_eq!(reasons.len(), 1);
        assert_eq!(reasons[0].to_string(), "100 entries after 1000 are 90.0 % fewer, at most 25.0 % may be");
        assert!(reasons[0].is_change() && !Reason::TooFew { entries: 0, limit: 1 }.is_change());
    }

    #[test]
    fn a_list_has_its_own_limits() {
        let restless = Limits { max_gone: 1.0, max_shrink: 1.0, max_growth: 9.0, ..Limits::default() };
        let changed = Some(Changed { added: 9000, removed: 1000, kept: 0 });
        assert_eq!(compare(9000, Before { entries: 1000, changed }, &restless), []);
        let all = Limits { compare_above: 0, ..Limits::default() };
        assert_eq!(compare(1, Before { entries: 2, changed: None }, &all).len(), 1);
    }
}
