//! Traffic by zone in a line: for the log, and for a statistics file as rbldnsd writes it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use crate::model::Name;
use crate::server::{Stats, Traffic};

/// Counts since a moment that can be moved.
#[derive(Debug)]
pub struct Statistics {
    since: Instant,
    total: Traffic,
    zones: BTreeMap<Name, Traffic>,
}

impl Statistics {
    /// Since the server began to count.
    pub fn from_start() -> Self {
        Self { since: Instant::now(), total: Traffic::default(), zones: BTreeMap::new() }
    }

    /// From now on counts start at zero.
    pub fn reset(&mut self, now: &Stats) {
        *self = Self { since: Instant::now(), total: now.total, zones: now.zones.clone() };
    }

    /// Lines for the log: each of `zones` in this order, and all.
    pub fn lines(&self, now: &Stats, zones: &[Name]) -> Vec<String> {
        let seconds = self.since.elapsed().as_secs();
        let line = |what: &str, traffic: Traffic| {
            let Traffic { queries, noerror, nxdomain, octets_in, octets_out } = traffic;
            let other = queries.saturating_sub(noerror + nxdomain);
            format!(
                "stats for {seconds}sec{what}: tot={queries} ok={noerror} nxd={nxdomain} err={other} \
                 in={octets_in} out={octets_out}"
            )
        };
        let zones = zones.iter().map(|zone| line(&format!("s zone {zone}"), self.zone(now, zone)));
        zones.chain([line("", now.total - self.total)]).collect()
    }

    /// The line of a statistics file: `epoch zone:total:ok:nxdomain:in:out … *:…`.
    pub fn record(&self, now: &Stats, zones: &[Name], epoch: i64) -> String {
        let mut line = epoch.to_string();
        let mut add = |name: &str, traffic: Traffic| {
            let Traffic { queries, noerror, nxdomain, octets_in, octets_out } = traffic;
            let _ = write!(line, " {name}:{queries}:{noerror}:{nxdomain}:{octets_in}:{octets_out}");
        };
        zones.iter().for_each(|zone| add(&zone.to_string(), self.zone(now, zone)));
        add("*", now.total - self.total);
        line
    }

    fn zone(&self, now: &Stats, zone: &Name) -> Traffic {
        let of = |zones: &BTreeMap<Name, Traffic>| zones.get(zone).copied().unwrap_or_default();
        of(&now.zones) - of(&self.zones)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_rbldnsd_writes_them() {
        let zones: Vec<Name> = ["z.example", "n.example"].iter().map(|name| name.parse().unwrap()).collect();
        let z = Traffic { queries: 7, noerror: 5, nxdomain: 1, octets_in: 400, octets_out: 528 };
        let total = Traffic { queries: 12, ..z };
        let now = Stats { total, zones: BTreeMap::from([(zones[0].clone(), z)]), ..Stats::default() };
        let mut statistics = Statistics::from_start();
        assert_eq!(
            statistics.record(&now, &zones, 17),
            "17 z.example:7:5:1:400:528 n.example:0:0:0:0:0 *:12:5:1:400:528"
        );
        assert_eq!(
            statistics.lines(&now, &zones)[0],
            "stats for 0secs zone z.example: tot=7 ok=5 nxd=1 err=1 in=400 out=528"
        );
        assert_eq!(
            statistics.lines(&now, &zones)[2],
            "stats for 0sec: tot=12 ok=5 nxd=1 err=6 in=400 out=528"
        );
        statistics.reset(&now);
        assert_eq!(statistics.record(&now, &zones[..1], 18), "18 z.example:0:0:0:0:0 *:0:0:0:0:0");
    }
}
