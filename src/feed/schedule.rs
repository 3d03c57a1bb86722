//! When a list may be asked for again. Pure: the moment and the dice are given.
//!
//! Three waits, all measured from stamps that survive restarts and clock steps: the publisher's floor, what its
//! server asked for (`Retry-After`), and the pause of the timer (jitter after success, back-off after failures).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Url;

use super::fetch::server;
use crate::config::{place, shown_url};
use crate::model::ContentHash;
use crate::store::{ListStatus, Now, Pause, Stamp};

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

/// Of so many places of a list it is remembered when they were asked.
const MOST_PLACES: usize = 32;

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
    let floor_left = floor_left(status, places, floor, now);
    let pause = match (asker, &status.next) {
        (Asker::Timer, Some(pause)) if !is_elsewhere(status, places) => pause.left(now),
        _ => Duration::ZERO,
    };
    let resting = all_rest(status, places, now).unwrap_or_default();
    [(floor_left, Why::Floor), (resting, Why::RetryAfter), (pause, Why::Pause)]
        .into_iter()
        .max_by_key(|(wait, _)| *wait)
        .filter(|(wait, _)| !wait.is_zero())
        .map_or(Due::Now, |(wait, why)| Due::Wait(wait, why))
}

/// The floor is kept at each place: one that takes the place of another is asked at once, and the other, put back, not before
/// its own is over.
fn floor_left(status: &ListStatus, places: &[Url], floor: Duration, now: &Now) -> Duration {
    let left = |stamp: &Stamp| floor.saturating_sub(now.age(stamp));
    if status.asked.is_empty() {
        return status.last_contact.as_ref().map_or(Duration::ZERO, left);
    }
    let known = places.iter().filter_map(|url| status.asked.get(&place(url))).map(left).max();
    let is_new = places.iter().any(|url| !status.asked.contains_key(&place(url)));
    // Whoever goes from place to place waits for the first of them when no more can be remembered.
    let full = is_new && status.asked.len() >= MOST_PLACES;
    let oldest = status.asked.values().map(left).min().filter(|_| full);
    known.max(oldest).unwrap_or_default()
}

/// Whether it was at none of these places that the list was asked for last.
pub fn is_elsewhere(status: &ListStatus, places: &[Url]) -> bool {
    !status.next_at.is_empty() && places.iter().all(|url| !status.next_at.contains(&place(url)))
}

/// Forgets places that are not asked any more and whose floor is over, and the oldest when there are too many.
pub fn forget_places(status: &mut ListStatus, places: &[Url], floor: Duration, now: &Now) {
    let places: BTreeSet<String> = places.iter().map(place).collect();
    status.asked.retain(|at, stamp| places.contains(at) || now.age(stamp) < floor);
    while status.asked.len() > MOST_PLACES {
        let others = status.asked.iter().filter(|(at, _)| !places.contains(*at));
        let Some(oldest) = others.max_by_key(|(_, stamp)| now.age(stamp)).map(|(at, _)| at.clone()) else {
            return;
        };
        status.asked.remove(&oldest);
    }
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

/// Which servers want to be left alone whatever they are asked for, and for how long, by what these lists were told.
#[derive(Debug, Clone, Default)]
pub struct Servers(BTreeMap<String, Pause>);

impl Servers {
    /// Of these lists.
    pub fn of<'a>(lists: impl IntoIterator<Item = &'a ListStatus>, now: &Now) -> Self {
        let mut all: BTreeMap<String, Pause> = BTreeMap::new();
        for pause in lists.into_iter().flat_map(|list| list.resting.values()) {
            let Some(server) = pause.server.as_ref().filter(|_| !pause.left(now).is_zero()) else { continue };
            match all.get_mut(server) {
                Some(known) if known.left(now) >= pause.left(now) => {}
                Some(known) => *known = pause.clone(),
                None => drop(all.insert(server.clone(), pause.clone())),
            }
        }
        Self(all)
    }

    /// They, and how long each still rests.
    pub fn left(&self, now: &Now) -> impl Iterator<Item = (&str, Duration)> {
        self.0.iter().map(|(server, pause)| (server.as_str(), pause.left(now)))
    }

    /// What they said to other lists, noted for the places of this one.
    pub fn tell(&self, status: &mut ListStatus, places: &[Url], now: &Now) {
        for place in places {
            let Some(pause) = server(place).and_then(|server| self.0.get(&server)) else { continue };
            let known = status.resting.get(&shown_url(place)).map(|known| known.left(now));
            if known.is_none_or(|known| known < pause.left(now)) {
                status.resting.insert(shown_url(place), pause.clone());
            }
        }
    }
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
    Pause { since: now.stamp(), seconds: obeyed(asked.as_secs()), shown: None, server: None }
}

/// As many of the seconds that a server asked for as are obeyed.
pub fn obeyed(asked: u64) -> u64 {
    asked.min(LONGEST_RETRY_AFTER.as_secs())
}

fn pause(wait: Duration, dice: &mut Dice, now: &Now) -> Pause {
    let mut pause = Pause { since: now.stamp(), seconds: wait.as_secs(), shown: None, server: None };
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    use crate::store::Outcome;

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
        status.next = Some(Pause { since: now.stamp(), seconds: 7200, shown: None, server: None });
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
    fn the_floor_and_the_pause_are_of_the_places_that_were_asked() {
        let [one, two, three]: [Url; 3] =
            ["https://a.example/l", "https://b.example/l", "http://A.example.//%6c"]
                .map(|url| url.parse().unwrap());
        let mut status = asked(&at(0, "a"));
        status.asked.insert(place(&one), at(0, "a").stamp());
        status.next = Some(Pause { since: at(0, "a").stamp(), seconds: 7200, shown: None, server: None });
        status.next_at = vec![place(&one)];
        let due = |status: &ListStatus, places: &[&Url], asker, seconds| {
            let places: Vec<Url> = places.iter().copied().cloned().collect();
            due(status, &places, HOUR, asker, &at(seconds, "a"))
        };
        // The same place, however it is spelt, and with others beside it.
        for places in [&[&one][..], &[&three], &[&two, &one]] {
            assert_eq!(due(&status, places, Asker::Person, 600), Due::Wait(HOUR * 5 / 6, Why::Floor));
            assert_eq!(due(&status, places, Asker::Timer, 3600), Due::Wait(HOUR, Why::Pause));
        }
        assert_eq!(due(&status, &[&two], Asker::Timer, 600), Due::Now);
        assert_eq!(due(&status, &[&two], Asker::Person, 600), Due::Now);
        // Asked there as well: back at the first, its floor holds.
        status.asked.insert(place(&two), at(600, "a").stamp());
        status.next_at = vec![place(&two)];
        assert_eq!(due(&status, &[&one], Asker::Timer, 1200), Due::Wait(HOUR * 2 / 3, Why::Floor));
        assert_eq!(due(&status, &[&two], Asker::Person, 1200), Due::Wait(HOUR * 5 / 6, Why::Floor));
        forget_places(&mut status, std::slice::from_ref(&two), HOUR, &at(3600, "a"));
        assert_eq!(status.asked.len(), 1);
        // From place to place: no more of them than can be remembered.
        for n in 0..MOST_PLACES as i64 {
            status.asked.insert(format!("http://{n}.example/"), at(700 + n, "a").stamp());
        }
        forget_places(&mut status, &[], HOUR, &at(800, "a"));
        assert_eq!(status.asked.len(), MOST_PLACES);
        assert_eq!(
            due(&status, &[&one], Asker::Person, 1300),
            Due::Wait(HOUR - Duration::from_secs(600), Why::Floor)
        );
        assert_eq!(due(&status, &[&one], Asker::Person, 4300), Due::Now);
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
        let mut waits = BTreeSet::new();
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
                let waits: BTreeSet<u64> = (0..200)
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
        let at_once: BTreeSet<u64> = (0..100)
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
