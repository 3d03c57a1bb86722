//! Provenance: one line of JSON for each attempt, never edited, rotated by size.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::atomic::{Owner, give};
use super::error::StoreError;
use super::killpoint::killpoint;
use super::status::{Outcome, Validators};
use crate::model::ContentHash;

/// A log of this size is put aside.
const ROTATE_AT: u64 = 1 << 20;

/// Logs put aside that are kept: `log.jsonl.1` is the newest.
const KEPT: u32 = 3;

/// What happened when a list was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When, by the wall clock, in seconds since 1970.
    pub wall: i64,
    /// Where, after redirects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the server calls the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<Validators>,
    /// Octets received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Milliseconds from question to last octet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// The set that the body was read as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<ContentHash>,
    /// Its entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl Attempt {
    /// One that begins at `wall` and has brought nothing yet.
    pub fn new(wall: i64) -> Self {
        Self {
            wall,
            url: None,
            status: None,
            validators: None,
            received: None,
            milliseconds: None,
            set: None,
            entries: None,
            outcome: Outcome::Failed,
            reasons: Vec::new(),
        }
    }
}

/// Adds a line to the log at `path`.
pub(super) fn append(path: &Path, attempt: &Attempt, owner: Option<Owner>) -> Result<(), StoreError> {
    add_lines(path, [attempt], owner)?;
    killpoint("log-appended");
    Ok(())
}

/// Adds lines to a log at `path`, of whatever.
pub(super) fn add_lines<T: Serialize>(
    path: &Path,
    lines: impl IntoIterator<Item = T>,
    owner: Option<Owner>,
) -> Result<(), StoreError> {
    let size = std::fs::metadata(path).map_or(0, |found| found.len());
    if size >= ROTATE_AT {
        rotate(path)?;
    }
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, &line).map_err(|error| StoreError::damaged(path, error))?;
        text.push(b'\n');
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path)
        .map_err(StoreError::io("write", path))?;
    give(path, owner)?;
    // A writer that was killed may have left half a line: it stays alone.
    if !ends_a_line(&mut file).map_err(StoreError::io("read", path))? {
        text.insert(0, b'\n');
    }
    file.write_all(&text).map_err(StoreError::io("write", path))
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
    let text = std::fs::read(path).unwrap_or_default();
    let lines = text.rsplit(|&octet| octet == b'\n');
    let mut logged = Logged::default();
    for attempt in lines.filter_map(|line| serde_json::from_slice::<Attempt>(line).ok()) {
        logged.asked = logged.asked.or(Some(attempt.wall));
        if matches!(attempt.outcome, Outcome::Accepted | Outcome::Trimmed | Outcome::Confirmed) {
            logged.confirmed = Some(attempt.wall);
            break;
        }
    }
    logged
}

fn ends_a_line(file: &mut std::fs::File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn rotate(path: &Path) -> Result<(), StoreError> {
    let numbered = |number: u32| match number {
        0 => path.to_owned(),
        _ => path.with_extension(format!("jsonl.{number}")),
    };
    for number in (0..KEPT).rev() {
        let (from, to) = (numbered(number), numbered(number + 1));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("rename", &from)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
