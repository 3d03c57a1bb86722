//! Replies as they are compared: response code, AA, TC, and the records of the answer section with all that they have,
//! names written out.

use std::fmt;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const SOA: u16 = 6;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const OPT: u16 = 41;
pub(crate) const ANY: u16 = 255;

pub(crate) const NOERROR: u8 = 0;
pub(crate) const SERVFAIL: u8 = 2;
pub(crate) const NXDOMAIN: u8 = 3;
pub(crate) const NOTIMP: u8 = 4;
pub(crate) const REFUSED: u8 = 5;

/// A record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// Letters as they were sent.
    pub(crate) owner: Vec<u8>,
    pub(crate) class: u16,
    pub(crate) rtype: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

impl Record {
    /// Of one name, class and type.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        (&self.owner, self.class, self.rtype) == (&other.owner, other.class, other.rtype)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, class, rtype, ttl, .. } = self;
        write!(f, "{} {ttl} class {class} {rtype} ", owner.escape_ascii())?;
        match (self.rtype, &self.data[..]) {
            (A, &[a, b, c, d]) => write!(f, "{a}.{b}.{c}.{d}"),
            (_, data) => write!(f, "{}", data.escape_ascii()),
        }
    }
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) rcode: u8,
    pub(crate) authoritative: bool,
    pub(crate) truncated: bool,
    /// The answer section, sorted.
    pub(crate) answers: Vec<Record>,
    /// Records of type NS in the authority section.
    pub(crate) name_servers: usize,
    /// Records in the additional section but OPT.
    pub(crate) additional: usize,
    /// The SOA record in the authority section.
    pub(crate) soa: Option<Record>,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rcode {}", self.rcode)?;
        let flags = [(self.authoritative, " aa"), (self.truncated, " tc")];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| f.write_str(name))?;
        write!(f, " {:?}", self.answers)?;
        if let Some(soa) = &self.soa {
            write!(f, " of {soa:?}")?;
        }
        let counts = [(self.name_servers, "name servers"), (self.additional, "additional")];
        counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

impl Said {
    /// Reads a reply to `question`; `None` when it makes no sense.
    pub(crate) fn read(packet: &[u8], question: &[u8]) -> Option<Self> {
        let same = packet.get(12..question.len())? == &question[12..];
        if !same || packet[2] & 0x80 == 0 {
            return None;
        }
        let count = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
        let mut said = Self {
            rcode: packet[3] & 15,
            authoritative: packet[2] & 4 != 0,
            truncated: packet[2] & 2 != 0,
            answers: Vec::new(),
            name_servers: 0,
            additional: 0,
            soa: None,
        };
        let mut at = question.len();
        for index in 0..count(6) + count(8) + count(10) {
            let owner;
            (owner, at) = name(packet, at)?;
            let fixed = packet.get(at..at + 10)?;
            let [rtype, class] = [0, 2].map(|at| u16::from_be_bytes([fixed[at], fixed[at + 1]]));
            let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
            let len = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
            let start = at + 10;
            at = start + len;
            let record =
                |owner| Some(Record { owner, class, rtype, ttl, data: data(packet, rtype, start, at)? });
            if index < count(6) {
                said.answers.push(record(owner)?);
            } else if index >= count(6) + count(8) {
                said.additional += usize::from(rtype != OPT);
            } else if rtype == NS {
                said.name_servers += 1;
            } else if rtype == SOA {
                said.soa = Some(record(owner)?);
            }
        }
        said.answers.sort();
        Some(said)
    }

    /// The answers of one type.
    pub(crate) fn of(&self, rtype: u16) -> Vec<&Record> {
        self.answers.iter().filter(|record| record.rtype == rtype).collect()
    }

    /// NOERROR without an answer.
    pub(crate) fn is_nodata(&self) -> bool {
        self.rcode == NOERROR && self.answers.is_empty() && !self.truncated
    }
}

fn data(packet: &[u8], rtype: u16, start: usize, end: usize) -> Option<Vec<u8>> {
    let octets = packet.get(start..end)?;
    Some(match rtype {
        NS | 5 => name(packet, start)?.0.to_ascii_lowercase(),
        MX => [&octets[..2], &name(packet, start + 2)?.0.to_ascii_lowercase()].concat(),
        SOA => {
            let (mname, next) = name(packet, start)?;
            let (rname, next) = name(packet, next)?;
            [&[mname, rname].concat().to_ascii_lowercase(), packet.get(next..end)?].concat()
        }
        _ => octets.to_vec(),
    })
}

/// A name with its pointers followed, and where it ends.
fn name(packet: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut wire = Vec::new();
    let mut end = None;
    loop {
        match *packet.get(at)? {
            0 => {
                wire.push(0);
                return Some((wire, end.unwrap_or(at + 1)));
            }
            len @ 0xc0.. => {
                end = end.or(Some(at + 2));
                at = usize::from(len & 0x3f) << 8 | usize::from(*packet.get(at + 1)?);
            }
            len => {
                wire.extend(packet.get(at..=at + usize::from(len))?);
                at += 1 + usize::from(len);
            }
        }
    }
}
