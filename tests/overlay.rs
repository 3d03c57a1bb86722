//! Local decisions with real processes: in force while the server runs, without a sync; over restarts, to their end, or until
//! they are taken back. What lists, test points and zones of allow lists have to do with them; and what becomes of the file
//! when commands meet, are killed, or somebody spoils a line.
#![cfg(feature = "full")]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use common::dns::{A, NOERROR, NXDOMAIN, Over, Reply, SERVFAIL, TXT, ask, name_v4, name_v6};
use common::loud::skipped;
use common::program::{Ended, Server, gatepost, run};
use common::site::Site;
use gatepost::store::{Lock, Store, Wait};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// Lists of addresses and of names, a zone for each and one for both, and a zone of an allow list.
fn site() -> Site {
    site_with("")
}

fn site_with(server: &str) -> Site {
    let site = Site::new();
    fs::write(site.path("own.txt"), "192.0.3.0/25\n2001:db8:1::/48\n").unwrap();
    fs::write(site.path("names.txt"), ".spam.example\n").unwrap();
    fs::write(site.path("good.txt"), "192.0.3.1\n").unwrap();
    let list = |name: &str, format: &str, use_: &str, code: u8| {
        format!(
            "[list.{name}]\nfile = \"{name}.txt\"\nformat = \"{format}\"\nuse = \"{use_}\"\n\
             code = \"127.0.1.{code}\"\ntext = \"$ is in {name}\"\n"
        )
    };
    let parts = [
        server.to_owned(),
        list("own", "plain", "block", 1),
        list("names", "names", "score", 2),
        list("good", "plain", "allow", 3),
        Site::zone("bl.example", &["own"], "keep-values = false"),
        Site::zone("dbl.example", &["names"], "keep-values = false"),
        Site::zone("all.example", &["own", "names"], ""),
        Site::zone("wl.example", &["good"], "keep-values = false"),
    ];
    site.configure(&parts.concat());
    site.sync(&[]).expect(0);
    site
}

/// `gatepost` with these arguments and the configuration of `site`.
fn gate(site: &Site, args: &[&str]) -> Ended {
    let config = site.config();
    run(args.iter().map(AsRef::as_ref).chain(["--config".as_ref(), config.as_os_str()]))
}

fn asked(server: &Server, name: &str, qtype: u16) -> Reply {
    let [udp, tcp] = [Over::Udp, Over::Tcp].map(|over| ask(server.dns, over, name, qtype));
    assert_eq!(udp, tcp, "{name}");
    udp
}

/// Waits until `name` has these A records; none: until it is not listed.
#[track_caller]
fn wait_for(server: &mut Server, name: &str, codes: &[[u8; 4]]) {
    let dns = server.dns;
    server.wait_for(|_| {
        let reply = ask(dns, Over::Udp, name, A);
        let rcode = if codes.is_empty() { NXDOMAIN } else { NOERROR };
        (reply.rcode == rcode && reply.a == codes).then_some(())
    });
}

const OVERLAY: [u8; 4] = [127, 0, 2, 2];
const OWN: [u8; 4] = [127, 0, 1, 1];
const NAMES: [u8; 4] = [127, 0, 1, 2];

fn lines(site: &Site, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(site.state().join(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect()
}

/// It waits for a zone that lists, and says so.
#[test]
fn where_no_zone_lists() {
    let site = site();
    let warns = || gate(&site, &["block", "198.51.100.7"]).expect(0).stderr.contains("no zone lists yet");
    assert!(!warns());
    let text = fs::read_to_string(site.config()).unwrap();
    fs::write(
        site.config(),
        text.replace("use = \"block\"", "use = \"allow\"").replace("use = \"score\"", "use = \"allow\""),
    )
    .unwrap();
    assert!(warns());
}

#[test]
fn a_block_is_in_force_while_the_server_runs() {
    let site = site();
    let mut server = site.serve();
    assert_eq!(asked(&server, "100.51.198.bl.example", A).rcode, NXDOMAIN, "nothing is below it yet");
    let done = gate(&site, &["block", "198.51.100.7", "--reason", "spam run"]).expect(0);
    assert!(done.stderr.contains("198.51.100.7 is blocked in every zone that lists"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    wait_for(&mut server, "7.100.51.198.bl.example", &[OVERLAY]);
    for zone in ["bl.example", "dbl.example", "all.example"] {
        let name = format!("7.100.51.198.{zone}");
        assert_eq!(asked(&server, &name, A).a, [OVERLAY], "{zone}");
        let text = asked(&server, &name, TXT).txt;
        assert_eq!(text, ["198.51.100.7 is blocked by a local decision: spam run"], "{zone}");
        let other = asked(&server, &name, 28);
        assert_eq!((other.rcode, other.answers), (NOERROR, 0));
        // Strict QNAME minimisation asks for these first (RFC 8020).
        for above in ["198", "51.198", "100.51.198"] {
            let reply = asked(&server, &format!("{above}.{zone}"), A);
            assert_eq!((reply.rcode, reply.answers), (NOERROR, 0), "{above}.{zone}");
            assert!(reply.serial.is_some());
        }
        assert_eq!(asked(&server, &format!("8.100.51.198.{zone}"), A).rcode, NXDOMAIN);
        assert_eq!(asked(&server, &format!("101.51.198.{zone}"), A).rcode, NXDOMAIN);
    }
    for name in ["7.100.51.198.wl.example", "100.51.198.wl.example"] {
        assert_eq!(asked(&server, name, A).rcode, NXDOMAIN, "a block puts nobody among good senders");
    }
    // What a list has is said as well.
    gate(&site, &["block", "192.0.3.9"]).expect(0);
    wait_for(&mut server, "9.3.0.192.bl.example", &[OWN, OVERLAY]);
    let texts = asked(&server, "9.3.0.192.bl.example", TXT).txt;
    assert_eq!(texts, ["192.0.3.9 is in own", "192.0.3.9 is blocked by a local decision"]);
    let said = server.stop().1;
    assert!(said.contains("decided locally: block 198.51.100.7, by "), "{said}");
    assert!(said.contains(": spam run"), "{said}");
}

#[test]
fn an_allow_beats_every_list() {
    let site = site();
    let mut server = site.serve();
    assert_eq!(asked(&server, "1.3.0.192.all.example", A).a, [OWN]);
    gate(&site, &["allow", "192.0.3.1", "--for", "7d"]).expect(0);
    for zone in ["bl.example", "all.example"] {
        wait_for(&mut server, &format!("1.3.0.192.{zone}"), &[]);
        assert_eq!(asked(&server, &format!("1.3.0.192.{zone}"), TXT).rcode, NXDOMAIN);
        assert_eq!(asked(&server, &format!("2.3.0.192.{zone}"), A).a, [OWN], "its neighbour");
    }
    assert_eq!(asked(&server, "1.3.0.192.wl.example", A).answers, 1, "an allow takes nobody out of there");
    assert_eq!(asked(&server, &name_v6(0xffff_c000_0301, "bl.example"), A).rcode, NXDOMAIN);

    // The longest prefix decides.
    gate(&site, &["allow", "192.0.3.0/24"]).expect(0);
    wait_for(&mut server, "2.3.0.192.bl.example", &[]);
    gate(&site, &["block", "192.0.3.64/26"]).expect(0);
    wait_for(&mut server, "64.3.0.192.bl.example", &[OWN, OVERLAY]);
    assert_eq!(asked(&server, "200.3.0.192.bl.example", A).rcode, NXDOMAIN);
    assert_eq!(asked(&server, "63.3.0.192.bl.example", A).rcode, NXDOMAIN);
    // And of two about the same the later one.
    let done = gate(&site, &["allow", "192.0.3.64/26"]).expect(0);
    assert!(done.stderr.contains("in the place of: block 192.0.3.64/26"), "{}", done.stderr);
    wait_for(&mut server, "64.3.0.192.bl.example", &[]);

    // Test points are nobody's to decide.
    gate(&site, &["allow", "0.0.0.0/0", "--for", "1h"]).expect(0);
    gate(&site, &["allow", "::/0"]).expect(0);
    wait_for(&mut server, &name_v6(0x2001_0db8_0001_u128 << 80 | 5, "bl.example"), &[]);
    for zone in ["bl.example", "all.example"] {
        assert_eq!(asked(&server, &format!("2.0.0.127.{zone}"), A).a, [[127, 0, 0, 2]]);
        assert_eq!(asked(&server, &format!("1.0.0.127.{zone}"), A).rcode, NXDOMAIN);
    }
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn addresses_of_ipv6_and_names() {
    let site = site();
    let mut server = site.serve();
    let v6 = |low: u128| name_v6(0x2001_0db8_0002_u128 << 80 | low, "bl.example");
    gate(&site, &["block", "2001:db8:2::/64", "2001:db8:1::25"]).expect(0);
    wait_for(&mut server, &v6(0x25), &[OVERLAY]);
    gate(&site, &["allow", "2001:db8:2::25"]).expect(0);
    wait_for(&mut server, &v6(0x25), &[]);
    assert_eq!(asked(&server, &v6(0x26), A).a, [OVERLAY]);
    assert_eq!(asked(&server, "2.0.0.0.8.b.d.0.1.0.0.2.bl.example", A).rcode, NOERROR);
    assert_eq!(asked(&server, "3.0.0.0.8.b.d.0.1.0.0.2.bl.example", A).rcode, NXDOMAIN);
    let listed = name_v6(0x2001_0db8_0001_u128 << 80 | 0x25, "bl.example");
    assert_eq!(asked(&server, &listed, A).a, [OWN, OVERLAY]);
    assert_eq!(asked(&server, &listed, TXT).txt[1], "2001:db8:1::25 is blocked by a local decision");
    // IPv4 in IPv6's clothes is that IPv4 address, typed and asked.
    gate(&site, &["block", "::ffff:198.51.100.9"]).expect(0);
    wait_for(&mut server, "9.100.51.198.bl.example", &[OVERLAY]);
    assert_eq!(asked(&server, &name_v6(0xffff_c633_6409, "bl.example"), A).a, [OVERLAY]);

    gate(&site, &["block", "new.example", "x.y.new.example"]).expect(0);
    wait_for(&mut server, "good.new.example.dbl.example", &[OVERLAY]);
    gate(&site, &["allow", "spam.example", "good.new.example"]).expect(0);
    wait_for(&mut server, "good.new.example.dbl.example", &[]);
    for (name, codes) in [
        ("spam.example", &[][..]),
        ("new.example", &[OVERLAY]),
        ("a.b.new.example", &[OVERLAY]),
        ("a.good.new.example", &[]),
        ("other.example", &[]),
    ] {
        for zone in ["dbl.example", "all.example"] {
            assert_eq!(asked(&server, &format!("{name}.{zone}"), A).a, codes, "{name}.{zone}");
        }
    }
    assert_eq!(
        asked(&server, "new.example.dbl.example", TXT).txt,
        ["new.example is blocked by a local decision"]
    );
    assert_eq!(asked(&server, "example.dbl.example", A).rcode, NOERROR);
    // As a mail log shows it.
    gate(&site, &["block", "77.100.51.198.bl.example"]).expect(0);
    wait_for(&mut server, "77.100.51.198.all.example", &[OVERLAY]);
    gate(&site, &["block", "spam.example"]).expect(0);
    wait_for(&mut server, "a.spam.example.dbl.example", &[NAMES, OVERLAY]);
    assert_eq!(server.stop().0, Some(0));
}

/// Whose store it is may be said on either side of the command.
#[test]
fn taken_back() {
    let site = site();
    let config = site.config();
    let config = config.to_str().unwrap();
    for order in [
        ["overlay", "-c", config, "remove", "198.51.100.7"],
        ["overlay", "remove", "198.51.100.7", "-c", config],
    ] {
        gate(&site, &["block", "198.51.100.7"]).expect(0);
        run(order).expect(0);
    }
    let said = run(["overlay", "--json", "remove", "198.51.100.7"]).expect(2).stderr;
    assert!(said.contains("`--json` says nothing"), "{said}");
}

#[test]
fn a_decision_ends_by_itself() {
    let site = site();
    let mut server = site.serve();
    gate(&site, &["block", "198.51.100.7", "--for", "2s"]).expect(0);
    gate(&site, &["block", "198.51.100.8", "--for", "1h", "--reason", "stays"]).expect(0);
    wait_for(&mut server, "8.100.51.198.bl.example", &[OVERLAY]);
    // Nobody does anything, and it is over.
    wait_for(&mut server, "7.100.51.198.bl.example", &[]);
    assert_eq!(asked(&server, "8.100.51.198.bl.example", A).a, [OVERLAY]);
    server.wait_for(|said| said.contains("has come to its end: block 198.51.100.7").then_some(()));
    let listing = gate(&site, &["overlay", "--json"]).expect(0).json();
    assert_eq!(listing["decisions"].as_array().unwrap().len(), 1, "{listing}");
    assert_eq!(listing["decisions"][0]["what"], "198.51.100.8");
    assert_eq!(listing["decisions"][0]["reason"], "stays");
    assert!(listing["decisions"][0]["until"].is_string() && listing["decisions"][0]["by"].is_string());
    // It stays in the file, in case the clock ran ahead; the log knows of all.
    gate(&site, &["allow", "198.51.100.9"]).expect(0);
    let kept: Vec<Value> = lines(&site, "overlay.jsonl").iter().map(|line| line["what"].clone()).collect();
    assert_eq!(kept, ["198.51.100.7", "198.51.100.8", "198.51.100.9"]);
    let log: Vec<String> = lines(&site, "overlay-log.jsonl")
        .iter()
        .map(|line| {
            format!("{} {}", line["event"].as_str().unwrap(), line["decision"]["what"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        log,
        ["decided 198.51.100.7", "decided 198.51.100.8", "ended 198.51.100.7", "decided 198.51.100.9"]
    );
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn decisions_outlive_restarts_and_generations_until_they_are_taken_back() {
    let site = site();
    gate(&site, &["block", "198.51.100.7"]).expect(0);
    gate(&site, &["block", "198.51.100.7", "--zone", "all.example", "--reason", "again"]).expect(0);
    gate(&site, &["allow", "192.0.3.1", "--zone", "bl.example"]).expect(0);
    let server = site.serve();
    let check = |server: &Server| {
        assert_eq!(asked(server, "7.100.51.198.bl.example", A).a, [OVERLAY], "from the first answer on");
        assert!(asked(server, "7.100.51.198.all.example", TXT).txt[0].ends_with(": again"));
        assert_eq!(asked(server, "1.3.0.192.bl.example", A).rcode, NXDOMAIN);
        assert_eq!(asked(server, "1.3.0.192.all.example", A).a, [OWN], "allowed in the other zone alone");
    };
    check(&server);
    assert_eq!(server.stop().0, Some(0));
    let mut server = site.serve();
    check(&server);
    // Another generation, and the configuration read again.
    fs::write(site.path("own.txt"), "192.0.3.0/25\n203.0.113.5\n").unwrap();
    site.sync(&[]).expect(0);
    wait_for(&mut server, "5.113.0.203.bl.example", &[OWN]);
    check(&server);
    kill(server.pid(), Signal::SIGHUP).unwrap();
    server.wait_for(|said| said.contains("the configuration was read again").then_some(()));
    check(&server);

    let wrong = gate(&site, &["overlay", "remove", "198.51.100.0/24"]).expect(3);
    assert!(wrong.stderr.contains("nothing was decided about 198.51.100.0/24"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("there is: block 198.51.100.7"), "{}", wrong.stderr);
    gate(&site, &["overlay", "remove", "198.51.100.7", "--zone", "all.example"]).expect(0);
    let dns = server.dns;
    server.wait_for(|_| {
        let text = ask(dns, Over::Udp, "7.100.51.198.all.example", TXT).txt;
        (text == ["198.51.100.7 is blocked by a local decision"]).then_some(())
    });
    let done = gate(&site, &["overlay", "remove", "198.51.100.7", "192.0.3.1"]).expect(0);
    assert_eq!(done.stderr.matches("taken back: ").count(), 2, "{}", done.stderr);
    wait_for(&mut server, "7.100.51.198.all.example", &[]);
    wait_for(&mut server, "1.3.0.192.bl.example", &[OWN]);
    assert_eq!(asked(&server, "100.51.198.bl.example", A).rcode, NXDOMAIN);
    assert!(gate(&site, &["overlay"]).expect(0).stdout.contains("no local decision is in force"));
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn lookup_tells_of_them() {
    let site = site();
    gate(&site, &["allow", "192.0.3.0/28", "--for", "7d", "--reason", "a customer"]).expect(0);
    gate(&site, &["block", "192.0.3.3", "198.51.100.7"]).expect(0);
    let allowed = gate(&site, &["lookup", "192.0.3.2"]).expect(0).stdout;
    for part in [
        "is not listed",
        "Local decisions",
        "192.0.3.0/28",
        "allow",
        "a customer",
        "a local decision lets it pass",
    ] {
        assert!(allowed.contains(part), "{part}: {allowed}");
    }
    let json = gate(&site, &["lookup", "192.0.3.3", "--json"]).expect(1).json();
    assert_eq!(json["listed"], true);
    let decisions = json["decisions"].as_array().unwrap();
    assert_eq!(decisions.iter().map(|one| &one["what"]).collect::<Vec<_>>(), ["192.0.3.3", "192.0.3.0/28"]);
    assert_eq!((&decisions[1]["decision"], &decisions[1]["reason"]), (&"allow".into(), &"a customer".into()));
    let zone = json["zones"].as_array().unwrap().iter().find(|zone| zone["zone"] == "bl.example").unwrap();
    assert_eq!(zone["lists"], serde_json::json!(["own", "overlay"]));
    assert_eq!(zone["records"][2]["data"][0], "127.0.2.2", "{zone}");
    assert_eq!(gate(&site, &["lookup", "198.51.100.7", "--json"]).expect(1).json()["listed"], true);
    assert_eq!(
        gate(&site, &["lookup", "198.51.100.8", "--json"]).expect(0).json()["decisions"],
        serde_json::json!([])
    );

    // What is in a prefix: a /25 without sixteen addresses, with one of them.
    let json = gate(&site, &["lookup", "192.0.3.0/24", "--json"]).expect(1).json();
    let zone = json["zones"].as_array().unwrap().iter().find(|zone| zone["zone"] == "bl.example").unwrap();
    assert_eq!(zone["inside"]["addresses"], 128 - 16 + 1, "{zone}");
    assert_eq!(zone["inside"]["by_list"], serde_json::json!({ "own": 113, "overlay": 1 }));
    assert_eq!(gate(&site, &["lookup", "192.0.3.4/30", "--json"]).expect(0).json()["listed"], false);
    let status = gate(&site, &["status", "--json"]).expect(0).json();
    assert_eq!(status["local_decisions"], 3);
    assert!(gate(&site, &["status"]).expect(0).stdout.contains("3 local decisions"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let site = site();
    for args in [
        &["block", "127.0.0.2"][..],
        &["allow", "127.0.0.0/8"],
        &["allow", "test"],
        &["allow", "."],
        &["block", "*.spam.example"],
        &["block", "192.0.2.7/24"],
        &["block", "192.0.2"],
        &["block", "3.2.1.bl.example"],
        &["allow", "1.2.3.4.5.bl.example"],
        &["block", "192.0.2.7", "--for", "0s"],
        &["block", "192.0.2.7", "--for", "soon"],
        &["block", "192.0.2.7", "--reason", "two\nlines"],
        &["block", "192.0.2.7", "--zone", "nowhere.example"],
        &["block", "192.0.2.7", "--zone", "wl.example"],
        &["block"],
        &["overlay", "remove"],
    ] {
        let refused = gate(&site, args).expect(2);
        assert!(!refused.stderr.is_empty() && refused.stdout.is_empty(), "{args:?}");
    }
    assert!(!site.state().join("overlay.jsonl").exists());
}

/// A line that somebody spoils costs itself alone, loudly, and is not thrown away.
#[test]
fn a_damaged_line_costs_itself_alone() {
    let site = site();
    gate(&site, &["block", "198.51.100.7", "198.51.100.8", "198.51.100.9"]).expect(0);
    let mut server = site.serve();
    assert_eq!(asked(&server, "8.100.51.198.bl.example", A).a, [OVERLAY]);
    let path = site.state().join("overlay.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let spoilt = text.replace("\"what\":\"198.51.100.8\"", "\"what\":\"198.51.100.8");
    assert_ne!(spoilt, text);
    fs::write(&path, &spoilt).unwrap();
    wait_for(&mut server, "8.100.51.198.bl.example", &[]);
    server
        .wait_for(|said| said.contains("overlay.jsonl:2: no local decision, and not in force").then_some(()));
    for host in [7, 9] {
        assert_eq!(asked(&server, &format!("{host}.100.51.198.bl.example"), A).a, [OVERLAY]);
    }
    let listing = gate(&site, &["overlay"]).expect(1).stdout;
    assert!(listing.contains("overlay.jsonl:2: ") && listing.contains("198.51.100.9"), "{listing}");
    assert!(gate(&site, &["status"]).expect(1).stdout.contains("overlay.jsonl:2: "));
    // A later version may say something that this one does not understand.
    fs::write(
        &path,
        format!(
            "{text}{{\"wall\":1,\"decision\":\"block\",\"what\":\"198.51.100.1\",\"by\":\"x\",\"port\":25}}\n"
        ),
    )
    .unwrap();
    wait_for(&mut server, "8.100.51.198.bl.example", &[OVERLAY]);
    server.wait_for(|said| said.contains("overlay.jsonl:4: ").then_some(()));
    assert_eq!(asked(&server, "1.100.51.198.bl.example", A).rcode, NXDOMAIN);
    // Half a line at the end, as a power cut leaves it: what is decided next stands in a line of its own.
    fs::write(&path, format!("{spoilt}{{\"wall\":1,\"deci")).unwrap();
    server.wait_for(|said| {
        said.contains("overlay.jsonl:4: no local decision, and not in force: EOF").then_some(())
    });
    let warned = gate(&site, &["allow", "198.51.100.10"]).expect(0).stderr;
    assert!(warned.contains("overlay.jsonl:2: ") && warned.contains("overlay.jsonl:4: "), "{warned}");
    gate(&site, &["overlay", "remove", "198.51.100.7"]).expect(0);
    wait_for(&mut server, "7.100.51.198.bl.example", &[]);
    let left = fs::read_to_string(&path).unwrap();
    assert_eq!(left.lines().count(), 4, "{left}");
    assert!(left.contains("\"198.51.100.8,") || left.contains("\"what\":\"198.51.100.8"), "{left}");
    assert_eq!(asked(&server, "9.100.51.198.bl.example", A).a, [OVERLAY]);
    // A file that cannot be read at all changes nothing that is in force.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    server.wait_for(|said| said.contains("local decisions stay as they are").then_some(()));
    assert_eq!(asked(&server, "9.100.51.198.bl.example", A).a, [OVERLAY]);
    fs::remove_dir(&path).unwrap();
    wait_for(&mut server, "9.100.51.198.bl.example", &[]);
    assert_eq!(server.stop().0, Some(0));
}

/// Nobody waits for a sync, and all wait for one another.
#[test]
fn commands_at_the_same_time() {
    let site = site();
    let store = Store::existing(&site.state()).unwrap();
    let Lock::Taken(sync) = store.lock(Wait::No).unwrap() else { panic!("nobody else is here") };
    let start = |host: u32| {
        let mut command = gatepost();
        let ruling = if host.is_multiple_of(2) { "block" } else { "allow" };
        command.args([ruling, &format!("198.51.100.{host}"), "203.0.113.1", "--config"]).arg(site.config());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let children: Vec<_> = (0..24).map(start).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    drop(sync);
    let decisions = store.decisions().unwrap();
    assert_eq!((decisions.made.len(), decisions.damaged.len()), (25, 0), "{decisions:?}");
    assert_eq!(lines(&site, "overlay-log.jsonl").len(), 24 * 2 + 23);
}

#[test]
fn ten_thousand_of_them() {
    let site = site();
    let mut server = site.serve();
    let address = |n: u32| 0x0b00_0000 + n * 7919;
    let all: Vec<String> = (0..10_000).map(|n| std::net::Ipv4Addr::from(address(n)).to_string()).collect();
    let args: Vec<&str> =
        ["block", "--for", "1h"].into_iter().chain(all.iter().map(String::as_str)).collect();
    gate(&site, &args).expect(0);
    wait_for(&mut server, &name_v4(address(9_999), "bl.example"), &[OVERLAY]);
    for n in (0..10_000).step_by(37) {
        assert_eq!(asked(&server, &name_v4(address(n), "all.example"), A).a, [OVERLAY]);
        assert_eq!(asked(&server, &name_v4(address(n) + 1, "all.example"), A).rcode, NXDOMAIN);
    }
    assert_eq!(asked(&server, "2.3.0.192.bl.example", A).a, [OWN]);
    gate(&site, &["overlay", "remove", &all[5000]]).expect(0);
    wait_for(&mut server, &name_v4(address(5_000), "bl.example"), &[]);
    let (code, said) = server.stop();
    assert_eq!(code, Some(0));
    assert!(said.contains("10000 local decisions are in force"), "{said}");
}

/// Zones without data: what is not blocked cannot be told, and a zone that never had data cannot even say so.
#[test]
fn zones_that_cannot_tell() {
    let site = Site::new();
    site.put("old", "192.0.3.1\n");
    site.configure(
        &[
            Site::list("old", 1, "soft-age = \"12h\"\nhard-age = \"2d\""),
            Site::list("none", 2, ""),
            Site::zone("old.example", &["old"], ""),
            Site::zone("none.example", &["none"], ""),
        ]
        .concat(),
    );
    site.sync(&["old"]).expect(0);
    let path = site.state().join("feeds/old/status.json");
    let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for stamp in ["last_attempt", "last_contact", "last_confirmed", "content_since"] {
        let stamp = &mut status[stamp];
        stamp["wall"] = (stamp["wall"].as_i64().unwrap() - 3 * 86_400).into();
        stamp["boot"] = "another boot".into();
    }
    fs::write(&path, serde_json::to_vec(&status).unwrap()).unwrap();
    gate(&site, &["block", "198.51.100.7", "spam.example"]).expect(0);
    gate(&site, &["allow", "192.0.3.1"]).expect(0);
    let server = site.serve();
    assert_eq!(asked(&server, "7.100.51.198.old.example", A).a, [OVERLAY]);
    assert_eq!(asked(&server, "100.51.198.old.example", A).rcode, NOERROR);
    assert_eq!(asked(&server, "x.spam.example.old.example", A).a, [OVERLAY]);
    for name in ["1.3.0.192.old.example", "8.100.51.198.old.example", "2.0.0.127.old.example", "old.example"]
    {
        assert_eq!(asked(&server, name, A).rcode, SERVFAIL, "{name}");
    }
    assert_eq!(asked(&server, "7.100.51.198.none.example", A).rcode, SERVFAIL);
    assert_eq!(gate(&site, &["lookup", "198.51.100.7", "--json"]).expect(1).json()["listed"], true);
    assert_eq!(gate(&site, &["lookup", "192.0.3.1", "--json"]).expect(3).json()["listed"], false);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn the_hit_log_names_them() {
    let site = site_with("hit-log = \"hits.log\"\n");
    gate(&site, &["block", "192.0.3.9", "198.51.100.7"]).expect(0);
    gate(&site, &["allow", "192.0.3.8"]).expect(0);
    let server = site.serve();
    for host in ["7.100.51.198", "9.3.0.192", "8.3.0.192"] {
        ask(server.dns, Over::Udp, &format!("{host}.bl.example"), A);
    }
    assert_eq!(server.stop().0, Some(0));
    let log = fs::read_to_string(site.path("hits.log")).unwrap();
    let mut told: Vec<&str> = log.lines().map(|line| line.split_once("127.0.0.1 ").unwrap().1).collect();
    // Several workers answered.
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "7.100.51.198.bl.example A overlay 127.0.2.2",
            "9.3.0.192.bl.example A own,overlay 127.0.1.1,127.0.2.2"
        ]
    );
}

#[test]
fn files_belong_to_the_owner_of_the_store_when_root_decides() {
    if !nix::unistd::geteuid().is_root() {
        return skipped(
            "files_belong_to_the_owner_of_the_store_when_root_decides",
            "only root can write for somebody else",
        );
    }
    let site = site();
    std::os::unix::fs::chown(site.state(), Some(4242), Some(4343)).unwrap();
    gate(&site, &["block", "198.51.100.7", "198.51.100.8"]).expect(0);
    let check = || {
        for file in ["overlay.jsonl", "overlay-log.jsonl", "overlay-lock"] {
            let found = fs::metadata(site.state().join(file)).unwrap();
            assert_eq!((found.uid(), found.gid()), (4242, 4343), "{file}");
        }
    };
    check();
    gate(&site, &["allow", "198.51.100.7"]).expect(0);
    check();
    gate(&site, &["overlay", "remove", "198.51.100.8"]).expect(0);
    check();
    assert_eq!(lines(&site, "overlay.jsonl").len(), 1);
}

/// Killed at each step of an append and of a replacement: what stood before stands, and nothing is left behind.
#[test]
#[cfg(debug_assertions)]
fn killed_at_each_step() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;

    for point in gatepost::store::killpoint::OVERLAY {
        let site = site();
        gate(&site, &["block", "198.51.100.7", "198.51.100.8"]).expect(0);
        let mut command = gatepost();
        match point {
            "overlay-appended" => command.args(["allow", "198.51.100.9"]),
            _ => command.args(["overlay", "remove", "198.51.100.8"]),
        };
        command.arg("--config").arg(site.config()).env("GATEPOST_STOP_AT", point);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        match waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap() {
            WaitStatus::Stopped(..) => {}
            other => panic!("{point} was never reached: {other:?}"),
        }
        let store = Store::existing(&site.state()).unwrap();
        let check = || {
            let decisions = store.decisions().unwrap();
            assert_eq!(decisions.damaged, [], "{point}");
            let what: Vec<String> = decisions.made.iter().map(|made| made.what.to_string()).collect();
            assert_eq!(what[0], "198.51.100.7", "{point}");
            let expected: &[usize] = match point {
                "overlay-appended" => &[3],
                "overlay-renamed" | "overlay-done" => &[1],
                _ => &[2],
            };
            assert!(expected.contains(&what.len()), "{point}: {what:?}");
        };
        check();
        kill(pid, Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        check();
        // A sync that comes now leaves another's temporary files alone; the next decision sweeps them.
        site.sync(&[]).expect(0);
        gate(&site, &["block", "198.51.100.10"]).expect(0);
        let left = site.files("");
        assert!(!left.iter().any(|name| name.starts_with('.')), "{point}: {left:?}");
        assert!(store.decisions().unwrap().made.iter().any(|made| made.what.to_string() == "198.51.100.10"));
    }
}
