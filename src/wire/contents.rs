//! What a reply says, read back from its octets: for logs.

use super::query::{HEADER, LowerName, skip_name};
use crate::model::Rtype;

/// A reply taken apart.
pub struct Contents<'a> {
    /// The name asked for.
    pub name: LowerName,
    /// The type asked for.
    pub qtype: Rtype,
    answers: u16,
    /// From the first answer on.
    records: &'a [u8],
}

impl<'a> Contents<'a> {
    /// Reads a reply; `None` when it has not exactly one question whose name can be read.
    pub fn read(reply: &'a [u8]) -> Option<Self> {
        let header = reply.first_chunk::<HEADER>()?;
        let [questions, answers] = [4, 6].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
        let mut name = LowerName::ROOT;
        let end = name.read(reply, HEADER).filter(|_| questions == 1)?;
        let (&[high, low, ..], records) = reply.get(end..)?.split_first_chunk::<4>()?;
        Some(Self { name, qtype: Rtype(u16::from_be_bytes([high, low])), answers, records })
    }

    /// The type and data of each answer, as far as they are whole. Names in data may be compressed.
    pub fn answers(&self) -> impl Iterator<Item = (Rtype, &'a [u8])> + use<'a> {
        let mut rest = self.records;
        (0..self.answers).map_while(move |_| {
            let (fixed, after) = skip_name(rest)?.split_first_chunk::<10>()?;
            let [high, low, .., len_high, len_low] = *fixed;
            let len = usize::from(u16::from_be_bytes([len_high, len_low]));
            let (data, after) = after.split_at_checked(len)?;
            rest = after;
            Some((Rtype(u16::from_be_bytes([high, low])), data))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Vec<u8> {
        let header = [0, 0, 0x84, 0, 0, 1, 0, 2, 0, 0, 0, 0];
        let a = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\x7f\0\0\x02";
        let txt = b"\xc0\x0c\0\x10\0\x01\0\0\x01\x2c\0\x03\x02hi";
        [&header[..], b"\x01X\x04List\0\0\xff\0\x01", a, txt].concat()
    }

    #[test]
    fn all_that_it_says() {
        let octets = reply();
        let contents = Contents::read(&octets).unwrap();
        assert_eq!(contents.name.as_wire(), b"\x01x\x04list\0");
        assert_eq!(contents.qtype, Rtype::ANY);
        let answers: Vec<_> = contents.answers().collect();
        assert_eq!(answers, [(Rtype::A, &[127, 0, 0, 2][..]), (Rtype::TXT, b"\x02hi")]);
    }

    #[test]
    fn what_is_cut_says_less() {
        let octets = reply();
        let counts = (0..=octets.len())
            .map(|len| Contents::read(&octets[..len]).map(|contents| contents.answers().count()));
        let mut counts: Vec<_> = counts.collect();
        counts.dedup();
        assert_eq!(counts, [None, Some(0), Some(1), Some(2)]);
        let mut octets = reply();
        octets[5] = 2;
        assert!(Contents::read(&octets).is_none(), "two questions");
    }
}
