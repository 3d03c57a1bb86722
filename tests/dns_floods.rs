//! Floods of questions, of random names and of one name, leave the memory of the server as it was, and it answers on.
#![cfg(feature = "full")]

mod cli_support;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use cli_support::{Place, Running, own_lists};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;

/// Questions of a flood: a few seconds of what a core can answer.
const QUESTIONS: u32 = 400_000;
/// Networks that they come from: more than a line of the limiter's table holds, so that they push one another out.
const NETWORKS: u8 = 200;
/// What may come on top between a first and a second flood: pages that the allocator keeps.
const GROWTH_KIB: u64 = 512;

#[test]
fn memory_stays_as_it_is() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let keys = "[server]\nrate-limit-loopback = true\nrate-limit = 500\n";
    place.write("gatepost.toml", place.read("gatepost.toml").replace("[server]\n", keys));
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let service = place.start(&["serve", "-c", "gatepost.toml"]);
    let server = service.address();
    for (what, name) in [("random names", random_name as fn(u32) -> String), ("one name", one_name)] {
        let mut before = None;
        for _ in 0..2 {
            let sent = flood(server, name);
            // Two questions of a stream are not limited: the server has taken all that came before them.
            for _ in 0..2 {
                let reply = Client::new(server)
                    .ask(&"2.0.0.127.bl.example.net".parse().unwrap(), Rtype::A, Over::Tcp)
                    .expect("a reply");
                assert_eq!(reply.rcode, Rcode::NOERROR, "{what}");
            }
            let now = anonymous_kib(&service);
            assert!(sent > 0, "nothing was sent");
            if let Some(before) = before {
                assert!(
                    now <= before + GROWTH_KIB,
                    "{what}: {before} KiB before, {now} after {sent} questions"
                );
            }
            before = Some(now);
        }
    }
}

/// Sends as fast as the system takes it, reads what comes back now and then; how many were sent.
fn flood(server: SocketAddr, name: impl Fn(u32) -> String) -> u32 {
    let clients: Vec<UdpSocket> = (0..NETWORKS)
        .map(|network| {
            let client = UdpSocket::bind((Ipv4Addr::new(127, 77, network, 1), 0)).expect("loopback");
            client.set_nonblocking(true).expect("ours");
            client.connect(server).expect("loopback");
            client
        })
        .collect();
    let mut buffer = [0; 1500];
    let mut sent = 0;
    for number in 0..QUESTIONS {
        let client = &clients[number as usize % clients.len()];
        sent += u32::from(client.send(&packet(&name(number), number)).is_ok());
        while client.recv(&mut buffer).is_ok() {}
    }
    sent
}

fn packet(name: &str, number: u32) -> Vec<u8> {
    let [_, _, high, low] = number.to_be_bytes();
    let mut packet = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).expect("a label"));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// Addresses, names, junk, and names outside all zones.
fn random_name(number: u32) -> String {
    // Fibonacci hashing: each another one.
    let random = number.wrapping_mul(2_654_435_761);
    let [a, b, c, d] = random.to_be_bytes();
    match number % 4 {
        0 | 1 => format!("{a}.{b}.{c}.{d}.bl.example.net"),
        2 => format!("x{random:08x}.y{b}.bl.example.net"),
        _ => format!("z{random:08x}.elsewhere.example"),
    }
}

fn one_name(_: u32) -> String {
    "9.2.0.192.bl.example.net".to_owned()
}

/// Memory of the serving process that no file stands behind.
fn anonymous_kib(service: &Running) -> u64 {
    let path = format!("/proc/{}/smaps_rollup", service.pid());
    let text = fs::read_to_string(path).expect("our own process");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("the kernel says it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
