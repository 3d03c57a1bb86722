//! What the serving process has of its data: the zones, and the loader that brings them.

use std::collections::BTreeSet;
use std::process::ExitStatus;
use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::Context;
use jiff::Timestamp;

use super::daemon::Happening;
use super::handle::{Handle, Heard};
use super::reports::{Job, Report};
use super::zones::{Opened, Unusable, Zones};
use crate::model::Name;
use crate::ops::{GRACE, is_told_to_end};

/// Why a dead loader is missed after `-r`.
const NO_OTHER: &str = "inside a root folder no other can be started: restart to load data again";

/// The zones and who brings them.
pub(super) struct Data {
    pub(super) zones: Zones,
    loader: Option<Handle>,
    /// What the loader is at.
    work: Work,
    /// A signal asked for a look at the files, and no loader was told so far.
    is_owed: bool,
    /// An end that may be part of ours.
    ending: Option<Ending>,
    /// What another loader would be told; `None` where none can be started.
    job: Option<Job>,
    sender: Sender<Happening>,
    /// What went wrong in this round and the last: said once, not with every check.
    troubles: Vec<String>,
    /// Of these some did not arrive.
    lost: BTreeSet<Name>,
    known_troubles: Vec<String>,
}

/// Why the loader looks at the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It does not.
    Idle,
    /// It is time.
    Routine,
    /// A signal asked for it.
    Asked,
    /// The loader that was told of the signal died. Tried once: whatever killed it may kill the next as well.
    Again,
}

/// A loader that TERM or INT has ended.
struct Ending {
    status: Option<ExitStatus>,
    /// What it was at.
    work: Work,
    /// Ours should have come until then.
    due: Instant,
}

/// A round in which the loader looked at every file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    /// Something is to be served now.
    pub(super) changed: bool,
    /// All of it could be loaded.
    pub(super) sound: bool,
}

impl Data {
    /// Starts a loader; what it says goes to `sender`.
    pub(super) fn start(job: Job, sender: Sender<Happening>) -> anyhow::Result<Self> {
        let mut data = Self {
            zones: Zones::waiting(&job.specs),
            loader: None,
            work: Work::Idle,
            is_owed: false,
            ending: None,
            job: Some(job),
            sender,
            troubles: Vec::new(),
            lost: BTreeSet::new(),
            known_troubles: Vec::new(),
        };
        data.start_loader()?;
        Ok(data)
    }

    /// Another loader is told this; `None`: inside another root folder there is no program to start.
    pub(super) fn restart_with(&mut self, job: Option<Job>) {
        self.job = job;
    }

    fn start_loader(&mut self) -> anyhow::Result<()> {
        let Some(job) = &self.job else { return Ok(()) };
        let sender = self.sender.clone();
        let on = move |heard| drop(sender.send(Happening::Loader(heard)));
        self.loader = Some(Handle::spawn(job, on).context("the loader cannot be started")?);
        Ok(())
    }

    /// Has the loader look at the files, unless it is at it.
    pub(super) fn check(&mut self) {
        self.begin(if self.is_owed { Work::Asked } else { Work::Routine });
    }

    /// The same for a signal: if it is at it, once more afterwards, since it may have passed what has changed.
    pub(super) fn ask(&mut self) {
        self.is_owed = true;
        self.check();
    }

    fn begin(&mut self, work: Work) {
        if self.is_at_work() {
            return;
        }
        if self.loader.is_none()
            && let Err(error) = self.start_loader()
        {
            return tracing::error!("{error:#}; what is in service stays");
        }
        match self.loader.as_ref().map(Handle::check) {
            Some(Ok(())) => (self.work, self.is_owed) = (work, false),
            // It is dead, which is about to be heard.
            Some(Err(error)) => tracing::debug!(%error, "the loader does not listen"),
            None if self.is_owed => tracing::error!("without a loader files are not looked at; {NO_OTHER}"),
            None => {}
        }
    }

    /// Whether what was asked for is still to come.
    pub(super) fn is_at_work(&self) -> bool {
        self.work != Work::Idle || self.ending.is_some()
    }

    /// Takes what the loader says; what it did when it is done with all files.
    pub(super) fn heard(&mut self, heard: Heard) -> Option<Round> {
        match heard {
            Heard::Said(report, snapshot) => return self.report(report, snapshot),
            Heard::Line(line) => tracing::warn!("loader: {line}"),
            Heard::Ended(status) => {
                self.loader = None;
                let work = std::mem::replace(&mut self.work, Work::Idle);
                let ending = Ending { status, work, due: Instant::now() + GRACE };
                match status.is_some_and(is_told_to_end) {
                    true => self.ending = Some(ending),
                    false => self.mourn(&ending),
                }
            }
        }
        None
    }

    /// When an end is told of that is not part of ours.
    pub(super) fn due(&self) -> Option<Instant> {
        self.ending.as_ref().map(|ending| ending.due)
    }

    /// Tells of such an end when it is time.
    pub(super) fn look_at_end(&mut self, now: Instant) {
        if let Some(ending) = self.ending.take_if(|ending| ending.due <= now) {
            self.mourn(&ending);
        }
    }

    fn mourn(&mut self, ending: &Ending) {
        let status = ending.status.map_or_else(String::new, |status| format!(" ({status})"));
        let so = match self.job {
            None => NO_OTHER,
            Some(_) => "the next check or SIGHUP starts another; what is in service stays",
        };
        tracing::error!("the loader died{status}; {so}");
        match ending.work {
            _ if self.is_owed => self.begin(Work::Asked),
            Work::Asked => self.begin(Work::Again),
            Work::Idle | Work::Routine | Work::Again => {}
        }
    }

    fn report(&mut self, report: Report, snapshot: Option<Opened>) -> Option<Round> {
        match report {
            Report::BadLine { file, diag } => {
                let (line, column) = (diag.line, diag.column);
                tracing::warn!(
                    "file {}({line}): {}: {}, column {column}",
                    file.display(),
                    diag.reason,
                    diag.text
                );
            }
            Report::Read { data_set, entries, bad, modified, milliseconds } => {
                let time = Timestamp::from_second(modified).unwrap_or_default();
                let bad = if bad == 0 { String::new() } else { format!(", {bad} lines left out") };
                tracing::info!("{data_set}: {time}: {entries} entries{bad}, read in {milliseconds} ms");
            }
            Report::Warning { text } => tracing::warn!("{text}"),
            Report::Zone { base, origin, serial, until, cached } => {
                match self.zones.take(&base, snapshot, serial, until) {
                    Ok(()) if cached => tracing::info!("zone {origin}: as compiled before"),
                    Ok(()) => {}
                    Err(error) => {
                        self.trouble(format!("zone {origin}: {error}"));
                        if let (Unusable::Missing, Some(loader)) = (&error, &self.loader) {
                            // Where it is dead, the next one hands over everything.
                            let _ = loader.again(base.clone());
                        }
                        self.lost.insert(base.clone());
                        self.zones.forget_coming(base);
                    }
                }
            }
            Report::Access { data_set, list } => self.zones.take_access(data_set, &list),
            Report::Failed { part, why } => {
                let standing = self.zones.standing(&part);
                self.trouble(format!("{part}: {why}; {standing}"));
            }
            Report::Done { changed, failed, milliseconds } => {
                self.work = Work::Idle;
                self.known_troubles = std::mem::take(&mut self.troubles);
                // The loader does not know what became of what it handed over.
                let lost = std::mem::take(&mut self.lost).len();
                let (changed, failed) = (changed.saturating_sub(lost), failed + lost);
                if changed > 0 {
                    tracing::info!("zones reloaded: {changed} changed, {failed} failed, {milliseconds} ms");
                }
                let round = Round { changed: changed > 0, sound: self.known_troubles.is_empty() };
                if self.is_owed {
                    self.check();
                }
                return Some(round);
            }
        }
        None
    }

    fn trouble(&mut self, text: String) {
        if !self.known_troubles.contains(&text) {
            tracing::error!("{text}");
        }
        self.troubles.push(text);
    }

    /// Whether there is a loader, or may be one again without anybody asking.
    pub(super) fn has_loader(&self) -> bool {
        self.loader.is_some() || self.ending.is_some()
    }
}
