//! `gatepost compare`: beside Debian's rbldnsd with the same data, and with data of which a little was changed; beside servers
//! that do not answer.
#![cfg(feature = "full")]

mod common;
mod peer_support;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use common::program::{Ended, Server, run};
use common::site::Site;
use peer_support::servers::{Folder, Running, rbldnsd};
use serde_json::Value;

/// Three zones of own files: addresses and ranges less exceptions, IPv6, names.
fn site() -> (Site, Server) {
    let site = Site::new();
    let own = |name: &str, format: &str, code: u8, use_: &str| {
        format!(
            "[list.{name}]\nfile = \"{name}.txt\"\nformat = \"{format}\"\nuse = \"{use_}\"\ncode = \"127.0.1.{code}\"\n\
             text = \"$ is on {name}\"\n"
        )
    };
    site.configure(
        &(own("own", "plain", 5, "block")
            + &own("friends", "plain", 6, "allow")
            + &own("names", "names", 7, "block")
            + &Site::zone("bl.example", &["own"], "except = [\"friends\"]")
            + &Site::zone("names.example", &["names"], "")),
    );
    fs::write(site.path("own.txt"), "192.0.2.7\n192.0.2.9\n198.51.100.0/25\n2001:db8::/32\n").unwrap();
    fs::write(site.path("friends.txt"), "198.51.100.20\n").unwrap();
    fs::write(site.path("names.txt"), "spam.example\n*.wild.example\n").unwrap();
    site.sync(&[]).expect(0);
    let server = site.serve();
    (site, server)
}

fn compare(site: &Site, server: SocketAddr, with: SocketAddr, more: &[&str]) -> Ended {
    let config = site.config();
    let (server, with) = (server.to_string(), with.to_string());
    let fixed = ["compare", "--config", config.to_str().unwrap(), "--server", &server, "--with", &with];
    run(fixed.into_iter().chain(more.iter().copied()))
}

/// What counts among the differences: `NAME TYPE`, in order.
fn named(ended: &Ended) -> Vec<String> {
    let json = ended.json();
    let counting = json["differences"].as_array().unwrap().iter().filter(|found| found["counts"] == true);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    counting.map(|found| format!("{} {}", text(&found["name"]), text(&found["type"]))).collect()
}

/// Both zones as rbldnsd's files.
fn exported(site: &Site) -> [String; 2] {
    let config = site.config();
    ["bl.example", "names.example"].map(|zone| {
        run(["export", zone, "--format", "rbldnsd", "--config", config.to_str().unwrap()]).expect(0).stdout
    })
}

fn started(program: &std::path::Path, folder: &Folder, [bl, names]: &[String; 2]) -> Running {
    folder.put("bl", bl.as_bytes());
    folder.put("names", names.as_bytes());
    let zones = ["bl.example:combined:bl", "names.example:combined:names"].map(str::to_owned);
    Running::theirs(program, folder, &zones)
}

#[test]
fn beside_rbldnsd_with_the_same_data() {
    let Some(program) = rbldnsd("beside_rbldnsd_with_the_same_data") else { return };
    let (site, server) = site();
    let folder = Folder::new();
    let texts = exported(&site);
    let theirs = started(&program, &folder, &texts);
    let same = compare(&site, server.dns, theirs.address, &["--json", "--ttl"]).expect(0).json();
    assert_eq!((&same["same"], &same["differ"], &same["unanswered"]), (&true.into(), &0.into(), &0.into()));
    assert_eq!(same["zones"], 2, "{same:#}");
    assert!(same["questions"].as_u64().unwrap() > 500, "{same:#}");
    // Names above listings exist here alone; with the rest of the differences they count when somebody asks for it.
    let strict = compare(&site, server.dns, theirs.address, &["--json", "--strict"]).expect(1);
    let kinds = strict.json();
    let kinds = kinds["differences"].as_array().unwrap();
    assert!(kinds.iter().all(|found| found["kind"] == "existence"), "{kinds:#?}");
    assert!(named(&strict).contains(&"2.0.192.bl.example A".to_owned()), "{kinds:#?}");
    let told = compare(&site, server.dns, theirs.address, &[]).expect(0).stdout;
    assert!(told.contains("about 2 zones: no answer differs\n") && told.contains("not counted: "), "{told}");
    // A zone alone, and few of its entries.
    let few =
        compare(&site, server.dns, theirs.address, &["--zone", "names.example", "--samples", "1", "--json"]);
    let few = few.expect(0).json();
    assert!(few["zones"] == 1 && few["questions"].as_u64() < same["questions"].as_u64(), "{few:#}");
}

/// Each change of one entry is found, and nothing besides.
#[test]
fn every_difference_is_named() {
    let Some(program) = rbldnsd("every_difference_is_named") else { return };
    let (site, server) = site();
    let texts = exported(&site);
    let above = "f.".repeat(24) + "8.b.d.0.1.0.0.2.bl.example A";
    let changes: &[(&str, &str, &[&str], &[&str])] = &[
        (
            "192.0.2.7\n",
            "",
            &[],
            &["7.2.0.192.bl.example A", "7.2.0.192.bl.example TXT", "7.2.0.192.BL.EXAMPLE A"],
        ),
        // The ends of a range: one address more, one less.
        ("198.51.100.64/26\n", "198.51.100.64/26\n198.51.100.128\n", &[], &["128.100.51.198.bl.example A"]),
        ("198.51.100.0/28\n", "198.51.100.0/28\n!198.51.100.0\n", &[], &["0.100.51.198.bl.example A"]),
        // The exception, half of an IPv6 prefix, a name above those that are listed.
        ("198.51.100.21\n", "198.51.100.21\n198.51.100.20\n", &[], &["20.100.51.198.bl.example A"]),
        ("2001:db8::/32\n", "2001:db8::/33\n", &[], &[&above]),
        ("*.wild.example", ".wild.example", &[], &["wild.example.names.example A"]),
        ("spam.example", "spam.example.net", &[], &["spam.example.names.example A"]),
        ("$ is on names", "$ was on names", &[], &["spam.example.names.example TXT"]),
        ("127.0.1.5", "127.0.1.9", &[], &["7.2.0.192.bl.example A", "9.2.0.192.bl.example A"]),
        ("$TTL 300", "$TTL 299", &["--ttl"], &["7.2.0.192.bl.example A"]),
    ];
    for (old, new, options, expected) in changes {
        let changed = texts.clone().map(|text| text.replace(old, new));
        if changed == texts {
            panic!("`{old}` stands nowhere in {texts:#?}");
        }
        let folder = Folder::new();
        let theirs = started(&program, &folder, &changed);
        let found = compare(&site, server.dns, theirs.address, &[&["--json"], *options].concat());
        let names = named(&found);
        for name in *expected {
            assert!(names.contains(&(*name).to_owned()), "{old} → {new}: {names:#?}");
        }
        assert_eq!(found.code, Some(i32::from(!expected.is_empty())), "{old} → {new}: {found:#?}");
        let only = |prefix: &str| names.iter().all(|name| name.to_lowercase().contains(prefix));
        if *old == "192.0.2.7\n" {
            assert!(only("7.2.0.192.bl.example"), "{names:#?}");
            let told = compare(&site, server.dns, theirs.address, &[]).expect(1).stdout;
            let line = format!("  {}  NOERROR 127.0.1.5\n", server.dns);
            assert!(told.contains("differs 7.2.0.192.bl.example A\n") && told.contains(&line), "{told}");
            assert!(told.contains(&format!("{}  NXDOMAIN, no records\n", theirs.address)), "{told}");
        }
        if options.contains(&"--ttl") {
            compare(&site, server.dns, theirs.address, &[]).expect(0);
        }
    }
}

/// What was not asked for is not passed over in silence; and a list of some thousand entries is asked for as a whole.
#[test]
fn a_sample_is_called_one() {
    let Some(program) = rbldnsd("a_sample_is_called_one") else { return };
    let (site, server) = site();
    let forgotten = "203.0.113.77\n";
    let many: String = (0..3000u16).map(|n| format!("198.18.{}.{}\n", n >> 7, (n & 127) << 1)).collect();
    fs::write(site.path("own.txt"), format!("{many}{forgotten}")).unwrap();
    site.sync(&[]).expect(0);
    let server = {
        drop(server);
        site.serve()
    };
    let texts = exported(&site).map(|text| text.replace(forgotten, ""));
    let folder = Folder::new();
    let theirs = started(&program, &folder, &texts);
    let names = named(&compare(&site, server.dns, theirs.address, &["--json"]).expect(1));
    assert!(names.contains(&"77.113.0.203.bl.example A".to_owned()), "{names:#?}");
    let told = compare(&site, server.dns, theirs.address, &[]).expect(1).stdout;
    assert!(!told.contains("a sample"), "{told}");
    let few = compare(&site, server.dns, theirs.address, &["--samples", "10"]);
    assert!(
        few.stdout.contains("a sample: 10 of 3,0")
            && few.stdout.contains(" entries of bl.example (--samples "),
        "{few:#?}"
    );
    // Of the other zone there was nothing left to ask.
    assert_eq!(few.stdout.matches("a sample").count(), 1, "{few:#?}");
    let json = compare(&site, server.dns, theirs.address, &["--samples", "10", "--json"]).json();
    assert_eq!(json["sampled"].as_object().unwrap().keys().collect::<Vec<_>>(), ["bl.example"], "{json:#}");
}

/// Files of an old server have no test points, as a rule, and no list is to blame for it.
#[test]
fn test_points_are_no_lists() {
    let Some(program) = rbldnsd("test_points_are_no_lists") else { return };
    let (site, server) = site();
    let is_point = |line: &&str| {
        let entry = line.split([' ', ':']).next().unwrap_or_default();
        ["127.0.0.2", "test", "!127.0.0.1", "!invalid"].contains(&entry) || entry.contains(":7f00:")
    };
    let whole = exported(&site);
    let texts = whole.clone().map(|text| {
        text.split_inclusive('\n').filter(|line| !is_point(&line.trim_end())).collect::<String>()
    });
    let folder = Folder::new();
    let theirs = started(&program, &folder, &texts);
    let told = compare(&site, server.dns, theirs.address, &[]).expect(0).stdout;
    assert!(
        told.contains("no answer differs\n") && told.contains(" for test points, which this server answers"),
        "{told}"
    );
    let strict = compare(&site, server.dns, theirs.address, &["--json", "--strict"]).expect(1);
    let json = strict.json();
    let points: Vec<&Value> = json["differences"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| found["kind"] == "test-point")
        .collect();
    let is_there = |name: &str| points.iter().any(|found| found["name"] == name && found["counts"] == true);
    assert!(is_there("2.0.0.127.bl.example") && is_there("test.names.example"), "{points:#?}");
    // Where it leaves them to the lists they are like any other entry.
    drop(server);
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), config.replace("lists = [\"own\"]", "lists = [\"own\"]\ntest-points = false"))
        .unwrap();
    site.sync(&[]).expect(0);
    let server = site.serve();
    let folder = Folder::new();
    let theirs = started(&program, &folder, &whole);
    let names = named(&compare(&site, server.dns, theirs.address, &["--json"]).expect(1));
    assert!(names.contains(&"2.0.0.127.bl.example A".to_owned()), "{names:#?}");
    assert!(
        names.iter().all(|name| name.starts_with("2.0.0.") && name.contains("bl.example ")),
        "{names:#?}"
    );
}

/// Where mail goes is a record, too: rbldnsd's generic zones have it.
#[test]
fn mail_exchangers_are_compared() {
    let Some(program) = rbldnsd("mail_exchangers_are_compared") else { return };
    let site = Site::new();
    let list = "[list.hosts]\nfile = \"hosts.txt\"\nformat = \"rbldnsd:generic\"\nuse = \"block\"\n";
    site.configure(&(list.to_owned() + &Site::zone("g.example", &["hosts"], "")));
    let text = "host A 127.0.0.5\nhost MX 10 mx.example.\n";
    fs::write(site.path("hosts.txt"), text).unwrap();
    site.sync(&[]).expect(0);
    let server = site.serve();
    let beside = |text: &str| {
        let folder = Folder::new();
        folder.put("hosts", text.as_bytes());
        let theirs = Running::theirs(&program, &folder, &["g.example:generic:hosts".to_owned()]);
        named(&compare(&site, server.dns, theirs.address, &["--json"]))
    };
    let is_mx = |names: &[String]| names.iter().filter(|name| name.ends_with(" MX")).count();
    assert_eq!(is_mx(&beside(text)), 0);
    let changed = beside(&text.replace("10", "20"));
    assert_eq!(
        (is_mx(&changed), changed.contains(&"host.g.example MX".to_owned())),
        (1, true),
        "{changed:?}"
    );
}

#[test]
fn who_is_not_asked() {
    let (site, server) = site();
    let elsewhere = "192.0.2.1:53".parse().unwrap();
    let ended = compare(&site, server.dns, elsewhere, &[]).expect(2);
    assert!(
        ended.stderr.contains("not on this machine") && ended.stderr.contains("--allow-remote"),
        "{ended:#?}"
    );
    compare(&site, elsewhere, server.dns, &[]).expect(2);
    assert!(compare(&site, server.dns, server.dns, &[]).expect(2).stderr.contains("the server itself"));
    let other = ([127, 0, 0, 1], 9).into();
    let ended = compare(&site, server.dns, other, &["--zone", "other.example"]).expect(2);
    assert!(ended.stderr.contains("bl.example, names.example"), "{ended:#?}");
}

#[test]
fn who_does_not_answer() {
    let (site, server) = site();
    // Nobody reads what comes there.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ended = compare(&site, server.dns, deaf.local_addr().unwrap(), &[]).expect(3);
    assert!(ended.stderr.contains("no reply from") && ended.stdout.is_empty(), "{ended:#?}");
    // One that falls silent after some questions, which it refuses.
    let dying = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = dying.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        for _ in 0..20 {
            let (len, peer) = dying.recv_from(&mut buffer).unwrap();
            buffer[2] |= 0x80;
            buffer[3] = 5;
            dying.send_to(&buffer[..len], peer).unwrap();
        }
        // The socket stays: nothing refuses what comes.
        thread::park();
    });
    let ended = compare(&site, server.dns, address, &[]).expect(3);
    assert!(ended.stderr.contains("given up"), "{ended:#?}");
}

#[test]
fn a_zone_without_data_is_left_out() {
    let (site, server) = site();
    let other = Site::new();
    other.configure(
        &(Site::list("one", 1, "")
            + &Site::zone("one.example", &["one"], "")
            + &Site::zone("two.example", &["two"], ""))
            .replace("[zone.\"two", &(Site::list("two", 2, "") + "[zone.\"two")),
    );
    other.put("one", "5.6.7.8\n");
    other.sync(&["one"]).expect(0);
    let (one, two) = (other.serve(), other.serve());
    let ended = compare(&other, one.dns, two.dns, &[]).expect(3);
    assert!(ended.stderr.contains("two.example is left out: no data yet"), "{ended:#?}");
    assert!(ended.stdout.contains("about 1 zone: no answer differs"), "{ended:#?}");
    compare(&other, one.dns, two.dns, &["--zone", "one.example"]).expect(0);
    let ended = compare(&other, one.dns, two.dns, &["--zone", "two.example"]).expect(3);
    assert!(ended.stderr.contains("no zone has anything to ask for"), "{ended:#?}");
    drop((site, server));
}

/// The configuration has a zone that the server has not been told of: that is one thing, and no difference in each answer.
#[test]
fn a_zone_that_the_server_does_not_know_is_left_out() {
    let (site, server) = site();
    let other = site.serve();
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(
        site.config(),
        config
            + &Site::zone("late.example", &["own"], "")
            + &Site::zone("bare.example", &["own"], "test-points = false"),
    )
    .unwrap();
    site.sync(&[]).expect(0);
    let zones = ["--zone", "late.example", "--zone", "bare.example"];
    let ended = compare(&site, server.dns, other.dns, &zones).expect(3);
    for zone in ["late", "bare"] {
        let told = format!(
            "{zone}.example is left out: {} refuses all that is asked of it: it does not know the zone",
            server.dns
        );
        assert_eq!(ended.stderr.matches(&told).count(), 1, "{ended:#?}");
    }
    assert!(
        ended.stderr.contains("no zone has anything to ask for") && ended.stdout.is_empty(),
        "{ended:#?}"
    );
    let ended =
        compare(&site, server.dns, other.dns, &["--zone", "bl.example", "--zone", "late.example"]).expect(3);
    assert!(ended.stdout.contains("about 1 zone: no answer differs"), "{ended:#?}");
}

/// rbldnsd has a zone's subzones in the zone's file; other formats have no place for them, and that is told.
#[test]
fn subzones_are_exported_with_their_zone() {
    let Some(program) = rbldnsd("subzones_are_exported_with_their_zone") else { return };
    let site = Site::new();
    let list = "[list.own]\nfile = \"own.txt\"\nformat = \"rbldnsd:combined\"\nuse = \"block\"\n";
    site.configure(&(list.to_owned() + &Site::zone("z.example", &["own"], "keep-values = true")));
    let text = "$TTL 77\n$DATASET ip4set a @\n192.0.3.1 :5:five $\n198.51.100.0/24\n!198.51.100.20\n\
        $DATASET dnset c.b a\n$TTL 99\nspam.example :6:six\n.wild.example\n!no.wild.example\n\
        $DATASET ip4set d\n192.0.3.2\n$DATASET generic d.a\nhost A 127.0.0.9\nhost MX 10 mx.example.\n";
    fs::write(site.path("own.txt"), text).unwrap();
    site.sync(&[]).expect(0);
    let server = site.serve();
    let config = site.config();
    let export =
        |format| run(["export", "z.example", "--format", format, "--config", config.to_str().unwrap()]);
    let folder = Folder::new();
    let exported = export("rbldnsd").expect(0);
    assert_eq!(exported.stderr, "");
    folder.put("z", exported.stdout.as_bytes());
    let theirs = Running::theirs(&program, &folder, &["z.example:combined:z".to_owned()]);
    let same = compare(&site, server.dns, theirs.address, &["--json", "--ttl"]).expect(0).json();
    assert_eq!(same["zones"], 5, "{same:#}");
    // Without them all that they list is missing.
    let (alone, _) = exported.stdout.split_once("$DATASET ip4trie a").unwrap();
    folder.put("z", alone.as_bytes());
    drop(theirs);
    let theirs = Running::theirs(&program, &folder, &["z.example:combined:z".to_owned()]);
    let names = named(&compare(&site, server.dns, theirs.address, &["--json"]).expect(1));
    for name in ["1.3.0.192.a", "spam.example.c.b", "2.3.0.192.d", "host.d.a"] {
        assert!(names.contains(&format!("{name}.z.example A")), "{name}: {names:#?}");
    }
    let told = export("plain").expect(1).stderr;
    assert!(told.contains("4 subzones were left out") && told.contains("c.b.z.example"), "{told}");
}
