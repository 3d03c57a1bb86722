//! A list's name that is given to another one, of good senders where the first was of bad ones: what the first had is not
//! listed by the second, in whatever order the configuration is changed and whatever the new place says meanwhile.
#![cfg(feature = "full")]

mod common;

use common::dns::{A, Over, ask};
use common::hostile::{Act, Hostile, response};
use common::program::run;
use common::site::Site;

/// On the allow list alone.
const FRIEND: &[u8] = b"5.6.7.8\n";
/// On the block list alone.
const FOE: &[u8] = b"5.6.7.9\n";

fn list(server: &Hostile, use_: &str, more: &str) -> String {
    format!(
        "[list.one]\nurl = \"http://{}/list\"\nformat = \"plain\"\nuse = {use_:?}\nallow-private = true\nfloor = \"0s\"\n{more}\n",
        server.address
    ) + &Site::zone("z.example", &["one"], "")
}

fn gives(server: &Hostile, body: &[u8]) {
    server.does(Act::Say(response("200 OK", body)));
}

/// What became of the list.
#[track_caller]
fn outcome(site: &Site, code: i32) -> String {
    site.sync(&["one"]).expect(code).json()["lists"][0]["outcome"].as_str().unwrap_or("waits").to_owned()
}

/// Which of the two the block list lists.
fn listed(site: &Site) -> (bool, bool) {
    let server = site.serve();
    let listed = |host: u8| !ask(server.dns, Over::Udp, &format!("{host}.7.6.5.z.example"), A).a.is_empty();
    (listed(8), listed(9))
}

/// Holds what is below it: too few.
const HOLDS: &str = "min-entries = 100";

/// Whatever the other list's place says first, and whether its URL came with the use, before it or after it.
#[test]
fn in_any_order() {
    let answers: [(&str, &str, Vec<u8>); 4] = [
        ("rejected", "", response("200 OK", b"<html>busy</html>")),
        ("failed", "", response("404 X", b"")),
        ("failed", "", response("503 X", b"")),
        ("held", HOLDS, response("200 OK", FOE)),
    ];
    for (order, between) in [("both", false), ("place", false), ("place", true), ("use", false)] {
        for (became, more, answer) in &answers {
            let what = format!("{order}, {became}, {between}");
            let [friends, foes] = [(); 2].map(|()| Hostile::start());
            gives(&friends, FRIEND);
            let site = Site::new();
            site.configure(&list(&friends, "allow", ""));
            assert_eq!(outcome(&site, 0), "accepted", "{what}");
            foes.does(Act::Say(answer.clone()));
            match order {
                "place" => {
                    site.configure(&list(&foes, "allow", more));
                    if between {
                        assert_eq!(outcome(&site, 1), *became, "{what}");
                    }
                }
                // Served at once, as it says; but nobody has asked for it as such yet.
                "use" => {
                    site.configure(&list(&friends, "block", ""));
                    friends.does(Act::Say(response("503 X", b"")));
                    assert_eq!(outcome(&site, 1), "failed", "{what}");
                    assert_eq!(listed(&site), (true, false), "{what}");
                }
                _ => {}
            }
            site.configure(&list(&foes, "block", more));
            assert_eq!(outcome(&site, 1), *became, "{what}");
            assert_eq!(listed(&site), (false, false), "{what}");
            gives(&foes, FOE);
            site.configure(&list(&foes, "block", ""));
            assert_eq!(outcome(&site, 0), "accepted", "{what}");
            assert_eq!(listed(&site), (false, true), "{what}");
            // Nothing leads back to the other list.
            site.on_list("rollback", "one", &[]).expect(2);
            assert_eq!(listed(&site), (false, true), "{what}");
        }
    }
}

/// A version of the other list that is still there, since the second was an allow list, too, at first.
#[test]
fn its_versions_cannot_be_had_back() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    gives(&foes, FOE);
    for loses_status in [false, true] {
        let site = Site::new();
        site.configure(&list(&friends, "allow", ""));
        assert_eq!(outcome(&site, 0), "accepted");
        let first = site.first_list()["set"].as_str().unwrap().to_owned();
        site.configure(&list(&foes, "allow", ""));
        assert_eq!(outcome(&site, 0), "accepted");
        // At its own place it may be used otherwise.
        site.configure(&list(&foes, "block", ""));
        assert_eq!(outcome(&site, 0), "accepted");
        if loses_status {
            std::fs::remove_file(site.state().join("feeds/one/status.json")).unwrap();
        }
        for (command, version) in [("rollback", vec![]), ("rollback", vec![&*first]), ("pin", vec![&*first])]
        {
            let said = site.on_list(command, "one", &version).expect(2).stderr;
            assert!(said.contains("is of another list that had this name"), "{command}: {said}");
        }
        assert_eq!(listed(&site), (false, true));
    }
}

/// What the other list had held is not let through as the second's, before any sync looked at it.
#[test]
fn what_it_had_held_is_not_let_through() {
    for first_ever in [true, false] {
        let [friends, foes] = [(); 2].map(|()| Hostile::start());
        let site = Site::new();
        if !first_ever {
            gives(&friends, b"5.6.7.7\n");
            site.configure(&list(&friends, "allow", ""));
            assert_eq!(outcome(&site, 0), "accepted");
        }
        gives(&friends, FRIEND);
        site.configure(&list(&friends, "allow", HOLDS));
        assert_eq!(outcome(&site, 1), "held");
        site.configure(&list(&foes, "block", HOLDS));
        site.on_list("accept", "one", &[]).expect(2);
        foes.does(Act::Say(response("503 X", b"")));
        assert_eq!(outcome(&site, 1), "failed");
        assert_eq!(listed(&site), (false, false));
        assert!(site.files("feeds/one/held").is_empty());
    }
}

/// A status that was lost knows by the log what the list was good for.
#[test]
fn a_lost_status_knows_it() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    foes.does(Act::Say(response("503 X", b"")));
    let site = Site::new();
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    std::fs::remove_file(site.state().join("feeds/one/status.json")).unwrap();
    site.configure(&list(&foes, "block", ""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
}

/// A file of one's own that takes the name, and cannot be read; and the other way round.
#[test]
fn own_files() {
    let friends = Hostile::start();
    gives(&friends, FRIEND);
    let site = Site::new();
    let own = |file: &str, use_: &str| {
        format!("[list.one]\nfile = {file:?}\nformat = \"plain\"\nuse = {use_:?}\n")
            + &Site::zone("z.example", &["one"], "")
    };
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    site.configure(&own("foes", "block"));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
    std::fs::write(site.path("friends"), FRIEND).unwrap();
    site.configure(&own("friends", "allow"));
    assert_eq!(outcome(&site, 0), "accepted");
    site.configure(&own("foes", "block"));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
    std::fs::write(site.path("foes"), FOE).unwrap();
    assert_eq!(outcome(&site, 0), "accepted");
    assert_eq!(listed(&site), (false, true));
    // Of the same file it is a person's to choose.
    site.configure(&own("foes", "allow"));
    assert_ne!(outcome(&site, 0), "waits");
    std::fs::remove_file(site.path("foes")).unwrap();
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(site.first_list()["entries"], 1);
    friends.does(Act::Say(response("503 X", b"")));
    site.configure(&list(&friends, "block", ""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
}

/// The use that counts is the last one that it was asked for with at its place, not that of when it was taken.
#[test]
fn a_use_that_was_chosen() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    gives(&foes, FOE);
    site.configure(&list(&foes, "block", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    for use_ in ["allow", "score"] {
        site.configure(&list(&foes, use_, ""));
        assert_eq!(outcome(&site, 0), "accepted");
        assert_eq!(site.first_list()["entries"], 1);
    }
    // Of bad senders, too: what there is serves until the new place has given something.
    friends.does(Act::Say(response("503 X", b"")));
    site.configure(&list(&friends, "block", ""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, true));
}

/// "Nothing newer" is as good as what comes again.
#[test]
fn a_use_that_was_confirmed() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    foes.does(Act::Say(response("200 OK\nETag: \"one\"", FOE)));
    site.configure(&list(&foes, "block", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    site.configure(&list(&foes, "allow", ""));
    foes.does(Act::Say(response("304 Not Modified\nETag: \"one\"", b"")));
    assert_eq!(outcome(&site, 0), "confirmed");
    friends.does(Act::Say(response("503 X", b"")));
    site.configure(&list(&friends, "block", ""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
}

/// A sync of another list, or a decision on one, puts it in service as little.
#[test]
fn while_another_list_is_looked_at() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    let site = Site::new();
    site.put("two", "5.6.7.7\n");
    let two = Site::list("two", 2, "") + &Site::zone("two.example", &["two"], "");
    let with_two = |list: String| list + &two;
    for (command, list_of_two) in [("sync", true), ("pin", true), ("unpin", true), ("sync", false)] {
        site.configure(&with_two(list(&friends, "allow", "")));
        site.sync(&[]).expect(0);
        let given = match list_of_two {
            true => list(&foes, "block", ""),
            false => {
                "[list.one]\nfile = \"foes\"\nformat = \"plain\"\nuse = \"block\"\n".to_owned()
                    + &Site::zone("z.example", &["one"], "")
            }
        };
        site.configure(&with_two(given));
        match command {
            "sync" => drop(site.sync(&["two"]).expect(0)),
            _ => drop(site.on_list(command, "two", &[])),
        }
        assert_eq!(listed(&site), (false, false), "{command}");
    }
}

/// A version that a person went back to when the list was used otherwise already is the list's own wherever it moves.
#[test]
fn a_use_that_was_pinned() {
    let [first, second] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    for body in [FOE, FRIEND] {
        gives(&first, body);
        site.configure(&list(&first, "allow", ""));
        assert_eq!(outcome(&site, 0), "accepted");
    }
    site.configure(&list(&first, "block", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    site.on_list("rollback", "one", &[]).expect(0);
    second.does(Act::Say(response("503 X", b"")));
    site.configure(&list(&second, "block", ""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, true));
}

/// The list moved, and the new place gave the same: that is its place now, however its URL is spelt.
#[test]
fn a_list_that_moved() {
    let [before, after] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    for server in [&before, &after] {
        gives(server, FOE);
        site.configure(&list(server, "allow", ""));
        assert_eq!(outcome(&site, 0), "accepted");
    }
    after.does(Act::Say(response("503 X", b"")));
    site.configure(&list(&after, "block", "").replace("/list\"", "//l%69st\""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, true));
}

/// One file in common makes no list of another.
#[test]
fn files_in_common() {
    let site = Site::new();
    let own = |files: &str, use_: &str| {
        format!("[list.one]\nfiles = {files}\nformat = \"plain\"\nuse = {use_:?}\n")
            + &Site::zone("z.example", &["one"], "")
    };
    std::fs::write(site.path("friends"), FRIEND).unwrap();
    std::fs::write(site.path("both"), b"5.6.7.7\n").unwrap();
    site.configure(&own("[\"friends\", \"both\"]", "allow"));
    assert_eq!(outcome(&site, 0), "accepted");
    site.configure(&own("[\"foes\", \"both\"]", "block"));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
}

/// What a person had pinned of the other list binds the second one as little when its status is lost.
#[test]
fn a_pin_is_not_taken_along() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    gives(&foes, FOE);
    let site = Site::new();
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    site.on_list("pin", "one", &[]).expect(0);
    site.configure(&list(&foes, "block", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    std::fs::remove_file(site.state().join("feeds/one/status.json")).unwrap();
    gives(&foes, b"5.6.7.9\n5.6.7.10\n");
    assert_eq!(outcome(&site, 0), "accepted");
}

/// A server that runs hears of it, also where a zone has nothing else.
#[test]
fn a_server_that_runs() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    let site = Site::new();
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    let mut server = site.serve();
    let dns = server.dns;
    let listed = |host: u8| !ask(dns, Over::Udp, &format!("{host}.7.6.5.z.example"), A).a.is_empty();
    assert!(listed(8));
    foes.does(Act::Say(response("503 X", b"")));
    site.configure(&list(&foes, "block", ""));
    nix::sys::signal::kill(server.pid(), nix::sys::signal::Signal::SIGHUP).unwrap();
    assert_eq!(outcome(&site, 1), "failed");
    server.wait_for_serial("z.example", site.serial("z.example"));
    assert!(!listed(8));
    gives(&foes, FOE);
    assert_eq!(outcome(&site, 0), "accepted");
    server.wait_for_serial("z.example", site.serial("z.example"));
    assert_eq!((listed(8), listed(9)), (false, true));
}

/// What another list of the zone had is not lost with it, also where that is not there at the moment.
#[test]
fn the_other_lists_of_its_zone() {
    let [friends, foes, others] = [(); 3].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    gives(&others, FOE);
    foes.does(Act::Say(response("503 X", b"")));
    let of = |name: &str, server: &Hostile, use_: &str| {
        let code = format!("code = \"127.0.1.{}\"", name.len());
        list(server, use_, if use_ == "allow" { "" } else { &code })
            .split("[zone")
            .next()
            .unwrap()
            .replace("[list.one]", &format!("[list.{name}]"))
    };
    let zone = |lists: &[&str]| Site::zone("z.example", lists, "");
    let site = Site::new();
    site.configure(&(of("one", &friends, "allow") + &of("other", &others, "block") + &zone(&["other"])));
    site.sync(&[]).expect(0);
    let server = site.serve();
    let listed = |host: u8| !ask(server.dns, Over::Udp, &format!("{host}.7.6.5.z.example"), A).a.is_empty();
    site.configure(&(of("one", &foes, "block") + &of("other", &others, "block") + &zone(&["one", "other"])));
    site.sync(&[]).expect(1);
    server.reads_again();
    assert_eq!((listed(8), listed(9)), (false, true));
    // Under another name it has not come yet.
    others.does(Act::Say(response("503 X", b"")));
    site.configure(&(of("one", &foes, "block") + &of("later", &others, "block") + &zone(&["one", "later"])));
    site.sync(&[]).expect(1);
    server.reads_again();
    assert_eq!((listed(8), listed(9)), (false, true));
}

/// Before a sync has come to it nothing of the other list is shown as this one's.
#[test]
fn what_is_shown_of_it() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    let site = Site::new();
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    assert_eq!(site.first_list()["given_away"], false);
    site.configure(&list(&foes, "block", ""));
    let shown = site.first_list();
    assert_eq!((&shown["given_away"], &shown["entries"], &shown["set"]), (&true.into(), &NULL, &NULL));
    let config = site.config();
    let config = config.to_str().unwrap();
    let said = run(["status", "--config", config]).expect(1).stdout;
    for word in ["another list's", "answers from what was there before", "what it had is another list's"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let found = run(["lookup", "5.6.7.8", "--json", "--config", config]).json();
    assert_eq!(found["lists"], serde_json::json!([]), "{found:#}");
    let said = site.on_list("diff", "one", &[]).expect(3).stderr;
    assert!(said.contains("one has no version in service"), "{said}");
}

const NULL: serde_json::Value = serde_json::Value::Null;

/// A person's command that comes first forgets it, too, says why it does nothing else, and that counts at once.
#[test]
fn a_command_that_comes_first() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    for command in ["pin", "rollback", "unpin", "accept"] {
        let site = Site::new();
        gives(&friends, FRIEND);
        site.configure(&list(&friends, "allow", ""));
        assert_eq!(outcome(&site, 0), "accepted");
        let version = site.first_list()["set"].as_str().unwrap().to_owned();
        if command == "unpin" {
            site.on_list("pin", "one", &[]).expect(0);
        }
        if command == "accept" {
            gives(&friends, b"5.6.7.8\n5.6.7.7\n");
            site.configure(&list(&friends, "allow", HOLDS));
            assert_eq!(outcome(&site, 1), "held");
        }
        site.configure(&list(&foes, "block", ""));
        assert_eq!(listed(&site), (true, false), "as it was before");
        let version: &[&str] = if ["pin", "rollback"].contains(&command) { &[&version] } else { &[] };
        let said = site.on_list(command, "one", version).expect(2).stderr;
        assert!(said.contains("what was there is of another list that had this name"), "{command}: {said}");
        assert_eq!(listed(&site), (false, false), "{command}");
    }
}

/// With its log a list loses where its versions came from: none from before its use was turned is put in service.
#[test]
fn a_lost_log_knows_nothing() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    gives(&foes, FOE);
    let site = Site::new();
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    let first = site.first_list()["set"].as_str().unwrap().to_owned();
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let set = std::fs::File::options().append(true).open(site.state().join(format!("feeds/one/set-{first}")));
    set.unwrap().set_modified(hour_ago).unwrap();
    site.configure(&list(&foes, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    site.configure(&list(&foes, "block", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    std::fs::remove_file(site.state().join("feeds/one/log.jsonl")).unwrap();
    for command in ["rollback", "pin"] {
        let said = site.on_list(command, "one", &[&first]).expect(2).stderr;
        assert!(said.contains("is from before the list's `use` was turned"), "{command}: {said}");
    }
    assert_eq!(listed(&site), (false, true));
    // What came since is its own.
    gives(&foes, b"5.6.7.9\n5.6.7.10\n");
    assert_eq!(outcome(&site, 0), "accepted");
    std::fs::remove_file(site.state().join("feeds/one/log.jsonl")).unwrap();
    let second = site.first_list()["set"].as_str().unwrap().to_owned();
    site.on_list("pin", "one", &[&second]).expect(0);
}

/// A zone whose other lists have brought nothing yet, or that has another list in its place, is no more answered from it.
#[test]
fn nothing_else_is_there() {
    for (was, is_gone) in [("allow", false), ("allow", true), ("block", true)] {
        let [friends, foes, others] = [(); 3].map(|()| Hostile::start());
        gives(&friends, FRIEND);
        let site = Site::new();
        site.configure(&list(&friends, was, ""));
        assert_eq!(outcome(&site, 0), "accepted");
        let server = site.serve();
        let listed = || !ask(server.dns, Over::Udp, "8.7.6.5.z.example", A).a.is_empty();
        assert!(listed());
        for away in [&foes, &others] {
            away.does(Act::Say(response("503 X", b"")));
        }
        let one = list(&foes, "block", "code = \"127.0.1.1\"").split("[zone").next().unwrap().to_owned();
        let later = list(&others, "block", "code = \"127.0.1.2\"").split("[zone").next().unwrap().to_owned();
        let later = later.replace("[list.one]", "[list.later]");
        site.configure(&match is_gone {
            true => later + &Site::zone("z.example", &["later"], ""),
            false => one + &later + &Site::zone("z.example", &["one", "later"], ""),
        });
        for code in [1, 0] {
            // The second time nobody is asked.
            site.sync(&[]).expect(code);
            server.reads_again();
            assert!(!listed(), "{was} {is_gone}");
        }
    }
}

/// What a person keeps in service is the list's own in the use in which its place was asked since, wherever it moves.
#[test]
fn a_pin_and_another_use() {
    let [first, second] = [(); 2].map(|()| Hostile::start());
    for newer in [FRIEND, FOE] {
        let site = Site::new();
        gives(&first, FRIEND);
        site.configure(&list(&first, "allow", ""));
        assert_eq!(outcome(&site, 0), "accepted");
        site.on_list("pin", "one", &[]).expect(0);
        gives(&first, newer);
        site.configure(&list(&first, "block", ""));
        outcome(&site, 0);
        second.does(Act::Say(response("503 X", b"")));
        site.configure(&list(&second, "block", ""));
        assert_eq!(outcome(&site, 1), "failed");
        assert_eq!(listed(&site), (true, false));
    }
}

/// A file's name may have in it what stands between names.
#[test]
fn a_name_with_a_comma() {
    let site = Site::new();
    let own = |use_: &str| {
        format!("[list.one]\nfile = \"a, b\"\nformat = \"plain\"\nuse = {use_:?}\n")
            + &Site::zone("z.example", &["one"], "")
    };
    std::fs::write(site.path("a, b"), FRIEND).unwrap();
    site.configure(&own("allow"));
    assert_eq!(outcome(&site, 0), "accepted");
    std::fs::remove_file(site.path("a, b")).unwrap();
    site.configure(&own("block"));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (true, false));
}

/// What brought it is so long ago that the log does not know: where it was confirmed does as well.
#[test]
fn a_list_that_seldom_changes() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    friends.does(Act::Say(response("200 OK\nETag: \"one\"", FRIEND)));
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    friends.does(Act::Say(response("304 Not Modified\nETag: \"one\"", b"")));
    assert_eq!(outcome(&site, 0), "confirmed");
    let log = site.state().join("feeds/one/log.jsonl");
    let lines = std::fs::read_to_string(&log).unwrap();
    let (_, confirmed) = lines.trim_end().split_once('\n').unwrap();
    std::fs::write(&log, format!("{confirmed}\n")).unwrap();
    std::fs::remove_file(site.state().join("feeds/one/status.json")).unwrap();
    foes.does(Act::Say(response("503 X", b"")));
    site.configure(&list(&foes, "block", ""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
}

/// A name that was given away by mistake, and given back: as long as nobody has brought anything under it, nothing is lost.
#[test]
fn a_name_that_is_given_back() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    gives(&friends, FRIEND);
    foes.does(Act::Say(response("503 X", b"")));
    let site = Site::new();
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    let before = site.first_list();
    friends.does(Act::Say(response("503 X", b"")));
    site.configure(&list(&foes, "block", ""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(site.first_list()["set"], before["set"]);
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (true, false));
    // And what the other list brings ends that.
    gives(&foes, FOE);
    site.configure(&list(&foes, "block", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 1), "failed");
    assert_eq!(listed(&site), (false, false));
    assert!(!site.files("feeds/one").iter().any(|name| name.contains(before["set"].as_str().unwrap())));
}

/// A version whose coming the log has forgotten is known by when it was confirmed.
#[test]
fn a_version_that_came_long_ago() {
    let [friends, foes] = [(); 2].map(|()| Hostile::start());
    let site = Site::new();
    friends.does(Act::Say(response("200 OK\nETag: \"one\"", FRIEND)));
    site.configure(&list(&friends, "allow", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    let first = site.first_list()["set"].as_str().unwrap().to_owned();
    friends.does(Act::Say(response("304 Not Modified\nETag: \"one\"", b"")));
    assert_eq!(outcome(&site, 0), "confirmed");
    gives(&foes, FOE);
    for use_ in ["allow", "block"] {
        site.configure(&list(&foes, use_, ""));
        assert_eq!(outcome(&site, 0), "accepted");
    }
    let log = site.state().join("feeds/one/log.jsonl");
    let lines = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, lines.split_once('\n').unwrap().1).unwrap();
    let said = site.on_list("rollback", "one", &[&first]).expect(2).stderr;
    assert!(said.contains("is of another list that had this name"), "{said}");
}

/// A list that becomes an exception of its zone lists nobody there any more, though the other lists have brought nothing yet.
#[test]
fn a_list_that_becomes_an_exception() {
    let [one, other] = [(); 2].map(|()| Hostile::start());
    gives(&one, FRIEND);
    other.does(Act::Say(response("503 X", b"")));
    let site = Site::new();
    site.configure(&list(&one, "block", ""));
    assert_eq!(outcome(&site, 0), "accepted");
    let server = site.serve();
    let listed = || !ask(server.dns, Over::Udp, "8.7.6.5.z.example", A).a.is_empty();
    assert!(listed());
    let except = list(&one, "allow", "").split("[zone").next().unwrap().to_owned();
    let later =
        list(&other, "block", "").split("[zone").next().unwrap().replace("[list.one]", "[list.later]");
    site.configure(&(except + &later + &Site::zone("z.example", &["later"], "except = [\"one\"]")));
    site.sync(&[]).expect(1);
    server.reads_again();
    assert!(!listed());
}

/// A renamed list serves on, also over a restart, wherever it had moved before; and is gone with its name.
#[test]
fn a_renamed_list_that_is_taken_out() {
    let [first, second, others] = [(); 3].map(|()| Hostile::start());
    let site = Site::new();
    let called = |name: &str, server: &Hostile| {
        let list = list(server, "block", "").replace("[list.one]", &format!("[list.{name}]"));
        list.split("[zone").next().unwrap().to_owned() + &Site::zone("z.example", &[name], "")
    };
    for server in [&first, &second] {
        gives(server, FRIEND);
        site.configure(&called("one", server));
        site.sync(&[]).expect(0);
    }
    for away in [&second, &others] {
        away.does(Act::Say(response("503 X", b"")));
    }
    let server = site.serve();
    let hears = |list: String| {
        site.configure(&list);
        site.sync(&[]).expect(1);
        server.reads_again();
        let here = !ask(server.dns, Over::Udp, "8.7.6.5.z.example", A).a.is_empty();
        assert_eq!(listed(&site).0, here, "after a restart");
        here
    };
    assert!(hears(called("two", &second)));
    assert!(!hears(called("three", &others)));
}
