//! TOML text → values that know where they were said. Collects every mistake instead of stopping at the first.
//!
//! serde would stop at the first wrong value of a table; here each key is read by itself ([`Value`]), and keys that
//! nobody asked for are reported with the nearest one that exists.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::brackets::{Unclosed, unclosed};
use super::problem::{At, Document, Place, Problem, Problems, did_you_mean, line_at};

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
    let text = octets_of(path).map_err(|error| format!("cannot read it: {}", super::plain(&error))).and_then(
        |octets| {
            String::from_utf8(octets)
                .map_err(|error| format!("not UTF-8 from octet {} on", error.utf8_error().valid_up_to()))
        },
    );
    match text {
        Ok(text) => Some(Arc::new(Document { path: path.to_owned(), text })),
        Err(message) => {
            problems.push(Problem::new(&Place::File(path.to_owned()), message));
            None
        }
    }
}

fn octets_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    open_file(path)?.read_to_end(&mut octets)?;
    Ok(octets)
}

/// Opens a file to read it. A pipe is refused, whose other end nobody may ever open.
pub fn open_file(path: &Path) -> std::io::Result<File> {
    // Opened first, so that what is looked at is what will be read; a pipe is not waited for meanwhile.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let kind = file.metadata()?.file_type();
    // Of a folder the system says so itself.
    if !kind.is_file() && !kind.is_dir() {
        return Err(std::io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// Parses a document; `None` when it is not TOML: what could be read of it may be anything. Each mistake in its syntax is
/// told once, not with all that the parser meets behind it.
pub(crate) fn parse<'a>(document: &'a Arc<Document>, problems: &mut Problems) -> Option<DeTable<'a>> {
    let (table, errors) = DeTable::parse_recoverable(&document.text);
    if errors.is_empty() {
        return Some(table.into_inner());
    }
    let place = |span| Place::Text(document.clone(), span);
    let mut found: Vec<(Range<usize>, &str)> = errors
        .iter()
        .map(|error| (on_a_char(&document.text, error.span().unwrap_or(0..0)), error.message()))
        .collect();
    found.sort_by_key(|(span, _)| span.start);
    let unclosed = unclosed(&document.text);
    if let Some(unclosed) = unclosed {
        let is_it = |message: &str| {
            message.starts_with("unclosed array,") || message.starts_with("unclosed inline table,")
        };
        found.retain(|(span, message)| span.start < unclosed.shows && !is_it(message));
    }
    // Another one of the same line is mostly what the first one led to.
    found.dedup_by_key(|(span, _)| line_at(&document.text, span.start).1);
    for (span, message) in &found {
        let mut lines = message.lines();
        let problem = Problem::new(&place(span.clone()), lines.next().unwrap_or(""));
        problems.push(match lines.next() {
            Some(help) => problem.help(help),
            None => problem,
        });
    }
    // Behind another mistake, such as a quote that is not closed, it may be closed.
    if let Some(Unclosed { at, missing, shows }) = unclosed.filter(|_| found.is_empty()) {
        let opened = &document.text[at..=at];
        let ((start, line), (_, own_line)) = (line_at(&document.text, shows), line_at(&document.text, at));
        let before = match document.text[shows..].trim().is_empty() {
            true => "the end".to_owned(),
            false if line == own_line => {
                format!("column {}", document.text[start..shows].chars().count() + 1)
            }
            false => format!("line {line}"),
        };
        problems.push(
            Problem::new(&place(at..at + 1), format!("`{opened}` is not closed"))
                .help(format!("expected `{missing}` before {before}")),
        );
    }
    None
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

    /// Where an item of an array stands.
    pub(crate) fn place_of_item(&self, item: &Spanned<DeValue<'_>>) -> Place {
        Place::Text(self.document.clone(), item.span())
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
            let problem = Problem::new(&place, format!("unknown key `{name}`{hint}"))
                .help(format!("expected one of: {}", self.asked.join(", ")));
            let may_be_secret = hint.is_empty() || SECRETIVE.iter().any(|key| hint.contains(key));
            problems.push(if may_be_secret { problem.hiding_value() } else { problem });
        }
    }
}

/// What is given to keys like these may have a password in it.
const SECRETIVE: [&str; 5] = ["credential", "url", "proxy", "file", "hosts"];

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
