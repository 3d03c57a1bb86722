//! What a resolver is asked of a zone: a name that is listed there, with what it answers, and one that is not.
//!
//! Reads the zone as it is in service. Never: asking.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::view::ZoneView;
use crate::model::{Name, Rtype, Span};
use crate::snapshot::{Mapped, RdataRef};
use crate::zone::{Content, Zone};

/// Entries that are looked at for one that is listed: expired lists and local decisions take some out.
const TRIES: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// What is listed, as people write it: `127.0.0.2`.
    pub(super) subject: String,
    /// Its name in the zone.
    pub(super) listed: Name,
    /// What it answers.
    pub(super) answers: Vec<Ipv4Addr>,
    /// The name of 127.0.0.1, which is not listed.
    pub(super) unlisted: Option<Name>,
}

impl Sample {
    /// The test point where it is listed, else some entry. `None` when nothing is in service.
    pub(super) fn of(zone: &ZoneView) -> Option<Self> {
        let data = zone.answering()?;
        let sample = |subject: String, labels: &[u8]| {
            let answers = answers(data, labels).filter(|answers| !answers.is_empty())?;
            let listed = named(labels)?.below(zone.origin())?;
            let home = reversed(Ipv4Addr::LOCALHOST);
            let unlisted = data.verdict(&home).content(Rtype::A);
            let unlisted = matches!(unlisted, Content::NxDomain).then(|| named(&home)?.below(zone.origin()));
            Some(Self { subject, listed, answers, unlisted: unlisted.flatten() })
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

fn answers(zone: &Zone<Mapped>, labels: &[u8]) -> Option<Vec<Ipv4Addr>> {
    let verdict = zone.verdict(labels);
    let Content::Records(records) = verdict.content(Rtype::A) else { return None };
    if records.rtype() != Rtype::A {
        return None;
    }
    let addresses = records.iter().filter_map(|datum| match datum.rdata {
        RdataRef::Wire(octets) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        RdataRef::Text(_) => None,
    });
    Some(addresses.collect())
}
