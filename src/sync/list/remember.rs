//! How a list came to be what it is. Trouble here costs what would have been known of it, never the list.

use super::Desk;
use crate::model::ContentHash;
use crate::set::{Set, Version};
use crate::store::Retention;

impl Desk<'_> {
    /// The set that is replaced: as it is stored, or else put together from those before it.
    pub(super) fn old(&self, hash: &ContentHash) -> Option<Set> {
        self.keeper.set(hash).ok().or_else(|| self.keeper.deltas().set(hash))
    }

    /// Writes down how `new` comes from the current set, `old` if that can still be read, before the status names it.
    pub(super) fn remember(&self, old: Option<&Set>, new: &Set, hash: ContentHash) {
        let now = self.now.stamp().wall;
        let version = |set, time| Version { time, set, at_least: false };
        let since = self.status.content_since.as_ref().map_or(now, |since| since.wall);
        let before = self.status.set.map(|set| version(set.hash, since));
        let before = before.as_ref().and_then(|before| {
            let old = if before.set == hash { Some(new) } else { old };
            Some((old?, before))
        });
        if let Err(error) = self.keeper.keep_change(before, (new, &version(hash, now)), self.history()) {
            tracing::warn!(list = %self.list.name, "how the list changed is not written down: {error}");
        }
    }

    /// What is older than the configuration says is forgotten.
    pub(super) fn forget_old_changes(&self) {
        if let Err(error) = self.keeper.prune_deltas(self.history()) {
            tracing::warn!(list = %self.list.name, "what is too old of how the list changed stays: {error}");
        }
    }

    fn history(&self) -> Retention {
        let sync = &self.config.reloadable.sync;
        Retention { age: sync.keep_history, now: self.believed_now(), size: sync.keep_history_size }
    }

    /// The wall clock, as far as it can be believed: nothing is forgotten because it was wrong for a while.
    pub(super) fn believed_now(&self) -> i64 {
        self.now.believed(self.status.believed.as_ref()).0
    }
}
