//! Real resolvers that `gatepost snippet` alone has told of gatepost, with everything switched on that keeps answers in
//! 127.0.0.0/8 or from unsigned zones away: what is listed is found, what is not is not. And without the line that
//! opens a trap, the trap is shut: a line that does nothing would not be told.
//!
//! systemd-resolved runs by hand, without a systemd beside it; `.ci/run` unpacks it below the target folder.
#![cfg(feature = "full")]

mod common;
mod mail_support;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::dns::{self, A, NOERROR, NXDOMAIN, SERVFAIL};
use common::program::{Server, run};
use common::site::Site;
use common::{installed, skipped};
use mail_support::{Host, LISTED, UNLISTED};

/// Long enough for any machine; nothing waits for it unless the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A zone under the suffix that is meant for it, and one under a name that resolvers answer by themselves.
const ZONES: [&str; 2] = ["block.gatepost.internal", "bl.test"];

/// gatepost, serving two zones, and its configuration with the port that was taken.
struct Gatepost {
    site: Site,
    server: Server,
}

impl Gatepost {
    fn start() -> Self {
        let site = Site::new();
        let list =
            "[list.own]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.5\"\n";
        let zones: String = ZONES.iter().map(|zone| Site::zone(zone, &["own"], "")).collect();
        fs::write(site.path("own.txt"), "203.0.113.9\n").unwrap();
        site.configure(&(list.to_owned() + &zones));
        site.sync(&[]).expect(0);
        let server = site.serve();
        let config = fs::read_to_string(site.config()).unwrap();
        let config = config.replace("127.0.0.1:0", &server.dns.to_string());
        fs::write(site.config(), config).unwrap();
        Self { site, server }
    }

    fn snippet(&self, program: &str) -> String {
        let config = self.site.config();
        run(["snippet", program, "--config", config.to_str().unwrap()]).expect(0).stdout
    }
}

/// Stopped when the test ends, however it ends.
struct Resolver {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Resolver {
    /// Starts what `command` makes of a folder and a port, and waits until it answers anything.
    fn start(command: impl Fn(&Path, u16) -> Command) -> Self {
        let end = Instant::now() + PATIENCE;
        loop {
            let folder = tempfile::tempdir().unwrap();
            // A port that is free now; when somebody else takes it before the resolver does, that ends.
            let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let log = folder.path().join("log");
            let mut command = command(folder.path(), address.port());
            let file = fs::File::create(&log).unwrap();
            command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
            let mut resolver = Self { child: command.spawn().unwrap(), address, _folder: folder };
            while resolver.child.try_wait().unwrap().is_none() {
                if is_up(address) {
                    return resolver;
                }
                assert!(Instant::now() < end, "it does not answer; {}", fs::read_to_string(&log).unwrap());
            }
            assert!(Instant::now() < end, "it does not start; {}", fs::read_to_string(&log).unwrap());
        }
    }

    /// Response code and addresses.
    fn ask(&self, name: &str) -> (u8, Vec<[u8; 4]>) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(reply) = dns::try_ask(self.address, name, A) {
                return (reply.rcode, reply.a);
            }
            assert!(Instant::now() < end, "no reply to {name}");
        }
    }

    /// Whether what is listed in `zone` is found, and nothing else.
    fn is_right_in(&self, zone: &str) -> bool {
        self.ask(&format!("9.113.0.203.{zone}")) == (NOERROR, vec![[127, 0, 1, 5]])
            && self.ask(&format!("10.113.0.203.{zone}")) == (NXDOMAIN, vec![])
            && self.ask(&format!("2.0.0.127.{zone}")) == (NOERROR, vec![[127, 0, 0, 2]])
            && self.ask(&format!("1.0.0.127.{zone}")) == (NXDOMAIN, vec![])
    }

    /// What is listed in `zone` is not found: something else is answered, or nothing for long.
    fn is_shut_in(&self, zone: &str) -> bool {
        let end = Instant::now() + Duration::from_secs(6);
        while Instant::now() < end {
            if let Some(reply) = dns::try_ask(self.address, &format!("9.113.0.203.{zone}"), A) {
                return reply.a.is_empty();
            }
        }
        true
    }

    /// It is right at once: nothing is tried again.
    #[track_caller]
    fn is_right(&self) {
        for zone in ZONES {
            assert!(
                self.is_right_in(zone),
                "{zone}: {:?}",
                ["9.113.0.203", "10.113.0.203", "2.0.0.127", "1.0.0.127"]
                    .map(|below| self.ask(&format!("{below}.{zone}")))
            );
        }
    }
}

/// Whether anything is answered to a question that nobody has to be asked for: recursion is not wanted.
fn is_up(address: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut packet = dns::question("2.0.0.127.block.gatepost.internal", A);
    packet[2] = 0;
    socket.send_to(&packet, address).unwrap();
    socket.recv(&mut [0; 1500]).is_ok()
}

/// The text without the lines that have `what` in them; there must be some.
fn without(text: &str, what: &str) -> String {
    let kept: String =
        text.lines().filter(|line| !line.contains(what)).map(|line| format!("{line}\n")).collect();
    assert_ne!(kept, text, "no line has {what}");
    kept
}

/// The comments that begin so, without the sign of a comment.
fn uncommented(text: &str, mark: &str, start: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix(mark)?.trim_start().strip_prefix(start));
    let lines: String = lines.map(|rest| format!("{start}{rest}\n")).collect();
    assert!(!lines.is_empty(), "{start} is in no comment of {text}");
    lines
}

/// A root folder's file of `text`.
fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// Loopback refused, validation, a rebinding filter, names that are answered by itself: each shut unless opened.
#[test]
fn unbound() {
    let Some(program) = installed("unbound", "unbound", "unbound") else { return };
    let gatepost = Gatepost::start();
    let snippet = gatepost.snippet("unbound");
    let start = |snippet: &str| {
        Resolver::start(|folder, port| {
            let at = folder.display();
            let anchor = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";
            let text = format!(
                "server:\n interface: 127.0.0.1\n port: {port}\n do-daemonize: no\n use-syslog: no\n chroot: \"\"\n \
                 username: \"\"\n directory: \"{at}\"\n pidfile: \"\"\n module-config: \"validator iterator\"\n \
                 trust-anchor: \"{anchor}\"\n private-address: 127.0.0.0/8\n qname-minimisation-strict: yes\n \
                 harden-below-nxdomain: yes\n use-caps-for-id: yes\n root-hints: \"{at}/root\"\n\
                 remote-control:\n control-enable: no\n\
                 include: \"{at}/gatepost.conf\"\n"
            );
            // A root that is not there: what is not opened fails at once instead of waiting for a network.
            file(folder, "root", ". 3600 IN NS ns.root.\nns.root. 3600 IN A 127.0.0.1\n");
            file(folder, "gatepost.conf", snippet);
            let mut command = Command::new(&program);
            command.args(["-d", "-c"]).arg(file(folder, "unbound.conf", &text));
            command
        })
    };
    start(&snippet).is_right();
    for (line, zone) in [
        ("do-not-query-localhost", ZONES[0]),
        ("domain-insecure", ZONES[0]),
        ("private-domain", ZONES[0]),
        ("local-zone", ZONES[1]),
    ] {
        assert!(start(&without(&snippet, line)).is_shut_in(zone), "{line} opens nothing");
    }
}

/// Validation and the filter of addresses.
#[test]
fn bind() {
    let Some(program) = installed("named", "bind9", "bind") else { return };
    let gatepost = Gatepost::start();
    let snippet = gatepost.snippet("bind");
    let within = uncommented(&snippet, "//", "validate-except {");
    let filter = uncommented(&snippet, "//", "deny-answer-addresses {");
    // What `--write` makes is a file that can be included as it is.
    let folder = tempfile::tempdir().unwrap();
    let mut check = Command::new("named-checkconf");
    let checked = check.arg(file(folder.path(), "gatepost.conf", &snippet)).output();
    assert!(checked.as_ref().is_ok_and(|checked| checked.status.success()), "{checked:?}");
    let start = |options: &str| {
        Resolver::start(|folder, port| {
            let at = folder.display();
            let text = format!(
                "options {{ directory \"{at}\"; managed-keys-directory \"{at}\"; pid-file none; session-keyfile none; \
                 listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion yes; \
                 dnssec-validation auto; trust-anchor-telemetry no; qname-minimization strict;\n{options}\n}};\n\
                 controls {{ }};\n{snippet}"
            );
            let mut command = Command::new(&program);
            command.args(["-g", "-c"]).arg(file(folder, "named.conf", &text));
            command
        })
    };
    start(&format!("{within}{filter}")).is_right();
    assert!(start("").is_shut_in(ZONES[0]), "validate-except opens nothing");
    let filtered = filter.split(" except-from").next().unwrap();
    assert!(start(&format!("{within}{filtered};")).is_shut_in(ZONES[0]), "except-from opens nothing");
}

/// The rebinding filter.
#[test]
fn dnsmasq() {
    let Some(program) = installed("dnsmasq", "dnsmasq-base", "dnsmasq") else { return };
    let gatepost = Gatepost::start();
    let snippet = gatepost.snippet("dnsmasq");
    let start = |snippet: &str| {
        Resolver::start(|folder, port| {
            let text = format!(
                "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\n\
                 stop-dns-rebind\nconf-file={}\n",
                file(folder, "gatepost.conf", snippet).display()
            );
            let mut command = Command::new(&program);
            command.args(["-k", "-C"]).arg(file(folder, "dnsmasq.conf", &text));
            command
        })
    };
    start(&snippet).is_right();
    assert!(start(&without(&snippet, "rebind-domain-ok")).is_shut_in(ZONES[0]), "it opens nothing");
}

/// Validation.
#[test]
fn pdns_recursor() {
    let Some(program) = installed("pdns_recursor", "pdns-recursor", "pdns_recursor") else { return };
    let gatepost = Gatepost::start();
    let snippet = gatepost.snippet("pdns-recursor");
    let start = |lua: &str| {
        Resolver::start(|folder, port| {
            let at = folder.display();
            let text = format!(
                "local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={at}\ninclude-dir={at}/recursor.d\ndaemon=no\n\
                 dnssec=validate\nlua-config-file={at}/recursor.lua\nsecurity-poll-suffix=\nthreads=1\n\
                 setuid=\nsetgid=\nchroot=\nwrite-pid=no\n"
            );
            file(folder, "recursor.d/gatepost.conf", &snippet);
            file(folder, "recursor.lua", lua);
            file(folder, "recursor.conf", &text);
            let mut command = Command::new(&program);
            command.arg(format!("--config-dir={at}"));
            command
        })
    };
    start(&uncommented(&snippet, "#", "addNTA(")).is_right();
    assert!(start("").is_shut_in(ZONES[0]), "addNTA opens nothing");
}

/// A server that is gone is told of at once instead of leaving mail servers to wait.
#[test]
fn dnsdist() {
    let Some(program) = installed("dnsdist", "dnsdist", "dnsdist") else { return };
    let gatepost = Gatepost::start();
    let snippet = gatepost.snippet("dnsdist");
    let resolver = Resolver::start(|folder, port| {
        let text = format!("setLocal(\"127.0.0.1:{port}\")\nsetSecurityPollSuffix(\"\")\n{snippet}");
        let mut command = Command::new(&program);
        command.args(["--supervised", "--disable-syslog", "-C"]);
        command.arg(file(folder, "dnsdist.conf", &text));
        command
    });
    resolver.is_right();
    gatepost.server.stop();
    let end = Instant::now() + PATIENCE;
    while resolver.ask("8.113.0.203.bl.test") != (SERVFAIL, vec![]) {
        assert!(Instant::now() < end, "it goes on asking a server that is gone");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The rebinding module, and names that are answered by itself.
#[test]
fn knot_resolver() {
    let Some(program) = installed("kresd", "knot-resolver", "knot_resolver") else { return };
    let gatepost = Gatepost::start();
    let snippet = gatepost.snippet("knot-resolver");
    let start = |snippet: &str| {
        Resolver::start(|folder, port| {
            let text = format!(
                "net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})\ncache.size = 10 * MB\n\
                 modules.load('rebinding < iterate')\n{snippet}"
            );
            let mut command = Command::new(&program);
            command.args(["-n", "-c"]).arg(file(folder, "kresd.conf", &text)).arg(folder);
            command
        })
    };
    start(&snippet).is_right();
    let shut = snippet.replace(", 'ALLOW_LOCAL'", "");
    assert_ne!(shut, snippet);
    assert!(start(&shut).is_shut_in(ZONES[0]), "ALLOW_LOCAL opens nothing");
}

/// It starts like any program, and asks nobody while the only interface is the loopback one.
#[test]
fn systemd_resolved() {
    let test = "systemd_resolved";
    let below = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("programs/resolved");
    let places = [PathBuf::from("/"), below].map(|root| root.join("lib/systemd/systemd-resolved"));
    let Some(program) = places.into_iter().find(|place| place.is_file()) else {
        return skipped(
            test,
            "no systemd-resolved (apt-get install systemd-resolved, or .ci/run unpacks it)",
        );
    };
    let Some(host) = Host::boot(test) else { return };
    let snippet = host.file("resolved.conf", &host.snippet("systemd-resolved"));
    let script = "set -e; mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/resolve /run/systemd/resolved.conf.d\n\
                  chown systemd-resolve:systemd-resolve /run/systemd/resolve; cp \"$0\" /run/systemd/resolved.conf.d/gatepost.conf\n\
                  ip link add up0 type veth peer name up1; ip addr add 192.0.2.77/24 dev up0\n\
                  ip link set up1 up; ip link set up0 up; exec \"$1\"";
    let paths = [&snippet, &program].map(|path| path.to_str().unwrap());
    let unshare = installed("unshare", "util-linux", test).unwrap();
    host.start("resolved", &unshare, &["--mount", "sh", "-c", script, paths[0], paths[1]]);
    let ask = |address: &str| host.asked("127.0.0.53", address, 53);
    host.wait("resolved", || ask(LISTED) == "127.0.1.5\n");
    assert_eq!(ask("127.0.0.2"), "127.0.0.2\n");
    assert_eq!(ask(UNLISTED), "");
    assert_eq!(ask(LISTED), "127.0.1.5\n", "it still answers");
}
