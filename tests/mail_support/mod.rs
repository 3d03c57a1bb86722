//! A host of its own for a mail program: gatepost serves in it, unbound with its traps set asks gatepost, and the C
//! library asks unbound. What both are told is what `gatepost snippet` prints.
#![allow(dead_code)] // each test file uses its part

mod inside;
pub(crate) mod programs;

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::program::{Ended, run};
use crate::common::{installed, skipped};

/// Long enough for any machine; nothing waits for it unless the test fails.
const PATIENCE: Duration = Duration::from_secs(300);

/// On the own block list.
pub(crate) const LISTED: &str = "5.6.7.9";
/// There, and asked for only when nobody answers any more.
pub(crate) const LISTED_LATE: &str = "5.6.7.10";
/// On both own block lists, and on the allow list.
pub(crate) const LISTED_AND_GOOD: &str = "5.6.7.11";
/// There, and on the allow list; and then a person decides.
pub(crate) const GOOD_BUT_BLOCKED: &str = "5.6.7.17";
/// On no list until the sync brings it.
pub(crate) const COMES: &str = "5.6.7.12";
/// On no list until a person blocks it.
pub(crate) const BLOCKED: &str = "5.6.7.13";
/// On no list.
pub(crate) const UNLISTED: &str = "5.6.7.14";
/// On all three score lists, and on no other.
pub(crate) const BROAD: &str = "5.6.7.15";
/// On the bounce list alone.
pub(crate) const BACKSCATTER: &str = "5.6.7.16";
/// On the fetched block list, which expires.
pub(crate) const EXPIRES: &str = "5.6.7.20";
/// The test point that every zone lists.
pub(crate) const TEST_POINT: &str = "127.0.0.2";
/// A domain on the list of names.
pub(crate) const BAD_DOMAIN: &str = "example.edu";

const CONFIG: &str = r#"version = 1
state = "state"
[server]
listen = ["127.0.0.1:5354"]
[list.own]
file = "own.txt"
format = "plain"
use = "block"
code = "127.0.1.5"
text = "$ is on own"
[list.fetched]
url = "file://FOLDER/fetched.txt"
format = "plain"
use = "block"
code = "127.0.3.6"
floor = "0s"
soft-age = "10s"
hard-age = "20s"
[list.also]
file = "also.txt"
format = "plain"
use = "block"
code = "127.0.4.6"
[list.broad]
file = "broad.txt"
format = "plain"
use = "score"
code = "127.0.1.7"
[list.broader]
file = "broad.txt"
format = "plain"
use = "score"
code = "127.0.3.7"
[list.broadest]
file = "broad.txt"
format = "plain"
use = "score"
code = "127.0.4.7"
[list.backscatter]
file = "backscatter.txt"
format = "plain"
use = "bounce"
code = "127.0.1.8"
[list.good]
file = "good.txt"
format = "plain"
use = "allow"
code = "127.0.1.9"
[list.domains]
file = "domains.txt"
format = "names"
use = "block"
code = "127.0.1.10"
[zone."block.gatepost.internal"]
lists = ["own", "fetched", "also"]
ttl = "1s"
negative-ttl = "1s"
[zone."broad.gatepost.internal"]
lists = ["broad", "broader", "broadest"]
[zone."bounce.gatepost.internal"]
lists = ["backscatter"]
[zone."ok.gatepost.internal"]
lists = ["good"]
[zone."dbl.gatepost.internal"]
lists = ["domains"]
"#;

/// The host. All that runs in it ends with it.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    outer: Child,
    init: String,
    others: RefCell<Vec<Child>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        // The first process of its namespace goes with it, and so does everything there.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        self.others.get_mut().iter_mut().for_each(|other| drop(other.wait()));
    }
}

impl Host {
    /// With gatepost and a resolver that has been told of it. `None`, said loudly, where that cannot be.
    pub(crate) fn boot(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skipped(test, "only root may have namespaces with a mail server in them");
            return None;
        }
        for (program, package) in [("unbound", "unbound"), ("ip", "iproute2")] {
            installed(program, package, test)?;
        }
        let folder = tempfile::Builder::new().permissions(mode(0o755)).tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail_support/boot.sh");
        let mut outer = Command::new("unshare");
        outer.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh"]);
        outer.arg(script).arg(folder.path());
        let mut outer = outer.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let end = Instant::now() + PATIENCE;
        while !folder.path().join("booted").exists() {
            if outer.try_wait().unwrap().is_some() {
                let mut why = String::new();
                std::io::Read::read_to_string(&mut outer.stderr.take().unwrap(), &mut why).unwrap();
                skipped(test, &format!("no namespaces here: {}", why.trim()));
                return None;
            }
            assert!(Instant::now() < end, "it does not boot");
            thread::sleep(Duration::from_millis(20));
        }
        let children = format!("/proc/{0}/task/{0}/children", outer.id());
        let init = fs::read_to_string(children).unwrap().trim().to_owned();
        let host = Self { folder, outer, init, others: RefCell::default() };
        host.serve();
        host.resolve();
        Some(host)
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path of the host's own, as it is seen from outside.
    pub(crate) fn seen(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// Writes a file there, in which `FOLDER` stands for the folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text.replace("FOLDER", self.folder.path().to_str().unwrap())).unwrap();
        path
    }

    /// Makes a file or folder of it, with all in it, a user's of the host.
    pub(crate) fn give(&self, user: &str, name: &str) {
        assert!(self.command("chown").arg("-R").arg(user).arg(self.path(name)).status().unwrap().success());
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What is printed for `program`.
    pub(crate) fn snippet(&self, program: &str) -> String {
        self.gatepost(&["snippet", program]).expect(0).stdout
    }

    pub(crate) fn gatepost(&self, arguments: &[&str]) -> Ended {
        let config = self.path("gatepost.toml");
        run(arguments.iter().copied().chain(["--config", config.to_str().unwrap()]))
    }

    /// A program in the host.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--pid", "--target", &self.init, "--"]).arg(program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GATEPOST_"))
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Starts one; what it says is in the file `NAME.log`, its process id there in `NAME.pid`.
    pub(crate) fn start(&self, name: &str, program: &Path, arguments: &[&str]) {
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let mut command = self.command("sh");
        command.args(["-c", "echo $$ > \"$0\"; exec \"$@\""]).arg(self.path(&format!("{name}.pid")));
        command.arg(program).args(arguments).stdout(log.try_clone().unwrap()).stderr(log);
        self.others.borrow_mut().push(command.spawn().unwrap());
    }

    /// Ends what was started as `name`.
    pub(crate) fn stop(&self, name: &str) {
        let pid = self.read(&format!("{name}.pid"));
        assert!(self.command("kill").arg(pid.trim()).status().unwrap().success());
    }

    /// Sends what was started as `name` a signal.
    pub(crate) fn signal(&self, name: &str, signal: &str) {
        let pid = self.read(&format!("{name}.pid"));
        let sent = self.command("kill").args(["-s", signal]).arg(pid.trim()).status().unwrap();
        assert!(sent.success());
    }

    fn serve(&self) {
        self.file("gatepost.toml", CONFIG);
        self.file("own.txt", &format!("{LISTED}\n{LISTED_LATE}\n{LISTED_AND_GOOD}\n{GOOD_BUT_BLOCKED}\n"));
        self.file("also.txt", &format!("{LISTED_AND_GOOD}\n"));
        self.file("fetched.txt", &format!("{EXPIRES}\n"));
        self.file("broad.txt", &format!("{BROAD}\n"));
        self.file("backscatter.txt", &format!("{BACKSCATTER}\n"));
        self.file("good.txt", &format!("{LISTED_AND_GOOD}\n{GOOD_BUT_BLOCKED}\n"));
        self.file("domains.txt", &format!("{BAD_DOMAIN}\n"));
        self.gatepost(&["sync"]).expect(0);
        let config = self.path("gatepost.toml");
        let arguments = ["serve", "--config", config.to_str().unwrap()];
        self.start("gatepost", Path::new(env!("CARGO_BIN_EXE_gatepost")), &arguments);
        self.wait("gatepost", || self.is_listed(TEST_POINT, 5354));
    }

    fn resolve(&self) {
        self.file("unbound/gatepost.conf", &self.snippet("unbound"));
        self.file("root", ". 3600 IN NS ns.root.\nns.root. 3600 IN A 127.0.0.1\n");
        let config = self.file(
            "unbound.conf",
            "server:\n interface: 127.0.0.1\n do-daemonize: no\n use-syslog: no\n chroot: \"\"\n username: \"\"\n \
             directory: \"FOLDER\"\n pidfile: \"\"\n root-hints: \"FOLDER/root\"\n private-address: 127.0.0.0/8\n \
             module-config: \"validator iterator\"\n \
             trust-anchor: \". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\"\n\
             remote-control:\n control-enable: no\ninclude: \"FOLDER/unbound/gatepost.conf\"\n",
        );
        let program = installed("unbound", "unbound", "").unwrap();
        self.start("unbound", &program, &["-d", "-c", config.to_str().unwrap()]);
        self.wait("unbound", || self.is_listed(TEST_POINT, 53));
    }

    /// Whether the block zone has `address`, by whoever answers on `port`.
    pub(crate) fn is_listed(&self, address: &str, port: u16) -> bool {
        self.answers(address, port).starts_with("127.")
    }

    /// The same of another zone.
    pub(crate) fn is_listed_in(&self, zone: &str, address: &str, port: u16) -> bool {
        self.asked_in(zone, "127.0.0.1", address, port).starts_with("127.")
    }

    /// What the block zone has of `address`, by whoever answers on `port`.
    fn answers(&self, address: &str, port: u16) -> String {
        self.asked("127.0.0.1", address, port)
    }

    /// The same, by the server at another address.
    pub(crate) fn asked(&self, server: &str, address: &str, port: u16) -> String {
        self.asked_in("block", server, address, port)
    }

    fn asked_in(&self, zone: &str, server: &str, address: &str, port: u16) -> String {
        let mut octets: Vec<&str> = address.split('.').collect();
        octets.reverse();
        let name = format!("{}.{zone}.gatepost.internal", octets.join("."));
        let server = SocketAddr::new(server.parse().unwrap(), port);
        inside::network(&self.init, || inside::addresses(server, &name))
    }

    /// Waits until `done`; what `name` said when it never is.
    #[track_caller]
    pub(crate) fn wait(&self, name: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < end, "never; {name} said: {}", self.read(&format!("{name}.log")));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until something accepts connections on `port`.
    #[track_caller]
    pub(crate) fn wait_for_port(&self, name: &str, address: &str, port: u16) {
        let server = SocketAddr::new(address.parse().unwrap(), port);
        self.wait(name, || inside::network(&self.init, || inside::accepts(server)));
    }

    /// Waits until nothing accepts connections there any more.
    #[track_caller]
    pub(crate) fn wait_for_no_port(&self, name: &str, address: &str, port: u16) {
        let server = SocketAddr::new(address.parse().unwrap(), port);
        self.wait(name, || !inside::network(&self.init, || inside::accepts(server)));
    }

    /// The reply that decided about a mail from `client`.
    pub(crate) fn session(&self, port: u16, client: &str, sender: &str) -> String {
        self.session_of(port, client, sender, "client.example")
    }

    /// The same of a client that says `helo`.
    pub(crate) fn session_of(&self, port: u16, client: &str, sender: &str, helo: &str) -> String {
        self.sessions(port, &[Mail { client, sender, helo, ..Mail::default() }]).remove(0)
    }

    /// The replies that decided about each of several mails, which come at once.
    pub(crate) fn sessions(&self, port: u16, mails: &[Mail<'_>]) -> Vec<String> {
        let init = &*self.init;
        thread::scope(|scope| {
            let session = |mail| inside::network(init, || inside::session(port, mail));
            let spawned: Vec<_> =
                mails.iter().map(|mail| (mail, scope.spawn(move || session(mail)))).collect();
            let said = spawned.into_iter().map(|(mail, session)| {
                session.join().unwrap().unwrap_or_else(|error| panic!("{mail:?}: {error}"))
            });
            said.collect()
        })
    }
}

/// A mail, as far as it is said before its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mail<'a> {
    pub(crate) client: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) helo: &'a str,
    pub(crate) recipient: &'a str,
    pub(crate) logs_in: bool,
}

impl Default for Mail<'_> {
    /// From whom nobody lists, to a user of the host.
    fn default() -> Self {
        Self {
            client: UNLISTED,
            sender: programs::SENDER,
            helo: "client.example",
            recipient: "user@example.org",
            logs_in: false,
        }
    }
}

/// Of a reply: the refusal, or nothing when mail passes.
pub(crate) fn refusal(reply: String) -> Option<String> {
    match reply.split_at_checked(1)?.0 {
        "2" => None,
        "5" => Some(reply),
        _ => panic!("neither passed nor refused: {reply}"),
    }
}

/// A person's word counts more than all lists: a block more than allow lists, an allow more than block lists. `see` as below.
pub(crate) fn people_decide(host: &Host, see: impl Fn(&str) -> Option<String>) {
    host.gatepost(&["block", GOOD_BUT_BLOCKED]).expect(0);
    host.wait("gatepost", || host.answers(GOOD_BUT_BLOCKED, 53).contains("127.0.2.2"));
    assert!(see(GOOD_BUT_BLOCKED).is_some(), "an allow list outweighs what a person blocks");
    host.gatepost(&["allow", GOOD_BUT_BLOCKED]).expect(0);
    host.wait("gatepost", || !host.is_listed(GOOD_BUT_BLOCKED, 53));
    assert_eq!(see(GOOD_BUT_BLOCKED), None);
}

/// The life of a mail server's wiring. `see` lets a client send a mail: the refusal, or nothing when it passes.
pub(crate) fn proves(host: &Host, see: impl Fn(&str) -> Option<String>) {
    let refuses = |client: &str| {
        let said = see(client).unwrap_or_else(|| panic!("{client} was let through"));
        assert!(said.contains("block.gatepost.internal"), "{said}");
    };
    let passes = |client: &str| assert_eq!(see(client), None, "{client}");

    // The list that expires is fresh.
    host.gatepost(&["sync"]).expect(0);
    host.wait("gatepost", || host.is_listed(EXPIRES, 53));
    refuses(EXPIRES);
    refuses(LISTED);
    passes(UNLISTED);
    // It is listed, with a code that is no list's.
    passes(TEST_POINT);
    passes(LISTED_AND_GOOD);
    passes(BROAD);
    passes(BACKSCATTER);

    // What a sync brings counts in the next session.
    let own = host.read("own.txt");
    host.file("own.txt", &format!("{own}{COMES}\n"));
    host.gatepost(&["sync"]).expect(0);
    host.wait("gatepost", || host.is_listed(COMES, 5354));
    refuses(COMES);

    // What a person decides.
    host.gatepost(&["allow", LISTED]).expect(0);
    host.wait("gatepost", || !host.is_listed(LISTED, 53));
    passes(LISTED);
    host.gatepost(&["block", BLOCKED]).expect(0);
    host.wait("gatepost", || host.is_listed(BLOCKED, 5354));
    refuses(BLOCKED);

    // A list that is too old says nothing any more.
    host.wait("gatepost", || !host.is_listed(EXPIRES, 53));
    passes(EXPIRES);

    // Nobody answers: mail passes.
    assert!(host.is_listed(LISTED_LATE, 5354));
    host.stop("gatepost");
    host.wait("gatepost", || !host.is_listed(LISTED_LATE, 5354));
    passes(LISTED_LATE);
}

fn mode(bits: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(bits)
}
