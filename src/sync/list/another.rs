//! A list's name that is given to another list: of good senders where the first was of bad ones, or the other way round, from
//! another place.
//!
//! What the first list brought is not the second's: nobody is refused for having been on an allow list. Another use of what is
//! there, and another place of what is used alike, are a person's to choose; and a use counts as chosen once a version was taken
//! or confirmed with it, or a person put one in service. Never: asking anybody.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::{Desk, lost};
use crate::config::{ListConfig, Source, place, shown_url};
use crate::feed::schedule;
use crate::model::{ContentHash, Use};
use crate::store::{Attempt, ListStatus};
use crate::sync::SyncError;

impl Desk<'_> {
    /// What another list brought that had this name is gone from here on, in service and held.
    pub(in crate::sync) fn forget_another_list(&mut self) -> Result<(), SyncError> {
        self.forget_held_by_another()?;
        if self.status.set.is_none() {
            return Ok(());
        }
        if self.status.use_.is_none() {
            // Nothing is left that says it.
            self.status.use_ = Some(self.list.use_);
            return Ok(self.keeper.put_status(&self.status)?);
        }
        if !is_of_another(self.list, &self.status) {
            return Ok(());
        }
        tracing::warn!(
            list = %self.list.name,
            "it is an allow list no more, or has become one, at other places: its version in service is forgotten, and it answers from \
             its first fetch on"
        );
        let old = std::mem::take(&mut self.status);
        self.status = ListStatus {
            attempts: old.attempts,
            round: old.round,
            last_attempt: old.last_attempt,
            last_contact: old.last_contact,
            asked: old.asked,
            believed: old.believed,
            resting: old.resting,
            given_away: true,
            ..ListStatus::default()
        };
        // First what would be taken up again if the status were lost.
        self.keeper.drop_versions()?;
        Ok(self.keeper.put_status(&self.status)?)
    }

    fn forget_held_by_another(&mut self) -> Result<(), SyncError> {
        let Some(held) = self.keeper.held().ok().flatten().filter(|_| self.status.waits) else {
            return Ok(());
        };
        let came_from = held.validators.as_ref().map(|validators| &*validators.url);
        if !held.use_.is_some_and(|use_| is_opposite(self.list, use_))
            || came_from.is_none_or(|known| asks_at(self.list, known))
        {
            return Ok(());
        }
        tracing::warn!(list = %self.list.name, "what is held is of another list that had its name, and forgotten");
        self.status.waits = false;
        self.keeper.put_status(&self.status)?;
        Ok(self.keeper.drop_held()?)
    }

    /// Why a version cannot be put in service: another list brought it.
    pub(super) fn check_is_own(&self, version: &ContentHash, history: &[Attempt]) -> Result<(), SyncError> {
        let Some(use_) = lost::use_of(history, version).filter(|use_| is_opposite(self.list, *use_)) else {
            return Ok(());
        };
        let came_from =
            lost::brought(history, version).and_then(|attempt| attempt.validators).map(|known| known.url);
        match came_from.filter(|known| !asks_at(self.list, known)) {
            Some(place) => Err(SyncError::AnotherList {
                list: self.list.name.clone(),
                version: version.short(),
                place,
                use_,
            }),
            None => Ok(()),
        }
    }
}

/// The version in service was brought by another list that had this name: it is not answered from.
pub(in crate::sync) fn is_of_another(list: &ListConfig, status: &ListStatus) -> bool {
    status.set.is_some()
        && status.use_.is_some_and(|use_| is_opposite(list, use_))
        && !came_from_its_place(list, status)
}

/// Who is on one is refused, or weighed, and who is on the other is let in.
fn is_opposite(list: &ListConfig, use_: Use) -> bool {
    use_.can_list() != list.use_.can_list()
}

fn came_from_its_place(list: &ListConfig, status: &ListStatus) -> bool {
    let brought = || status.brought.as_ref()?.validators.as_ref();
    match status.validators.as_ref().or_else(brought) {
        Some(known) => asks_at(list, &known.url),
        None => !schedule::is_elsewhere(status, list.source.urls()),
    }
}

/// `known` is a place that the list is asked for at, however its URL is spelt.
fn asks_at(list: &ListConfig, known: &str) -> bool {
    let plain = |shown: &str| Url::parse(shown).map_or_else(|_| shown.to_owned(), |url| place(&url));
    match &list.source {
        Source::Urls(urls) => urls.iter().any(|url| plain(&shown_url(url)) == plain(known)),
        Source::Files(paths) => is_of_files(known, paths),
        Source::Embedded(_) => known == super::own::EMBEDDED,
    }
}

/// All of the files that came together are among `paths`, or in a folder among them.
fn is_of_files(known: &str, paths: &[PathBuf]) -> bool {
    let among = |file: &str| paths.iter().any(|path| Path::new(file).starts_with(path));
    known.split(", ").all(among)
}
