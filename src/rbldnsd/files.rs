//! The files of a data set: whether they changed, and what is in them.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::options::DataSet;
use super::reports::{BadLines, Job};
use crate::feed::decode::decode_with_tail;
use crate::model::AccessList;
use crate::parse::{self, AccessParser, Diag, Format, Parsed, Parser, RbldnsdOptions, Report};
use crate::set::Set;

/// A file that changes while it is read is read again so often, after a pause.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// A file whose last change is no older than this when it is looked at may change again within the same tick of the
/// clock that stamps it.
const TICK: Duration = Duration::from_millis(20);

/// Octets read at a time.
const READ: usize = 1 << 20;

/// How a gzip member begins (RFC 1952 section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// All that a file system tells of a file's content without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// The time of the last change of its content, in seconds since 1970.
    pub(super) fn modified(&self) -> i64 {
        self.modified.0
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let changed = UNIX_EPOCH + Duration::new(seconds.max(0) as u64, nanoseconds.max(0) as u32);
        now.duration_since(changed).is_ok_and(|age| age < TICK)
    }
}

/// What the files of a data set are now, or which of them cannot be had.
pub(super) fn stamps(data_set: &DataSet) -> Result<Vec<Stamp>, String> {
    data_set.files.iter().map(|file| stamp(file)).collect()
}

fn stamp(path: &Path) -> Result<Stamp, String> {
    let found = std::fs::metadata(path).map_err(|error| cannot("read", path, &error))?;
    // Opening a pipe would wait for somebody to write into it. /dev/null is as good as an empty file.
    if !found.is_file() && path != Path::new("/dev/null") {
        return Err(format!("file {}: not a regular file", path.display()));
    }
    Ok(Stamp::of(&found))
}

/// How the files of a data set were read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) report: Report,
    /// The lines that were left out.
    pub(super) bad_lines: BadLines,
    /// Why one of the files, or all of them together, are no list.
    pub(super) no_list: Option<String>,
}

/// A data set as it was read.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) set: Arc<Set>,
    pub(super) account: Account,
    /// Of the files as they were read.
    pub(super) stamps: Vec<Stamp>,
    /// A file was changed a moment before it was read: it is to be read again next time, whatever its stamp says.
    pub(super) is_fresh: bool,
    /// What an operator should know of the files.
    pub(super) warnings: Vec<String>,
}

/// An access list as it was read.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) list: AccessList,
    /// As of [`Content`].
    pub(super) stamps: Vec<Stamp>,
    pub(super) is_fresh: bool,
    pub(super) warnings: Vec<String>,
}

/// Files as a parser read them.
struct Whole<P> {
    parser: P,
    stamps: Vec<Stamp>,
    is_fresh: bool,
    warnings: Vec<String>,
}

/// Reads a list; every line that is left out goes to `on_bad`.
pub(super) fn read(
    job: &Job,
    data_set: &DataSet,
    format: Format,
    on_bad: &mut dyn FnMut(&Path, &Diag),
) -> Result<Content, String> {
    let Whole { parser: (parser, bad_lines, no_list), stamps, is_fresh, warnings } = read_whole(
        data_set,
        job.gzip,
        || (Parser::new(format, &options(job)), BadLines::default(), None),
        |(parser, bad_lines, no_list), path, text| {
            let why = parser.read(text, &mut |diag| {
                on_bad(path, &diag);
                bad_lines.push(path, diag);
            })?;
            if let Some(why) = why {
                no_list.get_or_insert_with(|| format!("file {}: {why}", path.display()));
            }
            Ok(())
        },
    )?;
    let Parsed { set, report } = parser.finish();
    let no_list = no_list.or_else(|| report.is_no_list(set.is_empty()));
    let account = Account { report, bad_lines, no_list };
    Ok(Content { set: Arc::new(set), account, stamps, is_fresh, warnings })
}

/// Reads an access list; every special line that is left out goes to `on_bad`.
pub(super) fn read_clients(
    job: &Job,
    data_set: &DataSet,
    on_bad: &mut dyn FnMut(&Path, &Diag),
) -> Result<Clients, String> {
    let Whole { parser, stamps, is_fresh, warnings } = read_whole(
        data_set,
        job.gzip,
        || AccessParser::new(&options(job)),
        |parser, path, text| parser.read(text, &mut |diag| on_bad(path, &diag)),
    )?;
    let list = parser.finish();
    let list = AccessList { ttl: Some(list.ttl.unwrap_or(job.ttls.default)), ..list };
    Ok(Clients { list, stamps, is_fresh, warnings })
}

fn options(job: &Job) -> parse::Options {
    let rbldnsd = RbldnsdOptions {
        host_bits: job.host_bits,
        default_ttl: job.ttls.default,
        min_ttl: job.ttls.min,
        max_ttl: if job.ttls.max > 0 { job.ttls.max } else { RbldnsdOptions::default().max_ttl },
    };
    parse::Options { now: Some(jiff::Timestamp::now()), rbldnsd, ..parse::Options::default() }
}

/// Has a parser read all files of a data set, and again if one of them changes meanwhile.
fn read_whole<P>(
    data_set: &DataSet,
    gzip: bool,
    parser: impl Fn() -> P,
    mut take: impl FnMut(&mut P, &Path, Box<dyn Read + Send + '_>) -> io::Result<()>,
) -> Result<Whole<P>, String> {
    for _ in 1..TRIES {
        if let Ok(read) = read_once(data_set, gzip, &parser, &mut take)? {
            return Ok(read);
        }
        std::thread::sleep(PAUSE);
    }
    read_once(data_set, gzip, &parser, &mut take)?
        .map_err(|path| format!("file {}: it was changed while it was read", path.display()))
}

/// `Ok(Err)`: this file was changed while it was read.
fn read_once<P>(
    data_set: &DataSet,
    gzip: bool,
    parser: impl Fn() -> P,
    mut take: impl FnMut(&mut P, &Path, Box<dyn Read + Send + '_>) -> io::Result<()>,
) -> Result<Result<Whole<P>, PathBuf>, String> {
    let mut read = Whole { parser: parser(), stamps: Vec::new(), is_fresh: false, warnings: Vec::new() };
    for path in &data_set.files {
        let before = stamp(path)?;
        // Now, and not when it has been read: that takes longer than a tick.
        read.is_fresh |= before.is_fresh(SystemTime::now());
        let file = File::open(path).map_err(|error| cannot("open", path, &error))?;
        let has_tail = AtomicBool::new(false);
        let text = open(&file, gzip, &has_tail).map_err(|error| cannot("read", path, &error))?;
        take(&mut read.parser, path, text).map_err(|error| cannot("read", path, &error))?;
        let after = file.metadata().map_err(|error| cannot("read", path, &error))?;
        if Stamp::of(&after) != before {
            return Ok(Err(path.clone()));
        }
        read.stamps.push(before);
        if has_tail.into_inner() {
            let path = path.display();
            read.warnings.push(format!("file {path}: what lies behind its gzip data is no gzip and ignored"));
        }
    }
    Ok(Ok(read))
}

/// The text of a file. `has_tail`: see [`decode_with_tail`].
fn open<'a>(file: &'a File, gzip: bool, has_tail: &'a AtomicBool) -> io::Result<Box<dyn Read + Send + 'a>> {
    // Thousands of zones are mostly small ones.
    let size = file.metadata()?.len().saturating_add(1);
    let reader = io::BufReader::with_capacity(READ.min(size as usize), file);
    if gzip {
        return decode_with_tail(reader, u64::MAX, has_tail);
    }
    let mut reader = reader;
    if io::BufRead::fill_buf(&mut reader)?.starts_with(&GZIP) {
        return Err(io::Error::other("it is compressed, and -C says not to unpack"));
    }
    Ok(Box::new(reader))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    format!("file {}: unable to {what}: {text}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbldnsd::DataSetKind;

    #[test]
    fn fresh_is_what_was_changed_within_a_tick() {
        let now = UNIX_EPOCH + Duration::new(1_000_000_000, 5_000_000);
        let is_fresh = |changed: SystemTime| {
            let since = changed.duration_since(UNIX_EPOCH).unwrap();
            let changed = (since.as_secs() as i64, since.subsec_nanos().into());
            // What its content's own time says can be set at will.
            Stamp { device: 1, inode: 2, len: 3, modified: (0, 0), changed }.is_fresh(now)
        };
        let nanosecond = Duration::from_nanos(1);
        assert!(is_fresh(now) && is_fresh(now - TICK + nanosecond));
        assert!(!is_fresh(now - TICK) && !is_fresh(now - Duration::from_secs(1)));
        assert!(!is_fresh(now + nanosecond), "by another clock");
    }

    /// However long it takes to read it.
    #[test]
    fn fresh_is_judged_before_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let data_set = DataSet { kind: DataSetKind::Acl, files: vec![path.clone()] };
        let is_fresh = || {
            std::fs::write(&path, "127.0.0.2\n").unwrap();
            let slow = |(): &mut (), _: &Path, _: Box<dyn Read + Send + '_>| {
                std::thread::sleep(TICK);
                Ok(())
            };
            read_once(&data_set, true, || (), slow).unwrap().unwrap().is_fresh
        };
        // On a busy machine a file may be old before it is looked at.
        assert!((0..100).any(|_| is_fresh()));
    }
}
