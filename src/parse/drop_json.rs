//! Spamhaus DROP as JSON lines: an object a line with `cidr` and `sblid`, and a last one with metadata.
//!
//! The metadata's `records` is the number of objects before it and `size` the number of octets before it: together
//! they show a cut or altered file. The SBL id is the entry's note.

use std::borrow::Cow;

use jiff::Timestamp;

use super::diag::{Bad, excerpt};
use super::driver::{Failure, LineFormat, Outcome, Sink};
use super::entry;
use super::report::Trailer;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct DropJson {
    verdict: Option<(Trailer, u64)>,
}

#[derive(serde::Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    cidr: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sblid: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    records: Option<u64>,
}

impl LineFormat for DropJson {
    fn begin(&mut self, _out: &mut Sink) {
        self.verdict = None;
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        if line.trim_ascii().is_empty() {
            return Ok(Outcome::Ignored);
        }
        let object: Object = serde_json::from_slice(line).map_err(|error| {
            Bad::new(
                error.column().saturating_sub(1),
                format!("not a JSON object: {}", excerpt(error.to_string().as_bytes())),
            )
        })?;
        if object.kind.as_deref() == Some("metadata") {
            self.metadata(&object, out);
            return Ok(Outcome::Ignored);
        }
        let Some(cidr) = object.cidr.as_deref() else {
            return Err(Bad::new(0, "an object without `cidr`").into());
        };
        let addresses = entry::addresses(cidr.as_bytes()).map_err(|bad| {
            let at = line.windows(cidr.len().max(1)).position(|part| part == cidr.as_bytes()).unwrap_or(0);
            bad.shifted(at)
        })?;
        let value = out.noted(object.sblid.as_deref().unwrap_or_default().as_bytes());
        out.addresses(addresses, value);
        Ok(Outcome::Entries(1))
    }

    fn end(&mut self, out: &mut Sink) -> Trailer {
        match self.verdict.take() {
            None => Trailer::Absent,
            Some((_, before)) if before != out.records() => {
                Trailer::False(format!("{} objects behind the metadata", out.records() - before))
            }
            Some((trailer, _)) => trailer,
        }
    }
}

impl DropJson {
    fn metadata(&mut self, object: &Object<'_>, out: &mut Sink) {
        let records = out.records();
        let trailer = match (object.records, object.size) {
            (Some(count), _) if count != records => {
                Trailer::False(format!("the metadata counts {count} objects, the file holds {records}"))
            }
            (_, Some(size)) if size != out.offset => {
                Trailer::False(format!("the metadata counts {size} octets, the file holds {}", out.offset))
            }
            (None, None) => Trailer::Absent,
            _ => Trailer::True,
        };
        self.verdict = Some((trailer, records));
        out.report.stamp = object.timestamp.and_then(|seconds| Timestamp::from_second(seconds).ok());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Diag, Format, Options, Parsed, parse};
    use super::*;

    fn read(text: &str) -> (Parsed, Vec<Diag>) {
        let mut bad = Vec::new();
        let parsed =
            parse(Format::DropJson, &Options::default(), text.as_bytes(), &mut |d| bad.push(d)).unwrap();
        (parsed, bad)
    }

    const ROWS: &str = "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\",\"rir\":\"x\"}\n{\"cidr\":\"2001:db8::/32\",\"sblid\":\"SBL2\"}\n";

    fn with_metadata(rows: &str, size: usize, records: u64) -> Trailer {
        let tail = format!(
            "{{\"type\":\"metadata\",\"timestamp\":1787420642,\"size\":{size},\"records\":{records}}}\n"
        );
        let (parsed, bad) = read(&format!("{rows}{tail}"));
        assert_eq!(parsed.report.stamp.unwrap().as_second(), 1_787_420_642);
        assert!(bad.is_empty());
        parsed.report.trailer
    }

    #[test]
    fn metadata_is_checked() {
        assert_eq!(with_metadata(ROWS, ROWS.len(), 2), Trailer::True);
        assert!(matches!(with_metadata(ROWS, ROWS.len() + 1, 2), Trailer::False(r) if r.contains("octets")));
        assert!(matches!(with_metadata(ROWS, ROWS.len(), 3), Trailer::False(r) if r.contains("objects")));
        assert_eq!(read(ROWS).0.report.trailer, Trailer::Absent);
        let tail = format!("{{\"type\":\"metadata\",\"size\":{},\"records\":2}}\n{ROWS}", ROWS.len());
        assert!(
            matches!(read(&format!("{ROWS}{tail}")).0.report.trailer, Trailer::False(r) if r.contains("behind"))
        );
    }

    #[test]
    fn entries_and_bad_lines() {
        let (parsed, bad) = read(&format!(
            "{ROWS}{}",
            "{\"asn\":245}\n{\"status\":500,\"message\":\"x\"}\n[1]\nx\n{\"cidr\":\"192.0.2.1/24\"}\n{\"cidr\":\"1.2.3.0\\/24\"}\n{\"cidr\":7}\n"
        ));
        assert_eq!(parsed.report.entries, 3);
        let places: Vec<_> = bad.iter().map(|d| (d.line, d.column)).collect();
        assert_eq!(places, [(3, 1), (4, 1), (5, 2), (6, 1), (7, 19), (9, 9)], "{bad:?}");
        let block = parsed.set.v4.blocks.iter().find(|b| b.span.first == 0xc000_0200).unwrap();
        assert_eq!(parsed.set.value(block.value).note.as_deref(), Some("SBL1"));
    }
}
