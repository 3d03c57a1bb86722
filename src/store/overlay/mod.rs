//! Local decisions: `overlay.jsonl`, one line of JSON for each that stands, and `overlay-log.jsonl`, one line for each that
//! was ever made, taken back or came to its end.
//!
//! Whoever writes holds a lock of its own: a decision does not wait for a sync that downloads. A new decision is appended;
//! what is replaced, taken back or over goes when the file is written anew and renamed. A reader needs no lock. A line that
//! cannot be read costs itself alone: it is told of, and stays until a person mends it.
//!
//! Read [`LocalDecision`] first, then [`Store::decisions`] and [`DecisionWriter`].

mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Store;
use super::error::StoreError;
use super::owner::read_if_there;
pub use writer::{Changed, DecisionWriter};

use crate::model::{Name, Subject};
use crate::zone::{Entry, Overlay, Ruling};

/// The file of decisions, in the state folder.
pub const DECISIONS: &str = "overlay.jsonl";

/// What a person decided.
// Unknown keys are refused: a line of a later version may mean less than it seems to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalDecision {
    /// When, by the wall clock, in seconds since 1970.
    pub wall: i64,
    /// What was decided.
    #[serde(rename = "decision")]
    pub ruling: Ruling,
    /// About what: addresses, or a name with everything below it.
    pub what: Subject,
    /// In this zone alone; otherwise in every zone that lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Name>,
    /// It holds up to here, in seconds since 1970; otherwise until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided.
    pub by: String,
}

impl LocalDecision {
    /// Whether it has come to its end.
    pub fn is_over(&self, wall: i64) -> bool {
        self.until.is_some_and(|until| until <= wall)
    }

    /// What it is about, and where: of two decisions that share it the later one stands.
    fn place(&self) -> (&Subject, Option<&Name>) {
        (&self.what, self.zone.as_ref())
    }
}

impl fmt::Display for LocalDecision {
    /// `block 192.0.2.0/24 in zone bl.example until 2026-12-06T10:00:00Z, by alice: spam run`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ruling = match self.ruling {
            Ruling::Allow => "allow",
            Ruling::Block => "block",
        };
        write!(f, "{ruling} {}", self.what)?;
        if let Some(zone) = &self.zone {
            write!(f, " in zone {zone}")?;
        }
        if let Some(until) = self.until.and_then(|until| jiff::Timestamp::from_second(until).ok()) {
            write!(f, " until {until}")?;
        }
        write!(f, ", by {}", self.by)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decisions {
    /// In the order in which they were made; some may be over.
    pub made: Vec<LocalDecision>,
    /// Lines that cannot be read.
    pub damaged: Vec<DamagedLine>,
    /// The last of them does not end: it may be on its way.
    pub is_cut: bool,
    /// The last line does not end, whatever it is.
    is_open: bool,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedLine {
    path: PathBuf,
    number: usize,
    line: Vec<u8>,
    why: String,
}

impl fmt::Display for DamagedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, number, why, .. } = self;
        write!(f, "{}:{number}: no local decision, and not in force: {why}", path.display())
    }
}

/// The decisions that are in force at one moment, ready for zones.
#[derive(Debug, Default)]
pub struct InForce {
    everywhere: Arc<Overlay>,
    /// Those of zones that have decisions of their own, with those that hold everywhere.
    zones: BTreeMap<Name, Arc<Overlay>>,
    /// When the first of them comes to its end.
    pub next_end: Option<i64>,
}

impl InForce {
    /// What is in force in `zone`.
    pub fn of(&self, zone: &Name) -> &Arc<Overlay> {
        self.zones.get(zone).unwrap_or(&self.everywhere)
    }
}

impl Decisions {
    /// What of them is in force.
    pub fn in_force(&self, wall: i64) -> InForce {
        let standing: Vec<(Option<&Name>, Entry)> = self
            .standing(wall)
            .map(|decision| {
                let LocalDecision { what, ruling, reason, .. } = decision.clone();
                (decision.zone.as_ref(), Entry { subject: what, ruling, reason })
            })
            .collect();
        let of = |wanted: Option<&Name>| {
            let holds = |zone: Option<&Name>| zone.is_none() || zone == wanted;
            let entries = standing.iter().filter(|(zone, _)| holds(*zone)).map(|(_, entry)| entry);
            Arc::new(Overlay::new(entries))
        };
        let own: BTreeSet<&Name> = standing.iter().filter_map(|(zone, _)| *zone).collect();
        let zones = own.into_iter().map(|zone| (zone.clone(), of(Some(zone)))).collect();
        let next_end = self.standing(wall).filter_map(|decision| decision.until).min();
        InForce { everywhere: of(None), zones, next_end }
    }

    /// Those that are not over.
    pub fn standing(&self, wall: i64) -> impl Iterator<Item = &LocalDecision> {
        self.made.iter().filter(move |decision| !decision.is_over(wall))
    }

    fn read(path: &Path) -> Result<Self, StoreError> {
        let Some(text) = read_if_there(path)? else { return Ok(Self::default()) };
        let lines: Vec<&[u8]> = text.split(|&octet| octet == b'\n').collect();
        let mut decisions = Self { is_open: !text.is_empty() && !text.ends_with(b"\n"), ..Self::default() };
        for (at, &line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice::<LocalDecision>(line) {
                Ok(decision) => {
                    let what = decision.what.unmapped();
                    decisions.made.push(LocalDecision { what, ..decision });
                }
                Err(error) => {
                    decisions.is_cut = at + 1 == lines.len();
                    let (path, line, why) = (path.to_owned(), line.to_owned(), error.to_string());
                    decisions.damaged.push(DamagedLine { path, number: at + 1, line, why });
                }
            }
        }
        Ok(decisions)
    }
}

impl Store {
    /// The decisions that were made and not taken back.
    pub fn decisions(&self) -> Result<Decisions, StoreError> {
        Decisions::read(&self.path().join(DECISIONS))
    }
}
