//! The compiled file of one zone: written once, mapped read-only, looked up in place.
//!
//! [`write()`] makes it from a [`Compiled`](crate::compile::Compiled); [`Snapshot`] reads it from any octets,
//! usually a [`Mapped`] file. Read [`Snapshot`] first.

mod answers;
mod error;
mod header;
mod layout;
mod mmap;
mod names;
mod read;
#[cfg(test)]
mod testing;
mod v4;
mod v6;
mod verify;
mod write;

pub use answers::{AnswerRef, Rdata, RdataRef, RecordSets, RrSetRef};
pub use error::{Damaged, Section, SnapshotError, WriteError};
pub use mmap::{FileId, Mapped};
pub use names::NameFound;
pub use read::{Counts, Snapshot};
pub use write::{Written, write};
