//! The loop of a UDP worker, the same for every backend.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use arrayvec::ArrayVec;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::{BATCH, Backend, Slot};
use crate::server::World;
use crate::server::books::Books;
use crate::server::respond::{Moment, Outcome, Pending, Step, Transport, begin, look_up};
use crate::server::stats::Dropped;
use crate::wire::LowerName;

/// Packets that a worker still answers after it was told to stop.
const LAST_PACKETS: usize = 10_000;
/// Pause after a socket error, so that a lasting one does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Starts a worker on `socket`, and where `core` is a number, on that core of those that this process may use.
pub(in crate::server) fn spawn<B: Backend>(
    socket: Arc<UdpSocket>,
    core: Option<usize>,
    worlds: &Arc<ArcSwap<World>>,
    mut books: Books,
    stop: &Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    let (worlds, stop) = (Arc::clone(worlds), Arc::clone(stop));
    thread::Builder::new().name("dns-udp".into()).spawn(move || {
        if let Some(Err(error)) = core.map(pin) {
            tracing::warn!(%error, "a UDP worker is not kept on one core");
        }
        match B::open(socket) {
            Ok(backend) => run(backend, &worlds, &mut books, &stop),
            Err(error) => tracing::error!(%error, "a UDP worker cannot start"),
        }
    })
}

/// Keeps this thread on core `number` of those that it may use; when there are fewer, counting goes on at the first.
fn pin(number: usize) -> io::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let cores = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
    let cores: Vec<_> = cores.collect();
    let mut own = CpuSet::new();
    own.set(cores[number % cores.len()])?;
    Ok(sched_setaffinity(this, &own)?)
}

fn run<B: Backend>(mut backend: B, worlds: &ArcSwap<World>, books: &mut Books, stop: &AtomicBool) {
    let mut worlds = Cache::new(worlds);
    let mut names = Box::new([const { LowerName::ROOT }; BATCH]);
    let mut left = LAST_PACKETS;
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        let count = match backend.receive(!stopping) {
            Ok(count) => count,
            Err(error) => {
                tracing::warn!(%error, "receiving failed");
                thread::sleep(ERROR_PAUSE);
                0
            }
        };
        if stopping {
            left = left.saturating_sub(count.max(1));
            if count == 0 || left == 0 {
                return;
            }
        }
        // Once a batch, and while idle, so that a world that is no longer served is let go.
        let world = worlds.load();
        if count == 0 {
            books.close_batch();
            continue;
        }
        answer(world, backend.slots(), &mut names, books, stop);
        for _ in 0..backend.send() {
            books.note_dropped(Dropped::Send);
        }
        books.close_batch();
        backend.sweep();
    }
}

/// Answers a batch: all are read, what they ask for is looked up together, then their replies are written.
fn answer<'s>(
    world: &World,
    slots: impl Iterator<Item = Slot<'s>>,
    names: &'s mut [LowerName; BATCH],
    books: &mut Books,
    stop: &AtomicBool,
) {
    let at = Moment::now();
    let mut waiting: ArrayVec<Slot<'s>, BATCH> = ArrayVec::new();
    let mut pending: ArrayVec<Pending<'_, 's>, BATCH> = ArrayVec::new();
    for (slot, name) in slots.zip(names) {
        let client = slot.peer;
        // It woke us (see `Board::shut`).
        if slot.packet.is_empty() && stop.load(Ordering::Relaxed) {
            continue;
        }
        if client.port() == 0 {
            books.note_dropped(Dropped::SourcePort);
            continue;
        }
        match begin(world, client.ip(), slot.packet, name, Transport::Udp, at, slot.reply) {
            Step::Done(outcome) => close(slot, at, &outcome, books),
            Step::Pending(one) => {
                pending.push(one);
                waiting.push(slot);
            }
        }
    }
    look_up(&mut pending);
    for (slot, pending) in waiting.into_iter().zip(&pending) {
        let outcome = pending.finish(world, slot.reply);
        close(slot, at, &outcome, books);
    }
}

/// Settles what is sent of a slot's reply, and writes it down.
fn close(slot: Slot<'_>, at: Moment, outcome: &Outcome<'_>, books: &mut Books) {
    if let Outcome::Reply { encoded, .. } = outcome {
        *slot.len = encoded.len;
    }
    books.note(at, slot.peer.ip(), outcome, slot.packet.len(), &slot.reply[..*slot.len]);
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::SocketAddr;
    use std::sync::Mutex;

    use super::*;
    use crate::server::Tallies;
    use crate::server::stats::Board;
    use crate::wire::{Rcode, Silence, UDP_MAX};

    type Packet = (SocketAddr, Vec<u8>);

    /// A network by script, three packets a call: what comes in, and what went out.
    struct Scripted {
        script: VecDeque<io::Result<Vec<Packet>>>,
        packets: Vec<Packet>,
        replies: Vec<Vec<u8>>,
        lens: [usize; 3],
        sent: Arc<Mutex<Vec<Packet>>>,
    }

    impl Backend for Scripted {
        fn open(_: Arc<UdpSocket>) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn receive(&mut self, _: bool) -> io::Result<usize> {
            assert!(self.packets.is_empty(), "swept");
            self.packets = self.script.pop_front().unwrap_or(Ok(Vec::new()))?;
            Ok(self.packets.len())
        }

        fn slots(&mut self) -> impl Iterator<Item = Slot<'_>> {
            let packets = self.packets.iter().zip(&mut self.replies).zip(&mut self.lens);
            packets.map(|(((peer, packet), reply), len)| Slot { packet, peer: *peer, reply, len })
        }

        fn send(&mut self) -> usize {
            let replies = self.packets.iter().zip(self.replies.iter().zip(&self.lens));
            let replies = replies.filter(|(_, (_, len))| **len > 0);
            // Port 666 cannot be sent to.
            let (lost, sent): (Vec<_>, Vec<_>) = replies.partition(|((peer, _), _)| peer.port() == 666);
            let sent = sent.into_iter().map(|((peer, _), (reply, &len))| (*peer, reply[..len].to_vec()));
            self.sent.lock().unwrap().extend(sent);
            lost.len()
        }

        fn sweep(&mut self) {
            self.packets.clear();
            self.lens = [0; 3];
        }
    }

    #[test]
    fn a_pinned_worker_has_one_core() {
        let cores = || {
            let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
            (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap()).collect::<Vec<_>>()
        };
        let all = cores();
        for number in 0..=all.len() {
            let pinned = thread::spawn(move || pin(number).map(|()| cores())).join().unwrap().unwrap();
            assert_eq!(pinned, [all[number % all.len()]]);
        }
        assert_eq!(cores(), all, "the others are left alone");
    }

    #[test]
    fn batches() {
        let query = |id: u8| -> Vec<u8> {
            [&[0, id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x01x\x00\x00\x01\x00\x01"].concat()
        };
        let from = |port: u16, packet: Vec<u8>| (SocketAddr::from(([192, 0, 2, 1], port)), packet);
        let sent = Arc::default();
        let backend = Scripted {
            script: VecDeque::from([
                Ok(vec![from(1001, query(1)), from(0, query(2)), from(1003, b"short".to_vec())]),
                Err(io::Error::other("scripted")),
                Ok(vec![from(666, query(4)), from(1005, query(5))]),
            ]),
            packets: Vec::new(),
            replies: vec![vec![0; UDP_MAX]; 3],
            lens: [0; 3],
            sent: Arc::clone(&sent),
        };
        let worlds = ArcSwap::from_pointee(World::new([], None, None));
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let board = Board::new(Tallies::new(2), None, false);
        let (_, mut books) = board.seat(socket);
        let stop = Arc::new(AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| run(backend, &worlds, &mut books, &stop));
            while sent.lock().unwrap().len() < 2 {
                thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
        });
        let sent = sent.lock().unwrap();
        let ids: Vec<_> = sent.iter().map(|(peer, reply)| (peer.port(), reply[1], reply[3])).collect();
        assert_eq!(ids, [(1001, 1, 5), (1005, 5, 5)], "refused, but answered");
        let counts = board.stats().udp;
        assert_eq!(counts.queries, 4);
        assert!(counts.rcodes.contains(&(Rcode::REFUSED, 3)));
        for why in [Dropped::SourcePort, Dropped::Silent(Silence::Short), Dropped::Send] {
            assert!(counts.dropped.contains(&(why, 1)), "{why:?}");
        }
    }
}
