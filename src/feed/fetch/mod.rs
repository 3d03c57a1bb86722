//! Ways to get a body from a publisher, behind one door: HTTP(S), rsync's daemon, rsync over ssh, a local file.
//!
//! [`Fetcher::fetch`] fills the file it is given and says what the body is called ([`Validators`]), so that next time
//! the source can answer "not modified". The scheme of a URL says by which way ([`Transport`]). Bodies are stored as
//! received: packed ones stay packed. Never: looking into a body, deciding when to ask, showing a secret.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use tempfile::NamedTempFile;

use super::secret::{Masks, Secret};
use crate::config::{ListConfig, Sync, Transport, shown_url};
use crate::store::Validators;

mod file;
mod http;
mod problem;
mod reach;
mod rests;
mod rsync;
mod turns;

pub use super::schedule::Trouble;
pub use problem::{Cause, FetchError};
pub(crate) use rests::server;
pub use rests::{Asked, Rests};
pub(crate) use turns::host;

use problem::Problem;
use turns::Turns;

/// Time limits of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// To connect.
    pub connect: Duration,
    /// Without an octet.
    pub idle: Duration,
    /// In all, redirects included; waiting for others who ask the same host is not.
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

/// Asks for bodies. Holds the HTTP clients, whose turn it is at which host, and who wants to be left alone; make one for a sync.
pub struct Fetcher {
    http: http::Clients,
    turns: Turns,
    rests: Rests,
    times: Times,
}

/// What there is of a list already.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What bodies are called that need not be sent again: the accepted one, and such as were of no use; one of each place.
    pub validators: Vec<Validators>,
    /// A body of before, so that only what differs has to travel.
    pub body: Option<PathBuf>,
    /// URLs that are passed over, since their servers want to be left alone.
    pub resting: BTreeSet<String>,
    /// Where it was asked for in this sync, redirects included: not there again.
    pub asked: Asked,
}

/// What an attempt brought.
#[derive(Debug)]
pub enum Outcome {
    /// A body.
    Fetched(Fetched),
    /// The source says that what it gave before is still what there is.
    NotModified(NotModified),
}

impl Outcome {
    /// Who answered.
    pub fn answered(&self) -> &Answered {
        match self {
            Self::Fetched(fetched) => &fetched.answered,
            Self::NotModified(not_modified) => &not_modified.answered,
        }
    }

    pub(crate) fn answered_mut(&mut self) -> &mut Answered {
        match self {
            Self::Fetched(fetched) => &mut fetched.answered,
            Self::NotModified(not_modified) => &mut not_modified.answered,
        }
    }

    /// At which place of the configuration, before redirects.
    pub fn place(&self) -> &str {
        match self {
            Self::Fetched(fetched) => &fetched.validators.url,
            Self::NotModified(not_modified) => &not_modified.asked.url,
        }
    }
}

/// "Not modified".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotModified {
    /// What it was asked with.
    pub asked: Validators,
    /// What it says that it has: the same, unless it is about something else.
    pub told: Validators,
    /// Who says so.
    pub answered: Answered,
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
    /// What was shown to get it. Whoever was told it may have written it into the body.
    pub(crate) masks: Masks,
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
    /// What happened at the places that were asked before.
    pub before: Vec<Cause>,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Octets so far.
    pub received: u64,
    /// Octets in all, when the source says so.
    pub total: Option<u64>,
}

/// Told how far a download is.
type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + std::marker::Sync);

/// A question for one place.
struct Ask<'a> {
    url: &'a Url,
    list: &'a ListConfig,
    /// Of this very place.
    validators: Option<&'a Validators>,
    basis: Option<&'a Path>,
    secret: Option<&'a Secret>,
    turns: &'a Turns,
    rests: &'a Rests,
    asked: &'a Asked,
    times: Times,
    progress: OnProgress<'a>,
}

/// What a place gave: the body is in the file then.
enum Got {
    Body { body: NamedTempFile, validators: Validators, received: u64, complete: bool, answered: Answered },
    NotModified(NotModified),
}

/// Of a place that has been looked at: it has what was known.
fn not_modified(ask: &Ask<'_>, answered: Answered) -> Got {
    let asked = ask.validators.cloned().unwrap_or_default();
    Got::NotModified(NotModified { told: asked.clone(), asked, answered })
}

impl Fetcher {
    /// As `sync` says: its contact goes into the User-Agent, so that a publisher can write before blocking; its proxy and its
    /// certificates are those of HTTP.
    pub fn new(sync: &Sync, times: Times) -> Self {
        let http = http::Clients::new(sync, times);
        Self { http, turns: Turns::default(), rests: Rests::default(), times }
    }

    /// These are left alone from the start; whoever asks for it meanwhile is added.
    #[must_use]
    pub fn leaving_alone(self, rests: Rests) -> Self {
        Self { rests, ..self }
    }

    /// Asks for the body of `list` at each of its URLs until one gives it, writes it to `body`, tells `progress` now
    /// and then.
    pub async fn fetch(
        &self,
        list: &ListConfig,
        known: &Known,
        body: NamedTempFile,
        progress: OnProgress<'_>,
    ) -> Result<Outcome, FetchError> {
        let mut body = body;
        let mut causes = Vec::new();
        for url in list.source.urls() {
            if known.resting.contains(&shown_url(url)) {
                causes.push(Problem::unreached("passed over: its server asked to be left alone").at(url));
                continue;
            }
            let (problem, unused) = match self.ask(url, list, known, body, progress).await {
                Ok(mut outcome) => {
                    outcome.answered_mut().before = causes;
                    return Ok(outcome);
                }
                Err(without) => without,
            };
            causes.push(problem.at(url));
            body = unused;
            // What came of it is nothing.
            let _ = body.as_file().set_len(0);
        }
        Err(FetchError { list: list.name.to_string(), causes })
    }

    /// Asks at one place; the file comes back when it gave nothing.
    async fn ask(
        &self,
        url: &Url,
        list: &ListConfig,
        known: &Known,
        body: NamedTempFile,
        progress: OnProgress<'_>,
    ) -> Result<Outcome, (Problem, NamedTempFile)> {
        let transport = Transport::of(url);
        // A key of ssh's is read by ssh.
        let secret = match (&list.credential, transport) {
            (Some(credential), Some(Transport::Http | Transport::Rsync)) => match Secret::read(credential) {
                Ok(secret) => Some(secret),
                Err(why) => return Err((Problem::unreached(why), body)),
            },
            _ => None,
        };
        let ask = Ask {
            url,
            list,
            validators: known.validators.iter().find(|known| known.url == shown_url(url)),
            basis: known.body.as_deref(),
            secret: secret.as_ref(),
            turns: &self.turns,
            rests: &self.rests,
            asked: &known.asked,
            times: self.times,
            progress,
        };
        let got = match transport {
            Some(Transport::Http) => self.http.get(&ask, body).await,
            Some(Transport::Rsync | Transport::Ssh) => rsync::get(&ask, body).await,
            Some(Transport::File) => file::get(&ask, body),
            None => Err((Problem::unreached(format!("`{}:` is no way to fetch a list", url.scheme())), body)),
        };
        let masks = Masks::new(secret.iter().chain(self.http.proxy_secret()), url);
        // A redirect may lead to an address with the secret in it.
        let masked = |answered: Answered| Answered { url: masks.masked(&answered.url), ..answered };
        match got {
            Ok(Got::NotModified(NotModified { asked, told, answered })) => {
                Ok(Outcome::NotModified(NotModified { asked, told, answered: masked(answered) }))
            }
            Ok(Got::Body { body, validators, received, complete, answered }) => {
                let answered = masked(answered);
                Ok(Outcome::Fetched(Fetched { body, validators, received, complete, answered, masks }))
            }
            Err((problem, body)) => {
                let what = masks.masked(&problem.what);
                Err((Problem { what, ..problem }, body))
            }
        }
    }
}
