//! An address, prefix or range as strangers' feeds write them: the careful path.
//!
//! Strict where a guess would list somebody else: no zero-padded octets, no host bits right of a prefix, no netmask
//! notation, no range the wrong way round. (rbldnsd's own, older notation is in `rbldnsd/ip4.rs`.)

use super::diag::Bad;
use crate::model::{AddrError, Address, Span, parse_ipv4, parse_ipv6};

/// Addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    V4(Span<u32>),
    V6(Span<u128>),
}

/// `a`, `a/n` or `a-b`, and nothing around it.
pub(super) fn addresses(text: &[u8]) -> Result<Addresses, Bad> {
    if let Some(at) = text.iter().position(|&b| b == b'/') {
        return prefix(text, at);
    }
    if let Some(at) = text.iter().position(|&b| b == b'-') {
        return range((&text[..at], 0), (&text[at + 1..], at + 1));
    }
    if text.contains(&b':') {
        return v6(text).map(|address| Addresses::V6(Span::host(address)));
    }
    v4(text).map(|address| Addresses::V4(Span::host(address)))
}

fn prefix(text: &[u8], slash: usize) -> Result<Addresses, Bad> {
    let (address, len) = (&text[..slash], &text[slash + 1..]);
    let is_v6 = address.contains(&b':');
    let most = if is_v6 { 128 } else { 32 };
    if is_v6 {
        let address = v6(address)?;
        let len = prefix_len(len, most).ok_or_else(|| bad(slash + 1, AddrError::PrefixLength))?;
        return masked(address, len, slash).map(Addresses::V6);
    }
    let address = v4(address)?;
    let len = prefix_len(len, most).ok_or_else(|| bad(slash + 1, AddrError::PrefixLength))?;
    masked(address, len, slash).map(Addresses::V4)
}

fn prefix_len(text: &[u8], most: u8) -> Option<u8> {
    match text {
        [] => None,
        [b'0', _, ..] => None,
        _ if text.len() > 3 || !text.iter().all(u8::is_ascii_digit) => None,
        _ => {
            let len = text.iter().fold(0u16, |n, &b| n * 10 + u16::from(b - b'0'));
            u8::try_from(len).ok().filter(|&len| len <= most)
        }
    }
}

fn masked<A: Address>(address: A, len: u8, slash: usize) -> Result<Span<A>, Bad> {
    let span = address.prefix(len);
    if span.first == address { Ok(span) } else { Err(bad(slash, AddrError::HostBits)) }
}

/// From one end to the other, both included; each end comes with its offset in the line.
pub(super) fn range(first: (&[u8], usize), last: (&[u8], usize)) -> Result<Addresses, Bad> {
    if first.0.contains(&b':') {
        let ends = (v6(first.0).map_err(|b| b.shifted(first.1))?, v6(last.0).map_err(|b| b.shifted(last.1))?);
        return Span::new(ends.0, ends.1).map(Addresses::V6).ok_or_else(|| reversed(last.1));
    }
    let ends = (v4(first.0).map_err(|b| b.shifted(first.1))?, v4(last.0).map_err(|b| b.shifted(last.1))?);
    Span::new(ends.0, ends.1).map(Addresses::V4).ok_or_else(|| reversed(last.1))
}

fn reversed(at: usize) -> Bad {
    Bad::new(at, "the range ends before it begins")
}

/// One IPv4 address; an error points at the octet that is wrong.
pub(super) fn v4(text: &[u8]) -> Result<u32, Bad> {
    parse_ipv4(text).map_err(|error| bad(v4_fault(text), error))
}

pub(super) fn v6(text: &[u8]) -> Result<u128, Bad> {
    parse_ipv6(text).map_err(|error| bad(0, error))
}

/// Whether the text is an address of either family, alone.
pub(super) fn is_address(text: &[u8]) -> bool {
    parse_ipv4(text).is_ok() || text.contains(&b':') && parse_ipv6(text).is_ok()
}

/// Where the first part begins that is no octet.
fn v4_fault(text: &[u8]) -> usize {
    let mut at = 0;
    for (place, part) in text.split(|&b| b == b'.').enumerate() {
        let good = place < 4 && parse_ipv4(&[part, b".0.0.0"].concat()).is_ok();
        if !good {
            return at;
        }
        at += part.len() + 1;
    }
    0
}

fn bad(at: usize, error: AddrError) -> Bad {
    Bad::new(
        at,
        match error {
            AddrError::NotAnAddress => "not an address",
            AddrError::LeadingZero => "octet with a leading zero (decimal or octal is a guess)",
            AddrError::OctetRange => "octet above 255",
            AddrError::PrefixLength => "bad prefix length",
            AddrError::HostBits => "host bits set right of the prefix length",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.4/32", "192.0.2.4"),
            ("192.0.2.1-192.0.2.3", "192.0.2.1-192.0.2.3"),
            ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:db8::1-2001:db8::3", "2001:db8::1-2001:db8::3"),
        ] {
            let shown_as = match addresses(text.as_bytes()) {
                Ok(Addresses::V4(span)) => span.to_string(),
                Ok(Addresses::V6(span)) => span.to_string(),
                Err(bad) => format!("{bad:?}"),
            };
            assert_eq!(shown_as, shown, "{text}");
        }
    }

    #[test]
    fn faults_are_pointed_at() {
        for (text, at, word) in [
            ("", 0, "not an"),
            ("word", 0, "not an"),
            ("09.193.105.79", 0, "leading zero"),
            ("9.193.0105.79", 6, "not an"),
            ("9.193.015.79", 6, "leading zero"),
            ("610.3.7.1", 0, "above 255"),
            ("176.221.42.3254.174.140.223", 11, "not an"),
            ("1.2.3.4.5", 8, "not an"),
            ("1.2.3", 0, "not an"),
            ("192.0.2.1/24", 9, "host bits"),
            ("192.0.2.0/33", 10, "prefix length"),
            ("192.0.2.0/024", 10, "prefix length"),
            ("192.0.2.0/", 10, "prefix length"),
            ("192.0.2.0/255.255.255.0", 10, "prefix length"),
            ("192.0.2.9-192.0.2.3", 10, "before it begins"),
            ("192.0.2.9-192.0.2.300", 18, "above 255"),
            ("192.0.2.9-", 10, "not an"),
            ("2001:db8::1/32", 11, "host bits"),
            ("2001:db8::/129", 11, "prefix length"),
            ("2001:db8::g", 0, "not an"),
            ("fe80::1%eth0", 0, "not an"),
        ] {
            let bad = addresses(text.as_bytes()).unwrap_err();
            assert_eq!(bad.at, at, "{text}: {bad:?}");
            assert!(bad.reason.contains(word), "{text}: {bad:?}");
        }
    }
}
