//! Compiled zones between two starts: read-only files, each named by what it was made from.
//!
//! A zone is `PREFIX-KEY-0`, its subzones `PREFIX-KEY-1` and so on. The prefix is the zone's on this command line, the
//! key names everything that decides its content: files that have not changed need not be read again. The zone itself
//! is written last, so that whoever finds it finds all. A data set that shares a zone with others is kept as a set as well
//! (`set-PREFIX-KEY`), so that a change of one does not mean reading all. A damaged file is found by its hash and made
//! again, so nothing is synced. What was not used for a month belongs to a command line that is gone, and goes too.

use std::collections::HashMap;
use std::fs::{DirEntry, File, Metadata, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::ContentHash;
use crate::server::{SEALS, sealed};
use crate::set::{Set, codec};
use crate::snapshot::{Mapped, Snapshot, WriteError};

/// What was not used for so long is removed.
const STALE: Duration = Duration::from_secs(30 * 24 * 3600);

/// What was begun so long ago and is not finished is nobody's: its loader was killed.
const ABANDONED: Duration = Duration::from_secs(3600);
/// How the names of files begin that are not finished.
const UNFINISHED: &str = ".tmp-";

/// The folder, when there is one.
#[derive(Debug)]
pub(super) struct Cache(Option<PathBuf>);

/// Why the folder at `path` cannot be used: what is served is mapped from it.
pub(super) fn unusable(path: &Path) -> Option<String> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", path.display())),
    };
    let user = nix::unistd::geteuid();
    if found.uid() != user.as_raw() {
        return Some(format!(
            "{} belongs to user {} and this is user {user}; give it to that one, or name another with --cache",
            path.display(),
            found.uid()
        ));
    }
    if found.mode() & 0o022 != 0 {
        return Some(format!("{}: others may write there", path.display()));
    }
    tempfile::tempfile_in(path).err().map(|error| format!("{}: {error}", path.display()))
}

impl Cache {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let cache = Self(folder);
        cache.forget(|entry| {
            let found = entry.metadata().ok().filter(Metadata::is_file);
            let used = found.and_then(|found| found.modified().ok());
            let age = used.and_then(|used| SystemTime::now().duration_since(used).ok());
            let is_unfinished = entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
            age.is_some_and(|age| age > if is_unfinished { ABANDONED } else { STALE })
        });
        cache
    }

    /// What was made from `key` before: the file and its snapshot, checked whole.
    pub(super) fn find(
        &self,
        prefix: &str,
        key: &ContentHash,
        number: usize,
    ) -> Option<(File, Snapshot<Mapped>)> {
        let path = self.0.as_ref()?.join(name(prefix, key, number));
        let file = open(&path)?;
        let snapshot = Snapshot::open(Mapped::of(&file).ok()?).ok()?;
        match snapshot.verify() {
            Ok(()) => {
                // That it is used keeps it from being removed.
                let _ = file.set_modified(SystemTime::now());
                Some((file, snapshot))
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "made again");
                None
            }
        }
    }

    /// Keeps the snapshot that `write` writes; an open file that holds it. Where there is no folder, or no room in it, it
    /// is sealed memory, and written once more.
    pub(super) fn keep(
        &self,
        prefix: &str,
        key: &ContentHash,
        number: usize,
        write: impl Fn(&mut File) -> Result<(), WriteError>,
    ) -> Result<File, WriteError> {
        let Some(folder) = &self.0 else { return sealed(write) };
        match keep_in(folder, &name(prefix, key, number), &write) {
            Err(WriteError::Io(error)) => {
                tracing::warn!(folder = %folder.display(), %error, "kept in memory alone");
                sealed(write)
            }
            kept => kept,
        }
    }

    /// The set of a data set that was read before, and how that went.
    pub(super) fn find_set<T: DeserializeOwned>(&self, prefix: &str, key: &ContentHash) -> Option<(T, Set)> {
        let path = self.0.as_ref()?.join(set_name(prefix, key));
        let mut octets = Vec::new();
        open(&path)?.read_to_end(&mut octets).ok()?;
        let (hash, octets) = octets.split_first_chunk::<32>()?;
        let octets = Some(octets).filter(|octets| ContentHash::of(octets).as_bytes() == hash)?;
        let (&len, rest) = octets.split_first_chunk()?;
        let (account, set) = rest.split_at_checked(u32::from_le_bytes(len) as usize)?;
        Some((serde_json::from_slice(account).ok()?, codec::decode(set).ok()?))
    }

    /// Keeps a set and how it was read; that there is no room is no trouble.
    pub(super) fn keep_set(&self, prefix: &str, key: &ContentHash, account: &impl Serialize, set: &[u8]) {
        let Some(folder) = &self.0 else { return };
        let account = serde_json::to_vec(account).expect("plain data");
        let octets = [&(account.len() as u32).to_le_bytes(), &account[..], set].concat();
        let octets = [&ContentHash::of(&octets).as_bytes()[..], &octets].concat();
        let write = |file: &mut File| Ok(file.write_all(&octets)?);
        if let Err(error) = keep_in(folder, &set_name(prefix, key), write) {
            tracing::debug!(%error, "a set is not kept");
        }
    }

    /// Forgets what zones and sets were before that were made again. However many those are, the folder is read once.
    pub(super) fn forget_others(&self, made: &Made) {
        if made.0.is_empty() {
            return;
        }
        self.forget(|entry| {
            let name = entry.file_name();
            let known = name.to_str().and_then(owner_and_key);
            let now = known.and_then(|(owner, key)| Some((made.0.get(owner)?, key)));
            now.is_some_and(|(now, key)| now != key)
        });
    }

    /// What is mapped stays whole, whatever happens to its name.
    fn forget(&self, is_old: impl Fn(&DirEntry) -> bool) {
        let Some(entries) = self.0.as_ref().and_then(|folder| std::fs::read_dir(folder).ok()) else { return };
        for entry in entries.flatten().filter(|entry| is_old(entry)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// What was made in a round: whose files and their key.
#[derive(Debug, Default)]
pub(super) struct Made(HashMap<String, String>);

impl Made {
    /// A zone and its subzones were made.
    pub(super) fn zone(&mut self, prefix: &str, key: &ContentHash) {
        self.0.insert(prefix.to_owned(), key.to_string());
    }

    /// A set was read.
    pub(super) fn set(&mut self, prefix: &str, key: &ContentHash) {
        self.0.insert(format!("set-{prefix}"), key.to_string());
    }
}

fn set_name(prefix: &str, key: &ContentHash) -> String {
    format!("set-{prefix}-{key}")
}

fn name(prefix: &str, key: &ContentHash, number: usize) -> String {
    format!("{prefix}-{key}-{number}")
}

/// The parts of a [`name`] or [`set_name`] but the number.
fn owner_and_key(name: &str) -> Option<(&str, &str)> {
    let is_key = |text: &str| text.parse::<ContentHash>().is_ok();
    let (owner, last) = name.rsplit_once('-')?;
    if is_key(last) {
        return Some((owner, last));
    }
    owner.rsplit_once('-').filter(|(_, key)| is_key(key))
}

/// A file; whoever put something else there, such as a pipe, is not waited for.
fn open(path: &Path) -> Option<File> {
    let is_file = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    is_file.then(|| File::open(path).ok())?
}

fn keep_in(
    folder: &Path,
    name: &str,
    write: impl Fn(&mut File) -> Result<(), WriteError>,
) -> Result<File, WriteError> {
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    write(file.as_file_mut())?;
    file.as_file().set_permissions(Permissions::from_mode(0o444))?;
    let path = folder.join(name);
    file.persist(&path).map_err(|error| error.error)?;
    Ok(File::open(&path)?)
}

/// Whether nobody can change this file any more: it is sealed memory, or nobody may write to it. Its name may be gone
/// already: another server that shares the folder has made the same.
pub(super) fn is_settled(file: &File) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALS))
        || file.metadata().is_ok_and(|found| found.mode() & 0o222 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_memory_cannot_be_changed() {
        let mut file = sealed(|file| file.write_all(b"octets")).unwrap();
        assert!(is_settled(&file));
        assert!(file.write_all(b"more").is_err());
        assert!(file.set_len(1).is_err());
    }

    #[test]
    fn a_file_that_was_made_again_is_settled_still() {
        let folder = tempfile::tempdir().unwrap();
        let file = keep_in(folder.path(), "name", |file| Ok(file.write_all(b"octets")?)).unwrap();
        keep_in(folder.path(), "name", |file| Ok(file.write_all(b"octets")?)).unwrap();
        assert!(is_settled(&file));
        // Memory that is not sealed has no name either.
        assert!(!is_settled(&tempfile::tempfile().unwrap()));
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(unusable(folder.path()), None);
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(unusable(folder.path()).unwrap().contains("others"));
        assert!(unusable(&folder.path().join("none")).is_some());
    }

    #[test]
    fn what_is_damaged_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(Some(folder.path().to_owned()));
        let key = ContentHash::of(b"a");
        let file = cache.keep("p", &key, 0, |file| Ok(file.write_all(b"no snapshot")?)).unwrap();
        assert!(is_settled(&file));
        assert!(cache.find("p", &key, 0).is_none());
    }

    #[test]
    fn what_killed_loaders_began_goes() {
        let folder = tempfile::tempdir().unwrap();
        let age = |name: &str, age: Duration| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        };
        age(".tmp-old", ABANDONED + Duration::from_secs(60));
        age(".tmp-new", Duration::from_secs(60));
        age("z-0", ABANDONED + Duration::from_secs(60));
        Cache::new(Some(folder.path().to_owned()));
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".tmp-new", "z-0"]);
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(Some(folder.path().to_owned()));
        let key = ContentHash::of(b"a");
        for name in [name("p", &key, 0), set_name("p", &key)] {
            nix::unistd::mkfifo(&folder.path().join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        assert!(cache.find("p", &key, 0).is_none());
        assert!(cache.find_set::<u32>("p", &key).is_none());
    }

    /// However the zones are called.
    #[test]
    fn what_others_were_made_from_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(Some(folder.path().to_owned()));
        let (then, now) = (ContentHash::of(b"a"), ContentHash::of(b"b"));
        let prefixes =
            ["a.example-0123456789ab", "set-0123456789ab", "b-0-0123456789ab", "stays-0123456789ab"];
        for (prefix, key) in prefixes.iter().flat_map(|prefix| [(prefix, &then), (prefix, &now)]) {
            for number in 0..2 {
                cache.keep(prefix, key, number, |file| Ok(file.write_all(b"x")?)).unwrap();
            }
            std::fs::write(folder.path().join(set_name(prefix, key)), b"x").unwrap();
        }
        std::fs::write(folder.path().join("another-file-0"), b"x").unwrap();
        let mut made = Made::default();
        prefixes[..3].iter().for_each(|prefix| made.zone(prefix, &now));
        made.set(prefixes[0], &now);
        cache.forget_others(&made);
        let left = |prefix: &str, key: &ContentHash| {
            let is_there = |name: String| folder.path().join(name).exists();
            [name(prefix, key, 0), name(prefix, key, 1), set_name(prefix, key)].map(is_there)
        };
        for prefix in prefixes {
            let is_made = prefix != prefixes[3];
            assert_eq!(left(prefix, &now), [true; 3], "{prefix}");
            assert_eq!(left(prefix, &then), [!is_made, !is_made, prefix != prefixes[0]], "{prefix}");
        }
        assert!(folder.path().join("another-file-0").exists());
    }
}
