//! A host for the doctor: a network of its own, with resolvers on port 53, and files of its own in the place of the system's.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod mail;
pub(crate) mod resolvers;

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

use crate::common::dns;
use crate::common::loud::skipped;
use crate::common::program::{Ended, Server, run};
use crate::common::site::Site;

/// Long enough for any machine; nothing waits for it unless the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `test` in a network and a mount namespace of its own, or says loudly that it cannot.
pub(crate) fn in_own_network(name: &str, test: impl FnOnce() + Send + 'static) {
    let name = name.to_owned();
    // Namespaces are a thread's, and what it starts has them, too.
    let thread = thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
            return skipped(&name, &format!("no namespaces of its own: {error}"));
        }
        did("mount", &["--make-rprivate", "/"]);
        did("ip", &["link", "set", "lo", "up"]);
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn did(program: &str, arguments: &[&str]) {
    let done =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
}

/// gatepost, serving, and the files that this thread sees in the place of the system's.
pub(crate) struct Host {
    pub(crate) site: Site,
    pub(crate) server: Option<Server>,
}

impl Host {
    /// With `zones`, which list 203.0.113.9, on a free port; `more` goes into each zone.
    pub(crate) fn start(zones: &[&str], more: &str) -> Self {
        Self::listening("127.0.0.1:0", zones, more)
    }

    /// The same on this address (or on several, with the quotation marks between them).
    pub(crate) fn listening(listen: &str, zones: &[&str], more: &str) -> Self {
        let site = Site::new();
        let list =
            "[list.own]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.5\"\n";
        let zones: String = zones.iter().map(|zone| Site::zone(zone, &["own"], more)).collect();
        fs::write(site.path("own.txt"), "203.0.113.9\n").unwrap();
        site.configure(&(list.to_owned() + &zones));
        site.sync(&[]).expect(0);
        let config = fs::read_to_string(site.config()).unwrap().replace("127.0.0.1:0", listen);
        fs::write(site.config(), config).unwrap();
        let server = site.serve();
        let config = fs::read_to_string(site.config()).unwrap();
        fs::write(site.config(), config.replace("127.0.0.1:0", &server.dns.to_string())).unwrap();
        let host = Self { site, server: Some(server) };
        host.resolv_conf("nameserver 127.0.0.1\n");
        host.instead_of("/etc/nsswitch.conf", "hosts: files dns\n");
        host
    }

    /// What the C library asks from now on.
    pub(crate) fn resolv_conf(&self, text: &str) {
        self.instead_of("/etc/resolv.conf", text);
    }

    /// Puts a file before a system's, for this thread and what it starts.
    pub(crate) fn instead_of(&self, system: &str, text: &str) {
        let file = self.site.path(&system.replace('/', "_"));
        // Not written over: what is mounted already is that very file.
        let is_there = file.exists();
        fs::write(&file, text).unwrap();
        if !is_there {
            did("mount", &["--bind", file.to_str().unwrap(), system]);
        }
    }

    /// Hides what the system has of mail programs, and gives it this `main.cf`; `false` where there is no place for it.
    pub(crate) fn main_cf(&self, text: &str) -> bool {
        for folder in ["/etc/exim4", "/var/lib/exim4", "/etc/rspamd", "/etc/spamassassin"] {
            if !Path::new(folder).is_dir() {
                continue;
            }
            did("mount", &["-t", "tmpfs", "nothing", folder]);
        }
        let has_place = Path::new("/etc/postfix").is_dir();
        if has_place {
            did("mount", &["-t", "tmpfs", "nothing", "/etc/postfix"]);
            fs::write("/etc/postfix/main.cf", text).unwrap();
        }
        has_place
    }

    /// Puts an empty folder before a system's, for this thread and what it starts; `false` where there is none.
    pub(crate) fn empty(&self, folder: &str) -> bool {
        let is_there = Path::new(folder).is_dir();
        if is_there {
            did("mount", &["-t", "tmpfs", "nothing", folder]);
        }
        is_there
    }

    /// A folder that the system does not have, in a copy of one that it has, for this thread and what it starts.
    pub(crate) fn make_place(&self, within: &str, name: &str) {
        let copy = self.site.path("copy");
        fs::create_dir(&copy).unwrap();
        did("cp", &["-a", &format!("{within}/."), copy.to_str().unwrap()]);
        did("mount", &["--bind", copy.to_str().unwrap(), within]);
        fs::create_dir_all(Path::new(within).join(name)).unwrap();
    }

    pub(crate) fn snippet(&self, program: &str) -> String {
        run(["snippet", program, "--config", self.site.config().to_str().unwrap()]).expect(0).stdout
    }

    /// Lines more in the configuration, of which the server knows nothing.
    pub(crate) fn configure_more(&self, more: &str) {
        let config = fs::read_to_string(self.site.config()).unwrap();
        let more = more.replace("WEB", &self.site.web.url(""));
        fs::write(self.site.config(), config + &more).unwrap();
    }

    /// Has the server read its configuration again, and waits until it serves `zone`.
    pub(crate) fn reload(&mut self, zone: &str) {
        let serial = self.site.serial(zone);
        let server = self.server.as_mut().unwrap();
        nix::sys::signal::kill(server.pid(), nix::sys::signal::Signal::SIGHUP).unwrap();
        server.wait_for_serial(zone, serial);
    }

    /// `gatepost doctor --json` with more arguments.
    pub(crate) fn doctor(&self, more: &[&str]) -> Diagnosis {
        let config = self.site.config();
        let arguments = ["doctor", "--json", "--config", config.to_str().unwrap()];
        Diagnosis(run(arguments.iter().chain(more)))
    }
}

/// What the doctor said.
#[derive(Debug)]
pub(crate) struct Diagnosis(pub(crate) Ended);

impl Diagnosis {
    /// The cures of a finding.
    pub(crate) fn cures(&self, name: &str) -> Vec<(String, String)> {
        let cures = self.finding(name)["cures"].as_array().unwrap().clone();
        let text = |cure: &Value, key: &str| cure[key].as_str().unwrap().to_owned();
        cures.iter().map(|cure| (text(cure, "how"), text(cure, "lines"))).collect()
    }

    pub(crate) fn json(&self) -> Value {
        self.0.json()
    }

    /// The names of all findings in these stations.
    pub(crate) fn findings(&self, areas: &[&str]) -> Vec<String> {
        let json = self.json();
        let checks = json["checks"].as_array().unwrap().iter();
        let wrong = checks.filter(|check| areas.contains(&check["area"].as_str().unwrap()));
        wrong.filter_map(|check| check["name"].as_str()).map(str::to_owned).collect()
    }

    /// Nothing is wrong in these stations, and something was looked at.
    #[track_caller]
    pub(crate) fn is_right_in(&self, areas: &[&str]) {
        assert_eq!(self.findings(areas), [""; 0], "{self:#?}");
        for area in areas {
            let json = self.json();
            assert!(
                json["checks"].as_array().unwrap().iter().any(|check| check["area"] == **area),
                "{self:#?}"
            );
        }
    }

    /// The finding of this name.
    #[track_caller]
    pub(crate) fn finding(&self, name: &str) -> Value {
        let json = self.json();
        let mut checks = json["checks"].as_array().unwrap().iter();
        checks.find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {self:#?}")).clone()
    }

    /// The first thing that is wrong is `name`: its cures.
    #[track_caller]
    pub(crate) fn first(&self, name: &str) -> Vec<String> {
        let json = self.json();
        assert_eq!(self.0.code, Some(1), "{self:#?}");
        assert_eq!(json["first"]["name"], name, "{self:#?}");
        assert!(json["first"]["cause"].as_str().is_some_and(|cause| cause.len() > 10), "{self:#?}");
        let cures = json["first"]["cures"].as_array().unwrap();
        assert!(!cures.is_empty(), "{self:#?}");
        cures.iter().map(|cure| cure["lines"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a shell says that runs it.
pub(crate) fn sh(script: &str) -> String {
    let done = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// A resolver on 127.0.0.1:53; stopped when the test ends, however it ends.
pub(crate) struct Resolver {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Resolver {
    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts what `command` makes of a folder, and waits until it answers anything.
    pub(crate) fn start(command: impl Fn(&Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let file = fs::File::create(&log).unwrap();
        let mut command = command(folder.path());
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let mut resolver = Self { child: command.spawn().unwrap(), folder };
        let end = Instant::now() + PATIENCE;
        while !is_up() {
            let ended = resolver.child.try_wait().unwrap();
            let said = || fs::read_to_string(&log).unwrap();
            assert!(ended.is_none() && Instant::now() < end, "it does not answer: {ended:?}, {}", said());
        }
        resolver
    }
}

/// Whether anything is answered to a question that nobody has to be asked for: recursion is not wanted.
fn is_up() -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut packet = dns::question("is.it.up.example", dns::A);
    packet[2] = 0;
    let asked = socket.send_to(&packet, "127.0.0.1:53");
    let answered = asked.is_ok() && socket.recv(&mut [0; 1500]).is_ok();
    if !answered {
        thread::sleep(Duration::from_millis(20));
    }
    answered
}

/// A file of `text` in a folder.
pub(crate) fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// The text without the lines that have `what` in them; there must be some.
pub(crate) fn without(text: &str, what: &str) -> String {
    let kept: String =
        text.lines().filter(|line| !line.contains(what)).map(|line| format!("{line}\n")).collect();
    assert_ne!(kept, text, "no line has {what}");
    kept
}
