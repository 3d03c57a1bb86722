//! When the next sync is due. Pure: the moment is given.

use std::time::{Duration, Instant};

/// Starts at once, and then again and again; what is missed while a sync runs is not made up for.
#[derive(Debug, Clone)]
pub struct Timer {
    every: Option<Duration>,
    due: Option<Instant>,
}

impl Timer {
    /// Due now, and then `every` so often; `None` never is.
    pub fn new(every: Option<Duration>, now: Instant) -> Self {
        Self { every, due: every.map(|_| now) }
    }

    /// Another pace from now on. A timer that was off is due at once.
    pub fn set(&mut self, every: Option<Duration>, now: Instant) {
        if every == self.every {
            return;
        }
        let was_off = self.every.is_none();
        self.every = every;
        self.due = match (every, self.due) {
            (None, _) => None,
            (Some(_), _) if was_off => Some(now),
            (Some(every), Some(due)) => Some(due.min(now + every)),
            (Some(every), None) => Some(now + every),
        };
    }

    /// Whether it is due. Then the next time is counted from `now`.
    pub fn take(&mut self, now: Instant) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = self.every.map(|every| now + every);
        }
        due
    }

    /// Is due then if it would be later. A timer that is off stays off.
    pub fn no_later_than(&mut self, then: Instant) {
        self.due = self.due.map(|due| due.min(then));
    }

    /// When it is due next.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn at_once_and_then_at_its_pace() {
        let start = Instant::now();
        let mut timer = Timer::new(Some(15 * MINUTE), start);
        assert!(timer.take(start));
        assert!(!timer.take(start + 14 * MINUTE));
        assert!(timer.take(start + 40 * MINUTE));
        assert_eq!(timer.due(), Some(start + 55 * MINUTE));
    }

    #[test]
    fn it_can_be_hurried_but_not_put_off() {
        let start = Instant::now();
        let mut timer = Timer::new(Some(15 * MINUTE), start);
        assert!(timer.take(start));
        timer.no_later_than(start + 20 * MINUTE);
        assert_eq!(timer.due(), Some(start + 15 * MINUTE));
        timer.no_later_than(start + MINUTE);
        assert!(timer.take(start + MINUTE));
        assert_eq!(timer.due(), Some(start + 16 * MINUTE));
        let mut off = Timer::new(None, start);
        off.no_later_than(start);
        assert_eq!(off.due(), None);
    }

    #[test]
    fn off_is_never() {
        let start = Instant::now();
        let mut timer = Timer::new(None, start);
        assert!(!timer.take(start + 1000 * MINUTE));
        timer.set(Some(MINUTE), start);
        assert!(timer.take(start));
        timer.set(None, start);
        assert!(!timer.take(start + 1000 * MINUTE));
    }

    #[test]
    fn a_shorter_pace_counts_from_now_and_a_longer_one_from_the_next_time() {
        let start = Instant::now();
        let mut timer = Timer::new(Some(60 * MINUTE), start);
        assert!(timer.take(start));
        timer.set(Some(MINUTE), start + MINUTE);
        assert_eq!(timer.due(), Some(start + 2 * MINUTE));
        timer.set(Some(60 * MINUTE), start + MINUTE);
        assert_eq!(timer.due(), Some(start + 2 * MINUTE));
        timer.set(Some(60 * MINUTE), start + 30 * MINUTE);
        assert_eq!(timer.due(), Some(start + 2 * MINUTE));
    }
}
