//! Files in memory that nobody can change any more (memfd_create(2)): copies of what is on a disk, or what was never there.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::fs::{MemfdFlags, SealFlags};

/// Sealed memory can neither be cut nor written any more.
pub const SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);

/// A file in memory with what `fill` writes.
pub fn sealed<E: From<io::Error>>(fill: impl FnOnce(&mut File) -> Result<(), E>) -> Result<File, E> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("gatepost-zone", flags).map_err(io::Error::from)?;
    let mut file = File::from(memory);
    fill(&mut file)?;
    file.flush()?;
    rustix::fs::fcntl_add_seals(file.as_fd(), SEALS).map_err(io::Error::from)?;
    Ok(file)
}
