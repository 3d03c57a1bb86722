//! DNS over HTTPS (RFC 8484), HTTP/1.1 and HTTP/2: the life of a connection. What is said to a request is in [`routes`].
//!
//! hyper knows no limit for the time that a connection may idle or last, so each has a watcher beside it.

mod routes;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_rustls::server::TlsStream;

use super::Terms;
use super::desk::Desk;
use super::room::Seat;
use super::tls::is_h2;

/// Requests at a time over one connection of HTTP/2. (HTTP/1.1 has one.)
const REQUESTS: u32 = 32;
/// Octets of the head of a request. A question with GET has some hundreds.
const HEAD: usize = 16 << 10;
/// Octets that are waiting to be sent over one connection of HTTP/2, for each request.
const SEND_BUFFER: usize = 64 << 10;

/// Answers DNS over HTTPS.
pub(super) struct Http {
    router: Router,
    desk: Arc<Desk>,
}

/// Who asks, and the place of its connection.
#[derive(Clone)]
struct Peer {
    address: SocketAddr,
    seat: Arc<Seat>,
}

/// What goes on in a connection.
struct Activity(Mutex<(usize, Instant)>);

impl Http {
    /// Answers at `path`; the body of a request must be there within `message`.
    pub(super) fn new(desk: Desk, path: &str, message: Duration) -> Self {
        let desk = Arc::new(desk);
        Self { router: routes::router(Arc::clone(&desk), path, message), desk }
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Serves requests until the client closes, a limit is met (an error when in the midst of something), or the
    /// server stops.
    pub(super) async fn serve(
        &self,
        stream: TlsStream<TcpStream>,
        peer: SocketAddr,
        terms: Terms,
    ) -> io::Result<()> {
        let activity = Arc::new(Activity::new());
        let service = TowerToHyperService::new(self.router.clone());
        let noted = Arc::clone(&activity);
        let peer = Peer { address: peer, seat: Arc::clone(&terms.seat) };
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let busy = Busy::with(&noted);
            let answered = service.call(request);
            async move {
                let answered = answered.await;
                drop(busy);
                answered
            }
        });
        let h2 = is_h2(&stream);
        let stream = TokioIo::new(stream);
        if h2 {
            let connection = http2_limits().serve_connection(stream, service);
            watch(connection, |connection| connection.graceful_shutdown(), &activity, terms).await
        } else {
            let connection = http1_limits(terms.limits.idle).serve_connection(stream, service);
            watch(connection, |connection| connection.graceful_shutdown(), &activity, terms).await
        }
    }
}

/// `idle`: from the end of one request to the end of the next one's head.
fn http1_limits(idle: Duration) -> http1::Builder {
    let mut limits = http1::Builder::new();
    limits.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD);
    limits
}

fn http2_limits() -> http2::Builder<TokioExecutor> {
    let mut limits = http2::Builder::new(TokioExecutor::new());
    limits
        .timer(TokioTimer::new())
        .max_concurrent_streams(REQUESTS)
        .max_header_list_size(HEAD as u32)
        .max_send_buf_size(SEND_BUFFER);
    limits
}

/// Drives a connection to its end, or to that of its time, when what has begun is finished first.
async fn watch<C>(
    connection: C,
    finish: impl Fn(Pin<&mut C>),
    activity: &Activity,
    mut terms: Terms,
) -> io::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    loop {
        let (idle, end) = (terms.limits.idle, terms.end);
        let wake = activity.idle_since().unwrap_or_else(Instant::now) + idle;
        tokio::select! {
            ended = connection.as_mut() => return ended.or_else(|error| forgive(error, activity)),
            () = terms.told_to_end() => {
                // The runtime may not have heard yet of what has come.
                yield_now().await;
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => return ended.or_else(|error| forgive(error, activity)),
                    () = std::future::ready(()) => break,
                }
            }
            () = sleep_until(wake.min(end)) => {}
        }
        let now = Instant::now();
        if now >= end || activity.idle_since().is_some_and(|since| now >= since + idle) {
            break;
        }
    }
    finish(connection.as_mut());
    let ended = timeout_at(Instant::now() + terms.limits.message, connection).await?;
    ended.or_else(|error| forgive(error, activity))
}

/// A client that leaves between two requests has a right to, also without the last word of TLS.
fn forgive(error: hyper::Error, activity: &Activity) -> io::Result<()> {
    let gone = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected
        )
    };
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if activity.idle_since().is_some() && cause.is_some_and(gone) {
        return Ok(());
    }
    Err(io::Error::other(error))
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }

    /// Since when no request has been answered and none is; `None` while one is.
    fn idle_since(&self) -> Option<Instant> {
        let (requests, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (requests == 0).then_some(since)
    }
}

/// A request that is being answered.
struct Busy(Arc<Activity>);

impl Busy {
    fn with(activity: &Arc<Activity>) -> Self {
        activity.0.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut activity = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        *activity = (activity.0 - 1, Instant::now());
    }
}
