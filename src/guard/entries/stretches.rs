//! Addresses as disjoint spans, and what is listed of IPv4 by a part of a list.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::effect::{Effect, excludes};
use crate::guard::NeverList;
use crate::model::{Address, Span};
use crate::set::Set;

/// Spans that are disjoint, to which others are added.
pub(super) struct Stretches<A> {
    /// First → last address.
    spans: BTreeMap<A, A>,
}

impl<A> Default for Stretches<A> {
    fn default() -> Self {
        Self { spans: BTreeMap::new() }
    }
}

impl<A: Address> Stretches<A> {
    /// Adds a span; `fresh` is told what of it was not there yet.
    pub(super) fn add(&mut self, span: Span<A>, mut fresh: impl FnMut(Span<A>)) {
        let mut whole = span;
        let mut next = Some(span.first);
        if let Some((&first, &last)) = self.spans.range(..=span.first).next_back()
            && last >= span.first
        {
            if last >= span.last {
                return;
            }
            whole.first = first;
        }
        while let Some((&first, &last)) = self.spans.range(whole.first..=span.last).next() {
            self.spans.remove(&first);
            whole.last = whole.last.max(last);
            if let (Some(from), Some(before)) = (next, first.prev())
                && from <= before
            {
                fresh(Span { first: from, last: before });
            }
            next = last.next();
        }
        if let Some(rest) = next.and_then(|from| Span::new(from, span.last)) {
            fresh(rest);
        }
        self.spans.insert(whole.first, whole.last);
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Span<A>> {
        self.spans.iter().map(|(&first, &last)| Span { first, last })
    }

    /// What they share with a span; of those that begin before it the last is looked at in vain.
    pub(super) fn within(&self, span: Span<A>) -> impl Iterator<Item = Span<A>> {
        let before = self.spans.range(..span.first).next_back().filter(|(_, last)| **last >= span.first);
        let others = self.spans.range(span.first..=span.last);
        before
            .into_iter()
            .chain(others)
            .map(move |(&first, &last)| Span { first: first.max(span.first), last: last.min(span.last) })
    }
}

/// The IPv4 addresses that a part of a list lists, less what its exclusions take off: sorted and disjoint.
pub(super) fn listed_v4(part: &Set, effect: &Effect<'_>) -> Vec<Span<u32>> {
    let hosts = effect.set.v4.hosts.iter().map(|&host| Span::host(host));
    let mut spans: Vec<_> = if excludes(part) {
        hosts.chain(answered(part)).collect()
    } else {
        hosts.chain(part.v4.blocks.iter().map(|block| block.span)).collect()
    };
    spans.sort_unstable();
    spans.dedup_by(|next, span| {
        let joins = span.last.next().is_none_or(|after| next.first <= after);
        if joins {
            span.last = span.last.max(next.last);
        }
        joins
    });
    spans
}

/// Where prefixes and ranges answer, and no exclusion of their rank or above does.
fn answered(part: &Set) -> Vec<Span<u32>> {
    let ranked = part.v4.blocks.iter().flat_map(|block| {
        let ranked = part.overlap.ranked(block.span).into_iter();
        ranked.map(|(span, rank)| (Reverse(rank), !block.exclude, span))
    });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_unstable();
    let (mut decided, mut answered) = (Stretches::default(), Vec::new());
    for (_, listed, span) in ranked {
        decided.add(span, |fresh| {
            if listed {
                answered.push(fresh);
            }
        });
    }
    answered
}

/// How many addresses these are, without those in the never-list.
pub(super) fn count(spans: &[Span<u32>], never: &NeverList) -> u64 {
    sum(spans.iter().copied()) - sum(shared(spans, &never.v4))
}

/// What is in both of two sorted rows of disjoint spans.
pub(super) fn shared(one: &[Span<u32>], other: &[Span<u32>]) -> impl Iterator<Item = Span<u32>> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let (a, b) = (**one.peek()?, **other.peek()?);
            if a.last < b.last {
                one.next()
            } else {
                other.next()
            };
            if let Some(both) = Span::new(a.first.max(b.first), a.last.min(b.last)) {
                return Some(both);
            }
        }
    })
}

fn sum(spans: impl Iterator<Item = Span<u32>>) -> u64 {
    spans.map(|span| u64::from(span.last - span.first) + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::{Overlap, SetBuilder};

    fn span(&(first, extent): &(u32, u32)) -> Span<u32> {
        Span { first, last: first + extent }
    }

    proptest::proptest! {
        /// As asked address by address: of the narrowest entries that hold one each must list it.
        #[test]
        fn listed_as_compiled(
            lists in proptest::collection::vec((0u32..60, 0u32..20), 0..12),
            not in proptest::collection::vec((0u32..60, 0u32..20), 0..6),
            own in proptest::collection::vec((0u32..60, 0u32..10), 0..3),
        ) {
            let mut builder = SetBuilder::new(Overlap::Narrowest);
            let value = builder.value(&Default::default());
            lists.iter().for_each(|s| builder.v4(span(s), value));
            not.iter().for_each(|s| builder.exclude_v4(span(s)));
            let set = builder.finish();
            let is_listed = |address: u32| {
                let found = set.v4_entries_with(address);
                let extent = found.first().map(|entry| entry.span.extent());
                let mut narrowest = found.iter().take_while(|entry| Some(entry.span.extent()) == extent);
                extent.is_some() && narrowest.all(|entry| !entry.exclude)
            };
            let own: Vec<_> = own.iter().map(|s| crate::model::Subject::V4(span(s))).collect();
            let never = NeverList::default().with(&own);
            let spans = listed_v4(&set, &Effect::of(&set));
            proptest::prop_assert!(spans.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
            let all: Vec<u32> = (0..100).filter(|&address| is_listed(address)).collect();
            let found: Vec<u32> = spans.iter().flat_map(|span| span.first..=span.last).collect();
            proptest::prop_assert_eq!(&found, &all);
            let left = all.iter().filter(|&&address| !never.contains_v4(address)).count();
            proptest::prop_assert_eq!(count(&spans, &never), left as u64);
        }
    }

    #[test]
    fn to_the_last_address() {
        let mut stretches = Stretches::default();
        let mut add = |first: u32, last: u32| {
            let mut fresh = Vec::new();
            stretches.add(Span { first, last }, |span| fresh.push((span.first, span.last)));
            fresh
        };
        assert_eq!(add(u32::MAX, u32::MAX), [(u32::MAX, u32::MAX)]);
        assert_eq!(add(10, 19), [(10, 19)]);
        assert_eq!(add(15, 29), [(20, 29)]);
        assert_eq!(add(12, 18), []);
        assert_eq!(add(0, u32::MAX), [(0, 9), (30, u32::MAX - 1)]);
        assert_eq!(add(0, 0), []);
        assert_eq!(stretches.iter().collect::<Vec<_>>(), [Span { first: 0, last: u32::MAX }]);
    }
}
