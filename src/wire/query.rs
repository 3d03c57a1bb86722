//! Packet → query: one question and at most one OPT record, read in one bounded pass.

use super::{Cookie, Ede, Rcode, class, option};
use crate::model::Rtype;

/// Octets of a message header.
pub(super) const HEADER: usize = 12;

/// Longest name in wire form (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;

/// A query that deserves an answer.
#[derive(Debug, Clone)]
pub struct Query<'p> {
    /// The name, folded to lower case.
    pub name: &'p LowerName,
    /// The type asked for.
    pub qtype: Rtype,
    /// The class asked for: IN or CH.
    pub class: u16,
    /// EDNS, when the client speaks it.
    pub opt: Option<Opt>,
    /// The message up to the end of the question, which replies repeat octet for octet.
    pub(super) head: &'p [u8],
}

/// A name of a question: lower-case wire form, final zero octet included.
#[derive(Debug, Clone)]
pub struct LowerName {
    octets: [u8; NAME_MAX],
    len: u8,
    labels: u8,
}

/// What matters of an OPT record (RFC 6891 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opt {
    /// The longest UDP message that the client takes, as it says.
    pub size: u16,
    /// Version.
    pub version: u8,
    /// DO bit: copied into the reply (RFC 3225 section 3).
    pub dnssec_ok: bool,
    /// The first cookie; of other options nothing is read.
    pub cookie: Option<Cookie>,
}

/// Why a packet gets no answer from a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal<'p> {
    /// No reply at all: UDP says nothing, streams close.
    Silent(Silence),
    /// A reply without records.
    Answer(Denial<'p>),
}

/// A reply without records to a packet that is no query for a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial<'p> {
    /// What it says.
    pub rcode: Rcode,
    /// And why, when there is more to say.
    pub why: Option<Ede>,
    /// The header alone, or header and question: as far as the packet can be trusted.
    pub(super) head: &'p [u8],
    /// The packet held an OPT record, so the reply does (RFC 6891 section 6.1.1).
    pub opt: Option<Opt>,
}

/// Why nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Silence {
    /// Shorter than a header.
    Short,
    /// A response: answering it could go round for ever.
    Response,
    /// The question is cut, its name compressed, or a label or the name too long.
    Question,
}

/// Reads a message, its name into `name`. What stands behind the question and the records that the header counts is
/// ignored.
pub fn parse<'p>(packet: &'p [u8], name: &'p mut LowerName) -> Result<Query<'p>, Refusal<'p>> {
    let Some(header) = packet.first_chunk::<HEADER>() else {
        return Err(Refusal::Silent(Silence::Short));
    };
    if header[2] & 0x80 != 0 {
        return Err(Refusal::Silent(Silence::Response));
    }
    let header_only = |rcode| {
        // Without the question a cookie would make the reply longer than what was asked.
        let opt = opt_behind_questions(packet, header).map(Opt::without_cookie);
        Refusal::Answer(Denial { rcode, why: None, head: &packet[..HEADER], opt })
    };
    // Other opcodes give the sections other meanings (RFC 2136), so they are not repeated.
    if header[2] & 0x78 != 0 {
        return Err(header_only(Rcode::NOTIMP));
    }
    if header[4..6] != [0, 1] {
        return Err(header_only(Rcode::FORMERR));
    }
    let at = name.read(packet, HEADER).ok_or(Refusal::Silent(Silence::Question))?;
    let Some(&[type_high, type_low, class_high, class_low]) = packet[at..].first_chunk() else {
        return Err(Refusal::Silent(Silence::Question));
    };
    let qtype = Rtype(u16::from_be_bytes([type_high, type_low]));
    let class = u16::from_be_bytes([class_high, class_low]);

    let (head, records) = packet.split_at(at + 4);
    let mut opt = None;
    let sound = read_records(records, header, &mut opt).is_some();
    let denied = |rcode, why| Err(Refusal::Answer(Denial { rcode, why, head, opt }));
    if !sound {
        let opt = opt.map(Opt::without_cookie);
        return Err(Refusal::Answer(Denial { rcode: Rcode::FORMERR, why: None, head, opt }));
    }
    if opt.is_some_and(|opt| opt.version > 0) {
        return denied(Rcode::BADVERS, None);
    }
    if !matches!(class, class::IN | class::CH) || matches!(qtype, Rtype::AXFR | Rtype::IXFR) {
        return denied(Rcode::REFUSED, Some(Ede::NOT_SUPPORTED));
    }
    Ok(Query { name, qtype, class, opt, head })
}

/// OPT of a message whose questions are none or several, or not ours to answer: a reply has it all the same (RFC 6891
/// section 6.1.1). However many are counted, each is at least five octets of the packet.
fn opt_behind_questions(packet: &[u8], header: &[u8; HEADER]) -> Option<Opt> {
    let mut rest = &packet[HEADER..];
    for _ in 0..u16::from_be_bytes([header[4], header[5]]) {
        rest = skip_name(rest)?.get(4..)?;
    }
    let mut opt = None;
    read_records(rest, header, &mut opt)?;
    opt
}

/// Walks over the records of the three sections and finds the OPT record; `None` when they are not what the header
/// says, or OPT is malformed or stands twice. No pointer is followed: every step moves on, to the end of the packet
/// at most.
fn read_records(records: &[u8], header: &[u8; HEADER], opt: &mut Option<Opt>) -> Option<()> {
    if header[6..] == [0; 6] {
        return Some(());
    }
    let counts = [6, 8, 10].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    let mut rest = records;
    for (section, count) in counts.into_iter().enumerate() {
        for _ in 0..count {
            let is_root = *rest.first()? == 0;
            let fixed;
            (fixed, rest) = skip_name(rest)?.split_first_chunk::<10>()?;
            let [type_high, type_low, size_high, size_low, _, version, flags, _, len_high, len_low] = *fixed;
            let data;
            (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([len_high, len_low])))?;
            if Rtype(u16::from_be_bytes([type_high, type_low])) != Rtype::OPT {
                continue;
            }
            let size = u16::from_be_bytes([size_high, size_low]);
            let mut read = Opt { size, version, dnssec_ok: flags & 0x80 != 0, cookie: None };
            // Other versions may lay their data out otherwise.
            let sound = version > 0 || read_options(data, &mut read.cookie).is_some();
            let again = opt.replace(read).is_some();
            if section != 2 || again || !is_root || !sound {
                return None;
            }
        }
    }
    Some(())
}

/// What follows a name, which may end in a pointer.
pub(super) fn skip_name(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let (&len, tail) = rest.split_first()?;
        match len {
            0 => return Some(tail),
            1..=63 => rest = tail.get(usize::from(len)..)?,
            0xc0.. => return tail.get(1..),
            _ => return None,
        }
    }
}

/// Walks over OPT data and finds a cookie; `None` when it is not whole options (RFC 6891 section 6.1.2) or a cookie has
/// a length that cannot be.
fn read_options(data: &[u8], cookie: &mut Option<Cookie>) -> Option<()> {
    let mut rest = data;
    while !rest.is_empty() {
        let (&[code_high, code_low, len_high, len_low], tail) = rest.split_first_chunk()?;
        let value;
        (value, rest) = tail.split_at_checked(usize::from(u16::from_be_bytes([len_high, len_low])))?;
        if u16::from_be_bytes([code_high, code_low]) == option::COOKIE && cookie.is_none() {
            *cookie = Some(Cookie::read(value)?);
        }
    }
    Some(())
}

impl Opt {
    fn without_cookie(self) -> Self {
        Self { cookie: None, ..self }
    }

    /// Has the reply carry `server` as the cookie that the client is to send next time. Of no effect where the client
    /// has sent none.
    pub fn grant(&mut self, server: Option<[u8; 16]>) {
        if let Some(cookie) = &mut self.cookie {
            cookie.server = server;
        }
    }
}

impl Query<'_> {
    /// The message id.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.head[0], self.head[1]])
    }

    /// The longest reply over UDP: 512 octets, or what the client takes up to [`UDP_MAX`](super::UDP_MAX) (RFC 6891
    /// section 6.2.3: less than 512 counts as 512).
    pub fn udp_limit(&self) -> usize {
        self.opt.map_or(super::UDP_PLAIN, |opt| usize::from(opt.size).clamp(super::UDP_PLAIN, super::UDP_MAX))
    }

    /// The client's cookie, and what it still has of ours.
    pub fn cookie(&self) -> Option<Cookie> {
        self.opt.and_then(|opt| opt.cookie)
    }

    /// The same query without what [`parse`] ignores: header, question, and an OPT record with nothing but its cookie.
    pub fn essence(&self) -> Vec<u8> {
        let mut message = self.head.to_vec();
        message[6..HEADER].fill(0);
        if let Some(opt) = self.opt {
            message[11] = 1;
            let [high, low] = opt.size.to_be_bytes();
            let flags = if opt.dnssec_ok { 0x80 } else { 0 };
            let cookie = opt.cookie.and_then(Cookie::option);
            let cookie = cookie.as_ref().map_or(&[][..], |cookie| cookie);
            let len = cookie.len() as u8;
            message.extend_from_slice(&[0, 0, 41, high, low, 0, opt.version, flags, 0, 0, len]);
            message.extend_from_slice(cookie);
        }
        message
    }
}

impl LowerName {
    /// The root.
    pub const ROOT: Self = Self { octets: [0; NAME_MAX], len: 1, labels: 0 };

    /// Reads the uncompressed name at `start` and tells where it ends.
    pub(super) fn read(&mut self, packet: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        let mut labels = 0;
        loop {
            match *packet.get(at)? {
                0 => break,
                len @ 1..=63 => at += 1 + usize::from(len),
                _ => return None,
            }
            labels += 1;
            if at - start >= NAME_MAX {
                return None;
            }
        }
        let wire = &packet[start..=at];
        (self.len, self.labels) = (wire.len() as u8, labels);
        self.octets[..wire.len()].copy_from_slice(wire);
        self.fold();
        Some(at + 1)
    }

    /// From labels without length octets, leftmost first; `None` when they make no name.
    pub fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut name = Self::ROOT;
        let mut at = 0;
        for label in labels {
            let len = u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len))?;
            let end = at + 1 + label.len();
            *name.octets.get_mut(at)? = len;
            name.octets.get_mut(at + 1..end)?.copy_from_slice(label);
            at = end;
            name.labels += 1;
        }
        // The last octet is the root's.
        name.len = u8::try_from(at + 1).ok()?;
        name.fold();
        Some(name)
    }

    /// To lower case, in whole registers: what stands behind the end is nobody's. Length octets are below `A`.
    fn fold(&mut self) {
        const REGISTER: usize = 16;
        let used = usize::from(self.len).next_multiple_of(REGISTER).min(NAME_MAX);
        let (registers, rest) = self.octets[..used].as_chunks_mut::<REGISTER>();
        registers.iter_mut().for_each(|octets| octets.make_ascii_lowercase());
        rest.make_ascii_lowercase();
    }

    /// The wire form, root octet included.
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The name and its ancestors up to the root: how many labels each has, and where it begins.
    pub fn ancestry(&self) -> impl Iterator<Item = (u8, usize)> + '_ {
        let mut next = Some((self.labels, 0));
        std::iter::from_fn(move || {
            let (labels, at) = next?;
            next = labels.checked_sub(1).map(|labels| (labels, at + 1 + usize::from(self.octets[at])));
            Some((labels, at))
        })
    }
}
