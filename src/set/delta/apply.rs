//! An old set and what leads to the new one → the new one, if it is the right one.

use std::ops::Range;
use std::sync::Arc;

use super::walk::{Hosts, Rows};
use crate::model::{ContentHash, Name, Span, TreeName, Value};
use crate::set::codec::{self, Input};
use crate::set::{Block, BlocksV6, Column, NameList, Scope, Section, Set, V4Entries, ValueId};

/// Why there is no new set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// The octets are no delta from a set like this one.
    #[error("the delta is damaged, or is for another set")]
    Damaged,
    /// They give a set, and it is not the one that was asked for.
    #[error("the delta gives another set than it should: it is damaged, or is for another set")]
    OtherResult,
}

/// The set that `delta` leads to from `old`, if its hash is `result`.
///
/// # Errors
/// When the octets are damaged or `old` is another set than they were made for. What is allocated is bounded by the
/// sizes of `old` and `delta` together.
pub fn apply(old: &Set, delta: &[u8], result: &ContentHash) -> Result<Set, DeltaError> {
    let mut input = Input(delta);
    let new = set(&mut input, old).filter(|_| input.0.is_empty()).ok_or(DeltaError::Damaged)?;
    if codec::hash(&new) == *result { Ok(new) } else { Err(DeltaError::OtherResult) }
}

fn set(input: &mut Input, old: &Set) -> Option<Set> {
    let mut new = part(input, old)?;
    let nothing = Set::default();
    let mut is_used = vec![false; old.sections.len()];
    for _ in 0..input.count()? {
        let (subs, from) = match input.count_below(old.sections.len() + 1)?.checked_sub(1) {
            Some(index) => {
                // Twice the same would be more than there can be.
                if std::mem::replace(&mut is_used[index], true) {
                    return None;
                }
                (old.sections[index].subs.clone(), &*old.sections[index].set)
            }
            None => {
                let count = input.count()?;
                let subs = (0..count).map(|_| Name::from_wire(input.bytes()?));
                (subs.collect::<Option<_>>()?, &nothing)
            }
        };
        new.sections.push(Section { subs, set: Arc::new(part(input, from)?) });
    }
    Some(new)
}

fn part(input: &mut Input, old: &Set) -> Option<Set> {
    let (overlap, directives) = match input.octet()? {
        0 => (old.overlap, old.directives.clone()),
        1 => codec::read_head(input.bytes()?)?,
        _ => return None,
    };
    let (values, renumbered) = values(input, &old.values)?;
    let (hosts, host_values) = hosts(input, &old.v4, &renumbered)?;
    let blocks = blocks(input, &old.v4.blocks, &renumbered)?;
    let v6 = v6(input, &old.v6, &renumbered)?;
    let names = names(input, &old.names, &renumbered)?;
    let v4 = V4Entries { hosts, host_values, blocks };
    Some(Set { overlap, values, v4, v6, names, directives, sections: Vec::new() })
}

/// Also where each of the old ones is now.
fn values(input: &mut Input, old: &[Value]) -> Option<(Vec<Value>, Vec<Option<ValueId>>)> {
    let gone = ranks(input, old.len())?;
    let count = input.count()?;
    let came: Vec<Value> = (0..count).map(|_| input.value()).collect::<Option<_>>()?;
    let mut values = Vec::with_capacity(old.len() - gone.len() + came.len());
    let mut renumbered = vec![None; old.len()];
    merge(old, &gone, &came[..], |piece| match piece {
        Piece::Old(rows) => {
            for row in rows {
                renumbered[row] = Some(values.len() as ValueId);
                values.push(old[row].clone());
            }
        }
        Piece::Came(row) => values.push(came[row].clone()),
    });
    Some((values, renumbered))
}

fn hosts(input: &mut Input, old: &V4Entries, renumbered: &[Option<ValueId>]) -> Option<(Vec<u32>, Column)> {
    let old = Hosts::of(old);
    let gone = ranks(input, old.len())?;
    let count = input.count()?;
    let mut came = Vec::with_capacity(count);
    let mut last = 0u32;
    for _ in 0..count {
        last = last.checked_add(input.small()?)?;
        came.push(last);
    }
    let mut hosts = Vec::with_capacity(old.len() - gone.len() + count);
    match input.octet()? {
        0 => {
            let column = Column::One(input.small()?);
            let came = Hosts { hosts: &came, values: &column };
            merge(&old, &gone, &came, |piece| match piece {
                Piece::Old(rows) => hosts.extend_from_slice(&old.hosts[rows]),
                Piece::Came(row) => hosts.push(came.hosts[row]),
            });
            Some((hosts, column))
        }
        1 => {
            let mut says = Says::read(input, old.len(), count)?;
            let mut values = Vec::with_capacity(hosts.capacity());
            let is_sound = {
                let column = Column::One(0);
                let came = Hosts { hosts: &came, values: &column };
                merge_all(&old, &gone, &came, |piece| {
                    match piece {
                        Piece::Old(rows) => {
                            for row in rows {
                                hosts.push(old.hosts[row]);
                                values.push(says.of_old(row, old.says(row), renumbered)?);
                            }
                        }
                        Piece::Came(row) => {
                            hosts.push(came.hosts[row]);
                            values.push(says.of_next()?);
                        }
                    }
                    Some(())
                })
            };
            is_sound?;
            Some((hosts, Column::Many(values)))
        }
        _ => None,
    }
}

fn blocks(input: &mut Input, old: &[Block<u32>], renumbered: &[Option<ValueId>]) -> Option<Vec<Block<u32>>> {
    let gone = ranks(input, old.len())?;
    let count = input.count()?;
    let mut came = Vec::with_capacity(count);
    let mut first = 0u32;
    for _ in 0..count {
        first = first.checked_add(input.small()?)?;
        let last = first.checked_add(input.small()?)?;
        came.push(Block { span: Span { first, last }, exclude: input.octet()? != 0, value: 0 });
    }
    let mut says = Says::read(input, old.len(), listings(&came[..]))?;
    let mut blocks = Vec::with_capacity(old.len() - gone.len() + count);
    merge_all(old, &gone, &came[..], |piece| {
        match piece {
            Piece::Old(rows) => {
                for row in rows {
                    let value = says.of_old(row, old.says(row), renumbered)?;
                    blocks.push(Block { value, ..old[row] });
                }
            }
            Piece::Came(row) => {
                let value = if came[row].exclude { 0 } else { says.of_next()? };
                blocks.push(Block { value, ..came[row] });
            }
        }
        Some(())
    })?;
    Some(blocks)
}

fn v6(input: &mut Input, old: &BlocksV6, renumbered: &[Option<ValueId>]) -> Option<BlocksV6> {
    let gone = ranks(input, old.len())?;
    let count = input.count()?;
    let mut came = BlocksV6::default();
    let mut high = 0u64;
    for _ in 0..count {
        high = high.checked_add(input.number()?.try_into().ok()?)?;
        let flags = input.octet()?;
        let (low, extent) = match flags & 2 {
            0 => (u64::try_from(input.number()?).ok()?, input.number()?),
            _ => (0, u128::from(u64::MAX)),
        };
        let first = u128::from(high) << 64 | u128::from(low);
        let span = Span { first, last: first.checked_add(extent)? };
        came.push(Block { span, exclude: flags & 1 != 0, value: 0 });
    }
    let mut says = Says::read(input, old.len(), listings(&came))?;
    let mut blocks = BlocksV6::default();
    merge_all(old, &gone, &came, |piece| {
        match piece {
            Piece::Old(rows) => {
                for row in rows {
                    let value = says.of_old(row, old.says(row), renumbered)?;
                    blocks.push(Block { value, ..old.get(row)? });
                }
            }
            Piece::Came(row) => {
                let block = came.get(row)?;
                let value = if block.exclude { 0 } else { says.of_next()? };
                blocks.push(Block { value, ..block });
            }
        }
        Some(())
    })?;
    Some(blocks)
}

fn names(input: &mut Input, old: &NameList, renumbered: &[Option<ValueId>]) -> Option<NameList> {
    let gone = ranks(input, old.len())?;
    let count = input.count()?;
    let mut came = NameList::default();
    let mut octets = Vec::new();
    for _ in 0..count {
        let shared = input.count_below(octets.len() + 1)?;
        octets.truncate(shared);
        octets.extend_from_slice(input.bytes()?);
        let name = TreeName::from_octets(&octets)?;
        let flags = input.octet()?;
        let scope = if flags & 1 == 0 { Scope::Exact } else { Scope::Below };
        came.push(&name, scope, flags & 2 != 0, 0);
    }
    let mut says = Says::read(input, old.len(), listings(&came))?;
    let mut names = NameList::default();
    merge_all(old, &gone, &came, |piece| {
        match piece {
            Piece::Old(rows) => {
                for row in rows {
                    let value = says.of_old(row, old.says(row), renumbered)?;
                    names.push_row(old, row, value);
                }
            }
            Piece::Came(row) => {
                let value = if came.is_excluded(row) { 0 } else { says.of_next()? };
                names.push_row(&came, row, value);
            }
        }
        Some(())
    })?;
    Some(names)
}

fn listings<R: Rows + ?Sized>(rows: &R) -> usize {
    (0..rows.len()).filter(|&row| rows.says(row).is_some()).count()
}

/// Ranks below `len`, each above the one before it.
fn ranks(input: &mut Input, len: usize) -> Option<Vec<usize>> {
    let count = input.count()?;
    let mut ranks = Vec::with_capacity(count);
    let mut next = 0usize;
    for _ in 0..count {
        let rank = next.checked_add(usize::try_from(input.number()?).ok()?).filter(|&rank| rank < len)?;
        ranks.push(rank);
        next = rank + 1;
    }
    Some(ranks)
}

/// What the rows of a kind say, as far as it is not what they said before.
struct Says {
    came: std::vec::IntoIter<ValueId>,
    changed: std::iter::Peekable<std::iter::Zip<std::vec::IntoIter<usize>, std::vec::IntoIter<ValueId>>>,
}

impl Says {
    /// `came`: how many of those that came say something.
    fn read(input: &mut Input, old_len: usize, came: usize) -> Option<Self> {
        let read = |input: &mut Input, count: usize| -> Option<Vec<ValueId>> {
            (0..count).map(|_| input.small()).collect()
        };
        let came = read(input, came)?.into_iter();
        let changed = ranks(input, old_len)?;
        let says = read(input, changed.len())?.into_iter();
        Some(Self { came, changed: changed.into_iter().zip(says).peekable() })
    }

    fn of_next(&mut self) -> Option<ValueId> {
        self.came.next()
    }

    /// An exclusion says nothing.
    #[inline]
    fn of_old(
        &mut self,
        row: usize,
        said: Option<ValueId>,
        renumbered: &[Option<ValueId>],
    ) -> Option<ValueId> {
        if let Some((_, value)) = self.changed.next_if(|(changed, _)| *changed == row) {
            return Some(value);
        }
        said.map_or(Some(0), |said| *renumbered.get(said as usize)?)
    }
}

/// What comes next in the new set.
enum Piece {
    /// These rows of the old one.
    Old(Range<usize>),
    /// This one of those that came.
    Came(usize),
}

/// Puts what came between what stays. Those that came follow old ones with the same key.
fn merge<R: Rows + ?Sized>(old: &R, gone: &[usize], came: &R, mut take: impl FnMut(Piece)) {
    let all = merge_all(old, gone, came, |piece| {
        take(piece);
        Some(())
    });
    debug_assert!(all.is_some(), "nothing stops it");
}

/// The same; ends at the first `None`.
fn merge_all<R: Rows + ?Sized>(
    old: &R,
    gone: &[usize],
    came: &R,
    mut take: impl FnMut(Piece) -> Option<()>,
) -> Option<()> {
    let (mut from, mut next) = (0, 0);
    for end in gone.iter().copied().chain([old.len()]) {
        while from < end {
            if next == came.len() {
                take(Piece::Old(from..end))?;
                break;
            }
            let run = old.up_to(from..end, came, next);
            if run > 0 {
                take(Piece::Old(from..from + run))?;
                from += run;
            }
            if from < end {
                take(Piece::Came(next))?;
                next += 1;
            }
        }
        from = end + 1;
    }
    (next..came.len()).try_for_each(|row| take(Piece::Came(row)))
}
