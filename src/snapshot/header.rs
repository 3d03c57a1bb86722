//! The first page: whether this is a snapshot, whether it is whole, and where its sections are.

use std::ops::Range;

use zerocopy::FromBytes;

use super::layout::{CRITICAL, Entry, Header, KNOWN, MAGIC, MAX_SECTIONS, PAGE, VERSION};
use super::write::content_hash;
use super::{Section, SnapshotError};
use crate::model::ContentHash;

/// The section table, checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) content: ContentHash,
    /// In ascending order of ids.
    pub(super) entries: Vec<Row>,
}

/// A section that lies in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) section: Section,
    pub(super) place: Range<usize>,
    pub(super) hash: ContentHash,
}

impl Table {
    pub(super) fn entry(&self, section: Section) -> Option<&Row> {
        self.entries.iter().find(|entry| entry.section == section)
    }

    pub(super) fn place(&self, section: Section) -> Option<Range<usize>> {
        self.entry(section).map(|entry| entry.place.clone())
    }
}

/// Checks the first page and the bounds of all sections.
pub(super) fn open(octets: &[u8]) -> Result<Table, SnapshotError> {
    let page = first_page(octets)?;
    let (header, rest) = Header::ref_from_prefix(page).map_err(|_| SnapshotError::Header)?;
    let mut unsigned = *page;
    unsigned[std::mem::offset_of!(Header, hash)..][..header.hash.len()].fill(0);
    if ContentHash::of(&unsigned).as_bytes() != &header.hash || header.header_len.get() as usize != PAGE {
        return Err(SnapshotError::Header);
    }
    let (stated, actual) = (header.file_len.get(), octets.len() as u64);
    if actual < stated {
        return Err(SnapshotError::Cut { stated, actual });
    }
    if actual > stated {
        return Err(SnapshotError::Overlong { stated, actual });
    }
    let count = header.sections.get() as usize;
    if count > MAX_SECTIONS {
        return Err(SnapshotError::Header);
    }
    let (entries, _) =
        <[Entry]>::ref_from_prefix_with_elems(rest, count).map_err(|_| SnapshotError::Header)?;
    let ascending = entries.is_sorted_by(|a, b| a.id.get() < b.id.get());
    let content = content_hash(entries);
    if !ascending || content.as_bytes() != &header.content {
        return Err(SnapshotError::Header);
    }
    let rows = entries.iter().map(|entry| row(entry, octets.len())).collect::<Result<Vec<_>, _>>()?;
    apart(&rows)?;
    Ok(Table { content, entries: rows })
}

/// The first page, when these octets begin as a snapshot of this version.
fn first_page(octets: &[u8]) -> Result<&[u8; PAGE], SnapshotError> {
    if octets.is_empty() {
        return Err(SnapshotError::Empty);
    }
    let magic = octets.len().min(MAGIC.len());
    if octets[..magic] != MAGIC[..magic] {
        return Err(SnapshotError::Foreign);
    }
    let version = octets.get(MAGIC.len()..).and_then(|rest| rest.first_chunk());
    match version.map(|version| u16::from_le_bytes(*version)) {
        Some(version) if version < VERSION => return Err(SnapshotError::Older(version)),
        Some(version) if version > VERSION => return Err(SnapshotError::Newer(version)),
        _ => {}
    }
    let cut = SnapshotError::Cut { stated: PAGE as u64, actual: octets.len() as u64 };
    octets.first_chunk().ok_or(cut)
}

fn row(entry: &Entry, file: usize) -> Result<Row, SnapshotError> {
    let section = Section(entry.id.get());
    let flags = entry.flags.get();
    match KNOWN.iter().find(|(known, _)| *known == section) {
        Some(&(_, known)) if known != flags => return Err(SnapshotError::Header),
        None if flags & CRITICAL != 0 => return Err(SnapshotError::Critical(section)),
        _ => {}
    }
    let bounds = SnapshotError::Bounds(section);
    let (Ok(start), Ok(len)) = (usize::try_from(entry.offset.get()), usize::try_from(entry.length.get()))
    else {
        return Err(bounds);
    };
    match start.checked_add(len) {
        Some(end) if end <= file && len > 0 && start >= PAGE && start.is_multiple_of(PAGE) => {
            Ok(Row { section, place: start..end, hash: ContentHash::from_bytes(entry.hash) })
        }
        _ => Err(bounds),
    }
}

/// No section reaches into another.
fn apart(rows: &[Row]) -> Result<(), SnapshotError> {
    let mut sorted: Vec<_> = rows.iter().collect();
    sorted.sort_by_key(|row| row.place.start);
    match sorted.windows(2).find(|pair| pair[0].place.end > pair[1].place.start) {
        Some(pair) => Err(SnapshotError::Overlap(pair[1].section)),
        None => Ok(()),
    }
}
