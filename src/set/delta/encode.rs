//! Two sets → what leads from one to the other.

use super::walk::{Hosts, Pair, Renumbered, Rows, Step, pairs, walk};
use crate::set::blocks_v6::is_net;
use crate::set::codec::{self, put_bytes, put_u32, put_u64, put_value};
use crate::set::{Column, NAME_BUFFER, Scope, Set, ValueId};

/// What leads from one set to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// For [`apply()`](super::apply()).
    pub octets: Vec<u8>,
    /// Where numbers of one sort end: whoever compresses the octets does better when they begin anew there.
    pub cuts: Vec<usize>,
    /// How many entries it is about.
    pub counts: Counts,
}

/// Entries of all kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// They are in the new set alone.
    pub came: u64,
    /// They were in the old set alone.
    pub gone: u64,
    /// They are in both and say something else.
    pub changed: u64,
}

/// What leads from `old` to `new`.
pub fn encode(old: &Set, new: &Set) -> Delta {
    let nothing = Set::default();
    let mut delta = Delta { octets: Vec::new(), cuts: Vec::new(), counts: Counts::default() };
    let mut pairs = pairs(old, new).into_iter();
    // Its own entries come first.
    if let Some(Pair { old: origin, new }) = pairs.next() {
        delta.part(origin.map_or(&nothing, |origin| origin.set), new);
    }
    put_u64(&mut delta.octets, new.sections.len() as u64);
    for (Pair { old: origin, new: part }, section) in pairs.zip(&new.sections) {
        match origin.as_ref().and_then(|origin| origin.section) {
            Some(index) => put_u64(&mut delta.octets, index as u64 + 1),
            None => {
                delta.octets.push(0);
                put_u64(&mut delta.octets, section.subs.len() as u64);
                section.subs.iter().for_each(|sub| put_bytes(&mut delta.octets, sub.as_wire()));
            }
        }
        delta.part(origin.map_or(&nothing, |origin| origin.set), part);
    }
    delta
}

impl Delta {
    /// From head to names.
    fn part(&mut self, old: &Set, new: &Set) {
        let head = codec::head(new);
        if head == codec::head(old) {
            self.octets.push(0);
        } else {
            self.octets.push(1);
            put_bytes(&mut self.octets, &head);
        }
        self.values(old, new);
        let values = Renumbered::between(&old.values, &new.values);
        self.hosts(old, new, &values);
        self.blocks(old, new, &values);
        self.v6(old, new, &values);
        self.names(old, new, &values);
    }

    fn values(&mut self, old: &Set, new: &Set) {
        let mut streams = Streams::default();
        let (old, new) = (&old.values[..], &new.values[..]);
        streams.fill(old, new, |_, _| true, |came, row| put_value(came, &new[row]));
        self.write(&streams.gone.gaps);
        self.write(&streams.came);
    }

    fn hosts(&mut self, old: &Set, new: &Set, values: &Renumbered) {
        let mut streams = Streams::default();
        let (old, new) = (Hosts::of(&old.v4), Hosts::of(&new.v4));
        let mut last = 0;
        let put = |came: &mut Vec<u8>, row: usize| {
            put_u32(came, new.hosts[row] - last);
            last = new.hosts[row];
        };
        streams.fill(&old, &new, |old, new| values.is_same(old, new), put);
        streams.count(&mut self.counts);
        self.write(&streams.gone.gaps);
        self.write(&streams.came);
        match new.values {
            Column::One(value) => {
                self.octets.push(0);
                put_u32(&mut self.octets, *value);
            }
            Column::Many(_) => {
                self.octets.push(1);
                self.says(&streams);
            }
        }
    }

    fn blocks(&mut self, old: &Set, new: &Set, values: &Renumbered) {
        let (old, new) = (&old.v4.blocks[..], &new.v4.blocks[..]);
        let mut last = 0;
        self.rows(old, new, values, |came, row| {
            let block = &new[row];
            put_u32(came, block.span.first - last);
            put_u32(came, block.span.last - block.span.first);
            came.push(u8::from(block.exclude));
            last = block.span.first;
        });
    }

    fn v6(&mut self, old: &Set, new: &Set, values: &Renumbered) {
        let mut last = 0;
        self.rows(&old.v6, &new.v6, values, |came, row| {
            let Some(block) = new.v6.get(row) else { return };
            let high = (block.span.first >> 64) as u64;
            put_u64(came, high - last);
            let net = is_net(block.span);
            came.push(u8::from(block.exclude) | u8::from(net) << 1);
            if !net {
                put_u64(came, block.span.first as u64);
                codec::put(came, block.span.extent());
            }
            last = high;
        });
    }

    fn names(&mut self, old: &Set, new: &Set, values: &Renumbered) {
        let (mut last, mut buffer) = (Vec::new(), NAME_BUFFER);
        self.rows(&old.names, &new.names, values, |came, row| {
            let name = new.names.name(row, &mut buffer);
            let shared = name.iter().zip(&last).take_while(|(a, b)| a == b).count();
            put_u64(came, shared as u64);
            put_bytes(came, &name[shared..]);
            let is_below = new.names.scope(row) == Scope::Below;
            came.push(u8::from(is_below) | u8::from(new.names.is_excluded(row)) << 1);
            last.clear();
            last.extend_from_slice(name);
        });
    }

    fn rows<R: Rows + ?Sized>(
        &mut self,
        old: &R,
        new: &R,
        values: &Renumbered,
        put: impl FnMut(&mut Vec<u8>, usize),
    ) {
        let mut streams = Streams::default();
        streams.fill(old, new, |old, new| values.is_same(old, new), put);
        streams.count(&mut self.counts);
        self.write(&streams.gone.gaps);
        self.write(&streams.came);
        self.says(&streams);
    }

    fn says(&mut self, streams: &Streams) {
        self.octets.extend_from_slice(&streams.came_says);
        self.cuts.push(self.octets.len());
        self.write(&streams.changed.gaps);
        self.octets.extend_from_slice(&streams.changed_says);
        self.cuts.push(self.octets.len());
    }

    fn write(&mut self, counted: &Counted) {
        put_u64(&mut self.octets, counted.count);
        self.octets.extend_from_slice(&counted.octets);
        self.cuts.push(self.octets.len());
    }
}

/// What is written of one kind, each sort of number in a row of its own: they compress better among their likes.
#[derive(Default)]
struct Streams {
    gone: Ranks,
    came: Counted,
    /// What those that came say.
    came_says: Vec<u8>,
    changed: Ranks,
    changed_says: Vec<u8>,
}

#[derive(Default)]
struct Counted {
    count: u64,
    octets: Vec<u8>,
}

/// Ascending ranks in the old set.
#[derive(Default)]
struct Ranks {
    gaps: Counted,
    next: usize,
}

impl Streams {
    fn fill<R: Rows + ?Sized>(
        &mut self,
        old: &R,
        new: &R,
        is_same: impl Fn(Option<ValueId>, Option<ValueId>) -> bool,
        mut put: impl FnMut(&mut Vec<u8>, usize),
    ) {
        let (mut at, mut new_at) = (0, 0);
        // What a list of one value says is said once, by whoever asks.
        let is_said = new.all_say().is_none();
        walk(old, new, is_same, |step, rows| match step {
            Step::Kept => {
                at += rows;
                new_at += rows;
            }
            Step::Changed => {
                for row in 0..rows {
                    self.changed.push(at + row);
                    if is_said && let Some(value) = new.says(new_at + row) {
                        put_u32(&mut self.changed_says, value);
                    }
                }
                at += rows;
                new_at += rows;
            }
            Step::Gone => {
                (at..at + rows).for_each(|row| self.gone.push(row));
                at += rows;
            }
            Step::Came => {
                for row in new_at..new_at + rows {
                    put(&mut self.came.octets, row);
                    if is_said && let Some(value) = new.says(row) {
                        put_u32(&mut self.came_says, value);
                    }
                }
                self.came.count += rows as u64;
                new_at += rows;
            }
        });
    }

    fn count(&self, counts: &mut Counts) {
        counts.came += self.came.count;
        counts.gone += self.gone.gaps.count;
        counts.changed += self.changed.gaps.count;
    }
}

impl Ranks {
    #[inline]
    fn push(&mut self, rank: usize) {
        put_u64(&mut self.gaps.octets, (rank - self.next) as u64);
        self.gaps.count += 1;
        self.next = rank + 1;
    }
}
