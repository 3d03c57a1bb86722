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
    /// The last span pushed, to join neighbours.
    end: Option<Answered<u32>>,
}

impl SpansV4 {
    /// Adds a span that begins after all spans so far; joins it to the last one when it touches it with the same
    /// answer.
    #[inline]
    pub fn push(&mut self, span: Span<u32>, answer: AnswerId) {
        match &mut self.end {
            Some(end) => {
                debug_assert!(span.first > end.span.last, "spans come in order");
                if end.answer == answer && end.span.last.wrapping_add(1) == span.first {
                    end.span.last = span.last;
                    self.widen(span.last);
                    return;
                }
            }
            None => self.first_answer = answer,
        }
        self.end = Some(Answered { span, answer });
        if answer != self.first_answer || !self.answers.is_empty() {
            self.answers.resize(self.firsts.len(), self.first_answer);
            self.answers.push(answer);
        }
        self.firsts.push(span.first);
        if span.last != span.first {
            self.widen(span.last);
        }
    }

    /// Adds single addresses that stand in order after all spans so far, all with one answer.
    pub(super) fn extend_hosts(&mut self, hosts: &[u32], answer: AnswerId) {
        let mut rest = hosts;
        while let Some((&first, _)) = rest.split_first() {
            self.push(Span::host(first), answer);
            // Then all that touch nothing: they go over in one copy, up to the first that follows its neighbour.
            let apart =
                rest.windows(2).position(|pair| pair[1] - pair[0] <= 1).map_or(rest.len(), |at| at + 1);
            let (plain, tail) = rest.split_at(apart);
            if let [_, others @ ..] = plain
                && let Some(&last) = others.last()
            {
                self.firsts.extend_from_slice(others);
                if !self.answers.is_empty() {
                    self.answers.resize(self.firsts.len(), answer);
                }
                self.end = Some(Answered { span: Span::host(last), answer });
            }
            // A repeated address is the same span again.
            let repeated = tail.iter().take_while(|&&host| Some(&host) == plain.last()).count();
            rest = &tail[repeated..];
        }
    }

    /// The last row ends at `last`.
    fn widen(&mut self, last: u32) {
        let row = self.firsts.len() as u32 - 1;
        match self.wide.last_mut() {
            Some(wide) if wide.0 == row => wide.1 = last,
            _ => self.wide.push((row, last)),
        }
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
