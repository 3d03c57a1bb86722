//! `gatepost status`: lists, ages, last decisions, what is in service; and the health check.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::locate::EitherArgs;
use super::logs;
use super::output::{
    Align, BAD, Cell, DIM, GOOD, HEAD, NOTHING, Out, Table, WARN, ago, counted, grouped, json, out,
    short_duration, since, styled, utc, wall_ago,
};
use super::probe::{self, Health};
use super::view::{ENDED, ListView, View, When, ZoneState, ZoneView, listed_v4};
use crate::config::shown_url;
use crate::error::ExitStatus;
use crate::feed::schedule::{Asker, Due, due};
use crate::ops::report;
use crate::store::{Freshness, Held, Outcome, PassedOver};
use crate::sync::{AGREEING, AGREEING_OVER};

/// Why nothing is taken from what a list's folder has.
const GIVEN_AWAY: &str = "an allow list no more, or newly one, at other places: what it had is another list's, and it answers from \
                          its first fetch on";
/// How long a server may need to notice a new generation, and a little more.
const TAKE_OVER: Duration = Duration::from_millis(1500);

/// Show lists, their ages and last decisions, and what is in service
///
/// Reads the store; needs no running server. With --probe also asks the running server for the test points of every
/// zone (RFC 5782) over UDP and TCP: the health check. A zone without data yet must answer SERVFAIL to be right; when
/// no zone at all can answer, that is not right.
///
/// Exit codes: 0 all is well, 1 something needs a look, 2 configuration, 3 cannot tell (no store, no reply).
/// With --probe only the answers of the server decide.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost status
  gatepost status --probe                      is the server right? (exit code 0)
  gatepost status --json | jq '.lists[] | select(.problem) | .name'")]
pub(crate) struct Args {
    #[command(flatten)]
    from: EitherArgs,
    /// Ask the running server for the test points of its zones
    #[arg(long)]
    probe: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    let view = View::of(args.from.read()?)?;
    let health = args.probe.then(|| probe_calmly(&view)).transpose()?;
    let mut out = out();
    if args.json {
        json(&mut out, &as_json(&view, health.as_ref()))?;
    } else if let Some(health) = &health {
        health.write(&mut out)?;
    } else {
        write(&view, &mut out)?;
    }
    out.flush()?;
    Ok(match health {
        Some(health) => health.status(),
        None => {
            let zones = view.zones.iter().any(|zone| zone.answering().is_none());
            let lists = view.lists.iter().any(needs_a_look);
            let zones = zones || view.zones.iter().any(|zone| view.behind(zone).is_some());
            ExitStatus::found(zones || lists || !view.unreadable.is_empty())
        }
    })
}

/// Asks once more when something is wrong: the server needs a second to take a new generation over.
fn probe_calmly(view: &View) -> anyhow::Result<Health> {
    let health = probe::ask(view);
    if health.status() != ExitStatus::Found {
        return Ok(health);
    }
    std::thread::sleep(TAKE_OVER);
    Ok(probe::ask(&View::of(view.config.clone())?))
}

fn write(view: &View, out: &mut Out) -> anyhow::Result<()> {
    let state = std::path::absolute(&view.config.state)?;
    writeln!(out, "state folder  {}", state.display())?;
    match &view.generation {
        Some(generation) => {
            let age = wall_ago(&view.now, generation.created);
            writeln!(out, "in service    generation {}, made {age}", generation.number)?;
        }
        None if !view.unreadable.is_empty() => writeln!(out, "in service    cannot be told: see below")?,
        None => writeln!(out, "in service    nothing yet: no sync has put anything in service")?,
    }
    match decided(view) {
        0 => {}
        number => {
            let decisions = counted(number, "local decision", "local decisions");
            writeln!(out, "decided here  {decisions} (gatepost overlay)")?;
        }
    }
    writeln!(out)?;
    zone_table(view).write(out, "")?;
    writeln!(out)?;
    list_table(view).write(out, "")?;
    write_passed_over(view, out)?;
    let troubles: Vec<_> = view.lists.iter().filter_map(|list| Some((list, trouble(list, view)?))).collect();
    let zone_troubles: Vec<_> = view
        .zones
        .iter()
        // What is said of a zone is said of its subzones.
        .filter(|zone| !zone.is_subzone() || matches!(zone.state, ZoneState::Broken(_)))
        .filter_map(|zone| match &zone.state {
            _ if view.behind(zone).is_some() => Some((zone.origin().to_string(), view.behind(zone)?)),
            ZoneState::Broken(unusable) => Some((zone.origin().to_string(), unusable.why.clone())),
            // Something of it is there to answer from, or was once: no zone waits for its first data by this.
            ZoneState::NoData if view.missing(zone).count() < zone.config.lists().count() => {
                Some((zone.origin().to_string(), "nothing is in service, though lists are there".to_owned()))
            }
            ZoneState::Ended => Some((zone.origin().to_string(), ENDED.to_owned())),
            ZoneState::Answers(_) | ZoneState::NoData | ZoneState::Expired(_) => None,
        })
        .collect();
    if troubles.is_empty() && zone_troubles.is_empty() && view.unreadable.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", styled(HEAD, "To look at"))?;
    for why in &view.unreadable {
        writeln!(out, "  {}", styled(BAD, why))?;
    }
    for (origin, why) in zone_troubles {
        writeln!(out, "  {}: {why}", styled(BAD, origin))?;
    }
    for (list, why) in troubles {
        writeln!(out, "  {}: {why}", styled(WARN, &list.config.name))?;
    }
    Ok(())
}

/// Places that another one behind them stands in for, in the order in which they are asked.
fn passed_over(list: &ListView) -> impl Iterator<Item = (String, &PassedOver)> {
    let urls = list.config.source.urls().iter().map(shown_url);
    urls.filter_map(|url| list.status.passed_over.get(&url).map(|place| (url, place)))
}

/// Nothing is missing, but somebody should know.
fn write_passed_over(view: &View, out: &mut Out) -> anyhow::Result<()> {
    let places = view.lists.iter().flat_map(|list| passed_over(list).map(move |place| (list, place)));
    for (at, (list, (url, place))) in places.enumerate() {
        if at == 0 {
            writeln!(out, "\n{}", styled(HEAD, "Passed over, another place gives the list"))?;
        }
        let since = ago(&view.now, Some(&place.since));
        writeln!(out, "  {}: {url}, first {since}: {}", list.config.name, place.what)?;
    }
    Ok(())
}

/// Local decisions in force.
fn decided(view: &View) -> u64 {
    view.decisions.standing(view.now.clocks.wall).count() as u64
}

/// The zones and whether they answer.
pub(crate) fn zone_table(view: &View) -> Table {
    let mut table = Table::new([
        ("ZONE", Align::Left),
        ("LISTED", Align::Right),
        ("SERIAL", Align::Right),
        ("BUILT", Align::Left),
        ("STATE", Align::Left),
    ]);
    for zone in &view.zones {
        let built = zone.entry.as_ref().map(|entry| wall_ago(&view.now, entry.built));
        let serial = zone.entry.as_ref().map(|entry| entry.serial.to_string());
        table.row([
            shown_origin(zone).into(),
            listed(zone).into(),
            serial.unwrap_or_else(|| NOTHING.to_owned()).into(),
            built.unwrap_or_else(|| NOTHING.to_owned()).into(),
            zone_state(zone, view),
        ]);
    }
    table
}

/// Subzones stand under their zone.
pub(crate) fn shown_origin(zone: &ZoneView) -> String {
    let indent = if zone.is_subzone() { "  " } else { "" };
    format!("{indent}{}", zone.origin())
}

/// How much a zone lists, in a word or two.
pub(crate) fn listed(zone: &ZoneView) -> String {
    let Some(answering) = zone.answering() else { return NOTHING.to_owned() };
    let counts = answering.snapshot().counts();
    let v4 = listed_v4(answering);
    let mut others = Vec::new();
    // The test points stand in every zone; one that has nothing else of a kind is not said to have some of it.
    if counts.v6_spans > 1 {
        others.push(format!("{} IPv6", grouped(counts.v6_spans)));
    }
    if counts.names > 1 {
        others.push(counted(counts.names, "name", "names"));
    }
    if v4 > 0 || others.is_empty() {
        others.insert(0, grouped(v4));
    }
    others.join(" + ")
}

pub(crate) fn zone_state(zone: &ZoneView, view: &View) -> Cell {
    let Some(answering) = zone.answering() else {
        let style = if matches!(zone.state, ZoneState::NoData) { WARN } else { BAD };
        let why = match &zone.state {
            ZoneState::Broken(unusable) => unusable.brief().to_owned(),
            _ => zone.trouble().unwrap_or_default(),
        };
        return Cell::new(style, format!("SERVFAIL: {why}"));
    };
    let lists = zone.config.lists().count();
    let missing = view.missing(zone).count();
    let expired = answering.expired().len();
    let mut text = "answers".to_owned();
    if lists == missing {
        let lists = answering.snapshot().lists();
        let what = if lists.is_empty() { "for no list" } else { "from what was there before" };
        text = format!("answers {what}");
    } else if lists > 1 {
        text = format!(
            "answers for {} of {}",
            lists - missing - expired,
            counted(lists as u64, "list", "lists")
        );
    }
    if expired > 0 {
        text = format!("{text}; too old: {}", answering.expired().join(", "));
    }
    Cell::new(if missing + expired == 0 { GOOD } else { WARN }, text)
}

/// The lists, their ages and last decisions.
fn list_table(view: &View) -> Table {
    let mut table = Table::new([
        ("LIST", Align::Left),
        ("USE", Align::Left),
        ("CODE", Align::Left),
        ("ENTRIES", Align::Right),
        ("CONFIRMED", Align::Left),
        ("CHANGED", Align::Left),
        ("NEXT", Align::Left),
        ("LAST", Align::Left),
    ]);
    for list in &view.lists {
        let status = &list.status;
        let confirmed = ago(&view.now, status.last_confirmed.as_ref());
        let style = match list.freshness {
            Some(Freshness::Hard) => BAD,
            Some(Freshness::Soft) => WARN,
            _ => clap::builder::styling::Style::new(),
        };
        table.row([
            list.config.name.to_string().into(),
            list.config.use_.to_string().into(),
            list.config.code.map_or_else(|| NOTHING.to_owned(), |code| code.to_string()).into(),
            status.set.map_or_else(|| NOTHING.to_owned(), |set| grouped(set.entries)).into(),
            Cell::new(style, confirmed),
            ago(&view.now, status.content_since.as_ref()).into(),
            next(list, view).into(),
            last(list),
        ]);
    }
    table
}

fn next(list: &ListView, view: &View) -> String {
    if list.config.is_own() {
        return "every sync".to_owned();
    }
    match due(&list.status, list.config.source.urls(), list.config.floor, Asker::Timer, &view.now) {
        Due::Wait(left, _) => format!("in {}", short_duration(left)),
        Due::Now => "is due".to_owned(),
    }
}

fn last(list: &ListView) -> Cell {
    match list.outcome() {
        None if list.status.given_away => Cell::new(WARN, "another list's"),
        None if list.status.last_attempt.is_some() => Cell::new(WARN, "interrupted"),
        None => Cell::new(DIM, "never asked for"),
        Some(Outcome::Accepted) => Cell::new(GOOD, "taken"),
        Some(Outcome::Trimmed) => Cell::new(GOOD, "taken in part"),
        Some(Outcome::Confirmed) => Cell::new(GOOD, "unchanged"),
        Some(Outcome::Stale) => Cell::new(DIM, "older than this"),
        Some(Outcome::Pinned) => Cell::new(WARN, "pinned"),
        Some(Outcome::Held) => Cell::new(WARN, "held"),
        Some(Outcome::Rejected) => Cell::new(BAD, "refused"),
        Some(Outcome::Failed) => Cell::new(
            BAD,
            match list.status.failures {
                0 | 1 => "failed".to_owned(),
                times => format!("failed {times} times"),
            },
        ),
    }
}

/// Something is wrong with it, or nobody asks for it.
fn needs_a_look(list: &ListView) -> bool {
    list.is_problem() || list.unread.is_some()
}

/// What a person should know of a list, with the reason.
pub(crate) fn trouble(list: &ListView, view: &View) -> Option<String> {
    let mut all = Vec::new();
    if let Some(decision) = &list.status.decision {
        let reasons = report::without_name(list.config.name.as_str(), &decision.reasons).join("; ");
        let when = ago(&view.now, Some(&decision.at));
        match decision.outcome {
            Outcome::Rejected => all.push(format!("refused {when}: {reasons}")),
            Outcome::Failed => all.push(format!("failed {when}: {reasons}")),
            Outcome::Held if list.held.is_none() => all.push(format!("held {when}: {reasons}")),
            Outcome::Held | Outcome::Accepted | Outcome::Trimmed | Outcome::Confirmed => {}
            Outcome::Stale | Outcome::Pinned => {}
        }
    }
    if let Some(held) = &list.held {
        all.push(waits(held, list, view));
    }
    if let (Some(pin), Some(set)) = (&list.status.pinned, list.status.set) {
        let since = ago(&view.now, Some(&pin.since));
        let name = &list.config.name;
        all.push(format!(
            "pinned to {} {since}: nothing is taken until `gatepost unpin {name}`",
            set.hash.short()
        ));
    }
    let confirmed = ago(&view.now, list.status.last_confirmed.as_ref());
    match list.freshness {
        None if list.status.given_away => all.push(GIVEN_AWAY.to_owned()),
        None if all.is_empty() => all.push("there is nothing to answer from yet".to_owned()),
        None => {}
        Some(_) if list.status.has_ended(&view.now) => {
            all.push(ENDED.to_owned());
        }
        Some(Freshness::Fresh) => {}
        Some(Freshness::Soft) => all.push(format!("old: last confirmed {confirmed}")),
        Some(Freshness::Hard) => {
            all.push(format!(
                "too old to answer from: last confirmed {confirmed}; its zones answer without it"
            ));
        }
    }
    if list.unchanged_too_long {
        let changed = ago(&view.now, list.status.content_since.as_ref());
        all.push(format!(
            "confirmed again and again, but its content last changed {changed}: is it still kept?"
        ));
    }
    if let Some((path, age)) = &list.unread {
        all.push(format!(
            "{} was changed {}, and no sync has read it since; `gatepost sync` does",
            path.display(),
            since(*age)
        ));
    }
    (!all.is_empty()).then(|| all.join("; "))
}

/// What waits, since when, why, and what lets it through.
fn waits(held: &Held, list: &ListView, view: &View) -> String {
    let name = &list.config.name;
    let since = ago(&view.now, Some(&held.since));
    let reasons = held.reasons.join("; ");
    let agreement = held.agreeing.first().map(|first| {
        let left = AGREEING_OVER.saturating_sub(view.now.age(&first.at));
        let seen = held.agreeing.len();
        format!(
            "; taken when {AGREEING} fetches over {} agree ({seen} do; {} to go)",
            short_duration(AGREEING_OVER),
            short_duration(left)
        )
    });
    format!(
        "held {since}: {reasons}; `gatepost diff {name}` shows it, `gatepost accept {name} {}` takes it{}",
        held.set.hash.short(),
        agreement.unwrap_or_default()
    )
}

fn as_json(view: &View, health: Option<&Health>) -> Value {
    let lists: Vec<Value> = view.lists.iter().map(|list| list_json(list, view)).collect();
    let zones: Vec<Value> = view.zones.iter().map(|zone| zone_json(zone, view)).collect();
    let generation = view
        .generation
        .as_ref()
        .map(|generation| json!({ "number": generation.number, "created": utc(generation.created) }));
    let mut value = json!({
        "state": view.config.state,
        "generation": generation,
        "unreadable": view.unreadable,
        "local_decisions": decided(view),
        "zones": zones,
        "lists": lists,
    });
    if let Some(health) = health {
        value["probe"] = health.as_json();
    }
    value
}

fn list_json(list: &ListView, view: &View) -> Value {
    let status = &list.status;
    let when = |stamp: &Option<crate::store::Stamp>| stamp.as_ref().map(|stamp| When::new(&view.now, stamp));
    let freshness = match list.freshness {
        None => "none",
        Some(Freshness::Fresh) => "fresh",
        Some(Freshness::Soft) => "soft",
        Some(Freshness::Hard) => "hard",
    };
    json!({
        "name": list.config.name,
        "title": list.config.title,
        "use": list.config.use_,
        "code": list.config.code.map(|code| code.address()),
        "format": list.config.format.name(),
        "entries": status.set.map(|set| set.entries),
        "set": status.set.map(|set| set.hash),
        "outcome": list.outcome(),
        "reasons": status.decision.as_ref().map(|decision| &decision.reasons),
        "decided": status.decision.as_ref().map(|decision| When::new(&view.now, &decision.at)),
        "asked": when(&status.last_attempt),
        "confirmed": when(&status.last_confirmed),
        "changed": when(&status.content_since),
        "held": list.held.as_ref().map(|held| json!({
            "since": When::new(&view.now, &held.since),
            "fetches": held.seen,
            "agreeing": held.agreeing.len(),
            "set": held.set.hash,
            "entries": held.set.entries,
            "reasons": held.reasons,
        })),
        "given_away": status.given_away,
        "pinned": status.pinned.as_ref().map(|pin| When::new(&view.now, &pin.since)),
        "stale": status.stale,
        "passed_over": passed_over(list).map(|(url, place)| json!({
            "url": url,
            "since": When::new(&view.now, &place.since),
            "what": place.what,
        })).collect::<Vec<_>>(),
        "brought": status.brought,
        "failures": status.failures,
        "freshness": freshness,
        "unchanged_too_long": list.unchanged_too_long,
        "problem": needs_a_look(list),
    })
}

fn zone_json(zone: &ZoneView, view: &View) -> Value {
    let answering = zone.answering();
    json!({
        "origin": zone.origin(),
        "base": zone.is_subzone().then_some(&zone.config.origin),
        "answers": answering.is_some(),
        "trouble": zone.trouble(),
        "behind": view.behind(zone),
        "lists": zone.config.members.iter().map(|member| &member.list).collect::<Vec<_>>(),
        "except": zone.config.excepts,
        "missing": view.missing(zone).collect::<Vec<_>>(),
        "expired": answering.map(|zone| zone.expired()),
        "counts": answering.map(|zone| zone.snapshot().counts()),
        "serial": zone.entry.as_ref().map(|entry| entry.serial),
        "built": zone.entry.as_ref().map(|entry| utc(entry.built)),
        "content": zone.entry.as_ref().map(|entry| entry.content),
    })
}
