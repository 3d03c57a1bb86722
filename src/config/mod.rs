//! The configuration: what was typed (`file`, one module for the one version) and what it means ([`Config`]).
//!
//! File < environment < flags. Every default is a named constant in [`defaults`]; what may change while the server
//! runs is a type of its own ([`Reloadable`]). All mistakes are reported, each with file, line, column, what was
//! expected and the line itself ([`Problems`]). Never: I/O other than reading the configuration and looking whether
//! the files it names are there.
//!
//! Read [`Draft`] first (files → [`Config`]), then [`ListConfig`] and [`ZoneConfig`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::guard::NeverList;
use crate::model::Subject;

mod access;
mod brackets;
mod credential;
pub mod defaults;
mod embedded;
mod feeds;
mod file;
mod format;
mod list;
mod masked;
mod not_offered;
mod problem;
mod reach;
mod read;
mod resolve;
mod retired;
mod secure;
mod shown;
#[cfg(test)]
mod tests;
mod units;
mod up;
mod urls;
mod values;
mod words;
mod write;
mod zone;

pub use access::{AccessConfig, AccessRule, RateLimit};
pub use credential::Credential;
pub(crate) use embedded::bogons;
pub use feeds::{Feed, Feeds, Fetch, Kind, Redistribute, Terms};
pub use list::{Ages, ListConfig, Source, is_folder};
pub use not_offered::NotOffered;
pub(crate) use problem::{Place, did_you_mean};
pub use problem::{Problem, Problems};
pub use reach::{is_public, lets_strangers_in, reaches_the_public};
pub use read::open_file;
pub(crate) use resolve::is_nobodys_own;
pub use retired::Retired;
pub use secure::{CertificateFiles, HttpPath};
pub use shown::ShownClients;
pub(crate) use units::parse_duration;
pub use urls::Transport;
pub(crate) use urls::{place, shown as shown_url};
pub use words::{Code, CodeError, Slug};
pub use zone::{MemberConfig, ZoneConfig};

use resolve::Typed;

/// The folder beside the main file whose `*.toml` belong to the configuration.
pub(crate) const CONF_D: &str = "conf.d";

/// Everything configured, every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The state folder.
    pub state: PathBuf,
    /// Sockets and threads. A running server takes other addresses over; any other change needs a restart.
    pub server: Server,
    /// What a running server takes over.
    pub reloadable: Reloadable,
    /// Own files that are not there: their lists fail, everything else goes on. `check-config` calls it a mistake.
    pub absent: Problems,
}

/// Sockets and threads of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Addresses, each for UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Addresses for DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS.
    pub doh: Vec<SocketAddr>,
    /// Where questions over HTTPS go.
    pub doh_path: HttpPath,
    /// Everybody who can reach a public address may be answered, though no access list says who.
    pub open: bool,
    /// UDP threads for each address; `None`: one for each core.
    pub workers: Option<u16>,
    /// Each of them stays on a core of its own.
    pub pin_workers: bool,
    /// Connections at a time, over TCP, TLS and HTTPS together.
    pub tcp_connections: u32,
    /// Connections at a time from one client.
    pub tcp_connections_per_client: u32,
    /// A connection without a question for so long is closed.
    pub tcp_idle: Duration,
    /// The file with a line for each listing; `None`: nothing is written down.
    pub hit_log: Option<PathBuf>,
    /// What it shows of clients.
    pub hit_log_clients: ShownClients,
}

impl Server {
    /// All addresses that clients can come to.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listen.iter().chain(&self.dot).chain(&self.doh).copied()
    }
}

/// What can change while the server runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Reloadable {
    /// Who is answered, in any zone.
    pub access: AccessConfig,
    /// How often.
    pub limit: RateLimit,
    /// What `version.bind CH TXT` says; `None` = refused.
    pub version_bind: Option<String>,
    /// What clients of `dot` and `doh` are shown; there when one of them is.
    pub certificate: Option<CertificateFiles>,
    /// Fetching.
    pub sync: Sync,
    /// The lists, by name.
    pub lists: BTreeMap<Slug, ListConfig>,
    /// The zones, by origin.
    pub zones: Vec<ZoneConfig>,
}

/// Fetching.
#[derive(Debug, Clone, PartialEq)]
pub struct Sync {
    /// How often the server itself starts a sync; `None` = somebody else's timer does.
    pub timer: Option<Duration>,
    /// The operator's networks: no feed may list them.
    pub own_networks: Vec<Subject>,
    /// Networks whose listing shows that a feed is broken, such as those of large providers of mail: what a feed that
    /// blocks says of them is left out.
    pub canaries: Vec<Subject>,
    /// A program that is told of lists that are held or refused, with its arguments.
    pub hook: Option<Vec<String>>,
    /// Folder with other feed files instead of the embedded ones.
    pub catalogue: Option<PathBuf>,
    /// Whom a publisher may write to; goes into the User-Agent.
    pub contact: Option<String>,
    /// What HTTP goes through; the environment's are never used.
    pub proxy: Option<Url>,
    /// Where what the proxy is shown stands, `USER:PASSWORD`.
    pub proxy_credential: Option<Credential>,
    /// Certificates of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long earlier versions of a list are kept.
    pub keep: Duration,
    /// What they may take on disk for each list, in octets.
    pub keep_size: u64,
    /// How long is kept how a list changed.
    pub keep_history: Duration,
    /// What that may take on disk for each list, in octets.
    pub keep_history_size: u64,
}

impl Sync {
    /// What is taken out of a list, and the part of it whose listing shows that the list is broken. An allow list may
    /// hold canaries: they are who it is for.
    pub fn never(&self, list: &ListConfig) -> (NeverList, NeverList) {
        let never = NeverList::of_feed(list.limits.bogons, &self.own_networks);
        if !list.use_.can_list() {
            return (never, NeverList::default());
        }
        (never.with(&self.canaries), NeverList::default().with(&self.canaries))
    }
}

/// What environment or flags say instead of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The state folder.
    pub state: Option<PathBuf>,
    /// Listen addresses; empty = as the file says.
    pub listen: Vec<SocketAddr>,
    /// Folder with feed files.
    pub catalogue: Option<PathBuf>,
}

impl Overrides {
    /// `GATEPOST_STATE` and `GATEPOST_LISTEN` (addresses parted by commas or blanks).
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut overrides = Self {
            state: variable("GATEPOST_STATE").filter(|s| !s.is_empty()).map(Into::into),
            ..Self::default()
        };
        let listen = variable("GATEPOST_LISTEN").unwrap_or_default();
        let listen = listen.to_string_lossy();
        for word in listen.split([',', ' ']).filter(|word| !word.is_empty()) {
            match word.parse() {
                Ok(address) => overrides.listen.push(address),
                Err(_) => problems.push(
                    Problem::new(
                        &Place::Outside("GATEPOST_LISTEN"),
                        format!("`{word}` is not an address and a port"),
                    )
                    .help("expected such as 127.0.0.1:5354 or [::1]:5354"),
                ),
            }
        }
        problems.or(|| overrides)
    }

    /// These, and where they say nothing, what `below` says.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            state: self.state.or(below.state),
            listen: if self.listen.is_empty() { below.listen } else { self.listen },
            catalogue: self.catalogue.or(below.catalogue),
        }
    }
}

/// A configuration that has been read but not yet been understood: for that the catalogue is needed, and the file
/// itself says where the catalogue is.
pub struct Draft {
    main: Typed,
    additions: Vec<Typed>,
    overrides: Overrides,
    problems: Problems,
}

impl Draft {
    /// Reads the main file at `path` and `conf.d/*.toml` beside it, in the order of their names.
    pub fn read(path: &Path, overrides: Overrides) -> Result<Self, Problems> {
        Self::read_as_if(path, overrides, None)
    }

    /// The same as it would be if the file called `.0` in `conf.d` held the text `.1`.
    pub fn read_as_if(
        path: &Path,
        overrides: Overrides,
        instead: Option<(&str, &str)>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let Some(document) = read::document(path, &mut problems) else { return Err(problems) };
        let folder = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let main = file::File::main(&document, &mut problems);
        // Of what lies in a file that is not TOML nothing is known, so nothing is said about what others say of it.
        let mut is_whole = main.is_some();
        let main = Typed { file: main.unwrap_or_default(), folder: folder.clone() };
        let mut additions = Vec::new();
        let conf_d = folder.join(CONF_D);
        let mut paths = toml_files(&conf_d, false, &mut problems);
        let instead = instead.map(|(name, text)| (conf_d.join(name), text));
        if let Some((path, _)) = instead.as_ref().filter(|(path, _)| !paths.contains(path)) {
            paths.push(path.clone());
            paths.sort();
        }
        for path in paths {
            let document = match &instead {
                Some((instead, text)) if *instead == path => {
                    Some(Arc::new(problem::Document { path, text: (*text).to_owned() }))
                }
                _ => read::document(&path, &mut problems),
            };
            let Some(document) = document else { continue };
            match file::File::addition(&document, &mut problems) {
                Some(file) => additions.push(Typed { file, folder: conf_d.clone() }),
                None => is_whole = false,
            }
        }
        if !is_whole {
            problems.sort();
            return Err(problems);
        }
        Ok(Self { main, additions, overrides, problems })
    }

    /// Where the catalogue is, if not in the program.
    pub fn catalogue(&self) -> Option<PathBuf> {
        let typed = self.main.file.sync.catalogue.as_ref().map(|at| self.main.folder.join(&at.value));
        self.overrides.catalogue.clone().or(typed)
    }

    /// The mistakes of the files themselves, for when there is no catalogue to go on with.
    pub fn into_problems(self) -> Problems {
        self.problems
    }

    /// The meaning of it all.
    pub fn resolve(mut self, feeds: &Feeds) -> Result<Config, Problems> {
        let config = resolve::resolve(self.main, self.additions, &self.overrides, feeds, &mut self.problems);
        Ok(Config { absent: self.problems.unless_passing()?, ..config })
    }
}

/// The `*.toml` of a folder, in the order of their names.
fn toml_files(folder: &Path, must_exist: bool, problems: &mut Problems) -> Vec<PathBuf> {
    let names = match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>(),
        Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => Err(error),
    };
    match names {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries
                .into_iter()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
                .collect();
            paths.sort();
            paths
        }
        Err(error) => {
            let message = format!("cannot read the folder: {}", plain(&error));
            problems.push(Problem::new(&Place::File(folder.to_owned()), message));
            Vec::new()
        }
    }
}

/// An error of the operating system without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
