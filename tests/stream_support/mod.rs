//! A server with all its transports, certificates made for it, and clients that speak each of them.
#![allow(dead_code)] // each test file uses its part

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

use gatepost::server::{Dropped, Identity, Secure, Server, Settings};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

/// Long enough for any machine; nothing waits for it unless a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection over TLS.
pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A certificate for 127.0.0.1 and its key, as files.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

impl Pair {
    /// A good one; its files are called `name`.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        Self::with(folder, name, |_| {})
    }

    /// One that `change` has made different.
    pub(crate) fn with(folder: &Path, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params =
            CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        change(&mut params);
        let pair = Self {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
            pem: params.self_signed(&key).expect("a certificate").pem(),
            key_pem: key.serialize_pem(),
        };
        std::fs::write(&pair.certificate, &pair.pem).expect("written");
        std::fs::write(&pair.key, &pair.key_pem).expect("written");
        pair
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::read(&self.certificate, &self.key).expect("a pair")
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM")
    }

    /// A client that trusts nothing else, and agrees on one of `protocols`.
    pub(crate) fn trusting(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        provider();
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("a root");
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    /// An HTTP client that trusts nothing else.
    pub(crate) fn http(&self) -> reqwest::ClientBuilder {
        provider();
        let root = reqwest::Certificate::from_pem(self.pem.as_bytes()).expect("PEM");
        reqwest::Client::builder().tls_certs_only([root]).no_proxy().timeout(PATIENCE)
    }
}

pub(crate) fn provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The same settings with DNS over TLS and over HTTPS.
pub(crate) fn secured(mut settings: Settings, pair: &Pair) -> Settings {
    let any = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    let path = "/dns-query".parse().expect("a path");
    settings.secure = Some(Secure { dot: any.clone(), doh: any, path, identity: pair.identity() });
    settings
}

pub(crate) fn start(settings: &Settings) -> Server {
    Server::start(settings, Box::new(Default::default)).expect("starts")
}

/// A connection from `client`, an address of this machine.
pub(crate) fn connect_from(client: impl Into<IpAddr>, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((client.into(), 0)).into()).expect("bound");
    socket.connect(&server.into()).expect("connects");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_write_timeout(Some(PATIENCE)).expect("set");
    stream
}

pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    connect_from(Ipv4Addr::LOCALHOST, server)
}

/// TLS over a connection, its handshake done.
pub(crate) fn greet(stream: TcpStream, config: &Arc<ClientConfig>) -> std::io::Result<Tls> {
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let mut tls =
        StreamOwned::new(ClientConnection::new(Arc::clone(config), name).expect("a client"), stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

pub(crate) fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes(), packet].concat()
}

/// The next reply; `None` when the server closes instead.
pub(crate) fn read_framed(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut len = [0; 2];
    if let Err(error) = stream.read_exact(&mut len) {
        assert!(is_end(error.kind()), "{error}");
        return None;
    }
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).expect("a whole reply");
    Some(reply)
}

/// Sends a message and reads its reply; `None` when the server closes instead.
pub(crate) fn exchange<S: Read + Write>(stream: &mut S, packet: &[u8]) -> Option<Vec<u8>> {
    if let Err(error) = stream.write_all(&framed(packet)) {
        assert!(is_end(error.kind()), "{error}");
        return None;
    }
    read_framed(stream)
}

/// Whether the server closes, whatever it says before.
pub(crate) fn closes(stream: &mut impl Read) -> bool {
    let mut octets = [0; 4096];
    loop {
        match stream.read(&mut octets) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return is_end(error.kind()),
        }
    }
}

pub(crate) fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// The reply over UDP.
pub(crate) fn ask_udp(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket.send_to(packet, server).expect("sent");
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).expect("a reply");
    buffer[..len].to_vec()
}

/// An HTTP response: status, the headers that matter, body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) media: Option<String>,
    pub(crate) cache: Option<String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn url(server: SocketAddr) -> String {
    format!("https://{server}/dns-query")
}

pub(crate) async fn said(request: reqwest::RequestBuilder) -> Said {
    let response = request.send().await.expect("a response");
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Said {
        status: response.status().as_u16(),
        media: header("content-type"),
        cache: header("cache-control"),
        body: response.bytes().await.expect("a body").to_vec(),
    }
}

pub(crate) fn post(client: &reqwest::Client, server: SocketAddr, packet: &[u8]) -> reqwest::RequestBuilder {
    client.post(url(server)).header("content-type", "application/dns-message").body(packet.to_vec())
}

pub(crate) fn get(client: &reqwest::Client, server: SocketAddr, packet: &[u8]) -> reqwest::RequestBuilder {
    use base64::Engine;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(packet);
    client.get(format!("{}?dns={text}", url(server)))
}

/// How often that was the reason for no reply.
pub(crate) fn dropped(counts: &gatepost::server::Counts, why: Dropped) -> u64 {
    counts.dropped.iter().find(|(reason, _)| *reason == why).expect("counted").1
}

/// Waits until `is` holds; fails when it never does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "never happened: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
