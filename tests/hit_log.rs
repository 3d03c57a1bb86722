//! The hit log of a running service: what is in it, what it shows of clients, renaming, and a log that is not written.
#![cfg(feature = "full")]

mod cli_support;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;

use cli_support::{Place, Running, own_lists, until};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Own lists, a zone of several of them, one where an access list answers this machine, and these keys under `[server]`.
fn configure(place: &Place, keys: &str) {
    own_lists(place, "127.0.0.1:0");
    place.write("more.txt", "192.0.2.7\n203.0.113.9\n");
    let config = place.read("gatepost.toml").replace("[server]", &format!("[server]\n{keys}"));
    let more = r#"
[list.more]
file = "more.txt"
format = "plain"
use = "score"
code = "127.0.1.8"
[zone."all.example.net"]
lists = ["own", "more", "names"]
[zone."closed.example.net"]
lists = ["own"]
access = [{ clients = ["127.0.0.0/8"], action = "list", code = "127.0.1.9" }]
"#;
    place.write("gatepost.toml", config + more);
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
}

fn serve(place: &Place) -> (Running, SocketAddr) {
    let service = place.start(&["serve", "-c", "gatepost.toml"]);
    let server = service.address();
    (service, server)
}

fn ask(server: SocketAddr, name: &str, rtype: Rtype, over: Over) -> Rcode {
    Client::new(server).ask(&name.parse().unwrap(), rtype, over).expect("a reply").rcode
}

/// A line without its time, which must be one.
fn timeless(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').expect(line);
    assert!(time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z') && time.len() == 20, "{line}");
    rest
}

#[test]
fn listings_and_nothing_else() {
    let place = Place::new();
    configure(&place, "hit-log = \"hits.log\"");
    let (service, server) = serve(&place);
    for over in [Over::Udp, Over::Tcp] {
        let ask = |name: &str, rtype| ask(server, name, rtype, over);
        assert_eq!(ask("7.2.0.192.all.example.net", Rtype::A), Rcode::NOERROR);
        assert_eq!(ask("9.113.0.203.all.example.net", Rtype::A), Rcode::NOERROR);
        assert_eq!(ask("7.2.0.192.bl.example.net", Rtype::TXT), Rcode::NOERROR);
        assert_eq!(ask("7.2.0.192.bl.example.net", Rtype::AAAA), Rcode::NOERROR);
        assert_eq!(ask("spam.example.all.example.net", Rtype::A), Rcode::NOERROR);
        assert_eq!(ask("2.0.0.127.bl.example.net", Rtype::A), Rcode::NOERROR);
        assert_eq!(ask("1.1.1.1.closed.example.net", Rtype::A), Rcode::NOERROR);
        // Not listed, excepted, above what is listed, the zone itself, outside.
        assert_eq!(ask("8.2.0.192.all.example.net", Rtype::A), Rcode::NXDOMAIN);
        assert_eq!(ask("20.100.51.198.bl.example.net", Rtype::A), Rcode::NXDOMAIN);
        assert_eq!(ask("2.0.192.all.example.net", Rtype::A), Rcode::NOERROR);
        assert_eq!(ask("all.example.net", Rtype::SOA), Rcode::NOERROR);
        assert_eq!(ask("7.2.0.192.example.org", Rtype::A), Rcode::REFUSED);
    }
    service.stop().ended_with(0);
    let log = place.read("hits.log");
    let mut lines: Vec<&str> = log.lines().map(timeless).collect();
    lines.sort_unstable();
    let mut expected = Vec::new();
    for line in [
        "127.0.0.1 7.2.0.192.all.example.net A own,more 127.0.1.5,127.0.1.8",
        "127.0.0.1 9.113.0.203.all.example.net A more 127.0.1.8",
        "127.0.0.1 7.2.0.192.bl.example.net TXT own \"192.0.2.7 is on own\"",
        "127.0.0.1 7.2.0.192.bl.example.net AAAA own -",
        "127.0.0.1 spam.example.all.example.net A names 127.0.1.7",
        "127.0.0.1 2.0.0.127.bl.example.net A (test-point) 127.0.0.2",
        "127.0.0.1 1.1.1.1.closed.example.net A (access) 127.0.1.9",
    ] {
        expected.extend([line, line]);
    }
    expected.sort_unstable();
    assert_eq!(lines, expected);

    // What the documentation shows is what is written.
    let page = include_str!("../docs/logs.md");
    let shown = page.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for line in shown.lines().map(timeless) {
        assert!(lines.contains(&line), "docs/logs.md shows `{line}`");
    }
}

#[test]
fn clients_are_shown_as_configured() {
    for (word, shown) in [("whole", "127.0.0.1"), ("network", "127.0.0.0/24"), ("none", "-")] {
        let place = Place::new();
        configure(&place, &format!("hit-log = \"hits.log\"\nhit-log-clients = \"{word}\""));
        let (service, server) = serve(&place);
        ask(server, "7.2.0.192.bl.example.net", Rtype::A, Over::Udp);
        service.stop().ended_with(0);
        let expected = format!("{shown} 7.2.0.192.bl.example.net A own 127.0.1.5");
        assert_eq!(place.read("hits.log").lines().map(timeless).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn a_renamed_log_is_followed_by_another() {
    let place = Place::new();
    configure(&place, "hit-log = \"hits.log\"");
    let (service, server) = serve(&place);
    ask(server, "7.2.0.192.bl.example.net", Rtype::A, Over::Udp);
    until("the first line", || place.read("hits.log").lines().count() == 1);
    std::fs::rename(place.path("hits.log"), place.path("hits.log.1")).unwrap();
    service.signal(Signal::SIGHUP);
    until("another file", || place.path("hits.log").exists());
    ask(server, "spam.example.names.example.net", Rtype::A, Over::Tcp);
    service.stop().ended_with(0);
    assert!(place.read("hits.log.1").ends_with(" 7.2.0.192.bl.example.net A own 127.0.1.5\n"));
    let log = place.read("hits.log");
    assert_eq!(timeless(log.trim_end()), "127.0.0.1 spam.example.names.example.net A names 127.0.1.7");
}

/// A mistake in the configuration keeps the old one, and is no reason to write into a file that was put away.
#[test]
fn a_renamed_log_is_followed_by_another_whatever_the_configuration_says() {
    let place = Place::new();
    configure(&place, "hit-log = \"hits.log\"");
    let (service, _) = serve(&place);
    std::fs::rename(place.path("hits.log"), place.path("hits.log.1")).unwrap();
    place.write("gatepost.toml", "nonsense = 1\n");
    service.signal(Signal::SIGHUP);
    service.talks("the old configuration stays");
    until("another file", || place.path("hits.log").exists());
    service.stop().ended_with(0);
}

#[test]
fn a_full_disk_loses_lines_and_no_answers() {
    let place = Place::new();
    configure(&place, "hit-log = \"/dev/full\"");
    let (service, server) = serve(&place);
    for round in 0..50 {
        let over = if round % 10 == 0 { Over::Tcp } else { Over::Udp };
        assert_eq!(ask(server, "7.2.0.192.bl.example.net", Rtype::A, over), Rcode::NOERROR);
    }
    until("all are counted", || {
        service.signal(Signal::SIGUSR1);
        service.talks("sec: tot=50").contains("the hit log lacks 50 listings since the start")
    });
    let said = |talk: &str| talk.matches("the hit log cannot be written; lines are lost").count();
    let talk = service.talks("No space left on device");
    assert_eq!(said(&talk), 1, "{talk}");
    // The file is opened again, and so its trouble is news again.
    service.signal(Signal::SIGHUP);
    until("it is said again", || {
        ask(server, "7.2.0.192.bl.example.net", Rtype::A, Over::Udp);
        said(&service.talks("No space")) == 2
    });
    service.stop().ended_with(0);
}

#[test]
fn a_pipe_that_nobody_reads_holds_up_neither_answers_nor_the_end() {
    const ASKED: usize = 2000;
    let place = Place::new();
    configure(&place, "hit-log = \"pipe\"");
    mkfifo(&place.path("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
    let flags = OFlag::O_NONBLOCK.bits();
    let mut pipe = File::options().read(true).custom_flags(flags).open(place.path("pipe")).unwrap();
    let (service, server) = serve(&place);
    for _ in 0..ASKED {
        assert_eq!(ask(server, "7.2.0.192.bl.example.net", Rtype::A, Over::Udp), Rcode::NOERROR);
    }
    let ran = service.stop().ended_with(0);
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    let whole = text.lines().filter(|line| line.ends_with(" A own 127.0.1.5")).count();
    assert!(whole > 0 && whole < ASKED, "{whole} lines are in a pipe of 64 KiB");
    let lost = ran.err.lines().filter_map(|line| line.split("the hit log lacks ").nth(1)?.split(' ').next());
    let lost: usize = lost.map(|count| count.parse::<usize>().unwrap()).sum();
    assert_eq!(whole + lost, ASKED, "{}", ran.err);
}

#[test]
fn without_the_key_nothing_is_written() {
    let place = Place::new();
    configure(&place, "hit-log-clients = \"none\"");
    let before = std::fs::read_dir(place.path("")).unwrap().count();
    let (service, server) = serve(&place);
    ask(server, "7.2.0.192.bl.example.net", Rtype::A, Over::Udp);
    service.stop().ended_with(0);
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), before);
}
