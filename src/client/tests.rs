//! The client against servers that behave otherwise than ours.

use std::net::TcpListener;
use std::thread;

use super::*;

/// A reply to `query` with these flags and codes, and one A record when `answers` is 1.
fn reply(query: &[u8], flags: [u8; 2], answers: u8) -> Vec<u8> {
    let question = 12 + query[12..].iter().position(|&octet| octet == 0).unwrap() + 5;
    let mut reply = query[..question].to_vec();
    reply[2..4].copy_from_slice(&flags);
    reply[6..12].copy_from_slice(&[0, answers, 0, 0, 0, 0]);
    if answers == 1 {
        reply.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02");
    }
    reply
}

fn client(server: SocketAddr) -> Client {
    Client { server, timeout: Duration::from_secs(10) }
}

fn name() -> Name {
    "2.0.0.127.bl.example".parse().unwrap()
}

/// A truncated reply is asked again over TCP; forged and late datagrams are passed over.
#[test]
fn truncated_and_forged() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    let server = thread::spawn(move || {
        let mut packet = [0; 512];
        let (len, peer) = udp.recv_from(&mut packet).unwrap();
        let query = &packet[..len];
        let mut forged = reply(query, [0x84, 3], 0);
        forged[0] ^= 1;
        udp.send_to(&forged, peer).unwrap();
        udp.send_to(b"junk", peer).unwrap();
        let mut other = reply(query, [0x84, 3], 0);
        other[13] ^= 1;
        udp.send_to(&other, peer).unwrap();
        udp.send_to(&reply(query, [0x86, 0], 0), peer).unwrap();
        let (mut stream, _) = tcp.accept().unwrap();
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut query).unwrap();
        let reply = reply(&query, [0x84, 0], 1);
        stream.write_all(&(reply.len() as u16).to_be_bytes()).unwrap();
        stream.write_all(&reply).unwrap();
    });
    let reply = client(address).ask(&name(), Rtype::A, Over::Udp).unwrap();
    assert!(reply.authoritative && !reply.truncated && !reply.edns);
    assert_eq!(reply.answers[0].data, Data::A(Ipv4Addr::new(127, 0, 0, 2)));
    assert_eq!((reply.answers[0].ttl, reply.answers[0].rtype), (60, Rtype::A));
    server.join().unwrap();
}

#[test]
fn a_lost_datagram_is_sent_again() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut packet = [0; 512];
        udp.recv_from(&mut packet).unwrap();
        let (len, peer) = udp.recv_from(&mut packet).unwrap();
        udp.send_to(&reply(&packet[..len], [0x84, 3], 0), peer).unwrap();
    });
    let client = Client { server: address, timeout: Duration::from_secs(2) };
    let reply = client.ask(&name(), Rtype::A, Over::Udp).unwrap();
    assert_eq!(reply.rcode, Rcode::NXDOMAIN);
    server.join().unwrap();
}

#[test]
fn no_reply_is_an_error() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = Client { server: silent.local_addr().unwrap(), timeout: Duration::from_millis(50) };
    assert!(matches!(client.ask(&name(), Rtype::A, Over::Udp), Err(ClientError::Timeout(_))));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let client = Client { server: nobody, timeout: Duration::from_secs(10) };
    assert!(matches!(client.ask(&name(), Rtype::A, Over::Tcp), Err(ClientError::Io { .. })));
}

#[test]
fn nonsense_over_tcp() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let server = thread::spawn(move || {
        for stream in tcp.incoming().take(1) {
            let mut stream = stream.unwrap();
            let mut octets = [0; 64];
            let _ = stream.read(&mut octets);
            stream.write_all(b"\x00\x04junk").unwrap();
        }
    });
    assert!(matches!(client(address).ask(&name(), Rtype::A, Over::Tcp), Err(ClientError::Nonsense { .. })));
    server.join().unwrap();
}

/// A resolver that passes the right answers on is not the server that was asked for.
#[test]
fn a_probe_wants_authority() {
    for (aa, right) in [(0x04, true), (0, false)] {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut packet = [0; 512];
            // Right for 1.0.0.127 only, which is enough to see the difference.
            for _ in 0..4 {
                let (len, peer) = udp.recv_from(&mut packet).unwrap();
                udp.send_to(&reply(&packet[..len], [0x80 | aa, 3], 0), peer).unwrap();
            }
        });
        let report = probe(&client(address), &"bl.example".parse().unwrap(), Over::Udp).unwrap();
        let never = report.checks.iter().find(|check| check.what.contains("127.0.0.1")).unwrap();
        assert_eq!(never.wrong.is_none(), right, "{report:?}");
        server.join().unwrap();
    }
}

/// A server that gives small letters back is told from one that gives the same.
#[test]
fn letters_and_flags() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut asked = Vec::new();
        for same in [true, false] {
            let mut packet = [0; 512];
            let (len, peer) = udp.recv_from(&mut packet).unwrap();
            let mut reply = reply(&packet[..len], [0x80, 0x83], 0);
            if !same {
                reply[12..].make_ascii_lowercase();
            }
            udp.send_to(&reply, peer).unwrap();
            asked.push(packet[..len].to_vec());
        }
        asked
    });
    let manner = Manner { recursion: true, unchecked: true, signed: true, chaos: true };
    let spelt = name().as_wire().to_ascii_uppercase();
    let ask = || client(address).ask_so(&spelt, Rtype::TXT, Over::Udp, manner).unwrap();
    assert!(ask().same_letters);
    let reply = ask();
    assert!(!reply.same_letters && reply.recursive && !reply.authoritative);
    for packet in server.join().unwrap() {
        assert_eq!(packet[2..4], [1, 0x30]);
        let question = b"\x012\x010\x010\x03127\x02BL\x07EXAMPLE\x00\x00\x10\x00\x03";
        assert_eq!(packet[12..12 + question.len()], question[..]);
    }
}
