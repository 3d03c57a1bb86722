//! Entries by number: single IPv4 addresses, other IPv4 entries, IPv6 entries, names, of the set itself and then of each
//! section.

use std::ops::Range;

use super::{Block, NameEntry, Scope, Set};
use crate::model::{Name, Span};

/// An entry, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Over IPv4 addresses, and whether it is an exclusion.
    V4(Span<u32>, bool),
    /// Over IPv6 addresses, and whether it is an exclusion.
    V6(Span<u128>, bool),
    /// Over names, and whether it is an exclusion.
    Name(Name, Scope, bool),
}

impl From<&Block<u32>> for Key {
    fn from(block: &Block<u32>) -> Self {
        Self::V4(block.span, block.exclude)
    }
}

impl From<&Block<u128>> for Key {
    fn from(block: &Block<u128>) -> Self {
        Self::V6(block.span, block.exclude)
    }
}

impl From<&NameEntry> for Key {
    fn from(entry: &NameEntry) -> Self {
        Self::Name(entry.name.clone(), entry.scope, entry.exclude)
    }
}

impl Set {
    /// Rows of all its parts.
    pub fn rows(&self) -> usize {
        self.parts().map(Self::own_rows).sum()
    }

    /// Rows of its own entries.
    pub fn own_rows(&self) -> usize {
        self.v4.hosts.len() + self.v4.blocks.len() + self.v6.len() + self.names.len()
    }

    /// The rows of an entry among its own; several where it says several things.
    pub fn rows_of(&self, key: &Key) -> Range<usize> {
        let hosts = self.v4.hosts.len();
        let (before, rows) = match *key {
            Key::V4(span, false) if span.first == span.last => {
                (0, equal_range(hosts, |row| self.v4.hosts[row].cmp(&span.first)))
            }
            Key::V4(span, exclude) => {
                let blocks = &self.v4.blocks;
                let order = |row: usize| (blocks[row].span, blocks[row].exclude).cmp(&(span, exclude));
                (hosts, equal_range(blocks.len(), order))
            }
            Key::V6(span, exclude) => {
                let order = |row| {
                    let key = self.v6.get(row).map(|block| (block.span, block.exclude));
                    key.cmp(&Some((span, exclude)))
                };
                (hosts + self.v4.blocks.len(), equal_range(self.v6.len(), order))
            }
            Key::Name(ref name, scope, exclude) => {
                let rows = self.names.rows_of(name);
                // Those of one name stand by scope, listings before exclusions.
                let order = |row: usize| {
                    let row = rows.start + row;
                    (self.names.scope(row), self.names.is_excluded(row)).cmp(&(scope, exclude))
                };
                let found = equal_range(rows.len(), order);
                let before = hosts + self.v4.blocks.len() + self.v6.len();
                (before + rows.start, found)
            }
        };
        before + rows.start..before + rows.end
    }
}

/// The rows that are equal to what is looked for, of `len` sorted ones.
fn equal_range(len: usize, order: impl Fn(usize) -> std::cmp::Ordering) -> Range<usize> {
    partition_point(len, |row| order(row).is_lt())..partition_point(len, |row| order(row).is_le())
}

/// The first of `len` rows for which `is_before` does not hold: what slices have, for what is no slice.
pub(super) fn partition_point(len: usize, mut is_before: impl FnMut(usize) -> bool) -> usize {
    let (mut from, mut to) = (0, len);
    while from < to {
        let middle = from + (to - from) / 2;
        match is_before(middle) {
            true => from = middle + 1,
            false => to = middle,
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, Value};
    use crate::set::{Overlap, SetBuilder};

    #[test]
    fn every_entry_is_found_where_it_stands() {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        let [a, b] =
            ["a", "b"].map(|note| builder.value(&Value { note: Some(note.into()), ..Value::default() }));
        for (host, value) in [(1, a), (2, a), (2, b), (u32::MAX, b)] {
            builder.host(host, value);
        }
        builder.v4(256u32.prefix(24), a);
        builder.exclude_v4(256u32.prefix(24));
        builder.exclude_v4(Span::host(2));
        builder.v6((1u128 << 64).prefix(64), a);
        builder.exclude_v6((1u128 << 64).prefix(65));
        for name in ["b.example", "example", "a.example"] {
            builder.name(name.parse().unwrap(), Scope::Below, a);
            builder.name(name.parse().unwrap(), Scope::Exact, b);
            builder.exclude_name(name.parse().unwrap(), Scope::Exact);
        }
        let set = builder.finish();
        let hosts = set.v4.hosts.iter().map(|&host| Key::V4(Span::host(host), false));
        let keys = hosts
            .chain(set.v4.blocks.iter().map(Key::from))
            .chain(set.v6.iter().map(|block| Key::from(&block)))
            .chain(set.names.iter().map(|entry| Key::from(&entry)));
        let keys: Vec<Key> = keys.collect();
        assert_eq!((keys.len(), set.rows()), (18, 18));
        for key in &keys {
            let rows: Vec<usize> = (0..keys.len()).filter(|&row| keys[row] == *key).collect();
            assert_eq!(set.rows_of(key).collect::<Vec<_>>(), rows, "{key:?}");
        }
        for absent in [
            Key::V4(Span::host(3), false),
            Key::V4(Span::host(1), true),
            Key::V4(256u32.prefix(25), false),
            Key::V6(Span::host(0), false),
            Key::Name("c.example".parse().unwrap(), Scope::Exact, false),
            Key::Name("example".parse().unwrap(), Scope::Below, true),
        ] {
            assert!(set.rows_of(&absent).is_empty(), "{absent:?}");
        }
    }
}
