//! The addresses of one /16 in a chunk: suffix (low 16 bits) → number, the row of its answer within the chunk.
//!
//! Three forms: buckets, runs, bitmap. All are flat; all searches have a fixed bound.

use super::super::layout::Run;
use super::super::{Damaged, Section};
use super::{Found, kind, runs_at, u16_at, u32_at, u64_at, u128_at};

const DAMAGED: Damaged = Damaged(Section::V4_CHUNKS);

/// Zero octets behind the last chunk: a search may load as many where the last suffix ends.
pub(super) const PADDING: usize = 16;
/// Octets of a bitmap before its bits: a count for each /24.
pub(super) const BITMAP_RANKS: usize = 512;
/// Octets of a bitmap.
pub(super) const BITMAP_LEN: usize = BITMAP_RANKS + 8192;

/// How a chunk of buckets is laid out: suffixes share buckets by their first `bits` bits; the rest of each stands in a
/// lane of `lane` bits. All that depends on `bits` alone is worked out beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    /// Octets of the index: an entry more than buckets.
    pub(super) index_len: usize,
    /// log2 of the octets of an index entry.
    index_shift: u32,
    /// Bits of an index entry, and all of them set.
    index_bits: u32,
    index_mask: u32,
    /// Bits of a lane, and all of them set.
    pub(super) lane: u32,
    lane_mask: u32,
    /// Lanes that one load of 128 bits holds wherever they begin.
    per_load: u32,
    /// 2^16 / `lane`, to find a lane's place among them without a division.
    reciprocal: u32,
    /// The lowest bit of each of these lanes, the highest of each, and all but the highest.
    ones: u128,
    highs: u128,
    lows: u128,
}

/// By index bits.
pub(super) static BUCKETS: [Buckets; 9] = {
    let mut all = [Buckets::with(0); 9];
    let mut bits = 1;
    while bits < 9 {
        all[bits as usize] = Buckets::with(bits);
        bits += 1;
    }
    all
};

impl Buckets {
    const fn with(bits: u32) -> Self {
        let lane = 16 - bits;
        // A lane may begin at any bit of an octet, so seven bits of the load may be lost.
        let per_load = 121 / lane;
        let index_shift = if bits < 7 { 0 } else { 1 };
        let index_bits = 8 << index_shift;
        let mut ones = 0;
        let mut at = 0;
        while at < per_load {
            ones |= 1u128 << (at * lane);
            at += 1;
        }
        let highs = ones << (lane - 1);
        Self {
            index_len: ((1 << bits) + 1) << index_shift,
            index_shift,
            index_bits,
            index_mask: (1 << index_bits) - 1,
            lane,
            lane_mask: (1 << lane) - 1,
            per_load,
            reciprocal: 0x1_0000 / lane + 1,
            ones,
            highs,
            lows: highs - ones,
        }
    }

    /// The layout of a chunk kind.
    #[inline]
    pub(super) fn of_kind(kind: u32) -> Option<&'static Self> {
        BUCKETS.get(kind.wrapping_sub(kind::BUCKETS) as usize)
    }

    /// The numbers in the bucket of `suffix`: from, to (not included).
    #[inline]
    pub(super) fn bucket(&self, chunks: &[u8], offset: usize, suffix: u16) -> Result<(u32, u32), Damaged> {
        self.bucket_at(chunks, offset, usize::from(suffix) >> self.lane)
    }

    /// The numbers in bucket `index`.
    #[inline]
    fn bucket_at(&self, chunks: &[u8], offset: usize, index: usize) -> Result<(u32, u32), Damaged> {
        let entries = u32_at(chunks, offset + (index << self.index_shift)).ok_or(DAMAGED)?;
        Ok((entries & self.index_mask, entries >> self.index_bits & self.index_mask))
    }

    /// The number of `suffix` among `from..to`. One load of sixteen octets settles nearly all buckets; only a crowded
    /// one is halved first, its lanes are sorted. No branch depends on whether it is found: half of all questions are
    /// not, and a branch guessed wrong after a load from memory costs more than the whole search.
    #[inline]
    pub(super) fn search(
        &self,
        chunks: &[u8],
        offset: usize,
        suffix: u16,
        (mut from, to): (u32, u32),
    ) -> Result<Found, Damaged> {
        let lane = u32::from(suffix) & self.lane_mask;
        let mut count = to.saturating_sub(from);
        while count > self.per_load {
            let half = count / 2;
            let middle = from + half;
            from = if self.lane_at(chunks, offset, middle)? <= lane { middle } else { from };
            count -= half;
        }
        let bit = (from * self.lane) as usize;
        let word = u128_at(chunks, offset + self.index_len + bit / 8).ok_or(DAMAGED)? >> (bit % 8);
        // The lanes that equal the one sought are zero in `differing`; a lane of zeros is the only one in which
        // neither the highest bit is set nor adding all lower ones carries into it.
        let differing = word ^ (self.ones * u128::from(lane));
        let equal = !(((differing & self.lows) + self.lows) | differing) & self.highs;
        // The first of them is meant, if it is one of the `count` (without any, the number is above).
        let number = from + ((equal.trailing_zeros() * self.reciprocal) >> 16);
        Ok(Found { hit: number < from + count, number })
    }

    /// The lane of one number.
    #[inline]
    fn lane_at(&self, chunks: &[u8], offset: usize, number: u32) -> Result<u32, Damaged> {
        let bit = (number * self.lane) as usize;
        let word = u32_at(chunks, offset + self.index_len + bit / 8).ok_or(DAMAGED)?;
        Ok(word >> (bit % 8) & self.lane_mask)
    }

    /// The first number in `from..to` whose lane is not below `lane`.
    fn below(
        &self,
        chunks: &[u8],
        offset: usize,
        lane: u32,
        (mut from, mut to): (u32, u32),
    ) -> Result<u32, Damaged> {
        while from < to {
            let middle = from + (to - from) / 2;
            if self.lane_at(chunks, offset, middle)? < lane {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    /// Whether any suffix of the /24 `third` is there.
    pub(super) fn any_in(&self, chunks: &[u8], offset: usize, third: u8) -> Result<bool, Damaged> {
        let suffix = u16::from(third) << 8;
        let (from, to) = self.bucket(chunks, offset, suffix)?;
        let lane = u32::from(suffix) & self.lane_mask;
        let at = self.below(chunks, offset, lane, (from, to))?;
        Ok(at < to && self.lane_at(chunks, offset, at)? <= lane | 0xff)
    }

    /// All suffixes in order; the number of each is its place.
    pub(super) fn suffixes(&self, chunks: &[u8], offset: usize, out: &mut Vec<u16>) -> Result<(), Damaged> {
        let mut number = 0;
        for bucket in 0..1 << (16 - self.lane) {
            let (from, to) = self.bucket_at(chunks, offset, bucket)?;
            if from != number || to < from {
                return Err(DAMAGED);
            }
            for number in from..to {
                out.push((bucket << self.lane) as u16 | self.lane_at(chunks, offset, number)? as u16);
            }
            number = to;
        }
        Ok(())
    }
}

/// The run that holds `suffix`.
#[inline]
pub(super) fn search_runs(chunks: &[u8], offset: usize, suffix: u16) -> Result<Option<u32>, Damaged> {
    let runs = runs_at(chunks, offset)?;
    let after = runs.partition_point(|run| run.first.get() <= suffix);
    let Some(at) = after.checked_sub(1) else { return Ok(None) };
    Ok(runs.get(at).filter(|run| suffix <= run.last.get()).map(|_| at as u32))
}

/// Whether a run reaches into the /24 `third`.
pub(super) fn any_run_in(chunks: &[u8], offset: usize, third: u8) -> Result<bool, Damaged> {
    let runs: &[Run] = runs_at(chunks, offset)?;
    let first = u16::from(third) << 8;
    let at = runs.partition_point(|run| run.last.get() < first);
    Ok(runs.get(at).is_some_and(|run| run.first.get() <= first | 0xff))
}

/// The rank of `suffix` among the set bits.
#[inline]
pub(super) fn search_bitmap(chunks: &[u8], offset: usize, suffix: u16) -> Result<Option<u32>, Damaged> {
    let (third, word, bit) = (usize::from(suffix >> 8), usize::from(suffix / 64), suffix % 64);
    let words = offset + BITMAP_RANKS;
    let found = u64_at(chunks, words + word * 8).ok_or(DAMAGED)?;
    if found >> bit & 1 == 0 {
        return Ok(None);
    }
    let mut rank = u32::from(u16_at(chunks, offset + third * 2).ok_or(DAMAGED)?);
    for before in third * 4..word {
        rank += u64_at(chunks, words + before * 8).ok_or(DAMAGED)?.count_ones();
    }
    Ok(Some(rank + (found & ((1 << bit) - 1)).count_ones()))
}

/// Whether a bit of the /24 `third` is set.
pub(super) fn any_bit_in(chunks: &[u8], offset: usize, third: u8) -> Result<bool, Damaged> {
    let start = offset + BITMAP_RANKS + usize::from(third) * 32;
    let bits = chunks.get(start..start + 32).ok_or(DAMAGED)?;
    Ok(bits.iter().any(|&octet| octet != 0))
}
