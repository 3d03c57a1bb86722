//! The compile stage against a naive model: any entries, in any order, over several lists, with exclusions,
//! exceptions and a never-list, for both address families and for names.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use gatepost::compile::{
    Compiled, Except, MAX_ANSWERS, MAX_PARTS, Member, Part, ZoneData, ZoneSpec, compile,
};
use gatepost::guard::NeverList;
use gatepost::model::{ContentHash, Name, Ns, RrData, Rtype, Soa, Span, Template, Use, Value};
use gatepost::set::{Overlap, Scope, Set, SetBuilder};
use proptest::prelude::*;

/// An entry as the generator makes it: a span in a small part of the address space, so that entries meet.
#[derive(Debug, Clone)]
struct Entry {
    first: u32,
    last: u32,
    exclude: bool,
    value: u8,
}

#[derive(Debug, Clone)]
struct List {
    overlap: Overlap,
    entries: Vec<Entry>,
}

/// Addresses that meet at octet boundaries, at both ends of the space, and in 127/8.
fn address() -> impl Strategy<Value = u32> {
    let base = prop_oneof![
        Just(0u32),
        Just(0x0a00_0000),
        Just(0x0aff_ff00),
        Just(0x0b00_0000),
        Just(0x7f00_0000),
        Just(0xffff_ff00),
    ];
    (base, prop_oneof![0u32..8, 250u32..256, Just(0x1_0000), Just(0x00ff_fffc)])
        .prop_map(|(base, offset)| base.saturating_add(offset))
}

fn entry() -> impl Strategy<Value = Entry> {
    let span = prop_oneof![
        4 => address().prop_map(|a| (a, a)),
        3 => (address(), address()).prop_map(|(a, b)| (a.min(b), a.max(b))),
        3 => (address(), 0u8..=32).prop_map(|(a, len)| {
            let span = gatepost::model::Address::prefix(a, len);
            (span.first, span.last)
        }),
    ];
    (span, prop::bool::weighted(0.25), 0u8..3).prop_map(|((first, last), exclude, value)| Entry {
        first,
        last,
        exclude,
        value,
    })
}

fn list() -> impl Strategy<Value = List> {
    (prop_oneof![Just(Overlap::Narrowest), Just(Overlap::OctetLevels)], prop::collection::vec(entry(), 0..12))
        .prop_map(|(overlap, entries)| List { overlap, entries })
}

fn value(number: u8) -> Value {
    Value {
        code: Some(Ipv4Addr::new(127, 0, 1, number)),
        text: Some(Template::default()),
        ..Value::default()
    }
}

fn set(list: &List) -> Set {
    let mut builder = SetBuilder::new(list.overlap);
    for entry in &list.entries {
        let span = Span { first: entry.first, last: entry.last };
        let id = builder.value(&value(entry.value));
        if entry.exclude { builder.exclude_v4(span) } else { builder.v4(span, id) }
    }
    builder.finish()
}

fn member(name: &str, set: Set, never: Option<NeverList>) -> Member {
    Member {
        name: name.into(),
        hash: ContentHash::of(name.as_bytes()),
        set: Arc::new(set),
        use_: Use::Block,
        code: Ipv4Addr::new(127, 0, 0, 9),
        text: Template::default(),
        keep_values: true,
        foreign: false,
        never: never.map(Arc::new),
    }
}

fn except(set: Set) -> Except {
    Except { name: "except".into(), hash: ContentHash::of(b"e"), set: Arc::new(set) }
}

fn zone(test_points: bool) -> ZoneData {
    let name = |text: &str| text.parse::<Name>().unwrap();
    ZoneData {
        origin: name("bl.example"),
        soa: Soa {
            ttl: 60,
            mname: name("ns.bl.example"),
            rname: name("hostmaster.bl.example"),
            serial: None,
            refresh: 1,
            retry: 1,
            expire: 1,
            minimum: 60,
        },
        ns: Ns { ttl: 60, hosts: vec![name("ns.bl.example")] },
        ttl: 300,
        test_points,
        combined: false,
        base: None,
    }
}

/// What one list says of an address: the model, straight from the rules' words.
fn model_one(list: &List, address: u32) -> BTreeSet<u8> {
    let holding = list.entries.iter().filter(|e| e.first <= address && address <= e.last);
    let rank = |e: &Entry| match list.overlap {
        Overlap::Narrowest => u64::from(u32::MAX) - u64::from(e.last - e.first),
        // The widest octet cell around the address that lies inside the entry is the one it unfolds to.
        Overlap::OctetLevels => [8u8, 16, 24, 32]
            .into_iter()
            .find(|&len| {
                let cell = gatepost::model::Address::prefix(address, len);
                e.first <= cell.first && cell.last <= e.last
            })
            .map(u64::from)
            .unwrap(),
    };
    let holding: Vec<_> = holding.collect();
    let Some(best) = holding.iter().map(|e| rank(e)).max() else { return BTreeSet::new() };
    let winners: Vec<_> = holding.into_iter().filter(|e| rank(e) == best).collect();
    if winners.iter().any(|e| e.exclude) {
        return BTreeSet::new();
    }
    winners.into_iter().map(|e| e.value).collect()
}

/// What the compiled zone says: the list and the last octet of the code of each part.
fn said(compiled: &Compiled, address: u32) -> BTreeSet<(u16, u8)> {
    let mut found = compiled.v4.iter().filter(|item| item.span.contains(address));
    let Some(item) = found.next() else { return BTreeSet::new() };
    assert!(found.next().is_none(), "spans are disjoint");
    let parts = &compiled.answers[item.answer as usize].parts;
    parts.iter().map(|part| (part.list, code(compiled, part))).collect()
}

fn code(compiled: &Compiled, part: &Part) -> u8 {
    let records = &compiled.values[part.value as usize];
    let RrData::Wire(data) = &records.iter().find(|set| set.rtype == Rtype::A).unwrap().data else {
        panic!("A")
    };
    data[0][3]
}

/// Every address where anything can change, and its neighbours.
fn probes<'a>(lists: impl IntoIterator<Item = &'a List>) -> BTreeSet<u32> {
    let edges = lists.into_iter().flat_map(|list| &list.entries).flat_map(|e| [e.first, e.last]);
    let edges = edges.chain([0x7f00_0001, 0x7f00_0002, 0x0a80_0000]);
    edges.flat_map(|a| [a.saturating_sub(1), a, a.saturating_add(1), a | 0xff, a & !0xffff]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn addresses_answer_as_the_model(
        lists in prop::collection::vec(list(), 1..4),
        excepts in prop::collection::vec(list(), 0..2),
        test_points: bool,
        with_never: bool,
    ) {
        let never = NeverList { v4: vec![Span { first: 0x0a00_0002, last: 0x0a00_00fb }], v6: Vec::new() };
        let spec = ZoneSpec {
            zone: zone(test_points),
            members: lists.iter().enumerate()
                .map(|(n, list)| member(&n.to_string(), set(list), with_never.then(|| never.clone())))
                .collect(),
            excepts: excepts.iter().map(|list| except(set(list))).collect(),
            subzones: Vec::new(),
        };
        let compiled = compile(&spec);
        for address in probes(lists.iter().chain(&excepts)) {
            let masked = excepts.iter().any(|list| !model_one(list, address).is_empty())
                || with_never && never.v4[0].contains(address);
            let mut expected: BTreeSet<(u16, u8)> = lists.iter().enumerate()
                .filter(|_| !masked)
                .flat_map(|(n, list)| model_one(list, address).into_iter().map(move |v| (n as u16, v)))
                .collect();
            if test_points && address == 0x7f00_0001 {
                expected.clear();
            }
            if test_points && address == 0x7f00_0002 {
                expected = BTreeSet::from([(Part::ZONE, 2)]);
            }
            prop_assert_eq!(said(&compiled, address), expected, "{}", Ipv4Addr::from(address));
        }
        // Sorted, disjoint, joined.
        let spans: Vec<_> = compiled.v4.iter().collect();
        for pair in spans.windows(2) {
            prop_assert!(pair[0].span.last < pair[1].span.first);
            prop_assert!(pair[0].span.last + 1 < pair[1].span.first || pair[0].answer != pair[1].answer);
        }
    }

    #[test]
    fn order_of_entries_does_not_matter(list in list(), seed: u64) {
        let mut shuffled = list.clone();
        let mut state = seed;
        for at in (1..shuffled.entries.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.entries.swap(at, (state >> 33) as usize % (at + 1));
        }
        shuffled.entries.extend(list.entries.first().cloned());
        let compiled = |list: &List| {
            compile(&ZoneSpec { zone: zone(true), members: vec![member("m", set(list), None)], excepts: Vec::new(), subzones: Vec::new() })
        };
        prop_assert_eq!(set(&list), set(&shuffled));
        prop_assert_eq!(compiled(&list), compiled(&shuffled));
    }

    #[test]
    fn ipv6_answers_as_ipv4_does(list in list()) {
        // The same entries moved to IPv6 (addresses in the top 32 bits) under the rule that has no octet levels.
        let list = List { overlap: Overlap::Narrowest, ..list };
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        for entry in &list.entries {
            let span = Span { first: u128::from(entry.first) << 96, last: u128::from(entry.last) << 96 | (u128::MAX >> 32) };
            let id = builder.value(&value(entry.value));
            if entry.exclude { builder.exclude_v6(span) } else { builder.v6(span, id) }
        }
        let spec = ZoneSpec { zone: zone(false), members: vec![member("m", builder.finish(), None)], excepts: Vec::new(), subzones: Vec::new() };
        let compiled = compile(&spec);
        for address in probes([&list]) {
            let wide = u128::from(address) << 96 | 12345;
            let found: Vec<_> = compiled.v6.iter().filter(|item| item.span.contains(wide)).collect();
            prop_assert!(found.len() <= 1);
            let said: BTreeSet<u8> = found.iter()
                .flat_map(|item| &compiled.answers[item.answer as usize].parts)
                .map(|part| code(&compiled, part)).collect();
            prop_assert_eq!(said, model_one(&list, address));
        }
    }

    #[test]
    fn names_answer_as_the_model(
        lists in prop::collection::vec(name_list(), 1..4),
        excepts in prop::collection::vec(name_list(), 0..2),
        questions in prop::collection::vec(name(), 1..12),
    ) {
        let spec = ZoneSpec {
            zone: zone(false),
            members: lists.iter().enumerate().map(|(n, list)| member(&n.to_string(), name_set(list), None)).collect(),
            excepts: excepts.iter().map(|list| except(name_set(list))).collect(),
            subzones: Vec::new(),
        };
        let compiled = compile(&spec);
        let asked = questions.iter().chain(lists.iter().flatten().map(|entry| &entry.0));
        for question in asked {
            let masked = excepts.iter().any(|list| !model_name(list, question).is_empty());
            let expected: BTreeSet<(u16, u8)> = lists.iter().enumerate()
                .filter(|_| !masked)
                .flat_map(|(n, list)| model_name(list, question).into_iter().map(move |v| (n as u16, v)))
                .collect();
            let answer = name_answer(&compiled, question);
            let said: BTreeSet<_> = answer.into_iter()
                .flat_map(|id| compiled.answers[id as usize].parts.clone())
                .map(|part| (part.list, code(&compiled, &part)))
                .collect();
            prop_assert_eq!(said, expected, "{}", question);
        }
        for node in compiled.names.iter() {
            let below = compiled.names.iter().any(|other| {
                other.name != node.name && other.name.is_in(&node.name) && (other.exact.is_some() || other.below.is_some())
            });
            prop_assert_eq!(node.parent, below || node.below.is_some(), "{}", node.name);
            if let Some(parent) = node.name.parent() {
                prop_assert!(compiled.names.iter().any(|other| other.name == parent), "ancestors are nodes");
            }
        }
    }
}

/// No message holds more, and whoever writes a list with a million values for one address gets no more of our time.
#[test]
fn an_answer_has_a_bounded_number_of_values() {
    let mut builder = SetBuilder::new(Overlap::OctetLevels);
    for number in 0..2 * MAX_PARTS as u32 {
        let code = Some(Ipv4Addr::from(0x0a00_0000 | number));
        let id = builder.value(&Value { code, text: Some(Template::default()), ..Value::default() });
        builder.host(7, id);
        builder.name("a".parse().unwrap(), Scope::Exact, id);
    }
    let members = vec![member("m", builder.finish(), None)];
    let compiled =
        compile(&ZoneSpec { zone: zone(false), members, excepts: Vec::new(), subzones: Vec::new() });
    for answer in &compiled.answers {
        assert_eq!(answer.parts.len(), MAX_PARTS);
        let RrData::Wire(data) = &answer.records[0].data else { panic!("A") };
        assert_eq!((data[0].as_slice(), data.len()), (&[10, 0, 0, 0][..], MAX_PARTS));
    }
}

type NameRow = (Name, Scope, bool, u8);

fn name() -> impl Strategy<Value = Name> {
    prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..5)
        .prop_map(|labels| labels.join(".").parse().unwrap())
}

fn name_list() -> impl Strategy<Value = Vec<NameRow>> {
    let row = (name(), prop::bool::ANY, prop::bool::weighted(0.25), 0u8..3).prop_map(
        |(name, below, exclude, value)| {
            (name, if below { Scope::Below } else { Scope::Exact }, exclude, value)
        },
    );
    prop::collection::vec(row, 0..8)
}

fn name_set(rows: &[NameRow]) -> Set {
    let mut builder = SetBuilder::new(Overlap::Narrowest);
    for (name, scope, exclude, number) in rows {
        let id = builder.value(&value(*number));
        if *exclude {
            builder.exclude_name(name.clone(), *scope);
        } else {
            builder.name(name.clone(), *scope, id);
        }
    }
    builder.finish()
}

/// The exact entry, else the longest wildcard above; an exclusion at that match wins.
fn model_name(rows: &[NameRow], question: &Name) -> BTreeSet<u8> {
    let settle = |matching: Vec<&NameRow>| {
        if matching.iter().any(|row| row.2) {
            BTreeSet::new()
        } else {
            matching.iter().map(|row| row.3).collect()
        }
    };
    let exact: Vec<_> = rows.iter().filter(|row| row.1 == Scope::Exact && row.0 == *question).collect();
    if !exact.is_empty() {
        return settle(exact);
    }
    let mut above = question.parent();
    while let Some(name) = above {
        let wild: Vec<_> = rows.iter().filter(|row| row.1 == Scope::Below && row.0 == name).collect();
        if !wild.is_empty() {
            return settle(wild);
        }
        above = name.parent();
    }
    BTreeSet::new()
}

/// Node for the name itself, else what its closest ancestor says of names below it.
fn name_answer(compiled: &Compiled, question: &Name) -> Option<u32> {
    let node = |name: &Name| compiled.names.iter().find(|node| node.name == *name);
    if let Some(node) = node(question) {
        return node.exact;
    }
    let mut above = question.parent();
    while let Some(name) = above {
        if let Some(node) = node(&name) {
            return node.below;
        }
        above = name.parent();
    }
    None
}

/// A feed may bring so many texts and no more; what the operator writes stands, however much it is.
#[test]
fn texts_beyond_the_most_answers() {
    let count = MAX_ANSWERS as u32 + 5;
    let texts_of = |foreign: bool| {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        for at in 0..count {
            let text = Some(Template::literal(format!("text {at}").as_bytes()));
            let value = builder.value(&Value { text, ..Value::default() });
            builder.host(at << 4, value);
        }
        let member = Member {
            name: "list".to_owned(),
            set: Arc::new(builder.finish()),
            hash: ContentHash::of(b"list"),
            use_: Use::Block,
            code: Ipv4Addr::new(127, 0, 0, 5),
            text: Template::literal(b"the list's own"),
            keep_values: true,
            foreign,
            never: None,
        };
        let spec =
            ZoneSpec { zone: zone(false), members: vec![member], excepts: Vec::new(), subzones: Vec::new() };
        let compiled = compile(&spec);
        assert_eq!(compiled.lists[0].texts_dropped, foreign);
        compiled.answers.len()
    };
    assert_eq!(texts_of(true), 1);
    assert_eq!(texts_of(false), count as usize);
}
