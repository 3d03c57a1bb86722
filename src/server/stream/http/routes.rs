//! What is said to a request: 200 with a DNS message whatever its response code is (RFC 8484 section 4.2.1), or why there is
//! none.
//!
//! | | |
//! | --- | --- |
//! | no DNS question in it, or one that deserves silence | 400 |
//! | an access list wants silence | 403 |
//! | another path; another method | 404; 405 |
//! | the body does not come; is longer than a DNS message; is something else | 408; 413; 415 |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, FromRequest, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::timeout;

use super::Peer;
use crate::server::stats::Dropped;
use crate::server::stream::desk::{Answer, Desk};
use crate::wire::{self, STREAM_MAX};

/// The media type of DNS messages.
const DNS_MESSAGE: &str = "application/dns-message";

struct Doh {
    desk: Arc<Desk>,
    /// How long a body may take to arrive.
    message: Duration,
}

/// Questions at `path`, nothing elsewhere.
pub(super) fn router(desk: Arc<Desk>, path: &str, message: Duration) -> Router {
    Router::new()
        .route(path, get(in_the_query).post(in_the_body))
        .layer(DefaultBodyLimit::max(STREAM_MAX))
        .with_state(Arc::new(Doh { desk, message }))
}

/// `?dns=` and the message in base64url without padding.
async fn in_the_query(
    State(doh): State<Arc<Doh>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
) -> Response {
    match query.as_deref().and_then(message_in) {
        Some(message) => doh.answer(&message, &peer).await,
        None => doh.refuse(StatusCode::BAD_REQUEST),
    }
}

fn message_in(query: &str) -> Option<Vec<u8>> {
    let mut given = query.split('&').filter_map(|pair| pair.strip_prefix("dns="));
    let message = given.next()?;
    // With two of them it is not clear what is asked.
    given.next().is_none().then(|| URL_SAFE_NO_PAD.decode(message).ok()).flatten()
}

/// The message as it is.
async fn in_the_body(
    State(doh): State<Arc<Doh>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    if !is_dns_message(&request) {
        return doh.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    match timeout(doh.message, Bytes::from_request(request, &())).await {
        Ok(Ok(message)) => doh.answer(&message, &peer).await,
        Ok(Err(error)) => doh.refuse(BytesRejection::status(&error)),
        Err(_) => doh.refuse(StatusCode::REQUEST_TIMEOUT),
    }
}

/// By its media type, which may have parameters.
fn is_dns_message(request: &Request) -> bool {
    let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|given| given.trim().eq_ignore_ascii_case(DNS_MESSAGE))
}

impl Doh {
    async fn answer(&self, message: &[u8], peer: &Peer) -> Response {
        let _due = peer.seat.due();
        match self.desk.answer(message, peer.address).await {
            Answer::Reply(reply) => {
                let lifetime = self.lifetime(&reply);
                ([(CONTENT_TYPE, DNS_MESSAGE.to_owned()), (CACHE_CONTROL, lifetime)], Body::from(reply))
                    .into_response()
            }
            // These have been counted.
            Answer::Silence => StatusCode::BAD_REQUEST.into_response(),
            Answer::Denied => StatusCode::FORBIDDEN.into_response(),
            Answer::Unable => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    /// How long the reply may be remembered, and by whom (RFC 8484 section 5.1): not by what stands between us and several
    /// clients when an access list may have something else for one of them.
    fn lifetime(&self, reply: &[u8]) -> String {
        let Some(seconds) = wire::lifetime(reply) else { return "no-store".to_owned() };
        let whose = if self.desk.is_open() { "" } else { "private, " };
        format!("{whose}max-age={seconds}")
    }

    /// A request without a DNS message.
    fn refuse(&self, status: StatusCode) -> Response {
        self.desk.note_dropped(Dropped::Request);
        status.into_response()
    }
}
