//! Watches what is in service: the store's generation, the ages of lists, and local decisions.
//!
//! One thread opens, checks and verifies the snapshots of a new generation away from the workers, keeps those that
//! did not change, and swaps the [`World`] whole. Whatever is wrong with one of them, the old world stays: never
//! half a new one. A changed configuration is made into a world first ([`Prepared`]), and is in service when the rest of it
//! is; there a zone whose snapshot cannot be used stays as it was, or waits, and holds up nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use nix::errno::Errno;

use super::damage::{self, Fate};
use super::decisions::{self, Watched};
use super::idle::giving_way;
use super::load::{Piecewise, piecewise};
use super::pulse::Pulse;
use super::{AccessLists, Expired, Served, Settings, World};
use crate::model::Name;
use crate::snapshot::{Damaged, FileId, SnapshotError};
use crate::store::{Generation, Store, StoreError};

/// A generation that could not be put in service is tried again after this time, or as soon as there is another, or
/// another file where a snapshot could not be used.
const RETRY: Duration = Duration::from_secs(30);

/// A lack of descriptors or memory is told no more often than this: it is met each time that the store is looked at.
const TELL: Duration = Duration::from_secs(60);

/// What a reload found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The generation in service is the newest.
    Unchanged,
    /// There is no generation yet.
    Nothing,
    /// This generation was put in service.
    Swapped(u64),
}

/// Why a generation was not put in service.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The generation cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A snapshot cannot be used.
    #[error("zone {zone}: {}: {source}", path.display())]
    Snapshot {
        /// The zone.
        zone: Name,
        /// Its snapshot.
        path: PathBuf,
        /// What is wrong.
        source: SnapshotError,
    },
    /// A snapshot holds something else than the generation says.
    #[error("zone {zone}: {}: {what} is not what the generation says", path.display())]
    Mismatch {
        /// The zone.
        zone: Name,
        /// Its snapshot.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// An answer of a snapshot is damaged, as found when expired lists were taken out.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A zone does not answer as it must.
    #[error("zone {zone} does not answer as it must: {what}")]
    Unproven {
        /// The zone.
        zone: Name,
        /// Which of its test points said what.
        what: String,
    },
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl ReloadError {
    /// Descriptors or memory: there may be some again in a moment.
    pub(super) fn is_a_lack(&self) -> bool {
        match self {
            Self::Snapshot { source: SnapshotError::Io(error), .. } => says_lack(error),
            Self::Store(error) => is_a_lack(error),
            _ => false,
        }
    }
}

/// See [`ReloadError::is_a_lack`].
pub(super) fn is_a_lack(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { cause, .. } if says_lack(cause))
}

fn says_lack(error: &io::Error) -> bool {
    let lacks = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| lacks.contains(&Errno::from_raw(code)))
}

/// The thread that watches. Dropping its commands ends it.
pub(super) struct Watcher {
    commands: mpsc::Sender<Order>,
    thread: JoinHandle<()>,
    pulse: Pulse,
}

/// What the watcher is told to do.
enum Order {
    /// To look at the store now.
    Look {
        /// Where the result goes.
        reply: mpsc::Sender<Result<Reloaded, ReloadError>>,
    },
    /// To serve another configuration.
    Configure {
        change: Change,
        /// Told when the world is made.
        made: mpsc::Sender<()>,
        /// Says when to put it in service; when it is dropped instead, the world is.
        go: mpsc::Receiver<()>,
        /// Told when it is in service.
        done: mpsc::Sender<()>,
    },
}

/// What of a configuration the watcher takes over.
pub(super) struct Change {
    pub(super) zones: Vec<Name>,
    /// For `version.bind`.
    pub(super) version: Option<String>,
    pub(super) access: AccessLists,
}

/// A changed configuration, its world made but not yet in service. Nothing else comes into service meanwhile; dropped, it
/// never was.
#[derive(Debug)]
pub struct Prepared(Option<Waits>);

#[derive(Debug)]
struct Waits {
    go: mpsc::Sender<()>,
    done: mpsc::Receiver<()>,
}

impl Prepared {
    /// Of a server whose worlds come from elsewhere.
    pub(super) fn nothing() -> Self {
        Self(None)
    }

    /// Puts it in service.
    pub fn apply(self) -> Result<(), ReloadError> {
        let Some(Waits { go, done }) = self.0 else { return Ok(()) };
        go.send(()).map_err(|_| ReloadError::Stopping)?;
        done.recv().map_err(|_| ReloadError::Stopping)
    }
}

impl Watcher {
    /// Puts in service what is there, zone by zone, and then watches. A zone whose snapshot cannot be used waits.
    pub(super) fn start(
        settings: &Settings,
        worlds: Arc<ArcSwap<World>>,
        mut expired: Expired,
    ) -> io::Result<Self> {
        let mut loader = Loader {
            settings: settings.clone(),
            worlds,
            expired: expired(),
            decisions: Watched::new(settings.state.clone()),
            stamp: None,
            failed: None,
            lack_told: None,
            end: None,
            last: None,
            files: BTreeMap::new(),
            unlinked: BTreeSet::new(),
        };
        loader.begin();
        let (commands, orders) = mpsc::channel();
        let pulse = Pulse::default();
        let beating = pulse.clone();
        let thread = thread::Builder::new()
            .name("dns-watch".into())
            .spawn(move || watch(&mut loader, &mut expired, &orders, &beating))?;
        Ok(Self { commands, thread, pulse })
    }

    /// Shows that the thread goes on.
    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Looks now, and waits for the result.
    pub(super) fn reload(&self) -> Result<Reloaded, ReloadError> {
        let (reply, result) = mpsc::channel();
        self.commands.send(Order::Look { reply }).map_err(|_| ReloadError::Stopping)?;
        result.recv().map_err(|_| ReloadError::Stopping)?
    }

    /// Makes the world of a changed configuration, and waits until that is done.
    pub(super) fn prepare(&self, change: Change) -> Result<Prepared, ReloadError> {
        let ((made, is_made), (go, wait), (done, is_done)) =
            (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let order = Order::Configure { change, made, go: wait, done };
        self.commands.send(order).map_err(|_| ReloadError::Stopping)?;
        is_made.recv().map_err(|_| ReloadError::Stopping)?;
        Ok(Prepared(Some(Waits { go, done: is_done })))
    }

    pub(super) fn stop(self) {
        drop(self.commands);
        // A panic has been reported already.
        let _ = self.thread.join();
    }
}

fn watch(loader: &mut Loader, expired: &mut Expired, orders: &mpsc::Receiver<Order>, pulse: &Pulse) {
    let mut due = Instant::now() + loader.settings.watch;
    loop {
        let nap = due.saturating_duration_since(Instant::now()).min(decisions::LOOK);
        let order = pulse.rest(|| orders.recv_timeout(nap));
        loader.look_at_decisions();
        if matches!(order, Err(RecvTimeoutError::Timeout)) && Instant::now() < due {
            continue;
        }
        due = Instant::now() + loader.settings.watch;
        loader.look_at_ages(expired());
        loader.look_at_files();
        match order {
            // Whoever asked may be gone.
            Ok(Order::Look { reply }) => _ = reply.send(loader.reload(true)),
            Ok(Order::Configure { change, made, go, done }) => {
                let settings = loader.changed(change);
                let draft = loader.draft(&settings);
                if made.send(()).is_ok() && go.recv().is_ok() {
                    loader.configure(settings, draft, expired());
                    let _ = done.send(());
                }
            }
            // What goes wrong has been logged.
            Err(RecvTimeoutError::Timeout) => drop(loader.reload(false)),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct Loader {
    settings: Settings,
    worlds: Arc<ArcSwap<World>>,
    expired: BTreeSet<String>,
    decisions: Watched,
    /// The generation file that was looked at last.
    stamp: Option<FileId>,
    /// Why it could not be put in service.
    failed: Option<Failed>,
    /// When a lack was told of last.
    lack_told: Option<Instant>,
    /// When the data of the first zone in service end, in seconds since 1970.
    end: Option<i64>,
    /// The generation that was read last: while there is none that can be read, zones are looked for in this one.
    last: Option<(Store, Generation)>,
    /// The files of the zones in service.
    files: BTreeMap<Name, PathBuf>,
    /// Those of them that were found to be gone, which is said once.
    unlinked: BTreeSet<PathBuf>,
}

/// A generation that could not be put in service, or not all of it.
struct Failed {
    at: Instant,
    /// The system lacked something, which says nothing of the generation.
    lacked: bool,
    /// The snapshots that could not be used.
    files: Vec<(PathBuf, Option<FileId>)>,
}

impl Failed {
    /// Whether another try may end better.
    fn is_due(&self) -> bool {
        self.lacked
            || self.at.elapsed() >= RETRY
            || self.files.iter().any(|(path, file)| *file != file_at(path))
    }
}

/// A world for a changed configuration, and what is known of it.
struct Draft {
    world: World,
    stamp: Option<FileId>,
    /// The generation, and what of it is in the world.
    found: Option<(Store, Generation, Generation)>,
    failed: Option<Failed>,
}

impl Loader {
    /// The first look: every zone that can be served is.
    fn begin(&mut self) {
        self.decisions.look();
        let settings = self.settings.clone();
        let draft = self.draft(&settings);
        if draft.found.is_some() && !self.expired.is_empty() {
            self.tell_expired();
        }
        self.take(draft);
    }

    /// The settings with what changes of them.
    fn changed(&self, Change { zones, version, access }: Change) -> Settings {
        Settings { zones, version, access, ..self.settings.clone() }
    }

    /// A world of these settings with what can be had: whatever is wrong with the data of a zone, all others, and who is let
    /// in, do not wait for it.
    fn draft(&mut self, settings: &Settings) -> Draft {
        // Taken before reading: when the file is replaced in between, the next look finds another one.
        let (stamp, failed) = (self.look(), self.failed.take());
        let previous = self.worlds.load_full();
        let mut nothing = Served::Waiting;
        let read = self.read().unwrap_or_else(|error| {
            if !error.is_a_lack() {
                nothing = Served::Useless;
            }
            self.note_failure(&error, "zones stay as they are, or wait (SERVFAIL)");
            None
        });
        if read.is_none() && self.last.is_some() {
            tracing::warn!("there is no generation to be had; zones are looked for in the one before");
        }
        let Some((store, generation)) = read.or_else(|| self.last.clone()) else {
            let failed = std::mem::replace(&mut self.failed, failed);
            return Draft { world: World::without_data(settings, &nothing), stamp, found: None, failed };
        };
        let make = || piecewise(settings, &store, &generation, &self.expired, &previous);
        // At the start there is nobody to give way to.
        let made = if previous.generation.is_some() { giving_way(make) } else { make() };
        let Piecewise { world, used, errors } = made;
        for error in errors {
            self.note_failure(&error, "the zone stays as it is, or waits (SERVFAIL)");
        }
        let failed = std::mem::replace(&mut self.failed, failed);
        Draft { world, stamp, found: Some((store, generation, used)), failed }
    }

    /// Serves these settings from now on: zones that are gone no more, whatever became of the others.
    fn configure(&mut self, settings: Settings, mut draft: Draft, expired: BTreeSet<String>) {
        if expired != self.expired {
            // Lists may have changed with the settings.
            self.expired = expired;
            match draft.world.masked(&self.expired) {
                Ok(world) => draft.world = world,
                Err(damage) => tracing::error!(%damage, "expired lists cannot be taken out"),
            }
            if !self.expired.is_empty() {
                self.tell_expired();
            }
        }
        self.settings = settings;
        self.take(draft);
    }

    fn take(&mut self, Draft { world, stamp, found, failed }: Draft) {
        self.put(&world);
        (self.stamp, self.failed) = (stamp, failed);
        if let Some((store, generation, used)) = found {
            self.end = next_end(&generation);
            self.remember_files(&store, &used);
            self.last = Some((store, generation));
        }
    }

    /// Serves `world` from now on, under the local decisions that are in force.
    fn put(&self, world: &World) {
        self.worlds.store(Arc::new(world.decided(self.decisions.in_force())));
    }

    /// Which files are in service; zones that the generation forgot and that stay keep theirs.
    fn remember_files(&mut self, store: &Store, generation: &Generation) {
        let world = self.worlds.load();
        let files =
            generation.zones.iter().map(|(origin, entry)| (origin.clone(), store.snapshot(&entry.file)));
        self.files.extend(files);
        self.files.retain(|origin, _| world.zone(origin).is_some());
        self.unlinked.retain(|path| self.files.values().any(|file| file == path));
    }

    /// Puts the store's generation in service when it is another than the last. `insist` tries a failed one again.
    fn reload(&mut self, insist: bool) -> Result<Reloaded, ReloadError> {
        // Taken before reading: when the file is replaced in between, the next look finds another one.
        let stamp = self.look();
        let again = self.failed.as_ref().is_some_and(|failed| insist || failed.is_due());
        let again = again || self.end.is_some_and(|end| end <= wall_clock());
        if stamp == self.stamp && !again {
            return Ok(if stamp.is_some() { Reloaded::Unchanged } else { Reloaded::Nothing });
        }
        self.stamp = stamp;
        self.failed = None;
        let result = self.swap();
        if let Err(error) = &result {
            self.note_failure(error, "what is in service stays");
        }
        result
    }

    fn swap(&mut self) -> Result<Reloaded, ReloadError> {
        let Some((store, generation)) = self.read()? else {
            tracing::warn!("there is no generation; what is in service stays");
            return Ok(Reloaded::Nothing);
        };
        self.end = next_end(&generation);
        let previous = self.worlds.load_full();
        let build = || World::build(&self.settings, &store, &generation, &self.expired, &previous);
        let world = giving_way(build)?;
        self.put(&world);
        self.remember_files(&store, &generation);
        let number = generation.number;
        self.last = Some((store, generation));
        tracing::info!(generation = number, "in service");
        Ok(Reloaded::Swapped(number))
    }

    /// Takes over what a person decided, and lets go of what is over.
    fn look_at_decisions(&mut self) {
        if self.decisions.look() {
            self.put(&self.worlds.load());
        }
    }

    /// Takes the answers of expired lists out, or puts those of refreshed ones back.
    fn look_at_ages(&mut self, expired: BTreeSet<String>) {
        if expired == self.expired {
            return;
        }
        self.expired = expired;
        match self.worlds.load().masked(&self.expired) {
            Ok(world) => self.worlds.store(Arc::new(world)),
            Err(damage) => {
                tracing::error!(%damage, "expired lists cannot be taken out; zones stay as they are");
                return;
            }
        }
        if self.expired.is_empty() {
            tracing::info!("no list is past its hard age any more");
        } else {
            self.tell_expired();
        }
    }

    fn tell_expired(&self) {
        tracing::warn!(lists = ?self.expired, "these lists are past their hard age and fall silent");
    }

    /// Takes out of service what is no longer what was verified.
    fn look_at_files(&mut self) {
        if self.settings.private_copy {
            return;
        }
        let world = self.worlds.load_full();
        let mut changed = BTreeMap::new();
        let mut has_room = true;
        let files = std::mem::take(&mut self.files);
        for (origin, path) in &files {
            let Some(Served::Ready(zone)) = world.zone(origin) else { continue };
            // A generation that was put in service since takes files with it, and is looked at next.
            let is_wanted = || self.look() == self.stamp;
            if damage::is_gone(path, zone.snapshot().data())
                && is_wanted()
                && self.unlinked.insert(path.clone())
            {
                tracing::warn!(zone = %origin, path = %path.display(), "its file is gone or another; what is mapped serves on");
            }
            let whole = match damage::look(path, zone.snapshot().data()) {
                Fate::Untouched => {
                    let mapped = zone.snapshot().data();
                    has_room = has_room && (mapped.file().is_some() || damage::keep(path, mapped));
                    Ok(())
                }
                Fate::Touched(now) => giving_way(|| damage::check(zone.snapshot(), now)),
                Fate::Cut => Err(SnapshotError::Io(io::ErrorKind::UnexpectedEof.into())),
            };
            if let Err(source) = whole {
                changed.insert(origin.clone(), self.damaged(origin, path, source));
            }
        }
        self.files = files;
        if !changed.is_empty() {
            self.worlds.store(Arc::new(world.with(&changed)));
        }
    }

    fn damaged(&mut self, origin: &Name, path: &Path, source: SnapshotError) -> Served {
        let error = ReloadError::Snapshot { zone: origin.clone(), path: path.to_owned(), source };
        self.note_failure(&error, "its file was changed while it was in service; the zone answers SERVFAIL");
        Served::Useless
    }

    /// Which file names what is in service.
    fn look(&self) -> Option<FileId> {
        file_at(&self.settings.state.join(GENERATION))
    }

    /// The store and its generation; `None` before the first sync.
    fn read(&self) -> Result<Option<(Store, Generation)>, ReloadError> {
        if !self.settings.state.exists() {
            return Ok(None);
        }
        let store = Store::existing(&self.settings.state)?;
        Ok(store.generation()?.map(|generation| (store, generation)))
    }

    fn note_failure(&mut self, error: &ReloadError, so: &str) {
        let failed = self.failed.get_or_insert_with(|| Failed {
            at: Instant::now(),
            lacked: false,
            files: Vec::new(),
        });
        failed.lacked |= error.is_a_lack();
        if let ReloadError::Snapshot { path, .. } | ReloadError::Mismatch { path, .. } = error {
            failed.files.push((path.clone(), file_at(path)));
        }
        if error.is_a_lack() {
            if self.lack_told.is_some_and(|at| at.elapsed() < TELL) {
                tracing::debug!(%error, "{so}");
                return;
            }
            self.lack_told = Some(Instant::now());
        }
        tracing::error!(%error, "{so}");
    }
}

/// When the next zone ends whose data have not ended yet.
fn next_end(generation: &Generation) -> Option<i64> {
    let now = wall_clock();
    generation.zones.values().filter_map(|entry| entry.until).filter(|&end| end > now).min()
}

/// Seconds since 1970.
pub(super) fn wall_clock() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Which file is there now; `None` when there is none or it cannot be looked at.
pub(super) fn file_at(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|file| FileId::of(&file))
}

/// The file of the store that names what is in service.
const GENERATION: &str = "generation.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_says_nothing_of_a_generation() {
        let snapshot = |cause| ReloadError::Snapshot {
            zone: "bl.example".parse().unwrap(),
            path: "snapshot".into(),
            source: SnapshotError::Io(cause),
        };
        let store = |cause| {
            ReloadError::Store(StoreError::Io { action: "read", path: "generation.json".into(), cause })
        };
        for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM] {
            assert!(snapshot(errno.into()).is_a_lack() && store(errno.into()).is_a_lack(), "{errno}");
        }
        for errno in [Errno::ENOENT, Errno::EIO] {
            assert!(!snapshot(errno.into()).is_a_lack() && !store(errno.into()).is_a_lack(), "{errno}");
        }
        // Then it is tried again with the next look, else not before something else is there.
        let failed = |lacked| Failed { at: Instant::now(), lacked, files: Vec::new() };
        assert!(failed(true).is_due() && !failed(false).is_due());
    }
}
