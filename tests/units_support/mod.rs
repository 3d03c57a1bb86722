//! systemd as process 1 of namespaces of its own, with the unit files of `deploy/systemd` or without any.
#![allow(dead_code)] // each test file uses its part

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// How long something that has to happen may take before a test gives up. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Targets that units name; each of them is nothing but reached.
const TARGETS: [&str; 9] =
    ["idle", "sysinit", "basic", "timers", "sockets", "shutdown", "multi-user", "network", "network-online"];

pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd")
}

/// A machine of its own, as far as systemd can tell. Gone when dropped.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    _cgroup: Cgroup,
    outer: Child,
    init: i32,
    others: Vec<Child>,
}

/// What a command said.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    /// Boots it with gatepost and its units; why it cannot be done here otherwise.
    pub(crate) fn boot() -> Result<Self, String> {
        Self::boot_with(|units| copy(&deploy(), units), env!("CARGO_BIN_EXE_gatepost"))
    }

    /// Boots it without a gatepost, and without any unit but targets.
    pub(crate) fn bare() -> Result<Self, String> {
        Self::boot_with(|_| (), "bare")
    }

    fn boot_with(fill: impl FnOnce(&Path), program: &str) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("only root may have namespaces with a systemd in it".to_owned());
        }
        if !Path::new("/lib/systemd/systemd").exists() {
            return Err("systemd is not installed (apt-get install systemd)".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let units = folder.path().join("units");
        fs::create_dir(&units).unwrap();
        fill(&units);
        for target in TARGETS {
            let text = format!("[Unit]\nDescription={target}\nDefaultDependencies=no\n");
            fs::write(units.join(format!("{target}.target")), text).unwrap();
        }
        let cgroup = Cgroup::new()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/units_support/boot.sh");
        // The shell joins the group before there are namespaces: `unshare` becomes it, and all that follow.
        let mut outer = Command::new("sh");
        outer.arg("-c").arg("echo $$ >\"$1/cgroup.procs\"; shift; exec \"$@\"").arg("sh").arg(&cgroup.0);
        outer.args([
            "unshare",
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child",
            "sh",
        ]);
        outer.arg(script).arg(folder.path()).arg(program);
        let log = fs::File::create(folder.path().join("boot.log")).unwrap();
        let outer = outer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let outer = outer.map_err(|error| error.to_string())?;
        let mut machine = Self { folder, _cgroup: cgroup, outer, init: 0, others: Vec::new() };
        machine.wait_for_init()?;
        Ok(machine)
    }

    fn wait_for_init(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let outer = self.outer.id();
        loop {
            let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
            let child = children.ok().and_then(|text| text.split_whitespace().next()?.parse::<i32>().ok());
            let is_systemd = |pid: &i32| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "systemd")
            };
            if let Some(pid) = child.filter(is_systemd) {
                self.init = pid;
                if self.run(&["systemctl", "is-system-running"]).out.trim() == "running" {
                    return Ok(());
                }
            }
            let said = fs::read_to_string(self.folder.path().join("boot.log")).unwrap_or_default();
            if let Some(status) = self.outer.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("no namespaces with a systemd in it ({status}): {}", said.trim()));
            }
            if Instant::now() > deadline {
                return Err(format!("systemd does not come up in namespaces of its own: {}", said.trim()));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A path inside, as it is seen from here.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.init))
    }

    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_default()
    }

    /// A command inside, as root.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string()]);
        command.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wd"]);
        command.args(words).stdin(Stdio::null());
        for name in ["GATEPOST_CONFIG", "GATEPOST_STATE", "GATEPOST_LISTEN", "GATEPOST_LOG", "NOTIFY_SOCKET"]
        {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command inside to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let done = self.command(words).output().expect("nsenter starts");
        Ran {
            code: done.status.code(),
            out: String::from_utf8_lossy(&done.stdout).into_owned(),
            err: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// The same, which must end well; what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}{}\n{}", ran.out, ran.err, self.logs());
        ran.out
    }

    /// Starts a command inside that goes on outside of every unit.
    pub(crate) fn start(&mut self, words: &[&str]) {
        let log = fs::File::create(self.folder.path().join("others.log")).unwrap();
        let mut command = self.command(words);
        self.others.push(command.stdout(Stdio::null()).stderr(log).spawn().expect("nsenter starts"));
    }

    /// Waits until `done`.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "never: {what}\n{}", self.logs());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A property of a unit.
    #[track_caller]
    pub(crate) fn show(&self, unit: &str, property: &str) -> String {
        self.ok(&["systemctl", "show", "--value", "-p", property, unit]).trim().to_owned()
    }

    /// Changes lines of a unit as an administrator does, and has them read.
    pub(crate) fn edit(&self, unit: &str, name: &str, lines: &str) {
        self.write(&format!("/units/{unit}.d/{name}.conf"), lines);
        self.ok(&["systemctl", "daemon-reload"]);
    }

    /// What units wrote, and systemd itself.
    pub(crate) fn logs(&self) -> String {
        let own = fs::read_to_string(self.folder.path().join("boot.log")).unwrap_or_default();
        let others = fs::read_to_string(self.folder.path().join("others.log")).unwrap_or_default();
        let units = ["gatepost", "gatepost-sync"].map(|unit| self.read(&format!("/log-{unit}")));
        format!("systemd:\n{own}\nothers:\n{others}\nserve:\n{}\nsync:\n{}", units[0], units[1])
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With process 1 everything else in its namespace ends.
        if self.init > 0 {
            let _ = kill(Pid::from_raw(self.init), Signal::SIGKILL);
        }
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        for other in &mut self.others {
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}

/// A control group (v2) for what is started; removed when it is empty.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
        let v2 = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let v2 =
            v2.filter(|fields| fields.get(2) == Some(&"cgroup2")).find_map(|fields| fields.get(1).copied());
        let Some(v2) = v2 else { return Err("no control groups (v2) are mounted".to_owned()) };
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(v2).join(format!("gatepost-units-{}-{number}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("no control group of one's own: {error}"))?;
        Ok(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // Those that were in it are still being buried.
        while self.0.exists() && Instant::now() < deadline {
            remove(&self.0);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The groups below first.
fn remove(group: &Path) {
    let below = fs::read_dir(group).into_iter().flatten().filter_map(Result::ok);
    below.filter(|entry| entry.path().is_dir()).for_each(|entry| remove(&entry.path()));
    let _ = fs::remove_dir(group);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
