//! The loop of a UDP worker, the same for every backend.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use super::Backend;
use crate::server::respond::{Outcome, Transport, respond};
use crate::server::stats::Dropped;
use crate::server::{SharedCounters, World};

/// Packets that a worker still answers after it was told to stop.
const LAST_PACKETS: usize = 10_000;
/// Pause after a socket error, so that a lasting one does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Starts a worker on `socket`.
pub(in crate::server) fn spawn<B: Backend>(
    socket: UdpSocket,
    worlds: &Arc<ArcSwap<World>>,
    counters: SharedCounters,
    stop: &Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    let (worlds, stop) = (Arc::clone(worlds), Arc::clone(stop));
    thread::Builder::new().name("dns-udp".into()).spawn(move || match B::open(socket) {
        Ok(backend) => run(backend, &worlds, &counters, &stop),
        Err(error) => tracing::error!(%error, "a UDP worker cannot start"),
    })
}

fn run<B: Backend>(mut backend: B, worlds: &ArcSwap<World>, counters: &SharedCounters, stop: &AtomicBool) {
    let mut worlds = Cache::new(worlds);
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
            continue;
        }
        for slot in backend.slots() {
            if slot.peer.port() == 0 {
                counters.note_dropped(Dropped::SourcePort);
                continue;
            }
            let outcome = respond(world, slot.packet, Transport::Udp, slot.reply);
            counters.note(&outcome);
            if let Outcome::Reply { encoded, .. } = outcome {
                *slot.len = encoded.len;
            }
        }
        for _ in 0..backend.send() {
            counters.note_dropped(Dropped::Send);
        }
        backend.sweep();
    }
}
