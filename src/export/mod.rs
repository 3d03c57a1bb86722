//! A snapshot → what other programs read: rbldnsd's files, plain lists, a Roaring bitmap, a DNS master file.
//!
//! One function for each: [`rbldnsd()`], [`plain()`], [`roaring()`], [`master()`]. They write what the snapshot holds, in
//! order and while they read it, so that ten million addresses cost no memory; what a form cannot hold is counted in
//! [`Losses`] and left out, never changed. Never: files, which snapshot is meant, lists that are too old (a snapshot
//! does not know).

mod bitmap;
mod known;
mod losses;
mod master;
mod names;
mod plain;
mod rbldnsd;

use std::io;

pub use bitmap::roaring;
pub use losses::{Loss, Losses};
pub use master::master;
pub use plain::plain;
pub use rbldnsd::rbldnsd;

use crate::model::{Address, Span};
use crate::snapshot::Damaged;

/// All addresses of a family.
fn all<A: Address>() -> Span<A> {
    Span { first: A::ZERO, last: A::MAX }
}

/// Why a snapshot could not be written out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is damaged.
    #[error("the snapshot is damaged")]
    Damaged(#[from] Damaged),
    /// Where it was to go does not take it.
    #[error("cannot write")]
    Io(#[from] io::Error),
}
