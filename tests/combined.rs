//! rbldnsd's combined data sets through the whole program: from the configuration to what a server answers, with what
//! comes and goes. (What each subzone answers is held against rbldnsd itself in `rbldnsd_peer.rs`.)
#![cfg(feature = "full")]

mod common;

use std::fs;

use common::dns::{A, NOERROR, NS, NXDOMAIN, Over, REFUSED, Reply, SERVFAIL, SOA, TXT, ask};
use common::program::{Server, run};
use common::site::Site;

const LIST: &str = "$SOA 3600 ns.example h.example 0 1h 2h 3h 120\n$TTL 77\n$DATASET ip4set a @\n192.0.3.1 :5:five $\n\
    $DATASET dnset c.b\nspam.example :6:\n";

/// A zone of one combined list in `own.txt`.
fn site(list: &str) -> Site {
    let site = Site::new();
    configure(&site, "", "");
    fs::write(site.path("own.txt"), list).unwrap();
    site
}

fn configure(site: &Site, of_zone: &str, more: &str) {
    let list = "[list.own]\nfile = \"own.txt\"\nformat = \"rbldnsd:combined\"\nuse = \"block\"\n";
    site.configure(&(list.to_owned() + &Site::zone("z.example", &["own"], of_zone) + more));
}

fn put(site: &Site, list: &str) {
    fs::write(site.path("own.txt"), list).unwrap();
    site.sync(&[]).expect(0);
}

/// What both transports say.
fn said(server: &Server, name: &str, qtype: u16) -> Reply {
    let [udp, tcp] = [Over::Udp, Over::Tcp].map(|over| ask(server.dns, over, name, qtype));
    let shown = |reply: &Reply| (reply.rcode, reply.a.clone(), reply.txt.clone(), reply.serial);
    assert_eq!(shown(&udp), shown(&tcp), "{name}");
    udp
}

fn rcode(server: &Server, name: &str) -> u8 {
    said(server, name, A).rcode
}

#[test]
fn subzones_come_and_go_with_their_list() {
    let site = site(LIST);
    site.sync(&[]).expect(0);
    let mut server = site.serve();
    for name in ["1.3.0.192.z.example", "1.3.0.192.a.z.example"] {
        assert_eq!(said(&server, name, A).a, [[127, 0, 0, 5]], "{name}");
    }
    assert_eq!(said(&server, "1.3.0.192.a.z.example", TXT).txt, ["five 192.0.3.1"]);
    assert_eq!(said(&server, "spam.example.c.b.z.example", A).a, [[127, 0, 0, 6]]);
    assert_eq!(rcode(&server, "spam.example.z.example"), NXDOMAIN);
    assert_eq!(rcode(&server, "1.3.0.192.c.b.z.example"), NXDOMAIN);
    // A subzone's origin is a name within the zone, and so is what is above it alone.
    for name in ["a.z.example", "c.b.z.example", "b.z.example"] {
        for qtype in [A, SOA, NS] {
            let reply = said(&server, name, qtype);
            assert_eq!((reply.rcode, reply.answers, reply.serial.is_some()), (NOERROR, 0, true), "{name}");
        }
    }
    let serial = said(&server, "z.example", SOA).serial.unwrap();
    for name in ["2.3.0.192.z.example", "2.3.0.192.a.z.example", "x.c.b.z.example"] {
        let reply = said(&server, name, A);
        assert_eq!((reply.rcode, reply.serial), (NXDOMAIN, Some(serial)), "{name}");
    }

    // What one subzone says is news of the zone.
    put(&site, &LIST.replace("spam.example", "spam.test"));
    let next = site.serial("z.example");
    assert!(next > serial);
    server.wait_for_serial("z.example", next);
    assert_eq!(rcode(&server, "spam.example.c.b.z.example"), NXDOMAIN);
    assert_eq!(said(&server, "spam.test.c.b.z.example", A).a, [[127, 0, 0, 6]]);
    assert_eq!(said(&server, "2.3.0.192.a.z.example", A).serial, Some(next));
    let generation = site.generation();
    site.sync(&[]).expect(0);
    assert_eq!(site.generation(), generation, "nothing changed");

    // A file that cannot be one changes nothing.
    fs::write(site.path("own.txt"), format!("{LIST}$DATASET nonsense d\n")).unwrap();
    let said_of_it = site.sync(&[]).expect(1).json();
    let reason = said_of_it["lists"][0]["reasons"][0].as_str().unwrap();
    assert!(reason.ends_with("own.txt: line 7: `nonsense` is no type of data set"), "{reason}");
    assert_eq!(said(&server, "spam.test.c.b.z.example", A).a, [[127, 0, 0, 6]]);

    // A subzone that is gone falls to the zone.
    put(&site, "$DATASET ip4set b @\n192.0.3.1\n192.0.3.2\n");
    server.wait_for_serial("z.example", site.serial("z.example"));
    assert_eq!(rcode(&server, "1.3.0.192.a.z.example"), NXDOMAIN);
    assert_eq!(rcode(&server, "c.b.z.example"), NXDOMAIN);
    assert_eq!(rcode(&server, "2.3.0.192.b.z.example"), NOERROR);
    assert_eq!(server.stop().0, Some(0));
}

/// The zone's own snapshot says nothing of its lists then, but what it is made of changed all the same.
#[test]
fn the_serial_of_a_zone_of_subzones_alone_goes_forward() {
    let site = site("$DATASET ip4set a\n192.0.3.1\n");
    site.sync(&[]).expect(0);
    let (serial, generation) = (site.serial("z.example"), site.generation());
    put(&site, "$DATASET ip4set a\n192.0.3.2\n");
    assert!(site.serial("z.example") > serial);
    assert_eq!(site.serial("a.z.example"), site.serial("z.example"));
    assert_ne!(site.generation(), generation);
    let server = site.serve();
    assert_eq!(rcode(&server, "192.z.example"), NXDOMAIN);
    assert_eq!(rcode(&server, "2.0.0.127.z.example"), NXDOMAIN);
    assert_eq!(rcode(&server, "2.0.0.127.a.z.example"), NOERROR);
    assert_eq!(said(&server, "z.example", SOA).answers, 1);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_zone_that_a_generation_forgets_stays_with_its_subzones() {
    let site = site(LIST);
    site.sync(&[]).expect(0);
    let mut server = site.serve();
    let text = fs::read_to_string(site.config()).unwrap();
    // Somebody syncs another configuration into the same store.
    let other = text.replace("z.example", "y.example");
    fs::write(site.path("other.toml"), other).unwrap();
    run(["sync", "--config", &site.path("other.toml").display().to_string()]).expect(0);
    server.wait_for(|said| said.contains("this generation does not have it").then_some(()));
    assert_eq!(said(&server, "1.3.0.192.a.z.example", A).a, [[127, 0, 0, 5]]);
    assert_eq!(said(&server, "1.3.0.192.z.example", A).a, [[127, 0, 0, 5]]);
    assert_eq!(rcode(&server, "1.3.0.192.a.y.example"), REFUSED);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn access_and_end_are_those_of_the_zone() {
    let site = site(LIST);
    configure(&site, "access = [{ clients = [\"127.0.0.0/8\"], action = \"refuse\" }]", "");
    site.sync(&[]).expect(0);
    let server = site.serve();
    for name in ["1.3.0.192.z.example", "1.3.0.192.a.z.example", "x.c.b.z.example"] {
        assert_eq!(rcode(&server, name), REFUSED, "{name}");
    }
    assert_eq!(server.stop().0, Some(0));
    configure(&site, "", "");
    put(&site, &format!("{LIST}$TIMESTAMP 2001:01:01 2002:01:01\n"));
    let server = site.serve();
    for name in ["1.3.0.192.z.example", "1.3.0.192.a.z.example", "x.c.b.z.example", "a.z.example"] {
        assert_eq!(rcode(&server, name), SERVFAIL, "{name}");
    }
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_configured_zone_goes_before_subzones() {
    let site = site(&LIST.replace("a @", "a x.a d @"));
    let plain = "[list.plain]\nfile = \"plain.txt\"\nformat = \"plain\"\nuse = \"block\"\n";
    configure(&site, "", &(plain.to_owned() + &Site::zone("a.z.example", &["plain"], "")));
    fs::write(site.path("plain.txt"), "192.0.3.9\n").unwrap();
    let done = site.sync(&[]).expect(0);
    assert!(done.stderr.contains("the configured zone a.z.example goes before it"), "{}", done.stderr);
    let server = site.serve();
    assert_eq!(rcode(&server, "1.3.0.192.a.z.example"), NXDOMAIN);
    assert_eq!(rcode(&server, "1.3.0.192.x.a.z.example"), NXDOMAIN);
    assert_eq!(rcode(&server, "9.3.0.192.a.z.example"), NOERROR);
    assert_eq!(said(&server, "a.z.example", SOA).answers, 1);
    assert_eq!(said(&server, "1.3.0.192.d.z.example", A).a, [[127, 0, 0, 5]]);
    assert_eq!(server.stop().0, Some(0));
    // Without it they are there again.
    configure(&site, "", "");
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!(rcode(&server, "1.3.0.192.x.a.z.example"), NOERROR);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn people_see_subzones() {
    let site = site(LIST);
    site.sync(&[]).expect(0);
    let config = site.config().display().to_string();
    let shown = run(["status", "--config", &config]).expect(0).stdout;
    assert!(shown.contains("\n  a.z.example ") && shown.contains("\n  c.b.z.example "), "{shown}");
    let status = site.status();
    let zones = status["zones"].as_array().unwrap();
    let bases: Vec<_> =
        zones.iter().map(|zone| (zone["origin"].as_str().unwrap(), zone["base"].as_str())).collect();
    let base = Some("z.example");
    assert_eq!(bases, [("z.example", None), ("a.z.example", base), ("c.b.z.example", base)]);
    let found = run(["lookup", "--json", "--config", &config, "192.0.3.1"]).expect(1).json();
    let zones: Vec<_> =
        found["zones"].as_array().unwrap().iter().map(|zone| zone["zone"].as_str().unwrap()).collect();
    assert_eq!(zones, ["z.example", "a.z.example"]);
    assert_eq!(found["lists"][0]["entries"][0]["subzones"], serde_json::json!(["@", "a"]));
    assert_eq!(found["lists"][0]["zones"], serde_json::json!(["z.example"]));
    run(["lookup", "--config", &config, "spam.example.c.b.z.example"]).expect(1);
    run(["lookup", "--config", &config, "spam.test"]).expect(0);

    let server = site.serve();
    let text = fs::read_to_string(site.config()).unwrap().replace("127.0.0.1:0", &server.dns.to_string());
    fs::write(site.path("probe.toml"), text).unwrap();
    let probe = site.path("probe.toml").display().to_string();
    let health = run(["status", "--probe", "--config", &probe]).expect(0).stdout;
    assert!(health.contains("3 zones right"), "{health}");
    assert_eq!(server.stop().0, Some(0));

    let compile = |file: &str, text: &str| {
        let (path, out) = (site.path(file), site.path("out.snapshot"));
        fs::write(&path, text).unwrap();
        let (path, out) = (path.display().to_string(), out.display().to_string());
        run(["compile", "--format", "rbldnsd:combined", "--zone", "z.example", &path, "-o", &out])
    };
    let refused = compile("several", LIST).expect(1);
    assert!(refused.stderr.contains("its sections make several zones"), "{}", refused.stderr);
    compile("one", "$DATASET ip4set @\n192.0.3.1\n$DATASET ip4trie @\n192.0.3.2\n").expect(0);
}
