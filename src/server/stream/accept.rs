//! The accept loop: takes connections until its listener is to be closed. No error ends it, and none makes it spin.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::room::Room;
use super::{Dropped, Ends, Host, Limits, Terms};

/// How long a connection that has lost its seat may answer what had come by then.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Pause after a connection that was gone before it was taken: nobody can keep the loop busy with them.
const ABORTED: Duration = Duration::from_millis(1);
/// Pause when the system is out of descriptors or memory. Connections wait meanwhile, as many as the backlog holds.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// That is told no more often than this: where descriptors come and go it would be told many times a second.
const TELL: Duration = Duration::from_secs(60);

/// Where connections come from.
pub(super) trait Door: Send {
    /// A connection.
    type Stream: Send + 'static;

    /// The next one.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }
}

/// Serves who comes to a listener.
pub(super) async fn run(
    listener: TcpListener,
    host: Arc<Host>,
    room: Room,
    told: Arc<Mutex<Told>>,
    limits: Limits,
    ends: Ends,
) {
    let Ends { stop, mut close } = ends;
    let mut stopped = stop.clone();
    let take = |stream, peer: SocketAddr| {
        if let Err(why) = host.desk().welcome(peer) {
            return host.desk().note_dropped(why);
        }
        let Some(seat) = room.admit(peer.ip()).map(Arc::new) else {
            return host.desk().note_dropped(Dropped::Connections);
        };
        let host = Arc::clone(&host);
        let end = Instant::now() + limits.total;
        let (tell, lost) = watch::channel(false);
        let terms = Terms { limits, end, stop: stop.clone(), lost, seat: Arc::clone(&seat) };
        tokio::spawn(async move {
            let lose = async {
                seat.lost().await;
                tell.send_replace(true);
                sleep(LAST_WORDS).await;
            };
            let served = tokio::select! {
                // First: who has lost the seat knows it before another question is read.
                biased;
                () = lose => Err(Dropped::Connections),
                served = host.serve(stream, peer, terms) => served,
            };
            let lost = *tell.borrow();
            if let Err(why) = served.and(if lost { Err(Dropped::Connections) } else { Ok(()) }) {
                host.desk().note_dropped(why);
            }
        });
    };
    tokio::select! {
        _ = stopped.wait_for(|&stop| stop) => return,
        _ = close.wait_for(|&close| close) => {}
        () = take_all(&listener, &told, &take) => {}
    }
    take_waiting(listener, take);
}

/// Takes the connections that wait already, then closes the listener. The system is asked, not the runtime, which may not
/// have heard of them yet.
fn take_waiting(listener: TcpListener, take: impl Fn(TcpStream, SocketAddr)) {
    let Ok(listener) = listener.into_std() else { return };
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                    take(stream, peer);
                }
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(_) => return,
        }
    }
}

/// Takes connections for ever.
async fn take_all<D: Door>(door: &D, told: &Mutex<Told>, take: &impl Fn(D::Stream, SocketAddr)) {
    let told = || told.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let error = match door.next().await {
            Ok((stream, peer)) => {
                if told().is_over() {
                    tracing::info!("connections can be accepted again");
                }
                take(stream, peer);
                continue;
            }
            Err(error) => error,
        };
        if is_of_the_connection(&error) {
            sleep(ABORTED).await;
            continue;
        }
        if told().is_news(Instant::now()) {
            tracing::error!(%error, "no connection can be accepted; those that come wait");
        }
        sleep(EXHAUSTED).await;
    }
}

/// What was said of a lack of descriptors, which all listeners meet alike.
#[derive(Default)]
pub(super) struct Told {
    at: Option<Instant>,
    /// Not yet that it is over.
    open: bool,
}

impl Told {
    /// Whether to say that there is one.
    fn is_news(&mut self, now: Instant) -> bool {
        if self.open || self.at.is_some_and(|at| now < at + TELL) {
            return false;
        }
        *self = Self { at: Some(now), open: true };
        true
    }

    /// Whether to say that it is over.
    fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.open)
    }
}

/// Whether an error is about a connection that is gone already, and not about the listener (accept(2)).
fn is_of_the_connection(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else { return false };
    matches!(
        Errno::from_raw(code),
        Errno::ECONNABORTED
            | Errno::ECONNRESET
            | Errno::EINTR
            | Errno::ENETDOWN
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::EOPNOTSUPP
            | Errno::ENETUNREACH
    )
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn those_who_wait_are_taken_before_a_listener_is_closed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let waiting: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
            // The runtime has not been told of them: nothing was awaited since.
            let listener = TcpListener::from_std(listener).unwrap();
            let peers = Mutex::new(Vec::new());
            take_waiting(listener, |_, peer| peers.lock().unwrap().push(peer));
            let expected: Vec<_> = waiting.iter().map(|stream| stream.local_addr().unwrap()).collect();
            assert_eq!(peers.into_inner().unwrap(), expected);
            assert!(std::net::TcpStream::connect(address).is_err(), "closed");
        });
    }

    /// Says what it is told to say, then nothing more.
    struct Scripted(Mutex<VecDeque<Result<u16, Errno>>>);

    impl Door for Scripted {
        type Stream = ();

        async fn next(&self) -> io::Result<((), SocketAddr)> {
            let next = self.0.lock().unwrap().pop_front();
            match next {
                Some(Ok(port)) => Ok(((), SocketAddr::from(([192, 0, 2, 1], port)))),
                Some(Err(errno)) => Err(errno.into()),
                None => std::future::pending().await,
            }
        }
    }

    /// Which connections were taken, and how much time went by on the loop's own clock.
    fn taken(script: Vec<Result<u16, Errno>>) -> (Vec<u16>, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let begin = Instant::now();
            let last = *script.last().unwrap();
            let ports = Mutex::new(Vec::new());
            let done = tokio::sync::Notify::new();
            let (door, told) = (Scripted(Mutex::new(script.into())), Mutex::default());
            let take = |(), peer: SocketAddr| {
                ports.lock().unwrap().push(peer.port());
                if Ok(peer.port()) == last {
                    done.notify_one();
                }
            };
            tokio::select! {
                () = take_all(&door, &told, &take) => unreachable!("it never ends"),
                () = done.notified() => {}
            }
            (ports.into_inner().unwrap(), begin.elapsed())
        })
    }

    #[test]
    fn no_error_ends_it() {
        for errno in
            [Errno::ECONNABORTED, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EPROTO, Errno::EINVAL]
        {
            let (ports, _) = taken(vec![Ok(1), Err(errno), Err(errno), Ok(2), Err(errno), Ok(3)]);
            assert_eq!(ports, [1, 2, 3], "{errno}");
        }
    }

    #[test]
    fn a_lack_is_told_of_once_and_not_too_often() {
        let (mut told, begin) = (Told::default(), Instant::now());
        assert!(!told.is_over(), "there was none");
        assert!(told.is_news(begin));
        assert!(!told.is_news(begin + 2 * TELL), "it is known");
        assert!(told.is_over() && !told.is_over());
        assert!(!told.is_news(begin + TELL / 2) && !told.is_over(), "too soon");
        assert!(told.is_news(begin + TELL) && told.is_over());
    }

    /// Time stands still but for pauses, so this counts them.
    #[test]
    fn it_pauses_after_each_error() {
        let after = |errno| taken(std::iter::repeat_n(Err(errno), 50).chain([Ok(1)]).collect()).1;
        assert_eq!(after(Errno::ECONNABORTED), 50 * ABORTED);
        assert_eq!(after(Errno::EMFILE), 50 * EXHAUSTED);
        assert_eq!(taken(vec![Ok(1), Ok(2)]).1, Duration::ZERO);
    }
}
