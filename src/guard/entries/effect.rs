//! What of a list its own exclusions leave in effect.
//!
//! An entry counts while exclusions take off no more than half of it: a list that excludes (nearly) all that it lists has
//! shrunk, however many lines it has. Which of several entries answers for an address is not settled here; narrower
//! listings within an entry count for themselves.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Address, Span};
use crate::set::{Block, BlocksV6, Column, NameList, Overlap, Section, Set, V4Entries};

/// Looks at excluded spans for each entry, on an average. Prefixes nest no deeper; ranges that overlap by the thousand do,
/// and nobody publishes such a list in good faith.
const LOOKS: usize = 64;

/// The same list without exclusions and the entries that they take off.
pub(super) fn in_effect(set: &Set) -> Cow<'_, Set> {
    if !set.parts().any(excludes) {
        return Cow::Borrowed(set);
    }
    let section =
        |section: &Section| Section { subs: section.subs.clone(), set: Arc::new(part(&section.set)) };
    Cow::Owned(Set { sections: set.sections.iter().map(section).collect(), ..part(set) })
}

fn excludes(part: &Set) -> bool {
    part.v4.blocks.iter().any(|block| block.exclude)
        || part.v6.iter().any(|block| block.exclude)
        || (0..part.names.len()).any(|row| part.names.is_excluded(row))
}

fn part(set: &Set) -> Set {
    Set {
        overlap: set.overlap,
        values: set.values.clone(),
        v4: v4(set),
        v6: v6(set),
        names: names(&set.names),
        ..Set::default()
    }
}

fn v4(set: &Set) -> V4Entries {
    let V4Entries { hosts, host_values, blocks } = &set.v4;
    let mut taken = TakenOff::new(blocks.iter().copied(), set.overlap);
    // Nothing stands above a single address.
    let top = set.overlap.ranked(Span::host(0u32))[0].1;
    taken.exclude_from(top);
    let mut is_off = vec![false; hosts.len()];
    for (&first, &last) in &taken.excluded {
        let start = hosts.partition_point(|&host| host < first);
        let end = hosts.partition_point(|&host| host <= last);
        is_off[start..end].fill(true);
    }
    let stays = |row: &usize| !is_off[*row];
    let values = match host_values {
        Column::One(value) => Column::One(*value),
        Column::Many(values) => Column::Many((0..hosts.len()).filter(stays).map(|row| values[row]).collect()),
    };
    V4Entries {
        hosts: (0..hosts.len()).filter(stays).map(|row| hosts[row]).collect(),
        host_values: values,
        blocks: taken.left(blocks.iter().copied()),
    }
}

fn v6(set: &Set) -> BlocksV6 {
    let mut left = BlocksV6::default();
    let taken = TakenOff::new(set.v6.iter(), set.overlap);
    taken.left(set.v6.iter()).into_iter().for_each(|block| left.push(block));
    left
}

/// Of names an exclusion takes off its like: the name, or all that is below it.
fn names(names: &NameList) -> NameList {
    let mut left = NameList::default();
    let mut row = 0;
    while row < names.len() {
        let next = names.next_name(row);
        let is_off = |scope| (row..next).any(|row| names.is_excluded(row) && names.scope(row) == scope);
        for row in (row..next).filter(|&row| !is_off(names.scope(row))) {
            left.push_row(names, row, names.value(row));
        }
        row = next;
    }
    left
}

/// Excluded spans, those of the greatest rank first.
struct TakenOff<A> {
    overlap: Overlap,
    /// To come, the next one at the end.
    exclusions: Vec<(u128, Span<A>)>,
    /// First → last address; disjoint.
    excluded: BTreeMap<A, A>,
    looks: usize,
}

impl<A: Address> TakenOff<A> {
    fn new(blocks: impl Iterator<Item = Block<A>>, overlap: Overlap) -> Self {
        let mut rows = 0;
        let exclusions = blocks.inspect(|_| rows += 1).filter(|block| block.exclude);
        let ranked = exclusions.flat_map(|block| overlap.ranked(block.span));
        let mut exclusions: Vec<_> = ranked.map(|(span, rank)| (rank, span)).collect();
        exclusions.sort_unstable();
        Self { overlap, exclusions, excluded: BTreeMap::new(), looks: LOOKS * rows }
    }

    /// The listings that are left of all blocks.
    fn left(mut self, blocks: impl Iterator<Item = Block<A>>) -> Vec<Block<A>> {
        let listed: Vec<Block<A>> = blocks.filter(|block| !block.exclude).collect();
        let overlap = self.overlap;
        let parts = |(row, block): (usize, &Block<A>)| {
            overlap.ranked(block.span).into_iter().map(move |(span, rank)| (Reverse(rank), row, span))
        };
        let mut parts: Vec<_> = listed.iter().enumerate().flat_map(parts).collect();
        parts.sort_unstable();
        let mut taken = vec![0u128; listed.len()];
        for (Reverse(rank), row, span) in parts {
            self.exclude_from(rank);
            taken[row] = taken[row].saturating_add(self.excluded_of(span));
        }
        let stays = |(block, taken): &(Block<A>, u128)| *taken <= block.span.extent().div_ceil(2);
        listed.into_iter().zip(taken).filter(stays).map(|(block, _)| block).collect()
    }

    /// Exclusions of this rank and above are in force from here on.
    fn exclude_from(&mut self, rank: u128) {
        while let Some((_, span)) = self.exclusions.pop_if(|(own, _)| *own >= rank) {
            let Span { mut first, mut last } = span;
            if let Some((&before, &end)) = self.excluded.range(..=first).next_back()
                && end >= first
            {
                (first, last) = (before, last.max(end));
            }
            while let Some((&next, &end)) = self.excluded.range(first..=last).next() {
                self.excluded.remove(&next);
                last = last.max(end);
            }
            self.excluded.insert(first, last);
        }
    }

    /// How many addresses of a span are excluded.
    fn excluded_of(&mut self, span: Span<A>) -> u128 {
        let before = self.excluded.range(..span.first).next_back();
        let spans = before.into_iter().chain(self.excluded.range(span.first..=span.last));
        let mut count = 0u128;
        for (&first, &last) in spans.take(self.looks) {
            self.looks -= 1;
            let (first, last) = (first.max(span.first), last.min(span.last));
            if first <= last {
                count = count.saturating_add(last.distance(first)).saturating_add(1);
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, Options, parse};

    /// The entries that are left, as published.
    fn left(format: Format, text: &str) -> String {
        let set = parse(format, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().set;
        let mut lines = Vec::new();
        crate::set::changes(&Set::default(), &in_effect(&set), &mut |_, entry| lines.push(entry.to_string()));
        lines.join(" ")
    }

    #[test]
    fn an_entry_counts_while_half_of_it_is_left() {
        let left = |text: &str| left(Format::Ip4trie, text);
        assert_eq!(left("1.2.3.0/24\n!1.2.3.0/25\n"), "1.2.3.0/24");
        assert_eq!(left("1.2.3.0/24\n!1.2.3.0/25\n!1.2.3.128\n"), "");
        assert_eq!(left("1.2.3.0/24\n!1.2.3.0/25\n!1.2.3.128/25\n"), "");
        assert_eq!(left("1.2.3.0/24\n1.2.3.4\n!1.2.0.0/16\n"), "1.2.3.4 1.2.3.0/24", "narrower ones answer");
        let all_but_the_last: String = (0..255).map(|n| format!("!1.2.3.{n}\n")).collect();
        assert_eq!(left(&format!("1.2.3.0/24\n1.2.0.0/16\n{all_but_the_last}")), "1.2.0.0/16");
        let holes: String = (0..65536)
            .map(|n| format!("!1.2.{}.{}\n", n >> 8, n & 255))
            .filter(|line| !line.ends_with("7\n"))
            .collect();
        assert_eq!(left(&format!("1.2.0.0/16\n1.3.0.0/16\n{holes}")), "1.3.0.0/16", "however many holes");
    }

    #[test]
    fn levels_of_octets() {
        let left = |text: &str| left(Format::Ip4set, text);
        assert_eq!(left("1.2.3.4\n1.2.3.5\n!1.2.3.4\n"), "1.2.3.5");
        assert_eq!(left("1.2.3.4\n!1.2.3.0/24\n"), "1.2.3.4", "the finer level answers");
        assert_eq!(left("1.2.3.4\n!1.2.3.0/25\n"), "", "both unfold to addresses");
        assert_eq!(left("1.2.3.0/24\n!1.2.0.0/20\n"), "");
        assert_eq!(left("1.2.3.4-1.2.5.6\n!1.2.4.0/24\n"), "1.2.3.4-1.2.5.6");
        assert_eq!(left("1.2.3.4-1.2.5.6\n!1.2.4.0/24\n!1.2.3.64/26\n!1.2.3.128/25\n"), "");
    }

    #[test]
    fn of_other_kinds() {
        assert_eq!(
            left(Format::Ip6trie, "2001:db8::/32\n2001:db9::/32\n!2001:db9::/33\n!2001:db9:8000::/33\n"),
            "2001:db8::/32"
        );
        assert_eq!(
            left(Format::Dnset, ".a.example\n!*.a.example\nb.example\n!.b.example\n!.example\n"),
            "a.example"
        );
        let sections = "$DATASET ip4set a\n1.2.3.4\n1.2.3.5\n$DATASET ip4set b\n1.2.3.4\n!1.2.3.4\n";
        assert_eq!(left(Format::Combined, sections), "1.2.3.4 1.2.3.5");
    }
}
