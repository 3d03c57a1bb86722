//! One list on its own: which of its addresses are listed, and with which of its values.

use std::collections::HashMap;

use super::Answered;
use super::sweep::{Ranked, sweep};
use crate::model::{Address, Span};
use crate::set::{Block, BlocksV6, Column, Overlap, Set, V4Entries, ValueId};

/// Interned groups of values of a set that answer together.
#[derive(Debug, Default)]
pub(super) struct Groups {
    ids: HashMap<Vec<ValueId>, u32>,
    groups: Vec<Vec<ValueId>>,
}

impl Groups {
    fn id(&mut self, group: &[ValueId]) -> u32 {
        if let Some(&id) = self.ids.get(group) {
            return id;
        }
        let id = self.groups.len() as u32;
        self.groups.push(group.to_vec());
        self.ids.insert(group.to_vec(), id);
        id
    }

    pub(super) fn values(&self, id: u32) -> &[ValueId] {
        &self.groups[id as usize]
    }
}

/// The listed IPv4 spans of a set in order, disjoint, each with its group of values. Overlaps are settled island by
/// island while it is read, so that ten million addresses are never held a second time.
pub(super) struct ListedV4<'a> {
    overlap: Overlap,
    entries: &'a V4Entries,
    /// For each value of the set the one that stands for it: values that will say the same are one.
    stand_ins: &'a [ValueId],
    at: usize,
    blocks: &'a [Block<u32>],
    island: std::vec::IntoIter<Answered<u32>>,
    /// The value of the last host and its group.
    last: (ValueId, u32),
    groups: Groups,
}

impl<'a> ListedV4<'a> {
    pub(super) fn new(set: &'a Set, stand_ins: &'a [ValueId]) -> Self {
        let mut groups = Groups::default();
        let last = (0, groups.id(&[stand_in(stand_ins, 0)]));
        let entries = &set.v4;
        Self {
            overlap: set.overlap,
            entries,
            stand_ins,
            at: 0,
            blocks: &entries.blocks,
            island: Vec::new().into_iter(),
            last,
            groups,
        }
    }

    /// A host that no block touches goes straight through: the way of nearly every address of a long list.
    #[inline]
    fn host(&mut self, host: u32) -> Answered<u32> {
        let value = self.entries.host_values.at(self.at);
        self.at += 1;
        if self.entries.hosts.get(self.at) == Some(&host) {
            return Answered { span: Span::host(host), answer: self.host_group(host, value) };
        }
        if value != self.last.0 {
            self.last = (value, self.host_group(host, value));
        }
        Answered { span: Span::host(host), answer: self.last.1 }
    }

    #[cold]
    fn host_group(&mut self, host: u32, value: ValueId) -> u32 {
        let mut group = vec![stand_in(self.stand_ins, value)];
        while self.entries.hosts.get(self.at) == Some(&host) {
            group.push(stand_in(self.stand_ins, self.entries.host_values.at(self.at)));
            self.at += 1;
        }
        group.sort_unstable();
        group.dedup();
        self.groups.id(&group)
    }

    /// Settles the next blocks that hang together, with the hosts among them.
    fn settle(&mut self) {
        let (island, rest) = island(self.blocks);
        self.blocks = rest;
        let last = island.iter().map(|block| block.span.last).max().expect("islands are not empty");
        let mut entries: Vec<_> =
            island.iter().flat_map(|block| ranked(self.overlap, block, self.stand_ins)).collect();
        while let Some(&host) = self.entries.hosts.get(self.at).filter(|&&host| host <= last) {
            let value = self.entries.host_values.at(self.at);
            let block = Block { span: Span::host(host), exclude: false, value };
            entries.extend(ranked(self.overlap, &block, self.stand_ins));
            self.at += 1;
        }
        let mut spans = Vec::new();
        sweep(entries, |span, group| push(&mut spans, span, self.groups.id(group)));
        self.island = spans.into_iter();
    }
}

impl Iterator for ListedV4<'_> {
    type Item = Answered<u32>;

    #[inline]
    fn next(&mut self) -> Option<Answered<u32>> {
        loop {
            if let Some(span) = self.island.next() {
                return Some(span);
            }
            match (self.entries.hosts.get(self.at), self.blocks.first()) {
                (Some(&host), Some(block)) if host < block.span.first => return Some(self.host(host)),
                (Some(&host), None) => return Some(self.host(host)),
                (_, Some(_)) => self.settle(),
                (None, None) => return None,
            }
        }
    }
}

/// The listed IPv6 spans of a set, likewise.
pub(super) struct ListedV6<'a> {
    overlap: Overlap,
    stand_ins: &'a [ValueId],
    blocks: &'a BlocksV6,
    /// The row of the next block.
    at: usize,
    island: std::vec::IntoIter<Answered<u128>>,
    /// The value of the last block that stood alone and its group.
    last: (ValueId, u32),
    groups: Groups,
}

impl<'a> ListedV6<'a> {
    pub(super) fn new(set: &'a Set, stand_ins: &'a [ValueId]) -> Self {
        let mut groups = Groups::default();
        let last = (0, groups.id(&[stand_in(stand_ins, 0)]));
        let island = Vec::new().into_iter();
        Self { overlap: set.overlap, stand_ins, blocks: &set.v6, at: 0, island, last, groups }
    }

    /// Takes the next block if it begins at or before an address.
    #[inline]
    fn take_up_to(&mut self, end: u128) -> Option<Block<u128>> {
        // Mostly it does not, and its upper half tells: the rest of it lies elsewhere.
        if self.blocks.high(self.at)? > (end >> 64) as u64 {
            return None;
        }
        let next = self.blocks.get(self.at).filter(|next| next.span.first <= end)?;
        self.at += 1;
        Some(next)
    }
}

impl Iterator for ListedV6<'_> {
    type Item = Answered<u128>;

    #[inline]
    fn next(&mut self) -> Option<Answered<u128>> {
        loop {
            if let Some(span) = self.island.next() {
                return Some(span);
            }
            let first = self.blocks.get(self.at)?;
            self.at += 1;
            let second = self.take_up_to(first.span.last);
            if second.is_none() && !first.exclude {
                // The way of nearly every entry: nothing else touches it.
                if first.value != self.last.0 {
                    self.last = (first.value, self.groups.id(&[stand_in(self.stand_ins, first.value)]));
                }
                return Some(Answered { span: first.span, answer: self.last.1 });
            }
            let mut entries = ranked(self.overlap, &first, self.stand_ins);
            let (mut end, mut next) = (first.span.last, second);
            while let Some(block) = next {
                end = end.max(block.span.last);
                entries.extend(ranked(self.overlap, &block, self.stand_ins));
                next = self.take_up_to(end);
            }
            let mut spans = Vec::new();
            sweep(entries, |span, group| push(&mut spans, span, self.groups.id(group)));
            self.island = spans.into_iter();
        }
    }
}

/// A list's spans, whose answers are groups of its values.
pub(super) trait Listed<'s, A: 's>: Iterator<Item = Answered<A>> {
    fn groups(&self) -> &Groups;

    /// Takes the next single addresses that no other entry touches, all with one group and all before `end`: what a
    /// long list mostly is, handed on without a look at each. Empty when something else comes next.
    fn plain_hosts(&mut self, _end: Option<A>) -> (&'s [A], u32) {
        (&[], 0)
    }
}

impl<'s> Listed<'s, u32> for ListedV4<'s> {
    fn groups(&self) -> &Groups {
        &self.groups
    }

    fn plain_hosts(&mut self, end: Option<u32>) -> (&'s [u32], u32) {
        let Column::One(value) = self.entries.host_values else { return (&[], 0) };
        if self.island.len() > 0 || value != self.last.0 {
            return (&[], 0);
        }
        let block = self.blocks.first().map(|block| block.span.first);
        let hosts = &self.entries.hosts[self.at..];
        let len = match [block, end].into_iter().flatten().min() {
            Some(end) => hosts.partition_point(|&host| host < end),
            None => hosts.len(),
        };
        self.at += len;
        (&hosts[..len], self.last.1)
    }
}

impl<'s> Listed<'s, u128> for ListedV6<'s> {
    fn groups(&self) -> &Groups {
        &self.groups
    }
}

fn stand_in(stand_ins: &[ValueId], value: ValueId) -> ValueId {
    stand_ins.get(value as usize).copied().unwrap_or(0)
}

/// The first blocks whose spans hang together, and the rest.
fn island<A: Address>(blocks: &[Block<A>]) -> (&[Block<A>], &[Block<A>]) {
    let mut end = blocks[0].span.last;
    let mut len = 1;
    while let Some(next) = blocks.get(len).filter(|next| next.span.first <= end) {
        end = end.max(next.span.last);
        len += 1;
    }
    blocks.split_at(len)
}

fn ranked<A: Address>(overlap: Overlap, block: &Block<A>, stand_ins: &[ValueId]) -> Vec<Ranked<A>> {
    let value = if block.exclude { 0 } else { stand_in(stand_ins, block.value) };
    let ranked = |(span, rank)| Ranked { span, rank, exclude: block.exclude, value };
    overlap.ranked(block.span).into_iter().map(ranked).collect()
}

/// Adds a span, joined to the last one where they touch with one answer.
fn push<A: Address>(spans: &mut Vec<Answered<A>>, span: Span<A>, answer: u32) {
    if let Some(before) = spans.last_mut()
        && before.answer == answer
        && before.span.last.next() == Some(span.first)
    {
        before.span.last = span.last;
        return;
    }
    spans.push(Answered { span, answer });
}
