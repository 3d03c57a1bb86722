//! `gatepost bench`: load on a server, every answer checked; several servers side by side with `--compare`.
//!
//! `questions` makes what is asked, `show` tells what came of it.

mod questions;
mod show;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, ValueEnum};

use super::failure::Usage;
use super::logs;
use super::output::{WARN, styled, talk};
use super::targets;
use crate::config::parse_duration;
use crate::error::ExitStatus;
use crate::load::{
    CompareError, Cores, Pace, Plan, Questions, Round, Server, Tally, all_run, await_answers, load, pin,
    round, try_question,
};
use crate::model::{Name, Rtype};
use crate::ops::{Nohup, Signal};
use crate::parse::Format;

/// How long a server of a comparison may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// How long questions are sent to one server.
const DURATION: Duration = Duration::from_secs(10);

/// The same for one server in one round.
const ROUND: Duration = Duration::from_secs(2);

/// The longest run.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Put a DNS server under load and check every answer; compare servers
///
/// What is asked comes from a list (--hits), a snapshot of gatepost, or a query file. Without --rate the loop is closed: a
/// number of questions is in flight at any time, which shows what a server can do. With --rate it is open: questions go out at
/// times settled beforehand, and latency counts from those times, so a server that stalls cannot hide it. Questions go
/// out one by one, as clients send them, over UDP; what is lost is counted and not sent again.
///
/// With --compare servers are started, and measured in alternating rounds: rates, CPU time of a query (user and system,
/// all processes of a server), and the ratios of each round.
///
/// Exit codes: 0 every answer came and was right, 1 some were wrong or lost, 2 usage, 3 no reply at all, or a server of
/// a comparison did not start.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["hits", "snapshot", "queries"]))]
#[command(after_help = "\
Examples:
  gatepost bench --zone bl.example.net --hits list.txt
  gatepost bench --snapshot bl.snapshot --rate 10000 --duration 1m
  gatepost bench --queries questions.txt --server 127.0.0.1:53 --json
  gatepost bench --zone bl.example.net --hits list.txt --rounds 7 \\
      --compare 'rbldnsd -n -b 127.0.0.1/{port} bl.example.net:ip4set:list.txt' \\
      --compare 'gatepost rbldnsd -n -b 127.0.0.1/{port} bl.example.net:ip4set:list.txt'

A query file has a line NAME TYPE [EXPECTED] for each question; EXPECTED is `listed`, `unlisted`, `NODATA`, `NXDOMAIN` or
another response code, or A values between commas. Without it NOERROR and NXDOMAIN are right.")]
pub(crate) struct Args {
    /// The server
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5354", conflicts_with = "compare")]
    server: SocketAddr,
    /// Send to a server that is not on this machine: make sure that it is yours
    #[arg(long)]
    allow_remote: bool,
    /// With --hits: the zone's origin
    #[arg(long, value_name = "NAME", requires = "hits", required_unless_present_any = ["snapshot", "queries"])]
    zone: Option<Name>,
    /// Ask for what this list has, which must be listed, and for what it has not, which must not be
    #[arg(long, value_name = "FILE")]
    hits: Option<PathBuf>,
    /// With --hits: how the list is written
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "plain",
        requires = "hits",
        value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)),
        hide_possible_values = true
    )]
    format: String,
    /// The same from a snapshot of gatepost: the values and texts of answers must be its, too
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Option<PathBuf>,
    /// Ask what this file says, line by line, again and again
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// With --hits and --snapshot: so many questions of a hundred are for something listed
    #[arg(long, value_name = "PERCENT", default_value_t = 50.0, value_parser = percent)]
    hit_share: f64,
    /// With --hits and --snapshot: the type that is asked for; whether a listing has a text only a snapshot knows
    #[arg(long = "type", value_name = "TYPE", value_enum, ignore_case = true, default_value_t = AskedType::A)]
    rtype: AskedType,
    /// Send an OPT record with each question, as resolvers do
    #[arg(long)]
    edns: bool,
    /// Closed loop: questions in flight. More than about 100 overflow the small receive buffer of some servers
    #[arg(long, value_name = "NUMBER", default_value_t = 96, value_parser = clap::value_parser!(u16).range(1..=16384))]
    window: u16,
    /// Open loop: questions a second
    #[arg(long, value_name = "NUMBER", conflicts_with = "window", value_parser = rate)]
    rate: Option<f64>,
    /// With --rate: how the times of sending lie
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson, requires = "rate")]
    arrivals: Arrivals,
    /// Client ports
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    sockets: u16,
    /// How long questions are sent [default: 10s; to each server in each round: 2s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    /// End after so many questions (in each round)
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// A question not answered after this time is lost
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    timeout: Duration,
    /// Start a server and measure it; `{port}` becomes its port on 127.0.0.1. It must stay in the foreground
    #[arg(long, value_name = "COMMAND")]
    compare: Vec<String>,
    /// With --compare: rounds
    #[arg(long, value_name = "NUMBER", default_value_t = 5, requires = "compare",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// With --compare: the core of the servers and that of this program [default: the first and the last]
    #[arg(long, value_name = "CORE,CORE", requires = "compare", value_parser = cores)]
    cores: Option<Cores>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What can be asked for of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AskedType {
    #[value(name = "A")]
    A,
    #[value(name = "TXT")]
    Txt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Arrivals {
    /// At random, as from many independent clients
    Poisson,
    /// At even distances
    Even,
}

impl AskedType {
    fn rtype(self) -> Rtype {
        match self {
            Self::A => Rtype::A,
            Self::Txt => Rtype::TXT,
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    crate::ops::enough_open_files()?;
    targets::may_be_asked(args.server, args.allow_remote)?;
    let commands = args.compare.iter().map(|text| split(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let plan = plan(args);
    let stop = Arc::new(AtomicBool::new(false));
    let asked_to_stop = Arc::clone(&stop);
    crate::ops::listen(Nohup::Respected, move |signal| match signal {
        Signal::Stop | Signal::Hangup => asked_to_stop.store(true, Ordering::Relaxed),
        Signal::Statistics { .. } => {}
    })?;
    let mut questions = questions::make(args)?;
    if commands.is_empty() {
        let tally = single(&plan, &mut questions, &stop)?;
        show::single(args, &plan, &questions, &tally)?;
        return Ok(ExitStatus::found(!tally.is_clean()));
    }
    let cores = args.cores.or_else(Cores::choose);
    let rounds = compared(args, &commands, &plan, cores, &mut questions, &stop)?;
    show::compared(args, &plan, cores, &questions, &rounds)?;
    Ok(ExitStatus::found(rounds.iter().flatten().any(|round| !round.tally.is_clean())))
}

fn plan(args: &Args) -> Plan {
    let pace = match args.rate {
        None => Pace::Window(args.window.into()),
        Some(rate) => Pace::Rate { rate, even: args.arrivals == Arrivals::Even },
    };
    let duration = if args.compare.is_empty() { DURATION } else { ROUND };
    Plan {
        server: args.server,
        pace,
        sockets: args.sockets.into(),
        duration: args.duration.unwrap_or(duration),
        count: args.count.unwrap_or(u64::MAX),
        timeout: args.timeout,
    }
}

/// The words of a command, as a shell would part them.
fn split(text: &str) -> anyhow::Result<Vec<String>> {
    let words = shlex::split(text).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| Usage(format!("`{text}`: not a command, or a quote is not closed")))?;
    if !words.iter().any(|word| word.contains("{port}")) {
        bail!(Usage(format!("`{text}`: {{port}} must stand where the port of 127.0.0.1 goes")));
    }
    Ok(words)
}

fn single(plan: &Plan, questions: &mut Questions, stop: &AtomicBool) -> anyhow::Result<Tally> {
    // Somebody answers, be it wrongly: otherwise the whole run would only say so more slowly.
    let failed = || format!("cannot ask {}", plan.server);
    let mut answer = None;
    for _ in 0..2 {
        if answer.is_none() && !stop.load(Ordering::Relaxed) {
            answer = try_question(plan.server, questions, plan.timeout).with_context(failed)?;
        }
    }
    if answer.is_none() {
        bail!("no reply from {}", plan.server);
    }
    load(plan, questions, 0, stop).with_context(failed)
}

/// The rounds, each with a result for each server.
fn compared(
    args: &Args,
    commands: &[Vec<String>],
    plan: &Plan,
    cores: Option<Cores>,
    questions: &mut Questions,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Vec<Round>>> {
    let mut servers = Vec::new();
    for (command, text) in commands.iter().zip(&args.compare) {
        let server = Server::start(command, cores.map(|cores| cores.servers));
        servers.push(server.with_context(|| format!("cannot start `{text}`"))?);
    }
    if let Some(cores) = cores {
        pin(cores.harness).with_context(|| format!("cannot use core {}", cores.harness))?;
    } else {
        talk(styled(WARN, "there is one core only: what the servers and this program cost each other shows"));
    }
    let waiting = |what: &str| talk(styled(WARN, what));
    await_answers(&mut servers, &args.compare, questions, START_PATIENCE, stop, waiting)?;
    let mut rounds = Vec::new();
    for number in 0..usize::from(args.rounds) {
        let round = round(&servers, plan, questions, number, stop);
        if !stop.load(Ordering::Relaxed) {
            all_run(&mut servers, &args.compare)?;
        }
        match round {
            Ok(round) => rounds.push(round),
            Err(CompareError::Interrupted) if !rounds.is_empty() => {
                talk(styled(WARN, format_args!("interrupted after {number} of {} rounds", args.rounds)));
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(rounds)
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 100".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.replace('_', "").parse().ok().filter(|number| (0.1..=10e6).contains(number));
    number.ok_or_else(|| "a number of questions a second, from 0.1 to 10000000".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let millis = text.strip_suffix("ms").and_then(|number| number.parse().ok()).map(Duration::from_millis);
    let duration = millis.or_else(|| parse_duration(text));
    let fits = |duration: &Duration| !duration.is_zero() && *duration <= LONGEST;
    duration.filter(fits).ok_or_else(|| "a time such as 500ms, 10s or 5m, of a day at most".to_owned())
}

fn cores(text: &str) -> Result<Cores, String> {
    let parts = text.split_once(',').and_then(|(servers, harness)| {
        Some(Cores { servers: servers.trim().parse().ok()?, harness: harness.trim().parse().ok()? })
    });
    parts.ok_or_else(|| "two numbers of cores with a comma between them".to_owned())
}
