//! Data sets rich in exclusions: thousands at every level, with equal, wider and finer listings around each, exclusions
//! in those again, spread over three files, and each end asked for.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::Case;
use super::random::{mask, name_v4, name_v6};
use super::reply::{A, TXT};
use crate::common::Dice;

/// Exclusions at each of the levels that can hold so many.
const EACH: usize = 10_000;

/// Three files that lines are dealt to.
struct Files([String; 3]);

impl Files {
    fn new() -> Self {
        Self(["$0 zero\n:3:$ is listed $0\n".to_owned(), String::new(), ":9:third\n".to_owned()])
    }

    fn put(&mut self, dice: &mut Dice, entry: &str, excluded: bool) {
        const BESIDE: [&str; 6] = ["", "", " :4", " :5:five $", ":6:", " # comment"];
        let sign = if excluded { ["!", "! "][dice.below(2)] } else { "" };
        // Words of an IPv6 address would swallow what is glued to them.
        let beside = BESIDE[dice.below(6)];
        let blank = if entry.matches(':').count() > 0 { " " } else { "" };
        let _ = writeln!(self.0[dice.below(3)], "{sign}{entry}{blank}{beside}");
    }

    fn case(self, origin: &str, format: &'static str) -> Case {
        let [first, second, third] = &self.0;
        Case::new(origin, format, first).file(second).file(third)
    }
}

/// How many lines of a case are exclusions.
pub(crate) fn count(case: &Case) -> usize {
    let lines = case.files.iter().flat_map(|file| file.split(|&octet| octet == b'\n'));
    lines.filter(|line| line.first() == Some(&b'!')).count()
}

/// Where the exclusions of a level lie: close enough together that they meet others.
fn place(dice: &mut Dice, len: usize) -> u32 {
    let random = dice.next() as u32;
    match len {
        ..=8 => random,
        9..=16 => (1 + dice.below(80) as u32) << 24 | random & 0xff_ffff,
        17..=24 => (1 + dice.below(4) as u32) << 24 | random & 0xff_ffff,
        _ => 0x0102_0000 | random & 0x000f_ffff,
    }
}

/// Levels of an ip4set, then what lies between them: prefix lengths, and how many exclusions have one of them.
const LEVELS: [(usize, usize, usize); 7] = [
    (32, 32, EACH),
    (24, 24, EACH),
    (16, 16, EACH),
    (8, 8, 100),
    (25, 31, EACH / 2),
    (17, 23, EACH / 2),
    (9, 15, EACH / 20),
];

/// An ip4set or ip4trie.
pub(crate) fn ip4(origin: &str, format: &'static str) -> Case {
    let mut dice = Dice(20_260_701);
    let (mut files, mut asked) = (Files::new(), BTreeSet::new());
    for (shortest, longest, count) in LEVELS {
        let mut known = BTreeSet::new();
        while known.len() < count {
            let len = shortest + dice.below(longest - shortest + 1);
            let at = place(&mut dice, len);
            if known.insert((at & !mask(len), len)) {
                around(&mut dice, at, len, &mut files, &mut asked);
            }
        }
    }
    if format == "rbldnsd:ip4set" {
        for _ in 0..EACH / 5 {
            range(&mut dice, &mut files, &mut asked);
        }
    }
    files
        .case(origin, format)
        .ask(&[A], asked.iter().map(|&at| name_v4(at)))
        .ask(&[TXT], asked.iter().step_by(7).map(|&at| name_v4(at)))
}

/// The exclusion of `at/len`; beside it as the dice will one as wide that is listed, a wider one, and a chain of
/// finer ones, listed and excluded in turn.
fn around(dice: &mut Dice, at: u32, len: usize, files: &mut Files, asked: &mut BTreeSet<u32>) {
    let mut put = |dice: &mut Dice, len: usize, excluded: bool| {
        let (first, last) = (at & !mask(len), at | mask(len));
        files.put(dice, &format!("{}/{len}", Ipv4Addr::from(first)), excluded);
        asked.extend([first.saturating_sub(1), first, at, last, last.saturating_add(1)]);
    };
    put(dice, len, true);
    if dice.below(2) == 0 {
        put(dice, len, false);
    }
    if dice.below(3) == 0 {
        // Rarely as wide as an eighth of everything: each takes its time in rbldnsd.
        let wider = len.saturating_sub(1 + dice.below(7));
        let widest = if dice.below(50) == 0 { 8 } else { 14.min(len) };
        put(dice, wider.max(widest), false);
    }
    let (mut finer, mut excluded) = (len, false);
    while finer < 32 && dice.below(3) > 0 {
        finer = (finer + 1 + dice.below(8)).min(32);
        put(dice, finer, excluded);
        excluded = !excluded;
    }
}

/// An excluded range in one of its spellings, and as often as not a listed one that overlaps it.
fn range(dice: &mut Dice, files: &mut Files, asked: &mut BTreeSet<u32>) {
    for excluded in [true, false] {
        if !excluded && dice.below(2) == 0 {
            return;
        }
        let level = [16, 24, 32][dice.below(3)];
        let first = place(dice, level);
        let [a, b, c, d] = first.to_be_bytes();
        let end = |from: u8, dice: &mut Dice| from.saturating_add(dice.below(40) as u8);
        let (entry, first, last) = match dice.below(4) {
            0 => {
                let last = first.saturating_add(dice.below(5000) as u32);
                (format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last)), first, last)
            }
            1 => {
                let last = end(d, dice);
                (format!("{a}.{b}.{c}.{d}-{last}"), first, first & !0xff | u32::from(last))
            }
            2 => {
                let last = end(c, dice);
                let span = (first & !0xff, first & !0xffff | u32::from(last) << 8 | 0xff);
                (format!("{a}.{b}.{c}-{last}"), span.0, span.1)
            }
            _ => {
                let last = end(b, dice);
                let span = (first & !0xffff, first & !0xff_ffff | u32::from(last) << 16 | 0xffff);
                (format!("{a}.{b}-{a}.{last}"), span.0, span.1)
            }
        };
        files.put(dice, &entry, excluded);
        asked.extend([first.saturating_sub(1), first, last, last.saturating_add(1)]);
    }
}

/// An ip6trie: at whole words and between them.
pub(crate) fn ip6trie(origin: &str) -> Case {
    let mut dice = Dice(20_260_702);
    let (mut files, mut asked) = (Files::new(), BTreeSet::new());
    let mut put = |dice: &mut Dice, at: u128, len: usize, excluded: bool| {
        let host = u128::MAX.checked_shr(len as u32).unwrap_or(0);
        let (first, last) = (at & !host, at | host);
        files.put(dice, &format!("{}/{len}", Ipv6Addr::from(first)), excluded);
        asked.extend([first.saturating_sub(1), first, at, last, last.saturating_add(1)]);
    };
    for number in 0..3 * EACH {
        let word = |dice: &mut Dice| u128::from([0, 1, 2, 0x7fff, 0x8000, 0xffff][dice.below(6)] as u16);
        let at = (0..7).fold(0x2001, |at, _| at << 16 | word(&mut dice));
        let len = if number % 2 == 0 { 16 * (2 + dice.below(7)) } else { 17 + dice.below(112) };
        put(&mut dice, at, len, true);
        if dice.below(3) == 0 {
            put(&mut dice, at, len, false);
        }
        if dice.below(3) == 0 {
            let wider = len.saturating_sub(1 + dice.below(20)).max(16);
            put(&mut dice, at, wider, false);
        }
        let (mut finer, mut excluded) = (len, false);
        while finer < 128 && dice.below(2) == 0 {
            finer = (finer + 1 + dice.below(20)).min(128);
            put(&mut dice, at, finer, excluded);
            excluded = !excluded;
        }
    }
    files
        .case(origin, "rbldnsd:ip6trie")
        .ask(&[A], asked.iter().map(|&at| name_v6(at)))
        .ask(&[TXT], asked.iter().step_by(9).map(|&at| name_v6(at)))
}

/// An ip6tset: excluded addresses in listed /64s and outside of them.
pub(crate) fn ip6tset(origin: &str) -> Case {
    let mut dice = Dice(20_260_703);
    let (mut files, mut asked) = (Files::new(), BTreeSet::new());
    for _ in 0..EACH {
        let network = 0x2001_0db8u128 << 96 | u128::from(dice.next() as u16 & 0xfff) << 64;
        let at = network | u128::from([0, 1, 2, u64::MAX, dice.next()][dice.below(5)]);
        let words: Vec<String> = (0..8).map(|n| format!("{:x}", at >> (112 - 16 * n) & 0xffff)).collect();
        files.put(&mut dice, &words.join(":"), true);
        if dice.below(4) == 0 {
            files.put(&mut dice, &words[..4].join(":"), false);
        }
        asked.extend([at - 1, at, at + 1, network, network | u128::from(u64::MAX)]);
    }
    files.case(origin, "rbldnsd:ip6tset").ask(&[A, TXT], asked.into_iter().map(name_v6))
}

/// A dnset: plain names, wildcards and both, excluded and listed, one above another.
pub(crate) fn dnset(origin: &str) -> Case {
    let mut dice = Dice(20_260_704);
    let (mut files, mut asked) = (Files::new(), BTreeSet::new());
    for _ in 0..2 * EACH {
        let depth = 1 + dice.below(7);
        let labels: Vec<&str> =
            (0..depth).map(|_| ["a", "b", "c", "d", "e", "f", "g", "h"][dice.below(8)]).collect();
        let name = labels.join(".");
        let scope = ["", "*.", "."][dice.below(3)];
        files.put(&mut dice, &format!("{scope}{name}"), true);
        if dice.below(3) == 0 {
            files.put(&mut dice, &format!("{scope}{name}"), false);
        }
        if dice.below(2) == 0 {
            let finer = ["", "*.", "."][dice.below(3)];
            files.put(&mut dice, &format!("{finer}x.{name}"), false);
        }
        if dice.below(2) == 0 && depth > 1 {
            let wider = ["*.", "."][dice.below(2)];
            let above = labels[1..].join(".");
            files.put(&mut dice, &format!("{wider}{above}"), false);
            asked.extend([format!("x.{above}"), above]);
        }
        asked.extend([format!("y.x.{name}"), format!("x.{name}"), format!("z.{name}"), name]);
    }
    files
        .case(origin, "rbldnsd:dnset")
        .ask(&[A], asked.iter().cloned())
        .ask(&[TXT], asked.into_iter().step_by(5))
}
