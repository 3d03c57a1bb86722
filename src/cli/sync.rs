//! `gatepost sync`: fetches what is due and puts it in service.

use std::io::{self, IsTerminal};

use tracing::Level;

use super::as_owner::open_store;
use super::failure::Usage;
use super::locate::EitherArgs;
use super::logs::LogArgs;
use super::output::{counted, json, out, short_duration, talk};
use super::progress::Progress;
use crate::config::Slug;
use crate::error::ExitStatus;
use crate::ops::{EventLines, Report, be_called, enough_open_files, leave_to_parent, with_parent};
use crate::server::give_way;
use crate::store::{Lock, Outcome, Wait};
use crate::sync::{self, Options, Summary};

/// Fetch the lists that are due, check and compile them, and put them in service
///
/// For a timer (every 15 minutes, say): what is really fetched is decided by each publisher's least time between two
/// fetches, which holds over restarts. A list that fails, is held or refused keeps its last good version; the others
/// go on. A running server takes the result over within a second.
///
/// Close to the hour and half hour, when everybody asks, it waits some minutes before it fetches; with LIST it does not.
///
/// --force asks for a list before its publisher's least time between two fetches is over. Publishers block addresses that
/// come too often, with all their lists, and say nothing: it is for the one time after a mistake of your own.
///
/// Without LIST: when another sync is running, says so and exits with 0. With LIST: waits for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost sync --config gatepost.toml         all that are due
  gatepost sync psbl                           this one now, unless its publisher wants to be left alone
  gatepost sync --json | jq '.lists[] | select(.outcome == \"failed\")'

Exit codes: 0 all went well (or nothing was due), 1 a list was held, refused or not reached, or a zone\nstays as it was, 2 configuration, 3 could not work")]
pub(crate) struct Args {
    /// Only these lists, also when the timer would not come to them yet
    #[arg(value_name = "LIST")]
    lists: Vec<String>,
    /// Ask for LIST also when its publisher wants to be left alone; risks being blocked by him
    #[arg(long, requires = "lists")]
    force: bool,
    #[command(flatten)]
    from: EitherArgs,
    /// Also show what is not due, every unreadable line, and what is compiled
    #[arg(long, short)]
    verbose: bool,
    /// Print what was done as JSON when it is done
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogArgs,
    /// For the process that started this one: reports as JSON lines on stdout, and end when it ends
    #[arg(long, hide = true, conflicts_with = "json")]
    events: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    if args.events {
        return run_as_child(args);
    }
    if args.log.is_wanted() {
        args.log.init(Level::INFO);
    }
    args.log.told(run_for_person(args))
}

fn run_for_person(args: &Args) -> anyhow::Result<ExitStatus> {
    enough_open_files()?;
    let config = args.from.read_to_write()?;
    let lists = named(&args.lists)?;
    let by_name = !lists.is_empty();
    let progress = if args.log.is_wanted() {
        Progress::log()
    } else {
        let names = config.reloadable.lists.keys().map(Slug::as_str);
        let progress = Progress::new(names, args.verbose || by_name);
        args.log.init_with(Level::WARN, progress.log_writer());
        progress
    };
    let store = open_store(&config.state)?;
    let options = Options { lists, wait: by_name, force: args.force };
    if by_name && let Lock::Busy(by) = store.lock(Wait::No)? {
        progress.line(&format!("waits for the sync that is running ({by})"));
    }
    let run = || -> anyhow::Result<Summary> {
        let summary = sync::run(&config, &store, &options, &progress)?;
        // What calls this every hour on the hour would never fetch otherwise. Nobody is kept from the store meanwhile.
        let Some(wait) = summary.come_back else { return Ok(summary) };
        progress.line(&format!(
            "everybody asks at the hour and half hour: what is due is fetched in {}; with LIST at once",
            short_duration(wait)
        ));
        std::thread::sleep(wait);
        // Nor from the configuration: what is published is what it says then.
        let config = args.from.read_to_write()?;
        let store = open_store(&config.state)?;
        Ok(summary.followed_by(sync::run(&config, &store, &options, &progress)?))
    };
    let done = run();
    progress.clear();
    let summary = done?;
    if args.json {
        json(&mut out(), &summary)?;
    } else {
        progress.line(&sentence(&summary));
    }
    Ok(status(&summary))
}

fn run_as_child(args: &Args) -> anyhow::Result<ExitStatus> {
    args.log.init(Level::WARN);
    if io::stdin().is_terminal() {
        talk("--events is for the process that started this one");
        return Ok(ExitStatus::Usage);
    }
    be_called("gatepost-sync".as_ref());
    // Whoever started this answers questions meanwhile.
    give_way();
    with_parent()?;
    enough_open_files()?;
    leave_to_parent()?;
    let lines = EventLines::new(io::stdout());
    let work = || -> anyhow::Result<Summary> {
        let config = args.from.read_to_write()?;
        let store = open_store(&config.state)?;
        let options = Options { lists: named(&args.lists)?, wait: false, force: args.force };
        Ok(sync::run(&config, &store, &options, &lines)?)
    };
    match work() {
        Ok(summary) => {
            if let Some(by) = &summary.busy {
                lines.write(&Report::Busy { by: by.clone() });
            }
            if let Some(wait) = summary.come_back {
                lines.write(&Report::ComeBack { seconds: wait.as_secs() });
            }
            Ok(status(&summary))
        }
        Err(error) => {
            lines.write(&Report::Failed { why: format!("{error:#}") });
            Ok(ExitStatus::CannotTell)
        }
    }
}

fn named(lists: &[String]) -> anyhow::Result<Vec<Slug>> {
    lists.iter().map(|text| slug(text)).collect()
}

/// The name of a list.
pub(super) fn slug(text: &str) -> anyhow::Result<Slug> {
    text.parse().map_err(|()| Usage(format!("`{text}` is not a name of a list")).into())
}

/// The exit code of what was done.
pub(super) fn status(summary: &Summary) -> ExitStatus {
    if summary.zones.iter().any(|zone| zone.silent) {
        return ExitStatus::CannotTell;
    }
    let lists = summary.lists.iter().any(sync::ListReport::is_problem);
    ExitStatus::found(lists || summary.zones.iter().any(|zone| zone.trouble.is_some()))
}

/// What was done, in a line.
fn sentence(summary: &Summary) -> String {
    if let Some(by) = &summary.busy {
        return Report::Busy { by: by.clone() }.sentence().map_or_else(String::new, |(_, text)| text);
    }
    let count =
        |is: &dyn Fn(&sync::ListReport) -> bool| summary.lists.iter().filter(|list| is(list)).count() as u64;
    let new = count(&|list| list.outcome.is_some_and(Outcome::is_new));
    let confirmed = count(&|list| list.outcome == Some(Outcome::Confirmed));
    let passed_over = count(&|list| matches!(list.outcome, Some(Outcome::Stale | Outcome::Pinned)));
    let problems = count(&sync::ListReport::is_problem);
    let waiting = count(&|list| list.outcome.is_none());
    let mut parts = Vec::new();
    if new > 0 {
        parts.push(format!("{} taken", counted(new, "list", "lists")));
    }
    if confirmed > 0 {
        parts.push(format!("{confirmed} unchanged"));
    }
    if passed_over > 0 {
        parts.push(format!("{passed_over} older or not wanted"));
    }
    if waiting > 0 {
        parts.push(format!("{waiting} not due"));
    }
    if problems > 0 {
        parts.push(format!("{problems} held, refused or not reached"));
    }
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    let next =
        summary.lists.iter().filter_map(|list| list.waits.map(|(seconds, _)| (seconds, &list.list))).min();
    let service = match (summary.published, next) {
        (Some(number), _) => format!("; generation {number} is in service"),
        (None, Some((seconds, list))) if new + confirmed + passed_over + problems == 0 => {
            let wait = short_duration(std::time::Duration::from_secs(seconds));
            format!("; next is {list} in {wait}")
        }
        _ => "; what is in service stays".to_owned(),
    };
    format!("{}{service}", parts.join(", "))
}
