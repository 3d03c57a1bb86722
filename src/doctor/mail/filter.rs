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
    /// What has all bits of one of these.
    Bits(Vec<Ipv4Addr>),
    /// Addresses all of whose answers are taken: one that is not is enough to let pass.
    Every(Box<Self>),
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
            Self::Every(filter) => filter.lets(code),
            Self::Bits(all) => all.iter().any(|bits| code & bits == *bits),
            Self::Codes(patterns) => patterns.iter().any(|pattern| {
                let octets = pattern.iter().zip(code.octets());
                octets
                    .into_iter()
                    .all(|(ranges, octet)| ranges.iter().any(|(a, b)| (*a..=*b).contains(&octet)))
            }),
        }
    }

    /// Which of the codes that mean an error, or nothing, is surely taken (RFC 5782 section 2.1, and 127.255.255.x).
    pub(super) fn error(&self) -> Option<Ipv4Addr> {
        let errors = [[127, 255, 255, 254], [127, 255, 255, 252], [127, 255, 255, 255]];
        let errors = errors.into_iter().map(Ipv4Addr::from).filter(|code| self.lets(*code));
        let mut all = errors.chain(self.lets_nowhere().then_some(Self::NOWHERE));
        all.next().filter(|_| !self.is_of_bits())
    }

    const NOWHERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

    /// Whether it takes 127.0.0.1. Of a list whose codes are two numbers (`127.0.[0..255].[1..3]`, as dnswl.org's are a kind and how far it
    /// trusts) that is one of many that it never answers.
    fn lets_nowhere(&self) -> bool {
        let Self::Codes(patterns) = self else { return self.lets(Self::NOWHERE) };
        let is_pair = |[_, second, kind, number]: &[Vec<(u8, u8)>; 4]| {
            second[..] == [(0, 0)] && kind.contains(&(0, 255)) && number.iter().all(|(_, last)| *last < 255)
        };
        Self::Codes(patterns.iter().filter(|pattern| !is_pair(pattern)).cloned().collect())
            .lets(Self::NOWHERE)
    }

    /// Errors have nearly all bits: whoever asks for bits takes them, and lists that are made for that have none.
    fn is_of_bits(&self) -> bool {
        match self {
            Self::Every(filter) => filter.is_of_bits(),
            Self::Bits(_) => true,
            _ => false,
        }
    }

    /// Whether one answer that it does not take lets pass whom another one would have refused.
    pub(super) fn wants_all(&self) -> bool {
        matches!(self, Self::Every(filter) if **filter != Self::Some)
    }

    /// Whether `code` may be taken.
    pub(super) fn may_let(&self, code: Ipv4Addr) -> bool {
        match self {
            Self::Some => true,
            Self::Every(filter) => filter.may_let(code),
            _ => self.lets(code),
        }
    }

    /// Bits, parted by commas.
    pub(super) fn of_bits(text: &str) -> Self {
        let all: Option<Vec<_>> = text.split(',').map(|bits| bits.trim().parse().ok()).collect();
        all.map_or(Self::Some, Self::Bits)
    }

    /// Codes, each by itself: what has one of these signs and no letter is none, and no answer is the same.
    pub(super) fn of_each<'a>(codes: impl Iterator<Item = &'a str>, signs: &[char]) -> Self {
        let is_plain = |code: &str| code.chars().all(|c| !c.is_alphabetic() && !"$%\\^*+?".contains(c));
        let codes: Vec<&str> = codes.filter(|code| !code.contains(signs) || !is_plain(code)).collect();
        if codes.is_empty() { Self::Codes(Vec::new()) } else { Self::of(&codes.join(",")) }
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

/// Codes as SpamAssassin's rules look for them: `127.0.1.5`, or the pattern that is printed for it,
/// `^(?:127\.0\.0\.(?:4|5)|127\.0\.2\.2)$`.
pub(super) fn of_pattern(text: &str) -> Filter {
    // A comma is a sign like others there, and no answer has one.
    if text.chars().all(|c| c.is_ascii_digit() || ".,; ".contains(c)) {
        return Filter::of_each(std::iter::once(text), &[',', ';']);
    }
    let plain = text.replace("\\.", ".");
    let plain = plain.strip_prefix('^').and_then(|text| text.strip_suffix('$')).unwrap_or(&plain);
    let plain = plain.strip_prefix("(?:").and_then(|text| text.strip_suffix(')')).unwrap_or(plain);
    let mut depth = 0;
    let mut codes = String::new();
    for c in plain.replace("(?:", "(").chars() {
        match c {
            '(' => {
                depth += 1;
                codes.push('[');
            }
            ')' => {
                depth -= 1;
                codes.push(']');
            }
            '|' => codes.push(if depth == 0 { ',' } else { ';' }),
            c => codes.push(c),
        }
    }
    Filter::of(&codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_are_printed_are_understood() {
        let filter = of_pattern(r"^(?:127\.0\.0\.(?:4|5)|127\.0\.2\.(?:2))$");
        let lets = |last: [u8; 2]| filter.lets(Ipv4Addr::new(127, 0, last[0], last[1]));
        assert!(lets([0, 4]) && lets([0, 5]) && lets([2, 2]) && !lets([2, 4]) && !lets([0, 2]));
        assert_eq!(of_pattern("127.0.1.5"), Filter::of("127.0.1.5"));
        assert_eq!(of_pattern(r"^127\.0\.0\.\d+$"), Filter::Some);
    }

    #[test]
    fn codes_that_are_none() {
        let none = Filter::Codes(Vec::new());
        for text in ["127.0.1.4,127.0.1.9", "127.0.1.4;127.0.2.2"] {
            assert_eq!(of_pattern(text), none, "{text}");
        }
        let each = |codes: &[&str]| Filter::of_each(codes.iter().copied(), &[',', '/']);
        assert_eq!(each(&["127.0.1.4,127.0.1.9"]), none);
        assert_eq!(each(&["127.0.1.0/24"]), none);
        assert_eq!(each(&["127.0.1.4", "127.0.1.0/24"]), Filter::of("127.0.1.4"));
        assert_eq!(each(&["127.0.%d+.0"]), Filter::Some);
    }

    #[test]
    fn bits_of_codes() {
        let bits = Filter::of_bits("0.0.1.0, 0.0.0.8");
        let lets = |text: &str| bits.lets(text.parse().unwrap());
        assert!(lets("127.0.1.5") && lets("127.0.3.6") && lets("127.0.4.9"));
        assert!(!lets("127.0.2.2") && !lets("127.0.4.6"));
        assert_eq!(bits.error(), None);
        assert_eq!(Filter::of_bits("x"), Filter::Some);
        assert!(
            Filter::Every(Box::new(bits)).wants_all() && !Filter::Every(Box::new(Filter::Some)).wants_all()
        );
    }

    #[test]
    fn ranges_that_take_errors() {
        let error = |text| Filter::of(text).error().map(|code| code.to_string());
        assert_eq!(error("127.[0..255].[0..255].[0..255]").as_deref(), Some("127.255.255.254"));
        assert_eq!(error("127.0.0.[1..11]").as_deref(), Some("127.0.0.1"));
        assert_eq!(error("127.0.0.[2..11]"), None);
        assert_eq!(error("127.0.[0..255].[1..3]"), None);
        assert_eq!(error("127.0.[0..255].[0..255]").as_deref(), Some("127.0.0.1"));
        assert_eq!(error("127.[0..255].[0..255].[1..3]").as_deref(), Some("127.0.0.1"));
    }
}
