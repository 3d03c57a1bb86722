//! Spamhaus DROP text: `cidr ; SBLn` below a header of `;` lines, ended by `; EOF`.
//!
//! The SBL id is the entry's note: it is the key of the page that tells the reason.

use super::driver::{Failure, LineFormat, Outcome, Sink};
use super::plain;
use super::report::Trailer;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Drop {
    /// Records before `; EOF`, once it came.
    eof_after: Option<u64>,
}

impl LineFormat for Drop {
    fn begin(&mut self, _out: &mut Sink) {
        self.eof_after = None;
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let Some(row) = plain::row(line)? else {
            plain::comment(line, out);
            if line.trim_ascii().strip_prefix(b";").is_some_and(|rest| rest.trim_ascii() == b"EOF") {
                self.eof_after = Some(out.records());
            }
            return Ok(Outcome::Ignored);
        };
        let value = out.noted(row.note);
        out.addresses(row.addresses, value);
        Ok(Outcome::Entries(1))
    }

    fn end(&mut self, out: &mut Sink) -> Trailer {
        match self.eof_after {
            None => Trailer::Absent,
            Some(count) if count == out.records() => Trailer::True,
            Some(count) => Trailer::False(format!("{} entries behind `; EOF`", out.records() - count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Options, Parsed, parse};
    use super::*;

    fn read(text: &str) -> Parsed {
        parse(Format::Drop, &Options::default(), text.as_bytes(), &mut |d| panic!("{d}")).unwrap()
    }

    const HEAD: &str = "; A DROP list\n; Last-Modified: Thu, 20 Aug 2026 12:53:45 GMT\n\
        ; Expires: Fri, 21 Aug 2026 16:44:02 GMT\n192.0.2.0/24 ; SBL1\n2001:db8::/32 ; SBL2\n";

    #[test]
    fn whole_and_cut() {
        let whole = read(&format!("{HEAD}; EOF\n"));
        assert_eq!(whole.report.trailer, Trailer::True);
        assert_eq!(whole.report.stamp.unwrap().to_string(), "2026-08-20T12:53:45Z");
        let block = whole.set.v4.blocks[0];
        assert_eq!(whole.set.value(block.value).note.as_deref(), Some("SBL1"));
        assert_eq!(whole.set.value(whole.set.v6.get(0).unwrap().value).note.as_deref(), Some("SBL2"));
        assert_eq!(read(HEAD).report.trailer, Trailer::Absent);
        let more = read(&format!("{HEAD}; EOF\n198.51.100.0/24 ; SBL3\n"));
        assert!(matches!(more.report.trailer, Trailer::False(_)));
    }
}
