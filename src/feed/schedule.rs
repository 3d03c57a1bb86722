//! When a list may be asked for again. Pure: the moment and the dice are given.
//!
//! Three waits, all measured from stamps that survive restarts and clock steps: the publisher's floor, what its
//! server asked for (`Retry-After`), and the pause of the timer (jitter after success, back-off after failures).

use std::time::Duration;

use reqwest::Url;

use crate::config::shown_url;
use crate::model::ContentHash;
use crate::store::{ListStatus, Now, Pause};

/// Longest back-off.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// First back-off when the publisher answered, but nothing of use.
const FIRST_AFTER_ANSWER: Duration = Duration::from_secs(5 * 60);

/// First back-off when nobody answered: nobody was burdened.
const FIRST_AFTER_SILENCE: Duration = Duration::from_secs(60);

/// Shortest pause after any failure.
const SHORTEST: Duration = Duration::from_secs(30);

/// Longest `Retry-After` that is obeyed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Most that is added to a floor, so that all mirrors of a feed do not come at once.
const MOST_JITTER: Duration = Duration::from_secs(10 * 60);

/// So close to the hour and half hour nobody should come: publishers ask for it, since everybody does.
const CROWDED: u64 = 120;

/// Who wants the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The timer: waits for everything.
    Timer,
    /// A person, now: waits for the floor and for what the server asked for.
    Person,
}

/// Whether a list may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Yes.
    Now,
    /// Not for so long.
    Wait(Duration, Why),
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The publisher's least time between two fetches.
    Floor,
    /// The server's `Retry-After`.
    RetryAfter,
    /// The timer's pause after the last attempt.
    Pause,
    /// The hour or half hour to be over, when everybody comes.
    Crowd,
}

/// What kind of trouble a fetch had; decides how long the timer stays away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Nobody answered: no name, no route, refused, no TLS.
    Unreached,
    /// The server answered with trouble of its own, or its answer was of no use.
    Answered,
    /// The server does not want to give the list, or has it no more.
    Refused,
}

/// Whether the list with this status, at these places and with this floor may be asked for now.
pub fn due(status: &ListStatus, places: &[Url], floor: Duration, asker: Asker, now: &Now) -> Due {
    let since_contact = status.last_contact.as_ref().map(|stamp| now.age(stamp));
    let floor_left = since_contact.map_or(Duration::ZERO, |age| floor.saturating_sub(age));
    let pause = match asker {
        Asker::Timer => status.next.as_ref().map_or(Duration::ZERO, |pause| pause.left(now)),
        Asker::Person => Duration::ZERO,
    };
    let resting = all_rest(status, places, now).unwrap_or_default();
    [(floor_left, Why::Floor), (resting, Why::RetryAfter), (pause, Why::Pause)]
        .into_iter()
        .max_by_key(|(wait, _)| *wait)
        .filter(|(wait, _)| !wait.is_zero())
        .map_or(Due::Now, |(wait, why)| Due::Wait(wait, why))
}

/// How long until the first of these places may be asked, when all of them want to be left alone. Others that wanted to, and
/// are not asked any more, say nothing.
pub fn all_rest(status: &ListStatus, places: &[Url], now: &Now) -> Option<Duration> {
    let left = |place: &Url| {
        let left = status.resting.get(&shown_url(place))?.left(now);
        (!left.is_zero()).then_some(left)
    };
    let all: Option<Vec<Duration>> = places.iter().map(left).collect();
    all?.into_iter().min()
}

/// The timer's pause after an attempt that brought the list or "not modified".
pub fn after_success(floor: Duration, dice: &mut Dice, now: &Now) -> Pause {
    let jitter = dice.below(MOST_JITTER.min(floor / 10));
    pause(floor + jitter, dice, now)
}

/// How long a timer that comes close to the hour or half hour stays away from these feeds; `None` at other times.
pub fn crowd(dice: &mut Dice, now: &Now) -> Option<Duration> {
    past_crowd(now.stamp().wall, dice)
}

/// Whether a list of this floor and status stays away then. Who lets himself be asked every few minutes has no crowd; and
/// whoever has just set a list up waits for it.
pub fn minds_crowd(status: &ListStatus, floor: Duration) -> bool {
    floor >= FIRST_AFTER_ANSWER && status.last_attempt.is_some()
}

/// The timer's pause after the `failures`th attempt in a row that brought nothing: doubles, with full jitter. Who answered is
/// left alone for the floor before that counts.
pub fn after_failure(trouble: Trouble, failures: u32, floor: Duration, dice: &mut Dice, now: &Now) -> Pause {
    let (least, first) = match trouble {
        Trouble::Unreached => (Duration::ZERO, FIRST_AFTER_SILENCE),
        Trouble::Answered => (floor, FIRST_AFTER_ANSWER.max(floor)),
        Trouble::Refused => {
            let half = LONGEST / 2;
            return pause(half.max(floor) + dice.below(half), dice, now);
        }
    };
    let doublings = failures.saturating_sub(1).min(20);
    let longest = LONGEST.saturating_sub(least).max(MOST_JITTER);
    let window = first.saturating_mul(1 << doublings).min(longest);
    pause((least + dice.below(window)).max(SHORTEST), dice, now)
}

/// What a server asked for, within reason.
pub fn retry_after(asked: Duration, now: &Now) -> Pause {
    Pause { since: now.stamp(), seconds: obeyed(asked.as_secs()), shown: None }
}

/// As many of the seconds that a server asked for as are obeyed.
pub fn obeyed(asked: u64) -> u64 {
    asked.min(LONGEST_RETRY_AFTER.as_secs())
}

fn pause(wait: Duration, dice: &mut Dice, now: &Now) -> Pause {
    let mut pause = Pause { since: now.stamp(), seconds: wait.as_secs(), shown: None };
    // Short pauses belong to own files and to first failures: nobody's crowd.
    if wait < FIRST_AFTER_ANSWER {
        return pause;
    }
    pause.seconds += past_crowd(pause.ends(), dice).map_or(0, |wait| wait.as_secs());
    pause
}

/// From a moment close to the hour or half hour to one that is not.
fn past_crowd(wall: i64, dice: &mut Dice) -> Option<Duration> {
    let wait = match wall.rem_euclid(1800) as u64 {
        at if at < CROWDED => CROWDED - at,
        at if at >= 1800 - CROWDED => 1800 - at + CROWDED,
        _ => return None,
    };
    Some(Duration::from_secs(wait) + dice.below(MOST_JITTER / 2))
}

/// Random numbers of a store and a list: other stores' differ, and a test can foresee them.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// For the attempt after `attempts` others at `list`, in a store with this seed.
    pub fn new(seed: u64, list: &str, attempts: u64) -> Self {
        let mut key = seed.to_le_bytes().to_vec();
        key.extend_from_slice(&attempts.to_le_bytes());
        key.extend_from_slice(list.as_bytes());
        let hash = ContentHash::of(&key);
        let (first, _) = hash.as_bytes().split_first_chunk().expect("32 octets");
        Self(u64::from_le_bytes(*first))
    }

    /// A duration below `limit`, in whole seconds; nothing when the limit is below two seconds.
    fn below(&mut self, limit: Duration) -> Duration {
        let seconds = limit.as_secs().max(1);
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_secs((z ^ (z >> 31)) % seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Outcome, Stamp};

    const HOUR: Duration = Duration::from_secs(3600);
    const T: i64 = 1_800_000_000;

    fn at(seconds: i64, boot: &str) -> Now {
        let clocks =
            Stamp { wall: T + seconds, boot: Some(boot.to_owned()), boottime: 1000 + seconds as u64 };
        Now { clocks, newest: 0 }
    }

    fn asked(now: &Now) -> ListStatus {
        let mut status = ListStatus::default();
        status.attempt(now);
        status.last_contact = Some(now.stamp());
        status
    }

    #[test]
    fn the_floor_holds_for_everybody_and_over_restarts() {
        let status = asked(&at(0, "a"));
        let stored: ListStatus = serde_json::from_str(&serde_json::to_string(&status).unwrap()).unwrap();
        for asker in [Asker::Timer, Asker::Person] {
            assert_eq!(due(&stored, &[], HOUR, asker, &at(600, "a")), Due::Wait(HOUR * 5 / 6, Why::Floor));
            assert_eq!(due(&stored, &[], HOUR, asker, &at(3600, "a")), Due::Now);
        }
        assert_eq!(due(&ListStatus::default(), &[], HOUR, Asker::Timer, &at(0, "a")), Due::Now);
    }

    #[test]
    fn a_clock_step_neither_skips_the_floor_nor_stops_the_list() {
        let status = asked(&at(0, "a"));
        let mut forwards = at(60, "a");
        forwards.clocks.wall += 86_400;
        assert_eq!(
            due(&status, &[], HOUR, Asker::Person, &forwards),
            Due::Wait(HOUR - Duration::from_secs(60), Why::Floor)
        );
        let mut backwards = at(3601, "a");
        backwards.clocks.wall -= 86_400;
        assert_eq!(due(&status, &[], HOUR, Asker::Person, &backwards), Due::Now);
    }

    #[test]
    fn an_attempt_that_reached_nobody_does_not_count_for_the_floor() {
        let mut status = ListStatus::default();
        status.attempt(&at(0, "a"));
        status.not_accepted(Outcome::Failed, vec!["no route".to_owned()], &at(0, "a"));
        assert_eq!(due(&status, &[], HOUR, Asker::Person, &at(1, "a")), Due::Now);
    }

    #[test]
    fn only_the_timer_waits_for_its_pause() {
        let now = at(0, "a");
        let mut status = asked(&now);
        status.next = Some(Pause { since: now.stamp(), seconds: 7200, shown: None });
        assert_eq!(due(&status, &[], HOUR, Asker::Person, &at(3600, "a")), Due::Now);
        assert_eq!(due(&status, &[], HOUR, Asker::Timer, &at(3600, "a")), Due::Wait(HOUR, Why::Pause));
    }

    #[test]
    fn a_list_rests_when_all_its_places_want_to() {
        let now = at(0, "a");
        let mut status = asked(&now);
        let [one, two]: [Url; 2] =
            ["https://a.example/l", "https://b.example/l"].map(|url| url.parse().unwrap());
        status.resting.insert(shown_url(&one), retry_after(HOUR * 3, &now));
        let due =
            |status: &ListStatus, places: &[Url]| due(status, places, HOUR, Asker::Person, &at(3600, "a"));
        assert_eq!(due(&status, std::slice::from_ref(&one)), Due::Wait(HOUR * 2, Why::RetryAfter));
        // Another one beside it, in its place, or none at all.
        assert_eq!(due(&status, &[one.clone(), two.clone()]), Due::Now);
        assert_eq!(due(&status, std::slice::from_ref(&two)), Due::Now);
        assert_eq!(due(&status, &[]), Due::Now);
        status.resting.insert(shown_url(&two), retry_after(HOUR * 2, &now));
        assert_eq!(due(&status, &[one, two]), Due::Wait(HOUR, Why::RetryAfter));
        assert_eq!(retry_after(HOUR * 9999, &now).seconds, 7 * 86_400);
    }

    #[test]
    fn pauses_keep_off_the_hour_and_half_hour() {
        let mut crowd = 0;
        for n in 0..2000 {
            let mut dice = Dice::new(7, "psbl", n);
            let pause = after_success(HOUR, &mut dice, &at(n as i64 * 37, "a"));
            assert!((3600..3600 + 600 + 240 + 300).contains(&pause.seconds), "{}", pause.seconds);
            let minute = pause.ends().rem_euclid(1800);
            crowd += u32::from(!(120..1680).contains(&minute));
        }
        assert_eq!(crowd, 0);
    }

    #[test]
    fn a_timer_that_comes_with_everybody_waits() {
        let mut waits = std::collections::BTreeSet::new();
        for n in 0..3600 {
            let at = at(n, "a");
            let Some(wait) = crowd(&mut Dice::new(n as u64, "crowd", 0), &at) else {
                assert!((120..1680).contains(&(n % 1800)), "{n}");
                continue;
            };
            assert!(!(120..1680).contains(&(n % 1800)), "{n}");
            let then = (n + wait.as_secs() as i64) % 1800;
            assert!((120..420).contains(&then), "{n}: {then}");
            waits.insert(then);
        }
        assert!(waits.len() > 100, "{waits:?}");
        let asked = asked(&at(0, "a"));
        assert!(minds_crowd(&asked, HOUR) && minds_crowd(&asked, Duration::from_secs(300)));
        assert!(!minds_crowd(&asked, Duration::from_secs(299)) && !minds_crowd(&asked, Duration::ZERO));
        // Nobody waits for what was just set up longer than he must.
        assert!(!minds_crowd(&ListStatus::default(), HOUR));
    }

    #[test]
    fn after_a_failure_a_publisher_is_left_alone_for_longer_than_the_floor() {
        for floor in [HOUR, HOUR * 24, HOUR * 48] {
            for (trouble, failures) in [(Trouble::Answered, 1), (Trouble::Answered, 5), (Trouble::Refused, 1)]
            {
                let waits: std::collections::BTreeSet<u64> = (0..200)
                    .map(|n| {
                        let mut dice = Dice::new(n, "x", 0);
                        after_failure(trouble, failures, floor, &mut dice, &at(0, "a")).seconds
                    })
                    .collect();
                let (first, last) = (*waits.first().unwrap(), *waits.last().unwrap());
                let most = LONGEST.max(floor + MOST_JITTER).as_secs() + 540;
                let most = if trouble == Trouble::Refused { most + 86_400 / 2 } else { most };
                assert!(first >= floor.as_secs() && last < most, "{floor:?} {trouble:?} {first} {last}");
                assert!(waits.len() > 60, "{floor:?} {trouble:?}: {} different waits", waits.len());
            }
        }
    }

    #[test]
    fn stores_and_lists_come_at_different_times() {
        let at_once: std::collections::BTreeSet<u64> = (0..100)
            .map(|seed| after_success(HOUR, &mut Dice::new(seed, "psbl", 1), &at(0, "a")).seconds)
            .collect();
        assert!(at_once.len() > 60, "{}", at_once.len());
        let one = after_success(HOUR, &mut Dice::new(1, "psbl", 1), &at(0, "a"));
        assert_eq!(one, after_success(HOUR, &mut Dice::new(1, "psbl", 1), &at(0, "a")));
        assert_ne!(one, after_success(HOUR, &mut Dice::new(1, "drop", 1), &at(0, "a")));
    }

    #[test]
    fn failures_double_the_window_up_to_a_day() {
        let longest = |trouble, failures| {
            (0..500)
                .map(|n| {
                    after_failure(trouble, failures, HOUR, &mut Dice::new(n, "x", 0), &at(0, "a")).seconds
                })
                .max()
                .unwrap()
        };
        let shortest = (0..500)
            .map(|n| {
                after_failure(Trouble::Unreached, 1, HOUR, &mut Dice::new(n, "x", 0), &at(0, "a")).seconds
            })
            .min()
            .unwrap();
        assert_eq!(shortest, 30);
        assert!(longest(Trouble::Unreached, 1) < 60);
        let (one, two) = (longest(Trouble::Answered, 1), longest(Trouble::Answered, 2));
        assert!(one > 3000 && two > 6000 && one < two, "{one} {two}");
        assert!(longest(Trouble::Answered, 50) < 86_400 + 540);
        assert!(longest(Trouble::Refused, 1) > 80_000);
    }
}
