//! Ascending addresses as LEB128 distances between them: most of the octets of most sets.

use super::Out;

/// Addresses written at a time.
const PIECE: usize = 256;

/// Octets written for each, of which those that count are at most five.
const WIDTH: usize = 8;

/// Distances below this take four octets at most: all but a few of any list.
const NARROW: u32 = 1 << 28;

/// Clustered lists have distances of all lengths, which no processor guesses: so there is no branch on them, and what is made
/// of the distances of a piece is made of several at once.
pub(super) fn put_gaps(out: &mut impl Out, addresses: &[u32]) {
    let mut octets = [0; (PIECE + 1) * WIDTH];
    let (mut gaps, mut words, mut widths) = ([0; PIECE], [0; PIECE], [0; PIECE]);
    let mut last = 0;
    for piece in addresses.chunks(PIECE) {
        let gaps = &mut gaps[..piece.len()];
        gaps[0] = piece[0] - last;
        gaps[1..].iter_mut().zip(piece.windows(2)).for_each(|(gap, pair)| *gap = pair[1] - pair[0]);
        last = piece[piece.len() - 1];
        let mut len = 0;
        if gaps.iter().fold(0, |all, gap| all | gap) < NARROW {
            words.iter_mut().zip(&*gaps).for_each(|(word, &gap)| *word = narrow(gap));
            widths.iter_mut().zip(&*gaps).for_each(|(width, &gap)| *width = narrow_width(gap));
            for (word, width) in words.iter().zip(&widths).take(gaps.len()) {
                octets[len..len + 4].copy_from_slice(&word.to_le_bytes());
                len += *width as usize;
            }
        } else {
            for &mut gap in gaps {
                let (number, width) = leb128(gap);
                octets[len..len + WIDTH].copy_from_slice(&number.to_le_bytes());
                len += width;
            }
        }
        out.extend_from_slice(&octets[..len]);
    }
}

/// The octets of a number below [`NARROW`], the first one lowest.
#[inline]
fn narrow(n: u32) -> u32 {
    let spread = n & 0x7f | (n & 0x3f80) << 1 | (n & 0x001f_c000) << 2 | (n & 0x0fe0_0000) << 3;
    let more = |bits: u32, octet: u32| u32::from(n >> bits != 0) << octet;
    spread | more(7, 7) | more(14, 15) | more(21, 23)
}

/// How many they are.
#[inline]
fn narrow_width(n: u32) -> u32 {
    1 + u32::from(n >> 7 != 0) + u32::from(n >> 14 != 0) + u32::from(n >> 21 != 0)
}

/// The octets of any number, the first one lowest, and how many they are.
#[inline]
fn leb128(n: u32) -> (u64, usize) {
    let n = u64::from(n);
    let spread = n & 0x7f
        | (n & 0x3f80) << 1
        | (n & 0x001f_c000) << 2
        | (n & 0x0fe0_0000) << 3
        | (n & 0xf000_0000) << 4;
    // Zero has an octet, too.
    let width = ((n | 1).ilog2() / 7) as usize + 1;
    let all_but_last = (1u64 << (8 * (width - 1))) - 1;
    (spread | 0x80_8080_8080 & all_but_last, width)
}

#[cfg(test)]
mod tests {
    use super::super::put_u32;
    use super::*;

    #[test]
    fn as_one_octet_after_the_other() {
        let edges = (0..=32).map(|bits| (1u64 << bits) - 1);
        let numbers =
            edges.flat_map(|n| [n.saturating_sub(1), n, n + 1]).filter_map(|n| u32::try_from(n).ok());
        let (mut together, mut expected) = (Vec::new(), Vec::new());
        for number in numbers {
            put_gaps(&mut together, &[number]);
            put_u32(&mut expected, number);
        }
        assert_eq!(together, expected);

        // Of all widths, with a piece in the middle that has some of the widest.
        let far = |n: u32| if n >= 1000 { 1 << 30 } else { 0 };
        let addresses: Vec<u32> =
            (0..3000u32).map(|n| n * n * 300 + n % 7 + far(n)).chain([u32::MAX]).collect();
        let (mut together, mut expected) = (Vec::new(), Vec::new());
        put_gaps(&mut together, &addresses);
        let mut last = 0;
        for address in addresses {
            put_u32(&mut expected, address - last);
            last = address;
        }
        assert_eq!(together, expected);
    }
}
