//! Lines of `main.cf` that are two: a text was added to a file whose last line had no end (`>>`), and both are lost. Pure.

use super::again::{ACCESS, CLASSES};
use super::effect::RESTRICTIONS;
use super::margin::name;
use super::screen::{ACTION, SITES, THRESHOLD};
use crate::snippet::{postfix, postscreen};

/// A line, and what it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Glued {
    pub(in super::super) line: usize,
    /// What was the last line.
    pub(in super::super) own: String,
    /// What was added to it.
    pub(in super::super) added: String,
}

/// The text as it was meant, and which of its lines were one.
pub(super) fn parted(text: &str) -> (String, Vec<Glued>) {
    let mut all = Vec::new();
    let mut parted = String::new();
    for (at, line) in text.lines().enumerate() {
        match seam(line) {
            Some(seam) => {
                let (own, added) = line.split_at(seam);
                parted.push_str(&format!("{own}\n{added}\n"));
                all.push(Glued { line: at + 1, own: own.to_owned(), added: added.to_owned() });
            }
            None => parted.push_str(&format!("{line}\n")),
        }
    }
    (parted, all)
}

/// Where a line of the text that was meant stood before.
pub(super) fn stood(line: usize, glued: &[Glued]) -> usize {
    let before = glued.iter().enumerate().filter(|(at, glued)| line > glued.line + at);
    line - before.count()
}

/// Where what was added begins.
fn seam(line: &str) -> Option<usize> {
    // What goes on with a value begins with a blank; what stands before the first sign is a parameter's name.
    let own = if line.starts_with([' ', '\t']) { 0 } else { name(line)?.len() };
    if line.trim_start().starts_with('#') {
        return None;
    }
    let head = [postfix::HEAD, postscreen::HEAD].iter().find_map(|head| line.find(&format!("# {head}")));
    head.or_else(|| {
        let names = RESTRICTIONS.into_iter().chain([CLASSES, SITES, ACCESS, ACTION, THRESHOLD]);
        names.filter_map(|name| parameter(&line[own..], name)).min().map(|at| own + at)
    })
}

/// Where a parameter is set right behind something else.
fn parameter(text: &str, name: &str) -> Option<usize> {
    let is_set = |at: &usize| {
        let is_behind = text[..*at].ends_with(|c: char| !c.is_whitespace() && !"${(_-".contains(c));
        is_behind && text[at + name.len()..].trim_start().starts_with('=')
    };
    text.match_indices(name).map(|(at, _)| at).find(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_two() {
        let head = format!("# {}", postfix::HEAD);
        for (own, added) in [
            ("relayhost = ", head.as_str()),
            ("inet_interfaces = all", &head),
            ("    reject_unauth_destination", &head),
            ("mydestination=example.org", "smtpd_recipient_restrictions ="),
            ("\tpermit", "postscreen_dnsbl_sites = a.test=127.0.0.2"),
            ("smtpd_client_restrictions = permit", "smtpd_recipient_restrictions="),
            ("relayhost =", "smtpd_restriction_classes = a"),
        ] {
            let (text, glued) = parted(&format!("a = b\n{own}{added}\n  c\nd = e\n"));
            assert_eq!(text, format!("a = b\n{own}\n{added}\n  c\nd = e\n"));
            assert_eq!(glued, [Glued { line: 2, own: own.to_owned(), added: added.to_owned() }]);
            let stood: Vec<usize> = (1..=5).map(|line| stood(line, &glued)).collect();
            assert_eq!(stood, [1, 2, 2, 3, 4]);
        }
    }

    #[test]
    fn lines_that_are_one() {
        for one in [
            "# an end# Postfix: smtpd refuses what gatepost lists. For main.cf.\n",
            "my_smtpd_recipient_restrictions = permit\n",
            "mua-smtpd_recipient_restrictions = permit\n",
            "a = $smtpd_recipient_restrictions\n",
            "a = ${smtpd_recipient_restrictions}, b = c\n",
            "a = { smtpd_recipient_restrictions = permit }\n",
            "a = x, my_smtpd_recipient_restrictions = permit\n",
            "smtpd_recipient_restrictions = permit # =\n",
        ] {
            assert_eq!(parted(one), (one.to_owned(), vec![]));
        }
    }
}
