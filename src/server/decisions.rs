//! The store's local decisions, as they are in force now.
//!
//! Looked at by the thread that watches the store: the file, and the clock for those that come to their end. Every change
//! is told, with who decided. Read [`Watched::look`]. Never: anything that a question waits for.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::reload::{file_at, is_a_lack, wall_clock};
use crate::snapshot::FileId;
use crate::store::{DECISIONS, DamagedLine, Decisions, InForce, LocalDecision, Store, StoreError};

/// How often they are looked at: what a person decided is in force within a second, work included.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// A file that could not be read is tried again after this time, or as soon as there is another.
const RETRY: Duration = Duration::from_secs(30);
/// So many changes are told one by one.
const TOLD: usize = 20;

/// The decisions of a store, watched.
#[derive(Debug)]
pub(super) struct Watched {
    state: PathBuf,
    /// The file that was read last.
    stamp: Option<FileId>,
    /// Its last line did not end: it was on its way, or somebody was interrupted.
    cut: Option<FileId>,
    /// When it could not be read.
    failed: Option<Failed>,
    known: Decisions,
    in_force: InForce,
}

#[derive(Debug)]
struct Failed {
    at: Instant,
    /// The system lacked something, which says nothing of the file.
    lacked: bool,
}

impl Watched {
    pub(super) fn new(state: PathBuf) -> Self {
        let (known, in_force) = (Decisions::default(), InForce::default());
        Self { state, stamp: None, cut: None, failed: None, known, in_force }
    }

    /// What is in force, as it was found by the last look.
    pub(super) fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// Looks at the file and at the clock; whether something else is in force now.
    pub(super) fn look(&mut self) -> bool {
        let now = wall_clock();
        let mut changed = self.in_force.next_end.is_some_and(|end| end <= now);
        if changed {
            let over = self.known.made.iter().filter(|decision| decision.is_over(now));
            tell(over, "a local decision has come to its end", "local decisions have come to their end");
            self.known.made.retain(|decision| !decision.is_over(now));
        }
        changed |= self.look_at_file(now);
        if changed {
            self.in_force = self.known.in_force(now);
        }
        changed
    }

    fn look_at_file(&mut self, now: i64) -> bool {
        // Taken before reading: when the file changes in between, the next look finds another one.
        let stamp = file_at(&self.state.join(DECISIONS));
        let again = self.failed.as_ref().is_some_and(|failed| failed.lacked || failed.at.elapsed() >= RETRY);
        if stamp == self.stamp && !again {
            return false;
        }
        self.stamp = stamp;
        let before = self.failed.take();
        match self.read(now) {
            Ok(read) => self.take(read),
            Err(error) => {
                let lacked = is_a_lack(&error);
                // A lack is met with each look.
                if !(lacked && before.is_some_and(|failed| failed.lacked)) {
                    tracing::error!(%error, "local decisions stay as they are");
                }
                self.failed = Some(Failed { at: Instant::now(), lacked });
                false
            }
        }
    }

    /// What of the file is not over.
    fn read(&self, now: i64) -> Result<Decisions, StoreError> {
        if self.stamp.is_none() {
            return Ok(Decisions::default());
        }
        let mut read = Store::existing(&self.state)?.decisions()?;
        read.made.retain(|decision| !decision.is_over(now));
        Ok(read)
    }

    /// Takes over what was read; whether it says something else than before.
    fn take(&mut self, mut read: Decisions) -> bool {
        if read.is_cut && self.cut != self.stamp {
            // The next look finds the rest of the line, or that nothing more comes.
            self.cut = self.stamp.take();
            read.damaged.pop();
        }
        let new: Vec<&DamagedLine> =
            read.damaged.iter().filter(|line| !self.known.damaged.contains(line)).collect();
        new.iter().take(TOLD).for_each(|line| tracing::error!("{line}"));
        if new.len() > TOLD {
            tracing::error!("and {} lines like it", new.len() - TOLD);
        }
        let before: HashSet<&LocalDecision> = self.known.made.iter().collect();
        let after: HashSet<&LocalDecision> = read.made.iter().collect();
        let changed = before != after;
        let gone = self.known.made.iter().filter(|decision| !after.contains(decision));
        tell(gone, "no longer decided locally", "local decisions are no longer in force");
        let come = read.made.iter().filter(|decision| !before.contains(decision));
        tell(come, "decided locally", "local decisions are in force");
        self.known = read;
        changed
    }
}

/// Tells of each, or of how many there are.
fn tell<'a>(decisions: impl Iterator<Item = &'a LocalDecision> + Clone, one: &str, many: &str) {
    match decisions.clone().count() {
        0..=TOLD => decisions.for_each(|decision| tracing::info!("{one}: {decision}")),
        count => tracing::info!("{count} {many}"),
    }
}
