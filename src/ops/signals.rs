//! Signals as messages: HUP asks for a reload, TERM and INT for the end.

use std::io;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM or SIGINT: answer what has come, then end.
    Stop,
}

/// Hands every signal to `on` from now on, from a thread of its own. When this returns the handlers are in place.
/// Handlers, not a signal mask: a mask would be inherited by the sync child, which could not be told to end.
pub fn listen(on: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut hup, mut term, mut int) = {
        let _context = runtime.enter();
        (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async move {
            loop {
                let signal = tokio::select! {
                    _ = hup.recv() => Signal::Reload,
                    _ = term.recv() => Signal::Stop,
                    _ = int.recv() => Signal::Stop,
                };
                on(signal);
            }
        });
    })?;
    Ok(())
}
