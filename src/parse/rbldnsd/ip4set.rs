//! rbldnsd's ip4set: IPv4 entries, each with a value of its own if it likes.
//!
//! A default (`:A:text`) holds for the lines below it to the end of its file; variables, `$SOA`, `$NS` and `$TTL`
//! belong to the whole data set, whichever of its files they stand in.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::Options;
use super::super::diag::Bad;
use super::super::driver::{Failure, LineFormat, Outcome, Sink};
use super::super::plain;
use super::super::report::Validity;
use super::ip4;
use super::special::{self, Special};
use super::value::{Said, Variables};
use crate::model::{Span, Value};
use crate::set::{Set, SetBuilder, ValueId};

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Ip4set {
    now: Option<Timestamp>,
    /// In force at this line, and its id.
    default: (Said, ValueId),
    values: Values,
    /// Addresses that a listing may hold (`$MAXRANGE4`); goes on into later files and only shrinks.
    max_range: u64,
}

impl Ip4set {
    pub(in super::super) fn new(options: &Options, builder: &mut SetBuilder) -> Self {
        let mut values = Values::default();
        let initial = Said::initial();
        let id = values.id(&initial, builder);
        Self { now: options.now, default: (initial, id), values, max_range: 1 << 32 }
    }

    /// The set with all texts resolved, also those that stood above the variables they use.
    pub(in super::super) fn settle(mut self, set: Set) -> Set {
        if self.values.variables.late { self.values.settle(&set) } else { set }
    }

    fn special(&mut self, text: &[u8], out: &mut Sink) -> Result<(), Failure> {
        let directives = &mut out.builder.directives;
        match special::read(text, directives.ttl)? {
            // The first of each wins.
            Special::Soa(soa) => _ = directives.soa.get_or_insert(soa),
            Special::Ns(ns) => directives.ns = directives.ns.take().or(ns),
            // The last one counts, for all entries.
            Special::Ttl(ttl) => directives.ttl = ttl,
            Special::MaxRange(size) if size > self.max_range => {
                return Err(Bad::new(0, "$MAXRANGE4 can only be made smaller").into());
            }
            Special::MaxRange(size) => self.max_range = size,
            Special::Timestamp(validity) => self.timestamp(validity, out)?,
            Special::Variable(number, text) => self.values.variables.define(number, text),
            Special::Base(text) => self.values.variables.define_base(text),
        }
        Ok(())
    }

    fn timestamp(&self, validity: Validity, out: &mut Sink) -> Result<(), Failure> {
        if let (Some(from), Some(now)) = (validity.from, self.now)
            && from > now
        {
            return Err(Failure::File(format!("the data are stamped {from}, which lies in the future")));
        }
        let report = &mut out.report;
        report.stamp = report.stamp.max(validity.from);
        report.validity.from = report.validity.from.max(validity.from);
        // The earliest end of all files counts.
        let ends = report.validity.until.into_iter().chain(validity.until);
        report.validity.until = ends.min();
        Ok(())
    }

    fn entry(&mut self, text: &[u8], out: &mut Sink) -> Result<(), Bad> {
        let (span, end) = ip4::entry(text)?;
        let said = Said::beside(&text[end..], &self.default.0).map_err(|bad| bad.shifted(end))?;
        let size = span.extent() + 1;
        if size > u128::from(self.max_range) {
            return Err(Bad::new(0, format!("{size} addresses, $MAXRANGE4 allows {}", self.max_range)));
        }
        let value = match said {
            Some(said) => self.values.id(&said, &mut out.builder),
            None => self.default.1,
        };
        out.builder.v4(span, value);
        Ok(())
    }
}

impl LineFormat for Ip4set {
    fn bare(&self) -> Option<ValueId> {
        Some(self.default.1)
    }

    fn begin(&mut self, out: &mut Sink) {
        let initial = Said::initial();
        self.default.1 = self.values.id(&initial, &mut out.builder);
        self.default.0 = initial;
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let start = plain::blanks(line);
        let text = line[start..].trim_ascii_end();
        if let Some(nul) = text.iter().position(|&b| b == 0) {
            return Err(Bad::new(start + nul, "NUL octet").into());
        }
        if let Some(skip) = special::begins(text) {
            return match self.special(&text[skip..], out) {
                Ok(()) => Ok(Outcome::Ignored),
                Err(Failure::Line(bad)) => Err(bad.shifted(start + skip).into()),
                Err(file) => Err(file),
            };
        }
        let shift = |bad: Bad| bad.shifted(start);
        match text {
            [] | [b'#' | b';', ..] => Ok(Outcome::Ignored),
            [b':', ..] => {
                let said = Said::default_line(text).map_err(shift)?;
                self.default.1 = self.values.id(&said, &mut out.builder);
                self.default.0 = said;
                Ok(Outcome::Ignored)
            }
            [b'!', rest @ ..] => {
                let skip = 1 + plain::blanks(rest);
                // A value beside an exclusion says nothing, whatever it is; `$MAXRANGE4` does not hold for it.
                let (span, _) = ip4::entry(&text[skip..]).map_err(|bad| bad.shifted(start + skip))?;
                out.builder.exclude_v4(span);
                Ok(Outcome::Entries(1))
            }
            _ => {
                self.entry(text, out).map_err(shift)?;
                Ok(Outcome::Entries(1))
            }
        }
    }
}

/// The distinct values of a data set, and what they are in its [`SetBuilder`].
#[derive(Debug, Default)]
struct Values {
    variables: Variables,
    ids: HashMap<Said, ValueId>,
    /// What was said for each value that went into the builder.
    said: HashMap<Value, Said>,
}

impl Values {
    fn id(&mut self, said: &Said, builder: &mut SetBuilder) -> ValueId {
        if let Some(&id) = self.ids.get(said) {
            return id;
        }
        let mut value = self.value(said);
        if self.said.contains_key(&value) {
            // Two texts that are equal only until a variable is defined: kept apart by their place until settled.
            value.note = Some(self.ids.len().to_string().into());
            self.variables.late = true;
        }
        let id = builder.value(&value);
        self.said.insert(value, said.clone());
        self.ids.insert(said.clone(), id);
        id
    }

    fn value(&mut self, said: &Said) -> Value {
        let text = self.variables.resolve(&said.text);
        Value { code: Some(said.code), text: Some(text), ..Value::default() }
    }

    /// Builds the set anew with values resolved by all variables. Rare: variables stand at the head of files.
    fn settle(&mut self, set: &Set) -> Set {
        let mut builder = SetBuilder::new(set.overlap);
        builder.directives = set.directives.clone();
        let ids: Vec<ValueId> = set
            .values
            .iter()
            .map(|value| {
                let said = self.said.get(value).cloned();
                let value = said.map_or_else(|| value.clone(), |said| self.value(&said));
                builder.value(&value)
            })
            .collect();
        let id = |value: ValueId| ids.get(value as usize).copied().unwrap_or(0);
        for (row, &host) in set.v4.hosts.iter().enumerate() {
            builder.host(host, id(set.v4.host_values.at(row)));
        }
        for block in &set.v4.blocks {
            let span: Span<u32> = block.span;
            if block.exclude { builder.exclude_v4(span) } else { builder.v4(span, id(block.value)) }
        }
        builder.finish()
    }
}

#[cfg(test)]
mod tests;
