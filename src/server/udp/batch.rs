//! Many packets a call: recvmmsg and sendmmsg.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::sys::{Packets, is_supported};
use super::{BATCH, Backend, PATIENCE, Slot};

/// Many packets a call. Waits for one and takes what else is there, so that a lone packet waits for no others.
pub struct Batch {
    socket: Arc<UdpSocket>,
    packets: Packets,
    lens: [usize; BATCH],
    count: usize,
}

impl Batch {
    /// Whether the system has the calls for it.
    pub fn is_supported() -> bool {
        is_supported()
    }
}

impl Backend for Batch {
    fn open(socket: Arc<UdpSocket>) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, packets: Packets::new(), lens: [0; BATCH], count: 0 })
    }

    fn receive(&mut self, wait: bool) -> io::Result<usize> {
        self.count = match self.packets.receive(self.socket.as_fd(), wait) {
            Ok(count) => count,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::TimedOut => 0,
                _ => return Err(error),
            },
        };
        Ok(self.count)
    }

    fn slots(&mut self) -> impl Iterator<Item = Slot<'_>> {
        let slots = self.packets.slots(self.count).zip(&mut self.lens);
        slots.map(|((packet, peer, reply), len)| Slot { packet, peer, reply, len })
    }

    fn send(&mut self) -> usize {
        self.packets.send(self.socket.as_fd(), &self.lens, self.count)
    }

    fn sweep(&mut self) {
        self.packets.reset(self.count);
        self.lens[..self.count].fill(0);
        self.count = 0;
    }
}
