//! A running Knot DNS on loopback with master files of ours.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::dns::{SOA, try_ask};
use crate::common::say;

/// How long it may take to load its zones on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where Knot is; `None`, said loudly, where it is not installed.
pub(crate) fn knot(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join("knotd")).find(|path| path.is_file());
    if found.is_none() {
        say(&format!("SKIPPED: {test}: knotd is not installed (apt-get install knot)"));
    }
    found
}

/// A running Knot; ends with this.
pub(crate) struct Knot {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Knot {
    /// Serves these zones: origin and file. All of them must load. And zones that have none. It gives out cookies.
    pub(crate) fn start(program: &Path, zones: &[(&str, &[u8])], empty: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        // A port that is free now.
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut config = format!(
            "server:\n  listen: 127.0.0.1@{port}\n  version: Knot\n  nsid: knot\n  rundir: {at}\n  udp-workers: 1\n  tcp-workers: 1\n  \
             background-workers: 1\nlog:\n- target: {at}/log\n  any: info\ndatabase:\n  storage: {at}/db\n\
             template:\n- id: default\n  storage: {at}\n  zonefile-sync: -1\n  journal-content: none\n  \
             global-module: mod-cookies\nzone:\n"
        );
        for (number, (origin, text)) in zones.iter().enumerate() {
            fs::write(folder.path().join(number.to_string()), text).expect("our folder");
            let _ = write!(config, "- domain: {origin}\n  file: {number}\n");
        }
        for origin in empty {
            let _ = write!(config, "- domain: {origin}\n  file: nothing\n");
        }
        let path = folder.path().join("config");
        fs::write(&path, config).expect("our folder");
        let mut command = Command::new(program);
        command.arg("-c").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it can be started");
        let mut knot = Self { child, address: ([127, 0, 0, 1], port).into(), _folder: folder };
        let log = || fs::read_to_string(path.with_file_name("log")).unwrap_or_default();
        let end = Instant::now() + PATIENCE;
        for (origin, _) in zones {
            loop {
                // NOERROR and a SOA record: it is loaded.
                if try_ask(knot.address, origin, SOA)
                    .is_some_and(|reply| reply.rcode == 0 && reply.answers == 1)
                {
                    break;
                }
                let ended = knot.child.try_wait().expect("a child");
                assert!(ended.is_none() && Instant::now() < end, "{origin} is not served: {}", log());
                thread::sleep(Duration::from_millis(50));
            }
        }
        knot
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
