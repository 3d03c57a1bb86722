//! Name lists: all lists, wildcards and exclusions settled into one tree.

use crate::set::{NAME_BUFFER, NameBuffer, NameList, Scope, ValueId};

/// What one list says of a node, and where it says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit<'a> {
    /// Index of the list.
    pub(super) list: usize,
    /// Octets of the listed name: it is the node's, or above it.
    pub(super) listed: usize,
    names: &'a NameList,
    /// Its entries, none of them an exclusion.
    first: usize,
    behind: usize,
}

impl Hit<'_> {
    /// Its values.
    #[inline]
    pub(super) fn values(&self) -> impl ExactSizeIterator<Item = ValueId> {
        (self.first..self.behind).map(|row| self.names.value(row))
    }
}

/// What all lists say of a node and of what is below it: a place for each list.
pub(super) struct Node<'a, 'n> {
    /// As a `TreeName`.
    pub(super) name: &'n [u8],
    /// Its octets, and behind them what means nothing.
    pub(super) padded: &'n NameBuffer,
    /// Octets of the name above it.
    pub(super) above: usize,
    /// How many nodes are above it.
    pub(super) depth: usize,
    pub(super) exact: &'n [Option<Hit<'a>>],
    pub(super) below: &'n [Option<Hit<'a>>],
}

impl<'n> Node<'_, 'n> {
    /// The octets of its own label, and how many of them count.
    pub(super) fn label(&self) -> (&'n [u8], usize) {
        (&self.padded[self.above..], self.name.len() - self.above)
    }
}

/// Visits every name of the lists and every name above one: parents first, what is below a name in one row.
/// rbldnsd's dnset rule for each list: its exact entry, else its longest wildcard; an exclusion counts by the closest
/// match. What `extra` holds is there, and says nothing.
pub(super) fn visit<'a>(lists: &[&'a NameList], extra: &NameList, mut node: impl FnMut(Node<'a, '_>)) {
    let mut walk = Walk { below: vec![None; lists.len()], ..Walk::default() };
    let mut heads: Vec<Head<'_>> =
        lists.iter().copied().chain([extra]).map(|names| Head { names, row: 0, next: 0 }).collect();
    // The present name and the one before it, in turns.
    let (mut buffer, mut before) = (&mut NAME_BUFFER.clone(), &mut NAME_BUFFER.clone());
    let mut exact: Vec<Option<Hit<'a>>> = Vec::new();
    while let Some(least) = least(&heads) {
        let len = least.names.name(least.row, buffer).len();
        walk.to(buffer, len, before, &mut node);
        let name = &buffer[..len];
        let inherited = walk.below.len() - lists.len();
        exact.clear();
        exact.extend_from_slice(&walk.below[inherited..]);
        walk.below.extend_from_within(inherited..);
        let own = walk.below.len() - lists.len();
        let Head { names: least, row, .. } = least;
        for (list, head) in heads.iter_mut().enumerate() {
            if head.row == head.names.len() || head.names.cmp_names(head.row, least, row).is_ne() {
                continue;
            }
            head.next = head.names.next_name(head.row);
            if let Some(&names) = lists.get(list) {
                let rows = head.row..head.next;
                say(names, rows, list, name.len(), &mut exact[list], &mut walk.below[own + list]);
            }
        }
        let (above, depth) = walk.above();
        node(Node { name, padded: buffer, above, depth, exact: &exact, below: &walk.below[own..] });
        walk.path.push(len);
        std::mem::swap(&mut buffer, &mut before);
        heads.iter_mut().for_each(|head| head.row = head.next);
    }
}

/// Where a list is read.
#[derive(Clone, Copy)]
struct Head<'a> {
    names: &'a NameList,
    row: usize,
    /// Behind the entries of the present name, if they are of this list.
    next: usize,
}

/// The head with the first name.
fn least<'a>(heads: &[Head<'a>]) -> Option<Head<'a>> {
    let open = heads.iter().filter(|head| head.row < head.names.len()).copied();
    open.reduce(|a, b| if b.names.cmp_names(b.row, a.names, a.row).is_lt() { b } else { a })
}

/// Puts in what a list says by these entries of the name itself and of what is below it.
#[inline]
fn say<'a>(
    names: &'a NameList,
    rows: std::ops::Range<usize>,
    list: usize,
    listed: usize,
    exact: &mut Option<Hit<'a>>,
    below: &mut Option<Hit<'a>>,
) {
    let of_name = rows.clone().take_while(|&row| names.scope(row) == Scope::Exact).count();
    let middle = rows.start + of_name;
    for (first, behind, says) in [(rows.start, middle, exact), (middle, rows.end, below)] {
        if first < behind {
            // Listings stand before exclusions, and an exclusion wins.
            let is_excluded = names.is_excluded(behind - 1);
            *says = (!is_excluded).then_some(Hit { list, listed, names, first, behind });
        }
    }
}

/// The way from the root to the present name.
#[derive(Default)]
struct Walk<'a> {
    /// Octets of each name on the way, the root's first.
    path: Vec<usize>,
    /// What holds below each of them, a place for each list; before all of them what holds below nothing.
    below: Vec<Option<Hit<'a>>>,
}

impl<'a> Walk<'a> {
    /// Goes on to where `name` branches off, and visits the names above it that were not visited.
    fn to(
        &mut self,
        padded: &NameBuffer,
        len: usize,
        before: &NameBuffer,
        node: &mut impl FnMut(Node<'a, '_>),
    ) {
        let name = &padded[..len];
        let lists = self.below.len() / (self.path.len() + 1);
        let common = common(padded, before).min(len);
        while self.path.last().is_some_and(|&above| above > common) {
            self.path.pop();
        }
        self.below.truncate(lists * (self.path.len() + 1));
        loop {
            let next = match self.path.last() {
                None => 0,
                Some(&above) => above + name.get(above).map_or(1, |&len| 1 + usize::from(len)),
            };
            if next >= name.len() {
                return;
            }
            let inherited = self.below.len() - lists;
            let says = &self.below[inherited..];
            let (above, depth) = self.above();
            node(Node { name: &name[..next], padded, above, depth, exact: says, below: says });
            self.below.extend_from_within(inherited..);
            self.path.push(next);
        }
    }

    /// Octets of the last name on the way, and how many there are.
    fn above(&self) -> (usize, usize) {
        (self.path.last().copied().unwrap_or(0), self.path.len())
    }
}

/// How many of the first octets are the same.
fn common(a: &NameBuffer, b: &NameBuffer) -> usize {
    let words = |octets: &NameBuffer, word: usize| {
        octets[word * 8..].first_chunk().map_or(0, |&word| u64::from_le_bytes(word))
    };
    let differ =
        (0..a.len() / 8).map(|word| (word, words(a, word) ^ words(b, word))).find(|word| word.1 != 0);
    differ.map_or(a.len(), |(word, differ)| word * 8 + differ.trailing_zeros() as usize / 8)
}
