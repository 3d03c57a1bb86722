//! `wire` against hickory, which serves as the independent encoder: thousands of questions about generated zones,
//! and a million damaged packets.
#![cfg(feature = "full")]

mod dns_support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use dns_support::{CLIENT, NOW, except, meaning, member, query, spec, store, with_opt};
use gatepost::compile::ZoneSpec;
use gatepost::model::{Name, RrData, RrSet, Rtype, Span, Template, Use, Value};
use gatepost::server::respond::{Outcome, Transport, respond};
use gatepost::server::{Server, World};
use gatepost::set::Scope;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// An entry, small enough that questions meet it.
#[derive(Debug, Clone)]
enum Entry {
    V4(u32, u8),
    V6(u128, u8),
    Name(Vec<String>, bool, bool),
}

#[derive(Debug, Clone)]
struct List {
    code: u8,
    text: String,
    entries: Vec<(Entry, Option<Value>)>,
}

#[derive(Debug, Clone)]
struct Asked {
    labels: Vec<String>,
    inside: bool,
    qtype: u16,
    class: u16,
    flags: [u8; 2],
    opt: Option<(u16, u8, u8, Vec<u8>)>,
}

fn v4() -> impl Strategy<Value = u32> {
    // Few distinct octets, so that prefixes and neighbours meet.
    vec(prop_oneof![0..4u8, Just(127), Just(255)], 4)
        .prop_map(|o| u32::from_be_bytes([o[0], o[1], o[2], o[3]]))
}

fn v6() -> impl Strategy<Value = u128> {
    let nibbles =
        vec(0..3u8, 32).prop_map(|nibbles| nibbles.iter().fold(0u128, |n, &x| n << 4 | u128::from(x)));
    prop_oneof![nibbles, v4().prop_map(|v4| 0xffff_0000_0000 | u128::from(v4))]
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop_oneof![Just("a"), Just("b"), Just("test"), Just("invalid"), Just("1"), Just("2"), Just("f")]
            .prop_map(str::to_owned),
        1 => "[0-9]{1,3}",
        1 => "[a-zA-Z0-9_+-]{1,12}",
        1 => "[a-z]{63}",
    ]
}

fn value() -> impl Strategy<Value = Option<Value>> {
    let text = "[ -~]{0,40}".prop_map(|text| Some(Template::parse(text.as_bytes())));
    let texts = prop_oneof![4 => text, 1 => Just(Some(Template::literal(&[b'x'; 300]))), 1 => Just(None)];
    let simple = (any::<Option<u8>>(), texts).prop_map(|(code, text)| Value {
        code: code.map(|code| Ipv4Addr::new(127, 0, 0, code)),
        text,
        ..Value::default()
    });
    let wire =
        |rtype: u16, data: Vec<Vec<u8>>| RrSet { rtype: Rtype(rtype), ttl: 77, data: RrData::Wire(data) };
    let mx = RrSet { ..wire(15, vec![b"\x00\x0a\x02mx\x07example\x00".to_vec(), b"\x00\x14\x00".to_vec()]) };
    let strings = wire(16, vec![b"\x03one\x05two..\x00".to_vec(), [&[255][..], &[b'y'; 255]].concat()]);
    let odd = wire(1000, vec![vec![1, 2, 3], vec![0xc0]]);
    let many = wire(1, (0..100u8).map(|n| vec![127, 0, 1, n]).collect());
    let sets = proptest::sample::subsequence(vec![mx, strings, odd, many], 1..=4);
    let records = sets.prop_map(|records| Value { records, ..Value::default() });
    prop_oneof![3 => Just(None), 3 => simple.prop_map(Some), 1 => records.prop_map(Some)]
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        3 => (v4(), prop_oneof![3 => Just(32u8), 1 => 8..32u8]).prop_map(|(first, len)| Entry::V4(first, len)),
        2 => (v6(), prop_oneof![1 => Just(128u8), 1 => 4..128u8]).prop_map(|(first, len)| Entry::V6(first, len)),
        2 => (vec(label(), 1..4), any::<bool>(), proptest::bool::weighted(0.2))
            .prop_map(|(labels, below, exclude)| Entry::Name(labels, below, exclude)),
    ]
}

fn list() -> impl Strategy<Value = List> {
    (2..9u8, "[ -~]{0,60}", vec((entry(), value()), 0..20)).prop_map(|(code, text, entries)| List {
        code,
        text,
        entries,
    })
}

fn zone() -> impl Strategy<Value = ZoneSpec> {
    let origin =
        prop_oneof![Just("bl.example"), Just("example"), Just("a.very.long.origin.of.a.zone.example")];
    (origin, vec(list(), 1..4), vec(entry(), 0..3), any::<bool>(), any::<bool>()).prop_map(
        |(origin, lists, excepted, combined, test_points)| {
            let mut spec = spec(origin);
            (spec.zone.combined, spec.zone.test_points) = (combined, test_points);
            for (index, list) in lists.iter().enumerate() {
                let use_ = [Use::Block, Use::Score, Use::Bounce][index % 3];
                member(&mut spec, &format!("list{index}"), use_, list.code, &list.text, |set| {
                    for (entry, value) in &list.entries {
                        let value = set.value(&value.clone().unwrap_or_default());
                        put(set, entry, value);
                    }
                });
            }
            except(&mut spec, "except", |set| {
                let value = set.value(&Value::default());
                excepted.iter().for_each(|entry| put(set, entry, value));
            });
            spec
        },
    )
}

fn put(set: &mut gatepost::set::SetBuilder, entry: &Entry, value: u32) {
    use gatepost::model::Address;
    match entry {
        Entry::V4(first, 32) => set.host(*first, value),
        Entry::V4(first, len) => set.v4(first.prefix(*len), value),
        Entry::V6(first, 128) => set.v6(Span::host(*first), value),
        Entry::V6(first, len) => set.v6(first.prefix(*len), value),
        Entry::Name(labels, below, exclude) => {
            let name: Name = labels.join(".").parse().expect("labels");
            let scope = if *below { Scope::Below } else { Scope::Exact };
            if *exclude { set.exclude_name(name, scope) } else { set.name(name, scope, value) }
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let address = v4().prop_map(|v4| v4.to_le_bytes().map(|octet| octet.to_string()).to_vec()).boxed();
    let nibbles = v6()
        .prop_map(|v6| (0..32).map(|at| format!("{:x}", v6 >> (4 * at) & 15)).collect::<Vec<_>>())
        .boxed();
    let cut = |labels: Vec<String>| {
        let len = labels.len();
        (Just(labels), 0..=len).prop_map(|(labels, from)| labels[from..].to_vec())
    };
    let labels = prop_oneof![
        3 => address.clone(),
        2 => address.prop_flat_map(cut),
        1 => nibbles.clone(),
        1 => nibbles.prop_flat_map(cut),
        3 => vec(label(), 0..5),
    ];
    let qtype = prop_oneof![
        5 => prop_oneof![Just(1u16), Just(16), Just(255)],
        2 => prop_oneof![Just(2u16), Just(6), Just(15), Just(28), Just(1000), Just(41), Just(0)],
        1 => any::<u16>(),
    ];
    let class = prop_oneof![20 => Just(1u16), 1 => Just(3), 1 => any::<u16>()];
    let flags = (any::<u8>(), any::<u8>()).prop_map(|(first, second)| [first & 0x07, second]);
    let opt = prop_oneof![
        any::<u16>().prop_map(|size| (size, 0u8, 0u8, Vec::new())),
        (any::<u16>(), Just(0), any::<u8>(), vec(any::<u8>(), 0..9)).prop_map(
            |(size, version, flags, data)| (
                size,
                version,
                flags,
                [&[0, 10, 0, data.len() as u8], &data[..]].concat()
            )
        ),
        (any::<u16>(), any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..9)),
    ];
    (labels, proptest::bool::weighted(0.95), qtype, class, flags, proptest::option::of(opt)).prop_map(
        |(labels, inside, qtype, class, flags, opt)| Asked { labels, inside, qtype, class, flags, opt },
    )
}

impl Asked {
    fn packet(&self, origin: &Name, id: u16) -> Option<Vec<u8>> {
        let mut labels = self.labels.clone();
        let outside: Name = "elsewhere".parse().expect("plain");
        let origin = if self.inside { origin } else { &outside };
        labels.extend(origin.labels().map(|label| String::from_utf8_lossy(label).into_owned()));
        if labels.iter().map(|label| label.len() + 1).sum::<usize>() > 254 {
            return None;
        }
        let mut packet = query(&labels.join("."), self.qtype);
        let len = packet.len();
        packet[len - 2..].copy_from_slice(&self.class.to_be_bytes());
        packet[..2].copy_from_slice(&id.to_be_bytes());
        packet[2..4].copy_from_slice(&self.flags);
        Some(match &self.opt {
            None => packet,
            Some((size, version, flags, options)) => with_opt(packet, *size, *version, *flags, options),
        })
    }
}

fn reply(world: &World, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let mut out = vec![0xaa; 65_535];
    match respond(world, CLIENT, packet, transport, NOW, &mut out) {
        Outcome::Silent(_) | Outcome::Denied | Outcome::Limited => None,
        Outcome::Reply { encoded, .. } => {
            out.truncate(encoded.len);
            Some(out)
        }
    }
}

/// Sends all packets at once over one connection and reads the replies.
fn over_tcp(address: SocketAddr, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    let mut writer = stream.try_clone().expect("clone");
    let framed: Vec<u8> = packets
        .iter()
        .flat_map(|packet| [&(packet.len() as u16).to_be_bytes(), &packet[..]].concat())
        .collect();
    let sender = std::thread::spawn(move || writer.write_all(&framed));
    let replies = packets.iter().map(|_| {
        let mut len = [0; 2];
        stream.read_exact(&mut len).expect("a reply to each message");
        let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut reply).expect("a whole reply");
        reply
    });
    let replies = replies.collect();
    sender.join().expect("joined").expect("sent");
    replies
}

/// A reply less the part of a cookie that is the server's to choose, which depends on the time.
fn apart_from_cookies(octets: &[u8]) -> (Message, Vec<String>) {
    let (mut message, rest) = meaning(octets);
    if let Some(edns) = &mut message.edns
        && let Some(EdnsOption::Unknown(code, cookie)) = edns.option(10.into()).cloned()
    {
        assert_eq!(cookie.len(), 24);
        edns.options_mut().remove(code.into());
        edns.options_mut().insert(EdnsOption::Unknown(code, cookie[..8].to_vec()));
    }
    (message, rest)
}

/// What the stream front says through hickory is what `wire` says, and a datagram says the same or nothing with TC.
#[test]
fn both_encoders_say_the_same() {
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let cases = (zone().boxed(), vec(asked().boxed(), 300));
    let result = runner.run(&cases, |(spec, asked)| {
        let state = tempfile::tempdir().expect("folder");
        store::publish(state.path(), 1, &[(&spec, 5)]);
        let settings = store::settings(state.path(), &[&spec]);
        let world = store::world(&settings);
        let server = Server::start(&settings, Box::new(Default::default)).expect("starts");
        let origin = &spec.zone.origin;
        let packets: Vec<_> =
            asked.iter().zip(0..).filter_map(|(asked, id)| asked.packet(origin, id)).collect();
        let replies = over_tcp(server.addresses()[0], &packets);
        server.stop();
        for (packet, by_hickory) in packets.iter().zip(&replies) {
            let by_wire = reply(&world, packet, Transport::Stream).expect("a reply");
            let by_wire = apart_from_cookies(&by_wire);
            prop_assert_eq!(&by_wire, &apart_from_cookies(by_hickory), "{}", packet.escape_ascii());
            let datagram = reply(&world, packet, Transport::Udp).expect("a reply");
            prop_assert!(datagram.len() <= 1232);
            let datagram = apart_from_cookies(&datagram);
            if datagram.0.metadata.truncation {
                prop_assert!(datagram.1.is_empty());
                prop_assert_eq!(datagram.0.edns, by_wire.0.edns);
            } else {
                prop_assert_eq!(datagram, by_wire);
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// A small generator, so that the million packets are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// A million damaged packets: no panic, and no reply but to what is a query, with its id and its question.
#[test]
fn damaged_packets() {
    let mut spec = spec("bl.example");
    member(&mut spec, "list", Use::Block, 5, "$", |set| dns_support::hosts(set, &["1.2.3.4"]));
    let state = tempfile::tempdir().expect("folder");
    store::publish(state.path(), 1, &[(&spec, 5)]);
    let world = store::world(&store::settings(state.path(), &[&spec]));
    let plain = query("4.3.2.1.bl.example", 16);
    let seeds = [
        plain.clone(),
        query("2.1.bl.example", 1),
        query("bl.example", 6),
        query("a.b.c.example", 255),
        with_opt(plain.clone(), 1232, 0, 0x80, b"\x00\x0a\x00\x08abcdefgh"),
        with_opt(plain.clone(), 4096, 1, 0, b""),
        with_opt(with_opt(plain, 512, 0, 0, b""), 512, 0, 0, b""),
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut silent, mut answered, mut refused) = (0, 0, 0);
    let mut out = [0; 1232];
    for _ in 0..1_000_000 {
        let mut packet = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(packet.len().max(1));
            match random.below(8) {
                0 => packet.truncate(at),
                1 => packet.insert(at.min(packet.len()), random.below(256) as u8),
                2 if at < packet.len() => drop(packet.remove(at)),
                3 => packet.extend_from_within(at.min(packet.len())..),
                4 if at < packet.len() => packet[at] = [0, 0xc0, 63, 64, 255][random.below(5)],
                _ if at < packet.len() => packet[at] = random.below(256) as u8,
                _ => {}
            }
        }
        let Outcome::Reply { encoded, .. } = respond(&world, CLIENT, &packet, Transport::Udp, NOW, &mut out)
        else {
            silent += 1;
            continue;
        };
        let reply = &out[..encoded.len];
        let shown = || format!("{} got {}", packet.escape_ascii(), reply.escape_ascii());
        assert!(packet.len() >= 12 && packet[2] & 0x80 == 0, "deserves silence: {}", shown());
        assert!(reply[..2] == packet[..2] && reply[2] & 0xf8 == packet[2] & 0x78 | 0x80, "{}", shown());
        let message = Message::from_vec(reply).unwrap_or_else(|error| panic!("{error}: {}", shown()));
        assert!(encoded.len <= if message.edns.is_some() { 1232 } else { 512 }, "{}", shown());
        match message.queries.as_slice() {
            // A header, and OPT for OPT: nothing to gain, nothing of the packet comes back but DO.
            [] => {
                let opt = if message.edns.is_some() { 11 } else { 0 };
                assert!(reply.len() == 12 + opt && reply.len() <= packet.len(), "{}", shown());
            }
            [_] => {
                let end =
                    12 + question_len(&packet[12..]).expect("the question of an answered query is sound");
                assert_eq!(reply[12..end], packet[12..end], "{}", shown());
            }
            _ => panic!("{}", shown()),
        }
        match encoded.rcode.0 {
            0 | 3 => answered += 1,
            _ => refused += 1,
        }
    }
    // The mutations reach every kind of outcome.
    assert!(silent > 50_000 && answered > 50_000 && refused > 50_000, "{silent} {answered} {refused}");
}

/// Octets of a question, read another way than the code under test does.
fn question_len(bytes: &[u8]) -> Option<usize> {
    let mut len = 0;
    while *bytes.get(len)? != 0 {
        assert!(bytes[len] < 64);
        len += usize::from(bytes[len]) + 1;
    }
    assert!(len < 255);
    (bytes.len() >= len + 5).then_some(len + 5)
}
