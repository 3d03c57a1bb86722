//! `lookup`: since when an entry is there, which fetch brought it, and when it came and went.
#![cfg(feature = "full")]

mod cli_support;

use std::fs;

use cli_support::{Place, Publisher, feed, own_lists};
use serde_json::Value;

const SYNC: [&str; 3] = ["sync", "-c", "gatepost.toml"];

fn synced() -> Place {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    place.run(&SYNC).ended_with(0);
    place
}

/// Makes `own` another list and syncs.
fn becomes(place: &Place, own: &str) {
    place.write("own.txt", own);
    place.run(&SYNC).ended_with(0);
}

fn lookup(place: &Place, what: &str, code: i32) -> Value {
    place.run(&["lookup", "-c", "gatepost.toml", what, "--history", "--json"]).ended_with(code).json()
}

/// Event and entry of everything that happened in the list `own`.
fn events(found: &Value) -> Vec<(String, String)> {
    let history = found["history"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let own = history.iter().filter(|list| list["list"] == "own");
    let events = own.flat_map(|list| list["events"].as_array().unwrap());
    events.map(|event| (text(&event["event"]), text(&event["entry"]))).collect()
}

fn pairs(events: &[(&str, &str)]) -> Vec<(String, String)> {
    events.iter().map(|(event, entry)| ((*event).to_owned(), (*entry).to_owned())).collect()
}

#[test]
fn it_came_and_went() {
    let place = synced();
    becomes(&place, "192.0.2.7\n192.0.2.8\n198.51.100.0/25\n");
    becomes(&place, "192.0.2.8\n198.51.100.0/25\n");
    becomes(&place, "192.0.2.7\n192.0.2.8\n192.0.2.0/24\n");

    let found = lookup(&place, "192.0.2.7", 1);
    assert_eq!(
        events(&found),
        pairs(&[
            ("there", "192.0.2.7"),
            ("went", "192.0.2.7"),
            ("came", "192.0.2.0/24"),
            ("came", "192.0.2.7")
        ])
    );
    let list = &found["lists"][0];
    for (entry, is_at) in [("192.0.2.7", 0), ("192.0.2.0/24", 1)] {
        let shown = &list["entries"][is_at];
        assert_eq!(shown["entry"], entry);
        assert_eq!(shown["since"]["at_least"], false);
        assert!(shown["since"]["age_seconds"].is_u64() && shown["since"]["at"].is_string());
        let url = shown["since"]["fetch"]["url"].as_str().unwrap();
        assert!(url.ends_with("own.txt"), "{url}");
        assert_eq!(shown["since"]["fetch"]["set"].as_str().map(str::len), Some(64));
    }
    assert_eq!(found["history"][0]["events"][1]["fetch"]["url"], list["entries"][0]["since"]["fetch"]["url"]);
    // It was there before anything was known.
    let found = lookup(&place, "192.0.2.8", 1);
    assert_eq!(events(&found)[0], ("came".to_owned(), "192.0.2.8".to_owned()));
    // What is gone has a history too.
    let found = lookup(&place, "198.51.100.7", 0);
    assert_eq!(events(&found), pairs(&[("there", "198.51.100.0/25"), ("went", "198.51.100.0/25")]));
    assert_eq!(lookup(&place, "203.0.113.9", 0)["history"], serde_json::json!([]));

    let shown = place.run(&["lookup", "-c", "gatepost.toml", "192.0.2.7", "--history"]).ended_with(1);
    shown.says("History").says("was there already").says("went").says("SINCE");
    let shown = place.run(&["lookup", "-c", "gatepost.toml", "192.0.2.99"]).ended_with(1);
    shown.says("own: came ").says("own.txt (set ");
    let shown = place.run(&["lookup", "-c", "gatepost.toml", "203.0.113.9", "--history"]).ended_with(0);
    shown.says("no list has had it");
}

#[test]
fn names_and_ipv6() {
    let place = synced();
    place.write("names.txt", "spam.example\nnew.example\n").run(&SYNC).ended_with(0);
    let found = lookup(&place, "new.example", 1);
    assert_eq!(found["lists"][0]["entries"][0]["since"]["at_least"], false);
    assert_eq!(found["history"][0]["events"][0]["event"], "came");
    let found = lookup(&place, "spam.example", 1);
    assert_eq!(found["lists"][0]["entries"][0]["since"]["at_least"], true);
    assert_eq!(found["history"][0]["events"][0]["event"], "there");
    becomes(&place, "192.0.2.7\n");
    assert_eq!(
        events(&lookup(&place, "2001:db8::1", 0)),
        pairs(&[("there", "2001:db8::/32"), ("went", "2001:db8::/32")])
    );
}

/// A sync whose clock ran a year ahead makes no entry older, also before the next one.
#[test]
fn a_clock_that_ran_ahead() {
    let place = synced();
    becomes(&place, "192.0.2.7\n192.0.2.8\n");
    let path = "state/feeds/own/status.json";
    let mut status: Value = serde_json::from_str(&place.read(path)).unwrap();
    let wall = &mut status["last_attempt"]["wall"];
    *wall = (wall.as_i64().unwrap() + 365 * 86_400).into();
    place.write(path, status.to_string());
    let found = lookup(&place, "192.0.2.8", 1);
    for when in [&found["lists"][0]["entries"][0]["since"], &found["history"][0]["events"][0]] {
        assert!(when["age_seconds"].as_u64().unwrap() < 3600, "{found:#}");
    }
}

/// What a fetched list says of where it is from, and where to get off.
#[test]
fn a_feed() {
    let place = Place::new();
    let publisher = Publisher::new(&[("/list.txt", "203.0.113.5\n8.8.8.8\n9.9.9.9\n".to_owned())]);
    fs::create_dir(place.path("feeds")).unwrap();
    place.write("feeds/theirs.toml", feed("theirs", &publisher.url("/list.txt"), "block", "127.0.0.3"));
    place.write(
        "gatepost.toml",
        "version = 1\nstate = \"state\"\n[sync]\ncatalogue = \"feeds\"\n[list.theirs]\nfeed = \"theirs\"\n\
         [zone.\"bl.example.net\"]\nlists = [\"theirs\"]\n",
    );
    place.run(&SYNC).ended_with(0);
    let shown = place.run(&["lookup", "-c", "gatepost.toml", "9.9.9.9"]).ended_with(1);
    let shown = shown.says("at least").says("there in the first version that is known, of ");
    let shown = shown.says(&format!("from {} (set ", publisher.url("/list.txt")));
    shown.says("look it up or get it off: https://theirs.example/?ip=9.9.9.9");
}

/// Neither a folder that cannot be used nor files that are damaged cost the list anything, and it is told.
#[test]
fn trouble_in_the_folder() {
    let place = synced();
    let folder = place.path("state/feeds/own/deltas");
    becomes(&place, "192.0.2.7\n192.0.2.8\n");
    for entry in fs::read_dir(&folder).unwrap() {
        fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    let found = lookup(&place, "192.0.2.8", 1);
    // Since its version was taken, at least.
    assert_eq!(found["lists"][0]["entries"][0]["since"]["at_least"], true);
    becomes(&place, "192.0.2.8\n192.0.2.9\n");
    let found = lookup(&place, "192.0.2.9", 1);
    assert_eq!(found["lists"][0]["entries"][0]["since"]["at_least"], false);

    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "no folder").unwrap();
    place.write("own.txt", "192.0.2.9\n192.0.2.10\n");
    let ran = place.run(&["sync", "-c", "gatepost.toml", "--log-format", "text"]).ended_with(0);
    ran.talks("how the list changed is not written down");
    assert_eq!(lookup(&place, "192.0.2.10", 1)["listed"], true);
}
