//! On what conditions feeds are published: shown once, and again when they change.

use super::output::{HEAD, styled, talk, wrapped};
use crate::config::Feed;
use crate::store::{Lock, Now, Store, StoreError, Terms, Wait};

/// Those whose terms nobody was shown yet.
pub(crate) fn unseen<'a>(feeds: impl Iterator<Item = &'a Feed>, seen: &Terms) -> Vec<&'a Feed> {
    feeds.filter(|feed| !seen.has_seen(&feed.name, &feed.terms.text)).collect()
}

/// What was shown so far.
pub(crate) fn seen(store: &Store) -> Result<Terms, StoreError> {
    match store.terms() {
        // Shown once too often is better than never.
        Err(StoreError::Damaged { .. }) => Ok(Terms::default()),
        terms => terms,
    }
}

/// Puts them on the terminal.
pub(crate) fn tell(heading: &str, feeds: &[&Feed]) {
    talk(styled(HEAD, heading));
    let width = feeds.iter().map(|feed| feed.name.as_str().len()).max().unwrap_or(0);
    for feed in feeds {
        let text = format!("{} {}", feed.terms.text.trim(), feed.homepage);
        for (at, line) in wrapped(&text, 96 - width.min(40)).iter().enumerate() {
            let name = if at == 0 { feed.name.as_str() } else { "" };
            talk(format_args!("  {name:width$}  {line}"));
        }
    }
    talk("");
}

/// Remembers that they were shown.
pub(crate) fn remember(store: &Store, mut seen: Terms, feeds: &[&Feed]) -> Result<(), StoreError> {
    let at = Now::read().stamp().wall;
    feeds.iter().for_each(|feed| seen.saw(&feed.name, &feed.terms.text, at));
    match store.lock(Wait::No)? {
        Lock::Taken(writer) => writer.put_terms(&seen),
        // A sync is at work in this folder: they are shown once more next time.
        Lock::Busy(_) => Ok(()),
    }
}
