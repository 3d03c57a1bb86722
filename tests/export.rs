//! What is exported says the same as the snapshot: read again by gatepost, and served by Debian's rbldnsd.
#![cfg(feature = "full")]

mod common;
mod dns_support;
mod export_support;
mod peer_support;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use common::{Dice, feeds, say, unpacked};
use export_support::{Made, again, exported, said, zone_of};
use gatepost::export::{self, Loss};
use gatepost::parse::{self, Format, Options};
use gatepost::snapshot::Snapshot;
use gatepost::zone::Zone;
use peer_support::exempt;
use peer_support::reply::{A, TXT};
use peer_support::servers::{Folder, Running, rbldnsd};
use peer_support::{Case, Hits, arguments, ask, combined, random};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every edge of every entry, every name, A, TXT, other types, TTLs, NODATA and NXDOMAIN.
    #[test]
    fn rbldnsd_text_says_the_same(made in export_support::zones()) {
        let zone = zone_of(&made.spec());
        let (text, losses) = exported(&zone);
        prop_assert!(losses.iter().all(|(loss, _)| matches!(loss, Loss::GatepostAlone | Loss::Texts)), "{losses:?}");
        let counts_texts = losses.iter().any(|(loss, _)| loss == Loss::Texts);
        let back = again(&zone, &text);
        for labels in made.questions() {
            for rtype in [1, 2, 5, 15, 16, 28, 255].into_iter().filter(|&rtype| rtype != 16 || !counts_texts) {
                let expected = said(&zone, &labels, rtype);
                prop_assert_eq!(said(&back, &labels, rtype), expected, "{} in\n{}", labels.escape_ascii(), text.escape_ascii());
            }
        }
        let (soa, back_soa) = (zone.snapshot().zone(), back.snapshot().zone());
        prop_assert_eq!((&soa.soa.mname, soa.soa.minimum, &soa.ns), (&back_soa.soa.mname, back_soa.soa.minimum, &back_soa.ns));
    }

    /// The same entries are listed, whatever they say.
    #[test]
    fn plain_lists_hold_what_is_listed(made in export_support::zones()) {
        let zone = zone_of(&made.spec());
        let mut text = Vec::new();
        let losses = export::plain(zone.snapshot(), &mut text).unwrap();
        let mut bad = Vec::new();
        let parsed = parse::parse(Format::Names, &Options::default(), &text[..], &mut |diag| bad.push(diag)).unwrap();
        prop_assert!(bad.is_empty(), "{bad:?}");
        let back = zone_of(&export_support::spec_with(parsed.set));
        let exact = losses.is_empty();
        // That 6to4 addresses are looked up as IPv4 is a rule of rbldnsd's types.
        let is_asked = |labels: &Vec<u8>| !labels.is_empty() && !labels.ends_with(b"\x012\x010\x010\x012");
        for labels in made.questions().into_iter().filter(is_asked) {
            let (before, after) = (zone.verdict(&labels).is_listed(), back.verdict(&labels).is_listed());
            prop_assert!(before == after || !exact, "{} in\n{}", labels.escape_ascii(), text.escape_ascii());
        }
        let mut v4 = Vec::new();
        export::roaring(zone.snapshot(), &mut v4).unwrap();
        let v4 = roaring::RoaringBitmap::deserialize_from(&v4[..]).unwrap();
        prop_assert_eq!(v4.len(), zone.snapshot().counts().v4_addresses);
        prop_assert_eq!(v4.len(), back.snapshot().counts().v4_addresses);
        for address in made.v4() {
            prop_assert_eq!(v4.contains(address), zone.snapshot().v4(address).unwrap().is_some());
        }
    }
}

/// What no line can say is left out and counted, and nothing else changes.
#[test]
fn what_cannot_be_said_is_counted() {
    let made = Made::unsayable();
    let zone = zone_of(&made.spec());
    let (text, losses) = exported(&zone);
    let counted: BTreeSet<Loss> = losses.iter().map(|(loss, _)| loss).collect();
    let expected = [Loss::Text, Loss::ZeroTtl, Loss::Record, Loss::GatepostAlone];
    assert_eq!(counted, BTreeSet::from(expected), "{losses:?}");
    let back = again(&zone, &text);
    for labels in made.questions() {
        assert_eq!(
            zone.verdict(&labels).is_listed(),
            back.verdict(&labels).is_listed(),
            "{}",
            labels.escape_ascii()
        );
        let without_ttl =
            |zone: &Zone<Vec<u8>>| said(zone, &labels, 1).split_once(' ').map(|(_, data)| data.to_owned());
        assert_eq!(without_ttl(&zone), without_ttl(&back), "{}", labels.escape_ascii());
    }
}

/// One string, whatever quotes are in it, unless they would part it.
#[test]
fn texts_of_generic_with_quotes() {
    let texts = ["\"8up", "\"x\" :5:x", "8up\"", "\"", "\"\"quoted\"\"", "a\"b\" c", "\"a\"\tb \""];
    let lines: String = (0..).zip(texts).map(|(at, text)| format!("n{at} TXT {text}\n")).collect();
    let case = Case::bare("quotes", "rbldnsd:generic", format!("{lines}n9 TXT \"one\" \"two\"\n"));
    let spec = &case.specs()[0];
    let zone = zone_of(spec);
    let (text, losses) = exported(&zone);
    assert_eq!(losses.iter().map(|(loss, _)| loss).collect::<Vec<_>>(), [Loss::GatepostAlone], "{losses:?}");
    let back = again(&zone, &text);
    for at in [0, 1, 2, 3, 4, 5, 6, 9] {
        let labels = format!("\x02n{at}").into_bytes();
        let before = said(&zone, &labels, TXT);
        assert!(before.contains("TXT") || before.len() > 4, "{before}");
        assert_eq!(before, said(&back, &labels, TXT), "n{at} in {}", text.escape_ascii());
    }
}

/// The whole world in a few octets.
#[test]
fn wide_spans_stay_small() {
    let made = Made::world();
    let zone = zone_of(&made.spec());
    let (text, _) = exported(&zone);
    assert!(text.len() < 2000, "{}", text.escape_ascii());
    let mut bitmap = Vec::new();
    export::roaring(zone.snapshot(), &mut bitmap).unwrap();
    assert!(bitmap.len() < 2 << 20, "{}", bitmap.len());
    assert_eq!(roaring::RoaringBitmap::deserialize_from(&bitmap[..]).unwrap().len(), 1 << 32);
}

/// The files as they were, and what gatepost exported of them, both served by rbldnsd.
fn compare(program: &std::path::Path, cases: &[Case]) -> (Hits, usize) {
    let copies: Vec<Case> = cases.iter().flat_map(copies_of).collect();
    let folders = [Folder::new(), Folder::new()];
    let before = Running::theirs(program, &folders[0], &arguments(cases, &folders[0]));
    let after = Running::theirs(program, &folders[1], &arguments(&copies, &folders[1]));
    let (mut hits, mut questions, mut faults) = (Hits::new(), 0, Vec::new());
    for case in cases {
        questions += case.questions.len();
        let (old, new) =
            (ask(case, &case.questions, before.address), ask(case, &case.questions, after.address));
        for ((question, old), new) in case.questions.iter().zip(&old).zip(&new) {
            if (old.rcode, &old.answers) == (new.rcode, &new.answers) {
                continue;
            }
            // What gatepost reads otherwise on purpose is in what it exports.
            match exempt::exemption(case, question, old, new, &BTreeSet::new()) {
                Some(why) => *hits.entry(why).or_default() += 1,
                None => faults.push(format!(
                    "{} in {} for {}:\n    {old:?}\n    {new:?}",
                    question.below, case.origin, question.qtype
                )),
            }
        }
    }
    let shown = faults.iter().take(20).map(|fault| format!("\n  {fault}")).collect::<String>();
    assert!(faults.is_empty(), "{} differences:{shown}", faults.len());
    (hits, questions)
}

/// A zone for each snapshot that the files of a case make.
fn copies_of(case: &Case) -> Vec<Case> {
    let specs = case.specs();
    let copies = specs.iter().map(|spec| {
        let snapshot = Snapshot::open(dns_support::bytes(spec).0).unwrap();
        let mut text = Vec::new();
        export::rbldnsd(&snapshot, &[], spec.zone.soa.serial.unwrap_or(0), &mut text).unwrap();
        let mut copy = Case::bare("copy", "rbldnsd:combined", text);
        copy.origin = spec.zone.origin.to_string();
        copy
    });
    copies.collect()
}

#[test]
fn rbldnsd_answers_alike() {
    let Some(program) = rbldnsd("rbldnsd_answers_alike") else { return };
    let mut cases = Vec::new();
    for seed in 1..=5 {
        cases.push(random::ip4(&format!("set-{seed}"), "rbldnsd:ip4set", seed, 300));
        cases.push(random::ip4(&format!("trie-{seed}"), "rbldnsd:ip4trie", seed, 300));
        cases.push(random::ip4tset(&format!("tset-{seed}"), seed));
        cases.push(random::ip6trie(&format!("trie6-{seed}"), seed));
        cases.push(random::ip6tset(&format!("tset6-{seed}"), seed));
        cases.push(random::dnset(&format!("dn-{seed}"), "rbldnsd:dnset", seed));
        cases.push(random::generic(&format!("generic-{seed}"), seed));
        // Each subzone is a zone of its own then, with a SOA of its own.
        let mut sections = combined::random(&format!("combined-{seed}"), seed);
        sections.questions.retain(|question| [A, TXT].contains(&question.qtype));
        cases.push(sections);
    }
    let (hits, questions) = compare(&program, &cases);
    tell("made-up data", questions, &hits);
}

#[test]
fn real_lists() {
    let Some(feeds) = feeds("real_lists") else { return };
    let Some(program) = rbldnsd("real_lists") else { return };
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(feeds.join("uceprotect")).expect("a folder").map(Result::unwrap) {
        let text = unpacked(&entry.path());
        let origin = entry.file_name().to_string_lossy().replace('.', "-");
        let mut dice = Dice(cases.len() as u64);
        let entries: Vec<u32> = String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse::<Ipv4Addr>().ok())
            .map(u32::from)
            .collect();
        assert!(entries.len() > 1000, "{origin}");
        let asked: Vec<String> = (0..60_000)
            .map(|_| {
                let near = entries[dice.below(entries.len())];
                match dice.below(3) {
                    0 => near.wrapping_add(dice.below(512) as u32).wrapping_sub(256),
                    _ => near,
                }
            })
            .map(random::name_v4)
            .collect();
        cases.push(Case::bare(&origin, "rbldnsd:ip4set", text).ask(&[A, TXT], asked));
    }
    let (hits, questions) = compare(&program, &cases);
    tell("real lists", questions, &hits);
}

fn tell(what: &str, questions: usize, hits: &Hits) {
    say(&format!("{what}, exported: {questions} questions, deliberate differences:"));
    for (why, times) in hits {
        say(&format!("  {times:>7}  {why}"));
    }
}
