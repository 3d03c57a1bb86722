//! Questions about what a zone has and what lies next to it, for comparing servers: answers are not foretold.
//!
//! Servers of the same data differ at edges: where a range ends, below a name and above it, at the apex, in capitals, at
//! the test points. So every edge is asked for, from both sides.

use std::collections::{BTreeSet, HashSet};

use super::draw::{
    Entry, Labels, UNICAST, all_of, below, label, public, under, v4, v6, within_v4, within_v6,
};
use super::random::Random;
use crate::client::Asked;
use crate::model::{Address, Name, Rtype, Span};
use crate::snapshot::Damaged;
use crate::zone::Zone;

/// Random things of each kind that are asked for in every zone, whatever it lists.
const STRAYS: usize = 4;
/// Random things that are asked for in a zone of fewer entries.
const MANY: usize = 200;

/// The test points of RFC 5782 section 5: listed and not, as IPv4 and IPv6 addresses and as names.
const POINTS_V4: [u32; 2] = [0x7f00_0002, 0x7f00_0001];
const POINTS_V6: [u128; 2] = [0xffff_7f00_0002, 0xffff_7f00_0001];
const POINTS_NAMES: [&str; 2] = ["test", "invalid"];

/// Where a zone that has them by itself has nothing of its lists: 127.0.0.0/8, which has one for each list's code, too, the same as IPv6 addresses,
/// and the names.
pub fn test_domains(origin: &Name) -> Vec<Name> {
    // Without the labels of what is not the same in all of them.
    let v4 = v4(0x7f00_0000).split_off(3 * 2);
    let v6 = v6(0xffff_7f00_0000).split_off(6 * 2);
    let names = POINTS_NAMES.map(|name| label(name.as_bytes()));
    [v4, v6].into_iter().chain(names).filter_map(|labels| below(origin, &labels)).collect()
}

/// What was drawn from a zone.
#[derive(Debug)]
pub struct Around {
    /// The questions.
    pub asked: Vec<Asked>,
    /// Entries that the zone has.
    pub entries: usize,
}

/// Questions about the zone itself, about at most `samples` of its entries (all, if it has no more), and about as many random
/// things; the same ones in every run.
pub fn around<D: AsRef<[u8]>>(zone: &Zone<D>, samples: usize) -> Result<Around, Damaged> {
    let mut random = Random::new(2);
    let mut drawing = Drawing { zone, asked: Vec::new(), known: HashSet::new() };
    drawing.the_zone_itself();
    let mut kinds = [0; 3];
    for entry in all_of(zone) {
        kinds[kind(&entry?)] += 1;
    }
    let entries = kinds.iter().sum();
    let chosen = chosen(entries, samples, &mut random);
    for (number, entry) in all_of(zone).enumerate() {
        if chosen.as_ref().is_none_or(|chosen| chosen.contains(&number)) {
            drawing.entry(entry?, &mut random);
        }
    }
    drawing.strays(kinds, samples.min(entries.max(MANY)), &mut random);
    Ok(Around { asked: drawing.asked, entries })
}

fn kind(entry: &Entry<'_>) -> usize {
    match entry {
        Entry::V4(_) => 0,
        Entry::V6(_) => 1,
        Entry::Name(_) => 2,
    }
}

/// The numbers of the entries that are asked for; `None` means all.
fn chosen(entries: usize, samples: usize, random: &mut Random) -> Option<BTreeSet<usize>> {
    if entries <= samples {
        return None;
    }
    let mut chosen = BTreeSet::new();
    while chosen.len() < samples {
        chosen.insert(random.below(entries as u64) as usize);
    }
    Some(chosen)
}

struct Drawing<'a, D> {
    zone: &'a Zone<D>,
    asked: Vec<Asked>,
    known: HashSet<Asked>,
}

impl<D: AsRef<[u8]>> Drawing<'_, D> {
    fn push(&mut self, labels: &[u8], rtype: Rtype, upper: bool) {
        // What would be too long a name is none.
        let Some(name) = below(self.zone.origin(), labels) else { return };
        let asked = Asked { name, rtype, upper };
        if self.known.insert(asked.clone()) {
            self.asked.push(asked);
        }
    }

    fn a(&mut self, labels: &[u8]) {
        self.push(labels, Rtype::A, false);
    }

    fn a_and_txt(&mut self, labels: &[u8]) {
        self.a(labels);
        self.push(labels, Rtype::TXT, false);
    }

    fn the_zone_itself(&mut self) {
        for rtype in [Rtype::SOA, Rtype::NS, Rtype::A, Rtype::TXT, Rtype::MX] {
            self.push(&[], rtype, false);
        }
        self.push(&[], Rtype::SOA, true);
        POINTS_V4.map(v4).iter().for_each(|labels| self.a_and_txt(labels));
        POINTS_V6.map(v6).iter().for_each(|labels| self.a_and_txt(labels));
        POINTS_NAMES.map(|name| label(name.as_bytes())).iter().for_each(|labels| self.a_and_txt(labels));
    }

    fn entry(&mut self, entry: Entry<'_>, random: &mut Random) {
        match entry {
            Entry::V4(span) => self.span(span, v4, within_v4(span, random)),
            Entry::V6(span) => self.span(span, v6, within_v6(span, random)),
            Entry::Name(stored) => self.name(stored.labels, random),
        }
    }

    /// Its ends, something inside in capitals and with its text, what is just outside, and the name above.
    fn span<A: Address>(&mut self, span: Span<A>, labels: fn(A) -> Labels, inside: A) {
        let [first, last, inside] = [span.first, span.last, inside].map(labels);
        self.a(&first);
        self.a(&last);
        self.a_and_txt(&inside);
        self.push(&inside, Rtype::A, true);
        let outside = [span.first.prev(), span.last.next()];
        outside.into_iter().flatten().for_each(|address| self.a(&labels(address)));
        self.above(&first);
    }

    /// Itself in both cases and for mail, something below it, one next to it, and the name above.
    fn name(&mut self, labels: &[u8], random: &mut Random) {
        self.a_and_txt(labels);
        self.push(labels, Rtype::MX, false);
        self.push(labels, Rtype::A, true);
        self.a_and_txt(&under(labels, random));
        if let Some((&len @ 1..63, rest)) = labels.split_first() {
            self.a(&[&[len + 1, b'x'], rest].concat());
        }
        self.above(labels);
    }

    /// The name without its first label: that it exists is said by some servers only.
    fn above(&mut self, labels: &[u8]) {
        if let Some((&len, rest)) = labels.split_first()
            && rest.len() > usize::from(len)
        {
            self.a(&rest[usize::from(len)..]);
        }
    }

    /// Random things, above all of the kinds that the zone has: nearly all of them are not listed.
    fn strays(&mut self, [v4s, v6s, names]: [usize; 3], samples: usize, random: &mut Random) {
        let number = |of_kind| if of_kind > 0 { samples.max(STRAYS) } else { STRAYS };
        for _ in 0..number(v4s) {
            self.a(&v4(public(random)));
        }
        for _ in 0..number(v6s) {
            self.a(&v6(within_v6(UNICAST, random)));
        }
        for _ in 0..number(names) {
            self.a(&under(b"\x07example", random));
        }
    }
}
