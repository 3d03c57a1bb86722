//! Resolvers in front: the questions that real mail servers' resolvers ask, in the ways that they ask them.
#![cfg(feature = "full")]

mod common;
mod dns_support;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::installed;
use dns_support::{hosts, listed_name, member, plain, query, spec, store};
use gatepost::model::{Span, Use};
use gatepost::server::{Server, Stats};

/// Long enough for any machine; nothing waits for it unless the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stopped when the test ends, however it ends.
struct Resolver {
    child: Child,
    address: SocketAddr,
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Resolver {
    /// Starts `program`, the name of whose file of configuration follows `arguments`; the text is told folder and port.
    fn start(
        program: &Path,
        arguments: &[&str],
        config: impl Fn(&str, u16) -> String,
    ) -> (Self, tempfile::TempDir) {
        let end = Instant::now() + PATIENCE;
        loop {
            let folder = tempfile::tempdir().unwrap();
            // A port that is free now; when somebody else takes it before the resolver does, that ends.
            let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let path = folder.path().join("config");
            fs::write(&path, config(&folder.path().display().to_string(), address.port())).unwrap();
            let mut command = Command::new(program);
            command.args(arguments).arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
            let mut resolver = Self { child: command.spawn().unwrap(), address };
            while resolver.child.try_wait().unwrap().is_none() {
                if resolver.ask("bl.example", Duration::from_millis(200)).is_some() {
                    return (resolver, folder);
                }
                assert!(Instant::now() < end, "{} does not answer", program.display());
            }
            assert!(Instant::now() < end, "{} does not start", program.display());
        }
    }

    /// Response code and whole reply.
    fn ask(&self, owner: &str, wait: Duration) -> Option<(u8, Vec<u8>)> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(wait)).unwrap();
        socket.send_to(&query(owner, 1), self.address).unwrap();
        let mut buffer = [0; 1500];
        let len = socket.recv(&mut buffer).ok()?;
        Some((buffer[3] & 15, buffer[..len].to_vec()))
    }
}

/// With every hardening that stands in the way of a list.
fn unbound(upstream: SocketAddr, tcp: bool) -> impl Fn(&str, u16) -> String {
    move |at, port| {
        let tcp = if tcp { "yes" } else { "no" };
        format!(
            "server:\n interface: 127.0.0.1\n port: {port}\n do-daemonize: no\n use-syslog: no\n chroot: \"\"\n \
             username: \"\"\n directory: \"{at}\"\n pidfile: \"\"\n do-not-query-localhost: no\n \
             qname-minimisation: yes\n qname-minimisation-strict: yes\n use-caps-for-id: yes\n \
             harden-below-nxdomain: yes\n domain-insecure: \"bl.example\"\n module-config: \"iterator\"\n \
             tcp-upstream: {tcp}\n\
             remote-control:\n control-enable: no\n\
             stub-zone:\n name: \"bl.example\"\n stub-addr: 127.0.0.1@{}\n",
            upstream.port()
        )
    }
}

fn bind(upstream: SocketAddr) -> impl Fn(&str, u16) -> String {
    move |at, port| {
        format!(
            "options {{ directory \"{at}\"; managed-keys-directory \"{at}\"; pid-file none; session-keyfile none; \
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion yes; \
             dnssec-validation yes; trust-anchor-telemetry no; validate-except {{ \"bl.example\"; }}; \
             qname-minimization strict; }};\ncontrols {{ }};\n\
             zone \"bl.example\" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {}; }}; }};\n",
            upstream.port()
        )
    }
}

fn dnsmasq(upstream: SocketAddr) -> impl Fn(&str, u16) -> String {
    move |_, port| {
        format!(
            "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\n\
             stop-dns-rebind\nrebind-domain-ok=/bl.example/\nserver=/bl.example/127.0.0.1#{}\n",
            upstream.port()
        )
    }
}

fn server(folder: &Path) -> Server {
    let mut zone = spec("bl.example");
    member(&mut zone, "list", Use::Block, 5, "$", |set| {
        hosts(set, &["1.2.3.4", "203.0.113.9"]);
        let value = plain(set);
        set.v6(Span::host(0x2001_0db8 << 96 | 1), value);
        listed_name(set, "bad.domain.example", false);
        listed_name(set, "wild.example", true);
    });
    store::publish(folder, 1, &[(&zone, 1)]);
    Server::start(&store::settings(folder, &[&zone]), Box::new(Default::default)).unwrap()
}

fn finds_every_listing(resolver: &Resolver) {
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    // Unlisted ones first and in between: an NXDOMAIN that is remembered must not hide what is listed.
    for (below, rcode) in [
        ("5.3.2.1", 3),
        ("4.3.2.1", 0),
        ("9.113.0.203", 0),
        ("9.113.9.203", 3),
        ("1.0.0.127", 3),
        ("2.0.0.127", 0),
        (six, 0),
        (&six.replace("1.0.0.2", "1.0.0.3"), 3),
        ("domain.example", 0),
        ("bad.domain.example", 0),
        ("good.domain.example", 3),
        ("a.b.c.wild.example", 0),
    ] {
        let (found, reply) = resolver.ask(&format!("{below}.bl.example"), PATIENCE).expect("a reply");
        assert_eq!(found, rcode, "{below}");
        let listed = rcode == 0 && below != "domain.example";
        assert_eq!(reply[7] > 0, listed, "{below}");
    }
}

/// Every listing is found through `program`, which is configured by what `config` makes of the server's address; then what the
/// server has counted.
fn through<C: Fn(&str, u16) -> String>(
    test: &str,
    (program, package): (&str, &str),
    arguments: &[&str],
    config: impl Fn(SocketAddr) -> C,
) -> Option<Stats> {
    let program = installed(program, package, test)?;
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let (resolver, _folder) = Resolver::start(&program, arguments, config(server.addresses()[0]));
    finds_every_listing(&resolver);
    let stats = server.stats();
    server.stop();
    Some(stats)
}

#[test]
fn through_unbound_with_strict_minimisation() {
    let Some(stats) =
        through("through_unbound_with_strict_minimisation", ("unbound", "unbound"), &["-d", "-c"], |at| {
            unbound(at, false)
        })
    else {
        return;
    };
    // Each label is a question: more than there are names.
    assert!(stats.udp.queries > 30, "{}", stats.udp.queries);
}

#[test]
fn through_unbound_over_tcp() {
    let Some(stats) =
        through("through_unbound_over_tcp", ("unbound", "unbound"), &["-d", "-c"], |at| unbound(at, true))
    else {
        return;
    };
    assert!((stats.tcp.queries > 30, stats.udp.queries) == (true, 0), "{stats:?}");
}

#[test]
fn through_bind() {
    let Some(stats) = through("through_bind", ("named", "bind9"), &["-f", "-c"], bind) else { return };
    assert!(stats.udp.queries >= 12, "{}", stats.udp.queries);
}

#[test]
fn through_dnsmasq() {
    let Some(stats) = through("through_dnsmasq", ("dnsmasq", "dnsmasq-base"), &["-k", "-C"], dnsmasq) else {
        return;
    };
    assert!(stats.udp.queries >= 12, "{}", stats.udp.queries);
}
