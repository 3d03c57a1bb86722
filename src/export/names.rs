//! The names of a snapshot as a tree: parents before their children, each with what its parent says of it.

use std::cmp::Ordering;

use crate::compile::AnswerId;
use crate::snapshot::{Damaged, Snapshot, StoredName};

/// A node, and what the closest node above it says of names below that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) labels: &'a [u8],
    pub(super) exact: Option<AnswerId>,
    pub(super) below: Option<AnswerId>,
    pub(super) inherited: Option<AnswerId>,
}

/// All nodes in the canonical order of DNS (RFC 4034 section 6.1).
pub(super) fn nodes<D: AsRef<[u8]>>(snapshot: &Snapshot<D>) -> Result<Vec<Node<'_>>, Damaged> {
    let mut stored: Vec<StoredName<'_>> = snapshot.stored_names().collect::<Result<_, _>>()?;
    stored.sort_unstable_by(|a, b| canonical(a.labels, b.labels));
    let mut path: Vec<(&[u8], Option<AnswerId>)> = Vec::new();
    let nodes = stored.into_iter().map(|StoredName { labels, exact, below }| {
        while path.last().is_some_and(|(above, _)| !is_below(labels, above)) {
            path.pop();
        }
        let inherited = path.last().and_then(|(_, below)| *below);
        path.push((labels, below));
        Node { labels, exact, below, inherited }
    });
    Ok(nodes.collect())
}

/// Whether `name` lies below `above`.
pub(super) fn is_below(name: &[u8], above: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() > above.len() {
        let Some(shorter) = rest.get(1 + usize::from(rest[0])..) else { return false };
        rest = shorter;
    }
    rest == above && name.len() > above.len()
}

/// The labels of a name in wire form without its final zero octet, leftmost first.
pub(super) fn labels(mut name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&len, rest) = name.split_first()?;
        let (label, rest) = rest.split_at_checked(usize::from(len))?;
        name = rest;
        Some(label)
    })
}

fn canonical(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (Starts::of(a), Starts::of(b));
    a.rightmost_first().cmp(b.rightmost_first())
}

/// Where labels begin, so that a name can be read from its right.
struct Starts<'a> {
    name: &'a [u8],
    at: [u8; 128],
    count: usize,
}

impl<'a> Starts<'a> {
    fn of(name: &'a [u8]) -> Self {
        let mut starts = Self { name, at: [0; 128], count: 0 };
        let mut at = 0;
        while let Some(&len) = name.get(at)
            && starts.count < starts.at.len()
        {
            starts.at[starts.count] = at as u8;
            starts.count += 1;
            at += 1 + usize::from(len);
        }
        starts
    }

    fn rightmost_first(&self) -> impl Iterator<Item = &'a [u8]> {
        self.at[..self.count].iter().rev().filter_map(|&at| labels(&self.name[usize::from(at)..]).next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first() {
        // RFC 4034 section 6.1 without what is no host name there.
        let sorted: [&[u8]; 6] =
            [b"", b"\x01a", b"\x07yljkjlk\x01a", b"\x01z\x01a", b"\x04zabc\x01a", b"\x01z"];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|a, b| canonical(a, b));
        assert_eq!(names, sorted);
        assert!(is_below(b"\x01z\x01a", b"\x01a") && is_below(b"\x01a", b""));
        assert!(!is_below(b"\x01a", b"\x01a") && !is_below(b"\x02za", b"\x01a"));
    }
}
