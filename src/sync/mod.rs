//! One sync: what happens to every list, from its source to the answers in service.
//!
//! [`run`] takes the store's lock, gives renamed lists their folders, reads the lists that need no network first and puts them in service at once, then
//! fetches what is due (a few hosts at a time, each host one request at a time), reads and judges each body, stores
//! its set, and publishes a generation whenever zones have changed. A list that fails, is held or refused keeps its
//! last good set; the others go on. Everything is written so that a kill at any point leaves the last good
//! generation in service. Runs in a process of its own; never answers questions, never prints (a [`Watcher`] does).

mod by_hand;
mod fetching;
mod hook;
mod list;
mod renamed;
mod zones;

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

use crate::compile::Diff;
use crate::config::{Config, ListConfig, Slug};
use crate::feed::fetch::Rests;
use crate::feed::schedule::Why;
use crate::model::{Name, Use};
use crate::parse::Diag;
use crate::snapshot::WriteError;
use crate::store::killpoint::killpoint;
use crate::store::{Attempt, By, ListStatus, Lock, Outcome, Store, StoreError, Told, Unknown, Wait, Writer};
use list::Desk;

pub use by_hand::{Settled, Wish, decide, settle};
pub(crate) use list::hold::{AGREEING, AGREEING_OVER};
pub(crate) use list::{status_as, unread};

/// What is asked of a sync.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// These lists, whether or not the timer would come to them yet; empty: all that are due.
    pub lists: Vec<Slug>,
    /// Wait for another writer instead of leaving.
    pub wait: bool,
    /// Ask for them although their publishers want to be left alone. Of named lists only.
    pub force: bool,
}

/// What happens while a sync runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A list is being asked for.
    Started {
        /// Its name.
        list: &'a Slug,
    },
    /// A body is on its way.
    Progress {
        /// The list.
        list: &'a Slug,
        /// Octets so far.
        received: u64,
        /// Octets in all, when the source says so.
        total: Option<u64>,
    },
    /// A line of a list could not be read.
    BadLine {
        /// The list.
        list: &'a Slug,
        /// The file it stands in, when it is one of the operator's.
        file: Option<&'a Path>,
        /// Where and why.
        diag: &'a Diag,
    },
    /// A list is done with.
    List(&'a ListReport),
    /// A zone was compiled.
    Zone(&'a ZoneReport),
    /// A generation is in service.
    Published {
        /// Its number.
        number: u64,
    },
}

/// Told what happens, from several threads.
pub trait Watcher: Send + Sync {
    /// It happened.
    fn event(&self, event: &Event<'_>);
}

/// What became of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListReport {
    /// Its name.
    pub list: Slug,
    /// What became of it; `None`: it was not asked for.
    pub outcome: Option<Outcome>,
    /// Why, for people.
    pub reasons: Vec<String>,
    /// It was held or refused for the same reasons before, and that was told.
    pub again: bool,
    /// What is to be remembered as told when it was.
    #[serde(skip)]
    to_tell: Option<Told>,
    /// Entries of the current set.
    pub entries: Option<u64>,
    /// Lines that could not be read.
    pub bad_lines: u64,
    /// What the new version brings and takes away.
    pub diff: Option<Diff>,
    /// Why it was not asked for, and the seconds until it may be.
    pub waits: Option<(u64, &'static str)>,
}

impl ListReport {
    fn new(list: &Slug) -> Self {
        Self {
            list: list.clone(),
            outcome: None,
            reasons: Vec::new(),
            again: false,
            to_tell: None,
            entries: None,
            bad_lines: 0,
            diff: None,
            waits: None,
        }
    }

    fn waits(list: &Slug, left: Duration, why: Why) -> Self {
        let why = match why {
            Why::Floor => "the publisher's least time between two fetches",
            Why::RetryAfter => "its server asked to be left alone",
            Why::Pause => "the pause after the last attempt",
            Why::Crowd => "everybody asks at the hour and half hour",
        };
        Self { waits: Some((left.as_secs().max(1), why)), ..Self::new(list) }
    }

    /// The list was held, refused or not reached.
    pub fn is_problem(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_problem)
    }
}

/// A zone that was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ZoneReport {
    /// Its origin.
    pub origin: Name,
    /// Its content is new.
    pub changed: bool,
    /// Why it could not be compiled, for people; what it had stays in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// It has nothing in service.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Another writer was at work: nothing was done. What its lock file says of it.
    pub busy: Option<String>,
    /// The lists, in the order in which they were done.
    pub lists: Vec<ListReport>,
    /// The zones that were compiled.
    pub zones: Vec<ZoneReport>,
    /// The generation in service now, if it is a new one.
    pub published: Option<u64>,
    /// Lists are due, but everybody asks at this time: whoever syncs again after so long fetches them.
    #[serde(skip)]
    pub come_back: Option<Duration>,
}

impl Summary {
    /// What both did, `next` after this one.
    #[must_use]
    pub fn followed_by(mut self, next: Self) -> Self {
        self.lists.retain(|list| list.waits.is_none());
        let known: Vec<Slug> = self.lists.iter().map(|list| list.list.clone()).collect();
        self.lists.extend(next.lists.into_iter().filter(|list| !known.contains(&list.list)));
        self.zones.retain(|zone| next.zones.iter().all(|newer| newer.origin != zone.origin));
        self.zones.extend(next.zones);
        Self { published: next.published.or(self.published), come_back: next.come_back, ..self }
    }
}

/// Why a sync could not go on. What one list does wrong is never an error here.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A zone that no snapshot can hold.
    #[error("cannot write the snapshot of zone {zone}: {cause}")]
    Snapshot {
        /// The zone.
        zone: Name,
        /// Why.
        cause: WriteError,
    },
    /// No thread or no runtime could be started.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// A list that is not configured.
    #[error("there is no list `{0}` in the configuration")]
    UnknownList(Slug),
    /// A list that no guard looks at.
    #[error(
        "{0} is your own list, served as it is written: nothing of it is held, and the file is where to change it"
    )]
    OwnList(Slug),
    /// Nothing to let through.
    #[error("{0}: nothing is held")]
    NothingHeld(Slug),
    /// Another version is held than the one that was named.
    #[error("{0}: what is held is not `{1}`; `gatepost diff {0}` shows what it is")]
    NotHeld(Slug, String),
    /// A sync that was waited for came first.
    #[error(
        "{0}: while this waited for a sync, that changed what is held; `gatepost status` and `gatepost diff {0}` show it"
    )]
    Replaced(Slug),
    /// What is held is not what was shown.
    #[error(
        "{0}: what is held is read as another list now than when it was held; the next fetch brings it again"
    )]
    OtherHeld(Slug),
    /// What is held is no list any more.
    #[error("{0}: what is held cannot be read as the configuration asks now: {1}")]
    NotAList(Slug, String),
    /// A person has decided otherwise.
    #[error("{0} is pinned: nothing is taken until `gatepost unpin {0}`")]
    Pinned(Slug),
    /// Nothing to undo.
    #[error("{0} is not pinned")]
    NotPinned(Slug),
    /// A version of another list, for another use, that had the same name.
    #[error(
        "{list}: {version} is of another list that had this name, and `use = \"{use_}\"`: it came from {place}"
    )]
    AnotherList {
        /// The list.
        list: Slug,
        /// The version, in short.
        version: String,
        /// Where that came from.
        place: String,
        /// What the list was good for then.
        use_: Use,
    },
    /// A version of which nothing tells what it was good for.
    #[error(
        "{0}: {1} is from before the list's `use` was turned, and no log tells where it came from: it is not put in service"
    )]
    UnknownUse(Slug, String),
    /// What a person decided of was another list's.
    #[error(
        "{0}: what was there is of another list that had this name, at other places and for another `use`: it is forgotten, and \
         the next sync fetches the list"
    )]
    Forgotten(Slug),
    /// A version that is not kept.
    #[error("{0}: {1}")]
    NoVersion(Slug, Unknown),
}

/// While bodies are still coming, what has come is put in service after a silence of this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Syncs.
pub fn run(
    config: &Config,
    store: &Store,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Summary, SyncError> {
    if let Some(unknown) = options.lists.iter().find(|list| !config.reloadable.lists.contains_key(*list)) {
        return Err(SyncError::UnknownList(unknown.clone()));
    }
    let wait = if options.wait { Wait::Yes } else { Wait::No };
    match store.lock(wait)? {
        Lock::Taken(writer) => {
            let by = if options.lists.is_empty() { By::Timer } else { By::Person };
            Run::new(config, &writer, watcher, by).run(options)
        }
        Lock::Busy(by) => Ok(Summary { busy: Some(by), ..Summary::default() }),
    }
}

struct Run<'a> {
    config: &'a Config,
    writer: &'a Writer,
    watcher: &'a dyn Watcher,
    by: By,
    summary: Summary,
    /// Those that run.
    hooks: Vec<JoinHandle<()>>,
    /// Servers that want to be left alone.
    rests: Rests,
    /// This one, see [`ListStatus::round`].
    round: u64,
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, writer: &'a Writer, watcher: &'a dyn Watcher, by: By) -> Self {
        let (summary, hooks, rests) = (Summary::default(), Vec::new(), Rests::default());
        Self { config, writer, watcher, by, summary, hooks, rests, round: 0 }
    }

    fn run(mut self, options: &Options) -> Result<Summary, SyncError> {
        let done = self.lists(options);
        // What they were told is true whatever came after it.
        for hook in self.hooks {
            let _ = hook.join();
        }
        done.map(|()| self.summary)
    }

    fn lists(&mut self, options: &Options) -> Result<(), SyncError> {
        renamed::take_along(self.config, self.writer)?;
        let lists = self.config.reloadable.lists.values();
        let asked = |name: &Slug| options.lists.is_empty() || options.lists.contains(name);
        let (own, feeds): (Vec<_>, Vec<_>) =
            lists.filter(|list| asked(&list.name)).partition(|list| list.is_own());
        for list in own {
            let done = self.desk(list).and_then(Desk::own);
            self.took(list, done.map(Some))?;
        }
        let mut readable = Vec::new();
        for list in feeds {
            let done = self.desk(list).and_then(Desk::read_again);
            if self.took(list, done)? {
                readable.push(list);
            }
        }
        self.publish()?;
        let due = self.due(&readable, options)?;
        self.fetch(due)
    }

    /// Takes note of what became of a list; whether there is anything that could be worked with. What cannot be read or written
    /// in its folder costs that list, not the others.
    fn took(
        &mut self,
        list: &ListConfig,
        done: Result<Option<ListReport>, SyncError>,
    ) -> Result<bool, SyncError> {
        let report = match done {
            Ok(report) => {
                report.into_iter().for_each(|report| self.done(report));
                return Ok(true);
            }
            Err(SyncError::Store(error)) if error.is_within(self.writer.store().list(&list.name).path()) => {
                let (outcome, reasons) = (Some(Outcome::Failed), vec![error.to_string()]);
                if error.is_full() {
                    self.remember_failed(&list.name, &reasons);
                }
                let entries = self.entries_in_service(&list.name);
                ListReport { outcome, reasons, entries, ..ListReport::new(&list.name) }
            }
            Err(error) => return Err(error),
        };
        self.done(report);
        Ok(false)
    }

    /// Of a list that does not fit: what is said of it is little, and may.
    fn remember_failed(&self, list: &Slug, reasons: &[String]) {
        let remember = || {
            let keeper = self.writer.list(list)?;
            let mut status = keeper.status()?;
            let now = self.writer.now([&status]);
            status.not_accepted(Outcome::Failed, reasons.to_vec(), &now);
            keeper.put_status(&status)?;
            let (outcome, reasons) = (Outcome::Failed, reasons.to_vec());
            keeper.log(&Attempt { outcome, reasons, by: self.by, ..Attempt::new(now.stamp().wall) })
        };
        if let Err(error) = remember() {
            tracing::warn!(%list, "its trouble cannot be written down: {error}");
        }
    }

    /// Of a list whose folder is in trouble: by its status, or else by the newest set that can be read.
    fn entries_in_service(&self, list: &Slug) -> Option<u64> {
        let configured = self.config.reloadable.lists.get(list)?;
        let list = self.writer.store().list(list);
        if let Ok(status) = status_as(configured, &list) {
            return status.set.map(|set| set.entries);
        }
        list.sets().ok()?.iter().find_map(|hash| Some(list.set(hash).ok()?.len() as u64))
    }

    fn desk(&self, list: &'a ListConfig) -> Result<Desk<'a>, SyncError> {
        Desk::new(self.config, list, self.writer, self.watcher, self.by)
    }

    fn done(&mut self, report: ListReport) {
        if report.to_tell.is_some() {
            killpoint("trouble-written");
        }
        if let Some(hook) = self.config.reloadable.sync.hook.as_deref().filter(|_| !report.again) {
            self.hooks.extend(hook::run(hook, &report));
        }
        self.watcher.event(&Event::List(&report));
        if let Some(told) = &report.to_tell {
            killpoint("trouble-told");
            self.remember_told(&report.list, told);
        }
        self.summary.lists.push(report);
    }

    /// Only now: a sync that was killed before it told tells next time. What cannot be remembered is told again.
    fn remember_told(&self, list: &Slug, told: &Told) {
        let remember = || {
            let keeper = self.writer.list(list)?;
            let status = ListStatus { told: Some(told.clone()), ..keeper.status()? };
            keeper.put_status(&status)
        };
        if let Err(error) = remember() {
            tracing::warn!(%list, "its trouble will be told again, for that it was told cannot be written down: {error}");
        }
    }

    fn publish(&mut self) -> Result<(), SyncError> {
        let (zones, generation) = zones::publish(self.config, self.writer, self.watcher)?;
        // What was in the way before may have been fetched meanwhile.
        let is_again = |before: &ZoneReport| zones.iter().any(|zone| zone.origin == before.origin);
        self.summary.zones.retain(|before| before.trouble.is_none() || !is_again(before));
        self.summary.zones.extend(zones);
        self.summary.published = generation.map(|generation| generation.number).or(self.summary.published);
        Ok(())
    }
}
