//! Signs of life for the service manager (`WatchdogSec=`), given as long as every thread that has to go on does.
//!
//! From a thread of its own, since the loop around the server waits while a new generation is verified. Read [`Watchdog`].
//! Never: ending what stands still; that is the service manager's.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{Sign, Thread};

/// A thread that is not at work may stand still for so long at least: idle ones come round each second.
const TURN: Duration = Duration::from_secs(3);
/// And one that is at work, such as verifying snapshots while all cores are busy with answers.
const WORK: Duration = Duration::from_secs(600);

/// Looks at signs of life again and again. Pure: the moment is given.
#[derive(Debug)]
struct Watchdog {
    every: Duration,
    looked: Instant,
    /// How far each thread had come, and when it was first seen there.
    seen: BTreeMap<Thread, (Sign, Instant)>,
}

impl Watchdog {
    fn new(every: Duration, now: Instant) -> Self {
        Self { every, looked: now, seen: BTreeMap::new() }
    }

    /// The threads that stand still.
    fn look(&mut self, signs: &[Sign], now: Instant) -> Vec<Thread> {
        let pause = now.saturating_duration_since(self.looked);
        self.looked = now;
        let before = std::mem::take(&mut self.seen);
        // The whole process was stopped, or its machine: that long nobody could come round.
        let was_stopped = pause > self.every + TURN;
        for sign in signs {
            let stands = before.get(&sign.of).filter(|(seen, _)| seen == sign && !was_stopped);
            self.seen.insert(sign.of, (*sign, stands.map_or(now, |(_, since)| *since)));
        }
        let stands = |(sign, since): &(Sign, Instant)| {
            let limit = if sign.at_work { WORK } else { self.every.max(TURN) };
            now.saturating_duration_since(*since) > limit
        };
        self.seen.values().filter(|seen| stands(seen)).map(|(sign, _)| sign.of).collect()
    }
}

/// Calls `alive` every so often while all of `signs` go on. Ends when what comes back is dropped.
pub(super) fn watch(
    every: Duration,
    signs: impl Fn() -> Vec<Sign> + Send + 'static,
    alive: impl Fn() + Send + 'static,
) -> io::Result<Sender<()>> {
    let (keep, kept) = channel::<()>();
    let mut watchdog = Watchdog::new(every, Instant::now());
    let mut stood = Vec::new();
    thread::Builder::new().name("watchdog".into()).spawn(move || {
        while kept.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            let stand = watchdog.look(&signs(), Instant::now());
            tell(&stood, &stand);
            stood = stand;
            if stood.is_empty() {
                alive();
            }
        }
    })?;
    Ok(keep)
}

fn tell(before: &[Thread], now: &[Thread]) {
    for thread in now.iter().filter(|thread| !before.contains(thread)) {
        tracing::error!("{thread} stands still: the service manager gets no sign of life until it goes on");
    }
    for thread in before.iter().filter(|thread| !now.contains(thread)) {
        tracing::warn!("{thread} goes on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WORKER: Thread = Thread::Worker(0);

    fn sign(of: Thread, turns: u64) -> Sign {
        Sign { of, turns, at_work: false }
    }

    /// Looks once a second for so long, at signs by the second.
    fn looks(
        watchdog: &mut Watchdog,
        from: Instant,
        seconds: u32,
        signs: impl Fn(u32) -> Vec<Sign>,
    ) -> Vec<Thread> {
        (1..=seconds).fold(Vec::new(), |_, second| watchdog.look(&signs(second), from + second * SECOND))
    }

    #[test]
    fn what_goes_on_is_alive_and_what_stands_is_named() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(SECOND, start);
        let all = |second: u32| vec![sign(WORKER, second.into()), sign(Thread::Watcher, second.into())];
        assert_eq!(looks(&mut watchdog, start, 100, all), []);
        let one = |second: u32| vec![sign(WORKER, 100), sign(Thread::Watcher, u64::from(second) + 100)];
        let later = start + 100 * SECOND;
        assert_eq!(looks(&mut watchdog, later, 3, one), [], "it may have been about to");
        assert_eq!(looks(&mut watchdog, later + 3 * SECOND, 1, |_| one(4)), [WORKER]);
        assert_eq!(looks(&mut watchdog, later + 4 * SECOND, 1, all), [], "it goes on");
    }

    #[test]
    fn work_may_take_longer_but_not_for_ever() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(SECOND, start);
        let at_work = |_| vec![Sign { at_work: true, ..sign(Thread::Watcher, 7) }];
        assert_eq!(looks(&mut watchdog, start, 600, at_work), []);
        assert_eq!(looks(&mut watchdog, start + 600 * SECOND, 2, at_work), [Thread::Watcher]);
    }

    #[test]
    fn a_rare_watchdog_is_patient() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(15 * SECOND, start);
        for (seconds, stand) in [(15, false), (30, false), (45, true)] {
            let stands = watchdog.look(&[sign(WORKER, 1)], start + seconds * SECOND);
            assert_eq!(!stands.is_empty(), stand, "after {seconds} s");
        }
    }

    #[test]
    fn a_process_that_was_stopped_and_goes_on_is_alive() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(SECOND, start);
        assert_eq!(watchdog.look(&[sign(WORKER, 1)], start + SECOND), []);
        // Nobody had a turn before the watchdog, which is a thread of the same process.
        assert_eq!(watchdog.look(&[sign(WORKER, 1)], start + 3600 * SECOND), []);
        assert_eq!(watchdog.look(&[sign(WORKER, 1)], start + 3604 * SECOND), [WORKER], "but it stands");
    }

    #[test]
    fn a_worker_that_left_is_not_missed() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(SECOND, start);
        let both = |_| vec![sign(WORKER, 1), sign(Thread::Worker(1), 1)];
        assert_eq!(looks(&mut watchdog, start, 5, both), [WORKER, Thread::Worker(1)]);
        assert_eq!(looks(&mut watchdog, start + 5 * SECOND, 1, |_| vec![sign(WORKER, 2)]), []);
    }
}
