//! What is written down about each packet: counters, the zone's and the server's traffic, the query log, the hit log.
//!
//! [`Books`] belong to one UDP worker, [`SharedBooks`] to all streams together. Never: locks or system calls for a
//! packet of a worker (the query log, when there is one, costs a lock a batch).

use std::net::IpAddr;
use std::sync::Arc;

use super::hit_log::{Pen, Shelves};
use super::query_log::{self, QueryLog};
use super::respond::{Moment, Outcome};
use super::stats::{Counters, Dropped};
use super::tally::Tally;
use crate::wire::Rcode;

/// The books of one worker.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) counters: Arc<Counters>,
    /// The worker's row in every tally.
    pub(super) row: usize,
    /// Others count there as well.
    pub(super) shares_row: bool,
    /// All zones, and what lies outside of them.
    pub(super) total: Arc<Tally>,
    pub(super) log: Option<Arc<QueryLog>>,
    /// Lines of the batch that is being answered.
    pub(super) lines: Vec<u8>,
    /// For the hit log, when there is one.
    pub(super) hits: Option<Pen>,
}

/// The books of all streams.
#[derive(Debug, Clone)]
pub(super) struct SharedBooks {
    pub(super) counters: Arc<Counters>,
    pub(super) row: usize,
    pub(super) total: Arc<Tally>,
    pub(super) log: Option<Arc<QueryLog>>,
    pub(super) hits: Arc<Shelves>,
}

impl Books {
    /// What became of a packet of so many octets; `reply` is as long as the outcome says.
    pub(super) fn note(
        &mut self,
        at: Moment,
        client: IpAddr,
        outcome: &Outcome<'_>,
        octets: usize,
        reply: &[u8],
    ) {
        self.counters.note(outcome);
        let Outcome::Reply { encoded, listed, zone } = outcome else { return };
        self.note_traffic(&self.total, encoded.rcode, octets, reply.len());
        if let Some(zone) = zone {
            self.note_traffic(zone, encoded.rcode, octets, reply.len());
        }
        if self.log.is_some() {
            query_log::line(&mut self.lines, client, reply);
        }
        if let Some(hits) = self.hits.as_mut().filter(|_| *listed) {
            hits.note(at.wall, client, reply);
        }
    }

    fn note_traffic(&self, tally: &Tally, rcode: Rcode, octets_in: usize, octets_out: usize) {
        if self.shares_row {
            tally.note_shared(self.row, rcode, octets_in, octets_out);
        } else {
            tally.note(self.row, rcode, octets_in, octets_out);
        }
    }

    /// A packet without a reply.
    pub(super) fn note_dropped(&self, why: Dropped) {
        self.counters.note_dropped(why);
    }

    /// A batch has been answered, or none came.
    pub(super) fn close_batch(&mut self) {
        self.counters.note_turn();
        if let Some(log) = self.log.as_ref().filter(|_| !self.lines.is_empty()) {
            log.put(&self.lines);
            self.lines.clear();
        }
        if let Some(hits) = &mut self.hits {
            hits.put();
        }
    }
}

impl SharedBooks {
    /// A reply to a message of so many octets. That there was one is counted by whoever made it.
    pub(super) fn note_traffic(&self, client: IpAddr, zone: Option<&Tally>, octets: usize, reply: &[u8]) {
        let Some(flags) = reply.get(3) else { return };
        let rcode = Rcode(u16::from(flags & 0x0f));
        for tally in std::iter::once(&*self.total).chain(zone) {
            tally.note_shared(self.row, rcode, octets, reply.len());
        }
        if let Some(log) = &self.log {
            let mut line = Vec::new();
            query_log::line(&mut line, client, reply);
            log.put(&line);
        }
    }

    /// A reply that says that something is listed.
    pub(super) fn note_listed(&self, client: IpAddr, reply: &[u8]) {
        self.hits.note(self.row, Moment::now().wall, client, reply);
    }
}
