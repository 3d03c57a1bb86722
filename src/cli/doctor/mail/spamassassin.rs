//! SpamAssassin: `check_rbl` and `urirhsbl` in its rules.

use super::super::super::snippet::Program;
use super::filter::Filter;
use super::{Does, Mention};

pub(super) fn mentions(file: &str, text: &str) -> Vec<Mention> {
    let mut mentions = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let found = match words[..] {
            ["header", rule, ..] => evaluated(line, rule),
            ["urirhsbl", _, zone, ..] => Some((zone.to_owned(), Filter::Open)),
            ["urirhssub", _, zone, _, code, ..] => Some((zone.to_owned(), Filter::of(code))),
            _ => None,
        };
        let Some((zone, filter)) = found else { continue };
        let Ok(zone) = zone.parse() else { continue };
        let at = format!("{file}:{}", at + 1);
        mentions.push(Mention { program: Program::Spamassassin, at, zone, filter, does: Does::Weigh });
    }
    mentions
}

/// `eval:check_rbl('SET', 'ZONE.', 'SUBTEST')`. A rule whose name begins with `__` scores nothing: others look at its answer.
fn evaluated(line: &str, rule: &str) -> Option<(String, Filter)> {
    let call = line.split_once("eval:check_rbl(").or_else(|| line.split_once("eval:check_rbl_txt("))?.1;
    let mut arguments = call.split(')').next()?.split(',').map(|word| word.trim().trim_matches(['\'', '"']));
    let zone = arguments.nth(1)?.to_owned();
    let filtered = rule.starts_with("__") || arguments.next().is_some();
    Some((zone, if filtered { Filter::Some } else { Filter::Open }))
}
