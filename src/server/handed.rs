//! Sockets that somebody else has bound, such as the service manager, and those that are bound beside them.
//!
//! Read [`Handed`], then [`Sockets::adopt`] (they say what is listened on) and [`Sockets::fit`] (the settings do). Never: finding out
//! what was handed over, DNS.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::SockRef;

use super::Settings;
use super::listen::{Binding, Bound, How, Listener, Pair, Sockets, StartError, set_up, tcp_if_free, udp_of};

/// What was handed over: bound, and the listeners listening.
#[derive(Debug, Default)]
pub struct Handed {
    /// For questions over UDP.
    pub udp: Vec<UdpSocket>,
    /// For questions over TCP.
    pub tcp: Vec<TcpListener>,
}

impl Handed {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }

    /// Takes the listener of this address out.
    fn listener(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_there = |listener: &TcpListener| listener.local_addr().is_ok_and(|there| there == address);
        let at = self.tcp.iter().position(is_there)?;
        Some(self.tcp.remove(at))
    }

    /// By address: whatever was handed over of it.
    fn pairs(self) -> io::Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        for socket in self.udp {
            let address = socket.local_addr()?;
            set_up(&SockRef::from(&socket), address)?;
            socket.set_nonblocking(false)?;
            let pair = of(&mut pairs, address);
            pair.udp.push(socket);
            pair.shared = true;
        }
        for listener in self.tcp {
            let address = listener.local_addr()?;
            listener.set_nonblocking(true)?;
            of(&mut pairs, address).tcp = Some(listener);
        }
        Ok(pairs)
    }
}

/// The pair of this address, made where there is none.
fn of(pairs: &mut Vec<Pair>, address: SocketAddr) -> &mut Pair {
    let known = pairs.iter().position(|pair| pair.at.real == address).unwrap_or_else(|| {
        let at = Bound { asked: address, real: address };
        pairs.push(Pair { at, tcp: None, udp: Vec::new(), shared: false });
        pairs.len() - 1
    });
    &mut pairs[known]
}

impl Sockets {
    /// Takes sockets over for addresses of the settings, and [binds](Self::bind) those that are not among them. One that is
    /// elsewhere is an error: the settings alone say where questions are answered.
    pub fn fit(mut handed: Handed, settings: &Settings) -> Result<Self, StartError> {
        let wanted = settings.addresses();
        let Settings { workers, udp_will_do, .. } = *settings;
        let binding = Binding { workers, udp_will_do, leaving: &[] };
        let mut secure = |addresses: &[SocketAddr], transport| -> Result<Vec<Listener>, StartError> {
            let listener = |&asked: &SocketAddr| match handed.listener(asked) {
                None => binding.listener(asked, transport),
                Some(socket) => {
                    socket.set_nonblocking(true).map_err(StartError::Adopt)?;
                    Ok(Listener { at: Bound { asked, real: asked }, socket })
                }
            };
            addresses.iter().map(listener).collect()
        };
        let (dot, doh) = (secure(&wanted.dot, "DoT")?, secure(&wanted.doh, "DoH")?);
        let mut there = handed.pairs().map_err(StartError::Adopt)?;
        if let Some(pair) = there.iter().find(|pair| !wanted.listen.contains(&pair.at.real)) {
            return Err(StartError::Stray(pair.at.real));
        }
        let pair = |&address: &SocketAddr| match there.iter().position(|pair| pair.at.real == address) {
            None => binding.pair(address, true),
            Some(at) => binding.complete(there.swap_remove(at)),
        };
        let pairs = wanted.listen.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
        if pairs.is_empty() {
            return Err(StartError::NoAddress);
        }
        Ok(Self { pairs, dot, doh })
    }

    /// Takes sockets over, and binds the addresses of the settings that are not among them. The TCP port of a UDP socket
    /// that came alone is taken where it is free. Unlike in [`bind`](Self::bind), `::` takes what comes over IPv4 as well,
    /// unless an IPv4 address of its port is listened on besides.
    pub fn adopt(handed: Handed, settings: &Settings) -> Result<Self, StartError> {
        let mut pairs = handed.pairs().map_err(StartError::Adopt)?;
        for pair in &mut pairs {
            if let (None, Some(udp)) = (&pair.tcp, pair.udp.first()) {
                let only_v6 = pair.at.real.is_ipv4() || SockRef::from(udp).only_v6().unwrap_or(true);
                pair.tcp = tcp_if_free(pair.at.real, only_v6);
            }
        }
        let Settings { workers, udp_will_do, .. } = *settings;
        let binding = Binding { workers, udp_will_do, leaving: &[] };
        let v4 = pairs.iter().map(|pair| pair.at.real).chain(settings.listen.iter().copied());
        let v4: Vec<_> = v4.filter(SocketAddr::is_ipv4).map(|address| address.port()).collect();
        for &address in &settings.listen {
            let only_v6 = v4.contains(&address.port());
            match pairs.iter_mut().find(|pair| pair.at.real == address) {
                None => pairs.push(binding.pair(address, only_v6)?),
                Some(pair) if pair.udp.is_empty() => {
                    let failed = |cause| StartError::Bind { address, transport: "UDP", cause };
                    pair.udp =
                        udp_of(address, workers.max(1), How { shares: false, only_v6 }).map_err(failed)?;
                }
                Some(_) => {}
            }
        }
        for pair in pairs.iter().filter(|pair| pair.udp.is_empty()) {
            tracing::warn!("{}: TCP alone, since no UDP socket came with it", pair.at.real);
        }
        if pairs.is_empty() {
            return Err(StartError::NoAddress);
        }
        Ok(Self { pairs, dot: Vec::new(), doh: Vec::new() })
    }
}
