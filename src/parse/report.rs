//! How reading a list went.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::diag::Diag;
use super::{Format, Parsed};

/// Bad lines that a [`Report`] keeps as examples.
pub const EXAMPLES: usize = 5;

/// How reading a list went. The guard judges it; `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The format that was read.
    pub format: Format,
    /// Lines, the last one without an end included.
    pub lines: u64,
    /// Entries as published: duplicates and exclusions are counted.
    pub entries: u64,
    /// Lines that were left out because they could not be understood.
    pub bad: u64,
    /// Entries that count for nothing, since one before them is about the same addresses (rbldnsd's tries).
    #[serde(default)]
    pub repeated: u64,
    /// Comments, headers, empty lines, a hosts file's `localhost`.
    pub ignored: u64,
    /// The first [`EXAMPLES`] bad lines.
    pub examples: Vec<Diag>,
    /// The data's own date, when it gives one. Never its `Expires`, which caches falsify.
    pub stamp: Option<Timestamp>,
    /// What the mark at the end says.
    pub trailer: Trailer,
    /// From when until when the data says it is good (rbldnsd's `$TIMESTAMP`).
    pub validity: Validity,
}

/// What the mark at the end of a file (or a count in its header) says of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Trailer {
    /// There is none.
    #[default]
    Absent,
    /// The file is whole.
    True,
    /// The file is not what its mark says, with the reason.
    False(String),
}

/// A time window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Validity {
    /// Not to be used before.
    pub from: Option<Timestamp>,
    /// Not to be used from then on.
    pub until: Option<Timestamp>,
}

impl Report {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            lines: 0,
            entries: 0,
            bad: 0,
            repeated: 0,
            ignored: 0,
            examples: Vec::new(),
            stamp: None,
            trailer: Trailer::Absent,
            validity: Validity::default(),
        }
    }

    /// Why the file is not this list at all, however much its owner is trusted: nothing in it can be read, or its own
    /// mark says that it is not whole. `empty`: nothing was read.
    pub fn is_no_list(&self, empty: bool) -> Option<String> {
        match &self.trailer {
            Trailer::False(reason) => Some(format!("the file is not whole: {reason}")),
            _ if empty && self.bad > 0 => {
                let first = self.examples.first().map_or_else(String::new, |bad| {
                    format!("; line {}: {}: {}", bad.line, bad.reason, bad.text)
                });
                Some(format!("none of its lines can be read as {}{first}", self.format))
            }
            _ => None,
        }
    }

    /// Bad lines among all lines that should be entries, 0 to 1.
    pub fn bad_share(&self) -> f64 {
        match self.bad + self.entries {
            0 => 0.0,
            all => self.bad as f64 / all as f64,
        }
    }
}

impl Trailer {
    /// The verdict of two marks, or of two files: what is false stays false.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False(reason), _) | (_, Self::False(reason)) => Self::False(reason),
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::Absent, Self::Absent) => Self::Absent,
        }
    }
}

impl Parsed {
    /// Whether nothing at all was listed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }
}
