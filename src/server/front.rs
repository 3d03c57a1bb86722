//! The stream front: hickory's request and response types around the same decision that UDP packets get.
//!
//! The only place outside `client` and tests that knows hickory. It reads the question from hickory's message and
//! writes hickory's records, so it is also an independent encoder that tests compare with `wire`. Never: sockets.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_proto::op::{Edns, Header, HeaderCounts, Metadata, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{NULL, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, Restrict};
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use super::World;
use super::respond::{Decision, Outcome, decide};
use super::stats::Counters;
use crate::model::{Rtype, Ttl};
use crate::snapshot::RdataRef;
use crate::wire::{Ede, Encoded, LowerName, Rcode, Reply, UDP_MAX, option};
use crate::zone::{Action, Authority, Content, InZoneName, TextBuf};

/// Answers hickory's requests from the world in service.
pub struct Front {
    worlds: Arc<ArcSwap<World>>,
    counters: Arc<Counters>,
}

impl Front {
    pub(super) fn new(worlds: Arc<ArcSwap<World>>, counters: Arc<Counters>) -> Self {
        Self { worlds, counters }
    }

    /// The world in service.
    pub(super) fn world(&self) -> Arc<World> {
        self.worlds.load_full()
    }

    /// Whether `client` gets no reply at all.
    pub(super) fn denies(&self, client: IpAddr) -> bool {
        *self.worlds.load().action(client) == Action::Drop
    }
}

/// What was made of a request.
pub(super) struct Handled {
    pub(super) info: ResponseInfo,
    /// The reply says that something is listed.
    pub(super) listed: bool,
}

impl Front {
    /// Answers a request into `out`.
    pub(super) async fn handle(&self, request: &Request, mut out: impl ResponseHandler) -> Handled {
        let world = self.worlds.load_full();
        let Some(message) = Message::answer(&world, request) else {
            self.counters.note_shared(&Outcome::Denied);
            // Nothing is sent, which closes the stream; whoever called is told that it was refused.
            let mut metadata = Metadata::response_from_request(&request.metadata);
            metadata.response_code = ResponseCode::Refused;
            let info = ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() });
            return Handled { info, listed: false };
        };
        self.counters.note_shared(&Outcome::Reply {
            encoded: Encoded { len: 0, rcode: Rcode(message.rcode.into()), truncated: false },
            listed: message.listed,
            zone: None,
        });
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = message.authoritative;
        metadata.checking_disabled = false;
        metadata.response_code = message.rcode;
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_MAX as u16);
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(asked) = &request.edns {
            edns.set_dnssec_ok(asked.flags().dnssec_ok);
            // Whoever handed the request over has put the cookie into it that the client is to keep.
            let cookie = asked.option(option::COOKIE.into()).cloned();
            let why = message.why.map(|why| EdnsOption::Unknown(option::EDE, why.0.to_be_bytes().to_vec()));
            for option in cookie.into_iter().chain(why) {
                edns.options_mut().insert(option);
            }
            builder.edns(&edns);
        }
        let response = builder.build(metadata, &message.answers, [], &message.soa, []);
        let info = match out.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::warn!(%error, "a stream reply could not be encoded");
                metadata.response_code = ResponseCode::ServFail;
                ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
            }
        };
        Handled { info, listed: message.listed }
    }
}

/// A reply in hickory's types.
struct Message {
    rcode: ResponseCode,
    authoritative: bool,
    why: Option<Ede>,
    listed: bool,
    answers: Vec<Record>,
    soa: Option<Record>,
}

impl Message {
    /// `None` when an access list wants silence.
    fn answer(world: &World, request: &Request) -> Option<Self> {
        let Some(asked) = request.request_info().ok().map(|info| info.query) else {
            return Some(Self::empty(ResponseCode::FormErr));
        };
        // As the client wrote it (RFC 4343 section 4.1).
        let owner = asked.original().name().clone();
        let Some(name) = LowerName::from_labels(owner.iter()) else {
            return Some(Self::empty(ResponseCode::FormErr));
        };
        let qtype = Rtype(asked.query_type().into());
        let client = request.src().ip();
        let Decision { reply, listed, .. } = decide(world, client, &name, qtype, asked.query_class().into())?;
        let rcode = ResponseCode::from(0, reply.rcode().0 as u8);
        let why = reply.why();
        Some(match reply {
            Reply::Empty(..) | Reply::Zone { content: Content::Unavailable(_), .. } => {
                Self { why, ..Self::empty(rcode) }
            }
            Reply::Version(version) => {
                let mut record = Record::from_rdata(owner, 0, RData::TXT(TXT::new(vec![version.to_owned()])));
                record.dns_class = DNSClass::CH;
                Self { answers: vec![record], authoritative: true, ..Self::empty(rcode) }
            }
            Reply::Zone { content, authority, origin } => {
                let labels = name_of(&name.as_wire()[origin..]).num_labels();
                let origin = owner.trim_to(labels.into());
                let (answers, soa) = records(content, authority, owner, origin);
                Self { rcode, authoritative: true, why, listed, answers, soa }
            }
        })
    }

    fn empty(rcode: ResponseCode) -> Self {
        Self { rcode, authoritative: false, why: None, listed: false, answers: Vec::new(), soa: None }
    }
}

/// The answer section, and the SOA record of the authority section.
fn records(
    content: Content<'_>,
    authority: &Authority,
    owner: Name,
    origin: Name,
) -> (Vec<Record>, Option<Record>) {
    match content {
        Content::Records(records) => {
            let of = |rdata| Record::from_rdata(owner.clone(), records.ttl(), rdata);
            let data = records.iter().map(|datum| match datum.rdata {
                RdataRef::Wire(octets) => rdata(records.rtype(), octets),
                RdataRef::Text(pieces) => {
                    let text = TextBuf::fill(pieces, datum.matched);
                    RData::TXT(TXT::from_bytes(vec![text.as_bytes()]))
                }
            });
            (data.map(of).collect(), None)
        }
        Content::Soa => (vec![soa(authority, authority.soa_ttl, &origin)], None),
        Content::Ns => (authority.ns.iter().map(|host| ns(host, authority.ns_ttl, &origin)).collect(), None),
        Content::NoData | Content::NxDomain => {
            (Vec::new(), Some(soa(authority, authority.negative_ttl, &origin)))
        }
        Content::Unavailable(_) => (Vec::new(), None),
    }
}

fn soa(authority: &Authority, ttl: Ttl, origin: &Name) -> Record {
    let mut data = below(&authority.mname, origin);
    data.extend(below(&authority.rname, origin));
    data.extend(authority.numbers);
    Record::from_rdata(origin.clone(), ttl, rdata(Rtype::SOA, &data))
}

fn ns(host: &InZoneName, ttl: Ttl, origin: &Name) -> Record {
    Record::from_rdata(origin.clone(), ttl, rdata(Rtype::NS, &below(host, origin)))
}

/// A name in wire form.
fn below(name: &InZoneName, origin: &Name) -> Vec<u8> {
    let mut wire = name.labels.to_vec();
    if name.in_zone {
        for label in origin.iter() {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
    }
    wire.push(0);
    wire
}

/// Data in wire form → hickory's. What hickory cannot read stays as it is (RFC 3597).
fn rdata(rtype: Rtype, octets: &[u8]) -> RData {
    let code = RecordType::from(rtype.0);
    let read = u16::try_from(octets.len()).ok().and_then(|len| {
        let mut decoder = BinDecoder::new(octets);
        RData::read(&mut decoder, code, Restrict::new(len)).ok()
    });
    read.unwrap_or_else(|| RData::Unknown { code, rdata: NULL::with(octets.to_vec()) })
}

fn name_of(wire: &[u8]) -> Name {
    Name::read(&mut BinDecoder::new(wire)).unwrap_or_default()
}
