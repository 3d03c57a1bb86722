//! Signals as messages: TERM and INT ask for the end, HUP for what whoever runs the service makes of it, USR1 and USR2
//! for statistics.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    Hangup,
    /// SIGUSR1: log what was counted. SIGUSR2: and count from zero again.
    Statistics {
        /// SIGUSR2.
        reset: bool,
    },
    /// SIGTERM or SIGINT: answer what has come, then end.
    Stop,
}

/// What becomes of a SIGHUP that was ignored when this process began (nohup(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nohup {
    /// It stays ignored: for a command that would end when its terminal goes away.
    Respected,
    /// It is heard all the same: for a daemon, to which it says something else.
    Overruled,
}

/// How long ours may be behind a child's end by TERM or INT ([`is_told_to_end`]).
pub const GRACE: Duration = Duration::from_secs(3);

/// Whether TERM or INT has ended a child. Sent to a whole group or unit, it reaches a child as soon as this process; such an end
/// is nothing to tell of until ours has not come for [`GRACE`].
pub fn is_told_to_end(status: ExitStatus) -> bool {
    status.signal().is_some_and(|signal| {
        [SignalKind::terminate(), SignalKind::interrupt()].iter().any(|kind| kind.as_raw_value() == signal)
    })
}

/// Hands every signal to `on` from now on, from a thread of its own. When this returns the handlers are in place.
/// Handlers, not a signal mask: a mask would be inherited by the sync child, which could not be told to end.
pub fn listen(nohup: Nohup, on: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut hup, mut term, mut int, mut usr1, mut usr2) = {
        let _context = runtime.enter();
        let is_left = nohup == Nohup::Respected && is_hangup_ignored();
        let hup = if is_left { None } else { Some(signal(SignalKind::hangup())?) };
        let (usr1, usr2) = (SignalKind::user_defined1(), SignalKind::user_defined2());
        (
            hup,
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(usr1)?,
            signal(usr2)?,
        )
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async move {
            loop {
                let signal = tokio::select! {
                    () = hangup(hup.as_mut()) => Signal::Hangup,
                    _ = term.recv() => Signal::Stop,
                    _ = int.recv() => Signal::Stop,
                    _ = usr1.recv() => Signal::Statistics { reset: false },
                    _ = usr2.recv() => Signal::Statistics { reset: true },
                };
                on(signal);
            }
        });
    })?;
    Ok(())
}

/// Hears no signal that means something to the process that started this one: whoever sends it to a whole group or
/// unit (`systemctl kill -s HUP`) means that one. TERM and INT end this one as well.
pub fn leave_to_parent() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _context = runtime.enter();
    for kind in [SignalKind::hangup(), SignalKind::user_defined1(), SignalKind::user_defined2()] {
        // The handler stays when nobody listens any more.
        drop(signal(kind)?);
    }
    Ok(())
}

async fn hangup(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Bit 0 is signal 1.
    mask.is_some_and(|mask| mask & 1 == 1)
}
