//! `gatepost rbldnsd` with files that are none: what stopped rbldnsd, was taken for an empty list there, or is no file
//! at all. They stand on one command line with sound ones, whose zones answer whatever the others hold.
#![cfg(feature = "full")]

mod cli_support;

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cli_support::daemon::{address, command, is_listed, place, rcode, started};
use cli_support::{Place, Running, until};
use flate2::Compression;
use flate2::write::GzEncoder;
use gatepost::client::{Client, Data, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

/// The types, each with a sound file and a name that it lists.
const TYPES: [(&str, &str, &str); 8] = [
    ("ip4set", "192.0.2.1\n", "1.2.0.192"),
    ("ip4tset", "192.0.2.1\n", "1.2.0.192"),
    ("ip4trie", "192.0.2.1\n", "1.2.0.192"),
    ("ip6trie", "2001:db8::/32\n", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"),
    ("ip6tset", "2001:db8:0:0\n", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"),
    ("dnset", "spam.example\n", "spam.example"),
    ("generic", "spam.example A 127.0.0.2\n", "spam.example"),
    ("combined", "$DATASET ip4set @\n192.0.2.1\n", "1.2.0.192"),
];

/// What becomes of an ip4set whose sound file is replaced by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The last good data serve on.
    Kept,
    /// It is a list without entries.
    Empty,
    /// It says that it has ended.
    Ended,
    /// It lists the address that is asked for.
    Listed,
}

/// Contents that are no list.
fn junk() -> Vec<(&'static str, Vec<u8>, Then)> {
    let packed = {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&b"192.0.2.9\n".repeat(1000)).unwrap();
        packed.finish().unwrap()
    };
    let mut wrong = packed.clone();
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    let mut seed = 1u64;
    let noise: Vec<u8> = (0..200_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        })
        .collect();
    let html = "<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head>\n<body>\n<h1>Busy</h1>\n</body></html>\n";
    let program = fs::read(env!("CARGO_BIN_EXE_gatepost")).unwrap();
    let utf16 = "192.0.2.1\r\n".encode_utf16().flat_map(u16::to_le_bytes);
    let long = [vec![b'1'; 3 << 20], b"\n".to_vec()].concat();
    vec![
        ("html", html.as_bytes().to_vec(), Then::Kept),
        ("gzip-cut", packed[..packed.len() / 2].to_vec(), Then::Kept),
        ("gzip-tail", packed[..packed.len() - 1].to_vec(), Then::Kept),
        ("gzip-crc", wrong, Then::Kept),
        ("gzip-magic", vec![0x1f, 0x8b], Then::Kept),
        ("noise", noise, Then::Kept),
        ("zeros", vec![0; 300_000], Then::Kept),
        ("program", program[..program.len().min(500_000)].to_vec(), Then::Kept),
        ("utf-16", [0xff, 0xfe].into_iter().chain(utf16).collect(), Then::Kept),
        ("long-line", long, Then::Kept),
        ("returns", vec![b'\r'; 1000], Then::Empty),
        ("line-ends", vec![b'\n'; 100_000], Then::Empty),
        ("nothing", Vec::new(), Then::Empty),
        ("comments", b"# nothing listed today\n; really\n".to_vec(), Then::Empty),
        ("future", b"$TIMESTAMP 2037:01:01\n192.0.2.1\n".to_vec(), Then::Kept),
        ("ended", b"$TIMESTAMP 2001:01:01 2002:01:01\n".to_vec(), Then::Ended),
        (
            "dollars",
            b"$\n$$\n$NS\n$SOA\n$TTL\n$=\n$0\n$DATASET\n$MAXRANGE4\n$TIMESTAMP\n#$\n:$\n".repeat(2000),
            Then::Kept,
        ),
        ("spoilt-mx", b"a A 127.0.0.2\nb MX 10\n".to_vec(), Then::Kept),
        ("spoilt-ttl", b"a 99999999999 A 1.1.1.1\n".to_vec(), Then::Kept),
        (
            "spoilt-sections",
            b"$DATASET combined a\n$DATASET acl b\n$DATASET nonsense c\n".to_vec(),
            Then::Kept,
        ),
        ("colons", b":\n::\n:::\n::::\n:0:\n:256:x\n".repeat(500), Then::Kept),
        ("names", format!("{}\n{}\n", "x".repeat(70), "y.".repeat(200)).into_bytes(), Then::Kept),
        (
            "limits",
            b"0.0.0.0-255.255.255.255\n0/0\n0/1\n128/1\n::/0\n!0/0\n!::/0\n255.255.255.255\n".to_vec(),
            Then::Listed,
        ),
    ]
}

/// Combined files that rbldnsd does not load.
const SPOILT: [(&str, &str); 4] = [
    ("outside", "192.0.2.2\n$DATASET ip4set @\n192.0.2.2\n"),
    ("unknown", "$DATASET ip4set @\n192.0.2.2\n$DATASET nonsense a\n"),
    ("nested", "$DATASET combined @\n$DATASET ip4set @\n192.0.2.2\n"),
    ("access", "$DATASET acl @\n192.0.2.2 :refuse\n"),
];

/// What is no file, or none that may be read.
fn no_files(place: &Place) -> Vec<&'static str> {
    fs::create_dir(place.path("folder")).unwrap();
    nix::unistd::mkfifo(&place.path("pipe"), Mode::from_bits_truncate(0o666)).unwrap();
    place.write("forbidden", "192.0.2.1\n");
    fs::set_permissions(place.path("forbidden"), Permissions::from_mode(0o000)).unwrap();
    symlink("loop", place.path("loop")).unwrap();
    symlink("nowhere", place.path("dangling")).unwrap();
    vec!["missing", "folder", "pipe", "forbidden", "loop", "dangling", "/dev/zero", "folder/x", "missing/y"]
}

/// Puts the sound file of each type there; the zones that they make.
fn sound(place: &Place) -> Vec<String> {
    let zone = |(kind, text, _): &(&str, &str, &str)| {
        place.write(&format!("sound-{kind}"), text);
        format!("{kind}.sound:{kind}:sound-{kind}")
    };
    TYPES.iter().map(zone).collect()
}

#[track_caller]
fn sound_zones_answer(server: SocketAddr) {
    for (kind, _, listed) in TYPES {
        assert_eq!(rcode(server, &format!("{listed}.{kind}.sound")), Rcode::NOERROR, "{kind}");
    }
}

#[test]
fn junk_beside_sound_zones_at_the_start() {
    let place = place();
    let mut zones = sound(&place);
    let mut unsound = Vec::new();
    for (name, octets, _) in junk() {
        place.write(name, octets);
        unsound.push(name);
    }
    unsound.extend(no_files(&place));
    let mut odd = Vec::new();
    for (number, file) in unsound.iter().enumerate() {
        for (at, (kind, ..)) in TYPES.iter().enumerate() {
            odd.push(format!("{kind}.junk{number}"));
            // Before, between and behind the sound ones.
            let at = (number * TYPES.len() + at) % zones.len();
            zones.insert(at, format!("{kind}.junk{number}:{kind}:{file}"));
        }
    }
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    let options = ["-n", "-q", "-b", "127.0.0.1/0", "-c", "1h"];
    let mut daemon = Running::new(command(&place, &[&options[..], &zones].concat()));
    let server = address(&daemon);
    daemon.talks("zones reloaded");
    until("the sound zones", || is_listed(server, "192.0.2.1", "ip4set.sound"));
    sound_zones_answer(server);
    let [loader] = daemon.children()[..] else { panic!("one loader") };
    for zone in &odd {
        // Whatever it is: an answer, and no other process.
        let said = rcode(server, &format!("1.2.0.192.{zone}"));
        assert!([Rcode::NOERROR, Rcode::NXDOMAIN, Rcode::SERVFAIL].contains(&said), "{zone}: {said:?}");
    }
    for (number, file) in unsound.iter().enumerate().skip(junk().len()) {
        for (kind, ..) in TYPES {
            assert_eq!(
                rcode(server, &format!("1.2.0.192.{kind}.junk{number}")),
                Rcode::SERVFAIL,
                "{kind} {file}"
            );
        }
    }
    daemon.signal(Signal::SIGHUP);
    sound_zones_answer(server);
    assert_eq!(daemon.children(), [loader], "it did not die of any of them");
    assert!(!daemon.has_ended());
    let ran = daemon.stop().ended_with(0);
    assert!(!ran.err.contains("panicked") && !ran.err.contains("died"), "{}", ran.err);
}

#[test]
fn without_q_what_cannot_be_loaded_stops_the_start_and_junk_does_not() {
    let place = place();
    let zones = sound(&place);
    let mut zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    for (name, octets, _) in junk() {
        place.write(name, octets);
    }
    zones.extend([
        "a.junk:ip4set:html",
        "b.junk:dnset:noise",
        "c.junk:ip4trie:zeros",
        "d.junk:generic:spoilt-mx",
        "e.junk:ip4set:long-line",
    ]);
    let (daemon, server) = started(&place, &zones);
    sound_zones_answer(server);
    for zone in ["a.junk", "c.junk", "e.junk"] {
        assert_eq!(rcode(server, &format!("1.2.0.192.{zone}")), Rcode::NXDOMAIN, "{zone}");
    }
    assert_eq!(rcode(server, "a.d.junk"), Rcode::NOERROR, "one bad record costs one record");
    daemon.stop().ended_with(0).talks("none of its lines can be read");

    place.write("cut", [0x1f, 0x8b, 8, 0]);
    no_files(&place);
    for file in ["cut", "missing", "folder", "pipe", "loop", "/dev/zero"] {
        let args = ["-n", "-b", "127.0.0.1/0", "z.example:ip4set:sound-ip4set"];
        let bad = format!("bad.example:ip4set:{file}");
        let ended = command(&place, &[&args[..], &[&bad]].concat()).output().unwrap();
        let talk = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{file}: {talk}");
        assert!(talk.contains(&format!("file {file}: ")) && talk.contains("zone loading errors"), "{talk}");
    }
}

#[test]
fn junk_that_replaces_good_files_leaves_the_last_good_data() {
    let place = place();
    let good = "192.0.2.1\n192.0.2.2\n";
    let kinds = junk();
    let mut zones = vec!["last.sound:ip4set:last".to_owned()];
    place.write("last", good);
    for (name, ..) in &kinds {
        place.write(name, good);
        zones.push(format!("{name}.junk:ip4set:{name}"));
    }
    for name in ["gone", "now-folder", "now-pipe", "now-forbidden"] {
        place.write(name, good);
        zones.push(format!("{name}.junk:ip4set:{name}"));
    }
    for name in SPOILT.map(|(name, _)| name) {
        place.write(name, "$DATASET ip4set @\n192.0.2.2\n");
        zones.push(format!("{name}.junk:combined:{name}"));
    }
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    let (daemon, server) = started(&place, &[&["-c", "1h"], &zones[..]].concat());
    let [loader] = daemon.children()[..] else { panic!("one loader") };

    for (name, octets, _) in &kinds {
        place.write(name, octets);
    }
    for (name, text) in SPOILT {
        place.write(name, text);
    }
    for name in ["gone", "now-folder", "now-pipe"] {
        fs::remove_file(place.path(name)).unwrap();
    }
    fs::create_dir(place.path("now-folder")).unwrap();
    nix::unistd::mkfifo(&place.path("now-pipe"), Mode::from_bits_truncate(0o666)).unwrap();
    fs::remove_file(place.path("now-forbidden")).unwrap();
    place.write("now-forbidden", "192.0.2.3\n");
    fs::set_permissions(place.path("now-forbidden"), Permissions::from_mode(0o000)).unwrap();
    place.write("last", "192.0.2.7\n");
    daemon.signal(Signal::SIGHUP);
    until("the sound zone's change", || is_listed(server, "192.0.2.7", "last.sound"));
    for (name, _, then) in &kinds {
        let said = rcode(server, &format!("2.2.0.192.{name}.junk"));
        let expected = match then {
            Then::Kept | Then::Listed => Rcode::NOERROR,
            Then::Empty => Rcode::NXDOMAIN,
            Then::Ended => Rcode::SERVFAIL,
        };
        assert_eq!(said, expected, "{name}");
    }
    let gone = ["gone", "now-folder", "now-pipe", "now-forbidden"];
    for name in gone.into_iter().chain(SPOILT.map(|(name, _)| name)) {
        assert!(is_listed(server, "192.0.2.2", &format!("{name}.junk")), "{name}");
    }
    assert_eq!(daemon.children(), [loader], "it did not die of any of them");

    // And all of them come back.
    fs::remove_dir(place.path("now-folder")).unwrap();
    fs::remove_file(place.path("now-pipe")).unwrap();
    fs::set_permissions(place.path("now-forbidden"), Permissions::from_mode(0o644)).unwrap();
    let names: Vec<&str> = zones.iter().filter_map(|zone| zone.split(':').nth(2)).collect();
    for name in &names {
        let head = if SPOILT.iter().any(|(spoilt, _)| spoilt == name) { "$DATASET ip4set @\n" } else { "" };
        place.write(name, format!("{head}192.0.2.8\n"));
    }
    daemon.signal(Signal::SIGHUP);
    for name in names.iter().filter(|name| **name != "last") {
        until(name, || is_listed(server, "192.0.2.8", &format!("{name}.junk")));
        assert!(!is_listed(server, "192.0.2.2", &format!("{name}.junk")), "{name}");
    }
    daemon.stop().ended_with(0);
}

#[test]
fn a_file_that_grows_while_it_is_read_costs_nothing() {
    let place = place();
    let line = |n: u32| format!("10.{}.{}.{}\n", n >> 16 & 255, n >> 8 & 255, n & 255);
    let text: String = (0..200_000).map(line).collect();
    place.write("grows", &text).write("other", "192.0.2.1\n");
    let (daemon, server) =
        started(&place, &["-c", "1s", "grows.example:ip4set:grows", "other.example:ip4set:other"]);
    assert!(is_listed(server, "10.0.0.1", "grows.example"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(place.path("grows")).unwrap();
            let mut number = 200_000;
            while !done.load(Ordering::Relaxed) {
                file.write_all(line(number).as_bytes()).unwrap();
                number += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            file.write_all(b"192.0.2.99\n").unwrap();
        });
        for _ in 0..100 {
            assert!(is_listed(server, "10.0.0.1", "grows.example"), "what was good serves on");
            assert!(is_listed(server, "192.0.2.1", "other.example"));
            std::thread::sleep(Duration::from_millis(20));
        }
        done.store(true, Ordering::Relaxed);
    });
    until("what was written last", || is_listed(server, "192.0.2.99", "grows.example"));
    daemon.stop().ended_with(0);
}

#[test]
fn every_bad_line_is_told_and_one_line_costs_one_line() {
    let place = place();
    let bad =
        "nonsense\n1.2.3.4.5\n1.2.3.256\n10/33\n1.2.3.9-4\n12\n1.1.1.1/8\n$INCLUDE x\n$ENT y\n1.2.3.4:0:x\n";
    place.write("a", format!("{bad}192.0.2.1 :3:yes\n"));
    place.write("g", "b MX 10\nc 99999999999 A 1.1.1.1\nd A\nname A 127.0.0.2\n");
    let (daemon, server) = started(&place, &["z.example:ip4set:a", "g.example:generic:g"]);
    let reply =
        Client::new(server).ask(&"1.2.0.192.z.example".parse().unwrap(), Rtype::TXT, Over::Udp).unwrap();
    assert_eq!(reply.answers[0].data, Data::Txt(vec![b"yes".to_vec()]));
    assert_eq!(rcode(server, "name.g.example"), Rcode::NOERROR);
    let ran = daemon.stop().ended_with(0);
    for line in 1..=10 {
        assert!(ran.err.contains(&format!("file a({line}): ")), "{line}: {}", ran.err);
    }
    for line in 1..=3 {
        assert!(ran.err.contains(&format!("file g({line}): ")), "{line}: {}", ran.err);
    }
}
