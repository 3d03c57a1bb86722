//! The fast path: a line that is one IPv4 address and nothing else.
//!
//! [`line()`] looks at 16 octets at once (`255.255.255.255` and its LF are exactly that many), finds the octets that
//! are no digits with a few word operations, and takes the four numbers out of them side by side, so that nothing
//! hangs on the length of each number. Whatever is not exactly `d.d.d.d` and LF or CR LF, with numbers up to 255
//! without leading zeros, is left to the careful path, which alone says what is wrong.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The address on the line that begins at `at`, and where the next line begins. The line must be ended by an LF
/// somewhere in `buffer`.
#[inline(always)]
pub(super) fn line(buffer: &[u8], at: usize) -> Option<(u32, usize)> {
    let chunk: &[u8; 16] = buffer.get(at..)?.first_chunk()?;
    let mut marks = not_digits(chunk);
    let mut start = 0u32;
    let mut address = 0;
    for place in 0..4 {
        let end = marks.trailing_zeros();
        marks &= marks.wrapping_sub(1);
        // The chunk has no fourth mark at all, or a number is longer than three digits or empty.
        let len = end.wrapping_sub(start);
        if !(1..=3).contains(&len) || end > 15 {
            return None;
        }
        let separator = chunk[end as usize];
        if place < 3 {
            if separator != b'.' {
                return None;
            }
        } else if separator != b'\n' {
            let next = at + end as usize + 1;
            return (separator == b'\r' && buffer.get(next) == Some(&b'\n'))
                .then_some(())
                .and_then(|()| number(chunk, start, len))
                .map(|octet| (address << 8 | octet, next + 1));
        }
        address = address << 8 | number(chunk, start, len)?;
        start = end + 1;
    }
    Some((address, at + start as usize))
}

/// One bit per octet of the chunk that is no digit.
#[inline(always)]
fn not_digits(chunk: &[u8; 16]) -> u32 {
    let (low, high) = chunk.split_at(8);
    let half = |bytes: &[u8]| {
        let word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        // Digits become 0 to 9; adding 0x76 to anything higher reaches the top bit, and no carry leaves an octet.
        let digits = word ^ (LOW * 0x30);
        let marks = (((digits & !HIGH) + LOW * 0x76) | digits) & HIGH;
        // The top bits gathered in one octet: the product's bits do not meet.
        ((marks >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    };
    half(low) | half(high) << 8
}

/// The number of `len` (1 to 3) digits at `start`; `None` above 255 or with a leading zero.
#[inline(always)]
fn number(chunk: &[u8; 16], start: u32, len: u32) -> Option<u32> {
    let start = start as usize;
    // Four octets from `start`: a mark stands behind the digits, so there are always that many but for the last
    // number of the longest address, whose LF is the sixteenth octet.
    let word = u32::from_le_bytes(chunk.get(start..start + 4)?.try_into().ok()?) ^ 0x3030_3030;
    // Digits at the end, zeros before them: as a big-endian number their order is that of the values.
    let digits = word << (32 - 8 * len);
    let ordered = digits.swap_bytes();
    let least = 1u32 << (8 * (len - 1)) & !0xff;
    if ordered > 0x0002_0505 || ordered < least {
        return None;
    }
    Some((u64::from(digits).wrapping_mul(100 << 16 | 10 << 8 | 1) >> 24) as u32 & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_ipv4;

    fn fast(text: &[u8]) -> Option<(u32, usize)> {
        let padded = [text, &[0; 16]].concat();
        line(&padded, 0)
    }

    #[test]
    fn every_number_in_every_place() {
        for n in 0..=1000u32 {
            for (text, address) in [
                (format!("{n}.2.3.4\n"), n << 24 | 0x0002_0304),
                (format!("255.{n}.255.255\n"), 0xff00_ffff | n << 16),
                (format!("1.2.{n}.4\r\n"), 0x0102_0004 | n << 8),
                (format!("199.200.201.{n}\n"), 0xc7c8_c900 | n),
                (format!("199.200.201.{n}\r\n"), 0xc7c8_c900 | n),
            ] {
                let expect = (n < 256).then_some((address, text.len()));
                assert_eq!(fast(text.as_bytes()), expect, "{text}");
            }
        }
    }

    #[test]
    fn odd_lines_are_left_alone() {
        for text in [
            "\n",
            "1.2.3\n",
            "1.2.3.4.5\n",
            "01.2.3.4\n",
            "1.2.3.00\n",
            "1..2.3\n",
            "1.2.3.\n",
            ".1.2.3\n",
            "1.2.3.4 \n",
            " 1.2.3.4\n",
            "1.2.3.4/8\n",
            "1.2.3.4\r1\n",
            "1,2.3.4\n",
            "1.2.3.4#\n",
            "256.1.1.1\n",
            "1.2.3.4444\n",
            "1111.2.3.4\n",
            "a.b.c.d\n",
            "1.2.3.4\r",
            "\u{ff11}.2.3.4\n",
        ] {
            assert_eq!(fast(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(line(b"1.2.3.4\n", 0), None, "too near the end of the buffer");
    }

    proptest::proptest! {
        /// What the fast path takes, the careful one reads the same way.
        #[test]
        fn agrees_with_the_careful_path(text in "[0-9.]{1,16}[\r]?\n") {
            let bare = text.trim_end();
            let careful = parse_ipv4(bare.as_bytes()).ok().map(|address| (address, text.len()));
            proptest::prop_assert_eq!(fast(text.as_bytes()), careful);
        }

        #[test]
        fn any_octets(bytes in proptest::collection::vec(0u8.., 0..40)) {
            if let Some((address, next)) = line(&bytes, 0) {
                let bare = bytes[..next].strip_suffix(b"\n").unwrap();
                let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
                proptest::prop_assert_eq!(parse_ipv4(bare), Ok(address));
            }
        }
    }
}
