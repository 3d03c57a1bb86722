//! The listed spans in order, for counts, exports and lookups of prefixes.

use std::iter::FusedIterator;

use super::super::layout::{Eight, Slot, eight};
use super::super::{Damaged, Section};
use super::lookup::Located;
use super::{Place, V4, chunk, kind, runs_at};
use crate::compile::{AnswerId, Answered};
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
            Located::Found(_) => Ok(()),
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
        let (v4, place) = (self.v4, Place::of(slot));
        if place.kind() == kind::EMPTY {
            return Ok(());
        }
        let (chunks, offset) = (v4.chunks()?, place.offset());
        let mut put = |first: u16, last: u16, answer: AnswerId| {
            let span = Span::new(base | u32::from(first), base | u32::from(last));
            let span = span.ok_or(Damaged(Section::V4_CHUNKS))?;
            self.read.push(Answered { span, answer: slot.answer.get() | answer });
            Ok(())
        };
        if let Some(buckets) = v4.buckets(place) {
            return buckets.all(chunks, offset, |suffix, answer| put(suffix, suffix, answer));
        }
        let mut numbers = 0..;
        let mut answer = || v4.answer_behind(place, numbers.next().unwrap_or_default());
        match place.kind() {
            kind::FULL => put(0, u16::MAX, 0),
            kind::RUNS => runs_at(chunks, offset)?
                .iter()
                .try_for_each(|run| put(run.first.get(), run.last.get(), answer()?)),
            kind::BITMAP => chunk::all_bits(chunks, offset, |suffix| put(suffix, suffix, answer()?)),
            _ => Err(Damaged(Section::V4_SLOTS)),
        }
    }
}
