//! The fixed-size records of the file, little-endian and unaligned: what [`super`] specifies, as types.
//!
//! Nothing here is trusted: whoever reads an index from a record takes it with `get`.

use zerocopy::little_endian::{U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Damaged, Section};

/// Sections start at multiples of this; the header fills the first.
pub(super) const PAGE: usize = 4096;
pub(super) const MAGIC: [u8; 6] = *b"GPSNAP";
pub(super) const VERSION: u16 = 2;
/// A reader that does not know the section refuses the file.
pub(super) const CRITICAL: u32 = 1;
/// The section is no part of the content hash.
pub(super) const APART: u32 = 2;
/// Entries that fit into the first page.
pub(super) const MAX_SECTIONS: usize = (PAGE - size_of::<Header>()) / size_of::<Entry>();
/// Meta and provenance are read whole when a snapshot is opened; they may not be larger.
pub(super) const MAX_JSON: usize = 1 << 20;
/// "No answer" where an answer id stands.
pub(super) const NO_ANSWER: u32 = u32::MAX;

macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub(super) struct $name { $($(#[$field_doc])* pub(super) $field: $type,)* }
    };
}

record! {
    /// The start of the first page.
    Header {
        magic: [u8; 6],
        version: U16,
        header_len: U32,
        sections: U32,
        file_len: U64,
        content: [u8; 32],
        hash: [u8; 32],
        reserved: [u8; 8],
    }
}
record! {
    /// A row of the section table.
    Entry {
        id: U32,
        flags: U32,
        offset: U64,
        length: U64,
        hash: [u8; 32],
    }
}
record! {
    /// Section `v4-root`.
    Root {
        spans: U64,
        addresses: U64,
        /// Bits of an answer id in a chunk of mixed answers: 4, 8, 16 or 32.
        width: U32,
        reserved: U32,
        eights: [Eight; 256],
    }
}
record! {
    /// One /8.
    Eight {
        kind: u8,
        /// Spans, when it is sparse.
        count: u8,
        reserved: U16,
        /// An answer id, the index of the first sparse span, or the index of the first slot.
        value: U32,
    }
}
record! {
    /// A span of section `v4-sparse`.
    Sparse {
        first: U32,
        last: U32,
        answer: U32,
    }
}
record! {
    /// One /16 of a /8 that has a block of 256 slots.
    Slot {
        /// Bits 0 to 3: kind; bit 4: mixed; bits 5 to 31: the chunk's offset in units of eight octets.
        place: U32,
        /// The answer of all addresses; 0 when mixed.
        answer: U32,
    }
}
record! {
    /// A run of a chunk.
    Run {
        first: U16,
        last: U16,
    }
}
record! {
    /// The start of section `v6`.
    V6Head {
        spans: U64,
        blocks: U64,
    }
}
record! {
    /// Neighbouring spans of section `v6`.
    V6Block {
        /// The first address of the first of them.
        base: U128,
        /// Where their columns begin behind the blocks.
        offset: U64,
        /// A bit for each that does not begin with zeros and end with ones in its lower `shift` bits.
        odd: U64,
        /// The least answer of them.
        answer: U32,
        /// Spans.
        count: u8,
        /// Lower bits that are not in the first two columns.
        shift: u8,
        /// Bits of each number in a column: where a span begins, how far it goes, its answer.
        first_bits: u8,
        extent_bits: u8,
        answer_bits: u8,
        reserved: [u8; 3],
    }
}
record! {
    /// The start of section `names`.
    NamesHead {
        nodes: U32,
        directory_bits: U32,
        root: U32,
        octets: U32,
        listed: U32,
        /// Octets of an answer id in a node.
        width: U32,
    }
}
record! {
    /// The start of a node of section `names`; its two answers follow.
    NodeHead {
        tag: U16,
        name: U32,
        len: u8,
    }
}
record! {
    /// The start of section `answers`.
    AnswersHead {
        answers: U32,
        parts: U32,
        values: U32,
        refs: U32,
        sets: U32,
        octets: U32,
    }
}
record! {
    /// One answer.
    AnswerRow {
        first_ref: U32,
        first_part: U32,
        refs: U16,
        parts: U16,
    }
}
record! {
    /// One list's part of an answer.
    PartRow {
        list: U16,
        reserved: U16,
        value: U32,
    }
}
record! {
    /// What one list says.
    ValueRow {
        first_ref: U32,
        refs: U16,
        reserved: U16,
    }
}
record! {
    /// A record set.
    SetRow {
        rtype: U16,
        kind: u8,
        reserved: u8,
        ttl: U32,
        offset: U32,
        length: U32,
        count: U16,
        reserved_2: U16,
    }
}

/// Kinds of [`Eight`].
pub(super) mod eight {
    pub(crate) const NOTHING: u8 = 0;
    pub(crate) const WHOLE: u8 = 1;
    pub(crate) const SPARSE: u8 = 2;
    pub(crate) const BLOCK: u8 = 3;
}

/// Section ids with their flags: all that this version knows.
pub(super) const KNOWN: [(Section, u32); 9] = [
    (Section::META, CRITICAL),
    (Section::PROVENANCE, APART),
    (Section::ANSWERS, CRITICAL),
    (Section::V4_ROOT, CRITICAL),
    (Section::V4_SPARSE, CRITICAL),
    (Section::V4_SLOTS, CRITICAL),
    (Section::V4_CHUNKS, CRITICAL),
    (Section::V6, CRITICAL),
    (Section::NAMES, CRITICAL),
];

/// `rows` whole records.
pub(super) fn rows<T>(octets: &[u8], section: Section) -> Result<&[T], Damaged>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    <[T]>::ref_from_bytes(octets).map_err(|_| Damaged(section))
}

/// One record of a section that is a row of them.
#[inline]
pub(super) fn record<T>(octets: &[u8], index: u32, section: Section) -> Result<&T, Damaged>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    let start = (index as usize).checked_mul(size_of::<T>()).ok_or(Damaged(section))?;
    let octets = octets.get(start..start.wrapping_add(size_of::<T>())).ok_or(Damaged(section))?;
    T::ref_from_bytes(octets).map_err(|_| Damaged(section))
}

/// Cuts `count` records off the front of `octets`.
pub(super) fn take<'a, T>(octets: &mut &'a [u8], count: usize, section: Section) -> Result<&'a [T], Damaged>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    let len = count.checked_mul(size_of::<T>()).ok_or(Damaged(section))?;
    let (head, tail) = octets.split_at_checked(len).ok_or(Damaged(section))?;
    *octets = tail;
    rows(head, section)
}
