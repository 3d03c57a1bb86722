//! `gatepost doctor`: the whole way from a listing to a mail that is rejected, and the first thing on it that is wrong.
//!
//! A file for each station that asks of what is served: `server`, `resolver`, and, when mail was looked at, what of the `host` will bite. A
//! station gives [`Check`]s; what it knows of other programs is in [`crate::doctor`], how it is told in `report`. Never: changing anything, more than a few
//! questions, waiting longer than a server may need, or a resolver to forget that it was away.

mod host;
mod own;
mod report;
mod resolver;
mod server;
mod state;

use std::cell::Cell;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::locate::EitherArgs;
use super::logs;
use super::output::{json, out};
use super::snippet::values;
use super::view::View;
use crate::config::Config;
use crate::doctor::finding::{Area, Check};
use crate::doctor::{expired, lines, mail, resolv_conf, unbound_forwards};
use crate::error::ExitStatus;
use crate::snippet::Program;
use crate::snippet::wiring::Wiring;
use report::Report;
use resolver::Paths;

/// How long a question may take, all tries together.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a server may take to answer from what a sync has made.
const TAKES_OVER: Duration = Duration::from_secs(2);
/// What has been in service for less long than this, in seconds, may not have been taken over yet.
const JUST: i64 = 10;

/// Find out why mail is not rejected
///
/// Goes the way that a listing goes: the server and its data, then the resolvers of /etc/resolv.conf and the C
/// library as mail programs ask them, then what the configurations of Postfix, Exim, rspamd and SpamAssassin do with the answers, and
/// what of this host will bite. Of whatever is wrong it names cause and cure, with the lines to paste. It changes
/// nothing and asks few questions.
///
/// Exit codes: 0 nothing is wrong, 1 something is, 2 configuration, 3 something could not be looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost doctor
  gatepost doctor --json | jq .first           what to set right before all else")]
pub(crate) struct Args {
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Questions that were asked.
#[derive(Debug, Default)]
struct Questions(Cell<usize>);

impl Questions {
    fn count(&self, more: usize) {
        self.0.set(self.0.get() + more);
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    let config = args.from.read()?;
    let questions = Questions::default();
    let report = Report::new(checks(&config, &args.from, &questions));
    let mut out = out();
    if args.json {
        let mut value = report.as_json();
        value["questions"] = questions.0.get().into();
        json(&mut out, &value)?;
    } else {
        report.write(&mut out)?;
    }
    out.flush()?;
    Ok(report.status())
}

fn checks(config: &Config, from: &EitherArgs, questions: &Questions) -> Vec<Check> {
    let view = || View::of(config.clone());
    let looked = view().and_then(|first| {
        let station = server::look(&first, from, questions);
        if station.is_right() {
            return Ok((first, station));
        }
        // A sync may have come in between, and the server takes a moment to take over what it makes.
        let second = view()?;
        let age = second.generation.as_ref().map(|made| second.now.clocks.wall - made.created);
        if age.is_none_or(|age| age >= JUST) {
            return Ok((first, station));
        }
        thread::sleep(TAKES_OVER);
        let station = server::look(&second, from, questions);
        Ok((second, station))
    });
    let (view, station) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            return vec![
                Check::unknown(
                    Area::Server,
                    "store-closed",
                    format!("cannot look into the state folder: {error}"),
                )
                .cured_by("ask as root, or as the user that gatepost runs as"),
            ];
        }
    };
    let mut checks = station.checks;
    let resolv_conf = Path::new("/etc/resolv.conf");
    let values = values::of(config).unwrap_or_default();
    let resolvers = std::fs::read_to_string(resolv_conf).map(|text| resolv_conf::servers(&text));
    let resolvers: Vec<IpAddr> = resolvers.unwrap_or_default().into_iter().map(|(ip, _)| ip).collect();
    match Wiring::of(config, |zone| values.get(zone).cloned()) {
        Ok(wiring) => {
            let mail = mail::read_all(&resolvers);
            // A resolver cannot have an answer that nobody gives.
            if station.answers {
                let paths = Paths { resolv_conf, nsswitch: Path::new("/etc/nsswitch.conf") };
                checks.extend(resolver::look(&view, &wiring, &paths, &mail, &station.unknown, questions));
                let unbound = || lines::of(Program::Unbound);
                checks.extend(expired::look(&resolvers, || {
                    unbound_forwards::keep_nothing(&unbound(), &wiring)
                }));
                if !checks.iter().any(|check| check.is(unbound_forwards::NAME)) {
                    checks.extend(unbound_forwards::look(&resolvers, &wiring, unbound));
                }
            }
            checks.extend(mail::look(mail, config, &wiring, resolvers.first().copied()));
        }
        Err(error) => checks.push(Check::bad(Area::Resolver, "nothing-to-wire", error.to_string())),
    }
    // Not where a mail program is told otherwise.
    if checks.iter().any(|check| check.is(mail::STOPS)) {
        let tell = |check: Check| {
            check.retold(server::PASSES, "mail stops where `mail-stops` says so, and else passes")
        };
        checks = checks.into_iter().map(tell).collect();
    }
    // What `up` wrote is nobody's to protect.
    checks.extend(host::look(&view, from.service().ok().as_deref()));
    checks
}
