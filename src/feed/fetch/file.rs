//! A list in a file of the operator's.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tempfile::NamedTempFile;

use super::{Answered, Fetched, Outcome};
use crate::store::Validators;

/// A file that was changed a moment ago may change again within the same tick of its time stamp.
const SETTLED: Duration = Duration::from_secs(2);

/// Copies the file at `path` into `body`, unless it is the one that is `known`.
pub(super) async fn copy(
    path: PathBuf,
    max_size: u64,
    known: Option<Validators>,
    body: NamedTempFile,
) -> Result<Outcome, String> {
    tokio::task::spawn_blocking(move || copy_now(&path, max_size, known.as_ref(), body))
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

fn copy_now(
    path: &Path,
    max_size: u64,
    known: Option<&Validators>,
    body: NamedTempFile,
) -> Result<Outcome, String> {
    let began = Instant::now();
    let cannot = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("cannot {what}: {error}")
    };
    // Opening a pipe would wait for somebody to write into it.
    let found = std::fs::metadata(path).map_err(cannot("read it"))?;
    if !found.is_file() {
        return Err("not a regular file".to_owned());
    }
    let source = File::open(path).map_err(cannot("open it"))?;
    let before = source.metadata().map_err(cannot("read it"))?;
    let validators = validators(path, &before);
    let answered =
        |began: Instant| Answered { url: validators.url.clone(), status: None, took: began.elapsed() };
    if known == Some(&validators) && is_settled(&before) {
        return Ok(Outcome::NotModified(answered(began)));
    }
    let mut target = body.as_file();
    let mut limited = (&source).take(max_size.saturating_add(1));
    let received = io::copy(&mut limited, &mut target).map_err(cannot("copy it"))?;
    if received > max_size {
        return Err(format!("larger than {max_size} octets"));
    }
    let after = source.metadata().map_err(cannot("read it"))?;
    if validators != self::validators(path, &after) || received != after.len() {
        return Err("it was changed while it was read; the next sync reads it again".to_owned());
    }
    let answered = answered(began);
    Ok(Outcome::Fetched(Fetched { body, validators, received, complete: true, answered }))
}

fn is_settled(found: &Metadata) -> bool {
    let changed = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    SystemTime::now().duration_since(changed).is_ok_and(|age| age > SETTLED)
}

/// What a file system can tell of a file's content without reading it.
fn validators(path: &Path, found: &Metadata) -> Validators {
    let etag = format!("{}-{}-{}.{:09}", found.ino(), found.len(), found.mtime(), found.mtime_nsec());
    Validators { url: path.display().to_string(), etag: Some(etag), last_modified: None }
}
