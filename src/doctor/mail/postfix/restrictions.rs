//! What a list of smtpd's restrictions asks, in the order that it stands there, and what of it no mail comes by. Pure.

use super::super::filter::Filter;
use super::super::{Does, LooksUp, Mention};
use crate::snippet::Program;

/// A question, such as `reject_rbl_client block.example=127.0.0.4`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) does: Does,
    word: &'a str,
    pub(super) zone: &'a str,
    pub(super) barred: Option<Barred<'a>>,
    /// Which of [`OWN`] stand before it.
    pub(super) spares: [bool; 2],
}

/// What lets one's own people pass.
pub(super) const OWN: [&str; 2] = ["permit_mynetworks", "permit_sasl_authenticated"];

/// Why a question has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Barred<'a> {
    /// Nobody comes as far, since this stands before it.
    Behind(&'a str),
    /// `warn_if_reject` stands before it.
    Warns,
}

impl Question<'_> {
    /// As it is pasted into a list.
    pub(super) fn line(&self) -> String {
        format!("    {} {},", self.word, self.zone)
    }

    pub(super) fn mention(&self, at: &str) -> Option<Mention> {
        let looks_up = if self.word.contains("_rhs") { LooksUp::Names } else { LooksUp::Addresses };
        mention(at, self.zone, self.does, looks_up)
    }
}

/// A restriction with its arguments, and `warn_if_reject` where that stands before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Restriction<'a> {
    pub(super) text: String,
    /// The word by itself, and what it is asked with.
    pub(super) word: &'a str,
    pub(super) argument: Option<&'a str>,
    /// No mail for one's own domains comes by what stands behind it.
    pub(super) ends: bool,
}

/// A list, parted into its restrictions.
pub(super) fn restrictions(value: &str) -> Vec<Restriction<'_>> {
    const WARNS: &str = "warn_if_reject";
    let mut elements = elements(value);
    let mut restrictions = Vec::new();
    let mut before = None;
    while let Some(word) = elements.next() {
        if word == WARNS {
            before = Some(WARNS);
            continue;
        }
        let takes = word.starts_with("check_")
            || word == "sleep"
            || ["_rbl_", "_rhsbl_", "_dnswl_", "_rhswl_"].iter().any(|part| word.contains(part));
        let argument = takes.then(|| elements.next()).flatten();
        let ends = before.is_none() && ends(word, argument);
        let text: Vec<&str> = before.take().into_iter().chain([word]).chain(argument).collect();
        restrictions.push(Restriction { text: text.join(" "), word, argument, ends });
    }
    restrictions
}

/// What the restrictions in a value ask.
pub(super) fn questions(value: &str) -> Vec<Question<'_>> {
    let mut questions = Vec::new();
    let (mut end, mut warns, mut depth) = (None, false, 0);
    let mut spares = [false; 2];
    let mut words = words(value).peekable();
    while let Some(word) = words.next() {
        // What stands in braces is a table's.
        let outside = depth == 0;
        depth += word.matches('{').count() as i32 - word.matches('}').count() as i32;
        let does = match word {
            "reject_rbl_client"
            | "reject_rhsbl_client"
            | "reject_rhsbl_helo"
            | "reject_rhsbl_sender"
            | "reject_rhsbl_reverse_client"
            | "reject_rhsbl_recipient" => Does::Reject,
            "permit_dnswl_client" | "permit_rhswl_client" => Does::Let,
            "warn_if_reject" => {
                warns = true;
                continue;
            }
            _ => {
                if outside && !warns && ends(word, words.peek().map(|next| element(from(value, next)))) {
                    end = end.or(Some(word));
                }
                if let Some(own) = OWN.iter().position(|own| outside && *own == word) {
                    spares[own] = true;
                }
                warns = false;
                continue;
            }
        };
        let warned = (warns && does == Does::Reject).then_some(Barred::Warns);
        let barred = end.map(Barred::Behind).or(warned);
        questions.extend(words.next().map(|zone| Question { does, word, zone, barred, spares }));
        warns = false;
    }
    questions
}

/// Whether no mail for one's own domains comes by what stands behind the word.
fn ends(word: &str, next: Option<&str>) -> bool {
    match word {
        "permit" | "reject" | "defer" | "permit_auth_destination" => true,
        _ if word.starts_with("check_") => next.and_then(of_everybody).is_some(),
        _ => false,
    }
}

/// Whether everybody is let in, or else kept out, by a table that says the same of all: as far as it stands in its place.
pub(super) fn of_everybody(table: &str) -> Option<bool> {
    let says = |action: &str| match action.to_ascii_lowercase().as_str() {
        "ok" | "permit" | "permit_auth_destination" => Some(true),
        "reject" => Some(false),
        _ => None,
    };
    if let Some(action) = table.strip_prefix("static:") {
        return says(action.trim_matches(['{', '}', ' ']));
    }
    let (kind, rows) = table.split_once(":{")?;
    if !matches!(kind, "cidr" | "regexp" | "pcre") {
        return None;
    }
    rows.split(['{', '}']).find_map(|row| {
        let mut words = words(row);
        words.next().filter(|key| is_everybody(key))?;
        says(words.next()?)
    })
}

/// Whether a key of a table has everybody, or everybody who comes by IPv4.
pub(super) fn is_everybody(key: &str) -> bool {
    const ALL: [&str; 9] = ["0.0.0.0/0", "/./", "/.*/", "/.+/", "/^/", "/^.*/", "/^.*$/", "/^.+$/", "/$/"];
    let is_pattern = key.starts_with('/');
    let plain = if is_pattern { key.trim_end_matches(|c: char| c.is_ascii_alphabetic()) } else { key };
    ALL.contains(&plain)
}

/// Whether a list keeps strangers out, whatever stands behind it.
pub(super) fn shuts(value: &str) -> bool {
    let mut before = "";
    for element in elements(value) {
        match element {
            "permit" | "permit_auth_destination" | "permit_mx_backup" => return false,
            "reject" if before != "warn_if_reject" => return true,
            _ => {}
        }
        if let Some(lets) = of_everybody(element).filter(|_| before.starts_with("check_")) {
            return !lets;
        }
        before = element;
    }
    false
}

/// How tables that stand in their place, or the list itself, name a class: each time, whether for null senders alone. `null` is what
/// tables are asked for in the place of such a sender.
pub(super) fn naming(value: &str, class: &str, null: &str) -> Vec<bool> {
    let mut before = "";
    let mut names = Vec::new();
    for element in elements(value) {
        let is_table = before.starts_with("check_");
        if element == class || is_table && element.strip_prefix("static:") == Some(class) {
            names.push(false);
        } else if is_table && element.contains(":{") {
            let rows = element.split(['{', '}', ',']).filter_map(|row| {
                let (key, does) = row.trim().split_once([' ', '\t', '='])?;
                does.split([' ', '\t', '=']).any(|word| word == class).then_some(key)
            });
            names.extend(rows.map(|key| before == "check_sender_access" && is_null_sender(key, null)));
        }
        before = element;
    }
    names
}

/// Whether a table of senders has a null sender by this key.
pub(super) fn is_null_sender(key: &str, null: &str) -> bool {
    let pattern = key.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).map(|(pattern, _)| pattern);
    key == null
        || pattern.is_some_and(|pattern| {
            !null.is_empty() && pattern.contains(null) || pattern.trim_end_matches('$') == "^"
        })
}

/// What stands in a list where smtpd knows no such word, so that it answers 451 to all mail: codes behind a comma that parts
/// restrictions, a restriction in braces, what was meant for a comment or stands in quotes.
pub(super) fn unknown(value: &str) -> Option<&str> {
    let mut takes_more = false;
    for element in elements(value) {
        let is_code = element.starts_with("127.") && element.split(['=', '*']).count() == 1;
        let is_braced =
            element.strip_prefix('{').is_some_and(|text| text.trim_start().starts_with("reject_r"));
        let is_sign = element.starts_with(['#', '"', '\'']);
        if !takes_more && (is_code || is_braced || is_sign) {
            return Some(element);
        }
        takes_more =
            element.starts_with("check_") || element.contains("_rbl_") || element.contains("_rhsbl_");
    }
    None
}

/// The words of a list; what stands in braces is part of one.
pub(super) fn elements(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(PARTING);
        let element = element(rest);
        rest = &rest[element.len()..];
        (!element.is_empty()).then_some(element)
    })
}

const PARTING: [char; 3] = [' ', '\t', ','];

/// The first one.
fn element(text: &str) -> &str {
    let mut depth = 0;
    let end = text.find(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth <= 0 && PARTING.contains(&c)
    });
    &text[..end.unwrap_or(text.len())]
}

/// `value` from one of its words on.
fn from<'a>(value: &'a str, word: &str) -> &'a str {
    &value[word.as_ptr() as usize - value.as_ptr() as usize..]
}

pub(super) fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(PARTING).filter(|word| !word.is_empty())
}

/// `ZONE`, `ZONE=FILTER`, `ZONE=FILTER*WEIGHT`.
pub(super) fn mention(at: &str, text: &str, does: Does, looks_up: LooksUp) -> Option<Mention> {
    let text = text.split('*').next().unwrap_or(text);
    let (zone, filter) = match text.split_once('=') {
        Some((zone, filter)) => (zone, Filter::of(filter)),
        None => (text, Filter::Open),
    };
    let zone = zone.trim_end_matches('.').parse().ok()?;
    Some(Mention { program: Program::Postfix, at: at.to_owned(), zone, filter, does, looks_up })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_mail_comes_by() {
        fn barred(value: &str) -> Option<String> {
            questions(value).pop().unwrap().barred.map(|barred| match barred {
                Barred::Behind(word) => word.to_owned(),
                Barred::Warns => "warns".to_owned(),
            })
        }
        let asks = "reject_rbl_client a.test=127.0.0.4";
        for ends in ["permit", "reject", "permit_auth_destination", "check_client_access static:OK"] {
            let word = ends.split(' ').next().unwrap();
            assert_eq!(barred(&format!("{ends}, {asks}")), Some(word.to_owned()));
        }
        for goes_on in [
            "permit_mynetworks",
            "reject_unauth_destination",
            "warn_if_reject reject",
            "check_client_access static:DUNNO",
            "check_client_access inline:{ { a.test = permit }, {b.test = x permit } }",
        ] {
            assert_eq!(barred(&format!("{goes_on}, {asks}")), None, "{goes_on}");
        }
        assert_eq!(barred(&format!("{asks}, permit")), None);
        assert_eq!(barred(&format!("warn_if_reject {asks}")), Some("warns".to_owned()));
        assert_eq!(barred(&format!("warn_if_reject {asks}, {asks}")), None);
        assert_eq!(unknown("reject_rbl_client a.test=127.0.1.5,127.0.1.8"), Some("127.0.1.8"));
        assert_eq!(unknown("{ reject_rbl_client a.test }, permit"), Some("{ reject_rbl_client a.test }"));
        assert_eq!(
            unknown("reject_rbl_client a.test=127.0.1.5,  # mine reject_rbl_client b.test"),
            Some("#")
        );
        assert_eq!(unknown("\"permit_mynetworks, reject_rbl_client a.test\""), Some("\"permit_mynetworks"));
        for known in [
            "reject_rbl_client a.test=127.0.1.[5;8], permit",
            "check_policy_service { inet:127.0.0.1:10023, timeout=2s }",
            "check_client_access inline:{ {127.0.0.1 = reject_rbl_client a.test} }",
        ] {
            assert_eq!(unknown(known), None, "{known}");
        }
        assert_eq!(questions(asks)[0].line(), "    reject_rbl_client a.test=127.0.0.4,");
    }
}
