//! Many addresses, step by step: the loads of one step do not wait for each other, so their cache misses overlap.
//!
//! A processor has only so many instructions on their way at once. So each step from the slots on loads something and
//! does little else: the less it works, the more of its misses overlap.

use super::super::{Damaged, Section};
use super::buckets::{Buckets, Lanes};
use super::lookup::Located;
use super::{Place, V4, u32_at};
use crate::compile::AnswerId;

/// Addresses that go through the steps together: enough to hide a miss in memory, few enough for their state to stay
/// in the nearest cache.
const WIDTH: usize = 32;

/// An address on its way.
#[derive(Clone, Copy)]
struct Walker {
    /// Which of the addresses it is.
    index: u32,
    suffix: u16,
    /// Index of its slot.
    number: u32,
    /// What the slot says: the form of the chunk, where it begins, the answer.
    buckets: &'static Buckets,
    offset: usize,
    answer: AnswerId,
    /// Where in the chunks its two index entries are, and what they are.
    entries_at: usize,
    entries: u32,
    /// The bucket.
    lanes: Lanes,
    /// The load where the lanes of its bucket begin.
    first: u64,
}

impl V4<'_> {
    /// Fills `answers`, which is as long as `addresses`.
    pub(in super::super) fn find_batch(
        &self,
        addresses: &[u32],
        answers: &mut [Option<AnswerId>],
    ) -> Result<(), Damaged> {
        addresses
            .chunks(WIDTH)
            .zip(answers.chunks_mut(WIDTH))
            .try_for_each(|(addresses, answers)| self.find_few(addresses, answers))
    }

    fn find_few(&self, addresses: &[u32], answers: &mut [Option<AnswerId>]) -> Result<(), Damaged> {
        let mut walkers = [Walker {
            index: 0,
            suffix: 0,
            number: 0,
            buckets: &self.places.layouts[0][0],
            offset: 0,
            answer: 0,
            entries_at: 0,
            entries: 0,
            lanes: Lanes::NONE,
            first: 0,
        }; WIDTH];
        let mut count = 0;
        for (index, (&address, answer)) in addresses.iter().zip(answers.iter_mut()).enumerate() {
            match self.locate(address)? {
                Located::Found(found) => *answer = found.answer(),
                Located::Slot(number) => {
                    let walker = &mut walkers[count];
                    (walker.index, walker.suffix, walker.number) = (index as u32, address as u16, number);
                    count += 1;
                }
            }
        }
        let chunks = self.chunks()?;
        let mut left = 0;
        for at in 0..count {
            let Walker { index, suffix, number, .. } = walkers[at];
            let slot = self.slot(number)?;
            let place = Place::of(slot);
            match self.buckets(place) {
                Some(buckets) => {
                    let walker = &mut walkers[left];
                    (walker.index, walker.suffix) = (index, suffix);
                    (walker.buckets, walker.offset, walker.answer) =
                        (buckets, place.offset(), slot.answer.get());
                    walker.entries_at = buckets.entries(place.offset(), suffix);
                    left += 1;
                }
                None => {
                    let found = self.find_elsewhere(slot, suffix)?;
                    answers[index as usize] = found.with(slot.answer.get()).answer();
                }
            }
        }
        let walkers = &mut walkers[..left];
        for walker in &mut *walkers {
            walker.entries = u32_at(chunks, walker.entries_at).ok_or(Damaged(Section::V4_CHUNKS))?;
        }
        for walker in &mut *walkers {
            walker.lanes = walker.buckets.lanes(walker.entries);
            walker.first = walker.buckets.first(chunks, walker.offset, walker.lanes)?;
        }
        for &Walker { index, suffix, buckets, offset, answer, lanes, first, .. } in &*walkers {
            let found = buckets.search(chunks, offset, suffix, lanes, first)?;
            answers[index as usize] = found.with(answer).answer();
        }
        Ok(())
    }
}
