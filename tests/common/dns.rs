//! A DNS client of a few lines: packets by hand, one question or a million in flight behind each other.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const SOA: u16 = 6;
pub(crate) const TXT: u16 = 16;

pub(crate) const NOERROR: u8 = 0;
pub(crate) const SERVFAIL: u8 = 2;
pub(crate) const NXDOMAIN: u8 = 3;
pub(crate) const REFUSED: u8 = 5;

/// Questions in flight. Small enough for any receive buffer.
const WINDOW: usize = 64;

/// How often what was lost is asked again.
const TRIES: usize = 20;

/// Which way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reply {
    pub(crate) rcode: u8,
    pub(crate) authoritative: bool,
    pub(crate) truncated: bool,
    /// A records of the answer section, as octets.
    pub(crate) a: Vec<[u8; 4]>,
    /// TXT records of the answer section, the strings of each put together.
    pub(crate) txt: Vec<String>,
    /// Records in the answer section.
    pub(crate) answers: usize,
    /// Serial of the SOA, in whichever section.
    pub(crate) serial: Option<u32>,
}

/// The question of `name` (dots between labels), as a packet with the id 0.
pub(crate) fn question(name: &str, qtype: u16) -> Vec<u8> {
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&qtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// The name under which `address` is looked up in `zone`.
pub(crate) fn name_v4(address: u32, zone: &str) -> String {
    let [a, b, c, d] = address.to_be_bytes();
    format!("{d}.{c}.{b}.{a}.{zone}")
}

/// The same for IPv6: 32 nibbles.
pub(crate) fn name_v6(address: u128, zone: &str) -> String {
    let mut name = String::with_capacity(64 + zone.len());
    for nibble in 0..32 {
        name.push(char::from_digit((address >> (4 * nibble)) as u32 & 15, 16).expect("a nibble"));
        name.push('.');
    }
    name + zone
}

/// Reads a reply to `question`. `Err` says what is wrong with it.
pub(crate) fn read(packet: &[u8], question: &[u8]) -> Result<Reply, String> {
    let short = || "cut short".to_owned();
    let u16_at =
        |at: usize| packet.get(at..at + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    if packet.len() < question.len() || packet[2] & 0x80 == 0 {
        return Err(format!("{} octets, no reply", packet.len()));
    }
    if packet[12..question.len()] != question[12..] {
        return Err("it echoes another question".to_owned());
    }
    let mut reply = Reply {
        rcode: packet[3] & 15,
        authoritative: packet[2] & 4 != 0,
        truncated: packet[2] & 2 != 0,
        answers: u16_at(6).ok_or_else(short)?,
        ..Reply::default()
    };
    let records = reply.answers + u16_at(8).ok_or_else(short)?;
    let mut at = question.len();
    for index in 0..records {
        at = skip_name(packet, at).ok_or_else(short)?;
        let rtype = u16_at(at).ok_or_else(short)? as u16;
        let len = u16_at(at + 8).ok_or_else(short)?;
        let data = packet.get(at + 10..at + 10 + len).ok_or_else(short)?;
        let answer = index < reply.answers;
        match rtype {
            A if answer => {
                let octets: [u8; 4] =
                    data.try_into().map_err(|_| "an A record of another size".to_owned())?;
                reply.a.push(octets);
            }
            TXT if answer => {
                let mut text = String::new();
                let mut rest = data;
                while let Some((&len, more)) = rest.split_first() {
                    let (string, after) = more.split_at_checked(len.into()).ok_or_else(short)?;
                    text.push_str(&String::from_utf8_lossy(string));
                    rest = after;
                }
                reply.txt.push(text);
            }
            SOA => {
                let numbers = data.len().checked_sub(20).ok_or_else(short)?;
                reply.serial = Some(u32::from_be_bytes(data[numbers..numbers + 4].try_into().expect("four")));
            }
            _ => {}
        }
        at += 10 + len;
    }
    Ok(reply)
}

fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            len if len >= 0xc0 => return Some(at + 2),
            len => at += 1 + usize::from(len),
        }
    }
}

/// Asks for `name` and reads the reply; panics when there is none.
pub(crate) fn ask(server: SocketAddr, over: Over, name: &str, qtype: u16) -> Reply {
    let mut result = None;
    ask_all(server, over, [(question(name, qtype), ())], |(), reply| result = Some(reply));
    result.expect("asked once")
}

/// Asks over UDP, for a short time: `None` when nobody answers.
pub(crate) fn try_ask(server: SocketAddr, name: &str, qtype: u16) -> Option<Reply> {
    let socket = udp(server);
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let packet = question(name, qtype);
    socket.send(&packet).ok()?;
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).ok()?;
    read(&buffer[..len], &packet).ok()
}

/// Asks everything in `questions`, many at a time, and hands each reply on with what came beside its question.
/// Panics on a reply that makes no sense and when one does not come.
pub(crate) fn ask_all<T>(
    server: SocketAddr,
    over: Over,
    questions: impl IntoIterator<Item = (Vec<u8>, T)>,
    mut each: impl FnMut(T, Reply),
) {
    exchange(server, over, questions, |beside, question, packet| {
        let reply = read(packet, question)
            .unwrap_or_else(|wrong| panic!("{wrong}: asked {question:02x?}, got {packet:02x?}"));
        each(beside, reply);
    });
}

/// The same with the packets as they are: question and reply.
pub(crate) fn exchange<T>(
    server: SocketAddr,
    over: Over,
    questions: impl IntoIterator<Item = (Vec<u8>, T)>,
    mut each: impl FnMut(T, &[u8], &[u8]),
) {
    let mut questions = questions.into_iter();
    let mut transport = Transport::new(server, over);
    let mut flying = HashMap::with_capacity(WINDOW);
    let mut next_id: u16 = 0;
    let mut tries = 0;
    loop {
        let mut out = Vec::new();
        while flying.len() < WINDOW {
            let Some((mut packet, beside)) = questions.next() else { break };
            packet[..2].copy_from_slice(&next_id.to_be_bytes());
            out.push(packet.clone());
            let before = flying.insert(next_id, (packet, beside));
            assert!(before.is_none(), "a reply stayed away for 65,536 questions");
            next_id = next_id.wrapping_add(1);
        }
        if flying.is_empty() {
            return;
        }
        transport.send(&out);
        // Half of the window, so that packets go out and come in by the dozen.
        let enough = if flying.len() < WINDOW { 1 } else { WINDOW / 2 };
        for _ in 0..enough {
            let Some(packet) = transport.receive() else {
                tries += 1;
                assert!(tries < TRIES, "{} questions over {over:?} got no reply", flying.len());
                let again: Vec<_> = flying.values().map(|(packet, _)| packet.clone()).collect();
                transport.send(&again);
                continue;
            };
            let id = u16::from_be_bytes([packet[0], packet[1]]);
            // One that was asked for twice comes twice.
            let Some((question, beside)) = flying.remove(&id) else { continue };
            each(beside, &question, &packet);
            tries = 0;
        }
    }
}

fn udp(server: SocketAddr) -> UdpSocket {
    let own = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(own).expect("a free port");
    socket.connect(server).expect("a local server");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    socket
}

enum Transport {
    Udp(UdpSocket),
    Tcp { server: SocketAddr, stream: Option<TcpStream>, read: Vec<u8> },
}

impl Transport {
    fn new(server: SocketAddr, over: Over) -> Self {
        match over {
            Over::Udp => Self::Udp(udp(server)),
            Over::Tcp => Self::Tcp { server, stream: None, read: Vec::new() },
        }
    }

    fn send(&mut self, packets: &[Vec<u8>]) {
        match self {
            Self::Udp(socket) => packets.iter().for_each(|packet| {
                socket.send(packet).expect("sent");
            }),
            Self::Tcp { server, stream, .. } => {
                let mut octets = Vec::new();
                for packet in packets {
                    octets.extend_from_slice(&(packet.len() as u16).to_be_bytes());
                    octets.extend_from_slice(packet);
                }
                let stream = stream.get_or_insert_with(|| {
                    let stream = TcpStream::connect(*server).expect("a local server");
                    stream.set_nodelay(true).expect("an option");
                    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
                    stream
                });
                // A connection that the server closed is noticed when reading.
                let _ = stream.write_all(&octets);
            }
        }
    }

    /// The next packet; `None` when none comes, or when the connection ended (the next one is a new one).
    fn receive(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Udp(socket) => {
                let mut buffer = [0; 4096];
                // A receive with a time limit is not taken up again by itself after a signal (signal(7)).
                let received = loop {
                    match socket.recv(&mut buffer) {
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        received => break received,
                    }
                };
                match received {
                    Ok(len) if len >= 12 => Some(buffer[..len].to_vec()),
                    Ok(len) => panic!("a packet of {len} octets"),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
                    Err(error) => panic!("{error}"),
                }
            }
            Self::Tcp { stream, read, .. } => loop {
                if let Some((len, rest)) = read.split_first_chunk::<2>() {
                    let len = usize::from(u16::from_be_bytes(*len));
                    if rest.len() >= len {
                        let packet = rest[..len].to_vec();
                        read.drain(..2 + len);
                        return Some(packet);
                    }
                }
                let mut buffer = [0; 16384];
                match stream.as_mut()?.read(&mut buffer) {
                    Ok(len) if len > 0 => read.extend_from_slice(&buffer[..len]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    _ => {
                        *stream = None;
                        read.clear();
                        return None;
                    }
                }
            },
        }
    }
}
