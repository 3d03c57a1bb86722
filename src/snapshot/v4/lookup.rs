//! One address, and "is anything listed below".

use super::super::layout::{Eight, Slot, Sparse, eight, record, take};
use super::super::{Damaged, Section};
use super::{Found, Place, V4, chunk, kind};
use crate::model::{Address, Span};

/// How far the first step came.
#[derive(Debug, Clone, Copy)]
pub(super) enum Located {
    /// Settled by the /8 alone.
    Found(Found),
    /// Look at this slot.
    Slot(u32),
}

impl V4<'_> {
    #[inline(always)]
    pub(in super::super) fn find(&self, address: u32) -> Result<Found, Damaged> {
        let slot = match self.locate(address)? {
            Located::Found(found) => return Ok(found),
            Located::Slot(slot) => self.slot(slot)?,
        };
        let suffix = address as u16;
        let place = Place::of(slot);
        let found = match self.buckets(place) {
            Some(buckets) => {
                let chunks = self.chunks()?;
                let lanes = buckets.bucket(chunks, place.offset(), suffix)?;
                let first = buckets.first(chunks, place.offset(), lanes)?;
                buckets.search(chunks, place.offset(), suffix, lanes, first)?
            }
            None => self.find_elsewhere(slot, suffix)?,
        };
        Ok(found.with(slot.answer.get()))
    }

    /// Whether anything is listed below these leading octets (of more than four, the first four count).
    pub(in super::super) fn any(&self, octets: &[u8]) -> Result<bool, Damaged> {
        let mut address = [0; 4];
        let given = octets.len().min(4);
        address[..given].copy_from_slice(&octets[..given]);
        let address = u32::from_be_bytes(address);
        if given == 4 {
            return Ok(self.find(address)?.answer().is_some());
        }
        if given == 0 {
            return Ok(self.root.eights.iter().any(|eight| eight.kind != eight::NOTHING));
        }
        let row = &self.root.eights[(address >> 24) as usize];
        if given == 1 {
            return Ok(row.kind != eight::NOTHING);
        }
        if row.kind == eight::SPARSE {
            let span = address.prefix(given as u8 * 8);
            return Ok(self.sparse_from(row, span.first)?.is_some_and(|found| found.overlaps(&span)));
        }
        match self.locate(address)? {
            Located::Found(found) => Ok(found.answer().is_some()),
            Located::Slot(slot) => {
                let place = Place::of(self.slot(slot)?);
                if given == 2 { Ok(place.kind() != kind::EMPTY) } else { self.any_in(place, octets[2]) }
            }
        }
    }

    fn any_in(&self, place: Place, third: u8) -> Result<bool, Damaged> {
        let offset = place.offset();
        match place.kind() {
            kind::EMPTY => Ok(false),
            kind::FULL => Ok(true),
            kind::RUNS => chunk::any_run_in(self.chunks()?, offset, third),
            kind::BITMAP => chunk::any_bit_in(self.chunks()?, offset, third),
            _ => {
                let buckets = self.buckets(place).ok_or(Damaged(Section::V4_SLOTS))?;
                buckets.any_in(self.chunks()?, offset, third)
            }
        }
    }

    /// What the /8 says.
    #[inline(always)]
    pub(super) fn locate(&self, address: u32) -> Result<Located, Damaged> {
        let row = &self.root.eights[(address >> 24) as usize];
        if row.kind == eight::BLOCK {
            return Ok(Located::Slot(row.value.get().wrapping_add(address >> 16 & 0xff)));
        }
        self.locate_elsewhere(row, address)
    }

    /// [`locate`](Self::locate) in a /8 without slots.
    fn locate_elsewhere(&self, row: &Eight, address: u32) -> Result<Located, Damaged> {
        match row.kind {
            eight::NOTHING => Ok(Located::Found(Found::NOTHING)),
            eight::WHOLE => Ok(Located::Found(Found(row.value.get()))),
            eight::SPARSE => {
                let rows = self.sparse_rows(row)?;
                let at = rows.partition_point(|row| row.last.get() < address);
                let found = rows.get(at).filter(|row| row.first.get() <= address);
                Ok(Located::Found(found.map_or(Found::NOTHING, |row| Found(row.answer.get()))))
            }
            _ => Err(Damaged(Section::V4_ROOT)),
        }
    }

    /// The spans of a sparse /8.
    #[inline]
    pub(super) fn sparse_rows(&self, row: &Eight) -> Result<&[Sparse], Damaged> {
        let damaged = Damaged(Section::V4_SPARSE);
        let start = (row.value.get() as usize).checked_mul(size_of::<Sparse>()).ok_or(damaged)?;
        take(&mut self.sparse()?.get(start..).ok_or(damaged)?, row.count.into(), Section::V4_SPARSE)
    }

    /// The first span of a sparse /8 that ends at or after `address`.
    fn sparse_from(&self, row: &Eight, address: u32) -> Result<Option<Span<u32>>, Damaged> {
        let rows = self.sparse_rows(row)?;
        let at = rows.partition_point(|row| row.last.get() < address);
        Ok(rows.get(at).map(|row| Span { first: row.first.get(), last: row.last.get() }))
    }

    #[inline(always)]
    pub(super) fn slot(&self, slot: u32) -> Result<Slot, Damaged> {
        record(self.slots()?, slot, Section::V4_SLOTS).copied()
    }

    /// A suffix in a chunk that is no buckets. What it finds is to be joined with the slot's answer.
    pub(super) fn find_elsewhere(&self, slot: Slot, suffix: u16) -> Result<Found, Damaged> {
        let place = Place::of(slot);
        let number = match place.kind() {
            kind::EMPTY => None,
            kind::FULL => Some(0),
            kind::RUNS => chunk::search_runs(self.chunks()?, place.offset(), suffix)?,
            kind::BITMAP => chunk::search_bitmap(self.chunks()?, place.offset(), suffix)?,
            _ => return Err(Damaged(Section::V4_SLOTS)),
        };
        number.map_or(Ok(Found::NOTHING), |number| self.answer_behind(place, number).map(Found))
    }
}
