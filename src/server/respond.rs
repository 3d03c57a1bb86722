//! Packet in, reply out: everything between two sockets, without a socket.
//!
//! Two steps: [`begin`] reads a packet and finds the zone that it asks, [`Pending::finish`] writes what the zone says.
//! Between them the addresses of many packets are looked up together ([`look_up`]), so that they wait for memory once and
//! not one after another. [`respond`] takes both steps for one packet.

use std::net::IpAddr;
use std::sync::Arc;

use arrayvec::ArrayVec;
use nix::time::{ClockId, clock_gettime};

use super::limit::Allowance;
use super::limit::Slips;
use super::udp::BATCH;
use super::world::Place;
use super::{Served, Tally, World};
use crate::compile::AnswerId;
use crate::model::Rtype;
use crate::snapshot::{Damaged, Mapped};
use crate::wire::{
    self, Ede, Encoded, LowerName, Opt, Query, Rcode, Refusal, Reply, STREAM_MAX, Silence, class,
};
use crate::zone::{Action, Content, Question, Trouble, Verdict, Zone};

/// The names that tell a server's version in class CH.
const VERSION: [&[u8]; 2] = [b"\x07version\x04bind\x00", b"\x07version\x06server\x00"];

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

/// What a packet came to in the first step.
#[derive(Debug)]
pub enum Step<'w, 'p> {
    /// To its end.
    Done(Outcome<'w>),
    /// To a zone, which has to be looked into.
    Pending(Pending<'w, 'p>),
}

/// A packet whose question is a zone's to answer.
#[derive(Debug)]
pub struct Pending<'w, 'p> {
    query: Query<'p>,
    limit: usize,
    asked: Asked<'w>,
    /// What the zone's snapshot has of the address asked for.
    found: Result<Option<AnswerId>, Damaged>,
}

/// A zone that answers a question, and what it has to know to do so.
#[derive(Debug)]
struct Asked<'w> {
    zone: &'w Zone<Mapped>,
    tally: &'w Tally,
    /// Where the zone's origin begins in the name.
    origin: usize,
    client: IpAddr,
    action: &'w Action,
    /// What the labels below the origin spell; nothing when an access list answers in the place of the data.
    question: Question,
}

/// Where a question leads.
enum Route<'w> {
    /// Nowhere: an access list wants silence.
    Denied,
    /// To the server itself.
    Said(Decision<'w, 'w>),
    /// To a zone.
    Zone(Asked<'w>),
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
    match begin(world, client, packet, &mut LowerName::ROOT.clone(), transport, at, out) {
        Step::Done(outcome) => outcome,
        Step::Pending(mut pending) => {
            look_up(std::slice::from_mut(&mut pending));
            pending.finish(world, out)
        }
    }
}

/// The first step: reads `packet`, its name into `name`, and answers it into `out` unless a zone has to.
pub fn begin<'w, 'p>(
    world: &'w World,
    client: IpAddr,
    packet: &'p [u8],
    name: &'p mut LowerName,
    transport: Transport,
    at: Moment,
    out: &mut [u8],
) -> Step<'w, 'p> {
    if *world.action(client) == Action::Drop {
        return Step::Done(Outcome::Denied);
    }
    let without_zone = |encoded| Step::Done(Outcome::Reply { encoded, listed: false, zone: None });
    let mut query = match wire::parse(packet, name) {
        Ok(query) => query,
        Err(Refusal::Silent(why)) => return Step::Done(Outcome::Silent(why)),
        Err(Refusal::Answer(mut denial)) => {
            let is_known = grant(world, client, denial.opt.as_mut(), at);
            return match allowance(world, client, transport, Slips::No, is_known, at) {
                Allowance::Reply => without_zone(wire::refuse(&denial, out)),
                Allowance::Slip | Allowance::Nothing => Step::Done(Outcome::Limited),
            };
        }
    };
    let is_known = grant(world, client, query.opt.as_mut(), at);
    match allowance(world, client, transport, Slips::Yes, is_known, at) {
        Allowance::Reply => {}
        Allowance::Slip => return without_zone(wire::slip(&query, out)),
        Allowance::Nothing => return Step::Done(Outcome::Limited),
    }
    let limit = match transport {
        Transport::Udp => query.udp_limit(),
        Transport::Stream => STREAM_MAX,
    };
    match route(world, client, query.name, query.qtype, query.class) {
        Route::Denied => Step::Done(Outcome::Denied),
        Route::Said(decision) => Step::Done(decision.encode(&query, limit, out)),
        Route::Zone(asked) => Step::Pending(Pending { query, limit, asked, found: Ok(None) }),
    }
}

/// Looks the addresses up that these ask for, those of one snapshot together.
///
/// # Panics
/// When there are more than [`BATCH`].
pub fn look_up(pending: &mut [Pending<'_, '_>]) {
    if let [one] = pending {
        one.found = one.asked.zone.find(&one.asked.question);
        return;
    }
    assert!(pending.len() <= BATCH, "a batch");
    let mut done = [false; BATCH];
    for first in 0..pending.len() {
        if done[first] {
            continue;
        }
        let snapshot = pending[first].asked.zone.snapshot();
        let mut places: ArrayVec<u8, BATCH> = ArrayVec::new();
        let mut addresses: ArrayVec<u32, BATCH> = ArrayVec::new();
        for (at, one) in pending.iter().enumerate().skip(first) {
            if Arc::ptr_eq(one.asked.zone.snapshot(), snapshot) {
                done[at] = true;
                if let Some(v4) = one.asked.question.v4() {
                    places.push(at as u8);
                    addresses.push(v4);
                }
            }
        }
        let mut answers = [None; BATCH];
        // Damage is of one address, and steps that overlap are of use to several.
        let found = match addresses.len() {
            0 | 1 => None,
            count => snapshot.v4_batch(&addresses, &mut answers[..count]).ok(),
        };
        for ((&at, &address), answer) in places.iter().zip(&addresses).zip(answers) {
            pending[usize::from(at)].found = found.map_or_else(|| snapshot.v4(address), |()| Ok(answer));
        }
    }
}

impl<'w> Pending<'w, '_> {
    /// The second step: what the zone says, into the buffer of the first.
    pub fn finish(&self, world: &World, out: &mut [u8]) -> Outcome<'w> {
        let decision = self.asked.decide(world, self.query.name, self.query.qtype, self.found);
        decision.encode(&self.query, self.limit, out)
    }
}

impl<'w> Decision<'_, 'w> {
    fn encode(&self, query: &Query<'_>, limit: usize, out: &mut [u8]) -> Outcome<'w> {
        let encoded = wire::encode(query, &self.reply, limit, out);
        Outcome::Reply { encoded, listed: self.listed, zone: self.zone }
    }
}

/// Who is behind a listing.
pub(super) enum Behind<'w> {
    /// These lists; `None` stands for a test point.
    Lists(Vec<Option<&'w str>>),
    /// An access list, for which everything is listed.
    Access,
}

/// Who is behind what `client` is told of `name`; no lists when nothing is listed.
pub(super) fn behind<'w>(world: &'w World, client: IpAddr, name: &LowerName) -> Behind<'w> {
    let Route::Zone(asked) = route(world, client, name, Rtype::A, class::IN) else {
        return Behind::Lists(Vec::new());
    };
    match asked.action {
        Action::Listed(_) => Behind::Access,
        // Damage is told of by whoever answers.
        _ => Behind::Lists(asked.zone.behind(&name.as_wire()[..asked.origin]).unwrap_or_default()),
    }
}

/// Puts the cookie into a question that its client is to keep; whether it was known by the one it sent.
pub(super) fn grant(world: &World, client: IpAddr, opt: Option<&mut Opt>, at: Moment) -> bool {
    let Some((opt, cookie)) = opt.and_then(|opt| opt.cookie.map(|cookie| (opt, cookie))) else {
        return false;
    };
    let (is_known, server) = world.cookies.judge(client, &cookie, at.wall);
    opt.grant(Some(server));
    is_known
}

/// What limits leave of a reply. Streams have caps of their own, and whoever has sent a cookie back is where it says.
fn allowance(
    world: &World,
    client: IpAddr,
    transport: Transport,
    slips: Slips,
    is_known: bool,
    at: Moment,
) -> Allowance {
    match &world.limit {
        Some(limit) if transport == Transport::Udp && !is_known => limit.take(client, slips, at.micros),
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
    match route(world, client, name, qtype, class) {
        Route::Denied => None,
        Route::Said(decision) => Some(decision),
        Route::Zone(asked) => Some(asked.decide(world, name, qtype, asked.zone.find(&asked.question))),
    }
}

fn route<'w>(world: &'w World, client: IpAddr, name: &LowerName, qtype: Rtype, class: u16) -> Route<'w> {
    let say = |reply| Route::Said(Decision { reply, listed: false, zone: None });
    if class != class::IN {
        return match (&world.version, world.action(client)) {
            (_, Action::Drop) => Route::Denied,
            (Some(version), action) if *action != Action::Refuse && is_version(name, qtype) => {
                say(Reply::Version(version))
            }
            _ => say(Reply::Empty(Rcode::REFUSED, Some(Ede::NOT_SUPPORTED))),
        };
    }
    let Some(place) = world.place(name) else {
        return match world.action(client) {
            Action::Drop => Route::Denied,
            Action::Refuse => say(Reply::Empty(Rcode::REFUSED, Some(Ede::PROHIBITED))),
            _ => say(Reply::Empty(Rcode::REFUSED, Some(Ede::NOT_AUTHORITATIVE))),
        };
    };
    let Place { served, tally, access, origin } = place;
    let everywhere = world.action(client);
    let action = access.map_or(everywhere, |access| everywhere.stricter(access.of(client)));
    let say = |rcode, why| {
        let reply = Reply::Empty(rcode, Some(why));
        Route::Said(Decision { reply, listed: false, zone: Some(tally) })
    };
    match (served, action) {
        (_, Action::Drop) => Route::Denied,
        (_, Action::Refuse) => say(Rcode::REFUSED, Ede::PROHIBITED),
        (Served::Waiting, _) => say(Rcode::SERVFAIL, Ede::NOT_READY),
        (Served::Useless, _) => say(Rcode::SERVFAIL, Ede::INVALID_DATA),
        (Served::Ready(zone), action) => {
            let question = match action {
                Action::Allow => Question::read(&name.as_wire()[..origin]),
                _ => Question::default(),
            };
            Route::Zone(Asked { zone, tally, origin, client, action, question })
        }
    }
}

impl<'w> Asked<'w> {
    /// What the zone says of `name`, of whose address its snapshot has `found`.
    fn decide<'a>(
        &self,
        world: &World,
        name: &'a LowerName,
        qtype: Rtype,
        found: Result<Option<AnswerId>, Damaged>,
    ) -> Decision<'a, 'w>
    where
        'w: 'a,
    {
        let zone = self.zone;
        let labels = &name.as_wire()[..self.origin];
        let mut verdict = match self.action {
            Action::Listed(sets) => zone.verdict_for(labels, self.client, Some(sets)),
            Action::Empty => zone.verdict_for(labels, self.client, None),
            Action::Allow | Action::Refuse | Action::Drop => {
                zone.verdict_found(labels, &self.question, found)
            }
        };
        if matches!(verdict, Verdict::NotListed) && world.is_above_a_zone(name) {
            verdict = Verdict::EmptyNonTerminal;
        }
        let listed = verdict.is_listed();
        let content = verdict.content(qtype);
        if let Content::Unavailable(Trouble::Damaged(damage)) = content {
            world.tell_damage(zone.origin(), damage);
        }
        // What a subzone says of itself is its zone's to say.
        let origin = zone.base().map_or(self.origin, |base| name.as_wire().len() - base.as_wire().len());
        Decision {
            reply: Reply::Zone { content, authority: zone.authority(), origin },
            listed,
            zone: Some(self.tally),
        }
    }
}

fn is_version(name: &LowerName, qtype: Rtype) -> bool {
    VERSION.contains(&name.as_wire()) && matches!(qtype, Rtype::TXT | Rtype::ANY)
}
