//! Debian's rbldnsd and a gatepost server on the same files, asked the same questions.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod by_hand;
pub(crate) mod combined;
pub(crate) mod exempt;
pub(crate) mod lines;
pub(crate) mod random;
pub(crate) mod reply;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gatepost::compile::{Member, ZoneSpec, expand};
use gatepost::model::{ContentHash, Template, Use};
use gatepost::parse::{Format, Options, Parser, RbldnsdOptions};
use gatepost::server::Server;
use gatepost::set::Set;

use crate::common::dns::{Over, exchange, try_ask};
use crate::common::say;
use crate::dns_support::{self, store};
use exempt::Named;
use random::{name_v4, name_v6};
use reply::{NOERROR, Said};

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A zone, of one data set unless it says otherwise, and what is asked about it.
pub(crate) struct Case {
    /// The zone; `.peer` is put behind it.
    pub(crate) origin: String,
    /// `rbldnsd:TYPE`.
    pub(crate) format: &'static str,
    pub(crate) files: Vec<Vec<u8>>,
    /// Further data sets of the zone: `rbldnsd:TYPE` and its file.
    pub(crate) beside: Vec<(&'static str, Vec<u8>)>,
    pub(crate) questions: Vec<Question>,
    /// Names that differ because of what stands in the files; `*` for all.
    pub(crate) named: Named,
    pub(crate) has_soa: bool,
    pub(crate) has_ns: bool,
    /// TTL of its SOA.
    pub(crate) soa_ttl: u32,
    /// What the command line says of the files: the same in all cases of a run.
    pub(crate) options: RbldnsdOptions,
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
            questions: Vec::new(),
            named: BTreeMap::new(),
            has_soa: false,
            has_ns: false,
            soa_ttl: 3600,
            options: RbldnsdOptions::default(),
        }
    }

    /// Read with these options.
    pub(crate) fn read_with(self, options: RbldnsdOptions) -> Self {
        Self { options, ..self }
    }

    /// One more file of the data set.
    pub(crate) fn file(mut self, text: &str) -> Self {
        self.files.push(text.as_bytes().to_vec());
        self
    }

    /// One more data set of the zone.
    pub(crate) fn beside(mut self, format: &'static str, text: &str) -> Self {
        self.beside.push((format, text.as_bytes().to_vec()));
        self
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

    /// Asks for the ends of every entry as gatepost reads it, so that what only one of the two reads shows, and the
    /// names above are known to be above something.
    pub(crate) fn ask_entries(self, types: &[u16]) -> Self {
        let set = self.set();
        let mut asked = BTreeSet::new();
        let hosts = set.v4.hosts.iter().map(|&host| (host, host));
        for (first, last) in
            hosts.chain(set.v4.blocks.iter().map(|block| (block.span.first, block.span.last)))
        {
            let mapped = name_v6(0xffff << 32 | u128::from(first));
            asked.extend([
                name_v4(first),
                name_v4(last),
                mapped,
                name_v6(0x2002 << 112 | u128::from(first) << 80),
            ]);
        }
        for block in &set.v6 {
            asked.extend([block.span.first, block.span.last].map(name_v6));
        }
        for entry in &set.names {
            let name = entry.name.to_string();
            asked.extend(if name == "." {
                [String::new(), "x".to_owned()]
            } else {
                [format!("x.{name}"), name]
            });
        }
        self.ask(types, asked)
    }

    /// What gatepost reads.
    fn set(&self) -> Set {
        self.read(self.format, &self.files).expect("memory")
    }

    fn read(&self, format: &str, files: &[Vec<u8>]) -> std::io::Result<Set> {
        let format: Format = format.parse().expect(format);
        let mut parser = Parser::new(format, &Options { rbldnsd: self.options, ..Options::default() });
        files.iter().try_for_each(|file| parser.read(&file[..], &mut |_| {}))?;
        Ok(parser.finish().set)
    }

    /// The zone as gatepost compiles it, with its subzones: nothing forced, values as published. None where a file is
    /// refused.
    pub(crate) fn specs(&self) -> Vec<ZoneSpec> {
        let beside = self.beside.iter().map(|(format, file)| self.read(format, std::slice::from_ref(file)));
        let sets: std::io::Result<Vec<Set>> =
            std::iter::once(self.read(self.format, &self.files)).chain(beside).collect();
        let Ok(sets) = sets else { return Vec::new() };
        let mut spec = dns_support::spec(&self.origin);
        spec.zone.ttl = self.options.default_ttl;
        spec.zone.test_points = false;
        if let Some(soa) = sets.iter().find_map(|set| set.directives.soa.as_ref()) {
            spec.zone.soa = soa.clone();
        }
        if let Some(ns) = sets.iter().find_map(|set| set.directives.ns.as_ref()) {
            spec.zone.ns = ns.clone();
        }
        spec.members.extend(sets.into_iter().map(|set| Member {
            name: "data-set".to_owned(),
            hash: ContentHash::of(self.origin.as_bytes()),
            set: Arc::new(set),
            use_: Use::Block,
            code: Ipv4Addr::new(127, 0, 0, 2),
            text: Template::default(),
            keep_values: true,
            foreign: false,
            never: None,
        }));
        expand(spec, |_| true)
    }

    fn packet(&self, question: &Question) -> Vec<u8> {
        let mut packet = b"\0\0\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        for label in labels(&question.below).iter().chain(&labels(&self.origin)) {
            packet.push(label.len() as u8);
            packet.extend_from_slice(label);
        }
        packet.push(0);
        packet.extend_from_slice(&question.qtype.to_be_bytes());
        packet.extend_from_slice(&[0, 1]);
        packet
    }
}

/// The labels of a text, letters as they are.
pub(crate) fn labels(text: &str) -> Vec<Vec<u8>> {
    let mut labels = vec![Vec::new()];
    let mut rest = text.as_bytes();
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        match (octet, rest) {
            (b'.', _) => labels.push(Vec::new()),
            (b'\\', [a, b, c, tail @ ..]) if a.is_ascii_digit() => {
                let digits = [a, b, c].iter().fold(0u16, |n, d| n * 10 + u16::from(**d - b'0'));
                labels.last_mut().expect("one").push(digits as u8);
                rest = tail;
            }
            (b'\\', [octet, tail @ ..]) => {
                labels.last_mut().expect("one").push(*octet);
                rest = tail;
            }
            _ => labels.last_mut().expect("one").push(octet),
        }
    }
    labels.retain(|label| !label.is_empty());
    labels
}

/// How often each exemption was met.
pub(crate) type Hits = BTreeMap<&'static str, u64>;

/// Where rbldnsd is; `None`, said loudly, where it is not installed.
pub(crate) fn rbldnsd(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join("rbldnsd")).find(|path| path.is_file());
    if found.is_none() {
        say(&format!("SKIPPED: {test}: rbldnsd is not installed (apt-get install rbldnsd)"));
    }
    found
}

/// Starts both, asks both everything, compares. Returns the hits and how many questions there were.
pub(crate) fn compare(rbldnsd: &Path, cases: &[Case]) -> (Hits, usize) {
    let origins: BTreeSet<&str> = cases.iter().map(|case| &*case.origin).collect();
    assert_eq!(origins.len(), cases.len(), "two cases have one name");
    let options = cases[0].options;
    assert!(cases.iter().all(|case| case.options == options), "they are one program's");
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = Peer::start(rbldnsd, folder.path(), cases);
    let state = folder.path().join("state");
    let specs: Vec<ZoneSpec> = cases.iter().flat_map(Case::specs).collect();
    let served: Vec<_> = specs.iter().map(|spec| (spec, spec.zone.soa.serial.unwrap_or(1))).collect();
    store::publish(&state, 1, &served);
    let mut settings = store::settings(&state, &[]);
    settings.zones = cases.iter().map(|case| case.origin.parse().expect("a name")).collect();
    let ours = Server::start(&settings, Box::new(BTreeSet::new)).expect("starts");
    let (mut hits, mut questions) = (Hits::new(), 0);
    let mut faults = Vec::new();
    for case in cases {
        questions += case.questions.len();
        compare_case(case, theirs.address, ours.addresses()[0], &mut hits, &mut faults);
    }
    ours.stop();
    let shown = faults.iter().take(40).map(|fault| format!("\n  {fault}")).collect::<String>();
    assert!(faults.is_empty(), "{} differences that are not deliberate:{shown}", faults.len());
    (hits, questions)
}

fn compare_case(
    case: &Case,
    theirs: SocketAddr,
    ours: SocketAddr,
    hits: &mut Hits,
    faults: &mut Vec<String>,
) {
    let (theirs, ours) = thread::scope(|scope| {
        let theirs = scope.spawn(|| ask(case, theirs));
        let ours = ask(case, ours);
        (theirs.join().expect("asked"), ours)
    });
    let listed = case.questions.iter().zip(&theirs).filter(|(_, said)| said.rcode == NOERROR);
    let above: BTreeSet<Vec<Vec<u8>>> = listed.flat_map(|(question, _)| ancestors(&question.below)).collect();
    for ((question, theirs), ours) in case.questions.iter().zip(&theirs).zip(&ours) {
        let answers = |said: &Said| (said.rcode, said.authoritative, said.truncated, said.answers.clone());
        if answers(theirs) == answers(ours) {
            for why in exempt::beside(case, theirs, ours) {
                *hits.entry(why).or_default() += 1;
            }
        } else if let Some(why) = exempt::exemption(case, question, theirs, ours, &above) {
            *hits.entry(why).or_default() += 1;
        } else {
            let Question { below, qtype } = question;
            faults.push(format!(
                "{below} in {} for {qtype}:\n    there {theirs:?}\n    here  {ours:?}",
                case.origin
            ));
        }
    }
}

/// Asks a server everything; the replies in the order of the questions.
pub(crate) fn ask(case: &Case, server: SocketAddr) -> Vec<Said> {
    let mut said: Vec<Option<Said>> = vec![None; case.questions.len()];
    let packets = case.questions.iter().map(|question| case.packet(question)).zip(0..);
    exchange(server, Over::Udp, packets, |index: usize, question, packet| {
        let read = Said::read(packet, question);
        assert!(read.is_some(), "asked {question:02x?}, got {packet:02x?}");
        said[index] = read;
    });
    said.into_iter().map(|said| said.expect("asked")).collect()
}

/// The names above `below`, within the zone.
fn ancestors(below: &str) -> impl Iterator<Item = Vec<Vec<u8>>> + use<> {
    let name = labels(&below.to_ascii_lowercase());
    (1..name.len()).map(move |skip| name[skip..].to_vec())
}

/// What its command line says.
fn arguments(options: RbldnsdOptions) -> Vec<String> {
    if options == RbldnsdOptions::default() {
        return Vec::new();
    }
    let RbldnsdOptions { host_bits, default_ttl, min_ttl, max_ttl } = options;
    let ttl = ["-t".to_owned(), format!("{default_ttl}:{min_ttl}:{max_ttl}")];
    host_bits.then(|| "-e".to_owned()).into_iter().chain(ttl).collect()
}

/// A running rbldnsd; ends with this.
pub(crate) struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    pub(crate) fn start(program: &Path, folder: &Path, cases: &[Case]) -> Self {
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our file");
        };
        mode(folder, 0o755);
        // A port that is free now.
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        // `-q`: a data set that cannot be loaded costs its own zone.
        command.args(["-n", "-q", "-b"]).arg(format!("127.0.0.1/{port}")).arg("-w").arg(folder);
        command.args(arguments(cases[0].options));
        if nix::unistd::geteuid().is_root() {
            // It refuses to stay root.
            command.args(["-u", "nobody"]);
        }
        for (number, case) in cases.iter().enumerate() {
            let beside = case.beside.iter().map(|(format, file)| (*format, std::slice::from_ref(file)));
            let data_sets = std::iter::once((case.format, &case.files[..])).chain(beside);
            for (set, (format, files)) in data_sets.enumerate() {
                let mut names = Vec::new();
                for (part, file) in files.iter().enumerate() {
                    let name = format!("{number}-{set}-{part}");
                    fs::write(folder.join(&name), file).expect("our folder");
                    mode(&folder.join(&name), 0o644);
                    names.push(name);
                }
                let kind = format.strip_prefix("rbldnsd:").expect("a type").replace("dnhash", "dnset");
                command.arg(format!("{}:{kind}:{}", case.origin, names.join(",")));
            }
        }
        let log = fs::File::create(folder.join("log")).expect("our folder");
        command.stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("it can be started");
        let mut peer = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let end = Instant::now() + PATIENCE;
        while try_ask(peer.address, "nothing.example", reply::SOA).is_none() {
            let ended = peer.child.try_wait().expect("a child");
            let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < end, "rbldnsd did not start: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
        peer
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
