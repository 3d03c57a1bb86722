//! Round trips, damage, and what became of entries against sets of the standard library.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Address, ContentHash, Soa, Span, Template, Value};
use crate::set::{Block, Key, Overlap, Scope, Section, Set, SetBuilder, Since, Version, codec};

/// An entry of a list, from few enough that two lists share many.
#[derive(Debug, Clone)]
struct Entry {
    what: What,
    exclude: bool,
    note: u8,
}

#[derive(Debug, Clone)]
enum What {
    V4(Span<u32>),
    V6(Span<u128>),
    Name(String, Scope),
}

fn entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let v4 = (prop_oneof![0..40u32, Just(u32::MAX)], prop::sample::select(vec![32u8, 32, 32, 31, 30, 24]));
    let v6 = (
        prop_oneof![0..3u128, (0..5u128).prop_map(|n| n << 64)],
        prop::sample::select(vec![64u8, 63, 127, 128]),
    );
    let what = prop_oneof![
        6 => v4.prop_map(|(address, len)| What::V4(address.prefix(len))),
        1 => (0..9u32, 0..9u32).prop_map(|(first, size)| What::V4(Span { first, last: first + size })),
        2 => v6.prop_map(|(address, len)| What::V6(address.prefix(len))),
        3 => ("[ab]{1,2}(\\.[ab]{1,12}){0,3}", any::<bool>())
            .prop_map(|(name, below)| What::Name(name, if below { Scope::Below } else { Scope::Exact })),
    ];
    let exclude = prop::bool::weighted(0.2);
    let entry = (what, exclude, 0..4u8).prop_map(|(what, exclude, note)| Entry { what, exclude, note });
    prop::collection::vec(entry, 0..most)
}

/// Whether each entry has a value of its own, or all say the same.
fn built(entries: &[Entry], is_plain: bool) -> Set {
    let mut builder = SetBuilder::new(Overlap::Narrowest);
    for Entry { what, exclude, note } in entries {
        let text = if is_plain { "all" } else { ["w", "x $", "y", "z"][usize::from(*note)] };
        let value = || Value { text: Some(Template::parse(text.as_bytes())), ..Value::default() };
        match (what, exclude) {
            (What::V4(span), true) => builder.exclude_v4(*span),
            (What::V6(span), true) => builder.exclude_v6(*span),
            (What::Name(name, scope), true) => builder.exclude_name(name.parse().unwrap(), *scope),
            (What::V4(span), false) => {
                let value = builder.value(&value());
                builder.v4(*span, value);
            }
            (What::V6(span), false) => {
                let value = builder.value(&value());
                builder.v6(*span, value);
            }
            (What::Name(name, scope), false) => {
                let value = builder.value(&value());
                builder.name(name.parse().unwrap(), *scope, value);
            }
        }
    }
    builder.finish()
}

fn any_set(most: usize) -> impl Strategy<Value = Set> {
    let sections =
        prop::collection::vec((prop::sample::subsequence(vec!["a", "b", "c"], 1..3), entries(6)), 0..4);
    let head = (any::<bool>(), prop::option::of(1..3u32));
    (entries(most), any::<bool>(), sections, head).prop_map(|(entries, is_plain, sections, (levels, ttl))| {
        let section = |(subs, entries): &(Vec<&str>, Vec<Entry>)| Section {
            subs: subs.iter().map(|sub| sub.parse().unwrap()).collect(),
            set: Arc::new(built(entries, is_plain)),
        };
        let mut set = built(&entries, is_plain);
        set.sections = sections.iter().map(section).collect();
        set.overlap = if levels { Overlap::OctetLevels } else { Overlap::Narrowest };
        set.directives.ttl = ttl;
        set
    })
}

fn octets_of(old: &Set, new: &Set) -> Vec<u8> {
    encode(old, new).octets
}

proptest! {
    #[test]
    fn there_and_back(old in any_set(40), new in any_set(40)) {
        let (there, back) = (octets_of(&old, &new), octets_of(&new, &old));
        prop_assert_eq!(apply(&old, &there, &codec::hash(&new)), Ok(new.clone()));
        prop_assert_eq!(apply(&new, &back, &codec::hash(&old)), Ok(old.clone()));
        prop_assert_eq!(encode(&old, &old).counts, Counts::default());
        prop_assert!(apply(&old, &there, &codec::hash(&old)).is_err() || old == new);
    }

    /// Whatever octet is changed, or cut: the right set or none.
    #[test]
    fn damage_never_gives_another_set(old in any_set(20), new in any_set(20), by in 1..=255u8) {
        let (delta, hash) = (octets_of(&old, &new), codec::hash(&new));
        for at in 0..delta.len() {
            let mut damaged = delta.clone();
            damaged[at] ^= by;
            if let Ok(set) = apply(&old, &damaged, &hash) {
                prop_assert_eq!(&set, &new);
            }
            prop_assert!(apply(&old, &delta[..at], &hash).is_err());
        }
        let longer = [&delta[..], &[0]].concat();
        prop_assert!(apply(&old, &longer, &hash).is_err());
    }

    #[test]
    fn another_old_set_gives_nothing_else(old in any_set(20), new in any_set(20), other in any_set(20)) {
        if let Ok(set) = apply(&other, &octets_of(&old, &new), &codec::hash(&new)) {
            prop_assert_eq!(set, new);
        }
    }

    #[test]
    fn octets_from_nowhere(octets in prop::collection::vec(any::<u8>(), 0..200), old in any_set(20)) {
        prop_assert!(apply(&old, &octets, &ContentHash::of(b"")).is_err());
    }

    /// Counted entry by entry.
    #[test]
    fn counts_are_those_of_plain_maps(old in entries(40), new in entries(40)) {
        let (old, new) = (built(&old, false), built(&new, false));
        let (was, is) = (said(&old), said(&new));
        let mut counts = Counts::default();
        for key in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
            let (was, is) = (was.get(key).cloned().unwrap_or_default(), is.get(key).cloned().unwrap_or_default());
            let both = was.len().min(is.len());
            counts.came += (is.len() - both) as u64;
            counts.gone += (was.len() - both) as u64;
            counts.changed += (0..both).filter(|&at| was[at] != is[at]).count() as u64;
        }
        prop_assert_eq!(encode(&old, &new).counts, counts);
    }

    /// Over several versions, against a map from entries to the version in which they came.
    #[test]
    fn since_when(versions in prop::collection::vec(entries(30), 1..9), is_plain in any::<bool>()) {
        let sets: Vec<Set> = versions.iter().map(|entries| built(entries, is_plain)).collect();
        let version = |at: usize| Version { time: at as i64 * 60, set: codec::hash(&sets[at]), at_least: at == 0 };
        let mut since = Since::begin(&sets[0], version(0));
        let mut naive: BTreeMap<Key, usize> = said(&sets[0]).into_keys().map(|key| (key, 0)).collect();
        for at in 0..sets.len() {
            if at > 0 {
                since = since.next(&sets[at - 1], &sets[at], version(at)).unwrap();
                naive = said(&sets[at]).into_keys().map(|key| {
                    let since = naive.get(&key).copied().unwrap_or(at);
                    (key, since)
                }).collect();
            }
            prop_assert_eq!(since.rows(), sets[at].rows());
            prop_assert_eq!(since.set(), &codec::hash(&sets[at]));
            for (key, came) in &naive {
                let rows = sets[at].rows_of(key);
                prop_assert_eq!(since.of(rows), Some(&version(*came)), "{:?} in version {}", key, at);
            }
            prop_assert_eq!(since.of(0..0), None);
            let octets = since.encode();
            prop_assert_eq!(Since::decode(&octets), Ok(since.clone()));
        }
        let octets = since.encode();
        for at in 0..octets.len() {
            let mut damaged = octets.clone();
            damaged[at] ^= 0x41;
            prop_assert!(Since::decode(&damaged).is_err(), "octet {}", at);
            prop_assert!(Since::decode(&octets[..at]).is_err());
        }
    }
}

/// What each entry says, once for each of its rows.
fn said(set: &Set) -> BTreeMap<Key, Vec<Value>> {
    let mut said: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
    let hosts = set.v4.hosts.iter().enumerate().map(|(row, &host)| Block {
        span: Span::host(host),
        exclude: false,
        value: set.v4.host_values.at(row),
    });
    for block in hosts.chain(set.v4.blocks.iter().copied()) {
        said.entry(Key::from(&block)).or_default().push(set.value(block.value));
    }
    for block in set.v6.iter() {
        said.entry(Key::from(&block)).or_default().push(set.value(block.value));
    }
    for entry in set.names.iter() {
        said.entry(Key::from(&entry)).or_default().push(set.value(entry.value));
    }
    // An exclusion says nothing.
    for (key, values) in &mut said {
        if matches!(key, Key::V4(_, true) | Key::V6(_, true) | Key::Name(.., true)) {
            values.fill(Value::default());
        }
    }
    said
}

/// Sections that stand elsewhere keep what they were.
#[test]
fn sections_that_changed_places() {
    let entry = |host: u32| Entry { what: What::V4(Span::host(host)), exclude: false, note: 0 };
    let section = |sub: &str, hosts: &[u32]| Section {
        subs: vec![sub.parse().unwrap()],
        set: Arc::new(built(&hosts.iter().map(|&host| entry(host)).collect::<Vec<_>>(), false)),
    };
    let old = Set { sections: vec![section("a", &[1, 2, 3]), section("b", &[4, 5])], ..Set::default() };
    let new = Set {
        sections: vec![section("c", &[9]), section("b", &[4, 5, 6]), section("a", &[2])],
        ..Set::default()
    };
    let delta = encode(&old, &new);
    assert_eq!(delta.counts, Counts { came: 2, gone: 2, changed: 0 });
    assert_eq!(apply(&old, &delta.octets, &codec::hash(&new)), Ok(new.clone()));
    let version = |time, set: &Set| Version { time, set: codec::hash(set), at_least: false };
    let since = Since::begin(&old, version(1, &old)).next(&old, &new, version(2, &new)).unwrap();
    let times: Vec<i64> = (0..new.rows()).map(|row| since.of(row..row + 1).unwrap().time).collect();
    assert_eq!(times, [2, 1, 1, 2, 1]);
}

/// A list of which only the head changes costs the head.
#[test]
fn a_new_serial() {
    let with = |serial| {
        let mut set = built(&[Entry { what: What::V4(Span::host(7)), exclude: false, note: 0 }], true);
        set.directives.soa = Some(Soa {
            ttl: 60,
            mname: "ns.example".parse().unwrap(),
            rname: "hostmaster.example".parse().unwrap(),
            serial: Some(serial),
            refresh: 1,
            retry: 2,
            expire: 3,
            minimum: 4,
        });
        set
    };
    let (old, new) = (with(1), with(2));
    let delta = encode(&old, &new);
    assert_eq!(delta.counts, Counts::default());
    assert_eq!(apply(&old, &delta.octets, &codec::hash(&new)), Ok(new));
}

/// What no list holds now is forgotten, so that versions do not pile up.
#[test]
fn versions_of_which_nothing_is_left() {
    let set = |host: u32| built(&[Entry { what: What::V4(Span::host(host)), exclude: false, note: 0 }], true);
    let version = |time, set: &Set| Version { time, set: codec::hash(set), at_least: false };
    let mut since = Since::begin(&set(0), version(0, &set(0)));
    let size = since.encode().len();
    for host in 1..1000 {
        since = since.next(&set(host - 1), &set(host), version(i64::from(host), &set(host))).unwrap();
    }
    assert_eq!(since.of(0..1).map(|version| version.time), Some(999));
    assert_eq!(since.encode().len(), size);
}
