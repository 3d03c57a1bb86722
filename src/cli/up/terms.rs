//! On what conditions feeds are published: shown once, and again when they change.

use super::super::output::{HEAD, styled, talk, wrapped};
use crate::config::{Feed, Feeds, Fetch};
use crate::store::{Lock, Now, Store, StoreError, Terms, Wait};

/// Shows the terms of the feeds that will be fetched and that nobody was shown yet, and remembers that.
pub(crate) fn show(feeds: &Feeds, store: &Store) -> Result<(), StoreError> {
    let mut terms = match store.terms() {
        // Shown once too often is better than never.
        Err(StoreError::Damaged { .. }) => Terms::default(),
        terms => terms?,
    };
    let fetched = feeds.iter().filter(|feed| feed.terms.fetch == Fetch::Anyone);
    let new: Vec<&Feed> = fetched.filter(|feed| !terms.has_seen(&feed.name, &feed.terms.text)).collect();
    if new.is_empty() {
        return Ok(());
    }
    talk(styled(HEAD, "Terms of the feeds (shown once; by going on you accept them)"));
    let width = new.iter().map(|feed| feed.name.as_str().len()).max().unwrap_or(0);
    for feed in &new {
        let text = format!("{} {}", feed.terms.text.trim(), feed.homepage);
        for (at, line) in wrapped(&text, 96 - width.min(40)).iter().enumerate() {
            let name = if at == 0 { feed.name.as_str() } else { "" };
            talk(format_args!("  {name:width$}  {line}"));
        }
    }
    talk("");
    let at = Now::read().stamp().wall;
    new.iter().for_each(|feed| terms.saw(&feed.name, &feed.terms.text, at));
    match store.lock(Wait::No)? {
        Lock::Taken(writer) => writer.put_terms(&terms),
        // A sync is at work in this folder: they are shown once more next time.
        Lock::Busy(_) => Ok(()),
    }
}
