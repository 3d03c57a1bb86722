//! Room for connections: so many in all, whatever they speak, and so many of one client.
//!
//! When all places are taken, whoever comes gets the place of somebody else ([`Room::admit`]): of the client that has most,
//! first a connection that has never had an answer, then the one that has been idle longest. Nobody who waits for an answer
//! loses a place, and what came over a connection before it lost its place is still answered. So clients that take places and
//! ask nothing cost each other theirs, and nobody else.
//!
//! Never: reading from a connection, closing one (whoever serves it does, told by [`Seat::lost`]).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A client that leaves a reply lying for so long waits for none.
const TAKEN: Duration = Duration::from_secs(1);
/// That places are short is told no more often than this.
const TELL: Duration = Duration::from_secs(60);

/// The seats that there are.
#[derive(Clone)]
pub(super) struct Room {
    per_client: usize,
    inner: Arc<Inner>,
}

struct Inner {
    all: AtomicUsize,
    taken: Mutex<Taken>,
    /// Tells that a seat was left.
    left: Notify,
}

/// Who sits where.
#[derive(Default)]
struct Taken {
    seats: HashMap<u64, Arc<Place>>,
    clients: HashMap<IpAddr, usize>,
    next: u64,
    shortage: Shortage,
}

/// One of the seats.
struct Place {
    client: IpAddr,
    standing: Mutex<Standing>,
    /// Tells that it is somebody else's.
    lost: Notify,
}

/// What a connection is worth.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// Answers that are due.
    due: usize,
    /// It has had an answer.
    proven: bool,
    /// Since when that is so.
    since: Instant,
}

/// What was told of a lack of places, and what happened since.
#[derive(Default)]
struct Shortage {
    told: Option<Instant>,
    displaced: u64,
    refused: u64,
}

/// A seat, taken as long as this lives or until it is [`lost`](Self::lost).
pub(super) struct Seat {
    number: u64,
    place: Arc<Place>,
    inner: Arc<Inner>,
}

/// An answer that is due as long as this lives.
pub(super) struct Due(Arc<Place>);

impl Room {
    pub(super) fn new(all: usize, per_client: usize) -> Self {
        let inner = Inner { all: AtomicUsize::new(all), taken: Mutex::default(), left: Notify::new() };
        Self { per_client, inner: Arc::new(inner) }
    }

    /// A seat for a connection of `address`, if need be that of somebody else; `None` when all are taken that one client may
    /// have, or by clients that wait for answers.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Seat> {
        let (client, now) = (client_key(address), Instant::now());
        let mut taken = self.inner.taken();
        if taken.of(client) >= self.per_client {
            return None;
        }
        let all = self.inner.all.load(Ordering::Relaxed);
        if taken.seats.len() >= all {
            let victim = taken.least_worth(client, now).and_then(|number| taken.leave(number));
            taken.shortage.note(victim.is_some(), all, now);
            victim?.lost.notify_one();
        }
        *taken.clients.entry(client).or_default() += 1;
        taken.next += 1;
        let number = taken.next;
        let standing = Standing { due: 0, proven: false, since: now };
        let place = Arc::new(Place { client, standing: Mutex::new(standing), lost: Notify::new() });
        taken.seats.insert(number, Arc::clone(&place));
        Some(Seat { number, place, inner: Arc::clone(&self.inner) })
    }

    /// There are so many seats from now on. Where there were more, who is idle loses one; nobody who waits for an answer does.
    pub(super) fn resize(&self, all: usize) {
        self.inner.all.store(all, Ordering::Relaxed);
        let (mut taken, now) = (self.inner.taken(), Instant::now());
        while taken.seats.len() > all {
            let nobody = Ipv6Addr::UNSPECIFIED.into();
            let victim = taken.least_worth(nobody, now).and_then(|number| taken.leave(number));
            let Some(victim) = victim else { return };
            victim.lost.notify_one();
        }
    }

    /// Completes when nobody has a seat.
    pub(super) async fn emptied(&self) {
        loop {
            // Made before looking: what is left after that is not missed.
            let left = self.inner.left.notified();
            if self.inner.taken().seats.is_empty() {
                return;
            }
            left.await;
        }
    }
}

impl Inner {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn of(&self, client: IpAddr) -> usize {
        self.clients.get(&client).copied().unwrap_or(0)
    }

    /// Whose seat `comer` gets: nobody's who has fewer than `comer` would have, and nobody's who waits for an answer.
    fn least_worth(&self, comer: IpAddr, now: Instant) -> Option<u64> {
        let free = self.seats.iter().filter_map(|(&number, place)| {
            let standing = *place.standing();
            let has = self.of(place.client) + usize::from(place.client == comer);
            standing.is_idle(now).then(|| ((has, !standing.proven, now - standing.since), number))
        });
        free.max_by_key(|&(worth, number)| (worth, Reverse(number))).map(|(_, number)| number)
    }

    fn leave(&mut self, number: u64) -> Option<Arc<Place>> {
        let place = self.seats.remove(&number)?;
        if let Some(count) = self.clients.get_mut(&place.client) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&place.client);
            }
        }
        Some(place)
    }
}

impl Shortage {
    /// Somebody came when all seats were taken, and got one of them or none.
    fn note(&mut self, has_seat: bool, all: usize, now: Instant) {
        *if has_seat { &mut self.displaced } else { &mut self.refused } += 1;
        if self.told.is_some_and(|told| now < told + TELL) {
            return;
        }
        let Self { displaced, refused, .. } =
            std::mem::replace(self, Self { told: Some(now), ..Self::default() });
        tracing::warn!(
            displaced,
            refused,
            "all {all} places for connections (tcp-connections) are taken: those that came got the place of one that \
             was idle, or none where no one was; counted since this was last said"
        );
    }
}

impl Place {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn is_idle(&self, now: Instant) -> bool {
        self.due == 0 || now >= self.since + TAKEN
    }
}

impl Seat {
    /// A question has come whole; its answer is due as long as what this gives lives.
    pub(super) fn due(&self) -> Due {
        let mut standing = self.place.standing();
        if standing.due == 0 {
            standing.since = Instant::now();
        }
        standing.due += 1;
        drop(standing);
        Due(Arc::clone(&self.place))
    }

    /// Completes when the seat is given to somebody else.
    pub(super) async fn lost(&self) {
        self.place.lost.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.inner.taken().leave(self.number);
        self.inner.left.notify_waiters();
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        let mut standing = self.0.standing();
        *standing = Standing { due: standing.due - 1, proven: true, since: Instant::now() };
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

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Whether it is somebody else's by now.
    fn is_lost(seat: &Seat) -> bool {
        !seat.inner.taken().seats.contains_key(&seat.number)
    }

    /// In a world whose clock stands still unless it is told to go.
    fn with_a_clock(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(test);
    }

    async fn later() {
        tokio::time::advance(Duration::from_millis(10)).await;
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
        assert!(room.inner.taken().clients.is_empty(), "who is gone is forgotten");
    }

    #[test]
    fn who_has_most_gives_a_seat_first() {
        with_a_clock(async {
            let room = Room::new(6, 3);
            let alone = room.admit(client(9)).unwrap();
            later().await;
            let many: Vec<_> = (0..5).map(|at| room.admit(client(1 + at / 3)).unwrap()).collect();
            // The client that has three loses one, though another waits longer.
            let _new = room.admit(client(8)).unwrap();
            let lost: Vec<_> = many.iter().map(is_lost).collect();
            assert!(!is_lost(&alone));
            assert_eq!(lost.iter().filter(|&&lost| lost).count(), 1);
            assert!(lost[..3].contains(&true), "{lost:?}");
            let gone = &many[lost.iter().position(|&lost| lost).unwrap()];
            gone.lost().await;
            // What it leaves afterwards is nobody's any more.
            let taken = |room: &Room| room.inner.taken().clients.values().sum::<usize>();
            assert_eq!(taken(&room), 6);
            drop(many);
            assert_eq!(taken(&room), 2);
        });
    }

    #[test]
    fn nobody_takes_the_seat_of_one_that_has_fewer() {
        let room = Room::new(3, 3);
        let seats = [1, 2, 2].map(|last| room.admit(client(last)).unwrap());
        let _third = room.admit(client(2)).unwrap();
        assert!(!is_lost(&seats[0]), "its own go first");
    }

    #[test]
    fn who_never_had_an_answer_goes_before_who_had_one() {
        with_a_clock(async {
            let room = Room::new(3, 2);
            let seats = [1, 2, 3].map(|last| room.admit(client(last)).unwrap());
            for seat in [&seats[0], &seats[2]] {
                later().await;
                drop(seat.due());
            }
            later().await;
            let new = room.admit(client(4)).unwrap();
            assert_eq!(seats.each_ref().map(is_lost), [false, true, false]);
            later().await;
            drop(new.due());
            // Then those that have been idle longest.
            let _fifth = room.admit(client(5)).unwrap();
            assert_eq!(seats.each_ref().map(is_lost), [true, true, false]);
        });
    }

    #[test]
    fn who_waits_for_an_answer_keeps_its_seat() {
        with_a_clock(async {
            let room = Room::new(2, 2);
            let seats = [1, 1].map(|last| room.admit(client(last)).unwrap());
            let due = [seats[0].due(), seats[1].due()];
            later().await;
            assert!(room.admit(client(2)).is_none());
            let more = seats[1].due();
            drop(due);
            assert!(room.admit(client(2)).is_some());
            assert_eq!(seats.each_ref().map(is_lost), [true, false]);
            assert!(room.admit(client(3)).is_some(), "that one has gone again");
            // But not for ever: it may be that nobody takes the answer.
            let third = room.admit(client(3)).unwrap();
            let _due = third.due();
            assert!(room.admit(client(4)).is_none());
            tokio::time::advance(TAKEN).await;
            assert!(room.admit(client(4)).is_some());
            drop(more);
        });
    }

    #[test]
    fn a_lack_is_told_of_now_and_then() {
        let (mut shortage, begin) = (Shortage::default(), Instant::now());
        let counts = |shortage: &Shortage| (shortage.displaced, shortage.refused);
        shortage.note(true, 2, begin);
        assert_eq!(counts(&shortage), (0, 0), "told");
        shortage.note(true, 2, begin + TELL / 2);
        shortage.note(false, 2, begin + TELL / 2);
        assert_eq!(counts(&shortage), (1, 1), "not yet");
        shortage.note(false, 2, begin + TELL);
        assert_eq!(counts(&shortage), (0, 0));
    }

    #[test]
    fn all_seats_are_left_some_day() {
        with_a_clock(async {
            let room = Room::new(3, 2);
            room.emptied().await;
            let seats = [1, 2].map(|last| room.admit(client(last)).unwrap());
            let ([first, second], waits) = (seats, room.emptied());
            let leave = async {
                drop(first);
                tokio::task::yield_now().await;
                drop(second);
            };
            tokio::join!(waits, leave);
        });
    }
}
