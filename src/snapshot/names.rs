//! Names: the node that answers for a name, in at most as many steps as it has labels.
//!
//! [`Names`] reads the section, [`encode`] makes it. Nodes stand in the order of (hash, name), so that equal hashes,
//! which anybody can make, cost a binary search and no more. Of a hash a node keeps no more than a tag behind the bits
//! that the directory goes by: enough to pass over nearly every other node, and a third of the octets.

use std::cmp::Ordering;

use zerocopy::IntoBytes;

use super::layout::{NamesHead, NodeHead, record, rows, take};
use super::{Damaged, Section, WriteError};
use crate::compile::{AnswerId, NameNode};

const DAMAGED: Damaged = Damaged(Section::NAMES);
/// Bits of a hash behind those of the directory that a node keeps.
const TAG_BITS: u32 = 16;
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

/// A node of the tree of names, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredName<'a> {
    /// Its labels in lower-case wire form without the final zero octet; none: the origin.
    pub labels: &'a [u8],
    /// The answer for the name itself.
    pub exact: Option<AnswerId>,
    /// The answer for names below it that are no nodes.
    pub below: Option<AnswerId>,
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
    nodes: &'a [u8],
    octets: &'a [u8],
    width: Width,
}

/// How answers stand in a node.
#[derive(Clone, Copy)]
struct Width {
    /// Octets of each.
    octets: usize,
    /// What stands for "no answer". One less behind a node is "no answer, but something below it is listed".
    none: u32,
}

impl Width {
    fn new(octets: u32) -> Option<Self> {
        matches!(octets, 1 | 2 | 4)
            .then(|| Self { octets: octets as usize, none: u32::MAX >> (32 - 8 * octets) })
    }

    /// The least for answers up to this one.
    fn holding(last: AnswerId) -> Option<Self> {
        [1, 2, 4].into_iter().filter_map(Self::new).find(|width| last < width.none - 1)
    }

    /// Octets of a node.
    fn node(self) -> usize {
        size_of::<NodeHead>() + 2 * self.octets
    }

    fn id(self, stored: &[u8]) -> u32 {
        stored.iter().rev().fold(0, |id, &octet| id << 8 | u32::from(octet))
    }

    fn answer(self, id: u32) -> Option<AnswerId> {
        (id < self.none - 1).then_some(id)
    }
}

/// What a node says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    exact: Option<AnswerId>,
    below: Option<AnswerId>,
    parent: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(mut section: &'a [u8]) -> Result<Self, Damaged> {
        let [head] = take::<NamesHead>(&mut section, 1, Section::NAMES)? else { return Err(DAMAGED) };
        if head.directory_bits.get() > MAX_DIRECTORY_BITS {
            return Err(DAMAGED);
        }
        let width = Width::new(head.width.get()).ok_or(DAMAGED)?;
        let directory = take(&mut section, (1 << head.directory_bits.get()) + 1, Section::NAMES)?;
        let len = (head.nodes.get() as usize).checked_mul(width.node()).ok_or(DAMAGED)?;
        let nodes = take(&mut section, len, Section::NAMES)?;
        let octets = rows(section, Section::NAMES)?;
        if octets.len() != head.octets.get() as usize {
            return Err(DAMAGED);
        }
        Ok(Self { head, directory, nodes, octets, width })
    }

    /// Names that answer, themselves or for those below them.
    pub(super) fn listed(self) -> u64 {
        self.head.listed.get().into()
    }

    /// All nodes, in the order in which they are stored.
    pub(super) fn nodes(self) -> impl Iterator<Item = Result<StoredName<'a>, Damaged>> {
        (0..self.head.nodes.get() as usize).map(move |row| {
            let head: &NodeHead = record(self.node(row)?, 0, Section::NAMES)?;
            let labels = self.name_of(head)?;
            Starts::of(labels).ok_or(DAMAGED)?;
            let Said { exact, below, .. } = self.said(row)?;
            Ok(StoredName { labels, exact, below })
        })
    }

    /// Walks from the rightmost label leftwards to the closest node.
    pub(super) fn find(self, labels: &[u8]) -> Result<NameFound, Damaged> {
        let Some(starts) = Starts::of(labels) else { return Ok(NameFound::NOTHING) };
        let (mut closest, mut listed_at) = (self.said(self.head.root.get() as usize)?, labels.len());
        let mut hash = EMPTY;
        for (start, end) in starts.rightmost_first(labels.len()) {
            hash = extend(hash, &labels[start..end]);
            let Some(row) = self.row(hash, &labels[start..])? else { break };
            (closest, listed_at) = (self.said(row)?, start);
        }
        if listed_at > 0 {
            let answer = closest.below;
            return Ok(NameFound { answer, exists: answer.is_some(), listed_at });
        }
        let answer = closest.exact;
        Ok(NameFound { answer, exists: answer.is_some() || closest.parent, listed_at })
    }

    /// Where the node of this name is.
    fn row(self, hash: u64, name: &[u8]) -> Result<Option<usize>, Damaged> {
        let bits = self.head.directory_bits.get();
        let (bucket, tag) = (bucket(hash, bits), tag(hash, bits));
        let bound = |at: usize| self.directory.get(at).map(|row| row.get() as usize).ok_or(DAMAGED);
        let (mut from, mut to) = (bound(bucket)?, bound(bucket + 1)?);
        while from < to {
            let middle = from + (to - from) / 2;
            let head: &NodeHead = record(self.node(middle)?, 0, Section::NAMES)?;
            let order = match head.tag.get().cmp(&tag) {
                Ordering::Equal => self.name_of(head)?.cmp(name),
                order => order,
            };
            match order {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Ok(Some(middle)),
            }
        }
        Ok(None)
    }

    fn node(self, row: usize) -> Result<&'a [u8], Damaged> {
        let len = self.width.node();
        let start = row.checked_mul(len).ok_or(DAMAGED)?;
        self.nodes.get(start..start.wrapping_add(len)).ok_or(DAMAGED)
    }

    fn name_of(self, node: &NodeHead) -> Result<&'a [u8], Damaged> {
        let start = node.name.get() as usize;
        self.octets.get(start..start + usize::from(node.len)).ok_or(DAMAGED)
    }

    fn said(self, row: usize) -> Result<Said, Damaged> {
        let width = self.width;
        let answers = self.node(row)?.get(size_of::<NodeHead>()..).ok_or(DAMAGED)?;
        let (exact, below) = answers.split_at_checked(width.octets).ok_or(DAMAGED)?;
        let (exact, below) = (width.id(exact), width.id(below));
        Ok(Said { exact: width.answer(exact), below: width.answer(below), parent: below != width.none })
    }
}

/// The directory entry of a hash: its highest bits.
fn bucket(hash: u64, bits: u32) -> usize {
    hash.checked_shr(64 - bits).unwrap_or(0) as usize
}

/// The bits of a hash behind those of the directory.
fn tag(hash: u64, bits: u32) -> u16 {
    (hash << bits >> (64 - TAG_BITS)) as u16
}

/// The octets of section `names`.
pub(super) fn encode(names: &[NameNode]) -> Result<Vec<u8>, WriteError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let full = || WriteError::TooLarge(Section::NAMES);
    let count = u32::try_from(names.len()).map_err(|_| full())?;
    // Two to four nodes a bucket.
    let bits = count.ilog2().saturating_sub(1).min(MAX_DIRECTORY_BITS);
    let last = names.iter().flat_map(|node| node.exact.max(node.below)).max();
    let width = Width::holding(last.unwrap_or(0)).ok_or_else(full)?;
    let (octets, offsets) = shared_octets(names);
    let octets_len = u32::try_from(octets.len()).map_err(|_| full())?;
    let directory = 1usize << bits;
    let hashes: Vec<u64> = names.iter().map(|node| hash_of(labels(node))).collect();
    // Sorted by counting: how many nodes stand before each bucket is the directory, too.
    let mut starts = vec![0u32; directory + 1];
    hashes.iter().for_each(|&hash| starts[bucket(hash, bits) + 1] += 1);
    for at in 1..=directory {
        starts[at] += starts[at - 1];
    }
    let mut ends = starts.clone();
    let mut rows = vec![Row::default(); names.len()];
    for ((node, &hash), &name) in names.iter().zip(&hashes).zip(&offsets) {
        let end = &mut ends[bucket(hash, bits)];
        rows[*end as usize] = Row::new(node, tag(hash, bits), name, width);
        *end += 1;
    }
    let name_of = |row: &Row| &octets[row.name as usize..][..usize::from(row.len)];
    for bucket in starts.windows(2) {
        let rows = &mut rows[bucket[0] as usize..bucket[1] as usize];
        rows.sort_unstable_by(|a, b| a.tag.cmp(&b.tag).then_with(|| name_of(a).cmp(name_of(b))));
    }
    let root = rows.iter().position(|row| row.len == 0);
    let head = NamesHead {
        nodes: count.into(),
        directory_bits: bits.into(),
        root: root.map_or(u32::MAX, |row| row as u32).into(),
        octets: octets_len.into(),
        listed: (names.iter().filter(|node| node.is_listed()).count() as u32).into(),
        width: (width.octets as u32).into(),
    };
    let len = size_of::<NamesHead>() + 4 * starts.len() + rows.len() * width.node() + octets.len();
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(head.as_bytes());
    starts.iter().for_each(|start| out.extend_from_slice(&start.to_le_bytes()));
    for row in &rows {
        let head = NodeHead { tag: row.tag.into(), name: row.name.into(), len: row.len };
        out.extend_from_slice(head.as_bytes());
        for id in [row.exact, row.below] {
            out.extend_from_slice(&id.to_le_bytes()[..width.octets]);
        }
    }
    out.extend_from_slice(&octets);
    Ok(out)
}

/// A node, as it will be written.
#[derive(Clone, Copy, Default)]
struct Row {
    name: u32,
    exact: u32,
    below: u32,
    tag: u16,
    len: u8,
}

impl Row {
    fn new(node: &NameNode, tag: u16, name: u32, width: Width) -> Self {
        let exact = node.exact.unwrap_or(width.none);
        let nothing = width.none - u32::from(node.parent);
        let below = node.below.unwrap_or(nothing);
        Self { name, exact, below, tag, len: labels(node).len() as u8 }
    }
}

fn labels(node: &NameNode) -> &[u8] {
    let wire = node.name.as_wire();
    &wire[..wire.len() - 1]
}

/// The octets of all names and where in them each begins: a name that ends the next one has none of its own, and where
/// something is below a name, that is what comes next.
fn shared_octets(names: &[NameNode]) -> (Vec<u8>, Vec<u32>) {
    let mut octets = Vec::with_capacity(names.len() * 12);
    let mut offsets = vec![0; names.len()];
    let mut next: &[u8] = &[];
    for (offset, node) in offsets.iter_mut().zip(names).rev() {
        let name = labels(node);
        if !next.ends_with(name) || next.is_empty() {
            octets.extend_from_slice(name);
            next = name;
        }
        // Which stands at the very end.
        *offset = (octets.len() - name.len()) as u32;
    }
    (octets, offsets)
}

#[cfg(test)]
mod tests;
