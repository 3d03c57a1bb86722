//! Signs of life: what shows somebody else that the threads of a process go on.
//!
//! Every loop counts its turns; one that has nothing to do comes round all the same, so a count that stands still is a
//! thread that does. Read [`Pulse`] and [`Sign`]. Never: deciding how long that may be, or what becomes of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The turns of one loop, outside the UDP workers, which count theirs beside what else they count.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug, Default)]
struct Beats {
    turns: AtomicU64,
    at_work: AtomicBool,
}

impl Pulse {
    /// Counts a turn.
    pub fn beat(&self) {
        self.0.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for the next thing to do as `wait` does, which has to come back within a second or as soon as whoever looks
    /// expects a turn. What the loop does between two waits may take its time.
    pub fn rest<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.0.at_work.store(false, Ordering::Relaxed);
        self.beat();
        let done = wait();
        self.0.at_work.store(true, Ordering::Relaxed);
        self.beat();
        done
    }

    /// What it shows now.
    pub fn sign(&self, of: Thread) -> Sign {
        Sign {
            of,
            turns: self.0.turns.load(Ordering::Relaxed),
            at_work: self.0.at_work.load(Ordering::Relaxed),
        }
    }
}

/// A thread that has to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thread {
    /// One that answers over UDP, by the number of its seat.
    Worker(usize),
    /// What answers over TCP, TLS and HTTPS.
    Streams,
    /// Looks at the store for new zones, the ages of lists and damage.
    Watcher,
    /// The loop around the server: signals, the timer.
    Service,
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(number) => write!(f, "UDP worker {number}"),
            Self::Streams => f.write_str("the thread of TCP, TLS and HTTPS"),
            Self::Watcher => f.write_str("the thread that watches the store"),
            Self::Service => f.write_str("the loop around the server"),
        }
    }
}

/// How far a thread has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// Whose sign it is.
    pub of: Thread,
    /// How often its loop came round.
    pub turns: u64,
    /// It is at something that may take its time, such as verifying snapshots beside workers that are busy.
    pub at_work: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_at_work_between_two_waits() {
        let pulse = Pulse::default();
        let first = pulse.sign(Thread::Watcher);
        let inside = pulse.rest(|| pulse.sign(Thread::Watcher));
        assert!(!inside.at_work && inside.turns > first.turns);
        let outside = pulse.sign(Thread::Watcher);
        assert!(outside.at_work && outside.turns > inside.turns);
        assert_eq!(pulse.sign(Thread::Watcher), outside, "looking is no turn");
    }
}
