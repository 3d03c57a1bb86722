//! DNS names in wire form, lower case.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A fully qualified DNS name: length-prefixed labels in lower case, ended by the root's zero octet
/// (RFC 1035 section 3.1; at most 255 octets). Names compare as their octets do.
#[derive(Clone)]
pub struct Name(Octets);

/// Octets that fit here stand in the name itself: lists hold millions of short names, which would cost an allocation each.
const SHORT: usize = 22;

#[derive(Clone)]
enum Octets {
    /// So many of them.
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

const _: () = assert!(size_of::<Name>() == 24);

/// Why a text is not a DNS name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between two dots, or nothing at all.
    #[error("empty label")]
    EmptyLabel,
    /// More than 63 octets between two dots.
    #[error("label above 63 octets")]
    LabelLength,
    /// More than 255 octets in wire form.
    #[error("name above 255 octets")]
    NameLength,
    /// Blank, control character, `\` escape out of range, or an octet outside ASCII.
    #[error("character that a name cannot hold")]
    Character,
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self::of(&[0])
    }

    /// From the text octets of a list or of a person: dots part labels, one at the end is optional; `\.` and
    /// `\ddd` escapes (RFC 1035 section 5.1); printable ASCII only.
    pub fn parse(text: &[u8]) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::with_capacity(63);
        let text = match text {
            b"." => return Ok(Self::root()),
            [head @ .., b'.'] if !head.ends_with(b"\\") => head,
            _ => text,
        };
        let mut at = 0;
        loop {
            match text.get(at) {
                None | Some(b'.') => {
                    match label.len() {
                        0 => return Err(NameError::EmptyLabel),
                        64.. => return Err(NameError::LabelLength),
                        len => wire.push(len as u8),
                    }
                    wire.append(&mut label);
                    if at >= text.len() {
                        break;
                    }
                    at += 1;
                }
                Some(b'\\') => {
                    let (octet, taken) = escape(&text[at + 1..]).ok_or(NameError::Character)?;
                    label.push(octet.to_ascii_lowercase());
                    at += 1 + taken;
                }
                Some(octet) if octet.is_ascii_graphic() => {
                    label.push(octet.to_ascii_lowercase());
                    at += 1;
                }
                Some(_) => return Err(NameError::Character),
            }
        }
        wire.push(0);
        if wire.len() > 255 {
            return Err(NameError::NameLength);
        }
        Ok(Self::of(&wire))
    }

    /// Of octets that are known to be a name.
    fn of(wire: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match short.get_mut(..wire.len()) {
            Some(octets) => {
                octets.copy_from_slice(wire);
                Self(Octets::Short(wire.len() as u8, short))
            }
            None => Self(Octets::Long(wire.into())),
        }
    }

    /// From wire form: whole, uncompressed, within RFC 1035's limits. Folded to lower case.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        if wire.len() > 255 {
            return None;
        }
        let mut at = 0;
        loop {
            match *wire.get(at)? {
                0 => break,
                len @ 1..=63 => at += 1 + usize::from(len),
                _ => return None,
            }
        }
        if at + 1 != wire.len() {
            return None;
        }
        let mut name = Self::of(wire);
        match &mut name.0 {
            Octets::Short(_, octets) => octets.make_ascii_lowercase(),
            Octets::Long(octets) => octets.make_ascii_lowercase(),
        }
        Some(name)
    }

    /// From the octets of a [`TreeName`](super::TreeName), or those of one that is above it.
    pub fn from_tree(octets: &[u8]) -> Self {
        let mut wire = [0; 255];
        // From the end, where the root's octet is already.
        let mut start = wire.len() - 1;
        let end = octets.len().min(start);
        let mut at = 0;
        while at < end {
            let label = &octets[at..end.min(at + 1 + usize::from(octets[at]))];
            start -= label.len();
            wire[start..start + label.len()].copy_from_slice(label);
            at += label.len();
        }
        Self::of(&wire[start..])
    }

    /// The wire form, root octet included.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        match &self.0 {
            Octets::Short(len, octets) => &octets[..usize::from(*len)],
            Octets::Long(octets) => octets,
        }
    }

    /// The first octets, zeros behind the last: decides nearly every comparison without a call.
    #[inline]
    pub fn head(&self) -> u128 {
        let octets = match &self.0 {
            Octets::Short(_, octets) => octets.first_chunk(),
            Octets::Long(octets) => octets.first_chunk(),
        };
        octets.map_or(0, |&octets| u128::from_be_bytes(octets))
    }

    /// The labels without their length octets, leftmost first.
    pub fn labels(&self) -> Labels<'_> {
        Labels(self.as_wire())
    }

    /// This name below `origin`: their labels joined; `None` above 255 octets.
    pub fn below(&self, origin: &Self) -> Option<Self> {
        let (wire, origin) = (self.as_wire(), origin.as_wire());
        let wire = [&wire[..wire.len() - 1], origin].concat();
        (wire.len() <= 255).then(|| Self::of(&wire))
    }

    /// This name as seen from `origin`: the labels before it; `None` when it does not lie there.
    pub fn relative_to(&self, origin: &Self) -> Option<Self> {
        let (wire, above) = (self.as_wire(), origin.as_wire());
        let len = wire.len().checked_sub(above.len()).filter(|_| self.is_in(origin))?;
        Some(Self::of(&[&wire[..len], &[0]].concat()))
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let wire = self.as_wire();
        let len = usize::from(wire[0]);
        (len > 0).then(|| Self::of(&wire[1 + len..]))
    }

    /// Whether `self` is `other` or lies below it.
    pub fn is_in(&self, other: &Self) -> bool {
        let (mut rest, other) = (self.as_wire(), other.as_wire());
        while rest.len() > other.len() {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        rest == other
    }
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.head() == other.head() && self.as_wire() == other.as_wire()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wire().hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.head().cmp(&other.head()).then_with(|| self.as_wire().cmp(other.as_wire()))
    }
}

/// See [`Name::labels`].
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(*self.0.first()?);
        if len == 0 {
            return None;
        }
        let (label, rest) = self.0[1..].split_at(len);
        self.0 = rest;
        Some(label)
    }
}

fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let code = [a, b, c].iter().fold(0u16, |n, &&d| n * 10 + u16::from(d - b'0'));
            u8::try_from(code).ok().map(|octet| (octet, 3))
        }
        [octet, ..] if octet.is_ascii_graphic() && !octet.is_ascii_digit() => Some((*octet, 1)),
        _ => None,
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Name {
    /// Presentation form without the last dot (`.` for the root).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_wire().len() == 1 {
            return f.write_str(".");
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            write_label(label, f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A label in presentation form: what means something in a zone file is escaped (RFC 1035 section 5.1), and what
/// cannot be printed is a number. As rbldnsd puts names into texts.
pub fn write_label(label: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    for &octet in label {
        match octet {
            b'.' | b'\\' | b'"' | b'$' | b';' | b'@' => write!(f, "\\{}", char::from(octet))?,
            _ if octet.is_ascii_graphic() => f.write_char(char::from(octet))?,
            _ => write!(f, "\\{octet:03}")?,
        }
    }
    Ok(())
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire() {
        let name: Name = "BL.Example.".parse().unwrap();
        assert_eq!(name.as_wire(), b"\x02bl\x07example\x00");
        assert_eq!(name.to_string(), "bl.example");
        assert_eq!(Name::from_wire(b"\x02bl\x07EXAMPLE\x00"), Some(name));
        assert_eq!(r"a\.b.c\009".parse::<Name>().unwrap().to_string(), r"a\.b.c\009");
        assert_eq!(".".parse(), Ok(Name::root()));
        for (bad, why) in [
            ("", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            ("a b", NameError::Character),
            ("ä", NameError::Character),
            (r"a\", NameError::Character),
            (r"a\999", NameError::Character),
        ] {
            assert_eq!(bad.parse::<Name>(), Err(why), "{bad}");
        }
        assert_eq!("a".repeat(64).parse::<Name>(), Err(NameError::LabelLength));
        assert_eq!("a.".repeat(128).parse::<Name>(), Err(NameError::NameLength));
    }

    #[test]
    fn short_and_long_names_are_alike() {
        for len in 18..26 {
            let label = "a".repeat(len);
            let name: Name = label.parse().unwrap();
            assert_eq!((name.as_wire().len(), name.to_string()), (len + 2, label.clone()));
            assert_eq!(Name::from_wire(&name.as_wire().to_ascii_uppercase()), Some(name.clone()));
            let below: Name = format!("x.{label}").parse().unwrap();
            assert_eq!(below.parent().as_ref(), Some(&name));
            assert!(below.is_in(&name) && !name.is_in(&below) && name > below);
        }
    }

    #[test]
    fn ancestry() {
        let name: Name = "a.bl.example".parse().unwrap();
        assert!(name.is_in(&"bl.example".parse().unwrap()));
        assert!(name.is_in(&Name::root()));
        assert!(!name.is_in(&"l.example".parse().unwrap()));
        assert_eq!(name.parent().unwrap().to_string(), "bl.example");
        assert_eq!(name.relative_to(&"bl.example".parse().unwrap()), Some("a".parse().unwrap()));
        assert_eq!(name.relative_to(&name), Some(Name::root()));
        assert_eq!(name.relative_to(&Name::root()), Some(name.clone()));
        assert_eq!(name.relative_to(&"b.example".parse().unwrap()), None);
    }
}
