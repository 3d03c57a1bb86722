//! Log lines to syslog(3), for a process without a terminal.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::fmt::MakeWriter;

/// Where the system's log listens.
const SOCKET: &str = "/dev/log";

/// The facilities of syslog(3), by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// The system's log. Lines come with the priority in angle brackets before them.
#[derive(Debug, Clone)]
pub struct Syslog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Connected once: a process that changes its root folder does not find it any more.
    socket: Option<UnixDatagram>,
    facility: usize,
    name: &'static str,
    /// Lines go to stderr as well.
    echo: AtomicBool,
}

impl Syslog {
    /// Under this facility and program name; `None` for a facility that there is not.
    pub fn open(facility: &str, name: &'static str, echo: bool) -> Option<Self> {
        let facility = FACILITIES.iter().position(|known| *known == facility)?;
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect(SOCKET)?;
            Ok::<_, io::Error>(socket)
        };
        let inner = Inner { socket: connect().ok(), facility, name, echo: AtomicBool::new(echo) };
        Some(Self(Arc::new(inner)))
    }

    /// No line goes to stderr any more.
    pub fn be_quiet(&self) {
        self.0.echo.store(false, Ordering::Relaxed);
    }
}

impl Write for Syslog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let (priority, text) = parted(line);
        if self.0.echo.load(Ordering::Relaxed) {
            io::stderr().write_all(&[self.0.name.as_bytes(), b": ", text].concat())?;
        }
        if let Some(socket) = &self.0.socket {
            let head =
                format!("<{}>{}[{}]: ", self.0.facility * 8 + priority, self.0.name, std::process::id());
            // A log that is full or gone must not stop the program.
            let _ = socket.send(&[head.as_bytes(), text.trim_ascii_end()].concat());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Syslog {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// `<6>text`; informational without a priority.
fn parted(line: &[u8]) -> (usize, &[u8]) {
    match line {
        [b'<', digit @ b'0'..=b'7', b'>', text @ ..] => (usize::from(digit - b'0'), text),
        text => (6, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_and_facilities() {
        assert_eq!(parted(b"<3>x"), (3, &b"x"[..]));
        assert_eq!(parted(b"x"), (6, &b"x"[..]));
        assert_eq!(parted(b"<9>x"), (6, &b"<9>x"[..]));
        assert!(Syslog::open("local7", "x", false).is_some_and(|log| log.0.facility == 23));
        assert!(Syslog::open("nonsense", "x", false).is_none());
    }
}
