//! The records of an answer, wherever they stand: in the snapshot, or rebuilt without expired lists.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::slice;

use crate::model::{Piece, Pieces, RrData, RrSet, Rtype, Template, Ttl, write_label};
use crate::snapshot::{AnswerRef, Rdata, RdataRef, RecordSets, RrSetRef};

use super::Hit;

/// What a question matched: `$` in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched<'a> {
    /// The IPv4 address asked for (also when it came as `::ffff:V4`).
    V4(u32),
    /// The IPv6 address asked for.
    V6(u128),
    /// The listed name, in lower-case wire form without the final zero octet.
    Name(&'a [u8]),
}

impl Matched<'_> {
    /// The address of a client that an access list names.
    pub fn client(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.into()),
            IpAddr::V6(v6) => Self::V6(v6.into()),
        }
    }
}

impl fmt::Display for Matched<'_> {
    /// Dotted quad, RFC 5952 text, or presentation form (RFC 1035 section 5.1) without the last dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(address) => Ipv4Addr::from(address).fmt(f),
            Self::V6(address) => Ipv6Addr::from(address).fmt(f),
            Self::Name(labels) => write_name(labels, f),
        }
    }
}

fn write_name(labels: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut rest = labels;
    while let Some((&len, tail)) = rest.split_first() {
        if rest.len() < labels.len() {
            f.write_char('.')?;
        }
        let (label, tail) = tail.split_at_checked(usize::from(len)).ok_or(fmt::Error)?;
        rest = tail;
        write_label(label, f)?;
    }
    Ok(())
}

/// One answer of a zone, with what it is about.
#[derive(Debug, Clone)]
pub struct Said<'a> {
    source: Source<'a>,
    matched: Matched<'a>,
}

#[derive(Debug, Clone)]
enum Source<'a> {
    Stored(AnswerRef<'a>),
    Rebuilt(&'a [RrSet]),
}

impl<'a> Said<'a> {
    pub(super) fn stored(answer: AnswerRef<'a>, matched: Matched<'a>) -> Self {
        Self { source: Source::Stored(answer), matched }
    }

    pub(super) fn rebuilt(sets: &'a [RrSet], matched: Matched<'a>) -> Self {
        Self { source: Source::Rebuilt(sets), matched }
    }

    /// What it is about.
    pub fn matched(&self) -> Matched<'a> {
        self.matched
    }

    /// Its record sets.
    pub fn sets(&self) -> impl Iterator<Item = SetRef<'a>> + use<'a> {
        match &self.source {
            Source::Stored(answer) => Sets::Stored(answer.record_sets()),
            Source::Rebuilt(sets) => Sets::Rebuilt(sets.iter()),
        }
    }

    /// The data of its records of one type.
    fn data(&self, rtype: Rtype) -> impl Iterator<Item = Datum<'a>> + use<'a> {
        let matched = self.matched;
        let sets = self.sets().filter(move |set| set.rtype() == rtype);
        sets.flat_map(move |set| set.data().map(move |rdata| Datum { rdata, matched }))
    }
}

enum Sets<'a> {
    Stored(RecordSets<'a>),
    Rebuilt(slice::Iter<'a, RrSet>),
}

impl<'a> Iterator for Sets<'a> {
    type Item = SetRef<'a>;

    fn next(&mut self) -> Option<SetRef<'a>> {
        match self {
            Self::Stored(sets) => sets.next().map(SetRef::Stored),
            Self::Rebuilt(sets) => sets.next().map(SetRef::Rebuilt),
        }
    }
}

/// A record set.
#[derive(Clone)]
pub enum SetRef<'a> {
    /// In the snapshot.
    Stored(RrSetRef<'a>),
    /// Put together anew when lists expired.
    Rebuilt(&'a RrSet),
}

impl<'a> SetRef<'a> {
    /// Its type.
    pub fn rtype(&self) -> Rtype {
        match self {
            Self::Stored(set) => set.rtype,
            Self::Rebuilt(set) => set.rtype,
        }
    }

    /// Its TTL.
    pub fn ttl(&self) -> Ttl {
        match self {
            Self::Stored(set) => set.ttl,
            Self::Rebuilt(set) => set.ttl,
        }
    }

    /// The data of its records.
    pub fn data(&self) -> impl Iterator<Item = RdataRef<'a>> + use<'a> {
        match self {
            Self::Stored(set) => Data::Stored(set.data()),
            Self::Rebuilt(RrSet { data: RrData::Wire(data), .. }) => Data::Wire(data.iter()),
            Self::Rebuilt(RrSet { data: RrData::Texts(texts), .. }) => Data::Texts(texts.iter()),
        }
    }
}

enum Data<'a> {
    Stored(Rdata<'a>),
    Wire(slice::Iter<'a, Vec<u8>>),
    Texts(slice::Iter<'a, Template>),
}

impl<'a> Iterator for Data<'a> {
    type Item = RdataRef<'a>;

    fn next(&mut self) -> Option<RdataRef<'a>> {
        match self {
            Self::Stored(data) => data.next(),
            Self::Wire(data) => data.next().map(|octets| RdataRef::Wire(octets)),
            Self::Texts(texts) => texts.next().map(|text| RdataRef::Text(text.pieces())),
        }
    }
}

/// All records of one type that answer a question.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    pub(super) hit: Hit<'a>,
    pub(super) rtype: Rtype,
    pub(super) ttl: Ttl,
}

impl<'a> Records<'a> {
    /// Their type.
    pub fn rtype(&self) -> Rtype {
        self.rtype
    }

    /// Their one TTL.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// The data in order. What an address and a name say alike stands once.
    pub fn iter(&self) -> impl Iterator<Item = Datum<'a>> {
        self.hit.said().enumerate().flat_map(move |(index, said)| {
            let before = self.hit.said().take(index);
            let stood = move |datum: &Datum<'_>| {
                before.clone().flat_map(|said| said.data(self.rtype)).any(|other| other.same(datum))
            };
            said.data(self.rtype).filter(move |datum| !stood(datum))
        })
    }
}

/// The data of one record, and what its text speaks of.
#[derive(Clone)]
pub struct Datum<'a> {
    /// Data as stored.
    pub rdata: RdataRef<'a>,
    /// What `$` becomes in it.
    pub matched: Matched<'a>,
}

impl Datum<'_> {
    fn same(&self, other: &Self) -> bool {
        match (&self.rdata, &other.rdata) {
            (RdataRef::Wire(a), RdataRef::Wire(b)) => a == b,
            (RdataRef::Text(a), RdataRef::Text(b)) => {
                TextBuf::fill(a.clone(), self.matched).as_bytes()
                    == TextBuf::fill(b.clone(), other.matched).as_bytes()
            }
            (RdataRef::Wire(wire), RdataRef::Text(text)) => is_text(wire, text, other.matched),
            (RdataRef::Text(text), RdataRef::Wire(wire)) => is_text(wire, text, self.matched),
        }
    }
}

/// Whether the wire form of a TXT record is this one text.
fn is_text(wire: &[u8], text: &Pieces<'_>, matched: Matched<'_>) -> bool {
    let text = TextBuf::fill(text.clone(), matched);
    wire.split_first()
        .is_some_and(|(&len, string)| usize::from(len) == string.len() && string == text.as_bytes())
}

/// One character-string: a text with its subject put in, cut at 255 octets (RFC 1035 section 3.3).
pub struct TextBuf {
    octets: [u8; 255],
    len: u8,
}

impl TextBuf {
    /// Puts `matched` into the holes of `pieces`.
    pub fn fill(pieces: Pieces<'_>, matched: Matched<'_>) -> Self {
        let mut text = Self { octets: [0; 255], len: 0 };
        for piece in pieces {
            match piece {
                Piece::Literal(part) => text.push(part),
                // Fails only for a name that is none, which then shows as far as it goes.
                Piece::Subject => write!(text, "{matched}").unwrap_or_default(),
            }
        }
        text
    }

    /// The octets of the string.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    fn push(&mut self, part: &[u8]) {
        let space = &mut self.octets[usize::from(self.len)..];
        let taken = part.len().min(space.len());
        space[..taken].copy_from_slice(&part[..taken]);
        self.len += taken as u8;
    }
}

impl Write for TextBuf {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.push(part.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matched_prints_as_people_write_it() {
        assert_eq!(Matched::V4(0x7f00_0002).to_string(), "127.0.0.2");
        assert_eq!(Matched::V6(1).to_string(), "::1");
        assert_eq!(Matched::Name(b"\x03a.b\x07example").to_string(), "a\\.b.example");
        assert_eq!(Matched::Name(b"\x02\x00\xff").to_string(), "\\000\\255");
    }

    #[test]
    fn texts_are_cut_at_255() {
        let text = Template::parse(&[&[b'x'; 250][..], b"$$$"].concat());
        let filled = TextBuf::fill(text.pieces(), Matched::V4(0x0102_0304));
        assert_eq!(filled.as_bytes(), [&[b'x'; 250][..], b"$1.2."].concat());
        let long = Template::literal(&[b'y'; 700]);
        assert_eq!(TextBuf::fill(long.pieces(), Matched::V4(0)).as_bytes(), [b'y'; 255]);
    }
}
