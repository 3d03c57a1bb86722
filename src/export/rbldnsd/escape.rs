//! Texts and names as lines of rbldnsd's files hold them.

use std::io::{self, Write};

use super::super::names::labels;
use crate::model::{Piece, Pieces};

/// Octets of a text that are answered (RFC 1035 section 3.3) and that a line holds.
const TEXT_MAX: usize = 255;

/// A text as it stands behind `:A:`; `None` where no line can say it. `shortest`: octets of the shortest subject.
///
/// `$` is the subject and `$$` a dollar sign, but `$0` to `$9` and `$=` are something else, and so is `$$` for a
/// subject and then a dollar sign: nothing stands for nothing between them. Blanks before a text are dropped unless `=`
/// stands there; blanks behind it are dropped. What lies beyond the octets that are answered is left out.
pub(super) fn text(pieces: Pieces<'_>, shortest: usize) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut answered = 0;
    let mut behind_subject = false;
    for piece in pieces {
        let literal = match piece {
            _ if answered >= TEXT_MAX => break,
            Piece::Subject if behind_subject => return None,
            Piece::Subject => {
                text.push(b'$');
                answered += shortest;
                behind_subject = true;
                continue;
            }
            Piece::Literal(literal) => &literal[..literal.len().min(TEXT_MAX - answered)],
        };
        for &octet in literal {
            match octet {
                0 | b'\n' => return None,
                b'0'..=b'9' | b'$' | b'=' if behind_subject => return None,
                b'$' => text.extend_from_slice(b"$$"),
                _ => text.push(octet),
            }
            behind_subject = false;
        }
        answered += literal.len();
    }
    if text.first().is_some_and(|&first| first == b'=' || is_space(first)) {
        text.insert(0, b'=');
    }
    let is_kept = text.len() <= TEXT_MAX && !text.last().is_some_and(|&last| is_space(last));
    is_kept.then_some(text)
}

/// What a reader may take away at the ends of a line.
pub(super) fn is_space(octet: u8) -> bool {
    octet.is_ascii_whitespace() || octet == 0x0b
}

/// The labels of a name in wire form without the final zero octet: what is not plainly a letter, a digit, `-` or `_` is
/// a number, so that no line begins with a sign. A `-` that begins the name is one, too (`$NS` leaves such names out).
pub(super) fn write_name(name: &[u8], out: &mut impl Write) -> io::Result<()> {
    for (index, label) in labels(name).enumerate() {
        if index > 0 {
            out.write_all(b".")?;
        }
        for (at, &octet) in label.iter().enumerate() {
            match octet {
                b'-' if index == 0 && at == 0 => write!(out, "\\045")?,
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => out.write_all(&[octet])?,
                _ => write!(out, "\\{octet:03}")?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Template;

    fn shown(template: &Template) -> Option<String> {
        text(template.pieces(), 7).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn what_a_line_can_say() {
        for (template, line) in [
            ("$ is bad, see http://x/?ip=$", "$ is bad, see http://x/?ip=$"),
            ("5$$ and $.", "5$$ and $."),
            ("  two", "=  two"),
            ("=x", "==x"),
            ("$", "$"),
            ("# no comment", "# no comment"),
            ("a\tb", "a\tb"),
        ] {
            assert_eq!(shown(&Template::parse(template.as_bytes())).as_deref(), Some(line), "{template}");
        }
    }

    #[test]
    fn what_none_can_say() {
        for template in ["x ", "x\r", "$5", "$=", "a\nb", "a\0b"] {
            assert_eq!(shown(&Template::parse(template.as_bytes())), None, "{template:?}");
        }
        let mut twice = Template::default();
        twice.push_subject();
        twice.push_subject();
        assert_eq!(shown(&twice), None);
        let mut dollar = Template::default();
        dollar.push_subject();
        dollar.push(b"$");
        assert_eq!(shown(&dollar), None);
        assert_eq!(shown(&Template::literal(&[b'$'; 200])), None);
    }

    #[test]
    fn no_more_than_is_answered() {
        assert_eq!(shown(&Template::literal(&[b'x'; 700])).unwrap().len(), 255);
        let many = Template::parse(&b"$ ".repeat(90));
        let line = shown(&many).unwrap();
        assert!(line.len() < 80 && Template::parse(line.as_bytes()).fill("1.2.3.4").len() >= 255, "{line}");
    }

    #[test]
    fn names() {
        let mut line = Vec::new();
        write_name(b"\x04-a.*\x02b-\x03!x_", &mut line).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), r"\045a\046\042.b-.\033x_");
    }
}
