//! `gatepost feeds show`: everything about one.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::locate::EitherArgs;
use super::super::output::{HEAD, Out, counted, json, octets, out, short_duration, styled, wrapped};
use super::entries::{Entries, Entry};
use crate::config::{Feed, Fetch, Kind, ListConfig, NotOffered, Redistribute, Retired, Slug};
use crate::error::ExitStatus;
use crate::model::Use;

/// Show everything about a feed: terms, floor, ages, code, text, where to get an address off it, how to get access
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The feed's name, or a zone that a dead list answered in
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let entries = Entries::read(&args.from)?;
    let entry = entries.called(&args.name)?;
    let mut out = out();
    if args.json {
        json(&mut out, &as_json(&entries, entry))?;
        return Ok(ExitStatus::Ok);
    }
    writeln!(out, "{}  {}", styled(HEAD, entry.name()), entry.title())?;
    let mut lines = Lines(out);
    match entry {
        Entry::Feed(feed) => of_feed(&mut lines, &entries, feed)?,
        Entry::Embedded(list) => of_embedded(&mut lines, &entries, list)?,
        Entry::Retired(retired) => of_retired(&mut lines, retired)?,
        Entry::NotOffered(list) => of_not_offered(&mut lines, list)?,
    }
    lines.0.flush()?;
    Ok(ExitStatus::Ok)
}

/// Names before what they are.
struct Lines(Out);

impl Lines {
    /// Long texts go on below, indented.
    fn line(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        for (at, line) in wrapped(text, 90).iter().enumerate() {
            writeln!(self.0, "  {:<10}  {line}", if at == 0 { name } else { "" })?;
        }
        Ok(())
    }
}

fn of_feed(lines: &mut Lines, entries: &Entries, feed: &Feed) -> anyhow::Result<()> {
    lines.line("state", &state(entries, Entry::Feed(feed)))?;
    if let Fetch::Registered { access } = &feed.terms.fetch {
        lines.line("access", access)?;
        let name = &feed.name;
        lines.line("", &format!("Then: [list.{name}] feed = \"{name}\" and url = \"…\", your own."))?;
    }
    lines.line("use", &format!("{}: {}", feed.use_, meaning(feed.use_)))?;
    lines.line("kind", &format!("{}: {}", feed.kind.word(), cause(feed.kind)))?;
    lines.line("code", &feed.code.to_string())?;
    lines.line("says", &feed.text)?;
    if let Some(lookup) = &feed.lookup {
        lines.line("get off it", lookup)?;
    }
    lines.line("homepage", &feed.homepage)?;
    for url in &feed.urls {
        lines.line("from", url.as_str())?;
    }
    lines.line("format", feed.format.name())?;
    lines.line("floor", &format!("not fetched more often than every {}", short_duration(feed.floor)))?;
    lines.line("ages", &ages(feed))?;
    lines.line("size", &size(feed))?;
    lines.line("terms", &feed.terms.text)?;
    lines.line("", redistribution(feed.terms.redistribute))?;
    if feed.is_for_up() {
        lines.line("up", "`gatepost up` serves it")?;
    }
    Ok(())
}

fn of_embedded(lines: &mut Lines, entries: &Entries, list: &ListConfig) -> anyhow::Result<()> {
    let entry = Entry::Embedded(list);
    lines.line("state", &state(entries, entry))?;
    lines.line("use", &format!("{}: {}", list.use_, meaning(list.use_)))?;
    lines.line("kind", &format!("{}: {}", Kind::Reserved.word(), cause(Kind::Reserved)))?;
    lines.line("code", &entry.code().unwrap_or_default())?;
    lines.line("says", &list.text.to_string())?;
    lines.line("from", "part of the program: needs no network")
}

fn of_retired(lines: &mut Lines, retired: &Retired) -> anyhow::Result<()> {
    lines.line("state", &format!("retired since {}: {}", retired.date, retired.reason))?;
    if !retired.zones.is_empty() {
        let zones: Vec<String> = retired.zones.iter().map(ToString::to_string).collect();
        lines.line("zones", &format!("{} and all below: ask none of them", zones.join(", ")))?;
    }
    let instead: Vec<&str> = retired.instead.iter().map(Slug::as_str).collect();
    lines.line("instead", &instead.join(", "))
}

fn of_not_offered(lines: &mut Lines, list: &NotOffered) -> anyhow::Result<()> {
    lines.line("state", &format!("not offered: {}", list.reason))?;
    let instead: Vec<&str> = list.instead.iter().map(Slug::as_str).collect();
    lines.line("instead", &instead.join(", "))
}

fn state(entries: &Entries, entry: Entry<'_>) -> String {
    let lists: Vec<String> = entries
        .lists(entry)
        .map(|list| match &entries.zones(&list.name)[..] {
            [] => format!("list {}, in no zone", list.name),
            zones => format!("list {}, in {}", list.name, zones.join(", ")),
        })
        .collect();
    match &lists[..] {
        [] => entries.state(entry).word().to_owned(),
        lists => format!("enabled: {}", lists.join("; ")),
    }
}

fn meaning(use_: Use) -> &'static str {
    match use_ {
        Use::Block => "good enough to reject mail on alone",
        Use::Score => "too broad or too restless to reject on",
        Use::Bounce => "for mail with a null sender only",
        Use::Allow => "takes addresses out of other lists",
    }
}

fn cause(kind: Kind) -> &'static str {
    match kind {
        Kind::Abuse => "the address itself sent abuse",
        Kind::Exploited => "the machine is in somebody else's hands",
        Kind::Policy => "no mail should come from there by its provider's or the list's rules",
        Kind::Network => "the whole network is in the hands of abusers",
        Kind::Neighbourhood => "other addresses around it sent abuse",
        Kind::Backscatter => "the address sent bounces for mail that it never got",
        Kind::Anonymiser => "an anonymising relay: tells nothing of who is behind it",
        Kind::Reserved => "space that cannot send mail at all",
        Kind::Names => "names of domains and hosts, instead of addresses",
        Kind::Welcome => "well-behaved senders",
    }
}

fn redistribution(allowed: Redistribute) -> &'static str {
    match allowed {
        Redistribute::Never => "Copies may not be passed on.",
        Redistribute::Internal => "Copies are for machines of one organisation.",
        Redistribute::Public => "Copies may be passed on.",
    }
}

fn ages(feed: &Feed) -> String {
    let parts = [
        (feed.ages.soft, "reported when not confirmed for"),
        (feed.ages.hard, if feed.use_ == Use::Allow { "and again after" } else { "lists no more after" }),
        (feed.ages.unchanged, "reported when unchanged for"),
    ];
    let said = parts.iter().filter_map(|(age, words)| Some(format!("{words} {}", short_duration((*age)?))));
    said.collect::<Vec<_>>().join(", ")
}

fn size(feed: &Feed) -> String {
    let fewest = match feed.limits.allow_empty {
        true => "may be empty".to_owned(),
        false => format!("at least {}", counted(feed.limits.min_entries, "entry", "entries")),
    };
    format!("{fewest}, {} at most", octets(feed.max_size))
}

fn as_json(entries: &Entries, entry: Entry<'_>) -> Value {
    let mut value = entries.brief(entry);
    let more = match entry {
        Entry::Feed(feed) => feed_json(feed),
        Entry::Embedded(list) => json!({ "text": list.text.to_string() }),
        Entry::Retired(retired) => json!({
            "retired": retired.date,
            "reason": retired.reason,
            "zones": retired.zones.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "also": retired.also,
            "instead": retired.instead,
        }),
        Entry::NotOffered(list) => {
            json!({ "reason": list.reason, "also": list.also, "instead": list.instead })
        }
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

fn feed_json(feed: &Feed) -> Value {
    let seconds = |age: Option<Duration>| age.map(|age| age.as_secs());
    let (fetch, access) = match &feed.terms.fetch {
        Fetch::Anyone => ("anyone", None),
        Fetch::Registered { access } => ("registered", Some(access)),
    };
    json!({
        "urls": feed.urls.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "format": feed.format.name(),
        "text": feed.text,
        "lookup": feed.lookup,
        "homepage": feed.homepage,
        "floor_seconds": feed.floor.as_secs(),
        "soft_age_seconds": seconds(feed.ages.soft),
        "hard_age_seconds": seconds(feed.ages.hard),
        "unchanged_age_seconds": seconds(feed.ages.unchanged),
        "min_entries": feed.limits.min_entries,
        "allow_empty": feed.limits.allow_empty,
        "max_size": feed.max_size,
        "up": feed.is_for_up(),
        "terms": {
            "text": feed.terms.text,
            "fetch": fetch,
            "access": access,
            "redistribute": feed.terms.redistribute.word(),
        },
    })
}
