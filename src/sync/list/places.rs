//! Several places for one list: who is asked behind whom, by which names bodies are known there, and what is remembered of
//! those that gave nothing of use.
//!
//! "Not modified" is believed when it is about the version in service. What a place gave that is of no use is remembered by
//! its name, for a day: it need not be sent again while another place gives the list, and never counts as confirmed.

use std::time::Duration;

use super::Desk;
use super::judge::{Against, Body, Refusal};
use crate::config::{Transport, shown_url};
use crate::feed::fetch::{Cause, FetchError, Fetcher, Known, NotModified, Outcome as Brought};
use crate::feed::schedule::{self, Trouble};
use crate::feed::secret;
use crate::store::{Attempt, InVain, Outcome, PassedOver, Useless, Validators, hash_file};

/// So long a body that is of no use need not be sent again. A server that never changes the name of what it gives would
/// not be heard again otherwise.
const NAMED: Duration = Duration::from_secs(86_400);

/// What came of asking.
pub(in crate::sync) struct Came {
    pub(super) brought: Result<Brought, FetchError>,
    /// Bodies on the way to it that are of no use, by their names.
    pub(super) useless: Vec<(Validators, Refusal)>,
    /// Nobody gave anything better.
    pub(super) in_vain: bool,
}

impl Desk<'_> {
    /// What need not be sent again: the version in service, and what was of no use elsewhere.
    pub(super) fn all_known(&self) -> Vec<Validators> {
        let mut all: Vec<Validators> = self.known().into_iter().collect();
        let judged_as = self.judged_as();
        let useless = self.status.passed_over.values().filter_map(|place| place.useless.as_ref());
        let useless = useless.filter(|body| body.read_as == judged_as && self.now.age(&body.at) < NAMED);
        for body in useless {
            if all.iter().all(|known| known.url != body.validators.url) {
                all.push(body.validators.clone());
            }
        }
        all
    }

    /// Asks on at the places behind one that answered with something of no use (an error page, a cut archive, a version from a
    /// stale cache, one without its end mark). What the first useful one gives counts; where none is, the first one that a person
    /// may let through, or else what the first of all gave.
    pub(in crate::sync) async fn fetch_on(
        &self,
        fetcher: &Fetcher,
        mut known: Known,
        brought: Result<Brought, FetchError>,
    ) -> Came {
        let first = match brought {
            Ok(first) => first,
            error => return Came { brought: error, useless: Vec::new(), in_vain: false },
        };
        let asks_on = self.is_before_others(&first, &known);
        let Some(refusal) = asks_on.then(|| self.refusal(&first)).flatten() else {
            return Came { brought: Ok(first), useless: Vec::new(), in_vain: false };
        };
        let mut before = first.answered().before.clone();
        before.push(refused(&first, &refusal));
        let mut may_wait = refusal.outcome == Outcome::Held;
        let mut useless: Vec<_> = named(&first, refusal).into_iter().collect();
        let mut best = first;
        let mut asks_on = true;
        while asks_on {
            // Nobody is asked twice.
            known.resting.extend(before.iter().map(|cause| cause.url.clone()));
            let Ok(body) = self.keeper.body_file() else { break };
            let (next, causes) = match self.fetch(fetcher, &known, body).await {
                Ok(mut next) => {
                    let causes = std::mem::take(&mut next.answered_mut().before);
                    (Some(next), causes)
                }
                Err(error) => (None, error.causes),
            };
            for cause in causes {
                if before.iter().all(|known| known.url != cause.url) {
                    before.push(cause);
                }
            }
            let Some(mut next) = next else { break };
            let Some(refusal) = self.refusal(&next) else {
                // "Nothing newer" is no better than a version that may be whole: who gives it may have stood still.
                if may_wait && self.is_nothing_newer(&next) {
                    before.push(refused(
                        &next,
                        &Refusal::stale("nothing newer than the version in service".to_owned()),
                    ));
                    asks_on = self.is_before_others(&next, &known);
                    continue;
                }
                next.answered_mut().before = before;
                return Came { brought: Ok(next), useless, in_vain: false };
            };
            before.push(refused(&next, &refusal));
            asks_on = self.is_before_others(&next, &known);
            let is_better = refusal.outcome == Outcome::Held && !may_wait;
            useless.extend(named(&next, refusal));
            if is_better {
                (best, may_wait) = (next, true);
            }
        }
        // Who asked to be left alone on the way is left alone.
        best.answered_mut().before = before;
        Came { brought: Ok(best), useless, in_vain: true }
    }

    /// It is the version in service, octet for octet.
    fn is_nothing_newer(&self, brought: &Brought) -> bool {
        match brought {
            Brought::NotModified(_) => true,
            Brought::Fetched(fetched) => self
                .status
                .body
                .is_some_and(|own| hash_file(fetched.body.path()).is_ok_and(|hash| hash == own)),
        }
    }

    /// Somebody behind this place can be asked.
    fn is_before_others(&self, brought: &Brought, known: &Known) -> bool {
        let urls = self.list.source.urls().iter().map(shown_url);
        let mut behind = urls.skip_while(|url| url != brought.place()).skip(1);
        behind.any(|url| !known.resting.contains(&url))
    }

    /// What would be said of what is of no use as a whole. A body that does not end as the version in service does was probably cut on the way: it waits
    /// for a person only when nobody has a whole one.
    fn refusal(&self, brought: &Brought) -> Option<Refusal> {
        let fetched = match brought {
            Brought::Fetched(fetched) => fetched,
            Brought::NotModified(not_modified) => return self.doubt(not_modified),
        };
        let body = Body { quiet: true, ..Body::of(fetched) };
        match self.read(&body, Against::LastVersion) {
            Ok(read) if self.is_let_through(&read) => None,
            Ok(read) => (read.outcome == Outcome::Rejected || read.seems_cut).then(|| read.refusal()),
            Err(refusal) => matches!(refusal.outcome, Outcome::Rejected | Outcome::Stale).then_some(refusal),
        }
    }

    /// Why "not modified" does not confirm the version in service.
    pub(super) fn doubt(&self, not_modified: &NotModified) -> Option<Refusal> {
        let NotModified { asked, told, .. } = not_modified;
        let place = self.status.passed_over.get(&asked.url);
        if let Some((place, useless)) = place.and_then(|place| Some((place, place.useless.as_ref()?)))
            && useless.validators == *asked
        {
            let (outcome, kinds) = (useless.outcome, useless.kinds.clone());
            return Some(Refusal { outcome, kinds, reasons: vec![place.what.clone()] });
        }
        let date = |named: &Validators| self.believable(named.modified());
        // Other nodes of its server may have copied it at another time.
        if asked.is_surely(told) {
            return None;
        }
        let reason = match (date(told), date(asked)) {
            (Some(own), Some(ours)) if own < ours => format!(
                "\"not modified\" from a stale cache: what it has is of {} by its Last-Modified, what is there of {}",
                super::judge::shown_date(own),
                super::judge::shown_date(ours)
            ),
            _ if asked.is_another(told) => {
                "\"not modified\", but about another version than the one that is there \
                                            (its ETag is another): asked for in full next time"
                    .to_owned()
            }
            _ => return None,
        };
        Some(Refusal::stale(reason))
    }

    /// What was not believed. Whoever cannot tell versions apart by their names is not asked with one again.
    pub(super) fn forget_doubted(&mut self, not_modified: &NotModified) {
        let NotModified { asked, told, .. } = not_modified;
        let passed_over = self.status.pinned.as_mut().and_then(|pin| pin.passed_over.as_mut());
        for known in passed_over.into_iter().chain(self.status.validators.as_mut()) {
            if known == asked && asked.is_another(told) {
                *known = known.forgotten();
            }
        }
    }

    /// Notes in the log, and for the next sync, who gave nothing of use. `came`: somebody else did.
    pub(super) fn note_places(
        &mut self,
        causes: &[Cause],
        useless: &[(Validators, Refusal)],
        serves: Option<&str>,
        attempt: &mut Attempt,
    ) {
        attempt.in_vain = causes.iter().map(in_vain).collect();
        for cause in causes {
            if let Some(asked) = cause.retry_after {
                let mut rest = schedule::retry_after(asked, &self.now);
                rest.server.clone_from(&cause.server);
                if cause.trouble == Trouble::Refused {
                    rest.shown = Some(secret::mark(self.list.credential.as_ref()));
                }
                self.status.resting.insert(cause.url.clone(), rest);
            }
        }
        // Where nobody gave anything that is told as what became of the list.
        let Some(serves) = serves else { return };
        let mut before = std::mem::take(&mut self.status.passed_over);
        for cause in causes {
            let known = before.remove(&cause.url);
            if known.is_none() {
                tracing::warn!(
                    list = %self.list.name,
                    "{} gives nothing of use ({}): the list comes from {serves} as long as that is so",
                    cause.url,
                    cause.what
                );
            }
            let new = useless.iter().find(|(validators, _)| validators.url == cause.url);
            let new = new.and_then(|(validators, refusal)| self.useless(validators, refusal));
            let (since, old) =
                known.map_or_else(|| (self.now.stamp(), None), |known| (known.since, known.useless));
            let place = PassedOver { since, what: cause.what.clone(), useless: new.or(old) };
            self.status.passed_over.insert(cause.url.clone(), place);
        }
    }

    /// What is remembered of a body that is of no use. The date of an error page would hide a list that is older.
    fn useless(&self, validators: &Validators, refusal: &Refusal) -> Option<Useless> {
        let url = self.list.source.urls().iter().find(|url| shown_url(url) == validators.url)?;
        // It has to be there to wait for a person.
        if refusal.outcome == Outcome::Held {
            return None;
        }
        let mut validators = validators.clone();
        if refusal.outcome != Outcome::Stale {
            validators.last_modified = None;
        }
        let is_named = validators.etag.is_some() || validators.last_modified.is_some();
        (is_named && Transport::of(url) == Some(Transport::Http)).then(|| Useless {
            validators,
            read_as: self.judged_as(),
            outcome: refusal.outcome,
            kinds: refusal.kinds.clone(),
            at: self.now.stamp(),
        })
    }
}

/// The name of a body that is of no use.
fn named(brought: &Brought, refusal: Refusal) -> Option<(Validators, Refusal)> {
    match brought {
        Brought::Fetched(fetched) => Some((fetched.validators.clone(), refusal)),
        Brought::NotModified(_) => None,
    }
}

fn refused(brought: &Brought, refusal: &Refusal) -> Cause {
    Cause {
        url: brought.place().to_owned(),
        what: refusal.reasons.join("; "),
        trouble: Trouble::Answered,
        status: brought.answered().status,
        retry_after: None,
        server: None,
    }
}

fn in_vain(cause: &Cause) -> InVain {
    InVain {
        url: cause.url.clone(),
        what: cause.what.clone(),
        status: cause.status,
        retry_after: cause.retry_after.map(|asked| asked.as_secs()),
        server: cause.server.clone(),
    }
}
