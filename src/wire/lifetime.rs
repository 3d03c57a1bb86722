//! How long a reply may be remembered, as its records say.

use super::query::{HEADER, skip_name};
use crate::model::{Rtype, Ttl};

/// The smallest TTL of the answers; without answers that of the SOA record that says so, or what the record itself says of
/// negative answers if that is less (RFC 2308 section 5). `None`: not at all.
pub fn lifetime(reply: &[u8]) -> Option<Ttl> {
    let header = reply.first_chunk::<HEADER>()?;
    let [questions, answers, authorities] =
        [4, 6, 8].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    let mut rest = &reply[HEADER..];
    for _ in 0..questions {
        rest = skip_name(rest)?.get(4..)?;
    }
    let records = if answers > 0 { answers } else { authorities };
    let mut least = None;
    for _ in 0..records {
        let (fixed, after) = skip_name(rest)?.split_first_chunk::<10>()?;
        let [type_high, type_low, _, _, a, b, c, d, len_high, len_low] = *fixed;
        let (data, after) = after.split_at_checked(usize::from(u16::from_be_bytes([len_high, len_low])))?;
        rest = after;
        let mut ttl = Ttl::from_be_bytes([a, b, c, d]);
        if answers == 0 {
            if Rtype(u16::from_be_bytes([type_high, type_low])) != Rtype::SOA {
                continue;
            }
            // The minimum is what the data end with.
            ttl = ttl.min(Ttl::from_be_bytes(*data.last_chunk()?));
        }
        least = Some(least.map_or(ttl, |least: Ttl| least.min(ttl)));
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x01x\0\0\x01\0\x01";

    fn reply(answers: u8, authorities: u8, records: &[&[u8]]) -> Vec<u8> {
        let header = [0, 0, 0x80, 0, 0, 1, 0, answers, 0, authorities, 0, 0];
        [&header[..], QUESTION, &records.concat()].concat()
    }

    fn a(ttl: u32) -> Vec<u8> {
        [b"\xc0\x0c\0\x01\0\x01", &ttl.to_be_bytes()[..], &[0, 4, 127, 0, 0, 2]].concat()
    }

    fn soa(ttl: u32, minimum: u32) -> Vec<u8> {
        let numbers = [1, 2, 3, 4, minimum].map(u32::to_be_bytes).concat();
        [b"\x01x\0\0\x06\0\x01", &ttl.to_be_bytes()[..], &[0, 22, 0, 0], &numbers].concat()
    }

    #[test]
    fn the_smallest_counts() {
        assert_eq!(lifetime(&reply(3, 0, &[&a(300), &a(60), &a(90)])), Some(60));
        assert_eq!(lifetime(&reply(1, 1, &[&a(300), &soa(5, 5)])), Some(300), "the answers alone");
        assert_eq!(lifetime(&reply(0, 1, &[&soa(3600, 60)])), Some(60));
        assert_eq!(lifetime(&reply(0, 1, &[&soa(30, 60)])), Some(30));
        assert_eq!(lifetime(&reply(0, 0, &[])), None);
        assert_eq!(lifetime(&reply(1, 0, &[&a(0)])), Some(0));
    }

    #[test]
    fn what_is_cut_has_none() {
        for whole in [reply(2, 0, &[&a(300), &a(60)]), reply(0, 1, &[&soa(3600, 60)])] {
            for len in 0..whole.len() {
                assert_eq!(lifetime(&whole[..len]), None, "{len}");
            }
        }
    }
}
