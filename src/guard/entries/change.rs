//! Held against an earlier version: did it shrink, grow, or turn into another list?
//!
//! Two things are counted, and either can speak against a version: entries, each as far as the list's own exclusions leave
//! it, and the IPv4 addresses that they list. A list of single addresses is the same by both; of others the one finds
//! that many entries are gone, the other that a few wide ones are. (IPv6 prefixes differ in size by more than any number
//! of them could outweigh.) What the never-list takes out counts in neither version: [`Difference::between`].

use std::collections::{HashMap, HashSet};

use super::effect::{Effect, excludes};
use super::stretches::{count, listed_v4, shared};
use super::{COMPARE_ABOVE_V4, Limits, MAX_SPREAD_V6, Measure, Reason, is_never, spread_v6};
use crate::guard::NeverList;
use crate::model::{Name, Span};
use crate::set::{Change, Changed, Holds, Scope, Set, changes_of_part, pairs};

/// The earlier version, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Its entries.
    pub entries: u64,
    /// What came and went since; `None` when its entries cannot be read any more.
    pub changed: Option<Changed>,
}

/// IPv4 addresses that two versions list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addresses {
    /// The old one.
    pub before: u64,
    /// The new one.
    pub now: u64,
    /// The old one and not the new one.
    pub gone: u64,
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
    /// What they list of IPv4.
    pub addresses: Addresses,
    /// Share of a registry's IPv6 space that the old one did not cover and the new one does; the largest of all.
    pub spread_v6: f64,
}

impl Difference {
    /// Walks over both versions of a list that `never` is taken out of.
    pub fn between(old: &Set, new: &Set, never: &NeverList) -> Self {
        let mut tally = Tally::default();
        pairs(old, new).into_iter().for_each(|[old, new]| tally.add(old, new, never));
        let Tally { published, was, is, listed, gone, addresses } = tally;
        let removed = gone.round() as u64;
        let kept = (listed.round() as u64).saturating_sub(removed);
        let entries = is.round() as u64;
        let changed = Changed { added: entries.saturating_sub(kept), removed, kept };
        Self {
            published,
            entries,
            before: Before { entries: was.round() as u64, changed: Some(changed) },
            addresses,
            spread_v6: spread_v6(old, new),
        }
    }

    /// What speaks against the new version. What its entries say is not said again of its addresses.
    pub fn reasons(&self, limits: &Limits) -> Vec<Reason> {
        let mut found = compare(self.entries, self.before, limits);
        if self.before.entries > limits.compare_above {
            for reason in self.addresses.reasons(limits) {
                if found.iter().all(|other| other.kind() != reason.kind()) {
                    found.push(reason);
                }
            }
        }
        found.extend(self.spread(limits));
        found
    }

    /// Networks are given out and seldom taken back: a list of bogons that takes much of what it left lists networks in use.
    fn spread(&self, limits: &Limits) -> Option<Reason> {
        (limits.bogons && self.spread_v6 > MAX_SPREAD_V6)
            .then_some(Reason::Spread { share: self.spread_v6 * 100.0, limit: MAX_SPREAD_V6 * 100.0 })
    }
}

impl Addresses {
    fn reasons(&self, limits: &Limits) -> Vec<Reason> {
        let base = self.before.max(COMPARE_ABOVE_V4);
        bands(Measure::Addresses, self.now, self.before, base, limits)
            .chain(turnover(Measure::Addresses, self.gone, self.before, base, limits))
            .collect()
    }
}

/// What is counted of two versions. Entries that are not whole count in part.
#[derive(Default)]
struct Tally {
    published: Changed,
    was: f64,
    is: f64,
    /// As `was`, but what stands several times with different values counts once.
    listed: f64,
    gone: f64,
    addresses: Addresses,
}

impl Tally {
    fn add(&mut self, old: &Set, new: &Set, never: &NeverList) {
        let (was, is) = (Effect::of(old), Effect::of(new));
        let counts = |entry: &Holds| !is_never(entry, never);
        // Less of them may be left than was.
        let mut worn: HashMap<&Holds, f64> =
            is.worn.iter().filter(|(entry, _)| counts(entry)).map(|(entry, left)| (entry, *left)).collect();
        let (mut gone, mut went) = (0.0, 0);
        let listed = changes_of_part(&was.set, &is.set, &mut |change, entry| match change {
            Change::Added => {
                worn.remove(&entry.holds);
            }
            Change::Removed if counts(&entry.holds) => gone += was.left_of(&entry.holds),
            Change::Removed => went += 1,
        });
        gone += worn.into_iter().map(|(entry, left)| (was.left_of(entry) - left).max(0.0)).sum::<f64>();
        let published = match excludes(old) || excludes(new) {
            false => listed,
            true => {
                let mut holes = Holes::default();
                let published = changes_of_part(old, new, &mut |change, entry| {
                    if let (Change::Added, true, Holds::Name(name, scope)) =
                        (change, entry.exclude, &entry.holds)
                    {
                        holes.add(name, *scope, [&was.set, &is.set]);
                    }
                });
                gone += holes.rows as f64;
                published
            }
        };
        for (sum, part) in [
            (&mut self.published.added, published.added),
            (&mut self.published.removed, published.removed),
            (&mut self.published.kept, published.kept),
        ] {
            *sum += part;
        }
        let (idle_before, idle_now) = (count_never(&was.set, never), count_never(&is.set, never));
        let lost = was.lost(counts);
        self.was += (was.set.len() as f64) - idle_before as f64 - lost;
        self.is += (is.set.len() as f64) - idle_now as f64 - is.lost(counts);
        self.listed += (listed.removed - went + listed.kept.saturating_sub(idle_before.saturating_sub(went)))
            as f64
            - lost;
        self.gone += gone;
        let (old, new) = (listed_v4(old, &was), listed_v4(new, &is));
        let kept: Vec<_> = shared(&old, &new).collect();
        let before = count(&old, never);
        self.addresses.before += before;
        self.addresses.now += count(&new, never);
        self.addresses.gone += before - count(&kept, never);
    }
}

/// Wildcards below which names are newly excluded: nobody knows how much of them that is, so they are others than before.
#[derive(Default)]
struct Holes {
    seen: HashSet<Name>,
    /// Their entries, and those of the names themselves.
    rows: u64,
}

impl Holes {
    /// An exclusion of the new version, and what is in effect of both.
    fn add(&mut self, excluded: &Name, scope: Scope, versions: [&Set; 2]) {
        let is_in_both = |name: &Name, scope| versions.iter().all(|set| set.names.holds(name, scope, false));
        // Of its like it takes off all, and that is counted as gone.
        let mut above = excluded.parent();
        if scope == Scope::Below && is_in_both(excluded, Scope::Below) {
            return;
        }
        while let Some(name) = above {
            if is_in_both(&name, Scope::Below) {
                let rows = 1 + u64::from(is_in_both(&name, Scope::Exact));
                self.rows += if self.seen.insert(name) { rows } else { 0 };
                return;
            }
            above = name.parent();
        }
    }
}

/// Entries wholly inside the never-list.
fn count_never(set: &Set, never: &NeverList) -> u64 {
    let hosts = &set.v4.hosts;
    let within = |span: &Span<u32>| {
        hosts.partition_point(|&host| host <= span.last) - hosts.partition_point(|&host| host < span.first)
    };
    let count = never.v4.iter().map(within).sum::<usize>()
        + set.v4.blocks.iter().filter(|block| never.covers_v4(block.span)).count()
        + set.v6.iter().filter(|block| never.covers_v6(block.span)).count();
    count as u64
}

/// What speaks against a version of `entries` entries after `before`. A list that was small may become one of
/// [`Limits::compare_above`] entries and half as many again: below that nothing is compared.
pub fn compare(entries: u64, before: Before, limits: &Limits) -> Vec<Reason> {
    let base = before.entries.max(limits.compare_above);
    let found = bands(Measure::Entries, entries, before.entries, base, limits);
    if before.entries <= limits.compare_above {
        return found.filter(|reason| matches!(reason, Reason::Growth { .. })).collect();
    }
    let turnover = before.changed.and_then(|Changed { removed, kept, .. }| {
        turnover(Measure::Entries, removed, removed + kept, removed + kept, limits)
    });
    found.chain(turnover).collect()
}

/// Whether there are too many or too few, as shares of `base`, which is no less than `before`.
fn bands(of: Measure, now: u64, before: u64, base: u64, limits: &Limits) -> impl Iterator<Item = Reason> {
    let grown = now.saturating_sub(base) as f64 / base.max(1) as f64;
    let growth = (grown > limits.max_growth).then(|| Reason::Growth {
        of,
        now,
        before,
        share: now.saturating_sub(before) as f64 / before.max(1) as f64 * 100.0,
        limit: limits.max_growth * 100.0,
    });
    let shrunk = before.saturating_sub(now) as f64 / base.max(1) as f64;
    let shrink = (shrunk > limits.max_shrink).then(|| Reason::Shrink {
        of,
        now,
        before,
        share: before.saturating_sub(now) as f64 / before.max(1) as f64 * 100.0,
        limit: limits.max_shrink * 100.0,
    });
    growth.into_iter().chain(shrink)
}

fn turnover(of: Measure, gone: u64, before: u64, base: u64, limits: &Limits) -> Option<Reason> {
    let share = |base: u64| gone as f64 / base.max(1) as f64;
    (share(base) > limits.max_gone).then(|| Reason::Turnover {
        of,
        gone,
        before,
        share: share(before) * 100.0,
        limit: limits.max_gone * 100.0,
    })
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

    fn ip4trie(entries: impl IntoIterator<Item = String>) -> Set {
        use crate::parse::{Format, Options, parse};
        let text = entries.into_iter().collect::<Vec<_>>().join("\n");
        parse(Format::Ip4trie, &Options::default(), text.as_bytes(), &mut |bad| panic!("{bad}")).unwrap().set
    }

    fn said(old: &Set, new: &Set) -> Vec<String> {
        let difference = Difference::between(old, new, &NeverList::special_purpose());
        difference.reasons(&Limits::default()).iter().map(ToString::to_string).collect()
    }

    /// `count` networks of this length, one after the other; `not` of them excluded.
    fn networks(first: u32, count: u32, len: u8, not: &str) -> Vec<String> {
        let step = 1u32 << (32 - len);
        (0..count).map(|n| format!("{not}{}/{len}", std::net::Ipv4Addr::from(first + n * step))).collect()
    }

    /// What exclusions take of entries is as good as gone, in one step or many.
    #[test]
    fn exclusions_of_parts_count() {
        let all = networks(0x1700_0000, 1000, 24, "");
        let halves = |count: usize, half: u32| {
            all[..count]
                .iter()
                .map(move |entry| format!("!{}", entry.replace(".0/24", &format!(".{half}/25"))))
        };
        let whole = ip4trie(all.clone());
        let half = ip4trie(all.iter().cloned().chain(halves(1000, 0)));
        let shrunk = "500 entries after 1000 are 50.0 % fewer, at most 25.0 % may be";
        let gone = "500 of the 1000 old entries are gone (50.0 %, at most 40.0 % may be)";
        assert_eq!(said(&whole, &half), [shrunk, gone]);
        let most = ip4trie(all.iter().cloned().chain(halves(1000, 0)).chain(halves(240, 128)));
        assert_eq!(said(&whole, &most).len(), 2);
        let fifth = ip4trie(all.iter().cloned().chain(halves(400, 0)));
        assert_eq!(said(&whole, &fifth), [""; 0], "a fifth is taken off");
        assert_eq!(said(&half, &half), [""; 0]);
        // Another half, and as many new entries.
        let others = networks(0x2d00_0000, 500, 24, "");
        let turned = ip4trie(all.iter().cloned().chain(halves(1000, 0)).chain(others));
        assert_eq!(said(&whole, &turned), [gone]);
    }

    #[test]
    fn wide_entries_count_by_their_addresses() {
        let hosts = || networks(0x2d00_0000, 6000, 32, "").into_iter().step_by(10);
        let wide = || networks(0x1700_0000, 100, 16, "");
        let holes = || networks(0x1700_0000, 200, 17, "!");
        let covered = ip4trie(hosts().chain(wide()));
        let grown = "6554200 listed IPv4 addresses after 600 are 1092266.7 % more, at most 50.0 % may be";
        assert_eq!(said(&ip4trie(hosts().chain(wide()).chain(holes())), &covered), [grown]);
        let half = ip4trie(hosts().chain(wide()).chain(holes().into_iter().step_by(2)));
        let grown = "6554200 listed IPv4 addresses after 3277400 are 100.0 % more, at most 50.0 % may be";
        assert_eq!(said(&half, &covered), [grown]);
        let gone = said(&covered, &half);
        assert_eq!(gone.len(), 2, "{gone:?}");
        assert!(gone[1].starts_with("3276800 of the 6554200 old listed IPv4 addresses are gone (50.0 %"));
        // Their entries are too few of all to be missed.
        let one = |count, more: &[&str]| {
            ip4trie(
                hosts().chain(networks(0x1700_0000, count, 16, "")).chain(more.iter().map(|m| (*m).into())),
            )
        };
        assert_eq!(said(&one(3, &[]), &one(2, &[])), [""; 0], "a /16 less, of few");
        assert_eq!(said(&one(2, &[]), &one(3, &[])), [""; 0], "one more");
        assert_eq!(said(&one(0, &[]), &one(0, &["24.0.0.0/14"])), [""; 0]);
        assert_eq!(said(&one(0, &[]), &one(0, &["24.0.0.0/13"])).len(), 1);
        assert_eq!(said(&one(64, &["24.0.0.0/10"]), &one(64, &[])).len(), 2, "half of it at once");
        assert_eq!(said(&one(0, &[]), &one(0, &["10.0.0.0/8"])), [""; 0], "nobody may list that");
        let few = |more: &[&str]| ip4trie(more.iter().map(|m| (*m).into()));
        assert_eq!(said(&few(&["24.0.0.0/10", "23.0.0.0/16"]), &few(&["23.0.0.0/16"])), [""; 0]);
    }

    /// Nobody knows how many names are below: a wildcard with a new hole is another one.
    #[test]
    fn exclusions_below_wildcards_count() {
        use crate::parse::{Format, Options, parse};
        let list = |holed: u32, more: &str| {
            let listed = (0..1000).map(|n| format!(".a{n}.example\n"));
            let holes = (0..holed).map(|n| format!("!.www.a{n}.example\n!mail.a{n}.example\n"));
            let text: String = listed.chain(holes).chain([more.to_owned()]).collect();
            parse(Format::Dnset, &Options::default(), text.as_bytes(), &mut |bad| panic!("{bad}"))
                .unwrap()
                .set
        };
        let gone = "802 of the 2000 old entries are gone (40.1 %, at most 40.0 % may be)";
        assert_eq!(said(&list(0, ""), &list(401, "")), [gone]);
        assert_eq!(said(&list(0, ""), &list(400, "")), [""; 0]);
        assert_eq!(said(&list(401, ""), &list(802, "")), [gone]);
        assert_eq!(said(&list(401, ""), &list(401, "!x.b.example\n")), [""; 0], "they were there before");
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
