//! One list: what its source brought → set → status. The last good set stays whatever happens here.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::NamedTempFile;

mod own;

use super::{Event, ListReport, SyncError, Watcher};
use crate::compile::Diff;
use crate::config::{Config, ListConfig};
use crate::feed::decode::{decode, is_packed};
use crate::feed::fetch::{
    Answered, FetchError, Fetched, Fetcher, Known, Outcome as Brought, Progress, masked,
};
use crate::feed::schedule::{self, Dice, Trouble};
use crate::feed::secret::Secret;
use crate::guard::entries::{Decision, Judgement, judge};
use crate::guard::{NeverList, is_error_code, payload};
use crate::parse::{self, Diag, Options, Parsed};
use crate::store::{
    Attempt, BodyRef, Held, ListDir, ListStatus, ListWriter, Now, Outcome, Retention, SetRef, Stamp,
    StoreError, Validators, Writer,
};

/// Everything around one list while it is worked on.
pub(super) struct Desk<'a> {
    config: &'a Config,
    list: &'a ListConfig,
    writer: &'a Writer,
    keeper: ListWriter<'a>,
    status: ListStatus,
    now: Now,
    watcher: &'a dyn Watcher,
}

/// A body that was read and judged.
struct Judged {
    parsed: Parsed,
    outcome: Outcome,
    reasons: Vec<String>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        config: &'a Config,
        list: &'a ListConfig,
        writer: &'a Writer,
        watcher: &'a dyn Watcher,
    ) -> Result<Self, SyncError> {
        let keeper = writer.list(&list.name)?;
        let status = status_of(&keeper)?;
        let now = writer.now([&status]);
        Ok(Self { config, list, writer, keeper, status, now, watcher })
    }

    /// Reads the stored body again when its set cannot be read any more, or when the configuration asks for it to be
    /// read in another way than it was. Nothing is fetched. `None` when that is not needed.
    pub(super) fn read_again(mut self) -> Result<Option<ListReport>, SyncError> {
        let Some(set) = self.status.set else { return Ok(None) };
        let is_there = self.keeper.set(&set.hash).is_ok();
        if is_there && self.status.read_as.as_deref() == Some(&*self.read_as()) {
            return Ok(None);
        }
        let newest = self.keeper.bodies()?.into_iter().next();
        let Some(body) = newest.filter(BodyRef::is_whole) else {
            if is_there {
                tracing::warn!(list = %self.list.name, "its stored body is gone or damaged: read as before until the next fetch");
            } else {
                // Its zones stay as they are, and the next fetch is not conditional ([`Desk::known`]).
                tracing::warn!(list = %self.list.name, "neither its set nor its body can be read any more");
            }
            return Ok(None);
        };
        let read = self.read(&body.path, true, None);
        let mut report = ListReport::new(&self.list.name);
        match read {
            Ok(read) if read.is_good() => {
                // Nobody has confirmed it by this.
                let (validators, confirmed) =
                    (self.status.validators.clone(), self.status.last_confirmed.clone());
                self.take(read, None, validators, &mut report)?;
                self.status.last_confirmed = confirmed.or(self.status.last_confirmed);
            }
            Ok(read) => self.refuse(read.outcome, read.reasons, &mut report),
            Err(reason) => self.refuse(Outcome::Rejected, vec![reason], &mut report),
        }
        report.entries = self.status.set.map(|set| set.entries);
        self.keeper.put_status(&self.status)?;
        Ok(Some(report))
    }

    /// Notes in the store that the source is about to be asked, so that a killed sync does not ask again at once.
    pub(super) fn begin(&mut self) -> Result<(Known, NamedTempFile), SyncError> {
        let body = self.keeper.bodies()?.into_iter().next().map(|body| body.path);
        self.status.resting.retain(|_, pause| !pause.left(&self.now).is_zero());
        let known =
            Known { validators: self.known(), body, resting: self.status.resting.keys().cloned().collect() };
        self.status.attempt(&self.now);
        let mut asking = self.status.clone();
        asking.last_contact = Some(self.now.stamp());
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
    pub(super) fn settle(mut self, brought: Result<Brought, FetchError>) -> Result<ListReport, SyncError> {
        self.now = self.writer.now([&self.status]);
        let mut report = ListReport::new(&self.list.name);
        let mut attempt = Attempt::new(self.now.stamp().wall);
        let mut trouble = Trouble::Answered;
        match brought {
            Ok(Brought::NotModified(answered)) => {
                note_answer(&mut attempt, &answered);
                self.let_rest(&answered);
                self.confirm(&mut report);
            }
            Ok(Brought::Fetched(fetched)) => {
                note_answer(&mut attempt, &fetched.answered);
                self.let_rest(&fetched.answered);
                attempt.received = Some(fetched.received);
                attempt.validators = Some(fetched.validators.clone());
                self.body(fetched, &mut report)?;
            }
            Err(error) => {
                trouble = error.trouble();
                attempt.status = error.causes.last().and_then(|cause| cause.status);
                self.status.retry_after =
                    error.retry_after().map(|asked| schedule::retry_after(asked, &self.now));
                self.refuse(Outcome::Failed, vec![error.to_string()], &mut report);
            }
        }
        self.finish(report, attempt, trouble)
    }

    /// Remembers who asked to be left alone before somebody else gave the list.
    fn let_rest(&mut self, answered: &Answered) {
        for cause in &answered.before {
            if let Some(asked) = cause.retry_after {
                let pause = schedule::retry_after(asked, &self.now);
                self.status.resting.insert(cause.url.clone(), pause);
            }
        }
    }

    /// Writes down what became of the list.
    fn finish(
        mut self,
        mut report: ListReport,
        mut attempt: Attempt,
        trouble: Trouble,
    ) -> Result<ListReport, SyncError> {
        if trouble != Trouble::Unreached {
            self.status.last_contact = Some(self.now.stamp());
        }
        self.status.next = Some(self.pause(&report, trouble)?);
        report.entries = self.status.set.map(|set| set.entries);
        attempt.set = self.status.set.map(|set| set.hash);
        attempt.entries = report.entries;
        attempt.outcome = report.outcome.unwrap_or(Outcome::Failed);
        attempt.reasons.clone_from(&report.reasons);
        self.keeper.put_status(&self.status)?;
        self.keeper.log(&attempt)?;
        let current: Vec<_> = self.status.set.iter().map(|set| set.hash).collect();
        let sync = &self.config.reloadable.sync;
        self.keeper.prune_sets(&current, Retention { age: sync.keep, size: sync.keep_size })?;
        Ok(report)
    }

    fn pause(&self, report: &ListReport, trouble: Trouble) -> Result<crate::store::Pause, SyncError> {
        let mut dice = Dice::new(self.writer.seed()?, self.list.name.as_str(), self.status.attempts);
        let floor = self.list.floor;
        Ok(if report.is_problem() {
            schedule::after_failure(trouble, self.status.failures, floor, &mut dice, &self.now)
        } else {
            schedule::after_success(floor, &mut dice, &self.now)
        })
    }

    fn body(&mut self, fetched: Fetched, report: &mut ListReport) -> Result<(), SyncError> {
        let secret = fetched.secret.as_ref();
        match self.read(fetched.body.path(), fetched.complete, secret) {
            Ok(mut read) => {
                read.reasons = read.reasons.into_iter().map(|reason| masked(secret, reason)).collect();
                report.bad_lines = read.parsed.report.bad;
                if read.is_good() {
                    return self.take(read, Some(fetched.body), Some(fetched.validators), report);
                }
                if read.outcome == Outcome::Held {
                    self.hold(&read, fetched.body)?;
                }
                self.refuse(read.outcome, read.reasons, report);
            }
            Err(reason) => self.refuse(Outcome::Rejected, vec![masked(secret, reason)], report),
        }
        Ok(())
    }

    /// Text → set, judged; `complete` and `secret`: see [`Fetched`]. `Err` says why the body as a whole is of no use.
    fn read(&self, path: &Path, complete: bool, secret: Option<&Secret>) -> Result<Judged, String> {
        let list = self.list;
        if !complete && ends_within_a_line(path).map_err(|error| error.to_string())? {
            return Err("the connection closed within a line: the body may be cut".to_owned());
        }
        let head = self.head(path).map_err(|error| error.to_string())?;
        // What is longer than the head is not measured: decoding a body twice to count it would be waste.
        let len = if head.len() < payload::HEAD { head.len() as u64 } else { u64::MAX };
        payload::check(&head, len, list.format, list.limits.allow_empty).map_err(|why| why.to_string())?;
        let options = self.options();
        let file = File::open(path).map_err(|error| error.to_string())?;
        let text = decode(file, list.max_decoded()).map_err(|error| error.to_string())?;
        let mut bad_line = |mut diag: Diag| {
            diag.text = masked(secret, diag.text);
            self.watcher.event(&Event::BadLine { list: &list.name, file: None, diag: &diag });
        };
        let parsed =
            parse::parse(list.format, &options, text, &mut bad_line).map_err(|error| error.to_string())?;
        let never = NeverList::of_feed(list.limits.bogons, &self.config.reloadable.sync.own_networks);
        let judgement = judge(&parsed.set, &parsed.report, &list.limits, &never);
        let parsed = match judgement.dropped.error_code {
            0 => parsed,
            _ => Parsed { set: parsed.set.without(|value| value.code.is_some_and(is_error_code)), ..parsed },
        };
        Ok(Judged { parsed, outcome: outcome(&judgement), reasons: reasons(&judgement) })
    }

    /// The first octets of the text.
    fn head(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let text = decode(File::open(path)?, self.list.max_decoded())?;
        text.take(payload::HEAD as u64).read_to_end(&mut head)?;
        Ok(head)
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
        let set = self.keeper.keep_set(&read.parsed.set)?;
        report.diff = match before {
            Some(before) if before.hash != set.hash => {
                // A set that cannot be read any more has nothing to be compared with.
                self.keeper.set(&before.hash).ok().map(|before| Diff::between(&before, &read.parsed.set))
            }
            _ => None,
        };
        if let Some(body) = body {
            self.keeper.keep_body(body)?;
        }
        self.keeper.drop_held()?;
        report.outcome = Some(read.outcome);
        report.reasons.clone_from(&read.reasons);
        report.entries = Some(set.entries);
        report.bad_lines = read.parsed.report.bad;
        self.status.read_as = Some(self.read_as());
        self.status.until = read.parsed.report.validity.until.map(|end| end.as_second());
        self.status.accepted(set, validators, read.outcome, read.reasons, &self.now);
        Ok(())
    }

    fn hold(&self, read: &Judged, body: NamedTempFile) -> Result<(), SyncError> {
        let hash = crate::set::codec::hash(&read.parsed.set);
        let before = self.keeper.held().ok().flatten().filter(|held| held.set.hash == hash);
        let held = Held {
            since: before.as_ref().map_or_else(|| self.now.stamp(), |held| held.since.clone()),
            seen: before.map_or(0, |held| held.seen) + 1,
            set: SetRef { hash, entries: read.parsed.set.len() as u64 },
            reasons: read.reasons.clone(),
        };
        Ok(self.keeper.hold(body, &held)?)
    }

    /// The source says that the current set is what there is.
    fn confirm(&mut self, report: &mut ListReport) {
        self.status.confirmed(&self.now);
        report.outcome = Some(Outcome::Confirmed);
    }

    fn refuse(&mut self, outcome: Outcome, reasons: Vec<String>, report: &mut ListReport) {
        report.outcome = Some(outcome);
        report.reasons.clone_from(&reasons);
        self.status.not_accepted(outcome, reasons, &self.now);
    }

    /// What the source may answer "not modified" to: only a body that is still there as a set, read as it would be now.
    fn known(&self) -> Option<Validators> {
        let usable = self.status.read_as.as_deref() == Some(&*self.read_as());
        let set = self.status.set.filter(|_| usable)?;
        self.keeper.set(&set.hash).ok()?;
        self.status.validators.clone()
    }

    fn options(&self) -> Options {
        Options { now: jiff::Timestamp::from_second(self.now.stamp().wall).ok(), ..self.list.options.clone() }
    }

    /// How the configuration asks for the list to be read.
    fn read_as(&self) -> String {
        format!("{}, {:?}", self.list.format, self.list.options)
    }
}

/// Whether a body that is not packed ends without a newline. (A packed one has a length or a checksum.)
fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut first = Vec::new();
    (&file).take(4).read_to_end(&mut first)?;
    if first.len() < 2 || is_packed(&first) {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// What is known of a list. A status that is lost costs what it said, not the list: its newest set is taken up again,
/// and its body read again. Its publisher is not asked sooner for it, and what is there is no fresher: the log knows
/// when either was last done, and without that it was long ago.
pub(crate) fn status_of(list: &ListDir) -> Result<ListStatus, StoreError> {
    let damaged = match list.status() {
        Err(StoreError::Damaged { path, .. }) => Some(path),
        Ok(status) if status.last_attempt.is_some() || list.sets()?.is_empty() => return Ok(status),
        Ok(_) => None,
        Err(error) => return Err(error),
    };
    let newest = list.sets()?.into_iter().find_map(|hash| Some((hash, list.set(&hash).ok()?)));
    let logged = list.logged();
    // It was written, or damaged, no earlier than the publisher was asked.
    let written = damaged.and_then(|path| std::fs::metadata(path).ok()).map(|file| file.mtime());
    let at = |wall: i64| Stamp { wall, boot: None, boottime: 0 };
    let confirmed = newest.as_ref().map(|_| at(logged.confirmed.unwrap_or(0)));
    Ok(ListStatus {
        set: newest.map(|(hash, set)| SetRef { hash, entries: set.len() as u64 }),
        last_contact: logged.asked.max(written).map(at),
        last_confirmed: confirmed.clone(),
        content_since: confirmed,
        ..ListStatus::default()
    })
}

fn outcome(judgement: &Judgement) -> Outcome {
    match judgement.decision {
        Decision::Accept if judgement.dropped.total() == 0 => Outcome::Accepted,
        Decision::Accept => Outcome::Trimmed,
        Decision::Hold => Outcome::Held,
        Decision::Reject => Outcome::Rejected,
    }
}

fn reasons(judgement: &Judgement) -> Vec<String> {
    let dropped = &judgement.dropped;
    let counted = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let never = counted(dropped.never, "entries left out: no feed may list these addresses");
    let errors = counted(dropped.error_code, "entries left out: their code means an error, not a listing");
    let sample =
        (!dropped.sample.is_empty()).then(|| format!("left out, for example: {}", dropped.sample.join(", ")));
    let reasons = judgement.reasons.iter().map(ToString::to_string);
    reasons.chain(never).chain(errors).chain(sample).collect()
}

fn note_answer(attempt: &mut Attempt, answered: &Answered) {
    attempt.url = Some(answered.url.clone());
    attempt.status = answered.status;
    attempt.milliseconds = u64::try_from(answered.took.as_millis()).ok();
}

impl Judged {
    fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Accepted | Outcome::Trimmed)
    }
}
