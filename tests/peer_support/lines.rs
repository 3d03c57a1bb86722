//! Lines that come near to entries: what one of the two takes and the other leaves out shows in the answers.

use std::fmt::Write;
use std::net::Ipv6Addr;

use super::Case;
use super::random::name_v6;
use super::reply::{A, MX, TXT};
use crate::common::Dice;

/// One of these.
fn one<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[dice.below(of.len())]
}

/// `count` pieces with `between` them.
fn row(dice: &mut Dice, count: usize, between: &str, of: &[&str]) -> String {
    (0..count).map(|_| one(dice, of)).collect::<Vec<_>>().join(between)
}

fn beside(dice: &mut Dice) -> &'static str {
    const BESIDE: [&str; 24] = [
        "",
        "",
        "",
        "",
        " ",
        " x",
        ":3",
        " :4",
        " :5:",
        " :6:x",
        ":7:$",
        " :0:",
        " ::x",
        " :a",
        " :5 x",
        ":1.2",
        " :256:",
        "#",
        ";x",
        " #",
        "x",
        ",",
        " /24",
        " :127.0.0.3:y",
    ];
    BESIDE[dice.below(BESIDE.len())]
}

fn before(dice: &mut Dice) -> &'static str {
    one(dice, &["", "", "", "", "!", "! ", " ", "\t", "!!", "#", ":", "$"])
}

/// IPv4 entries of the numbers 0 to 3, of which every address is asked.
pub(crate) fn ip4(origin: &str, format: &'static str, seed: u64) -> Case {
    const OCTETS: [&str; 12] = ["0", "1", "1", "2", "2", "3", "3", "01", "003", "0003", "256", ""];
    const TAILS: [&str; 16] =
        ["", "", "", "", "/32", "/24", "/31", "/16", "/8", "/0", "/33", "/", "/030", "-", "/24/", "."];
    let mut dice = Dice(seed);
    let mut text = String::new();
    for _ in 0..120 {
        let count = [4, 4, 4, 3, 2, 1, 5][dice.below(7)];
        let mut entry = row(&mut dice, count, ".", &OCTETS);
        match dice.below(4) {
            0 => {
                let count = [1, count, 4][dice.below(3)];
                entry = format!("{entry}-{}", row(&mut dice, count, ".", &OCTETS));
            }
            _ => entry += one(&mut dice, &TAILS),
        }
        let _ = writeln!(text, "{}{entry}{}", before(&mut dice), beside(&mut dice));
    }
    let all = (0..256u32).map(|n| format!("{}.{}.{}.{}", n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6));
    Case::new(origin, format, &text)
        .ask(&[A, TXT], all)
        .ask(&[A], ["9.9.9.9", "4.1.2.3", "1.2.4.3"])
        .ask_entries(&[A])
}

/// IPv6 entries of few words.
pub(crate) fn ip6(origin: &str, format: &'static str, seed: u64) -> Case {
    const WORDS: [&str; 10] = ["1", "1", "2", "2", "0", "02", "0001", "00002", "12345", "g"];
    const TAILS: [&str; 14] =
        ["", "", "", "", "/128", "/64", "/16", "/32", "/48", "/0", "/129", "/", ":", "/064"];
    let mut dice = Dice(seed);
    let mut text = String::new();
    for _ in 0..120 {
        let count = [4, 4, 4, 8, 8, 3, 2, 1, 7, 9][dice.below(10)];
        // Rarely one that is bad by itself.
        let words = if dice.below(6) == 0 { &WORDS[..] } else { &WORDS[..8] };
        let mut entry = row(&mut dice, count, ":", words);
        if dice.below(2) == 0 && count < 8 {
            let more = dice.below(9 - count);
            entry = format!("{entry}::{}", row(&mut dice, more, ":", &WORDS[..8]));
        }
        if dice.below(12) == 0 {
            entry = format!("::{}", row(&mut dice, count, ":", words));
        }
        let tail = one(&mut dice, &TAILS);
        let line = format!("{}{entry}{tail}{}", before(&mut dice), beside(&mut dice));
        // A slip that rbldnsd takes for an address and a value.
        if !line.contains(":::") && line.matches("::").count() < 2 {
            let _ = writeln!(text, "{line}");
        }
    }
    // What the lines name for any reader, and what lies beside it.
    let mut asked: Vec<u128> = vec![0, 1, 1 << 112, 0x10001 << 96];
    for line in text.lines() {
        let words = line
            .trim_start_matches(['!', ' ', '\t', '#', '$'])
            .split([' ', '/', '#', ';', ','])
            .next()
            .unwrap_or("");
        let words = words.trim_end_matches(':');
        let whole = if words.contains("::") { words.to_owned() } else { format!("{words}::") };
        let address = whole.parse().or_else(|_| words.parse::<Ipv6Addr>());
        if let Ok(address) = address.map(u128::from) {
            asked.extend([
                address,
                address | 1,
                address | 0xffff,
                address.saturating_sub(1),
                address | u128::from(u64::MAX),
            ]);
        }
    }
    asked.sort_unstable();
    asked.dedup();
    Case::new(origin, format, &text).ask(&[A, TXT], asked.into_iter().map(name_v6)).ask_entries(&[A, TXT])
}

/// Names of few letters with dots and escapes anywhere.
pub(crate) fn names(origin: &str, seed: u64) -> Case {
    const PIECES: [&str; 18] = [
        "a", "a", "b", "b", ".", ".", ".", "*", "*.", "\\.", "\\097", "\\98", "\\", "A", "\\a", "\\256", ":",
        "@",
    ];
    let mut dice = Dice(seed);
    let mut text = String::new();
    for _ in 0..80 {
        let count = 1 + dice.below(5);
        let name = row(&mut dice, count, "", &PIECES);
        let _ = writeln!(text, "{}{name}{}", before(&mut dice), beside(&mut dice));
    }
    Case::new(origin, "rbldnsd:dnset", &text).ask(&[A, TXT], short_names()).ask_entries(&[A, TXT])
}

/// Records with words left out, doubled and misplaced. None that stops rbldnsd.
pub(crate) fn records(origin: &str, seed: u64) -> Case {
    const NAMES: [&str; 9] = ["a", "b", "a.b", "@", "*", ".", "a.", ".b", "\\097"];
    const TTLS: [&str; 8] = ["", "", "", " 60", " 1h", " 0", " IN", " 60 60"];
    const CLASSES: [&str; 6] = ["", "", " IN", " in", " HS", " IN IN"];
    const DATA: [&str; 26] = [
        "A 1.2.3.4",
        "A 1.2.3",
        "A 5",
        "A 0.0.0.0",
        "A 256",
        "A 1.2.3.4 x",
        "A",
        "a 1.2.3.4",
        "A 1..2",
        "A 01.2.3.4",
        "A 1.2.3.4#",
        "TXT x",
        "TXT \"x\"",
        "TXT \"x",
        "TXT x\"",
        "TXT \"",
        "TXT \"\"",
        "TXT",
        "TXT x  y",
        "TXT  lead",
        "TXT \"a b\" c",
        "MX 5 x",
        "MX 5 x.y.",
        "MX 70000 x",
        "MX 5 .",
        "MX x",
    ];
    let mut dice = Dice(seed);
    let mut text = String::new();
    for _ in 0..60 {
        let (name, ttl) = (one(&mut dice, &NAMES), one(&mut dice, &TTLS));
        let (class, data) = (one(&mut dice, &CLASSES), one(&mut dice, &DATA));
        let _ = writeln!(text, "{name}{ttl}{class} {data}");
        if dice.below(20) == 0 {
            let _ = writeln!(text, "$TTL {}", one(&mut dice, &["7", "0", "1d"]));
        }
    }
    Case::new(origin, "rbldnsd:generic", &text).ask(&[A, TXT, MX], short_names()).ask_entries(&[A])
}

/// Names of up to three labels of what the lines above are made of.
fn short_names() -> Vec<String> {
    const LABELS: [&str; 13] =
        ["a", "b", "aa", "ab", "ba", "bb", "*", "a\\.b", "a\\.", "\\.", "@", "a:", "B"];
    let mut names = vec![String::new()];
    names.extend(LABELS.map(str::to_owned));
    for first in LABELS {
        names.extend(LABELS.map(|second| format!("{first}.{second}")));
        names.extend(["a", "b", "*"].map(|third| format!("{first}.a.{third}")));
    }
    names
}
