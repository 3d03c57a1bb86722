//! Debian's rbldnsd beside gatepost: the same files, the same questions, the same answers.
//!
//! Where the two differ on purpose there is an exemption with an exact condition (`peer_support/exempt.rs`); each is
//! met here at least once, and how often is printed. docs/rbldnsd.md gives the reasons.
#![cfg(feature = "full")]

mod common;
mod peer_support;

use common::dns::{Over, ask};
use common::{feeds, say, unpacked};
use peer_support::servers::{Folder, Pair, rbldnsd};
use peer_support::{
    Hits, by_hand, combined, compare, compare_reloaded, directives, exclusions, exempt, lines, packets,
    random, real, rows, zones,
};

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
    let (of_lines, questions) = compare(&program, &directives::all());
    tell("special lines and forms of files", questions, &of_lines);
    hits.extend(of_lines);
    let mut cases = combined::by_hand();
    cases.extend((1..=6).map(|seed| combined::random(&format!("combined-{seed}"), seed)));
    let (of_combined, questions) = compare(&program, &cases);
    tell("combined data sets", questions, &of_combined);
    hits.extend(of_combined);
    let (of_zones, questions) = compare(&program, &zones::all());
    tell("zones in zones, of several data sets, and data sets in several zones", questions, &of_zones);
    hits.extend(of_zones);
    let unmet: Vec<_> = exempt::ALL.iter().filter(|why| !hits.contains_key(*why)).collect();
    assert!(unmet.is_empty(), "exemptions that nothing needs: {unmet:#?}");
}

/// Every zone gets the files of another seed: nothing of the old ones may be left.
#[test]
fn files_that_change() {
    let Some(program) = rbldnsd("files_that_change") else { return };
    let cases = |seed: u64| {
        let mut cases = vec![
            random::ip4("set", "rbldnsd:ip4set", seed, 300),
            random::ip4("trie", "rbldnsd:ip4trie", seed, 300),
            random::ip4tset("tset", seed),
            random::ip6trie("trie6", seed),
            random::ip6tset("tset6", seed),
            random::dnset("dn", "rbldnsd:dnset", seed),
            random::generic("generic", seed),
            combined::random("combined", seed),
        ];
        // A zone of two data sets, one of which stays as it is.
        let half = random::ip4("half", "rbldnsd:ip4set", 77, 100);
        cases.push(half.beside("rbldnsd:ip4trie", &format!("10.{}/16 :9:trie $\n", seed % 2)));
        cases
    };
    let (hits, questions) = compare_reloaded(&program, &cases(51), &cases(52));
    tell("files that change", questions, &hits);
}

/// There as many as fit a reply, here so many at most, the smallest.
#[test]
fn values_of_one_entry_beyond_1024() {
    let Some(program) = rbldnsd("values_of_one_entry_beyond_1024") else { return };
    let folder = Folder::new();
    let value = |n: u32| format!("1.1.1.1 :10.0.{}.{}:\n", n / 250, n % 250 + 1);
    folder.put("many", (0..1100).rev().map(value).collect::<String>().as_bytes());
    let pair = Pair::start(&program, &folder, &["many.peer:ip4set:many".to_owned()]);
    let asked = |server, over| ask(server, over, "1.1.1.1.many.peer", 1);
    let there = asked(pair.theirs.address, Over::Udp);
    assert!(!there.authoritative && (20..1024).contains(&there.answers), "{there:?}");
    assert!(asked(pair.ours.address, Over::Udp).truncated);
    let mut here = asked(pair.ours.address, Over::Tcp).a;
    here.sort_unstable();
    let expected: Vec<[u8; 4]> = (0..1024).map(|n| [10, 0, (n / 250) as u8, (n % 250 + 1) as u8]).collect();
    assert_eq!(here, expected);
}

#[test]
fn every_row_of_the_page_is_proved() {
    rows::hold();
}

#[test]
fn options_of_the_command_line() {
    let Some(program) = rbldnsd("options_of_the_command_line") else { return };
    let (hits, questions) = compare(&program, &by_hand::options());
    tell("with -e and -t", questions, &hits);
    let (hits, questions) = compare(&program, &directives::unwatched());
    tell("with -c 0", questions, &hits);
    let (hits, questions) = compare(&program, &directives::not_unpacked());
    tell("with -C", questions, &hits);
    // Without name servers beside answers there is one difference less.
    let lazy: Vec<_> = by_hand::all().into_iter().map(|case| case.under(&["-a"])).collect();
    let (hits, questions) = compare(&program, &lazy);
    tell("with -a", questions, &hits);
    assert!(!hits.keys().any(|why| why.starts_with("NS in the authority section")));
}

#[test]
fn odd_packets() {
    let Some(program) = rbldnsd("odd_packets") else { return };
    let (hits, packets) = packets::compare(&program);
    tell("odd packets", packets, &hits);
    let unmet: Vec<_> = packets::ALL.iter().filter(|why| !hits.contains_key(*why)).collect();
    assert!(unmet.is_empty(), "exemptions that nothing needs: {unmet:#?}");
}

#[test]
fn ten_thousand_exclusions_at_every_level() {
    let Some(program) = rbldnsd("ten_thousand_exclusions_at_every_level") else { return };
    let cases = [
        exclusions::ip4("ex-set", "rbldnsd:ip4set"),
        exclusions::ip4("ex-trie", "rbldnsd:ip4trie"),
        exclusions::ip6trie("ex-trie6"),
        exclusions::ip6tset("ex-tset6"),
        exclusions::dnset("ex-names"),
    ];
    for case in &cases {
        say(&format!("{}: {} exclusions", case.format, exclusions::count(case)));
        assert!(exclusions::count(case) >= 10_000);
    }
    let (hits, questions) = compare(&program, &cases);
    tell("exclusions", questions, &hits);
}

/// rbldnsd's own files: every entry, whatever its form, and 100,000 random neighbours.
#[test]
fn real_lists() {
    let Some(feeds) = feeds("real_lists") else { return };
    let Some(program) = rbldnsd("real_lists") else { return };
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(feeds.join("uceprotect")).expect("a folder").map(Result::unwrap) {
        let origin = entry.file_name().to_string_lossy().replace('.', "-");
        cases.push(real::addresses(&origin, "rbldnsd:ip4set", unpacked(&entry.path()), 100_000, 1));
    }
    assert!(cases.len() >= 2, "lists of rbldnsd's");
    let (hits, questions) = compare(&program, &cases);
    tell("real lists", questions, &hits);
}

/// The largest real lists of other formats, which are files of rbldnsd's all the same when their lines are such.
#[test]
fn large_real_lists() {
    let Some(feeds) = feeds("large_real_lists") else { return };
    let Some(program) = rbldnsd("large_real_lists") else { return };
    let list = |path: &str| unpacked(&feeds.join(path));
    let large = list("large/full-300k-ab.2026-08-22.txt.gz");
    let mixed = list("bitwire-outbound/outbound.a.txt.gz");
    let cases = [
        real::addresses("large-set", "rbldnsd:ip4set", large.clone(), 10_000, 8),
        real::addresses("large-trie", "rbldnsd:ip4trie", large.clone(), 10_000, 8),
        real::addresses("large-tset", "rbldnsd:ip4tset", large, 10_000, 8),
        real::addresses("mixed", "rbldnsd:ip4set", mixed, 10_000, 8),
        real::prefixes("bogons", "rbldnsd:ip6trie", list("cymru/fullbogons-ipv6.2024-03-10.txt.gz")),
        real::names("names", list("urlhaus-filter/urlhaus-filter-domains.2022-03-13.txt.gz")),
        real::names("disposable", list("disposable/disposable_email_blocklist.2026-08-21.conf")),
    ];
    let (hits, questions) = compare(&program, &cases);
    tell("large real lists", questions, &hits);
}

fn tell(what: &str, questions: usize, hits: &Hits) {
    say(&format!("{what}: {questions} questions, deliberate differences:"));
    for (why, times) in hits {
        say(&format!("  {times:>7}  {why}"));
    }
}
