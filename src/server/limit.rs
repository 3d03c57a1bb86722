//! How often a network is answered over UDP: so that replies cannot be turned on somebody in whose name they are asked
//! for.
//!
//! Each network (an IPv4 /24, an IPv6 /56) has so many replies a second, and a burst of as many as come in
//! [`BURST`] seconds. Above that most questions get no reply and every few an empty one with TC, upon which a real
//! client asks again over TCP (response rate limiting, "slip"). Who has sent a good cookie back is not limited.
//!
//! One table for all workers, of a fixed size: a slot is one word, so that no lock is needed, and races cost at most an
//! exact count. Read [`Limiter`] first. Never: the clock, sending.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::model::Subject;
use crate::zone::{Access, Action};

/// Seconds of replies that may come at once.
pub const BURST: u64 = 2;

/// Networks that are remembered, at most: the busiest of those that share a line of the table.
const NETWORKS: usize = 1 << 16;
/// Slots that a network may be in: a cache line.
const WAYS: usize = 8;

/// A slot holds the time when its network is owed nothing any more, in microseconds modulo 2^40 (twelve days), ...
const TIME: u64 = (1 << 40) - 1;
/// ... and above it a part of the network's hash.
const TAG: u64 = !TIME;

/// What is set of a [`Limiter`].
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Replies a second to each network.
    pub rate: u32,
    /// Of what is above the limit every so manieth gets an empty reply with TC; 0: none.
    pub slip: u8,
    /// Loopback is limited, too.
    pub loopback: bool,
    /// Networks without a limit.
    pub exempt: Vec<Subject>,
}

/// What a question may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Its reply.
    Reply,
    /// An empty reply with TC.
    Slip,
    /// None.
    Nothing,
}

/// Counts replies by network.
#[derive(Debug)]
pub struct Limiter {
    limit: Limit,
    exempt: Access,
    /// Microseconds that a reply costs.
    cost: u64,
    lines: Box<[Line]>,
    /// How much each slot's network was refused, for [`Limit::slip`].
    refused: Box<[AtomicU8]>,
    hash: RandomState,
}

/// Whether a question above the limit may slip: an empty reply with TC is an answer to questions for a zone alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slips {
    /// It may.
    Yes,
    /// It gets nothing, and takes nobody's turn.
    No,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; WAYS]);

impl Limiter {
    /// Nobody has been answered yet. `None` for a rate of 0: there is no limit.
    pub fn new(limit: &Limit) -> Option<Self> {
        let cost = 1_000_000u64.checked_div(limit.rate.into())?.max(1);
        let exempt = limit.exempt.iter().map(|network| (network.clone(), Action::Refuse));
        Some(Self {
            limit: limit.clone(),
            exempt: Access::new(exempt),
            cost,
            lines: (0..NETWORKS / WAYS).map(|_| Line::default()).collect(),
            refused: (0..NETWORKS).map(|_| AtomicU8::new(0)).collect(),
            hash: RandomState::new(),
        })
    }

    /// What it was made from.
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Counts a reply to `client`. `now`: microseconds of a clock that is never set.
    pub fn take(&self, client: IpAddr, slips: Slips, now: u64) -> Allowance {
        let client = client.to_canonical();
        if client.is_loopback() && !self.limit.loopback || *self.exempt.of(client) != Action::Allow {
            return Allowance::Reply;
        }
        let Err(slot) = self.count(network(client), now & TIME) else { return Allowance::Reply };
        match (slips, self.limit.slip) {
            (Slips::No, _) | (_, 0) => Allowance::Nothing,
            (Slips::Yes, slip) => {
                // Threads that refuse one network at a time may both have the same turn, which costs a slip.
                let turn = self.refused[slot].load(Ordering::Relaxed);
                self.refused[slot].store((turn + 1) % slip, Ordering::Relaxed);
                if turn == 0 { Allowance::Slip } else { Allowance::Nothing }
            }
        }
    }

    /// Whether the network had something left (the generic cell rate algorithm); if not, the number of its slot.
    fn count(&self, network: u64, now: u64) -> Result<(), usize> {
        let hash = self.hash.hash_one(network);
        let number = hash as usize % self.lines.len();
        let line = &self.lines[number].0;
        // An empty slot is that of the tag 0, which nobody has.
        let tag = hash & TAG | 1 << 40;
        // How long the network of a slot is still owed for. Nobody is for much longer than the burst (a little: threads read a clock
        // that ticks slowly, one before the other): what seems to be is long past, for the clock of a slot has gone round since.
        let owed = |slot: u64| {
            let left = (slot & TIME).wrapping_sub(now) & TIME;
            if left > 2 * BURST * 1_000_000 { 0 } else { left }
        };
        let slots = line.each_ref().map(|slot| slot.load(Ordering::Relaxed));
        let found = slots.iter().position(|slot| slot & TAG == tag);
        let at = found.unwrap_or_else(|| {
            let idle = (0..WAYS).min_by_key(|&at| owed(slots[at]));
            idle.expect("there are slots")
        });
        let before = if found.is_some() { owed(slots[at]) } else { 0 };
        let slot = number * WAYS + at;
        if before + self.cost > BURST * 1_000_000 {
            return Err(slot);
        }
        if found.is_none() {
            self.refused[slot].store(0, Ordering::Relaxed);
        }
        line[at].store(tag | (now + before + self.cost) & TIME, Ordering::Relaxed);
        Ok(())
    }
}

/// The network of a client: who can send in one's name can do so in its whole network's.
fn network(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(v4) => u64::from(u32::from(v4) >> 8),
        IpAddr::V6(v6) => (u128::from(v6) >> 72) as u64 | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: u32, slip: u8) -> Limiter {
        let exempt = vec!["198.51.100.0/25".parse().unwrap(), "2001:db8:1::/48".parse().unwrap()];
        Limiter::new(&Limit { rate, slip, loopback: false, exempt }).unwrap()
    }

    fn replies(limiter: &Limiter, client: &str, times: u32, now: u64) -> usize {
        let client = client.parse().unwrap();
        (0..times).filter(|_| limiter.take(client, Slips::Yes, now) == Allowance::Reply).count()
    }

    #[test]
    fn each_network_has_its_rate_and_burst() {
        let limiter = limiter(100, 0);
        // Whatever the clock says.
        for start in [0, 77, TIME - 1_500_000, TIME, 1 << 41, u64::MAX - 100_000_000] {
            let limiter = if start == 0 { &limiter } else { &self::limiter(100, 0) };
            assert_eq!(replies(limiter, "192.0.2.1", 1000, start), 200);
            assert_eq!(replies(limiter, "192.0.2.255", 1000, start), 0, "the same network");
            assert_eq!(replies(limiter, "192.0.3.1", 1000, start), 200, "another");
            assert_eq!(replies(limiter, "192.0.2.1", 1000, start + 500_000), 50);
            assert_eq!(replies(limiter, "192.0.2.1", 1000, start + 60_000_000), 200);
        }
        // And however long ago its last question was: the clock of a slot goes round in twelve days.
        let hour = 3_600_000_000;
        for hours in 1..400 {
            let limiter = self::limiter(100, 0);
            assert_eq!(replies(&limiter, "192.0.2.1", 1000, hour), 200);
            assert_eq!(replies(&limiter, "192.0.2.1", 1000, hour * (1 + hours)), 200, "{hours} hours later");
        }
        assert_eq!(replies(&limiter, "2001:db8::1", 1000, 0), 200);
        assert_eq!(replies(&limiter, "2001:db8:0:ff::1", 1000, 0), 0);
        assert_eq!(replies(&limiter, "2001:db8:0:100::1", 1000, 0), 200);
        assert_eq!(replies(&limiter, "::ffff:192.0.4.1", 1000, 0), 200);
        assert_eq!(replies(&limiter, "192.0.4.2", 1000, 0), 0);
    }

    /// Threads read their clocks at different times: one that is behind finds a full slot full.
    #[test]
    fn clocks_of_threads_differ() {
        let limiter = limiter(100, 0);
        let (behind, ahead) = (1_000_000, 1_010_000);
        let given: usize = (0..500)
            .map(|_| replies(&limiter, "192.0.2.1", 1, ahead) + replies(&limiter, "192.0.2.1", 1, behind))
            .sum();
        assert!((200..=201).contains(&given), "{given}");
    }

    #[test]
    fn who_is_exempt() {
        let limiter = limiter(1, 0);
        for client in ["127.0.0.1", "::1", "198.51.100.7", "::ffff:198.51.100.7", "2001:db8:1:2::3"] {
            assert_eq!(replies(&limiter, client, 100, 0), 100, "{client}");
        }
        assert_eq!(replies(&limiter, "198.51.100.200", 100, 0), 2);
        assert!(Limiter::new(&Limit { rate: 0, ..limiter.limit.clone() }).is_none());
        let strict = Limiter::new(&Limit { loopback: true, ..limiter.limit }).unwrap();
        assert_eq!(replies(&strict, "127.0.0.1", 100, 0), 2);
    }

    #[test]
    fn some_slip() {
        let limiter = limiter(1, 4);
        let client = "192.0.2.1".parse().unwrap();
        let given: Vec<_> = (0..102).map(|_| limiter.take(client, Slips::Yes, 5)).collect();
        let count = |what| given.iter().filter(|&&got| got == what).count();
        assert_eq!((count(Allowance::Reply), count(Allowance::Slip), count(Allowance::Nothing)), (2, 25, 75));
        // What others send, and what cannot slip, takes nobody's turn.
        let (client, other) = ("203.0.113.1".parse().unwrap(), "198.51.100.200".parse().unwrap());
        let mut slipped = 0;
        for _ in 0..42 {
            slipped += usize::from(limiter.take(client, Slips::Yes, 5) == Allowance::Slip);
            limiter.take(other, Slips::Yes, 5);
            assert_ne!(limiter.take(client, Slips::No, 5), Allowance::Slip);
        }
        assert_eq!(slipped, 11, "of 41 and one reply, or two");
    }

    /// A flood of made-up senders neither grows anything nor frees the one that is flooded.
    #[test]
    fn a_flood_of_networks() {
        let limiter = limiter(10, 0);
        let mut victim = 0;
        for n in 0..1_000_000u32 {
            limiter.take(IpAddr::from((n << 8).to_be_bytes()), Slips::Yes, u64::from(n));
            if n % 100 == 0 {
                victim += replies(&limiter, "203.0.113.1", 1, n.into());
            }
        }
        // One second: ten replies and a burst of twenty.
        assert!(victim <= 31, "{victim}");
    }
}
