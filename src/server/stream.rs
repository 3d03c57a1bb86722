//! Streams: accept loops with caps and time limits, framing, and messages handed to the hickory front.
//!
//! A connection is served message by message, in order; a client may send many without waiting. Nothing here can
//! hold up UDP: it has threads of its own.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::ProtoError;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::net::NetError;
use hickory_server::net::runtime::TokioTime;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponse;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use super::World;
use super::books::SharedBooks;
use super::front::Front;
use super::respond::{Moment, Outcome, grant};
use super::stats::Dropped;
use crate::wire::{self, Refusal, STREAM_MAX, UDP_PLAIN};

/// Pause of an accept loop after an error: the system is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a stopping server waits for messages that are being answered.
const DRAIN: Duration = Duration::from_secs(2);
/// Octets of the read buffer of a connection.
const READ_BUFFER: usize = 1024;

/// Caps and times of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all; more are closed at once.
    pub connections: usize,
    /// Connections of one client (an IPv4 address, an IPv6 /64); more are closed at once.
    pub per_client: usize,
    /// How long a connection may wait between two messages.
    pub idle: Duration,
    /// How long a message may take to arrive once it has begun, and a reply to be taken.
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

/// The running stream part of a server.
pub(super) struct Streams {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    shared: Arc<Shared>,
}

struct Shared {
    front: Front,
    books: SharedBooks,
    limits: Limits,
    room: Arc<Semaphore>,
    clients: Mutex<HashMap<IpAddr, usize>>,
    stop: watch::Receiver<bool>,
}

impl Streams {
    pub(super) fn start(
        listeners: Vec<TcpListener>,
        limits: Limits,
        worlds: Arc<ArcSwap<World>>,
        books: SharedBooks,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("dns-stream")
            .enable_io()
            .enable_time()
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            front: Front::new(worlds, Arc::clone(&books.counters)),
            books,
            limits,
            room: Arc::new(Semaphore::new(limits.connections)),
            clients: Mutex::default(),
            stop: stopped,
        });
        for listener in listeners {
            let listener = {
                let _inside = runtime.enter();
                tokio::net::TcpListener::from_std(listener)?
            };
            runtime.spawn(accept(listener, Arc::clone(&shared)));
        }
        Ok(Self { runtime, stop, shared })
    }

    /// Ends the accept loops, lets connections finish the message they are at, and waits for them for a while.
    pub(super) fn stop(self) {
        let _ = self.stop.send(true);
        let all = self.shared.limits.connections as u32;
        // After that time the rest is cut off.
        let _ =
            self.runtime.block_on(async { timeout(DRAIN, self.shared.room.acquire_many(all)).await.is_ok() });
        self.runtime.shutdown_background();
    }
}

/// Takes connections until the server stops. No error ends it: ECONNABORTED is the client's, the others pass.
async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let mut stop = shared.stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(connection) => connection,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let seat = Arc::clone(&shared.room).try_acquire_owned().ok();
        let (Some(seat), Some(client)) = (seat, Client::admit(&shared, peer.ip())) else {
            shared.books.counters.note_dropped(Dropped::Connections);
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if serve(stream, peer, &shared).await.is_err() {
                shared.books.counters.note_dropped(Dropped::Connection);
            }
            drop((seat, client));
        });
    }
}

/// One connection of a client, counted as long as it lives.
struct Client {
    shared: Arc<Shared>,
    key: IpAddr,
}

impl Client {
    fn admit(shared: &Arc<Shared>, address: IpAddr) -> Option<Self> {
        let key = client_key(address);
        let mut clients = shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(key).or_default();
        if *count >= shared.limits.per_client {
            return None;
        }
        *count += 1;
        Some(Self { shared: Arc::clone(shared), key })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.key);
            }
        }
    }
}

/// An IPv6 client owns its /64.
fn client_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// Serves messages until the client closes, a limit is met (an error when in the midst of a message), the client
/// sends what deserves silence, or the server stops.
async fn serve(stream: TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let end = Instant::now() + shared.limits.total;
    let mut stream = BufReader::with_capacity(READ_BUFFER, stream);
    let mut stop = shared.stop.clone();
    loop {
        let idle = (Instant::now() + shared.limits.idle).min(end);
        let begun = tokio::select! {
            biased;
            _ = stop.wait_for(|&stop| stop) => return Ok(()),
            begun = tokio::time::timeout_at(idle, stream.fill_buf()) => begun,
        };
        match begun {
            Ok(octets) => {
                if octets?.is_empty() {
                    return Ok(());
                }
            }
            Err(_) => return Ok(()),
        }
        let message = timeout(shared.limits.message, read_message(&mut stream)).await??;
        let Some(reply) = answer(message, peer, shared).await else {
            return Ok(());
        };
        timeout(shared.limits.message, stream.write_all(&reply)).await??;
        if Instant::now() >= end {
            return Ok(());
        }
    }
}

/// A message without its length (RFC 1035 section 4.2.2).
async fn read_message(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let len = stream.read_u16().await?;
    let mut message = vec![0; usize::from(len)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// The reply with its length before it; `None` closes the connection.
async fn answer(message: Vec<u8>, peer: SocketAddr, shared: &Shared) -> Option<Vec<u8>> {
    let (books, client) = (&shared.books, peer.ip());
    if shared.front.denies(client) {
        books.counters.note_shared(&Outcome::Denied);
        return None;
    }
    let mut query = match wire::parse(&message) {
        Ok(query) => query,
        Err(Refusal::Silent(why)) => {
            books.counters.note_shared(&Outcome::Silent(why));
            return None;
        }
        Err(Refusal::Answer(denial)) => {
            let mut reply = vec![0; 2 + UDP_PLAIN];
            let encoded = wire::refuse(&denial, &mut reply[2..]);
            reply.truncate(2 + encoded.len);
            books.counters.note_shared(&Outcome::Reply { encoded, listed: false, zone: None });
            books.note_traffic(client, None, message.len(), &reply[2..]);
            return framed(reply);
        }
    };
    grant(&shared.front.world(), client, &mut query, Moment::now());
    // What is ignored must not reach a parser that does not ignore it.
    let request = match Request::from_bytes(query.essence(), peer, Protocol::Tcp) {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!(%error, "a query that the stream front cannot read");
            return None;
        }
    };
    let out = Sink::default();
    shared.front.handle_request::<_, TokioTime>(&request, out.clone()).await;
    let reply = std::mem::take(&mut *out.0.lock().unwrap_or_else(PoisonError::into_inner));
    let world = shared.front.world();
    let zone = world.find_counted(&query.name).map(|(_, tally, _)| tally);
    books.note_traffic(client, zone, message.len(), reply.get(2..)?);
    framed(reply)
}

/// Puts the length into the two octets kept free for it.
fn framed(mut reply: Vec<u8>) -> Option<Vec<u8>> {
    let len = u16::try_from(reply.len().checked_sub(2)?).ok().filter(|&len| len > 0)?;
    reply[..2].copy_from_slice(&len.to_be_bytes());
    Some(reply)
}

/// Takes hickory's response: two octets kept free for the length, then the message.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

#[async_trait::async_trait]
impl ResponseHandler for Sink {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut message = Vec::with_capacity(UDP_PLAIN);
        let info = emit(response, &mut message)?;
        let framed = [&[0; 2], &message[..]].concat();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = framed;
        Ok(info)
    }
}

fn emit<'a>(
    response: MessageResponse<
        '_,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    >,
    message: &mut Vec<u8>,
) -> Result<ResponseInfo, ProtoError> {
    let mut encoder = BinEncoder::new(message);
    encoder.set_max_size(STREAM_MAX as u16);
    response.destructive_emit(&mut encoder)
}
