//! The operator's program that is told of lists that are held or refused.
//!
//! It runs beside the sync, without a shell, for a bounded time; what it does or fails to do changes nothing else.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};

use super::ListReport;
use crate::store::Outcome;

/// It is ended when it takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// How often it is looked after.
const LOOK: Duration = Duration::from_millis(20);

/// Starts `hook`, a program and its arguments, for what became of a list; a thread waits for it. When this comes back the program runs.
pub(super) fn run(hook: &[String], report: &ListReport) -> Option<JoinHandle<()>> {
    let (program, arguments) = hook.split_first()?;
    let outcome = match report.outcome? {
        Outcome::Held => "held",
        Outcome::Rejected => "rejected",
        _ => return None,
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("GATEPOST_LIST", report.list.as_str())
        .env("GATEPOST_OUTCOME", outcome)
        .env("GATEPOST_REASONS", report.reasons.join("\n").replace('\0', " "))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What it starts ends with it.
        .process_group(0);
    let program = program.clone();
    // Here, not in the thread: whoever goes on knows that it runs.
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let whom = match error.kind() {
                io::ErrorKind::PermissionDenied => format!(" as user {}", geteuid()),
                _ => String::new(),
            };
            tracing::warn!("the hook {program} cannot be run{whom}: {error}");
            return None;
        }
    };
    let watch = move || match wait(child) {
        Ok(Some(status)) if status.success() => {}
        Ok(Some(status)) => tracing::warn!("the hook {program} failed: {status}"),
        Ok(None) => tracing::warn!("the hook {program} was ended after {} seconds", LIMIT.as_secs()),
        Err(error) => tracing::warn!("the hook {program} cannot be waited for: {error}"),
    };
    match thread::Builder::new().name("hook".to_owned()).spawn(watch) {
        Ok(thread) => Some(thread),
        Err(error) => {
            tracing::warn!("nobody waits for the hook: {error}");
            None
        }
    }
}

/// `None`: it took too long.
fn wait(mut child: Child) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() > LIMIT {
            if let Ok(pid) = i32::try_from(child.id()) {
                let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            }
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}
