//! The names of a list, in little memory: a million names are a row each and hardly anything besides.

use std::cmp::Ordering;
use std::ops::Range;

use super::rows::partition_point;
use super::{NameEntry, Scope, ValueId};
use crate::model::{Name, TreeName};

/// Entries of a name list. In a [`Set`](super::Set) they stand in the order of the tree ([`TreeName`]), and those of one
/// name by scope, listings before exclusions, and value.
#[derive(Debug, Clone, Default)]
pub struct NameList {
    rows: Vec<Row>,
    /// What does not fit into the rows.
    tails: Vec<u8>,
}

/// Octets of a name that stand in its row: most names have no more.
const HEAD: usize = 21;

/// Flags, the one that decides first the higher one.
const BELOW: u8 = 2;
const EXCLUDE: u8 = 1;

#[derive(Debug, Clone, Copy)]
struct Row {
    /// The first octets of the [`TreeName`], zeros behind its last.
    head: [u8; HEAD],
    /// How many it has.
    len: u8,
    flags: u8,
    /// Where the others begin in the tails; the upper eight bits.
    tail_high: u8,
    tail_low: u32,
    value: ValueId,
}

const _: () = assert!(size_of::<Row>() == 32);

impl Row {
    /// Decides nearly every comparison without a look at the tails.
    #[inline]
    fn key(&self) -> (u128, u64) {
        let first = self.head.first_chunk().map_or(0, |&octets| u128::from_be_bytes(octets));
        // Some for the second time, which changes nothing.
        let last = self.head.last_chunk().map_or(0, |&octets| u64::from_be_bytes(octets));
        (first, last)
    }

    fn tail<'a>(&self, tails: &'a [u8]) -> &'a [u8] {
        let Some(len) = usize::from(self.len).checked_sub(HEAD) else { return &[] };
        let start = usize::from(self.tail_high) << 32 | self.tail_low as usize;
        &tails[start..start + len]
    }

    fn scope(&self) -> Scope {
        if self.flags & BELOW == 0 { Scope::Exact } else { Scope::Below }
    }

    fn is_excluded(&self) -> bool {
        self.flags & EXCLUDE != 0
    }
}

/// Where the octets of a name are put together. What stands behind them means nothing.
pub type NameBuffer = [u8; 288];

/// One with nothing in it yet.
pub const NAME_BUFFER: NameBuffer = [0; 288];

impl NameList {
    /// Adds an entry behind all others.
    #[inline]
    pub fn push(&mut self, name: &TreeName, scope: Scope, exclude: bool, value: ValueId) {
        let octets = name.as_octets();
        let start = self.tails.len();
        if let Some(tail) = octets.get(HEAD..) {
            self.tails.extend_from_slice(tail);
        }
        let flags = if scope == Scope::Below { BELOW } else { 0 } | if exclude { EXCLUDE } else { 0 };
        self.rows.push(Row {
            head: name.head(),
            len: octets.len() as u8,
            flags,
            tail_high: (start >> 32) as u8,
            tail_low: start as u32,
            value,
        });
    }

    /// Names alone, in the order of the tree.
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a TreeName>) -> Self {
        let mut list = Self::default();
        names.into_iter().for_each(|name| list.push(name, Scope::Exact, false, 0));
        list.settle();
        list
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = NameEntry> + '_ {
        (0..self.len()).map(|row| self.entry(row))
    }

    /// The octets of the [`TreeName`] in this row.
    #[inline]
    pub fn name<'a>(&self, row: usize, buffer: &'a mut NameBuffer) -> &'a [u8] {
        let row = &self.rows[row];
        let len = usize::from(row.len);
        buffer[..HEAD].copy_from_slice(&row.head);
        if len > HEAD {
            buffer[HEAD..len].copy_from_slice(row.tail(&self.tails));
        }
        &buffer[..len]
    }

    /// What the entry in this row holds.
    pub fn scope(&self, row: usize) -> Scope {
        self.rows[row].scope()
    }

    /// Whether it is an exclusion.
    pub fn is_excluded(&self, row: usize) -> bool {
        self.rows[row].is_excluded()
    }

    /// What it says.
    #[inline]
    pub fn value(&self, row: usize) -> ValueId {
        self.rows[row].value
    }

    /// The row behind all entries of the name in this row.
    #[inline]
    pub fn next_name(&self, row: usize) -> usize {
        let others = self.rows[row + 1..].iter();
        row + 1 + others.take_while(|other| self.names(&self.rows[row], self, other).is_eq()).count()
    }

    /// Whether the list has exactly this entry, whatever its value.
    pub fn holds(&self, name: &Name, scope: Scope, exclude: bool) -> bool {
        self.rows_of(name).any(|row| self.scope(row) == scope && self.is_excluded(row) == exclude)
    }

    /// The rows of entries for this name.
    pub fn rows_of(&self, name: &Name) -> Range<usize> {
        let name = TreeName::of(name);
        let mut buffer = NAME_BUFFER;
        let from = partition_point(self.len(), |row| self.name(row, &mut buffer) < name.as_octets());
        let to = partition_point(self.len(), |row| self.name(row, &mut buffer) <= name.as_octets());
        from..to
    }

    /// The entry in this row.
    pub fn entry(&self, row: usize) -> NameEntry {
        let mut buffer = NAME_BUFFER;
        NameEntry {
            name: Name::from_tree(self.name(row, &mut buffer)),
            scope: self.scope(row),
            exclude: self.is_excluded(row),
            value: self.value(row),
        }
    }

    /// The order of the entries in two rows, whatever their values.
    #[inline]
    pub(super) fn cmp_entries(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let (row, other_row) = (&self.rows[row], &other.rows[other_row]);
        self.names(row, other, other_row).then_with(|| row.flags.cmp(&other_row.flags))
    }

    /// Adds a row of another list behind all others, with this value.
    #[inline]
    pub fn push_row(&mut self, other: &Self, row: usize, value: ValueId) {
        let row = &other.rows[row];
        let start = self.tails.len();
        self.tails.extend_from_slice(row.tail(&other.tails));
        self.rows.push(Row { tail_high: (start >> 32) as u8, tail_low: start as u32, value, ..*row });
    }

    /// The order of the name in a row and that of a row of another list.
    #[inline]
    pub fn cmp_names(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.names(&self.rows[row], other, &other.rows[other_row])
    }

    #[inline]
    fn names(&self, row: &Row, other: &Self, other_row: &Row) -> Ordering {
        row.key().cmp(&other_row.key()).then_with(|| {
            if usize::from(row.len.max(other_row.len)) <= HEAD {
                return Ordering::Equal;
            }
            row.tail(&self.tails).cmp(other_row.tail(&other.tails))
        })
    }

    #[inline]
    fn order(&self, a: &Row, b: &Row) -> Ordering {
        let said = |row: &Row| (row.flags, row.value);
        self.names(a, self, b).then_with(|| said(a).cmp(&said(b)))
    }

    /// Whether the entries stand in order.
    pub(super) fn is_sorted(&self) -> bool {
        self.rows.is_sorted_by(|a, b| self.order(a, b).is_le())
    }

    /// Puts the entries in order, each once.
    pub(super) fn settle(&mut self) {
        if !self.is_sorted() {
            let mut rows = std::mem::take(&mut self.rows);
            rows.sort_unstable_by(|a, b| self.order(a, b));
            self.rows = rows;
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.dedup_by(|a, b| self.order(a, b).is_eq());
        self.rows = rows;
    }

    /// The values of all listings.
    pub(super) fn values(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.rows.iter().filter(|row| !row.is_excluded()).map(|row| row.value)
    }

    /// Numbers the values anew.
    pub(super) fn renumber(&mut self, new: &[ValueId]) {
        for row in &mut self.rows {
            row.value = if row.is_excluded() { 0 } else { new[row.value as usize] };
        }
    }
}

impl PartialEq for NameList {
    fn eq(&self, other: &Self) -> bool {
        let said = |row: &Row| (row.flags, row.value);
        let rows = || self.rows.iter().zip(&other.rows);
        self.len() == other.len()
            && rows().all(|(a, b)| said(a) == said(b) && self.names(a, other, b).is_eq())
    }
}

impl Eq for NameList {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(entries: &[(String, bool, bool, u32)]) -> NameList {
        let mut list = NameList::default();
        for (name, below, exclude, value) in entries {
            let scope = if *below { Scope::Below } else { Scope::Exact };
            list.push(&TreeName::of(&name.parse().unwrap()), scope, *exclude, *value);
        }
        list
    }

    proptest! {
        #[test]
        fn as_a_plain_row_of_entries(
            mut entries in prop::collection::vec(("[ab]{1,3}(\\.[ab]{1,14}){0,5}", any::<bool>(), any::<bool>(), 0..2u32), 0..60),
        ) {
            let mut found = list(&entries);
            found.settle();
            let octets = |text: &String| TreeName::of(&text.parse().unwrap()).as_octets().to_vec();
            let shown = |entry: &NameEntry| {
                (entry.name.to_string(), entry.scope == Scope::Below, entry.exclude, entry.value)
            };
            entries.sort_by_key(|(name, below, exclude, value)| (octets(name), *below, *exclude, *value));
            entries.dedup();
            prop_assert_eq!(found.iter().map(|entry| shown(&entry)).collect::<Vec<_>>(), entries.clone());
            prop_assert!(found.is_sorted());
            for (name, below, exclude, _) in &entries {
                let scope = if *below { Scope::Below } else { Scope::Exact };
                prop_assert!(found.holds(&name.parse().unwrap(), scope, *exclude));
            }
            let mut rows = vec![0];
            while let Some(&row) = rows.last().filter(|&&row| row < found.len()) {
                rows.push(found.next_name(row));
            }
            let names = entries.chunk_by(|a, b| a.0 == b.0).count();
            prop_assert_eq!(rows.len() - 1, names);
            entries.reverse();
            let mut again = list(&entries);
            again.settle();
            prop_assert_eq!(again, found);
        }
    }
}
