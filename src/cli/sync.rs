//! `gatepost sync`: fetches what is due and puts it in service.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tracing::Level;

use super::as_owner::open_store;
use super::failure::Usage;
use super::locate::EitherArgs;
use super::logs::LogArgs;
use super::output::{counted, json, out, short_duration, talk};
use super::progress::Progress;
use crate::config::{Config, Slug};
use crate::error::ExitStatus;
use crate::ops::{EventLines, Report, be_called, enough_open_files, leave_to_parent, with_parent};
use crate::server::give_way;
use crate::store::{Lock, Outcome, Store, Wait};
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
    let sleep = |wait| {
        progress.line(&format!(
            "everybody asks at the hour and half hour: what is due is fetched in {}; with LIST at once",
            short_duration(wait)
        ));
        std::thread::sleep(wait);
    };
    let sync = |config: &Config, store: &Store| Ok(sync::run(config, store, &options, &progress)?);
    let done = over_the_hour(config, store, &args.from, sync, sleep);
    progress.clear();
    let summary = done?;
    if args.json {
        json(&mut out(), &summary)?;
    } else {
        progress.line(&sentence(&summary));
    }
    Ok(status(&summary))
}

/// Syncs, and again after the crowd if there was one: what calls this every hour on the hour would never fetch otherwise.
/// Nobody is kept from the store while this sleeps, nor from the configuration: what is published then is what it says then.
fn over_the_hour(
    config: Config,
    store: Store,
    from: &EitherArgs,
    sync: impl Fn(&Config, &Store) -> anyhow::Result<Summary>,
    sleep: impl FnOnce(Duration),
) -> anyhow::Result<Summary> {
    let summary = sync(&config, &store)?;
    let Some(wait) = summary.come_back else { return Ok(summary) };
    drop((config, store));
    sleep(wait);
    let config = from.read_to_write()?;
    let store = open_store(&config.state)?;
    Ok(summary.followed_by(sync(&config, &store)?))
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
            let wait = short_duration(Duration::from_secs(seconds));
            format!("; next is {list} in {wait}")
        }
        _ => "; what is in service stays".to_owned(),
    };
    format!("{}{service}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    /// Who sleeps over the hour wakes up with the lists, zones and networks of then, in the state folder of then.
    #[test]
    fn what_sleeps_over_the_hour_reads_the_configuration_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gatepost.toml");
        let write = |state: &str, lists: &[&str]| {
            let list = |name: &&str| {
                format!(
                    "[list.{name}]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.1\"\n"
                )
            };
            let lists: String = lists.iter().map(list).collect();
            std::fs::write(&path, format!("version = 1\nstate = \"{state}\"\n{lists}")).unwrap();
        };
        std::fs::write(folder.path().join("own.txt"), "192.0.2.1\n").unwrap();
        write("here", &["a"]);
        let command = Args::augment_args(clap::Command::new("sync"));
        let matches = command.try_get_matches_from(["sync", "--config", path.to_str().unwrap()]).unwrap();
        let from = Args::from_arg_matches(&matches).unwrap().from;
        let config = from.read_to_write().unwrap();
        let store = open_store(&config.state).unwrap();
        let seen = RefCell::new(Vec::new());
        let sync = |config: &Config, store: &Store| {
            let lists: Vec<&str> = config.reloadable.lists.keys().map(Slug::as_str).collect();
            let state = store.path().file_name().unwrap().to_str().unwrap();
            seen.borrow_mut().push(format!("{state}: {}", lists.join(", ")));
            let come_back = (seen.borrow().len() == 1).then_some(Duration::from_secs(540));
            Ok(Summary { come_back, ..Summary::default() })
        };
        let sleep = |wait| {
            assert_eq!(wait, Duration::from_secs(540));
            write("there", &["a", "b"]);
        };
        over_the_hour(config, store, &from, sync, sleep).unwrap();
        assert_eq!(seen.into_inner(), ["here: a", "there: a, b"]);
    }
}
