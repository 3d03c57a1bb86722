//! Running the real program: a folder of its own, no environment of ours, and an eye on what it prints.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod daemon;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long something that has to happen may take before a test gives up. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with files of a test, and the program run in it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// stdout as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The run, which must have ended with `code`.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// stdout must hold `text`.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text), "no `{text}` in {self:#?}");
        self
    }

    /// stderr must hold `text`.
    #[track_caller]
    pub(crate) fn talks(self, text: &str) -> Self {
        assert!(self.err.contains(text), "no `{text}` in {self:#?}");
        self
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }

    /// The program with `args`, in this folder, with nothing of our environment that could steer it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.args(args).current_dir(self.folder.path());
        for name in ["GATEPOST_CONFIG", "GATEPOST_STATE", "GATEPOST_LISTEN", "GATEPOST_LOG", "XDG_STATE_HOME"]
        {
            command.env_remove(name);
        }
        for name in
            ["NOTIFY_SOCKET", "JOURNAL_STREAM", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"]
        {
            command.env_remove(name);
        }
        command.env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let done = self.command(args).output().expect("the program starts");
        Ran {
            code: done.status.code().unwrap_or(-1),
            out: String::from_utf8(done.stdout).expect("UTF-8"),
            err: String::from_utf8(done.stderr).expect("UTF-8"),
        }
    }

    /// Starts the program and goes on.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::new(self.command(args))
    }
}

/// The same command, started by nohup(1).
pub(crate) fn under_nohup(inner: &Command) -> Command {
    under(Command::new("nohup"), inner)
}

/// The same command with sockets from descriptor 3 on, as a service manager hands them over, and their port: see the script.
/// `sockets`: a list of them in Python.
pub(crate) fn handed(sockets: &str, inner: &Command) -> (Running, u16) {
    let mut python = Command::new("python3");
    python.args(["-c", &include_str!("handed.py").replace("SOCKETS\n", &format!("{sockets}\n"))]);
    let running = Running::new(under(python, inner));
    let port = running.says("\n").trim().parse().expect("a port");
    (running, port)
}

/// The same command, started by a program that becomes it.
pub(crate) fn under(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
    outer.current_dir(inner.get_current_dir().expect("a folder"));
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// A program that runs. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    out: Heard,
    err: Heard,
}

/// What was printed so far, and whether there will be more.
#[derive(Clone, Default)]
struct Heard(Arc<(Mutex<(String, bool)>, Condvar)>);

impl Heard {
    fn of(from: impl Read + Send + 'static) -> Self {
        let heard = Self::default();
        let shared = heard.clone();
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = String::new();
            while matches!(from.read_line(&mut line), Ok(read) if read > 0) {
                shared.0.0.lock().unwrap().0.push_str(&line);
                shared.0.1.notify_all();
                line.clear();
            }
            shared.0.0.lock().unwrap().1 = true;
            shared.0.1.notify_all();
        });
        heard
    }

    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.0.0.lock().unwrap();
        while !heard.0.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!heard.1 && !left.is_zero(), "never heard `{text}`, only:\n{}", heard.0);
            heard = self.0.1.wait_timeout(heard, left).unwrap().0;
        }
        heard.0.clone()
    }

    fn whole(&self) -> String {
        let mut heard = self.0.0.lock().unwrap();
        while !heard.1 {
            heard = self.0.1.wait(heard).unwrap();
        }
        heard.0.clone()
    }
}

impl Running {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let out = Heard::of(child.stdout.take().unwrap());
        let err = Heard::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until stdout has `text`; all of stdout so far.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> String {
        self.out.wait_for(text)
    }

    /// Waits until stderr has `text`; all of stderr so far.
    #[track_caller]
    pub(crate) fn talks(&self, text: &str) -> String {
        self.err.wait_for(text)
    }

    /// The address that it says it listens on.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        let talk = self.err.wait_for("127.0.0.1:");
        let digits = talk.split("127.0.0.1:").nth(1).unwrap();
        let port: String = digits.chars().take_while(char::is_ascii_digit).collect();
        format!("127.0.0.1:{port}").parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("it runs");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let status = self.child.wait().expect("a child");
        Ran { code: status.code().unwrap_or(-1), out: self.out.whole(), err: self.err.whole() }
    }

    /// Tells it to end and waits.
    pub(crate) fn stop(self) -> Ran {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// The processes that it started and that still run.
    pub(crate) fn children(&self) -> Vec<i32> {
        let parent = self.pid();
        let numbers = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        numbers.filter(|&pid| is_running(pid) && stat(pid).is_some_and(|stat| stat.1 == parent)).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// State and parent of a process.
fn stat(pid: i32) -> Option<(char, i32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether a process is there and not just waiting to be buried.
pub(crate) fn is_running(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

/// Waits until `done`.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A publisher on loopback: gives files by path, counts who asks.
pub(crate) struct Publisher {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    /// Serves `files`; any other path is 404, and `/stall` never answers.
    pub(crate) fn new(files: &[(&str, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let files: Vec<(String, String)> =
            files.iter().map(|(path, text)| ((*path).to_owned(), text.clone())).collect();
        let files = Arc::new(files);
        let counter = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, files, counter) =
                    (stream.unwrap(), Arc::clone(&files), Arc::clone(&counter));
                thread::spawn(move || {
                    let mut head = String::new();
                    let mut lines = BufReader::new(stream.try_clone().unwrap());
                    while matches!(lines.read_line(&mut head), Ok(read) if read > 2) {}
                    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
                    counter.fetch_add(1, Ordering::SeqCst);
                    if path == "/stall" {
                        // Until the client goes away.
                        let _ = lines.read_line(&mut head);
                        return;
                    }
                    let (status, body) = match files.iter().find(|(known, _)| *known == path) {
                        Some((_, body)) => ("200 OK", body.as_str()),
                        None => ("404 Not Found", ""),
                    };
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often anything was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A feed file of a catalogue.
pub(crate) fn feed(name: &str, url: &str, use_: &str, code: &str) -> String {
    format!(
        r#"name = "{name}"
title = "{name}: made up"
urls = ["{url}"]
format = "plain"
use = "{use_}"
code = "{code}"
text = "$ is on {name}"
kind = "abuse"
lookup = "https://{name}.example/?ip=$"
homepage = "https://{name}.example/"
floor = "1h"
soft-age = "36h"
hard-age = "7d"
min-entries = 2
allow-private = true

[terms]
text = "Terms of {name}."
fetch = "anyone"
redistribute = "public"
"#
    )
}

/// A configuration of own files: a block list `own` in `bl.example.net`, less the allow list `friends`, which is in
/// `ok.example.net`; a list of names in `names.example.net`.
pub(crate) fn own_lists(place: &Place, listen: &str) {
    place.write("own.txt", "192.0.2.7 # the one\n198.51.100.0/25\n2001:db8::/32\n");
    place.write("friends.txt", "198.51.100.20\n");
    place.write("names.txt", "spam.example\n");
    place.write(
        "gatepost.toml",
        format!(
            r#"version = 1
state = "state"
[server]
listen = ["{listen}"]
[list.own]
file = "own.txt"
format = "plain"
use = "block"
code = "127.0.1.5"
text = "$ is on own"
[list.friends]
file = "friends.txt"
format = "plain"
use = "allow"
code = "127.0.1.6"
[list.names]
file = "names.txt"
format = "names"
use = "block"
code = "127.0.1.7"
[zone."bl.example.net"]
lists = ["own"]
except = ["friends"]
[zone."ok.example.net"]
lists = ["friends"]
[zone."names.example.net"]
lists = ["names"]
"#
        ),
    );
}
