//! UDP: one loop for every way of getting packets in and out.
//!
//! A [`Backend`] owns a socket and its buffers; the worker's loop runs over one in a thread of its own. [`Batch`] moves
//! many packets a call, [`Single`] one, where the system cannot do better; others are files beside them. Never: what a reply says (that is
//! [`respond`](super::respond)).

mod batch;
mod single;
mod sys;
mod worker;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

pub use batch::Batch;
pub use single::Single;
pub(super) use sys::drops;
pub(super) use worker::spawn;

/// A way of getting packets in and out, a batch at a time. All buffers are allocated by [`open`](Self::open); the
/// other calls allocate nothing. Used from the one thread that opened it.
pub trait Backend: Sized {
    /// Reads from and writes to a bound socket from now on; needs no other descriptor.
    fn open(socket: Arc<UdpSocket>) -> io::Result<Self>;

    /// Waits for packets and tells how many there are; 0 when none came within [`PATIENCE`], or none is there and
    /// `wait` is not set.
    fn receive(&mut self, wait: bool) -> io::Result<usize>;

    /// The packets that were received, [`BATCH`] at most, each with room for its reply.
    fn slots(&mut self) -> impl Iterator<Item = Slot<'_>>;

    /// Sends the replies, each from the address that was asked; tells how many could not be sent.
    fn send(&mut self) -> usize;

    /// Makes the slots that were used ready for the next batch.
    fn sweep(&mut self);
}

/// The longest that [`Backend::receive`] waits: how soon a worker notices that it should stop, or lets go of a world
/// that is no longer served.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_millis(200);

/// Packets that a backend has at most. More gain nothing: of what a packet costs, the call is a small part by then.
pub const BATCH: usize = 32;

/// Octets of room for a packet: none is longer (and packets that lie so far apart fall into different lines of the
/// processor's cache). Memory is taken only for what is used of it.
pub const RECEIVE_MAX: usize = (1 << 16) + 64;

/// A received packet and its reply.
pub struct Slot<'a> {
    /// The packet.
    pub packet: &'a [u8],
    /// Who sent it.
    pub peer: SocketAddr,
    /// Room for the reply: [`UDP_MAX`](crate::wire::UDP_MAX) octets.
    pub reply: &'a mut [u8],
    /// Octets of the reply; 0, as it comes, means none.
    pub len: &'a mut usize,
}

#[cfg(test)]
mod tests;
