//! What a person decides of a list, put in service at once.
//!
//! [`decide`] changes the list in the store and publishes what follows from it, as a sync would; nothing is fetched.
//! Read [`Wish`] first.

use super::{Run, Summary, SyncError, Watcher};
use crate::config::{Config, Slug};
use crate::store::{By, Writer};

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// What is held, through.
    Accept,
    /// This version, or the current one, kept in service.
    Pin(Option<&'a str>),
    /// What comes, taken again.
    Unpin,
    /// This version, or the one before the current, in service and kept there.
    RollBack(Option<&'a str>),
}

/// Does it.
pub fn decide(
    config: &Config,
    writer: &Writer,
    list: &Slug,
    wish: Wish<'_>,
    watcher: &dyn Watcher,
) -> Result<Summary, SyncError> {
    let known = config.reloadable.lists.get(list);
    let known = known.ok_or_else(|| SyncError::UnknownList(list.clone()))?;
    if known.is_own() {
        return Err(SyncError::OwnList(list.clone()));
    }
    let mut run = Run::new(config, writer, watcher, By::Person);
    let desk = run.desk(known)?;
    let report = match wish {
        Wish::Accept => desk.accept(),
        Wish::Pin(version) => desk.pin(version),
        Wish::Unpin => desk.unpin(),
        Wish::RollBack(version) => desk.roll_back(version),
    }?;
    run.done(report);
    run.publish()?;
    Ok(run.summary)
}
