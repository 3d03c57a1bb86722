//! How old is it? Answers that survive clock steps, reboots and machines without a clock battery.
//!
//! A [`Stamp`] holds the wall clock and the time since boot. Within one boot both must agree that something is old;
//! across boots the wall clock counts, never earlier than the newest wall time already seen, and at least the time
//! since this boot has passed. Pure but for [`Now::read`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Ages;
use crate::model::Use;

/// 2026-01-01: this program was not there before. A clock that shows less has not been set yet.
const PROGRAM_BIRTH: i64 = 1_767_225_600;

/// So much more than has passed since boot, and the wall clock was stepped.
const STEP: u64 = 3600;

/// A moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Seconds since 1970 by the wall clock.
    pub wall: i64,
    /// Which boot of the machine; `None` when it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// Seconds since that boot, sleep included.
    pub boottime: u64,
}

/// The present, as far as it can be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    /// The clocks.
    pub clocks: Stamp,
    /// The newest wall time seen in the store.
    pub newest: i64,
}

impl Now {
    /// Looks at the clocks.
    pub fn read() -> Self {
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .map(|id| id.trim().to_owned())
            .filter(|id| !id.is_empty());
        let boottime = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)
            .map_or(0, |time| u64::try_from(time.tv_sec()).unwrap_or(0));
        Self { clocks: Stamp { wall, boot, boottime }, newest: 0 }
    }

    /// With the newest wall time that the store has seen.
    #[must_use]
    pub fn having_seen(mut self, newest: i64) -> Self {
        self.newest = self.newest.max(newest);
        self
    }

    /// The wall clock shows a time before this program existed.
    pub fn clock_is_unset(&self) -> bool {
        self.clocks.wall < PROGRAM_BIRTH
    }

    /// The wall clock, never earlier than what has been seen.
    fn wall(&self) -> i64 {
        self.clocks.wall.max(self.newest)
    }

    /// This moment, to be remembered. A clock that is not set yet does not leave 1970 in the store.
    pub fn stamp(&self) -> Stamp {
        let mut stamp = self.clocks.clone();
        if self.clock_is_unset() {
            stamp.wall = self.newest.max(PROGRAM_BIRTH);
        }
        stamp
    }

    /// How long ago `stamp` was.
    pub fn age(&self, stamp: &Stamp) -> Duration {
        let wall = u64::try_from(self.wall() - stamp.wall).unwrap_or(0);
        let same_boot = match (&self.clocks.boot, &stamp.boot) {
            (Some(now), Some(then)) => Some(now == then),
            _ => None,
        };
        let seconds = match (same_boot, self.clocks.boottime.checked_sub(stamp.boottime)) {
            // A wall clock that is not set, or was stepped back behind the stamp, has no vote.
            (Some(true), Some(since)) if self.clocks.wall < stamp.wall || self.clock_is_unset() => since,
            (Some(true), Some(since)) => wall.min(since),
            (Some(false), _) => wall.max(self.clocks.boottime),
            _ => wall,
        };
        Duration::from_secs(seconds)
    }

    /// This moment as far as the wall clock can be believed, for what must not be done too early: `last` is what was believed
    /// before. A clock that was stepped ahead while the machine ran is not believed until it boots: what is not done then is
    /// done later. To be remembered is the second.
    pub fn believed(&self, last: Option<&Stamp>) -> (i64, Stamp) {
        let here = self.stamp();
        let stepped = last.filter(|last| {
            let Some(since) = self.clocks.boottime.checked_sub(last.boottime) else { return false };
            let is_same_boot = self.clocks.boot.is_some() && self.clocks.boot == last.boot;
            let passed = u64::try_from(here.wall.saturating_sub(last.wall)).unwrap_or(0);
            is_same_boot && passed > since + STEP
        });
        match stepped {
            Some(last) => {
                let since = (self.clocks.boottime - last.boottime).cast_signed();
                (last.wall.saturating_add(since), last.clone())
            }
            None => (here.wall, here),
        }
    }

    /// For times of which the wall clock alone is known: neither a clock that was stepped ahead nor what is left of one that ran
    /// ahead makes them older. `last`: what was believed before.
    #[must_use]
    pub fn as_believed(&self, last: Option<&Stamp>) -> Self {
        let Some(last) = last else { return self.clone() };
        let (wall, _) = self.believed(Some(last));
        // A clock that shows less within one boot was set; after another it may have none that keeps time.
        let is_same_boot = self.clocks.boot.is_some() && self.clocks.boot == last.boot;
        let wall = if is_same_boot { wall } else { wall.max(last.wall) };
        Self { clocks: Stamp { wall, ..self.clocks.clone() }, newest: 0 }
    }

    /// `stamp`, but not later than now: a stamp from a clock that ran ahead would stay young for as long.
    pub fn not_after(&self, stamp: &Stamp) -> Stamp {
        if stamp.wall > self.wall() { self.stamp() } else { stamp.clone() }
    }
}

/// Whether a list may still be answered from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// Confirmed recently.
    Fresh,
    /// Older than its soft age: to be reported.
    Soft,
    /// Older than its hard age: no longer listing.
    Hard,
}

/// What an age since the last confirmation means for a list. Allow lists warn and stay: without them more mail
/// would be refused, not less.
pub fn freshness(age: Duration, ages: &Ages, use_: Use) -> Freshness {
    let past = |limit: Option<Duration>| limit.is_some_and(|limit| age > limit);
    match (past(ages.hard), past(ages.soft)) {
        (true, _) if use_.can_list() => Freshness::Hard,
        (true, _) | (_, true) => Freshness::Soft,
        (false, false) => Freshness::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_800_000_000;
    const HOUR: i64 = 3600;

    fn at(wall: i64, boot: &str, boottime: u64) -> Stamp {
        Stamp { wall, boot: Some(boot.to_owned()), boottime }
    }

    fn age(stamp: &Stamp, now: Stamp, newest: i64) -> u64 {
        Now { clocks: now, newest }.age(stamp).as_secs()
    }

    #[test]
    fn an_ordinary_day() {
        assert_eq!(age(&at(T, "a", 100), at(T + HOUR, "a", 3700), T), 3600);
        assert_eq!(age(&at(T, "a", 100), at(T, "a", 100), T), 0);
    }

    #[test]
    fn a_step_forwards_makes_nothing_old() {
        assert_eq!(age(&at(T, "a", 100), at(T + 365 * 24 * HOUR, "a", 160), T), 60);
    }

    #[test]
    fn a_step_backwards_neither_hides_age_nor_stops_the_schedule() {
        assert_eq!(age(&at(T, "a", 100), at(T - 365 * 24 * HOUR, "a", 7300), T), 7200);
    }

    #[test]
    fn a_small_step_backwards_counts_the_less() {
        assert_eq!(age(&at(T, "a", 100), at(T + 1800, "a", 3700), T), 1800);
    }

    #[test]
    fn across_a_reboot_the_wall_clock_counts() {
        assert_eq!(age(&at(T, "a", 900_000), at(T + 2 * HOUR, "b", 60), T), 7200);
    }

    #[test]
    fn a_reboot_without_a_clock_starts_from_the_newest_time_seen() {
        // 1970 after a reboot: the list was confirmed an hour before the newest stamp.
        assert_eq!(age(&at(T - HOUR, "a", 900_000), at(60, "b", 60), T), 3600);
        // However long the clock stays wrong, the time since this boot has passed.
        assert_eq!(age(&at(T, "a", 900_000), at(7200, "b", 7200), T), 7200);
        // The stamp that such a machine leaves is no older than what it had seen.
        let now = Now { clocks: at(60, "b", 60), newest: T };
        assert_eq!(now.stamp().wall, T);
        // NTP sets the clock within that boot: nothing jumps.
        assert_eq!(age(&now.stamp(), at(T + 30 * 24 * HOUR, "b", 90), T), 30);
        // And with a clock that is never set, ages still grow within the boot.
        assert_eq!(age(&now.stamp(), at(3660, "b", 3660), T), 3600);
    }

    #[test]
    fn a_stamp_from_a_clock_that_ran_ahead_is_pulled_back() {
        let ahead = at(T + 1000 * 24 * HOUR, "a", 100);
        let now = Now { clocks: at(T, "b", 60), newest: T };
        assert_eq!(now.not_after(&ahead), now.stamp());
        assert_eq!(now.not_after(&at(T - 1, "a", 5)), at(T - 1, "a", 5));
        assert_eq!(now.age(&ahead).as_secs(), 60);
    }

    #[test]
    fn a_clock_that_was_stepped_ahead_is_not_believed() {
        let believed = |last: &Stamp, now: Stamp| Now { clocks: now, newest: 0 }.believed(Some(last));
        let (last, year) = (at(T, "a", 100), 365 * 24 * HOUR);
        assert_eq!(believed(&last, at(T + 3700, "a", 200)), (T + 3700, at(T + 3700, "a", 200)));
        assert_eq!(believed(&last, at(T + 3601, "a", 100)), (T, last.clone()));
        assert_eq!(believed(&last, at(T + year, "a", 1_000_100)), (T + 1_000_000, last.clone()));
        assert_eq!(believed(&last, at(T + year, "b", 60)).0, T + year, "nobody can tell");
        assert_eq!(believed(&last, at(T - year, "a", 200)).0, T - year, "nothing is too early by it");
        assert_eq!(Now { clocks: at(T, "a", 1), newest: 0 }.believed(None), (T, at(T, "a", 1)));
    }

    #[test]
    fn what_the_wall_clock_alone_knows_is_as_old_as_it_was_believed() {
        let age = |last: Option<&Stamp>, clocks: Stamp, newest: i64| {
            let now = Now { clocks, newest }.as_believed(last);
            now.age(&Stamp { wall: T - 4 * HOUR, boot: None, boottime: 0 }).as_secs() as i64 / HOUR
        };
        let (last, year) = (at(T, "a", 100), 365 * 24 * HOUR);
        // The clock is a year ahead, or was at the last sync, and believed then or not.
        assert_eq!(age(Some(&last), at(T + year, "a", 200), T), 4);
        assert_eq!(age(Some(&last), at(T + 100, "a", 200), T + year), 4);
        assert_eq!(age(Some(&at(T + year, "a", 100)), at(T + 100, "a", 200), T + year), 4);
        // After a boot without a clock it is no younger than it was; and with one all of the time has passed.
        assert_eq!(age(Some(&last), at(60, "b", 60), T), 4);
        assert_eq!(age(Some(&last), at(T - year, "b", 60), T), 4);
        assert_eq!(age(Some(&last), at(T + year, "b", 60), T), 4 + year / HOUR);
        assert_eq!(age(None, at(T, "a", 100), T + HOUR), 5);
    }

    #[test]
    fn unknown_boots_leave_the_wall_clock() {
        let stamp = Stamp { boot: None, ..at(T, "", 100) };
        assert_eq!(age(&stamp, at(T + HOUR, "b", 9_000_000), T), 3600);
        // A time namespace can make the time since boot run backwards under one boot id.
        assert_eq!(age(&at(T, "a", 500), at(T + HOUR, "a", 100), T), 3600);
    }

    #[test]
    fn allow_lists_warn_and_stay() {
        let hours = |n: u64| Duration::from_secs(3600 * n);
        let ages = Ages { soft: Some(hours(36)), hard: Some(hours(168)), unchanged: None };
        assert_eq!(freshness(hours(36), &ages, Use::Block), Freshness::Fresh);
        assert_eq!(freshness(hours(37), &ages, Use::Block), Freshness::Soft);
        assert_eq!(freshness(hours(169), &ages, Use::Block), Freshness::Hard);
        assert_eq!(freshness(hours(169), &ages, Use::Allow), Freshness::Soft);
        assert_eq!(freshness(hours(9999), &Ages::NEVER, Use::Block), Freshness::Fresh);
    }

    #[test]
    fn the_real_clocks_move() {
        let now = Now::read();
        assert!(!now.clock_is_unset());
        assert!(now.clocks.boot.is_some(), "this machine has no boot id");
        assert_eq!(now.age(&now.stamp()), Duration::ZERO);
    }
}
