//! The versions of a list whose sets are kept, and how a person names one of them.
//!
//! A version is what was taken at one time: the log knows when, the set is still there. They are numbered from the
//! newest, 0. Read [`Versions::of`] and [`Versions::find`] first.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::error::StoreError;
use super::list::ListDir;
use super::log::Act;
use crate::config::parse_duration;
use crate::model::ContentHash;

/// The fewest digits of a hash that name a version.
pub const FEWEST_DIGITS: usize = 4;

/// Up to so many decimal digits are a number, not the beginning of a hash.
const MOST_NUMBER: usize = 3;

/// A version of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its set.
    pub set: ContentHash,
    /// When it was taken, in seconds since 1970; `None` when the log does not know any more.
    pub taken: Option<i64>,
}

/// The versions of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions {
    /// Newest first.
    all: Vec<Version>,
    /// What was in service from when on, oldest first.
    service: Vec<(i64, ContentHash)>,
    /// Those that a person went back from and nobody has wanted since.
    left: BTreeSet<ContentHash>,
    current: Option<ContentHash>,
}

/// A version that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no version `{asked}` is kept{known}")]
pub struct Unknown {
    asked: String,
    known: String,
}

impl Versions {
    /// Those of a list; `current` is the set in service.
    pub fn of(list: &ListDir, current: Option<ContentHash>) -> Result<Self, StoreError> {
        let kept = list.sets()?;
        let is_kept: BTreeSet<_> = kept.iter().copied().collect();
        let mut taken: Vec<Version> = Vec::new();
        let mut service: Vec<(i64, ContentHash)> = Vec::new();
        let mut left = BTreeSet::new();
        for attempt in list.history() {
            let Some(set) = attempt.set else { continue };
            let is_taken = attempt.outcome.is_new();
            if is_taken || matches!(attempt.act, Some(Act::Rollback | Act::Pin)) {
                // Whoever goes back over several wants none of them.
                if !is_taken {
                    let at = |set| taken.iter().rposition(|version| version.set == set);
                    let from = service.last().and_then(|(_, set)| at(*set));
                    let passed = at(set).zip(from).and_then(|(to, from)| taken.get(to + 1..=from));
                    left.extend(passed.into_iter().flatten().map(|version| version.set));
                }
                left.remove(&set);
                service.push((attempt.wall, set));
            }
            let is_other = taken.last().is_none_or(|last| last.set != set);
            if is_taken && is_other && is_kept.contains(&set) {
                taken.push(Version { set, taken: Some(attempt.wall) });
            }
        }
        taken.reverse();
        let logged: BTreeSet<_> = taken.iter().map(|version| version.set).collect();
        let others = kept.into_iter().filter(|set| !logged.contains(set));
        let all = taken.into_iter().chain(others.map(|set| Version { set, taken: None })).collect();
        Ok(Self { all, service, left, current })
    }

    /// Newest first: the index is the number.
    pub fn all(&self) -> &[Version] {
        &self.all
    }

    /// The one before the version in service; not one that a person went back from.
    pub fn previous(&self) -> Option<&Version> {
        let at = self.all.iter().position(|version| Some(version.set) == self.current)?;
        let mut before = self.all[at..].iter().filter(|version| Some(version.set) != self.current);
        before.find(|version| !self.left.contains(&version.set))
    }

    /// The version that a person means by `text` at the time `now`: `current`, a number, the beginning of its hash, a time
    /// at which it was in service (a date, a time stamp, or how long ago).
    pub fn find(&self, text: &str, now: i64) -> Result<ContentHash, Unknown> {
        let found = self.named(text, now).filter(|set| self.all.iter().any(|version| version.set == *set));
        found.ok_or_else(|| self.unknown(text))
    }

    /// That there is none before the version in service.
    pub fn no_previous(&self) -> Unknown {
        self.unknown("before the current one")
    }

    fn named(&self, text: &str, now: i64) -> Option<ContentHash> {
        if text == "current" {
            return self.current;
        }
        if text.len() <= MOST_NUMBER && text.bytes().all(|octet| octet.is_ascii_digit()) {
            return Some(self.all.get(text.parse::<usize>().ok()?)?.set);
        }
        let is_hash = text.len() >= FEWEST_DIGITS && text.bytes().all(|octet| octet.is_ascii_hexdigit());
        if is_hash {
            let text = text.to_ascii_lowercase();
            let matching: BTreeSet<_> = self
                .all
                .iter()
                .map(|version| version.set)
                .filter(|set| set.to_string().starts_with(&text))
                .collect();
            if matching.len() == 1 {
                return matching.first().copied();
            }
        }
        let at = moment(text, now)?;
        Some(self.service.iter().rev().find(|(since, _)| *since <= at)?.1)
    }

    fn unknown(&self, asked: &str) -> Unknown {
        let each: Vec<String> = self
            .all
            .iter()
            .enumerate()
            .map(|(number, version)| {
                let taken = version.taken.and_then(|at| Timestamp::from_second(at).ok());
                let taken = taken.map_or_else(String::new, |at| format!(" of {at}"));
                format!("{number} = {}{taken}", version.set.short())
            })
            .collect();
        let known = match each.is_empty() {
            true => String::new(),
            false => format!("; there are: {}", each.join(", ")),
        };
        Unknown { asked: asked.to_owned(), known }
    }
}

/// A time in seconds since 1970. Without an offset UTC is meant, as everywhere in what this program prints.
fn moment(text: &str, now: i64) -> Option<i64> {
    if let Some(ago) = parse_duration(text) {
        return Some(now.saturating_sub_unsigned(ago.as_secs()));
    }
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some(stamp.as_second());
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    Some(Offset::UTC.to_timestamp(civil.ok()?).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u8) -> ContentHash {
        ContentHash::from_bytes([n; 32])
    }

    fn versions() -> Versions {
        let version = |n, at| Version { set: hash(n), taken: Some(at) };
        Versions {
            all: vec![version(0xcc, 3000), version(0xbb, 2000), version(0xaa, 1000)],
            service: vec![(1000, hash(0xaa)), (2000, hash(0xbb)), (3000, hash(0xcc)), (4000, hash(0xbb))],
            left: BTreeSet::from([hash(0xcc)]),
            current: Some(hash(0xbb)),
        }
    }

    #[test]
    fn names_of_versions() {
        let versions = versions();
        let find = |text: &str| versions.find(text, 4100).map(|set| set.as_bytes()[0]);
        assert_eq!(find("current"), Ok(0xbb));
        assert_eq!((find("0"), find("2")), (Ok(0xcc), Ok(0xaa)));
        assert_eq!((find("aaaa"), find("CCCCCC")), (Ok(0xaa), Ok(0xcc)));
        assert_eq!((find("1s"), find("10m"), find("35m")), (Ok(0xbb), Ok(0xcc), Ok(0xbb)));
        assert_eq!(find("1970-01-01T00:20:00Z"), Ok(0xaa));
        assert_eq!(find("1970-01-01T00:50:00"), Ok(0xcc));
        assert_eq!(find("2026-01-01"), Ok(0xbb));
        for none in ["3", "aaa", "dddd", "1970-01-01", "2h", "yesterday", ""] {
            let said = find(none).unwrap_err().to_string();
            assert!(said.contains("there are: 0 = cccccccccccc of 1970-01-01T00:50:00Z, 1 = "), "{said}");
        }
    }

    #[test]
    fn the_one_before() {
        let mut versions = versions();
        assert_eq!(versions.previous().unwrap().set, hash(0xaa));
        versions.current = Some(hash(0xaa));
        assert_eq!(versions.previous(), None);
        versions.current = None;
        assert_eq!(versions.previous(), None);
        assert_eq!(versions.find("current", 0).unwrap_err().to_string().matches(" = ").count(), 3);
    }
}
