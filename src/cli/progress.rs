//! What a sync does, shown while it does it: bars on a terminal, plain lines elsewhere, log lines in a journal.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::builder::styling::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::output::{BAD, DIM, styled, talk};
use crate::ops::{ListDone, Report, Weight};
use crate::sync::{Event, Watcher};

/// Unreadable lines of one list that somebody else publishes that are shown unless all are asked for. Of the operator's
/// own files each is: whoever can mend them wants to know all.
const BAD_LINES: usize = 5;

/// How often a bar that is not moving is drawn, so that a person sees that it is alive.
const TICK: Duration = Duration::from_millis(120);

/// Where reports go.
pub(crate) struct Progress {
    look: Look,
    /// What only those want to see who watch closely.
    details: bool,
    /// Width of the names of lists.
    width: usize,
    /// Unreadable lines of each list so far.
    bad_lines: Mutex<HashMap<String, usize>>,
}

enum Look {
    Bars { all: MultiProgress, by_list: Mutex<HashMap<String, ProgressBar>> },
    Lines,
    Log,
}

impl Progress {
    /// Bars when stderr is a terminal that can move its cursor, else lines.
    pub(crate) fn new<'a>(lists: impl IntoIterator<Item = &'a str>, details: bool) -> Self {
        let look = if is_terminal() {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            Look::Bars { all, by_list: Mutex::default() }
        } else {
            Look::Lines
        };
        let width = lists.into_iter().map(str::len).max().unwrap_or(0);
        Self { look, details, width, bad_lines: Mutex::default() }
    }

    /// Through the log of this process.
    pub(crate) fn log() -> Self {
        Self { look: Look::Log, details: true, width: 0, bad_lines: Mutex::default() }
    }

    /// For the log of this process: its lines go above the bars.
    pub(crate) fn log_writer(&self) -> BoxMakeWriter {
        match &self.look {
            Look::Bars { all, .. } => {
                let all = all.clone();
                BoxMakeWriter::new(move || Above(all.clone()))
            }
            Look::Lines | Look::Log => BoxMakeWriter::new(io::stderr),
        }
    }

    /// A line of talk.
    pub(crate) fn line(&self, line: &str) {
        match &self.look {
            Look::Bars { all, .. } => all.suspend(|| talk(line)),
            Look::Lines => talk(line),
            Look::Log => tracing::info!("{line}"),
        }
    }

    /// Runs `write` with the bars out of the way.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.look {
            Look::Bars { all, .. } => all.suspend(write),
            Look::Lines | Look::Log => write(),
        }
    }

    /// Shows what happened.
    pub(crate) fn report(&self, report: &Report) {
        self.done(report);
        let is_one_too_many = self.is_one_too_many(report);
        if let Report::List(done) = report {
            lock(&self.bad_lines).remove(&done.list);
        }
        if is_one_too_many && !self.details {
            return;
        }
        let Some((weight, sentence)) = report.sentence() else { return };
        let is_bad_line = matches!(report, Report::BadLine { .. });
        if let Look::Log = self.look {
            return match weight {
                Weight::Detail if is_bad_line && !is_one_too_many => tracing::warn!("{sentence}"),
                Weight::Detail => tracing::debug!("{sentence}"),
                Weight::News => tracing::info!("{sentence}"),
                Weight::Problem => tracing::warn!("{sentence}"),
            };
        }
        if weight == Weight::Detail && !self.details && !is_bad_line {
            return;
        }
        match report {
            Report::List(done) => self.line(&self.list_line(done)),
            _ => self.line(&styled(style_of(weight), &sentence)),
        }
    }

    /// Takes note of what happened without saying it.
    pub(crate) fn done(&self, report: &Report) {
        if let Look::Bars { all, by_list } = &self.look {
            self.draw(all, &mut lock(by_list), report);
        }
    }

    /// What became of a list, under the names of the others.
    fn list_line(&self, done: &ListDone) -> String {
        let (weight, text) = done.outcome_sentence();
        format!("  {:width$}  {}", done.list, styled(style_of(weight), text), width = self.width)
    }

    /// Whether this is an unreadable line after many others of a list that somebody else publishes.
    fn is_one_too_many(&self, report: &Report) -> bool {
        let Report::BadLine { list, own: false, .. } = report else { return false };
        let mut seen = lock(&self.bad_lines);
        let seen = seen.entry(list.clone()).or_default();
        *seen += 1;
        *seen > BAD_LINES
    }

    fn draw(&self, all: &MultiProgress, bars: &mut HashMap<String, ProgressBar>, report: &Report) {
        match report {
            Report::Started { list } => {
                let bar = all.add(ProgressBar::no_length());
                bar.set_style(waiting_style());
                bar.set_prefix(format!("{list:width$}", width = self.width));
                bar.enable_steady_tick(TICK);
                bars.insert(list.clone(), bar);
            }
            Report::Progress { list, received, total } => {
                let Some(bar) = bars.get(list) else { return };
                if let (Some(total), None) = (total, bar.length()) {
                    bar.set_length(*total);
                    bar.set_style(receiving_style());
                }
                bar.set_position(*received);
            }
            Report::List(done) => {
                if let Some(bar) = bars.remove(&done.list) {
                    bar.finish_and_clear();
                    all.remove(&bar);
                }
            }
            _ => {}
        }
    }

    /// Takes bars away that are left.
    pub(crate) fn clear(&self) {
        if let Look::Bars { all, by_list } = &self.look {
            lock(by_list).drain().for_each(|(_, bar)| bar.finish_and_clear());
            let _ = all.clear();
        }
    }
}

impl Watcher for Progress {
    fn event(&self, event: &Event<'_>) {
        self.report(&event.into());
    }
}

/// A bar for the reading of files of `total` octets; none elsewhere than on a terminal.
pub(crate) fn reading_bar(total: u64, what: &str) -> ProgressBar {
    if !is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    bar.set_style(receiving_style());
    bar.set_prefix(what.to_owned());
    bar
}

fn is_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn style_of(weight: Weight) -> Style {
    match weight {
        Weight::Detail => DIM,
        Weight::News => Style::new(),
        Weight::Problem => BAD,
    }
}

fn waiting_style() -> ProgressStyle {
    style("  {prefix}  {spinner} {bytes}")
}

fn receiving_style() -> ProgressStyle {
    style("  {prefix}  {bar:24} {bytes} of {total_bytes}")
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ").tick_chars("-\\|/ ")
}

/// Log lines above the bars.
struct Above(MultiProgress);

impl Write for Above {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
