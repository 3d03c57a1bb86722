//! Payloads that are no list although they came as one: after a good version none of them changes an answer, and the
//! reason is told. Made-up ones always, and those that really were fetched and stored where real lists are.
#![cfg(feature = "full")]

mod common;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use common::dns::{A, NOERROR, Over, ask_all, name_v4, name_v6, question};
use common::naive::{Content, Kind, Model};
use common::site::Site;
use common::{feeds, made_up, say, unpacked};

/// A good version, what came after it, and a word that the reason has.
struct Case {
    format: &'static str,
    kind: Kind,
    good: &'static str,
    broken: &'static [(&'static str, &'static str)],
}

const MADE_UP: [Case; 4] = [
    Case {
        format: "drop",
        kind: Kind::Lines,
        good: "drop.1.txt",
        broken: &[
            ("broken-code.txt", "error"),
            ("broken-status.json", "JSON"),
            ("broken-connect.txt", ""),
            ("broken-page.html", "HTML"),
            ("broken-empty.txt", "empty"),
            ("broken-cut-drop.txt", "cut"),
        ],
    },
    Case {
        format: "plain",
        kind: Kind::Lines,
        good: "exits.1.lst",
        broken: &[
            ("broken-prose.txt", ""),
            ("broken-empty.txt", "empty"),
            ("broken-page.html", "HTML"),
            ("broken-code.txt", ""),
        ],
    },
    Case {
        format: "drop-json",
        kind: Kind::Json,
        good: "drop.1.json",
        broken: &[("broken-asn.json", ""), ("broken-status.json", ""), ("broken-empty.txt", "empty")],
    },
    Case {
        format: "netset",
        kind: Kind::Lines,
        good: "level.1.netset",
        broken: &[("broken-page.html", "HTML"), ("broken-connect.txt", "")],
    },
];

/// `tor-exit-truncated` ends on a line boundary and parses without an error: nothing but its size tells it from a good one.
const REAL: [Case; 4] = [
    Case {
        format: "drop",
        kind: Kind::Lines,
        good: "broken/drop-before.2024-05-06.txt",
        broken: &[
            ("broken/drop-error-520.2024-05-06.txt", "error"),
            ("broken/drop-json-500.2024-05-16.txt", "JSON"),
            ("broken/drop-could-not-connect.2022-06-03.txt", ""),
        ],
    },
    Case {
        format: "plain",
        kind: Kind::Lines,
        good: "broken/tor-exit-before.2019-08-26.lst",
        broken: &[
            ("broken/tor-exit-rate-limited.2019-08-09.lst", ""),
            ("broken/tor-exit-truncated.2019-08-26.lst", "fewer"),
        ],
    },
    Case {
        format: "plain",
        kind: Kind::Lines,
        good: "psbl/psbl-sorted.2026-07-14.txt.gz",
        broken: &[("broken/uceprotect-1-empty.2026-07-11.txt", "empty")],
    },
    Case {
        format: "drop-json",
        kind: Kind::Json,
        good: "spamhaus-drop-json/drop_v4.2026-08-21.json",
        // Autonomous systems: no address in it.
        broken: &[("spamhaus-drop-json/asndrop.json", "")],
    },
];

#[test]
fn made_up_payloads() {
    let proved: usize = MADE_UP.iter().map(|case| prove(case, &made_up("lists"))).sum();
    say(&format!("made-up broken payloads: {proved} refused, no answer changed"));
}

#[test]
fn real_payloads() {
    let Some(folder) = feeds("real_payloads") else { return };
    let proved: usize = REAL.iter().map(|case| prove(case, &folder)).sum();
    for file in fs::read_dir(folder.join("broken")).unwrap().map(|file| file.unwrap().file_name()) {
        let file = format!("broken/{}", file.to_str().unwrap());
        let is_proved =
            |case: &Case| case.good == file || case.broken.iter().any(|(broken, _)| *broken == file);
        assert!(REAL.iter().any(is_proved), "{file} is not proved");
    }
    say(&format!("real broken payloads: {proved} refused, no answer changed"));
}

/// Other octets with the same entries changes nothing; one that is older than what is there is refused.
#[test]
fn real_headers_alone_change_nothing() {
    let Some(folder) = feeds("real_headers_alone_change_nothing") else { return };
    let read = |version: &str| {
        fs::read_to_string(folder.join(format!("spamhaus-drop-txt/drop.2026-08-{version}.txt"))).unwrap()
    };
    let site = Site::new();
    let list = Site::list("drop", 1, "").replace("\"plain\"", "\"drop\"");
    site.configure(&(list + &Site::zone("drop.example", &["drop"], "")));
    let fetch = |body: String| {
        site.put("drop", body);
        site.sync(&["drop"]).expect(0).json()["lists"][0]["outcome"].clone()
    };
    assert_eq!(fetch(read("21a")), "accepted");
    let before = (site.generation(), site.files("snapshots"));
    for version in ["21b-stale", "21c", "21a"] {
        assert_eq!(fetch(read(version)), "accepted", "{version}");
        assert_eq!((site.generation(), site.files("snapshots")), before, "{version}");
    }
    let older = read("21a").replace("Last-Modified: Thu, 20 Aug 2026", "Last-Modified: Wed, 19 Aug 2026");
    assert_ne!(older, read("21a"));
    assert_eq!(fetch(older), "stale");
    assert_eq!(fetch(read("17")), "stale");
    assert_eq!((site.generation(), site.files("snapshots")), before);
}

fn prove(case: &Case, folder: &Path) -> usize {
    let site = Site::new();
    let list = Site::list("victim", 1, "").replace("\"plain\"", &format!("{:?}", case.format));
    site.configure(&(list + &Site::zone("victim.example", &["victim"], "")));
    let good: PathBuf = folder.join(case.good);
    let content = Content::read(case.kind, &unpacked(&good));
    let model = Model::new(&content, false);
    site.put("victim", fs::read(&good).unwrap());
    site.sync(&["victim"]).expect(0);
    let server = site.serve();
    all_listed(server.dns, &content, &model);
    let before = (site.generation(), site.files("snapshots"), entries(&site));

    for (file, word) in case.broken {
        site.put("victim", fs::read(folder.join(file)).unwrap());
        let done = site.sync(&["victim"]).expect(1).json();
        let list = &done["lists"][0];
        assert!(matches!(list["outcome"].as_str(), Some("rejected" | "held")), "{file}: {list:#}");
        let reasons = list["reasons"].to_string();
        assert!(
            reasons.len() > 12 && reasons.to_lowercase().contains(&word.to_lowercase()),
            "{file}: {reasons}"
        );
        // A person who asks is told the same.
        let status = &site.status()["lists"][0];
        assert_eq!(status["reasons"], list["reasons"], "{file}");
        assert_eq!(status["problem"], true, "{file}");
        assert_eq!((site.generation(), site.files("snapshots"), entries(&site)), before, "{file}");
        all_listed(server.dns, &content, &model);
    }
    // The good version is still known by its validators: when it is back, it need not even be sent again.
    site.put("victim", fs::read(&good).unwrap());
    let done = site.sync(&["victim"]).expect(0).json();
    assert_eq!(done["lists"][0]["outcome"], "confirmed", "{done:#}");
    assert_eq!(entries(&site), before.2);
    case.broken.len()
}

fn entries(site: &Site) -> serde_json::Value {
    site.status()["lists"][0]["entries"].clone()
}

/// Every entry of the good version answers.
fn all_listed(server: SocketAddr, content: &Content, model: &Model) {
    let v4 =
        content.v4.iter().filter(|span| model.lists_v4(span.0)).map(|span| name_v4(span.0, "victim.example"));
    let v6 =
        content.v6.iter().filter(|span| model.lists_v6(span.0)).map(|span| name_v6(span.0, "victim.example"));
    let mut count = 0;
    ask_all(server, Over::Udp, v4.chain(v6).map(|name| (question(&name, A), name)), |name, reply| {
        assert!(reply.rcode == NOERROR && reply.a.len() == 1, "{name}: {reply:?}");
        count += 1;
    });
    assert!(count > 10, "{count} entries");
}
