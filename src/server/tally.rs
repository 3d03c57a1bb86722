//! What is counted for each zone, thread by thread, so that no two share a cache line.
//!
//! Counts belong to the origin and outlive the [`World`](super::World) that a zone is served in: whoever builds a world
//! takes each zone's [`Tally`] from the one [`Tallies`] of the server.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::Name;
use crate::wire::Rcode;

/// The counts of all zones of a server, by origin.
#[derive(Debug, Clone, Default)]
pub struct Tallies {
    zones: Arc<Mutex<BTreeMap<Name, Arc<Tally>>>>,
    rows: usize,
}

/// The counts of one zone: a row for each thread that answers.
#[derive(Debug, Default)]
pub struct Tally {
    rows: Box<[Row]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Row {
    queries: AtomicU64,
    noerror: AtomicU64,
    nxdomain: AtomicU64,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
}

/// Replies and what they took. Other response codes than these two are the difference to `queries`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Queries that got a reply.
    pub queries: u64,
    /// Replies that say NOERROR.
    pub noerror: u64,
    /// Replies that say NXDOMAIN.
    pub nxdomain: u64,
    /// Octets of the queries.
    pub octets_in: u64,
    /// Octets of the replies.
    pub octets_out: u64,
}

impl Tallies {
    /// For so many threads that answer.
    pub(super) fn new(rows: usize) -> Self {
        Self { zones: Arc::default(), rows }
    }

    /// How many threads they are for.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The counts of the zone with this origin.
    pub(super) fn of(&self, origin: &Name) -> Arc<Tally> {
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(zones.entry(origin.clone()).or_insert_with(|| Arc::new(self.blank())))
    }

    /// A tally that belongs to no zone.
    pub(super) fn blank(&self) -> Tally {
        Tally { rows: (0..self.rows).map(|_| Row::default()).collect() }
    }

    /// What has been counted so far, by origin.
    pub fn traffic(&self) -> BTreeMap<Name, Traffic> {
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        zones.iter().map(|(origin, tally)| (origin.clone(), tally.traffic())).collect()
    }
}

impl Tally {
    /// Counts a reply. Row `row` belongs to the calling thread alone.
    pub(super) fn note(&self, row: usize, rcode: Rcode, octets_in: usize, octets_out: usize) {
        self.note_with(row, rcode, octets_in, octets_out, |counter, n| {
            // No other thread writes, so no locked instruction is needed.
            counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        });
    }

    /// The same in a row that several threads share.
    pub(super) fn note_shared(&self, row: usize, rcode: Rcode, octets_in: usize, octets_out: usize) {
        self.note_with(row, rcode, octets_in, octets_out, |counter, n| {
            counter.fetch_add(n, Ordering::Relaxed);
        });
    }

    fn note_with(
        &self,
        row: usize,
        rcode: Rcode,
        octets_in: usize,
        octets_out: usize,
        add: impl Fn(&AtomicU64, u64),
    ) {
        // A world that no server serves counts nothing.
        let Some(row) = self.rows.get(row) else { return };
        add(&row.queries, 1);
        match rcode {
            Rcode::NOERROR => add(&row.noerror, 1),
            Rcode::NXDOMAIN => add(&row.nxdomain, 1),
            _ => {}
        }
        add(&row.octets_in, octets_in as u64);
        add(&row.octets_out, octets_out as u64);
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.rows.iter().map(Row::traffic).sum()
    }
}

impl Row {
    fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            queries: read(&self.queries),
            noerror: read(&self.noerror),
            nxdomain: read(&self.nxdomain),
            octets_in: read(&self.octets_in),
            octets_out: read(&self.octets_out),
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.queries += other.queries;
        self.noerror += other.noerror;
        self.nxdomain += other.nxdomain;
        self.octets_in += other.octets_in;
        self.octets_out += other.octets_out;
    }
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

/// What has been counted since `earlier`.
impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            queries: self.queries.saturating_sub(earlier.queries),
            noerror: self.noerror.saturating_sub(earlier.noerror),
            nxdomain: self.nxdomain.saturating_sub(earlier.nxdomain),
            octets_in: self.octets_in.saturating_sub(earlier.octets_in),
            octets_out: self.octets_out.saturating_sub(earlier.octets_out),
        }
    }
}
