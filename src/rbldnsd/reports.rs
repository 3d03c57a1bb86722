//! What the two processes tell each other.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::options::{Specs, Ttls};
use crate::model::{AccessList, Name};
use crate::parse::Diag;

/// To the loader.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The first: what it is to load, and as whom.
    Job(Box<Job>),
    /// Look at the files, and load what has changed.
    Check,
    /// What was handed over of this zone did not arrive: the next check is to hand it over once more.
    Again(Name),
}

/// What a loader is told once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    /// The root folder and the user to become before a file is opened.
    pub confinement: Confinement,
    /// Where compiled zones are kept; `None` = in sealed memory.
    pub cache: Option<PathBuf>,
    /// `-t`.
    pub ttls: Ttls,
    /// `-e`.
    pub host_bits: bool,
    /// Not `-C`.
    pub gzip: bool,
    /// What is to be served.
    pub specs: Specs,
}

/// Lines that were left out when files were read: the first ones, for whoever starts again and asks what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BadLines {
    /// The first [`Self::KEPT`] with their files.
    pub first: Vec<(PathBuf, Diag)>,
    /// How many there are besides.
    pub more: u64,
}

impl BadLines {
    /// How many are kept.
    pub(super) const KEPT: usize = 100;

    /// Adds one.
    pub(super) fn push(&mut self, file: &Path, diag: Diag) {
        match self.first.len() < Self::KEPT {
            true => self.first.push((file.to_owned(), diag)),
            false => self.more += 1,
        }
    }

    /// Adds all of another's.
    pub(super) fn extend(&mut self, other: &Self) {
        other.first.iter().for_each(|(file, diag)| self.push(file, diag.clone()));
        self.more += other.more;
    }
}

/// Privileges to give up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Confinement {
    /// `-r`.
    pub root: Option<PathBuf>,
    /// `-w`.
    pub workdir: Option<PathBuf>,
    /// User and group ids.
    pub ids: Option<(u32, u32)>,
}

/// From the loader, as it goes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// A line was left out.
    BadLine {
        /// Its file.
        file: PathBuf,
        /// Where and why.
        diag: Diag,
    },
    /// A data set was read.
    Read {
        /// `type:files`.
        data_set: String,
        /// Its entries.
        entries: u64,
        /// Lines that were left out.
        bad: u64,
        /// The time of its newest file, in seconds since 1970.
        modified: i64,
        /// How long it took.
        milliseconds: u64,
    },
    /// A zone, or a subzone of one, ready to be served; its snapshot comes with it as a descriptor.
    Zone {
        /// The zone on the command line to which it belongs.
        base: Name,
        /// Its origin.
        origin: Name,
        /// The serial of its SOA.
        serial: u32,
        /// When its data end by their own words, in seconds since 1970.
        until: Option<i64>,
        /// It was not compiled now but found in the cache.
        cached: bool,
    },
    /// An access list.
    Access {
        /// Which of the data sets it is.
        data_set: usize,
        /// What it says.
        list: AccessList,
    },
    /// Something that an operator should know.
    Warning {
        /// In a sentence.
        text: String,
    },
    /// A zone or an access list stays as it was.
    Failed {
        /// Which.
        part: Part,
        /// Why.
        why: String,
    },
    /// Every file was looked at.
    Done {
        /// Zones and access lists that were handed over.
        changed: usize,
        /// And that could not be loaded.
        failed: usize,
        /// How long it took.
        milliseconds: u64,
    },
}

/// What is loaded, or not, as a whole.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Part {
    /// The zone with this origin, and its subzones.
    Zone(Name),
    /// An access list.
    Access {
        /// Which of the data sets it is.
        data_set: usize,
        /// The same for people: `acl:files`.
        name: String,
    },
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(origin) => write!(f, "zone {origin}"),
            Self::Access { name, .. } => write!(f, "the access list {name}"),
        }
    }
}
