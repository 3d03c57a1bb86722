//! Binding: one TCP listener and one UDP socket a worker on each address; one listener on each address for TLS.
//!
//! An address is bound as one that nobody shares, so that a second server on it fails; what is bound may be shared afterwards,
//! by the other workers and by an address of our own that takes its place (and by whoever runs as the same user and asks to).

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Once;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::Settings;

/// Queries a second that a receive buffer is measured for.
const LOAD: usize = 10_000;
/// How long that load is to find room in it while a worker is kept from its core.
const PAUSE: Duration = Duration::from_secs(2);
/// Octets that the system counts for a query that waits: far more than the query has.
const WAITING: usize = 832;
/// Octets asked for as receive buffer of UDP sockets. The system gives twice what it is asked for, and counts against that.
const RECEIVE_BUFFER: usize = LOAD * PAUSE.as_secs() as usize * WAITING / 2;
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
    #[error("cannot listen on {address}, {transport}: {cause}{}", cure(cause))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// UDP, TCP, DoT or DoH.
        transport: &'static str,
        /// What the system says: part of the message, so not to be told once more as its source.
        cause: io::Error,
    },
    /// A socket that was handed over cannot be used.
    #[error("cannot use a socket that was handed over: {0}")]
    Adopt(io::Error),
    /// A socket was handed over that nothing is said of.
    #[error("a socket for {0} was handed over, where the configuration does not listen")]
    Stray(SocketAddr),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Where questions come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Over UDP and TCP alike. Port 0 takes a free one (the same for both).
    pub listen: Vec<SocketAddr>,
    /// Over TLS.
    pub dot: Vec<SocketAddr>,
    /// Over HTTPS.
    pub doh: Vec<SocketAddr>,
}

/// Bound sockets, before anybody reads from them.
#[derive(Debug)]
pub struct Sockets {
    pub(super) pairs: Vec<Pair>,
    /// For DNS over TLS.
    pub(super) dot: Vec<Listener>,
    /// For DNS over HTTPS.
    pub(super) doh: Vec<Listener>,
}

/// The sockets of one address.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) at: Bound,
    pub(super) tcp: Option<TcpListener>,
    pub(super) udp: Vec<UdpSocket>,
    /// The UDP sockets were handed over: whoever has done so goes on with them when they are left.
    pub(super) shared: bool,
}

/// The listener of one address.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) at: Bound,
    pub(super) socket: TcpListener,
}

/// An address that is listened on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// As it was asked for.
    pub(super) asked: SocketAddr,
    /// With its real port.
    pub(super) real: SocketAddr,
}

/// How a socket is bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Beside another of ours on the same address.
    pub(super) shares: bool,
    /// `::` does not take what comes to `0.0.0.0` as well.
    pub(super) only_v6: bool,
}

/// How addresses are bound.
#[derive(Debug)]
pub(super) struct Binding<'a> {
    /// UDP sockets of an address.
    pub(super) workers: usize,
    /// See [`Settings::udp_will_do`].
    pub(super) udp_will_do: bool,
    /// What is listened on still, but not for long: in the way of nobody.
    pub(super) leaving: &'a [SocketAddr],
}

/// Of a lack of descriptors.
fn cure(cause: &io::Error) -> &'static str {
    match cause.raw_os_error() == Some(Errno::EMFILE as i32) {
        true => "; raise the limit (ulimit -n; LimitNOFILE= in a unit of systemd)",
        false => "",
    }
}

impl Sockets {
    /// Binds every address of the settings.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        if settings.listen.is_empty() {
            return Err(StartError::NoAddress);
        }
        let Settings { workers, udp_will_do, .. } = *settings;
        Binding { workers, udp_will_do, leaving: &[] }.all(&settings.addresses())
    }

    /// What they are bound to, with real ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.pairs.iter().map(|pair| pair.at.real).collect()
    }
}

impl Binding<'_> {
    /// Binds all of these addresses, or none.
    pub(super) fn all(&self, addresses: &Addresses) -> Result<Sockets, StartError> {
        Ok(Sockets {
            pairs: addresses
                .listen
                .iter()
                .map(|&address| self.pair(address, true))
                .collect::<Result<_, _>>()?,
            dot: self.listeners(&addresses.dot, "DoT")?,
            doh: self.listeners(&addresses.doh, "DoH")?,
        })
    }

    fn listeners(
        &self,
        addresses: &[SocketAddr],
        transport: &'static str,
    ) -> Result<Vec<Listener>, StartError> {
        addresses.iter().map(|&asked| self.listener(asked, transport)).collect()
    }

    pub(super) fn listener(
        &self,
        asked: SocketAddr,
        transport: &'static str,
    ) -> Result<Listener, StartError> {
        let bound = tcp(asked, How { shares: self.shares(asked), only_v6: true }).and_then(|socket| {
            let at = Bound { asked, real: socket.local_addr()? };
            Ok(Listener { at, socket })
        });
        bound.map_err(|cause| StartError::Bind { address: asked, transport, cause })
    }

    /// Binds what a pair lacks that was handed over.
    pub(super) fn complete(&self, mut pair: Pair) -> Result<Pair, StartError> {
        let address = pair.at.real;
        let failed = |transport| move |cause| StartError::Bind { address, transport, cause };
        let how = How { shares: false, only_v6: true };
        if pair.tcp.is_none() {
            pair.tcp = Some(tcp(address, how).map_err(failed("TCP"))?);
        }
        if pair.udp.is_empty() {
            pair.udp = udp_of(address, self.workers.max(1), how).map_err(failed("UDP"))?;
        }
        Ok(pair)
    }

    /// `only_v6`: see [`How`]. TCP first: where the port is ours to choose, UDP takes the one that it got.
    pub(super) fn pair(&self, asked: SocketAddr, only_v6: bool) -> Result<Pair, StartError> {
        let how = How { shares: self.shares(asked), only_v6 };
        let mut tries = if asked.port() == 0 { PORT_TRIES } else { 1 };
        loop {
            tries -= 1;
            let failed = |transport| move |cause| StartError::Bind { address: asked, transport, cause };
            let (tcp, real) = match tcp(asked, how) {
                Ok(tcp) => {
                    let real = tcp.local_addr().map_err(failed("TCP"))?;
                    (Some(tcp), real)
                }
                Err(error) if self.udp_will_do && error.kind() == io::ErrorKind::AddrInUse => {
                    tracing::warn!(
                        "{asked}: TCP belongs to somebody else; answers that are cut over UDP cannot be asked for again"
                    );
                    (None, asked)
                }
                Err(error) => return Err(failed("TCP")(error)),
            };
            match udp_of(real, self.workers.max(1), how) {
                Ok(udp) => return Ok(Pair { at: Bound { asked, real }, tcp, udp, shared: false }),
                Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(failed("UDP")(error)),
            }
        }
    }

    /// Whether an address is, or holds, or is held by, one that is about to be left.
    fn shares(&self, address: SocketAddr) -> bool {
        self.leaving.iter().any(|left| {
            let (a, b) = (left.ip(), address.ip());
            left.port() == address.port()
                && a.is_ipv4() == b.is_ipv4()
                && (a == b || a.is_unspecified() || b.is_unspecified())
        })
    }
}

/// `only_v6`: see [`How`].
pub(super) fn tcp_if_free(address: SocketAddr, only_v6: bool) -> Option<TcpListener> {
    match tcp(address, How { shares: false, only_v6 }) {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(%error, "{address}: UDP alone; answers that are cut cannot be asked for again over TCP");
            None
        }
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol, how: How) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(how.only_v6)?;
    }
    Ok(socket)
}

fn tcp(address: SocketAddr, how: How) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP, how)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(how.shares)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Asks for a large receive buffer: above the system's limit when this process may, else as far as that goes. Less is no
/// reason not to start, but one to say how to get more, once.
fn ask_for_room(socket: &Socket) {
    static SAID: Once = Once::new();
    let given = || socket.recv_buffer_size().unwrap_or(0);
    // Whoever has bound it for us may ask for more than we may.
    if given() >= RECEIVE_BUFFER * 2 {
        return;
    }
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    let given = given();
    if given >= RECEIVE_BUFFER * 2 {
        return;
    }
    SAID.call_once(|| {
        tracing::info!(
            octets = given,
            milliseconds = given * 1000 / (LOAD * WAITING),
            "the receive buffers hold no more than this long of {LOAD} queries a second; \
             for {} seconds: sysctl -w net.core.rmem_max={RECEIVE_BUFFER}",
            PAUSE.as_secs()
        );
    });
}

/// A socket for each worker. The first is bound as one that shares with nobody (unless it must), so that a second server on
/// the same address fails instead of taking half of the queries, and lets the others join afterwards.
pub(super) fn udp_of(address: SocketAddr, workers: usize, how: How) -> io::Result<Vec<UdpSocket>> {
    let first = udp(address, how)?;
    SockRef::from(&first).set_reuse_port(true)?;
    let others = (1..workers).map(|_| udp(address, How { shares: true, ..how }));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn udp(address: SocketAddr, how: How) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP, how)?;
    socket.set_reuse_port(how.shares)?;
    set_up(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What every UDP socket is asked for, also one that somebody else has bound.
pub(super) fn set_up(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    ask_for_room(socket);
    keep_whole(socket, address);
    tell_asked_address(socket, address)
}

/// Replies are never sent in pieces, whose second an attacker can forge, and no forged report of a narrow path is believed
/// (RFC 9715 section 3.1). None is longer than any path should hold. (A packet that cannot be in pieces also needs no
/// number of its own, which is a twentieth of what the system spends on a reply.)
fn keep_whole(socket: &Socket, address: SocketAddr) {
    // What comes over IPv4 to a socket of both families leaves by the rules of IPv4.
    let v4 = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE);
    let v6 = match address.is_ipv6() {
        true => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE),
        false => Ok(()),
    };
    if let Err(error) = v4.and(v6) {
        tracing::debug!(%error, "{address}: replies may be sent in pieces");
    }
}

/// The system tells for each packet which address was asked, so that the reply leaves from it.
fn tell_asked_address(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if !address.ip().is_unspecified() {
        return Ok(());
    }
    if address.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_spread_over_the_workers_and_nobody_else() {
        let how = How { shares: false, only_v6: true };
        let address = udp("127.0.0.1:0".parse().unwrap(), how).unwrap().local_addr().unwrap();
        let sockets = udp_of(address, 4, how).unwrap();
        for workers in [1, 2] {
            assert_eq!(udp_of(address, workers, how).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
        // The system chooses by the client's port.
        for _ in 0..200 {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            assert_eq!(client.send_to(b"x", address).unwrap(), 1);
        }
        let came = sockets.iter().map(|socket| {
            socket.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| socket.recv(&mut [0]).ok()).count()
        });
        let came: Vec<_> = came.collect();
        assert!(came.iter().sum::<usize>() == 200 && came.iter().all(|&came| came > 10), "{came:?}");
    }

    #[test]
    fn no_reply_is_sent_in_pieces() {
        use rustix::net::sockopt::{ip_mtu_discover, ipv6_mtu_discover};
        let how = How { shares: false, only_v6: true };
        let socket = udp("127.0.0.1:0".parse().unwrap(), how).unwrap();
        assert_eq!(ip_mtu_discover(&socket).unwrap(), Ipv4PathMtuDiscovery::PROBE);
        let Ok(socket) = udp("[::1]:0".parse().unwrap(), how) else { return };
        assert_eq!(ipv6_mtu_discover(&socket).unwrap(), Ipv6PathMtuDiscovery::PROBE);
        assert_eq!(ip_mtu_discover(&socket).unwrap(), Ipv4PathMtuDiscovery::PROBE);
    }

    #[test]
    fn the_sysctl_file_allows_what_is_asked_for() {
        let text = include_str!("../../deploy/sysctl.d/60-gatepost.conf");
        assert_eq!(text.lines().last(), Some(&*format!("net.core.rmem_max = {RECEIVE_BUFFER}")));
    }
}
