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

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

const ZONE: &str = "bl.example";

/// The core of what is measured, and that of the one who asks.
const CORES: [usize; 2] = [0, 1];

/// A question not answered by then never will be.
const PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two tries of the first question.
const PACE: Duration = Duration::from_micros(500);

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
    for tool in ["rbldnsd", "taskset"] {
        if !is_installed(tool) {
            println!("SKIPPED: compare: {tool} is not installed (apt-get install rbldnsd util-linux)");
            return;
        }
    }
    if !real {
        settings = Settings { size: 30_000, rounds: 1, ..settings };
    }
    pin_to(CORES[1]);
    let work = tempfile::Builder::new().prefix("gatepost-compare-").tempdir_in(&settings.dir);
    let work = work.expect("the folder can be written");
    // rbldnsd drops its privileges and must still be able to read.
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
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
        peak = peak.max(kib_of(child.0.id(), "status", "VmHWM:").unwrap_or(0) << 10);
        if let Some(ended) = child.0.try_wait().expect("our child") {
            assert!(ended.success(), "compile: {ended}");
            return (start.elapsed().as_secs_f64() * 1e3, peak);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Milliseconds from the start of a server to its first right answer, and its memory then.
fn starting(command: impl Fn(u16) -> Command, asked: u32) -> (f64, Memory) {
    let port = free_port();
    let server: SocketAddr = ([127, 0, 0, 1], port).into();
    let packet = question(asked);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(server).expect("loopback");
    socket.set_nonblocking(true).expect("an option");
    let mut command = command(port);
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let start = Instant::now();
    let child = Running(command.spawn().expect("it starts"));
    let mut buffer = [0; 512];
    'ask: loop {
        assert!(start.elapsed() < PATIENCE, "no right answer from {command:?}");
        // Refused until the server has bound its socket.
        let _ = socket.send(&packet);
        let sent = Instant::now();
        while sent.elapsed() < PACE {
            match socket.recv(&mut buffer) {
                Ok(len) if is_listed(&buffer[..len]) => break 'ask,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(_) => thread::sleep(Duration::from_micros(100)),
            }
        }
    }
    let time = start.elapsed().as_secs_f64() * 1e3;
    let memory = |what| mib(kib_of(child.0.id(), "smaps_rollup", what).expect("it runs") << 10);
    (time, Memory { anonymous: memory("Anonymous:"), resident: memory("Rss:") })
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

/// `program` on the first core. taskset sets the mask and then becomes the program: its id stays.
fn pinned(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &CORES[0].to_string(), program]);
    command
}

fn pin_to(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core).expect("a core's number");
    if let Err(error) = sched_setaffinity(Pid::from_raw(0), &cores) {
        println!("not pinned to core {core} ({error}): client and server share");
    }
}

/// A process of ours; never left behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_installed(tool: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(tool).exists())
}

/// Free for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = tcp.local_addr().expect("bound");
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

fn question(address: u32) -> Vec<u8> {
    let [a, b, c, d] = address.to_be_bytes();
    let mut packet = vec![0x2a, 0x2a, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in format!("{d}.{c}.{b}.{a}.{ZONE}").split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// A reply without an error and with one answer.
fn is_listed(packet: &[u8]) -> bool {
    packet.len() > 12 && packet[..2] == [0x2a, 0x2a] && packet[3] & 15 == 0 && packet[6..8] == [0, 1]
}

/// A number of KiB in `/proc/PID/FILE`.
fn kib_of(pid: u32, file: &str, what: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(what))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

fn write_lines(path: &Path, lines: impl Iterator<Item = String>) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("our folder"));
    for line in lines {
        out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).expect("room");
    }
    out.flush().expect("room");
}

fn row(name: &str, times: &[f64], theirs: Option<&[f64]>) {
    let mut line = format!("{name:<58}{:>26}", three(&quartiles(times), 1));
    if let Some(theirs) = theirs {
        let ratios: Vec<f64> = times.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        write!(line, "  {:>24}", three(&quartiles(&ratios), 4)).expect("into memory");
    }
    println!("{line}");
}

fn three([low, median, high]: &[f64; 3], digits: usize) -> String {
    format!("{median:.digits$} ({low:.digits$}..{high:.digits$})")
}

fn quartiles(numbers: &[f64]) -> [f64; 3] {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sorted[(sorted.len() - 1) * quarter / 4])
}
