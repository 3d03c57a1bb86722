//! A status that is lost or damaged: what the log and the files of the list still know.
//!
//! It costs what it said, not the list: its newest set is taken up again, and its body read again. Its publisher is not
//! asked sooner for it, also one that has given nothing yet, and what is there is no fresher: the log knows when either was
//! last done and who wants to be left alone, and without that it was long ago. The guards know what they knew: of which
//! date the version in service is, whether it has a mark at its end, and what waits. Nothing is written here.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use crate::feed::schedule;
use crate::model::{ContentHash, Use};
use crate::store::{
    Act, Attempt, Dates, Decision, ListDir, ListStatus, Outcome, Pause, Pin, SetRef, Stamp, StoreError,
    Validators,
};

/// What is known of a list.
pub(crate) fn status_of(list: &ListDir) -> Result<ListStatus, StoreError> {
    // It would be taken for a list of which nothing is known yet, and its zones would go.
    if list.path().is_symlink() && !list.path().exists() {
        return Err(StoreError::planted(list.path(), "a link to nothing"));
    }
    let damaged = match list.status() {
        Err(StoreError::Damaged { path, .. }) => Some(path),
        Ok(status) if status.last_attempt.is_some() => return Ok(status),
        Ok(status) if list.sets()?.is_empty() && list.logged().asked.is_none() => return Ok(status),
        Ok(_) => None,
        Err(error) => return Err(error),
    };
    let newest = list.sets()?.into_iter().find_map(|hash| Some((hash, list.set(&hash).ok()?)));
    let logged = list.logged();
    // It was written, or damaged, no earlier than the publisher was asked.
    let written = damaged.and_then(|path| std::fs::metadata(path).ok()).map(|file| file.mtime());
    let asked = logged.asked.max(written).map(at);
    let confirmed = newest.as_ref().map(|_| at(logged.confirmed.unwrap_or(0)));
    let history = list.history();
    let body = newest.as_ref().and_then(|(hash, _)| Brought::find(&history, hash)).unwrap_or_default();
    // What a person decided of it holds on: the set was touched then.
    let decided = history.iter().rev().find_map(|attempt| match attempt.act? {
        // One of a list that had the name before is of no version that is still there.
        Act::Pin | Act::Rollback => {
            Some(Some(attempt.wall).filter(|_| attempt.set == newest.as_ref().map(|set| set.0)))
        }
        Act::Unpin => Some(None),
        Act::Accept | Act::Reread => None,
    });
    Ok(ListStatus {
        body: body.attempt.as_ref().and_then(|attempt| attempt.body),
        validators: body.validators.or_else(|| confirmed_at(&history, &newest.as_ref()?.0)),
        dates: body.dates,
        end_mark: body.end_mark,
        use_: newest.as_ref().and_then(|(hash, _)| use_of(&history, hash)),
        brought: body.attempt.map(Box::new),
        pinned: decided.flatten().map(|wall| Pin { since: at(wall), passed_over: None }),
        set: newest.map(|(hash, set)| SetRef { hash, entries: set.len() as u64 }),
        last_attempt: asked.clone(),
        last_contact: asked,
        last_confirmed: confirmed.clone(),
        content_since: confirmed,
        waits: waits(list, &history),
        stale: stale(&history),
        decision: history.last().map(|last| Decision {
            outcome: last.outcome,
            reasons: last.reasons.clone(),
            at: at(last.wall),
        }),
        resting: resting(&history),
        ..ListStatus::default()
    })
}

/// What brought a set, a body that was read again at the time when that came.
pub(super) fn brought(history: &[Attempt], set: &ContentHash) -> Option<Attempt> {
    Brought::find(history, set)?.attempt
}

/// What the list was good for when a set was taken or confirmed last.
pub(super) fn use_of(history: &[Attempt], set: &ContentHash) -> Option<Use> {
    history.iter().rev().filter(|attempt| attempt.set.as_ref() == Some(set)).find_map(|attempt| attempt.use_)
}

/// Where a set was last said to be what there is: the line that brought it may have been long ago.
pub(super) fn confirmed_at(history: &[Attempt], set: &ContentHash) -> Option<Validators> {
    let is_confirmed =
        |attempt: &&Attempt| attempt.outcome == Outcome::Confirmed && attempt.set.as_ref() == Some(set);
    let attempt = history.iter().rev().find(is_confirmed)?;
    let place = attempt.validators.as_ref().map(|validators| &validators.url).or(attempt.url.as_ref())?;
    Some(Validators { url: place.clone(), ..Validators::default() })
}

fn at(wall: i64) -> Stamp {
    Stamp { wall, boot: None, boottime: 0 }
}

/// What the log knows of the body that gave a set.
#[derive(Default)]
struct Brought {
    attempt: Option<Attempt>,
    dates: Dates,
    end_mark: bool,
    /// The place alone: nothing is known of how the body was read, so the next question is for whatever there is.
    validators: Option<Validators>,
}

impl Brought {
    fn find(history: &[Attempt], set: &ContentHash) -> Option<Self> {
        let gave = |attempt: &Attempt| attempt.outcome.is_new() && attempt.set.as_ref() == Some(set);
        let line = history.iter().rposition(gave)?;
        // A body that was read again is one that came before.
        let came = |attempt: &Attempt| attempt.outcome.is_new() && attempt.act != Some(Act::Reread);
        let first = history[..=line].iter().rposition(came)?;
        let attempt = Attempt { set: Some(*set), entries: history[line].entries, ..history[first].clone() };
        // Who went back to an earlier version, or lets the next one through whatever it is dated, asks for no date.
        let forgets = |later: &Attempt| match later.act {
            Some(Act::Pin | Act::Rollback) => later.added.is_some(),
            Some(Act::Accept) => later.outcome == Outcome::Stale,
            _ => false,
        };
        let forgotten = history[line + 1..].iter().any(forgets);
        let validators = attempt.validators.as_ref().filter(|_| !forgotten);
        Some(Self {
            dates: if forgotten { Dates::default() } else { attempt.dates },
            end_mark: history[line].end_mark,
            validators: validators.map(Validators::forgotten),
            attempt: Some(attempt),
        })
    }
}

/// Whether what stands in `held/` waits: it came last, and nothing good since.
fn waits(list: &ListDir, history: &[Attempt]) -> bool {
    let last = history.iter().rev().find(|attempt| {
        matches!(attempt.outcome, Outcome::Held | Outcome::Confirmed)
            || attempt.outcome.is_new()
            || matches!(attempt.act, Some(Act::Pin | Act::Rollback))
    });
    let held = last.filter(|attempt| attempt.outcome == Outcome::Held);
    held.is_some_and(|attempt| {
        list.held().is_ok_and(|held| held.is_some_and(|held| Some(held.set.hash) == attempt.set))
    })
}

/// Older versions that came in a row.
fn stale(history: &[Attempt]) -> u32 {
    let is_stale = |attempt: &&Attempt| attempt.outcome == Outcome::Stale && attempt.act.is_none();
    history.iter().rev().take_while(is_stale).count() as u32
}

/// Who asked to be left alone and has not been heard since, by the log.
fn resting(history: &[Attempt]) -> BTreeMap<String, Pause> {
    let mut resting = BTreeMap::new();
    for attempt in history {
        if let Some(validators) = &attempt.validators {
            resting.remove(&validators.url);
        }
        for place in &attempt.in_vain {
            if let Some(asked) = place.retry_after {
                let since = at(attempt.wall);
                resting.insert(
                    place.url.clone(),
                    Pause {
                        since,
                        seconds: schedule::obeyed(asked),
                        shown: None,
                        server: place.server.clone(),
                    },
                );
            }
        }
    }
    resting
}
