//! Which lists are past their hard age, as the server asks again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{ListConfig, Slug};
use crate::store::{Freshness, ListStatus, Store};

/// A question for [`Server::start`](crate::server::Server::start): the lists of `lists` (which a reload may replace)
/// whose status in `store` says that they are too old. What cannot be read is as old as it was when it could.
pub fn expired_lists(
    store: Store,
    lists: Arc<Mutex<BTreeMap<Slug, ListConfig>>>,
) -> impl FnMut() -> BTreeSet<String> + Send {
    let mut known: BTreeMap<Slug, ListStatus> = BTreeMap::new();
    move || {
        let lists = lists.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for name in lists.keys() {
            match store.list(name).status() {
                Ok(status) => drop(known.insert(name.clone(), status)),
                Err(error) => tracing::warn!(list = %name, %error, "its age is what it was"),
            }
        }
        let now = store.now(known.values());
        let hard = |list: &ListConfig| {
            let freshness = known.get(&list.name)?.freshness(&list.ages, list.use_, &now)?;
            (freshness == Freshness::Hard).then(|| list.name.to_string())
        };
        lists.values().filter_map(hard).collect()
    }
}
