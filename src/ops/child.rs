//! The sync child: a process of its own, so that a hostile list, a crash or a peak of memory there leaves the answers
//! alone.
//!
//! It is this program with the command `sync`. What it does comes back over its stdout as [`Report`]s; what it says
//! otherwise over its stderr. It ends with its parent, however that ends: its stdin is a pipe that nobody writes to,
//! and when the kernel closes it the child ends itself ([`with_parent`]). A sync may be killed at any point; the store
//! is made for it.

use std::ffi::{CString, OsStr};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus as ProcessStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Report;
use super::systemd::NOT_INHERITED;
use crate::error::ExitStatus;

/// How long a child that was asked to end may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Something from a sync child.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// What it does.
    Report(Report),
    /// A line of its stderr.
    Line(String),
    /// It ended; always the last.
    Ended(Ended),
}

/// How a sync child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    With(ExitStatus),
    /// By a signal, or with a code that is none of ours.
    Badly(ProcessStatus),
}

/// A sync that runs.
#[derive(Debug)]
pub struct SyncChild {
    pid: Pid,
    /// Waits for it and says how it ended.
    waiter: JoinHandle<()>,
    /// Never written to; closed, it ends the child.
    _leash: std::process::ChildStdin,
}

impl SyncChild {
    /// Starts `gatepost sync` with the configuration at `config`. Everything it says goes to `on`, from threads.
    pub fn spawn(config: &Path, on: impl Fn(Said) + Send + Sync + 'static) -> io::Result<Self> {
        let mut command = Command::new(this_program()?);
        command.arg("sync").arg("--config").arg(config).arg("--events");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        let mut child = command.spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        let missing = || io::Error::other("a pipe to the sync process is missing");
        let leash = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let on: Arc<dyn Fn(Said) + Send + Sync> = Arc::new(on);
        let reports = forward(stdout, "sync-reports", &on, |line| match serde_json::from_str(&line) {
            Ok(report) => Said::Report(report),
            Err(_) => Said::Line(line),
        })?;
        let lines = forward(stderr, "sync-lines", &on, Said::Line)?;
        let waiter = thread::Builder::new().name("sync-wait".into()).spawn(move || {
            // Its last words come before its end.
            for reader in [reports, lines] {
                let _ = reader.join();
            }
            on(Said::Ended(wait(child)));
        })?;
        Ok(Self { pid, waiter, _leash: leash })
    }

    /// Ends it and waits until it has ended.
    pub fn stop(self) {
        // Not waited for yet by anybody but the waiter, which is alive: the id is still its.
        if !self.waiter.is_finished() {
            let _ = kill(self.pid, Signal::SIGTERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.waiter.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        if !self.waiter.is_finished() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        let _ = self.waiter.join();
    }
}

/// Ends this process as soon as the one that holds the other end of stdin is gone. For the sync child.
pub fn with_parent() -> io::Result<()> {
    thread::Builder::new().name("leash".into()).spawn(|| {
        let mut buffer = [0; 64];
        loop {
            match io::stdin().lock().read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        std::process::exit(ExitStatus::CannotTell.code().into());
    })?;
    Ok(())
}

/// The file of this very program, also when a package update has put another in its place.
pub fn this_program() -> io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() { Ok(link.to_owned()) } else { std::env::current_exe() }
}

/// Names this process as it shows in lists of processes: one that was started from [`this_program`] would be called `exe`,
/// and whoever looks for it by its name would not find it. Fifteen octets count.
pub fn be_called(name: &OsStr) {
    let name = CString::new(name.as_bytes()).unwrap_or_default();
    // That it has another name is no reason to stop.
    let _ = prctl::set_name(&name);
}

fn forward(
    from: impl Read + Send + 'static,
    name: &str,
    on: &Arc<dyn Fn(Said) + Send + Sync>,
    read: impl Fn(String) -> Said + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let on = Arc::clone(on);
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if !text.is_empty() {
                on(read(text));
            }
        }
    })
}

fn wait(mut child: Child) -> Ended {
    match child.wait() {
        Ok(status) => {
            let known = |code| ExitStatus::ALL.into_iter().find(|known| i32::from(known.code()) == code);
            status.code().and_then(known).map_or(Ended::Badly(status), Ended::With)
        }
        Err(_) => Ended::With(ExitStatus::CannotTell),
    }
}
