//! rbldnsd's notation for IPv6 addresses and prefixes.
//!
//! Up to eight words, `::` once, words at the end may be missing (`2001:db8` = `2001:db8::/32`); never an embedded
//! dotted quad. A word may have zeros before it.

use super::super::diag::Bad;
use super::super::plain;
use super::ip4::number;
use crate::model::{Address, Span};

/// Words at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    /// Missing ones zero.
    pub(super) address: u128,
    /// How many are written.
    pub(super) count: u8,
    /// `::` stands for some of them.
    pub(super) shortened: bool,
    /// Where they end.
    pub(super) end: usize,
}

impl Words {
    /// All eight are known.
    pub(super) fn is_address(self) -> bool {
        self.shortened || self.count == 8
    }

    /// All addresses that begin with these words.
    pub(super) fn network(self) -> Span<u128> {
        self.address.prefix(if self.is_address() { 128 } else { self.count * 16 })
    }
}

/// The words at the beginning of a text. What follows eight of them may be glued to them by a colon.
pub(super) fn words(text: &[u8]) -> Result<Words, Bad> {
    // All words so far, how many they are, and how many of them stand before `::`.
    let (mut words, mut count) = (0u128, 0u32);
    let mut before = None;
    let mut at = 0;
    if text.starts_with(b"::") {
        before = Some(0);
        at = 2;
    }
    loop {
        let (word, digits) = word(&text[at..]);
        if digits == 0 {
            // Nothing need follow `::`, and one more colon behind a shortened address means nothing.
            let ends = text.get(at).is_none_or(|&b| plain::is_blank(b) || matches!(b, b'#' | b';' | b'/'));
            if before.is_some() && (ends || text[..at].ends_with(b"::")) {
                break;
            }
            return Err(Bad::new(at, "not an address"));
        }
        if count == if before.is_some() { 7 } else { 8 } {
            return Err(Bad::new(at, "more than eight words"));
        }
        let word = word.ok_or_else(|| Bad::new(at, "word above ffff"))?;
        words = words << 16 | u128::from(word);
        count += 1;
        at += digits;
        match &text[at..] {
            [b':', ..] if before.is_none() && count == 8 => break,
            [b':', b':', ..] if before.is_some() => return Err(Bad::new(at, "`::` for the second time")),
            [b':', b':', ..] => {
                before = Some(count);
                at += 2;
            }
            [b':', ..] => at += 1,
            _ => break,
        }
    }
    let behind = 16 * (count - before.unwrap_or(count));
    let gap = 16 * (8 - count);
    let address = (words >> behind).checked_shl(behind + gap).unwrap_or(0) | words & !(u128::MAX << behind);
    Ok(Words { address, count: count as u8, shortened: before.is_some(), end: at })
}

/// The hexadecimal number that a text begins with, `None` above ffff, and how many digits it has.
#[inline]
fn word(text: &[u8]) -> (Option<u16>, usize) {
    // Most words have four digits.
    if let Some(&[a, b, c, d, behind]) = text.first_chunk::<5>() {
        let digits = [a, b, c, d].map(|octet| DIGITS[usize::from(octet)]);
        let behind = DIGITS[usize::from(behind)];
        if digits.iter().all(|&digit| digit != NO_DIGIT) && behind == NO_DIGIT {
            return (Some(digits.iter().fold(0, |word, &digit| word << 4 | u16::from(digit))), 4);
        }
    }
    let mut word = 0u32;
    let mut digits = 0;
    while let Some(&octet) = text.get(digits) {
        let value = DIGITS[usize::from(octet)];
        if value == NO_DIGIT {
            break;
        }
        // What is too large stays so.
        word = word << 4 | u32::from(value) | word & 0xffff_0000;
        digits += 1;
    }
    (u16::try_from(word).ok(), digits)
}

const NO_DIGIT: u8 = u8::MAX;

/// The value of each hexadecimal digit.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// An address or prefix, and where it ends. `host_bits`: a prefix may have some set.
pub(super) fn network(text: &[u8], host_bits: bool) -> Result<(Span<u128>, usize), Bad> {
    let words = words(text)?;
    let Some(rest) = text[words.end..].strip_prefix(b"/") else {
        if words.count == 1 && !words.shortened {
            return Err(Bad::new(0, "one word alone is no network (write `/16`)"));
        }
        return ended(text, words).map(|end| (words.network(), end));
    };
    let start = words.end + 1;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let len = number(&rest[..digits])
        .and_then(|n| u8::try_from(n).ok())
        .filter(|&len| len <= 128)
        .ok_or_else(|| Bad::new(start, "bad prefix length"))?;
    let span = words.address.prefix(len);
    if span.first != words.address && !host_bits {
        return Err(Bad::new(words.end, "host bits set right of the prefix length"));
    }
    match rest.get(digits) {
        None | Some(b' ' | b'\t' | b':' | b'#' | b';') => Ok((span, start + digits)),
        Some(_) => Err(Bad::new(start + digits, "not an address")),
    }
}

/// What may follow words: a blank, a comment or nothing, and a colon behind eight of them.
pub(super) fn ended(text: &[u8], words: Words) -> Result<usize, Bad> {
    match text.get(words.end) {
        None | Some(b'#' | b';') => Ok(words.end),
        Some(&blank) if plain::is_blank(blank) => Ok(words.end),
        Some(b':') if words.count == 8 => Ok(words.end),
        Some(_) => Err(Bad::new(words.end, "not an address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line was seen to mean this in rbldnsd 1.0 (Debian 1.0~20210120-2).
    #[test]
    fn as_the_original_reads_it() {
        for (text, shown) in [
            ("2001:db8", "2001:db8::/32"),
            ("2001:DB8:1:2", "2001:db8:1:2::/64"),
            ("2001:db8::", "2001:db8::"),
            ("2001:db8:1:2/64", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
            ("::/0", "::/0"),
            ("0/0", "::/0"),
            ("::", "::"),
            ("::1", "::1"),
            ("2001:db8::1/128", "2001:db8::1"),
            ("2001:db8::1:5", "2001:db8::1:5"),
            ("0002001::1", "2001::1"),
            ("2001:db8/33", "2001:db8::/33"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("1/16", "1::/16"),
            ("1:2/032", "1:2::/32"),
            ("8000/1", "8000::/1"),
            ("2::1:", "2::1"),
            ("2::1:/128", "2::1"),
        ] {
            for tail in ["", " x", "#c", ";c", "\tx"] {
                let (span, end) = network(format!("{text}{tail}").as_bytes(), false).unwrap();
                assert_eq!((span.to_string().as_str(), end), (shown, text.len()), "{text}{tail}");
            }
        }
        assert_eq!(network(b"1:2:3:4:5:6:7:8:5:x", false).unwrap().1, 15);
        assert_eq!(network(b"1/16:5:x", false).unwrap().1, 4);
        assert_eq!(network(b"2001:db8::1/32", true).unwrap().0.to_string(), "2001:db8::/32");
    }

    #[test]
    fn as_the_original_refuses_it() {
        for (text, at) in [
            ("", 0),
            ("2001", 0),
            ("2001:db8::g", 10),
            ("2001:db8::1/64", 11),
            ("2001:db9/31", 8),
            ("::ffff:1.2.3.4", 8),
            ("1.2.3.4", 0),
            ("2001:db8:1:2/129", 13),
            ("2001:db8:1:2/", 13),
            ("::1:2:3:4:5:6:7:8", 16),
            ("1:2:3:4:5:6:7::8", 15),
            ("1:2:3:4:", 8),
            ("1:2:3:4,", 7),
            ("1-2", 0),
            ("fe80::1%eth0", 7),
            ("1::5:x", 5),
            ("1:2/32x", 6),
            ("12345::", 0),
            ("1: 2", 2),
            ("1:2:/32", 4),
            // There it lists 1::2 with the value `:3`.
            ("1::2::3", 4),
        ] {
            let bad = network(text.as_bytes(), false).map(|(span, end)| (span.to_string(), end)).unwrap_err();
            assert_eq!(bad.at, at, "{text}: {bad:?}");
        }
    }
}
