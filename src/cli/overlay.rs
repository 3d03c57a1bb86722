//! `gatepost overlay`: lists local decisions, and takes them back.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use anyhow::anyhow;

use super::as_owner::open_store;
use super::decide::who;
use super::failure::Usage;
use super::locate::EitherArgs;
use super::logs;
use super::lookup::{asked_of, subject};
use super::output::{
    Align, BAD, Cell, GOOD, NOTHING, Out, Table, WARN, json, out, printable, short_duration, styled, talk,
    utc, wall_ago,
};
use crate::config::Config;
use crate::error::ExitStatus;
use crate::model::{Name, Subject};
use crate::store::{Changed, Decisions, LocalDecision, Now, Store, StoreError};
use crate::zone::Ruling;

/// List local decisions, or take them back
///
/// What `gatepost allow` and `gatepost block` have decided and what is still in force, the newest last. Those that have come
/// to their end or were taken back stand in overlay-log.jsonl in the state folder, with who decided what and when.
///
/// Exit codes: 0 all is well, 1 a line of the file cannot be read, 2 usage, 3 there is no such decision.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost overlay
  gatepost overlay remove 192.0.2.7            take back what was decided about it, in force within a second
  gatepost overlay remove 192.0.2.7 --zone bl.example.net
  gatepost overlay --json | jq '.decisions[] | select(.until == null) | .what'")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Take back what was decided about an address, a prefix or a name
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// As it was decided on: 192.0.2.0/24 is not taken back by 192.0.2.7
    #[arg(value_name = "ADDRESS|PREFIX|NAME", required = true)]
    what: Vec<String>,
    /// Only what was decided for this zone; otherwise for any
    #[arg(long, value_name = "ZONE")]
    zone: Option<Name>,
    #[command(flatten)]
    from: EitherArgs,
}

/// For JSON.
#[derive(Debug, Serialize)]
struct Listing {
    decisions: Vec<Shown>,
    /// Lines of the file that cannot be read.
    damaged: Vec<String>,
}

/// A decision that is in force.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "Fields")]
pub(crate) struct Shown(pub(crate) LocalDecision);

/// The same for JSON.
#[derive(Debug, Serialize)]
struct Fields {
    decision: Ruling,
    what: Subject,
    /// `null`: in every zone that lists.
    zone: Option<Name>,
    decided: String,
    /// `null`: until it is taken back.
    until: Option<String>,
    reason: Option<String>,
    by: String,
}

impl From<Shown> for Fields {
    fn from(Shown(decision): Shown) -> Self {
        let LocalDecision { wall, ruling, what, zone, until, reason, by } = decision;
        Self { decision: ruling, what, zone, decided: utc(wall), until: until.map(utc), reason, by }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    match &args.action {
        Some(Action::Remove(_)) if args.list.json => {
            Err(anyhow!(Usage("`--json` says nothing of what is taken back".to_owned())))
        }
        // Whose store it is may be said before or behind `remove`.
        Some(Action::Remove(remove)) if !remove.from.is_given() => take_back(remove, &args.list.from),
        Some(Action::Remove(remove)) => take_back(remove, &remove.from),
        None => list(&args.list),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitStatus> {
    let now = Now::read();
    let decisions = read(&args.from.read()?.state)?;
    let mut out = out();
    if args.json {
        let shown = decisions.standing(now.clocks.wall).cloned().map(Shown).collect();
        let damaged = decisions.damaged.iter().map(ToString::to_string).collect();
        json(&mut out, &Listing { decisions: shown, damaged })?;
    } else {
        let standing: Vec<&LocalDecision> = decisions.standing(now.clocks.wall).collect();
        match &standing[..] {
            [] => writeln!(out, "no local decision is in force")?,
            standing => write_table(standing, &now, "", &mut out)?,
        }
        for line in &decisions.damaged {
            writeln!(out, "{}", styled(BAD, line))?;
        }
    }
    out.flush()?;
    Ok(ExitStatus::found(!decisions.damaged.is_empty()))
}

/// The decisions of the store at `state`; none before the first start.
pub(crate) fn read(state: &Path) -> Result<Decisions, StoreError> {
    match Store::existing(state) {
        Err(StoreError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
            Ok(Decisions::default())
        }
        store => store?.decisions(),
    }
}

/// Writes decisions as a table, each line after `indent`.
pub(crate) fn write_table(
    decisions: &[&LocalDecision],
    now: &Now,
    indent: &str,
    out: &mut Out,
) -> std::io::Result<()> {
    let mut table = Table::new([
        ("WHAT", Align::Left),
        ("DECISION", Align::Left),
        ("ZONE", Align::Left),
        ("DECIDED", Align::Left),
        ("ENDS", Align::Left),
        ("BY", Align::Left),
        ("REASON", Align::Left),
    ]);
    for decision in decisions {
        let ruling = match decision.ruling {
            Ruling::Allow => Cell::new(GOOD, "allow"),
            Ruling::Block => Cell::new(BAD, "block"),
        };
        let left = |until: i64| u64::try_from(until.saturating_sub(now.clocks.wall)).unwrap_or(0);
        let ends = decision.until.map_or_else(
            || "never".to_owned(),
            |until| format!("in {}", short_duration(std::time::Duration::from_secs(left(until)))),
        );
        table.row([
            decision.what.to_string().into(),
            ruling,
            decision.zone.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string).into(),
            wall_ago(now, decision.wall).into(),
            ends.into(),
            printable(&decision.by).into(),
            decision.reason.as_deref().map_or_else(|| NOTHING.to_owned(), printable).into(),
        ]);
    }
    table.write(out, indent)
}

fn take_back(args: &RemoveArgs, from: &EitherArgs) -> anyhow::Result<ExitStatus> {
    let config = from.read_to_write()?;
    let meant: Vec<Subject> =
        args.what.iter().map(|text| what(&config, text)).collect::<anyhow::Result<_>>()?;
    let now = Now::read();
    let is_meant = |decision: &LocalDecision| {
        meant.contains(&decision.what) && (args.zone.is_none() || args.zone == decision.zone)
    };
    let by = who();
    let changed = open_store(&config.state)?.decide()?.remove(is_meant, &by, now.clocks.wall)?;
    for gone in &changed.gone {
        talk(format_args!("taken back: {gone}"));
    }
    tell_troubles(&changed);
    let missing: Vec<&Subject> =
        meant.iter().filter(|what| !changed.gone.iter().any(|gone| gone.what == **what)).collect();
    if missing.is_empty() {
        return Ok(ExitStatus::Ok);
    }
    let there = read(&config.state)?;
    for what in missing {
        let place = args.zone.as_ref().map_or_else(String::new, |zone| format!(" for zone {zone}"));
        talk(format_args!("{} nothing was decided about {what}{place}", styled(BAD, "error:")));
        let near = |decision: &&LocalDecision| decision.what.covers(what) || what.covers(&decision.what);
        there
            .standing(now.clocks.wall)
            .filter(near)
            .for_each(|near| talk(format_args!("  there is: {near}")));
    }
    Ok(ExitStatus::CannotTell)
}

/// As it was decided on.
fn what(config: &Config, text: &str) -> Result<Subject, anyhow::Error> {
    let origins = config.reloadable.zones.iter().map(|zone| &zone.origin);
    Ok(asked_of(origins, subject(text)?))
}

/// What went wrong although it was done.
pub(crate) fn tell_troubles(changed: &Changed) {
    for line in &changed.damaged {
        talk(styled(WARN, format_args!("{line}")));
    }
}
