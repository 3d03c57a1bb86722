//! Two sets side by side: what became of each entry.

use std::cmp::Ordering;
use std::ops::Range;

use crate::model::Value;
use crate::set::{Block, BlocksV6, Column, NameList, Set, V4Entries, ValueId};

/// What became of entries, from an old set to a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// They are in both and say the same.
    Kept,
    /// They are in both and say something else.
    Changed,
    /// They are in the old set alone.
    Gone,
    /// They are in the new set alone.
    Came,
}

/// Sorted rows of one kind. Their keys are the entries without what they say.
pub(super) trait Rows {
    fn len(&self) -> usize;

    /// The order of two keys.
    fn cmp(&self, row: usize, other: &Self, other_row: usize) -> Ordering;

    /// What a row says; `None` for an exclusion.
    fn says(&self, row: usize) -> Option<ValueId>;

    /// What all rows say, where that is known to be the same.
    fn all_say(&self) -> Option<ValueId> {
        None
    }

    /// How many rows from here on have the keys of those of `other` from there on.
    fn alike(&self, row: usize, other: &Self, other_row: usize) -> usize {
        let most = (self.len() - row).min(other.len() - other_row);
        (0..most).take_while(|at| self.cmp(row + at, other, other_row + at).is_eq()).count()
    }

    /// How many of `rows` have keys up to that of `limit`.
    fn up_to(&self, mut rows: Range<usize>, other: &Self, limit: usize) -> usize {
        let len = rows.len();
        rows.position(|row| self.cmp(row, other, limit).is_gt()).unwrap_or(len)
    }
}

/// Addresses looked at together: fewer than mostly stand between two edits.
const STEP: usize = 8;

/// Single addresses.
pub(super) struct Hosts<'a> {
    pub(super) hosts: &'a [u32],
    pub(super) values: &'a Column,
}

impl<'a> Hosts<'a> {
    pub(super) fn of(v4: &'a V4Entries) -> Self {
        Self { hosts: &v4.hosts, values: &v4.host_values }
    }
}

impl Rows for Hosts<'_> {
    fn len(&self) -> usize {
        self.hosts.len()
    }

    #[inline]
    fn cmp(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.hosts[row].cmp(&other.hosts[other_row])
    }

    #[inline]
    fn says(&self, row: usize) -> Option<ValueId> {
        Some(self.values.at(row))
    }

    fn all_say(&self) -> Option<ValueId> {
        match self.values {
            Column::One(value) => Some(*value),
            Column::Many(_) => None,
        }
    }

    #[inline]
    fn alike(&self, row: usize, other: &Self, other_row: usize) -> usize {
        let (a, b) = (&self.hosts[row..], &other.hosts[other_row..]);
        let together = a.as_chunks::<STEP>().0.iter().zip(b.as_chunks::<STEP>().0);
        let steps = together.take_while(|(a, b)| a == b).count() * STEP;
        steps + a[steps..].iter().zip(&b[steps..]).take_while(|(a, b)| a == b).count()
    }

    #[inline]
    fn up_to(&self, rows: Range<usize>, other: &Self, limit: usize) -> usize {
        let limit = other.hosts[limit];
        let hosts = &self.hosts[rows];
        let together = hosts.as_chunks::<STEP>().0.iter();
        // They are sorted.
        let steps = together.take_while(|step| step[STEP - 1] <= limit).count() * STEP;
        steps + hosts[steps..].iter().take_while(|host| **host <= limit).count()
    }
}

impl Rows for [Block<u32>] {
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn cmp(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let key = |block: &Block<u32>| (block.span, block.exclude);
        key(&self[row]).cmp(&key(&other[other_row]))
    }

    #[inline]
    fn says(&self, row: usize) -> Option<ValueId> {
        (!self[row].exclude).then_some(self[row].value)
    }
}

impl Rows for BlocksV6 {
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn cmp(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let key = |block: Option<Block<u128>>| block.map(|block| (block.span, block.exclude));
        self.high(row)
            .cmp(&other.high(other_row))
            .then_with(|| key(self.get(row)).cmp(&key(other.get(other_row))))
    }

    #[inline]
    fn says(&self, row: usize) -> Option<ValueId> {
        self.get(row).filter(|block| !block.exclude).map(|block| block.value)
    }
}

impl Rows for NameList {
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn cmp(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.cmp_entries(row, other, other_row)
    }

    #[inline]
    fn says(&self, row: usize) -> Option<ValueId> {
        (!self.is_excluded(row)).then(|| self.value(row))
    }
}

impl Rows for [Value] {
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn cmp(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self[row].cmp(&other[other_row])
    }

    fn says(&self, _: usize) -> Option<ValueId> {
        None
    }
}

/// Where the values of an old set are in a new one.
pub(super) struct Renumbered(pub(super) Vec<Option<ValueId>>);

impl Renumbered {
    pub(super) fn between(old: &[Value], new: &[Value]) -> Self {
        let mut numbers = Vec::with_capacity(old.len());
        let mut next = 0;
        walk(
            old,
            new,
            |_, _| true,
            |step, rows| match step {
                Step::Kept | Step::Changed => {
                    numbers.extend((next..next + rows as ValueId).map(Some));
                    next += rows as ValueId;
                }
                Step::Gone => numbers.resize(numbers.len() + rows, None),
                Step::Came => next += rows as ValueId,
            },
        );
        Self(numbers)
    }

    /// Whether the two say the same.
    #[inline]
    pub(super) fn is_same(&self, old: Option<ValueId>, new: Option<ValueId>) -> bool {
        match (old, new) {
            (None, None) => true,
            (Some(old), Some(new)) => self.0.get(old as usize) == Some(&Some(new)),
            _ => false,
        }
    }
}

/// Walks over two rows of one kind; `step` is told what became of how many, in the order of their keys.
pub(super) fn walk<R: Rows + ?Sized>(
    old: &R,
    new: &R,
    is_same: impl Fn(Option<ValueId>, Option<ValueId>) -> bool,
    mut step: impl FnMut(Step, usize),
) {
    let all = match (old.all_say(), new.all_say()) {
        (Some(old), Some(new)) => Some(is_same(Some(old), Some(new))),
        _ => None,
    };
    let both = |is_same| if is_same { Step::Kept } else { Step::Changed };
    let (mut at, mut new_at) = (0, 0);
    while at < old.len() && new_at < new.len() {
        match old.cmp(at, new, new_at) {
            Ordering::Less => {
                step(Step::Gone, 1);
                at += 1;
            }
            Ordering::Greater => {
                step(Step::Came, 1);
                new_at += 1;
            }
            Ordering::Equal => {
                let run = old.alike(at, new, new_at);
                match all {
                    Some(is_same) => step(both(is_same), run),
                    None => {
                        for row in 0..run {
                            step(both(is_same(old.says(at + row), new.says(new_at + row))), 1);
                        }
                    }
                }
                at += run;
                new_at += run;
            }
        }
    }
    if at < old.len() {
        step(Step::Gone, old.len() - at);
    }
    if new_at < new.len() {
        step(Step::Came, new.len() - new_at);
    }
}

/// A part of the new set, and what it comes from.
pub(super) struct Pair<'a> {
    /// The old part; `None` for a section that is new.
    pub(super) old: Option<Origin<'a>>,
    pub(super) new: &'a Set,
}

/// A part of the old set.
pub(super) struct Origin<'a> {
    /// Which of its sections; `None` for its own entries.
    pub(super) section: Option<usize>,
    /// How many rows of the old set stand before its own.
    pub(super) rows_before: usize,
    pub(super) set: &'a Set,
}

/// The parts of the new set in order: its own entries, then its sections. An old section is the origin of one at most.
pub(super) fn pairs<'a>(old: &'a Set, new: &'a Set) -> Vec<Pair<'a>> {
    let mut starts = Vec::with_capacity(old.sections.len());
    let mut rows = old.own_rows();
    for section in &old.sections {
        starts.push(rows);
        rows += section.set.own_rows();
    }
    let mut is_used = vec![false; old.sections.len()];
    let mut expected = 0;
    let mut pairs = vec![Pair { old: Some(Origin { section: None, rows_before: 0, set: old }), new }];
    for section in &new.sections {
        // Most stand where they stood.
        let order = (expected..old.sections.len()).chain(0..expected);
        let found =
            order.into_iter().find(|&index| !is_used[index] && old.sections[index].subs == section.subs);
        let origin = found.map(|index| {
            is_used[index] = true;
            expected = index + 1;
            Origin { section: Some(index), rows_before: starts[index], set: &old.sections[index].set }
        });
        pairs.push(Pair { old: origin, new: &section.set });
    }
    pairs
}

/// Tells `step` what became of the entries, in the order of the new set's rows ([`Set::rows`]); of entries that are or
/// were in the old set `step` gets the first row there. (Sections may have changed places, and those that are gone as a
/// whole are not told.)
pub fn changes(old: &Set, new: &Set, mut step: impl FnMut(Step, Option<usize>, usize)) {
    let nothing = Set::default();
    for Pair { old, new } in pairs(old, new) {
        let (mut row, set) = old.map_or((0, &nothing), |origin| (origin.rows_before, origin.set));
        let values = Renumbered::between(&set.values, &new.values);
        let is_same = |old, new| values.is_same(old, new);
        let mut step = |what, rows| match what {
            Step::Came => step(what, None, rows),
            _ => {
                step(what, Some(row), rows);
                row += rows;
            }
        };
        walk(&Hosts::of(&set.v4), &Hosts::of(&new.v4), is_same, &mut step);
        walk(&set.v4.blocks[..], &new.v4.blocks[..], is_same, &mut step);
        walk(&set.v6, &new.v6, is_same, &mut step);
        walk(&set.names, &new.names, is_same, &mut step);
    }
}
