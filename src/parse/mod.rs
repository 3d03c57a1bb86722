//! Text of lists → entries and a report of every bad line.
//!
//! One file per [`Format`]; each turns one line into entries or says what is wrong with it. [`parse`] drives them: it
//! cuts the input into lines (`lines.rs`), takes bare IPv4 lines on a fast path (`quad.rs`) and hands every bad line
//! to the caller as a [`Diag`]. Never: I/O other than reading from the given [`Read`], decompression, the clock,
//! judging whether a list is good enough (that is `guard`). Read [`Parsed`] and [`Report`] first.

mod csv;
mod diag;
mod driver;
mod drop;
mod drop_json;
mod dshield;
mod entry;
mod hosts;
mod lines;
mod names;
mod netset;
mod places;
mod plain;
mod quad;
mod rbldnsd;
mod report;
mod stamp;

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use jiff::Timestamp;

pub use csv::{Column, Columns};
pub use diag::{Diag, TEXT_MAX, excerpt};
pub use driver::{NOTE_MAX, REPEATS};
pub use lines::LINE_MAX;
pub use rbldnsd::{AccessParser, RbldnsdOptions, seconds};
pub use report::{EXAMPLES, Report, Trailer, Validity};

use crate::set::{Set, SetBuilder};
use driver::{Sink, run};
use rbldnsd::{Combined, Rbldnsd, Specials};

/// How a feed writes its entries. Stated by the configuration, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Address, prefix or range a line; comments and value columns.
    Plain,
    /// Spamhaus DROP text: `cidr ; SBLn`, ended by `; EOF`.
    Drop,
    /// Spamhaus DROP as JSON lines, ended by a metadata line.
    DropJson,
    /// FireHOL netset or ipset with its `#` header.
    Netset,
    /// Comma-separated columns; which one holds the address is told by [`Options::columns`].
    Csv,
    /// DShield's block list: start, end and prefix length in TAB columns.
    Dshield,
    /// A hosts file: the names are the entries, the addresses are not.
    Hosts,
    /// A name a line.
    Names,
    /// rbldnsd's ip4set: IPv4 addresses, prefixes and ranges with values.
    Ip4set,
    /// rbldnsd's ip4tset: IPv4 addresses, one value for all.
    Ip4tset,
    /// rbldnsd's ip4trie: IPv4 prefixes with values.
    Ip4trie,
    /// rbldnsd's ip6tset: /64s, one value for all.
    Ip6tset,
    /// rbldnsd's ip6trie: IPv6 prefixes with values.
    Ip6trie,
    /// rbldnsd's dnset: names with values.
    Dnset,
    /// The same lines under the name that rbldnsd's fork has for its other structure.
    Dnhash,
    /// rbldnsd's generic: records.
    Generic,
    /// rbldnsd's combined: sections of the other types for subzones.
    Combined,
}

impl Format {
    /// All formats, in the order of their names' documentation.
    pub const ALL: [Self; 17] = [
        Self::Plain,
        Self::Drop,
        Self::DropJson,
        Self::Netset,
        Self::Csv,
        Self::Dshield,
        Self::Hosts,
        Self::Names,
        Self::Ip4set,
        Self::Ip4tset,
        Self::Ip4trie,
        Self::Ip6tset,
        Self::Ip6trie,
        Self::Dnset,
        Self::Dnhash,
        Self::Generic,
        Self::Combined,
    ];

    /// The name in configuration and catalogue.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Drop => "drop",
            Self::DropJson => "drop-json",
            Self::Netset => "netset",
            Self::Csv => "csv",
            Self::Dshield => "dshield",
            Self::Hosts => "hosts",
            Self::Names => "names",
            Self::Ip4set => "rbldnsd:ip4set",
            Self::Ip4tset => "rbldnsd:ip4tset",
            Self::Ip4trie => "rbldnsd:ip4trie",
            Self::Ip6tset => "rbldnsd:ip6tset",
            Self::Ip6trie => "rbldnsd:ip6trie",
            Self::Dnset => "rbldnsd:dnset",
            Self::Dnhash => "rbldnsd:dnhash",
            Self::Generic => "rbldnsd:generic",
            Self::Combined => "rbldnsd:combined",
        }
    }

    /// Whether it is one of rbldnsd's data set types.
    pub fn is_rbldnsd(self) -> bool {
        self.name().starts_with("rbldnsd:")
    }

    /// Whether every whole file of this format ends with a mark that says so; without it the file was cut.
    pub fn has_end_mark(self) -> bool {
        matches!(self, Self::Drop | Self::DropJson)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A format name that this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{0}`; known are: {known}", known = Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|f| f.name() == text).ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

impl serde::Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Format {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a feed's configuration says about reading it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Keep what stands beside an entry (value columns, trailing comments, network names) as its note. Off by
    /// default: a list with 120,000 distinct notes costs a value each. DROP's SBL ids are always kept.
    pub notes: bool,
    /// Which columns of a CSV feed matter.
    pub columns: Columns,
    /// In name lists a plain name stands for all names below it, too.
    pub names_cover_subdomains: bool,
    /// The time against which rbldnsd's `$TIMESTAMP` is held (data stamped in the future refuses the whole file);
    /// `None`: not checked. The parser has no clock.
    pub now: Option<Timestamp>,
    /// How rbldnsd's formats are read.
    pub rbldnsd: RbldnsdOptions,
}

/// A list as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The entries.
    pub set: Set,
    /// How reading went.
    pub report: Report,
}

/// Reads a list. Every bad line goes to `on_bad` and is left out.
///
/// # Errors
/// What `input` says; [`io::ErrorKind::InvalidData`] with a sentence when the file as a whole is unusable: a CSV feed
/// without the column that is asked for, rbldnsd data stamped in the future.
pub fn parse(
    format: Format,
    options: &Options,
    input: impl Read,
    on_bad: &mut dyn FnMut(Diag),
) -> io::Result<Parsed> {
    let mut parser = Parser::new(format, options);
    parser.read(input, on_bad)?;
    Ok(parser.finish())
}

/// Reads a list that comes in several files (an rbldnsd data set; a feed with several URLs).
#[derive(Debug)]
pub struct Parser {
    lines: Lines,
    sink: Sink,
}

#[derive(Debug)]
enum Lines {
    Plain(plain::Plain),
    Drop(drop::Drop),
    DropJson(drop_json::DropJson),
    Netset(netset::Netset),
    Csv(Box<csv::Csv>),
    Dshield(dshield::Dshield),
    Hosts(hosts::Hosts),
    Names(names::Names),
    Rbldnsd(Box<Rbldnsd>),
    Combined(Box<Combined>),
}

impl Parser {
    /// Ready for the first file.
    pub fn new(format: Format, options: &Options) -> Self {
        let mut builder = SetBuilder::new(rbldnsd::overlap(format));
        let lines = match format {
            Format::Plain => Lines::Plain(plain::Plain::new(options)),
            Format::Drop => Lines::Drop(drop::Drop::default()),
            Format::DropJson => Lines::DropJson(drop_json::DropJson::default()),
            Format::Netset => Lines::Netset(netset::Netset::new(options)),
            Format::Csv => Lines::Csv(Box::new(csv::Csv::new(options))),
            Format::Dshield => Lines::Dshield(dshield::Dshield::new(options)),
            Format::Hosts => Lines::Hosts(hosts::Hosts::new(options)),
            Format::Names => Lines::Names(names::Names::new(options)),
            Format::Combined => Lines::Combined(Box::new(Combined::new(options))),
            Format::Ip4set
            | Format::Ip4tset
            | Format::Ip4trie
            | Format::Ip6tset
            | Format::Ip6trie
            | Format::Dnset
            | Format::Dnhash
            | Format::Generic => {
                let data_set = Rbldnsd::new(format, Specials::new(options), &mut builder);
                Lines::Rbldnsd(Box::new(data_set.expect("one of its types")))
            }
        };
        Self { lines, sink: Sink::new(format, builder) }
    }

    /// Reads one file to its end, and says why it is no part of a list when it has lines and none of them can be read.
    /// Line numbers begin anew with each. Errors as [`parse`]; after one the parser holds a part of the list and is of no
    /// further use.
    pub fn read(&mut self, input: impl Read, on_bad: &mut dyn FnMut(Diag)) -> io::Result<Option<String>> {
        let sink = &mut self.sink;
        let read = match &mut self.lines {
            Lines::Plain(lines) => run(lines, input, sink, on_bad),
            Lines::Drop(lines) => run(lines, input, sink, on_bad),
            Lines::DropJson(lines) => run(lines, input, sink, on_bad),
            Lines::Netset(lines) => run(lines, input, sink, on_bad),
            Lines::Csv(lines) => run(&mut **lines, input, sink, on_bad),
            Lines::Dshield(lines) => run(lines, input, sink, on_bad),
            Lines::Hosts(lines) => run(lines, input, sink, on_bad),
            Lines::Names(lines) => run(lines, input, sink, on_bad),
            Lines::Rbldnsd(data_set) => data_set.read(input, sink, on_bad),
            Lines::Combined(lines) => run(&mut **lines, input, sink, on_bad),
        };
        read.map(|()| self.sink.no_list())
    }

    /// The list.
    pub fn finish(self) -> Parsed {
        let Sink { builder, report, .. } = self.sink;
        let set = builder.finish();
        let set = match self.lines {
            Lines::Rbldnsd(data_set) => data_set.settle(set),
            Lines::Combined(lines) => lines.settle(set),
            _ => set,
        };
        Parsed { set, report }
    }
}

#[cfg(test)]
mod tests;
