//! From a message to its reply, whatever stream it came over.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use hickory_proto::ProtoError;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::net::NetError;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponse;

use super::Dropped;
use crate::server::World;
use crate::server::books::SharedBooks;
use crate::server::front::{Front, Handled};
use crate::server::respond::{Moment, Outcome, grant};
use crate::wire::{self, LowerName, Refusal, STREAM_MAX, UDP_PLAIN};

/// Answers messages of one kind of stream, and counts them.
pub(super) struct Desk {
    front: Front,
    books: SharedBooks,
}

/// What a message gets.
pub(super) enum Answer {
    /// A reply.
    Reply(Vec<u8>),
    /// It deserves none.
    Silence,
    /// An access list says so.
    Denied,
    /// It could not be made.
    Unable,
}

impl Desk {
    pub(super) fn new(worlds: &Arc<ArcSwap<World>>, books: SharedBooks) -> Self {
        Self { front: Front::new(Arc::clone(worlds), Arc::clone(&books.counters)), books }
    }

    /// Whether a connection of `peer` is taken at all.
    pub(super) fn welcome(&self, peer: SocketAddr) -> Result<(), Dropped> {
        match peer.port() {
            0 => Err(Dropped::SourcePort),
            _ if self.front.denies(peer.ip()) => Err(Dropped::Denied),
            _ => Ok(()),
        }
    }

    /// A connection or message without a reply.
    pub(super) fn note_dropped(&self, why: Dropped) {
        self.books.counters.note_dropped(why);
    }

    /// Whether what one client is told may be told to any other.
    pub(super) fn is_open(&self) -> bool {
        self.front.world().is_open()
    }

    /// Answers a message.
    pub(super) async fn answer(&self, message: &[u8], peer: SocketAddr) -> Answer {
        let (books, client) = (&self.books, peer.ip());
        if self.front.denies(client) {
            books.counters.note_shared(&Outcome::Denied);
            return Answer::Denied;
        }
        let mut name = LowerName::ROOT;
        let mut query = match wire::parse(message, &mut name) {
            Ok(query) => query,
            Err(Refusal::Silent(why)) => {
                books.counters.note_shared(&Outcome::Silent(why));
                return Answer::Silence;
            }
            Err(Refusal::Answer(mut denial)) => {
                grant(&self.front.world(), client, denial.opt.as_mut(), Moment::now());
                return Answer::Reply(self.refuse(&denial, client, message.len()));
            }
        };
        grant(&self.front.world(), client, query.opt.as_mut(), Moment::now());
        // What is ignored must not reach a parser that does not ignore it.
        let request = match Request::from_bytes(query.essence(), peer, Protocol::Tcp) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "a query that the stream front cannot read");
                return Answer::Unable;
            }
        };
        let out = Sink::default();
        let Handled { info, listed } = self.front.handle(&request, out.clone()).await;
        let reply = std::mem::take(&mut *out.0.lock().unwrap_or_else(PoisonError::into_inner));
        if reply.is_empty() {
            // Nothing was sent: it was not to be, or could not be.
            return if info.response_code == ResponseCode::Refused { Answer::Denied } else { Answer::Unable };
        }
        let world = self.front.world();
        let zone = world.place(query.name).map(|place| place.tally);
        books.note_traffic(client, zone, message.len(), &reply);
        if listed {
            books.note_listed(client, &reply);
        }
        Answer::Reply(reply)
    }

    /// A reply without records.
    fn refuse(&self, denial: &wire::Denial<'_>, client: IpAddr, octets: usize) -> Vec<u8> {
        let mut reply = vec![0; UDP_PLAIN];
        let encoded = wire::refuse(denial, &mut reply);
        reply.truncate(encoded.len);
        self.books.counters.note_shared(&Outcome::Reply { encoded, listed: false, zone: None });
        self.books.note_traffic(client, None, octets, &reply);
        reply
    }
}

/// Takes hickory's response.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);
#[async_trait::async_trait]
impl ResponseHandler for Sink {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut message = Vec::with_capacity(UDP_PLAIN);
        let info = emit(response, &mut message)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = message;
        Ok(info)
    }
}

fn emit<'a>(
    response: MessageResponse<
        '_,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    >,
    message: &mut Vec<u8>,
) -> Result<ResponseInfo, ProtoError> {
    let mut encoder = BinEncoder::new(message);
    encoder.set_max_size(STREAM_MAX as u16);
    response.destructive_emit(&mut encoder)
}
