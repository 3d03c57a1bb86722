//! A list in its canonical form: sorted, duplicates gone, never unfolded; named by the hash of its content.
//!
//! [`SetBuilder`] takes entries in any order and gives a [`Set`]; [`codec`] is its stored form, whose hash is its
//! name. The order of the input, duplicates and the layout of the file never change a set. [`delta`] is how one version of
//! a list comes from another, [`Since`] since when its entries are there. Never: which entry answers (that is `compile`),
//! texts of files (that is `parse`), I/O.

mod blocks_v6;
mod builder;
mod changes;
pub mod codec;
pub mod delta;
mod first;
mod names;
mod overlap;
mod rows;
mod since;

pub use blocks_v6::BlocksV6;
pub use builder::{Repeats, Row, RowKind, SetBuilder};
pub use changes::{Change, Changed, Entry, Holds, changes, changes_of_part, pairs};
pub use names::{NAME_BUFFER, NameBuffer, NameList};
pub use rows::Key;
pub use since::{Since, Version};

use std::sync::Arc;

use crate::model::{Address, Name, Ns, Soa, Span, Ttl, Value};

/// Index into [`Set::values`].
pub type ValueId = u32;

/// Which of several entries that hold an address answers for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overlap {
    /// The narrowest; all values of equally narrow ones.
    #[default]
    Narrowest,
    /// rbldnsd's ip4set: entries live on the octet level (/32, /24, /16, /8) that they unfold to, the finest level
    /// wins, all values of a level add up, an exclusion beats listings on its own level.
    OctetLevels,
}

/// The canonical form of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Set {
    /// How overlaps are settled.
    pub overlap: Overlap,
    /// The distinct values of the entries, sorted.
    pub values: Vec<Value>,
    /// IPv4 entries.
    pub v4: V4Entries,
    /// IPv6 entries.
    pub v6: BlocksV6,
    /// Names.
    pub names: NameList,
    /// What the list says of its zone.
    pub directives: Directives,
    /// What answers in subzones, in the order of the list (rbldnsd's combined). Beside sections there are no entries.
    pub sections: Vec<Section>,
}

/// A part of a list that answers in subzones alone: a data set of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The subzones, relative to the zone; the root is the zone itself. Sorted.
    pub subs: Vec<Name>,
    /// Its entries. It has no sections.
    pub set: Arc<Set>,
}

/// IPv4 entries: single addresses apart, since most lists hold little else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct V4Entries {
    /// Listed single addresses, sorted; one may stand several times with different values.
    pub hosts: Vec<u32>,
    /// The value of each host.
    pub host_values: Column,
    /// Prefixes, ranges and exclusions, sorted.
    pub blocks: Vec<Block<u32>>,
}

/// A value for each of a row of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The same for all.
    One(ValueId),
    /// One each.
    Many(Vec<ValueId>),
}

impl Default for Column {
    fn default() -> Self {
        Self::One(0)
    }
}

impl Column {
    /// The value in row `index`.
    pub fn at(&self, index: usize) -> ValueId {
        match self {
            Self::One(value) => *value,
            Self::Many(values) => values[index],
        }
    }
}

/// An entry over a span of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block<A> {
    /// The addresses, as published.
    pub span: Span<A>,
    /// `!entry`: what it holds is not listed by this list.
    pub exclude: bool,
    /// What it says (0 for exclusions).
    pub value: ValueId,
}

/// Which names an entry of a name list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The name itself.
    Exact,
    /// All names below it (`*.name`).
    Below,
}

/// An entry of a name list. `.name` of rbldnsd (the name and all below it) is two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameEntry {
    /// The listed name, relative to the zone.
    pub name: Name,
    /// Itself or what is below.
    pub scope: Scope,
    /// Not listed by this list.
    pub exclude: bool,
    /// What it says (0 for exclusions).
    pub value: ValueId,
}

/// What a list says of the zone that holds it (rbldnsd's `$SOA`, `$NS`, `$TTL`), and of
/// how it answers in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Directives {
    /// `$SOA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soa: Option<Soa>,
    /// `$NS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns: Option<Ns>,
    /// `$TTL` of all entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// Its IPv4 entries answer for 6to4 addresses (`2002:V4::/48`, RFC 3056) as well: rbldnsd's IPv4 types.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub six_to_four: bool,
}

impl Set {
    /// Its own entries and those of its sections, each as a set without sections.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.sections.iter().map(|section| &*section.set))
    }

    /// Entries of all kinds, exclusions among them. A name that is listed together with all below it is one.
    pub fn len(&self) -> usize {
        self.parts().map(Self::own_len).sum()
    }

    fn own_len(&self) -> usize {
        let mut names = 0;
        let mut row = 0;
        while row < self.names.len() {
            let next = self.names.next_name(row);
            let exact = (row..next).filter(|&row| self.names.scope(row) == Scope::Exact).count();
            names += exact.max(next - row - exact);
            row = next;
        }
        self.v4.hosts.len() + self.v4.blocks.len() + self.v6.len() + names
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.parts().all(|Self { v4, v6, names, .. }| {
            v4.hosts.is_empty() && v4.blocks.is_empty() && v6.is_empty() && names.is_empty()
        })
    }

    /// The entries that hold this IPv4 address, narrowest first, as published.
    pub fn v4_entries_with(&self, address: u32) -> Vec<Block<u32>> {
        let hosts = &self.v4.hosts;
        let start = hosts.partition_point(|&host| host < address);
        let mut found: Vec<_> = (start..hosts.len())
            .take_while(|&at| hosts[at] == address)
            .map(|at| Block { span: Span::host(address), exclude: false, value: self.v4.host_values.at(at) })
            .collect();
        found.extend(holding(&self.v4.blocks, address));
        found.sort_by_key(|block| block.span.extent());
        found
    }

    /// The entries that hold this IPv6 address, narrowest first, as published.
    pub fn v6_entries_with(&self, address: u128) -> Vec<Block<u128>> {
        // A plain walk is right for any list, and this is asked seldom.
        let mut found: Vec<_> = self.v6.iter().filter(|block| block.span.contains(address)).collect();
        found.sort_by_key(|block| block.span.extent());
        found
    }

    /// The same list without the entries whose value `drop` picks. Exclusions stay.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&Value) -> bool) -> Self {
        self.with_values(|value| (!drop(value)).then(|| value.clone()))
    }

    /// The same list with other values; entries whose value becomes `None` are left out. Exclusions stay.
    #[must_use]
    pub fn with_values(&self, mut change: impl FnMut(&Value) -> Option<Value>) -> Self {
        self.changed(&mut change, &|_, _| true)
    }

    /// The same list without the listings of names that `drop` picks, which is told in which part of the list they stand.
    #[must_use]
    pub fn without_names(&self, drop: impl Fn(&Self, &NameEntry) -> bool) -> Self {
        self.changed(&mut |value| Some(value.clone()), &|part, entry| !drop(part, entry))
    }

    fn changed(
        &self,
        change: &mut dyn FnMut(&Value) -> Option<Value>,
        keeps: &dyn Fn(&Self, &NameEntry) -> bool,
    ) -> Self {
        let mut builder = SetBuilder::new(self.overlap);
        builder.directives = self.directives.clone();
        let ids: Vec<Option<ValueId>> =
            self.values.iter().map(|value| change(value).map(|value| builder.value(&value))).collect();
        let id = |value: ValueId| ids.get(value as usize).copied().flatten();
        for (row, &host) in self.v4.hosts.iter().enumerate() {
            if let Some(value) = id(self.v4.host_values.at(row)) {
                builder.host(host, value);
            }
        }
        for block in &self.v4.blocks {
            match id(block.value) {
                _ if block.exclude => builder.exclude_v4(block.span),
                Some(value) => builder.v4(block.span, value),
                None => {}
            }
        }
        for block in self.v6.iter() {
            match id(block.value) {
                _ if block.exclude => builder.exclude_v6(block.span),
                Some(value) => builder.v6(block.span, value),
                None => {}
            }
        }
        for entry in self.names.iter() {
            match id(entry.value) {
                _ if entry.exclude => builder.exclude_name(entry.name, entry.scope),
                Some(value) if keeps(self, &entry) => builder.name(entry.name, entry.scope, value),
                _ => {}
            }
        }
        let sections = self.sections.iter().map(|section| Section {
            subs: section.subs.clone(),
            set: Arc::new(section.set.changed(change, keeps)),
        });
        Self { sections: sections.collect(), ..builder.finish() }
    }

    /// What value `id` says; the default value for an id that is none (an empty list has no values).
    pub fn value(&self, id: ValueId) -> Value {
        self.values.get(id as usize).cloned().unwrap_or_default()
    }
}

fn holding<A: Address>(blocks: &[Block<A>], address: A) -> impl Iterator<Item = Block<A>> + '_ {
    // Sorted by first address: none after this point can hold it. Lists have few blocks before it that reach it,
    // but a plain walk is right for any.
    let end = blocks.partition_point(|block| block.span.first <= address);
    blocks[..end].iter().filter(move |block| block.span.contains(address)).copied()
}
