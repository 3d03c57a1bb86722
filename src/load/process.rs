//! Servers that are started to be measured: on a core of their own, in a process group of their own, and never left behind.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// How long a server that was asked to end may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Octets of a server's output that are shown when it fails.
const SHOWN: u64 = 2000;

/// The cores that measured and measuring processes run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Cores {
    /// Of all servers.
    pub servers: usize,
    /// Of this program.
    pub harness: usize,
}

impl Cores {
    /// The first and the last core that this process may run on; `None` when there is only one.
    pub fn choose() -> Option<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let is_allowed = |core: &usize| allowed.is_set(*core).unwrap_or(false);
        let servers = (0..CpuSet::count()).find(is_allowed)?;
        let harness = (0..CpuSet::count()).rfind(is_allowed)?;
        (servers != harness).then_some(Self { servers, harness })
    }
}

/// Binds this thread, and what it starts from now on, to one core.
pub fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cores)?)
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    said: File,
    /// Where it is told to answer.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a program with its arguments, in each of which `{port}` becomes a free port of 127.0.0.1.
    pub fn start(command: &[String], core: Option<usize>) -> io::Result<Self> {
        let address = free_address()?;
        let port = address.port().to_string();
        let mut words = command.iter().map(|word| word.replace("{port}", &port));
        let program = words.next().ok_or_else(|| io::Error::other("a command without words"))?;
        let said = tempfile::tempfile()?;
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said.try_clone()?);
        // Ctrl-C is for this program, which then ends its servers in order.
        command.process_group(0);
        let before = sched_getaffinity(Pid::from_raw(0))?;
        if let Some(core) = core {
            pin(core)?;
        }
        let child = command.spawn();
        sched_setaffinity(Pid::from_raw(0), &before)?;
        Ok(Self { child: child?, said, address })
    }

    /// The process id of its first process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether it has ended by itself, and the end of what it said.
    pub fn has_ended(&mut self) -> io::Result<Option<String>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        Ok(Some(format!("it ended ({status}); it must stay in the foreground{}", self.last_words())))
    }

    /// The end of what it said, for a message.
    pub fn last_words(&mut self) -> String {
        let mut text = Vec::new();
        let len = self.said.seek(SeekFrom::End(0)).unwrap_or(0);
        let _ = self.said.seek(SeekFrom::Start(len.saturating_sub(SHOWN)));
        let _ = (&self.said).take(SHOWN).read_to_end(&mut text);
        // It goes on writing where it was: the place in the file is shared.
        let _ = self.said.seek(SeekFrom::End(0));
        let text = String::from_utf8_lossy(&text);
        if text.trim().is_empty() {
            "; it said nothing".to_owned()
        } else {
            format!("; it said:\n{}", text.trim_end())
        }
    }

    /// The CPU time of its processes so far, with those that have ended and were waited for.
    pub fn cpu(&self) -> io::Result<Duration> {
        let ticks: u64 = processes(self.group())?.map(|process| process.ticks).sum();
        let hertz = sysconf(SysconfVar::CLK_TCK)?.and_then(|hertz| u64::try_from(hertz).ok()).unwrap_or(100);
        Ok(Duration::from_nanos(ticks * (1_000_000_000 / hertz.max(1))))
    }

    /// Asks it to end, waits, and makes sure.
    fn stop(&mut self) {
        let group = self.group();
        let _ = killpg(group, Signal::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        let is_there = || processes(group).is_ok_and(|mut processes| processes.next().is_some());
        loop {
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended && !is_there() {
                return;
            }
            if Instant::now() > deadline {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Process {
    ticks: u64,
}

/// The processes of a group that have not ended.
fn processes(group: Pid) -> io::Result<impl Iterator<Item = Process>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.filter_map(move |entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()?;
        let text = fs::read_to_string(std::path::Path::new("/proc").join(name).join("stat")).ok()?;
        read_stat(&text, group)
    }))
}

/// Reads proc(5)'s `stat`. The name, which may hold anything, ends with the last `)`.
fn read_stat(text: &str, group: Pid) -> Option<Process> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let is_dead = matches!(*fields.first()?, "Z" | "X");
    if is_dead || number(2) != u64::try_from(group.as_raw()).ok() {
        return None;
    }
    // utime, stime, and the same of children that were waited for.
    Some(Process { ticks: (11..15).map_while(number).sum() })
}

/// Free for UDP and TCP.
fn free_address() -> io::Result<SocketAddr> {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let address = tcp.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_a_process_with_an_awkward_name() {
        let text = "12 (a) b (c) S 1 77 77 0 -1 4194560 1 2 3 4 100 20 3 0 20 0 1 0 1 1 1";
        assert_eq!(read_stat(text, Pid::from_raw(77)).map(|process| process.ticks), Some(123));
        assert!(read_stat(text, Pid::from_raw(1)).is_none());
        assert!(read_stat(&text.replace(") S", ") Z"), Pid::from_raw(77)).is_none());
        assert!(read_stat("", Pid::from_raw(77)).is_none());
    }

    #[test]
    fn a_server_and_what_it_started_end_with_it() {
        // The second process does not hear SIGTERM: it has to be killed. The first one ends at once.
        let script = "trap '' TERM; sleep 1000 & trap - TERM; echo {port}; wait";
        let command = ["sh", "-c", script].map(str::to_owned);
        let mut server = Server::start(&command, None).unwrap();
        let port = server.address.port().to_string();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.last_words().contains(&port) {
            assert!(Instant::now() < deadline, "{}", server.last_words());
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(server.has_ended().unwrap(), None);
        server.cpu().unwrap();
        let group = server.group();
        assert_eq!(processes(group).unwrap().count(), 2);
        drop(server);
        let deadline = Instant::now() + Duration::from_secs(60);
        while processes(group).unwrap().count() > 0 {
            assert!(Instant::now() < deadline, "left behind");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
