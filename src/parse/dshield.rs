//! DShield's block list: TAB columns start, end, prefix length, count, network name, country, mail.
//!
//! The first three say one thing three times and must agree. The network's name is the entry's note when
//! [`Options::notes`] says so.

use super::diag::Bad;
use super::driver::{Failure, LineFormat, Outcome, Sink};
use super::entry::{self, Addresses};
use super::{Options, plain};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Dshield {
    notes: bool,
}

impl Dshield {
    pub(super) fn new(options: &Options) -> Self {
        Self { notes: options.notes }
    }
}

impl LineFormat for Dshield {
    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let text = line.trim_ascii();
        // Older files carry a line of column titles.
        if text.is_empty() || text.starts_with(b"#") || text.starts_with(b"Start\t") {
            plain::comment(line, out);
            return Ok(Outcome::Ignored);
        }
        let (addresses, name) = row(line)?;
        let value = if self.notes && name != b"-" { out.noted(name) } else { out.plain() };
        out.addresses(addresses, value);
        Ok(Outcome::Entries(1))
    }
}

fn row(line: &[u8]) -> Result<(Addresses, &[u8]), Bad> {
    let mut at = 0;
    let mut columns = line.split(|&b| b == b'\t').map(|column| {
        let place = at;
        at += column.len() + 1;
        (column, place)
    });
    let mut next = |what: &'static str| columns.next().ok_or_else(|| Bad::new(line.len(), what));
    let (first, _) = next("no start address")?;
    let start = entry::v4(first)?;
    let last = next("no end address")?;
    let (len, len_at) = next("no prefix length")?;
    let prefix = entry::addresses(&[first, b"/", len].concat()).map_err(|bad| Bad { at: len_at, ..bad })?;
    let range = entry::range((first, 0), last)?;
    if prefix != range {
        return Err(Bad::new(last.1, "start, end and prefix length do not agree"));
    }
    debug_assert!(matches!(range, Addresses::V4(span) if span.first == start));
    let name = columns.nth(1).map_or(&b""[..], |(name, _)| name);
    Ok((range, name))
}

#[cfg(test)]
mod tests {
    use super::super::{Diag, Format, parse};
    use super::*;

    #[test]
    fn columns_agree() {
        let text = "# updated: 2026-08-21T19:15:12\nStart\tEnd\tNetblock\n\
            192.0.2.0\t192.0.2.255\t24\t190\tSOME NET\tXX\ta@b\n\
            198.51.100.0\t198.51.100.127\t24\t1\t-\t-\t-\n\
            198.51.100.0\t198.51.100.255\t24\t1\t-\t-\t-\n\
            198.51.100.1\t198.51.100.255\t24\n198.51.100.0\t198.51.100.255\nx\n\
            203.0.113.0\t203.0.113.255\t24\n";
        let mut bad: Vec<Diag> = Vec::new();
        let options = Options { notes: true, ..Options::default() };
        let parsed = parse(Format::Dshield, &options, text.as_bytes(), &mut |d| bad.push(d)).unwrap();
        let places: Vec<_> = bad.iter().map(|d| (d.line, d.column)).collect();
        assert_eq!(places, [(4, 14), (6, 29), (7, 28), (8, 1)], "{bad:?}");
        assert_eq!((parsed.report.entries, parsed.report.ignored), (3, 2));
        let notes: Vec<_> = parsed.set.v4.blocks.iter().map(|b| parsed.set.value(b.value).note).collect();
        assert_eq!(notes, [Some("SOME NET".into()), None, None]);
    }
}
