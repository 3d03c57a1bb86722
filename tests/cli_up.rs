//! `up` against a publisher on loopback, and without any.
#![cfg(feature = "full")]

mod cli_support;

use std::net::SocketAddr;

use cli_support::{Place, Publisher, Running, feed, under_nohup, until};
use gatepost::client::{Client, Data, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use nix::sys::signal::Signal;

const UP: [&str; 7] = ["up", "--state", "state", "--catalogue", "catalogue", "--listen", "127.0.0.1:0"];

/// A catalogue of two block lists, a score list and an allow list, and their publisher.
fn published(place: &Place) -> Publisher {
    let publisher = Publisher::new(&[
        ("/one.txt", "9.9.9.1\n9.9.9.2\n8.8.0.0/24\n".to_owned()),
        ("/two.txt", "9.9.9.1\n9.9.9.3\n10.0.0.1\n".to_owned()),
        ("/odd.txt", "9.9.9.4\n9.9.9.5\n".to_owned()),
        ("/good.txt", "9.9.9.2\n9.9.9.9\n".to_owned()),
    ]);
    for (name, path, use_, code) in [
        ("one", "/one.txt", "block", "127.0.0.40"),
        ("two", "/two.txt", "block", "127.0.0.41"),
        ("odd", "/odd.txt", "score", "127.0.0.42"),
        ("good", "/good.txt", "allow", "127.0.0.43"),
        ("lost", "/lost.txt", "block", "127.0.0.45"),
    ] {
        place.write(&format!("catalogue/{name}.toml"), feed(name, &publisher.url(path), use_, code));
    }
    publisher
}

fn values(server: SocketAddr, name: &str) -> Result<Vec<String>, Rcode> {
    let name = format!("{name}.gatepost.internal").parse().unwrap();
    let reply = Client::new(server).ask(&name, Rtype::A, Over::Udp).expect("a reply");
    if reply.rcode != Rcode::NOERROR {
        return Err(reply.rcode);
    }
    let values = reply.answers.iter().map(|record| match &record.data {
        Data::A(address) => address.to_string(),
        other => panic!("{other:?}"),
    });
    Ok(values.collect())
}

/// The command line of the `dig` that was shown, as the question it asks.
fn question(shown: &str) -> (SocketAddr, String) {
    let line = shown.lines().find(|line| line.trim_start().starts_with("dig ")).expect("a dig line");
    let words: Vec<&str> = line.split_whitespace().collect();
    let server = words.iter().find_map(|word| word.strip_prefix('@')).unwrap();
    let port = words[words.iter().position(|word| *word == "-p").unwrap() + 1];
    let name = words.iter().find(|word| word.starts_with("2.0.0.127.")).unwrap();
    (format!("{server}:{port}").parse().unwrap(), name.strip_suffix(".gatepost.internal").unwrap().to_owned())
}

#[test]
fn one_command_serves_everything() {
    let place = Place::new();
    let publisher = published(&place);
    let up: Running = place.start(&UP);
    let server = up.address();
    let shown = up.says("=127.0.2.2");
    up.talks("Ctrl-C ends it");

    // One question for all block lists: each with its code, less the allow list.
    assert_eq!(values(server, "1.9.9.9.block"), Ok(vec!["127.0.0.40".to_owned(), "127.0.0.41".to_owned()]));
    assert_eq!(values(server, "3.9.9.9.block"), Ok(vec!["127.0.0.41".to_owned()]));
    assert_eq!(values(server, "2.9.9.9.block"), Err(Rcode::NXDOMAIN));
    assert_eq!(values(server, "4.9.9.9.block"), Err(Rcode::NXDOMAIN));
    // The never-list is taken out of feeds, and stands in the embedded zone alone.
    assert_eq!(values(server, "1.0.0.10.block"), Err(Rcode::NXDOMAIN));
    assert_eq!(values(server, "1.0.0.10.bogons"), Ok(vec!["127.0.0.3".to_owned()]));
    // Each list is a zone of its own; one that never came cannot tell.
    assert_eq!(values(server, "2.9.9.9.one"), Ok(vec!["127.0.0.40".to_owned()]));
    assert_eq!(values(server, "4.9.9.9.odd"), Ok(vec!["127.0.0.42".to_owned()]));
    assert_eq!(values(server, "1.9.9.9.lost"), Err(Rcode::SERVFAIL));

    let (asked, name) = question(&shown);
    assert_eq!(asked, server);
    assert_eq!(name, "2.0.0.127.block");
    assert!(values(asked, &name).is_ok());
    assert!(shown.contains("reject_rbl_client block.gatepost.internal=127.0.0.[40;41;45]"), "{shown}");
    assert!(shown.contains("reject_rbl_client block.gatepost.internal=127.0.2.2"), "{shown}");
    assert!(shown.contains(&format!("forward-addr: 127.0.0.1@{}", server.port())), "{shown}");
    assert!(shown.contains("do-not-query-localhost: no") && shown.contains("domain-insecure"), "{shown}");

    // Other commands find it by its state folder.
    place.run(&["status", "--state", "state", "--probe"]).ended_with(0).says("answers as it should");
    place.run(&["status", "--state", "state"]).ended_with(1).says("lost").says("404");
    let found = place.run(&["lookup", "--state", "state", "9.9.9.1"]).ended_with(1);
    found.says("127.0.0.40, 127.0.0.41").says("https://one.example/?ip=9.9.9.1");

    up.signal(Signal::SIGINT);
    let ran = up.end().ended_with(0).talks("Terms of one.").talks("lost");
    assert!(ran.err.contains("404"), "{}", ran.err);
    assert_eq!(publisher.asked(), 5);

    // Again: at once, from what is there; nothing is fetched, no terms are shown.
    let up: Running = place.start(&UP);
    let shown = up.says("reject_rbl_client");
    let server = up.address();
    assert_eq!(question(&shown).1, "2.0.0.127.block");
    assert!(values(server, "1.9.9.9.block").is_ok());
    up.talks("No list was due");
    let ran = up.stop().ended_with(0);
    assert!(!ran.err.contains("Terms of"), "{}", ran.err);
    assert_eq!(publisher.asked(), 5, "a feed was fetched within its floor");
}

#[test]
fn without_a_network_the_embedded_zone_answers() {
    let place = Place::new();
    // A port that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place
        .write("catalogue/one.toml", feed("one", &format!("http://{closed}/one.txt"), "block", "127.0.0.40"));
    let up: Running = place.start(&UP);
    let server = up.address();
    let shown = up.says("SERVFAIL until the first block list is there");
    let (asked, name) = question(&shown);
    assert_eq!((asked, name.as_str()), (server, "2.0.0.127.bogons"));
    assert_eq!(values(server, &name), Ok(vec!["127.0.0.2".to_owned()]));
    assert_eq!(values(server, "2.0.0.127.block"), Err(Rcode::SERVFAIL));
    assert_eq!(values(server, "5.113.0.203.bogons"), Ok(vec!["127.0.0.3".to_owned()]));
    assert_eq!(values(server, "1.1.1.1.bogons"), Err(Rcode::NXDOMAIN));
    place.run(&["lookup", "--state", "state", "9.9.9.1"]).ended_with(3).says("cannot tell");
    place.run(&["lookup", "--state", "state", "203.0.113.5"]).ended_with(1).says("bogons");
    // The question that worked was shown before anything was fetched.
    let ran = up.stop().ended_with(0);
    let early = ran.err.find("dig @127.0.0.1").expect("an early question");
    assert!(ran.err.find("failed: http").is_some_and(|failed| early < failed), "{}", ran.err);
}

#[test]
fn a_feed_for_registered_users_is_left_alone() {
    let place = Place::new();
    let publisher = published(&place);
    let closed = place.read("catalogue/two.toml").replace("\"anyone\"", "\"registered\"\naccess = \"Ask.\"");
    let closed: String =
        closed.lines().filter(|line| !line.starts_with("urls")).map(|line| format!("{line}\n")).collect();
    place.write("catalogue/two.toml", closed);
    // One that anyone may fetch and nobody gets unasked.
    let quiet = feed("quiet", &publisher.url("/one.txt"), "score", "127.0.0.46");
    place.write("catalogue/quiet.toml", format!("up = false\n{quiet}"));
    let up: Running = place.start(&UP);
    let shown = up.says("reject_rbl_client");
    assert!(!shown.contains("two.gatepost.internal") && !shown.contains("quiet.gatepost"), "{shown}");
    assert_eq!(values(up.address(), "3.9.9.9.two"), Err(Rcode::REFUSED));
    up.talks("Ctrl-C ends it");
    let ran = up.stop().ended_with(0);
    assert!(!ran.err.contains("Terms of two"), "{}", ran.err);
    assert_eq!(publisher.asked(), 4);
}

#[test]
fn another_suffix_and_several_addresses() {
    let place = Place::new();
    place.write("catalogue/one.toml", feed("one", "http://127.0.0.1:9/", "block", "127.0.0.40"));
    let more = ["--suffix", "bl.example.net", "--listen", "127.0.0.2:0"];
    let up: Running = place.start(&[&UP[..], &more].concat());
    let shown = up.says("reject_rbl_client block.bl.example.net=127.0.0.40");
    assert!(shown.contains("name: \"bl.example.net\""), "{shown}");
    let status = place.run(&["status", "--state", "state", "--probe", "--json"]).ended_with(0).json();
    let servers: std::collections::BTreeSet<String> = status["probe"]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["server"].as_str().unwrap().split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(servers.into_iter().collect::<Vec<_>>(), ["127.0.0.1", "127.0.0.2"]);
    up.stop().ended_with(0);
}

#[test]
fn it_ends_with_its_terminal_unless_told_not_to() {
    let place = Place::new();
    place.write("catalogue/one.toml", feed("one", "http://127.0.0.1:9/", "block", "127.0.0.40"));
    let up: Running = place.start(&UP);
    up.talks("Ctrl-C ends it");
    up.signal(Signal::SIGHUP);
    up.end().ended_with(0).talks("stopped");

    let mut up = Running::new(under_nohup(&place.command(&UP)));
    up.talks("Ctrl-C ends it");
    up.signal(Signal::SIGHUP);
    place.run(&["status", "--state", "state", "--probe"]).ended_with(0);
    assert!(!up.has_ended(), "it ended although SIGHUP was ignored when it began");
    up.stop().ended_with(0);
}

/// Two configurations in one store would take each other's zones out of service.
#[test]
fn a_store_is_of_one_configuration() {
    let place = Place::new();
    place.write("catalogue/one.toml", feed("one", "http://127.0.0.1:9/", "block", "127.0.0.40"));
    cli_support::own_lists(&place, "127.0.0.1:0");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    place.run(&UP).ended_with(2).talks("state folder of a service");
    assert!(!place.path("state/up.toml").exists());
    std::fs::remove_dir_all(place.path("state")).unwrap();
    let up: Running = place.start(&UP);
    up.address();
    up.says("Try it");
    up.stop().ended_with(0);
    for command in ["sync", "serve"] {
        place.run(&[command, "-c", "gatepost.toml"]).ended_with(2).talks("state folder of `gatepost up`");
    }
    place.run(&["sync", "-c", "state/up.toml"]);
    std::fs::remove_file(place.path("state/up.toml")).unwrap();
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
}

#[test]
fn mistakes() {
    let place = Place::new();
    let up: Running = {
        place.write("catalogue/one.toml", feed("one", "http://127.0.0.1:9/", "block", "127.0.0.40"));
        place.start(&UP)
    };
    let taken = up.address().to_string();
    let args = ["up", "--state", "other", "--catalogue", "catalogue", "--listen", taken.as_str()];
    place.run(&args).ended_with(3).talks("is in use");
    until("the first sync has ended", || place.run(&["status", "--state", "state"]).out.contains("failed"));
    up.stop().ended_with(0);
    place.write("catalogue/one.toml", "name = \"one\"\n");
    place.run(&UP).ended_with(2).talks("one.toml");
    let long = format!("{}.example", ["x".repeat(60).as_str(); 4].join("."));
    std::fs::remove_file(place.path("catalogue/one.toml")).unwrap();
    place
        .run(&["up", "--state", "s", "--catalogue", "catalogue", "--suffix", long.as_str()])
        .ended_with(2)
        .talks("--suffix");
    let open = ["up", "--state", "s", "--catalogue", "catalogue", "--listen", "0.0.0.0:0"];
    place.run(&open).ended_with(2).talks("strangers can reach 0.0.0.0:0");
    assert!(!place.path("s").exists());
}
