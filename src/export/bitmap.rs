//! All listed IPv4 addresses as a Roaring bitmap of 32 bits in its portable form, which every Roaring library reads.

use std::io::Write;

use ::roaring::RoaringBitmap;

use super::{ExportError, Loss, Losses, all};
use crate::snapshot::Snapshot;

/// Writes the IPv4 addresses of `snapshot`. Answers, IPv6 and names are left out.
pub fn roaring<D: AsRef<[u8]>>(snapshot: &Snapshot<D>, out: &mut impl Write) -> Result<Losses, ExportError> {
    let mut bitmap = RoaringBitmap::new();
    for item in snapshot.v4_spans(all()) {
        let span = item?.span;
        bitmap.insert_range(span.first..=span.last);
    }
    bitmap.serialize_into(out)?;
    let mut losses = Losses::default();
    losses.add(Loss::V6, snapshot.counts().v6_spans);
    losses.add(Loss::AllNames, snapshot.counts().names);
    Ok(losses)
}
