//! `gatepost feeds list` and `search`: a line for each.

use std::io::Write;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use super::super::locate::EitherArgs;
use super::super::output::{Align, Cell, DIM, GOOD, NOTHING, Table, json, out, talk};
use super::entries::{Entries, Entry, State};
use crate::config::Kind;
use crate::error::ExitStatus;
use crate::model::Use;

/// List the feeds of the catalogue: use, kind, code, and whether the configuration has them
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only feeds good for this: block, score (too broad to reject on), bounce (for null senders only), allow
    #[arg(long = "use", value_name = "USE", value_parser = use_parser())]
    use_: Option<Use>,
    /// Only feeds of this kind: what gets an address on them
    #[arg(long, value_name = "KIND", value_parser = kind_parser())]
    kind: Option<Kind>,
    /// Only feeds in this state
    #[arg(long, value_name = "STATE", value_enum)]
    only: Option<State>,
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Look for feeds, dead ones too, by name, title, kind, address or zone
///
/// Exit code 1: there is none.
#[derive(Debug, clap::Args)]
pub(super) struct SearchArgs {
    /// Words that must all be there, in any case
    #[arg(value_name = "TEXT", required = true)]
    text: Vec<String>,
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn use_parser() -> impl TypedValueParser<Value = Use> {
    const USES: [(&str, Use); 4] =
        [("block", Use::Block), ("score", Use::Score), ("bounce", Use::Bounce), ("allow", Use::Allow)];
    PossibleValuesParser::new(USES.map(|(word, _)| word)).try_map(|typed| {
        let found = USES.into_iter().find(|(word, _)| *word == typed);
        found.map(|(_, use_)| use_).ok_or("no use")
    })
}

fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::word))
        .try_map(|typed| Kind::ALL.into_iter().find(|kind| kind.word() == typed).ok_or("no kind"))
}

pub(super) fn run(args: &ListArgs) -> anyhow::Result<ExitStatus> {
    let entries = Entries::read(&args.from)?;
    let wanted = |entry: &Entry<'_>| {
        args.use_.is_none_or(|use_| entry.use_() == Some(use_))
            && args.kind.is_none_or(|kind| entry.kind() == Some(kind))
            && args.only.is_none_or(|state| entries.state(*entry) == state)
    };
    let found: Vec<Entry<'_>> = entries.all().into_iter().filter(wanted).collect();
    write(&entries, &found, args.json)?;
    Ok(ExitStatus::Ok)
}

pub(super) fn search(args: &SearchArgs) -> anyhow::Result<ExitStatus> {
    let entries = Entries::read(&args.from)?;
    let words: Vec<String> = args.text.iter().map(|word| word.to_lowercase()).collect();
    let has_all = |entry: &Entry<'_>| {
        let text = entry.words();
        words.iter().all(|word| text.contains(word.as_str()))
    };
    let found: Vec<Entry<'_>> = entries.all().into_iter().filter(has_all).collect();
    write(&entries, &found, args.json)?;
    if found.is_empty() && !args.json {
        talk(format_args!("no feed with `{}`", args.text.join(" ")));
    }
    Ok(ExitStatus::found(found.is_empty()))
}

fn write(entries: &Entries, found: &[Entry<'_>], as_json: bool) -> anyhow::Result<()> {
    let mut out = out();
    if as_json {
        let feeds: Vec<Value> = found.iter().map(|entry| entries.brief(*entry)).collect();
        json(&mut out, &json!({ "feeds": feeds }))?;
        return Ok(());
    }
    let mut table = Table::new([
        ("FEED", Align::Left),
        ("USE", Align::Left),
        ("KIND", Align::Left),
        ("CODE", Align::Left),
        ("STATE", Align::Left),
        ("WHAT IT IS", Align::Left),
    ]);
    for entry in found {
        let state = entries.state(*entry);
        let style = match state {
            State::Enabled => GOOD,
            State::Disabled => clap::builder::styling::Style::new(),
            State::Registered | State::Retired | State::NotOffered => DIM,
        };
        let or_nothing = |text: Option<String>| Cell::from(text.unwrap_or_else(|| NOTHING.to_owned()));
        table.row([
            entry.name().as_str().into(),
            or_nothing(entry.use_().map(|use_| use_.to_string())),
            or_nothing(entry.kind().map(|kind| kind.word().to_owned())),
            or_nothing(entry.code()),
            Cell::new(style, state.word()),
            entry.title().into(),
        ]);
    }
    table.write(&mut out, "")?;
    out.flush()?;
    Ok(())
}
