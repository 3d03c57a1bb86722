//! The operator's own files, read where they are.
//!
//! What the file system says of a file ([`OwnFile`]) tells whether it is the one that was read before, and whether it
//! stayed the same while it was read. Never: copying one, reading entries.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::unistd::geteuid;

use crate::config::is_folder;
use crate::store::Validators;

/// A file that was changed a moment ago may change again within the same tick of its time stamps.
const SETTLED: Duration = Duration::from_secs(2);

/// An own file, opened, and what it was when it was.
#[derive(Debug)]
pub struct OwnFile {
    path: PathBuf,
    file: File,
    identity: Identity,
}

/// What a file system can tell of a file's content without reading it. Who writes can set the time of modification
/// back, but not the time of the change that this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// That a file cannot be read, why, and by whom: root's commands work as the owner of the state folder.
pub(crate) fn cannot_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("cannot read it as user {}: {error}", geteuid()),
        _ => format!("cannot read it: {error}"),
    }
}

impl Identity {
    fn of(found: &Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl OwnFile {
    /// Opens the file at `path`. `Err` says why not, with the path.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |what: &str| format!("{}: {what}", path.display());
        let cannot = |error: io::Error| failed(&cannot_read(&error));
        // Opening a pipe would wait for somebody to write into it.
        let found = std::fs::metadata(path).map_err(cannot)?;
        if !found.is_file() {
            return Err(failed("not a regular file"));
        }
        let file = File::open(path).map_err(cannot)?;
        let identity = Identity::of(&file.metadata().map_err(cannot)?);
        Ok(Self { path: path.to_owned(), file, identity })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its octets when it was opened.
    pub fn size(&self) -> u64 {
        self.identity.size
    }

    /// Its content, no more than it had when it was opened: one that grows for ever is no list.
    pub fn reader(&self) -> impl Read + Send + '_ {
        (&self.file).take(self.identity.size)
    }

    /// Whether it still is what it was when it was opened.
    pub fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|found| Identity::of(&found) == self.identity)
    }

    /// When it was changed, where that was after `last`; both in seconds since 1970. One that was moved here may be older itself.
    pub fn changed_after(&self, last: i64) -> Option<i64> {
        let Identity { modified, changed, .. } = self.identity;
        [modified.0, changed.0].into_iter().find(|at| *at > last)
    }

    /// Whether a later change is sure to show in what the file system says of it.
    pub fn is_settled(&self) -> bool {
        let (seconds, nanoseconds) = self.identity.changed;
        let since_1970 = Duration::new(seconds.max(0) as u64, nanoseconds as u32);
        SystemTime::now().duration_since(UNIX_EPOCH + since_1970).is_ok_and(|age| age > SETTLED)
    }
}

/// The files that paths mean: of a folder all plain files in it, in the order of their names, without those that begin with
/// a dot or end with `~`. `Err` says why not, with the path.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if !is_folder(path) {
            files.push(path.clone());
            continue;
        }
        let found =
            in_folder(path).map_err(|error| format!("{}: {}", path.display(), cannot_read(&error)))?;
        if found.is_empty() {
            return Err(format!("{}: no file in it", path.display()));
        }
        files.extend(found);
    }
    Ok(files)
}

fn in_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if !name.starts_with(b".") && !name.ends_with(b"~") && std::fs::metadata(entry.path())?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// What the files of a list are called, all together.
pub fn validators(files: &[OwnFile]) -> Validators {
    let join = |each: &dyn Fn(&OwnFile) -> String| files.iter().map(each).collect::<Vec<_>>().join(", ");
    let etag = |file: &OwnFile| {
        let Identity { inode, size, modified, changed } = file.identity;
        format!("{inode}-{size}-{}.{:09}-{}.{:09}", modified.0, modified.1, changed.0, changed.1)
    };
    Validators {
        url: join(&|file| file.path.display().to_string()),
        from: None,
        etag: Some(join(&etag)),
        last_modified: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_tells_whether_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.txt");
        assert!(
            OwnFile::open(&path)
                .unwrap_err()
                .ends_with("own.txt: cannot read it: No such file or directory (os error 2)")
        );
        std::fs::write(&path, "192.0.2.1\n").unwrap();
        let first = OwnFile::open(&path).unwrap();
        assert!(first.is_unchanged() && !first.is_settled());
        // As long, and dated back.
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, "192.0.2.2\n").unwrap();
        File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert!(!first.is_unchanged());
        let second = OwnFile::open(&path).unwrap();
        assert_ne!(validators(&[first]), validators(&[second]));
        assert!(OwnFile::open(folder.path()).unwrap_err().ends_with("not a regular file"));
        assert!(OwnFile::open(Path::new("/dev/zero")).unwrap_err().ends_with("not a regular file"));
    }

    #[test]
    fn a_folder_is_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("lists.d/");
        assert!(expand(std::slice::from_ref(&inside)).unwrap_err().contains("lists.d/: cannot read it"));
        std::fs::create_dir_all(inside.join("deeper")).unwrap();
        assert!(expand(std::slice::from_ref(&inside)).unwrap_err().ends_with("lists.d/: no file in it"));
        for name in ["b.txt", "a.txt", ".hidden", "a.txt~"] {
            std::fs::write(inside.join(name), "").unwrap();
        }
        let other = folder.path().join("other");
        let found = expand(&[other.clone(), inside.clone()]).unwrap();
        assert_eq!(found, [other, inside.join("a.txt"), inside.join("b.txt")]);
    }

    #[test]
    fn what_comes_later_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.txt");
        std::fs::write(&path, "192.0.2.1\n").unwrap();
        let file = OwnFile::open(&path).unwrap();
        std::fs::write(&path, "192.0.2.1\n192.0.2.2\n").unwrap();
        let mut text = String::new();
        file.reader().read_to_string(&mut text).unwrap();
        assert_eq!(text, "192.0.2.1\n");
        assert!(!file.is_unchanged());
    }
}
