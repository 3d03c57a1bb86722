//! Tells what was found, for people.

use std::collections::BTreeMap;
use std::io::Write;

use super::super::output::{
    Align, BAD, Cell, DIM, GOOD, HEAD, NOTHING, Out, Table, WARN, addresses, counted, short_duration, since,
    styled, wrapped,
};
use super::super::overlay::{self, Shown};
use super::super::records;
use super::super::view::When;
use super::find::{Found, InZone, Inside};
use super::history::{Happened, InHistory};
use super::lists::InList;
use super::since::ShownSince;
use crate::store::Now;
use crate::zone::Ruling;

/// Writes it.
pub(crate) fn write(found: &Found, now: &Now, out: &mut Out) -> anyhow::Result<()> {
    let zones = counted(found.asked as u64, "zone", "zones");
    let listing = found.zones.iter().filter(|zone| !zone.allow).count();
    let subject = &found.subject;
    let is_prefix = found.zones.iter().any(|zone| zone.inside.is_some());
    if listing > 0 {
        let what = if is_prefix { "has listed addresses in it" } else { "is listed" };
        writeln!(out, "{}", styled(BAD, format_args!("{subject} {what}, in {listing} of {zones}")))?;
    } else if !found.unknown.is_empty() || found.asked == 0 {
        writeln!(out, "{}", styled(WARN, format_args!("{subject}: cannot tell")))?;
    } else {
        writeln!(out, "{}", styled(GOOD, format_args!("{subject} is not listed ({zones} asked)")))?;
    }
    for zone in &found.zones {
        writeln!(out)?;
        write_zone(zone, out)?;
    }
    if !found.decisions.is_empty() {
        writeln!(out, "\n{}", styled(HEAD, "Local decisions (gatepost overlay)"))?;
        let decisions: Vec<_> = found.decisions.iter().map(|Shown(decision)| decision).collect();
        overlay::write_table(&decisions, now, "  ", out)?;
    }
    if !found.lists.is_empty() {
        writeln!(out, "\n{}", styled(HEAD, "Lists that have it"))?;
        write_lists(found, out)?;
    }
    for why in &found.unreadable {
        writeln!(out, "  {}", styled(WARN, format_args!("a list cannot be looked into: {why}")))?;
    }
    if let Some(history) = &found.history {
        writeln!(out, "\n{}", styled(HEAD, "History"))?;
        write_history(history, out)?;
    }
    write_unknown(found, out)
}

fn write_zone(zone: &InZone, out: &mut Out) -> anyhow::Result<()> {
    let mark = if zone.allow { styled(GOOD, " (allows)") } else { String::new() };
    write!(out, "{}{mark}", styled(HEAD, &zone.zone))?;
    if let Some(inside) = &zone.inside {
        return write_inside(inside, out);
    }
    let ttl = zone.records.iter().map(|set| set.ttl).min();
    let ttl = ttl.map_or_else(String::new, |ttl| format!(" for {ttl} s"));
    writeln!(out, "  {}{ttl}, by {}", records::values(&zone.records), zone.lists.join(", "))?;
    for text in records::texts(&zone.records) {
        writeln!(out, "  \"{text}\"")?;
    }
    Ok(())
}

fn write_inside(inside: &Inside, out: &mut Out) -> anyhow::Result<()> {
    let spans = counted(inside.spans, "span", "spans");
    writeln!(out, "  {} in {spans}; {}", addresses(inside.addresses), by_list(&inside.by_list))?;
    let mut table = Table::new([("LISTED", Align::Left), ("ANSWER", Align::Left), ("BY", Align::Left)]);
    for shown in &inside.shown {
        table.row([shown.span.clone().into(), shown.values.clone().into(), shown.lists.join(", ").into()]);
    }
    table.write(out, "  ")?;
    let more = inside.spans.saturating_sub(inside.shown.len() as u64);
    if more > 0 {
        writeln!(out, "  and {} more (--most NUMBER)", counted(more, "span", "spans"))?;
    }
    Ok(())
}

fn by_list(counts: &BTreeMap<String, u128>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|a, b| b.1.cmp(a.1));
    let each = counts.iter().map(|(list, count)| format!("{list}: {}", addresses(**count)));
    each.collect::<Vec<_>>().join(", ")
}

fn write_lists(found: &Found, out: &mut Out) -> anyhow::Result<()> {
    let mut table = Table::new([
        ("LIST", Align::Left),
        ("USE", Align::Left),
        ("ENTRY", Align::Left),
        ("SINCE", Align::Left),
        ("CONFIRMED", Align::Left),
        ("CONTENT FROM", Align::Left),
        ("SAYS", Align::Left),
    ]);
    for list in &found.lists {
        for (at, entry) in list.entries.iter().enumerate() {
            let mark = if entry.exclude { "!" } else { "" };
            let first = |text: String| if at == 0 { text } else { String::new() };
            table.row([
                first(list.list.clone()).into(),
                first(list.use_.clone()).into(),
                format!("{mark}{}", entry.entry).into(),
                there_since(entry.since.as_ref()).into(),
                first(age(list.confirmed.as_ref())).into(),
                first(age(list.changed.as_ref())).into(),
                Cell::new(DIM, entry.says()),
            ]);
        }
    }
    table.write(out, "  ")?;
    for list in &found.lists {
        for note in notes(list, found) {
            writeln!(out, "  {}: {note}", list.list)?;
        }
    }
    Ok(())
}

fn write_history(history: &[InHistory], out: &mut Out) -> anyhow::Result<()> {
    if history.is_empty() {
        writeln!(out, "  no list has had it, as far back as that is kept")?;
    }
    let mut table = Table::new([
        ("LIST", Align::Left),
        ("WHEN", Align::Left),
        ("", Align::Left),
        ("ENTRY", Align::Left),
        ("FROM", Align::Left),
        ("SAYS", Align::Left),
    ]);
    for list in history {
        for (at, event) in list.events.iter().enumerate() {
            let what = match event.event {
                Happened::There => "was there already",
                Happened::Came => "came",
                Happened::Changed => "says something else",
                Happened::Went => "went",
            };
            let after = event.after.as_ref().map(|after| format!(" (after {})", after.at()));
            let mark = if event.entry.exclude { "!" } else { "" };
            let from = event.fetch.as_ref().and_then(|fetch| fetch.url.clone());
            table.row([
                if at == 0 { list.list.clone() } else { String::new() }.into(),
                event.when.at().to_owned().into(),
                format!("{what}{}", after.unwrap_or_default()).into(),
                format!("{mark}{}", event.entry.entry).into(),
                from.unwrap_or_else(|| NOTHING.to_owned()).into(),
                Cell::new(DIM, event.entry.says()),
            ]);
        }
    }
    Ok(table.write(out, "  ")?)
}

fn age(when: Option<&When>) -> String {
    when.map_or_else(|| NOTHING.to_owned(), |when| since(when.age()))
}

/// What came before is not always known.
fn there_since(since: Option<&ShownSince>) -> String {
    since.map_or_else(
        || NOTHING.to_owned(),
        |known| {
            if known.at_least {
                format!("at least {}", short_duration(known.when.age()))
            } else {
                age(Some(&known.when))
            }
        },
    )
}

/// Which fetch brought an entry.
fn brought_by(since: &ShownSince) -> Option<String> {
    let fetch = since.fetch.as_ref()?;
    let from = fetch.url.as_ref().map_or_else(String::new, |url| format!(" from {url}"));
    let what = if since.at_least { "there in the first version that is known, of" } else { "came" };
    Some(format!("{what} {}{from} (set {})", fetch.at, fetch.set.short()))
}

/// What else there is to know of a list that has it.
fn notes(list: &InList, found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    if list.more > 0 {
        notes.push(format!("and {} more", counted(list.more, "entry", "entries")));
    }
    if list.expired {
        notes.push(styled(WARN, "too old: no zone answers for it"));
    }
    if !list.excepts.is_empty() {
        let excepts: Vec<String> = list.excepts.iter().map(ToString::to_string).collect();
        notes.push(styled(GOOD, format_args!("takes it out of {}", excepts.join(", "))));
    }
    if let Some(why) = why_silent(list, found) {
        notes.push(styled(WARN, why));
    }
    // Of a prefix each entry has its own; they are in the JSON.
    if let [entry] = &list.entries[..] {
        notes.extend(entry.since.as_ref().and_then(brought_by));
    }
    if let Some(lookup) = &list.lookup {
        notes.push(format!("look it up or get it off: {lookup}"));
    }
    notes
}

/// Why no zone says what a list has.
fn why_silent(list: &InList, found: &Found) -> Option<String> {
    let says = found.zones.iter().any(|zone| zone.lists.contains(&list.list));
    if says || list.expired || !list.excepts.is_empty() || list.entries.iter().all(|entry| entry.exclude) {
        return None;
    }
    if list.zones.is_empty() {
        return Some("has it, but is in no zone".to_owned());
    }
    if found.decisions.iter().any(|Shown(decision)| decision.ruling == Ruling::Allow) {
        return Some("has it, but a local decision lets it pass".to_owned());
    }
    let by: Vec<&str> = found
        .lists
        .iter()
        .filter(|other| other.excepts.iter().any(|zone| list.zones.contains(zone)))
        .map(|other| other.list.as_str())
        .collect();
    if !by.is_empty() {
        return Some(format!("has it, but {} takes it out", by.join(", ")));
    }
    let waits = found.unknown.iter().any(|unknown| list.zones.contains(&unknown.zone));
    let why =
        if waits { "its zone cannot tell" } else { "an exclusion of its own or the never-list takes it out" };
    Some(format!("has it, but no zone says so: {why}"))
}

fn write_unknown(found: &Found, out: &mut Out) -> anyhow::Result<()> {
    if found.asked == 0 {
        writeln!(out, "\nThere is no zone in the configuration.")?;
    }
    if found.unknown.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", styled(HEAD, "Zones that cannot tell"))?;
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for unknown in &found.unknown {
        by_reason.entry(&unknown.why).or_default().push(unknown.zone.to_string());
    }
    for (why, zones) in by_reason {
        for line in wrapped(&format!("{why}: {}", zones.join(", ")), 96) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}
