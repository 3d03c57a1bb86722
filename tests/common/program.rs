//! The program as processes: commands that end, and servers that are stopped.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::dns::{self, Over, SOA};

/// How long anything here may take before a test gives up. Long: it is not what is being tested.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// `gatepost` with a clean environment.
pub(crate) fn gatepost() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    for (name, _) in std::env::vars_os() {
        let theirs = name.to_string_lossy();
        if theirs.starts_with("GATEPOST_") || theirs.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(&name);
        }
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Panics with everything it said unless it ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs `gatepost` with these arguments to its end.
pub(crate) fn run<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    let output = gatepost().args(arguments).output().expect("the program starts");
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// `gatepost sync --config CONFIG LISTS… --json`; the summary and the exit code.
pub(crate) fn sync(config: &Path, lists: &[&str]) -> Ended {
    let arguments = ["sync".as_ref(), "--json".as_ref(), "--config".as_ref(), config.as_os_str()];
    run(arguments.into_iter().chain(lists.iter().map(AsRef::as_ref)))
}

/// A server that runs until it is stopped or dropped.
pub(crate) struct Server {
    child: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    /// Where it answers.
    pub(crate) dns: SocketAddr,
}

impl Server {
    /// `gatepost serve --config CONFIG`, answering.
    pub(crate) fn serve(config: &Path) -> Self {
        let mut command = gatepost();
        command.arg("serve").arg("--config").arg(config);
        Self::start(command)
    }

    /// Starts a command that serves, and waits until it says where it listens and answers there.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let said = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let readers = vec![listen(stdout, &said), listen(stderr, &said)];
        let mut server = Self { child, said, readers, dns: ([127, 0, 0, 1], 0).into() };
        server.dns = server.wait_for(address_in);
        let dns = server.dns;
        server.wait_for(|_| dns::try_ask(dns, "nowhere.example", SOA));
        server
    }

    /// Everything it has said so far, stdout and stderr.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until `look` finds something in what it has said (or elsewhere); panics when the server ends before.
    #[track_caller]
    pub(crate) fn wait_for<T>(&mut self, mut look: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if let Some(found) = look(&said) {
                return found;
            }
            let ended = self.child.try_wait().expect("our child");
            assert!(ended.is_none(), "the server ended ({ended:?}); it said:\n{said}");
            assert!(Instant::now() < deadline, "waited in vain; the server said:\n{said}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `zone` has this SOA serial.
    #[track_caller]
    pub(crate) fn wait_for_serial(&mut self, zone: &str, serial: u32) {
        let dns = self.dns;
        self.wait_for(|_| (dns::ask(dns, Over::Udp, zone, SOA).serial == Some(serial)).then_some(()));
    }

    /// Tells it to read its configuration again (SIGHUP), and gives it the time for that and for a new generation.
    pub(crate) fn reads_again(&self) {
        kill(self.pid(), Signal::SIGHUP).expect("our child");
        thread::sleep(Duration::from_secs(2));
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Asks it to end (SIGTERM) and gives its exit code and all that it said.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        kill(self.pid(), Signal::SIGTERM).expect("our child");
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("our child").is_none() {
            assert!(Instant::now() < deadline, "SIGTERM did not end it; it said:\n{}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().expect("our child").code();
        self.readers.drain(..).for_each(|reader| reader.join().expect("reads"));
        (code, self.said())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing a test starts may outlive it. Its sync processes end when it does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(from: impl Read + Send + 'static, said: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            said.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// The first loopback address with a port in what a server said.
fn address_in(said: &str) -> Option<SocketAddr> {
    let words = said.split(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']')));
    words.filter_map(|word| word.parse::<SocketAddr>().ok()).find(|address| address.port() != 0)
}

/// The serial of `zone` in the generation of the store at `state`.
pub(crate) fn serial(state: &Path, zone: &str) -> Option<u32> {
    let generation = generation(state)?;
    u32::try_from(generation["zones"][zone]["serial"].as_u64()?).ok()
}

/// The store's generation, if there is one.
pub(crate) fn generation(state: &Path) -> Option<serde_json::Value> {
    let text = std::fs::read(state.join("generation.json")).ok()?;
    Some(serde_json::from_slice(&text).expect("a generation is always whole"))
}
