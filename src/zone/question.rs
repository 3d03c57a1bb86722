//! The labels below an origin → the addresses they spell.

use crate::model::Span;

/// The addresses `::ffff:0.0.0.0/96`: IPv4 in IPv6's clothes.
pub(super) const MAPPED: Span<u128> = Span { first: 0xffff_0000_0000, last: 0xffff_ffff_ffff };

/// What the labels between a question's first label and the origin spell.
///
/// A label of one digit is a decimal octet and a hexadecimal nibble, so both readings can stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Question {
    /// One to four decimal octets and nothing else.
    pub octets: Option<Octets>,
    /// One to thirty-two hexadecimal digits and nothing else.
    pub nibbles: Option<Nibbles>,
}

/// The leading octets of an IPv4 address (RFC 5782 section 2.1), put back into their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Octets {
    value: u32,
    count: u8,
}

/// The leading nibbles of an IPv6 address (RFC 5782 section 2.4), put back into their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nibbles {
    value: u128,
    count: u8,
}

impl Question {
    /// Reads `labels`: lower-case wire form without the final zero octet. Forms are strict: `004`, `+4` and `256`
    /// are no octets, `0a` is no nibble.
    pub fn read(labels: &[u8]) -> Self {
        Self { octets: Octets::read(labels), nibbles: Nibbles::read(labels) }
    }

    /// The IPv4 address that is spelt in full, as octets or as an IPv6 address that stands for it.
    pub fn v4(&self) -> Option<u32> {
        if let Some(octets) = self.octets {
            return octets.address();
        }
        self.nibbles?.address().filter(|v6| MAPPED.contains(*v6)).map(|v6| v6 as u32)
    }
}

impl Octets {
    fn read(labels: &[u8]) -> Option<Self> {
        let (mut value, mut count) = (0, 0);
        let mut rest = labels;
        while let Some((&len, tail)) = rest.split_first() {
            let (label, tail) = tail.split_at_checked(usize::from(len))?;
            rest = tail;
            if count == 4 {
                return None;
            }
            value |= u32::from(octet(label)?) << (8 * count);
            count += 1;
        }
        (count > 0).then(|| Self { value: value << (32 - 8 * u32::from(count)), count })
    }

    /// The address, when all four octets are there.
    pub fn address(self) -> Option<u32> {
        (self.count == 4).then_some(self.value)
    }

    /// The leading bits and their number (8 to 32).
    pub fn prefix(self) -> (u32, u8) {
        (self.value, self.count * 8)
    }

    /// Applies `look` to the leading octets.
    pub fn with_leading<T>(self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.value.to_be_bytes()[..usize::from(self.count)])
    }
}

impl Nibbles {
    /// Each is a label of one octet, so that it stands at every other place.
    fn read(labels: &[u8]) -> Option<Self> {
        let (pairs, []) = labels.as_chunks::<2>() else { return None };
        if pairs.is_empty() || pairs.len() > 32 {
            return None;
        }
        let mut value = 0;
        for (at, &[len, digit]) in pairs.iter().enumerate() {
            if len != 1 {
                return None;
            }
            value |= u128::from(nibble(digit)?) << (4 * at);
        }
        let count = pairs.len() as u8;
        Some(Self { value: value << (128 - 4 * u32::from(count)), count })
    }

    /// The address, when all thirty-two nibbles are there.
    pub fn address(self) -> Option<u128> {
        (self.count == 32).then_some(self.value)
    }

    /// The leading bits and their number (4 to 128).
    pub fn prefix(self) -> (u128, u8) {
        (self.value, self.count * 4)
    }
}

/// A decimal octet without leading zeros.
fn octet(label: &[u8]) -> Option<u8> {
    let digit = |b: u8| b.wrapping_sub(b'0');
    match *label {
        [a] if digit(a) < 10 => Some(digit(a)),
        [a, b] if matches!(digit(a), 1..=9) && digit(b) < 10 => Some(digit(a) * 10 + digit(b)),
        [a, b, c] if matches!(digit(a), 1..=2) && digit(b) < 10 && digit(c) < 10 => {
            let tens = digit(b) * 10 + digit(c);
            (digit(a) * 100).checked_add(tens)
        }
        _ => None,
    }
}

/// One hexadecimal digit; the question is in lower case already.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Question {
        let wire: Vec<u8> = name
            .split('.')
            .filter(|label| !label.is_empty())
            .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
            .collect();
        Question::read(&wire)
    }

    #[test]
    fn four_octets_are_an_address() {
        let question = read("4.3.2.1");
        assert_eq!(question.octets.unwrap().address(), Some(0x0102_0304));
        assert_eq!(question.nibbles.unwrap().prefix(), (0x1234 << 112, 16));
        assert_eq!(read("255.0.10.99").octets.unwrap().address(), Some(0x630a_00ff));
        assert_eq!(read("255.0.10.99").nibbles, None);
    }

    #[test]
    fn fewer_octets_are_leading_ones() {
        let octets = read("20.127").octets.unwrap();
        assert_eq!(octets.address(), None);
        octets.with_leading(|leading| assert_eq!(leading, [127, 20]));
        read("9").octets.unwrap().with_leading(|leading| assert_eq!(leading, [9]));
    }

    #[test]
    fn every_octet_has_one_form() {
        for n in 0..=255u16 {
            assert_eq!(octet(n.to_string().as_bytes()), Some(n as u8));
        }
        for bad in
            ["", "256", "299", "300", "999", "004", "04", "00", "+4", "-1", " 4", "4 ", "0x4", "a", "1234"]
        {
            assert_eq!(octet(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn nibbles() {
        let address = u128::from("2001:db8::567:89ab".parse::<std::net::Ipv6Addr>().unwrap());
        let name = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
        assert_eq!(read(name).nibbles.unwrap().address(), Some(address));
        assert_eq!(read(name).octets, None);
        assert_eq!(read("0.2").nibbles.unwrap().prefix(), (0x20 << 120, 8));
        assert_eq!(read("8.b.d.0.1.0.0.2").octets, None);
        for bad in ["0a.2", "g", "", "x.4.3.2.1", "-"] {
            assert_eq!(read(bad).nibbles, None, "{bad}");
        }
        assert_eq!(read(&"1.".repeat(33)), Question::default());
    }

    #[test]
    fn five_octets_are_none() {
        assert_eq!(read("10.4.3.2.1"), Question::default());
        assert_eq!(read("5.4.3.2.1").octets, None);
        assert_eq!(read("x.4.3.2.1"), Question::default());
    }

    #[test]
    fn cut_labels_are_nothing() {
        assert_eq!(Question::read(&[2, b'1']), Question::default());
    }
}
