//! SIGHUP: a configuration is taken over whole or not at all, and what it takes out is gone, whatever the store is like.
#![cfg(feature = "full")]

mod cli_support;
mod stream_support;

use std::fs;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use cli_support::{Place, Running, until};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use stream_support::{Pair, connect, greet};

const SERVE: [&str; 3] = ["serve", "-c", "gatepost.toml"];
const TAKEN: &str = "the configuration was read again";
const KEPT: &str = "the old configuration stays";

fn rcode(server: SocketAddr, name: &str) -> Rcode {
    Client::new(server).ask(&name.parse().unwrap(), Rtype::A, Over::Udp).expect("a reply").rcode
}

/// What `one.example` and `two.example` say of what is on both lists.
fn says(server: SocketAddr) -> [Rcode; 2] {
    ["one", "two"].map(|zone| rcode(server, &format!("7.2.0.192.{zone}.example")))
}

/// A configuration with these lines for the server and these zones, each of a list of its own.
fn configure(place: &Place, server: &str, zones: &[&str]) {
    let mut text = format!("version = 1\nstate = \"state\"\n[server]\n{server}\n");
    for list in ["one", "two"] {
        place.write(&format!("{list}.txt"), format!("192.0.2.7 # {list}\n"));
        text += &format!("[list.{list}]\nfile = \"{list}.txt\"\nformat = \"plain\"\nuse = \"block\"\n");
    }
    for zone in zones {
        text += &format!("[zone.\"{zone}.example\"]\nlists = [\"{zone}\"]\n");
    }
    place.write("gatepost.toml", text);
}

/// Both zones compiled.
fn synced(server: &str) -> Place {
    let place = Place::new();
    configure(&place, server, &["one", "two"]);
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    place
}

/// The snapshot of a zone.
fn snapshot(place: &Place, zone: &str) -> std::path::PathBuf {
    let of_zone = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(zone);
    let mut files = fs::read_dir(place.path("state/snapshots")).unwrap().map(|entry| entry.unwrap().path());
    files.find(of_zone).expect("a snapshot")
}

/// Octets of it become others.
fn damage(place: &Place, zone: &str) {
    let path = snapshot(place, zone);
    let mut octets = fs::read(&path).unwrap();
    let middle = octets.len() / 2;
    octets[middle..].iter_mut().for_each(|octet| *octet ^= 0x55);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, octets).unwrap();
}

fn free(address: &str) -> SocketAddr {
    UdpSocket::bind((address, 0)).unwrap().local_addr().unwrap()
}

fn hang_up(service: &Running, said: &str) -> String {
    service.signal(Signal::SIGHUP);
    service.talks(said)
}

/// (a) A zone that cannot be read is no mistake of the configuration: all of that is in force, and the zone waits.
#[test]
fn an_added_zone_that_is_damaged_waits_and_the_rest_changes() {
    let place = synced("listen = [\"127.0.0.1:0\"]");
    configure(&place, "listen = [\"127.0.0.1:0\"]", &["one"]);
    damage(&place, "two");
    let service = place.start(&SERVE);
    let before = service.address();
    assert_eq!(says(before), [Rcode::NOERROR, Rcode::REFUSED]);

    let moved = free("127.0.0.3");
    let server = format!("listen = [\"{moved}\"]\nversion-bind = \"new\"");
    configure(&place, &server, &["one", "two"]);
    let talk = hang_up(&service, TAKEN);
    assert!(talk.contains("zone two.example"), "{talk}");
    assert_eq!(says(moved), [Rcode::NOERROR, Rcode::SERVFAIL]);
    let said = version(moved);
    assert!(said.contains("new"), "{said}");
    assert!(TcpStream::connect(before).is_err());

    // What is taken out at the same time is gone.
    configure(&place, &server, &["two"]);
    service.signal(Signal::SIGHUP);
    until("it is taken out", || says(moved) == [Rcode::REFUSED, Rcode::SERVFAIL]);
    // As soon as the file is mended, so is the zone.
    fs::remove_file(snapshot(&place, "two")).unwrap();
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    until("it is mended", || says(moved) == [Rcode::REFUSED, Rcode::NOERROR]);
    service.stop().ended_with(0);
}

/// The reply to `version.bind CH TXT`.
fn version(server: SocketAddr) -> String {
    let question = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03";
    stream_support::ask_udp(server, question).escape_ascii().to_string()
}

/// (b) A zone whose file is gone serves on from what is mapped, and holds up nothing.
#[test]
fn a_mapped_zone_whose_file_is_gone_stays_and_the_other_is_taken_out() {
    let place = synced("listen = [\"127.0.0.1:0\"]");
    let service = place.start(&SERVE);
    let server = service.address();
    assert_eq!(says(server), [Rcode::NOERROR; 2]);
    fs::remove_file(snapshot(&place, "one")).unwrap();
    configure(&place, "listen = [\"127.0.0.1:0\"]", &["one"]);
    hang_up(&service, TAKEN);
    assert_eq!(says(server), [Rcode::NOERROR, Rcode::REFUSED]);
    // And once more, with another one in its place.
    configure(&place, "listen = [\"127.0.0.1:0\"]", &["one", "two"]);
    service.signal(Signal::SIGHUP);
    until("it comes back", || says(server) == [Rcode::NOERROR; 2]);
    service.stop().ended_with(0);
}

/// (c) Without a generation, or with one that cannot be read, zones go and come back as before.
#[test]
fn without_a_generation_zones_are_taken_out_all_the_same() {
    for generation in [None, Some("{")] {
        let place = synced("listen = [\"127.0.0.1:0\"]");
        let service = place.start(&SERVE);
        let server = service.address();
        match generation {
            None => fs::remove_file(place.path("state/generation.json")).unwrap(),
            Some(text) => _ = place.write("state/generation.json", text),
        }
        configure(&place, "listen = [\"127.0.0.1:0\"]", &["one"]);
        hang_up(&service, TAKEN);
        assert_eq!(says(server), [Rcode::NOERROR, Rcode::REFUSED], "{generation:?}");
        configure(&place, "listen = [\"127.0.0.1:0\"]", &["two"]);
        service.signal(Signal::SIGHUP);
        until("the other one", || says(server) == [Rcode::REFUSED, Rcode::NOERROR]);
        service.stop().ended_with(0);
    }
}

/// (d) A certificate that cannot be used is a mistake: nothing changes. And what is no file is no reason to wait for ever (e).
#[test]
fn a_certificate_that_cannot_be_used_changes_nothing() {
    let keys = "certificate = \"pair.crt\"\nkey = \"pair.key\"";
    let secure = format!("listen = [\"127.0.0.1:0\"]\ndot = [\"127.0.0.1:0\"]\n{keys}");
    let place = Place::new();
    let pair = Pair::new(&place.path("."), "pair");
    configure(&place, &secure, &["one", "two"]);
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let service = place.start(&SERVE);
    let talk = service.talks("DNS over TLS");
    let server = service.address();
    let dot = talk.lines().find(|line| line.contains("DNS over TLS")).unwrap();
    let dot: SocketAddr =
        dot.split("listening on ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();

    let (plain, other) = (free("127.0.0.3"), free("127.0.0.4"));
    configure(&place, &format!("listen = [\"{plain}\"]\ndot = [\"{other}\"]\n{keys}"), &["two"]);
    let nothing_changed = || {
        assert_eq!(says(server), [Rcode::NOERROR; 2]);
        assert!(greet(connect(dot), &pair.trusting(&[b"dot"])).is_ok());
        for address in [plain, other] {
            assert!(TcpStream::connect(address).is_err(), "{address}");
        }
    };
    place.write("pair.crt", "broken\n");
    let talk = hang_up(&service, KEPT);
    assert!(talk.contains("pair.crt: there is no certificate in it") && !talk.contains(TAKEN), "{talk}");
    nothing_changed();

    // Nobody writes into it, so reading it would never end.
    fs::remove_file(place.path("pair.crt")).unwrap();
    mkfifo(&place.path("pair.crt"), Mode::S_IRWXU).unwrap();
    let talk = hang_up(&service, "pair.crt: cannot be read: not a regular file");
    assert!(!talk.contains(TAKEN), "{talk}");
    nothing_changed();

    place.write("good.crt", &pair.pem);
    fs::rename(place.path("good.crt"), place.path("pair.crt")).unwrap();
    hang_up(&service, TAKEN);
    assert_eq!(says(plain), [Rcode::REFUSED, Rcode::NOERROR]);
    assert!(greet(connect(other), &pair.trusting(&[b"dot"])).is_ok());
    assert!(TcpStream::connect(server).is_err() && TcpStream::connect(dot).is_err());
    service.stop().ended_with(0);
}

/// (e) The same of the configuration itself.
#[test]
fn a_configuration_that_is_no_file_changes_nothing() {
    let place = synced("listen = [\"127.0.0.1:0\"]");
    let service = place.start(&SERVE);
    let server = service.address();
    let path = place.path("gatepost.toml");
    fs::rename(&path, place.path("aside")).unwrap();
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    let talk = hang_up(&service, KEPT);
    assert!(talk.contains("gatepost.toml: cannot read it: not a regular file"), "{talk}");
    assert_eq!(says(server), [Rcode::NOERROR; 2]);
    fs::rename(place.path("aside"), &path).unwrap();
    hang_up(&service, TAKEN);
    service.stop().ended_with(0);
}
