//! The second station: the same names through the resolvers that mail programs ask, as the C library asks them.
//!
//! Each server of `/etc/resolv.conf` is asked by itself, then the C library. What is judged of their replies is in
//! [`trap`](super::trap).

use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::super::snippet::Program;
use super::super::snippet::wiring::Wiring;
use super::super::view::{View, ZoneView};
use super::finding::{Area, Check, Cure};
use super::mail::Elsewhere;
use super::resolv_conf::{Server, asks_dns, servers};
use super::sample::Sample;
use super::trap::{InService, Observed, Trap, is_right, judge};
use super::{Questions, TIMEOUT, cure, who};
use crate::client::{Client, Data, Manner, Over, Reply};
use crate::model::{Name, Rtype};
use crate::wire::Rcode;

/// Zones that are asked of the first server, each for another of the names that a resolver is told of; of the others.
const ZONES: [usize; 2] = [16, 2];
/// How long the C library may take: it tries each server twice, five seconds each.
const PATIENCE: Duration = Duration::from_secs(6);

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
    checks.push(c_library(first, wrong, &nsswitch));
    for program in elsewhere {
        checks.extend(of_program(program, first, questions));
    }
    checks
}

/// What a mail program gets that asks others than all the rest here.
fn of_program(program: &Elsewhere, zone: &Asked<'_>, questions: &Questions) -> Option<Check> {
    // The C library, and what does as it does, asks the others only when the first is silent.
    let server = program.servers.first()?;
    let trap = judge(&Resolver::new(&(*server, None), questions).observe(zone))?;
    let told = Told::of(&trap, None, false);
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
        let told = Told::of(trap, program, wiring.server.ip().is_loopback());
        let what = format!("{}{called}: {} for {name}", self.ip(), told.looks_like);
        let check = match is_first {
            true => Check::bad(Area::Resolver, told.name, what),
            // The C library asks it when the first one is silent.
            false => Check::warn(Area::Resolver, told.name, what),
        };
        let cannot_reach = !is_here && wiring.server.ip().is_loopback();
        let is_far = matches!(trap, Trap::Unreached | Trap::AsksTheWorld(_) | Trap::BuiltIn);
        if cannot_reach && is_far {
            return elsewhere(check, wiring);
        }
        let check = check.because(told.cause);
        let cures = cure::cures(trap, program, wiring);
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

/// How a trap is told.
struct Told {
    name: &'static str,
    looks_like: String,
    cause: String,
    /// What to do where no line helps.
    otherwise: Option<String>,
}

impl Told {
    /// `loopback`: gatepost answers there.
    fn of(trap: &Trap, program: Option<Program>, loopback: bool) -> Self {
        let told = |name, looks_like: &str, cause: &str| Self {
            name,
            looks_like: looks_like.to_owned(),
            cause: cause.to_owned(),
            otherwise: None,
        };
        let or = |told: Self, otherwise: &str| Self { otherwise: Some(otherwise.to_owned()), ..told };
        match trap {
            Trap::Silent => or(
                told(
                    "resolver-silent",
                    "no reply",
                    "nobody answers at this address of /etc/resolv.conf; every lookup waits for it",
                ),
                "start it, or take its line out of /etc/resolv.conf",
            ),
            Trap::Validates => told(
                "resolver-validates",
                "SERVFAIL, but the answer when signatures need not be right (CD)",
                "it validates, and nobody signs the zone: it must be told not to look for signatures there",
            ),
            Trap::ValidatesAndFilters => told(
                "resolver-validates",
                "SERVFAIL, and an empty answer or an error when signatures need not be right (CD)",
                "two things at once: it validates, and nobody signs the zone; and a filter against rebinding takes addresses in 127.0.0.0/8 for an attack",
            ),
            Trap::Unreached => {
                let cause = match program {
                    Some(Program::Unbound) if loopback => {
                        "it gets no answer: unbound asks nobody on loopback unless told to, or it has not been told of gatepost"
                    }
                    _ => "it gets no answer: it has not been told of gatepost, or cannot reach it",
                };
                told("resolver-unreached", "SERVFAIL", cause)
            }
            Trap::RefusesAddress => told(
                "resolver-refuses-address",
                "SERVFAIL or REFUSED, though it gets the answers",
                "a filter against rebinding: it takes answers in 127.0.0.0/8 for an attack",
            ),
            Trap::EmptiesAnswer => told(
                "resolver-empties-answer",
                "an empty answer, as if not listed",
                "a filter against rebinding: it takes addresses in 127.0.0.0/8 out of answers",
            ),
            Trap::BuiltIn => told(
                "resolver-built-in",
                "NXDOMAIN of its own",
                "it answers for this name by itself and asks nobody: a built-in local zone, or a blocking list of its own",
            ),
            Trap::AsksTheWorld(above) => told(
                "resolver-asks-the-world",
                &format!("NXDOMAIN from `{above}`"),
                "it asks the world, which has no such zone: it has not been told of gatepost",
            ),
            Trap::Minimises => or(
                told(
                    "resolver-minimises",
                    "NXDOMAIN, though gatepost lists it",
                    "it asks for parts of the name first, and something that is not gatepost says that there is nothing below them",
                ),
                "let it forward the zone instead of minimising: `gatepost snippet`",
            ),
            Trap::Remembers(serial) => or(
                told(
                    "resolver-remembers",
                    &format!("what serial {serial} said"),
                    "it remembers what is not listed for longer than the zone allows (unbound: cache-min-ttl, serve-expired; BIND: min-ncache-ttl; dnsmasq: neg-ttl), so new listings come late",
                ),
                "restart it, and take such a setting out",
            ),
            Trap::RefusesClient => or(
                told(
                    "resolver-refuses",
                    "REFUSED",
                    "it does not answer this host, or is an authoritative server that has no such zone",
                ),
                "let it answer this host (unbound: access-control; BIND: allow-recursion), or name another in /etc/resolv.conf",
            ),
            Trap::Invents(data) => {
                let data: Vec<String> = data.iter().map(ToString::to_string).collect();
                or(
                    told(
                        "resolver-invents",
                        &format!("the answer {}", data.join(", ")),
                        "it, or something before it, answers instead of gatepost; without a value filter that rejects all mail",
                    ),
                    "take another resolver; `gatepost snippet unbound` has one ask gatepost",
                )
            }
            Trap::IsNoResolver => or(
                told(
                    "resolver-is-gatepost",
                    "the answer, from an authoritative server",
                    "/etc/resolv.conf names a server that resolves nothing else: all other names are refused",
                ),
                "put a resolver in between: `gatepost snippet unbound`",
            ),
        }
    }
}

/// The C library, as mail programs ask it.
fn c_library(asked: &Asked<'_>, wrong: bool, nsswitch: &str) -> Check {
    let (zone, Sample { subject, listed, answers, .. }) = (asked.zone.origin(), &asked.sample);
    let name = format!("{listed}.");
    let (tell, told) = mpsc::channel();
    let question = name.clone();
    // It knows no time limit of ours. What it still waits for ends with the process.
    thread::spawn(move || {
        let found =
            (question.as_str(), 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect::<Vec<_>>());
        let _ = tell.send(found);
    });
    let found = match told.recv_timeout(PATIENCE) {
        Ok(Ok(found))
            if !found.is_empty() && found.iter().all(|ip| answers.iter().any(|a| IpAddr::V4(*a) == *ip)) =>
        {
            return Check::ok(Area::Resolver, format!("the C library finds {subject} listed in {zone}"));
        }
        Ok(Ok(found)) => found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    let check = Check::bad(
        Area::Resolver,
        "c-library",
        format!("the C library does not find {subject} listed in {zone}: {found}"),
    );
    if wrong {
        return check.because("it asks the servers above").cured_by("set those right first");
    }
    match asks_dns(nsswitch) {
        true => check
            .because("the servers answer rightly, so something stands before them: /etc/hosts, a module of /etc/nsswitch.conf, or a cache such as nscd")
            .cured_by(format!("`getent hosts {name}` asks the same; take out of the line `hosts:` in /etc/nsswitch.conf what stands before dns")),
        false => check
            .because("the line `hosts:` in /etc/nsswitch.conf does not have it ask DNS")
            .cured(Cure { how: "in /etc/nsswitch.conf".to_owned(), lines: "hosts: files dns".to_owned() }),
    }
}

/// How long ago a wall clock time was.
fn age(wall: i64) -> Duration {
    let now = crate::store::Now::read().clocks.wall;
    Duration::from_secs(u64::try_from(now - wall).unwrap_or(0))
}
