//! Ascending addresses as LEB128 distances between them: most of the octets of most sets.

use super::Out;

/// Addresses written at a time.
const PIECE: usize = 256;

/// Octets written for each, of which those that count are at most five.
const WIDTH: usize = 8;

/// Clustered lists have distances of all lengths, which no processor guesses: so there is no branch on them.
pub(super) fn put_gaps(out: &mut impl Out, addresses: &[u32]) {
    let mut octets = [0; (PIECE + 1) * WIDTH];
    let mut last = 0;
    for piece in addresses.chunks(PIECE) {
        let mut len = 0;
        for &address in piece {
            let (number, width) = leb128(address - last);
            last = address;
            octets[len..len + WIDTH].copy_from_slice(&number.to_le_bytes());
            len += width;
        }
        out.extend_from_slice(&octets[..len]);
    }
}

/// The octets of a number, the first one lowest, and how many they are.
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

        let addresses: Vec<u32> = (0..3000u32).map(|n| n * n * 400 + n % 7).collect();
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
