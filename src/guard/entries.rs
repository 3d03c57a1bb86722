//! After parsing: would using this list harm mail?
//!
//! [`judge`] holds a parsed list against [`Limits`] and gives a [`Judgement`]: a decision, and each [`Reason`] for
//! it as a sentence with its numbers. The never-list is taken out before shapes are judged; the set itself stays as
//! published, and `compile` leaves out what nobody may list. [`Difference`] holds it against an earlier version; what it
//! finds is added with [`Judgement::add`].

mod change;
mod effect;
mod reason;
mod shape;
mod spelt;
mod stretches;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use change::{Before, Difference, compare};
pub use reason::{Decision, Measure, Reason};
pub use spelt::{is_test_point, spells_any_of, takes_test_points};

use super::NeverList;
use crate::parse::{Report, Trailer};
use crate::set::{Holds, Set};
use effect::{Effect, excludes};
pub use shape::is_below_unknown;
use shape::{Nobodys, Shape, spread_v6};
use spelt::is_in_the_way;

/// Share of bad lines among all lines that should be entries: above it a list is held.
pub const MAX_BAD_SHARE: f64 = 0.01;
/// Entries that a list must have to be used.
pub const MIN_ENTRIES: u64 = 1;
/// Share of the IPv4 address space that a list may cover. The broadest real lists cover 4 %; half the world is 50 %.
pub const MAX_COVERAGE_V4: f64 = 0.08;
/// Share that a list may cover of the IPv6 space that registries give networks out of.
pub const MAX_COVERAGE_V6: f64 = 0.08;
/// Share that a list of bogons may newly list of what it left of a registry's IPv6 space: what was given out is in use.
pub const MAX_SPREAD_V6: f64 = 0.1;
/// The shortest IPv4 prefix that one entry may be (a range: as many addresses).
pub const SHORTEST_V4: u8 = 8;
/// The shortest IPv6 prefix that one entry may be.
pub const SHORTEST_V6: u8 = 16;
/// Labels that a name must have for all names below it to be listed by one entry; a public suffix (`co.uk`) is one label.
pub const SHORTEST_NAME: u8 = 2;
/// Share of its entries, and of the addresses that it covers, that a list may lose at once. Replayed over 90 list-years, this and [`MAX_GROWTH`] ask a person
/// one question a list every three years.
pub const MAX_SHRINK: f64 = 0.25;
/// Share of its entries, and of the addresses that it covers, that a list may gain at once.
pub const MAX_GROWTH: f64 = 0.5;
/// Share of the old entries, and of the addresses covered then, that may be gone from the new version, however many came in their place.
pub const MAX_GONE: f64 = 0.4;
/// Lists of so many entries or fewer are not held against their last version: a handful is gone quickly.
pub const COMPARE_ABOVE: u64 = 500;
/// A list that covers fewer IPv4 addresses counts as one that covers so many (a /14): one entry more or less is no shrinking
/// or growing of a list of single addresses, however wide entries commonly are.
pub const COMPARE_ABOVE_V4: u64 = 1 << 18;
/// Entries in canary networks ([`Limits::max_canaries`]): a few are an accident and left out, more are a broken list.
pub const MAX_CANARIES: u64 = 5;
/// Entries for all names below a top-level domain that does not exist ([`Limits::max_unknown_tlds`]): single ones are junk and
/// left out, more are a list of something else.
pub const MAX_UNKNOWN_TLDS: u64 = 100;
/// Entries that a reason or a report quotes.
pub const SAMPLE: usize = 5;

/// What a list must keep to. Lists differ: the catalogue and the configuration set these per list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// See [`MAX_BAD_SHARE`].
    pub max_bad_share: f64,
    /// See [`MIN_ENTRIES`].
    pub min_entries: u64,
    /// See [`MAX_COVERAGE_V4`].
    pub max_coverage_v4: f64,
    /// See [`MAX_COVERAGE_V6`].
    pub max_coverage_v6: f64,
    /// See [`SHORTEST_V4`].
    pub shortest_v4: u8,
    /// See [`SHORTEST_V6`].
    pub shortest_v6: u8,
    /// See [`SHORTEST_NAME`].
    pub shortest_name: u8,
    /// See [`MAX_SHRINK`].
    pub max_shrink: f64,
    /// See [`MAX_GROWTH`].
    pub max_growth: f64,
    /// See [`MAX_GONE`].
    pub max_gone: f64,
    /// See [`COMPARE_ABOVE`].
    pub compare_above: u64,
    /// See [`MAX_CANARIES`].
    pub max_canaries: u64,
    /// See [`MAX_UNKNOWN_TLDS`].
    pub max_unknown_tlds: u64,
    /// The feed is sometimes empty and means it.
    pub allow_empty: bool,
    /// The feed lists unusable space by design: less is taken out of it ([`NeverList::of_feed`]), and its limits on coverage
    /// and prefix length are others unless they are given ([`Limits::of_bogons`]).
    pub bogons: bool,
}

impl Limits {
    /// The same for a list of bogons: half of IPv6 is 8000::/1, and 58 % of what registries have of IPv6 is not given out yet
    /// (less each year). Of IPv4 everything is given out that is not special-purpose, and that is not judged: the limits
    /// are everybody's.
    #[must_use]
    pub fn of_bogons(self) -> Self {
        Self { max_coverage_v6: 0.7, shortest_v6: 1, bogons: true, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bad_share: MAX_BAD_SHARE,
            min_entries: MIN_ENTRIES,
            max_coverage_v4: MAX_COVERAGE_V4,
            max_coverage_v6: MAX_COVERAGE_V6,
            shortest_v4: SHORTEST_V4,
            shortest_v6: SHORTEST_V6,
            shortest_name: SHORTEST_NAME,
            max_shrink: MAX_SHRINK,
            max_growth: MAX_GROWTH,
            max_gone: MAX_GONE,
            compare_above: COMPARE_ABOVE,
            max_canaries: MAX_CANARIES,
            max_unknown_tlds: MAX_UNKNOWN_TLDS,
            allow_empty: false,
            bogons: false,
        }
    }
}

/// Entries that have no effect though they are published.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dropped {
    /// Entries wholly inside the never-list.
    pub never: u64,
    /// Entries that hold addresses of a canary network. Those wholly inside one are counted in `never`, too; a wider one
    /// loses that part.
    #[serde(default)]
    pub canaries: u64,
    /// Wider entries that lose a part that nobody may list.
    #[serde(default)]
    pub partly: u64,
    /// Entries that would answer with a code that is no list's ([`super::is_answer`]).
    pub error_code: u64,
    /// Entries for all names below a top-level domain that does not exist ([`is_below_unknown`]).
    #[serde(default)]
    pub unknown_tld: u64,
    /// The first of them, as published.
    pub sample: Vec<String>,
}

impl Dropped {
    /// Entries that are left out as a whole.
    pub fn total(&self) -> u64 {
        self.never + self.error_code + self.unknown_tld
    }

    /// Something is left out.
    pub fn is_some(&self) -> bool {
        self.total() + self.partly > 0
    }

    fn example(&mut self, entry: &impl fmt::Display) {
        if self.sample.len() < SAMPLE {
            self.sample.push(entry.to_string());
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The severest of the reasons' decisions; accept without any.
    pub decision: Decision,
    /// What speaks against the list.
    pub reasons: Vec<Reason>,
    /// What is left out of it.
    pub dropped: Dropped,
    /// Share of IPv4 that the list covers, never-list taken out, 0 to 1. Exclusions are not taken off.
    pub coverage_v4: f64,
    /// The same of the IPv6 space that registries give out.
    pub coverage_v6: f64,
    /// Distinct entries that list something: without dropped ones, and what exclusions take off of them.
    pub entries: u64,
}

impl Judgement {
    /// Adds a reason and follows it.
    pub fn add(&mut self, reason: Reason) {
        self.decision = self.decision.max(reason.decision());
        self.reasons.push(reason);
    }
}

/// Holds a parsed list against its limits. `never` is what is taken out of this feed ([`NeverList::of_feed`]),
/// `canaries` the part of it whose listing shows that the feed is broken.
pub fn judge(
    set: &Set,
    report: &Report,
    limits: &Limits,
    never: &NeverList,
    canaries: &NeverList,
) -> Judgement {
    let nobodys = Nobodys::of(limits, never);
    let shape = Shape::of(set, limits, &nobodys, canaries);
    let in_effect = |part: &Set| {
        let effect = Effect::of(part);
        let shape = Shape::of(&effect.set, limits, &nobodys, canaries);
        shape.in_effect() as f64 - effect.lost(|entry| !is_never(entry, never))
    };
    let entries = match set.parts().any(excludes) {
        false => shape.in_effect(),
        true => set.parts().map(in_effect).sum::<f64>().ceil() as u64,
    };
    let mut judgement = Judgement {
        decision: Decision::Accept,
        reasons: Vec::new(),
        entries,
        coverage_v4: shape.covered_v4 as f64 / 2f64.powi(32),
        coverage_v6: shape.share_v6(),
        dropped: Dropped {
            canaries: shape.canaries.count,
            unknown_tld: shape.unknown_tlds.count,
            ..shape.dropped
        },
    };
    let mut found: Vec<Reason> = Vec::new();
    found.extend(end_mark(report));
    found.extend(bad_lines(report, limits));
    found.extend(too_few(judgement.entries, limits));
    found.extend(shape.canaries.reason(limits.max_canaries));
    let subs = set.sections.iter().flat_map(|section| &section.subs);
    let sub = subs.into_iter().find(|sub| is_in_the_way(sub)).map(ToString::to_string);
    found.extend(sub.map(|sub| Reason::AddressSubzone { sub }));
    found.extend(shape.everything.map(|entry| Reason::Everything { entry }));
    found.extend(shape.short_v4.reason(limits.shortest_v4));
    found.extend(shape.short_v6.reason(limits.shortest_v6));
    found.extend(shape.short_names.reason(limits.shortest_name));
    found.extend(shape.unknown_tlds.reason(limits.max_unknown_tlds));
    let covered = [
        ("IPv4", judgement.coverage_v4, limits.max_coverage_v4),
        ("what registries give out of IPv6", judgement.coverage_v6, limits.max_coverage_v6),
    ];
    found.extend(covered.into_iter().filter_map(|(of, share, limit)| coverage(of, share, limit)));
    found.into_iter().for_each(|reason| judgement.add(reason));
    judgement
}

/// Whether nobody may list any address of an entry.
fn is_never(entry: &Holds, never: &NeverList) -> bool {
    match entry {
        Holds::V4(span) => never.covers_v4(*span),
        Holds::V6(span) => never.covers_v6(*span),
        Holds::Name(..) => false,
    }
}

fn end_mark(report: &Report) -> Option<Reason> {
    match &report.trailer {
        Trailer::False(said) => Some(Reason::EndMark { said: said.clone() }),
        Trailer::Absent if report.format.has_end_mark() => Some(Reason::NoEndMark { format: report.format }),
        Trailer::Absent | Trailer::True => None,
    }
}

fn bad_lines(report: &Report, limits: &Limits) -> Option<Reason> {
    let share = report.bad_share();
    (share > limits.max_bad_share).then(|| Reason::BadLines {
        bad: report.bad,
        lines: report.bad + report.entries,
        share: share * 100.0,
        limit: limits.max_bad_share * 100.0,
        examples: report.examples.iter().map(ToString::to_string).collect(),
    })
}

fn too_few(entries: u64, limits: &Limits) -> Option<Reason> {
    if entries >= limits.min_entries || entries == 0 && limits.allow_empty {
        return None;
    }
    Some(Reason::TooFew { entries, limit: limits.min_entries })
}

fn coverage(of: &str, share: f64, limit: f64) -> Option<Reason> {
    (share > limit).then_some(Reason::Coverage {
        of: of.to_owned(),
        share: share * 100.0,
        limit: limit * 100.0,
    })
}

#[cfg(test)]
mod tests;
