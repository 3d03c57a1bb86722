//! Names: the node that answers for a name, in at most as many steps as it has labels.
//!
//! [`Names`] reads the section, [`write()`] makes it. Nodes stand in the order of (hash, name), so that equal hashes,
//! which anybody can make, cost a binary search and no more. Of a hash a node keeps no more than a tag behind the bits
//! that the directory goes by: enough to pass over nearly every other node, and a third of the octets.

use std::cmp::Ordering;
use std::io::{Seek, Write};

use zerocopy::IntoBytes;

use super::layout::{NamesHead, NodeHead, record, rows, take};
use super::write::FileWriter;
use super::{Damaged, Section, WriteError};
use crate::compile::{AnswerId, NameTree, TreeNode};

const DAMAGED: Damaged = Damaged(Section::NAMES);
/// Bits of a hash behind those of the directory that a node keeps.
const TAG_BITS: u32 = 16;
/// Where the length of a name stands in a node.
const LEN_AT: usize = std::mem::offset_of!(NodeHead, len);
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

    /// A node as it is stored.
    #[inline]
    fn node_of<const NODE: usize>(self, node: &TreeNode, tag: u16, name: u32, len: u8) -> [u8; NODE] {
        let mut row = [0; NODE];
        let head = size_of::<NodeHead>();
        let width = (NODE - head) / 2;
        row[..head].copy_from_slice(NodeHead { tag: tag.into(), name: name.into(), len }.as_bytes());
        let exact = node.exact().unwrap_or(self.none);
        let nothing = self.none - u32::from(node.parent);
        let below = node.below().unwrap_or(nothing);
        row[head..head + width].copy_from_slice(&exact.to_le_bytes()[..width]);
        row[head + width..].copy_from_slice(&below.to_le_bytes()[..width]);
        row
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

/// Writes section `names`.
pub(super) fn write<W: Write + Seek>(
    names: &NameTree,
    file: &mut FileWriter<'_, W>,
) -> Result<(), WriteError> {
    let mut section = file.begin(Section::NAMES)?;
    encode(names, |octets| section.put(octets))?;
    section.end()
}

/// Gives out the octets of the section piece by piece.
fn encode(names: &NameTree, put: impl FnMut(&[u8]) -> Result<(), WriteError>) -> Result<(), WriteError> {
    if names.is_empty() {
        return Ok(());
    }
    let width = Width::holding(names.last_answer()).ok_or(WriteError::TooLarge(Section::NAMES))?;
    match width.octets {
        1 => encode_rows::<{ size_of::<NodeHead>() + 2 }>(names, width, put),
        2 => encode_rows::<{ size_of::<NodeHead>() + 4 }>(names, width, put),
        _ => encode_rows::<{ size_of::<NodeHead>() + 8 }>(names, width, put),
    }
}

/// With nodes of so many octets.
fn encode_rows<const NODE: usize>(
    names: &NameTree,
    width: Width,
    mut put: impl FnMut(&[u8]) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let full = || WriteError::TooLarge(Section::NAMES);
    let count = u32::try_from(names.len()).map_err(|_| full())?;
    // Two to four nodes a bucket.
    let bits = count.ilog2().saturating_sub(1).min(MAX_DIRECTORY_BITS);
    let hashes = hashes(names);
    let (octets, places) = place_names(names);
    // Sorted by counting: how many nodes stand before each bucket is the directory, too. While nodes are put in, an entry
    // is where the next one of its bucket goes, and at last where the next bucket begins.
    let mut directory = vec![0u32; (1 << bits) + 1];
    hashes.iter().for_each(|&hash| directory[bucket(hash, bits)] += 1);
    let mut before = 0;
    for entry in &mut directory {
        before += std::mem::replace(entry, before);
    }
    let mut rows = vec![[0; NODE]; names.len()];
    // Apart from the walk that makes names: nodes go anywhere in memory, which nothing else should have to wait for.
    for (((node, _), &hash), &place) in names.nodes().zip(&hashes).zip(&places) {
        let next = &mut directory[bucket(hash, bits)];
        rows[*next as usize] = width.node_of(node, tag(hash, bits), place, hash as u8);
        *next += 1;
    }
    drop(places);
    let octets_len = u32::try_from(octets.len()).map_err(|_| full())?;
    drop(hashes);
    directory.rotate_right(1);
    directory[0] = 0;
    let name_of = |row: &[u8; NODE]| {
        let start = u32::from_le_bytes([row[2], row[3], row[4], row[5]]) as usize;
        &octets[start..start + usize::from(row[LEN_AT])]
    };
    let tag_of = |row: &[u8; NODE]| u16::from_le_bytes([row[0], row[1]]);
    for bucket in directory.windows(2) {
        rows[bucket[0] as usize..bucket[1] as usize]
            .sort_unstable_by(|a, b| tag_of(a).cmp(&tag_of(b)).then_with(|| name_of(a).cmp(name_of(b))));
    }
    let root_bucket = bucket(EMPTY, bits);
    let mut rows_with_root = directory[root_bucket]..directory[root_bucket + 1];
    let root = rows_with_root.find(|&row| rows[row as usize][LEN_AT] == 0);
    let head = NamesHead {
        nodes: count.into(),
        directory_bits: bits.into(),
        root: root.unwrap_or(u32::MAX).into(),
        octets: octets_len.into(),
        listed: (names.listed() as u32).into(),
        width: (width.octets as u32).into(),
    };
    put(head.as_bytes())?;
    let mut piece = Vec::with_capacity(PIECE);
    for entries in directory.chunks(PIECE / size_of::<u32>()) {
        piece.clear();
        entries.iter().for_each(|entry| piece.extend_from_slice(&entry.to_le_bytes()));
        put(&piece)?;
    }
    put(rows.as_flattened())?;
    put(&octets)
}

/// Octets of the directory that are put out at once.
const PIECE: usize = 1 << 16;

/// Octets of the longest name, of a name and of a label that count as short.
const NAME: usize = 254;
const PADDING: usize = 32;
const SHORT: usize = 16;

/// For each node the upper bits of its name's hash, as many as anything is looked for by, and in the lowest eight the
/// octets of its name. Each follows from that of the node above it and its own label.
fn hashes(names: &NameTree) -> Vec<u64> {
    let mut above = [(EMPTY, 0u8); 128];
    let hash = |(node, label): (&TreeNode, &[u8])| {
        let depth = usize::from(node.depth);
        let (hash, len) = above[depth.saturating_sub(1)];
        above[depth] = (extend(hash, label), if depth > 0 { len + label.len() as u8 } else { 0 });
        above[depth].0 & !0xff | u64::from(above[depth].1)
    };
    names.nodes().map(hash).collect()
}

/// The octets of all names, and where in them each begins: what is above a name ends it and has none of its own.
fn place_names(names: &NameTree) -> (Vec<u8>, Vec<u32>) {
    let mut octets = Vec::with_capacity(names.len() * 12);
    let mut places = vec![0; names.len()];
    // The present name grows to the left.
    let mut name = [0; NAME + PADDING];
    // The nodes on the way to it, each with the octets of its name; from `waiting` on they have no place yet.
    let mut path: Vec<(usize, usize)> = Vec::new();
    let mut waiting = 0;
    let mut nodes = names.nodes_and_labels().enumerate().peekable();
    while let Some((row, (node, labels, start))) = nodes.next() {
        path.truncate(node.depth.into());
        waiting = waiting.min(path.len());
        let above = path.last().map_or(0, |above| above.1);
        let len = above + labels.len() - start;
        // Labels and names are copied as if they were the longest of the short ones: what is copied too much is in the way
        // of nothing.
        match labels.last_chunk::<SHORT>() {
            Some(short) if labels.len() - start <= SHORT && above + SHORT <= NAME => {
                name[NAME - above - SHORT..NAME - above].copy_from_slice(short);
            }
            _ => name[NAME - len..NAME - above].copy_from_slice(&labels[start..]),
        }
        path.push((row, len));
        if nodes.peek().is_some_and(|(_, (next, ..))| next.depth > node.depth) {
            continue;
        }
        match name[NAME - len..].first_chunk::<PADDING>() {
            Some(short) if len <= PADDING => {
                octets.extend_from_slice(short);
                octets.truncate(octets.len() - PADDING + len);
            }
            _ => octets.extend_from_slice(&name[NAME - len..NAME]),
        }
        for &(row, len) in &path[waiting..] {
            places[row] = (octets.len() - len) as u32;
        }
        waiting = path.len();
    }
    (octets, places)
}

#[cfg(test)]
mod tests;
