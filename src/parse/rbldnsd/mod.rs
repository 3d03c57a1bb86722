//! rbldnsd's zone files, with the meaning they have there.
//!
//! One file per data set type, and beside them what the types share: [`special`] reads `$` lines (with [`time`] for
//! durations and stamps), [`value`] what stands beside an entry and what its texts become, [`ip4`], [`ip6`] and
//! [`name`] are its notations, [`data_set`] puts them together. Read [`data_set`] first. Where the original is plainly
//! wrong this differs on purpose: a byte order mark and CR LF are harmless, `$MAXRANGE4` never drops an exclusion, a
//! TTL above RFC 2181's 31 bits and NUL octets are refused, a record of generic that cannot be read costs its line
//! alone, and every bad line is reported, not five.

mod acl;
mod combined;
mod data_set;
mod dnset;
mod generic;
mod ip4;
mod ip4set;
mod ip4trie;
mod ip4tset;
mod ip6;
mod ip6trie;
mod ip6tset;
mod key;
mod name;
mod options;
mod special;
#[cfg(test)]
mod tests;
mod time;
mod value;

use std::io::{self, Read};

use super::Format;
use super::diag::Diag;
use super::driver::{Failure, LineFormat, Outcome, Sink, run};
use crate::set::{Overlap, Set, SetBuilder, ValueId};
pub use acl::AccessParser;
pub(super) use combined::Combined;
use data_set::DataSet;
use generic::Generic;
pub use options::RbldnsdOptions;
pub(super) use special::Specials;
pub use time::duration as seconds;

/// A data set of any type but combined.
#[derive(Debug)]
pub(super) enum Rbldnsd {
    Ip4set(DataSet<ip4set::Ip4set>),
    Ip4tset(DataSet<ip4tset::Ip4tset>),
    Ip4trie(DataSet<ip4trie::Ip4trie>),
    Ip6tset(DataSet<ip6tset::Ip6tset>),
    Ip6trie(DataSet<ip6trie::Ip6trie>),
    Dnset(DataSet<dnset::Dnset>),
    Generic(Generic),
}

/// The same for each type that [`data_set::DataSet`] reads, and something else for generic.
macro_rules! each {
    ($data_set:expr, $lines:ident => $same:expr, $generic:ident => $other:expr) => {
        match $data_set {
            Self::Ip4set($lines) => $same,
            Self::Ip4tset($lines) => $same,
            Self::Ip4trie($lines) => $same,
            Self::Ip6tset($lines) => $same,
            Self::Ip6trie($lines) => $same,
            Self::Dnset($lines) => $same,
            Self::Generic($generic) => $other,
        }
    };
}

impl Rbldnsd {
    /// An empty one with what `specials` say already; `None` for what is no such type.
    pub(super) fn new(format: Format, specials: Specials, builder: &mut SetBuilder) -> Option<Self> {
        Some(match format {
            Format::Ip4set => Self::Ip4set(DataSet::new(specials, builder)),
            Format::Ip4tset => Self::Ip4tset(DataSet::new(specials, builder)),
            Format::Ip4trie => Self::Ip4trie(DataSet::new(specials, builder)),
            Format::Ip6tset => Self::Ip6tset(DataSet::new(specials, builder)),
            Format::Ip6trie => Self::Ip6trie(DataSet::new(specials, builder)),
            Format::Dnset | Format::Dnhash => Self::Dnset(DataSet::new(specials, builder)),
            Format::Generic => Self::Generic(Generic::new(specials)),
            _ => return None,
        })
    }

    /// A file or a section begins.
    fn begin(&mut self, sink: &mut Sink) {
        each!(self, lines => lines.begin(sink), lines => lines.begin(sink));
    }

    /// See [`LineFormat::bare`].
    fn bare<'a>(&'a mut self, sink: &'a mut Sink) -> Option<(ValueId, &'a mut Sink)> {
        each!(self, lines => lines.bare(sink), lines => lines.bare(sink))
    }

    /// One line of it.
    fn line(&mut self, line: &[u8], sink: &mut Sink) -> Result<Outcome, Failure> {
        each!(self, lines => lines.line(line, sink), lines => lines.line(line, sink))
    }

    /// Reads one of its files.
    pub(super) fn read(
        &mut self,
        input: impl Read,
        sink: &mut Sink,
        on_bad: &mut dyn FnMut(Diag),
    ) -> io::Result<()> {
        each!(self, lines => run(lines, input, sink, on_bad), lines => run(lines, input, sink, on_bad))
    }

    /// What is known only when all files are read.
    pub(super) fn settle(self, set: Set) -> Set {
        each!(self, lines => lines.settle(set), _generic => set)
    }
}

/// How overlaps within a data set of this type are settled.
pub(super) fn overlap(format: Format) -> Overlap {
    if format == Format::Ip4set { Overlap::OctetLevels } else { Overlap::Narrowest }
}
