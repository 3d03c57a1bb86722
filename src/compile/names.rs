//! Name lists: all lists, wildcards and exclusions settled into one tree.

use std::collections::BTreeMap;

use crate::model::Name;
use crate::set::{Scope, Set, ValueId};

/// What the lists hold at one name, list by list.
#[derive(Debug, Clone, Default)]
struct Own {
    exact: Vec<(usize, Found)>,
    below: Vec<(usize, Found)>,
}

/// What one list says at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Listed with these values.
    Listed(Vec<ValueId>),
    /// The list excludes it.
    Excluded,
}

/// What one list says of a node, and where it says so.
#[derive(Debug, Clone)]
pub(super) struct Hit<'a> {
    /// Index of the list.
    pub(super) list: usize,
    /// Its values.
    pub(super) values: &'a [ValueId],
    /// The listed name that matched.
    pub(super) listed: &'a Name,
}

/// What all lists say of a node and of what is below it.
pub(super) struct Node<'a> {
    pub(super) name: &'a Name,
    pub(super) exact: Vec<Hit<'a>>,
    pub(super) below: Vec<Hit<'a>>,
}

/// Visits every node, parents first. rbldnsd's dnset rule for each list: its exact entry, else its longest wildcard;
/// an exclusion counts by the closest match.
pub(super) fn visit(sets: &[&Set], extra: &[Name], mut node: impl FnMut(Node<'_>)) {
    let tree = tree(sets, extra);
    // The nodes above the current one and what holds below each of them.
    let mut path: Vec<(&Name, Says<'_>)> = Vec::new();
    for (name, own) in tree.values() {
        while path.last().is_some_and(|(above, _)| !name.is_in(above) || *above == name) {
            path.pop();
        }
        let inherited = path.last().map_or_else(|| vec![None; sets.len()], |(_, below)| below.clone());
        let exact = with_own(&inherited, name, &own.exact);
        let below = with_own(&inherited, name, &own.below);
        node(Node { name, exact: hits(&exact), below: hits(&below) });
        path.push((name, below));
    }
}

/// For each list, what it says and at which name.
type Says<'a> = Vec<Option<(&'a Found, &'a Name)>>;

fn with_own<'a>(inherited: &Says<'a>, name: &'a Name, own: &'a [(usize, Found)]) -> Says<'a> {
    let mut says = inherited.clone();
    for (list, found) in own {
        says[*list] = Some((found, name));
    }
    says
}

fn hits<'a>(says: &Says<'a>) -> Vec<Hit<'a>> {
    let listed = |(list, said): (usize, &Option<(&'a Found, &'a Name)>)| match *said {
        Some((Found::Listed(values), listed)) => Some(Hit { list, values, listed }),
        _ => None,
    };
    says.iter().enumerate().filter_map(listed).collect()
}

/// All names of all lists and their ancestors, by labels from the right: parents come before their children.
type Tree = BTreeMap<Vec<Vec<u8>>, (Name, Own)>;

fn tree(sets: &[&Set], extra: &[Name]) -> Tree {
    let mut tree: Tree = BTreeMap::new();
    for (list, set) in sets.iter().enumerate() {
        for entry in &set.names {
            let own = &mut insert(&mut tree, &entry.name).1;
            let found = match entry.scope {
                Scope::Exact => &mut own.exact,
                Scope::Below => &mut own.below,
            };
            // Entries are sorted with listings before exclusions of the same name: an exclusion wins.
            match found.last_mut() {
                Some((last, what)) if *last == list => match what {
                    Found::Listed(values) if !entry.exclude => values.push(entry.value),
                    _ => *what = Found::Excluded,
                },
                _ if entry.exclude => found.push((list, Found::Excluded)),
                _ => found.push((list, Found::Listed(vec![entry.value]))),
            }
        }
    }
    for name in extra {
        insert(&mut tree, name);
    }
    tree
}

fn insert<'a>(tree: &'a mut Tree, name: &Name) -> &'a mut (Name, Own) {
    let mut above = name.parent();
    while let Some(ancestor) = above {
        let key = key(&ancestor);
        if tree.contains_key(&key) {
            break;
        }
        above = ancestor.parent();
        tree.insert(key, (ancestor, Own::default()));
    }
    tree.entry(key(name)).or_insert_with(|| (name.clone(), Own::default()))
}

fn key(name: &Name) -> Vec<Vec<u8>> {
    let mut labels: Vec<_> = name.labels().map(<[u8]>::to_vec).collect();
    labels.reverse();
    labels
}
