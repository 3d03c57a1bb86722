//! What stands between a resolver and gatepost, told from what the resolver says of a zone's test points. Pure.
//!
//! [`judge`] tells the traps apart. What is listed and what is not is known, so that whatever else comes back is a trap's
//! doing, and how it looks says whose.

use std::net::Ipv4Addr;
use std::time::Duration;

/// A few seconds some keep everything, whatever a zone says: Knot Resolver 5.
const SHORTEST: Ttl = 5;

use crate::client::{ClientError, Data, Reply};
use crate::model::{Name, Rtype, Ttl};
use crate::snippet::localhost;
use crate::wire::Rcode;

/// What the resolver said of a zone.
#[derive(Debug)]
pub(crate) struct Observed<'a> {
    /// The zone.
    pub(crate) zone: &'a Name,
    /// What is in service.
    pub(crate) in_service: InService,
    /// What the name that is listed answers.
    pub(crate) expected: &'a [Ipv4Addr],
    /// Of that name.
    pub(crate) listed: Result<Reply, ClientError>,
    /// Of the name that is not, if it was asked.
    pub(crate) unlisted: Option<Reply>,
    /// Of both when it need not validate, if it was asked.
    pub(crate) unchecked: Option<Reply>,
    pub(crate) unlisted_unchecked: Option<Reply>,
    /// Of the name that is listed when it is to ask nobody (no RD), if that was asked: what it has got already.
    pub(crate) kept: Option<Reply>,
    /// The same when it is asked whether the answer is signed (AD), if it was.
    pub(crate) signed: Option<Reply>,
    /// How long the resolver has both last, as far as it says.
    pub(crate) ttls: Ttls<Option<Ttl>>,
    /// Who is responsible for the zone, and by what mailbox (MNAME, RNAME), as it is in service.
    pub(crate) authority: Option<(Name, Name)>,
    /// Of the zone itself, if it was asked for who is.
    pub(crate) soa: Option<Reply>,
    /// Of a name that is not gatepost's, if it was asked: whether it resolves anything besides.
    pub(crate) world: Option<Reply>,
    /// It answers anything at all.
    pub(crate) is_alive: bool,
}

/// What of a zone is in service, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InService {
    pub(crate) serial: u32,
    pub(crate) since: Duration,
    /// How long a resolver may remember that something is listed, and that it is not.
    pub(crate) ttls: Ttls,
}

/// In seconds: of the name that is listed, and of the one that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ttls<T = Ttl> {
    pub(crate) listed: T,
    pub(crate) unlisted: T,
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trap {
    /// It does not answer at all.
    Silent,
    /// It wants to see signatures.
    Validates,
    /// It wants to see signatures for whoever asks whether there are any.
    ValidatesWhenAsked,
    /// It wants to see signatures, and would not give the addresses either.
    ValidatesAndFilters,
    /// It gets no answer from gatepost: it was not told of it, may not ask loopback, or cannot reach it.
    Unreached,
    /// It gets the answers and gives an error for those in 127.0.0.0/8.
    RefusesAddress,
    /// It gets the answers and takes the addresses in 127.0.0.0/8 out.
    EmptiesAnswer,
    /// It gets the answers and says for those in 127.0.0.0/8 that there is no such name.
    DeniesAddress,
    /// It answers for the zone by itself.
    BuiltIn,
    /// It asks the world for the zone, which knows of none: the zone above that says so.
    AsksTheWorld(String),
    /// It has the zone above, of this name, itself, and asks nobody for what lies in it.
    HasTheZoneAbove(String),
    /// It, or what it asks, holds that nothing is below a part of the name.
    Minimises,
    /// It remembers what was before, for longer than it may: the serial that it knows.
    Remembers(u32),
    /// It remembers that it got no answer, and gets them now.
    RemembersFailure,
    /// It has been told of gatepost as it must, and holds it for dead.
    HoldsForDead,
    /// It makes what it has last longer than the zone says.
    Keeps(Kept),
    /// It refuses this client.
    RefusesClient,
    /// It, or something before it, has an answer of its own.
    Invents(Vec<Data>),
    /// It answers this zone alone: it is an authoritative server.
    IsNoResolver,
    /// It asks gatepost for everything, which refuses all but its zones.
    ResolvesNothingElse,
    /// It has what another server says of the zone, which lists the same.
    AsksAnother,
}

/// What lasts too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// What is listed; else what is not.
    pub(crate) listed: bool,
    pub(crate) seconds: Ttl,
    /// As long as the zone says.
    pub(crate) says: Ttl,
}

impl Trap {
    /// It is there for everything that is asked, or for nothing but what was asked while gatepost did not answer.
    pub(crate) fn may_be_remembered(&self) -> bool {
        matches!(self, Self::Validates | Self::ValidatesAndFilters | Self::Unreached | Self::RefusesAddress)
    }

    /// Mail programs get the right answers all the same.
    pub(crate) fn is_harmless_yet(&self) -> bool {
        matches!(self, Self::ValidatesWhenAsked | Self::Keeps(_))
    }
}

/// Whether another question has to be asked for [`judge`] to tell: not when all is right.
pub(crate) fn is_right(listed: &Result<Reply, ClientError>, expected: &[Ipv4Addr]) -> bool {
    listed.as_ref().is_ok_and(|reply| is_listed(reply, expected))
}

/// What is in the way, if anything is.
pub(crate) fn judge(seen: &Observed<'_>) -> Option<Trap> {
    let ours =
        |reply: &Reply| start_of_authority(reply).filter(|soa| is_ours(&soa.owner, seen.zone)).is_some();
    let is_ours = |reply: &Option<Reply>| {
        reply.as_ref().is_some_and(|reply| reply.rcode == Rcode::NXDOMAIN && ours(reply))
    };
    let unlisted_is_ours = is_ours(&seen.unlisted);
    let is_listed = |reply: &Reply| is_listed(reply, seen.expected);
    let no_answer = || match () {
        () if seen.unchecked.as_ref().is_some_and(is_listed) => Trap::Validates,
        () if unlisted_is_ours => Trap::RefusesAddress,
        () if is_ours(&seen.unlisted_unchecked) => Trap::ValidatesAndFilters,
        // It did get the answer, and what it did with it is no filter's doing: that would have been at work here, too.
        () if seen.kept.as_ref().is_some_and(is_listed) => Trap::Validates,
        () => Trap::Unreached,
    };
    let reply = match &seen.listed {
        Ok(reply) => reply,
        Err(_) if seen.is_alive => return Some(no_answer()),
        Err(_) => return Some(Trap::Silent),
    };
    if is_listed(reply) {
        return after_the_listing(seen, reply);
    }
    let addresses = || reply.answers.iter().filter(|record| record.rtype == Rtype::A);
    Some(match reply.rcode {
        Rcode::NOERROR if addresses().next().is_none() => Trap::EmptiesAnswer,
        Rcode::NOERROR => invented(seen.zone, addresses().map(|record| record.data.clone()).collect()),
        Rcode::NXDOMAIN => not_there(seen, reply),
        Rcode::REFUSED if !unlisted_is_ours => match seen.unlisted {
            // A server that has a way to the zone, but not to gatepost, is not shut to this client.
            Some(ref other) if other.rcode != Rcode::REFUSED => no_answer(),
            _ => Trap::RefusesClient,
        },
        _ => no_answer(),
    })
}

/// The listing is right; is the rest?
fn after_the_listing(seen: &Observed<'_>, listed: &Reply) -> Option<Trap> {
    if listed.authoritative && !listed.recursive && seen.world.as_ref().is_some_and(refuses_the_world) {
        return Some(Trap::IsNoResolver);
    }
    if let Some(trap) = seen.unlisted.as_ref().and_then(|unlisted| of_the_unlisted(seen, unlisted)) {
        return Some(trap);
    }
    if seen.world.as_ref().is_some_and(|world| world.recursive && world.rcode == Rcode::REFUSED) {
        return Some(Trap::ResolvesNothingElse);
    }
    if is_anothers(seen) {
        return Some(Trap::AsksAnother);
    }
    let validates = seen.signed.as_ref().is_some_and(|reply| reply.rcode == Rcode::SERVFAIL);
    if validates {
        return Some(Trap::ValidatesWhenAsked);
    }
    kept(seen)
}

/// Below `localhost` resolvers have the one address built in (RFC 6761).
fn invented(zone: &Name, addresses: Vec<Data>) -> Trap {
    let is_localhost = |address: &Data| *address == Data::A(Ipv4Addr::LOCALHOST);
    match localhost::is_below(zone) && addresses.iter().all(is_localhost) {
        true => Trap::BuiltIn,
        false => Trap::Invents(addresses),
    }
}

fn kept(seen: &Observed<'_>) -> Option<Trap> {
    let (asked, own) = (seen.ttls, seen.in_service.ttls);
    let both = [(true, asked.listed, own.listed), (false, asked.unlisted, own.unlisted)];
    let mut longer = both.into_iter().filter_map(|(listed, seconds, says)| {
        let seconds = seconds.filter(|seconds| *seconds > says.max(SHORTEST))?;
        Some(Trap::Keeps(Kept { listed, seconds, says }))
    });
    longer.next()
}

/// How long an answer lasts: of the listing, or of the denial.
pub(crate) fn ttl(reply: &Reply) -> Option<Ttl> {
    match reply.answers.first() {
        Some(record) => Some(record.ttl),
        None => {
            let soa = reply.authorities.iter().find(|record| record.rtype == Rtype::SOA)?;
            Some(soa.ttl)
        }
    }
}

/// It comes from a server behind the resolver as it is, and says nothing of what the resolver makes of it.
pub(crate) fn is_passed_on(reply: &Reply) -> bool {
    reply.authoritative && reply.recursive
}

fn of_the_unlisted(seen: &Observed<'_>, unlisted: &Reply) -> Option<Trap> {
    let addresses: Vec<Data> = unlisted.answers.iter().map(|record| record.data.clone()).collect();
    if !addresses.is_empty() {
        return Some(invented(seen.zone, addresses));
    }
    let Soa { owner, serial, .. } = start_of_authority(unlisted)?;
    let InService { serial: now, since, ttls } = seen.in_service;
    // A second for the server to take it over, and one for the clocks.
    let may_remember = since <= Duration::from_secs(u64::from(ttls.unlisted) + 2);
    (is_ours(&owner, seen.zone) && serial != now && !may_remember).then_some(Trap::Remembers(serial))
}

/// Whether what it has is another server's, such as the one before gatepost: by whom that names as responsible, or that it names nobody.
fn is_anothers(seen: &Observed<'_>) -> bool {
    let Some((primary, mailbox)) = &seen.authority else { return false };
    let denied = seen.unlisted.as_ref().and_then(start_of_authority);
    if let Some(soa) = denied.filter(|soa| is(&soa.owner, seen.zone)) {
        return !is(soa.primary, primary) || !is(soa.mailbox, mailbox);
    }
    // It was asked since what denies names nobody; rbldnsd without `$SOA` refuses that.
    seen.soa.as_ref().is_some_and(|reply| !says_authority(reply, primary, mailbox))
}

/// Whether somebody who was asked for a zone names these as responsible for it.
pub(crate) fn says_authority(reply: &Reply, primary: &Name, mailbox: &Name) -> bool {
    let mut named = reply.answers.iter().filter_map(|record| record.start_of_authority());
    named.any(|(of, by, _)| is(of, primary) && is(by, mailbox))
}

fn is(text: &str, own: &Name) -> bool {
    text.parse::<Name>().is_ok_and(|name| name == *own)
}

/// The serial that a denial has.
pub(crate) fn serial(denial: &Reply) -> Option<u32> {
    start_of_authority(denial).map(|soa| soa.serial)
}

/// Whether a denial says who is responsible for this zone.
pub(crate) fn says_whose(denial: &Reply, zone: &Name) -> bool {
    start_of_authority(denial).is_some_and(|soa| soa.owner.parse::<Name>().is_ok_and(|owner| owner == *zone))
}

/// What stands before a resolver (dnsdist) passes gatepost's answers on as they are, and the resolver's, too.
fn refuses_the_world(world: &Reply) -> bool {
    world.rcode == Rcode::REFUSED || !world.recursive && world.rcode != Rcode::SERVFAIL
}

/// That what is listed does not exist: who says so?
fn not_there(seen: &Observed<'_>, reply: &Reply) -> Trap {
    // Who answers a name by itself does so for both.
    let is_denied =
        |reply: &Reply| !start_of_authority(reply).is_some_and(|soa| is_ours(&soa.owner, seen.zone));
    if seen
        .unlisted
        .as_ref()
        .is_some_and(|unlisted| unlisted.rcode == Rcode::NXDOMAIN && !is_denied(unlisted))
        && is_denied(reply)
    {
        return Trap::DeniesAddress;
    }
    // Who filters, or answers a name by itself, often leaves it out.
    let Some(Soa { owner, primary, mailbox, serial }) = start_of_authority(reply) else {
        return Trap::BuiltIn;
    };
    if is_ours(&owner, seen.zone) {
        return match serial == seen.in_service.serial {
            true => Trap::Minimises,
            false => Trap::Remembers(serial),
        };
    }
    // unbound's own zones are nobody's, BIND's are served by themselves, and their serial is 0. Zones that are made from Debian's
    // templates are served by `localhost.` as unbound's are, but somebody answers for them.
    let by_itself = primary.eq_ignore_ascii_case(&owner) && (serial == 0 || !reply.authoritative);
    match () {
        () if by_itself || mailbox.eq_ignore_ascii_case("nobody.invalid.") => Trap::BuiltIn,
        // What it was told by others it would not say with authority.
        () if reply.authoritative && reply.recursive && owner != "." => Trap::HasTheZoneAbove(owner),
        () => Trap::AsksTheWorld(owner),
    }
}

pub(crate) fn is_listed(reply: &Reply, expected: &[Ipv4Addr]) -> bool {
    let mut addresses: Vec<&Data> = Vec::new();
    addresses
        .extend(reply.answers.iter().filter(|record| record.rtype == Rtype::A).map(|record| &record.data));
    reply.rcode == Rcode::NOERROR
        && addresses.len() == expected.len()
        && expected.iter().all(|address| addresses.contains(&&Data::A(*address)))
}

struct Soa<'a> {
    owner: String,
    primary: &'a str,
    mailbox: &'a str,
    serial: u32,
}

fn start_of_authority(reply: &Reply) -> Option<Soa<'_>> {
    reply.authorities.iter().find_map(|record| {
        let (primary, mailbox, serial) = record.start_of_authority()?;
        Some(Soa { owner: record.owner.clone(), primary, mailbox, serial })
    })
}

fn is_ours(owner: &str, zone: &Name) -> bool {
    owner.parse::<Name>().is_ok_and(|owner| owner.is_in(zone))
}

#[cfg(test)]
mod tests;
