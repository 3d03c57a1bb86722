//! Debian's rbldnsd beside gatepost: the same files, the same questions, the same answers.
//!
//! Where the two differ on purpose there is an exemption with an exact condition (`peer_support/exempt.rs`); each is
//! met here at least once, and how often is printed. docs/rbldnsd.md gives the reasons.
#![cfg(feature = "full")]

mod common;
mod dns_support;
mod peer_support;

use std::net::Ipv4Addr;

use common::{Dice, feeds, say, unpacked};
use peer_support::reply::{A, TXT};
use peer_support::{Case, Hits, by_hand, combined, compare, exempt, lines, random, rbldnsd};

#[test]
fn the_two_answer_alike() {
    let Some(program) = rbldnsd("the_two_answer_alike") else { return };
    let mut cases = by_hand::all();
    for seed in 1..=6 {
        cases.push(random::ip4(&format!("set-{seed}"), "rbldnsd:ip4set", seed, 300));
        cases.push(random::ip4(&format!("trie-{seed}"), "rbldnsd:ip4trie", seed, 300));
        cases.push(random::ip4tset(&format!("tset-{seed}"), seed));
        cases.push(random::ip6trie(&format!("trie6-{seed}"), seed));
        cases.push(random::ip6tset(&format!("tset6-{seed}"), seed));
        cases.push(random::dnset(&format!("dn-{seed}"), "rbldnsd:dnset", seed));
        cases.push(random::dnset(&format!("hash-{seed}"), "rbldnsd:dnhash", seed + 100));
        cases.push(random::generic(&format!("generic-{seed}"), seed));
        for (n, format) in ["rbldnsd:ip4set", "rbldnsd:ip4tset", "rbldnsd:ip4trie"].into_iter().enumerate() {
            cases.push(lines::ip4(&format!("lines4-{n}-{seed}"), format, seed + 1000 * n as u64));
        }
        for (n, format) in ["rbldnsd:ip6tset", "rbldnsd:ip6trie"].into_iter().enumerate() {
            cases.push(lines::ip6(&format!("lines6-{n}-{seed}"), format, seed + 1000 * n as u64));
        }
        cases.push(lines::names(&format!("lines-names-{seed}"), seed));
        cases.push(lines::records(&format!("lines-records-{seed}"), seed));
    }
    let (mut hits, questions) = compare(&program, &cases);
    tell("made-up data", questions, &hits);
    let mut cases = combined::by_hand();
    cases.extend((1..=6).map(|seed| combined::random(&format!("combined-{seed}"), seed)));
    let (of_combined, questions) = compare(&program, &cases);
    tell("combined data sets", questions, &of_combined);
    hits.extend(of_combined);
    let unmet: Vec<_> = exempt::ALL.iter().filter(|why| !hits.contains_key(*why)).collect();
    assert!(unmet.is_empty(), "exemptions that nothing needs: {unmet:#?}");
}

#[test]
fn options_of_the_command_line() {
    let Some(program) = rbldnsd("options_of_the_command_line") else { return };
    let (hits, questions) = compare(&program, &by_hand::options());
    tell("with -e and -t", questions, &hits);
}

#[test]
fn ten_thousand_exclusions() {
    let Some(program) = rbldnsd("ten_thousand_exclusions") else { return };
    let (hits, questions) = compare(&program, &[random::exclusions("exclusions", 10_000)]);
    tell("ten thousand exclusions", questions, &hits);
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
        let mut entries: Vec<u32> = String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse::<Ipv4Addr>().ok())
            .map(u32::from)
            .collect();
        assert!(entries.len() > 1000, "{origin}");
        // A sample of what is more than can be asked in good time.
        while entries.len() > 200_000 {
            entries.swap_remove(dice.below(entries.len()));
        }
        let neighbours: Vec<u32> = (0..100_000)
            .map(|_| {
                let near = entries[dice.below(entries.len())];
                if dice.below(2) == 0 {
                    near.wrapping_add(dice.below(512) as u32).wrapping_sub(256)
                } else {
                    dice.next() as u32
                }
            })
            .collect();
        let mut case = Case::bare(&origin, "rbldnsd:ip4set", text);
        (case.has_soa, case.has_ns) = (true, true);
        cases.push(case.ask(&[A, TXT], entries.into_iter().chain(neighbours).map(reversed)));
    }
    let (hits, questions) = compare(&program, &cases);
    tell("real lists", questions, &hits);
}

fn reversed(address: u32) -> String {
    let [a, b, c, d] = address.to_be_bytes();
    format!("{d}.{c}.{b}.{a}")
}

fn tell(what: &str, questions: usize, hits: &Hits) {
    say(&format!("{what}: {questions} questions, deliberate differences:"));
    for (why, times) in hits {
        say(&format!("  {times:>7}  {why}"));
    }
}
