//! Which addresses a download may go to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;

use super::problem::{Place, Problem, Problems};
use crate::zone::{Access, Action};

/// Whether `address` is one of the public Internet's: not loopback, private, shared (RFC 6598), link-local, unique
/// local, multicast, reserved or "this host"; IPv4 in IPv6 clothes (mapped, translated, 6to4) is judged as the IPv4
/// address. A redirect to anything else could make gatepost ask the operator's own services.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4_is_public(v4),
        IpAddr::V6(v6) => v6_is_public(v6),
    }
}

/// Whether strangers can ask a server that listens on `address`: a public one, or all that the machine has.
pub fn reaches_the_public(address: IpAddr) -> bool {
    address.is_unspecified() || is_public(address)
}

/// Whether strangers can ask a server that listens there, and are answered.
pub fn lets_strangers_in(listen: SocketAddr, access: &Access) -> bool {
    let assigned = |v6: Ipv6Addr| matches!(v6.segments(), [0x2001, 0..=0x1ff, ..]);
    // What is no place for a feed may be one to be reached at: Teredo and the like.
    let is_public = match listen.ip() {
        IpAddr::V6(v6) if assigned(v6) => true,
        ip => reaches_the_public(ip),
    };
    is_public && *access.of_strangers(listen.is_ipv6()) == Action::Allow
}

fn v4_is_public(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 10 | 127 | 224..=255, ..] => false,
        [100, second, ..] => !(64..128).contains(&second),
        [169, 254, ..] | [192, 168, ..] => false,
        [172, second, ..] => !(16..32).contains(&second),
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => false,
        [198, 18 | 19, ..] => false,
        _ => true,
    }
}

fn v6_is_public(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            v4_is_public(embedded(high, low))
        }
        [0x2002, high, low, ..] => v4_is_public(embedded(high, low)),
        // Teredo and the other protocol assignments of 2001::/23, documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Reports a URL that names a private address when that is not allowed.
pub(crate) fn check_private(url: &Url, place: &Place, allowed: bool, problems: &mut Problems) {
    if let Some(address) = literal(url)
        && !allowed
        && !is_public(address)
    {
        problems.push(
            Problem::new(place, format!("{address} is not a public address"))
                .help("expected a public address, or `allow-private = true` beside it"),
        );
    }
}

/// The address in a URL, when its host is one.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_in_all_clothes() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:1::1",
            "3fff::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["9.9.9.9", "100.128.0.1", "172.32.0.1", "2620:fe::fe", "::ffff:9.9.9.9", "198.20.0.1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn addresses_in_urls() {
        let literal = |text: &str| literal(&text.parse().unwrap());
        assert_eq!(literal("http://[::1]:80/x"), Some("::1".parse().unwrap()));
        assert_eq!(literal("http://127.1/x"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(literal("http://example.net/x"), None);
        assert_eq!(literal("rsync://[::1]/a/x"), Some("::1".parse().unwrap()));
        assert_eq!(literal("rsync+ssh://me@127.0.0.1/x"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(literal("file:///x"), None);
    }
}
