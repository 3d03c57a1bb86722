//! Fetches what is due: a few hosts at a time, one request at a time to each.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::list::{Came, Desk, status_of};
use super::{ListReport, Options, PATIENCE, Run, SyncError};
use crate::config::{ListConfig, Transport};
use crate::feed::fetch::{self, Fetcher, Rests, Times};
use crate::feed::schedule::{Asker, Dice, Due, Servers, Why, all_rest, crowd, due, minds_crowd};
use crate::feed::secret;
use crate::store::{ListStatus, Outcome};

/// Hosts that are asked at the same time.
const HOSTS_AT_A_TIME: usize = 4;

impl<'a> Run<'a> {
    /// Those of `feeds` that may be asked for now; the others are reported as waiting.
    pub(super) fn due(
        &mut self,
        feeds: &[&'a ListConfig],
        options: &Options,
    ) -> Result<Vec<&'a ListConfig>, SyncError> {
        let asker = if options.lists.is_empty() { Asker::Timer } else { Asker::Person };
        let crowd = match asker {
            Asker::Timer => self.crowd()?,
            Asker::Person => None,
        };
        let known = self.known();
        self.round = known.iter().map(|list| list.round).max().unwrap_or_default().saturating_add(1);
        let servers = Servers::of(&known, &self.writer.now(&known));
        let now = self.writer.now([]);
        servers.left(&now).for_each(|(server, left)| self.rests.note(server, left));
        let mut ready = Vec::new();
        for &list in feeds {
            let mut status = match status_of(&self.writer.store().list(&list.name)) {
                Ok(status) => status,
                Err(error) => {
                    self.took(list, Err(error.into()))?;
                    continue;
                }
            };
            status.forget_rests_unless_shown(&secret::mark(list.credential.as_ref()));
            let now = self.writer.now([&status]);
            servers.tell(&mut status, list.source.urls(), &now);
            let crowd = crowd.filter(|_| is_elsewhere(list) && minds_crowd(&status, list.floor));
            match (due(&status, list.source.urls(), list.floor, asker, &now), crowd) {
                (Due::Now, None) => ready.push(list),
                (Due::Now, Some(wait)) => {
                    self.summary.come_back = Some(wait);
                    self.done(ListReport::waits(&list.name, wait, Why::Crowd));
                }
                (Due::Wait(left, why), _) if options.force && why != Why::Pause => {
                    tell_risk(list, left, why);
                    // What they say this time counts.
                    if all_rest(&status, list.source.urls(), &now).is_some() {
                        list.source.urls().iter().for_each(|url| self.rests.lift(url));
                    }
                    ready.push(list);
                }
                (Due::Wait(left, why), _) => self.done(ListReport::waits(&list.name, left, why)),
            }
        }
        Ok(ready)
    }

    /// What is known of all feeds. Those that cannot be read are told of elsewhere.
    fn known(&self) -> Vec<ListStatus> {
        let lists = self.config.reloadable.lists.values().filter(|list| !list.is_own());
        lists.filter_map(|list| status_of(&self.writer.store().list(&list.name)).ok()).collect()
    }

    /// How long to keep off, if everybody asks now. One wait for all lists: they take their turn anyway.
    fn crowd(&self) -> Result<Option<Duration>, SyncError> {
        let now = self.writer.now([]);
        let half_hour = (now.stamp().wall / 1800).unsigned_abs();
        Ok(crowd(&mut Dice::new(self.writer.seed()?, "crowd", half_hour), &now))
    }

    /// Fetches `lists` and takes each as it comes. What has come is put in service while slow ones are still on their
    /// way.
    pub(super) fn fetch(&mut self, lists: Vec<&'a ListConfig>) -> Result<(), SyncError> {
        if lists.is_empty() {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(SyncError::Start)?;
        let fetcher = Fetcher::new(&self.config.reloadable.sync, Times::default());
        let fetcher = fetcher.leaving_alone(self.rests.clone());
        let rests = self.rests.clone();
        let mut hosts: BTreeMap<String, Vec<Desk<'a>>> = BTreeMap::new();
        for list in lists {
            let desk = match self.desk(list) {
                Ok(desk) => desk,
                Err(error) => {
                    self.took(list, Err(error))?;
                    continue;
                }
            };
            hosts.entry(host(list)).or_default().push(desk);
        }
        let (round, seed) = (self.round, self.writer.seed()?);
        hosts.values_mut().for_each(|desks| desks.sort_by_cached_key(|desk| desk.turn(seed)));
        let threads = hosts.len().min(HOSTS_AT_A_TIME);
        let queue = Mutex::new(hosts.into_values());
        let stop = AtomicBool::new(false);
        let (sender, results) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..threads {
                let sender = sender.clone();
                scope.spawn(|| ask(&queue, &runtime, &fetcher, &rests, round, &stop, sender));
            }
            drop(sender);
            let result = self.take_in(&results);
            stop.store(true, Ordering::Relaxed);
            result
        })
    }

    /// Takes what the threads bring until the last of them is done.
    fn take_in(&mut self, results: &mpsc::Receiver<Brought<'a>>) -> Result<(), SyncError> {
        let mut news = false;
        loop {
            match results.recv_timeout(PATIENCE) {
                Ok((desk, Asked::NotNow(left))) => {
                    self.done(ListReport::waits(&desk.list().name, left, Why::RetryAfter));
                }
                Ok((desk, Asked::Now(brought))) => {
                    let list = desk.list();
                    let done = brought.and_then(|brought| desk.settle(*brought));
                    news |= done.as_ref().is_ok_and(|report| report.outcome.is_some_and(Outcome::is_new));
                    self.took(list, done.map(Some))?;
                }
                Err(RecvTimeoutError::Timeout) if news => {
                    self.publish()?;
                    news = false;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.publish(),
            }
        }
    }
}

/// Who is asked too often says no, and not of one list alone.
fn tell_risk(list: &ListConfig, left: Duration, why: Why) {
    let left = left.as_secs().max(1);
    let whose = match why {
        Why::RetryAfter => "its server asked to be left alone",
        _ => "its publisher's least time between two fetches is not over",
    };
    tracing::warn!(
        list = %list.name,
        "asked for by force, {left} seconds too early: {whose}. Publishers block addresses that come too often, with all \
         their lists and without a word; then this one grows old and ends"
    );
}

/// A list and what became of asking for it.
type Brought<'a> = (Desk<'a>, Asked);

enum Asked {
    Now(Result<Box<Came>, SyncError>),
    /// Since others were asked, all of its servers want to be left alone.
    NotNow(Duration),
}

/// Asks host after host from the queue.
fn ask<'a>(
    queue: &Mutex<impl Iterator<Item = Vec<Desk<'a>>>>,
    runtime: &Runtime,
    fetcher: &Fetcher,
    rests: &Rests,
    round: u64,
    stop: &AtomicBool,
    results: mpsc::Sender<Brought<'a>>,
) {
    loop {
        let next = queue.lock().expect("no holder panics").next();
        let Some(desks) = next else { return };
        for mut desk in desks {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let asked = match desk.rests(rests) {
                Some(left) => Asked::NotNow(left),
                None => Asked::Now(desk.begin(round, rests).map(|(known, body)| {
                    runtime.block_on(async {
                        let brought = desk.fetch(fetcher, &known, body).await;
                        Box::new(desk.fetch_on(fetcher, known, brought).await)
                    })
                })),
            };
            if results.send((desk, asked)).is_err() {
                return;
            }
        }
    }
}

/// Somebody has to be asked for it.
fn is_elsewhere(list: &ListConfig) -> bool {
    list.source.urls().iter().any(|url| Transport::of(url) != Some(Transport::File))
}

/// Where it is asked for first. (Mirrors and redirects elsewhere wait for their turn there: [`Fetcher`] sees to it.)
fn host(list: &ListConfig) -> String {
    list.source.urls().first().and_then(fetch::host).unwrap_or_default()
}
