//! What the comparisons with rbldnsd share: processes on cores of their own, questions, memory, quartiles.

#![allow(dead_code, reason = "each bench uses a part")]
#![allow(clippy::print_stdout, reason = "a bench says what it could not do")]

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gatepost::load::{Draw, Quartiles, Questions, draw};
use gatepost::model::Rtype;
use gatepost::snapshot::{Mapped, Snapshot};
use gatepost::zone::Zone;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tempfile::TempDir;

pub(crate) const ZONE: &str = "bl.example";

/// The core of what is measured, and that of the one who asks.
const CORES: [usize; 2] = [0, 1];

/// The id of questions.
pub(crate) const ID: [u8; 2] = [0x2a, 0x2a];

/// A question not answered by then never will be.
const PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two tries of the first question.
const PACE: Duration = Duration::from_micros(500);

/// Whether the programs that a comparison needs are there; says which is not.
pub(crate) fn has_tools(bench: &str) -> bool {
    let missing = ["rbldnsd", "taskset"].into_iter().find(|tool| !is_installed(tool));
    if let Some(tool) = missing {
        println!("SKIPPED: {bench}: {tool} is not installed (apt-get install rbldnsd util-linux)");
    }
    missing.is_none()
}

fn is_installed(tool: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(tool).exists())
}

/// A folder in `dir` that rbldnsd can read when it has dropped its privileges.
pub(crate) fn work_folder(bench: &str, dir: &Path) -> TempDir {
    let work = tempfile::Builder::new().prefix(&format!("gatepost-{bench}-")).tempdir_in(dir);
    let work = work.expect("the folder can be written");
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
    work
}

/// Moves the asking process out of the way of what is measured.
pub(crate) fn pin_the_asker() {
    let mut cores = CpuSet::new();
    cores.set(CORES[1]).expect("a core's number");
    if let Err(error) = sched_setaffinity(Pid::from_raw(0), &cores) {
        println!("not pinned to core {} ({error}): client and server share", CORES[1]);
    }
}

/// `program` on the first core. taskset sets the mask and then becomes the program: its id stays.
pub(crate) fn pinned(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &CORES[0].to_string(), program]);
    command
}

/// A process of ours; never left behind.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that answers.
pub(crate) struct Started {
    pub(crate) server: Running,
    /// Where it was asked from, connected to it.
    pub(crate) socket: UdpSocket,
    /// From its start to its first right answer.
    pub(crate) milliseconds: f64,
}

/// Starts a server on a free port and asks it for the A record of `asked` until it answers rightly.
pub(crate) fn start(command: impl Fn(u16) -> Command, asked: &str) -> Started {
    let port = free_port();
    let server: SocketAddr = ([127, 0, 0, 1], port).into();
    let packet = question(asked);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(server).expect("loopback");
    socket.set_nonblocking(true).expect("an option");
    let mut command = command(port);
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let start = Instant::now();
    let server = Running(command.spawn().expect("it starts"));
    let mut buffer = [0; 512];
    'ask: loop {
        assert!(start.elapsed() < PATIENCE, "no right answer about {asked} from {command:?}");
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
    Started { server, socket, milliseconds: start.elapsed().as_secs_f64() * 1e3 }
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

/// For the A record of a name.
pub(crate) fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![ID[0], ID[1], 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// A reply without an error and with an answer.
pub(crate) fn is_listed(packet: &[u8]) -> bool {
    packet.len() > 12 && packet[..2] == ID && packet[3] & 15 == 0 && packet[6..8] == [0, 1]
}

/// A store with a list of addresses in service, in the folder `name`, which is brought up to date when it is there already; the
/// path of its configuration. `server` is what stands under `[server]`.
pub(crate) fn store(work: &Path, list: &Path, server: &str, name: &str) -> String {
    let config = work.join(format!("{name}.toml"));
    let toml = format!(
        "version = 1\nstate = \"{name}\"\n[server]\n{server}\
         [list.bench]\nfile = \"{}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.1\"\n\
         [zone.\"{ZONE}\"]\nlists = [\"bench\"]\n",
        list.display()
    );
    fs::write(&config, toml).expect("our folder");
    let mut sync = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    let ended = sync.args(["sync", "--config"]).arg(&config).output().expect("the program starts");
    assert!(ended.status.success(), "sync: {}", String::from_utf8_lossy(&ended.stderr));
    config.display().to_string()
}

/// A list of addresses as a snapshot beside it.
pub(crate) fn compiled(work: &Path, list: &Path) -> PathBuf {
    let snapshot = work.join("list.snapshot");
    let mut compile = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    compile.args(["compile", "--zone", ZONE, "--format", "plain", "-o"]).arg(&snapshot).arg(list);
    let ended = compile.output().expect("the program starts");
    assert!(ended.status.success(), "compile: {}", String::from_utf8_lossy(&ended.stderr));
    snapshot
}

/// Questions about a snapshot, as `gatepost bench` draws them: half of them for something listed.
pub(crate) fn questions(snapshot: &Path, edns: bool) -> Questions {
    let mapped = Mapped::open(snapshot).expect("just written");
    let zone = Zone::new(Arc::new(Snapshot::open(mapped).expect("just written")), 1);
    let mut questions = Questions::new(edns);
    let what = Draw { questions: 1 << 20, hit_share: 50.0, rtype: Rtype::A, exact: false };
    draw(&zone, &what, &mut questions).expect("it lists something");
    questions
}

/// A number of KiB in `/proc/PID/FILE`.
pub(crate) fn kib_of(pid: u32, file: &str, what: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(what))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The same in MiB, of a process that runs.
pub(crate) fn mib_of(pid: u32, file: &str, what: &str) -> f64 {
    mib(kib_of(pid, file, what).expect("it runs") << 10)
}

pub(crate) fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

pub(crate) fn write_lines(path: &Path, lines: impl Iterator<Item = String>) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("our folder"));
    for line in lines {
        out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).expect("room");
    }
    out.flush().expect("room");
}

/// `median (low-high)` of numbers.
pub(crate) fn three(numbers: &[f64], digits: usize) -> String {
    let [low, median, high] = quartiles(numbers);
    format!("{median:.digits$} ({low:.digits$}-{high:.digits$})")
}

pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

pub(crate) fn quartiles(numbers: &[f64]) -> [f64; 3] {
    let Quartiles { low, median, high } = Quartiles::of(numbers.iter().copied());
    [low, median, high]
}
