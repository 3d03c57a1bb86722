//! A file on this machine that somebody else puts there: copied like a download, and judged like one.

use std::fs::File;
use std::io::{self, Seek};
use std::time::Instant;

use tempfile::NamedTempFile;

use super::problem::Problem;
use super::{Answered, Ask, Got, Progress, not_modified};
use crate::config::shown_url;
use crate::feed::files::{self, OwnFile};
use crate::store::Validators;

pub(super) fn get(ask: &Ask<'_>, body: NamedTempFile) -> Result<Got, (Problem, NamedTempFile)> {
    match copy(ask, &body) {
        Ok((None, answered)) => Ok(not_modified(ask, answered)),
        Ok((Some((validators, received)), answered)) => {
            Ok(Got::Body { body, validators, received, complete: true, answered })
        }
        Err(problem) => Err((problem, body)),
    }
}

/// What the copy is called and how long it is; nothing when it is the one that is known.
type Copied = (Option<(Validators, u64)>, Answered);

fn copy(ask: &Ask<'_>, body: &NamedTempFile) -> Result<Copied, Problem> {
    let began = Instant::now();
    let answered = || Answered {
        url: shown_url(ask.url),
        remote: None,
        status: None,
        took: began.elapsed(),
        before: Vec::new(),
    };
    let path = ask.url.to_file_path().map_err(|()| Problem::unreached("not a path"))?;
    let file = OwnFile::open(&path).map_err(Problem::unreached)?;
    let known = files::validators(std::slice::from_ref(&file));
    let validators = Validators { url: shown_url(ask.url), ..known };
    if ask.validators == Some(&validators) && file.is_settled() {
        return Ok((None, answered()));
    }
    if file.size() > ask.list.max_size {
        return Err(Problem::too_large(ask.list.max_size));
    }
    let mut out: &File = body.as_file();
    let copied = out
        .set_len(0)
        .and_then(|()| out.rewind())
        .and_then(|()| io::copy(&mut file.reader(), &mut out))
        .map_err(|error| Problem::own(&error))?;
    if !file.is_unchanged() {
        let what = "it was changed while it was read; the next sync reads it again";
        return Err(Problem::unreached(what));
    }
    (ask.progress)(Progress { received: copied, total: Some(copied) });
    Ok((Some((validators, copied)), answered()))
}
