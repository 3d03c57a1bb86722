//! Compiled zones between two starts: read-only files, each named by what it was made from.
//!
//! A zone is `PREFIX-KEY-0`, its subzones `PREFIX-KEY-1` and so on. The prefix is the zone's on this command line, the
//! key names everything that decides its content: files that have not changed need not be read again. The zone itself
//! is written last, so that whoever finds it finds all. A data set that shares a zone with others is kept as a set as well
//! (`set-PREFIX-KEY`), so that a change of one does not mean reading all. A damaged file is found by its hash and made
//! again, so nothing is synced. What was not used for a month belongs to a command line that is gone, and goes too.

use std::fs::{File, Metadata, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::model::ContentHash;
use crate::parse::Report;
use crate::server::{SEALS, sealed};
use crate::set::{Set, codec};
use crate::snapshot::{Mapped, Snapshot, WriteError};

/// What was not used for so long is removed.
const STALE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The folder, when there is one.
#[derive(Debug)]
pub(super) struct Cache(Option<PathBuf>);

/// Why the folder at `path` cannot be used: what is served is mapped from it.
pub(super) fn unusable(path: &Path) -> Option<String> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", path.display())),
    };
    if found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Some(format!("{}: others may write there", path.display()));
    }
    tempfile::tempfile_in(path).err().map(|error| format!("{}: {error}", path.display()))
}

impl Cache {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let cache = Self(folder);
        cache.forget(|_, found| {
            let age = found.modified().ok().and_then(|used| SystemTime::now().duration_since(used).ok());
            age.is_some_and(|age| age > STALE)
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
        let file = File::open(&path).ok()?;
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
    pub(super) fn find_set(&self, prefix: &str, key: &ContentHash) -> Option<(Report, Set)> {
        let path = self.0.as_ref()?.join(set_name(prefix, key));
        let octets = std::fs::read(path).ok()?;
        let (hash, octets) = octets.split_first_chunk::<32>()?;
        let octets = Some(octets).filter(|octets| ContentHash::of(octets).as_bytes() == hash)?;
        let (&len, rest) = octets.split_first_chunk()?;
        let (report, set) = rest.split_at_checked(u32::from_le_bytes(len) as usize)?;
        Some((serde_json::from_slice(report).ok()?, codec::decode(set).ok()?))
    }

    /// Keeps a set; that there is no room is no trouble.
    pub(super) fn keep_set(&self, prefix: &str, key: &ContentHash, report: &Report, set: &[u8]) {
        let Some(folder) = &self.0 else { return };
        let report = serde_json::to_vec(report).expect("plain data");
        let octets = [&(report.len() as u32).to_le_bytes(), &report[..], set].concat();
        let octets = [&ContentHash::of(&octets).as_bytes()[..], &octets].concat();
        let write = |file: &mut File| Ok(file.write_all(&octets)?);
        if let Err(error) = keep_in(folder, &set_name(prefix, key), write) {
            tracing::debug!(%error, "a set is not kept");
        }
        self.forget_others(&format!("set-{prefix}"), key);
    }

    /// Forgets what a zone, or a set, was before.
    pub(super) fn forget_others(&self, prefix: &str, key: &ContentHash) {
        let (ours, now) = (format!("{prefix}-"), format!("{prefix}-{key}"));
        self.forget(|name, _| name.starts_with(&ours) && !name.starts_with(&now));
    }

    /// What is mapped stays whole, whatever happens to its name.
    fn forget(&self, is_old: impl Fn(&str, &Metadata) -> bool) {
        let Some(entries) = self.0.as_ref().and_then(|folder| std::fs::read_dir(folder).ok()) else { return };
        for entry in entries.flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_file() && is_old(&entry.file_name().to_string_lossy(), &found) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn set_name(prefix: &str, key: &ContentHash) -> String {
    format!("set-{prefix}-{key}")
}

fn name(prefix: &str, key: &ContentHash, number: usize) -> String {
    format!("{prefix}-{key}-{number}")
}

fn keep_in(
    folder: &Path,
    name: &str,
    write: impl Fn(&mut File) -> Result<(), WriteError>,
) -> Result<File, WriteError> {
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder)?;
    write(file.as_file_mut())?;
    file.as_file().set_permissions(Permissions::from_mode(0o444))?;
    let path = folder.join(name);
    file.persist(&path).map_err(|error| error.error)?;
    Ok(File::open(&path)?)
}

/// Whether nobody can change this file any more: it is sealed memory, or nobody may write to it.
pub(super) fn is_settled(file: &File) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALS))
        || file.metadata().is_ok_and(|found| found.nlink() > 0 && found.mode() & 0o222 == 0)
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
        let (key, other) = (ContentHash::of(b"a"), ContentHash::of(b"b"));
        let file = cache.keep("p", &key, 0, |file| Ok(file.write_all(b"no snapshot")?)).unwrap();
        assert!(is_settled(&file));
        assert!(cache.find("p", &key, 0).is_none());
        cache.keep("q", &key, 0, |file| Ok(file.write_all(b"x")?)).unwrap();
        cache.forget_others("p", &other);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "only the other zone's");
    }
}
