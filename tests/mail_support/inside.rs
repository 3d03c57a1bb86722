//! What is asked and said in the network of a host: questions of DNS, SMTP sessions, whether a port is open. By threads that are in that network,
//! not by programs that start there, which would take most of a test's time.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Socket, Type};

use super::Mail;
use crate::common::dns;

/// For one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Of asking, in that time.
const TRIES: u32 = 10;
/// For one reply: a resolver that nobody answers takes its time.
const REPLY: Duration = Duration::from_secs(60);
/// Where mail programs listen.
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Does something in the network of the process `init`.
pub(super) fn network<T: Send>(init: &str, work: impl FnOnce() -> T + Send) -> T {
    let file = File::open(format!("/proc/{init}/ns/net")).unwrap();
    // A network is a thread's.
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The addresses that a name has, a line for each; nothing where nobody answers.
pub(super) fn addresses(server: SocketAddr, name: &str) -> String {
    let question = dns::question(name, dns::A);
    let ask = || -> Result<Vec<u8>, Error> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(ANSWER / TRIES))?;
        socket.connect(server)?;
        let mut packet = vec![0; 1500];
        // A server that starts may lose what it is asked first.
        for _ in 0..TRIES {
            socket.send(&question)?;
            match socket.recv(&mut packet) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                len => {
                    packet.truncate(len?);
                    return Ok(packet);
                }
            }
        }
        Err(ErrorKind::TimedOut.into())
    };
    let reply = ask().ok().and_then(|packet| dns::read(&packet, &question).ok()).unwrap_or_default();
    reply.a.into_iter().map(|octets| format!("{}\n", Ipv4Addr::from(octets))).collect()
}

pub(super) fn accepts(server: SocketAddr) -> bool {
    TcpStream::connect_timeout(&server, ANSWER).is_ok()
}

/// A session up to RCPT: the first reply that is no success, else RCPT's, in one line.
pub(super) fn session(port: u16, mail: &Mail<'_>) -> Result<String, Error> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let client: IpAddr = mail.client.parse().unwrap();
    socket.bind(&SocketAddr::new(client, 0).into())?;
    socket.connect(&SocketAddr::new(SERVER.into(), port).into())?;
    let mut stream = BufReader::new(TcpStream::from(socket));
    stream.get_ref().set_read_timeout(Some(REPLY))?;
    let mut said = reply(&mut stream)?;
    let commands = [
        Some(format!("EHLO {}", mail.helo)),
        mail.logs_in.then(|| "AUTH PLAIN AHVzZXIAc2VjcmV0".to_owned()),
        Some(format!("MAIL FROM:<{}>", mail.sender)),
        Some(format!("RCPT TO:<{}>", mail.recipient)),
    ];
    for command in commands.into_iter().flatten() {
        if said.starts_with(['4', '5']) {
            break;
        }
        write!(stream.get_mut(), "{command}\r\n")?;
        said = reply(&mut stream)?;
    }
    // Whoever hangs up first does not care.
    if write!(stream.get_mut(), "QUIT\r\n").is_ok() {
        let _ = reply(&mut stream);
    }
    Ok(said)
}

/// The code, and the texts of all its lines.
fn reply(stream: &mut impl BufRead) -> Result<String, Error> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(Error::other(format!("it hangs up after {said:?}")));
        }
        let line = line.trim_end();
        let (code, text) =
            line.split_at_checked(3).ok_or_else(|| Error::other(format!("no reply: {line:?}")))?;
        if said.is_empty() {
            said.push_str(code);
        }
        let text = text.strip_prefix(['-', ' ']).unwrap_or(text).trim();
        if !text.is_empty() {
            said = format!("{said} {text}");
        }
        if !line[3..].starts_with('-') {
            return Ok(said);
        }
    }
}
