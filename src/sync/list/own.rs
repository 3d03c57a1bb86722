//! A list that needs no network: the operator's files, read where they are, or a part of the program.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Desk, Judged, Refusal as NotTaken};
use crate::config::{ListConfig, Source};
use crate::feed::decode::{decode, decode_with_tail};
use crate::feed::files::{self, OwnFile};
use crate::feed::schedule::Trouble;
use crate::model::ContentHash;
use crate::parse::{Diag, Options, Parser};
use crate::set::codec;
use crate::store::{Attempt, ListStatus, Now, Outcome, Refused, Validators};
use crate::sync::{Event, ListReport, SyncError};

/// What an own list is made of.
enum Text {
    Files(Vec<OwnFile>),
    Embedded(&'static str),
}

/// The place of what is a part of the program.
pub(super) const EMBEDDED: &str = "embedded";

/// Why it gives no list.
struct Refusal {
    outcome: Outcome,
    reason: String,
    /// Reading the same again comes to the same.
    lasts: bool,
}

impl Text {
    fn open(source: &Source) -> Result<Self, String> {
        match source {
            Source::Files(paths) => {
                let paths = files::expand(paths)?;
                paths.iter().map(|path| OwnFile::open(path)).collect::<Result<_, _>>().map(Self::Files)
            }
            Source::Embedded(text) => Ok(Self::Embedded(text)),
            Source::Urls(_) => Err("it has to be fetched".to_owned()),
        }
    }

    fn validators(&self) -> Validators {
        match self {
            Self::Files(files) => files::validators(files),
            Self::Embedded(text) => Validators {
                url: EMBEDDED.to_owned(),
                from: None,
                etag: Some(ContentHash::of(text.as_bytes()).to_string()),
                last_modified: None,
            },
        }
    }

    fn is_settled(&self) -> bool {
        match self {
            Self::Files(files) => files.iter().all(OwnFile::is_settled),
            Self::Embedded(_) => true,
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Files(files) => files.iter().map(OwnFile::size).sum(),
            Self::Embedded(text) => text.len() as u64,
        }
    }
}

impl Desk<'_> {
    /// Reads a list that needs no network, if it changed.
    pub(in crate::sync) fn own(mut self) -> Result<ListReport, SyncError> {
        self.forget_another_list()?;
        let known = self.known();
        self.status.attempt(&self.now);
        let began = Instant::now();
        let mut report = ListReport::new(&self.list.name);
        let mut attempt = Attempt::new(self.now.stamp().wall);
        let text = match Text::open(&self.list.source) {
            Ok(text) => text,
            Err(reason) => {
                self.refuse(NotTaken::failed(reason), &mut report);
                return self.finish(report, attempt, Trouble::Unreached);
            }
        };
        let validators = text.validators();
        attempt.url = Some(validators.url.clone());
        if known.as_ref() == Some(&validators) && text.is_settled() {
            attempt.validators = Some(validators);
            self.confirm(&mut report);
            return self.finish(report, attempt, Trouble::Answered);
        }
        let refused = self.refused(&validators);
        if let Some(refused) = refused.filter(|refused| refused.lasts && text.is_settled()) {
            let reason = refused.reason.clone();
            self.refuse(NotTaken::of_own(Outcome::Rejected, reason), &mut report);
            return self.finish(report, attempt, Trouble::Answered);
        }
        let read = self.read_own(&text, refused.is_none());
        self.now = self.writer.now([&self.status]);
        attempt.received = Some(text.size());
        attempt.validators = Some(validators.clone());
        attempt.milliseconds = u64::try_from(began.elapsed().as_millis()).ok();
        let mut trouble = Trouble::Answered;
        match read {
            Ok(read) => {
                self.status.refused = None;
                read.note_in(&mut attempt);
                attempt.decoded = None;
                self.take(read, None, Some(validators), &mut report)?;
            }
            Err(Refusal { outcome, reason, lasts }) => {
                if outcome == Outcome::Failed {
                    trouble = Trouble::Unreached;
                }
                // One that was changed a moment ago may be another by now.
                let lasts = lasts && text.is_settled();
                let (read_as, why) = (self.read_as(), reason.clone());
                self.status.refused = Some(Refused { validators, read_as, reason: why, lasts });
                self.refuse(NotTaken::of_own(outcome, reason), &mut report);
            }
        }
        self.finish(report, attempt, trouble)
    }

    /// How files with these validators were refused, if they were when they were looked at last.
    fn refused(&self, validators: &Validators) -> Option<&Refused> {
        let known = self.status.refused.as_ref()?;
        (known.validators == *validators && known.read_as == self.read_as()).then_some(known)
    }

    /// Text → set. Served as written, whatever it holds; but what cannot be read at all was not written for us. `tells`: the
    /// lines that are left out have not been told yet.
    fn read_own(&self, text: &Text, tells: bool) -> Result<Judged, Refusal> {
        let mut parser = Parser::new(self.list.format, &self.options());
        let mut first_bad = None;
        match text {
            Text::Files(files) => self.read_files(files, tells, &mut parser, &mut first_bad)?,
            Text::Embedded(text) => {
                let read = parser.read(text.as_bytes(), &mut |diag| self.bad_line(None, &diag));
                read.map_err(|error| Refusal::of_text(error.to_string()))?;
            }
        }
        let parsed = parser.finish();
        match parsed.report.is_no_list(parsed.set.is_empty()) {
            None => Ok(Judged::unquestioned(parsed)),
            Some(why) => {
                let place = first_bad.map_or_else(String::new, |path| format!("{}: ", path.display()));
                Err(Refusal { lasts: true, ..Refusal::of_text(format!("{place}{why}")) })
            }
        }
    }

    /// `first_bad` becomes the file with the first line that cannot be read.
    fn read_files<'f>(
        &self,
        files: &'f [OwnFile],
        tells: bool,
        parser: &mut Parser,
        first_bad: &mut Option<&'f Path>,
    ) -> Result<(), Refusal> {
        let size: u64 = files.iter().map(OwnFile::size).sum();
        if size > self.list.max_size {
            let paths = files::validators(files).url;
            let reason = format!("{paths}: larger than {} octets", self.list.max_size);
            return Err(Refusal { outcome: Outcome::Failed, reason, lasts: false });
        }
        let result = files.iter().try_for_each(|file| {
            let mut on_bad = |diag| {
                first_bad.get_or_insert(file.path());
                if tells {
                    self.bad_line(Some(file.path()), &diag);
                }
            };
            let has_tail = AtomicBool::new(false);
            let read = decoded(self.list, file, &has_tail).and_then(|text| parser.read(text, &mut on_bad));
            if has_tail.load(Ordering::Relaxed) {
                let path = file.path().display();
                tracing::warn!(list = %self.list.name, "{path}: what lies behind its gzip data is no gzip and ignored");
            }
            match read {
                Ok(None) => Ok(()),
                // The other files do not stand for it: what it listed would be taken out.
                Ok(Some(why)) => {
                    let reason = format!("{}: {why}", file.path().display());
                    Err(Refusal { lasts: true, ..Refusal::of_text(reason) })
                }
                Err(error) => Err(Refusal::of_file(file.path(), &error)),
            }
        });
        // One that is being written shows anything, a cut archive or a broken line.
        match files.iter().find(|file| !file.is_unchanged()) {
            Some(file) => Err(Refusal {
                outcome: Outcome::Failed,
                lasts: false,
                reason: format!(
                    "{}: it was changed while it was read; the next sync reads it again",
                    file.path().display()
                ),
            }),
            None => result,
        }
    }

    fn bad_line(&self, file: Option<&Path>, diag: &Diag) {
        self.watcher.event(&Event::BadLine { list: &self.list.name, file, diag });
    }
}

/// The text of an own file; `has_tail` is told of octets behind it that are ignored.
fn decoded<'a>(
    list: &ListConfig,
    file: &'a OwnFile,
    has_tail: &'a AtomicBool,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let text = io::BufReader::with_capacity(READ, file.reader());
    match list.format.is_rbldnsd() {
        true => decode_with_tail(text, list.max_decoded(), has_tail),
        false => decode(text, list.max_decoded()),
    }
}

/// A file of an own list that was changed so long ago that the `timer` of the server, or one of an hour, should have had it read, and for
/// how long: no sync has read the list since.
pub(crate) fn unread(
    list: &ListConfig,
    status: &ListStatus,
    timer: Option<Duration>,
    now: &Now,
) -> Option<(PathBuf, Duration)> {
    let last = status.last_attempt.as_ref()?.wall;
    let Ok(Text::Files(files)) = Text::open(&list.source) else { return None };
    let validators = files::validators(&files);
    let refused = status.refused.as_ref().map(|refused| &refused.validators);
    if [status.validators.as_ref(), refused].contains(&Some(&validators)) {
        return None;
    }
    let changed = files.iter().filter_map(|file| Some((file.changed_after(last)?, file.path())));
    let (at, path) = changed.min()?;
    let age = Duration::from_secs(u64::try_from(now.clocks.wall - at).ok()?);
    // Touched, or written again as it was.
    let is_same =
        || content(list, &files, now).is_some_and(|hash| status.set.is_some_and(|set| set.hash == hash));
    let patience = timer.unwrap_or_default().max(HOURLY) + LATE;
    (age > patience && status.pinned.is_none() && !is_same()).then(|| (path.to_owned(), age))
}

/// Syncs of the system's timer are not rarer.
const HOURLY: Duration = Duration::from_secs(60 * 60);
/// By how much a sync may be late, and how long it may take.
const LATE: Duration = Duration::from_secs(30 * 60);

/// The name of the set that files give; `None` where they give none.
fn content(list: &ListConfig, files: &[OwnFile], now: &Now) -> Option<ContentHash> {
    let options = Options { now: jiff::Timestamp::from_second(now.clocks.wall).ok(), ..list.options.clone() };
    let mut parser = Parser::new(list.format, &options);
    for file in files {
        let has_tail = AtomicBool::new(false);
        let text = decoded(list, file, &has_tail).ok()?;
        if parser.read(text, &mut |_| {}).ok()?.is_some() {
            return None;
        }
    }
    Some(codec::hash(&parser.finish().set))
}

/// Octets read at a time.
const READ: usize = 1 << 18;

impl Refusal {
    fn of_text(reason: String) -> Self {
        Self { outcome: Outcome::Rejected, reason, lasts: false }
    }

    /// What the operating system says is no fault of the content.
    fn of_file(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        match error.raw_os_error() {
            Some(_) => Self {
                outcome: Outcome::Failed,
                reason: format!("{path}: cannot read it: {error}"),
                lasts: false,
            },
            None => Self::of_text(format!("{path}: {error}")),
        }
    }
}
