//! The reader: opens any octets as a snapshot and looks things up in place.

use std::ops::Range;

use super::answers::Answers;
use super::header::{self, Table};
use super::names::Names;
use super::v4::{self, V4};
use super::v6::V6;
use super::{AnswerRef, Damaged, NameFound, RecordSets, Section, SnapshotError, StoredName, verify};
use crate::compile::{AnswerId, Answered, ListData, ZoneData};
use crate::model::{ContentHash, Span};

/// A zone in service: octets that were checked as far as their layout goes. Cheap to ask, from many threads at once.
#[derive(Debug)]
pub struct Snapshot<D> {
    data: D,
    table: Table,
    places: Places,
    zone: ZoneData,
    lists: Vec<ListData>,
    provenance: serde_json::Value,
    counts: Counts,
}

/// Where the sections are that are asked all the time; empty when a section is not there.
#[derive(Debug)]
struct Places {
    v4: v4::Places,
    v6: Range<usize>,
    names: Range<usize>,
    answers: Range<usize>,
}

/// How much is in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// IPv4 spans, neighbours with one answer joined.
    pub v4_spans: u64,
    /// IPv4 addresses in them.
    pub v4_addresses: u64,
    /// IPv6 spans.
    pub v6_spans: u64,
    /// Names that answer, for themselves or for those below them.
    pub names: u64,
    /// Answers.
    pub answers: u64,
    /// Values of single lists.
    pub values: u64,
}

/// The JSON of section `meta`.
#[derive(serde::Deserialize)]
struct Meta {
    zone: ZoneData,
    lists: Vec<ListData>,
}

impl<D: AsRef<[u8]>> Snapshot<D> {
    /// Checks header, section table and the bounds of the sections; reads zone, lists and provenance. Takes the same
    /// time whatever the number of entries. The hashes of the large sections are left to [`verify`](Self::verify).
    pub fn open(data: D) -> Result<Self, SnapshotError> {
        let octets = data.as_ref();
        let table = header::open(octets)?;
        let meta: Meta = json(&table, octets, Section::META)?;
        let provenance = json(&table, octets, Section::PROVENANCE)?;
        let place = |section| table.place(section).unwrap_or_default();
        if place(Section::ANSWERS).is_empty() {
            return Err(SnapshotError::Missing(Section::ANSWERS));
        }
        let places = Places {
            v4: v4::Places::new(octets, place)?,
            v6: place(Section::V6),
            names: place(Section::NAMES),
            answers: place(Section::ANSWERS),
        };
        let (zone, lists, counts) = (meta.zone, meta.lists, Counts::default());
        let mut snapshot = Self { data, table, places, zone, lists, provenance, counts };
        snapshot.counts = snapshot.count()?;
        Ok(snapshot)
    }

    /// Looks at the head of every section.
    fn count(&self) -> Result<Counts, SnapshotError> {
        let v4 = self.v4_sections()?;
        let answers = self.answers()?;
        Ok(Counts {
            v4_spans: v4.map_or(0, |v4| v4.root.spans.get()),
            v4_addresses: v4.map_or(0, |v4| v4.root.addresses.get()),
            v6_spans: self.v6_section()?.len(),
            names: self.names()?.map_or(0, |names| names.listed()),
            answers: answers.len() as u64,
            values: answers.values() as u64,
        })
    }

    /// Checks every hash and that nothing stands between the sections. Reads the whole file.
    pub fn verify(&self) -> Result<(), SnapshotError> {
        verify::verify(self.data.as_ref(), &self.table)
    }

    /// The same where the octets may have been changed since they were opened: what was read of them then must hold, too.
    pub fn verify_again(&self) -> Result<(), SnapshotError> {
        if header::open(self.data.as_ref())? != self.table {
            return Err(SnapshotError::Foreign);
        }
        self.verify()
    }

    /// The hash of the content: equal for zones that answer alike. Provenance and padding are no part of it.
    pub fn content_hash(&self) -> ContentHash {
        self.table.content
    }

    /// The sections and their octets, in the order of the table.
    pub fn sections(&self) -> impl Iterator<Item = (Section, u64)> + '_ {
        self.table.entries.iter().map(|entry| (entry.section, entry.place.len() as u64))
    }

    /// What the zone says of itself.
    pub fn zone(&self) -> &ZoneData {
        &self.zone
    }

    /// The lists in it; index = the `list` of a [`Part`](crate::compile::Part).
    pub fn lists(&self) -> &[ListData] {
        &self.lists
    }

    /// Where the data came from.
    pub fn provenance(&self) -> &serde_json::Value {
        &self.provenance
    }

    /// The octets.
    pub fn data(&self) -> &D {
        &self.data
    }

    /// How much is in it.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The answer for an IPv4 address.
    #[inline]
    pub fn v4(&self, address: u32) -> Result<Option<AnswerId>, Damaged> {
        let Some(v4) = self.v4_sections()? else { return Ok(None) };
        Ok(v4.find(address)?.answer())
    }

    /// [`v4`](Self::v4) of many addresses: their cache misses overlap. `answers[i]` is for `addresses[i]`. After an
    /// error `answers` says nothing; single calls tell which address it was.
    ///
    /// # Panics
    /// When the two differ in length.
    pub fn v4_batch(&self, addresses: &[u32], answers: &mut [Option<AnswerId>]) -> Result<(), Damaged> {
        assert_eq!(addresses.len(), answers.len(), "an answer for each address");
        let Some(v4) = self.v4_sections()? else {
            answers.fill(None);
            return Ok(());
        };
        v4.find_batch(addresses, answers)
    }

    /// Whether anything is listed below the first octets of an address: none, /8, /16 or /24 (four: the address).
    pub fn v4_any(&self, octets: &[u8]) -> Result<bool, Damaged> {
        self.v4_sections()?.map_or(Ok(false), |v4| v4.any(octets))
    }

    /// The listed spans in `within`, in order, cut off at its ends; neighbours with one answer are joined. Ends after
    /// an error.
    pub fn v4_spans(&self, within: Span<u32>) -> impl Iterator<Item = Result<Answered<u32>, Damaged>> {
        let (spans, damaged) = match self.v4_sections() {
            Ok(v4) => (v4.map(|v4| v4.spans(within)), None),
            Err(damaged) => (None, Some(Err(damaged))),
        };
        damaged.into_iter().chain(spans.into_iter().flatten())
    }

    /// The answer for an IPv6 address.
    pub fn v6(&self, address: u128) -> Result<Option<AnswerId>, Damaged> {
        self.v6_section()?.find(address)
    }

    /// Whether anything is listed in `span`.
    pub fn v6_any(&self, span: Span<u128>) -> Result<bool, Damaged> {
        self.v6_section()?.any(span)
    }

    /// The listed spans in `within`, in order, cut off at its ends; neighbours with one answer are joined. Ends after
    /// an error.
    pub fn v6_spans(&self, within: Span<u128>) -> impl Iterator<Item = Result<Answered<u128>, Damaged>> {
        let (spans, damaged) = match self.v6_section() {
            Ok(v6) => (Some(v6.spans(within)), None),
            Err(damaged) => (None, Some(Err(damaged))),
        };
        damaged.into_iter().chain(spans.into_iter().flatten())
    }

    /// Whether it holds names.
    pub fn has_names(&self) -> bool {
        !self.places.names.is_empty()
    }

    /// What the zone says of a name relative to its origin: `labels` in lower-case wire form without the final zero
    /// octet (empty = the origin). What is no name in wire form is not listed.
    pub fn name(&self, labels: &[u8]) -> Result<NameFound, Damaged> {
        self.names()?.map_or(Ok(NameFound::NOTHING), |names| names.find(labels))
    }

    /// Every node of the tree of names, in no order that means anything. What ancestors say of names below them is
    /// already in each node.
    pub fn stored_names(&self) -> impl Iterator<Item = Result<StoredName<'_>, Damaged>> {
        let (names, damaged) = match self.names() {
            Ok(names) => (names.map(Names::nodes), None),
            Err(damaged) => (None, Some(Err(damaged))),
        };
        damaged.into_iter().chain(names.into_iter().flatten())
    }

    /// An answer.
    pub fn answer(&self, id: AnswerId) -> Result<AnswerRef<'_>, Damaged> {
        self.answers()?.answer(id)
    }

    /// What one list says: the record sets behind the `value` of a [`Part`](crate::compile::Part).
    pub fn value(&self, id: u32) -> Result<RecordSets<'_>, Damaged> {
        self.answers()?.value(id)
    }

    #[inline]
    pub(super) fn v4_sections(&self) -> Result<Option<V4<'_>>, Damaged> {
        V4::new(self.data.as_ref(), &self.places.v4)
    }

    fn v6_section(&self) -> Result<V6<'_>, Damaged> {
        V6::new(self.section(&self.places.v6, Section::V6)?)
    }

    fn names(&self) -> Result<Option<Names<'_>>, Damaged> {
        if self.places.names.is_empty() {
            return Ok(None);
        }
        Names::new(self.section(&self.places.names, Section::NAMES)?).map(Some)
    }

    fn answers(&self) -> Result<Answers<'_>, Damaged> {
        Answers::new(self.section(&self.places.answers, Section::ANSWERS)?)
    }

    fn section(&self, place: &Range<usize>, section: Section) -> Result<&[u8], Damaged> {
        self.data.as_ref().get(place.clone()).ok_or(Damaged(section))
    }
}

/// A small section that is read whole; its hash is checked first.
fn json<T: serde::de::DeserializeOwned>(
    table: &Table,
    octets: &[u8],
    section: Section,
) -> Result<T, SnapshotError> {
    let entry = table.entry(section).ok_or(SnapshotError::Missing(section))?;
    if entry.place.len() > super::layout::MAX_JSON {
        return Err(SnapshotError::Section(section));
    }
    let text = verify::section(octets, entry)?;
    serde_json::from_slice(text).map_err(|_| SnapshotError::Section(section))
}
