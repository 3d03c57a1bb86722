//! IPv6: sorted disjoint spans in blocks, found by binary search.
//!
//! Neighbouring spans have much in common: the first bits of their addresses, the bits that most prefixes leave free, often
//! their width and their answer. A block says that once; what differs stands in columns of packed numbers, and the lower
//! bits of the few that use them in one of their own.

use std::io::{Seek, Write};

use zerocopy::{FromZeros, IntoBytes};

use super::layout::{V6Block, V6Head, rows, take};
use super::write::FileWriter;
use super::{Damaged, Section, WriteError};
use crate::compile::{AnswerId, Answered, SpansV6};
use crate::model::{Address, Span};

const DAMAGED: Damaged = Damaged(Section::V6);
/// Spans of each block but the last.
const BLOCK: usize = 64;
/// Octets behind the columns, so that a number can be loaded whole wherever it begins.
const SLACK: usize = 17;

/// Writes section `v6`.
pub(super) fn write<W: Write + Seek>(
    spans: &SpansV6,
    file: &mut FileWriter<'_, W>,
) -> Result<(), WriteError> {
    if spans.is_empty() {
        return Ok(());
    }
    let (head, blocks, columns) = encode(spans.iter());
    let mut section = file.begin(Section::V6)?;
    [head.as_bytes(), blocks.as_bytes(), &columns, &[0; SLACK]]
        .into_iter()
        .try_for_each(|octets| section.put(octets))?;
    section.end()
}

/// All parts of the section but the octets behind the columns.
fn encode(mut all: impl Iterator<Item = Answered<u128>>) -> (V6Head, Vec<V6Block>, Vec<u8>) {
    let mut blocks = Vec::with_capacity(all.size_hint().0.div_ceil(BLOCK));
    let mut columns = Packer::default();
    let mut spans: Vec<Answered<u128>> = Vec::with_capacity(BLOCK);
    let mut free = Vec::with_capacity(BLOCK);
    let mut len = 0;
    loop {
        spans.clear();
        spans.extend(all.by_ref().take(BLOCK));
        if spans.is_empty() {
            break;
        }
        len += spans.len() as u64;
        free.clear();
        free.extend(spans.iter().map(free_bits));
        let block = V6Block { offset: (columns.octets.len() as u64).into(), ..block(&spans, &free) };
        let (base, shift) = (block.base.get(), u32::from(block.shift));
        columns.put(spans.iter().map(|item| steps(base, item.span.first, shift)), block.first_bits);
        columns
            .put(spans.iter().map(|item| steps(item.span.first, item.span.last, shift)), block.extent_bits);
        let answers = spans.iter().map(|item| u128::from(item.answer - block.answer.get()));
        columns.put(answers, block.answer_bits);
        let odd = spans.iter().zip(&free).filter(|(_, free)| **free < shift);
        columns.put(odd.flat_map(|(item, _)| [item.span.first, item.span.last]), block.shift);
        columns.pad();
        blocks.push(block);
    }
    (V6Head { spans: len.into(), blocks: (blocks.len() as u64).into() }, blocks, columns.octets)
}

/// How a block of these spans is written, but for its place: with the shift that costs the fewest bits. `free`: the free
/// bits of each span.
fn block(spans: &[Answered<u128>], free: &[u32]) -> V6Block {
    // Which shifts there are, up to 128.
    let mut shifts = [0u64; 3];
    free.iter().for_each(|&shift| shifts[shift as usize / 64] |= 1 << (shift % 64));
    let shifts = (0..=u128::BITS).filter(|&shift| shifts[shift as usize / 64] >> (shift % 64) & 1 != 0);
    let mut shifts: Vec<_> = shifts.map(|shift| Shift::new(spans, free, shift)).collect();
    shifts.sort_unstable_by_key(|shift| shift.least);
    let mut best: Option<(usize, V6Block)> = None;
    for shift in shifts {
        if best.is_some_and(|(cost, _)| cost <= shift.least) {
            break; // nor do those behind it take fewer
        }
        let with = shift.block(spans);
        best = Some(best.filter(|best| best.0 <= with.0).unwrap_or(with));
    }
    best.map_or_else(V6Block::new_zeroed, |(_, block)| block)
}

/// The lower bits in which a span begins with zeros and ends with ones.
fn free_bits(item: &Answered<u128>) -> u32 {
    let behind = item.span.last.next().map_or(u128::BITS, u128::trailing_zeros);
    item.span.first.trailing_zeros().min(behind)
}

/// A shift that a block may be written with.
struct Shift {
    shift: u32,
    /// The spans that use bits below it.
    odd: u64,
    first_bits: u8,
    /// Bits that the block takes for first addresses and odd spans alone.
    least: usize,
}

impl Shift {
    fn new(spans: &[Answered<u128>], free: &[u32], shift: u32) -> Self {
        let odd = free.iter().zip(0..).fold(0u64, |odd, (&free, row)| odd | u64::from(free < shift) << row);
        // They ascend: the last one is the farthest.
        let farthest = spans.last().map_or(0, |last| steps(spans[0].span.first, last.span.first, shift));
        let first_bits = (u128::BITS - farthest.leading_zeros()) as u8;
        let least = spans.len() * usize::from(first_bits) + 2 * (odd.count_ones() * shift) as usize;
        Self { shift, odd, first_bits, least }
    }

    /// The block, and the bits that its columns take but for those of the answers.
    fn block(self, spans: &[Answered<u128>]) -> (usize, V6Block) {
        let Self { shift, odd, first_bits, least } = self;
        let most = |number: &dyn Fn(&Answered<u128>) -> u128| {
            (u128::BITS - spans.iter().map(number).max().unwrap_or(0).leading_zeros()) as u8
        };
        let answer = spans.iter().map(|item| item.answer).min().unwrap_or(0);
        let extent_bits = most(&|item| steps(item.span.first, item.span.last, shift));
        let block = V6Block {
            base: spans[0].span.first.into(),
            offset: 0.into(),
            odd: odd.into(),
            answer: answer.into(),
            count: spans.len() as u8,
            shift: shift as u8,
            first_bits,
            extent_bits,
            answer_bits: most(&|item| u128::from(item.answer - answer)),
            reserved: [0; 3],
        };
        (least + spans.len() * usize::from(extent_bits), block)
    }
}

/// How far it is from one address to another, not counting their lower bits.
fn steps(from: u128, to: u128, shift: u32) -> u128 {
    shr(to, shift).wrapping_sub(shr(from, shift)) & shr(u128::MAX, shift)
}

/// All 128 bits may be shifted out: of a span of all addresses nothing is left.
fn shr(number: u128, shift: u32) -> u128 {
    number.checked_shr(shift).unwrap_or(0)
}

/// The lower bits of numbers packed without gaps, lower bits first.
#[derive(Default)]
struct Packer {
    octets: Vec<u8>,
    /// Fewer than 64 bits that are no whole word yet.
    rest: u128,
    rest_bits: u32,
}

impl Packer {
    fn put(&mut self, numbers: impl Iterator<Item = u128>, bits: u8) {
        let (low, high) = (u32::from(bits.min(64)), u32::from(bits.saturating_sub(64)));
        for number in numbers {
            self.word(number as u64, low);
            if high > 0 {
                self.word((number >> 64) as u64, high);
            }
        }
    }

    #[inline]
    fn word(&mut self, word: u64, bits: u32) {
        let used = u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0);
        self.rest |= u128::from(word & used) << self.rest_bits;
        self.rest_bits += bits;
        if self.rest_bits >= u64::BITS {
            self.octets.extend_from_slice(&(self.rest as u64).to_le_bytes());
            self.rest >>= u64::BITS;
            self.rest_bits -= u64::BITS;
        }
    }

    /// Up to a whole octet.
    fn pad(&mut self) {
        let whole = self.rest_bits.div_ceil(8) as usize;
        self.octets.extend_from_slice(&(self.rest as u64).to_le_bytes()[..whole]);
        (self.rest, self.rest_bits) = (0, 0);
    }
}

/// The section, read in place.
#[derive(Clone, Copy)]
pub(super) struct V6<'a> {
    spans: u64,
    blocks: &'a [V6Block],
    columns: &'a [u8],
}

/// A span: the number of its block, and which of that block.
type Place = (usize, usize);

impl<'a> V6<'a> {
    pub(super) fn new(mut octets: &'a [u8]) -> Result<Self, Damaged> {
        if octets.is_empty() {
            return Ok(Self { spans: 0, blocks: &[], columns: &[] });
        }
        let [head] = take::<V6Head>(&mut octets, 1, Section::V6)? else { return Err(DAMAGED) };
        let blocks = usize::try_from(head.blocks.get()).map_err(|_| DAMAGED)?;
        let blocks = take(&mut octets, blocks, Section::V6)?;
        Ok(Self { spans: head.spans.get(), blocks, columns: rows(octets, Section::V6)? })
    }

    pub(super) fn len(self) -> u64 {
        self.spans
    }

    pub(super) fn find(self, address: u128) -> Result<Option<AnswerId>, Damaged> {
        let Some(place) = self.last_up_to(address)? else { return Ok(None) };
        let item = self.item(place)?;
        Ok((address <= item.span.last).then_some(item.answer))
    }

    pub(super) fn any(self, span: Span<u128>) -> Result<bool, Damaged> {
        let Some(place) = self.last_up_to(span.last)? else { return Ok(false) };
        Ok(self.item(place)?.span.last >= span.first)
    }

    /// Spans out of order end the walk as damaged: whoever takes them may count on their order.
    pub(super) fn spans(
        self,
        within: Span<u128>,
    ) -> impl Iterator<Item = Result<Answered<u128>, Damaged>> + use<'a> {
        // Nothing is left after an error.
        let mut next = Some(self.last_up_to(within.first).map(Option::unwrap_or_default));
        let mut end = None;
        std::iter::from_fn(move || {
            let found = next.take()?.and_then(|place| self.next(place, within.first));
            let (item, behind) = match found.transpose()? {
                Ok(found) => found,
                Err(damaged) => return Some(Err(damaged)),
            };
            if item.span.first > within.last {
                return None;
            }
            let first = item.span.first.max(within.first);
            let last = item.span.last.min(within.last);
            if first > last || end.is_some_and(|end| first <= end) {
                return Some(Err(DAMAGED));
            }
            (next, end) = (Some(Ok(behind)), Some(last));
            Some(Ok(Answered { span: Span { first, last }, ..item }))
        })
    }

    /// The first span at or behind a place that does not end before `first`, and the place behind it.
    fn next(self, place: Place, first: u128) -> Result<Option<(Answered<u128>, Place)>, Damaged> {
        let (mut number, mut row) = place;
        while let Some(block) = self.blocks.get(number) {
            if row >= usize::from(block.count) {
                (number, row) = (number + 1, 0);
                continue;
            }
            let item = self.item((number, row))?;
            row += 1;
            if item.span.last >= first || item.span.last < item.span.first {
                return Ok(Some((item, (number, row))));
            }
        }
        Ok(None)
    }

    /// The last span that begins at or before `address`: the only one of those that can reach it.
    fn last_up_to(self, address: u128) -> Result<Option<Place>, Damaged> {
        let behind = self.blocks.partition_point(|block| block.base.get() <= address);
        let Some(number) = behind.checked_sub(1) else { return Ok(None) };
        let block = self.blocks.get(number).ok_or(DAMAGED)?;
        // The first span begins with its block.
        let (mut row, mut end) = (0, usize::from(block.count));
        while end - row > 1 {
            let middle = row + (end - row) / 2;
            match self.first(block, middle)? <= address {
                true => row = middle,
                false => end = middle,
            }
        }
        if end == 0 { Err(DAMAGED) } else { Ok(Some((number, row))) }
    }

    fn first(self, block: &V6Block, row: usize) -> Result<u128, Damaged> {
        let bits = block.first_bits;
        let steps = self.number(block, row as u64 * u64::from(bits), bits)?;
        let base = shr(block.base.get(), block.shift.into());
        Ok(shl(base.wrapping_add(steps), block.shift) | self.odd(block, row)?.map_or(0, |odd| odd.first))
    }

    fn item(self, (number, row): Place) -> Result<Answered<u128>, Damaged> {
        let block = self.blocks.get(number).ok_or(DAMAGED)?;
        let [firsts, extents, answers] =
            [block.first_bits, block.extent_bits, block.answer_bits].map(u64::from);
        let (count, at) = (u64::from(block.count), row as u64);
        let first = self.first(block, row)?;
        let extent = self.number(block, count * firsts + at * extents, block.extent_bits)?;
        let answer = self.number(block, count * (firsts + extents) + at * answers, block.answer_bits)?;
        let lower = match self.odd(block, row)? {
            Some(odd) => odd.last,
            None => !shl(u128::MAX, block.shift),
        };
        let last = shl(shr(first, block.shift.into()).wrapping_add(extent), block.shift) | lower;
        Ok(Answered { span: Span { first, last }, answer: block.answer.get().wrapping_add(answer as u32) })
    }

    /// The lower bits of a span that uses them.
    fn odd(self, block: &V6Block, row: usize) -> Result<Option<Span<u128>>, Damaged> {
        let odd = block.odd.get();
        if row >= BLOCK || odd >> row & 1 == 0 {
            return Ok(None);
        }
        let before = u64::from((odd & ((1 << row) - 1)).count_ones());
        let even = [block.first_bits, block.extent_bits, block.answer_bits].map(u64::from);
        let at = u64::from(block.count) * even.iter().sum::<u64>() + 2 * before * u64::from(block.shift);
        let first = self.number(block, at, block.shift)?;
        let last = self.number(block, at + u64::from(block.shift), block.shift)?;
        Ok(Some(Span { first, last }))
    }

    /// The number of `bits` bits that begins at bit `at` of a block's columns.
    fn number(self, block: &V6Block, at: u64, bits: u8) -> Result<u128, Damaged> {
        let unused = u128::BITS.checked_sub(u32::from(bits)).ok_or(DAMAGED)?;
        let start = block.offset.get().checked_add(at / 8).and_then(|start| usize::try_from(start).ok());
        let octets: &[u8; SLACK] =
            start.and_then(|start| self.columns.get(start..)?.first_chunk()).ok_or(DAMAGED)?;
        let [low @ .., high] = *octets;
        let shift = (at % 8) as u32;
        let high = u128::from(high).checked_shl(u128::BITS - shift).unwrap_or(0);
        let number = u128::from_le_bytes(low) >> shift | high;
        Ok(number & u128::MAX.checked_shr(unused).unwrap_or(0))
    }
}

fn shl(number: u128, shift: u8) -> u128 {
    number.checked_shl(shift.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    use super::{SLACK, V6, encode};
    use crate::compile::{Answered, Compiled};
    use crate::model::Span;
    use crate::snapshot::testing::{at, empty_zone, open};
    use crate::snapshot::{Damaged, Section};

    const ALL: Span<u128> = Span { first: 0, last: u128::MAX };

    fn zone(v6: Vec<Answered<u128>>) -> Compiled {
        Compiled { v6: v6.into_iter().collect(), ..empty_zone(3) }
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
    fn prefixes_of_all_lengths_beside_addresses() {
        let mut spans = Vec::new();
        let mut next = 0x2001_0db8_u128 << 96;
        for n in 0..700u32 {
            let len = [64, 64, 48, 128, 64, 33, 64, 127, 97][n as usize % 9];
            let size = 1u128 << (128 - len);
            let first = next.next_multiple_of(size);
            spans.push(at(first, first + (size - 1), n % 5));
            next = first + size * 2 + u128::from(n % 3);
        }
        let snapshot = open(&zone(spans.clone()));
        assert_eq!(snapshot.v6_spans(ALL).map(Result::unwrap).collect::<Vec<_>>(), spans);
        for item in &spans {
            let Span { first, last } = item.span;
            assert_eq!(snapshot.v6(first).unwrap(), Some(item.answer));
            assert_eq!(snapshot.v6(last).unwrap(), Some(item.answer));
            assert_eq!(snapshot.v6(last + 1).unwrap(), None);
        }
    }

    #[test]
    fn spans_out_of_order_are_damage() {
        for wrong in [[at(5, 9, 0), at(9, 12, 1)], [at(20, 30, 0), at(1, 2, 0)], [at(1, 2, 0), at(9, 8, 0)]] {
            let (head, blocks, columns) = encode(wrong.into_iter());
            let section = [head.as_bytes(), blocks.as_bytes(), &columns, &[0; SLACK]].concat();
            let last = V6::new(&section).unwrap().spans(ALL).last().unwrap();
            assert_eq!(last, Err(Damaged(Section::V6)));
        }
    }
}
