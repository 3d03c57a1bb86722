//! What came of a run: counts, latencies, rates.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::check::Fault;

/// Latencies above a minute count as a minute; no run waits that long.
const LONGEST: u64 = 60_000_000_000;

/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// Wrong replies that are shown whole.
const SHOWN: usize = 5;

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Questions that were sent.
    pub sent: u64,
    /// Those that were answered as they must be.
    pub right: u64,
    wrong: [u64; Fault::ALL.len()],
    /// Those that were not answered in time.
    pub lost: u64,
    /// Replies to some of the lost that came after all.
    pub late: u64,
    /// Replies to what had been answered already.
    pub twice: u64,
    /// Replies with an id that nothing was waiting for.
    pub unknown: u64,
    /// Questions that this program sent more than a millisecond after their time; open loop only. Their latency counts
    /// from the time that they were due, so it holds this delay as well.
    pub delayed: u64,
    /// Questions that were due, about, and that this program never came to send; open loop only.
    pub unsent: u64,
    /// The first wrong replies.
    pub examples: Vec<Wrong>,
    /// From the first question to the end of sending, or to the last reply if that came later.
    pub elapsed: Duration,
    /// The part of it in which this program had something to do, from 0 to 1.
    pub busy: f64,
    latency: Histogram<u64>,
}

/// A wrong reply.
#[derive(Debug, Clone)]
pub struct Wrong {
    /// The question: name and type.
    pub question: String,
    /// What is wrong.
    pub fault: Fault,
    /// The response code that came, and the number of answers, if so much can be read.
    pub came: Option<(u8, u16)>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("bounds and digits are sound");
        Self {
            sent: 0,
            right: 0,
            wrong: Default::default(),
            lost: 0,
            late: 0,
            twice: 0,
            unknown: 0,
            delayed: 0,
            unsent: 0,
            examples: Vec::new(),
            elapsed: Duration::ZERO,
            busy: 0.0,
            latency,
        }
    }

    pub(super) fn right(&mut self, latency: u64) {
        self.right += 1;
        self.latency.saturating_record(latency.max(1));
    }

    /// `example` is asked for as long as there are few.
    pub(super) fn wrong(&mut self, fault: Fault, latency: u64, example: impl FnOnce() -> Wrong) {
        self.wrong[fault as usize] += 1;
        self.latency.saturating_record(latency.max(1));
        if self.examples.len() < SHOWN {
            self.examples.push(example());
        }
    }

    /// Wrong replies of each kind, those without any left out.
    pub fn faults(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        Fault::ALL.into_iter().zip(self.wrong).filter(|(_, count)| *count > 0)
    }

    /// All wrong replies.
    pub fn wrong_total(&self) -> u64 {
        self.wrong.iter().sum()
    }

    /// Questions with an answer in time, right or wrong.
    pub fn answered(&self) -> u64 {
        self.right + self.wrong_total()
    }

    /// Whether every question was answered, rightly and in time, and nothing else came.
    pub fn is_clean(&self) -> bool {
        self.wrong_total() + self.lost + self.unknown == 0
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.answered() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency that this share of the answers did not exceed.
    pub fn latency(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.latency.value_at_quantile(quantile))
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.latency.max())
    }

    /// The mean.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.latency.mean() as u64)
    }
}
