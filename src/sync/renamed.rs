//! A list that is called otherwise than before: its folder goes along.
//!
//! What a list has is its own under whatever name: versions, ages, history, what waits, when its publisher was asked. Whose a folder is
//! tells the place where it was asked for, or where its version came from; names may be swapped and handed on in one go. Never: taking one
//! from a list that is still asked for there, one of a list that was given up long ago, or one for another use; what is of bad senders
//! under one name is of good ones under no other.

use std::collections::{BTreeMap, BTreeSet};

use super::SyncError;
use super::list::{asks_at, came_from, status_of};
use super::zones::lists_in_service;
use crate::config::{Config, ListConfig, Slug, Source, defaults, place};
use crate::store::{ListStatus, Store, StoreError, Writer};

/// Gives each list the folder that it had under another name; whether there was any.
pub(super) fn take_along(config: &Config, writer: &Writer) -> Result<bool, SyncError> {
    let moves = moves(config, writer)?;
    // What made room for another, by the name that it had.
    let mut made_room: BTreeMap<&Slug, Slug> = BTreeMap::new();
    for (was, list) in &moves {
        let from = made_room.get(was).unwrap_or(was);
        let aside = nobodys(config, writer)?;
        match writer.rename_list(from, list, &aside) {
            Ok(stood_there) => {
                tracing::info!(%list, %was, "it is called otherwise now, and has what it had");
                if stood_there {
                    tracing::info!(%list, %aside, "what stood under its name went aside");
                }
                made_room.extend(stood_there.then_some((list, aside)));
            }
            Err(error) => {
                tracing::warn!(%list, %was, %error, "what it had under its other name is not taken along");
            }
        }
    }
    Ok(!moves.is_empty())
}

/// A name that no list and no folder has: what one list leaves behind is no other's.
fn nobodys(config: &Config, store: &Store) -> Result<Slug, StoreError> {
    let there = store.lists()?;
    let is_nobodys = |name: &Slug| !there.contains(name) && !config.reloadable.lists.contains_key(name);
    let mut names = (1..).filter_map(|n| format!("left-{n}").parse().ok());
    Ok(names.find(is_nobodys).expect("names do not end"))
}

/// Under which name a list has what it has, until that is taken along; nobody's, if what is there is another's.
pub(super) fn folder_of(config: &Config, store: &Store, list: &Slug) -> Result<Slug, SyncError> {
    let moves = moves(config, store)?;
    let goes = moves.iter().any(|(was, _)| was == list);
    Ok(match moves.into_iter().find(|(_, name)| name == list) {
        Some((was, _)) => was,
        None if goes => nobodys(config, store)?,
        None => list.clone(),
    })
}

/// Which folder is whose from now on: its name, and that of the list.
fn moves(config: &Config, store: &Store) -> Result<Vec<(Slug, Slug)>, StoreError> {
    Ok(Folders::read(config, store)?.moves(config, store))
}

/// The folders of the store of which anything is known. What cannot be read stays where it is.
struct Folders(BTreeMap<Slug, ListStatus>);

impl Folders {
    fn read(config: &Config, store: &Store) -> Result<Self, StoreError> {
        let configured = config.reloadable.lists.keys().cloned();
        let names = store.lists()?.into_iter().chain(configured).collect::<BTreeSet<_>>();
        let known = names.into_iter().filter_map(|name| {
            let status = status_of(&store.list(&name)).ok()?;
            (status != ListStatus::default()).then_some((name, status))
        });
        Ok(Self(known.collect()))
    }

    fn moves(&self, config: &Config, store: &Store) -> Vec<(Slug, Slug)> {
        let lists = &config.reloadable.lists;
        let (at_home, without): (Vec<_>, Vec<_>) = lists.values().partition(|list| self.is_at_home(list));
        let at_home: BTreeSet<&Slug> = at_home.into_iter().map(|list| &list.name).collect();
        let mut free: Vec<(&Slug, &ListStatus)> =
            self.0.iter().filter(|(name, _)| !at_home.contains(name)).collect();
        if without.is_empty() || free.is_empty() {
            return Vec::new();
        }
        // Whichever has a version goes before, and was asked for last.
        let asked = |status: &ListStatus| status.last_attempt.as_ref().map(|stamp| stamp.wall);
        free.sort_by_key(|(_, status)| std::cmp::Reverse((status.set.is_some(), asked(status))));
        let in_service = lists_in_service(store);
        let now = store.now(self.0.values());
        let is_given_up = |name: &Slug, status: &ListStatus, list: &ListConfig| {
            let longest = list.ages.hard.unwrap_or(defaults::HARD_AGE);
            let asked = status.last_attempt.as_ref();
            !in_service.contains(name.as_str()) && asked.is_none_or(|asked| now.age(asked) >= longest)
        };
        let mut moves = Vec::new();
        // A version of an earlier place says less than where the list was asked for after it.
        for is_there in [was_asked_there, came_from_there] {
            for list in &without {
                if moves.iter().any(|(_, name)| *name == list.name) {
                    continue;
                }
                let is_its = |(name, status): &(&Slug, &ListStatus)| {
                    let has_something = match status.set {
                        Some(_) => status.use_.is_some(),
                        // Nothing but what waits, and when its publisher was asked.
                        None => self.0.get(&list.name).is_none_or(|own| !is_of(list, own)),
                    };
                    **name != list.name
                        && has_something
                        && is_used_so(list, status)
                        && is_there(list, status)
                        && !is_given_up(name, status, list)
                };
                let Some(found) = free.iter().position(is_its) else { continue };
                moves.push((free.remove(found).0.clone(), list.name.clone()));
            }
        }
        moves
    }

    /// It has something of its own under its name, or needs nothing: what is part of the program is always there.
    fn is_at_home(&self, list: &ListConfig) -> bool {
        let has_something =
            |status: &ListStatus| status.set.is_some() || status.waits || status.forgotten.is_some();
        matches!(list.source, Source::Embedded(_))
            || self.0.get(&list.name).is_some_and(|status| has_something(status) && is_of(list, status))
    }
}

/// Used alike, it was asked for at one of the list's places last, or its version came from there.
fn is_of(list: &ListConfig, status: &ListStatus) -> bool {
    is_used_so(list, status) && (was_asked_there(list, status) || came_from_there(list, status))
}

fn is_used_so(list: &ListConfig, status: &ListStatus) -> bool {
    status.use_.is_none_or(|use_| use_.can_list() == list.use_.can_list())
}

fn was_asked_there(list: &ListConfig, status: &ListStatus) -> bool {
    list.source.urls().iter().any(|url| status.next_at.contains(&place(url)))
}

fn came_from_there(list: &ListConfig, status: &ListStatus) -> bool {
    came_from(status).is_some_and(|known| asks_at(list, known))
}
