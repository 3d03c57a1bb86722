//! `sync`, `status` and `lookup` on a store of own lists.
#![cfg(feature = "full")]

mod cli_support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cli_support::{Place, Publisher, Running, own_lists};
use gatepost::store::{Lock, Store, Wait};
use serde_json::Value;

fn synced() -> Place {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0).talks("generation 1 is in service");
    place
}

fn lookup(place: &Place, what: &str, code: i32) -> Value {
    let args = ["lookup", "-c", "gatepost.toml", what];
    place.run(&args).ended_with(code).says(what);
    place.run(&[&args[..], &["--json"]].concat()).ended_with(code).json()
}

#[test]
fn before_the_first_sync_nobody_can_tell() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    let args = ["lookup", "-c", "gatepost.toml", "192.0.2.7"];
    place.run(&args).ended_with(3).says("cannot tell").says("no data yet: bl.example.net");
    place.run(&["status", "-c", "gatepost.toml"]).ended_with(1).says("SERVFAIL: no data yet");
    assert!(!place.path("state").exists(), "looking has made a state folder");
}

/// A name that stands for all below it is one entry, whatever it is made of inside.
#[test]
fn names_with_all_below_them() {
    let place = synced();
    let config =
        place.read("gatepost.toml").replace("format = \"names\"", "format = \"names\"\nsubdomains = true");
    place.write("gatepost.toml", config).write("names.txt", "spam.example\nbad.example\n");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0).talks("2 entries");
    for name in ["spam.example", "sub.spam.example"] {
        let found = lookup(&place, name, 1);
        let entries = found["lists"][0]["entries"].as_array().unwrap();
        assert_eq!((entries.len(), &entries[0]["entry"]), (1, &".spam.example".into()));
    }
    place.run(&["status", "-c", "gatepost.toml"]).says("3 names");
}

#[test]
fn an_address() {
    let place = synced();
    let found = lookup(&place, "192.0.2.7", 1);
    assert_eq!(found["listed"], true);
    assert_eq!(found["asked"], 3);
    let zones = found["zones"].as_array().unwrap();
    assert_eq!(zones.len(), 1);
    assert_eq!(zones[0]["zone"], "bl.example.net");
    assert_eq!(zones[0]["lists"], serde_json::json!(["own"]));
    assert_eq!(zones[0]["records"][0]["type"], "A");
    assert_eq!(zones[0]["records"][0]["data"], serde_json::json!(["127.0.1.5"]));
    assert_eq!(zones[0]["records"][1]["data"], serde_json::json!(["192.0.2.7 is on own"]));
    let list = &found["lists"][0];
    assert_eq!((&list["list"], &list["use"]), (&"own".into(), &"block".into()));
    assert_eq!(list["entries"][0]["entry"], "192.0.2.7");
    assert!(list["confirmed"]["age_seconds"].is_u64());

    assert_eq!(lookup(&place, "198.51.100.7", 1)["lists"][0]["entries"][0]["entry"], "198.51.100.0/25");
    assert_eq!(lookup(&place, "192.0.2.8", 0)["zones"], serde_json::json!([]));
    assert_eq!(lookup(&place, "2001:db8:1::25", 1)["lists"][0]["entries"][0]["entry"], "2001:db8::/32");
    assert_eq!(lookup(&place, "2001:db9::25", 0)["listed"], false);
    assert_eq!(lookup(&place, "127.0.0.2", 1)["zones"].as_array().unwrap().len(), 3);
    assert_eq!(lookup(&place, "127.0.0.1", 0)["listed"], false);
    let args = ["lookup", "-c", "gatepost.toml", "::ffff:192.0.2.7"];
    place.run(&args).ended_with(1).says("192.0.2.7 is listed");
}

#[test]
fn an_address_that_an_allow_list_takes_out() {
    let place = synced();
    let found = lookup(&place, "198.51.100.20", 0);
    assert_eq!(found["listed"], false);
    assert_eq!(found["zones"][0]["zone"], "ok.example.net");
    assert_eq!(found["zones"][0]["allow"], true);
    let lists = found["lists"].as_array().unwrap();
    let friends = lists.iter().find(|list| list["list"] == "friends").unwrap();
    assert_eq!(friends["excepts"], serde_json::json!(["bl.example.net"]));
    let args = ["lookup", "-c", "gatepost.toml", "198.51.100.20"];
    place.run(&args).says("takes it out of bl.example.net").says("has it, but friends takes it out");
}

#[test]
fn a_prefix() {
    let place = synced();
    let found = lookup(&place, "198.51.100.0/24", 1);
    let zone = |name: &str| {
        let zones = found["zones"].as_array().unwrap();
        zones.iter().find(|zone| zone["zone"] == name).unwrap_or_else(|| panic!("{name} in {found}"))["inside"].clone()
    };
    let inside = zone("bl.example.net");
    assert_eq!(inside["addresses"], 127);
    assert_eq!(inside["spans"], 2);
    assert_eq!(inside["by_list"]["own"], 127);
    assert_eq!(inside["shown"][0]["span"], "198.51.100.0-198.51.100.19");
    assert_eq!(zone("ok.example.net")["addresses"], 1);
    let one = ["lookup", "-c", "gatepost.toml", "198.51.100.0/24", "--most", "1"];
    place.run(&one).ended_with(1).says("and 1 span more");
    assert_eq!(lookup(&place, "203.0.113.0/24", 0)["listed"], false);
    // Wide ones are summed up, not unfolded.
    assert_eq!(lookup(&place, "2001:db8::/29", 1)["zones"][0]["inside"]["spans"], 1);
    // Three entries, and the test point.
    assert_eq!(lookup(&place, "0.0.0.0/0", 1)["zones"][0]["inside"]["addresses"], 1 + 127 + 1);
}

#[test]
fn a_name() {
    let place = synced();
    let found = lookup(&place, "spam.example", 1);
    assert_eq!(found["zones"][0]["zone"], "names.example.net");
    assert_eq!(found["zones"][0]["lists"], serde_json::json!(["names"]));
    assert_eq!(found["lists"][0]["entries"][0]["entry"], "spam.example");
    assert_eq!(lookup(&place, "ham.example", 0)["listed"], false);
}

#[test]
fn status_tells_lists_and_zones() {
    let place = synced();
    let args = ["status", "-c", "gatepost.toml"];
    place.run(&args).ended_with(0).says("generation 1").says("every sync").says("answers");
    let status = place.run(&[&args[..], &["--json"]].concat()).ended_with(0).json();
    assert_eq!(status["generation"]["number"], 1);
    let own = status["lists"].as_array().unwrap().iter().find(|list| list["name"] == "own").unwrap();
    assert_eq!(own["entries"], 3);
    assert_eq!(own["outcome"], "accepted");
    assert_eq!(own["freshness"], "fresh");
    assert_eq!(own["problem"], false);
    let zone =
        status["zones"].as_array().unwrap().iter().find(|zone| zone["origin"] == "bl.example.net").unwrap();
    assert_eq!(zone["answers"], true);
    assert_eq!(zone["except"], serde_json::json!(["friends"]));
    assert_eq!(zone["counts"]["v6_spans"].as_u64().map(|spans| spans > 0), Some(true));
    assert!(zone["serial"].as_u64() > Some(1_700_000_000));
    // Nobody listens there.
    place.run(&["status", "-c", "gatepost.toml", "--json", "--probe"]).ended_with(3);
}

#[test]
fn a_damaged_snapshot_is_named() {
    let place = synced();
    let folder = place.path("state/snapshots");
    let file = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.to_string_lossy().contains("bl.example.net")).unwrap();
    let octets = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    // Wherever it is: the server answers nothing from it.
    let mut flipped = octets.clone();
    flipped[octets.len() - 4096] ^= 1;
    std::fs::write(&file, flipped).unwrap();
    place.run(&["status", "-c", "gatepost.toml"]).ended_with(1).says("damaged");
    place.run(&["lookup", "-c", "gatepost.toml", "192.0.2.7"]).ended_with(3).says("cannot tell");
    std::fs::write(&file, &octets[..octets.len() - 4096]).unwrap();
    place.run(&["status", "-c", "gatepost.toml"]).ended_with(1).says("its snapshot is damaged").says("cut");
    place.run(&["lookup", "-c", "gatepost.toml", "192.0.2.7"]).ended_with(3).says("cannot tell");
}

#[test]
fn sync_tells_what_it_did() {
    let place = synced();
    place.run(&["sync", "-c", "gatepost.toml", "nobody"]).ended_with(2).talks("no list `nobody`");
    place.run(&["sync", "-c", "gatepost.toml", "No Body"]).ended_with(2);
    place.write("own.txt", "192.0.2.9\nnonsense here\n");
    let ran = place.run(&["sync", "-c", "gatepost.toml", "--json"]).ended_with(0).talks("line 2, column");
    let summary = ran.json();
    let own = summary["lists"].as_array().unwrap().iter().find(|list| list["list"] == "own").unwrap();
    assert_eq!((&own["outcome"], &own["bad_lines"]), (&"accepted".into(), &1.into()));
    assert_eq!(summary["published"], 2);
    assert_eq!(lookup(&place, "192.0.2.9", 1)["listed"], true);
    assert_eq!(lookup(&place, "192.0.2.7", 0)["listed"], false);
    std::fs::remove_file(place.path("own.txt")).unwrap();
    // A file that is not there is a mistake to `check-config`; to all others the failure of one list.
    place
        .run(&["check-config", "gatepost.toml"])
        .ended_with(2)
        .talks("gatepost.toml:6:8: cannot read own.txt");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(1).talks("the last good version stays (1 entry)");
    assert_eq!(lookup(&place, "192.0.2.9", 1)["listed"], true);
}

/// In a log each unreadable line of the operator's own files stands, and of what others publish the first few.
#[test]
fn unreadable_lines_are_logged() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    let bad: String = (0..8).map(|n| format!("nonsense {n}\n")).collect();
    let publisher = Publisher::new(&[("/list.txt", format!("203.0.113.5\n{bad}"))]);
    let config = place.read("gatepost.toml")
        + &format!(
            "[list.theirs]\nurl = \"{}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.20\"\nallow-private = true\n\
             [list.rb]\nfile = \"rb.txt\"\nformat = \"rbldnsd:ip4trie\"\nuse = \"block\"\ncode = \"127.0.1.30\"\n\
             [zone.\"rb.example.net\"]\nlists = [\"rb\"]\n[zone.\"theirs.example.net\"]\nlists = [\"theirs\"]\n",
            publisher.url("/list.txt")
        );
    place.write("gatepost.toml", config);
    place.write("rb.txt", format!("192.0.2.1\n{bad}192.0.2.1 :3:again\n"));
    let ran = place.run(&["sync", "-c", "gatepost.toml", "--log-format", "text"]).ended_with(1);
    let told = |list: &str| {
        ran.err
            .lines()
            .filter(|line| line.contains("WARN") && line.contains(&format!("{list}: left out")))
            .count()
    };
    assert_eq!((told("rb"), told("theirs")), (9, 5), "{}", ran.err);
    let ran = ran.talks("rb.txt, line 2, column 1: ").talks("rb.txt, line 9, column 1: ");
    ran.talks("rb.txt, line 10, column 1: duplicated entry, the first one counts: 192.0.2.1");
}

/// What a mail log shows is the question that it spells.
#[test]
fn a_name_below_a_zone() {
    let place = synced();
    let found = |what: &str, code| {
        place.run(&["lookup", "-c", "gatepost.toml", "--json", what]).ended_with(code).json()["subject"]
            .clone()
    };
    assert_eq!(found("7.2.0.192.bl.example.net", 1), "192.0.2.7");
    assert_eq!(found("8.2.0.192.BL.example.net.", 0), "192.0.2.8");
    assert_eq!(found("spam.example.names.example.net", 1), "spam.example");
    assert_eq!(found("spam.example", 1), "spam.example");
}

/// A text that quotes notes asks for them, in the list or in the zone.
#[test]
fn notes_that_a_text_asks_for() {
    for (list, zone) in [("$ is on own", "$: {note}"), ("$: {note}", "")] {
        let place = Place::new();
        own_lists(&place, "127.0.0.1:5354");
        let member = if zone.is_empty() {
            "\"own\"".to_owned()
        } else {
            format!("{{ list = \"own\", text = \"{zone}\" }}")
        };
        let config = place.read("gatepost.toml").replace("$ is on own", list);
        place.write("gatepost.toml", config.replace("lists = [\"own\"]", &format!("lists = [{member}]")));
        place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
        let found = lookup(&place, "192.0.2.7", 1);
        assert_eq!(found["zones"][0]["records"][1]["data"], serde_json::json!(["192.0.2.7: the one"]));
    }
}

/// One damaged file of the store hides itself alone.
#[test]
fn what_cannot_be_read_is_told() {
    let place = synced();
    place.write("state/feeds/names/status.json", "{");
    let args = ["status", "-c", "gatepost.toml"];
    place.run(&args).ended_with(1).says("status.json is damaged").says("bl.example.net");
    assert_eq!(lookup(&place, "192.0.2.7", 1)["listed"], true);
    // The entries of one list are gone: what the zones say of an address is not, nor are other lists.
    let folder = place.path("state/feeds/names");
    let mut files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let set = files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("set-")).unwrap();
    std::fs::write(set, "garbage").unwrap();
    assert_eq!(lookup(&place, "192.0.2.7", 1)["lists"][0]["list"], "own");
    place
        .run(&["lookup", "-c", "gatepost.toml", "spam.example"])
        .ended_with(1)
        .says("a list cannot be looked into");
    place.write("state/generation.json", "{");
    place.run(&args).ended_with(1).says("generation.json is damaged");
    place.run(&["lookup", "-c", "gatepost.toml", "192.0.2.7"]).ended_with(3).says("cannot tell");
}

#[test]
fn a_list_that_fails_is_a_problem_and_the_others_go_on() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    let publisher =
        Publisher::new(&[("/good.txt", "203.0.113.5\n203.0.113.6\n1.0.0.1\n9.9.9.1\n".to_owned())]);
    let list = |name: &str, path: &str, code: u8| {
        format!(
            "[list.{name}]\nurl = \"{}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.{code}\"\nallow-private = true\n\
             [zone.\"{name}.example.net\"]\nlists = [\"{name}\"]\n",
            publisher.url(path)
        )
    };
    let config =
        place.read("gatepost.toml") + &list("good", "/good.txt", 20) + &list("gone", "/gone.txt", 21);
    place.write("gatepost.toml", config);
    let ran = place.run(&["sync", "-c", "gatepost.toml"]).ended_with(1);
    ran.talks("gone").talks("404").talks("1 held, refused or not reached");
    place.run(&["status", "-c", "gatepost.toml"]).ended_with(1).says("To look at").says("404");
    assert_eq!(lookup(&place, "9.9.9.1", 1)["zones"][0]["zone"], "good.example.net");
    // What might be on the list that is not there cannot be told.
    assert_eq!(lookup(&place, "9.9.9.2", 3)["unknown"][0]["zone"], "gone.example.net");
    let asked = publisher.asked();
    place.run(&["sync", "-c", "gatepost.toml", "good"]).ended_with(0).talks("least time between two fetches");
    assert_eq!(publisher.asked(), asked, "it was asked for within its floor");
}

#[test]
fn a_second_sync_leaves_and_a_persons_waits() {
    let place = synced();
    let store = Store::open(&place.path("state")).unwrap();
    let Lock::Taken(writer) = store.lock(Wait::No).unwrap() else { panic!("somebody has the lock") };
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0).talks("a sync is running already");
    let busy = place.run(&["sync", "-c", "gatepost.toml", "--json"]).ended_with(0).json();
    assert!(busy["busy"].is_string());
    let mut waiting: Running = place.start(&["sync", "-c", "gatepost.toml", "own"]);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waiting.has_ended(), "it did not wait for the lock");
    drop(writer);
    waiting.end().ended_with(0).talks("own");
}

/// Whoever reads only the first line of a long answer still learns that the address is listed.
#[test]
fn a_closed_pipe_does_not_unlist() {
    let place = synced();
    let mut command = place.command(&["lookup", "-c", "gatepost.toml", "192.0.2.7"]);
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let status = command.stdout(write).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// Whoever may write in the state folder can put a pipe in the place of a file: nobody waits there for ever.
#[test]
fn pipes_and_links_in_the_place_of_files() {
    let place = synced();
    place.run(&["block", "-c", "gatepost.toml", "203.0.113.9"]).ended_with(0);
    let named = |folder: &str, start: &str| {
        let mut files = std::fs::read_dir(place.path(folder)).unwrap();
        let name = files.find_map(|file| {
            file.unwrap().file_name().into_string().ok().filter(|name| name.starts_with(start))
        });
        name.unwrap()
    };
    let (set, snapshot) = (named("state/feeds/own", "set-"), named("state/snapshots", "bl."));
    let mkfifo =
        |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    mkfifo(&place.path("pipe"));
    let files = [
        "feeds/own/status.json",
        "feeds/own/log.jsonl",
        "feeds/own/held/held.json",
        &format!("feeds/own/{set}"),
        &format!("snapshots/{snapshot}"),
        "overlay.jsonl",
        "overlay-lock",
        "generation.json",
        "seed",
    ];
    let commands: [&[&str]; 9] = [
        &["status"],
        &["lookup", "192.0.2.7"],
        &["history", "own"],
        &["overlay"],
        &["block", "203.0.113.10"],
        &["accept", "own"],
        &["rollback", "own", "0"],
        &["sync", "own"],
        &["sync"],
    ];
    let all = |what: &str| {
        for command in commands {
            let mut program = place.command(&[command, &["-c", "gatepost.toml"]].concat());
            let mut child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let ended = (0..600).any(|_| {
                std::thread::sleep(Duration::from_millis(if child.try_wait().unwrap().is_some() {
                    0
                } else {
                    50
                }));
                child.try_wait().unwrap().is_some()
            });
            if !ended {
                child.kill().unwrap();
            }
            assert!(ended, "{command:?} waits for ever at {what}");
        }
    };
    for file in files {
        let path = place.path("state").join(file);
        let kept = path.exists().then(|| std::fs::read(&path).unwrap());
        let put = |make: &dyn Fn()| {
            let _ = std::fs::remove_file(&path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            make();
        };
        put(&|| mkfifo(&path));
        all(&format!("a pipe: {file}"));
        put(&|| std::os::unix::fs::symlink(place.path("pipe"), &path).unwrap());
        all(&format!("a link: {file}"));
        put(&|| kept.iter().for_each(|octets| std::fs::write(&path, octets).unwrap()));
    }
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    lookup(&place, "192.0.2.7", 1);
}
