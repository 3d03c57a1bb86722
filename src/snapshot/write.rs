//! Compiled zone → file: sections one after another, each hashed on its way out, the header last.

use std::io::{self, Seek, SeekFrom, Write};

use zerocopy::{FromZeros, IntoBytes};

use super::layout::{APART, Entry, Header, KNOWN, MAGIC, MAX_JSON, PAGE, VERSION};
use super::{Section, WriteError, answers, names, v4, v6};
use crate::compile::{Compiled, ListData, ZoneData};
use crate::model::{ContentHash, Hasher};

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The hash of the content: provenance and padding apart.
    pub content: ContentHash,
    /// Octets of the file.
    pub len: u64,
}

/// The JSON of section `meta`.
#[derive(serde::Serialize)]
struct Meta<'a> {
    zone: &'a ZoneData,
    lists: &'a [ListData],
}

/// Writes the snapshot of `compiled` at the start of `out`, which must be empty. Equal zones give equal octets of
/// every section but the provenance's own.
pub fn write(
    compiled: &Compiled,
    provenance: &serde_json::Value,
    out: &mut (impl Write + Seek),
) -> Result<Written, WriteError> {
    let mut file = FileWriter::new(out)?;
    v4::write(compiled, &mut file)?;
    v6::write(&compiled.v6, &mut file)?;
    names::write(&compiled.names, &mut file)?;
    file.section(Section::ANSWERS, &answers::encode(&compiled.answers, &compiled.values)?)?;
    let meta = Meta { zone: &compiled.zone, lists: &compiled.lists };
    file.section(Section::META, &json(&meta, Section::META)?)?;
    file.section(Section::PROVENANCE, &json(provenance, Section::PROVENANCE)?)?;
    file.finish()
}

fn json(value: &impl serde::Serialize, section: Section) -> Result<Vec<u8>, WriteError> {
    let text = serde_json::to_vec(value).map_err(io::Error::from)?;
    if text.len() > MAX_JSON { Err(WriteError::TooLarge(section)) } else { Ok(text) }
}

/// The file in the making.
pub(super) struct FileWriter<'a, W> {
    out: &'a mut W,
    at: u64,
    entries: Vec<Entry>,
}

impl<'a, W: Write + Seek> FileWriter<'a, W> {
    fn new(out: &'a mut W) -> Result<Self, WriteError> {
        out.write_all(&[0; PAGE])?;
        Ok(Self { out, at: PAGE as u64, entries: Vec::with_capacity(KNOWN.len()) })
    }

    /// Writes a whole section; one without octets is left out.
    pub(super) fn section(&mut self, id: Section, octets: &[u8]) -> Result<(), WriteError> {
        let mut section = self.begin(id)?;
        section.put(octets)?;
        section.end()
    }

    /// Starts a section that is written piece by piece.
    pub(super) fn begin(&mut self, id: Section) -> Result<SectionWriter<'_, 'a, W>, WriteError> {
        Ok(SectionWriter { file: self, id, hasher: Hasher::default(), len: 0 })
    }

    /// Zero octets up to the next page.
    fn align(&mut self) -> io::Result<()> {
        let gap = (self.at.next_multiple_of(PAGE as u64) - self.at) as usize;
        self.out.write_all(&[0; PAGE][..gap])?;
        self.at += gap as u64;
        Ok(())
    }

    fn finish(mut self) -> Result<Written, WriteError> {
        self.entries.sort_unstable_by_key(|entry| entry.id.get());
        let content = content_hash(&self.entries);
        let mut header = Header::new_zeroed();
        header.magic = MAGIC;
        header.version = VERSION.into();
        header.header_len = (PAGE as u32).into();
        header.sections = (self.entries.len() as u32).into();
        header.file_len = self.at.into();
        header.content = *content.as_bytes();
        let mut page = [0; PAGE];
        let table = self.entries.as_bytes();
        page[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        page[size_of::<Header>()..][..table.len()].copy_from_slice(table);
        header.hash = *ContentHash::of(&page).as_bytes();
        page[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&page)?;
        self.out.flush()?;
        Ok(Written { content, len: self.at })
    }
}

/// A section in the making.
pub(super) struct SectionWriter<'f, 'a, W> {
    file: &'f mut FileWriter<'a, W>,
    id: Section,
    hasher: Hasher,
    len: u64,
}

impl<W: Write + Seek> SectionWriter<'_, '_, W> {
    /// Adds octets. Best in large pieces: each is hashed and written at once.
    pub(super) fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        if octets.is_empty() {
            return Ok(());
        }
        if self.len == 0 {
            self.file.align()?;
        }
        self.hasher.update(octets);
        self.file.out.write_all(octets)?;
        self.len += octets.len() as u64;
        self.file.at += octets.len() as u64;
        Ok(())
    }

    /// Enters it into the table.
    pub(super) fn end(self) -> Result<(), WriteError> {
        if self.len == 0 {
            return Ok(());
        }
        let flags = KNOWN.iter().find(|(id, _)| *id == self.id).map_or(0, |&(_, flags)| flags);
        self.file.entries.push(Entry {
            id: self.id.0.into(),
            flags: flags.into(),
            offset: (self.file.at - self.len).into(),
            length: self.len.into(),
            hash: *self.hasher.finish().as_bytes(),
        });
        Ok(())
    }
}

/// The hash over id, length and hash of the sections that are content.
pub(super) fn content_hash(entries: &[Entry]) -> ContentHash {
    let mut hasher = Hasher::default();
    for entry in entries.iter().filter(|entry| entry.flags.get() & APART == 0) {
        hasher.update(entry.id.as_bytes());
        hasher.update(entry.length.as_bytes());
        hasher.update(&entry.hash);
    }
    hasher.finish()
}
