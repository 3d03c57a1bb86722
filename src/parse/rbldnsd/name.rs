//! rbldnsd's notation for names: `\.` and `\ddd` escapes, any octets, dots in a row count as one.

use super::super::diag::Bad;
use super::super::plain;
use crate::model::{Name, TreeName};

/// Puts the name at the beginning of a text into `name`, the root where it has no label; where it ends. As [`name()`].
#[inline]
pub(super) fn tree_name(text: &[u8], name: &mut TreeName) -> Result<usize, Bad> {
    if let Some(end) = plain_name(text, name) {
        return Ok(end);
    }
    let (found, end) = self::name(text)?;
    *name = found.as_ref().map(TreeName::of).unwrap_or_default();
    Ok(end)
}

/// A name without escapes, as nearly all are; `None` too where something is wrong with it.
#[inline]
fn plain_name(text: &[u8], name: &mut TreeName) -> Option<usize> {
    name.clear();
    let (mut start, mut at) = (0, 0);
    let mut kinds = 0;
    loop {
        let kind = text.get(at).map_or(BLANK, |&octet| KINDS[usize::from(octet)]);
        kinds |= kind;
        if kind & (DOT | BLANK | BACKSLASH) != 0 {
            let label = &text[start..at];
            if kind == BACKSLASH || label.len() > 63 {
                return None;
            }
            if !label.is_empty() {
                name.put_above(label)?;
            }
            if kind == BLANK {
                break;
            }
            start = at + 1;
        }
        at += 1;
    }
    if kinds & UPPER != 0 {
        name.fold();
    }
    Some(at)
}

const DOT: u8 = 1;
const BLANK: u8 = 2;
const BACKSLASH: u8 = 4;
const UPPER: u8 = 8;

/// What each octet is in a name.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    kinds[b'.' as usize] = DOT;
    kinds[b' ' as usize] = BLANK;
    kinds[b'\t' as usize] = BLANK;
    kinds[b'\\' as usize] = BACKSLASH;
    let mut octet = b'A';
    while octet <= b'Z' {
        kinds[octet as usize] = UPPER;
        octet += 1;
    }
    kinds
};

/// The name at the beginning of a text, and where it ends: at a blank. `None` where it has no label.
pub(super) fn name(text: &[u8]) -> Result<(Option<Name>, usize), Bad> {
    let end = text.iter().position(|&b| plain::is_blank(b)).unwrap_or(text.len());
    let too_long = || Bad::new(0, "name above 255 octets");
    let mut wire = [0; 256];
    let mut len = 1;
    // Where the length octet of the present label stands.
    let mut label = 0;
    let mut at = 0;
    while at < end {
        let octet = match text[at] {
            b'.' => {
                if len > label + 1 {
                    label = len;
                    len += 1;
                }
                at += 1;
                continue;
            }
            b'\\' => {
                let (octet, taken) =
                    escape(&text[at + 1..end]).ok_or_else(|| Bad::new(at, "escape above 255"))?;
                at += 1 + taken;
                // A backslash at the end of the name is nothing.
                let Some(octet) = octet else { continue };
                octet
            }
            octet => {
                at += 1;
                octet
            }
        };
        if wire[label] == 63 {
            return Err(Bad::new(at - 1, "label above 63 octets"));
        }
        // The last octet stays free for the root.
        if len >= wire.len() - 1 {
            return Err(too_long());
        }
        wire[len] = octet;
        len += 1;
        wire[label] += 1;
    }
    if len > label + 1 {
        len += 1;
    }
    if len == 1 {
        return Ok((None, end));
    }
    let name = Name::from_wire(&wire[..len]).ok_or_else(too_long)?;
    Ok((Some(name), end))
}

/// Up to three digits are an octet's number, any other octet is itself.
fn escape(text: &[u8]) -> Option<(Option<u8>, usize)> {
    let digits = text.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return Some((text.first().copied(), text.len().min(1)));
    }
    let number = text[..digits].iter().fold(0u16, |n, &digit| n * 10 + u16::from(digit - b'0'));
    u8::try_from(number).ok().map(|octet| (Some(octet), digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each was seen to mean this in rbldnsd 1.0 (Debian 1.0~20210120-2).
    #[test]
    fn as_the_original_reads_it() {
        for (text, shown) in [
            ("a.example", "a.example"),
            ("A.Example.", "a.example"),
            ("a..example", "a.example"),
            ("..a", "a"),
            (r"e\.f.example", r"e\.f.example"),
            (r"g\105h", "gih"),
            (r"a\25x", r"a\025x"),
            (r"a\1", r"a\001"),
            (r"a\", "a"),
            (r"q\x", "qx"),
            (r"a\032b", r"a\032b"),
            ("é", r"\195\169"),
            ("a:5#b", "a:5#b"),
            ("*", "*"),
            (r"a.\..b", r"a.\..b"),
        ] {
            for tail in ["", " x", "\t;c"] {
                let text_and_tail = format!("{text}{tail}");
                let (name, end) = name(text_and_tail.as_bytes()).unwrap();
                let mut tree = TreeName::ROOT;
                assert_eq!(tree_name(text_and_tail.as_bytes(), &mut tree), Ok(end), "{text}{tail}");
                assert_eq!(Some(Name::from_tree(tree.as_octets())), name, "{text}{tail}");
                assert_eq!((name.unwrap().to_string().as_str(), end), (shown, text.len()), "{text}{tail}");
            }
        }
        assert_eq!(name(b". x"), Ok((None, 1)));
        assert_eq!(name(b""), Ok((None, 0)));
        assert!(name(format!("{}a", "a.".repeat(126)).as_bytes()).is_ok());
    }

    #[test]
    fn as_the_original_refuses_it() {
        let long = "a".repeat(64);
        for (text, at) in [(r"a\256x", 1), (&*format!("x.{long}"), 65), (&"a.".repeat(128), 0)] {
            assert_eq!(name(text.as_bytes()).unwrap_err().at, at, "{text}");
            let found = tree_name(text.as_bytes(), &mut TreeName::default());
            assert_eq!(found.unwrap_err().at, at, "{text}");
        }
    }
}
