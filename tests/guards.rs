//! Each row of the table of guards, with real processes: after a good version comes a body that must not be taken as it
//! is. The served answers do not change, the reason is named, nothing is left behind; a good version ends it.
#![cfg(feature = "full")]

mod common;

use common::dns::{A, NOERROR, NXDOMAIN, Over, ask};
use common::feed_server::Page;
use common::program::Server;
use common::site::Site;
use common::{hosts, say};
use serde_json::Value;

/// Entries of the good version: 5.6.0.0 and the addresses behind it.
const GOOD: u32 = 1000;

fn good() -> String {
    hosts(0, GOOD)
}

/// A body after [`good`], what becomes of it, and a word of the reason.
struct Row {
    what: &'static str,
    body: String,
    outcome: &'static str,
    word: &'static str,
}

fn row(what: &'static str, body: String, outcome: &'static str, word: &'static str) -> Row {
    Row { what, body, outcome, word }
}

fn rows() -> Vec<Row> {
    let with = |more: &str| good() + more;
    let wide: String = (11..33).map(|n| format!("{n}.0.0.0/8\n")).collect(); // less the canaries' /8
    let canaries = |count: u32| with(&(0..count).map(|n| format!("17.0.{n}.1\n")).collect::<String>());
    vec![
        row("more than 1 % of bad lines", with(&"not an address\n".repeat(11)), "held", "lines are bad"),
        row("the minimum", hosts(0, 899), "held", "at least 900 are due"),
        row("shrunk by more than 25 %", hosts(0, 749), "held", "25.1 % fewer"),
        row("grown by more than 50 %", hosts(0, 1501), "held", "50.1 % more"),
        row(
            "more than 40 % are gone",
            hosts(401, 1401),
            "held",
            "401 of the 1000 old entries are gone (40.1 %",
        ),
        row("more than 8 % of IPv4", with(&wide), "held", "covers 8.20 % of IPv4"),
        row("everything", with("0.0.0.0/0\n"), "held", "lists every address"),
        row("a prefix of seven bits", with("64.0.0.0/7\n"), "held", "broader than /8: 64.0.0.0/7"),
        row("a prefix of fifteen bits", with("2600::/15\n"), "held", "broader than /16: 2600::/15"),
        row("six canaries", canaries(6), "held", "6 entries list canary networks, at most 5 may"),
        row("a web page", "<html><body>Sorry</body></html>\n".to_owned(), "rejected", "web page"),
        row("an error in JSON", "{\"status\":500,\"message\":\"no\"}".to_owned(), "rejected", "JSON"),
        row("words about misuse", "You fetch too often.\n".to_owned(), "rejected", "fetch too often"),
        row("nothing", String::new(), "rejected", "empty"),
        row("another form", "name.example\n".repeat(600), "rejected", "no line"),
        row("a wrong count", with("# END 1001 entries\n"), "rejected", "counts 1001 entries"),
    ]
}

fn listed(server: &Server, name: &str) -> bool {
    let reply = ask(server.dns, Over::Udp, &format!("{name}.victim.example"), A);
    assert!(matches!(reply.rcode, NOERROR | NXDOMAIN), "{name}: {reply:?}");
    !reply.a.is_empty()
}

/// Which of some addresses are listed: entries of the good version and what the bodies bring.
fn said(server: &Server) -> Vec<bool> {
    ["0.0.6.5", "231.3.6.5", "232.3.6.5", "1.0.0.17", "1.1.1.64", "1.1.1.12", "1.1.1.99"]
        .map(|name| listed(server, name))
        .to_vec()
}

fn site() -> Site {
    let site = Site::new();
    let sync = "[sync]\ncanaries = [\"17.0.0.0/8\"]\n".to_owned();
    let list = Site::list("victim", 1, "");
    site.configure(&(sync + &list + &Site::zone("victim.example", &["victim"], "")));
    site.put("victim", good());
    site
}

/// Everything in the store that a body which is not taken may not touch.
fn kept(site: &Site) -> (String, Vec<String>) {
    let mut files = site.files("");
    files.retain(|name| !name.contains("/held/"));
    (site.generation(), files)
}

fn only_list(done: &Value) -> &Value {
    &done["lists"][0]
}

#[test]
fn after_a_good_version_nothing_bad_is_taken() {
    let rows = rows();
    for row in &rows {
        let site = site();
        if row.what == "the minimum" {
            let config = std::fs::read_to_string(site.config()).unwrap();
            let config = config.replace("floor = \"0s\"\n", "floor = \"0s\"\nmin-entries = 900\n");
            std::fs::write(site.config(), config).unwrap();
        }
        site.sync(&["victim"]).expect(0);
        let server = site.serve();
        let (answers, before) = (said(&server), kept(&site));
        assert_eq!(answers, [true, true, false, false, false, false, false], "{}", row.what);
        site.put("victim", row.body.clone());
        for again in [false, true] {
            let done = site.sync(&["victim"]).expect(1).json();
            let list = only_list(&done);
            assert_eq!(list["outcome"], row.outcome, "{}: {list:#}", row.what);
            assert!(list["reasons"].to_string().contains(row.word), "{}: {list:#}", row.what);
            assert_eq!(list["again"], again, "{}: told once", row.what);
            assert_eq!((said(&server), kept(&site)), (answers.clone(), before.clone()), "{}", row.what);
            let status = &site.status()["lists"][0];
            assert_eq!(status["problem"], true, "{}", row.what);
            assert_eq!(status["reasons"], list["reasons"], "{}", row.what);
            assert_eq!(status["held"].is_object(), row.outcome == "held", "{}: {status:#}", row.what);
        }
        // What was held is forgotten with the next good version, which need not even be sent.
        site.put("victim", good());
        let done = site.sync(&["victim"]).expect(0).json();
        assert_eq!(only_list(&done)["outcome"], "confirmed", "{}", row.what);
        let files = site.files("");
        assert!(!files.iter().any(|name| name.contains("/held/") || name.contains(".tmp-")), "{files:?}");
        assert_eq!(site.status()["lists"][0]["problem"], false, "{}", row.what);
    }
    say(&format!("{} kinds of bad bodies after a good version: no answer changed", rows.len()));
}

/// What no list may hold is left out with a report, and the rest is taken.
#[test]
fn single_entries_are_left_out() {
    let site = site();
    site.sync(&["victim"]).expect(0);
    let mut server = site.serve();
    let never = "10.0.0.1\n192.168.0.0/16\n224.0.0.9\n17.0.0.1\n17.5.0.0/16\n20.0.0.0/7\n";
    site.put("victim", good() + never);
    let done = site.sync(&["victim"]).expect(1).json();
    let list = only_list(&done);
    assert_eq!(list["outcome"], "held", "a /7 is too broad: {list:#}");
    // One that is wider than what no list may hold loses a part.
    site.put("victim", good() + "18.0.0.0/16\n192.0.2.0/23\n");
    let done = site.sync(&["victim"]).expect(0).json();
    let list = only_list(&done);
    assert_eq!(list["outcome"], "trimmed", "{list:#}");
    assert!(list["reasons"].to_string().contains("1 wider entries lose a part"), "{list:#}");
    site.put("victim", good() + &never.replace("20.0.0.0/7", "18.0.0.0/16"));
    let done = site.sync(&["victim"]).expect(0).json();
    let list = only_list(&done);
    assert_eq!(list["outcome"], "trimmed", "{list:#}");
    let reasons = list["reasons"].to_string();
    for word in ["5 entries left out", "2 entries name canary networks", "10.0.0.1"] {
        assert!(reasons.contains(word), "{word}: {reasons}");
    }
    server.wait_for_serial("victim.example", site.serial("victim.example"));
    assert!(listed(&server, "1.0.0.18") && !listed(&server, "1.0.0.10") && !listed(&server, "9.0.5.17"));
}

/// A list of names with one that cannot be meant is taken without it.
#[test]
fn junk_names_hold_no_list() {
    let site = Site::new();
    let list = Site::list("victim", 1, "").replace("\"plain\"", "\"names\"");
    site.configure(&(list + &Site::zone("victim.example", &["victim"], "")));
    site.put("victim", "bad.org\n*.bad.net\n*.ttp\n");
    let done = site.sync(&["victim"]).expect(0).json();
    let list = only_list(&done);
    assert_eq!((&list["outcome"], &list["entries"]), (&"trimmed".into(), &2.into()), "{list:#}");
    assert!(list["reasons"].to_string().contains("below a top-level domain that does not exist"), "{list:#}");
    let server = site.serve();
    assert!(listed(&server, "bad.org") && listed(&server, "x.bad.net") && !listed(&server, "x.ttp"));
}

/// An entry may not answer with a code that means an error.
#[test]
fn error_codes_are_no_listings() {
    let site = Site::new();
    let list = Site::list("victim", 1, "").replace("\"plain\"", "\"rbldnsd:ip4set\"");
    site.configure(&(list + &Site::zone("victim.example", &["victim"], "keep-values = true")));
    site.put("victim", "5.6.0.1 :127.255.255.254:over quota\n5.6.0.2 :3:listed\n");
    let done = site.sync(&["victim"]).expect(0).json();
    assert_eq!(only_list(&done)["outcome"], "trimmed", "{done:#}");
    let server = site.serve();
    assert!(listed(&server, "2.0.6.5") && !listed(&server, "1.0.6.5"));
}

/// Nor with an address that is no answer at all, nor with what a person's own block says.
#[test]
fn codes_that_are_no_answer() {
    let site = Site::new();
    let list = Site::list("victim", 1, "")
        .replace("\"plain\"", "\"rbldnsd:ip4set\"")
        .replace("code = \"127.0.1.1\"\n", "");
    site.configure(&(list + &Site::zone("victim.example", &["victim"], "")));
    let codes = ["127.0.0.1", "1.2.3.4", "255.255.255.255"];
    let bad: String = (1..).zip(codes).map(|(n, code)| format!("5.6.1.{n} :{code}:x\n")).collect();
    site.put("victim", good() + &bad + "5.6.9.9 :127.0.0.9:x\n5.6.9.8 :127.0.2.2:x\n");
    let done = site.sync(&["victim"]).expect(0).json();
    assert!(only_list(&done)["reasons"].to_string().contains("3 entries left out"), "{done:#}");
    let server = site.serve();
    let reply = ask(server.dns, Over::Udp, "9.9.6.5.victim.example", A);
    assert_eq!(reply.a, [[127, 0, 0, 9]]);
    // A person speaks by that code; a list answers with its own.
    assert_eq!(ask(server.dns, Over::Udp, "8.9.6.5.victim.example", A).a, [[127, 0, 0, 2]]);
}

/// A name may spell an address as it is asked for. What no list may hold as an address it may not hold as such a name; and no
/// list answers in the place of a test point: the server would refuse the zone.
#[test]
fn names_that_spell_addresses() {
    let site = Site::new();
    let sync = "[sync]\ncanaries = [\"17.0.0.0/8\"]\nown-networks = [\"23.9.0.0/16\"]\n".to_owned();
    let list = Site::list("victim", 1, "").replace("\"plain\"", "\"rbldnsd:dnset\"");
    let own =
        "[list.own]\nfile = \"own.txt\"\nformat = \"rbldnsd:dnset\"\nuse = \"block\"\ncode = \"127.0.1.2\"\n";
    site.configure(
        &(sync
            + &list
            + own
            + "[list.ok]\nfile = \"ok.txt\"\nformat = \"plain\"\nuse = \"allow\"\n"
            + &Site::zone("victim.example", &["victim", "own"], "except = [\"ok\"]\n")),
    );
    std::fs::write(site.path("own.txt"), "2.0.0.127 :127.0.0.9:x\n1.0.0.127\n*.0.127\n7.7.7.7\n7.1.9.23\n")
        .unwrap();
    std::fs::write(site.path("ok.txt"), "8.8.8.9\n").unwrap();
    let names: String = (0..600).map(|n| format!(".a{n}.example\n")).collect();
    site.put("victim", names.clone());
    site.sync(&[]).expect(0);
    let mut server = site.serve();
    assert!(listed(&server, "a1.example") && listed(&server, "2.0.0.127") && !listed(&server, "1.0.0.127"));
    // Own files list whatever they say; the test point is nobody's.
    assert!(listed(&server, "7.7.7.7") && listed(&server, "7.1.9.23"));
    assert_eq!(ask(server.dns, Over::Udp, "2.0.0.127.victim.example", A).a, [[127, 0, 0, 2]]);
    let bad = "1.0.0.127\n2.0.0.127\n*.0.127\n1.1.9.23\n*.2.9.23\n3.3.3.17\n*.8.b.d.0.1.0.0.2\n8.8.8.8\n9.8.8.8\nnew.example\n";
    site.put("victim", names + bad);
    let done = site.sync(&["victim"]).expect(0).json();
    let reasons = only_list(&done)["reasons"].to_string();
    for word in ["6 entries left out", "1 entries name canary networks", "*.2.9.23"] {
        assert!(reasons.contains(word), "{word}: {done:#}");
    }
    server.wait_for_serial("victim.example", site.serial("victim.example"));
    assert!(listed(&server, "new.example") && listed(&server, "8.8.8.8"));
    for name in ["1.0.0.127", "1.1.9.23", "5.2.9.23", "3.3.3.17", "9.8.8.8"] {
        assert!(!listed(&server, name), "{name}");
    }
    assert_eq!(ask(server.dns, Over::Udp, "2.0.0.127.victim.example", A).a, [[127, 0, 0, 2]]);
    assert_eq!(server.stop().0, Some(0));
}

/// Lists that cannot be told from broken ones by these numbers have their own.
#[test]
fn limits_of_a_list_go_before_the_defaults() {
    let site = Site::new();
    let more = "max-shrink = 1.0\nmax-growth = 4.0\nmax-gone = 1.0\n";
    let small = "compare-above = 2000\n";
    let lists =
        Site::list("restless", 1, more) + &Site::list("small", 2, small) + &Site::list("usual", 3, "");
    site.configure(&(lists + &Site::zone("all.example", &["restless", "small", "usual"], "")));
    let put = |body: String| ["restless", "small", "usual"].map(|list| site.put(list, body.clone()));
    let outcomes = |code| {
        let done = site.sync(&["restless", "small", "usual"]).expect(code).json();
        let mut all: Vec<(String, String)> = done["lists"]
            .as_array()
            .unwrap()
            .iter()
            .map(|list| {
                (list["list"].as_str().unwrap().to_owned(), list["outcome"].as_str().unwrap().to_owned())
            })
            .collect();
        all.sort();
        all.into_iter().map(|(_, outcome)| outcome).collect::<Vec<_>>()
    };
    put(good());
    assert_eq!(outcomes(0), ["accepted", "accepted", "accepted"]);
    put(hosts(2000, 2300));
    assert_eq!(outcomes(1), ["accepted", "accepted", "held"]);
    // The usual list is still the first one; others have 300 entries.
    put(hosts(0, 1500));
    assert_eq!(outcomes(0), ["accepted", "accepted", "accepted"]);
}

/// A list that had a mark at its end has been cut when it has none, however few entries it has.
#[test]
fn a_lost_end_mark() {
    let site = site();
    let marked = |count: usize| hosts(0, 200) + &format!("# END {count} entries\n");
    assert_eq!(site.fetch("victim", marked(200))["outcome"], "accepted");
    for cut in [hosts(0, 200), hosts(0, 199), "# only a header\n5.6.0.1\n".to_owned()] {
        let list = site.fetch("victim", cut);
        assert_eq!(list["outcome"], "held", "{list:#}");
        assert!(list["reasons"].to_string().contains("end mark that the version in service has"), "{list:#}");
    }
    assert_eq!(site.fetch("victim", marked(199))["outcome"], "rejected");
    assert_eq!(site.fetch("victim", marked(200) + "# bye\n")["outcome"], "accepted");
    // A person may know that there is to be none.
    assert_eq!(site.fetch("victim", hosts(0, 201))["outcome"], "held");
    site.on_list("accept", "victim", &[]).expect(0);
    assert_eq!(site.fetch("victim", hosts(0, 202))["outcome"], "accepted");
}

/// Nor is a body taken that ends within a line, when those before did not: what is left of an address is another's.
#[test]
fn a_line_that_is_cut() {
    let site = site();
    assert_eq!(site.fetch("victim", hosts(0, 1000))["outcome"], "accepted");
    let list = site.fetch("victim", hosts(0, 900) + "5.6.9.10");
    assert_eq!(list["outcome"], "held", "{list:#}");
    assert!(list["reasons"].to_string().contains("ends within a line"), "{list:#}");
    // That of which nothing can be missing is whole.
    for end in ["5.6.9.10\n  ", "# the end", "5.6.9.11\n; bye"] {
        assert_eq!(site.fetch("victim", hosts(0, 900) + end)["outcome"], "accepted", "{end:?}");
    }
    assert_eq!(site.fetch("victim", hosts(0, 900) + "5.6.9.10")["outcome"], "held");
    // A person may know that it is whole; from then on that is how the list ends.
    site.on_list("accept", "victim", &[]).expect(0);
    assert_eq!(site.fetch("victim", hosts(0, 901) + "5.6.9.11")["outcome"], "accepted");
}

/// What is older than what is there, as it says itself, comes from a cache on the way: nothing is alarmed, nothing is
/// asked more often, and the age of what is there goes on.
#[test]
fn stale_caches_are_refused_quietly() {
    let site = site();
    let day = |day: u32, body: String| Page {
        last_modified: Some(format!("Wed, {day:02} Apr 2026 12:00:00 GMT")),
        ..Page::new(body)
    };
    site.web.put("/victim", day(15, good()));
    site.sync(&["victim"]).expect(0);
    let server = site.serve();
    let (answers, before) = (said(&server), kept(&site));
    let status = || site.status()["lists"][0].clone();
    let confirmed = status()["confirmed"]["at"].clone();
    for count in 1..=3 {
        site.web.put("/victim", day(8, hosts(5, 1005)));
        let ran = site.sync(&["victim"]).expect(0);
        let done = ran.json();
        let list = only_list(&done);
        assert_eq!(list["outcome"], "stale", "{list:#}");
        assert!(
            list["reasons"].to_string().contains("of 2026-04-08T12:00:00Z by its Last-Modified"),
            "{list:#}"
        );
        let status = status();
        assert_eq!((&status["stale"], &status["failures"]), (&count.into(), &0.into()), "{status:#}");
        assert_eq!((&status["problem"], &status["confirmed"]["at"]), (&false.into(), &confirmed));
        assert_eq!((said(&server), kept(&site)), (answers.clone(), before.clone()));
    }
    // Newer than that, or without a date: taken. A date that lies ahead says nothing.
    site.web.put(
        "/victim",
        Page { last_modified: Some("Fri, 01 Jan 2106 00:00:00 GMT".into()), ..Page::new(hosts(1, 1001)) },
    );
    assert_eq!(only_list(&site.sync(&["victim"]).expect(0).json())["outcome"], "accepted");
    site.web.put("/victim", day(22, hosts(2, 1002)));
    assert_eq!(only_list(&site.sync(&["victim"]).expect(0).json())["outcome"], "accepted");
    site.web.put("/victim", day(15, hosts(3, 1003)));
    assert_eq!(only_list(&site.sync(&["victim"]).expect(0).json())["outcome"], "stale");
    // A publisher that really went back is let through by a person: the next fetch is taken whatever it is dated.
    site.on_list("accept", "victim", &[]).expect(0);
    assert_eq!(only_list(&site.sync(&["victim"]).expect(0).json())["outcome"], "accepted");
}

/// Dates in the data go before what the server says of them.
#[test]
fn dates_in_the_data_decide() {
    let site = site();
    let dated = |day: u32, server: u32, body: String| Page {
        last_modified: Some(format!("Wed, {server:02} Apr 2026 12:00:00 GMT")),
        ..Page::new(format!("# last updated 2026-04-{day:02} 12:00:00\n{body}"))
    };
    let sync = |page| {
        site.web.put("/victim", page);
        only_list(&site.sync(&["victim"]).expect(0).json())["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(sync(dated(8, 22, good())), "accepted");
    assert_eq!(sync(dated(7, 29, hosts(1, 1001))), "stale");
    assert_eq!(sync(dated(9, 15, hosts(1, 1001))), "accepted");
    // A header alone is another body with the same entries: nothing changes, and a date that went back is told quietly.
    let before = site.generation();
    assert_eq!(sync(dated(10, 15, hosts(1, 1001))), "accepted");
    assert_eq!(sync(dated(9, 15, hosts(1, 1001))), "stale");
    assert_eq!(site.generation(), before);
}
