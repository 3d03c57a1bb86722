//! Why there is no body, at one place and in all.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::Url;

use super::Trouble;
use super::rests::server;
use crate::config::shown_url;

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
    /// Which server that is, when it wants to be whatever it is asked for.
    pub server: Option<String>,
}

fn text(causes: &[Cause]) -> String {
    let each: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.url, cause.what)).collect();
    each.join("; ")
}

impl FetchError {
    /// The kind of trouble, the mildest when several places were asked: that is the one that may be over first.
    pub fn trouble(&self) -> Trouble {
        self.causes.iter().map(|cause| cause.trouble).min().unwrap_or(Trouble::Unreached)
    }

    /// Whether anybody answered: then the floor counts from now.
    pub fn reached(&self) -> bool {
        self.causes.iter().any(|cause| cause.trouble != Trouble::Unreached)
    }
}

/// A [`Cause`] without its place.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) trouble: Trouble,
    pub(super) what: String,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
    pub(super) server: Option<String>,
}

impl Problem {
    /// What of it holds beyond this sync for all that its server has. Trouble passes, and may be one path's; and a stranger who leads
    /// somewhere may not silence whom he leads to.
    pub(super) fn lasting_for(self, asked: &Url) -> Self {
        const TOO_MANY_REQUESTS: u16 = 429;
        let holds = self.status == Some(TOO_MANY_REQUESTS) && self.server == server(asked);
        Self { server: self.server.filter(|_| holds), ..self }
    }

    pub(super) fn new(trouble: Trouble, what: impl Into<String>) -> Self {
        Self { trouble, what: what.into(), status: None, retry_after: None, server: None }
    }

    /// Somebody answered with something of no use.
    pub(super) fn answered(what: impl Into<String>) -> Self {
        Self::new(Trouble::Answered, what)
    }

    /// Nobody was asked, or nobody answered.
    pub(super) fn unreached(what: impl Into<String>) -> Self {
        Self::new(Trouble::Unreached, what)
    }

    /// Nobody was asked: the body could not have been written here.
    pub(super) fn own(error: &io::Error) -> Self {
        Self::unreached(format!("cannot write the body: {error}"))
    }

    /// It was given, and could not be written here. Whoever gave it was burdened all the same.
    pub(super) fn unwritten(error: &io::Error) -> Self {
        Self::answered(format!("cannot write the body: {error}"))
    }

    pub(super) fn too_large(max_size: u64) -> Self {
        Self::answered(format!("larger than {max_size} octets"))
    }

    pub(super) fn of(error: reqwest::Error) -> Self {
        // Whoever says something that is no TLS, shows a certificate that nobody knows or hangs up when he is greeted has been
        // asked.
        let unreached = error.is_connect() && !speaks_of_tls(&error) && !hung_up(&error);
        let trouble = if unreached { Trouble::Unreached } else { Trouble::Answered };
        Self::new(trouble, chain(&error.without_url()))
    }

    pub(super) fn at(self, url: &Url) -> Cause {
        let Self { trouble, what, status, retry_after, server } = self;
        Cause { url: shown_url(url), what, trouble, status, retry_after, server }
    }
}

/// There was a connection, and the other side ended it.
fn hung_up(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let text = error.to_string();
    // Where the connection itself, its name or the proxy's leave did not come about nobody was asked. (The types of these errors
    // are nobody's to name.)
    if ["tcp ", "dns ", "tunnel error"].iter().any(|start| text.starts_with(start)) {
        return false;
    }
    let io = error.downcast_ref::<io::Error>();
    let ended = io.map(io::Error::kind);
    matches!(ended, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
        || io.and_then(io::Error::get_ref).is_some_and(|wrapped| hung_up(wrapped))
        || error.source().is_some_and(hung_up)
}

fn speaks_of_tls(error: &(dyn Error + 'static)) -> bool {
    // An I/O error passes over the one that it wraps when it is asked for its source, and may wrap another.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|wrapped| speaks_of_tls(wrapped))
        || error.source().is_some_and(speaks_of_tls)
}

/// An error and what is behind it, in one line. Links that only repeat what is behind them are left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}
