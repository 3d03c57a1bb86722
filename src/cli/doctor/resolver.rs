//! The second station: the same names through the resolvers that mail programs ask, as the C library asks them.
//!
//! Each server of `/etc/resolv.conf` is asked by itself, then the C library. What is judged of their replies is in
//! [`trap`](super::trap), how it is told in [`told`](super::told).

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

use super::super::snippet::Program;
use super::super::snippet::wiring::Wiring;
use super::super::view::{View, ZoneView};
use super::finding::{Area, Check, Cure};
use super::mail::Elsewhere;
use super::resolv_conf::{Server, servers};
use super::sample::Sample;
use super::told::Told;
use super::trap::{InService, Observed, Trap, is_right, judge};
use super::who::UnboundAsks;
use super::{Questions, TIMEOUT, c_library, cure, who};
use crate::client::{Client, Data, Manner, Over, Reply};
use crate::model::{Name, Rtype};
use crate::wire::Rcode;

/// Zones that are asked of the first server, each for another of the names that a resolver is told of; of the others.
const ZONES: [usize; 2] = [16, 2];

const RECURSIVE: Manner = Manner { recursion: true, unchecked: false, chaos: false };

/// Where what the C library reads is.
pub(super) struct Paths<'a> {
    pub(super) resolv_conf: &'a Path,
    pub(super) nsswitch: &'a Path,
}

/// What the resolvers say; `elsewhere` are programs that ask others.
pub(super) fn look(
    view: &View,
    wiring: &Wiring,
    paths: &Paths<'_>,
    elsewhere: &[Elsewhere],
    questions: &Questions,
) -> Vec<Check> {
    let zones = chosen(view, wiring);
    let Some(first) = zones.first() else {
        let what = "no zone has an entry in service yet, so nobody can be asked for one";
        return vec![
            Check::unknown(Area::Resolver, "nothing-to-ask", what)
                .cured_by("`gatepost status` says what is in service, `gatepost sync` fetches what is due"),
        ];
    };
    let text = match std::fs::read_to_string(paths.resolv_conf) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let what = format!("cannot read {}: {error}", paths.resolv_conf.display());
            return vec![Check::unknown(Area::Resolver, "no-resolv-conf", what)];
        }
    };
    let mut checks = Vec::new();
    let mut wrong = false;
    for (at, server) in servers(&text).iter().enumerate() {
        let most = ZONES[at.min(1)].min(zones.len());
        let asked = Resolver::new(server, questions).look(&zones[..most], wiring, at == 0);
        wrong |= asked.iter().any(|check| check.level != super::finding::Level::Ok);
        checks.extend(asked);
    }
    if zones.len() > ZONES[0] && !wrong {
        let what = format!("{} of {} names that a resolver is told of were asked", ZONES[0], zones.len());
        checks.push(Check::ok(Area::Resolver, what));
    }
    let nsswitch = std::fs::read_to_string(paths.nsswitch).unwrap_or_default();
    questions.count(2);
    checks.push(c_library::look(first.zone.origin(), &first.sample, wrong, &nsswitch));
    for program in elsewhere {
        checks.extend(of_program(program, first, questions));
    }
    checks
}

/// What a mail program gets that asks others than all the rest here.
fn of_program(program: &Elsewhere, zone: &Asked<'_>, questions: &Questions) -> Option<Check> {
    // The C library, and what does as it does, asks the others only when the first is silent.
    let server = program.servers.first()?;
    let mut resolver = Resolver::new(&(server.ip(), None), questions);
    resolver.client.server.set_port(server.port());
    let trap = judge(&resolver.observe(zone))?;
    let told = Told::of(&trap, None, false);
    let server = if server.port() == 53 { server.ip().to_string() } else { server.to_string() };
    let what = format!("{} asks {server}: {} for {}", program.who, told.looks_like, zone.sample.listed);
    let check = Check::bad(Area::Resolver, "mail-other-resolver", what).because(
        "it does not ask the servers of /etc/resolv.conf, and this one does not bring what gatepost lists",
    );
    Some(check.cured(program.cure.clone()))
}

/// A zone, and what is asked of it.
struct Asked<'a> {
    zone: &'a ZoneView,
    sample: Sample,
}

/// Of each name that resolvers are told of one zone that lists something.
fn chosen<'a>(view: &'a View, wiring: &Wiring) -> Vec<Asked<'a>> {
    let mut zones: Vec<&ZoneView> = view.zones.iter().filter(|zone| !zone.is_subzone()).collect();
    // What mail programs ask goes before what they do not.
    let is_wired = |origin: &Name| wiring.zones.iter().any(|wired| wired.origin == *origin);
    zones.sort_by_key(|zone| !is_wired(zone.origin()));
    let of_domain = |domain: &Name| {
        let mut zones = zones.iter().filter(|zone| zone.origin().is_in(domain));
        zones.find_map(|zone| Some(Asked { zone, sample: Sample::of(zone)? }))
    };
    let mut asked: Vec<Asked<'_>> = wiring.domains.iter().filter_map(of_domain).collect();
    asked.sort_by_key(|asked| !is_wired(asked.zone.origin()));
    asked
}

/// A server of `/etc/resolv.conf`.
struct Resolver<'a> {
    client: Client,
    questions: &'a Questions,
}

impl<'a> Resolver<'a> {
    fn new((ip, interface): &Server, questions: &'a Questions) -> Self {
        let at = match (ip, interface) {
            (IpAddr::V6(ip), Some(interface)) => {
                let scope = nix::net::if_::if_nametoindex(interface.as_str()).unwrap_or(0);
                SocketAddr::V6(SocketAddrV6::new(*ip, 53, 0, scope))
            }
            (ip, _) => SocketAddr::new(*ip, 53),
        };
        Self { client: Client { timeout: TIMEOUT, ..Client::new(at) }, questions }
    }

    /// A check for each zone, up to the first that is wrong: what stands in the way of one does so for all.
    fn look(&self, zones: &[Asked<'_>], wiring: &Wiring, is_first: bool) -> Vec<Check> {
        let mut checks = Vec::new();
        for zone in zones {
            match judge(&self.observe(zone)) {
                None => {
                    let sample = &zone.sample;
                    let but = if sample.unlisted.is_some() { " and 127.0.0.1 is not" } else { "" };
                    let origin = zone.zone.origin();
                    let what = format!("{}: {} is listed in {origin}{but}", self.ip(), sample.subject);
                    checks.push(Check::ok(Area::Resolver, what));
                }
                Some(trap) => {
                    checks.push(self.trapped(&trap, &zone.sample.listed, wiring, is_first));
                    break;
                }
            }
        }
        checks
    }

    fn ip(&self) -> IpAddr {
        self.client.server.ip()
    }

    fn observe<'z>(&self, asked: &'z Asked<'_>) -> Observed<'z> {
        let Asked { zone, sample } = asked;
        let Sample { listed, answers, .. } = sample;
        let reply = self.try_ask(listed, Rtype::A, RECURSIVE);
        let right = is_right(&reply, answers);
        // Who says nothing is asked what it is: that costs nobody a way to gatepost.
        let is_alive = reply.is_ok() || self.version().is_some();
        let unlisted = |manner| self.ask(sample.unlisted.as_ref()?, manner);
        let unlisted_checked = is_alive.then(|| unlisted(RECURSIVE)).flatten();
        let unchecked = Manner { unchecked: true, ..RECURSIVE };
        let is_wrong = is_alive && !right;
        let listed_unchecked = is_wrong.then(|| self.ask(listed, unchecked)).flatten();
        // Whoever hides even what is not listed may do so for two reasons.
        let is_hidden =
            |reply: &Option<Reply>| reply.as_ref().is_none_or(|reply| reply.rcode == Rcode::SERVFAIL);
        let both = is_wrong && is_hidden(&unlisted_checked) && listed_unchecked.is_some();
        let both = both && listed_unchecked.as_ref().is_none_or(|reply| reply.answers.is_empty());
        let looks_like_ours = reply.as_ref().is_ok_and(|reply| reply.authoritative && !reply.recursive);
        Observed {
            zone: zone.origin(),
            in_service: InService {
                serial: zone.entry.as_ref().map_or(0, |entry| entry.serial),
                since: age(zone.entry.as_ref().map_or(0, |entry| entry.built)),
                negative_ttl: Duration::from_secs(zone.config.soa.minimum.into()),
            },
            expected: answers,
            unlisted: unlisted_checked,
            unchecked: listed_unchecked,
            unlisted_unchecked: both.then(|| unlisted(unchecked)).flatten(),
            root: (right && looks_like_ours).then(|| self.ask_for(&Name::root(), Rtype::SOA)).flatten(),
            listed: reply,
            is_alive,
        }
    }

    fn ask_for(&self, name: &Name, rtype: Rtype) -> Option<Reply> {
        self.try_ask(name, rtype, RECURSIVE).ok()
    }

    fn ask(&self, name: &Name, manner: Manner) -> Option<Reply> {
        self.try_ask(name, Rtype::A, manner).ok()
    }

    fn try_ask(
        &self,
        name: &Name,
        rtype: Rtype,
        manner: Manner,
    ) -> Result<Reply, crate::client::ClientError> {
        self.questions.count(1);
        self.client.ask_so(name.as_wire(), rtype, Over::Udp, manner)
    }

    /// What it says of itself; nothing where it does not answer even that.
    fn version(&self) -> Option<String> {
        let name: Name = "version.bind".parse().expect("a name");
        let reply = self.try_ask(&name, Rtype::TXT, Manner { chaos: true, ..RECURSIVE }).ok()?;
        let texts = reply.answers.iter().filter_map(|record| match &record.data {
            Data::Txt(strings) => Some(String::from_utf8_lossy(&strings.concat()).into_owned()),
            _ => None,
        });
        Some(texts.collect())
    }

    fn trapped(&self, trap: &Trap, name: &Name, wiring: &Wiring, is_first: bool) -> Check {
        let version =
            if *trap == Trap::Silent { None } else { self.version().filter(|version| !version.is_empty()) };
        let is_here = who::is_here(self.ip());
        let program = who::by_address(self.ip()).or_else(|| version.as_deref().and_then(who::by_version));
        // Nobody listens at an address that is silent.
        let is_guessed = is_here && *trap != Trap::Silent;
        let program = program.or_else(|| is_guessed.then(|| who::by_processes(&who::processes())).flatten());
        let called = match (version, program) {
            (Some(version), Some(program)) => format!(" ({}, says `{version}`)", cure::name(program)),
            (Some(version), None) => format!(" (says `{version}`)"),
            (None, Some(program)) => format!(" ({})", cure::name(program)),
            (None, None) => String::new(),
        };
        let is_unbound = is_here && program == Some(Program::Unbound) && *trap == Trap::Unreached;
        let unbound = if is_unbound { UnboundAsks::here() } else { UnboundAsks::default() };
        let may_refuse = wiring.server.ip().is_loopback() && unbound.localhost != Some(true);
        let told = Told::of(trap, program, may_refuse);
        let what = format!("{}{called}: {} for {name}", self.ip(), told.looks_like);
        let check = match is_first {
            true => Check::bad(Area::Resolver, told.name, what),
            // The C library asks it when the first one is silent.
            false => Check::warn(Area::Resolver, told.name, what),
        };
        let cannot_reach = !is_here && wiring.server.ip().is_loopback();
        let is_far = matches!(
            trap,
            Trap::Unreached | Trap::AsksTheWorld(_) | Trap::BuiltIn | Trap::HasTheZoneAbove(_)
        );
        if cannot_reach && is_far {
            return elsewhere(check, wiring);
        }
        if let Some(block) = is_unbound.then(|| who::unbound_asks_nobody_in(wiring.server.ip())).flatten() {
            return check
                .because(format!(
                    "its configuration has `do-not-query-address: {block}`, and gatepost answers at {}",
                    wiring.server.ip()
                ))
                .cured_by(format!(
                    "unbound: take `do-not-query-address: {block}` out, then `systemctl restart unbound`"
                ));
        }
        let check = match cure::is_without_ipv6(trap, program, wiring, unbound) {
            true => check.because(format!(
                "it gets no answer: its configuration has `do-ip6: no`, and gatepost answers at {} alone",
                wiring.server.ip()
            )),
            false => check.because(told.cause),
        };
        let cures = cure::cures(trap, program, wiring, unbound);
        match (cures.is_empty(), told.otherwise) {
            (true, Some(otherwise)) => check.cured_by(otherwise),
            _ => cures.into_iter().fold(check, Check::cured),
        }
    }
}

/// A resolver on another machine asks its own loopback.
fn elsewhere(check: Check, wiring: &Wiring) -> Check {
    let server = wiring.server;
    check
        .because(format!("this resolver is another machine, and gatepost answers on {server} alone, which only this machine can ask"))
        .cured_by("run a resolver here that knows of gatepost, such as unbound (`gatepost snippet unbound`), and let it be the first in /etc/resolv.conf")
        .cured(Cure {
            how: "let the other machine in: an address of this one in `listen`, and that machine alone in `access`, under [server]; then `gatepost snippet` for it".to_owned(),
            lines: String::new(),
        })
}

/// How long ago a wall clock time was.
fn age(wall: i64) -> Duration {
    let now = crate::store::Now::read().clocks.wall;
    Duration::from_secs(u64::try_from(now - wall).unwrap_or(0))
}
