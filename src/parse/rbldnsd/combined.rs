//! rbldnsd's combined: sections that are data sets of the other types, each answering in subzones.
//!
//! `$DATASET type[:name] sub sub @` begins a section, which ends with the next one or with its file. It takes over
//! what `$TTL`, `$MAXRANGE4` and variables have said before the first section; `$SOA`, `$NS` and `$TIMESTAMP` are the
//! whole file's wherever they stand. Seen in rbldnsd 1.0: an entry outside a section, or a section that cannot be,
//! spoils all of it; `$` lines before the first section of a further file still belong to the last section.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::diag::Bad;
use super::super::driver::{Failure, LineFormat, Outcome, Repeated, Sink};
use super::super::plain::is_blank;
use super::super::{Format, Options};
use super::name::name;
use super::special::{self, Specials};
use super::{Rbldnsd, overlap};
use crate::model::Name;
use crate::set::{Section, Set, SetBuilder, ValueId};

/// Sections of a list, and subzones that they name: each subzone is compiled and served like a zone.
const MOST: usize = 1000;

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Combined {
    /// What holds for all sections that begin after it.
    common: Specials,
    sections: Vec<Begun>,
    subzones: BTreeSet<Name>,
    /// A section of this file has begun.
    is_open: bool,
}

/// A section whose entries still come.
#[derive(Debug)]
struct Begun {
    subs: Vec<Name>,
    lines: Rbldnsd,
    sink: Sink,
}

impl Combined {
    pub(in super::super) fn new(options: &Options) -> Self {
        let common = Specials::new(options);
        Self { common, sections: Vec::new(), subzones: BTreeSet::new(), is_open: false }
    }

    /// The sections beside what `set` says of the zone.
    pub(in super::super) fn settle(self, set: Set) -> Set {
        let sections = self.sections.into_iter().map(|Begun { subs, lines, sink }| Section {
            subs,
            set: Arc::new(lines.settle(sink.builder.finish())),
        });
        Set { sections: sections.collect(), ..set }
    }

    /// Begins the section that stands behind `$DATASET`. What is wrong with its subzones costs those alone.
    fn section(&mut self, words: &[u8]) -> Result<(), Failure> {
        let mut words = placed(words);
        let (_, kind) = words.next().ok_or_else(|| Bad::new(0, "write `$DATASET type[:name] subzone …`"))?;
        let kind = kind.split(|&b| b == b':').next().unwrap_or_default();
        let format = data_set_type(kind)?;
        let mut subs = BTreeSet::new();
        let mut bad = None;
        for (at, word) in words.take_while(|(_, word)| !matches!(word, [b'#' | b';', ..])) {
            match subzone(word) {
                Ok(sub) => _ = subs.insert(sub),
                Err(reason) => bad = bad.or_else(|| Some(reason.shifted(at))),
            }
        }
        if subs.is_empty() {
            bad = bad.or_else(|| Some(Bad::new(0, "no subzone is named: its entries answer nowhere")));
        }
        self.subzones.extend(subs.iter().cloned());
        if self.sections.len() == MOST || self.subzones.len() > MOST {
            return Err(Failure::File(format!("more than {MOST} sections or subzones")));
        }
        let mut builder = SetBuilder::new(overlap(format));
        let lines = Rbldnsd::new(format, self.common.clone(), &mut builder);
        let mut sink = Sink::new(format, builder);
        let mut lines = lines.ok_or_else(|| Failure::File(format!("`{format}` is no type for a section")))?;
        lines.begin(&mut sink);
        self.sections.push(Begun { subs: subs.into_iter().collect(), lines, sink });
        self.is_open = true;
        bad.map_or(Ok(()), |bad| Err(bad.into()))
    }
}

/// Words between blanks, each with its place.
fn placed(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = 0;
    let words = text.split(|&b| is_blank(b)).map(move |word| {
        let at = next;
        next += word.len() + 1;
        (at, word)
    });
    words.filter(|(_, word)| !word.is_empty())
}

/// The format called like this, without `rbldnsd:` before it.
fn data_set_type(kind: &[u8]) -> Result<Format, Failure> {
    let kind = String::from_utf8_lossy(kind);
    if matches!(&*kind, "combined" | "acl") {
        return Err(Failure::File(format!("a data set of type `{kind}` cannot be a section")));
    }
    format!("rbldnsd:{kind}").parse().map_err(|_| Failure::File(format!("`{kind}` is no type of data set")))
}

fn subzone(word: &[u8]) -> Result<Name, Bad> {
    if word == b"@" {
        return Ok(Name::root());
    }
    let (sub, _) = name(word)?;
    Ok(sub.unwrap_or_else(Name::root))
}

impl LineFormat for Combined {
    fn begin(&mut self, _out: &mut Sink) {
        self.is_open = false;
        self.sections.iter_mut().for_each(|section| section.sink.begin());
    }

    fn repeated(&self, _out: &Sink) -> Repeated {
        self.sections.iter().map(|section| section.sink.repeated()).fold(Repeated::default(), Repeated::and)
    }

    fn bare<'a>(&'a mut self, _out: &'a mut Sink) -> Option<(ValueId, &'a mut Sink)> {
        let section = self.sections.last_mut().filter(|_| self.is_open)?;
        section.lines.bare(&mut section.sink)
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        // The way of nearly every line: an entry, and nothing before it.
        if line.first().is_some_and(u8::is_ascii_alphanumeric)
            && let Some(section) = self.sections.last_mut().filter(|_| self.is_open)
        {
            let outcome = section.lines.line(line, &mut section.sink);
            section.sink.placed(out.number);
            return outcome;
        }
        let (start, text) = special::content(line)?;
        if let Some(skip) = special::begins(text) {
            let text = &text[skip..];
            let (word, rest) = special::word(text);
            let shift = |failure: Failure| failure.shifted(start + skip);
            let shift_rest = |failure: Failure| failure.shifted(start + skip + word.len());
            return match (word.to_ascii_uppercase().as_slice(), self.sections.last_mut()) {
                (b"DATASET", _) => self.section(rest).map_err(shift_rest).map(|()| Outcome::Said),
                (b"SOA" | b"NS" | b"NAMESERVER" | b"TIMESTAMP", _) | (_, None) => {
                    self.common.line(text, out).map_err(shift).map(|()| Outcome::Said)
                }
                (_, Some(section)) => section.lines.line(line, &mut section.sink),
            };
        }
        match (text, self.sections.last_mut()) {
            ([] | [b'#' | b';', ..], _) => Ok(Outcome::Ignored),
            (_, Some(section)) if self.is_open => {
                let outcome = section.lines.line(line, &mut section.sink);
                section.sink.placed(out.number);
                outcome
            }
            _ => Err(Failure::File("an entry before the file's first `$DATASET`".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
