//! A disk that is full, sick or read-only under a real sync: what was in service answers on, the trouble is named, the next
//! sync on a sound disk succeeds, and nothing piles up.
#![cfg(feature = "full")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::dns::{A, Over, ask};
use common::program::{Server, gatepost};
use common::site::Site;
use common::{installed, say, skipped};

/// A version for each turn, large enough for several writes.
fn version(turn: u32) -> String {
    (0..3000).map(|n: u32| format!("5.{}.{}.{}\n", turn % 200, n / 250, n % 250)).collect()
}

/// Of these turns those whose version is answered from, each whole: its first and its last entry.
fn served_of(server: &Server, turns: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    let listed = |name: String| !ask(server.dns, Over::Udp, &name, A).a.is_empty();
    turns
        .into_iter()
        .filter(|turn| {
            let ends =
                || [format!("0.0.{turn}.5.z.example"), format!("249.11.{turn}.5.z.example")].map(&listed);
            // Another version may come into service between the two questions, but not twice.
            let found = [ends(), ends()].into_iter().find(|[first, last]| first == last);
            found.unwrap_or_else(|| panic!("half of turn {turn}"))[0]
        })
        .collect()
}

/// The same when a version may be about to come into service: what is answered from when that is settled.
fn settled(server: &Server, turns: impl IntoIterator<Item = u32> + Clone) -> BTreeSet<u32> {
    let now = served_of(server, turns.clone());
    if now.len() == 1 {
        return now;
    }
    thread::sleep(Duration::from_secs(2));
    served_of(server, turns)
}

fn served(server: &Server) -> BTreeSet<u32> {
    served_of(server, 0..10)
}

fn site() -> Site {
    let site = Site::new();
    site.configure(
        &(Site::list("victim", 1, "max-shrink = 1.0\nmax-gone = 1.0\nmax-growth = 99.0\n")
            + &Site::zone("z.example", &["victim"], "")),
    );
    site
}

/// Every call of each kind fails once by itself (EIO), and with all that follow it (a disk that is full from then on).
#[test]
fn each_call_may_fail() {
    let Some(strace) = installed("strace", "strace", "each_call_may_fail") else { return };
    // Not `write`: what wakes a thread is a write as well. A full disk shows what becomes of those.
    let calls = [
        "fsync,fdatasync",
        "rename,renameat,renameat2",
        "openat",
        "ftruncate,fallocate",
        "link,linkat",
        "mkdir,mkdirat",
        "unlink,unlinkat",
        "fchmod,chmod,fchmodat",
    ];
    let faults = AtomicUsize::new(0);
    thread::scope(|scope| {
        for half in [0, 1] {
            let (strace, faults) = (&strace, &faults);
            scope.spawn(move || {
                for error in ["EIO", "ENOSPC+"] {
                    for kind in calls.iter().skip(half).step_by(2) {
                        faults.fetch_add(all_of(strace, kind, error), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let faults = faults.into_inner();
    assert!(faults > 40, "{faults}");
    say(&format!(
        "a sync with {faults} calls that failed, one by one: the last good version answered each time"
    ));
}

/// One sync for each call of this kind (of the many that there are of some, fewer and fewer), until one has no such call; how
/// many there were.
fn all_of(strace: &Path, kind: &str, error: &str) -> usize {
    let site = site();
    let mut turn = 0;
    site.put("victim", version(turn));
    site.sync(&["victim"]).expect(0);
    let server = site.serve();
    assert_eq!(served(&server), BTreeSet::from([0]));
    let mut good = 0;
    let log = site.path("strace");
    let (error, more) = error.split_at(error.trim_end_matches('+').len());
    let (mut number, mut faults) = (0, 0);
    loop {
        number += 1 + number / 6;
        turn += 1;
        site.put("victim", version(turn));
        let mut traced = Command::new(strace);
        let inject = format!("inject={kind}:error={error}:when={number}{more}");
        traced.args(["-f", "-qq", "-e", &format!("trace={kind}"), "-e", &inject, "-o"]).arg(&log);
        let inner = gatepost();
        traced.arg(inner.get_program());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => traced.env(name, value),
                None => traced.env_remove(name),
            };
        }
        traced.args(["sync", "victim", "--config"]).arg(site.config());
        let done = traced.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let calls = fs::read_to_string(&log).unwrap();
        let Some(failed) = calls.lines().find(|line| line.contains("(INJECTED)")) else {
            assert!(done.status.success(), "{kind} {number}: {said}");
            return faults;
        };
        faults += 1;
        let place = format!("{failed}\n{said}");
        // What a sync before this one put into service may come up only now: a server on a busy machine takes its time. Never one
        // that is older than what was answered from before.
        let now = settled(&server, good..=turn);
        assert_eq!(now.len(), 1, "{now:?} of {good} to {turn}: {place}");
        good = now.into_iter().sum();
        if faults % 4 != 0 {
            continue;
        }
        // On a sound disk the next one goes through.
        turn += 1;
        site.put("victim", version(turn));
        let synced = site.sync(&["victim"]);
        assert_eq!(synced.code, Some(0), "{place}\nand then: {synced:?}");
        comes_into_service(&server, turn);
        good = turn;
        nothing_piles_up(&site, &place);
    }
}

fn nothing_piles_up(site: &Site, place: &str) {
    let files = site.files("");
    assert!(!files.iter().any(|name| name.contains(".tmp-")), "{files:?}: {place}");
    let count = |prefix: &str| files.iter().filter(|name| name.starts_with(prefix)).count();
    assert!(count("feeds/victim/body-") <= 2, "{files:?}: {place}");
    assert!(count("snapshots/") <= 4, "{files:?}: {place}");
}

/// A small file system of its own where the store of a site is, gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn of(site: &Site, size: &str, test: &str) -> Option<Self> {
        fs::create_dir_all(site.state()).unwrap();
        let disk = Self(site.state());
        let mounted = disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        if !mounted {
            skipped(test, "cannot mount a small file system here");
        }
        mounted.then_some(disk)
    }

    fn mount(&self, arguments: &[&str]) -> bool {
        let mut mount = Command::new("mount");
        mount.args(arguments).arg(&self.0).stderr(Stdio::null()).status().is_ok_and(|done| done.success())
    }

    /// Octets that are taken.
    fn used(&self) -> u64 {
        let disk = nix::sys::statvfs::statvfs(&self.0).unwrap();
        (disk.blocks() - disk.blocks_free()) * disk.fragment_size()
    }

    fn remount(&self, option: &str) {
        assert!(self.mount(&["-o", &format!("remount,{option}")]), "{option}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A list whose folder is a small file system of its own, and full, fails; the others of the run do not.
#[test]
fn the_full_disk_of_one_list() {
    let site = Site::new();
    site.configure(
        &(Site::list("one", 1, "")
            + &Site::list("two", 2, "")
            + &Site::zone("one.example", &["one"], "")
            + &Site::zone("two.example", &["two"], "")),
    );
    site.put("one", version(1));
    site.put("two", version(1));
    let folder = site.state().join("feeds/one");
    fs::create_dir_all(&folder).unwrap();
    let disk = Disk(folder.clone());
    if !disk.mount(&["-t", "tmpfs", "-o", "size=400k", "tmpfs"]) {
        return skipped("the_full_disk_of_one_list", "cannot mount a small file system here");
    }
    site.sync(&["one", "two"]).expect(0);
    let mut file = fs::File::create(folder.join("filler")).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    site.put("one", version(1) + "6.6.6.6\n");
    site.put("two", version(1) + "6.6.6.6\n");
    let summary = site.sync(&["one", "two"]).expect(1).json();
    let of = |name: &str| {
        let lists = summary["lists"].as_array().unwrap();
        lists.iter().find(|list| list["list"] == name).unwrap_or_else(|| panic!("{summary}")).clone()
    };
    assert_eq!((&of("two")["outcome"], &of("two")["entries"]), (&"accepted".into(), &3001.into()));
    // And of the other one is told what stays.
    assert_eq!((&of("one")["outcome"], &of("one")["entries"]), (&"failed".into(), &3000.into()));
    assert!(of("one")["reasons"][0].as_str().unwrap().contains("No space left on device"), "{summary}");
    drop(file);
    fs::remove_file(folder.join("filler")).unwrap();
    site.sync(&["one", "two"]).expect(0);
}

/// What does not fit is one list's trouble, also where all lie on the same disk: smaller ones go on, and it can be seen afterwards.
#[test]
fn a_list_that_does_not_fit() {
    let site = Site::new();
    let own = |name: &str, code: u8| {
        format!(
            "[list.{name}]\nfile = \"{name}.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.{code}\"\n"
        )
    };
    let zone = |name: &str| Site::zone(&format!("{name}.example"), &[name], "");
    site.configure(&(own("large", 1) + &own("small", 2) + &zone("large") + &zone("small")));
    let write = |name: &str, text: String| fs::write(site.path(&format!("{name}.txt")), text).unwrap();
    write("large", version(1));
    write("small", "192.0.2.1\n".to_owned());
    let Some(disk) = Disk::of(&site, "20m", "a_list_that_does_not_fit") else { return };
    site.sync(&[]).expect(0);
    disk.remount(&format!("size={}", disk.used() + 120_000));
    write(
        "large",
        (0..200_000u32)
            .map(|n| {
                format!("6.{}.{}.7\n", n >> 8 & 255, n & 255)
                    + &format!("{}.{}.9.9\n", 20 + (n >> 8 & 63), n & 255)
            })
            .collect(),
    );
    write("small", "192.0.2.1\n192.0.2.2\n".to_owned());
    let summary = site.sync(&[]).expect(1).json();
    let outcomes: BTreeMap<&str, &str> = summary["lists"]
        .as_array()
        .unwrap()
        .iter()
        .map(|list| (list["list"].as_str().unwrap(), list["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(outcomes, BTreeMap::from([("large", "failed"), ("small", "accepted")]), "{summary}");
    let config = site.config();
    let told = |command: &str, more: &[&str]| {
        let mut asked = gatepost();
        asked.arg(command).args(more).arg("--config").arg(&config);
        let done = asked.output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let (code, status) = told("status", &[]);
    assert!(code == Some(1) && status.contains("No space left on device"), "{code:?} {status}");
    assert!(told("history", &["large"]).1.contains("No space left on device"));
    disk.remount("size=20m");
    site.sync(&[]).expect(0);
    assert_eq!(told("status", &[]).0, Some(0));
}

/// Files of the store with their octets.
fn contents(site: &Site) -> BTreeMap<String, Vec<u8>> {
    let names = site.files("").into_iter().filter(|name| !name.ends_with("lock"));
    names.map(|name| (name.clone(), fs::read(site.state().join(&name)).unwrap())).collect()
}

/// A page more each time, until a new version fits: each write meets the end of the disk once.
#[test]
fn a_full_disk() {
    let site = site();
    let Some(disk) = Disk::of(&site, "20m", "a_full_disk") else { return };
    site.put("victim", version(1));
    site.sync(&["victim"]).expect(0);
    site.put("victim", version(2));
    let server = site.serve();
    let mut full = 0;
    for pages in 0.. {
        let used = disk.used();
        disk.remount(&format!("size={}", used + pages * 4096));
        let done = site.sync(&["victim"]);
        if done.code == Some(0) {
            break;
        }
        full += 1;
        let said = format!("{done:?}");
        assert!(said.contains("No space left on device"), "{pages} pages: {said}");
        let now = settled(&server, [1, 2]);
        assert_eq!(now.len(), 1, "{pages} pages: {now:?}");
        assert!(!site.files("").iter().any(|name| name.contains(".tmp-")), "{pages}: {:?}", site.files(""));
    }
    assert!((5..500).contains(&full), "{full}");
    comes_into_service(&server, 2);
    nothing_piles_up(&site, "a disk with room");
    server.stop();
    say(&format!("a disk that was full at {full} places: the last good version answered each time"));
}

#[track_caller]
fn comes_into_service(server: &Server, turn: u32) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while served_of(server, [turn]).is_empty() {
        assert!(Instant::now() < deadline, "it does not come into service");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The publisher gave the list: that it cannot be kept is not his fault, and the floor holds.
#[test]
fn a_full_disk_does_not_wear_the_publisher_out() {
    let site = Site::new();
    let list = Site::list("victim", 1, "").replace("floor = \"0s\"", "floor = \"1h\"");
    site.configure(&(list + &Site::zone("z.example", &["victim"], "")));
    let Some(_disk) = Disk::of(&site, "300k", "a_full_disk_does_not_wear_the_publisher_out") else { return };
    site.put("victim", (0..30_000).map(|n: u32| format!("6.0.{}.{}\n", n >> 8, n & 255)).collect::<String>());
    assert!(format!("{:?}", site.sync(&["victim"])).contains("No space left on device"));
    for _ in 0..10 {
        site.sync(&["victim"]);
    }
    assert_eq!(site.web.hits("/victim"), 1);
}

#[test]
fn a_disk_that_can_only_be_read() {
    let site = site();
    let Some(disk) = Disk::of(&site, "20m", "a_disk_that_can_only_be_read") else { return };
    site.put("victim", version(1));
    site.sync(&["victim"]).expect(0);
    disk.remount("ro");
    let before = contents(&site);
    let server = site.serve();
    assert_eq!(served(&server), BTreeSet::from([1]));
    let asked = site.web.hits("/victim");
    site.put("victim", version(2));
    let done = site.sync(&["victim"]).expect(3);
    assert!(done.stderr.contains("Read-only file system"), "{done:?}");
    assert_eq!(site.web.hits("/victim"), asked, "nobody is asked for what cannot be kept");
    assert_eq!((served(&server), contents(&site)), (BTreeSet::from([1]), before));
    server.stop();
    disk.remount("rw");
    site.sync(&["victim"]).expect(0);
    let server = site.serve();
    assert_eq!(served(&server), BTreeSet::from([2]));
    nothing_piles_up(&site, "a disk that can be written again");
}
