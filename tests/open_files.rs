//! The limit of open files: one that is too low is refused by name, and a lack that comes while a server runs passes.
#![cfg(feature = "full")]

mod cli_support;

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cli_support::{Place, Ran, Running, own_lists, under, until};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use socket2::{Domain, Socket, Type};

fn rcode(server: SocketAddr, name: &str) -> Rcode {
    Client::new(server).ask(&name.parse().unwrap(), Rtype::A, Over::Udp).expect("a reply").rcode
}

/// The program with `args`, and with no more than `files` open.
fn limited(place: &Place, files: u32, args: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
    under(shell, &place.command(args))
}

/// By rbldnsd's command line, with a list and hardly a descriptor to spare; the files are looked at every `check` seconds.
fn rbldnsd(place: &Place, check: &str) -> (Running, SocketAddr) {
    // For the user whom it becomes when it is started by root.
    std::fs::set_permissions(place.path("."), Permissions::from_mode(0o777)).unwrap();
    place.write("list", "192.0.2.7\n");
    let user: &[&str] = if geteuid().is_root() { &["-u", "nobody"] } else { &[] };
    let args =
        [&["rbldnsd", "-n", "-c", check, "-b", "127.0.0.1/0"], user, &["bl.example:ip4set:list"]].concat();
    let mut command = limited(place, 34, &args);
    command.env("GATEPOST_CACHE", place.path("cache"));
    let service = Running::new(command);
    let talk = service.talks("zones reloaded");
    let port = talk.split("listening on 127.0.0.1/").nth(1).unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let server = format!("127.0.0.1:{port}").parse().unwrap();
    (service, server)
}

/// The lowest limit with which `serve` starts.
fn lowest(place: &Place) -> u32 {
    let refused = Running::new(limited(place, 32, &["serve", "-c", "gatepost.toml"])).end().ended_with(3);
    refused.err.split(" are needed").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// The descriptors that a service has.
fn open_files(service: &Running) -> BTreeSet<u64> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", service.pid())).unwrap();
    let number = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().file_name().into_string().unwrap();
    open.map(|file| number(file).parse().unwrap()).collect()
}

/// From now on no descriptor is to be had, until [`have_files`].
fn take_files(service: &Running) {
    until("it is at rest", || {
        let before = open_files(service);
        thread::sleep(Duration::from_millis(300));
        before == open_files(service)
    });
    let open = open_files(service);
    // The limit is one of numbers, not of how many there are.
    have_files(service, (0..).find(|number| !open.contains(number)).unwrap());
}

/// A service that has its data, and can open nothing more.
fn without_descriptors(place: &Place) -> (Running, SocketAddr) {
    own_lists(place, "127.0.0.1:0");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let service = place.start(&["serve", "-c", "gatepost.toml"]);
    let server = service.address();
    until("data in service", || rcode(server, "7.2.0.192.bl.example.net") == Rcode::NOERROR);
    take_files(&service);
    (service, server)
}

fn have_files(service: &Running, limit: u64) {
    // It has inherited the upper one from here.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(limit), maximum };
    prlimit(Pid::from_raw(service.pid()), Resource::Nofile, limit).unwrap();
}

#[test]
fn a_limit_that_is_too_low_is_refused_by_name() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    place.write("queries", "a.bl.example A\n").write("list", "192.0.2.7\n");
    let run = |files, args: &[&str]| -> Ran { Running::new(limited(&place, files, args)).end() };
    let conf = ["-c", "gatepost.toml"];
    for (args, code) in [
        (&["serve", conf[0], conf[1]][..], 3),
        (&["sync", conf[0], conf[1]], 3),
        (&["up", "--state", "up", "--listen", "127.0.0.1:0"], 3),
        (&["bench", "--queries", "queries", "--server", "127.0.0.1:9"], 3),
        (&["rbldnsd", "-n", "-b", "127.0.0.1/0", "bl.example:ip4set:list"], 1),
    ] {
        let ran =
            run(12, args).ended_with(code).talks("the limit of 12 open files is too low, 32 are needed");
        assert!(ran.err.contains("ulimit -n") && ran.err.contains("LimitNOFILE="), "{ran:#?}");
        assert!(!ran.err.contains("panicked"), "{ran:#?}");
    }
    // Its sockets and zones need more than the program itself.
    run(33, &["serve", conf[0], conf[1]]).ended_with(3).talks("the limit of 33 open files is too low");
}

/// As low as it may be, everything works.
#[test]
fn the_lowest_limit_will_do() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let sync = Running::new(limited(&place, 32, &["sync", "-c", "gatepost.toml"]));
    sync.end().ended_with(0);
    let needed = lowest(&place);
    let service = Running::new(limited(&place, needed, &["serve", "-c", "gatepost.toml"]));
    let server = service.address();
    until("data in service", || rcode(server, "7.2.0.192.bl.example.net") == Rcode::NOERROR);
    // A new generation, while more come than are let in.
    let many: Vec<_> = (0..50).map(|_| TcpStream::connect(server).unwrap()).collect();
    own_lists(&place, "127.0.0.1:0");
    place.write("own.txt", "192.0.2.99\n");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    until("the new data are in service", || rcode(server, "99.2.0.192.bl.example.net") == Rcode::NOERROR);
    drop(many);
    service.stop().ended_with(0);
}

/// What there is no room for is not taken over while it runs, either: with the threads that there are, not those of the file.
#[test]
fn addresses_without_room_are_refused_while_it_runs() {
    let place = Place::new();
    let configure = |listen: &str, workers: &str| {
        own_lists(&place, listen);
        let text = std::fs::read_to_string(place.path("gatepost.toml")).unwrap();
        let server = format!("workers = {workers}\n[list.own]");
        place.write("gatepost.toml", text.replacen("[list.own]", &server, 1));
    };
    configure("127.0.0.1:0", "2");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let files = lowest(&place) + 7;
    let service = Running::new(limited(&place, files, &["serve", "-c", "gatepost.toml"]));
    let server = service.address();
    until("data in service", || rcode(server, "7.2.0.192.bl.example.net") == Rcode::NOERROR);
    configure("127.0.0.1:0\", \"127.0.0.2:0\", \"127.0.0.3:0\", \"127.0.0.4:0", "1");
    service.signal(Signal::SIGHUP);
    service.talks(&format!("the limit of {files} open files is too low"));
    assert_eq!(rcode(server, "7.2.0.192.bl.example.net"), Rcode::NOERROR);
    configure("127.0.0.1:0\", \"127.0.0.2:0", "2");
    service.signal(Signal::SIGHUP);
    service.talks("listening on 127.0.0.2:");
    service.stop().ended_with(0);
}

/// What a list's file has of subzones is not known before it is read: however many, a low limit will do for the next
/// generation as well.
#[test]
fn subzones_need_no_descriptors() {
    let place = Place::new();
    combined(&place, "198.51.100.7");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let service = Running::new(limited(&place, lowest(&place), &["serve", "-c", "gatepost.toml"]));
    let server = service.address();
    until("data in service", || rcode(server, "7.100.51.198.s149.bl.example") == Rcode::NOERROR);
    combined(&place, "198.51.100.8");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    until("the new data are in service", || rcode(server, "8.100.51.198.s149.bl.example") == Rcode::NOERROR);
    assert_eq!(rcode(server, "7.100.51.198.s0.bl.example"), Rcode::NXDOMAIN);
    // Those whose files are not kept open are watched as well.
    let file = place.path("state/snapshots").read_dir().unwrap().map(|file| file.unwrap().path());
    let last = file.filter(|path| path.to_str().unwrap().contains("s149.bl.example")).max().unwrap();
    std::fs::set_permissions(&last, Permissions::from_mode(0o600)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&last).unwrap().write_all(b"xxxx").unwrap();
    until("damage is seen", || rcode(server, "8.100.51.198.s149.bl.example") == Rcode::SERVFAIL);
    assert_eq!(rcode(server, "8.100.51.198.s148.bl.example"), Rcode::NOERROR);
    let ran = service.stop().ended_with(0);
    assert!(!ran.err.contains("Too many open files"), "{}", ran.err);
}

/// Files and connections have what new addresses would need: none of them is taken over, and nothing is lost. When there is
/// room, all are.
#[test]
fn addresses_are_taken_over_whole_or_not_at_all() {
    let place = Place::new();
    let more = (2..=12).map(|last| format!(", \"127.0.0.{last}:0\"")).collect::<String>();
    combined(&place, "198.51.100.7");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let service = Running::new(limited(&place, 120, &["serve", "-c", "gatepost.toml"]));
    let server = service.address();
    let name = "7.100.51.198.s149.bl.example";
    until("data in service", || rcode(server, name) == Rcode::NOERROR);
    let connect = |client: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 1, client], 0)).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        socket
    };
    let many: Vec<_> = (0..60).map(|number| connect(number / 20)).collect();
    until("all are let in", || open_files(&service).len() > 60 + 16);
    let text = std::fs::read_to_string(place.path("gatepost.toml")).unwrap();
    place.write("gatepost.toml", text.replace("\"127.0.0.1:0\"", &format!("\"127.0.0.1:0\"{more}")));
    service.signal(Signal::SIGHUP);
    let talk = service.talks("the old configuration stays");
    assert!(talk.contains("Too many open files") && talk.contains("ulimit -n"), "{talk}");
    assert_eq!(rcode(server, name), Rcode::NOERROR);
    drop(many);
    until("all have left", || open_files(&service).len() < 60);
    service.signal(Signal::SIGHUP);
    service.talks("listening on 127.0.0.12:");
    // There are fewer places for connections now, so that the next generation has its room.
    let many: Vec<_> = (0..60).map(|number| connect(number / 20)).collect();
    combined(&place, "198.51.100.8");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    until("the new data are in service", || rcode(server, "8.100.51.198.s149.bl.example") == Rcode::NOERROR);
    drop(many);
    let ran = service.stop().ended_with(0);
    assert!(!ran.err.contains("not all new addresses"), "{}", ran.err);
}

/// A zone with 150 subzones that list `address`.
fn combined(place: &Place, address: &str) {
    let parts = (0..150).map(|part| format!("$DATASET ip4set:t{part} s{part}\n{address}\n"));
    place.write("own.txt", parts.collect::<String>());
    place.write(
        "gatepost.toml",
        r#"version = 1
state = "state"
[server]
listen = ["127.0.0.1:0"]
[list.own]
file = "own.txt"
format = "rbldnsd:combined"
use = "block"
[zone."bl.example"]
lists = ["own"]
"#,
    );
}

/// A file that was touched is held against what was verified, for which no descriptor is needed.
#[test]
fn a_touched_file_serves_on_where_there_is_no_descriptor() {
    let place = Place::new();
    let (service, server) = without_descriptors(&place);
    for file in place.path("state/snapshots").read_dir().unwrap() {
        std::fs::set_permissions(file.unwrap().path(), Permissions::from_mode(0o400)).unwrap();
    }
    thread::sleep(Duration::from_secs(3));
    assert_eq!(rcode(server, "7.2.0.192.bl.example.net"), Rcode::NOERROR);
    have_files(&service, 1000);
    let ran = service.stop().ended_with(0);
    assert!(!ran.err.contains("was changed while it was in service"), "{}", ran.err);
}

/// Descriptors are gone when a new generation comes. It is tried again each second, not twice a minute, and told of once.
#[test]
fn a_generation_that_met_a_lack_is_tried_again_soon() {
    let place = Place::new();
    let (service, server) = without_descriptors(&place);
    place.write("own.txt", "192.0.2.100\n");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    service.talks("what is in service stays");
    thread::sleep(Duration::from_secs(4));
    let name = "100.2.0.192.bl.example.net";
    assert_eq!(rcode(server, name), Rcode::NXDOMAIN, "the old data stay");
    assert_eq!(rcode(server, "7.2.0.192.bl.example.net"), Rcode::NOERROR);
    have_files(&service, 1000);
    let begin = Instant::now();
    until("it is in service", || rcode(server, name) == Rcode::NOERROR);
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    let ran = service.stop().ended_with(0);
    assert_eq!(ran.err.matches("what is in service stays").count(), 1, "once a minute: {}", ran.err);
}

/// The same of lists that the loader of rbldnsd's command line hands over: the next check brings what did not arrive.
#[test]
fn a_zone_that_did_not_arrive_is_handed_over_again() {
    let place = Place::new();
    let (service, server) = rbldnsd(&place, "1");
    // Connections take all descriptors.
    let many: Vec<_> = (0..100).map(|_| TcpStream::connect(server).unwrap()).collect();
    place.write("list", "192.0.2.7\n192.0.2.100\n");
    service.talks("its file did not arrive");
    assert_eq!(rcode(server, "7.2.0.192.bl.example"), Rcode::NOERROR, "the old data stay");
    assert_eq!(rcode(server, "100.2.0.192.bl.example"), Rcode::NXDOMAIN);
    drop(many);
    until("it is in service", || rcode(server, "100.2.0.192.bl.example") == Rcode::NOERROR);
    let ran = service.stop().ended_with(0);
    let told = ran.err.matches("zones reloaded").count();
    assert_eq!(told, 2, "at the start, and when it arrived: {}", ran.err);
}

/// A hundred who come at once, again and again, where there is no descriptor for them.
#[test]
fn who_cannot_be_let_in_is_told_of_once() {
    let place = Place::new();
    let (service, server) = rbldnsd(&place, "60");
    for _ in 0..5 {
        let many: Vec<_> = (0..100).map(|_| TcpStream::connect(server).unwrap()).collect();
        thread::sleep(Duration::from_millis(300));
        assert_eq!(rcode(server, "7.2.0.192.bl.example"), Rcode::NOERROR);
        drop(many);
        thread::sleep(Duration::from_millis(300));
    }
    assert!(Client::new(server).ask(&"bl.example".parse().unwrap(), Rtype::SOA, Over::Tcp).is_ok());
    let ran = service.stop().ended_with(0);
    let told = ran.err.lines().filter(|line| line.contains("can be accepted")).count();
    assert!((1..=2).contains(&told), "{}", ran.err);
}
