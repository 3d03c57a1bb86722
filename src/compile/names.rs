//! Name lists: all lists, wildcards and exclusions settled into one tree.

use std::cmp::Ordering;

use crate::model::Name;
use crate::set::{NameEntry, Scope, Set, ValueId};

/// What one list says of a node, and where it says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit<'a> {
    /// Index of the list.
    pub(super) list: usize,
    /// The listed name that matched.
    pub(super) listed: &'a Name,
    /// Its entries, none of them an exclusion.
    entries: &'a [NameEntry],
}

impl Hit<'_> {
    /// Its values.
    pub(super) fn values(&self) -> impl ExactSizeIterator<Item = ValueId> {
        self.entries.iter().map(|entry| entry.value)
    }
}

/// What all lists say of a node and of what is below it: a place for each list.
pub(super) struct Node<'a, 'n> {
    pub(super) name: &'n Name,
    /// How many nodes are above it.
    pub(super) depth: usize,
    pub(super) exact: &'n [Option<Hit<'a>>],
    pub(super) below: &'n [Option<Hit<'a>>],
}

/// Visits every name of the lists and `extra`, and every name above one: parents first, what is below a name in one row.
/// rbldnsd's dnset rule for each list: its exact entry, else its longest wildcard; an exclusion counts by the closest
/// match.
pub(super) fn visit<'a>(sets: &[&'a Set], extra: &'a [Name], mut node: impl FnMut(Node<'a, '_>)) {
    let lists = sets.len();
    // For the present name and each one above it what holds below: a place for each list.
    let mut path: Vec<Name> = Vec::new();
    let mut below: Vec<Option<Hit<'a>>> = vec![None; lists];
    let mut exact: Vec<Option<Hit<'a>>> = Vec::new();
    let rows = rows(sets, extra);
    let (mut at, mut loaded) = (0, 0);
    while let Some(row) = rows.get(at) {
        if at >= loaded {
            loaded = rows.len().min(at + BATCH);
            load(&rows[at..loaded], sets, extra);
        }
        let name = row.name(sets, extra);
        let is_same = |next: &&Row| next.key == row.key && next.name(sets, extra) == name;
        let same = &rows[at..][..1 + rows[at + 1..].iter().take_while(is_same).count()];
        at += same.len();
        while path.last().is_some_and(|above| !name.is_in(above)) {
            path.pop();
        }
        // `below` begins with what nothing has said, which the root takes over.
        below.truncate(lists * (path.len() + 1));
        let known = path.last().map_or(0, |above| above.as_wire().len());
        let root = name.as_wire().len() - 1;
        for start in std::iter::once(root).chain(name.starts()).filter(|&start| start > 0) {
            if root + 1 - start <= known {
                continue;
            }
            let above = name.ending_at(start);
            let inherited = below.len() - lists;
            let says = &below[inherited..];
            node(Node { name: &above, depth: path.len(), exact: says, below: says });
            below.extend_from_within(inherited..);
            path.push(above);
        }
        let inherited = below.len() - lists;
        exact.clear();
        exact.extend_from_slice(&below[inherited..]);
        below.extend_from_within(inherited..);
        let own = below.len() - lists;
        same.iter().for_each(|row| row.say(sets, &mut exact, &mut below[own..]));
        node(Node { name, depth: path.len(), exact: &exact, below: &below[own..] });
        path.push(name.clone());
    }
}

/// What one list says of a name, or a name that is there for other reasons.
#[derive(Clone, Copy)]
struct Row {
    key: (u64, u64),
    /// Index of the list; of no list for an extra name.
    list: u32,
    /// Index of its first entry, or of the extra name.
    first: u32,
}

impl Row {
    fn name<'a>(self, sets: &[&'a Set], extra: &'a [Name]) -> &'a Name {
        match sets.get(self.list as usize) {
            Some(set) => &set.names[self.first as usize].name,
            None => &extra[self.first as usize],
        }
    }

    /// Puts in what the list says of the name itself and of what is below it.
    fn say<'a>(self, sets: &[&'a Set], exact: &mut [Option<Hit<'a>>], below: &mut [Option<Hit<'a>>]) {
        let list = self.list as usize;
        let Some(set) = sets.get(list) else { return };
        let rest = &set.names[self.first as usize..];
        let listed = &rest[0].name;
        let len = 1 + rest[1..].iter().take_while(|entry| entry.name == *listed).count();
        for entries in rest[..len].chunk_by(|a, b| a.scope == b.scope) {
            // Listings stand before exclusions, and an exclusion wins.
            let excluded = entries.last().is_some_and(|entry| entry.exclude);
            let says = if entries[0].scope == Scope::Exact { &mut *exact } else { &mut *below };
            says[list] = (!excluded).then_some(Hit { list, listed, entries });
        }
    }
}

/// Rows whose names are loaded together.
const BATCH: usize = 128;

/// Loads the names of some rows: they are anywhere in memory, so that each would have to be waited for when it is needed;
/// here the processor has many loads under way.
fn load(rows: &[Row], sets: &[&Set], extra: &[Name]) {
    let octets: usize = rows.iter().map(|row| row.name(sets, extra).as_wire().len()).sum();
    std::hint::black_box(octets);
}

/// In the order of the tree.
fn rows(sets: &[&Set], extra: &[Name]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(sets.iter().map(|set| set.names.len()).sum::<usize>() + extra.len());
    for (set, list) in sets.iter().zip(0..) {
        let mut first = 0;
        for same in set.names.chunk_by(|a, b| a.name == b.name) {
            rows.push(Row { key: key(&same[0].name), list, first });
            first += same.len() as u32;
        }
    }
    let none = sets.len() as u32;
    rows.extend(extra.iter().zip(0..).map(|(name, first)| Row { key: key(name), list: none, first }));
    rows.sort_unstable_by(|a, b| {
        let names = || in_tree(a.name(sets, extra), b.name(sets, extra));
        a.key.cmp(&b.key).then_with(names).then_with(|| a.list.cmp(&b.list))
    });
    rows
}

/// The first octets of the labels from the right, each behind its length: sorts nearly all names without a look at them.
fn key(name: &Name) -> (u64, u64) {
    let mut octets = [0; 16];
    let mut rest = &mut octets[..];
    for label in from_the_right(name) {
        let len = label.len().min(rest.len());
        rest[..len].copy_from_slice(&label[..len]);
        rest = &mut rest[len..];
        if rest.is_empty() {
            break;
        }
    }
    let [high, low] = [0, 8].map(|at| u64::from_be_bytes(octets[at..at + 8].try_into().unwrap_or_default()));
    (high, low)
}

/// Names above others come before them, and what is below a name stands together.
fn in_tree(a: &Name, b: &Name) -> Ordering {
    from_the_right(a).cmp(from_the_right(b))
}

/// The labels with their length octets, rightmost first.
fn from_the_right(name: &Name) -> impl Iterator<Item = &[u8]> {
    let wire = name.as_wire();
    let mut end = wire.len() - 1;
    name.starts().map(move |start| &wire[start..std::mem::replace(&mut end, start)])
}
