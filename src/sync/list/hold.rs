//! What is held: it waits for a person, or, where nothing but its difference speaks against it, for agreement.
//!
//! A publisher that really changed its list goes on publishing it; a fault is gone a few hours later, or looks different
//! each time. So three fetches over six hours that lie within the band of one another let themselves through.

use std::time::Duration;

use super::{Desk, Judged};
use crate::feed::fetch::Fetched;
use crate::guard::entries::{Difference, Limits};
use crate::store::{Held, Sighting};
use crate::sync::{ListReport, SyncError};

/// Fetches that must agree.
pub(crate) const AGREEING: usize = 3;

/// How long lies at least between the first and the last of them.
pub(crate) const AGREEING_OVER: Duration = Duration::from_secs(6 * 3600);

/// Fetches whose sets are kept for that. A feed that is fetched more often has some of those in the middle forgotten.
const MOST: usize = 8;

impl Desk<'_> {
    /// Puts the body aside, or takes it when it has agreed with others for long enough.
    pub(super) fn hold(
        &mut self,
        read: Judged,
        fetched: Fetched,
        report: &mut ListReport,
    ) -> Result<(), SyncError> {
        // One that is damaged waits anew.
        let before = self.keeper.held().ok().flatten().filter(|_| self.status.waits);
        let agreeing = match read.changed_too_much {
            true => self.agreeing(&read, before.as_ref()),
            false => Vec::new(),
        };
        if self.is_agreement(&agreeing) {
            let first = agreeing.first().map(|sighting| self.now.age(&sighting.at)).unwrap_or_default();
            let hours = first.as_secs() / 3600;
            let why = format!("let through: {} fetches over {hours} hours agree", agreeing.len());
            return self.take(read.let_through(why), Some(fetched.body), Some(fetched.validators), report);
        }
        let held = Held {
            since: before.as_ref().map_or_else(|| self.now.stamp(), |held| held.since.clone()),
            seen: before.map_or(0, |held| held.seen) + 1,
            set: read.set,
            reasons: read.reasons.clone(),
            fetched: Some(self.now.stamp()),
            validators: Some(fetched.validators),
            use_: Some(self.list.use_),
            dates: read.dates,
            agreeing,
        };
        self.keeper.hold(fetched.body, &read.parsed.set, &held)?;
        self.refuse(read.refusal(), report);
        Ok(())
    }

    /// The fetches before this one that agree with it, and itself.
    fn agreeing(&self, read: &Judged, before: Option<&Held>) -> Vec<Sighting> {
        let earlier = before.iter().flat_map(|held| &held.agreeing);
        let mut agreeing: Vec<Sighting> =
            earlier.filter(|sighting| self.is_within_band(sighting, read)).cloned().collect();
        agreeing.push(Sighting { at: self.now.stamp(), set: read.set });
        while agreeing.len() > MOST {
            let age = |at: usize| self.now.age(&agreeing[at].at);
            let closest = (1..agreeing.len() - 1).min_by_key(|&at| age(at - 1).saturating_sub(age(at)));
            agreeing.remove(closest.unwrap_or(1));
        }
        agreeing
    }

    /// Whether either could have come after the other without being held.
    fn is_within_band(&self, sighting: &Sighting, read: &Judged) -> bool {
        if sighting.set.hash == read.set.hash {
            return true;
        }
        // What is cut on the way is cut elsewhere the next time.
        if read.seems_cut {
            return false;
        }
        let Ok(earlier) = self.keeper.held_set(&sighting.set.hash) else { return false };
        let (never, _) = self.config.reloadable.sync.never(self.list);
        // A handful may come and go at once; that it agrees with another handful is not said by that.
        let limits = Limits { compare_above: 0, ..self.list.limits.clone() };
        let is_calm = |old, new| Difference::between(old, new, &never).reasons(&limits).is_empty();
        let read = &read.parsed.set;
        is_calm(&earlier, read) && is_calm(read, &earlier)
    }

    fn is_agreement(&self, agreeing: &[Sighting]) -> bool {
        let first = agreeing.first().map(|sighting| self.now.age(&sighting.at));
        agreeing.len() >= AGREEING && first.is_some_and(|age| age >= AGREEING_OVER)
    }
}
