//! The first station: does the server answer as it must, with what the store says is in service?

use std::time::Duration;

use super::super::locate::EitherArgs;
use super::super::output::{counted, wall_ago};
use super::super::probe::{self, Checked, Found, ask_over};
use super::super::status;
use super::super::view::{ListView, View, ZoneState, ZoneView};
use super::{Questions, TIMEOUT};
use crate::client::{Client, Over};
use crate::doctor::finding::{Area, Check, Cure, Level};
use crate::doctor::who;
use crate::model::{Name, Rtype};
use crate::store::{DECISIONS, Freshness};
use crate::wire::Rcode;

/// What becomes of mail while a list does not answer, where no mail program is told otherwise.
pub(super) const PASSES: &str = "mail passes unchecked";
/// Addresses that are asked: more are not what a resolver beside it asks.
const ADDRESSES: usize = 2;
/// Zones that are asked of them in all for what they list, so that a host with hundreds is asked no more than one with a few.
const ZONES: usize = 4;

/// What was found, and whether a resolver can be expected to get an answer.
pub(super) struct Station {
    pub(super) checks: Vec<Check>,
    pub(super) answers: bool,
    /// Zones that it knows nothing of: no resolver has them from it.
    pub(super) unknown: Vec<Name>,
}

impl Station {
    /// It answers, and with what is in service.
    pub(super) fn is_right(&self) -> bool {
        self.answers && self.checks.iter().all(|check| check.level == Level::Ok)
    }
}

pub(super) fn look(view: &View, from: &EitherArgs, questions: &Questions) -> Station {
    let mut station = Station { checks: Vec::new(), answers: false, unknown: Vec::new() };
    let mut addresses = probe::addresses(&view.config);
    addresses.retain(|at| at.port() != 0);
    let asked = &addresses[..addresses.len().min(ADDRESSES)];
    if asked.is_empty() {
        station.checks.push(no_address(!view.config.server.listen.is_empty()));
    }
    let zones = chosen(view, ZONES / asked.len().max(1));
    let mut answers = !asked.is_empty();
    for at in asked {
        let client = Client { timeout: TIMEOUT, ..Client::new(*at) };
        let udp = ask_over(&client, Over::Udp, &zones);
        questions.count(udp.len() * 4);
        answers &= !udp.iter().any(|checked| matches!(checked.found, Found::Silence(_)));
        let unknown: Vec<Name> =
            udp.iter().filter(|checked| checked.is_unknown()).map(|checked| checked.zone.clone()).collect();
        let knows_some = unknown.len() < udp.len();
        let silent = told(&mut station.checks, udp, view, from);
        if silent {
            continue;
        }
        if *at == asked[0] && knows_some {
            let others = unknown_besides(&client, view, &zones, questions);
            station.checks.extend(not_told_besides(&client, &others));
            station.unknown = unknown.into_iter().chain(others).collect();
        }
        let tcp = ask_over(&client, Over::Tcp, &zones[..zones.len().min(1)]);
        questions.count(tcp.len() * 4);
        told(&mut station.checks, tcp, view, from);
        if let Some(zone) = zones.iter().find(|zone| zone.answering().is_some()) {
            questions.count(1);
            station.checks.extend(letters_and_serial(&client, zone));
        }
    }
    station.answers = answers;
    let asked: Vec<&Name> = zones.iter().map(|zone| zone.origin()).collect();
    station.checks.extend(store(view, &asked));
    station
}

/// Of the zones that are not asked for what they list those that the server does not know: a question each.
fn unknown_besides(client: &Client, view: &View, asked: &[&ZoneView], questions: &Questions) -> Vec<Name> {
    let is_asked = |zone: &ZoneView| asked.iter().any(|asked| asked.origin() == zone.origin());
    // One with an access list of its own may refuse this host.
    let is_open = |zone: &ZoneView| zone.config.access.is_empty();
    let others = view.zones.iter().filter(|zone| !zone.is_subzone() && !is_asked(zone) && is_open(zone));
    let mut unknown = Vec::new();
    for zone in others {
        questions.count(1);
        match client.ask(zone.origin(), Rtype::SOA, Over::Udp) {
            Ok(reply) if reply.rcode == Rcode::REFUSED => unknown.push(zone.origin().clone()),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    unknown
}

fn not_told_besides(client: &Client, unknown: &[Name]) -> Option<Check> {
    let names: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    let what = format!("{} UDP: {}: REFUSED", client.server, names.join(", "));
    (!names.is_empty()).then(|| not_told(what))
}

fn no_address(any: bool) -> Check {
    let what = match any {
        true => "it listens on port 0, which is another port at every start: no resolver can be told",
        false => "it listens on no address: `listen` is empty",
    };
    Check::bad(Area::Server, "no-address", what)
        .because("resolvers ask over UDP, at an address that is the same every day")
        .cured_by("under [server] in the configuration: listen = [\"127.0.0.1:5354\"]")
}

/// Zones that answer come first; one of those that wait for their data is among them, for all of those.
fn chosen(view: &View, most: usize) -> Vec<&ZoneView> {
    let (mut zones, waiting): (Vec<&ZoneView>, Vec<&ZoneView>) =
        view.zones.iter().filter(|zone| !zone.is_subzone()).partition(|zone| zone.answering().is_some());
    if !waiting.is_empty() {
        zones.truncate((most - 1).max(1));
    }
    zones.extend(waiting);
    zones.truncate(most);
    zones
}

/// A check for each address and transport, and one for each zone that is wrong; whether nobody answered.
fn told(checks: &mut Vec<Check>, checked: Vec<Checked>, view: &View, from: &EitherArgs) -> bool {
    let Some(Checked { server, over, .. }) = checked.first() else { return false };
    let way = format!("{server} {over}");
    if let Some(why) = checked.iter().find_map(|checked| match &checked.found {
        Found::Silence(why) => Some(why.clone()),
        _ => None,
    }) {
        checks.push(silent(&way, &why, from));
        return true;
    }
    let count = |is: fn(&Found) -> bool| checked.iter().filter(|checked| is(&checked.found)).count() as u64;
    let right = count(|found| matches!(found, Found::Right));
    if right > 0 {
        let all = view.zones.iter().filter(|zone| !zone.is_subzone()).count() as u64;
        let of = if all > checked.len() as u64 {
            format!(" of {all} (`gatepost status --probe` asks all)")
        } else {
            String::new()
        };
        let zones = counted(right, "zone", "zones");
        checks.push(Check::ok(Area::Server, format!("{way}: test points right, A and TXT, in {zones}{of}")));
    }
    let unknown = checked.iter().filter(|checked| checked.is_unknown()).count();
    for of_zone @ Checked { zone, found, .. } in &checked {
        match found {
            Found::Right | Found::Silence(_) => {}
            // What is wrong with its data is told below, from the data.
            Found::Wrong(_) if of_zone.is_failure() && is_down(view, zone) => {}
            Found::Wrong(wrong) if of_zone.is_unknown() => {
                checks.push(unknown_there(&way, of_zone, wrong, unknown == checked.len()));
            }
            Found::Waits if !is_waiting(view, zone) => {}
            Found::Waits => checks.push(
                Check::warn(Area::Server, "no-data", format!("{way}: {zone}: SERVFAIL, since it has no data yet"))
                    .because(format!("no sync has brought a list of this zone; until then {PASSES}"))
                    .cured_by("fetch the lists: `gatepost sync`; what keeps one away is under `server` below"),
            ),
            Found::Wrong(wrong) => checks.push(
                Check::bad(Area::Server, "wrong-answer", format!("{way}: {zone}: {}", wrong.join("; ")))
                    .because(
                        "another server answers there, this host is refused by `access`, or the zone's data cannot be used",
                    )
                    .cured_by(format!("see who listens: `ss -lnptu sport = :{}`; then `gatepost status`", server.port())),
            ),
        }
    }
    false
}

/// A zone that the server refuses to know.
fn unknown_there(way: &str, of_zone: &Checked, wrong: &[String], all: bool) -> Check {
    let what = format!("{way}: {}: {}", of_zone.zone, wrong.join("; "));
    let reload = reload();
    match all {
        false => not_told(what),
        true => Check::bad(Area::Server, "not-told", what)
            .because("the server has not read the configuration again since it was changed, `access` refuses this host, or another server answers there")
            .cured(Cure { how: format!("{}; where `listen` or `state` has changed, too, restart it", reload.how), ..reload })
            .cured_by(format!("see who listens: `ss -lnptu sport = :{}`, and what `access` says in `gatepost print-config`", of_zone.server.port())),
    }
}

fn not_told(what: String) -> Check {
    Check::bad(Area::Server, "not-told", what)
        .because(
            "the server knows no such zone: it has not read the configuration again since the zone was added",
        )
        .cured(reload())
}

fn reload() -> Cure {
    Cure {
        how: "have it read the configuration again (without systemd: send it SIGHUP)".to_owned(),
        lines: "systemctl reload gatepost".to_owned(),
    }
}

/// A zone without data of which nothing else tells why.
fn is_waiting(view: &View, origin: &Name) -> bool {
    let is_lost = view.generation.is_none() && !view.unreadable.is_empty();
    let zone = view.zones.iter().find(|zone| zone.origin() == origin);
    !is_lost && zone.is_none_or(|zone| view.behind(zone).is_none())
}

/// A zone whose own data say why it does not answer.
fn is_down(view: &View, origin: &Name) -> bool {
    let zone = view.zones.iter().find(|zone| zone.origin() == origin);
    zone.is_some_and(|zone| zone.entry.is_some() && zone.answering().is_none())
}

fn silent(way: &str, why: &str, from: &EitherArgs) -> Check {
    let runs = who::processes().iter().any(|name| name == "gatepost");
    let cause = match runs {
        true => {
            "a process called gatepost runs, but does not answer there: it was started before `listen` was changed, a firewall stands between, or `access` says drop"
        }
        false => "no process called gatepost runs here",
    };
    let check =
        Check::bad(Area::Server, "silent", format!("{way}: nobody answers ({why}); {PASSES}")).because(cause);
    match (runs, from.is_given(), who::has_systemd()) {
        (true, ..) => check.cured_by("see where it listens: `ss -lnptu | grep gatepost`, and compare with `listen` in `gatepost print-config`; `systemctl reload gatepost` has it read that again (a port below 1024 that it has not got wants a restart)"),
        (false, false, true) => check.cured_by("start it: `systemctl enable --now gatepost`; `journalctl -u gatepost` says why it does not stay"),
        _ => check.cured_by("start it: `gatepost serve`, with the same --config (or `gatepost up`)"),
    }
}

/// One question shows both: the start of authority, asked for in capitals.
fn letters_and_serial(client: &Client, zone: &ZoneView) -> Vec<Check> {
    let spelt = zone.origin().as_wire().to_ascii_uppercase();
    let Ok(reply) = client.ask_spelt(&spelt, Rtype::SOA, Over::Udp) else { return Vec::new() };
    let (at, origin) = (client.server, zone.origin());
    let mut checks = Vec::new();
    checks.push(match reply.same_letters {
        true => Check::ok(Area::Server, format!("{at} UDP: gives names back letter for letter (0x20)")),
        false => Check::bad(Area::Server, "letters", format!("{at} UDP: changes the case of letters in names (0x20)"))
            .because("gatepost gives names back as they came, so something stands between; resolvers that mix the case of letters then take no answer")
            .cured_by("let nothing rewrite DNS packets to this address"),
    });
    let served =
        reply.answers.iter().find_map(|record| record.start_of_authority()).map(|(.., serial)| serial);
    let Some((served, entry)) = served.zip(zone.entry.as_ref()) else { return checks };
    checks.push(match served == entry.serial {
        true => Check::ok(Area::Server, format!("{at} UDP: {origin} has serial {served}, which is in service")),
        false => Check::bad(
            Area::Server,
            "behind",
            format!("{at} UDP: {origin} has serial {served}, but {} is in service", entry.serial),
        )
        .because("the server has not taken over what the last sync made, or it serves another state folder")
        .cured_by("its log says why (`journalctl -u gatepost`); a server of another `state` has to be restarted with this one"),
    });
    checks
}

/// Zones that wait for their data and that were not `asked`.
fn waiting(view: &View, asked: &[&Name]) -> Option<Check> {
    let waits = |zone: &&ZoneView| {
        matches!(zone.state, ZoneState::NoData)
            && !asked.contains(&zone.origin())
            && is_waiting(view, zone.origin())
    };
    let zones = view.zones.iter().filter(|zone| !zone.is_subzone()).filter(waits);
    let names: Vec<String> = zones.map(|zone| zone.origin().to_string()).collect();
    let number = counted(names.len() as u64, "more zone has", "more zones have");
    let check = Check::warn(Area::Server, "no-data", format!("{number} no data yet: {}", names.join(", ")))
        .because(format!("no sync has brought a list of it; until then {PASSES}"))
        .cured_by("fetch the lists: `gatepost sync`; then `gatepost status --probe` asks all zones");
    (!names.is_empty()).then_some(check)
}

/// What the store says: generation, zones, lists and their ages.
fn store(view: &View, asked: &[&Name]) -> Vec<Check> {
    let mut checks = Vec::new();
    for why in &view.unreadable {
        let check =
            Check::bad(Area::Server, "damaged", why).because("a file of the state folder cannot be read");
        // What people decided nobody else knows.
        checks.push(match why.contains(DECISIONS) {
            true => check.cured_by("set that line right, or take it out and decide that again (`gatepost allow`, `gatepost block`): a sync cannot"),
            false => check.cured_by("`gatepost sync` makes again what it can"),
        });
    }
    match &view.generation {
        Some(generation) => {
            let (number, made) = (generation.number, wall_ago(&view.now, generation.created));
            checks.push(Check::ok(Area::Server, format!("generation {number} is in service, made {made}")));
        }
        None if view.unreadable.is_empty() => checks.push(
            Check::warn(
                Area::Server,
                "nothing-in-service",
                format!("nothing is in service in {}", view.config.state.display()),
            )
            .because("no sync has made anything yet, or the server has another state folder")
            .cured_by("`gatepost sync`"),
        ),
        None => {}
    }
    checks.extend(view.zones.iter().filter(|zone| !zone.is_subzone()).filter_map(|zone| state(zone, view)));
    checks.extend(waiting(view, asked).filter(|_| view.generation.is_some()));
    checks.extend(lists(view));
    checks
}

fn state(zone: &ZoneView, view: &View) -> Option<Check> {
    let origin = zone.origin();
    let unusable = |why: String| {
        Check::bad(Area::Server, "zone-down", format!("{origin} answers SERVFAIL: {why}; {PASSES}"))
            .because("it has nothing left to answer from")
            .cured_by("`gatepost status` shows its lists, `gatepost sync` fetches them again")
    };
    match &zone.state {
        ZoneState::Expired(_) | ZoneState::Ended | ZoneState::Broken(_) => {
            Some(unusable(zone.trouble().unwrap_or_default()))
        }
        ZoneState::NoData | ZoneState::Answers(_) => view.behind(zone).map(|behind| {
            Check::warn(Area::Server, "zone-behind", format!("{origin} {behind}"))
                .because("what its lists have now is not answered from")
                .cured_by("set that right, then `gatepost sync`, which says what is still in the way")
        }),
    }
}

fn lists(view: &View) -> Vec<Check> {
    let (wrong, right): (Vec<&ListView>, Vec<&ListView>) =
        view.lists.iter().partition(|list| list.is_problem());
    let mut checks = Vec::new();
    let oldest = right.iter().filter_map(|list| list.status.last_confirmed.as_ref());
    let oldest: Option<Duration> = oldest.map(|stamp| view.now.age(stamp)).max();
    if let Some(oldest) = oldest {
        let number = counted(right.len() as u64, "list is", "lists are");
        let age = super::super::output::short_duration(oldest);
        checks.push(Check::ok(
            Area::Server,
            format!("{number} young enough; the oldest was confirmed {age} ago"),
        ));
    }
    for list in wrong {
        let name = &list.config.name;
        let why =
            status::trouble(list, view).unwrap_or_else(|| "there is nothing to answer from yet".to_owned());
        let what = format!("list {name}: {why}");
        let check = match list.freshness {
            Some(Freshness::Hard) => Check::bad(Area::Server, "list-expired", what),
            _ => Check::warn(Area::Server, "list", what),
        };
        checks.push(check.cured_by(format!(
            "`gatepost history {name}` has its attempts, `gatepost sync {name}` makes one more"
        )));
    }
    checks
}
