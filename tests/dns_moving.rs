//! Addresses that come and go while the server runs: nothing is lost, nothing stays half done.
#![cfg(feature = "full")]

mod dns_support;
mod stream_support;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use dns_support::{hosts, member, query, spec, store};
use gatepost::model::Use;
use gatepost::server::{AccessLists, Addresses, Handed, HitLog, Server, Settings, Sockets, StartError};
use stream_support::{PATIENCE, Pair, ask_udp, connect, eventually, exchange, greet, said, start};

const LISTED: &str = "4.3.2.1.bl.example";

/// `bl.example` with 1.2.3.4, on a free port of 127.0.0.1.
fn settings(state: &Path) -> Settings {
    let mut zone = spec("bl.example");
    member(&mut zone, "list", Use::Block, 5, "$ is bad", |set| hosts(set, &["1.2.3.4"]));
    store::publish(state, 1, &[(&zone, 7)]);
    store::settings(state, &[&zone])
}

fn moved(server: &mut Server, wanted: &Addresses) -> Result<(), StartError> {
    server.move_to(wanted, &"/dns-query".parse().unwrap(), |_| {})
}

fn listening(listen: &[SocketAddr]) -> Addresses {
    Addresses { listen: listen.to_vec(), ..Addresses::default() }
}

/// A port that is free for UDP and TCP on every address of this machine, and that the system gives to no client.
fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = u64::from(std::process::id()) * 31 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (number % 12_000) as u16;
        let any = (Ipv4Addr::UNSPECIFIED, port);
        if TcpListener::bind(any).is_ok() && UdpSocket::bind(any).is_ok() {
            return port;
        }
    }
}

fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], port))
}

/// It answers there, over both transports.
#[track_caller]
fn answers(server: SocketAddr) {
    let packet = query(LISTED, 1);
    let replies = [ask_udp(server, &packet), exchange(&mut connect(server), &packet).expect("a reply")];
    for reply in replies {
        assert!(reply.ends_with(&[127, 0, 0, 5]), "{}", reply.escape_ascii());
    }
}

/// Nobody is there, over both transports.
#[track_caller]
fn is_free(address: SocketAddr) {
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    drop(UdpSocket::bind(address).expect("free"));
}

/// As a service manager does that hands the same sockets over at every start.
#[test]
fn sockets_that_were_handed_over_outlive_their_address() {
    let state = tempfile::tempdir().unwrap();
    let (one, other) = (at(1, free_port()), at(2, free_port()));
    let (udp, tcp) = (UdpSocket::bind(one).unwrap(), TcpListener::bind(one).unwrap());
    let settings = Settings { listen: vec![one], ..settings(state.path()) };
    let start = || {
        let handed = Handed { udp: vec![udp.try_clone().unwrap()], tcp: vec![tcp.try_clone().unwrap()] };
        let sockets = Sockets::fit(handed, &settings).unwrap();
        Server::start_bound(sockets, &settings, Box::new(Default::default)).unwrap()
    };
    let mut server = start();
    eventually("data in service", || server.world().generation().is_some());
    answers(one);
    moved(&mut server, &listening(&[other])).unwrap();
    answers(other);
    server.stop();
    let server = start();
    eventually("data in service", || server.world().generation().is_some());
    answers(one);
    server.stop();
}

#[test]
fn addresses_come_and_go() {
    let state = tempfile::tempdir().unwrap();
    let mut server = start(&settings(state.path()));
    let (any, second, third) = (at(1, 0), at(2, free_port()), at(3, free_port()));
    let first = server.addresses()[0];
    answers(first);
    let mut stream = connect(first);
    exchange(&mut stream, &query(LISTED, 1)).expect("a reply");

    moved(&mut server, &listening(&[third, any, second])).unwrap();
    assert_eq!(server.addresses(), [third, first, second], "what was there stays where it is");
    [first, second, third].into_iter().for_each(answers);

    moved(&mut server, &listening(&[second])).unwrap();
    assert_eq!(server.addresses(), [second]);
    answers(second);
    [first, third].into_iter().for_each(is_free);
    exchange(&mut stream, &query(LISTED, 1)).expect("a connection that is open lives on");

    // The places of workers that have left are taken again, and what they counted stays.
    moved(&mut server, &listening(&[second, third])).unwrap();
    [second, third].into_iter().for_each(answers);
    let stats = server.stats();
    assert_eq!((stats.udp.queries, stats.tcp.queries), (7, 9));
    assert_eq!(stats.total.queries, 16);
    assert_eq!(stats.zones.values().map(|zone| zone.noerror).sum::<u64>(), 16);
    assert!(matches!(stats.overflowed, Some(0) | None), "{:?}", stats.overflowed);
    server.stop();
    [second, third].into_iter().for_each(is_free);
}

#[test]
fn an_address_that_cannot_be_had_changes_nothing() {
    let state = tempfile::tempdir().unwrap();
    let mut server = start(&settings(state.path()));
    let first = server.addresses()[0];
    let (second, third) = (at(2, free_port()), at(3, free_port()));
    // UDP alone is taken: TCP of the same address, and what was bound before, must be given back.
    let other = UdpSocket::bind(third).unwrap();
    let wanted = listening(&[second, third]);
    let failed = server.move_to(&wanted, &"/dns-query".parse().unwrap(), |_| panic!("nothing changes"));
    let Err(StartError::Bind { address, transport: "UDP", cause }) = failed else { panic!("{failed:?}") };
    assert_eq!((address, cause.kind()), (third, ErrorKind::AddrInUse));
    assert_eq!(server.addresses(), [first]);
    answers(first);
    is_free(second);
    drop(other);
    is_free(third);
    moved(&mut server, &wanted).unwrap();
    [second, third].into_iter().for_each(answers);
    server.stop();
}

/// What changes with the addresses changes between the last answer on an old one and the first on a new one.
#[test]
fn who_is_let_in_changes_with_the_addresses() {
    let state = tempfile::tempdir().unwrap();
    let mut server = start(&settings(state.path()));
    let (first, second) = (server.addresses()[0], at(2, free_port()));
    let packet = query(LISTED, 1);
    let path = "/dns-query".parse().unwrap();
    let waits = UdpSocket::bind("127.0.0.1:0").unwrap();
    let wanted = listening(&[second]);
    let then = |server: &mut Server| {
        is_free(first);
        waits.send_to(&packet, second).expect("somebody listens");
        waits.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(waits.recv(&mut [0; 512]).is_err(), "nobody answers yet");
        waits.set_read_timeout(Some(PATIENCE)).unwrap();
        let zones = vec![dns_support::name("bl.example")];
        server.configure(zones, None, AccessLists::default()).expect("configured");
    };
    server.move_to(&wanted, &path, then).unwrap();
    waits.recv(&mut [0; 512]).expect("what came in between is answered");
    answers(second);
    server.stop();
}

/// Every question to an address is answered while that is served on its own and as part of all addresses in turn.
#[test]
#[allow(clippy::needless_collect)] // the clients have to run all at once
fn no_query_is_lost_by_a_move() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = settings(state.path());
    settings.workers = 3;
    let port = free_port();
    let (own, all) = (at(1, port), SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    settings.listen = vec![own];
    let mut server = start(&settings);
    let mut stream = connect(own);
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (done, asked) = (Arc::clone(&done), Arc::clone(&asked));
            thread::spawn(move || {
                let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
                udp.connect(own).unwrap();
                udp.set_read_timeout(Some(PATIENCE)).unwrap();
                let packet = query(LISTED, 1);
                while !done.load(Ordering::Relaxed) {
                    // Four on their way at a time, none is sent again.
                    (0..4).for_each(|_| assert_eq!(udp.send(&packet).unwrap(), packet.len()));
                    for _ in 0..4 {
                        let mut buffer = [0; 512];
                        let len = udp.recv(&mut buffer).expect("no query is lost");
                        assert!(buffer[..len].ends_with(&[127, 0, 0, 5]));
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for round in 0..40 {
        let before = asked.load(Ordering::Relaxed);
        eventually("load between two moves", || asked.load(Ordering::Relaxed) > before + 100);
        let wanted = if round % 2 == 0 { all } else { own };
        moved(&mut server, &listening(&[wanted])).unwrap();
        assert_eq!(server.addresses(), [wanted]);
        exchange(&mut stream, &query(LISTED, 1)).expect("a connection that is open lives on");
    }
    done.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("every question was answered"));
    let stats = server.stats();
    assert!(stats.udp.dropped.iter().chain(&stats.tcp.dropped).all(|(_, count)| *count == 0), "{stats:?}");
    assert_eq!(stats.udp.queries, asked.load(Ordering::Relaxed));
    assert_eq!(stats.total.queries, asked.load(Ordering::Relaxed) + 40);
    server.stop();
}

/// There are more workers than at the start: they share what is counted in, and lose nothing.
#[test]
fn more_workers_than_at_the_start() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = settings(state.path());
    settings.workers = 1;
    let path = state.path().join("hits.log");
    settings.hit_log = Some(HitLog { path: path.clone(), clients: gatepost::config::ShownClients::Network });
    let mut server = start(&settings);
    let wanted: Vec<_> = (0..6).map(|last| at(last + 1, 0)).collect();
    moved(&mut server, &listening(&wanted)).unwrap();
    let addresses = server.addresses().to_vec();
    thread::scope(|scope| {
        for &address in &addresses {
            scope.spawn(move || (0..500).for_each(|_| drop(ask_udp(address, &query(LISTED, 1)))));
        }
    });
    let stats = server.stats();
    let zones = stats.zones.values().map(|zone| zone.noerror).sum::<u64>();
    assert_eq!((stats.udp.hits, stats.total.noerror, zones, stats.unlogged), (3000, 3000, 3000, 0));
    server.stop();
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 3000);
}

#[test]
fn dns_over_tls_and_https_come_and_go() {
    let state = tempfile::tempdir().unwrap();
    let mut server = start(&settings(state.path()));
    let pair = Pair::new(state.path(), "pair");
    let plain = server.addresses()[0];
    assert!(server.renew(&pair.identity()), "the first one");
    assert!(!server.renew(&pair.identity()), "the same");
    let any = vec![at(1, 0)];
    moved(&mut server, &Addresses { listen: any.clone(), dot: any.clone(), doh: any.clone() }).unwrap();
    let (dot, doh) = (server.dot_addresses()[0], server.doh_addresses()[0]);
    let packet = query(LISTED, 1);
    let mut tls = greet(connect(dot), &pair.trusting(&[b"dot"])).unwrap();
    assert!(exchange(&mut tls, &packet).expect("a reply").ends_with(&[127, 0, 0, 5]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = pair.http().build().unwrap();
    let reply = runtime.block_on(said(stream_support::post(&client, doh, &packet)));
    assert_eq!(reply.status, 200);

    moved(&mut server, &listening(&any)).unwrap();
    assert_eq!((server.dot_addresses(), server.doh_addresses()), (&[][..], &[][..]));
    assert_eq!(server.addresses(), [plain]);
    answers(plain);
    for address in [dot, doh] {
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    assert!(exchange(&mut tls, &packet).expect("a reply").ends_with(&[127, 0, 0, 5]), "it lives on");
    server.stop();
}
