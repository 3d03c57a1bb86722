//! Query files: a line `NAME TYPE [EXPECTED]` for each question, as dnsperf reads them but for the last word.
//!
//! EXPECTED is `listed`, `unlisted`, `NODATA`, a response code (`NXDOMAIN`, `REFUSED`, `SERVFAIL`, `FORMERR`, `NOTIMP`),
//! or the A values of a listing between commas. Empty lines and those that begin with `#` or `;` say nothing.

use std::io::{self, BufRead};
use std::net::Ipv4Addr;

use super::questions::{Expected, Questions};
use crate::model::{Name, Rtype};
use crate::wire::Rcode;

/// Types by name. Others are written as numbers: `TYPE257` (RFC 3597 section 5).
const TYPES: [(&str, Rtype); 9] = [
    ("A", Rtype::A),
    ("NS", Rtype::NS),
    ("CNAME", Rtype::CNAME),
    ("SOA", Rtype::SOA),
    ("PTR", Rtype(12)),
    ("MX", Rtype::MX),
    ("TXT", Rtype::TXT),
    ("AAAA", Rtype::AAAA),
    ("ANY", Rtype::ANY),
];

const RCODES: [(&str, Rcode); 5] = [
    ("NXDOMAIN", Rcode::NXDOMAIN),
    ("REFUSED", Rcode::REFUSED),
    ("SERVFAIL", Rcode::SERVFAIL),
    ("FORMERR", Rcode::FORMERR),
    ("NOTIMP", Rcode::NOTIMP),
];

/// What is wrong with a query file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A line that is no question.
    #[error("line {line}, column {column}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The octet where the trouble begins, counted from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a query file to its end.
pub fn read(mut file: impl BufRead, into: &mut Questions) -> Result<(), FileError> {
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if file.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        question(&text, into).map_err(|(at, reason)| FileError::Line { line, column: at + 1, reason })?;
    }
    Ok(())
}

/// Reads one line. An error says where in it.
fn question(line: &[u8], into: &mut Questions) -> Result<(), (usize, String)> {
    let mut words = words(line);
    let Some((at, name)) = words.next().filter(|(_, word)| !matches!(word[0], b'#' | b';')) else {
        return Ok(());
    };
    let name = Name::parse(name).map_err(|error| (at, format!("not a name: {error}")))?;
    let (at, rtype) =
        words.next().ok_or_else(|| (line.trim_ascii_end().len(), "the type is missing".to_owned()))?;
    let rtype = type_of(rtype).ok_or_else(|| (at, "unknown type".to_owned()))?;
    let expected = match words.next() {
        None => Expected::Anything,
        Some((at, word)) => expected(word, rtype).map_err(|reason| (at, reason.to_owned()))?,
    };
    if let Some((at, _)) = words.next() {
        return Err((at, "a line has three words at most: name, type, what is expected".to_owned()));
    }
    into.push(&name, rtype, expected);
    Ok(())
}

/// The words of a line, each with the place where it begins.
fn words(line: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let parts = line.split(u8::is_ascii_whitespace);
    let placed = parts.scan(0, |at, word| {
        let here = *at;
        *at += word.len() + 1;
        Some((here, word))
    });
    placed.filter(|(_, word)| !word.is_empty())
}

fn type_of(word: &[u8]) -> Option<Rtype> {
    let word = str::from_utf8(word).ok()?.to_ascii_uppercase();
    if let Some((_, rtype)) = TYPES.iter().find(|(name, _)| *name == word) {
        return Some(*rtype);
    }
    word.strip_prefix("TYPE")?.parse().ok().map(Rtype)
}

/// A type as it is written in a query file.
pub fn type_name(rtype: Rtype) -> String {
    let known = TYPES.iter().find(|(_, known)| *known == rtype);
    known.map_or_else(|| format!("TYPE{}", rtype.0), |(name, _)| (*name).to_owned())
}

fn expected(word: &[u8], rtype: Rtype) -> Result<Expected, &'static str> {
    let word = str::from_utf8(word).unwrap_or_default();
    let upper = word.to_ascii_uppercase();
    match upper.as_str() {
        "LISTED" => return Ok(Expected::Listed),
        "UNLISTED" => return Ok(Expected::NotListed),
        "NODATA" => return Ok(Expected::Exactly(Rcode::NOERROR, Vec::new())),
        _ => {}
    }
    if let Some((_, rcode)) = RCODES.iter().find(|(name, _)| *name == upper) {
        return Ok(Expected::Exactly(*rcode, Vec::new()));
    }
    let values: Result<Vec<Ipv4Addr>, _> = word.split(',').map(str::parse).collect();
    match values {
        Ok(values) if rtype == Rtype::A => Ok(Expected::addresses(values)),
        Ok(_) => Err("values can be expected of type A alone"),
        Err(_) => Err("expected is none of listed, unlisted, NODATA, a response code, A values with commas"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(String, Expected)>, String> {
        let mut questions = Questions::new(false);
        read(text.as_bytes(), &mut questions).map_err(|error| error.to_string())?;
        let each = (0..questions.len()).map(|at| (questions.text(at), questions.question(at).1.clone()));
        Ok(each.collect())
    }

    #[test]
    fn lines() {
        let text = "# a comment\n\n2.0.0.127.bl.example\tA  127.0.0.2,127.0.0.4\r\nb.example txt\n\
                    c.example. type257 nodata\nd A REFUSED\ne A listed\nf A unlisted";
        let [a, b, c, d, e, f] = &all(text).unwrap()[..] else { panic!() };
        let data = vec![vec![127, 0, 0, 2], vec![127, 0, 0, 4]];
        assert_eq!(*a, ("2.0.0.127.bl.example A".to_owned(), Expected::Exactly(Rcode::NOERROR, data)));
        assert_eq!(*b, ("b.example TXT".to_owned(), Expected::Anything));
        assert_eq!(*c, ("c.example TYPE257".to_owned(), Expected::Exactly(Rcode::NOERROR, vec![])));
        assert_eq!(d.1, Expected::Exactly(Rcode::REFUSED, vec![]));
        assert_eq!((&e.1, &f.1), (&Expected::Listed, &Expected::NotListed));
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, wanted) in [
            ("a A\n b..c A\n", "line 2, column 2: not a name: empty label"),
            ("a\n", "line 1, column 2: the type is missing"),
            ("a A\na  B\n", "line 2, column 4: unknown type"),
            ("a A no\n", "line 1, column 5: expected is none of"),
            ("a TXT 127.0.0.2\n", "line 1, column 7: values can be expected of type A alone"),
            ("a A listed x\n", "line 1, column 12: a line has three words at most"),
        ] {
            let told = all(text).unwrap_err();
            assert!(told.starts_with(wanted), "{told}");
        }
    }
}
