//! Earlier versions of a list, with real processes: `rollback`, `pin`, `unpin`, `diff`, `history`, and what a snapshot
//! tells of where its lists come from.
#![cfg(feature = "full")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::dns::{A, Over, ask};
use common::program::{Server, gatepost, run};
use common::site::Site;
use common::skipped;
use gatepost::store::{Lock, Store, Wait};
use serde_json::Value;

const ONE: &str = "5.6.7.1\n5.6.7.9\n";
const TWO: &str = "5.6.7.2\n5.6.7.9\n";
const THREE: &str = "5.6.7.3\n5.6.7.9\n";

/// A list with three versions, the last in service.
fn site() -> Site {
    let site = Site::new();
    site.configure(&(Site::list("victim", 1, "") + &Site::zone("victim.example", &["victim"], "")));
    for body in [ONE, TWO, THREE] {
        site.put("victim", body);
        site.sync(&["victim"]).expect(0);
    }
    site
}

fn outcome(site: &Site) -> String {
    site.sync(&["victim"]).expect(0).json()["lists"][0]["outcome"].as_str().unwrap().to_owned()
}

/// Which of the versions answers.
#[track_caller]
fn said(server: &mut Server, site: &Site) -> u8 {
    server.wait_for_serial("victim.example", site.serial("victim.example"));
    let listed = |n: &u8| !ask(server.dns, Over::Udp, &format!("{n}.7.6.5.victim.example"), A).a.is_empty();
    let all: Vec<u8> = (1..=4).filter(listed).collect();
    assert!(listed(&9) && all.len() == 1, "{all:?}");
    all[0]
}

#[test]
fn back_and_pinned_and_on_again() {
    let site = site();
    let mut server = site.serve();
    assert_eq!(said(&mut server, &site), 3);
    let serial = site.serial("victim.example");
    site.on_list("rollback", "victim", &[]).expect(0);
    assert_eq!(said(&mut server, &site), 2);
    let rolled = site.serial("victim.example");
    assert!(rolled > serial, "a rollback raises the serial: {serial} {rolled}");
    site.on_list("rollback", "victim", &[]).expect(0);
    assert_eq!(said(&mut server, &site), 1);
    let refused = site.on_list("rollback", "victim", &[]).expect(2);
    assert!(refused.stderr.contains("there are: 0 = "), "{}", refused.stderr);

    // The list is pinned: what comes is fetched, judged and logged, and not taken; what has come once is not sent again.
    site.put("victim", "5.6.7.4\n5.6.7.9\n");
    let before = (site.generation(), site.files("feeds/victim"));
    assert_eq!(outcome(&site), "pinned");
    assert_eq!(outcome(&site), "pinned");
    let asked: Vec<u16> = site.web.asked().iter().rev().take(2).map(|asked| asked.status).collect();
    assert_eq!(asked, [304, 200]);
    assert_eq!((site.generation(), site.files("feeds/victim")), before);
    assert_eq!(said(&mut server, &site), 1);
    let now = site.first_list();
    assert!(now["pinned"].is_object() && now["problem"] == false, "{now:#}");
    let shown = run(["status", "--config", site.config().to_str().unwrap()]).expect(0).stdout;
    assert!(shown.contains("nothing is taken until `gatepost unpin victim`"), "{shown}");
    let refused = site.on_list("accept", "victim", &[]).expect(2);
    assert!(refused.stderr.contains("pinned"), "{}", refused.stderr);
    // A bad body is one for a pinned list as well.
    site.put("victim", "<html>");
    site.sync(&["victim"]).expect(1);

    site.on_list("unpin", "victim", &[]).expect(0);
    site.on_list("unpin", "victim", &[]).expect(1);
    site.put("victim", "5.6.7.4\n5.6.7.9\n");
    assert_eq!(outcome(&site), "accepted");
    assert_eq!(said(&mut server, &site), 4);
    assert_eq!(site.first_list()["pinned"], Value::Null);

    // By its number, by its hash, and the one that is there.
    site.on_list("pin", "victim", &["2"]).expect(0);
    assert_eq!(said(&mut server, &site), 2);
    let hash = |number: usize| {
        let history = site.on_list("history", "victim", &["--json"]).expect(0).json();
        history[number]["set"].as_str().unwrap()[..8].to_owned()
    };
    site.on_list("rollback", "victim", &[&hash(0)]).expect(0);
    assert_eq!(said(&mut server, &site), 1);
    site.on_list("pin", "victim", &[]).expect(0);
    assert_eq!(said(&mut server, &site), 1);
    let refused = site.on_list("pin", "victim", &["ffffffff"]).expect(2);
    assert!(refused.stderr.contains("no version `ffffffff` is kept"), "{}", refused.stderr);
}

/// What a person went back from is not gone back to, unless it is named.
#[test]
fn a_version_that_was_left() {
    let site = site();
    let mut server = site.serve();
    site.on_list("rollback", "victim", &[]).expect(0);
    assert_eq!(said(&mut server, &site), 2);
    site.on_list("unpin", "victim", &[]).expect(0);
    site.put("victim", "5.6.7.4\n5.6.7.9\n");
    assert_eq!(outcome(&site), "accepted");
    assert_eq!(said(&mut server, &site), 4);
    site.on_list("rollback", "victim", &[]).expect(0);
    assert_eq!(said(&mut server, &site), 2, "not the third, which was left");
    site.on_list("rollback", "victim", &["1"]).expect(0);
    assert_eq!(said(&mut server, &site), 3);
    site.on_list("rollback", "victim", &[]).expect(0);
    assert_eq!(said(&mut server, &site), 2);
    // Nor to what was jumped over.
    site.on_list("unpin", "victim", &[]).expect(0);
    site.on_list("pin", "victim", &["0"]).expect(0);
    site.on_list("rollback", "victim", &["3"]).expect(0);
    assert_eq!(said(&mut server, &site), 1);
    site.on_list("unpin", "victim", &[]).expect(0);
    site.put("victim", "5.6.7.4\n5.6.7.9\n5.6.7.10\n");
    assert_eq!(outcome(&site), "accepted");
    site.on_list("rollback", "victim", &[]).expect(0);
    assert_eq!(said(&mut server, &site), 1, "none of those that were jumped over");
}

/// What was held before a person decided otherwise is not let through behind that.
#[test]
fn a_hold_ends_with_a_pin() {
    let site = site();
    site.put("victim", "64.0.0.0/7\n");
    site.sync(&["victim"]).expect(1);
    assert!(site.first_list()["held"].is_object());
    site.on_list("rollback", "victim", &[]).expect(0);
    assert!(site.first_list()["held"].is_null());
    site.on_list("unpin", "victim", &[]).expect(0);
    site.on_list("accept", "victim", &[]).expect(1);
}

/// A pinned version whose set was damaged is made again from its body: the zone does not wait for it.
#[test]
fn a_damaged_pinned_version() {
    let site = site();
    site.on_list("pin", "victim", &[]).expect(0);
    let set = site.files("").into_iter().find(|name| {
        let hash = site.first_list()["set"].as_str().map(str::to_owned);
        hash.is_some_and(|hash| name.contains(&format!("set-{hash}")))
    });
    let path = site.state().join(set.expect("its set"));
    let mut octets = fs::read(&path).unwrap();
    let last = octets.len() - 1;
    octets[last] ^= 1;
    fs::write(&path, octets).unwrap();
    site.sync(&["victim"]).expect(0);
    site.on_list("diff", "victim", &["1", "current"]).expect(1);
    assert!(site.first_list()["pinned"].is_object());
}

/// Whoever pins a version wants it in service: it grows old with a warning.
#[test]
fn a_pinned_version_stays_in_service() {
    let site = site();
    site.on_list("pin", "victim", &[]).expect(0);
    let path = site.state().join("feeds/victim/status.json");
    let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for stamp in ["last_attempt", "last_contact", "last_confirmed"] {
        status[stamp] = serde_json::json!({ "wall": status[stamp]["wall"].as_i64().unwrap() - 30 * 86_400, "boottime": 0 });
    }
    fs::write(&path, serde_json::to_vec(&status).unwrap()).unwrap();
    let mut server = site.serve();
    assert_eq!(said(&mut server, &site), 3);
    let list = site.first_list();
    assert_eq!((&list["freshness"], &list["problem"]), (&"soft".into(), &true.into()));
}

/// A status that is lost costs what it said, not what a person decided.
#[test]
fn a_pin_outlives_a_lost_status() {
    let site = site();
    site.on_list("rollback", "victim", &[]).expect(0);
    for damage in ["{", ""] {
        fs::write(site.state().join("feeds/victim/status.json"), damage).unwrap();
        assert!(site.first_list()["pinned"].is_object(), "{damage:?}");
        site.put("victim", format!("5.6.7.4\n5.6.7.9\n# {damage}\n"));
        assert_eq!(outcome(&site), "pinned", "{damage:?}");
        assert_eq!(said(&mut site.serve(), &site), 2, "{damage:?}");
    }
    site.on_list("unpin", "victim", &[]).expect(0);
    fs::write(site.state().join("feeds/victim/status.json"), "{").unwrap();
    assert_eq!(outcome(&site), "accepted");
}

#[test]
fn differences_between_versions() {
    let site = site();
    let lines = |more: &[&str], code| {
        let ran = site.on_list("diff", "victim", more).expect(code);
        ran.stdout.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&[], 1), ["-5.6.7.2", "+5.6.7.3"]);
    assert_eq!(lines(&["2"], 1), ["-5.6.7.1", "+5.6.7.3"]);
    assert_eq!(lines(&["1", "2"], 1), ["+5.6.7.1", "-5.6.7.2"]);
    assert_eq!(lines(&["0", "current"], 0), [""; 0]);
    let json = site.on_list("diff", "victim", &["--json"]).expect(1).json();
    assert_eq!(
        (&json["added"][0], &json["removed"][0], &json["kept"]),
        (&"5.6.7.3".into(), &"5.6.7.2".into(), &1.into())
    );
    assert!(site.on_list("diff", "victim", &["held"]).expect(2).stderr.contains("nothing is held"));
    assert_eq!(site.on_list("diff", "victim", &["9"]).code, Some(2));
    assert_eq!(site.on_list("diff", "nobody", &[]).code, Some(2));
    let unknown = run(["history", "nobody", "--config", site.config().to_str().unwrap()]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

/// One line for each fetch, and every snapshot carries what brought its lists.
#[test]
fn where_it_all_comes_from() {
    let site = site();
    site.sync(&["victim"]).expect(0);
    let history = site.on_list("history", "victim", &["--json"]).expect(0).json();
    let lines = history.as_array().unwrap();
    assert_eq!(lines.len(), 4);
    let third = &lines[2];
    let url = site.web.url("/victim");
    assert_eq!(
        (&third["url"], &third["remote"], &third["status"]),
        (&url.clone().into(), &"127.0.0.1".into(), &200.into())
    );
    assert_eq!(
        (&third["received"], &third["decoded"], &third["entries"]),
        (&16.into(), &16.into(), &2.into())
    );
    assert_eq!((&third["added"], &third["removed"], &third["bad_lines"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!((&third["outcome"], &third["by"]), (&"accepted".into(), &"person".into()));
    assert!(third["validators"]["etag"].is_string() && third["milliseconds"].is_u64(), "{third:#}");
    let body = gatepost::model::ContentHash::of(THREE.as_bytes()).to_string();
    assert_eq!((&third["body"], &third["set"]), (&body.into(), &site.first_list()["set"]));
    assert_eq!((&lines[3]["outcome"], &lines[3]["status"]), (&"confirmed".into(), &304.into()));

    let generation: Value = serde_json::from_str(&site.generation()).unwrap();
    let file = generation["zones"]["victim.example"]["file"].as_str().unwrap();
    let path = site.state().join("snapshots").join(file);
    let snapshot = run([OsStr::new("inspect"), OsStr::new("--json"), path.as_os_str()]).expect(0).json();
    let brought = &snapshot["provenance"]["lists"]["victim"]["brought"];
    assert_eq!((&brought["url"], &brought["body"]), (&url.into(), &third["body"]), "{brought:#}");
    let text = run([OsStr::new("inspect"), path.as_os_str()]).expect(0).stdout;
    assert!(text.contains("TAKEN") && text.contains("person"), "{text}");
}

/// A person's command waits for a sync that is running, and says so; whatever that does, what it was given for is done.
#[test]
fn it_waits_for_the_lock() {
    let site = site();
    let history = site.on_list("history", "victim", &["--json"]).expect(0).json();
    let store = Store::open(&site.state()).unwrap();
    let Lock::Taken(writer) = store.lock(Wait::No).unwrap() else { panic!("somebody has the lock") };
    let mut command = gatepost();
    command.args(["rollback", "victim", "--config"]).arg(site.config());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    let path = site.state().join("feeds/victim/status.json");
    let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    status["set"]["hash"] = history[0]["set"].clone();
    fs::write(&path, serde_json::to_vec(&status).unwrap()).unwrap();
    drop(writer);
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < common::program::PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("waits for the sync that is running"), "{said}");
    assert!(site.first_list()["pinned"].is_object());
    let now: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(now["set"]["hash"], history[1]["set"], "the one before what was in service then");
}

/// Run by root, they leave files that the service may replace.
#[test]
fn roots_commands_leave_the_owners_files() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("roots_commands_leave_the_owners_files", "not run by root");
    }
    let site = site();
    site.put("victim", "64.0.0.0/7\n");
    const SOMEBODY: u32 = 65_534;
    let all = |site: &Site| {
        let mut paths: Vec<_> = site.files("").iter().map(|name| site.state().join(name)).collect();
        let folders: Vec<_> =
            paths.iter().filter_map(|path| path.parent().map(|path| path.to_owned())).collect();
        paths.extend(folders);
        paths.push(site.state());
        paths
    };
    for path in all(&site) {
        std::os::unix::fs::chown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }
    site.sync(&["victim"]).expect(1);
    let mut seen = 0;
    let mut check = |what: &str| {
        for path in all(&site) {
            let owner = fs::metadata(&path).unwrap().uid();
            assert_eq!(owner, SOMEBODY, "{what}: {}", path.display());
            seen += 1;
        }
    };
    check("held");
    for (command, more) in
        [("accept", &[][..]), ("rollback", &[][..]), ("unpin", &[][..]), ("pin", &["0"][..])]
    {
        site.on_list(command, "victim", more).expect(0);
        check(command);
    }
    assert!(seen > 40, "{seen}");
}
