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
