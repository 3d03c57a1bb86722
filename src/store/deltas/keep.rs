//! Writes down how a list changed, and forgets what is too old.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::{DeltaFile, Deltas, encoded, file};
use crate::model::ContentHash;
use crate::set::{Set, Since, Version, delta};
use crate::store::error::StoreError;
use crate::store::killpoint::killpoint;
use crate::store::list::{ListWriter, RETIRED, Retention, remove};
use crate::store::owner::open_folder;
use crate::store::{atomic, make_folder};

impl ListWriter<'_> {
    /// Writes down how the version `after` of the list came from the one before it, and since when its entries are
    /// there. Without a version before it, or without its set, the new one is a beginning.
    pub fn keep_change(
        &self,
        before: Option<(&Set, &Version)>,
        after: (&Set, &Version),
        keep: Retention,
    ) -> Result<(), StoreError> {
        let deltas = self.deltas();
        make_folder(&deltas.folder, self.owner())?;
        open_folder(&deltas.folder, self.owner())?;
        let (new, after) = after;
        let Some((old, before)) = before else {
            return self.keep_since(&Since::begin(new, *after), None);
        };
        if before.set == after.set {
            return match deltas.kept_since(&after.set) {
                Ok(_) => Ok(()),
                Err(_) => self.keep_since(&since(&deltas, old, before), None),
            };
        }
        if keep.age > Duration::ZERO {
            self.keep_delta((old, before), (new, after))?;
        }
        let since = since(&deltas, old, before).next(old, new, *after);
        self.keep_since(&since.unwrap_or_else(|| Since::begin(new, *after)), Some(&before.set))
    }

    fn keep_delta(&self, before: (&Set, &Version), after: (&Set, &Version)) -> Result<(), StoreError> {
        let deltas = self.deltas();
        let ((old, before), (new, after)) = (before, after);
        let files = deltas.files()?;
        if !files.iter().any(|file| file.after == before.set.short()) {
            self.keep_anchor(&before.set, &encoded(old))?;
        }
        let number = files.last().map_or(1, |file| file.number + 1);
        let target = DeltaFile::new(&deltas.folder, number, before, after);
        let octets = file::octets(before, after, &delta::encode(old, new))
            .map_err(StoreError::io("compress", &target.path))?;
        self.write(&target.path, "delta", &octets)
    }

    fn keep_anchor(&self, hash: &ContentHash, octets: &[u8]) -> Result<(), StoreError> {
        self.write(&self.deltas().anchor_path(hash), "anchor", octets)
    }

    /// Keeps `since` and the one of the set `before`, which is current until the status says otherwise.
    fn keep_since(&self, since: &Since, before: Option<&ContentHash>) -> Result<(), StoreError> {
        let deltas = self.deltas();
        self.write(&deltas.since_path(since.set()), "since", &since.encode())?;
        for (hash, path) in deltas.named("since-")? {
            if hash != *since.set() && Some(&hash) != before {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn write(&self, target: &Path, kind: &str, octets: &[u8]) -> Result<(), StoreError> {
        let check = |written: &Path| match std::fs::read(written) {
            Ok(there) if there == octets => Ok(()),
            Ok(_) => Err("other octets came back".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        atomic::write(target, kind, 0o644, self.owner(), |out| out.write_all(octets), check)
    }

    /// Forgets deltas that are too old, or too many. What is left begins from a set that is there whole.
    pub fn prune_deltas(&self, keep: Retention) -> Result<usize, StoreError> {
        killpoint("deltas-prune");
        let deltas = self.deltas();
        let mut files = deltas.files()?;
        let gone = too_many(&files, keep)?;
        if gone == 0 {
            return Ok(0);
        }
        let left = files.split_off(gone);
        if let Some(first) = left.first() {
            self.move_anchor(first)?;
        }
        for file in &files {
            remove(&file.path)?;
        }
        let begins = |hash: &ContentHash| {
            let is_before = |file: &DeltaFile| file.before == hash.short();
            left.iter()
                .position(is_before)
                .is_some_and(|at| !left[..at].iter().any(|earlier| earlier.after == hash.short()))
        };
        for (hash, path) in deltas.named("anchor-")? {
            if !begins(&hash) {
                remove(&path)?;
            }
        }
        atomic::sync_folder(&deltas.folder)?;
        Ok(gone)
    }

    /// Puts the set that `first` begins from there whole. What cannot be put together any more is lost.
    fn move_anchor(&self, first: &DeltaFile) -> Result<(), StoreError> {
        let deltas = self.deltas();
        let Ok(stored) = file::read(&first.path) else { return Ok(()) };
        let begin = stored.before.set;
        let mut octets = None;
        let mut visit = |version: &Version, _: Option<&Set>, set: &Set| {
            if version.set == begin {
                octets = Some(encoded(set));
            }
        };
        deltas.replay_below(first.number, &begin, Some(stored.before.time), &mut visit)?;
        octets.map_or(Ok(()), |octets| self.keep_anchor(&begin, &octets))
    }
}

/// Since when the entries of a version are there; since it was taken at least, when nothing else is known.
fn since(deltas: &Deltas, set: &Set, version: &Version) -> Since {
    let known = deltas.since(&version.set, set, Some(version.time));
    known.unwrap_or_else(|| Since::begin(set, *version))
}

/// How many of the oldest have to go: for their age [`RETIRED`] at once, unless nothing is to be kept.
fn too_many(files: &[DeltaFile], keep: Retention) -> Result<usize, StoreError> {
    if keep.age.is_zero() {
        return Ok(files.len());
    }
    let mut total = 0;
    for (at, file) in files.iter().enumerate().rev() {
        let found = std::fs::metadata(&file.path).map_err(StoreError::io("read", &file.path))?;
        total += found.len();
        if total > keep.size {
            return Ok(at + 1);
        }
        // A time in the future is a clock that was stepped: as good as now.
        let age = u64::try_from(keep.now.saturating_sub(file.time)).unwrap_or(0);
        if age > keep.age.as_secs() {
            // What is before it may be too much; it goes when its turn comes.
            return Ok(RETIRED.min(at + 1));
        }
    }
    Ok(0)
}
