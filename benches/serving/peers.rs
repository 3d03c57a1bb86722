//! The servers of the comparison, each with the same list in the form that it reads.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::rig::{self, ZONE, write_lines};

/// What gatepost adds to a list by itself (RFC 5782, section 5): it is asked for as anything else is.
pub(crate) const TEST_POINT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A server to be measured.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Its command, with `{port}` where the port goes.
    pub(crate) command: Vec<String>,
    /// It sends back what came: no answer is right, but each has come.
    pub(crate) is_echo: bool,
    /// Asked only with, or only without, an OPT record.
    pub(crate) edns: Option<bool>,
}

/// Those that are installed; says which are not.
pub(crate) fn all(list: &[u32], work: &Path) -> Vec<Peer> {
    let addresses = work.join("list.txt");
    write_lines(&addresses, list.iter().map(|&address| Ipv4Addr::from(address).to_string()));
    master_file(list, &work.join("zone.txt"));
    let itself = std::env::current_exe().expect("this program").display().to_string();
    let gatepost = env!("CARGO_BIN_EXE_gatepost");
    let peer = |name, command: String, edns| Peer {
        name,
        command: shlex::split(&command).expect("our words"),
        is_echo: false,
        edns,
    };
    write_lines(&work.join("point.txt"), std::iter::once(TEST_POINT.to_string()));
    let folder = work.display();
    let guarded = rig::store(work, &addresses, GUARDS, "guarded");
    let plain = rig::store(work, &addresses, "", "plain");
    let mut peers = vec![
        peer(
            "gatepost serve",
            format!("env GATEPOST_LISTEN=127.0.0.1:{{port}} {gatepost} serve --config {plain}"),
            Some(false),
        ),
        peer(
            "gatepost serve, with an access list and the limit on",
            format!("env GATEPOST_LISTEN=127.0.0.1:{{port}} {gatepost} serve --config {guarded}"),
            None,
        ),
        Peer { is_echo: true, ..peer("echo of the same batch", format!("{itself} --echo {{port}}"), None) },
        peer(
            "rbldnsd",
            format!("rbldnsd -n -a -w {folder} -b 127.0.0.1/{{port}} {ZONE}:ip4set:list.txt,point.txt"),
            None,
        ),
        peer("hickory-server over UDP", format!("{itself} --hickory {{port}} {}", addresses.display()), None),
    ];
    if is_there("nsd") {
        write_lines(&work.join("nsd.conf"), nsd(work));
        let command = format!("nsd -d -c {folder}/nsd.conf -p {{port}}");
        peers.push(peer("NSD, minimal responses", command, None));
    }
    if is_there("knotd") {
        write_lines(&work.join("knot.conf"), knot(work));
        let command = format!(
            "sh -c 'sed s/PORT/{{port}}/ {folder}/knot.conf > {folder}/knot-port.conf; exec knotd -c {folder}/knot-port.conf'"
        );
        peers.push(peer("Knot", command, None));
    }
    peers
}

fn is_there(program: &str) -> bool {
    let run = Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = run.is_ok();
    if !there {
        println!("SKIPPED: serving: {program} is not installed");
    }
    there
}

/// Everything that may look at a client, set so that nothing happens to it.
const GUARDS: &str = "\
    rate-limit = 1000000\nrate-limit-loopback = true\n\
    access = [{ clients = [\"127.0.0.0/8\"], action = \"allow\" }, \
    { clients = [\"192.0.2.0/24\", \"2001:db8::/32\"], action = \"drop\" }]\n";

/// The list as a zone of A records, in the order of the addresses.
fn master_file(list: &[u32], path: &Path) {
    let head = format!(
        "$ORIGIN {ZONE}.\n$TTL 2100\n@ SOA ns.{ZONE}. hostmaster.{ZONE}. 1 3600 600 86400 600\n@ NS ns.{ZONE}."
    );
    let point = u32::from(TEST_POINT);
    let records = list.iter().chain([&point]).map(|address| {
        let [a, b, c, d] = address.to_be_bytes();
        format!("{d}.{c}.{b}.{a} A 127.0.0.2")
    });
    write_lines(path, std::iter::once(head).chain(records));
}

fn nsd(work: &Path) -> impl Iterator<Item = String> {
    let folder = work.display();
    let text = format!(
        "server:\n ip-address: 127.0.0.1\n server-count: 1\n username: \"\"\n zonesdir: \"{folder}\"\n database: \"\"\n \
         pidfile: \"{folder}/nsd.pid\"\n xfrdfile: \"\"\n zonelistfile: \"{folder}/nsd.list\"\n cookie-secret-file: \"\"\n \
         rrl-ratelimit: 0\n minimal-responses: yes\n\
         remote-control:\n control-enable: no\n\
         zone:\n name: {ZONE}\n zonefile: zone.txt"
    );
    std::iter::once(text)
}

fn knot(work: &Path) -> impl Iterator<Item = String> {
    let folder = work.display();
    let text = format!(
        "server:\n  rundir: {folder}\n  listen: 127.0.0.1@PORT\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         log:\n  - target: stderr\n    any: error\n\
         database:\n  storage: {folder}/knot\n\
         zone:\n  - domain: {ZONE}\n    storage: {folder}\n    file: zone.txt\n    zonefile-load: whole\n    journal-content: none"
    );
    std::iter::once(text)
}
