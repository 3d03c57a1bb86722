//! The whole way, with real processes: lists served over HTTP → `gatepost sync` → `gatepost serve` → DNS answers over
//! UDP and TCP. Every version of every list is held against a model that reads the file in the plainest way
//! (`common::naive`): each entry answers as its file says, what a version brings and takes away is there and gone,
//! and a million random addresses agree, over UDP and over TCP.
//!
//! The same proof runs twice: over made-up lists in `tests/data`, always, and over the real ones, where they are.
#![cfg(feature = "full")]

mod common;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use common::dns::{A, NOERROR, NXDOMAIN, Over, Reply, TXT, ask_all, name_v4, name_v6, question};
use common::feed_server::{FeedServer, Page};
use common::naive::{Content, Kind, Model};
use common::program::{Server, serial, sync};
use common::{Dice, feeds, made_up, say, unpacked};

/// Versions of one list, oldest first.
#[derive(Debug, Clone, Copy)]
struct Series {
    name: &'static str,
    format: &'static str,
    kind: Kind,
    /// Further lines of its configuration.
    more: &'static str,
    bogons: bool,
    files: &'static [&'static str],
}

const PLAIN: Series =
    Series { name: "", format: "plain", kind: Kind::Lines, more: "", bogons: false, files: &[] };
const DROP: Series = Series { format: "drop", ..PLAIN };
const NETSET: Series = Series { format: "netset", ..PLAIN };
const NAMES: Series = Series { format: "names", ..PLAIN };
const JSON: Series = Series { format: "drop-json", kind: Kind::Json, ..PLAIN };
const DSHIELD: Series = Series { format: "dshield", kind: Kind::Dshield, ..PLAIN };
const IP4SET: Series = Series { format: "rbldnsd:ip4set", kind: Kind::Rbldnsd, ..PLAIN };
const BOGONS: Series = Series { bogons: true, more: "bogons = true", ..PLAIN };

const MADE_UP: [Series; 22] = [
    Series { name: "mixed", files: &["mixed.1.txt", "mixed.2.txt"], ..PLAIN },
    Series { name: "counted", files: &["counted.1.txt"], ..PLAIN },
    Series { name: "packed", files: &["hosts4.1.txt.gz"], ..PLAIN },
    Series { name: "padded", files: &["padded.1.txt"], ..PLAIN },
    Series { name: "exits", files: &["exits.1.lst", "exits.2.lst"], ..PLAIN },
    Series { name: "drop", files: &["drop.1.txt", "drop.2.txt", "drop.3.txt"], ..DROP },
    Series { name: "drop6", files: &["drop6.1.txt"], ..DROP },
    Series { name: "drop-json", files: &["drop.1.json", "drop.2.json"], ..JSON },
    Series { name: "level", files: &["level.1.netset"], ..NETSET },
    Series {
        name: "threats",
        format: "csv",
        kind: Kind::Csv("ip"),
        more: "column = \"ip\"",
        files: &["threats.1.csv"],
        ..PLAIN
    },
    Series {
        name: "c2",
        format: "csv",
        kind: Kind::Csv("dst_ip"),
        more: "column = \"dst_ip\"",
        files: &["c2.1.csv"],
        ..PLAIN
    },
    Series { name: "block20", files: &["block.1.txt", "block.2.txt"], ..DSHIELD },
    Series { name: "names", files: &["names.1.conf", "names.2.conf"], ..NAMES },
    Series { name: "domains", files: &["domains.1.txt"], ..NAMES },
    Series { name: "hosts", format: "hosts", kind: Kind::Hosts, files: &["hosts.1.txt"], ..PLAIN },
    Series { name: "rbl", files: &["rbl.1.txt"], ..IP4SET },
    Series { name: "tset", format: "rbldnsd:ip4tset", files: &["tset.1.txt"], ..IP4SET },
    Series { name: "trie", format: "rbldnsd:ip4trie", files: &["trie.1.txt"], ..IP4SET },
    Series { name: "trie6", format: "rbldnsd:ip6trie", files: &["trie6.1.txt"], ..IP4SET },
    Series { name: "dnset", format: "rbldnsd:dnset", files: &["dnset.1.txt"], ..IP4SET },
    Series { name: "bogons4", files: &["bogons4.1.txt"], ..BOGONS },
    Series { name: "bogons6", files: &["bogons6.1.txt"], ..BOGONS },
];

const REAL: [Series; 27] = [
    Series {
        name: "feodo",
        format: "csv",
        kind: Kind::Csv("dst_ip"),
        more: "column = \"dst_ip\"",
        files: &["abusech/feodo-ipblocklist.2024-04-04.csv"],
        ..PLAIN
    },
    Series {
        name: "bitwire",
        files: &[
            "bitwire-outbound/outbound.a.txt.gz",
            "bitwire-outbound/outbound.b-1day.txt.gz",
            "bitwire-outbound/outbound.c-2hours.txt.gz",
            "bitwire-outbound/outbound.d-7days.txt.gz",
        ],
        ..PLAIN
    },
    Series {
        name: "threats",
        format: "csv",
        kind: Kind::Csv("ip"),
        more: "column = \"ip\"",
        files: &["csv/Threats.2026-08-08.csv.gz"],
        ..PLAIN
    },
    Series { name: "fullbogons4", files: &["cymru/fullbogons-ipv4.2024-03-10.txt"], ..BOGONS },
    Series { name: "fullbogons6", files: &["cymru/fullbogons-ipv6.2024-03-10.txt.gz"], ..BOGONS },
    Series {
        name: "disposable",
        files: &[
            "disposable/disposable_email_blocklist.2026-08-17.conf",
            "disposable/disposable_email_blocklist.2026-08-20.conf",
            "disposable/disposable_email_blocklist.2026-08-21.conf",
        ],
        ..NAMES
    },
    Series {
        name: "dshield",
        files: &["dshield/block.2026-08-21.txt", "dshield/block.2026-08-22.txt"],
        ..DSHIELD
    },
    Series { name: "level1", files: &["firehol/firehol_level1.netset"], ..NETSET },
    Series { name: "ciarmy", files: &["firehol/iblocklist_ciarmy_malicious.netset.gz"], ..NETSET },
    Series { name: "nixspam", files: &["firehol/nixspam.ipset.gz"], ..NETSET },
    Series { name: "edrop", files: &["firehol/spamhaus_edrop.netset"], ..NETSET },
    Series { name: "stopforumspam", files: &["firehol/stopforumspam_30d.ipset.gz"], ..NETSET },
    Series { name: "ipsum", files: &["ipsum/ipsum.2026-08-22.txt.gz"], ..PLAIN },
    Series { name: "large", files: &["large/full-300k-ab.2026-08-22.txt.gz"], ..PLAIN },
    Series {
        name: "psbl",
        // The second is the first in another order.
        files: &[
            "psbl/psbl.2026-07-11.txt.gz",
            "psbl/psbl-sorted.2026-07-11.txt.gz",
            "psbl/psbl-sorted.2026-07-14.txt.gz",
        ],
        ..PLAIN
    },
    // One entry with zero-padded octets is refused, the others stand.
    Series { name: "zero-padded", files: &["quirks/urlhaus-zero-padded.2025-11-08.txt.gz"], ..PLAIN },
    Series {
        name: "drop-json",
        files: &[
            "spamhaus-drop-json/drop_v4.2026-07-21.json",
            "spamhaus-drop-json/drop_v4.2026-08-19.json",
            "spamhaus-drop-json/drop_v4.2026-08-20.json",
            "spamhaus-drop-json/drop_v4.2026-08-21.json",
        ],
        ..JSON
    },
    Series {
        name: "drop",
        // The first is two years older than the others.
        more: "max-gone = 0.5",
        files: &[
            "broken/drop-before.2024-05-06.txt",
            "spamhaus-drop-txt/drop.2026-08-14.txt",
            "spamhaus-drop-txt/drop.2026-08-15.txt",
            "spamhaus-drop-txt/drop.2026-08-16.txt",
            "spamhaus-drop-txt/drop.2026-08-17.txt",
            "spamhaus-drop-txt/drop.2026-08-21a.txt",
            "spamhaus-drop-txt/drop.2026-08-21b-stale.txt",
            "spamhaus-drop-txt/drop.2026-08-21c.txt",
        ],
        ..DROP
    },
    Series {
        name: "drop6",
        files: &["spamhaus-drop-v6/dropv6.2026-07-20.txt", "spamhaus-drop-v6/dropv6.2026-08-20.txt"],
        ..DROP
    },
    Series {
        name: "threatfox",
        files: &[
            "threatfox/ips.2026-08-21T16.txt.gz",
            "threatfox/ips.2026-08-22T15.txt.gz",
            "threatfox/ips.2026-08-22T16.txt.gz",
        ],
        ..PLAIN
    },
    Series {
        name: "tor",
        // The first is four years older than the others.
        more: "max-gone = 1.0\nmax-growth = 1.0",
        files: &[
            "broken/tor-exit-before.2019-08-26.lst",
            "tor/tor-exit-nodes.2023-05-10T10.lst",
            "tor/tor-exit-nodes.2023-05-10T11.lst",
            "tor/tor-exit-nodes.2023-05-11T10.lst",
            "tor/tor-exit-nodes.2023-05-17T10.lst",
        ],
        ..PLAIN
    },
    Series { name: "uceprotect", files: &["uceprotect/dnsbl-1.uceprotect.net.gz"], ..IP4SET },
    Series { name: "whitelisted", files: &["uceprotect/ips.whitelisted.org.gz"], ..IP4SET },
    Series {
        name: "urlhaus",
        files: &[
            "urlhaus-filter/urlhaus-filter-domains.2022-03-12.txt.gz",
            "urlhaus-filter/urlhaus-filter-domains.2022-03-13.txt.gz",
        ],
        ..NAMES
    },
    Series {
        name: "urlhaus-hosts",
        format: "hosts",
        kind: Kind::Hosts,
        files: &["urlhaus-filter/urlhaus-filter-hosts.2022-03-13.txt.gz"],
        ..PLAIN
    },
    Series {
        name: "vpn4",
        files: &[
            "x4b/vpn-ipv4.2026-08-20.txt.gz",
            "x4b/vpn-ipv4.2026-08-21.txt.gz",
            "x4b/vpn-ipv4.2026-08-22.txt.gz",
        ],
        ..PLAIN
    },
    Series { name: "vpn6", files: &["x4b/vpn-ipv6.2026-08-22.txt"], ..PLAIN },
];

/// Real files that are no list in a format of this version. They are read where they must be refused
/// (`pipeline_broken.rs`), or wait for their format.
const NOT_LISTS: [&str; 9] = [
    "broken/drop-could-not-connect.2022-06-03.txt",
    "broken/drop-error-520.2024-05-06.txt",
    "broken/drop-json-500.2024-05-16.txt",
    "broken/tor-exit-rate-limited.2019-08-09.lst",
    "broken/tor-exit-truncated.2019-08-26.lst",
    "broken/uceprotect-1-empty.2026-07-11.txt",
    "spamhaus-drop-json/asndrop.json",
    "urlhaus-filter/urlhaus-filter-rpz.2022-03-13.conf.gz",
    "urlhaus-filter/urlhaus-filter-unbound.2022-03-13.conf.gz",
];

#[test]
fn made_up_lists() {
    let tally = prove(&MADE_UP, &made_up("lists"), 40_000);
    say(&format!("made-up lists: {tally}"));
}

#[test]
fn real_lists() {
    let Some(folder) = feeds("real_lists") else { return };
    let used: HashSet<&str> =
        REAL.iter().flat_map(|series| series.files).chain(&NOT_LISTS).copied().collect();
    let mut forgotten = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap().filter_map(Result::ok).filter(|e| e.path().is_dir()) {
        for file in std::fs::read_dir(entry.path()).unwrap().filter_map(Result::ok) {
            let path = file.path();
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            if !used.contains(name.as_str()) {
                forgotten.push(name);
            }
        }
    }
    assert!(forgotten.is_empty(), "real files that no test reads: {forgotten:?}");
    let tally = prove(&REAL, &folder, 1_000_000);
    say(&format!(
        "real lists: {tally}; {} more files are no list of this version's formats",
        NOT_LISTS.len()
    ));
}

/// What was proved.
#[derive(Debug, Default)]
struct Tally {
    files: HashSet<PathBuf>,
    versions: usize,
    entries: usize,
    added: usize,
    removed: usize,
    random: usize,
    listed: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { files, versions, entries, added, removed, random, listed } = self;
        write!(
            f,
            "{} files proved, 0 skipped: {versions} versions, {entries} entries, {added} added and {removed} removed \
             between versions, {random} random addresses over each of UDP and TCP ({listed} listed)",
            files.len()
        )
    }
}

/// One list with what is in service of it.
struct Running {
    series: Series,
    index: usize,
    content: Content,
    model: Model,
}

impl Running {
    fn zone(&self) -> String {
        format!("{}.lists.example", self.series.name)
    }

    /// What its entries answer with.
    fn code(&self) -> Ipv4Addr {
        if self.series.kind == Kind::Rbldnsd {
            return Ipv4Addr::new(127, 0, 0, 2);
        }
        Ipv4Addr::new(127, 0, 1, self.index as u8 + 1)
    }
}

/// Serves each version of each list in turn and holds the answers against the model.
fn prove(all: &[Series], folder: &Path, random: usize) -> Tally {
    let web = FeedServer::start();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gatepost.toml");
    let state = dir.path().join("state");
    std::fs::write(&config, configuration(all, &web)).unwrap();

    let mut tally = Tally::default();
    let mut running: BTreeMap<&str, Running> = BTreeMap::new();
    let mut server: Option<Server> = None;
    for round in 0..all.iter().map(|series| series.files.len()).max().unwrap() {
        let mut changed = Vec::new();
        for (index, &series) in all.iter().enumerate() {
            let Some(file) = series.files.get(round) else { continue };
            let path = folder.join(file);
            let octets = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            web.put(&format!("/{}", series.name), Page::new(octets));
            let content = Content::read(series.kind, &unpacked(&path));
            assert!(content.len() > 0, "{file} is empty to the model");
            let model = Model::new(&content, series.bogons);
            let now = Running { series, index, content, model };
            changed.push((series.name, running.insert(series.name, now)));
            tally.files.insert(path);
        }
        let names: Vec<&str> = changed.iter().map(|(name, _)| *name).collect();
        let done = sync(&config, &names).expect(0);
        for list in done.json()["lists"].as_array().unwrap() {
            assert!(matches!(list["outcome"].as_str(), Some("accepted" | "trimmed")), "{list:#}");
        }
        let server = server.get_or_insert_with(|| Server::serve(&config));
        for (name, before) in &changed {
            let now = &running[name];
            let zone = now.zone();
            let serial = serial(&state, &zone).unwrap_or_else(|| panic!("{zone} is not in the generation"));
            server.wait_for_serial(&zone, serial);
            tally.versions += 1;
            tally.entries += entries(server.dns, now);
            if let Some(before) = before {
                let (added, removed) = differences(server.dns, before, now);
                tally.added += added;
                tally.removed += removed;
            }
        }
    }
    let server = server.expect("there are lists");
    for over in [Over::Udp, Over::Tcp] {
        tally.listed = random_addresses(server.dns, over, &running, random);
    }
    tally.random = random;
    let (code, said) = server.stop();
    assert_eq!(code, Some(0), "{said}");
    tally
}

/// A configuration with a zone for each list.
fn configuration(all: &[Series], web: &FeedServer) -> String {
    let mut text = String::from("version = 1\nstate = \"state\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n");
    for (index, series) in all.iter().enumerate() {
        let Series { name, format, more, .. } = series;
        let url = web.url(&format!("/{name}"));
        let code = index + 1;
        let text_of = if matches!(series.kind, Kind::Json) || *format == "drop" {
            "$ is in {name} ({note})"
        } else {
            "$ is in {name}"
        };
        write!(
            text,
            "[list.{name}]\nurl = \"{url}\"\nformat = \"{format}\"\nuse = \"block\"\ncode = \"127.0.1.{code}\"\n\
             text = \"{text_of}\"\nfloor = \"0s\"\nallow-private = true\n{more}\n\
             [zone.\"{name}.lists.example\"]\nlists = [\"{name}\"]\n"
        )
        .unwrap();
    }
    text
}

/// Asks for every entry of a list (of a prefix or range: both ends and the middle), over UDP and every tenth over
/// TCP too; for some also the text.
fn entries(server: SocketAddr, list: &Running) -> usize {
    let zone = list.zone();
    let code = list.code();
    let mut expected: Vec<(String, Must)> = Vec::new();
    for &(first, last) in &list.content.v4 {
        let mut addresses = vec![first, first + (last - first) / 2, last];
        addresses.dedup();
        expected.extend(addresses.iter().map(|&a| (name_v4(a, &zone), Must::v4(&list.model, a))));
    }
    for &(first, last) in &list.content.excluded_v4 {
        expected.extend([first, last].map(|a| (name_v4(a, &zone), Must::v4(&list.model, a))));
    }
    for &(first, last) in &list.content.v6 {
        let mut addresses = vec![first, first + (last - first) / 2, last];
        addresses.dedup();
        expected.extend(addresses.iter().map(|&a| (name_v6(a, &zone), Must::v6(&list.model, a))));
    }
    for name in &list.content.names {
        expected.push((format!("{name}.{zone}"), Must::name(&list.model, name)));
    }
    assert!(expected.iter().any(|(_, must)| *must == Must::List), "{zone}: the model lists nothing");
    check(server, Over::Udp, expected.iter(), code);
    check(server, Over::Tcp, expected.iter().step_by(10), code);
    texts(server, list);
    list.content.len()
}

/// What the reply to a question for A must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    /// This code, or that of the test point.
    List,
    /// NXDOMAIN.
    Deny,
    /// No data: there is something below the name.
    Exist,
}

impl Must {
    fn v4(model: &Model, address: u32) -> Self {
        match (model.lists_v4(address), model.is_above_v6(address)) {
            (true, _) => Self::List,
            (false, true) => Self::Exist,
            (false, false) => Self::Deny,
        }
    }

    fn v6(model: &Model, address: u128) -> Self {
        if model.lists_v6(address) { Self::List } else { Self::Deny }
    }

    fn name(model: &Model, name: &str) -> Self {
        if model.lists_name(name) { Self::List } else { Self::Deny }
    }

    /// Whether `reply` is that.
    fn is(self, reply: &Reply, code: Ipv4Addr) -> bool {
        if !reply.authoritative || reply.truncated {
            return false;
        }
        let nothing = reply.answers == 0 && reply.serial.is_some();
        match self {
            Self::List => {
                let is_code = |said: [u8; 4]| said == code.octets() || said == [127, 0, 0, 2];
                reply.rcode == NOERROR && matches!(reply.a[..], [said] if is_code(said))
            }
            Self::Deny => reply.rcode == NXDOMAIN && nothing,
            Self::Exist => reply.rcode == NOERROR && nothing,
        }
    }
}

/// Asks for A and compares.
fn check<'a>(
    server: SocketAddr,
    over: Over,
    expected: impl Iterator<Item = &'a (String, Must)>,
    code: Ipv4Addr,
) {
    let questions = expected.map(|(name, must)| (question(name, A), (name, *must)));
    ask_all(server, over, questions, |(name, must), reply| {
        assert!(must.is(&reply, code), "{name} over {over:?}, {must:?} {code}: {reply:?}");
    });
}

/// Every hundredth entry's text: the list's own, or what the list's text makes of it.
fn texts(server: SocketAddr, list: &Running) {
    let zone = list.zone();
    let mut expected = Vec::new();
    for (&(first, last), note) in list.content.v4.iter().zip(&list.content.notes_v4).step_by(100) {
        if !list.model.lists_v4(first) || Ipv4Addr::from(first).is_loopback() {
            continue;
        }
        // Entries that overlap say what the narrowest of them says; those that stand alone are enough here.
        let alone = list.content.v4.iter().filter(|other| other.0 <= last && first <= other.1).count() == 1;
        if alone {
            expected.push((name_v4(first, &zone), text(list, &Ipv4Addr::from(first).to_string(), note)));
        }
    }
    for name in list.content.names.iter().filter(|name| list.model.lists_name(name)).step_by(100) {
        expected.push((format!("{name}.{zone}"), text(list, name, "")));
    }
    let questions = expected.iter().map(|(name, text)| (question(name, TXT), (name, text)));
    ask_all(server, Over::Udp, questions, |(name, text), reply| {
        assert_eq!(reply.txt, [text.as_str()], "{name}");
    });
}

/// What the zone must say of a subject.
fn text(list: &Running, subject: &str, note: &str) -> String {
    let name = list.series.name;
    match (name, list.series.format) {
        ("uceprotect", _) => format!(
            "IP {subject} is UCEPROTECT-Level 1 listed. See http://www.uceprotect.net/rblcheck.php?ipr={subject}"
        ),
        ("whitelisted", _) => {
            format!("IP {subject} is WHITELISTED at ips.whitelisted.org. See http://www.whitelisted.org")
        }
        ("rbl", _) => format!("IP {subject} is listed. See http://www.example.net/?ip={subject}"),
        (_, "drop" | "drop-json") => format!("{subject} is in {name} ({note})"),
        _ => format!("{subject} is in {name}"),
    }
}

/// What only one of two versions has must be there, or gone, as the new model says. Counts both.
fn differences(server: SocketAddr, before: &Running, now: &Running) -> (usize, usize) {
    let zone = now.zone();
    let mut expected = Vec::new();
    let (mut added, mut removed) = (0, 0);
    let v4 = before.content.v4.iter().chain(&now.content.v4).flat_map(|&(first, last)| [first, last]);
    for address in v4.collect::<HashSet<u32>>() {
        let (was, is) = (before.model.lists_v4(address), now.model.lists_v4(address));
        if was != is {
            expected.push((name_v4(address, &zone), Must::v4(&now.model, address)));
            *(if is { &mut added } else { &mut removed }) += 1;
        }
    }
    let v6 = before.content.v6.iter().chain(&now.content.v6).flat_map(|&(first, last)| [first, last]);
    for address in v6.collect::<HashSet<u128>>() {
        let (was, is) = (before.model.lists_v6(address), now.model.lists_v6(address));
        if was != is {
            expected.push((name_v6(address, &zone), Must::v6(&now.model, address)));
            *(if is { &mut added } else { &mut removed }) += 1;
        }
    }
    for name in before.content.names.iter().chain(&now.content.names).collect::<HashSet<_>>() {
        let (was, is) = (before.model.lists_name(name), now.model.lists_name(name));
        if was != is {
            expected.push((format!("{name}.{zone}"), Must::name(&now.model, name)));
            *(if is { &mut added } else { &mut removed }) += 1;
        }
    }
    check(server, Over::Udp, expected.iter(), now.code());
    check(server, Over::Tcp, expected.iter(), now.code());
    (added, removed)
}

/// `count` random addresses, each in the zone of a random list: half of them anywhere, half close to an entry. Gives
/// how many are listed.
fn random_addresses(
    server: SocketAddr,
    over: Over,
    running: &BTreeMap<&str, Running>,
    count: usize,
) -> usize {
    let lists: Vec<(&Running, String)> = running.values().map(|list| (list, list.zone())).collect();
    let mut dice = Dice(0x6761_7465_706f_7374);
    let mut listed_in_all = 0;
    let questions = (0..count).map(|_| {
        let (list, zone) = &lists[dice.below(lists.len())];
        let near = dice.below(2) == 0;
        let v6 = &list.content.v6;
        if list.content.v4.is_empty() && !v6.is_empty() {
            let anywhere = u128::from(dice.next()) << 64 | u128::from(dice.next());
            let entry = v6[dice.below(v6.len())];
            let edge = if dice.below(2) == 0 { entry.0 } else { entry.1 };
            let close = edge.wrapping_add(dice.below(512) as u128).wrapping_sub(256);
            let address = if near { close } else { anywhere };
            return (name_v6(address, zone), Must::v6(&list.model, address), list.code());
        }
        let anywhere = dice.next() as u32;
        let v4 = &list.content.v4;
        let address = if near && !v4.is_empty() {
            let entry = v4[dice.below(v4.len())];
            let edge = if dice.below(2) == 0 { entry.0 } else { entry.1 };
            edge.wrapping_add(dice.below(512) as u32).wrapping_sub(256)
        } else {
            anywhere
        };
        (name_v4(address, zone), Must::v4(&list.model, address), list.code())
    });
    let questions = questions.map(|(name, must, code)| (question(&name, A), (name, must, code)));
    ask_all(server, over, questions, |(name, must, code), reply| {
        assert!(must.is(&reply, code), "{name} over {over:?}, {must:?} {code}: {reply:?}");
        listed_in_all += usize::from(must == Must::List);
    });
    // A twentieth at least, so that agreement says something.
    assert!(listed_in_all > count / 20, "only {listed_in_all} of {count} are listed");
    listed_in_all
}
