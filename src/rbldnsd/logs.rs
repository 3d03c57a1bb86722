//! The files that are written while serving: the query log and the statistics.

use std::io::Write;

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use super::options::Target;
use crate::model::Name;
use crate::ops::Statistics;
use crate::server::{QueryLog, Stats, append_to};

/// Whether lines go to stdout.
pub(super) fn is_stdout(target: &Target) -> bool {
    target.path.as_os_str() == "-"
}

/// `-l`.
pub(super) fn open_query_log(target: &Target) -> anyhow::Result<QueryLog> {
    if is_stdout(target) {
        return Ok(QueryLog::new(Box::new(std::io::stdout()), target.plus));
    }
    let file = append_to(&target.path)
        .with_context(|| format!("cannot open the query log {}", target.path.display()))?;
    Ok(QueryLog::new(file, target.plus))
}

/// `-s`: a line each check, of counts since the start or, with `+`, since the line before.
pub(super) struct StatisticsFile {
    target: Target,
    since: Statistics,
}

impl StatisticsFile {
    pub(super) fn open(target: &Target) -> anyhow::Result<Self> {
        append_to(&target.path)
            .map_err(|error| anyhow!("cannot open the statistics file {}: {error}", target.path.display()))?;
        Ok(Self { target: target.clone(), since: Statistics::from_start() })
    }

    /// Counts begin at zero here.
    pub(super) fn mark(&self) {
        self.append(&Timestamp::now().as_second().to_string());
    }

    pub(super) fn write(&mut self, stats: &Stats, zones: &[Name]) {
        let line = self.since.record(stats, zones, Timestamp::now().as_second());
        self.append(&line);
        if self.target.plus {
            self.since.reset(stats);
        }
    }

    pub(super) fn reset(&mut self, stats: &Stats) {
        self.since.reset(stats);
        self.mark();
    }

    /// Opened for each line, so that the file may be moved away at any time.
    fn append(&self, line: &str) {
        let written =
            append_to(&self.target.path).and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            tracing::error!(%error, file = %self.target.path.display(), "statistics cannot be written");
        }
    }
}
