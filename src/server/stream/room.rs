//! Room for connections: so many in all, whatever they speak, and so many of one client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The seats that there are.
#[derive(Clone)]
pub(super) struct Room {
    seats: Arc<Semaphore>,
    all: usize,
    per_client: usize,
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A seat, taken as long as this lives.
pub(super) struct Seat {
    _seat: OwnedSemaphorePermit,
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
    key: IpAddr,
}

impl Room {
    pub(super) fn new(all: usize, per_client: usize) -> Self {
        let all = all.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self { seats: Arc::new(Semaphore::new(all)), all, per_client, clients: Arc::default() }
    }

    /// A seat for a connection of `address`; `None` when all are taken, or all that one client may have.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Seat> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        let key = client_key(address);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = clients.get(&key).copied().unwrap_or(0);
        if taken >= self.per_client {
            return None;
        }
        clients.insert(key, taken + 1);
        Some(Seat { _seat: seat, clients: Arc::clone(&self.clients), key })
    }

    /// Completes when nobody has a seat.
    pub(super) async fn emptied(&self) {
        // It is never closed, so it cannot fail.
        let _ = self.seats.acquire_many(self.all as u32).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.key);
            }
        }
    }
}

/// An IPv6 client owns its /64.
fn client_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        let room = Room::new(10, 2);
        let seats = ["2001:db8::1", "2001:db8::ffff:0:0:2"].map(|client| room.admit(ip(client)));
        assert!(seats.iter().all(Option::is_some));
        assert!(room.admit(ip("2001:db8:0:0:1::")).is_none(), "the same /64");
        assert!(room.admit(ip("2001:db8:0:1::1")).is_some(), "another /64");
        drop(seats);
        assert!(room.admit(ip("2001:db8::3")).is_some(), "seats are given back");
        // IPv4 in IPv6 clothes is no /64 for all of IPv4.
        let v4 = ["::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"].map(|client| room.admit(ip(client)));
        assert!(v4.iter().all(Option::is_some));
        assert!(room.admit(ip("192.0.2.1")).is_none());
        drop(v4);
        assert!(room.clients.lock().unwrap().is_empty(), "who is gone is forgotten");
    }

    #[test]
    fn all_clients_together() {
        let room = Room::new(3, 2);
        let seats: Vec<_> =
            (1..=3).map(|last| room.admit(IpAddr::from([192, 0, 2, last])).unwrap()).collect();
        assert!(room.admit(ip("192.0.2.9")).is_none());
        drop(seats);
        // One that was turned away holds nothing.
        let of_one = [room.admit(ip("192.0.2.1")), room.admit(ip("192.0.2.1")), room.admit(ip("192.0.2.1"))];
        assert!(of_one[2].is_none());
        assert!(room.admit(ip("192.0.2.2")).is_some());
    }
}
