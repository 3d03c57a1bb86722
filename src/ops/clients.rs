//! Who is answered, and how often: the rules of the configuration and of the access files it names.
//!
//! Files are the operator's, small, and say who is let in: what cannot be read is a mistake like one in the
//! configuration, and while the server runs the rules before it stay in force. Read [`Clients`] first. Never: what the
//! server does with an action.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::config::{AccessConfig, Config, Place, Problem, Problems, RateLimit, defaults, lets_strangers_in};
use crate::feed::decode::decode_with_tail;
use crate::feed::files::{self, OwnFile};
use crate::model::Ttl;
use crate::parse::{self, AccessParser};
use crate::server::{AccessLists, Limit, Limiter};
use crate::store::Validators;
use crate::zone::Access;

/// Octets of an access file, unpacked.
const SIZE_MAX: u64 = 256 << 20;

/// The access lists of a configuration.
#[derive(Debug)]
pub struct Clients {
    lists: AccessLists,
    /// The files, and what they were when they were read last.
    files: Vec<(PathBuf, Seen)>,
}

/// What is known of a file without reading it.
#[derive(Debug, PartialEq)]
enum Seen {
    File {
        is: Validators,
        /// A later change is sure to show.
        settled: bool,
    },
    Missing,
}

impl Seen {
    fn of(path: &Path) -> Self {
        match OwnFile::open(path) {
            Ok(file) => {
                let settled = file.is_settled();
                Self::File { is: files::validators(&[file]), settled }
            }
            Err(_) => Self::Missing,
        }
    }
}

impl Clients {
    /// Reads them.
    pub fn read(config: &Config) -> Result<Self, Problems> {
        let zones = config.reloadable.zones.iter();
        let named = zones.clone().flat_map(|zone| &zone.access.files).chain(&config.reloadable.access.files);
        // Looked at before they are read: what changes meanwhile is found by the next look.
        let files = named.map(|path| (path.clone(), Seen::of(path))).collect();
        Ok(Self { lists: lists(config)?, files })
    }

    /// Who is answered.
    pub fn lists(&self) -> &AccessLists {
        &self.lists
    }

    /// Whether there are files to look at now and then.
    pub fn have_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Reads the files again if one looks different; the lists when they are others now. `Err` once for each change that
    /// cannot be read: what was read before still holds.
    pub fn look(&mut self, config: &Config) -> Result<Option<&AccessLists>, Problems> {
        let now: Vec<_> = self.files.iter().map(|(path, _)| (path.clone(), Seen::of(path))).collect();
        let unsettled = |seen: &Seen| matches!(seen, Seen::File { settled: false, .. });
        if now == self.files && !now.iter().any(|(_, seen)| unsettled(seen)) {
            return Ok(None);
        }
        let only_settled = now.iter().zip(&self.files).all(|((_, now), (_, before))| match (now, before) {
            (Seen::File { is: now, .. }, Seen::File { is: before, .. }) => now == before,
            (now, before) => now == before,
        });
        self.files = now;
        match lists(config) {
            Ok(lists) if lists.server == self.lists.server && lists.zones == self.lists.zones => Ok(None),
            Ok(lists) => {
                // Who has had too many replies still has.
                let limit = self.lists.limit.take();
                self.lists = AccessLists { limit, ..lists };
                Ok(Some(&self.lists))
            }
            // Told when it came.
            Err(_) if only_settled => Ok(None),
            Err(problems) => Err(problems),
        }
    }
}

fn lists(config: &Config) -> Result<AccessLists, Problems> {
    let mut problems = Problems::default();
    let mut of = |access: &AccessConfig, ttl| Arc::new(read(access, ttl, &mut problems));
    let reloadable = &config.reloadable;
    let server = of(&reloadable.access, defaults::TTL.as_secs() as u32);
    let zones = reloadable.zones.iter().filter(|zone| !zone.access.is_empty());
    let zones = zones.map(|zone| (zone.origin.clone(), of(&zone.access, zone.ttl))).collect();
    let open = config.server.addresses().find(|&listen| lets_strangers_in(listen, &server));
    if let (Some(listen), Some(file), false) = (open, reloadable.access.files.first(), config.server.open) {
        let problem = Problem::new(
            &Place::File(file.clone()),
            format!("strangers can reach {listen}, and are let in by it"),
        );
        problems
            .push(problem.help("expected a line such as `0/0 :refuse` (for IPv6 ::/0), or `open = true`"));
    }
    let limit = Limiter::new(&limit_of(&reloadable.limit)).map(Arc::new);
    problems.or(|| AccessLists { server, zones, limit })
}

fn limit_of(limit: &RateLimit) -> Limit {
    let RateLimit { rate, slip, loopback, exempt } = limit.clone();
    Limit { rate, slip, loopback, exempt }
}

/// The rules, then the files.
fn read(access: &AccessConfig, ttl: Ttl, problems: &mut Problems) -> Access {
    let mut parser = AccessParser::new(&parse::Options::default());
    for path in &access.files {
        read_file(path, &mut parser, problems);
    }
    // A `$TTL` of the files is for what they bring alone.
    Access::of_lists(&[access.list(), parser.finish()], ttl)
}

fn read_file(path: &Path, parser: &mut AccessParser, problems: &mut Problems) {
    let mut wrong = |message: String| problems.push(Problem::new(&Place::File(path.to_owned()), message));
    let file = match OwnFile::open(path) {
        Ok(file) => file,
        Err(why) => return wrong(without(path, &why)),
    };
    let mut on_bad = |diag: parse::Diag| tracing::warn!("{}: left out: {diag}", path.display());
    let has_tail = AtomicBool::new(false);
    let text = decode_with_tail(BufReader::new(file.reader()), SIZE_MAX, &has_tail);
    if let Err(error) = text.and_then(|text| parser.read(text, &mut on_bad)) {
        wrong(error.to_string());
    } else if !file.is_unchanged() {
        wrong("it was changed while it was read".to_owned());
    }
    if has_tail.into_inner() {
        tracing::warn!("{}: what lies behind its gzip data is no gzip and ignored", path.display());
    }
}

/// A message without the path at its head, which stands beside it.
fn without(path: &Path, message: &str) -> String {
    let head = format!("{}: ", path.display());
    message.strip_prefix(&head).unwrap_or(message).to_owned()
}
