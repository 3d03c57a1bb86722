//! Texts with a hole in them: TXT records that name the address asked for.

use std::fmt;

/// A text in which the address that was asked for (or the listed name) is put at question time.
///
/// Kept as pieces ready for the encoder: a length octet and that many literal octets, or a zero octet where the
/// subject goes. The same bytes stand in the snapshot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Template(Vec<u8>);

/// What a terminal obeys instead of showing it: control characters, and marks that turn what a person reads around.
pub fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One piece of a [`Template`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Octets as they are.
    Literal(&'a [u8]),
    /// The address asked for, or the listed name.
    Subject,
}

impl Template {
    /// A text without a hole.
    pub fn literal(text: &[u8]) -> Self {
        let mut template = Self::default();
        template.push(text);
        template
    }

    /// `$` stands for the subject, `$$` for a dollar sign.
    pub fn parse(text: &[u8]) -> Self {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(at) = rest.iter().position(|&b| b == b'$') {
            template.push(&rest[..at]);
            if rest.get(at + 1) == Some(&b'$') {
                template.push(b"$");
                rest = &rest[at + 2..];
            } else {
                template.push_subject();
                rest = &rest[at + 1..];
            }
        }
        template.push(rest);
        template
    }

    /// From stored pieces; `None` when they do not end where they say.
    pub fn from_pieces(pieces: &[u8]) -> Option<Self> {
        let mut rest = pieces;
        while let Some((&len, tail)) = rest.split_first() {
            rest = tail.get(usize::from(len)..)?;
        }
        Some(Self(pieces.to_vec()))
    }

    /// The stored form.
    pub fn as_pieces(&self) -> &[u8] {
        &self.0
    }

    /// Adds literal octets; neighbours are not joined, so build a text from whole parts.
    pub fn push(&mut self, text: &[u8]) {
        for part in text.chunks(255) {
            self.0.push(part.len() as u8);
            self.0.extend_from_slice(part);
        }
    }

    /// Adds a hole for the subject.
    pub fn push_subject(&mut self) {
        self.0.push(0);
    }

    /// No octets and no hole.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the subject is put in anywhere.
    pub fn has_subject(&self) -> bool {
        self.pieces().any(|piece| piece == Piece::Subject)
    }

    /// The pieces in order.
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces(&self.0)
    }

    /// Octets of the text when the subject has `subject` octets.
    pub fn len_with(&self, subject: usize) -> usize {
        self.pieces()
            .map(|piece| match piece {
                Piece::Literal(text) => text.len(),
                Piece::Subject => subject,
            })
            .sum()
    }

    /// The text with the subject put in.
    pub fn fill(&self, subject: &str) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len_with(subject.len()));
        for piece in self.pieces() {
            match piece {
                Piece::Literal(part) => text.extend_from_slice(part),
                Piece::Subject => text.extend_from_slice(subject.as_bytes()),
            }
        }
        text
    }

    /// The same text with every octet outside printable ASCII replaced by `?`: texts of feeds end up in SMTP replies.
    #[must_use]
    pub fn printable(&self) -> Self {
        let mut clean = Self::default();
        for piece in self.pieces() {
            match piece {
                Piece::Literal(part) => {
                    let part: Vec<u8> = part
                        .iter()
                        .map(|&b| if b.is_ascii_graphic() || b == b' ' { b } else { b'?' })
                        .collect();
                    clean.push(&part);
                }
                Piece::Subject => clean.push_subject(),
            }
        }
        clean
    }
}

/// See [`Template::pieces`]. Also walks pieces stored in a snapshot: it stops where they are cut.
#[derive(Clone)]
pub struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    /// Over stored pieces.
    pub fn new(stored: &'a [u8]) -> Self {
        Self(stored)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (&len, rest) = self.0.split_first()?;
        if len == 0 {
            self.0 = rest;
            return Some(Piece::Subject);
        }
        let (text, rest) = rest.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(Piece::Literal(text))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.fill("$")))
    }
}

impl fmt::Display for Template {
    /// As [`Template::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.pieces() {
            match piece {
                Piece::Literal(text) => f.write_str(&String::from_utf8_lossy(text).replace('$', "$$"))?,
                Piece::Subject => f.write_str("$")?,
            }
        }
        Ok(())
    }
}

impl serde::Serialize for Template {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(String::deserialize(deserializer)?.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes() {
        let text = Template::parse(b"$ costs 5$$, see http://x/?ip=$");
        assert_eq!(text.fill("192.0.2.1"), b"192.0.2.1 costs 5$, see http://x/?ip=192.0.2.1");
        assert_eq!(text.to_string(), "$ costs 5$$, see http://x/?ip=$");
        assert_eq!(Template::from_pieces(text.as_pieces()), Some(text.clone()));
        assert_eq!(Template::from_pieces(&[5, 1]), None);
        let long = Template::literal(&[b'x'; 600]);
        assert_eq!(long.len_with(9), 600);
        assert_eq!(Template::literal(b"caf\xc3\xa9\r").printable().fill(""), b"caf???");
    }
}
