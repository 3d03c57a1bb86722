//! What a person decides of a list: let what is held through, keep a version in service, go back to an earlier one.

use super::judge::{Against, Body};
use super::{Desk, lost};
use crate::model::ContentHash;
use crate::store::{Act, Attempt, Dates, Outcome, SetRef};
use crate::sync::{ListReport, SyncError};

impl Desk<'_> {
    /// Lets what is held through, whatever speaks against it. Where nothing is held, but older versions came, the dates
    /// of the version in service are forgotten: the next one is taken whatever it is dated.
    /// `meant` is what was held when a person said so.
    pub(in crate::sync) fn accept(mut self, meant: Option<ContentHash>) -> Result<ListReport, SyncError> {
        let name = self.list.name.clone();
        if self.status.pinned.is_some() {
            return Err(SyncError::Pinned(name));
        }
        let mut report = ListReport::new(&self.list.name);
        let mut attempt = self.by_hand(Act::Accept);
        let held = self.keeper.held()?.filter(|_| self.status.waits);
        if held.as_ref().map(|held| held.set.hash) != meant {
            return Err(SyncError::Replaced(name));
        }
        let Some(held) = held else {
            if self.status.stale == 0 {
                return Err(SyncError::NothingHeld(name));
            }
            self.status.dates = Dates::default();
            self.status.passed_over.clear();
            self.status.validators = None;
            self.status.stale = 0;
            self.status.next = None;
            report.reasons = vec!["accepted by hand: the next version, whatever it is dated".to_owned()];
            report.outcome = Some(Outcome::Stale);
            self.write_down(&mut report, attempt)?;
            return Ok(report);
        };
        let body = self.keeper.copy_of_held_body(self.list.max_size)?;
        let read = match self.read(&Body::stored(body.path(), held.validators.as_ref()), Against::LastVersion)
        {
            Ok(read) if read.outcome == Outcome::Rejected => {
                return Err(SyncError::NotAList(name, read.reasons.join("; ")));
            }
            Ok(read) if read.set.hash == held.set.hash => read,
            // It was being replaced when somebody killed the sync, or is read in another way now.
            Ok(_) => return Err(SyncError::OtherHeld(name)),
            Err(refusal) => return Err(SyncError::NotAList(name, refusal.reasons.join("; "))),
        };
        read.note_in(&mut attempt);
        attempt.validators.clone_from(&held.validators);
        attempt.url = held.validators.as_ref().map(|validators| validators.url.clone());
        attempt.body = Some(crate::store::hash_file(body.path())?);
        self.take(read.let_through("accepted by hand".to_owned()), Some(body), held.validators, &mut report)?;
        // Nobody has confirmed it since it came.
        if held.fetched.is_some() {
            self.status.last_confirmed = held.fetched;
        }
        self.write_down(&mut report, attempt)?;
        Ok(report)
    }

    /// Takes what comes again.
    pub(in crate::sync) fn unpin(mut self) -> Result<ListReport, SyncError> {
        if self.status.pinned.take().is_none() {
            return Err(SyncError::NotPinned(self.list.name.clone()));
        }
        // What was passed over is fetched as soon as its publisher allows.
        self.status.next = None;
        let mut report = ListReport::new(&self.list.name);
        report.reasons = vec!["unpinned by hand: the next fetch is taken".to_owned()];
        if self.status.has_ended(&self.now) {
            report.reasons.push(
                "its data have ended, as their $TIMESTAMP says: nothing is answered from them until then"
                    .to_owned(),
            );
        }
        report.outcome = Some(Outcome::Pinned);
        let attempt = self.by_hand(Act::Unpin);
        self.write_down(&mut report, attempt)?;
        Ok(report)
    }

    /// Puts a version in service, if it is not the one that is, and keeps it there.
    pub(in crate::sync) fn put_in_service(
        mut self,
        hash: ContentHash,
        act: Act,
    ) -> Result<ListReport, SyncError> {
        let mut report = ListReport::new(&self.list.name);
        let before = self.status.set;
        let history = self.keeper.history();
        self.check_is_own(&hash, &history)?;
        let set = self.keeper.set(&hash)?;
        let mut attempt = self.by_hand(act);
        let old = before.filter(|before| before.hash != hash).and_then(|before| self.old(&before.hash));
        if let Some(old) = &old {
            let changed = crate::set::changes(old, &set, &mut |_, _| {});
            (attempt.added, attempt.removed) = (Some(changed.added), Some(changed.removed));
            report.diff = Some(crate::compile::Diff::between(old, &set));
        }
        self.remember(old.as_ref(), &set, hash);
        self.keeper.touch_set(&hash)?;
        let known = SetRef { hash, entries: set.len() as u64 };
        let reason = match act {
            Act::Rollback => format!("rolled back by hand to {}, and pinned", hash.short()),
            _ => format!("pinned by hand to {}", hash.short()),
        };
        self.status.pin(known, reason.clone(), &self.now);
        // Who wants it knows what for.
        self.note_use();
        attempt.use_ = self.status.use_;
        if before.is_none_or(|before| before.hash != hash) {
            self.status.brought = lost::brought(&history, &hash).map(Box::new);
            self.status.body = self.status.brought.as_ref().and_then(|brought| brought.body);
        }
        report.outcome = Some(Outcome::Pinned);
        report.reasons = vec![reason];
        self.write_down(&mut report, attempt)?;
        Ok(report)
    }

    fn by_hand(&self, act: Act) -> Attempt {
        Attempt { act: Some(act), ..Attempt::new(self.now.stamp().wall) }
    }
}
