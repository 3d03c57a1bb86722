//! Record sets, TTLs, and the value that one entry of a list carries.

use std::net::Ipv4Addr;

use super::{Name, Template};

/// What a person's own block answers (`gatepost block`): no list has this code.
pub const OVERLAY_CODE: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 2);

/// A TTL in seconds (RFC 2181 section 8: 31 bits).
pub type Ttl = u32;

/// A DNS record type by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rtype(pub u16);

impl Rtype {
    /// IPv4 address.
    pub const A: Self = Self(1);
    /// Name server.
    pub const NS: Self = Self(2);
    /// Another name for this one.
    pub const CNAME: Self = Self(5);
    /// Start of authority.
    pub const SOA: Self = Self(6);
    /// Mail exchange.
    pub const MX: Self = Self(15);
    /// Text.
    pub const TXT: Self = Self(16);
    /// IPv6 address.
    pub const AAAA: Self = Self(28);
    /// EDNS pseudo-record (RFC 6891).
    pub const OPT: Self = Self(41);
    /// Incremental transfer.
    pub const IXFR: Self = Self(251);
    /// Whole transfer.
    pub const AXFR: Self = Self(252);
    /// Any type (RFC 8482).
    pub const ANY: Self = Self(255);
}

/// All records of one type at one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RrSet {
    /// Their type.
    pub rtype: Rtype,
    /// Their one TTL (RFC 2181 section 5.2).
    pub ttl: Ttl,
    /// Their data.
    pub data: RrData,
}

/// The data of a record set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RrData {
    /// RDATA in wire form, names in it uncompressed.
    Wire(Vec<Vec<u8>>),
    /// TXT records of one string each, with the subject to be put in.
    Texts(Vec<Template>),
}

/// What one entry of a list says, as published. What is `None` is said by the list's place in the zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Value {
    /// Its A record.
    pub code: Option<Ipv4Addr>,
    /// Its text; an empty template means "no TXT".
    pub text: Option<Template>,
    /// What the feed notes beside the entry (an SBL id, a count, a category); texts may quote it as `{note}`.
    pub note: Option<Box<str>>,
    /// Further record sets (rbldnsd's `generic`), instead of code and text.
    pub records: Vec<RrSet>,
}

/// Start of authority, without the serial (which lives in the generation) unless the data fixes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Soa {
    /// TTL of the SOA record itself.
    pub ttl: Ttl,
    /// Primary name server.
    pub mname: Name,
    /// Mailbox of the person in charge, as a name.
    pub rname: Name,
    /// Serial that the data insists on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// Seconds between checks by a secondary.
    pub refresh: u32,
    /// Seconds between retries.
    pub retry: u32,
    /// Seconds until a secondary gives up.
    pub expire: u32,
    /// TTL of negative answers (RFC 2308 section 4).
    pub minimum: u32,
}

/// The name servers of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Ns {
    /// TTL of the record set.
    pub ttl: Ttl,
    /// Host names, in order.
    pub hosts: Vec<Name>,
}
