//! Files that commands write where a person says.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::failure::Usage;
use crate::snapshot::{Mapped, SnapshotError};

/// Octets written at a time.
pub(super) const CHUNK: usize = 1 << 20;

/// The file behind the name that was typed: links stay, and what is no file (`/dev/null`, a pipe) is not replaced by one.
pub(super) fn target(typed: &Path) -> anyhow::Result<PathBuf> {
    let target = typed.canonicalize().unwrap_or_else(|_| typed.to_owned());
    if target.is_dir() {
        bail!(Usage(format!("{} is a folder", typed.display())));
    }
    match std::fs::symlink_metadata(&target) {
        Ok(found) if !found.is_file() => Err(anyhow!(Usage(format!(
            "{} is no regular file: a file would take its place",
            typed.display()
        )))),
        _ => Ok(target),
    }
}

/// The snapshot that a person named, or that stands in a store. It is mapped, which no pipe can be: whoever opens one to read
/// waits until somebody writes there, and that may be nobody.
pub(super) fn mapped(path: &Path) -> Result<Mapped, SnapshotError> {
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let why = "it is no plain file; a snapshot is mapped, so write what a pipe brings to a file first";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why).into());
    }
    Mapped::of(&file)
}

/// Whether two names are one file.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// What root writes belongs to the owner of the folder it is for: what stands at `path` itself, wherever a link there leads.
pub(super) fn give_to_owner_of(folder: &Path, path: &Path) -> std::io::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(folder)?;
    std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid()))
}

/// Temporary file beside `target`, filled → fsync → `check` → rename → fsync of the folder.
pub(super) fn replace<T>(
    target: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> anyhow::Result<T>,
    check: impl FnOnce(&Path, &T) -> anyhow::Result<()>,
) -> anyhow::Result<T> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = || format!("cannot write {}", target.display());
    let file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder).with_context(failed)?;
    let mut buffer = BufWriter::with_capacity(CHUNK, file.as_file());
    let filled = fill(&mut buffer).with_context(failed)?;
    buffer.flush().with_context(failed)?;
    drop(buffer);
    file.as_file().set_permissions(Permissions::from_mode(0o644)).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    check(file.path(), &filled).with_context(failed)?;
    file.persist(target).map_err(|error| error.error).with_context(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(failed)?;
    Ok(filled)
}
