//! Instructions of one query, counted by valgrind: no clock, so that a busy machine counts the same as an idle one.
//!
//! `cargo bench --bench instructions` counts in an optimised build and prints a table. Without `--bench`
//! (`cargo test --bench instructions`) it counts in the build of the tests and fails when a query takes over 3 % more than
//! `benches/instructions.txt` says; `-- --write` writes the file anew. Counts belong to a compiler and to a build with
//! `CARGO_INCREMENTAL=0`, as CI has it: others are printed and not judged.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod lists;
mod rig;

use std::fs;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use gatepost::model::{Span, Subject};
use gatepost::server::respond::{Moment, Pending, Step, Transport, begin, look_up, respond};
use gatepost::server::udp::BATCH;
use gatepost::server::{Served, World};
use gatepost::snapshot::{Mapped, Snapshot};
use gatepost::wire::{LowerName, UDP_MAX};
use gatepost::zone::{Entry, Overlay, Ruling, Zone};
use rig::ZONE;

/// What is asked.
struct Case {
    name: &'static str,
    qtype: u8,
    /// Something listed.
    listed: bool,
    /// With an OPT record.
    edns: bool,
    /// 32 at a time.
    together: bool,
    /// Beside ten thousand local decisions, none of them about it.
    decided: bool,
}

impl Case {
    const fn new(name: &'static str, qtype: u8, listed: bool) -> Self {
        Self { name, qtype, listed, edns: false, together: false, decided: false }
    }

    const fn in_batches(self) -> Self {
        Self { edns: true, together: true, ..self }
    }

    const fn decided(self) -> Self {
        Self { decided: true, ..self }
    }
}

const CASES: [Case; 6] = [
    Case::new("listed A", 1, true),
    Case::new("listed A, EDNS, in batches of 32", 1, true).in_batches(),
    Case::new("not listed A", 1, false),
    Case::new("not listed A, EDNS, in batches of 32", 1, false).in_batches(),
    Case::new("listed TXT", 16, true),
    Case::new("not listed A, 10,000 local decisions", 1, false).decided(),
];

/// Local decisions, where there are any.
const DECISIONS: u32 = 10_000;

/// Rounds of 32 queries of the shorter of two runs, whose difference is counted: what comes before the first query is in both.
const ROUNDS: usize = 20;
/// Entries of the list.
const SIZE: usize = 50_000;
/// What a query may take more than it did.
const MARGIN: f64 = 1.03;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, case, rounds, snapshot] = &arguments[..]
        && what == "--ask"
    {
        let number = |text: &str| text.parse().expect("our own number");
        ask(&CASES[number(case)], number(rounds), Path::new(snapshot));
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: instructions: valgrind is not installed (apt-get install valgrind)");
        return ExitCode::SUCCESS;
    }
    let work = rig::work_folder("instructions", &std::env::temp_dir());
    let list = work.path().join("list.txt");
    rig::write_lines(&list, lists::random(SIZE, 1).into_iter().map(|at| Ipv4Addr::from(at).to_string()));
    let snapshot = rig::compiled(work.path(), &list);
    let counts: Vec<f64> = (0..CASES.len())
        .map(|case| {
            let [short, long] = [ROUNDS, 2 * ROUNDS].map(|rounds| count(case, rounds, &snapshot));
            (long - short) as f64 / (ROUNDS * BATCH) as f64
        })
        .collect();
    if arguments.iter().any(|argument| argument == "--bench") {
        println!("| a query for | instructions |\n| --- | --- |");
        for (Case { name, .. }, count) in CASES.iter().zip(&counts) {
            println!("| {name} | {count:.0} |");
        }
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--write") {
        write(&counts);
        return ExitCode::SUCCESS;
    }
    judge(&counts)
}

/// All instructions of a run of this program that asks so often.
fn count(case: usize, rounds: usize, snapshot: &Path) -> u64 {
    let itself = std::env::current_exe().expect("this program");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(itself);
    valgrind.args(["--ask", &case.to_string(), &rounds.to_string()]).arg(snapshot);
    let ended = valgrind.output().expect("it is installed");
    let said = String::from_utf8_lossy(&ended.stderr);
    let counted = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    counted.unwrap_or_else(|| panic!("valgrind counts nothing: {said}"))
}

/// Answers the questions of a case, again and again.
fn ask(case: &Case, rounds: usize, snapshot: &Path) {
    let mapped = Mapped::open(snapshot).expect("our snapshot");
    let zone = Zone::new(Arc::new(Snapshot::open(mapped).expect("our snapshot")), 1);
    let zone = if case.decided { zone.overlaid(&decisions()) } else { zone };
    let world = World::new([(zone.origin().clone(), Served::Ready(zone))], None, None);
    let packets = packets(case);
    let at = Moment { wall: 1, micros: 1 };
    let client = Ipv4Addr::LOCALHOST.into();
    let mut out = [0; UDP_MAX];
    let mut names = vec![LowerName::ROOT; BATCH];
    for _ in 0..rounds {
        if !case.together {
            for packet in &packets {
                black_box(respond(&world, client, black_box(packet), Transport::Udp, at, &mut out));
            }
            continue;
        }
        let mut pending: Vec<Pending<'_, '_>> = Vec::with_capacity(BATCH);
        for (packet, name) in packets.iter().zip(&mut names) {
            match begin(&world, client, black_box(packet), name, Transport::Udp, at, &mut out) {
                Step::Pending(one) => pending.push(one),
                Step::Done(outcome) => panic!("a zone's question: {outcome:?}"),
            }
        }
        look_up(&mut pending);
        for pending in &pending {
            black_box(pending.finish(&world, &mut out));
        }
    }
}

/// Decisions about addresses of all kinds, but none that is asked for.
fn decisions() -> Arc<Overlay> {
    let mut random = lists::Random::new(5);
    let addresses = std::iter::repeat_with(|| random.address()).take(DECISIONS as usize);
    let entries: Vec<Entry> = addresses
        .map(|at| Entry { subject: Subject::V4(Span::host(at)), ruling: Ruling::Block, reason: None })
        .collect();
    Arc::new(Overlay::new(&entries))
}

/// A batch of different questions: the first addresses of the list, or as many that are not on it.
fn packets(&Case { qtype, listed, edns, .. }: &Case) -> Vec<Vec<u8>> {
    let list = lists::random(SIZE, 1);
    let mut other = lists::Random::new(9);
    let unlisted =
        std::iter::repeat_with(|| other.address()).filter(|address| list.binary_search(address).is_err());
    let addresses: Vec<u32> = if listed {
        list.iter().step_by(SIZE / BATCH).take(BATCH).copied().collect()
    } else {
        unlisted.take(BATCH).collect()
    };
    let packet = |address: u32| {
        let [a, b, c, d] = address.to_be_bytes();
        let mut packet = rig::question(&format!("{d}.{c}.{b}.{a}.{ZONE}"));
        let at = packet.len() - 3;
        packet[at] = qtype;
        if edns {
            packet[11] = 1;
            packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        }
        packet
    };
    addresses.into_iter().map(packet).collect()
}

/// The compiler that this was built with, as far as it can be told: the one that the tests are built with now.
fn compiler() -> String {
    let said = Command::new("rustc").arg("--version").output().expect("rustc is there");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

fn write(counts: &[f64]) {
    let mut text = format!(
        "# Instructions of one query in the build of the tests: `CARGO_INCREMENTAL=0 cargo test --bench instructions -- --write`.\n{}\n",
        compiler()
    );
    for (Case { name, .. }, count) in CASES.iter().zip(counts) {
        text += &format!("{count:.0}\t{name}\n");
    }
    fs::write(BASELINE, text).expect("the project's folder");
    println!("written: {BASELINE}");
}

fn judge(counts: &[f64]) -> ExitCode {
    let text = fs::read_to_string(BASELINE).expect("benches/instructions.txt");
    let mut lines = text.lines().skip(1);
    let (then, now) = (lines.next().unwrap_or_default(), compiler());
    let before: Vec<(f64, &str)> = lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(count, name)| (count.parse().expect("a number"), name))
        .collect();
    assert_eq!(before.len(), CASES.len(), "benches/instructions.txt is of other cases: write it anew");
    let mut over = false;
    for ((Case { name, .. }, &count), &(before, of)) in CASES.iter().zip(counts).zip(&before) {
        assert_eq!(*name, of, "benches/instructions.txt is of other cases: write it anew");
        let worse = count > before * MARGIN;
        over |= worse;
        println!("{name:<40}{count:>8.0}  was {before:.0}{}", if worse { "  TOO MANY" } else { "" });
    }
    if std::env::var("CARGO_INCREMENTAL").as_deref() != Ok("0") {
        println!("SKIPPED: instructions: not judged without CARGO_INCREMENTAL=0");
        return ExitCode::SUCCESS;
    }
    if then != now {
        println!("SKIPPED: instructions: the file's counts are of {then}, this is {now}");
        return ExitCode::SUCCESS;
    }
    if over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
