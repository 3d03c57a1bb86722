//! Since when entries are there, and which fetch brought them.

use std::ops::Range;

use serde::Serialize;

use super::super::output::utc;
use super::super::view::{ListView, When};
use crate::model::ContentHash;
use crate::set::{Set, Since, Version};
use crate::store::{Fetches, ListDir, Now, Stamp};

/// Since when an entry is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ShownSince {
    #[serde(flatten)]
    pub(crate) when: When,
    /// It may be there for longer: what was before is not known.
    pub(crate) at_least: bool,
    /// What brought it, as long as the list's log knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fetch: Option<Fetch>,
}

/// A fetch that brought a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fetch {
    pub(crate) at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// The set that it was read as.
    pub(crate) set: ContentHash,
}

impl Fetch {
    /// The one that brought `version`.
    pub(super) fn of(fetches: &Fetches, version: &Version) -> Option<Self> {
        let attempt = fetches.of(version)?;
        Some(Self { at: utc(attempt.wall), url: attempt.url.clone(), set: version.set })
    }
}

/// What is known of the entries of one set.
pub(super) struct Times {
    now: Now,
    since: Option<Since>,
    fetches: Fetches,
}

impl Times {
    pub(super) fn of(now: &Now, list: &ListView, folder: &ListDir, hash: &ContentHash, set: &Set) -> Self {
        let is_current = list.status.set.is_some_and(|current| current.hash == *hash);
        let taken = list.status.content_since.as_ref().filter(|_| is_current).map(|since| since.wall);
        let since = folder.deltas().since(hash, set, taken);
        Self { now: now.as_believed(list.status.believed.as_ref()), since, fetches: folder.fetches() }
    }

    /// Since when one of these rows is there.
    pub(super) fn at(&self, rows: Range<usize>) -> Option<ShownSince> {
        let version = self.since.as_ref()?.of(rows)?;
        Some(ShownSince {
            when: when(&self.now, version.time),
            at_least: version.at_least,
            fetch: Fetch::of(&self.fetches, version),
        })
    }
}

/// A time of which the wall clock alone is known.
pub(super) fn when(now: &Now, wall: i64) -> When {
    When::new(now, &Stamp { wall, boot: None, boottime: 0 })
}
