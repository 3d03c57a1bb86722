//! `gatepost rbldnsd` started again: what it takes from its cache, and what it must not.
#![cfg(feature = "full")]

mod cli_support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use cli_support::daemon::{is_listed, place, rcode, started};
use cli_support::{Place, until};
use flate2::Compression;
use flate2::write::GzEncoder;
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;

const LIST: &str = "127.0.0.2\n192.0.2.7 :5:seven $\n!192.0.2.8\n";

#[test]
fn a_restart_maps_what_was_compiled_and_reads_only_what_changed() {
    let place = place();
    place.write("a", LIST).write("b", "198.51.100.1\n").write("c", LIST);
    let zones = ["-c", "1", "z.example:ip4set:a", "z.example:ip4trie:b", "c.example:ip4set:c"];
    // A file that was changed a moment ago is read twice: let it settle.
    std::thread::sleep(Duration::from_millis(50));
    let (daemon, _) = started(&place, &zones);
    daemon.stop().ended_with(0).talks("ip4set:a: ").talks("ip4trie:b: ").talks("ip4set:c: ");

    let (daemon, server) = started(&place, &zones);
    assert!(is_listed(server, "192.0.2.7", "z.example") && is_listed(server, "198.51.100.1", "z.example"));
    let ran = daemon.stop().ended_with(0).talks("zone z.example: as compiled before");
    assert!(!ran.err.contains("read in"), "{}", ran.err);

    place.write("b", "198.51.100.2\n");
    std::thread::sleep(Duration::from_millis(50));
    let (daemon, server) = started(&place, &zones);
    assert!(is_listed(server, "192.0.2.7", "z.example") && is_listed(server, "198.51.100.2", "z.example"));
    let ran = daemon.stop().ended_with(0).talks("ip4trie:b: ").talks("zone c.example: as compiled before");
    assert!(!ran.err.contains("ip4set:a: "), "only what has changed is read: {}", ran.err);

    // What is damaged is made again.
    for entry in fs::read_dir(place.path("cache")).unwrap() {
        let path = entry.unwrap().path();
        let mut octets = fs::read(&path).unwrap();
        let middle = octets.len() / 2;
        octets[middle] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, octets).unwrap();
    }
    give_to_nobody(&place);
    let (daemon, server) = started(&place, &zones);
    assert!(is_listed(server, "192.0.2.7", "z.example") && is_listed(server, "192.0.2.7", "c.example"));
    daemon.stop().ended_with(0).talks("made again").talks("ip4set:a: ");
}

/// What a test of root's has written belongs to the user of the daemon.
fn give_to_nobody(place: &Place) {
    let owner = fs::metadata(place.path("cache")).unwrap();
    for entry in fs::read_dir(place.path("cache")).unwrap() {
        std::os::unix::fs::chown(entry.unwrap().path(), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
}

/// `-t`, `-e` and `-C` make other zones of the same files.
#[test]
fn a_restart_with_other_options_takes_nothing_compiled_with_the_old() {
    let place = place();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(LIST.as_bytes()).unwrap();
    place.write("packed", packed.finish().unwrap()).write("a", "127.0.0.2\n10.0.0.1/8\n");
    let start = |options: &[&str]| {
        started(&place, &[options, &["a.example:ip4trie:a", "p.example:ip4set:packed"]].concat())
    };
    let ttl = |server| {
        let reply = Client::new(server).ask(&"2.0.0.127.a.example".parse().unwrap(), Rtype::A, Over::Udp);
        reply.unwrap().answers[0].ttl
    };
    let known = ["-t", "10m", "-e"];
    let (daemon, server) = start(&known);
    assert_eq!(ttl(server), 600);
    assert!(is_listed(server, "10.9.9.9", "a.example") && is_listed(server, "192.0.2.7", "p.example"));
    daemon.stop().ended_with(0);

    let (daemon, server) = start(&["-t", "20m", "-e"]);
    assert_eq!(ttl(server), 1200);
    daemon.stop().ended_with(0);
    let (daemon, server) = start(&["-t", "10m"]);
    assert!(!is_listed(server, "10.9.9.9", "a.example"), "a bad line without -e");
    daemon.stop().ended_with(0);
    let (daemon, server) = start(&[&known[..], &["-C", "-q"]].concat());
    until("the list that is plain", || is_listed(server, "127.0.0.2", "a.example"));
    assert_eq!(rcode(server, "7.2.0.192.p.example"), Rcode::SERVFAIL, "compressed");
    daemon.stop().ended_with(0);

    // It is there still for who asks for the same.
    let (daemon, server) = start(&known);
    assert_eq!(ttl(server), 600);
    let ran = daemon.stop().ended_with(0);
    ran.talks("zone a.example: as compiled before").talks("zone p.example: as compiled before");
}

/// The names of files in the cache hold no more than the beginning of a zone's.
#[test]
fn zones_of_one_list_whose_names_begin_alike_are_kept_apart() {
    let place = place();
    place.write("a", LIST);
    let zones = ["one", "two"].map(|last| format!("{}.{}.{last}.example", "x".repeat(60), "y".repeat(60)));
    let specs = zones.each_ref().map(|zone| format!("{zone}:ip4set:a"));
    let (daemon, server) = started(&place, &[&specs[0], &specs[1]]);
    assert!(zones.iter().all(|zone| is_listed(server, "192.0.2.7", zone)));
    daemon.stop().ended_with(0);
}
