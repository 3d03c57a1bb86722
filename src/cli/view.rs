//! What is in the store, as `status`, `lookup` and `up` show it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::output::utc;
use crate::compile::Part;
use crate::config::{Config, ListConfig, Slug, ZoneConfig};
use crate::feed::schedule::Servers;
use crate::model::{Name, Span};
use crate::snapshot::{Mapped, Snapshot, SnapshotError};
use crate::store::{
    Decisions, Freshness, Generation, Held, ListStatus, Now, Outcome, Stamp, Store, StoreError, ZoneEntry,
    open_plain,
};
use crate::sync::{status_as, unread};
use crate::zone::{Overlay, Trouble, Verdict, Zone};

/// The labels of 127.0.0.2, the address that every zone with test points lists.
const TEST_POINT: &[u8] = b"\x012\x010\x010\x03127";

/// Why data no longer answer that say so themselves.
pub(crate) const ENDED: &str = "its data have ended, as their $TIMESTAMP says";
/// A list that is so much newer than what its zone was made from has not just been taken.
const BEHIND: Duration = Duration::from_secs(60);

/// Everything at one moment.
pub(crate) struct View {
    /// What is configured.
    pub(crate) config: Config,
    /// The moment.
    pub(crate) now: Now,
    /// What is in service.
    pub(crate) generation: Option<Generation>,
    /// Zones that the last sync could not compile, and why.
    not_compiled: BTreeMap<Name, String>,
    /// Files of the store that cannot be read, and why.
    pub(crate) unreadable: Vec<String>,
    /// What was decided locally.
    pub(crate) decisions: Decisions,
    /// The lists, in the order of their names.
    pub(crate) lists: Vec<ListView>,
    /// The zones, in the order of their origins' texts, each before its subzones.
    pub(crate) zones: Vec<ZoneView>,
}

/// A list.
pub(crate) struct ListView {
    /// As configured.
    pub(crate) config: ListConfig,
    /// As it stands.
    pub(crate) status: ListStatus,
    /// What waits for a person or for agreement.
    pub(crate) held: Option<Held>,
    /// `None`: nothing to answer from yet.
    pub(crate) freshness: Option<Freshness>,
    /// Its content has not changed for longer than it should.
    pub(crate) unchanged_too_long: bool,
    /// A file of it was changed so long ago, and no sync has read it since.
    pub(crate) unread: Option<(PathBuf, Duration)>,
}

/// A zone, or a subzone that the data of one make.
pub(crate) struct ZoneView {
    /// As configured; of a subzone the zone that it is a part of.
    pub(crate) config: ZoneConfig,
    /// Its origin.
    origin: Name,
    /// What the generation says of it.
    pub(crate) entry: Option<ZoneEntry>,
    /// Whether it can answer.
    pub(crate) state: ZoneState,
}

/// Whether a zone can answer.
pub(crate) enum ZoneState {
    /// It answers.
    Answers(Box<Zone<Mapped>>),
    /// It has no snapshot yet: SERVFAIL.
    NoData,
    /// All its lists that can list are too old: SERVFAIL to whatever is not blocked locally.
    Expired(Box<Zone<Mapped>>),
    /// Its data have ended by their own words: SERVFAIL.
    Ended,
    /// Its snapshot cannot be used: SERVFAIL.
    Broken(Unusable),
}

/// Why a snapshot cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// In full.
    pub(crate) why: String,
    /// It is whole, and of an older format: the next sync makes it again.
    pub(crate) is_older: bool,
}

impl Unusable {
    fn damaged(why: String) -> Self {
        Self { why, is_older: false }
    }

    /// In few words.
    pub(crate) fn brief(&self) -> &'static str {
        match self.is_older {
            true => "its snapshot has an older format, which the next sync makes again",
            false => "its snapshot is damaged",
        }
    }
}

impl View {
    /// Looks at the store of `config`; nothing is made or changed.
    pub(crate) fn of(config: Config) -> Result<Self, StoreError> {
        let store = match Store::existing(&config.state) {
            Ok(store) => store,
            // Before the first start there is no folder: nothing is known, which can be shown.
            Err(StoreError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::empty(config));
            }
            Err(error) => return Err(error),
        };
        let mut unreadable = Vec::new();
        let (mut statuses, mut helds) = (BTreeMap::new(), BTreeMap::new());
        for (name, configured) in &config.reloadable.lists {
            let list = store.list(name);
            let mut of_list = Vec::new();
            if let Err(error) = list.status() {
                of_list.push(error.to_string());
            }
            // As a sync would take it up.
            let status = status_as(configured, &list).unwrap_or_else(|error| {
                of_list.push(error.to_string());
                ListStatus::default()
            });
            let held = list.held().unwrap_or_else(|error| {
                of_list.push(error.to_string());
                None
            });
            of_list.dedup();
            unreadable.extend(of_list);
            helds.insert(name.clone(), held.filter(|_| status.waits));
            statuses.insert(name.clone(), status);
        }
        let now = store.now(statuses.values());
        let servers = Servers::of(statuses.values(), &now);
        for list in config.reloadable.lists.values() {
            if let Some(status) = statuses.get_mut(&list.name) {
                servers.tell(status, list.source.urls(), &now);
            }
        }
        let generation = readable(store.generation(), &mut unreadable)?.flatten();
        let not_compiled = readable(store.not_compiled(), &mut unreadable)?.unwrap_or_default();
        let lists: Vec<ListView> = config
            .reloadable
            .lists
            .values()
            .map(|list| {
                let held = helds.remove(&list.name).flatten();
                let status = statuses.remove(&list.name).unwrap_or_default();
                ListView::new(list, status, held, config.reloadable.sync.timer, &now)
            })
            .collect();
        let expired: BTreeSet<String> =
            lists.iter().filter(|list| list.is_expired()).map(|list| list.config.name.to_string()).collect();
        let decisions = readable(store.decisions(), &mut unreadable)?.unwrap_or_default();
        unreadable.extend(decisions.damaged.iter().map(ToString::to_string));
        let in_force = decisions.in_force(now.clocks.wall);
        let in_service = generation.iter().flat_map(|generation| &generation.zones);
        let of_zones = config.reloadable.zones.iter().map(|zone| (zone, &zone.origin));
        let is_configured = |origin: &Name| config.reloadable.zones.iter().any(|zone| zone.origin == *origin);
        let of_subzones =
            in_service.filter(|(origin, _)| !is_configured(origin)).filter_map(|(origin, entry)| {
                let base = entry.base.as_ref()?;
                Some((config.reloadable.zones.iter().find(|zone| zone.origin == *base)?, origin))
            });
        let zones = of_zones.chain(of_subzones).map(|(zone, origin)| {
            let entry = generation.as_ref().and_then(|generation| generation.zones.get(origin)).cloned();
            let state = match &entry {
                Some(entry) if entry.has_ended(now.stamp().wall) => ZoneState::Ended,
                Some(entry) => {
                    state(&store.snapshot(&entry.file), entry, &expired, in_force.of(&zone.origin))
                }
                None => ZoneState::NoData,
            };
            ZoneView { config: zone.clone(), origin: origin.clone(), entry, state }
        });
        let mut zones: Vec<ZoneView> = zones.collect();
        zones.sort_by_cached_key(|zone| {
            (zone.config.origin.to_string(), zone.is_subzone(), zone.origin().to_string())
        });
        Ok(Self { zones, now, generation, not_compiled, unreadable, decisions, lists, config })
    }

    fn empty(config: Config) -> Self {
        let now = Now::read();
        let lists = config.reloadable.lists.values();
        let zones = config.reloadable.zones.iter();
        Self {
            lists: lists.map(|list| ListView::new(list, ListStatus::default(), None, None, &now)).collect(),
            zones: zones
                .map(|zone| ZoneView {
                    config: zone.clone(),
                    origin: zone.origin.clone(),
                    entry: None,
                    state: ZoneState::NoData,
                })
                .collect(),
            generation: None,
            not_compiled: BTreeMap::new(),
            unreadable: Vec::new(),
            decisions: Decisions::default(),
            now,
            config,
        }
    }

    /// The list called `name`.
    pub(crate) fn list(&self, name: &str) -> Option<&ListView> {
        self.lists.iter().find(|list| list.config.name.as_str() == name)
    }

    /// That a zone stands behind its lists, in words: the last sync could not compile it.
    pub(crate) fn behind(&self, zone: &ZoneView) -> Option<String> {
        let has_data = match &zone.state {
            ZoneState::Answers(_) => true,
            ZoneState::NoData => false,
            ZoneState::Expired(_) | ZoneState::Ended | ZoneState::Broken(_) => return None,
        };
        if let Some(why) = self.not_compiled.get(&zone.config.origin) {
            let stands = if has_data { "stands behind its lists" } else { "has no data" };
            return Some(format!("{stands}: the last sync could not compile it: {why}"));
        }
        let lists: Vec<&str> = self.newer(zone).map(Slug::as_str).collect();
        let is_behind = has_data && !lists.is_empty();
        is_behind.then(|| {
            let room = room(&self.config.state);
            format!("is older than {}: the last syncs could not compile it{room}", lists.join(", "))
        })
    }

    /// Names of the lists of a zone that have newer content than the zone was made from.
    fn newer<'a>(&'a self, zone: &'a ZoneView) -> impl Iterator<Item = &'a Slug> {
        let made_from = zone.answering().map_or(&[][..], |zone| zone.snapshot().lists());
        zone.config.lists().filter(move |name| {
            let Some(list) = self.list(name.as_str()) else { return false };
            let Some(data) = made_from.iter().find(|data| data.name == name.as_str()) else { return false };
            let since = list.status.content_since.as_ref();
            let is_new = since.is_some_and(|since| self.now.age(since) > BEHIND);
            is_new && list.status.set.is_some_and(|set| set.hash != data.set)
        })
    }

    /// Names of the lists of a zone that have nothing to answer from.
    pub(crate) fn missing<'a>(&'a self, zone: &'a ZoneView) -> impl Iterator<Item = &'a Slug> {
        zone.config
            .lists()
            .filter(|name| self.list(name.as_str()).is_none_or(|list| list.status.set.is_none()))
    }
}

/// Whether that may be for want of room.
fn room(state: &Path) -> String {
    match nix::sys::statvfs::statvfs(state) {
        Ok(found) if found.blocks_available() == 0 => {
            format!("; no space is left in {}", state.display())
        }
        Ok(found) if found.files() > 0 && found.files_available() == 0 => {
            format!("; no more files can be made in {}", state.display())
        }
        _ => String::new(),
    }
}

/// One damaged file hides itself alone.
fn readable<T>(read: Result<T, StoreError>, unreadable: &mut Vec<String>) -> Result<Option<T>, StoreError> {
    match read {
        Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
            unreadable.push(error.to_string());
            Ok(None)
        }
        read => read.map(Some),
    }
}

impl ListView {
    /// `timer`: how often the server itself starts a sync.
    fn new(
        config: &ListConfig,
        status: ListStatus,
        held: Option<Held>,
        timer: Option<Duration>,
        now: &Now,
    ) -> Self {
        Self {
            held,
            freshness: status.freshness(&config.ages, config.use_, now),
            unread: unread(config, &status, timer, now),
            unchanged_too_long: status.unchanged_too_long(&config.ages, now).is_some(),
            config: config.clone(),
            status,
        }
    }

    /// Past its hard age: its zones answer without it.
    pub(crate) fn is_expired(&self) -> bool {
        self.freshness == Some(Freshness::Hard)
    }

    /// What became of the last attempt.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.status.decision.as_ref().map(|decision| decision.outcome)
    }

    /// Something that a person should look at.
    pub(crate) fn is_problem(&self) -> bool {
        self.outcome().is_some_and(Outcome::is_problem)
            || self.held.is_some()
            || self.freshness.is_none_or(|freshness| freshness != Freshness::Fresh)
            || self.unchanged_too_long
    }
}

impl ZoneView {
    /// Its origin.
    pub(crate) fn origin(&self) -> &Name {
        &self.origin
    }

    /// It is a part of the zone that is configured.
    pub(crate) fn is_subzone(&self) -> bool {
        self.origin != self.config.origin
    }

    /// The zone, when it answers.
    pub(crate) fn answering(&self) -> Option<&Zone<Mapped>> {
        match &self.state {
            ZoneState::Answers(zone) => Some(zone),
            ZoneState::NoData | ZoneState::Expired(_) | ZoneState::Ended | ZoneState::Broken(_) => None,
        }
    }

    /// The zone, when it answers at least for what is blocked locally.
    pub(crate) fn answering_blocks(&self) -> Option<&Zone<Mapped>> {
        match &self.state {
            ZoneState::Expired(zone) => Some(zone),
            _ => self.answering(),
        }
    }

    /// Why it does not answer.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &self.state {
            ZoneState::Answers(_) => None,
            ZoneState::NoData => Some("no data yet".to_owned()),
            ZoneState::Expired(_) => Some("all its lists are too old".to_owned()),
            ZoneState::Ended => Some(ENDED.to_owned()),
            ZoneState::Broken(unusable) => Some(unusable.why.clone()),
        }
    }
}

/// IPv4 addresses that the lists of a zone list: without the test points, which the zone itself lists.
pub(crate) fn listed_v4(zone: &Zone<Mapped>) -> u64 {
    let snapshot = zone.snapshot();
    let own = |answer| {
        let answer = snapshot.answer(answer).ok();
        answer.is_some_and(|answer| answer.parts().all(|part| part.list == Part::ZONE))
    };
    let loopback = Span { first: 0x7f00_0000, last: 0x7fff_ffff };
    let points = snapshot.v4_spans(loopback).flatten().filter(|answered| own(answered.answer));
    let points: u128 = points.map(|answered| answered.span.extent() + 1).sum();
    snapshot.counts().v4_addresses.saturating_sub(points as u64)
}

/// Whether `zone` answers for the test address now.
pub(crate) fn lists_test_point(zone: &Zone<Mapped>) -> bool {
    zone.verdict(TEST_POINT).is_listed()
}

fn state(path: &Path, entry: &ZoneEntry, expired: &BTreeSet<String>, overlay: &Arc<Overlay>) -> ZoneState {
    let open = || -> Result<Zone<Mapped>, SnapshotError> {
        let snapshot = Snapshot::open(Mapped::of(&open_plain(path)?)?)?;
        // The server takes none that is damaged anywhere.
        snapshot.verify()?;
        let zone = Zone::new(Arc::new(snapshot), entry.serial).masked(|list| expired.contains(list))?;
        Ok(zone.overlaid(overlay))
    };
    match open() {
        Ok(zone) if zone.snapshot().content_hash() != entry.content => ZoneState::Broken(Unusable::damaged(
            format!("{} is not what the generation says", path.display()),
        )),
        Ok(zone) => match zone.verdict(TEST_POINT) {
            Verdict::Unavailable(Trouble::Expired) => ZoneState::Expired(Box::new(zone)),
            Verdict::Unavailable(Trouble::Damaged(damage)) => {
                ZoneState::Broken(Unusable::damaged(damage.to_string()))
            }
            _ => ZoneState::Answers(Box::new(zone)),
        },
        Err(error) => ZoneState::Broken(Unusable {
            why: format!("{}: {error}", path.display()),
            is_older: matches!(error, SnapshotError::Older(_)),
        }),
    }
}

/// A moment, for JSON: as people write it, and how long ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct When {
    at: String,
    age_seconds: u64,
}

impl When {
    pub(crate) fn new(now: &Now, stamp: &Stamp) -> Self {
        Self { at: utc(stamp.wall), age_seconds: now.age(stamp).as_secs() }
    }

    /// As people write it.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// How long ago.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_secs(self.age_seconds)
    }
}
