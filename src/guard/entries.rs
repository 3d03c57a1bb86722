//! After parsing: would using this list harm mail?
//!
//! [`judge`] holds a parsed list against [`Limits`] and gives a [`Judgement`]: a decision, and each [`Reason`] for
//! it as a sentence with its numbers. The never-list is taken out before shapes are judged; the set itself stays as
//! published, and `compile` leaves out what nobody may list. Checks that need an earlier version of the list add
//! their reasons with [`Judgement::add`].

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{NeverList, is_error_code};
use crate::model::{Address, Span};
use crate::parse::{Format, Report, Trailer};
use crate::set::{Block, Column, Set, ValueId};

/// Share of bad lines among all lines that should be entries: above it a list is held.
pub const MAX_BAD_SHARE: f64 = 0.01;
/// Entries that a list must have to be used.
pub const MIN_ENTRIES: u64 = 1;
/// Share of the IPv4 address space that a list may cover. The broadest real lists cover 4 %; half the world is 50 %.
pub const MAX_COVERAGE_V4: f64 = 0.08;
/// The shortest IPv4 prefix that one entry may be (a range: as many addresses).
pub const SHORTEST_V4: u8 = 8;
/// The shortest IPv6 prefix that one entry may be.
pub const SHORTEST_V6: u8 = 16;
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
    /// See [`SHORTEST_V4`].
    pub shortest_v4: u8,
    /// See [`SHORTEST_V6`].
    pub shortest_v6: u8,
    /// The feed is sometimes empty and means it.
    pub allow_empty: bool,
    /// The feed lists unusable space by design: limits on coverage and prefix length do not hold for it. (What is
    /// taken out of it nevertheless: [`NeverList::of_feed`].)
    pub bogons: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bad_share: MAX_BAD_SHARE,
            min_entries: MIN_ENTRIES,
            max_coverage_v4: MAX_COVERAGE_V4,
            shortest_v4: SHORTEST_V4,
            shortest_v6: SHORTEST_V6,
            allow_empty: false,
            bogons: false,
        }
    }
}

/// What becomes of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It is used (less what is in [`Judgement::dropped`]).
    Accept,
    /// It waits for a person; the last good version serves on.
    Hold,
    /// It is broken and never used; the last good version serves on.
    Reject,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Hold => "hold",
            Self::Reject => "reject",
        })
    }
}

/// Why a list is not simply accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// The mark at the end contradicts the content.
    #[error("the file is not whole: {said}")]
    EndMark {
        /// What it says.
        said: String,
    },
    /// The format always has a mark at the end, and it is missing.
    #[error("the file was cut: the end mark of format `{format}` is missing")]
    NoEndMark {
        /// The format.
        format: Format,
    },
    /// Too many lines could not be understood.
    #[error("{bad} of {lines} lines are bad ({share:.2} %, at most {limit:.2} % may be): {}", .examples.join("; "))]
    BadLines {
        /// Bad lines.
        bad: u64,
        /// Bad lines and entries.
        lines: u64,
        /// In per cent.
        share: f64,
        /// In per cent.
        limit: f64,
        /// The first of them.
        examples: Vec<String>,
    },
    /// Too few entries are left when the never-list is taken out.
    #[error("{entries} usable entries, at least {limit} are due")]
    TooFew {
        /// Entries left.
        entries: u64,
        /// Entries due.
        limit: u64,
    },
    /// An entry for all addresses.
    #[error("`{entry}` lists every address")]
    Everything {
        /// As published.
        entry: String,
    },
    /// Entries broader than a list of its kind has.
    #[error("{count} entries are broader than /{limit}: {}", .examples.join(", "))]
    ShortPrefix {
        /// How many.
        count: u64,
        /// The shortest prefix length allowed.
        limit: u8,
        /// The first of them.
        examples: Vec<String>,
    },
    /// The list covers too much of IPv4.
    #[error("the list covers {share:.2} % of IPv4, at most {limit:.2} % may be")]
    Coverage {
        /// In per cent.
        share: f64,
        /// In per cent.
        limit: f64,
    },
}

impl Reason {
    /// What it leads to.
    pub fn decision(&self) -> Decision {
        match self {
            Self::EndMark { .. } => Decision::Reject,
            _ => Decision::Hold,
        }
    }
}

/// Entries that have no effect though they are published.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dropped {
    /// Entries wholly inside the never-list.
    pub never: u64,
    /// Entries that would answer with an error code ([`is_error_code`]).
    pub error_code: u64,
    /// The first of both, as published.
    pub sample: Vec<String>,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.never + self.error_code
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
    /// Distinct entries that list something, dropped ones taken off.
    pub entries: u64,
}

impl Judgement {
    /// Adds a reason and follows it.
    pub fn add(&mut self, reason: Reason) {
        self.decision = self.decision.max(reason.decision());
        self.reasons.push(reason);
    }
}

/// Holds a parsed list against its limits. `never` is what is taken out of this feed ([`NeverList::of_feed`]).
pub fn judge(set: &Set, report: &Report, limits: &Limits, never: &NeverList) -> Judgement {
    let shape = Shape::of(set, limits, never);
    let mut judgement = Judgement {
        decision: Decision::Accept,
        reasons: Vec::new(),
        entries: shape.listed - shape.dropped.total(),
        coverage_v4: shape.covered_v4 as f64 / 2f64.powi(32),
        dropped: shape.dropped,
    };
    let mut found: Vec<Reason> = Vec::new();
    found.extend(end_mark(report));
    found.extend(bad_lines(report, limits));
    found.extend(too_few(judgement.entries, limits));
    if !limits.bogons {
        found.extend(shape.everything.map(|entry| Reason::Everything { entry }));
        found.extend(shape.short_v4.reason(limits.shortest_v4));
        found.extend(shape.short_v6.reason(limits.shortest_v6));
        found.extend(coverage(judgement.coverage_v4, limits));
    }
    found.into_iter().for_each(|reason| judgement.add(reason));
    judgement
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

fn coverage(share: f64, limits: &Limits) -> Option<Reason> {
    (share > limits.max_coverage_v4)
        .then_some(Reason::Coverage { share: share * 100.0, limit: limits.max_coverage_v4 * 100.0 })
}

/// Entries above a size.
#[derive(Default)]
struct Short {
    count: u64,
    examples: Vec<String>,
}

impl Short {
    fn reason(self, limit: u8) -> Option<Reason> {
        (self.count > 0).then_some(Reason::ShortPrefix { count: self.count, limit, examples: self.examples })
    }
}

/// What a list looks like with the never-list taken out.
#[derive(Default)]
struct Shape {
    listed: u64,
    dropped: Dropped,
    everything: Option<String>,
    short_v4: Short,
    short_v6: Short,
    covered_v4: u64,
}

impl Shape {
    fn of(set: &Set, limits: &Limits, never: &NeverList) -> Self {
        let errors = error_values(set);
        let mut shape = Self { listed: set.v4.hosts.len() as u64, ..Self::default() };
        shape.hosts(set, never, &errors);
        let mut short = std::mem::take(&mut shape.short_v4);
        for block in set.v4.blocks.iter().filter(|b| !b.exclude) {
            shape.block(block, never.covers_v4(block.span), &errors, limits.shortest_v4, &mut short);
        }
        shape.short_v4 = short;
        let mut short = std::mem::take(&mut shape.short_v6);
        for block in set.v6.iter().filter(|b| !b.exclude) {
            shape.block(block, never.covers_v6(block.span), &errors, limits.shortest_v6, &mut short);
        }
        shape.short_v6 = short;
        for entry in set.names.iter().filter(|n| !n.exclude) {
            shape.listed += 1;
            if errors.contains(&entry.value) {
                shape.dropped.error_code += 1;
                shape.dropped.example(&entry.name);
            }
        }
        shape.covered_v4 = covered(set, never);
        shape
    }

    fn hosts(&mut self, set: &Set, never: &NeverList, errors: &BTreeSet<ValueId>) {
        let hosts = &set.v4.hosts;
        for span in &never.v4 {
            let start = hosts.partition_point(|&host| host < span.first);
            let end = hosts.partition_point(|&host| host <= span.last);
            self.dropped.never += (end - start) as u64;
            hosts[start..end].iter().take(SAMPLE).for_each(|&host| self.dropped.example(&Span::host(host)));
        }
        let rows = match &set.v4.host_values {
            Column::One(value) if errors.contains(value) => 0..hosts.len(),
            Column::Many(_) if !errors.is_empty() => 0..hosts.len(),
            _ => 0..0,
        };
        for row in rows {
            if errors.contains(&set.v4.host_values.at(row)) && !never.contains_v4(hosts[row]) {
                self.dropped.error_code += 1;
                self.dropped.example(&Span::host(hosts[row]));
            }
        }
    }

    fn block<A: Address>(
        &mut self,
        block: &Block<A>,
        never: bool,
        errors: &BTreeSet<ValueId>,
        shortest: u8,
        short: &mut Short,
    ) {
        self.listed += 1;
        if never || errors.contains(&block.value) {
            *(if never { &mut self.dropped.never } else { &mut self.dropped.error_code }) += 1;
            self.dropped.example(&block.span);
            return;
        }
        if block.span == A::ZERO.prefix(0) {
            self.everything.get_or_insert_with(|| block.span.to_string());
        } else if block.span.extent() > A::ZERO.prefix(shortest).extent() {
            short.count += 1;
            if short.examples.len() < SAMPLE {
                short.examples.push(block.span.to_string());
            }
        }
    }
}

fn error_values(set: &Set) -> BTreeSet<ValueId> {
    let is_error = |id: &usize| set.values[*id].code.is_some_and(is_error_code);
    (0..set.values.len()).filter(is_error).map(|id| id as ValueId).collect()
}

/// IPv4 addresses that are listed and not in the never-list, each counted once.
fn covered(set: &Set, never: &NeverList) -> u64 {
    let mut hosts = set.v4.hosts.iter().copied().peekable();
    let mut blocks = set.v4.blocks.iter().filter(|b| !b.exclude).map(|b| b.span).peekable();
    let mut count = 0;
    // Everything below is counted.
    let mut counted = 0u64;
    loop {
        // Both are sorted by their first address.
        let host_first = match (hosts.peek(), blocks.peek()) {
            (None, None) => return count,
            (Some(host), Some(block)) => *host < block.first,
            (Some(_), None) => true,
            (None, Some(_)) => false,
        };
        let span = if host_first { hosts.next().map(Span::host) } else { blocks.next() };
        let Some(span) = span else { return count };
        let first = u64::from(span.first).max(counted);
        let end = u64::from(span.last) + 1;
        if first < end {
            count += end - first - inside(never, first, end);
            counted = end;
        }
    }
}

/// Addresses from `first` to before `end` that are in the never-list.
fn inside(never: &NeverList, first: u64, end: u64) -> u64 {
    let from = never.v4.partition_point(|n| u64::from(n.last) < first);
    never.v4[from..]
        .iter()
        .take_while(|n| u64::from(n.first) < end)
        .map(|n| (u64::from(n.last) + 1).min(end) - u64::from(n.first).max(first))
        .sum()
}

#[cfg(test)]
mod tests;
