//! Errors of commands: how they are told and which exit code they get.

use std::io;

use super::output::{BAD, styled, talk};
use crate::config::Problems;
use crate::error::ExitStatus;
use crate::store::Unknown;
use crate::sync::SyncError;

/// A command line that makes no sense although it can be parsed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Tells an error and gives its exit code.
pub(crate) fn tell(error: &anyhow::Error) -> ExitStatus {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        talk(problems);
        talk(format_args!("\n{} {}", styled(BAD, "error:"), count(problems)));
    } else if !is_broken_pipe(error) {
        talk(format_args!("{} {error:#}", styled(BAD, "error:")));
    }
    status(error)
}

/// The same as events of the log: one for each mistake of a configuration.
pub(crate) fn log(error: &anyhow::Error) -> ExitStatus {
    let Some(problems) = error.downcast_ref::<Problems>() else {
        tracing::error!("{error:#}");
        return status(error);
    };
    for problem in problems.iter() {
        let (line, column) = problem.line_and_column().unzip();
        let file = problem.file().map(|file| tracing::field::display(file.display()));
        tracing::error!(file, line, column, help = problem.advice(), "{}", problem.message());
    }
    tracing::error!("{}", count(problems));
    status(error)
}

fn status(error: &anyhow::Error) -> ExitStatus {
    if error.is::<Problems>() {
        return ExitStatus::Usage;
    }
    if is_broken_pipe(error) {
        return ExitStatus::Ok;
    }
    match error.downcast_ref::<SyncError>() {
        Some(
            SyncError::UnknownList(_)
            | SyncError::OwnList(_)
            | SyncError::Pinned(_)
            | SyncError::NotHeld(..)
            | SyncError::Replaced(_)
            | SyncError::AnotherList { .. }
            | SyncError::UnknownUse(..)
            | SyncError::Forgotten(_)
            | SyncError::NoVersion(..),
        ) => ExitStatus::Usage,
        // What was wanted is so already.
        Some(SyncError::NothingHeld(_) | SyncError::NotPinned(_)) => ExitStatus::Found,
        _ if error.is::<Usage>() || error.is::<Unknown>() => ExitStatus::Usage,
        _ => ExitStatus::CannotTell,
    }
}

fn count(problems: &Problems) -> String {
    match problems.len() {
        1 => "the configuration cannot be used".to_owned(),
        many => format!("the configuration cannot be used: {many} mistakes"),
    }
}

/// Whoever read our output has seen enough.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}
