//! The addresses that are listened on, each with its threads, and their change while the server runs.
//!
//! Whatever came to an address before it is left is answered: its UDP sockets let nothing more in and are read to the end, the
//! connections that wait at its listeners are taken, and those that are open live on. Read [`Places`]. Never: binding, or
//! deciding when addresses change.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;

use super::listen::{Addresses, Bound, Listener, Pair, Sockets};
use super::pulse::Pulse;
use super::stats::Board;
use super::stream::tls::Identity;
use super::stream::{Door, Speaks, Streams};
use super::{Settings, World, udp};
use crate::config::HttpPath;

/// Everything that questions come in by.
pub(super) struct Places {
    plain: Vec<Plain>,
    dot: Vec<Secure>,
    doh: Vec<Secure>,
    streams: Streams,
    worlds: Arc<ArcSwap<World>>,
    board: Arc<Board>,
    pin_workers: bool,
    batches: bool,
}

/// An address for UDP and TCP.
struct Plain {
    at: Bound,
    workers: Vec<Worker>,
    /// `None` where TCP belongs to somebody else.
    door: Option<Door>,
    /// Its UDP sockets are somebody else's as well.
    shared: bool,
}

struct Worker {
    seat: usize,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// An address for TLS or HTTPS.
struct Secure {
    at: Bound,
    door: Door,
}

impl Plain {
    fn tell_to_stop(&self) {
        self.workers.iter().for_each(|worker| worker.stop.store(true, Ordering::Relaxed));
    }
}

impl Places {
    pub(super) fn new(
        settings: &Settings,
        worlds: &Arc<ArcSwap<World>>,
        board: &Arc<Board>,
    ) -> io::Result<Self> {
        let batches = udp::Batch::is_supported();
        if !batches {
            tracing::warn!("this system has no recvmmsg: one packet a system call");
        }
        Ok(Self {
            plain: Vec::new(),
            dot: Vec::new(),
            doh: Vec::new(),
            streams: Streams::start(settings.streams, worlds, board.streams())?,
            worlds: Arc::clone(worlds),
            board: Arc::clone(board),
            pin_workers: settings.pin_workers,
            batches,
        })
    }

    /// Answers on these as well, for which no descriptor is needed: once sockets are bound nothing is in the way. A certificate
    /// must be shown before DNS over TLS or HTTPS can be. An error is a lack of threads; the address that it met is not listened
    /// on, nor are those behind it.
    pub(super) fn open(&mut self, sockets: Sockets, path: Option<&HttpPath>) -> io::Result<()> {
        for Pair { at, tcp, udp, shared } in sockets.pairs {
            let mut place = Plain { at, workers: Vec::new(), door: None, shared };
            let begun = self.begin(&mut place, tcp, udp);
            if let Err(error) = begun {
                self.end(place);
                return Err(error);
            }
            self.plain.push(place);
        }
        for Listener { at, socket } in sockets.dot {
            self.dot.push(Secure { at, door: self.streams.open(socket, Speaks::Dot)? });
        }
        if let Some(path) = path {
            for Listener { at, socket } in sockets.doh {
                self.doh.push(Secure { at, door: self.streams.open(socket, Speaks::Doh(path))? });
            }
        }
        Ok(())
    }

    fn begin(&self, place: &mut Plain, tcp: Option<TcpListener>, udp: Vec<UdpSocket>) -> io::Result<()> {
        place.door = tcp.map(|listener| self.streams.open(listener, Speaks::Tcp)).transpose()?;
        let spawn = if self.batches { udp::spawn::<udp::Batch> } else { udp::spawn::<udp::Single> };
        for socket in udp {
            let socket = Arc::new(socket);
            let (seat, books) = self.board.seat(Arc::clone(&socket));
            // Counted over all addresses: each has a core of its own as long as there are as many.
            let core = self.pin_workers.then_some(seat);
            let stop = Arc::default();
            match spawn(socket, core, &self.worlds, books, &stop) {
                Ok(thread) => place.workers.push(Worker { seat, stop, thread }),
                Err(error) => {
                    self.board.leave(seat);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Answers what has come to an address, and leaves it.
    fn end(&self, place: Plain) {
        place.tell_to_stop();
        if let Some(door) = place.door {
            self.streams.close(door);
        }
        for Worker { seat, thread, .. } in place.workers {
            // A worker that panicked has said so already.
            let _ = thread.join();
            self.board.leave(seat);
        }
    }

    /// What of `wanted` is not listened on yet.
    pub(super) fn missing(&self, wanted: &Addresses) -> Addresses {
        let new = |wanted: &[SocketAddr], have: Vec<Bound>| -> Vec<SocketAddr> {
            wanted.iter().copied().filter(|asked| have.iter().all(|at| at.asked != *asked)).collect()
        };
        Addresses {
            listen: new(&wanted.listen, self.plain.iter().map(|place| place.at).collect()),
            dot: new(&wanted.dot, self.dot.iter().map(|place| place.at).collect()),
            doh: new(&wanted.doh, self.doh.iter().map(|place| place.at).collect()),
        }
    }

    /// What is listened on, but not in `wanted`.
    pub(super) fn leaving(&self, wanted: &Addresses) -> Vec<SocketAddr> {
        let plain = self.plain.iter().map(|place| (place.at, &wanted.listen));
        let dot = self.dot.iter().map(|place| (place.at, &wanted.dot));
        let doh = self.doh.iter().map(|place| (place.at, &wanted.doh));
        let gone = plain.chain(dot).chain(doh).filter(|(at, wanted)| !wanted.contains(&at.asked));
        gone.map(|(at, _)| at.real).collect()
    }

    /// Leaves the addresses that are not in `wanted`, when all that came there has been answered.
    pub(super) fn leave(&mut self, wanted: &Addresses) {
        let is_wanted = |at: &Bound, wanted: &[SocketAddr]| wanted.contains(&at.asked);
        let gone: Vec<_> = self.plain.extract_if(.., |place| !is_wanted(&place.at, &wanted.listen)).collect();
        for place in &gone {
            if place.shared {
                // Shut, they would be deaf for whoever goes on with them.
                place.tell_to_stop();
                continue;
            }
            for worker in &place.workers {
                self.board.shut(worker.seat, &worker.stop);
            }
        }
        for place in gone {
            let address = place.at.real;
            self.end(place);
            tracing::info!("no longer listening on {address}, UDP and TCP");
        }
        let secure = [(&mut self.dot, &wanted.dot, "TLS"), (&mut self.doh, &wanted.doh, "HTTPS")];
        for (places, wanted, transport) in secure {
            for Secure { at, door } in places.extract_if(.., |place| !is_wanted(&place.at, wanted)) {
                self.streams.close(door);
                tracing::info!("no longer listening on {}, DNS over {transport}", at.real);
            }
        }
    }

    /// Has the addresses in the order of `wanted`.
    pub(super) fn arrange(&mut self, wanted: &Addresses) {
        let place = |at: &Bound, wanted: &[SocketAddr]| wanted.iter().position(|asked| *asked == at.asked);
        self.plain.sort_by_key(|plain| place(&plain.at, &wanted.listen));
        self.dot.sort_by_key(|secure| place(&secure.at, &wanted.dot));
        self.doh.sort_by_key(|secure| place(&secure.at, &wanted.doh));
    }

    /// What is listened on, with real ports.
    pub(super) fn addresses(&self) -> Addresses {
        let real = |places: &[Secure]| places.iter().map(|place| place.at.real).collect();
        Addresses {
            listen: self.plain.iter().map(|place| place.at.real).collect(),
            dot: real(&self.dot),
            doh: real(&self.doh),
        }
    }

    /// So many connections are let in from now on.
    pub(super) fn resize(&self, connections: usize) {
        self.streams.resize(connections);
    }

    /// Connections from now on are shown this certificate; whether it is another than before.
    pub(super) fn show(&mut self, identity: &Identity) -> bool {
        self.streams.show(identity)
    }

    /// Of the thread of all streams.
    pub(super) fn pulse(&self) -> Pulse {
        self.streams.pulse()
    }

    /// Answers what has arrived, closes everything and waits for the threads.
    pub(super) fn stop(self) {
        // Not shut: a socket that was handed over is somebody else's as well, who goes on with it.
        self.plain.iter().for_each(Plain::tell_to_stop);
        self.streams.stop();
        for worker in self.plain.into_iter().flat_map(|place| place.workers) {
            // A worker that panicked has said so already.
            let _ = worker.thread.join();
        }
    }
}
