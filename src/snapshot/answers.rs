//! The answer table: what is said for an address or name, and by which lists.
//!
//! [`Answers`] reads the section, [`encode`] makes it. An answer is checked as a whole when it is taken, so that what
//! comes out of an [`AnswerRef`] cannot fail half-way.

use std::collections::HashMap;

use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use super::layout::{AnswerRow, AnswersHead, PartRow, SetRow, ValueRow, take};
use super::{Damaged, Section, WriteError};
use crate::compile::{Answer, AnswerId, Part};
use crate::model::{Pieces, RrData, RrSet, Rtype, Ttl};

const DAMAGED: Damaged = Damaged(Section::ANSWERS);
/// Data behind one answer or value at most, so that checking it takes bounded time. A DNS message holds less.
const MAX_OCTETS: usize = 1 << 20;
/// Kinds of record sets.
const WIRE: u8 = 0;
const TEXTS: u8 = 1;

/// The section, read in place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers<'a> {
    answers: &'a [AnswerRow],
    parts: &'a [PartRow],
    values: &'a [ValueRow],
    refs: &'a [U32],
    sets: &'a [SetRow],
    octets: &'a [u8],
}

impl<'a> Answers<'a> {
    pub(super) fn new(mut section: &'a [u8]) -> Result<Self, Damaged> {
        let id = Section::ANSWERS;
        let [head] = take::<AnswersHead>(&mut section, 1, id)? else { return Err(DAMAGED) };
        let rest = &mut section;
        let all = Self {
            answers: take(rest, head.answers.get() as usize, id)?,
            parts: take(rest, head.parts.get() as usize, id)?,
            values: take(rest, head.values.get() as usize, id)?,
            refs: take(rest, head.refs.get() as usize, id)?,
            sets: take(rest, head.sets.get() as usize, id)?,
            octets: take(rest, head.octets.get() as usize, id)?,
        };
        if rest.is_empty() { Ok(all) } else { Err(DAMAGED) }
    }

    pub(super) fn len(self) -> usize {
        self.answers.len()
    }

    pub(super) fn values(self) -> usize {
        self.values.len()
    }

    pub(super) fn answer(self, id: AnswerId) -> Result<AnswerRef<'a>, Damaged> {
        let row = self.answers.get(id as usize).ok_or(DAMAGED)?;
        let parts = span(self.parts, row.first_part.get(), row.parts.get())?;
        Ok(AnswerRef { parts, sets: self.record_sets(row.first_ref.get(), row.refs.get())? })
    }

    pub(super) fn value(self, id: u32) -> Result<RecordSets<'a>, Damaged> {
        let row = self.values.get(id as usize).ok_or(DAMAGED)?;
        self.record_sets(row.first_ref.get(), row.refs.get())
    }

    /// Checks every record set, record and piece behind the references.
    fn record_sets(self, first: u32, count: u16) -> Result<RecordSets<'a>, Damaged> {
        let refs = span(self.refs, first, count)?;
        let sets = RecordSets { refs, sets: self.sets, octets: self.octets };
        let mut octets = 0;
        for at in refs {
            let set = sets.set(at).ok_or(DAMAGED)?;
            octets += set.data.octets.len();
            if octets > MAX_OCTETS || !set.data().is_whole() {
                return Err(DAMAGED);
            }
        }
        Ok(sets)
    }
}

fn span<T>(rows: &[T], first: u32, count: u16) -> Result<&[T], Damaged> {
    let first = first as usize;
    rows.get(first..first + usize::from(count)).ok_or(DAMAGED)
}

/// One answer: which lists hit and the record sets that say so. Checked as a whole by
/// [`Snapshot::answer`](super::Snapshot::answer), so its iterators cannot fail.
#[derive(Debug, Clone, Copy)]
pub struct AnswerRef<'a> {
    parts: &'a [PartRow],
    sets: RecordSets<'a>,
}

impl<'a> AnswerRef<'a> {
    /// The lists that hit, in their order.
    pub fn parts(&self) -> impl Iterator<Item = Part> + Clone + use<'a> {
        self.parts.iter().map(|row| Part { list: row.list.get(), value: row.value.get() })
    }

    /// All record sets.
    pub fn record_sets(&self) -> RecordSets<'a> {
        self.sets
    }
}

/// Record sets in order.
#[derive(Debug, Clone, Copy)]
pub struct RecordSets<'a> {
    refs: &'a [U32],
    sets: &'a [SetRow],
    octets: &'a [u8],
}

impl<'a> RecordSets<'a> {
    fn set(&self, at: &U32) -> Option<RrSetRef<'a>> {
        let row = self.sets.get(at.get() as usize)?;
        let start = row.offset.get() as usize;
        let octets = self.octets.get(start..start.checked_add(row.length.get() as usize)?)?;
        let text = match row.kind {
            WIRE => false,
            TEXTS => true,
            _ => return None,
        };
        let data = Rdata { octets, left: row.count.get(), text };
        Some(RrSetRef { rtype: Rtype(row.rtype.get()), ttl: row.ttl.get(), data })
    }
}

impl<'a> Iterator for RecordSets<'a> {
    type Item = RrSetRef<'a>;

    fn next(&mut self) -> Option<RrSetRef<'a>> {
        let (at, rest) = self.refs.split_first()?;
        self.refs = rest;
        self.set(at)
    }
}

/// All records of one type.
#[derive(Debug, Clone, Copy)]
pub struct RrSetRef<'a> {
    /// Their type.
    pub rtype: Rtype,
    /// Their one TTL.
    pub ttl: Ttl,
    data: Rdata<'a>,
}

impl<'a> RrSetRef<'a> {
    /// Their data in order.
    pub fn data(&self) -> Rdata<'a> {
        self.data
    }
}

/// The data of the records of a set, in order.
#[derive(Debug, Clone, Copy)]
pub struct Rdata<'a> {
    octets: &'a [u8],
    left: u16,
    text: bool,
}

impl<'a> Rdata<'a> {
    /// Whether every record and every piece of a text ends where it says, and the last where the octets end.
    fn is_whole(mut self) -> bool {
        while self.left > 0 {
            match self.next_stored() {
                Some(data) if !self.text || are_whole(data) => {}
                _ => return false,
            }
        }
        self.octets.is_empty()
    }

    fn next_stored(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (len, rest) = self.octets.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        self.octets = rest;
        Some(data)
    }
}

/// Whether the pieces of a text end where the last of them says.
fn are_whole(mut pieces: &[u8]) -> bool {
    while let Some((&len, rest)) = pieces.split_first() {
        let Some(rest) = rest.get(usize::from(len)..) else { return false };
        pieces = rest;
    }
    true
}

impl<'a> Iterator for Rdata<'a> {
    type Item = RdataRef<'a>;

    fn next(&mut self) -> Option<RdataRef<'a>> {
        let data = self.next_stored()?;
        Some(if self.text { RdataRef::Text(Pieces::new(data)) } else { RdataRef::Wire(data) })
    }
}

/// The data of one record.
#[derive(Clone)]
pub enum RdataRef<'a> {
    /// RDATA in wire form, names in it uncompressed.
    Wire(&'a [u8]),
    /// A TXT record of one text with the subject to be put in.
    Text(Pieces<'a>),
}

/// The octets of section `answers`.
pub(super) fn encode(answers: &[Answer], values: &[Vec<RrSet>]) -> Result<Vec<u8>, WriteError> {
    let mut table = Table::default();
    let mut answer_rows = Vec::with_capacity(answers.len());
    let mut parts = Vec::new();
    for answer in answers {
        let (first_ref, refs) = table.refer(&answer.records)?;
        answer_rows.push(AnswerRow {
            first_ref: first_ref.into(),
            first_part: fit::<_, u32>(parts.len())?.into(),
            refs: refs.into(),
            parts: fit::<_, u16>(answer.parts.len())?.into(),
        });
        parts.extend(answer.parts.iter().map(|part| PartRow {
            list: part.list.into(),
            reserved: 0.into(),
            value: part.value.into(),
        }));
    }
    let mut value_rows = Vec::with_capacity(values.len());
    for value in values {
        let (first_ref, refs) = table.refer(value)?;
        value_rows.push(ValueRow { first_ref: first_ref.into(), refs: refs.into(), reserved: 0.into() });
    }
    let head = AnswersHead {
        answers: fit::<_, u32>(answer_rows.len())?.into(),
        parts: fit::<_, u32>(parts.len())?.into(),
        values: fit::<_, u32>(value_rows.len())?.into(),
        refs: fit::<_, u32>(table.refs.len())?.into(),
        sets: fit::<_, u32>(table.sets.len())?.into(),
        octets: fit::<_, u32>(table.octets.len())?.into(),
    };
    let pieces = [
        head.as_bytes(),
        answer_rows.as_bytes(),
        parts.as_bytes(),
        value_rows.as_bytes(),
        table.refs.as_bytes(),
        table.sets.as_bytes(),
        &table.octets,
    ];
    Ok(pieces.concat())
}

/// Record sets in the making: equal ones, and equal rows of them, are stored once.
#[derive(Default)]
struct Table<'a> {
    sets: Vec<SetRow>,
    octets: Vec<u8>,
    known_sets: HashMap<&'a RrSet, u32>,
    refs: Vec<U32>,
    known_refs: HashMap<&'a [RrSet], u32>,
}

impl<'a> Table<'a> {
    /// The references to `sets`: the first and how many.
    fn refer(&mut self, sets: &'a [RrSet]) -> Result<(u32, u16), WriteError> {
        let count = fit(sets.len())?;
        if let Some(&first) = self.known_refs.get(sets) {
            return Ok((first, count));
        }
        let first = fit(self.refs.len())?;
        let mut octets = 0;
        for set in sets {
            let row = self.set(set)?;
            octets += self.sets[row as usize].length.get() as usize;
            self.refs.push(row.into());
        }
        if octets > MAX_OCTETS {
            return Err(WriteError::TooLarge(Section::ANSWERS));
        }
        self.known_refs.insert(sets, first);
        Ok((first, count))
    }

    fn set(&mut self, set: &'a RrSet) -> Result<u32, WriteError> {
        if let Some(&row) = self.known_sets.get(set) {
            return Ok(row);
        }
        let row = fit(self.sets.len())?;
        let start = self.octets.len();
        let (kind, count) = match &set.data {
            RrData::Wire(records) => {
                records.iter().try_for_each(|data| self.datum(data))?;
                (WIRE, records.len())
            }
            RrData::Texts(texts) => {
                texts.iter().try_for_each(|text| self.datum(text.as_pieces()))?;
                (TEXTS, texts.len())
            }
        };
        self.sets.push(SetRow {
            rtype: set.rtype.0.into(),
            kind,
            reserved: 0,
            ttl: set.ttl.into(),
            offset: fit::<_, u32>(start)?.into(),
            length: fit::<_, u32>(self.octets.len() - start)?.into(),
            count: fit::<_, u16>(count)?.into(),
            reserved_2: 0.into(),
        });
        self.known_sets.insert(set, row);
        Ok(row)
    }

    fn datum(&mut self, data: &[u8]) -> Result<(), WriteError> {
        let len: u16 = fit(data.len())?;
        self.octets.extend_from_slice(&len.to_le_bytes());
        self.octets.extend_from_slice(data);
        Ok(())
    }
}

fn fit<T, U: TryFrom<T>>(number: T) -> Result<U, WriteError> {
    U::try_from(number).map_err(|_| WriteError::TooLarge(Section::ANSWERS))
}

#[cfg(test)]
mod tests;
