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
