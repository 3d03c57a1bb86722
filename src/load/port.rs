//! One client port: a connected socket and the questions that are in flight on it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};

/// Replies received a call.
pub(super) const BATCH: usize = 32;

/// The longest reply; of a longer one the beginning.
const REPLY_MAX: usize = 4096;

/// Octets asked for as receive buffer: a pause of this program shall not throw away what a server has answered. A
/// resolver of some thousand clients asks for as much.
const RECEIVE_BUFFER: usize = 4 << 20;

/// So many lost questions keep their places against new ones.
const LOST_IN_A_ROW: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: UdpSocket,
    /// By the lower bits of the id. Its length is a power of two.
    flights: Vec<Flight>,
    next: u16,
    flying: usize,
    /// Where [`Port::give_up`] goes on.
    at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    question: u32,
    id: u16,
    state: State,
    /// Nanoseconds since the start: when it had to be sent, and when it was.
    due: u64,
    sent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unused,
    Flying,
    Answered,
    Lost,
}

/// What a reply is, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landed {
    /// The first to this question, in time.
    Answer { question: usize, due: u64 },
    /// The first to a question that is given up now because of its age.
    Overdue,
    /// The first to a question that had been given up.
    Late,
    /// To a question that has been answered.
    Twice,
    /// Nothing with this id was asked.
    Unknown,
}

impl Port {
    /// Room for `flights` questions in flight, at most 2^16.
    pub(super) fn open(server: SocketAddr, flights: usize) -> io::Result<Self> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        ask_for_room(&socket);
        socket.connect(server)?;
        let unused = Flight { question: 0, id: 0, state: State::Unused, due: 0, sent: 0 };
        let flights = vec![unused; flights.next_power_of_two().min(1 << 16)];
        Ok(Self { socket, flights, next: 0, flying: 0, at: 0 })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Questions in flight.
    pub(super) fn flying(&self) -> usize {
        self.flying
    }

    /// An id for a question that is sent now; `None` when there is no room.
    pub(super) fn launch(&mut self, question: usize, due: u64, sent: u64) -> Option<u16> {
        if self.flying == self.flights.len() {
            return None;
        }
        // Others go on around what is in flight, and around what is lost, so that a late reply is known for what it is;
        // but not when there is nothing but lost ones.
        let mut skipped = 0;
        loop {
            match self.flight(self.next).state {
                State::Flying => {}
                State::Lost if skipped < LOST_IN_A_ROW => skipped += 1,
                _ => break,
            }
            self.next = self.next.wrapping_add(1);
        }
        let id = self.next;
        self.next = id.wrapping_add(1);
        *self.flight(id) = Flight { question: question as u32, id, state: State::Flying, due, sent };
        self.flying += 1;
        Some(id)
    }

    /// A reply with this id has come.
    pub(super) fn land(&mut self, id: u16, now: u64, timeout: u64) -> Landed {
        let flight = self.flight(id);
        if flight.id != id {
            return Landed::Unknown;
        }
        let Flight { question, due, sent, state, .. } = *flight;
        flight.state = match state {
            State::Unused => return Landed::Unknown,
            State::Answered => return Landed::Twice,
            State::Lost | State::Flying => State::Answered,
        };
        if state == State::Lost {
            return Landed::Late;
        }
        self.flying -= 1;
        if now.saturating_sub(sent) > timeout {
            return Landed::Overdue;
        }
        Landed::Answer { question: question as usize, due }
    }

    /// Looks at the next `count` places and gives up what has been in flight for longer than `timeout`: how many.
    pub(super) fn give_up(&mut self, count: usize, now: u64, timeout: u64) -> u64 {
        let mut lost = 0;
        if self.flying == 0 {
            return lost;
        }
        for _ in 0..count.min(self.flights.len()) {
            let flight = &mut self.flights[self.at];
            if flight.state == State::Flying && now.saturating_sub(flight.sent) > timeout {
                flight.state = State::Lost;
                self.flying -= 1;
                lost += 1;
            }
            self.at = (self.at + 1) % self.flights.len();
        }
        lost
    }

    fn flight(&mut self, id: u16) -> &mut Flight {
        let mask = self.flights.len() - 1;
        &mut self.flights[usize::from(id) & mask]
    }
}

/// Only as much as the system allows to whom this runs as; what that is changes nothing but how long a pause may be.
fn ask_for_room(socket: &UdpSocket) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
}

/// Buffers for the replies of one call.
pub(super) struct Batch {
    headers: MultiHeaders<()>,
    buffers: Box<[[u8; REPLY_MAX]; BATCH]>,
    lens: [usize; BATCH],
}

impl Batch {
    pub(super) fn new() -> Self {
        let buffers = vec![[0; REPLY_MAX]; BATCH].into_boxed_slice().try_into();
        let buffers = buffers.unwrap_or_else(|_| unreachable!("as many as were asked for"));
        Self { headers: MultiHeaders::preallocate(BATCH, None), buffers, lens: [0; BATCH] }
    }

    /// Receives what is there, without waiting: how many replies.
    pub(super) fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let received = recvmmsg(socket, &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        let count = match received {
            Ok(replies) => replies.zip(&mut self.lens).map(|(reply, len)| *len = reply.bytes).count(),
            // Refused: nobody listened when one of the questions came. It is lost like any other.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(count)
    }

    pub(super) fn reply(&self, at: usize) -> &[u8] {
        &self.buffers[at][..self.lens[at]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> Port {
        Port::open(([127, 0, 0, 1], 9).into(), 4).unwrap()
    }

    #[test]
    fn every_reply_is_known_by_its_id() {
        let mut port = port();
        let ids: Vec<_> = (0..4).map(|question| port.launch(question, 0, 10).unwrap()).collect();
        assert_eq!(port.launch(9, 0, 0), None, "no room");
        assert_eq!(port.land(ids[1], 20, 100), Landed::Answer { question: 1, due: 0 });
        assert_eq!(port.land(ids[1], 20, 100), Landed::Twice);
        assert_eq!(port.land(77, 20, 100), Landed::Unknown);
        // The others keep their places.
        let again = port.launch(5, 0, 100).unwrap();
        assert_eq!(again & 3, ids[1]);
        assert_eq!(port.land(ids[1], 20, 100), Landed::Unknown, "its place was taken");
        assert_eq!(port.land(ids[0], 111, 100), Landed::Overdue);
        assert_eq!(port.give_up(4, 111, 100), 2);
        assert_eq!(port.land(ids[2], 111, 100), Landed::Late);
        assert_eq!(port.land(ids[2], 111, 100), Landed::Twice);
        for _ in 0..8 {
            let id = port.launch(6, 0, 111).unwrap();
            assert_ne!(id & 3, ids[3] & 3, "a lost one keeps its place");
            port.land(id, 111, 100);
        }
        assert_eq!(port.land(ids[3], 111, 100), Landed::Late);
        assert_eq!(port.flying(), 1);
        assert_eq!(port.give_up(4, 300, 100), 1);
        assert_eq!(port.flying(), 0);
    }
}
