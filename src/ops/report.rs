//! What a sync tells while it runs, as values that cross a pipe: one JSON object a line.
//!
//! [`EventLines`] writes them in the sync process, [`SyncChild`](super::SyncChild) reads them in the one that started
//! it. [`Report::sentence`] is the one wording for terminals, plain lines and logs.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::store::Outcome;
use crate::sync::{Event, ListReport, Watcher};

/// Progress of one list is passed on so often at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Something that happened in a sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Report {
    /// A list is being asked for.
    Started {
        /// Its name.
        list: String,
    },
    /// A body is on its way.
    Progress {
        /// The list.
        list: String,
        /// Octets so far.
        received: u64,
        /// Octets in all, when the source says so.
        total: Option<u64>,
    },
    /// A line could not be read.
    BadLine {
        /// The list.
        list: String,
        /// File, line, column, reason and the line's beginning.
        what: String,
        /// It stands in a file of the operator's.
        #[serde(default)]
        own: bool,
    },
    /// A list is done with.
    List(ListDone),
    /// A zone was compiled.
    Zone {
        /// Its origin.
        origin: String,
        /// Its content is new.
        changed: bool,
        /// Why it could not be compiled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// A generation is in service.
    Published {
        /// Its number.
        number: u64,
    },
    /// Lists are due, but everybody asks at this time: whoever syncs again after so long fetches them.
    ComeBack {
        /// In seconds.
        seconds: u64,
    },
    /// Another sync is at work; this one did nothing.
    Busy {
        /// What is known of the other one.
        by: String,
    },
    /// The sync could not go on.
    Failed {
        /// Why.
        why: String,
    },
}

/// What became of a list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ListDone {
    /// Its name.
    pub list: String,
    /// In a word; `None`: it was not asked for.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reasons: Vec<String>,
    /// It was held or refused for the same reasons before, and that was told.
    #[serde(default)]
    pub again: bool,
    /// Entries of the current set; `None` when there was never one.
    pub entries: Option<u64>,
    /// Lines that could not be read.
    pub bad_lines: u64,
    /// Addresses and other entries that came.
    pub added: u64,
    /// Those that went.
    pub removed: u64,
    /// Not asked for: for so many seconds.
    pub waits: Option<u64>,
    /// Because of this.
    pub wait_for: Option<String>,
}

/// How much a person should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Of interest to who watches closely.
    Detail,
    /// News.
    News,
    /// Something is wrong.
    Problem,
}

impl From<&ListReport> for ListDone {
    fn from(report: &ListReport) -> Self {
        let diff = report.diff.unwrap_or_default();
        Self {
            list: report.list.to_string(),
            outcome: report.outcome,
            reasons: report.reasons.clone(),
            again: report.again,
            entries: report.entries,
            bad_lines: report.bad_lines,
            added: diff.v4_added + diff.other_added,
            removed: diff.v4_removed + diff.other_removed,
            waits: report.waits.map(|(seconds, _)| seconds),
            wait_for: report.waits.map(|(_, why)| why.to_owned()),
        }
    }
}

impl From<&Event<'_>> for Report {
    fn from(event: &Event<'_>) -> Self {
        match *event {
            Event::Started { list } => Self::Started { list: list.to_string() },
            Event::Progress { list, received, total } => {
                Self::Progress { list: list.to_string(), received, total }
            }
            Event::BadLine { list, file, diag } => Self::BadLine {
                list: list.to_string(),
                what: file.map_or_else(|| diag.to_string(), |file| format!("{}, {diag}", file.display())),
                own: file.is_some(),
            },
            Event::List(report) => Self::List(report.into()),
            Event::Zone(report) => Self::Zone {
                origin: report.origin.to_string(),
                changed: report.changed,
                trouble: report.trouble.clone(),
            },
            Event::Published { number } => Self::Published { number },
        }
    }
}

impl Report {
    /// It in one line, and how much it matters; `None` for what only a progress bar shows.
    pub fn sentence(&self) -> Option<(Weight, String)> {
        Some(match self {
            Self::Started { .. } | Self::Progress { .. } => return None,
            Self::BadLine { list, what, .. } => (Weight::Detail, format!("{list}: left out {what}")),
            Self::List(done) => done.sentence(),
            Self::Zone { origin, trouble: Some(why), .. } => {
                (Weight::Problem, format!("{origin}: not compiled: {why}"))
            }
            Self::Zone { origin, changed: true, .. } => (Weight::Detail, format!("{origin}: compiled")),
            Self::Zone { origin, changed: false, .. } => {
                (Weight::Detail, format!("{origin}: compiled, its answers are the same"))
            }
            Self::Published { number } => (Weight::Detail, format!("generation {number} is in service")),
            Self::ComeBack { seconds } => {
                let text = format!(
                    "everybody asks at the hour and half hour: the rest follows in {seconds} seconds"
                );
                (Weight::Detail, text)
            }
            Self::Busy { by } if by.is_empty() => (Weight::News, "a sync is running already".to_owned()),
            Self::Busy { by } => (Weight::News, format!("a sync is running already ({by})")),
            Self::Failed { why } => (Weight::Problem, format!("the sync cannot go on: {why}")),
        })
    }
}

impl ListDone {
    /// It was held, refused or not reached.
    pub fn is_problem(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_problem)
    }

    fn sentence(&self) -> (Weight, String) {
        let (weight, text) = self.outcome_sentence();
        (weight, format!("{}: {text}", self.list))
    }

    /// What became of it, without its name.
    pub fn outcome_sentence(&self) -> (Weight, String) {
        let entries = self.entries.map_or_else(|| "nothing yet".to_owned(), count_entries);
        let reasons = without_name(&self.list, &self.reasons).join("; ");
        let stays = match self.entries {
            Some(entries) => format!("the last good version stays ({})", count_entries(entries)),
            None => "there is no earlier version".to_owned(),
        };
        let bad = match self.bad_lines {
            0 => String::new(),
            1 => ", 1 unreadable line left out".to_owned(),
            lines => format!(", {} unreadable lines left out", grouped(lines)),
        };
        let change = match (self.added, self.removed) {
            (0, 0) => String::new(),
            (added, 0) => format!(", +{} listed", grouped(added)),
            (0, removed) => format!(", -{} listed", grouped(removed)),
            (added, removed) => format!(", +{} -{} listed", grouped(added), grouped(removed)),
        };
        match self.outcome {
            None => match (self.waits, &self.wait_for) {
                (Some(seconds), Some(why)) => {
                    let wait = short_duration(Duration::from_secs(seconds));
                    (Weight::Detail, format!("not asked for another {wait}: {why}"))
                }
                _ => (Weight::Detail, format!("nothing to do, {entries}")),
            },
            Some(Outcome::Accepted) if self.reasons.is_empty() => {
                (Weight::News, format!("{entries}{change}{bad}"))
            }
            Some(Outcome::Accepted) => (Weight::News, format!("{entries}{change}{bad}; {reasons}")),
            Some(Outcome::Trimmed) => {
                (Weight::News, format!("{entries}{change}{bad}, some not taken: {reasons}"))
            }
            Some(Outcome::Confirmed) => (Weight::News, format!("unchanged, {entries}")),
            Some(Outcome::Stale) => (Weight::Detail, format!("{reasons}; {stays}")),
            Some(Outcome::Pinned) => (Weight::News, format!("{reasons}{change}, {entries}")),
            // Told once; who asks is told again.
            Some(Outcome::Held) if self.again => (Weight::Detail, format!("still held: {reasons}; {stays}")),
            Some(Outcome::Rejected) if self.again => {
                (Weight::Detail, format!("refused again: {reasons}; {stays}"))
            }
            Some(Outcome::Held) => (Weight::Problem, format!("held: {reasons}; {stays}")),
            Some(Outcome::Rejected) => (Weight::Problem, format!("refused: {reasons}; {stays}")),
            Some(Outcome::Failed) => (Weight::Problem, format!("failed: {reasons}; {stays}")),
        }
    }
}

fn count_entries(entries: u64) -> String {
    match entries {
        1 => "1 entry".to_owned(),
        many => format!("{} entries", grouped(many)),
    }
}

/// Reasons without the list's name before them, for lines that begin with it.
pub fn without_name<'a>(list: &str, reasons: &'a [String]) -> Vec<&'a str> {
    let cut = |reason: &'a String| {
        let rest = reason.strip_prefix(list).and_then(|rest| rest.strip_prefix(": "));
        rest.unwrap_or(reason)
    };
    reasons.iter().map(cut).collect()
}

/// A number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration as people say it: its largest unit, and the next one while the largest is a single digit.
pub fn short_duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let seconds = duration.as_secs();
    let Some(at) = UNITS.iter().position(|(size, _)| seconds >= *size) else { return "0s".to_owned() };
    let (size, unit) = UNITS[at];
    let (whole, rest) = (seconds / size, seconds % size);
    match UNITS.get(at + 1) {
        Some((smaller, name)) if whole < 10 && rest >= *smaller => {
            format!("{whole}{unit} {}{name}", rest / smaller)
        }
        _ => format!("{whole}{unit}"),
    }
}

/// A [`Watcher`] that writes reports as lines of JSON.
#[derive(Debug)]
pub struct EventLines<W>(Mutex<Lines<W>>);

#[derive(Debug)]
struct Lines<W> {
    out: W,
    /// When each list's progress was last written.
    progress: HashMap<String, Instant>,
}

impl<W: Write> EventLines<W> {
    /// To `out`.
    pub fn new(out: W) -> Self {
        Self(Mutex::new(Lines { out, progress: HashMap::new() }))
    }

    /// Writes one. An error means that nobody reads any more; the sync goes on and the store is what counts.
    pub fn write(&self, report: &Report) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Report::Progress { list, .. } = report {
            let now = Instant::now();
            let last = lines.progress.insert(list.clone(), now);
            if let Some(last) = last
                && now.duration_since(last) < PROGRESS_EVERY
            {
                lines.progress.insert(list.clone(), last);
                return;
            }
        }
        if let Ok(mut line) = serde_json::to_vec(report) {
            line.push(b'\n');
            let _ = lines.out.write_all(&line).and_then(|()| lines.out.flush());
        }
    }
}

impl<W: Write + Send> Watcher for EventLines<W> {
    fn event(&self, event: &Event<'_>) {
        self.write(&event.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(outcome: Outcome) -> ListDone {
        ListDone { list: "psbl".to_owned(), outcome: Some(outcome), ..ListDone::default() }
    }

    #[test]
    fn sentences() {
        let accepted = ListDone {
            entries: Some(12_345),
            added: 120,
            removed: 3,
            bad_lines: 1,
            ..done(Outcome::Accepted)
        };
        let text = |done: &ListDone| done.outcome_sentence().1;
        assert_eq!(text(&accepted), "12,345 entries, +120 -3 listed, 1 unreadable line left out");
        let failed = ListDone { reasons: vec!["connection refused".to_owned()], ..done(Outcome::Failed) };
        assert_eq!(text(&failed), "failed: connection refused; there is no earlier version");
        assert_eq!(failed.outcome_sentence().0, Weight::Problem);
        let held = ListDone { reasons: vec!["too few".to_owned()], entries: Some(1), ..done(Outcome::Held) };
        assert_eq!(text(&held), "held: too few; the last good version stays (1 entry)");
        let again = ListDone { again: true, ..held };
        assert_eq!(
            again.outcome_sentence(),
            (Weight::Detail, "still held: too few; the last good version stays (1 entry)".to_owned())
        );
        let waits =
            ListDone { waits: Some(2405), wait_for: Some("the floor".to_owned()), ..ListDone::default() };
        assert_eq!(text(&waits), "not asked for another 40m: the floor");
    }

    #[test]
    fn reports_survive_the_pipe() {
        let reports = [
            Report::Started { list: "psbl".to_owned() },
            Report::List(ListDone { entries: Some(1), ..done(Outcome::Trimmed) }),
            Report::Published { number: 7 },
        ];
        let lines = EventLines::new(Vec::new());
        reports.iter().for_each(|report| lines.write(report));
        let text = String::from_utf8(lines.0.into_inner().unwrap().out).unwrap();
        let read: Vec<Report> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, reports);
    }

    #[test]
    fn progress_is_thinned_out_list_by_list() {
        let lines = EventLines::new(Vec::new());
        for list in ["a", "b", "a", "a"] {
            lines.write(&Report::Progress { list: list.to_owned(), received: 1, total: None });
        }
        let text = String::from_utf8(lines.0.into_inner().unwrap().out).unwrap();
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn numbers_and_durations() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let short = |seconds| short_duration(Duration::from_secs(seconds));
        assert_eq!(short(0), "0s");
        assert_eq!(short(59), "59s");
        assert_eq!(short(61), "1m 1s");
        assert_eq!(short(3600), "1h");
        assert_eq!(short(3 * 3600 + 120), "3h 2m");
        assert_eq!(short(15 * 3600 + 120), "15h");
        assert_eq!(short(2 * 86_400 + 3600), "2d 1h");
        assert_eq!(short(20 * 86_400), "20d");
    }
}
