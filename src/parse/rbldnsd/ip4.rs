//! rbldnsd's notation for IPv4 addresses, prefixes and ranges.
//!
//! Older and looser than what strangers' feeds may write: zero-padded octets are decimal, octets at the end may be
//! missing (`10.1` = `10.1.0.0/16`), a range may end with one number that replaces the last octet written.

use super::super::diag::Bad;
use crate::model::{Address, Span};

/// The addresses at the beginning of a text, and where they end. What follows is a blank, `:`, a comment or nothing.
/// `host_bits`: a prefix may have some set.
pub(super) fn entry(text: &[u8], host_bits: bool) -> Result<(Span<u32>, usize), Bad> {
    let first = octets(text, 0)?;
    match text.get(first.end) {
        Some(b'-') => ended(range(text, first)?, text),
        Some(b'/') => {
            let (span, end) = prefix(text, first, host_bits)?;
            if span == 0.prefix(0) {
                return Err(Bad::new(first.end + 1, "a prefix of length 0 (all addresses) is refused"));
            }
            ended((span, end), text)
        }
        _ => network(text, host_bits),
    }
}

/// The same without ranges; all addresses (`0/0`) may be named.
pub(super) fn network(text: &[u8], host_bits: bool) -> Result<(Span<u32>, usize), Bad> {
    let first = octets(text, 0)?;
    let found = match text.get(first.end) {
        Some(b'/') => prefix(text, first, host_bits)?,
        Some(b'-') => return Err(Bad::new(first.end, "a range, where only prefixes can be entries")),
        _ if first.count == 1 => return Err(Bad::new(0, "one octet alone is no network (write `/8`)")),
        _ => (first.network(), first.end),
    };
    ended(found, text)
}

/// Four octets.
pub(super) fn address(text: &[u8]) -> Result<(u32, usize), Bad> {
    let first = octets(text, 0)?;
    if first.count < 4 {
        return Err(Bad::new(first.end, "fewer than four octets, where only addresses can be entries"));
    }
    ended((first.address, first.end), text)
}

fn ended<T>(found: (T, usize), text: &[u8]) -> Result<(T, usize), Bad> {
    match text.get(found.1) {
        None | Some(b' ' | b'\t' | b':' | b'#' | b';') => Ok(found),
        Some(_) => Err(Bad::new(found.1, "not an address")),
    }
}

/// Addresses in a span.
pub(super) fn size(span: &Span<u32>) -> u64 {
    u64::from(span.last - span.first) + 1
}

/// One to four octets, missing ones zero.
#[derive(Clone, Copy)]
struct Octets {
    address: u32,
    count: u8,
    end: usize,
}

impl Octets {
    /// All addresses that begin with these octets.
    fn network(self) -> Span<u32> {
        self.address.prefix(self.count * 8)
    }
}

fn octets(text: &[u8], start: usize) -> Result<Octets, Bad> {
    let (mut address, mut count, mut at) = (0u32, 0, start);
    loop {
        let digits = text[at..].iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len() - at);
        if digits == 0 {
            return Err(Bad::new(at, "not an address"));
        }
        let octet = number(&text[at..at + digits]).ok_or_else(|| Bad::new(at, "octet above 255"))?;
        count += 1;
        address |= octet << (32 - 8 * u32::from(count));
        at += digits;
        if text.get(at) != Some(&b'.') {
            return Ok(Octets { address, count, end: at });
        }
        if count == 4 {
            return Err(Bad::new(at, "more than four octets"));
        }
        at += 1;
    }
}

/// A decimal number up to 255, however many zeros stand before it.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    let mut n = 0u32;
    for &digit in digits {
        n = n * 10 + u32::from(digit.checked_sub(b'0').filter(|d| *d < 10)?);
        if n > 255 {
            return None;
        }
    }
    (!digits.is_empty()).then_some(n)
}

fn prefix(text: &[u8], first: Octets, host_bits: bool) -> Result<(Span<u32>, usize), Bad> {
    let start = first.end + 1;
    let digits = text[start..].iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len() - start);
    let len = number(&text[start..start + digits])
        .and_then(|n| u8::try_from(n).ok())
        .filter(|&len| len <= 32)
        .ok_or_else(|| Bad::new(start, "bad prefix length"))?;
    let span = first.address.prefix(len);
    if span.first != first.address && !host_bits {
        return Err(Bad::new(first.end, "host bits set right of the prefix length"));
    }
    Ok((span, start + digits))
}

fn range(text: &[u8], first: Octets) -> Result<(Span<u32>, usize), Bad> {
    let start = first.end + 1;
    let mut last = octets(text, start)?;
    if last.count == 1 && first.count > 1 {
        let shift = 32 - 8 * u32::from(first.count);
        last.address = first.address & !(0xff << shift) | last.address >> 24 << shift;
        last.count = first.count;
    }
    if last.count != first.count {
        return Err(Bad::new(start, "the ends of the range have different numbers of octets"));
    }
    let span = Span::new(first.address, last.network().last)
        .ok_or_else(|| Bad::new(start, "the range ends before it begins"))?;
    Ok((span, last.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line was seen to mean this in rbldnsd 1.0 (Debian 1.0~20210120-2).
    #[test]
    fn as_the_original_reads_it() {
        for (text, shown) in [
            ("1.2.3.4", "1.2.3.4"),
            ("010.0.0.01", "10.0.0.1"),
            ("29.0.0.0001", "29.0.0.1"),
            ("1.2.3", "1.2.3.0/24"),
            ("1.2", "1.2.0.0/16"),
            ("9/8", "9.0.0.0/8"),
            ("12.1.1/24", "12.1.1.0/24"),
            ("30.0.0.1/032", "30.0.0.1"),
            ("13.16/12", "13.16.0.0/12"),
            ("4.4.4.4/31", "4.4.4.4/31"),
            ("0/1", "0.0.0.0/1"),
            ("5.5.5.5-9", "5.5.5.5-5.5.5.9"),
            ("6.6.6.5-6.6.6.7", "6.6.6.5-6.6.6.7"),
            ("7.7-7.8", "7.7.0.0-7.8.255.255"),
            ("127.16-31", "127.16.0.0/12"),
            ("8.1.2-9", "8.1.2.0-8.1.9.255"),
            ("7-8", "7.0.0.0-8.255.255.255"),
            ("1.2.3.13-13", "1.2.3.13"),
            ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
        ] {
            for tail in ["", " x", ":5", "#c", ";c", "\tx"] {
                let (span, end) = entry(format!("{text}{tail}").as_bytes(), false).unwrap();
                assert_eq!((span.to_string().as_str(), end), (shown, text.len()), "{text}{tail}");
            }
        }
    }

    #[test]
    fn as_the_original_refuses_it() {
        for (text, at) in [
            ("", 0),
            ("1", 0),
            ("10 x", 0),
            ("11.1.1.1/24", 8),
            ("13.1/12", 4),
            ("1.2.3.4/33", 8),
            ("1.2.3.4/", 8),
            ("0/0", 2),
            ("1.2.3.0/0", 7),
            ("1.2.3.4-", 8),
            ("16.0.0.5-1", 9),
            ("17.0.0.1-256", 9),
            ("22.1.2.3-23.1", 9),
            ("18.0.0.1,x", 8),
            ("38.0.0.1!x", 8),
            ("28.0.0.256", 7),
            ("31.1.2.3.4", 8),
            ("34.0.0.0-34.0.0.255/24", 19),
            ("35.0.0.1/+8", 9),
            ("1..2.3", 2),
            ("word", 0),
            ("2001:db8::1", 0),
        ] {
            let bad = entry(text.as_bytes(), false).map(|(span, end)| (span.to_string(), end)).unwrap_err();
            assert_eq!(bad.at, at, "{text}: {bad:?}");
        }
    }

    /// Seen in rbldnsd 1.0 with `-e`.
    #[test]
    fn host_bits_may_be_allowed() {
        for (text, shown) in [
            ("1.2.3.77/24", "1.2.3.0/24"),
            ("2.2.3/16", "2.2.0.0/16"),
            ("3.1/12", "3.0.0.0/12"),
            ("5/4", "0.0.0.0/4"),
        ] {
            for read in [entry, network] {
                let (span, end) = read(format!("{text}:5").as_bytes(), true).unwrap();
                assert_eq!((span.to_string().as_str(), end), (shown, text.len()), "{text}");
            }
        }
        assert_eq!(entry(b"4.4.4.4/0", true).unwrap_err().at, 8);
        assert_eq!(network(b"4.4.4.4/0", true).unwrap().0.to_string(), "0.0.0.0/0");
    }

    #[test]
    fn networks_are_prefixes_alone() {
        for (text, shown) in
            [("0/0", "0.0.0.0/0"), ("0.0.0.0/00", "0.0.0.0/0"), ("2/7", "2.0.0.0/7"), ("1.2.3", "1.2.3.0/24")]
        {
            let (span, end) = network(format!("{text}:5").as_bytes(), false).unwrap();
            assert_eq!((span.to_string().as_str(), end), (shown, text.len()), "{text}");
        }
        for (text, at) in
            [("1.2.3.4-5", 7), ("1-2", 1), ("1/0", 1), ("1.2.3.0/24,", 10), ("0", 0), ("1.2.3.1/24", 7)]
        {
            assert_eq!(network(text.as_bytes(), false).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn addresses_have_four_octets() {
        assert_eq!(address(b"010.2.3.4;c"), Ok((0x0a02_0304, 9)));
        for (text, at) in
            [("1.2.3", 5), ("1.2.3.4/32", 7), ("1.2.3.4-5", 7), ("1.2.3.4x", 7), ("!1.2.3.4", 0)]
        {
            assert_eq!(address(text.as_bytes()).unwrap_err().at, at, "{text}");
        }
    }
}
