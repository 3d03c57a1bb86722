//! What a person decides of a list, put in service at once.
//!
//! [`settle`] says what exactly is meant, at the moment it is said; [`decide`] changes the list in the store and publishes
//! what follows from it, as a sync would. Between both a sync may have to be waited for. Nothing is fetched.
//! Read [`Wish`] first.

use super::list::{status_as, status_of};
use super::{Run, Summary, SyncError, Watcher, renamed};
use crate::config::{Config, ListConfig, Slug};
use crate::model::ContentHash;
use crate::store::{Act, By, FEWEST_DIGITS, Now, Store, Versions, Writer};

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// What is held, through; when that is this version, if one is named.
    Accept(Option<&'a str>),
    /// This version, or the current one, kept in service.
    Pin(Option<&'a str>),
    /// What comes, taken again.
    Unpin,
    /// This version, or the one before the current, in service and kept there.
    RollBack(Option<&'a str>),
}

/// What a person wants, by the versions that there were when it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// What is held, if anything is.
    Accept(Option<ContentHash>),
    /// This version kept in service.
    Pin(ContentHash),
    /// What comes, taken again.
    Unpin,
    /// This version in service and kept there.
    RollBack(ContentHash),
    /// Nothing: what there is was brought by another list that had the name.
    AnotherLists,
}

/// Which versions are meant now. A sync that runs may change what is held or in service before it can be done.
pub fn settle(config: &Config, store: &Store, list: &Slug, wish: Wish<'_>) -> Result<Settled, SyncError> {
    let known = known(config, list)?;
    let dir = store.list(&renamed::folder_of(config, store, list)?);
    let before = status_of(&dir)?;
    let status = status_as(known, &dir)?;
    if status.given_away && !before.given_away || before.waits && !status.waits {
        return Ok(Settled::AnotherLists);
    }
    let versions = || Ok::<_, SyncError>(Versions::of(&dir, status.set.map(|set| set.hash))?);
    let unknown = |unknown| SyncError::NoVersion(list.clone(), unknown);
    let now = Now::read().stamp().wall;
    Ok(match wish {
        Wish::Accept(version) => {
            let held = dir.held()?.filter(|_| status.waits).map(|held| held.set.hash);
            let is_meant = |asked: &str| {
                asked.len() >= FEWEST_DIGITS && held.is_some_and(|held| held.to_string().starts_with(asked))
            };
            if let Some(asked) = version.filter(|asked| !is_meant(&asked.to_ascii_lowercase())) {
                return Err(SyncError::NotHeld(list.clone(), asked.to_owned()));
            }
            Settled::Accept(held)
        }
        Wish::Pin(version) => {
            Settled::Pin(versions()?.find(version.unwrap_or("current"), now).map_err(unknown)?)
        }
        Wish::Unpin => Settled::Unpin,
        Wish::RollBack(version) => {
            let versions = versions()?;
            let set = match version {
                Some(version) => versions.find(version, now),
                None => versions.previous().map(|version| version.set).ok_or_else(|| versions.no_previous()),
            };
            Settled::RollBack(set.map_err(unknown)?)
        }
    })
}

fn known<'a>(config: &'a Config, list: &Slug) -> Result<&'a ListConfig, SyncError> {
    let known = config.reloadable.lists.get(list);
    let known = known.ok_or_else(|| SyncError::UnknownList(list.clone()))?;
    match known.is_own() {
        true => Err(SyncError::OwnList(list.clone())),
        false => Ok(known),
    }
}

/// Does it.
pub fn decide(
    config: &Config,
    writer: &Writer,
    list: &Slug,
    wish: Settled,
    watcher: &dyn Watcher,
) -> Result<Summary, SyncError> {
    let known = known(config, list)?;
    // What is published below is of all zones.
    let has_moved = renamed::take_along(config, writer)?;
    let mut run = Run::new(config, writer, watcher, By::Person);
    let mut desk = run.desk(known)?;
    let has_forgotten = desk.forget_another_list()?;
    let done = match wish {
        Settled::Accept(held) => desk.accept(held),
        Settled::Pin(version) => desk.put_in_service(version, Act::Pin),
        Settled::Unpin => desk.unpin(),
        Settled::RollBack(version) => desk.put_in_service(version, Act::Rollback),
        Settled::AnotherLists => Err(SyncError::Forgotten(list.clone())),
    };
    let done = match done {
        Err(_) if has_forgotten => Err(SyncError::Forgotten(list.clone())),
        done => done,
    };
    match done {
        Ok(report) => run.done(report),
        Err(error) => {
            if has_forgotten || has_moved {
                run.publish()?;
            }
            return Err(error);
        }
    }
    run.publish()?;
    Ok(run.summary)
}
