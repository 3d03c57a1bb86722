//! One address, and "is anything listed below".

use super::super::layout::{Slot, eight};
use super::super::{Damaged, Section};
use super::chunk::{self, Buckets};
use super::{Place, V4, kind};
use crate::compile::AnswerId;
use crate::model::{Address, Span};

/// How far the first two steps came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Located {
    /// Settled by the /8 alone.
    Answer(Option<AnswerId>),
    /// The /16 has this slot.
    Slot(u32),
}

impl V4<'_> {
    #[inline]
    pub(in super::super) fn find(&self, address: u32) -> Result<Option<AnswerId>, Damaged> {
        let slot = match self.locate(address)? {
            Located::Answer(answer) => return Ok(answer),
            Located::Slot(slot) => self.slot(slot)?,
        };
        let place = Place::of(slot);
        let Some(number) = self.number(place, address as u16)? else { return Ok(None) };
        self.answer(slot, place, number).map(Some)
    }

    /// Whether anything is listed below these leading octets (of more than four, the first four count).
    pub(in super::super) fn any(&self, octets: &[u8]) -> Result<bool, Damaged> {
        let mut address = [0; 4];
        let given = octets.len().min(4);
        address[..given].copy_from_slice(&octets[..given]);
        let address = u32::from_be_bytes(address);
        if given == 4 {
            return Ok(self.find(address)?.is_some());
        }
        if given == 0 {
            return Ok(self.root.eights.iter().any(|eight| eight.kind != eight::NOTHING));
        }
        let row = &self.root.eights[(address >> 24) as usize];
        if given == 1 || row.kind == eight::WHOLE {
            return Ok(row.kind != eight::NOTHING);
        }
        if row.kind == eight::SPARSE {
            let span = address.prefix(given as u8 * 8);
            return Ok(self
                .sparse_from(row.value.get(), row.count, span.first)?
                .is_some_and(|s| s.overlaps(&span)));
        }
        match self.locate(address)? {
            Located::Answer(answer) => Ok(answer.is_some()),
            Located::Slot(_) if given == 2 => Ok(true),
            Located::Slot(slot) => self.any_in(Place::of(self.slot(slot)?), octets[2]),
        }
    }

    fn any_in(&self, Place { kind, offset, .. }: Place, third: u8) -> Result<bool, Damaged> {
        match kind {
            kind::FULL => Ok(true),
            kind::RUNS => chunk::any_run_in(self.chunks, offset, third),
            kind::BITMAP => chunk::any_bit_in(self.chunks, offset, third),
            _ => {
                let buckets = Buckets::of_kind(kind).ok_or(Damaged(Section::V4_SLOTS))?;
                buckets.any_in(self.chunks, offset, third)
            }
        }
    }

    /// /8 and block.
    #[inline]
    pub(super) fn locate(&self, address: u32) -> Result<Located, Damaged> {
        let row = &self.root.eights[(address >> 24) as usize];
        match row.kind {
            eight::BLOCK => self.locate_in_block(row.value.get(), (address >> 16) as u8),
            eight::NOTHING => Ok(Located::Answer(None)),
            eight::WHOLE => Ok(Located::Answer(Some(row.value.get()))),
            eight::SPARSE => {
                let rows = self.sparse_rows(row.value.get(), row.count)?;
                let at = rows.partition_point(|row| row.last.get() < address);
                let found = rows.get(at).filter(|row| row.first.get() <= address);
                Ok(Located::Answer(found.map(|row| row.answer.get())))
            }
            _ => Err(Damaged(Section::V4_ROOT)),
        }
    }

    #[inline]
    fn locate_in_block(&self, block: u32, second: u8) -> Result<Located, Damaged> {
        let block = self.blocks.get(block as usize).ok_or(Damaged(Section::V4_BLOCKS))?;
        let (word, bit) = (usize::from(second / 64), second % 64);
        let present = block.present[word].get();
        if present >> bit & 1 == 0 {
            return Ok(Located::Answer(None));
        }
        let before = (present & ((1 << bit) - 1)).count_ones();
        Ok(Located::Slot(block.ranks[word].get().wrapping_add(before)))
    }

    /// The spans of a sparse /8.
    #[inline]
    pub(super) fn sparse_rows(&self, first: u32, count: u8) -> Result<&[super::Sparse], Damaged> {
        let first = first as usize;
        self.sparse.get(first..first + usize::from(count)).ok_or(Damaged(Section::V4_SPARSE))
    }

    /// The first span of a sparse /8 that ends at or after `address`.
    fn sparse_from(&self, first: u32, count: u8, address: u32) -> Result<Option<Span<u32>>, Damaged> {
        let rows = self.sparse_rows(first, count)?;
        let at = rows.partition_point(|row| row.last.get() < address);
        Ok(rows.get(at).map(|row| Span { first: row.first.get(), last: row.last.get() }))
    }

    #[inline]
    pub(super) fn slot(&self, slot: u32) -> Result<Slot, Damaged> {
        self.slots.get(slot as usize).copied().ok_or(Damaged(Section::V4_SLOTS))
    }

    /// The number of a suffix in its chunk.
    #[inline]
    pub(super) fn number(&self, place: Place, suffix: u16) -> Result<Option<u32>, Damaged> {
        if let Some(buckets) = Buckets::of_kind(place.kind) {
            let range = buckets.bucket(self.chunks, place.offset, suffix)?;
            return buckets.search(self.chunks, place.offset, suffix, range);
        }
        self.number_elsewhere(place, suffix)
    }

    /// [`number`](Self::number) in chunks that are no buckets.
    #[inline]
    pub(super) fn number_elsewhere(&self, place: Place, suffix: u16) -> Result<Option<u32>, Damaged> {
        match place.kind {
            kind::FULL => Ok(Some(0)),
            kind::RUNS => chunk::search_runs(self.chunks, place.offset, suffix),
            kind::BITMAP => chunk::search_bitmap(self.chunks, place.offset, suffix),
            _ => Err(Damaged(Section::V4_SLOTS)),
        }
    }

    /// The answer of the address with this number.
    #[inline]
    pub(super) fn answer(&self, slot: Slot, place: Place, number: u32) -> Result<AnswerId, Damaged> {
        let answer = slot.answer.get();
        if place.mixed {
            self.packed.at((answer as usize).saturating_add(number as usize))
        } else {
            Ok(answer)
        }
    }
}
