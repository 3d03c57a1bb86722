//! The DNS server: sockets, threads, and the swap of what they serve.
//!
//! [`Server::start`] binds every address (UDP and TCP, and where asked for TLS and HTTPS), loads the zones of the store's generation and answers until
//! [`Server::stop`]. One thread per UDP worker runs the same loop over a [`udp::Backend`]; streams run on a small
//! tokio runtime of their own; one more thread watches the generation, the ages of lists and local decisions. What all of them serve
//! is one [`World`], swapped whole. Read [`respond::respond`] for what happens to a packet.
//!
//! Never: parsing or compiling of lists, writing to the store.

mod books;
mod cookies;
mod damage;
mod decisions;
pub mod front;
mod handed;
mod hit_log;
mod idle;
mod limit;
mod listen;
mod load;
mod places;
mod proof;
mod pulse;
mod query_log;
mod reload;
pub mod respond;
mod sealed;
mod stats;
mod stream;
mod tally;
pub mod udp;
mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use cookies::Cookies;
pub use handed::Handed;
pub use hit_log::HitLog;
pub use idle::give_way;
pub use limit::{BURST, Limit, Limiter, Slips};
pub use listen::{Addresses, Sockets, StartError};
pub use pulse::{Pulse, Sign, Thread};
pub use query_log::{QueryLog, append_to};
pub use reload::{Prepared, ReloadError, Reloaded};
pub use sealed::{SEALS, sealed};
pub use stats::{Counts, Dropped, Stats};
pub use stream::Limits;
pub use stream::tls::{Identity, IdentityError};
pub use tally::{Tallies, Tally, Traffic};
pub use world::{AccessLists, Served, World};

use crate::config::HttpPath;
use crate::model::Name;
use listen::Binding;
use places::Places;
use reload::{Change, Watcher};
use stats::Board;

/// The address that is listened on unless another is configured.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5354";
/// How often the store is looked at for a new generation and for the ages of lists; for local decisions more often.
pub const DEFAULT_WATCH: Duration = Duration::from_secs(1);

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses to listen on, UDP and TCP alike. Port 0 takes a free one (the same for both).
    pub listen: Vec<SocketAddr>,
    /// UDP threads an address.
    pub workers: usize,
    /// Each of them stays on a core of its own, as far as there are as many.
    pub pin_workers: bool,
    /// Caps and times of streams.
    pub streams: Limits,
    /// DNS over TLS and over HTTPS.
    pub secure: Option<Secure>,
    /// What `version.bind` is told; `None` refuses.
    pub version: Option<String>,
    /// Who is answered.
    pub access: AccessLists,
    /// The zones that exist; one without a valid snapshot answers SERVFAIL.
    pub zones: Vec<Name>,
    /// The folder of the store, which holds the generation and the snapshots.
    pub state: PathBuf,
    /// Snapshots are copied into sealed memory, so that nothing that happens to their files matters.
    pub private_copy: bool,
    /// How often the store is looked at for a new generation, for the ages of lists and for damage.
    pub watch: Duration,
    /// Where a line goes for every query that gets a reply.
    pub query_log: Option<Arc<QueryLog>>,
    /// Where a line goes for every listing.
    pub hit_log: Option<HitLog>,
    /// Whether an address whose TCP port belongs to somebody else is served over UDP alone.
    pub udp_will_do: bool,
    /// Where zones are counted; a server puts its own here.
    pub tallies: Tallies,
    /// Cookies of clients.
    pub cookies: Arc<Cookies>,
}

/// Where DNS over TLS and over HTTPS is answered, and with what certificate at first.
#[derive(Debug, Clone)]
pub struct Secure {
    /// Addresses for DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS.
    pub doh: Vec<SocketAddr>,
    /// Where questions over HTTPS go.
    pub path: HttpPath,
    /// What clients are shown.
    pub identity: Identity,
}

/// Tells the names of the lists that are past their hard age. Asked again and again by one thread.
pub type Expired = Box<dyn FnMut() -> BTreeSet<String> + Send>;

/// The cores that this process may use: UDP threads an address unless another number is configured.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

impl Settings {
    /// The same, with room to count for every thread that answers on `sockets`, and one row for all streams.
    fn counting(&self, sockets: &Sockets) -> Self {
        let workers: usize = sockets.pairs.iter().map(|pair| pair.udp.len()).sum();
        Self { tallies: Tallies::new(workers + 1), ..self.clone() }
    }

    /// Everything that is to be listened on.
    pub(super) fn addresses(&self) -> Addresses {
        let secure = self.secure.as_ref();
        Addresses {
            listen: self.listen.clone(),
            dot: secure.map(|secure| secure.dot.clone()).unwrap_or_default(),
            doh: secure.map(|secure| secure.doh.clone()).unwrap_or_default(),
        }
    }

    /// Default settings for a store and its zones.
    pub fn new(state: PathBuf, zones: Vec<Name>) -> Self {
        Self {
            listen: vec![DEFAULT_LISTEN.parse().expect("a constant")],
            workers: cores(),
            pin_workers: false,
            streams: Limits::default(),
            secure: None,
            version: None,
            access: AccessLists::default(),
            zones,
            state,
            private_copy: false,
            watch: DEFAULT_WATCH,
            query_log: None,
            hit_log: None,
            udp_will_do: false,
            tallies: Tallies::default(),
            cookies: Arc::default(),
        }
    }
}

/// A running server.
pub struct Server {
    places: Places,
    /// Of `places`, with their real ports.
    addresses: Addresses,
    worlds: Arc<ArcSwap<World>>,
    board: Arc<Board>,
    hits: Option<hit_log::Writer>,
    settings: Settings,
    /// Of the store; `None` where worlds are handed over by [`Server::serve`].
    watcher: Option<Watcher>,
}

impl Server {
    /// Binds, loads what is in service and starts to answer. A store without a generation, or with snapshots that
    /// cannot be used, is no error: their zones answer SERVFAIL until there are better ones.
    pub fn start(settings: &Settings, expired: Expired) -> Result<Self, StartError> {
        Self::start_bound(Sockets::bind(settings)?, settings, expired)
    }

    /// The same on sockets that are bound already, as the settings say.
    pub fn start_bound(sockets: Sockets, settings: &Settings, expired: Expired) -> Result<Self, StartError> {
        let settings = settings.counting(&sockets);
        let worlds = Arc::new(ArcSwap::from_pointee(World::waiting(&settings)));
        let watcher = Watcher::start(&settings, Arc::clone(&worlds), expired).map_err(StartError::Thread)?;
        Self::answer(sockets, settings, worlds, Some(watcher))
    }

    /// Answers from `zones` on sockets that are bound already, and later from what [`Server::serve`] says. No store is
    /// looked at.
    pub fn start_on(
        sockets: Sockets,
        settings: &Settings,
        zones: impl IntoIterator<Item = (Name, Served)>,
        access: &AccessLists,
    ) -> Result<Self, StartError> {
        let settings = settings.counting(&sockets);
        let world = World::standing(&settings, zones, access);
        Self::answer(sockets, settings, Arc::new(ArcSwap::from_pointee(world)), None)
    }

    fn answer(
        sockets: Sockets,
        settings: Settings,
        worlds: Arc<ArcSwap<World>>,
        watcher: Option<Watcher>,
    ) -> Result<Self, StartError> {
        let (tallies, query_log) = (settings.tallies.clone(), settings.query_log.clone());
        let board = Arc::new(Board::new(tallies, query_log, settings.hit_log.is_some()));
        let write = |log| hit_log::Writer::start(log, Arc::clone(board.hits()), Arc::clone(&worlds));
        let hits = settings.hit_log.as_ref().map(write).transpose().map_err(StartError::Thread)?;
        let mut places = Places::new(&settings, &worlds, &board).map_err(StartError::Thread)?;
        if let Some(secure) = &settings.secure {
            places.show(&secure.identity);
        }
        let path = settings.secure.as_ref().map(|secure| &secure.path);
        places.open(sockets, path).map_err(StartError::Thread)?;
        Ok(Self { addresses: places.addresses(), places, worlds, board, hits, settings, watcher })
    }

    /// Serves these zones from now on, to whom `access` lets in. For a server without a store.
    pub fn serve(&self, zones: impl IntoIterator<Item = (Name, Served)>, access: &AccessLists) {
        self.worlds.store(Arc::new(World::standing(&self.settings, zones, access)));
    }

    /// The addresses that are listened on over UDP and TCP, with their real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses.listen
    }

    /// The addresses of DNS over TLS.
    pub fn dot_addresses(&self) -> &[SocketAddr] {
        &self.addresses.dot
    }

    /// The addresses of DNS over HTTPS.
    pub fn doh_addresses(&self) -> &[SocketAddr] {
        &self.addresses.doh
    }

    /// UDP threads an address, whatever the system would say now.
    pub fn workers(&self) -> usize {
        self.settings.workers
    }

    /// Lets so many connections in from now on; of more than that, those who are idle lose theirs.
    pub fn let_in(&self, connections: usize) {
        self.places.resize(connections);
    }

    /// Shows this certificate to those who connect from now on; whether it is another than before.
    pub fn renew(&mut self, identity: &Identity) -> bool {
        self.places.show(identity)
    }

    /// Listens where `wanted` says from now on; questions over HTTPS that come to new addresses go to `path`. When one of them
    /// cannot be had, everything stays as it was.
    ///
    /// `then` is called when the addresses that are gone have been left, all that came there answered, and nothing
    /// is answered yet on new ones (what comes there waits): whatever else changes with the addresses, such as who is let in,
    /// goes there, so that nobody meets the one without the other.
    ///
    /// # Panics
    /// When there are addresses for TLS and no certificate was ever shown, not even by `then`.
    pub fn move_to(
        &mut self,
        wanted: &Addresses,
        path: &HttpPath,
        then: impl FnOnce(&mut Self),
    ) -> Result<(), StartError> {
        let leaving = self.places.leaving(wanted);
        let Settings { workers, udp_will_do, .. } = self.settings;
        let new = self.places.missing(wanted);
        let sockets = Binding { workers, udp_will_do, leaving: &leaving }.all(&new)?;
        self.places.leave(wanted);
        then(self);
        // There is no way back any more.
        if let Err(error) = self.places.open(sockets, Some(path)) {
            tracing::error!(%error, "not all new addresses can be answered on");
        }
        self.places.arrange(wanted);
        self.addresses = self.places.addresses();
        Ok(())
    }

    /// What is served now.
    pub fn world(&self) -> Arc<World> {
        self.worlds.load_full()
    }

    /// Looks at the store now, and waits until its generation is in service or refused.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.watcher.as_ref().map_or(Ok(Reloaded::Nothing), Watcher::reload)
    }

    /// Makes ready to serve `zones`, to tell `version` to who asks for `version.bind`, and to answer whom `access` lets in: a
    /// configuration that was read again. What may take long is done when this returns, and nothing is changed.
    ///
    /// A zone whose snapshot cannot be used is no error: it stays as it is, or answers SERVFAIL.
    pub fn prepare(
        &self,
        zones: Vec<Name>,
        version: Option<String>,
        access: AccessLists,
    ) -> Result<Prepared, ReloadError> {
        let Some(watcher) = &self.watcher else { return Ok(Prepared::nothing()) };
        watcher.prepare(Change { zones, version, access })
    }

    /// The same at once. Zones that stay lose no question.
    pub fn configure(
        &self,
        zones: Vec<Name>,
        version: Option<String>,
        access: AccessLists,
    ) -> Result<(), ReloadError> {
        self.prepare(zones, version, access)?.apply()
    }

    /// Goes on in the file that has the hit log's name now: the old one may have been renamed.
    pub fn reopen_hit_log(&self) {
        if let Some(hits) = &self.hits {
            hits.reopen();
        }
    }

    /// What has been counted since the start.
    pub fn stats(&self) -> Stats {
        self.board.stats()
    }

    /// Shows again and again how far the threads have come that must not stand still.
    pub fn signs(&self) -> impl Fn() -> Vec<Sign> + Send + use<> {
        let (board, streams) = (Arc::clone(&self.board), self.places.pulse());
        let watcher = self.watcher.as_ref().map(Watcher::pulse);
        move || {
            let streams = streams.sign(Thread::Streams);
            let watcher = watcher.as_ref().map(|pulse| pulse.sign(Thread::Watcher));
            board.signs().into_iter().chain([streams]).chain(watcher).collect()
        }
    }

    /// Answers what has arrived, closes everything and waits for the threads.
    pub fn stop(self) {
        self.places.stop();
        if let Some(watcher) = self.watcher {
            watcher.stop();
        }
        if let Some(hits) = self.hits {
            hits.stop();
        }
    }
}
