//! `gatepost history`: what became of a list, fetch by fetch.

use std::io::Write;

use super::failure::Usage;
use super::locate::EitherArgs;
use super::logs;
use super::output::{
    Align, BAD, Cell, DIM, GOOD, NOTHING, Out, Table, WARN, grouped, json, out, styled, utc,
};
use super::sync::slug;
use crate::config::Slug;
use crate::error::ExitStatus;
use crate::store::{Act, Attempt, By, Outcome, Store};

/// Show what became of a list: every fetch, every decision
///
/// Newest first, from its log: when, at whose wish, what became of it, entries, how many came and went, the set that it was
/// read as, and why. The log is never edited; of a log that has grown large the oldest part goes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost history psbl
  gatepost history psbl --all | grep refused
  gatepost history psbl --json | jq '.[] | select(.outcome == \"held\") | .reasons'

Exit codes: 0 shown, 2 usage, 3 cannot tell")]
pub(crate) struct Args {
    /// The list
    #[arg(value_name = "LIST")]
    list: String,
    #[command(flatten)]
    from: EitherArgs,
    /// So many lines at most
    #[arg(long, value_name = "NUMBER", default_value_t = 40, conflicts_with = "all")]
    most: usize,
    /// All that the log has
    #[arg(long)]
    all: bool,
    /// Print all of it as JSON, oldest first
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    let config = args.from.read()?;
    let list: Slug = slug(&args.list)?;
    let attempts = Store::existing(&config.state)?.list(&list).history();
    if attempts.is_empty() && !config.reloadable.lists.contains_key(&list) {
        return Err(Usage(format!(
            "there is no list `{list}`, neither in the configuration nor in the store"
        ))
        .into());
    }
    let mut out = out();
    if args.json {
        json(&mut out, &attempts)?;
    } else {
        write(&attempts, if args.all { usize::MAX } else { args.most }, &mut out)?;
    }
    out.flush()?;
    Ok(ExitStatus::Ok)
}

fn write(attempts: &[Attempt], most: usize, out: &mut Out) -> anyhow::Result<()> {
    if attempts.is_empty() {
        writeln!(out, "it was never asked for")?;
        return Ok(());
    }
    let mut table = Table::new([
        ("WHEN", Align::Left),
        ("BY", Align::Left),
        ("WHAT", Align::Left),
        ("ENTRIES", Align::Right),
        ("CAME", Align::Right),
        ("WENT", Align::Right),
        ("SET", Align::Left),
        ("WHY", Align::Left),
    ]);
    for attempt in attempts.iter().rev().take(most) {
        let number = |number: Option<u64>| number.map_or_else(|| NOTHING.to_owned(), grouped);
        table.row([
            utc(attempt.wall).into(),
            Cell::from(if attempt.by == By::Person { "person" } else { "timer" }),
            what(attempt),
            number(attempt.entries).into(),
            number(attempt.added).into(),
            number(attempt.removed).into(),
            attempt.set.map_or_else(|| NOTHING.to_owned(), |set| set.short()).into(),
            why(attempt).into(),
        ]);
    }
    table.write(out, "")?;
    let more = attempts.len().saturating_sub(most);
    if more > 0 {
        writeln!(out, "{}", styled(DIM, format_args!("and {} more (--all)", grouped(more as u64))))?;
    }
    Ok(())
}

/// What was said of it, and of the places that were asked in vain where another one gave the list.
fn why(attempt: &Attempt) -> String {
    let in_vain = attempt.in_vain.iter().filter(|_| !attempt.outcome.is_problem());
    let in_vain = in_vain.map(|place| format!("{}: {}", place.url, place.what));
    attempt.reasons.iter().cloned().chain(in_vain).collect::<Vec<_>>().join("; ")
}

fn what(attempt: &Attempt) -> Cell {
    match (attempt.act, attempt.outcome) {
        (Some(act @ (Act::Accept | Act::Reread)), outcome) if outcome.is_new() => {
            Cell::new(GOOD, act.to_string())
        }
        (Some(act), _) => Cell::new(WARN, act.to_string()),
        (None, Outcome::Accepted) => Cell::new(GOOD, "taken"),
        (None, Outcome::Trimmed) => Cell::new(GOOD, "taken in part"),
        (None, Outcome::Confirmed) => Cell::from("unchanged"),
        (None, Outcome::Stale) => Cell::new(DIM, "older than this"),
        (None, Outcome::Pinned) => Cell::new(WARN, "pinned"),
        (None, Outcome::Held) => Cell::new(WARN, "held"),
        (None, Outcome::Rejected) => Cell::new(BAD, "refused"),
        (None, Outcome::Failed) => Cell::new(BAD, "failed"),
    }
}
