//! Held against an earlier version: did it shrink, grow, or turn into another list?
//!
//! What the never-list or the list's own exclusions take out of it counts in neither version: [`Difference::between`].

use std::borrow::Cow;

use super::effect::in_effect;
use super::{Limits, MAX_SPREAD_V6, Reason, spread_v6};
use crate::guard::NeverList;
use crate::model::Span;
use crate::set::{Change, Changed, Entry, Holds, Set, changes};

/// The earlier version, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Its entries.
    pub entries: u64,
    /// What came and went since; `None` when its entries cannot be read any more.
    pub changed: Option<Changed>,
}

/// How two versions differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// As published.
    pub published: Changed,
    /// Entries of the new version that are in effect.
    pub entries: u64,
    /// And of the old one, with what came and went of those.
    pub before: Before,
    /// Share of a registry's IPv6 space that the old one did not cover and the new one does; the largest of all.
    pub spread_v6: f64,
}

impl Difference {
    /// Walks over both versions of a list that `never` is taken out of.
    pub fn between(old: &Set, new: &Set, never: &NeverList) -> Self {
        let (was, is) = (in_effect(old), in_effect(new));
        let (mut came, mut went) = (0, 0);
        let listed = changes(&was, &is, &mut |change, entry| {
            if is_never(&entry, never) {
                *(if change == Change::Added { &mut came } else { &mut went }) += 1;
            }
        });
        let (idle_before, idle_now) = (count_never(&was, never), count_never(&is, never));
        let changed = Changed {
            added: listed.added - came,
            removed: listed.removed - went,
            kept: listed.kept.saturating_sub(idle_before.saturating_sub(went)),
        };
        let published = match (&was, &is) {
            (Cow::Borrowed(_), Cow::Borrowed(_)) => listed,
            _ => changes(old, new, &mut |_, _| {}),
        };
        Self {
            published,
            entries: (is.len() as u64).saturating_sub(idle_now),
            before: Before {
                entries: (was.len() as u64).saturating_sub(idle_before),
                changed: Some(changed),
            },
            spread_v6: spread_v6(old, new),
        }
    }

    /// What speaks against the new version.
    pub fn reasons(&self, limits: &Limits) -> Vec<Reason> {
        let mut found = compare(self.entries, self.before, limits);
        found.extend(self.spread(limits));
        found
    }

    /// Networks are given out and seldom taken back: a list of bogons that takes much of what it left lists networks in use.
    fn spread(&self, limits: &Limits) -> Option<Reason> {
        (limits.bogons && self.spread_v6 > MAX_SPREAD_V6)
            .then_some(Reason::Spread { share: self.spread_v6 * 100.0, limit: MAX_SPREAD_V6 * 100.0 })
    }
}

fn is_never(entry: &Entry, never: &NeverList) -> bool {
    match &entry.holds {
        Holds::V4(span) => never.covers_v4(*span),
        Holds::V6(span) => never.covers_v6(*span),
        Holds::Name(..) => false,
    }
}

/// Entries wholly inside the never-list.
fn count_never(set: &Set, never: &NeverList) -> u64 {
    let of_part = |part: &Set| {
        let hosts = &part.v4.hosts;
        let within = |span: &Span<u32>| {
            hosts.partition_point(|&host| host <= span.last)
                - hosts.partition_point(|&host| host < span.first)
        };
        never.v4.iter().map(within).sum::<usize>()
            + part.v4.blocks.iter().filter(|block| never.covers_v4(block.span)).count()
            + part.v6.iter().filter(|block| never.covers_v6(block.span)).count()
    };
    set.parts().map(of_part).sum::<usize>() as u64
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

    /// What nobody may list hides no shrinking and is no growth.
    #[test]
    fn what_has_no_effect_does_not_count() {
        use crate::parse::{Format, Options, parse};
        let list = |public: u32, private: u32| {
            let line = |first: u32, n: u32| format!("{}\n", std::net::Ipv4Addr::from(first + n * 7));
            let public = (0..public).map(|n| line(0x0100_0000, n));
            let private = (0..private).map(|n| line(0x0a00_0000, n));
            let text: String =
                public.chain(private).chain(["10.128.0.0/9\n2001:db8::/32\n".into()]).collect();
            parse(Format::Plain, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().set
        };
        let kinds = |old, new| {
            let difference = Difference::between(&old, &new, &NeverList::special_purpose());
            let Changed { added, removed, kept } = difference.before.changed.unwrap();
            assert_eq!((added + kept, removed + kept), (difference.entries, difference.before.entries));
            difference.reasons(&Limits::default()).iter().map(Reason::kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(list(1000, 0), list(600, 400)), ["shrink"]);
        assert_eq!(kinds(list(1000, 400), list(599, 400)), ["shrink", "turnover"]);
        assert_eq!(kinds(list(1000, 0), list(1000, 5000)), [""; 0]);
        assert_eq!(kinds(list(1000, 5000), list(1000, 0)), [""; 0]);
        assert_eq!(kinds(list(1000, 5), list(1501, 5)), ["growth"]);
        let excluding = |listed: u32, excluded: u32| {
            let line = |n: u32| format!("{}\n", std::net::Ipv4Addr::from(0x0100_0000 + n * 7));
            let listed = (0..listed).map(line);
            let text: String = listed.chain((0..excluded).map(|n| format!("!{}", line(n)))).collect();
            parse(Format::Ip4set, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().set
        };
        assert_eq!(kinds(excluding(1000, 0), excluding(700, 0)), ["shrink"]);
        assert_eq!(kinds(excluding(1000, 0), excluding(1000, 200)), [""; 0]);
        assert_eq!(kinds(excluding(1000, 0), excluding(1000, 900)), ["shrink", "turnover"]);
        assert_eq!(kinds(excluding(1000, 900), excluding(1000, 900)), [""; 0]);
        let names = |excluded: u32| {
            let listed = (0..1000).map(|n| format!(".a{n}.example\n"));
            let text: String = listed.chain((0..excluded).map(|n| format!("!*.a{n}.example\n"))).collect();
            parse(Format::Dnset, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().set
        };
        let difference = Difference::between(&names(0), &names(1000), &NeverList::default());
        assert_eq!(difference.published, Changed { added: 1000, removed: 0, kept: 2000 });
        let reasons = difference.reasons(&Limits::default());
        assert_eq!(reasons.iter().map(Reason::kind).collect::<Vec<_>>(), ["turnover"]);
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
