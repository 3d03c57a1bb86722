//! Conditional GET over HTTP(S).
//!
//! Redirects are followed by hand, so that each hop can be judged: at most five, never from https to http, never to
//! an address that is not public, and the credential goes to the host that it is for alone. Names are judged by what they
//! resolve to, in the resolver itself, so that the address that was judged is the one that is connected to. Proxies of
//! the environment are not used. Nothing is unpacked, nothing is held in memory whole.

use std::io::{Seek, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION,
    RETRY_AFTER, TRANSFER_ENCODING,
};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use tempfile::NamedTempFile;

use super::problem::{Problem, chain};
use super::reach::{addresses, check_literal};
use super::rests::server;
use super::{Answered, Ask, Got, NotModified, OnProgress, Progress, Trouble};
use crate::config::shown_url;
use crate::feed::secret::Masks;
use crate::store::Validators;

mod clients;
mod conditional;

pub(super) use clients::Clients;

/// Redirects that are followed.
const HOPS: usize = 5;

/// What a hop came to.
enum Hop {
    /// Go on there.
    To(Url),
    NotModified {
        remote: Option<IpAddr>,
        asked: Validators,
        told: Validators,
    },
    Body {
        remote: Option<IpAddr>,
        validators: Validators,
        received: u64,
        complete: bool,
    },
}

impl Clients {
    /// Gets the body at `ask.url` into `body`, or gives the file back.
    pub(super) async fn get(
        &self,
        ask: &Ask<'_>,
        body: NamedTempFile,
    ) -> Result<Got, (Problem, NamedTempFile)> {
        let (mut at, mut took) = (ask.url.clone(), Duration::ZERO);
        for _ in 0..=HOPS {
            // A host's turn ends before the next host's is waited for, and waiting is no part of the download.
            let turn = ask.turns.take(&at).await;
            if let Some(problem) = ask.rests.refuses(&at, ask.url).or_else(|| ask.asked.refuses(&at, ask.url))
            {
                return Err((problem, body));
            }
            let began = Instant::now();
            let left = ask.times.total.saturating_sub(took);
            let hop = tokio::time::timeout(left, self.hop(ask, &at, &body)).await.unwrap_or_else(|_| {
                Err(Problem::answered(format!("not done after {} seconds", ask.times.total.as_secs())))
            });
            if !matches!(hop, Ok(Hop::To(_))) {
                ask.asked.note(&at);
            }
            if let Err(Problem { retry_after: Some(left), server: Some(server), .. }) = &hop {
                ask.rests.note(server, *left);
            }
            let hop = hop.map_err(|problem| problem.lasting_for(ask.url));
            drop(turn);
            took += began.elapsed();
            let answered = |status: StatusCode, remote| Answered {
                url: shown(&at, ask.url),
                remote,
                status: Some(status.as_u16()),
                took,
                before: Vec::new(),
            };
            match hop {
                Ok(Hop::To(next)) => at = next,
                Ok(Hop::NotModified { remote, asked, told }) => {
                    let answered = answered(StatusCode::NOT_MODIFIED, remote);
                    return Ok(Got::NotModified(NotModified { asked, told, answered }));
                }
                Ok(Hop::Body { remote, validators, received, complete }) => {
                    let answered = answered(StatusCode::OK, remote);
                    return Ok(Got::Body { body, validators, received, complete, answered });
                }
                // Who led there has answered.
                Err(problem) if at != *ask.url => {
                    let trouble = problem.trouble.max(Trouble::Answered);
                    return Err((Problem { trouble, ..problem }, body));
                }
                Err(problem) => return Err((problem, body)),
            }
        }
        Err((Problem::answered(format!("more than {HOPS} redirects")), body))
    }

    /// Asks at one place.
    async fn hop(&self, ask: &Ask<'_>, at: &Url, body: &NamedTempFile) -> Result<Hop, Problem> {
        let any_address = ask.list.allow_private;
        check_hop(at, any_address)?;
        if self.has_proxy() && !any_address {
            // The proxy resolves names itself. What they are here is judged; what has no address here is left to it.
            match addresses(at, false).await {
                Err(problem) if problem.trouble != Trouble::Unreached => return Err(problem),
                _ => {}
            }
        }
        let masks = Masks::new(ask.secret.into_iter().chain(self.proxy_secret()), ask.url);
        let known = conditional::known_at(ask, &masks, at);
        let mut request = headers(self.client(any_address)?.get(at.clone()), ask, at)?;
        if let Some(known) = known {
            request = conditional::newer_than(request, known);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let is_silent = error.is_connect() && error.is_timeout() && at.scheme() == "https";
                let problem = Problem::of(error);
                return Err(
                    match is_silent && !self.has_proxy() && takes_connections(at, any_address).await {
                        true => Problem { trouble: Trouble::Answered, ..problem },
                        false => problem,
                    },
                );
            }
        };
        let remote = response.remote_addr().map(|address| address.ip());
        match (response.status(), known) {
            (StatusCode::OK, _) => {
                let validators = conditional::validators(ask, &masks, at, response.headers());
                let (received, complete) = receive(response, ask.list.max_size, body, ask.progress).await?;
                Ok(Hop::Body { remote, validators, received, complete })
            }
            (StatusCode::NOT_MODIFIED, Some(asked)) => {
                let told = conditional::validators(ask, &masks, at, response.headers());
                Ok(Hop::NotModified { remote, asked: asked.clone(), told })
            }
            (status, _) if status.is_redirection() && response.headers().contains_key(LOCATION) => {
                next_hop(at, response.headers()).map(Hop::To)
            }
            _ => Err(refusal(&response, at)),
        }
    }
}

fn headers(request: RequestBuilder, ask: &Ask<'_>, at: &Url) -> Result<RequestBuilder, Problem> {
    let mut request = request.header(ACCEPT_ENCODING, "gzip, zstd");
    if let Some(secret) = ask.secret.filter(|_| at.origin() == ask.url.origin()) {
        let (name, value) = secret.header();
        // Not what is wrong with it: that would show some of it.
        let bad = || Problem::unreached("the credential cannot be sent in a header");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| bad())?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    Ok(request)
}

/// Whether somebody is there who takes connections, and then did not shake hands in time: it was asked. (From outside a client the
/// one cannot be told from nobody being there.)
async fn takes_connections(at: &Url, any_address: bool) -> bool {
    const PATIENCE: Duration = Duration::from_secs(2);
    let Some(port) = at.port_or_known_default() else { return false };
    let Ok(Some(address)) = addresses(at, any_address).await.map(|found| found.first().copied()) else {
        return false;
    };
    let connection = tokio::net::TcpStream::connect((address, port));
    tokio::time::timeout(PATIENCE, connection).await.is_ok_and(|connection| connection.is_ok())
}

/// A place for people. What a redirect adds behind `?` is for that one request.
fn shown(at: &Url, asked: &Url) -> String {
    if at == asked {
        return shown_url(at);
    }
    let mut at = at.clone();
    at.set_query(at.query().map(|_| "..."));
    at.set_fragment(None);
    at.to_string()
}

fn next_hop(from: &Url, headers: &HeaderMap) -> Result<Url, Problem> {
    let bad = |what: String| Problem::answered(what);
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).filter(|to| !to.is_empty());
    let location = location.ok_or_else(|| bad("a redirect to nowhere".to_owned()))?;
    let to = from.join(location).map_err(|error| bad(format!("a redirect to nowhere: {error}")))?;
    // It would be asked again and again, for nobody keeps what such a server has its visitors keep.
    if is_same(from, &to) {
        return Err(bad("a redirect to itself".to_owned()));
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(bad(format!("a redirect from https to http ({})", shown(&to, from))));
    }
    Ok(to)
}

/// As a server sees them: what stands behind `#` it never hears.
fn is_same(one: &Url, other: &Url) -> bool {
    let heard = |url: &Url| {
        let mut url = url.clone();
        url.set_fragment(None);
        url.set_query(url.query().filter(|query| !query.is_empty()).map(str::to_owned).as_deref());
        url
    };
    heard(one) == heard(other)
}

fn check_hop(url: &Url, any_address: bool) -> Result<(), Problem> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::answered(format!("a redirect to `{}:`", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::answered("a redirect with a password in it"));
    }
    check_literal(url, any_address)
}

fn refusal(response: &Response, at: &Url) -> Problem {
    let status = response.status();
    let trouble = match status.as_u16() {
        401 | 403 | 404 | 410 | 451 => Trouble::Refused,
        // The publisher has heard nothing of it.
        407 => Trouble::Unreached,
        _ => Trouble::Answered,
    };
    // With whatever it refuses: some say 403 to who comes too often.
    let is_refusal = (status.is_client_error() || status.is_server_error()) && status.as_u16() != 407;
    let retry_after = is_refusal.then(|| retry_after(response.headers())).flatten();
    let what = match status.as_u16() {
        206 => "a part of the body (206), which nobody asked for".to_owned(),
        304 => "\"not modified\" (304), although nothing was known of it".to_owned(),
        407 => {
            "the proxy says 407 Proxy Authentication Required (`proxy-credential` under [sync])".to_owned()
        }
        _ => format!("the server says {status}"),
    };
    // Who is asked too often, or has too much to do, means all that he is asked for.
    let is_all = retry_after.is_some() && matches!(status.as_u16(), 429 | 503);
    let server = is_all.then(|| server(at)).flatten();
    Problem { trouble, what, status: Some(status.as_u16()), retry_after, server }
}

/// Seconds, or a date (RFC 9110 section 10.2.3). More seconds than can be counted are as many as can be.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let (whole, _) = text.split_once('.').unwrap_or((text, ""));
    if !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(whole.parse().unwrap_or(u64::MAX)));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()
}

/// Streams the body to the file: octets received, and whether the transport said where the body ends.
async fn receive(
    mut response: Response,
    max_size: u64,
    body: &NamedTempFile,
    progress: OnProgress<'_>,
) -> Result<(u64, bool), Problem> {
    let bad = |what: String| Problem { status: Some(200), ..Problem::answered(what) };
    let headers = response.headers();
    for encoding in headers.get_all(CONTENT_ENCODING) {
        let encoding = encoding.to_str().unwrap_or("?");
        let is_asked = |one: &str| {
            ["identity", "gzip", "x-gzip", "zstd"].iter().any(|asked| one.trim().eq_ignore_ascii_case(asked))
        };
        if !encoding.split(',').all(is_asked) {
            // As it was sent: what was shown to the server is found in it again, and masked.
            return Err(bad(format!("packed with `{encoding}`, which nobody asked for")));
        }
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // Any other coding at the end says nothing of the end (RFC 9112 section 6.3).
    let last_coding =
        headers.get_all(TRANSFER_ENCODING).iter().next_back().and_then(|value| value.to_str().ok());
    let is_chunked = last_coding
        .and_then(|codings| codings.rsplit(',').next())
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
    let framed = length.is_some() || is_chunked;
    let too_large = || Problem { status: Some(200), ..Problem::too_large(max_size) };
    if length.is_some_and(|length| length > max_size) {
        return Err(too_large());
    }
    let own = |error: std::io::Error| Problem::unwritten(&error);
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
        for nowhere in ["", "http://caf\u{e9}.example/"] {
            let headers =
                HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(nowhere.as_bytes()).unwrap())]);
            let problem = next_hop(&"http://example.net/a".parse().unwrap(), &headers).unwrap_err();
            assert_eq!(problem.what, "a redirect to nowhere");
        }
        for itself in ["#x", "#", "?", "/a", "http://EXAMPLE.net:80/a#", "."] {
            let from = if itself == "." { "http://example.net/" } else { "http://example.net/a" };
            assert_eq!(hop(from, itself).unwrap_err(), "a redirect to itself", "{itself}");
        }
        assert_eq!(hop("https://example.net/a", "?b").unwrap(), "https://example.net/a?b");
        assert_eq!(hop("https://example.net/a/b", "../c").unwrap(), "https://example.net/c");
        assert_eq!(hop("https://example.net/a", "//other.example/b").unwrap(), "https://other.example/b");
    }

    #[test]
    fn waits_that_servers_ask_for() {
        let asked =
            |text: &'static str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(asked(" 120 "), Some(Duration::from_secs(120)));
        assert!(asked("Fri, 31 Dec 2100 23:59:59 GMT").unwrap() > Duration::from_secs(86_400));
        assert_eq!(asked("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(asked("120.5"), Some(Duration::from_secs(120)));
        // The last second that there is, and the two obsolete forms (RFC 9110 section 5.6.7).
        for far in
            ["Fri, 31 Dec 9999 23:59:59 GMT", "Sunday, 31-Dec-56 23:59:59 GMT", "Sun Dec 31 23:59:59 2056"]
        {
            assert!(asked(far).unwrap() > Duration::from_secs(86_400), "{far}");
        }
        for none in ["Fri, 31 Dec 1999 23:59:59 GMT", "soon", "-5", "", "."] {
            assert_eq!(asked(none), None, "{none}");
        }
    }
}
