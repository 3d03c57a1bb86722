//! Replies as they are compared: response code, AA, TC, and the records of the answer section with their TTLs, names
//! in their data written out.

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
    pub(crate) rtype: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.ttl, self.rtype)?;
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
    pub(crate) soa: Option<Authority>,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rcode {}", self.rcode)?;
        let flags = [(self.authoritative, " aa"), (self.truncated, " tc")];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| f.write_str(name))?;
        write!(f, " {:?}", self.answers)?;
        if let Some(soa) = &self.soa {
            write!(f, " of {} {:?}", soa.owner.escape_ascii(), soa.record)?;
        }
        let counts = [(self.name_servers, "name servers"), (self.additional, "additional")];
        counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

/// What a negative answer says of its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The zone that answers.
    pub(crate) owner: Vec<u8>,
    pub(crate) record: Record,
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
            let rtype = u16::from_be_bytes([fixed[0], fixed[1]]);
            let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
            let len = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
            let start = at + 10;
            at = start + len;
            if index < count(6) {
                said.answers.push(Record { rtype, ttl, data: data(packet, rtype, start, at)? });
            } else if index >= count(6) + count(8) {
                said.additional += usize::from(rtype != OPT);
            } else if rtype == NS {
                said.name_servers += 1;
            } else if rtype == SOA {
                said.soa = Some(Authority {
                    owner,
                    record: Record { rtype, ttl, data: data(packet, rtype, start, at)? },
                });
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
        NS | 5 => name(packet, start)?.0,
        MX => [&octets[..2], &name(packet, start + 2)?.0].concat(),
        SOA => {
            let (mname, next) = name(packet, start)?;
            let (rname, next) = name(packet, next)?;
            [&mname, &rname, packet.get(next..end)?].concat()
        }
        _ => octets.to_vec(),
    })
}

/// A name with its pointers followed, in lower case, and where it ends.
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
                wire.extend(packet.get(at..=at + usize::from(len))?.to_ascii_lowercase());
                at += 1 + usize::from(len);
            }
        }
    }
}
