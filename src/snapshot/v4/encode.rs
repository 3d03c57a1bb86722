//! One /16 → its chunk, in the form that takes the least octets.

use super::super::layout::Slot;
use super::super::{Section, WriteError};
use super::buckets::{self, Layouts, index_bits, layouts};
use super::chunk::{BITMAP_LEN, BITMAP_RANKS};
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
        let units = if kind == kind::FULL { 0 } else { (start + chunks.len()) / Place::UNIT };
        if units > Place::MAX_UNITS {
            return Err(WriteError::TooLarge(Section::V4_CHUNKS));
        }
        match kind {
            kind::FULL => {}
            kind::RUNS => self.put_runs(width, chunks),
            kind::BITMAP => self.put_bitmap(width, chunks),
            _ => self.put_buckets(kind, width, chunks),
        }
        let answer = if self.mixed { 0 } else { self.answers[0] };
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
        let buckets = &self.layouts(width)[bits as usize];
        let answer = (buckets.lane - buckets.rest) as usize;
        [
            (buckets.index_len + (suffixes * buckets.lane as usize).div_ceil(8), kind::BUCKETS + bits),
            (2 + (self.runs.len() * (32 + answer)).div_ceil(8), kind::RUNS),
            (BITMAP_LEN + (suffixes * answer).div_ceil(8), kind::BITMAP),
        ]
        .into_iter()
        .min_by_key(|&(octets, _)| octets)
        .map_or(kind::RUNS, |(_, kind)| kind)
    }

    fn layouts(&self, width: Width) -> &'static Layouts {
        layouts(if self.mixed { width.bits() } else { 0 }).expect("a layout for every width")
    }

    fn suffixes(&self) -> usize {
        if !self.wide {
            return self.runs.len();
        }
        self.runs.iter().map(|&(first, last)| usize::from(last - first) + 1).sum()
    }

    fn put_buckets(&self, kind: u32, width: Width, chunks: &mut Vec<u8>) {
        let layout = &self.layouts(width)[(kind - kind::BUCKETS) as usize];
        if self.wide {
            buckets::put(layout, self.each(), chunks);
        } else {
            let hosts = self.runs.iter().zip(&self.answers).map(|(&(host, _), &answer)| (host, answer));
            buckets::put(layout, hosts, chunks);
        }
    }

    fn put_runs(&self, width: Width, chunks: &mut Vec<u8>) {
        chunks.extend_from_slice(&(self.runs.len() as u16).to_le_bytes());
        for &(first, last) in &self.runs {
            chunks.extend_from_slice(&first.to_le_bytes());
            chunks.extend_from_slice(&last.to_le_bytes());
        }
        if self.mixed {
            width.put(self.answers.iter().copied(), chunks);
        }
    }

    fn put_bitmap(&self, width: Width, chunks: &mut Vec<u8>) {
        let start = chunks.len();
        chunks.resize(start + BITMAP_LEN, 0);
        let (ranks, bits) = chunks[start..].split_at_mut(BITMAP_RANKS);
        for (suffix, _) in self.each() {
            bits[usize::from(suffix / 8)] |= 1 << (suffix % 8);
        }
        let mut rank = 0u16;
        for (entry, page) in ranks.chunks_exact_mut(2).zip(bits.chunks_exact(32)) {
            entry.copy_from_slice(&rank.to_le_bytes());
            // Wraps behind the last /24 of a full bitmap at most.
            rank = rank.wrapping_add(page.iter().map(|octet| octet.count_ones() as u16).sum());
        }
        if self.mixed {
            width.put(self.each().map(|(_, answer)| answer), chunks);
        }
    }

    /// Every suffix with its answer.
    fn each(&self) -> impl Iterator<Item = (u16, AnswerId)> + '_ {
        let runs = self.runs.iter().zip(&self.answers);
        runs.flat_map(|(&(first, last), &answer)| (first..=last).map(move |suffix| (suffix, answer)))
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
