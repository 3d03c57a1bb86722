//! The servers of the comparison that are made here: what the sockets cost, and what hickory's own UDP does.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use gatepost::server::udp::{Backend, Batch};
use hickory_proto::op::{Metadata, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::zone_handler::MessageResponseBuilder;
use roaring::RoaringBitmap;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};

use crate::peers::TEST_POINT;
use crate::rig::ZONE;

/// Sends every packet back as it came, through the batches that gatepost's workers use: the least that any answer can cost
/// over these system calls.
pub(crate) fn echo(port: &str) {
    let port: u16 = port.parse().expect("a port");
    let socket = UdpSocket::bind(("127.0.0.1", port)).expect("a free port");
    // As gatepost's sockets are, so that it stays the floor.
    set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE).expect("a socket");
    let mut batch = Batch::open(socket.into()).expect("a socket");
    loop {
        if batch.receive(true).expect("a socket") == 0 {
            continue;
        }
        for slot in batch.slots() {
            let len = slot.packet.len().min(slot.reply.len());
            slot.reply[..len].copy_from_slice(&slot.packet[..len]);
            *slot.len = len;
        }
        batch.send();
        batch.sweep();
    }
}

/// hickory's UDP loop in one thread, with a handler that does the least: a bitmap says whether an address is listed.
pub(crate) fn hickory(port: &str, list: &Path) {
    let port: u16 = port.parse().expect("a port");
    let text = fs::read_to_string(list).expect("the list");
    let listed = text.lines().map(|line| line.parse::<Ipv4Addr>().expect("an address"));
    let listed = listed.chain([TEST_POINT]).map(u32::from).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let socket = tokio::net::UdpSocket::bind(("127.0.0.1", port)).await.expect("a free port");
        let mut server = Server::new(Handler::new(listed));
        server.register_socket(socket);
        server.block_until_done().await.expect("it ends with its process");
    });
}

struct Handler {
    listed: RoaringBitmap,
    origin: Name,
    soa: Vec<Record>,
}

impl Handler {
    fn new(listed: RoaringBitmap) -> Self {
        let origin = Name::from_ascii(ZONE.to_owned() + ".").expect("a name");
        let soa = SOA::new(origin.clone(), origin.clone(), 1, 3600, 600, 86400, 600);
        let soa = vec![Record::from_rdata(origin.clone(), 600, RData::SOA(soa))];
        Self { listed, origin, soa }
    }

    fn is_listed(&self, name: &Name) -> bool {
        let octets = usize::from(name.num_labels()).checked_sub(usize::from(self.origin.num_labels()));
        if octets != Some(4) || !self.origin.zone_of(name) {
            return false;
        }
        let octets = name.iter().take(4).map(|label| std::str::from_utf8(label).ok()?.parse::<u8>().ok());
        let octets: Option<Vec<u8>> = octets.collect();
        matches!(octets.as_deref(), Some(&[d, c, b, a]) if self.listed.contains(u32::from_be_bytes([a, b, c, d])))
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut out: R,
    ) -> ResponseInfo {
        let asked = request.request_info().expect("one question").query;
        let name = Name::from(asked.name());
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        let builder = MessageResponseBuilder::from_message_request(request);
        let sent = if self.is_listed(&name) {
            let answer = Record::from_rdata(name, 2100, RData::A(Ipv4Addr::new(127, 0, 0, 2).into()));
            out.send_response(builder.build(metadata, &[answer], [], [], [])).await
        } else {
            metadata.response_code = ResponseCode::NXDomain;
            out.send_response(builder.build(metadata, [], [], &self.soa, [])).await
        };
        sent.expect("a socket")
    }
}
