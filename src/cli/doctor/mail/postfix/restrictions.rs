//! What a list of smtpd's restrictions asks, in the order that it stands there, and what of it no mail comes by. Pure.

use super::super::super::super::snippet::Program;
use super::super::filter::Filter;
use super::super::{Does, LooksUp, Mention};

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
                if outside && !warns && ends(word, words.peek()) {
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
fn ends(word: &str, next: Option<&&str>) -> bool {
    match word {
        "permit" | "reject" | "defer" | "permit_auth_destination" => true,
        // A table that says the same of everybody.
        _ if word.starts_with("check_") => next.is_some_and(|table| {
            let says = table.strip_prefix("static:").map(str::to_ascii_lowercase);
            says.is_some_and(|says| matches!(says.as_str(), "ok" | "permit" | "reject"))
        }),
        _ => false,
    }
}

pub(super) fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t', ',']).filter(|word| !word.is_empty())
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
        assert_eq!(questions(asks)[0].line(), "    reject_rbl_client a.test=127.0.0.4,");
    }
}
