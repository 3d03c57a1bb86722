//! Names against a naive tree.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::compile::NameNode;
use crate::model::Name;
use crate::snapshot::testing::{named_zone, octets, open};
use crate::snapshot::{Snapshot, SnapshotError};

/// What is said for a node: exact, below, parent.
type Said = (Option<AnswerId>, Option<AnswerId>, bool);

/// All nodes with their ancestors, as the compiler gives them.
fn nodes(said: &BTreeMap<Name, Said>) -> Vec<NameNode> {
    let mut all = said.clone();
    // What `below` lists is below as well.
    all.values_mut().for_each(|said| said.2 |= said.1.is_some());
    for name in said.keys() {
        let mut above = name.parent();
        while let Some(name) = above {
            above = name.parent();
            all.entry(name).or_insert((None, None, true)).2 = true;
        }
    }
    let nodes = all.into_iter().map(|(name, (exact, below, parent))| NameNode { name, exact, below, parent });
    let mut nodes: Vec<_> = nodes.collect();
    nodes.sort_by_key(|node| {
        let labels: Vec<_> = node.name.labels().map(<[u8]>::to_vec).collect();
        labels.into_iter().rev().collect::<Vec<_>>()
    });
    nodes
}

fn naive(nodes: &[NameNode], asked: &Name) -> NameFound {
    let mut name = asked.clone();
    loop {
        let listed_at = asked.as_wire().len() - name.as_wire().len();
        if let Some(node) = nodes.iter().find(|node| node.name == name) {
            let whole = listed_at == 0;
            let answer = if whole { node.exact } else { node.below };
            return NameFound { answer, exists: answer.is_some() || whole && node.parent, listed_at };
        }
        match name.parent() {
            Some(parent) => name = parent,
            None => return NameFound::NOTHING,
        }
    }
}

fn section(said: &BTreeMap<Name, Said>) -> Vec<u8> {
    let mut section = Vec::new();
    let put = |octets: &[u8]| {
        section.extend_from_slice(octets);
        Ok(())
    };
    encode(&nodes(said).into_iter().collect(), put).unwrap();
    section
}

fn hash_of(labels: &[u8]) -> u64 {
    Starts::of(labels).map_or(EMPTY, |s| {
        s.rightmost_first(labels.len()).fold(EMPTY, |h, (start, end)| extend(h, &labels[start..end]))
    })
}

fn labels_of(name: &Name) -> &[u8] {
    &name.as_wire()[..name.as_wire().len() - 1]
}

fn name(labels: &[&str]) -> Name {
    if labels.is_empty() { Name::root() } else { labels.join(".").parse().unwrap() }
}

fn any_name() -> impl Strategy<Value = Name> {
    let label = prop::sample::select(vec!["a", "b", "ab", "com", "spam", "x--1", "1", "9"]);
    prop::collection::vec(label, 0..6).prop_map(|labels| name(&labels))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn as_the_naive_tree(
        said in prop::collection::btree_map(any_name(), (prop::option::of(0u32..5), prop::option::of(0u32..5), any::<bool>()), 0..40),
        asked in prop::collection::vec(any_name(), 40),
    ) {
        let nodes = nodes(&said);
        let snapshot = open(&named_zone(nodes.clone(), 5));
        prop_assert_eq!(snapshot.has_names(), !nodes.is_empty());
        let listed = nodes.iter().filter(|node| node.exact.is_some() || node.below.is_some());
        prop_assert_eq!(snapshot.counts().names, listed.count() as u64);
        for name in asked.iter().chain(said.keys()) {
            prop_assert_eq!(snapshot.name(labels_of(name)).unwrap(), naive(&nodes, name), "{}", name);
        }
    }

    #[test]
    fn any_octets_are_a_question(labels in prop::collection::vec(any::<u8>(), 0..300)) {
        let said = BTreeMap::from([(name(&["a", "b"]), (Some(1), Some(2), false))]);
        let snapshot = open(&named_zone(nodes(&said), 3));
        let found = snapshot.name(&labels).unwrap();
        prop_assert!(found.listed_at <= labels.len());
    }
}

#[test]
fn listed_excluded_and_below() {
    let said = BTreeMap::from([
        (name(&["spam", "example"]), (Some(1), Some(2), false)),
        (name(&["not", "spam", "example"]), (None, None, false)),
    ]);
    let snapshot = open(&named_zone(nodes(&said), 3));
    let ask = |text: &str| snapshot.name(labels_of(&text.parse().unwrap())).unwrap();
    let found = |answer, exists, listed_at| NameFound { answer, exists, listed_at };
    assert_eq!(ask("spam.example"), found(Some(1), true, 0));
    assert_eq!(ask("www.spam.example"), found(Some(2), true, 4));
    assert_eq!(ask("a.b.spam.example"), found(Some(2), true, 4));
    assert_eq!(ask("not.spam.example"), found(None, false, 0));
    assert_eq!(ask("x.not.spam.example"), found(None, false, 2));
    assert_eq!(ask("example"), found(None, true, 0), "an empty non-terminal");
    assert_eq!(ask("other.example"), found(None, false, 6));
    assert_eq!(ask("."), found(None, true, 0));
    assert_eq!(snapshot.name(b"\x05spam").unwrap(), NameFound::NOTHING, "cut");
    assert_eq!(snapshot.name(&[1; 300]).unwrap(), NameFound::NOTHING, "too long");
}

#[test]
fn the_longest_name() {
    let longest = name(&["a"; 127]);
    let said = BTreeMap::from([(longest.clone(), (Some(0), None, false))]);
    let nodes = nodes(&said);
    assert_eq!(nodes.len(), 128);
    let snapshot = open(&named_zone(nodes, 1));
    assert_eq!(snapshot.name(labels_of(&longest)).unwrap().answer, Some(0));
    let names = snapshot.sections().find(|(section, _)| *section == Section::NAMES).unwrap().1;
    assert!(names < 24 + 129 * 4 + 128 * 9 + 260, "{names}: the ends of names are shared");
}

#[test]
fn equal_hashes_are_told_apart() {
    // Two names cannot easily be made to collide here, so the tags of a written section are made equal instead.
    let said: BTreeMap<_, _> =
        (0..50u32).map(|n| (name(&[&format!("n{n}")]), (Some(n % 5), None, false))).collect();
    let mut section = section(&said);
    let (head, rest) = section.split_at_mut(size_of::<NamesHead>());
    let bits = u32::from_le_bytes(head[4..8].try_into().unwrap());
    let directory = ((1 << bits) + 1) * 4;
    let (nodes, octets) = rest[directory..].split_at_mut(51 * 9);
    let hash = hash_of(labels_of(&name(&["n7"])));
    let mut rows: Vec<[u8; 9]> = nodes.chunks_exact(9).map(|row| row.try_into().unwrap()).collect();
    rows.sort_by_key(|row| {
        let start = u32::from_le_bytes(row[2..6].try_into().unwrap()) as usize;
        octets[start..start + usize::from(row[6])].to_vec()
    });
    rows.iter_mut().for_each(|row| row[..2].copy_from_slice(&tag(hash, bits).to_le_bytes()));
    nodes.copy_from_slice(rows.as_flattened());
    let bucket = bucket(hash, bits) as u32;
    for (entry, row) in rest[..directory].chunks_exact_mut(4).zip(0u32..) {
        entry.copy_from_slice(&(if row > bucket { 51u32 } else { 0 }).to_le_bytes());
    }
    let names = Names::new(&section).unwrap();
    let found = names.row(hash, labels_of(&name(&["n7"]))).unwrap().unwrap();
    assert_eq!(names.said(found).unwrap().exact, Some(2));
    assert!(names.row(hash, b"\x03n99").unwrap().is_none());
}

#[test]
fn answers_of_every_width() {
    for last in [0, 253, 254, 65_533, 65_534] {
        let said = BTreeMap::from([
            (name(&["a"]), (Some(last), None, false)),
            (name(&["b"]), (None, Some(last), true)),
            (name(&["c"]), (None, None, true)),
        ]);
        let section = section(&said);
        let names = Names::new(&section).unwrap();
        let found = |labels: &[u8]| names.find(labels).unwrap();
        assert_eq!((found(b"\x01a").answer, found(b"\x01b").answer), (Some(last), None));
        assert_eq!(found(b"\x01x\x01b").answer, Some(last));
        assert!(found(b"\x01b").exists && found(b"\x01c").exists && !found(b"\x01x\x01c").exists);
    }
}

#[test]
fn damage_is_an_error() {
    let said: BTreeMap<_, _> =
        (0..40u32).map(|n| (name(&["a", &format!("n{n}")]), (Some(n), None, false))).collect();
    let good = octets(&named_zone(nodes(&said), 40));
    let mut refused = 0;
    for position in 4096..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 0x81;
        match Snapshot::open(bad) {
            Err(SnapshotError::Section(_)) => refused += 1,
            Err(other) => panic!("{other}"),
            Ok(snapshot) => {
                refused += said.keys().filter(|name| snapshot.name(labels_of(name)).is_err()).count();
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
