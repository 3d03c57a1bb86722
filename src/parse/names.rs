//! A name a line: `name`, `*.name` (all below it), `.name` (both).
//!
//! Strict IPv4 and IPv6 addresses and prefixes among the names become address entries. Other numbers (`0056.0151.0121.0114`,
//! `0x5bf076a8`: addresses in octal and hexadecimal) are neither address nor name: bad lines.

use super::diag::Bad;
use super::driver::{Failure, LineFormat, Outcome, Sink};
use super::plain::EndMark;
use super::{Options, Trailer, entry, plain};
use crate::model::{Name, NameError};
use crate::set::{Scope, ValueId};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Names {
    notes: bool,
    cover_subdomains: bool,
    value: ValueId,
    end: EndMark,
}

impl Names {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            notes: options.notes,
            cover_subdomains: options.names_cover_subdomains,
            value: 0,
            end: EndMark::default(),
        }
    }
}

impl LineFormat for Names {
    fn bare<'a>(&'a mut self, out: &'a mut Sink) -> Option<(ValueId, &'a mut Sink)> {
        Some((self.value, out))
    }

    fn begin(&mut self, out: &mut Sink) {
        self.value = out.plain();
        self.end = EndMark::default();
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let start = plain::blanks(line);
        let text = &line[start..];
        let end = plain::word_end(text);
        let word = &text[..end];
        if word.is_empty() {
            plain::comment(line, out);
            self.end.comment(line, out);
            return Ok(Outcome::Ignored);
        }
        let note = if self.notes { plain::unmarked(text[end..].trim_ascii()) } else { &[][..] };
        if entry::is_address(word) || word.contains(&b'/') && entry::addresses(word).is_ok() {
            let addresses = entry::addresses(word)?;
            let value = out.noted(note);
            out.addresses(addresses, value);
            return Ok(Outcome::Entries(1));
        }
        let (scopes, skip): (&[Scope], usize) = match word {
            [b'*', b'.', ..] => (&[Scope::Below], 2),
            [b'.', ..] => (&[Scope::Exact, Scope::Below], 1),
            _ if self.cover_subdomains => (&[Scope::Exact, Scope::Below], 0),
            _ => (&[Scope::Exact], 0),
        };
        let name = host_name(&word[skip..]).map_err(|bad| bad.shifted(start + skip))?;
        // `..`: below the root is everything.
        if name.as_wire().len() == 1 {
            return Err(Bad::new(start, "the root, not a name").into());
        }
        let value = out.noted(note);
        for &scope in scopes {
            out.builder.name(name.clone(), scope, value);
        }
        Ok(Outcome::Entries(1))
    }

    fn end(&mut self, out: &mut Sink) -> Trailer {
        self.end.verdict(out)
    }
}

/// A name of letters, digits, `-` and `_` whose labels are not all numbers.
pub(super) fn host_name(text: &[u8]) -> Result<Name, Bad> {
    let odd = text.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')));
    if let Some(at) = odd {
        return Err(Bad::new(at, "character that a host name cannot hold"));
    }
    if text.split(|&b| b == b'.').all(is_number) {
        return Err(Bad::new(0, "numbers alone: neither an address nor a name"));
    }
    Name::parse(text).map_err(|error| Bad::new(fault(text, error), error.to_string()))
}

/// Digits, or `0x` and hexadecimal digits: what C libraries take for a part of an address.
fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', hex @ ..] => hex.iter().all(u8::is_ascii_hexdigit),
        _ => !label.is_empty() && label.iter().all(u8::is_ascii_digit),
    }
}

/// Where the first label begins that is too long or empty.
fn fault(text: &[u8], error: NameError) -> usize {
    let mut at = 0;
    for label in text.split(|&b| b == b'.') {
        let wrong = match error {
            NameError::EmptyLabel => label.is_empty(),
            NameError::LabelLength => label.len() > 63,
            NameError::NameLength | NameError::Character => return 0,
        };
        if wrong {
            return at;
        }
        at += label.len() + 1;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Parsed, parse};
    use super::*;

    fn read(text: &str, options: &Options) -> (Parsed, Vec<String>) {
        let mut bad = Vec::new();
        let parsed = parse(Format::Names, options, text.as_bytes(), &mut |d| {
            bad.push(format!("{}:{} {}", d.line, d.column, d.reason));
        });
        (parsed.unwrap(), bad)
    }

    #[test]
    fn marks_at_the_end() {
        for (format, line) in [(Format::Names, "a.example"), (Format::Hosts, "0.0.0.0 a.example")] {
            let trailer = |count: u32| {
                let text = format!("# head\n{line}\n# END {count} entries\n");
                parse(format, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().report.trailer
            };
            assert_eq!(trailer(1), Trailer::True, "{format}");
            assert!(matches!(trailer(300), Trailer::False(_)), "{format}");
        }
    }

    fn entries(parsed: &Parsed) -> Vec<(String, Scope)> {
        parsed.set.names.iter().map(|n| (n.name.to_string(), n.scope)).collect()
    }

    #[test]
    fn scopes() {
        let text = "# c\nSpam.Example.\n*.below.example\n.both.example ; x\n_dmarc.under-score.example x\n";
        let (parsed, bad) = read(text, &Options::default());
        assert_eq!(bad, [""; 0]);
        let expect = [
            ("_dmarc.under-score.example", Scope::Exact),
            ("both.example", Scope::Exact),
            ("both.example", Scope::Below),
            ("below.example", Scope::Below),
            ("spam.example", Scope::Exact),
        ];
        let mut found = entries(&parsed);
        found.sort();
        let mut expect: Vec<_> = expect.map(|(n, s)| (n.to_owned(), s)).into();
        expect.sort();
        assert_eq!(found, expect);
        assert_eq!(parsed.report.entries, 4);
        let wide = Options { names_cover_subdomains: true, ..Options::default() };
        assert_eq!(entries(&read("a.example\n", &wide).0).len(), 2);
    }

    #[test]
    fn addresses_and_what_only_looks_like_one() {
        let text = "192.0.2.1\n2001:db8::/32\n 192.0.2.2 x\n0056.0151.0121.0114\n1.2.3\n300.1.1.1\na.1.2.3.4\n0x5bf076a8\n0xg.example\n";
        let (parsed, bad) = read(text, &Options::default());
        assert_eq!(parsed.set.v4.hosts, [0xc000_0201, 0xc000_0202]);
        assert_eq!(parsed.set.v6.len(), 1);
        assert_eq!(
            entries(&parsed),
            [("a.1.2.3.4".into(), Scope::Exact), ("0xg.example".into(), Scope::Exact)]
        );
        let reason = "numbers alone: neither an address nor a name";
        assert_eq!(bad, [4, 5, 6, 8].map(|line| format!("{line}:1 {reason}")));
    }

    #[test]
    fn bad_names() {
        let long = "a".repeat(64);
        let text =
            format!(" http://x.example/\na..b\nx.{long}\n*.\ncaf\u{e9}.example\n*\n{}\n", "a.".repeat(130));
        let (parsed, bad) = read(&text, &Options::default());
        assert!(parsed.is_empty());
        let character = "character that a host name cannot hold";
        assert_eq!(
            bad,
            [
                format!("1:6 {character}"),
                "2:3 empty label".into(),
                "3:3 label above 63 octets".into(),
                "4:3 empty label".into(),
                format!("5:4 {character}"),
                format!("6:1 {character}"),
                "7:1 name above 255 octets".into(),
            ]
        );
    }
}
