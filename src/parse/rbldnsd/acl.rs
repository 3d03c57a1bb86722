//! rbldnsd's acl: clients, and what each is given instead of answers.
//!
//! `cidr [action]`, IPv4 and IPv6; an action is a word (`:ignore`, `:refuse`, `:empty`, `:pass`, or how one of them
//! begins) or what everything is listed with (`:2:text`, a text). A line of an action alone is the default of those below it. An access list is taken
//! whole or not at all: a client whose line cannot be read would be let in by leaving it out.

use std::io::{self, Read};

use super::super::diag::{Bad, Diag, excerpt};
use super::super::driver::{Failure, LineFormat, Outcome, Sink, run};
use super::super::plain::{blanks, is_blank};
use super::super::{Format, Options};
use super::special::{self, Specials};
use super::value::{Said, Variables};
use super::{ip4, ip6};
use crate::model::{AccessList, Given, Subject};
use crate::set::{Overlap, SetBuilder};

/// Clients in one list.
const MOST: usize = 1_000_000;

/// Reads an access list that comes in several files.
///
/// Errors as those of [`Parser`](crate::parse::Parser), and [`io::ErrorKind::InvalidData`] with a sentence for a line
/// that cannot be read as a client. `$` lines that cannot be read are left out like everywhere.
#[derive(Debug)]
pub struct AccessParser {
    lines: Acl,
    sink: Sink,
}

impl AccessParser {
    /// Ready for the first file.
    pub fn new(options: &Options) -> Self {
        let lines = Acl {
            specials: Specials::new(options),
            told: Told::Drop,
            said: Said::initial(),
            clients: Vec::new(),
        };
        // Of the set nothing is wanted but a place for `$` lines to be reported from.
        let sink = Sink::new(Format::Ip4trie, SetBuilder::new(Overlap::Narrowest));
        Self { lines, sink }
    }

    /// Reads one file to its end.
    pub fn read(&mut self, input: impl Read, on_bad: &mut dyn FnMut(Diag)) -> io::Result<()> {
        let mut too_long = None;
        run(&mut self.lines, input, &mut self.sink, &mut |diag| {
            if diag.column as usize > super::super::LINE_MAX {
                too_long.get_or_insert_with(|| format!("line {}: {}", diag.line, diag.reason));
            }
            on_bad(diag);
        })?;
        too_long.map_or(Ok(()), |why| Err(io::Error::new(io::ErrorKind::InvalidData, why)))
    }

    /// The list.
    pub fn finish(mut self) -> AccessList {
        let variables = &mut self.lines.specials.variables;
        let clients = self.lines.clients.into_iter();
        let clients = clients.map(|(client, told)| (client, told.given(variables))).collect();
        AccessList { ttl: self.lines.specials.ttl, clients }
    }
}

/// What a client is given, as written: `$` not yet resolved.
#[derive(Debug, Clone)]
enum Told {
    Allow,
    Drop,
    Refuse,
    Empty,
    List(Said),
}

impl Told {
    fn given(self, variables: &mut Variables) -> Given {
        match self {
            Self::Allow => Given::Allow,
            Self::Drop => Given::Drop,
            Self::Refuse => Given::Refuse,
            Self::Empty => Given::Empty,
            Self::List(said) => Given::List { code: said.code, text: variables.resolve(&said.text) },
        }
    }

    /// The action that a text begins with, if it is one of the words or the beginning of one.
    fn word(text: &[u8]) -> Option<Self> {
        let words = [
            ("ignore", Self::Drop),
            ("blackhole", Self::Drop),
            ("refuse", Self::Refuse),
            ("empty", Self::Empty),
            ("pass", Self::Allow),
        ];
        let end = text.iter().position(|&b| is_blank(b) || matches!(b, b':' | b'#' | b';'));
        let said = text[..end.unwrap_or(text.len())].to_ascii_lowercase();
        let mut meant = words.into_iter().filter(|(word, _)| word.as_bytes().starts_with(&said));
        meant.next().filter(|_| !said.is_empty()).map(|(_, told)| told)
    }
}

#[derive(Debug)]
struct Acl {
    specials: Specials,
    /// The default in force: of clients with nothing beside them.
    told: Told,
    /// And what a text alone, or a code alone, is put together with.
    said: Said,
    clients: Vec<(Subject, Told)>,
}

impl Acl {
    /// A default line.
    fn default(&mut self, line: &[u8]) -> Result<(), Bad> {
        self.told = match Told::word(&line[1..]) {
            Some(told) => told,
            None if line[0] == b'=' => return Err(Bad::new(1, "not an action")),
            None => {
                self.said = Said::default_line(line).map_err(no_action)?;
                Told::List(self.said.clone())
            }
        };
        Ok(())
    }

    fn client(&mut self, text: &[u8]) -> Result<(), Bad> {
        let (client, end) = self.prefix(text)?;
        let rest = &text[end..];
        let action = &rest[blanks(rest)..];
        let told = match action {
            [b':' | b'=', word @ ..] if Told::word(word).is_some() => Told::word(word),
            [b'=', ..] => return Err(Bad::new(end, "not an action")),
            _ => Said::beside(rest, &self.said).map_err(|bad| no_action(bad.shifted(end)))?.map(Told::List),
        };
        self.clients.push((client, told.unwrap_or_else(|| self.told.clone())));
        Ok(())
    }

    fn prefix(&self, text: &[u8]) -> Result<(Subject, usize), Bad> {
        let host_bits = self.specials.options.host_bits;
        let bad = match ip4::network(text, host_bits) {
            Ok((span, end)) => {
                self.specials.check_range(ip4::size(&span))?;
                return Ok((Subject::V4(span), end));
            }
            Err(bad) => bad,
        };
        match ip6::network(text, host_bits) {
            Ok((span, end)) => Ok((Subject::V6(span), end)),
            // What got further is what was meant.
            Err(other) => Err(if other.at > bad.at { other } else { bad }),
        }
    }
}

fn no_action(bad: Bad) -> Bad {
    Bad::new(bad.at, format!("neither an action nor a value ({})", bad.reason))
}

impl LineFormat for Acl {
    fn begin(&mut self, _out: &mut Sink) {
        self.told = Told::Drop;
        self.said = Said::initial();
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let fatal =
            |bad: Bad| Failure::File(format!("column {}: {}: {}", bad.at + 1, bad.reason, excerpt(line)));
        let (start, text) = special::content(line).map_err(fatal)?;
        if let Some(skip) = special::begins(text) {
            let text = &text[skip..];
            let (word, _) = special::word(text);
            if matches!(word.to_ascii_uppercase().as_slice(), b"SOA" | b"NS" | b"NAMESERVER") {
                return Err(Bad::new(start + skip, "an access list has no start of authority").into());
            }
            self.specials.line(text, out).map_err(|failure| failure.shifted(start + skip))?;
            return Ok(Outcome::Said);
        }
        let shift = |bad: Bad| fatal(bad.shifted(start));
        match text {
            [] | [b'#' | b';', ..] => Ok(Outcome::Ignored),
            // `::1`, where `:1` would be a default.
            [b'=', ..] | [b':', ..] if !text.starts_with(b"::") => {
                self.default(text).map_err(shift)?;
                Ok(Outcome::Said)
            }
            _ if self.clients.len() == MOST => Err(Failure::File(format!("more than {MOST} clients"))),
            _ => {
                self.client(text).map_err(shift)?;
                Ok(Outcome::Entries(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::RbldnsdOptions;

    fn read(files: &[&str]) -> io::Result<(Vec<String>, Vec<Diag>)> {
        let options = Options { now: Some("2026-01-01T00:00:00Z".parse().unwrap()), ..Options::default() };
        let mut parser = AccessParser::new(&options);
        let mut bad = Vec::new();
        for file in files {
            parser.read(file.as_bytes(), &mut |diag| bad.push(diag))?;
        }
        let shown = parser.finish().clients.into_iter().map(|(client, given)| match given {
            Given::List { code, text } => format!("{client} {code} {text}"),
            given => format!("{client} {}", given.word()),
        });
        Ok((shown.collect(), bad))
    }

    #[test]
    fn clients_and_what_they_are_given() {
        let text = "\
10/8
11.0.0.0/8 :refuse
12.1 :Empty#c
13.1.2.3:pass
14.1.2.3 =blackhole ; c
2001:db8::/32:refuse
::1 :5:see $
14.1.2.4 :b
14.1.2.5 :IGN
14.1.2.6 =r
14.1.2.7 :em
14.1.2.8 :p:x
15.1.2.3 words of $0
16.1.2.3 refuse
:9:said $
17.1.2.3
18.1.2.3 :4
19.1.2.3 other
:refuse
20.1.2.3 # c
21.1.2.3 text
22.1.2.3 :4
=pass
0/0
$0 late
";
        let (shown, bad) = read(&[text, "30.0.0.1\n"]).unwrap();
        assert_eq!(
            shown,
            [
                "10.0.0.0/8 drop",
                "11.0.0.0/8 refuse",
                "12.1.0.0/16 empty",
                "13.1.2.3 allow",
                "14.1.2.3 drop",
                "2001:db8::/32 refuse",
                "::1 127.0.0.5 see $",
                "14.1.2.4 drop",
                "14.1.2.5 drop",
                "14.1.2.6 refuse",
                "14.1.2.7 empty",
                "14.1.2.8 allow",
                "15.1.2.3 127.0.0.2 words of late",
                "16.1.2.3 127.0.0.2 refuse",
                "17.1.2.3 127.0.0.9 said $",
                "18.1.2.3 127.0.0.4 said $",
                "19.1.2.3 127.0.0.9 other",
                "20.1.2.3 refuse",
                // There this is a crash.
                "21.1.2.3 127.0.0.9 text",
                "22.1.2.3 127.0.0.4 said $",
                "0.0.0.0/0 allow",
                "30.0.0.1 drop",
            ]
        );
        assert!(bad.is_empty(), "{bad:?}");
    }

    /// What cannot be read refuses the list; what says nothing of clients costs its line.
    #[test]
    fn whole_or_not_at_all() {
        for (line, why) in [
            ("10.0.0.0/8 :reject", "column 13: neither an action nor a value"),
            ("10.0.0.0/8 =reject", "not an action"),
            ("10.0.0.0/8 : refuse", "neither an action nor a value"),
            ("=5", "not an action"),
            (":refused", "neither an action nor a value"),
            ("10.0.0.1/8 :refuse", "host bits"),
            ("10.0.0.0/33", "bad prefix length"),
            ("10.0.0.0-10.0.0.9", "range"),
            ("2001:db8::1/32", "host bits"),
            ("host.example", "not an address"),
            ("!10.0.0.1", "not an address"),
            ("$MAXRANGE4 /24\n10/8", "line 3: column 1: 16777216 addresses"),
            ("$TIMESTAMP 2027-01-01", "future"),
            ("1.2.3.4\0", "NUL"),
        ] {
            let error = read(&[&format!("192.0.2.1\n{line}\n192.0.2.2\n")]).unwrap_err().to_string();
            assert!(error.contains("line ") && error.contains(why), "{line}: {error}");
        }
        let (shown, bad) = read(&["$SOA 1 a b 1 1 1 1 1\n$NS 1 a\n$INCLUDE x\n$TTL 60\n1.2.3.4\n"]).unwrap();
        assert_eq!((shown.len(), bad.len()), (1, 3));
        let long = format!("192.0.2.1 {}\n", "x".repeat(super::super::super::LINE_MAX));
        assert!(read(&[&long]).unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn host_bits_may_be_allowed() {
        let rbldnsd = RbldnsdOptions { host_bits: true, ..RbldnsdOptions::default() };
        let mut parser = AccessParser::new(&Options { rbldnsd, ..Options::default() });
        parser.read(&b"10.1.2.3/8 :pass\n$TTL 5m\n"[..], &mut |diag| panic!("{diag}")).unwrap();
        let list = parser.finish();
        assert_eq!(list.ttl, Some(300));
        assert_eq!(list.clients[0].0.to_string(), "10.0.0.0/8");
    }
}
