//! One way to get a body from a publisher: HTTP(S).
//!
//! [`Fetcher::fetch`] fills the file it is given and says what the body is called ([`Validators`]), so that next time
//! the source can answer "not modified". Bodies are stored as received: packed ones stay packed. Never: looking into
//! a body, deciding when to ask.

use std::net::IpAddr;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::config::ListConfig;
use crate::store::Validators;

mod http;

pub use super::schedule::Trouble;

/// Time limits of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// To connect.
    pub connect: Duration,
    /// Without an octet.
    pub idle: Duration,
    /// In all, redirects included.
    pub total: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(300),
        }
    }
}

/// Asks for bodies. Holds the HTTP clients; make one for a sync.
pub struct Fetcher {
    http: http::Clients,
}

/// What an attempt brought.
#[derive(Debug)]
pub enum Outcome {
    /// A body.
    Fetched(Fetched),
    /// The source says that what it gave last time is still what there is.
    NotModified(Answered),
}

/// A body that came whole, as far as the transport can tell.
#[derive(Debug)]
pub struct Fetched {
    /// It, not yet synced to disk.
    pub body: NamedTempFile,
    /// What the source calls it. To be remembered only when the body is accepted.
    pub validators: Validators,
    /// How many octets came.
    pub received: u64,
    /// The transport said where the body ends (a length, chunks, a frame): it is not cut. Otherwise the connection
    /// just closed, and a last line without its newline may be half a line.
    pub complete: bool,
    /// Where it came from in the end.
    pub answered: Answered,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Where, after redirects.
    pub url: String,
    /// From which address, if that is known.
    pub remote: Option<IpAddr>,
    /// The HTTP status, if it was HTTP.
    pub status: Option<u16>,
    /// How long all of it took.
    pub took: Duration,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Octets so far.
    pub received: u64,
    /// Octets in all, when the source says so.
    pub total: Option<u64>,
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
#[error("{list}: {}", text(causes))]
pub struct FetchError {
    /// The list.
    pub list: String,
    /// What happened at each place that was asked, in order.
    pub causes: Vec<Cause>,
}

/// What happened at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The place.
    pub url: String,
    /// What happened, for people.
    pub what: String,
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

fn text(causes: &[Cause]) -> String {
    let each: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.url, cause.what)).collect();
    each.join("; ")
}

impl FetchError {
    /// The kind of trouble, the worst when several places were asked.
    pub fn trouble(&self) -> Trouble {
        self.causes.iter().map(|cause| cause.trouble).max().unwrap_or(Trouble::Unreached)
    }

    /// Whether anybody answered: then the floor counts from now.
    pub fn reached(&self) -> bool {
        self.causes.iter().any(|cause| cause.trouble != Trouble::Unreached)
    }

    /// The longest wait that a server asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        self.causes.iter().filter_map(|cause| cause.retry_after).max()
    }
}

impl Fetcher {
    /// `contact` goes into the User-Agent, so that a publisher can write before blocking.
    pub fn new(contact: Option<&str>, times: Times) -> Self {
        Self { http: http::Clients::new(contact, times) }
    }

    /// Asks for the body of `list` at each of its URLs until one gives it, writes it to `body`, tells `progress` now and then. `known` is what the accepted
    /// body is called.
    pub async fn fetch(
        &self,
        list: &ListConfig,
        known: Option<&Validators>,
        body: NamedTempFile,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Outcome, FetchError> {
        let mut body = body;
        let mut causes = Vec::new();
        for url in list.source.urls() {
            match self.http.get(url, list, known, body, progress).await {
                Ok(outcome) => return Ok(outcome),
                Err((cause, unused)) => {
                    causes.push(cause);
                    body = unused;
                }
            }
        }
        Err(FetchError { list: list.name.to_string(), causes })
    }
}
