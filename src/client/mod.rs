//! A small DNS client for the program's own questions: probes, comparisons, the doctor's.
//!
//! [`Client::ask`] sends one question and gives a [`Reply`] in plain types; [`ask_beside`] sends many to two servers and gives
//! what they answer differently. Blocking, with a time limit. Never:
//! recursion, caching, resolver configuration.

mod beside;
mod probe;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name as WireName, RData, Record as WireRecord, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

pub use beside::{Asked, Beside, BesideError, Difference, Gap, Side, ask_beside};
pub use probe::{Check, Probe, probe, probe_subzone, probe_with};

use crate::model::{Name, Rtype, Ttl};
use crate::wire::{Rcode, STREAM_MAX, UDP_MAX};

/// How long a question may take, all tries together.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// Questions to one server.
#[derive(Debug, Clone)]
pub struct Client {
    /// The server.
    pub server: SocketAddr,
    /// How long a question may take.
    pub timeout: Duration,
}

/// Where a server that listens on `address` can be reached from this machine.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// UDP, and TCP when the reply is truncated.
    Udp,
    /// TCP at once.
    Tcp,
}

/// What a question asks for besides. By default nothing, as whoever asks an authoritative server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// Recursion (RD), as whoever asks a resolver does.
    pub recursion: bool,
    /// Answers that were not validated (CD).
    pub unchecked: bool,
    /// Whether they are signed (AD), as dig does.
    pub signed: bool,
    /// Class CH: what a server says of itself.
    pub chaos: bool,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Response code.
    pub rcode: Rcode,
    /// The server has authority (AA).
    pub authoritative: bool,
    /// The server asks others (RA).
    pub recursive: bool,
    /// The question came back letter for letter.
    pub same_letters: bool,
    /// The records did not fit (TC); over UDP only when TCP failed to bring more.
    pub truncated: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The server speaks EDNS.
    pub edns: bool,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its owner, as text.
    pub owner: String,
    /// Its type.
    pub rtype: Rtype,
    /// Its TTL.
    pub ttl: Ttl,
    /// Its data.
    pub data: Data,
}

/// The data of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// Strings.
    Txt(Vec<Vec<u8>>),
    /// Anything else, in presentation form.
    Other(String),
}

/// Why a question has no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No reply in time.
    #[error("no reply from {0} in time")]
    Timeout(SocketAddr),
    /// The system or the network says no.
    #[error("{server}: {source}")]
    Io {
        /// The server.
        server: SocketAddr,
        /// What went wrong.
        source: io::Error,
    },
    /// The reply cannot be read, or answers another question.
    #[error("{server} sent a reply that makes no sense: {what}")]
    Nonsense {
        /// The server.
        server: SocketAddr,
        /// What is wrong with it.
        what: String,
    },
}

impl Client {
    /// A client with the default time limit.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, timeout: DEFAULT_TIMEOUT }
    }

    /// Asks for `rtype` at `name`, class IN, with EDNS and without RD.
    pub fn ask(&self, name: &Name, rtype: Rtype, over: Over) -> Result<Reply, ClientError> {
        self.ask_spelt(name.as_wire(), rtype, over)
    }

    /// The same for a name in wire form, spelt with the capitals that it has there.
    pub fn ask_spelt(&self, name: &[u8], rtype: Rtype, over: Over) -> Result<Reply, ClientError> {
        self.ask_so(name, rtype, over, Manner::default())
    }

    /// The same in another manner.
    pub fn ask_so(
        &self,
        name: &[u8],
        rtype: Rtype,
        over: Over,
        manner: Manner,
    ) -> Result<Reply, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let question = Question::new(name, rtype, manner).map_err(|error| self.nonsense(&error))?;
        let fits = |message: &Message| question.is_answered_by(message);
        if over == Over::Udp {
            let reply = self.udp(&question.packet, deadline, fits)?;
            if !reply.metadata.truncation {
                return Ok(question.reply(&reply));
            }
        }
        let reply = self.tcp(&question.packet, deadline)?;
        if !fits(&reply) {
            return Err(self.nonsense(&"it answers another question"));
        }
        Ok(question.reply(&reply))
    }

    /// Sends twice: a datagram may get lost. Waits for a reply that fits; others may be late or forged.
    fn udp(
        &self,
        packet: &[u8],
        deadline: Instant,
        fits: impl Fn(&Message) -> bool,
    ) -> Result<Message, ClientError> {
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).map_err(|error| self.failed(error))?;
        socket.connect(self.server).map_err(|error| self.failed(error))?;
        let mut buffer = vec![0; STREAM_MAX];
        for last in [deadline - self.timeout / 2, deadline] {
            socket.send(packet).map_err(|error| self.failed(error))?;
            while let Some(left) = left(last) {
                socket.set_read_timeout(Some(left)).map_err(|error| self.failed(error))?;
                match socket.recv(&mut buffer) {
                    Ok(len) => match Message::from_vec(&buffer[..len]) {
                        Ok(message) if fits(&message) => return Ok(message),
                        _ => {}
                    },
                    Err(error) if is_timeout(&error) => break,
                    Err(error) => return Err(self.failed(error)),
                }
            }
        }
        Err(ClientError::Timeout(self.server))
    }

    fn tcp(&self, packet: &[u8], deadline: Instant) -> Result<Message, ClientError> {
        let limit = || left(deadline).ok_or(ClientError::Timeout(self.server));
        let mut stream =
            TcpStream::connect_timeout(&self.server, limit()?).map_err(|error| self.failed(error))?;
        stream.set_write_timeout(Some(limit()?)).map_err(|error| self.failed(error))?;
        let framed = [&(packet.len() as u16).to_be_bytes(), packet].concat();
        stream.write_all(&framed).map_err(|error| self.failed(error))?;
        let mut read = |buffer: &mut [u8]| {
            let mut at = 0;
            while at < buffer.len() {
                stream.set_read_timeout(Some(limit()?)).map_err(|error| self.failed(error))?;
                match stream.read(&mut buffer[at..]) {
                    Ok(0) => return Err(self.failed(io::ErrorKind::UnexpectedEof.into())),
                    Ok(len) => at += len,
                    Err(error) => return Err(self.failed(error)),
                }
            }
            Ok(())
        };
        let mut len = [0; 2];
        read(&mut len)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
        read(&mut message)?;
        Message::from_vec(&message).map_err(|error| self.nonsense(&error))
    }

    fn failed(&self, source: io::Error) -> ClientError {
        match is_timeout(&source) {
            true => ClientError::Timeout(self.server),
            false => ClientError::Io { server: self.server, source },
        }
    }

    fn nonsense(&self, what: &dyn fmt::Display) -> ClientError {
        ClientError::Nonsense { server: self.server, what: what.to_string() }
    }
}

/// Asks whatever turns a packet into a reply, without a socket. `Err` says what is wrong with the reply, or that there
/// is none.
pub fn ask_directly(
    name: &Name,
    rtype: Rtype,
    answer: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<Reply, String> {
    let question =
        Question::new(name.as_wire(), rtype, Manner::default()).map_err(|error| error.to_string())?;
    let reply = answer(&question.packet).ok_or("no reply")?;
    let reply = Message::from_vec(&reply).map_err(|error| error.to_string())?;
    if !question.is_answered_by(&reply) {
        return Err("it answers another question".to_owned());
    }
    Ok(question.reply(&reply))
}

/// What people call a response code.
pub fn rcode_name(rcode: Rcode) -> String {
    match rcode {
        Rcode::NOERROR => "NOERROR".to_owned(),
        Rcode::NXDOMAIN => "NXDOMAIN".to_owned(),
        Rcode::SERVFAIL => "SERVFAIL".to_owned(),
        Rcode::REFUSED => "REFUSED".to_owned(),
        Rcode(code) => format!("response code {code}"),
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Txt(strings) => write!(f, "{:?}", String::from_utf8_lossy(&strings.concat())),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// A question as it is sent, and what knows its reply.
struct Question {
    id: u16,
    query: Query,
    packet: Vec<u8>,
}

impl Question {
    fn new(name: &[u8], rtype: Rtype, manner: Manner) -> Result<Self, ProtoError> {
        let id = RandomState::new().hash_one(name) as u16;
        let owner = WireName::read(&mut BinDecoder::new(name))?;
        let mut query = Query::query(owner, RecordType::from(rtype.0));
        if manner.chaos {
            query.set_query_class(DNSClass::CH);
        }
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = manner.recursion;
        message.metadata.checking_disabled = manner.unchecked;
        message.metadata.authentic_data = manner.signed;
        message.add_query(query.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_MAX as u16);
        message.set_edns(edns);
        Ok(Self { id, query, packet: message.to_vec()? })
    }

    /// Whatever the case of the letters is that come back.
    fn is_answered_by(&self, message: &Message) -> bool {
        message.metadata.id == self.id
            && message.metadata.message_type == MessageType::Response
            && (message.queries.is_empty() || message.queries == [self.query.clone()])
    }

    fn reply(&self, message: &Message) -> Reply {
        let records = |section: &[WireRecord]| section.iter().map(Record::from).collect();
        Reply {
            rcode: Rcode(message.metadata.response_code.into()),
            authoritative: message.metadata.authoritative,
            recursive: message.metadata.recursion_available,
            same_letters: message.queries.iter().any(|query| query.name().eq_case(self.query.name())),
            truncated: message.metadata.truncation,
            answers: records(&message.answers),
            authorities: records(&message.authorities),
            edns: message.edns.is_some(),
        }
    }
}

impl Record {
    /// Of a start of authority: the name of the primary server, and the serial.
    pub fn start_of_authority(&self) -> Option<(&str, &str, u32)> {
        let Data::Other(text) = &self.data else { return None };
        let mut words = text.split_whitespace();
        let (primary, mailbox, serial) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        (self.rtype == Rtype::SOA).then_some((primary, mailbox, serial))
    }
}

/// What is left until `deadline`, if anything is.
fn left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl From<&WireRecord> for Record {
    fn from(record: &WireRecord) -> Self {
        let data = match &record.data {
            RData::A(address) => Data::A(address.0),
            RData::TXT(text) => Data::Txt(text.txt_data.iter().map(|string| string.to_vec()).collect()),
            other => Data::Other(other.to_string()),
        };
        Self {
            owner: record.name.to_string(),
            rtype: Rtype(record.record_type().into()),
            ttl: record.ttl,
            data,
        }
    }
}

#[cfg(test)]
mod tests;
