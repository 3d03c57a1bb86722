//! `--log-format` and where log lines go.

use std::io;

use tracing::Level;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::failure;
use super::progress::Progress;
use crate::error::ExitStatus;
use crate::ops::log::{self, Flush, Format};

/// `--log-format`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LogArgs {
    /// How log lines look; GATEPOST_LOG=debug shows more of them
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// For people; with priorities when stderr is the journal
    Text,
    /// One JSON object a line
    Json,
}

impl LogArgs {
    /// Whether a log was asked for, or is what fits best.
    pub(crate) fn is_wanted(&self) -> bool {
        self.log_format.is_some() || log::in_journal()
    }

    /// Installs the log of a service, which no reader of it can hold up.
    pub(crate) fn init_apart(&self, level: Level) -> Flush {
        let (writer, flush) = log::stderr_apart();
        self.init_with(level, writer);
        flush
    }

    /// Has an error of the start in the log where that is for machines.
    pub(crate) fn told(&self, done: anyhow::Result<ExitStatus>) -> anyhow::Result<ExitStatus> {
        match (self.log_format, done) {
            (Some(LogFormat::Json), Err(error)) => Ok(failure::log(&error)),
            (_, done) => done,
        }
    }

    /// Installs the log.
    pub(crate) fn init(&self, level: Level) {
        self.init_with(level, BoxMakeWriter::new(io::stderr));
    }

    /// Installs the log with another way out.
    pub(crate) fn init_with(&self, level: Level, writer: BoxMakeWriter) {
        let format = match self.log_format {
            Some(LogFormat::Json) => Format::Json,
            Some(LogFormat::Text) | None => Format::Text,
        };
        log::init(format, level, writer);
    }
}

/// Warnings above the bars of a command with a terminal of its own.
pub(crate) fn init_above(progress: &Progress) {
    log::init(Format::Text, Level::WARN, progress.log_writer());
}

/// Errors of commands that show something and end.
pub(crate) fn init_quiet() {
    log::init(Format::Text, Level::ERROR, BoxMakeWriter::new(io::stderr));
}
