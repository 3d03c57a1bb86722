//! Whether a reply is the one that must come. Reads the octets itself: it must be quicker than the server.

use super::questions::{Expected, HEADER};
use crate::wire::Rcode;

/// What is wrong with a reply whose id is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not a DNS reply, or one that ends too early.
    Malformed,
    /// It repeats another question.
    Question,
    /// TC is set: the client has to ask again over TCP.
    Truncated,
    /// Another response code.
    Rcode,
    /// Not listed, although it must be.
    NotListed,
    /// Listed, although it must not be.
    Listed,
    /// Listed as it must be, but with other data.
    Data,
}

impl Fault {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Question,
        Self::Truncated,
        Self::Rcode,
        Self::NotListed,
        Self::Listed,
        Self::Data,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Question => "other-question",
            Self::Truncated => "truncated",
            Self::Rcode => "rcode",
            Self::NotListed => "not-listed",
            Self::Listed => "listed",
            Self::Data => "data",
        }
    }
}

/// Holds `reply` against its question section and what must come.
pub(super) fn check(reply: &[u8], question: &[u8], expected: &Expected) -> Result<(), Fault> {
    let Some(header) = reply.first_chunk::<HEADER>() else { return Err(Fault::Malformed) };
    // A reply to a standard query.
    if header[2] & 0xf8 != 0x80 {
        return Err(Fault::Malformed);
    }
    let rcode = Rcode(u16::from(header[3] & 15));
    let questions = u16::from_be_bytes([header[4], header[5]]);
    // FORMERR and NOTIMP may come without the question.
    if questions == 0 && rcode != Rcode::NOERROR && rcode != Rcode::NXDOMAIN {
        return wrong_code(rcode, expected);
    }
    let Some(records) = reply[HEADER..].strip_prefix(question).filter(|_| questions == 1) else {
        return Err(Fault::Question);
    };
    if header[2] & 2 != 0 {
        return Err(Fault::Truncated);
    }
    let answers = u16::from_be_bytes([header[6], header[7]]);
    let kind = &question[question.len() - 4..];
    let answers = Answers { rest: records, left: answers, kind };
    let mut count = 0;
    for data in answers.clone() {
        data?;
        count += 1;
    }
    let is_listed = rcode == Rcode::NOERROR && count > 0;
    match expected {
        Expected::Anything if matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => Ok(()),
        Expected::Anything => Err(Fault::Rcode),
        _ if expected.is_listed() && !is_listed && matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => {
            Err(Fault::NotListed)
        }
        _ if !expected.is_listed() && is_listed => Err(Fault::Listed),
        Expected::Listed if is_listed => Ok(()),
        Expected::NotListed if matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => Ok(()),
        Expected::Exactly(wanted, _) if *wanted != rcode => Err(Fault::Rcode),
        Expected::Exactly(_, data) => {
            // The data of a record set are distinct: as many, and each of them.
            let has = |wanted: &Vec<u8>| answers.clone().any(|data| data == Ok(&wanted[..]));
            if data.len() == count && data.iter().all(has) { Ok(()) } else { Err(Fault::Data) }
        }
        Expected::Listed | Expected::NotListed => Err(Fault::Rcode),
    }
}

fn wrong_code(rcode: Rcode, expected: &Expected) -> Result<(), Fault> {
    match expected {
        Expected::Exactly(wanted, _) if *wanted == rcode => Ok(()),
        _ => Err(Fault::Rcode),
    }
}

/// The data of the records of one type and class in the answer section.
#[derive(Clone)]
struct Answers<'a> {
    rest: &'a [u8],
    left: u16,
    /// Type and class, as in the question.
    kind: &'a [u8],
}

impl<'a> Iterator for Answers<'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            self.left -= 1;
            let Some((kind, data, rest)) = record(self.rest) else {
                self.left = 0;
                return Some(Err(Fault::Malformed));
            };
            self.rest = rest;
            if kind == self.kind {
                return Some(Ok(data));
            }
        }
        None
    }
}

/// Type and class together, and data of the record that stands first, and what follows it.
fn record(octets: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut rest = octets;
    loop {
        let (&len, tail) = rest.split_first()?;
        match len {
            0 => {
                rest = tail;
                break;
            }
            1..=63 => rest = tail.get(usize::from(len)..)?,
            0xc0.. => {
                rest = tail.get(1..)?;
                break;
            }
            _ => return None,
        }
    }
    let (fixed, rest) = rest.split_at_checked(10)?;
    let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([fixed[8], fixed[9]])))?;
    Some((&fixed[..4], data, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x01a\x01b\0\0\x01\0\x01";

    /// A reply with these flags, code and A values.
    fn reply(flags: u8, rcode: u8, values: &[[u8; 4]]) -> Vec<u8> {
        let mut reply = vec![0, 7, 0x84 | flags, rcode, 0, 1, 0, values.len() as u8, 0, 0, 0, 0];
        reply.extend_from_slice(QUESTION);
        for value in values {
            reply.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\x01\0\0\x04");
            reply.extend_from_slice(value);
        }
        reply
    }

    /// The same with an answer of another class.
    fn of_chaos(mut reply: Vec<u8>) -> Vec<u8> {
        reply[HEADER + QUESTION.len() + 5] = 3;
        reply
    }

    #[test]
    fn right_and_wrong() {
        let two = [127, 0, 0, 2];
        let four = [127, 0, 0, 4];
        let exactly = |values: &[[u8; 4]]| Expected::addresses(values.iter().map(|&value| value.into()));
        let none = |rcode| Expected::Exactly(rcode, Vec::new());
        for (reply, expected, wanted) in [
            (reply(0, 0, &[two]), Expected::Listed, Ok(())),
            (reply(0, 0, &[two]), exactly(&[two]), Ok(())),
            (reply(0, 0, &[four, two]), exactly(&[two, four]), Ok(())),
            (reply(0, 0, &[two, two]), exactly(&[two, four]), Err(Fault::Data)),
            (reply(0, 0, &[two]), exactly(&[four]), Err(Fault::Data)),
            (reply(0, 0, &[two]), Expected::NotListed, Err(Fault::Listed)),
            (reply(0, 0, &[two]), none(Rcode::NXDOMAIN), Err(Fault::Listed)),
            (reply(0, 0, &[two]), none(Rcode::NOERROR), Err(Fault::Listed)),
            (of_chaos(reply(0, 0, &[two])), Expected::Listed, Err(Fault::NotListed)),
            (reply(0, 3, &[]), none(Rcode::NXDOMAIN), Ok(())),
            (reply(0, 3, &[]), none(Rcode::NOERROR), Err(Fault::Rcode)),
            (reply(0, 3, &[]), Expected::NotListed, Ok(())),
            (reply(0, 0, &[]), Expected::NotListed, Ok(())),
            (reply(0, 3, &[]), Expected::Listed, Err(Fault::NotListed)),
            (reply(0, 0, &[]), exactly(&[two]), Err(Fault::NotListed)),
            (reply(0, 2, &[]), exactly(&[two]), Err(Fault::Rcode)),
            (reply(0, 2, &[]), Expected::Anything, Err(Fault::Rcode)),
            (reply(0, 5, &[]), none(Rcode::REFUSED), Ok(())),
            (reply(0, 5, &[]), Expected::NotListed, Err(Fault::Rcode)),
            (reply(2, 0, &[]), Expected::Listed, Err(Fault::Truncated)),
        ] {
            assert_eq!(check(&reply, QUESTION, &expected), wanted, "{reply:02x?} {expected:?}");
        }
    }

    #[test]
    fn what_is_no_reply() {
        let good = reply(0, 0, &[[127, 0, 0, 2]]);
        for len in 0..good.len() {
            let fault = check(&good[..len], QUESTION, &Expected::Anything).unwrap_err();
            assert!(matches!(fault, Fault::Malformed | Fault::Question), "{len}: {fault:?}");
        }
        let mut other = good.clone();
        other[13] ^= 0x20;
        assert_eq!(check(&other, QUESTION, &Expected::Anything), Err(Fault::Question), "letters as asked");
        let mut query = good;
        query[2] = 0;
        assert_eq!(check(&query, QUESTION, &Expected::Anything), Err(Fault::Malformed));
        let denied = [0, 7, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(check(&denied, QUESTION, &Expected::Listed), Err(Fault::Rcode));
        let formerr = Expected::Exactly(Rcode::FORMERR, vec![]);
        assert_eq!(check(&denied, QUESTION, &formerr), Ok(()));
    }
}
