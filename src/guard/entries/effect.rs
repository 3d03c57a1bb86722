//! What of a list its own exclusions leave in effect.
//!
//! An entry counts for as much as exclusions leave of it: a list that excludes half of each entry has shrunk by half,
//! however many lines it has. Which of several entries answers for an address is not settled here; narrower listings within
//! an entry count for themselves.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use super::stretches::Stretches;
use crate::model::{Address, Span};
use crate::set::{Block, BlocksV6, Column, Holds, NameList, Overlap, Set, V4Entries};

/// Looks at excluded spans for each entry, on an average. Prefixes nest no deeper; ranges that overlap by the thousand do,
/// and nobody publishes such a list in good faith.
const LOOKS: usize = 64;

/// A part of a list without exclusions and what they take off.
pub(super) struct Effect<'a> {
    /// Entries of which anything is left.
    pub(super) set: Cow<'a, Set>,
    /// Of those that are not whole any more the share that is left, above 0 and below 1.
    pub(super) worn: HashMap<Holds, f64>,
}

impl<'a> Effect<'a> {
    /// Of a part of a list: its sections are parts of their own, and beside them it has no entries.
    pub(super) fn of(part: &'a Set) -> Self {
        let mut worn = HashMap::new();
        if !part.sections.is_empty() {
            return Self { set: Cow::Owned(Set { sections: Vec::new(), ..part.clone() }), worn };
        }
        if !excludes(part) {
            return Self { set: Cow::Borrowed(part), worn };
        }
        let set = Set {
            overlap: part.overlap,
            values: part.values.clone(),
            v4: v4(part, &mut worn),
            v6: v6(part, &mut worn),
            names: names(&part.names),
            ..Set::default()
        };
        Self { set: Cow::Owned(set), worn }
    }

    /// How much is left of an entry.
    pub(super) fn left_of(&self, entry: &Holds) -> f64 {
        self.worn.get(entry).copied().unwrap_or(1.0)
    }

    /// So many whole entries would be as much as is lost of those that are not whole any more.
    pub(super) fn lost(&self, mut counts: impl FnMut(&Holds) -> bool) -> f64 {
        self.worn.iter().filter(|(entry, _)| counts(entry)).map(|(_, left)| 1.0 - left).sum()
    }
}

pub(super) fn excludes(part: &Set) -> bool {
    part.v4.blocks.iter().any(|block| block.exclude)
        || part.v6.iter().any(|block| block.exclude)
        || (0..part.names.len()).any(|row| part.names.is_excluded(row))
}

fn v4(set: &Set, worn: &mut HashMap<Holds, f64>) -> V4Entries {
    let V4Entries { hosts, host_values, blocks } = &set.v4;
    let mut taken = TakenOff::new(blocks.iter().copied(), set.overlap);
    // Nothing stands above a single address.
    let top = set.overlap.ranked(Span::host(0u32))[0].1;
    taken.exclude_from(top);
    let mut is_off = vec![false; hosts.len()];
    for Span { first, last } in taken.excluded.iter() {
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
        blocks: taken
            .left(blocks.iter().copied(), |span, left| worn.extend([(Holds::V4(span), left)]))
            .collect(),
    }
}

fn v6(set: &Set, worn: &mut HashMap<Holds, f64>) -> BlocksV6 {
    let mut left = BlocksV6::default();
    let taken = TakenOff::new(set.v6.iter(), set.overlap);
    taken
        .left(set.v6.iter(), |span, left| worn.extend([(Holds::V6(span), left)]))
        .for_each(|block| left.push(block));
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
    excluded: Stretches<A>,
    looks: usize,
}

impl<A: Address> TakenOff<A> {
    fn new(blocks: impl Iterator<Item = Block<A>>, overlap: Overlap) -> Self {
        let mut rows = 0;
        let exclusions = blocks.inspect(|_| rows += 1).filter(|block| block.exclude);
        let ranked = exclusions.flat_map(|block| overlap.ranked(block.span));
        let mut exclusions: Vec<_> = ranked.map(|(span, rank)| (rank, span)).collect();
        exclusions.sort_unstable();
        Self { overlap, exclusions, excluded: Stretches::default(), looks: LOOKS * rows }
    }

    /// The listings of which anything is left; `worn` is told of those that are not whole, and the share that is left.
    fn left(
        mut self,
        blocks: impl Iterator<Item = Block<A>>,
        mut worn: impl FnMut(Span<A>, f64),
    ) -> impl Iterator<Item = Block<A>> {
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
        listed.into_iter().zip(taken).filter_map(move |(block, taken)| {
            let extent = block.span.extent();
            if taken > extent {
                return None;
            }
            if taken > 0 {
                worn(block.span, 1.0 - taken as f64 / (extent as f64 + 1.0));
            }
            Some(block)
        })
    }

    /// Exclusions of this rank and above are in force from here on.
    fn exclude_from(&mut self, rank: u128) {
        while let Some((_, span)) = self.exclusions.pop_if(|(own, _)| *own >= rank) {
            self.excluded.add(span, |_| {});
        }
    }

    /// How many addresses of a span are excluded.
    fn excluded_of(&mut self, span: Span<A>) -> u128 {
        let mut count = 0u128;
        for shared in self.excluded.within(span).take(self.looks) {
            self.looks -= 1;
            count = count.saturating_add(shared.extent()).saturating_add(1);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, Options, parse};

    /// The entries that are left, as published, and of those that are not whole the share that is left.
    fn left(format: Format, text: &str) -> String {
        let set = parse(format, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().set;
        let mut lines = Vec::new();
        for part in set.parts() {
            let effect = Effect::of(part);
            crate::set::changes(&Set::default(), &effect.set, &mut |_, entry| {
                let left = effect.left_of(&entry.holds);
                lines.push(if left < 1.0 { format!("{left}x{entry}") } else { entry.to_string() });
            });
        }
        lines.join(" ")
    }

    #[test]
    fn an_entry_counts_for_what_is_left_of_it() {
        let left = |text: &str| left(Format::Ip4trie, text);
        assert_eq!(left("1.2.3.0/24\n!1.2.3.0/25\n"), "0.5x1.2.3.0/24");
        assert_eq!(left("1.2.3.0/24\n!1.2.3.0/25\n!1.2.3.128\n"), "0.49609375x1.2.3.0/24");
        assert_eq!(left("1.2.3.0/24\n!1.2.3.0/25\n!1.2.3.128/25\n"), "");
        assert_eq!(left("1.2.3.0/24\n1.2.3.4\n!1.2.0.0/16\n"), "1.2.3.4 1.2.3.0/24", "narrower ones answer");
        let all_but_the_last: String = (0..255).map(|n| format!("!1.2.3.{n}\n")).collect();
        assert_eq!(
            left(&format!("1.2.3.0/24\n1.2.0.0/16\n{all_but_the_last}")),
            "0.9961090087890625x1.2.0.0/16 0.00390625x1.2.3.0/24"
        );
        let holes: String = (0..65536).map(|n| format!("!1.2.{}.{}\n", n >> 8, n & 255)).collect();
        assert_eq!(left(&format!("1.2.0.0/16\n1.3.0.0/16\n{holes}")), "1.3.0.0/16", "however many holes");
    }

    #[test]
    fn levels_of_octets() {
        let left = |text: &str| left(Format::Ip4set, text);
        assert_eq!(left("1.2.3.4\n1.2.3.5\n!1.2.3.4\n"), "1.2.3.5");
        assert_eq!(left("1.2.3.4\n!1.2.3.0/24\n"), "1.2.3.4", "the finer level answers");
        assert_eq!(left("1.2.3.4\n!1.2.3.0/25\n"), "", "both unfold to addresses");
        assert_eq!(left("1.2.3.0/24\n!1.2.0.0/20\n"), "");
        assert_eq!(left("1.2.3.0-1.2.6.255\n!1.2.4.0/24\n"), "0.75x1.2.3.0-1.2.6.255");
        assert_eq!(left("1.2.3.0-1.2.6.255\n!1.2.4.0/24\n!1.2.3.64/26\n"), "0.6875x1.2.3.0-1.2.6.255");
        assert_eq!(left("1.2.3.128-1.2.6.127\n!1.2.4.0/24\n!1.2.3.128/25\n"), "0.5x1.2.3.128-1.2.6.127");
    }

    #[test]
    fn of_other_kinds() {
        assert_eq!(
            left(
                Format::Ip6trie,
                "2001:db8::/32\n2001:db9::/32\n!2001:db9::/33\n!2001:db9:8000::/33\n!2001:db8::/34\n"
            ),
            "0.75x2001:db8::/32"
        );
        assert_eq!(
            left(Format::Dnset, ".a.example\n!*.a.example\nb.example\n!.b.example\n!.example\n"),
            "a.example"
        );
        let sections = "$DATASET ip4set a\n1.2.3.4\n1.2.3.5\n$DATASET ip4set b\n1.2.3.4\n!1.2.3.4\n";
        assert_eq!(left(Format::Combined, sections), "1.2.3.4 1.2.3.5");
    }
}
