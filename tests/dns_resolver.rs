//! A validating resolver with strict QNAME minimisation in front: the questions that real mail servers' resolvers ask.
#![cfg(feature = "full")]

mod dns_support;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dns_support::{hosts, listed_name, member, plain, query, spec, store};
use gatepost::model::{Span, Use};
use gatepost::server::Server;

/// Stopped when the test ends, however it ends.
struct Resolver(Child);

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(resolver: SocketAddr, owner: &str, wait: Duration) -> Option<(u8, Vec<u8>)> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.send_to(&query(owner, 1), resolver).unwrap();
    let mut buffer = [0; 1500];
    let len = socket.recv(&mut buffer).ok()?;
    Some((buffer[3] & 15, buffer[..len].to_vec()))
}

/// A resolver that asks `upstream`, and where it answers.
fn unbound(folder: &Path, upstream: SocketAddr) -> (SocketAddr, Resolver) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        // A port that is free now; when somebody else takes it before unbound does, unbound ends.
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = folder.join("unbound.conf");
        let text = format!(
            "server:\n interface: 127.0.0.1\n port: {}\n do-daemonize: no\n use-syslog: no\n chroot: \"\"\n \
             username: \"\"\n directory: \"{}\"\n pidfile: \"\"\n do-not-query-localhost: no\n \
             qname-minimisation: yes\n qname-minimisation-strict: yes\n use-caps-for-id: yes\n \
             harden-below-nxdomain: yes\n domain-insecure: \"bl.example\"\n module-config: \"iterator\"\n\
             remote-control:\n control-enable: no\n\
             stub-zone:\n name: \"bl.example\"\n stub-addr: 127.0.0.1@{}\n",
            address.port(),
            folder.display(),
            upstream.port()
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("unbound").arg("-d").arg("-c").arg(&config).stderr(Stdio::null()).spawn();
        let mut resolver = Resolver(child.unwrap());
        while resolver.0.try_wait().unwrap().is_none() {
            if ask(address, "bl.example", Duration::from_millis(200)).is_some() {
                return (address, resolver);
            }
            assert!(Instant::now() < end, "unbound does not answer");
        }
        assert!(Instant::now() < end, "unbound does not start");
    }
}

#[test]
#[allow(clippy::print_stderr)] // said loudly
fn strict_minimisation_finds_every_listing() {
    if Command::new("unbound").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: a resolver in front of the server: unbound is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut zone = spec("bl.example");
    member(&mut zone, "list", Use::Block, 5, "$", |set| {
        hosts(set, &["1.2.3.4", "203.0.113.9"]);
        let value = plain(set);
        set.v6(Span::host(0x2001_0db8 << 96 | 1), value);
        listed_name(set, "bad.domain.example", false);
        listed_name(set, "wild.example", true);
    });
    store::publish(folder.path(), 1, &[(&zone, 1)]);
    let server =
        Server::start(&store::settings(folder.path(), &[&zone]), Box::new(Default::default)).unwrap();
    let upstream = server.addresses()[0];
    let (address, _resolver) = unbound(folder.path(), upstream);
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
        let (found, reply) =
            ask(address, &format!("{below}.bl.example"), Duration::from_secs(20)).expect("a reply");
        assert_eq!(found, rcode, "{below}");
        let listed = rcode == 0 && below != "domain.example";
        assert_eq!(reply[7] > 0, listed, "{below}");
    }
    server.stop();
}
