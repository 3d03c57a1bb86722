//! The backends over real sockets: what goes in comes out, from where it was asked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::{Backend, Batch, RECEIVE_MAX, Single, drops};

fn client(to: SocketAddr) -> UdpSocket {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Receives everything that is there and answers it with its own octets and a mark; tells how many packets came in how
/// many batches, and how many could not be answered.
fn echo(backend: &mut impl Backend, answer: impl Fn(&[u8]) -> bool) -> (usize, usize, usize) {
    let (mut packets, mut batches, mut lost) = (0, 0, 0);
    loop {
        let count = backend.receive(false).unwrap();
        if count == 0 {
            return (packets, batches, lost);
        }
        let mut seen = 0;
        for slot in backend.slots() {
            seen += 1;
            assert_eq!(*slot.len, 0, "as it comes");
            if answer(slot.packet) {
                let len = slot.packet.len().min(slot.reply.len() - 1);
                slot.reply[..len].copy_from_slice(&slot.packet[..len]);
                slot.reply[len] = b'!';
                *slot.len = len + 1;
            }
        }
        assert_eq!(seen, count);
        lost += backend.send();
        backend.sweep();
        packets += count;
        batches += 1;
    }
}

fn received(client: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (len, from) = client.recv_from(&mut buffer).unwrap();
    (buffer[..len].to_vec(), from)
}

/// Hundreds of packets of all lengths from several clients: each comes back to who sent it.
fn packets_come_back<B: Backend>(bind: &str) -> usize {
    let Ok(socket) = UdpSocket::bind(bind) else {
        return 0; // no IPv6 here
    };
    let server = socket.local_addr().unwrap();
    let mut backend = B::open(Arc::new(socket)).unwrap();
    let clients: Vec<_> = (0..3).map(|_| client(server)).collect();
    let mut batches = 0;
    for round in 0..5usize {
        let mut expected: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for n in 0..50usize {
            let which = (n * 7 + round) % 3;
            let packet = vec![(n + round * 50) as u8; n * 5 % 200 + 1];
            clients[which].send_to(&packet, server).unwrap();
            // Every fifth is left unanswered.
            if n % 5 != 0 {
                expected.entry(which).or_default().push([&packet[..], b"!"].concat());
            }
        }
        let silent: Vec<Vec<u8>> = (0..50usize)
            .filter(|n| n % 5 == 0)
            .map(|n| vec![(n + round * 50) as u8; n * 5 % 200 + 1])
            .collect();
        let (packets, took, lost) = echo(&mut backend, |packet| !silent.iter().any(|other| other == packet));
        assert_eq!((packets, lost), (50, 0));
        batches += took;
        for (which, expected) in expected {
            for packet in expected {
                assert_eq!(received(&clients[which]), (packet, server));
            }
        }
    }
    batches
}

#[test]
fn packets_come_back_one_by_one() {
    assert_eq!(packets_come_back::<Single>("127.0.0.1:0"), 250);
    packets_come_back::<Single>("[::1]:0");
}

#[test]
fn packets_come_back_in_batches() {
    assert_eq!(packets_come_back::<Batch>("127.0.0.1:0"), 5 * 2, "32 and 18");
    packets_come_back::<Batch>("[::1]:0");
}

/// Bound to all addresses: the reply leaves from the one that was asked, also in slots that were used before.
fn from_where_it_was_asked<B: Backend>() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut backend = B::open(Arc::new(socket)).unwrap();
    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for round in 0..3u8 {
        for last in 1..=40u8 {
            client.send_to(&[round, last], (Ipv4Addr::new(127, 0, round, last), port)).unwrap();
        }
        assert_eq!(echo(&mut backend, |_| true).0, 40);
        for last in 1..=40u8 {
            let from = SocketAddr::from(([127, 0, round, last], port));
            assert_eq!(received(&client), (vec![round, last, b'!'], from));
        }
    }
}

#[test]
fn from_where_it_was_asked_one_by_one() {
    from_where_it_was_asked::<Single>();
}

#[test]
fn from_where_it_was_asked_in_batches() {
    from_where_it_was_asked::<Batch>();
}

/// The longest packet that there can be comes whole, and so does what is next.
fn long_packets<B: Backend>() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    let mut backend = B::open(Arc::new(socket)).unwrap();
    let client = client(server);
    const LONGEST: usize = 65_535 - 20 - 8;
    const { assert!(LONGEST < RECEIVE_MAX) };
    let longest: Vec<u8> = (0..LONGEST).map(|at| at as u8).collect();
    for packet in [&longest[..], &[2; 3], &[]] {
        client.send_to(packet, server).unwrap();
    }
    let mut packets = Vec::new();
    while backend.receive(false).unwrap() > 0 {
        packets.extend(backend.slots().map(|slot| slot.packet.to_vec()));
        backend.sweep();
    }
    assert_eq!(packets, [longest, vec![2; 3], vec![]]);
    // Nothing is there: it waits, but not for ever.
    assert_eq!(backend.receive(true).unwrap(), 0);
}

#[test]
fn long_packets_one_by_one() {
    long_packets::<Single>();
}

#[test]
fn long_packets_in_batches() {
    long_packets::<Batch>();
}

#[test]
fn this_system_has_batches() {
    assert!(Batch::is_supported());
}

#[test]
fn what_the_system_throws_away_is_counted() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    setsockopt(&server, sockopt::RcvBuf, &4096).unwrap();
    assert_eq!(drops(server.as_fd()), Some(0));
    let client = client(server.local_addr().unwrap());
    for _ in 0..1000 {
        client.send_to(&[1; 100], server.local_addr().unwrap()).unwrap();
    }
    assert!(drops(server.as_fd()).is_some_and(|count| (900..1000).contains(&count)));
}
