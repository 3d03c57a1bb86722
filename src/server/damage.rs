//! What happens to the file of a snapshot while it is mapped.
//!
//! Nobody should touch it: it is read-only, and replaced by another file under another name. Should somebody do so all
//! the same, this finds it by what the file system says, and tells what is to be served. Read [`look`].

use std::fs::{self, File};
use std::path::Path;

use crate::snapshot::{FileId, Mapped};

/// What became of a file that is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Untouched,
    /// It may hold other octets now; or its name or mode changed, which its times tell as well.
    Touched,
    /// It is shorter: reading what is gone would kill the process.
    Cut,
}

/// Looks at the file that is mapped as `mapped`, under whatever name it is now; a mapping that keeps no file is a copy that
/// nobody can touch.
pub(super) fn look(mapped: &Mapped) -> Fate {
    let Some(Ok(metadata)) = mapped.file().map(File::metadata) else { return Fate::Untouched };
    let (now, then) = (FileId::of(&metadata), mapped.id());
    match now.len < then.len {
        true => Fate::Cut,
        false if now == then => Fate::Untouched,
        false => Fate::Touched,
    }
}

/// Whether another file, or none, stands at `path` now.
pub(super) fn is_gone(path: &Path, mapped: &Mapped) -> bool {
    let is_it = |metadata: fs::Metadata| {
        let (now, then) = (FileId::of(&metadata), mapped.id());
        (now.device, now.inode) == (then.device, then.inode)
    };
    !fs::metadata(path).is_ok_and(is_it)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn fates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        fs::write(&path, b"some octets").unwrap();
        let mapped = Mapped::watched(&path).unwrap();
        assert_eq!((look(&mapped), is_gone(&path, &mapped)), (Fate::Untouched, false));
        // The clock of a file system ticks slowly.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(b"xxxx").unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(look(&mapped), Fate::Touched, "dated back");
        let mapped = mapped.again().unwrap();
        assert_eq!(look(&mapped), Fate::Untouched);
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert_eq!(look(&mapped), Fate::Touched);
        let mapped = mapped.again().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        assert!(is_gone(&path, &mapped));
        fs::write(&path, b"some octets").unwrap();
        assert!(is_gone(&path, &mapped), "another under its name");
        let mapped = mapped.again().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        file.write_all(b"yyyy").unwrap();
        assert_eq!(look(&mapped), Fate::Touched, "under another name");
        fs::remove_file(&elsewhere).unwrap();
        file.set_len(3).unwrap();
        assert_eq!(look(&mapped), Fate::Cut, "without a name");
        assert_eq!(look(&Mapped::open(&path).unwrap()), Fate::Untouched, "not kept open");
    }
}
