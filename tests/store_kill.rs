//! A writer killed by SIGKILL at each named step: the store stays whole and nothing piles up.
//!
//! The writer is this test program itself, started again for one test. It stops itself at the step (a returned error
//! would not do: no code of ours may run after the kill).
#![cfg(all(feature = "full", debug_assertions))]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use gatepost::config::Slug;
use gatepost::model::{ContentHash, Value};
use gatepost::set::{Overlap, Set, SetBuilder, Version, codec};
use gatepost::store::{
    Attempt, BuiltZone, Dates, Generation, Held, ListStatus, Lock, Now, Outcome, Retention, Store, Wait,
    Writer, killpoint,
};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

const STORE: &str = "GATEPOST_TEST_STORE";
const ROUND: &str = "GATEPOST_TEST_ROUND";

fn slug() -> Slug {
    "psbl".parse().unwrap()
}

fn set(round: u32) -> Set {
    let mut builder = SetBuilder::new(Overlap::Narrowest);
    let value = builder.value(&Value::default());
    (0..1000).for_each(|host| builder.host(host * 7 + round, value));
    builder.finish()
}

fn writer(store: &Store) -> Writer {
    match store.lock(Wait::No).unwrap() {
        Lock::Taken(writer) => writer,
        Lock::Busy(holder) => panic!("busy: {holder}"),
    }
}

fn verify(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    if text.ends_with("end\n") { Ok(()) } else { Err("cut".to_owned()) }
}

/// What a sync writes, in its order.
fn sync(store: &Store, round: u32) {
    let writer = writer(store);
    writer.seed().unwrap();
    let mut terms = store.terms().unwrap();
    terms.saw(&slug(), &round.to_string(), 0);
    writer.put_terms(&terms).unwrap();

    let list = writer.list(&slug()).unwrap();
    let now = Now::read();
    let mut status = list.status().unwrap();
    status.attempt(&now);
    let mut body = list.body_file().unwrap();
    body.write_all(round.to_string().as_bytes()).unwrap();
    list.keep_body(body).unwrap();
    let content = set(round);
    let set = list.keep_set(&content).unwrap();
    let version = |set: ContentHash, time| Version { time, set, at_least: false };
    let before = status.set.map(|set| (list.set(&set.hash).unwrap(), version(set.hash, now.clocks.wall - 1)));
    let before = before.as_ref().map(|(set, version)| (set, version));
    let keep = Retention { age: std::time::Duration::from_secs(86_400), now: now.clocks.wall, size: 4096 };
    list.keep_change(before, (&content, &version(set.hash, now.clocks.wall)), keep).unwrap();
    status.accepted(set, None, Outcome::Accepted, Vec::new(), &now);
    list.put_status(&status).unwrap();
    let attempt = Attempt {
        set: Some(set.hash),
        entries: Some(set.entries),
        outcome: Outcome::Accepted,
        ..Attempt::new(now.clocks.wall)
    };
    list.log(&attempt).unwrap();
    list.drop_held().unwrap();
    let held = Held {
        since: now.stamp(),
        seen: round,
        set,
        reasons: Vec::new(),
        fetched: None,
        validators: None,
        use_: None,
        dates: Dates::default(),
        agreeing: Vec::new(),
    };
    list.hold(list.body_file().unwrap(), &self::set(round), &held).unwrap();
    list.prune_sets(&[set.hash], Retention { age: std::time::Duration::ZERO, size: 0, ..keep }).unwrap();
    list.prune_deltas(Retention { size: 400, ..keep }).unwrap();

    let content = ContentHash::of(&round.to_le_bytes());
    let origin = "bl.example".parse().unwrap();
    let fill = |out: &mut std::io::BufWriter<&fs::File>| write!(out, "{round}\nend\n");
    let file = writer.put_snapshot(&origin, &content, fill, verify).unwrap();
    let built = BuiltZone {
        file,
        content,
        made_from: content,
        serial: None,
        time: 1_800_000_000,
        until: None,
        base: None,
    };
    let last = store.generation().unwrap();
    let next = Generation::next(last.as_ref(), BTreeMap::from([(origin, built)]), now.clocks.wall);
    if let Some(next) = next {
        writer.publish(&next).unwrap();
    }
}

/// The child: does nothing when it is run as an ordinary test.
#[test]
fn child() {
    let (Ok(path), Ok(round)) = (std::env::var(STORE), std::env::var(ROUND)) else { return };
    sync(&Store::open(Path::new(&path)).unwrap(), round.parse().unwrap());
}

/// Everything there is can be read, belongs together, and is either of `old` or of `new`.
fn check(store: &Store, rounds: &[u32], at: &str) {
    let status: ListStatus = store.list(&slug()).status().unwrap();
    let hash = status.set.unwrap_or_else(|| panic!("{at}: the status lost its set")).hash;
    let there = store.list(&slug()).set(&hash).unwrap();
    assert!(rounds.iter().any(|&round| there == set(round)), "{at}: a set of neither round");
    remembers(store, &hash, &there, rounds, at);
    for body in store.list(&slug()).bodies().unwrap() {
        let text = fs::read_to_string(&body.path).unwrap();
        assert!(text.parse::<u32>().is_ok(), "{at}: half a body: {text:?}");
    }
    store.list(&slug()).held().unwrap();
    store.terms().unwrap();
    let generation = store.generation().unwrap().unwrap_or_else(|| panic!("{at}: no generation"));
    for zone in generation.zones.values() {
        verify(&store.snapshot(&zone.file)).unwrap_or_else(|why| panic!("{at}: {why}"));
    }
    let round = fs::read_to_string(store.snapshot(&generation.zones.values().next().unwrap().file)).unwrap();
    let round: u32 = round.lines().next().unwrap().parse().unwrap();
    assert!(rounds.contains(&round), "{at}: a snapshot of neither round");
}

/// What is known of how the list came to be what it is holds for the set that the status names: only sets that were
/// there, the current one last, and since when each of its entries is there.
fn remembers(store: &Store, hash: &ContentHash, current: &Set, rounds: &[u32], at: &str) {
    let list = store.list(&slug());
    let mut last = None;
    let visit = |version: &Version, _: Option<&Set>, now: &Set| {
        assert_eq!(codec::hash(now), version.set, "{at}");
        assert!((0..200).any(|round| *now == set(round)), "{at}: a set that never was");
        last = Some(version.set);
    };
    list.deltas().replay(hash, Some(0), visit).unwrap();
    assert_eq!(last.as_ref(), Some(hash), "{at}: the way does not lead to the set of {rounds:?}");
    let since = list.deltas().since(hash, current, None).unwrap_or_else(|| panic!("{at}: since when?"));
    assert!((0..current.rows()).all(|row| since.of(row..row + 1).is_some()), "{at}");
}

#[test]
fn killed_at_each_step() {
    let mut reached = 0;
    for (index, point) in killpoint::names().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        // The seed is written once only, so its steps need a store without one; the others one with a past.
        let first = point.starts_with("seed-");
        if !first {
            (0..3).for_each(|round| sync(&store, round));
        }
        let round = 10 + index as u32;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(STORE, folder.path())
            .env(ROUND, round.to_string())
            .env("GATEPOST_STOP_AT", &point)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        match waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap() {
            WaitStatus::Stopped(..) => {}
            other => panic!("{point} was never reached: {other:?}"),
        }
        // While it stands there it holds the lock; readers need none.
        assert!(matches!(store.lock(Wait::No).unwrap(), Lock::Busy(_)), "{point}: no lock");
        if !first {
            check(&store, &[2, round], &point);
        }
        kill(pid, Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        reached += 1;

        // The kernel took the lock back; what was there is still there; the next one sweeps and goes on.
        if !first {
            check(&store, &[2, round], &point);
        }
        sync(&store, 99);
        check(&store, &[99], &point);
        let mut left = Vec::new();
        let mut folders = vec![folder.path().to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                left.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
        assert!(!left.iter().any(|name| name.starts_with(".tmp-")), "{point}: {left:?}");
        let count = |prefix: &str| left.iter().filter(|name| name.starts_with(prefix)).count();
        assert!(count("since-") <= 2 && count("anchor-") <= 3, "{point}: {left:?}");
        // Three sets, and that of what is held.
        assert!(count("body-") <= 2 && count("set-") <= 4 && count("bl.example-") <= 3, "{point}: {left:?}");
    }
    assert_eq!(reached, 65);
}
