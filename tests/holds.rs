//! What is held, with real processes: it waits for a person or, where nothing but its difference speaks against it, for
//! three fetches over six hours that agree. Clocks are moved by rewriting stamps in the store, so nothing here waits.
#![cfg(feature = "full")]

mod common;

use std::fs;

use common::dns::{A, Over, ask};
use common::hosts;
use common::program::{Server, run};
use common::site::Site;
use serde_json::{Value, json};

fn site() -> Site {
    let site = Site::new();
    let list = Site::list("victim", 1, "");
    site.configure(&(list + &Site::zone("victim.example", &["victim"], "")));
    site.put("victim", hosts(0, 1000));
    site.sync(&["victim"]).expect(0);
    site
}

fn listed(server: &Server, host: u32) -> bool {
    let name = format!("{}.{}.6.5.victim.example", host % 256, host / 256);
    !ask(server.dns, Over::Udp, &name, A).a.is_empty()
}

/// As if so many seconds had passed since whatever waits was fetched.
fn later(site: &Site, seconds: i64) {
    let path = site.state().join("feeds/victim/held/held.json");
    let mut held: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let older = |stamp: &mut Value| {
        *stamp = json!({ "wall": stamp["wall"].as_i64().unwrap() - seconds, "boottime": 0 });
    };
    older(&mut held["since"]);
    held["agreeing"].as_array_mut().unwrap().iter_mut().for_each(|sighting| older(&mut sighting["at"]));
    fs::write(&path, serde_json::to_vec(&held).unwrap()).unwrap();
}

const HOUR: i64 = 3600;

#[test]
fn a_person_lets_it_through() {
    let site = site();
    let mut server = site.serve();
    let serial = site.serial("victim.example");
    assert_eq!(site.on_list("accept", "victim", &[]).code, Some(1), "nothing is held");
    assert_eq!(site.fetch("victim", hosts(900, 1200) + "64.0.0.0/7\n")["outcome"], "held");
    assert!(listed(&server, 0) && !listed(&server, 1199));

    let diff = site.on_list("diff", "victim", &[]).expect(1);
    let shown: Vec<&str> = diff.stdout.lines().filter(|line| !line.starts_with('#')).collect();
    let count = |sign: &str| shown.iter().filter(|line| line.starts_with(sign)).count();
    assert_eq!((count("+"), count("-"), shown.len()), (201, 900, 1101), "{}", diff.stderr);
    assert!(shown.contains(&"+64.0.0.0/7") && shown.contains(&"-5.6.0.0"));
    let diff = site.on_list("diff", "victim", &["current", "held", "--json"]).expect(1).json();
    assert_eq!((diff["added"].as_array().unwrap().len(), &diff["kept"]), (201, &100.into()));

    let shown = run(["status", "--config", site.config().to_str().unwrap()]);
    let held = site.first_list()["held"]["set"].as_str().unwrap()[..12].to_owned();
    for word in [
        "broader than /8",
        &format!("`gatepost diff victim` shows it, `gatepost accept victim {held}` takes it"),
    ] {
        assert!(shown.stdout.contains(word), "{shown:?}");
    }
    // What is held may be another by the time that a person has looked at it.
    let other = site.on_list("accept", "victim", &["123456789abc"]).expect(2);
    assert!(other.stderr.contains("what is held is not `123456789abc`"), "{other:?}");
    // Nor are three digits a hash.
    let short = site.on_list("accept", "victim", &[&held[..3]]).expect(2);
    assert!(short.stderr.contains(&format!("what is held is not `{}`", &held[..3])), "{short:?}");
    let done = site.on_list("accept", "victim", &[&held, "--json"]).expect(0);
    let list = done.json()["lists"][0].clone();
    assert_eq!(list["outcome"], "accepted", "{done:?}");
    assert!(list["reasons"].to_string().contains("accepted by hand"), "{list:#}");
    server.wait_for_serial("victim.example", site.serial("victim.example"));
    assert!(site.serial("victim.example") > serial);
    assert!(!listed(&server, 0) && listed(&server, 1199));
    assert!(!ask(server.dns, Over::Udp, "1.2.3.65.victim.example", A).a.is_empty(), "the /7 as well");
    let now = site.first_list();
    assert_eq!((&now["held"], &now["problem"], &now["entries"]), (&Value::Null, &false.into(), &301.into()));
    assert!(!site.files("").iter().any(|name| name.contains("/held/")));

    // Its validators are those of what is in service now: the next fetch brings nothing. And the same entries under
    // another header are let through as well.
    assert_eq!(site.sync(&["victim"]).expect(0).json()["lists"][0]["outcome"], "confirmed");
    assert_eq!(
        site.fetch("victim", "# another header\n".to_owned() + &hosts(900, 1200) + "64.0.0.0/7\n")["outcome"],
        "accepted"
    );
    assert_eq!(
        site.fetch("victim", hosts(900, 1201) + "64.0.0.0/7\n")["outcome"],
        "held",
        "a new version is judged anew"
    );
    let history = site.on_list("history", "victim", &["--json"]).expect(0).json();
    let all: Vec<(&str, &str, Option<&str>)> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["by"].as_str().unwrap(), line["outcome"].as_str().unwrap(), line["act"].as_str()))
        .collect();
    assert_eq!(
        all,
        [
            ("person", "accepted", None),
            ("person", "held", None),
            ("person", "accepted", Some("accept")),
            ("person", "confirmed", None),
            ("person", "accepted", None),
            ("person", "held", None)
        ]
    );
    let accepted = &history[2];
    assert_eq!((&accepted["added"], &accepted["removed"]), (&201.into(), &900.into()), "{accepted:#}");
    assert_eq!(accepted["set"], now["set"]);
    let table = site.on_list("history", "victim", &[]).expect(0).stdout;
    assert!(table.lines().nth(4).unwrap().contains(" accept ") && table.contains("held"), "{table}");
}

/// Shrink, growth and turnover let themselves through when the publisher stays with it.
#[test]
fn what_agrees_for_six_hours_lets_itself_through() {
    let bodies = [hosts(0, 500), hosts(0, 1600), hosts(500, 1500), hosts(2000, 3700)];
    for body in bodies {
        let site = site();
        let mut server = site.serve();
        let slightly = |n: usize| body.lines().skip(n).map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(site.fetch("victim", slightly(0))["outcome"], "held");
        later(&site, 3 * HOUR);
        assert_eq!(site.fetch("victim", slightly(1))["outcome"], "held");
        assert_eq!(site.first_list()["held"]["agreeing"], 2);
        // A third fetch that comes too soon is not yet agreement.
        later(&site, 2 * HOUR);
        assert_eq!(site.fetch("victim", slightly(2))["outcome"], "held");
        later(&site, HOUR);
        let last = site.fetch("victim", slightly(3));
        assert_eq!(last["outcome"], "accepted", "{last:#}");
        assert!(last["reasons"].to_string().contains("4 fetches over 6 hours agree"), "{last:#}");
        server.wait_for_serial("victim.example", site.serial("victim.example"));
        assert_eq!(site.first_list()["entries"], slightly(3).lines().count());
        assert!(!site.files("").iter().any(|name| name.contains("/held/")));
    }
}

#[test]
fn what_does_not_agree_waits_on() {
    let site = site();
    for n in 1..=4 {
        // Each as large as the last, and each another list.
        assert_eq!(site.fetch("victim", hosts(n * 2000, n * 2000 + 1000))["outcome"], "held", "{n}");
        assert_eq!(site.first_list()["held"]["agreeing"], 1, "{n}");
        later(&site, 4 * HOUR);
    }
    // Two fetches are not enough, however long apart.
    assert_eq!(site.fetch("victim", hosts(8000, 9000))["outcome"], "held");
    assert_eq!(site.first_list()["held"]["agreeing"], 2);
    // The old version comes back: the hold is over.
    assert_eq!(site.fetch("victim", hosts(0, 1000))["outcome"], "confirmed");
    assert_eq!(site.first_list()["held"], Value::Null);
}

#[test]
fn nothing_else_lets_itself_through() {
    let bad = [
        hosts(0, 1000) + "0.0.0.0/0\n",
        hosts(0, 1000) + "64.0.0.0/7\n",
        hosts(0, 1000) + "2600::/15\n",
        hosts(0, 1000) + &"not an address\n".repeat(11),
        hosts(0, 1000) + &(0..6).map(|n| format!("17.0.{n}.1\n")).collect::<String>(),
        hosts(0, 1000) + &(100..121).map(|n| format!("{n}.0.0.0/8\n")).collect::<String>(),
        // A change beside something else is no change alone.
        hosts(0, 500) + "0.0.0.0/0\n",
        hosts(0, 400),
    ];
    for body in bad {
        let site = Site::new();
        let list = Site::list("victim", 1, "min-entries = 450\n");
        let sync = "[sync]\ncanaries = [\"17.0.0.0/8\"]\n".to_owned();
        site.configure(&(sync + &list + &Site::zone("victim.example", &["victim"], "")));
        site.put("victim", hosts(0, 1000));
        site.sync(&["victim"]).expect(0);
        for _ in 0..4 {
            let done = site.fetch("victim", body.clone());
            assert_eq!(done["outcome"], "held", "{done:#}");
            assert_eq!(site.first_list()["held"]["agreeing"], 0, "{done:#}");
            let path = site.state().join("feeds/victim/held/held.json");
            let mut held: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            held["since"] = json!({ "wall": 1_700_000_000, "boottime": 0 });
            fs::write(&path, serde_json::to_vec(&held).unwrap()).unwrap();
        }
    }
}

/// A sync that was killed between the two files of a hold, or a configuration that reads it in another way: what was
/// shown is not what would be taken.
#[test]
fn what_is_accepted_is_what_was_held() {
    let site = site();
    assert_eq!(site.fetch("victim", hosts(0, 100))["outcome"], "held");
    fs::write(site.state().join("feeds/victim/held/body"), "5.6.7.8\n").unwrap();
    let before = site.generation();
    let refused = site.on_list("accept", "victim", &[]).expect(3);
    assert!(refused.stderr.contains("read as another list"), "{}", refused.stderr);
    assert_eq!(site.generation(), before);
    assert_eq!(site.fetch("victim", hosts(0, 100))["outcome"], "held");
    site.on_list("accept", "victim", &[]).expect(0);
    assert_eq!(site.first_list()["entries"], 100);
}

/// A handful of entries agrees with another handful no sooner than many with many.
#[test]
fn a_handful_does_not_agree_with_another() {
    let site = site();
    for (seconds, from, number) in [(0, 5000, 1), (4 * HOUR, 6000, 300), (4 * HOUR, 7000, 50)] {
        if seconds > 0 {
            later(&site, seconds);
        }
        assert_eq!(site.fetch("victim", hosts(from, from + number))["outcome"], "held", "{number}");
    }
    // What comes again does.
    later(&site, 4 * HOUR);
    assert_eq!(site.fetch("victim", hosts(7000, 7050))["outcome"], "held");
    later(&site, 7 * HOUR);
    assert_eq!(site.fetch("victim", hosts(7000, 7051))["outcome"], "accepted");
}

/// A list that may be empty keeps its header then: a comment that it did not have is a message.
#[test]
fn comments_that_the_list_never_had() {
    let site = Site::new();
    let list = Site::list("victim", 1, "allow-empty = true\nmin-entries = 0");
    site.configure(&(list + &Site::zone("victim.example", &["victim"], "")));
    let header = |day: u32| {
        format!("# Hosts that were seen, 2026-11-{day}\n# If your IP has been blocked, write to us\n")
    };
    assert_eq!(site.fetch("victim", header(1) + "5.6.0.0\n")["outcome"], "accepted");
    for message in ["# Blocked.\n", "# Invalid API key\n#\n# ----------\n#\n# Please register\n"] {
        let list = site.fetch("victim", message);
        assert_eq!((&list["outcome"], &list["entries"]), (&"held".into(), &1.into()), "{list:#}");
        assert!(list["reasons"].to_string().contains("it may be a message"), "{list:#}");
    }
    let list = site.fetch("victim", header(2));
    assert_eq!((&list["outcome"], &list["entries"]), (&"accepted".into(), &0.into()), "{list:#}");
}

/// What a server says again of what it was shown is told no more when what is held is read again.
#[test]
fn a_credential_that_a_held_body_repeats() {
    let site = Site::new();
    let secret = "Zq7Kx9Vw2LmP";
    fs::write(site.path("key"), format!("user:{secret}\n")).unwrap();
    fs::set_permissions(site.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let list = |more: &str| {
        Site::list("victim", 1, &format!("credential = \"./key\"\n{more}"))
            + &Site::zone("victim.example", &["victim"], "")
    };
    site.configure(&list(""));
    let bad = hosts(0, 89) + &format!("bad {secret} line\n");
    assert_eq!(site.fetch("victim", bad)["outcome"], "held");
    let mut said = Vec::new();
    said.push(site.on_list("accept", "victim", &["--json"]).expect(0));
    // Read in another way it is still what a person has let through.
    site.configure(&list("notes = true"));
    said.push(site.sync(&["victim"]).expect(0));
    for ended in said {
        assert!(ended.stderr.contains("bad *** line"), "{ended:?}");
        assert!(!format!("{ended:?}").contains(secret), "{ended:?}");
    }
    for file in ["feeds/victim/log.jsonl", "feeds/victim/status.json"] {
        assert!(!fs::read_to_string(site.state().join(file)).unwrap().contains(secret), "{file}");
    }
}
