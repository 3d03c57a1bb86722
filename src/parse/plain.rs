//! An entry a line: address, prefix or range, of both families mixed.
//!
//! `#` and `;` begin a comment, on a line of its own or behind an entry. Columns behind an entry are values; they and
//! trailing comments become its note when [`Options::notes`] says so. The P2P form `name:first-last` is read too.

use jiff::Timestamp;

use super::diag::Bad;
use super::driver::{Failure, LineFormat, Outcome, Sink};
use super::entry::{self, Addresses};
use super::report::Trailer;
use super::{Options, stamp};
use crate::set::ValueId;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Plain {
    notes: bool,
    value: ValueId,
    end: EndMark,
}

impl Plain {
    pub(super) fn new(options: &Options) -> Self {
        Self { notes: options.notes, value: 0, end: EndMark::default() }
    }
}

impl LineFormat for Plain {
    fn bare<'a>(&'a mut self, out: &'a mut Sink) -> Option<(ValueId, &'a mut Sink)> {
        Some((self.value, out))
    }

    fn begin(&mut self, out: &mut Sink) {
        self.value = out.plain();
        self.end = EndMark::default();
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let Some(row) = row(line)? else {
            comment(line, out);
            self.end.comment(line, out);
            return Ok(Outcome::Ignored);
        };
        let value = if self.notes { out.noted(row.note) } else { self.value };
        out.addresses(row.addresses, value);
        Ok(Outcome::Entries(1))
    }

    fn end(&mut self, out: &mut Sink) -> Trailer {
        self.end.verdict(out)
    }
}

/// An entry and what stands beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) addresses: Addresses,
    pub(super) note: &'a [u8],
}

/// The entry on a line; `None` for comments and empty lines.
pub(super) fn row(line: &[u8]) -> Result<Option<Row<'_>>, Bad> {
    let start = blanks(line);
    let text = &line[start..];
    if text.is_empty() || is_comment(text[0]) {
        return Ok(None);
    }
    entry(text).map(Some).map_err(|bad| bad.shifted(start))
}

fn entry(text: &[u8]) -> Result<Row<'_>, Bad> {
    let end = word_end(text);
    let word = &text[..end];
    let next = end + blanks(&text[end..]);
    if word.ends_with(b"-") || text[next..].starts_with(b"-") {
        return spaced_range(text, word, next);
    }
    let addresses = match entry::addresses(word) {
        Ok(addresses) => addresses,
        Err(bad) => return p2p(text).ok_or(bad),
    };
    let note = &text[next..];
    if let Some(&first) = note.first() {
        if is_comment(first) {
            return Ok(Row { addresses, note: unmarked(note) });
        }
        if first == b'/' {
            return Err(Bad::new(next, "blank before the prefix length"));
        }
        let column = &note[..word_end(note)];
        if entry::is_address(column) || column.contains(&b'/') && entry::addresses(column).is_ok() {
            return Err(Bad::new(next, "a second address on the line"));
        }
    }
    Ok(Row { addresses, note: without_comment(note) })
}

/// `a - b`, `a -b`, `a- b`: `word` is all before the first blank, `next` where the text goes on behind it.
fn spaced_range<'a>(text: &'a [u8], word: &'a [u8], next: usize) -> Result<Row<'a>, Bad> {
    let first = word.strip_suffix(b"-").unwrap_or(word);
    let dash = usize::from(first.len() == word.len());
    let at = next + dash + blanks(&text[next + dash..]);
    let end = at + word_end(&text[at..]);
    let addresses = entry::range((first, 0), (&text[at..end], at))?;
    let rest = &text[end + blanks(&text[end..])..];
    Ok(Row { addresses, note: unmarked(rest) })
}

/// `name:first-last`; names hold blanks, colons and dashes, so the last colon parts them.
fn p2p(text: &[u8]) -> Option<Row<'_>> {
    let colon = text.iter().rposition(|&b| b == b':')?;
    let range = text[colon + 1..].trim_ascii();
    if !range.contains(&b'-') {
        return None;
    }
    let addresses = entry::addresses(range).ok()?;
    Some(Row { addresses, note: &text[..colon] })
}

/// Takes the date out of a comment above the first entry.
pub(super) fn comment(line: &[u8], out: &mut Sink) {
    if out.report.stamp.is_none() && out.records() == 0 {
        let stamp: Option<Timestamp> = stamp::in_comment(line.trim_ascii());
        out.report.stamp = stamp;
    }
}

/// abuse.ch's mark at the end: `# END 28 entries`.
#[derive(Debug, Default)]
pub(super) struct EndMark {
    /// What the mark counts, and how many records there were when it came.
    seen: Option<(u64, u64)>,
}

impl EndMark {
    /// Looks for the mark in a comment line.
    pub(super) fn comment(&mut self, line: &[u8], out: &Sink) {
        if let Some(count) = end_count(line) {
            self.seen = Some((count, out.records()));
        }
    }

    pub(super) fn verdict(&self, out: &Sink) -> Trailer {
        match self.seen {
            None => Trailer::Absent,
            Some((_, before)) if before != out.records() => {
                Trailer::False(format!("{} entries behind the end mark", out.records() - before))
            }
            Some((count, before)) if count != before => {
                Trailer::False(format!("the end mark counts {count} entries, the file holds {before}"))
            }
            Some(_) => Trailer::True,
        }
    }
}

fn end_count(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(&line[..line.len().min(80)]).ok()?;
    let mut words = line.trim_start_matches(['#', ' ']).split_ascii_whitespace();
    let (mark, count, unit) = (words.next()?, words.next()?, words.next()?);
    (mark == "END" && matches!(unit, "entries" | "entry")).then(|| count.parse().ok())?
}

fn is_comment(octet: u8) -> bool {
    matches!(octet, b'#' | b';')
}

pub(super) fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Blanks and TABs at the beginning of a text.
pub(super) fn blanks(text: &[u8]) -> usize {
    text.iter().position(|&b| !is_blank(b)).unwrap_or(text.len())
}

/// Where the first word ends: at a blank or a comment.
pub(super) fn word_end(text: &[u8]) -> usize {
    text.iter().position(|&b| is_blank(b) || is_comment(b)).unwrap_or(text.len())
}

/// Without the signs that begin a comment.
pub(super) fn unmarked(text: &[u8]) -> &[u8] {
    let begin = text.iter().position(|&b| !is_comment(b)).unwrap_or(text.len());
    &text[begin..]
}

fn without_comment(text: &[u8]) -> &[u8] {
    let end = text.windows(2).position(|pair| is_blank(pair[0]) && is_comment(pair[1])).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Parsed, parse};
    use super::*;

    fn read(text: &str, notes: bool) -> (Parsed, Vec<String>) {
        let mut bad = Vec::new();
        let options = Options { notes, ..Options::default() };
        let parsed =
            parse(Format::Plain, &options, text.as_bytes(), &mut |d| bad.push(d.to_string())).unwrap();
        (parsed, bad)
    }

    fn shown(text: &str) -> Vec<(String, String)> {
        let (parsed, bad) = read(text, true);
        assert!(bad.is_empty(), "{bad:?}");
        let note = |value| parsed.set.value(value).note.unwrap_or_default().into_string();
        let v4 = &parsed.set.v4;
        let hosts =
            v4.hosts.iter().enumerate().map(|(row, &host)| {
                (crate::model::Span::host(host).to_string(), note(v4.host_values.at(row)))
            });
        let blocks = v4.blocks.iter().map(|b| (b.span.to_string(), note(b.value)));
        let v6 = parsed.set.v6.iter().map(|b| (b.span.to_string(), note(b.value)));
        hosts.chain(blocks).chain(v6).collect()
    }

    #[test]
    fn forms() {
        for (line, entry, note) in [
            ("192.0.2.1", "192.0.2.1", ""),
            ("  192.0.2.1 \t", "192.0.2.1", ""),
            ("192.0.2.1\t10", "192.0.2.1", "10"),
            ("192.0.2.1 ipsum 7 ; c", "192.0.2.1", "ipsum 7"),
            ("192.0.2.1 # one.example, two.example", "192.0.2.1", "one.example, two.example"),
            ("192.0.2.1;c", "192.0.2.1", "c"),
            ("192.0.2.1#", "192.0.2.1", ""),
            ("192.0.2.0/24 # a", "192.0.2.0/24", "a"),
            ("0.0.0.0/0", "0.0.0.0/0", ""),
            ("192.0.2.1-192.0.2.2", "192.0.2.1-192.0.2.2", ""),
            ("192.0.2.1 - 192.0.2.2 x", "192.0.2.1-192.0.2.2", "x"),
            ("192.0.2.1 -192.0.2.2", "192.0.2.1-192.0.2.2", ""),
            ("192.0.2.1- 192.0.2.2;c", "192.0.2.1-192.0.2.2", "c"),
            ("MUSIC: BOX-1 x:192.0.2.0-192.0.2.7", "192.0.2.0/29", "MUSIC: BOX-1 x"),
            ("2001:db8::1", "2001:db8::1", ""),
            ("2001:0db8:0000:0000:0000:0000:0000:0001 x", "2001:db8::1", "x"),
            ("2001:db8::/32", "2001:db8::/32", ""),
        ] {
            assert_eq!(shown(line), [(entry.to_owned(), note.to_owned())], "{line}");
        }
    }

    #[test]
    fn bad_lines_are_named_with_their_place() {
        for (line, diag) in [
            ("word", "line 2, column 1: not an address: word"),
            (
                "  09.1.1.1",
                "line 2, column 3: octet with a leading zero (decimal or octal is a guess):   09.1.1.1",
            ),
            ("192.0.2.1/24", "line 2, column 10: host bits set right of the prefix length: 192.0.2.1/24"),
            ("192.0.2.0 /24", "line 2, column 11: blank before the prefix length: 192.0.2.0 /24"),
            ("192.0.2.1 192.0.2.2", "line 2, column 11: a second address on the line: 192.0.2.1 192.0.2.2"),
            (
                "1.2.3.4 2001:db8::/32",
                "line 2, column 9: a second address on the line: 1.2.3.4 2001:db8::/32",
            ),
            ("192.0.2.1 - x", "line 2, column 13: not an address: 192.0.2.1 - x"),
            (
                "192.0.2.9 - 192.0.2.1",
                "line 2, column 13: the range ends before it begins: 192.0.2.9 - 192.0.2.1",
            ),
            ("192.0.2.1,x", "line 2, column 9: not an address: 192.0.2.1,x"),
            ("1.2.3.4\0", "line 2, column 7: not an address: 1.2.3.4\\u{0}"),
            ("-", "line 2, column 1: not an address: -"),
            ("error code: 520", "line 2, column 1: not an address: error code: 520"),
        ] {
            let (parsed, bad) = read(&format!("# c\n{line}\n192.0.2.77\n"), false);
            assert_eq!(bad, [diag], "{line}");
            assert_eq!(parsed.set.v4.hosts, [0xc000_024d]);
            assert_eq!((parsed.report.bad, parsed.report.entries, parsed.report.ignored), (1, 1, 1));
            assert_eq!(parsed.report.examples.len(), 1);
        }
    }

    #[test]
    fn notes_only_on_demand() {
        let (parsed, _) = read("192.0.2.1 a\n192.0.2.2 b\n", false);
        assert_eq!(parsed.set.values.len(), 1);
    }

    #[test]
    fn layout_does_not_matter() {
        let (a, _) = read("192.0.2.1\n192.0.2.2\n2001:db8::1", false);
        let (b, _) = read("\u{feff}2001:db8::1\r\n192.0.2.2\r\n\r\n192.0.2.1 # x\r\n192.0.2.2", false);
        assert_eq!(a.set, b.set);
        assert_eq!((b.report.lines, b.report.entries, b.report.ignored), (5, 4, 1));
    }

    #[test]
    fn header_date_and_end_mark() {
        let head = "# last updated 1710089701 (x)\n192.0.2.1\n";
        let (whole, _) = read(&format!("{head}# END 1 entries"), false);
        assert_eq!(whole.report.stamp.map(|s| s.as_second()), Some(1_710_089_701));
        assert_eq!(whole.report.trailer, Trailer::True);
        let (cut, _) = read(&format!("{head}# END 2 entries\n"), false);
        assert!(matches!(cut.report.trailer, Trailer::False(_)));
        let (glued, _) = read(&format!("{head}# END 1 entries\n192.0.2.2\n"), false);
        assert!(matches!(glued.report.trailer, Trailer::False(_)));
        assert_eq!(read(head, false).0.report.trailer, Trailer::Absent);
        assert_eq!(read("192.0.2.1\n# Updated: 2026-01-01T00:00:00\n", false).0.report.stamp, None);
    }
}
