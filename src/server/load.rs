//! A generation → a [`World`]: which zones it has, each from a snapshot that was opened and verified.
//!
//! Read [`World::build`], then [`piecewise`]. Never: deciding when, or what becomes of the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use super::damage::has_room;
use super::proof::prove;
use super::reload::wall_clock;
use super::sealed::sealed;
use super::{ReloadError, Served, Settings, World};
use crate::model::Name;
use crate::snapshot::{FileId, Mapped, Snapshot, SnapshotError};
use crate::store::{Generation, Store, ZoneEntry, open_plain};
use crate::zone::Zone;

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
        let subzones = subzones(settings, &generation.zones, previous.subzones());
        let zones = settings.zones.iter().chain(subzones.keys()).map(|origin| {
            let served = serve(settings, origin, store, &generation.zones, expired, previous.zone(origin))?;
            Ok((origin.clone(), served))
        });
        let zones: Vec<_> = zones.collect::<Result<_, ReloadError>>()?;
        for origin in settings.zones.iter().filter(|&origin| !generation.zones.contains_key(origin)) {
            if let Some(Served::Ready(_)) = previous.zone(origin) {
                tracing::warn!(zone = %origin, "this generation does not have it; it stays as it was");
            }
        }
        let world = Self::new(zones, settings.version.clone(), Some(generation.number));
        let world = world.with_subzones(subzones);
        let all = settings.zones.iter().chain(world.subzones().keys());
        all.clone().try_for_each(|origin| prove(&world, origin))?;
        Ok(world.guarded(&settings.access).placed(settings))
    }
}

/// A world that was made as far as it could be.
pub(super) struct Piecewise {
    pub(super) world: World,
    /// What of the generation is in it: zones that are not here stay as they were, or wait.
    pub(super) used: Generation,
    /// Why the others are not.
    pub(super) errors: Vec<ReloadError>,
}

/// The world of these settings with what of `generation` can be used: a zone that cannot stays as it was, or waits. Then
/// another generation than that of `previous` brings no zone that was there before anything new: never half of one.
pub(super) fn piecewise(
    settings: &Settings,
    store: &Store,
    generation: &Generation,
    expired: &BTreeSet<String>,
    previous: &World,
) -> Piecewise {
    let parts = subzones(settings, &generation.zones, previous.subzones());
    let base = |origin: &Name| parts.get(origin).unwrap_or(origin).clone();
    let (mut zones, mut errors, mut stays) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    let mut damaged = BTreeSet::new();
    for origin in settings.zones.iter().chain(parts.keys()) {
        match serve(settings, origin, store, &generation.zones, expired, previous.zone(origin)) {
            Ok(served) => _ = zones.insert(origin.clone(), served),
            Err(error) => {
                if !error.is_a_lack() {
                    damaged.insert(base(origin));
                }
                errors.push(error);
                stays.insert(base(origin));
            }
        }
    }
    let tried = World::new(zones.clone(), settings.version.clone(), Some(generation.number));
    let tried = tried.with_subzones(parts.clone());
    for origin in zones.keys() {
        if let Err(error) = prove(&tried, origin) {
            errors.push(error);
            stays.insert(base(origin));
        }
    }
    let is_another = previous.generation().is_some_and(|number| number != generation.number);
    let number = if is_another && !errors.is_empty() {
        let ready = previous.zones().filter(|(_, served)| matches!(served, Served::Ready(_)));
        stays.extend(ready.map(|(origin, _)| origin));
        previous.generation()
    } else {
        Some(generation.number)
    };
    let mut used = generation.clone();
    used.zones.retain(|origin, entry| !stays.contains(entry.base.as_ref().unwrap_or(origin)));
    let parts = subzones(settings, &used.zones, previous.subzones());
    let all = settings.zones.iter().chain(parts.keys()).map(|origin| {
        let fresh = zones.get(origin).filter(|_| used.zones.contains_key(origin)).cloned();
        // What was there before cannot fail but by damage that a question would meet.
        let served = fresh
            .or_else(|| serve(settings, origin, store, &used.zones, expired, previous.zone(origin)).ok());
        let served = match served.unwrap_or(Served::Waiting) {
            Served::Waiting if damaged.contains(&base(origin)) => Served::Useless,
            served => served,
        };
        (origin.clone(), served)
    });
    let world = World::new(all, settings.version.clone(), number).with_subzones(parts.clone());
    Piecewise { world: world.guarded(&settings.access).placed(settings), used, errors }
}

/// The subzones that are served, each with its zone: those of the generation, and those that were there before of zones
/// that it does not have, which stay as they were. A configured zone goes before what lies in it.
fn subzones(
    settings: &Settings,
    generation: &BTreeMap<Name, ZoneEntry>,
    previous: &BTreeMap<Name, Name>,
) -> BTreeMap<Name, Name> {
    let now = generation.iter().filter_map(|(origin, entry)| Some((origin, entry.base.as_ref()?)));
    let before = previous.iter().filter(|(_, base)| !generation.contains_key(base));
    let is_served = |(origin, base): &(&Name, &Name)| {
        let closest = settings.zones.iter().filter(|zone| origin.is_in(zone));
        closest.max_by_key(|zone| zone.as_wire().len()) == Some(base) && origin != base
    };
    now.chain(before).filter(is_served).map(|(origin, base)| (origin.clone(), base.clone())).collect()
}

fn serve(
    settings: &Settings,
    origin: &Name,
    store: &Store,
    generation: &BTreeMap<Name, ZoneEntry>,
    expired: &BTreeSet<String>,
    previous: Option<&Served>,
) -> Result<Served, ReloadError> {
    let Some(entry) = generation.get(origin) else {
        // A sync of another configuration has been at work in this store, or what the zone is made of is on its way.
        return Ok(match previous {
            Some(Served::Ready(zone)) => Served::Ready(zone.masked(|list| expired.contains(list))?),
            _ => Served::Waiting,
        });
    };
    if entry.has_ended(wall_clock()) {
        tracing::warn!(zone = %origin, "its data have ended by their own words; SERVFAIL until there are newer ones");
        return Ok(Served::Useless);
    }
    let path = store.snapshot(&entry.file);
    let snapshot = match previous.and_then(|served| unchanged(served, &path, entry)) {
        Some(snapshot) => snapshot,
        None => Arc::new(open(settings, origin, &path, entry)?),
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

fn open(
    settings: &Settings,
    origin: &Name,
    path: &Path,
    entry: &ZoneEntry,
) -> Result<Snapshot<Mapped>, ReloadError> {
    let read = || {
        let mapped =
            if settings.private_copy { copy(path)? } else { Mapped::watched(open_plain(path)?, has_room)? };
        let snapshot = Snapshot::open(mapped)?;
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

/// A copy of a file in memory that nobody can change.
fn copy(path: &Path) -> Result<Mapped, SnapshotError> {
    let mut file = open_plain(path)?;
    let id = FileId::of(&file.metadata()?);
    let copy = sealed(|out| io::copy(&mut file, out).map(drop))?;
    Mapped::copy_of(id, &copy)
}
