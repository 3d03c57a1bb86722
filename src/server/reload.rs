//! Watches what is in service: the store's generation, and the ages of lists.
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

use super::{AccessLists, Expired, Served, Settings, World};
use crate::model::Name;
use crate::snapshot::{Damaged, FileId, Mapped, Snapshot, SnapshotError};
use crate::store::{Generation, Store, StoreError, ZoneEntry};
use crate::zone::Zone;

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
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// The thread that watches. Dropping its commands ends it.
pub(super) struct Watcher {
    commands: mpsc::Sender<Order>,
    thread: JoinHandle<()>,
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
            stamp: None,
            failed: None,
            end: None,
        };
        loader.begin();
        let (commands, orders) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("dns-watch".into())
            .spawn(move || watch(&mut loader, &mut expired, &orders))?;
        Ok(Self { commands, thread })
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

fn watch(loader: &mut Loader, expired: &mut Expired, orders: &mpsc::Receiver<Order>) {
    loop {
        let order = orders.recv_timeout(loader.settings.watch);
        loader.look_at_ages(expired());
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
    /// The generation file that was looked at last.
    stamp: Option<FileId>,
    /// Why it could not be put in service.
    failed: Option<Failed>,
    /// When the data of the first zone in service end, in seconds since 1970.
    end: Option<i64>,
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
        let mut zones = Vec::new();
        let subzones = subzones(&self.settings, &generation, &BTreeMap::new());
        for origin in self.settings.zones.clone().into_iter().chain(subzones.keys().cloned()) {
            let served = serve(&origin, &store, &generation, &self.expired, None);
            let served = served.unwrap_or_else(|error| {
                self.note_failure(&error, "the zone waits (SERVFAIL)");
                Served::Waiting
            });
            zones.push((origin, served));
        }
        let version = self.settings.version.clone();
        let world = World::new(zones, version, Some(generation.number)).with_subzones(subzones);
        self.worlds.store(Arc::new(world.guarded(&self.settings.access).placed(&self.settings)));
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
            self.worlds.store(Arc::new(world.guarded(&self.settings.access).placed(&self.settings)));
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
        let world = World::build(&self.settings, &store, &generation, &self.expired, &previous)?;
        self.worlds.store(Arc::new(world));
        tracing::info!(generation = generation.number, "in service");
        Ok(Reloaded::Swapped(generation.number))
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
fn wall_clock() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Which file is there now; `None` when there is none or it cannot be looked at.
fn file_at(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|file| FileId::of(&file))
}

/// The file of the store that names what is in service.
const GENERATION: &str = "generation.json";

impl World {
    /// The world of `generation`: every snapshot opened and verified, or taken over from `previous` when its file is
    /// the same. A configured zone that the generation does not have
    /// stays as it was, or waits; its subzones stay with it, but a subzone that its zone no longer has is gone.
    pub fn build(
        settings: &Settings,
        store: &Store,
        generation: &Generation,
        expired: &BTreeSet<String>,
        previous: &Self,
    ) -> Result<Self, ReloadError> {
        let subzones = subzones(settings, generation, previous.subzones());
        let zones = settings.zones.iter().chain(subzones.keys()).map(|origin| {
            let served = serve(origin, store, generation, expired, previous.zone(origin))?;
            Ok((origin.clone(), served))
        });
        let zones: Vec<_> = zones.collect::<Result<_, ReloadError>>()?;
        let world = Self::new(zones, settings.version.clone(), Some(generation.number));
        let world = world.with_subzones(subzones);
        Ok(world.guarded(&settings.access).placed(settings))
    }
}

/// The subzones that are served, each with its zone: those of the generation, and those that were there before of zones
/// that it does not have, which stay as they were. A configured zone goes before what lies in it.
fn subzones(
    settings: &Settings,
    generation: &Generation,
    previous: &BTreeMap<Name, Name>,
) -> BTreeMap<Name, Name> {
    let now = generation.zones.iter().filter_map(|(origin, entry)| Some((origin, entry.base.as_ref()?)));
    let before = previous.iter().filter(|(_, base)| !generation.zones.contains_key(base));
    let is_served = |(origin, base): &(&Name, &Name)| {
        let closest = settings.zones.iter().filter(|zone| origin.is_in(zone));
        closest.max_by_key(|zone| zone.as_wire().len()) == Some(base) && origin != base
    };
    now.chain(before).filter(is_served).map(|(origin, base)| (origin.clone(), base.clone())).collect()
}

fn serve(
    origin: &Name,
    store: &Store,
    generation: &Generation,
    expired: &BTreeSet<String>,
    previous: Option<&Served>,
) -> Result<Served, ReloadError> {
    let Some(entry) = generation.zones.get(origin) else {
        // A sync of another configuration has been at work in this store, or what the zone is made of is on its way.
        return Ok(match previous {
            Some(Served::Ready(zone)) => {
                tracing::warn!(zone = %origin, "this generation does not have it; it stays as it was");
                Served::Ready(zone.masked(|list| expired.contains(list))?)
            }
            _ => Served::Waiting,
        });
    };
    if entry.has_ended(wall_clock()) {
        tracing::warn!(zone = %origin, "its data have ended by their own words; SERVFAIL until there are newer ones");
        return Ok(Served::Waiting);
    }
    let path = store.snapshot(&entry.file);
    let snapshot = match previous.and_then(|served| unchanged(served, &path, entry)) {
        Some(snapshot) => snapshot,
        None => Arc::new(open(origin, &path, entry)?),
    };
    let zone = Zone::new(snapshot, entry.serial).masked(|list| expired.contains(list))?;
    Ok(Served::Ready(zone))
}

/// The snapshot that is in service already, when the file is still the one that was mapped and verified.
fn unchanged(served: &Served, path: &Path, entry: &ZoneEntry) -> Option<Arc<Snapshot<Mapped>>> {
    let Served::Ready(zone) = served else {
        return None;
    };
    let snapshot = zone.snapshot();
    let same = snapshot.content_hash() == entry.content
        && FileId::of(&fs::metadata(path).ok()?) == snapshot.data().id();
    same.then(|| Arc::clone(snapshot))
}

fn open(origin: &Name, path: &Path, entry: &ZoneEntry) -> Result<Snapshot<Mapped>, ReloadError> {
    let read = || {
        let snapshot = Snapshot::open(Mapped::open(path)?)?;
        snapshot.verify()?;
        Ok(snapshot)
    };
    let snapshot = read().map_err(|source| ReloadError::Snapshot {
        zone: origin.clone(),
        path: path.to_owned(),
        source,
    })?;
    let mismatch = |what| ReloadError::Mismatch { zone: origin.clone(), path: path.to_owned(), what };
    if snapshot.content_hash() != entry.content {
        return Err(mismatch("its content"));
    }
    if snapshot.zone().origin != *origin {
        return Err(mismatch("its origin"));
    }
    Ok(snapshot)
}
