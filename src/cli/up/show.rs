//! What `up` puts on the terminal, and when.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::failure::is_broken_pipe;
use super::super::locate::default_state;
use super::super::output::{Align, BAD, DIM, HEAD, Table, WARN, counted, out, short_duration, styled, talk};
use super::super::progress::Progress;
use super::super::serve::is_routine;
use super::super::status::{listed, shown_origin, zone_state};
use super::super::view::{View, ZoneView, lists_test_point};
use super::hints;
use crate::config::{Config, Slug, ZoneConfig, defaults};
use crate::error::ExitStatus;
use crate::model::{Name, Use};
use crate::ops::{Conduct, Ended, Report, Said, next_due};
use crate::server::{ReloadError, Served, Server};
use crate::snippet::wiring::{NotWired, Wiring};
use crate::snippet::{postfix, unbound};
use crate::store::Store;

/// Pause between two syncs at least.
const SOONEST: Duration = Duration::from_secs(30);

/// How much of what is served has been shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    /// Nothing yet.
    Nothing,
    /// A question that works.
    Question,
    /// All of it, at a time when the combined zone had nothing to answer from.
    Waiting,
    /// All of it.
    All,
}

/// The terminal.
pub(crate) struct Screen {
    config: Config,
    suffix: Name,
    progress: Progress,
    shown: Shown,
    /// Syncs that have ended.
    syncs: u32,
    /// Lists that were asked for in the sync that runs.
    asked: u32,
    /// What was last said of each list that has a problem: said again only when it is another.
    problems: HashMap<String, String>,
}

impl Screen {
    pub(crate) fn new(config: Config, suffix: Name, progress: Progress) -> Self {
        Self { config, suffix, progress, shown: Shown::Nothing, syncs: 0, asked: 0, problems: HashMap::new() }
    }

    /// Says who is here and where.
    pub(crate) fn begin(&self) {
        let listen: Vec<String> = self.config.server.listen.iter().map(ToString::to_string).collect();
        talk(format_args!(
            "{} answers on {} (UDP and TCP), keeps its state in {}",
            styled(HEAD, concat!("gatepost ", env!("CARGO_PKG_VERSION"))),
            listen.join(", "),
            self.config.state.display()
        ));
        talk("");
    }

    /// Looks at what is served, and shows it if there is more to show than before.
    pub(crate) fn look(&mut self, server: &Server) {
        if self.shown == Shown::All {
            return;
        }
        let combined = self.combined().is_none_or(|zone| answers(server, &zone.origin));
        let working = self.working(server);
        // The first sync is still bringing lists: what there is to see is seen best when it has ended. But what an
        // earlier start left is there at once.
        let settled = self.syncs > 0 || self.shown == Shown::Nothing && combined;
        let done = match working {
            Some(_) if settled && combined => self.show_all(server),
            Some(zone) if self.shown == Shown::Nothing && self.syncs == 0 => {
                self.show_question(&zone);
                Ok(Shown::Question)
            }
            _ if self.syncs > 0 && self.shown < Shown::Waiting => self.show_all(server),
            _ => return,
        };
        match done {
            Ok(shown) => self.shown = shown,
            Err(error) => {
                // Whatever it is (nobody may read stdout any more), the server goes on.
                self.shown = Shown::All;
                if !is_broken_pipe(&error) {
                    self.progress.line(&styled(WARN, format_args!("{error:#}")));
                }
            }
        }
    }

    /// Says goodbye.
    pub(crate) fn end(&self) {
        self.progress.clear();
        talk("stopped");
    }

    fn combined(&self) -> Option<&ZoneConfig> {
        let label: Name = defaults::UP_COMBINED.parse().ok()?;
        let origin = label.below(&self.suffix)?;
        self.config.reloadable.zones.iter().find(|zone| zone.origin == origin)
    }

    /// A zone that answers now: the combined one if it does.
    fn working(&self, server: &Server) -> Option<Name> {
        let zones = self.config.reloadable.zones.iter().map(|zone| &zone.origin);
        let first = self.combined().map(|zone| &zone.origin);
        first.into_iter().chain(zones).find(|origin| answers(server, origin)).cloned()
    }

    fn listen(&self) -> SocketAddr {
        self.config.server.listen.first().copied().unwrap_or(defaults::LISTEN)
    }

    /// Everything below the suffix is gatepost's: that is what it was given for.
    fn wiring(&self) -> Result<Wiring, NotWired> {
        let wiring = Wiring::of(&self.config, |_| None)?;
        Ok(Wiring { domains: vec![self.suffix.clone()], ..wiring })
    }

    fn show_question(&self, zone: &Name) {
        let dig = hints::dig(zone, self.listen());
        self.progress.line(&format!("Serving {} already; try it:\n  {dig}\n", styled(HEAD, zone)));
    }

    fn show_all(&self, server: &Server) -> anyhow::Result<Shown> {
        let view = View::of(self.config.clone())?;
        self.progress.aside(|| self.write_all(server, &view))
    }

    fn write_all(&self, server: &Server, view: &View) -> anyhow::Result<Shown> {
        let mut out = out();
        let listen = self.listen();
        zones(view, self.combined()).write(&mut out, "")?;
        let Some(working) = self.working(server) else {
            writeln!(out, "\n{}", styled(BAD, "Nothing can be answered yet: every zone says SERVFAIL."))?;
            out.flush()?;
            return Ok(Shown::Waiting);
        };
        writeln!(out, "\n{} (should print 127.0.0.2)", styled(HEAD, "Try it"))?;
        writeln!(out, "  {}", hints::dig(&working, listen))?;

        writeln!(out, "\n{}", styled(HEAD, "Tell your resolver where these zones are; unbound:"))?;
        let wiring = self.wiring()?;
        unbound::lines(&wiring).lines().try_for_each(|line| writeln!(out, "  {line}"))?;

        let combined = self.combined();
        let mut shown = Shown::All;
        if let Some(combined) = combined {
            writeln!(
                out,
                "\n{}",
                styled(HEAD, "Reject in Postfix what one of the block lists has; main.cf:")
            )?;
            writeln!(out, "  smtpd_recipient_restrictions =\n      ...")?;
            for line in wiring
                .addresses(Use::Block)
                .filter(|asked| asked.zone.origin == combined.origin)
                .flat_map(|asked| postfix::rejects(&asked))
            {
                writeln!(out, "      {line}")?;
            }
            if let Some(client) = hints::test_client(combined) {
                writeln!(
                    out,
                    "  To see it reject, let a client be {client} (XCLIENT ADDR={client}); where mynetworks has\n  \
                     127.0.0.0/8, permit_mynetworks must not stand before it while you try."
                )?;
            }
            if !answers(server, &combined.origin) {
                let note = format!(
                    "{} says SERVFAIL until the first block list is there; mail passes meanwhile.",
                    combined.origin
                );
                writeln!(out, "  {}", styled(WARN, note))?;
                shown = Shown::Waiting;
            }
        }
        writeln!(out, "\n{}", styled(HEAD, "Who lists an address, and why; how old everything is"))?;
        let state = match default_state() {
            Some(state) if state == self.config.state => String::new(),
            _ => format!(" --state {}", quoted(&self.config.state.display().to_string())),
        };
        writeln!(out, "  gatepost lookup 192.0.2.7{state}\n  gatepost status{state}\n")?;
        out.flush()?;
        Ok(shown)
    }

    fn next_due(&self) -> Option<(Duration, Slug)> {
        let store = Store::existing(&self.config.state).ok()?;
        next_due(&store, self.config.reloadable.lists.values())
    }

    /// Whether there is nothing new in this report.
    fn is_stale(&mut self, report: &Report) -> bool {
        let Report::List(done) = report else { return false };
        if done.outcome.is_some() {
            self.asked += 1;
        }
        if !done.is_problem() {
            self.problems.remove(&done.list);
            return false;
        }
        let (_, sentence) = done.outcome_sentence();
        self.problems.insert(done.list.clone(), sentence.clone()) == Some(sentence)
    }

    fn sync_ended(&mut self, server: &Server, ended: Ended) {
        self.syncs += 1;
        match ended {
            Ended::With(ExitStatus::Ok | ExitStatus::Found) => {}
            Ended::With(_) => {
                self.progress.line(&styled(WARN, "the sync could not work; what is in service stays"));
            }
            Ended::Badly(status) => {
                self.progress
                    .line(&styled(BAD, format_args!("the sync died ({status}); what is in service stays")));
            }
        }
        self.look(server);
        if self.syncs > 1 {
            return;
        }
        let next = self.next_due().map_or_else(String::new, |(wait, list)| {
            format!("; the next is {list}, in {}", short_duration(wait.max(SOONEST)))
        });
        let first = if self.asked == 0 { "No list was due" } else { "That was all that was due" };
        self.progress.line(&styled(DIM, format_args!("{first}{next}. Ctrl-C ends it.")));
    }
}

impl Conduct for Screen {
    fn sync_started(&mut self) {
        self.asked = 0;
        if self.syncs == 0 {
            let lists = self.config.reloadable.lists.values().filter(|list| !list.is_own()).count() as u64;
            let lists = counted(lists, "list", "lists");
            self.progress.line(&styled(HEAD, format_args!("Fetching {lists}, as far as they are due")));
        }
    }

    fn said(&mut self, server: &Server, said: &Said) {
        match said {
            Said::Report(report) if is_routine(&self.config, report) => {}
            Said::Report(report) => {
                match self.is_stale(report) {
                    true => self.progress.done(report),
                    false => self.progress.report(report),
                }
                if let Report::Published { .. } = report {
                    self.look(server);
                }
            }
            Said::Line(line) => self.progress.line(line),
            Said::Ended(ended) => {
                self.progress.clear();
                self.sync_ended(server, *ended);
            }
        }
    }

    fn refused(&mut self, error: &ReloadError) {
        self.progress.line(&styled(BAD, format_args!("not put in service: {error}")));
    }

    fn ends_on_hangup(&self) -> bool {
        true
    }

    fn reload(&mut self, _: &mut Server) -> Option<Option<Duration>> {
        // There is no configuration to read again.
        None
    }

    fn wants_sync_in(&self) -> Option<Duration> {
        // After a failure a list is due long before the timer is.
        self.next_due().map(|(wait, _)| wait.max(SOONEST))
    }

    fn status(&self, server: &Server) -> String {
        let zones = server.world().zones().filter(|(_, served)| matches!(served, Served::Ready(_))).count();
        format!("{} in service", counted(zones as u64, "zone", "zones"))
    }
}

/// Whether the zone answers for its test point at this moment.
fn answers(server: &Server, origin: &Name) -> bool {
    matches!(server.world().zone(origin), Some(Served::Ready(zone)) if lists_test_point(zone))
}

/// Zones, the combined one first, and what they list.
/// As a shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn zones(view: &View, combined: Option<&ZoneConfig>) -> Table {
    let mut table = Table::new([
        ("ZONE", Align::Left),
        ("LISTED", Align::Right),
        ("USE", Align::Left),
        ("STATE", Align::Left),
    ]);
    let is_combined = |zone: &&ZoneView| combined.is_some_and(|combined| combined.origin == *zone.origin());
    let (first, others): (Vec<_>, Vec<_>) = view.zones.iter().partition(is_combined);
    for zone in first.into_iter().chain(others) {
        table.row([
            shown_origin(zone).into(),
            listed(zone).into(),
            uses(zone, view).into(),
            zone_state(zone, view),
        ]);
    }
    table
}

fn uses(zone: &ZoneView, view: &View) -> String {
    let mut uses: Vec<Use> = Vec::new();
    for member in &zone.config.members {
        if let Some(list) = view.list(member.list.as_str())
            && !uses.contains(&list.config.use_)
        {
            uses.push(list.config.use_);
        }
    }
    let words: Vec<String> = uses.iter().map(Use::to_string).collect();
    words.join(", ")
}
