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
use crate::store::{Attempt, ListDir, ListStatus, StoreError};
use crate::sync::SyncError;

impl Desk<'_> {
    /// What another list brought that had this name is gone from here on, in service and held; whether there was any. It comes back with
    /// the name, until this list has brought something.
    pub(in crate::sync) fn forget_another_list(&mut self) -> Result<bool, SyncError> {
        let was_held = self.forget_held_by_another()?;
        if self.status.set.is_some() && self.status.use_.is_none() {
            // Nothing is left that says it.
            self.status.use_ = Some(self.list.use_);
            self.keeper.put_status(&self.status)?;
            return Ok(was_held);
        }
        let Some(status) = changed(self.list, &self.keeper, &self.status) else {
            // What a person keeps in service is meant as it is configured, also before its place was asked again.
            if self.status.pinned.is_some() && self.status.use_ != Some(self.list.use_) {
                self.note_use();
                self.keeper.put_status(&self.status)?;
            }
            return Ok(was_held);
        };
        self.status = status;
        self.keeper.put_status(&self.status)?;
        if !self.status.given_away {
            tracing::info!(list = %self.list.name, "its name was given back to it, and so is its version");
            return Ok(was_held);
        }
        tracing::warn!(
            list = %self.list.name,
            "it is an allow list no more, or has become one, at other places: its version in service is forgotten, and it answers from \
             its first fetch on"
        );
        Ok(true)
    }

    fn forget_held_by_another(&mut self) -> Result<bool, SyncError> {
        if !is_held_of_another(self.list, &self.keeper, &self.status) {
            return Ok(false);
        }
        tracing::warn!(list = %self.list.name, "what is held is of another list that had its name, and forgotten");
        self.status.waits = false;
        self.keeper.put_status(&self.status)?;
        self.keeper.drop_held()?;
        Ok(true)
    }

    /// Notes that it is used as it is configured now.
    pub(super) fn note_use(&mut self) {
        if self.status.use_.is_some_and(|use_| is_opposite(self.list, use_)) {
            self.status.turned = Some(self.now.stamp());
        }
        self.status.use_ = Some(self.list.use_);
    }

    /// Why a version cannot be put in service: another list brought it.
    pub(super) fn check_is_own(&self, version: &ContentHash, history: &[Attempt]) -> Result<(), SyncError> {
        if self.status.given_away {
            return Err(SyncError::Forgotten(self.list.name.clone()));
        }
        let Some(use_) = lost::use_of(history, version) else { return self.check_is_younger(version) };
        if !is_opposite(self.list, use_) {
            return Ok(());
        }
        let brought = lost::brought(history, version).and_then(|attempt| attempt.validators);
        let came_from = brought.or_else(|| lost::confirmed_at(history, version)).map(|known| known.url);
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

    /// Of a version that no log knows of: whether it can be from when the list was good for the opposite.
    fn check_is_younger(&self, version: &ContentHash) -> Result<(), SyncError> {
        let Some(turned) = &self.status.turned else { return Ok(()) };
        match self.keeper.set_taken(version)? < turned.wall {
            true => Err(SyncError::UnknownUse(self.list.name.clone(), version.short())),
            false => Ok(()),
        }
    }
}

/// What is known of a list, without what another one brought that had its name: as the next sync that comes to it finds it.
pub(crate) fn status_as(list: &ListConfig, dir: &ListDir) -> Result<ListStatus, StoreError> {
    let mut status = lost::status_of(dir)?;
    status.waits &= !is_held_of_another(list, dir, &status);
    Ok(changed(list, dir, &status).unwrap_or(status))
}

/// What a status becomes when its version is another list's, or the one that was forgotten this one's again.
fn changed(list: &ListConfig, dir: &ListDir, status: &ListStatus) -> Option<ListStatus> {
    if is_of_another(list, status) {
        return Some(status.clone().given_away());
    }
    let is_there = |again: &ListStatus| again.set.is_some_and(|set| dir.has_set(&set.hash));
    let again = status.given_back().filter(|_| status.set.is_none())?;
    (is_there(&again) && !is_of_another(list, &again)).then_some(again)
}

/// What is held was brought by another list that had this name.
fn is_held_of_another(list: &ListConfig, dir: &ListDir, status: &ListStatus) -> bool {
    let Some(held) = dir.held().ok().flatten().filter(|_| status.waits) else { return false };
    let came_from = held.validators.as_ref().map(|validators| &*validators.url);
    held.use_.is_some_and(|use_| is_opposite(list, use_))
        && came_from.is_some_and(|known| !asks_at(list, known))
}

/// The version in service was brought by another list that had this name: it is not answered from.
fn is_of_another(list: &ListConfig, status: &ListStatus) -> bool {
    status.set.is_some()
        && status.use_.is_some_and(|use_| is_opposite(list, use_))
        && !came_from_its_place(list, status)
}

/// Who is on one is refused, or weighed, and who is on the other is let in.
fn is_opposite(list: &ListConfig, use_: Use) -> bool {
    use_.can_list() != list.use_.can_list()
}

fn came_from_its_place(list: &ListConfig, status: &ListStatus) -> bool {
    match came_from(status) {
        Some(known) => asks_at(list, known),
        None => !schedule::is_elsewhere(status, list.source.urls()),
    }
}

/// Where the version in service came from.
pub(in crate::sync) fn came_from(status: &ListStatus) -> Option<&str> {
    let brought = || status.brought.as_ref()?.validators.as_ref();
    status.validators.as_ref().or_else(brought).map(|known| &*known.url)
}

/// `known` is a place that the list is asked for at, however its URL is spelt.
pub(in crate::sync) fn asks_at(list: &ListConfig, known: &str) -> bool {
    let plain = |shown: &str| Url::parse(shown).map_or_else(|_| shown.to_owned(), |url| place(&url));
    match &list.source {
        Source::Urls(urls) => urls.iter().any(|url| plain(&shown_url(url)) == plain(known)),
        Source::Files(paths) => is_of_files(known, paths),
        Source::Embedded(_) => known == super::own::EMBEDDED,
    }
}

/// All of the files that came together are among `paths`, or in a folder among them. A name may have `, ` in it.
fn is_of_files(known: &str, paths: &[PathBuf]) -> bool {
    let among = |file: &str| paths.iter().any(|path| Path::new(file).starts_with(path));
    among(known)
        || known
            .match_indices(", ")
            .any(|(at, between)| among(&known[..at]) && is_of_files(&known[at + between.len()..], paths))
}
