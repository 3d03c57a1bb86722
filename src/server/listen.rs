//! Binding: one TCP listener and one UDP socket a worker on each address.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Once;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::Settings;

/// Queries a second that a receive buffer is measured for.
const LOAD: usize = 10_000;
/// How long that load is to find room in it while a worker is kept from its core.
const PAUSE: Duration = Duration::from_secs(1);
/// Octets that the system counts for a query that waits: far more than the query has.
const WAITING: usize = 832;
/// Octets asked for as receive buffer of UDP sockets.
const RECEIVE_BUFFER: usize = LOAD * PAUSE.as_secs() as usize * WAITING;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 256;
/// How often a free port is looked for that both UDP and TCP can have.
const PORT_TRIES: usize = 20;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No address to listen on.
    #[error("no address to listen on")]
    NoAddress,
    /// An address cannot be had.
    #[error("cannot listen on {address}, {transport}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// The sockets of one address.
pub(super) struct Pair {
    pub(super) address: SocketAddr,
    pub(super) tcp: TcpListener,
    pub(super) udp: Vec<UdpSocket>,
}

pub(super) fn bind(settings: &Settings) -> Result<Vec<Pair>, StartError> {
    if settings.listen.is_empty() {
        return Err(StartError::NoAddress);
    }
    settings.listen.iter().map(|&address| bind_one(address, settings.workers.max(1))).collect()
}

/// TCP first: it cannot be shared, so a second server on the same address fails instead of taking half of the queries.
fn bind_one(address: SocketAddr, workers: usize) -> Result<Pair, StartError> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let failed = |transport| move |source| StartError::Bind { address, transport, source };
        let tcp = tcp(address).map_err(failed("TCP"))?;
        let bound = tcp.local_addr().map_err(failed("TCP"))?;
        let udp: io::Result<Vec<_>> = (0..workers).map(|_| udp(bound, workers > 1)).collect();
        match udp {
            Ok(udp) => return Ok(Pair { address: bound, tcp, udp }),
            Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(failed("UDP")(error)),
        }
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // `0.0.0.0` and `::` are two addresses, each to be configured.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Asks for a large receive buffer: above the system's limit when this process may, else as far as that goes. Less is no
/// reason not to start, but one to say how to get more, once.
fn ask_for_room(socket: &Socket) {
    static SAID: Once = Once::new();
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    // The system doubles what it is asked for, for its own use.
    let given = socket.recv_buffer_size().unwrap_or(0) / 2;
    if given >= RECEIVE_BUFFER {
        return;
    }
    SAID.call_once(|| {
        tracing::info!(
            octets = given,
            milliseconds = given * 1000 / (LOAD * WAITING),
            "the receive buffers hold no more than this long of {LOAD} queries a second; \
             for a second: sysctl -w net.core.rmem_max={RECEIVE_BUFFER}"
        );
    });
}

fn udp(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    ask_for_room(&socket);
    if address.ip().is_unspecified() {
        // Tells for each packet which address was asked, so that the reply leaves from it.
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sysctl_file_allows_what_is_asked_for() {
        let text = include_str!("../../deploy/sysctl.d/60-gatepost.conf");
        assert_eq!(text.lines().last(), Some(&*format!("net.core.rmem_max = {RECEIVE_BUFFER}")));
    }
}
