//! Whose the files of a store are. Root writes there for the owner of the state folder, who need not be trusted: a server that
//! reads hostile bodies may have been taken over, and have put a link in the place of a file.
//!
//! What is read has to be a plain file, not behind a link: whoever waits at a pipe that nobody fills waits for ever. And
//! nothing is read that cannot be what it should be: a file without end on the disk would fill the memory.
//!
//! So what is written in place (locks, logs, appended decisions) is opened without following a link, only plain files are
//! given away, and never by their path; and root goes through no link in the place of a folder.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::error::StoreError;
use crate::config::defaults::MAX_FILE_SIZE;
use crate::model::Hasher;

/// Who owns the files of a store, when that is not the one who writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Opens a file that is written in place, and makes it the owner's. `action` is what is done with it, as a verb.
pub(crate) fn open_in_place(
    options: &mut OpenOptions,
    path: &Path,
    owner: Option<Owner>,
    action: &'static str,
) -> Result<File, StoreError> {
    // Nor is a pipe waited for that nobody reads.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = options.custom_flags(flags.bits()).open(path).map_err(refused(action, path))?;
    let found = file.metadata().map_err(StoreError::io(action, path))?;
    if !found.is_file() {
        return Err(StoreError::planted(path, "no plain file"));
    }
    give(&file, path, owner)?;
    Ok(file)
}

/// Opens a file of a store to read it, as all of them are opened: nothing but a plain file.
pub(crate) fn open_plain(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let kind = file.metadata()?.file_type();
    match (kind.is_file(), kind.is_dir()) {
        (true, _) => Ok(file),
        (_, true) => Err(Errno::EISDIR.into()),
        // As the kernel says of a socket.
        _ => Err(Errno::ENXIO.into()),
    }
}

/// What says what is known, not what is listed, is never larger.
pub(crate) const SMALL: u64 = 64 << 20;

/// Nor is what is made of a list than the largest file that one may come from.
pub(crate) const LARGEST: u64 = MAX_FILE_SIZE;

/// What stands in a file of a store that says what is known: one that is large was put there to fill the memory of whoever
/// reads it.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>, StoreError> {
    read_up_to(path, SMALL)
}

/// The same; `None` when there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match read_small(path) {
        Err(StoreError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// What stands in a file of a store that ends with the hash of what stands before it. A large one is hashed before any of it
/// is kept: holes take no room on a disk, and in memory as much as anything.
pub(crate) fn read_sealed(path: &Path) -> Result<Vec<u8>, StoreError> {
    let file = open_plain(path).map_err(refused("read", path))?;
    let size = file.metadata().map_err(StoreError::io("read", path))?.len();
    if size > SMALL && size <= LARGEST && !is_sealed(&file, size).map_err(refused("read", path))? {
        return Err(StoreError::damaged(path, "its hash does not fit its content"));
    }
    read_up_to(path, LARGEST)
}

fn is_sealed(mut file: &File, size: u64) -> std::io::Result<bool> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 20];
    let mut left = size - 32;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut buffer[..most])?;
        if read == 0 {
            return Ok(false);
        }
        hasher.update(&buffer[..read]);
        left -= read as u64;
    }
    let mut hash = [0; 32];
    file.read_exact(&mut hash)?;
    Ok(*hasher.finish().as_bytes() == hash)
}

/// Whether exactly this stands in a file of a store.
pub(crate) fn holds(path: &Path, octets: &[u8]) -> bool {
    read_up_to(path, octets.len() as u64).is_ok_and(|there| there == octets)
}

fn read_up_to(path: &Path, most: u64) -> Result<Vec<u8>, StoreError> {
    let too_large =
        || StoreError::damaged(path, format!("larger than {} MiB, which no such file is", most >> 20));
    let file = open_plain(path).map_err(refused("read", path))?;
    let size = file.metadata().map_or(0, |found| found.len());
    if size > most {
        return Err(too_large());
    }
    let mut octets = Vec::new();
    octets.reserve_exact(size as usize);
    file.take(most.saturating_add(1)).read_to_end(&mut octets).map_err(refused("read", path))?;
    // It grew meanwhile.
    if octets.len() as u64 > most {
        return Err(too_large());
    }
    Ok(octets)
}

/// Makes what is open, at `path`, the owner's.
pub(crate) fn give(file: &File, path: &Path, owner: Option<Owner>) -> Result<(), StoreError> {
    let Some(Owner { uid, gid }) = owner else { return Ok(()) };
    let action = "give its owner";
    let found = file.metadata().map_err(StoreError::io(action, path))?;
    if (found.uid(), found.gid()) == (uid, gid) {
        return Ok(());
    }
    // What the owner has already may have as many names as he likes.
    if found.is_file() && found.uid() != uid && found.nlink() != 1 {
        return Err(StoreError::planted(path, "another name of a file that is not the owner's"));
    }
    std::os::unix::fs::fchown(file, Some(uid), Some(gid)).map_err(StoreError::io(action, path))
}

/// Opens the folder at `path`; when somebody else owns the store, not through a link.
pub(crate) fn open_folder(path: &Path, owner: Option<Owner>) -> Result<File, StoreError> {
    let nofollow = if owner.is_some() { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    let flags = OFlag::O_DIRECTORY | nofollow;
    match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        // The kernel says of a link only that it is no folder.
        Err(_) if owner.is_some() && path.is_symlink() => Err(StoreError::planted(
            path,
            "a link, and root follows none here (mount the other folder there)",
        )),
        opened => opened.map_err(StoreError::io("open the folder", path)),
    }
}

fn refused(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    move |cause| match cause.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => StoreError::planted(path, "a link"),
        // A pipe without a reader, or a socket.
        Some(Errno::ENXIO) => StoreError::planted(path, "no plain file"),
        _ => StoreError::io(action, path)(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ContentHash;
    use crate::set::{Set, codec};
    use crate::store::list::read_set;

    /// Sparse files take no room on disk: whoever has the folder may put as large ones there as he likes.
    #[test]
    fn large_files_are_read_when_their_hash_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set");
        let (octets, hash) = codec::encode(&Set::default());
        std::fs::write(&path, &octets).unwrap();
        assert_eq!(read_set(&path, &hash).unwrap(), Set::default());
        let grow = |len: u64| File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
        grow(16 << 30);
        let error = read_set(&path, &hash).unwrap_err().to_string();
        assert!(error.contains("larger than 4096 MiB"), "{error}");
        grow(SMALL + 1);
        let error = read_sealed(&path).unwrap_err().to_string();
        assert!(error.contains("its hash does not fit"), "{error}");
        // A large one that is whole.
        let mut whole = vec![7; SMALL as usize];
        whole.extend_from_slice(ContentHash::of(&whole).as_bytes());
        std::fs::write(&path, &whole).unwrap();
        assert!(read_sealed(&path).unwrap() == whole && holds(&path, &whole) && !holds(&path, &octets));
        assert!(read_if_there(&path).unwrap_err().to_string().contains("larger than 64 MiB"));
    }
}
