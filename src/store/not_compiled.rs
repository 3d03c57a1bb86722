//! Which zones the last sync could not compile, and why: they answer from what they had, which nothing else tells at once.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::atomic::sync_folder;
use super::error::StoreError;
use super::json::{self, Versioned};
use super::killpoint::NOT_COMPILED;
use super::{Store, Writer};
use crate::model::Name;

const FILE: &str = "not-compiled.json";

/// `not-compiled.json`; there is none where all zones could be.
#[derive(Serialize, Deserialize)]
struct NotCompiled {
    /// Why, by origin.
    zones: BTreeMap<Name, String>,
}

impl Versioned for NotCompiled {
    const VERSION: u64 = 1;
    const KIND: &'static str = NOT_COMPILED;
}

impl Store {
    /// Why the last sync could not compile a zone, by origin.
    pub fn not_compiled(&self) -> Result<BTreeMap<Name, String>, StoreError> {
        let found: Option<NotCompiled> = json::read(&self.root.join(FILE))?;
        Ok(found.map(|found| found.zones).unwrap_or_default())
    }
}

impl Writer {
    /// Remembers that in the place of what a sync before found.
    pub fn put_not_compiled(&self, zones: BTreeMap<Name, String>) -> Result<(), StoreError> {
        let path = self.store.root.join(FILE);
        if !zones.is_empty() {
            return json::write(&path, &NotCompiled { zones }, self.store.owner);
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => {
                removed.map_err(StoreError::io("remove", &path)).and_then(|()| sync_folder(&self.store.root))
            }
        }
    }
}
