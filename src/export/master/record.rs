//! Records behind an owner.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{write_host, write_string};
use crate::model::{Name, Piece, Pieces, Rtype, Ttl};
use crate::snapshot::{AnswerRef, RdataRef};
use crate::zone::{Hit, Matched, Verdict};

/// Octets of a character-string (RFC 1035 section 3.3).
const STRING_MAX: usize = 255;

/// A record of a type that nobody asks for: its name exists (RFC 6895 section 3.1, RFC 3597 section 5).
pub(super) const EXISTS: &str = "TYPE65280\t\\# 0";

/// The lines of an answer without their owner.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The same whatever was asked for; `None` when a text names it.
    pub(super) fixed: Option<Vec<u8>>,
    /// Records that are left out.
    pub(super) apart: u64,
}

impl Lines {
    pub(super) fn of(answer: AnswerRef<'_>) -> Self {
        let texts = answer.record_sets().flat_map(|set| set.data());
        let has_subject = texts.into_iter().any(|data| match data {
            RdataRef::Text(mut pieces) => pieces.any(|piece| piece == Piece::Subject),
            RdataRef::Wire(_) => false,
        });
        let mut lines = Vec::new();
        let apart = write(answer, "", &mut lines);
        Self { fixed: (!has_subject).then_some(lines), apart }
    }
}

/// Writes the records of `answer` with `subject` in its texts; the number of those left out.
pub(super) fn write(answer: AnswerRef<'_>, subject: &str, out: &mut Vec<u8>) -> u64 {
    let mut apart = 0;
    let only = answer.record_sets().count() == 1;
    for set in answer.record_sets() {
        if is_apart(set.rtype, only, set.data().count()) {
            apart += set.data().count() as u64;
            continue;
        }
        for data in set.data() {
            match data {
                RdataRef::Wire(octets) => write_wire(set.rtype, set.ttl, octets, out),
                RdataRef::Text(pieces) => write_text(set.ttl, &fill(pieces, subject), out),
            }
        }
    }
    apart
}

/// The same for what an address and a name say together.
pub(super) fn write_hit(hit: &Hit<'_>, out: &mut Vec<u8>) -> u64 {
    let mut apart = 0;
    let mut types: Vec<Rtype> = hit.said().flat_map(|said| said.sets()).map(|set| set.rtype()).collect();
    types.sort_unstable();
    types.dedup();
    for &rtype in &types {
        let crate::zone::Content::Records(records) = Verdict::Listed(hit.clone()).content(rtype) else {
            continue;
        };
        let count = records.iter().count();
        if is_apart(rtype, types.len() == 1, count) {
            apart += count as u64;
            continue;
        }
        for datum in records.iter() {
            match datum.rdata {
                RdataRef::Wire(octets) => write_wire(rtype, records.ttl(), octets, out),
                RdataRef::Text(pieces) => {
                    write_text(records.ttl(), &fill(pieces, &datum.matched.to_string()), out);
                }
            }
        }
    }
    apart
}

/// What a server would take for a delegation, or not take at all. At the origin NS and SOA are the zone's own.
fn is_apart(rtype: Rtype, only: bool, records: usize) -> bool {
    match rtype {
        Rtype::NS | Rtype::SOA => true,
        Rtype::CNAME => !only || records > 1,
        _ => false,
    }
}

fn fill(pieces: Pieces<'_>, subject: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(part) => text.extend_from_slice(part),
            Piece::Subject => text.extend_from_slice(subject.as_bytes()),
        }
    }
    text.truncate(STRING_MAX);
    text
}

fn write_text(ttl: Ttl, text: &[u8], out: &mut Vec<u8>) {
    // A vector takes everything.
    let _ = write!(out, "\t{ttl}\tTXT\t");
    let _ = write_string(text, out);
    out.push(b'\n');
}

fn write_wire(rtype: Rtype, ttl: Ttl, data: &[u8], out: &mut Vec<u8>) {
    let _ = write!(out, "\t{ttl}\t");
    let host = |data: &[u8]| Name::from_wire(data).filter(|host| host.as_wire().len() == data.len());
    let _ = match (rtype, data) {
        (Rtype::A, &[a, b, c, d]) => write!(out, "A\t{}", Ipv4Addr::new(a, b, c, d)),
        (Rtype::AAAA, data) if data.len() == 16 => {
            let address = data.iter().fold(0u128, |address, &octet| address << 8 | u128::from(octet));
            write!(out, "AAAA\t{}", Ipv6Addr::from(address))
        }
        (Rtype::CNAME, data) if let Some(host) = host(data) => {
            let _ = write!(out, "CNAME\t");
            write_host(&host, out)
        }
        (Rtype::MX, &[high, low, ref rest @ ..]) if let Some(host) = host(rest) => {
            let _ = write!(out, "MX\t{} ", u16::from_be_bytes([high, low]));
            write_host(&host, out)
        }
        (Rtype::TXT, data) if let Some(strings) = strings(data) => {
            let _ = write!(out, "TXT\t");
            strings.iter().enumerate().try_for_each(|(at, string)| {
                let _ = out.write_all(if at == 0 { b"" } else { b" " });
                write_string(string, out)
            })
        }
        _ => {
            let _ = write!(out, "TYPE{}\t\\# {}", rtype.0, data.len());
            data.iter()
                .enumerate()
                .try_for_each(|(at, octet)| write!(out, "{}{octet:02x}", if at == 0 { " " } else { "" }))
        }
    };
    out.push(b'\n');
}

/// The strings of a TXT record; `None` when they do not end where they say.
fn strings(mut data: &[u8]) -> Option<Vec<&[u8]>> {
    let mut strings = Vec::new();
    while let Some((&len, rest)) = data.split_first() {
        let (string, rest) = rest.split_at_checked(len.into())?;
        strings.push(string);
        data = rest;
    }
    (!strings.is_empty()).then_some(strings)
}

/// A name as its own subject.
pub(super) fn subject_of(name: &[u8]) -> String {
    Matched::Name(name).to_string()
}
