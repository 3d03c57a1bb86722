//! Words to the service manager (sd_notify(3)). Without one every call does nothing.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The service manager, if there is one that listens.
#[derive(Debug)]
pub struct Manager {
    /// Connected from the start, so that it is heard from inside another root folder too.
    socket: Option<UnixDatagram>,
    /// How often it wants a sign of life, and when the next is due.
    watchdog: Option<(Duration, Instant)>,
}

impl Manager {
    /// As the environment says (`NOTIFY_SOCKET`, `WATCHDOG_USEC`). Before the root folder changes, and the user.
    pub fn from_environment(now: Instant) -> Self {
        let connected = std::env::var_os("NOTIFY_SOCKET").map(|path| connect(&path));
        let socket = connected.transpose().unwrap_or_else(|error| {
            tell_deaf(&error);
            None
        });
        // Twice as often as asked for, as sd_watchdog_enabled(3) recommends.
        let watchdog = sd_notify::watchdog_enabled().map(|every| every / 2).filter(|every| !every.is_zero());
        Self { socket, watchdog: watchdog.map(|every| (every, now + every)) }
    }

    /// The service answers.
    pub fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// It is reading its configuration again; [`ready`](Self::ready) follows.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// It is ending.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// A line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    /// Gives the sign of life that is due.
    pub fn alive(&mut self, now: Instant) {
        let Some((every, _)) = self.watchdog.filter(|(_, due)| *due <= now) else { return };
        self.tell(&[NotifyState::Watchdog]);
        self.watchdog = Some((every, now + every));
    }

    /// When the next sign of life is due.
    pub fn due(&self) -> Option<Instant> {
        self.watchdog.map(|(_, due)| due)
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let text: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = socket.send(text.as_bytes()) {
            tell_deaf(&error);
        }
    }
}

/// To a path, or to a name in the abstract namespace (`@name`).
fn connect(to: &OsStr) -> io::Result<UnixDatagram> {
    let address = match to.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(to)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

fn tell_deaf(error: &io::Error) {
    tracing::warn!(%error, "the service manager does not listen");
}
