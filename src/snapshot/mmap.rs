//! Files mapped read-only. The only `unsafe` of the pure core.
//!
//! A mapping is shared memory: were the file changed or cut under it, reads would see the change or be killed by
//! SIGBUS. So only files of a store are mapped, which are written once under another name, renamed, and only ever
//! unlinked afterwards (an unlinked file stays whole while it is mapped).

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::SnapshotError;

/// A file mapped read-only: share it in an `Arc`.
#[derive(Debug)]
pub struct Mapped {
    map: memmap2::Mmap,
    id: Mutex<FileId>,
    /// Kept where what becomes of the file is to be known, whatever its name is by then.
    file: OnceLock<File>,
}

/// Which file was mapped, to tell later whether another has taken its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Octets.
    pub len: u64,
    /// Time of the last change of its octets: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Time of the last change of anything: whoever writes can set the other back, but not this.
    pub changed: (i64, i64),
}

impl FileId {
    /// Of what stands at a path now.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Mapped {
    /// Maps the file at `path`; an empty one is refused.
    pub fn open(path: &Path) -> Result<Self, SnapshotError> {
        Self::of(&File::open(path)?)
    }

    /// Maps an open file and keeps it open where `keeps` says so, so that [`Mapped::file`] can be looked at.
    pub fn watched(file: File, keeps: impl FnOnce(&File) -> bool) -> Result<Self, SnapshotError> {
        let mapped = Self::of(&file)?;
        if keeps(&file) {
            mapped.keep(file);
        }
        Ok(mapped)
    }

    /// Keeps the file that is mapped, which was opened again.
    pub fn keep(&self, file: File) {
        // Where it was kept already, one will do.
        let _ = self.file.set(file);
    }

    /// The file is known as this one from now on: something was done to it, and what is mapped was found to be whole.
    pub fn found_whole(&self, id: FileId) {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    /// The file behind the mapping, if it was kept open.
    pub fn file(&self) -> Option<&File> {
        self.file.get()
    }

    /// Maps an open file, such as one handed over as a descriptor; it may be closed afterwards.
    pub fn of(file: &File) -> Result<Self, SnapshotError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(SnapshotError::Foreign);
        }
        if metadata.len() == 0 {
            return Err(SnapshotError::Empty);
        }
        #[allow(unsafe_code)]
        // SAFETY: files of a store are never written, cut or extended after they got their name (see above), so the
        // octets behind the slice do not change while it lives. Nothing else is asked of them: any content is checked.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self { map, id: Mutex::new(FileId::of(&metadata)), file: OnceLock::new() })
    }

    /// Maps a private copy of the file that is `id`.
    pub fn copy_of(id: FileId, copy: &File) -> Result<Self, SnapshotError> {
        Ok(Self { id: Mutex::new(id), ..Self::of(copy)? })
    }

    /// Which file this is.
    pub fn id(&self) -> FileId {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_files_and_refuses_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"octets").unwrap();
        let mapped = Mapped::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mapped.as_ref(), b"octets");
        std::fs::write(&path, b"others").unwrap();
        assert_ne!(FileId::of(&path.metadata().unwrap()), mapped.id());
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(Mapped::open(&path), Err(SnapshotError::Empty)));
        assert!(matches!(Mapped::open(folder.path()), Err(SnapshotError::Foreign)));
        assert!(matches!(Mapped::open(&folder.path().join("none")), Err(SnapshotError::Io(_))));
    }
}
