//! gatepost against Debian's rbldnsd on the same list in the same run: compiling, starting, size, memory.
//!
//! `cargo bench --bench compare -- [--size N] [--rounds N] [--dir DIR] [--sorted]`, with rbldnsd and taskset installed.
//! Rounds of the two alternate; printed are the median and quartiles of each, and of the ratios of the same round.
//! Server and compiler are pinned to one core, the asking process to another. benches/README.md says what each line
//! means and holds the results.
//!
//! Without `--bench` (`cargo test --bench compare`) a small list runs once, to prove that the comparison still works;
//! its numbers mean nothing.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod lists;
mod rig;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Running, ZONE, kib_of, mib, mib_of, pinned, ratios, three, write_lines};

struct Settings {
    size: usize,
    rounds: usize,
    /// On a tmpfs, so that no disk is measured.
    dir: PathBuf,
    /// The list's text is sorted; otherwise it is in random order.
    sorted: bool,
}

fn main() {
    let mut settings = Settings { size: 10_000_000, rounds: 7, dir: "/dev/shm".into(), sorted: false };
    let mut real = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.replace('_', "").parse().ok());
        match argument.as_str() {
            "--bench" => real = true,
            "--size" => settings.size = number().expect("--size N"),
            "--rounds" => settings.rounds = number().expect("--rounds N"),
            "--dir" => settings.dir = arguments.next().expect("--dir DIR").into(),
            "--sorted" => settings.sorted = true,
            _ => {} // what cargo passes on
        }
    }
    if !rig::has_tools("compare") {
        return;
    }
    if !real {
        settings = Settings { size: 30_000, rounds: 1, ..settings };
    }
    rig::pin_the_asker();
    let work = rig::work_folder("compare", &settings.dir);
    println!(
        "{} addresses, {} rounds, text {}, in {}\n",
        settings.size,
        settings.rounds,
        if settings.sorted { "sorted" } else { "in random order" },
        settings.dir.display()
    );
    compare(&settings, work.path());
    sizes(&settings, work.path());
}

/// Compiling and starting, round by round.
fn compare(settings: &Settings, work: &Path) {
    let mut list = lists::random(settings.size, 1);
    let asked = list[settings.size / 2];
    if !settings.sorted {
        lists::Random::new(6).shuffle(&mut list);
    }
    let text = work.join("list.txt");
    write_lines(&text, list.iter().map(|&address| Ipv4Addr::from(address).to_string()));
    drop(list);
    let one = work.join("one.txt");
    write_lines(&one, [Ipv4Addr::from(asked).to_string()].into_iter());
    let config = state(work, &text);
    let snapshot = work.join("list.snapshot");

    let mut times = Times::default();
    let mut ours = Memory::default();
    let mut theirs = Memory::default();
    let mut compiler = 0;
    for _ in 0..settings.rounds {
        let (time, peak) = compiling(&text, &snapshot);
        times.compile.push(time);
        compiler = compiler.max(peak);
        let started = |command: fn(u16, &Path) -> Command, file: &Path, memory: &mut Memory| {
            let (time, used) = starting(|port| command(port, file), asked);
            *memory = used;
            time
        };
        times.rbldnsd_empty.push(started(rbldnsd, &one, &mut Memory::default()));
        times.rbldnsd.push(started(rbldnsd, &text, &mut theirs));
        times.serve.push(started(serve, &config, &mut ours));
    }
    let load: Vec<f64> =
        times.rbldnsd.iter().zip(&times.rbldnsd_empty).map(|(full, empty)| full - empty).collect();

    println!("{:<58}{:>26}  {:>24}", "", "ms: median (quartiles)", "ratio to rbldnsd");
    row("compile: text to verified snapshot", &times.compile, Some(&load));
    row("  rbldnsd: load of the same text (start less empty start)", &load, None);
    row("start: serve to its first right answer", &times.serve, Some(&times.rbldnsd));
    row("  rbldnsd: start to its first right answer", &times.rbldnsd, None);
    row("  rbldnsd: the same with one address", &times.rbldnsd_empty, None);
    println!();
    println!(
        "memory of the server, MiB: anonymous {:.1}, resident with mapped pages {:.1}",
        ours.anonymous, ours.resident
    );
    println!("  rbldnsd: anonymous {:.1}, resident {:.1}", theirs.anonymous, theirs.resident);
    println!("memory of the compiler at its peak, MiB: {:.1}\n", mib(compiler));
}

#[derive(Default)]
struct Times {
    compile: Vec<f64>,
    serve: Vec<f64>,
    rbldnsd: Vec<f64>,
    rbldnsd_empty: Vec<f64>,
}

/// In MiB.
#[derive(Default, Clone, Copy)]
struct Memory {
    anonymous: f64,
    resident: f64,
}

/// Octets an address of the snapshots that `compile` makes.
fn sizes(settings: &Settings, work: &Path) {
    let size = settings.size;
    println!("{:<44}{:>14}{:>10}", "snapshot", "octets", "each");
    let random = lists::random(size, 1);
    let clustered = lists::clustered(size, 2);
    for (name, list) in [("random", &random), ("clustered", &clustered)] {
        let plain = list.iter().map(|&address| Ipv4Addr::from(address).to_string());
        let len = compiled(work, "plain", plain);
        println!("{name:<44}{len:>14}{:>10.3}", len as f64 / size as f64);
        let mut random = lists::Random::new(3);
        let mixed = list
            .iter()
            .map(|&address| format!("{} :127.0.0.{}:listed", Ipv4Addr::from(address), 2 + random.below(8)));
        let len = compiled(work, "rbldnsd:ip4set", mixed);
        let name = format!("{name}, 8 answers mixed at random");
        println!("{name:<44}{len:>14}{:>10.3}", len as f64 / size as f64);
    }
    let twenty =
        random.iter().step_by(size / 20).take(20).map(|&address| Ipv4Addr::from(address).to_string());
    println!("{:<44}{:>14}", "20 addresses", compiled(work, "plain", twenty));
    let prefixes = lists::prefixes(100_000, 5)
        .into_iter()
        .map(|(first, last)| format!("{}/{}", Ipv4Addr::from(first), (last - first).leading_zeros()));
    println!("{:<44}{:>14}", "100,000 random /17 to /30", compiled(work, "plain", prefixes));
}

/// The size of the snapshot of a list of these lines.
fn compiled(work: &Path, format: &str, lines: impl Iterator<Item = String>) -> u64 {
    let (text, snapshot) = (work.join("sized.txt"), work.join("sized.snapshot"));
    write_lines(&text, lines);
    let ended = gatepost()
        .args(["compile", "--zone", ZONE, "--format", format, "-o"])
        .args([&snapshot, &text])
        .stdout(Stdio::null())
        .status()
        .expect("the program starts");
    assert!(ended.success(), "compile: {ended}");
    fs::metadata(&snapshot).expect("it was written").len()
}

/// A store with the list in service; the path of its configuration.
fn state(work: &Path, text: &Path) -> PathBuf {
    let config = work.join("gatepost.toml");
    let list = text.display();
    let toml = format!(
        "version = 1\nstate = \"state\"\n[list.bench]\nfile = \"{list}\"\nformat = \"plain\"\nuse = \"block\"\n\
         code = \"127.0.1.1\"\n[zone.\"{ZONE}\"]\nlists = [\"bench\"]\n"
    );
    fs::write(&config, toml).expect("our folder");
    let ended = gatepost()
        .args(["sync", "--config"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let ended = ended.expect("the program starts");
    assert!(ended.success(), "sync: {ended}");
    config
}

/// Milliseconds of `gatepost compile` on one core, and its peak of resident memory in octets.
fn compiling(text: &Path, snapshot: &Path) -> (f64, u64) {
    let mut command = pinned(env!("CARGO_BIN_EXE_gatepost"));
    command.args(["compile", "--format", "plain", "--zone", ZONE, "-o"]).args([snapshot, text]);
    let start = Instant::now();
    let mut child = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
    let mut peak = 0;
    loop {
        // The high-water mark never falls, so that the last look before the end is nearly the whole truth.
        peak = peak.max(kib_of(child.id(), "status", "VmHWM:").unwrap_or(0) << 10);
        if let Some(ended) = child.0.try_wait().expect("our child") {
            assert!(ended.success(), "compile: {ended}");
            return (start.elapsed().as_secs_f64() * 1e3, peak);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Milliseconds from the start of a server to its first right answer, and its memory then.
fn starting(command: impl Fn(u16) -> Command, asked: u32) -> (f64, Memory) {
    let [a, b, c, d] = asked.to_be_bytes();
    let started = rig::start(command, &format!("{d}.{c}.{b}.{a}.{ZONE}"));
    let memory = |what| mib_of(started.server.id(), "smaps_rollup", what);
    (started.milliseconds, Memory { anonymous: memory("Anonymous:"), resident: memory("Rss:") })
}

fn gatepost() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gatepost"))
}

fn serve(port: u16, config: &Path) -> Command {
    let mut command = pinned(env!("CARGO_BIN_EXE_gatepost"));
    command.args(["serve", "--config"]).arg(config).env("GATEPOST_LISTEN", format!("127.0.0.1:{port}"));
    command
}

fn rbldnsd(port: u16, list: &Path) -> Command {
    let mut command = pinned("rbldnsd");
    command.args(["-n", "-a", "-b"]).arg(format!("127.0.0.1/{port}"));
    command.arg("-w").arg(list.parent().expect("in a folder"));
    command
        .arg(format!("{ZONE}:ip4set:{}", list.file_name().and_then(|name| name.to_str()).expect("a name")));
    command
}

fn row(name: &str, times: &[f64], theirs: Option<&[f64]>) {
    let ratio = theirs.map_or_else(String::new, |theirs| three(&ratios(times, theirs), 4));
    println!("{name:<58}{:>26}  {ratio:>24}", three(times, 1));
}
