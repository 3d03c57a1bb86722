//! Which bracket of a TOML text was never closed.
//!
//! A parser that goes on after a mistake takes all that follows for what is inside of it, and finds a mistake in each line. Read
//! [`unclosed`]. Never: anything about a text that has no mistake.

/// A bracket without its other half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// Where it stands.
    pub(super) at: usize,
    /// The octet that should have come.
    pub(super) missing: char,
    /// Where it shows: at the next key, table or bracket of another kind, or at the end.
    pub(super) shows: usize,
}

/// The innermost array or inline table of `text` that is not closed where something stands that can only follow it.
pub(super) fn unclosed(text: &str) -> Option<Unclosed> {
    let octets = text.as_bytes();
    let mut open: Vec<usize> = Vec::new();
    let missing =
        |at: usize, shows| Some(Unclosed { at, missing: if octets[at] == b'[' { ']' } else { '}' }, shows });
    let (mut at, mut is_line_start) = (0, true);
    while at < octets.len() {
        let rest = &text[at..];
        if std::mem::take(&mut is_line_start) {
            let line = rest.lines().next().unwrap_or("");
            let start = at + (line.len() - line.trim_start().len());
            match open.last() {
                // Headers of tables are no arrays.
                None if line.trim_start().starts_with('[') => {
                    at += line.len();
                    continue;
                }
                // A key may stand at the beginning of a line in an inline table.
                Some(&top) if is_header(line) || octets[top] == b'[' && is_key(line) => {
                    return missing(top, start);
                }
                _ => {}
            }
        }
        match octets[at] {
            b'\n' => is_line_start = true,
            b'#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'"' | b'\'' => {
                at += string(rest);
                continue;
            }
            b'[' | b'{' => open.push(at),
            close @ (b']' | b'}') => {
                let top = open.pop()?;
                if (octets[top] == b'[') != (close == b']') {
                    return missing(top, at);
                }
            }
            _ => {}
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    open.last().and_then(|&top| missing(top, text.trim_end().len()))
}

/// Octets of the string that `text` begins with, to the end of its line where it is not closed.
fn string(text: &str) -> usize {
    let quote = &text[..1];
    let is_basic = quote == "\"";
    let triple = quote.repeat(3);
    let (close, lines) = if text.starts_with(&triple) { (&triple[..], true) } else { (quote, false) };
    let mut at = close.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(close) {
            return at + close.len();
        }
        match rest.as_bytes()[0] {
            b'\n' if !lines => return at,
            // What is escaped ends nothing.
            b'\\' if is_basic && !rest.starts_with("\\\n") => {
                at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                continue;
            }
            _ => {}
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    text.len()
}

/// `key =`, `"key".key =`.
fn is_key(line: &str) -> bool {
    keys(line.trim_start()).is_some_and(|rest| rest.starts_with('='))
}

/// `[table]`, `[[table."name"]]`, and nothing behind it as behind an array in an array.
fn is_header(line: &str) -> bool {
    let line = line.trim();
    let Some(inside) = line.strip_prefix("[[").or_else(|| line.strip_prefix('[')) else { return false };
    let Some(rest) = keys(inside.trim_start()) else { return false };
    let rest = rest.strip_prefix("]]").or_else(|| rest.strip_prefix(']'));
    rest.is_some_and(|rest| rest.trim_start().is_empty() || rest.trim_start().starts_with('#'))
}

/// What follows one or more keys with dots between them.
fn keys(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let len = match rest.as_bytes().first()? {
            b'"' | b'\'' => string(rest),
            _ => rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)).unwrap_or(rest.len()),
        };
        if len == 0 {
            return None;
        }
        rest = rest[len..].trim_start();
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None => return Some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(text: &str, expected: Option<(&str, &str)>) {
        let found = unclosed(text);
        // From the bracket on, and from where it shows on.
        let found = found.map(|unclosed| (&text[unclosed.at..], &text[unclosed.shows..]));
        assert_eq!(found, expected, "in {text}");
    }

    #[test]
    fn what_shows_it() {
        found("a = [1\nb = 2", Some(("[1\nb = 2", "b = 2")));
        found("a = [\n 1,\n \"x\".b = 2", Some(("[\n 1,\n \"x\".b = 2", "\"x\".b = 2")));
        found("a = [1\n[b]\nc = [1]", Some(("[1\n[b]\nc = [1]", "[b]\nc = [1]")));
        found("a = [1\n[[b.\"c d\"]] # x\n", Some(("[1\n[[b.\"c d\"]] # x\n", "[[b.\"c d\"]] # x\n")));
        found("a = [{ b = 1 ]", Some(("{ b = 1 ]", "]")));
        found("a = [[1], [2\n", Some(("[2\n", "\n")));
        found("a = { b = 1\n[c]\n", Some(("{ b = 1\n[c]\n", "[c]\n")));
    }

    #[test]
    fn what_is_closed() {
        for text in [
            "",
            "[a]\nb = [1, 2]\n[[c]]\nd = { e = [1] }",
            "a = [ # it's [\n  \"]\", ']', \"\\\"]\",\n]\nb = 1",
            "a = \"\"\"\nb = [\n\"\"\"\nc = '''[\n''' # [",
            "a = [\n  [1, 2],\n  [\"b\"],\n]",
            "a = { b = 1,\n  c = 2 }",
            "[unclosed\na = 1",
            "a = ]",
            "a = \"[\nb = 1",
        ] {
            found(text, None);
        }
    }

    /// Whatever stands in a text: characters of several octets, ends in the middle of everything.
    #[test]
    fn any_text() {
        const PARTS: [&str; 13] = ["[", "{", "]", "}", "\"", "'", "\\", "\n", "#", "=", "a", "“", "\u{a0}"];
        let mut text = String::new();
        for mut number in 0..PARTS.len().pow(5) {
            text.clear();
            while number > 0 {
                text.push_str(PARTS[number % PARTS.len()]);
                number /= PARTS.len();
            }
            if let Some(Unclosed { at, shows, .. }) = unclosed(&text) {
                assert!(
                    "[{".contains(&text[at..=at]) && at < shows && text.is_char_boundary(shows),
                    "{text:?}"
                );
            }
        }
    }
}
