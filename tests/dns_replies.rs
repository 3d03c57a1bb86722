//! Every row of the table of DNS behaviour, as literal packets, over UDP and over TCP.
#![cfg(feature = "full")]

mod dns_support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use dns_support::{CLIENT, NOW, hosts, meaning, member, query, records, spec, store, with_opt};
use gatepost::compile::ZoneSpec;
use gatepost::model::Use;
use gatepost::server::respond::{Outcome, Transport, respond};
use gatepost::server::{Server, World};
use hickory_proto::op::Message;

/// 1.2.3.4 is listed with 127.0.0.5 and a text; 9.9.9.9 with more than a datagram holds, 8.8.8.8 with other types.
fn lists() -> ZoneSpec {
    let mut spec = spec("bl.example");
    member(&mut spec, "list", Use::Block, 5, "$ is bad", |set| {
        hosts(set, &["1.2.3.4"]);
        let long: Vec<Vec<u8>> = (0..9u8).map(|n| [&[200, n][..], &[b'x'; 199]].concat()).collect();
        let long = set.value(&records(16, &long.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        set.host(0x0909_0909, long);
        let other = set.value(&records(15, &[&[0, 10, 2, b'm', b'x', 0]]));
        set.host(0x0808_0808, other);
    });
    spec
}

struct Fixture {
    world: World,
    _state: tempfile::TempDir,
    server: Server,
    address: SocketAddr,
}

fn fixture(version: Option<&str>) -> Fixture {
    let state = tempfile::tempdir().unwrap();
    let (lists, waiting) = (lists(), spec("waiting.example"));
    store::publish(state.path(), 1, &[(&lists, 7)]);
    let mut settings = store::settings(state.path(), &[&lists, &waiting]);
    settings.version = version.map(str::to_owned);
    let world = store::world(&settings);
    let server = Server::start(&settings, Box::new(Default::default)).unwrap();
    let address = server.addresses()[0];
    Fixture { world, _state: state, server, address }
}

impl Fixture {
    fn respond(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0xaa; 1232];
        match respond(&self.world, CLIENT, packet, Transport::Udp, NOW, &mut out) {
            Outcome::Silent(_) | Outcome::Denied | Outcome::Limited => None,
            Outcome::Reply { encoded, .. } => {
                out.truncate(encoded.len);
                Some(out)
            }
        }
    }

    /// Over the socket; silence shows by the next question's reply coming first.
    fn udp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.send_to(packet, self.address).unwrap();
        let mut marker = query("marker.bl.example", 6);
        marker[..2].copy_from_slice(b"\xff\xfe");
        socket.send_to(&marker, self.address).unwrap();
        let mut buffer = [0; 2000];
        let len = socket.recv(&mut buffer).unwrap();
        if buffer[..2] == *b"\xff\xfe" { None } else { Some(buffer[..len].to_vec()) }
    }

    /// Over TCP; `None` when the server closes.
    fn tcp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let framed = [&(packet.len() as u16).to_be_bytes(), packet].concat();
        stream.write_all(&framed).unwrap();
        let mut len = [0; 2];
        // A close with octets unread comes as a reset.
        if stream.read_exact(&mut len).is_err() {
            return None;
        }
        let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut reply).unwrap();
        Some(reply)
    }

    fn check(&self, what: &str, packet: &[u8], expected: Option<Vec<u8>>) {
        assert_eq!(self.respond(packet).map(Hex), expected.clone().map(Hex), "{what}");
        assert_eq!(self.udp(packet).map(Hex), expected.clone().map(Hex), "{what}, over UDP");
        let over_tcp = self.tcp(packet);
        match (&expected, &over_tcp) {
            (None, None) => {}
            // hickory points at names where wire does not, or the other way round: what they mean is compared.
            (Some(expected), Some(reply)) => {
                assert_eq!(meaning(reply), meaning(expected), "{what}, over TCP");
            }
            _ => panic!("{what}, over TCP: {over_tcp:?}"),
        }
    }
}

#[derive(PartialEq)]
struct Hex(Vec<u8>);

impl std::fmt::Debug for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

const LISTED: &[u8] = b"\x014\x013\x012\x011\x02bl\x07example\x00";
const IN_A: &[u8] = b"\x00\x01\x00\x01";
const IN_TXT: &[u8] = b"\x00\x10\x00\x01";
const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";

/// The SOA record with its owner and its names in the zone pointing at `origin` in the message.
fn soa(origin: u8, ttl: &[u8; 4]) -> Vec<u8> {
    [
        &[0xc0, origin][..],
        b"\x00\x06\x00\x01",
        ttl,
        b"\x00\x2d",
        b"\x02ns\xc0",
        &[origin],
        b"\x0ahostmaster\x07example\x00",
        b"\x00\x00\x00\x07\x00\x00\x1c\x20\x00\x00\x03\x84\x00\x01\x51\x80\x00\x00\x00\x3c",
    ]
    .concat()
}

const MINUTE: &[u8; 4] = b"\x00\x00\x00\x3c";

fn ask(name: &[u8], question: &[u8]) -> Vec<u8> {
    [b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", name, question].concat()
}

fn reply(flags: &[u8; 2], counts: [u8; 3], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let [answers, authorities, additionals] = counts;
    let header = [b"\x12\x34", &flags[..], &[0, 1, 0, answers, 0, authorities, 0, additionals]].concat();
    Some([header, parts.concat()].concat())
}

#[test]
fn what_zones_say() {
    let fixture = fixture(None);
    let check = |what: &str, packet: &[u8], expected| fixture.check(what, packet, expected);

    let a = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x7f\x00\x00\x05";
    check("listed, A", &ask(LISTED, IN_A), reply(b"\x85\x00", [1, 0, 0], &[LISTED, IN_A, a]));
    let txt = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x01\x2c\x00\x0f\x0e1.2.3.4 is bad";
    check("listed, TXT", &ask(LISTED, IN_TXT), reply(b"\x85\x00", [1, 0, 0], &[LISTED, IN_TXT, txt]));
    let any = b"\x00\xff\x00\x01";
    check("listed, ANY: A alone", &ask(LISTED, any), reply(b"\x85\x00", [1, 0, 0], &[LISTED, any, a]));
    for qtype in [28u16, 65, 257, 1000, 2, 6] {
        let question = [&qtype.to_be_bytes()[..], b"\x00\x01"].concat();
        let expected = reply(b"\x85\x00", [0, 1, 0], &[LISTED, &question, &soa(0x14, MINUTE)]);
        check("listed, another type: NODATA", &ask(LISTED, &question), expected);
    }
    let eight: &[u8] = b"\x018\x018\x018\x018\x02bl\x07example\x00";
    let mx = b"\x00\x0f\x00\x01";
    let data = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x06\x00\x0a\x02mx\x00";
    check("listed with another type", &ask(eight, mx), reply(b"\x85\x00", [1, 0, 0], &[eight, mx, data]));
    check(
        "ANY without A: the first set",
        &ask(eight, any),
        reply(b"\x85\x00", [1, 0, 0], &[eight, any, data]),
    );

    let unlisted: &[u8] = b"\x015\x013\x012\x011\x02bl\x07example\x00";
    let nxdomain = |name: &[u8], origin| reply(b"\x85\x03", [0, 1, 0], &[name, IN_A, &soa(origin, MINUTE)]);
    check("not listed", &ask(unlisted, IN_A), nxdomain(unlisted, 0x14));
    let padded: &[u8] = b"\x03004\x013\x012\x011\x02bl\x07example\x00";
    check("zero-padded", &ask(padded, IN_A), nxdomain(padded, 0x16));
    let deeper: &[u8] = b"\x01x\x014\x013\x012\x011\x02bl\x07example\x00";
    check("below a listed address", &ask(deeper, IN_A), nxdomain(deeper, 0x16));
    let above: &[u8] = b"\x013\x012\x011\x02bl\x07example\x00";
    let nodata = reply(b"\x85\x00", [0, 1, 0], &[above, IN_A, &soa(0x12, MINUTE)]);
    check("something listed below", &ask(above, IN_A), nodata);
    let test_point: &[u8] = b"\x012\x010\x010\x03127\x02bl\x07example\x00";
    let two = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x7f\x00\x00\x02";
    check("127.0.0.2", &ask(test_point, IN_A), reply(b"\x85\x00", [1, 0, 0], &[test_point, IN_A, two]));
    let never: &[u8] = b"\x011\x010\x010\x03127\x02bl\x07example\x00";
    check("127.0.0.1", &ask(never, IN_A), nxdomain(never, 0x16));

    let apex: &[u8] = b"\x02bl\x07example\x00";
    let (in_soa, in_ns) = (b"\x00\x06\x00\x01", b"\x00\x02\x00\x01");
    let hour = soa(0x0c, b"\x00\x00\x0e\x10");
    check("apex, SOA", &ask(apex, in_soa), reply(b"\x85\x00", [1, 0, 0], &[apex, in_soa, &hour]));
    let ns = [
        &b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x0e\x10\x00\x05\x02ns\xc0\x0c"[..],
        b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x0e\x10\x00\x0d\x03ns2\x07example\x00",
    ]
    .concat();
    check("apex, NS", &ask(apex, in_ns), reply(b"\x85\x00", [2, 0, 0], &[apex, in_ns, &ns]));
    check("apex, A", &ask(apex, IN_A), reply(b"\x85\x00", [0, 1, 0], &[apex, IN_A, &soa(0x0c, MINUTE)]));

    let foreign: &[u8] = b"\x014\x013\x012\x011\x03foo\x07example\x00";
    check("outside all zones", &ask(foreign, IN_A), reply(b"\x81\x05", [0; 3], &[foreign, IN_A]));
    check(
        "the parent of a zone",
        &ask(b"\x07example\x00", IN_A),
        reply(b"\x81\x05", [0; 3], &[b"\x07example\x00", IN_A]),
    );
    check("the root", &ask(b"\x00", IN_A), reply(b"\x81\x05", [0; 3], &[b"\x00", IN_A]));
    let waiting: &[u8] = b"\x014\x013\x012\x011\x07waiting\x07example\x00";
    check("a zone without a snapshot", &ask(waiting, IN_A), reply(b"\x81\x02", [0; 3], &[waiting, IN_A]));
    fixture.server.stop();
}

#[test]
fn headers_and_questions() {
    let fixture = fixture(None);
    let check = |what: &str, packet: &[u8], expected| fixture.check(what, packet, expected);
    let a = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x7f\x00\x00\x05";
    let with_header = |header: &[u8], rest: &[&[u8]]| [header, &rest.concat()].concat();

    // Case is kept.
    let mixed: &[u8] = b"\x014\x013\x012\x011\x02bL\x07eXaMpLe\x00";
    check("0x20", &ask(mixed, IN_A), reply(b"\x85\x00", [1, 0, 0], &[mixed, IN_A, a]));
    // AA, TC, RA, Z, AD and CD of the query are cleared, RD is as it came.
    for (flags, expected) in
        [(b"\x07\xf0", b"\x85\x00"), (b"\x06\x00", b"\x84\x00"), (b"\x00\x00", b"\x84\x00")]
    {
        let packet =
            with_header(&[b"\x12\x34", &flags[..], &[0, 1, 0, 0, 0, 0, 0, 0]].concat(), &[LISTED, IN_A]);
        check("flags", &packet, reply(expected, [1, 0, 0], &[LISTED, IN_A, a]));
    }
    // The response code of a query means nothing.
    let packet = with_header(b"\x12\x34\x01\x0f\x00\x01\x00\x00\x00\x00\x00\x00", &[LISTED, IN_A]);
    check("rcode in the query", &packet, reply(b"\x85\x00", [1, 0, 0], &[LISTED, IN_A, a]));

    check("QR=1", &with_header(b"\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00", &[LISTED, IN_A]), None);
    for len in 0..12 {
        check("shorter than a header", &ask(LISTED, IN_A)[..len], None);
    }
    for len in 12..ask(LISTED, IN_A).len() {
        check("question cut", &ask(LISTED, IN_A)[..len], None);
    }
    check("compressed", &ask(b"\x014\xc0\x0c", IN_A), None);
    check("extended label", &ask(b"\x41a\x00", IN_A), None);
    let label64 = [&[64][..], &[b'a'; 64], b"\x02bl\x07example\x00"].concat();
    check("label of 64 octets", &ask(&label64, IN_A), None);
    let octets = |len: usize| -> Vec<u8> {
        // `len` octets in front of the eleven of the origin, in labels of at most 63.
        let mut name = Vec::new();
        let mut left = len;
        while left > 0 {
            let label = if left > 64 && left - 64 == 1 { 62 } else { (left - 1).min(63) };
            name.push(label as u8);
            name.extend(std::iter::repeat_n(b'a', label));
            left -= label + 1;
        }
        [&name[..], b"\x02bl\x07example\x00"].concat()
    };
    let (longest, too_long) = (octets(243), octets(244));
    assert_eq!((longest.len(), too_long.len()), (255, 256));
    let expected = reply(b"\x85\x03", [0, 1, 0], &[&longest, IN_A, &soa(0xff, MINUTE)]);
    check("name of 255 octets", &ask(&longest, IN_A), expected);
    check("name of 256 octets", &ask(&too_long, IN_A), None);

    let header_only = |rcode: u8, first: u8| Some(vec![0x12, 0x34, first, rcode, 0, 0, 0, 0, 0, 0, 0, 0]);
    check("no question", b"\x12\x34\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", header_only(1, 0x81));
    let twice = [LISTED, IN_A, LISTED, IN_A];
    check(
        "two questions",
        &with_header(b"\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00", &twice),
        header_only(1, 0x81),
    );
    for opcode in 1..=15u8 {
        let header = [0x12, 0x34, opcode << 3 | 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        // The opcode comes back, and RD.
        let expected = header_only(4, 0x81 | opcode << 3);
        check("opcode", &with_header(&header, &[LISTED, IN_A]), expected.clone());
        check("opcode, header only", &[&header[..5], &[0; 7]].concat(), expected);
    }
    let junk = [&ask(LISTED, IN_A)[..], b"what is this?"].concat();
    check("octets after the question", &junk, reply(b"\x85\x00", [1, 0, 0], &[LISTED, IN_A, a]));

    for (what, question) in [
        ("AXFR", b"\x00\xfc\x00\x01"),
        ("IXFR", b"\x00\xfb\x00\x01"),
        ("class CH", b"\x00\x01\x00\x03"),
        ("class HS", b"\x00\x01\x00\x04"),
        ("class NONE", b"\x00\x01\x00\xfe"),
        ("class ANY", b"\x00\x01\x00\xff"),
        ("class 0", b"\x00\x01\x00\x00"),
    ] {
        check(what, &ask(LISTED, question), reply(b"\x81\x05", [0; 3], &[LISTED, question]));
    }
    fixture.server.stop();
}

#[test]
fn edns() {
    let fixture = fixture(None);
    let check = |what: &str, packet: &[u8], expected| fixture.check(what, packet, expected);
    let a = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x7f\x00\x00\x05";
    let plain = || ask(LISTED, IN_A);
    let answered = |opt: &[u8]| reply(b"\x85\x00", [1, 0, 1], &[LISTED, IN_A, a, opt]);

    check("OPT in, OPT out", &with_opt(plain(), 4096, 0, 0, b""), answered(OPT));
    check("size 0", &with_opt(plain(), 0, 0, 0, b""), answered(OPT));
    let dnssec_ok = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";
    check("DO", &with_opt(plain(), 1232, 0, 0x80, b""), answered(dnssec_ok));
    check("other flags", &with_opt(plain(), 1232, 0, 0x7f, b""), answered(OPT));
    let options = b"\x00\x03\x00\x00\x00\x08\x00\x00\xff\xff\x00\x03abc";
    check("unknown and odd options", &with_opt(plain(), 1232, 0, 0, options), answered(OPT));
    let junk = [with_opt(plain(), 1232, 0, 0, b""), b"junk".to_vec()].concat();
    check("octets after OPT", &junk, answered(OPT));

    let badvers = b"\x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x00";
    let expected = || reply(b"\x81\x00", [0, 0, 1], &[LISTED, IN_A, badvers]);
    check("version 1", &with_opt(plain(), 1232, 1, 0, b""), expected());
    check("version 255, odd data", &with_opt(plain(), 1232, 255, 0, b"\x00"), expected());

    let formerr = || reply(b"\x81\x01", [0, 0, 1], &[LISTED, IN_A, OPT]);
    check("two OPTs", &with_opt(with_opt(plain(), 1232, 0, 0, b""), 1232, 0, 0, b""), formerr());
    check("option header cut", &with_opt(plain(), 1232, 0, 0, b"\x00\x0a\x00"), formerr());
    check("option cut", &with_opt(plain(), 1232, 0, 0, b"\x00\x0a\x00\x08abc"), formerr());
    let mut named = plain();
    named[11] = 1;
    named.extend_from_slice(b"\x01x\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    check("OPT with an owner", &named, formerr());
    let mut answer = plain();
    answer[7] = 1;
    answer.extend_from_slice(OPT);
    check("OPT as an answer", &answer, formerr());

    let bare_formerr = || reply(b"\x81\x01", [0; 3], &[LISTED, IN_A]);
    let mut missing = plain();
    missing[11] = 1;
    check("OPT missing", &missing, bare_formerr());
    for cut in 1..OPT.len() {
        check("OPT cut", &[&missing[..], &OPT[..cut]].concat(), bare_formerr());
    }
    let mut long = missing.clone();
    long.extend_from_slice(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x05abcd");
    check("OPT longer than the packet", &long, bare_formerr());

    // Other records are walked over, whatever their names look like.
    let mut more = plain();
    more[7] = 1;
    more[11] = 1;
    more.extend_from_slice(b"\x03abc\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x02xx");
    more.extend_from_slice(OPT);
    check("another record before OPT", &more, answered(OPT));

    // With the reason (RFC 8914): not authoritative.
    let why = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x06\x00\x0f\x00\x02\x00\x14";
    let refused = reply(b"\x81\x05", [0, 0, 1], &[b"\x03foo\x00", IN_A, why]);
    check("outside, with OPT", &with_opt(ask(b"\x03foo\x00", IN_A), 512, 0, 0, b""), refused);
    fixture.server.stop();
}

/// What does not fit a datagram is left out with TC, and comes whole over TCP.
#[test]
fn truncation() {
    let fixture = fixture(None);
    let name: &[u8] = b"\x019\x019\x019\x019\x02bl\x07example\x00";
    let packet = ask(name, IN_TXT);
    let bare = reply(b"\x87\x00", [0; 3], &[name, IN_TXT]);
    assert_eq!(fixture.udp(&packet).map(Hex), bare.map(Hex));
    for size in [512, 1232, 4096, 65535] {
        let with_opt = with_opt(packet.clone(), size, 0, 0, b"");
        let expected = reply(b"\x87\x00", [0, 0, 1], &[name, IN_TXT, OPT]);
        assert_eq!(fixture.udp(&with_opt).map(Hex), expected.map(Hex), "size {size}");
    }
    let whole = Message::from_vec(&fixture.tcp(&packet).unwrap()).unwrap();
    assert!(!whole.metadata.truncation);
    assert_eq!(whole.answers.len(), 9);
    fixture.server.stop();
}

#[test]
fn version() {
    let name: &[u8] = b"\x07vErSiOn\x04bind\x00";
    let ch_txt = b"\x00\x10\x00\x03";
    let off = fixture(None);
    off.check("off", &ask(name, ch_txt), reply(b"\x81\x05", [0; 3], &[name, ch_txt]));
    off.server.stop();
    let on = fixture(Some("gatepost"));
    let txt = b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00\x00\x09\x08gatepost";
    on.check("on", &ask(name, ch_txt), reply(b"\x85\x00", [1, 0, 0], &[name, ch_txt, txt]));
    let ch_a = b"\x00\x01\x00\x03";
    on.check("on, A", &ask(name, ch_a), reply(b"\x81\x05", [0; 3], &[name, ch_a]));
    let other: &[u8] = b"\x08hostname\x04bind\x00";
    on.check("on, another name", &ask(other, ch_txt), reply(b"\x81\x05", [0; 3], &[other, ch_txt]));
    on.check("in IN", &ask(name, IN_TXT), reply(b"\x81\x05", [0; 3], &[name, IN_TXT]));
    on.server.stop();
}

#[test]
fn counts() {
    let fixture = fixture(None);
    assert!(fixture.udp(&ask(LISTED, IN_A)).is_some());
    assert!(fixture.tcp(&ask(LISTED, IN_TXT)).is_some());
    assert!(fixture.tcp(b"short").is_none());
    let stats = fixture.server.stats();
    // The marker is the second.
    assert_eq!((stats.udp.queries, stats.udp.hits), (2, 1));
    assert_eq!((stats.tcp.queries, stats.tcp.hits), (2, 1));
    fixture.server.stop();
}

/// Resolvers that minimise names ask for those between a zone and one that lies in it.
#[test]
fn names_above_a_nested_zone_exist() {
    let state = tempfile::tempdir().unwrap();
    let (outer, inner) = (lists(), spec("x.y.bl.example"));
    store::publish(state.path(), 1, &[(&outer, 7), (&inner, 7)]);
    let world = store::world(&store::settings(state.path(), &[&outer, &inner]));
    let rcode = |name: &str| {
        let mut out = vec![0; 1232];
        let packet = query(name, 1);
        match respond(&world, CLIENT, &packet, Transport::Udp, NOW, &mut out) {
            Outcome::Reply { .. } => out[3] & 15,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(rcode("y.bl.example"), 0, "above x.y.bl.example");
    assert_eq!(rcode("Y.BL.example"), 0);
    assert_eq!(rcode("z.bl.example"), 3);
    assert_eq!(rcode("x.bl.example"), 3);
    assert_eq!(rcode("z.y.bl.example"), 3);
    assert_eq!(rcode("x.y.bl.example"), 0);
    assert_eq!(rcode("example"), 5, "above all zones");
}
