//! Rules of SpamAssassin's that a later line writes again: of one name the last is the rule. Pure.

use std::collections::BTreeSet;

use super::super::off::Read;
use crate::snippet::Program;

/// Takes out the lines that ask lists and are written again by lines that ask, too. What is written again and asks nothing is told by itself.
pub(in super::super) fn settle(texts: &mut [Read]) {
    let mut later: BTreeSet<String> = BTreeSet::new();
    for read in texts.iter_mut().rev().filter(|read| read.program == Program::Spamassassin) {
        let mut lines: Vec<&str> = read.text.lines().collect();
        for line in lines.iter_mut().rev() {
            if let Some(rule) = asking(line)
                && !later.insert(rule.to_owned())
            {
                *line = "";
            }
        }
        read.text = lines.into_iter().flat_map(|line| [line, "\n"]).collect();
    }
}

/// The rule that the line asks for.
fn asking(line: &str) -> Option<&str> {
    let plain = line.split('#').next().unwrap_or_default();
    let mut words = plain.split_whitespace();
    let (kind, rule) = (words.next()?, words.next()?);
    let asks = match kind {
        "header" => plain.contains("eval:check_rbl"),
        "urirhssub" | "urirhsbl" => true,
        _ => false,
    };
    asks.then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_is_the_rule() {
        let read = |program, place: &str, text: &str| Read {
            program,
            place: place.to_owned(),
            text: text.to_owned(),
        };
        let first = "header __A eval:check_rbl('a', 'a.test.')\nheader A eval:check_rbl_sub('a', '127.0.0.4')\nscore A 6\nurirhssub B b.test. A 127.0.0.4\n";
        let mut texts = [
            read(Program::Spamassassin, "a.cf", first),
            read(Program::Rspamd, "b.conf", "header A eval:check_rbl\nheader A eval:check_rbl\n"),
            read(
                Program::Spamassassin,
                "z.cf",
                "header A eval:check_rbl_sub('a', '127.0.0.5') # x\nmeta B (0)\nheader C X =~ /c/\n",
            ),
        ];
        let rest: Vec<String> = texts[1..].iter().map(|read| read.text.clone()).collect();
        settle(&mut texts);
        assert_eq!(texts[0].text, first.replace("header A eval:check_rbl_sub('a', '127.0.0.4')", ""));
        assert_eq!(rest, [texts[1].text.clone(), texts[2].text.clone()]);
        let mut twice = [read(
            Program::Spamassassin,
            "a.cf",
            "urirhssub B b.test. A 127.0.0.4\nurirhssub B b.test. A 127.0.0.5\n",
        )];
        settle(&mut twice);
        assert_eq!(twice[0].text, "\nurirhssub B b.test. A 127.0.0.5\n");
    }
}
