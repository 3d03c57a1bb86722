//! Random numbers that are the same in every run: two servers are asked the same questions.

/// SplitMix64: small, quick, good enough to choose questions and arrival times.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform from 0 to `end`, without `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// Uniform from 0 to `last`, with both.
    pub(super) fn up_to(&mut self, last: u128) -> u128 {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        last.checked_add(1).map_or(wide, |end| wide % end)
    }

    /// Exponentially distributed with the mean 1: the gaps between independent arrivals.
    pub(super) fn gap(&mut self) -> f64 {
        // 53 bits make a number above 0 and up to 1, so that the logarithm is finite.
        let unit = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        -unit.ln()
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_the_mean_one() {
        let mut random = Random::new(7);
        let mean = (0..100_000).map(|_| random.gap()).sum::<f64>() / 100_000.0;
        assert!((0.98..1.02).contains(&mean), "{mean}");
    }

    #[test]
    fn both_ends_come() {
        let mut random = Random::new(1);
        let drawn: Vec<_> = (0..100).map(|_| random.up_to(2)).collect();
        assert!((0..=2).all(|wanted| drawn.contains(&wanted)) && drawn.iter().all(|&n| n <= 2));
        random.up_to(u128::MAX);
    }
}
