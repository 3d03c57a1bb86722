//! The bodies of the fuzz targets on a stable toolchain: a bounded number of random inputs, and every file of the
//! corpora in `tests/fuzz/corpora`. (The parsers' own random inputs are in `parse_any_bytes.rs`, those of the snapshot
//! reader in `snapshot_damage.rs`.)

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatepost::model::{Address, Name, Value};
use gatepost::parse::Format;
use gatepost::set::{Overlap, Scope, Section, Set, SetBuilder, codec};
use proptest::collection::vec;
use proptest::prelude::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name)
}

/// The names of the entries of a folder, without extensions.
fn stems(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn each_format_and_each_target_is_everywhere() {
    let targets: BTreeSet<String> = bodies::TARGETS.map(str::to_owned).into();
    assert!(Format::ALL.into_iter().all(|format| targets.contains(&bodies::target(format))));
    assert_eq!(stems(&folder("fuzz_targets")), targets);
    assert_eq!(stems(&folder("corpora")), targets);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for target in targets {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not in Cargo.toml");
    }
}

#[test]
fn corpora_are_replayed() {
    for target in bodies::TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(folder("corpora").join(target)).unwrap() {
            let path = entry.unwrap().path();
            let data = fs::read(&path).unwrap();
            // Says which one it was when it panics.
            let done = std::panic::catch_unwind(|| bodies::run(target, &data));
            assert!(done.is_ok(), "{} makes {target} panic", path.display());
            files += 1;
        }
        assert!(files >= 3, "{target}: {files} files");
    }
}

/// A question for a name in the zone of `bodies::wire`, with what may follow it.
fn question() -> impl Strategy<Value = Vec<u8>> {
    let label = prop_oneof![
        4 => prop_oneof![Just("1"), Just("2"), Just("3"), Just("4"), Just("5"), Just("127"), Just("0")]
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => prop_oneof![Just("spam"), Just("test"), Just("wild"), Just("many"), Just("WILD"), Just("b"), Just("d")]
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..70),
    ];
    let origin = prop_oneof![5 => Just(bodies::wire::ORIGIN.to_vec()), 1 => Just(b"\x02BL\x07exAMple\0".to_vec()), 1 => Just(vec![0])];
    let qtype =
        prop_oneof![Just(1u16), Just(16), Just(255), Just(6), Just(2), Just(15), Just(28), any::<u16>()];
    let more = prop_oneof![
        3 => Just(Vec::new()),
        3 => (any::<u16>(), 0u8..3, any::<u8>(), vec(any::<u8>(), 0..12)).prop_map(|(size, version, flags, data)| {
            let [high, low] = size.to_be_bytes();
            [&[0, 0, 41, high, low, 0, version, flags, 0, 0, data.len() as u8], &data[..]].concat()
        }),
        1 => vec(any::<u8>(), 0..40),
    ];
    let head =
        (any::<[u8; 2]>(), prop_oneof![4 => Just([1u8, 0]), 1 => any::<[u8; 2]>()], any::<[bool; 3]>());
    (head, vec(label, 0..6), origin, qtype, more).prop_map(
        |((id, flags, odd), labels, origin, qtype, more)| {
            let additional = u8::from(!more.is_empty() || odd[0] && odd[1]);
            let questions = if odd[1] && odd[2] { 2 } else { 1 };
            let mut packet = [&id[..], &flags, &[0, questions, 0, 0, 0, 0, 0, additional]].concat();
            for label in labels {
                packet.push(label.len() as u8);
                packet.extend_from_slice(&label);
            }
            packet.extend_from_slice(&origin);
            packet.extend_from_slice(&qtype.to_be_bytes());
            packet.extend_from_slice(&[0, if odd[0] && odd[2] { 3 } else { 1 }]);
            packet.extend_from_slice(&more);
            packet
        },
    )
}

/// Octets of `base` changed here and there, and perhaps cut.
fn damaged(base: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (base, vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), any::<Option<prop::sample::Index>>())
        .prop_map(|(mut octets, changes, cut)| {
            if octets.is_empty() {
                return octets;
            }
            for (at, value) in changes {
                let at = at.index(octets.len());
                octets[at] = value;
            }
            if let Some(cut) = cut {
                octets.truncate(cut.index(octets.len()));
            }
            octets
        })
}

fn set() -> impl Strategy<Value = Set> {
    let rows = vec((any::<u32>(), 0u8..=32, any::<bool>(), 0u8..3), 0..20);
    (rows, vec("[a-z]{1,5}(\\.[a-z]{1,5}){0,2}", 0..5)).prop_map(|(rows, names)| {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        let ids = ["", "one", "two"].map(|note| {
            let note = (!note.is_empty()).then(|| note.into());
            builder.value(&Value { note, ..Value::default() })
        });
        for (address, len, exclude, value) in rows {
            let span = address.prefix(len);
            if exclude {
                builder.exclude_v4(span);
            } else {
                builder.v4(span, ids[usize::from(value)]);
            }
            builder.v6((u128::from(address) << 64).prefix(len + 40), ids[usize::from(value)]);
        }
        for name in names {
            builder.name(name.parse().unwrap(), Scope::Below, ids[0]);
        }
        builder.finish()
    })
}

/// One with sections, or one without.
fn stored_set() -> impl Strategy<Value = Vec<u8>> {
    let section = (vec("[a-z]{1,3}(\\.[a-z]{1,3}){0,2}", 0..3), set()).prop_map(|(subs, set)| {
        let subs: BTreeSet<Name> = subs.iter().map(|sub| sub.parse().unwrap()).collect();
        Section { subs: subs.into_iter().collect(), set: Arc::new(set) }
    });
    let sections = vec(section, 0..4).prop_map(|sections| Set { sections, ..Set::default() });
    prop_oneof![set(), sections].prop_map(|set| codec::encode(&set).0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wire_takes_anything(packet in prop_oneof![question(), damaged(question()), vec(any::<u8>(), 0..600)]) {
        bodies::wire::any_bytes(&packet);
    }

    #[test]
    fn stored_sets_are_read_or_refused(octets in prop_oneof![stored_set(), damaged(stored_set())]) {
        bodies::set::any_bytes(&octets);
    }
}
