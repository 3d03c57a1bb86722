//! A real server on loopback: both transports, both families, streams that misbehave, swaps under load.
#![cfg(feature = "full")]

mod dns_support;
#[path = "common/loud.rs"]
mod loud;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dns_support::{hosts, member, query, spec, store};
use gatepost::client::{Client, Data, Over};
use gatepost::compile::ZoneSpec;
use gatepost::model::{Rtype, Use};
use gatepost::server::{
    AccessLists, Expired, Limits, ReloadError, Reloaded, Served, Server, Settings, StartError,
};
use gatepost::snapshot::Snapshot;

/// Long enough for any machine; nothing waits for it unless the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn lists(origin: &str, addresses: &[&str], code: u8) -> ZoneSpec {
    let mut spec = spec(origin);
    member(&mut spec, "list", Use::Block, code, "$ is bad", |set| hosts(set, addresses));
    spec
}

fn never() -> Expired {
    Box::new(BTreeSet::new)
}

fn start(settings: &Settings) -> Server {
    Server::start(settings, never()).expect("starts")
}

fn served(state: &Path, listen: &[&str]) -> Settings {
    let zone = lists("bl.example", &["1.2.3.4"], 5);
    store::publish(state, 1, &[(&zone, 7)]);
    let mut settings = store::settings(state, &[&zone]);
    settings.listen = listen.iter().map(|address| address.parse().expect("address")).collect();
    settings
}

fn ask(server: SocketAddr, owner: &str, over: Over) -> String {
    let client = Client { server, timeout: PATIENCE };
    let reply = client.ask(&dns_support::name(owner), Rtype::A, over).expect("a reply");
    let data = reply.answers.iter().map(|record| match &record.data {
        Data::A(address) => address.to_string(),
        other => format!("{other:?}"),
    });
    format!("{} {}", reply.rcode.0, data.collect::<Vec<_>>().join(","))
}

fn has_ipv6(test: &str) -> bool {
    let has = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        loud::skipped(test, "the IPv6 half: this machine has no ::1");
    }
    has
}

/// Waits until `is` holds; fails when it never does.
fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "never happened: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.addresses()[0]).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// Limits under which a connection that is closed within a test was closed by a cap.
fn patient(settings: &Settings) -> Limits {
    let hour = Duration::from_secs(3600);
    Limits { idle: hour, message: hour, total: hour, ..settings.streams }
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes(), packet].concat()
}

fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).expect("a reply");
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).expect("a whole reply");
    reply
}

/// Whether the server has closed, or closes.
fn closes(stream: &mut TcpStream) -> bool {
    let mut octet = [0];
    match stream.read(&mut octet) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn both_transports_and_families() {
    let state = tempfile::tempdir().unwrap();
    let listen: &[&str] =
        if has_ipv6("both_transports_and_families") { &["127.0.0.1:0", "[::1]:0"] } else { &["127.0.0.1:0"] };
    let server = start(&served(state.path(), listen));
    assert_eq!(server.addresses().len(), listen.len());
    for &address in server.addresses() {
        for over in [Over::Udp, Over::Tcp] {
            assert_eq!(ask(address, "4.3.2.1.bl.example", over), "0 127.0.0.5");
            assert_eq!(ask(address, "5.3.2.1.bl.example", over), "3 ");
        }
    }
    server.stop();
}

/// A connected socket takes packets from the address it asked only.
fn replies_from(asked: SocketAddr) {
    let any: SocketAddr = if asked.is_ipv4() { "0.0.0.0:0".parse() } else { "[::]:0".parse() }.unwrap();
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(asked).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..3 {
        socket.send(&query("4.3.2.1.bl.example", 1)).unwrap();
        let mut buffer = [0; 512];
        let len = socket.recv(&mut buffer).expect("a reply from the address that was asked");
        assert_eq!(buffer[len - 4..len], [127, 0, 0, 5]);
    }
}

#[test]
fn replies_leave_from_the_address_that_was_asked() {
    let state = tempfile::tempdir().unwrap();
    let listen: &[&str] = if has_ipv6("replies_leave_from_the_address_that_was_asked") {
        &["0.0.0.0:0", "[::]:0"]
    } else {
        &["0.0.0.0:0"]
    };
    let server = start(&served(state.path(), listen));
    let port = server.addresses()[0].port();
    for last in [1, 2, 77] {
        replies_from((Ipv4Addr::new(127, 0, 0, last), port).into());
    }
    if let Some(six) = server.addresses().get(1) {
        replies_from((Ipv6Addr::LOCALHOST, six.port()).into());
    }
    server.stop();
}

#[test]
fn many_workers_share_an_address() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = served(state.path(), &["127.0.0.1:0"]);
    settings.workers = 4;
    let server = start(&settings);
    for _ in 0..100 {
        assert_eq!(ask(server.addresses()[0], "4.3.2.1.bl.example", Over::Udp), "0 127.0.0.5");
    }
    assert_eq!(server.stats().udp.queries, 100);
    assert_eq!(server.stats().udp.hits, 100);
    server.stop();
}

#[test]
fn an_address_is_served_by_one_server() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = served(state.path(), &["127.0.0.1:0"]);
    settings.workers = 2;
    let server = start(&settings);
    settings.listen = server.addresses().to_vec();
    assert!(matches!(Server::start(&settings, never()), Err(StartError::Bind { transport: "TCP", .. })));
    server.stop();
    // Once it has stopped, the address is free.
    start(&settings).stop();

    // Nor is UDP alone shared with another server, however many sockets each has.
    let other = start(&Settings { udp_will_do: true, ..settings.clone() });
    settings.udp_will_do = true;
    assert!(matches!(Server::start(&settings, never()), Err(StartError::Bind { transport: "UDP", .. })));
    other.stop();
}

#[test]
fn pipelined_streams() {
    let state = tempfile::tempdir().unwrap();
    let server = start(&served(state.path(), &["127.0.0.1:0"]));
    let mut stream = connect(&server);
    let mut all = Vec::new();
    for id in 0..500u16 {
        let mut packet = query(if id % 2 == 0 { "4.3.2.1.bl.example" } else { "5.3.2.1.bl.example" }, 1);
        packet[..2].copy_from_slice(&id.to_be_bytes());
        all.extend(framed(&packet));
    }
    stream.write_all(&all).unwrap();
    for id in 0..500u16 {
        let reply = read_framed(&mut stream);
        assert_eq!(reply[..2], id.to_be_bytes());
        assert_eq!(reply[3] & 15, if id % 2 == 0 { 0 } else { 3 });
    }
    // Octet by octet is slow, not wrong.
    for octet in framed(&query("4.3.2.1.bl.example", 1)) {
        stream.write_all(&[octet]).unwrap();
    }
    assert_eq!(read_framed(&mut stream)[3] & 15, 0);
    // A message of the greatest length, nearly all of it junk behind the question.
    let long = [&query("4.3.2.1.bl.example", 1)[..], &vec![0xaa; 65_000]].concat();
    stream.write_all(&framed(&long)).unwrap();
    assert_eq!(read_framed(&mut stream)[3] & 15, 0);
    // What deserves silence closes the connection.
    stream.write_all(&framed(b"short")).unwrap();
    assert!(closes(&mut stream));
    server.stop();
}

#[test]
fn stuck_streams_hold_nothing_up() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = served(state.path(), &["127.0.0.1:0"]);
    settings.streams = patient(&settings);
    settings.streams.connections = 50;
    settings.streams.per_client = 50;
    let server = start(&settings);
    let stuck: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(&[0, 40, 1]).unwrap();
            stream
        })
        .collect();
    let mut one_more = connect(&server);
    assert!(closes(&mut one_more), "above the cap");
    assert_eq!(ask(server.addresses()[0], "4.3.2.1.bl.example", Over::Udp), "0 127.0.0.5");
    drop(stuck);
    // Their places are free again.
    eventually("a place", || {
        let mut stream = connect(&server);
        let _ = stream.write_all(&framed(&query("4.3.2.1.bl.example", 1)));
        !closes(&mut stream)
    });
    server.stop();
}

#[test]
fn one_client_cannot_take_all_places() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = served(state.path(), &["0.0.0.0:0"]);
    settings.streams = patient(&settings);
    settings.streams.per_client = 3;
    let server = start(&settings);
    let port = server.addresses()[0].port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let open: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut fourth = TcpStream::connect(address).unwrap();
    fourth.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(closes(&mut fourth));
    // Another client is served.
    let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    other.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), 0)).into()).unwrap();
    other.connect(&address.into()).unwrap();
    let mut other = TcpStream::from(other);
    other.write_all(&framed(&query("4.3.2.1.bl.example", 1))).unwrap();
    assert_eq!(read_framed(&mut other)[3] & 15, 0);
    drop(open);
    server.stop();
}

#[test]
fn slow_and_idle_streams_are_closed() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = served(state.path(), &["127.0.0.1:0"]);
    settings.streams.idle = Duration::from_millis(100);
    settings.streams.message = Duration::from_millis(100);
    let server = start(&settings);
    let mut idle = connect(&server);
    assert!(closes(&mut idle), "idle");
    let mut slow = connect(&server);
    slow.write_all(&framed(&query("4.3.2.1.bl.example", 1))[..9]).unwrap();
    assert!(closes(&mut slow), "in the midst of a message");
    eventually("the slow one is counted", || {
        server.stats().tcp.dropped.iter().map(|(_, count)| count).sum::<u64>() > 0
    });
    server.stop();
    let mut settings = served(state.path(), &["127.0.0.1:0"]);
    settings.streams.total = Duration::from_millis(300);
    let server = start(&settings);
    let mut busy = connect(&server);
    // It may be closed between any two messages, so writing may fail; but closed it is.
    eventually("the end of a connection that lasts too long", || {
        busy.write_all(&framed(&query("4.3.2.1.bl.example", 1))).is_err() || {
            let mut len = [0; 2];
            let closed = !matches!(busy.read(&mut len), Ok(2));
            if !closed {
                let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
                busy.read_exact(&mut reply).unwrap();
            }
            closed
        }
    });
    server.stop();
}

/// A client that never reads its replies blocks nobody and is let go.
#[test]
fn a_client_that_does_not_read() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = served(state.path(), &["127.0.0.1:0"]);
    settings.streams.message = Duration::from_millis(200);
    let server = start(&settings);
    let mut stream = connect(&server);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let many = framed(&query("4.3.2.1.bl.example", 16)).repeat(1000);
    eventually("the server lets go", || stream.write_all(&many).is_err());
    assert_eq!(ask(server.addresses()[0], "4.3.2.1.bl.example", Over::Tcp), "0 127.0.0.5");
    server.stop();
}

#[test]
fn zones_wait_for_their_first_snapshot() {
    let state = tempfile::tempdir().unwrap();
    let zone = lists("bl.example", &["1.2.3.4"], 5);
    let mut settings = store::settings(state.path(), &[&zone]);
    settings.watch = Duration::from_millis(20);
    let server = start(&settings);
    let address = server.addresses()[0];
    assert_eq!(ask(address, "4.3.2.1.bl.example", Over::Udp), "2 ");
    assert_eq!(ask(address, "4.3.2.1.bl.example", Over::Tcp), "2 ");
    assert_eq!(ask(address, "4.3.2.1.other.example", Over::Udp), "5 ");
    assert!(matches!(server.reload(), Ok(Reloaded::Nothing)));
    // Nobody tells the server.
    store::publish(state.path(), 1, &[(&zone, 7)]);
    eventually("the watcher sees it", || ask(address, "4.3.2.1.bl.example", Over::Udp) == "0 127.0.0.5");
    server.stop();
}

/// A sync of another configuration in the same store takes nothing out of service.
#[test]
fn a_zone_that_the_generation_forgets_stays() {
    let state = tempfile::tempdir().unwrap();
    let (ours, other) = (lists("bl.example", &["1.2.3.4"], 5), lists("other.example", &["1.2.3.4"], 6));
    store::publish(state.path(), 1, &[(&ours, 1)]);
    let server = start(&store::settings(state.path(), &[&ours]));
    let address = server.addresses()[0];
    store::publish(state.path(), 2, &[(&other, 1)]);
    assert!(matches!(server.reload(), Ok(Reloaded::Swapped(2))));
    assert_eq!(ask(address, "4.3.2.1.bl.example", Over::Udp), "0 127.0.0.5");
    store::publish(state.path(), 3, &[(&lists("bl.example", &["1.2.3.4"], 7), 2)]);
    assert!(matches!(server.reload(), Ok(Reloaded::Swapped(3))));
    assert_eq!(ask(address, "4.3.2.1.bl.example", Over::Udp), "0 127.0.0.7");
    server.stop();
}

/// Mended in place, the same generation is good: nobody waits for another one, nor for the next try by the clock.
#[test]
fn a_mended_snapshot_is_taken_at_once() {
    let state = tempfile::tempdir().unwrap();
    let zone = lists("bl.example", &["1.2.3.4"], 5);
    store::publish(state.path(), 1, &[(&zone, 7)]);
    let file = fs::read_dir(state.path().join("snapshots")).unwrap().next().unwrap().unwrap().path();
    let good = fs::read(&file).unwrap();
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    let mut settings = store::settings(state.path(), &[&zone]);
    settings.watch = Duration::from_millis(20);
    let server = start(&settings);
    let address = server.addresses()[0];
    assert_eq!(ask(address, "4.3.2.1.bl.example", Over::Udp), "2 ");
    let beside = state.path().join("beside");
    fs::write(&beside, good).unwrap();
    fs::rename(&beside, &file).unwrap();
    // Patience ends before the clock would have it tried again.
    eventually("the mended one", || ask(address, "4.3.2.1.bl.example", Over::Udp) == "0 127.0.0.5");
    server.stop();
}

#[test]
fn a_bad_generation_changes_nothing() {
    let state = tempfile::tempdir().unwrap();
    let (old, kept) = (lists("bl.example", &["1.2.3.4"], 5), lists("kept.example", &["1.2.3.4"], 6));
    store::publish(state.path(), 1, &[(&old, 1), (&kept, 1)]);
    let mut settings = store::settings(state.path(), &[&old, &kept]);
    settings.watch = PATIENCE;
    let server = start(&settings);
    let address = server.addresses()[0];
    let unchanged = || {
        assert_eq!(ask(address, "4.3.2.1.bl.example", Over::Udp), "0 127.0.0.5");
        assert_eq!(ask(address, "4.3.2.1.kept.example", Over::Udp), "0 127.0.0.6");
    };
    let snapshots = || {
        let all = fs::read_dir(state.path().join("snapshots")).unwrap();
        all.map(|entry| entry.unwrap().path()).collect::<BTreeSet<_>>()
    };
    let known = snapshots();

    // One zone's new snapshot is cut: neither zone changes.
    let (new, new_kept) = (lists("bl.example", &["9.9.9.9"], 7), lists("kept.example", &["9.9.9.9"], 8));
    store::publish(state.path(), 2, &[(&new, 2), (&new_kept, 2)]);
    let fresh: Vec<_> = snapshots().difference(&known).cloned().collect();
    let of_new = fresh.iter().find(|path| path.to_string_lossy().contains("/bl.")).unwrap();
    let whole = fs::read(of_new).unwrap();
    fs::write(of_new, &whole[..whole.len() - 1]).unwrap();
    assert!(server.reload().is_err());
    unchanged();
    // An octet is another, where only the full check of the hashes tells.
    let flipped = |at: usize| -> Vec<u8> {
        let flip = |(index, octet)| if index == at { octet ^ 1 } else { octet };
        whole.iter().copied().enumerate().map(flip).collect()
    };
    let opens = |octets: &Vec<u8>| Snapshot::open(octets.clone()).is_ok_and(|found| found.verify().is_err());
    fs::write(of_new, (0..whole.len()).map(flipped).find(opens).unwrap()).unwrap();
    assert!(server.reload().is_err());
    unchanged();
    // A sound snapshot, but not what the generation says: of another zone, then of this one as it was before.
    for prefix in ["/kept.", "/bl."] {
        let other = known.iter().find(|path| path.to_string_lossy().contains(prefix)).unwrap();
        fs::copy(other, of_new).unwrap();
        assert!(matches!(server.reload(), Err(ReloadError::Mismatch { .. })));
        unchanged();
    }
    // It is not there at all.
    fs::remove_file(of_new).unwrap();
    assert!(server.reload().is_err());
    unchanged();
    // No generation that can be read.
    fs::write(state.path().join("generation.json"), "{").unwrap();
    assert!(server.reload().is_err());
    unchanged();
    fs::remove_file(state.path().join("generation.json")).unwrap();
    assert!(matches!(server.reload(), Ok(Reloaded::Nothing)));
    unchanged();

    store::publish(state.path(), 3, &[(&new, 3), (&new_kept, 3)]);
    assert!(matches!(server.reload(), Ok(Reloaded::Swapped(3))));
    assert!(matches!(server.reload(), Ok(Reloaded::Unchanged)));
    assert_eq!(ask(address, "9.9.9.9.bl.example", Over::Udp), "0 127.0.0.7");
    assert_eq!(ask(address, "9.9.9.9.kept.example", Over::Udp), "0 127.0.0.8");
    server.stop();
}

#[test]
fn a_running_server_takes_other_zones_over() {
    let state = tempfile::tempdir().unwrap();
    let (one, two) = (lists("one.example", &["1.2.3.4"], 5), lists("two.example", &["1.2.3.4"], 6));
    store::publish(state.path(), 1, &[(&one, 1), (&two, 1)]);
    let server = start(&store::settings(state.path(), &[&one]));
    let address = server.addresses()[0];
    let says = |origin: &str| ask(address, &format!("4.3.2.1.{origin}.example"), Over::Udp);
    assert_eq!((says("one"), says("two")), ("0 127.0.0.5".into(), "5 ".into()));
    let both = ["one.example", "two.example", "three.example"].map(dns_support::name).to_vec();
    assert!(server.configure(both, None, AccessLists::default()).is_ok());
    assert_eq!((says("one"), says("two")), ("0 127.0.0.5".into(), "0 127.0.0.6".into()));
    assert_eq!(says("three"), "2 ");
    assert!(server.configure(vec![dns_support::name("two.example")], None, AccessLists::default()).is_ok());
    assert_eq!((says("one"), says("two")), ("5 ".into(), "0 127.0.0.6".into()));
    server.stop();
}

/// At the start there is no old world to keep: what can be served is.
#[test]
fn at_the_start_each_zone_stands_alone() {
    let state = tempfile::tempdir().unwrap();
    let (bad, good) = (lists("bad.example", &["1.2.3.4"], 5), lists("good.example", &["1.2.3.4"], 6));
    store::publish(state.path(), 1, &[(&bad, 1), (&good, 1)]);
    for entry in fs::read_dir(state.path().join("snapshots")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("/bad.") {
            fs::write(path, "no snapshot").unwrap();
        }
    }
    let server = start(&store::settings(state.path(), &[&bad, &good]));
    assert_eq!(ask(server.addresses()[0], "4.3.2.1.bad.example", Over::Udp), "2 ");
    assert_eq!(ask(server.addresses()[0], "4.3.2.1.good.example", Over::Udp), "0 127.0.0.6");
    server.stop();
}

#[test]
fn unchanged_snapshots_are_kept() {
    let state = tempfile::tempdir().unwrap();
    let (same, other) = (lists("same.example", &["1.2.3.4"], 5), lists("other.example", &["1.2.3.4"], 5));
    store::publish(state.path(), 1, &[(&same, 1), (&other, 1)]);
    let server = start(&store::settings(state.path(), &[&same, &other]));
    let snapshot = |origin: &str| match server.world().zone(&dns_support::name(origin)) {
        Some(Served::Ready(zone)) => (Arc::clone(zone.snapshot()), zone.authority().serial()),
        _ => panic!("served"),
    };
    let (same_before, other_before) = (snapshot("same.example"), snapshot("other.example"));
    let changed = lists("other.example", &["9.9.9.9"], 5);
    store::publish(state.path(), 2, &[(&same, 2), (&changed, 2)]);
    assert!(matches!(server.reload(), Ok(Reloaded::Swapped(2))));
    let (same_after, other_after) = (snapshot("same.example"), snapshot("other.example"));
    assert!(Arc::ptr_eq(&same_before.0, &same_after.0));
    assert!(!Arc::ptr_eq(&other_before.0, &other_after.0));
    assert_eq!((same_before.1, same_after.1), (1, 2), "a new serial needs no new snapshot");
    server.stop();
}

/// The world is swapped a hundred times under load: every question gets a reply, and a right one.
#[test]
#[allow(clippy::needless_collect)] // the clients have to run all at once
fn no_query_is_lost_by_a_swap() {
    let state = tempfile::tempdir().unwrap();
    let zones =
        [lists("bl.example", &["1.2.3.4", "5.5.5.5"], 5), lists("bl.example", &["1.2.3.4", "6.6.6.6"], 6)];
    store::publish(state.path(), 1, &[(&zones[1], 1)]);
    let mut settings = store::settings(state.path(), &[&zones[0]]);
    settings.watch = PATIENCE;
    let server = start(&settings);
    let address = server.addresses()[0];
    let done = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = [Over::Udp, Over::Tcp]
        .into_iter()
        .map(|over| {
            let (done, asked) = (Arc::clone(&done), Arc::clone(&asked));
            thread::spawn(move || {
                // Pipelined over one connection, or one datagram after the other: a lost one is never sent again.
                let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
                udp.connect(address).unwrap();
                udp.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut tcp = TcpStream::connect(address).unwrap();
                tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                let packet = query("4.3.2.1.bl.example", 1);
                while !done.load(Ordering::Relaxed) {
                    let reply = match over {
                        Over::Udp => {
                            let mut buffer = [0; 512];
                            udp.send(&packet).unwrap();
                            let len = udp.recv(&mut buffer).expect("no query is lost");
                            buffer[..len].to_vec()
                        }
                        Over::Tcp => {
                            tcp.write_all(&framed(&packet)).unwrap();
                            read_framed(&mut tcp)
                        }
                    };
                    assert!(
                        matches!(reply[reply.len() - 4..], [127, 0, 0, 5 | 6]),
                        "{}",
                        reply.escape_ascii()
                    );
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 2..102 {
        let before = asked.load(Ordering::Relaxed);
        store::publish(state.path(), number, &[(&zones[number as usize % 2], number as u32)]);
        assert!(matches!(server.reload(), Ok(Reloaded::Swapped(swapped)) if swapped == number));
        let code = if number % 2 == 0 { "5" } else { "6" };
        assert_eq!(ask(address, "4.3.2.1.bl.example", Over::Udp), format!("0 127.0.0.{code}"));
        eventually("load between two swaps", || asked.load(Ordering::Relaxed) > before + 10);
    }
    done.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("every question was answered"));
    let stats = server.stats();
    assert!(stats.udp.dropped.iter().chain(&stats.tcp.dropped).all(|(_, count)| *count == 0), "{stats:?}");
    server.stop();
}

#[test]
fn expired_lists_are_masked_and_come_back() {
    let state = tempfile::tempdir().unwrap();
    let mut zone = lists("bl.example", &["1.2.3.4"], 5);
    member(&mut zone, "second", Use::Block, 6, "$", |set| hosts(set, &["1.2.3.4", "9.9.9.9"]));
    store::publish(state.path(), 1, &[(&zone, 1)]);
    let mut settings = store::settings(state.path(), &[&zone]);
    settings.watch = Duration::from_millis(10);
    let expired = Arc::new(Mutex::new(BTreeSet::new()));
    let told = Arc::clone(&expired);
    let server = Server::start(&settings, Box::new(move || told.lock().unwrap().clone())).unwrap();
    let address = server.addresses()[0];
    let says = |below: &str, what: &str| {
        let owner = format!("{below}.bl.example");
        eventually(what, || ask(address, &owner, Over::Udp) == what);
    };
    let set =
        |names: &[&str]| *expired.lock().unwrap() = names.iter().map(|name| (*name).to_owned()).collect();
    says("4.3.2.1", "0 127.0.0.5,127.0.0.6");
    set(&["second"]);
    says("4.3.2.1", "0 127.0.0.5");
    says("9.9.9.9", "3 ");
    // A new generation is masked as well.
    store::publish(state.path(), 2, &[(&zone, 2)]);
    eventually("the generation", || server.world().generation() == Some(2));
    assert_eq!(ask(address, "9.9.9.9.bl.example", Over::Tcp), "3 ");
    set(&["second", "list"]);
    says("4.3.2.1", "2 ");
    says("2.0.0.127", "2 ");
    set(&[]);
    says("4.3.2.1", "0 127.0.0.5,127.0.0.6");
    server.stop();
}

#[test]
fn the_longest_origin_answers() {
    let state = tempfile::tempdir().unwrap();
    let (outer, inner) = (lists("example", &["1.2.3.4"], 5), lists("bl.example", &["9.9.9.9"], 6));
    store::publish(state.path(), 1, &[(&outer, 1), (&inner, 1)]);
    let server = start(&store::settings(state.path(), &[&outer, &inner]));
    let address = server.addresses()[0];
    assert_eq!(ask(address, "9.9.9.9.bl.example", Over::Udp), "0 127.0.0.6");
    assert_eq!(ask(address, "4.3.2.1.bl.example", Over::Udp), "3 ");
    assert_eq!(ask(address, "4.3.2.1.example", Over::Udp), "0 127.0.0.5");
    server.stop();
}
