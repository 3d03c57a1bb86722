//! What all data set types but `generic` share: defaults, values beside entries, exclusions, `$` lines.
//!
//! A default (`:A:text`) holds for the lines below it to the end of its file; variables, `$SOA`, `$NS` and `$TTL`
//! belong to the whole data set, whichever of its files they stand in. A type says how its entries are written
//! ([`Kind`]); [`DataSet`] does the rest.

use super::super::diag::Bad;
use super::super::driver::{Failure, LineFormat, Outcome, Sink};
use super::super::plain;
use super::key::Key;
use super::options::RbldnsdOptions;
use super::special::{self, Specials};
use super::value::{Said, Values};
use crate::set::{Set, SetBuilder, ValueId};

/// How the entries of a data set type are written and what they are.
pub(in super::super) trait Kind {
    /// What an entry names.
    type Key: Key + Default + std::fmt::Debug;
    /// The first default line of the data set is said by all its entries; what stands beside them is ignored.
    const ONE_VALUE: bool = false;
    /// A line that is nothing but an IPv4 address lists that address.
    const BARE: bool = false;

    /// Tells the builder what holds for all entries.
    fn begin(_builder: &mut SetBuilder) {}
    /// The line begins with `:` and is an entry all the same.
    fn is_entry(_line: &[u8]) -> bool {
        false
    }
    /// Puts into `key` what the beginning of a text names; where that ends.
    fn entry(text: &[u8], options: RbldnsdOptions, key: &mut Self::Key) -> Result<usize, Bad>;
    /// The same behind `!`.
    fn exclusion(text: &[u8], options: RbldnsdOptions, key: &mut Self::Key) -> Result<(), Bad> {
        Self::entry(text, options, key).map(drop)
    }
}

/// A data set of one type.
#[derive(Debug)]
pub(in super::super) struct DataSet<K: Kind> {
    specials: Specials,
    values: Values,
    /// In force at this line, and its id.
    default: (Said, ValueId),
    /// The first default line of all files.
    first: Option<Said>,
    /// Of the present line; kept for its room.
    key: K::Key,
}

impl<K: Kind> DataSet<K> {
    /// With what `specials` say already.
    pub(super) fn new(mut specials: Specials, builder: &mut SetBuilder) -> Self {
        K::begin(builder);
        builder.directives.ttl = specials.ttl;
        let mut values = Values::default();
        let initial = Said::initial();
        let id = values.id(&initial, &mut specials.variables, builder);
        Self { specials, values, default: (initial, id), first: None, key: K::Key::default() }
    }

    /// The set with all texts resolved, also those that stood above the variables they use.
    pub(in super::super) fn settle(mut self, mut set: Set) -> Set {
        let variables = &mut self.specials.variables;
        if K::ONE_VALUE {
            let said = self.first.unwrap_or_else(Said::initial);
            // At most one, that of all entries.
            set.values.iter_mut().for_each(|value| *value = said.value(variables));
            return set;
        }
        if self.values.is_late(variables) { self.values.settle(&set, variables) } else { set }
    }

    fn set_default(&mut self, said: Said, builder: &mut SetBuilder) {
        if K::ONE_VALUE {
            self.first.get_or_insert(said);
            return;
        }
        self.default.1 = self.values.id(&said, &mut self.specials.variables, builder);
        self.default.0 = said;
    }

    fn entry(&mut self, text: &[u8], out: &mut Sink) -> Result<(), Bad> {
        let end = K::entry(text, self.specials.options, &mut self.key)?;
        let said = match K::ONE_VALUE {
            true => None,
            false => Said::beside(&text[end..], &self.default.0).map_err(|bad| bad.shifted(end))?,
        };
        self.specials.check_range(self.key.addresses())?;
        let value = match said {
            Some(said) => self.values.id(&said, &mut self.specials.variables, &mut out.builder),
            None => self.default.1,
        };
        self.key.list(value, &mut out.builder);
        Ok(())
    }
}

impl<K: Kind> LineFormat for DataSet<K> {
    fn bare<'a>(&'a mut self, out: &'a mut Sink) -> Option<(ValueId, &'a mut Sink)> {
        K::BARE.then_some((self.default.1, out))
    }

    fn begin(&mut self, out: &mut Sink) {
        if !K::ONE_VALUE {
            self.set_default(Said::initial(), &mut out.builder);
        }
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let (start, text) = special::content(line)?;
        if let Some(skip) = special::begins(text) {
            self.specials.line(&text[skip..], out).map_err(|failure| failure.shifted(start + skip))?;
            out.builder.directives.ttl = self.specials.ttl;
            return Ok(Outcome::Said);
        }
        let shift = |bad: Bad| bad.shifted(start);
        match text {
            [] | [b'#' | b';', ..] => Ok(Outcome::Ignored),
            [b':', ..] if !K::is_entry(text) => {
                self.set_default(Said::default_line(text).map_err(shift)?, &mut out.builder);
                Ok(Outcome::Said)
            }
            [b'!', rest @ ..] => {
                let skip = 1 + plain::blanks(rest);
                // A value beside an exclusion says nothing, whatever it is; `$MAXRANGE4` does not hold for it.
                K::exclusion(&text[skip..], self.specials.options, &mut self.key)
                    .map_err(|bad| bad.shifted(start + skip))?;
                self.key.exclude(&mut out.builder);
                Ok(Outcome::Entries(1))
            }
            _ => {
                self.entry(text, out).map_err(shift)?;
                Ok(Outcome::Entries(1))
            }
        }
    }
}
