//! What all formats share: lines in, entries and diagnostics out.
//!
//! A format implements [`LineFormat`]; [`run`] calls it for each line that the fast path does not take.

use std::borrow::Cow;
use std::io::{self, Read};

use super::diag::{Bad, Diag};
use super::entry::Addresses;
use super::lines::{Block, Blocks, LINE_MAX};
use super::places::Places;
use super::report::{EXAMPLES, Report, Trailer};
use super::{Format, quad};
use crate::model::{Value, is_unseen};
use crate::set::{Repeats, Row, SetBuilder, ValueId};

/// Octets of a note that are kept.
pub const NOTE_MAX: usize = 200;

/// Repeated entries of a file that are told; the last of these tells how many more there are. They harm nobody, and
/// whoever puts lists together has many.
pub const REPEATS: usize = 100;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Entries were added.
    Entries(u64),
    /// No entry, but it says something of the list (rbldnsd's `$` lines and defaults).
    Said,
    /// A comment, a header, an empty line.
    Ignored,
}

/// A line that cannot be understood, or a file that cannot be used at all.
#[derive(Debug)]
pub(super) enum Failure {
    Line(Bad),
    File(String),
}

impl Failure {
    /// See [`Bad::shifted`].
    pub(super) fn shifted(self, offset: usize) -> Self {
        match self {
            Self::Line(bad) => Self::Line(bad.shifted(offset)),
            file @ Self::File(_) => file,
        }
    }
}

impl From<Bad> for Failure {
    fn from(bad: Bad) -> Self {
        Self::Line(bad)
    }
}

/// One list format.
pub(super) trait LineFormat {
    /// The value of a line that is nothing but an IPv4 address, and where the address goes; `None` where such a line
    /// means something else.
    fn bare<'a>(&'a mut self, _out: &'a mut Sink) -> Option<(ValueId, &'a mut Sink)> {
        None
    }

    /// A file begins.
    fn begin(&mut self, _out: &mut Sink) {}

    /// One line, without its end.
    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure>;

    /// The entries of this file that others before them make count for nothing.
    fn repeated(&self, out: &Sink) -> Repeated {
        out.repeated()
    }

    /// The file has ended; says what its end mark says.
    fn end(&mut self, _out: &mut Sink) -> Trailer {
        Trailer::Absent
    }
}

/// Entries that count for nothing. There may be as many as in the file, so few are kept with what they say.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    /// The first [`REPEATS`]: line and addresses.
    pub(super) told: Vec<(u64, String)>,
    pub(super) count: usize,
}

impl Repeated {
    /// Those of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.told.extend(other.told);
        self.told.sort_unstable();
        self.told.truncate(REPEATS);
        Self { told: self.told, count: self.count + other.count }
    }
}

/// Where entries go.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) builder: SetBuilder,
    pub(super) report: Report,
    /// Octets of this file before the present line (line ends counted; a byte order mark not).
    pub(super) offset: u64,
    /// The number of the present line in its file.
    pub(super) number: u64,
    /// [`Self::records`] when this file began.
    records_before: u64,
    /// A line of this file was an entry or said something.
    understood: bool,
    /// The first line of this file that could not be read, and why.
    first_bad: Option<String>,
    places: Places,
    plain: ValueId,
}

impl Sink {
    pub(super) fn new(format: Format, mut builder: SetBuilder) -> Self {
        let plain = builder.value(&Value::default());
        let report = Report::new(format);
        Self {
            builder,
            report,
            offset: 0,
            number: 0,
            records_before: 0,
            understood: false,
            first_bad: None,
            places: Places::default(),
            plain,
        }
    }

    /// A file begins.
    pub(super) fn begin(&mut self) {
        self.number = 0;
        self.offset = 0;
        self.records_before = self.report.entries + self.report.bad;
        self.understood = false;
        self.first_bad = None;
        self.places.begin(&self.builder);
    }

    /// The entries that are new stand in `line` and those behind it.
    pub(super) fn placed(&mut self, line: u64) {
        if self.builder.repeats == Repeats::First {
            self.places.note(line, &self.builder);
        }
    }

    /// See [`LineFormat::repeated`].
    pub(super) fn repeated(&self) -> Repeated {
        let rows = self.builder.repeated().into_iter();
        let mut placed: Vec<(u64, Row)> =
            rows.filter_map(|row| Some((self.places.line(row)?, row))).collect();
        placed.sort_unstable_by_key(|(line, _)| *line);
        let told = placed.iter().take(REPEATS).map(|&(line, row)| (line, self.builder.addresses(row)));
        Repeated { told: told.collect(), count: placed.len() }
    }

    /// Why this file is no part of a list: it has lines, and none of them can be read.
    pub(super) fn no_list(&self) -> Option<String> {
        let first = self.first_bad.as_ref().filter(|_| !self.understood)?;
        Some(format!("none of its lines can be read as {}; {first}", self.report.format))
    }

    /// The value of an entry about which nothing is said.
    pub(super) fn plain(&self) -> ValueId {
        self.plain
    }

    /// The value of an entry with `note` beside it (none when it is blank).
    pub(super) fn noted(&mut self, note: &[u8]) -> ValueId {
        let note = clean_note(note);
        if note.is_empty() {
            return self.plain;
        }
        self.builder.value(&Value { note: Some(note.into()), ..Value::default() })
    }

    pub(super) fn addresses(&mut self, addresses: Addresses, value: ValueId) {
        match addresses {
            Addresses::V4(span) => self.builder.v4(span, value),
            Addresses::V6(span) => self.builder.v6(span, value),
        }
    }

    /// Lines of this file so far that are entries or should be.
    pub(super) fn records(&self) -> u64 {
        self.report.entries + self.report.bad - self.records_before
    }
}

/// One line of printable text of at most [`NOTE_MAX`] octets.
fn clean_note(note: &[u8]) -> Cow<'_, str> {
    let note = note.trim_ascii();
    let head = &note[..note.len().min(NOTE_MAX * 2)];
    let mut text = String::from_utf8_lossy(head);
    if text.chars().any(is_unseen) {
        text = text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect::<String>().into();
    }
    if text.len() <= NOTE_MAX {
        return text;
    }
    let mut end = NOTE_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = text[..end].trim_end().to_owned();
    cut.into()
}

/// Reads one file to its end.
pub(super) fn run(
    format: &mut impl LineFormat,
    input: impl Read,
    out: &mut Sink,
    on_bad: &mut dyn FnMut(Diag),
) -> io::Result<()> {
    let mut blocks = Blocks::new(input);
    out.begin();
    format.begin(out);
    while let Some(block) = blocks.next()? {
        match block {
            Block::Lines { buffer, len } => lines(format, buffer, len, out, on_bad)?,
            Block::TooLong(head) => {
                out.number += 1;
                out.report.lines += 1;
                report_bad(head, too_long(), out, on_bad);
            }
        }
    }
    report_repeated(format, out, on_bad);
    let trailer = format.end(out);
    out.report.trailer = std::mem::take(&mut out.report.trailer).and(trailer);
    Ok(())
}

/// The lines in `buffer[..len]`, the last of which is ended, too.
fn lines(
    format: &mut impl LineFormat,
    buffer: &[u8],
    len: usize,
    out: &mut Sink,
    on_bad: &mut dyn FnMut(Diag),
) -> io::Result<()> {
    let mut at = 0;
    let offset = out.offset;
    while at < len {
        let next_line = out.number + 1;
        if let Some((value, into)) = format.bare(out) {
            let mut hosts = 0;
            while at < len
                && let Some((address, next)) = quad::line(buffer, at)
            {
                into.builder.host(address, value);
                at = next;
                hosts += 1;
            }
            into.placed(next_line);
            out.understood |= hosts > 0;
            out.number += hosts;
            out.report.lines += hosts;
            out.report.entries += hosts;
            if at >= len {
                break;
            }
        }
        let rest = &buffer[at..len];
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        out.number += 1;
        out.report.lines += 1;
        out.offset = offset + at as u64;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let outcome = if line.len() > LINE_MAX { Err(too_long().into()) } else { format.line(line, out) };
        match outcome {
            Ok(Outcome::Entries(count)) => {
                out.report.entries += count;
                out.understood = true;
                out.placed(out.number);
            }
            Ok(Outcome::Said) => {
                out.report.ignored += 1;
                out.understood = true;
            }
            Ok(Outcome::Ignored) => out.report.ignored += 1,
            Err(Failure::Line(bad)) => report_bad(line, bad, out, on_bad),
            Err(Failure::File(reason)) => {
                let reason = format!("line {}: {reason}", out.number);
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
        at += end + 1;
    }
    out.offset = offset + len as u64;
    Ok(())
}

fn report_repeated(format: &impl LineFormat, out: &mut Sink, on_bad: &mut dyn FnMut(Diag)) {
    let Repeated { told, count } = format.repeated(out);
    out.report.repeated += count as u64;
    let (all, mut left) = (told.len(), told.len());
    for (line, text) in told {
        left -= 1;
        on_bad(Diag::repeated(line, text, if left == 0 { count - all } else { 0 }));
    }
}

fn too_long() -> Bad {
    Bad::new(LINE_MAX, format!("line longer than {LINE_MAX} octets"))
}

#[cold]
fn report_bad(line: &[u8], bad: Bad, out: &mut Sink, on_bad: &mut dyn FnMut(Diag)) {
    let diag = Diag::new(out.number, line, bad);
    out.first_bad.get_or_insert_with(|| format!("line {}: {}: {}", diag.line, diag.reason, diag.text));
    out.report.bad += 1;
    if out.report.examples.len() < EXAMPLES {
        out.report.examples.push(diag.clone());
    }
    on_bad(diag);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_one_short_line() {
        assert_eq!(clean_note(b"  SBL1\t"), "SBL1");
        assert_eq!(clean_note(b"a\tb\x00c"), "a b c");
        assert_eq!(clean_note("ä".repeat(300).as_bytes()), "ä".repeat(NOTE_MAX / 2));
    }
}
