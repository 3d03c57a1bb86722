//! What is held, with real processes: it waits for a person or, where nothing but its difference speaks against it, for
//! three fetches over six hours that agree. It is told once, by log, hook and status. Clocks are moved by rewriting stamps
//! in the store, so nothing here waits.
#![cfg(feature = "full")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::dns::{A, Over, ask};
use common::program::{Ended, Server, run};
use common::site::Site;
use serde_json::{Value, json};

/// The lines of entries `from..to`.
fn lines(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("5.6.{}.{}\n", n / 256, n % 256)).collect()
}

fn site(sync: &str) -> Site {
    let site = Site::new();
    let list = Site::list("victim", 1, "");
    site.configure(&(format!("[sync]\n{sync}\n") + &list + &Site::zone("victim.example", &["victim"], "")));
    site.put("victim", lines(0, 1000));
    site.sync(&["victim"]).expect(0);
    site
}

/// `gatepost COMMAND victim MORE`.
fn on_list(site: &Site, command: &str, more: &[&str]) -> Ended {
    let config = site.config();
    let config = [OsStr::new("--config"), config.as_os_str()];
    run([command, "victim"].iter().chain(more).map(OsStr::new).chain(config))
}

/// What becomes of `body` when it is fetched.
#[track_caller]
fn fetch(site: &Site, body: String) -> Value {
    site.put("victim", body);
    site.sync(&["victim"]).json()["lists"][0].clone()
}

fn status(site: &Site) -> Value {
    site.status()["lists"][0].clone()
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
    let site = site("");
    let mut server = site.serve();
    let serial = site.serial("victim.example");
    assert_eq!(on_list(&site, "accept", &[]).code, Some(1), "nothing is held");
    assert_eq!(fetch(&site, lines(900, 1200) + "64.0.0.0/7\n")["outcome"], "held");
    assert!(listed(&server, 0) && !listed(&server, 1199));

    let diff = on_list(&site, "diff", &[]).expect(1);
    let shown: Vec<&str> = diff.stdout.lines().filter(|line| !line.starts_with('#')).collect();
    let count = |sign: &str| shown.iter().filter(|line| line.starts_with(sign)).count();
    assert_eq!((count("+"), count("-"), shown.len()), (201, 900, 1101), "{}", diff.stderr);
    assert!(shown.contains(&"+64.0.0.0/7") && shown.contains(&"-5.6.0.0"));
    let diff = on_list(&site, "diff", &["current", "held", "--json"]).expect(1).json();
    assert_eq!((diff["added"].as_array().unwrap().len(), &diff["kept"]), (201, &100.into()));

    let shown = run(["status", "--config", site.config().to_str().unwrap()]);
    for word in ["broader than /8", "`gatepost diff victim` shows it, `gatepost accept victim` takes it"] {
        assert!(shown.stdout.contains(word), "{shown:?}");
    }
    let done = on_list(&site, "accept", &["--json"]).expect(0);
    let list = done.json()["lists"][0].clone();
    assert_eq!(list["outcome"], "accepted", "{done:?}");
    assert!(list["reasons"].to_string().contains("accepted by hand"), "{list:#}");
    server.wait_for_serial("victim.example", site.serial("victim.example"));
    assert!(site.serial("victim.example") > serial);
    assert!(!listed(&server, 0) && listed(&server, 1199));
    assert!(!ask(server.dns, Over::Udp, "1.2.3.65.victim.example", A).a.is_empty(), "the /7 as well");
    let now = status(&site);
    assert_eq!((&now["held"], &now["problem"], &now["entries"]), (&Value::Null, &false.into(), &301.into()));
    assert!(!site.files("").iter().any(|name| name.contains("/held/")));

    // Its validators are those of what is in service now: the next fetch brings nothing. And the same entries under
    // another header are let through as well.
    assert_eq!(site.sync(&["victim"]).expect(0).json()["lists"][0]["outcome"], "confirmed");
    assert_eq!(
        fetch(&site, "# another header\n".to_owned() + &lines(900, 1200) + "64.0.0.0/7\n")["outcome"],
        "accepted"
    );
    assert_eq!(
        fetch(&site, lines(900, 1201) + "64.0.0.0/7\n")["outcome"],
        "held",
        "a new version is judged anew"
    );
    let history = on_list(&site, "history", &["--json"]).expect(0).json();
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
    let table = on_list(&site, "history", &[]).expect(0).stdout;
    assert!(table.lines().nth(4).unwrap().contains(" accept ") && table.contains("held"), "{table}");
}

/// Shrink, growth and turnover let themselves through when the publisher stays with it.
#[test]
fn what_agrees_for_six_hours_lets_itself_through() {
    let bodies = [lines(0, 500), lines(0, 1600), lines(500, 1500), lines(2000, 3700)];
    for body in bodies {
        let site = site("");
        let mut server = site.serve();
        let slightly = |n: usize| body.lines().skip(n).map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(fetch(&site, slightly(0))["outcome"], "held");
        later(&site, 3 * HOUR);
        assert_eq!(fetch(&site, slightly(1))["outcome"], "held");
        assert_eq!(status(&site)["held"]["agreeing"], 2);
        // A third fetch that comes too soon is not yet agreement.
        later(&site, 2 * HOUR);
        assert_eq!(fetch(&site, slightly(2))["outcome"], "held");
        later(&site, HOUR);
        let last = fetch(&site, slightly(3));
        assert_eq!(last["outcome"], "accepted", "{last:#}");
        assert!(last["reasons"].to_string().contains("4 fetches over 6 hours agree"), "{last:#}");
        server.wait_for_serial("victim.example", site.serial("victim.example"));
        assert_eq!(status(&site)["entries"], slightly(3).lines().count());
        assert!(!site.files("").iter().any(|name| name.contains("/held/")));
    }
}

#[test]
fn what_does_not_agree_waits_on() {
    let site = site("");
    for n in 1..=4 {
        // Each as large as the last, and each another list.
        assert_eq!(fetch(&site, lines(n * 2000, n * 2000 + 1000))["outcome"], "held", "{n}");
        assert_eq!(status(&site)["held"]["agreeing"], 1, "{n}");
        later(&site, 4 * HOUR);
    }
    // Two fetches are not enough, however long apart.
    assert_eq!(fetch(&site, lines(8000, 9000))["outcome"], "held");
    assert_eq!(status(&site)["held"]["agreeing"], 2);
    // The old version comes back: the hold is over.
    assert_eq!(fetch(&site, lines(0, 1000))["outcome"], "confirmed");
    assert_eq!(status(&site)["held"], Value::Null);
}

#[test]
fn nothing_else_lets_itself_through() {
    let bad = [
        lines(0, 1000) + "0.0.0.0/0\n",
        lines(0, 1000) + "64.0.0.0/7\n",
        lines(0, 1000) + "2600::/15\n",
        lines(0, 1000) + &"not an address\n".repeat(11),
        lines(0, 1000) + &(0..6).map(|n| format!("17.0.{n}.1\n")).collect::<String>(),
        lines(0, 1000) + &(100..121).map(|n| format!("{n}.0.0.0/8\n")).collect::<String>(),
        // A change beside something else is no change alone.
        lines(0, 500) + "0.0.0.0/0\n",
        lines(0, 400),
    ];
    for body in bad {
        let site = Site::new();
        let list = Site::list("victim", 1, "min-entries = 450\n");
        let sync = "[sync]\ncanaries = [\"17.0.0.0/8\"]\n".to_owned();
        site.configure(&(sync + &list + &Site::zone("victim.example", &["victim"], "")));
        site.put("victim", lines(0, 1000));
        site.sync(&["victim"]).expect(0);
        for _ in 0..4 {
            let done = fetch(&site, body.clone());
            assert_eq!(done["outcome"], "held", "{done:#}");
            assert_eq!(status(&site)["held"]["agreeing"], 0, "{done:#}");
            let path = site.state().join("feeds/victim/held/held.json");
            let mut held: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            held["since"] = json!({ "wall": 1_700_000_000, "boottime": 0 });
            fs::write(&path, serde_json::to_vec(&held).unwrap()).unwrap();
        }
    }
}

/// A hook that writes down what it is told.
fn hook(path: &Path, more: &str) {
    let script = format!(
        "#!/bin/sh\nprintf '%s %s %s [%s]\\n' \"$1\" \"$GATEPOST_LIST\" \"$GATEPOST_OUTCOME\" \"$GATEPOST_REASONS\" >> \"$2\"\n{more}\n"
    );
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn it_is_told_once_and_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let (program, told) = (folder.path().join("hook"), folder.path().join("told"));
    hook(&program, "exit 3");
    let site = site(&format!("hook = [{program:?}, \"a b\", {told:?}]"));
    let read = || fs::read_to_string(&told).unwrap_or_default();
    let timer = || {
        run([
            OsStr::new("sync"),
            OsStr::new("--log-format"),
            OsStr::new("text"),
            OsStr::new("--config"),
            site.config().as_os_str(),
        ])
    };
    // The timer comes when its pause is over.
    let due = || {
        let path = site.state().join("feeds/victim/status.json");
        let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        status.as_object_mut().unwrap().remove("next");
        fs::write(&path, serde_json::to_vec(&status).unwrap()).unwrap();
    };
    let warned = |ran: &Ended, word: &str| {
        ran.stderr.lines().filter(|line| line.contains("WARN") && line.contains(word)).count()
    };

    site.put("victim", lines(0, 100));
    due();
    let first = timer().expect(1);
    assert_eq!(
        warned(&first, "victim: held: 100 entries after 1000 are 90.0 % fewer"),
        1,
        "{}",
        first.stderr
    );
    // That it failed is told and changes nothing.
    assert_eq!(warned(&first, "the hook"), 1, "{}", first.stderr);
    let line = read();
    assert!(line.starts_with("a b victim held [100 entries after 1000 are 90.0 % fewer"), "{line}");
    assert!(line.contains("\n900 of the 1000 old entries are gone"), "one reason a line: {line}");
    for entries in [100, 99] {
        site.put("victim", lines(0, entries));
        due();
        let again = timer().expect(1);
        assert_eq!(warned(&again, "held"), 0, "{}", again.stderr);
        assert_eq!(read(), line, "told again");
    }
    // Something else is told.
    site.put("victim", "<html>");
    due();
    assert_eq!(warned(&timer().expect(1), "victim: refused: the body is a web page"), 1);
    assert!(read().contains("a b victim rejected [the body is a web page"), "{}", read());
    // After a good version the same trouble is new.
    site.put("victim", lines(0, 1000));
    due();
    timer().expect(0);
    let before = read().len();
    site.put("victim", "<html>");
    due();
    assert_eq!(warned(&timer().expect(1), "refused"), 1);
    assert!(read().len() > before);
}

#[test]
fn a_hook_that_is_not_there_is_only_told() {
    let site = site("hook = [\"/nonexistent/hook\"]");
    site.put("victim", "<html>");
    let ran = site.sync(&["victim"]).expect(1);
    assert!(ran.stderr.contains("the hook /nonexistent/hook cannot be run"), "{}", ran.stderr);
    site.configure("[sync]\nhook = [\"hook\"]\n");
    let refused = run(["check-config", site.config().to_str().unwrap()]).expect(2);
    assert!(refused.stderr.contains("`hook` is not a whole path"), "{}", refused.stderr);
}

/// A sync that was killed between the two files of a hold, or a configuration that reads it in another way: what was
/// shown is not what would be taken.
#[test]
fn what_is_accepted_is_what_was_held() {
    let site = site("");
    assert_eq!(fetch(&site, lines(0, 100))["outcome"], "held");
    fs::write(site.state().join("feeds/victim/held/body"), "5.6.7.8\n").unwrap();
    let before = site.generation();
    let refused = on_list(&site, "accept", &[]).expect(3);
    assert!(refused.stderr.contains("read as another list"), "{}", refused.stderr);
    assert_eq!(site.generation(), before);
    assert_eq!(fetch(&site, lines(0, 100))["outcome"], "held");
    on_list(&site, "accept", &[]).expect(0);
    assert_eq!(status(&site)["entries"], 100);
}
