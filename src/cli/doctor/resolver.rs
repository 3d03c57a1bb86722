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
use super::resolv_conf::{Server, asks_dns, servers};
use super::trap::{InService, Observed, Trap, is_right, judge};
use super::{Questions, TIMEOUT, cure, who};
use crate::client::{Client, Data, Manner, Over, Reply};
use crate::model::{Name, Rtype};

/// Zones that are asked, each for another of the names that a resolver is told of.
const ZONES: usize = 2;
/// How long the C library may take: it tries each server twice, five seconds each.
const PATIENCE: Duration = Duration::from_secs(6);

const RECURSIVE: Manner = Manner { recursion: true, unchecked: false, chaos: false };

/// Where what the C library reads is.
pub(super) struct Paths<'a> {
    pub(super) resolv_conf: &'a Path,
    pub(super) nsswitch: &'a Path,
}

pub(super) fn look(view: &View, wiring: &Wiring, paths: &Paths<'_>, questions: &Questions) -> Vec<Check> {
    let zones = chosen(view, wiring);
    if zones.is_empty() {
        let what = "no zone has data and test points yet, so nobody can be asked for one";
        return vec![
            Check::unknown(Area::Resolver, "nothing-to-ask", what).cured_by("`gatepost sync`, then again"),
        ];
    }
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
        let asked = Resolver::new(server, questions).look(&zones, wiring, at == 0);
        wrong |= asked.iter().any(|check| check.level != super::finding::Level::Ok);
        checks.extend(asked);
    }
    let nsswitch = std::fs::read_to_string(paths.nsswitch).unwrap_or_default();
    questions.count(2);
    checks.push(c_library(zones[0].origin(), wrong, &nsswitch));
    checks
}

/// Of each name that resolvers are told of one zone whose test points are there.
fn chosen<'a>(view: &'a View, wiring: &Wiring) -> Vec<&'a ZoneView> {
    let has_points =
        |zone: &&ZoneView| zone.answering().is_some_and(|zone| zone.snapshot().zone().test_points);
    let mut zones: Vec<&ZoneView> =
        view.zones.iter().filter(|zone| !zone.is_subzone()).filter(has_points).collect();
    // What mail programs ask goes before what they do not.
    zones.sort_by_key(|zone| !wiring.zones.iter().any(|wired| wired.origin == *zone.origin()));
    let of_domain = |domain: &Name| zones.iter().find(|zone| zone.origin().is_in(domain)).copied();
    wiring.domains.iter().filter_map(of_domain).take(ZONES).collect()
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
    fn look(&self, zones: &[&ZoneView], wiring: &Wiring, is_first: bool) -> Vec<Check> {
        let mut checks = Vec::new();
        for zone in zones {
            match self.observe(zone).and_then(|observed| judge(&observed)) {
                None => {
                    let what = format!(
                        "{}: 127.0.0.2 is listed in {} and 127.0.0.1 is not",
                        self.ip(),
                        zone.origin()
                    );
                    checks.push(Check::ok(Area::Resolver, what));
                }
                Some(trap) => {
                    checks.push(self.trapped(&trap, zone.origin(), wiring, is_first));
                    break;
                }
            }
        }
        checks
    }

    fn ip(&self) -> IpAddr {
        self.client.server.ip()
    }

    fn observe<'z>(&self, zone: &'z ZoneView) -> Option<Observed<'z>> {
        let origin = zone.origin();
        let entry = zone.entry.as_ref()?;
        let listed = below("2.0.0.127", origin)?;
        let reply = self.try_ask(&listed, Rtype::A, RECURSIVE);
        let right = is_right(&reply);
        // Who says nothing is asked what it is: that costs nobody a way to gatepost.
        let is_alive = reply.is_ok() || self.version().is_some();
        let unlisted = is_alive.then(|| self.ask(&below("1.0.0.127", origin)?, RECURSIVE)).flatten();
        let unchecked =
            (is_alive && !right).then(|| self.ask(&listed, Manner { unchecked: true, ..RECURSIVE }));
        Some(Observed {
            zone: origin,
            in_service: InService {
                serial: entry.serial,
                since: age(entry.built),
                negative_ttl: Duration::from_secs(zone.config.soa.minimum.into()),
            },
            listed: reply,
            unlisted,
            unchecked: unchecked.flatten(),
            is_alive,
        })
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

    fn trapped(&self, trap: &Trap, zone: &Name, wiring: &Wiring, is_first: bool) -> Check {
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
        let told = Told::of(trap, program, wiring);
        let what = format!("{}{called}: {} for 2.0.0.127.{zone}", self.ip(), told.looks_like);
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
    fn of(trap: &Trap, program: Option<Program>, wiring: &Wiring) -> Self {
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
            Trap::Unreached => {
                let loopback = wiring.server.ip().is_loopback();
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
fn c_library(zone: &Name, wrong: bool, nsswitch: &str) -> Check {
    let name = format!("2.0.0.127.{zone}.");
    let (tell, told) = mpsc::channel();
    let question = name.clone();
    // It knows no time limit of ours. What it still waits for ends with the process.
    thread::spawn(move || {
        let found =
            (question.as_str(), 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect::<Vec<_>>());
        let _ = tell.send(found);
    });
    let found = match told.recv_timeout(PATIENCE) {
        Ok(Ok(found)) if !found.is_empty() && found.iter().all(|ip| *ip == IpAddr::from([127, 0, 0, 2])) => {
            return Check::ok(Area::Resolver, format!("the C library finds 127.0.0.2 listed in {zone}"));
        }
        Ok(Ok(found)) => found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    let check = Check::bad(
        Area::Resolver,
        "c-library",
        format!("the C library does not find 127.0.0.2 listed in {zone}: {found}"),
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

fn below(labels: &str, zone: &Name) -> Option<Name> {
    labels.parse::<Name>().ok()?.below(zone)
}

/// How long ago a wall clock time was.
fn age(wall: i64) -> Duration {
    let now = crate::store::Now::read().clocks.wall;
    Duration::from_secs(u64::try_from(now - wall).unwrap_or(0))
}
