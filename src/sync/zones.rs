//! Stored sets → compiled zones → a generation.
//!
//! A zone is compiled again only when something it is made of differs: its configuration, a list's set, the
//! never-list, or the compiler itself. The generation remembers what each zone was made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufWriter, Cursor, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::list::status_as;
use super::{Event, SyncError, Watcher, ZoneReport};
use crate::compile::{Except, ListData, Member, ZoneData, ZoneSpec, compile, expand};
use crate::config::{Config, ListConfig, Slug, ZoneConfig};
use crate::model::{ContentHash, Name, Subject, Template, Use};
use crate::parse::Format;
use crate::set::Set;
use crate::snapshot::{self, Mapped, Snapshot, SnapshotError};
use crate::store::{
    BuiltZone, Generation, ListStatus, Now, Stamp, Store, StoreError, Writer, ZoneEntry, open_plain,
};

/// Raised whenever the same sets and settings compile to something else.
const COMPILER: u32 = 5;

/// The most lists of a zone of which its snapshot tells all that is known of how they came.
const TOLD_WHOLE: usize = 200;

/// Builds what has to be built and puts it in service. `None` when nothing changed.
pub(super) fn publish(
    config: &Config,
    writer: &Writer,
    watcher: &dyn Watcher,
) -> Result<(Vec<ZoneReport>, Option<Generation>), SyncError> {
    let previous = match writer.generation() {
        Err(StoreError::Damaged { path, why }) => {
            tracing::warn!(path = %path.display(), %why, "made again");
            None
        }
        found => found?,
    };
    let mut stock = Stock::new(config, writer)?;
    let mut built = BTreeMap::new();
    let mut reports = Vec::new();
    for zone in &config.reloadable.zones {
        let before = Parts::of(&zone.origin, previous.as_ref());
        // What is lost of its data is in its snapshot still, and what is another list's nobody is to hear again.
        let has_anothers = || before.as_ref().is_some_and(|parts| stock.has_anothers(zone, parts));
        if !stock.can_answer(zone) && !has_anothers() {
            if let Some(parts) = before.as_ref().filter(|parts| parts.are_usable(writer)) {
                built.extend(parts.stay(parts.base.made_from, parts.base.until));
            }
            continue;
        }
        let made_from = stock.made_from(zone);
        let usable = before.as_ref().filter(|parts| parts.are_usable(writer));
        let zone_built = match usable.filter(|parts| parts.base.made_from == made_from) {
            Some(parts) => parts.stay(made_from, stock.until(zone)),
            None => {
                let result = stock.build(zone, made_from);
                let changed = match &result {
                    Ok(built) => before.as_ref().is_none_or(|parts| parts.differ(built)),
                    Err(_) => false,
                };
                // One zone that cannot be made holds no other back, and keeps what it has: a list's set may be lost
                // until it is fetched again, or there is no room for a large snapshot.
                let trouble = result.as_ref().err().map(ToString::to_string);
                let silent = trouble.is_some() && usable.is_none();
                let report = ZoneReport { origin: zone.origin.clone(), changed, trouble, silent };
                watcher.event(&Event::Zone(&report));
                reports.push(report);
                match (result, usable) {
                    (Ok(built), _) => built,
                    (Err(error), Some(parts)) => {
                        tracing::warn!(zone = %zone.origin, %error, "it stays as it is");
                        parts.stay(parts.base.made_from, parts.base.until)
                    }
                    (Err(error), None) => {
                        tracing::error!(zone = %zone.origin, %error, "it has no data that can be served");
                        continue;
                    }
                }
            }
        };
        built.extend(zone_built);
    }
    let troubles = reports.iter().filter_map(|zone| Some((zone.origin.clone(), zone.trouble.clone()?)));
    if let Err(error) = writer.put_not_compiled(troubles.collect()) {
        tracing::warn!("which zones could not be compiled is not written down: {error}");
    }
    if previous.is_none() && built.is_empty() {
        return Ok((reports, None));
    }
    let next = Generation::next(previous.as_ref(), built, stock.now);
    match &next {
        Some(generation) => {
            writer.publish(generation)?;
            watcher.event(&Event::Published { number: generation.number });
        }
        // An earlier run may have been killed before it came to this.
        None => drop(writer.prune_snapshots()?),
    }
    Ok((reports, next))
}

/// A zone in service with its subzones: they are made, kept and lost together.
struct Parts<'g> {
    base: &'g ZoneEntry,
    all: BTreeMap<&'g Name, &'g ZoneEntry>,
}

impl<'g> Parts<'g> {
    fn of(origin: &Name, generation: Option<&'g Generation>) -> Option<Self> {
        let zones = &generation?.zones;
        let base = zones.get(origin).filter(|entry| entry.base.is_none())?;
        let is_part =
            |(at, entry): &(&Name, &ZoneEntry)| *at == origin || entry.base.as_ref() == Some(origin);
        Some(Self { base, all: zones.iter().filter(is_part).collect() })
    }

    fn are_usable(&self, writer: &Writer) -> bool {
        self.all.values().all(|entry| is_usable(writer, entry))
    }

    fn differ(&self, built: &BTreeMap<Name, BuiltZone>) -> bool {
        let before = self.all.iter().map(|(origin, entry)| (*origin, entry.content));
        !before.eq(built.iter().map(|(origin, built)| (origin, built.content)))
    }

    /// The zone as it is in service. Nothing is said of the serial: it stays as well.
    fn stay(&self, made_from: ContentHash, until: Option<i64>) -> BTreeMap<Name, BuiltZone> {
        let stay = |(&origin, entry): (&&Name, &&ZoneEntry)| {
            let ZoneEntry { file, content, base, .. } = (*entry).clone();
            (
                origin.clone(),
                BuiltZone { file, content, made_from, serial: None, time: entry.built, until, base },
            )
        };
        self.all.iter().map(stay).collect()
    }
}

/// Whether the snapshot in service is still what was written; if not it is built again.
fn is_usable(writer: &Writer, entry: &ZoneEntry) -> bool {
    opened(writer, entry)
        .is_ok_and(|snapshot| snapshot.content_hash() == entry.content && snapshot.verify().is_ok())
}

fn opened(store: &Store, entry: &ZoneEntry) -> Result<Snapshot<Mapped>, SnapshotError> {
    Snapshot::open(Mapped::of(&open_plain(&store.snapshot(&entry.file))?)?)
}

/// Names of the lists that the zones in service answer from, or that are excepted there.
pub(super) fn lists_in_service(store: &Store) -> BTreeSet<String> {
    let generation = store.generation().ok().flatten();
    let zones = generation.iter().flat_map(|generation| generation.zones.values());
    let snapshots = zones.filter_map(|entry| opened(store, entry).ok());
    snapshots
        .flat_map(|snapshot| snapshot.lists().iter().map(|data| data.name.clone()).collect::<Vec<_>>())
        .collect()
}

/// The lists of the store as the zones need them; sets are read when a zone is really built.
struct Stock<'a> {
    config: &'a Config,
    writer: &'a Writer,
    /// Those that can be read.
    statuses: HashMap<Slug, ListStatus>,
    sets: HashMap<Slug, Arc<Set>>,
    clock: Now,
    /// The same, in seconds since 1970.
    now: i64,
}

/// Everything that decides what a zone compiles to.
#[derive(Serialize)]
struct MadeFrom<'a> {
    compiler: u32,
    zone: &'a ZoneData,
    keep_values: bool,
    members: Vec<(&'a Slug, ContentHash, Use, Ipv4Addr, &'a Template, bool)>,
    excepts: Vec<(&'a Slug, ContentHash)>,
    own_networks: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    canaries: Vec<String>,
    /// Where a list may make subzones: the zones that go before them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inner_zones: Vec<&'a Name>,
}

impl<'a> Stock<'a> {
    fn new(config: &'a Config, writer: &'a Writer) -> Result<Self, SyncError> {
        let mut statuses = HashMap::new();
        for (name, list) in &config.reloadable.lists {
            // Where it cannot be read the zones of the list stay as they are ([`Stock::spec`]).
            if let Ok(status) = status_as(list, &writer.store().list(name)) {
                statuses.insert(name.clone(), status);
            }
        }
        let clock = writer.now(statuses.values());
        let now = clock.stamp().wall;
        Ok(Self { config, writer, statuses, sets: HashMap::new(), clock, now })
    }

    fn list(&self, name: &Slug) -> &'a ListConfig {
        &self.config.reloadable.lists[name]
    }

    /// The name of a list's current set.
    fn hash(&self, name: &Slug) -> Option<ContentHash> {
        self.statuses.get(name)?.set.map(|set| set.hash)
    }

    /// Whether the zone has anything to say: a list that can list, or, in a zone of allow lists, one of those.
    fn can_answer(&self, zone: &ZoneConfig) -> bool {
        let can_list = |name: &Slug| self.list(name).use_.can_list();
        let names = || zone.members.iter().map(|member| &member.list);
        if names().any(|name| !self.statuses.contains_key(name)) {
            return true;
        }
        let listing = names().any(can_list);
        names().any(|name| self.hash(name).is_some() && (can_list(name) || !listing))
    }

    /// Whether what is in service of a zone was brought, in part, by a list that had the name of another one, or by one that is in it no
    /// more; or is too old. What was emptied of that stays empty.
    fn has_anothers(&self, zone: &ZoneConfig, parts: &Parts<'_>) -> bool {
        let Ok(snapshot) = opened(self.writer, parts.base) else { return false };
        let members = || zone.members.iter().map(|member| &member.list);
        // Who is an exception lists nobody.
        let mut listing = snapshot.lists().iter().filter(|data| !data.except);
        snapshot.lists().is_empty()
            || listing.any(|data| match members().find(|name| name.as_str() == data.name) {
                Some(name) => self.statuses.get(name).is_some_and(|status| {
                    status.given_away
                        || !self.is_used_so(name, data)
                        || self.is_anothers_now(name, data)
                        || self.is_past(name, status, data, &snapshot)
                }),
                None => true,
            })
    }

    /// Another list has it that took over its folder.
    fn is_anothers_now(&self, name: &Slug, data: &ListData) -> bool {
        let has_it = |(other, status): (&Slug, &ListStatus)| {
            other != name && status.set.is_some_and(|set| set.hash == data.set)
        };
        self.statuses.iter().any(has_it)
    }

    fn is_used_so(&self, name: &Slug, data: &ListData) -> bool {
        self.list(name).use_.can_list() == data.use_.can_list()
    }

    /// By what is left of its status, or else by when the snapshot says that it was confirmed.
    fn is_past(
        &self,
        name: &Slug,
        status: &ListStatus,
        data: &ListData,
        snapshot: &Snapshot<Mapped>,
    ) -> bool {
        let list = self.list(name);
        let known = || snapshot.provenance()["lists"][&data.name]["confirmed"].as_i64();
        let told = || Some(Stamp { wall: known()?, boot: None, boottime: 0 });
        let last_confirmed = status.last_confirmed.clone().or_else(told);
        ListStatus { last_confirmed, ..ListStatus::default() }.is_past(&list.ages, list.use_, &self.clock)
    }

    fn made_from(&self, zone: &ZoneConfig) -> ContentHash {
        let members = zone.members.iter().filter_map(|member| {
            let list = self.list(&member.list);
            let hash = self.hash(&member.list)?;
            Some((&member.list, hash, list.use_, member.code.address(), &member.text, list.is_own()))
        });
        let made_from = MadeFrom {
            compiler: COMPILER,
            zone: &zone.zone_data(),
            keep_values: zone.keep_values,
            members: members.collect(),
            excepts: zone.excepts.iter().filter_map(|name| Some((name, self.hash(name)?))).collect(),
            own_networks: self.config.reloadable.sync.own_networks.iter().map(Subject::to_string).collect(),
            canaries: self.config.reloadable.sync.canaries.iter().map(Subject::to_string).collect(),
            inner_zones: match zone
                .members
                .iter()
                .any(|member| self.list(&member.list).format == Format::Combined)
            {
                true => self.inner_zones(zone).collect(),
                false => Vec::new(),
            },
        };
        ContentHash::of(&serde_json::to_vec(&made_from).expect("plain data"))
    }

    /// The zones that are configured below a zone: what lies in one of them is that one's.
    fn inner_zones(&self, zone: &ZoneConfig) -> impl Iterator<Item = &'a Name> {
        let origin = zone.origin.clone();
        let origins = self.config.reloadable.zones.iter().map(|zone| &zone.origin);
        origins.filter(move |other| **other != origin && other.is_in(&origin))
    }

    /// Whether a subzone is asked for where it would be served.
    fn is_served(&self, zone: &ZoneConfig, subzone: &Name) -> bool {
        let inner = self.inner_zones(zone).find(|inner| subzone.is_in(inner));
        if let Some(inner) = inner {
            tracing::warn!(zone = %zone.origin, %subzone, "left out: the configured zone {inner} goes before it");
        }
        inner.is_none()
    }

    fn set(&mut self, name: &Slug) -> Result<Option<Arc<Set>>, SyncError> {
        let Some(hash) = self.hash(name) else { return Ok(None) };
        if let Some(set) = self.sets.get(name) {
            return Ok(Some(Arc::clone(set)));
        }
        let set = Arc::new(self.writer.store().list(name).set(&hash)?);
        self.sets.insert(name.clone(), Arc::clone(&set));
        Ok(Some(set))
    }

    fn spec(&mut self, zone: &ZoneConfig) -> Result<ZoneSpec, SyncError> {
        if let Some(unreadable) = zone.lists().find(|name| !self.statuses.contains_key(*name)) {
            status_as(self.list(unreadable), &self.writer.store().list(unreadable))?;
        }
        let mut members = Vec::new();
        let mut data = zone.zone_data();
        let (mut soa, mut ns) = (None, None);
        for member in &zone.members {
            let (Some(set), Some(hash)) = (self.set(&member.list)?, self.hash(&member.list)) else {
                continue;
            };
            let list = self.list(&member.list);
            let never = (!list.is_own()).then(|| Arc::new(self.config.reloadable.sync.never(list).0));
            if list.is_own() {
                // The operator's own file may say what its zone is called by; of several the first.
                soa = soa.or_else(|| set.directives.soa.clone());
                ns = ns.or_else(|| set.directives.ns.clone());
            }
            members.push(Member {
                name: member.list.to_string(),
                set,
                hash,
                use_: list.use_,
                code: member.code.address(),
                text: member.text.clone(),
                keep_values: zone.keep_values,
                foreign: !list.is_own(),
                never,
            });
        }
        data.soa = soa.unwrap_or(data.soa);
        data.ns = ns.unwrap_or(data.ns);
        let mut excepts = Vec::new();
        for name in &zone.excepts {
            let (Some(set), Some(hash)) = (self.set(name)?, self.hash(name)) else { continue };
            excepts.push(Except { name: name.to_string(), set, hash });
        }
        Ok(ZoneSpec { zone: data, members, excepts, subzones: Vec::new() })
    }

    /// The zone and its subzones.
    fn build(
        &mut self,
        zone: &ZoneConfig,
        made_from: ContentHash,
    ) -> Result<BTreeMap<Name, BuiltZone>, SyncError> {
        let mut spec = self.spec(zone)?;
        // The serial lives in the generation, outside every content hash.
        let serial = spec.zone.soa.serial.take();
        let (time, until) = (self.time_of_data(zone), self.until(zone));
        let mut provenance = self.provenance(zone, made_from);
        if let Some(serial) = serial {
            provenance["serial"] = json!(serial);
        }
        let mut built = BTreeMap::new();
        for spec in expand(spec, |subzone| self.is_served(zone, subzone)) {
            let (origin, base) = (spec.zone.origin.clone(), spec.zone.base.clone());
            let (file, content) = self.write(spec, &provenance)?;
            built.insert(origin, BuiltZone { file, content, made_from, serial, time, until, base });
        }
        Ok(built)
    }

    /// Compiles one zone into its snapshot: the file's name and the hash of its content.
    fn write(
        &self,
        spec: ZoneSpec,
        provenance: &serde_json::Value,
    ) -> Result<(String, ContentHash), SyncError> {
        let compiled = compile(&spec);
        drop(spec);
        let origin = compiled.zone.origin.clone();
        let mut octets = Cursor::new(Vec::new());
        let written = snapshot::write(&compiled, provenance, &mut octets);
        let content = written.map_err(|cause| SyncError::Snapshot { zone: origin.clone(), cause })?.content;
        drop(compiled);
        let verify = |path: &Path| {
            let check = || {
                let snapshot = Snapshot::open(Mapped::open(path)?)?;
                snapshot.verify()?;
                Ok::<_, SnapshotError>(snapshot.content_hash() == content)
            };
            match check() {
                Ok(true) => Ok(()),
                Ok(false) => Err("it has another content".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        };
        let fill = |out: &mut BufWriter<&File>| out.write_all(octets.get_ref());
        Ok((self.writer.put_snapshot(&origin, &content, fill, verify)?, content))
    }

    /// When the first of the operator's own lists in the zone ends by its own words: the whole zone ends with it, as
    /// in rbldnsd. A feed that ends falls silent alone: no stranger stops a zone.
    fn until(&self, zone: &ZoneConfig) -> Option<i64> {
        let own = zone.lists().filter(|name| self.list(name).is_own());
        own.filter_map(|name| self.statuses.get(name)?.until).min()
    }

    /// Where the zone's data come from: not part of the content, so that times in it make no new content.
    fn provenance(&self, zone: &ZoneConfig, made_from: ContentHash) -> serde_json::Value {
        let mut lists: BTreeMap<_, _> = zone
            .lists()
            .filter_map(|name| {
                let status = self.statuses.get(name)?;
                let source = status.validators.as_ref();
                Some((
                    name.to_string(),
                    json!({
                        "set": self.hash(name)?,
                        "entries": status.set.map(|set| set.entries),
                        "url": source.map(|source| &source.url),
                        "etag": source.and_then(|source| source.etag.as_ref()),
                        "last_modified": source.and_then(|source| source.last_modified.as_ref()),
                        "confirmed": status.last_confirmed.as_ref().map(|stamp| stamp.wall),
                        "content_since": status.content_since.as_ref().map(|stamp| stamp.wall),
                        "decision": status.decision,
                        "brought": status.brought,
                        "pinned": status.pinned.as_ref().map(|pin| pin.since.wall),
                    }),
                ))
            })
            .collect();
        if lists.len() > TOLD_WHOLE {
            // The log has it; a snapshot has no room for so many.
            for list in lists.values_mut().filter_map(serde_json::Value::as_object_mut) {
                list.remove("decision");
                list.remove("brought");
            }
        }
        json!({
            "made_from": made_from,
            "built": self.now,
            "program": concat!("gatepost ", env!("CARGO_PKG_VERSION")),
            "lists": lists,
        })
    }

    /// When the newest content of the zone came.
    fn time_of_data(&self, zone: &ZoneConfig) -> i64 {
        let since = zone.lists().filter_map(|name| self.statuses.get(name)?.content_since.as_ref());
        since.map(|stamp| stamp.wall).max().unwrap_or(self.now)
    }
}
