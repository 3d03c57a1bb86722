//! What is asked: whole messages, made before the first is sent, each with the answer that must come.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::model::{Name, Rtype};
use crate::wire::{Rcode, UDP_MAX, class};

/// Octets of a message header.
pub(super) const HEADER: usize = 12;

/// What a question must be answered with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Anything that says something: NOERROR or NXDOMAIN.
    Anything,
    /// NOERROR with at least one record of the type asked for.
    Listed,
    /// NXDOMAIN, or NOERROR without an answer.
    NotListed,
    /// This response code, and the records of the type asked for have exactly this data, in any order.
    Exactly(Rcode, Vec<Vec<u8>>),
}

impl Expected {
    /// A listing with these A values.
    pub fn addresses(values: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        Self::Exactly(Rcode::NOERROR, values.into_iter().map(|value| value.octets().to_vec()).collect())
    }

    /// Whether it says that something is listed.
    pub(super) fn is_listed(&self) -> bool {
        matches!(self, Self::Listed) || matches!(self, Self::Exactly(_, data) if !data.is_empty())
    }
}

/// Questions in the order in which they are asked; after the last comes the first again.
#[derive(Debug)]
pub struct Questions {
    octets: Vec<u8>,
    asked: Vec<Asked>,
    expected: Vec<Expected>,
    known: HashMap<Expected, u32>,
    edns: bool,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    at: usize,
    /// Octets of header and question.
    len: u16,
    expected: u32,
}

impl Questions {
    /// None yet. `edns`: each comes with an OPT record, as resolvers send them.
    pub fn new(edns: bool) -> Self {
        Self { octets: Vec::new(), asked: Vec::new(), expected: Vec::new(), known: HashMap::new(), edns }
    }

    /// One more.
    pub fn push(&mut self, name: &Name, rtype: Rtype, expected: Expected) {
        let next = self.expected.len() as u32;
        let expected = *self.known.entry(expected).or_insert_with_key(|expected| {
            self.expected.push(expected.clone());
            next
        });
        let at = self.octets.len();
        let additional = u8::from(self.edns);
        // The id is put in when it is sent. Recursion is desired, as stubs and forwarders ask.
        self.octets.extend_from_slice(&[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional]);
        self.octets.extend_from_slice(name.as_wire());
        self.octets.extend_from_slice(&rtype.0.to_be_bytes());
        self.octets.extend_from_slice(&class::IN.to_be_bytes());
        let len = (self.octets.len() - at) as u16;
        if self.edns {
            let [high, low] = (UDP_MAX as u16).to_be_bytes();
            self.octets.extend_from_slice(&[0, 0, Rtype::OPT.0 as u8, high, low, 0, 0, 0, 0, 0, 0]);
        }
        self.asked.push(Asked { at, len, expected });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// How many of them must be answered with a listing.
    pub fn listed(&self) -> usize {
        self.asked.iter().filter(|asked| self.expected[asked.expected as usize].is_listed()).count()
    }

    /// A question whose answer tells most about whether a server has its data: a listing, else the first.
    pub(super) fn telling(&self) -> usize {
        let listed = |asked: &Asked| self.expected[asked.expected as usize].is_listed();
        self.asked.iter().position(listed).unwrap_or(0)
    }

    /// The message of question `number` with this id.
    pub(super) fn message(&mut self, number: usize, id: u16) -> &[u8] {
        let at = self.asked[number].at;
        let end = self.asked.get(number + 1).map_or(self.octets.len(), |next| next.at);
        self.octets[at..at + 2].copy_from_slice(&id.to_be_bytes());
        &self.octets[at..end]
    }

    /// The question section of question `number`, and what must come.
    pub(super) fn question(&self, number: usize) -> (&[u8], &Expected) {
        let Asked { at, len, expected } = self.asked[number];
        (&self.octets[at + HEADER..at + usize::from(len)], &self.expected[expected as usize])
    }

    /// Question `number` for people: name and type.
    pub(super) fn text(&self, number: usize) -> String {
        let (section, _) = self.question(number);
        let (name, rest) = section.split_at(section.len() - 4);
        let name = Name::from_wire(name).map_or_else(String::new, |name| name.to_string());
        format!("{name} {}", super::file::type_name(Rtype(u16::from_be_bytes([rest[0], rest[1]]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{LowerName, parse};

    #[test]
    fn messages_are_whole() {
        let mut questions = Questions::new(true);
        questions.push(&"a.b".parse().unwrap(), Rtype::A, Expected::Listed);
        questions.push(&"c".parse().unwrap(), Rtype::TXT, Expected::Listed);
        let message = questions.message(0, 0x1234).to_vec();
        assert_eq!(message[..12], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(message[12..21], *b"\x01a\x01b\0\0\x01\0\x01");
        assert_eq!(message[21..], [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        let mut name = LowerName::ROOT;
        let query = parse(&message, &mut name).unwrap();
        assert_eq!((query.id(), query.opt.unwrap().size), (0x1234, 1232));
        assert_eq!(questions.text(1), "c TXT");
        assert_eq!((questions.len(), questions.listed(), questions.telling()), (2, 2, 0));
        assert_eq!(questions.expected.len(), 1, "equal ones are kept once");
    }
}
