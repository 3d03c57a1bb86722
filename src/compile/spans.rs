//! Ten million spans in little memory: nearly all are single addresses with the same few answers.

use super::{AnswerId, Answered};
use crate::model::Span;

/// Sorted, disjoint IPv4 spans with answers. Pushed in order, read in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpansV4 {
    firsts: Vec<u32>,
    /// Spans of more than one address: their row and last address.
    wide: Vec<(u32, u32)>,
    /// Empty while every span so far has the answer of the first.
    answers: Vec<AnswerId>,
    first_answer: AnswerId,
    /// The last address pushed, to join neighbours.
    end: Option<u32>,
}

impl SpansV4 {
    /// Adds a span that begins after all spans so far; joins it to the last one when it touches it with the same
    /// answer.
    #[inline]
    pub fn push(&mut self, span: Span<u32>, answer: AnswerId) {
        let row = self.firsts.len();
        if let Some(end) = self.end {
            debug_assert!(span.first > end, "spans come in order");
            let last_answer = self.answers.last().copied().unwrap_or(self.first_answer);
            if end.wrapping_add(1) == span.first && last_answer == answer {
                match self.wide.last_mut() {
                    Some((wide_row, last)) if *wide_row as usize == row - 1 => *last = span.last,
                    _ => self.wide.push((row as u32 - 1, span.last)),
                }
                self.end = Some(span.last);
                return;
            }
        } else {
            self.first_answer = answer;
        }
        if answer != self.first_answer || !self.answers.is_empty() {
            self.answers.resize(row, self.first_answer);
            self.answers.push(answer);
        }
        self.firsts.push(span.first);
        if span.last != span.first {
            self.wide.push((row as u32, span.last));
        }
        self.end = Some(span.last);
    }

    /// Spans.
    pub fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// Addresses in all spans.
    pub fn addresses(&self) -> u64 {
        let wide: u64 =
            self.wide.iter().map(|&(row, last)| u64::from(last - self.firsts[row as usize])).sum();
        self.firsts.len() as u64 + wide
    }

    /// The spans in order.
    pub fn iter(&self) -> impl Iterator<Item = Answered<u32>> + '_ {
        let mut wide = self.wide.iter().copied().peekable();
        self.firsts.iter().enumerate().map(move |(row, &first)| {
            let last = wide.next_if(|&(at, _)| at as usize == row).map_or(first, |(_, last)| last);
            let answer = self.answers.get(row).copied().unwrap_or(self.first_answer);
            Answered { span: Span { first, last }, answer }
        })
    }
}

impl FromIterator<Answered<u32>> for SpansV4 {
    fn from_iter<I: IntoIterator<Item = Answered<u32>>>(spans: I) -> Self {
        let mut all = Self::default();
        spans.into_iter().for_each(|item| all.push(item.span, item.answer));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_neighbours() {
        let at = |first, last, answer| Answered { span: Span { first, last }, answer };
        let spans: SpansV4 =
            [at(1, 1, 0), at(2, 2, 0), at(3, 9, 0), at(10, 10, 1), at(12, 12, 1), at(u32::MAX, u32::MAX, 0)]
                .into_iter()
                .collect();
        let all: Vec<_> = spans.iter().collect();
        assert_eq!(all, [at(1, 9, 0), at(10, 10, 1), at(12, 12, 1), at(u32::MAX, u32::MAX, 0)]);
        assert_eq!(spans.addresses(), 12);
    }
}
