//! IPv4 and IPv6 addresses as integers, spans of them, and their one strict text form.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An address as an unsigned integer: `u32` for IPv4, `u128` for IPv6.
pub trait Address: Copy + Ord + fmt::Debug + std::hash::Hash + Send + Sync + 'static {
    /// Width in bits.
    const BITS: u8;
    /// The highest address.
    const MAX: Self;
    /// The address 0.
    const ZERO: Self;
    /// The next address, `None` past the highest.
    fn next(self) -> Option<Self>;
    /// The one before, `None` below 0.
    fn prev(self) -> Option<Self>;
    /// Both ends of the prefix of `len` bits around `self` (host bits are ignored).
    fn prefix(self, len: u8) -> Span<Self>;
    /// Trailing zero bits.
    fn trailing_zeros(self) -> u32;
    /// `self - other`, for `other <= self`, as 128 bits.
    fn distance(self, other: Self) -> u128;
    /// Dotted quad or RFC 5952 text.
    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

macro_rules! address {
    ($int:ty, $text:ty) => {
        impl Address for $int {
            const BITS: u8 = <$int>::BITS as u8;
            const MAX: Self = <$int>::MAX;
            const ZERO: Self = 0;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn prev(self) -> Option<Self> {
                self.checked_sub(1)
            }
            fn prefix(self, len: u8) -> Span<Self> {
                let host = <$int>::MAX.checked_shr(u32::from(len)).unwrap_or(0);
                Span { first: self & !host, last: self | host }
            }
            fn trailing_zeros(self) -> u32 {
                <$int>::trailing_zeros(self)
            }
            fn distance(self, other: Self) -> u128 {
                #[allow(clippy::cast_lossless)]
                let distance = (self - other) as u128;
                distance
            }
            fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&<$text>::from(self), f)
            }
        }
    };
}
address!(u32, Ipv4Addr);
address!(u128, Ipv6Addr);

/// Addresses from `first` to `last`, both included; `first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span<A> {
    /// The lowest address.
    pub first: A,
    /// The highest address.
    pub last: A,
}

impl<A: Address> Span<A> {
    /// One address.
    pub fn host(address: A) -> Self {
        Self { first: address, last: address }
    }

    /// From `first` to `last`; `None` when they stand the wrong way round.
    pub fn new(first: A, last: A) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Whether `address` lies inside.
    pub fn contains(&self, address: A) -> bool {
        self.first <= address && address <= self.last
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Addresses less one, so that the whole of IPv6 fits.
    pub fn extent(&self) -> u128 {
        self.last.distance(self.first)
    }

    /// The prefix length, when the span is exactly one prefix.
    pub fn prefix_len(&self) -> Option<u8> {
        let size = self.extent().checked_add(1);
        let host_bits = match size {
            None => 128,
            Some(size) if size.is_power_of_two() => size.trailing_zeros(),
            Some(_) => return None,
        };
        let aligned = self.first == A::ZERO || self.first.trailing_zeros() >= host_bits;
        aligned.then(|| A::BITS - host_bits as u8)
    }

    /// The fewest prefixes that are together the span, in order.
    pub fn prefixes(self) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let Self { first, last } = rest?;
            // As wide as its first address allows, then as the last does.
            let mut len = A::BITS - first.trailing_zeros().min(u32::from(A::BITS)) as u8;
            let mut prefix = first.prefix(len);
            while prefix.last > last {
                len += 1;
                prefix = first.prefix(len);
            }
            rest = prefix.last.next().and_then(|next| Self::new(next, last));
            Some(prefix)
        })
    }
}

impl<A: Address> fmt::Display for Span<A> {
    /// `192.0.2.7`, `192.0.2.0/24` or `192.0.2.5-192.0.2.9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.write(f)?;
        match self.prefix_len() {
            Some(len) if len == A::BITS => Ok(()),
            Some(len) => write!(f, "/{len}"),
            None => {
                f.write_str("-")?;
                self.last.write(f)
            }
        }
    }
}

/// What a person or an entry names: IPv4 or IPv6 addresses, or a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// IPv4 address, prefix or range.
    V4(Span<u32>),
    /// IPv6 address, prefix or range.
    V6(Span<u128>),
    /// A DNS name.
    Name(super::Name),
}

impl Subject {
    /// The addresses `::ffff:0.0.0.0/96`: IPv4 in IPv6's clothes.
    const MAPPED: Span<u128> = Span { first: 0xffff_0000_0000, last: 0xffff_ffff_ffff };

    /// What is meant: IPv4 in IPv6's clothes (`::ffff:192.0.2.7`) is that IPv4 address, as in a question.
    #[must_use]
    pub fn unmapped(self) -> Self {
        match self {
            Self::V6(span) if Self::MAPPED.contains(span.first) && Self::MAPPED.contains(span.last) => {
                Self::V4(Span { first: span.first as u32, last: span.last as u32 })
            }
            subject => subject,
        }
    }

    /// Whether all of `other` is part of it: addresses by their spans, names with everything below them.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::V4(span), Self::V4(other)) => span.contains(other.first) && span.contains(other.last),
            (Self::V6(span), Self::V6(other)) => span.contains(other.first) && span.contains(other.last),
            (Self::Name(name), Self::Name(other)) => other.is_in(name),
            _ => false,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(span) => span.fmt(f),
            Self::V6(span) => span.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl std::str::FromStr for Subject {
    type Err = AddrError;

    /// An address, a prefix (`192.0.2.0/24`, host bits refused), or else a name.
    fn from_str(text: &str) -> Result<Self, AddrError> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len.parse().map_err(|_| AddrError::PrefixLength)?)),
            None => (text, None),
        };
        if address.contains(':') {
            return span(parse_ipv6(address.as_bytes())?, len).map(Self::V6);
        }
        match parse_ipv4(address.as_bytes()) {
            Ok(v4) => span(v4, len).map(Self::V4),
            Err(error) if len.is_some() || address.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                Err(error)
            }
            Err(_) => text.parse().map(Self::Name).map_err(|_| AddrError::NotAnAddress),
        }
    }
}

fn span<A: Address>(address: A, len: Option<u8>) -> Result<Span<A>, AddrError> {
    let len = len.unwrap_or(A::BITS);
    if len > A::BITS {
        return Err(AddrError::PrefixLength);
    }
    let span = address.prefix(len);
    if span.first != address {
        return Err(AddrError::HostBits);
    }
    Ok(span)
}

impl serde::Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddrError {
    /// Not four decimal octets, not an IPv6 address, not a name.
    #[error("not an address")]
    NotAnAddress,
    /// `010.0.0.1`: decimal or octal is a guess.
    #[error("octet with a leading zero (decimal or octal is a guess)")]
    LeadingZero,
    /// An octet above 255.
    #[error("octet above 255")]
    OctetRange,
    /// A prefix length that is no number or too long.
    #[error("bad prefix length")]
    PrefixLength,
    /// Bits set right of the prefix length.
    #[error("host bits set right of the prefix length")]
    HostBits,
}

/// Four decimal octets without leading zeros and nothing else.
pub fn parse_ipv4(text: &[u8]) -> Result<u32, AddrError> {
    let mut address = 0u32;
    let mut octets = 0;
    for part in text.split(|&b| b == b'.') {
        if part.is_empty() || part.len() > 3 || !part.iter().all(u8::is_ascii_digit) {
            return Err(AddrError::NotAnAddress);
        }
        if part.len() > 1 && part[0] == b'0' {
            return Err(AddrError::LeadingZero);
        }
        let octet = part.iter().fold(0u32, |n, &b| n * 10 + u32::from(b - b'0'));
        if octet > 255 {
            return Err(AddrError::OctetRange);
        }
        octets += 1;
        if octets > 4 {
            return Err(AddrError::NotAnAddress);
        }
        address = address << 8 | octet;
    }
    if octets == 4 { Ok(address) } else { Err(AddrError::NotAnAddress) }
}

/// An IPv6 address in any of RFC 4291's text forms (no zone index).
pub fn parse_ipv6(text: &[u8]) -> Result<u128, AddrError> {
    let text = std::str::from_utf8(text).map_err(|_| AddrError::NotAnAddress)?;
    text.parse::<Ipv6Addr>().map(u128::from).map_err(|_| AddrError::NotAnAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_ipv4() {
        assert_eq!(parse_ipv4(b"192.0.2.1"), Ok(0xc000_0201));
        assert_eq!(parse_ipv4(b"09.1.1.1"), Err(AddrError::LeadingZero));
        assert_eq!(parse_ipv4(b"1.2.3.256"), Err(AddrError::OctetRange));
        for bad in ["", "1.2.3", "1.2.3.4.5", "1..2.3", "a.b.c.d", "+1.2.3.4", "1.2.3.4 "] {
            assert_eq!(parse_ipv4(bad.as_bytes()), Err(AddrError::NotAnAddress), "{bad}");
        }
    }

    #[test]
    fn spans_print_as_people_write_them() {
        let show = |first, last| Span::<u32>::new(first, last).unwrap().to_string();
        assert_eq!(show(1, 1), "0.0.0.1");
        assert_eq!(show(0, u32::MAX), "0.0.0.0/0");
        assert_eq!(show(256, 511), "0.0.1.0/24");
        assert_eq!(show(128, 383), "0.0.0.128-0.0.1.127");
        assert_eq!(Span::<u128>::new(0, u128::MAX).unwrap().to_string(), "::/0");
        assert_eq!(Span::<u128>::host(1).to_string(), "::1");
    }

    #[test]
    fn prefixes_are_as_few_as_can_be() {
        let of = |first: u32, last: u32| -> Vec<String> {
            Span::new(first, last).unwrap().prefixes().map(|prefix| prefix.to_string()).collect()
        };
        assert_eq!(of(0, u32::MAX), ["0.0.0.0/0"]);
        assert_eq!(of(7, 7), ["0.0.0.7"]);
        assert_eq!(of(1, 6), ["0.0.0.1", "0.0.0.2/31", "0.0.0.4/31", "0.0.0.6"]);
        assert_eq!(of(128, 767), ["0.0.0.128/25", "0.0.1.0/24", "0.0.2.0/24"]);
        assert_eq!(of(u32::MAX - 2, u32::MAX), ["255.255.255.253", "255.255.255.254/31"]);
        let wide: Vec<_> = Span::<u128>::new(1, u128::MAX).unwrap().prefixes().collect();
        assert_eq!((wide.len(), wide[127]), (128, (1u128 << 127).prefix(1)));
    }

    #[test]
    fn subjects() {
        assert_eq!("192.0.2.0/24".parse(), Ok(Subject::V4(Span { first: 0xc000_0200, last: 0xc000_02ff })));
        assert_eq!("192.0.2.1/24".parse::<Subject>(), Err(AddrError::HostBits));
        assert_eq!("1.2.3".parse::<Subject>(), Err(AddrError::NotAnAddress));
        assert_eq!("1.2.3.4/33".parse::<Subject>(), Err(AddrError::PrefixLength));
        assert!(matches!("::1".parse(), Ok(Subject::V6(_))));
        assert!(matches!("spam.example".parse(), Ok(Subject::Name(_))));
    }

    #[test]
    fn subjects_cover_each_other() {
        let subject = |text: &str| text.parse::<Subject>().unwrap().unmapped();
        assert_eq!(subject("::ffff:192.0.2.7"), subject("192.0.2.7"));
        assert_eq!(subject("::ffff:0:0/96"), subject("0.0.0.0/0"));
        assert!(matches!(subject("::/0"), Subject::V6(_)));
        for (wide, narrow, covers) in [
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.0/24", false),
            ("::/0", "192.0.2.7", false),
            ("2001:db8::/32", "2001:db8::1", true),
            ("spam.example", "a.spam.example", true),
            ("a.spam.example", "spam.example", false),
            ("spam.example", "nospam.example", false),
        ] {
            assert_eq!(subject(wide).covers(&subject(narrow)), covers, "{wide} {narrow}");
        }
    }
}
