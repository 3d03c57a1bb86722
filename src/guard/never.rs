//! Addresses that no feed may list.

use crate::model::Span;

/// Spans that are taken out of every feed, sorted and disjoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NeverList {
    /// IPv4.
    pub v4: Vec<Span<u32>>,
    /// IPv6.
    pub v6: Vec<Span<u128>>,
}
