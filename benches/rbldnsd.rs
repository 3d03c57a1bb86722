//! `gatepost rbldnsd` against Debian's rbldnsd, type by type, with the same command line: loading and memory.
//!
//! `cargo bench --bench rbldnsd -- [--size N,N] [--types T,T] [--rounds N] [--dir DIR]`, with rbldnsd and taskset
//! installed. Rounds of the two alternate; printed is a Markdown table with the median and quartiles of the ratios of the
//! same round. benches/README.md says how each column is measured and holds the results.
//!
//! Without `--bench` (`cargo test --bench rbldnsd`) small lists run once, to prove that the comparison still works; its
//! numbers mean nothing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its table, and how far it is")]

mod data_sets;
mod lists;
mod rig;

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use data_sets::{Kind, Questions};
use rig::{Started, ZONE, mib_of, pinned, ratios, three};

/// What rbldnsd unfolds to 55 MB.
const PREFIXES: usize = 100_000;

/// Second octet of the id of questions behind the first.
const LATER_ID: u8 = rig::ID[1] + 1;

/// How long a loader may take to be done with what comes after its last zone.
const PAUSE: Duration = Duration::from_millis(300);

/// The heads of the two tables. `load` is less the same with one entry, everything else is whole.
const SPEED: &str = "\
| type | entries | load / rbldnsd's | in sealed memory | start / rbldnsd's | in sealed memory | from the cache | \
rbldnsd's load, ms | ours | start from the cache, ms |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";
const MEMORY: &str = "\
| type | entries | PSS / rbldnsd's | in sealed memory | rbldnsd's, MiB | ours | rbldnsd's anonymous | ours | \
loader idle | at its peak |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

struct Settings {
    sizes: Vec<usize>,
    kinds: Vec<Kind>,
    rounds: usize,
    /// On a tmpfs, so that no disk is measured.
    dir: PathBuf,
}

fn main() {
    let mut settings = Settings {
        sizes: vec![1_000_000, 10_000_000],
        kinds: Kind::ALL.to_vec(),
        rounds: 5,
        dir: "/dev/shm".into(),
    };
    let mut real = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = |text: &str| text.replace('_', "").parse().expect("a number");
        match argument.as_str() {
            "--bench" => real = true,
            "--size" => {
                settings.sizes = arguments.next().expect("--size N,N").split(',').map(number).collect();
            }
            "--types" => {
                let types = arguments.next().expect("--types T,T");
                settings.kinds.retain(|kind| types.split(',').any(|name| name == kind.name()));
            }
            "--rounds" => settings.rounds = number(&arguments.next().expect("--rounds N")),
            "--dir" => settings.dir = arguments.next().expect("--dir DIR").into(),
            _ => {} // what cargo passes on
        }
    }
    if !rig::has_tools("rbldnsd") {
        return;
    }
    if !real {
        settings = Settings { sizes: vec![3_000], rounds: 1, ..settings };
    }
    rig::pin_the_asker();
    let work = rig::work_folder("rbldnsd", &settings.dir);
    println!("{} rounds, in {}\n", settings.rounds, settings.dir.display());
    let mut lists: Vec<(Kind, usize)> = Vec::new();
    for &size in &settings.sizes {
        lists.extend(settings.kinds.iter().filter(|&&kind| kind != Kind::Prefixes).map(|&kind| (kind, size)));
    }
    if settings.kinds.contains(&Kind::Prefixes) {
        let largest = settings.sizes.iter().copied().max().unwrap_or(PREFIXES);
        lists.push((Kind::Prefixes, largest.min(PREFIXES)));
    }
    let (mut speed, mut memory) = (SPEED.to_owned(), MEMORY.to_owned());
    for (kind, size) in lists {
        rows(kind, size, &compare(kind, size, settings.rounds, work.path()), &mut speed, &mut memory);
        // What is there already, should the rest be broken off.
        [&speed, &memory]
            .into_iter()
            .filter_map(|table| table.lines().last())
            .for_each(|row| eprintln!("{row}"));
    }
    println!("{speed}\n{memory}");
}

/// What is started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Rbldnsd,
    /// gatepost with an empty cache.
    Fresh,
    /// gatepost where there can be no cache: the zone is in sealed memory.
    Sealed,
    /// gatepost again, with the cache that the first one left.
    Warm,
}

const PROGRAMS: [Program; 4] = [Program::Rbldnsd, Program::Fresh, Program::Sealed, Program::Warm];

impl Program {
    /// Serves `file` of the folder `work`.
    fn command(self, port: u16, kind: Kind, work: &Path, file: &str) -> Command {
        let mut command = match self {
            Self::Rbldnsd => pinned("rbldnsd"),
            _ => {
                let mut command = pinned(env!("CARGO_BIN_EXE_gatepost"));
                command.args(["rbldnsd", "--cache"]).arg(self.cache(work, file));
                command
            }
        };
        command.args(["-n", "-b", &format!("127.0.0.1/{port}"), "-w"]).arg(work);
        command.arg(format!("{ZONE}:{}:{file}", kind.data_set()));
        command
    }

    fn cache(self, work: &Path, file: &str) -> PathBuf {
        work.join(if self == Self::Sealed { "open".to_owned() } else { format!("cache-{file}") })
    }
}

/// A start and the memory afterwards, in MiB.
struct Sample {
    milliseconds: f64,
    pss: f64,
    anonymous: f64,
    loader: Option<Loader>,
}

/// The process beside the one that serves.
struct Loader {
    idle: f64,
    peak: f64,
}

/// What was measured of a program: with a list of one entry, and with the whole list.
#[derive(Default)]
struct Samples {
    single: Vec<Sample>,
    list: Vec<Sample>,
}

impl Samples {
    /// Of each round what the list adds to the list of one entry.
    fn beyond(&self, what: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.list.iter().zip(&self.single).map(|(list, single)| what(list) - what(single)).collect()
    }

    fn whole(&self, what: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.list.iter().map(what).collect()
    }
}

/// One list, round by round; for each program.
fn compare(kind: Kind, size: usize, rounds: usize, work: &Path) -> [Samples; 4] {
    let questions = kind.write(size, &work.join("list"), &work.join("single"));
    // In a folder that others can write to nothing is kept.
    let open = Program::Sealed.cache(work, "");
    fs::create_dir_all(&open).expect("our folder");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("our folder");
    let mut measured: [Samples; 4] = Default::default();
    for round in 1..=rounds {
        eprintln!("{} of {size}: round {round}", kind.name());
        for (program, samples) in PROGRAMS.into_iter().zip(&mut measured) {
            for (file, into) in [("single", &mut samples.single), ("list", &mut samples.list)] {
                if program == Program::Fresh {
                    let _ = fs::remove_dir_all(program.cache(work, file));
                }
                let started = rig::start(|port| program.command(port, kind, work, file), &questions.both);
                if file == "list" {
                    ask(&started.socket, &questions);
                }
                into.push(sample(program, &started));
            }
        }
    }
    measured
}

/// Asks for entries all over the list, which must be listed: what serves them is in memory then.
fn ask(socket: &UdpSocket, questions: &Questions) {
    socket.set_nonblocking(false).expect("an option");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("an option");
    for name in &questions.sample {
        // The first questions may still fill the server's buffer, so that one is lost.
        let answered = (0..20).any(|_| is_listed(socket, name));
        assert!(answered, "{name} is listed");
    }
}

fn is_listed(socket: &UdpSocket, name: &str) -> bool {
    let mut packet = rig::question(name);
    // Another id than that of the first question, whose late answers are passed over.
    packet[1] = LATER_ID;
    socket.send(&packet).expect("loopback");
    let mut buffer = [0; 2048];
    while let Ok(len) = socket.recv(&mut buffer) {
        if buffer[1] == LATER_ID {
            buffer[1] = rig::ID[1];
            return rig::is_listed(&buffer[..len]);
        }
    }
    false
}

fn sample(program: Program, started: &Started) -> Sample {
    let id = started.server.id();
    let loader = (program != Program::Rbldnsd).then(|| {
        thread::sleep(PAUSE);
        let loader = child_of(id);
        Loader { idle: mib_of(loader, "smaps_rollup", "Pss:"), peak: mib_of(loader, "status", "VmHWM:") }
    });
    if loader.is_some() {
        assert_all_resident(id);
    }
    Sample {
        milliseconds: started.milliseconds,
        pss: mib_of(id, "smaps_rollup", "Pss:"),
        anonymous: mib_of(id, "smaps_rollup", "Anonymous:"),
        loader,
    }
}

/// The loader of a serving process.
fn child_of(id: u32) -> u32 {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("it runs");
    let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let all: Vec<u32> = children
        .flat_map(|text| text.split_whitespace().map(|id| id.parse().expect("a number")).collect::<Vec<_>>())
        .collect();
    assert_eq!(all.len(), 1, "one loader");
    all[0]
}

/// Every page of every snapshot is in the memory of the process: it has read them all to verify them.
fn assert_all_resident(id: u32) {
    let maps = fs::read_to_string(format!("/proc/{id}/smaps")).expect("it runs");
    let mut snapshots = 0;
    let mut is_snapshot = false;
    let mut size = String::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("Size:") => size = words.collect(),
            Some("Rss:") if is_snapshot => {
                assert_eq!(words.collect::<String>(), size, "all pages are resident");
            }
            Some(word) if word.contains('-') => {
                is_snapshot = line.contains("/cache-") || line.contains("gatepost-zone");
                snapshots += usize::from(is_snapshot);
            }
            _ => {}
        }
    }
    assert!(snapshots > 0, "snapshots are mapped");
}

/// The rows of a list in both tables.
fn rows(kind: Kind, size: usize, measured: &[Samples; 4], speed: &mut String, memory: &mut String) {
    let [theirs, fresh, sealed, warm] = measured;
    let time = |sample: &Sample| sample.milliseconds;
    let load = theirs.beyond(time);
    let ratio = |ours: &Samples| three(&ratios(&ours.beyond(time), &load), 3);
    let whole = |ours: &Samples| three(&ratios(&ours.whole(time), &theirs.whole(time)), 3);
    let (name, size) = (kind.name(), size.to_string());
    writeln!(
        speed,
        "| {name} | {size} | {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.1} |",
        ratio(fresh),
        ratio(sealed),
        whole(fresh),
        whole(sealed),
        whole(warm),
        median(&load),
        median(&fresh.beyond(time)),
        median(&warm.whole(time)),
    )
    .expect("into memory");

    let pss = |sample: &Sample| sample.pss;
    let loader =
        |of: fn(&Loader) -> f64| median(&fresh.whole(|sample| sample.loader.as_ref().map_or(f64::NAN, of)));
    writeln!(
        memory,
        "| {name} | {size} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
        three(&ratios(&fresh.beyond(pss), &theirs.beyond(pss)), 3),
        three(&ratios(&sealed.beyond(pss), &theirs.beyond(pss)), 3),
        median(&theirs.beyond(pss)),
        median(&fresh.beyond(pss)),
        median(&theirs.whole(|sample| sample.anonymous)),
        median(&fresh.whole(|sample| sample.anonymous)),
        loader(|loader| loader.idle),
        loader(|loader| loader.peak),
    )
    .expect("into memory");
}

fn median(numbers: &[f64]) -> f64 {
    rig::quartiles(numbers)[1]
}
