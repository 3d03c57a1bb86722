//! Overlapping entries → disjoint spans, each with the values of the entries that win there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::{Address, Span};
use crate::set::ValueId;

/// An entry in a sweep. The greatest `rank` wins where entries overlap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked<A> {
    pub(super) span: Span<A>,
    pub(super) rank: u128,
    pub(super) exclude: bool,
    pub(super) value: ValueId,
}

/// Calls `emit` for disjoint spans in order, with the sorted distinct values of the highest-ranked entries there;
/// spans where an exclusion is among them are left out. Neighbouring spans are not joined.
pub(super) fn sweep<A: Address>(mut entries: Vec<Ranked<A>>, mut emit: impl FnMut(Span<A>, &[ValueId])) {
    entries.sort_unstable_by_key(|entry| entry.span.first);
    let mut entries = entries.into_iter().peekable();
    let mut active: BTreeMap<Reverse<u128>, Vec<Ranked<A>>> = BTreeMap::new();
    let mut values = Vec::new();
    let mut at = A::ZERO;
    loop {
        if active.is_empty() {
            let Some(entry) = entries.peek() else { return };
            at = entry.span.first;
        }
        while let Some(entry) = entries.next_if(|entry| entry.span.first == at) {
            active.entry(Reverse(entry.rank)).or_default().push(entry);
        }
        let top = active.first_entry().expect("an entry begins or goes on here").into_mut();
        let mut last = top.iter().map(|entry| entry.span.last).min().expect("groups are never empty");
        if let Some(next) = entries.peek() {
            last = last.min(next.span.first.prev().expect("it begins after `at`"));
        }
        if !top.iter().any(|entry| entry.exclude) {
            values.clear();
            values.extend(top.iter().map(|entry| entry.value));
            values.sort_unstable();
            values.dedup();
            emit(Span { first: at, last }, &values);
        }
        let Some(next) = last.next() else { return };
        at = next;
        // Lower groups are cleaned when they come to the top.
        while let Some(mut group) = active.first_entry() {
            group.get_mut().retain(|entry| entry.span.last >= at);
            if !group.get().is_empty() {
                break;
            }
            group.remove();
        }
    }
}
