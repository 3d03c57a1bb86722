//! `gatepost feeds`: the catalogue shown, and feeds taken into a configuration and out of it again.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::{Command, Stdio};

use cli_support::{Place, Publisher, feed};
use nix::unistd::geteuid;
use serde_json::Value;

/// A service whose catalogue has two block lists, a score list, an allow list and one for registered users; the main
/// file has a list of one of them and a zone.
fn service(place: &Place) -> Publisher {
    let publisher = Publisher::new(&[
        ("/one.txt", "9.9.9.1\n9.9.9.2\n".to_owned()),
        ("/two.txt", "9.9.9.2\n9.9.9.3\n".to_owned()),
        ("/odd.txt", "8.8.4.4\n8.8.8.8\n".to_owned()),
        ("/good.txt", "9.9.9.3\n9.9.9.9\n".to_owned()),
        ("/better.txt", "9.9.9.3\n9.9.9.9\n".to_owned()),
    ]);
    for (name, path, use_, code) in [
        ("one", "/one.txt", "block", "127.0.0.40"),
        ("two", "/two.txt", "block", "127.0.0.41"),
        ("odd", "/odd.txt", "score", "127.0.0.42"),
        ("good", "/good.txt", "allow", "127.0.0.43"),
        ("better", "/better.txt", "allow", "127.0.0.44"),
    ] {
        place.write(&format!("catalogue/{name}.toml"), feed(name, &publisher.url(path), use_, code));
    }
    let paid: String = feed("paid", "https://paid.example/", "block", "127.0.0.45")
        .lines()
        .filter(|line| !line.starts_with("urls"))
        .map(|line| {
            line.replace("\"anyone\"", "\"registered\"\naccess = \"Write to Paid, with a cheque.\"") + "\n"
        })
        .collect();
    place.write("catalogue/paid.toml", paid);
    place.write(
        "gatepost.toml",
        "version = 1\nstate = \"state\"\n[sync]\ncatalogue = \"catalogue\"\n[list.mine]\nfeed = \"odd\"\n\
         [zone.\"mine.example\"]\nlists = [\"mine\"]\n",
    );
    publisher
}

const CONFIG: [&str; 2] = ["--config", "gatepost.toml"];

/// `gatepost feeds` with these words.
fn feeds(place: &Place, words: &[&str]) -> cli_support::Ran {
    place.run(&[&["feeds"], words, &CONFIG].concat())
}

fn enable(place: &Place, words: &[&str]) -> cli_support::Ran {
    feeds(place, &[&["enable", "--accept-terms"], words].concat())
}

fn checks(place: &Place) {
    place.run(&["check-config", "gatepost.toml"]).ended_with(0);
}

/// Names and states, as JSON says them.
fn states(shown: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let feeds = shown["feeds"].as_array().unwrap();
    feeds.iter().map(|feed| (text(&feed["name"]), text(&feed["state"]))).collect()
}

#[test]
fn the_catalogue_is_shown() {
    let place = Place::new();
    place.write("gatepost.toml", "version = 1\n");
    let all = states(&feeds(&place, &["--json"]).ended_with(0).json());
    let of = |name: &str| all.iter().find(|(known, _)| known == name).map(|(_, state)| state.as_str());
    assert_eq!(of("uceprotect-2"), Some("disabled"));
    assert_eq!(of("bogons"), Some("disabled"));
    assert_eq!(of("spamcop"), Some("registered"));
    assert_eq!(of("sorbs"), Some("retired"));
    assert!(all.len() > 100, "{}", all.len());
    assert_eq!(all, states(&feeds(&place, &["list", "--json"]).ended_with(0).json()));

    let table = feeds(&place, &[]).ended_with(0).says("WHAT IT IS").out;
    assert_eq!(table.lines().count(), all.len() + 1);
    let line = table.lines().find(|line| line.starts_with("spamhaus-drop ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().take(5).collect();
    assert_eq!(words, ["spamhaus-drop", "block", "network", "127.0.0.9", "disabled"]);

    for (filters, some, never) in [
        (&["--use", "allow"][..], "whitelisted-org", "uceprotect-1"),
        (&["--kind", "names"], "urlhaus", "uceprotect-1"),
        (&["--kind", "policy", "--only", "registered"], "spamhaus-pbl", "spamhaus-xbl"),
        (&["--only", "retired"], "nix-spam", "spamcop"),
    ] {
        let shown = feeds(&place, &[&["--json"], filters].concat()).ended_with(0).json();
        let names: BTreeSet<String> = states(&shown).into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(some) && !names.contains(never), "{filters:?}: {names:?}");
    }
    place.run(&["feeds", "--kind", "nonsense"]).ended_with(2).talks("neighbourhood");
}

#[test]
fn searching() {
    let place = Place::new();
    for (words, found) in [
        (&["TOR", "exit"][..], "tor-exits"),
        (&["manitu.net"], "nix-spam"),
        (&["cheap"], ""),
        (&["CBL"], "spamhaus-xbl"),
        (&["trial"], "dnswl"),
        (&["data-shield"], "data-shield"),
        (&["asndrop"], "asn-drop"),
        (&["bannedips"], "stopforumspam-banned"),
    ] {
        let ran = place.run(&[&["feeds", "search", "--json"], words].concat());
        let names: Vec<String> = states(&ran.json()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(ran.code, i32::from(found.is_empty()), "{words:?}");
        assert_eq!(names.iter().any(|name| name == found), !found.is_empty(), "{words:?}: {names:?}");
        assert!(names.len() < 40, "{words:?}: {names:?}");
    }
    place.run(&["feeds", "search", "cheap"]).ended_with(1).talks("no feed with `cheap`");
}

#[test]
fn everything_about_one() {
    let place = Place::new();
    place
        .run(&["feeds", "show", "spamhaus-drop"])
        .ended_with(0)
        .says("127.0.0.9")
        .says("check.spamhaus.org")
        .says("keep the source, the copyright line")
        .says("not fetched more often than every 6h")
        .says("`gatepost up` serves it");
    place.run(&["feeds", "show", "spamcop"]).ended_with(0).says("rsync over ssh").says("[list.spamcop]");
    place.run(&["feeds", "show", "feodo"]).ended_with(0).says("may be empty");
    place.run(&["feeds", "show", "bogons"]).ended_with(0).says("part of the program");
    place
        .run(&["feeds", "show", "zen"])
        .ended_with(2)
        .talks("no feed `zen` in the catalogue (there is `spamhaus-zen`");
    for name in ["sorbs", "dul.dnsbl.sorbs.net"] {
        place
            .run(&["feeds", "show", name])
            .ended_with(0)
            .says("retired since 2024-06-05")
            .says("uceprotect-1");
    }
    place.write("gatepost.toml", "version = 1\n");
    for (name, why) in
        [("data-shield", "several parts"), ("asndrop", "no addresses"), ("bannedips", "no window of days")]
    {
        place.run(&["feeds", "show", name]).ended_with(0).says("not offered: ").says(why).says("instead");
        feeds(&place, &["enable", name]).ended_with(2).talks("is not offered: ").talks(why);
    }
    place.run(&["feeds", "show", "uceprotect"]).ended_with(2).talks("did you mean `uceprotect-1`?");

    let shown = place.run(&["feeds", "show", "dnswl", "--json"]).ended_with(0).json();
    assert_eq!(shown["terms"]["fetch"], "registered");
    assert!(shown["terms"]["access"].as_str().unwrap().contains("www.dnswl.org"));
    assert_eq!((&shown["use"], &shown["code"]), (&Value::from("allow"), &Value::from("127.0.0.68")));
    let shown = place.run(&["feeds", "show", "wpbl", "--json"]).ended_with(0).json();
    assert_eq!((&shown["state"], &shown["retired"]), (&Value::from("retired"), &Value::from("2023-11")));
}

#[test]
fn what_is_enabled_answers() {
    let place = Place::new();
    let publisher = service(&place);
    let main = place.read("gatepost.toml");
    enable(&place, &["one", "two", "good", "--zone", "bl.example"])
        .ended_with(0)
        .talks("Terms of one.")
        .says("one answers in bl.example")
        .says("good takes addresses out of bl.example")
        .says("conf.d/feeds.toml");
    checks(&place);
    assert_eq!(place.read("gatepost.toml"), main);
    let shown = feeds(&place, &["--only", "enabled", "--json"]).ended_with(0).json();
    let names: Vec<String> = states(&shown).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["good", "odd", "one", "two"]);
    feeds(&place, &["show", "good"]).ended_with(0).says("enabled: list good, in bl.example");
    feeds(&place, &["show", "odd"]).ended_with(0).says("enabled: list mine, in mine.example");

    place.run(&["sync", "--config", "gatepost.toml"]).ended_with(0);
    assert_eq!(publisher.asked(), 4);
    let found = place.run(&["lookup", "--config", "gatepost.toml", "9.9.9.2"]).ended_with(1);
    found.says("bl.example").says("127.0.0.40, 127.0.0.41");
    place.run(&["lookup", "--config", "gatepost.toml", "9.9.9.3"]).ended_with(0);

    // Out again: the zone keeps what is left of it, and goes with its last block list.
    feeds(&place, &["disable", "one"]).ended_with(0).says("one is disabled");
    checks(&place);
    assert!(place.read("conf.d/feeds.toml").contains("lists = [\"two\"]\nexcept = [\"good\"]\n"));
    feeds(&place, &["disable", "two"]).ended_with(0).says("good answers in no zone");
    checks(&place);
    assert!(!place.read("conf.d/feeds.toml").contains("bl.example"), "an allow list must not begin to list");
    feeds(&place, &["disable", "good"]).ended_with(0);
    checks(&place);
    assert!(!place.path("conf.d/feeds.toml").exists());
    feeds(&place, &["disable", "good"]).ended_with(0).says("good was not enabled");
    assert_eq!(place.read("gatepost.toml"), main);
    assert_eq!(fs::read_dir(place.path("conf.d")).unwrap().count(), 0, "something was left behind");
}

/// A feed that is switched off for a day, or for another, brings no one back whom an allow list had let through.
#[test]
fn an_exception_comes_back_with_its_zone() {
    for (zone, again) in [("bl.example", "one"), ("bl.example", "two"), ("other.example", "one")] {
        let place = Place::new();
        let _publisher = service(&place);
        enable(&place, &["one", "good", "--zone", "bl.example"]).ended_with(0);
        feeds(&place, &["disable", "one"])
            .ended_with(0)
            .says("zone bl.example is gone with it, and good takes nothing out of it any more")
            .says("good answers in no zone");
        enable(&place, &[again, "--zone", zone])
            .ended_with(0)
            .says(&format!("good takes addresses out of {zone}: it had no zone any more"));
        checks(&place);
        let file = place.read("conf.d/feeds.toml");
        assert!(file.contains(&format!("lists = [\"{again}\"]\nexcept = [\"good\"]\n")), "{file}");
        // Once is enough: another zone is another thing, and that is said.
        let last = if again == "two" { "one" } else { "two" };
        enable(&place, &[last]).ended_with(0).says(&format!("enable good --zone {last}.gatepost.internal"));
        assert!(
            !place.read("conf.d/feeds.toml").contains(&format!("lists = [\"{last}\"]\nexcept")),
            "{zone}"
        );
    }
    // A zone that a person wrote has it already.
    let place = Place::new();
    let _publisher = service(&place);
    enable(&place, &["one", "good", "--zone", "bl.example"]).ended_with(0);
    feeds(&place, &["disable", "one"]).ended_with(0);
    let main =
        place.read("gatepost.toml").replace("lists = [\"mine\"]", "lists = [\"mine\"]\nexcept = [\"good\"]");
    place.write("gatepost.toml", main);
    enable(&place, &["one"]).ended_with(0);
    assert!(!place.read("conf.d/feeds.toml").contains("except"));
}

#[test]
fn enabling_twice_says_so() {
    let place = Place::new();
    let _publisher = service(&place);
    enable(&place, &["one", "one"]).ended_with(0).says("one answers in one.gatepost.internal");
    let file = place.read("conf.d/feeds.toml");
    let again =
        enable(&place, &["one"]).ended_with(0).says("one is enabled already, in one.gatepost.internal");
    assert!(!again.out.contains("written"), "{again:?}");
    enable(&place, &["odd"]).ended_with(0).says("odd is enabled already, as list mine");
    assert_eq!(place.read("conf.d/feeds.toml"), file);
    // Another zone besides is another thing.
    enable(&place, &["one", "--zone", "bl.example"]).ended_with(0).says("one answers in bl.example");
    enable(&place, &["one", "--zone", "bl.example"]).ended_with(0).says("enabled already");
    checks(&place);
    feeds(&place, &["show", "one"]).ended_with(0).says("list one, in bl.example, one.gatepost.internal");
}

#[test]
fn allow_lists_stand_beside_each_other_and_beside_nothing_else() {
    let place = Place::new();
    let _publisher = service(&place);
    enable(&place, &["good", "better", "--zone", "ok.example"])
        .ended_with(0)
        .says("good answers in ok.example")
        .says("better answers in ok.example");
    checks(&place);
    enable(&place, &["one", "--zone", "ok.example"]).ended_with(2).talks("answers from allow lists");
    // The embedded list has private space in it: alone, or not at all.
    enable(&place, &["bogons"]).ended_with(0).says("bogons answers in bogons.gatepost.internal");
    checks(&place);
    let file = place.read("conf.d/feeds.toml");
    enable(&place, &["one", "two", "--zone", "bogons.gatepost.internal"])
        .ended_with(2)
        .talks("nothing was changed")
        .talks("lists private address space");
    assert_eq!(place.read("conf.d/feeds.toml"), file);
}

#[test]
fn terms_are_shown_once_and_have_to_be_accepted() {
    let place = Place::new();
    let _publisher = service(&place);
    let refused = feeds(&place, &["enable", "one"]).ended_with(2);
    refused.talks("Terms of one.").talks("--accept-terms");
    assert!(!place.path("conf.d").exists());
    enable(&place, &["one"]).ended_with(0).talks("Terms of one.");
    // Without a state folder nobody remembers, and none is made: it will be the service's.
    assert!(!place.path("state").exists());
    feeds(&place, &["disable", "one"]).ended_with(0);
    fs::create_dir(place.path("state")).unwrap();
    enable(&place, &["one"]).ended_with(0).talks("Terms of one.");
    feeds(&place, &["disable", "one"]).ended_with(0);
    let again = feeds(&place, &["enable", "one"]).ended_with(0);
    assert!(!again.err.contains("Terms of"), "{again:?}");
    feeds(&place, &["disable", "one"]).ended_with(0);
    let changed = place.read("catalogue/one.toml").replace("Terms of one.", "Others.");
    place.write("catalogue/one.toml", changed);
    feeds(&place, &["enable", "one"]).ended_with(2).talks("Others.");
}

#[test]
fn a_yes_on_a_terminal_will_do() {
    const TEST: &str = "a_yes_on_a_terminal_will_do";
    let Some(script) = loud::installed("script", "bsdutils", TEST) else { return };
    let place = Place::new();
    let _publisher = service(&place);
    for (answer, accepted) in [("n\n", false), ("yes\n", true)] {
        // On a terminal of script(1)'s making.
        let program = format!("{} feeds enable one --config gatepost.toml", env!("CARGO_BIN_EXE_gatepost"));
        let mut command = Command::new(&script);
        command.args(["-qec", &program, "/dev/null"]).current_dir(place.path(".")).env("SHELL", "/bin/sh");
        for (name, value) in place.command(&[]).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(said.contains("Do you accept them?"), "{said}");
        assert_eq!(done.status.success(), accepted, "{said}");
        assert_eq!(place.path("conf.d/feeds.toml").exists(), accepted, "{said}");
    }
    checks(&place);
}

#[test]
fn what_cannot_be_enabled_says_why() {
    let place = Place::new();
    let _publisher = service(&place);
    place.write("own.txt", "192.0.2.1\n");
    let main = place.read("gatepost.toml")
        + "[list.two]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"score\"\ncode = \"127.0.1.1\"\n";
    place.write("gatepost.toml", &main);
    for (words, why) in [
        (&["sorbs"][..], "SORBS is no more since 2024-06-05"),
        (&["ix.dnsbl.manitu.net"], "NiX Spam is no more since 2025-01-16"),
        (&["paid"], "Write to Paid, with a cheque."),
        (&["ond"], "did you mean `odd`?"),
        (&["One"], "`One` is no feed's name"),
        (&["one", "nope"], "no feed `nope`"),
        (&["one", "--zone", "mine.example"], "zone mine.example stands in a file that a person wrote"),
        (&["odd", "--zone", "bl.example"], "odd is enabled already, as [list.mine]"),
        (&["two"], "list `two` is defined twice"),
    ] {
        enable(&place, words).ended_with(2).talks(why);
        assert!(!place.path("conf.d/feeds.toml").exists(), "{words:?}");
    }
    feeds(&place, &["disable", "odd"]).ended_with(2).talks("as [list.mine]: take it out there");
    // A configuration that is bad already is not made worse.
    place.write("gatepost.toml", format!("{main}[zone.\"x.example\"]\n"));
    enable(&place, &["one"]).ended_with(2).talks("zone `x.example` has no lists");
    place.write("gatepost.toml", &main);
    fs::remove_file(place.path("own.txt")).unwrap();
    enable(&place, &["one"]).ended_with(2).talks("own.txt");
    assert!(!place.path("conf.d").exists());
    assert_eq!(place.read("gatepost.toml"), main);
}

#[test]
fn what_a_person_wrote_is_left_alone() {
    let place = Place::new();
    let _publisher = service(&place);
    enable(&place, &["one"]).ended_with(0);
    let mine = place.read("conf.d/feeds.toml") + "ttl = \"1h\"\n";
    place.write("conf.d/feeds.toml", &mine);
    checks(&place);
    enable(&place, &["two"]).ended_with(2).talks("not as `gatepost feeds` writes it");
    feeds(&place, &["disable", "one"]).ended_with(2).talks("not as `gatepost feeds` writes it");
    assert_eq!(place.read("conf.d/feeds.toml"), mine);
    // Something else that names a list keeps it from going.
    place.write("conf.d/feeds.toml", mine.replace("ttl = \"1h\"\n", ""));
    place.write("conf.d/mine.toml", "version = 1\n[zone.\"z.example\"]\nlists = [\"one\"]\n");
    feeds(&place, &["disable", "one"])
        .ended_with(2)
        .talks("nothing was changed")
        .talks("there is no list `one`");
    checks(&place);
}

/// After an upgrade a feed may be gone; taking it out mends the configuration.
#[test]
fn a_feed_that_has_left_the_catalogue_can_be_disabled() {
    let place = Place::new();
    let _publisher = service(&place);
    enable(&place, &["one"]).ended_with(0);
    fs::remove_file(place.path("catalogue/one.toml")).unwrap();
    place.run(&["check-config", "gatepost.toml"]).ended_with(2).talks("no feed `one`");
    feeds(&place, &["disable", "one"]).ended_with(0);
    checks(&place);
}

#[test]
fn files_belong_to_the_owner_of_the_folder() {
    if !geteuid().is_root() {
        return loud::skipped("files_belong_to_the_owner_of_the_folder", "only root gives files away");
    }
    let place = Place::new();
    let _publisher = service(&place);
    chown(place.path("."), Some(65534), Some(65534)).unwrap();
    enable(&place, &["one"]).ended_with(0);
    for path in ["conf.d", "conf.d/feeds.toml"] {
        let found = fs::metadata(place.path(path)).unwrap();
        assert_eq!((found.uid(), found.gid()), (65534, 65534), "{path}");
    }
    // The owner of conf.d counts for what is in it.
    chown(place.path("conf.d"), Some(1), Some(1)).unwrap();
    enable(&place, &["two"]).ended_with(0);
    let found = fs::metadata(place.path("conf.d/feeds.toml")).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (1, 1, 0o644));
}

/// `gatepost up` makes its configuration at every start: what would be written beside it would be in nobody's way.
#[test]
fn up_is_not_for_choosing() {
    let place = Place::new();
    place.write("state/up.toml", "version = 1\nstate = \"state\"\n");
    place
        .run(&["feeds", "enable", "feodo", "--accept-terms", "--state", "state"])
        .ended_with(2)
        .talks("`gatepost up` makes the configuration");
}

#[test]
fn without_any_gatepost_one_can_look_and_not_choose() {
    let place = Place::new();
    // Root's state folder is the machine's: only an ordinary person's is in HOME.
    let of_root = geteuid().is_root().then_some("/var/lib/gatepost/up.toml");
    let mut of_machine = of_root.into_iter().chain(["/etc/gatepost/gatepost.toml"]);
    if let Some(known) = of_machine.find(|path| std::path::Path::new(path).exists()) {
        return loud::skipped(
            "without_any_gatepost_one_can_look_and_not_choose",
            &format!("{known} is there"),
        );
    }
    place.run(&["feeds", "--only", "disabled"]).ended_with(0).says("feodo");
    place.run(&["feeds", "enable", "feodo", "--accept-terms"]).ended_with(2).talks("which gatepost?");
}
