//! What happens to the file of a snapshot while it is mapped.
//!
//! Nobody should touch it: it is read-only, and replaced by another file under another name. Should somebody do so all
//! the same, this finds it by what the file system says, and tells what is to be served. Read [`look`].
//!
//! A file that is kept open is found whatever its name is by then, so each is, as long as there are descriptors for that
//! ([`has_room`]); the others are looked at by name.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::snapshot::{FileId, Mapped, Snapshot, SnapshotError};
use crate::store::open_plain;

/// What became of a file that is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Untouched,
    /// It may hold other octets now; or its name or mode changed, which its times tell as well. What it is known by now.
    Touched(FileId),
    /// It is shorter: reading what is gone would kill the process.
    Cut,
}

/// Whether a file that was just opened can be kept: as long as three quarters of the descriptors are free. An open file gets
/// the lowest free number, so that tells how many there are.
pub(super) fn has_room(file: &File) -> bool {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::try_from(file.as_raw_fd()).is_ok_and(|number| number < limit / 4)
}

/// Keeps the file that stands at `path` and is mapped as `mapped`, where it could not be kept before; whether there is room for
/// others.
pub(super) fn keep(path: &Path, mapped: &Mapped) -> bool {
    let Ok(file) = open_plain(path) else { return true };
    if !has_room(&file) {
        return false;
    }
    if file.metadata().is_ok_and(|metadata| FileId::of(&metadata) == mapped.id()) {
        mapped.keep(file);
    }
    true
}

/// Looks at the file that is mapped as `mapped`: under whatever name it is now if it was kept open, else at `path`.
pub(super) fn look(path: &Path, mapped: &Mapped) -> Fate {
    let found = match mapped.file() {
        Some(file) => file.metadata().ok().map(|metadata| FileId::of(&metadata)),
        None => at(path, mapped),
    };
    let then = mapped.id();
    match found {
        Some(now) if now.len < then.len => Fate::Cut,
        Some(now) if now != then => Fate::Touched(now),
        _ => Fate::Untouched,
    }
}

/// Whether another file, or none, stands at `path` now.
pub(super) fn is_gone(path: &Path, mapped: &Mapped) -> bool {
    at(path, mapped).is_none()
}

/// The file at `path` when it is the one that is mapped.
fn at(path: &Path, mapped: &Mapped) -> Option<FileId> {
    let (now, then) = (FileId::of(&fs::metadata(path).ok()?), mapped.id());
    ((now.device, now.inode) == (then.device, then.inode)).then_some(now)
}

/// Whether what is mapped still is what was verified, although its file was touched and is `now`. Reads the mapping: neither
/// another mapping nor a descriptor is needed.
pub(super) fn check(snapshot: &Snapshot<Mapped>, now: FileId) -> Result<(), SnapshotError> {
    if now.len != snapshot.data().id().len {
        return Err(SnapshotError::Stray);
    }
    snapshot.verify_again()?;
    snapshot.data().found_whole(now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Takes over what was found, as [`check`] does, and waits until the file system's clock, which ticks slowly, has moved.
    fn go_on(path: &Path, mapped: &Mapped) {
        if let Fate::Touched(now) = look(path, mapped) {
            mapped.found_whole(now);
        }
        assert_eq!(look(path, mapped), Fate::Untouched);
        thread::sleep(Duration::from_millis(20));
    }

    #[test]
    fn fates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        fs::write(&path, b"some octets").unwrap();
        let open = |keeps: bool| Mapped::watched(File::open(&path).unwrap(), |_| keeps).unwrap();
        let (kept, by_name) = (open(true), open(false));
        let look_at_both = || (look(&path, &kept), look(&path, &by_name));
        let go_on_with_both = || {
            go_on(&path, &kept);
            go_on(&path, &by_name);
        };
        let touched = |fate| matches!(fate, Fate::Touched(_));
        assert!(!is_gone(&path, &kept));
        go_on_with_both();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(b"xxxx").unwrap();
        file.set_modified(modified).unwrap();
        let (one, other) = look_at_both();
        assert!(touched(one) && touched(other), "dated back");
        go_on_with_both();
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        let (one, other) = look_at_both();
        assert!(touched(one) && touched(other), "mode");
        go_on_with_both();
        let late = open(false);
        assert!(keep(&path, &late) && late.file().is_some());
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        assert!(is_gone(&path, &kept));
        fs::write(&path, b"some octets").unwrap();
        assert!(is_gone(&path, &kept), "another under its name");
        go_on_with_both();
        file.write_all(b"yyyy").unwrap();
        assert!(touched(look(&path, &kept)), "under another name");
        assert_eq!(look(&path, &by_name), Fate::Untouched, "nobody knows where it is");
        fs::remove_file(&elsewhere).unwrap();
        file.set_len(3).unwrap();
        assert_eq!(look(&path, &kept), Fate::Cut, "without a name");
        fs::write(&path, b"other octets").unwrap();
        let by_name = open(false);
        File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
        assert_eq!(look(&path, &by_name), Fate::Cut);
    }

    /// A file whose number is not in the first quarter of those there may be is not kept.
    #[test]
    fn kept_while_there_is_room() {
        let null = File::open("/dev/null").unwrap();
        assert!(has_room(&null));
        let limit = getrlimit(Resource::Nofile).current.unwrap();
        let above = i32::try_from(limit / 4).unwrap();
        let high = rustix::io::fcntl_dupfd_cloexec(&null, above).unwrap();
        assert!(!has_room(&File::from(high)));
    }
}
