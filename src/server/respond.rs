//! Packet in, reply out: everything between two sockets, without a socket.

use std::net::IpAddr;

use super::{Served, World};
use crate::model::Rtype;
use crate::wire::{self, Encoded, LowerName, Rcode, Refusal, Reply, STREAM_MAX, Silence, class};
use crate::zone::{Action, Content, Trouble};

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
    /// No reply: an access list says so.
    Denied,
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

/// Answers `packet` of `client` into `out`, which has room for [`UDP_MAX`](wire::UDP_MAX) or [`STREAM_MAX`] octets.
pub fn respond(
    world: &World,
    client: IpAddr,
    packet: &[u8],
    transport: Transport,
    out: &mut [u8],
) -> Outcome {
    if *world.action(client) == Action::Drop {
        return Outcome::Denied;
    }
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
    let Some(decision) = decide(world, client, &query.name, query.qtype, query.class) else {
        return Outcome::Denied;
    };
    let encoded = wire::encode(&query, &decision.reply, limit, out);
    Outcome::Reply { encoded, listed: decision.listed }
}

/// What is said to a question of class IN or CH; `None` when an access list wants silence.
pub fn decide<'a>(
    world: &'a World,
    client: IpAddr,
    name: &'a LowerName,
    qtype: Rtype,
    class: u16,
) -> Option<Decision<'a>> {
    let say = |reply| Some(Decision { reply, listed: false });
    if class != class::IN {
        return match (&world.version, world.action(client)) {
            (_, Action::Drop) => None,
            (Some(version), action) if *action != Action::Refuse && is_version(name, qtype) => {
                say(Reply::Version(version))
            }
            _ => say(Reply::Empty(Rcode::REFUSED)),
        };
    }
    let Some((served, origin)) = world.find(name) else {
        return match world.action(client) {
            Action::Drop => None,
            _ => say(Reply::Empty(Rcode::REFUSED)),
        };
    };
    let action = world.action_in(&name.as_wire()[origin..], client);
    let zone = match (served, action) {
        (_, Action::Drop) => return None,
        (_, Action::Refuse) => return say(Reply::Empty(Rcode::REFUSED)),
        (Served::Waiting, _) => return say(Reply::Empty(Rcode::SERVFAIL)),
        (Served::Ready(zone), _) => zone,
    };
    let verdict = zone.verdict_for(&name.as_wire()[..origin], client, action);
    let listed = verdict.is_listed();
    let content = verdict.content(qtype);
    if let Content::Unavailable(Trouble::Damaged(damage)) = content {
        world.tell_damage(zone.origin(), damage);
    }
    // What a subzone says of itself is its zone's to say.
    let origin = zone.base().map_or(origin, |base| name.as_wire().len() - base.as_wire().len());
    Some(Decision { reply: Reply::Zone { content, authority: zone.authority(), origin }, listed })
}

fn is_version(name: &LowerName, qtype: Rtype) -> bool {
    name.as_wire() == VERSION_BIND && matches!(qtype, Rtype::TXT | Rtype::ANY)
}
