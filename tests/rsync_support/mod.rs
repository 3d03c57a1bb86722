//! A real rsync daemon and a real sshd on loopback, each with a configuration of its own, and a relay that counts octets,
//! stalls and trickles. All of them end with the value that holds them.
#![allow(dead_code)] // each test file uses its part

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// User and password of the module `closed`.
pub(crate) const USER: &str = "mirror";
pub(crate) const PASSWORD: &str = "s3cr3t-horse-battery";

/// An rsync daemon with the modules `open` and `closed` (with a password), both of the same folder.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Daemon {
    /// `rsync` is the program.
    pub(crate) fn start(rsync: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("lists")).unwrap();
        fs::write(path("secrets"), format!("{USER}:{PASSWORD}\n")).unwrap();
        fs::set_permissions(path("secrets"), Permissions::from_mode(0o600)).unwrap();
        let root = if nix::unistd::geteuid().is_root() { "uid = 0\ngid = 0\n" } else { "" };
        let shown = folder.path().display();
        let text = format!(
            "{root}use chroot = no\nreverse lookup = no\nlog file = {shown}/log\npid file = {shown}/pid\n\
             [open]\npath = {shown}/lists\n\
             [closed]\npath = {shown}/lists\nauth users = {USER}\nsecrets file = {shown}/secrets\n"
        );
        fs::write(path("rsyncd.conf"), text).unwrap();
        let address = free();
        let child = Command::new(rsync)
            .args(["--daemon", "--no-detach", "--address=127.0.0.1"])
            .arg(format!("--port={}", address.port()))
            .arg(format!("--config={shown}/rsyncd.conf"))
            .stdin(Stdio::null())
            .spawn()
            .expect("the daemon starts");
        let daemon = Self { child, folder, address };
        reachable(address);
        daemon
    }

    /// Puts a file in its folder.
    pub(crate) fn put(&self, name: &str, body: impl AsRef<[u8]>) {
        fs::write(self.path(name), body).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("lists").join(name)
    }

    pub(crate) fn url(&self, rest: &str) -> String {
        format!("rsync://{}/{rest}", self.address)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("our child");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An sshd that lets one key in.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    /// Made for it, and gone with it.
    run: Option<PathBuf>,
}

impl Sshd {
    /// `Err` says why there can be none.
    pub(crate) fn start(sshd: &Path, keygen: &Path) -> Result<Self, String> {
        // Compiled in; only root needs it.
        let run = Path::new("/run/sshd");
        let mut made = None;
        if nix::unistd::geteuid().is_root() && !run.is_dir() {
            fs::create_dir(run)
                .map_err(|error| format!("no {} and none can be made: {error}", run.display()))?;
            made = Some(run.to_owned());
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["host", "user", "stranger"] {
            let done = Command::new(keygen)
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(path(name))
                .status()
                .expect("ssh-keygen runs");
            assert!(done.success());
        }
        fs::copy(path("user.pub"), path("authorized_keys")).unwrap();
        let address = free();
        let shown = folder.path().display();
        let text = format!(
            "ListenAddress {address}\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/authorized_keys\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        );
        fs::write(path("sshd_config"), text).unwrap();
        let child = Command::new(sshd)
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(path("log")).unwrap())
            .spawn()
            .expect("sshd starts");
        let mut sshd = Self { child, folder, address, run: made };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if sshd.child.try_wait().unwrap().is_some() || Instant::now() > deadline {
                return Err(format!("sshd does not run: {}", fs::read_to_string(sshd.path("log")).unwrap()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        let known = fs::read_to_string(sshd.path("host.pub")).unwrap();
        fs::write(sshd.path("known_hosts"), format!("[127.0.0.1]:{} {known}", address.port())).unwrap();
        Ok(sshd)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Of a file, as the user who runs this.
    pub(crate) fn url(&self, file: &Path) -> String {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().expect("a user").name;
        format!("rsync+ssh://{user}@{}{}", self.address, file.display())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(run) = &self.run {
            let _ = fs::remove_dir(run);
        }
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[track_caller]
fn reachable(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody at {address}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a relay does with what comes from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Straight,
    /// After so many octets nothing more.
    StallsAfter(u64),
    /// An octet now and then.
    Trickles,
    /// After so many octets the end.
    CutsAfter(u64),
}

/// Stands before a server and counts.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// Octets from the server.
    down: Arc<AtomicU64>,
    /// Octets to it.
    up: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Relay {
    pub(crate) fn new(to: SocketAddr, way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (down, up, connections) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let stop = Arc::new(AtomicBool::new(false));
        let relay = Self { address, down, up, connections, stop };
        let (down, up, connections, stop) =
            (relay.down.clone(), relay.up.clone(), relay.connections.clone(), relay.stop.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                connections.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(to).unwrap();
                let (from, back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (up, stopped) = (up.clone(), stop.clone());
                thread::spawn(move || pass(from, back, &up, Way::Straight, &stopped));
                let (down, stopped) = (down.clone(), stop.clone());
                thread::spawn(move || pass(server, client, &down, way, &stopped));
            }
        });
        relay
    }

    /// Octets from the server and to it since the last time, and connections.
    pub(crate) fn counted(&self) -> (u64, u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        (take(&self.down), take(&self.up), take(&self.connections))
    }

    pub(crate) fn url(&self, rest: &str) -> String {
        format!("rsync://{}/{rest}", self.address)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64, way: Way, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    let mut passed = 0u64;
    'all: while let Ok(read @ 1..) = from.read(&mut buffer) {
        let mut octets = &buffer[..read];
        while !octets.is_empty() {
            let now = match way {
                Way::Straight => octets.len(),
                Way::Trickles => 1,
                Way::StallsAfter(limit) | Way::CutsAfter(limit) => {
                    octets.len().min((limit - passed) as usize)
                }
            };
            if way == Way::Trickles {
                thread::sleep(Duration::from_millis(50));
            }
            if now == 0 {
                while matches!(way, Way::StallsAfter(_)) && !stop.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(20));
                }
                break 'all;
            }
            if to.write_all(&octets[..now]).is_err() {
                break 'all;
            }
            passed += now as u64;
            count.fetch_add(now as u64, Ordering::Relaxed);
            octets = &octets[now..];
        }
    }
    let _ = to.shutdown(if matches!(way, Way::CutsAfter(_)) { Shutdown::Both } else { Shutdown::Write });
}

/// Ids of living processes with `word` in their command line, but this one and those that are over and not yet waited for.
pub(crate) fn processes(word: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("Linux").flatten();
    entries
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            (id != std::process::id() && String::from_utf8_lossy(&line).contains(word)).then_some(id)
        })
        .collect()
}

/// Waits until there is one, or none.
#[track_caller]
pub(crate) fn wait_for_processes(word: &str, some: bool) {
    let deadline = Instant::now() + PATIENCE;
    while processes(word).is_empty() == some {
        assert!(Instant::now() < deadline, "processes with {word}: {:?}", processes(word));
        thread::sleep(Duration::from_millis(20));
    }
}
