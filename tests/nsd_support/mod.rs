//! A running NSD on loopback with master files of ours.
#![allow(dead_code)] // each test file uses its part

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

/// Where NSD is; `None`, said loudly, where it is not installed.
pub(crate) fn nsd(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join("nsd")).find(|path| path.is_file());
    if found.is_none() {
        say(&format!("SKIPPED: {test}: nsd is not installed (apt-get install nsd)"));
    }
    found
}

/// A running NSD; ends with this.
pub(crate) struct Nsd {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nsd {
    /// Serves these zones: origin and file. All of them must load.
    pub(crate) fn start(program: &Path, zones: &[(&str, &[u8])]) -> Self {
        Self::start_with(program, zones, "")
    }

    /// The same with more lines of configuration.
    pub(crate) fn start_with(program: &Path, zones: &[(&str, &[u8])], more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        // A port that is free now.
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut config = format!(
            "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n zonesdir: \"{at}\"\n pidfile: \"{at}/pid\"\n \
             xfrdfile: \"{at}/xfrd\"\n zonelistfile: \"{at}/list\"\n logfile: \"{at}/log\"\n server-count: 1\n \
             database: \"\"\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n"
        );
        for (number, (origin, text)) in zones.iter().enumerate() {
            fs::write(folder.path().join(number.to_string()), text).expect("our folder");
            let _ = write!(config, "zone:\n name: \"{origin}\"\n zonefile: \"{number}\"\n");
        }
        config += more;
        let path = folder.path().join("config");
        fs::write(&path, config).expect("our folder");
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it can be started");
        let mut nsd = Self { child, address: ([127, 0, 0, 1], port).into(), _folder: folder };
        let log = || fs::read_to_string(path.with_file_name("log")).unwrap_or_default();
        let end = Instant::now() + PATIENCE;
        for (origin, _) in zones {
            loop {
                // NOERROR and a SOA record: it is loaded.
                if try_ask(nsd.address, origin, SOA)
                    .is_some_and(|reply| reply.rcode == 0 && reply.answers == 1)
                {
                    break;
                }
                let ended = nsd.child.try_wait().expect("a child");
                assert!(ended.is_none() && Instant::now() < end, "{origin} is not served: {}", log());
                thread::sleep(Duration::from_millis(50));
            }
        }
        nsd
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Nsd {
    fn drop(&mut self) {
        // It has children that it ends itself.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
