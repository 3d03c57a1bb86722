//! One list: what its source brought → set → status. The last good set stays whatever happens here.

use std::time::Duration;

use reqwest::Url;
use tempfile::NamedTempFile;

mod another;
mod by_hand;
pub(super) mod hold;
mod judge;
mod lost;
mod own;
mod places;
mod remember;

use super::{Event, ListReport, SyncError, Watcher};
use crate::compile::Diff;
use crate::config::{Config, ListConfig, place, shown_url};
use crate::feed::fetch::{
    Answered, FetchError, Fetched, Fetcher, Known, Outcome as Brought, Progress, Rests,
};
use crate::feed::schedule::{self, Dice, Trouble};
use crate::feed::secret;
use crate::model::ContentHash;
use crate::parse::Options;
use crate::store::{
    Act, Attempt, BodyRef, By, ListStatus, ListWriter, Now, Outcome, Pause, Retention, Told, Validators,
    Writer, hash_file,
};
pub(crate) use another::status_as;
pub(super) use another::{asks_at, came_from};
use judge::{Against, Body, Judged, Refusal};
pub(super) use lost::status_of;
pub(crate) use own::unread;
pub(super) use places::Came;

/// Everything around one list while it is worked on.
pub(super) struct Desk<'a> {
    config: &'a Config,
    list: &'a ListConfig,
    writer: &'a Writer,
    keeper: ListWriter<'a>,
    status: ListStatus,
    now: Now,
    watcher: &'a dyn Watcher,
    by: By,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        config: &'a Config,
        list: &'a ListConfig,
        writer: &'a Writer,
        watcher: &'a dyn Watcher,
        by: By,
    ) -> Result<Self, SyncError> {
        let keeper = writer.list(&list.name)?;
        let status = status_of(&keeper)?;
        let now = writer.now([&status]);
        Ok(Self { config, list, writer, keeper, status, now, watcher, by })
    }

    /// Which list it is.
    pub(super) fn list(&self) -> &'a ListConfig {
        self.list
    }

    /// When its turn is among the lists of one host, the smallest first: who was not asked for the longest, and then anybody. A
    /// server that gives so many lists at a time and no more would never give the last ones otherwise.
    pub(super) fn turn(&self, seed: u64) -> (u64, Dice) {
        (self.status.round, Dice::new(seed, self.list.name.as_str(), self.status.attempts))
    }

    /// Reads the stored body again when its set cannot be read any more, or when the configuration asks for it to be
    /// read in another way than it was. Nothing is fetched. `None` when that is not needed.
    pub(super) fn read_again(mut self) -> Result<Option<ListReport>, SyncError> {
        self.forget_another_list()?;
        let Some(set) = self.status.set else { return Ok(None) };
        let is_there = self.keeper.set(&set.hash).is_ok();
        // A pinned version stays as it is, as long as it can be read.
        if is_there && self.status.pinned.is_some() {
            return Ok(None);
        }
        if is_there && self.status.read_as.as_deref() == Some(&*self.read_as()) {
            return Ok(None);
        }
        let is_its = |body: &BodyRef| self.status.body.as_ref().is_none_or(|hash| body.is_called(hash));
        let its = self.keeper.bodies()?.into_iter().find(is_its);
        let Some(body) = its.filter(BodyRef::is_whole) else {
            if is_there {
                tracing::warn!(list = %self.list.name, "its stored body is gone or damaged: read as before until the next fetch");
            } else {
                // Its zones stay as they are, and the next fetch is not conditional ([`Desk::known`]).
                tracing::warn!(list = %self.list.name, "neither its set nor its body can be read any more");
            }
            return Ok(None);
        };
        let mut report = ListReport::new(&self.list.name);
        let mut attempt = Attempt { act: Some(Act::Reread), ..Attempt::new(self.now.stamp().wall) };
        let validators = self.status.validators.clone();
        // Whoever asks for another way of reading knows that it comes to something else.
        match self.read(&Body::stored(&body.path, validators.as_ref()), Against::Nothing) {
            // Its status was lost, and nothing else: what it said of the body is known again.
            Ok(read) if self.status.read_as.is_none() && read.set.hash == set.hash => {
                self.note_reading(&read);
                self.keeper.put_status(&self.status)?;
                return Ok(None);
            }
            Ok(read) => {
                read.note_in(&mut attempt);
                let by_hand = self.status.brought.as_deref().is_some_and(is_by_hand);
                let read = match read.outcome {
                    Outcome::Held if by_hand => read.let_through("accepted by hand when it came".to_owned()),
                    _ => read,
                };
                if read.is_good() {
                    // Nobody has confirmed it by this.
                    let (confirmed, dates) = (self.status.last_confirmed.clone(), self.status.dates);
                    let (use_, turned) = (self.status.use_, self.status.turned.clone());
                    self.take(read, None, validators, &mut report)?;
                    (self.status.use_, self.status.turned) = (use_, turned);
                    self.status.last_confirmed = confirmed.or(self.status.last_confirmed);
                    // Nor is it any older.
                    self.status.dates.server = self.status.dates.server.max(dates.server);
                } else {
                    self.refuse(read.refusal(), &mut report);
                }
            }
            Err(refusal) => self.refuse(refusal, &mut report),
        }
        if let Some(brought) = &mut self.status.brought {
            brought.set = self.status.set.map(|set| set.hash);
            brought.entries = self.status.set.map(|set| set.entries);
        }
        self.write_down(&mut report, attempt)?;
        Ok(Some(report))
    }

    /// How long to wait, when all that could be asked want to be left alone since others were asked in this sync.
    pub(super) fn rests(&self, rests: &Rests) -> Option<Duration> {
        let urls = self.list.source.urls();
        let own = |url: &Url| self.status.resting.get(&shown_url(url)).map(|pause| pause.left(&self.now));
        let all: Option<Vec<Duration>> = urls
            .iter()
            .map(|url| rests.left(url).or_else(|| own(url)).filter(|left| !left.is_zero()))
            .collect();
        all?.into_iter().min().filter(|_| urls.iter().any(|url| rests.left(url).is_some()))
    }

    /// Notes in the store that the source is about to be asked, so that a killed sync does not ask again at once.
    pub(super) fn begin(&mut self, round: u64, rests: &Rests) -> Result<(Known, NamedTempFile), SyncError> {
        let body = self.keeper.bodies()?.into_iter().next().map(|body| body.path);
        self.status.resting.retain(|_, pause| !pause.left(&self.now).is_zero());
        self.status.forget_rests_unless_shown(&secret::mark(self.list.credential.as_ref()));
        // Whoever asks although all of them want to be left alone knows what that risks; what they say now counts.
        if schedule::all_rest(&self.status, self.list.source.urls(), &self.now).is_some() {
            self.status.resting.clear();
        }
        let resting = self.status.resting.keys().cloned().collect();
        let known = Known { validators: self.all_known(), body, resting, ..Known::default() };
        let urls = self.list.source.urls();
        if schedule::is_elsewhere(&self.status, urls) {
            self.status.failures = 0;
        }
        schedule::forget_places(&mut self.status, urls, self.list.floor, &self.now);
        self.status.attempt(&self.now);
        // Where only mirrors elsewhere can be asked its turn is still to come.
        let first =
            urls.first().filter(|url| rests.left(url).is_some() || known.resting.contains(&shown_url(url)));
        if first.is_none() {
            self.status.round = round;
        }
        let mut asking = self.status.clone();
        asking.contacted(urls.iter().map(place), &self.now);
        self.keeper.put_status(&asking)?;
        Ok((known, self.keeper.body_file()?))
    }

    /// Asks the source.
    pub(super) async fn fetch(
        &self,
        fetcher: &Fetcher,
        known: &Known,
        body: NamedTempFile,
    ) -> Result<Brought, FetchError> {
        let name = &self.list.name;
        self.watcher.event(&Event::Started { list: name });
        let progress = |at: Progress| {
            self.watcher.event(&Event::Progress { list: name, received: at.received, total: at.total });
        };
        fetcher.fetch(self.list, known, body, &progress).await
    }

    /// Decides what the source brought, and writes it down.
    pub(super) fn settle(mut self, came: Came) -> Result<ListReport, SyncError> {
        self.now = self.writer.now([&self.status]);
        let mut report = ListReport::new(&self.list.name);
        let mut attempt = Attempt::new(self.now.stamp().wall);
        let mut trouble = Trouble::Answered;
        let Came { brought, useless, in_vain } = came;
        let place_of = brought.as_ref().ok().map(|brought| brought.place().to_owned());
        let causes = match &brought {
            Ok(brought) => {
                note_answer(&mut attempt, brought.answered());
                brought.answered().before.clone()
            }
            Err(error) => {
                trouble = error.trouble();
                attempt.url = error.causes.last().map(|cause| cause.url.clone());
                attempt.status = error.causes.last().and_then(|cause| cause.status);
                error.causes.clone()
            }
        };
        match brought {
            Ok(Brought::NotModified(not_modified)) => match self.doubt(&not_modified) {
                None => {
                    attempt.validators =
                        place_of.clone().map(|url| Validators { url, ..Validators::default() });
                    self.confirm(&mut report);
                }
                Some(refusal) => {
                    self.forget_doubted(&not_modified);
                    self.refuse(refusal, &mut report);
                }
            },
            Ok(Brought::Fetched(fetched)) => {
                attempt.received = Some(fetched.received);
                attempt.validators = Some(fetched.validators.clone());
                attempt.body = hash_file(fetched.body.path()).ok();
                self.body(fetched, &mut report, &mut attempt)?;
            }
            Err(error) => self.refuse(Refusal::failed(error.to_string()), &mut report),
        }
        let answered = causes.iter().filter(|cause| cause.trouble != Trouble::Unreached);
        let answered: Vec<&str> = answered.map(|cause| &*cause.url).chain(place_of.as_deref()).collect();
        let urls = self.list.source.urls().iter();
        let contacted = urls.filter(|url| answered.contains(&&*shown_url(url))).map(place);
        self.status.contacted(contacted, &self.now);
        let gives = report
            .outcome
            .is_some_and(|outcome| !matches!(outcome, Outcome::Rejected | Outcome::Failed | Outcome::Stale));
        let serves = attempt.url.clone().filter(|_| gives && !in_vain);
        self.note_places(&causes, &useless, serves.as_deref(), &mut attempt);
        self.finish(report, attempt, trouble)
    }

    /// Writes down what became of the list, and when it may be asked for again.
    fn finish(
        mut self,
        mut report: ListReport,
        attempt: Attempt,
        trouble: Trouble,
    ) -> Result<ListReport, SyncError> {
        self.status.next_at = self.list.source.urls().iter().map(place).collect();
        // Of an own list nobody is asked: a URL that takes its place is due.
        let asks = !self.status.next_at.is_empty();
        if asks && trouble != Trouble::Unreached {
            self.status.last_contact = Some(self.now.stamp());
        }
        self.status.next = asks.then(|| self.pause(&report, trouble)).transpose()?;
        self.write_down(&mut report, attempt)?;
        Ok(report)
    }

    /// Writes down what became of the list: first what counts, then what is told of it, then what is not needed any more
    /// goes.
    fn write_down(&mut self, report: &mut ListReport, mut attempt: Attempt) -> Result<(), SyncError> {
        let current = self.status.set;
        report.entries = current.map(|set| set.entries);
        attempt.by = self.by;
        attempt.outcome = report.outcome.unwrap_or_default();
        // A body that was not read, or did not come, has no entries; those in service are not its own.
        if attempt.outcome.is_new() || attempt.outcome == Outcome::Confirmed {
            attempt.use_ = self.status.use_;
        }
        if !matches!(attempt.outcome, Outcome::Rejected | Outcome::Failed | Outcome::Stale) {
            attempt.set = attempt.set.or_else(|| current.map(|set| set.hash));
            attempt.entries = attempt.entries.or(report.entries);
        }
        attempt.reasons.clone_from(&report.reasons);
        let is_known = self.status.brought.as_ref().is_some_and(|brought| brought.set == attempt.set);
        if attempt.outcome.is_new() && !is_known {
            self.status.brought = Some(Box::new(attempt.clone()));
        }
        if attempt.outcome.is_new() && attempt.body.is_some() {
            self.status.body = attempt.body;
        }
        let (now, believed) = self.now.believed(self.status.believed.as_ref());
        self.status.believed = Some(believed);
        self.keeper.put_status(&self.status)?;
        self.keeper.log(&attempt)?;
        if attempt.outcome.is_new() || attempt.outcome == Outcome::Confirmed {
            self.keeper.drop_held()?;
        }
        let forgotten = self.status.forgotten.as_ref().and_then(|forgotten| forgotten.set);
        let current: Vec<_> = current.iter().chain(&forgotten).map(|set| set.hash).collect();
        let sync = &self.config.reloadable.sync;
        self.keeper.prune_sets(&current, Retention { age: sync.keep, now, size: sync.keep_size })?;
        self.forget_old_changes();
        Ok(())
    }

    fn pause(&self, report: &ListReport, trouble: Trouble) -> Result<Pause, SyncError> {
        let mut dice = Dice::new(self.writer.seed()?, self.list.name.as_str(), self.status.attempts);
        let floor = self.list.floor;
        Ok(if report.is_problem() {
            schedule::after_failure(trouble, self.status.failures, floor, &mut dice, &self.now)
        } else {
            schedule::after_success(floor, &mut dice, &self.now)
        })
    }

    fn body(
        &mut self,
        fetched: Fetched,
        report: &mut ListReport,
        attempt: &mut Attempt,
    ) -> Result<(), SyncError> {
        let read = match self.read(&Body::of(&fetched), Against::LastVersion) {
            Ok(read) => read,
            Err(refusal) => {
                self.refuse(refusal, report);
                return Ok(());
            }
        };
        read.note_in(attempt);
        report.bad_lines = read.parsed.report.bad;
        match read.outcome {
            Outcome::Held | Outcome::Accepted | Outcome::Trimmed if self.is_pinned_to_another(&read) => {
                self.pass_over(&read, fetched.validators, report);
                Ok(())
            }
            // Somebody has let these very entries through.
            Outcome::Held if self.is_let_through(&read) => {
                let read = read.let_through("the entries are those in service".to_owned());
                self.take(read, Some(fetched.body), Some(fetched.validators), report)
            }
            Outcome::Held => self.hold(read, fetched, report),
            _ if read.is_good() => self.take(read, Some(fetched.body), Some(fetched.validators), report),
            _ => {
                self.refuse(read.refusal(), report);
                Ok(())
            }
        }
    }

    fn is_current(&self, read: &Judged) -> bool {
        self.status.set.is_some_and(|set| set.hash == read.set.hash)
    }

    /// These are the entries in service, they were held, and a person let them through.
    fn is_let_through(&self, read: &Judged) -> bool {
        self.is_current(read) && self.status.brought.as_deref().is_some_and(is_by_hand)
    }

    fn is_pinned_to_another(&self, read: &Judged) -> bool {
        self.status.pinned.is_some() && !self.is_current(read)
    }

    /// A person has decided otherwise.
    fn pass_over(&mut self, read: &Judged, validators: Validators, report: &mut ListReport) {
        let pinned = self.status.set.map_or_else(String::new, |set| format!(" to {}", set.hash.short()));
        let mut reasons = vec![format!("not taken: the list is pinned{pinned}")];
        reasons.extend(read.reasons.iter().cloned());
        // Its place has been asked, and a person wants this version as the list is used now.
        self.note_use();
        self.status.validators = Some(validators.forgotten());
        if let Some(pin) = self.status.pinned.as_mut().filter(|_| read.is_good()) {
            pin.passed_over = Some(validators);
        }
        self.refuse(Refusal { outcome: Outcome::Pinned, kinds: Vec::new(), reasons }, report);
    }

    /// The body is good: it, its set and its validators become the current ones.
    fn take(
        &mut self,
        read: Judged,
        body: Option<NamedTempFile>,
        validators: Option<Validators>,
        report: &mut ListReport,
    ) -> Result<(), SyncError> {
        let before = self.status.set;
        if self.status.forgotten.is_some() {
            // Also what would be taken up again if the status were lost.
            self.keeper.drop_versions()?;
        }
        let set = self.keeper.keep_set(&read.parsed.set)?;
        // A set that cannot be read any more has nothing to be compared with.
        let old = before.filter(|before| before.hash != set.hash).and_then(|before| self.old(&before.hash));
        report.diff = old.as_ref().map(|old| Diff::between(old, &read.parsed.set));
        self.remember(old.as_ref(), &read.parsed.set, set.hash);
        if let Some(body) = body {
            self.keeper.keep_body(body)?;
        }
        report.outcome = Some(read.outcome);
        report.reasons.clone_from(&read.reasons);
        report.entries = Some(set.entries);
        report.bad_lines = read.parsed.report.bad;
        self.note_reading(&read);
        self.note_use();
        self.status.dates = read.dates;
        self.status.accepted(set, validators, read.outcome, read.reasons, &self.now);
        Ok(())
    }

    /// What the body of the version in service was read as.
    fn note_reading(&mut self, read: &Judged) {
        self.status.read_as = Some(self.read_as());
        self.status.until = read.parsed.report.validity.until.map(|end| end.as_second());
        self.status.end_mark = read.has_end_mark();
        self.status.end_line = read.ends_with_line;
    }

    /// The source says that there is nothing newer than what it was asked with.
    fn confirm(&mut self, report: &mut ListReport) {
        if self.status.pinned.as_ref().is_some_and(|pin| pin.passed_over.is_some()) {
            let reasons = vec!["nothing newer than what was not taken before: the list is pinned".to_owned()];
            self.note_use();
            return self.refuse(Refusal { outcome: Outcome::Pinned, kinds: Vec::new(), reasons }, report);
        }
        self.status.confirmed(&self.now);
        self.note_use();
        report.outcome = Some(Outcome::Confirmed);
    }

    /// What came is not taken. That a body is bad is told once, not with every fetch that brings it again.
    fn refuse(&mut self, refusal: Refusal, report: &mut ListReport) {
        let Refusal { outcome, kinds, reasons } = refusal;
        report.outcome = Some(outcome);
        report.reasons.clone_from(&reasons);
        if matches!(outcome, Outcome::Held | Outcome::Rejected) {
            let told = Told { outcome, kinds };
            report.again = self.status.told.as_ref() == Some(&told);
            // It is told when this is written down, and remembered as told after that: rather twice than never.
            if !report.again {
                self.status.told = None;
                report.to_tell = Some(told);
            }
        }
        self.status.not_accepted(outcome, reasons, &self.now);
    }

    /// What the source may answer "not modified" to: only a body that is still there as a set, read as it would be now.
    fn known(&self) -> Option<Validators> {
        if let Some(passed_over) = self.status.pinned.as_ref().and_then(|pin| pin.passed_over.clone()) {
            return Some(passed_over);
        }
        let usable = self.status.read_as.as_deref() == Some(&*self.read_as());
        let set = self.status.set.filter(|_| usable)?;
        self.keeper.set(&set.hash).ok()?;
        self.status.validators.clone()
    }

    fn options(&self) -> Options {
        Options { now: jiff::Timestamp::from_second(self.now.stamp().wall).ok(), ..self.list.options.clone() }
    }

    /// How it asks for a body to be read and judged as a whole.
    fn judged_as(&self) -> String {
        let limits = format!("{:?}, {}", self.list.limits, self.list.max_size);
        format!("{}, limits {}", self.read_as(), ContentHash::of(limits.as_bytes()).short())
    }

    /// How the configuration asks for the list to be read.
    fn read_as(&self) -> String {
        format!("{}, {:?}", self.list.format, self.list.options)
    }
}

/// A person let it through.
fn is_by_hand(brought: &Attempt) -> bool {
    brought.act == Some(Act::Accept)
}

fn note_answer(attempt: &mut Attempt, answered: &Answered) {
    attempt.url = Some(answered.url.clone());
    attempt.remote = answered.remote;
    attempt.status = answered.status;
    attempt.milliseconds = u64::try_from(answered.took.as_millis()).ok();
}
