//! Several places for one list, and servers that do not say what they mean: who rests, who is passed over, whose "not modified"
//! counts, and what is told of it.
#![cfg(feature = "full")]

mod common;

use std::io::Write;

use common::hostile::{Act, Hostile, response};
use common::site::Site;
use serde_json::Value;

const GOOD: &[u8] = b"5.6.7.8\n5.6.7.9\n";
const GOOD_HEAD: &str = "200 OK\nETag: \"good\"\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT";

fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK\nETag: \"bad\"\nLast-Modified: Sun, 22 Nov 2026 10:00:00 GMT", body)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A mirror that asks to be left alone is, while another gives the list.
#[test]
fn a_mirror_may_rest() {
    let (first, second) = (Hostile::start(), Hostile::start());
    let site = Site::new();
    let urls = [&first, &second].map(|server| format!("http://{}/list", server.address));
    site.configure(&format!(
        "[list.one]\nurls = {urls:?}\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"0s\"\n"
    ));
    first.does(Act::Say(response("503 X\nRetry-After: 3600", b"")));
    second.does(Act::Say(response(GOOD_HEAD, GOOD)));
    for asked in [1, 0, 0] {
        site.sync(&["one"]).expect(0);
        assert_eq!((first.asked().len(), second.asked().len()), (asked, 1));
    }
    second.does(Act::Say(response("500 X", b"")));
    let reasons = site.sync(&["one"]).expect(1).json()["lists"][0]["reasons"].to_string();
    assert!(reasons.contains("passed over") && reasons.contains("500"), "{reasons}");
}

/// One that wants to be left alone for a week does not silence those that are only ill for a moment; when all of them want to,
/// the list waits for the first.
#[test]
fn a_mirror_rests_for_itself_alone() {
    let (first, second) = (Hostile::start(), Hostile::start());
    let site = Site::new();
    let urls = [&first, &second].map(|server| format!("http://{}/list", server.address));
    site.configure(&format!(
        "[list.one]\nurls = {urls:?}\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"0s\"\n"
    ));
    let asked = || (first.asked().len(), second.asked().len());
    let waits = |site: &Site| site.sync(&["one"]).expect(0).json()["lists"][0]["waits"].clone();
    first.does(Act::Say(response("429 X\nRetry-After: 604800", b"")));
    second.does(Act::Say(response("503 X", b"")));
    site.sync(&["one"]).expect(1);
    assert_eq!(asked(), (1, 1));
    second.does(Act::Say(response(GOOD_HEAD, GOOD)));
    assert_eq!((waits(&site), asked()), (Value::Null, (0, 1)));
    second.does(Act::Say(response("503 X\nRetry-After: 3600", b"")));
    site.sync(&["one"]).expect(1);
    assert_eq!(asked(), (0, 1));
    let left = waits(&site)[0].as_u64().unwrap();
    assert!((3500..=3600).contains(&left), "{left}");
    assert_eq!(asked(), (0, 0));
    // By force all of them are asked.
    site.on_list("sync", "one", &["--force"]).expect(1);
    assert_eq!(asked(), (1, 1));
}

/// One that wants to be left alone is, also when it was asked only since the one before it gave rubbish.
#[test]
fn a_mirror_behind_rubbish_may_rest() {
    let servers = [(); 3].map(|()| Hostile::start());
    let site = Site::new();
    let urls = servers.each_ref().map(|server| format!("http://{}/list", server.address));
    site.configure(&format!(
        "[list.one]\nurls = {urls:?}\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"0s\"\n"
    ));
    let asked = || servers.each_ref().map(|server| server.asked().len());
    let [rubbish, rests, last] = &servers;
    rubbish.does(Act::Say(response(GOOD_HEAD, b"<html>")));
    rests.does(Act::Say(response("503 X\nRetry-After: 3600", b"")));
    // Whatever the last one does: nothing of use, something of use, "not modified".
    last.does(Act::Say(response("500 X", b"")));
    site.sync(&["one"]).expect(1);
    assert_eq!(asked(), [1, 1, 1]);
    last.does(Act::Say(response(GOOD_HEAD, GOOD)));
    site.sync(&["one"]).expect(0);
    assert_eq!(asked(), [1, 0, 1]);
    rubbish.does(Act::Say(response(GOOD_HEAD, GOOD)));
    site.sync(&["one"]).expect(0);
    assert_eq!(asked(), [1, 0, 0]);
}

/// A mirror that gives rubbish, or an old version, does not hide the one behind it, and is asked again the next time.
#[test]
fn a_mirror_with_rubbish_hides_nobody() {
    let (first, second) = (Hostile::start(), Hostile::start());
    let site = Site::new();
    let urls = [&first, &second].map(|server| format!("http://{}/list", server.address));
    site.configure(&format!(
        "[list.one]\nurls = {urls:?}\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"0s\"\n"
    ));
    let dated = |day: u32, body: &[u8]| {
        response(&format!("200 OK\nLast-Modified: Sat, {day:02} Nov 2025 10:00:00 GMT"), body)
    };
    let outcome = |code: i32| {
        let done = site.sync(&["one"]).expect(code).json();
        let asked = (first.asked().len(), second.asked().len());
        (done["lists"][0]["outcome"].as_str().unwrap().to_owned(), asked)
    };
    second.does(Act::Say(dated(15, GOOD)));
    for rubbish in
        [ok(b"<html>"), ok(b""), ok(&gzip(GOOD)[..20]), response("200 OK", b"5.6.7.8\nnonsense\n\x00\n")]
    {
        first.does(Act::Say(rubbish));
        assert_ne!(outcome(0).0, "rejected");
    }
    first.does(Act::Say(ok(b"<html>")));
    assert_eq!(outcome(0), ("accepted".into(), (1, 1)));
    // Both give nothing of use: what the first one said is told.
    second.does(Act::Say(ok(b"{\"error\":1}")));
    let done = site.sync(&["one"]).expect(1).json();
    assert!(done["lists"][0]["reasons"].to_string().contains("web page"), "{done:#}");
    // A stale cache in front of a newer version.
    first.does(Act::Say(dated(8, b"5.6.7.8\n")));
    second.does(Act::Say(dated(22, b"5.6.7.8\n5.6.7.9\n5.6.7.10\n")));
    first.asked();
    second.asked();
    assert_eq!(outcome(0), ("accepted".into(), (1, 1)));
    second.does(Act::Say(response("500 X", b"")));
    assert_eq!(outcome(0).0, "stale");
    // The first is well again: nobody else is asked.
    first.does(Act::Say(dated(29, GOOD)));
    second.asked();
    assert_eq!(outcome(0), ("accepted".into(), (1, 0)));
}

/// A body without the end mark that the version in service has was cut: it waits for a person only when no mirror has a whole one.
#[test]
fn a_mirror_that_lost_the_end_mark_hides_nobody() {
    let [first, second] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    site.configure(&list_at(&[&first, &second].map(url_of), "0s"));
    let says = |server: &Hostile, body: &str| {
        server.asked();
        server.does(Act::Say(response("200 OK\nETag: \"x\"", body.as_bytes())));
    };
    let asked = || (first.asked().len(), second.asked().len());
    says(&first, "5.6.7.8\n5.6.7.9\n# END 2 entries\n");
    assert_eq!(outcome(&site, 0), "accepted");
    says(&first, "5.6.7.8\n");
    says(&second, "5.6.7.8\n5.6.7.9\n5.6.7.10\n# END 3 entries\n");
    assert_eq!((outcome(&site, 0).as_str(), asked()), ("accepted", (1, 1)));
    let status = site.first_list();
    assert_eq!((&status["entries"], &status["brought"]["url"]), (&3.into(), &url_of(&second).into()));
    assert!(status["passed_over"][0]["what"].to_string().contains("end mark"), "{status:#}");
    // Nobody has a whole one: what waits is what only lacks its mark, whoever gave it.
    for (one, two) in [("5.6.7.8\n5.6.7.9\n", "<html>"), ("<html>", "5.6.7.8\n5.6.7.9\n")] {
        says(&first, one);
        says(&second, two);
        let done = site.sync(&["one"]).expect(1);
        assert_eq!(asked(), (1, 1), "it is sent again, and asked for everywhere");
        assert_eq!(done.json()["lists"][0]["outcome"], "held");
        assert!(!done.stderr.contains("nothing of use"), "{}", done.stderr);
        let status = site.first_list();
        assert_eq!((&status["entries"], &status["held"]["entries"]), (&3.into(), &2.into()), "{status:#}");
    }
    // Nor does it hide for ever that its publisher writes none any more: a mirror that has nothing newer may have stood still.
    says(&first, "5.6.7.8\n5.6.7.9\n");
    second.does(Act::Say(response("304 Not Modified\nETag: \"x\"", b"")));
    assert_eq!((outcome(&site, 1).as_str(), asked()), ("held", (1, 1)));
    says(&second, "5.6.7.8\n5.6.7.9\n5.6.7.10\n# END 3 entries\n");
    assert_eq!((outcome(&site, 1).as_str(), asked()), ("held", (1, 1)));
    // A person may know that there is to be none any more: then it is one like others.
    site.on_list("accept", "one", &[]).expect(0);
    says(&second, "5.6.7.8\n5.6.7.9\n");
    says(&first, "5.6.7.8\n5.6.7.9\n5.6.7.11\n");
    assert_eq!((outcome(&site, 0).as_str(), asked()), ("accepted", (1, 0)));
}

/// "Not modified" is no answer to a question for whatever there is.
#[test]
fn not_modified_although_nobody_asked_so() {
    let hostile = Hostile::start();
    let site = Site::new();
    site.configure(&format!(
        "[list.one]\nurl = \"http://{}/list\"\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"0s\"\n",
        hostile.address
    ));
    hostile.does(Act::Say(response("200 OK", GOOD)));
    site.sync(&["one"]).expect(0);
    let confirmed = site.first_list()["confirmed"].clone();
    hostile.does(Act::Say(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_vec()));
    let done = site.sync(&["one"]).expect(1).json();
    assert_eq!(done["lists"][0]["outcome"], "failed", "{done:#}");
    assert_eq!(site.first_list()["confirmed"]["at"], confirmed["at"]);
}

/// A list of these places, to be fetched at any time.
fn list_at(urls: &[String], floor: &str) -> String {
    format!(
        "[list.one]\nurls = {urls:?}\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = {floor:?}\n"
    )
}

fn url_of(server: &Hostile) -> String {
    format!("http://{}/list", server.address)
}

/// What became of the list, and the status.
#[track_caller]
fn outcome(site: &Site, code: i32) -> String {
    let done = site.sync(&["one"]).expect(code).json();
    done["lists"][0]["outcome"].as_str().unwrap_or("waits").to_owned()
}

fn not_modified(more: &str) -> Act {
    let more: String = more.lines().map(|line| format!("{line}\r\n")).collect();
    Act::Say(format!("HTTP/1.1 304 Not Modified\r\n{more}Connection: close\r\n\r\n").into_bytes())
}

/// Who wants to be left alone, and is not asked any more, keeps nobody else silent.
#[test]
fn a_place_that_is_gone_silences_nobody() {
    let (gone, other) = (Hostile::start(), Hostile::start());
    gone.does(Act::Say(response("429 X\nRetry-After: 604800", b"")));
    other.does(Act::Say(response("200 OK", GOOD)));
    for urls in [vec![url_of(&other)], vec![url_of(&gone), url_of(&other)]] {
        let site = Site::new();
        site.configure(&list_at(&[url_of(&gone)], "0s"));
        assert_eq!(outcome(&site, 1), "failed");
        assert_eq!(outcome(&site, 0), "waits");
        assert_eq!(gone.asked().len(), 1);
        site.configure(&list_at(&urls, "0s"));
        assert_eq!(outcome(&site, 0), "accepted", "{urls:?}");
        assert_eq!((gone.asked().len(), other.asked().len()), (0, 1));
        // Put back, it rests still.
        site.configure(&list_at(&[url_of(&gone)], "0s"));
        assert_eq!(outcome(&site, 0), "waits");
        assert_eq!(gone.asked().len(), 0);
    }
}

/// A second mirror that is long gone does not make one hiccup of the first one cost half a day.
#[test]
fn a_dead_mirror_keeps_nobody_away() {
    let [first, gone] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    site.configure(&list_at(&[&first, &gone].map(url_of), "30m"));
    first.does(Act::Say(response("503 X", b"")));
    gone.does(Act::Say(response("404 X", b"")));
    assert_eq!(outcome(&site, 1), "failed");
    let path = site.state().join("feeds/one/status.json");
    let status: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(status["next"]["seconds"].as_u64().unwrap() < 3 * 3600, "{status:#}");
    assert!(status["resting"].is_null(), "the floor of each place will do: {status:#}");
}

/// "Not modified" by somebody who has an older version, or another one, confirms nothing.
#[test]
fn not_modified_of_another_version() {
    let hostile = Hostile::start();
    let site = Site::new();
    site.configure(&list_at(&[url_of(&hostile)], "0s"));
    hostile.does(Act::Say(response(GOOD_HEAD, GOOD)));
    assert_eq!(outcome(&site, 0), "accepted");
    let confirmed = || site.first_list()["confirmed"]["at"].clone();
    let before = confirmed();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for older in [
        "Last-Modified: Wed, 11 Nov 2026 10:00:00 GMT",
        "ETag: W/\"good\"\nLast-Modified: Wed, 11 Nov 2026 10:00:00 GMT",
    ] {
        hostile.does(not_modified(older));
        assert_eq!((outcome(&site, 0).as_str(), confirmed()), ("stale", before.clone()), "{older}");
        let reasons = site.first_list()["reasons"].to_string();
        assert!(reasons.contains("2026-11-11") && reasons.contains("2026-11-21"), "{reasons}");
    }
    hostile.asked();
    // Another name without a date, or of the same: it is believed neither, and the next time all of it is asked for.
    for another in ["ETag: \"old\"", "ETag: W/\"old\"\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT"] {
        let before = confirmed();
        hostile.does(not_modified(another));
        assert_eq!((outcome(&site, 0).as_str(), confirmed()), ("stale", before), "{another}");
        assert!(hostile.asked().concat().contains("if-none-match: \"good\""));
        hostile.does(Act::Say(response(GOOD_HEAD, GOOD)));
        assert_eq!(outcome(&site, 0), "accepted");
        let asked = hostile.asked().concat();
        assert!(!asked.contains("if-none-match") && !asked.contains("if-modified-since"), "{asked}");
    }
    // What a server may do with a name on the way, and a date that says nothing.
    for same in [
        "",
        "ETag: W/\"good\"",
        "ETag: \"good-gzip\"\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT",
        "Last-Modified: yesterday",
        "Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT",
        // By a name of the very octets; another node of its server copied them at another time.
        "ETag: \"good\"\nLast-Modified: Wed, 11 Nov 2026 10:00:00 GMT",
    ] {
        hostile.does(not_modified(same));
        assert_eq!(outcome(&site, 0), "confirmed", "{same}");
    }
}

/// The same octets are the same version, whatever date another node of their server gives them; other ones of that date are older.
#[test]
fn the_same_body_with_an_older_date() {
    let hostile = Hostile::start();
    let site = Site::new();
    site.configure(&list_at(&[url_of(&hostile)], "0s"));
    let older = "200 OK\nETag: \"good\"\nLast-Modified: Sat, 21 Nov 2026 09:59:58 GMT";
    hostile.does(Act::Say(response(GOOD_HEAD, GOOD)));
    assert_eq!(outcome(&site, 0), "accepted");
    hostile.does(Act::Say(response(older, GOOD)));
    assert_eq!(outcome(&site, 0), "accepted");
    for head in [older, "200 OK\nLast-Modified: Sat, 21 Nov 2026 09:59:59 GMT"] {
        hostile.does(Act::Say(response(head, b"5.6.7.8\n")));
        assert_eq!(outcome(&site, 0), "stale", "{head}");
    }
}

/// A stale cache that says "not modified" does not hide the mirror behind it.
#[test]
fn not_modified_by_a_stale_mirror_hides_nobody() {
    let (first, second) = (Hostile::start(), Hostile::start());
    let site = Site::new();
    site.configure(&list_at(&[url_of(&first), url_of(&second)], "0s"));
    first.does(Act::Say(response(GOOD_HEAD, GOOD)));
    assert_eq!(outcome(&site, 0), "accepted");
    first.does(not_modified("Last-Modified: Wed, 11 Nov 2026 10:00:00 GMT"));
    second.does(Act::Say(response(
        "200 OK\nLast-Modified: Mon, 23 Nov 2026 10:00:00 GMT",
        b"5.6.7.8\n5.6.7.10\n",
    )));
    assert_eq!(outcome(&site, 0), "accepted");
    assert_eq!(site.first_list()["brought"]["url"], url_of(&second));
}

/// Validators are shown to who gave them, behind a redirect too, and "not modified" counts from there alone.
#[test]
fn validators_behind_a_redirect() {
    let [first, second, third] = [(); 3].map(|()| Hostile::start());
    let site = Site::new();
    site.configure(&list_at(&[url_of(&first)], "0s"));
    let to = |server: &Hostile, query: &str| {
        Act::Say(response(&format!("302 X\nLocation: http://{}/other{query}", server.address), b""))
    };
    first.does(to(&second, "?for=now"));
    second.does(Act::Say(response("200 OK\nETag: \"second\"", GOOD)));
    assert_eq!(outcome(&site, 0), "accepted");
    let asks = |server: &Hostile| server.asked().concat().contains("if-none-match: \"second\"");
    assert!(!asks(&first) && !asks(&second));
    // The same place behind it, by whatever leave for the moment.
    first.does(to(&second, "?for=another-moment"));
    second.does(not_modified(""));
    assert_eq!(outcome(&site, 0), "confirmed");
    assert!(!asks(&first) && asks(&second));
    // Another one: it never had them, and what it says of them is nothing.
    first.does(to(&third, ""));
    third.does(not_modified(""));
    assert_eq!(outcome(&site, 1), "failed");
    assert!(!asks(&first) && !asks(&third));
    // Nor does the first, when it answers itself.
    first.does(not_modified(""));
    assert_eq!(outcome(&site, 1), "failed");
    assert!(!asks(&first));
    first.does(Act::Say(response("200 OK\nETag: \"first\"", GOOD)));
    assert_eq!(outcome(&site, 0), "accepted");
    first.asked();
    first.does(not_modified(""));
    assert_eq!(outcome(&site, 0), "confirmed");
    assert!(first.asked().concat().contains("if-none-match: \"first\""));
}

/// What the mirrors in front did is in the log and in the status, and is told once for as long as it is so.
#[test]
fn mirrors_in_front_are_told_of() {
    let [first, second, third] = [(); 3].map(|()| Hostile::start());
    let site = Site::new();
    site.configure(&list_at(&[&first, &second, &third].map(url_of), "0s"));
    third.does(Act::Say(response(GOOD_HEAD, GOOD)));
    first.does(Act::Say(response("200 OK", b"<html>")));
    second.does(Act::Say(response("403 X\nRetry-After: 5000", b"")));
    let sync = || site.sync(&["one"]).expect(0).stderr;
    let said = sync();
    for (server, what) in [(&first, "web page"), (&second, "403")] {
        let line =
            said.lines().find(|line| line.contains(&url_of(server))).unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains(what) && line.contains(&url_of(&third)) && line.contains("WARN"), "{line}");
    }
    let said = sync();
    assert!(!said.contains("WARN"), "{said}");
    let log = site.on_list("history", "one", &["--json"]).expect(0).json();
    let [one, two] = [&log[0]["in_vain"], &log[1]["in_vain"]];
    assert_eq!((&one[0]["url"], &one[1]["retry_after"]), (&url_of(&first).into(), &5000.into()), "{one:#}");
    assert!(one[0]["what"].to_string().contains("web page") && one[1]["status"] == 403, "{one:#}");
    assert_eq!(two[1]["url"], url_of(&second), "passed over, and named: {two:#}");
    let status = site.first_list();
    let passed_over = &status["passed_over"];
    assert_eq!(passed_over[0]["url"], url_of(&first), "{status:#}");
    assert!(passed_over[0]["what"].to_string().contains("web page"), "{status:#}");
    assert!(passed_over[0]["since"]["at"].is_string() && status["problem"] == false, "{status:#}");
    let config = site.config();
    let shown =
        common::program::run(["status".as_ref(), "--config".as_ref(), config.as_os_str()]).expect(0).stdout;
    assert!(shown.contains(&url_of(&first)) && shown.contains("web page"), "{shown}");
    // Well again: nothing is left of it, and the next time it is told anew.
    first.does(Act::Say(response("200 OK", GOOD)));
    sync();
    assert_eq!(site.first_list()["passed_over"], serde_json::json!([]));
    first.does(Act::Say(response("500 X", b"")));
    assert!(sync().contains("WARN"));
}

/// A mirror in front that goes on giving what is of no use need not send it again; when it gives something else, that is looked
/// at.
#[test]
fn what_is_of_no_use_is_not_sent_again() {
    let (first, second) = (Hostile::start(), Hostile::start());
    let site = Site::new();
    site.configure(&list_at(&[url_of(&first), url_of(&second)], "0s"));
    let dated = |tag: &str, day: u32, body: &[u8]| {
        Act::Say(response(
            &format!("200 OK\nETag: \"{tag}\"\nLast-Modified: Sat, {day:02} Nov 2025 10:00:00 GMT"),
            body,
        ))
    };
    first.does(dated("newest", 15, GOOD));
    assert_eq!(outcome(&site, 0), "accepted");
    second.does(dated("other", 22, b"5.6.7.8\n5.6.7.10\n"));
    // (what the first gives, the name of it, whether its date is shown)
    for (useless, tag, by_date) in
        [(dated("old", 8, b"5.6.7.8\n"), "old", true), (dated("page", 8, b"<html>"), "page", false)]
    {
        first.does(useless);
        assert_eq!(outcome(&site, 0), "accepted");
        first.asked();
        first.does(not_modified(&format!("ETag: \"{tag}\"")));
        for _ in 0..3 {
            second.does(not_modified(""));
            assert_eq!(outcome(&site, 0), "confirmed");
            let (asked, behind) = (first.asked().concat(), second.asked().concat());
            assert!(asked.contains(&format!("if-none-match: \"{tag}\"")), "{asked}");
            assert_eq!(asked.contains("if-modified-since"), by_date, "{asked}");
            assert!(behind.contains("if-none-match: \"other\""), "{behind}");
        }
        // Nobody behind it: what it has is refused as it was.
        second.does(Act::Say(response("500 X", b"")));
        assert_eq!(outcome(&site, if by_date { 0 } else { 1 }), if by_date { "stale" } else { "rejected" });
        second.does(dated("other", 22, b"5.6.7.8\n5.6.7.10\n"));
        first.does(Act::Say(response("500 X", b"")));
        assert_eq!(outcome(&site, 0), "accepted");
    }
    first.does(dated("well", 29, GOOD));
    second.asked();
    assert_eq!(outcome(&site, 0), "accepted");
    assert_eq!(second.asked().len(), 0);
}

/// What was of no use is asked for in full when the configuration says that it is of use.
#[test]
fn other_limits_look_again_at_what_was_of_no_use() {
    let [first, second] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    let list = list_at(&[&first, &second].map(url_of), "0s");
    site.configure(&list);
    first.does(Act::Say(response("200 OK\nETag: \"empty\"", b"")));
    second.does(Act::Say(response(GOOD_HEAD, GOOD)));
    assert_eq!(outcome(&site, 0), "accepted");
    first.asked();
    first.does(not_modified("ETag: \"empty\""));
    assert_eq!(outcome(&site, 0), "accepted");
    assert!(first.asked().concat().contains("if-none-match: \"empty\""));
    site.configure(&(list + "allow-empty = true\nmin-entries = 0\n"));
    first.does(Act::Say(response("200 OK\nETag: \"empty\"", b"")));
    second.asked();
    assert_eq!(outcome(&site, 0), "accepted");
    assert!(!first.asked().concat().contains("if-none-match: \"empty\""));
    assert_eq!((second.asked().len(), &site.first_list()["entries"]), (0, &0.into()));
}

/// Who did not want a credential is asked with another one; who is asked too often is not.
#[test]
fn another_credential_waits_for_nobody() {
    use std::os::unix::fs::PermissionsExt;
    for (status, waits) in [(401, false), (403, false), (404, false), (429, true), (503, true)] {
        let hostile = Hostile::start();
        let site = Site::new();
        let files = ["one", "two"].map(|name| site.path(name));
        let put = |file: &std::path::PathBuf, password: &str| {
            std::fs::write(file, format!("joe:{password}\n")).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        let configure = |file: &std::path::PathBuf| {
            site.configure(&format!("{}credential = {file:?}\n", list_at(&[url_of(&hostile)], "0s")));
        };
        files.iter().for_each(|file| put(file, "wrong"));
        configure(&files[0]);
        let refusal = response(&format!("{status} X\nRetry-After: 604800"), b"");
        hostile.does(Act::Say(refusal.clone()));
        assert_eq!(outcome(&site, 1), "failed");
        assert_eq!(outcome(&site, 0), "waits", "{status}: the same one");
        configure(&files[1]);
        assert_eq!(outcome(&site, i32::from(!waits)), if waits { "waits" } else { "failed" }, "{status}");
        put(&files[1], "correct");
        hostile.does(Act::Say(response("200 OK", GOOD)));
        assert_eq!(outcome(&site, 0), if waits { "waits" } else { "accepted" }, "{status}");
    }
}

/// A status that is lost before there ever was a version: the log knows who was asked, and who wants to be left alone.
#[test]
fn manners_outlive_the_status() {
    for (floor, answer) in
        [("1h", "500 X"), ("0s", "429 X\nRetry-After: 604800"), ("0s", "403 X\nRetry-After: 900")]
    {
        let hostile = Hostile::start();
        let site = Site::new();
        site.configure(&list_at(&[url_of(&hostile)], floor));
        hostile.does(Act::Say(response(answer, b"")));
        assert_eq!(outcome(&site, 1), "failed");
        for damaged in [false, true] {
            let path = site.state().join("feeds/one/status.json");
            if damaged { std::fs::write(path, "{") } else { std::fs::remove_file(path) }.unwrap();
            assert_eq!(outcome(&site, 0), "waits", "{answer}");
            site.sync(&[]).expect(0);
        }
        assert_eq!(hostile.asked().len(), 1, "{answer}");
    }
}
