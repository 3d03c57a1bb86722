//! `gatepost doctor` and resolvers that ask another server besides, or nobody else: real ones on port 53 of networks of their own.
#![cfg(feature = "full")]

mod common;
mod doctor_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::dns::{self, A, NOERROR};
use common::program::run;
use common::{installed, skipped};
use doctor_support::resolvers::unbound;
use doctor_support::{Host, file, in_own_network, sh, without};

const ZONE: &str = "block.gatepost.internal";
const WAY: [&str; 2] = ["server", "resolver"];
/// Long enough for any machine; nothing waits for it unless the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What ends with the test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody who comes from rbldnsd has left the resolver with it: it lists the test point, too.
#[test]
fn unbound_that_still_asks_rbldnsd() {
    let test = "unbound_that_still_asks_rbldnsd";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    let Some(rbldnsd) = installed("rbldnsd", "rbldnsd", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE], "");
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        file(folder.path(), "old", "127.0.0.2\n192.0.2.7\n");
        let mut command = Command::new(rbldnsd);
        command.args(["-n", "-q", "-u", "nobody", "-b", "127.0.0.1/530", "-w"]).arg(folder.path());
        let _old = Ended(command.arg(format!("{ZONE}:ip4set:old")).stdout(Stdio::null()).spawn().unwrap());
        let name = format!("2.0.0.127.{ZONE}");
        let end = Instant::now() + PATIENCE;
        while dns::try_ask("127.0.0.1:530".parse().unwrap(), &name, A).is_none() {
            assert!(Instant::now() < end, "rbldnsd does not answer");
        }
        let told = host.snippet("unbound");
        let own = told.lines().find(|line| line.contains("forward-addr:")).unwrap();
        let resolver = unbound(&program, "", &told.replace(own, "    forward-addr: 127.0.0.1@530"));
        let found = host.doctor(&[]);
        let cures = found.first("resolver-asks-another");
        assert_eq!(cures, [own], "{found:#?}");
        let (how, _) = &found.cures("resolver-asks-another")[0];
        assert!(how.contains("`forward-addr: 127.0.0.1@530` (") && how.contains("gatepost.conf:"), "{how}");
        drop(resolver);
        // Both by turns: whichever is asked first, the other one is to go.
        let both = format!("{own}\n    forward-addr: 127.0.0.1@530");
        let resolver = unbound(&program, "", &told.replace(own, &both));
        for _ in 0..4 {
            let found = host.doctor(&[]);
            assert_eq!(found.first("resolver-asks-another"), [""], "{found:#?}");
            let (how, _) = &found.cures("resolver-asks-another")[0];
            assert!(how.contains("take `forward-addr: 127.0.0.1@530` out ("), "{how}");
        }
        drop(resolver);
        let _told = unbound(&program, "", &told);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Two gateposts that serve the same: each has serials of its own, and it does not matter whose.
#[test]
fn unbound_that_asks_two_of_us() {
    let test = "unbound_that_asks_two_of_us";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let other = Host::listening("127.0.0.1:5355", &[ZONE], "negative-ttl = \"1s\"\n");
        thread::sleep(Duration::from_secs(2));
        let host = Host::listening("127.0.0.1:5354", &[ZONE], "negative-ttl = \"1s\"\n");
        // For long enough to be no answer of before.
        thread::sleep(Duration::from_secs(4));
        let own = "    forward-addr: 127.0.0.1@5354";
        let both = format!("{own}\n    forward-addr: 127.0.0.1@5355");
        let told = host.snippet("unbound");
        assert!(told.contains(own), "{told}");
        let _resolver = unbound(&program, "", &told.replace(own, &both));
        for _ in 0..6 {
            host.doctor(&[]).is_right_in(&WAY);
        }
        drop(other);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// systemd-resolved that has no other server: gatepost refuses what is not its own, and of the root it speaks by itself.
#[test]
fn systemd_resolved_that_resolves_nothing_else() {
    let test = "systemd_resolved_that_resolves_nothing_else";
    let below = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("programs/resolved");
    let places = [PathBuf::from("/"), below].map(|root| root.join("lib/systemd/systemd-resolved"));
    let Some(program) = places.into_iter().find(|place| place.is_file()) else {
        return skipped(
            test,
            "no systemd-resolved (apt-get install systemd-resolved, or .ci/run unpacks it)",
        );
    };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE], "");
        for (file, line) in [
            ("/etc/passwd", "systemd-resolve:x:64998:64998::/:/bin/false\n"),
            ("/etc/group", "systemd-resolve:x:64998:\n"),
        ] {
            host.instead_of(file, &format!("{}{line}", fs::read_to_string(file).unwrap()));
        }
        // It asks nobody while the only interface is the loopback one.
        sh("mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/resolve /run/systemd/resolved.conf.d
            chown systemd-resolve:systemd-resolve /run/systemd/resolve
            ip link add up0 type veth peer name up1; ip addr add 192.0.2.77/24 dev up0; ip link set up1 up; ip link set up0 up");
        fs::write("/run/systemd/resolved.conf.d/gatepost.conf", host.snippet("systemd-resolved")).unwrap();
        let _resolved =
            Ended(Command::new(program).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        let name = format!("2.0.0.127.{ZONE}");
        let is_there = || {
            let reply = dns::try_ask("127.0.0.53:53".parse().unwrap(), &name, A);
            reply.is_some_and(|reply| reply.rcode == NOERROR)
        };
        while !is_there() {
            assert!(Instant::now() < end, "systemd-resolved does not answer");
            thread::sleep(Duration::from_millis(100));
        }
        host.resolv_conf("nameserver 127.0.0.53\n");
        let found = host.doctor(&[]);
        found.first("resolver-resolves-nothing-else");
    });
}

/// A resolver on another machine: `access` lets it in and this machine's loopback, and nobody can say here what it is answered.
#[test]
fn an_address_for_another_machine() {
    in_own_network("an_address_for_another_machine", || {
        sh("ip address add 10.9.0.1/32 dev lo");
        let listen = "127.0.0.1:5354\", \"10.9.0.1:5354\"]\naccess = [{ clients = [\"127.0.0.0/8\", \"10.9.0.2\"], action = \"allow\" }, \
             { clients = [\"0.0.0.0/0\"], action = \"refuse\" }]\n#";
        let host = Host::listening(listen, &[ZONE], "");
        host.doctor(&[]).is_right_in(&["server"]);
        run(["status", "--probe", "--config", host.site.config().to_str().unwrap()]).expect(0);
    });
}

/// Two machines with a gatepost and a resolver each, and each has the other's for when its own is away: serials are when data were made.
#[test]
fn the_resolver_of_another_machine() {
    let test = "the_resolver_of_another_machine";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let other = Host::listening("127.0.0.1:5355", &[ZONE], "negative-ttl = \"1s\"\n");
        thread::sleep(Duration::from_secs(2));
        let host = Host::listening("127.0.0.1:5354", &[ZONE], "negative-ttl = \"1s\"\n");
        let keeps = without(&other.snippet("unbound"), "forward-no-cache");
        let _resolver = unbound(&program, "", &keeps);
        // For long enough to be no answer of before.
        thread::sleep(Duration::from_secs(4));
        host.resolv_conf("nameserver 127.0.0.1\n");
        let found = host.doctor(&[]);
        assert!(!found.findings(&WAY).contains(&"resolver-remembers".to_owned()), "{found:#?}");
    });
}
