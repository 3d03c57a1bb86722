//! Makes decisions and takes them back. Only who holds the lock of decisions has a [`DecisionWriter`].

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{DECISIONS, Decisions, LocalDecision};
use crate::store::atomic;
use crate::store::clock::{Now, Stamp};
use crate::store::error::StoreError;
use crate::store::killpoint::killpoint;
use crate::store::owner::{Owner, SMALL, open_in_place};
use crate::store::{Store, log};

/// What was ever decided, in the state folder.
const LOG: &str = "overlay-log.jsonl";

/// Held by whoever writes decisions. In it stands when the wall clock was last believed ([`Now::believed`]).
const LOCK: &str = "overlay-lock";

/// Decisions that are over and stay in the file: a clock that once ran ahead, and made them so, takes none of them away.
const ENDED: usize = 1000;

/// Of those beyond that so many go with each new one: they do not pile up, and a clock that is wrong since a reboot, which
/// nobody can tell, costs few.
const GO_AT_ONCE: usize = 2;

/// How temporary files begin. The writer of the rest of the store, who holds another lock, sweeps those of its own alone.
const TEMPORARY: &str = ".overlay-";

/// Whoever has this may write decisions. The kernel takes the lock back when the process ends, however it ends.
#[derive(Debug)]
pub struct DecisionWriter {
    root: PathBuf,
    owner: Option<Owner>,
    lock: File,
}

/// What became of the decisions that were there.
#[derive(Debug)]
pub struct Changed {
    /// Those that a person's word has put out of force now.
    pub gone: Vec<LocalDecision>,
    /// Lines that cannot be read, as they stood before.
    pub damaged: Vec<super::DamagedLine>,
}

/// A line of the log.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// When, by the wall clock, in seconds since 1970.
    wall: i64,
    event: Event,
    /// Who; nobody where time did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    decision: &'a LocalDecision,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Event {
    /// It was made.
    Decided,
    /// Another one about the same was made.
    Replaced,
    /// It was taken back.
    Removed,
    /// It came to its end, which is written down when the next decision is made.
    Ended,
}

impl Store {
    /// Waits for the lock of decisions and takes it. It is held for moments only.
    pub fn decide(&self) -> Result<DecisionWriter, StoreError> {
        let path = self.path().join(LOCK);
        let file = self.lock_file(&path)?;
        file.lock().map_err(StoreError::io("take the lock", &path))?;
        atomic::sweep_called(TEMPORARY, self.path())?;
        Ok(DecisionWriter { root: self.path().to_owned(), owner: self.owner, lock: file })
    }
}

impl DecisionWriter {
    /// Puts decisions in force, in the place of those about the same.
    pub fn put(&self, new: &[LocalDecision], now: &Now) -> Result<Changed, StoreError> {
        let (wall, believed) = (now.clocks.wall, self.believed(now));
        // Of several about the same the last one is meant.
        let mut places = HashSet::new();
        let mut new: Vec<&LocalDecision> =
            new.iter().rev().filter(|decision| places.insert(decision.place())).collect();
        new.reverse();
        let path = self.path();
        let before = Decisions::read(&path)?;
        let (replaced, mut kept): (Vec<_>, Vec<_>) =
            before.made.iter().partition(|decision| places.contains(&decision.place()));
        let is_over = |decision: &&LocalDecision| decision.is_over(wall);
        // What was over when a decision was made before this one has been written down then.
        let last = before.made.iter().map(|decision| decision.wall).max().unwrap_or(i64::MIN);
        let over = before.made.iter().filter(|decision| is_over(decision) && decision.until > Some(last));
        let over: Vec<&LocalDecision> = over.collect();
        let is_long_over = |decision: &&LocalDecision| believed.is_some_and(|wall| decision.is_over(wall));
        let ended = kept.iter().filter(|decision| is_long_over(decision)).count();
        let mut too_many = ended.saturating_sub(ENDED).min(GO_AT_ONCE * new.len());
        kept.retain(|decision| {
            let goes = too_many > 0 && is_long_over(decision);
            too_many -= usize::from(goes);
            !goes
        });
        let line = |event, by| move |decision| Line { wall, event, by, decision };
        let by = new.first().map(|decision| decision.by.as_str());
        let replaced: Vec<_> = replaced.into_iter().filter(|decision| !is_over(decision)).collect();
        let lines = over.into_iter().map(line(Event::Ended, None));
        let lines = lines.chain(replaced.iter().copied().map(line(Event::Replaced, by)));
        self.logged(lines.chain(new.iter().copied().map(line(Event::Decided, by))), || {
            if kept.len() == before.made.len() {
                self.append(&new, before.is_open)
            } else {
                self.rewrite(&before, kept.into_iter().chain(new.iter().copied()))
            }
        })?;
        Ok(Changed { gone: replaced.into_iter().cloned().collect(), damaged: before.damaged })
    }

    /// Takes back, in the name of `by`, those that are meant.
    pub fn remove(
        &self,
        is_meant: impl Fn(&LocalDecision) -> bool,
        by: &str,
        wall: i64,
    ) -> Result<Changed, StoreError> {
        let before = Decisions::read(&self.path())?;
        let (meant, kept): (Vec<_>, Vec<_>) = before.made.iter().partition(|decision| is_meant(decision));
        let removed: Vec<_> = meant.into_iter().filter(|decision| !decision.is_over(wall)).collect();
        if !removed.is_empty() {
            let line = |event, by| move |decision| Line { wall, event, by, decision };
            self.logged(removed.iter().copied().map(line(Event::Removed, Some(by))), || {
                self.rewrite(&before, kept.into_iter())
            })?;
        }
        Ok(Changed { gone: removed.into_iter().cloned().collect(), damaged: before.damaged })
    }

    /// The wall clock as far as it can be believed. Trouble here lets decisions that are over stay for longer.
    fn believed(&self, now: &Now) -> Option<i64> {
        let mut octets = Vec::new();
        (&self.lock).take(1 << 10).read_to_end(&mut octets).ok()?;
        let last: Option<Stamp> = serde_json::from_slice(&octets).ok();
        let (wall, stamp) = now.believed(last.as_ref());
        if last.as_ref() != Some(&stamp) {
            let octets = serde_json::to_vec(&stamp).ok()?;
            self.lock.set_len(0).ok()?;
            self.lock.write_all_at(&octets, 0).ok()?;
        }
        last.map(|_| wall)
    }

    fn path(&self) -> PathBuf {
        self.root.join(DECISIONS)
    }

    /// Adds lines behind what is there; `is_open`: the last of those does not end.
    fn append(&self, new: &[&LocalDecision], is_open: bool) -> Result<(), StoreError> {
        let path = self.path();
        let mut text = if is_open { b"\n".to_vec() } else { Vec::new() };
        text.extend(lines(new.iter().copied(), &path)?);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o644);
        let mut file = open_in_place(&mut options, &path, self.owner, "write")?;
        let before = file.metadata().map_err(StoreError::io("write", &path))?.len();
        // Nobody would read it any more.
        if before + text.len() as u64 > SMALL {
            let full = std::io::ErrorKind::FileTooLarge;
            return Err(StoreError::io("write", &path)(full.into()));
        }
        let written = file.write_all(&text).and_then(|()| {
            killpoint("overlay-appended");
            file.sync_all()
        });
        if let Err(error) = written {
            // What is not told to be in force shall not be: half a line, on a full disk.
            let _ = file.set_len(before);
            return Err(StoreError::io("write", &path)(error));
        }
        if before == 0 { atomic::sync_folder(&self.root) } else { Ok(()) }
    }

    /// Replaces the file. Lines that cannot be read stay.
    fn rewrite<'a>(
        &self,
        before: &Decisions,
        kept: impl Iterator<Item = &'a LocalDecision>,
    ) -> Result<(), StoreError> {
        let path = self.path();
        let mut text: Vec<u8> =
            before.damaged.iter().flat_map(|damaged| [&damaged.line[..], b"\n"].concat()).collect();
        text.extend(lines(kept, &path)?);
        let file = atomic::temporary_called(TEMPORARY, &self.root, self.owner)?;
        killpoint("overlay-created");
        let mut buffer = BufWriter::new(file.as_file());
        buffer.write_all(&text).and_then(|()| buffer.flush()).map_err(StoreError::io("write", &path))?;
        drop(buffer);
        killpoint("overlay-written");
        atomic::put_in_place(file, &path, "overlay", 0o644, |written| match std::fs::read(written) {
            Ok(read) if read == text => Ok(()),
            Ok(_) => Err("other octets came back".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Does what `lines` say, once the log knows of it: nothing is decided without a trace, on a full disk neither.
    fn logged<'a>(
        &self,
        lines: impl Iterator<Item = Line<'a>>,
        decide: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let added = log::add_lines(&self.root.join(LOG), lines, self.owner)?;
        killpoint("overlay-logged");
        decide().inspect_err(|_| added.undo())
    }
}

fn lines<'a>(decisions: impl Iterator<Item = &'a LocalDecision>, path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut text = Vec::new();
    for decision in decisions {
        serde_json::to_writer(&mut text, decision).map_err(|error| StoreError::damaged(path, error))?;
        text.push(b'\n');
    }
    Ok(text)
}
