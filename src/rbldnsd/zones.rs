//! What is served: the zones as they were handed over last, and whether their data have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use super::cache::is_settled;
use super::options::Specs;
use super::reports::Part;
use crate::model::{AccessList, Name};
use crate::server::{AccessLists, Served};
use crate::snapshot::{Mapped, Snapshot, SnapshotError};
use crate::zone::{Access, Zone};

/// What is said where there was something before.
const KEPT: &str = "what it had stays in service";

/// All zones of the command line.
pub(super) struct Zones {
    zones: BTreeMap<Name, Loaded>,
    /// Handed over, but the round is not yet done.
    coming: BTreeMap<Name, Loaded>,
    /// Of those that came this round, a part was lost.
    torn: BTreeSet<Name>,
    /// The server's access list.
    of_server: Option<usize>,
    /// Those of zones.
    of_zones: BTreeMap<Name, usize>,
    /// The access lists as they were handed over last.
    lists: BTreeMap<usize, Arc<Access>>,
}

/// What is known of a zone.
#[derive(Default)]
struct Loaded {
    /// The zone, and its subzones.
    parts: Vec<(Name, Zone<Mapped>)>,
    /// When its data end by their own words, in seconds since 1970.
    until: Option<i64>,
    /// They have ended.
    ended: bool,
}

/// A zone that was handed over and cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// No descriptor came with it.
    #[error("its file did not arrive: too many files are open (see `ulimit -n`, LimitNOFILE=)")]
    Missing,
    /// Its file is one that somebody may still change.
    #[error("its file may still be changed by somebody")]
    Unsettled,
    /// It is no whole snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// A file that was handed over, mapped.
pub(super) type Opened = Result<Box<Snapshot<Mapped>>, Unusable>;

/// Maps a file that was handed over, and looks at all of it.
pub(super) fn open(file: &File) -> Opened {
    if !is_settled(file) {
        return Err(Unusable::Unsettled);
    }
    let snapshot = Snapshot::open(Mapped::of(file)?)?;
    snapshot.verify()?;
    Ok(Box::new(snapshot))
}

impl Zones {
    /// Nothing is loaded yet.
    pub(super) fn waiting(specs: &Specs) -> Self {
        let zones = specs.zones.iter().map(|zone| (zone.origin.clone(), Loaded::default()));
        let of_zones = specs.zones.iter().filter_map(|zone| Some((zone.origin.clone(), zone.access?)));
        Self {
            zones: zones.collect(),
            coming: BTreeMap::new(),
            torn: BTreeSet::new(),
            of_server: specs.access,
            of_zones: of_zones.collect(),
            lists: BTreeMap::new(),
        }
    }

    /// Takes an access list over, to be asked when the round is done.
    pub(super) fn take_access(&mut self, data_set: usize, list: &AccessList) {
        // Its TTL is known: the loader has filled it in.
        self.lists.insert(data_set, Arc::new(Access::of_lists(std::slice::from_ref(list), 0)));
    }

    /// Takes a zone or subzone over, to be served when the round is done.
    pub(super) fn take(
        &mut self,
        base: &Name,
        snapshot: Option<Opened>,
        serial: u32,
        until: Option<i64>,
    ) -> Result<(), Unusable> {
        let snapshot = snapshot.unwrap_or(Err(Unusable::Missing))?;
        let origin = snapshot.zone().origin.clone();
        let coming = self.coming.entry(base.clone()).or_default();
        coming.until = until;
        coming.parts.push((origin, Zone::new(Arc::from(snapshot), serial)));
        Ok(())
    }

    /// A zone could not be handed over whole: it stays as it is, whatever else of it comes in this round.
    pub(super) fn forget_coming(&mut self, base: Name) {
        self.torn.insert(base);
    }

    /// The round is done: what came is to be served. `now` and the result: see [`Zones::look_at_ends`].
    pub(super) fn settle(&mut self, now: i64) -> bool {
        let torn = std::mem::take(&mut self.torn);
        let coming = std::mem::take(&mut self.coming);
        self.zones.extend(coming.into_iter().filter(|(base, _)| !torn.contains(base)));
        self.look_at_ends(now)
    }

    /// Zones whose data have ended at `now` (seconds since 1970) answer SERVFAIL from now on. Whether that is news.
    pub(super) fn look_at_ends(&mut self, now: i64) -> bool {
        let mut changed = false;
        for (zone, loaded) in &mut self.zones {
            let ended = loaded.until.is_some_and(|until| until <= now);
            if ended == loaded.ended {
                continue;
            }
            (loaded.ended, changed) = (ended, true);
            if ended {
                tracing::warn!(%zone, "its data have ended by their own words; SERVFAIL until there are newer ones");
            }
        }
        changed
    }

    /// What is to be served.
    pub(super) fn served(&self) -> Vec<(Name, Served)> {
        let zones = self.zones.iter().flat_map(|(base, loaded)| {
            let waits = self.waits(base, loaded);
            let parts = loaded.parts.iter().filter(|_| !waits);
            let ready = parts.map(|(origin, zone)| (origin.clone(), Served::Ready(zone.clone())));
            let waiting = waits.then(|| (base.clone(), Served::Waiting));
            waiting.into_iter().chain(ready).collect::<Vec<_>>()
        });
        zones.collect()
    }

    /// A zone without data has nothing to say, and one whose access list is not known would say it to anybody.
    fn waits(&self, origin: &Name, loaded: &Loaded) -> bool {
        let mut wanted = self.of_server.iter().chain(self.of_zones.get(origin));
        let unguarded = wanted.any(|data_set| !self.lists.contains_key(data_set));
        loaded.ended || loaded.parts.is_empty() || unguarded
    }

    /// A zone and its subzones, the zone itself first; nothing where it is not loaded.
    pub(super) fn parts(&self, base: &Name) -> Vec<Zone<Mapped>> {
        let parts = self.zones.get(base).map_or(&[][..], |loaded| &loaded.parts);
        let mut parts: Vec<_> = parts.iter().map(|(_, zone)| zone.clone()).collect();
        parts.sort_by(|a, b| (a.base().is_some(), a.origin()).cmp(&(b.base().is_some(), b.origin())));
        parts
    }

    /// What is left where this could not be loaded, in a clause.
    pub(super) fn standing(&self, part: &Part) -> &'static str {
        match part {
            Part::Access { data_set, .. } if self.lists.contains_key(data_set) => KEPT,
            Part::Access { .. } => "it was never read, so nobody is answered where it counts",
            Part::Zone(origin) => match self.zones.get(origin) {
                Some(loaded) if !self.waits(origin, loaded) => KEPT,
                Some(loaded) if !loaded.parts.is_empty() => "what it had is kept and not answered from",
                _ => "it has no data yet",
            },
        }
    }

    /// And to whom.
    pub(super) fn access(&self) -> AccessLists {
        let list = |data_set: &usize| self.lists.get(data_set).cloned();
        let zones = self.of_zones.iter().filter_map(|(origin, at)| Some((origin.clone(), list(at)?)));
        AccessLists {
            server: self.of_server.as_ref().and_then(list).unwrap_or_default(),
            zones: zones.collect(),
            ..AccessLists::default()
        }
    }

    /// Whether a zone has data that will end.
    pub(super) fn have_ends(&self) -> bool {
        self.zones.values().any(|loaded| loaded.until.is_some() && !loaded.ended)
    }

    /// Zones in all, and those of them that answer SERVFAIL.
    pub(super) fn counts(&self) -> (usize, usize) {
        let silent = self.zones.iter().filter(|(origin, loaded)| self.waits(origin, loaded)).count();
        (self.zones.len(), silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The system leaves descriptors out that there is no room for.
    #[test]
    fn a_file_that_does_not_arrive_is_not_blamed_on_somebody() {
        let mut zones = Zones::waiting(&Specs::default());
        let error = zones.take(&"z.example".parse().unwrap(), None, 1, None).unwrap_err();
        assert!(error.to_string().contains("too many files are open"), "{error}");
    }
}
