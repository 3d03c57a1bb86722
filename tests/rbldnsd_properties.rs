//! Files that proptest makes up, read by Debian's rbldnsd and by gatepost: whatever they hold, the answers are the same.
//!
//! To start two servers is dear, so a case is a command line of many small zones. A case that fails shrinks to the
//! one zone, the few lines and the single question that show the difference, and is kept in `proptest-regressions`.
#![cfg(feature = "full")]

mod common;
mod peer_support;

use std::cell::RefCell;

use common::say;
use peer_support::reply::{A, MX, TXT};
use peer_support::servers::rbldnsd;
use peer_support::{Case, Hits, differences, random};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

/// Command lines, and zones on each.
const CASES: u32 = 64;
const ZONES: usize = 32;

/// A zone: the type of its data set, and the lines of its files.
type Zone = (&'static str, Vec<Vec<String>>);

/// What stands beside an entry.
fn beside() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just(String::new()),
        select(
            &["$", "x $ y", "$$", "$0", "$1 $2", "$=", "=", "=x $", "x # y", "  x", "\\", "\"q\"", "\u{e9}"]
                [..]
        )
        .prop_map(str::to_owned),
        "[ -~]{0,12}",
    ];
    let code =
        select(&["", ":", ":2", ":3", ":4", ":0", ":255", ":256", ":10.1.2.3", ":1.2", ":x", ":0.0.0.0"][..]);
    prop_oneof![
        4 => Just(String::new()),
        2 => (select(&["", " ", "\t "][..]), code.clone()).prop_map(|(blank, code)| format!("{blank}{code}")),
        3 => (select(&["", " "][..]), code, text.clone()).prop_map(|(blank, code, text)| format!("{blank}{code}:{text}")),
        2 => text.prop_map(|text| format!(" {text}")),
        1 => select(&["#c", ";c", " # c", ",", "/", "-", ".", "!"][..]).prop_map(str::to_owned),
    ]
}

/// Lines of every kind of file that are no entries.
fn special() -> impl Strategy<Value = String> {
    let variable =
        (select(&["$", "#$", ";$", ":$"][..]), select(&["0", "1", "2", "=", "10", ""][..]), "[ -~]{0,8}");
    let word = select(&["TTL", "ttl", "SOA", "NS", "TIMESTAMP", "INCLUDE", "NAMESERVER"][..]);
    let argument = select(
        &[
            "5",
            "1h",
            "0",
            "4",
            "x",
            "",
            "60 a.x",
            "0 a.x b.x",
            "5 a.x h.x 7 1 2 3 4",
            "2001:02:03",
            "0 2037:01:01",
            "-1",
            "2 3",
        ][..],
    );
    prop_oneof![
        (variable).prop_map(|(sign, name, text)| format!("{sign}{name} {text}")),
        (word, argument).prop_map(|(word, argument)| format!("${word} {argument}")),
        beside().prop_filter("a default line", |text| text.starts_with(':')),
        select(&["", "#", "; x", ":", "!", "!!", "$", "\t", "nonsense", "."][..]).prop_map(str::to_owned),
    ]
}

/// Entries made of the numbers 0 to 3, so that they meet.
fn ip4() -> impl Strategy<Value = String> {
    let octet = select(&["0", "1", "2", "3", "1", "2", "01", "255", "256", ""][..]);
    let octets = vec(octet, 1..=5).prop_map(|octets| octets.join("."));
    let tail = prop_oneof![
        4 => Just(String::new()),
        3 => (0..=33).prop_map(|len| format!("/{len}")),
        2 => octets.clone().prop_map(|last| format!("-{last}")),
        1 => select(&["/", "-", "/x", "/024", "."][..]).prop_map(str::to_owned),
    ];
    (octets, tail).prop_map(|(octets, tail)| octets + &tail)
}

/// Entries of few words.
fn ip6() -> impl Strategy<Value = String> {
    let word = || select(&["1", "2", "0", "ffff", "02", "0001", "00002", "g"][..]);
    let words = |from, to| vec(word(), from..=to).prop_map(|words| words.join(":"));
    let address = prop_oneof![words(1, 9), (words(0, 4), words(0, 4)).prop_map(|(a, b)| format!("{a}::{b}"))];
    let tail = prop_oneof![Just(String::new()), (0..=129).prop_map(|len| format!("/{len}"))];
    (address, tail).prop_map(|(address, tail)| format!("{address}{tail} "))
}

fn name() -> impl Strategy<Value = String> {
    vec(select(&["a", "b", ".", "*.", "A", "\\.", "\\097", "\\", "@", "-", "a.b"][..]), 1..6)
        .prop_map(|pieces| pieces.concat())
}

/// Records of generic that can be bad, but stop rbldnsd never.
fn record() -> impl Strategy<Value = String> {
    let head = (name(), select(&["", "", " 60", " 0", " 1h", " IN", " in", " HS"][..]));
    let data = prop_oneof![
        select(&["1.2.3.4", "5", "1.2", "01.2.3", "256.1.1.1", "0.0.0.0", "1.2.3.5 x"][..])
            .prop_map(|text| format!("A {text}")),
        "[ -~]{1,10}"
            .prop_filter("one string", |text| !text.contains('"'))
            .prop_map(|text| format!("TXT {text}")),
        select(&["MX 5 m.x", "MX 0 .", "a 1.2.3.4", "TXT \"q\"", "TXT", "A", "SOA x", "mx 10 a.b.c"][..])
            .prop_map(str::to_owned),
    ];
    (head, data).prop_map(|((name, class), data)| format!("{name}{class} {data}"))
}

/// The lines of a data set's files.
fn files(entry: BoxedStrategy<String>) -> impl Strategy<Value = Vec<Vec<String>>> {
    let line = prop_oneof![5 => entry, 1 => special()];
    // A slip that rbldnsd takes for an address and a value.
    let line =
        line.prop_filter("no `::` twice", |line| line.matches("::").count() < 2 && !line.contains(":::"));
    // In a generic that is a name and a TTL, and one that cannot be read stops rbldnsd.
    let line = line.prop_filter("no default line that is a record", |line| {
        let second = line.split([' ', '\t']).nth(1).unwrap_or_default();
        !line.starts_with(':') || !second.starts_with(|octet: char| octet.is_ascii_digit())
    });
    vec(vec(line, 0..14), 1..=3)
}

fn zone() -> impl Strategy<Value = Zone> {
    let valued = |entry: BoxedStrategy<String>| {
        let sign = select(&["", "", "", "!", "! ", " ", "#"][..]);
        (sign, entry, beside()).prop_map(|(sign, entry, beside)| format!("{sign}{entry}{beside}")).boxed()
    };
    let of =
        |kind: &'static str, entry: BoxedStrategy<String>| files(entry).prop_map(move |files| (kind, files));
    prop_oneof![
        3 => of("rbldnsd:ip4set", valued(ip4().boxed())),
        3 => of("rbldnsd:ip4trie", valued(ip4().boxed())),
        1 => of("rbldnsd:ip4tset", valued(ip4().boxed())),
        2 => of("rbldnsd:ip6trie", valued(ip6().boxed())),
        1 => of("rbldnsd:ip6tset", valued(ip6().boxed())),
        2 => of("rbldnsd:dnset", valued(name().boxed())),
        2 => of("rbldnsd:generic", record().boxed()),
    ]
}

/// Addresses of the numbers that entries are made of, and those beside them.
fn addresses() -> impl Iterator<Item = String> {
    const LAST: [u32; 5] = [0, 1, 2, 3, 255];
    (0..64u32).flat_map(|n| {
        LAST.map(|last| random::name_v4((n & 3) << 24 | (n >> 2 & 3) << 16 | (n >> 4) << 8 | last))
    })
}

fn names() -> Vec<String> {
    const LABELS: [&str; 8] = ["a", "b", "aa", "a\\.b", "@", "-", "*", "ba"];
    let pairs = LABELS.iter().flat_map(|a| LABELS.map(|b| format!("{a}.{b}")));
    let mut names: Vec<String> = LABELS.iter().map(|label| (*label).to_owned()).chain(pairs).collect();
    names.extend(["", "a.a.a", "b.a.b", "x.a.b.a"].map(str::to_owned));
    names
}

fn case(number: usize, (kind, files): &Zone) -> Case {
    let text = |lines: &Vec<String>| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut case = Case::bare(&format!("z{number}"), kind, text(&files[0]));
    for file in &files[1..] {
        case = case.file(&text(file));
    }
    // Whether the zone says who it is, is not asked: its apex is compared elsewhere.
    case.has_soa = false;
    match *kind {
        "rbldnsd:dnset" => case.ask(&[A, TXT], names()).ask_entries(&[A]),
        "rbldnsd:generic" => case.ask(&[A, TXT, MX], names()).ask_entries(&[A]),
        kind if kind.contains("ip6") => case.ask_entries(&[A, TXT]),
        _ => case.ask(&[A], addresses()).ask(&[TXT], addresses().step_by(7)).ask_entries(&[A, TXT]),
    }
}

#[test]
fn files_that_are_made_up_mean_the_same() {
    let Some(program) = rbldnsd("files_that_are_made_up_mean_the_same") else { return };
    let config = ProptestConfig {
        cases: CASES,
        // Each step starts both servers again.
        max_shrink_iters: 1500,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/rbldnsd.txt",
        ))),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let told = RefCell::new((Hits::new(), 0));
    TestRunner::new(config)
        .run(&vec(zone(), 1..=ZONES), |zones| {
            let cases: Vec<Case> =
                zones.iter().enumerate().map(|(number, zone)| case(number, zone)).collect();
            let (hits, questions) = &mut *told.borrow_mut();
            let (asked, faults) = differences(&program, &cases, hits);
            *questions += asked;
            prop_assert!(faults.is_empty(), "{}", faults[0]);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let (hits, questions) = told.into_inner();
    say(&format!("files of proptest: {questions} questions, deliberate differences:"));
    hits.iter().for_each(|(why, times)| say(&format!("  {times:>7}  {why}")));
}
