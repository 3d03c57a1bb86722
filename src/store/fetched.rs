//! Which fetch brought a version of a list, as its log knows.

use super::list::ListDir;
use super::log::Attempt;
use super::owner::read_small;
use super::status::Outcome;
use crate::set::Version;

/// A version is taken so many seconds after its attempt began, at most: own files are read in between.
const WITHIN: u64 = 900;

/// The attempts that brought a set, newest first.
#[derive(Debug, Clone, Default)]
pub struct Fetches(Vec<Attempt>);

impl ListDir {
    /// What its logs know, those put aside too.
    pub fn fetches(&self) -> Fetches {
        let log = self.path().join("log.jsonl");
        let aside = (1..).map(|number: u32| self.path().join(format!("log.jsonl.{number}")));
        let texts = std::iter::once(log).chain(aside).map_while(|path| read_small(&path).ok());
        let mut fetches = Vec::new();
        for text in texts {
            let lines = text.rsplit(|&octet| octet == b'\n');
            let attempts = lines.filter_map(|line| serde_json::from_slice::<Attempt>(line).ok());
            fetches.extend(
                attempts.filter(|attempt| matches!(attempt.outcome, Outcome::Accepted | Outcome::Trimmed)),
            );
        }
        Fetches(fetches)
    }
}

impl Fetches {
    /// The attempt that brought this version.
    pub fn of(&self, version: &Version) -> Option<&Attempt> {
        let apart = |attempt: &&Attempt| attempt.wall.abs_diff(version.time);
        let same = self.0.iter().filter(|attempt| attempt.set == Some(version.set));
        same.min_by_key(apart).filter(|attempt| apart(attempt) <= WITHIN)
    }
}
