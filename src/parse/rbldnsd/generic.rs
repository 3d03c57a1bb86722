//! rbldnsd's generic: `name [ttl] [IN] TYPE data`, a record a line.
//!
//! Beside A, TXT and MX, which are all that the original knows, this reads AAAA, CNAME and NS, and TXT records of
//! several strings (`"one" "two"`, or a text above 255 octets). `@` is the origin, `*` a label like any other. `$TTL`
//! holds from its line on. A record that cannot be read is a bad line here, also where it stops the original.

use foldhash::{HashMap, HashMapExt as _};

use super::super::diag::Bad;
use super::super::driver::{Failure, LineFormat, Outcome, Sink};
use super::super::plain::{blanks, is_blank};
use super::ip4::number;
use super::name::{name, tree_name};
use super::special::{self, Specials};
use super::time::{duration, unsigned};
use crate::model::{Name, RrData, RrSet, Rtype, TreeName, Ttl, Value, parse_ipv6};
use crate::set::{Scope, ValueId};

/// Octets of one string (RFC 1035 section 3.3).
const STRING_MAX: usize = 255;

/// Octets of a TXT record's data: what fits into a message together with everything else.
const TXT_MAX: usize = 60_000;

/// Records that are remembered as they are written, and octets of each: most lists say the same few all over.
const KNOWN: usize = 1 << 16;
const KNOWN_TEXT: usize = 300;

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Generic {
    specials: Specials,
    /// Of the present line; kept for its room.
    owner: TreeName,
    /// What stood behind a name and was a record with the TTL in force.
    known: HashMap<Box<[u8]>, ValueId>,
}

impl Generic {
    /// With what `specials` say already.
    pub(super) fn new(specials: Specials) -> Self {
        Self { specials, owner: TreeName::ROOT, known: HashMap::new() }
    }

    /// The number of the record that stands behind its owner.
    fn value(&mut self, text: &[u8], out: &mut Sink) -> Result<ValueId, Bad> {
        // What the origin may have is less.
        if !self.owner.is_root()
            && let Some(&known) = self.known.get(text)
        {
            return Ok(known);
        }
        let record = self.record(text)?;
        let value = out.builder.value(&Value { records: vec![record], ..Value::default() });
        if text.len() <= KNOWN_TEXT && self.known.len() < KNOWN {
            self.known.insert(text.into(), value);
        }
        Ok(value)
    }

    fn record(&self, text: &[u8]) -> Result<RrSet, Bad> {
        let mut words = Words { text, at: 0 };
        let mut word = words.next();
        let mut ttl = self.specials.ttl.unwrap_or(0);
        if word.1.first().is_some_and(u8::is_ascii_digit) {
            let said: Ttl = duration(word.1).ok_or_else(|| Bad::new(word.0, "not a TTL"))?;
            ttl = self.specials.options.ttl(said).unwrap_or(ttl);
            word = words.next();
        }
        if word.1.eq_ignore_ascii_case(b"IN") {
            word = words.next();
        }
        let (at, rest) = words.rest();
        let shift = |bad: Bad| bad.shifted(at);
        let (rtype, data) = match word.1.to_ascii_uppercase().as_slice() {
            _ if rest.is_empty() => return Err(Bad::new(word.0, "write `name [ttl] [IN] TYPE data`")),
            b"A" => (Rtype::A, address(rest).map_err(shift)?),
            b"AAAA" => (Rtype::AAAA, address_v6(rest).map_err(shift)?),
            b"TXT" => (Rtype::TXT, text_data(rest).map_err(shift)?),
            b"MX" => (Rtype::MX, exchange(rest).map_err(shift)?),
            b"CNAME" if self.owner.is_root() => {
                return Err(Bad::new(word.0, "the origin cannot be another name (RFC 1912 section 2.4)"));
            }
            b"CNAME" => (Rtype::CNAME, host(rest).map_err(shift)?),
            b"NS" => (Rtype::NS, host(rest).map_err(shift)?),
            _ => return Err(Bad::new(word.0, "not one of A, AAAA, CNAME, MX, NS, TXT")),
        };
        Ok(RrSet { rtype, ttl, data: RrData::Wire(vec![data]) })
    }
}

impl LineFormat for Generic {
    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let (start, text) = special::content(line)?;
        if let Some(skip) = special::begins(text) {
            self.specials.line(&text[skip..], out).map_err(|failure| failure.shifted(start + skip))?;
            // Perhaps another TTL is in force now.
            self.known.clear();
            return Ok(Outcome::Said);
        }
        if matches!(text, [] | [b'#' | b';', ..]) {
            return Ok(Outcome::Ignored);
        }
        let end = read_owner(text, &mut self.owner).map_err(|bad| bad.shifted(start))?;
        let value = self.value(&text[end..], out).map_err(|bad| bad.shifted(start + end))?;
        out.builder.tree_name(&self.owner, Scope::Exact, value);
        Ok(Outcome::Entries(1))
    }
}

/// Puts the name that a line begins with into `owner`; where it ends.
fn read_owner(text: &[u8], owner: &mut TreeName) -> Result<usize, Bad> {
    match text {
        [b'@'] => owner.clear(),
        [b'@', blank, ..] if is_blank(*blank) => owner.clear(),
        _ => {
            return match tree_name(text, owner)? {
                _ if owner.is_root() => Err(Bad::new(0, "not a name")),
                end => Ok(end),
            };
        }
    }
    Ok(1)
}

/// Words between blanks, each with its place.
struct Words<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> (usize, &'a [u8]) {
        let (at, rest) = self.rest();
        let len = rest.iter().position(|&b| is_blank(b)).unwrap_or(rest.len());
        self.at = at + len;
        (at, &rest[..len])
    }

    fn rest(&self) -> (usize, &'a [u8]) {
        let at = self.at + blanks(&self.text[self.at..]);
        (at, &self.text[at..])
    }
}

/// One to four numbers; of fewer than four the last is the last octet. What stands behind them is ignored.
fn address(text: &[u8]) -> Result<Vec<u8>, Bad> {
    let len = text.iter().position(|&b| is_blank(b) || matches!(b, b'#' | b';')).unwrap_or(text.len());
    let mut octets = [0u8; 4];
    let mut count = 0;
    for part in text[..len].split(|&b| b == b'.') {
        let octet = number(part).and_then(|octet| u8::try_from(octet).ok());
        let (Some(octet), Some(slot)) = (octet, octets.get_mut(count)) else {
            return Err(Bad::new(0, "not an IPv4 address"));
        };
        *slot = octet;
        count += 1;
    }
    if count < 4 {
        octets[3] = std::mem::take(&mut octets[count - 1]);
    }
    Ok(octets.to_vec())
}

fn address_v6(text: &[u8]) -> Result<Vec<u8>, Bad> {
    let address = parse_ipv6(text).map_err(|_| Bad::new(0, "not an IPv6 address"))?;
    Ok(address.to_be_bytes().to_vec())
}

/// `preference host`.
fn exchange(text: &[u8]) -> Result<Vec<u8>, Bad> {
    let len = text.iter().position(|&b| is_blank(b)).unwrap_or(text.len());
    let preference = unsigned(&text[..len]).and_then(|n| u16::try_from(n).ok());
    let preference = preference.ok_or_else(|| Bad::new(0, "write `MX preference host`"))?;
    let at = len + blanks(&text[len..]);
    let host = host(&text[at..]).map_err(|bad| bad.shifted(at))?;
    Ok([&preference.to_be_bytes()[..], &host].concat())
}

/// A whole name and nothing behind it; `.` is the root.
fn host(text: &[u8]) -> Result<Vec<u8>, Bad> {
    let (found, end) = name(text)?;
    let found = found.or_else(|| (text == b".").then(Name::root));
    match found {
        None => Err(Bad::new(0, "not a name")),
        Some(_) if end < text.len() => Err(Bad::new(end, "something behind the name")),
        Some(name) => Ok(name.as_wire().to_vec()),
    }
}

/// Without quotes one text; within them `" "` parts strings. Nothing else is special, a backslash neither.
fn text_data(text: &[u8]) -> Result<Vec<u8>, Bad> {
    let strings = match text {
        [b'"', inner @ .., b'"'] => parted(inner),
        _ => vec![text],
    };
    let mut data = Vec::with_capacity(text.len() + 8);
    for string in strings {
        if string.is_empty() {
            data.push(0);
        }
        for chunk in string.chunks(STRING_MAX) {
            data.push(chunk.len() as u8);
            data.extend_from_slice(chunk);
        }
    }
    if data.len() > TXT_MAX {
        return Err(Bad::new(TXT_MAX, format!("a text above {TXT_MAX} octets fits into no message")));
    }
    Ok(data)
}

/// Parts a text at each `"`, blanks, `"`.
fn parted(text: &[u8]) -> Vec<&[u8]> {
    let mut strings = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        let gap = blanks(&text[at + 1..]);
        let next = at + 1 + gap;
        if text[at] == b'"' && gap > 0 && text.get(next) == Some(&b'"') {
            strings.push(&text[start..at]);
            start = next + 1;
            at = start;
        } else {
            at += 1;
        }
    }
    strings.push(&text[start..]);
    strings
}

#[cfg(test)]
mod tests {
    use super::super::super::{Format, Options, Parsed, parse};
    use super::*;

    fn read(text: &str) -> (Parsed, Vec<(u64, u32)>) {
        let mut bad = Vec::new();
        let parsed = parse(Format::Generic, &Options::default(), text.as_bytes(), &mut |d| {
            bad.push((d.line, d.column));
        });
        (parsed.unwrap(), bad)
    }

    /// Name, TTL, type and data.
    fn records(parsed: &Parsed) -> Vec<String> {
        let shown = |record: &RrSet| {
            let RrData::Wire(data) = &record.data else { panic!("wire form") };
            format!("{} {} {}", record.ttl, record.rtype.0, data[0].escape_ascii())
        };
        let names = parsed.set.names.iter();
        names.map(|n| format!("{} {}", n.name, shown(&parsed.set.value(n.value).records[0]))).collect()
    }

    fn one(line: &str) -> String {
        let (parsed, bad) = read(line);
        assert_eq!(bad, [], "{line}");
        records(&parsed).pop().unwrap()
    }

    #[test]
    fn forms() {
        for (line, shown) in [
            ("a A 1.2.3.4", r"a 0 1 \x01\x02\x03\x04"),
            ("a 60 in a 1.2.3.4 junk", r"a 60 1 \x01\x02\x03\x04"),
            ("a 1h IN A 1.2.3.4#c", r"a 3600 1 \x01\x02\x03\x04"),
            ("a A 010.2.3", r"a 0 1 \n\x02\x00\x03"),
            ("a A 5", r"a 0 1 \x00\x00\x00\x05"),
            ("@ A 1.2.3.4", r". 0 1 \x01\x02\x03\x04"),
            ("@.x A 1.2.3.4", r"\@.x 0 1 \x01\x02\x03\x04"),
            ("*.A..b. A 1.2.3.4", r"*.a.b 0 1 \x01\x02\x03\x04"),
            ("10 A 1.2.3.4", r"10 0 1 \x01\x02\x03\x04"),
            ("a AAAA 2001:db8::1", r"a 0 28  \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"),
            ("a MX 10 Mx.x", r"a 0 15 \x00\n\x02mx\x01x\x00"),
            ("a mx 010\tmx..x.", r"a 0 15 \x00\n\x02mx\x01x\x00"),
            ("a MX 0 .", r"a 0 15 \x00\x00\x00"),
            ("a CNAME b.c", r"a 0 5 \x01b\x01c\x00"),
            ("a NS b.c.", r"a 0 2 \x01b\x01c\x00"),
            ("a TXT un quoted ; text", r"a 0 16 \x10un quoted ; text"),
            ("a TXT \"quo ted\"", r"a 0 16 \x07quo ted"),
            ("a TXT \"\"", r"a 0 16 \x00"),
            ("a TXT \"", r#"a 0 16 \x01\""#),
            ("a TXT \"x", r#"a 0 16 \x02\"x"#),
            ("a TXT \"x\" ; c", r#"a 0 16 \x07\"x\" ; c"#),
            ("a TXT x $ $1", r"a 0 16 \x06x $ $1"),
            (r"a TXT \065", r"a 0 16 \x04\\065"),
            ("a TXT \"one\" \t\"two\" \"\"", r"a 0 16 \x03one\x03two\x00"),
            ("a TXT \"a\"\"b\"", r#"a 0 16 \x04a\"\"b"#),
        ] {
            assert_eq!(one(line), shown, "{line}");
        }
        let long = one(&format!("a TXT {}", "x".repeat(300)));
        assert_eq!(long, format!(r"a 0 16 \xff{}-{}", "x".repeat(255), "x".repeat(45)));
    }

    #[test]
    fn bad_lines_are_left_out() {
        for (line, column) in [
            ("a", 2),
            ("a 60", 5),
            ("a A", 3),
            ("a TXT ", 3),
            ("a IN 60 A 1.2.3.4", 6),
            ("a 5x A 1.1.1.1", 3),
            ("a 2147483648 A 1.1.1.1", 3),
            ("a HS A 1.1.1.1", 3),
            ("a SOA x", 3),
            ("a A 256.1.1.1", 5),
            ("a A 1.2.3.4.5", 5),
            ("a A 1.2.3.4x", 5),
            ("a A 1..2", 5),
            ("a MX 10", 8),
            ("a MX mx.x", 6),
            ("a MX 70000 mx.x", 6),
            ("a MX 10 mx.x junk", 13),
            ("a AAAA ::g", 8),
            (". A 1.1.1.1", 1),
            ("@ CNAME x", 3),
            (":5:x", 5),
            (" a #x", 4),
        ] {
            let (parsed, bad) = read(line);
            assert!(parsed.is_empty(), "{line}");
            assert_eq!(bad, [(1, column)], "{line}");
        }
        let (_, bad) = read(&format!("a TXT {}", "x".repeat(70_000)));
        assert_eq!(bad.len(), 1);
    }

    #[test]
    fn ttl_holds_from_its_line_on() {
        let (parsed, _) =
            read("a A 1\n$TTL 50\nb A 1\nc 0 A 1\nd 9 A 1\n#$TTL 1m\ne A 1\n$TTL 0\nf A 1\n$1 x\n");
        let ttls: Vec<_> =
            records(&parsed).iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(ttls, ["0", "50", "50", "9", "60", "0"]);
        assert_eq!(parsed.set.directives.ttl, None);
    }
}
