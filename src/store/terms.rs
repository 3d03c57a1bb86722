//! Whose terms a person has been shown, and when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::json::{self, Versioned};
use super::{Store, Writer};
use crate::config::Slug;
use crate::model::ContentHash;

/// `terms.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// By feed.
    pub shown: BTreeMap<Slug, Shown>,
}

/// The terms that were shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// When, in seconds since 1970 by the wall clock.
    pub at: i64,
    /// The hash of their text: changed terms are shown again.
    pub text: ContentHash,
}

impl Versioned for Terms {
    const VERSION: u64 = 1;
    const KIND: &'static str = "terms";
}

impl Terms {
    /// Whether a person has seen these terms of the feed.
    pub fn has_seen(&self, feed: &Slug, text: &str) -> bool {
        self.shown.get(feed).is_some_and(|shown| shown.text == ContentHash::of(text.as_bytes()))
    }

    /// Notes that they were shown.
    pub fn saw(&mut self, feed: &Slug, text: &str, at: i64) {
        self.shown.insert(feed.clone(), Shown { at, text: ContentHash::of(text.as_bytes()) });
    }
}

impl Store {
    /// Whose terms have been shown.
    pub fn terms(&self) -> Result<Terms, StoreError> {
        Ok(json::read(&self.root.join("terms.json"))?.unwrap_or_default())
    }
}

impl Writer {
    /// Remembers whose terms have been shown.
    pub fn put_terms(&self, terms: &Terms) -> Result<(), StoreError> {
        json::write(&self.root.join("terms.json"), terms, self.store.owner)
    }
}
