//! Spans in order → the sections, in one pass.

use std::io::{Seek, Write};

use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::super::layout::{Eight, Root, Slot, Sparse, eight};
use super::super::write::{FileWriter, SectionWriter};
use super::super::{Section, WriteError};
use super::encode::{Sixteen, Width};
use super::{PADDING, kind};
use crate::compile::{AnswerId, Answered, Compiled};
use crate::model::Span;

/// A /8 with at most this many spans has no slots: a binary search over twelve octets a span takes six steps at most,
/// and a short list stays small (256 slots take 2 KiB).
pub(super) const MAX_SPARSE: usize = 64;
/// Chunks are handed to the file in pieces of about this size.
const PIECE: usize = 1 << 18;

/// Writes the sections of the zone's IPv4 spans.
pub(in super::super) fn write<W: Write + Seek>(
    compiled: &Compiled,
    file: &mut FileWriter<'_, W>,
) -> Result<(), WriteError> {
    if compiled.v4.is_empty() {
        return Ok(());
    }
    let width = Width::for_answers(compiled.answers.len());
    let mut builder = Builder::new(file.begin(Section::V4_CHUNKS)?, width);
    for item in compiled.v4.iter() {
        builder.push(item)?;
    }
    let mut built = builder.finish()?;
    built.root.spans = (compiled.v4.len() as u64).into();
    built.root.addresses = compiled.v4.addresses().into();
    file.section(Section::V4_ROOT, built.root.as_bytes())?;
    file.section(Section::V4_SPARSE, built.sparse.as_bytes())?;
    file.section(Section::V4_SLOTS, built.slots.as_bytes())
}

/// All but the chunks, which are written on the way.
struct Built {
    root: Root,
    sparse: Vec<Sparse>,
    slots: Vec<Slot>,
    width: Width,
}

struct Builder<'f, 'a, W> {
    built: Built,
    section: SectionWriter<'f, 'a, W>,
    /// Chunks not yet written, and the octets of those written.
    chunks: Vec<u8>,
    written: usize,
    /// The /8 being filled.
    eight: u8,
    /// Its spans while there are few.
    few: Vec<Answered<u32>>,
    /// Whether the last 256 slots are its.
    in_block: bool,
    /// The /16 being filled: its first sixteen bits.
    key: u32,
    sixteen: Sixteen,
}

impl<'f, 'a, W: Write + Seek> Builder<'f, 'a, W> {
    fn new(section: SectionWriter<'f, 'a, W>, width: Width) -> Self {
        let mut root = Root::new_zeroed();
        root.width = width.bits().into();
        let built = Built { root, sparse: Vec::new(), slots: Vec::new(), width };
        Self {
            built,
            section,
            chunks: Vec::with_capacity(PIECE + PIECE / 4),
            written: 0,
            eight: 0,
            few: Vec::with_capacity(MAX_SPARSE),
            in_block: false,
            key: 0,
            sixteen: Sixteen::default(),
        }
    }

    #[inline]
    fn push(&mut self, item: Answered<u32>) -> Result<(), WriteError> {
        let Span { first, last } = item.span;
        if self.in_block && first >> 16 == self.key && last >> 16 == self.key && !self.sixteen.is_empty() {
            self.sixteen.push(first as u16, last as u16, item.answer);
            return Ok(());
        }
        self.push_across(item)
    }

    /// A span that begins a /16 or reaches over the end of one.
    fn push_across(&mut self, item: Answered<u32>) -> Result<(), WriteError> {
        let Answered { span, answer } = item;
        for eight in span.first >> 24..=span.last >> 24 {
            let first = span.first.max(eight << 24);
            let last = span.last.min(eight << 24 | 0xff_ffff);
            self.push_in_eight(eight as u8, Answered { span: Span { first, last }, answer })?;
        }
        Ok(())
    }

    fn push_in_eight(&mut self, eight: u8, item: Answered<u32>) -> Result<(), WriteError> {
        if eight != self.eight {
            self.end_eight()?;
            self.eight = eight;
        }
        if self.in_block {
            return self.push_in_block(item);
        }
        if self.few.len() < MAX_SPARSE {
            self.few.push(item);
            return Ok(());
        }
        self.in_block = true;
        self.built.slots.resize(self.built.slots.len() + 256, EMPTY);
        let few = std::mem::take(&mut self.few);
        few.iter().chain([&item]).try_for_each(|&item| self.push_in_block(item))?;
        self.few = few;
        self.few.clear();
        Ok(())
    }

    fn push_in_block(&mut self, item: Answered<u32>) -> Result<(), WriteError> {
        for key in item.span.first >> 16..=item.span.last >> 16 {
            if key != self.key {
                self.end_sixteen()?;
                self.key = key;
            }
            let first = item.span.first.max(key << 16);
            let last = item.span.last.min(key << 16 | 0xffff);
            self.sixteen.push(first as u16, last as u16, item.answer);
        }
        Ok(())
    }

    fn end_sixteen(&mut self) -> Result<(), WriteError> {
        if self.sixteen.is_empty() {
            return Ok(());
        }
        let slot = self.sixteen.finish(self.built.width, self.written, &mut self.chunks)?;
        let block = self.built.slots.len() - 256;
        self.built.slots[block + (self.key & 0xff) as usize] = slot;
        if self.chunks.len() >= PIECE { self.put_chunks() } else { Ok(()) }
    }

    fn put_chunks(&mut self) -> Result<(), WriteError> {
        self.section.put(&self.chunks)?;
        self.written += self.chunks.len();
        self.chunks.clear();
        Ok(())
    }

    fn end_eight(&mut self) -> Result<(), WriteError> {
        let row = &mut self.built.root.eights[usize::from(self.eight)];
        if self.in_block {
            *row = entry(eight::BLOCK, 0, self.built.slots.len() - 256);
            self.end_sixteen()?;
            self.in_block = false;
            return Ok(());
        }
        match self.few[..] {
            [] => {}
            [Answered { span, answer }] if span.extent() == 0xff_ffff => {
                *row = entry(eight::WHOLE, 0, answer as usize);
            }
            _ => {
                *row = entry(eight::SPARSE, self.few.len() as u8, self.built.sparse.len());
                self.built.sparse.extend(self.few.iter().map(|&item| sparse(item.span, item.answer)));
            }
        }
        self.few.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Built, WriteError> {
        self.end_eight()?;
        if self.written + self.chunks.len() > 0 {
            self.chunks.extend_from_slice(&[0; PADDING]);
        }
        self.put_chunks()?;
        self.section.end()?;
        Ok(self.built)
    }
}

/// The slot of a /16 in which nothing is listed.
const EMPTY: Slot = Slot { place: U32::new(kind::EMPTY), answer: U32::new(0) };

fn entry(kind: u8, count: u8, value: usize) -> Eight {
    Eight { kind, count, reserved: 0.into(), value: (value as u32).into() }
}

fn sparse(Span { first, last }: Span<u32>, answer: AnswerId) -> Sparse {
    Sparse { first: first.into(), last: last.into(), answer: answer.into() }
}
