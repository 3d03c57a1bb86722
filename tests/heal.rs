//! One damaged file of the store costs itself and nothing else: the next sync makes it again from what is there, and
//! every other list goes on.
#![cfg(feature = "full")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::dns::{A, NXDOMAIN, Over, SERVFAIL, ask};
use common::hostile::{Act, Hostile, response};
use common::site::Site;

fn site() -> Site {
    let site = Site::new();
    let lists = [Site::list("one", 1, ""), Site::list("two", 2, "")];
    let zones = [Site::zone("one.example", &["one"], ""), Site::zone("all.example", &["one", "two"], "")];
    site.configure(&[lists.concat(), zones.concat()].concat());
    site.put("one", "5.6.7.8\n");
    site.put("two", "9.9.9.9\n");
    site.sync(&[]).expect(0);
    site
}

/// The only file of this kind in the store.
fn file(site: &Site, folder: &str, start: &str) -> PathBuf {
    let mut found = site.files(folder).into_iter().filter(|name| name.starts_with(start));
    let name = found.next().unwrap_or_else(|| panic!("{folder} has no {start}"));
    assert!(found.next().is_none(), "{folder} has several {start}");
    site.state().join(folder).join(name)
}

fn damage(path: &PathBuf) {
    let mut octets = fs::read(path).unwrap();
    // Behind a snapshot's header page, in data of which opening looks at nothing: only the hashes tell.
    let data = octets.iter().enumerate().skip(4096).find(|(_, octet)| **octet != 0);
    let at = data.map_or(octets.len() - 1, |(at, _)| at);
    octets[at] ^= 0x55;
    // Written beside and renamed: the server may have the old one mapped.
    let beside = path.with_extension("test");
    fs::write(&beside, octets).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// Both lists answer in a server that starts now.
fn all_is_well(site: &Site) {
    let server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.one.example", A).a, [[127, 0, 1, 1]]);
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.all.example", A).a, [[127, 0, 1, 1]]);
    assert_eq!(ask(server.dns, Over::Udp, "9.9.9.9.all.example", A).a, [[127, 0, 1, 2]]);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_damaged_snapshot_is_built_again() {
    let site = site();
    damage(&file(&site, "snapshots", "one.example-"));
    let server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.one.example", A).rcode, SERVFAIL, "never a wrong answer");
    drop(server);
    site.sync(&[]).expect(0);
    all_is_well(&site);
}

#[test]
fn a_damaged_status_costs_no_list() {
    let site = site();
    fs::write(site.state().join("feeds/one/status.json"), "{").unwrap();
    site.put("two", "9.9.9.9\n1.2.3.4\n");
    site.sync(&[]).expect(0);
    all_is_well(&site);
}

#[test]
fn a_damaged_set_is_read_again_from_its_body() {
    let site = site();
    damage(&file(&site, "feeds/one", "set-"));
    // Its zone has to be built again, and its server is of no help.
    site.put("two", "9.9.9.9\n1.2.3.4\n");
    site.web.put("/one", common::feed_server::Page::status(503, "later"));
    site.sync(&[]).expect(1);
    all_is_well(&site);
}

#[test]
fn a_set_and_a_body_that_are_gone_are_fetched_again() {
    let site = site();
    fs::remove_file(file(&site, "feeds/one", "set-")).unwrap();
    fs::remove_file(file(&site, "feeds/one", "body-")).unwrap();
    // While its server is of no help its zones stay as they are, though another list of one of them changed.
    site.put("two", "9.9.9.9\n1.2.3.4\n");
    site.web.put("/one", common::feed_server::Page::status(503, "later"));
    let before = site.generation();
    site.sync(&[]).expect(1);
    assert_eq!(site.generation(), before);
    all_is_well(&site);
    site.put("one", "5.6.7.8\n");
    site.sync(&["one"]).expect(0);
    all_is_well(&site);
    assert_ne!(site.generation(), before);
}

/// What is lost with a status makes nothing fresher, and its publisher is not asked sooner for it.
#[test]
fn a_lost_status_renews_no_age_and_forgets_no_floor() {
    let site = Site::new();
    let list = Site::list("one", 1, "floor = \"1h\"\nsoft-age = \"1s\"\nhard-age = \"2s\"\n")
        .replace("floor = \"0s\"\n", "");
    site.configure(&(list + &Site::zone("one.example", &["one"], "")));
    site.put("one", "5.6.7.8\n");
    site.sync(&[]).expect(0);
    std::thread::sleep(std::time::Duration::from_millis(3100));
    let status = site.state().join("feeds/one/status.json");
    let rcode = || {
        let server = site.serve();
        let rcode = ask(server.dns, Over::Udp, "8.7.6.5.one.example", A).rcode;
        assert_eq!(server.stop().0, Some(0));
        rcode
    };
    assert_eq!(rcode(), SERVFAIL, "too old");
    for lose in
        [|path: &PathBuf| fs::write(path, "{").unwrap(), |path: &PathBuf| fs::remove_file(path).unwrap()]
    {
        lose(&status);
        site.sync(&[]).expect(0);
        assert_eq!(rcode(), SERVFAIL, "still too old");
        assert_eq!(site.web.hits("/one"), 1, "within the floor");
        assert!(site.generation().contains("one.example"));
    }
    // Without any trace of when it was confirmed it is too old as well.
    fs::remove_file(&status).unwrap();
    fs::write(site.state().join("feeds/one/log.jsonl"), "nonsense\n").unwrap();
    site.web.put("/one", common::feed_server::Page::status(503, "later"));
    site.sync(&[]).expect(1);
    assert_eq!(rcode(), SERVFAIL);
}

/// A status that is gone takes no list out of service.
#[test]
fn a_missing_status_costs_no_list() {
    let site = site();
    fs::remove_file(site.state().join("feeds/one/status.json")).unwrap();
    site.web.put("/one", common::feed_server::Page::status(503, "later"));
    site.put("two", "9.9.9.9\n1.2.3.4\n");
    site.sync(&[]).expect(1);
    all_is_well(&site);
}

/// A zone that cannot be written is told of and holds no other back.
#[test]
fn one_zone_that_cannot_be_written() {
    let site = site();
    let snapshot = file(&site, "snapshots", "one.example-");
    fs::remove_file(&snapshot).unwrap();
    fs::create_dir(&snapshot).unwrap();
    site.put("two", "9.9.9.9\n1.2.3.4\n");
    site.sync(&[]).expect(3);
    let server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "4.3.2.1.all.example", A).a, [[127, 0, 1, 2]]);
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.one.example", A).rcode, SERVFAIL);
    drop(server);
    fs::remove_dir(&snapshot).unwrap();
    site.sync(&[]).expect(0);
    all_is_well(&site);
}

/// A stored body is read again when the configuration asks for another reading; not when its hash says that it is
/// another one.
#[test]
fn a_damaged_body_is_never_the_list() {
    let site = site();
    let body = file(&site, "feeds/one", "body-");
    fs::remove_file(&body).unwrap();
    fs::write(&body, "7.7.7.7\n").unwrap();
    let lists = [Site::list("one", 1, "notes = true\n"), Site::list("two", 2, "")];
    let zones = [Site::zone("one.example", &["one"], ""), Site::zone("all.example", &["one", "two"], "")];
    site.configure(&[lists.concat(), zones.concat()].concat());
    site.web.put("/one", common::feed_server::Page::status(503, "later"));
    site.sync(&[]).expect(1);
    all_is_well(&site);
    let server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "7.7.7.7.one.example", A).rcode, NXDOMAIN);
    drop(server);
    site.put("one", "5.6.7.8\n");
    site.sync(&["one"]).expect(0);
    all_is_well(&site);
}

/// A generation that names a file that is not there is put right though no answer changes.
#[test]
fn a_generation_with_a_wrong_name_is_made_again() {
    let site = site();
    let snapshot = file(&site, "snapshots", "one.example-");
    let name = snapshot.file_name().unwrap().to_str().unwrap();
    let wrong = site.generation().replace(name, "one.example-000000000000");
    fs::write(site.state().join("generation.json"), wrong).unwrap();
    site.sync(&[]).expect(0);
    all_is_well(&site);
}

#[test]
fn a_cut_generation_is_made_again() {
    let site = site();
    let path = site.state().join("generation.json");
    let text = site.generation();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    site.sync(&[]).expect(0);
    all_is_well(&site);
}

/// Own files are the operator's word, but a page saved in place of one is nobody's.
#[test]
fn an_own_file_without_a_readable_line_changes_nothing() {
    let site = Site::new();
    let list = "[list.own]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.1\"\n";
    site.configure(&(list.to_owned() + &Site::zone("own.example", &["own"], "")));
    let own = site.path("own.txt");
    fs::write(&own, "5.6.7.8\n").unwrap();
    site.sync(&[]).expect(0);
    fs::write(&own, "<html>oops</html>\n").unwrap();
    let said = site.sync(&[]).expect(1).json();
    assert!(
        said["lists"][0]["reasons"][0].as_str().unwrap().contains("none of its lines can be read"),
        "{said}"
    );
    let server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.own.example", A).a, [[127, 0, 1, 1]]);
    assert_eq!(server.stop().0, Some(0));
    // Emptied on purpose is emptied.
    fs::write(&own, "# nobody\n").unwrap();
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.own.example", A).rcode, NXDOMAIN);
    assert_eq!(server.stop().0, Some(0));
}

/// Whatever stands in the place of a list's files, or keeps them from being read: its zones answer as before, its trouble is
/// named, and the other list is fetched.
#[test]
fn what_cannot_be_read_of_one_list_costs_no_other() {
    let link = |path: &Path| std::os::unix::fs::symlink("/nonexistent", path).unwrap();
    type Plant<'a> = &'a dyn Fn(&Path);
    let plants: [(&str, &str, Plant<'_>); 4] = [
        ("a folder", "status.json", &|path| fs::create_dir(path).unwrap()),
        ("another version", "status.json", &|path| fs::write(path, "{\"version\":99}").unwrap()),
        ("a file", "", &|path| fs::write(path, "").unwrap()),
        ("a link to nothing", "", &link),
    ];
    for (what, name, plant) in plants {
        let site = site();
        let before = site.generation();
        let path = site.state().join("feeds/one").join(name);
        let path = path.components().as_path();
        fs::rename(path, site.path("aside")).unwrap();
        plant(path);
        site.put("two", "9.9.9.9\n1.2.3.4\n");
        let done = site.sync(&[]).expect(1);
        let lists = done.json()["lists"].clone();
        let of =
            |name: &str| lists.as_array().unwrap().iter().find(|list| list["list"] == name).unwrap().clone();
        assert_eq!(
            (&of("one")["outcome"], &of("two")["outcome"]),
            (&"failed".into(), &"accepted".into()),
            "{what}"
        );
        assert!(of("one")["reasons"].to_string().contains("feeds/one"), "{what}: {lists}");
        assert_eq!(site.generation(), before, "{what}");
        let status = site.on_list("status", "--json", &[]).expect(1);
        assert!(status.stdout.contains("feeds/one"), "{what}: {status:?}");
        site.on_list("lookup", "9.9.9.9", &[]).expect(1);
        all_is_well(&site);
        if path.is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        fs::rename(site.path("aside"), path).unwrap();
        site.sync(&[]).expect(0);
        assert_ne!(site.generation(), before, "{what}");
        all_is_well(&site);
    }
}

/// A log that cannot be written is trouble of its list; what is told of it is what is in service.
#[test]
fn trouble_in_the_folder_of_a_list_that_has_a_version() {
    let site = site();
    site.sync(&[]).expect(0);
    let log = site.state().join("feeds/one/log.jsonl");
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    site.put("one", "5.6.7.8\n9.9.9.10\n");
    let config = site.config();
    let ended = common::program::run(["sync", "one", "--config", config.to_str().unwrap()]).expect(1);
    assert!(ended.stderr.contains("log.jsonl"), "{ended:?}");
    assert!(ended.stderr.contains("the last good version stays (2 entries)"), "{ended:?}");
    assert!(!ended.stderr.contains("there is no earlier version"), "{ended:?}");
}

/// Generations that follow each other faster than a server looks take files with them that nobody needs any more.
#[test]
fn many_generations_at_once_are_no_trouble() {
    let site = site();
    site.sync(&[]).expect(0);
    let server = site.serve();
    for turn in 0..40 {
        site.put("one", format!("5.6.7.8\n5.6.8.{turn}\n"));
        site.sync(&["one"]).expect(0);
    }
    let (code, said) = server.stop();
    assert_eq!(code, Some(0));
    assert!(!said.contains("its file is gone"), "{said}");
}

/// A status that is lost costs neither the date of the version in service, nor its end mark, nor what waits.
#[test]
fn guards_outlive_the_status() {
    let hostile = Hostile::start();
    let site = Site::new();
    site.configure(&format!(
        "[list.one]\nurl = \"http://{}/list\"\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"0s\"\n",
        hostile.address
    ));
    let outcome = |code| site.sync(&["one"]).expect(code).json()["lists"][0]["outcome"].clone();
    let says = |day: u32, body: &str| {
        let head = format!("200 OK\nETag: \"{day}\"\nLast-Modified: Sat, {day:02} Nov 2025 10:00:00 GMT");
        hostile.does(Act::Say(response(&head, body.as_bytes())));
    };
    says(15, "5.6.7.8\n5.6.7.9\n# END 2 entries\n");
    assert_eq!(outcome(0), "accepted");
    let confirmed = site.first_list()["confirmed"]["at"].clone();
    let path = site.state().join("feeds/one/status.json");
    let lose = |damaged: bool| {
        if damaged { fs::write(&path, "{") } else { fs::remove_file(&path) }.unwrap();
    };
    for damaged in [false, true, false] {
        lose(damaged);
        hostile.asked();
        says(8, "5.6.7.8\n5.6.7.10\n# END 2 entries\n");
        assert_eq!(outcome(0), "stale");
        assert!(!hostile.asked().concat().contains("if-"), "what there is, whatever it is");
        lose(damaged);
        says(22, "5.6.7.8\n");
        assert_eq!(outcome(1), "held");
        let list = site.first_list();
        assert_eq!(list["confirmed"]["at"], confirmed);
        lose(damaged);
        let lost = site.first_list();
        assert!(lost["held"].is_object(), "{lost:#}");
        for field in ["held", "reasons", "problem", "set"] {
            assert_eq!(lost[field], list[field], "{field}");
        }
    }
    // The stored body is read again for what nobody else knows of it, and what waits waits on.
    site.on_list("accept", "one", &[]).expect(0);
    lose(false);
    says(15, "5.6.7.9\n");
    assert_eq!(outcome(0), "stale");
    assert_eq!(site.first_list()["entries"], 1);
}
