//! The catalogue as a whole: docs/feeds.md says what is in it, and real lists keep to their feeds' limits.
#![cfg(feature = "full")]

#[path = "common/loud.rs"]
mod loud;

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use gatepost::config::{Feed, Feeds, Fetch, NotOffered, Redistribute, Retired};
use gatepost::feed::catalogue;
use gatepost::guard::NeverList;
use gatepost::guard::entries::{Decision, judge};
use gatepost::guard::payload;
use gatepost::parse::parse;

/// Feeds and a real file of each, or of a list that is written alike.
const REAL: [(&str, &str); 17] = [
    ("uceprotect-1", "uceprotect/dnsbl-1.uceprotect.net.gz"),
    ("whitelisted-org", "uceprotect/ips.whitelisted.org.gz"),
    ("spamhaus-drop", "spamhaus-drop-json/drop_v4.2026-08-21.json"),
    ("dshield", "dshield/block.2026-08-22.txt"),
    ("cymru-fullbogons-v4", "cymru/fullbogons-ipv4.2024-03-10.txt"),
    ("cymru-fullbogons-v6", "cymru/fullbogons-ipv6.2024-03-10.txt.gz"),
    ("firehol-level1", "firehol/firehol_level1.netset"),
    ("stopforumspam-30", "firehol/stopforumspam_30d.ipset.gz"),
    ("ipsum-1", "ipsum/ipsum.2026-08-22.txt.gz"),
    ("tor-exits-dan", "tor/tor-exit-nodes.2023-05-17T10.lst"),
    ("x4b-vpn-v4", "x4b/vpn-ipv4.2026-08-22.txt.gz"),
    ("x4b-vpn-v6", "x4b/vpn-ipv6.2026-08-22.txt"),
    ("threatfox-ips", "threatfox/ips.2026-08-22T16.txt.gz"),
    ("bitwire-outbound", "bitwire-outbound/outbound.a.txt.gz"),
    ("disposable-domains", "disposable/disposable_email_blocklist.2026-08-21.conf"),
    ("urlhaus", "urlhaus-filter/urlhaus-filter-hosts.2022-03-13.txt.gz"),
    ("blocklist-de-all", "psbl/psbl.2026-07-11.txt.gz"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn feeds() -> Feeds {
    catalogue::load(None).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn real_lists_keep_to_the_limits_of_their_feeds() {
    let Some(folder) = loud::feeds("real_lists_keep_to_the_limits_of_their_feeds") else { return };
    let feeds = feeds();
    for (name, file) in REAL {
        let feed = feeds.feed(&name.parse().unwrap()).unwrap_or_else(|| panic!("{name}"));
        let octets = fs::read(folder.join(file)).unwrap();
        let mut body = octets.clone();
        if file.ends_with(".gz") {
            body.clear();
            MultiGzDecoder::new(&octets[..]).read_to_end(&mut body).unwrap();
        }
        let sent = if feed.urls[0].path().ends_with(".gz") { octets.len() } else { body.len() } as u64;
        assert!(sent * 2 <= feed.max_size, "{name}: {sent} octets are near its largest size");
        let head = &body[..body.len().min(payload::HEAD)];
        payload::check(head, body.len() as u64, feed.format, feed.limits.allow_empty)
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        let parsed = parse(feed.format, &feed.options, &body[..], &mut |_| {}).unwrap();
        let never = NeverList::of_feed(feed.limits.bogons, &[]);
        let judgement = judge(&parsed.set, &parsed.report, &feed.limits, &never, &NeverList::default());
        assert!(judgement.decision < Decision::Hold, "{name}: {:#?}", judgement.reasons);
        let (fewest, entries) = (feed.limits.min_entries, judgement.entries);
        assert!(
            fewest * 2 <= entries && fewest * 100 >= entries,
            "{name}: {entries} entries, {fewest} at least"
        );
    }
}

/// What Feodo Tracker publishes when it has nothing, and when it has something, made up.
#[test]
fn a_feed_that_may_be_empty_may_be() {
    let feeds = feeds();
    let feodo = feeds.feed(&"feodo".parse().unwrap()).unwrap();
    for (entries, text) in [
        (0, "# Feodo Tracker, made up\r\n# DstIP\r\n# END 0 entries\r\n"),
        (1, "# Feodo Tracker, made up\r\n# DstIP\r\n9.9.9.9\r\n# END 1 entries\r\n"),
    ] {
        payload::check(text.as_bytes(), text.len() as u64, feodo.format, true).unwrap();
        let parsed = parse(feodo.format, &feodo.options, text.as_bytes(), &mut |_| {}).unwrap();
        let never = NeverList::of_feed(false, &[]);
        let judgement = judge(&parsed.set, &parsed.report, &feodo.limits, &never, &NeverList::default());
        assert_eq!((judgement.decision, judgement.entries), (Decision::Accept, entries), "{judgement:#?}");
    }
    let others =
        feeds.iter().filter(|feed| feed.limits.allow_empty && !feed.name.as_str().starts_with("feodo"));
    assert_eq!(others.count(), 0);
}

#[test]
fn the_page_shows_the_catalogue() {
    let page = fs::read_to_string(root().join("docs/feeds.md")).unwrap();
    let feeds = feeds();
    let mut wanted = page.clone();
    let tables = [
        ("free", free(&feeds)),
        ("registered", registered(&feeds)),
        ("not offered", not_offered()),
        ("retired", retired()),
    ];
    for (mark, table) in tables {
        let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
        let (before, rest) = wanted.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
        wanted = format!("{before}{begin}{table}{end}{after}");
    }
    if wanted != page {
        let right = Path::new(env!("CARGO_TARGET_TMPDIR")).join("feeds.md");
        fs::write(&right, wanted).unwrap();
        panic!("docs/feeds.md is not as the catalogue: cp {} docs/feeds.md", right.display());
    }
}

fn free(feeds: &Feeds) -> String {
    let mut table = String::from(
        "| feed | what it is | use | kind | code | at most every | fewest | copies |\n| --- | --- | --- | --- | --- | --- | ---: | --- |\n",
    );
    for feed in feeds.iter().filter(|feed| feed.terms.fetch == Fetch::Anyone) {
        let up = if feed.is_for_up() { " (up)" } else { "" };
        let copies = match feed.terms.redistribute {
            Redistribute::Never => "not passed on",
            Redistribute::Internal => "own machines",
            Redistribute::Public => "free",
        };
        let fewest = match feed.limits.allow_empty {
            true => "may be empty".to_owned(),
            false => feed.limits.min_entries.to_string(),
        };
        let minutes = feed.floor.as_secs() / 60;
        let floor = if minutes % 60 == 0 { format!("{} h", minutes / 60) } else { format!("{minutes} min") };
        let _ = writeln!(table, "{} | {floor} | {fewest} | {copies} |", begin(feed, up));
    }
    table
}

fn registered(feeds: &Feeds) -> String {
    let mut table = String::from(
        "| feed | what it is | use | kind | code | how to get it |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for feed in feeds.iter() {
        if let Fetch::Registered { access } = &feed.terms.fetch {
            let _ = writeln!(table, "{} | {access} |", begin(feed, ""));
        }
    }
    table
}

fn begin(feed: &Feed, mark: &str) -> String {
    let (name, home, title, use_) = (&feed.name, &feed.homepage, &feed.title, feed.use_);
    format!("| [{name}]({home}){mark} | {title} | {use_} | {} | {}", feed.kind.word(), feed.code)
}

fn not_offered() -> String {
    let mut table = String::from("| list | why not | instead |\n| --- | --- | --- |\n");
    for list in NotOffered::all() {
        let instead: Vec<String> = list.instead.iter().map(ToString::to_string).collect();
        let _ = writeln!(table, "| {} | {} | {} |", list.title, list.reason, instead.join(", "));
    }
    table
}

fn retired() -> String {
    let mut table =
        String::from("| list | zones | since | why | instead |\n| --- | --- | --- | --- | --- |\n");
    for old in Retired::all() {
        let zones: Vec<String> = old.zones.iter().map(ToString::to_string).collect();
        let instead: Vec<String> = old.instead.iter().map(ToString::to_string).collect();
        let (zones, instead) = (zones.join(", "), instead.join(", "));
        let _ = writeln!(table, "| {} | {zones} | {} | {} | {instead} |", old.title, old.date, old.reason);
    }
    table
}
