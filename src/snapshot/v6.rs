//! IPv6: sorted disjoint spans, found by binary search.

use zerocopy::IntoBytes;

use super::layout::{V6Span, rows};
use super::{Damaged, Section};
use crate::compile::{AnswerId, Answered};
use crate::model::Span;

/// The octets of section `v6`.
pub(super) fn encode(spans: &[Answered<u128>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(size_of_val(spans));
    for item in spans {
        let row =
            V6Span { first: item.span.first.into(), last: item.span.last.into(), answer: item.answer.into() };
        out.extend_from_slice(row.as_bytes());
    }
    out
}

/// The section, read in place.
#[derive(Clone, Copy)]
pub(super) struct V6<'a>(&'a [V6Span]);

impl<'a> V6<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Result<Self, Damaged> {
        rows(octets, Section::V6).map(Self)
    }

    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn find(self, address: u128) -> Option<AnswerId> {
        let span = self.from(address).first()?;
        (span.first.get() <= address).then(|| span.answer.get())
    }

    pub(super) fn any(self, span: Span<u128>) -> bool {
        self.from(span.first).first().is_some_and(|found| found.first.get() <= span.last)
    }

    /// Spans out of order end the walk as damaged: whoever takes them may count on their order.
    pub(super) fn spans(
        self,
        within: Span<u128>,
    ) -> impl Iterator<Item = Result<Answered<u128>, Damaged>> + use<'a> {
        let mut rows = self.from(within.first).iter();
        let mut end = None;
        std::iter::from_fn(move || {
            let row = rows.next().filter(|row| row.first.get() <= within.last)?;
            let first = row.first.get().max(within.first);
            let last = row.last.get().min(within.last);
            if first > last || end.is_some_and(|end| first <= end) {
                rows = [].iter();
                return Some(Err(Damaged(Section::V6)));
            }
            end = Some(last);
            Some(Ok(Answered { span: Span { first, last }, answer: row.answer.get() }))
        })
    }

    /// The spans that end at or after `address`.
    fn from(self, address: u128) -> &'a [V6Span] {
        let start = self.0.partition_point(|row| row.last.get() < address);
        self.0.get(start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::compile::{Answered, Compiled};
    use crate::model::Span;
    use crate::snapshot::testing::{at, empty_zone, octets, open};
    use crate::snapshot::{Damaged, Section, Snapshot};

    const ALL: Span<u128> = Span { first: 0, last: u128::MAX };

    fn zone(v6: Vec<Answered<u128>>) -> Compiled {
        Compiled { v6, ..empty_zone(3) }
    }

    proptest! {
        #[test]
        fn as_the_plain_spans(
            mut ends in prop::collection::btree_set(prop_oneof![0..200u128, any::<u128>(), u128::MAX - 50..=u128::MAX], 0..60),
            hosts in prop::collection::vec(any::<bool>(), 30),
            asked in prop::collection::vec(prop_oneof![0..200u128, any::<u128>()], 20),
        ) {
            if ends.len() % 2 == 1 {
                ends.pop_first();
            }
            let ends: Vec<_> = ends.into_iter().collect();
            let spans: Vec<_> = ends
                .chunks_exact(2)
                .zip(hosts)
                .zip(0u32..)
                .map(|((pair, host), n)| at(pair[0], if host { pair[0] } else { pair[1] }, n % 3))
                .collect();
            let snapshot = open(&zone(spans.clone()));
            prop_assert_eq!(snapshot.counts().v6_spans, spans.len() as u64);
            let mut asked = asked;
            asked.extend(ends.iter().flat_map(|&end| [end, end.saturating_add(1), end.saturating_sub(1)]));
            for &address in &asked {
                let expected = spans.iter().find(|item| item.span.contains(address)).map(|item| item.answer);
                prop_assert_eq!(snapshot.v6(address).unwrap(), expected);
                let within = Span { first: address, last: address.saturating_add(77) };
                let overlapping: Vec<_> = spans
                    .iter()
                    .filter(|item| item.span.overlaps(&within))
                    .map(|item| at(item.span.first.max(within.first), item.span.last.min(within.last), item.answer))
                    .collect();
                prop_assert_eq!(snapshot.v6_any(within).unwrap(), !overlapping.is_empty());
                let found: Vec<_> = snapshot.v6_spans(within).map(Result::unwrap).collect();
                prop_assert_eq!(found, overlapping);
            }
            prop_assert_eq!(snapshot.v6_spans(ALL).map(Result::unwrap).collect::<Vec<_>>(), spans);
        }
    }

    #[test]
    fn spans_out_of_order_are_damage() {
        for wrong in [[at(5, 9, 0), at(9, 12, 1)], [at(20, 30, 0), at(1, 2, 0)], [at(1, 2, 0), at(9, 8, 0)]] {
            let snapshot = Snapshot::open(octets(&zone(wrong.to_vec()))).unwrap();
            let last = snapshot.v6_spans(ALL).last().unwrap();
            assert_eq!(last, Err(Damaged(Section::V6)));
        }
    }
}
