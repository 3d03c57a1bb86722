//! When a subject came into each list and went, as far back as it is known.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::view::{View, When};
use super::lists::{Entry, entries};
use super::since::{Fetch, when};
use crate::model::Subject;
use crate::set::{Set, Version};
use crate::store::Store;

/// What a list had of it.
#[derive(Debug, Serialize)]
pub(crate) struct InHistory {
    pub(crate) list: String,
    /// Since when it is known what the list had.
    pub(crate) known_since: When,
    /// What happened, oldest first.
    pub(crate) events: Vec<Event>,
}

/// What happened to an entry.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    #[serde(flatten)]
    pub(crate) when: When,
    pub(crate) event: Happened,
    /// Versions in between are lost: it happened after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<When>,
    #[serde(flatten)]
    pub(crate) entry: Entry,
    /// What brought the version, as long as the list's log knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fetch: Option<Fetch>,
}

/// In a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Happened {
    /// It was there in the first version that is known.
    There,
    /// It came.
    Came,
    /// It says something else.
    Changed,
    /// It went.
    Went,
}

/// Entries without what they say, and what they say.
type Known = BTreeMap<(String, bool, Vec<String>), Entry>;

/// The lists that have `subject`, or had it. A list of which nothing is known has no history; why one cannot be known is
/// told in `unreadable`.
pub(crate) fn history(view: &View, subject: &Subject, unreadable: &mut Vec<String>) -> Vec<InHistory> {
    let mut lists = Vec::new();
    let Ok(store) = Store::existing(&view.config.state) else { return lists };
    for list in &view.lists {
        let Some(current) = list.status.set else { continue };
        let folder = store.list(&list.config.name);
        let taken = list.status.content_since.as_ref().map(|since| since.wall);
        let fetches = folder.fetches();
        let clock = view.now.as_believed(list.status.believed.as_ref());
        let mut known_since = None;
        let mut known = Known::new();
        let mut last = 0;
        let mut events = Vec::new();
        let visit = |version: &Version, before: Option<&Set>, set: &Set| {
            let is_first = known_since.is_none();
            known_since.get_or_insert(version.time);
            let after = (before.is_none() && !is_first).then(|| when(&clock, last));
            let now = known_entries(set, subject);
            for (event, entry) in compared(&known, &now, is_first) {
                let fetch = Fetch::of(&fetches, version);
                events.push(Event {
                    when: when(&clock, version.time),
                    event,
                    after: after.clone(),
                    entry,
                    fetch,
                });
            }
            known = now;
            last = version.time;
        };
        if let Err(error) = folder.deltas().replay(&current.hash, taken, visit) {
            unreadable.push(error.to_string());
        }
        if let Some(since) = known_since.filter(|_| !events.is_empty()) {
            let known_since = when(&clock, since);
            lists.push(InHistory { list: list.config.name.to_string(), known_since, events });
        }
    }
    lists
}

/// An entry that says several things is told with all of them.
fn known_entries(set: &Set, subject: &Subject) -> Known {
    let mut known = Known::new();
    for entry in entries(set, subject, usize::MAX).0 {
        let key = (entry.entry.clone(), entry.exclude, entry.subzones.clone());
        match known.get_mut(&key) {
            Some(first) => first.says_also(&entry),
            None => {
                known.insert(key, entry);
            }
        }
    }
    known
}

fn compared(before: &Known, now: &Known, is_first: bool) -> Vec<(Happened, Entry)> {
    let mut happened = Vec::new();
    for (key, entry) in before {
        if !now.contains_key(key) {
            happened.push((Happened::Went, entry.clone()));
        }
    }
    for (key, entry) in now {
        match before.get(key) {
            None if is_first => happened.push((Happened::There, entry.clone())),
            None => happened.push((Happened::Came, entry.clone())),
            Some(before) if !before.says_the_same(entry) => happened.push((Happened::Changed, entry.clone())),
            Some(_) => {}
        }
    }
    happened
}
