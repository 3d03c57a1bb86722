//! The DNS server: sockets, threads, and the swap of what they serve.
//!
//! [`Server::start`] binds every address for UDP and TCP, loads the zones of the store's generation and answers until
//! [`Server::stop`]. One thread per UDP worker runs the same loop over a [`udp::Backend`]; streams run on a small
//! tokio runtime of their own; one more thread watches the generation and the ages of lists. What all of them serve
//! is one [`World`], swapped whole. Read [`respond::respond`] for what happens to a packet.
//!
//! Never: parsing or compiling of lists, writing to the store.

pub mod front;
mod listen;
mod reload;
pub mod respond;
mod stats;
mod stream;
pub mod udp;
mod world;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use listen::StartError;
pub use reload::{ReloadError, Reloaded};
pub use stats::{Counts, Dropped, Stats};
pub use stream::Limits;
pub use world::{AccessLists, Served, World};

use crate::model::Name;
use reload::Watcher;
use stats::{Board, Counters};
use stream::Streams;

/// The address that is listened on unless another is configured.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5354";
/// UDP threads an address.
pub const DEFAULT_WORKERS: usize = 1;
/// How often the store is looked at for a new generation and for the ages of lists.
pub const DEFAULT_WATCH: Duration = Duration::from_secs(1);

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses to listen on, UDP and TCP alike. Port 0 takes a free one (the same for both).
    pub listen: Vec<SocketAddr>,
    /// UDP threads an address.
    pub workers: usize,
    /// Caps and times of streams.
    pub streams: Limits,
    /// What `version.bind` is told; `None` refuses.
    pub version: Option<String>,
    /// Who is answered.
    pub access: AccessLists,
    /// The zones that exist; one without a valid snapshot answers SERVFAIL.
    pub zones: Vec<Name>,
    /// The folder of the store, which holds the generation and the snapshots.
    pub state: PathBuf,
    /// How often the store is looked at for a new generation and for the ages of lists.
    pub watch: Duration,
}

/// Tells the names of the lists that are past their hard age. Asked again and again by one thread.
pub type Expired = Box<dyn FnMut() -> BTreeSet<String> + Send>;

impl Settings {
    /// Default settings for a store and its zones.
    pub fn new(state: PathBuf, zones: Vec<Name>) -> Self {
        Self {
            listen: vec![DEFAULT_LISTEN.parse().expect("a constant")],
            workers: DEFAULT_WORKERS,
            streams: Limits::default(),
            version: None,
            access: AccessLists::default(),
            zones,
            state,
            watch: DEFAULT_WATCH,
        }
    }
}

/// A running server.
pub struct Server {
    addresses: Vec<SocketAddr>,
    worlds: Arc<ArcSwap<World>>,
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    streams: Streams,
    watcher: Watcher,
}

impl Server {
    /// Binds, loads what is in service and starts to answer. A store without a generation, or with snapshots that
    /// cannot be used, is no error: their zones answer SERVFAIL until there are better ones.
    pub fn start(settings: &Settings, expired: Expired) -> Result<Self, StartError> {
        let sockets = listen::bind(settings)?;
        let addresses = sockets.iter().map(|pair| pair.address).collect();
        let worlds = Arc::new(ArcSwap::from_pointee(World::waiting(settings)));
        let watcher = Watcher::start(settings, Arc::clone(&worlds), expired).map_err(StartError::Thread)?;
        let udp = sockets.iter().flat_map(|pair| &pair.udp);
        let udp: io::Result<_> = udp.map(|socket| Ok(socket.try_clone()?.into())).collect();
        let board = Arc::new(Board::new(udp.map_err(StartError::Thread)?));
        let stop = Arc::new(AtomicBool::new(false));
        let batches = udp::Batch::is_supported();
        if !batches {
            tracing::warn!("this system has no recvmmsg: one packet a system call");
        }
        let mut workers = Vec::new();
        let mut listeners = Vec::new();
        for pair in sockets {
            listeners.push(pair.tcp);
            for socket in pair.udp {
                let counters = board.worker(workers.len());
                let spawn = if batches { udp::spawn::<udp::Batch> } else { udp::spawn::<udp::Single> };
                workers.push(spawn(socket, &worlds, counters, &stop).map_err(StartError::Thread)?);
            }
        }
        let streams = Streams::start(listeners, settings.streams, Arc::clone(&worlds), board.streams())
            .map_err(StartError::Thread)?;
        Ok(Self { addresses, worlds, board, stop, workers, streams, watcher })
    }

    /// The addresses that are listened on, with their real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What is served now.
    pub fn world(&self) -> Arc<World> {
        self.worlds.load_full()
    }

    /// Looks at the store now, and waits until its generation is in service or refused.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.watcher.reload()
    }

    /// Serves `zones` from now on, tells `version` to who asks for `version.bind`, and answers whom `access` lets in: a
    /// configuration that was read again. Zones that stay lose no question.
    pub fn configure(
        &self,
        zones: Vec<Name>,
        version: Option<String>,
        access: AccessLists,
    ) -> Result<Reloaded, ReloadError> {
        self.watcher.configure(zones, version, access)
    }

    /// What has been counted since the start.
    pub fn stats(&self) -> Stats {
        self.board.stats()
    }

    /// Answers what has arrived, closes everything and waits for the threads.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.streams.stop();
        self.watcher.stop();
        for worker in self.workers {
            // A worker that panicked has said so already.
            let _ = worker.join();
        }
    }
}

/// A server in service counts what it does through this; see [`Stats`].
type SharedCounters = Arc<Counters>;
