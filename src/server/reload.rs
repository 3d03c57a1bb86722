//! Watches what is in service: the store's generation, the ages of lists, and local decisions.
//!
//! One thread opens, checks and verifies the snapshots of a new generation away from the workers, keeps those that
//! did not change, and swaps the [`World`] whole. Whatever is wrong with one of them, the old world stays: never
//! half a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::damage::{self, Fate};
use super::decisions::{self, Watched};
use super::load::{giving_way, serve, subzones, untouched};
use super::proof::prove;
use super::pulse::Pulse;
use super::{AccessLists, Expired, Served, Settings, World};
use crate::model::Name;
use crate::snapshot::{Damaged, FileId, SnapshotError};
use crate::store::{Generation, Store, StoreError};

/// A generation that could not be put in service is tried again after this time, or as soon as there is another, or
/// another file where a snapshot could not be used.
const RETRY: Duration = Duration::from_secs(30);

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

/// The thread that watches. Dropping its commands ends it.
pub(super) struct Watcher {
    commands: mpsc::Sender<Order>,
    thread: JoinHandle<()>,
    pulse: Pulse,
}

/// To look at the store now.
struct Order {
    /// With these zones and access lists from now on, and this for `version.bind`.
    change: Option<(Vec<Name>, Option<String>, AccessLists)>,
    /// Where the result goes.
    reply: mpsc::Sender<Result<Reloaded, ReloadError>>,
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
            end: None,
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
        self.order(None)
    }

    /// Takes other zones over now, and waits for the result.
    pub(super) fn configure(
        &self,
        zones: Vec<Name>,
        version: Option<String>,
        access: AccessLists,
    ) -> Result<Reloaded, ReloadError> {
        self.order(Some((zones, version, access)))
    }

    fn order(
        &self,
        change: Option<(Vec<Name>, Option<String>, AccessLists)>,
    ) -> Result<Reloaded, ReloadError> {
        let (reply, result) = mpsc::channel();
        self.commands.send(Order { change, reply }).map_err(|_| ReloadError::Stopping)?;
        result.recv().map_err(|_| ReloadError::Stopping)?
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
            Ok(Order { change, reply }) => {
                let result = match change {
                    Some((zones, version, access)) => loader.configure(zones, version, access),
                    None => loader.reload(true),
                };
                // Whoever asked may be gone.
                let _ = reply.send(result);
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
    /// When the data of the first zone in service end, in seconds since 1970.
    end: Option<i64>,
    /// The files of the zones in service.
    files: BTreeMap<Name, PathBuf>,
    /// Those of them that were found to be gone, which is said once.
    unlinked: BTreeSet<PathBuf>,
}

/// A generation that could not be put in service, or not all of it.
struct Failed {
    at: Instant,
    /// The snapshots that could not be used.
    files: Vec<(PathBuf, Option<FileId>)>,
}

impl Failed {
    /// Whether another try may end better.
    fn is_due(&self) -> bool {
        self.at.elapsed() >= RETRY || self.files.iter().any(|(path, file)| *file != file_at(path))
    }
}

impl Loader {
    /// The first look: every zone that can be served is.
    fn begin(&mut self) {
        self.decisions.look();
        self.stamp = self.look();
        let (store, generation) = match self.read() {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => return self.note_failure(&error, "every zone waits (SERVFAIL)"),
        };
        self.end = next_end(&generation);
        if !self.expired.is_empty() {
            self.tell_expired();
        }
        let mut zones = BTreeMap::new();
        let subzones = subzones(&self.settings, &generation, &BTreeMap::new());
        for origin in self.settings.zones.clone().into_iter().chain(subzones.keys().cloned()) {
            let served = serve(&self.settings, &origin, &store, &generation, &self.expired, None);
            let served = served.unwrap_or_else(|error| {
                self.note_failure(&error, "the zone waits (SERVFAIL)");
                Served::Waiting
            });
            zones.insert(origin, served);
        }
        let version = self.settings.version.clone();
        let world = |zones: &BTreeMap<Name, Served>| {
            World::new(zones.clone(), version.clone(), Some(generation.number))
                .with_subzones(subzones.clone())
        };
        let tried = world(&zones);
        for (origin, served) in &mut zones {
            if let Err(error) = prove(&tried, origin) {
                self.note_failure(&error, "the zone waits (SERVFAIL)");
                *served = Served::Waiting;
            }
        }
        let world = world(&zones);
        self.put(&world.guarded(&self.settings.access).placed(&self.settings));
        self.remember_files(&store, &generation);
    }

    /// Serves `world` from now on, under the local decisions that are in force.
    fn put(&self, world: &World) {
        self.worlds.store(Arc::new(world.decided(self.decisions.in_force())));
    }

    /// Zones that the generation forgot and that stay in service keep their files.
    fn remember_files(&mut self, store: &Store, generation: &Generation) {
        let files =
            generation.zones.iter().map(|(origin, entry)| (origin.clone(), store.snapshot(&entry.file)));
        self.files.extend(files);
        let world = self.worlds.load();
        self.files.retain(|origin, _| world.zone(origin).is_some());
        self.unlinked.clear();
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

    /// Serves `zones` from now on: those that are new as far as the generation has them, those that are gone no
    /// more. When one of them cannot be used, the old world stays until there is a better generation.
    fn configure(
        &mut self,
        zones: Vec<Name>,
        version: Option<String>,
        access: AccessLists,
    ) -> Result<Reloaded, ReloadError> {
        self.settings.zones = zones;
        self.settings.version = version;
        self.settings.access = access;
        // Who is let in does not wait for data that may be damaged.
        if let Ok(world) = self.worlds.load().masked(&self.expired) {
            self.put(&world.guarded(&self.settings.access).placed(&self.settings));
        }
        if self.worlds.load().generation.is_none() && self.look().is_none() {
            self.worlds.store(Arc::new(World::waiting(&self.settings)));
            return Ok(Reloaded::Nothing);
        }
        // Whatever was looked at last, it was with other zones.
        self.stamp = None;
        self.reload(true)
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
        tracing::info!(generation = generation.number, "in service");
        Ok(Reloaded::Swapped(generation.number))
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
        let files = std::mem::take(&mut self.files);
        for (origin, path) in &files {
            let Some(Served::Ready(zone)) = world.zone(origin) else { continue };
            if damage::is_gone(path, zone.snapshot().data()) && self.unlinked.insert(path.clone()) {
                tracing::warn!(zone = %origin, path = %path.display(), "its file is gone or another; what is mapped serves on");
            }
            match damage::look(zone.snapshot().data()) {
                Fate::Untouched => {}
                Fate::Touched => match giving_way(|| untouched(zone)) {
                    Ok(zone) => _ = changed.insert(origin.clone(), Served::Ready(zone)),
                    Err(source) => _ = changed.insert(origin.clone(), self.damaged(origin, path, source)),
                },
                Fate::Cut => {
                    let source = SnapshotError::Io(io::ErrorKind::UnexpectedEof.into());
                    changed.insert(origin.clone(), self.damaged(origin, path, source));
                }
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
        Served::Waiting
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
        let failed = self.failed.get_or_insert_with(|| Failed { at: Instant::now(), files: Vec::new() });
        if let ReloadError::Snapshot { path, .. } | ReloadError::Mismatch { path, .. } = error {
            failed.files.push((path.clone(), file_at(path)));
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
