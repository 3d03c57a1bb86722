//! Who is asked: gatepost over its four transports, NSD and Knot over two. All have the zones of `tests/scenarios`.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;

use gatepost::compile::ZoneSpec;
use gatepost::model::{RrData, RrSet, Rtype, Span, Template, Use, Value};
use gatepost::server::Server;

use super::message::with_cookie;
use super::{Peer, zone};
use crate::dns_support::{hosts, listed_name, member, plain, query, records, spec, store};
use crate::nameserver_support::{self, Nameserver};
use crate::stream_support::{
    self, PATIENCE, Pair, Tls, connect, framed, greet, is_end, read_framed, secured,
};

const ZONES: [&str; 3] = ["bl.example", "names.example", "wide.example"];
/// A zone that has no data.
const WAITING: &str = "waiting.example";

/// The lists that make what the master files say.
fn zones() -> Vec<ZoneSpec> {
    let mut addresses = spec("bl.example");
    member(&mut addresses, "list", Use::Block, 5, "$ is bad", |set| {
        hosts(set, &["1.2.3.4", "5.5.5.5"]);
        let longest = Template::literal(&[b'x'; 255]);
        let longest = set.value(&Value { text: Some(longest), ..Value::default() });
        set.host(0x0606_0606, longest);
        let other = set.value(&records(15, &[&[0, 10, 2, b'm', b'x', 0]]));
        set.host(0x0808_0808, other);
        let long: Vec<Vec<u8>> = (0..9).map(|n| [&[200, b'0' + n][..], &[b'x'; 199]].concat()).collect();
        let long = set.value(&records(16, &long.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        set.host(0x0909_0909, long);
        let brief = RrSet { rtype: Rtype::A, ttl: 77, data: RrData::Wire(vec![vec![127, 0, 0, 9]]) };
        let brief = set.value(&Value { records: vec![brief], ..Value::default() });
        set.host(0x0707_0707, brief);
        let value = plain(set);
        set.v4(Span { first: 0x0a02_0000, last: 0x0a02_00ff }, value);
        set.v6(Span::host(u128::from("2001:db8::1".parse::<Ipv6Addr>().expect("an address"))), value);
    });
    member(&mut addresses, "more", Use::Block, 6, "listed: $", |set| hosts(set, &["5.5.5.5"]));
    let mut names = spec("names.example");
    member(&mut names, "names", Use::Block, 7, "$ spams", |set| {
        listed_name(set, "spam.net", true);
        listed_name(set, "a.b.c.org", false);
    });
    // The other way round as is usual: the SOA lives shorter than negative answers.
    let mut wide = spec("wide.example");
    (wide.zone.soa.ttl, wide.zone.soa.minimum) = (30, 600);
    vec![addresses, names, wide]
}

/// gatepost, answering.
pub(crate) struct Gatepost {
    server: Server,
    pair: Pair,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Gatepost {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (zones, waiting) = (zones(), spec(WAITING));
        store::publish(folder.path(), 1, &zones.iter().map(|zone| (zone, 7)).collect::<Vec<_>>());
        let pair = Pair::new(folder.path(), "server");
        let all: Vec<&ZoneSpec> = zones.iter().chain([&waiting]).collect();
        let server = stream_support::start(&secured(store::settings(folder.path(), &all), &pair));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = pair.http().build().expect("a client");
        Self { server, pair, runtime, http, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    pub(crate) fn stop(self) {
        drop(self.http);
        self.server.stop();
    }

    /// Every way to ask, by its name; the first is UDP, the others are streams.
    pub(crate) fn ways(&self) -> [(&'static str, Way<'_>); 4] {
        [
            ("UDP", Way::Udp(self.address())),
            ("TCP", Way::Stream { server: self.address(), tls: None, closes: true }),
            (
                "TLS",
                Way::Stream { server: self.server.dot_addresses()[0], tls: Some(&self.pair), closes: true },
            ),
            ("HTTPS", Way::Https(self)),
        ]
    }
}

/// A way to ask a server.
pub(crate) enum Way<'s> {
    Udp(SocketAddr),
    /// `closes`: what gets no reply ends the connection.
    Stream {
        server: SocketAddr,
        tls: Option<&'s Pair>,
        closes: bool,
    },
    Https(&'s Gatepost),
}

impl Way<'_> {
    /// What comes back; the cookie that is given first is put into the octets.
    pub(crate) fn ask(&self, octets: &[u8], first: Option<&[u8]>) -> Option<Vec<u8>> {
        let Some(first) = first else { return self.once(octets) };
        let given = self.once(first).expect("a reply with a cookie");
        self.once(&with_cookie(octets, &given))
    }

    fn once(&self, octets: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Udp(server) => udp(*server, octets),
            Self::Stream { server, tls: None, closes } => stream(connect(*server), octets, *closes),
            Self::Stream { server, tls: Some(pair), closes } => {
                let tls: Tls = greet(connect(*server), &pair.trusting(&[b"dot"])).expect("a handshake");
                stream(tls, octets, *closes)
            }
            Self::Https(gatepost) => {
                let server = gatepost.server.doh_addresses()[0];
                let request = stream_support::post(&gatepost.http, server, octets);
                let said = gatepost.runtime.block_on(stream_support::said(request));
                assert!([200, 400].contains(&said.status), "{said:?}");
                (said.status == 200).then_some(said.body)
            }
        }
    }
}

/// A question with a reply that is sure, under another id than all others: what was sent before it had none, when its
/// reply comes first.
fn marker() -> Vec<u8> {
    let mut marker = query("bl.example", 6);
    marker[..2].copy_from_slice(b"\xff\xfe");
    marker
}

fn udp(server: SocketAddr, octets: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket.send_to(octets, server).expect("sent");
    socket.send_to(&marker(), server).expect("sent");
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).expect("a reply");
    (buffer[..2] != *b"\xff\xfe").then(|| buffer[..len].to_vec())
}

fn stream(mut stream: impl Read + Write, octets: &[u8], closes: bool) -> Option<Vec<u8>> {
    let mut sent = framed(octets);
    if !closes {
        sent.extend(framed(&marker()));
    }
    if let Err(error) = stream.write_all(&sent).and_then(|()| stream.flush()) {
        assert!(is_end(error.kind()), "{error}");
        return None;
    }
    let reply = read_framed(&mut stream)?;
    assert!(!closes || reply[..2] != *b"\xff\xfe");
    (reply[..2] != *b"\xff\xfe").then_some(reply)
}

/// A peer, answering.
pub(crate) struct Running(Nameserver);

impl Running {
    /// `None`, said loudly, where it is not installed.
    pub(crate) fn start(peer: Peer, test: &str) -> Option<Self> {
        let files = ZONES.map(|origin| (origin, zone(&format!("{origin}.zone"))));
        let files: Vec<(&str, &[u8])> = files.iter().map(|(origin, text)| (*origin, &text[..])).collect();
        Some(Self(match peer {
            Peer::Nsd => {
                let more = format!(
                    "server:\n version: NSD\n identity: NSD\n answer-cookie: yes\nzone:\n name: \"{WAITING}\"\n zonefile: none\n"
                );
                Nameserver::nsd(&nameserver_support::nsd(test)?, &files, &more)
            }
            Peer::Knot => Nameserver::knot(&nameserver_support::knot(test)?, &files, &[WAITING]),
        }))
    }

    /// As it says on its command line.
    pub(crate) fn version(peer: Peer) -> String {
        let (program, option) = match peer {
            Peer::Nsd => (nameserver_support::nsd("version"), "-v"),
            Peer::Knot => (nameserver_support::knot("version"), "-V"),
        };
        let ran = Command::new(program.expect("it runs")).arg(option).output().expect("it tells");
        let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        let version = said.split("version ").nth(1).and_then(|rest| rest.split_whitespace().next());
        version.unwrap_or_default().to_owned()
    }

    /// UDP, and TCP for streams.
    pub(crate) fn ways(&self) -> [Way<'static>; 2] {
        let server = self.0.address();
        [Way::Udp(server), Way::Stream { server, tls: None, closes: false }]
    }
}
