//! The serving process: binds, gives up its privileges, answers, and has its loader look at the files.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use listenfd::ListenFd;

use super::cache;
use super::handle::{Handle, Heard};
use super::logs::{StatisticsFile, is_stdout, open_query_log};
use super::options::Options;
use super::privileges::{cache_folder, confine, write_pid};
use super::reports::{Confinement, Job, Report};
use super::zones::Zones;
use crate::model::Name;
use crate::ops::{self, Manager, Signal, Statistics};
use crate::server::{QueryLog, Server, Settings, Sockets, append_to};

/// How often ends of data are looked at, and buffered lines written.
const TICK: Duration = Duration::from_secs(1);

/// Longest sleep of the loop when there is nothing to look at.
const NAP: Duration = Duration::from_secs(3600);

enum Happening {
    Signal(Signal),
    Loader(Heard),
}

/// Runs until a signal asks for the end. `ready` is called when questions are answered.
pub fn run(options: &Options, ready: impl FnOnce()) -> anyhow::Result<()> {
    let sockets = sockets(options)?;
    for address in sockets.addresses() {
        tracing::info!("listening on {}/{}", address.ip(), address.port());
    }
    let confinement = Confinement::of(options)?;
    if let Some(path) = &options.pid_file {
        write_pid(path)?;
    }
    let mut job = Job {
        cache: cache_folder(options, &confinement),
        confinement,
        ttls: options.ttls,
        host_bits: options.host_bits,
        gzip: options.gzip,
        specs: options.specs.clone(),
    };
    let (sender, happenings) = channel();
    // Started before the root folder changes: inside there is no program to start. It gives up its privileges itself.
    let chrooted = job.confinement.root.is_some();
    let early = if chrooted { Some(Loader::start(&job, &sender)?) } else { None };
    confine(&job.confinement)?;
    // What is done cannot be done again by a loader that is started from here on.
    job.confinement = Confinement::default();
    if let Some(why) = job.cache.as_deref().and_then(cache::unusable) {
        tracing::info!("no cache, compiled zones are kept in memory: {why}");
        job.cache = None;
    }
    let loader = match early {
        Some(loader) => loader,
        None => Loader::start(&job, &sender)?,
    };
    let signalled = sender.clone();
    ops::listen(move |signal| drop(signalled.send(Happening::Signal(signal))))?;

    let mut daemon = Daemon::new(options, sockets, job, loader, sender, chrooted)?;
    daemon.check();
    if options.quick {
        ready();
        daemon.manager.ready(&daemon.status());
    } else {
        if !daemon.first_round(&happenings)? {
            return daemon.stop();
        }
        ready();
        daemon.manager.ready(&daemon.status());
    }
    daemon.run(&happenings);
    daemon.stop()
}

/// Of the service manager, else those of `-b`.
fn sockets(options: &Options) -> anyhow::Result<Sockets> {
    let mut handed = ListenFd::from_env();
    let mut udp: Vec<UdpSocket> = Vec::new();
    for index in 0..handed.len() {
        let socket =
            handed.take_udp_socket(index).context("a socket of the service manager is no UDP socket")?;
        udp.extend(socket);
    }
    if !udp.is_empty() {
        return Ok(Sockets::adopt(udp)?);
    }
    if options.bind.is_empty() {
        bail!("no address to listen on (-b option) specified");
    }
    Ok(Sockets::bind(&settings(options, options.addresses()?, None))?)
}

fn settings(
    options: &Options,
    listen: Vec<std::net::SocketAddr>,
    query_log: Option<Arc<QueryLog>>,
) -> Settings {
    let zones = options.specs.zones.iter().map(|zone| zone.origin.clone()).collect();
    Settings {
        listen,
        version: options.version.clone(),
        query_log,
        udp_will_do: true,
        ..Settings::new(std::path::PathBuf::new(), zones)
    }
}

/// The loader, and whether it is at work.
struct Loader {
    handle: Option<Handle>,
    busy: bool,
}

impl Loader {
    fn start(job: &Job, sender: &Sender<Happening>) -> anyhow::Result<Self> {
        let sender = sender.clone();
        let on = move |heard| drop(sender.send(Happening::Loader(heard)));
        let handle = Handle::spawn(job, on).context("the loader cannot be started")?;
        Ok(Self { handle: Some(handle), busy: false })
    }
}

struct Daemon<'a> {
    options: &'a Options,
    server: Server,
    zones: Zones,
    origins: Vec<Name>,
    loader: Loader,
    job: Job,
    chrooted: bool,
    sender: Sender<Happening>,
    manager: Manager,
    query_log: Option<Arc<QueryLog>>,
    statistics: Statistics,
    file: Option<StatisticsFile>,
    next_check: Option<Instant>,
    /// What went wrong in this round and the last: said once, not with every check.
    troubles: Vec<String>,
    known_troubles: Vec<String>,
}

impl<'a> Daemon<'a> {
    fn new(
        options: &'a Options,
        sockets: Sockets,
        job: Job,
        loader: Loader,
        sender: Sender<Happening>,
        chrooted: bool,
    ) -> anyhow::Result<Self> {
        let query_log = options.query_log.as_ref().map(open_query_log).transpose()?.map(Arc::new);
        let file = options.statistics.as_ref().map(StatisticsFile::open).transpose()?;
        let server = Server::start_on(sockets, &settings(options, Vec::new(), query_log.clone()))?;
        let daemon = Self {
            options,
            server,
            zones: Zones::waiting(&options.specs.zones),
            origins: options.specs.zones.iter().map(|zone| zone.origin.clone()).collect(),
            loader,
            job,
            chrooted,
            sender,
            manager: Manager::from_environment(Instant::now()),
            query_log,
            statistics: Statistics::from_start(),
            file,
            next_check: None,
            troubles: Vec::new(),
            known_troubles: Vec::new(),
        };
        if let Some(file) = &daemon.file {
            file.mark();
        }
        Ok(daemon)
    }

    /// Waits until the data are there; `false` when a signal asked for the end before.
    fn first_round(&mut self, happenings: &Receiver<Happening>) -> anyhow::Result<bool> {
        loop {
            match happenings.recv() {
                Ok(Happening::Signal(Signal::Stop)) | Err(_) => return Ok(false),
                Ok(Happening::Signal(_)) => {}
                Ok(Happening::Loader(heard)) => {
                    let done = matches!(heard, Heard::Said(Report::Done { .. }, _));
                    let ended = matches!(heard, Heard::Ended(_));
                    self.heard(heard);
                    if done && self.troubles_are_fatal() {
                        bail!("zone loading errors, aborting");
                    }
                    if done {
                        return Ok(true);
                    }
                    if ended {
                        bail!("the loader has ended, aborting");
                    }
                }
            }
        }
    }

    fn troubles_are_fatal(&self) -> bool {
        !self.known_troubles.is_empty()
    }

    fn run(&mut self, happenings: &Receiver<Happening>) {
        loop {
            let now = Instant::now();
            self.manager.alive(now);
            if self.next_check.is_some_and(|due| due <= now) {
                self.check();
                self.write_statistics();
            }
            self.zones.look_at_ends(&self.server, self.wall_clock());
            if let Some(log) = &self.query_log {
                log.flush();
            }
            let wake = [self.next_check, self.manager.due()].into_iter().flatten().min();
            let nap = wake.map_or(NAP, |wake| wake.saturating_duration_since(Instant::now()));
            let nap = if self.has_to_tick() { nap.min(TICK) } else { nap };
            match happenings.recv_timeout(nap) {
                Ok(Happening::Signal(Signal::Stop)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Happening::Signal(Signal::Hangup)) => self.hang_up(),
                Ok(Happening::Signal(Signal::Statistics { reset })) => self.tell_statistics(reset),
                Ok(Happening::Loader(heard)) => self.heard(heard),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Ends of data come between checks, and lines of the query log are kept for a moment only.
    fn has_to_tick(&self) -> bool {
        self.zones.have_ends() || self.query_log.is_some()
    }

    /// `None`: data never end, since files are never looked at.
    fn wall_clock(&self) -> Option<i64> {
        self.options.check.map(|_| Timestamp::now().as_second())
    }

    /// Has the loader look at the files, unless it is at it.
    fn check(&mut self) {
        self.next_check = self.options.check.map(|every| Instant::now() + every);
        if self.loader.busy {
            return;
        }
        if self.loader.handle.is_none() {
            if self.chrooted {
                return;
            }
            match Loader::start(&self.job, &self.sender) {
                Ok(loader) => self.loader = loader,
                Err(error) => return tracing::error!("{error:#}; data stay as they are"),
            }
        }
        let asked = self.loader.handle.as_ref().map(Handle::check);
        match asked {
            Some(Ok(())) => self.loader.busy = true,
            Some(Err(error)) => tracing::error!(%error, "the loader does not listen"),
            None => {}
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Said(report, file) => self.report(report, file),
            Heard::Line(line) => tracing::warn!("loader: {line}"),
            Heard::Ended(status) => {
                let status = status.map_or_else(String::new, |status| format!(" ({status})"));
                let so = match self.chrooted {
                    true => "inside a root folder no other can be started: restart to load data again",
                    false => "the next check starts another; data stay as they are",
                };
                tracing::error!("the loader died{status}; {so}");
                self.loader = Loader { handle: None, busy: false };
            }
        }
    }

    fn report(&mut self, report: Report, file: Option<std::fs::File>) {
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
            Report::Failed { what, why } => {
                let so = "what it had stays in service";
                self.trouble(format!("{what}: {why}; {so}"));
            }
            Report::Done { changed, failed, milliseconds } => {
                self.loader.busy = false;
                self.known_troubles = std::mem::take(&mut self.troubles);
                if changed > 0 {
                    self.zones.serve(&self.server, self.wall_clock());
                    tracing::info!("zones reloaded: {changed} changed, {failed} failed, {milliseconds} ms");
                    self.manager.status(&self.status());
                }
            }
        }
    }

    fn trouble(&mut self, text: String) {
        if !self.known_troubles.contains(&text) {
            tracing::error!("{text}");
        }
        self.troubles.push(text);
    }

    fn hang_up(&mut self) {
        if let (Some(log), Some(target)) = (&self.query_log, &self.options.query_log)
            && !is_stdout(target)
        {
            match append_to(&target.path) {
                Ok(file) => log.reopen(file),
                Err(error) => {
                    tracing::error!(%error, file = %target.path.display(), "the query log cannot be opened again");
                }
            }
        }
        self.check();
    }

    fn tell_statistics(&mut self, reset: bool) {
        let stats = self.server.stats();
        self.statistics.lines(&stats, &self.origins).iter().for_each(|line| tracing::info!("{line}"));
        if reset {
            self.write_statistics();
            self.statistics.reset(&stats);
            if let Some(file) = &mut self.file {
                file.reset(&stats);
            }
        }
    }

    fn write_statistics(&mut self) {
        let Some(file) = &mut self.file else { return };
        file.write(&self.server.stats(), &self.origins);
    }

    /// A line for the service manager.
    fn status(&self) -> String {
        match self.zones.counts() {
            (zones, 0) => format!("{zones} zones in service"),
            (zones, silent) => format!("{zones} zones, {silent} of them without data (SERVFAIL)"),
        }
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.manager.stopping();
        tracing::info!("terminating");
        self.write_statistics();
        if let Some(file) = &self.file {
            file.mark();
        }
        let stats = self.server.stats();
        self.statistics.lines(&stats, &self.origins).iter().for_each(|line| tracing::info!("{line}"));
        self.server.stop();
        if let Some(log) = &self.query_log {
            log.flush();
        }
        Ok(())
    }
}
