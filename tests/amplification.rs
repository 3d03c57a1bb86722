//! How much more comes back over UDP than was sent, answer by answer, for a client without a cookie: what
//! `docs/protocol.md` promises, measured.
#![cfg(feature = "full")]

mod common;
mod dns_support;

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::say;
use dns_support::{hosts, member, query, records, spec, store, with_opt};
use gatepost::compile::ZoneSpec;
use gatepost::model::{Template, Use, Value};
use gatepost::server::{AccessLists, Limit, Limiter, Server, Settings};

const LISTED: &str = "4.3.2.1.bl.example";
const UNLISTED: &str = "5.3.2.1.bl.example";
const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const AXFR: u16 = 252;
const ANY: u16 = 255;

/// 1.2.3.4 with a usual text, 2.2.2.2 with the longest; several texts fill a datagram without EDNS at 3.3.3.3, one with it at
/// 4.4.4.4, and are too much at 9.9.9.9.
fn zone() -> ZoneSpec {
    let mut spec = spec("bl.example");
    let text = "Listed, see https://lists.example/why?ip=$ for the reasons";
    member(&mut spec, "list", Use::Block, 5, text, |set| {
        hosts(set, &["1.2.3.4"]);
        let longest = Value { text: Some(Template::literal(&[b'x'; 255])), ..Value::default() };
        let longest = set.value(&longest);
        set.host(0x0202_0202, longest);
        for (address, texts, len) in [(0x0303_0303, 2, 225u8), (0x0404_0404, 5, 224), (0x0909_0909, 9, 200)] {
            let texts: Vec<Vec<u8>> = (0..texts)
                .map(|n| [&[len, b'0' + n][..], &vec![b'x'; usize::from(len) - 1]].concat())
                .collect();
            let texts = set.value(&records(TXT, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>()));
            set.host(address, texts);
        }
    });
    spec
}

/// A kind of answer: its name in the page, what is asked of which server, and the low four bits of the response code.
struct Kind {
    name: &'static str,
    asked: Vec<Vec<u8>>,
    /// Of the server that has answered this client often enough.
    limited: bool,
    rcode: u8,
}

impl Kind {
    /// Asked without EDNS and with it.
    fn both(name: &'static str, packet: Vec<u8>, rcode: u8) -> Self {
        let asked = vec![packet.clone(), with_opt(packet, 4096, 0, 0, &[])];
        Self { name, asked, limited: false, rcode }
    }
}

fn kinds() -> Vec<Kind> {
    let kind = |name, owner, qtype, rcode| Kind::both(name, query(owner, qtype), rcode);
    let changed = |name, at: usize, octet, rcode| {
        let mut packet = query(LISTED, A);
        packet[at] = octet;
        Kind::both(name, packet, rcode)
    };
    let mut version = query("version.bind", TXT);
    *version.last_mut().unwrap() = 3;
    let badvers = with_opt(query(LISTED, A), 4096, 1, 0, &[]);
    vec![
        kind("listed, A", LISTED, A, 0),
        kind("listed, ANY", LISTED, ANY, 0),
        kind("listed, TXT of 64 octets", LISTED, TXT, 0),
        kind("listed, TXT of 255 octets", "2.2.2.2.bl.example", TXT, 0),
        kind("listed, several TXT of 512 octets in all", "3.3.3.3.bl.example", TXT, 0),
        kind("listed, several TXT of 1232 octets in all", "4.4.4.4.bl.example", TXT, 0),
        kind("listed, TXT that does not fit", "9.9.9.9.bl.example", TXT, 0),
        kind("listed, another type", LISTED, AAAA, 0),
        kind("not listed", UNLISTED, A, 3),
        kind("an empty name above a listing", "3.2.1.bl.example", A, 0),
        kind("apex, A", "bl.example", A, 0),
        kind("apex, ANY", "bl.example", ANY, 0),
        kind("apex, SOA", "bl.example", SOA, 0),
        kind("apex, NS", "bl.example", NS, 0),
        kind("outside the zones", "4.3.2.1.elsewhere.example", A, 5),
        kind("the root", "", NS, 5),
        kind("a transfer", "bl.example", AXFR, 5),
        kind("no data yet", "4.3.2.1.waiting.example", A, 2),
        changed("several questions", 5, 2, 1),
        changed("records that are not there", 7, 1, 1),
        changed("another opcode", 2, 0x21, 4),
        Kind { name: "another version of EDNS", asked: vec![badvers], limited: false, rcode: 0 },
        Kind::both("version.bind, of 255 octets", version, 0),
        Kind { limited: true, ..kind("above the rate limit", LISTED, A, 0) },
    ]
}

fn ask(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.send_to(packet, server).unwrap();
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).unwrap();
    buffer[..len].to_vec()
}

/// Kind and bound of each row of the page.
fn promised() -> Vec<(String, f64)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md")).unwrap();
    let (_, rest) = page.split_once("<!-- amplification: held against tests/amplification.rs -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- end of amplification -->").unwrap();
    let rows = table.lines().skip(2).map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].to_owned(), cells[2].parse().unwrap_or_else(|_| panic!("no number: {row}")))
    });
    rows.collect()
}

#[test]
fn nothing_is_amplified_beyond_what_is_promised() {
    let state = tempfile::tempdir().unwrap();
    let (zone, waiting) = (zone(), spec("waiting.example"));
    store::publish(state.path(), 1, &[(&zone, 7)]);
    let settings =
        Settings { version: Some("x".repeat(255)), ..store::settings(state.path(), &[&zone, &waiting]) };
    let server = Server::start(&settings, Box::new(Default::default)).unwrap();
    let limit = Limiter::new(&Limit { rate: 1, slip: 1, loopback: true, exempt: Vec::new() });
    let access = AccessLists { limit: limit.map(Arc::new), ..settings.access.clone() };
    let limited = Server::start(&Settings { access, ..settings }, Box::new(Default::default)).unwrap();
    // Until the first reply is cut.
    while ask(limited.addresses()[0], &query(LISTED, A))[2] & 2 == 0 {}
    let promised = promised();
    let names: Vec<&str> = promised.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, kinds().iter().map(|kind| kind.name).collect::<Vec<_>>(), "docs/protocol.md");
    let mut table = "octets in  out, with OPT: in  out  most  promised\n".to_owned();
    let mut faults = Vec::new();
    for (kind, (_, bound)) in kinds().iter().zip(promised) {
        let Kind { name, asked, rcode, .. } = kind;
        let server = if kind.limited { &limited } else { &server };
        let replies: Vec<_> = asked.iter().map(|asked| ask(server.addresses()[0], asked)).collect();
        let ratios = replies.iter().zip(asked).map(|(reply, asked)| reply.len() as f64 / asked.len() as f64);
        let most = ratios.fold(0.0, f64::max);
        for (asked, reply) in asked.iter().zip(&replies) {
            let _ = write!(table, "{:>6} {:>5}    ", asked.len(), reply.len());
        }
        let _ = writeln!(table, "{most:.2}  {bound:.1}  {name}");
        if most > bound {
            faults.push(format!("{name}: {most:.2} is more than {bound}"));
        }
        // A promise that says nothing is none.
        if bound > most * 1.25 {
            faults.push(format!("{name}: {bound} could be less, it is {most:.2}"));
        }
        for (reply, asked) in replies.iter().zip(asked) {
            if reply[3] & 15 != *rcode {
                faults.push(format!("{name}: response code {}", reply[3] & 15));
            }
            let [answers, authorities, additionals] = [7, 9, 11].map(|at| reply[at]);
            if answers > 0 && (authorities > 0 || additionals > asked[11]) {
                faults.push(format!("{name}: more than the answer"));
            }
            // The extended error, where there is a place for it.
            let more = if asked[11] > 0 { 6 } else { 0 };
            if ![0, 3].contains(rcode) && reply.len() > asked.len() + more {
                faults.push(format!("{name}: {} octets for {}", reply.len(), asked.len()));
            }
            // Nothing but the question.
            if reply[2] & 2 != 0 && reply.len() > asked.len() {
                faults.push(format!("{name}: truncated, and longer than what was asked"));
            }
        }
    }
    limited.stop();
    server.stop();
    say(&table);
    assert!(faults.is_empty(), "{faults:#?}");
}
