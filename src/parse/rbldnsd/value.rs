//! What stands beside an entry, and what its text becomes.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::super::diag::Bad;
use super::super::plain;
use super::ip4::number;
use crate::model::{Template, Value};
use crate::set::{Set, SetBuilder, ValueId};

/// Octets of a text that are kept: one TXT string.
const TEXT_MAX: usize = 255;

/// A and text of an entry as written: `$` not yet resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Said {
    pub(super) code: Ipv4Addr,
    /// Empty: no TXT.
    pub(super) text: Box<[u8]>,
}

impl Said {
    /// In force at the beginning of every file: 127.0.0.2 and no text.
    pub(super) fn initial() -> Self {
        Self { code: Ipv4Addr::new(127, 0, 0, 2), text: Box::default() }
    }

    /// `:A`, `:A:` or `:A:text` at the beginning of a line: the default of the lines that follow.
    pub(super) fn default_line(line: &[u8]) -> Result<Self, Bad> {
        let (code, text) = coded(line)?;
        Ok(Self { code, text: text.unwrap_or_default().into() })
    }

    /// What stands behind the addresses of an entry; `None`: the default in force.
    pub(super) fn beside(rest: &[u8], default: &Self) -> Result<Option<Self>, Bad> {
        let start = plain::blanks(rest);
        let text = &rest[start..];
        match text.first() {
            // A comment only where nothing but the address stands before it; in a text it belongs to the text.
            None | Some(b'#' | b';') => Ok(None),
            Some(b':') => {
                let (code, text) = coded(text).map_err(|bad| bad.shifted(start))?;
                let text = text.map_or_else(|| default.text.clone(), Into::into);
                Ok(Some(Self { code, text }))
            }
            Some(_) => Ok(Some(Self { code: default.code, text: cut(text).into() })),
        }
    }
}

impl Said {
    /// With its text resolved as far as variables are known.
    pub(super) fn value(&self, variables: &mut Variables) -> Value {
        Value { code: Some(self.code), text: Some(variables.resolve(&self.text)), ..Value::default() }
    }
}

/// The distinct values of a data set, and what they are in its [`SetBuilder`].
#[derive(Debug, Default)]
pub(super) struct Values {
    ids: foldhash::HashMap<Said, ValueId>,
    /// What was said for each value that went into the builder.
    said: HashMap<Value, Said>,
    /// Two values are equal only as long as a variable is undefined.
    clash: bool,
}

impl Values {
    pub(super) fn id(&mut self, said: &Said, variables: &mut Variables, builder: &mut SetBuilder) -> ValueId {
        if let Some(&id) = self.ids.get(said) {
            return id;
        }
        let mut value = said.value(variables);
        if self.said.contains_key(&value) {
            // Kept apart by their place until settled.
            value.note = Some(self.ids.len().to_string().into());
            self.clash = true;
        }
        let id = builder.value(&value);
        self.said.insert(value, said.clone());
        self.ids.insert(said.clone(), id);
        id
    }

    /// Whether a value is not what all variables make of it.
    pub(super) fn is_late(&self, variables: &mut Variables) -> bool {
        self.clash || variables.late
    }

    /// The set with values resolved by all variables. Rare: variables stand at the head of files.
    pub(super) fn settle(&mut self, set: &Set, variables: &mut Variables) -> Set {
        set.with_values(|value| {
            let said = self.said.get(value);
            Some(said.map_or_else(|| value.clone(), |said| said.value(variables)))
        })
    }
}

/// `:A`, `:A:`, `:A:text`; the text is `None` when its colon is missing.
fn coded(text: &[u8]) -> Result<(Ipv4Addr, Option<&[u8]>), Bad> {
    let rest = &text[1..];
    let len = rest.iter().position(|b| !(b.is_ascii_digit() || *b == b'.')).unwrap_or(rest.len());
    let code = code(&rest[..len]).ok_or_else(|| Bad::new(1, "not a value for an A record"))?;
    let behind = &rest[len..];
    let blanks = plain::blanks(behind);
    match behind.get(blanks) {
        None => Ok((code, None)),
        Some(b':') => {
            let text = &behind[blanks + 1..];
            Ok((code, Some(cut(&text[plain::blanks(text)..]))))
        }
        Some(_) => Err(Bad::new(1 + len + blanks, "a colon is due between value and text")),
    }
}

/// `n` is 127.0.0.n; of two or three numbers the last is the last octet; zero is none.
fn code(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut count = 0;
    for part in text.split(|&b| b == b'.') {
        *octets.get_mut(count)? = u8::try_from(number(part)?).ok()?;
        count += 1;
    }
    if count < 4 {
        octets[3] = std::mem::take(&mut octets[count - 1]);
    }
    if octets[..3] == [0; 3] && count == 1 {
        octets[0] = 127;
        return (octets[3] > 0).then_some(octets.into());
    }
    (octets != [0; 4]).then_some(octets.into())
}

fn cut(text: &[u8]) -> &[u8] {
    &text[..text.len().min(TEXT_MAX)]
}

/// The texts behind `$0` to `$9` and the base template `$=`. The first definition of each wins, wherever it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    numbered: [Option<Box<[u8]>>; 10],
    base: Option<Box<[u8]>>,
    /// Resolved texts that a later definition would have changed: one bit per number, the tenth for the base.
    missed: u16,
    /// Such a definition came.
    pub(super) late: bool,
}

const BASE: u16 = 1 << 10;

impl Variables {
    pub(super) fn define(&mut self, number: usize, text: &[u8]) {
        let slot = &mut self.numbered[number];
        if slot.is_none() {
            *slot = Some(cut(text).into());
            self.late |= self.missed & 1 << number != 0;
        }
    }

    pub(super) fn define_base(&mut self, text: &[u8]) {
        if self.base.is_none() {
            self.base = Some(cut(text).into());
            self.late |= self.missed & BASE != 0;
        }
    }

    /// The text with everything put in but the address; empty for "no TXT".
    pub(super) fn resolve(&mut self, text: &[u8]) -> Template {
        let (frame, own) = match (text.strip_prefix(b"="), &self.base) {
            // `=text` goes without the base template.
            (Some(own), _) => (own, own),
            (None, Some(base)) => (&base[..], text),
            (None, None) => {
                self.missed |= BASE;
                (text, text)
            }
        };
        let mut template = Template::default();
        let mut literal = Vec::with_capacity(frame.len());
        let mut rest = frame.iter().copied().peekable();
        while let Some(octet) = rest.next() {
            if octet != b'$' {
                literal.push(octet);
                continue;
            }
            match rest.peek().copied() {
                Some(b'$') => literal.push(b'$'),
                Some(digit @ b'0'..=b'9') => {
                    let number = usize::from(digit - b'0');
                    match &self.numbered[number] {
                        Some(text) => literal.extend_from_slice(text),
                        None => {
                            self.missed |= 1 << number;
                            literal.extend_from_slice(&[b'$', digit]);
                        }
                    }
                }
                Some(b'=') if !own.is_empty() => literal.extend_from_slice(own),
                following => {
                    template.push(&std::mem::take(&mut literal));
                    template.push_subject();
                    if following != Some(b'=') {
                        continue;
                    }
                }
            }
            rest.next();
        }
        template.push(&literal);
        template
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: [u8; 4], text: &str) -> Said {
        Said { code: code.into(), text: text.as_bytes().into() }
    }

    /// Seen in rbldnsd 1.0.
    #[test]
    fn values() {
        let default = said([127, 0, 0, 9], "default");
        for (rest, expect) in [
            ("", None),
            (" #c", None),
            (";c", None),
            (" :5", Some(said([127, 0, 0, 5], "default"))),
            (":5", Some(said([127, 0, 0, 5], "default"))),
            (" :5:", Some(said([127, 0, 0, 5], ""))),
            (" :5 :x", Some(said([127, 0, 0, 5], "x"))),
            (" :5:  lead", Some(said([127, 0, 0, 5], "lead"))),
            (" :5:a:b #c", Some(said([127, 0, 0, 5], "a:b #c"))),
            (" :010:x", Some(said([127, 0, 0, 10], "x"))),
            (" :255:x", Some(said([127, 0, 0, 255], "x"))),
            (" :1.2:x", Some(said([1, 0, 0, 2], "x"))),
            (" :1.2.3:x", Some(said([1, 2, 0, 3], "x"))),
            (" :127.0.0:x", Some(said([127, 0, 0, 0], "x"))),
            (" :127.0.0.05:x", Some(said([127, 0, 0, 5], "x"))),
            (" :10.2.3.4:text", Some(said([10, 2, 3, 4], "text"))),
            (" text #c", Some(said([127, 0, 0, 9], "text #c"))),
            (" /24", Some(said([127, 0, 0, 9], "/24"))),
        ] {
            assert_eq!(Said::beside(rest.as_bytes(), &default), Ok(expect), "{rest}");
        }
        for rest in [
            ":0:",
            ":0.0.0.0:",
            ":256:",
            "::text",
            ":",
            ":5 text",
            ":5#c",
            ":0x7f:x",
            ": 5:x",
            ":a:x",
            ":1.300:x",
            ":65536.1:x",
            ":1.2.3.4.5:x",
            ":1.:x",
        ] {
            assert!(Said::beside(rest.as_bytes(), &default).is_err(), "{rest}");
        }
        assert_eq!(Said::default_line(b":6"), Ok(said([127, 0, 0, 6], "")));
        assert_eq!(Said::default_line(b":9:  two"), Ok(said([127, 0, 0, 9], "two")));
        let long = format!(":2:{}", "x".repeat(300));
        assert_eq!(Said::default_line(long.as_bytes()).unwrap().text.len(), 255);
    }

    fn filled(variables: &mut Variables, text: &str) -> String {
        String::from_utf8(variables.resolve(text.as_bytes()).fill("1.0.0.1")).unwrap()
    }

    /// Seen in rbldnsd 1.0.
    #[test]
    fn texts() {
        let mut plain = Variables::default();
        plain.define(1, b"late");
        plain.define(1, b"second");
        for (text, expect) in [
            ("x $", "x 1.0.0.1"),
            ("$a$$b$", "1.0.0.1a$b1.0.0.1"),
            ("a $1 $2", "a late $2"),
            ("=escaped $1 $= $", "escaped late escaped $1 $= $ 1.0.0.1"),
            ("x$=y", "xx$=yy"),
            ("==z", "=z"),
            ("=", ""),
            ("", ""),
        ] {
            assert_eq!(filled(&mut plain, text), expect, "{text}");
        }
        let mut framed = Variables::default();
        framed.define(0, b"zero $ $1");
        framed.define(1, b"one");
        framed.define_base(b"BASE <$=> $0 $1 $2 $$ ip=$");
        let tail = "> zero $ $1 one $2 $ ip=1.0.0.1";
        for (text, expect) in [
            ("def $", format!("BASE <def ${tail}")),
            ("text $0 $9 $ $$ x$", format!("BASE <text $0 $9 $ $$ x${tail}")),
            ("", format!("BASE <1.0.0.1{tail}")),
            ("=escaped $1 $= $", "escaped one escaped $1 $= $ 1.0.0.1".into()),
            ("=", String::new()),
            ("$", format!("BASE <${tail}")),
        ] {
            assert_eq!(filled(&mut framed, text), expect, "{text}");
        }
    }

    #[test]
    fn late_definitions_are_noticed() {
        let mut variables = Variables::default();
        variables.resolve(b"=x $1");
        variables.define(2, b"x");
        variables.define_base(b"$=");
        assert!(!variables.late);
        variables.define(1, b"x");
        assert!(variables.late);
        let mut variables = Variables::default();
        variables.resolve(b"x");
        variables.define_base(b"$=");
        assert!(variables.late);
    }
}
