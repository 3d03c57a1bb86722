//! Lists of the operator's own files, several of them together: read where they are, again when one of them changes,
//! and with one bad file the last good list serves on.
#![cfg(feature = "full")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use common::dns::{A, Over, ask};
use common::site::Site;
use gatepost::config::{Draft, Feeds, Overrides};
use gatepost::store::{Outcome, Store};
use gatepost::sync::{self, Event, Options, Watcher};
use serde_json::Value;

/// A data set of these files.
fn site(files: &[&str], more: &str) -> Site {
    let site = Site::new();
    site.configure(&format!(
        "[list.own]\nfiles = {files:?}\nformat = \"rbldnsd:ip4set\"\nuse = \"block\"\n{more}\n{}",
        Site::zone("own.example", &["own"], "")
    ));
    site
}

fn put(site: &Site, name: &str, text: &str) {
    fs::write(site.path(name), text).unwrap();
}

/// What became of the list.
fn list(said: &Value) -> (&str, &str) {
    let list = &said["lists"][0];
    (list["outcome"].as_str().unwrap(), list["reasons"][0].as_str().unwrap_or_default())
}

/// The A records and the TTL that a name has.
fn listed(site: &Site, name: &str) -> Vec<[u8; 4]> {
    let server = site.serve();
    let found = ask(server.dns, Over::Udp, &format!("{name}.own.example"), A);
    assert_eq!(server.stop().0, Some(0));
    found.a
}

#[test]
fn several_files_are_one_data_set() {
    let site = site(&["a", "b"], "");
    put(&site, "a", ":5:five\n192.0.3.1\n$MAXRANGE4 4\n!192.0.3.7\n");
    put(&site, "b", "192.0.3.2\n192.0.3.7\n198.51.100/24\nnonsense\n");
    let done = site.sync(&[]).expect(0);
    assert_eq!(list(&done.json()).0, "accepted");
    let path = site.path("b");
    for place in ["line 3, column 1", "line 4, column 1"] {
        let line = format!("own: left out {}, {place}", path.display());
        assert!(done.stderr.contains(&line), "{}", done.stderr);
    }
    // The default ends with its file; an exclusion and a bound do not.
    assert_eq!(listed(&site, "1.3.0.192"), [[127, 0, 0, 5]]);
    assert_eq!(listed(&site, "2.3.0.192"), [[127, 0, 0, 2]]);
    assert_eq!(listed(&site, "7.3.0.192"), [[0u8; 4]; 0]);
    // No copy is kept.
    assert!(!site.files("feeds/own").iter().any(|name| name.starts_with("body-")));
}

#[test]
fn a_change_of_one_file_is_noticed_however_small() {
    let site = site(&["a", "b"], "");
    put(&site, "a", "192.0.3.1\n");
    put(&site, "b", "192.0.3.2\n");
    site.sync(&[]).expect(0);
    std::thread::sleep(Duration::from_millis(2100));
    // Read again, because it was written a moment before it was read; then no more.
    site.sync(&[]).expect(0);
    assert_eq!(list(&site.sync(&[]).expect(0).json()).0, "confirmed");
    let dated = fs::metadata(site.path("b")).unwrap().modified().unwrap();
    put(&site, "b", "192.0.3.3\n");
    File::options().append(true).open(site.path("b")).unwrap().set_modified(dated).unwrap();
    assert_eq!(list(&site.sync(&[]).expect(0).json()).0, "accepted");
    assert_eq!(listed(&site, "3.3.0.192"), [[127, 0, 0, 2]]);
    // The same files in another order are another list.
    let text = fs::read_to_string(site.config()).unwrap().replace("[\"a\", \"b\"]", "[\"b\", \"a\"]");
    fs::write(site.config(), text).unwrap();
    assert_eq!(list(&site.sync(&[]).expect(0).json()).0, "accepted");
}

#[test]
fn one_bad_file_leaves_all_as_they_were() {
    let site = site(&["a", "b"], "max-size = \"200kB\"");
    put(&site, "a", "192.0.3.1\n");
    put(&site, "b", "192.0.3.2\n");
    site.sync(&[]).expect(0);
    let path = |name: &str| site.path(name).display().to_string();
    let refused = |outcome: &str, reason: &str| {
        let said = site.sync(&[]).expect(1).json();
        assert_eq!(list(&said), (outcome, reason));
        assert_eq!(said["lists"][0]["entries"], 2);
    };
    fs::remove_file(site.path("b")).unwrap();
    refused("failed", &format!("{}: cannot read it: No such file or directory (os error 2)", path("b")));
    put(&site, "b", "192.0.3.2\n$TIMESTAMP 2999:01:01\n");
    refused(
        "rejected",
        &format!(
            "{}: line 2: the data are stamped 2999-01-01T00:00:00Z, which lies in the future",
            path("b")
        ),
    );
    fs::write(site.path("b"), b"\x1f\x8b\x08\0cut").unwrap();
    let said = site.sync(&[]).expect(1).json();
    let (outcome, reason) = list(&said);
    assert!(outcome == "rejected" && reason.starts_with(&format!("{}: ", path("b"))), "{reason}");
    put(&site, "b", &"# comment\n".repeat(20_000));
    refused("failed", &format!("{}, {}: larger than 200000 octets", path("a"), path("b")));
    // One of them may hold nothing, but not nothing that can be read: what it listed would be taken out.
    put(&site, "b", "# nothing\n");
    site.sync(&[]).expect(0);
    put(&site, "b", "<html>\n");
    let said = site.sync(&[]).expect(1).json();
    let (outcome, reason) = list(&said);
    let why = format!("{}: none of its lines can be read as rbldnsd:ip4set; line 1: ", path("b"));
    assert!(outcome == "rejected" && reason.starts_with(&why), "{reason}");
    assert_eq!(listed(&site, "1.3.0.192"), [[127, 0, 0, 2]]);
}

/// However often it is looked at. When it becomes a list it is read.
#[test]
fn a_file_that_is_no_list_is_read_once() {
    let site = site(&["a"], "");
    put(&site, "a", "192.0.3.1\n");
    site.sync(&[]).expect(0);
    put(&site, "a", &"nonsense\n".repeat(30));
    // What was changed a moment ago may have been changed again in the same tick of the clock.
    std::thread::sleep(Duration::from_millis(2100));
    for left_out in [30, 0, 0] {
        let ran = site.sync(&[]).expect(1);
        assert_eq!(ran.stderr.matches("left out").count(), left_out, "{}", ran.stderr);
        let said = ran.json();
        let (outcome, reason) = list(&said);
        assert!(outcome == "rejected" && reason.contains("none of its lines can be read"), "{reason}");
    }
    // What is refused for another reason is read again, since that may pass, and told once.
    put(&site, "a", &format!("{}$TIMESTAMP 2999:01:01\n", "nonsense\n".repeat(7)));
    for left_out in [7, 0] {
        let ran = site.sync(&[]).expect(1);
        assert_eq!(ran.stderr.matches("left out").count(), left_out, "{}", ran.stderr);
        assert!(list(&ran.json()).1.contains("lies in the future"), "{}", ran.stderr);
    }
    put(&site, "a", "192.0.3.2\n");
    assert_eq!(list(&site.sync(&[]).expect(0).json()).0, "accepted");
    assert_eq!(listed(&site, "2.3.0.192"), [[127, 0, 0, 2]]);
}

#[test]
fn a_folder_in_the_place_of_a_file_costs_its_own_list() {
    let site = Site::new();
    let own = |name: &str, code: u8| {
        format!(
            "[list.{name}]\nfile = \"{name}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.{code}\"\n"
        )
    };
    let zone = Site::zone("own.example", &["a", "b"], "");
    site.configure(&format!("{}{}{zone}", own("a", 7), own("b", 8)));
    put(&site, "a", "192.0.3.1\n");
    put(&site, "b", "192.0.3.2\n");
    site.sync(&[]).expect(0);
    fs::remove_file(site.path("a")).unwrap();
    fs::create_dir(site.path("a")).unwrap();
    put(&site, "b", "192.0.3.3\n");
    let said = site.sync(&[]).expect(1).json();
    let (outcome, reason) = list(&said);
    assert!(outcome == "failed" && reason.contains("not a regular file"), "{reason}");
    assert_eq!(listed(&site, "1.3.0.192"), [[127, 0, 1, 7]]);
    assert_eq!(listed(&site, "3.3.0.192"), [[127, 0, 1, 8]]);
}

/// Writes into a file as soon as a line of it was read.
struct Meddler<'a> {
    path: &'a Path,
    done: AtomicBool,
}

impl Watcher for Meddler<'_> {
    fn event(&self, event: &Event<'_>) {
        if let Event::BadLine { file, .. } = event {
            assert_eq!(*file, Some(self.path));
            let mut file = File::options().append(true).open(self.path).unwrap();
            file.write_all(b"192.0.3.9\n").unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
            self.done.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_by_the_next_sync() {
    let site = site(&["a", "b"], "");
    put(&site, "a", "nonsense\n192.0.3.1\n");
    put(&site, "b", "192.0.3.2\n");
    let no_feeds = Feeds::read([]).unwrap();
    let read = Draft::read(&site.config(), Overrides::default());
    let config =
        read.and_then(|read| read.resolve(&no_feeds)).unwrap_or_else(|problems| panic!("{problems}"));
    let store = Store::open(&config.state).unwrap();
    let path = site.path("a");
    let meddler = Meddler { path: &path, done: AtomicBool::new(false) };
    let done = sync::run(&config, &store, &Options::default(), &meddler).unwrap();
    assert!(meddler.done.into_inner());
    assert_eq!(done.lists[0].outcome, Some(Outcome::Failed));
    let reason =
        format!("{}: it was changed while it was read; the next sync reads it again", path.display());
    assert_eq!(done.lists[0].reasons, [reason]);
    assert_eq!((done.lists[0].entries, done.published), (None, None));
    site.sync(&[]).expect(0);
    assert_eq!(listed(&site, "9.3.0.192"), [[127, 0, 0, 2]]);
}
