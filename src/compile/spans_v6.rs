//! IPv6 spans with answers.

use super::Answered;
use crate::model::{Address, Span};
use crate::set::{Block, BlocksV6};

/// Sorted, disjoint IPv6 spans with answers. Pushed in order, read in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpansV6(BlocksV6);

impl SpansV6 {
    /// Adds a span that begins after all spans so far; joins it to the last one when it touches it with the same
    /// answer.
    #[inline]
    pub fn push(&mut self, span: Span<u128>, answer: super::AnswerId) {
        if let Some(end) = self.0.len().checked_sub(1).and_then(|row| self.0.get(row)) {
            debug_assert!(span.first > end.span.last, "spans come in order");
            if end.value == answer && end.span.last.next() == Some(span.first) {
                return self.0.end_last_at(span.last);
            }
        }
        self.0.push(Block { span, exclude: false, value: answer });
    }

    /// Spans.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The spans in order.
    pub fn iter(&self) -> impl Iterator<Item = Answered<u128>> + '_ {
        self.0.iter().map(|Block { span, value, .. }| Answered { span, answer: value })
    }
}

impl FromIterator<Answered<u128>> for SpansV6 {
    fn from_iter<I: IntoIterator<Item = Answered<u128>>>(spans: I) -> Self {
        let mut all = Self::default();
        spans.into_iter().for_each(|item| all.push(item.span, item.answer));
        all
    }
}
