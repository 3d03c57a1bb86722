//! Records as people and scripts read them.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::model::{Name, Piece, Pieces, RrData, RrSet, Rtype, Ttl};
use crate::snapshot::{RdataRef, RrSetRef};
use crate::zone::{Hit, Matched};

/// A record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Records {
    /// Its type: `A`, `TXT`, `TYPE257` (RFC 3597 section 5).
    #[serde(rename = "type")]
    pub(crate) rtype: String,
    /// Its TTL in seconds.
    pub(crate) ttl: Ttl,
    /// Its data.
    pub(crate) data: Vec<String>,
}

/// What a zone answers.
pub(crate) fn of_hit(hit: &Hit<'_>) -> Vec<Records> {
    let said = hit.said().flat_map(|said| {
        let matched = said.matched();
        said.sets().map(move |set| {
            records(set.rtype(), set.ttl(), set.data().map(|data| shown(set.rtype(), &data, Some(matched))))
        })
    });
    said.collect()
}

/// A stored set; `$` stands where the address asked for goes.
pub(crate) fn of_set(set: RrSetRef<'_>) -> Records {
    records(set.rtype, set.ttl, set.data().map(|data| shown(set.rtype, &data, None)))
}

fn records(rtype: Rtype, ttl: Ttl, data: impl Iterator<Item = String>) -> Records {
    Records { rtype: type_name(rtype), ttl, data: data.collect() }
}

fn type_name(rtype: Rtype) -> String {
    let name = match rtype.0 {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

fn shown(rtype: Rtype, data: &RdataRef<'_>, matched: Option<Matched<'_>>) -> String {
    match data {
        RdataRef::Text(pieces) => text(pieces.clone(), matched),
        RdataRef::Wire(octets) => wire(rtype, octets),
    }
}

fn text(pieces: Pieces<'_>, matched: Option<Matched<'_>>) -> String {
    let mut text = String::new();
    for piece in pieces {
        match (piece, matched) {
            (Piece::Literal(part), _) => text.push_str(&String::from_utf8_lossy(part)),
            (Piece::Subject, None) => text.push('$'),
            (Piece::Subject, Some(matched)) => drop(write!(text, "{matched}")),
        }
    }
    text
}

fn wire(rtype: Rtype, octets: &[u8]) -> String {
    if let (1, Ok(address)) = (rtype.0, <[u8; 4]>::try_from(octets)) {
        return Ipv4Addr::from(address).to_string();
    }
    if let (28, Ok(address)) = (rtype.0, <[u8; 16]>::try_from(octets)) {
        return Ipv6Addr::from(address).to_string();
    }
    let written = match (rtype, octets) {
        (Rtype::TXT, _) => strings(octets),
        (Rtype::MX, [high, low, host @ ..]) => {
            name(host).map(|host| format!("{} {host}", u16::from_be_bytes([*high, *low])))
        }
        (Rtype::CNAME | Rtype::NS, _) => name(octets),
        _ => None,
    };
    if let Some(written) = written {
        return written;
    }
    // RFC 3597 section 5: any data in a form that every tool reads.
    octets.iter().fold(format!("\\# {} ", octets.len()), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// The strings of a TXT record, parted as in a zone file.
fn strings(mut octets: &[u8]) -> Option<String> {
    let mut strings = Vec::new();
    while let Some((&len, rest)) = octets.split_first() {
        let (string, rest) = rest.split_at_checked(len.into())?;
        strings.push(String::from_utf8_lossy(string));
        octets = rest;
    }
    Some(strings.join("\" \""))
}

fn name(wire: &[u8]) -> Option<String> {
    Name::from_wire(wire).map(|name| name.to_string())
}

/// The records of an entry, each with its type.
pub(crate) fn of_entry(sets: &[RrSet]) -> Option<String> {
    let shown = sets.iter().flat_map(|set| {
        let rtype = type_name(set.rtype);
        let data: Vec<String> = match &set.data {
            RrData::Wire(data) => data.iter().map(|octets| wire(set.rtype, octets)).collect(),
            RrData::Texts(texts) => texts.iter().map(ToString::to_string).collect(),
        };
        let quote = if set.rtype == Rtype::TXT { "\"" } else { "" };
        data.into_iter().map(move |data| format!("{rtype} {quote}{data}{quote}"))
    });
    (!sets.is_empty()).then(|| shown.collect::<Vec<_>>().join("; "))
}

/// The A values among records, as one text; what else there is when there is none.
pub(crate) fn values(records: &[Records]) -> String {
    let a: Vec<&str> =
        records.iter().filter(|set| set.rtype == "A").flat_map(|set| &set.data).map(String::as_str).collect();
    if a.is_empty() {
        let types: Vec<&str> = records.iter().map(|set| set.rtype.as_str()).collect();
        return types.join(", ");
    }
    a.join(", ")
}

/// The texts among records.
pub(crate) fn texts(records: &[Records]) -> impl Iterator<Item = &str> {
    records.iter().filter(|set| set.rtype == "TXT").flat_map(|set| &set.data).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_records_as_in_a_zone_file() {
        let set = |rtype, data: &[u8]| RrSet { rtype, ttl: 0, data: RrData::Wire(vec![data.to_vec()]) };
        for (record, shown) in [
            (set(Rtype::A, &[10, 0, 0, 1]), "A 10.0.0.1"),
            (set(Rtype::TXT, b"\x01a\x01b"), "TXT \"a\" \"b\""),
            (set(Rtype::MX, b"\x00\x0a\x02mx\x01x\x00"), "MX 10 mx.x"),
            (set(Rtype::CNAME, b"\x01b\x00"), "CNAME b"),
            (set(Rtype(257), &[1, 2]), "TYPE257 \\# 2 0102"),
        ] {
            assert_eq!(of_entry(&[record]).as_deref(), Some(shown));
        }
        assert_eq!(of_entry(&[]), None);
    }
}
