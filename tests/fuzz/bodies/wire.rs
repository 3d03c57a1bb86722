//! Any octets as a DNS message, answered from a zone that has a little of everything.

use std::io::Cursor;
use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};

use gatepost::compile::{Member, ZoneData, ZoneSpec, compile};
use gatepost::model::{ContentHash, Name, Ns, RrData, RrSet, Rtype, Soa, Span, Template, Use, Value};
use gatepost::set::{Overlap, Scope, SetBuilder};
use gatepost::snapshot::{self, Snapshot};
use gatepost::wire::{self, LowerName, Refusal, Reply, STREAM_MAX, UDP_MAX};
use gatepost::zone::Zone;

/// The zone's origin, in wire form.
pub(crate) const ORIGIN: &[u8] = b"\x02bl\x07example\x00";

/// Reads and answers a message; what comes out is a message that answers it.
pub(crate) fn any_bytes(packet: &[u8]) {
    let mut out = [0xaa; UDP_MAX + 8];
    let mut name = LowerName::ROOT;
    let query = match wire::parse(packet, &mut name) {
        Ok(query) => query,
        Err(Refusal::Silent(_)) => {
            assert!(packet.len() < 12 || packet[2] & 0x80 != 0 || packet[4..6] == [0, 1]);
            return;
        }
        Err(Refusal::Answer(denial)) => {
            let encoded = wire::refuse(&denial, &mut out);
            assert!(
                encoded.len <= packet.len() + 11 + 6,
                "a refusal is no longer than its question, an OPT record and an extended error"
            );
            return check(packet, &out[..encoded.len]);
        }
    };
    let limit = query.udp_limit();
    assert!((512..=UDP_MAX).contains(&limit));
    let name = query.name.as_wire();
    let zone = &*ZONE;
    let below = query.name.ancestry().find(|&(_, at)| name[at..] == *ORIGIN);
    let reply = match below {
        Some((_, origin)) => {
            let content = zone.verdict(&name[..origin]).content(query.qtype);
            Reply::Zone { content, authority: zone.authority(), origin }
        }
        None => Reply::Empty(wire::Rcode::REFUSED, Some(wire::Ede::NOT_AUTHORITATIVE)),
    };
    let encoded = wire::encode(&query, &reply, limit, &mut out);
    assert!(encoded.len <= limit);
    assert!(out[limit..].iter().all(|&octet| octet == 0xaa), "nothing is written behind the limit");
    check(packet, &out[..encoded.len]);
    assert_eq!(encoded.truncated, out[2] & 2 != 0);

    // On a stream the same, and nothing is left out.
    let mut stream = vec![0; STREAM_MAX];
    let whole = wire::encode(&query, &reply, STREAM_MAX, &mut stream);
    check(packet, &stream[..whole.len]);
    assert!(!whole.truncated);
    if !encoded.truncated {
        assert_eq!(stream[..whole.len], out[..encoded.len]);
    }
}

/// A whole message with the question's id, and the question octet by octet where there is one.
fn check(packet: &[u8], reply: &[u8]) {
    assert!(reply.len() >= 12);
    assert_eq!(reply[..2], packet[..2]);
    assert_eq!(reply[2] & 0x80, 0x80, "it is a response");
    let count = |at: usize| usize::from(u16::from_be_bytes([reply[at], reply[at + 1]]));
    let mut at = 12;
    assert!(count(4) <= 1);
    if count(4) == 1 {
        at = name_end(reply, at) + 4;
        assert_eq!(reply[12..at], packet[12..at]);
    }
    for _ in 0..count(6) + count(8) + count(10) {
        at = name_end(reply, at);
        let len = usize::from(u16::from_be_bytes([reply[at + 8], reply[at + 9]]));
        at += 10 + len;
        assert!(at <= reply.len());
    }
    assert_eq!(at, reply.len(), "as many records as the header says, and nothing behind them");
}

/// Where a name ends; pointers lead backwards.
fn name_end(packet: &[u8], mut at: usize) -> usize {
    loop {
        match packet[at] {
            0 => return at + 1,
            len if len >= 0xc0 => {
                assert!((usize::from(len & 0x3f) << 8 | usize::from(packet[at + 1])) < at);
                return at + 2;
            }
            len => at += 1 + usize::from(len),
        }
    }
}

/// IPv4, IPv6, names with a wildcard, long texts, records of any type.
static ZONE: LazyLock<Zone<Vec<u8>>> = LazyLock::new(|| {
    let name = |text: &str| text.parse::<Name>().expect("a name");
    let mut builder = SetBuilder::new(Overlap::Narrowest);
    let plain = builder.value(&Value::default());
    let long = Value { text: Some(Template::literal(&[b'x'; 300])), ..Value::default() };
    let long = builder.value(&long);
    let records = Value {
        records: vec![
            RrSet {
                rtype: Rtype(15),
                ttl: 7,
                data: RrData::Wire(vec![b"\x00\x0a\x02mx\x07example\x00".to_vec()]),
            },
            RrSet {
                rtype: Rtype::A,
                ttl: 9,
                data: RrData::Wire((0..90).map(|n| vec![127, 0, 1, n]).collect()),
            },
        ],
        ..Value::default()
    };
    let records = builder.value(&records);
    builder.host(0x0102_0304, plain);
    builder.host(0x0102_0305, long);
    builder.v4(Span { first: 0x0500_0000, last: 0x05ff_ffff }, plain);
    builder.v6(Span { first: 0x2001_0db8 << 96, last: 0x2001_0db8 << 96 | (u128::MAX >> 40) }, plain);
    builder.name(name("spam.test"), Scope::Exact, plain);
    builder.name(name("wild"), Scope::Below, long);
    builder.name(name("many"), Scope::Exact, records);
    let host = name("ns.bl.example");
    let (mname, rname) = (host.clone(), host.clone());
    let soa = Soa { ttl: 60, mname, rname, serial: None, refresh: 1, retry: 2, expire: 3, minimum: 60 };
    let spec = ZoneSpec {
        zone: ZoneData {
            origin: name("bl.example"),
            soa,
            ns: Ns { ttl: 60, hosts: vec![host] },
            ttl: 300,
            test_points: true,
            combined: false,
            base: None,
        },
        members: vec![Member {
            name: "made-up".into(),
            set: Arc::new(builder.finish()),
            hash: ContentHash::of(b"made up"),
            use_: Use::Block,
            code: Ipv4Addr::new(127, 0, 0, 9),
            text: Template::parse(b"$ is listed"),
            keep_values: true,
            foreign: false,
            never: None,
        }],
        excepts: Vec::new(),
        subzones: Vec::new(),
    };
    let mut file = Cursor::new(Vec::new());
    snapshot::write(&compile(&spec), &serde_json::Value::Null, &mut file).expect("into memory");
    Zone::new(Arc::new(Snapshot::open(file.into_inner()).expect("it was just written")), 7)
});
