//! The suffixes of one /16 in buckets by their first bits: the usual form of a chunk.
//!
//! An index says where each bucket begins and ends. The rest of each suffix stands in a lane of as many bits as it
//! needs, with its answer above it when the answers of the chunk differ, so that both come with one load.

use super::super::{Damaged, Section};
use super::{Found, u32_at, u64_at};
use crate::compile::AnswerId;

const DAMAGED: Damaged = Damaged(Section::V4_CHUNKS);

/// How the octets of such a chunk are laid out. All that depends on the bits alone is worked out beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    /// Octets of the index: an entry more than buckets.
    pub(super) index_len: usize,
    /// log2 of the octets of an index entry.
    index_shift: u32,
    /// Bits of an index entry, and all of them set.
    index_bits: u32,
    index_mask: u32,
    /// Bits of a lane.
    pub(super) lane: u32,
    /// The lower of them, which hold the rest of the suffix.
    pub(super) rest: u32,
    rest_mask: u32,
    /// All bits of an answer.
    answer_mask: u32,
    /// Lanes that one load of 64 bits holds wherever they begin.
    per_load: u32,
    /// In each of these lanes: the lowest bit, the highest bit of the rest, and all bits of the rest below that.
    ones: u64,
    highs: u64,
    lows: u64,
}

/// The numbers of some neighbouring suffixes of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes {
    from: u32,
    count: u32,
}

impl Lanes {
    pub(super) const NONE: Self = Self { from: 0, count: 0 };
}

/// By bits of the index.
pub(super) type Layouts = [Buckets; 9];

/// By bits of an answer in a lane (none, 4, 8, 16, 32) and by bits of the index.
static LAYOUTS: [Layouts; 5] = {
    let mut all = [[Buckets::with(0, 0); 9]; 5];
    let mut class = 0;
    while class < 5 {
        let mut bits = 0;
        while bits < 9 {
            all[class][bits] = Buckets::with(bits as u32, if class == 0 { 0 } else { 2 << class });
            bits += 1;
        }
        class += 1;
    }
    all
};

impl Buckets {
    const fn with(bits: u32, answer: u32) -> Self {
        let rest = 16 - bits;
        let lane = rest + answer;
        // A lane may begin at any bit of an octet, so seven bits of the load may be lost.
        let per_load = 57 / lane;
        let index_shift = if bits < 7 { 0 } else { 1 };
        let index_bits = 8 << index_shift;
        let mut ones = 0;
        let mut at = 0;
        while at < per_load {
            ones |= 1u64 << (at * lane);
            at += 1;
        }
        let highs = ones << (rest - 1);
        Self {
            index_len: ((1 << bits) + 1) << index_shift,
            index_shift,
            index_bits,
            index_mask: (1 << index_bits) - 1,
            lane,
            rest,
            rest_mask: (1 << rest) - 1,
            answer_mask: ((1u64 << answer) - 1) as u32,
            per_load,
            ones,
            highs,
            lows: highs - ones,
        }
    }

    /// The bucket of `suffix`.
    #[inline(always)]
    pub(super) fn bucket(&self, chunks: &[u8], offset: usize, suffix: u16) -> Result<Lanes, Damaged> {
        Ok(self.lanes(u32_at(chunks, self.entries(offset, suffix)).ok_or(DAMAGED)?))
    }

    /// Where the two index entries stand between which the bucket of `suffix` is: four octets are loaded there.
    #[inline(always)]
    pub(super) fn entries(&self, offset: usize, suffix: u16) -> usize {
        offset + (usize::from(suffix) >> self.rest << self.index_shift)
    }

    /// The lanes between two index entries.
    #[inline(always)]
    pub(super) fn lanes(&self, entries: u32) -> Lanes {
        let (from, to) = self.bounds(entries);
        Lanes { from, count: to.saturating_sub(from) }
    }

    /// The numbers of the suffixes in a bucket: from, to (not included).
    #[inline(always)]
    fn bucket_at(&self, chunks: &[u8], offset: usize, index: usize) -> Result<(u32, u32), Damaged> {
        u32_at(chunks, offset + (index << self.index_shift))
            .map(|entries| self.bounds(entries))
            .ok_or(DAMAGED)
    }

    #[inline(always)]
    fn bounds(&self, entries: u32) -> (u32, u32) {
        (entries & self.index_mask, entries >> self.index_bits & self.index_mask)
    }

    /// The load where the lanes of a bucket begin.
    #[inline(always)]
    pub(super) fn first(&self, chunks: &[u8], offset: usize, lanes: Lanes) -> Result<u64, Damaged> {
        self.lane_at(chunks, offset, lanes.from)
    }

    /// Looks for `suffix` among the lanes of its bucket, with the load where they [begin](Self::first). Nearly all
    /// buckets fit into this load; a fuller one is halved first, its lanes are sorted. No branch depends on whether it is
    /// found: half of all questions are not, and a branch guessed wrong after a load from memory costs more than the
    /// whole search.
    #[inline(always)]
    pub(super) fn search(
        &self,
        chunks: &[u8],
        offset: usize,
        suffix: u16,
        Lanes { mut from, mut count }: Lanes,
        first: u64,
    ) -> Result<Found, Damaged> {
        let rest = u32::from(suffix) & self.rest_mask;
        let mut word = first;
        while count > self.per_load {
            let half = count / 2;
            let middle = self.lane_at(chunks, offset, from + half)?;
            let behind = middle as u32 & self.rest_mask <= rest;
            from += half * u32::from(behind);
            word = [word, middle][usize::from(behind)];
            count -= half;
        }
        // Where the rest is the one sought, it is zero in `differing`. A zero is the only one of which neither the
        // highest bit is set nor adding all lower ones carries into it.
        let differing = word ^ (self.ones * u64::from(rest));
        let equal = !(((differing & self.lows) + self.lows) | differing) & self.highs;
        // The first is meant, if it is one of the `count`; without any, the place is behind all lanes.
        let place = equal.trailing_zeros();
        let answer = (word >> ((place + 1) % 64)) as u32 & self.answer_mask;
        Ok(Found::when(place < count * self.lane, answer))
    }

    /// The lanes from that of one suffix on: its rest, its answer above, the next.
    #[inline(always)]
    fn lane_at(&self, chunks: &[u8], offset: usize, number: u32) -> Result<u64, Damaged> {
        let bit = (number * self.lane) as usize;
        let word = u64_at(chunks, offset + self.index_len + bit / 8).ok_or(DAMAGED)?;
        Ok(word >> (bit % 8))
    }

    #[inline(always)]
    fn rest_at(&self, chunks: &[u8], offset: usize, number: u32) -> Result<u32, Damaged> {
        Ok(self.lane_at(chunks, offset, number)? as u32 & self.rest_mask)
    }

    /// Whether any suffix of the /24 `third` is there.
    pub(super) fn any_in(&self, chunks: &[u8], offset: usize, third: u8) -> Result<bool, Damaged> {
        let suffix = u16::from(third) << 8;
        let first = u32::from(suffix) & self.rest_mask;
        let Lanes { mut from, count } = self.bucket(chunks, offset, suffix)?;
        let bucket_end = from + count;
        let mut to = bucket_end;
        while from < to {
            let middle = from + (to - from) / 2;
            if self.rest_at(chunks, offset, middle)? < first {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from < bucket_end && self.rest_at(chunks, offset, from)? <= first | 0xff)
    }

    /// All suffixes in order, with what their lanes say of their answers (0 when they say nothing).
    pub(super) fn all(
        &self,
        chunks: &[u8],
        offset: usize,
        mut put: impl FnMut(u16, AnswerId) -> Result<(), Damaged>,
    ) -> Result<(), Damaged> {
        let mut number = 0;
        for bucket in 0..1 << (16 - self.rest) {
            let (from, to) = self.bucket_at(chunks, offset, bucket)?;
            if from != number || to < from {
                return Err(DAMAGED);
            }
            for number in from..to {
                let lane = self.lane_at(chunks, offset, number)?;
                let suffix = (bucket << self.rest) as u16 | (lane as u32 & self.rest_mask) as u16;
                put(suffix, (lane >> self.rest) as u32 & self.answer_mask)?;
            }
            number = to;
        }
        Ok(())
    }
}

/// Bits of the index for a number of suffixes: up to four in a bucket; from 256 on, when an index entry takes two
/// octets, up to eight.
pub(super) fn index_bits(suffixes: usize) -> u32 {
    match suffixes {
        ..=4 => 0,
        5..=8 => 1,
        9..=16 => 2,
        17..=32 => 3,
        33..=64 => 4,
        65..=128 => 5,
        129..=255 => 6,
        256..=1024 => 7,
        _ => 8,
    }
}

/// The layouts with answers of `width` bits in the lanes (0: none); `None` when there are no such.
pub(super) fn layouts(width: u32) -> Option<&'static Layouts> {
    let class = [0, 4, 8, 16, 32].iter().position(|&known| known == width)?;
    LAYOUTS.get(class)
}

/// Appends such a chunk.
pub(super) fn put(layout: &Buckets, suffixes: impl Iterator<Item = (u16, AnswerId)>, chunks: &mut Vec<u8>) {
    let Buckets { lane, rest, index_len, .. } = *layout;
    let start = chunks.len();
    chunks.resize(start + index_len, 0);
    let mut ends = [0u16; 257];
    let (mut word, mut used, mut count) = (0u64, 0, 0u16);
    for (suffix, answer) in suffixes {
        count += 1;
        ends[(usize::from(suffix) >> rest) + 1] = count;
        let value =
            u64::from(suffix) & u64::from(layout.rest_mask) | u64::from(answer & layout.answer_mask) << rest;
        word |= value << used;
        used += lane;
        if used >= 64 {
            chunks.extend_from_slice(&word.to_le_bytes());
            used -= 64;
            word = value >> (lane - used);
        }
    }
    chunks.extend_from_slice(&word.to_le_bytes()[..used.div_ceil(8) as usize]);
    let index = &mut chunks[start..start + index_len];
    let mut end = 0;
    let octets = 1 << layout.index_shift;
    for (entry, &written) in index.chunks_exact_mut(octets).zip(&ends) {
        end = end.max(written);
        entry.copy_from_slice(&end.to_le_bytes()[..octets]);
    }
}
