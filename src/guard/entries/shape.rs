//! What a list looks like with the never-list taken out.
//!
//! Sets are sorted, so one pass over hosts and blocks is enough for all of it; nothing is unfolded.

use std::borrow::Cow;
use std::collections::BTreeSet;

use psl::Psl as _;

use super::super::{NeverList, says_no_answer};
use super::spelt::{addresses, is_test_point, spells_any_of};
use super::{Dropped, Limits, Reason, SAMPLE};
use crate::model::{Address, Span, Subject};
use crate::set::{Block, Column, NAME_BUFFER, NameEntry, NameList, Scope, Set, ValueId};

/// Entries above a size.
#[derive(Default)]
pub(super) struct Short {
    count: u64,
    examples: Vec<String>,
}

impl Short {
    pub(super) fn reason(self, limit: u8) -> Option<Reason> {
        (self.count > 0).then_some(Reason::ShortPrefix { count: self.count, limit, examples: self.examples })
    }
}

/// Names with too few labels for all that is below them.
#[derive(Default)]
pub(super) struct ShortNames {
    count: u64,
    examples: Vec<String>,
}

impl ShortNames {
    pub(super) fn reason(self, limit: u8) -> Option<Reason> {
        (self.count > 0).then_some(Reason::ShortName { count: self.count, limit, examples: self.examples })
    }
}

/// Names below top-level domains that do not exist.
#[derive(Default)]
pub(super) struct UnknownTlds {
    pub(super) count: u64,
    examples: Vec<String>,
}

impl UnknownTlds {
    pub(super) fn reason(&self, limit: u64) -> Option<Reason> {
        let Self { count, examples } = self;
        (*count > limit).then(|| Reason::UnknownTld { count: *count, limit, examples: examples.clone() })
    }
}

/// Entries that hold addresses of canary networks.
#[derive(Default)]
pub(super) struct Canaries {
    pub(super) count: u64,
    examples: Vec<String>,
}

impl Canaries {
    fn add(&mut self, entry: &impl std::fmt::Display) {
        self.count += 1;
        if self.examples.len() < SAMPLE {
            self.examples.push(entry.to_string());
        }
    }

    pub(super) fn reason(&self, limit: u64) -> Option<Reason> {
        let Self { count, examples } = self;
        (*count > limit).then(|| Reason::Canaries { count: *count, limit, examples: examples.clone() })
    }
}

/// What is not there to be listed.
pub(super) struct Nobodys<'a> {
    /// Taken out of the list.
    never: &'a NeverList,
    /// That, and what a list of bogons lists by design: how much there is of it says nothing of a list.
    idle: Cow<'a, NeverList>,
}

impl<'a> Nobodys<'a> {
    pub(super) fn of(limits: &Limits, never: &'a NeverList) -> Self {
        let idle = match limits.bogons {
            true => Cow::Owned(never.and(&NeverList::special_purpose())),
            false => Cow::Borrowed(never),
        };
        Self { never, idle }
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Shape {
    listed: u64,
    pub(super) dropped: Dropped,
    pub(super) canaries: Canaries,
    pub(super) everything: Option<String>,
    pub(super) short_v4: Short,
    pub(super) short_v6: Short,
    pub(super) short_names: ShortNames,
    pub(super) unknown_tlds: UnknownTlds,
    pub(super) covered_v4: u64,
    /// Of what the registries have.
    covered_v6: u128,
}

impl Shape {
    pub(super) fn of(set: &Set, limits: &Limits, nobodys: &Nobodys<'_>, canaries: &NeverList) -> Self {
        let mut shape = Self::default();
        set.parts().for_each(|part| {
            shape.add(part, limits, nobodys);
            shape.canaries(part, canaries);
        });
        shape
    }

    fn canaries(&mut self, set: &Set, canaries: &NeverList) {
        let hosts = &set.v4.hosts;
        for span in &canaries.v4 {
            let start = hosts.partition_point(|&host| host < span.first);
            let end = hosts.partition_point(|&host| host <= span.last);
            hosts[start..end].iter().for_each(|&host| self.canaries.add(&Span::host(host)));
        }
        if canaries.is_empty() {
            return;
        }
        let blocks = set.v4.blocks.iter().filter(|b| !b.exclude && canaries.touches_v4(b.span));
        blocks.for_each(|block| self.canaries.add(&block.span));
        let blocks = set.v6.iter().filter(|b| !b.exclude && canaries.touches_v6(b.span));
        blocks.for_each(|block| self.canaries.add(&block.span));
        let mut buffer = NAME_BUFFER;
        for row in (0..set.names.len()).filter(|&row| !set.names.is_excluded(row)) {
            if spells_any_of(set.names.name(row, &mut buffer), set.names.scope(row), canaries) {
                self.canaries.add(&shown(&set.names.entry(row)));
            }
        }
    }

    fn add(&mut self, set: &Set, limits: &Limits, Nobodys { never, idle }: &Nobodys<'_>) {
        let errors = error_values(set);
        self.listed += set.v4.hosts.len() as u64;
        self.hosts(set, never, &errors);
        let mut short = std::mem::take(&mut self.short_v4);
        for block in set.v4.blocks.iter().filter(|b| !b.exclude) {
            let everything = block.span == ALL_V4;
            let (touched, all) = (never.touches_v4(block.span), never.covers_v4(block.span));
            let left = idle.left_of_v4(block.span);
            let found = Found { block, never: all, partly: touched, left, everything };
            self.block(&found, &errors, limits.shortest_v4, &mut short);
        }
        self.short_v4 = short;
        let mut short = std::mem::take(&mut self.short_v6);
        for block in set.v6.iter().filter(|b| !b.exclude) {
            let holds = |registry: &Span<u128>| {
                block.span.contains(registry.first) && block.span.contains(registry.last)
            };
            let everything = REGISTRIES_V6.iter().any(holds);
            let (touched, all) = (never.touches_v6(block.span), never.covers_v6(block.span));
            let left = idle.left_of_v6(block.span);
            let found = Found { block: &block, never: all, partly: touched, left, everything };
            self.block(&found, &errors, limits.shortest_v6, &mut short);
        }
        self.short_v6 = short;
        let spelt = self.names(&set.names, limits, never, &errors);
        // Sections answer in subzones of their own: each is as broad as it is.
        self.covered_v4 = self.covered_v4.max(covered(set, idle) + spelt);
        let covered_v6 = REGISTRIES_V6.into_iter().map(|registry| covered_v6(set, registry)).sum();
        self.covered_v6 = self.covered_v6.max(covered_v6);
    }

    /// How many IPv4 addresses they list that they spell.
    fn names(
        &mut self,
        names: &NameList,
        limits: &Limits,
        never: &NeverList,
        errors: &BTreeSet<ValueId>,
    ) -> u64 {
        let (mut buffer, mut spelt) = (NAME_BUFFER, 0);
        for row in (0..names.len()).filter(|&row| !names.is_excluded(row)) {
            self.listed += 1;
            let (name, scope) = (names.name(row, &mut buffer), names.scope(row));
            if errors.contains(&names.value(row)) {
                self.dropped.error_code += 1;
                self.dropped.example(&shown(&names.entry(row)));
                continue;
            }
            if spells_any_of(name, scope, never) && !is_test_point(name, scope) {
                self.dropped.never += 1;
                self.dropped.example(&shown(&names.entry(row)));
                continue;
            }
            if let Some(Subject::V4(span)) = addresses(name, scope) {
                spelt += u64::from(span.last - span.first) + 1;
            }
            if scope != Scope::Below {
                continue;
            }
            let entry = names.entry(row);
            let (count, examples) = match broad(names, &entry, limits) {
                None => continue,
                Some(Broad::Unknown) => {
                    self.dropped.example(&shown(&entry));
                    (&mut self.unknown_tlds.count, &mut self.unknown_tlds.examples)
                }
                Some(Broad::Short) => (&mut self.short_names.count, &mut self.short_names.examples),
            };
            *count += 1;
            if examples.len() < SAMPLE {
                examples.push(shown(&entry));
            }
        }
        spelt
    }

    /// Entries that list something, whatever exclusions say.
    pub(super) fn in_effect(&self) -> u64 {
        self.listed - self.dropped.total() - self.unknown_tlds.count
    }

    pub(super) fn share_v6(&self) -> f64 {
        let given_out: u128 = REGISTRIES_V6.iter().map(|registry| registry.extent() + 1).sum();
        self.covered_v6 as f64 / given_out as f64
    }

    fn hosts(&mut self, set: &Set, never: &NeverList, errors: &BTreeSet<ValueId>) {
        let hosts = &set.v4.hosts;
        for span in &never.v4 {
            let start = hosts.partition_point(|&host| host < span.first);
            let end = hosts.partition_point(|&host| host <= span.last);
            self.dropped.never += (end - start) as u64;
            hosts[start..end].iter().take(SAMPLE).for_each(|&host| self.dropped.example(&Span::host(host)));
        }
        let rows = match &set.v4.host_values {
            Column::One(value) if errors.contains(value) => 0..hosts.len(),
            Column::Many(_) if !errors.is_empty() => 0..hosts.len(),
            _ => 0..0,
        };
        for row in rows {
            if errors.contains(&set.v4.host_values.at(row)) && !never.contains_v4(hosts[row]) {
                self.dropped.error_code += 1;
                self.dropped.example(&Span::host(hosts[row]));
            }
        }
    }

    fn block<A: Address>(
        &mut self,
        &Found { block, never, partly, left, everything }: &Found<'_, A>,
        errors: &BTreeSet<ValueId>,
        shortest: u8,
        short: &mut Short,
    ) {
        self.listed += 1;
        if never || errors.contains(&block.value) {
            *(if never { &mut self.dropped.never } else { &mut self.dropped.error_code }) += 1;
            self.dropped.example(&block.span);
            return;
        }
        self.dropped.partly += u64::from(partly);
        if everything {
            self.everything.get_or_insert_with(|| block.span.to_string());
        } else if left > A::ZERO.prefix(shortest).extent() {
            short.count += 1;
            if short.examples.len() < SAMPLE {
                short.examples.push(block.span.to_string());
            }
        }
    }
}

/// An entry, and what its family says of it.
struct Found<'a, A> {
    block: &'a Block<A>,
    /// All of it is in the never-list.
    never: bool,
    /// Some of it is.
    partly: bool,
    /// Of its addresses those that are not in [`Nobodys::idle`], less one.
    left: u128,
    /// It holds so much that whoever listed it meant everything, whatever the limits.
    everything: bool,
}

const ALL_V4: Span<u32> = Span { first: 0, last: u32::MAX };

/// What registries give out of IPv6 (IANA's "IPv6 Global Unicast Address Assignments"): nobody lists one of these as a whole.
const REGISTRIES_V6: [Span<u128>; 9] = [
    // Many, before each registry had a /12 of its own.
    Span { first: 0x2001_0200 << 96, last: (0x2001_c000 << 96) - 1 },
    registry(0x2400), // APNIC
    registry(0x2410), // APNIC
    registry(0x2600), // ARIN
    registry(0x2630), // ARIN
    registry(0x2800), // LACNIC
    registry(0x2a00), // RIPE NCC
    registry(0x2a10), // RIPE NCC
    registry(0x2c00), // AFRINIC
];

/// A /12.
const fn registry(group: u128) -> Span<u128> {
    let first = group << 112;
    Span { first, last: first | ((1 << 116) - 1) }
}

fn shown(entry: &NameEntry) -> String {
    let below = if entry.scope == Scope::Below { "*." } else { "" };
    format!("{below}{}", entry.name)
}

/// How an entry lists too much.
enum Broad {
    /// All names below too short a name.
    Short,
    /// All names below a top-level domain that does not exist.
    Unknown,
}

/// Whether an entry lists all names below a top-level domain that does not exist: nobody can have meant that, and what it may
/// list one day nobody knows.
pub fn is_below_unknown(set: &Set, entry: &NameEntry, limits: &Limits) -> bool {
    matches!(broad(&set.names, entry, limits), Some(Broad::Unknown))
}

/// Labels of a public suffix count as one: below `co.uk` are as many owners as below `com`.
fn broad(names: &NameList, entry: &NameEntry, limits: &Limits) -> Option<Broad> {
    let shortest = usize::from(limits.shortest_name);
    if entry.exclude || entry.scope != Scope::Below {
        return None;
    }
    let mut labels: Vec<&[u8]> = entry.name.labels().collect();
    labels.reverse();
    let suffix = psl::List.find(labels.iter().copied());
    match suffix.typ {
        Some(psl::Type::Icann) => (depth(&labels, &suffix) < shortest).then_some(Broad::Short),
        // A suffix that its owner gives away (`uk.com`, `s3.amazonaws.com`): whoever means the abuse there lists names below
        // it, or all of them and not its owner's own. Where any name is one (`*.compute-1.amazonaws.com`), each is one host's.
        Some(psl::Type::Private) => {
            let short = labels.len() < shortest
                || depth(&labels, &suffix) < shortest
                    && names.holds(&entry.name, Scope::Exact, false)
                    && !is_by_wildcard(&labels);
            short.then_some(Broad::Short)
        }
        None if labels.len() >= shortest => None,
        None if labels.len() == 1 => Some(Broad::Unknown),
        None => Some(Broad::Short),
    }
}

/// Whether a suffix is one because any name beside it is.
fn is_by_wildcard(labels: &[&[u8]]) -> bool {
    let Some((_, above)) = labels.split_last() else { return false };
    let beside = [above, &[b"nobody--has--this"]].concat();
    let len = beside.iter().map(|label| label.len() + 1).sum::<usize>() - 1;
    psl::List.find(beside.into_iter()).len >= len
}

fn depth(labels: &[&[u8]], suffix: &psl::Info) -> usize {
    let mut len = 0;
    let beyond = labels.iter().skip_while(|label| {
        let is_suffix = len < suffix.len;
        len += label.len() + 1;
        is_suffix
    });
    1 + beyond.count()
}

fn error_values(set: &Set) -> BTreeSet<ValueId> {
    let is_error = |id: &usize| says_no_answer(&set.values[*id]);
    (0..set.values.len()).filter(is_error).map(|id| id as ValueId).collect()
}

/// IPv4 addresses that are listed and not in the never-list, each counted once.
pub(super) fn covered(set: &Set, never: &NeverList) -> u64 {
    let mut hosts = set.v4.hosts.iter().copied().peekable();
    let mut blocks = set.v4.blocks.iter().filter(|b| !b.exclude).map(|b| b.span).peekable();
    let mut count = 0;
    // Everything below is counted.
    let mut counted = 0u64;
    loop {
        // Both are sorted by their first address.
        let host_first = match (hosts.peek(), blocks.peek()) {
            (None, None) => return count,
            (Some(host), Some(block)) => *host < block.first,
            (Some(_), None) => true,
            (None, Some(_)) => false,
        };
        let span = if host_first { hosts.next().map(Span::host) } else { blocks.next() };
        let Some(span) = span else { return count };
        let first = u64::from(span.first).max(counted);
        let end = u64::from(span.last) + 1;
        if first < end {
            count += end - first - inside(never, first, end);
            counted = end;
        }
    }
}

/// Of what registries left in use of IPv6 by one version, the share that another newly covers; the largest of all registries.
pub(super) fn spread_v6(before: &Set, now: &Set) -> f64 {
    let covered = |set: &Set, registry| {
        let covered = set.parts().map(|part| covered_v6(part, registry)).max();
        covered.unwrap_or(0) as f64
    };
    let spread = |registry: Span<u128>| {
        let (before, now) = (covered(before, registry), covered(now, registry));
        let left = (registry.extent() + 1) as f64 - before;
        if left > 0.0 { (now - before) / left } else { 0.0 }
    };
    REGISTRIES_V6.into_iter().map(spread).fold(0.0, f64::max)
}

/// Addresses of a registry's IPv6 space that are listed, each counted once. (Nothing of it is in the never-list but a
/// person's own networks.)
fn covered_v6(set: &Set, registry: Span<u128>) -> u128 {
    let mut count = 0;
    let mut next = registry.first;
    // Sorted by their first address.
    for block in set.v6.iter().filter(|block| !block.exclude) {
        let (first, last) = (block.span.first.max(next), block.span.last.min(registry.last));
        if first <= last {
            count += last - first + 1;
            next = last + 1;
        }
    }
    count
}

/// Addresses from `first` to before `end` that are in the never-list.
fn inside(never: &NeverList, first: u64, end: u64) -> u64 {
    let from = never.v4.partition_point(|n| u64::from(n.last) < first);
    never.v4[from..]
        .iter()
        .take_while(|n| u64::from(n.first) < end)
        .map(|n| (u64::from(n.last) + 1).min(end) - u64::from(n.first).max(first))
        .sum()
}
