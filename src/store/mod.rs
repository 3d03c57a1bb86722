//! The state folder: what was fetched, what it was read as, what is in service.
//!
//! ```text
//! lock                     one writer at a time
//! seed                     random, once: the phase of this store's fetches
//! feeds/NAME/body-N-HASH   the last two accepted bodies, as received
//! feeds/NAME/set-HASH      canonical sets
//! feeds/NAME/deltas/       how each accepted version came from the one before, and since when entries are there
//! feeds/NAME/status.json   attempts, ages, validators, decision
//! feeds/NAME/held/         what waits for a person or for agreement
//! feeds/NAME/log.jsonl     one line per attempt
//! feeds/left-N/            what a list had under a name that another list has now; nobody's, until its place is asked for again
//! snapshots/ZONE-HASH      compiled zones
//! generation.json          which of them are in service
//! not-compiled.json        which zones the last sync could not compile, and why
//! terms.json               whose terms were shown
//! overlay.jsonl            local decisions
//! overlay-log.jsonl        one line per decision that was made, taken back or over
//! overlay-lock             one writer of these at a time
//! ```
//!
//! [`Store`] reads and [`Writer`] writes: only who holds the lock has one. Every file but logs and appended decisions is
//! written beside the old one and renamed (`atomic`), so a reader needs no lock. Files belong to the owner of the state folder even
//! when root writes them, as a server that root started does (`owner`; root's commands become the owner before they open a store). A file of another version is refused by name. No async, no network.
//!
//! Read [`Store::open`] and [`Store::lock`] first, then [`ListStatus`] and [`Generation`].

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

mod atomic;
mod clock;
pub mod deltas;
mod error;
mod fetched;
mod generation;
mod json;
pub mod killpoint;
mod list;
mod log;
mod not_compiled;
mod overlay;
mod owner;
mod status;
mod terms;
mod versions;

pub use clock::{Freshness, Now, Stamp, freshness};
pub use deltas::Deltas;
pub use error::StoreError;
pub use fetched::Fetches;
pub use generation::{BuiltZone, Generation, Past, ZoneEntry, next_serial};
pub use list::{BodyRef, Held, ListDir, ListWriter, Retention, Sighting, hash_file};
pub use log::{Act, Attempt, By, InVain, Logged};
pub use overlay::{Changed, DECISIONS, DamagedLine, DecisionWriter, Decisions, InForce, LocalDecision};
pub use status::{
    Dates, Decision, ListStatus, Outcome, PassedOver, Pause, Pin, Refused, SetRef, Told, Useless, Validators,
};
pub use terms::{Shown, Terms};
pub use versions::{FEWEST_DIGITS, Unknown, Version, Versions};

use crate::config::Slug;
pub(crate) use owner::open_plain;
use owner::{Owner, give, open_folder, open_in_place, read_small};

/// The state folder, for reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
    owner: Option<Owner>,
}

/// The state folder, for writing: whoever has this holds the lock. The kernel takes the lock back when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    _lock: File,
}

/// What to do when somebody else holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Say so: a timer's run that comes too early.
    No,
    /// Until it is free: a command that a person gave.
    Yes,
}

/// The lock, or who has it.
#[derive(Debug)]
pub enum Lock {
    /// Ours until the writer is dropped.
    Taken(Writer),
    /// Somebody else's; what the lock file says of them.
    Busy(String),
}

impl Store {
    /// Opens the state folder at `path` and makes what is missing of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = match Self::existing(path) {
            Err(StoreError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                make_folder(path, None)?;
                Self::existing(path)?
            }
            store => store?,
        };
        for folder in [store.feeds(), store.snapshots()] {
            if !folder.is_dir() {
                make_folder(&folder, store.owner)?;
            }
        }
        Ok(store)
    }

    /// Opens the state folder at `path` as it is: makes nothing, works on a read-only file system.
    pub fn existing(path: &Path) -> Result<Self, StoreError> {
        let found = std::fs::metadata(path).map_err(StoreError::io("open the state folder", path))?;
        if !found.is_dir() {
            return Err(StoreError::NotAFolder(path.to_owned()));
        }
        let is_root = nix::unistd::geteuid().is_root();
        let owner = Owner { uid: found.uid(), gid: found.gid() };
        let owner = (is_root && owner.uid != 0).then_some(owner);
        let root = std::path::absolute(path).map_err(StoreError::io("open the state folder", path))?;
        Ok(Self { root, owner })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The folder of a list, for reading.
    pub fn list(&self, name: &Slug) -> ListDir {
        ListDir::new(self.feeds().join(name.as_str()))
    }

    /// The lists that the store knows of, whether or not they are still configured.
    pub fn lists(&self) -> Result<Vec<Slug>, StoreError> {
        let names = atomic::entries(&self.feeds())?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Where the snapshot called `file` is.
    pub fn snapshot(&self, file: &str) -> PathBuf {
        self.snapshots().join(file)
    }

    /// The moment, with the newest time that these lists have seen.
    pub fn now<'a>(&self, lists: impl IntoIterator<Item = &'a ListStatus>) -> Now {
        let newest = lists.into_iter().map(ListStatus::newest).max().unwrap_or(0);
        Now::read().having_seen(newest)
    }

    /// A file to be locked, made where there is none; the owner's, whoever comes first.
    fn lock_file(&self, path: &Path) -> Result<File, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        open_in_place(&mut options, path, self.owner, "take the lock")
    }

    /// Takes the lock and sweeps what killed writers left.
    pub fn lock(&self, wait: Wait) -> Result<Lock, StoreError> {
        for folder in [self.feeds(), self.snapshots()].iter().filter(|folder| folder.is_dir()) {
            open_folder(folder, self.owner)?;
        }
        let path = self.root.join("lock");
        let mut file = self.lock_file(&path)?;
        match (file.try_lock(), wait) {
            (Ok(()), _) => {}
            (Err(TryLockError::WouldBlock), Wait::No) => {
                return Ok(Lock::Busy(holder(&mut file)));
            }
            (Err(TryLockError::WouldBlock), Wait::Yes) => {
                file.lock().map_err(StoreError::io("take the lock", &path))?;
            }
            (Err(TryLockError::Error(cause)), _) => {
                return Err(StoreError::Io { action: "take the lock", path, cause });
            }
        }
        // For people who wonder who has it; nobody relies on it.
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = file.write_all(format!("process {}\n", std::process::id()).as_bytes());
        let writer = Writer { store: self.clone(), _lock: file };
        writer.sweep()?;
        Ok(Lock::Taken(writer))
    }

    fn feeds(&self) -> PathBuf {
        self.root.join("feeds")
    }

    fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }
}

impl Writer {
    /// The store, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The folder of a list, for writing; made if missing.
    pub fn list(&self, name: &Slug) -> Result<ListWriter<'_>, StoreError> {
        let folder = self.store.feeds().join(name.as_str());
        if !folder.is_dir() {
            make_folder(&folder, self.store.owner)?;
        }
        open_folder(&folder, self.store.owner)?;
        Ok(ListWriter::new(ListDir::new(folder), &self.store))
    }

    /// A list is called otherwise: the folder of `was` becomes that of `name`. What stood there goes to `aside`; whether anything did.
    pub fn rename_list(&self, was: &Slug, name: &Slug, aside: &Slug) -> Result<bool, StoreError> {
        let at = |name: &Slug| self.store.feeds().join(name.as_str());
        let rename = |from: &Slug, to: &Slug| {
            std::fs::rename(at(from), at(to)).map_err(StoreError::io("rename to", &at(to)))
        };
        let is_there = at(name).symlink_metadata().is_ok();
        if is_there {
            rename(name, aside)?;
        }
        if let Err(error) = rename(was, name) {
            if is_there {
                rename(aside, name)?;
            }
            return Err(error);
        }
        atomic::sync_folder(&self.store.feeds())?;
        Ok(is_there)
    }

    /// A number of this store's own, the same every time: sets the phase of its fetches apart from other stores'.
    pub fn seed(&self) -> Result<u64, StoreError> {
        let path = self.store.root.join("seed");
        if let Ok(octets) = read_small(&path)
            && let Ok(text) = String::from_utf8(octets)
            && let Ok(seed) = u64::from_str_radix(text.trim(), 16)
        {
            return Ok(seed);
        }
        let random = Path::new("/dev/urandom");
        let mut octets = [0; 8];
        File::open(random)
            .and_then(|mut file| file.read_exact(&mut octets))
            .map_err(StoreError::io("read", random))?;
        let seed = u64::from_le_bytes(octets);
        let fill = |out: &mut std::io::BufWriter<&File>| writeln!(out, "{seed:016x}");
        atomic::write(&path, "seed", 0o644, self.store.owner, fill, |_| Ok(()))?;
        Ok(seed)
    }

    fn sweep(&self) -> Result<(), StoreError> {
        // Nothing of ours lies behind a link that root would not write through.
        let is_ours = |folder: &PathBuf| self.store.owner.is_none() || !folder.is_symlink();
        let lists =
            atomic::entries(&self.store.feeds())?.into_iter().map(|name| self.store.feeds().join(name));
        for list in lists.filter(is_ours) {
            for folder in
                [list.join("held"), list.join("deltas"), list].iter().filter(|folder| is_ours(folder))
            {
                // What cannot be read of one list costs that list, when its turn comes.
                let _ = atomic::sweep(folder);
            }
        }
        atomic::sweep(&self.store.root)?;
        atomic::sweep(&self.store.snapshots())?;
        Ok(())
    }
}

impl std::ops::Deref for Writer {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// What the lock file says of whoever has it. Between taking the lock and writing that down there is a moment.
fn holder(file: &mut File) -> String {
    for _ in 0..20 {
        let mut text = String::new();
        let _ = file.rewind().and_then(|()| file.take(1 << 10).read_to_string(&mut text));
        if text.ends_with('\n') {
            return text.trim().to_owned();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    "it does not say which".to_owned()
}

/// Makes a folder and those above it, each the owner's.
fn make_folder(path: &Path, owner: Option<Owner>) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent, owner)?;
    }
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        made => made.map_err(StoreError::io("create the folder", path))?,
    }
    give(&open_folder(path, owner)?, path, owner)
}
