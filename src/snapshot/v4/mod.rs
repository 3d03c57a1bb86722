//! IPv4: from an address to its answer in at most five steps: /8, slot of the /16, bucket, suffix, answer id.
//!
//! [`V4`] reads it ([`lookup`], [`batch`], [`spans`]), [`build`] makes it; [`buckets`] and [`chunk`] know how the
//! addresses of one /16 are stored. Never: what an answer says.

mod batch;
mod buckets;
mod build;
mod chunk;
mod encode;
mod lookup;
mod spans;

pub(super) use build::write;

use std::ops::Range;

use zerocopy::FromBytes;

use self::buckets::{Buckets, Layouts, layouts};
use super::layout::{NO_ANSWER, Root, Run, Slot, Sparse, rows};
use super::{Damaged, Section, SnapshotError};
use crate::compile::AnswerId;

/// The sections, read in place. Made anew for each question, so a section is looked at when it is needed.
#[derive(Clone, Copy)]
pub(super) struct V4<'a> {
    pub(super) root: &'a Root,
    octets: &'a [u8],
    places: &'a Places,
}

/// Where the sections are in the file (empty when one is not there), and how the chunks in them are laid out.
#[derive(Debug, Clone)]
pub(super) struct Places {
    root: Range<usize>,
    sparse: Range<usize>,
    slots: Range<usize>,
    chunks: Range<usize>,
    /// Of chunks with one answer, and of those with mixed answers.
    layouts: [&'static Layouts; 2],
}

impl Places {
    /// Looks at the root; the other sections need be whole records.
    pub(super) fn new(octets: &[u8], place: impl Fn(Section) -> Range<usize>) -> Result<Self, SnapshotError> {
        let plain = layouts(0).ok_or(Damaged(Section::V4_ROOT))?;
        let mut places = Self {
            root: place(Section::V4_ROOT),
            sparse: place(Section::V4_SPARSE),
            slots: place(Section::V4_SLOTS),
            chunks: place(Section::V4_CHUNKS),
            layouts: [plain; 2],
        };
        let Some(v4) = V4::new(octets, &places)? else {
            let others = [&places.sparse, &places.slots, &places.chunks];
            let none = others.iter().all(|place| place.is_empty());
            return if none { Ok(places) } else { Err(SnapshotError::Missing(Section::V4_ROOT)) };
        };
        rows::<Sparse>(v4.sparse()?, Section::V4_SPARSE)?;
        rows::<Slot>(v4.slots()?, Section::V4_SLOTS)?;
        let width = v4.root.width.get();
        places.layouts[1] = layouts(width).filter(|_| width > 0).ok_or(Damaged(Section::V4_ROOT))?;
        Ok(places)
    }
}

impl<'a> V4<'a> {
    /// Over the octets of a file; `None` when nothing is listed.
    #[inline(always)]
    pub(super) fn new(octets: &'a [u8], places: &'a Places) -> Result<Option<Self>, Damaged> {
        if places.root.is_empty() {
            return Ok(None);
        }
        let root = octets.get(places.root.clone()).and_then(|root| Root::ref_from_bytes(root).ok());
        Ok(Some(Self { root: root.ok_or(Damaged(Section::V4_ROOT))?, octets, places }))
    }

    #[inline]
    fn sparse(&self) -> Result<&'a [u8], Damaged> {
        self.octets.get(self.places.sparse.clone()).ok_or(Damaged(Section::V4_SPARSE))
    }

    #[inline(always)]
    fn slots(&self) -> Result<&'a [u8], Damaged> {
        self.octets.get(self.places.slots.clone()).ok_or(Damaged(Section::V4_SLOTS))
    }

    #[inline(always)]
    fn chunks(&self) -> Result<&'a [u8], Damaged> {
        self.octets.get(self.places.chunks.clone()).ok_or(Damaged(Section::V4_CHUNKS))
    }

    /// How the buckets of a place are laid out; `None` when it has another form.
    #[inline(always)]
    fn buckets(&self, place: Place) -> Option<&'static Buckets> {
        self.places.layouts[usize::from(place.is_mixed())]
            .get(place.kind().wrapping_sub(kind::BUCKETS) as usize)
    }

    /// The answer of a number in a chunk of runs or bits, which stands behind them; 0 when all have that of the slot.
    fn answer_behind(&self, place: Place, number: u32) -> Result<AnswerId, Damaged> {
        if !place.is_mixed() {
            return Ok(0);
        }
        let chunks = self.chunks()?;
        let before = match place.kind() {
            kind::RUNS => 2 + size_of_val(runs_at(chunks, place.offset())?),
            _ => chunk::BITMAP_LEN,
        };
        let (start, row) = (place.offset() + before, number as usize);
        match self.root.width.get() {
            4 => chunks.get(start + row / 2).map(|&pair| u32::from(pair >> (row % 2 * 4) & 15)),
            8 => chunks.get(start + row).copied().map(u32::from),
            16 => u16_at(chunks, start + row * 2).map(u32::from),
            32 => u32_at(chunks, start + row * 4),
            _ => None,
        }
        .ok_or(Damaged(Section::V4_CHUNKS))
    }
}

/// Where the chunk of a slot is and what it is.
#[derive(Debug, Clone, Copy)]
struct Place(u32);

impl Place {
    /// The units of chunk offsets.
    const UNIT: usize = 8;
    /// Units above this do not fit.
    const MAX_UNITS: usize = u32::MAX as usize >> 5;

    fn new(kind: u32, mixed: bool, units: u32) -> Self {
        Self(units << 5 | u32::from(mixed) << 4 | kind)
    }

    #[inline]
    fn of(slot: Slot) -> Self {
        Self(slot.place.get())
    }

    #[inline]
    fn kind(self) -> u32 {
        self.0 & 15
    }

    /// The addresses have different answers.
    #[inline]
    fn is_mixed(self) -> bool {
        self.0 & 16 != 0
    }

    /// Octets from the start of the section, less than 2^30.
    #[inline]
    fn offset(self) -> usize {
        (self.0 >> 5) as usize * Self::UNIT
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
    /// Nothing listed: no octets.
    pub(super) const EMPTY: u32 = 3;
    /// Buckets by the first n bits of the suffix: this kind plus n, n up to 8.
    pub(super) const BUCKETS: u32 = 7;
}

/// An answer id or [`NO_ANSWER`], in one number: what decides between them is arithmetic, where an `Option` on every
/// step would be a branch that is guessed wrong half of the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found(u32);

impl Found {
    const NOTHING: Self = Self(NO_ANSWER);

    /// `answer` if `hit`.
    #[inline(always)]
    fn when(hit: bool, answer: AnswerId) -> Self {
        Self(answer | u32::from(hit).wrapping_sub(1))
    }

    /// With the other part of the id: one of the two is 0.
    #[inline(always)]
    fn with(self, answer: AnswerId) -> Self {
        Self(self.0 | answer)
    }

    #[inline(always)]
    pub(super) fn answer(self) -> Option<AnswerId> {
        (self.0 != NO_ANSWER).then_some(self.0)
    }
}

/// Zero octets behind the last chunk: a search may load as many where the last suffix ends.
const PADDING: usize = 8;

#[inline]
fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at.wrapping_add(2))?.try_into().ok().map(u16::from_le_bytes)
}

#[inline]
fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at.wrapping_add(4))?.try_into().ok().map(u32::from_le_bytes)
}

#[inline]
fn u64_at(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..at.wrapping_add(8))?.try_into().ok().map(u64::from_le_bytes)
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
