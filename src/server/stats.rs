//! What the server counts, without sharing a cache line between threads.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::SockRef;

use super::books::{Books, SharedBooks};
use super::hit_log::{Pen, Shelves};
use super::pulse::{Sign, Thread};
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
    /// A connection above the caps, or one that gave its place to another.
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
    /// Of the worker's loop.
    turns: AtomicU64,
    queries: AtomicU64,
    hits: AtomicU64,
    truncated: AtomicU64,
    rcodes: [AtomicU64; RCODES.len()],
    dropped: [AtomicU64; DROPPED.len()],
}

/// All counters of a server.
#[derive(Debug)]
pub(super) struct Board {
    /// One for each worker; those that a worker has left go to the next one that comes.
    seats: Mutex<Vec<Seat>>,
    /// Rows in each tally, and shelves of the hit log. The last is shared.
    rows: usize,
    tcp: Arc<Counters>,
    dot: Arc<Counters>,
    doh: Arc<Counters>,
    total: Arc<Tally>,
    tallies: Tallies,
    log: Option<Arc<QueryLog>>,
    /// None without a hit log.
    hits: Arc<Shelves>,
}

#[derive(Debug)]
struct Seat {
    counters: Arc<Counters>,
    /// The worker's socket, for what the system counts; `None` when the seat is free.
    socket: Option<Arc<UdpSocket>>,
    /// What the system threw away at the sockets of those that sat here before; `None` where it did not tell.
    dropped_before: Option<u64>,
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

    /// Counts a turn of the loop. For the one thread that owns these counters.
    pub(super) fn note_turn(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
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
    /// Each row in `tallies` but the last is a worker's own. That one is for all streams together, and for workers beyond.
    pub(super) fn new(tallies: Tallies, log: Option<Arc<QueryLog>>, logs_hits: bool) -> Self {
        let rows = tallies.rows();
        let hits = Arc::new(Shelves::new(if logs_hits { rows } else { 0 }));
        let total = Arc::new(tallies.blank());
        let [tcp, dot, doh] = Default::default();
        Self { seats: Mutex::default(), rows, tcp, dot, doh, total, tallies, log, hits }
    }

    /// The books of a worker that comes, and the number of its seat.
    pub(super) fn seat(&self, socket: Arc<UdpSocket>) -> (usize, Books) {
        let mut seats = self.seats();
        let number = seats.iter().position(|seat| seat.socket.is_none()).unwrap_or_else(|| {
            seats.push(Seat { counters: Arc::default(), socket: None, dropped_before: Some(0) });
            seats.len() - 1
        });
        let seat = &mut seats[number];
        seat.socket = Some(socket);
        let row = number.min(self.shared_row());
        let books = Books {
            counters: Arc::clone(&seat.counters),
            row,
            shares_row: row == self.shared_row(),
            total: Arc::clone(&self.total),
            log: self.log.clone(),
            lines: Vec::new(),
            hits: Pen::new(&self.hits, row),
        };
        (number, books)
    }

    /// Lets no packet come any more to the socket of this seat. Those that wait there can be read still. Its worker is
    /// to be told to stop by `stop`, and waits for no other packet to notice.
    pub(super) fn shut(&self, number: usize, stop: &AtomicBool) {
        let shut = |socket: SockRef<'_>| {
            // Only who sends from the socket's own address would be heard, and that is the socket.
            socket.connect(&socket.local_addr()?)?;
            stop.store(true, Ordering::Relaxed);
            socket.send(&[]).map(drop)
        };
        let seats = self.seats();
        let done = seats[number].socket.as_ref().map_or(Ok(()), |socket| shut(SockRef::from(socket)));
        stop.store(true, Ordering::Relaxed);
        if let Err(error) = done {
            tracing::debug!(%error, "packets come until the socket is closed");
        }
    }

    /// Frees the seat of a worker that has ended.
    pub(super) fn leave(&self, number: usize) {
        let seat = &mut self.seats()[number];
        seat.dropped_before = seat.dropped();
        seat.socket = None;
    }

    /// How far each worker has come. One that has ended without being told to stands still.
    pub(super) fn signs(&self) -> Vec<Sign> {
        let seats = self.seats();
        let taken = seats.iter().enumerate().filter(|(_, seat)| seat.socket.is_some());
        let sign = |(number, seat): (usize, &Seat)| Sign {
            of: Thread::Worker(number),
            turns: seat.counters.turns.load(Ordering::Relaxed),
            at_work: false,
        };
        taken.map(sign).collect()
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared_row(&self) -> usize {
        self.rows.saturating_sub(1)
    }

    pub(super) fn streams(&self) -> StreamBooks {
        let books = |counters: &Arc<Counters>| SharedBooks {
            counters: Arc::clone(counters),
            row: self.shared_row(),
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
        let seats = self.seats();
        let workers: Vec<_> = seats.iter().map(|seat| Arc::clone(&seat.counters)).collect();
        Stats {
            udp: sum(&workers),
            overflowed: seats.iter().map(Seat::dropped).sum(),
            unlogged: self.hits.lost(),
            tcp: one(&self.tcp),
            dot: one(&self.dot),
            doh: one(&self.doh),
            total: self.total.traffic(),
            zones: self.tallies.traffic(),
        }
    }
}

impl Seat {
    fn dropped(&self) -> Option<u64> {
        let now = self.socket.as_ref().map_or(Some(0), |socket| drops(socket.as_fd()).map(u64::from));
        Some(self.dropped_before? + now?)
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

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    /// A row is written without a lock by one worker at most, and never by one while others share it.
    #[test]
    fn rows_belong_to_one_worker_or_are_shared() {
        let board = Board::new(Tallies::new(3), None, true);
        let socket = || Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let come = || {
            let (number, books) = board.seat(socket());
            (number, books.row, books.shares_row)
        };
        assert_eq!([come(), come()], [(0, 0, false), (1, 1, false)]);
        assert_eq!([come(), come()], [(2, 2, true), (3, 2, true)], "with all streams");
        assert_eq!(board.streams().tcp.row, 2);
        board.leave(1);
        assert_eq!([come(), come()], [(1, 1, false), (4, 2, true)], "a seat that was left is taken first");
    }

    /// What the system threw away at a socket is known when that is long closed.
    #[test]
    fn drops_of_closed_sockets_stay_counted() {
        let board = Board::new(Tallies::new(2), None, false);
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        SockRef::from(&socket).set_recv_buffer_size(0).unwrap();
        let address = socket.local_addr().unwrap();
        let (number, _books) = board.seat(Arc::clone(&socket));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        (0..200).for_each(|_| drop(client.send_to(&[0; 512], address)));
        let before = board.stats().overflowed;
        board.leave(number);
        drop(socket);
        assert_eq!(board.stats().overflowed, before);
        assert!(before.is_none_or(|dropped| dropped > 0), "{before:?}");
    }
}
