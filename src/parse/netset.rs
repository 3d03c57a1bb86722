//! FireHOL's netset and ipset: addresses and prefixes below a `#` header that counts them.
//!
//! `# Entries : 2511 subnets, 618830080 unique IPs` (or `17135 unique IPs`) must agree with the lines that follow.

use super::driver::{Failure, LineFormat, Outcome, Sink};
use super::report::Trailer;
use super::{Options, plain};
use crate::set::ValueId;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Netset {
    notes: bool,
    value: ValueId,
    counted: Option<u64>,
}

impl Netset {
    pub(super) fn new(options: &Options) -> Self {
        Self { notes: options.notes, value: 0, counted: None }
    }
}

impl LineFormat for Netset {
    fn bare<'a>(&'a mut self, out: &'a mut Sink) -> Option<(ValueId, &'a mut Sink)> {
        Some((self.value, out))
    }

    fn begin(&mut self, out: &mut Sink) {
        self.value = out.plain();
        self.counted = None;
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let Some(row) = plain::row(line)? else {
            plain::comment(line, out);
            if self.counted.is_none() {
                self.counted = count(line);
            }
            return Ok(Outcome::Ignored);
        };
        let value = if self.notes { out.noted(row.note) } else { self.value };
        out.addresses(row.addresses, value);
        Ok(Outcome::Entries(1))
    }

    fn end(&mut self, out: &mut Sink) -> Trailer {
        match self.counted {
            None => Trailer::Absent,
            Some(count) if count == out.records() => Trailer::True,
            Some(count) => {
                Trailer::False(format!("the header counts {count} entries, the file holds {}", out.records()))
            }
        }
    }
}

/// The number of lines that a header line promises.
fn count(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(&line[..line.len().min(160)]).ok()?;
    let rest = line.trim_start_matches(['#', ' ']).strip_prefix("Entries")?;
    let mut words = rest.trim_start_matches([' ', '\t', ':']).split_ascii_whitespace();
    let count = words.next()?.parse().ok()?;
    words.next().is_none_or(|unit| matches!(unit, "subnets," | "unique")).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::super::{Format, parse};
    use super::*;

    fn trailer(text: &str) -> Trailer {
        let parsed =
            parse(Format::Netset, &Options::default(), text.as_bytes(), &mut |d| panic!("{d}")).unwrap();
        assert_eq!(parsed.report.stamp.unwrap().to_string(), "2022-01-04T14:09:17Z");
        parsed.report.trailer
    }

    #[test]
    fn header_counts() {
        let file = |count: &str| {
            format!(
                "#\n# Source File Date: Tue Jan  4 14:09:17 UTC 2022\n# This File Date  : Tue Jan  4 17:52:02 UTC 2022\n\
                 # Entries         : {count} unique IPs\n#\n192.0.2.1 \n198.51.100.0/24\n"
            )
        };
        assert_eq!(trailer(&file("2 subnets, 257")), Trailer::True);
        assert_eq!(trailer(&file("2")), Trailer::True);
        assert!(matches!(trailer(&file("3 subnets, 257")), Trailer::False(_)));
        assert_eq!(trailer(&file("many")), Trailer::Absent);
        let bare = |count: &str| trailer(&file(count).replace(" unique IPs", ""));
        assert_eq!(bare("2"), Trailer::True);
        assert!(matches!(bare("3"), Trailer::False(_)));
    }
}
