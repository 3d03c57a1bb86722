//! Everything that can be wrong with a snapshot, each with a name and a sentence.

use std::fmt;
use std::io;

/// A part of a snapshot, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Section(pub u32);

impl Section {
    /// Zone and lists.
    pub const META: Self = Self(0x01);
    /// Where the data came from; no part of the content.
    pub const PROVENANCE: Self = Self(0x02);
    /// Answers, record sets, texts.
    pub const ANSWERS: Self = Self(0x03);
    /// IPv4: counts and an entry for each /8.
    pub const V4_ROOT: Self = Self(0x10);
    /// IPv4: spans of thinly listed /8s.
    pub const V4_SPARSE: Self = Self(0x11);
    /// IPv4: a slot for each /16 of the other /8s.
    pub const V4_SLOTS: Self = Self(0x12);
    /// IPv4: the addresses of each /16, and their answers where they differ.
    pub const V4_CHUNKS: Self = Self(0x13);
    /// IPv6 spans.
    pub const V6: Self = Self(0x20);
    /// Names.
    pub const NAMES: Self = Self(0x30);
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::META => "meta",
            Self::PROVENANCE => "provenance",
            Self::ANSWERS => "answers",
            Self::V4_ROOT => "v4-root",
            Self::V4_SPARSE => "v4-sparse",
            Self::V4_SLOTS => "v4-slots",
            Self::V4_CHUNKS => "v4-chunks",
            Self::V6 => "v6",
            Self::NAMES => "names",
            Self(id) => return write!(f, "{id:#x}"),
        })
    }
}

/// A structure inside a snapshot points outside itself. Answers to questions that meet it are SERVFAIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot is damaged: its section {0} points outside itself")]
pub struct Damaged(pub Section);

/// Why octets are no snapshot that can be put in service.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file cannot be opened or mapped.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// No octets at all.
    #[error("the file is empty")]
    Empty,
    /// Another kind of file.
    #[error("not a snapshot")]
    Foreign,
    /// Written by an older program; it has to be compiled again.
    #[error("snapshot format version {0} is older than this program's; compile the zone again")]
    Older(u16),
    /// Written by a newer program.
    #[error("snapshot format version {0} is newer than this program's")]
    Newer(u16),
    /// Shorter than it says.
    #[error("the file is cut: {actual} octets of {stated}")]
    Cut {
        /// Octets that the header promises.
        stated: u64,
        /// Octets there are.
        actual: u64,
    },
    /// Longer than it says.
    #[error("the file goes on after its end: {actual} octets instead of {stated}")]
    Overlong {
        /// Octets that the header promises.
        stated: u64,
        /// Octets there are.
        actual: u64,
    },
    /// The first page does not match its hash, or says what no writer writes.
    #[error("the header is damaged")]
    Header,
    /// A section's octets do not match its hash, or its structure is broken.
    #[error("section {0} is damaged")]
    Section(Section),
    /// A section reaches into another.
    #[error("section {0} overlaps another")]
    Overlap(Section),
    /// A section lies outside the file or off its page.
    #[error("section {0} is out of bounds")]
    Bounds(Section),
    /// A section that every snapshot has is not there.
    #[error("section {0} is missing")]
    Missing(Section),
    /// A section that must be understood and is not.
    #[error("section {0} is unknown to this program and must not be ignored")]
    Critical(Section),
    /// Octets between sections that are not zero.
    #[error("there are stray octets between the sections")]
    Stray,
}

impl From<Damaged> for SnapshotError {
    fn from(Damaged(section): Damaged) -> Self {
        Self::Section(section)
    }
}

/// Why a snapshot could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// More than the format can hold.
    #[error("the zone is too large for a snapshot: section {0} is full")]
    TooLarge(Section),
}
