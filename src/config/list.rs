//! A list: where it comes from, how it is read and judged, what it answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

use super::credential::Credential;
use super::defaults;
use super::words::{Code, Slug};
use crate::guard::entries::Limits;
use crate::model::{Template, Use};
use crate::parse::{Format, Options};

/// Where a list's text comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The same content at each of these; tried in order.
    Urls(Vec<Url>),
    /// The operator's own files, one list together, served as written; at least one. A path may mean a folder
    /// ([`is_folder`]).
    Files(Vec<PathBuf>),
    /// Part of the program.
    Embedded(&'static str),
}

impl Source {
    /// Where it is fetched from; none when it is read where it is.
    pub fn urls(&self) -> &[Url] {
        match self {
            Self::Urls(urls) => urls,
            Self::Files(_) | Self::Embedded(_) => &[],
        }
    }
}

/// Whether an own file's path means all files in a folder: it ends with `/`.
pub fn is_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// When a list is too old. `None` = never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ages {
    /// Not confirmed for so long: reported.
    pub soft: Option<Duration>,
    /// Not confirmed for so long: no longer listing (allow lists go on).
    pub hard: Option<Duration>,
    /// Confirmed but unchanged for so long: reported.
    pub unchanged: Option<Duration>,
}

impl Ages {
    /// Of a feed that says nothing else.
    pub const FEED: Self = Self {
        soft: Some(defaults::SOFT_AGE),
        hard: Some(defaults::HARD_AGE),
        unchanged: Some(defaults::UNCHANGED_AGE),
    };

    /// Of the operator's own files and of what is part of the program: they are right until somebody changes them.
    pub const NEVER: Self = Self { soft: None, hard: None, unchanged: None };
}

/// A list as configured: every default and everything its feed says filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct ListConfig {
    /// Its name.
    pub name: Slug,
    /// The catalogue's feed behind it.
    pub feed: Option<Slug>,
    /// The feed's content comes from a place of the operator's own, not from where the catalogue says.
    pub own_copy: bool,
    /// A line for people.
    pub title: String,
    /// Where to look an address up or get it off, if there is such a page.
    pub lookup: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// How it is written.
    pub format: Format,
    /// What the parser is told besides; the time is left to the caller.
    pub options: Options,
    /// What it is good for.
    pub use_: Use,
    /// What it answers with where a zone says nothing else.
    pub code: Option<Code>,
    /// What it says where a zone says nothing else; `{note}` is still in it.
    pub text: Template,
    /// When it is too old.
    pub ages: Ages,
    /// Least time between two fetches.
    pub floor: Duration,
    /// What it must look like. Own files and embedded lists are not judged by it ([`ListConfig::is_own`]).
    pub limits: Limits,
    /// Largest body as transferred, in octets.
    pub max_size: u64,
    /// May be fetched from loopback and private addresses.
    pub allow_private: bool,
    /// Where the password, the token or ssh's key for it stands.
    pub credential: Option<Credential>,
    /// The host keys that ssh takes, beside those that it knows anyway.
    pub known_hosts: Option<PathBuf>,
}

impl ListConfig {
    /// The operator's own word or the program's: served as written, without guards and never-list.
    pub fn is_own(&self) -> bool {
        matches!(self.source, Source::Files(_) | Source::Embedded(_))
    }

    /// Largest decoded body, in octets.
    pub fn max_decoded(&self) -> u64 {
        self.max_size.saturating_mul(defaults::DECODED_FACTOR)
    }
}
