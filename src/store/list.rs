//! The folder of one list.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::atomic::{self, entries, put_in_place, sync_folder};
use super::clock::Stamp;
use super::error::StoreError;
use super::json::{self, Versioned};
use super::killpoint::killpoint;
use super::log::{self, Attempt, Logged};
use super::owner::{LARGEST, Owner, holds, open_folder, open_in_place, open_plain, read_sealed};
use super::status::{Dates, ListStatus, SetRef, Validators};
use super::{Store, make_folder};
use crate::model::{ContentHash, Hasher, Use};
use crate::set::{Set, codec};

/// Accepted bodies that are kept.
const BODIES: usize = 2;

/// Sets that are kept whatever their age and size.
const SETS: usize = 3;

/// The folder of a list, for reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListDir(PathBuf);

/// The folder of a list, for writing.
#[derive(Debug)]
pub struct ListWriter<'a> {
    dir: ListDir,
    store: &'a Store,
}

/// An accepted body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BodyRef {
    /// Counts up from 1.
    pub number: u64,
    /// The beginning of its hash, as in its name.
    hash: String,
    /// Where it is.
    pub path: PathBuf,
}

impl BodyRef {
    /// Whether it was written as the body with this hash.
    pub fn is_called(&self, hash: &ContentHash) -> bool {
        hash.short() == self.hash
    }

    /// Whether it is what was written.
    pub fn is_whole(&self) -> bool {
        let is_one = |found: std::fs::Metadata| found.len() <= LARGEST;
        self.path.symlink_metadata().is_ok_and(is_one)
            && hash_file(&self.path).is_ok_and(|hash| hash.short() == self.hash)
    }
}

/// What goes at once for its age alone: a clock that runs ahead, unnoticed, costs no more.
pub(super) const RETIRED: usize = 2;

/// How long earlier versions are kept: of sets beyond the three that always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// For so long.
    pub age: Duration,
    /// Up to here: now, in seconds since 1970, as far as the clock can be believed.
    pub now: i64,
    /// While all of them together take no more octets.
    pub size: u64,
}

/// What waits for a person or for agreement: `held/held.json`, beside the body and the sets of [`Held::agreeing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Since when something waits.
    pub since: Stamp,
    /// In how many fetches.
    pub seen: u32,
    /// What it would be.
    pub set: SetRef,
    /// Why it waits, for people.
    pub reasons: Vec<String>,
    /// When the body came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Stamp>,
    /// What its server calls it: to be remembered only when it is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<Validators>,
    /// What the list was good for then.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<Use>,
    /// When it is from by its own words.
    #[serde(default)]
    pub dates: Dates,
    /// The fetches that agree with it and with each other, oldest first, its own the last; none where agreement does not
    /// let it through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreeing: Vec<Sighting>,
}

/// A fetch whose content was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Stamp,
    /// What it was read as.
    pub set: SetRef,
}

impl Versioned for Held {
    const VERSION: u64 = 1;
    const KIND: &'static str = "held";
}

impl ListDir {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is known of the list; the default status when nothing is.
    pub fn status(&self) -> Result<ListStatus, StoreError> {
        Ok(json::read(&self.0.join("status.json"))?.unwrap_or_default())
    }

    /// A set by its name.
    pub fn set(&self, hash: &ContentHash) -> Result<Set, StoreError> {
        read_set(&self.set_path(hash), hash)
    }

    /// A set that waits, by its name.
    pub fn held_set(&self, hash: &ContentHash) -> Result<Set, StoreError> {
        read_set(&self.held_set_path(hash), hash)
    }

    /// Whether this set is kept.
    pub fn has_set(&self, hash: &ContentHash) -> bool {
        self.set_path(hash).is_file()
    }

    /// The names of the sets that are kept, newest first.
    pub fn sets(&self) -> Result<Vec<ContentHash>, StoreError> {
        Ok(self.set_files()?.into_iter().map(|file| file.hash).collect())
    }

    /// When a set was last made the current one, in seconds since 1970.
    pub fn set_taken(&self, hash: &ContentHash) -> Result<i64, StoreError> {
        let path = self.set_path(hash);
        std::fs::metadata(&path).map(|file| file.mtime()).map_err(StoreError::io("read", &path))
    }

    /// The accepted bodies that are kept, newest first.
    pub fn bodies(&self) -> Result<Vec<BodyRef>, StoreError> {
        let mut bodies: Vec<BodyRef> = entries(&self.0)?
            .iter()
            .filter_map(|name| {
                let (number, hash) = name.strip_prefix("body-")?.split_once('-')?;
                let (number, hash) = (number.parse().ok()?, hash.to_owned());
                Some(BodyRef { number, hash, path: self.0.join(name) })
            })
            .collect();
        bodies.sort_by(|a, b| b.cmp(a));
        Ok(bodies)
    }

    /// What its log knows.
    pub fn logged(&self) -> Logged {
        log::read(&self.0.join("log.jsonl"))
    }

    /// All of its log, oldest line first. Lines that cannot be read are passed over.
    pub fn history(&self) -> Vec<Attempt> {
        log::history(&self.0.join("log.jsonl"))
    }

    /// What waits.
    pub fn held(&self) -> Result<Option<Held>, StoreError> {
        json::read(&self.held_folder().join("held.json"))
    }

    /// The body that waits.
    pub fn held_body(&self) -> PathBuf {
        self.held_folder().join("body")
    }

    fn held_folder(&self) -> PathBuf {
        self.0.join("held")
    }

    fn set_path(&self, hash: &ContentHash) -> PathBuf {
        self.0.join(format!("set-{hash}"))
    }

    fn held_set_path(&self, hash: &ContentHash) -> PathBuf {
        self.held_folder().join(format!("set-{hash}"))
    }

    fn set_files(&self) -> Result<Vec<SetFile>, StoreError> {
        let mut files = Vec::new();
        for name in entries(&self.0)? {
            let Some(hash) = name.strip_prefix("set-").and_then(|hash| hash.parse().ok()) else { continue };
            let path = self.0.join(name);
            let found = std::fs::metadata(&path).map_err(StoreError::io("read", &path))?;
            let touched = found.modified().map_err(StoreError::io("read", &path))?;
            files.push(SetFile { touched, hash, size: found.len(), path });
        }
        files.sort_by_key(|file| std::cmp::Reverse((file.touched, file.hash)));
        Ok(files)
    }
}

struct SetFile {
    /// When it was last made the current set.
    touched: SystemTime,
    hash: ContentHash,
    size: u64,
    path: PathBuf,
}

impl std::ops::Deref for ListWriter<'_> {
    type Target = ListDir;

    fn deref(&self) -> &ListDir {
        &self.dir
    }
}

impl<'a> ListWriter<'a> {
    pub(super) fn new(dir: ListDir, store: &'a Store) -> Self {
        Self { dir, store }
    }

    /// A file for a body that is about to be received. Gone when dropped, or swept if this process dies.
    pub fn body_file(&self) -> Result<NamedTempFile, StoreError> {
        let file = atomic::temporary(&self.dir.0, self.store.owner)?;
        killpoint("body-created");
        Ok(file)
    }

    /// Keeps a body that was accepted, and the one before it.
    pub fn keep_body(&self, body: NamedTempFile) -> Result<BodyRef, StoreError> {
        killpoint("body-written");
        let hash = hash_file(body.path())?;
        let bodies = self.dir.bodies()?;
        let number = bodies.first().map_or(1, |body| body.number + 1);
        let hash = hash.short();
        let path = self.dir.0.join(format!("body-{number:06}-{hash}"));
        put_in_place(body, &path, "body", 0o644, |_| Ok(()))?;
        for old in bodies.iter().skip(BODIES - 1) {
            remove(&old.path)?;
        }
        Ok(BodyRef { number, hash, path })
    }

    /// Puts a set in the store (again) and names it.
    pub fn keep_set(&self, set: &Set) -> Result<SetRef, StoreError> {
        let (octets, hash) = codec::encode(set);
        let path = self.dir.set_path(&hash);
        let known = SetRef { hash, entries: set.len() as u64 };
        if holds(&path, &octets) {
            self.touch_set(&hash)?;
            return Ok(known);
        }
        self.write_set(&path, "set", &octets)?;
        Ok(known)
    }

    /// A set that is kept becomes the current one again: its age counts from when it was last that.
    pub fn touch_set(&self, hash: &ContentHash) -> Result<(), StoreError> {
        let path = self.dir.set_path(hash);
        let file = open_in_place(File::options().append(true), &path, self.store.owner, "touch")?;
        file.set_modified(SystemTime::now()).map_err(StoreError::io("touch", &path))
    }

    fn write_set(&self, path: &Path, kind: &str, octets: &[u8]) -> Result<(), StoreError> {
        atomic::write(
            path,
            kind,
            0o644,
            self.store.owner,
            |out| out.write_all(octets),
            |written| match std::fs::read(written) {
                Ok(there) if there == octets => Ok(()),
                Ok(_) => Err("other octets came back".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        )
    }

    /// Replaces the status.
    pub fn put_status(&self, status: &ListStatus) -> Result<(), StoreError> {
        json::write(&self.dir.0.join("status.json"), status, self.store.owner)
    }

    /// Adds a line to the log.
    pub fn log(&self, attempt: &Attempt) -> Result<(), StoreError> {
        log::append(&self.dir.0.join("log.jsonl"), attempt, self.store.owner)
    }

    /// Puts a body aside with what it was read as, in place of one that waits already.
    pub fn hold(&self, body: NamedTempFile, set: &Set, held: &Held) -> Result<(), StoreError> {
        let folder = self.dir.held_folder();
        make_folder(&folder, self.store.owner)?;
        open_folder(&folder, self.store.owner)?;
        let path = self.dir.held_set_path(&held.set.hash);
        if !path.is_file() {
            self.write_set(&path, "held-set", &codec::encode(set).0)?;
        }
        put_in_place(body, &self.dir.held_body(), "held", 0o644, |_| Ok(()))?;
        json::write(&folder.join("held.json"), held, self.store.owner)?;
        let needed: BTreeSet<_> =
            held.agreeing.iter().map(|sighting| sighting.set.hash).chain([held.set.hash]).collect();
        for name in entries(&folder)? {
            let hash = name.strip_prefix("set-").and_then(|hash| hash.parse().ok());
            if hash.is_some_and(|hash| !needed.contains(&hash)) {
                remove(&folder.join(name))?;
            }
        }
        Ok(())
    }

    /// A copy of the body that waits, which was no larger than `most` when it came.
    pub fn copy_of_held_body(&self, most: u64) -> Result<NamedTempFile, StoreError> {
        let mut copy = self.body_file()?;
        let path = self.dir.held_body();
        let held = open_in_place(File::options().read(true), &path, self.store.owner, "read")?;
        let mut held = held.take(most.saturating_add(1));
        if std::io::copy(&mut held, &mut copy).map_err(StoreError::io("copy", &path))? > most {
            return Err(StoreError::damaged(&path, "larger than the list may be (`max-size`)"));
        }
        Ok(copy)
    }

    /// Forgets what waits.
    pub fn drop_held(&self) -> Result<(), StoreError> {
        let folder = self.dir.held_folder();
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &folder)(error))
            }
            _ => {
                killpoint("hold-dropped");
                Ok(())
            }
        }
    }

    /// Removes all that is kept of its versions; what happened stays in the log.
    pub fn drop_versions(&self) -> Result<(), StoreError> {
        self.drop_held()?;
        for file in self.dir.set_files()? {
            remove(&file.path)?;
        }
        for body in self.dir.bodies()? {
            remove(&body.path)?;
        }
        let deltas = self.dir.0.join("deltas");
        match std::fs::remove_dir_all(&deltas) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &deltas)(error))
            }
            _ => sync_folder(&self.dir.0),
        }
    }

    /// Removes sets that are neither in `needed`, nor among the newest three, nor young and small enough. Of those that are
    /// too old, the oldest two.
    pub fn prune_sets(&self, needed: &[ContentHash], keep: Retention) -> Result<usize, StoreError> {
        killpoint("sets-prune");
        let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(keep.now).unwrap_or(0));
        let mut removed = 0;
        let mut total = 0;
        let mut old = Vec::new();
        for (index, file) in self.dir.set_files()?.into_iter().enumerate() {
            // A time in the future is a clock that was stepped: as good as now.
            let age = now.duration_since(file.touched).unwrap_or(Duration::ZERO);
            total += file.size;
            if index < SETS || needed.contains(&file.hash) {
                continue;
            }
            if total > keep.size {
                remove(&file.path)?;
                removed += 1;
            } else if age > keep.age {
                old.push(file.path);
            }
        }
        for path in old.iter().rev().take(RETIRED) {
            remove(path)?;
            removed += 1;
        }
        if removed > 0 {
            sync_folder(&self.dir.0)?;
        }
        Ok(removed)
    }

    /// Whose the files of the list are, when that is not the one who writes them.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.store.owner
    }
}

/// The set in the file at `path`, which must be the one called `hash`.
pub(super) fn read_set(path: &Path, hash: &ContentHash) -> Result<Set, StoreError> {
    let octets = read_sealed(path)?;
    let set = decode(path, &octets)?;
    match octets.last_chunk::<32>() {
        Some(name) if name == hash.as_bytes() => Ok(set),
        _ => Err(StoreError::damaged(path, "it holds another set than its name says")),
    }
}

pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    std::fs::remove_file(path).map_err(StoreError::io("remove", path))
}

/// The hash of a file's content.
pub fn hash_file(path: &Path) -> Result<ContentHash, StoreError> {
    let mut file = open_plain(path).map_err(StoreError::io("read", path))?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(StoreError::io("read", path))? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn decode(path: &Path, octets: &[u8]) -> Result<Set, StoreError> {
    codec::decode(octets).map_err(|error| match error {
        codec::SetError::Version(found) => StoreError::Version {
            path: path.to_owned(),
            found: u64::from(found),
            known: codec::VERSION.into(),
        },
        other => StoreError::damaged(path, other),
    })
}
