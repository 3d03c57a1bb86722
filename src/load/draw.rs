//! Questions about a zone whose content is known: some for what it lists, the rest for what it does not.
//!
//! The expectation of each is the zone's own verdict, so that exclusions and overlaps are as in service.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::questions::{Expected, Questions};
use super::random::Random;
use crate::model::{Address, Name, Rtype, Span};
use crate::snapshot::{Damaged, RdataRef, StoredName};
use crate::wire::Rcode;
use crate::zone::{Content, Datum, Records, TextBuf, Verdict, Zone};

/// How often something that is not listed is looked for before there seems to be nothing.
const TRIES: usize = 10_000;

/// Global unicast, where IPv6 addresses that are not listed are looked for.
pub(super) const UNICAST: Span<u128> = Span { first: 0x2000 << 112, last: (0x4000 << 112) - 1 };

/// What to draw.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    /// How many questions.
    pub questions: usize,
    /// Percent of them for something that is listed.
    pub hit_share: f64,
    /// The type asked for.
    pub rtype: Rtype,
    /// The data of records must be those of the zone; otherwise it is enough that there are some.
    pub exact: bool,
}

/// Why questions cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// Nothing is listed.
    #[error("nothing in it is listed")]
    Nothing,
    /// Everything that was tried is listed.
    #[error("nothing was found that is not listed: ask for hits alone")]
    Everything,
    /// The snapshot is damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

/// Something that can be asked for: its labels below the origin, in wire form without the final zero octet.
pub(super) type Labels = Vec<u8>;

/// Draws questions: each span and each name of the zone is as likely as any other, in an order that is always the same.
pub fn draw<D: AsRef<[u8]>>(zone: &Zone<D>, draw: &Draw, into: &mut Questions) -> Result<(), DrawError> {
    let mut random = Random::new(1);
    let counts = zone.snapshot().counts();
    let kinds = [counts.v4_spans, counts.v6_spans, counts.names];
    let entries: u64 = kinds.iter().sum();
    if entries == 0 {
        return Err(DrawError::Nothing);
    }
    let hits = (draw.questions as f64 * draw.hit_share / 100.0).round() as usize;
    let mut drawn = listed(zone, entries, hits, &mut random)?;
    while drawn.len() < draw.questions {
        drawn.push(unlisted(zone, &kinds, entries, &mut random)?);
    }
    random.shuffle(&mut drawn);
    for labels in drawn {
        let Some(name) = below(zone.origin(), &labels) else { continue };
        let verdict = zone.verdict(&labels);
        let expected = match draw.exact {
            true => exactly(verdict.content(draw.rtype)),
            false => roughly(&verdict, draw.rtype),
        };
        into.push(&name, draw.rtype, expected);
    }
    Ok(())
}

/// `hits` things that are listed.
fn listed<D: AsRef<[u8]>>(
    zone: &Zone<D>,
    entries: u64,
    hits: usize,
    random: &mut Random,
) -> Result<Vec<Labels>, DrawError> {
    // Places among all entries, in order, so that one walk finds them however many entries there are.
    let mut places: Vec<u64> = (0..hits).map(|_| random.below(entries)).collect();
    places.sort_unstable();
    let mut places = places.into_iter().peekable();
    let mut drawn = Vec::with_capacity(hits);
    let mut place = 0;
    for entry in all_of(zone) {
        let entry = entry?;
        if matches!(entry, Entry::Name(stored) if stored.exact.or(stored.below).is_none()) {
            continue;
        }
        while places.next_if_eq(&place).is_some() {
            drawn.push(match entry {
                Entry::V4(span) => v4(within_v4(span, random)),
                Entry::V6(span) => v6(within_v6(span, random)),
                // Some names stand for those below them alone.
                Entry::Name(name) if zone.verdict(name.labels).is_listed() => name.labels.to_vec(),
                Entry::Name(name) => under(name.labels, random),
            });
        }
        place += 1;
    }
    Ok(drawn)
}

/// Something that a zone has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    V4(Span<u32>),
    V6(Span<u128>),
    /// Listed or taken out.
    Name(StoredName<'a>),
}

/// All that a zone has, in order.
pub(super) fn all_of<D: AsRef<[u8]>>(zone: &Zone<D>) -> impl Iterator<Item = Result<Entry<'_>, Damaged>> {
    let snapshot = zone.snapshot();
    let v4 = snapshot.v4_spans(0.prefix(0)).map(|found| Ok(Entry::V4(found?.span)));
    let v6 = snapshot.v6_spans(0.prefix(0)).map(|found| Ok(Entry::V6(found?.span)));
    v4.chain(v6).chain(snapshot.stored_names().map(|found| Ok(Entry::Name(found?))))
}

pub(super) fn within_v4(span: Span<u32>, random: &mut Random) -> u32 {
    (u128::from(span.first) + random.up_to(span.extent())) as u32
}

pub(super) fn within_v6(span: Span<u128>, random: &mut Random) -> u128 {
    span.first + random.up_to(span.extent())
}

/// Something that is not listed, of the kinds that the zone lists and as often as there.
fn unlisted<D: AsRef<[u8]>>(
    zone: &Zone<D>,
    [v4s, v6s, _]: &[u64; 3],
    entries: u64,
    random: &mut Random,
) -> Result<Labels, DrawError> {
    for _ in 0..TRIES {
        let place = random.below(entries);
        let labels = if place < *v4s {
            v4(public(random))
        } else if place < v4s + v6s {
            v6(UNICAST.first + random.up_to(UNICAST.extent()))
        } else {
            under(b"\x07example", random)
        };
        if matches!(zone.verdict(&labels), Verdict::NotListed) {
            return Ok(labels);
        }
    }
    Err(DrawError::Everything)
}

/// An address that mail could come from.
pub(super) fn public(random: &mut Random) -> u32 {
    loop {
        let address = (random.next() >> 32) as u32;
        let ip = Ipv4Addr::from(address);
        if !matches!(ip.octets()[0], 0 | 10 | 127 | 224..) && !ip.is_private() {
            return address;
        }
    }
}

pub(super) fn v4(address: u32) -> Labels {
    let octets = Ipv4Addr::from(address).octets();
    octets.iter().rev().flat_map(|octet| label(octet.to_string().as_bytes())).collect()
}

pub(super) fn v6(address: u128) -> Labels {
    let octets = Ipv6Addr::from(address).octets();
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).map_or(b'0', |digit| digit as u8);
    octets.iter().rev().flat_map(|octet| [1, digit(octet & 15), 1, digit(octet >> 4)]).collect()
}

/// A made-up name below `name`.
pub(super) fn under(name: &[u8], random: &mut Random) -> Labels {
    let text = format!("{:016x}", random.next());
    let mut labels = label(text.as_bytes());
    labels.extend_from_slice(name);
    labels
}

pub(super) fn label(text: &[u8]) -> Labels {
    [&[text.len() as u8], text].concat()
}

/// `None` for what would be too long a name.
pub(super) fn below(origin: &Name, labels: &[u8]) -> Option<Name> {
    Name::from_wire(&[labels, origin.as_wire()].concat())
}

/// What is sure of a server that has the list but may be configured in any way: whether something has a text, for
/// instance, is not.
fn roughly(verdict: &Verdict<'_>, rtype: Rtype) -> Expected {
    match verdict {
        Verdict::Listed(_) if rtype == Rtype::A => Expected::Listed,
        Verdict::Listed(_) => Expected::Anything,
        _ => Expected::NotListed,
    }
}

fn exactly(content: Content<'_>) -> Expected {
    let none = |rcode| Expected::Exactly(rcode, Vec::new());
    match content {
        Content::Records(records) => match data(&records) {
            Some(data) => Expected::Exactly(Rcode::NOERROR, data),
            None if records.rtype() == Rtype::CNAME => Expected::Anything,
            None => Expected::Listed,
        },
        Content::NoData => none(Rcode::NOERROR),
        Content::NxDomain => none(Rcode::NXDOMAIN),
        Content::Unavailable(_) => none(Rcode::SERVFAIL),
        Content::Soa | Content::Ns => Expected::Listed,
    }
}

/// The data of records, for types that hold no names: a server may compress those.
fn data(records: &Records<'_>) -> Option<Vec<Vec<u8>>> {
    if !matches!(records.rtype(), Rtype::A | Rtype::AAAA | Rtype::TXT) {
        return None;
    }
    let octets = |Datum { rdata, matched }| match rdata {
        RdataRef::Wire(octets) => octets.to_vec(),
        RdataRef::Text(pieces) => label(TextBuf::fill(pieces, matched).as_bytes()),
    };
    Some(records.iter().map(octets).collect())
}
