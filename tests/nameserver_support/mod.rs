//! NSD and Knot DNS on loopback with master files of ours.
#![allow(dead_code)] // each test file uses its part

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::dns::{SOA, try_ask};
use crate::common::installed;

/// How long it may take to load its zones on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where NSD is; `None`, said loudly, where it is not installed.
pub(crate) fn nsd(test: &str) -> Option<PathBuf> {
    installed("nsd", "nsd", test)
}

/// Where Knot is; `None`, said loudly, where it is not installed.
pub(crate) fn knot(test: &str) -> Option<PathBuf> {
    installed("knotd", "knot", test)
}

/// A running name server; ends with this.
pub(crate) struct Nameserver {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nameserver {
    /// NSD with these zones (origin and file, all of which must load) and more lines of configuration.
    pub(crate) fn nsd(program: &Path, zones: &[(&str, &[u8])], more: &str) -> Self {
        Self::start(program, &["-d"], zones, |at, port| {
            let mut config = format!(
                "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n zonesdir: \"{at}\"\n pidfile: \"{at}/pid\"\n \
                 xfrdfile: \"{at}/xfrd\"\n zonelistfile: \"{at}/list\"\n logfile: \"{at}/log\"\n server-count: 1\n \
                 database: \"\"\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n"
            );
            for (number, (origin, _)) in zones.iter().enumerate() {
                let _ = write!(config, "zone:\n name: \"{origin}\"\n zonefile: \"{number}\"\n");
            }
            config + more
        })
    }

    /// Knot with these zones (origin and file, all of which must load), and zones that have no file. It gives out cookies.
    pub(crate) fn knot(program: &Path, zones: &[(&str, &[u8])], empty: &[&str]) -> Self {
        Self::start(program, &[], zones, |at, port| {
            let mut config = format!(
                "server:\n  listen: 127.0.0.1@{port}\n  version: Knot\n  identity: Knot\n  nsid: knot\n  rundir: {at}\n  udp-workers: 1\n  \
                 tcp-workers: 1\n  background-workers: 1\nlog:\n- target: {at}/log\n  any: info\ndatabase:\n  \
                 storage: {at}/db\ntemplate:\n- id: default\n  storage: {at}\n  zonefile-sync: -1\n  \
                 journal-content: none\n  global-module: mod-cookies\nzone:\n"
            );
            for (number, (origin, _)) in zones.iter().enumerate() {
                let _ = write!(config, "- domain: {origin}\n  file: {number}\n");
            }
            for origin in empty {
                let _ = write!(config, "- domain: {origin}\n  file: nothing\n");
            }
            config
        })
    }

    /// Zone files are called `0`, `1` and so on, in the folder that `config` is told, beside the port; the log is `log`.
    fn start(
        program: &Path,
        arguments: &[&str],
        zones: &[(&str, &[u8])],
        config: impl Fn(&str, u16) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (number, (_, text)) in zones.iter().enumerate() {
            fs::write(folder.path().join(number.to_string()), text).expect("our folder");
        }
        let port = free_port();
        let path = folder.path().join("config");
        let at = folder.path().display().to_string();
        fs::write(&path, config(&at, port)).expect("our folder");
        let mut command = Command::new(program);
        command.args(arguments).arg("-c").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it can be started");
        let mut server = Self { child, address: ([127, 0, 0, 1], port).into(), _folder: folder };
        let log = || fs::read_to_string(path.with_file_name("log")).unwrap_or_default();
        let end = Instant::now() + PATIENCE;
        for (origin, _) in zones {
            // NOERROR and a SOA record: it is loaded.
            let is_loaded = |address| {
                try_ask(address, origin, SOA).is_some_and(|reply| reply.rcode == 0 && reply.answers == 1)
            };
            while !is_loaded(server.address) {
                let ended = server.child.try_wait().expect("a child");
                assert!(ended.is_none() && Instant::now() < end, "{origin} is not served: {}", log());
                thread::sleep(Duration::from_millis(50));
            }
        }
        server
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port that is free now, over UDP and over TCP.
fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = udp.local_addr().expect("a port");
        if TcpListener::bind(address).is_ok() {
            return address.port();
        }
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        // Children that it has it ends itself.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
