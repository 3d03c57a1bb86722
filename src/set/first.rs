//! Of several entries over the same addresses the first of the input, as rbldnsd's tries have it.

use std::collections::HashMap;

use super::{Block, ValueId};
use crate::model::{Address, Span};

/// Sorts by span and keeps the first block of each, listing or exclusion.
fn of_blocks<A: Address>(blocks: &mut Vec<Block<A>>) {
    // A stable sort: what came first stays first.
    blocks.sort_by_key(|block| block.span);
    blocks.dedup_by_key(|block| block.span);
}

/// The rows of blocks over the same addresses as one before them.
fn repeated(blocks: &[Block<u32>]) -> Vec<usize> {
    if !may_repeat(blocks.iter().map(|block| block.span)) {
        return Vec::new();
    }
    let mut rows: Vec<usize> = (0..blocks.len()).collect();
    rows.sort_by_key(|&row| blocks[row].span);
    let pairs = rows.windows(2).filter(|pair| blocks[pair[0]].span == blocks[pair[1]].span);
    pairs.map(|pair| pair[1]).collect()
}

/// Whether two spans may be over the same addresses: most lists repeat none, and that should not cost a sort by spans.
pub(super) fn may_repeat<A: Address>(spans: impl ExactSizeIterator<Item = Span<A>> + Clone) -> bool {
    // 2^64 divided by the golden ratio. Spans that only seem to be equal cost time, nothing else.
    let mixed = |number: u128| (number as u64 ^ (number >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = |Span { first, last }: Span<A>| {
        let [first, last] = [first, last].map(|address| address.distance(A::ZERO));
        mixed(mixed(first).rotate_left(29).wrapping_add(mixed(last)).into())
    };
    let numbers = || spans.clone().map(number);
    let (mut taken, mut twice) = (Bits::for_numbers(spans.len()), Bits::for_numbers(spans.len()));
    for number in numbers() {
        if taken.insert(number) {
            twice.insert(number);
        }
    }
    // One of sixteen numbers or so finds the bit of another one; those alone are sorted.
    let mut numbers: Vec<u64> = numbers().filter(|&number| twice.contains(number)).collect();
    numbers.sort_unstable();
    numbers.windows(2).any(|pair| pair[0] == pair[1])
}

/// A bit for each of so many well mixed numbers, with room for sixteen times as many.
struct Bits {
    words: Vec<u64>,
    /// The upper bits of a number are the place of its bit.
    shift: u32,
}

impl Bits {
    fn for_numbers(count: usize) -> Self {
        let bits = (16 * count).next_power_of_two().max(64);
        Self { words: vec![0; bits / 64], shift: u64::BITS - bits.ilog2() }
    }

    /// Whether the bit was set already.
    #[inline]
    fn insert(&mut self, number: u64) -> bool {
        let place = number >> self.shift;
        let word = &mut self.words[(place / 64) as usize];
        let bit = 1 << (place % 64);
        let was_set = *word & bit != 0;
        *word |= bit;
        was_set
    }

    #[inline]
    fn contains(&self, number: u64) -> bool {
        let place = number >> self.shift;
        self.words[(place / 64) as usize] >> (place % 64) & 1 != 0
    }
}

/// The rows of hosts and of blocks that are about the same addresses as an entry before them.
pub(super) fn repeated_v4(
    hosts: &[u32],
    blocks: &[Block<u32>],
    hosts_before: &[usize],
) -> (Vec<usize>, Vec<usize>) {
    let mut of_blocks = repeated(blocks);
    let mut of_hosts = Vec::new();
    if !hosts.is_sorted_by(|a, b| a < b) {
        let mut rows: Vec<u64> =
            hosts.iter().zip(0u64..).map(|(&host, row)| u64::from(host) << 32 | row).collect();
        rows.sort_unstable();
        let pairs = rows.windows(2).filter(|pair| pair[0] >> 32 == pair[1] >> 32);
        of_hosts.extend(pairs.map(|pair| pair[1] as u32 as usize));
    }
    // An address alone is a block where it is excluded: the first exclusion of it, and how many hosts came before.
    let mut excluded: HashMap<u32, (usize, usize)> = HashMap::new();
    for (row, block) in blocks.iter().enumerate().filter(|(_, block)| block.span.first == block.span.last) {
        excluded.entry(block.span.first).or_insert((row, hosts_before[row]));
    }
    if !excluded.is_empty() {
        for (row, host) in hosts.iter().enumerate() {
            match excluded.get(host) {
                Some((block, before)) if row < *before => of_blocks.push(*block),
                Some(_) => of_hosts.push(row),
                None => {}
            }
        }
    }
    for rows in [&mut of_hosts, &mut of_blocks] {
        rows.sort_unstable();
        rows.dedup();
    }
    (of_hosts, of_blocks)
}

/// Single listed addresses with their values, and blocks with the number of hosts that came before each of them.
pub(super) struct V4<'a> {
    pub(super) hosts: &'a mut Vec<u32>,
    /// Empty while all hosts have one value.
    pub(super) values: &'a mut Vec<ValueId>,
    pub(super) blocks: &'a mut Vec<Block<u32>>,
    pub(super) hosts_before: &'a [usize],
}

impl V4<'_> {
    /// Leaves the first entry of each span. Listed single addresses are hosts, excluded ones are blocks.
    pub(super) fn keep(self) {
        // For each excluded single address: how many hosts came before its first exclusion.
        let mut excluded: HashMap<u32, usize> = HashMap::new();
        for (block, &before) in self.blocks.iter().zip(self.hosts_before) {
            if block.span.first == block.span.last {
                excluded.entry(block.span.first).or_insert(before);
            }
        }
        of_blocks(self.blocks);
        if !excluded.is_empty() {
            for (row, host) in self.hosts.iter().enumerate() {
                if excluded.get(host).is_some_and(|&before| row < before) {
                    excluded.remove(host);
                }
            }
            self.blocks.retain(|block| {
                block.span.first != block.span.last || excluded.contains_key(&block.span.first)
            });
            let mut kept = self.hosts.iter().map(|host| !excluded.contains_key(host));
            self.values.retain(|_| kept.next().unwrap_or(true));
            self.hosts.retain(|host| !excluded.contains_key(host));
        }
        if self.values.is_empty() {
            return; // all say the same
        }
        let mut rows: Vec<(u32, ValueId)> =
            self.hosts.iter().copied().zip(self.values.iter().copied()).collect();
        rows.sort_by_key(|row| row.0);
        rows.dedup_by_key(|row| row.0);
        (*self.hosts, *self.values) = rows.into_iter().unzip();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Overlap, Repeats, Row, RowKind, Set, SetBuilder};
    use crate::model::{Span, Value};

    /// `!` excludes; the last letter of an entry is its value.
    fn set(entries: &[(&str, u32, u32)]) -> Set {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        builder.repeats = Repeats::First;
        for &(what, first, last) in entries {
            let span = Span { first, last };
            let wide = Span { first: u128::from(first), last: u128::from(last) };
            if what == "!" {
                builder.exclude_v4(span);
                builder.exclude_v6(wide);
            } else {
                let value = builder.value(&Value { note: Some(what.into()), ..Value::default() });
                builder.v4(span, value);
                builder.v6(wide, value);
            }
        }
        builder.finish()
    }

    fn shown(set: &Set) -> [Vec<String>; 2] {
        let said = |exclude: bool, value| match exclude {
            true => "!".to_owned(),
            false => set.value(value).note.unwrap().into_string(),
        };
        let hosts = set.v4.hosts.iter().enumerate();
        let mut v4: Vec<_> =
            hosts.map(|(row, host)| format!("{host} {}", said(false, set.v4.host_values.at(row)))).collect();
        let show = |first: u128, last: u128, said: String| match first == last {
            true => format!("{first} {said}"),
            false => format!("{first}-{last} {said}"),
        };
        let blocks = set.v4.blocks.iter();
        v4.extend(blocks.map(|b| show(b.span.first.into(), b.span.last.into(), said(b.exclude, b.value))));
        v4.sort();
        let v6 = set.v6.iter();
        let mut v6: Vec<_> = v6.map(|b| show(b.span.first, b.span.last, said(b.exclude, b.value))).collect();
        v6.sort();
        [v4, v6]
    }

    #[test]
    fn the_first_of_equal_spans_stays() {
        let found = shown(&set(&[
            ("z", 5, 5),
            ("a", 5, 5),
            ("!", 5, 5),
            ("!", 6, 6),
            ("a", 6, 6),
            ("!", 6, 6),
            ("b", 0, 7),
            ("!", 0, 7),
            ("!", 8, 15),
            ("a", 8, 15),
            ("a", 7, 7),
        ]));
        let expect = ["0-7 b", "5 z", "6 !", "7 a", "8-15 !"];
        assert_eq!(found, [expect, expect]);
    }

    /// Each row but the first of each span, as the kinds count them.
    #[test]
    fn the_others_are_known() {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        builder.repeats = Repeats::First;
        let (host, pair) = (|first| Span { first, last: first }, Span { first: 6, last: 7 });
        for first in [9, 5, 5] {
            builder.v4(host(first), 0);
        }
        builder.exclude_v4(host(5));
        builder.exclude_v4(host(8));
        builder.v4(pair, 0);
        builder.v4(host(8), 0);
        builder.exclude_v4(pair);
        builder.exclude_v4(host(8));
        for (first, last) in [(1, 1), (0, 1), (1, 1)] {
            builder.v6(Span { first, last }, 0);
        }
        let row = |kind, row| Row { kind, row };
        assert_eq!(
            builder.repeated(),
            [row(RowKind::Host, 2), row(RowKind::Host, 3), row(RowKind::Block, 0), row(RowKind::Block, 3)]
                .into_iter()
                .chain([row(RowKind::Block, 4), row(RowKind::V6, 2)])
                .collect::<Vec<_>>(),
        );
        assert_eq!(builder.rows(), [4, 5, 3]);
        assert_eq!(builder.addresses(builder.repeated()[3]), "0.0.0.6/31");
    }

    #[test]
    fn one_value_is_no_exception() {
        let found =
            shown(&set(&[("a", 5, 5), ("!", 5, 5), ("!", 6, 6), ("a", 6, 6), ("a", 5, 5), ("a", 6, 6)]));
        assert_eq!(found, [["5 a", "6 !"], ["5 a", "6 !"]]);
    }

    #[test]
    fn a_set_built_again_is_the_same() {
        let set = set(&[("z", 5, 5), ("!", 5, 5), ("!", 6, 6), ("b", 0, 7)]);
        assert_eq!(set.without(|_| false), set);
    }
}
