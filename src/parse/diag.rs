//! What is wrong with a line, for the person who has to find it.

use std::borrow::Cow;
use std::fmt;

use crate::model::is_unseen;

/// Characters of a bad line that a [`Diag`] shows.
pub const TEXT_MAX: usize = 120;

/// A line that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Diag {
    /// The line, counted from 1.
    pub line: u64,
    /// The octet of the line where the trouble begins, counted from 1.
    pub column: u32,
    /// The beginning of the line, at most [`TEXT_MAX`] characters; what is not printable is escaped.
    pub text: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Diag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}: {}", self.line, self.column, self.reason, self.text)
    }
}

impl Diag {
    /// About `line` (without its end), number `number`.
    pub(super) fn new(number: u64, line: &[u8], bad: Bad) -> Self {
        let column = u32::try_from(bad.at + 1).unwrap_or(u32::MAX);
        Self { line: number, column, text: excerpt(line), reason: bad.reason.into_owned() }
    }

    /// About an entry for `text` in line `number` that counts for nothing, and `more` like it that nobody is told of.
    pub(super) fn repeated(number: u64, text: String, more: usize) -> Self {
        let more = if more == 0 { String::new() } else { format!(", as for {more} more") };
        Self {
            line: number,
            column: 1,
            text,
            reason: format!("duplicated entry, the first one counts{more}"),
        }
    }
}

/// Why a line is no entry; `at` is an offset in the text that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) at: usize,
    pub(super) reason: Cow<'static, str>,
}

impl Bad {
    pub(super) fn new(at: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { at, reason: reason.into() }
    }

    /// The same, seen from a text in which this one begins at `offset`.
    pub(super) fn shifted(self, offset: usize) -> Self {
        Self { at: self.at + offset, ..self }
    }
}

/// The beginning of a line, fit for a terminal and a log.
pub fn excerpt(line: &[u8]) -> String {
    // A character takes at most four octets: no need to decode more of a long line.
    let head = &line[..line.len().min(TEXT_MAX * 4)];
    let decoded = String::from_utf8_lossy(head);
    let mut text = String::with_capacity(TEXT_MAX.min(head.len()));
    for (count, c) in decoded.chars().enumerate() {
        if count == TEXT_MAX {
            text.push('…');
            break;
        }
        match c {
            _ if is_unseen(c) => text.extend(c.escape_default()),
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt(b"a\tb\x00\x1b[31m"), "a\\tb\\u{0}\\u{1b}[31m");
        assert_eq!(excerpt(b"caf\xe9"), "caf\u{fffd}");
        let long = excerpt("ä".repeat(500).as_bytes());
        assert_eq!(long.chars().count(), TEXT_MAX + 1);
        assert!(long.ends_with("ä…"));
        for unseen in "\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{9b}".chars() {
            assert_eq!(excerpt(format!("{unseen}x").as_bytes()), format!("{}x", unseen.escape_default()));
        }
    }
}
