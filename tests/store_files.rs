//! The store's files: made, kept, pruned, swept, refused; whose they are; what is said when the disk is full.
#![cfg(feature = "full")]

#[path = "common/loud.rs"]
mod loud;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use gatepost::config::Slug;
use gatepost::model::{ContentHash, Name, Value};
use gatepost::set::{Overlap, Set, SetBuilder};
use gatepost::store::{
    Act, Attempt, BuiltZone, By, Dates, Generation, Held, ListStatus, LocalDecision, Lock, Now, Outcome,
    Retention, Sighting, Stamp, Store, StoreError, Validators, Wait, Writer,
};
use gatepost::zone::Ruling;
use loud::skipped;

/// A moment of a machine whose boots cannot be told.
fn at(wall: i64) -> Now {
    Now { clocks: Stamp { wall, boot: None, boottime: 0 }, newest: 0 }
}

fn slug(name: &str) -> Slug {
    name.parse().unwrap()
}

fn writer(store: &Store) -> Writer {
    match store.lock(Wait::No).unwrap() {
        Lock::Taken(writer) => writer,
        Lock::Busy(holder) => panic!("busy: {holder}"),
    }
}

fn set(hosts: &[u32]) -> Set {
    let mut builder = SetBuilder::new(Overlap::Narrowest);
    let value = builder.value(&Value::default());
    hosts.iter().for_each(|&host| builder.host(host, value));
    builder.finish()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_store_is_made_with_all_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/store");
    let store = Store::open(&path).unwrap();
    assert_eq!(names(&path), ["feeds", "snapshots"]);
    assert_eq!(store.generation().unwrap(), None);
    assert_eq!(store.lists().unwrap(), []);
    assert_eq!(store.list(&slug("x")).status().unwrap(), ListStatus::default());
    // Reading makes nothing.
    assert!(!path.join("feeds/x").exists());
    assert_eq!(Store::open(&path).unwrap(), store);
    let error = Store::existing(&folder.path().join("none")).unwrap_err();
    assert!(error.to_string().contains("cannot open the state folder"), "{error}");
}

#[test]
fn something_else_in_its_place_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} is not a folder: it cannot be the state folder", path.display())
    );
    let error = Store::open(&path.join("below")).unwrap_err();
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
}

#[test]
fn one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let first = writer(&store);
    match store.lock(Wait::No).unwrap() {
        Lock::Busy(holder) => assert_eq!(holder, format!("process {}", std::process::id())),
        Lock::Taken(_) => panic!("two writers"),
    }
    let other = store.clone();
    let waiting = std::thread::spawn(move || matches!(other.lock(Wait::Yes).unwrap(), Lock::Taken(_)));
    drop(first);
    assert!(waiting.join().unwrap());
    drop(writer(&store));
}

#[test]
fn what_killed_writers_left_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let list = slug("psbl");
    writer(&store).list(&list).unwrap();
    let left = [".tmp-a", "snapshots/.tmp-b", "feeds/psbl/.tmp-c"].map(|name| folder.path().join(name));
    left.iter().for_each(|path| fs::write(path, "half").unwrap());
    drop(writer(&store));
    assert!(left.iter().all(|path| !path.exists()));
}

#[test]
fn bodies_and_sets() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    for n in 1..=4u8 {
        let mut body = list.body_file().unwrap();
        body.write_all(&[n; 10]).unwrap();
        assert_eq!(list.keep_body(body).unwrap().number, u64::from(n));
    }
    let bodies = list.bodies().unwrap();
    assert_eq!(bodies.iter().map(|body| body.number).collect::<Vec<_>>(), [4, 3]);
    assert_eq!(fs::read(&bodies[0].path).unwrap(), [4; 10]);
    // A body that nobody keeps is gone.
    drop(list.body_file().unwrap());
    assert_eq!(names(list.path()).len(), 2);

    let kept = list.keep_set(&set(&[1, 2, 3])).unwrap();
    assert_eq!(kept.entries, 3);
    assert_eq!(list.set(&kept.hash).unwrap(), set(&[1, 2, 3]));
    assert_eq!(list.keep_set(&set(&[3, 2, 1])).unwrap(), kept);
    assert_eq!(list.sets().unwrap(), [kept.hash]);
    let mode = fs::metadata(list.path().join(format!("set-{}", kept.hash))).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn a_set_under_another_name_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    let (one, two) = (list.keep_set(&set(&[1])).unwrap(), list.keep_set(&set(&[2])).unwrap());
    let path = |hash: ContentHash| list.path().join(format!("set-{hash}"));
    fs::copy(path(one.hash), path(two.hash)).unwrap();
    assert!(matches!(list.set(&two.hash), Err(StoreError::Damaged { .. })));
    // Kept again it is whole again.
    list.keep_set(&set(&[2])).unwrap();
    assert_eq!(list.set(&two.hash).unwrap(), set(&[2]));
    let mut octets = fs::read(path(one.hash)).unwrap();
    octets[6] = 9;
    fs::write(path(one.hash), octets).unwrap();
    let error = list.set(&one.hash).unwrap_err();
    assert!(error.to_string().ends_with("has format version 9, this program reads version 4"), "{error}");
}

#[test]
fn sets_are_pruned_by_age_and_size_but_never_below_three() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    let day = Duration::from_secs(86_400);
    let mut hashes = Vec::new();
    for age in 0..10u32 {
        let kept = list.keep_set(&set(&[age])).unwrap();
        let file = fs::File::options().append(true).open(list.path().join(format!("set-{}", kept.hash)));
        file.unwrap().set_modified(SystemTime::now() - day * age - day / 2).unwrap();
        hashes.push(kept.hash);
    }
    let keep = Retention { age: 7 * day, now: Now::read().clocks.wall, size: 1 << 20 };
    assert_eq!(list.prune_sets(&[hashes[9]], keep).unwrap(), 2);
    assert_eq!(list.sets().unwrap(), [&hashes[..7], &hashes[9..]].concat());
    // Whatever a clock says, few go at once.
    let ahead = Retention { now: keep.now + 365 * 86_400, ..keep };
    assert_eq!(list.prune_sets(&[hashes[9]], ahead).unwrap(), 2);
    assert_eq!(list.sets().unwrap(), [&hashes[..5], &hashes[9..]].concat());
    // A small cap leaves three and what is needed.
    assert_eq!(list.prune_sets(&[hashes[5]], Retention { size: 0, ..keep }).unwrap(), 3);
    assert_eq!(list.sets().unwrap(), &hashes[..3]);
    // A set that is current again is young again.
    list.keep_set(&set(&[5])).unwrap();
    assert_eq!(list.sets().unwrap()[0], hashes[5]);
}

#[test]
fn status_remembers_validators_only_of_what_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    let now = Now::read();
    let tag = |tag: &str| Validators {
        url: "u".to_owned(),
        from: None,
        etag: Some(tag.to_owned()),
        last_modified: None,
    };
    let mut status = ListStatus::default();
    status.attempt(&now);
    status.accepted(list.keep_set(&set(&[1])).unwrap(), Some(tag("a")), Outcome::Accepted, Vec::new(), &now);
    status.attempt(&now);
    status.not_accepted(Outcome::Rejected, vec!["an HTML page".to_owned()], &now);
    list.put_status(&status).unwrap();
    let read = store.list(&slug("psbl")).status().unwrap();
    assert_eq!(read, status);
    assert_eq!((read.attempts, read.failures), (2, 1));
    assert_eq!(read.validators, Some(tag("a")));
    assert_eq!(read.decision.unwrap().reasons, ["an HTML page"]);
    // The same entries in another body: confirmed, not changed.
    let since = status.content_since.clone();
    let mut later = now.clone();
    later.clocks.wall += 60;
    later.clocks.boottime += 60;
    status.accepted(
        list.keep_set(&set(&[1])).unwrap(),
        Some(tag("b")),
        Outcome::Accepted,
        Vec::new(),
        &later,
    );
    assert_eq!(status.content_since, since);
    assert_eq!(status.last_confirmed, Some(later.stamp()));
    status.accepted(list.keep_set(&set(&[2])).unwrap(), None, Outcome::Accepted, Vec::new(), &later);
    assert_eq!(status.content_since, Some(later.stamp()));
}

#[test]
fn a_reader_keeps_the_file_it_opened() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    let mut status = ListStatus { attempts: 1, ..ListStatus::default() };
    list.put_status(&status).unwrap();
    let path = list.path().join("status.json");
    let before = fs::read_to_string(&path).unwrap();
    let mut opened = fs::File::open(&path).unwrap();
    status.attempts = 2;
    list.put_status(&status).unwrap();
    let mut seen = String::new();
    opened.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, before);
    assert_eq!(list.status().unwrap().attempts, 2);
}

#[test]
fn other_versions_and_damage_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    drop(writer(&store).list(&slug("psbl")).unwrap().put_status(&ListStatus::default()));
    let status = folder.path().join("feeds/psbl/status.json");
    let text = fs::read_to_string(&status).unwrap();
    assert!(text.contains("\"version\": 1"), "{text}");
    fs::write(&status, text.replace("\"version\": 1", "\"version\": 0")).unwrap();
    let error = store.list(&slug("psbl")).status().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} has format version 0, this program reads version 1", status.display())
    );
    fs::write(&status, &text[..text.len() / 2]).unwrap();
    assert!(matches!(store.list(&slug("psbl")).status(), Err(StoreError::Damaged { .. })));
    for name in ["generation.json", "terms.json"] {
        fs::write(folder.path().join(name), "{\"version\": 7}").unwrap();
    }
    assert!(matches!(store.generation(), Err(StoreError::Version { found: 7, .. })));
    assert!(matches!(store.terms(), Err(StoreError::Version { found: 7, .. })));
}

#[test]
fn held_bodies_wait_apart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    assert_eq!(list.held().unwrap(), None);
    let mut body = list.body_file().unwrap();
    body.write_all(b"0.0.0.0/0\n").unwrap();
    let held = Held {
        since: Now::read().stamp(),
        seen: 1,
        set: list.keep_set(&set(&[1])).unwrap(),
        reasons: vec!["lists everything".to_owned()],
        fetched: None,
        validators: None,
        use_: None,
        dates: Dates::default(),
        agreeing: Vec::new(),
    };
    list.hold(body, &set(&[1]), &held).unwrap();
    assert_eq!(list.held_set(&held.set.hash).unwrap(), set(&[1]));
    // The next one takes its place; sets of fetches that agree with it stay.
    let first = Sighting { at: held.since.clone(), set: held.set };
    let two = list.keep_set(&set(&[1, 2])).unwrap();
    let next = Held { set: two, agreeing: vec![first], ..held.clone() };
    list.hold(list.body_file().unwrap(), &set(&[1, 2]), &next).unwrap();
    assert!(list.held_set(&held.set.hash).is_ok() && list.held_set(&two.hash).is_ok());
    let mut body = list.body_file().unwrap();
    body.write_all(b"0.0.0.0/0\n").unwrap();
    list.hold(body, &set(&[1]), &held).unwrap();
    assert!(list.held_set(&two.hash).is_err());
    assert_eq!(list.held().unwrap(), Some(held));
    assert_eq!(fs::read(list.held_body()).unwrap(), b"0.0.0.0/0\n");
    assert_eq!(list.bodies().unwrap(), []);
    list.drop_held().unwrap();
    list.drop_held().unwrap();
    assert_eq!(list.held().unwrap(), None);
}

#[test]
fn the_log_is_rotated_and_half_lines_stay_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    let attempt = |reason: &str| Attempt {
        url: Some("https://example.net/".to_owned()),
        status: Some(200),
        received: Some(10),
        milliseconds: Some(5),
        reasons: vec![reason.to_owned()],
        ..Attempt::new(1)
    };
    let path = list.path().join("log.jsonl");
    list.log(&attempt("one")).unwrap();
    fs::File::options().append(true).open(&path).unwrap().write_all(b"{\"wall\":2,\"ur").unwrap();
    list.log(&attempt("two")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(serde_json::from_str::<Attempt>(lines[2]).unwrap(), attempt("two"));
    for n in 0..5 {
        fs::File::options().append(true).open(&path).unwrap().write_all(&vec![b'x'; 1 << 20]).unwrap();
        list.log(&attempt(&n.to_string())).unwrap();
    }
    assert_eq!(names(list.path()), ["log.jsonl", "log.jsonl.1", "log.jsonl.2", "log.jsonl.3"]);
    // One line in each of them can be read; the oldest are gone.
    let known: Vec<Attempt> = list.history();
    assert_eq!(known, ["1", "2", "3", "4"].map(attempt), "{known:#?}");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
}

/// Lines of an earlier version of this program say less, and that stays readable.
#[test]
fn old_lines_of_the_log_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    let line = "{\"wall\":7,\"url\":\"https://example.net/\",\"status\":200,\"received\":10,\"milliseconds\":5,\
                \"entries\":3,\"outcome\":\"accepted\"}\n";
    fs::write(list.path().join("log.jsonl"), line).unwrap();
    list.log(&Attempt { by: By::Person, act: Some(Act::Accept), ..Attempt::new(8) }).unwrap();
    let history = list.history();
    assert_eq!((history.len(), history[0].wall, history[0].entries), (2, 7, Some(3)));
    assert_eq!((history[0].by, history[0].outcome), (By::Timer, Outcome::Accepted));
    assert_eq!((history[1].by, history[1].act), (By::Person, Some(Act::Accept)));
    // What a person decides is no question to the publisher.
    assert_eq!(list.logged().asked, Some(7));
}

/// A snapshot for the tests: its content, twice.
fn put(writer: &Writer, origin: &str, content: &[u8]) -> (Name, BuiltZone) {
    let hash = ContentHash::of(content);
    let file = writer
        .put_snapshot(
            &origin.parse().unwrap(),
            &hash,
            |out| out.write_all(content).and_then(|()| out.write_all(content)),
            |path| match fs::read(path) {
                Ok(there) if there == content.repeat(2) => Ok(()),
                Ok(_) => Err("not twice the same".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        )
        .unwrap();
    (
        origin.parse().unwrap(),
        BuiltZone {
            file,
            content: hash,
            made_from: hash,
            serial: None,
            time: 1_800_000_000,
            until: None,
            base: None,
        },
    )
}

#[test]
fn snapshots_of_three_generations_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let mut last: Option<Generation> = None;
    let mut files = Vec::new();
    for n in 0..5u8 {
        let (origin, built) = put(&writer, "bl.example", &[n]);
        files.push(built.file.clone());
        let zones = BTreeMap::from([(origin, built), put(&writer, "same.example", b"same")]);
        let next = Generation::next(last.as_ref(), zones, i64::from(n)).unwrap();
        writer.publish(&next).unwrap();
        assert_eq!(store.generation().unwrap(), Some(next.clone()));
        last = Some(next);
    }
    let last = last.unwrap();
    assert_eq!(last.number, 5);
    let same: Name = "same.example".parse().unwrap();
    let bl: Name = "bl.example".parse().unwrap();
    assert_eq!((last.zones[&same].serial, last.zones[&same].built), (1_800_000_000, 0));
    assert_eq!((last.zones[&bl].serial, last.zones[&bl].built), (1_800_000_004, 4));
    let mut kept = [&files[2..], std::slice::from_ref(&last.zones[&same].file)].concat();
    kept.sort();
    assert_eq!(names(&folder.path().join("snapshots")), kept);
    let mode = fs::metadata(store.snapshot(&files[4])).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o444);

    // Nothing new is no generation; an old content comes back under a new serial.
    let again = BTreeMap::from([put(&writer, "bl.example", &[4]), put(&writer, "same.example", b"same")]);
    assert_eq!(Generation::next(Some(&last), again, 9), None);
    let back = BTreeMap::from([put(&writer, "bl.example", &[3]), put(&writer, "same.example", b"same")]);
    assert_eq!(Generation::next(Some(&last), back, 9).unwrap().zones[&bl].serial, 1_800_000_005);
}

#[test]
fn what_does_not_read_back_is_not_put_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    let origin = "bl.example".parse().unwrap();
    let hash = ContentHash::of(b"x");
    let refused =
        writer.put_snapshot(&origin, &hash, |out| out.write_all(b"x"), |_| Err("section 3".to_owned()));
    assert!(matches!(refused, Err(StoreError::Unverified { why, .. }) if why == "section 3"));
    assert_eq!(names(&folder.path().join("snapshots")), Vec::<String>::new());
    // A damaged one that is there is replaced, not taken for good; a good one is left alone, it may be mapped.
    let (_, built) = put(&writer, "bl.example", b"abc");
    let path = store.snapshot(&built.file);
    let inode = |path: &PathBuf| fs::metadata(path).unwrap().ino();
    let first = inode(&path);
    put(&writer, "bl.example", b"abc");
    assert_eq!(inode(&path), first);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(&path, b"abcabX").unwrap();
    put(&writer, "bl.example", b"abc");
    assert_eq!(fs::read(&path).unwrap(), b"abcabc");
    // A generation never names what is not there.
    let mut zones = BTreeMap::from([put(&writer, "bl.example", b"abc")]);
    zones.values_mut().for_each(|zone| zone.file.push('x'));
    assert!(writer.publish(&Generation::next(None, zones, 0).unwrap()).is_err());
    assert_eq!(store.generation().unwrap(), None);
}

#[test]
fn terms_that_change_are_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let feed = slug("cins");
    let mut terms = store.terms().unwrap();
    assert!(!terms.has_seen(&feed, "free"));
    terms.saw(&feed, "free", 1);
    writer(&store).put_terms(&terms).unwrap();
    let terms = store.terms().unwrap();
    assert!(terms.has_seen(&feed, "free") && !terms.has_seen(&feed, "free for some"));
}

#[test]
fn the_seed_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let seed = writer(&store).seed().unwrap();
    assert_eq!(writer(&store).seed().unwrap(), seed);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(writer(&Store::open(other.path()).unwrap()).seed().unwrap(), seed);
}

#[test]
fn files_belong_to_the_owner_of_the_store_when_root_writes() {
    if !nix::unistd::geteuid().is_root() {
        skipped(
            "files_belong_to_the_owner_of_the_store_when_root_writes",
            "only root can write for somebody else",
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(4242), Some(4343)).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let writer = writer(&store);
    writer.seed().unwrap();
    let list = writer.list(&slug("psbl")).unwrap();
    list.put_status(&ListStatus::default()).unwrap();
    list.keep_set(&set(&[1])).unwrap();
    list.keep_body(list.body_file().unwrap()).unwrap();
    let zones = BTreeMap::from([put(&writer, "bl.example", b"x")]);
    writer.publish(&Generation::next(None, zones, 0).unwrap()).unwrap();
    let mut folders = vec![folder.path().to_owned()];
    let mut seen = 0;
    while let Some(next) = folders.pop() {
        for name in names(&next) {
            let path = next.join(name);
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.uid(), found.gid()), (4242, 4343), "{}", path.display());
            seen += 1;
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(seen >= 9, "{seen}");
}

/// A small file system of its own, gone when dropped.
struct Disk(PathBuf, #[allow(dead_code)] tempfile::TempDir);

impl Disk {
    fn new(size: &str, test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            skipped(test, "cannot mount a small file system here");
        }
        mounted.then_some(Self(path, folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_what_was_there() {
    let Some(disk) = Disk::new("128k", "a_full_disk_is_named_and_leaves_what_was_there") else { return };
    let store = Store::open(&disk.0).unwrap();
    let writer = writer(&store);
    let list = writer.list(&slug("psbl")).unwrap();
    let mut status = ListStatus::default();
    status.attempt(&Now::read());
    list.put_status(&status).unwrap();
    let many: Vec<u32> = (0..200_000).map(|n: u32| n.wrapping_mul(2_654_435_761)).collect();
    let error = list.keep_set(&set(&many)).unwrap_err();
    assert!(error.is_full(), "{error}");
    let text = error.to_string();
    assert!(text.contains("feeds/psbl/set-") && text.contains("No space left on device"), "{text}");
    assert!(text.ends_with("what is in service stays as it is"), "{text}");
    assert_eq!(names(list.path()), ["status.json"]);
    // Full to the last octet: the status stays what it was.
    let _ = fs::write(disk.0.join("filler"), vec![0; 128 << 10]);
    status.attempt(&Now::read());
    assert!(list.put_status(&status).unwrap_err().is_full());
    assert_eq!(list.status().unwrap().attempts, 1);
    assert_eq!(names(list.path()), ["status.json"]);
}

/// Between taking the lock and saying who has it there is a moment.
#[test]
fn a_busy_store_never_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let busy = || match store.lock(Wait::No).unwrap() {
        Lock::Busy(by) => by,
        Lock::Taken(_) => panic!("taken twice"),
    };
    let _writer = writer(&store);
    assert_eq!(busy(), format!("process {}", std::process::id()));
    fs::write(folder.path().join("lock"), "").unwrap();
    assert_eq!(busy(), "it does not say which");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            fs::write(folder.path().join("lock"), "process 7\n").unwrap();
        });
        assert_eq!(busy(), "process 7");
    });
}

/// The log knows of each decision that is in force, and of no other, wherever the disk became full.
#[test]
fn on_a_full_disk_nothing_is_decided_without_a_trace() {
    let Some(disk) = Disk::new("128k", "on_a_full_disk_nothing_is_decided_without_a_trace") else { return };
    let decision = |n: usize| LocalDecision {
        wall: 1,
        ruling: Ruling::Block,
        what: format!("192.0.{}.{}", n / 250, n % 250).parse().unwrap(),
        zone: None,
        until: None,
        reason: Some("x".repeat(100)),
        by: "alice".to_owned(),
    };
    let mut refused = 0;
    for free in 1..12 {
        let state = disk.0.join("state");
        let store = Store::open(&state).unwrap();
        drop(store.decide().unwrap());
        // Of 32 pages; a folder and an empty file take none.
        fs::write(disk.0.join("filler"), vec![0; (32 - free) << 12]).unwrap();
        let log = || fs::read_to_string(state.join("overlay-log.jsonl")).unwrap_or_default();
        let check = || {
            let made = store.decisions().unwrap();
            assert!(made.damaged.is_empty() && (log().is_empty() || log().ends_with('\n')), "{free} free");
            let lines = |event: &str| log().matches(&format!("\"event\":\"{event}\"")).count();
            assert_eq!(
                made.made.len() + lines("removed") + lines("replaced"),
                lines("decided"),
                "{free} free"
            );
        };
        let error =
            (0..1000).find_map(|n| store.decide().unwrap().put(&[decision(n)], &at(1)).err()).unwrap();
        assert!(error.is_full() && error.to_string().contains("overlay"), "{error}");
        check();
        let all = store.decide().unwrap().remove(|_| true, "alice", 1);
        refused += u32::from(all.is_err());
        check();
        fs::remove_file(disk.0.join("filler")).unwrap();
        store.decide().unwrap().put(&[decision(2000)], &at(1)).unwrap();
        check();
        fs::remove_dir_all(&state).unwrap();
    }
    assert!(refused > 0);
}

#[test]
fn a_read_only_store_can_be_read() {
    let Some(disk) = Disk::new("1m", "a_read_only_store_can_be_read") else { return };
    drop(writer(&Store::open(&disk.0).unwrap()));
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap();
    assert!(remounted.success());
    let store = Store::existing(&disk.0).unwrap();
    assert_eq!(store.generation().unwrap(), None);
    let error = store.lock(Wait::No).unwrap_err().to_string();
    assert!(error.contains("cannot take the lock") && error.ends_with("mounted read-only"), "{error}");
}

/// The service owns the state folder and may be in other hands: what root does there must not reach what a link names.
#[test]
fn root_writes_through_no_link() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("root_writes_through_no_link", "only root can write for somebody else");
    }
    let folder = tempfile::tempdir().unwrap();
    let (state, victim) = (folder.path().join("state"), folder.path().join("victim"));
    let (elsewhere, kept) = (folder.path().join("elsewhere"), folder.path().join("kept"));
    fs::create_dir(&state).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::chown(&state, Some(4242), Some(4343)).unwrap();
    fs::write(&victim, "root's\n").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    let store = Store::open(&state).unwrap();
    let decide = || {
        let what = "192.0.2.1".parse().unwrap();
        let (ruling, by) = (Ruling::Block, "root".to_owned());
        let decision = LocalDecision { wall: 1, ruling, what, zone: None, until: None, reason: None, by };
        store.decide()?.put(&[decision], &at(1)).map(|_| ())
    };
    let sync = || {
        let Lock::Taken(writer) = store.lock(Wait::No)? else { panic!("busy") };
        let list = writer.list(&slug("psbl"))?;
        list.log(&Attempt::new(1))?;
        let held = Held {
            since: Now::read().stamp(),
            seen: 1,
            set: list.keep_set(&set(&[1]))?,
            reasons: Vec::new(),
            fetched: None,
            validators: None,
            use_: None,
            dates: Dates::default(),
            agreeing: Vec::new(),
        };
        list.hold(list.body_file()?, &set(&[1]), &held)
    };
    sync().and_then(|()| decide()).unwrap();
    let said =
        |decides| if decides { decide() } else { sync() }.expect_err("a link was followed").to_string();
    for name in ["lock", "feeds/psbl/log.jsonl", "overlay-lock", "overlay.jsonl", "overlay-log.jsonl"] {
        let (path, decides) = (state.join(name), name.starts_with("overlay"));
        fs::rename(&path, &kept).unwrap();
        let planted = |why: &str| {
            let said = said(decides);
            assert!(said.starts_with(&format!("{} is {why}", path.display())), "{name}: {said}");
            fs::remove_file(&path).unwrap();
        };
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        planted("a link");
        fs::hard_link(&victim, &path).unwrap();
        // Decisions are read before others are added: a line that is none is shown, not written to.
        planted("another name of a file that is not the owner's");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        if name == "overlay.jsonl" {
            fs::remove_file(&path).unwrap();
        } else {
            planted("no plain file");
        }
        let found = fs::metadata(&victim).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o600), "{name}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "root's\n", "{name}");
        fs::rename(&kept, &path).unwrap();
    }
    for name in ["feeds/psbl/held", "feeds/psbl", "feeds", "snapshots"] {
        let path = state.join(name);
        fs::rename(&path, &kept).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let said = said(false);
        assert!(said.starts_with(&format!("{} is a link", path.display())), "{name}: {said}");
        assert_eq!(names(&elsewhere), [""; 0], "{name}");
        fs::remove_file(&path).unwrap();
        fs::rename(&kept, &path).unwrap();
    }
    // What the owner has already may have several names.
    fs::hard_link(state.join("lock"), &kept).unwrap();
    sync().and_then(|()| decide()).unwrap();
}

/// A clock that runs ahead for a while ends decisions for that while, not for good.
#[test]
fn a_clock_that_ran_ahead_takes_no_decision_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let decision = |what: &str, wall, until| LocalDecision {
        wall,
        ruling: Ruling::Allow,
        what: what.parse().unwrap(),
        zone: None,
        until,
        reason: None,
        by: "alice".to_owned(),
    };
    let put = |decisions: &[LocalDecision], wall| {
        store.decide().unwrap().put(decisions, &at(wall)).unwrap();
    };
    put(&[decision("192.0.2.1", 10, Some(100))], 10);
    put(&[decision("192.0.2.2", 9000, None)], 9000);
    store.decide().unwrap().remove(|made| made.what == "192.0.2.2".parse().unwrap(), "alice", 9001).unwrap();
    put(&[decision("192.0.2.3", 20, None)], 20);
    let standing =
        || store.decisions().unwrap().standing(20).map(|made| made.what.to_string()).collect::<Vec<_>>();
    assert_eq!(standing(), ["192.0.2.1", "192.0.2.3"]);
    // Another word about the same, given meanwhile, is the one that counts.
    put(&[decision("192.0.2.1", 9002, Some(9003))], 9002);
    assert_eq!(standing(), ["192.0.2.3", "192.0.2.1"]);
    assert_eq!(store.decisions().unwrap().made.len(), 2);
}

/// They stay in the file, are told of once, and do not pile up.
#[test]
fn decisions_that_are_over_stay_up_to_a_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let put = |addresses: std::ops::Range<u32>, wall, until| {
        let decision = |n: u32| LocalDecision {
            wall,
            ruling: Ruling::Block,
            what: format!("10.0.{}.{}", n / 250, n % 250).parse().unwrap(),
            zone: None,
            until,
            reason: None,
            by: "alice".to_owned(),
        };
        let made: Vec<_> = addresses.map(decision).collect();
        store.decide().unwrap().put(&made, &at(wall)).unwrap();
        let log = fs::read_to_string(folder.path().join("overlay-log.jsonl")).unwrap();
        (store.decisions().unwrap().made.len(), log.matches("\"event\":\"ended\"").count())
    };
    assert_eq!(put(0..1500, 30, Some(40)), (1500, 0));
    // Each new one takes two of them away.
    assert_eq!(put(2000..2001, 50, None), (1499, 1500));
    assert_eq!(put(2001..2200, 60, None), (1300, 1500));
    assert_eq!(put(2200..2450, 70, None), (1450, 1500));
}

/// However many decisions there are, and however often the clock is asked while it is wrong.
#[test]
fn a_clock_that_is_stepped_within_a_boot_takes_no_decision_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let put = |addresses: std::ops::Range<u32>, wall, boottime| {
        let decision = |n: u32| LocalDecision {
            wall,
            ruling: Ruling::Block,
            what: format!("10.0.{}.{}", n / 250, n % 250).parse().unwrap(),
            zone: None,
            until: Some(wall + 7 * 86_400),
            reason: None,
            by: "fail2ban".to_owned(),
        };
        let made: Vec<_> = addresses.map(decision).collect();
        let clocks = Stamp { wall, boot: Some("this boot".to_owned()), boottime };
        store.decide().unwrap().put(&made, &Now { clocks, newest: 0 }).unwrap();
    };
    const T: i64 = 1_800_000_000;
    put(0..1600, T, 100);
    (0..5).for_each(|n| put(2000 + n * 100..2100 + n * 100, T + 365 * 86_400, 200 + u64::from(n)));
    put(3000..3001, T + 10, 300);
    let decisions = store.decisions().unwrap();
    assert_eq!(decisions.standing(T + 10).count(), 2101);
}
