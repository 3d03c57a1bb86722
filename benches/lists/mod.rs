//! Made-up lists for the benches, the same on every run and machine.
//!
//! `random` is uniform over the public addresses. `clustered` is as real lists are: 70 % of the addresses are in /24s
//! that already hold some, chosen by how many they hold.

#![allow(dead_code, reason = "each bench uses a part")]

/// SplitMix64: small, quick, good enough for lists.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// A public address.
    pub(crate) fn address(&mut self) -> u32 {
        loop {
            let address = (self.next() >> 32) as u32;
            if is_public(address) {
                return address;
            }
        }
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

/// First address and prefix length of what is not public: special-purpose, multicast, reserved.
const SPECIAL: [(u32, u32); 15] = [
    (0x0000_0000, 8),
    (0x0a00_0000, 8),
    (0x6440_0000, 10),
    (0x7f00_0000, 8),
    (0xa9fe_0000, 16),
    (0xac10_0000, 12),
    (0xc000_0000, 24),
    (0xc000_0200, 24),
    (0xc01f_c400, 24),
    (0xc034_c100, 24),
    (0xc0a8_0000, 16),
    (0xc612_0000, 15),
    (0xc633_6400, 24),
    (0xcb00_7100, 24),
    (0xe000_0000, 3),
];

pub(crate) fn is_public(address: u32) -> bool {
    SPECIAL.iter().all(|&(first, len)| (address ^ first) >> (32 - len) != 0)
}

/// `size` distinct uniform public addresses, sorted.
pub(crate) fn random(size: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed);
    distinct(size, move |_| random.address())
}

/// `size` distinct public addresses, 70 % of them in /24s that hold some already, sorted.
pub(crate) fn clustered(size: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed);
    distinct(size, move |so_far| {
        if so_far.is_empty() || random.next() % 10 < 3 {
            return random.address();
        }
        let neighbour = so_far[random.below(so_far.len())];
        neighbour & !0xff | (random.next() >> 56) as u32
    })
}

/// Draws until `size` distinct ones are there. `draw` sees those drawn so far.
fn distinct(size: usize, mut draw: impl FnMut(&[u32]) -> u32) -> Vec<u32> {
    let mut seen = vec![0u64; 1 << 26];
    let mut drawn = Vec::with_capacity(size);
    while drawn.len() < size {
        let address = draw(&drawn);
        let (word, bit) = (address as usize / 64, address % 64);
        if seen[word] >> bit & 1 == 0 {
            seen[word] |= 1 << bit;
            drawn.push(address);
        }
    }
    drawn.sort_unstable();
    drawn
}

/// `count` public prefixes of /17 to /30, each length as likely: first and last address.
pub(crate) fn prefixes(count: usize, seed: u64) -> Vec<(u32, u32)> {
    let mut random = Random::new(seed);
    let draw = |_| {
        let host = u32::MAX >> (17 + random.below(14) as u32);
        let first = random.address() & !host;
        (first, first | host)
    };
    (0..count).map(draw).collect()
}

/// Questions for a list: every other one is on it, in random order.
pub(crate) fn questions(list: &[u32], count: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed);
    let mut asked: Vec<_> = (0..count)
        .map(|n| if n % 2 == 0 { list[random.below(list.len())] } else { random.address() })
        .collect();
    random.shuffle(&mut asked);
    asked
}
