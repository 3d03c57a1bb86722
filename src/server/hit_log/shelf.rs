//! What lies between those who answer and the one who writes: a shelf for each thread that answers.
//!
//! A UDP worker collects a batch with its own [`Pen`] and puts it on its shelf when nobody is there ([`Mutex::try_lock`];
//! the writer is there only to exchange two buffers), else with the next batch. All buffers are as large as they get from
//! the start, so nothing is allocated for a listing.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Octets of a buffer: some thousand listings. What finds no room is lost.
const ROOM: usize = 1 << 19;
/// Octets of a record before its reply.
const HEAD: usize = 4 + 16 + 4;

/// The shelves of a server.
#[derive(Debug)]
pub(in crate::server) struct Shelves {
    rows: Box<[Shelf]>,
    /// Lines that were made, but could not be written.
    unwritten: AtomicU64,
}

#[derive(Debug)]
#[repr(align(128))]
struct Shelf {
    records: Mutex<Vec<u8>>,
    /// Listings that found no room.
    lost: AtomicU64,
}

/// What one UDP worker writes with.
#[derive(Debug)]
pub(in crate::server) struct Pen {
    shelves: Arc<Shelves>,
    row: usize,
    /// What is not on the shelf yet.
    records: Vec<u8>,
}

/// A listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// When, in seconds since 1970.
    pub(super) wall: u32,
    /// Who was told.
    pub(super) client: IpAddr,
    /// What.
    pub(super) reply: &'a [u8],
}

/// An empty buffer.
pub(super) fn room() -> Vec<u8> {
    Vec::with_capacity(ROOM)
}

impl Shelves {
    /// For so many threads that answer; none when nothing is written down.
    pub(in crate::server) fn new(rows: usize) -> Self {
        let shelf = |_| Shelf { records: Mutex::new(room()), lost: AtomicU64::new(0) };
        Self { rows: (0..rows).map(shelf).collect(), unwritten: AtomicU64::new(0) }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Listings that are in no file.
    pub(in crate::server) fn lost(&self) -> u64 {
        let lost: u64 = self.rows.iter().map(|shelf| shelf.lost.load(Ordering::Relaxed)).sum();
        lost + self.unwritten.load(Ordering::Relaxed)
    }

    pub(super) fn note_unwritten(&self, lines: u64) {
        self.unwritten.fetch_add(lines, Ordering::Relaxed);
    }

    /// Writes a listing down from a thread that may wait for a moment, if there are shelves.
    pub(in crate::server) fn note(&self, row: usize, wall: u32, client: IpAddr, reply: &[u8]) {
        let Some(shelf) = self.rows.get(row) else { return };
        let mut records = shelf.records.lock().unwrap_or_else(PoisonError::into_inner);
        if !(Record { wall, client, reply }).add_to(&mut records) {
            shelf.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes what is on a shelf and leaves `empty` there.
    pub(super) fn take(&self, row: usize, empty: &mut Vec<u8>) {
        let mut records = self.rows[row].records.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *records, empty);
    }
}

impl Pen {
    /// For the thread with this row; `None` when nothing is written down.
    pub(in crate::server) fn new(shelves: &Arc<Shelves>, row: usize) -> Option<Self> {
        (row < shelves.rows.len()).then(|| Self { shelves: Arc::clone(shelves), row, records: room() })
    }

    /// Writes a listing down.
    pub(in crate::server) fn note(&mut self, wall: u32, client: IpAddr, reply: &[u8]) {
        if !(Record { wall, client, reply }).add_to(&mut self.records) {
            self.lose(1);
        }
    }

    /// Puts what was written down on the shelf, if that can be done at once.
    pub(in crate::server) fn put(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let mut shelf = match self.shelves.rows[self.row].records.try_lock() {
            Ok(shelf) => shelf,
            Err(TryLockError::Poisoned(shelf)) => shelf.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if shelf.is_empty() {
            std::mem::swap(&mut *shelf, &mut self.records);
        } else if shelf.len() + self.records.len() <= ROOM {
            shelf.append(&mut self.records);
        }
    }

    fn lose(&self, listings: u64) {
        self.shelves.rows[self.row].lost.fetch_add(listings, Ordering::Relaxed);
    }
}

impl Drop for Pen {
    /// The last batch; by now there is time to wait for the writer.
    fn drop(&mut self) {
        let mut shelf = self.shelves.rows[self.row].records.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.len() + self.records.len() <= ROOM {
            shelf.append(&mut self.records);
        }
        self.lose(Record::all(&self.records).count() as u64);
    }
}

impl<'a> Record<'a> {
    /// Whether there was room for it.
    fn add_to(&self, records: &mut Vec<u8>) -> bool {
        if records.len() + HEAD + self.reply.len() > ROOM {
            return false;
        }
        let client = match self.client {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        records.extend_from_slice(&self.wall.to_ne_bytes());
        records.extend_from_slice(&client.octets());
        records.extend_from_slice(&(self.reply.len() as u32).to_ne_bytes());
        records.extend_from_slice(self.reply);
        true
    }

    /// The listings in a buffer.
    pub(super) fn all(mut records: &'a [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let (wall, rest) = records.split_first_chunk::<4>()?;
            let (client, rest) = rest.split_first_chunk::<16>()?;
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let (reply, rest) = rest.split_at_checked(u32::from_ne_bytes(*len) as usize)?;
            records = rest;
            let client = Ipv6Addr::from(*client).to_canonical();
            Some(Self { wall: u32::from_ne_bytes(*wall), client, reply })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn taken(shelves: &Shelves) -> Vec<(u32, IpAddr, Vec<u8>)> {
        let mut records = room();
        shelves.take(0, &mut records);
        Record::all(&records).map(|record| (record.wall, record.client, record.reply.to_vec())).collect()
    }

    #[test]
    fn what_is_put_there_is_found_in_order() {
        let shelves = Arc::new(Shelves::new(1));
        let mut pen = Pen::new(&shelves, 0).unwrap();
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        pen.note(1, v4, b"first");
        pen.put();
        pen.note(2, CLIENT, b"");
        pen.put();
        shelves.note(0, 3, v4, b"third");
        let expected = [(1, v4, b"first".to_vec()), (2, CLIENT, Vec::new()), (3, v4, b"third".to_vec())];
        assert_eq!(taken(&shelves), expected);
        pen.put();
        assert_eq!(taken(&shelves), []);
        assert!(Pen::new(&shelves, 1).is_none() && Pen::new(&Arc::new(Shelves::new(0)), 0).is_none());
    }

    #[test]
    fn nobody_waits_for_the_writer() {
        let shelves = Arc::new(Shelves::new(1));
        let mut pen = Pen::new(&shelves, 0).unwrap();
        let writer = shelves.rows[0].records.lock().unwrap();
        pen.note(1, CLIENT, b"kept");
        pen.put();
        drop(writer);
        assert_eq!(taken(&shelves), []);
        drop(pen);
        assert_eq!(taken(&shelves), [(1, CLIENT, b"kept".to_vec())]);
        assert_eq!(shelves.lost(), 0);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nothing_grows() {
        let shelves = Arc::new(Shelves::new(1));
        let mut pen = Pen::new(&shelves, 0).unwrap();
        let reply = [7; 1000];
        for wall in 0..5000 {
            pen.note(wall, CLIENT, &reply);
            pen.put();
        }
        let capacity = pen.records.capacity();
        drop(pen);
        let fit = (ROOM / (HEAD + reply.len())) as u64;
        assert_eq!(shelves.lost(), 5000 - fit, "a full shelf; what the pen still had is lost with it");
        let found = taken(&shelves);
        assert_eq!((found.len() as u64, found[0].0), (fit, 0));
        assert_eq!(capacity, ROOM);
        shelves.note(0, 1, CLIENT, &[0; ROOM]);
        shelves.note_unwritten(2);
        assert_eq!(shelves.lost(), 5000 - fit + 3);
    }
}
