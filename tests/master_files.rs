//! Master files that `gatepost rbldnsd -d` prints, loaded by Debian's NSD: every name answers there as here.
//!
//! What DNS makes of wildcards differs in two ways that docs/rbldnsd.md names: a name that is not listed below a
//! wildcard exists, and a text below a wildcard names the prefix. Nothing else may differ.
#![cfg(feature = "full")]

mod common;
mod dns_support;
mod export_support;
mod nameserver_support;
mod peer_support;

use std::collections::BTreeMap;

use common::{Dice, say};
use export_support::{Made, zone_of};
use gatepost::export::{self, Loss};
use gatepost::model::{Name, Rtype};
use gatepost::snapshot::RdataRef;
use gatepost::zone::{self, Content, Nibbles, Octets, TextBuf, Zone};
use nameserver_support::Nameserver;
use peer_support::reply::{A, AAAA, MX, NOERROR, Record, Said, TXT};
use peer_support::{Case, Question, ask, combined, labels, random};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A master file, the zones it was made of, and what is asked.
struct Printed {
    case: Case,
    zones: Vec<Zone<Vec<u8>>>,
    text: Vec<u8>,
    names_prefixes: bool,
    /// Names that the file says were left out, whole; `*` before one stands for those below it.
    left_out: Vec<Name>,
}

fn printed(mut case: Case, zones: Vec<Zone<Vec<u8>>>) -> Printed {
    let mut text = Vec::new();
    let losses = export::master(&zones, &mut text).unwrap();
    let has = |loss: Loss| losses.iter().any(|(other, _)| other == loss);
    case.questions.retain(|question| [A, TXT, AAAA, MX].contains(&question.qtype));
    let left_out = left_out(&text);
    let leaves_out = has(Loss::Mixed) || has(Loss::Asterisks) || has(Loss::Apart);
    assert_eq!(leaves_out, !left_out.is_empty(), "{losses:?}: {left_out:?}");
    Printed { names_prefixes: has(Loss::Wildcards), left_out, case, zones, text }
}

/// The names in a file's comments on what was left out.
fn left_out(text: &[u8]) -> Vec<Name> {
    let mut names = Vec::new();
    let mut origin = String::new();
    for line in text.split(|&octet| octet == b'\n').map(String::from_utf8_lossy) {
        if let Some(name) = line.strip_prefix("$ORIGIN ") {
            name.clone_into(&mut origin);
        }
        let Some(owner) = line.strip_prefix("; left out: ") else { continue };
        let whole = if owner == "@" { origin.clone() } else { format!("{owner}.{origin}") };
        let mut wire = labels(whole.trim_end_matches('.')).to_ascii_lowercase();
        wire.push(0);
        names.push(Name::from_wire(&wire).unwrap_or_else(|| panic!("{line}")));
    }
    names
}

fn of_case(case: Case) -> Printed {
    let zones = case.specs().iter().map(zone_of).collect();
    printed(case, zones)
}

/// Lists of everything beside each other.
fn of_lists(number: usize, made: &Made) -> Printed {
    let mut spec = made.spec();
    let origin = format!("made-{number}");
    let mut case = Case::bare(&origin, "rbldnsd:combined", "");
    spec.zone.origin = case.origin.parse().unwrap();
    let asked = made.questions().into_iter().filter(|labels| !labels.is_empty());
    let asked: Vec<String> = asked.map(|labels| export_support::name_of(&labels).to_string()).collect();
    case = case.ask(&[A, TXT, AAAA, MX], asked);
    printed(case, vec![zone_of(&spec)])
}

#[test]
fn nsd_answers_alike() {
    let Some(program) = nameserver_support::nsd("nsd_answers_alike") else { return };
    let mut all = Vec::new();
    for seed in 1..=4 {
        all.push(of_case(random::ip4(&format!("set-{seed}"), "rbldnsd:ip4set", seed, 120)));
        all.push(of_case(random::ip4(&format!("trie-{seed}"), "rbldnsd:ip4trie", seed, 120)));
        all.push(of_case(random::ip6trie(&format!("trie6-{seed}"), seed)));
        all.push(of_case(random::ip6tset(&format!("tset6-{seed}"), seed)));
        all.push(of_case(random::dnset(&format!("dn-{seed}"), "rbldnsd:dnset", seed)));
        all.push(of_case(random::generic(&format!("generic-{seed}"), seed)));
        all.push(of_case(combined::random(&format!("combined-{seed}"), seed)));
    }
    all.push(of_case(nibbles()));
    let mut runner = TestRunner::new_with_rng(
        Config { failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let strategy = export_support::narrow_zones();
    for number in 0..60 {
        all.push(of_lists(number, &strategy.new_tree(&mut runner).unwrap().current()));
    }
    let files: Vec<(&str, &[u8])> = all.iter().map(|one| (&*one.case.origin, &one.text[..])).collect();
    let nsd = Nameserver::nsd(&program, &files, "");
    let (mut questions, mut counts, mut faults) = (0, BTreeMap::<&str, u64>::new(), Vec::new());
    for one in &all {
        for (question, there) in
            one.case.questions.iter().zip(ask(&one.case, &one.case.questions, nsd.address()))
        {
            questions += 1;
            let here = here(one, question);
            match difference(one, question, &there, &here) {
                None => {}
                Some(Ok(known)) => *counts.entry(known).or_default() += 1,
                Some(Err(())) => faults.push(format!(
                    "{} {} {}: {there:?}, here {here:?}",
                    question.below, one.case.origin, question.qtype
                )),
            }
        }
    }
    say(&format!("NSD beside gatepost: {questions} questions, {counts:?}"));
    let shown: String = faults.iter().take(20).map(|fault| format!("\n  {fault}")).collect();
    assert!(faults.is_empty(), "{} of {questions} differ:{shown}", faults.len());
    assert!(counts["exists there"] > 0 && counts["names the prefix"] > 0, "{counts:?}");
}

/// IPv4 prefixes whose labels are digits alone, beside IPv6 in the same names.
fn nibbles() -> Case {
    let text = "$DATASET ip4trie @\n2.0.0.0/24 :4:four\n3.0.0.0/8 :5:$\n1.2.0.0/16 :6:six\n2.1.1.1 :7:\n77.1.0.0/16 :8:$\n\
        $DATASET ip6trie @\n2001:db8::/32 :9:v6\n2000::/12 :10:wide\n2002::/15 :11:wider $\n3000::/64 :12:\n";
    let mut dice = Dice(9);
    let v4 = (0..3000).map(|_| {
        let [a, b] = [dice.next() as u32, dice.next() as u32];
        random::name_v4(
            [2, 3, 1, 77][dice.below(4)] << 24 | (a % 3) << 16 | (b % 3) << 8 | dice.below(256) as u32,
        )
    });
    let v4: Vec<String> = v4.collect();
    let v6 = (0..2000).map(|_| {
        let head =
            [0x2001_0db8u128, 0x2000_0000, 0x2000_00ff, 0x2002_0000, 0x3000_0000, 0x2010_0000, 0x3001_0000];
        random::name_v6(head[dice.below(7)] << 96 | u128::from(dice.next()))
    });
    let v6: Vec<String> = v6.collect();
    Case::new("nibbles", "rbldnsd:combined", text).ask(&[A, TXT], v4.into_iter().chain(v6))
}

/// The zone that answers, and the labels below its origin.
fn placed<'a>(one: &'a Printed, question: &Question) -> (&'a Zone<Vec<u8>>, Vec<u8>) {
    let mut wire = labels(&format!("{}.{}", question.below, one.case.origin)).to_ascii_lowercase();
    wire.push(0);
    let name = Name::from_wire(&wire).expect("asked");
    let zones = one.zones.iter().filter(|zone| name.is_in(zone.origin()));
    let zone = zones.max_by_key(|zone| zone.origin().as_wire().len()).expect("one");
    (zone, wire[..wire.len() - zone.origin().as_wire().len()].to_vec())
}

/// The records here; `None`: not listed.
fn here(one: &Printed, question: &Question) -> Option<Vec<Record>> {
    let (zone, below) = placed(one, question);
    let Content::Records(records) = zone.verdict(&below).content(Rtype(question.qtype)) else { return None };
    let data = |datum: &zone::Datum<'_>| match &datum.rdata {
        RdataRef::Wire(octets) => octets.to_vec(),
        RdataRef::Text(pieces) => {
            let text = TextBuf::fill(pieces.clone(), datum.matched);
            [&[text.as_bytes().len() as u8], text.as_bytes()].concat()
        }
    };
    let owner = [&labels(&format!("{}.{}", question.below, one.case.origin))[..], &[0]].concat();
    let (rtype, ttl) = (records.rtype().0, records.ttl());
    let record = |datum| Record { owner: owner.clone(), class: 1, rtype, ttl, data: data(&datum) };
    let mut found: Vec<Record> = records.iter().map(record).collect();
    found.sort();
    Some(found)
}

/// `None`: there is none. `Some(Ok)`: one that is known.
fn difference(
    one: &Printed,
    question: &Question,
    there: &Said,
    here: &Option<Vec<Record>>,
) -> Option<Result<&'static str, ()>> {
    let is_v6_of_v4 = |start: &str| {
        let labels: Vec<&str> = question.below.split('.').collect();
        labels.len() >= 32 && labels[..32].iter().rev().copied().collect::<String>().starts_with(start)
    };
    if there.truncated {
        return Some(Ok("truncated"));
    }
    match here {
        None if there.answers.is_empty() && there.rcode == NOERROR => Some(Ok("exists there")),
        None if there.answers.is_empty() => None,
        Some(here) if *here == there.answers => None,
        // IPv6 in which an IPv4 address lies is looked up as that here, and is a name like any other there.
        _ if is_v6_of_v4("2002") || is_v6_of_v4("00000000000000000000ffff") => Some(Ok("IPv4 in IPv6")),
        None if is_no_address(one, question) => Some(Ok("no address below a wildcard")),
        Some(here) if one.names_prefixes && names_the_prefix(&there.answers, here) => {
            Some(Ok("names the prefix"))
        }
        Some(here) if is_part(&there.answers, here) && is_left_out(one, question) => {
            Some(Ok("left out, as the file says"))
        }
        _ => Some(Err(())),
    }
}

/// Nothing is there that is not here; a record that is left out may have had the smaller TTL.
fn is_part(there: &[Record], here: &[Record]) -> bool {
    let is_here = |record: &Record| {
        here.iter().any(|other| {
            (other.rtype, &other.data) == (record.rtype, &record.data) && other.ttl <= record.ttl
        })
    };
    there.iter().all(is_here)
}

/// The file says of this very name, or of all below one above it, that it was left out.
fn is_left_out(one: &Printed, question: &Question) -> bool {
    let mut wire = labels(&format!("{}.{}", question.below, one.case.origin)).to_ascii_lowercase();
    wire.push(0);
    let asked = Name::from_wire(&wire).expect("asked");
    one.left_out.iter().any(|name| match name.as_wire() {
        [1, b'*', above @ ..] => {
            let above = Name::from_wire(above).expect("a part of one");
            asked == *name || asked != above && asked.is_in(&above)
        }
        _ => asked == *name,
    })
}

/// Neither four octets nor 32 nibbles.
fn is_no_address(one: &Printed, question: &Question) -> bool {
    let read = zone::Question::read(&placed(one, question).1);
    read.octets.and_then(Octets::address).is_none() && read.nibbles.and_then(Nibbles::address).is_none()
}

/// Each text there says `…/length` where the one here says the address.
fn names_the_prefix(there: &[Record], here: &[Record]) -> bool {
    let only = |these: &[Record], those: &[Record]| {
        these.iter().filter(|record| !those.contains(record)).cloned().collect::<Vec<_>>()
    };
    let (there, here) = (only(there, here), only(here, there));
    let is_alike = |(there, here): (&Record, &Record)| {
        (there.rtype, there.ttl) == (here.rtype, here.ttl) && there.rtype == TXT && there.data.contains(&b'/')
    };
    there.len() == here.len() && there.iter().zip(&here).all(is_alike)
}

/// The command: zones on stdout, troubles on stderr, 1 when one of them cannot be loaded.
#[test]
fn the_command_prints_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let list = "$SOA 60 ns.x h.x 7 1 2 3 4\n$TTL 9\n10.1.2 :3:$ is bad\n!10.1.2.3\n10.2 :4:\n10.3:5:$\n";
    std::fs::write(folder.path().join("list"), list).unwrap();
    std::fs::write(folder.path().join("sections"), "$DATASET dnset sub @\n*.spam :6:\n").unwrap();
    let dump = |zones: &[&str]| {
        let mut command = common::program::gatepost();
        command.args(["rbldnsd", "-d", "-t", "300", "-w"]).arg(folder.path()).args(zones);
        let output = command.output().unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) = dump(&["bl.example:ip4set:list", "dn.example:combined:sections"]);
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "$ORIGIN bl.example.",
        "@\t60\tSOA\tns.x. h.x. 7 1 2 3 4",
        "2.2.1.10\t9\tA\t127.0.0.3",
        "\t9\tTXT\t\"10.1.2.2 is bad\"",
        "*.2.10\t9\tA\t127.0.0.4",
        "\t9\tTXT\t\"10.3.0.0/16\"",
        "*.spam\t300\tA\t127.0.0.6",
        "$ORIGIN sub.dn.example.",
    ] {
        assert!(out.lines().any(|found| found == line), "no `{line}` in\n{}", &out[..2000]);
    }
    assert!(!out.contains("\n3.2.1.10\t"), "an exclusion is listed");
    assert!(err.contains("1 texts of wildcards"), "{err}");
    let (code, out, err) = dump(&["bl.example:ip4set:nothing"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("nothing"), "{err}");
}
