//! Expressions of rspamd's and SpamAssassin's (`A & !(B | C)`), as far as they are of and, or and not. Pure.

/// Whether it holds where these symbols are there. `None`: it is of something else.
pub(super) fn holds(expression: &str, is_there: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut words = words(expression)?.into_iter().peekable();
    let holds = any(&mut words, is_there, 0)?;
    words.next().is_none().then_some(holds)
}

/// The symbols that it wants to be there: those behind no `!`, or behind two. All that look like symbols, where it is of something else.
pub(super) fn wanted(expression: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let Some(words) = words(expression) else {
        return expression.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    };
    let mut wanted = Vec::new();
    // Whether what stands in each open parenthesis is denied.
    let mut denied = vec![false];
    let mut is_denied = false;
    for word in words {
        let outside = denied.last().copied().unwrap_or_default();
        match word {
            "!" | "not" | "NOT" => {
                is_denied = !is_denied;
                continue;
            }
            "(" => denied.push(outside ^ is_denied),
            ")" => drop(denied.pop()),
            _ if word.starts_with(is_word) && !(outside ^ is_denied) => wanted.push(word),
            _ => {}
        }
        is_denied = false;
    }
    wanted
}

/// Parentheses within parentheses.
const DEPTH: usize = 32;

type Words<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

fn words(expression: &str) -> Option<Vec<&str>> {
    const SIGNS: &str = "!&|()";
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_:.-".contains(c);
    let mut words = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '&' | '|' if rest[1..].starts_with(first) => 2,
            c if SIGNS.contains(c) => 1,
            _ => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        };
        if end == 0 {
            return None;
        }
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Some(words)
}

fn any(words: &mut Words<'_>, is_there: &dyn Fn(&str) -> bool, depth: usize) -> Option<bool> {
    let mut holds = all(words, is_there, depth)?;
    while words.next_if(|word| matches!(*word, "|" | "||" | "or" | "OR")).is_some() {
        holds |= all(words, is_there, depth)?;
    }
    Some(holds)
}

fn all(words: &mut Words<'_>, is_there: &dyn Fn(&str) -> bool, depth: usize) -> Option<bool> {
    let mut holds = one(words, is_there, depth)?;
    while words.next_if(|word| matches!(*word, "&" | "&&" | "and" | "AND")).is_some() {
        holds &= one(words, is_there, depth)?;
    }
    Some(holds)
}

fn one(words: &mut Words<'_>, is_there: &dyn Fn(&str) -> bool, depth: usize) -> Option<bool> {
    if depth == DEPTH {
        return None;
    }
    match words.next()? {
        "!" | "not" | "NOT" => one(words, is_there, depth + 1).map(|holds| !holds),
        "(" => {
            let holds = any(words, is_there, depth + 1)?;
            (words.next()? == ")").then_some(holds)
        }
        "&" | "&&" | "|" | "||" | ")" => None,
        symbol => Some(is_there(symbol)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds() {
        let holds = |expression: &str| holds(expression, &|symbol| symbol.starts_with('T'));
        for yes in ["T", "T & !F", "F | T & T1", "!(F || F1) && T", "T and not F", "(T)"] {
            assert_eq!(holds(yes), Some(true), "{yes}");
        }
        for no in ["F", "T & F", "!T", "T & !(F | T1)", "T &! T1"] {
            assert_eq!(holds(no), Some(false), "{no}");
        }
        for unknown in ["", "T + F > 1", "T T", "(T", "& T", "T &", "T,F", &"(".repeat(100)] {
            assert_eq!(holds(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_is_wanted() {
        for (expression, wanted) in [
            ("A", &["A"] as &[&str]),
            ("(A || __B_1) && C && !D", &["A", "__B_1", "C"]),
            ("A && !(B || !C) && D", &["A", "C", "D"]),
            ("!A", &[]),
            ("A) B", &["A", "B"]),
            ("A + B >= 2", &["A", "B", "2"]),
            ("", &[]),
        ] {
            assert_eq!(super::wanted(expression), wanted, "{expression}");
        }
    }
}
