//! One list on its own: which of its addresses are listed, and with which of its values.

use std::collections::HashMap;

use super::sweep::{Ranked, sweep};
use super::{Answered, SpansV4};
use crate::model::{Address, Span};
use crate::set::{Block, Overlap, Set, V4Entries, ValueId};

/// What a list says at an address: indexes into `values` stand as the answers of the spans.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) v4: SpansV4,
    pub(super) v6: Vec<Answered<u128>>,
    /// Groups of values of the set that answer together.
    pub(super) values: Groups,
}

/// Interned groups of values.
#[derive(Debug, Default)]
pub(super) struct Groups {
    ids: HashMap<Vec<ValueId>, u32>,
    groups: Vec<Vec<ValueId>>,
}

impl Groups {
    pub(super) fn id(&mut self, group: &[ValueId]) -> u32 {
        if let Some(&id) = self.ids.get(group) {
            return id;
        }
        let id = self.groups.len() as u32;
        self.groups.push(group.to_vec());
        self.ids.insert(group.to_vec(), id);
        id
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[ValueId]> {
        self.groups.iter().map(Vec::as_slice)
    }
}

/// Settles the overlaps within `set`. `merge_value` maps values that will say the same to one of them, so that
/// spans which differ only in what nobody will see are joined.
pub(super) fn resolve(set: &Set, merge_value: impl Fn(ValueId) -> ValueId) -> Resolved {
    let mut resolved = Resolved::default();
    resolve_v4(set.overlap, &set.v4, &merge_value, &mut resolved);
    let entries = set.v6.iter().flat_map(|block| ranked(set.overlap, block, &merge_value)).collect();
    let Resolved { v6, values, .. } = &mut resolved;
    sweep(entries, |span, group| push(v6, span, values.id(group)));
    resolved
}

fn resolve_v4(
    overlap: Overlap,
    entries: &V4Entries,
    merge_value: &impl Fn(ValueId) -> ValueId,
    resolved: &mut Resolved,
) {
    let Resolved { v4, values, .. } = resolved;
    let mut at = 0;
    for island in islands(&entries.blocks) {
        let span = Span {
            first: island[0].span.first,
            last: island.iter().map(|b| b.span.last).max().expect("not empty"),
        };
        at = hosts_until(entries, at, |host| host < span.first, merge_value, v4, values);
        let mut ranked: Vec<_> =
            island.iter().flat_map(|block| ranked(overlap, block, merge_value)).collect();
        while let Some(&host) = entries.hosts.get(at).filter(|&&host| host <= span.last) {
            let value = entries.host_values.at(at);
            let block = Block { span: Span::host(host), exclude: false, value };
            ranked.extend(self::ranked(overlap, &block, merge_value));
            at += 1;
        }
        sweep(ranked, |span, group| v4.push(span, values.id(group)));
    }
    hosts_until(entries, at, |_| true, merge_value, v4, values);
}

/// Hosts that no block touches go straight through: the way of nearly every address of a long list.
fn hosts_until(
    entries: &V4Entries,
    mut at: usize,
    inside: impl Fn(u32) -> bool,
    merge_value: &impl Fn(ValueId) -> ValueId,
    v4: &mut SpansV4,
    values: &mut Groups,
) -> usize {
    let hosts = &entries.hosts;
    let mut last: Option<(ValueId, u32)> = None;
    while let Some(&host) = hosts.get(at).filter(|&&host| inside(host)) {
        let value = entries.host_values.at(at);
        let mut end = at + 1;
        while hosts.get(end) == Some(&host) {
            end += 1;
        }
        let id = match last {
            Some((seen, id)) if seen == value && end == at + 1 => id,
            _ => {
                let mut group: Vec<_> =
                    (at..end).map(|row| merge_value(entries.host_values.at(row))).collect();
                group.sort_unstable();
                group.dedup();
                values.id(&group)
            }
        };
        last = (end == at + 1).then_some((value, id));
        v4.push(Span::host(host), id);
        at = end;
    }
    at
}

/// Groups of blocks whose spans hang together.
fn islands(blocks: &[Block<u32>]) -> impl Iterator<Item = &[Block<u32>]> {
    let mut rest = blocks;
    std::iter::from_fn(move || {
        let mut end = rest.first()?.span.last;
        let mut len = 1;
        while let Some(next) = rest.get(len).filter(|next| next.span.first <= end) {
            end = end.max(next.span.last);
            len += 1;
        }
        let (island, tail) = rest.split_at(len);
        rest = tail;
        Some(island)
    })
}

fn ranked<A: Address>(
    overlap: Overlap,
    block: &Block<A>,
    merge_value: &impl Fn(ValueId) -> ValueId,
) -> Vec<Ranked<A>> {
    let value = if block.exclude { 0 } else { merge_value(block.value) };
    let entry = |span: Span<A>, rank| Ranked { span, rank, exclude: block.exclude, value };
    match overlap {
        Overlap::Narrowest => vec![entry(block.span, u128::MAX - block.span.extent())],
        Overlap::OctetLevels => {
            octet_levels(block.span).into_iter().map(|(span, level)| entry(span, u128::from(level))).collect()
        }
    }
}

/// The parts of a span by the widest octet boundary that each part fills: 10.0.0.0/9 is one part on the /16 level,
/// 1.2.3.4-1.2.5.6 has two on the /32 and one on the /24 level.
fn octet_levels<A: Address>(span: Span<A>) -> Vec<(Span<A>, u8)> {
    let mut parts = Vec::new();
    split(span, 8, &mut parts);
    parts.sort_unstable();
    parts
}

fn split<A: Address>(span: Span<A>, level: u8, parts: &mut Vec<(Span<A>, u8)>) {
    if level >= A::BITS {
        parts.push((span, A::BITS));
        return;
    }
    // The first and last whole cells of this level inside the span.
    let head = span.first.prefix(level);
    let first = if head.first == span.first { Some(head.first) } else { head.last.next() };
    let tail = span.last.prefix(level);
    let last = if tail.last == span.last { Some(tail.last) } else { tail.first.prev() };
    let whole = match (first, last) {
        (Some(first), Some(last)) if first < last && first >= span.first && last <= span.last => {
            Span { first, last }
        }
        _ => return split(span, level + 8, parts),
    };
    parts.push((whole, level));
    if span.first < whole.first {
        let last = whole.first.prev().expect("the span begins before it");
        split(Span { first: span.first, last }, level + 8, parts);
    }
    if whole.last < span.last {
        let first = whole.last.next().expect("the span ends after it");
        split(Span { first, last: span.last }, level + 8, parts);
    }
}

/// Adds a span, joined to the last one where they touch with one answer.
pub(super) fn push<A: Address>(spans: &mut Vec<Answered<A>>, span: Span<A>, answer: u32) {
    if let Some(before) = spans.last_mut()
        && before.answer == answer
        && before.span.last.next() == Some(span.first)
    {
        before.span.last = span.last;
        return;
    }
    spans.push(Answered { span, answer });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octet_levels_as_rbldnsd_unfolds() {
        let levels = |text: &str| {
            let (first, last) = text.split_once('-').unwrap();
            let at = |t: &str| crate::model::parse_ipv4(t.as_bytes()).unwrap();
            octet_levels(Span { first: at(first), last: at(last) })
                .into_iter()
                .map(|(span, level)| format!("{span}@{level}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(levels("10.0.0.0-10.127.255.255"), ["10.0.0.0/9@16"]);
        assert_eq!(levels("0.0.0.0-255.255.255.255"), ["0.0.0.0/0@8"]);
        assert_eq!(
            levels("1.2.3.4-1.2.5.6"),
            ["1.2.3.4-1.2.3.255@32", "1.2.4.0/24@24", "1.2.5.0-1.2.5.6@32"]
        );
        assert_eq!(levels("1.2.3.4-1.2.3.4"), ["1.2.3.4@32"]);
        assert_eq!(levels("255.255.255.255-255.255.255.255"), ["255.255.255.255@32"]);
        assert_eq!(
            levels("9.255.255.254-11.0.0.1"),
            ["9.255.255.254/31@32", "10.0.0.0/8@8", "11.0.0.0/31@32"]
        );
    }
}
