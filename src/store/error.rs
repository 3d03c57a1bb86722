//! What goes wrong with the store, by path and cause.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// Why something in the store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {cause}{}", path.display(), hint(cause))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Its answer.
        cause: Error,
    },
    /// Something else stands where the state folder should be.
    #[error("{} is not a folder: it cannot be the state folder", .0.display())]
    NotAFolder(PathBuf),
    /// Written by another version of this program.
    #[error("{} has format version {found}, this program reads version {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// Not what was written, or never a file of ours.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// Something that this program does not put there stands in the place of a file or folder of its own.
    #[error("{} is {what}: nothing is read or written there. Find out who put it there, and remove it", path.display())]
    Planted {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file that was just written does not read back right: it was not put in place.
    #[error("{} did not read back as written: {why}", path.display())]
    Unverified {
        /// Where it should have gone.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
}

impl StoreError {
    /// For `map_err`: what was tried, with what.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { action, path, cause }
    }

    pub(crate) fn damaged(path: &Path, why: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }

    pub(crate) fn planted(path: &Path, what: &'static str) -> Self {
        Self::Planted { path: path.to_owned(), what }
    }

    /// Whether the file is gone or damaged: it has to come from elsewhere.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Damaged { .. })
            || matches!(self, Self::Io { cause, .. } if cause.kind() == ErrorKind::NotFound)
    }

    /// Whether it concerns what lies in this folder alone. Where a disk is full something smaller may still fit.
    pub fn is_within(&self, folder: &Path) -> bool {
        let (Self::Io { path, .. }
        | Self::NotAFolder(path)
        | Self::Version { path, .. }
        | Self::Damaged { path, .. }
        | Self::Planted { path, .. }
        | Self::Unverified { path, .. }) = self;
        path.starts_with(folder)
    }

    /// Whether the disk (or a quota) is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { cause, .. }
            if matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }
}

fn hint(cause: &Error) -> &'static str {
    match cause.kind() {
        ErrorKind::PermissionDenied => {
            "; run it as the owner of the state folder or as root, or name another with --state"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; what is in service stays as it is",
        ErrorKind::ReadOnlyFilesystem => "; the file system is mounted read-only",
        _ => "",
    }
}
