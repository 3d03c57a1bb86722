//! The other two forms of a chunk, runs and bitmap: suffix → number, the row of its answer behind them.

use super::super::layout::Run;
use super::super::{Damaged, Section};
use super::{runs_at, u16_at, u64_at};

const DAMAGED: Damaged = Damaged(Section::V4_CHUNKS);

/// Octets of a bitmap before its bits: a count for each /24.
pub(super) const BITMAP_RANKS: usize = 512;
/// Octets of a bitmap.
pub(super) const BITMAP_LEN: usize = BITMAP_RANKS + 8192;

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

/// The suffixes whose bits are set, in order.
pub(super) fn all_bits(
    chunks: &[u8],
    offset: usize,
    mut put: impl FnMut(u16) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    for index in 0..1024 {
        let mut word = u64_at(chunks, offset + BITMAP_RANKS + index * 8).ok_or(DAMAGED)?;
        while word != 0 {
            put((index * 64) as u16 + word.trailing_zeros() as u16)?;
            word &= word - 1;
        }
    }
    Ok(())
}
