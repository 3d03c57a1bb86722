//! TOML text → values that know where they were said. Collects every mistake instead of stopping at the first.
//!
//! serde would stop at the first wrong value of a table; here each key is read by itself ([`Value`]), and keys that
//! nobody asked for are reported with the nearest one that exists.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{At, Document, Place, Problem, Problems, did_you_mean};
use super::reach::parse_url;
use super::units::{parse_duration, parse_size};
use super::words::{Code, CodeError, Slug};
use crate::model::{Name, Subject, Use};
use crate::parse::Format;

/// A value of a configuration key.
pub(crate) trait Value: Sized {
    /// What is expected, as the end of "expected …".
    const EXPECTED: &'static str;

    /// `Err` says what is wrong with a value of the right type; `Ok(None)` that the type is another.
    fn read(value: &DeValue<'_>) -> Result<Option<Self>, String>;
}

/// A table that is being read: knows which keys were asked for.
pub(crate) struct Table<'a> {
    document: Arc<Document>,
    entries: &'a DeTable<'a>,
    header: Range<usize>,
    asked: Vec<&'static str>,
}

/// Reads the file at `path`.
pub(crate) fn document(path: &Path, problems: &mut Problems) -> Option<Arc<Document>> {
    let text = std::fs::read(path)
        .map_err(|error| format!("cannot read it: {}", super::plain(&error)))
        .and_then(|octets| {
            String::from_utf8(octets)
                .map_err(|error| format!("not UTF-8 from octet {} on", error.utf8_error().valid_up_to()))
        });
    match text {
        Ok(text) => Some(Arc::new(Document { path: path.to_owned(), text })),
        Err(message) => {
            problems.push(Problem::new(&Place::File(path.to_owned()), message));
            None
        }
    }
}

/// Parses a document; syntax errors go to `problems` and what could be read goes on.
pub(crate) fn parse<'a>(document: &'a Arc<Document>, problems: &mut Problems) -> DeTable<'a> {
    let (table, errors) = DeTable::parse_recoverable(&document.text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let mut lines = error.message().lines();
        let problem = Problem::new(
            &Place::Text(document.clone(), on_a_char(&document.text, span)),
            lines.next().unwrap_or(""),
        );
        problems.push(match lines.next() {
            Some(help) => problem.help(help),
            None => problem,
        });
    }
    table.into_inner()
}

fn on_a_char(text: &str, span: Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    floor(span.start)..floor(span.end)
}

impl<'a> Table<'a> {
    /// The whole of a document.
    pub(crate) fn root(document: Arc<Document>, entries: &'a DeTable<'a>) -> Self {
        Self { document, entries, header: 0..0, asked: Vec::new() }
    }

    /// Where the table begins: its header.
    pub(crate) fn place(&self) -> Place {
        Place::Text(self.document.clone(), self.header.clone())
    }

    /// The value of `key`.
    pub(crate) fn value<T: Value>(&mut self, key: &'static str, problems: &mut Problems) -> Option<At<T>> {
        self.asked.push(key);
        let value = self.entries.get(key)?;
        self.read(value, problems)
    }

    fn read<T: Value>(&self, value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<At<T>> {
        let place = Place::Text(self.document.clone(), value.span());
        match T::read(value.get_ref()) {
            Ok(Some(value)) => return Some(At { value, place }),
            Ok(None) => {
                let found = value.get_ref().type_str();
                problems.push(
                    Problem::new(&place, format!("a value of the wrong type: {found}"))
                        .help(format!("expected {}", T::EXPECTED)),
                );
            }
            Err(message) => {
                problems.push(Problem::new(&place, message).help(format!("expected {}", T::EXPECTED)));
            }
        }
        None
    }

    /// The values of the array at `key`, each with its own place. The empty array is a value.
    pub(crate) fn array<T: Value>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<Vec<At<T>>> {
        let items = self.items(key, T::EXPECTED, problems)?;
        Some(items.iter().filter_map(|item| self.read(item, problems)).collect())
    }

    /// Whether there is a value at `key`, right or wrong.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Reports those of `keys` that are not there.
    pub(crate) fn require(&self, keys: &[&str], problems: &mut Problems) {
        for key in keys.iter().filter(|key| !self.has(key)) {
            problems.push(Problem::new(&self.place(), format!("missing key `{key}`")));
        }
    }

    /// Where the value of `key` stands.
    pub(crate) fn place_of(&self, key: &str) -> Option<Place> {
        self.entries.get(key).map(|value| Place::Text(self.document.clone(), value.span()))
    }

    /// The array at `key` with its items unread.
    pub(crate) fn items(
        &mut self,
        key: &'static str,
        of: &str,
        problems: &mut Problems,
    ) -> Option<&'a [Spanned<DeValue<'a>>]> {
        self.asked.push(key);
        let value = self.entries.get(key)?;
        if let Some(array) = value.get_ref().as_array() {
            return Some(array);
        }
        let place = Place::Text(self.document.clone(), value.span());
        let found = value.get_ref().type_str();
        problems.push(
            Problem::new(&place, format!("a value of the wrong type: {found}"))
                .help(format!("expected an array, each item {of}")),
        );
        None
    }

    /// An item of an array that may be a table.
    pub(crate) fn item_table(&self, item: &'a Spanned<DeValue<'a>>) -> Option<Self> {
        let entries = item.get_ref().as_table()?;
        Some(Self { document: self.document.clone(), entries, header: item.span(), asked: Vec::new() })
    }

    /// An item of an array that is a plain value.
    pub(crate) fn item_value<T: Value>(
        &self,
        item: &'a Spanned<DeValue<'a>>,
        problems: &mut Problems,
    ) -> Option<At<T>> {
        self.read(item, problems)
    }

    /// The table at `key`.
    pub(crate) fn table(&mut self, key: &'static str, problems: &mut Problems) -> Option<Self> {
        self.asked.push(key);
        let (name, value) = self.entries.get_key_value(key)?;
        self.subtable(name.span(), value, problems)
    }

    /// The tables in the table at `key`, by their names.
    pub(crate) fn tables<N: Value>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Vec<(At<N>, Self)> {
        let Some(outer) = self.table(key, problems) else { return Vec::new() };
        let mut found = Vec::new();
        for (name, value) in outer.entries {
            let text = DeValue::String(name.get_ref().clone());
            let name = Spanned::new(name.span(), text);
            let span = name.span();
            let Some(name) = outer.read::<N>(&name, problems) else { continue };
            if let Some(table) = outer.subtable(span, value, problems) {
                found.push((name, table));
            }
        }
        found
    }

    fn subtable(
        &self,
        header: Range<usize>,
        value: &'a Spanned<DeValue<'a>>,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Some(entries) = value.get_ref().as_table() {
            return Some(Self { document: self.document.clone(), entries, header, asked: Vec::new() });
        }
        let place = Place::Text(self.document.clone(), value.span());
        let found = value.get_ref().type_str();
        problems.push(
            Problem::new(&place, format!("a value of the wrong type: {found}")).help("expected a table"),
        );
        None
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self, problems: &mut Problems) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint = did_you_mean(name, self.asked.iter().copied());
            let place = Place::Text(self.document.clone(), key.span());
            problems.push(
                Problem::new(&place, format!("unknown key `{name}`{hint}"))
                    .help(format!("expected one of: {}", self.asked.join(", "))),
            );
        }
    }
}

/// Declares what a table may hold: a struct of optional values with their places, its keys, and its reader.
macro_rules! keys {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($key:literal $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        $vis struct $name { $($vis $field: Option<$crate::config::problem::At<$type>>,)* }

        impl $name {
            /// The keys, for the test that holds the template to them.
            #[allow(dead_code)]
            $vis const KEYS: &'static [&'static str] = &[$($key),*];

            $vis fn read(
                table: &mut $crate::config::read::Table<'_>,
                problems: &mut $crate::config::problem::Problems,
            ) -> Self {
                Self { $($field: table.value($key, problems),)* }
            }
        }
    };
}
pub(crate) use keys;

/// A value written as a string.
macro_rules! from_string {
    ($type:ty, $expected:literal, $read:expr) => {
        impl $crate::config::read::Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: &toml::de::DeValue<'_>) -> Result<Option<Self>, String> {
                let Some(text) = value.as_str() else { return Ok(None) };
                let read: fn(&str) -> Result<Self, String> = $read;
                read(text).map(Some)
            }
        }
    };
}

pub(crate) use from_string;

/// A value that is one of a few words.
macro_rules! from_word {
    ($type:ty, $expected:literal, { $($word:literal => $value:expr,)* }) => {
        $crate::config::read::from_string!($type, $expected, |text| match text {
            $($word => Ok($value),)*
            _ => {
                let hint = $crate::config::problem::did_you_mean(text, [$($word),*]);
                Err(format!("unknown word `{text}`{hint}"))
            }
        });
    };
}
pub(crate) use from_word;

from_string!(String, "a string", |text| Ok(text.to_owned()));
from_string!(Text, "printable ASCII; `$` stands for the address asked for, `$$` for a dollar sign", |text| {
    if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err("a character that an SMTP reply cannot hold".to_owned());
    }
    if text.len() > Text::MAX {
        return Err(format!("{} octets are more than a reply of 512 octets can hold", text.len()));
    }
    Ok(Text(text.to_owned()))
});
from_string!(HttpUrl, "an address such as \"https://example.net/list.txt\"", |text| {
    parse_url(text).map(HttpUrl)
});
from_string!(PathBuf, "a path, as a string", |text| {
    if text.is_empty() { Err("an empty path".to_owned()) } else { Ok(text.into()) }
});
from_string!(Duration, "a duration such as \"15m\", \"36h\" or \"7d\"", |text| {
    parse_duration(text).ok_or_else(|| format!("`{text}` is not a duration"))
});
from_string!(Limit, "a duration such as \"36h\" or \"7d\", or \"never\"", |text| {
    if text == "never" {
        return Ok(Limit(None));
    }
    parse_duration(text).map(|limit| Limit(Some(limit))).ok_or_else(|| format!("`{text}` is not a duration"))
});
from_string!(Size, "a size such as \"64MiB\"", |text| {
    parse_size(text).map(Size).ok_or_else(|| format!("`{text}` is not a size"))
});
from_string!(
    Slug,
    "a name of lower-case letters, digits and `-`, a letter or digit first, 63 at most",
    |text| { text.parse().map_err(|()| format!("`{text}` is not a name for a list")) }
);
from_string!(Name, "a DNS name such as \"bl.example.net\"", |text| {
    let name = text.parse::<Name>().map_err(|error| format!("`{text}` is not a DNS name: {error}"))?;
    let host_like =
        |label: &[u8]| label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if name == Name::root() || !name.labels().all(host_like) {
        return Err(format!("`{text}` is not a name of letters, digits, `-` and `_`"));
    }
    Ok(name)
});
from_string!(
    Format,
    "plain, drop, drop-json, netset, csv, dshield, hosts, names or rbldnsd:ip4set",
    |text| text.parse().map_err(|_| {
        let hint = did_you_mean(text, Format::ALL.map(Format::name));
        format!("unknown format `{text}`{hint}")
    })
);
from_word!(Use, "\"block\", \"score\", \"bounce\" or \"allow\"", {
    "block" => Use::Block,
    "score" => Use::Score,
    "bounce" => Use::Bounce,
    "allow" => Use::Allow,
});
from_string!(Code, "an address in 127.0.0.0/8; own lists have 127.0.1.x", |text| {
    text.parse::<Ipv4Addr>()
        .map_err(|_| CodeError::NotAnAddress)
        .and_then(Code::try_from)
        .map_err(|error| format!("`{text}` cannot be a code: {error}"))
});
from_string!(SocketAddr, "an address and a port such as \"127.0.0.1:5354\" or \"[::1]:5354\"", |text| {
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(_) => format!("`{text}` has no port"),
        Err(_) => format!("`{text}` is not an address and a port"),
    })
});
from_string!(Network, "an address or a prefix such as \"198.51.100.0/24\" or \"2001:db8::/32\"", |text| {
    match text.parse::<Subject>() {
        Ok(Subject::Name(_)) => Err(format!("`{text}` is not an address or a prefix")),
        Ok(subject) => Ok(Network(subject)),
        Err(error) => Err(format!("`{text}` is not an address or a prefix: {error}")),
    }
});

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Result<Option<Self>, String> {
        Ok(value.as_bool())
    }
}

macro_rules! from_integer {
    ($type:ty, $range:expr, $expected:literal) => {
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: &DeValue<'_>) -> Result<Option<Self>, String> {
                let Some(integer) = value.as_integer() else { return Ok(None) };
                Self::from_str_radix(integer.as_str(), integer.radix())
                    .ok()
                    .filter(|number| ($range).contains(number))
                    .map(Some)
                    .ok_or_else(|| format!("{integer} is out of range"))
            }
        }
    };
}
from_integer!(u8, 0..=255, "a whole number from 0 to 255");
from_integer!(u16, 1..=65535, "a whole number from 1 to 65535");
from_integer!(u32, 1..=u32::MAX, "a whole number from 1 to 4294967295");
from_integer!(u64, 0..=u64::MAX, "a whole number");

/// A share of a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

impl Value for Share {
    const EXPECTED: &'static str = "a share from 0.0 to 1.0";

    fn read(value: &DeValue<'_>) -> Result<Option<Self>, String> {
        let text = match (value.as_float(), value.as_integer()) {
            (Some(float), _) => float.as_str(),
            (_, Some(integer)) => integer.as_str(),
            _ => return Ok(None),
        };
        text.parse::<f64>()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .map(|share| Some(Self(share)))
            .ok_or_else(|| format!("{text} is not a share"))
    }
}

/// What a list says of an address on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

impl Text {
    /// Leaves room in 512 octets for question, A record and what stands around the text.
    const MAX: usize = 300;
}

/// Where a feed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl(pub(crate) Url);

/// A duration, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<Duration>);

/// A size in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// An address or a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) Subject);
