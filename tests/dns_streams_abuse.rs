//! Clients that are slow, stuck, gone before they are served, or too many for the descriptors of the process: the others and
//! UDP do not notice, and listeners outlive them all.
#![cfg(feature = "full")]

mod cli_support;
mod dns_support;
mod stream_support;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cli_support::{Place, Running, own_lists};
use dns_support::{hosts, member, query, spec, store};
use gatepost::model::Use;
use gatepost::server::{Dropped, Server, Settings};
use rustls::ClientConfig;
use socket2::SockRef;
use stream_support::*;

/// Clients of each transport that do not do what they should.
const STUCK: u8 = 200;
/// What one address may have unless another number is configured: ten addresses bring [`STUCK`].
const PER_CLIENT: u8 = 20;

struct Fixture {
    _folder: tempfile::TempDir,
    server: Server,
    dot: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Fixture {
    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut zone = spec("bl.example");
        member(&mut zone, "list", Use::Block, 5, "$ is bad", |set| hosts(set, &["1.2.3.4"]));
        store::publish(folder.path(), 1, &[(&zone, 7)]);
        let pair = Pair::new(folder.path(), "server");
        let mut settings = secured(store::settings(folder.path(), &[&zone]), &pair);
        change(&mut settings);
        Self {
            server: start(&settings),
            dot: pair.trusting(&[b"dot"]),
            http1: pair.trusting(&[b"http/1.1"]),
            http2: pair.trusting(&[b"h2"]),
            _folder: folder,
        }
    }

    fn doors(&self) -> [SocketAddr; 3] {
        [self.server.addresses()[0], self.server.dot_addresses()[0], self.server.doh_addresses()[0]]
    }

    /// Asks over every transport, from an address that nobody else uses.
    fn is_served(&self) {
        let packet = query("4.3.2.1.bl.example", 1);
        let [tcp, dot, doh] = self.doors();
        let listed = |reply: Vec<u8>| assert_eq!(reply[reply.len() - 4..], [127, 0, 0, 5]);
        for _ in 0..5 {
            listed(ask_udp(tcp, &packet));
            listed(exchange(&mut connect(tcp), &packet).expect("a reply over TCP"));
            let mut stream = greet(connect(dot), &self.dot).expect("a handshake");
            listed(exchange(&mut stream, &packet).expect("a reply over TLS"));
            let mut stream = greet(connect(doh), &self.http1).expect("a handshake");
            let head = "POST /dns-query HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/dns-message";
            write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n", packet.len()).unwrap();
            stream.write_all(&packet).unwrap();
            let mut response = Vec::new();
            stream.read_to_end(&mut response).expect("a response");
            assert!(response.starts_with(b"HTTP/1.1 200 "), "{}", response.escape_ascii());
            listed(response);
        }
    }

    /// [`STUCK`] clients of each transport, each of them doing one of several wrong things. Those whom the server has
    /// closed already are not among them.
    fn stuck(&self) -> Vec<Box<dyn Read>> {
        let [tcp, dot, doh] = self.doors();
        let mut stuck = Vec::new();
        for at in 0..STUCK {
            let from = |net: u8| Ipv4Addr::new(127, 0, net, 1 + at / PER_CLIENT);
            stuck.extend(boxed(stuck_in_tcp(connect_from(from(1), tcp), at)));
            stuck.extend(self.stuck_in_dot(connect_from(from(2), dot), at).unwrap_or_default());
            stuck.extend(self.stuck_in_doh(connect_from(from(3), doh), at).unwrap_or_default());
        }
        stuck
    }

    fn stuck_in_dot(&self, mut stream: TcpStream, at: u8) -> io::Result<Option<Box<dyn Read>>> {
        match at % 4 {
            0 => {}
            1 => stream.write_all(HALF_A_HELLO)?,
            2 => return Ok(boxed(greet(stream, &self.dot))),
            _ => {
                let mut stream = greet(stream, &self.dot)?;
                stream.write_all(&[0, 40, 1])?;
                return Ok(boxed(Ok(stream)));
            }
        }
        Ok(boxed(Ok(stream)))
    }

    fn stuck_in_doh(&self, mut stream: TcpStream, at: u8) -> io::Result<Option<Box<dyn Read>>> {
        let http1 = |said: &[u8], stream| {
            let mut stream = greet(stream, &self.http1)?;
            stream.write_all(said)?;
            Ok(boxed(Ok(stream)))
        };
        match at % 8 {
            0 => {}
            1 => stream.write_all(HALF_A_HELLO)?,
            2 => return http1(b"", stream),
            3 => return http1(b"GET /dns-query?dns=EjQB HTTP/1.1\r\nhost: ", stream),
            4 => {
                let half =
                    b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\n\
                             content-length: 40\r\n\r\n\x12\x34";
                return http1(half, stream);
            }
            // HTTP/2: nothing, half of the preface, the preface and half of a frame of headers.
            kind => {
                let half =
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x20\x01\x05\0\0\0\x01\x82";
                let len = [0, 10, half.len()][usize::from(kind - 5)];
                let mut stream = greet(stream, &self.http2)?;
                stream.write_all(&half[..len])?;
                return Ok(boxed(Ok(stream)));
            }
        }
        Ok(boxed(Ok(stream)))
    }
}

/// The beginning of a TLS record with a handshake of 512 octets.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";

fn boxed(stream: io::Result<impl Read + 'static>) -> Option<Box<dyn Read>> {
    stream.ok().map(|stream| Box::new(stream) as Box<dyn Read>)
}

fn stuck_in_tcp(mut stream: TcpStream, at: u8) -> io::Result<TcpStream> {
    match at % 4 {
        0 => {}
        1 => stream.write_all(&[0])?,
        2 => stream.write_all(&[0, 40, 1, 2, 3])?,
        // Asks and asks and takes no reply, until nothing more can be sent. It costs a while, so a few do it.
        _ if at < 12 => {
            let many = framed(&query("4.3.2.1.bl.example", 16)).repeat(500);
            stream.set_nonblocking(true)?;
            let mut waits = 0;
            while waits < 20 {
                match stream.write(&many) {
                    Ok(_) => waits = 0,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        waits += 1;
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Err(error) => return Err(error),
                }
            }
            stream.set_nonblocking(false)?;
        }
        _ => stream.write_all(&framed(&query("4.3.2.1.bl.example", 16)).repeat(3))?,
    }
    Ok(stream)
}

/// As many as the server has places for by default, of each transport and of all of them; and they never let go.
#[test]
fn stuck_clients_harm_nobody() {
    let fixture = Fixture::with(|settings| {
        let hour = Duration::from_secs(3600);
        (settings.streams.idle, settings.streams.message, settings.streams.total) = (hour, hour, hour);
        assert_eq!(settings.streams.connections, usize::from(STUCK));
        assert_eq!(settings.streams.per_client, usize::from(PER_CLIENT));
    });
    fixture.is_served();
    for (door, net) in fixture.doors().into_iter().zip(1..) {
        // Half of a length, half of a handshake: nothing that has to be answered.
        let begins = |at: u8| {
            let mut stream = connect_from(Ipv4Addr::new(127, 0, net, 1 + at / PER_CLIENT), door);
            stream.write_all(if net == 1 { &[0] } else { HALF_A_HELLO }).unwrap();
            stream
        };
        let stuck: Vec<_> = (0..STUCK).map(begins).collect();
        fixture.is_served();
        drop(stuck);
    }
    let stuck = fixture.stuck();
    fixture.is_served();
    let stats = fixture.server.stats();
    for counts in [&stats.tcp, &stats.dot, &stats.doh] {
        assert!(dropped(counts, Dropped::Connections) > 0, "{counts:?}");
    }
    drop(stuck);
    fixture.is_served();
    fixture.server.stop();
}

/// The same clients under limits: each of them is let go, and its seat is free again.
#[test]
fn stuck_clients_are_let_go() {
    let fixture = Fixture::with(|settings| {
        let short = Duration::from_millis(300);
        (settings.streams.idle, settings.streams.message) = (short, short);
        settings.streams.connections = 3 * usize::from(STUCK);
    });
    for mut stream in fixture.stuck() {
        assert!(closes(&mut stream));
    }
    eventually("all seats are free", || {
        let probe = |net| {
            exchange(
                &mut connect_from(Ipv4Addr::new(127, 0, net, 1), fixture.doors()[0]),
                &query("bl.example", 6),
            )
        };
        (1..=3).all(|net| probe(net).is_some())
    });
    let stats = fixture.server.stats();
    // Those that said nothing are no loss; those in the midst of something are counted.
    assert!(dropped(&stats.tcp, Dropped::Connection) >= u64::from(STUCK / 4), "{:?}", stats.tcp);
    assert!(dropped(&stats.dot, Dropped::Handshake) >= u64::from(STUCK / 4), "{:?}", stats.dot);
    assert!(dropped(&stats.doh, Dropped::Handshake) >= u64::from(STUCK / 8), "{:?}", stats.doh);
    fixture.server.stop();
}

/// Resets while the connection waits to be accepted, or just after.
#[test]
fn connections_that_are_gone_before_they_are_served() {
    let fixture = Fixture::with(|_| {});
    for round in 0..200u8 {
        for door in fixture.doors() {
            let gone: Vec<_> = (0..5).map(|_| connect_from(Ipv4Addr::new(127, 0, 9, round), door)).collect();
            for stream in gone {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                drop(stream);
            }
        }
    }
    fixture.is_served();
    fixture.server.stop();
}

/// Whoever loses the place to somebody else has every question answered that came before that.
#[test]
fn who_loses_a_place_is_answered_first() {
    let fixture = Fixture::with(|settings| settings.streams.connections = 1);
    let packet = query("4.3.2.1.bl.example", 1);
    let door = fixture.doors()[0];
    let from = |client: u8| connect_from(Ipv4Addr::new(127, 0, 8, client), door);
    let mut has_it = from(0);
    for turn in 1..=200 {
        has_it.write_all(&framed(&packet)).unwrap();
        let mut comes = from(turn);
        comes.write_all(&framed(&packet)).unwrap();
        assert!(read_framed(&mut has_it).is_some(), "turn {turn}");
        assert!(read_framed(&mut comes).is_some(), "turn {turn}");
        has_it = comes;
    }
    fixture.server.stop();
}

/// The addresses that a service says it listens on: TCP, TLS, HTTPS.
fn doors(service: &Running) -> [SocketAddr; 3] {
    let talk = service.talks("DNS over HTTPS");
    ["UDP and TCP", "DNS over TLS", "DNS over HTTPS"].map(|what| {
        let line =
            talk.lines().find(|line| line.contains("listening on") && line.contains(what)).expect(what);
        let address = line.split("listening on ").nth(1).unwrap().split(',').next().unwrap();
        address.parse().unwrap()
    })
}

/// What `once` brings in the end. Those of a crowd that waits at the doors take the place of one who has only just come and
/// not asked yet, too.
fn in_time<T>(once: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(got) = once() {
            return got;
        }
        assert!(Instant::now() < end, "nothing in {PATIENCE:?}");
    }
}

/// A process that may have 60 descriptors, and more clients than that.
#[test]
fn a_lack_of_descriptors_passes() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let pair = Pair::new(&place.path("."), "server");
    let more = "[server]\ndot = [\"127.0.0.1:0\"]\ndoh = [\"127.0.0.1:0\"]\ncertificate = \"server.crt\"\n\
                key = \"server.key\"\ntcp-connections = 1000\ntcp-connections-per-client = 1000\ntcp-idle = \"1h\"\n";
    place.write("gatepost.toml", place.read("gatepost.toml").replace("[server]\n", more));
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let mut command = place.command(&[]);
    let program = command.get_program().to_owned();
    let folder = command.get_current_dir().unwrap().to_owned();
    command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 60 && exec \"$0\" serve -c gatepost.toml"])
        .arg(program)
        .current_dir(folder);
    command.env_remove("GATEPOST_CONFIG").env_remove("GATEPOST_STATE").env_remove("GATEPOST_LISTEN");
    let service = Running::new(command);
    let doors = doors(&service);
    let packet = query("7.2.0.192.bl.example.net", 1);
    let code = |reply: Vec<u8>| reply[3] & 15;
    assert_eq!(code(ask_udp(doors[0], &packet)), 0);

    service.talks("has room for");
    let many: Vec<_> = (0..120).map(|at| connect(doors[at % 3])).collect();
    // Whoever comes gets the place of one who asks nothing. UDP needs no descriptor for a question.
    let asked = || exchange(&mut connect(doors[0]), &packet);
    for _ in 0..20 {
        assert_eq!(code(in_time(asked)), 0);
        assert_eq!(code(ask_udp(doors[0], &packet)), 0);
    }
    drop(many);
    assert_eq!(code(in_time(asked)), 0);
    let greeted = |door, protocol: &[u8]| greet(connect(door), &pair.trusting(&[protocol])).ok();
    assert_eq!(code(in_time(|| exchange(&mut greeted(doors[1], b"dot")?, &packet))), 0);
    in_time(|| greeted(doors[2], b"h2"));
    service.stop().ended_with(0);
}
