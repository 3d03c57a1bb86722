//! The same questions to two servers, and what they answer differently.
//!
//! [`ask_beside`] keeps few questions in flight and sends each one to both servers before the next, so that neither is
//! put under load and both are asked at the same time. What a reply means to mail software is its response code and its
//! records, in any order; a [`Gap`] says of which kind a difference is, since some are no business of mail software.
//! Never: which names are asked, whom it may ask.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;

use super::{Client, ClientError, Data, Over, Reply};
use crate::model::{Name, Rtype};
use crate::wire::Rcode;

/// Questions in flight.
const IN_FLIGHT: usize = 8;

/// A server that says nothing to so many questions in a row has stopped answering.
const SILENCE: u32 = 24;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: Rtype,
    /// The name is sent in capitals.
    pub upper: bool,
}

/// What one of the two said, or why it said nothing that can be read.
pub type Side = Result<Reply, ClientError>;

/// A question that the two answer differently.
#[derive(Debug)]
pub struct Difference {
    /// What was asked.
    pub asked: Asked,
    /// Of which kind it is.
    pub gap: Gap,
    /// What each of them said.
    pub said: [Side; 2],
}

/// Kinds of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Response codes or records: mail is treated differently.
    Answer,
    /// The same records with other TTLs.
    Ttl,
    /// Nothing from either, but one says that the name exists (NOERROR) and the other that it does not (NXDOMAIN).
    Existence,
    /// The start of authority or the name servers, which one of them refuses to give.
    Authority,
}

/// What came of asking.
#[derive(Debug, Default)]
pub struct Beside {
    /// In the order of the questions.
    pub differences: Vec<Difference>,
    /// Questions that neither answered.
    pub unanswered: usize,
}

/// Why asking was given up.
#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    /// One of the two has stopped answering.
    #[error("{0}, {SILENCE} times in a row: given up")]
    Silent(ClientError),
}

/// Asks both servers everything.
pub fn ask_beside(clients: [&Client; 2], asked: &[Asked]) -> Result<Beside, BesideError> {
    let next = AtomicUsize::new(0);
    let given_up = AtomicBool::new(false);
    let silences = [AtomicU32::new(0), AtomicU32::new(0)];
    let found = Mutex::new((Vec::new(), 0, None));
    let ask = || {
        while !given_up.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(question) = asked.get(number) else { return };
            let said = clients.map(|client| question.put_to(client));
            let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for (side, silences) in said.iter().zip(&silences) {
                match side {
                    Ok(_) | Err(ClientError::Nonsense { .. }) => silences.store(0, Ordering::Relaxed),
                    Err(_) if silences.fetch_add(1, Ordering::Relaxed) + 1 < SILENCE => {}
                    Err(_) => given_up.store(true, Ordering::Relaxed),
                }
            }
            if given_up.load(Ordering::Relaxed) {
                let silent = said.into_iter().find_map(Result::err);
                found.2 = found.2.take().or(silent);
                return;
            }
            match &said {
                [Err(_), Err(_)] => found.1 += 1,
                _ => {
                    if let Some(gap) = gap(question, &said) {
                        found.0.push((number, Difference { asked: question.clone(), gap, said }));
                    }
                }
            }
        }
    };
    thread::scope(|scope| (0..IN_FLIGHT).for_each(|_| drop(scope.spawn(ask))));
    let (mut differences, unanswered, silent) =
        found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(silent) = silent {
        return Err(BesideError::Silent(silent));
    }
    differences.sort_by_key(|(number, _)| *number);
    Ok(Beside {
        differences: differences.into_iter().map(|(_, difference)| difference).collect(),
        unanswered,
    })
}

impl Asked {
    /// Asks `client`'s server.
    pub fn put_to(&self, client: &Client) -> Side {
        match self.upper {
            false => client.ask(&self.name, self.rtype, Over::Udp),
            true => {
                // A length octet is 63 at most, which is no letter.
                client.ask_spelt(&self.name.as_wire().to_ascii_uppercase(), self.rtype, Over::Udp)
            }
        }
    }
}

fn gap(asked: &Asked, said: &[Side; 2]) -> Option<Gap> {
    let [Ok(one), Ok(other)] = said else { return Some(Gap::Answer) };
    if one.rcode == other.rcode && records(one) == records(other) {
        return (ttl(one) != ttl(other)).then_some(Gap::Ttl);
    }
    let says = |rcodes: [Rcode; 2]| rcodes == [one.rcode, other.rcode] || rcodes == [other.rcode, one.rcode];
    let is_empty = one.answers.is_empty() && other.answers.is_empty();
    if is_empty && says([Rcode::NOERROR, Rcode::NXDOMAIN]) {
        return Some(Gap::Existence);
    }
    let of_authority = matches!(asked.rtype, Rtype::SOA | Rtype::NS);
    if of_authority && says([Rcode::NOERROR, Rcode::REFUSED]) {
        return Some(Gap::Authority);
    }
    Some(Gap::Answer)
}

/// Types and data, each once.
fn records(reply: &Reply) -> BTreeSet<(u16, String)> {
    let data = |data: &Data, rtype| match data {
        // Whoever compares two servers has two serial numbers.
        Data::Other(text) if rtype == Rtype::SOA => {
            let words = text.split(' ').enumerate().filter(|(at, _)| *at != 2);
            words.map(|(_, word)| word.to_ascii_lowercase()).collect::<Vec<_>>().join(" ")
        }
        // Names are compared without case (RFC 4343).
        Data::Other(text) => text.to_ascii_lowercase(),
        data => data.to_string(),
    };
    reply.answers.iter().map(|record| (record.rtype.0, data(&record.data, record.rtype))).collect()
}

fn ttl(reply: &Reply) -> Option<u32> {
    reply.answers.iter().map(|record| record.ttl).min()
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    fn reply(rcode: Rcode, answers: &[(Rtype, u32, Data)]) -> Side {
        let record = |(rtype, ttl, data): &(Rtype, u32, Data)| Record {
            owner: "x".to_owned(),
            rtype: *rtype,
            ttl: *ttl,
            data: data.clone(),
        };
        Ok(Reply {
            rcode,
            authoritative: true,
            recursive: false,
            same_letters: true,
            truncated: false,
            answers: answers.iter().map(record).collect(),
            authorities: Vec::new(),
            edns: false,
        })
    }

    #[test]
    fn kinds_of_differences() {
        let asked = |rtype| Asked { name: "x".parse().unwrap(), rtype, upper: false };
        let a = |last| (Rtype::A, 60, Data::A([127, 0, 0, last].into()));
        let soa = |text: &str| (Rtype::SOA, 60, Data::Other(text.to_owned()));
        let listed = |answers: &[_]| reply(Rcode::NOERROR, answers);
        let none = |rcode| reply(rcode, &[]);
        let gap = |rtype, one, other| gap(&asked(rtype), &[one, other]);

        assert_eq!(gap(Rtype::A, listed(&[a(2), a(3)]), listed(&[a(3), a(2)])), None);
        assert_eq!(gap(Rtype::A, listed(&[a(2)]), listed(&[a(3)])), Some(Gap::Answer));
        assert_eq!(gap(Rtype::A, listed(&[a(2)]), none(Rcode::NXDOMAIN)), Some(Gap::Answer));
        assert_eq!(gap(Rtype::A, listed(&[a(2)]), none(Rcode::NOERROR)), Some(Gap::Answer));
        assert_eq!(gap(Rtype::A, none(Rcode::NOERROR), none(Rcode::SERVFAIL)), Some(Gap::Answer));
        assert_eq!(gap(Rtype::A, none(Rcode::NOERROR), none(Rcode::NXDOMAIN)), Some(Gap::Existence));
        let later = (Rtype::A, 61, a(2).2);
        assert_eq!(gap(Rtype::A, listed(&[later]), listed(&[a(2)])), Some(Gap::Ttl));
        let authority = listed(&[soa("a. b. 7 1 2 3 4")]);
        assert_eq!(gap(Rtype::SOA, none(Rcode::REFUSED), authority), Some(Gap::Authority));
        assert_eq!(gap(Rtype::A, none(Rcode::REFUSED), listed(&[a(2)])), Some(Gap::Answer));
        let serials = [listed(&[soa("a. b. 7 1 2 3 4")]), listed(&[soa("a. b. 8 1 2 3 4")])];
        assert_eq!(super::gap(&asked(Rtype::SOA), &serials), None);
        let minimum = [listed(&[soa("a. b. 7 1 2 3 4")]), listed(&[soa("a. b. 7 1 2 3 5")])];
        assert_eq!(super::gap(&asked(Rtype::SOA), &minimum), Some(Gap::Answer));
        let silent = Err(ClientError::Timeout(([127, 0, 0, 1], 9).into()));
        assert_eq!(gap(Rtype::A, silent, listed(&[a(2)])), Some(Gap::Answer));
    }
}
