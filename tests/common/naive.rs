//! Lists read in the plainest way, and a plain sorted model of what a zone of one list must answer.
//!
//! Written beside the program, not from it: the standard library's address parser, a few splits, binary searches.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first word of each line: an address, a prefix, a range or a name. `#` and `;` begin comments.
    Lines,
    /// The value of `cidr` in a JSON object a line.
    Json,
    /// The column under this title.
    Csv(&'static str),
    /// First and last address in two columns.
    Dshield,
    /// The second word of each line.
    Hosts,
    /// Lines, with `!` before what is excluded; `:` and `$` lines say something else.
    Rbldnsd,
}

/// What a list says, in the order of the file, repetitions and all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) v4: Vec<(u32, u32)>,
    pub(crate) v6: Vec<(u128, u128)>,
    pub(crate) names: Vec<String>,
    pub(crate) excluded_v4: Vec<(u32, u32)>,
    /// What stands behind the entry (for lists whose text quotes it), for the entries of `v4`.
    pub(crate) notes_v4: Vec<String>,
}

impl Content {
    pub(crate) fn read(kind: Kind, octets: &[u8]) -> Self {
        // Octets of Latin-1 stand in comments only; any reading of them will do.
        let text: String = octets.iter().map(|&octet| char::from(octet)).collect();
        let text = text.strip_prefix("\u{ef}\u{bb}\u{bf}").unwrap_or(&text);
        let mut content = Self::default();
        let mut column = None;
        for line in text.lines().map(str::trim) {
            match kind {
                Kind::Lines => content.line(line),
                Kind::Json => {
                    let Ok(object) = serde_json::from_str::<serde_json::Value>(line) else { continue };
                    if let Some(cidr) = object["cidr"].as_str() {
                        content.entry(cidr, object["sblid"].as_str().unwrap_or_default());
                    }
                }
                Kind::Csv(title) => {
                    let cells: Vec<&str> = line.split(',').map(|cell| cell.trim_matches('"')).collect();
                    match column {
                        _ if line.starts_with('#') => {}
                        None => column = cells.iter().position(|cell| *cell == title),
                        Some(column) => content.entry(cells.get(column).unwrap_or(&""), ""),
                    }
                }
                Kind::Dshield => {
                    let mut cells = line.split('\t').map(str::parse::<Ipv4Addr>);
                    if let (Some(Ok(first)), Some(Ok(last))) = (cells.next(), cells.next()) {
                        content.put_v4((first.into(), last.into()), "");
                    }
                }
                Kind::Hosts => {
                    if let (Some(_), Some(name)) = words(line) {
                        content.entry(name, "");
                    }
                }
                Kind::Rbldnsd if line.starts_with([':', '$']) => {}
                Kind::Rbldnsd => match line.strip_prefix('!') {
                    Some(excluded) => {
                        let spans = std::mem::take(&mut content.v4);
                        content.line(excluded);
                        let excluded = std::mem::replace(&mut content.v4, spans);
                        content.excluded_v4.extend(&excluded);
                        content.notes_v4.truncate(content.v4.len());
                    }
                    None => content.line(line),
                },
            }
        }
        content
    }

    fn line(&mut self, line: &str) {
        if let (Some(entry), note) = words(line) {
            let note = note.unwrap_or_default();
            self.entry(entry, note);
        }
    }

    fn entry(&mut self, text: &str, note: &str) {
        if let Some(span) = span_v4(text) {
            self.put_v4(span, note);
        } else if let Some(span) = span_v6(text) {
            self.v6.push(span);
        } else if is_name(text) {
            self.names.push(text.to_ascii_lowercase());
        }
    }

    fn put_v4(&mut self, span: (u32, u32), note: &str) {
        self.v4.push(span);
        self.notes_v4.push(note.to_owned());
    }

    /// Entries, repetitions counted.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len() + self.names.len()
    }
}

/// The first word and the one after it, comment marks and columns between them left out.
fn words(line: &str) -> (Option<&str>, Option<&str>) {
    if line.starts_with(['#', ';']) {
        return (None, None);
    }
    let mut words = line.split([' ', '\t', ';', '#', ',']).filter(|word| !word.is_empty());
    (words.next(), words.next())
}

fn span_v4(text: &str) -> Option<(u32, u32)> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (first.parse::<Ipv4Addr>().ok()?, last.parse::<Ipv4Addr>().ok()?);
        return Some((first.into(), last.into()));
    }
    let (address, len) = text.split_once('/').unwrap_or((text, "32"));
    let (address, len) = (u32::from(address.parse::<Ipv4Addr>().ok()?), len.parse::<u32>().ok()?);
    let host = u32::MAX.checked_shr(len).unwrap_or(0);
    Some((address, address | host))
}

fn span_v6(text: &str) -> Option<(u128, u128)> {
    let (address, len) = text.split_once('/').unwrap_or((text, "128"));
    let (address, len) = (u128::from(address.parse::<Ipv6Addr>().ok()?), len.parse::<u32>().ok()?);
    let host = u128::MAX.checked_shr(len).unwrap_or(0);
    Some((address, address | host))
}

/// Letters, digits, `-`, `_` and dots, and not a number in every label (`0x5bf0a1c2`, `010.1.2.3`: addresses in
/// spellings that nobody should guess at).
fn is_name(text: &str) -> bool {
    let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let is_number = |label: &str| match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    };
    letters && !text.is_empty() && !text.split('.').all(is_number)
}

/// What nobody on the internet speaks from, as IANA's registries have it.
const NEVER: [&str; 29] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/63",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// What is reachable within that.
const REACHABLE: [&str; 9] = [
    "192.0.0.9",
    "192.0.0.10",
    "2001:1::1",
    "2001:1::2",
    "2001:1::3",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
];

/// What not even a list of bogons may list.
const NEVER_BOGONS: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// What a zone of one list must answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
    names: HashSet<String>,
    excluded_v4: Vec<(u32, u32)>,
    never_v4: Vec<(u32, u32)>,
    never_v6: Vec<(u128, u128)>,
    reachable_v4: Vec<(u32, u32)>,
    reachable_v6: Vec<(u128, u128)>,
}

impl Model {
    /// `bogons`: the list may hold what others may not.
    pub(crate) fn new(content: &Content, bogons: bool) -> Self {
        let never: &[&str] = if bogons { &NEVER_BOGONS } else { &NEVER };
        Self {
            v4: merged(content.v4.clone()),
            v6: merged(content.v6.clone()),
            names: content.names.iter().cloned().collect(),
            excluded_v4: merged(content.excluded_v4.clone()),
            never_v4: merged(never.iter().filter_map(|text| span_v4(text)).collect()),
            never_v6: merged(never.iter().filter_map(|text| span_v6(text)).collect()),
            reachable_v4: merged(REACHABLE.iter().filter_map(|text| span_v4(text)).collect()),
            reachable_v6: merged(REACHABLE.iter().filter_map(|text| span_v6(text)).collect()),
        }
    }

    pub(crate) fn lists_v4(&self, address: u32) -> bool {
        match Ipv4Addr::from(address).octets() {
            // The test points of RFC 5782.
            [127, 0, 0, 1] => false,
            [127, 0, 0, 2] => true,
            _ => {
                holds(&self.v4, address)
                    && !holds(&self.excluded_v4, address)
                    && (!holds(&self.never_v4, address) || holds(&self.reachable_v4, address))
            }
        }
    }

    /// Whether the name of `address` has something below it: four octets of one digit are also the first nibbles of
    /// IPv6 addresses, and a name above a listed one exists (RFC 8020).
    pub(crate) fn is_above_v6(&self, address: u32) -> bool {
        let octets = address.to_be_bytes();
        if octets.iter().any(|&octet| octet > 9) {
            return false;
        }
        let head = octets.iter().fold(0u128, |head, &octet| head << 4 | u128::from(octet));
        let (first, last) = (head << 112, head << 112 | (u128::MAX >> 16));
        // Where something can begin to be listed: at the first address, where a span begins, behind a forbidden one.
        let begins = self
            .v6
            .iter()
            .map(|span| span.0)
            .chain(self.never_v6.iter().filter_map(|span| span.1.checked_add(1)));
        // The IPv6 test point is the IPv4 one, mapped.
        let test_point = Ipv4Addr::new(127, 0, 0, 2).to_ipv6_mapped().to_bits();
        begins.chain([first, test_point]).any(|at| first <= at && at <= last && self.lists_v6(at))
    }

    pub(crate) fn lists_v6(&self, address: u128) -> bool {
        if let Some(v4) = Ipv6Addr::from(address).to_ipv4_mapped() {
            return self.lists_v4(v4.into());
        }
        holds(&self.v6, address) && (!holds(&self.never_v6, address) || holds(&self.reachable_v6, address))
    }

    pub(crate) fn lists_name(&self, name: &str) -> bool {
        match name {
            // The test points of RFC 5782 for names.
            "test" => true,
            "invalid" => false,
            _ => self.names.contains(name),
        }
    }
}

/// Sorted, overlaps and repetitions gone.
fn merged<A: Copy + Ord>(mut spans: Vec<(A, A)>) -> Vec<(A, A)> {
    spans.sort_unstable();
    let mut merged: Vec<(A, A)> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
            _ => merged.push(span),
        }
    }
    merged
}

fn holds<A: Copy + Ord>(spans: &[(A, A)], address: A) -> bool {
    let after = spans.partition_point(|span| span.0 <= address);
    after.checked_sub(1).is_some_and(|at| spans[at].1 >= address)
}
