//! Access lists written as rbldnsd's acl: Debian's rbldnsd and `gatepost rbldnsd` with the same arguments, asked by the same
//! clients; what becomes of lists that cannot be read; the same lists as access files of a configuration.
//!
//! Clients are addresses of 127.0.0.0/8, all of which are this machine's.
#![cfg(feature = "full")]

mod cli_support;
mod common;
mod dns_support;
mod peer_support;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cli_support::{Place, Running, until};
use common::dns::question;
use common::{Dice, say};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use peer_support::reply::{A, AAAA, NOERROR, NS, NXDOMAIN, REFUSED, SERVFAIL, SOA, Said, TXT};
use peer_support::servers::rbldnsd;

/// Longest wait for a reply that has to come, and wait after which none is expected any more.
const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(300);

const HEAD: &str = "$SOA 1h ns.x h.x 7 1h 1h 1d 10m\n$NS 1h ns.x\n";

/// What the two say differently on purpose, each by an exact condition.
const DELIBERATE: [(&str, Differs); 3] = [
    ("NODATA where a name is only above listed ones (RFC 8020)", |zone, theirs, ours| {
        zone != "generic.example" && theirs.rcode == NXDOMAIN && ours.is_nodata()
    }),
    (
        "a zone of generic data has records or says they are listed, there it has none",
        |zone, theirs, ours| {
            zone == "generic.example"
                && (theirs.is_nodata() || theirs.rcode == NXDOMAIN)
                && ours.rcode == NOERROR
        },
    ),
    ("a zone of generic data is empty for who is to find nothing", |zone, theirs, ours| {
        zone == "generic.example" && theirs.is_nodata() && ours.rcode == NXDOMAIN
    }),
];

type Differs = fn(&str, &Said, &Said) -> bool;

/// A folder that the user may read whom a daemon started by root becomes.
fn place() -> Place {
    let place = Place::new();
    fs::set_permissions(place.path("."), Permissions::from_mode(0o777)).unwrap();
    place
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A daemon with these arguments, on 127.0.0.1 and ::1.
fn start(place: &Place, program: &str, args: &[&str]) -> (Running, u16) {
    let port = free_port();
    let mut command = match program {
        "gatepost" => place.command(&["rbldnsd"]),
        program => Command::new(program),
    };
    command.current_dir(place.path(".")).env("GATEPOST_CACHE", place.path("cache")).arg("-n");
    if geteuid().is_root() {
        command.args(["-u", "nobody"]);
    }
    command.args(["-b", &format!("127.0.0.1/{port}"), "-b", &format!("::1/{port}")]).args(args);
    (Running::new(command), port)
}

/// What a client is told to each question; `None`: nothing.
type Told = Vec<Option<Said>>;

/// What `client` is told. Silence is believed after a second, longer wait where a reply is expected.
fn ask(port: u16, client: IpAddr, packets: &[Vec<u8>], wait: Duration) -> Told {
    let server = match client {
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    };
    let socket = UdpSocket::bind((client, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(wait)).unwrap();
    for (id, packet) in packets.iter().enumerate() {
        socket.send(&[&(id as u16).to_be_bytes()[..], &packet[2..]].concat()).unwrap();
    }
    let mut said = vec![None; packets.len()];
    let mut buffer = [0; 2048];
    while said.contains(&None) {
        let Ok(len) = socket.recv(&mut buffer) else { break };
        let id = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
        said[id] = Some(Said::read(&buffer[..len], &packets[id]).expect("a reply that makes sense"));
    }
    said
}

/// What each client is told by the two. Many at a time: most of the time is spent waiting for silence.
fn ask_both(clients: &[IpAddr], packets: &[Vec<u8>], theirs: u16, ours: u16) -> Vec<(IpAddr, Told, Told)> {
    let mut told = Vec::new();
    for some in clients.chunks(15) {
        thread::scope(|scope| {
            let asked: Vec<_> = some
                .iter()
                .map(|&client| {
                    let ask = move |port| ask(port, client, packets, SILENCE);
                    (client, scope.spawn(move || ask(theirs)), scope.spawn(move || ask(ours)))
                })
                .collect();
            let joined = asked.into_iter().map(|(client, there, here)| {
                (client, there.join().expect("asked"), here.join().expect("asked"))
            });
            told.extend(joined);
        });
    }
    told
}

/// Waits until a daemon answers this machine.
fn wait_for(port: u16) {
    let end = Instant::now() + PATIENCE;
    while ask(port, Ipv4Addr::new(127, 255, 255, 254).into(), &[question("x", A)], SILENCE) == [None] {
        assert!(Instant::now() < end, "it does not answer");
    }
}

/// The questions that every client asks.
fn questions() -> Vec<(&'static str, String, u16)> {
    let mut questions = Vec::new();
    let zones: [(&str, &[&str]); 7] = [
        ("set.example", &["2.0.0.127", "7.2.0.192", "8.2.0.192", "2.0.192", "x", "1.2.3.4.5", ""]),
        ("both.example", &["7.2.0.192", "9.2.0.192", "9", "foo", ""]),
        ("names.example", &["spam.example", "ham.example", "a.b.c", ""]),
        ("six.example", &["7.2.0.192", "x", "0.0.d.f", ""]),
        ("generic.example", &["www", "nothing", ""]),
        ("open.example", &["7.2.0.192", "9.2.0.192", ""]),
        ("in.set.example", &["7.2.0.192", "9.2.0.192", ""]),
    ];
    for (zone, names) in zones {
        for below in names {
            for qtype in [A, TXT, AAAA, SOA, NS] {
                questions.push((zone, format!("{below}.{zone}"), qtype));
            }
        }
        let six = format!("{}d.f.{zone}", "0.".repeat(30));
        questions.extend([A, TXT].map(|qtype| (zone, six.clone(), qtype)));
    }
    questions.push(("", "elsewhere.example".to_owned(), A));
    questions
}

/// Lists and access lists of all kinds. `acl` is the server's, the others are zones'.
fn write_lists(place: &Place, lists: &[(&str, String)]) {
    place
        .write("set", format!("{HEAD}127.0.0.2\n192.0.2.7 :5:seven $\n!192.0.2.8\n"))
        .write("names", format!("{HEAD}spam.example :3:n $\n"))
        .write("six", format!("{HEAD}fd00::/64\n"))
        .write("records", format!("{HEAD}www A 192.0.2.1\n@ A 192.0.2.2\n"));
    for (name, text) in lists {
        place.write(name, text);
    }
}

const ZONES: [&str; 12] = [
    ":acl:acl",
    "set.example:ip4set:set",
    "set.example:acl:of-set",
    "both.example:ip4trie:set",
    "both.example:acl:of-both,more",
    "names.example:dnset:names",
    "names.example:acl:of-set",
    "six.example:ip6trie:six",
    "six.example:acl:of-six",
    "generic.example:generic:records",
    "generic.example:acl:of-set",
    "open.example:ip4set:set",
];

/// An access list made by chance: prefixes within 127.0.0.0/8 that nest and repeat.
fn random(dice: &mut Dice, clients: &mut Vec<IpAddr>) -> String {
    let mut text = format!("$TTL {}\n$0 variable\n", dice.below(500) + 1);
    for _ in 0..40 {
        let few = |n: usize| [0, 1, 2, 5, 127, 128, 254, 255][n];
        let address = u32::from_be_bytes([127, few(dice.below(8)), few(dice.below(8)), few(dice.below(7))]);
        let len = [8, 9, 12, 16, 17, 20, 23, 24, 25, 28, 30, 31, 32][dice.below(13)];
        let first = address & (u32::MAX << (32 - len));
        for client in [first, first | (u32::MAX >> 1 >> (len - 1)), first.wrapping_sub(1)] {
            // The ends of 127.0.0.0/8 are no addresses that a socket can have.
            if client >> 24 == 127 && client & 0xff_ffff != 0 && client & 0xff_ffff != 0xff_ffff {
                clients.push(Ipv4Addr::from(client).into());
            }
        }
        let action = [
            "",
            ":ignore",
            ":refuse",
            ":empty",
            ":pass",
            "=REFUSE",
            "=blackhole # why",
            ":5:five $",
            ":6",
            "some text $0 $$ $1",
            ":10.2.3.4:",
            "# a comment",
            ":ref",
            "=IG",
            ":b",
            ":em;",
            ":p:x",
        ][dice.below(17)];
        let shown = Ipv4Addr::from(first);
        let tail = if dice.below(2) == 0 && action.starts_with(':') { "" } else { " " };
        text += &format!("{shown}/{len}{tail}{action}\n");
        match dice.below(12) {
            0 => text += ":9:default of $\n",
            1 => text += ":refuse\n",
            2 => text += "=pass\n",
            3 => text += ":empty\n:4:\n",
            _ => {}
        }
        // A word for a default and then a text or a code alone: there that is a crash.
        let line = text.lines().rev().find(|line| line.starts_with([':', '='])).unwrap_or("");
        if line.trim_start_matches([':', '=']).starts_with(|c: char| c.is_ascii_alphabetic()) {
            text += ":8:again\n";
        }
    }
    text + ["::1 :pass\n", "::1 :refuse\n", "::/0 :7:six $\n", "fd00::/8\n", "::1 =empty\n"][dice.below(5)]
}

#[test]
fn clients_are_given_what_rbldnsd_gives_them() {
    let Some(debians) = rbldnsd("clients_are_given_what_rbldnsd_gives_them") else { return };
    let mut hits = BTreeMap::new();
    let (mut asked, mut silent) = (0, 0);
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let mut clients = vec![IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let mut lists = Vec::new();
        for name in ["acl", "of-set", "of-both", "more", "of-six"] {
            let mut text = random(&mut dice, &mut clients);
            if name == "acl" {
                // So that zones have a say, and that the start can be seen.
                text = "127.255.255.254 :pass\n".to_owned() + &text.replace("127.0.0.0/8", "127.9.0.0/16");
            }
            lists.push((name, text));
        }
        clients.sort();
        clients.dedup();
        while clients.len() > 90 {
            clients.swap_remove(dice.below(clients.len()));
        }
        let place = place();
        write_lists(&place, &lists);
        let zones: Vec<&str> = ZONES.into_iter().chain(["in.set.example:ip4set:set"]).collect();
        let program = debians.to_str().unwrap();
        let (theirs, ours) = (start(&place, program, &zones), start(&place, "gatepost", &zones));
        wait_for(theirs.1);
        wait_for(ours.1);
        let questions = questions();
        let packets: Vec<_> = questions.iter().map(|(_, name, qtype)| question(name, *qtype)).collect();
        for (client, mut there, mut here) in ask_both(&clients, &packets, theirs.1, ours.1) {
            for (at, ((zone, name, qtype), packet)) in questions.iter().zip(&packets).enumerate() {
                if there[at].is_some() != here[at].is_some() {
                    // A busy machine is no silence.
                    let again = std::slice::from_ref(packet);
                    there[at] = ask(theirs.1, client, again, SILENCE * 10).remove(0);
                    here[at] = ask(ours.1, client, again, SILENCE * 10).remove(0);
                }
                asked += 1;
                let (there, here) = match (&there[at], &here[at]) {
                    (None, None) => {
                        silent += 1;
                        continue;
                    }
                    (Some(there), Some(here)) => (there, here),
                    differ => panic!("{client} asked {name} {qtype}: {differ:?}\n{lists:#?}"),
                };
                let same =
                    |said: &Said| (said.rcode, said.authoritative, said.answers.clone(), said.soa.clone());
                if same(there) == same(here) {
                    continue;
                }
                let why = DELIBERATE.iter().find(|(_, differs)| differs(zone, there, here));
                let Some((why, _)) = why else {
                    panic!("{client} asked {name} {qtype}:\n there {there:?}\n here  {here:?}\n{lists:#?}")
                };
                *hits.entry(*why).or_insert(0) += 1;
            }
        }
        for (daemon, _) in [theirs, ours] {
            daemon.signal(Signal::SIGTERM);
            assert_eq!(daemon.end().code, 0);
        }
    }
    say(&format!("access lists: {asked} questions, {silent} without a reply, deliberate differences:"));
    hits.iter().for_each(|(why, times)| say(&format!("  {times:>7}  {why}")));
    assert!(silent > 1000 && asked > 50_000, "{silent} of {asked}");
    let unmet: Vec<_> = DELIBERATE.iter().filter(|(why, _)| !hits.contains_key(why)).collect();
    assert!(unmet.is_empty(), "exemptions that nothing needs: {:?}", unmet.len());
}

/// What `127.0.0.N` is told of a listed address.
fn told(port: u16, last: u8, zone: &str) -> Option<u8> {
    let client = Ipv4Addr::new(127, 0, 0, last).into();
    let packet = question(&format!("7.2.0.192.{zone}"), A);
    let said = ask(port, client, &[packet], SILENCE * 4).remove(0)?;
    Some(said.rcode)
}

#[test]
fn a_list_that_cannot_be_read_lets_nobody_in() {
    let place = place();
    write_lists(&place, &[("acl", "127.0.0.5 :refuse\n".into()), ("of-set", "127.0.0.6 :refuse\n".into())]);
    let zones = [
        "-c",
        "1",
        ":acl:acl",
        "set.example:ip4set:set",
        "set.example:acl:of-set",
        "open.example:ip4set:set",
    ];
    let (daemon, port) = start(&place, "gatepost", &zones);
    daemon.talks("zones reloaded");
    assert_eq!(told(port, 1, "set.example"), Some(NOERROR));
    assert_eq!(told(port, 5, "open.example"), Some(REFUSED));
    assert_eq!(told(port, 6, "set.example"), Some(REFUSED));
    assert_eq!(told(port, 6, "open.example"), Some(NOERROR));

    // A change is taken over; what cannot be read is not, and is named once by file, line and reason.
    place.write("of-set", "127.0.0.7\n");
    until("the change", || told(port, 6, "set.example") == Some(NOERROR));
    assert_eq!(told(port, 7, "set.example"), None);
    place.write("of-set", "127.0.0.8 :refuse\n127.0.0.7 :reject\n");
    daemon.talks("the access list acl:of-set: file of-set: unable to read: line 2: column 12: neither an action nor a value");
    assert_eq!(told(port, 7, "set.example"), None);
    assert_eq!(told(port, 8, "set.example"), Some(NOERROR));
    fs::remove_file(place.path("acl")).unwrap();
    daemon.talks("what it had stays in service");
    assert_eq!(told(port, 5, "open.example"), Some(REFUSED));
    // The crash of the original: a word for a default, then a text.
    place.write("acl", "127.0.0.5 :refuse\n:refuse\n127.0.0.9 text\n127.0.0.10\n");
    until("it comes back", || told(port, 10, "open.example") == Some(REFUSED));
    assert_eq!(told(port, 9, "open.example"), Some(NOERROR));
    let ran = daemon.stop().ended_with(0);
    assert_eq!(ran.err.matches(":reject").count(), 1, "said once: {}", ran.err);

    // At the start it is reason enough not to start; with -q the zone waits.
    place.write("of-set", "127.0.0.7 :reject\n");
    let (daemon, _) = start(&place, "gatepost", &zones);
    let ran = daemon.end();
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("of-set") && ran.err.contains("zone loading errors"), "{}", ran.err);
    let (daemon, port) = start(&place, "gatepost", &[&["-q"], &zones[..]].concat());
    daemon.talks("zones reloaded");
    until("the other zone", || told(port, 1, "open.example") == Some(NOERROR));
    assert_eq!(told(port, 1, "set.example"), Some(SERVFAIL));
    fs::remove_file(place.path("acl")).unwrap();
    place.write("of-set", "127.0.0.7\n");
    until("the zone's list is good", || told(port, 1, "set.example") == Some(NOERROR));
    daemon.stop().ended_with(0);
    let (daemon, port) = start(&place, "gatepost", &[&["-q"], &zones[..]].concat());
    daemon.talks("the access list acl:acl");
    assert_eq!(told(port, 1, "open.example"), Some(SERVFAIL), "without the server's list nobody is let in");
    place.write("acl", "127.0.0.5\n");
    until("it is there", || told(port, 1, "open.example") == Some(NOERROR));
    daemon.stop().ended_with(0);
}

/// Everything is listed only where something could be.
#[test]
fn where_there_is_nothing_to_be_listed() {
    let place = place();
    write_lists(&place, &[("acl", "127.0.0.9 :9:told\n127.0.0.1 :pass\n".into()), ("none", HEAD.into())]);
    let zones = [":acl:acl", "set.example:ip4set:set", "empty.example:ip4set:none"];
    let (daemon, port) = start(&place, "gatepost", &zones);
    daemon.talks("zones reloaded");
    assert_eq!(told(port, 9, "set.example"), Some(NOERROR));
    assert_eq!(told(port, 9, "empty.example"), Some(NXDOMAIN));
    assert_eq!(told(port, 1, "empty.example"), Some(NXDOMAIN));
    daemon.stop().ended_with(0);
}

#[test]
fn the_same_as_access_files_of_a_configuration() {
    let place = place();
    let acl = "127.0.0.5 :refuse\n127.0.0.9 :9:told $\n";
    write_lists(
        &place,
        &[("acl", acl.into()), ("of-set", "127.0.0.6\n".into()), ("more", "127.0.0.7 :empty\n".into())],
    );
    let words = [
        "-b",
        "127.0.0.1/0",
        "-c",
        "1h",
        ":acl:acl",
        "set.example:ip4set:set",
        "set.example:acl:of-set,more",
        "open.example:ip4set:set",
    ];
    let state = place.path("state");
    let import = ["import-rbldnsd", "--state", state.to_str().unwrap(), "--"];
    let printed = place.run(&[&import[..], &words].concat()).ended_with(0);
    place.write("gatepost.toml", &printed.out);
    place.run(&["check-config", "gatepost.toml"]).ended_with(0);
    let shown = place.run(&["print-config", "--config", "gatepost.toml"]).ended_with(0);
    assert_eq!(shown.out.matches("access-files").count(), 2, "{}", shown.out);
    let service = place.start(&["serve", "--config", "gatepost.toml"]);
    let port = service.address().port();
    until("data", || told(port, 1, "set.example") == Some(NOERROR));
    assert_eq!(told(port, 5, "open.example"), Some(REFUSED));
    assert_eq!(told(port, 6, "set.example"), None);
    assert_eq!(told(port, 7, "set.example"), Some(NXDOMAIN));
    assert_eq!(told(port, 7, "open.example"), Some(NOERROR));
    let text = question("3.2.0.192.open.example", TXT);
    let said = ask(port, Ipv4Addr::new(127, 0, 0, 9).into(), &[text], PATIENCE).remove(0).unwrap();
    assert_eq!(said.answers[0].data, b"\x0etold 127.0.0.9");

    // Changes are noticed without a signal; what cannot be read changes nothing and is a mistake to check-config.
    place.write("more", "127.0.0.7 :refuse\n");
    until("the change", || told(port, 7, "set.example") == Some(REFUSED));
    place.write("more", "127.0.0.7 :passed\n");
    service.talks("more: line 1: column 12: neither an action nor a value");
    service.talks("the access lists stay as they were");
    assert_eq!(told(port, 7, "set.example"), Some(REFUSED));
    place.run(&["check-config", "gatepost.toml"]).ended_with(2).talks("neither an action nor a value");
    service.signal(Signal::SIGHUP);
    service.talks("the old configuration stays");
    assert_eq!(told(port, 7, "set.example"), Some(REFUSED));
    service.stop().ended_with(0);
    // A service that would let in whom nobody meant does not start.
    place.start(&["serve", "--config", "gatepost.toml"]).end().ended_with(2);
    fs::remove_file(place.path("more")).unwrap();
    place.run(&["check-config", "gatepost.toml"]).ended_with(2).talks("cannot read it");
}
