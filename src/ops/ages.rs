//! What the store says of the ages of lists: which are past their hard age, how old the oldest is, when the next may be asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Ages, ListConfig, Slug};
use crate::feed::schedule::{Asker, Due, due};
use crate::feed::secret::mark;
use crate::store::{Freshness, ListStatus, Store};

/// A question for [`Server::start`](crate::server::Server::start): the lists of `lists` (which a reload may replace)
/// whose status in `store` says that they are too old. What cannot be read, or is there no more, is as old as it was when it was.
/// A zone in service may be of a feed that is called otherwise in `lists`: it is too old by the longest age that a feed there may have.
pub fn expired_lists(
    store: Store,
    lists: Arc<Mutex<BTreeMap<Slug, ListConfig>>>,
) -> impl FnMut() -> BTreeSet<String> + Send {
    let mut known: BTreeMap<Slug, ListStatus> = BTreeMap::new();
    // Said once, not every second.
    let mut unreadable: BTreeSet<Slug> = BTreeSet::new();
    move || {
        let lists = lists.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let others = store.lists().unwrap_or_default();
        for name in lists.keys().chain(others.iter().filter(|name| !lists.contains_key(*name))) {
            match store.list(name).status() {
                Ok(status) if status == ListStatus::default() => {}
                Ok(status) => {
                    known.insert(name.clone(), status);
                    unreadable.remove(name);
                }
                Err(error) => {
                    if unreadable.insert(name.clone()) {
                        tracing::warn!(list = %name, %error, "its age is what it was");
                    }
                }
            }
        }
        let now = store.now(known.values());
        let longest = lists.values().filter(|list| !list.is_own()).map(|list| list.ages.hard);
        let longest =
            longest.chain([Ages::FEED.hard]).max_by_key(|hard| hard.unwrap_or(Duration::MAX)).flatten();
        let of_others = Ages { hard: longest, ..Ages::FEED };
        let is_hard = |name: &Slug, status: &ListStatus| match lists.get(name) {
            Some(list) => status.freshness(&list.ages, list.use_, &now) == Some(Freshness::Hard),
            None => {
                is_fetched(status)
                    && status
                        .use_
                        .is_some_and(|use_| status.freshness(&of_others, use_, &now) == Some(Freshness::Hard))
            }
        };
        known
            .iter()
            .filter(|(name, status)| is_hard(name, status))
            .map(|(name, _)| name.to_string())
            .collect()
    }
}

/// The operator's own files are as old as they are.
fn is_fetched(status: &ListStatus) -> bool {
    status.validators.as_ref().is_some_and(|known| known.url.contains("://"))
}

/// How old feeds are, in all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedAges {
    /// How many there are.
    pub feeds: u64,
    /// The one that was confirmed longest ago, and how long.
    pub oldest: Option<(Duration, Slug)>,
    /// Past their soft age, but not their hard age.
    pub soft: u64,
    /// Past their hard age.
    pub hard: u64,
    /// Never had, or their status cannot be read.
    pub absent: u64,
}

/// The ages of those of `lists` that are fetched.
pub fn feed_ages<'a>(store: &Store, lists: impl IntoIterator<Item = &'a ListConfig>) -> FeedAges {
    let mut ages = FeedAges::default();
    for list in lists.into_iter().filter(|list| !list.is_own()) {
        ages.feeds += 1;
        let status = store.list(&list.name).status().unwrap_or_default();
        let now = store.now([&status]);
        match status.freshness(&list.ages, list.use_, &now) {
            None => ages.absent += 1,
            Some(Freshness::Fresh) => {}
            Some(Freshness::Soft) => ages.soft += 1,
            Some(Freshness::Hard) => ages.hard += 1,
        }
        let confirmed = status.last_confirmed.as_ref().filter(|_| status.set.is_some());
        let age = confirmed.map(|stamp| (now.age(stamp), list.name.clone()));
        ages.oldest = ages.oldest.max(age);
    }
    ages
}

/// In how long the first of `lists` may be asked for again, and which that is. What needs no network, and what cannot
/// be read, is left out.
pub fn next_due<'a>(
    store: &Store,
    lists: impl IntoIterator<Item = &'a ListConfig>,
) -> Option<(Duration, Slug)> {
    let wait = |list: &ListConfig| {
        let mut status = store.list(&list.name).status().ok()?;
        status.forget_rests_unless_shown(&mark(list.credential.as_ref()));
        let now = store.now([&status]);
        match due(&status, list.source.urls(), list.floor, Asker::Timer, &now) {
            Due::Now => Some((Duration::ZERO, list.name.clone())),
            Due::Wait(wait, _) => Some((wait, list.name.clone())),
        }
    };
    lists.into_iter().filter(|list| !list.is_own()).filter_map(wait).min()
}
