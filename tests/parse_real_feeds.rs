//! Every real list file: counts, dates and end marks against the table in the folder's README, and what the guard
//! says of them.
//!
//! The files are not part of the project. They are looked for in `$GATEPOST_FEEDS` or `../shared/feeds`; without
//! them each test says `SKIPPED`. The same behaviour is proved by made-up fixtures beside the code.

#[path = "common/loud.rs"]
mod loud;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use gatepost::guard::NeverList;
use gatepost::guard::entries::{self, Decision, Judgement, Limits, Reason, judge};
use gatepost::guard::payload::{self, Rejection};
use gatepost::parse::{Column, Columns, Diag, Format, Options, Parsed, REPEATS, Trailer, parse};

/// Folder (or file) and what it is written in; the first row that fits counts. `None`: a form of another program that
/// the project does not read.
const FORMATS: [(&str, Option<Format>); 24] = [
    ("broken/drop-", Some(Format::Drop)),
    ("broken/tor-", Some(Format::Plain)),
    ("broken/uceprotect", Some(Format::Ip4set)),
    ("abusech/", Some(Format::Csv)),
    ("csv/", Some(Format::Csv)),
    ("bitwire-outbound/", Some(Format::Plain)),
    ("cymru/", Some(Format::Plain)),
    ("disposable/", Some(Format::Names)),
    ("dshield/", Some(Format::Dshield)),
    ("firehol/", Some(Format::Netset)),
    ("ipsum/", Some(Format::Plain)),
    ("large/", Some(Format::Plain)),
    ("psbl/", Some(Format::Plain)),
    ("quirks/", Some(Format::Plain)),
    ("spamhaus-drop-json/", Some(Format::DropJson)),
    ("spamhaus-drop-txt/", Some(Format::Drop)),
    ("spamhaus-drop-v6/", Some(Format::Drop)),
    ("threatfox/", Some(Format::Plain)),
    ("tor/", Some(Format::Plain)),
    ("uceprotect/", Some(Format::Ip4set)),
    ("urlhaus-filter/urlhaus-filter-domains", Some(Format::Names)),
    ("urlhaus-filter/urlhaus-filter-hosts", Some(Format::Hosts)),
    ("urlhaus-filter/", None),
    ("x4b/", Some(Format::Plain)),
];

/// What the README's table says of a file.
struct Row {
    v4: u64,
    v6: u64,
    names: u64,
    cidr: u64,
}

struct Feeds {
    folder: PathBuf,
    rows: BTreeMap<String, Row>,
}

impl Feeds {
    fn find(test: &str) -> Option<Self> {
        let folder = loud::feeds(test)?;
        let Ok(readme) = fs::read_to_string(folder.join("README.md")) else {
            loud::skipped(test, &format!("no README.md about the real lists in {}", folder.display()));
            return None;
        };
        let rows = readme.lines().filter_map(|line| {
            let cells: Vec<_> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            let count = |at: usize| cells[at].parse().unwrap_or(0);
            let is_file = cells.len() == 12 && cells[0].contains('/');
            is_file.then(|| {
                (cells[0].to_owned(), Row { v4: count(7), v6: count(8), names: count(9), cidr: count(10) })
            })
        });
        let rows: BTreeMap<_, _> = rows.collect();
        assert_eq!(rows.len(), 64, "the README's table");
        Some(Self { folder, rows })
    }

    fn body(&self, file: &str) -> Vec<u8> {
        let bytes = fs::read(self.folder.join(file)).unwrap();
        if !file.ends_with(".gz") {
            return bytes;
        }
        let mut body = Vec::new();
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut body).unwrap();
        body
    }

    fn read(&self, file: &str) -> (Parsed, Vec<Diag>) {
        let format = format_of(file).expect("a format of ours");
        let mut bad = Vec::new();
        let parsed = parse(format, &options_of(file), &self.body(file)[..], &mut |d| bad.push(d)).unwrap();
        let told = parsed.report.repeated.min(REPEATS as u64);
        assert_eq!(parsed.report.bad + told, bad.len() as u64);
        (parsed, bad)
    }

    fn judge(&self, file: &str, limits: &Limits) -> Judgement {
        let (parsed, _) = self.read(file);
        judge(
            &parsed.set,
            &parsed.report,
            limits,
            &NeverList::of_feed(limits.bogons, &[]),
            &NeverList::default(),
        )
    }

    fn check(&self, file: &str) -> Result<(), Rejection> {
        let body = self.body(file);
        let head = &body[..body.len().min(payload::HEAD)];
        payload::check(head, body.len() as u64, format_of(file).expect("a format of ours"), false)
    }
}

fn format_of(file: &str) -> Option<Format> {
    let row = FORMATS.iter().find(|(head, _)| file.starts_with(head));
    row.unwrap_or_else(|| panic!("{file}: format unknown")).1
}

fn options_of(file: &str) -> Options {
    let title = if file.starts_with("abusech/") { "dst_ip" } else { "ip" };
    let columns = Columns { address: Column::Titled(title.into()), note: None };
    Options { columns, ..Options::default() }
}

/// Lines that the README's own count takes otherwise, and why we are right.
struct Difference {
    file: &'static str,
    /// Ours less the README's.
    v4: i64,
    v6: i64,
    names: i64,
}

const DIFFERENCES: [Difference; 5] = [
    // Zero-padded octets count as addresses there; refused here (1 and 4 lines, reported).
    Difference { file: "quirks/urlhaus-zero-padded.2025-11-08.txt.gz", v4: -1, v6: 0, names: 0 },
    Difference { file: "urlhaus-filter/urlhaus-filter-domains.2022-03-12.txt.gz", v4: -4, v6: 0, names: 0 },
    Difference { file: "urlhaus-filter/urlhaus-filter-domains.2022-03-13.txt.gz", v4: -4, v6: 0, names: 0 },
    // One address in octal and four in hexadecimal count as names there.
    Difference { file: "urlhaus-filter/urlhaus-filter-hosts.2022-03-13.txt.gz", v4: 0, v6: 0, names: -5 },
    // `::/10`, the first entry, is not counted there.
    Difference { file: "cymru/fullbogons-ipv6.2024-03-10.txt.gz", v4: 0, v6: 1, names: 0 },
];

/// No count in the README: 28 rows of CSV; prose in which one word looks like a name to it.
const UNCOUNTED: [(&str, u64); 2] =
    [("abusech/feodo-ipblocklist.2024-04-04.csv", 28), ("broken/tor-exit-rate-limited.2019-08-09.lst", 0)];

#[test]
fn counts_agree_with_the_readme() {
    let Some(feeds) = Feeds::find("counts_agree_with_the_readme") else { return };
    let mut seen = 0;
    for (file, row) in &feeds.rows {
        let Some(format) = format_of(file) else { continue };
        seen += 1;
        let (parsed, _) = feeds.read(file);
        if let Some((_, entries)) = UNCOUNTED.iter().find(|(name, _)| name == file) {
            assert_eq!(parsed.report.entries, *entries, "{file}");
            continue;
        }
        let set = &parsed.set;
        let found =
            [set.v4.hosts.len() + set.v4.blocks.len(), set.v6.len(), set.names.len()].map(|n| n as i64);
        let less = DIFFERENCES.iter().find(|d| d.file == file).map_or([0; 3], |d| [d.v4, d.v6, d.names]);
        let expect = [row.v4 as i64 + less[0], row.v6 as i64 + less[1], row.names as i64 + less[2]];
        assert_eq!(found, expect, "{file}: IPv4, IPv6, names");
        // No file holds a line twice with the same value, so distinct entries are the published ones.
        assert_eq!(parsed.report.entries as i64, expect.iter().sum::<i64>(), "{file}: entries");
        if format != Format::Dshield {
            // Prefixes of one address are hosts in a set.
            let body = feeds.body(file);
            let is_single = |line: &[u8]| match line.contains(&b':') {
                true => line.ends_with(b"/128"),
                false => line.ends_with(b"/32"),
            };
            let single = body.split(|&b| b == b'\n').filter(|line| is_single(line)).count();
            let wide = set.v4.blocks.iter().filter(|b| b.span.first != b.span.last).count()
                + set.v6.iter().filter(|b| b.span.first != b.span.last).count();
            assert_eq!((wide + single) as i64, row.cidr as i64 + less[1], "{file}: prefixes");
        }
    }
    assert_eq!(seen, 62, "all files but an RPZ zone and an unbound configuration");
}

#[test]
fn bad_lines_are_where_they_are() {
    let Some(feeds) = Feeds::find("bad_lines_are_where_they_are") else { return };
    let mut bad = BTreeMap::new();
    for file in feeds.rows.keys().filter(|file| format_of(file).is_some() && !file.starts_with("broken/")) {
        let lines: Vec<_> = feeds.read(file).1.iter().map(|d| (d.line, d.column)).collect();
        if !lines.is_empty() {
            bad.insert(file.as_str(), lines);
        }
    }
    let asn = bad.remove("spamhaus-drop-json/asndrop.json").unwrap();
    assert_eq!((asn.len(), asn[438]), (439, (439, 1)));
    let hosts = bad.remove("urlhaus-filter/urlhaus-filter-hosts.2022-03-13.txt.gz").unwrap();
    assert_eq!(hosts.iter().map(|at| at.1).collect::<Vec<_>>(), [9; 5]);
    let domains = |first: u64, padded: [u64; 4], hex: [u64; 4]| {
        let mut lines: Vec<_> = [first].into_iter().chain(padded).chain(hex).map(|line| (line, 1)).collect();
        lines.sort_unstable();
        lines
    };
    let expect = [
        ("quirks/urlhaus-zero-padded.2025-11-08.txt.gz", vec![(1, 1)]),
        (
            "urlhaus-filter/urlhaus-filter-domains.2022-03-12.txt.gz",
            domains(7, [4264, 9775, 103_637, 107_045], [14, 15, 16, 17]),
        ),
        (
            "urlhaus-filter/urlhaus-filter-domains.2022-03-13.txt.gz",
            domains(8, [4255, 9791, 103_478, 106_877], [15, 16, 17, 18]),
        ),
    ];
    assert_eq!(bad.into_iter().collect::<Vec<_>>(), expect);
}

#[test]
fn dates_and_end_marks() {
    let Some(feeds) = Feeds::find("dates_and_end_marks") else { return };
    for (file, stamp, trailer) in [
        ("abusech/feodo-ipblocklist.2024-04-04.csv", Some("2024-04-04T07:03:03Z"), Trailer::True),
        ("cymru/fullbogons-ipv4.2024-03-10.txt", Some("2024-03-10T16:55:01Z"), Trailer::Absent),
        ("dshield/block.2026-08-21.txt", Some("2026-08-21T19:15:12.403386Z"), Trailer::Absent),
        ("firehol/firehol_level1.netset", Some("2022-01-24T00:51:32Z"), Trailer::True),
        ("firehol/nixspam.ipset.gz", Some("2021-09-10T05:30:05Z"), Trailer::True),
        ("ipsum/ipsum.2026-08-22.txt.gz", Some("2026-08-22T01:00:29Z"), Trailer::Absent),
        ("psbl/psbl.2026-07-11.txt.gz", None, Trailer::Absent),
        ("spamhaus-drop-json/drop_v4.2026-08-21.json", Some("2026-08-21T10:14:02Z"), Trailer::True),
        ("spamhaus-drop-txt/drop.2026-08-21b-stale.txt", Some("2026-08-20T12:53:45Z"), Trailer::True),
        (
            "urlhaus-filter/urlhaus-filter-hosts.2022-03-13.txt.gz",
            Some("2022-03-13T00:11:05Z"),
            Trailer::Absent,
        ),
    ] {
        let (parsed, _) = feeds.read(file);
        assert_eq!(parsed.report.stamp.map(|s| s.to_string()).as_deref(), stamp, "{file}");
        assert_eq!(parsed.report.trailer, trailer, "{file}");
    }
    for file in feeds.rows.keys().filter(|file| file.starts_with("spamhaus-")) {
        assert_eq!(feeds.read(file).0.report.trailer, Trailer::True, "{file}");
    }
}

#[test]
fn layout_and_header_make_no_other_set() {
    let Some(feeds) = Feeds::find("layout_and_header_make_no_other_set") else { return };
    let set = |file: &str| feeds.read(file).0.set;
    assert_eq!(set("psbl/psbl.2026-07-11.txt.gz"), set("psbl/psbl-sorted.2026-07-11.txt.gz"));
    let drop = set("spamhaus-drop-txt/drop.2026-08-21a.txt");
    assert_eq!(drop, set("spamhaus-drop-txt/drop.2026-08-21b-stale.txt"));
    assert_eq!(drop, set("spamhaus-drop-txt/drop.2026-08-21c.txt"));
    assert_eq!(drop, set("spamhaus-drop-json/drop_v4.2026-08-21.json"), "text and JSON of one day");
    let body = feeds.body("psbl/psbl.2026-07-11.txt.gz");
    let text = String::from_utf8(body).unwrap();
    let crlf = format!("\u{feff}{}", text.trim_end().replace('\n', "  # x\r\n"));
    let again =
        parse(Format::Plain, &Options::default(), crlf.as_bytes(), &mut |bad| panic!("{bad}")).unwrap();
    assert_eq!(again.set, set("psbl/psbl.2026-07-11.txt.gz"));
}

#[test]
fn rbldnsd_files_keep_their_words() {
    let Some(feeds) = Feeds::find("rbldnsd_files_keep_their_words") else { return };
    let (parsed, _) = feeds.read("uceprotect/dnsbl-1.uceprotect.net.gz");
    let text_for = |address: u32| {
        let value = parsed.set.value(parsed.set.v4_entries_with(address)[0].value);
        assert_eq!(value.code, Some([127, 0, 0, 2].into()));
        String::from_utf8(value.text.unwrap().fill("192.0.2.1")).unwrap()
    };
    assert_eq!(
        text_for(0x0101_8a02),
        "IP 192.0.2.1 is UCEPROTECT-Level 1 listed. See http://www.uceprotect.net/rblcheck.php?ipr=192.0.2.1"
    );
    assert_eq!(text_for(0x7f00_0002), "Test Record. UCEPROTECT.NET LEVEL 1 List is active.");
    let excluded: Vec<_> =
        parsed.set.v4.blocks.iter().filter(|b| b.exclude).map(|b| b.span.to_string()).collect();
    assert_eq!(excluded, ["10.0.0.0/8", "127.0.0.1", "172.16.0.0/12", "192.168.0.0/16"]);
    let soa = parsed.set.directives.soa.unwrap();
    assert_eq!((soa.ttl, soa.serial, soa.minimum), (3600, Some(2_026_070_618), 120));
}

#[test]
fn good_files_are_accepted() {
    let Some(feeds) = Feeds::find("good_files_are_accepted") else { return };
    for file in feeds.rows.keys().filter(|file| format_of(file).is_some()) {
        let broken = file.starts_with("broken/") && !file.contains("-before") && !file.contains("-truncated");
        if broken || file.ends_with("asndrop.json") {
            continue;
        }
        assert_eq!(feeds.check(file), Ok(()), "{file}");
        let bogons = file.starts_with("cymru/");
        let limits = if bogons { Limits::default().of_bogons() } else { Limits::default() };
        let judgement = feeds.judge(file, &limits);
        assert_eq!((judgement.decision, judgement.reasons), (Decision::Accept, vec![]), "{file}");
    }
}

/// What publishers really change from one version to the next is far within the bands, by entries and by addresses.
#[test]
fn consecutive_versions_are_within_the_bands() {
    let Some(feeds) = Feeds::find("consecutive_versions_are_within_the_bands") else { return };
    let mut compared = 0;
    for kind in [
        "disposable/",
        "dshield/",
        "psbl/psbl-sorted",
        "spamhaus-drop-json/drop_v4",
        "spamhaus-drop-txt/",
        "spamhaus-drop-v6/",
        "threatfox/",
        "tor/",
        "urlhaus-filter/urlhaus-filter-domains",
        "x4b/vpn-ipv4",
    ] {
        let files = feeds.rows.keys().filter(|file| file.starts_with(kind));
        let sets: Vec<_> = files.map(|file| feeds.read(file).0.set).collect();
        for pair in sets.windows(2) {
            for [old, new] in [[&pair[0], &pair[1]], [&pair[1], &pair[0]]] {
                let never = NeverList::special_purpose();
                let difference = entries::Difference::between(old, new, &never);
                assert_eq!(difference.reasons(&Limits::default()), [], "{kind}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 40, "{compared} pairs: versions are missing");
}

#[test]
fn broken_payloads_are_named() {
    let Some(feeds) = Feeds::find("broken_payloads_are_named") else { return };
    let message = |text: &str| Err(Rejection::Message(text.into()));
    for (file, verdict) in [
        ("broken/drop-could-not-connect.2022-06-03.txt", message("Could not connect:")),
        ("broken/drop-error-520.2024-05-06.txt", message("error code: 520")),
        ("broken/uceprotect-1-empty.2026-07-11.txt", Err(Rejection::Empty)),
    ] {
        assert_eq!(feeds.check(file), verdict, "{file}");
        assert_ne!(
            feeds.judge(file, &Limits::default()).decision,
            Decision::Accept,
            "{file} past the first check"
        );
    }
    assert!(matches!(feeds.check("broken/drop-json-500.2024-05-16.txt"), Err(Rejection::Json(_))));
    let tor = feeds.check("broken/tor-exit-rate-limited.2019-08-09.lst");
    assert!(matches!(tor, Err(Rejection::Message(text)) if text.starts_with("Umm... You can only fetch")));
    let asn = feeds.check("spamhaus-drop-json/asndrop.json");
    assert!(matches!(asn, Err(Rejection::WrongForm { format: Format::DropJson, .. })), "{asn:?}");
}

/// Every message in the folder is turned away whatever format the feed is said to have.
#[test]
fn messages_are_no_list_of_any_format() {
    let Some(feeds) = Feeds::find("messages_are_no_list_of_any_format") else { return };
    let messages = ["could-not", "error-520", "json-500", "rate-limited", "1-empty"];
    let files: Vec<_> = feeds.rows.keys().filter(|file| messages.iter().any(|m| file.contains(m))).collect();
    assert_eq!(files.len(), messages.len());
    for file in files {
        let body = feeds.body(file);
        for format in Format::ALL {
            assert!(payload::check(&body, body.len() as u64, format, false).is_err(), "{file} as {format}");
        }
    }
}

#[test]
fn reserved_space_is_dropped_before_shapes_are_judged() {
    let Some(feeds) = Feeds::find("reserved_space_is_dropped_before_shapes_are_judged") else { return };
    let level1 = feeds.judge("firehol/firehol_level1.netset", &Limits::default());
    assert_eq!((level1.dropped.never, level1.entries), (12, 2499));
    assert!(
        (0.006..0.0062).contains(&level1.coverage_v4),
        "{} of IPv4, 14.4 % as published",
        level1.coverage_v4
    );
    let bogons = "cymru/fullbogons-ipv4.2024-03-10.txt";
    assert_eq!(feeds.judge(bogons, &Limits::default()).dropped.never, 13);
    let as_bogons = feeds.judge(bogons, &Limits::default().of_bogons());
    assert_eq!((as_bogons.dropped.never, as_bogons.dropped.sample), (1, vec!["127.0.0.0/8".to_owned()]));
    let v6 = feeds.judge("cymru/fullbogons-ipv6.2024-03-10.txt.gz", &Limits::default());
    let [Reason::ShortPrefix { count: 26, .. }, Reason::Coverage { share, .. }] = &v6.reasons[..] else {
        panic!("{:?}", v6.reasons)
    };
    assert!((58.0..59.0).contains(share), "what registries have and have not given out: {share}");
    let v6 = feeds.judge("cymru/fullbogons-ipv6.2024-03-10.txt.gz", &Limits::default().of_bogons());
    assert_eq!(v6.reasons, []);
    let uceprotect = feeds.judge("uceprotect/dnsbl-1.uceprotect.net.gz", &Limits::default());
    assert_eq!(uceprotect.dropped.sample, ["127.0.0.2"]);
}

/// A line or an octet missing from DROP in JSON is seen by its own count and size; text by its end mark.
#[test]
fn cut_files_contradict_their_marks() {
    let Some(feeds) = Feeds::find("cut_files_contradict_their_marks") else { return };
    let judged = |format, body: &[u8]| {
        let parsed = parse(format, &Options::default(), body, &mut |_| {}).unwrap();
        judge(
            &parsed.set,
            &parsed.report,
            &Limits::default(),
            &NeverList::special_purpose(),
            &NeverList::default(),
        )
    };
    let json = feeds.body("spamhaus-drop-json/drop_v4.2026-08-21.json");
    let lines: Vec<&[u8]> = json.split_inclusive(|&b| b == b'\n').collect();
    for cut in [0, 7, lines.len() - 2] {
        let body = [&lines[..cut], &lines[cut + 1..]].concat().concat();
        assert_eq!(judged(Format::DropJson, &body).decision, Decision::Reject, "without line {cut}");
    }
    for at in [10, json.len() / 2] {
        let body = [&json[..at], &json[at + 1..]].concat();
        assert_eq!(judged(Format::DropJson, &body).decision, Decision::Reject, "without octet {at}");
    }
    let half = &json[..json.len() / 2];
    assert_eq!(judged(Format::DropJson, half).decision, Decision::Reject);
    let text = feeds.body("spamhaus-drop-txt/drop.2026-08-21a.txt");
    assert_eq!(judged(Format::Drop, &text[..text.len() / 2]).decision, Decision::Reject);
    let csv = feeds.body("abusech/feodo-ipblocklist.2024-04-04.csv");
    let text = String::from_utf8(csv).unwrap().replace("END 28", "END 29");
    let parsed = parse(Format::Csv, &options_of("abusech/"), text.as_bytes(), &mut |_| {}).unwrap();
    assert!(matches!(parsed.report.trailer, Trailer::False(_)));
}
