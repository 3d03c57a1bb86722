//! One packet a call: recvmsg and sendmsg.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};

use super::{Backend, PATIENCE, RECEIVE_MAX, Slot};
use crate::wire::UDP_MAX;

/// One packet a call.
pub struct Single {
    socket: Arc<UdpSocket>,
    packet: Box<[u8]>,
    reply: Box<[u8; UDP_MAX]>,
    control: Vec<u8>,
    received: Option<Received>,
    reply_len: usize,
}

struct Received {
    len: usize,
    peer: SockaddrStorage,
    peer_address: SocketAddr,
    asked: Option<Asked>,
}

/// The address that was asked, where the socket is bound to all: the reply has to leave from it.
enum Asked {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Backend for Single {
    fn open(socket: Arc<UdpSocket>) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            packet: vec![0; RECEIVE_MAX].into(),
            reply: Box::new([0; UDP_MAX]),
            control: vec![0; cmsg_space!(in6_pktinfo).capacity()],
            received: None,
            reply_len: 0,
        })
    }

    fn receive(&mut self, wait: bool) -> io::Result<usize> {
        let flags = if wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
        let mut parts = [IoSliceMut::new(&mut self.packet[..])];
        let message =
            recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut parts, Some(&mut self.control), flags);
        let message = match message {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let asked = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|control| match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::from_v4(info)),
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(Asked::from_v6(info)),
                _ => None,
            })
        });
        self.received = message.address.and_then(|peer| {
            Some(Received { len: message.bytes, peer, peer_address: address(&peer)?, asked })
        });
        Ok(usize::from(self.received.is_some()))
    }

    fn slots(&mut self) -> impl Iterator<Item = Slot<'_>> {
        let (packet, reply, reply_len) = (&self.packet, &mut self.reply, &mut self.reply_len);
        let slot = self.received.as_ref().map(|received| Slot {
            packet: &packet[..received.len],
            peer: received.peer_address,
            reply: &mut reply[..],
            len: reply_len,
        });
        slot.into_iter()
    }

    fn send(&mut self) -> usize {
        let (Some(received), 1..) = (&self.received, self.reply_len) else {
            return 0;
        };
        let parts = [IoSlice::new(&self.reply[..self.reply_len])];
        let fd = self.socket.as_raw_fd();
        // A full send buffer drops the reply, as the network might: waiting would stop all other answers.
        let flags = MsgFlags::MSG_DONTWAIT;
        let peer = received.peer;
        let sent = match &received.asked {
            None => sendmsg(fd, &parts, &[], flags, Some(&peer)).is_ok(),
            // Allocates for the control message: slower than a batch, but nothing is asked of the system that this path
            // is there to do without.
            Some(asked) => {
                let control = [match asked {
                    Asked::V4(info) => ControlMessage::Ipv4PacketInfo(info),
                    Asked::V6(info) => ControlMessage::Ipv6PacketInfo(info),
                }];
                sendmsg(fd, &parts, &control, flags, Some(&peer)).is_ok()
            }
        };
        usize::from(!sent)
    }

    fn sweep(&mut self) {
        self.received = None;
        self.reply_len = 0;
    }
}

impl Asked {
    /// The routing table chooses the interface.
    fn from_v4(info: in_pktinfo) -> Self {
        Self::V4(in_pktinfo { ipi_ifindex: 0, ..info })
    }

    /// The routing table chooses the interface, but for link-local addresses, which mean nothing without it.
    fn from_v6(info: in6_pktinfo) -> Self {
        let link_local = info.ipi6_addr.s6_addr[0] == 0xfe && info.ipi6_addr.s6_addr[1] & 0xc0 == 0x80;
        Self::V6(if link_local { info } else { in6_pktinfo { ipi6_ifindex: 0, ..info } })
    }
}

fn address(peer: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = peer.as_sockaddr_in() {
        return Some(SocketAddr::V4(SocketAddrV4::new(v4.ip(), v4.port())));
    }
    let v6 = peer.as_sockaddr_in6()?;
    Some(SocketAddr::V6(SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id())))
}
