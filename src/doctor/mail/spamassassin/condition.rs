//! A condition of SpamAssassin's `if`, as it reads it itself: an expression of Perl's over numbers, its version and what it has. Pure.
//!
//! Never a guess: what only the running program knows (`can`, `has`, `perl_version`) is hidden, and so is all that depends on it.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::vec::IntoIter;

/// What conditions ask for, as far as it is known.
pub(in super::super) struct Known<'a> {
    /// Whether a plugin is loaded.
    pub(in super::super) plugin: &'a dyn Fn(&str) -> Option<bool>,
    /// As Perl has it: 4.000001.
    pub(in super::super) version: Option<f64>,
}

/// Whether it holds, where that can be told.
pub(in super::super) fn holds(condition: &str, known: &Known<'_>) -> Option<bool> {
    let tokens = tokens(condition)?.into_iter().peekable();
    let mut expression = Expression { tokens, known };
    let value = expression.either()?;
    // What stands behind it makes it no expression.
    if expression.tokens.next().is_some() {
        return None;
    }
    value.holds()
}

/// `4.0.1` as Perl has it, 4.000001; and what is written so already.
pub(in super::super) fn number(text: &str) -> Option<f64> {
    let parts: Vec<u32> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [major, minor, patch] if minor < 1000 && patch < 1000 => {
            format!("{major}.{minor:03}{patch:03}").parse().ok()
        }
        [_] | [_, _] => text.parse().ok(),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Number(f64),
    Word(&'a str),
    Sign(&'a str),
}

/// Longer ones before those that they begin with.
const SIGNS: [&str; 11] = ["&&", "||", ">=", "<=", "==", "!=", ">", "<", "!", "(", ")"];

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        let (token, length) = if is_of_number(first) {
            let length = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
            (Token::Number(rest[..length].parse().ok()?), length)
        } else if is_of_word(first) {
            let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            (Token::Word(&rest[..length]), length)
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign))?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

/// What a part of the expression comes to.
#[derive(Debug, Clone, Copy)]
enum Value {
    Number(f64),
    /// Only the running program knows.
    Hidden,
}

impl Value {
    fn holds(self) -> Option<bool> {
        match self {
            Self::Number(number) => Some(number != 0.0),
            Self::Hidden => None,
        }
    }

    fn of(holds: Option<bool>) -> Self {
        holds.map_or(Self::Hidden, |holds| Self::Number(f64::from(u8::from(holds))))
    }
}

/// Read from the left; nothing where it is none.
struct Expression<'a> {
    tokens: Peekable<IntoIter<Token<'a>>>,
    known: &'a Known<'a>,
}

impl<'a> Expression<'a> {
    fn takes(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| *token == Token::Sign(sign)).is_some()
    }

    fn either(&mut self) -> Option<Value> {
        let mut value = self.both()?;
        while self.takes("||") {
            value = Value::of(match (value.holds(), self.both()?.holds()) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            });
        }
        Some(value)
    }

    fn both(&mut self) -> Option<Value> {
        let mut value = self.equal()?;
        while self.takes("&&") {
            value = Value::of(match (value.holds(), self.equal()?.holds()) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            });
        }
        Some(value)
    }

    fn equal(&mut self) -> Option<Value> {
        self.compared(&["==", "!="], |expression| expression.compared(&[">=", "<=", ">", "<"], Self::one))
    }

    /// Two of what `part` reads, with one of these signs between them; or one alone.
    fn compared(&mut self, signs: &[&str], part: impl Fn(&mut Self) -> Option<Value>) -> Option<Value> {
        let value = part(self)?;
        let Some(sign) = signs.iter().find(|sign| self.takes(sign)) else { return Some(value) };
        let (Value::Number(one), Value::Number(other)) = (value, part(self)?) else {
            return Some(Value::Hidden);
        };
        let order = one.total_cmp(&other);
        Some(Value::of(Some(match *sign {
            ">=" => order != Ordering::Less,
            ">" => order == Ordering::Greater,
            "<=" => order != Ordering::Greater,
            "<" => order == Ordering::Less,
            "==" => order == Ordering::Equal,
            _ => order != Ordering::Equal,
        })))
    }

    fn one(&mut self) -> Option<Value> {
        if self.takes("!") {
            return Some(Value::of(self.one()?.holds().map(|holds| !holds)));
        }
        if self.takes("(") {
            let value = self.either()?;
            return self.takes(")").then_some(value);
        }
        match self.tokens.next()? {
            Token::Number(number) => Some(Value::Number(number)),
            Token::Word("version") => Some(self.known.version.map_or(Value::Hidden, Value::Number)),
            Token::Word("plugin") => {
                let name = self.argument()?;
                Some(Value::of((self.known.plugin)(name)))
            }
            Token::Word("can" | "has") => self.argument().map(|_| Value::Hidden),
            Token::Word("perl_version" | "local_tests_only") => Some(Value::Hidden),
            // A string, which is true whatever it says.
            Token::Word(word) => (word.len() > 1).then_some(Value::Number(1.0)),
            Token::Sign(_) => None,
        }
    }

    fn argument(&mut self) -> Option<&'a str> {
        let Some(Token::Word(name)) = self.takes("(").then(|| self.tokens.next())? else { return None };
        self.takes(")").then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(condition: &str, version: Option<&str>) -> Option<bool> {
        let plugin = |name: &str| match name {
            "Mail::Yes" => Some(true),
            "Mail::Perhaps" => None,
            _ => Some(false),
        };
        holds(condition, &Known { plugin: &plugin, version: version.and_then(number) })
    }

    /// What SpamAssassin 4.0.1 says to each was seen there.
    #[test]
    fn conditions_as_perl_reads_them() {
        for (condition, holds) in [
            ("version >= 3.004", Some(true)),
            ("(version >= 3.004002)", Some(true)),
            ("(version>=4.000002)", Some(false)),
            // Perl's number, of which the minor version has three digits.
            ("(version >= 3.4)", Some(true)),
            ("(version < 4.1)", Some(true)),
            ("(version >= 4.0)", Some(true)),
            ("version == 4.000001", Some(true)),
            ("version != 4.000001", Some(false)),
            ("!(version >= 4.0)", Some(false)),
            ("! version >= 4.0", Some(false)),
            ("(version >= 3.004) && (version < 4.000000)", Some(false)),
            ("(version < 3.004) || plugin(Mail::Yes)", Some(true)),
            ("plugin ( Mail::Yes )", Some(true)),
            ("(! plugin(Mail::No))", Some(true)),
            ("!plugin(Mail::Yes)", Some(false)),
            ("plugin(Mail::Perhaps)", None),
            ("can(Mail::SpamAssassin::Conf::feature_x)", None),
            ("!has(Mail::SpamAssassin::Plugin::X::y)", None),
            ("can(Mail::A::b) && plugin(Mail::No)", Some(false)),
            ("can(Mail::A::b) || plugin(Mail::Yes)", Some(true)),
            ("can(Mail::A::b) && plugin(Mail::Yes)", None),
            ("perl_version >= 5.018", None),
            ("0", Some(false)),
            ("(!1)", Some(false)),
            ("false", Some(true)),
            // No conditions to it.
            ("version == 4.0.1", None),
            ("(version >= 4.0", None),
            ("version >= 4.0)", None),
            ("version ~ 4", None),
            ("", None),
        ] {
            assert_eq!(told(condition, Some("4.0.1")), holds, "{condition}");
        }
        // 3.4.6 is 3.004006, which is less than 3.4.
        assert_eq!(told("version >= 3.4", Some("3.4.6")), Some(false));
        assert_eq!(told("version >= 3.004", Some("3.4.6")), Some(true));
        assert_eq!(told("version >= 3.004", None), None);
        assert_eq!(told("version >= 3.004 || 1", None), Some(true));
    }
}
