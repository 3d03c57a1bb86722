//! Conditional GET over HTTP(S).
//!
//! Redirects are followed by hand, so that each hop can be judged: at most five, never from https to http, never to
//! an address that is not public. Names are judged by what they resolve to, in the resolver itself, so that the
//! address that was judged is the one that is connected to. Proxies of the environment are not used. Nothing is
//! unpacked, nothing is held in memory whole.

use std::error::Error;
use std::io::{Seek, Write};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use reqwest::{Client, Response, StatusCode, Url, Version, redirect};
use tempfile::NamedTempFile;

use super::{Answered, Cause, Fetched, Outcome, Progress, Times, Trouble};
use crate::config::{ListConfig, is_public};
use crate::store::Validators;

/// Redirects that are followed.
const HOPS: usize = 5;

/// Longest validator that is remembered.
const LONGEST_VALIDATOR: usize = 1024;

/// A client for public addresses and one for any, each made when it is first needed.
pub(super) struct Clients {
    agent: String,
    times: Times,
    public: OnceLock<Result<Client, String>>,
    any: OnceLock<Result<Client, String>>,
}

impl Clients {
    pub(super) fn new(contact: Option<&str>, times: Times) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let agent = match contact {
            Some(contact) => format!("gatepost/{version} (+{contact})"),
            None => format!("gatepost/{version}"),
        };
        Self { agent, times, public: OnceLock::new(), any: OnceLock::new() }
    }

    fn client(&self, any_address: bool) -> Result<&Client, Problem> {
        let slot = if any_address { &self.any } else { &self.public };
        let made = slot.get_or_init(|| {
            // reqwest panics without a provider. Somebody else having installed one is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut builder = Client::builder()
                .user_agent(&self.agent)
                .connect_timeout(self.times.connect)
                .read_timeout(self.times.idle)
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy();
            if !any_address {
                builder = builder.dns_resolver(Arc::new(PublicOnly));
            }
            builder.build().map_err(|error| chain(&error))
        });
        made.as_ref().map_err(|what| Problem::new(Trouble::Unreached, what.clone()))
    }

    /// Gets the body at `url` into `body`, or gives the file back empty.
    pub(super) async fn get(
        &self,
        url: &Url,
        list: &ListConfig,
        known: Option<&Validators>,
        body: NamedTempFile,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Outcome, (Cause, NamedTempFile)> {
        let began = Instant::now();
        let known = known.filter(|known| known.url == url.as_str());
        let transfer = async {
            let (response, at) = self.ask(url, list.allow_private, known).await?;
            let status = response.status();
            let remote = response.remote_addr().map(|address| address.ip());
            let validators = validators(url, response.headers());
            if status == StatusCode::NOT_MODIFIED {
                return Ok((None, at, remote, status));
            }
            let (received, complete) = receive(response, list.max_size, &body, progress).await?;
            Ok((Some((validators, received, complete)), at, remote, status))
        };
        let result = tokio::time::timeout(self.times.total, transfer).await.unwrap_or_else(|_| {
            let what = format!("not done after {} seconds", self.times.total.as_secs());
            Err(Problem::new(Trouble::Answered, what))
        });
        match result {
            Ok((got, at, remote, status)) => {
                let (status, took) = (Some(status.as_u16()), began.elapsed());
                let answered = Answered { url: at.to_string(), remote, status, took };
                Ok(match got {
                    None => Outcome::NotModified(answered),
                    Some((validators, received, complete)) => {
                        Outcome::Fetched(Fetched { body, validators, received, complete, answered })
                    }
                })
            }
            Err(problem) => {
                let _ = body.as_file().set_len(0);
                Err((problem.at(url), body))
            }
        }
    }

    /// Follows redirects to an answer that is 200 or 304; where it was found.
    async fn ask(
        &self,
        url: &Url,
        any_address: bool,
        known: Option<&Validators>,
    ) -> Result<(Response, Url), Problem> {
        let client = self.client(any_address)?;
        let mut at = url.clone();
        for _ in 0..=HOPS {
            check_hop(&at, any_address)?;
            let mut request = client.get(at.clone()).header(ACCEPT_ENCODING, "gzip");
            if let Some(known) = known {
                if let Some(etag) = &known.etag {
                    request = request.header(IF_NONE_MATCH, etag);
                }
                if let Some(date) = &known.last_modified {
                    request = request.header(IF_MODIFIED_SINCE, date);
                }
            }
            let response = request.send().await.map_err(Problem::of)?;
            match response.status() {
                StatusCode::OK => return Ok((response, at)),
                StatusCode::NOT_MODIFIED if known.is_some() => return Ok((response, at)),
                status if status.is_redirection() && response.headers().contains_key(LOCATION) => {
                    at = next_hop(&at, response.headers())?;
                }
                _ => return Err(refusal(&response)),
            }
        }
        Err(Problem::new(Trouble::Answered, format!("more than {HOPS} redirects")))
    }
}

fn next_hop(from: &Url, headers: &HeaderMap) -> Result<Url, Problem> {
    let bad = |what: String| Problem::new(Trouble::Answered, what);
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    let to = from.join(location).map_err(|error| bad(format!("a redirect to nowhere: {error}")))?;
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(bad(format!("a redirect from https to http ({to})")));
    }
    Ok(to)
}

fn check_hop(url: &Url, any_address: bool) -> Result<(), Problem> {
    let bad = |what: String| Err(Problem::new(Trouble::Answered, what));
    if !matches!(url.scheme(), "http" | "https") {
        return bad(format!("a redirect to `{}:`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("a redirect with a password in it".to_owned());
    }
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    match host.parse() {
        Ok(address) if !any_address && !is_public(address) => {
            bad(format!("{address} is not a public address"))
        }
        _ => Ok(()),
    }
}

fn refusal(response: &Response) -> Problem {
    let status = response.status();
    let trouble = match status.as_u16() {
        401 | 403 | 404 | 410 | 451 => Trouble::Refused,
        _ => Trouble::Answered,
    };
    let retry_after = match status.as_u16() {
        429 | 503 => retry_after(response.headers()),
        _ => None,
    };
    let what = match status.as_u16() {
        206 => "a part of the body (206), which nobody asked for".to_owned(),
        304 => "\"not modified\" (304), although nothing was known of it".to_owned(),
        _ => format!("the server says {status}"),
    };
    Problem { trouble, what, status: Some(status.as_u16()), retry_after }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(until.duration_since(Timestamp::now())).ok()
}

fn validators(url: &Url, headers: &HeaderMap) -> Validators {
    let text = |name: HeaderName| {
        let value = headers.get(name)?.to_str().ok()?;
        (value.len() <= LONGEST_VALIDATOR).then(|| value.to_owned())
    };
    Validators { url: url.to_string(), etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
}

/// Streams the body to the file: octets received, and whether the transport said where the body ends.
async fn receive(
    mut response: Response,
    max_size: u64,
    body: &NamedTempFile,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(u64, bool), Problem> {
    let bad = |what: String| Problem { status: Some(200), ..Problem::new(Trouble::Answered, what) };
    let headers = response.headers();
    if let Some(encoding) = headers.get(CONTENT_ENCODING) {
        let encoding = encoding.to_str().unwrap_or("?").to_ascii_lowercase();
        if !matches!(encoding.as_str(), "identity" | "gzip" | "x-gzip") {
            return Err(bad(format!("packed with `{encoding}`, which nobody asked for")));
        }
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let framed =
        length.is_some() || headers.contains_key(TRANSFER_ENCODING) || response.version() == Version::HTTP_2;
    let too_large = || bad(format!("larger than {max_size} octets"));
    if length.is_some_and(|length| length > max_size) {
        return Err(too_large());
    }
    let own =
        |error: std::io::Error| Problem::new(Trouble::Unreached, format!("cannot write the body: {error}"));
    // Plain writes: tokio's go on behind the caller's back, and could come into the file after it was emptied for the next
    // place that is asked. Each download has a thread of its own to wait in.
    let mut file = body.as_file();
    file.set_len(0).map_err(own)?;
    file.rewind().map_err(own)?;
    let mut received = 0u64;
    progress(Progress { received, total: length });
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| bad(format!("cut after {received} octets: {}", chain(&error.without_url()))))?;
        let Some(chunk) = chunk else { break };
        received += chunk.len() as u64;
        if received > max_size {
            return Err(too_large());
        }
        file.write_all(&chunk).map_err(own)?;
        progress(Progress { received, total: length });
    }
    if let Some(length) = length.filter(|&length| length != received) {
        return Err(bad(format!("{received} octets instead of {length}")));
    }
    let on_disk = file.metadata().map_err(own)?.len();
    if on_disk != received {
        return Err(bad(format!("{on_disk} octets in the file instead of {received}")));
    }
    Ok((received, framed))
}

/// A [`Cause`] without its place.
struct Problem {
    trouble: Trouble,
    what: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
}

impl Problem {
    fn new(trouble: Trouble, what: String) -> Self {
        Self { trouble, what, status: None, retry_after: None }
    }

    fn of(error: reqwest::Error) -> Self {
        let trouble = if error.is_connect() { Trouble::Unreached } else { Trouble::Answered };
        Self::new(trouble, chain(&error.without_url()))
    }

    fn at(self, url: &Url) -> Cause {
        let Self { trouble, what, status, retry_after } = self;
        Cause { url: url.to_string(), what, trouble, status, retry_after }
    }
}

/// An error and what is behind it, in one line. Links that only repeat what is behind them are left out.
fn chain(error: &dyn Error) -> String {
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

/// Resolves names to public addresses alone.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (public, other): (Vec<SocketAddr>, Vec<_>) =
                found.partition(|address| is_public(address.ip()));
            if public.is_empty() {
                let others: Vec<String> = other.iter().map(|address| address.ip().to_string()).collect();
                let what = format!("{} is at {}: not a public address", name.as_str(), others.join(", "));
                return Err(what.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(from: &str, to: &'static str) -> Result<String, String> {
        let headers = HeaderMap::from_iter([(LOCATION, to.parse().unwrap())]);
        next_hop(&from.parse().unwrap(), &headers).map(|url| url.to_string()).map_err(|problem| problem.what)
    }

    #[test]
    fn redirects_never_lose_their_cover() {
        let down = hop("https://example.net/a", "http://example.net/b").unwrap_err();
        assert_eq!(down, "a redirect from https to http (http://example.net/b)");
        assert_eq!(hop("http://example.net/a", "https://example.net/b").unwrap(), "https://example.net/b");
        assert_eq!(hop("https://example.net/a/b", "../c").unwrap(), "https://example.net/c");
        assert_eq!(hop("https://example.net/a", "//other.example/b").unwrap(), "https://other.example/b");
    }

    #[test]
    fn waits_that_servers_ask_for() {
        let asked =
            |text: &'static str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(asked(" 120 "), Some(Duration::from_secs(120)));
        assert!(asked("Fri, 31 Dec 2100 23:59:59 GMT").unwrap() > Duration::from_secs(86_400));
        for none in ["Fri, 31 Dec 1999 23:59:59 GMT", "soon", "-5", ""] {
            assert_eq!(asked(none), None, "{none}");
        }
    }
}
