//! Everything against the plain list of decisions.

use proptest::prelude::*;

use super::*;
use crate::snapshot::RdataRef;
use crate::zone::{Datum, TextBuf};

fn entry(ruling: Ruling, subject: &str) -> Entry {
    Entry { subject: subject.parse().unwrap(), ruling, reason: None }
}

fn allow(subject: &str) -> Entry {
    entry(Ruling::Allow, subject)
}

fn block(subject: &str) -> Entry {
    entry(Ruling::Block, subject)
}

/// Labels in wire form without the final zero octet.
fn labels(name: &str) -> Vec<u8> {
    without_root(&name.parse().unwrap()).to_vec()
}

fn v4_labels(address: u32) -> Vec<u8> {
    let [a, b, c, d] = address.to_be_bytes();
    labels(&format!("{d}.{c}.{b}.{a}"))
}

fn v6_labels(address: u128) -> Vec<u8> {
    let nibbles: Vec<String> = (0..32).map(|at| format!("{:x}", address >> (4 * at) & 15)).collect();
    labels(&nibbles.join("."))
}

fn rule(overlay: &Overlay, labels: &[u8]) -> Option<Ruling> {
    overlay.rule(labels, &Question::read(labels), |_| None).map(|ruled| match ruled {
        Ruled::Allow => Ruling::Allow,
        Ruled::Block(_) => Ruling::Block,
    })
}

fn below(overlay: &Overlay, name: &str) -> bool {
    let labels = labels(name);
    overlay.blocks_below(&labels, &Question::read(&labels), None)
}

/// What the longest decision about `subject` says, the last of those that are as long.
fn naive(entries: &[Entry], subject: &Subject) -> Option<Ruling> {
    let len = |entry: &Entry| match &entry.subject {
        Subject::V4(span) => span.prefix_len().unwrap().into(),
        Subject::V6(span) => span.prefix_len().unwrap().into(),
        Subject::Name(name) => name.labels().count(),
    };
    let covering = entries.iter().filter(|entry| entry.subject.covers(subject));
    covering.max_by_key(|entry| len(entry)).map(|entry| entry.ruling)
}

#[test]
fn the_longest_prefix_decides_and_then_the_later_decision() {
    let entries = [
        block("192.0.0.0/16"),
        allow("192.0.2.0/24"),
        block("192.0.2.7"),
        allow("198.51.100.1"),
        block("198.51.100.1"),
        block("::ffff:203.0.113.9"),
        block("2001:db8::/32"),
        allow("2001:db8::25"),
    ];
    let overlay = Overlay::new(&entries);
    let v4 = |text: &str| rule(&overlay, &v4_labels(crate::model::parse_ipv4(text.as_bytes()).unwrap()));
    let v6 = |text: &str| rule(&overlay, &v6_labels(crate::model::parse_ipv6(text.as_bytes()).unwrap()));
    assert_eq!(v4("192.0.1.1"), Some(Ruling::Block));
    assert_eq!(v4("192.0.2.6"), Some(Ruling::Allow));
    assert_eq!(v4("192.0.2.7"), Some(Ruling::Block));
    assert_eq!(v4("192.0.3.0"), Some(Ruling::Block));
    assert_eq!(v4("192.1.0.0"), None);
    assert_eq!(v4("198.51.100.1"), Some(Ruling::Block));
    assert_eq!(v4("203.0.113.9"), Some(Ruling::Block));
    assert_eq!(v6("::ffff:192.0.2.7"), Some(Ruling::Block));
    assert_eq!(v6("::ffff:192.0.2.8"), Some(Ruling::Allow));
    assert_eq!(v6("2001:db8::26"), Some(Ruling::Block));
    assert_eq!(v6("2001:db8::25"), Some(Ruling::Allow));
    assert_eq!(v6("2001:db9::25"), None);
    let span = Span { first: 0xc000_01fe, last: 0xc000_0207 };
    let rulings: Vec<String> =
        overlay.v4_rulings(span).map(|(span, ruling)| format!("{span} {ruling:?}")).collect();
    assert_eq!(rulings, ["192.0.1.254/31 Block", "192.0.2.0-192.0.2.6 Allow", "192.0.2.7 Block"]);
}

#[test]
fn a_name_means_everything_below_it() {
    let overlay = Overlay::new(&[block("spam.example"), allow("good.spam.example"), block("a.b.example")]);
    for (name, ruling) in [
        ("spam.example", Some(Ruling::Block)),
        ("x.y.spam.example", Some(Ruling::Block)),
        ("good.spam.example", Some(Ruling::Allow)),
        ("x.good.spam.example", Some(Ruling::Allow)),
        ("nospam.example", None),
        ("b.example", None),
        ("example", None),
    ] {
        assert_eq!(rule(&overlay, &labels(name)), ruling, "{name}");
    }
    assert!(below(&overlay, "example") && below(&overlay, "b.example"));
    assert!(!below(&overlay, "a.b.example") && !below(&overlay, "spam.example") && !below(&overlay, "com"));
}

#[test]
fn blocks_are_below_every_part_of_their_addresses() {
    let overlay = Overlay::new(&[block("192.0.2.128/25"), allow("198.51.100.0/24"), block("2001:db8::1")]);
    // `::ffff`, and 192.0.2 in it.
    let v4 = format!("f.f.f.f.{}", vec!["0"; 20].join("."));
    let mapped = format!("2.0.0.0.0.c.{v4}");
    for name in ["192", "0.192", "2.0.192", "0.2", &v4, &mapped] {
        assert!(below(&overlay, name), "{name}");
    }
    // The halves of the last octet.
    assert!(below(&overlay, &format!("8.{mapped}")) && !below(&overlay, &format!("0.{mapped}")));
    for name in ["198", "100.51.198", "193", "1.0.192", "7.2.0.192", "3", "example"] {
        assert!(!below(&overlay, name), "{name}");
    }
    let six_to_four = Some(Span { first: 0x2002 << 112, last: (0x2003 << 112) - 1 });
    let asked = labels("0.c.2.0.0.2");
    assert!(overlay.blocks_below(&asked, &Question::read(&asked), six_to_four));
    assert!(!overlay.blocks_below(&asked, &Question::read(&asked), None));
}

#[test]
fn test_points_are_nobodys_to_decide() {
    let overlay = Overlay::new(&[allow("0.0.0.0/0"), block("127.0.0.1"), block("test"), allow("invalid")]);
    for name in ["2.0.0.127", "1.0.0.127", "9.9.9.127", "test", "invalid"] {
        assert_eq!(rule(&overlay, &labels(name)), None, "{name}");
    }
    assert_eq!(rule(&overlay, &v6_labels(0xffff_7f00_0002)), None);
    assert_eq!(rule(&overlay, &labels("x.test")), Some(Ruling::Block));
    assert_eq!(rule(&overlay, &labels("1.0.0.126")), Some(Ruling::Allow));
}

#[test]
fn a_block_says_why() {
    let texts = |reason: Option<&str>| {
        let entry = Entry { reason: reason.map(str::to_owned), ..block("192.0.2.0/24") };
        let overlay = Overlay::new(&[entry]);
        let asked = labels("7.2.0.192");
        let Some(Ruled::Block(said)) = overlay.rule(&asked, &Question::read(&asked), |_| None) else {
            panic!("it is blocked");
        };
        let sets: Vec<_> = said.sets().collect();
        assert_eq!(
            sets.iter().map(|set| (set.rtype(), set.ttl())).collect::<Vec<_>>(),
            [(Rtype::A, 60), (Rtype::TXT, 60)]
        );
        let matched = said.matched();
        let text = sets[1].data().map(|rdata| Datum { rdata, matched }).find_map(|datum| match datum.rdata {
            RdataRef::Text(pieces) => Some(TextBuf::fill(pieces, datum.matched).as_bytes().to_vec()),
            RdataRef::Wire(_) => None,
        });
        String::from_utf8(text.unwrap()).unwrap()
    };
    assert_eq!(texts(None), "192.0.2.7 is blocked by a local decision");
    assert_eq!(texts(Some("$5 né\n")), "192.0.2.7 is blocked by a local decision: $5 n???");
    assert!(texts(Some(&"x".repeat(400))).ends_with("xxx"));
}

#[test]
fn nothing_is_empty() {
    let overlay = Overlay::new(&[]);
    assert!(overlay.is_empty());
    assert_eq!(rule(&overlay, &labels("7.2.0.192")), None);
    assert!(!Overlay::new(&[allow("a.example")]).is_empty() && !Overlay::new(&[allow("::/0")]).is_empty());
    assert_eq!(rule(&Overlay::new(&[block("::/0")]), &labels("7.2.0.192")), None);
    assert_eq!(rule(&Overlay::new(&[block("0.0.0.0/0")]), &v4_labels(u32::MAX)), Some(Ruling::Block));
    assert_eq!(rule(&Overlay::new(&[block("::/0")]), &v6_labels(u128::MAX)), Some(Ruling::Block));
}

fn ruling() -> impl Strategy<Value = Ruling> {
    prop_oneof![Just(Ruling::Allow), Just(Ruling::Block)]
}

/// Prefixes about the same few addresses.
fn v4_entry() -> impl Strategy<Value = Entry> {
    (ruling(), 0..64u32, prop_oneof![24..=32u8, Just(0), Just(8)]).prop_map(|(ruling, low, len)| {
        let subject = Subject::V4((0xc000_0200 | low).prefix(len));
        Entry { subject, ruling, reason: None }
    })
}

fn name_entry() -> impl Strategy<Value = Entry> {
    (ruling(), prop::collection::vec("[xyz]{1,2}", 1..4)).prop_map(|(ruling, labels)| {
        let subject = Subject::Name(labels.join(".").parse().unwrap());
        Entry { subject, ruling, reason: None }
    })
}

proptest! {
    #[test]
    fn addresses_are_decided_as_by_hand(entries in prop::collection::vec(v4_entry(), 0..12)) {
        let overlay = Overlay::new(&entries);
        let all = 0xc000_01f0..0xc000_0310u32;
        let by_hand = |address| naive(&entries, &Subject::V4(Span::host(address)));
        for address in all.clone().chain([0, 0xbfff_ffff, u32::MAX]) {
            prop_assert_eq!(rule(&overlay, &v4_labels(address)), by_hand(address), "{}", Span::host(address));
            let mapped = 0xffff_0000_0000 | u128::from(address);
            prop_assert_eq!(rule(&overlay, &v6_labels(mapped)), by_hand(address));
        }
        for len in 25..=31u8 {
            for first in all.clone().step_by(1 << (32 - len)) {
                let span = first.prefix(len);
                let blocked = (span.first..=span.last).any(|at| by_hand(at) == Some(Ruling::Block));
                prop_assert_eq!(overlay.v4.blocks(span), blocked, "{}", span);
                let rulings: u128 = overlay.v4_rulings(span).map(|(piece, _)| piece.extent() + 1).sum();
                let decided = (span.first..=span.last).filter(|&at| by_hand(at).is_some()).count();
                prop_assert_eq!(rulings, decided as u128);
            }
        }
    }

    #[test]
    fn addresses_of_ipv6_are_as_those_of_ipv4(entries in prop::collection::vec(v4_entry(), 0..12)) {
        let wide: Vec<Entry> = entries.iter().map(|entry| {
            let Subject::V4(span) = entry.subject else { unreachable!() };
            let high = 0x2001_0db8_u128 << 96;
            let len = span.prefix_len().unwrap() + 96;
            Entry { subject: Subject::V6((high | u128::from(span.first)).prefix(len)), ..entry.clone() }
        }).collect();
        let (narrow, wide) = (Overlay::new(&entries), Overlay::new(&wide));
        for address in 0xc000_01f0..0xc000_0310u32 {
            let v6 = 0x2001_0db8_u128 << 96 | u128::from(address);
            prop_assert_eq!(rule(&wide, &v6_labels(v6)), rule(&narrow, &v4_labels(address)));
        }
    }

    #[test]
    fn names_are_decided_as_by_hand(
        entries in prop::collection::vec(name_entry(), 0..8),
        asked in prop::collection::vec("[xyz]{1,2}", 1..5),
    ) {
        let overlay = Overlay::new(&entries);
        let name: Name = asked.join(".").parse().unwrap();
        let ruling = naive(&entries, &Subject::Name(name.clone()));
        prop_assert_eq!(rule(&overlay, without_root(&name)), ruling);
        let above = entries.iter().any(|entry| match &entry.subject {
            Subject::Name(other) => *other != name && other.is_in(&name)
                && naive(&entries, &entry.subject) == Some(Ruling::Block),
            _ => false,
        });
        prop_assert_eq!(below(&overlay, &name.to_string()), above);
    }
}
