//! Ascending addresses as LEB128 distances between them: most of the octets of most sets.

use super::Out;

/// Addresses written at a time.
const PIECE: usize = 256;

/// Octets of the longest number of 32 bits.
const LONGEST: usize = 5;

pub(super) fn put_gaps(out: &mut impl Out, addresses: &[u32]) {
    let mut octets = [0; PIECE * LONGEST];
    let mut last = 0;
    for piece in addresses.chunks(PIECE) {
        let mut len = 0;
        for &address in piece {
            let mut gap = address - last;
            last = address;
            while gap >= 0x80 {
                octets[len] = gap as u8 | 0x80;
                gap >>= 7;
                len += 1;
            }
            octets[len] = gap as u8;
            len += 1;
        }
        out.extend_from_slice(&octets[..len]);
    }
}
