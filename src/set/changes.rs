//! What a version of a list brings and takes away, entry by entry.
//!
//! [`changes`] walks over two sets at once, as they are sorted: nothing is unfolded and nothing is kept. An entry is
//! what was published (an address, a prefix, a range, a name, each listed or excluded); what it says (code, text,
//! note) is no part of it. Read [`Entry`] and [`Changed`] first.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use super::{Block, NAME_BUFFER, NameList, Scope, Set};
use crate::model::{Address, Name, Span};

/// An entry as published, without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it holds.
    pub holds: Holds,
    /// It is an exclusion.
    pub exclude: bool,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holds {
    /// IPv4 addresses.
    V4(Span<u32>),
    /// IPv6 addresses.
    V6(Span<u128>),
    /// A name, or all names below it.
    Name(Name, Scope),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exclude {
            f.write_str("!")?;
        }
        match &self.holds {
            Holds::V4(span) => span.fmt(f),
            Holds::V6(span) => span.fmt(f),
            Holds::Name(name, Scope::Exact) => name.fmt(f),
            Holds::Name(name, Scope::Below) => write!(f, "*.{name}"),
        }
    }
}

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is in the new version alone.
    Added,
    /// It was in the old version alone.
    Removed,
}

/// Counts of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Changed {
    /// In the new version alone.
    pub added: u64,
    /// In the old version alone.
    pub removed: u64,
    /// In both.
    pub kept: u64,
}

impl Changed {
    /// Share of the old entries that are gone, 0 to 1.
    pub fn gone(&self) -> f64 {
        match self.removed + self.kept {
            0 => 0.0,
            old => self.removed as f64 / old as f64,
        }
    }

    /// No entry came or went.
    pub fn is_none(&self) -> bool {
        self.added == 0 && self.removed == 0
    }
}

/// Tells every entry that one of the two versions alone has, and counts. Sections of a list are held against those
/// of the other version that answer in the same subzones.
pub fn changes(old: &Set, new: &Set, tell: &mut dyn FnMut(Change, Entry)) -> Changed {
    let mut changed = Changed::default();
    pairs(old, new).into_iter().for_each(|[old, new]| part(old, new, &mut changed, tell));
    changed
}

/// The same of two parts of lists ([`pairs`]), without their sections.
pub fn changes_of_part(old: &Set, new: &Set, tell: &mut dyn FnMut(Change, Entry)) -> Changed {
    let mut changed = Changed::default();
    part(old, new, &mut changed, tell);
    changed
}

/// The parts of two versions that are held against each other: the entries of both, and section by section.
pub fn pairs<'a>(old: &'a Set, new: &'a Set) -> Vec<[&'a Set; 2]> {
    static NOTHING: LazyLock<Set> = LazyLock::new(Set::default);
    let mut pairs = vec![[old, new]];
    // Of several sections for the same subzones the first belongs to the first, and so on.
    let mut sections: BTreeMap<_, (Vec<&Set>, Vec<&Set>)> = BTreeMap::new();
    for section in &old.sections {
        sections.entry(&section.subs).or_default().0.push(&section.set);
    }
    for section in &new.sections {
        sections.entry(&section.subs).or_default().1.push(&section.set);
    }
    for (old, new) in sections.values() {
        for at in 0..old.len().max(new.len()) {
            pairs.push([old, new].map(|sets| sets.get(at).copied().unwrap_or(&NOTHING)));
        }
    }
    pairs
}

fn part(old: &Set, new: &Set, changed: &mut Changed, tell: &mut dyn FnMut(Change, Entry)) {
    // One address may stand several times with different values.
    let (old_hosts, new_hosts) = (old.v4.hosts.iter().copied(), new.v4.hosts.iter().copied());
    let listed = |host: u32| Entry { holds: Holds::V4(Span::host(host)), exclude: false };
    merge(deduped(old_hosts), deduped(new_hosts), Ord::cmp, changed, &mut |change, host| {
        tell(change, listed(host));
    });
    blocks(
        old.v4.blocks.iter().copied(),
        new.v4.blocks.iter().copied(),
        changed,
        &mut |change, span, exclude| {
            tell(change, Entry { holds: Holds::V4(span), exclude });
        },
    );
    blocks(old.v6.iter(), new.v6.iter(), changed, &mut |change, span, exclude| {
        tell(change, Entry { holds: Holds::V6(span), exclude });
    });
    names(&old.names, &new.names, changed, tell);
}

fn blocks<A: Address>(
    old: impl Iterator<Item = Block<A>>,
    new: impl Iterator<Item = Block<A>>,
    changed: &mut Changed,
    tell: &mut dyn FnMut(Change, Span<A>, bool),
) {
    // Sorted by span, then exclusions behind listings, then values: equal keys stand together.
    let key = |block: Block<A>| (block.span, block.exclude);
    merge(deduped(old.map(key)), deduped(new.map(key)), Ord::cmp, changed, &mut |change, (span, exclude)| {
        tell(change, span, exclude);
    });
}

fn names(old: &NameList, new: &NameList, changed: &mut Changed, tell: &mut dyn FnMut(Change, Entry)) {
    fn rows(names: &NameList) -> impl Iterator<Item = (&NameList, usize)> {
        // Values alone differ: the same entry.
        let is_first = |&row: &usize| {
            let Some(before) = row.checked_sub(1) else { return true };
            names.cmp_names(before, names, row).is_ne()
                || names.scope(before) != names.scope(row)
                || names.is_excluded(before) != names.is_excluded(row)
        };
        (0..names.len()).filter(is_first).map(move |row| (names, row))
    }
    let order = |a: &(&NameList, usize), b: &(&NameList, usize)| {
        let said = |at: &(&NameList, usize)| (at.0.scope(at.1), at.0.is_excluded(at.1));
        a.0.cmp_names(a.1, b.0, b.1).then_with(|| said(a).cmp(&said(b)))
    };
    merge(rows(old), rows(new), order, changed, &mut |change, (names, row)| {
        let mut buffer = NAME_BUFFER;
        let name = Name::from_tree(names.name(row, &mut buffer));
        tell(change, Entry { holds: Holds::Name(name, names.scope(row)), exclude: names.is_excluded(row) });
    });
}

fn deduped<T: PartialEq + Copy>(items: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut last = None;
    items.filter(move |item| last.replace(*item) != Some(*item))
}

/// Two sorted rows without repetitions at once.
fn merge<T>(
    old: impl Iterator<Item = T>,
    new: impl Iterator<Item = T>,
    order: impl Fn(&T, &T) -> Ordering,
    changed: &mut Changed,
    tell: &mut dyn FnMut(Change, T),
) {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    loop {
        let next = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => order(a, b),
        };
        if next.is_eq() {
            changed.kept += 1;
            old.next();
            new.next();
            continue;
        }
        let (count, change, item) = match next {
            Ordering::Less => (&mut changed.removed, Change::Removed, old.next()),
            _ => (&mut changed.added, Change::Added, new.next()),
        };
        *count += 1;
        if let Some(item) = item {
            tell(change, item);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Subject, Value};
    use crate::set::{Overlap, Section, SetBuilder};

    /// `!` before an entry excludes it, `=` behind it is its note, `*.` stands for what is below.
    fn set<'a>(entries: impl IntoIterator<Item = &'a str>) -> Set {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        for entry in entries {
            let (entry, note) = entry.split_once('=').unwrap_or((entry, ""));
            let note = (!note.is_empty()).then(|| note.into());
            let value = builder.value(&Value { note, ..Value::default() });
            let listed = entry.strip_prefix('!').unwrap_or(entry);
            let exclude = listed.len() < entry.len();
            let (name, scope) = match listed.strip_prefix("*.") {
                Some(name) => (name, Scope::Below),
                None => (listed, Scope::Exact),
            };
            match (name.parse().unwrap(), exclude) {
                (Subject::V4(span), false) => builder.v4(span, value),
                (Subject::V4(span), true) => builder.exclude_v4(span),
                (Subject::V6(span), false) => builder.v6(span, value),
                (Subject::V6(span), true) => builder.exclude_v6(span),
                (Subject::Name(name), false) => builder.name(name, scope, value),
                (Subject::Name(name), true) => builder.exclude_name(name, scope),
            }
        }
        builder.finish()
    }

    fn told(old: &Set, new: &Set) -> (Changed, BTreeSet<String>) {
        let mut lines = BTreeSet::new();
        let changed = changes(old, new, &mut |change, entry| {
            let sign = if change == Change::Added { '+' } else { '-' };
            assert!(lines.insert(format!("{sign}{entry}")), "told twice: {entry}");
        });
        (changed, lines)
    }

    #[test]
    fn every_kind_of_entry() {
        let old = [
            "1.2.3.4=a",
            "1.2.3.4=b",
            "1.2.3.5",
            "1.2.4.0/24",
            "!1.2.4.9",
            "2001:db8::/32",
            "::5",
            "a.example=x",
        ];
        let new = ["1.2.3.4=c", "1.2.3.6", "1.2.4.0/23", "1.2.4.9", "2001:db8::/33", "::5", "a.example=y"];
        let (old, new) = (
            set(old.into_iter().chain(["*.b.example", "!c.example"])),
            set(new.into_iter().chain(["b.example"])),
        );
        let (changed, lines) = told(&old, &new);
        let expected = [
            "-1.2.3.5",
            "+1.2.3.6",
            "-1.2.4.0/24",
            "+1.2.4.0/23",
            "-!1.2.4.9",
            "+1.2.4.9",
            "-2001:db8::/32",
            "+2001:db8::/33",
            "-*.b.example",
            "+b.example",
            "-!c.example",
        ];
        assert_eq!(lines, expected.map(str::to_owned).into());
        assert_eq!(changed, Changed { added: 5, removed: 6, kept: 3 });
        assert_eq!(changed.gone(), 6.0 / 9.0);
        assert!(told(&new, &new).0.is_none() && Changed::default().gone() == 0.0);
    }

    #[test]
    fn sections_are_held_against_their_like() {
        let list = |sections: &[(&str, &[&str])]| {
            let section = |(sub, entries): &(&str, &[&str])| Section {
                subs: vec![sub.parse().unwrap()],
                set: Arc::new(set(entries.iter().copied())),
            };
            Set { sections: sections.iter().map(section).collect(), ..Set::default() }
        };
        let old = list(&[("a", &["1.1.1.1"]), ("b", &["x.example"])]);
        let new = list(&[("b", &["x.example", "y.example"]), ("c", &["1.1.1.1"])]);
        assert_eq!(told(&old, &new).0, Changed { added: 2, removed: 1, kept: 1 });
    }

    proptest! {
        #[test]
        fn as_sets_of_lines(old in prop::collection::btree_set(0u32..60, 0..40), new in prop::collection::btree_set(0u32..60, 0..40)) {
            let lines = |of: &BTreeSet<u32>| -> BTreeSet<String> {
                let line = |n: &u32| match n % 4 {
                    0 => format!("1.2.3.{n}"),
                    1 => format!("1.{n}.0.0/16"),
                    2 => format!("n{n}.example"),
                    _ => format!("2001:{n:x}::/32"),
                };
                of.iter().map(line).collect()
            };
            let (old, new) = (lines(&old), lines(&new));
            let (changed, told) = told(&set(old.iter().map(String::as_str)), &set(new.iter().map(String::as_str)));
            let added = new.difference(&old).map(|line| format!("+{line}"));
            let removed = old.difference(&new).map(|line| format!("-{line}"));
            prop_assert_eq!(&told, &added.chain(removed).collect::<BTreeSet<_>>());
            prop_assert_eq!(changed.kept as usize, old.intersection(&new).count());
            prop_assert_eq!((changed.added + changed.removed) as usize, told.len());
        }
    }
}
