//! Debian's rbldnsd and gatepost as processes, started with the same arguments in the same folder.

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::reply::{A, NOERROR};
use crate::common::dns::try_ask;
use crate::common::installed;
use crate::common::program::gatepost;

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a port that was free is tried when somebody else was faster.
const TRIES: usize = 3;

/// A zone that both have beside those that are compared: it tells that the data are there.
const READY: &str = "x.ready.peer";

/// What that zone has when files were looked at again.
const AGAIN: &str = "again.x.ready.peer";

/// Where rbldnsd is; `None`, said loudly, where it is not installed.
pub(crate) fn rbldnsd(test: &str) -> Option<PathBuf> {
    installed("rbldnsd", "rbldnsd", test)
}

/// The folder of a run, which the user may read whom both become.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("our folder");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a file there; a file of that name is replaced. Its time is made up of its name and content: so the newest
    /// of several files is any of them (a serial that says 0 is the time of the newest), and a change of content is one
    /// of time, which is all that rbldnsd looks at beside the size.
    pub(crate) fn put(&self, name: &str, octets: &[u8]) {
        let beside = self.path().join(".new");
        fs::write(&beside, octets).expect("our folder");
        fs::set_permissions(&beside, Permissions::from_mode(0o644)).expect("our file");
        let age = name
            .bytes()
            .chain(octets.iter().copied())
            .fold(0, |sum, octet| (sum * 31 + u64::from(octet)) % 1_000_003);
        let time = SystemTime::now() - Duration::from_secs(100 + age);
        File::options()
            .append(true)
            .open(&beside)
            .and_then(|file| file.set_modified(time))
            .expect("our file");
        fs::rename(beside, self.path().join(name)).expect("our folder");
    }
}

/// Both, answering.
pub(crate) struct Pair {
    pub(crate) theirs: Running,
    pub(crate) ours: Running,
}

impl Pair {
    /// Starts both in `folder`: what stands behind the options that say where and who (`-n -q -b -w -u`) is the same
    /// for both, but for the word `dnhash`, which Debian's does not know.
    pub(crate) fn start(rbldnsd: &Path, folder: &Folder, arguments: &[String]) -> Self {
        Self {
            theirs: Running::theirs(rbldnsd, folder, arguments),
            ours: Running::start("ours", || own(folder), folder, arguments),
        }
    }
}

impl Pair {
    /// Has both look at the files, and waits until they have loaded them.
    pub(crate) fn reload(&self, folder: &Folder) {
        folder.put("ready", b"x A 127.0.0.2\nagain.x A 127.0.0.2\n");
        for running in [&self.theirs, &self.ours] {
            running.signal(Signal::SIGHUP);
            let end = Instant::now() + PATIENCE;
            let is_listed = || try_ask(running.address, AGAIN, A).is_some_and(|reply| reply.rcode == NOERROR);
            while !is_listed() {
                assert!(Instant::now() < end, "never loaded again: {}", running.log());
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// `gatepost rbldnsd`, which keeps what it compiles in the folder of the run.
fn own(folder: &Folder) -> Command {
    let mut command = gatepost();
    command.arg("rbldnsd").env("GATEPOST_CACHE", folder.path().join("cache"));
    command
}

/// One of the two; ends with this.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// rbldnsd alone, with the files of these cases.
    pub(crate) fn theirs(rbldnsd: &Path, folder: &Folder, arguments: &[String]) -> Self {
        folder.put("ready", b"x A 127.0.0.2\n");
        let arguments: Vec<String> =
            arguments.iter().map(|word| word.replace(":dnhash:", ":dnset:")).collect();
        Self::start("theirs", || Command::new(rbldnsd), folder, &arguments)
    }

    fn start(name: &str, program: impl Fn() -> Command, folder: &Folder, arguments: &[String]) -> Self {
        let mut log = String::new();
        for _ in 0..TRIES {
            match Self::try_start(name, program(), folder, arguments) {
                Ok(running) => return running,
                Err(said) => log = said,
            }
        }
        panic!("{name} did not start: {log}");
    }

    /// `Err`: it ended, saying this.
    fn try_start(
        name: &str,
        mut command: Command,
        folder: &Folder,
        arguments: &[String],
    ) -> Result<Self, String> {
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        // `-q`: a data set that cannot be loaded costs its own zone.
        command.args(["-n", "-q", "-b"]).arg(format!("127.0.0.1/{port}")).arg("-w").arg(folder.path());
        if geteuid().is_root() {
            // It refuses to stay root.
            command.args(["-u", "nobody"]);
        }
        command.args(arguments).arg("ready.peer:generic:ready");
        let log = folder.path().join(format!("log-{name}"));
        let output = File::create(&log).expect("our folder");
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a descriptor")).stderr(output);
        let child = command.spawn().expect("it can be started");
        let mut running = Self { child, log, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let end = Instant::now() + PATIENCE;
        while try_ask(running.address, READY, A).is_none_or(|reply| reply.rcode != NOERROR) {
            if running.has_ended() || Instant::now() > end {
                return Err(running.log());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("our child");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
