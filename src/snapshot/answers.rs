//! The answer table: record sets and the lists behind them.

use crate::compile::Part;
use crate::model::{Pieces, Rtype, Ttl};

/// One answer: which lists hit and the record sets that say so. Checked as a whole by
/// [`Snapshot::answer`](super::Snapshot::answer), so its iterators cannot fail.
#[derive(Debug, Clone, Copy)]
pub struct AnswerRef<'a> {
    _data: &'a [u8],
}

impl<'a> AnswerRef<'a> {
    /// The lists that hit, in their order.
    pub fn parts(&self) -> impl Iterator<Item = Part> + Clone + use<'a> {
        std::iter::empty()
    }

    /// All record sets.
    pub fn record_sets(&self) -> RecordSets<'a> {
        todo!()
    }
}

/// Record sets in order.
#[derive(Debug, Clone)]
pub struct RecordSets<'a> {
    _data: &'a [u8],
}

impl<'a> Iterator for RecordSets<'a> {
    type Item = RrSetRef<'a>;

    fn next(&mut self) -> Option<RrSetRef<'a>> {
        todo!()
    }
}

/// All records of one type.
#[derive(Debug, Clone, Copy)]
pub struct RrSetRef<'a> {
    /// Their type.
    pub rtype: Rtype,
    /// Their one TTL.
    pub ttl: Ttl,
    _data: &'a [u8],
}

impl<'a> RrSetRef<'a> {
    /// Their data in order.
    pub fn data(&self) -> Rdata<'a> {
        todo!()
    }
}

/// The data of the records of a set, in order.
#[derive(Debug, Clone)]
pub struct Rdata<'a> {
    _data: &'a [u8],
}

impl<'a> Iterator for Rdata<'a> {
    type Item = RdataRef<'a>;

    fn next(&mut self) -> Option<RdataRef<'a>> {
        todo!()
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
