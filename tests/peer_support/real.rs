//! Real lists as data sets: every entry is asked for, read in the plainest way, and what lies around it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Case;
use super::random::{name_v4, name_v6};
use super::reply::{A, TXT};
use crate::common::Dice;

/// Addresses of an entry up to this are all asked for; of larger ones the ends and this many inside.
const WHOLE: u64 = 1024;

/// First words of the lines that are no comments, a sign of exclusion left out.
fn words(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text).into_owned();
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';', '$', ':']));
    let words =
        lines.filter_map(|line| line.trim_start_matches(['!', ' ']).split([' ', '\t', '#', ';']).next());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// `1.2.3.4`, `1.2.3.0/24` and `1.2.3.4-1.2.3.9`; other words are none.
fn span(word: &str) -> Option<(u32, u32)> {
    let word = word.split(':').next()?;
    let address = |text: &str| text.parse::<Ipv4Addr>().ok().map(u32::from);
    if let Some((first, last)) = word.split_once('-') {
        return Some((address(first)?, address(last)?));
    }
    let (first, len) = word.split_once('/').unwrap_or((word, "32"));
    let host = u32::MAX.checked_shr(len.parse().ok().filter(|&len| len <= 32)?).unwrap_or(0);
    let first = address(first)?;
    Some((first, first | host))
}

/// A list of IPv4 addresses, prefixes and ranges, with so many random addresses near to some of them and as many
/// anywhere. One in `texts` is asked for its text as well.
pub(crate) fn addresses(
    origin: &str,
    format: &'static str,
    text: Vec<u8>,
    neighbours: usize,
    texts: usize,
) -> Case {
    let spans: Vec<(u32, u32)> = words(&text).iter().filter_map(|word| span(word)).collect();
    assert!(spans.len() > 1000, "{origin}: {} entries", spans.len());
    let mut dice = Dice(spans.len() as u64);
    let mut asked = Vec::new();
    for &(first, last) in &spans {
        let len = u64::from(last - first) + 1;
        if len <= WHOLE {
            asked.extend(first..=last);
            continue;
        }
        asked.extend([first, last, first.wrapping_sub(1), last.wrapping_add(1)]);
        asked.extend((0..WHOLE).map(|_| first + (dice.next() % len) as u32));
    }
    for _ in 0..neighbours {
        let near = spans[dice.below(spans.len())].0;
        asked.push(near.wrapping_add(dice.below(512) as u32).wrapping_sub(256));
        asked.push(dice.next() as u32);
    }
    asked.sort_unstable();
    asked.dedup();
    let says = |word: &[u8]| text.windows(word.len()).any(|at| at == word);
    let (has_soa, has_ns) = (says(b"$SOA"), says(b"$NS"));
    let case = Case { has_soa, has_ns, ..Case::bare(origin, format, text) };
    case.ask(&[A], asked.iter().map(|&at| name_v4(at)))
        .ask(&[TXT], asked.iter().step_by(texts).map(|&at| name_v4(at)))
}

/// A list of IPv6 prefixes: the ends of each, and what is beside them.
pub(crate) fn prefixes(origin: &str, format: &'static str, text: Vec<u8>) -> Case {
    let mut asked = Vec::new();
    for word in words(&text) {
        let (first, len) = word.split_once('/').unwrap_or((&word, "128"));
        let Ok(first) = first.parse::<Ipv6Addr>().map(u128::from) else { continue };
        let host = u128::MAX.checked_shr(len.parse().expect("a prefix length")).unwrap_or(0);
        let last = first | host;
        asked.extend([first, last, first.wrapping_sub(1), last.wrapping_add(1)]);
    }
    assert!(asked.len() > 4000, "{origin}");
    asked.sort_unstable();
    asked.dedup();
    Case::bare(origin, format, text).ask(&[A], asked.into_iter().map(name_v6))
}

/// A list of names: each, and one below it.
pub(crate) fn names(origin: &str, text: Vec<u8>) -> Case {
    let names = words(&text);
    assert!(names.len() > 1000, "{origin}");
    let below = names.iter().step_by(5).map(|name| format!("x.{name}")).collect::<Vec<_>>();
    Case::bare(origin, "rbldnsd:dnset", text).ask(&[A], names).ask(&[A], below)
}
