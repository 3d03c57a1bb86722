//! Comma-separated columns (RFC 4180 quoting), the address in one of them.
//!
//! Columns are found by their title, in the first row or in a `#` comment above the data (abuse.ch writes it either
//! way), or by their number. A record is one line: a quote left open is a bad line and swallows nothing behind it.

use super::diag::Bad;
use super::driver::{Failure, LineFormat, Outcome, Sink};
use super::plain::{self, EndMark};
use super::report::Trailer;
use super::{Options, entry};

/// Which column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By its title, upper and lower case being the same.
    Titled(String),
    /// By its place, counted from 0. A first row without an address there is a header.
    At(usize),
}

/// The columns of a CSV feed that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Holds the address, prefix or range.
    pub address: Column,
    /// Becomes the note of the entry.
    pub note: Option<Column>,
}

impl Default for Columns {
    /// The first column, no note.
    fn default() -> Self {
        Self { address: Column::At(0), note: None }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Csv {
    columns: Columns,
    /// Places of address and note, once known.
    places: Option<(usize, Option<usize>)>,
    row: Row,
    end: EndMark,
}

impl Csv {
    pub(super) fn new(options: &Options) -> Self {
        Self { columns: options.columns.clone(), places: None, row: Row::default(), end: EndMark::default() }
    }

    /// The places of the wanted columns in a header row.
    fn resolve(&self) -> Result<(usize, Option<usize>), String> {
        let find = |column: &Column| match column {
            Column::At(place) => Ok(*place),
            Column::Titled(title) => self
                .row
                .fields()
                .position(|field| field.trim_ascii().eq_ignore_ascii_case(title.trim().as_bytes()))
                .ok_or_else(|| {
                    let titles: Vec<_> = self.row.fields().take(50).map(super::excerpt).collect();
                    format!("no column `{title}`; the columns are: {}", titles.join(", "))
                }),
        };
        let note = self.columns.note.as_ref().map(find).transpose()?;
        Ok((find(&self.columns.address)?, note))
    }

    fn comment(&mut self, line: &[u8], out: &mut Sink) {
        plain::comment(line, out);
        self.end.comment(line, out);
        if self.places.is_none() {
            let text = plain::unmarked(line.trim_ascii()).trim_ascii();
            if self.row.read(text).is_ok() {
                self.places = self.resolve().ok();
            }
        }
    }
}

impl LineFormat for Csv {
    fn begin(&mut self, _out: &mut Sink) {
        let titled = |column: &Column| matches!(column, Column::Titled(_));
        let by_title = titled(&self.columns.address) || self.columns.note.as_ref().is_some_and(titled);
        self.places = if by_title { None } else { self.resolve().ok() };
        self.end = EndMark::default();
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        if line.trim_ascii().is_empty() {
            return Ok(Outcome::Ignored);
        }
        if line.starts_with(b"#") {
            self.comment(line, out);
            return Ok(Outcome::Ignored);
        }
        self.row.read(line)?;
        let Some((place, note)) = self.places else {
            self.places = Some(self.resolve().map_err(Failure::File)?);
            return Ok(Outcome::Ignored);
        };
        let Some(field) = self.row.field(place) else {
            return Err(Bad::new(line.len(), format!("no column {}", place + 1)).into());
        };
        let blanks = plain::blanks(field);
        let addresses = match entry::addresses(field.trim_ascii()) {
            Ok(addresses) => addresses,
            // A header that was not asked for.
            Err(_) if out.records() == 0 && field.iter().any(u8::is_ascii_alphabetic) && is_title(field) => {
                return Ok(Outcome::Ignored);
            }
            Err(bad) => return Err(bad.shifted(self.row.begin(line, place) + blanks).into()),
        };
        let note = note.and_then(|place| self.row.field(place)).unwrap_or_default();
        let value = out.noted(note);
        out.addresses(addresses, value);
        Ok(Outcome::Entries(1))
    }

    fn end(&mut self, out: &mut Sink) -> Trailer {
        self.end.verdict(out)
    }
}

/// Whether a field looks like the title of a column rather than like data gone wrong.
fn is_title(field: &[u8]) -> bool {
    field.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-'))
}

/// The fields of one line, unquoted; its buffers are used again for each line.
#[derive(Debug)]
struct Row {
    reader: csv_core::Reader,
    text: Vec<u8>,
    /// Where each field ends in `text`, and where it begins in the line.
    fields: Vec<(usize, usize)>,
}

impl Default for Row {
    fn default() -> Self {
        // CR inside a line is data: the driver has taken off the one before LF.
        let reader = csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).build();
        Self { reader, text: Vec::new(), fields: Vec::new() }
    }
}

impl Row {
    fn read(&mut self, line: &[u8]) -> Result<(), Bad> {
        self.reader.reset();
        self.fields.clear();
        // Unquoting never lengthens a text.
        self.text.resize(line.len() + 1, 0);
        let (mut at, mut used, mut begin) = (0, 0, 0);
        loop {
            // The line, then the end that the driver has taken off.
            let input = if at < line.len() { &line[at..] } else { b"\n" };
            let (result, taken, written) = self.reader.read_field(input, &mut self.text[used..]);
            at += taken;
            used += written;
            match result {
                csv_core::ReadFieldResult::Field { record_end } => {
                    self.fields.push((used, begin));
                    begin = at;
                    if record_end {
                        return Ok(());
                    }
                }
                csv_core::ReadFieldResult::InputEmpty if at <= line.len() => {}
                _ => {
                    self.fields.clear();
                    return Err(Bad::new(begin, "a quote that is not closed on its line"));
                }
            }
        }
    }

    fn field(&self, place: usize) -> Option<&[u8]> {
        let &(end, _) = self.fields.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| self.fields[before].0);
        Some(&self.text[start..end])
    }

    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.fields.len()).filter_map(|place| self.field(place))
    }

    /// Where the content of a field begins in the line.
    fn begin(&self, line: &[u8], place: usize) -> usize {
        let begin = self.fields.get(place).map_or(0, |&(_, begin)| begin);
        begin + usize::from(line.get(begin) == Some(&b'"'))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Diag, Format, Parsed, parse};
    use super::*;

    fn read(text: &str, address: Column, note: Option<Column>) -> std::io::Result<(Parsed, Vec<Diag>)> {
        let mut bad = Vec::new();
        let options = Options { columns: Columns { address, note }, ..Options::default() };
        let parsed = parse(Format::Csv, &options, text.as_bytes(), &mut |d| bad.push(d))?;
        Ok((parsed, bad))
    }

    fn titled(title: &str) -> Column {
        Column::Titled(title.into())
    }

    #[test]
    fn by_title_with_crlf_and_quotes() {
        let text = "first,\"IP\",note\r\n2026,192.0.2.1,\"a, \"\"b\"\"\"\r\n2026,\"198.51.100.0/24\",\r\n";
        let (parsed, bad) = read(text, titled("ip"), Some(titled("note"))).unwrap();
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(parsed.set.v4.hosts, [0xc000_0201]);
        let note = parsed.set.value(parsed.set.v4.host_values.at(0)).note;
        assert_eq!(note.as_deref(), Some("a, \"b\""));
        assert_eq!(parsed.set.v4.blocks.len(), 1);
        assert_eq!((parsed.report.entries, parsed.report.ignored), (2, 1));
    }

    #[test]
    fn title_row_in_a_comment_and_end_mark() {
        let text = "####\n# Last updated: 2024-04-04 07:03:03 UTC #\n#\n# \"seen\",\"dst_ip\"\n\"x\",\"192.0.2.1\"\n# END 1 entries";
        let (parsed, bad) = read(text, titled("dst_ip"), None).unwrap();
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(parsed.report.entries, 1);
        assert_eq!(parsed.report.trailer, Trailer::True);
        assert_eq!(parsed.report.stamp.unwrap().to_string(), "2024-04-04T07:03:03Z");
        let cut = read(&text.replace("END 1", "END 2"), titled("dst_ip"), None).unwrap().0;
        assert!(matches!(cut.report.trailer, Trailer::False(_)));
    }

    #[test]
    fn by_place() {
        let (parsed, bad) = read("seen,address\nx,192.0.2.1\n", Column::At(1), None).unwrap();
        assert_eq!((parsed.report.entries, parsed.report.ignored, bad.len()), (1, 1, 0));
        let (parsed, bad) = read("192.0.2.1,x\n", Column::At(0), None).unwrap();
        assert_eq!((parsed.report.entries, bad.len()), (1, 0));
    }

    #[test]
    fn a_missing_title_refuses_the_file() {
        let error = read("a,b\n1,2\n", titled("ip"), None).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(error.to_string(), "line 1: no column `ip`; the columns are: a, b");
    }

    #[test]
    fn bad_lines_and_open_quotes_swallow_nothing() {
        let text = "ip,x\n\"192.0.2.1,\n192.0.2.2,ok\nword,\n,\n \"\" \n192.0.2.3\n\"x\",\n 192.0.2.0/33,y\n";
        let (parsed, bad) = read(text, titled("ip"), None).unwrap();
        assert_eq!(parsed.set.v4.hosts, [0xc000_0202, 0xc000_0203]);
        let places: Vec<_> = bad.iter().map(|d| (d.line, d.column)).collect();
        assert_eq!(places, [(2, 1), (4, 1), (5, 1), (6, 2), (8, 2), (9, 12)], "{bad:?}");
        let (_, bad) = read("a,ip\n\"q\", 09.1.1.1\n", titled("ip"), None).unwrap();
        assert_eq!((bad[0].line, bad[0].column), (2, 6));
    }
}
