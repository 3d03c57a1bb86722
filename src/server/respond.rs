//! Packet in, reply out: everything between two sockets, without a socket.

use super::{Served, World};
use crate::model::Rtype;
use crate::wire::{self, Encoded, LowerName, Rcode, Refusal, Reply, STREAM_MAX, Silence, class};
use crate::zone::{Content, Trouble};

/// The name that tells a server's version in class CH.
const VERSION_BIND: &[u8] = b"\x07version\x04bind\x00";

/// How a packet came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: its reply is limited by what the client takes.
    Udp,
    /// A message in a stream.
    Stream,
}

/// What was done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No reply.
    Silent(Silence),
    /// A reply is in the buffer.
    Reply {
        /// What it is.
        encoded: Encoded,
        /// It says that something is listed.
        listed: bool,
    },
}

/// What is said to a query, for either encoder.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// The reply.
    pub reply: Reply<'a>,
    /// The name is listed.
    pub listed: bool,
}

/// Answers `packet` into `out`, which has room for [`UDP_MAX`](wire::UDP_MAX) or [`STREAM_MAX`] octets.
pub fn respond(world: &World, packet: &[u8], transport: Transport, out: &mut [u8]) -> Outcome {
    let query = match wire::parse(packet) {
        Ok(query) => query,
        Err(Refusal::Silent(why)) => return Outcome::Silent(why),
        Err(Refusal::Answer(denial)) => {
            return Outcome::Reply { encoded: wire::refuse(&denial, out), listed: false };
        }
    };
    let limit = match transport {
        Transport::Udp => query.udp_limit(),
        Transport::Stream => STREAM_MAX,
    };
    let decision = decide(world, &query.name, query.qtype, query.class);
    let encoded = wire::encode(&query, &decision.reply, limit, out);
    Outcome::Reply { encoded, listed: decision.listed }
}

/// What is said to a question of class IN or CH.
pub fn decide<'a>(world: &'a World, name: &'a LowerName, qtype: Rtype, class: u16) -> Decision<'a> {
    let refused = Decision { reply: Reply::Empty(Rcode::REFUSED), listed: false };
    if class != class::IN {
        return match &world.version {
            Some(version) if is_version(name, qtype) => {
                Decision { reply: Reply::Version(version), listed: false }
            }
            _ => refused,
        };
    }
    let (zone, origin) = match world.find(name) {
        None => return refused,
        Some((Served::Waiting, _)) => {
            return Decision { reply: Reply::Empty(Rcode::SERVFAIL), listed: false };
        }
        Some((Served::Ready(zone), origin)) => (zone, origin),
    };
    let verdict = zone.verdict(&name.as_wire()[..origin]);
    let listed = verdict.is_listed();
    let content = verdict.content(qtype);
    if let Content::Unavailable(Trouble::Damaged(damage)) = content {
        world.tell_damage(zone.origin(), damage);
    }
    Decision { reply: Reply::Zone { content, authority: zone.authority(), origin }, listed }
}

fn is_version(name: &LowerName, qtype: Rtype) -> bool {
    name.as_wire() == VERSION_BIND && matches!(qtype, Rtype::TXT | Rtype::ANY)
}
