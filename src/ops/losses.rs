//! Questions that got no reply, in words: a line now and then while it happens, and one for each transport with the statistics.
//!
//! Read [`Losses`]. Never: counting, which the server does.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::server::{Counts, Dropped, Stats};
use crate::wire::Silence;

/// How often something is said of them.
const TELL: Duration = Duration::from_secs(60);

/// Tells of what an administrator can do something about: receive buffers that overflow, and networks above the rate limit.
#[derive(Debug)]
pub(super) struct Losses {
    overflowed: u64,
    limited: u64,
    due: Instant,
}

impl Losses {
    /// Nothing has been lost at the start.
    pub(super) fn from_start() -> Self {
        Self { overflowed: 0, limited: 0, due: Instant::now() + TELL }
    }

    /// When to look again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Looks at what was lost since the last time, when it is time for that.
    pub(super) fn look(&mut self, now: Instant, stats: impl FnOnce() -> Stats) {
        if now < self.due {
            return;
        }
        self.due = now + TELL;
        let stats = stats();
        let (overflowed, limited) = (stats.overflowed.unwrap_or(0), count(&stats.udp, Dropped::Limited));
        if overflowed > self.overflowed {
            tracing::warn!(
                questions = overflowed - self.overflowed,
                "thrown away by the system in the last minute: the receive buffers were full \
                 (see `net.core.rmem_max` in deploy/sysctl.d, and `workers`)"
            );
        }
        if limited > self.limited {
            tracing::info!(
                questions = limited - self.limited,
                "got no reply in the last minute: their networks are above `rate-limit`"
            );
        }
        (self.overflowed, self.limited) = (overflowed, limited);
    }
}

/// A line for each transport that was used: what came since the start, and what of it got no reply for which reason.
pub(super) fn lines(stats: &Stats) -> Vec<String> {
    let transports = [
        ("udp", &stats.udp, stats.overflowed.unwrap_or(0)),
        ("tcp", &stats.tcp, 0),
        ("dot", &stats.dot, 0),
        ("doh", &stats.doh, 0),
    ];
    let used = transports.into_iter().filter(|(_, counts, overflowed)| {
        counts.queries > 0 || *overflowed > 0 || counts.dropped.iter().any(|(_, count)| *count > 0)
    });
    used.map(|(name, counts, overflowed)| {
        let Counts { queries, hits, truncated, dropped, .. } = counts;
        let mut line = format!("stats since start {name}: tot={queries} hit={hits} tc={truncated}");
        let dropped = dropped.iter().map(|(why, count)| (word(*why), *count));
        for (why, count) in dropped.chain([("overflowed", overflowed)]).filter(|(_, count)| *count > 0) {
            let _ = write!(line, " {why}={count}");
        }
        line
    })
    .collect()
}

/// The word for a reason in [`lines`]: docs/logs.md explains them.
fn word(why: Dropped) -> &'static str {
    match why {
        Dropped::Silent(Silence::Short) => "short",
        Dropped::Silent(Silence::Response) => "response",
        Dropped::Silent(Silence::Question) => "malformed",
        Dropped::Denied => "denied",
        Dropped::Limited => "limited",
        Dropped::SourcePort => "port-zero",
        Dropped::Send => "unsent",
        Dropped::Connections => "turned-away",
        Dropped::Connection => "broken",
        Dropped::Handshake => "handshake",
        Dropped::Request => "bad-request",
    }
}

fn count(counts: &Counts, why: Dropped) -> u64 {
    counts.dropped.iter().find(|(known, _)| *known == why).map_or(0, |&(_, count)| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is() {
        let dropped = vec![(Dropped::Silent(Silence::Short), 0), (Dropped::Limited, 7), (Dropped::Denied, 1)];
        let udp = Counts { queries: 20, hits: 3, truncated: 1, dropped, ..Counts::default() };
        let dropped = vec![(Dropped::Connections, 2)];
        let dot = Counts { dropped, ..Counts::default() };
        let stats = Stats { udp, dot, overflowed: Some(5), ..Stats::default() };
        assert_eq!(
            lines(&stats),
            [
                "stats since start udp: tot=20 hit=3 tc=1 limited=7 denied=1 overflowed=5",
                "stats since start dot: tot=0 hit=0 tc=0 turned-away=2",
            ]
        );
        assert!(lines(&Stats::default()).is_empty());
    }

    #[test]
    fn once_a_minute() {
        let mut losses = Losses::from_start();
        let start = losses.due();
        losses.look(start - Duration::from_millis(1), || unreachable!("not yet"));
        let stats = Stats { overflowed: Some(5), ..Stats::default() };
        losses.look(start, || stats.clone());
        assert_eq!((losses.overflowed, losses.due()), (5, start + TELL));
    }
}
