//! The second station: the same names through the resolvers that mail programs ask, as the C library asks them.
//!
//! Each server of `/etc/resolv.conf` is asked by itself, then the C library. What is judged of their replies is in
//! [`trap`], how it is told in [`told`](crate::doctor::told).

use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

use super::super::view::{View, ZoneView};
use super::{Questions, TIMEOUT};
use crate::client::{Client, Data, Manner, Over, Reply};
use crate::doctor::finding::{Area, Check, Cure, Level};
use crate::doctor::lines::Line;
use crate::doctor::mail::{Elsewhere, Found};
use crate::doctor::resolv_conf::{Server, rotates, servers};
use crate::doctor::sample::Sample;
use crate::doctor::told::Told;
use crate::doctor::trap::{
    InService, Kept, Observed, Trap, Ttls, is_listed, is_passed_on, is_right, judge, says_authority,
    says_whose, ttl,
};
use crate::doctor::who::UnboundAsks;
use crate::doctor::{below, c_library, cure, filters, lines, trap, unbound_forwards, who};
use crate::model::{Name, Rtype, Ttl};
use crate::snippet::wiring::Wiring;
use crate::snippet::{Program, localhost};
use crate::wire::Rcode;
use crate::zone::{Authority, InZoneName};

/// Zones that are asked of the first server, of each of the names that a resolver is told of at least one; of the others.
const ZONES: [usize; 2] = [16, 2];

/// Of one that passes on what it gets as much is asked once more.
const ASKED_AGAIN: usize = 4;
/// How often, and after how long, one that remembers a failure is asked again: unbound forgets after five seconds.
const AGAIN: (usize, Duration) = (3, Duration::from_secs(2));

/// What anybody who resolves names can ask the world for (RFC 2606, section 3); of the root systemd-resolved answers by itself.
const WORLD: &str = "example.com";

const RECURSIVE: Manner = Manner { recursion: true, unchecked: false, signed: false, chaos: false };

/// Where what the C library reads is.
pub(super) struct Paths<'a> {
    pub(super) resolv_conf: &'a Path,
    pub(super) nsswitch: &'a Path,
}

/// What the resolvers say; `unknown` are zones that the server itself knows nothing of.
pub(super) fn look(
    view: &View,
    wiring: &Wiring,
    paths: &Paths<'_>,
    mail: &Found,
    unknown: &[Name],
    questions: &Questions,
) -> Vec<Check> {
    let zones = chosen(view, wiring, unknown);
    let Some(first) = zones.first() else {
        if !unknown.is_empty() {
            return Vec::new();
        }
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
        let is_first = at == 0 || rotates(&text);
        let resolver = Resolver::new(server, questions);
        let asked = resolver.look(&zones[..most], wiring, is_first, mail.keeps_as_told());
        wrong |= asked.iter().any(|check| check.level != Level::Ok);
        checks.extend(asked);
    }
    if zones.len() > ZONES[0] && !wrong {
        let what = format!("{} of {} zones were asked", ZONES[0], zones.len());
        checks.push(Check::ok(Area::Resolver, what));
    }
    let nsswitch = std::fs::read_to_string(paths.nsswitch).unwrap_or_default();
    questions.count(2);
    checks.push(c_library::look(first.zone.origin(), &first.sample, wrong, &nsswitch));
    for program in mail.elsewhere() {
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
    let trap = judge(&resolver.observe(zone)).filter(|trap| !trap.is_harmless_yet())?;
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

fn sample(zone: &ZoneView) -> Option<Sample> {
    Sample::of(zone.origin(), zone.answering()?)
}

/// Of each name that resolvers are told of one zone that lists something, and then what else mail programs ask: a resolver may have been told
/// of one zone alone.
fn chosen<'a>(view: &'a View, wiring: &Wiring, unknown: &[Name]) -> Vec<Asked<'a>> {
    let is_known = |zone: &&ZoneView| !zone.is_subzone() && !unknown.contains(zone.origin());
    let mut zones: Vec<&ZoneView> = view.zones.iter().filter(is_known).collect();
    // What mail programs ask goes before what they do not.
    let is_wired = |origin: &Name| wiring.zones.iter().any(|wired| wired.origin == *origin);
    zones.sort_by_key(|zone| !is_wired(zone.origin()));
    let of_domain = |domain: &Name| {
        let mut zones = zones.iter().filter(|zone| zone.origin().is_in(domain));
        zones.find_map(|zone| Some(Asked { zone, sample: sample(zone)? }))
    };
    let mut asked: Vec<Asked<'_>> = wiring.domains.iter().filter_map(of_domain).collect();
    asked.sort_by_key(|asked| !is_wired(asked.zone.origin()));
    for zone in zones.iter().filter(|zone| is_wired(zone.origin())) {
        if !asked.iter().any(|asked| asked.zone.origin() == zone.origin()) {
            asked.extend(sample(zone).map(|sample| Asked { zone, sample }));
        }
    }
    asked
}

/// A server of `/etc/resolv.conf`.
struct Resolver<'a> {
    client: Client,
    questions: &'a Questions,
    known: OnceCell<Known>,
    /// Questions that were put once more to see what it keeps.
    asked_again: Cell<usize>,
}

/// What is known of it besides.
struct Known {
    /// What it says of itself.
    version: Option<String>,
    program: Option<Program>,
    /// Its address is one of this machine's.
    is_here: bool,
    /// Its configuration, as far as it runs here and that can be read.
    lines: Vec<Line>,
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
        Self {
            client: Client { timeout: TIMEOUT, ..Client::new(at) },
            questions,
            known: OnceCell::new(),
            asked_again: Cell::new(0),
        }
    }

    /// A check for each zone, up to the first that is wrong: what stands in the way of one does so for all.
    /// `is_believed`: somebody keeps what it gives for as long as it says.
    fn look(&self, zones: &[Asked<'_>], wiring: &Wiring, is_first: bool, is_believed: bool) -> Vec<Check> {
        let mut checks = Vec::new();
        for zone in zones {
            let seen = self.observe(zone);
            let has_none = match &seen.listed {
                Ok(reply) => reply.rcode == Rcode::SERVFAIL,
                // It may still wait for an answer to a question of before.
                Err(_) => seen.is_alive,
            };
            let trap = judge(&seen);
            let trap = if has_none { trap.and_then(|trap| self.afresh(trap, zone, wiring)) } else { trap };
            let trap = trap.and_then(|trap| match trap {
                // What it says lasts it does not keep. Who believes it keeps that somebody is not listed: postscreen keeps no listing.
                Trap::Keeps(kept) if self.keeps_nothing(wiring) => {
                    let says = seen.in_service.ttls.unlisted;
                    is_believed.then_some(Trap::Keeps(Kept { listed: false, says, ..kept }))
                }
                // Of two servers that it may ask it asks either, and each has serials of its own.
                Trap::Remembers(_) if is_right(&seen.listed, seen.expected) => {
                    (!self.keeps_nothing(wiring) && self.has_our_serial(zone)).then_some(trap)
                }
                trap => Some(trap),
            });
            match trap {
                None => {
                    let sample = &zone.sample;
                    let but = if sample.unlisted.is_some() { " and 127.0.0.1 is not" } else { "" };
                    let origin = zone.zone.origin();
                    let what = format!("{}: {} is listed in {origin}{but}", self.ip(), sample.subject);
                    checks.push(Check::ok(Area::Resolver, what));
                    if let Some(besides) = self.asks_besides(zone, wiring, is_first) {
                        checks.push(besides);
                        break;
                    }
                }
                Some(trap) => {
                    let besides =
                        (trap == Trap::AsksAnother).then(|| self.asks_besides(zone, wiring, is_first));
                    let trapped = || self.trapped(&trap, &zone.sample, wiring, is_first);
                    checks.push(besides.flatten().unwrap_or_else(trapped));
                    break;
                }
            }
        }
        checks
    }

    /// After SERVFAIL, or nothing: what is in the way, too, of a name that it was not asked for while gatepost may have been away. What it
    /// remembers of that time passes by itself, and is waited for, though not long.
    fn afresh(&self, trap: Trap, zone: &Asked<'_>, wiring: &Wiring) -> Option<Trap> {
        if !trap.may_be_remembered() {
            return Some(trap);
        }
        let of_another = |data| zone.sample.another(zone.zone.origin(), data);
        let Some((name, answers)) = zone.zone.answering().and_then(of_another) else { return Some(trap) };
        let remembers = match is_right(&self.try_ask(&name, Rtype::A, RECURSIVE), &answers) {
            true => Trap::RemembersFailure,
            false if trap == Trap::Unreached && self.is_told(zone, wiring) => Trap::HoldsForDead,
            false => return Some(trap),
        };
        let (times, pause) = AGAIN;
        for _ in 0..times {
            std::thread::sleep(pause);
            let again = judge(&self.observe(zone));
            if !again.as_ref().is_some_and(Trap::may_be_remembered) {
                return again;
            }
        }
        // Only one remembers for so long; else it is a filter for this address alone.
        let is_filter = trap == Trap::RefusesAddress && self.known().program != Some(Program::PdnsRecursor);
        Some(if is_filter { trap } else { remembers })
    }

    /// It is an unbound that asks somebody else by turns, who knows the zone not at all or as another server's.
    fn asks_besides(&self, Asked { zone, .. }: &Asked<'_>, wiring: &Wiring, is_first: bool) -> Option<Check> {
        let Known { program, is_here, lines, .. } = self.known();
        if !is_here || *program != Some(Program::Unbound) {
            return None;
        }
        let (primary, mailbox) = authority(zone.origin(), zone.answering()?.authority())?;
        let is_anothers = |server: &SocketAddr| {
            self.questions.count(1);
            let client = Client { timeout: TIMEOUT, ..Client::new(*server) };
            let reply = client.ask_so(zone.origin().as_wire(), Rtype::SOA, Over::Udp, RECURSIVE);
            // Who is away is not asked for long.
            reply.is_ok_and(|reply| !says_authority(&reply, &primary, &mailbox))
        };
        let besides = unbound_forwards::besides(zone.origin(), wiring, lines);
        let (_, line) = besides.into_iter().find(|(server, _)| is_anothers(server))?;
        let what = format!("{}: unbound asks another server for {}, too, by turns", self.ip(), zone.origin());
        let level = if is_first { Check::bad } else { Check::warn };
        let check = level(Area::Resolver, "resolver-asks-another", what).because(
            "what gatepost alone lists, lets pass or blocks counts for some questions, and not for others",
        );
        Some(check.cured_by(format!(
            "unbound: take `{}` out ({}), then `systemctl restart unbound`",
            line.text, line.place
        )))
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
        let is_lost = |reply: &Option<Reply>| !reply.as_ref().is_some_and(|reply| is_listed(reply, answers));
        let nobody_asked = Manner { recursion: false, ..unchecked };
        let kept = (is_wrong && is_lost(&listed_unchecked)).then(|| self.ask(listed, nobody_asked)).flatten();
        let looks_like_ours = reply.as_ref().is_ok_and(|reply| reply.authoritative && !reply.recursive);
        let is_named = unlisted_checked.as_ref().is_none_or(|denial| says_whose(denial, zone.origin()));
        // What one keeps that passes on what it gets, it says when it is asked again.
        let lasts = |name: &Name, reply: &Reply| match is_passed_on(reply) {
            true if self.asked_again.get() >= ASKED_AGAIN => None,
            true => {
                self.asked_again.set(self.asked_again.get() + 1);
                ttl(&self.ask(name, RECURSIVE)?)
            }
            false => ttl(reply),
        };
        let ttls = Ttls {
            listed: right.then(|| lasts(listed, reply.as_ref().ok()?)).flatten(),
            unlisted: right.then(|| lasts(sample.unlisted.as_ref()?, unlisted_checked.as_ref()?)).flatten(),
        };
        Observed {
            zone: zone.origin(),
            in_service: InService {
                serial: zone.entry.as_ref().map_or(0, |entry| entry.serial),
                since: age(zone.entry.as_ref().map_or(0, |entry| entry.built)),
                ttls: Ttls { listed: sample.ttl, unlisted: negative_ttl(zone) },
            },
            expected: answers,
            unlisted: unlisted_checked,
            unchecked: listed_unchecked,
            unlisted_unchecked: both.then(|| unlisted(unchecked)).flatten(),
            kept,
            ttls,
            signed: right.then(|| self.ask(listed, Manner { signed: true, ..RECURSIVE })).flatten(),
            authority: zone.answering().and_then(|data| authority(zone.origin(), data.authority())),
            soa: (right && !is_named).then(|| self.ask_for(zone.origin(), Rtype::SOA)).flatten(),
            world: (right && (looks_like_ours || who::by_address(self.ip()).is_some()))
                .then(|| self.ask_for(&WORLD.parse().expect("a name"), Rtype::SOA))
                .flatten(),
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

    /// What is known of one that is not silent.
    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let version = self.version().filter(|version| !version.is_empty());
            let is_here = who::is_here(self.ip());
            let program = who::by_address(self.ip()).or_else(|| version.as_deref().and_then(who::by_version));
            let program = program.or_else(|| is_here.then(|| who::by_processes(&who::processes())).flatten());
            let lines = program.filter(|_| is_here).map(lines::of).unwrap_or_default();
            Known { version, program, is_here, lines }
        })
    }

    /// It is an unbound that asks gatepost each time.
    fn keeps_nothing(&self, wiring: &Wiring) -> bool {
        let Known { program, is_here, lines, .. } = self.known();
        *is_here && *program == Some(Program::Unbound) && unbound_forwards::keep_nothing(lines, wiring)
    }

    /// What nobody has asked it for it has from this server, not from one of another machine that serves the same.
    fn has_our_serial(&self, Asked { zone, .. }: &Asked<'_>) -> bool {
        let made_up = format!("doctor-{:x}.{}", crate::store::Now::read().clocks.wall, zone.origin());
        let reply = made_up.parse().ok().and_then(|name| self.ask(&name, RECURSIVE));
        let serial = reply.as_ref().and_then(trap::serial);
        zone.entry.as_ref().is_some_and(|entry| serial.is_none_or(|serial| serial == entry.serial))
    }

    /// It is an unbound that has been told of gatepost, and that nothing that can be read keeps from asking.
    fn is_told(&self, zone: &Asked<'_>, wiring: &Wiring) -> bool {
        let Known { program, is_here, lines, .. } = self.known();
        if !is_here || *program != Some(Program::Unbound) {
            return false;
        }
        let at = wiring.server.ip();
        let asks = UnboundAsks::here();
        let may_ask = (!at.is_loopback() || asks.localhost == Some(true))
            && (at.is_ipv4() || asks.ipv6 == Some(true))
            && who::unbound_asks_nobody_in(at).is_none()
            && !who::unbound_speaks_tls();
        let values = |word: &'static str| lines.iter().filter_map(move |line| line.value_of(word));
        let is_asked = |name: &str| name.parse::<Name>().is_ok_and(|name| zone.zone.origin().is_in(&name));
        let server = format!("{at}@{}", wiring.server.port());
        let mut addresses = values("forward-addr").chain(values("stub-addr"));
        let may_ask = may_ask && asks_from(lines, wiring).is_empty();
        may_ask && values("name").any(is_asked) && addresses.any(|address| address == server)
    }

    fn trapped(&self, trap: &Trap, sample: &Sample, wiring: &Wiring, is_first: bool) -> Check {
        // Nobody listens at an address that is silent.
        let silent = Known {
            version: None,
            program: who::by_address(self.ip()),
            is_here: who::is_here(self.ip()),
            lines: Vec::new(),
        };
        let Known { version, program, is_here, lines } = match *trap == Trap::Silent {
            true => &silent,
            false => self.known(),
        };
        let (program, is_here, name) = (*program, *is_here, &sample.listed);
        let beyond = wiring.beyond.filter(|_| !is_here).and_then(|at| who::as_seen(at, self.ip()));
        let wiring = &match beyond {
            Some(server) => Wiring { server, ..wiring.clone() },
            None => wiring.clone(),
        };
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
        let may_be_denied =
            is_here && program == Some(Program::Unbound) && matches!(trap, Trap::AsksTheWorld(_));
        let denied = may_be_denied.then(|| unbound_forwards::denied(name, wiring, lines)).flatten();
        let called = if denied.is_some() { unbound_forwards::NAME } else { told.name };
        let check = match is_first && !trap.is_harmless_yet() {
            true => Check::bad(Area::Resolver, called, what),
            // The C library asks it when the first one is silent.
            false => Check::warn(Area::Resolver, called, what),
        };
        // Nobody may be able to tell it anything.
        let check = match is_first || is_here || trap.is_harmless_yet() {
            true => check,
            false => check.cured_by(format!("take `nameserver {}` out of /etc/resolv.conf", self.ip())),
        };
        if let Some((cause, cure)) = denied {
            return check.because(cause).cured(cure);
        }
        let is_anothers = matches!(trap, Trap::Unreached | Trap::AsksAnother | Trap::AsksTheWorld(_));
        let is_unbounds = is_here && program == Some(Program::Unbound);
        if let Some((cause, cure)) =
            (is_unbounds && is_anothers).then(|| unbound_forwards::astray(wiring, lines)).flatten()
        {
            return check.because(cause).cured(cure);
        }
        if let Some(own) = program.and_then(|program| filters::own(trap, program, sample, wiring, lines)) {
            return check.because(own.cause).cured(own.cure);
        }
        if *trap == Trap::BuiltIn
            && let Some(refusal) = program.and_then(|program| localhost::refusal(program, wiring))
            && localhost::is_below(name)
        {
            return check.because(refusal).cured_by(below::ANOTHER_NAME);
        }
        let cannot_reach = !is_here && wiring.server.ip().is_loopback();
        let is_far = matches!(
            trap,
            Trap::Unreached
                | Trap::AsksTheWorld(_)
                | Trap::AsksAnother
                | Trap::BuiltIn
                | Trap::HasTheZoneAbove(_)
        );
        if cannot_reach && is_far {
            return elsewhere(check, wiring, is_first);
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
        if is_unbounds && *trap == Trap::Unreached && who::unbound_speaks_tls() {
            return check
                .because("its configuration has `tls-upstream: yes`: it speaks TLS to everybody whom it asks, also to gatepost")
                .cured_by("unbound: take `tls-upstream: yes` out, have `forward-tls-upstream: yes` in the forward-zone of those who do speak it, then `systemctl restart unbound`");
        }
        let check = match cure::is_without_ipv6(trap, program, wiring, unbound) {
            true => check.because(format!(
                "it gets no answer: its configuration has `do-ip6: no`, and gatepost answers at {} alone",
                wiring.server.ip()
            )),
            false => check.because(told.cause),
        };
        // It cannot be told from one that was not told.
        let check = match (beyond, trap) {
            (Some(_), Trap::Unreached) => check.cured_by(format!(
                "gatepost: let it in, with {} in `access`, under [server], where it is not",
                self.ip()
            )),
            _ => check,
        };
        let is_shut_out = is_unbounds && is_anothers;
        let asks_from = if is_shut_out { asks_from(lines, wiring) } else { Vec::new() };
        let check = match asks_from.is_empty() {
            true => check,
            false => check.cured_by(format!(
                "gatepost: let it in at each address that it asks from, {}: in `access`, under [server]",
                asks_from.join(", ")
            )),
        };
        let mut cures = cure::cures(trap, program, wiring, unbound);
        cures.extend(filters::suspects(trap, program, wiring, lines));
        match (cures.is_empty(), told.otherwise) {
            (true, Some(otherwise)) => check.cured_by(otherwise),
            _ => cures.into_iter().fold(check, Check::cured),
        }
    }
}

/// A resolver on another machine asks its own loopback.
fn elsewhere(check: Check, wiring: &Wiring, is_first: bool) -> Check {
    let server = wiring.server;
    let check = check
        .because(format!("this resolver is another machine, and gatepost answers on {server} alone, which only this machine can ask"));
    let check = match is_first {
        true => check.cured_by("run a resolver here that knows of gatepost, such as unbound (`gatepost snippet unbound`), and let it be the first in /etc/resolv.conf"),
        false => check,
    };
    check.cured(Cure {
        how: "let the other machine in: an address of this one in `listen`, and in `access` that machine beside this one, and nobody else, under [server]; then `gatepost snippet` for it".to_owned(),
        lines: String::new(),
    })
}

/// The addresses that unbound asks gatepost from, where they are set, and where: not loopback, which gatepost lets in.
fn asks_from(lines: &[Line], wiring: &Wiring) -> Vec<String> {
    let is_outside = |line: &&Line| {
        let address = line.value_of("outgoing-interface").and_then(|value| value.parse::<IpAddr>().ok());
        address.is_some_and(|address| !address.is_loopback() && address.is_ipv4() == wiring.server.is_ipv4())
    };
    lines.iter().filter(is_outside).map(|line| format!("`{}` ({})", line.text, line.place)).collect()
}

/// Who is responsible for a zone, and by what mailbox.
fn authority(origin: &Name, authority: &Authority) -> Option<(Name, Name)> {
    let name = |part: &InZoneName| Name::from_wire(&part.to_wire(origin));
    Some((name(&authority.mname)?, name(&authority.rname)?))
}

/// As its data say, or else the configuration.
fn negative_ttl(zone: &ZoneView) -> Ttl {
    let configured = &zone.config.soa;
    zone.answering()
        .map_or_else(|| configured.minimum.min(configured.ttl), |zone| zone.authority().negative_ttl)
}

/// How long ago a wall clock time was.
fn age(wall: i64) -> Duration {
    let now = crate::store::Now::read().clocks.wall;
    Duration::from_secs(u64::try_from(now - wall).unwrap_or(0))
}
