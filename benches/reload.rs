//! Reloads under load: whether a question is lost, answered wrongly or late while one snapshot takes another's place.
//!
//! `cargo bench --bench reload -- [--size N] [--rounds N] [--reloads N] [--rate N] [--dir DIR] [--compiler]`: `gatepost serve` on
//! one core, an open loop at that rate from another; each round once without and once with so many reloads of a list whose next
//! snapshot is ready on the disk. With `--compiler`, `gatepost compile` of the same list runs beside the server all
//! the time, at idle priority on the server's core. benches/README.md holds the results.
//!
//! `-- --soak SECONDS` instead loads for so long with a reload every five seconds, asks for a second time whatever
//! changed, and fails when memory or descriptors grow, or when any answer is lost or wrong.
//!
//! Without `--bench` (`cargo test --bench reload`) a small list runs once, to prove that it still works.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod lists;
mod rig;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gatepost::load::{Cores, Pace, Plan, Questions, Server, Tally, await_answers, load, pin};
use rig::{quartiles, three};

/// Between two reloads: the server looks once a second.
const PACE: Duration = Duration::from_millis(1200);
/// And in a soak run.
const SOAK_PACE: Duration = Duration::from_secs(5);
/// How much the resident memory beyond mapped files may differ between the first quarter of a soak run and its end.
const GROWTH_MIB: f64 = 4.0;
/// And its open descriptors: a sample may fall into a reload, which has a file or two open; what leaks leaks with each.
const GROWTH_OPEN: f64 = 2.0;

struct Settings {
    size: usize,
    rounds: usize,
    reloads: usize,
    rate: f64,
    compiler: bool,
    soak: Option<u64>,
    dir: PathBuf,
}

fn main() {
    let mut settings = Settings {
        size: 10_000_000,
        rounds: 5,
        reloads: 50,
        rate: 20_000.0,
        compiler: false,
        soak: None,
        dir: "/dev/shm".into(),
    };
    let mut real = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().unwrap_or_default().replace('_', "");
        match argument.as_str() {
            "--bench" => real = true,
            "--size" => settings.size = next().parse().expect("--size N"),
            "--rounds" => settings.rounds = next().parse().expect("--rounds N"),
            "--reloads" => settings.reloads = next().parse().expect("--reloads N"),
            "--rate" => settings.rate = next().parse().expect("--rate N"),
            "--soak" => settings.soak = Some(next().parse().expect("--soak SECONDS")),
            "--compiler" => settings.compiler = true,
            "--dir" => settings.dir = arguments.next().expect("--dir DIR").into(),
            _ => {} // what cargo passes on
        }
    }
    if !real {
        settings = Settings { size: 20_000, rounds: 1, reloads: 2, rate: 1000.0, ..settings };
    }
    let work = rig::work_folder("reload", &settings.dir);
    let mut bench = Bench::prepare(&settings, work.path());
    match settings.soak {
        Some(seconds) => bench.soak(&settings, Duration::from_secs(seconds)),
        None => bench.compare(&settings),
    }
}

/// A server with a store in which two generations take turns.
struct Bench {
    server: Server,
    questions: Questions,
    list: PathBuf,
    generation: PathBuf,
    /// The two generations, as their files say.
    turns: [serde_json::Value; 2],
    number: u64,
    stop: Arc<AtomicBool>,
}

impl Bench {
    fn prepare(settings: &Settings, work: &Path) -> Self {
        let addresses = lists::random(settings.size, 1);
        let list = work.join("list.txt");
        let text = |address: u32| Ipv4Addr::from(address).to_string();
        rig::write_lines(&list, addresses.iter().map(|&address| text(address)));
        let config = rig::store(work, &list, "", "reload");
        let generation = work.join("reload/generation.json");
        let first = read(&generation);
        // One address more, which nobody asks for.
        rig::write_lines(&list, addresses.iter().map(|&address| text(address)).chain(["1.0.0.1".to_owned()]));
        rig::store(work, &list, "", "reload");
        let second = read(&generation);
        assert_ne!(first["zones"], second["zones"], "two versions");
        let number = second["number"].as_u64().expect("a number");

        let mut questions = rig::questions(&rig::compiled(work, &list), true);
        let gatepost = env!("CARGO_BIN_EXE_gatepost");
        let command = format!("env GATEPOST_LISTEN=127.0.0.1:{{port}} {gatepost} serve --config {config}");
        let command = shlex::split(&command).expect("our words");
        let cores = Cores::choose();
        let mut server = Server::start(&command, cores.map(|cores| cores.servers)).expect("it starts");
        let stop = Arc::new(AtomicBool::new(false));
        let (servers, name) = (slice::from_mut(&mut server), ["gatepost serve".to_owned()]);
        let patience = Duration::from_secs(60);
        let started = await_answers(servers, &name, &mut questions, patience, &stop, |_| {});
        started.unwrap_or_else(|error| panic!("{error}"));
        if let Some(cores) = cores {
            pin(cores.harness).expect("a core that this process may use");
        }
        Self { server, questions, list, generation, turns: [first, second], number, stop }
    }

    /// Rounds without and with reloads.
    fn compare(&mut self, settings: &Settings) {
        let length = PACE * u32::try_from(settings.reloads).expect("few");
        println!(
            "{} addresses, {} rounds of {:.0} s each way, {} questions a second{}\n",
            settings.size,
            settings.rounds,
            length.as_secs_f64(),
            settings.rate,
            if settings.compiler { ", a compiler beside" } else { "" }
        );
        let _compiler = settings.compiler.then(|| Compiler::start(&self.list));
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for round in 0..settings.rounds {
            for reloads in if round % 2 == 0 { [false, true] } else { [true, false] } {
                let run = self.run(settings.rate, length, reloads.then_some(PACE));
                if reloads { with.push(run) } else { without.push(run) }
            }
        }
        println!(
            "| | lost | wrong | p50, µs | p99, µs | p99.9, µs | p99.99, µs | longest, ms | anonymous at most, MiB |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        show("without reloads", &without);
        show(&format!("with {} reloads", settings.reloads), &with);
        let late =
            |runs: &[Run]| quartiles(&runs.iter().map(|run| run.micros(0.9999)).collect::<Vec<_>>())[1];
        println!("\np99.99 with reloads / without, of the medians: {:.2}", late(&with) / late(&without));
        assert!(with.iter().all(|run| run.reloads > 0), "reloads took place");
        // A machine that is busy with other things may lose a packet of either; nothing makes an answer wrong.
        assert!(with.iter().chain(&without).all(|run| run.tally.wrong_total() == 0), "an answer is wrong");
        let lost = |runs: &[Run]| runs.iter().map(|run| run.tally.lost).sum::<u64>();
        assert!(lost(&with) <= lost(&without), "reloads lose questions");
    }

    /// Load at a steady rate, with the generations taking turns every `pace`.
    fn run(&mut self, rate: f64, length: Duration, pace: Option<Duration>) -> Run {
        let plan = Plan {
            server: self.server.address,
            pace: Pace::Rate { rate, even: false },
            sockets: 4,
            duration: length,
            count: u64::MAX,
            timeout: Duration::from_secs(2),
        };
        let pid = self.server.id();
        let over = AtomicBool::new(false);
        let (questions, stop) = (&mut self.questions, &self.stop);
        let (generation, turns, number) = (&self.generation, &self.turns, &mut self.number);
        thread::scope(|scope| {
            let over = &over;
            let watcher = scope.spawn(move || {
                let (mut samples, mut reloads, mut next) = (Vec::new(), 0, Instant::now());
                while !over.load(Ordering::Relaxed) {
                    if let Some(pace) = pace
                        && Instant::now() >= next
                    {
                        next += pace;
                        *number += 1;
                        publish(generation, &turns[(*number % 2) as usize], *number);
                        reloads += 1;
                    }
                    samples.push(Sample::of(pid));
                    thread::sleep(Duration::from_millis(50));
                }
                (samples, reloads)
            });
            let tally = load(&plan, questions, 0, stop).expect("loopback");
            over.store(true, Ordering::Relaxed);
            let (samples, reloads) = watcher.join().expect("no panic");
            Run { tally, samples, reloads }
        })
    }

    /// A long run, which must end as it began.
    fn soak(&mut self, settings: &Settings, length: Duration) {
        let run = self.run(settings.rate, length, Some(SOAK_PACE));
        let quarter = run.samples.len() / 4;
        let most =
            |samples: &[Sample], what: fn(&Sample) -> f64| samples.iter().map(what).fold(0.0, f64::max);
        let (first, rest) = run.samples.split_at(quarter.max(1));
        let memory = [first, rest].map(|samples| most(samples, |sample| sample.anonymous));
        let open = [first, rest].map(|samples| most(samples, |sample| sample.descriptors));
        println!("{} s, {} reloads, {} questions", length.as_secs(), run.reloads, run.tally.sent);
        println!("lost {}, wrong {}", run.tally.lost, run.tally.wrong_total());
        println!(
            "anonymous memory at most, MiB: {:.1} in the first quarter, {:.1} after",
            memory[0], memory[1]
        );
        println!("descriptors at most: {} in the first quarter, {} after", open[0], open[1]);
        assert!(
            run.reloads > 0 && run.tally.lost == 0 && run.tally.wrong_total() == 0,
            "an answer is missing"
        );
        assert!(memory[1] <= memory[0] + GROWTH_MIB, "memory grows");
        assert!(open[1] <= open[0] + GROWTH_OPEN, "descriptors grow");
    }
}

/// What came of a run, and how the server was meanwhile.
struct Run {
    tally: Tally,
    samples: Vec<Sample>,
    reloads: usize,
}

impl Run {
    fn micros(&self, quantile: f64) -> f64 {
        self.tally.latency(quantile).as_secs_f64() * 1e6
    }
}

/// The server's memory, in MiB, and its open descriptors.
struct Sample {
    anonymous: f64,
    descriptors: f64,
}

impl Sample {
    fn of(pid: u32) -> Self {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        Self { anonymous: rig::mib_of(pid, "smaps_rollup", "Anonymous:"), descriptors: descriptors as f64 }
    }
}

fn show(name: &str, runs: &[Run]) {
    let lost: u64 = runs.iter().map(|run| run.tally.lost).sum();
    let wrong: u64 = runs.iter().map(|run| run.tally.wrong_total()).sum();
    let of = |quantile| three(&runs.iter().map(|run| run.micros(quantile)).collect::<Vec<_>>(), 0);
    let longest: Vec<f64> = runs.iter().map(|run| run.tally.longest().as_secs_f64() * 1e3).collect();
    let samples = runs.iter().flat_map(|run| &run.samples);
    let memory = samples.map(|sample| sample.anonymous).fold(0.0, f64::max);
    println!(
        "| {name} | {lost} | {wrong} | {} | {} | {} | {} | {} | {memory:.1} |",
        of(0.5),
        of(0.99),
        of(0.999),
        of(0.9999),
        three(&longest, 1)
    );
}

/// `gatepost compile`, again and again at idle priority, on the core that the server has.
struct Compiler(Child);

impl Compiler {
    fn start(list: &Path) -> Self {
        let core = Cores::choose().map_or(0, |cores| cores.servers);
        let out = list.with_extension("snapshot");
        let script = format!(
            "while :; do '{}' compile --format plain --zone {} -o '{}' '{}' >/dev/null 2>&1; done",
            env!("CARGO_BIN_EXE_gatepost"),
            rig::ZONE,
            out.display(),
            list.display()
        );
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), "chrt", "-i", "0", "sh", "-c", &script]);
        Self(command.stdout(Stdio::null()).spawn().expect("taskset and chrt are there"))
    }
}

impl Drop for Compiler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(generation: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(generation).expect("a sync has run")).expect("JSON")
}

/// Puts the zones of a generation in service as generation `number`, as a sync does: by one rename.
fn publish(path: &Path, generation: &serde_json::Value, number: u64) {
    let mut next = generation.clone();
    next["number"] = number.into();
    let beside = path.with_extension("next");
    fs::write(&beside, next.to_string()).and_then(|()| fs::rename(&beside, path)).expect("our folder");
}
