//! Packet in, reply out: everything between two sockets, without a socket.

use std::net::IpAddr;

use nix::time::{ClockId, clock_gettime};

use super::limit::Allowance;
use super::{Served, Tally, World};
use crate::model::Rtype;
use crate::wire::{self, Ede, Encoded, LowerName, Query, Rcode, Refusal, Reply, STREAM_MAX, Silence, class};
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

/// When packets are answered, by the clocks that a system reads fastest: a batch shares one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970, for cookies.
    pub wall: u32,
    /// Microseconds of a clock that is never set, for limits.
    pub micros: u64,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let read = |clock| clock_gettime(clock).map_or((0, 0), |time| (time.tv_sec(), time.tv_nsec()));
        let (seconds, nanoseconds) = read(ClockId::CLOCK_MONOTONIC_COARSE);
        Self {
            wall: read(ClockId::CLOCK_REALTIME_COARSE).0 as u32,
            micros: seconds as u64 * 1_000_000 + nanoseconds as u64 / 1000,
        }
    }
}

/// What was done with a packet.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'w> {
    /// No reply.
    Silent(Silence),
    /// No reply: an access list says so.
    Denied,
    /// No reply: the client's network has had as many as it may have.
    Limited,
    /// A reply is in the buffer.
    Reply {
        /// What it is.
        encoded: Encoded,
        /// It says that something is listed.
        listed: bool,
        /// Where the zone is counted that was asked, if one was.
        zone: Option<&'w Tally>,
    },
}

/// What is said to a query, for either encoder.
#[derive(Debug, Clone)]
pub struct Decision<'a, 'w> {
    /// The reply.
    pub reply: Reply<'a>,
    /// The name is listed.
    pub listed: bool,
    /// Where the zone is counted that was asked, if one was.
    pub zone: Option<&'w Tally>,
}

/// Answers `packet` of `client` into `out`, which has room for [`UDP_MAX`](wire::UDP_MAX) or [`STREAM_MAX`] octets.
pub fn respond<'w>(
    world: &'w World,
    client: IpAddr,
    packet: &[u8],
    transport: Transport,
    at: Moment,
    out: &mut [u8],
) -> Outcome<'w> {
    if *world.action(client) == Action::Drop {
        return Outcome::Denied;
    }
    let without_zone = |encoded| Outcome::Reply { encoded, listed: false, zone: None };
    let mut query = match wire::parse(packet) {
        Ok(query) => query,
        Err(Refusal::Silent(why)) => return Outcome::Silent(why),
        Err(Refusal::Answer(denial)) => {
            return match allowance(world, client, transport, false, at) {
                Allowance::Reply => without_zone(wire::refuse(&denial, out)),
                Allowance::Slip | Allowance::Nothing => Outcome::Limited,
            };
        }
    };
    let is_known = grant(world, client, &mut query, at);
    match allowance(world, client, transport, is_known, at) {
        Allowance::Reply => {}
        Allowance::Slip => return without_zone(wire::slip(&query, out)),
        Allowance::Nothing => return Outcome::Limited,
    }
    let limit = match transport {
        Transport::Udp => query.udp_limit(),
        Transport::Stream => STREAM_MAX,
    };
    let Some(decision) = decide(world, client, &query.name, query.qtype, query.class) else {
        return Outcome::Denied;
    };
    let Decision { reply, listed, zone } = decision;
    let encoded = wire::encode(&query, &reply, limit, out);
    Outcome::Reply { encoded, listed, zone }
}

/// Puts the cookie into a query that its client is to keep; whether it was known by the one it sent.
pub(super) fn grant(world: &World, client: IpAddr, query: &mut Query<'_>, at: Moment) -> bool {
    let Some(cookie) = query.cookie() else { return false };
    let (is_known, server) = world.cookies.judge(client, &cookie, at.wall);
    query.grant(Some(server));
    is_known
}

/// What limits leave of a reply. Streams have caps of their own, and whoever has sent a cookie back is where it says.
fn allowance(world: &World, client: IpAddr, transport: Transport, is_known: bool, at: Moment) -> Allowance {
    match &world.limit {
        Some(limit) if transport == Transport::Udp && !is_known => limit.take(client, at.micros),
        _ => Allowance::Reply,
    }
}

/// What is said to a question of class IN or CH; `None` when an access list wants silence.
pub fn decide<'a, 'w: 'a>(
    world: &'w World,
    client: IpAddr,
    name: &'a LowerName,
    qtype: Rtype,
    class: u16,
) -> Option<Decision<'a, 'w>> {
    let say = |reply| Some(Decision { reply, listed: false, zone: None });
    if class != class::IN {
        return match (&world.version, world.action(client)) {
            (_, Action::Drop) => None,
            (Some(version), action) if *action != Action::Refuse && is_version(name, qtype) => {
                say(Reply::Version(version))
            }
            _ => say(Reply::Empty(Rcode::REFUSED, Some(Ede::NOT_SUPPORTED))),
        };
    }
    let Some((served, tally, origin)) = world.find_counted(name) else {
        return match world.action(client) {
            Action::Drop => None,
            Action::Refuse => say(Reply::Empty(Rcode::REFUSED, Some(Ede::PROHIBITED))),
            _ => say(Reply::Empty(Rcode::REFUSED, Some(Ede::NOT_AUTHORITATIVE))),
        };
    };
    let action = world.action_in(&name.as_wire()[origin..], client);
    let say = |reply, listed| Some(Decision { reply, listed, zone: Some(tally) });
    let zone = match (served, action) {
        (_, Action::Drop) => return None,
        (_, Action::Refuse) => return say(Reply::Empty(Rcode::REFUSED, Some(Ede::PROHIBITED)), false),
        (Served::Waiting, _) => return say(Reply::Empty(Rcode::SERVFAIL, Some(Ede::NOT_READY)), false),
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
    say(Reply::Zone { content, authority: zone.authority(), origin }, listed)
}

fn is_version(name: &LowerName, qtype: Rtype) -> bool {
    name.as_wire() == VERSION_BIND && matches!(qtype, Rtype::TXT | Rtype::ANY)
}
