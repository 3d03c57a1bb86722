//! Everything that is served at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::{HashMap, HashMapExt as _, HashSet};

use super::{Cookies, Limiter, Settings, Tally};
use crate::model::Name;
use crate::snapshot::{Damaged, Mapped};
use crate::store::InForce;
use crate::wire::LowerName;
use crate::zone::{Access, Action, Zone};

/// All zones and what else an answer depends on. Never changed: another world takes its place.
#[derive(Debug)]
pub struct World {
    /// By origin in wire form.
    zones: HashMap<Box<[u8]>, Entry>,
    /// Who is answered, in any zone.
    access: Arc<Access>,
    /// How often.
    pub(super) limit: Option<Arc<Limiter>>,
    pub(super) cookies: Arc<Cookies>,
    /// Subzones, each with the zone that it is a part of.
    subzones: BTreeMap<Name, Name>,
    /// Names between a zone and one that lies in it, in wire form: whatever the zone's own data say, something is below them.
    above: Arc<HashSet<Box<[u8]>>>,
    /// Bit `n`: an origin with `n` labels exists. A question is looked up only at these depths.
    depths: u128,
    /// What `version.bind` is told.
    pub(super) version: Option<String>,
    /// Which generation this is; `None` before the first.
    pub(super) generation: Option<u64>,
    /// Damage has been reported: once is enough, however many questions meet it.
    damage_told: AtomicBool,
}

/// A zone, where it is counted, and who is answered in it if it has access lists of its own.
#[derive(Debug, Clone)]
struct Entry {
    served: Served,
    tally: Arc<Tally>,
    access: Option<Arc<Access>>,
}

/// The zone that a name lies in.
pub(super) struct Place<'w> {
    pub(super) served: &'w Served,
    pub(super) tally: &'w Tally,
    pub(super) access: Option<&'w Access>,
    /// Where its origin begins in the name.
    pub(super) origin: usize,
}

/// Who is answered by a server, and how often.
#[derive(Debug, Clone, Default)]
pub struct AccessLists {
    /// For every question.
    pub server: Arc<Access>,
    /// For questions in a zone, by its origin: what a client is given by both is the stricter.
    pub zones: BTreeMap<Name, Arc<Access>>,
    /// How often a network is answered over UDP; `None`: without a limit.
    pub limit: Option<Arc<Limiter>>,
}

/// A zone that exists.
#[derive(Debug, Clone)]
pub enum Served {
    /// It answers.
    Ready(Zone<Mapped>),
    /// It has no valid snapshot yet: SERVFAIL.
    Waiting,
    /// Its data have ended by their own words, or were damaged while they were in service: SERVFAIL.
    Useless,
}

impl World {
    /// The world before the first generation: every zone waits.
    pub(super) fn waiting(settings: &Settings) -> Self {
        Self::without_data(settings, &Served::Waiting)
    }

    /// A world without any data: each zone has `nothing`.
    pub(super) fn without_data(settings: &Settings, nothing: &Served) -> Self {
        let zones = settings.zones.iter().map(|origin| (origin.clone(), nothing.clone()));
        Self::new(zones, settings.version.clone(), None).guarded(&settings.access).placed(settings)
    }

    /// The world of a server without a store: `zones`, some of which know that they are subzones.
    pub(super) fn standing(
        settings: &Settings,
        zones: impl IntoIterator<Item = (Name, Served)>,
        access: &AccessLists,
    ) -> Self {
        let zones: Vec<_> = zones.into_iter().collect();
        let base = |(origin, served): &(Name, Served)| match served {
            Served::Ready(zone) => Some((origin.clone(), zone.base()?.clone())),
            Served::Waiting | Served::Useless => None,
        };
        let subzones = zones.iter().filter_map(base).collect();
        let world = Self::new(zones, settings.version.clone(), None).with_subzones(subzones);
        world.guarded(access).placed(settings)
    }

    /// A world of `zones` by origin.
    pub fn new(
        zones: impl IntoIterator<Item = (Name, Served)>,
        version: Option<String>,
        generation: Option<u64>,
    ) -> Self {
        let mut world = Self {
            zones: HashMap::new(),
            access: Arc::default(),
            limit: None,
            cookies: Arc::default(),
            subzones: BTreeMap::new(),
            above: Arc::default(),
            depths: 0,
            version,
            generation,
            damage_told: AtomicBool::new(false),
        };
        for (origin, served) in zones {
            world.depths |= 1 << origin.labels().count();
            world
                .zones
                .insert(origin.as_wire().into(), Entry { served, tally: Arc::default(), access: None });
        }
        world.above = Arc::new(world.zones.keys().flat_map(|origin| world.between(origin)).collect());
        world
    }

    /// The names above `origin` up to the zone that it lies in; none when it lies in none.
    fn between(&self, origin: &[u8]) -> Vec<Box<[u8]>> {
        let mut names = Vec::new();
        let mut name = origin;
        while let Some((&len, rest)) = name.split_first().filter(|(len, _)| **len > 0) {
            name = &rest[usize::from(len)..];
            if self.zones.contains_key(name) {
                return names;
            }
            names.push(name.into());
        }
        Vec::new()
    }

    /// Another zone lies below `name`, which is a zone's but says nothing itself (RFC 8020, RFC 4592 section 2.2.2).
    pub(super) fn is_above_a_zone(&self, name: &LowerName) -> bool {
        !self.above.is_empty() && self.above.contains(name.as_wire())
    }

    /// The same world, in which these zones are subzones, each of the one beside it.
    pub(super) fn with_subzones(self, subzones: BTreeMap<Name, Name>) -> Self {
        Self { subzones, ..self }
    }

    /// The same world with these access lists; those of a zone hold for its subzones.
    #[must_use]
    pub fn guarded(mut self, access: &AccessLists) -> Self {
        self.access = Arc::clone(&access.server);
        self.limit.clone_from(&access.limit);
        for (wire, entry) in &mut self.zones {
            let origin = Name::from_wire(wire);
            let of = |origin: Name| access.zones.get(self.subzones.get(&origin).unwrap_or(&origin));
            entry.access = origin.and_then(of).filter(|access| !access.is_open()).cloned();
        }
        self
    }

    /// The same world in the server of these settings: with its cookies, and each zone counted where it counts them; a
    /// subzone is counted as its zone.
    #[must_use]
    pub fn placed(mut self, settings: &Settings) -> Self {
        self.cookies = Arc::clone(&settings.cookies);
        for (wire, entry) in &mut self.zones {
            if let Some(origin) = Name::from_wire(wire) {
                entry.tally = settings.tallies.of(self.subzones.get(&origin).unwrap_or(&origin));
            }
        }
        self
    }

    /// What `client` is given, wherever its question leads.
    pub fn action(&self, client: IpAddr) -> &Action {
        self.access.of(client)
    }

    /// Whether every client is told the same.
    pub(super) fn is_open(&self) -> bool {
        self.access.is_open() && self.zones.values().all(|entry| entry.access.is_none())
    }

    /// The zone that `name` lies in, the longest origin first, and where its origin begins in the name.
    pub fn find(&self, name: &LowerName) -> Option<(&Served, usize)> {
        self.place(name).map(|place| (place.served, place.origin))
    }

    /// The same, and what else belongs to the zone.
    pub(super) fn place(&self, name: &LowerName) -> Option<Place<'_>> {
        for (labels, origin) in name.ancestry() {
            if self.depths >> labels & 1 == 0 {
                continue;
            }
            if let Some(Entry { served, tally, access }) = self.zones.get(&name.as_wire()[origin..]) {
                return Some(Place { served, tally, access: access.as_deref(), origin });
            }
        }
        None
    }

    /// The zone with this origin.
    pub fn zone(&self, origin: &Name) -> Option<&Served> {
        self.zones.get(origin.as_wire()).map(|entry| &entry.served)
    }

    /// All zones but subzones, in no order.
    pub fn zones(&self) -> impl Iterator<Item = (Name, &Served)> {
        let zones =
            self.zones.iter().filter_map(|(wire, entry)| Some((Name::from_wire(wire)?, &entry.served)));
        zones.filter(|(origin, _)| !self.subzones.contains_key(origin))
    }

    /// The subzones, each with the zone that it is a part of.
    pub fn subzones(&self) -> &BTreeMap<Name, Name> {
        &self.subzones
    }

    /// The number of the generation in service; `None` before the first.
    pub fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// Says once that a question met damage.
    pub(super) fn tell_damage(&self, zone: &Name, damage: Damaged) {
        if !self.damage_told.swap(true, Ordering::Relaxed) {
            tracing::error!(%zone, %damage, "a question met damage and is answered SERVFAIL, as others may be");
        }
    }

    /// The same world with these zones in the place of what they are now.
    pub(super) fn with(&self, zones: &BTreeMap<Name, Served>) -> Self {
        let entries = self.zones.iter().map(|(wire, entry)| {
            let changed = Name::from_wire(wire).and_then(|origin| zones.get(&origin));
            let served = changed.unwrap_or(&entry.served).clone();
            (wire.clone(), Entry { served, ..entry.clone() })
        });
        Self { zones: entries.collect(), ..self.blank() }
    }

    /// The same world under these local decisions; those of a zone hold for its subzones.
    #[must_use]
    pub fn decided(&self, decisions: &InForce) -> Self {
        let entries = self.zones.iter().map(|(wire, entry)| {
            let origin = Name::from_wire(wire);
            let zone = origin.as_ref().map(|origin| self.subzones.get(origin).unwrap_or(origin));
            let served = match (&entry.served, zone) {
                (Served::Ready(ready), Some(zone)) => Served::Ready(ready.overlaid(decisions.of(zone))),
                (served, _) => served.clone(),
            };
            (wire.clone(), Entry { served, ..entry.clone() })
        });
        Self { zones: entries.collect(), ..self.blank() }
    }

    /// Everything but the zones.
    fn blank(&self) -> Self {
        Self {
            zones: HashMap::new(),
            access: Arc::clone(&self.access),
            limit: self.limit.clone(),
            cookies: Arc::clone(&self.cookies),
            subzones: self.subzones.clone(),
            above: Arc::clone(&self.above),
            depths: self.depths,
            version: self.version.clone(),
            generation: self.generation,
            damage_told: AtomicBool::new(false),
        }
    }

    /// The same world without what the lists named in `expired` say.
    pub(super) fn masked(&self, expired: &BTreeSet<String>) -> Result<Self, Damaged> {
        let zones = self.zones.iter().map(|(origin, entry)| {
            let served = match &entry.served {
                Served::Ready(zone) => Served::Ready(zone.masked(|list| expired.contains(list))?),
                useless => useless.clone(),
            };
            Ok((origin.clone(), Entry { served, ..entry.clone() }))
        });
        Ok(Self { zones: zones.collect::<Result<_, _>>()?, ..self.blank() })
    }
}
