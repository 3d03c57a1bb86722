//! The checks between a download and its use.

mod never;

pub use never::NeverList;
