//! JSON files with a version: read whole or refused by name.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic;
use super::error::StoreError;
use super::owner::{Owner, read_small};

/// A kind of JSON file.
pub(crate) trait Versioned: Serialize + DeserializeOwned {
    /// The version that this program reads and writes.
    const VERSION: u64;
    /// First half of its killpoints' names.
    const KIND: &'static str;
}

#[derive(serde::Serialize)]
struct Outgoing<'a, T> {
    version: u64,
    #[serde(flatten)]
    content: &'a T,
}

#[derive(serde::Deserialize)]
struct Head {
    version: u64,
}

/// The file at `path`; `None` when there is none.
pub(crate) fn read<T: Versioned>(path: &Path) -> Result<Option<T>, StoreError> {
    let octets = match read_small(path) {
        Err(StoreError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let head: Head = serde_json::from_slice(&octets).map_err(|error| StoreError::damaged(path, error))?;
    if head.version != T::VERSION {
        return Err(StoreError::Version { path: path.to_owned(), found: head.version, known: T::VERSION });
    }
    serde_json::from_slice(&octets).map(Some).map_err(|error| StoreError::damaged(path, error))
}

/// Replaces the file at `path`.
pub(crate) fn write<T: Versioned>(path: &Path, content: &T, owner: Option<Owner>) -> Result<(), StoreError> {
    let outgoing = Outgoing { version: T::VERSION, content };
    let mut octets =
        serde_json::to_vec_pretty(&outgoing).map_err(|error| StoreError::damaged(path, error))?;
    octets.push(b'\n');
    atomic::write(
        path,
        T::KIND,
        0o644,
        owner,
        |out| std::io::Write::write_all(out, &octets),
        |written| match std::fs::read(written) {
            Ok(read) if read == octets => Ok(()),
            Ok(_) => Err("other octets came back".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ListStatus;

    /// A sparse file takes no room on disk, and all of it in memory.
    #[test]
    fn what_cannot_be_so_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        std::fs::File::create(&path).unwrap().set_len(16 << 30).unwrap();
        let error = read::<ListStatus>(&path).unwrap_err().to_string();
        assert!(error.contains("status.json") && error.contains("larger than 64 MiB"), "{error}");
        std::fs::write(&path, "{\"version\":1,\"attempts\":7,\"failures\":0}").unwrap();
        assert_eq!(read::<ListStatus>(&path).unwrap().unwrap().attempts, 7);
        std::fs::remove_file(&path).unwrap();
        assert!(read::<ListStatus>(&path).unwrap().is_none());
    }
}
