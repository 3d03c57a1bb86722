//! The reader: opens any octets as a snapshot and looks things up in place.

use super::{AnswerRef, Damaged, NameFound, RecordSets, SnapshotError};
use crate::compile::{AnswerId, Answered, ListData, ZoneData};
use crate::model::{ContentHash, Span};

/// A zone in service: octets that were checked as far as their layout goes.
#[derive(Debug)]
pub struct Snapshot<D> {
    data: D,
    zone: ZoneData,
    lists: Vec<ListData>,
    provenance: serde_json::Value,
    content: ContentHash,
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
    /// Nodes of the tree of names.
    pub names: u64,
    /// Answers.
    pub answers: u64,
    /// Values of single lists.
    pub values: u64,
}

impl<D: AsRef<[u8]>> Snapshot<D> {
    /// Checks header, section table and the bounds of the sections; reads zone, lists and provenance. Takes the same
    /// time whatever the number of entries. The hashes of the large sections are left to [`verify`](Self::verify).
    pub fn open(data: D) -> Result<Self, SnapshotError> {
        let _ = data;
        todo!()
    }

    /// Checks every hash and that nothing stands between the sections. Reads the whole file.
    pub fn verify(&self) -> Result<(), SnapshotError> {
        todo!()
    }

    /// The hash of the content: equal for zones that answer alike. Provenance and padding are no part of it.
    pub fn content_hash(&self) -> ContentHash {
        self.content
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
        todo!()
    }

    /// The answer for an IPv4 address.
    pub fn v4(&self, address: u32) -> Result<Option<AnswerId>, Damaged> {
        let _ = address;
        todo!()
    }

    /// [`v4`](Self::v4) of many addresses: their cache misses overlap. `answers[i]` is for `addresses[i]`.
    ///
    /// # Panics
    /// When the two differ in length.
    pub fn v4_batch(&self, addresses: &[u32], answers: &mut [Option<AnswerId>]) -> Result<(), Damaged> {
        assert_eq!(addresses.len(), answers.len(), "an answer for each address");
        todo!()
    }

    /// Whether anything is listed below the first octets of an address: none, /8, /16 or /24 (four: the address).
    pub fn v4_any(&self, octets: &[u8]) -> Result<bool, Damaged> {
        let _ = octets;
        todo!()
    }

    /// The listed spans in `within`, in order, cut off at its ends; neighbours with one answer are joined.
    pub fn v4_spans(&self, within: Span<u32>) -> impl Iterator<Item = Result<Answered<u32>, Damaged>> {
        let _ = within;
        std::iter::empty()
    }

    /// The answer for an IPv6 address.
    pub fn v6(&self, address: u128) -> Result<Option<AnswerId>, Damaged> {
        let _ = address;
        todo!()
    }

    /// Whether anything is listed in `span`.
    pub fn v6_any(&self, span: Span<u128>) -> Result<bool, Damaged> {
        let _ = span;
        todo!()
    }

    /// The listed spans in `within`, in order, cut off at its ends.
    pub fn v6_spans(&self, within: Span<u128>) -> impl Iterator<Item = Result<Answered<u128>, Damaged>> {
        let _ = within;
        std::iter::empty()
    }

    /// Whether it holds names.
    pub fn has_names(&self) -> bool {
        todo!()
    }

    /// What the zone says of a name relative to its origin: `labels` in lower-case wire form without the final zero
    /// octet (empty = the origin).
    pub fn name(&self, labels: &[u8]) -> Result<NameFound, Damaged> {
        let _ = labels;
        todo!()
    }

    /// An answer.
    pub fn answer(&self, id: AnswerId) -> Result<AnswerRef<'_>, Damaged> {
        let _ = id;
        todo!()
    }

    /// What one list says: the record sets behind the `value` of a [`Part`](crate::compile::Part).
    pub fn value(&self, id: u32) -> Result<RecordSets<'_>, Damaged> {
        let _ = id;
        todo!()
    }
}
