//! What is known of a list: when it was asked for, confirmed and changed, and what was decided of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use serde::{Deserialize, Serialize};

use super::clock::{Freshness, Now, Stamp, freshness};
use super::json::Versioned;
use super::log::Attempt;
use crate::config::Ages;
use crate::model::{ContentHash, Use};

/// The state of one list: `feeds/NAME/status.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ListStatus {
    /// How often it was asked for.
    pub attempts: u64,
    /// In which sync of the store it was last asked for, counting those in which any list was.
    #[serde(default)]
    pub round: u64,
    /// When it was last asked for, whether or not anybody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Stamp>,
    /// When its publisher last answered anything: the floor counts from here where `asked` says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_contact: Option<Stamp>,
    /// When somebody last answered at each place that it was asked for at, also such as are not configured any more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asked: BTreeMap<String, Stamp>,
    /// The last moment at which the wall clock was believed ([`Now::believed`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed: Option<Stamp>,
    /// When its publisher last said that the current set is what there is (a new body that was accepted, or 304).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_confirmed: Option<Stamp>,
    /// Since when the current set is what there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_since: Option<Stamp>,
    /// The current set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetRef>,
    /// What the list was good for when that was taken or confirmed last.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<Use>,
    /// Since when it is good for that, where it was good for the opposite before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned: Option<Stamp>,
    /// What another list had brought that had this name is forgotten, and nothing was taken since: its zones answer from nothing, not
    /// from what they had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_away: bool,
    /// That, until the new list has brought something: whoever gives the name back has it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Box<Self>>,
    /// When the data of the current set end by their own words (`$TIMESTAMP` of rbldnsd's files), in seconds since
    /// 1970 by the wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// How the body was read that gave the current set: another form in the configuration reads it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<String>,
    /// What the body that gave the current set was called by its server. Remembered only after the body was accepted:
    /// else a bad body would be confirmed by 304 for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<Validators>,
    /// The last body that gave the current set, by its hash; the store may have newer ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<ContentHash>,
    /// Own files that were refused: as long as they are the same, what is wrong with their lines is told once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The last decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Something waits in `held/`. Without this what stands there is left from before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// The trouble of a body that was told last: as long as it is the same, it is not told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// The dates that the body gave for itself that gave the current set: an older one comes from a stale cache.
    #[serde(default)]
    pub dates: Dates,
    /// The body that gave the current set had a mark at its end ([`Trailer`](crate::parse::Trailer)): one without it was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end_mark: bool,
    /// The body that gave the current set ended with a line: one that ends within one was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end_line: bool,
    /// Older versions that came in a row.
    #[serde(default)]
    pub stale: u32,
    /// A person has decided which version is in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pin>,
    /// What brought the current set: its line of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought: Option<Box<Attempt>>,
    /// Attempts in a row that brought nothing.
    pub failures: u32,
    /// When the timer comes back to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Pause>,
    /// The places of the configuration then; none: whatever they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_at: Vec<String>,
    /// Places in front of the one that gave the list last: they gave nothing of use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passed_over: BTreeMap<String, PassedOver>,
    /// Places that asked to be left alone (`Retry-After`), also such as are not asked any more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resting: BTreeMap<String, Pause>,
}

/// A set in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRef {
    /// Its name.
    pub hash: ContentHash,
    /// How many entries it has.
    pub entries: u64,
}

/// What was refused for what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What it is called.
    pub validators: Validators,
    /// How it was read.
    pub read_as: String,
    /// Why it was refused.
    pub reason: String,
    /// Reading it again comes to the same.
    pub lasts: bool,
}

/// What a server calls a body (RFC 9110 section 8.8), or a file system a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Validators {
    /// Where it was asked for: good for nothing elsewhere.
    pub url: String,
    /// Where a redirect led that gave them: they are shown there alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `ETag`, as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`, as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Validators {
    /// When the body is from, in seconds since 1970.
    pub fn modified(&self) -> Option<i64> {
        // Servers that get the day of the week wrong mean the date.
        const DATES: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
        let text = self.last_modified.as_deref()?;
        Some(DATES.parse_timestamp(text.trim()).ok()?.as_second())
    }

    /// Whether `other` is certainly about another body. Servers mark the name of a body that they pack on the way.
    pub fn is_another(&self, other: &Self) -> bool {
        fn opaque(etag: &str) -> &str {
            let etag = etag.trim().trim_start_matches("W/").trim_matches('"');
            ["--gzip", "-gzip", ";gzip", "-zstd"]
                .iter()
                .find_map(|mark| etag.strip_suffix(mark))
                .unwrap_or(etag)
        }
        matches!((&self.etag, &other.etag), (Some(own), Some(other)) if opaque(own) != opaque(other))
    }

    /// Whether `other` is certainly about the same body, octet for octet (RFC 9110 section 8.8.3.2).
    pub fn is_surely(&self, other: &Self) -> bool {
        let strong = |etag: &Option<String>| {
            etag.as_deref().map(str::trim).filter(|etag| !etag.starts_with("W/")).map(str::to_owned)
        };
        strong(&self.etag).is_some_and(|own| strong(&other.etag) == Some(own))
    }

    /// The place alone: the next question there is for whatever there is.
    #[must_use]
    pub fn forgotten(&self) -> Self {
        Self { etag: None, last_modified: None, ..self.clone() }
    }
}

/// A trouble that has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What became of the body.
    pub outcome: Outcome,
    /// Why, each in a word.
    pub kinds: Vec<String>,
}

/// When a body is from by its own words, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dates {
    /// By a time stamp in the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<i64>,
    /// By its server (`Last-Modified`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<i64>,
}

impl Dates {
    /// By which date this is older than `other`, in words, if it is. What the data say goes before what a server says of
    /// them: a mirror may have copied them later.
    pub fn older_than(&self, other: &Self) -> Option<(&'static str, i64, i64)> {
        let (what, own, theirs) = match (self.data, other.data, self.server, other.server) {
            (Some(own), Some(theirs), ..) => ("a time stamp in it", own, theirs),
            (_, _, Some(own), Some(theirs)) => ("its Last-Modified", own, theirs),
            _ => return None,
        };
        (own < theirs).then_some((what, own, theirs))
    }
}

/// A place that gives nothing of use, while another one behind it gives the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Since when.
    pub since: Stamp,
    /// Why, the last time.
    pub what: String,
    /// The body that it gave then, when that need not be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub useless: Option<Useless>,
}

/// A body that is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Useless {
    /// What it is called. Never remembered as that of a version in service.
    pub validators: Validators,
    /// How it was read, and by which limits it was judged.
    pub read_as: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, each reason in a word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// When it came.
    pub at: Stamp,
}

/// The version that a person wants in service, whatever comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Since when.
    pub since: Stamp,
    /// What the newest good body is called that was fetched since and not taken: as long as there is no newer one, it
    /// need not be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<Validators>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// In a word.
    pub outcome: Outcome,
    /// Why, for people; one reason a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// When.
    pub at: Stamp,
}

/// What became of an attempt, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A new body was taken.
    Accepted,
    /// A new body was taken without some of its entries.
    Trimmed,
    /// The publisher has nothing newer.
    Confirmed,
    /// What came is older than what is there, as it says itself: from a stale cache, and refused quietly.
    Stale,
    /// What came was not taken, since a person has decided which version is in service.
    Pinned,
    /// A new body waits for a person or for agreement.
    Held,
    /// A new body was refused.
    Rejected,
    /// There was no body.
    #[default]
    Failed,
}

impl Outcome {
    /// A new body is in service.
    pub fn is_new(self) -> bool {
        matches!(self, Self::Accepted | Self::Trimmed)
    }

    /// A person should look at it.
    pub fn is_problem(self) -> bool {
        matches!(self, Self::Held | Self::Rejected | Self::Failed)
    }
}

/// A wait: until `seconds` after `since`. Kept like this, not as a moment, so that clock steps do not stretch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// From when.
    pub since: Stamp,
    /// How long.
    pub seconds: u64,
    /// The mark of the credential that was shown, where that may have been the reason: it ends when another is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// The server that wants it, where it is for whatever that is asked for, by any list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

impl Pause {
    /// What is left of it.
    pub fn left(&self, now: &Now) -> Duration {
        Duration::from_secs(self.seconds).saturating_sub(now.age(&self.since))
    }

    /// When it ends by the wall clock, in seconds since 1970: for people.
    pub fn ends(&self) -> i64 {
        self.since.wall.saturating_add_unsigned(self.seconds)
    }
}

impl Versioned for ListStatus {
    const VERSION: u64 = 1;
    const KIND: &'static str = "status";
}

impl ListStatus {
    /// Notes an attempt that begins now.
    pub fn attempt(&mut self, now: &Now) {
        self.attempts += 1;
        self.last_attempt = Some(now.stamp());
        for stamp in [&mut self.last_contact, &mut self.last_confirmed, &mut self.content_since] {
            *stamp = stamp.as_ref().map(|stamp| now.not_after(stamp));
        }
        for stamp in self.asked.values_mut() {
            *stamp = now.not_after(stamp);
        }
    }

    /// Notes that somebody answered at these places.
    pub fn contacted(&mut self, places: impl Iterator<Item = String>, now: &Now) {
        for place in places {
            self.asked.insert(place, now.stamp());
            self.last_contact = Some(now.stamp());
        }
    }

    /// Who did not want the credential that he was shown may be asked with another one.
    pub fn forget_rests_unless_shown(&mut self, mark: &str) {
        self.resting.retain(|_, pause| pause.shown.as_deref().is_none_or(|shown| shown == mark));
    }

    /// What is left of it when its version is another list's that had the name: when who was asked, and who wants to be left
    /// alone.
    #[must_use]
    pub fn given_away(self) -> Self {
        let mut left = Self { given_away: true, waits: self.waits, ..Self::default() };
        left.go_on_from(&self);
        left.forgotten = Some(Box::new(Self { waits: false, forgotten: None, ..self }));
        left
    }

    /// The version again that was forgotten, after the name was given back.
    #[must_use]
    pub fn given_back(&self) -> Option<Self> {
        let mut again = self.forgotten.as_deref()?.clone();
        again.go_on_from(self);
        Some(again)
    }

    /// What concerns those that are asked, whatever list it is.
    fn go_on_from(&mut self, last: &Self) {
        self.attempts = last.attempts;
        self.round = last.round;
        self.last_attempt.clone_from(&last.last_attempt);
        self.last_contact.clone_from(&last.last_contact);
        self.asked.clone_from(&last.asked);
        self.believed.clone_from(&last.believed);
        self.resting.clone_from(&last.resting);
    }

    /// Notes that the current set was confirmed.
    pub fn confirmed(&mut self, now: &Now) {
        self.last_confirmed = Some(now.stamp());
        self.decide(Outcome::Confirmed, Vec::new(), now);
    }

    /// Notes that a body was taken. The same entries under other octets are no change.
    pub fn accepted(
        &mut self,
        set: SetRef,
        validators: Option<Validators>,
        outcome: Outcome,
        reasons: Vec<String>,
        now: &Now,
    ) {
        if self.set.map(|set| set.hash) != Some(set.hash) {
            self.content_since = Some(now.stamp());
        }
        self.set = Some(set);
        self.given_away = false;
        self.forgotten = None;
        self.validators = validators;
        self.last_confirmed = Some(now.stamp());
        self.decide(outcome, reasons, now);
    }

    /// Notes that a person puts this version in service and keeps it there. What is remembered of newer bodies is
    /// forgotten: it would not be fetched again.
    pub fn pin(&mut self, set: SetRef, reason: String, now: &Now) {
        if self.set.map(|set| set.hash) != Some(set.hash) {
            self.content_since = Some(now.stamp());
            self.validators = None;
            self.dates = Dates::default();
            self.until = None;
            self.body = None;
        }
        self.passed_over.clear();
        // What was held was held against another decision.
        self.waits = false;
        (self.given_away, self.forgotten) = (false, None);
        self.set = Some(set);
        self.pinned = Some(Pin { since: now.stamp(), passed_over: None });
        self.decide(Outcome::Pinned, vec![reason], now);
    }

    /// Notes that a body was not taken, or did not come.
    pub fn not_accepted(&mut self, outcome: Outcome, reasons: Vec<String>, now: &Now) {
        self.decide(outcome, reasons, now);
    }

    fn decide(&mut self, outcome: Outcome, reasons: Vec<String>, now: &Now) {
        self.stale = if outcome == Outcome::Stale { self.stale.saturating_add(1) } else { 0 };
        if outcome.is_problem() {
            self.failures = self.failures.saturating_add(1);
        } else {
            self.failures = 0;
        }
        if outcome.is_new() || outcome == Outcome::Confirmed {
            self.told = None;
            self.waits = false;
        }
        self.waits |= outcome == Outcome::Held;
        self.decision = Some(Decision { outcome, reasons, at: now.stamp() });
    }

    /// Whether the list may still be answered from; `None` when there was never anything to answer from.
    pub fn freshness(&self, ages: &Ages, use_: Use, now: &Now) -> Option<Freshness> {
        self.set?;
        let confirmed = self.last_confirmed.as_ref()?;
        let fresh = match self.has_ended(now) {
            true if use_.can_list() => Freshness::Hard,
            true => Freshness::Soft,
            false => freshness(now.age(confirmed), ages, use_),
        };
        // A person's word stays in service, with a warning.
        Some(if fresh == Freshness::Hard && self.pinned.is_some() { Freshness::Soft } else { fresh })
    }

    /// Whether what was confirmed last, whatever became of it, is too old to be answered from.
    pub fn is_past(&self, ages: &Ages, use_: Use, now: &Now) -> bool {
        let age = self.last_confirmed.as_ref().map(|confirmed| now.age(confirmed));
        age.is_some_and(|age| freshness(age, ages, use_) == Freshness::Hard)
    }

    /// Whether the data of the current set have ended by their own words.
    pub fn has_ended(&self, now: &Now) -> bool {
        self.until.is_some_and(|end| now.stamp().wall >= end)
    }

    /// How long the content has not changed, when that is longer than it should be.
    pub fn unchanged_too_long(&self, ages: &Ages, now: &Now) -> Option<Duration> {
        let age = now.age(self.content_since.as_ref()?);
        ages.unchanged.is_some_and(|limit| age > limit).then_some(age)
    }

    /// The newest wall time that this status has seen: for [`Now::having_seen`]. Attempts alone count: they are
    /// renewed however badly a list does, so that a clock that once ran ahead is forgotten.
    pub fn newest(&self) -> i64 {
        self.last_attempt.as_ref().map_or(0, |stamp| stamp.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_data_say_of_their_age_goes_before_what_a_server_says() {
        let dates = |data, server| Dates { data, server };
        let older = |own: Dates, other: Dates| own.older_than(&other).map(|(what, ..)| what);
        assert_eq!(older(dates(Some(1), Some(9)), dates(Some(2), Some(8))), Some("a time stamp in it"));
        assert_eq!(older(dates(Some(2), Some(1)), dates(Some(2), Some(8))), None);
        assert_eq!(older(dates(None, Some(1)), dates(Some(2), Some(8))), Some("its Last-Modified"));
        assert_eq!(older(dates(Some(1), None), dates(None, Some(8))), None);
        assert_eq!(older(Dates::default(), dates(Some(2), Some(8))), None);
    }

    #[test]
    fn what_waits_and_what_was_told_end_with_a_good_version() {
        let (now, mut status) = (Now::read(), ListStatus::default());
        status.told = Some(Told { outcome: Outcome::Held, kinds: vec!["shrink".to_owned()] });
        status.not_accepted(Outcome::Held, Vec::new(), &now);
        status.not_accepted(Outcome::Rejected, Vec::new(), &now);
        assert!(status.waits && status.told.is_some() && status.failures == 2);
        for count in 1..=2 {
            status.not_accepted(Outcome::Stale, Vec::new(), &now);
            assert_eq!((status.stale, status.failures, status.waits), (count, 0, true));
        }
        status.confirmed(&now);
        assert!(!status.waits && status.told.is_none() && status.stale == 0);
        // An earlier version of this file knew nothing of them.
        let old = "{\"attempts\":1,\"failures\":0}";
        assert_eq!(
            serde_json::from_str::<ListStatus>(old).unwrap(),
            ListStatus { attempts: 1, ..ListStatus::default() }
        );
    }
}
