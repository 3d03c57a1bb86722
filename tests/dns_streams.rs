//! TCP, TLS and HTTPS answer as UDP does, question by question, and say to malformed messages what each of them can say.
#![cfg(feature = "full")]

mod dns_support;
#[path = "common/loud.rs"]
mod loud;
mod stream_support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;

use dns_support::{hosts, listed_name, meaning, member, name, query, spec, store, with_opt};
use gatepost::compile::ZoneSpec;
use gatepost::model::Use;
use gatepost::server::{AccessLists, Dropped, Server, Settings};
use gatepost::wire::lifetime;
use gatepost::zone::{Access, Action};
use stream_support::*;

/// The names that are asked for lie in or around these zones.
fn zones() -> [ZoneSpec; 2] {
    let mut addresses = spec("bl.example");
    member(&mut addresses, "list", Use::Block, 5, "$ is bad", |set| {
        hosts(set, &["1.2.3.4", "1.2.3.5", "9.9.9.9", "200.1.1.1"]);
    });
    member(&mut addresses, "more", Use::Block, 6, "listed: $", |set| hosts(set, &["1.2.3.4", "9.9.9.9"]));
    let mut names = spec("names.example");
    member(&mut names, "names", Use::Block, 7, "$ spams", |set| {
        listed_name(set, "spam.test", true);
        listed_name(set, "a.b.c.test", false);
    });
    [addresses, names]
}

struct Fixture {
    _folder: tempfile::TempDir,
    server: Server,
    pair: Pair,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [addresses, names] = zones();
        store::publish(folder.path(), 1, &[(&addresses, 7), (&names, 7)]);
        let pair = Pair::new(folder.path(), "server");
        let mut settings = secured(store::settings(folder.path(), &[&addresses, &names]), &pair);
        settings.version = Some("a version".to_owned());
        settings.streams.per_client = 100;
        change(&mut settings);
        Self { server: start(&settings), pair, _folder: folder }
    }

    fn tcp(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    fn dot(&self) -> SocketAddr {
        self.server.dot_addresses()[0]
    }

    fn doh(&self) -> SocketAddr {
        self.server.doh_addresses()[0]
    }

    fn dot_stream(&self) -> Tls {
        greet(connect(self.dot()), &self.pair.trusting(&[b"dot"])).expect("a handshake")
    }

    /// HTTP/1.1 alone, and what both agree on: HTTP/2.
    fn http(&self) -> [reqwest::Client; 2] {
        [self.pair.http().http1_only().build().unwrap(), self.pair.http().build().unwrap()]
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    fn question(&mut self) -> Vec<u8> {
        let below = [
            "",
            "4.3.2.1",
            "5.3.2.1",
            "6.3.2.1",
            "9.9.9.9",
            "3.2.1",
            "1",
            "2.0.0.127",
            "1.0.0.127",
            "ns",
            "spam.test",
            "x.spam.test",
            "c.test",
            "b.c.test",
            "a.b.c.test",
            "test",
            "invalid",
            "004.3.2.1",
        ];
        let zones =
            ["bl.example", "bl.example", "names.example", "www.example.org", "example", "version.bind"];
        let (below, zone) = (self.one(&below), self.one(&zones));
        let mut owner = if below.is_empty() { zone.to_owned() } else { format!("{below}.{zone}") };
        owner = owner.chars().map(|c| if self.roll(2) == 0 { c.to_ascii_uppercase() } else { c }).collect();
        let mut packet = query(&owner, self.one(&[1, 1, 1, 2, 6, 16, 16, 28, 65, 255, 252, 251, 1000]));
        *packet.last_mut().unwrap() = self.one(&[1, 1, 1, 1, 3, 4, 255]) as u8;
        packet[0] = self.roll(256) as u8;
        packet[2] = self.one(&[0, 1, 1, 1, 0x28, 0x20]) as u8;
        packet[3] = self.one(&[0, 0x10, 0x20]) as u8;
        if self.roll(2) == 0 {
            let version = self.one(&[0, 0, 0, 1]) as u8;
            packet = with_opt(packet, 1232, version, self.one(&[0, 0x80]) as u8, &[]);
        }
        if self.roll(4) == 0 {
            packet.extend_from_slice(b"junk");
        }
        packet
    }
}

#[test]
fn every_transport_says_the_same() {
    let fixture = Fixture::new();
    let mut dice = Dice(1);
    let (mut tcp, mut dot) = (connect(fixture.tcp()), fixture.dot_stream());
    let (runtime, [http1, http2]) = (runtime(), fixture.http());
    let mut codes = BTreeMap::<u8, usize>::new();
    for _ in 0..600 {
        let packet = dice.question();
        let datagram = ask_udp(fixture.tcp(), &packet);
        let expected = meaning(&datagram);
        *codes.entry(datagram[3] & 15).or_default() += 1;
        let shown = packet.escape_ascii();
        for (over, reply) in [("TCP", exchange(&mut tcp, &packet)), ("TLS", exchange(&mut dot, &packet))] {
            let reply = reply.unwrap_or_else(|| panic!("no reply over {over} to {shown}"));
            assert_eq!(meaning(&reply), expected, "{over}: {shown}");
            assert_eq!(reply[..packet.len().min(12)][..2], packet[..2]);
        }
        let doh = fixture.doh();
        for (what, request) in [
            ("POST, HTTP/1.1", post(&http1, doh, &packet)),
            ("GET, HTTP/1.1", get(&http1, doh, &packet)),
            ("POST, HTTP/2", post(&http2, doh, &packet)),
            ("GET, HTTP/2", get(&http2, doh, &packet)),
        ] {
            let said = runtime.block_on(said(request));
            assert_eq!(
                (said.status, said.media.as_deref()),
                (200, Some("application/dns-message")),
                "{what}: {shown}"
            );
            assert_eq!(meaning(&said.body), expected, "{what}: {shown}");
            // How long it may be remembered, as another reader of messages finds it.
            let (message, _) = meaning(&said.body);
            let records = if message.answers.is_empty() { &message.authorities } else { &message.answers };
            let least = records.iter().map(|record| record.ttl).min();
            assert_eq!(lifetime(&said.body), least, "{shown}");
            let cache = least.map_or_else(|| "no-store".to_owned(), |least| format!("max-age={least}"));
            assert_eq!(said.cache, Some(cache), "{what}: {shown}");
        }
    }
    // The dice have shown everything: answers, FORMERR or BADVERS (0 in the header), NXDOMAIN, NOTIMP, REFUSED.
    assert!([0, 3, 4, 5].iter().all(|code| codes.get(code).is_some_and(|&count| count > 10)), "{codes:?}");
    let stats = fixture.server.stats();
    assert_eq!(
        (stats.udp.queries, stats.tcp.queries, stats.dot.queries, stats.doh.queries),
        (600, 600, 600, 2400)
    );
    assert_eq!(
        (stats.udp.hits, stats.udp.hits, 4 * stats.udp.hits),
        (stats.tcp.hits, stats.dot.hits, stats.doh.hits)
    );
    fixture.server.stop();
}

/// What a message gets: a response code, or nothing.
fn malformed() -> Vec<(&'static str, Vec<u8>, Option<u8>)> {
    let good = query("4.3.2.1.bl.example", 1);
    let with = |at: usize, octet: u8| {
        let mut packet = good.clone();
        packet[at] = octet;
        packet
    };
    let question = |name: &[u8]| [&good[..12], name, &[0, 1, 0, 1]].concat();
    let opt = || with_opt(good.clone(), 1232, 0, 0, &[]);
    vec![
        ("nothing at all", vec![], None),
        ("shorter than a header", good[..11].to_vec(), None),
        ("a response", with(2, 0x81), None),
        ("a compressed name", question(b"\x01x\xc0\x0c"), None),
        ("a cut name", good[..15].to_vec(), None),
        ("a question without a class", good[..good.len() - 2].to_vec(), None),
        ("a label of 64", question(&[&[64; 65][..], &[0]].concat()), None),
        ("a name above 255", question(&[[63; 64].repeat(4), vec![0]].concat()), None),
        ("no question", with(5, 0), Some(1)),
        ("two questions", with(5, 2), Some(1)),
        ("two OPTs", with_opt(opt(), 1232, 0, 0, &[]), Some(1)),
        ("a cut option", with_opt(good.clone(), 1232, 0, 0, &[0, 10, 0, 8, 1]), Some(1)),
        ("records that are not there", with(11, 3), Some(1)),
        ("NOTIFY", with(2, 0x20), Some(4)),
        ("UPDATE", with(2, 0x28), Some(4)),
        ("EDNS version 1", with_opt(good.clone(), 1232, 1, 0, &[]), Some(0)),
        ("AXFR", query("bl.example", 252), Some(5)),
        ("IXFR", query("bl.example", 251), Some(5)),
        ("class HS", with(good.len() - 1, 4), Some(5)),
        ("octets behind the question", [&good[..], b"\0\xff junk"].concat(), Some(0)),
    ]
}

#[test]
fn what_deserves_silence_ends_a_stream_and_is_a_bad_request() {
    let fixture = Fixture::new();
    let (runtime, clients) = (runtime(), fixture.http());
    let good = query("4.3.2.1.bl.example", 1);
    for (what, packet, code) in malformed() {
        let (mut tcp, mut dot) = (connect(fixture.tcp()), fixture.dot_stream());
        let replies = [exchange(&mut tcp, &packet), exchange(&mut dot, &packet)];
        for reply in replies {
            assert_eq!(reply.map(|reply| reply[3] & 15), code, "{what}");
        }
        if code.is_some() {
            // Whatever it was, the stream goes on.
            assert_eq!(exchange(&mut tcp, &good).map(|reply| reply[3] & 15), Some(0), "{what}");
            assert_eq!(exchange(&mut dot, &good).map(|reply| reply[3] & 15), Some(0), "{what}");
        }
        for client in &clients {
            for request in [post(client, fixture.doh(), &packet), get(client, fixture.doh(), &packet)] {
                let said = runtime.block_on(said(request));
                let given = (said.status == 200).then(|| said.body[3] & 15);
                assert_eq!(given, code, "{what}: {said:?}");
                assert!(code.is_some() || said.status == 400, "{what}: {said:?}");
            }
        }
    }
    let stats = fixture.server.stats();
    let silent = |counts: &gatepost::server::Counts| -> u64 {
        counts
            .dropped
            .iter()
            .filter(|(why, _)| matches!(why, Dropped::Silent(_)))
            .map(|(_, count)| count)
            .sum()
    };
    assert_eq!((silent(&stats.tcp), silent(&stats.dot), silent(&stats.doh)), (8, 8, 32));
    fixture.server.stop();
}

/// Replies to what came before a bad message are not lost with it.
#[test]
fn pipelined_over_tcp_and_tls() {
    let fixture = Fixture::new();
    let mut all = Vec::new();
    for id in 0..500u16 {
        let mut packet = query(if id % 2 == 0 { "4.3.2.1.bl.example" } else { "5.5.5.5.bl.example" }, 16);
        packet[..2].copy_from_slice(&id.to_be_bytes());
        all.extend(framed(&packet));
    }
    all.extend(framed(b"short"));
    fn check(mut stream: impl std::io::Read + Write, all: &[u8]) {
        stream.write_all(all).unwrap();
        for id in 0..500u16 {
            let reply = read_framed(&mut stream).expect("a reply");
            assert_eq!(reply[..2], id.to_be_bytes());
            assert_eq!(reply[3] & 15, if id % 2 == 0 { 0 } else { 3 });
        }
        assert!(closes(&mut stream));
    }
    check(connect(fixture.tcp()), &all);
    check(fixture.dot_stream(), &all);
    // Octet by octet is slow, not wrong.
    let (mut tcp, mut dot) = (connect(fixture.tcp()), fixture.dot_stream());
    for octet in framed(&query("4.3.2.1.bl.example", 1)) {
        tcp.write_all(&[octet]).unwrap();
        dot.write_all(&[octet]).unwrap();
    }
    assert_eq!(read_framed(&mut tcp).unwrap()[3] & 15, 0);
    assert_eq!(read_framed(&mut dot).unwrap()[3] & 15, 0);
    fixture.server.stop();
}

#[test]
fn many_requests_at_once_over_one_connection() {
    let fixture = Fixture::new();
    let [_, http2] = fixture.http();
    let runtime = runtime();
    runtime.block_on(async {
        let one = |id: u16| {
            let mut packet = query("4.3.2.1.bl.example", 1);
            packet[..2].copy_from_slice(&id.to_be_bytes());
            let request = post(&http2, fixture.doh(), &packet);
            tokio::spawn(async move { said(request).await })
        };
        let first = one(0).await.unwrap();
        // An id of 0 helps caches, so it has to come back as it is (RFC 8484 section 4.1).
        assert_eq!(first.body[..2], [0, 0]);
        let all: Vec<_> = (1..300).map(one).collect();
        for (id, said) in (1u16..300).zip(all) {
            let said = said.await.unwrap();
            assert_eq!((said.status, &said.body[..2]), (200, &id.to_be_bytes()[..]));
        }
    });
    fixture.server.stop();
}

#[test]
fn http_as_rfc_8484_has_it() {
    let fixture = Fixture::new();
    let (runtime, doh) = (runtime(), fixture.doh());
    let _inside = runtime.enter();
    let packet = query("4.3.2.1.bl.example", 1);
    for client in fixture.http() {
        let status = |request: reqwest::RequestBuilder| runtime.block_on(said(request)).status;
        let with_type =
            |media: &str| client.post(url(doh)).header("content-type", media).body(packet.clone());
        assert_eq!(status(with_type("application/dns-message; x=y")), 200);
        assert_eq!(status(with_type("Application/DNS-Message")), 200);
        assert_eq!(status(with_type("application/dns-json")), 415);
        assert_eq!(status(with_type("application/dns-message2")), 415);
        assert_eq!(status(client.post(url(doh)).body(packet.clone())), 415);
        // The longest message is one; a longer body is none, whether its length is told or not.
        let junk = |len: usize| [&packet[..], &vec![0xaa; len - packet.len()]].concat();
        assert_eq!(status(post(&client, doh, &junk(65_535))), 200);
        assert_eq!(status(post(&client, doh, &junk(65_536))), 413);
        // Methods and paths.
        for path in ["/", "/dns-query/", "/dns-query/x", "/DNS-QUERY"] {
            assert_eq!(status(client.get(format!("https://{doh}{path}"))), 404, "{path}");
        }
        for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let response = runtime.block_on(client.request(method, url(doh)).send()).unwrap();
            assert_eq!(response.status(), 405);
            assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
        }
        // What a query string may hold.
        let good = "EjQBAAABAAAAAAAAATQBMwEyATECYmwHZXhhbXBsZQAAAQAB";
        let asks = |query: &str| status(client.get(format!("{}{query}", url(doh))));
        assert_eq!(asks(&format!("?dns={good}")), 200);
        assert_eq!(asks(&format!("?x=1&dns={good}&y=2")), 200);
        for bad in [
            String::new(),
            "?".to_owned(),
            "?dns".to_owned(),
            "?dns=".to_owned(),
            format!("?DNS={good}"),
            format!("?dns={good}="),
            format!("?dns={good}&dns={good}"),
            format!("?dns={}", &good[..good.len() - 1]),
            format!("?dns={}+/", &good[..good.len() - 2]),
            "?dns=%20".to_owned(),
        ] {
            assert_eq!(asks(&bad), 400, "{bad}");
        }
        let said = runtime.block_on(said(client.head(format!("{}?dns={good}", url(doh)))));
        assert_eq!((said.status, said.cache.as_deref(), said.body.len()), (200, Some("max-age=300"), 0));
        // A head that never ends is not waited for.
        let huge = client.get(url(doh)).header("x-huge", "x".repeat(64 << 10));
        assert!(runtime.block_on(huge.send()).map_or(true, |response| response.status() == 431));
    }
    assert!(dropped(&fixture.server.stats().doh, Dropped::Request) > 10);
    fixture.server.stop();
}

#[test]
fn both_sides_agree_on_a_protocol_or_part() {
    let fixture = Fixture::new();
    let packet = query("4.3.2.1.bl.example", 1);
    let agrees = |server, offered: &[&[u8]]| greet(connect(server), &fixture.pair.trusting(offered));
    // RFC 7858 does without a name; who offers one means it.
    assert_eq!(exchange(&mut agrees(fixture.dot(), &[]).unwrap(), &packet).unwrap()[3] & 15, 0);
    assert_eq!(agrees(fixture.dot(), &[b"dot"]).unwrap().conn.alpn_protocol(), Some(&b"dot"[..]));
    assert!(agrees(fixture.dot(), &[b"h2"]).is_err());
    assert!(agrees(fixture.doh(), &[b"dot"]).is_err());
    assert_eq!(agrees(fixture.doh(), &[b"http/1.1", b"h2"]).unwrap().conn.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(agrees(fixture.doh(), &[b"http/1.1"]).unwrap().conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    // Whoever says nothing speaks HTTP/1.1.
    let mut plain = agrees(fixture.doh(), &[]).unwrap();
    plain.write_all(b"GET /dns-query HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    let _ = std::io::Read::read_to_string(&mut plain, &mut said);
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    // No TLS at all.
    let mut plain = connect(fixture.dot());
    plain.write_all(&framed(&packet)).unwrap();
    assert!(closes(&mut plain));
    // A connection is counted when it has ended, which the client may see first.
    eventually("each handshake that came to nothing is counted", || {
        let stats = fixture.server.stats();
        let failed = [&stats.dot, &stats.doh].map(|counts| dropped(counts, Dropped::Handshake));
        assert!(failed[0] <= 2 && failed[1] <= 1, "{failed:?}");
        failed == [2, 1]
    });
    fixture.server.stop();
}

/// 127.0.0.2 is refused, 127.0.0.3 gets no reply; in one of the zones 127.0.0.4 gets none and 127.0.0.5 is refused.
#[test]
fn access_lists_hold_everywhere() {
    let access = |clients: &[(&str, Action)]| {
        Arc::new(Access::new(
            clients.iter().map(|(client, action)| (client.parse().unwrap(), action.clone())),
        ))
    };
    let lists = AccessLists {
        server: access(&[("127.0.0.2", Action::Refuse), ("127.0.0.3", Action::Drop)]),
        zones: BTreeMap::from([(
            name("bl.example"),
            access(&[("127.0.0.4", Action::Drop), ("127.0.0.5", Action::Refuse)]),
        )]),
        limit: None,
    };
    let fixture = Fixture::with(|settings| settings.access = lists);
    let runtime = runtime();
    let _inside = runtime.enter();
    let (ours, other) = (query("4.3.2.1.bl.example", 1), query("x.spam.test.names.example", 1));
    for (last, to_ours, to_other) in [
        (1, Some(0), Some(0)),
        (2, Some(5), Some(5)),
        (3, None, None),
        (4, None, Some(0)),
        (5, Some(5), Some(0)),
    ] {
        let client = Ipv4Addr::new(127, 0, 0, last);
        for (packet, code) in [(&ours, to_ours), (&other, to_other)] {
            let tcp = exchange(&mut connect_from(client, fixture.tcp()), packet);
            assert_eq!(tcp.map(|reply| reply[3] & 15), code, "{client} over TCP");
            let stream = greet(connect_from(client, fixture.dot()), &fixture.pair.trusting(&[b"dot"]));
            // Whoever gets no reply anywhere does not get as far as a handshake.
            assert_eq!(stream.is_err(), last == 3, "{client}");
            let dot = stream.ok().and_then(|mut stream| exchange(&mut stream, packet));
            assert_eq!(dot.map(|reply| reply[3] & 15), code, "{client} over TLS");
            for builder in [fixture.pair.http().http1_only(), fixture.pair.http()] {
                let http = builder.local_address(std::net::IpAddr::from(client)).build().unwrap();
                let response = runtime.block_on(post(&http, fixture.doh(), packet).send());
                let Ok(response) = response else {
                    assert_eq!(last, 3, "{client} over HTTPS");
                    continue;
                };
                let status = response.status().as_u16();
                assert_eq!(status, if code.is_some() { 200 } else { 403 }, "{client} over HTTPS");
                if let Some(code) = code {
                    let cache = response.headers()["cache-control"].to_str().unwrap().to_owned();
                    let body = runtime.block_on(response.bytes()).unwrap();
                    assert_eq!(body[3] & 15, code, "{client} over HTTPS");
                    // What one client is told is not for others.
                    assert_eq!(cache, if code == 0 { "private, max-age=300" } else { "no-store" });
                }
            }
        }
    }
    let stats = fixture.server.stats();
    assert_eq!(dropped(&stats.tcp, Dropped::Denied), 3);
    assert_eq!(dropped(&stats.dot, Dropped::Denied), 3);
    assert_eq!(dropped(&stats.doh, Dropped::Denied), 6);
    fixture.server.stop();
}

/// Debian's dig, which has code of its own for all of this.
#[test]
fn dig_finds_the_listing_over_every_transport() {
    let version = Command::new("dig").arg("-h").output();
    let help = version.map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned()).unwrap_or_default();
    if !help.contains("https") {
        let why = "no dig that speaks HTTPS is installed (Debian: bind9-dnsutils 9.18)";
        return loud::skipped("dig_finds_the_listing_over_every_transport", why);
    }
    let fixture = Fixture::new();
    for (server, how) in [
        (fixture.tcp(), &["+notcp"][..]),
        (fixture.tcp(), &["+tcp"]),
        (fixture.dot(), &["+tls"]),
        (fixture.doh(), &["+https=/dns-query"]),
        (fixture.doh(), &["+https-get=/dns-query"]),
    ] {
        let mut dig = Command::new("dig");
        dig.args(["-p", &server.port().to_string(), "@127.0.0.1", "+norec", "+tries=1", "+time=20"])
            .args(how);
        let ran = dig.args(["4.3.2.1.bl.example", "A"]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let mut wrong = String::new();
        for expected in ["status: NOERROR", "\t127.0.0.5", "\t127.0.0.6", "ANSWER: 2", "udp: 1232"] {
            if !said.contains(expected) {
                let _ = writeln!(wrong, "no `{expected}` with {how:?}");
            }
        }
        assert!(wrong.is_empty(), "{wrong}{said}");
    }
    let stats = fixture.server.stats();
    assert_eq!((stats.udp.queries, stats.tcp.queries, stats.dot.queries, stats.doh.queries), (1, 1, 1, 2));
    fixture.server.stop();
}
