//! What changed between two versions of a list.

use roaring::RoaringBitmap;

use super::resolve::ListedV4;
use crate::set::Set;

/// The IPv4 addresses that a list lists on its own, in any of its sections.
pub fn listed_v4(set: &Set) -> RoaringBitmap {
    set.parts().fold(RoaringBitmap::new(), |all, part| all | listed_in(part))
}

fn listed_in(set: &Set) -> RoaringBitmap {
    // Wide spans apart: a range is cheap to insert, and single addresses are cheap to append.
    let mut wide = RoaringBitmap::new();
    let spans = ListedV4::new(set, &[]).filter(|item| {
        let single = item.span.first == item.span.last;
        if !single {
            wide.insert_range(item.span.first..=item.span.last);
        }
        single
    });
    let single =
        RoaringBitmap::from_sorted_iter(spans.map(|item| item.span.first)).expect("spans come in order");
    single | wide
}

/// Counts of what a new version of a list brings and takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Diff {
    /// IPv4 addresses that are listed now.
    pub v4_added: u64,
    /// IPv4 addresses that were listed before.
    pub v4_removed: u64,
    /// IPv6 entries and names of the new version alone.
    pub other_added: u64,
    /// IPv6 entries and names of the old version alone.
    pub other_removed: u64,
}

impl Diff {
    /// From `old` to `new`.
    pub fn between(old: &Set, new: &Set) -> Self {
        let (before, after) = (listed_v4(old), listed_v4(new));
        let v6 = |set: &Set| {
            let blocks = set.parts().flat_map(|part| part.v6.iter());
            sorted(blocks.map(|block| (block.span.first, block.span.last, block.exclude)).collect())
        };
        let v6 = only(&v6(old), &v6(new));
        let names = |set: &Set| {
            let names = set.parts().flat_map(|part| part.names.iter());
            sorted(names.map(|entry| (entry.name, entry.scope, entry.exclude)).collect())
        };
        let names = only(&names(old), &names(new));
        Self {
            v4_added: after.difference_len(&before),
            v4_removed: before.difference_len(&after),
            other_added: v6.1 + names.1,
            other_removed: v6.0 + names.0,
        }
    }

    /// Nothing came or went.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items
}

/// How many stand only in `a`, only in `b` (both sorted).
fn only<T: Ord>(a: &[T], b: &[T]) -> (u64, u64) {
    let count = |from: &[T], other: &[T]| {
        from.iter().filter(|item| other.binary_search(item).is_err()).count() as u64
    };
    (count(a, b), count(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, Options, parse};

    #[test]
    fn sections_count_together() {
        let read = |text: &str| {
            parse(Format::Combined, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().set
        };
        let old = read("$DATASET ip4set a\n1.1.1.1\n1.1.1.2\n$DATASET dnset b\nx\ny\n");
        let new =
            read("$DATASET dnset b\ny\nz\nw\n$DATASET ip4set a c\n1.1.1.2\n$DATASET ip4set d\n1.1.1/24\n");
        assert_eq!(
            Diff::between(&old, &new),
            Diff { v4_added: 254, v4_removed: 0, other_added: 2, other_removed: 1 }
        );
        assert!(Diff::between(&new, &new).is_empty());
    }
}
