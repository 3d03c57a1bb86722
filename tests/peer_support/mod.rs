//! Debian's rbldnsd and gatepost with the same arguments and files, asked the same questions.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod by_hand;
pub(crate) mod combined;
pub(crate) mod directives;
pub(crate) mod exclusions;
pub(crate) mod exempt;
pub(crate) mod lines;
pub(crate) mod packets;
pub(crate) mod random;
pub(crate) mod real;
pub(crate) mod reply;
pub(crate) mod rows;
pub(crate) mod servers;
pub(crate) mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use gatepost::parse::{Format, Options, Parser, RbldnsdOptions};
use gatepost::set::Set;

use crate::common::dns::{Over, exchange};
use exempt::Named;
use random::{name_v4, name_v6};
use reply::{NOERROR, SOA, Said};
use servers::Folder;
use servers::Pair;

/// Questions that are asked of both before the replies are compared.
const BATCH: usize = 8192;

/// A zone, of one data set unless it says otherwise, and what is asked about it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The zone; `.peer` is put behind it.
    pub(crate) origin: String,
    /// `rbldnsd:TYPE`.
    pub(crate) format: &'static str,
    pub(crate) files: Vec<Vec<u8>>,
    /// Further data sets of the zone: `rbldnsd:TYPE` and its file.
    pub(crate) beside: Vec<(&'static str, Vec<u8>)>,
    /// The origin of another case, whose data sets these are.
    pub(crate) twin_of: Option<String>,
    pub(crate) questions: Vec<Question>,
    /// Names that differ because of what stands in the files; `*` for all.
    pub(crate) named: Named,
    pub(crate) has_soa: bool,
    pub(crate) has_ns: bool,
    /// What the command line says of the files: the same in all cases of a run.
    pub(crate) options: RbldnsdOptions,
    /// Further options: the same in all cases of a run.
    pub(crate) extra: &'static [&'static str],
}

/// A question: what stands before the origin, with `\.` and `\ddd`, and a type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    pub(crate) below: String,
    pub(crate) qtype: u16,
}

impl Case {
    /// With `$SOA` and `$NS` at the head of its first file.
    pub(crate) fn new(origin: &str, format: &'static str, text: &str) -> Self {
        let head =
            "$SOA 3600 ns.example hostmaster.example 7 1h 2h 3h 120\n$NS 300 ns1.example ns2.example\n";
        Self { has_soa: true, has_ns: true, ..Self::bare(origin, format, format!("{head}{text}")) }
    }

    /// With nothing but `text`.
    pub(crate) fn bare(origin: &str, format: &'static str, text: impl AsRef<[u8]>) -> Self {
        Self {
            origin: format!("{origin}.peer"),
            format,
            files: vec![text.as_ref().to_vec()],
            beside: Vec::new(),
            twin_of: None,
            questions: Vec::new(),
            named: BTreeMap::new(),
            has_soa: false,
            has_ns: false,
            options: RbldnsdOptions::default(),
            extra: &[],
        }
    }

    /// Read with these options.
    pub(crate) fn read_with(self, options: RbldnsdOptions) -> Self {
        Self { options, ..self }
    }

    /// With these options on the command line.
    pub(crate) fn under(self, extra: &'static [&'static str]) -> Self {
        Self { extra, ..self }
    }

    /// One more file of the data set.
    pub(crate) fn file(mut self, text: &str) -> Self {
        self.files.push(text.as_bytes().to_vec());
        self
    }

    /// A file that is no text.
    pub(crate) fn octets(mut self, octets: Vec<u8>) -> Self {
        self.files.push(octets);
        self
    }

    /// One more data set of the zone.
    pub(crate) fn beside(mut self, format: &'static str, text: &str) -> Self {
        self.beside.push((format, text.as_bytes().to_vec()));
        self
    }

    /// Another zone of the very same data sets, asked the same.
    pub(crate) fn twin(&self, origin: &str) -> Self {
        let (origin, twin_of) = (format!("{origin}.peer"), Some(self.origin.clone()));
        Self { origin, twin_of, ..self.clone() }
    }

    /// Asks for these names, each for every type in `types`.
    pub(crate) fn ask<S: Into<String>>(mut self, types: &[u16], names: impl IntoIterator<Item = S>) -> Self {
        for below in names {
            let below: String = below.into();
            let question = |&qtype: &u16| Question { below: below.clone(), qtype };
            self.questions.extend(types.iter().map(question));
        }
        self
    }

    /// Names where the exemption that begins with these words is due.
    pub(crate) fn differs(mut self, why: &'static str, names: &[&str]) -> Self {
        assert!(exempt::ALL.iter().any(|known| known.starts_with(why)), "{why}");
        self.named.extend(names.iter().map(|name| ((*name).to_owned(), why)));
        self
    }

    /// Asks for the ends of every entry and exclusion as gatepost reads it, and what is beside them, in all forms that
    /// an address has: so what only one of the two reads shows, and what lies above something listed is known to.
    pub(crate) fn ask_entries(self, types: &[u16]) -> Self {
        let set = self.set();
        let mut asked = BTreeSet::new();
        let hosts = set.v4.hosts.iter().map(|&host| (host, host));
        let blocks = set.v4.blocks.iter().map(|block| (block.span.first, block.span.last));
        for (first, last) in hosts.chain(blocks) {
            for at in [first.wrapping_sub(1), first, last, last.wrapping_add(1)] {
                let mapped = name_v6(0xffff << 32 | u128::from(at));
                asked.extend([name_v4(at), mapped, name_v6(0x2002 << 112 | u128::from(at) << 80)]);
            }
        }
        for block in set.v6.iter() {
            let (first, last) = (block.span.first, block.span.last);
            asked.extend([first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(name_v6));
        }
        for entry in set.names.iter() {
            let name = entry.name.to_string();
            asked.extend(if name == "." {
                [String::new(), "x".to_owned()]
            } else {
                [format!("x.{name}"), name]
            });
        }
        self.ask(types, asked)
    }

    /// Whether the zone has other data sets than of IPv4 addresses.
    pub(crate) fn is_more_than_ip4(&self) -> bool {
        let mut formats = self.beside.iter().map(|(format, _)| *format).chain([self.format]);
        formats.any(|format| !format.starts_with("rbldnsd:ip4"))
    }

    /// What gatepost reads.
    fn set(&self) -> Set {
        let format: Format = self.format.parse().expect(self.format);
        let mut parser = Parser::new(format, &Options { rbldnsd: self.options, ..Options::default() });
        for file in &self.files {
            parser.read(&file[..], &mut |_| {}).expect("memory");
        }
        parser.finish().set
    }

    /// What the command line says of the zone; the files are put into the folder. `number` is its own.
    fn arguments(&self, number: usize, folder: &Folder) -> Vec<String> {
        let beside = self.beside.iter().map(|(format, file)| (*format, std::slice::from_ref(file)));
        let data_sets = std::iter::once((self.format, &self.files[..])).chain(beside);
        let mut arguments = Vec::new();
        for (set, (format, files)) in data_sets.enumerate() {
            let mut names = Vec::new();
            for (part, file) in files.iter().enumerate() {
                names.push(format!("{number}-{set}-{part}"));
                // Those of a twin are put there by the other.
                if self.twin_of.is_none() {
                    folder.put(&names[part], file);
                }
            }
            let kind = format.strip_prefix("rbldnsd:").expect("a type");
            arguments.push(format!("{}:{kind}:{}", self.origin, names.join(",")));
        }
        arguments
    }

    fn packet(&self, question: &Question) -> Vec<u8> {
        let mut packet = b"\0\0\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        put_labels(&question.below, &mut packet);
        put_labels(&self.origin, &mut packet);
        packet.push(0);
        packet.extend_from_slice(&question.qtype.to_be_bytes());
        packet.extend_from_slice(&[0, 1]);
        packet
    }
}

/// The labels of a text in wire form without the root's octet, letters as they are.
pub(crate) fn labels(text: &str) -> Vec<u8> {
    let mut wire = Vec::with_capacity(text.len() + 1);
    put_labels(text, &mut wire);
    wire
}

fn put_labels(text: &str, wire: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    let mut length = wire.len();
    wire.push(0);
    let mut close = |wire: &mut Vec<u8>| match wire.len() - length - 1 {
        // Nothing between two dots.
        0 => {}
        len => {
            wire[length] = len as u8;
            length = wire.len();
            wire.push(0);
        }
    };
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        match (octet, rest) {
            (b'.', _) => close(wire),
            (b'\\', [a, b, c, tail @ ..]) if a.is_ascii_digit() => {
                let digits = [a, b, c].iter().fold(0u16, |n, d| n * 10 + u16::from(**d - b'0'));
                wire.push(digits as u8);
                rest = tail;
            }
            (b'\\', [octet, tail @ ..]) => {
                wire.push(*octet);
                rest = tail;
            }
            _ => wire.push(octet),
        }
    }
    close(wire);
    wire.pop();
}

/// Differences that are shown of a case, and in all.
const SHOWN_OF_CASE: usize = 3;
const SHOWN: usize = 60;

/// How often each exemption was met.
pub(crate) type Hits = BTreeMap<&'static str, u64>;

/// Starts both, asks both everything, compares. Returns the hits and how many questions there were.
pub(crate) fn compare(rbldnsd: &Path, cases: &[Case]) -> (Hits, usize) {
    let mut hits = Hits::new();
    let (questions, faults) = differences(rbldnsd, cases, &mut hits);
    let shown = faults.iter().take(SHOWN).map(|fault| format!("\n  {fault}")).collect::<String>();
    assert!(faults.is_empty(), "differences that are not deliberate:{shown}");
    (hits, questions)
}

/// Starts both with the files of `before`, puts those of `after` in their place, and compares when both have loaded
/// them. The cases stand for the same zones.
pub(crate) fn compare_reloaded(rbldnsd: &Path, before: &[Case], after: &[Case]) -> (Hits, usize) {
    let folder = Folder::new();
    let pair = Pair::start(rbldnsd, &folder, &arguments(before, &folder));
    assert_eq!(arguments(before, &folder), arguments(after, &folder), "the same command line");
    pair.reload(&folder);
    let mut hits = Hits::new();
    let faults: Vec<_> = after.iter().flat_map(|case| compare_case(case, &pair, &mut hits)).collect();
    assert!(faults.is_empty(), "{} differences after a reload: {}", faults.len(), faults[0]);
    (hits, after.iter().map(|case| case.questions.len()).sum())
}

/// The same, telling what is not deliberate.
pub(crate) fn differences(rbldnsd: &Path, cases: &[Case], hits: &mut Hits) -> (usize, Vec<String>) {
    let folder = Folder::new();
    let pair = Pair::start(rbldnsd, &folder, &arguments(cases, &folder));
    let mut faults = Vec::new();
    for case in cases {
        let of_case = compare_case(case, &pair, hits);
        let more = of_case.len().saturating_sub(SHOWN_OF_CASE);
        faults.extend(of_case.into_iter().take(SHOWN_OF_CASE));
        faults.extend((more > 0).then(|| format!("and {more} more in {}", case.origin)));
    }
    (cases.iter().map(|case| case.questions.len()).sum(), faults)
}

/// What both are told.
pub(crate) fn arguments(cases: &[Case], folder: &Folder) -> Vec<String> {
    let numbers: BTreeMap<&str, usize> = cases.iter().map(|case| &*case.origin).zip(0..).collect();
    assert_eq!(numbers.len(), cases.len(), "two cases have one name");
    let (options, extra) = (cases[0].options, cases[0].extra);
    let same = |case: &Case| (case.options, case.extra) == (options, extra);
    assert!(cases.iter().all(same), "they are one program's");
    let mut arguments: Vec<String> = extra.iter().map(|&word| word.to_owned()).collect();
    if options != RbldnsdOptions::default() {
        let RbldnsdOptions { host_bits, default_ttl, min_ttl, max_ttl } = options;
        arguments.extend(host_bits.then(|| "-e".to_owned()));
        arguments.extend(["-t".to_owned(), format!("{default_ttl}:{min_ttl}:{max_ttl}")]);
    }
    for case in cases {
        let number = numbers[case.twin_of.as_ref().unwrap_or(&case.origin).as_str()];
        arguments.extend(case.arguments(number, folder));
    }
    arguments
}

fn compare_case(case: &Case, pair: &Pair, hits: &mut Hits) -> Vec<String> {
    let mut faults = Vec::new();
    let soa = Question { below: String::new(), qtype: SOA };
    let soa = ask(case, &[soa], pair.theirs.address).remove(0);
    let soa_ttl = soa.answers.first().map(|record| record.ttl);
    let (mut listed, mut different) = (Vec::new(), Vec::new());
    for questions in case.questions.chunks(BATCH) {
        let (theirs, ours) = thread::scope(|scope| {
            let theirs = scope.spawn(|| ask(case, questions, pair.theirs.address));
            let ours = ask(case, questions, pair.ours.address);
            (theirs.join().expect("asked"), ours)
        });
        for ((question, theirs), ours) in questions.iter().zip(theirs).zip(ours) {
            if theirs.rcode == NOERROR {
                listed.push(&*question.below);
            }
            let answers = |said: &Said| (said.rcode, said.authoritative, said.truncated);
            if answers(&theirs) != answers(&ours) || theirs.answers != ours.answers {
                different.push((question, theirs, ours));
                continue;
            }
            match exempt::beside(case, soa_ttl, &theirs, &ours) {
                Ok(found) => found.into_iter().for_each(|why| *hits.entry(why).or_default() += 1),
                Err(what) => faults.push(fault(case, question, &theirs, &ours, what)),
            }
        }
    }
    // Judged when all names are known that are listed: some differ because they have such below them.
    let asked = different.iter().map(|(question, ..)| labels(&question.below.to_ascii_lowercase()));
    let above = above(&listed, asked.collect());
    for (question, theirs, ours) in different {
        match exempt::exemption(case, question, &theirs, &ours, &above) {
            Some(why) => *hits.entry(why).or_default() += 1,
            None => faults.push(fault(case, question, &theirs, &ours, "the answer")),
        }
    }
    faults
}

/// Those of `names` that have listed ones below them.
fn above(listed: &[&str], names: BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    let mut above = BTreeSet::new();
    if names.is_empty() {
        return above;
    }
    for name in listed {
        let name = labels(&name.to_ascii_lowercase());
        let mut at = 0;
        while let Some(&len) = name.get(at) {
            at += 1 + usize::from(len);
            if let Some(found) = names.get(&name[at..]) {
                above.insert(found.clone());
            }
        }
    }
    above
}

fn fault(case: &Case, question: &Question, theirs: &Said, ours: &Said, what: &str) -> String {
    let Question { below, qtype } = question;
    format!("{what}: {below} in {} for {qtype}:\n    there {theirs:?}\n    here  {ours:?}", case.origin)
}

pub(crate) fn ask(case: &Case, questions: &[Question], server: SocketAddr) -> Vec<Said> {
    let mut said: Vec<Option<Said>> = vec![None; questions.len()];
    let packets = questions.iter().map(|question| case.packet(question)).zip(0..);
    exchange(server, Over::Udp, packets, |index: usize, question, packet| {
        let read = Said::read(packet, question);
        assert!(read.is_some(), "asked {question:02x?}, got {packet:02x?}");
        said[index] = read;
    });
    said.into_iter().map(|said| said.expect("asked")).collect()
}
