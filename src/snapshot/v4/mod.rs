//! IPv4: from an address to its answer in at most five steps: /8, block, slot, chunk, answer id.
//!
//! [`V4`] reads it ([`lookup`], [`batch`], [`spans`]), [`build`] makes it; [`chunk`] knows how the addresses of one
//! /16 are stored. Never: what an answer says.

mod batch;
mod build;
mod chunk;
mod encode;
mod lookup;
mod spans;

pub(super) use build::write;

use super::layout::{Block, Root, Run, Slot, Sparse, rows};
use super::{Damaged, Section};

/// The sections, read in place.
#[derive(Clone, Copy)]
pub(super) struct V4<'a> {
    pub(super) root: &'a Root,
    sparse: &'a [Sparse],
    blocks: &'a [Block],
    slots: &'a [Slot],
    chunks: &'a [u8],
    packed: Packed<'a>,
}

/// The octets of the sections in the order of [`V4::new`].
pub(super) const SECTIONS: [Section; 6] = [
    Section::V4_ROOT,
    Section::V4_SPARSE,
    Section::V4_BLOCKS,
    Section::V4_SLOTS,
    Section::V4_CHUNKS,
    Section::V4_ANSWERS,
];

impl<'a> V4<'a> {
    /// Over the octets of [`SECTIONS`]; a section that is not there has none.
    #[inline]
    pub(super) fn new([root, sparse, blocks, slots, chunks, packed]: [&'a [u8]; 6]) -> Result<Self, Damaged> {
        let root: &Root = match rows(root, Section::V4_ROOT)? {
            [root] => root,
            _ => return Err(Damaged(Section::V4_ROOT)),
        };
        Ok(Self {
            root,
            sparse: rows(sparse, Section::V4_SPARSE)?,
            blocks: rows(blocks, Section::V4_BLOCKS)?,
            slots: rows(slots, Section::V4_SLOTS)?,
            chunks,
            packed: Packed { octets: packed, width: Width::from_bits(root.width.get())? },
        })
    }
}

/// Bits of a packed answer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Four,
    Eight,
    Sixteen,
    ThirtyTwo,
}

impl Width {
    /// The narrowest for a table of `answers`.
    fn for_answers(answers: usize) -> Self {
        match answers {
            ..=0x10 => Self::Four,
            ..=0x100 => Self::Eight,
            ..=0x1_0000 => Self::Sixteen,
            _ => Self::ThirtyTwo,
        }
    }

    fn bits(self) -> u32 {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
            Self::Sixteen => 16,
            Self::ThirtyTwo => 32,
        }
    }

    fn from_bits(bits: u32) -> Result<Self, Damaged> {
        [Self::Four, Self::Eight, Self::Sixteen, Self::ThirtyTwo]
            .into_iter()
            .find(|width| width.bits() == bits)
            .ok_or(Damaged(Section::V4_ROOT))
    }
}

/// Section `v4-answers`.
#[derive(Clone, Copy)]
struct Packed<'a> {
    octets: &'a [u8],
    width: Width,
}

impl Packed<'_> {
    #[inline]
    fn at(self, row: usize) -> Result<u32, Damaged> {
        let octets = self.octets;
        match self.width {
            Width::Four => octets.get(row / 2).map(|&pair| u32::from(pair >> (row % 2 * 4) & 15)),
            Width::Eight => octets.get(row).copied().map(u32::from),
            Width::Sixteen => u16_at(octets, row.wrapping_mul(2)).map(u32::from),
            Width::ThirtyTwo => u32_at(octets, row.wrapping_mul(4)),
        }
        .ok_or(Damaged(Section::V4_ANSWERS))
    }
}

/// Where the chunk of a slot is and what it is.
#[derive(Debug, Clone, Copy)]
struct Place {
    kind: u32,
    mixed: bool,
    offset: usize,
}

impl Place {
    /// The units of chunk offsets.
    const UNIT: usize = 8;

    #[inline]
    fn of(slot: Slot) -> Self {
        let place = slot.place.get();
        Self { kind: place & 15, mixed: place & 16 != 0, offset: (place >> 5) as usize * Self::UNIT }
    }
}

/// Kinds of chunks, bits 0 to 3 of a slot's place.
mod kind {
    /// The whole /16: no octets.
    pub(super) const FULL: u32 = 0;
    /// Spans inside the /16.
    pub(super) const RUNS: u32 = 1;
    /// A bit for each address.
    pub(super) const BITMAP: u32 = 2;
    /// Buckets by the first n bits of the suffix: this kind plus n, n up to 8.
    pub(super) const BUCKETS: u32 = 7;
}

#[inline]
fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().map(|octets| u16::from_le_bytes(*octets))
}

#[inline]
fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().map(|octets| u32::from_le_bytes(*octets))
}

#[inline]
fn u64_at(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..)?.first_chunk().map(|octets| u64::from_le_bytes(*octets))
}

/// The runs of a chunk at `offset`: their number in two octets, then the runs.
#[inline]
fn runs_at(chunks: &[u8], offset: usize) -> Result<&[Run], Damaged> {
    let count = usize::from(u16_at(chunks, offset).ok_or(Damaged(Section::V4_CHUNKS))?);
    let start = offset + 2;
    let octets = chunks.get(start..start + count * size_of::<Run>());
    rows(octets.ok_or(Damaged(Section::V4_CHUNKS))?, Section::V4_CHUNKS)
}

#[cfg(test)]
mod tests;
