//! The loop of a serving process: waits for a signal, a sync that is due, a word of the sync child, the watchdog.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::losses::{self, Losses};
use super::signals::{self, GRACE, Nohup, Signal, is_told_to_end};
use super::{Ended, Manager, Report, Said, Statistics, SyncChild, Timer};
use crate::error::ExitStatus;
use crate::server::{ReloadError, Server};

/// Longest sleep of the loop.
const NAP: Duration = Duration::from_secs(3600);

/// A server with its timer.
pub struct Service {
    server: Server,
    manager: Manager,
    timer: Timer,
    config: PathBuf,
    child: Option<SyncChild>,
    /// The end of a sync child that may be part of ours, and when ours should have come.
    ending: Option<(Ended, Instant)>,
    statistics: Statistics,
    losses: Losses,
    sender: Sender<Happening>,
    happenings: Receiver<Happening>,
}

/// What whoever runs a [`Service`] does with what happens.
pub trait Conduct {
    /// A sync starts.
    fn sync_started(&mut self) {}
    /// The sync child says something. Of [`Report::Published`] this is told when its generation is in service.
    fn said(&mut self, server: &Server, said: &Said);
    /// A published generation could not be put in service.
    fn refused(&mut self, error: &ReloadError);
    /// Whether SIGHUP means the end, since the terminal is gone, instead of [`reload`](Self::reload).
    fn ends_on_hangup(&self) -> bool {
        false
    }
    /// The configuration is to be read again; the pace of the timer if that went well. A sync follows at once
    /// when there is a timer.
    fn reload(&mut self, server: &mut Server) -> Option<Option<Duration>>;
    /// A sync has ended; in how long the next one is wanted at the latest, whatever the timer says.
    fn wants_sync_in(&self) -> Option<Duration> {
        None
    }
    /// Files that are looked at now and then; in how long again, if ever.
    fn look(&mut self, _server: &Server) -> Option<Duration> {
        None
    }
    /// A line for the service manager: what is served.
    fn status(&self, server: &Server) -> String;
}

enum Happening {
    Signal(Signal),
    Said(Said),
}

impl Service {
    /// Takes over `server`, and the signals of this process. A sync child reads the configuration at `config`.
    pub fn new(server: Server, config: PathBuf, timer: Option<Duration>, nohup: Nohup) -> io::Result<Self> {
        let now = Instant::now();
        let (sender, happenings) = channel();
        let signalled = sender.clone();
        signals::listen(nohup, move |signal| drop(signalled.send(Happening::Signal(signal))))?;
        let (manager, timer) = (Manager::from_environment(), Timer::new(timer, now));
        Ok(Self {
            server,
            manager,
            timer,
            config,
            child: None,
            ending: None,
            statistics: Statistics::from_start(),
            losses: Losses::from_start(),
            sender,
            happenings,
        })
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Runs until it is told to stop, then ends the sync child and the server.
    pub fn run(mut self, conduct: &mut impl Conduct) {
        self.manager.ready(&self.server, &conduct.status(&self.server));
        loop {
            let now = Instant::now();
            if let Some((ended, _)) = self.ending.take_if(|(_, due)| *due <= now) {
                self.said(&Said::Ended(ended), conduct);
            }
            if self.child.is_none() && self.timer.take(now) {
                self.start_sync(conduct);
            }
            let look = conduct.look(&self.server).map(|pause| Instant::now() + pause);
            let timer = self.timer.due().filter(|_| self.child.is_none());
            let ending = self.ending.map(|(_, due)| due);
            self.losses.look(now, || self.server.stats());
            let wake = [timer, look, ending, Some(self.losses.due())].into_iter().flatten().min();
            let nap = wake.map_or(NAP, |wake| wake.saturating_duration_since(Instant::now()).min(NAP));
            let status = || conduct.status(&self.server);
            match self.manager.rest(nap, status, |nap| self.happenings.recv_timeout(nap)) {
                Ok(Happening::Signal(Signal::Stop)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Happening::Signal(Signal::Hangup)) if conduct.ends_on_hangup() => break,
                Ok(Happening::Signal(Signal::Hangup)) => self.reload(conduct),
                Ok(Happening::Signal(Signal::Statistics { reset })) => self.tell_statistics(reset),
                Ok(Happening::Said(Said::Ended(ended @ Ended::Badly(status)))) if is_told_to_end(status) => {
                    self.ending = Some((ended, Instant::now() + GRACE));
                }
                Ok(Happening::Said(said)) => self.said(&said, conduct),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.manager.stopping();
        if let Some(child) = self.child.take() {
            child.stop();
        }
        self.server.stop();
    }

    fn start_sync(&mut self, conduct: &mut impl Conduct) {
        let sender = self.sender.clone();
        let on = move |said| drop(sender.send(Happening::Said(said)));
        match SyncChild::spawn(&self.config, on) {
            Ok(child) => {
                self.child = Some(child);
                conduct.sync_started();
            }
            Err(error) => {
                let why = format!("no process for it can be started: {error}");
                conduct.said(&self.server, &Said::Report(Report::Failed { why }));
                conduct.said(&self.server, &Said::Ended(Ended::With(ExitStatus::CannotTell)));
            }
        }
    }

    fn said(&mut self, said: &Said, conduct: &mut impl Conduct) {
        match said {
            Said::Report(Report::Published { .. }) => {
                if let Err(error) = self.server.reload() {
                    return conduct.refused(&error);
                }
                self.manager.status(&conduct.status(&self.server));
            }
            Said::Report(Report::ComeBack { seconds }) => {
                self.timer.no_later_than(Instant::now() + Duration::from_secs(*seconds));
            }
            Said::Ended(_) => {
                // The process is gone and its threads with it; nothing is left to stop.
                self.child = None;
                if let Some(wanted) = conduct.wants_sync_in() {
                    self.timer.no_later_than(Instant::now() + wanted);
                }
            }
            _ => {}
        }
        conduct.said(&self.server, said);
    }

    fn tell_statistics(&mut self, reset: bool) {
        let stats = self.server.stats();
        let zones: Vec<_> = stats.zones.keys().cloned().collect();
        let lines = self.statistics.lines(&stats, &zones).into_iter().chain(losses::lines(&stats));
        lines.for_each(|line| tracing::info!("{line}"));
        if stats.unlogged > 0 {
            tracing::info!("the hit log lacks {} listings since the start", stats.unlogged);
        }
        if reset {
            self.statistics.reset(&stats);
        }
    }

    fn reload(&mut self, conduct: &mut impl Conduct) {
        self.manager.reloading();
        self.server.reopen_hit_log();
        if let Some(every) = conduct.reload(&mut self.server) {
            let now = Instant::now();
            self.timer.set(every, now);
            // New zones and changed lists wait to be compiled.
            self.timer.no_later_than(now);
        } else if let Err(error) = self.server.reload() {
            conduct.refused(&error);
        }
        self.manager.ready(&self.server, &conduct.status(&self.server));
    }
}
