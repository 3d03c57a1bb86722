//! What is in service: one small file that names every snapshot together with its serial.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::atomic::{self, entries, sync_folder};
use super::error::StoreError;
use super::json::{self, Versioned};
use super::killpoint::killpoint;
use super::{Store, Writer};
use crate::model::{ContentHash, Name};

/// Generations whose snapshots are kept: the one in service and those before it.
const KEPT: usize = 3;

/// What is in service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Generation {
    /// Counts up from 1.
    pub number: u64,
    /// When it was made, in seconds since 1970 by the wall clock.
    pub created: i64,
    /// Its zones, by origin.
    pub zones: BTreeMap<Name, ZoneEntry>,
    /// The snapshots of the generations before it, newest first.
    #[serde(default)]
    pub previous: Vec<Past>,
}

/// A zone in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneEntry {
    /// The file name of its snapshot.
    pub file: String,
    /// The hash of its content.
    pub content: ContentHash,
    /// Names everything it was compiled from: while that is the same, it need not be compiled again.
    pub made_from: ContentHash,
    /// The serial of its SOA.
    pub serial: u32,
    /// When it was built, in seconds since 1970 by the wall clock.
    pub built: i64,
    /// When its data end by their own words, in seconds since 1970 by the wall clock: SERVFAIL from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Of a subzone: the zone that it is a part of, with which it comes and goes and whose serial it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Name>,
}

impl ZoneEntry {
    /// Whether its data have ended; `now` is the wall clock in seconds since 1970.
    pub fn has_ended(&self, now: i64) -> bool {
        self.until.is_some_and(|end| end <= now)
    }
}

/// A generation that was in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub number: u64,
    /// The file names of its snapshots.
    pub files: BTreeSet<String>,
}

/// A zone as it has just been built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltZone {
    /// The file name of its snapshot.
    pub file: String,
    /// The hash of its content.
    pub content: ContentHash,
    /// Names everything it was compiled from.
    pub made_from: ContentHash,
    /// The serial that the data insists on.
    pub serial: Option<u32>,
    /// Time of the data, in seconds since 1970.
    pub time: i64,
    /// When the data end by their own words, in seconds since 1970.
    pub until: Option<i64>,
    /// Of a subzone: the zone that it is a part of.
    pub base: Option<Name>,
}

impl Versioned for Generation {
    const VERSION: u64 = 1;
    const KIND: &'static str = "generation";
}

impl Generation {
    /// The generation after `previous` with exactly these zones; `None` when nothing would change. A zone whose
    /// content is the same keeps its file and, unless the data insists on another, its serial; what its subzones hold
    /// is a part of its content.
    pub fn next(previous: Option<&Self>, zones: BTreeMap<Name, BuiltZone>, created: i64) -> Option<Self> {
        let before = |origin: &Name| previous.and_then(|previous| previous.zones.get(origin));
        let parts_now =
            parts(zones.iter().map(|(origin, built)| (origin, built.base.as_ref(), built.content)));
        let parts_before = previous.map_or_else(Parts::new, |previous| {
            parts(previous.zones.iter().map(|(origin, entry)| (origin, entry.base.as_ref(), entry.content)))
        });
        let bases = zones.iter().filter(|(_, built)| built.base.is_none()).map(|(origin, built)| {
            let same_parts = parts_now.get(origin) == parts_before.get(origin);
            (origin, entry(before(origin), built.clone(), same_parts, created))
        });
        let bases: BTreeMap<&Name, ZoneEntry> = bases.collect();
        let all = zones.iter().map(|(origin, built)| {
            let made = match built.base.as_ref().and_then(|base| bases.get(base)) {
                None => {
                    bases.get(origin).cloned().unwrap_or_else(|| entry(None, built.clone(), false, created))
                }
                Some(base) => {
                    let serial = Some(base.serial);
                    entry(before(origin), BuiltZone { serial, ..built.clone() }, true, created)
                }
            };
            (origin.clone(), made)
        });
        let zones: BTreeMap<Name, ZoneEntry> = all.collect();
        let Some(previous) = previous else {
            return Some(Self { number: 1, created, zones, previous: Vec::new() });
        };
        if zones == previous.zones {
            return None;
        }
        let past = Past { number: previous.number, files: previous.files() };
        let previous_ones = std::iter::once(past).chain(previous.previous.iter().cloned());
        let previous_ones = previous_ones.take(KEPT - 1).collect();
        Some(Self { number: previous.number + 1, created, zones, previous: previous_ones })
    }

    fn files(&self) -> BTreeSet<String> {
        self.zones.values().map(|zone| zone.file.clone()).collect()
    }
}

/// What the subzones of each zone hold.
type Parts = BTreeMap<Name, BTreeMap<Name, ContentHash>>;

fn parts<'z>(zones: impl Iterator<Item = (&'z Name, Option<&'z Name>, ContentHash)>) -> Parts {
    let mut parts = Parts::new();
    for (origin, base, content) in zones {
        if let Some(base) = base {
            parts.entry(base.clone()).or_default().insert(origin.clone(), content);
        }
    }
    parts
}

/// `same_parts`: its subzones hold what they held before.
fn entry(before: Option<&ZoneEntry>, built: BuiltZone, same_parts: bool, created: i64) -> ZoneEntry {
    if let Some(before) = before
        && same_parts
        && before.base == built.base
        && before.content == built.content
        && before.file == built.file
        && built.serial.is_none_or(|serial| serial == before.serial)
    {
        return ZoneEntry { made_from: built.made_from, until: built.until, ..before.clone() };
    }
    let serial = built.serial.unwrap_or_else(|| next_serial(before.map(|before| before.serial), built.time));
    let BuiltZone { file, content, made_from, until, base, .. } = built;
    ZoneEntry { file, content, made_from, serial, built: created, until, base }
}

/// The serial after `previous` for data of `time`: the time in seconds, or one more than before when that is no
/// progress by the arithmetic of RFC 1982.
pub fn next_serial(previous: Option<u32>, time: i64) -> u32 {
    // Wraps in 2106, as serials do.
    let time = time.max(1) as u32;
    let Some(previous) = previous else { return time };
    let next = previous.checked_add(1).map_or(time, |next| next.max(time));
    let step = next.wrapping_sub(previous);
    if (1..1 << 31).contains(&step) { next } else { previous.wrapping_add(1) }
}

impl Store {
    /// What is in service; `None` before the first sync.
    pub fn generation(&self) -> Result<Option<Generation>, StoreError> {
        json::read(&self.root.join("generation.json"))
    }
}

impl Writer {
    /// Writes the snapshot of a zone, read-only for everybody, and checks the written file with `verify` before it
    /// gets its name. One of the same content that is there and passes `verify` is left as it is: it may be mapped.
    /// The file's name.
    pub fn put_snapshot(
        &self,
        origin: &Name,
        content: &ContentHash,
        fill: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
        verify: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<String, StoreError> {
        let name = snapshot_name(origin, content);
        let path = self.snapshot(&name);
        if path.is_file() && verify(&path).is_ok() {
            return Ok(name);
        }
        atomic::write(&path, "snapshot", 0o444, self.store.owner, fill, verify)?;
        Ok(name)
    }

    /// Puts a generation in service and removes the snapshots that no generation needs any more.
    pub fn publish(&self, generation: &Generation) -> Result<(), StoreError> {
        for zone in generation.zones.values() {
            let path = self.snapshot(&zone.file);
            std::fs::metadata(&path).map_err(StoreError::io("put in service", &path))?;
        }
        json::write(&self.root.join("generation.json"), generation, self.store.owner)?;
        self.prune_snapshots()?;
        Ok(())
    }

    /// Removes the snapshots that neither the generation in service nor the two before it name; their number.
    pub fn prune_snapshots(&self) -> Result<usize, StoreError> {
        killpoint("snapshots-prune");
        let Some(generation) = self.generation()? else { return Ok(0) };
        let mut needed = generation.files();
        needed.extend(generation.previous.iter().flat_map(|past| past.files.iter().cloned()));
        let folder = self.snapshots();
        let mut removed = 0;
        for name in entries(&folder)? {
            if needed.contains(&name) || name.starts_with(atomic::TEMPORARY) {
                continue;
            }
            let path = folder.join(name);
            std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            removed += 1;
        }
        if removed > 0 {
            sync_folder(&folder)?;
        }
        Ok(removed)
    }
}

/// `ORIGIN-HASH`. An origin that is too long for a file name, or has characters that do not belong in one, is cut
/// and told apart by a hash of its own.
fn snapshot_name(origin: &Name, content: &ContentHash) -> String {
    const LONGEST: usize = 150;
    let text = origin.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() <= LONGEST && text.chars().all(plain) && !text.starts_with('.') {
        return format!("{text}-{content}");
    }
    let start: String = text.chars().take(LONGEST - 20).map(|c| if plain(c) { c } else { '_' }).collect();
    format!("_{start}~{}-{content}", ContentHash::of(origin.as_wire()).short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_always_go_forward() {
        assert_eq!(next_serial(None, 1_800_000_000), 1_800_000_000);
        assert_eq!(next_serial(Some(1_700_000_000), 1_800_000_000), 1_800_000_000);
        assert_eq!(next_serial(Some(1_800_000_000), 1_800_000_000), 1_800_000_001);
        // A clock that went back, and a serial that the data once fixed at YYYYMMDDNN.
        assert_eq!(next_serial(Some(1_900_000_000), 1_800_000_000), 1_900_000_001);
        assert_eq!(next_serial(Some(2_026_112_401), 1_800_000_000), 2_026_112_402);
        // Round the corner of 32 bits, and a leap too long for RFC 1982.
        assert_eq!(next_serial(Some(u32::MAX), 1_800_000_000), 1_800_000_000);
        assert_eq!(next_serial(Some(1), 3_000_000_000), 2);
        for previous in [0, 1, 1 << 30, 1 << 31, u32::MAX - 1, u32::MAX] {
            for time in [0, 1, 1_800_000_000, 3_000_000_000, 4_294_967_295, 5_000_000_000] {
                let step = next_serial(Some(previous), time).wrapping_sub(previous);
                assert!((1..1 << 31).contains(&step), "{previous} at {time}");
            }
        }
    }

    #[test]
    fn snapshots_have_file_names() {
        let hash = ContentHash::of(b"x");
        let name = |text: &str| snapshot_name(&text.parse().unwrap(), &hash);
        assert_eq!(name("bl.example.net"), format!("bl.example.net-{hash}"));
        let long = format!("{}.{}.{}.example", "a".repeat(63), "b".repeat(63), "c".repeat(63));
        for odd in [r"a\/b.example", "a/b.example", "..\\.x", &long] {
            let Ok(origin) = odd.parse::<Name>() else { continue };
            let name = snapshot_name(&origin, &hash);
            assert!(name.len() <= 255 && !name.contains('/') && !name.starts_with('.'), "{name}");
        }
        assert_ne!(name("a/b.example"), name("a_b.example"));
        assert_ne!(name("a/b.example"), name("a!b.example"));
    }
}
