//! How one version of a list comes from the one before it.
//!
//! [`encode()`] compares two sets, [`apply()`] makes the new one from the old one and gives it only if its hash is the one
//! that was asked for: damaged octets, or another old set, never give a set. [`changes`] tells what became of each
//! entry. Octets are not compressed here. Never: files, times.
//!
//! Entries that went are named by their rank in the old set, which costs a fraction of what their addresses would;
//! those that came are written out, each as its distance from the one before it. The octets:
//!
//! ```text
//! head      0 (as before), or 1 and one JSON object: overlap, directives
//! values    went; came: count, then each as in a set
//! hosts     went; came: count, then each: address - the one before it; then 0 and the value of all hosts, or 1 and says
//! blocks    went; came: count, then each: first - the one before it, last - first, exclude; says
//! v6        went; came: count, then each: upper 64 bits of first - those of the one before it, exclude and (2) whether it
//!           is a /64 in one octet; of others lower 64 bits of first, last - first; says
//! names     went; came: count, then each: octets shared with the one before it, the others, scope and exclude in one
//!           octet; says
//! sections  count, then each: 0 and its subzones, or 1 + index of the old section with the same; all from head to names,
//!           from that section or from nothing
//!
//! went      count, then each: rank in the old set - that of the one before it - 1
//! says      a value for each that came and is no exclusion; then of those that stay and say something else: count,
//!           each rank as above, a value each
//! ```
//!
//! Numbers are LEB128. A value is its rank in the new set.

mod apply;
mod encode;
mod walk;

#[cfg(test)]
mod tests;

pub use apply::{DeltaError, apply};
pub use encode::{Counts, Delta, encode};
pub use walk::{Step, changes};
