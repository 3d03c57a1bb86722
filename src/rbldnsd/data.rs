//! What the serving process has of its data: the zones, and the loader that brings them.

use std::fs::File;
use std::sync::mpsc::Sender;

use anyhow::Context;
use jiff::Timestamp;

use super::daemon::Happening;
use super::handle::{Handle, Heard};
use super::reports::{Job, Report};
use super::zones::Zones;

/// The zones and who brings them.
pub(super) struct Data {
    pub(super) zones: Zones,
    loader: Option<Handle>,
    /// The loader is looking at the files.
    busy: bool,
    /// What another loader would be told; `None` where none can be started.
    job: Option<Job>,
    sender: Sender<Happening>,
    /// What went wrong in this round and the last: said once, not with every check.
    troubles: Vec<String>,
    known_troubles: Vec<String>,
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
            busy: false,
            job: Some(job),
            sender,
            troubles: Vec::new(),
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
        if self.busy {
            return;
        }
        if self.loader.is_none()
            && let Err(error) = self.start_loader()
        {
            return tracing::error!("{error:#}; data stay as they are");
        }
        match self.loader.as_ref().map(Handle::check) {
            Some(Ok(())) => self.busy = true,
            Some(Err(error)) => tracing::error!(%error, "the loader does not listen"),
            None => {}
        }
    }

    /// Takes what the loader says; what it did when it is done with all files.
    pub(super) fn heard(&mut self, heard: Heard) -> Option<Round> {
        match heard {
            Heard::Said(report, file) => return self.report(report, file),
            Heard::Line(line) => tracing::warn!("loader: {line}"),
            Heard::Ended(status) => {
                let status = status.map_or_else(String::new, |status| format!(" ({status})"));
                let so = match self.job {
                    None => "inside a root folder no other can be started: restart to load data again",
                    Some(_) => "the next check starts another; data stay as they are",
                };
                tracing::error!("the loader died{status}; {so}");
                self.loader = None;
                self.busy = false;
            }
        }
        None
    }

    fn report(&mut self, report: Report, file: Option<File>) -> Option<Round> {
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
                match self.zones.take(&base, file.as_ref(), serial, until) {
                    Ok(()) if cached => tracing::info!("zone {origin}: as compiled before"),
                    Ok(()) => {}
                    Err(error) => {
                        self.zones.forget_coming(&base);
                        self.trouble(format!("zone {origin}: {error}"));
                    }
                }
            }
            Report::Access { data_set, list } => self.zones.take_access(data_set, &list),
            Report::Failed { part, why } => {
                let standing = self.zones.standing(&part);
                self.trouble(format!("{part}: {why}; {standing}"));
            }
            Report::Done { changed, failed, milliseconds } => {
                self.busy = false;
                self.known_troubles = std::mem::take(&mut self.troubles);
                if changed > 0 {
                    tracing::info!("zones reloaded: {changed} changed, {failed} failed, {milliseconds} ms");
                }
                return Some(Round { changed: changed > 0, sound: self.known_troubles.is_empty() });
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

    /// Whether there is a loader.
    pub(super) fn has_loader(&self) -> bool {
        self.loader.is_some()
    }
}
