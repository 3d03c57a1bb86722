//! Versions of a list, one after the other: each is rebuilt exactly from the one before it, deltas are small, since when
//! an entry is there survives what happens to files, and no damage ever gives a set that was not there.
#![cfg(feature = "full")]

#[path = "common/loud.rs"]
mod loud;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use gatepost::config::Slug;
use gatepost::model::{ContentHash, Span, Template, Value};
use gatepost::parse::{Format, Options, parse};
use gatepost::set::delta::{apply, encode};
use gatepost::set::{Key, Overlap, Set, SetBuilder, Since, Version, codec};
use gatepost::store::{ListDir, Lock, Now, Retention, Store, Wait, Writer};
use loud::say;

const FOREVER: Retention = Retention { age: Duration::from_secs(1 << 40), now: 0, size: u64::MAX };

/// A delta of a list of single IPv4 addresses takes no more than this share of what any could do without knowing how
/// lists cluster, ...
const MOST: f64 = 1.15;
/// ... and so many octets besides, ...
const BESIDES: f64 = 300.0;
/// ... when there are so many edits.
const EDITS: u64 = 1000;

/// A store with one list.
struct Place {
    _folder: tempfile::TempDir,
    writer: Writer,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let Lock::Taken(writer) = store.lock(Wait::No).unwrap() else { panic!("busy") };
        Self { _folder: folder, writer }
    }

    fn name() -> Slug {
        "list".parse().unwrap()
    }

    fn list(&self) -> ListDir {
        self.writer.store().list(&Self::name())
    }

    fn folder(&self) -> PathBuf {
        self.list().path().join("deltas")
    }

    /// The list becomes `new`, at `time`.
    fn take(&self, before: Option<(&Set, i64)>, new: &Set, time: i64) {
        let keeper = self.writer.list(&Self::name()).unwrap();
        let before = before.map(|(set, time)| (set, version(set, time)));
        let before = before.as_ref().map(|(set, version)| (*set, version));
        keeper.keep_change(before, (new, &version(new, time)), FOREVER).unwrap();
    }

    fn take_all(&self, sets: &[Set], times: &[i64]) {
        for at in 0..sets.len() {
            let before = at.checked_sub(1).map(|before| (&sets[before], times[before]));
            self.take(before, &sets[at], times[at]);
        }
    }

    fn prune(&self, keep: Retention) -> usize {
        self.writer.list(&Self::name()).unwrap().prune_deltas(keep).unwrap()
    }

    /// Files whose names begin so.
    fn files(&self, kind: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
        let is_of = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(kind);
        let mut files: Vec<PathBuf> = entries.filter(is_of).collect();
        files.sort();
        files
    }

    fn since(&self, set: &Set) -> Since {
        self.list().deltas().since(&codec::hash(set), set, None).expect("known since when")
    }

    /// Everything that is known on the way to `set`: times, whether the version before is known, sets.
    fn replay(&self, set: &Set) -> Vec<(i64, bool, Set)> {
        let mut versions = Vec::new();
        let visit = |version: &Version, before: Option<&Set>, now: &Set| {
            assert_eq!(codec::hash(now), version.set);
            assert_eq!(version.at_least, before.is_none());
            versions.push((version.time, before.is_some(), now.clone()));
        };
        self.list().deltas().replay(&codec::hash(set), None, visit).unwrap();
        versions
    }
}

fn version(set: &Set, time: i64) -> Version {
    Version { time, set: codec::hash(set), at_least: false }
}

fn hosts(hosts: impl IntoIterator<Item = u32>) -> Set {
    let mut builder = SetBuilder::new(Overlap::Narrowest);
    let value = builder.value(&Value::default());
    hosts.into_iter().for_each(|host| builder.host(host, value));
    builder.finish()
}

/// Since when `host` is there, and whether it may be longer.
fn since_when(since: &Since, set: &Set, host: u32) -> Option<(i64, bool)> {
    let version = since.of(set.rows_of(&Key::V4(Span::host(host), false)))?;
    Some((version.time, version.at_least))
}

#[test]
fn a_version_that_comes_back() {
    let place = Place::new();
    let (a, b) = (hosts([1, 2, 3]), hosts([1, 3, 4]));
    place.take_all(&[a.clone(), b.clone(), a.clone(), b.clone(), a.clone()], &[10, 20, 30, 40, 50]);
    let told = place.replay(&a);
    let times: Vec<(i64, bool)> = told.iter().map(|(time, follows, _)| (*time, *follows)).collect();
    assert_eq!(times, [(10, false), (20, true), (30, true), (40, true), (50, true)]);
    assert!(told.iter().map(|(.., set)| set).eq([&a, &b, &a, &b, &a]));
    let since = place.since(&a);
    assert_eq!(since_when(&since, &a, 1), Some((10, true)));
    assert_eq!(since_when(&since, &a, 2), Some((50, false)));
    assert_eq!(since_when(&since, &a, 4), None);
    // The same again changes nothing.
    place.take(Some((&a, 50)), &a, 60);
    assert_eq!((place.files("delta-").len(), place.files("anchor-").len()), (4, 1));
    assert_eq!(place.since(&a), since);
}

/// Whatever happened to the file: it is made again from the deltas, and says the same.
#[test]
fn since_when_is_made_again() {
    let place = Place::new();
    let sets: Vec<Set> = (0..6u32).map(|n| hosts((0..50).filter(|host| host % 6 != n))).collect();
    place.take_all(&sets, &[10, 20, 30, 40, 50, 60]);
    let last = &sets[5];
    let whole = place.since(last);
    for host in [0, 1, 2, 3, 4] {
        // It was gone in the version that is called after it.
        let expected = (i64::from(host) * 10 + 20, false);
        assert_eq!(since_when(&whole, last, host), Some(expected), "{host}");
    }
    let path = place.folder().join(format!("since-{}", codec::hash(last)));
    let octets = fs::read(&path).unwrap();
    for at in 0..octets.len() {
        let mut damaged = octets.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        assert_eq!(place.since(last), whole, "octet {at}");
    }
    let delta = fs::read(&place.files("delta-")[0]).unwrap();
    let others: [&[u8]; 3] = [b"", b"since", &delta];
    for other in others {
        fs::write(&path, other).unwrap();
        assert_eq!(place.since(last), whole);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(place.since(last), whole);
    // And the next version goes on from there.
    let next = hosts(0..60);
    place.take(Some((last, 60)), &next, 70);
    let since = place.since(&next);
    assert_eq!(since_when(&since, &next, 0), Some((20, false)));
    assert_eq!(since_when(&since, &next, 55), Some((70, false)));
}

/// A damaged delta costs what it says: the versions that lie behind it come back with the next set that is there whole.
#[test]
fn a_damaged_delta() {
    let sets: Vec<Set> =
        (0..5u32).map(|n| hosts((n * 10..n * 10 + 300).filter(|host| host % 7 != n))).collect();
    let times = [10, 20, 30, 40, 50];
    let place = Place::new();
    place.take_all(&sets, &times);
    let whole = place.replay(&sets[4]);
    assert!(whole.iter().map(|(.., set)| set).eq(&sets));
    let since = place.since(&sets[4]);
    let path = place.files("delta-")[1].clone();
    let octets = fs::read(&path).unwrap();
    for at in (0..octets.len()).chain([usize::MAX]) {
        let mut damaged = octets.clone();
        match damaged.get_mut(at) {
            Some(octet) => *octet ^= 0x81,
            None => damaged.truncate(octets.len() / 2),
        }
        fs::write(&path, damaged).unwrap();
        let told = place.replay(&sets[4]);
        for (time, _, set) in &told {
            let version = times.iter().position(|known| known == time).unwrap();
            assert_eq!(*set, sets[version], "octet {at}");
        }
        // What lies before it is known.
        assert_eq!(told[..2], whole[..2], "octet {at}");
        // What is there now was written down beside it.
        assert_eq!(place.since(&sets[4]), since);
    }
    // What the first one leads from is there whole as well, and was there until then.
    fs::write(&path, &octets).unwrap();
    let first = place.files("delta-")[0].clone();
    let intact = fs::read(&first).unwrap();
    fs::write(&first, &intact[..intact.len() / 2]).unwrap();
    let told = place.replay(&sets[4]);
    assert_eq!((told[0].0, &told[0].2), (19, &sets[0]));
    fs::write(&first, &intact).unwrap();
    fs::write(&path, &octets[..octets.len() / 2]).unwrap();
    // A set that is there whole is known again, and all that follows it.
    place.writer.list(&Place::name()).unwrap().keep_set(&sets[3]).unwrap();
    let told: Vec<(i64, bool)> = place.replay(&sets[4]).iter().map(|told| (told.0, told.1)).collect();
    assert_eq!(told, [(10, false), (20, true), (40, false), (50, true)]);
    // The same when it is gone.
    fs::remove_file(&path).unwrap();
    let told: Vec<(i64, bool)> = place.replay(&sets[4]).iter().map(|told| (told.0, told.1)).collect();
    assert_eq!(told, [(10, false), (20, true), (40, false), (50, true)]);
}

/// A sync that was killed between the delta and the status leaves a delta that leads nowhere.
#[test]
fn a_version_that_was_never_in_service() {
    let place = Place::new();
    let (a, never, b, c) = (hosts([1, 2]), hosts([2, 9]), hosts([1, 5]), hosts([1, 5, 6]));
    place.take_all(&[a.clone(), never], &[10, 20]);
    place.take(Some((&a, 10)), &b, 30);
    place.take(Some((&b, 30)), &c, 40);
    assert!(place.replay(&c).iter().map(|(.., set)| set).eq([&a, &b, &c]));
    let since = place.since(&c);
    let found = [1, 5, 6].map(|host| since_when(&since, &c, host).unwrap());
    assert_eq!(found, [(10, true), (30, false), (40, false)]);
    assert_eq!(place.files("since-").len(), 2);
}

#[test]
fn what_is_too_old_is_forgotten() {
    let day = 86_400;
    let now = Now::read().clocks.wall;
    let sets: Vec<Set> = (0..10u32).map(|n| hosts(n * 5..n * 5 + 500)).collect();
    let times: Vec<i64> = (0..10).map(|n| now - (100 - n * 10) * day + 1000).collect();
    let place = Place::new();
    place.take_all(&sets, &times);
    let keep = |days: i64, size| Retention { age: Duration::from_secs((days * day) as u64), now, size };
    assert_eq!(place.prune(keep(200, u64::MAX)), 0);
    let since = place.since(&sets[9]);
    // Deltas of 90, 80, 70 and 60 days ago.
    assert_eq!([place.prune(keep(55, u64::MAX)), place.prune(keep(55, u64::MAX))], [2, 2], "few at once");
    assert_eq!(place.prune(keep(55, u64::MAX)), 0);
    assert_eq!((place.files("delta-").len(), place.files("anchor-").len()), (5, 1));
    let told = place.replay(&sets[9]);
    assert!(told.iter().map(|(.., set)| set).eq(&sets[4..]));
    assert_eq!((told[0].0, told[0].1), (times[4], false));
    // What was written down knows more than the deltas do ...
    assert_eq!(place.since(&sets[9]), since);
    assert_eq!(since_when(&since, &sets[9], 500), Some((times[1], false)));
    // ... and when it is lost, what is older than the first version that is known is so old at least.
    place.files("since-").iter().for_each(|path| fs::remove_file(path).unwrap());
    let since = place.since(&sets[9]);
    assert_eq!(since_when(&since, &sets[9], 500), Some((times[4], true)));
    assert_eq!(since_when(&since, &sets[9], 540), Some((times[9], false)));
    // By size: the newest that fit.
    let sizes: Vec<u64> =
        place.files("delta-").iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    assert_eq!(place.prune(keep(1000, sizes[3] + sizes[4])), 3);
    assert!(place.replay(&sets[9]).iter().map(|(.., set)| set).eq(&sets[7..]));
    // Nothing at all.
    assert_eq!(place.prune(keep(0, u64::MAX)), 2);
    assert!(place.files("delta-").is_empty() && place.files("anchor-").is_empty());
    assert!(place.replay(&sets[9]).is_empty());
}

/// With nothing to be kept no delta is written; since when entries are there is.
#[test]
fn nothing_is_to_be_kept() {
    let place = Place::new();
    let (a, b) = (hosts([1, 2]), hosts([2, 3]));
    let keeper = place.writer.list(&Place::name()).unwrap();
    let keep = Retention { age: Duration::ZERO, now: 0, size: u64::MAX };
    keeper.keep_change(None, (&a, &version(&a, 10)), keep).unwrap();
    keeper.keep_change(Some((&a, &version(&a, 10))), (&b, &version(&b, 20)), keep).unwrap();
    assert!(place.files("delta-").is_empty() && place.files("anchor-").is_empty());
    let since = place.since(&b);
    assert_eq!(since_when(&since, &b, 2), Some((10, true)));
    assert_eq!(since_when(&since, &b, 3), Some((20, false)));
}

/// Made-up versions, 3 % of the entries replaced each time: uniform addresses, where nothing can be had below the floor,
/// and clustered ones.
#[test]
fn made_up_versions() {
    let mut random = Random(1);
    for (what, clustered) in [("made up, uniform", false), ("made up, clustered", true)] {
        let mut addresses: Vec<u32> = Vec::new();
        let draw = |random: &mut Random, so_far: &[u32]| match clustered
            && !so_far.is_empty()
            && random.below(10) < 7
        {
            true => so_far[random.below(so_far.len())] & !0xff | random.below(256) as u32,
            false => random.next() as u32,
        };
        for _ in 0..40_000 {
            let address = draw(&mut random, &addresses);
            addresses.push(address);
        }
        let mut sets = vec![hosts(addresses.iter().copied())];
        for _ in 0..4 {
            for _ in 0..1200 {
                let at = random.below(addresses.len());
                addresses.swap_remove(at);
                let address = draw(&mut random, &addresses);
                addresses.push(address);
            }
            sets.push(hosts(addresses.iter().copied()));
        }
        let mut table = Table::default();
        table.measure(what, &sets, true);
        table.show();
    }
}

/// Of every feed of which there are versions of different times. (Mixed lists: their single addresses once more alone.)
const REAL: [(&str, Format); 11] = [
    ("bitwire-outbound/outbound", Format::Plain),
    ("psbl/psbl-sorted", Format::Plain),
    ("threatfox/ips", Format::Plain),
    ("tor/tor-exit-nodes", Format::Plain),
    ("urlhaus-filter/urlhaus-filter-domains", Format::Names),
    ("disposable/disposable_email_blocklist", Format::Names),
    ("dshield/block", Format::Dshield),
    ("spamhaus-drop-txt/drop", Format::Drop),
    ("spamhaus-drop-json/drop_v4", Format::DropJson),
    ("spamhaus-drop-v6/dropv6", Format::Drop),
    ("x4b/vpn-ipv4", Format::Plain),
];

#[test]
fn real_versions() {
    let Some(folder) = loud::feeds("real_versions") else { return };
    let mut table = Table::default();
    for (feed, format) in REAL {
        let files = versions(&folder, feed);
        let sets: Vec<Set> = files.iter().map(|path| read(path, format)).collect();
        if sets.len() < 2 {
            continue;
        }
        table.measure(feed, &sets, sets.iter().all(is_plain_hosts));
        let alone: Vec<Set> = sets.iter().map(hosts_alone).collect();
        if alone != sets && alone.iter().any(|set| !set.is_empty()) {
            table.measure(&format!("{feed}, single"), &alone, true);
        }
    }
    table.show();
    assert!(table.rows.len() > 20, "versions are missing in {}", folder.display());
    assert!(table.held_to_the_floor >= 4, "pairs with {EDITS} edits are missing");
}

fn versions(folder: &Path, feed: &str) -> Vec<PathBuf> {
    let (folder, start) = (folder.join(feed).parent().unwrap().to_owned(), feed.split_once('/').unwrap().1);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .strip_prefix(start)
            .is_some_and(|rest| rest.starts_with('.'))
    });
    files.sort();
    files
}

fn read(path: &Path, format: Format) -> Set {
    let octets = fs::read(path).unwrap();
    let mut text = Vec::new();
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => MultiGzDecoder::new(&octets[..]).read_to_end(&mut text).map(|_| ()).unwrap(),
        false => text = octets,
    }
    parse(format, &Options::default(), &text[..], &mut |_| {}).unwrap().set
}

fn is_plain_hosts(set: &Set) -> bool {
    *set == hosts_alone(set)
}

/// The single IPv4 addresses of a list, whatever they say.
fn hosts_alone(set: &Set) -> Set {
    let mut builder = SetBuilder::new(set.overlap);
    let value = builder.value(&set.values.first().cloned().unwrap_or_default());
    set.v4.hosts.iter().for_each(|&host| builder.host(host, value));
    builder.directives = set.directives.clone();
    builder.finish()
}

/// What deltas take, line by line.
#[derive(Default)]
struct Table {
    rows: Vec<String>,
    held_to_the_floor: usize,
}

impl Table {
    /// Takes the versions into a store, rebuilds each from the one before it, and measures its file.
    fn measure(&mut self, what: &str, sets: &[Set], is_plain: bool) {
        let place = Place::new();
        let times: Vec<i64> = (0..sets.len() as i64).collect();
        place.take_all(sets, &times);
        let mut changes = Vec::new();
        for pair in sets.windows(2) {
            let (old, new) = (&pair[0], &pair[1]);
            if old == new {
                continue;
            }
            let delta = encode(old, new);
            let rebuilt = apply(old, &delta.octets, &codec::hash(new)).expect("its own delta");
            assert!(rebuilt == *new, "{what}: another set");
            changes.push((old, new, delta));
        }
        let mut distinct = sets.to_vec();
        distinct.dedup();
        let told = place.replay(sets.last().unwrap());
        let rebuilt = told.iter().map(|(.., set)| set);
        assert!(told.is_empty() && distinct.len() == 1 || rebuilt.eq(&distinct), "{what}: other versions");
        let files = if changes.is_empty() { Vec::new() } else { place.files("delta-") };
        assert_eq!(files.len(), changes.len());
        for (file, (old, new, delta)) in files.iter().zip(changes) {
            let size = fs::metadata(file).unwrap().len();
            let counts = delta.counts;
            let gzip = gzipped(&codec::encode(new).0);
            let mut row = format!(
                "{what:<44} {:>7} {:>6} {:>6} {:>6} {size:>8} {gzip:>8} {:>6.3}",
                new.len(),
                counts.came,
                counts.gone,
                counts.changed,
                size as f64 / gzip as f64
            );
            if is_plain {
                let floor = floor(old.v4.hosts.len() as u64, counts.came, counts.gone);
                row += &format!(" {floor:>8.0} {:>6.3}", size as f64 / floor);
                if counts.came + counts.gone >= EDITS {
                    self.held_to_the_floor += 1;
                    let most = MOST * floor + BESIDES;
                    assert!(size as f64 <= most, "{what}: {size} octets, not {most:.0}: {row}");
                }
            }
            self.rows.push(row);
            damaged(old, new, &delta.octets, file);
        }
    }

    fn show(&self) {
        say(&format!(
            "{:<44} {:>7} {:>6} {:>6} {:>6} {:>8} {:>8} {:>6} {:>8} {:>6}",
            "deltas", "entries", "came", "gone", "other", "octets", "gzip set", "ratio", "floor", "ratio"
        ));
        self.rows.iter().for_each(|row| say(row));
    }
}

/// Octets changed here and there: the right set or none.
fn damaged(old: &Set, new: &Set, delta: &[u8], file: &Path) {
    let mut random = Random(delta.len() as u64);
    let hash = codec::hash(new);
    for _ in 0..20 {
        let mut other = delta.to_vec();
        other[random.below(delta.len())] ^= 1 + random.below(255) as u8;
        if let Ok(set) = apply(old, &other, &hash) {
            assert!(set == *new, "{}: a set that never was", file.display());
        }
    }
}

fn gzipped(octets: &[u8]) -> usize {
    let mut out = GzEncoder::new(Vec::new(), Compression::new(6));
    out.write_all(octets).unwrap();
    out.finish().unwrap().len()
}

/// Octets that no delta can do without on the average, when any addresses may come and any may go:
/// log2 C(2^32 - n, came) + log2 C(n, gone) bits.
fn floor(n: u64, came: u64, gone: u64) -> f64 {
    let choose =
        |of: u64, some: u64| -> f64 { (0..some).map(|at| ((of - at) as f64 / (at + 1) as f64).log2()).sum() };
    (choose((1 << 32) - n, came) + choose(n, gone)) / 8.0
}

/// Entries that say something else, and only that.
#[test]
fn texts_and_codes_that_change() {
    let with = |texts: &dyn Fn(u32) -> String| {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        for host in 0..500 {
            let value = Value { text: Some(Template::parse(texts(host).as_bytes())), ..Value::default() };
            let value = builder.value(&value);
            builder.host(host * 999, value);
        }
        builder.finish()
    };
    let old = with(&|host| format!("listed, case {}", host / 3));
    let one = with(&|host| {
        if host == 100 { "delisted soon".to_owned() } else { format!("listed, case {}", host / 3) }
    });
    let all = with(&|host| format!("case {} of $", host / 3));
    let delta = encode(&old, &one);
    assert_eq!((delta.counts.came, delta.counts.gone, delta.counts.changed), (0, 0, 1));
    assert!(delta.octets.len() < 60, "{}", delta.octets.len());
    assert_eq!(encode(&old, &all).counts.changed, 500);
    let place = Place::new();
    place.take_all(&[old.clone(), one.clone(), all.clone()], &[10, 20, 30]);
    assert!(place.replay(&all).iter().map(|(.., set)| set).eq([&old, &one, &all]));
    // It is listed all the same.
    assert_eq!(since_when(&place.since(&all), &all, 99_900), Some((10, true)));
}

/// Random numbers with a fixed seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What is found in the folder besides is left alone, and does no harm.
#[test]
fn strangers_in_the_folder() {
    let place = Place::new();
    let (a, b) = (hosts([1, 2]), hosts([2, 3]));
    place.take_all(&[a, b.clone()], &[10, 20]);
    for name in [
        "delta-",
        "delta-x-1-2-3",
        "delta-000009-5-a",
        "anchor-xyz",
        "since-",
        "notes.txt",
        "delta-000010-5-a-b-c",
    ] {
        fs::write(place.folder().join(name), "?").unwrap();
    }
    let after = codec::hash(&b).short();
    let strange = ContentHash::of(b"strange").short();
    fs::write(place.folder().join(format!("delta-000011-30-{strange}-{after}")), "?").unwrap();
    // The newest on the way cannot be read: what it should lead from is not known, and what lies before it is.
    assert_eq!(place.replay(&b).iter().map(|told| told.0).collect::<Vec<_>>(), [10, 20]);
    assert_eq!(since_when(&place.since(&b), &b, 3), Some((20, false)));
    assert_eq!(place.files("notes").len(), 1);
}
