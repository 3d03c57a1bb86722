//! Which values the entries of zones in service have, where lists bring their own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::super::view::{View, ZoneView};
use crate::config::Config;
use crate::model::{Name, Rtype};
use crate::snapshot::{Mapped, RdataRef, Snapshot, SnapshotError};

/// By zone; one that nothing is in service of is not there. The store is looked at only when a zone has such lists.
pub(crate) fn of(config: &Config) -> anyhow::Result<BTreeMap<Name, BTreeSet<Ipv4Addr>>> {
    let lists = &config.reloadable.lists;
    let has_values = |zone: &ZoneView| {
        let mut formats = zone.config.members.iter().filter_map(|member| lists.get(&member.list));
        zone.config.keep_values && !zone.is_subzone() && formats.any(|list| list.format.is_rbldnsd())
    };
    let zones = &config.reloadable.zones;
    let may_have = zones.iter().any(|zone| {
        zone.keep_values
            && zone.members.iter().any(|m| lists.get(&m.list).is_some_and(|l| l.format.is_rbldnsd()))
    });
    if !may_have {
        return Ok(BTreeMap::new());
    }
    let view = View::of(config.clone())?;
    let mut values = BTreeMap::new();
    for zone in view.zones.iter().filter(|zone| has_values(zone)) {
        if let Some(answering) = zone.answering() {
            values.insert(zone.origin().clone(), of_snapshot(answering.snapshot())?);
        }
    }
    Ok(values)
}

fn of_snapshot(snapshot: &Snapshot<Mapped>) -> Result<BTreeSet<Ipv4Addr>, SnapshotError> {
    let mut values = BTreeSet::new();
    for id in 0..snapshot.counts().answers as u32 {
        let answer = snapshot.answer(id)?;
        for set in answer.record_sets().filter(|set| set.rtype == Rtype::A) {
            values.extend(set.data().filter_map(|data| match data {
                RdataRef::Wire(octets) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
                RdataRef::Text(_) => None,
            }));
        }
    }
    Ok(values)
}
