//! Which answers a mail program takes for a listing.

use std::net::Ipv4Addr;

/// What is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    /// Any answer.
    Open,
    /// Something is looked at, in a way that is not understood here.
    Some,
    /// These: of each octet the ranges.
    Codes(Vec<[Vec<(u8, u8)>; 4]>),
}

impl Filter {
    pub(super) fn is_open(&self) -> bool {
        *self == Self::Open
    }

    /// Whether `code` is surely taken.
    pub(super) fn lets(&self, code: Ipv4Addr) -> bool {
        match self {
            Self::Open => true,
            Self::Some => false,
            Self::Codes(patterns) => patterns.iter().any(|pattern| {
                let octets = pattern.iter().zip(code.octets());
                octets
                    .into_iter()
                    .all(|(ranges, octet)| ranges.iter().any(|(a, b)| (*a..=*b).contains(&octet)))
            }),
        }
    }

    /// Codes as Postfix writes them (`127.0.0.[4;6..9]`), parted by commas.
    pub(super) fn of(text: &str) -> Self {
        let patterns: Option<Vec<_>> = text.split(',').map(|code| pattern(code.trim())).collect();
        patterns.map_or(Self::Some, Self::Codes)
    }
}

fn pattern(code: &str) -> Option<[Vec<(u8, u8)>; 4]> {
    // The dots of a range part no octets.
    let code = code.replace("..", "-");
    let octets: Option<Vec<_>> = code.split('.').map(octet).collect();
    octets?.try_into().ok()
}

fn octet(text: &str) -> Option<Vec<(u8, u8)>> {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let range = |part: &str| match part.split_once('-') {
        Some((a, b)) => Some((a.parse().ok()?, b.parse().ok()?)),
        None => part.parse().ok().map(|one| (one, one)),
    };
    text.split(';').map(range).collect()
}
