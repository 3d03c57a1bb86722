//! What the server counts, without sharing a cache line between threads.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::books::{Books, SharedBooks};
use super::hit_log::{Pen, Shelves};
use super::query_log::QueryLog;
use super::respond::Outcome;
use super::stream::StreamBooks;
use super::tally::{Tallies, Tally, Traffic};
use super::udp::drops;
use crate::model::Name;
use crate::wire::{Rcode, Silence};

/// Response codes that are counted: all that are ever sent.
const RCODES: [Rcode; 7] = [
    Rcode::NOERROR,
    Rcode::FORMERR,
    Rcode::SERVFAIL,
    Rcode::NXDOMAIN,
    Rcode::NOTIMP,
    Rcode::REFUSED,
    Rcode::BADVERS,
];

/// Why a packet or connection got no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// The packet deserves none.
    Silent(Silence),
    /// An access list says so.
    Denied,
    /// Its network has had as many replies as it may have.
    Limited,
    /// It claims to come from port 0.
    SourcePort,
    /// The reply could not be sent.
    Send,
    /// A connection above the caps.
    Connections,
    /// A connection that took too long or broke.
    Connection,
    /// A TLS handshake that took too long or came to nothing.
    Handshake,
    /// A request over HTTPS without a DNS message in it.
    Request,
}

const DROPPED: [Dropped; 11] = [
    Dropped::Silent(Silence::Short),
    Dropped::Silent(Silence::Response),
    Dropped::Silent(Silence::Question),
    Dropped::Denied,
    Dropped::Limited,
    Dropped::SourcePort,
    Dropped::Send,
    Dropped::Connections,
    Dropped::Connection,
    Dropped::Handshake,
    Dropped::Request,
];

/// Counters of one thread, or of all streams of a kind. On cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters {
    queries: AtomicU64,
    hits: AtomicU64,
    truncated: AtomicU64,
    rcodes: [AtomicU64; RCODES.len()],
    dropped: [AtomicU64; DROPPED.len()],
}

/// All counters of a server.
#[derive(Debug)]
pub(super) struct Board {
    workers: Vec<Arc<Counters>>,
    /// The workers' sockets, for what the system counts.
    sockets: Vec<OwnedFd>,
    tcp: Arc<Counters>,
    dot: Arc<Counters>,
    doh: Arc<Counters>,
    total: Arc<Tally>,
    tallies: Tallies,
    log: Option<Arc<QueryLog>>,
    /// None without a hit log.
    hits: Arc<Shelves>,
}

/// What a server has counted since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Over UDP.
    pub udp: Counts,
    /// Packets that the system threw away before a worker saw them: its receive buffer was full. `None` where it does
    /// not tell.
    pub overflowed: Option<u64>,
    /// Listings that the hit log lacks: it was written too slowly, or could not be.
    pub unlogged: u64,
    /// Over TCP.
    pub tcp: Counts,
    /// Over TLS.
    pub dot: Counts,
    /// Over HTTPS.
    pub doh: Counts,
    /// Replies of all transports.
    pub total: Traffic,
    /// And of those the ones about each zone, by origin.
    pub zones: BTreeMap<Name, Traffic>,
}

/// Counts of one transport.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets or messages that came.
    pub queries: u64,
    /// Replies that say "listed" (also for types that are not there).
    pub hits: u64,
    /// Replies with TC.
    pub truncated: u64,
    /// Replies by response code.
    pub rcodes: Vec<(Rcode, u64)>,
    /// What got no reply, by reason.
    pub dropped: Vec<(Dropped, u64)>,
}

impl Counters {
    /// Counts what became of a packet. For the one thread that owns these counters.
    pub(super) fn note(&self, outcome: &Outcome<'_>) {
        self.note_with(outcome, |counter| {
            // No other thread writes, so no locked instruction is needed.
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        });
    }

    /// The same where several threads count.
    pub(super) fn note_shared(&self, outcome: &Outcome<'_>) {
        self.note_with(outcome, |counter| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Counts a packet or connection without a reply, from any thread.
    pub(super) fn note_dropped(&self, why: Dropped) {
        if let Some(at) = DROPPED.iter().position(|&known| known == why) {
            self.dropped[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn note_with(&self, outcome: &Outcome<'_>, add: impl Fn(&AtomicU64)) {
        add(&self.queries);
        match outcome {
            Outcome::Silent(why) => self.note_dropped(Dropped::Silent(*why)),
            Outcome::Denied => self.note_dropped(Dropped::Denied),
            Outcome::Limited => self.note_dropped(Dropped::Limited),
            Outcome::Reply { encoded, listed, .. } => {
                if let Some(at) = RCODES.iter().position(|&known| known == encoded.rcode) {
                    add(&self.rcodes[at]);
                }
                if *listed {
                    add(&self.hits);
                }
                if encoded.truncated {
                    add(&self.truncated);
                }
            }
        }
    }
}

impl Board {
    /// For a worker on each of `sockets`; each has a row in `tallies`, and all streams together have the last.
    pub(super) fn new(
        sockets: Vec<OwnedFd>,
        tallies: Tallies,
        log: Option<Arc<QueryLog>>,
        logs_hits: bool,
    ) -> Self {
        let workers: Vec<_> = sockets.iter().map(|_| Arc::default()).collect();
        let hits = Arc::new(Shelves::new(if logs_hits { workers.len() + 1 } else { 0 }));
        let total = Arc::new(tallies.blank());
        let [tcp, dot, doh] = Default::default();
        Self { workers, sockets, tcp, dot, doh, total, tallies, log, hits }
    }

    pub(super) fn worker(&self, index: usize) -> Books {
        Books {
            counters: Arc::clone(&self.workers[index]),
            row: index,
            total: Arc::clone(&self.total),
            log: self.log.clone(),
            lines: Vec::new(),
            hits: Pen::new(&self.hits, index),
        }
    }

    pub(super) fn streams(&self) -> StreamBooks {
        let books = |counters: &Arc<Counters>| SharedBooks {
            counters: Arc::clone(counters),
            row: self.workers.len(),
            total: Arc::clone(&self.total),
            log: self.log.clone(),
            hits: Arc::clone(&self.hits),
        };
        StreamBooks { tcp: books(&self.tcp), dot: books(&self.dot), doh: books(&self.doh) }
    }

    /// Where listings lie that are to be written down.
    pub(super) fn hits(&self) -> &Arc<Shelves> {
        &self.hits
    }

    pub(super) fn stats(&self) -> Stats {
        let one = |counters| sum(std::slice::from_ref(counters));
        let overflowed = self.sockets.iter().map(|socket| drops(socket.as_fd()).map(u64::from)).sum();
        Stats {
            udp: sum(&self.workers),
            overflowed,
            unlogged: self.hits.lost(),
            tcp: one(&self.tcp),
            dot: one(&self.dot),
            doh: one(&self.doh),
            total: self.total.traffic(),
            zones: self.tallies.traffic(),
        }
    }
}

fn sum(counters: &[Arc<Counters>]) -> Counts {
    let total = |pick: &dyn Fn(&Counters) -> &AtomicU64| -> u64 {
        counters.iter().map(|one| pick(one).load(Ordering::Relaxed)).sum()
    };
    Counts {
        queries: total(&|one| &one.queries),
        hits: total(&|one| &one.hits),
        truncated: total(&|one| &one.truncated),
        rcodes: RCODES
            .iter()
            .enumerate()
            .map(|(at, &rcode)| (rcode, total(&|one| &one.rcodes[at])))
            .collect(),
        dropped: DROPPED.iter().enumerate().map(|(at, &why)| (why, total(&|one| &one.dropped[at]))).collect(),
    }
}
