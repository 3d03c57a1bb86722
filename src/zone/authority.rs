//! Start of authority and name servers, made ready once so that an encoder only copies.

use crate::compile::ZoneData;
use crate::model::{Name, Ttl};

/// What a zone says of itself, in parts that an encoder copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// TTL of the SOA record at the apex.
    pub soa_ttl: Ttl,
    /// TTL of the SOA record beside NXDOMAIN and NODATA: the lesser of its TTL and its minimum (RFC 2308 section 3).
    pub negative_ttl: Ttl,
    /// MNAME.
    pub mname: InZoneName,
    /// RNAME.
    pub rname: InZoneName,
    /// Serial, refresh, retry, expire and minimum, big-endian.
    pub numbers: [u8; 20],
    /// All of them together, as they stand in a reply.
    pub soa: Stencil,
    /// TTL of the NS record set.
    pub ns_ttl: Ttl,
    /// The name servers.
    pub ns: Box<[InZoneName]>,
}

/// A name split at the zone's origin, which stands in every question and can be pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InZoneName {
    /// Its labels in wire form without the final zero octet; below the origin only those before it.
    pub labels: Box<[u8]>,
    /// The origin follows; otherwise the root.
    pub in_zone: bool,
}

/// Data of a record, complete but for the pointers to the origin: where that stands only a question tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stencil {
    /// The data, with two octets for each pointer.
    pub octets: Box<[u8]>,
    /// Where the pointers go.
    pub pointers: Box<[usize]>,
}

impl Authority {
    pub(super) fn new(zone: &ZoneData, serial: u32) -> Self {
        let split = |name: &Name| InZoneName::split(name, zone.base.as_ref().unwrap_or(&zone.origin));
        let soa = &zone.soa;
        let mut numbers = [0; 20];
        let values = [serial, soa.refresh, soa.retry, soa.expire, soa.minimum];
        for (field, value) in numbers.chunks_exact_mut(4).zip(values) {
            field.copy_from_slice(&value.to_be_bytes());
        }
        let (mname, rname) = (split(&soa.mname), split(&soa.rname));
        Self {
            soa_ttl: soa.ttl,
            negative_ttl: soa.minimum.min(soa.ttl),
            soa: Stencil::new([&mname, &rname], &numbers),
            mname,
            rname,
            numbers,
            ns_ttl: zone.ns.ttl,
            ns: zone.ns.hosts.iter().map(split).collect(),
        }
    }

    /// The serial.
    pub fn serial(&self) -> u32 {
        u32::from_be_bytes([self.numbers[0], self.numbers[1], self.numbers[2], self.numbers[3]])
    }
}

impl Stencil {
    /// From names, and what stands behind them.
    fn new<'a>(names: impl IntoIterator<Item = &'a InZoneName>, rest: &[u8]) -> Self {
        let (mut octets, mut pointers) = (Vec::new(), Vec::new());
        for name in names {
            octets.extend_from_slice(&name.labels);
            if name.in_zone {
                pointers.push(octets.len());
                octets.push(0);
            }
            octets.push(0);
        }
        octets.extend_from_slice(rest);
        Self { octets: octets.into(), pointers: pointers.into() }
    }
}

impl InZoneName {
    fn split(name: &Name, origin: &Name) -> Self {
        let wire = name.as_wire();
        let in_zone = name.is_in(origin);
        let tail = if in_zone { origin.as_wire().len() } else { 1 };
        Self { labels: wire[..wire.len() - tail].into(), in_zone }
    }

    /// The whole name in wire form, below `origin` when it lies in the zone.
    pub fn to_wire(&self, origin: &Name) -> Vec<u8> {
        let tail = if self.in_zone { origin.as_wire() } else { &[0] };
        [&self.labels, tail].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_origin() {
        let origin: Name = "bl.example".parse().unwrap();
        let cases = [
            ("ns.bl.example", true, &b"\x02ns"[..]),
            ("bl.example", true, b""),
            ("ns.example", false, b"\x02ns\x07example"),
            ("notbl.example", false, b"\x05notbl\x07example"),
            (".", false, b""),
        ];
        for (text, in_zone, labels) in cases {
            let name: Name = text.parse().unwrap();
            let split = InZoneName::split(&name, &origin);
            assert_eq!((split.in_zone, &split.labels[..]), (in_zone, labels), "{text}");
            assert_eq!(split.to_wire(&origin), name.as_wire());
        }
    }
}
