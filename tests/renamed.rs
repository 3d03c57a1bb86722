//! A list that is called otherwise in the configuration, while its publisher is away: it has what it had, and is as any list is.
#![cfg(feature = "full")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::dns::{A, NOERROR, Over, SERVFAIL, ask};
use common::feed_server::Page;
use common::hostile::{Act, Hostile, response};
use common::program::Server;
use common::site::Site;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// A list that may be asked for once an hour.
fn list(name: &str, path: &str, use_: &str, more: &str) -> String {
    format!(
        "[list.{name}]\nurl = \"WEB/{path}\"\nformat = \"plain\"\nuse = {use_:?}\nallow-private = true\nfloor = \"1h\"\n{more}\n"
    )
}

/// What 5.6.7.HOST is answered.
fn codes(server: &Server, host: u8) -> Vec<[u8; 4]> {
    ask(server.dns, Over::Udp, &format!("{host}.7.6.5.z.example"), A).a
}

/// With a list that was fetched under the name `one`, and is gone from its server now.
fn fetched(list: &str) -> Site {
    let site = Site::new();
    site.put("one", "5.6.7.8\n5.6.7.9\n");
    site.configure(list);
    site.sync(&[]).expect(0);
    goes(&site, "/one");
    site
}

/// What is there no more.
fn goes(site: &Site, path: &str) {
    site.web.put(path, Page::status(404, "gone"));
}

fn zone(lists: &[&str], more: &str) -> String {
    Site::zone("z.example", lists, more)
}

/// Nobody is asked again within the floor; versions, history and what a person decided are there.
#[test]
fn it_has_what_it_had() {
    let site = fetched(&(list("one", "one", "block", "") + &zone(&["one"], "")));
    let before = site.first_list();
    site.on_list("pin", "one", &[]).expect(0);
    site.configure(&(list("two", "one", "block", "") + &zone(&["two"], "")));
    site.sync(&[]).expect(0);
    assert_eq!(site.web.hits("/one"), 1);
    let after = site.first_list();
    assert_eq!((&after["name"], &after["set"]), (&Value::from("two"), &before["set"]));
    assert!(after["pinned"].is_object(), "{after}");
    let history = site.on_list("history", "two", &[]).expect(0).stdout;
    assert!(history.contains("taken"), "{history}");
    assert!(!site.state().join("feeds/one").exists());
    assert_eq!(codes(&site.serve(), 8).len(), 1);
    // And back.
    site.configure(&(list("one", "one", "block", "") + &zone(&["one"], "")));
    site.sync(&[]).expect(0);
    assert_eq!(site.first_list()["set"], before["set"]);
    assert!(!site.state().join("feeds/two").exists());
}

/// What is configured for it is in force: exceptions, own networks, its code and its use.
#[test]
fn it_is_as_any_list() {
    let site = fetched(&(list("one", "one", "block", "code = \"127.0.1.1\"") + &zone(&["one"], "")));
    std::fs::write(site.path("partners"), "5.6.7.8\n").unwrap();
    let own = "[list.partners]\nfile = \"partners\"\nformat = \"plain\"\nuse = \"allow\"\n";
    let renamed = list("two", "one", "score", "code = \"127.0.1.9\"") + own;
    site.configure(&(renamed.clone() + &zone(&["two"], "except = [\"partners\"]")));
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!((codes(&server, 8), codes(&server, 9)), (vec![], vec![[127, 0, 1, 9]]));
    drop(server);
    site.configure(
        &("[sync]\nown-networks = [\"5.6.7.9/32\"]\n".to_owned() + &renamed + &zone(&["two"], "")),
    );
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!((codes(&server, 8), codes(&server, 9)), (vec![[127, 0, 1, 9]], vec![]));
}

/// Beside other lists, and as an exception.
#[test]
fn among_others() {
    for name in ["one", "two"] {
        let site = Site::new();
        site.put("one", "5.6.7.8\n");
        site.put("more", "5.6.7.8\n5.6.7.9\n");
        site.put("good", "5.6.7.9\n");
        let of = |one: &str, good: &str| {
            list(one, "one", "block", "code = \"127.0.1.1\"")
                + &list("more", "more", "block", "code = \"127.0.1.2\"")
                + &list(good, "good", "allow", "code = \"127.0.1.3\"")
                + &zone(&[one, "more"], &format!("except = [{good:?}]"))
        };
        site.configure(&of("one", "good"));
        site.sync(&[]).expect(0);
        goes(&site, "/one");
        goes(&site, "/good");
        site.configure(&of(name, &format!("{name}-good")));
        // A command puts in service what a sync would have.
        match name {
            "one" => site.sync(&[]).expect(0),
            _ => site.on_list("pin", "more", &[]).expect(0),
        };
        let server = site.serve();
        assert_eq!((codes(&server, 8), codes(&server, 9)), (vec![[127, 0, 1, 1], [127, 0, 1, 2]], vec![]));
    }
}

/// Its old name may be another list's at once, and a person's command may come before the sync.
#[test]
fn an_old_name_that_is_used_again() {
    let site = fetched(&(list("one", "one", "block", "") + &zone(&["one"], "")));
    site.put("other", "5.6.8.1\n");
    let both = list("two", "one", "block", "code = \"127.0.1.2\"")
        + &list("one", "other", "block", "code = \"127.0.1.1\"");
    site.configure(&(both + &zone(&["two"], "") + &Site::zone("v.example", &["one"], "")));
    site.on_list("unpin", "one", &[]).expect(1);
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!(codes(&server, 8), [[127, 0, 1, 2]]);
    assert_eq!(ask(server.dns, Over::Udp, "1.8.6.5.v.example", A).a, [[127, 0, 1, 1]]);
    assert_eq!(site.web.hits("/one"), 1);
}

/// It had been asked for under its new name before, in vain.
#[test]
fn a_new_name_that_is_not_new() {
    let site = fetched(&(list("one", "one", "block", "") + &zone(&["one"], "")));
    let away = list("two", "nowhere", "block", "code = \"127.0.1.2\"");
    site.configure(&(list("one", "one", "block", "code = \"127.0.1.1\"") + &away + &zone(&["one"], "")));
    site.sync(&["two"]).expect(1);
    site.configure(&(list("two", "one", "block", "") + &zone(&["two"], "")));
    site.sync(&[]).expect(0);
    assert_eq!(codes(&site.serve(), 8).len(), 1);
    // What had happened under that name is not lost.
    let left = std::fs::read_to_string(site.state().join("feeds/left-1/log.jsonl")).unwrap();
    assert!(left.contains("nowhere"), "{left}");
}

/// Names that are handed on or swapped in one go, whichever comes first.
#[test]
fn names_that_are_handed_on() {
    let of = |names: [&str; 3]| {
        let [a, b, c] = names;
        list(a, "a", "block", "code = \"127.0.1.1\"")
            + &list(b, "b", "score", "code = \"127.0.1.2\"")
            + &list(c, "c", "block", "code = \"127.0.1.3\"")
            + &zone(&names, "")
    };
    let before = ["m", "n", "o"];
    for after in
        [["n", "o", "p"], ["l", "m", "n"], ["n", "m", "o"], ["n", "o", "m"], ["o", "x", "n"], ["x", "m", "n"]]
    {
        let site = Site::new();
        for (path, host) in [("a", 1), ("b", 2), ("c", 3)] {
            site.put(path, format!("5.6.7.{host}\n"));
        }
        site.configure(&of(before));
        site.sync(&[]).expect(0);
        site.configure(&of(after));
        site.sync(&[]).expect(0);
        for (path, host) in [("/a", 1), ("/b", 2), ("/c", 3)] {
            assert_eq!(site.web.hits(path), 1, "{after:?}");
            assert_eq!(codes(&site.serve(), host), [[127, 0, 1, host]], "{after:?}");
        }
    }
}

/// One list is dropped, and another has its name from then on.
#[test]
fn a_role_that_is_taken_over() {
    let both = list("one", "one", "block", "") + &list("spare", "spare", "block", "code = \"127.0.1.9\"");
    let site = Site::new();
    site.put("one", "5.6.7.8\n");
    site.put("spare", "5.6.7.9\n");
    site.configure(&(both + &zone(&["one"], "")));
    site.sync(&[]).expect(0);
    site.configure(&(list("one", "spare", "block", "") + &zone(&["one"], "")));
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!((codes(&server, 8).len(), codes(&server, 9).len()), (0, 1));
    assert_eq!(site.web.hits("/spare"), 1);
}

/// A list that has gone on to another place, and one that is asked for where it was: that is what they answer, and an exception holds.
#[test]
fn a_name_that_goes_on_elsewhere() {
    let site = fetched(&(list("one", "one", "block", "code = \"127.0.1.1\"") + &zone(&["one"], "")));
    std::fs::write(site.path("partners"), "5.6.7.8\n").unwrap();
    let own = "[list.partners]\nfile = \"partners\"\nformat = \"plain\"\nuse = \"allow\"\n";
    let moved = list("one", "else", "block", "code = \"127.0.1.1\"")
        + &list("two", "one", "block", "code = \"127.0.1.2\"");
    let zones = zone(&["one"], "except = [\"partners\"]") + &Site::zone("v.example", &["two"], "");
    site.configure(&(moved + own + &zones));
    let server = site.serve();
    let said = site.on_list("pin", "one", &[]).expect(2).stderr;
    assert!(said.contains("no version"), "{said}");
    site.sync(&[]).expect(1);
    server.reads_again();
    assert!(codes(&server, 8).is_empty() && codes(&server, 9).is_empty());
    assert_eq!(ask(server.dns, Over::Udp, "9.7.6.5.v.example", A).a, [[127, 0, 1, 2]]);
}

/// Two lists, by the paths that they are asked for at.
fn main_and_spare(main: &str, spare: &str) -> String {
    list("main", main, "block", "code = \"127.0.1.1\"")
        + &list("spare", spare, "score", "code = \"127.0.1.3\"")
        + &zone(&["main", "spare"], "")
}

/// What makes room for another is no other list's.
#[test]
fn what_makes_room() {
    let site = Site::new();
    for (path, host) in [("a", 1), ("c", 3)] {
        site.put(path, format!("5.6.7.{host}\n"));
    }
    site.configure(&main_and_spare("a", "c"));
    site.sync(&[]).expect(0);
    site.configure(&main_and_spare("b", "a"));
    site.sync(&[]).expect(1);
    let server = site.serve();
    assert_eq!((codes(&server, 1), codes(&server, 3)), (vec![[127, 0, 1, 3]], vec![]));
    // And is found again.
    site.configure(&main_and_spare("a", "c"));
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!((codes(&server, 1), codes(&server, 3)), (vec![[127, 0, 1, 1]], vec![[127, 0, 1, 3]]));
    assert_eq!((site.web.hits("/a"), site.web.hits("/c")), (1, 1));
}

/// It is known by where it was asked for last, too: what a person put in service came from where it was before.
#[test]
fn it_had_moved_before() {
    let site = fetched(
        &(list("one", "one", "block", "floor = \"0s\"").replace("floor = \"1h\"\n", "")
            + &zone(&["one"], "")),
    );
    let first = site.first_list()["set"].as_str().unwrap().to_owned();
    site.put("later", "5.6.7.8\n5.6.7.10\n");
    site.configure(&(list("one", "later", "block", "") + &zone(&["one"], "")));
    site.sync(&[]).expect(0);
    site.on_list("rollback", "one", &[&first]).expect(0);
    // What is asked for where it was goes after it, by whatever name.
    let another = list("after", "one", "block", "code = \"127.0.1.9\"");
    site.configure(&(list("two", "later", "block", "") + &another + &zone(&["two"], "")));
    site.sync(&[]).expect(1);
    assert_eq!(site.status()["lists"][1]["set"], first);
    assert!(codes(&site.serve(), 10).is_empty());
}

/// What was given up long ago is not taken up again by another name; what is still in service is.
#[test]
fn what_was_given_up() {
    for is_in_service in [false, true] {
        let site = fetched(&(list("one", "one", "block", "") + &zone(&["one"], "")));
        site.on_list("pin", "one", &[]).expect(0);
        age(&site.state().join("feeds/one/status.json"));
        if !is_in_service {
            site.put("other", "5.6.8.1\n");
            site.configure(&(list("other", "other", "block", "") + &zone(&["other"], "")));
            site.sync(&[]).expect(0);
        }
        site.put("one", "5.6.7.8\n5.6.7.10\n");
        site.configure(&(list("two", "one", "block", "") + &zone(&["two"], "")));
        site.sync(&[]).expect(0);
        let server = site.serve();
        assert_eq!(
            (codes(&server, 9).len(), codes(&server, 10).len()),
            if is_in_service { (1, 0) } else { (0, 1) }
        );
    }
}

/// A person's command knows what the list has under its old name, before any sync; what waits, too.
#[test]
fn a_command_that_comes_first() {
    let site = fetched(&(list("one", "one", "block", "") + &zone(&["one"], "")));
    site.configure(&(list("two", "one", "block", "") + &zone(&["two"], "")));
    site.on_list("pin", "two", &[]).expect(0);
    assert!(site.first_list()["pinned"].is_object());
    let site = Site::new();
    site.put("one", "5.6.7.8\n");
    let of = |name: &str| list(name, "one", "block", "min-entries = 2") + &zone(&[name], "");
    site.configure(&of("one"));
    site.sync(&[]).expect(1);
    site.configure(&of("two"));
    site.on_list("accept", "two", &[]).expect(0);
    assert_eq!(codes(&site.serve(), 8).len(), 1);
    assert_eq!(site.web.hits("/one"), 1);
}

/// Who asked to be left alone is, whatever the list is called; and one without a version is asked for no sooner.
#[test]
fn nothing_yet() {
    let site = Site::new();
    site.put("one", "<html>busy</html>");
    for name in ["one", "two", "three"] {
        site.configure(&(list(name, "one", "block", "") + &zone(&[name], "")));
        site.sync(&[]);
    }
    assert_eq!(site.web.hits("/one"), 1);
}

/// Nor when it made room for another meanwhile: each of them is found again, and nothing piles up.
#[test]
fn to_and_fro() {
    let site = Site::new();
    site.put("a", "5.6.7.1\n");
    site.put("b", "<html>busy</html>");
    site.put("c", "5.6.7.3\n");
    for (main, spare) in [("a", "c"), ("b", "a"), ("a", "c"), ("b", "a"), ("a", "b"), ("b", "a")] {
        site.configure(&main_and_spare(main, spare));
        site.sync(&[]);
        let code = if main == "a" { 1 } else { 3 };
        assert_eq!(codes(&site.serve(), 1), [[127, 0, 1, code]], "{main} {spare}");
    }
    assert_eq!(["/a", "/b", "/c"].map(|path| site.web.hits(path)), [1, 1, 1]);
    let folders = std::fs::read_dir(site.state().join("feeds")).unwrap().count();
    assert_eq!(folders, 3, "main, spare, and what was dropped");
}

/// A command that comes to nothing leaves no zone behind.
#[test]
fn a_command_in_vain() {
    let site = fetched(&(list("one", "one", "block", "code = \"127.0.1.1\"") + &zone(&["one"], "")));
    site.configure(&(list("two", "one", "block", "code = \"127.0.1.2\"") + &zone(&["two"], "")));
    site.on_list("unpin", "two", &[]).expect(1);
    assert_eq!(codes(&site.serve(), 8), [[127, 0, 1, 2]]);
}

/// Nothing is taken from a list that is asked for at its place, nor from elsewhere, nor for the opposite use.
#[test]
fn what_is_not_its_own() {
    let one = list("one", "one", "block", "code = \"127.0.1.1\"");
    for (what, others) in [
        ("beside it", one.clone() + &list("two", "else", "block", "code = \"127.0.1.2\"")),
        ("elsewhere", list("two", "else", "block", "code = \"127.0.1.2\"")),
        ("allows", list("two", "one", "allow", "code = \"127.0.1.2\"")),
    ] {
        let site = fetched(&(one.clone() + &zone(&["one"], "")));
        site.configure(&(others + &zone(&["two"], "")));
        site.sync(&[]).expect(1);
        assert!(site.state().join("feeds/one/status.json").exists(), "{what}");
        assert!(codes(&site.serve(), 8).is_empty(), "{what}");
    }
    // A mirror of it that another list is asked for at now.
    let site = Site::new();
    site.put("mirror", "5.6.7.8\n");
    let mirrored = one.replace("url = \"WEB/one\"", "urls = [\"WEB/one\", \"WEB/mirror\"]");
    site.configure(&(mirrored + &zone(&["one"], "")));
    site.sync(&[]).expect(0);
    site.configure(
        &(one + &list("two", "mirror", "block", "code = \"127.0.1.2\"") + &zone(&["one", "two"], "")),
    );
    site.sync(&[]).expect(0);
    assert_eq!(codes(&site.serve(), 8), [[127, 0, 1, 1], [127, 0, 1, 2]]);
}

/// A server that was told nothing, and whose syncs have ended, falls silent in time all the same.
#[test]
fn a_server_alone_with_it() {
    for is_synced in [false, true] {
        let site = fetched(&(list("one", "one", "block", "") + &zone(&["one"], "")));
        let mut server = site.serve();
        site.configure(&(list("two", "one", "block", "") + &zone(&["two"], "")));
        if is_synced {
            site.sync(&[]).expect(0);
            server.wait_for_serial("z.example", site.serial("z.example"));
        } else {
            kill(server.pid(), Signal::SIGHUP).unwrap();
        }
        let name = if is_synced { "two" } else { "one" };
        assert_eq!(codes(&server, 8).len(), 1);
        age(&site.state().join("feeds").join(name).join("status.json"));
        let began = Instant::now();
        while ask(server.dns, Over::Udp, "8.7.6.5.z.example", A).rcode == NOERROR {
            assert!(began.elapsed() < Duration::from_secs(10), "synced: {is_synced}");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.z.example", A).rcode, SERVFAIL);
    }
}

/// As if it had been asked for, and confirmed, a month ago.
fn age(status: &Path) {
    let mut known: Value = serde_json::from_slice(&std::fs::read(status).unwrap()).unwrap();
    for stamp in ["last_confirmed", "last_contact", "last_attempt"] {
        let stamp = &mut known[stamp];
        stamp["wall"] = (stamp["wall"].as_i64().unwrap() - 30 * 86_400).into();
        stamp["boottime"] = 0.into();
        stamp["boot"] = "another boot".into();
    }
    let beside = status.with_extension("test");
    std::fs::write(&beside, serde_json::to_vec(&known).unwrap()).unwrap();
    std::fs::rename(&beside, status).unwrap();
}

/// Its data end when they say so.
#[test]
fn data_that_end() {
    let publisher = Hostile::start();
    let soon = (jiff::Timestamp::now() + Duration::from_secs(4)).strftime("%Y:%m:%d:%H:%M:%S");
    let body = format!("$TIMESTAMP 0 {soon}\n5.6.7.8\n");
    publisher.does(Act::Say(response("200 OK", body.as_bytes())));
    let of = |name: &str| {
        let list = list(name, "", "block", "").replace("\"plain\"", "\"rbldnsd:ip4set\"");
        list.replace("WEB/", &format!("http://{}/list", publisher.address)) + &zone(&[name], "")
    };
    let site = Site::new();
    site.configure(&of("one"));
    site.sync(&[]).expect(0);
    publisher.does(Act::Say(response("404 X", b"")));
    site.configure(&of("two"));
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!(codes(&server, 8).len(), 1);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.z.example", A).rcode, SERVFAIL);
}
