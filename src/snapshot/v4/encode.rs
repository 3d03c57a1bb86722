//! One /16 → its chunk, in the form that takes the least octets.

use super::super::layout::Slot;
use super::super::{Section, WriteError};
use super::chunk::{BITMAP_LEN, BITMAP_RANKS, BUCKETS, Buckets};
use super::{Place, kind};
use crate::compile::AnswerId;

/// Addresses of one /16 in the making; used again for the next.
#[derive(Debug, Default)]
pub(super) struct Sixteen {
    /// Spans of suffixes.
    runs: Vec<(u16, u16)>,
    /// The answer of each.
    answers: Vec<AnswerId>,
    mixed: bool,
    wide: bool,
}

impl Sixteen {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds a span behind all others.
    #[inline]
    pub(super) fn push(&mut self, first: u16, last: u16, answer: AnswerId) {
        self.mixed |= self.answers.first().is_some_and(|&one| one != answer);
        self.wide |= first != last;
        self.runs.push((first, last));
        self.answers.push(answer);
    }

    /// Appends the chunk to `chunks`, which begins at octet `start` of its section: addresses, and where they differ
    /// an answer for each number. Empties itself.
    pub(super) fn finish(
        &mut self,
        width: Width,
        start: usize,
        chunks: &mut Vec<u8>,
    ) -> Result<Slot, WriteError> {
        let kind = self.kind(width);
        let begin = chunks.len();
        let units = if kind == kind::FULL { 0 } else { (start + begin) / Place::UNIT };
        if units > Place::MAX_UNITS {
            return Err(WriteError::TooLarge(Section::V4_CHUNKS));
        }
        match kind {
            kind::FULL => {}
            kind::RUNS => self.put_runs(chunks),
            kind::BITMAP => self.put_bitmap(chunks),
            _ => self.put_buckets(kind - kind::BUCKETS, chunks),
        }
        let mut answer = self.answers[0];
        if self.mixed {
            answer = (chunks.len() - begin) as u32;
            self.put_answers(kind, width, chunks);
        }
        chunks.resize(chunks.len().next_multiple_of(Place::UNIT), 0);
        let place = Place::new(kind, self.mixed, units as u32);
        self.runs.clear();
        self.answers.clear();
        (self.mixed, self.wide) = (false, false);
        Ok(Slot { place: place.0.into(), answer: answer.into() })
    }

    /// The smallest form; of equally small ones the first of buckets, runs, bitmap.
    fn kind(&self, width: Width) -> u32 {
        if self.runs == [(0, u16::MAX)] {
            return kind::FULL;
        }
        let suffixes = self.suffixes();
        let bits = index_bits(suffixes);
        let Buckets { index_len, lane, .. } = BUCKETS[bits as usize];
        let answer = if self.mixed { width.bits() } else { 0 };
        let octets = |numbers: usize, bits: u32| (numbers * bits as usize).div_ceil(8);
        [
            (index_len + octets(suffixes, lane) + octets(suffixes, answer), kind::BUCKETS + bits),
            (2 + octets(self.runs.len(), 32) + octets(self.runs.len(), answer), kind::RUNS),
            (BITMAP_LEN + octets(suffixes, answer), kind::BITMAP),
        ]
        .into_iter()
        .min_by_key(|&(octets, _)| octets)
        .map_or(kind::RUNS, |(_, kind)| kind)
    }

    fn suffixes(&self) -> usize {
        if !self.wide {
            return self.runs.len();
        }
        self.runs.iter().map(|&(first, last)| usize::from(last - first) + 1).sum()
    }

    fn put_runs(&self, chunks: &mut Vec<u8>) {
        chunks.extend_from_slice(&(self.runs.len() as u16).to_le_bytes());
        for &(first, last) in &self.runs {
            chunks.extend_from_slice(&first.to_le_bytes());
            chunks.extend_from_slice(&last.to_le_bytes());
        }
    }

    fn put_bitmap(&self, chunks: &mut Vec<u8>) {
        let start = chunks.len();
        chunks.resize(start + BITMAP_LEN, 0);
        let (ranks, bits) = chunks[start..].split_at_mut(BITMAP_RANKS);
        for suffix in self.runs.iter().flat_map(|&(first, last)| first..=last) {
            bits[usize::from(suffix / 8)] |= 1 << (suffix % 8);
        }
        let mut rank = 0u16;
        for (entry, page) in ranks.chunks_exact_mut(2).zip(bits.chunks_exact(32)) {
            entry.copy_from_slice(&rank.to_le_bytes());
            // Wraps behind the last /24 of a full bitmap at most.
            rank = rank.wrapping_add(page.iter().map(|octet| octet.count_ones() as u16).sum());
        }
    }

    fn put_buckets(&self, bits: u32, chunks: &mut Vec<u8>) {
        if self.wide {
            put_buckets(bits, self.runs.iter().flat_map(|&(first, last)| first..=last), chunks);
        } else {
            put_buckets(bits, self.runs.iter().map(|&(first, _)| first), chunks);
        }
    }

    /// One answer for each number of the chunk.
    fn put_answers(&self, kind: u32, width: Width, chunks: &mut Vec<u8>) {
        if kind == kind::RUNS {
            return width.put(self.answers.iter().copied(), chunks);
        }
        let each = self.runs.iter().zip(&self.answers);
        let all = each.flat_map(|(&(first, last), &answer)| (first..=last).map(move |_| answer));
        width.put(all, chunks);
    }
}

/// Bits of the index for a number of suffixes: up to four in a bucket, as many as one load and a compare can test;
/// from 256 on, when an index entry takes two octets, up to eight.
fn index_bits(suffixes: usize) -> u32 {
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

fn put_buckets(bits: u32, suffixes: impl Iterator<Item = u16>, chunks: &mut Vec<u8>) {
    let layout = &BUCKETS[bits as usize];
    let (start, lane) = (chunks.len(), layout.lane);
    chunks.resize(start + layout.index_len, 0);
    let mut ends = [0u16; 257];
    let (mut word, mut used, mut count) = (0u64, 0, 0u16);
    for suffix in suffixes {
        count += 1;
        ends[(usize::from(suffix) >> lane) + 1] = count;
        word |= (u64::from(suffix) & ((1 << lane) - 1)) << used;
        used += lane;
        if used >= 32 {
            chunks.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            used -= 32;
        }
    }
    chunks.extend_from_slice(&word.to_le_bytes()[..used.div_ceil(8) as usize]);
    let index = &mut chunks[start..start + layout.index_len];
    let mut end = 0;
    let wide = bits >= 7;
    for (bucket, &written) in ends[..=1 << bits].iter().enumerate() {
        end = end.max(written);
        if wide {
            index[bucket * 2..][..2].copy_from_slice(&end.to_le_bytes());
        } else {
            index[bucket] = end as u8;
        }
    }
}

/// Bits of a packed answer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Four,
    Eight,
    Sixteen,
    ThirtyTwo,
}

impl Width {
    /// The narrowest for a table of `answers`.
    pub(super) fn for_answers(answers: usize) -> Self {
        match answers {
            0..=0x10 => Self::Four,
            0x11..=0x100 => Self::Eight,
            0x101..=0x1_0000 => Self::Sixteen,
            _ => Self::ThirtyTwo,
        }
    }

    pub(super) fn bits(self) -> u32 {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
            Self::Sixteen => 16,
            Self::ThirtyTwo => 32,
        }
    }

    fn put(self, answers: impl Iterator<Item = AnswerId>, out: &mut Vec<u8>) {
        match self {
            Self::Four => {
                let mut low = None;
                for answer in answers {
                    match low.take() {
                        None => low = Some(answer as u8),
                        Some(low) => out.push(low | (answer as u8) << 4),
                    }
                }
                out.extend(low);
            }
            Self::Eight => out.extend(answers.map(|answer| answer as u8)),
            Self::Sixteen => out.extend(answers.flat_map(|answer| (answer as u16).to_le_bytes())),
            Self::ThirtyTwo => out.extend(answers.flat_map(u32::to_le_bytes)),
        }
    }
}
