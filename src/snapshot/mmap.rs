//! Files mapped read-only. The only `unsafe` of the pure core.

use std::path::Path;

use super::SnapshotError;

/// A file mapped read-only: share it in an `Arc`.
#[derive(Debug)]
pub struct Mapped {
    map: memmap2::Mmap,
    id: FileId,
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
    /// Time of the last change: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
}

impl Mapped {
    /// Maps the file at `path`; an empty one is refused.
    pub fn open(path: &Path) -> Result<Self, SnapshotError> {
        let _ = path;
        todo!()
    }

    /// Which file this is.
    pub fn id(&self) -> FileId {
        self.id
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}
