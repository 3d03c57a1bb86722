//! Files in memory that nobody can change any more (memfd_create(2)): copies of what is on a disk, or what was never there.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::fs::{MemfdFlags, SealFlags};

/// Sealed memory can neither be cut nor written any more.
pub const SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);

/// A file in memory with what `fill` writes.
pub fn sealed(fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("gatepost-zone", flags)?);
    fill(&mut file)?;
    file.flush()?;
    rustix::fs::fcntl_add_seals(file.as_fd(), SEALS)?;
    Ok(file)
}
