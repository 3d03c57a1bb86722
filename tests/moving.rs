//! docs/moving-from-rbldnsd.md, run from its beginning to its end: what it shows is there (Debian's rbldnsd under that command line,
//! unbound before it), and its commands do what it says. Paths and ports are moved into a folder; systemctl is played here.
#![cfg(feature = "full")]

mod common;

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::dns::{A, NOERROR, NXDOMAIN, TXT, try_ask};
use common::program::{PATIENCE, Server, gatepost};
use common::{free_port, installed};

const PAGE: &str = "docs/moving-from-rbldnsd.md";

/// The blocks of the page with this word behind the fence.
fn blocks(page: &str, word: &str) -> Vec<String> {
    let fence = format!("```{word}\n");
    page.split(&fence).skip(1).map(|piece| piece.split("```").next().unwrap().to_owned()).collect()
}

/// A process that ends with this.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The machine of the page.
struct Machine {
    folder: tempfile::TempDir,
    rbldnsd_program: PathBuf,
    unbound_program: PathBuf,
    command_line: Vec<String>,
    ports: [u16; 3],
    rbldnsd: Option<Daemon>,
    unbound: Option<Daemon>,
    gatepost: Option<Server>,
    /// What systemctl was told, in order.
    told: Vec<String>,
}

impl Machine {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A text of the page with this machine's paths and ports.
    fn here(&self, text: &str) -> String {
        let at = self.folder.path().display();
        let [old, new, _] = self.ports;
        let mut text = text.replace("127.0.0.1:530", &format!("127.0.0.1:{old}"));
        text =
            text.replace("@5354", &format!("@{new}")).replace("127.0.0.1:5354", &format!("127.0.0.1:{new}"));
        text = text.replace("/5354", &format!("/{new}")).replace("@530", &format!("@{old}"));
        text = text.replace("/530", &format!("/{old}"));
        for folder in ["/var/lib/rbldns", "/etc/gatepost", "/etc/unbound"] {
            text = text.replace(folder, &format!("{at}{folder}"));
        }
        text
    }

    fn config(&self) -> PathBuf {
        self.path("etc/gatepost/gatepost.toml")
    }

    /// Runs a block of the page line by line.
    fn run(&mut self, block: &str) {
        for line in block.lines() {
            let line = self.here(line);
            match line.strip_prefix("systemctl ") {
                Some(words) => self.systemctl(words),
                None => drop(self.shell(&line, 0)),
            }
        }
    }

    #[track_caller]
    fn shell(&self, line: &str, code: i32) -> String {
        // What `gatepost` and `dig` are asked for is what this machine has.
        let line = line.replace("dig ", &format!("dig @127.0.0.1 -p {} ", self.ports[2]));
        let mut shell = gatepost_environment(Command::new("sh"));
        shell.arg("-ec").arg(&line).current_dir(self.folder.path());
        shell.env("PATH", self.search_path());
        let done =
            shell.env("GATEPOST_CONFIG", self.config()).env("GATEPOST_STATE", self.path("state")).output();
        let done = done.unwrap();
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{line}: {said}");
        assert!(!line.starts_with("dig ") || said.starts_with("127.0.0.5"), "{line}: {said}");
        said
    }

    fn search_path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}:/usr/sbin:/sbin", self.path("bin").display())
    }

    fn systemctl(&mut self, words: &str) {
        self.told.push(words.to_owned());
        match words {
            "restart gatepost" => {
                self.gatepost = None;
                let mut command = gatepost();
                command.arg("serve").arg("--config").arg(self.config());
                self.gatepost = Some(Server::start(gatepost_state(command, self)));
            }
            "reload gatepost" => {
                let server = self.gatepost.as_ref().unwrap();
                nix::sys::signal::kill(server.pid(), nix::sys::signal::Signal::SIGHUP).unwrap();
            }
            "start gatepost-sync" => {
                let mut command = gatepost();
                command.arg("sync").arg("--config").arg(self.config());
                assert!(gatepost_state(command, self).status().unwrap().success());
                self.until("it has the data", |machine| {
                    machine.answers(machine.ports[1], "7.2.0.192.bl") == Some(NOERROR)
                });
            }
            "restart unbound" => self.start_unbound(),
            "start rbldnsd" => self.start_rbldnsd(),
            "disable --now rbldnsd" | "stop rbldnsd" => self.rbldnsd = None,
            other => panic!("the page says `systemctl {other}`, which nobody plays"),
        }
    }

    fn start_rbldnsd(&mut self) {
        let mut command = Command::new(&self.rbldnsd_program);
        command.arg("-n");
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        // Another root needs a right that not everybody has; the working folder does as well.
        let words = self.command_line.iter().map(|word| word.replacen("-r", "-w", 1));
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
        self.rbldnsd = Some(Daemon(command.spawn().unwrap()));
        self.until("rbldnsd answers", |machine| {
            machine.answers(machine.ports[0], "7.2.0.192.bl") == Some(NOERROR)
        });
    }

    fn start_unbound(&mut self) {
        self.unbound = None;
        let mut command = Command::new(&self.unbound_program);
        command.arg("-d").arg("-c").arg(self.path("etc/unbound/unbound.conf"));
        self.unbound = Some(Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()));
        self.until("unbound answers", |machine| {
            try_ask(([127, 0, 0, 1], machine.ports[2]).into(), "unbound.test", A).is_some()
        });
    }

    /// What a port says of `NAME.example.net`.
    fn answers(&self, port: u16, name: &str) -> Option<u8> {
        let server: SocketAddr = ([127, 0, 0, 1], port).into();
        try_ask(server, &format!("{name}.example.net"), A).map(|reply| reply.rcode)
    }

    /// What mail servers are told.
    fn mail(&self, name: &str) -> u8 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(rcode) = self.answers(self.ports[2], name) {
                return rcode;
            }
            assert!(Instant::now() < deadline, "unbound says nothing");
        }
    }

    #[track_caller]
    fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn gatepost_environment(mut command: Command) -> Command {
    for (name, value) in gatepost().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::null());
    command
}

fn gatepost_state(mut command: Command, machine: &Machine) -> Command {
    command.env("GATEPOST_STATE", machine.path("state"));
    command
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The set-up of the page, with some entries.
fn machine(page: &str) -> Option<Machine> {
    let test = "the_page_leads_there_and_back";
    let rbldnsd_program = installed("rbldnsd", "rbldnsd", test)?;
    let unbound_program = installed("unbound", "unbound", test)?;
    for (program, package) in [("unbound-checkconf", "unbound"), ("dig", "dnsutils")] {
        installed(program, package, test)?;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let ports = [0; 3].map(|_| free_port());
    let mut machine = Machine {
        folder,
        rbldnsd_program,
        unbound_program,
        command_line: Vec::new(),
        ports,
        rbldnsd: None,
        unbound: None,
        gatepost: None,
        told: Vec::new(),
    };
    fs::create_dir(machine.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_gatepost"), machine.path("bin/gatepost")).unwrap();
    write(&machine.path("var/lib/rbldns/list"), "192.0.2.7 :5:seven $\n198.51.100.0/24\n");
    write(&machine.path("var/lib/rbldns/own"), "203.0.113.9\n!198.51.100.20\n");
    write(&machine.path("var/lib/rbldns/names"), ":2:$ is a spammer\nspam.example\n.wild.example\n");
    fs::create_dir_all(machine.path("etc/gatepost")).unwrap();

    let shown = blocks(page, "text");
    let [default, cron, unbound] = &shown[..] else { panic!("{shown:#?}") };
    assert!(cron.contains("/var/lib/rbldns/list"));
    // As the wrapper of Debian's package reads it: the first word is the instance.
    let words = shlex_like(&machine.here(default));
    machine.command_line = words[1..].to_vec();
    let resolver = format!(
        "server:\n    interface: 127.0.0.1\n    port: {}\n    username: \"\"\n    chroot: \"\"\n    use-syslog: no\n    \
         pidfile: \"\"\n    do-daemonize: no\n    local-zone: \"test.\" static\ninclude: {:?}\n",
        machine.ports[2],
        machine.path("etc/unbound/unbound.conf.d/dnsbl.conf")
    );
    write(&machine.path("etc/unbound/unbound.conf"), &resolver);
    write(&machine.path("etc/unbound/unbound.conf.d/dnsbl.conf"), &machine.here(unbound));
    Some(machine)
}

/// The words of `RBLDNSD="…"`.
fn shlex_like(default: &str) -> Vec<String> {
    let inside = default.trim().strip_prefix("RBLDNSD=\"").and_then(|text| text.strip_suffix('"'));
    let inside = inside.unwrap_or_else(|| panic!("{default}"));
    inside.replace("\\\n", " ").split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_page_leads_there_and_back() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let Some(mut machine) = machine(&page) else { return };
    machine.start_rbldnsd();
    machine.start_unbound();
    let old = || [("7.2.0.192.bl", NOERROR), ("20.100.51.198.bl", NXDOMAIN), ("spam.example.dbl", NOERROR)];
    for (name, rcode) in old() {
        assert_eq!(machine.mail(name), rcode, "{name}, before");
    }
    let steps = blocks(&page, "sh");
    let [beside, compare, switch, back, gone, lists, again, export] = &steps[..] else {
        panic!("{steps:#?}")
    };

    machine.run(beside);
    assert_eq!(machine.told, ["restart gatepost", "start gatepost-sync"]);
    machine.run(compare);
    // It can say that something differs: an entry that only the old server has.
    let list = machine.path("var/lib/rbldns/list");
    let before = fs::read_to_string(&list).unwrap();
    let taken = machine.gatepost.take();
    drop(taken);
    fs::write(&list, before.replace("192.0.2.7 :5:", "192.0.2.7 :6:")).unwrap();
    machine.systemctl("restart gatepost");
    assert!(gatepost_state(sync_command(&machine), &machine).status().unwrap().success());
    let server: SocketAddr = ([127, 0, 0, 1], machine.ports[1]).into();
    let text = |server| try_ask(server, "7.2.0.192.bl.example.net", TXT).map(|reply| reply.answers);
    machine.until("the changed list", |_| text(server).is_some());
    machine.until("a difference", |machine| {
        let line = machine.here(compare.trim());
        let mut shell = gatepost_environment(Command::new("sh"));
        shell.arg("-c").arg(&line).env("GATEPOST_CONFIG", machine.config());
        shell.env("PATH", machine.search_path()).env("GATEPOST_STATE", machine.path("state"));
        let done = shell.output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        done.status.code() == Some(1) && said.contains("differs 7.2.0.192.bl.example.net A")
    });
    fs::write(&list, &before).unwrap();
    assert!(gatepost_state(sync_command(&machine), &machine).status().unwrap().success());

    let seven = [[127, 0, 0, 5]];
    machine.until("the list as it was", |_| {
        try_ask(server, "7.2.0.192.bl.example.net", A).is_some_and(|reply| reply.a == seven)
    });

    // Who answers mail shows where the other one is silent.
    machine.run(switch);
    machine.rbldnsd = None;
    for (name, rcode) in old() {
        assert_eq!(machine.mail(name), rcode, "{name}, switched");
    }
    machine.start_rbldnsd();
    machine.run(back);
    machine.gatepost = None;
    for (name, rcode) in old() {
        assert_eq!(machine.mail(name), rcode, "{name}, back");
    }
    machine.systemctl("restart gatepost");
    machine.run(switch);
    machine.run(gone);
    assert!(machine.rbldnsd.is_none());
    for (name, rcode) in old() {
        assert_eq!(machine.mail(name), rcode, "{name}, in the end");
    }

    // The lists of two kinds are a configuration that is understood; what is its own is served.
    let whole = machine.here(&blocks(&page, "toml")[0]);
    write(&machine.path("after.toml"), &whole);
    machine.shell("gatepost check-config after.toml", 0);

    // A URL that is wrong is noticed at once, also where files were read a moment ago; what was listed stays.
    let before = fs::read_to_string(machine.config()).unwrap();
    let wrong =
        whole.replace("feeds.example.net/dnsbl/list\"", "127.0.0.1:1/dnsbl/list\"\nallow-private = true");
    write(&machine.config(), &wrong);
    let [check, reload, sync] = lists.lines().collect::<Vec<_>>()[..] else { panic!("{lists}") };
    machine.run(&format!("{check}\n{reload}"));
    let said = machine.shell(sync, 1);
    assert!(said.contains("  list   failed: rsync://127.0.0.1:1/dnsbl/list: "), "{said}");
    assert!(page.contains("`list  failed: rsync://…`"));
    assert_eq!(machine.answers(machine.ports[1], "7.2.0.192.bl"), Some(NOERROR));

    // Beside the old server what is no list's differs, too, and is not what a person is shown.
    let here = whole.replace("url = \"rsync://feeds.example.net/dnsbl/list\"", &format!("file = {list:?}"));
    write(&machine.config(), &here);
    machine.systemctl("restart gatepost");
    machine.systemctl("start gatepost-sync");
    machine.systemctl("start rbldnsd");
    let [start, line, stop] = again.lines().collect::<Vec<_>>()[..] else { panic!("{again}") };
    assert_eq!((start, stop), ("systemctl start rbldnsd", "systemctl stop rbldnsd"));
    // A sync that finds another at work leaves it at that.
    for _ in 0..50 {
        if machine.answers(machine.ports[1], "2.0.0.127.bl") == Some(NOERROR) {
            break;
        }
        thread::sleep(Duration::from_millis(200));
        machine.systemctl("start gatepost-sync");
    }
    machine.until("its own test points", |machine| {
        machine.answers(machine.ports[1], "2.0.0.127.bl") == Some(NOERROR)
    });
    let said = machine.shell(&machine.here(line), 0);
    assert!(said.contains(" for test points, which this server answers by itself"), "{said}");
    machine.systemctl("stop rbldnsd");
    write(&machine.config(), &before);
    machine.systemctl("restart gatepost");
    machine.systemctl("start gatepost-sync");
    machine.until("the zones as they were", |machine| {
        machine.answers(machine.ports[1], "2.0.0.127.bl") == Some(NXDOMAIN)
    });

    // And the files for the old server, from what is in service, which it answers alike from.
    machine.run(export);
    assert!(page.contains("bl.example.net:combined:bl.rbldnsd"));
    fs::copy(machine.path("bl.rbldnsd"), machine.path("var/lib/rbldns/bl.rbldnsd")).unwrap();
    machine.command_line.retain(|word| word.starts_with('-'));
    machine.command_line.push("bl.example.net:combined:bl.rbldnsd".to_owned());
    machine.start_rbldnsd();
    let line = machine.here(compare.trim()) + " --zone bl.example.net --ttl";
    machine.shell(&line, 0);
}

fn sync_command(machine: &Machine) -> Command {
    let mut command = gatepost();
    command.arg("sync").arg("--config").arg(machine.config()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
