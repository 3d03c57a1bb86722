//! Names and codes that the configuration hands out: checked once, trusted afterwards.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a list or a feed: `[a-z0-9][a-z0-9-]*`, at most 63 octets. Safe as a DNS label and as a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(Box<str>);

impl Slug {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=63).contains(&text.len()) && text.bytes().all(good) && !text.starts_with('-');
        if fits { Ok(Self(text.into())) } else { Err(()) }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Slug {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom(format!("`{text}` is not a name of a list")))
    }
}

/// The A record that a list answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(Ipv4Addr);

/// Why an address cannot be a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not four octets.
    #[error("it is not an IPv4 address")]
    NotAnAddress,
    /// Clients take answers outside 127/8 for a lapsed domain or a listing (RFC 5782 section 2.1).
    #[error("it lies outside 127.0.0.0/8")]
    Outside,
    /// Clients read 127.255.255.x as "you are blocked", not as "listed".
    #[error("127.255.255.x is how lists say that something is wrong with the question")]
    ErrorRange,
    /// 127.0.0.1 and 127.0.0.2 are the test points (RFC 5782 section 5).
    #[error("127.0.0.1 and 127.0.0.2 are the test points and no list's")]
    TestPoint,
    /// Local decisions answer with it.
    #[error("127.0.2.2 is the code of local decisions")]
    Overlay,
}

impl Code {
    /// What a list answers that is alone in its zone and has no code: what most lists answer.
    pub const ALONE: Self = Self(Ipv4Addr::new(127, 0, 0, 2));
    /// The code of local decisions (`gatepost block`).
    pub const OVERLAY: Ipv4Addr = crate::model::OVERLAY_CODE;

    /// As an address.
    pub fn address(self) -> Ipv4Addr {
        self.0
    }
}

impl TryFrom<Ipv4Addr> for Code {
    type Error = CodeError;

    fn try_from(address: Ipv4Addr) -> Result<Self, CodeError> {
        match address.octets() {
            [127, 0, 0, 0..=2] => Err(CodeError::TestPoint),
            [127, 255, 255, _] => Err(CodeError::ErrorRange),
            [127, ..] if address == Self::OVERLAY => Err(CodeError::Overlay),
            [127, ..] => Ok(Self(address)),
            _ => Err(CodeError::Outside),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for good in ["psbl", "0spam", "spamhaus-drop-v6", &"a".repeat(63)] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a.b", "../x", "é", &"a".repeat(64)] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn codes() {
        let code = |a, b, c, d| Code::try_from(Ipv4Addr::new(a, b, c, d));
        assert_eq!(code(127, 0, 0, 3).map(Code::address), Ok(Ipv4Addr::new(127, 0, 0, 3)));
        assert!(code(127, 0, 1, 1).is_ok());
        assert_eq!(code(127, 0, 0, 2), Err(CodeError::TestPoint));
        assert_eq!(code(127, 255, 255, 254), Err(CodeError::ErrorRange));
        assert_eq!(code(127, 0, 2, 2), Err(CodeError::Overlay));
        assert_eq!(code(192, 0, 2, 1), Err(CodeError::Outside));
    }
}
