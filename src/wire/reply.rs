//! Query and what a zone says → reply, in the caller's buffer.

use super::query::{Denial, HEADER, Opt, Query};
use super::{Cookie, Ede, Rcode, UDP_MAX, class};
use crate::model::{Rtype, Ttl};
use crate::snapshot::RdataRef;
use crate::zone::{Authority, Content, InZoneName, Records, TextBuf};

/// What is said to a query.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // lives for one packet on the stack; a box would be an allocation a packet
pub enum Reply<'a> {
    /// What a zone says.
    Zone {
        /// What goes into the reply.
        content: Content<'a>,
        /// The zone's SOA and name servers.
        authority: &'a Authority,
        /// Where the origin begins in the question's name.
        origin: usize,
    },
    /// What the server says of itself: a TXT record of class CH.
    Version(&'a str),
    /// No records, and why when there is more to say.
    Empty(Rcode, Option<Ede>),
}

/// A reply in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded {
    /// Its octets.
    pub len: usize,
    /// Its response code.
    pub rcode: Rcode,
    /// The records did not fit: TC is set and they are left out.
    pub truncated: bool,
}

/// The longest reply without records: header, question, OPT.
const BARE_MAX: usize = HEADER + 255 + 4 + OPT + Cookie::LEN + Ede::LEN;
/// Octets of an OPT record without options.
const OPT: usize = 11;
/// A pointer to the question's name (RFC 1035 section 4.1.4).
const QUESTION_NAME: u16 = 0xc000 | HEADER as u16;

/// Encodes the reply to `query`, of `limit` octets at most.
///
/// # Panics
/// When `out` is shorter than `limit` or `limit` below 512: a caller's mistake, not a client's.
pub fn encode(query: &Query<'_>, reply: &Reply<'_>, limit: usize, out: &mut [u8]) -> Encoded {
    assert!(limit >= super::UDP_PLAIN && BARE_MAX <= super::UDP_PLAIN, "room for header, question and OPT");
    let rcode = reply.rcode();
    let aa = !matches!(reply, Reply::Empty(..) | Reply::Zone { content: Content::Unavailable(_), .. });
    let edns = Edns::of(query.opt, reply.why());
    let mut writer = Writer { out: &mut out[..limit], at: 0, end: limit - edns.len() };
    writer.must(query.head);
    let start = writer.at;
    let (counts, truncated) = match reply.put(&mut writer) {
        Ok(counts) => (counts, false),
        Err(Full) => {
            writer.at = start;
            ([0; 2], true)
        }
    };
    let len = finish(writer, edns, rcode, Flags { aa, tc: truncated, question: true }, counts);
    Encoded { len, rcode, truncated }
}

/// Encodes nothing but TC: who is told too much over UDP may ask over a stream. `out` has room for 512 octets.
///
/// # Panics
/// When `out` is shorter.
pub fn slip(query: &Query<'_>, out: &mut [u8]) -> Encoded {
    let mut writer = Writer { out: &mut out[..super::UDP_PLAIN], at: 0, end: super::UDP_PLAIN };
    writer.must(query.head);
    let flags = Flags { aa: false, tc: true, question: true };
    let len = finish(writer, Edns::of(query.opt, None), Rcode::NOERROR, flags, [0; 2]);
    Encoded { len, rcode: Rcode::NOERROR, truncated: true }
}

/// Encodes the reply to a packet that is no query for a zone; `out` has room for 512 octets. What the client is to keep as its
/// cookie has been [granted](Opt::grant).
///
/// # Panics
/// When `out` is shorter.
pub fn refuse(denial: &Denial<'_>, out: &mut [u8]) -> Encoded {
    let mut writer = Writer { out: &mut out[..super::UDP_PLAIN], at: 0, end: super::UDP_PLAIN };
    writer.must(denial.head);
    let question = denial.head.len() > HEADER;
    let edns = Edns::of(denial.opt, denial.why);
    let len = finish(writer, edns, denial.rcode, Flags { aa: false, tc: false, question }, [0; 2]);
    Encoded { len, rcode: denial.rcode, truncated: false }
}

struct Flags {
    aa: bool,
    tc: bool,
    question: bool,
}

/// The OPT record of a reply, if it has one.
struct Edns {
    opt: Option<Opt>,
    why: Option<Ede>,
}

impl Edns {
    fn of(opt: Option<Opt>, why: Option<Ede>) -> Self {
        Self { why: why.filter(|_| opt.is_some()), opt }
    }

    fn cookie(&self) -> Option<[u8; Cookie::LEN]> {
        self.opt?.cookie?.option()
    }

    /// Octets of its options.
    fn options(&self) -> usize {
        self.cookie().map_or(0, |_| Cookie::LEN) + self.why.map_or(0, |_| Ede::LEN)
    }

    /// Octets of the record.
    fn len(&self) -> usize {
        self.opt.map_or(0, |_| OPT + self.options())
    }
}

/// Adds OPT when the client sent one, and makes the query's header that of the reply: id, opcode and RD stay; RA, Z, AD
/// and CD (RFC 4035 section 3.1.6) are cleared.
fn finish(mut writer: Writer<'_>, edns: Edns, rcode: Rcode, flags: Flags, counts: [u16; 2]) -> usize {
    if let Some(opt) = edns.opt {
        writer.end = writer.out.len();
        let [high, low] = (UDP_MAX as u16).to_be_bytes();
        let dnssec_ok = if opt.dnssec_ok { 0x80 } else { 0 };
        let len = edns.options() as u8;
        writer.must(&[0, 0, Rtype::OPT.0 as u8, high, low, (rcode.0 >> 4) as u8, 0, dnssec_ok, 0, 0, len]);
        if let Some(cookie) = edns.cookie() {
            writer.must(&cookie);
        }
        if let Some(why) = edns.why {
            writer.must(&why.option());
        }
    }
    let header = &mut writer.out[..HEADER];
    let kept = header[2] & 0x79;
    header[2] = 0x80 | kept | u8::from(flags.aa) << 2 | u8::from(flags.tc) << 1;
    header[3] = rcode.0 as u8 & 0x0f;
    let counts = [u16::from(flags.question), counts[0], counts[1], u16::from(edns.opt.is_some())];
    for (field, count) in header[4..].chunks_exact_mut(2).zip(counts) {
        field.copy_from_slice(&count.to_be_bytes());
    }
    writer.at
}

impl Reply<'_> {
    /// The response code.
    pub fn rcode(&self) -> Rcode {
        match self {
            Self::Zone { content: Content::NxDomain, .. } => Rcode::NXDOMAIN,
            Self::Zone { content: Content::Unavailable(_), .. } => Rcode::SERVFAIL,
            Self::Zone { .. } | Self::Version(_) => Rcode::NOERROR,
            Self::Empty(rcode, _) => *rcode,
        }
    }

    /// Why there is no answer, in more words than the response code.
    pub fn why(&self) -> Option<Ede> {
        match self {
            Self::Zone { content: Content::Unavailable(_), .. } => Some(Ede::INVALID_DATA),
            Self::Zone { .. } | Self::Version(_) => None,
            Self::Empty(_, why) => *why,
        }
    }

    /// Writes the records; tells how many there are in the answer and authority sections.
    fn put(&self, out: &mut Writer<'_>) -> Result<[u16; 2], Full> {
        match self {
            Self::Zone { content, authority, origin } => {
                let origin = QUESTION_NAME + *origin as u16;
                match content {
                    Content::Records(records) => Ok([put_records(records, out)?, 0]),
                    Content::Soa => put_soa(authority, authority.soa_ttl, origin, out).map(|()| [1, 0]),
                    Content::Ns => Ok([put_ns(authority, origin, out)?, 0]),
                    Content::NoData | Content::NxDomain => {
                        put_soa(authority, authority.negative_ttl, origin, out).map(|()| [0, 1])
                    }
                    Content::Unavailable(_) => Ok([0; 2]),
                }
            }
            Self::Version(version) => {
                let text = &version.as_bytes()[..version.len().min(255)];
                out.record(QUESTION_NAME, Rtype::TXT, class::CH, 0, |out| out.string(text))?;
                Ok([1, 0])
            }
            Self::Empty(..) => Ok([0; 2]),
        }
    }
}

fn put_records(records: &Records<'_>, out: &mut Writer<'_>) -> Result<u16, Full> {
    let mut count = 0;
    // From within: nested iterators that are asked for one item after another cost several times as much.
    records.iter().try_for_each(|datum| {
        count += 1;
        out.record(QUESTION_NAME, records.rtype(), class::IN, records.ttl(), |out| match datum.rdata {
            RdataRef::Wire(octets) => out.put(octets),
            RdataRef::Text(pieces) => out.string(TextBuf::fill(pieces, datum.matched).as_bytes()),
        })
    })?;
    Ok(count)
}

fn put_soa(authority: &Authority, ttl: Ttl, origin: u16, out: &mut Writer<'_>) -> Result<(), Full> {
    out.record(origin, Rtype::SOA, class::IN, ttl, |out| {
        let start = out.at;
        out.put(&authority.soa.octets)?;
        for &at in &authority.soa.pointers {
            out.out[start + at..][..2].copy_from_slice(&origin.to_be_bytes());
        }
        Ok(())
    })
}

fn put_ns(authority: &Authority, origin: u16, out: &mut Writer<'_>) -> Result<u16, Full> {
    for host in &authority.ns {
        out.record(origin, Rtype::NS, class::IN, authority.ns_ttl, |out| out.name(host, origin))?;
    }
    Ok(authority.ns.len() as u16)
}

/// The records do not fit.
struct Full;

/// A buffer that fills up to `end`.
struct Writer<'b> {
    out: &'b mut [u8],
    at: usize,
    end: usize,
}

impl Writer<'_> {
    fn put(&mut self, octets: &[u8]) -> Result<(), Full> {
        let end = self.at + octets.len();
        if end > self.end {
            return Err(Full);
        }
        self.out[self.at..end].copy_from_slice(octets);
        self.at = end;
        Ok(())
    }

    /// For what always fits: see [`BARE_MAX`].
    fn must(&mut self, octets: &[u8]) {
        let end = self.at + octets.len();
        self.out[self.at..end].copy_from_slice(octets);
        self.at = end;
    }

    /// A record whose data `data` writes.
    fn record(
        &mut self,
        owner: u16,
        rtype: Rtype,
        class: u16,
        ttl: Ttl,
        data: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let mut fixed = [0; 12];
        fixed[0..2].copy_from_slice(&owner.to_be_bytes());
        fixed[2..4].copy_from_slice(&rtype.0.to_be_bytes());
        fixed[4..6].copy_from_slice(&class.to_be_bytes());
        fixed[6..10].copy_from_slice(&ttl.to_be_bytes());
        self.put(&fixed)?;
        let start = self.at;
        data(self)?;
        let len = u16::try_from(self.at - start).map_err(|_| Full)?;
        self.out[start - 2..start].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    /// A character-string of 255 octets at most.
    fn string(&mut self, text: &[u8]) -> Result<(), Full> {
        self.put(&[text.len() as u8])?;
        self.put(text)
    }

    /// A name, its end pointing into the question when it lies in the zone.
    fn name(&mut self, name: &InZoneName, origin: u16) -> Result<(), Full> {
        self.put(&name.labels)?;
        if name.in_zone { self.put(&origin.to_be_bytes()) } else { self.put(&[0]) }
    }
}
