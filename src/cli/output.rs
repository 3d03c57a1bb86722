//! What people read: tables, numbers, ages; colours only where the terminal wants them.
//!
//! stdout is data, stderr is talk. Everything on stdout goes through [`Out`], so that a reader who has seen enough
//! (`| head`) is no error.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::time::Duration;

use anstream::AutoStream;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::model::is_unseen;
pub(crate) use crate::ops::report::{grouped, short_duration};
use crate::store::{Now, Stamp};

/// Stands where there is nothing to say.
pub(crate) const NOTHING: &str = "-";

/// Headings.
pub(crate) const HEAD: Style = Style::new().bold();
/// What is right.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What a person should look at.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is only there to be complete.
pub(crate) const DIM: Style = Style::new().dimmed();

/// stdout.
pub(crate) type Out = BufWriter<AutoStream<StdoutLock<'static>>>;

/// stdout, with colours as far as it wants them.
pub(crate) fn out() -> Out {
    BufWriter::new(AutoStream::auto(io::stdout().lock()))
}

/// A line on stderr. That nobody reads it is no reason to stop.
pub(crate) fn talk(line: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// `text` in `style`.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A value as JSON, readable, with a line end.
pub(crate) fn json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    out.flush()
}

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Columns of text under headings.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

/// Text of a table and how it looks.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(style: Style, text: impl Into<String>) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes it, each line after `indent`. Nothing for a table without rows.
    pub(crate) fn write(&self, out: &mut impl Write, indent: &str) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0);
            widest.max(self.columns[at].0.chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let heads = self.columns.iter().map(|(name, _)| Cell::new(HEAD, *name)).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            write!(out, "{indent}")?;
            // No blanks at the end of a line.
            let len = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
            for (at, cell) in row[..len].iter().enumerate() {
                let gap = if at == 0 { "" } else { "  " };
                let fill = " ".repeat(widths[at].saturating_sub(cell.text.chars().count()));
                let shown = if cell.text.is_empty() { String::new() } else { styled(cell.style, &cell.text) };
                match self.columns[at].1 {
                    Align::Right => write!(out, "{gap}{fill}{shown}")?,
                    Align::Left if at + 1 == len => write!(out, "{gap}{shown}")?,
                    Align::Left => write!(out, "{gap}{shown}{fill}")?,
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// What somebody else wrote; a terminal shall not obey it.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { '?' } else { c }).collect()
}

/// `1 entry`, `12,345 entries`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// A number of addresses: grouped, or as a power of two, or about.
pub(crate) fn addresses(number: u128) -> String {
    match u64::try_from(number) {
        Ok(number) => counted(number, "address", "addresses"),
        Err(_) if number.is_power_of_two() => format!("2^{} addresses", number.trailing_zeros()),
        Err(_) => format!("about {:.1e} addresses", number as f64),
    }
}

/// Octets as people say them: `1.8 MiB`.
pub(crate) fn octets(number: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| number >= *size) {
        None => format!("{number} B"),
        Some((size, unit)) => {
            let tenths = number / (size / 10).max(1);
            if tenths >= 1000 {
                format!("{} {unit}", number / size)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            }
        }
    }
}

/// `text` in lines of `width` characters at most, broken between words; a longer word has a line of its own. What stands between `` ` ``
/// is pasted, and is one word.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in &words(text) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_code = false;
    for word in text.split_whitespace() {
        match words.last_mut().filter(|_| is_code) {
            Some(code) => *code = format!("{code} {word}"),
            None => words.push(word.to_owned()),
        }
        is_code ^= word.matches('`').count() % 2 == 1;
    }
    words
}

/// How long ago a stamp was.
pub(crate) fn ago(now: &Now, stamp: Option<&Stamp>) -> String {
    stamp.map_or_else(|| NOTHING.to_owned(), |stamp| since(now.age(stamp)))
}

/// An age in words.
pub(crate) fn since(age: Duration) -> String {
    if age < Duration::from_secs(1) { "just now".to_owned() } else { format!("{} ago", short_duration(age)) }
}

/// How long ago a wall clock time was, as far as this machine's clock can tell.
pub(crate) fn wall_ago(now: &Now, wall: i64) -> String {
    since(Duration::from_secs(u64::try_from(now.clocks.wall.saturating_sub(wall)).unwrap_or(0)))
}

/// A wall clock time in UTC (RFC 3339).
pub(crate) fn utc(wall: i64) -> String {
    jiff::Timestamp::from_second(wall).map_or_else(|_| NOTHING.to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(table: &Table) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        table.write(&mut out, " ").unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new([("LIST", Align::Left), ("ENTRIES", Align::Right), ("LAST", Align::Left)]);
        assert_eq!(plain(&table), "");
        table.row(["psbl".into(), grouped(12_345).into(), "taken".into()]);
        table.row(["spamhaus-drop".into(), Cell::new(BAD, "7"), "".into()]);
        assert_eq!(
            plain(&table),
            " LIST           ENTRIES  LAST\n psbl            12,345  taken\n spamhaus-drop        7\n"
        );
    }

    #[test]
    fn sizes() {
        assert_eq!(
            [0, 1023, 1024, 1_900_000, 200 << 20, 5 << 30].map(octets),
            ["0 B", "1023 B", "1.0 KiB", "1.8 MiB", "200 MiB", "5.0 GiB"]
        );
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(
            wrapped("free for  everybody,\nsee https://example.net/terms", 12),
            ["free for", "everybody,", "see", "https://example.net/terms"]
        );
        assert!(wrapped(" ", 12).is_empty());
        assert_eq!(wrapped("ask `chmod go-w it`, then go on", 12), ["ask", "`chmod go-w it`,", "then go on"]);
    }

    #[test]
    fn many_addresses() {
        assert_eq!(addresses(1), "1 address");
        assert_eq!(addresses(1 << 96), "2^96 addresses");
        assert_eq!(addresses(3 << 80), "about 3.6e24 addresses");
    }

    #[test]
    fn ages() {
        assert_eq!(since(Duration::ZERO), "just now");
        assert_eq!(since(Duration::from_secs(90)), "1m 30s ago");
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
    }
}
