//! The files that are written while serving: the query log and the statistics.

use std::io::{self, Write};

use jiff::Timestamp;

use super::options::Target;
use crate::model::Name;
use crate::ops::Statistics;
use crate::server::{QueryLog, Stats, append_to};

/// Whether lines go to stdout.
fn is_stdout(target: &Target) -> bool {
    target.path.as_os_str() == "-"
}

/// `-l`. What cannot be opened takes no lines until [`reopen`] can; answers are worth more than a log of them.
pub(super) fn open_query_log(target: &Target) -> QueryLog {
    if is_stdout(target) {
        return QueryLog::new(Box::new(io::stdout()), target.plus);
    }
    let log = QueryLog::new(Box::new(io::sink()), target.plus);
    reopen(&log, target);
    log
}

/// Goes on in the file that has the name now, if that can be opened.
pub(super) fn reopen(log: &QueryLog, target: &Target) {
    if is_stdout(target) {
        return;
    }
    match append_to(&target.path) {
        Ok(file) => log.reopen(file),
        Err(error) => {
            let file = target.path.display();
            tracing::error!(%error, %file, "the query log cannot be opened; SIGHUP tries it again");
        }
    }
}

/// `-s`: a line each check, of counts since the start or, with `+`, since the line before.
pub(super) struct StatisticsFile {
    target: Target,
    since: Statistics,
    /// Writing has failed and that was said.
    failed: bool,
}

impl StatisticsFile {
    pub(super) fn new(target: &Target) -> Self {
        Self { target: target.clone(), since: Statistics::from_start(), failed: false }
    }

    /// Counts begin at zero here.
    pub(super) fn mark(&mut self) {
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
    fn append(&mut self, line: &str) {
        let written =
            append_to(&self.target.path).and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        match written {
            Ok(()) => self.failed = false,
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::error!(%error, file = %self.target.path.display(), "statistics cannot be written");
            }
            Err(_) => {}
        }
    }
}
