//! Write once, then rename: a reader sees the old file or the new one, whatever happens in between.
//!
//! Temporary file in the same folder → write → fsync → reopen and check → rename → fsync of the folder. What a killed
//! writer left is swept by the next one that takes the lock.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::error::StoreError;
use super::killpoint::killpoint;
use super::owner::{Owner, give};

/// How the temporary files of a [`Writer`](super::Writer) begin. Nothing else in the store does.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// A new temporary file in `folder`.
pub(crate) fn temporary(folder: &Path, owner: Option<Owner>) -> Result<NamedTempFile, StoreError> {
    temporary_called(TEMPORARY, folder, owner)
}

/// The same with a name that begins in another way: of a writer with a lock of its own.
pub(crate) fn temporary_called(
    prefix: &str,
    folder: &Path,
    owner: Option<Owner>,
) -> Result<NamedTempFile, StoreError> {
    let file = tempfile::Builder::new()
        .prefix(prefix)
        .tempfile_in(folder)
        .map_err(StoreError::io("create a file in", folder))?;
    give(file.as_file(), file.path(), owner)?;
    Ok(file)
}

/// Writes `target`. `kind` is the first half of the names of the killpoints passed.
pub(crate) fn write(
    target: &Path,
    kind: &str,
    mode: u32,
    owner: Option<Owner>,
    fill: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
    check: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), StoreError> {
    let folder = target.parent().unwrap_or_else(|| Path::new("."));
    let file = temporary(folder, owner)?;
    killpoint(&format!("{kind}-created"));
    let mut buffer = BufWriter::with_capacity(1 << 16, file.as_file());
    fill(&mut buffer).and_then(|()| buffer.flush()).map_err(StoreError::io("write", target))?;
    drop(buffer);
    killpoint(&format!("{kind}-written"));
    put_in_place(file, target, kind, mode, check)
}

/// The second half of [`write()`], for a file that somebody else filled.
pub(crate) fn put_in_place(
    file: NamedTempFile,
    target: &Path,
    kind: &str,
    mode: u32,
    check: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), StoreError> {
    let folder = target.parent().unwrap_or_else(|| Path::new("."));
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(StoreError::io("write", target))?;
    file.as_file().sync_all().map_err(StoreError::io("write", target))?;
    killpoint(&format!("{kind}-synced"));
    check(file.path()).map_err(|why| StoreError::Unverified { path: target.to_owned(), why })?;
    file.persist(target).map_err(|error| StoreError::io("rename to", target)(error.error))?;
    killpoint(&format!("{kind}-renamed"));
    sync_folder(folder)?;
    killpoint(&format!("{kind}-done"));
    Ok(())
}

/// Makes renames and removals in `folder` last.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io("sync", folder))
}

/// Removes what killed writers left in `folder`; the number of files.
pub(crate) fn sweep(folder: &Path) -> Result<usize, StoreError> {
    sweep_called(TEMPORARY, folder)
}

/// The same for those whose names begin with `prefix`.
pub(crate) fn sweep_called(prefix: &str, folder: &Path) -> Result<usize, StoreError> {
    let mut swept = 0;
    for entry in entries(folder)? {
        if entry.starts_with(prefix) {
            let path = folder.join(entry);
            // A folder is what a child that is fetching works in.
            let removed = match path.is_dir() && !path.is_symlink() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            removed.map_err(StoreError::io("remove", &path))?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// The names in `folder`, sorted; none when it is not there. Names that are not UTF-8 are not ours.
pub(crate) fn entries(folder: &Path) -> Result<Vec<String>, StoreError> {
    let read = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(StoreError::io("read", folder))?,
    };
    let mut names = Vec::new();
    for entry in read {
        let entry = entry.map_err(StoreError::io("read", folder))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
