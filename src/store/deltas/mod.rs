//! How a list came to be what it is: `feeds/NAME/deltas/`.
//!
//! ```text
//! delta-N-TIME-BEFORE-AFTER   how version AFTER came from version BEFORE; N counts up, names of sets are shortened
//! anchor-HASH                 a set before which no delta leads: what the oldest ones begin from
//! since-HASH                  since when each entry of that set is there; of the current one and the one before it
//! ```
//!
//! [`Deltas`] reads and [`ListWriter::keep_change`](super::ListWriter::keep_change) writes. A list may come back to a
//! version that it had, so deltas are found by number, and the way to a set is followed back from the newest that leads
//! there. Every set that a delta gives is checked by its hash. What is damaged or lost costs what it says: the versions
//! behind it are known again from the next set that is there, and the list itself never depends on anything here.

mod file;
mod keep;

pub use file::{packed, unpacked};

use std::path::{Path, PathBuf};

use super::atomic::entries;
use super::error::StoreError;
use super::list::{ListDir, read_set};
use super::owner::read_sealed;
use crate::model::ContentHash;
use crate::set::{Set, Since, Version, codec, delta};

/// How a list came to be what it is, for reading.
#[derive(Debug, Clone)]
pub struct Deltas<'a> {
    list: &'a ListDir,
    folder: PathBuf,
}

/// The file of a delta, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct DeltaFile {
    number: u64,
    time: i64,
    before: String,
    after: String,
    path: PathBuf,
}

impl ListDir {
    /// How it came to be what it is.
    pub fn deltas(&self) -> Deltas<'_> {
        Deltas { list: self, folder: self.path().join("deltas") }
    }
}

impl Deltas<'_> {
    /// Tells `visit` of each version up to `to` that is known, oldest first: the version, the set before it if that is
    /// known, its own set. A version that is told without a set before it may hold entries that are older. `taken`: when
    /// `to` was taken, if no delta knows it.
    ///
    /// # Errors
    /// When the folder cannot be read. A damaged file is passed over.
    pub fn replay(
        &self,
        to: &ContentHash,
        taken: Option<i64>,
        mut visit: impl FnMut(&Version, Option<&Set>, &Set),
    ) -> Result<(), StoreError> {
        self.replay_below(u64::MAX, to, taken, &mut visit)
    }

    /// By deltas with numbers below `number` alone.
    fn replay_below(
        &self,
        number: u64,
        to: &ContentHash,
        taken: Option<i64>,
        visit: &mut dyn FnMut(&Version, Option<&Set>, &Set),
    ) -> Result<(), StoreError> {
        let files = self.leading_to(number, to)?;
        let last = files.last().filter(|file| file.after == to.short()).map(|file| file.time);
        let mut known: Option<(ContentHash, Set)> = None;
        for file in files {
            let Ok(stored) = file::read(&file.path) else {
                // What it leads from may be there whole, and was there until then.
                if known.as_ref().is_none_or(|(hash, _)| hash.short() != file.before)
                    && let Some((hash, set)) = self.stored_as(&file.before)
                {
                    visit(
                        &Version { time: file.time.saturating_sub(1), set: hash, at_least: true },
                        None,
                        &set,
                    );
                    known = Some((hash, set));
                }
                continue;
            };
            let (before, after) = (stored.before, stored.after);
            if known.as_ref().is_none_or(|(hash, _)| *hash != before.set) {
                known = self.stored(&before.set).map(|set| (before.set, set));
                if let Some((_, set)) = &known {
                    visit(&Version { at_least: true, ..before }, None, set);
                }
            }
            let Some((_, old)) = &known else { continue };
            let new = delta::apply(old, &stored.delta, &after.set).ok();
            if let Some(new) = &new {
                visit(&after, Some(old), new);
            }
            known = new.map(|new| (after.set, new));
        }
        let is_there = known.is_some_and(|(hash, _)| hash == *to);
        if !is_there && let (Some(time), Some(set)) = (last.or(taken), self.stored(to)) {
            visit(&Version { time, set: *to, at_least: true }, None, &set);
        }
        Ok(())
    }

    /// A set, put together from those before it.
    pub fn set(&self, hash: &ContentHash) -> Option<Set> {
        let mut found = None;
        let visit = |version: &Version, _: Option<&Set>, set: &Set| {
            if version.set == *hash {
                found = Some(set.clone());
            }
        };
        self.replay(hash, None, visit).ok()?;
        found
    }

    /// Since when the entries of a set are there: what was written down, or else what the deltas tell. `taken`: when the
    /// set was taken, if no delta knows it. `None` when neither knows.
    pub fn since(&self, hash: &ContentHash, set: &Set, taken: Option<i64>) -> Option<Since> {
        let kept = self.kept_since(hash).ok().filter(|since| since.rows() == set.rows());
        kept.or_else(|| self.since_by_deltas(hash, taken))
    }

    /// As it was written down.
    fn kept_since(&self, hash: &ContentHash) -> Result<Since, StoreError> {
        let path = self.since_path(hash);
        let octets = read_sealed(&path)?;
        let since = Since::decode(&octets).map_err(|error| StoreError::damaged(&path, error))?;
        match since.set() == hash {
            true => Ok(since),
            false => Err(StoreError::damaged(&path, "it is of another set than its name says")),
        }
    }

    fn since_by_deltas(&self, hash: &ContentHash, taken: Option<i64>) -> Option<Since> {
        let mut since: Option<Since> = None;
        let visit = |version: &Version, old: Option<&Set>, new: &Set| {
            let next = since.take().zip(old).and_then(|(since, old)| since.next(old, new, *version));
            since = Some(next.unwrap_or_else(|| Since::begin(new, *version)));
        };
        self.replay(hash, taken, visit).ok()?;
        since.filter(|since| since.set() == hash)
    }

    /// All deltas, oldest first.
    fn files(&self) -> Result<Vec<DeltaFile>, StoreError> {
        let mut files: Vec<DeltaFile> =
            entries(&self.folder)?.iter().filter_map(|name| DeltaFile::of(&self.folder, name)).collect();
        files.sort();
        Ok(files)
    }

    /// The deltas on the way to a set, oldest first. Where one is lost, the way goes on from the newest before it.
    fn leading_to(&self, number: u64, to: &ContentHash) -> Result<Vec<DeltaFile>, StoreError> {
        let mut left = self.files()?;
        left.retain(|file| file.number < number);
        let mut way: Vec<DeltaFile> = Vec::new();
        let mut wanted = to.short();
        while !left.is_empty() {
            match left.iter().rposition(|file| file.after == wanted) {
                Some(at) => left.truncate(at + 1),
                // What began from there went elsewhere: a sync that was killed before its version was in service.
                None => while left.pop_if(|file| file.before == wanted).is_some() {},
            }
            way.extend(left.pop());
            wanted = way.last().map_or_else(String::new, |file| file.before.clone());
        }
        way.reverse();
        Ok(way)
    }

    /// A set that is there whole.
    fn stored(&self, hash: &ContentHash) -> Option<Set> {
        read_set(&self.anchor_path(hash), hash).or_else(|_| self.list.set(hash)).ok()
    }

    /// The same by its shortened name.
    fn stored_as(&self, short: &str) -> Option<(ContentHash, Set)> {
        let anchors = self.named("anchor-").into_iter().flatten().map(|(hash, _)| hash);
        let mut all = anchors.chain(self.list.sets().into_iter().flatten());
        all.find(|hash| hash.short() == short).and_then(|hash| Some((hash, self.stored(&hash)?)))
    }

    fn anchor_path(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(format!("anchor-{hash}"))
    }

    fn since_path(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(format!("since-{hash}"))
    }

    /// The files whose names begin so, with the hash that follows.
    fn named(&self, kind: &str) -> Result<Vec<(ContentHash, PathBuf)>, StoreError> {
        let names = entries(&self.folder)?;
        let named = names
            .iter()
            .filter_map(|name| Some((name.strip_prefix(kind)?.parse().ok()?, self.folder.join(name))));
        Ok(named.collect())
    }
}

impl DeltaFile {
    fn of(folder: &Path, name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("delta-")?.split('-');
        let (number, time) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (before, after) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        parts.next().is_none().then(|| Self { number, time, before, after, path: folder.join(name) })
    }

    fn new(folder: &Path, number: u64, before: &Version, after: &Version) -> Self {
        let (time, before, after) = (after.time.max(0), before.set.short(), after.set.short());
        let path = folder.join(format!("delta-{number:06}-{time}-{before}-{after}"));
        Self { number, time, before, after, path }
    }
}

/// For the checks after writing.
fn encoded(set: &Set) -> Vec<u8> {
    codec::encode(set).0
}
