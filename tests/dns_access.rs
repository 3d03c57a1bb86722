//! Access lists: what clients are given by their address, over UDP and TCP alike.
#![cfg(feature = "full")]

mod dns_support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use dns_support::{hosts, meaning, member, name, query, spec, store};
use gatepost::model::{RrData, RrSet, Rtype, Template, Use};

use gatepost::server::{AccessLists, Dropped, Server};
use gatepost::zone::{Access, Action};
use socket2::{Domain, Socket, Type};

/// Longer than any reply takes; shorter where none is due.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Over {
    Udp,
    Tcp,
}

/// The reply to `client`, which is an address of this machine; `None` when there is none.
fn ask(server: SocketAddr, client: [u8; 4], packet: &[u8], over: Over, silent: bool) -> Option<Vec<u8>> {
    let wait = if silent { Duration::from_millis(200) } else { PATIENCE };
    let here = SocketAddr::from((client, 0));
    let mut buffer = [0; 1500];
    if over == Over::Udp {
        let socket = UdpSocket::bind(here).unwrap();
        socket.set_read_timeout(Some(wait)).unwrap();
        socket.send_to(packet, server).unwrap();
        let len = socket.recv(&mut buffer).ok()?;
        return Some(buffer[..len].to_vec());
    }
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&here.into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream: std::net::TcpStream = socket.into();
    stream.write_all(&[&(packet.len() as u16).to_be_bytes()[..], packet].concat()).unwrap();
    // Closed without a word, where silence is meant.
    stream.read_exact(&mut buffer[..2]).ok()?;
    let len = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
    stream.read_exact(&mut buffer[..len]).unwrap();
    Some(buffer[..len].to_vec())
}

/// The response code and what the answer and authority sections say.
fn said(reply: &[u8]) -> String {
    let (message, _) = meaning(reply);
    let mut said = vec![u16::from(message.response_code).to_string()];
    said.extend(message.answers.iter().map(|record| record.data.to_string()));
    if !message.authorities.is_empty() {
        said.push("SOA".to_owned());
    }
    said.join(" ")
}

fn listed() -> Action {
    let data = RrData::Wire(vec![vec![127, 0, 0, 9]]);
    let text = RrData::Texts(vec![Template::parse(b"$ may not ask")]);
    Action::Listed(Box::new([
        RrSet { rtype: Rtype::A, ttl: 60, data },
        RrSet { rtype: Rtype::TXT, ttl: 60, data: text },
    ]))
}

fn access(clients: &[(&str, Action)]) -> Arc<Access> {
    Arc::new(Access::new(clients.iter().map(|(client, action)| (client.parse().unwrap(), action.clone()))))
}

/// 127.0.0.N is given by the server's list, 127.0.1.N by that of the zone `own.example`: 1 allow, 2 refuse, 3 empty,
/// 4 listed, 5 drop. 127.0.2.1 is refused by the server and allowed by the zone, 127.0.2.2 the other way round.
fn lists() -> AccessLists {
    let actions = [Action::Allow, Action::Refuse, Action::Empty, listed(), Action::Drop];
    let clients = |third: u8| {
        let client =
            move |(last, action): (usize, &Action)| (format!("127.0.{third}.{}", last + 1), action.clone());
        actions.iter().enumerate().map(client).collect::<Vec<_>>()
    };
    let of = |third: u8, more: &[(&str, Action)]| {
        let clients = clients(third);
        let clients = clients.iter().map(|(client, action)| (&**client, action.clone()));
        access(&clients.chain(more.iter().cloned()).collect::<Vec<_>>())
    };
    AccessLists {
        server: of(0, &[("127.0.2.1", Action::Refuse), ("127.0.2.2", Action::Allow)]),
        zones: BTreeMap::from([(
            name("own.example"),
            of(1, &[("127.0.2.1", Action::Allow), ("127.0.2.2", Action::Refuse)]),
        )]),
        limit: None,
    }
}

struct Fixture {
    _state: tempfile::TempDir,
    server: Server,
}

fn fixture() -> Fixture {
    let state = tempfile::tempdir().unwrap();
    let zones = ["own.example", "other.example"].map(|origin| {
        let mut zone = spec(origin);
        member(&mut zone, "list", Use::Block, 5, "$ is bad", |set| hosts(set, &["1.2.3.4"]));
        zone
    });
    store::publish(state.path(), 1, &[(&zones[0], 1), (&zones[1], 1)]);
    let mut settings = store::settings(state.path(), &[&zones[0], &zones[1]]);
    settings.access = lists();
    settings.version = Some("v".to_owned());
    settings.streams.per_client = 200;
    let server = Server::start(&settings, Box::new(Default::default)).unwrap();
    Fixture { _state: state, server }
}

#[test]
fn each_action() {
    let Fixture { server, _state } = fixture();
    let address = server.addresses()[0];
    let listed_a = "0 127.0.0.5";
    for over in [Over::Udp, Over::Tcp] {
        let says = |client: [u8; 4], owner: &str, qtype: u16| {
            let reply = ask(address, client, &query(owner, qtype), over, client[3] == 5);
            reply.map_or_else(|| "silence".to_owned(), |reply| said(&reply))
        };
        for (third, zones) in [(0, &["own.example", "other.example"][..]), (1, &["own.example"][..])] {
            for zone in zones {
                let (hit, miss) = (format!("4.3.2.1.{zone}"), format!("9.9.9.9.{zone}"));
                for (last, to_hit, to_miss, to_apex) in [
                    (1, listed_a, "3 SOA", "0"),
                    (2, "5", "5", "5"),
                    (3, "3 SOA", "3 SOA", "0"),
                    (4, "0 127.0.0.9", "0 127.0.0.9", "0"),
                    (5, "silence", "silence", "silence"),
                ] {
                    let client = [127, 0, third, last];
                    assert_eq!(says(client, &hit, 1), to_hit, "{client:?} {over:?}");
                    assert_eq!(says(client, &miss, 1), to_miss, "{client:?} {over:?}");
                    // What the zone says of itself stays.
                    assert!(says(client, zone, 6).starts_with(to_apex), "{client:?} {over:?}");
                }
                let text = says([127, 0, third, 4], &hit, 16);
                assert!(text.contains(&format!("127.0.{third}.4 may not ask")), "{text}");
            }
        }
        // A zone's list is no other zone's.
        for last in 1..=5 {
            let reply = ask(address, [127, 0, 1, last], &query("4.3.2.1.other.example", 1), over, false);
            assert_eq!(said(&reply.unwrap()), listed_a);
        }
        // Neither list undoes the other.
        for (client, own, other) in [([127, 0, 2, 1], "5", "5"), ([127, 0, 2, 2], "5", listed_a)] {
            assert_eq!(says(client, "4.3.2.1.own.example", 1), own);
            assert_eq!(says(client, "4.3.2.1.other.example", 1), other);
        }
        // Outside all zones, and whatever else comes: the server's list.
        assert_eq!(says([127, 0, 0, 1], "www.example", 1), "5");
        assert_eq!(says([127, 0, 0, 5], "www.example", 1), "silence");
        let version = |last: u8| {
            let mut packet = query("version.bind", 16);
            *packet.last_mut().unwrap() = 3;
            ask(address, [127, 0, 0, last], &packet, over, last == 5).map(|reply| reply[3] & 15)
        };
        assert_eq!([version(1), version(2), version(5)], [Some(0), Some(5), None]);
        let malformed = [&query("4.3.2.1.own.example", 1)[..12], &[1]].concat();
        assert_eq!(ask(address, [127, 0, 0, 5], &malformed, over, true), None);
    }
    let stats = server.stats();
    for counts in [&stats.udp, &stats.tcp] {
        let denied = counts.dropped.iter().find(|(why, _)| *why == Dropped::Denied).unwrap().1;
        assert_eq!(denied, 12, "{stats:?}");
    }
    server.stop();
}

/// Who is let in changes at once, whatever the state of the data.
#[test]
fn a_running_server_takes_other_lists_over() {
    let Fixture { server, _state: state } = fixture();
    let address = server.addresses()[0];
    let says = |client: [u8; 4]| {
        let reply = ask(address, client, &query("4.3.2.1.own.example", 1), Over::Udp, false);
        said(&reply.unwrap())
    };
    assert_eq!(says([127, 0, 2, 1]), "5");
    for file in std::fs::read_dir(state.path().join("snapshots")).unwrap() {
        let path = file.unwrap().path();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path, "no snapshot").unwrap();
    }
    let refuse = access(&[("127.0.0.0/8", Action::Refuse), ("127.0.2.0/24", Action::Allow)]);
    let access = AccessLists { server: refuse, zones: BTreeMap::new(), limit: None };
    let origins = ["own.example", "other.example"].map(name).to_vec();
    server.configure(origins, None, access).expect("a zone without its file is no mistake");
    assert_eq!(says([127, 0, 2, 1]), "0 127.0.0.5");
    assert_eq!(says([127, 0, 0, 1]), "5");
    assert_eq!(IpAddr::from(Ipv4Addr::LOCALHOST), dns_support::CLIENT);
    server.stop();
}
