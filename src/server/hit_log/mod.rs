//! The hit log: a line for every listing that a client was told of.
//!
//! `time client name TYPE lists answers`. Whoever answers leaves a copy of the reply on a shelf of its own ([`Shelves`])
//! and goes on; a thread takes what is there, asks the world for the lists behind each reply (`line`) and writes
//! (`file`). What finds no room is lost and counted. Read [`HitLog`] first, then [`Writer`]. Never: anything that an
//! answer waits for; questions about what is not listed.

mod file;
mod line;
mod shelf;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::World;
use crate::config::ShownClients;
use file::LogFile;
use shelf::Record;
pub(super) use shelf::{Pen, Shelves};

/// How often the shelves are looked at. Nobody has to be woken for a listing, and a shelf holds what comes in that time.
const PAUSE: Duration = Duration::from_millis(20);
/// Losses are told of once in so long.
const TELL: Duration = Duration::from_secs(60);
/// Octets of lines that are written at once.
const CHUNK: usize = 1 << 16;
/// The longest that a server waits for the last lines when it stops.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Where listings are written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitLog {
    /// The file.
    pub path: PathBuf,
    /// What it shows of clients.
    pub clients: ShownClients,
}

/// The thread that writes. Dropped, it writes what is there and ends.
pub(super) struct Writer {
    orders: mpsc::Sender<Reopen>,
    /// Hears of its end.
    done: mpsc::Receiver<()>,
}

/// To open the file again.
struct Reopen;

impl Writer {
    /// Opens the file, which may fail (that is said, and tried again), and starts to write what is left on `shelves`.
    pub(super) fn start(
        log: &HitLog,
        shelves: Arc<Shelves>,
        worlds: Arc<ArcSwap<World>>,
    ) -> io::Result<Self> {
        let mut work = Work {
            clients: log.clients,
            file: LogFile::open(log.path.clone()),
            records: shelf::room(),
            lines: String::with_capacity(2 * CHUNK),
            told: (0, None),
            shelves,
            worlds,
        };
        let (orders, received) = mpsc::channel();
        let (ended, done) = mpsc::channel();
        thread::Builder::new().name("hit-log".into()).spawn(move || {
            let _ended: mpsc::Sender<()> = ended;
            work.run(&received);
        })?;
        Ok(Self { orders, done })
    }

    /// Opens the file again after what is there now: it may have been renamed.
    pub(super) fn reopen(&self) {
        // One that has ended has panicked, and said so.
        let _ = self.orders.send(Reopen);
    }

    /// Waits until everything is written, but not for a file system that does not write.
    pub(super) fn stop(self) {
        drop(self.orders);
        let _ = self.done.recv_timeout(LAST_LINES);
    }
}

struct Work {
    clients: ShownClients,
    file: LogFile,
    shelves: Arc<Shelves>,
    worlds: Arc<ArcSwap<World>>,
    /// Taken from a shelf.
    records: Vec<u8>,
    /// Made of them.
    lines: String,
    /// The losses that have been told of, and when.
    told: (u64, Option<Instant>),
}

impl Work {
    fn run(&mut self, orders: &mpsc::Receiver<Reopen>) {
        loop {
            let order = orders.recv_timeout(PAUSE);
            self.write_all();
            match order {
                Ok(Reopen) => self.file.reopen(),
                Err(RecvTimeoutError::Timeout) => self.file.look(),
                Err(RecvTimeoutError::Disconnected) => return self.tell_losses(),
            }
            if self.told.1.is_none_or(|at| at.elapsed() >= TELL) {
                self.tell_losses();
            }
        }
    }

    fn write_all(&mut self) {
        for row in 0..self.shelves.rows() {
            self.shelves.take(row, &mut self.records);
            if self.records.is_empty() {
                continue;
            }
            let world = self.worlds.load_full();
            let records = std::mem::take(&mut self.records);
            for record in Record::all(&records) {
                line::add(&mut self.lines, &world, self.clients, &record);
                if self.lines.len() >= CHUNK {
                    self.write();
                }
            }
            self.records = records;
            self.records.clear();
        }
        self.write();
    }

    fn write(&mut self) {
        let lost = self.file.write(self.lines.as_bytes());
        self.shelves.note_unwritten(lost);
        self.lines.clear();
    }

    fn tell_losses(&mut self) {
        let lost = self.shelves.lost();
        if lost > self.told.0 {
            tracing::warn!("the hit log lacks {} listings", lost - self.told.0);
            self.told = (lost, Some(Instant::now()));
        }
    }
}
