//! Names: the node that answers for a name, in at most as many steps as it has labels.
//!
//! [`Names`] reads the section, [`encode`] makes it. Nodes stand in the order of (hash, name), so that equal hashes,
//! which anybody can make, cost a binary search and no more.

use std::cmp::Ordering;

use zerocopy::IntoBytes;

use super::layout::{NO_ANSWER, NamesHead, Node, rows, take};
use super::{Damaged, Section, WriteError};
use crate::compile::{AnswerId, NameNode};

const DAMAGED: Damaged = Damaged(Section::NAMES);
/// Flag of a node: something below it is listed.
const PARENT: u8 = 1;
/// The directory has at most 2^this + 1 entries.
const MAX_DIRECTORY_BITS: u32 = 24;

/// What the zone says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameFound {
    /// Its answer, when it is listed.
    pub answer: Option<AnswerId>,
    /// It is listed, or something below it is (RFC 8020: NODATA instead of NXDOMAIN).
    pub exists: bool,
    /// Offset in the labels asked for where the node that answers begins: the listed name, for `$`.
    pub listed_at: usize,
}

impl NameFound {
    pub(super) const NOTHING: Self = Self { answer: None, exists: false, listed_at: 0 };
}

/// The hash of a name grows label by label from the right: FNV-1a over the length octet and the octets of each.
fn extend(hash: u64, label: &[u8]) -> u64 {
    label.iter().fold(hash, |hash, &octet| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The hash of the name without labels.
const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// Where the labels of a name begin, leftmost first.
struct Starts {
    at: [u8; 127],
    count: usize,
}

impl Starts {
    /// `None` when `labels` is no name in wire form without its final zero.
    fn of(labels: &[u8]) -> Option<Self> {
        if labels.len() > 254 {
            return None;
        }
        let mut starts = Self { at: [0; 127], count: 0 };
        let mut at = 0;
        while let Some(&len) = labels.get(at) {
            if !(1..=63).contains(&len) {
                return None;
            }
            starts.at[starts.count] = at as u8;
            starts.count += 1;
            at += 1 + usize::from(len);
        }
        (at == labels.len()).then_some(starts)
    }

    /// Each label, rightmost first: where it begins and where it ends.
    fn rightmost_first(&self, len: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut end = len;
        self.at[..self.count].iter().rev().map(move |&start| {
            let start = usize::from(start);
            (start, std::mem::replace(&mut end, start))
        })
    }
}

fn hash_of(labels: &[u8]) -> u64 {
    Starts::of(labels).map_or(EMPTY, |s| {
        s.rightmost_first(labels.len()).fold(EMPTY, |h, (start, end)| extend(h, &labels[start..end]))
    })
}

/// The section, read in place.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    head: &'a NamesHead,
    directory: &'a [zerocopy::little_endian::U32],
    nodes: &'a [Node],
    octets: &'a [u8],
}

impl<'a> Names<'a> {
    pub(super) fn new(mut section: &'a [u8]) -> Result<Self, Damaged> {
        let [head] = take::<NamesHead>(&mut section, 1, Section::NAMES)? else { return Err(DAMAGED) };
        if head.directory_bits.get() > MAX_DIRECTORY_BITS {
            return Err(DAMAGED);
        }
        let directory = take(&mut section, (1 << head.directory_bits.get()) + 1, Section::NAMES)?;
        let nodes = take(&mut section, head.nodes.get() as usize, Section::NAMES)?;
        let octets = rows(section, Section::NAMES)?;
        if octets.len() != head.octets.get() as usize {
            return Err(DAMAGED);
        }
        Ok(Self { head, directory, nodes, octets })
    }

    /// Names that answer, themselves or for those below them.
    pub(super) fn listed(self) -> u64 {
        self.head.listed.get().into()
    }

    /// Those names.
    pub(super) fn each_listed(self) -> impl Iterator<Item = Result<&'a [u8], Damaged>> {
        let answers =
            |node: &&Node| [node.exact, node.below].into_iter().any(|stored| id(stored.get()).is_some());
        self.nodes.iter().filter(answers).map(move |node| self.name_of(node))
    }

    /// Walks from the rightmost label leftwards to the closest node.
    pub(super) fn find(self, labels: &[u8]) -> Result<NameFound, Damaged> {
        let Some(starts) = Starts::of(labels) else { return Ok(NameFound::NOTHING) };
        let root = self.nodes.get(self.head.root.get() as usize).ok_or(DAMAGED)?;
        let (mut closest, mut listed_at) = (root, labels.len());
        let mut hash = EMPTY;
        for (start, end) in starts.rightmost_first(labels.len()) {
            hash = extend(hash, &labels[start..end]);
            let Some(node) = self.node(hash, &labels[start..])? else { break };
            (closest, listed_at) = (node, start);
        }
        if listed_at > 0 {
            let answer = id(closest.below.get());
            return Ok(NameFound { answer, exists: answer.is_some(), listed_at });
        }
        let answer = id(closest.exact.get());
        Ok(NameFound { answer, exists: answer.is_some() || closest.flags & PARENT != 0, listed_at })
    }

    fn node(self, hash: u64, name: &[u8]) -> Result<Option<&'a Node>, Damaged> {
        let bucket = bucket(hash, self.head.directory_bits.get());
        let bound = |at: usize| self.directory.get(at).map(|row| row.get() as usize).ok_or(DAMAGED);
        let (mut from, mut to) = (bound(bucket)?, bound(bucket + 1)?);
        while from < to {
            let middle = from + (to - from) / 2;
            let node = self.nodes.get(middle).ok_or(DAMAGED)?;
            let order = match node.hash.get().cmp(&hash) {
                Ordering::Equal => self.name_of(node)?.cmp(name),
                order => order,
            };
            match order {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Ok(Some(node)),
            }
        }
        Ok(None)
    }

    fn name_of(self, node: &Node) -> Result<&'a [u8], Damaged> {
        let start = node.name.get() as usize;
        self.octets.get(start..start + usize::from(node.len)).ok_or(DAMAGED)
    }
}

fn id(stored: u32) -> Option<AnswerId> {
    (stored != NO_ANSWER).then_some(stored)
}

/// The directory entry of a hash: its highest bits.
fn bucket(hash: u64, bits: u32) -> usize {
    hash.checked_shr(64 - bits).unwrap_or(0) as usize
}

/// The octets of section `names`.
pub(super) fn encode(names: &[NameNode]) -> Result<Vec<u8>, WriteError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let full = WriteError::TooLarge(Section::NAMES);
    let mut keys: Vec<_> = names.iter().map(|node| (labels(node), node)).collect();
    keys.sort_by_cached_key(|&(labels, _)| (hash_of(labels), labels));
    let hashes: Vec<_> = keys.iter().map(|(labels, _)| hash_of(labels)).collect();
    let row_of = |hash: u64, name: &[u8]| {
        let start = hashes.partition_point(|&other| other < hash);
        let ties = hashes[start..].partition_point(|&other| other == hash);
        keys[start..start + ties]
            .binary_search_by(|(labels, _)| (*labels).cmp(name))
            .ok()
            .map(|at| start + at)
    };
    let (octets, offsets) = shared_octets(&keys, row_of);
    let Ok(len) = u32::try_from(octets.len()) else { return Err(full) };
    let Ok(count) = u32::try_from(names.len()) else { return Err(full) };
    let bits = count.ilog2().min(MAX_DIRECTORY_BITS);
    let root = row_of(EMPTY, &[]).map_or(u32::MAX, |row| row as u32);
    let listed = names.iter().filter(|node| node.is_listed()).count() as u32;
    let head = NamesHead {
        nodes: count.into(),
        directory_bits: bits.into(),
        root: root.into(),
        octets: len.into(),
        listed: listed.into(),
    };
    let mut out = head.as_bytes().to_vec();
    let mut row = 0;
    for entry in 0..=1usize << bits {
        row += hashes[row..].iter().take_while(|&&hash| bucket(hash, bits) < entry).count();
        out.extend_from_slice(&(row as u32).to_le_bytes());
    }
    for ((&(labels, node), &hash), &offset) in keys.iter().zip(&hashes).zip(&offsets) {
        let node = Node {
            hash: hash.into(),
            name: offset.into(),
            exact: node.exact.unwrap_or(NO_ANSWER).into(),
            below: node.below.unwrap_or(NO_ANSWER).into(),
            len: labels.len() as u8,
            flags: if node.parent { PARENT } else { 0 },
            reserved: 0.into(),
        };
        out.extend_from_slice(node.as_bytes());
    }
    out.extend_from_slice(&octets);
    Ok(out)
}

fn labels(node: &NameNode) -> &[u8] {
    let wire = node.name.as_wire();
    &wire[..wire.len() - 1]
}

/// The octets of all names and where in them each begins: a name that is the end of another has none of its own.
fn shared_octets(
    keys: &[(&[u8], &NameNode)],
    row_of: impl Fn(u64, &[u8]) -> Option<usize>,
) -> (Vec<u8>, Vec<u32>) {
    let mut octets = Vec::new();
    let mut offsets = vec![u32::MAX; keys.len()];
    let mut longest: Vec<_> = (0..keys.len()).collect();
    longest.sort_by_key(|&row| std::cmp::Reverse(keys[row].0.len()));
    for row in longest {
        if offsets[row] != u32::MAX {
            continue;
        }
        let name = keys[row].0;
        let begin = octets.len();
        octets.extend_from_slice(name);
        offsets[row] = begin as u32;
        let mut hash = EMPTY;
        for (start, end) in Starts::of(name).iter().flat_map(|starts| starts.rightmost_first(name.len())) {
            hash = extend(hash, &name[start..end]);
            if let Some(ancestor) = row_of(hash, &name[start..]).filter(|&row| offsets[row] == u32::MAX) {
                offsets[ancestor] = (begin + start) as u32;
            }
        }
        // The root is the end of every name.
    }
    for (offset, (labels, _)) in offsets.iter_mut().zip(keys) {
        if labels.is_empty() {
            *offset = 0;
        }
    }
    (octets, offsets)
}

#[cfg(test)]
mod tests;
