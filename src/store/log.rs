//! Provenance: one line of JSON for each attempt and for each thing that a person decides; never edited, rotated by size.
//!
//! [`Attempt`] is a line. What a field means does not change, and a line without it can still be read.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::killpoint::killpoint;
use super::owner::{Owner, open_in_place, read_small};
use super::status::{Dates, Outcome, Validators};
use crate::model::{ContentHash, Use};

/// A log of this size is put aside.
const ROTATE_AT: u64 = 1 << 20;

/// Logs put aside that are kept: `log.jsonl.1` is the newest.
const KEPT: u32 = 3;

/// What happened when a list was asked for, or what a person decided of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Attempt {
    /// When, by the wall clock, in seconds since 1970.
    pub wall: i64,
    /// At whose wish.
    #[serde(default)]
    pub by: By,
    /// What was done without asking anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// Where, after redirects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The address that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<IpAddr>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the server calls the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<Validators>,
    /// Octets received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Octets of the text that they hold, as far as it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoded: Option<u64>,
    /// The hash of the body as received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<ContentHash>,
    /// When the body is from by its own words.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dates: Dates,
    /// The places that were asked and gave nothing of use, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_vain: Vec<InVain>,
    /// Milliseconds from question to last octet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// The set that the body was read as; when nothing new came, the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<ContentHash>,
    /// What the list was good for, where that was taken or confirmed.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<Use>,
    /// Its entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Entries that the version in service then did not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<u64>,
    /// Entries that only the version in service then had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
    /// Lines that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_lines: Option<u64>,
    /// It had a mark at its end, which said the truth.
    #[serde(default, skip_serializing_if = "is_default")]
    pub end_mark: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// A place that gave nothing of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InVain {
    /// Which.
    pub url: String,
    /// What happened there.
    pub what: String,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For how many seconds it wants to be left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Which server it is that wants so, whatever it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// At whose wish something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// It was due.
    #[default]
    Timer,
    /// Somebody named the list.
    Person,
}

/// What can be done with a list without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Let what was held through.
    Accept,
    /// Keep a version in service.
    Pin,
    /// Take what comes again.
    Unpin,
    /// Put an earlier version in service and keep it there.
    Rollback,
    /// Read the stored body again, as the configuration asks now.
    Reread,
}

impl std::fmt::Display for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Rollback => "rollback",
            Self::Reread => "reread",
        })
    }
}

impl Attempt {
    /// One that begins at `wall` and has brought nothing yet.
    pub fn new(wall: i64) -> Self {
        Self { wall, ..Self::default() }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Adds a line to the log at `path`.
pub(super) fn append(path: &Path, attempt: &Attempt, owner: Option<Owner>) -> Result<(), StoreError> {
    let _ = add_lines(path, [attempt], owner)?;
    killpoint("log-appended");
    Ok(())
}

/// Lines that were just added.
#[must_use]
pub(super) struct Added {
    file: File,
    before: u64,
}

impl Added {
    /// Takes them out again, as long as nobody has added others.
    pub(super) fn undo(self) {
        let _ = self.file.set_len(self.before);
    }
}

/// Adds lines to a log at `path`, of whatever: all of them or none.
pub(super) fn add_lines<T: Serialize>(
    path: &Path,
    lines: impl IntoIterator<Item = T>,
    owner: Option<Owner>,
) -> Result<Added, StoreError> {
    let size = std::fs::metadata(path).map_or(0, |found| found.len());
    if size >= ROTATE_AT {
        rotate(path)?;
    }
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, &line).map_err(|error| StoreError::damaged(path, error))?;
        text.push(b'\n');
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o644);
    let mut file = open_in_place(&mut options, path, owner, "write")?;
    // A writer that was killed may have left half a line: it stays alone.
    if !ends_a_line(&mut file).map_err(StoreError::io("read", path))? {
        text.insert(0, b'\n');
    }
    let before = file.metadata().map_err(StoreError::io("read", path))?.len();
    let added = Added { file, before };
    match (&added.file).write_all(&text) {
        Ok(()) => Ok(added),
        Err(error) => {
            added.undo();
            Err(StoreError::io("write", path)(error))
        }
    }
}

/// What a log knows of a list whose status is lost, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logged {
    /// When it was last asked for.
    pub asked: Option<i64>,
    /// When what is there was last taken or confirmed.
    pub confirmed: Option<i64>,
}

/// What the whole lines of the log at `path` say.
pub(super) fn read(path: &Path) -> Logged {
    let mut logged = Logged::default();
    for attempt in attempts(path).iter().rev().filter(|attempt| attempt.act.is_none()) {
        logged.asked = logged.asked.or(Some(attempt.wall));
        if attempt.outcome.is_new() || attempt.outcome == Outcome::Confirmed {
            logged.confirmed = Some(attempt.wall);
            break;
        }
    }
    logged
}

/// The whole lines of the log at `path`, oldest first.
fn attempts(path: &Path) -> Vec<Attempt> {
    let text = read_small(path).unwrap_or_default();
    let lines = text.split(|&octet| octet == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<Attempt>(line).ok()).collect()
}

/// The whole lines of the log at `path` and of those put aside, oldest first.
pub(super) fn history(path: &Path) -> Vec<Attempt> {
    (0..=KEPT).rev().flat_map(|number| attempts(&numbered(path, number))).collect()
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        _ => path.with_extension(format!("jsonl.{number}")),
    }
}

fn ends_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn rotate(path: &Path) -> Result<(), StoreError> {
    for number in (0..KEPT).rev() {
        let (from, to) = (numbered(path, number), numbered(path, number + 1));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("rename", &from)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
