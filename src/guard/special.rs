//! Facts of IANA's registries: blocks that no mail server on the internet can speak from.
//!
//! From the IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190) and the multicast registries. A
//! block that is marked globally reachable is taken out again where it lies inside one that is not; those outside
//! (AS112, AMT) are ordinary addresses for us and not here. `zones/bogons.txt` says the same for people and for the
//! embedded zone; a test holds the two together.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::model::{Address, Span};

/// One row of a registry.
pub struct Special<A> {
    first: A,
    len: u8,
    /// The registry's name for it.
    pub name: &'static str,
    /// The document that made it.
    pub source: &'static str,
    /// Globally reachable, inside a block that is not.
    pub reachable: bool,
}

impl<A: Address> Special<A> {
    /// Its addresses.
    pub fn span(&self) -> Span<A> {
        self.first.prefix(self.len)
    }
}

const fn v4(octets: [u8; 4], len: u8, name: &'static str, source: &'static str) -> Special<u32> {
    Special { first: u32::from_be_bytes(octets), len, name, source, reachable: false }
}

const fn v6(head: [u16; 4], len: u8, name: &'static str, source: &'static str) -> Special<u128> {
    let first = Ipv6Addr::new(head[0], head[1], head[2], head[3], 0, 0, 0, 0).to_bits();
    Special { first, len, name, source, reachable: false }
}

const fn at_end<const N: u128>(block: Special<u128>) -> Special<u128> {
    Special { first: block.first | N, ..block }
}

const fn reachable<A: Copy>(block: Special<A>) -> Special<A> {
    Special { reachable: true, ..block }
}

/// 127.0.0.0/8: apart, because not even bogon lists may list it.
pub(super) const LOOPBACK_V4: Special<u32> = v4([127, 0, 0, 0], 8, "Loopback", "RFC 1122");

/// `::1`.
pub(super) const LOOPBACK_V6: Special<u128> = at_end::<1>(v6([0; 4], 128, "Loopback Address", "RFC 4291"));

/// IPv4.
pub const SPECIAL_V4: [Special<u32>; 18] = [
    v4([0, 0, 0, 0], 8, "\"This network\"", "RFC 791"),
    v4([10, 0, 0, 0], 8, "Private-Use", "RFC 1918"),
    v4([100, 64, 0, 0], 10, "Shared Address Space", "RFC 6598"),
    LOOPBACK_V4,
    v4([169, 254, 0, 0], 16, "Link Local", "RFC 3927"),
    v4([172, 16, 0, 0], 12, "Private-Use", "RFC 1918"),
    v4([192, 0, 0, 0], 24, "IETF Protocol Assignments", "RFC 6890"),
    reachable(v4([192, 0, 0, 9], 32, "Port Control Protocol Anycast", "RFC 7723")),
    reachable(v4([192, 0, 0, 10], 32, "Traversal Using Relays around NAT Anycast", "RFC 8155")),
    v4([192, 0, 2, 0], 24, "Documentation (TEST-NET-1)", "RFC 5737"),
    v4([192, 88, 99, 0], 24, "Deprecated (6to4 Relay Anycast)", "RFC 7526"),
    v4([192, 168, 0, 0], 16, "Private-Use", "RFC 1918"),
    v4([198, 18, 0, 0], 15, "Benchmarking", "RFC 2544"),
    v4([198, 51, 100, 0], 24, "Documentation (TEST-NET-2)", "RFC 5737"),
    v4([203, 0, 113, 0], 24, "Documentation (TEST-NET-3)", "RFC 5737"),
    v4([224, 0, 0, 0], 4, "Multicast", "RFC 5771"),
    v4([240, 0, 0, 0], 4, "Reserved", "RFC 1112"),
    v4(Ipv4Addr::BROADCAST.octets(), 32, "Limited Broadcast", "RFC 8190"),
];

/// IPv6. Three are here although the registry does not call them unreachable: whoever lists IPv4-mapped, translated
/// (64:ff9b::/96) or 6to4 space lists IPv4 addresses in disguise.
pub const SPECIAL_V6: [Special<u128>; 24] = [
    v6([0; 4], 128, "Unspecified Address", "RFC 4291"),
    LOOPBACK_V6,
    at_end::<0xffff_0000_0000>(v6([0; 4], 96, "IPv4-mapped Address", "RFC 4291")),
    v6([0x64, 0xff9b, 0, 0], 96, "IPv4-IPv6 Translation", "RFC 6052"),
    v6([0x64, 0xff9b, 1, 0], 48, "IPv4-IPv6 Translation", "RFC 8215"),
    v6([0x100, 0, 0, 0], 64, "Discard-Only Address Block", "RFC 6666"),
    v6([0x100, 0, 0, 1], 64, "Dummy IPv6 Prefix", "RFC 9780"),
    v6([0x2001, 0, 0, 0], 23, "IETF Protocol Assignments", "RFC 2928"),
    reachable(at_end::<1>(v6([0x2001, 1, 0, 0], 128, "Port Control Protocol Anycast", "RFC 7723"))),
    reachable(at_end::<2>(v6([0x2001, 1, 0, 0], 128, "TURN Anycast", "RFC 8155"))),
    reachable(at_end::<3>(v6([0x2001, 1, 0, 0], 128, "DNS-SD Service Registration Anycast", "RFC 9665"))),
    reachable(v6([0x2001, 3, 0, 0], 32, "AMT", "RFC 7450")),
    reachable(v6([0x2001, 4, 0x112, 0], 48, "AS112-v6", "RFC 7535")),
    reachable(v6([0x2001, 0x20, 0, 0], 28, "ORCHIDv2", "RFC 7343")),
    reachable(v6([0x2001, 0x30, 0, 0], 28, "Drone Remote ID Protocol Entity Tags", "RFC 9374")),
    v6([0x2001, 0xdb8, 0, 0], 32, "Documentation", "RFC 3849"),
    v6([0x2002, 0, 0, 0], 16, "6to4", "RFC 3056"),
    v6([0x3fff, 0, 0, 0], 20, "Documentation", "RFC 9637"),
    v6([0x5f00, 0, 0, 0], 16, "Segment Routing (SRv6) SIDs", "RFC 9602"),
    v6([0xfc00, 0, 0, 0], 7, "Unique-Local", "RFC 4193"),
    v6([0xfe80, 0, 0, 0], 10, "Link-Local Unicast", "RFC 4291"),
    v6([0xff00, 0, 0, 0], 8, "Multicast", "RFC 4291"),
    // Inside 2001::/23 and no more reachable than it; named for whoever looks for them.
    v6([0x2001, 0, 0, 0], 32, "TEREDO", "RFC 4380"),
    v6([0x2001, 2, 0, 0], 48, "Benchmarking", "RFC 5180"),
];
