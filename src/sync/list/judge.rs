//! A body → a list that was read and judged, or why it is of no use.
//!
//! In this order: is it whole, is it a list at all, is it older than what is there, then its entries, and what changed
//! since the version in service. Nothing is written here.

use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::Desk;
use crate::config::shown_url;
use crate::feed::decode::{decode, decode_alone, is_packed};
use crate::feed::fetch::Fetched;
use crate::feed::secret::{Masks, Secret};
use crate::guard::entries::{
    Before, Decision, Difference, Judgement, Reason, compare, is_below_unknown, judge,
};
use crate::guard::payload::{self, Comments};
use crate::guard::says_no_answer;
use crate::parse::{self, Diag, Parsed, Trailer};
use crate::set::{Changed, NameEntry, Set, codec};
use crate::store::{Attempt, Dates, Outcome, SetRef, Validators, hash_file, open_plain};
use crate::sync::Event;

/// A date so many seconds ahead of the clock says nothing of the body: were it believed, nothing would ever be newer. One
/// that is less ahead is local time that is called GMT, and means now.
const AHEAD: i64 = 86_400;

/// What a body is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// The version in service: its dates and entries.
    LastVersion,
    /// Nothing before it.
    Nothing,
}

/// A body that is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) path: &'a Path,
    /// See [`Fetched::complete`](crate::feed::fetch::Fetched::complete).
    pub(super) complete: bool,
    pub(super) validators: Option<&'a Validators>,
    /// What was shown to get it.
    pub(super) masks: Option<&'a Masks>,
    /// Its bad lines are told by whoever reads it after this.
    pub(super) quiet: bool,
    /// It came by a way on which a wrong length cuts without a trace.
    pub(super) may_be_cut: bool,
}

impl<'a> Body<'a> {
    pub(super) fn of(fetched: &'a Fetched) -> Self {
        Self {
            path: fetched.body.path(),
            complete: fetched.complete,
            validators: Some(&fetched.validators),
            masks: Some(&fetched.masks),
            quiet: false,
            may_be_cut: fetched.validators.url.starts_with("http"),
        }
    }

    /// Of the store: it came whole once.
    pub(super) fn stored(path: &'a Path, validators: Option<&'a Validators>) -> Self {
        Self { path, complete: true, validators, masks: None, quiet: false, may_be_cut: false }
    }
}

/// A body that was read and judged.
pub(super) struct Judged {
    pub(super) parsed: Parsed,
    /// What it was read as.
    pub(super) set: SetRef,
    pub(super) outcome: Outcome,
    pub(super) reasons: Vec<String>,
    /// The reasons, each in a word.
    pub(super) kinds: Vec<String>,
    /// Nothing but its difference to the last version speaks against it.
    pub(super) changed_too_much: bool,
    /// The version in service ends as a whole one does, and it does not.
    pub(super) seems_cut: bool,
    /// Its last line is whole.
    pub(super) ends_with_line: bool,
    /// Some of its entries are left out.
    pub(super) trimmed: bool,
    /// What differs from the version in service.
    pub(super) changed: Option<Changed>,
    pub(super) dates: Dates,
    /// Octets of its text.
    pub(super) decoded: u64,
}

/// What is not taken, and why.
pub(super) struct Refusal {
    pub(super) outcome: Outcome,
    /// Each reason in a word: what is of the same kinds has been told.
    pub(super) kinds: Vec<String>,
    pub(super) reasons: Vec<String>,
}

impl Refusal {
    fn rejected(kind: &str, reason: impl ToString) -> Self {
        Self { outcome: Outcome::Rejected, kinds: vec![kind.to_owned()], reasons: vec![reason.to_string()] }
    }

    /// An older version, or somebody who speaks of one.
    pub(super) fn stale(reason: String) -> Self {
        Self { outcome: Outcome::Stale, kinds: vec!["stale".to_owned()], reasons: vec![reason] }
    }

    pub(super) fn failed(reason: String) -> Self {
        Self { outcome: Outcome::Failed, kinds: Vec::new(), reasons: vec![reason] }
    }

    /// Of an own file: who mends it wants to know of each thing that is wrong with it.
    pub(super) fn of_own(outcome: Outcome, reason: String) -> Self {
        Self { outcome, kinds: vec![reason.clone()], reasons: vec![reason] }
    }

    /// What the operating system says is no fault of the body.
    fn unreadable(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(_) => Self::failed(format!("cannot read the body: {error}")),
            None => Self::rejected("unreadable", error),
        }
    }
}

impl Judged {
    /// Of a list that is taken as it is.
    pub(super) fn unquestioned(parsed: Parsed) -> Self {
        let set = SetRef { hash: codec::hash(&parsed.set), entries: parsed.set.len() as u64 };
        Self {
            set,
            parsed,
            outcome: Outcome::Accepted,
            reasons: Vec::new(),
            kinds: Vec::new(),
            changed_too_much: false,
            seems_cut: false,
            ends_with_line: false,
            trimmed: false,
            changed: None,
            dates: Dates::default(),
            decoded: 0,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.outcome.is_new()
    }

    /// Taken although something speaks against it: `why` says by whose word.
    pub(super) fn let_through(self, why: String) -> Self {
        let outcome = if self.trimmed { Outcome::Trimmed } else { Outcome::Accepted };
        let reasons = std::iter::once(why).chain(self.reasons).collect();
        Self { outcome, reasons, ..self }
    }

    /// It has a mark at its end, and it fits.
    pub(super) fn has_end_mark(&self) -> bool {
        self.parsed.report.trailer == Trailer::True
    }

    pub(super) fn refusal(&self) -> Refusal {
        Refusal { outcome: self.outcome, kinds: self.kinds.clone(), reasons: self.reasons.clone() }
    }

    /// Writes what was read into its line of the log.
    pub(super) fn note_in(&self, attempt: &mut Attempt) {
        attempt.decoded = Some(self.decoded);
        attempt.dates = self.dates;
        attempt.set = Some(self.set.hash);
        attempt.entries = Some(self.set.entries);
        attempt.added = self.changed.map(|changed| changed.added);
        attempt.removed = self.changed.map(|changed| changed.removed);
        attempt.bad_lines = Some(self.parsed.report.bad);
        attempt.end_mark = self.has_end_mark();
    }
}

impl Desk<'_> {
    /// Text → set, judged. `Err` says why the body as a whole is of no use. The body's secret is in nothing that is told.
    pub(super) fn read(&self, body: &Body<'_>, against: Against) -> Result<Judged, Refusal> {
        let own = body.masks.is_none().then(|| self.masks());
        let masks = body.masks.or(own.as_ref());
        self.read_plainly(&Body { masks, ..*body }, against)
            .map(|read| Judged { reasons: all_masked(masks, read.reasons), ..read })
            .map_err(|refusal| Refusal { reasons: all_masked(masks, refusal.reasons), ..refusal })
    }

    /// What was shown to get a body that is stored: its server may have said it again in it.
    fn masks(&self) -> Masks {
        let proxy = self.config.reloadable.sync.proxy_credential.as_ref();
        let secrets = self.list.credential.iter().chain(proxy).filter_map(|at| Secret::read(at).ok());
        Masks::of_all(&secrets.collect::<Vec<_>>(), self.list.source.urls())
    }

    fn read_plainly(&self, body: &Body<'_>, against: Against) -> Result<Judged, Refusal> {
        let Body { path, complete, validators, masks, quiet, may_be_cut } = *body;
        let list = self.list;
        if !complete {
            self.check_last_line(path)?;
        }
        let head = self.head(path).map_err(|error| Refusal::unreadable(&error))?;
        // What is longer than the head is not measured: decoding a body twice to count it would be waste.
        let len = if head.len() < payload::HEAD { head.len() as u64 } else { u64::MAX };
        let known = self.known_comments(&head, against);
        payload::check_beside(&head, len, list.format, list.limits.allow_empty, known.as_ref())
            .map_err(|why| Refusal::rejected(why.kind(), why))?;
        let mut dates =
            Dates { data: None, server: self.believable(validators.and_then(Validators::modified)) };
        // The very body that is in service is as new as that, whatever date another node of its server gives it.
        if against == Against::LastVersion
            && dates.server < self.status.dates.server
            && self.status.body.is_some_and(|own| hash_file(path).is_ok_and(|hash| hash == own))
        {
            dates.server = self.status.dates.server;
        }
        // Where the data bear dates those decide; they stand anywhere in it.
        if self.status.dates.data.is_none() {
            self.check_age(&dates, against)?;
        }
        let (parsed, mut text) = self.parse(path, masks, quiet)?;
        text.has_new_comments = known.is_some_and(|known| Comments::of(&head).are_others(&known));
        text.may_be_cut = may_be_cut && !has_checksum(path).map_err(|error| Refusal::unreadable(&error))?;
        dates.data = self.believable(parsed.report.stamp.map(jiff::Timestamp::as_second));
        self.check_age(&dates, against)?;
        self.check_end(parsed.report.validity.until.map(jiff::Timestamp::as_second), against)?;
        Ok(self.judge(parsed, text, dates, against))
    }

    /// Whether the data have ended by their own words before they came: in the place of a version that has not, they would
    /// silence the list.
    fn check_end(&self, until: Option<i64>, against: Against) -> Result<(), Refusal> {
        let has_good = self.status.set.is_some() && !self.status.has_ended(&self.now);
        let ended = until.filter(|&end| self.now.stamp().wall >= end);
        let Some(end) = ended.filter(|_| has_good && against == Against::LastVersion) else { return Ok(()) };
        let reason = format!("its data have ended at {}, as their $TIMESTAMP says", shown_date(end));
        Err(Refusal::rejected("ended", reason))
    }

    /// Where nobody says where a body ends, it has to end with a line, and in one piece if it is packed: further pieces may
    /// have been cut off.
    fn check_last_line(&self, path: &Path) -> Result<(), Refusal> {
        let last = open_plain(path)
            .and_then(|file| decode_alone(file, self.list.max_decoded()))
            .and_then(last_octet)
            .map_err(|error| Refusal::unreadable(&error))?;
        if last.is_none_or(|last| last == b'\n') {
            return Ok(());
        }
        Err(Refusal::rejected("cut", "the connection closed within a line: the body may be cut"))
    }

    fn parse(&self, path: &Path, masks: Option<&Masks>, quiet: bool) -> Result<(Parsed, Text), Refusal> {
        let list = self.list;
        let file = open_plain(path).map_err(|error| Refusal::unreadable(&error))?;
        let text = decode(file, list.max_decoded()).map_err(|error| Refusal::unreadable(&error))?;
        let (count, line) = (AtomicU64::new(0), AtomicU8::new(0));
        let text = Counted { text, count: &count, line: &line };
        let mut bad_line = |mut diag: Diag| {
            if quiet {
                return;
            }
            if let Some(masks) = masks {
                diag.text = masks.masked(&diag.text);
            }
            self.watcher.event(&Event::BadLine { list: &list.name, file: None, diag: &diag });
        };
        let parsed = parse::parse(list.format, &self.options(), text, &mut bad_line)
            .map_err(|error| Refusal::unreadable(&error))?;
        // A comment says nothing, nor does the sign with which DOS ends its files.
        let ends_with_line = matches!(line.into_inner(), 0 | b'#' | b';' | 0x1a);
        Ok((parsed, Text { octets: count.into_inner(), ends_with_line, ..Text::default() }))
    }

    fn judge(&self, parsed: Parsed, text: Text, dates: Dates, against: Against) -> Judged {
        let list = self.list;
        let (never, canaries) = self.config.reloadable.sync.never(list);
        let mut judgement = judge(&parsed.set, &parsed.report, &list.limits, &never, &canaries);
        let parsed = match judgement.dropped.error_code {
            0 => parsed,
            _ => Parsed { set: parsed.set.without(says_no_answer), ..parsed },
        };
        let parsed = match judgement.dropped.unknown_tld {
            0 => parsed,
            _ => {
                let is_junk = |part: &Set, entry: &NameEntry| is_below_unknown(part, entry, &list.limits);
                Parsed { set: parsed.set.without_names(is_junk), ..parsed }
            }
        };
        let entries = parsed.set.len() as u64;
        let set = SetRef { hash: codec::hash(&parsed.set), entries };
        let before = self.status.set.filter(|_| against == Against::LastVersion);
        let difference = before.and_then(|before| {
            let before = self.keeper.set(&before.hash).ok()?;
            Some(Difference::between(&before, &parsed.set, &never))
        });
        let found = match (&difference, before) {
            (Some(difference), _) => difference.reasons(&list.limits),
            (None, Some(before)) => {
                compare(entries, Before { entries: before.entries, changed: None }, &list.limits)
            }
            (None, None) => Vec::new(),
        };
        found.into_iter().for_each(|reason| judgement.add(reason));
        let had_mark = self.status.end_mark && against == Against::LastVersion;
        let lost_end_mark =
            had_mark && parsed.report.trailer == Trailer::Absent && !list.format.has_end_mark();
        if lost_end_mark {
            judgement.add(Reason::LostEndMark);
        }
        let had_entries = before.is_some_and(|before| before.entries > 0);
        if parsed.set.is_empty() && text.has_new_comments && had_entries {
            judgement.add(Reason::NewComments);
        }
        let had_line = self.status.end_line && before.is_some_and(|before| before.hash != set.hash);
        let cut_line =
            had_line && !text.ends_with_line && text.may_be_cut && parsed.report.trailer == Trailer::Absent;
        if cut_line {
            judgement.add(Reason::CutLine);
        }
        Judged {
            parsed,
            set,
            outcome: outcome(&judgement),
            reasons: reasons(&judgement),
            kinds: judgement.reasons.iter().map(|reason| reason.kind().to_owned()).collect(),
            changed_too_much: judgement.decision == Decision::Hold
                && judgement.reasons.iter().all(Reason::is_change),
            seems_cut: lost_end_mark || cut_line,
            ends_with_line: text.ends_with_line,
            trimmed: judgement.dropped.is_some(),
            changed: difference.map(|difference| difference.published),
            dates,
            decoded: text.octets,
        }
    }

    /// The first octets of the text.
    fn head(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let text = decode(open_plain(path)?, self.list.max_decoded())?;
        text.take(payload::HEAD as u64).read_to_end(&mut head)?;
        Ok(head)
    }

    /// Beside a body of comments alone those of the version in service, where that can be read: a list that is empty keeps its header, and
    /// a message has none of it.
    fn known_comments(&self, head: &[u8], against: Against) -> Option<Comments> {
        if against == Against::Nothing || !payload::is_comments(head) {
            return None;
        }
        let bodies = self.keeper.bodies().ok()?;
        let its = bodies.iter().find(|body| self.status.body.is_some_and(|hash| body.is_called(&hash)))?;
        Some(Comments::of(&self.head(&its.path).ok()?))
    }

    /// Whether the body is older than the version in service, by its own words: a cache on the way gave an old one.
    fn check_age(&self, dates: &Dates, against: Against) -> Result<(), Refusal> {
        let last = self.status.validators.as_ref().filter(|_| against == Against::LastVersion);
        let same_source =
            |last: &Validators| self.list.source.urls().iter().any(|url| shown_url(url) == last.url);
        // Another publisher's dates say nothing of this one's.
        if !last.is_some_and(same_source) {
            return Ok(());
        }
        let Some((what, own, theirs)) = dates.older_than(&self.status.dates) else { return Ok(()) };
        let reason = format!(
            "an older version from a stale cache: it is of {} by {what}, what is there of {}",
            shown_date(own),
            shown_date(theirs)
        );
        Err(Refusal::stale(reason))
    }

    /// A date that lies far ahead is nobody's.
    pub(super) fn believable(&self, date: Option<i64>) -> Option<i64> {
        let now = self.now.stamp().wall;
        date.filter(|date| *date <= now.saturating_add(AHEAD)).map(|date| date.min(now))
    }
}

/// A date for people.
pub(super) fn shown_date(at: i64) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string())
}

/// What is known of a text that was read.
#[derive(Default)]
struct Text {
    octets: u64,
    /// Nothing of an entry stands behind its last newline.
    ends_with_line: bool,
    may_be_cut: bool,
    /// It has comments, and none of them is one of the version in service.
    has_new_comments: bool,
}

/// Counts what is read.
struct Counted<'a, R> {
    text: R,
    count: &'a AtomicU64,
    /// What the present line begins with, as far as it has come; 0 where that is nothing.
    line: &'a AtomicU8,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        let come = &buffer[..read];
        let mut line = self.line.load(Ordering::Relaxed);
        let behind = come.iter().rposition(|&octet| octet == b'\n').map_or(come, |end| {
            line = 0;
            &come[end + 1..]
        });
        if line == 0 {
            line = behind.iter().copied().find(|octet| !octet.is_ascii_whitespace()).unwrap_or(0);
        }
        self.line.store(line, Ordering::Relaxed);
        Ok(read)
    }
}

fn all_masked(masks: Option<&Masks>, reasons: Vec<String>) -> Vec<String> {
    let Some(masks) = masks else { return reasons };
    reasons.iter().map(|reason| masks.masked(reason)).collect()
}

/// Whether it is packed: then it would not be read to its end if it were cut.
fn has_checksum(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    open_plain(path)?.take(4).read_to_end(&mut head)?;
    Ok(is_packed(&head))
}

fn last_octet(mut text: impl Read) -> io::Result<Option<u8>> {
    let (mut buffer, mut last) = (vec![0; 1 << 16], None);
    loop {
        match text.read(&mut buffer) {
            Ok(0) => return Ok(last),
            Ok(read) => last = Some(buffer[read - 1]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn outcome(judgement: &Judgement) -> Outcome {
    match judgement.decision {
        Decision::Accept if !judgement.dropped.is_some() => Outcome::Accepted,
        Decision::Accept => Outcome::Trimmed,
        Decision::Hold => Outcome::Held,
        Decision::Reject => Outcome::Rejected,
    }
}

fn reasons(judgement: &Judgement) -> Vec<String> {
    let dropped = &judgement.dropped;
    let counted = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let never = counted(dropped.never, "entries left out: no feed may list these addresses");
    let partly = counted(dropped.partly, "wider entries lose a part: no feed may list those addresses");
    let errors =
        counted(dropped.error_code, "entries left out: their code is none that a list may answer with");
    let unknown = counted(
        dropped.unknown_tld,
        "entries left out: they list all names below a top-level domain that does not exist",
    );
    let canaries = counted(dropped.canaries, "entries name canary networks, which no list may");
    let sample =
        (!dropped.sample.is_empty()).then(|| format!("left out, for example: {}", dropped.sample.join(", ")));
    let reasons = judgement.reasons.iter().map(ToString::to_string);
    reasons.chain(never).chain(partly).chain(errors).chain(unknown).chain(canaries).chain(sample).collect()
}
