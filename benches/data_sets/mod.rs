//! Made-up rbldnsd data sets of each type, with fixed seeds.
//!
//! Entries come in random order and, but for `generic`, with the default value alone. Addresses are uniform: that is the
//! hardest case, real lists are clustered.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::lists::{self, Random};
use crate::rig::ZONE;

/// Questions that are kept of each list.
const SAMPLES: usize = 1000;

/// A data set type, or a kind of list for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ip4set,
    Ip4tset,
    Ip4trie,
    Ip6tset,
    Ip6trie,
    Dnset,
    Generic,
    Combined,
    /// An ip4set of prefixes from /17 to /30, which rbldnsd unfolds.
    Prefixes,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Ip4set,
        Self::Ip4tset,
        Self::Ip4trie,
        Self::Ip6tset,
        Self::Ip6trie,
        Self::Dnset,
        Self::Generic,
        Self::Combined,
        Self::Prefixes,
    ];

    /// In the table and behind `--types`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prefixes => "prefixes",
            _ => self.data_set(),
        }
    }

    /// On rbldnsd's command line.
    pub(crate) fn data_set(self) -> &'static str {
        match self {
            Self::Ip4set | Self::Prefixes => "ip4set",
            Self::Ip4tset => "ip4tset",
            Self::Ip4trie => "ip4trie",
            Self::Ip6tset => "ip6tset",
            Self::Ip6trie => "ip6trie",
            Self::Dnset => "dnset",
            Self::Generic => "generic",
            Self::Combined => "combined",
        }
    }

    /// Writes a list of `size` entries, and one of a single entry. What both have, and what the first has.
    pub(crate) fn write(self, size: usize, list: &Path, single: &Path) -> Questions {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(list).expect("our folder"));
        let mut section = None;
        let mut both = None;
        let mut sample = Vec::new();
        for (number, entry) in self.entries(size).enumerate() {
            if section != entry.section {
                section = entry.section;
                writeln!(out, "$DATASET {}", section.expect("all entries have one")).expect("room");
            }
            if number == 0 && self != Self::Generic {
                writeln!(out, "{DEFAULT}").expect("room");
            }
            writeln!(out, "{}", entry.line).expect("room");
            let Some(asked) = entry.asked else { continue };
            if both.is_none() && number >= size / 2 {
                let head = section.map_or_else(String::new, |section| format!("$DATASET {section}\n"));
                std::fs::write(single, format!("{head}{}\n", entry.line)).expect("our folder");
                both = Some(asked.clone());
            }
            if number % size.div_ceil(SAMPLES) == 0 {
                sample.push(asked);
            }
        }
        out.flush().expect("room");
        Questions { both: both.expect("half of them can be asked for"), sample }
    }

    fn entries(self, size: usize) -> Box<dyn Iterator<Item = Entry>> {
        match self {
            Self::Ip4set | Self::Ip4tset | Self::Ip4trie => Box::new(addresses(size)),
            Self::Ip6tset => Box::new(networks(size)),
            Self::Ip6trie => Box::new(networks_and_addresses(size)),
            Self::Dnset => Box::new(names(size)),
            Self::Generic => Box::new(records(size)),
            Self::Prefixes => Box::new(prefixes(size)),
            Self::Combined => {
                let third = size / 3;
                let v4 = addresses(size - 2 * third).map(|entry| entry.within("ip4set:a v4", "v4"));
                let v6 = networks(third).map(|entry| entry.within("ip6tset:b v6", "v6"));
                let names = names(third).map(|entry| entry.within("dnset:c names", "names"));
                Box::new(v4.chain(v6).chain(names))
            }
        }
    }
}

/// Names below the zone that are listed.
pub(crate) struct Questions {
    /// In the list and in that of one entry.
    pub(crate) both: String,
    /// From all over the list.
    pub(crate) sample: Vec<String>,
}

/// The default value of all entries.
const DEFAULT: &str = ":127.0.0.2:Listed, see http://bl.example/?$";

struct Entry {
    line: String,
    /// A name with an A record; not every entry of `generic` has one.
    asked: Option<String>,
    /// Behind `$DATASET`.
    section: Option<&'static str>,
}

impl Entry {
    fn new(line: String, below_zone: &str) -> Self {
        Self { line, asked: Some(format!("{below_zone}.{ZONE}")), section: None }
    }

    fn within(self, section: &'static str, subzone: &str) -> Self {
        let asked = self.asked.map(|asked| asked.replace(ZONE, &format!("{subzone}.{ZONE}")));
        Self { line: self.line, asked, section: Some(section) }
    }
}

fn addresses(size: usize) -> impl Iterator<Item = Entry> {
    let mut list = lists::random(size, 1);
    Random::new(6).shuffle(&mut list);
    list.into_iter().map(|address| {
        let [a, b, c, d] = address.to_be_bytes();
        Entry::new(Ipv4Addr::from(address).to_string(), &format!("{d}.{c}.{b}.{a}"))
    })
}

fn prefixes(size: usize) -> impl Iterator<Item = Entry> {
    lists::prefixes(size, 5).into_iter().map(|(first, last)| {
        let [a, b, c, d] = first.to_be_bytes();
        let line = format!("{}/{}", Ipv4Addr::from(first), (last - first).leading_zeros());
        Entry::new(line, &format!("{d}.{c}.{b}.{a}"))
    })
}

/// A uniform address of those that are given out, 2000::/3.
fn address_v6(random: &mut Random) -> u128 {
    let address = u128::from(random.next()) << 64 | u128::from(random.next());
    address >> 3 | 1 << 125
}

fn entry_v6(line: String, address: u128) -> Entry {
    let nibbles: String = format!("{address:032x}").chars().rev().flat_map(|nibble| [nibble, '.']).collect();
    Entry::new(line, nibbles.trim_end_matches('.'))
}

/// /64s.
fn networks(size: usize) -> impl Iterator<Item = Entry> {
    let mut random = Random::new(7);
    iter::repeat_with(move || {
        let address = address_v6(&mut random);
        let [a, b, c, d, ..] = Ipv6Addr::from(address).segments();
        entry_v6(format!("{a:x}:{b:x}:{c:x}:{d:x}"), address)
    })
    .take(size)
}

/// Of ten one /48, one address, and else /64s.
fn networks_and_addresses(size: usize) -> impl Iterator<Item = Entry> {
    let mut random = Random::new(8);
    iter::repeat_with(move || {
        let address = address_v6(&mut random);
        let [a, b, c, d, ..] = Ipv6Addr::from(address).segments();
        let line = match random.below(10) {
            0 => format!("{a:x}:{b:x}:{c:x}::/48"),
            1 => Ipv6Addr::from(address).to_string(),
            _ => format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"),
        };
        entry_v6(line, address)
    })
    .take(size)
}

/// What names end with, the more frequent ones more often.
const ENDS: [&str; 12] =
    ["com", "com", "com", "com", "net", "org", "info", "xyz", "top", "co.uk", "com.br", "shop"];

fn name(random: &mut Random) -> String {
    let label = |random: &mut Random| {
        let len = 6 + random.below(9);
        let letter =
            |random: &mut Random| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[random.below(36)]);
        (0..len).map(|_| letter(random)).collect::<String>()
    };
    let domain = format!("{}.{}", label(random), ENDS[random.below(ENDS.len())]);
    match random.below(3) {
        0 => format!("{}.{domain}", label(random)),
        _ => domain,
    }
}

/// Domains and, one of three, hosts in domains that are not listed; one of ten with all names below it.
fn names(size: usize) -> impl Iterator<Item = Entry> {
    let mut random = Random::new(9);
    iter::repeat_with(move || {
        let name = name(&mut random);
        let line = if random.below(10) == 0 { format!(".{name}") } else { name.clone() };
        Entry::new(line, &name)
    })
    .take(size)
}

/// Of ten six A records with one of eight addresses, three TXT records with one of a thousand texts, and an MX record.
fn records(size: usize) -> impl Iterator<Item = Entry> {
    let mut random = Random::new(10);
    iter::repeat_with(move || {
        let name = name(&mut random);
        let data = match random.below(10) {
            0..6 => format!("A 127.0.0.{}", 2 + random.below(8)),
            6..9 => format!("TXT \"Listed, see http://bl.example/case/{}\"", random.below(1000)),
            _ => format!("MX 10 mx{}.example.net", random.below(10)),
        };
        let entry = Entry::new(format!("{name} {data}"), &name);
        if data.starts_with('A') { entry } else { Entry { asked: None, ..entry } }
    })
    .take(size)
}
