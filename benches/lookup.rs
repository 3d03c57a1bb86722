//! Octets an address and nanoseconds a lookup, against `roaring`'s `contains` on the same addresses in the same run.
//!
//! `cargo bench --bench lookup -- [--size N] [--folder DIR]`: lists of N addresses (10 million), the snapshot in a
//! mapped file under DIR (the target folder: a file system as under a store; on tmpfs small pages cost a third more).
//! Rounds of the two alternate; what is printed is the median and the quartiles of the ratios of neighbouring rounds.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod lists;

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gatepost::compile::{Answer, AnswerId, Answered, Compiled, NameTree, Part, SpansV4, SpansV6, ZoneData};
use gatepost::load::Quartiles;
use gatepost::model::{Name, Ns, RrData, RrSet, Rtype, Soa, Span};
use gatepost::snapshot::{Mapped, Snapshot, write};

const QUESTIONS: usize = 2_000_000;
const ROUNDS: usize = 15;
const BATCH: usize = 32;

fn main() {
    let mut size = 10_000_000;
    let mut folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--size", Some(number)) => size = number.replace('_', "").parse().expect("--size N"),
            ("--folder", Some(path)) => folder = path.into(),
            _ => {} // cargo adds --bench
        }
    }
    println!("{size} addresses, {QUESTIONS} questions, half of them listed, {ROUNDS} rounds\n");
    println!(
        "{:<22}{:>8}{:>10}{:>9}  {:>26}  {:>26}",
        "list", "octets", "write ms", "roaring", "one by one: ns, ratio", "batches of 32: ns, ratio"
    );
    let random = lists::random(size, 1);
    measure("random", &folder, &random, 1);
    measure("random, 8 answers", &folder, &random, 8);
    measure("random, 300 answers", &folder, &random, 300);
    drop(random);
    let clustered = lists::clustered(size, 2);
    measure("clustered", &folder, &clustered, 1);
    measure("clustered, 8 answers", &folder, &clustered, 8);
    drop(clustered);
    prefixes(&folder);
}

/// One line of the table.
fn measure(name: &str, folder: &Path, list: &[u32], answers: u32) {
    let mut random = lists::Random::new(3);
    let spans = list.iter().map(|&address| Answered {
        span: Span::host(address),
        answer: if answers == 1 { 0 } else { random.below(answers as usize) as u32 },
    });
    let zone = zone(spans.collect(), answers);
    let (snapshot, write_ms) = written(folder, &zone);
    drop(zone);
    let roaring = roaring::RoaringBitmap::from_sorted_iter(list.iter().copied()).expect("sorted");
    let asked = lists::questions(list, QUESTIONS, 4);
    let expected = asked.iter().filter(|&&address| roaring.contains(address)).count();

    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let (found, ns) = timed(|| asked.iter().filter(|&&address| roaring.contains(address)).count());
        assert_eq!(found, expected);
        times[0].push(ns);
        let (found, ns) = timed(|| {
            let answer = |&address| snapshot.v4(address).expect("whole");
            asked.iter().map(answer).fold(0, |found, answer| found + count(answer))
        });
        assert_eq!(found, expected);
        times[1].push(ns);
        let (found, ns) = timed(|| {
            let mut answers = [None; BATCH];
            asked.chunks(BATCH).fold(0, |found, addresses| {
                let answers = &mut answers[..addresses.len()];
                snapshot.v4_batch(addresses, answers).expect("whole");
                found + answers.iter().map(|&answer| count(answer)).sum::<usize>()
            })
        });
        assert_eq!(found, expected);
        times[2].push(ns);
    }
    let octets = snapshot.data().id().len as f64 / list.len() as f64;
    println!(
        "{name:<22}{octets:>8.3}{write_ms:>10.0}{:>9.1}  {}  {}",
        quartiles(&times[0])[1],
        ratio(&times[1], &times[0]),
        ratio(&times[2], &times[0])
    );
}

/// Takes the answer, so that looking it up is not left out.
fn count(answer: Option<AnswerId>) -> usize {
    usize::from(black_box(answer).is_some())
}

fn timed(run: impl FnOnce() -> usize) -> (usize, f64) {
    let start = Instant::now();
    let found = run();
    (found, start.elapsed().as_nanos() as f64 / QUESTIONS as f64)
}

fn ratio(ours: &[f64], theirs: &[f64]) -> String {
    let ratios: Vec<_> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    let [low, median, high] = quartiles(&ratios);
    format!("{:>6.1}  {median:.3} ({low:.3}-{high:.3})", quartiles(ours)[1])
}

fn quartiles(numbers: &[f64]) -> [f64; 3] {
    let Quartiles { low, median, high } = Quartiles::of(numbers.iter().copied());
    [low, median, high]
}

/// 100 000 prefixes of /17 to /30.
fn prefixes(folder: &Path) {
    let mut prefixes = lists::prefixes(100_000, 5);
    prefixes.sort_unstable();
    let mut spans = SpansV4::default();
    let mut end = None;
    for (first, last) in prefixes {
        let first = end.map_or(first, |end: u32| first.max(end.saturating_add(1)));
        if first <= last {
            spans.push(Span { first, last }, 0);
            end = Some(last);
        }
    }
    let (snapshot, _) = written(folder, &zone(spans, 1));
    let counts = snapshot.counts();
    println!(
        "\n100000 prefixes of /17 to /30: {} spans, {} addresses, {:.2} MB",
        counts.v4_spans,
        counts.v4_addresses,
        snapshot.data().id().len as f64 / 1e6
    );
}

/// The mapped snapshot and the milliseconds of the quickest of three writes.
fn written(folder: &Path, zone: &Compiled) -> (Snapshot<Mapped>, f64) {
    let path = folder.join(format!("gatepost-bench-{}", std::process::id()));
    let mut quickest = f64::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let mut out = BufWriter::new(File::create(&path).expect("the folder can be written"));
        write(zone, &serde_json::Value::Null, &mut out).expect("written");
        quickest = quickest.min(start.elapsed().as_secs_f64() * 1e3);
    }
    let snapshot = Snapshot::open(Mapped::open(&path).expect("mapped")).expect("a snapshot");
    snapshot.verify().expect("whole");
    std::fs::remove_file(&path).expect("removed");
    (snapshot, quickest)
}

fn zone(v4: SpansV4, answers: u32) -> Compiled {
    let host: Name = "ns.example".parse().expect("a name");
    let record = |id: u32| {
        let data = RrData::Wire(vec![(0x7f00_0002 + id).to_be_bytes().to_vec()]);
        vec![RrSet { rtype: Rtype::A, ttl: 300, data }]
    };
    let answer = |id| Answer { parts: vec![Part { list: 0, value: id }], records: record(id) };
    let (refresh, retry, expire, minimum) = (3600, 600, 86_400, 60);
    let (mname, rname) = (host.clone(), host.clone());
    Compiled {
        zone: ZoneData {
            origin: "bl.example".parse().expect("a name"),
            soa: Soa { ttl: 60, mname, rname, serial: None, refresh, retry, expire, minimum },
            ns: Ns { ttl: 3600, hosts: vec![host] },
            ttl: 300,
            test_points: false,
            combined: false,
            base: None,
        },
        lists: Vec::new(),
        v4,
        v6: SpansV6::default(),
        names: NameTree::default(),
        answers: (0..answers).map(answer).collect(),
        values: (0..answers).map(record).collect(),
    }
}
