//! The listed spans in order, for counts, exports and lookups of prefixes.

use std::iter::FusedIterator;

use super::super::layout::{Eight, Slot, eight};
use super::super::{Damaged, Section};
use super::chunk::{BITMAP_RANKS, Buckets};
use super::lookup::Located;
use super::{Place, V4, kind, runs_at, u64_at};
use crate::compile::Answered;
use crate::model::Span;

/// Walks /16 by /16 (/8 by /8 where a /8 has no block) and joins neighbours.
pub(in super::super) struct Spans<'a> {
    v4: V4<'a>,
    within: Span<u32>,
    /// The next /16 to read, up to 0x10000.
    next: u32,
    /// Spans of the /16 or /8 read last, and how many of them are given away.
    read: Vec<Answered<u32>>,
    given: usize,
    suffixes: Vec<u16>,
    /// The span that may still grow.
    open: Option<Answered<u32>>,
    failed: bool,
}

impl<'a> V4<'a> {
    /// The spans in `within`, cut off at its ends. One out of order ends the walk as damaged.
    pub(in super::super) fn spans(self, within: Span<u32>) -> Spans<'a> {
        Spans {
            v4: self,
            within,
            next: within.first >> 16,
            read: Vec::new(),
            given: 0,
            suffixes: Vec::new(),
            open: None,
            failed: false,
        }
    }
}

impl Iterator for Spans<'_> {
    type Item = Result<Answered<u32>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            if self.given == self.read.len() {
                if self.next > self.within.last >> 16 {
                    return self.open.take().map(Ok);
                }
                if let Err(damaged) = self.read_on() {
                    return Some(Err(self.fail(damaged)));
                }
                continue;
            }
            let item = self.read[self.given];
            self.given += 1;
            let Some(item) = self.clipped(item) else { continue };
            match &mut self.open {
                Some(open) if item.span.first <= open.span.last => {
                    return Some(Err(self.fail(Damaged(Section::V4_CHUNKS))));
                }
                Some(open) if open.answer == item.answer && open.span.last + 1 == item.span.first => {
                    open.span.last = item.span.last;
                }
                open => {
                    if let Some(done) = open.replace(item) {
                        return Some(Ok(done));
                    }
                }
            }
        }
        None
    }
}

impl FusedIterator for Spans<'_> {}

impl Spans<'_> {
    fn fail(&mut self, damaged: Damaged) -> Damaged {
        self.failed = true;
        damaged
    }

    fn clipped(&self, Answered { span, answer }: Answered<u32>) -> Option<Answered<u32>> {
        let span = Span::new(span.first.max(self.within.first), span.last.min(self.within.last))?;
        Some(Answered { span, answer })
    }

    /// Reads the next /16, or /8 without a block.
    fn read_on(&mut self) -> Result<(), Damaged> {
        self.read.clear();
        self.given = 0;
        let base = self.next << 16;
        let row = &self.v4.root.eights[(base >> 24) as usize];
        if row.kind != eight::BLOCK {
            // All of the /8 at once, from wherever in it the walk begins.
            let whole = Span { first: base & 0xff00_0000, last: base | 0xff_ffff };
            self.next = (self.next | 0xff) + 1;
            return match row.kind {
                eight::NOTHING => Ok(()),
                eight::WHOLE => {
                    self.read.push(Answered { span: whole, answer: row.value.get() });
                    Ok(())
                }
                eight::SPARSE => self.read_sparse(row, whole),
                _ => Err(Damaged(Section::V4_ROOT)),
            };
        }
        self.next += 1;
        match self.v4.locate(base)? {
            Located::Answer(_) => Ok(()),
            Located::Slot(slot) => self.read_slot(self.v4.slot(slot)?, base),
        }
    }

    fn read_sparse(&mut self, row: &Eight, whole: Span<u32>) -> Result<(), Damaged> {
        for row in self.v4.sparse_rows(row)? {
            let span = Span::new(row.first.get(), row.last.get())
                .filter(|span| whole.contains(span.first) && whole.contains(span.last))
                .ok_or(Damaged(Section::V4_SPARSE))?;
            self.read.push(Answered { span, answer: row.answer.get() });
        }
        Ok(())
    }

    fn read_slot(&mut self, slot: Slot, base: u32) -> Result<(), Damaged> {
        let place = Place::of(slot);
        if place.kind() == kind::EMPTY {
            return Ok(());
        }
        let chunks = self.v4.chunks()?;
        let mut put = |first: u16, last: u16, number: u32| {
            let span = Span::new(base | u32::from(first), base | u32::from(last));
            let span = span.ok_or(Damaged(Section::V4_CHUNKS))?;
            self.read.push(Answered { span, answer: self.v4.answer(slot, place, number)? });
            Ok(())
        };
        match place.kind() {
            kind::FULL => return put(0, u16::MAX, 0),
            kind::RUNS => {
                return (0..)
                    .zip(runs_at(chunks, place.offset())?)
                    .try_for_each(|(number, run)| put(run.first.get(), run.last.get(), number));
            }
            _ => {}
        }
        self.suffixes.clear();
        match Buckets::of_kind(place.kind()) {
            Some(buckets) => buckets.suffixes(chunks, place.offset(), &mut self.suffixes)?,
            None if place.kind() == kind::BITMAP => bits(chunks, place.offset(), &mut self.suffixes)?,
            None => return Err(Damaged(Section::V4_SLOTS)),
        }
        (0..).zip(&self.suffixes).try_for_each(|(number, &suffix)| put(suffix, suffix, number))
    }
}

/// The suffixes whose bits are set.
fn bits(chunks: &[u8], offset: usize, out: &mut Vec<u16>) -> Result<(), Damaged> {
    for index in 0..1024 {
        let at = offset + BITMAP_RANKS + index * 8;
        let mut word = u64_at(chunks, at).ok_or(Damaged(Section::V4_CHUNKS))?;
        while word != 0 {
            out.push((index * 64) as u16 + word.trailing_zeros() as u16);
            word &= word - 1;
        }
    }
    Ok(())
}
