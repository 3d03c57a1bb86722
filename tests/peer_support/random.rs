//! Made-up data sets in a small space, so that entries meet: prefixes in prefixes, exclusions, repetitions, defaults,
//! values, variables, wildcards; and the questions at their edges.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::Case;
use super::reply::{A, AAAA, ANY, MX, TXT};
use crate::common::Dice;

/// What stands beside an entry, or nothing.
fn value(dice: &mut Dice) -> &'static str {
    const VALUES: [&str; 16] = [
        "",
        "",
        "",
        "",
        "",
        ":3",
        " :4",
        " :5:",
        " :6:six $",
        ":10.1.2.3:ten $1 $2 $$",
        " text $",
        " =plain $= $",
        " # comment",
        ";comment",
        " :7: spaced",
        " :127.0.0.9:nine",
    ];
    VALUES[dice.below(VALUES.len())]
}

/// A line that is no entry, now and then.
fn between(dice: &mut Dice, text: &mut String) {
    const LINES: [&str; 12] = [
        ":8:eight $",
        ":9:",
        ":2:",
        "# comment",
        "; comment",
        "",
        ":0:bad",
        "$1 one",
        "#$1 late",
        "$TTL 600",
        "$TTL 1h",
        "nonsense/",
    ];
    if dice.below(12) == 0 {
        let _ = writeln!(text, "{}", LINES[dice.below(LINES.len())]);
    }
}

/// What stands at the head of some files.
fn head(dice: &mut Dice) -> &'static str {
    ["", ":3:def $\n", "$= <$=> $1\n", "$2 two\n:4:$2\n", "$TTL 77\n"][dice.below(5)]
}

fn v4(dice: &mut Dice) -> u32 {
    let octet = |dice: &mut Dice| [0u32, 1, 2, 127, 128, 254, 255][dice.below(7)];
    let first = [10u32, 11, 172][dice.below(3)];
    first << 24 | octet(dice) << 16 | octet(dice) << 8 | octet(dice)
}

pub(crate) fn mask(len: usize) -> u32 {
    u32::MAX.checked_shr(len as u32).unwrap_or(0)
}

/// An entry in one of rbldnsd's spellings, and its ends.
fn entry_v4(dice: &mut Dice, ranges: bool) -> (String, u32, u32) {
    let at = v4(dice);
    let address = Ipv4Addr::from;
    let [a, b, c, _] = at.to_be_bytes();
    match dice.below(if ranges { 9 } else { 7 }) {
        0 | 1 => (address(at).to_string(), at, at),
        2 => (format!("{a}.{b}.{c}"), at & !0xff, at | 0xff),
        3 => (format!("{a}.{b}"), at & !0xffff, at | 0xffff),
        4 => (format!("{a}/8"), at & !0xff_ffff, at | 0xff_ffff),
        5 | 6 => {
            let len = 9 + dice.below(24);
            (format!("{}/{len}", address(at & !mask(len))), at & !mask(len), at | mask(len))
        }
        7 => {
            let other = v4(dice);
            let (first, last) = (at.min(other), at.max(other));
            (format!("{}-{}", address(first), address(last)), first, last)
        }
        _ => {
            let last = at | 0xff >> dice.below(8);
            (format!("{}-{}", address(at), last & 0xff), at, last)
        }
    }
}

/// Four octets.
pub(crate) fn name_v4(address: u32) -> String {
    let [a, b, c, d] = address.to_be_bytes();
    format!("{d}.{c}.{b}.{a}")
}

/// 32 nibbles.
pub(crate) fn name_v6(address: u128) -> String {
    let nibbles = (0..32).map(|at| format!("{:x}", address >> (4 * at) & 15));
    nibbles.collect::<Vec<_>>().join(".")
}

fn edges<T: Copy + Ord>(first: T, last: T, step: impl Fn(T, bool) -> T) -> [T; 4] {
    [step(first, false), first, last, step(last, true)]
}

/// An ip4set or an ip4trie of two files.
pub(crate) fn ip4(origin: &str, format: &'static str, seed: u64, entries: usize) -> Case {
    let mut dice = Dice(seed);
    let mut asked = BTreeSet::new();
    let mut files = Vec::new();
    for _ in 0..2 {
        let mut text = head(&mut dice).to_owned();
        for _ in 0..entries / 2 {
            between(&mut dice, &mut text);
            let (entry, first, last) = entry_v4(&mut dice, format == "rbldnsd:ip4set");
            let sign = ["", "", "", "!", "! "][dice.below(5)];
            let _ = writeln!(text, "{sign}{entry}{}", value(&mut dice));
            let inside = first + (dice.next() % (u64::from(last - first) + 1)) as u32;
            asked.extend(edges(
                first,
                last,
                |at, up| if up { at.saturating_add(1) } else { at.saturating_sub(1) },
            ));
            asked.insert(inside);
        }
        files.push(text);
    }
    let case = Case::new(origin, format, &files[0]).file(&files[1]);
    let six = asked
        .iter()
        .step_by(7)
        .map(|&v4| name_v6(0x2002 << 112 | u128::from(v4) << 80 | 99))
        .collect::<Vec<_>>();
    let mapped =
        asked.iter().step_by(7).map(|&v4| name_v6(0xffff << 32 | u128::from(v4))).collect::<Vec<_>>();
    case.ask(&[A, TXT], asked.iter().map(|&at| name_v4(at)))
        .ask(&[ANY, AAAA, MX], asked.iter().step_by(5).map(|&at| name_v4(at)))
        .ask(&[TXT], six)
        .ask(&[TXT], mapped)
}

/// An ip4tset.
pub(crate) fn ip4tset(origin: &str, seed: u64) -> Case {
    let mut dice = Dice(seed);
    let mut text = String::new();
    let mut asked = BTreeSet::new();
    for _ in 0..200 {
        between(&mut dice, &mut text);
        let at = v4(&mut dice);
        let _ = writeln!(text, "{}{}", Ipv4Addr::from(at), value(&mut dice));
        asked.extend([at.saturating_sub(1), at, at + 1]);
    }
    Case::new(origin, "rbldnsd:ip4tset", &text).ask(&[A, TXT, ANY, AAAA], asked.into_iter().map(name_v4))
}

fn v6(dice: &mut Dice) -> u128 {
    let word = |dice: &mut Dice| [0u128, 1, 0x7fff, 0x8000, 0xffff][dice.below(5)];
    let first = [0x2001u128, 0x3fff][dice.below(2)];
    (0..7).fold(first, |at, _| at << 16 | word(dice))
}

/// An ip6trie.
pub(crate) fn ip6trie(origin: &str, seed: u64) -> Case {
    let mut dice = Dice(seed);
    let mut text = head(&mut dice).to_owned();
    let mut asked = BTreeSet::new();
    for _ in 0..250 {
        between(&mut dice, &mut text);
        let at = v6(&mut dice);
        let words = 2 + dice.below(7);
        let (entry, len) = match dice.below(4) {
            0 => (Ipv6Addr::from(at).to_string(), 128),
            1 => {
                let words: Vec<String> =
                    (0..words).map(|n| format!("{:x}", at >> (112 - 16 * n) & 0xffff)).collect();
                (words.join(":"), 16 * words.len())
            }
            _ => {
                let len = 17 + dice.below(112);
                let first = at & !u128::MAX.checked_shr(len as u32).unwrap_or(0);
                (format!("{}/{len}", Ipv6Addr::from(first)), len)
            }
        };
        let host = u128::MAX.checked_shr(len as u32).unwrap_or(0);
        let sign = ["", "", "", "!", "! "][dice.below(5)];
        // What is glued to words by a colon would be one of them.
        let beside = value(&mut dice);
        let blank = if beside.starts_with(':') { " " } else { "" };
        let _ = writeln!(text, "{sign}{entry}{blank}{beside}");
        asked.extend(edges(at & !host, at | host, |at, up| if up { at.saturating_add(1) } else { at - 1 }));
        asked.insert(at);
    }
    Case::new(origin, "rbldnsd:ip6trie", &text)
        .ask(&[A, TXT], asked.iter().map(|&at| name_v6(at)))
        .ask(&[ANY, AAAA], asked.iter().step_by(9).map(|&at| name_v6(at)))
}

/// An ip6tset.
pub(crate) fn ip6tset(origin: &str, seed: u64) -> Case {
    let mut dice = Dice(seed);
    let mut text = String::new();
    let mut asked = BTreeSet::new();
    for _ in 0..150 {
        between(&mut dice, &mut text);
        let at = v6(&mut dice);
        let words: Vec<String> = (0..4).map(|n| format!("{:x}", at >> (112 - 16 * n) & 0xffff)).collect();
        match dice.below(3) {
            0 => _ = writeln!(text, "!{}{}", Ipv6Addr::from(at), [" ", " :5:x", ";c"][dice.below(3)]),
            _ => _ = writeln!(text, "{} {}", words.join(":"), value(&mut dice)),
        }
        let host = u128::from(u64::MAX);
        asked.extend(edges(at & !host, at | host, |at, up| if up { at.saturating_add(1) } else { at - 1 }));
        asked.insert(at);
    }
    Case::new(origin, "rbldnsd:ip6tset", &text).ask(&[A, TXT], asked.into_iter().map(name_v6))
}

fn name(dice: &mut Dice, labels: usize) -> String {
    let label = |dice: &mut Dice| ["a", "b", "c", "D"][dice.below(4)];
    let labels = 1 + dice.below(labels);
    (0..labels).map(|_| label(dice)).collect::<Vec<_>>().join(".")
}

/// Every name of up to four labels of four letters, in both cases here and there.
fn all_names() -> Vec<String> {
    let mut names = vec![String::new()];
    let mut longest = vec![String::new()];
    for _ in 0..4 {
        let longer =
            longest.iter().flat_map(|name| ["a", "B", "c", "d"].map(|label| format!("{label}.{name}")));
        longest = longer.map(|name| name.trim_end_matches('.').to_owned()).collect();
        names.extend(longest.iter().cloned());
    }
    names
}

/// A dnset (or dnhash, which is written alike).
pub(crate) fn dnset(origin: &str, format: &'static str, seed: u64) -> Case {
    let mut dice = Dice(seed);
    let mut text = head(&mut dice).to_owned();
    for _ in 0..120 {
        between(&mut dice, &mut text);
        let name = name(&mut dice, 4);
        let scope = ["", "", "*.", "."][dice.below(4)];
        let sign = ["", "", "", "!", "! "][dice.below(5)];
        let beside = value(&mut dice);
        let blank = if beside.is_empty() { "" } else { " " };
        let _ = writeln!(text, "{sign}{scope}{name}{blank}{beside}");
    }
    Case::new(origin, format, &text)
        .ask(&[A, TXT], all_names())
        .ask(&[ANY, AAAA, MX], all_names().into_iter().step_by(5))
        .ask(&[A], all_names().into_iter().map(|name| format!("x.{name}")))
}

/// A generic.
pub(crate) fn generic(origin: &str, seed: u64) -> Case {
    let mut dice = Dice(seed);
    let mut text = String::new();
    for _ in 0..150 {
        if dice.below(15) == 0 {
            let _ = writeln!(text, "$TTL {}", ["5", "1m", "0", "2h"][dice.below(4)]);
        }
        let name = if dice.below(20) == 0 { "@".to_owned() } else { name(&mut dice, 3) };
        let ttl = ["", "", " 30", " 1d", " 0"][dice.below(5)];
        let class = ["", " IN", " in"][dice.below(3)];
        let data = match dice.below(4) {
            0 => format!("TXT text {} $ $1", dice.below(3)),
            1 => format!("txt \"quoted {}\"", dice.below(3)),
            2 => format!("MX {} mx{}.example.", dice.below(3), dice.below(2)),
            _ => format!("A 10.0.0.{}", dice.below(4)),
        };
        let _ = writeln!(text, "{name}{ttl}{class} {data}");
    }
    let names =
        || all_names().into_iter().filter(|name| name.split('.').count() < 4 || name.ends_with("a.a.a"));
    Case::new(origin, "rbldnsd:generic", &text).ask(&[A, TXT, MX, ANY, AAAA], names())
}

/// A set or trie of prefixes with host bits set.
pub(crate) fn host_bits(origin: &str, format: &'static str, seed: u64) -> Case {
    let mut dice = Dice(seed);
    let mut text = head(&mut dice).to_owned();
    let mut asked = BTreeSet::new();
    for _ in 0..120 {
        between(&mut dice, &mut text);
        let sign = ["", "", "", "!", "! "][dice.below(5)];
        let beside = value(&mut dice);
        if format == "rbldnsd:ip6trie" {
            let at = v6(&mut dice);
            let len = 17 + dice.below(112);
            let host = u128::MAX.checked_shr(len as u32).unwrap_or(0);
            let _ = writeln!(text, "{sign}{}/{len}{beside}", Ipv6Addr::from(at));
            asked.extend([at, at & !host, at | host].map(name_v6));
        } else {
            let at = v4(&mut dice);
            let len = dice.below(33);
            let _ = writeln!(text, "{sign}{}/{len}{beside}", Ipv4Addr::from(at));
            let ends = [at & !mask(len), at | mask(len)];
            asked.extend(
                [ends[0], ends[1], ends[0].wrapping_sub(1), ends[1].wrapping_add(1), at].map(name_v4),
            );
            asked.insert(name_v6(0xffff << 32 | u128::from(at)));
        }
    }
    Case::new(origin, format, &text).ask(&[A, TXT], asked)
}
