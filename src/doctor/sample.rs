//! What a resolver is asked of a zone: a name that is listed there, with what it answers, and one that is not.
//!
//! Reads the zone as it is in service. Never: asking.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::model::{Name, Rtype, Span, Ttl};
use crate::snapshot::{Mapped, RdataRef};
use crate::zone::{Content, Zone};

/// Entries that are looked at for one that is listed: expired lists and local decisions take some out.
const TRIES: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// What is listed, as people write it: `127.0.0.2`.
    pub(crate) subject: String,
    /// Its name in the zone.
    pub(crate) listed: Name,
    /// What it answers.
    pub(crate) answers: Vec<Ipv4Addr>,
    /// For how long, in seconds.
    pub(crate) ttl: Ttl,
    /// The name of 127.0.0.1, which is not listed.
    pub(crate) unlisted: Option<Name>,
}

impl Sample {
    /// The test point where it is listed, else some entry. `None` when nothing is in service.
    pub(crate) fn of(origin: &Name, data: &Zone<Mapped>) -> Option<Self> {
        let sample = |subject: String, labels: &[u8]| {
            let (answers, ttl) = answers(data, labels)?;
            let listed = named(labels)?.below(origin)?;
            let home = reversed(Ipv4Addr::LOCALHOST);
            let unlisted = data.verdict(&home).content(Rtype::A);
            let unlisted = matches!(unlisted, Content::NxDomain).then(|| named(&home)?.below(origin));
            Some(Self { subject, listed, answers, ttl, unlisted: unlisted.flatten() })
        };
        let of_address = |address: Ipv4Addr| sample(address.to_string(), &reversed(address));
        let of_points = of_address(Ipv4Addr::new(127, 0, 0, 2));
        let snapshot = data.snapshot();
        let addresses = || snapshot.v4_spans(Span { first: 0, last: u32::MAX }).flatten().take(TRIES);
        let of_addresses = || addresses().find_map(|found| of_address(found.span.first.into()));
        let v6 = || snapshot.v6_spans(Span { first: 0, last: u128::MAX }).flatten().take(TRIES);
        let of_v6 = |address: Ipv6Addr| sample(address.to_string(), &nibbles(address));
        let of_v6_addresses = || v6().find_map(|found| of_v6(found.span.first.into()));
        let names = || snapshot.stored_names().flatten().take(TRIES);
        let of_names = || names().find_map(|name| sample(named(name.labels)?.to_string(), name.labels));
        of_points.or_else(of_addresses).or_else(of_v6_addresses).or_else(of_names)
    }

    /// Another name that is listed, with what it answers: any of them, so that hardly anybody has asked for it lately.
    pub(crate) fn another(&self, origin: &Name, data: &Zone<Mapped>) -> Option<(Name, Vec<Ipv4Addr>)> {
        let any = RandomState::new().hash_one(origin);
        let of = |labels: &[u8]| {
            let name = named(labels)?.below(origin).filter(|name| *name != self.listed)?;
            let (answers, _) = answers(data, labels)?;
            Some((name, answers))
        };
        let snapshot = data.snapshot();
        let pivot = any as u32;
        let v4 = |first, last| snapshot.v4_spans(Span { first, last }).flatten().take(TRIES);
        let of_v4 = v4(pivot, u32::MAX).chain(v4(0, pivot)).find_map(|found| {
            let Span { first, last } = found.span;
            of(&reversed((first + pivot % (last - first).saturating_add(1)).into()))
        });
        let v6 = || snapshot.v6_spans(Span { first: 0, last: u128::MAX }).flatten().take(TRIES);
        let of_v6 = || {
            v6().find_map(|found| {
                let Span { first, last } = found.span;
                of(&nibbles((first + u128::from(any) % (last - first).saturating_add(1)).into()))
            })
        };
        let of_names = || snapshot.stored_names().flatten().take(TRIES).find_map(|name| of(name.labels));
        of_v4.or_else(of_v6).or_else(of_names)
    }
}

fn named(labels: &[u8]) -> Option<Name> {
    Name::from_wire(&[labels, &[0]].concat())
}

/// The labels of an address.
fn reversed(address: Ipv4Addr) -> Vec<u8> {
    let octets = address.octets().map(|octet| octet.to_string());
    octets.iter().rev().flat_map(|octet| [&[octet.len() as u8], octet.as_bytes()].concat()).collect()
}

/// The labels of an IPv6 address.
fn nibbles(address: Ipv6Addr) -> Vec<u8> {
    let digits = format!("{:032x}", u128::from(address));
    digits.bytes().rev().flat_map(|digit| [1, digit]).collect()
}

/// What a name answers, if anything, and for how long.
fn answers(zone: &Zone<Mapped>, labels: &[u8]) -> Option<(Vec<Ipv4Addr>, Ttl)> {
    let verdict = zone.verdict(labels);
    let Content::Records(records) = verdict.content(Rtype::A) else { return None };
    if records.rtype() != Rtype::A {
        return None;
    }
    let addresses = records.iter().filter_map(|datum| match datum.rdata {
        RdataRef::Wire(octets) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        RdataRef::Text(_) => None,
    });
    let addresses: Vec<Ipv4Addr> = addresses.collect();
    (!addresses.is_empty()).then_some((addresses, records.ttl()))
}
