//! What happens to the file of a snapshot while it is mapped.
//!
//! Nobody should touch it: it is read-only, and replaced by another file under another name. Should somebody do so all
//! the same, this finds it by what the file system says, and tells what is to be served. Read [`look`].

use std::fs;
use std::path::Path;

use crate::snapshot::{FileId, Mapped};

/// What became of a file that is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Untouched,
    /// Another file, or none, stands under its name: what is mapped stays whole.
    Unlinked,
    /// It may hold other octets now.
    Touched,
    /// It is shorter: reading what is gone would kill the process.
    Cut,
}

/// Looks at the file at `path` that is mapped as `mapped`.
pub(super) fn look(path: &Path, mapped: &Mapped) -> Fate {
    let Ok(metadata) = fs::metadata(path) else { return Fate::Unlinked };
    let (now, then) = (FileId::of(&metadata), mapped.id());
    if now == then {
        return Fate::Untouched;
    }
    match (now.device, now.inode) == (then.device, then.inode) {
        false => Fate::Unlinked,
        true if now.len < then.len => Fate::Cut,
        true => Fate::Touched,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn fates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        fs::write(&path, b"some octets").unwrap();
        let mapped = Mapped::open(&path).unwrap();
        assert_eq!(look(&path, &mapped), Fate::Untouched);
        // The clock of a file system ticks slowly.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(b"xxxx").unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(look(&path, &mapped), Fate::Touched, "dated back");
        let mapped = Mapped::open(&path).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert_eq!(look(&path, &mapped), Fate::Touched);
        file.set_len(3).unwrap();
        assert_eq!(look(&path, &mapped), Fate::Cut);
        fs::remove_file(&path).unwrap();
        assert_eq!(look(&path, &mapped), Fate::Unlinked);
        fs::write(&path, b"some octets").unwrap();
        assert_eq!(look(&path, &mapped), Fate::Unlinked);
    }
}
