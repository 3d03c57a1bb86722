//! A list that is called otherwise than before: its folder goes along.
//!
//! What a list has is its own under whatever name: versions, ages, history, what waits, when its publisher was asked. Whose a folder is
//! tells the place that its version came from. Never: taking one from a list that is still asked for there, in exchange for another
//! version, or for another use; what is of bad senders under one name is of good ones under no other.

use super::SyncError;
use super::list::{asks_at, came_from, status_of};
use crate::config::{Config, ListConfig, Slug, Source};
use crate::feed::schedule;
use crate::model::Use;
use crate::store::{ListStatus, Stamp, Writer};

/// Gives each list that has nothing the folder that it had under another name.
pub(super) fn take_along(config: &Config, writer: &Writer) -> Result<(), SyncError> {
    let lists = config.reloadable.lists.values();
    let mut new = lists.filter(|list| has_nothing(list, writer)).peekable();
    if new.peek().is_none() {
        return Ok(());
    }
    let mut left = left(config, writer)?;
    for list in new {
        let Some(found) = left.iter().position(|left| left.is_of(list)) else { continue };
        let was = left.remove(found).name;
        match writer.rename_list(&was, &list.name) {
            Ok(()) => {
                tracing::info!(list = %list.name, %was, "it is called otherwise now, and has what it had")
            }
            Err(error) => {
                tracing::warn!(list = %list.name, %was, %error, "what it had under its other name is not taken along");
            }
        }
    }
    Ok(())
}

/// It has no version, nothing that waits, and nothing to come back to. The embedded list is always there.
fn has_nothing(list: &ListConfig, writer: &Writer) -> bool {
    let is_nothing = |status: ListStatus| {
        status.set.is_none() && !status.waits && !status.given_away && status.forgotten.is_none()
    };
    !matches!(list.source, Source::Embedded(_))
        && status_of(&writer.store().list(&list.name)).is_ok_and(is_nothing)
}

/// The folder of a list that is asked for under this name no more.
struct Left {
    name: Slug,
    status: ListStatus,
    came_from: String,
}

impl Left {
    fn is_of(&self, list: &ListConfig) -> bool {
        let is_used_so = |of: Use| of.can_list() == list.use_.can_list();
        self.status.use_.is_some_and(is_used_so) && asks_at(list, &self.came_from)
    }
}

/// All of them, whichever was heard of last first.
fn left(config: &Config, writer: &Writer) -> Result<Vec<Left>, SyncError> {
    let mut left = Vec::new();
    for name in writer.lists()? {
        let Ok(status) = status_of(&writer.store().list(&name)) else { continue };
        let Some(came_from) = came_from(&status).filter(|_| status.set.is_some()).map(str::to_owned) else {
            continue;
        };
        let is_elsewhere = |list: &ListConfig| {
            !asks_at(list, &came_from) && schedule::is_elsewhere(&status, list.source.urls())
        };
        if config.reloadable.lists.get(&name).is_none_or(is_elsewhere) {
            left.push(Left { name, status, came_from });
        }
    }
    let heard = |left: &Left| left.status.last_confirmed.as_ref().map(|Stamp { wall, .. }| *wall);
    left.sort_by_key(|left| std::cmp::Reverse(heard(left)));
    Ok(left)
}
