//! Made-up zones of several lists, and what a zone says of a question as text.
#![allow(dead_code)] // each test file uses its part

mod compiled;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use gatepost::compile::{Member, ZoneSpec, expand};
use gatepost::export::{self, Losses};
use gatepost::model::{Address, ContentHash, Name, RrData, RrSet, Rtype, Span, Template, Use, Value};
use gatepost::parse::{self, Format, Options};
use gatepost::set::{Overlap, Scope, Set, SetBuilder};
use gatepost::snapshot::RdataRef;
use gatepost::zone::{Content, TextBuf, Zone};
use proptest::prelude::*;

use crate::dns_support;

/// What an entry names.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    V4(u32, u32),
    V6(u128, u128),
    Name(String, bool),
    /// A record of generic: the number of one of [`RECORDS`], and a TTL.
    Record(String, usize, u32),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    key: Key,
    exclude: bool,
    /// The number of one of the texts, and the last octet of a code.
    value: (usize, u8),
}

#[derive(Debug, Clone)]
pub(crate) struct List {
    overlap: Overlap,
    ttl: Option<u32>,
    six_to_four: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub(crate) struct Made {
    lists: Vec<List>,
    test_points: bool,
    texts: &'static [&'static str],
}

/// Texts with everything that a line must take care of.
const TEXTS: [&str; 9] = [
    "",
    "$ is listed, see http://x.example/?ip=$",
    "  blanks before",
    "=begins with a sign",
    "costs 5$$ or $$$$1 $$= and \"quotes\" \\ too",
    "# ; : ! no comment",
    "octets \u{e9} \u{1} \t in it",
    "a text of two hundred and seventy octets: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "last $",
];

/// Texts that no line can say, and one that it can.
const UNSAYABLE: [&str; 4] = ["blank at the end ", "$5", "line\nend", "good $"];

/// Type and data of records.
const RECORDS: [(u16, &[u8]); 8] = [
    (1, &[10, 0, 0, 5]),
    (28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    (15, b"\x00\x0a\x02mx\x03a-b\x00"),
    (16, b"\x07hey you"),
    (16, b"\x04 two\x07strings"),
    (2, b"\x02ns\x01*\x00"),
    (16, b"\x07\"quoted"),
    // Within quotes it would be two strings, and without them as well.
    (16, b"\x07\"a\" \"b\""),
];

fn v4() -> impl Strategy<Value = u32> {
    let base =
        prop_oneof![Just(0u32), Just(0x0a00_0000), Just(0x0aff_ff00), Just(0x7f00_0000), Just(0xffff_ff00)];
    (base, prop_oneof![0u32..8, 250u32..256, Just(0x1_0000)])
        .prop_map(|(base, offset)| base.saturating_add(offset))
}

fn v6() -> impl Strategy<Value = u128> {
    let base =
        prop_oneof![Just(0u128), Just(0x2001_0db8 << 96), Just(0x2002_0a00 << 96), Just(u128::MAX << 3)];
    (base, prop_oneof![0u128..6, Just(0xffff), Just(1 << 64), Just(1 << 80)])
        .prop_map(|(base, offset)| base.saturating_add(offset))
}

fn span<A: Address>(at: impl Strategy<Value = A> + Clone) -> impl Strategy<Value = (A, A)> {
    prop_oneof![
        3 => at.clone().prop_map(|a| (a, a)),
        2 => (at.clone(), at.clone()).prop_map(|(a, b)| (a.min(b), a.max(b))),
        2 => (at, 0..=A::BITS).prop_map(|(a, len)| (a.prefix(len).first, a.prefix(len).last)),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let label = prop_oneof![4 => Just("a"), 4 => Just("b"), 2 => Just("c"), 1 => Just("7"), 1 => Just("*"), 1 => Just("-!\\.x")];
    prop::collection::vec(label, 1..5).prop_map(|labels| labels.join("."))
}

fn entry() -> impl Strategy<Value = Entry> {
    let key = prop_oneof![
        4 => span(v4().boxed()).prop_map(|(first, last)| Key::V4(first, last)),
        2 => span(v6().boxed()).prop_map(|(first, last)| Key::V6(first, last)),
        4 => (name(), any::<bool>()).prop_map(|(name, below)| Key::Name(name, below)),
    ];
    (key, prop::bool::weighted(0.2), (0..TEXTS.len(), 2u8..5)).prop_map(|(key, exclude, value)| Entry {
        key,
        exclude,
        value,
    })
}

/// A record that has its way in every form: quotes alone have none.
fn record() -> impl Strategy<Value = Entry> {
    let name = prop_oneof![5 => name(), 1 => Just(".".to_owned())];
    (name, 0..RECORDS.len() - 1, prop_oneof![Just(0u32), Just(9), Just(300)]).prop_map(
        |(name, record, ttl)| Entry { key: Key::Record(name, record, ttl), exclude: false, value: (0, 2) },
    )
}

fn list() -> impl Strategy<Value = List> {
    let entries = prop_oneof![
        4 => prop::collection::vec(entry(), 0..10).boxed(),
        1 => prop::collection::vec(record(), 0..6).boxed(),
    ];
    let overlap = prop_oneof![Just(Overlap::Narrowest), Just(Overlap::OctetLevels)];
    let ttl = prop_oneof![Just(None), Just(Some(5)), Just(Some(77))];
    (overlap, ttl, prop::bool::weighted(0.7), entries).prop_map(|(overlap, ttl, six_to_four, entries)| {
        let only_v4 = entries.iter().all(|entry| matches!(entry.key, Key::V4(..)));
        List { overlap, ttl, six_to_four: six_to_four && only_v4, entries }
    })
}

/// Any zone.
pub(crate) fn zones() -> impl Strategy<Value = Made> {
    (prop::collection::vec(list(), 1..4), any::<bool>()).prop_map(|(lists, test_points)| Made {
        lists,
        test_points,
        texts: &TEXTS,
    })
}

/// Zones whose spans are no wider than a master file should be.
pub(crate) fn narrow_zones() -> impl Strategy<Value = Made> {
    let is_narrow = |key: &Key| match key {
        Key::V4(first, last) => last - first < 1 << 17,
        Key::V6(first, last) => last - first < 1 << 90,
        Key::Name(..) | Key::Record(..) => true,
    };
    zones().prop_map(move |mut made| {
        made.lists.iter_mut().for_each(|list| list.entries.retain(|entry| is_narrow(&entry.key)));
        made
    })
}

impl Made {
    /// Texts, TTLs and records that rbldnsd's files cannot hold, beside some that they can.
    pub(crate) fn unsayable() -> Self {
        let v4 = (0..UNSAYABLE.len()).map(|text| Entry {
            key: Key::V4(text as u32 * 4, text as u32 * 4 + 1),
            exclude: false,
            value: (text, 2),
        });
        let record = |number, ttl| Entry {
            key: Key::Record("a.b".to_owned(), number, ttl),
            exclude: false,
            value: (0, 2),
        };
        let plain =
            List { overlap: Overlap::Narrowest, ttl: Some(50), six_to_four: false, entries: v4.collect() };
        let quotes = List { entries: vec![record(7, 60), record(4, 60), record(0, 60)], ..plain };
        Self { lists: vec![plain, quotes], test_points: false, texts: &UNSAYABLE }.with_zero_ttl()
    }

    fn with_zero_ttl(mut self) -> Self {
        let mut zero = self.lists[0].clone();
        zero.ttl = None;
        zero.entries = vec![Entry { key: Key::V6(7, 7), exclude: false, value: (3, 4) }];
        self.lists.push(zero);
        self
    }

    /// Every address.
    pub(crate) fn world() -> Self {
        let whole = Entry { key: Key::V4(0, u32::MAX), exclude: false, value: (1, 2) };
        let list = List { overlap: Overlap::Narrowest, ttl: None, six_to_four: true, entries: vec![whole] };
        Self { lists: vec![list], test_points: false, texts: &TEXTS }
    }

    pub(crate) fn spec(&self) -> ZoneSpec {
        let mut spec = dns_support::spec("bl.example");
        spec.zone.test_points = self.test_points;
        if self.texts.len() == UNSAYABLE.len() {
            spec.zone.ttl = 0;
        }
        for (number, list) in self.lists.iter().enumerate() {
            let mut builder = SetBuilder::new(list.overlap);
            builder.directives.ttl = list.ttl;
            builder.directives.six_to_four = list.six_to_four;
            list.entries.iter().for_each(|entry| self.put(entry, &mut builder));
            spec.members.push(member(&number.to_string(), builder.finish()));
        }
        spec
    }

    fn put(&self, entry: &Entry, builder: &mut SetBuilder) {
        let (text, code) = entry.value;
        let id = builder.value(&Value {
            code: Some(Ipv4Addr::new(127, 0, 0, code)),
            text: Some(Template::parse(self.texts[text].as_bytes())),
            ..Value::default()
        });
        match &entry.key {
            Key::V4(first, last) => {
                let span = Span { first: *first, last: *last };
                if entry.exclude { builder.exclude_v4(span) } else { builder.v4(span, id) }
            }
            Key::V6(first, last) => {
                let span = Span { first: *first, last: *last };
                if entry.exclude { builder.exclude_v6(span) } else { builder.v6(span, id) }
            }
            Key::Name(name, below) => {
                let scope = if *below { Scope::Below } else { Scope::Exact };
                let name = name.parse().unwrap();
                if entry.exclude { builder.exclude_name(name, scope) } else { builder.name(name, scope, id) }
            }
            Key::Record(name, number, ttl) => {
                let (rtype, data) = RECORDS[*number];
                let set = RrSet { rtype: Rtype(rtype), ttl: *ttl, data: RrData::Wire(vec![data.to_vec()]) };
                let id = builder.value(&Value { records: vec![set], ..Value::default() });
                builder.name(name.parse().unwrap(), Scope::Exact, id);
            }
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.lists.iter().flat_map(|list| &list.entries).map(|entry| &entry.key)
    }

    /// The edges of all IPv4 entries.
    pub(crate) fn v4(&self) -> BTreeSet<u32> {
        let ends = self.keys().flat_map(|key| match key {
            Key::V4(first, last) => vec![*first, *last],
            _ => Vec::new(),
        });
        let ends = ends.chain([0x7f00_0001, 0x7f00_0002]);
        ends.flat_map(|at| [at, at.saturating_sub(1), at.saturating_add(1), at | 0xff]).collect()
    }

    /// Labels of questions: every edge, every name, what is below and above them, 6to4.
    pub(crate) fn questions(&self) -> BTreeSet<Vec<u8>> {
        let mut asked = BTreeSet::from([Vec::new(), b"\x04test".to_vec(), b"\x07invalid".to_vec()]);
        for address in self.v4() {
            let six_to_four = 0x2002 << 112 | u128::from(address) << 80 | 99;
            asked.extend([
                octets(address),
                nibbles(six_to_four),
                nibbles(0xffff << 32 | u128::from(address)),
            ]);
        }
        for key in self.keys() {
            match key {
                Key::V4(..) => {}
                Key::V6(first, last) => {
                    for at in [*first, *last, first.saturating_sub(1), last.saturating_add(1)] {
                        asked.insert(nibbles(at));
                    }
                }
                Key::Name(name, _) | Key::Record(name, ..) => {
                    let labels = dns_support::labels(name);
                    asked.extend(
                        [&b"\x01x"[..], b"\x01y\x01x", b"\x01a"].map(|below| [below, &labels].concat()),
                    );
                    asked.insert(labels);
                }
            }
        }
        let above: Vec<Vec<u8>> = asked.iter().flat_map(|labels| ancestors(labels)).collect();
        asked.extend(above);
        asked
    }
}

fn ancestors(labels: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut rest = labels;
    std::iter::from_fn(move || {
        let (&len, tail) = rest.split_first()?;
        rest = &tail[usize::from(len)..];
        Some(rest.to_vec())
    })
}

fn octets(address: u32) -> Vec<u8> {
    address.to_be_bytes().iter().rev().flat_map(|octet| label(&octet.to_string())).collect()
}

fn nibbles(address: u128) -> Vec<u8> {
    (0..32).flat_map(|at| label(&format!("{:x}", address >> (4 * at) & 15))).collect()
}

fn label(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

fn member(name: &str, set: Set) -> Member {
    Member {
        name: name.to_owned(),
        hash: ContentHash::of(name.as_bytes()),
        set: Arc::new(set),
        use_: Use::Block,
        code: Ipv4Addr::new(127, 0, 0, 2),
        text: Template::default(),
        keep_values: true,
        foreign: false,
        never: None,
    }
}

/// The zone of one list.
pub(crate) fn spec_with(set: Set) -> ZoneSpec {
    let mut spec = dns_support::spec("bl.example");
    spec.zone.test_points = false;
    if let Some(soa) = &set.directives.soa {
        spec.zone.soa = soa.clone();
    }
    if let Some(ns) = &set.directives.ns {
        spec.zone.ns = ns.clone();
    }
    spec.members.push(member("again", set));
    spec
}

pub(crate) fn zone_of(spec: &ZoneSpec) -> Zone<Vec<u8>> {
    dns_support::zone(spec)
}

/// rbldnsd's text of a zone, and what it lacks.
pub(crate) fn exported(zone: &Zone<Vec<u8>>) -> (Vec<u8>, Losses) {
    let mut text = Vec::new();
    let losses = export::rbldnsd(zone.snapshot(), &[], 7, &mut text).unwrap();
    (text, losses)
}

/// The zone that rbldnsd's text of it makes.
pub(crate) fn again(zone: &Zone<Vec<u8>>, text: &[u8]) -> Zone<Vec<u8>> {
    let mut bad = Vec::new();
    let parsed =
        parse::parse(Format::Combined, &Options::default(), text, &mut |diag| bad.push(diag)).unwrap();
    assert!(bad.is_empty(), "{bad:?}");
    let mut spec = spec_with(parsed.set);
    spec.zone.ttl = zone.snapshot().zone().ttl;
    let [spec] = &expand(spec, |_| true)[..] else { panic!("one zone") };
    zone_of(spec)
}

/// What is answered, as text: the TTL and the records, sorted.
pub(crate) fn said(zone: &Zone<Vec<u8>>, labels: &[u8], rtype: u16) -> String {
    match zone.verdict(labels).content(Rtype(rtype)) {
        Content::Records(records) => {
            let mut data: Vec<String> = records
                .iter()
                .map(|datum| match datum.rdata {
                    RdataRef::Wire(octets) => octets.escape_ascii().to_string(),
                    RdataRef::Text(pieces) => {
                        let text = TextBuf::fill(pieces, datum.matched);
                        let text = text.as_bytes();
                        [&[text.len() as u8], text].concat().escape_ascii().to_string()
                    }
                })
                .collect();
            data.sort();
            format!("{} {} {data:?}", records.ttl(), records.rtype().0)
        }
        Content::Soa => "SOA".to_owned(),
        Content::Ns => "NS".to_owned(),
        Content::NoData => "NODATA".to_owned(),
        Content::NxDomain => "NXDOMAIN".to_owned(),
        Content::Unavailable(trouble) => format!("{trouble:?}"),
    }
}

/// A name from its labels.
pub(crate) fn name_of(labels: &[u8]) -> Name {
    Name::from_wire(&[labels, &[0]].concat()).unwrap()
}
