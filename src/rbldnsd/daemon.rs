//! The serving process: binds, gives up its privileges, answers, and has its loader look at the files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;

use super::cache;
use super::data::Data;
use super::handle::Heard;
use super::logs::{StatisticsFile, open_query_log, reopen};
use super::options::Options;
use super::privileges::{cache_folder, confine, write_pid};
use super::reports::{Confinement, Job};
use crate::model::Name;
use crate::ops::{self, Manager, Nohup, Signal, Statistics};
use crate::server::{QueryLog, Server, Settings, Sockets, Stats};

/// How often ends of data are looked at, and buffered lines written.
const TICK: Duration = Duration::from_secs(1);

/// Longest sleep of the loop when there is nothing to look at.
const NAP: Duration = Duration::from_secs(3600);

/// What the loop waits for.
pub(super) enum Happening {
    Signal(Signal),
    Loader(Heard),
}

/// Runs until a signal asks for the end. `ready` is called when questions are answered.
pub fn run(options: &Options, ready: impl FnOnce()) -> anyhow::Result<()> {
    let sockets = sockets(options)?;
    // Before the root folder changes: the service manager listens outside of it.
    let manager = Manager::from_environment();
    for address in sockets.addresses() {
        tracing::info!("listening on {}/{}", address.ip(), address.port());
    }
    let confinement = Confinement::of(options)?;
    // Whoever reads the process id, or finds the loader, may send a signal at once.
    let (sender, happenings) = channel();
    let signalled = sender.clone();
    ops::listen(Nohup::Overruled, move |signal| drop(signalled.send(Happening::Signal(signal))))?;
    if let Some(path) = &options.pid_file {
        write_pid(path)?;
    }
    let job = Job {
        cache: cache_folder(options, &confinement),
        confinement,
        ttls: options.ttls,
        host_bits: options.host_bits,
        gzip: options.gzip,
        specs: options.specs.clone(),
    };
    let start = |job| Data::start(job, sender);
    let mut data = if job.confinement.root.is_some() {
        // Started before the root folder changes: inside there is no program to start. It gives its privileges up itself.
        let mut data = start(job.clone())?;
        data.restart_with(None);
        confine(&job.confinement)?;
        data
    } else {
        confine(&job.confinement)?;
        start(Job { cache: usable(job.cache), confinement: Confinement::default(), ..job })?
    };
    data.check();
    if !options.quick && !first_round(&mut data, &happenings)? {
        return Ok(());
    }
    data.zones.settle(now());
    // Not before the data are there: who moves the log away meanwhile finds it opened by its name.
    let query_log = options.query_log.as_ref().map(open_query_log).map(Arc::new);
    let file = options.statistics.as_ref().map(StatisticsFile::new);
    let zones = &data.zones;
    let settings = settings(options, Vec::new(), query_log.clone());
    let server = Server::start_on(sockets, &settings, zones.served(), &zones.access())?;
    let mut daemon = Daemon::new(options, server, data, manager, query_log, file);
    ready();
    daemon.run(&happenings);
    daemon.stop();
    Ok(())
}

/// A cache in which others can write is none.
fn usable(folder: Option<PathBuf>) -> Option<PathBuf> {
    let why = cache::unusable(folder.as_deref()?);
    match why {
        None => folder,
        Some(why) => {
            tracing::warn!("no cache, compiled zones are kept in memory: {why}");
            None
        }
    }
}

/// Waits until the data are there; `false` when a signal asked for the end before.
pub(super) fn first_round(data: &mut Data, happenings: &Receiver<Happening>) -> anyhow::Result<bool> {
    loop {
        let nap = data.due().map_or(NAP, |due| due.saturating_duration_since(Instant::now()));
        match happenings.recv_timeout(nap) {
            Ok(Happening::Signal(Signal::Stop)) | Err(RecvTimeoutError::Disconnected) => return Ok(false),
            Ok(Happening::Signal(Signal::Hangup)) => data.ask(),
            Ok(Happening::Signal(Signal::Statistics { .. })) => {}
            Ok(Happening::Loader(heard)) => match data.heard(heard) {
                Some(round) if !round.sound => bail!("zone loading errors, aborting"),
                Some(_) => return Ok(true),
                None => {}
            },
            Err(RecvTimeoutError::Timeout) => data.look_at_end(Instant::now()),
        }
        if !data.has_loader() {
            bail!("the loader has ended, aborting");
        }
    }
}

/// Those of the service manager and those of `-b`.
fn sockets(options: &Options) -> anyhow::Result<Sockets> {
    let handed = ops::handed();
    if handed.is_empty() && options.bind.is_empty() {
        bail!("no address to listen on (-b option) specified");
    }
    Ok(Sockets::adopt(handed, &settings(options, options.addresses()?, None))?)
}

fn settings(options: &Options, listen: Vec<SocketAddr>, query_log: Option<Arc<QueryLog>>) -> Settings {
    let zones = options.specs.zones.iter().map(|zone| zone.origin.clone()).collect();
    Settings {
        listen,
        version: options.version.clone(),
        query_log,
        udp_will_do: true,
        ..Settings::new(PathBuf::new(), zones)
    }
}

/// A line for the service manager: of how many zones, and how many of them without data.
fn status(counts: (usize, usize)) -> String {
    match counts {
        (1, 0) => "1 zone in service".to_owned(),
        (1, _) => "1 zone, without data (SERVFAIL)".to_owned(),
        (zones, 0) => format!("{zones} zones in service"),
        (zones, silent) => format!("{zones} zones, {silent} of them without data (SERVFAIL)"),
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The process at work.
struct Daemon<'a> {
    options: &'a Options,
    server: Server,
    data: Data,
    origins: Vec<Name>,
    manager: Manager,
    query_log: Option<Arc<QueryLog>>,
    statistics: Statistics,
    file: Option<StatisticsFile>,
    next_check: Option<Instant>,
    /// The service manager was told that files are looked at.
    is_reloading: bool,
}

impl<'a> Daemon<'a> {
    fn new(
        options: &'a Options,
        server: Server,
        data: Data,
        manager: Manager,
        query_log: Option<Arc<QueryLog>>,
        mut file: Option<StatisticsFile>,
    ) -> Self {
        if let Some(file) = &mut file {
            file.mark();
        }
        let now = Instant::now();
        Self {
            options,
            server,
            data,
            origins: options.specs.zones.iter().map(|zone| zone.origin.clone()).collect(),
            manager,
            query_log,
            statistics: Statistics::from_start(),
            file,
            next_check: options.check.map(|every| now + every),
            is_reloading: false,
        }
    }

    fn run(&mut self, happenings: &Receiver<Happening>) {
        self.manager.ready(&self.server, &status(self.data.zones.counts()));
        loop {
            let now = Instant::now();
            if self.next_check.is_some_and(|due| due <= now) {
                self.check();
                self.write_statistics();
            }
            // Where files are never looked at, data end only when they are loaded or a signal has them looked at.
            if self.options.check.is_some() && self.data.zones.look_at_ends(self::now()) {
                self.serve();
            }
            if let Some(log) = &self.query_log {
                log.flush();
            }
            self.data.look_at_end(now);
            self.tell_reloaded();
            let wake = [self.next_check, self.data.due()].into_iter().flatten().min();
            let nap = wake.map_or(NAP, |wake| wake.saturating_duration_since(Instant::now()));
            let nap = if self.has_to_tick() { nap.min(TICK) } else { nap };
            let status = || status(self.data.zones.counts());
            match self.manager.rest(nap, status, |nap| happenings.recv_timeout(nap)) {
                Ok(Happening::Signal(Signal::Stop)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Happening::Signal(Signal::Hangup)) => self.hang_up(),
                Ok(Happening::Signal(Signal::Statistics { reset })) => self.statistics_asked_for(reset),
                Ok(Happening::Loader(heard)) => self.heard(heard),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Ends of data come between checks, and lines of the query log are kept for a moment only.
    fn has_to_tick(&self) -> bool {
        self.options.check.is_some() && self.data.zones.have_ends() || self.query_log.is_some()
    }

    fn check(&mut self) {
        self.next_check = self.options.check.map(|every| Instant::now() + every);
        self.data.check();
    }

    fn heard(&mut self, heard: Heard) {
        let Some(round) = self.data.heard(heard) else { return };
        let ended = self.data.zones.settle(now());
        if round.changed || ended {
            self.serve();
        }
    }

    fn serve(&mut self) {
        self.server.serve(self.data.zones.served(), &self.data.zones.access());
        self.manager.status(&status(self.data.zones.counts()));
    }

    fn hang_up(&mut self) {
        if let (Some(log), Some(target)) = (&self.query_log, &self.options.query_log) {
            reopen(log, target);
        }
        self.manager.reloading();
        self.is_reloading = true;
        self.next_check = self.options.check.map(|every| Instant::now() + every);
        self.data.ask();
    }

    /// What SIGHUP asked for is done, or cannot be.
    fn tell_reloaded(&mut self) {
        if self.is_reloading && !self.data.is_at_work() {
            self.is_reloading = false;
            self.manager.ready(&self.server, &status(self.data.zones.counts()));
        }
    }

    /// SIGUSR1 and SIGUSR2: a line in the statistics file too, for whoever asks for them by a signal alone.
    fn statistics_asked_for(&mut self, reset: bool) {
        self.write_statistics();
        let stats = self.log_statistics();
        if reset {
            self.statistics.reset(&stats);
            if let Some(file) = &mut self.file {
                file.reset(&stats);
            }
        }
    }

    fn log_statistics(&self) -> Stats {
        let stats = self.server.stats();
        self.statistics.lines(&stats, &self.origins).iter().for_each(|line| tracing::info!("{line}"));
        stats
    }

    fn write_statistics(&mut self) {
        let Some(file) = &mut self.file else { return };
        file.write(&self.server.stats(), &self.origins);
    }

    fn stop(mut self) {
        self.manager.stopping();
        tracing::info!("terminating");
        self.write_statistics();
        if let Some(file) = &mut self.file {
            file.mark();
        }
        self.log_statistics();
        self.server.stop();
        if let Some(log) = &self.query_log {
            log.flush();
        }
    }
}
