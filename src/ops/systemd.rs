//! What there is to say to the service manager (sd_notify(3)), and the sockets that it hands over (sd_listen_fds(3)). Without one
//! every call does nothing.
//!
//! Read [`Manager`]. Never: waiting for a manager that does not listen.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::watchdog;
use crate::server::{Handed, Pulse, Server, Thread};

/// When what found no room is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// More than this is not kept for a manager that takes nothing; the oldest goes.
const OWED: usize = 8;
/// How often the line for `systemctl status` is made anew.
const STATUS: Duration = Duration::from_secs(60);

/// Environment that is between this very process and the service manager: no child of ours is to have it.
pub const NOT_INHERITED: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// The service manager, if there is one that listens.
#[derive(Debug)]
pub struct Manager {
    /// Connected from the start, so that it is heard from inside another root folder too.
    socket: Option<UnixDatagram>,
    /// Twice as often as it wants a sign of life.
    watchdog: Option<Duration>,
    /// Of the loop that has this; the thread that gives the signs of life ends with the other.
    guard: Option<Sender<()>>,
    pulse: Pulse,
    /// What it has to hear and had no room for. Never signs of life: late ones would be lies.
    owed: VecDeque<String>,
    /// The last line, and when it may have become wrong.
    status: (String, Instant),
}

impl Manager {
    /// As the environment says (`NOTIFY_SOCKET`, `WATCHDOG_USEC`). Before the root folder changes, and the user.
    pub fn from_environment() -> Self {
        let connected = std::env::var_os("NOTIFY_SOCKET").map(|path| connect(&path));
        let socket = connected.transpose().unwrap_or_else(|error| {
            tell_deaf(&error);
            None
        });
        // As sd_watchdog_enabled(3) recommends.
        let watchdog = sd_notify::watchdog_enabled().map(|every| every / 2).filter(|every| !every.is_zero());
        Self {
            watchdog: watchdog.filter(|_| socket.is_some()),
            socket,
            guard: None,
            pulse: Pulse::default(),
            owed: VecDeque::new(),
            status: (String::new(), Instant::now() + STATUS),
        }
    }

    /// The service answers. From now on signs of life are given while the threads of `server` and the loop that
    /// [rests](Self::rest) go on.
    pub fn ready(&mut self, server: &Server, status: &str) {
        self.status.0 = status.to_owned();
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        if self.guard.is_none()
            && let Err(error) = self.watch(server)
        {
            tracing::warn!(%error, "no thread can be started that gives the service manager signs of life");
        }
    }

    /// It is reading its configuration again; [`ready`](Self::ready) follows.
    pub fn reloading(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// It is ending.
    pub fn stopping(&mut self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// A line for `systemctl status`.
    pub fn status(&mut self, status: &str) {
        self.status.0 = status.to_owned();
        self.tell(&[NotifyState::Status(status)]);
    }

    /// Waits with `wait`, for `longest` or until there is something to say: a sign of life, `status` once a minute, or what
    /// is owed.
    pub fn rest<T>(
        &mut self,
        longest: Duration,
        status: impl FnOnce() -> String,
        wait: impl FnOnce(Duration) -> T,
    ) -> T {
        let mut nap = longest;
        if self.socket.is_some() {
            if self.status.1 <= Instant::now() {
                self.renew_status(&status());
            }
            self.catch_up();
            nap = nap.min(self.status.1.saturating_duration_since(Instant::now()));
        }
        if let Some(every) = self.watchdog {
            nap = nap.min(every);
        }
        if !self.owed.is_empty() {
            nap = nap.min(AGAIN);
        }
        self.pulse.rest(|| wait(nap))
    }

    fn renew_status(&mut self, status: &str) {
        self.status.1 = Instant::now() + STATUS;
        if self.status.0 != status {
            self.status(status);
        }
    }

    fn watch(&mut self, server: &Server) -> io::Result<()> {
        let (Some(every), Some(socket)) = (self.watchdog, &self.socket) else { return Ok(()) };
        let (signs, pulse, socket) = (server.signs(), self.pulse.clone(), socket.try_clone()?);
        let signs = move || signs().into_iter().chain([pulse.sign(Thread::Service)]).collect();
        let alive = move || {
            // One that has no room now is not told later that this process was alive.
            let _ = socket.send(format!("{}\n", NotifyState::Watchdog).as_bytes());
        };
        self.guard = Some(watchdog::watch(every, signs, alive)?);
        Ok(())
    }

    fn tell(&mut self, states: &[NotifyState<'_>]) {
        if self.socket.is_none() {
            return;
        }
        if self.owed.len() >= OWED {
            self.owed.pop_front();
        }
        self.owed.push_back(states.iter().map(|state| format!("{state}\n")).collect());
        self.catch_up();
    }

    /// In the order in which it was said.
    fn catch_up(&mut self) {
        let Some(socket) = &self.socket else { return };
        while let Some(text) = self.owed.front() {
            match socket.send(text.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => tell_deaf(&error),
                Ok(_) => {}
            }
            self.owed.pop_front();
        }
    }
}

/// What the service manager has bound for us. Once: it is ours from then on.
pub fn handed() -> Handed {
    let mut there = ListenFd::from_env();
    let mut handed = Handed::default();
    for index in 0..there.len() {
        match (there.take_udp_socket(index), there.take_tcp_listener(index)) {
            (Ok(Some(socket)), _) => handed.udp.push(socket),
            (_, Ok(Some(listener))) => handed.tcp.push(listener),
            _ => tracing::warn!("socket {index} of the service manager is neither UDP nor TCP: left alone"),
        }
    }
    handed
}

/// To a path, or to a name in the abstract namespace (`@name`).
fn connect(to: &OsStr) -> io::Result<UnixDatagram> {
    let address = match to.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(to)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn tell_deaf(error: &io::Error) {
    tracing::warn!(%error, "the service manager does not listen");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager at an address of its own, and the program's words to it.
    fn heard_at(name: &str) -> (UnixDatagram, Manager) {
        let address =
            SocketAddr::from_abstract_name(format!("gatepost-{name}-{}", std::process::id())).unwrap();
        let there = UnixDatagram::bind_addr(&address).unwrap();
        there.set_nonblocking(true).unwrap();
        let here = UnixDatagram::unbound().unwrap();
        here.connect_addr(&address).unwrap();
        here.set_nonblocking(true).unwrap();
        (there, Manager { socket: Some(here), ..Manager::from_environment() })
    }

    fn next(there: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 4096];
        let len = there.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..len].to_vec()).unwrap())
    }

    /// The system keeps a few datagrams for a reader that takes none; nothing waits for one that takes none for ever.
    #[test]
    fn a_manager_that_takes_nothing_holds_nobody_up_and_hears_what_matters_later() {
        let (there, mut manager) = heard_at("slow");
        let mut lines = 0;
        while manager.owed.len() < OWED {
            lines += 1;
            manager.status(&format!("line {lines}"));
            assert!(lines < 100_000, "there is always room");
        }
        manager.reloading();
        manager.tell(&[NotifyState::Ready]);
        assert_eq!(manager.owed.len(), OWED);
        assert_eq!(manager.rest(Duration::from_secs(3600), String::new, |nap| nap), AGAIN);
        let mut all = Vec::new();
        while let Some(text) = next(&there) {
            all.push(text);
            manager.rest(Duration::ZERO, String::new, drop);
        }
        assert!(manager.owed.is_empty());
        assert_eq!(all[0], "STATUS=line 1\n");
        assert_eq!(all.last().unwrap(), "READY=1\n");
        assert!(all[all.len() - 2].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{all:?}");
    }

    #[test]
    fn a_line_is_renewed_when_it_has_become_another() {
        let (there, mut manager) = heard_at("status");
        manager.status("one");
        assert_eq!(next(&there).as_deref(), Some("STATUS=one\n"));
        manager.rest(Duration::ZERO, || panic!("it was told just now"), drop);
        for (line, told) in [("one", None), ("two", Some("STATUS=two\n"))] {
            manager.status.1 = Instant::now();
            manager.rest(Duration::ZERO, || line.to_owned(), drop);
            assert_eq!(next(&there).as_deref(), told);
        }
    }
}
