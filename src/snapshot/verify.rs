//! All hashes, and that there is nothing besides what they cover.

use super::SnapshotError;
use super::header::{Row, Table};
use super::layout::PAGE;
use crate::model::ContentHash;

/// Reads the whole file, front to back.
pub(super) fn verify(octets: &[u8], table: &Table) -> Result<(), SnapshotError> {
    let mut rows: Vec<_> = table.entries.iter().collect();
    rows.sort_by_key(|row| row.place.start);
    let mut end = PAGE;
    for row in rows {
        let gap = octets.get(end..row.place.start).ok_or(SnapshotError::Stray)?;
        if gap.iter().any(|&octet| octet != 0) {
            return Err(SnapshotError::Stray);
        }
        section(octets, row)?;
        end = row.place.end;
    }
    if end == octets.len() { Ok(()) } else { Err(SnapshotError::Stray) }
}

/// The octets of a section that match their hash.
pub(super) fn section<'a>(octets: &'a [u8], row: &Row) -> Result<&'a [u8], SnapshotError> {
    let section = octets.get(row.place.clone()).ok_or(SnapshotError::Bounds(row.section))?;
    if ContentHash::of(section) == row.hash { Ok(section) } else { Err(SnapshotError::Section(row.section)) }
}
