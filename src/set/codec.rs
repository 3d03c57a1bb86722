//! The stored form of a set; the hash of these octets is the set's name.
//!
//! ```text
//! magic     8   "GPSET\0" and two octets of format version, little-endian: 3, or 4 when there are sections
//! head      v   one JSON object: overlap, directives
//! values    v   count, then each: code, text, note, records
//! hosts     v   count, gaps; then 0 (one value: id) or 1 (an id each)
//! blocks    v   count, then each: first - previous first, last - first, exclude, value
//! v6        v   count, then each: upper 64 bits of first - those of the previous one, exclude and (2) whether it is a /64 in one
//!               octet; of others lower 64 bits of first, last - first; value
//! names     v   count, then each: labels from the right (`TreeName`), scope and exclude in one octet, value
//! sections  v   of version 4 alone: count, then each: count of subzones, their wire forms, and a set from its head
//!               to its names
//! hash     32   BLAKE3 of all before it
//! ```
//!
//! `v` marks things counted by LEB128 numbers. Encoding is canonical: equal sets give equal octets.

mod gaps;

use std::net::Ipv4Addr;
use std::sync::Arc;

use gaps::put_gaps;

use super::blocks_v6::is_net;
use super::{
    Block, BlocksV6, Column, Directives, NAME_BUFFER, NameBuffer, NameList, Overlap, Scope, Section, Set,
    V4Entries, ValueId,
};
use crate::model::{ContentHash, Hasher, Name, RrData, RrSet, Rtype, Span, Template, TreeName, Value};

const MAGIC: &[u8; 6] = b"GPSET\0";
/// The newest format version: sets with sections have it. Those without keep the first one, and so their names.
pub const VERSION: u16 = 4;
const WITHOUT_SECTIONS: u16 = 3;

/// Why stored octets are not a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Another kind of file.
    #[error("not a set file")]
    Foreign,
    /// A format that this version does not know.
    #[error("set format version {0}, this program reads up to version {VERSION}")]
    Version(u16),
    /// The hash at the end does not fit, or the structure is broken.
    #[error("the file is damaged: its hash does not fit its content")]
    Damaged,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    overlap: u8,
    directives: Directives,
}

/// The octets of `set` and its name.
pub fn encode(set: &Set) -> (Vec<u8>, ContentHash) {
    let mut out =
        Vec::with_capacity(64 + set.v4.hosts.len() * 2 + set.v4.blocks.len() * 8 + set.v6.len() * 24);
    put_set(&mut out, set);
    let hash = ContentHash::of(&out);
    out.extend_from_slice(hash.as_bytes());
    (out, hash)
}

/// The name of `set` alone: its octets are held nowhere.
pub fn hash(set: &Set) -> ContentHash {
    let mut out = Hashed::default();
    put_set(&mut out, set);
    out.finish()
}

/// Where octets go.
pub(super) trait Out {
    fn push(&mut self, octet: u8);
    fn extend_from_slice(&mut self, octets: &[u8]);
    /// So many of the first octets: most names are short, and as much as the longest of those is copied for each.
    fn extend_from_padded(&mut self, octets: &NameBuffer, len: usize);
}

impl Out for Vec<u8> {
    #[inline]
    fn push(&mut self, octet: u8) {
        Self::push(self, octet);
    }

    #[inline]
    fn extend_from_slice(&mut self, octets: &[u8]) {
        Self::extend_from_slice(self, octets);
    }

    #[inline]
    fn extend_from_padded(&mut self, octets: &NameBuffer, len: usize) {
        match octets.first_chunk::<32>() {
            Some(short) if len <= 32 => {
                let end = self.len() + len;
                self.extend_from_slice(short);
                self.truncate(end);
            }
            _ => self.extend_from_slice(&octets[..len]),
        }
    }
}

/// Octets that are hashed piece by piece.
#[derive(Default)]
struct Hashed {
    hasher: Hasher,
    piece: Vec<u8>,
}

/// Octets that are hashed at once: as many as BLAKE3 takes side by side, and they stay in the nearest caches.
const PIECE: usize = 1 << 16;

impl Hashed {
    #[inline]
    fn make_room(&mut self) {
        if self.piece.len() >= PIECE {
            self.hasher.update(&self.piece);
            self.piece.clear();
        }
    }

    fn finish(mut self) -> ContentHash {
        self.hasher.update(&self.piece);
        self.hasher.finish()
    }
}

impl Out for Hashed {
    #[inline]
    fn push(&mut self, octet: u8) {
        self.make_room();
        self.piece.push(octet);
    }

    #[inline]
    fn extend_from_slice(&mut self, octets: &[u8]) {
        self.make_room();
        self.piece.extend_from_slice(octets);
    }

    #[inline]
    fn extend_from_padded(&mut self, octets: &NameBuffer, len: usize) {
        self.make_room();
        self.piece.extend_from_padded(octets, len);
    }
}

fn put_set(out: &mut impl Out, set: &Set) {
    out.extend_from_slice(MAGIC);
    let version = if set.sections.is_empty() { WITHOUT_SECTIONS } else { VERSION };
    out.extend_from_slice(&version.to_le_bytes());
    put_entries(out, set);
    if version == VERSION {
        put_sections(out, &set.sections);
    }
}

/// How overlaps are settled and what the list says of its zone.
pub(super) fn head(set: &Set) -> Vec<u8> {
    let overlap = match set.overlap {
        Overlap::Narrowest => 0,
        Overlap::OctetLevels => 1,
    };
    serde_json::to_vec(&Head { overlap, directives: set.directives.clone() }).expect("plain data")
}

/// The same from its octets.
pub(super) fn read_head(octets: &[u8]) -> Option<(Overlap, Directives)> {
    let Head { overlap, directives } = serde_json::from_slice(octets).ok()?;
    match overlap {
        0 => Some((Overlap::Narrowest, directives)),
        1 => Some((Overlap::OctetLevels, directives)),
        _ => None,
    }
}

fn put_entries(out: &mut impl Out, set: &Set) {
    put_bytes(out, &head(set));
    put(out, set.values.len() as u128);
    set.values.iter().for_each(|value| put_value(out, value));
    put(out, set.v4.hosts.len() as u128);
    put_gaps(out, &set.v4.hosts);
    match &set.v4.host_values {
        Column::One(value) => {
            out.push(0);
            put_u32(out, *value);
        }
        Column::Many(values) => {
            out.push(1);
            values.iter().for_each(|&value| put_u32(out, value));
        }
    }
    put_blocks(out, &set.v4.blocks);
    put_v6(out, &set.v6);
    put(out, set.names.len() as u128);
    let mut buffer = NAME_BUFFER;
    for row in 0..set.names.len() {
        let len = set.names.name(row, &mut buffer).len();
        put(out, len as u128);
        out.extend_from_padded(&buffer, len);
        let is_below = set.names.scope(row) == Scope::Below;
        out.push(u8::from(is_below) | u8::from(set.names.is_excluded(row)) << 1);
        put_u32(out, set.names.value(row));
    }
}

/// The set in `bytes`. Checks the hash, the order of entries and every bound.
pub fn decode(bytes: &[u8]) -> Result<Set, SetError> {
    let head = bytes.get(..8).ok_or(SetError::Foreign)?;
    if &head[..6] != MAGIC {
        return Err(SetError::Foreign);
    }
    let version = u16::from_le_bytes([head[6], head[7]]);
    if !(WITHOUT_SECTIONS..=VERSION).contains(&version) {
        return Err(SetError::Version(version));
    }
    let (body, hash) = bytes.split_last_chunk::<32>().ok_or(SetError::Damaged)?;
    if ContentHash::of(body).as_bytes() != hash {
        return Err(SetError::Damaged);
    }
    let mut input = Input(&body[8..]);
    let mut set = input.set().ok_or(SetError::Damaged)?;
    if version == VERSION {
        set.sections = input.sections().ok_or(SetError::Damaged)?;
    }
    if input.0.is_empty() { Ok(set) } else { Err(SetError::Damaged) }
}

pub(super) fn put(out: &mut impl Out, mut n: u128) {
    // Shifts of 64 bits are cheaper.
    while n > u128::from(u64::MAX) {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    let mut n = n as u64;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[inline]
pub(super) fn put_u64(out: &mut impl Out, mut n: u64) {
    let mut octets = [0; 10];
    let mut len = 0;
    while n >= 0x80 {
        octets[len] = n as u8 | 0x80;
        n >>= 7;
        len += 1;
    }
    octets[len] = n as u8;
    out.extend_from_slice(&octets[..=len]);
}

#[inline]
pub(super) fn put_u32(out: &mut impl Out, mut n: u32) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(super) fn put_bytes(out: &mut impl Out, bytes: &[u8]) {
    put(out, bytes.len() as u128);
    out.extend_from_slice(bytes);
}

fn put_blocks(out: &mut impl Out, blocks: &[Block<u32>]) {
    put(out, blocks.len() as u128);
    let mut last = 0;
    for block in blocks {
        put_u32(out, block.span.first - last);
        put_u32(out, block.span.last - block.span.first);
        out.push(u8::from(block.exclude));
        put_u32(out, block.value);
        last = block.span.first;
    }
}

fn put_v6(out: &mut impl Out, blocks: &BlocksV6) {
    put(out, blocks.len() as u128);
    let mut last = 0;
    for block in blocks.iter() {
        let high = (block.span.first >> 64) as u64;
        put_u64(out, high - last);
        let net = is_net(block.span);
        out.push(u8::from(block.exclude) | u8::from(net) << 1);
        if !net {
            put_u64(out, block.span.first as u64);
            put(out, block.span.extent());
        }
        put_u32(out, block.value);
        last = high;
    }
}

fn put_sections(out: &mut impl Out, sections: &[Section]) {
    put(out, sections.len() as u128);
    for section in sections {
        put(out, section.subs.len() as u128);
        section.subs.iter().for_each(|sub| put_bytes(out, sub.as_wire()));
        put_entries(out, &section.set);
    }
}

pub(super) fn put_value(out: &mut impl Out, value: &Value) {
    let flags = u8::from(value.code.is_some())
        | u8::from(value.text.is_some()) << 1
        | u8::from(value.note.is_some()) << 2;
    out.push(flags);
    if let Some(code) = value.code {
        out.extend_from_slice(&code.octets());
    }
    if let Some(text) = &value.text {
        put_bytes(out, text.as_pieces());
    }
    if let Some(note) = &value.note {
        put_bytes(out, note.as_bytes());
    }
    put(out, value.records.len() as u128);
    for set in &value.records {
        out.extend_from_slice(&set.rtype.0.to_le_bytes());
        put_u32(out, set.ttl);
        let (kind, data): (u8, Vec<&[u8]>) = match &set.data {
            RrData::Wire(data) => (0, data.iter().map(Vec::as_slice).collect()),
            RrData::Texts(texts) => (1, texts.iter().map(Template::as_pieces).collect()),
        };
        out.push(kind);
        put(out, data.len() as u128);
        data.iter().for_each(|item| put_bytes(out, item));
    }
}

pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn octet(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(super) fn number(&mut self) -> Option<u128> {
        let mut n = 0u128;
        for shift in (0..).step_by(7) {
            let octet = self.octet()?;
            let part = u128::from(octet & 0x7f);
            if shift >= 128 || part.checked_shl(shift)? >> shift != part {
                return None;
            }
            n |= part << shift;
            if octet < 0x80 {
                return Some(n);
            }
        }
        None
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    /// A count of things of at least one octet each: bounded before anything is allocated.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    /// A number below `limit`.
    pub(super) fn count_below(&mut self, limit: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|&number| number < limit)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn set(&mut self) -> Option<Set> {
        let (overlap, directives) = read_head(self.bytes()?)?;
        let count = self.count()?;
        let values: Vec<Value> = (0..count).map(|_| self.value()).collect::<Option<_>>()?;
        let known = |value: ValueId| value == 0 || (value as usize) < values.len();
        let count = self.count()?;
        let mut hosts = Vec::with_capacity(count);
        let mut last = 0u32;
        for _ in 0..count {
            last = last.checked_add(self.small()?)?;
            hosts.push(last);
        }
        let host_values = match self.octet()? {
            0 => Column::One(self.small()?),
            1 => Column::Many((0..count).map(|_| self.small()).collect::<Option<_>>()?),
            _ => return None,
        };
        let blocks = self.blocks()?;
        let v6 = self.v6()?;
        let count = self.count()?;
        let mut names = NameList::default();
        (0..count).try_for_each(|_| self.name(&mut names))?;
        let ids_known = match &host_values {
            Column::One(value) => known(*value),
            Column::Many(all) => all.iter().all(|&v| known(v)),
        } && blocks.iter().all(|b| known(b.value))
            && v6.values().all(known)
            && names.values().all(known);
        let sorted = blocks.is_sorted() && v6.is_sorted() && names.is_sorted();
        let v4 = V4Entries { hosts, host_values, blocks };
        let sections = Vec::new();
        (ids_known && sorted).then_some(Set { overlap, values, v4, v6, names, directives, sections })
    }

    /// At least one: without any it would be another version.
    fn sections(&mut self) -> Option<Vec<Section>> {
        let count = self.count()?;
        let sections: Option<Vec<_>> = (0..count).map(|_| self.section()).collect();
        sections.filter(|sections| !sections.is_empty())
    }

    fn section(&mut self) -> Option<Section> {
        let count = self.count()?;
        let subs: Vec<Name> = (0..count).map(|_| Name::from_wire(self.bytes()?)).collect::<Option<_>>()?;
        let set = self.set()?;
        let is_canonical = subs.is_sorted_by(|a, b| a < b);
        is_canonical.then(|| Section { subs, set: Arc::new(set) })
    }

    fn blocks(&mut self) -> Option<Vec<Block<u32>>> {
        let count = self.count()?;
        let mut blocks = Vec::with_capacity(count);
        let mut first = 0u32;
        for _ in 0..count {
            first = first.checked_add(self.small()?)?;
            let last = first.checked_add(self.small()?)?;
            let exclude = self.octet()? != 0;
            blocks.push(Block { span: Span { first, last }, exclude, value: self.small()? });
        }
        Some(blocks)
    }

    fn v6(&mut self) -> Option<BlocksV6> {
        let count = self.count()?;
        let mut blocks = BlocksV6::default();
        let mut high = 0u64;
        for _ in 0..count {
            high = high.checked_add(self.number()?.try_into().ok()?)?;
            let flags = self.octet()?;
            let (low, extent) = match flags & 2 {
                0 => (u64::try_from(self.number()?).ok()?, self.number()?),
                _ => (0, u128::from(u64::MAX)),
            };
            let first = u128::from(high) << 64 | u128::from(low);
            let span = Span { first, last: first.checked_add(extent)? };
            blocks.push(Block { span, exclude: flags & 1 != 0, value: self.small()? });
        }
        Some(blocks)
    }

    fn name(&mut self, names: &mut NameList) -> Option<()> {
        let name = TreeName::from_octets(self.bytes()?)?;
        let flags = self.octet()?;
        let scope = if flags & 1 == 0 { Scope::Exact } else { Scope::Below };
        names.push(&name, scope, flags & 2 != 0, self.small()?);
        Some(())
    }

    pub(super) fn value(&mut self) -> Option<Value> {
        let flags = self.octet()?;
        let mut value = Value::default();
        if flags & 1 != 0 {
            value.code = Some(Ipv4Addr::new(self.octet()?, self.octet()?, self.octet()?, self.octet()?));
        }
        if flags & 2 != 0 {
            value.text = Some(Template::from_pieces(self.bytes()?)?);
        }
        if flags & 4 != 0 {
            value.note = Some(std::str::from_utf8(self.bytes()?).ok()?.into());
        }
        let count = self.count()?;
        value.records = (0..count).map(|_| self.records()).collect::<Option<_>>()?;
        Some(value)
    }

    fn records(&mut self) -> Option<RrSet> {
        let rtype = Rtype(u16::from_le_bytes([self.octet()?, self.octet()?]));
        let ttl = self.small()?;
        let kind = self.octet()?;
        let count = self.count()?;
        let data = match kind {
            0 => RrData::Wire((0..count).map(|_| self.bytes().map(<[u8]>::to_vec)).collect::<Option<_>>()?),
            1 => RrData::Texts(
                (0..count).map(|_| Template::from_pieces(self.bytes()?)).collect::<Option<_>>()?,
            ),
            _ => return None,
        };
        Some(RrSet { rtype, ttl, data })
    }
}

#[cfg(test)]
mod tests {
    use super::super::SetBuilder;
    use super::*;

    fn sample() -> Set {
        let mut builder = SetBuilder::new(Overlap::OctetLevels);
        let a = builder.value(&Value { text: Some(Template::parse(b"x $ y")), ..Value::default() });
        let b = builder.value(&Value {
            code: Some(Ipv4Addr::new(127, 0, 0, 5)),
            note: Some("SBL1".into()),
            records: vec![RrSet { rtype: Rtype(15), ttl: 60, data: RrData::Wire(vec![vec![0, 10, 0]]) }],
            ..Value::default()
        });
        builder.host(7, a);
        builder.host(u32::MAX, b);
        builder.v4(Span { first: 0x0100_0000, last: 0x01ff_ffff }, b);
        builder.exclude_v4(Span::host(9));
        builder.v6(Span { first: 0, last: u128::MAX }, a);
        builder.v6(Span::host(u128::MAX), b);
        builder.name("a.example".parse().unwrap(), Scope::Below, a);
        builder.exclude_name("b.a.example".parse().unwrap(), Scope::Exact);
        builder.directives.ttl = Some(60);
        builder.finish()
    }

    #[test]
    fn round_trip() {
        let set = sample();
        assert_eq!(decode(&encode(&set).0), Ok(set));
        assert_eq!(decode(&encode(&Set::default()).0), Ok(Set::default()));
    }

    #[test]
    fn the_name_alone_is_the_same() {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        let value = builder.value(&Value::default());
        (0..100_000).for_each(|n| builder.host(n * 40_000, value));
        for set in [sample(), Set::default(), Set { v4: builder.finish().v4, ..sample() }] {
            assert_eq!(hash(&set), encode(&set).1);
        }
    }

    #[test]
    fn damage_is_named() {
        let (bytes, _) = encode(&sample());
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(decode(&flipped).is_err(), "flipped at {at}");
        }
        assert_eq!(decode(b"#!/bin/sh\n#"), Err(SetError::Foreign));
        let mut newer = bytes;
        newer[6] = 9;
        assert_eq!(decode(&newer), Err(SetError::Version(9)));
    }

    /// Octets with a right hash but a hostile body must not panic or allocate without bound.
    #[test]
    fn hostile_bodies_are_refused() {
        let mut state = 7u64;
        for _ in 0..20_000 {
            let mut body = encode(&sample()).0;
            body.truncate(body.len() - 32);
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = 8 + (state >> 33) as usize % (body.len() - 8);
                body[at] = (state >> 25) as u8;
            }
            let hash = ContentHash::of(&body);
            body.extend_from_slice(hash.as_bytes());
            let _ = decode(&body);
        }
    }
}
