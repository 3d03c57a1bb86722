//! IPv6 spans, in little memory: most are /64s, which take sixteen octets each.

use std::cmp::Ordering;

use super::{Block, ValueId, first};
use crate::model::Span;

/// Entries over IPv6 addresses. In a [`Set`](super::Set) they are sorted.
#[derive(Debug, Clone, Default)]
pub struct BlocksV6 {
    rows: Vec<Row>,
    /// The spans that are no /64s.
    others: Vec<Span<u128>>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// The upper half of the first address.
    high: u64,
    value: ValueId,
    /// Zero for a /64, or else one more than the index of the span; the highest bit: an exclusion.
    other: u32,
}

const EXCLUDE: u32 = 1 << 31;

impl BlocksV6 {
    /// Adds a block behind all others.
    #[inline]
    pub fn push(&mut self, block: Block<u128>) {
        let Block { span, exclude, value } = block;
        let other = if is_net(span) { 0 } else { self.other(span) };
        let other = other | if exclude { EXCLUDE } else { 0 };
        self.rows.push(Row { high: (span.first >> 64) as u64, value, other });
    }

    fn other(&mut self, span: Span<u128>) -> u32 {
        self.others.push(span);
        let other = u32::try_from(self.others.len()).ok().filter(|&other| other < EXCLUDE);
        other.expect("a list has fewer spans")
    }

    /// Blocks.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The upper half of the first address of the block in this row, if there is one.
    #[inline]
    pub fn high(&self, row: usize) -> Option<u64> {
        self.rows.get(row).map(|row| row.high)
    }

    /// The block in this row, if there is one.
    #[inline]
    pub fn get(&self, row: usize) -> Option<Block<u128>> {
        self.rows.get(row).map(|row| self.block(row))
    }

    /// The blocks in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Block<u128>> + ExactSizeIterator + Clone + '_ {
        self.rows.iter().map(|row| self.block(row))
    }

    #[inline]
    fn block(&self, row: &Row) -> Block<u128> {
        let span = match row.other & !EXCLUDE {
            0 => net(row.high),
            other => self.others[other as usize - 1],
        };
        Block { span, exclude: row.other & EXCLUDE != 0, value: row.value }
    }

    /// Makes the last span end there.
    pub(crate) fn end_last_at(&mut self, last: u128) {
        let Some(row) = self.rows.pop() else { return };
        let block = self.block(&row);
        self.push(Block { span: Span { last, ..block.span }, ..block });
    }

    #[inline]
    fn order(&self, a: &Row, b: &Row) -> Ordering {
        a.high.cmp(&b.high).then_with(|| self.block(a).cmp(&self.block(b)))
    }

    /// Whether the blocks are sorted.
    pub(super) fn is_sorted(&self) -> bool {
        self.rows.is_sorted_by(|a, b| self.order(a, b).is_le())
    }

    /// Sorts the blocks and keeps each once.
    pub(super) fn settle(&mut self) {
        if !self.is_sorted() {
            self.change(|rows, all| rows.sort_unstable_by(|a, b| all.order(a, b)));
        }
        self.change(|rows, all| rows.dedup_by(|a, b| all.order(a, b).is_eq()));
        self.settle_others();
    }

    /// Puts the spans that are no /64s in the order of their rows. Whoever walks the rows waits for memory no more.
    fn settle_others(&mut self) {
        let others = std::mem::take(&mut self.others);
        let rows = self.rows.iter_mut().filter(|row| row.other & !EXCLUDE != 0).zip(1..);
        let in_order = rows.map(|(row, at)| {
            let span = others[(row.other & !EXCLUDE) as usize - 1];
            row.other = row.other & EXCLUDE | at;
            span
        });
        self.others = in_order.collect();
    }

    /// Sorts the blocks and keeps the first one over each span.
    pub(super) fn keep_first(&mut self) {
        let said = |row: &Row| (row.value, row.other & EXCLUDE);
        let is_same = self.rows.windows(2).all(|pair| said(&pair[0]) == said(&pair[1]));
        if !is_same {
            // A stable sort: what came first stays first.
            self.change(|rows, all| rows.sort_by(|a, b| all.spans(a, b)));
            self.change(|rows, all| rows.dedup_by(|a, b| all.spans(a, b).is_eq()));
        }
    }

    /// The rows over the same addresses as one before them, in order.
    pub(super) fn repeated(&self) -> Vec<usize> {
        if !first::may_repeat(self.iter().map(|block| block.span)) {
            return Vec::new();
        }
        let mut rows: Vec<usize> = (0..self.rows.len()).collect();
        // A stable sort: what came first stays first.
        rows.sort_by(|&a, &b| self.spans(&self.rows[a], &self.rows[b]));
        let pairs = rows.windows(2);
        let pairs = pairs.filter(|pair| self.spans(&self.rows[pair[0]], &self.rows[pair[1]]).is_eq());
        let mut repeated: Vec<usize> = pairs.map(|pair| pair[1]).collect();
        repeated.sort_unstable();
        repeated
    }

    fn spans(&self, a: &Row, b: &Row) -> Ordering {
        a.high.cmp(&b.high).then_with(|| self.block(a).span.cmp(&self.block(b).span))
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<Row>, &Self)) {
        let mut rows = std::mem::take(&mut self.rows);
        change(&mut rows, self);
        self.rows = rows;
    }

    /// The values of all listings.
    pub(super) fn values(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.rows.iter().filter(|row| row.other & EXCLUDE == 0).map(|row| row.value)
    }

    /// Numbers the values anew.
    pub(super) fn renumber(&mut self, new: &[ValueId]) {
        for row in &mut self.rows {
            row.value = if row.other & EXCLUDE == 0 { new[row.value as usize] } else { 0 };
        }
    }
}

/// The /64 with this upper half.
#[inline]
fn net(high: u64) -> Span<u128> {
    let first = u128::from(high) << 64;
    Span { first, last: first | u128::from(u64::MAX) }
}

#[inline]
pub(super) fn is_net(span: Span<u128>) -> bool {
    span.first as u64 == 0 && span.last == span.first | u128::from(u64::MAX)
}

impl PartialEq for BlocksV6 {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for BlocksV6 {}

impl FromIterator<Block<u128>> for BlocksV6 {
    fn from_iter<I: IntoIterator<Item = Block<u128>>>(blocks: I) -> Self {
        let mut all = Self::default();
        blocks.into_iter().for_each(|block| all.push(block));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Address;

    fn any_block() -> impl Strategy<Value = Block<u128>> {
        let address = prop_oneof![0..3u128, (0..3u128).prop_map(|n| n << 64), Just(u128::MAX - 1)];
        let len = prop::sample::select(vec![0u8, 48, 63, 64, 65, 127, 128]);
        (address, len, any::<bool>(), 0..2u32).prop_map(|(address, len, exclude, value)| Block {
            span: address.prefix(len),
            exclude,
            value,
        })
    }

    proptest! {
        #[test]
        fn as_a_plain_row_of_blocks(blocks in prop::collection::vec(any_block(), 0..40)) {
            let mut found: BlocksV6 = blocks.iter().copied().collect();
            prop_assert!(found.iter().eq(blocks.iter().copied()));
            let mut first = found.clone();
            found.settle();
            let mut sorted = blocks.clone();
            sorted.sort();
            sorted.dedup();
            prop_assert!(found.iter().eq(sorted.iter().copied()) && found.is_sorted());
            first.keep_first();
            first.settle();
            let mut sorted = blocks;
            sorted.sort_by_key(|block| block.span);
            sorted.dedup_by_key(|block| block.span);
            prop_assert!(first.iter().eq(sorted.into_iter()));
        }
    }
}
