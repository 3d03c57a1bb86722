//! What a zone says, and what of it a record type is given.

use super::{Records, Said};
use crate::model::{Rtype, Ttl};
use crate::snapshot::Damaged;

/// What a zone says about one question. That a question lies outside all zones is not a zone's to say.
#[derive(Debug, Clone)]
pub enum Verdict<'a> {
    /// Listed.
    Listed(Hit<'a>),
    /// Nothing here and nothing below.
    NotListed,
    /// Nothing here, something below (RFC 8020).
    EmptyNonTerminal,
    /// The origin itself, with what name lists say of it.
    Apex(Option<Hit<'a>>),
    /// No answer can be given.
    Unavailable(Trouble),
}

/// Why a zone has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Every list that can list is past its hard age.
    Expired,
    /// The snapshot is damaged where the question led.
    Damaged(Damaged),
}

/// What lists say of an address, of a name, or of both; or what lists and a local decision say.
#[derive(Debug, Clone)]
pub struct Hit<'a> {
    first: Said<'a>,
    second: Option<Said<'a>>,
}

impl<'a> Hit<'a> {
    pub(super) fn new(address: Option<Said<'a>>, name: Option<Said<'a>>) -> Option<Self> {
        match (address, name) {
            (Some(first), second) => Some(Self { first, second }),
            (None, Some(first)) => Some(Self { first, second: None }),
            (None, None) => None,
        }
    }

    /// What a local decision says alone.
    pub(super) fn local(said: Said<'a>) -> Self {
        Self { first: said, second: None }
    }

    /// The same, and what a local decision says besides. Of a question that lists have as an address and, most unlikely, as a
    /// name of digits as well, the name gives way: an answer with room for three would cost every question.
    pub(super) fn and_local(self, said: Said<'a>) -> Self {
        Self { second: Some(said), ..self }
    }

    /// The answers: at least one, at most two.
    pub fn said(&self) -> impl Iterator<Item = &Said<'a>> + Clone {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// The record set that stands for all types (RFC 8482): A if there is one, else the first.
    fn any(&self) -> Option<Rtype> {
        let mut types = self.said().flat_map(Said::sets).map(|set| set.rtype());
        let first = types.next()?;
        Some(if first == Rtype::A || types.any(|rtype| rtype == Rtype::A) { Rtype::A } else { first })
    }

    fn records(self, rtype: Rtype) -> Option<Records<'a>> {
        let rtype = if rtype == Rtype::ANY { self.any()? } else { rtype };
        // Another name answers for every type (RFC 1034 section 3.6.2).
        let (rtype, ttl) =
            [rtype, Rtype::CNAME].into_iter().find_map(|rtype| Some((rtype, self.ttl(rtype)?)))?;
        Some(Records { hit: self, rtype, ttl })
    }

    /// The TTL of its records of one type: the smallest (RFC 2181 section 5.2); `None` when it has none.
    fn ttl(&self, rtype: Rtype) -> Option<Ttl> {
        let sets = self.said().flat_map(Said::sets);
        sets.filter(|set| set.rtype() == rtype).map(|set| set.ttl()).min()
    }
}

/// What goes into a reply.
#[derive(Debug, Clone)]
pub enum Content<'a> {
    /// These records as the answer.
    Records(Records<'a>),
    /// The SOA record as the answer.
    Soa,
    /// The NS records as the answer.
    Ns,
    /// No answer; the SOA record as the authority (RFC 2308 section 2.2).
    NoData,
    /// The same with NXDOMAIN (RFC 2308 section 2.1).
    NxDomain,
    /// SERVFAIL.
    Unavailable(Trouble),
}

impl<'a> Verdict<'a> {
    /// What a question for `rtype` is given.
    pub fn content(self, rtype: Rtype) -> Content<'a> {
        match self {
            Self::Listed(hit) => hit.records(rtype).map_or(Content::NoData, Content::Records),
            Self::NotListed => Content::NxDomain,
            Self::EmptyNonTerminal => Content::NoData,
            // The zone's own SOA and NS go before any that a name list brings.
            Self::Apex(_) if rtype == Rtype::SOA => Content::Soa,
            Self::Apex(_) if rtype == Rtype::NS => Content::Ns,
            Self::Apex(hit) => match hit.and_then(|hit| hit.records(rtype)) {
                Some(records) => Content::Records(records),
                None if rtype == Rtype::ANY => Content::Soa,
                None => Content::NoData,
            },
            Self::Unavailable(trouble) => Content::Unavailable(trouble),
        }
    }

    /// Whether something is listed.
    pub fn is_listed(&self) -> bool {
        matches!(self, Self::Listed(_))
    }
}
