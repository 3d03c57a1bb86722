//! JSON files with a version: read whole or refused by name.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic;
use super::error::StoreError;
use super::owner::{Owner, read_if_there};

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
    let Some(octets) = read_if_there(path)? else { return Ok(None) };
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
