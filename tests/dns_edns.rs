//! Cookies, extended errors and limits: what a client is told beside its answer, and how often.
#![cfg(feature = "full")]

mod dns_support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use dns_support::{NOW, hosts, member, query, spec, store};
use gatepost::model::Use;
use gatepost::server::respond::{Moment, Outcome, Transport, respond};
use gatepost::server::{AccessLists, Dropped, Limit, Limiter, Server, World};
use gatepost::zone::{Access, Action};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;

const PATIENCE: Duration = Duration::from_secs(20);
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A query with an OPT record that has these options.
fn with_options(name: &str, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut packet = query(name, 1);
    let data: Vec<u8> = options
        .iter()
        .flat_map(|(code, data)| [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat())
        .collect();
    packet[11] = 1;
    packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0]);
    packet.extend_from_slice(&(data.len() as u16).to_be_bytes());
    packet.extend_from_slice(&data);
    packet
}

/// The data of an option of a reply.
fn option(reply: &[u8], code: u16) -> Option<Vec<u8>> {
    let message = Message::from_vec(reply).unwrap();
    match message.edns.as_ref()?.option(code.into())? {
        EdnsOption::Unknown(_, data) => Some(data.clone()),
        other => panic!("{other:?}"),
    }
}

fn ede(reply: &[u8]) -> Option<u16> {
    option(reply, 15).map(|data| u16::from_be_bytes(data.try_into().unwrap()))
}

struct Fixture {
    _state: tempfile::TempDir,
    world: World,
    server: Server,
}

/// `bl.example` with 1.2.3.4; `waiting.example` without data; 127.0.0.9 is refused.
fn fixture(limit: Option<Limit>) -> Fixture {
    let state = tempfile::tempdir().unwrap();
    let mut lists = spec("bl.example");
    member(&mut lists, "list", Use::Block, 5, "$ is bad", |set| hosts(set, &["1.2.3.4"]));
    let waiting = spec("waiting.example");
    store::publish(state.path(), 1, &[(&lists, 7)]);
    let mut settings = store::settings(state.path(), &[&lists, &waiting]);
    settings.access = AccessLists {
        server: Arc::new(Access::new([("127.0.0.9".parse().unwrap(), Action::Refuse)])),
        limit: limit.as_ref().and_then(Limiter::new).map(Arc::new),
        ..AccessLists::default()
    };
    let world = store::world(&settings).guarded(&settings.access).placed(&settings);
    let server = Server::start(&settings, Box::new(Default::default)).unwrap();
    Fixture { _state: state, world, server }
}

impl Fixture {
    fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    fn udp(&self, client: [u8; 4], packet: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind((IpAddr::from(client), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(packet, self.address()).unwrap();
        let mut buffer = [0; 2000];
        let len = socket.recv(&mut buffer).unwrap();
        buffer[..len].to_vec()
    }

    fn tcp(&self, packet: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[&(packet.len() as u16).to_be_bytes(), packet].concat()).unwrap();
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut reply).unwrap();
        reply
    }

    /// What a stranger is told at a moment.
    fn told(&self, packet: &[u8], at: Moment) -> Told {
        let mut out = [0; 1232];
        match respond(&self.world, STRANGER, packet, Transport::Udp, at, &mut out) {
            Outcome::Reply { encoded, .. } if encoded.truncated => {
                Told::Truncated(out[..encoded.len].to_vec())
            }
            Outcome::Reply { encoded, .. } => Told::Reply(out[..encoded.len].to_vec()),
            Outcome::Limited => Told::Nothing,
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Debug)]
enum Told {
    Reply(Vec<u8>),
    Truncated(Vec<u8>),
    Nothing,
}

/// RFC 8914, over every transport.
#[test]
fn refusals_say_why() {
    let fixture = fixture(None);
    let ask = |name: &str| with_options(name, &[]);
    for (name, client, rcode, why) in [
        ("4.3.2.1.bl.example", [127, 0, 0, 1], 0, None),
        ("5.3.2.1.bl.example", [127, 0, 0, 1], 3, None),
        ("elsewhere.example", [127, 0, 0, 1], 5, Some(20)),
        ("x.waiting.example", [127, 0, 0, 1], 2, Some(14)),
        ("4.3.2.1.bl.example", [127, 0, 0, 9], 5, Some(18)),
    ] {
        let reply = fixture.udp(client, &ask(name));
        assert_eq!((u16::from(reply[3] & 15), ede(&reply)), (rcode, why), "{name}");
        if client == [127, 0, 0, 1] {
            let reply = fixture.tcp(&ask(name));
            assert_eq!((u16::from(reply[3] & 15), ede(&reply)), (rcode, why), "{name} over TCP");
        }
        // Without EDNS there is no place to say it.
        let plain = fixture.udp(client, &query(name, 1));
        assert!(Message::from_vec(&plain).unwrap().edns.is_none());
    }
    let mut transfer = ask("bl.example");
    let at = transfer.len() - 11 - 4;
    transfer[at + 1] = 252;
    let reply = fixture.udp([127, 0, 0, 1], &transfer);
    assert_eq!((reply[3] & 15, ede(&reply)), (5, Some(21)));
    fixture.server.stop();
}

/// RFC 7873, over every transport.
#[test]
fn cookies_are_given_and_known_again() {
    let fixture = fixture(None);
    let client = *b"clientck";
    let ask = |cookie: &[u8]| with_options("4.3.2.1.bl.example", &[(3, b""), (10, cookie)]);
    let given = option(&fixture.udp([127, 0, 0, 1], &ask(&client)), 10).unwrap();
    assert_eq!((given.len(), &given[..8], given[8]), (24, &client[..], 1));
    // Sent back it is still good, and the same; over TCP as well.
    assert_eq!(option(&fixture.udp([127, 0, 0, 1], &ask(&given)), 10), Some(given.clone()));
    assert_eq!(option(&fixture.tcp(&ask(&given)), 10), Some(given.clone()));
    // Another client is given another, and one that was changed is replaced.
    assert_ne!(option(&fixture.udp([127, 0, 0, 2], &ask(&given)), 10), Some(given.clone()));
    let mut changed = given.clone();
    changed[23] ^= 1;
    let again = option(&fixture.udp([127, 0, 0, 1], &ask(&changed)), 10).unwrap();
    assert_ne!(again, changed);
    assert_eq!(again[..12], given[..12]);
    // Who sends none is given none; one of an impossible length is FORMERR.
    assert_eq!(option(&fixture.udp([127, 0, 0, 1], &with_options("4.3.2.1.bl.example", &[])), 10), None);
    let reply = fixture.udp([127, 0, 0, 1], &ask(b"short"));
    assert_eq!(reply[3] & 15, 1);
    assert_eq!(fixture.tcp(&ask(b"short"))[3] & 15, 1);
    fixture.server.stop();
}

/// Refusals that repeat the question bring a cookie. What is not understood does not, nor does a header alone: with one it would
/// be longer than what was asked.
#[test]
fn cookies_come_with_a_question_or_not_at_all() {
    let fixture = fixture(None);
    let cookie: &[(u16, &[u8])] = &[(10, b"clientck")];
    let ask = with_options("bl.example", cookie);
    let end = query("bl.example", 1).len();
    let changed = |at: usize, octet: u8| {
        let mut packet = ask.clone();
        packet[at] = octet;
        packet
    };
    let again = |part: std::ops::Range<usize>, counted_at: usize| {
        let mut packet = [&ask[..part.start], &ask[part.clone()], &ask[part.start..]].concat();
        packet[counted_at] += 1;
        packet
    };
    let nothing_asked = {
        let mut packet = [&ask[..12], &ask[end..]].concat();
        packet[5] = 0;
        packet
    };
    for (what, packet, client, rcode, questions, is_given) in [
        ("elsewhere", with_options("elsewhere.example", cookie), 1, 5, 1, true),
        ("prohibited", ask.clone(), 9, 5, 1, true),
        ("a transfer", changed(end - 3, 252), 1, 5, 1, true),
        ("class CH", changed(end - 1, 3), 1, 5, 1, true),
        ("class HS", changed(end - 1, 4), 1, 5, 1, true),
        ("NOTIFY", changed(2, 4 << 3), 1, 4, 0, false),
        ("two questions", again(12..end, 5), 1, 1, 0, false),
        ("no question", nothing_asked, 1, 1, 0, false),
        ("two OPTs", again(end..ask.len(), 11), 1, 1, 1, false),
    ] {
        let mut replies = vec![fixture.udp([127, 0, 0, client], &packet)];
        if client == 1 {
            replies.push(fixture.tcp(&packet));
        }
        for reply in replies {
            assert_eq!((reply[3] & 15, reply[5], reply[11]), (rcode, questions, 1), "{what}: {reply:?}");
            let given = option(&reply, 10).map(|cookie| cookie.len());
            assert_eq!(given, is_given.then_some(24), "{what}");
            assert!(is_given || reply.len() <= packet.len(), "{what}");
        }
    }
    fixture.server.stop();
}

#[test]
fn strangers_are_answered_so_often() {
    let limit = Limit { rate: 10, slip: 3, loopback: false, exempt: Vec::new() };
    let fixture = fixture(Some(limit));
    let plain = query("4.3.2.1.bl.example", 1);
    let count = |packet: &[u8], at: Moment| {
        let mut counts = [0; 3];
        for _ in 0..65 {
            match fixture.told(packet, at) {
                Told::Reply(_) => counts[0] += 1,
                Told::Truncated(reply) => {
                    // Nothing is in it but the question: no longer than what was asked.
                    assert_eq!((reply[2] & 2, &reply[6..10]), (2, &[0; 4][..]));
                    assert_eq!(reply.len(), packet.len());
                    counts[1] += 1;
                }
                Told::Nothing => counts[2] += 1,
            }
        }
        counts
    };
    assert_eq!(count(&plain, NOW), [20, 15, 30]);
    let later = Moment { micros: NOW.micros + 1_000_000, ..NOW };
    assert_eq!(count(&plain, later)[0], 10);
    // Errors are limited as well, and nothing slips that is no question.
    let mut broken = plain;
    broken[5] = 2;
    assert_eq!(count(&broken, later), [0, 0, 65]);
    // Whoever sends a cookie back is where it says.
    let cookie = with_options("4.3.2.1.bl.example", &[(10, b"clientck")]);
    let given = loop {
        match fixture.told(&cookie, later) {
            Told::Truncated(reply) => break option(&reply, 10).unwrap(),
            Told::Nothing => {}
            Told::Reply(reply) => panic!("{reply:?}"),
        }
    };
    let known = with_options("4.3.2.1.bl.example", &[(10, &given)]);
    assert_eq!(count(&known, later), [65, 0, 0]);
    fixture.server.stop();
}

/// On loopback when that is said; over TCP never.
#[test]
fn a_server_keeps_to_its_limit() {
    let limit = Limit { rate: 1, slip: 0, loopback: true, exempt: Vec::new() };
    let fixture = fixture(Some(limit));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let packet = query("4.3.2.1.bl.example", 1);
    for _ in 0..100 {
        socket.send_to(&packet, fixture.address()).unwrap();
    }
    let mut replies = 0;
    while socket.recv(&mut [0; 512]).is_ok() {
        replies += 1;
    }
    // Two at once, and one for each second that this takes on a busy machine.
    assert!((2..20).contains(&replies), "{replies}");
    for _ in 0..10 {
        assert_eq!(fixture.tcp(&packet)[3] & 15, 0);
    }
    let stats = fixture.server.stats();
    let limited = stats.udp.dropped.iter().find(|(why, _)| *why == Dropped::Limited).unwrap().1;
    assert_eq!(limited + replies, 100);
    fixture.server.stop();
}
