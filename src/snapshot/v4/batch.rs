//! Many addresses, step by step: the loads of one step do not wait for each other, so their cache misses overlap.

use zerocopy::FromZeros;

use super::super::Damaged;
use super::super::layout::Slot;
use super::lookup::Located;
use super::{Place, V4};
use crate::compile::AnswerId;

/// Addresses that go through the steps together: enough to hide a miss in memory, few enough for their state to stay
/// in the nearest cache.
const WIDTH: usize = 32;

/// An address on its way.
#[derive(Debug, Clone, Copy)]
struct Walker {
    /// Which of the addresses it is.
    index: usize,
    suffix: u16,
    /// Index of its slot.
    number: u32,
    slot: Slot,
    /// Numbers of its bucket.
    range: (u32, u32),
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
        let nobody = Walker { index: 0, suffix: 0, number: 0, slot: Slot::new_zeroed(), range: (0, 0) };
        let mut walkers = [nobody; WIDTH];
        let mut count = 0;
        for (index, (&address, answer)) in addresses.iter().zip(answers.iter_mut()).enumerate() {
            match self.locate(address)? {
                Located::Found(found) => *answer = found.answer(),
                Located::Slot(number) => {
                    walkers[count] = Walker { index, suffix: address as u16, number, ..nobody };
                    count += 1;
                }
            }
        }
        let walkers = &mut walkers[..count];
        let chunks = self.chunks()?;
        for walker in &mut *walkers {
            walker.slot = self.slot(walker.number)?;
        }
        for walker in &mut *walkers {
            let place = Place::of(walker.slot);
            if let Some(buckets) = self.buckets(place) {
                walker.range = buckets.bucket(chunks, place.offset(), walker.suffix)?;
            }
        }
        for Walker { index, suffix, slot, range, .. } in walkers {
            let place = Place::of(*slot);
            let found = match self.buckets(place) {
                Some(buckets) => buckets.search(chunks, place.offset(), *suffix, *range)?,
                None => self.find_elsewhere(*slot, *suffix)?,
            };
            answers[*index] = found.with(slot.answer.get()).answer();
        }
        Ok(())
    }
}
