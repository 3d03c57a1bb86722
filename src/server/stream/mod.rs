//! Streams: DNS over TCP, over TLS (RFC 7858) and over HTTPS (RFC 8484), each message handed to the hickory front.
//!
//! One accept loop a listener ([`accept`]), one room with a cap for all connections and one for each client ([`room`]),
//! one way from message to reply ([`desk`]); what differs is how messages are found in a connection ([`framing`],
//! [`http`]) and what is around it ([`tls`]). Nothing here can hold up UDP: it has threads of its own. Read [`Streams`]
//! first, then [`Host`].

mod accept;
mod desk;
mod framing;
mod http;
mod room;
pub(super) mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::World;
use super::books::SharedBooks;
use super::pulse::Pulse;
use super::stats::Dropped;
use crate::config::HttpPath;
use desk::Desk;
use http::Http;
use room::{Room, Seat};
use tls::{Identity, Keys};

/// How long a stopping server waits for messages that are being answered.
const DRAIN: Duration = Duration::from_secs(2);
/// How often the thread of streams shows that it goes on.
const BEAT: Duration = Duration::from_secs(1);

/// Caps and times of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all; one more gets the place of one that is worth less.
    pub connections: usize,
    /// Connections of one client (an IPv4 address, an IPv6 /64); more are closed at once.
    pub per_client: usize,
    /// How long a connection may wait between two messages.
    pub idle: Duration,
    /// How long a TLS handshake, and a message that has begun, may take to arrive, and replies to be taken.
    pub message: Duration,
    /// How long a connection may last in all.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 200,
            per_client: 20,
            idle: Duration::from_secs(10),
            message: Duration::from_secs(5),
            total: Duration::from_secs(300),
        }
    }
}

/// What is spoken at a door.
#[derive(Debug, Clone, Copy)]
pub(super) enum Speaks<'a> {
    Tcp,
    Dot,
    /// Questions go to this path.
    Doh(&'a HttpPath),
}

/// The books of each kind of stream.
pub(super) struct StreamBooks {
    pub(super) tcp: SharedBooks,
    pub(super) dot: SharedBooks,
    pub(super) doh: SharedBooks,
}

/// The running stream part of a server.
pub(super) struct Streams {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    room: Room,
    told: Arc<Mutex<accept::Told>>,
    limits: Limits,
    pulse: Pulse,
    worlds: Arc<ArcSwap<World>>,
    books: StreamBooks,
    /// `None` as long as nobody spoke TLS.
    keys: Option<Arc<Keys>>,
}

/// A listener whose connections are taken.
pub(super) struct Door {
    closing: watch::Sender<bool>,
    loop_: JoinHandle<()>,
}

/// What is spoken at a door, with everything that it takes.
enum Host {
    Tcp(Desk),
    Dot(Desk, Arc<Keys>),
    Doh(Http, Arc<Keys>),
}

/// When an accept loop has to end.
struct Ends {
    /// With the server.
    stop: watch::Receiver<bool>,
    /// Alone, when those who wait have been let in.
    close: watch::Receiver<bool>,
}

/// When a connection has to end.
#[derive(Clone)]
struct Terms {
    limits: Limits,
    /// The end of its time in all.
    end: Instant,
    stop: watch::Receiver<bool>,
    /// Its place is somebody else's.
    lost: watch::Receiver<bool>,
    /// Its place, which knows when an answer is due.
    seat: Arc<Seat>,
}

impl Streams {
    pub(super) fn start(
        limits: Limits,
        worlds: &Arc<ArcSwap<World>>,
        books: StreamBooks,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("dns-stream")
            .enable_io()
            .enable_time()
            .build()?;
        let (stop, _) = watch::channel(false);
        let room = Room::new(limits.connections, limits.per_client);
        let pulse = Pulse::default();
        let beating = pulse.clone();
        runtime.spawn(async move {
            loop {
                beating.beat();
                sleep(BEAT).await;
            }
        });
        let worlds = Arc::clone(worlds);
        Ok(Self { runtime, stop, room, told: Arc::default(), limits, pulse, worlds, books, keys: None })
    }

    /// Takes the connections that come to `listener`.
    ///
    /// # Panics
    /// When TLS is spoken there and [`show`](Self::show) was never called.
    pub(super) fn open(&self, listener: TcpListener, speaks: Speaks<'_>) -> io::Result<Door> {
        let desk = |books: &SharedBooks| Desk::new(&self.worlds, books.clone());
        let keys = || Arc::clone(self.keys.as_ref().expect("TLS has a certificate"));
        let host = match speaks {
            Speaks::Tcp => Host::Tcp(desk(&self.books.tcp)),
            Speaks::Dot => Host::Dot(desk(&self.books.dot), keys()),
            Speaks::Doh(path) => {
                Host::Doh(Http::new(desk(&self.books.doh), path.as_str(), self.limits.message), keys())
            }
        };
        let listener = {
            let _inside = self.runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (closing, closed) = watch::channel(false);
        let ends = Ends { stop: self.stop.subscribe(), close: closed };
        let taken = {
            let (room, told) = (self.room.clone(), Arc::clone(&self.told));
            accept::run(listener, Arc::new(host), room, told, self.limits, ends)
        };
        Ok(Door { closing, loop_: self.runtime.spawn(taken) })
    }

    /// Shows that its thread goes on.
    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Takes the connections that wait at a door, and closes its listener. Those that are open live on.
    pub(super) fn close(&self, door: Door) {
        let _ = door.closing.send(true);
        // A panic has been reported already.
        let _ = self.runtime.block_on(door.loop_);
    }

    /// So many connections are let in from now on.
    pub(super) fn resize(&self, connections: usize) {
        self.room.resize(connections);
    }

    /// Connections from now on are shown this certificate; whether it is another than before.
    pub(super) fn show(&mut self, identity: &Identity) -> bool {
        match &self.keys {
            Some(keys) => keys.renew(identity),
            None => {
                self.keys = Some(Arc::new(Keys::new(identity)));
                true
            }
        }
    }

    /// Ends the accept loops, lets connections finish the message they are at, and waits for them for a while.
    pub(super) fn stop(self) {
        let _ = self.stop.send(true);
        // After that time the rest is cut off.
        let _ = self.runtime.block_on(async { timeout(DRAIN, self.room.emptied()).await.is_ok() });
        // Its thread drops the listeners: their addresses are free when this returns.
        self.runtime.shutdown_timeout(DRAIN);
    }
}

impl Host {
    fn desk(&self) -> &Desk {
        match self {
            Self::Tcp(desk) | Self::Dot(desk, _) => desk,
            Self::Doh(http, _) => http.desk(),
        }
    }

    /// Serves a connection to its end; `Err` says why that was not a good one.
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, terms: Terms) -> Result<(), Dropped> {
        let broken = |_| Dropped::Connection;
        stream.set_nodelay(true).map_err(broken)?;
        match self {
            Self::Tcp(desk) => framing::serve(stream, peer, desk, terms).await.map_err(broken),
            Self::Dot(desk, keys) => {
                let stream = terms
                    .unless_lost(tls::greet(keys.dot(), stream, terms.limits.message))
                    .await
                    .map_err(broken)??;
                framing::serve(stream, peer, desk, terms).await.map_err(broken)
            }
            Self::Doh(http, keys) => {
                let stream = terms
                    .unless_lost(tls::greet(keys.doh(), stream, terms.limits.message))
                    .await
                    .map_err(broken)??;
                http.serve(stream, peer, terms).await.map_err(broken)
            }
        }
    }
}

impl Terms {
    /// In so much time, but not after the end.
    fn within(&self, time: Duration) -> Instant {
        (Instant::now() + time).min(self.end)
    }

    /// Completes when the connection has to end soon: the server stops, or the place is lost.
    async fn told_to_end(&mut self) {
        // An error is the end of the server as well.
        tokio::select! {
            _ = self.stop.wait_for(|&stop| stop) => {}
            _ = self.lost.wait_for(|&lost| lost) => {}
        }
    }

    /// What `work` gives, unless it has to wait and the place is somebody else's.
    async fn unless_lost<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        let mut lost = self.lost.clone();
        tokio::select! {
            biased;
            done = work => Ok(done),
            _ = lost.wait_for(|&lost| lost) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn is_told_to_end(&self) -> bool {
        *self.stop.borrow() || *self.lost.borrow()
    }
}
