//! What speaks against a list, each as a sentence with its numbers, and what it leads to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::parse::Format;

/// What becomes of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It is used (less what is in [`super::Judgement::dropped`]).
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

/// What is counted of two versions of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Entries, each as far as exclusions leave it.
    Entries,
    /// The IPv4 addresses that are listed.
    Addresses,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entries => "entries",
            Self::Addresses => "listed IPv4 addresses",
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
    /// The version in service has a mark at its end, and this one has none: it was cut, or its publisher writes none any more.
    #[error(
        "the end mark that the version in service has is missing: the file was cut, or its publisher writes none any more"
    )]
    LostEndMark,
    /// The version in service ends with a line, and this one within one.
    #[error(
        "it ends within a line, and the version in service does not: the file was cut, or its publisher ends it in another way"
    )]
    CutLine,
    /// Nothing but comments, and none that the version in service has.
    #[error(
        "it has no entries, and of its comments the version in service has none: it may be a message in the place of the list"
    )]
    NewComments,
    /// A subzone is called as a part of an address: all other lists of the zone would no longer be asked there.
    #[error("its subzone `{sub}` takes the place of addresses or of a test point, for all lists of a zone")]
    AddressSubzone {
        /// Its name.
        sub: String,
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
    /// Canary networks are listed.
    #[error("{count} entries list canary networks, at most {limit} may: {}", .examples.join(", "))]
    Canaries {
        /// How many.
        count: u64,
        /// How many may be.
        limit: u64,
        /// The first of them.
        examples: Vec<String>,
    },
    /// Fewer than the last version had.
    #[error("{now} {of} after {before} are {share:.1} % fewer, at most {limit:.1} % may be")]
    Shrink {
        /// What was counted.
        of: Measure,
        /// So many now.
        now: u64,
        /// And before.
        before: u64,
        /// In per cent.
        share: f64,
        /// In per cent.
        limit: f64,
    },
    /// More than the last version had.
    #[error("{now} {of} after {before} are {share:.1} % more, at most {limit:.1} % may be")]
    Growth {
        /// What was counted.
        of: Measure,
        /// So many now.
        now: u64,
        /// And before.
        before: u64,
        /// In per cent.
        share: f64,
        /// In per cent.
        limit: f64,
    },
    /// Too many of the last version's are not there any more.
    #[error("{gone} of the {before} old {of} are gone ({share:.1} %, at most {limit:.1} % may be)")]
    Turnover {
        /// What was counted.
        of: Measure,
        /// Old ones that are gone.
        gone: u64,
        /// Old ones.
        before: u64,
        /// In per cent.
        share: f64,
        /// In per cent.
        limit: f64,
    },
    /// All names below a name that is too short: a top-level domain, or everything.
    #[error("{count} entries list all names below one of fewer than {limit} labels (a public suffix is one): {}", .examples.join(", "))]
    ShortName {
        /// How many.
        count: u64,
        /// The fewest labels that it may have.
        limit: u8,
        /// The first of them.
        examples: Vec<String>,
    },
    /// All names below top-level domains that do not exist.
    #[error("{count} entries list all names below a top-level domain that does not exist, at most {limit} may: {}", .examples.join(", "))]
    UnknownTld {
        /// How many.
        count: u64,
        /// How many may be.
        limit: u64,
        /// The first of them.
        examples: Vec<String>,
    },
    /// The list covers too much.
    #[error("the list covers {share:.2} % of {of}, at most {limit:.2} % may be")]
    Coverage {
        /// Of what.
        of: String,
        /// In per cent.
        share: f64,
        /// In per cent.
        limit: f64,
    },
    /// A list of bogons took networks in use.
    #[error(
        "{share:.1} % of what was not listed of a registry's IPv6 space is listed now, at most {limit:.1} % may be"
    )]
    Spread {
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
            // A lost mark waits for a person, for whom else could say that a publisher writes none any more?
            Self::EndMark { .. } | Self::NoEndMark { .. } => Decision::Reject,
            _ => Decision::Hold,
        }
    }

    /// In a word, without numbers: the same trouble at the next fetch has the same.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EndMark { .. } => "end-mark",
            Self::NoEndMark { .. } | Self::LostEndMark => "no-end-mark",
            Self::NewComments => "new-comments",
            Self::CutLine => "cut-line",
            Self::AddressSubzone { .. } => "address-subzone",
            Self::BadLines { .. } => "bad-lines",
            Self::TooFew { .. } => "too-few",
            Self::Everything { .. } => "everything",
            Self::ShortPrefix { .. } => "short-prefix",
            Self::ShortName { .. } => "short-name",
            Self::Canaries { .. } => "canaries",
            Self::UnknownTld { .. } => "unknown-tld",
            Self::Shrink { .. } => "shrink",
            Self::Growth { .. } => "growth",
            Self::Turnover { .. } => "turnover",
            Self::Coverage { .. } => "coverage",
            Self::Spread { .. } => "spread",
        }
    }

    /// It speaks of a change alone: versions that agree with each other speak against it.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Shrink { .. } | Self::Growth { .. } | Self::Turnover { .. } | Self::CutLine)
    }
}
