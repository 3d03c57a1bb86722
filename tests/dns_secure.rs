//! DNS over TLS and HTTPS beside TCP and UDP: one set of caps, certificates that change. What is answered: dns_streams.rs.
#![cfg(feature = "full")]

mod cli_support;
mod dns_support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cli_support::{Place, own_lists, until};
use dns_support::{hosts, member, query, spec, store};
use gatepost::model::Use;
use gatepost::server::{Dropped, Identity, IdentityError, Limits, Secure, Server, Settings, StartError};
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};
use tokio::runtime::Runtime;

/// Long enough for any machine; nothing waits for it unless the test fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// What certificates of the tests are for.
const HOST: &str = "dns.example";
const PATH: &str = "/dns-query";
const DNS_MESSAGE: &str = "application/dns-message";
const LISTED: &str = "4.3.2.1.bl.example";
const CLIENT: [u8; 4] = [127, 0, 0, 1];

/// A certificate and its key in files.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    der: CertificateDer<'static>,
}

impl Pair {
    fn new(folder: &Path, label: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        let [certificate, key] = ["pem", "key"].map(|end| folder.join(format!("{label}.{end}")));
        fs::write(&certificate, made.cert.pem()).expect("written");
        fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        Self { certificate, key, der: made.cert.der().clone() }
    }

    fn identity(&self) -> Identity {
        Identity::read(&self.certificate, &self.key).expect("a sound pair")
    }

    /// A client that trusts this certificate alone and speaks these protocols.
    fn trusted(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = versions.expect("versions").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

struct Fixture {
    state: tempfile::TempDir,
    pair: Pair,
    server: Server,
}

/// `bl.example` and `own.example`, both with 1.2.3.4, over everything.
fn fixture(change: impl FnOnce(&mut Settings)) -> Fixture {
    let state = tempfile::tempdir().unwrap();
    let zones = ["bl.example", "own.example"].map(|origin| {
        let mut zone = spec(origin);
        member(&mut zone, "list", Use::Block, 5, "$ is bad", |set| hosts(set, &["1.2.3.4"]));
        zone
    });
    store::publish(state.path(), 1, &[(&zones[0], 7), (&zones[1], 7)]);
    let pair = Pair::new(state.path(), "first");
    let mut settings = store::settings(state.path(), &[&zones[0], &zones[1]]);
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    settings.secure = Some(Secure {
        dot: vec![free],
        doh: vec![free],
        path: PATH.parse().unwrap(),
        identity: pair.identity(),
    });
    change(&mut settings);
    let server = Server::start(&settings, Box::new(Default::default)).expect("starts");
    Fixture { state, pair, server }
}

/// Limits under which a connection that is closed within a test was closed by a cap.
fn patient(settings: &mut Settings) {
    let hour = Duration::from_secs(3600);
    settings.streams = Limits { idle: hour, message: hour, total: hour, ..settings.streams };
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A connection of `client`, which is an address of this machine.
fn connect(client: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
    socket.connect(&server.into()).expect("connects");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// The same after the handshake.
fn connect_tls(
    client: [u8; 4],
    server: SocketAddr,
    config: &Arc<ClientConfig>,
) -> Result<Tls, std::io::Error> {
    let host = ServerName::try_from(HOST).unwrap();
    let mut connection = ClientConnection::new(Arc::clone(config), host).unwrap();
    let mut stream = connect(client, server);
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes(), packet].concat()
}

fn read_framed(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// The reply, or why there is none.
fn exchange(stream: &mut (impl Read + Write), packet: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(&framed(packet))?;
    stream.flush()?;
    read_framed(stream)
}

/// Whether the server has closed, or closes.
fn closes(stream: &mut impl Read) -> bool {
    let mut octet = [0];
    match stream.read(&mut octet) {
        Ok(len) => len == 0,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof),
    }
}

/// Waits until `is` holds; fails when it never does.
fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "never happened: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn rcode(reply: &[u8]) -> u8 {
    reply[3] & 15
}

impl Fixture {
    fn udp(&self, packet: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind((IpAddr::from(CLIENT), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(packet, self.server.addresses()[0]).unwrap();
        let mut buffer = [0; 2000];
        let len = socket.recv(&mut buffer).expect("a reply over UDP");
        buffer[..len].to_vec()
    }

    fn tcp(&self, client: [u8; 4]) -> TcpStream {
        connect(client, self.server.addresses()[0])
    }

    fn dot(&self, client: [u8; 4]) -> std::io::Result<Tls> {
        connect_tls(client, self.server.dot_addresses()[0], &self.pair.trusted(&["dot"]))
    }

    fn doh(&self, client: [u8; 4], protocol: &str) -> Https {
        Https::new(client, self.server.doh_addresses()[0], &self.pair, protocol)
    }

    fn dropped(counts: &gatepost::server::Counts, why: Dropped) -> u64 {
        counts.dropped.iter().filter(|(reason, _)| *reason == why).map(|(_, count)| count).sum()
    }
}

/// A client of DNS over HTTPS.
struct Https {
    client: reqwest::Client,
    runtime: Runtime,
    root: String,
}

#[derive(Debug)]
struct Said {
    status: StatusCode,
}

impl Https {
    fn new(client: [u8; 4], server: SocketAddr, pair: &Pair, protocol: &str) -> Self {
        let config = ClientConfig::clone(&pair.trusted(&[protocol]));
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .resolve(HOST, server)
            .no_proxy()
            .local_address(IpAddr::from(client))
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { client, runtime: runtime.unwrap(), root: format!("https://{HOST}:{}", server.port()) }
    }

    fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Said> {
        self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status();
            response.bytes().await?;
            Ok(Said { status })
        })
    }

    fn request(&self, method: Method, target: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{target}", self.root))
    }

    fn post(&self, packet: &[u8]) -> reqwest::Result<Said> {
        let request = self.request(Method::POST, PATH).header("content-type", DNS_MESSAGE);
        self.send(request.body(packet.to_vec()))
    }

    fn get(&self, packet: &[u8]) -> reqwest::Result<Said> {
        self.send(self.request(Method::GET, &format!("{PATH}?dns={}", URL_SAFE_NO_PAD.encode(packet))))
    }
}

#[test]
fn another_certificate_is_for_those_who_come_later() {
    let mut fixture = fixture(patient);
    let (dot, doh) = (fixture.server.dot_addresses()[0], fixture.server.doh_addresses()[0]);
    let packet = query(LISTED, 1);
    let first = fixture.pair.trusted(&["dot"]);
    let mut old = connect_tls(CLIENT, dot, &first).unwrap();
    let old_https = fixture.doh(CLIENT, "h2");
    assert_eq!(rcode(&exchange(&mut old, &packet).unwrap()), 0);
    assert_eq!(old_https.post(&packet).unwrap().status, 200);

    assert!(!fixture.server.renew(&fixture.pair.identity()), "the same");
    let second = Pair::new(fixture.state.path(), "second");
    assert!(fixture.server.renew(&second.identity()));

    // The old ones go on.
    assert_eq!(rcode(&exchange(&mut old, &packet).unwrap()), 0);
    assert_eq!(old_https.post(&packet).unwrap().status, 200);
    // New ones are shown the new one, and nothing that was agreed on before is resumed: `first` remembers.
    assert!(connect_tls(CLIENT, dot, &first).is_err());
    assert!(fixture.doh(CLIENT, "h2").post(&packet).is_err());
    let mut new = connect_tls(CLIENT, dot, &second.trusted(&["dot"])).unwrap();
    assert_eq!(rcode(&exchange(&mut new, &packet).unwrap()), 0);
    assert_eq!(Https::new(CLIENT, doh, &second, "http/1.1").post(&packet).unwrap().status, 200);
    eventually("what came to nothing is counted", || {
        Fixture::dropped(&fixture.server.stats().dot, Dropped::Handshake) == 1
    });
    drop((old, old_https, new));
    fixture.server.stop();
}

#[test]
fn files_that_are_no_pair() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|label| Pair::new(folder.path(), label));
    assert_eq!(one.identity().complaint(), None);
    let read = |certificate: &Path, key: &Path| Identity::read(certificate, key).unwrap_err();
    let write = |label: &str, text: &[u8]| {
        let path = folder.path().join(label);
        fs::write(&path, text).unwrap();
        path
    };
    let absent = folder.path().join("absent");
    let error = read(&one.certificate, &other.key);
    assert!(matches!(&error, IdentityError::Mismatch(key, _) if *key == other.key), "{error}");
    let whole = fs::read(&one.certificate).unwrap();
    let (empty, cut) = (write("empty", b""), write("cut", &whole[..whole.len() / 2]));
    let junk = write("junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let huge = write("huge", &vec![b'\n'; (1 << 20) + 1]);
    for (path, expected) in [
        (&absent, "cannot be read"),
        (&empty, "there is no certificate in it"),
        (&one.key, "there is no certificate in it"),
        (&cut, "it is not PEM"),
        (&junk, "its first certificate cannot be used"),
        (&huge, "are no PEM file"),
    ] {
        let error = read(path, &one.key);
        assert_eq!(error.path(), path);
        assert!(error.to_string().contains(expected), "{path:?}: {error}");
    }
    for (path, expected) in [
        (&absent, "cannot be read"),
        (&empty, "there is no private key in it"),
        (&one.certificate, "there is no private key in it"),
        (&huge, "are no PEM file"),
    ] {
        let error = read(&one.certificate, path);
        assert_eq!(error.path(), path);
        assert!(error.to_string().contains(expected), "{path:?}: {error}");
    }
}

#[test]
fn a_certificate_that_is_over_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let made = |begin: i32, end: i32| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([HOST.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(begin, 1, 1);
        params.not_after = rcgen::date_time_ymd(end, 1, 1);
        let [pem, secret] = ["pem", "key"].map(|end| folder.path().join(end));
        fs::write(&pem, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&secret, key.serialize_pem()).unwrap();
        Identity::read(&pem, &secret).expect("sound").complaint()
    };
    assert_eq!(made(2000, 4000), None);
    assert_eq!(made(2000, 2001).as_deref(), Some("the certificate has expired (2001-01-01T00:00:00Z)"));
    assert_eq!(made(3000, 4000).as_deref(), Some("the certificate is not valid yet (3000-01-01T00:00:00Z)"));
}

/// The caps are for all streams together, whatever they speak.
#[test]
fn one_client_cannot_take_all_places() {
    let fixture = fixture(|settings| {
        patient(settings);
        settings.streams.per_client = 3;
    });
    let packet = query(LISTED, 1);
    let mut tcp = fixture.tcp(CLIENT);
    let mut dot = fixture.dot(CLIENT).unwrap();
    let doh = fixture.doh(CLIENT, "h2");
    exchange(&mut tcp, &packet).unwrap();
    exchange(&mut dot, &packet).unwrap();
    assert_eq!(doh.post(&packet).unwrap().status, 200);
    assert!(closes(&mut fixture.tcp(CLIENT)), "a fourth, TCP");
    assert!(fixture.dot(CLIENT).is_err(), "a fourth, TLS");
    assert!(fixture.doh(CLIENT, "http/1.1").post(&packet).is_err(), "a fourth, HTTPS");
    // Others have theirs, and those that are there go on.
    for _ in 0..2 {
        assert_eq!(rcode(&exchange(&mut fixture.dot([127, 0, 0, 9]).unwrap(), &packet).unwrap()), 0);
        assert_eq!(fixture.doh([127, 0, 0, 9], "http/1.1").post(&packet).unwrap().status, 200);
    }
    exchange(&mut dot, &packet).unwrap();
    assert_eq!(doh.post(&packet).unwrap().status, 200, "over the connection that it has");
    let stats = fixture.server.stats();
    for counts in [&stats.tcp, &stats.dot, &stats.doh] {
        assert!(Fixture::dropped(counts, Dropped::Connections) >= 1, "{counts:?}");
    }
    drop((tcp, dot, doh));
    fixture.server.stop();
}

#[test]
fn all_places_together() {
    let fixture = fixture(|settings| {
        patient(settings);
        settings.streams.connections = 3;
    });
    let packet = query(LISTED, 1);
    let mut dot = fixture.dot([127, 0, 0, 11]).unwrap();
    let doh = fixture.doh([127, 0, 0, 12], "http/1.1");
    let mut tcp = fixture.tcp([127, 0, 0, 13]);
    assert_eq!(doh.post(&packet).unwrap().status, 200);
    exchange(&mut tcp, &packet).unwrap();
    // One more gets the place of the one that has asked nothing yet, then of the one that has asked nothing for longest.
    let mut fourth = fixture.dot([127, 0, 0, 14]).unwrap();
    exchange(&mut fourth, &packet).unwrap();
    assert!(closes(&mut dot));
    assert_eq!(fixture.doh([127, 0, 0, 15], "h2").get(&packet).unwrap().status, 200);
    assert_eq!(rcode(&fixture.udp(&packet)), 0, "UDP has no places");
    exchange(&mut tcp, &packet).unwrap();
    exchange(&mut fourth, &packet).unwrap();
    let stats = fixture.server.stats();
    assert_eq!(Fixture::dropped(&stats.dot, Dropped::Connections), 1);
    assert_eq!(Fixture::dropped(&stats.doh, Dropped::Connections), 1);
    drop((tcp, fourth, doh));
    fixture.server.stop();
}

/// Idle, silent and slow clients of each kind are let go.
#[test]
fn slow_and_idle_clients_are_closed() {
    let fixture = fixture(|settings| {
        settings.streams.idle = Duration::from_millis(200);
        settings.streams.message = Duration::from_secs(1);
    });
    let (dot, doh) = (fixture.server.dot_addresses()[0], fixture.server.doh_addresses()[0]);
    for address in [dot, doh] {
        assert!(closes(&mut connect(CLIENT, address)), "no handshake");
    }
    for (address, protocol) in [(dot, "dot"), (doh, "http/1.1"), (doh, "h2")] {
        let mut idle = connect_tls(CLIENT, address, &fixture.pair.trusted(&[protocol])).unwrap();
        // HTTP/2 says a few things before it closes.
        eventually(protocol, || closes(&mut idle));
    }
    let mut slow = fixture.dot(CLIENT).unwrap();
    slow.write_all(&framed(&query(LISTED, 1))[..9]).unwrap();
    slow.flush().unwrap();
    assert!(closes(&mut slow), "in the midst of a message");
    // Half a head is cut off, half a body is told of.
    let mut slow = connect_tls(CLIENT, doh, &fixture.pair.trusted(&["http/1.1"])).unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {DNS_MESSAGE}\r\nContent-Length: 40\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.flush().unwrap();
    let mut told = Vec::new();
    let _ = slow.read_to_end(&mut told);
    assert!(told.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&told));
    eventually("they are counted", || {
        let stats = fixture.server.stats();
        Fixture::dropped(&stats.dot, Dropped::Handshake) == 1
            && Fixture::dropped(&stats.doh, Dropped::Handshake) == 1
            && Fixture::dropped(&stats.dot, Dropped::Connection) >= 1
    });
    fixture.server.stop();
}

#[test]
fn what_is_not_tls_gets_nowhere() {
    let fixture = fixture(|_| {});
    for address in [fixture.server.dot_addresses()[0], fixture.server.doh_addresses()[0]] {
        let mut stream = connect(CLIENT, address);
        stream.write_all(&framed(&query(LISTED, 1))).unwrap();
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        // An alert at most.
        assert!(told.is_empty() || told[0] == 21, "{told:?}");
    }
    // A browser that wants something else is turned away in the handshake.
    let strange = fixture.pair.trusted(&["ftp"]);
    assert!(connect_tls(CLIENT, fixture.server.doh_addresses()[0], &strange).is_err());
    fixture.server.stop();
}

#[test]
fn an_address_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let state = tempfile::tempdir().unwrap();
    let zone = spec("bl.example");
    store::publish(state.path(), 1, &[(&zone, 1)]);
    for (dot, transport) in [(true, "DoT"), (false, "DoH")] {
        let mut settings = store::settings(state.path(), &[&zone]);
        let mut secure = Secure {
            dot: Vec::new(),
            doh: Vec::new(),
            path: PATH.parse().unwrap(),
            identity: Pair::new(state.path(), "first").identity(),
        };
        let addresses = if dot { &mut secure.dot } else { &mut secure.doh };
        addresses.push(taken.local_addr().unwrap());
        settings.secure = Some(secure);
        let started = Server::start(&settings, Box::new(Default::default));
        let refused = matches!(&started, Err(StartError::Bind { transport: of, .. }) if *of == transport);
        assert!(refused, "{transport}");
    }
}

/// The address behind `what` in a line of the log that begins with `listening on`.
fn address_of(talk: &str, what: &str) -> SocketAddr {
    let line = talk.lines().find(|line| line.contains(what)).unwrap();
    let (_, address) = line.split_once("listening on ").unwrap();
    address.split(',').next().unwrap().parse().unwrap()
}

/// The program: files from the configuration, SIGHUP, and a broken pair that changes nothing.
#[test]
fn a_service_takes_certificates_over() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let first = Pair::new(&place.path("."), "first");
    let keys = "dot = [\"127.0.0.1:0\"]\ndoh = [\"127.0.0.1:0\"]\ncertificate = \"first.pem\"\nkey = \"first.key\"\n";
    let config = place.read("gatepost.toml").replace("[list.own]", &format!("{keys}[list.own]"));
    place.write("gatepost.toml", config);
    place.run(&["check-config", "gatepost.toml"]).ended_with(0);
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let service = place.start(&["serve", "-c", "gatepost.toml"]);
    let talk = service.talks("DNS over HTTPS");
    let (dot, doh) = (address_of(&talk, "DNS over TLS"), address_of(&talk, "DNS over HTTPS"));
    let packet = query("7.2.0.192.bl.example.net", 1);
    let mut old = connect_tls(CLIENT, dot, &first.trusted(&["dot"])).unwrap();
    until("data in service", || rcode(&exchange(&mut old, &packet).unwrap()) == 0);
    assert_eq!(Https::new(CLIENT, doh, &first, "h2").get(&packet).unwrap().status, 200);

    // The certificate of another key: told of, and nothing changes.
    let second = Pair::new(&place.path("."), "second");
    fs::copy(&second.certificate, &first.certificate).unwrap();
    service.signal(Signal::SIGHUP);
    let talk = service.talks("the old configuration stays");
    assert!(talk.contains("first.key: it is not the key of"), "{talk}");
    assert_eq!(rcode(&exchange(&mut old, &packet).unwrap()), 0);
    assert!(connect_tls(CLIENT, dot, &first.trusted(&["dot"])).is_ok());
    let ran = place.run(&["check-config", "gatepost.toml"]).ended_with(2);
    assert!(format!("{}{}", ran.out, ran.err).contains("it is not the key of"), "{ran:?}");

    // With its own key it is good.
    fs::copy(&second.key, &first.key).unwrap();
    service.signal(Signal::SIGHUP);
    service.talks("clients are shown another certificate from now on");
    assert_eq!(rcode(&exchange(&mut old, &packet).unwrap()), 0, "one that is open goes on");
    assert!(connect_tls(CLIENT, dot, &first.trusted(&["dot"])).is_err());
    let mut new = connect_tls(CLIENT, dot, &second.trusted(&["dot"])).unwrap();
    assert_eq!(rcode(&exchange(&mut new, &packet).unwrap()), 0);
    assert_eq!(Https::new(CLIENT, doh, &second, "h2").post(&packet).unwrap().status, 200);
    drop((old, new));
    service.stop().ended_with(0);
}
