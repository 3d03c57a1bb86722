//! How publishers are treated: a server that wants to be left alone is, by all lists and whoever leads there; a place is asked
//! once; a list that moves waits for nobody.
#![cfg(feature = "full")]

mod common;

use common::hostile::{Act, Hostile, response};
use common::site::Site;

const GOOD: &[u8] = b"5.6.7.8\n5.6.7.9\n";

fn says(server: &Hostile, head: &str, body: &[u8]) {
    server.does(Act::Say(response(head, body)));
}

fn url(server: &Hostile, path: &str) -> String {
    format!("http://{}/{path}", server.address)
}

fn list(name: &str, urls: &[String], floor: &str) -> String {
    format!(
        "[list.{name}]\nurls = {urls:?}\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = {floor:?}\n"
    )
}

/// What became of each list, or why it waits.
#[track_caller]
fn became(site: &Site, lists: &[&str], code: i32) -> Vec<(String, String)> {
    let done = site.sync(lists).expect(code).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut all: Vec<_> = done["lists"].as_array().unwrap().iter().collect();
    all.sort_by_key(|list| text(&list["list"]));
    let became = |list: &serde_json::Value| match list["outcome"].as_str() {
        Some(outcome) => outcome.to_owned(),
        None => text(&list["waits"][1]),
    };
    all.into_iter().map(|list| (text(&list["list"]), became(list))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(list, what)| ((*list).to_owned(), (*what).to_owned())).collect()
}

const ALONE: &str = "its server asked to be left alone";

/// Who is asked too often, or has too much to do, says so once, for all that there is at that server.
#[test]
fn a_server_is_left_alone_by_all_lists() {
    for status in [429, 503] {
        let (busy, other) = (Hostile::start(), Hostile::start());
        says(&busy, &format!("{status} X\nRetry-After: 4444"), b"");
        says(&other, "200 OK", GOOD);
        let site = Site::new();
        let lists = list("a", &[url(&busy, "a")], "0s")
            + &list("b", &[url(&busy, "b")], "0s")
            + &list("c", &[url(&busy, "c"), url(&other, "c")], "0s");
        site.configure(&lists);
        let asked = || (busy.asked().len(), other.asked().len());
        // Any of them comes first, and is told; one of them can go elsewhere.
        let first = site.sync(&[]).json();
        let all = first["lists"].as_array().unwrap();
        let of = |outcome: &'static str| {
            all.iter()
                .filter(move |list| list["outcome"] == outcome)
                .map(|list| list["list"].as_str().unwrap())
        };
        assert_eq!((of("accepted").collect::<Vec<_>>(), all.len()), (vec!["c"], 3), "{status}: {first:#}");
        let told = of("failed").next().unwrap_or("c").to_owned();
        assert!(
            all.iter().filter(|list| list["waits"][1] == ALONE).count() == if told == "c" { 2 } else { 1 },
            "{first:#}"
        );
        assert_eq!(asked(), (1, 1), "{status}");
        let log = site.on_list("history", &told, &["--json"]).expect(0).json();
        assert_eq!(log[0]["in_vain"][0]["status"], status, "{log:#}");
        if status == 503 {
            // Trouble passes, and may be one path's: the next sync asks once more, for another list.
            let next = became(&site, &["a", "b"], 1);
            assert_eq!(next.iter().filter(|(_, became)| became == ALONE).count(), 1, "{next:?}");
            assert!(!next.contains(&(told.clone(), "failed".to_owned())), "{told}: {next:?}");
            assert_eq!(asked(), (1, 0));
            continue;
        }
        // For the time that it named, by lists that were not there, or were elsewhere, then; also when who was told has forgotten it.
        for forgotten in [false, true] {
            if forgotten {
                std::fs::remove_file(site.state().join("feeds").join(&told).join("status.json")).unwrap();
            }
            site.configure(&(lists.clone() + &list("d", &[url(&busy, "d")], "0s")));
            let waits = pairs(&[("a", ALONE), ("b", ALONE), ("d", ALONE)]);
            assert_eq!(became(&site, &["a", "b", "d"], 0), waits, "{status}");
            assert_eq!(asked(), (0, 0), "{status}");
        }
        let left = site.sync(&["b"]).json()["lists"][0]["waits"][0].as_u64().unwrap();
        assert!((4000..=4444).contains(&left), "{left}");
        // By force, for what that risks: one question, whose answer counts.
        let config = site.config();
        let force = ["sync", "b", "d", "--force", "--config"].map(AsRef::as_ref);
        common::program::run(force.into_iter().chain([config.as_os_str()])).expect(1);
        assert_eq!(asked(), (1, 0), "{status}");
    }
}

/// A server that always turns the first one away does not turn away the same lists for ever: those that were not asked go first
/// the next time.
#[test]
fn whoever_was_sent_away_goes_first() {
    for status in [429, 503] {
        let server = Hostile::start();
        let site = Site::new();
        site.configure(&["a", "b", "c"].map(|name| list(name, &[url(&server, name)], "0s")).concat());
        says(&server, &format!("{status} X\nRetry-After: 1"), b"");
        for _ in 0..2 {
            let mut asked = Vec::new();
            for _ in 0..3 {
                let done = became(&site, &["a", "b", "c"], 1);
                assert_eq!(done.iter().filter(|(_, became)| became == ALONE).count(), 2, "{status}");
                asked.extend(paths(&server));
                std::thread::sleep(std::time::Duration::from_millis(1200));
            }
            asked.sort();
            assert_eq!(asked, ["/a", "/b", "/c"], "{status}");
        }
    }
}

/// Who was sent away there, and asked in vain at a mirror elsewhere, has not had his turn.
#[test]
fn a_mirror_in_vain_is_no_turn() {
    let (server, mirror) = (Hostile::start(), Hostile::start());
    let site = Site::new();
    site.configure(
        &["a", "b", "c"].map(|name| list(name, &[url(&server, name), url(&mirror, name)], "0s")).concat(),
    );
    says(&server, "429 X\nRetry-After: 1", b"");
    says(&mirror, "503 X", b"");
    for _ in 0..2 {
        let mut asked = Vec::new();
        for _ in 0..3 {
            assert!(became(&site, &["a", "b", "c"], 1).iter().all(|(_, became)| became == "failed"));
            asked.extend(paths(&server));
            std::thread::sleep(std::time::Duration::from_millis(1200));
        }
        asked.sort();
        assert_eq!(asked, ["/a", "/b", "/c"]);
    }
}

/// Nor does one that gives so many at a time and no more: the same lists are not always the last.
#[test]
fn nobody_is_always_last() {
    let server = Hostile::start();
    says(&server, "200 OK", GOOD);
    let site = Site::new();
    let names = ["a", "b", "c", "d"];
    site.configure(&names.map(|name| list(name, &[url(&server, name)], "0s")).concat());
    let orders: std::collections::BTreeSet<Vec<String>> = (0..8)
        .map(|_| {
            assert_eq!(became(&site, &names, 0).len(), 4);
            paths(&server)
        })
        .collect();
    assert!(orders.len() > 1, "{orders:?}");
}

fn paths(server: &Hostile) -> Vec<String> {
    server.asked().iter().map(|asked| asked.split(' ').nth(1).unwrap().to_owned()).collect()
}

/// Who leads to somebody else's server, where he is turned away, silences himself alone.
#[test]
fn a_redirect_silences_nobody_else() {
    let (mean, server) = (Hostile::start(), Hostile::start());
    let site = Site::new();
    site.configure(&(list("a", &[url(&mean, "a")], "0s") + &list("b", &[url(&server, "b")], "0s")));
    says(&mean, &format!("302 X\nLocation: {}", url(&server, "evil")), b"");
    says(&server, "429 X\nRetry-After: 604800", b"");
    assert_eq!(became(&site, &["a"], 1), pairs(&[("a", "failed")]));
    says(&server, "200 OK", GOOD);
    assert_eq!(became(&site, &["a", "b"], 0), pairs(&[("a", ALONE), ("b", "accepted")]));
}

/// Any other refusal is of the one URL.
#[test]
fn other_refusals_are_of_one_url() {
    for status in [403, 404, 500] {
        let server = Hostile::start();
        says(&server, &format!("{status} X\nRetry-After: 4444"), b"");
        let site = Site::new();
        site.configure(&(list("a", &[url(&server, "a")], "0s") + &list("b", &[url(&server, "b")], "0s")));
        assert_eq!(became(&site, &[], 1), pairs(&[("a", "failed"), ("b", "failed")]), "{status}");
        assert_eq!(server.asked().len(), 2, "{status}");
    }
}

/// Mirrors on the server that wants to be left alone are not asked either; those elsewhere are.
#[test]
fn mirrors_on_one_server_rest_together() {
    let (busy, other) = (Hostile::start(), Hostile::start());
    says(&busy, "429 X\nRetry-After: 4444", b"");
    says(&other, "200 OK", GOOD);
    let site = Site::new();
    let urls = [url(&busy, "1"), url(&busy, "2"), url(&other, "3")];
    site.configure(&list("a", &urls, "0s"));
    for asked in [1, 0] {
        assert_ne!(became(&site, &["a"], 0), pairs(&[("a", "failed")]));
        assert_eq!((busy.asked().len(), other.asked().len()), (asked, 1));
    }
    let log = site.on_list("history", "a", &["--json"]).expect(0).json();
    let in_vain = &log[0]["in_vain"];
    assert_eq!(
        (&in_vain[0]["status"], &in_vain[1]["url"]),
        (&429.into(), &urls[1].clone().into()),
        "{in_vain:#}"
    );
    assert!(in_vain[1]["what"].to_string().contains("left alone"), "{in_vain:#}");
    // With none elsewhere the list waits.
    site.configure(&list("a", &urls[..2], "0s"));
    assert_eq!(became(&site, &["a"], 0), pairs(&[("a", ALONE)]));
}

/// Two mirrors that lead to one place: that is asked once, whatever it says.
#[test]
fn a_place_is_asked_once() {
    for answer in ["503 X", "404 X", "200 OK", "429 X\nRetry-After: 4444", "503 X\nRetry-After: 4444"] {
        let servers = [(); 4].map(|()| Hostile::start());
        let [first, second, place, last] = &servers;
        for mirror in [first, second] {
            says(mirror, &format!("302 X\nLocation: {}", url(place, "place")), b"");
        }
        says(place, answer, b"<html>");
        says(last, "200 OK", GOOD);
        let asked = || servers.each_ref().map(|server| server.asked().len());
        let site = Site::new();
        site.configure(&list("a", &[first, second, last].map(|server| url(server, "list")), "0s"));
        assert_eq!(became(&site, &["a"], 0), pairs(&[("a", "accepted")]), "{answer}");
        assert_eq!(asked(), [1, 1, 1, 1], "{answer}");
        // The next time as well; who leads to a server that wants to be left alone is, for as long.
        assert_ne!(became(&site, &["a"], 0), pairs(&[("a", "failed")]), "{answer}");
        let again = if answer.contains("Retry-After") { [0, 0, 0, 1] } else { [1, 1, 1, 1] };
        assert_eq!(asked(), again, "{answer}");
        // Where the first one leads stands in the configuration, too.
        let site = Site::new();
        let urls = [url(first, "list"), url(place, "place"), url(last, "list")];
        site.configure(&list("a", &urls, "0s"));
        assert_eq!(became(&site, &["a"], 0), pairs(&[("a", "accepted")]), "{answer}");
        assert_eq!(asked(), [1, 0, 1, 1], "{answer}");
    }
}

/// A URL that is corrected is asked at once; the one before it, put back, not before its floor is over.
#[test]
fn a_url_that_is_corrected_waits_for_nobody() {
    let (wrong, right) = (Hostile::start(), Hostile::start());
    says(&wrong, "404 X", b"");
    says(&right, "200 OK", GOOD);
    let asked = || (wrong.asked().len(), right.asked().len());
    let floor = "the publisher's least time between two fetches";
    let site = Site::new();
    let wrongly = list("a", &[url(&wrong, "lisst")], "1h");
    site.configure(&wrongly);
    assert_eq!(became(&site, &["a"], 1), pairs(&[("a", "failed")]));
    assert_eq!(became(&site, &["a"], 0), pairs(&[("a", floor)]));
    // Spelt otherwise it is the same one.
    site.configure(&list("a", &[url(&wrong, "/%6cisst")], "1h"));
    assert_eq!(became(&site, &["a"], 0), pairs(&[("a", floor)]));
    assert_eq!(asked(), (1, 0));
    site.configure(&list("a", &[url(&right, "list")], "1h"));
    assert_eq!(became(&site, &["a"], 0), pairs(&[("a", "accepted")]));
    assert_eq!(asked(), (0, 1));
    // To and fro: nobody is asked again.
    for lists in [wrongly, list("a", &[url(&right, "list")], "1h")] {
        site.configure(&lists);
        assert_eq!(became(&site, &["a"], 0), pairs(&[("a", floor)]));
    }
    // A path of the same server is another URL.
    site.configure(&list("a", &[url(&wrong, "list")], "1h"));
    assert_eq!(became(&site, &["a"], 1), pairs(&[("a", "failed")]));
    assert_eq!(asked(), (1, 0));
}

/// Nor does the timer's pause after "there is no such list" hold for the new one.
#[test]
fn the_pause_of_a_url_ends_with_it() {
    let (wrong, right) = (Hostile::start(), Hostile::start());
    says(&wrong, "404 X", b"");
    says(&right, "200 OK", GOOD);
    let site = Site::new();
    // Lists with such a floor come at any minute.
    let wrongly = list("a", &[url(&wrong, "list")], "1m");
    site.configure(&wrongly);
    assert_eq!(became(&site, &[], 1), pairs(&[("a", "failed")]));
    site.configure(&list("a", &[url(&right, "list"), url(&wrong, "list")], "0s"));
    assert_eq!(
        became(&site, &[], 0),
        pairs(&[("a", "the pause after the last attempt")]),
        "it is there still"
    );
    site.configure(&list("a", &[url(&right, "list")], "1m"));
    assert_eq!(became(&site, &[], 0), pairs(&[("a", "accepted")]));
    assert_eq!((wrong.asked().len(), right.asked().len()), (1, 1));
}

/// Nobody is asked for files: the URL that takes their place is due, for the timer, too.
#[test]
fn a_url_in_the_place_of_files_is_due() {
    let server = Hostile::start();
    says(&server, "200 OK", GOOD);
    let site = Site::new();
    let fetched = |floor: &str| list("a", &[url(&server, "list")], floor);
    let own = "[list.a]\nfile = \"a.txt\"\nformat = \"plain\"\nuse = \"block\"\n";
    std::fs::write(site.path("a.txt"), "9.9.9.9\n").unwrap();
    site.configure(own);
    assert_eq!(became(&site, &[], 0), pairs(&[("a", "accepted")]));
    // Lists with such a floor come at any minute.
    site.configure(&fetched("4m"));
    assert_eq!(became(&site, &[], 0), pairs(&[("a", "accepted")]));
    assert_eq!(server.asked().len(), 1);
    // After files again it has been asked all the same.
    site.configure(own);
    became(&site, &[], 0);
    site.configure(&fetched("1h"));
    let floor = "the publisher's least time between two fetches";
    assert_eq!(became(&site, &["a"], 0), pairs(&[("a", floor)]));
}
