//! Settings of rspamd and SpamAssassin that switch rules off which stand in another file, or in another line. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::super::cure;
use super::super::finding::{Area, Check, Cure};
use super::expression::wanted;
use super::filter::of_pattern;
use super::rspamd::blocks::{Block, Part, parts, replaced};
use super::spamassassin::arguments;
use super::{Does, Idle, Mention};
use crate::model::Name;
use crate::snippet::Program;

/// A file that was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) program: Program,
    pub(super) place: String,
    pub(super) text: String,
}

/// What is switched off; its uses of zones are taken out of `mentions` where nothing else makes them.
pub(super) fn off(texts: &[Read], mentions: &mut Vec<Mention>) -> Vec<Idle> {
    let spamassassin: Vec<&Read> =
        texts.iter().filter(|read| read.program == Program::Spamassassin).collect();
    let parts = parts(texts);
    let mut idle = replaced(&parts, mentions);
    idle.extend(rules_off(&parts, mentions));
    idle.extend(scored_nothing(&spamassassin));
    idle.extend(written_again(&spamassassin));
    idle.extend(denied(&spamassassin));
    let_in(&spamassassin, mentions);
    idle
}

fn idle(program: Program, at: &str, zones: Vec<Name>, matters: bool, line: &str, does: &str) -> Idle {
    Idle {
        program,
        at: at.to_owned(),
        zones,
        matters,
        cause: format!("`{line}` {does}"),
        cure: Cure {
            how: format!("take that line out of {at}, and restart {}", cure::name(program)),
            lines: String::new(),
        },
    }
}

/// `enabled = false` of rspamd's module, or of one of its rules.
fn rules_off(parts: &[Part], mentions: &mut Vec<Mention>) -> Vec<Idle> {
    let mut zones: BTreeMap<(Block, Vec<String>), (Name, String)> = BTreeMap::new();
    let mut switched: BTreeMap<(Block, Vec<String>), (bool, &Part)> = BTreeMap::new();
    let mut module = None;
    for part in parts {
        let Some(value) = &part.value else { continue };
        let is_off = matches!(value.as_str(), "false" | "no" | "off");
        match part.name.as_str() {
            "enabled" if part.path == ["rbl"] => module = Some(part).filter(|_| is_off),
            "enabled" => drop(switched.insert(part.key(), (is_off, part))),
            "disabled" if part.path.len() > 1 => {
                let is_on = matches!(value.as_str(), "true" | "yes" | "on");
                switched.insert(part.key(), (is_on, part));
            }
            "rbl" => {
                let zone = value.trim_end_matches('.').parse().ok();
                zones.extend(zone.map(|zone| (part.key(), (zone, part.place.clone()))));
            }
            _ => {}
        }
    }
    let line = |part: &Part| format!("{} = {}", part.name, part.value.as_deref().unwrap_or_default());
    let module = module.map(|part| {
        idle(Program::Rspamd, &part.place, Vec::new(), true, &line(part), "switches the module off")
    });
    let off = switched.into_iter().filter(|(_, (is_off, _))| *is_off).filter_map(|(key, (_, part))| {
        let (zone, asks) = zones.get(&key)?;
        // Something else has taken its place.
        mentions.iter().find(|mention| mention.at == *asks)?;
        mentions.retain(|mention| mention.at != *asks);
        Some(idle(
            Program::Rspamd,
            &part.place,
            vec![zone.clone()],
            false,
            &line(part),
            "switches the rule off",
        ))
    });
    let off: Vec<Idle> = off.collect();
    module.into_iter().chain(off).collect()
}

/// The lines of SpamAssassin's files, without comments, and where each stands.
fn lines<'a>(texts: &'a [&Read]) -> impl Iterator<Item = (String, &'a str)> {
    texts.iter().flat_map(|read| {
        let lines = read.text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        lines.enumerate().map(|(at, line)| (format!("{}:{}", read.place, at + 1), line))
    })
}

/// The zones that each of SpamAssassin's rules looks into, by itself or by those that it is made of.
fn zones(texts: &[&Read]) -> BTreeMap<String, BTreeSet<Name>> {
    let mut sets: BTreeMap<String, BTreeSet<Name>> = BTreeMap::new();
    let mut rules: BTreeMap<String, BTreeSet<Name>> = BTreeMap::new();
    let parsed = |zone: &str| zone.trim_end_matches('.').parse::<Name>().ok();
    for (_, line) in lines(texts) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let zone = match words[..] {
            ["header", rule, ..] => {
                let Some(call) =
                    arguments(line, "eval:check_rbl(").or_else(|| arguments(line, "eval:check_rbl_txt("))
                else {
                    continue;
                };
                let [set, zone, ..] = &call[..] else { continue };
                sets.entry(set.clone()).or_default().extend(parsed(zone));
                (rule, parsed(zone))
            }
            ["urirhsbl" | "urirhssub", rule, zone, ..] => (rule, parsed(zone)),
            _ => continue,
        };
        rules.entry(zone.0.to_owned()).or_default().extend(zone.1);
    }
    for (_, line) in lines(texts) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (rule, more): (_, BTreeSet<Name>) = match words[..] {
            ["header", rule, ..] => {
                let Some(call) = arguments(line, "eval:check_rbl_sub(") else { continue };
                let set = call.first().and_then(|set| sets.get(set));
                (rule, set.into_iter().flatten().cloned().collect())
            }
            ["meta", rule, ..] => {
                let names = wanted(made_of(line)).into_iter();
                (rule, names.filter_map(|name| rules.get(name)).flatten().cloned().collect())
            }
            _ => continue,
        };
        rules.entry(rule.to_owned()).or_default().extend(more);
    }
    rules
}

/// The expression of a `meta RULE EXPRESSION`.
pub(super) fn made_of(line: &str) -> &str {
    let rule = line.trim_start().trim_start_matches("meta").trim_start();
    rule.split_once([' ', '\t']).map_or("", |(_, of)| of.trim())
}

/// Rules that score 0, which SpamAssassin does not run.
fn scored_nothing(texts: &[&Read]) -> Vec<Idle> {
    let mut scores: BTreeMap<&str, (bool, String, &str)> = BTreeMap::new();
    for (at, line) in lines(texts) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["score", rule, ref values @ ..] = words[..] else { continue };
        let of_lists: Vec<f64> = columns(values);
        let is_zero = of_lists.contains(&0.0);
        scores.insert(rule, (is_zero, at, line));
    }
    let rules = zones(texts);
    let off = scores.iter().filter(|(_, (is_zero, ..))| *is_zero).filter_map(|(rule, (_, at, line))| {
        let asks = rules.get(*rule).filter(|asks| !asks.is_empty())?;
        let zones = asks.iter().cloned().collect();
        // Somebody wrote that on purpose.
        Some(idle(Program::Spamassassin, at, zones, false, line, "switches the rule off"))
    });
    off.collect()
}

/// Rules of a name that a later line uses for something that asks nothing, such as `meta RULE (0)`.
fn written_again(texts: &[&Read]) -> Vec<Idle> {
    const KINDS: [&str; 6] = ["header", "body", "rawbody", "full", "uri", "meta"];
    // What hands on what a rule of links has found is part of it.
    let is_part = |line: &str| line.contains("eval:check_uridnsbl(");
    let mut last: BTreeMap<&str, (String, &str)> = BTreeMap::new();
    for (at, line) in lines(texts).filter(|(_, line)| !is_part(line)) {
        let mut words = line.split_whitespace();
        if let (Some(_), Some(rule)) = (words.next().filter(|kind| KINDS.contains(kind)), words.next()) {
            last.insert(rule, (at, line));
        }
    }
    let rules = zones(texts);
    let idle = last.into_iter().filter_map(|(rule, (at, line))| {
        let asked = rules.get(rule).filter(|asked| !asked.is_empty())?;
        // What is made of rules that ask asks.
        let is_meta = line.split_whitespace().next() == Some("meta");
        let of_lists = |name: &str| name != rule && rules.get(name).is_some_and(|asked| !asked.is_empty());
        let asks =
            line.contains("eval:check_rbl") || is_meta && wanted(made_of(line)).into_iter().any(of_lists);
        let zones = asked.iter().cloned().collect();
        (!asks).then(|| {
            idle(Program::Spamassassin, &at, zones, false, line, "takes the place of the rule of that name")
        })
    });
    idle.collect()
}

/// A rule of SpamAssassin's that is only there to be seen.
#[derive(Debug, PartialEq)]
pub(super) struct Faint {
    at: String,
    line: String,
    pub(super) zones: Vec<Name>,
}

impl Faint {
    pub(super) fn check(&self) -> Check {
        let Self { at, line, .. } = self;
        Check::ok(
            Area::Mail,
            format!("SpamAssassin, {at}: `{line}` shows who is listed, and weighs next to nothing"),
        )
    }
}

/// Rules with a score of 0.001 or so, which mark a mail and do no more.
pub(super) fn faint(texts: &[Read]) -> Vec<Faint> {
    const LEAST: f64 = 0.01;
    let texts: Vec<&Read> = texts.iter().filter(|read| read.program == Program::Spamassassin).collect();
    let mut scores: BTreeMap<&str, Option<(String, &str)>> = BTreeMap::new();
    for (at, line) in lines(&texts) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["score", rule, ref values @ ..] = words[..] else { continue };
        let is_faint = columns(values).iter().all(|score| *score != 0.0 && score.abs() <= LEAST);
        scores.insert(rule, is_faint.then_some((at, line)));
    }
    let rules = zones(&texts);
    let faint = scores.into_iter().filter_map(|(rule, faint)| {
        let zones: Vec<Name> = rules.get(rule)?.iter().cloned().collect();
        let (at, line) = faint.filter(|_| !zones.is_empty() && !rule.starts_with("__"))?;
        Some(Faint { at, line: line.to_owned(), zones })
    });
    faint.collect()
}

/// Of four scores, the second and the last are those of mail for which lists are asked, without and with what was learned.
pub(super) fn columns(values: &[&str]) -> Vec<f64> {
    let value = |at: usize| values.get(at).and_then(|value| value.parse().ok());
    match values.len() {
        4.. => [value(1), value(3)].into_iter().flatten().collect(),
        _ => value(0).into_iter().collect(),
    }
}

/// A rule with a score below 0 lets in whom its list has.
fn let_in(texts: &[&Read], mentions: &mut [Mention]) {
    let mut scores: BTreeMap<&str, bool> = BTreeMap::new();
    for (_, line) in lines(texts) {
        if let ["score", rule, ref values @ ..] = line.split_whitespace().collect::<Vec<_>>()[..] {
            scores.insert(rule, columns(values).iter().any(|score| *score < 0.0));
        }
    }
    let rules = zones(texts);
    for (_, line) in lines(texts) {
        let mut words = line.split_whitespace();
        let rule = words.next().filter(|word| *word == "header").and_then(|_| words.next());
        let Some(rule) = rule.filter(|rule| scores.get(rule) == Some(&true)) else { continue };
        let calls = ["eval:check_rbl_sub(", "eval:check_rbl("].iter().find_map(|call| arguments(line, call));
        let filter =
            calls.and_then(|call| call.get(call.len().max(2) - 1).map(|pattern| of_pattern(pattern)));
        let asked = rules.get(rule);
        for mention in mentions.iter_mut() {
            let is_of = asked.is_some_and(|zones| zones.contains(&mention.zone));
            if is_of && mention.program == Program::Spamassassin && filter.as_ref() == Some(&mention.filter) {
                mention.does = Does::Let;
            }
        }
    }
}

/// `dns_query_restriction deny DOMAIN`: of those that have a name the longest holds.
fn denied(texts: &[&Read]) -> Vec<Idle> {
    let mut restrictions: Vec<(Name, bool, String, &str)> = Vec::new();
    for (at, line) in lines(texts) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["clear_dns_query_restriction"] => restrictions.clear(),
            ["dns_query_restriction", does @ ("allow" | "deny"), ref domains @ ..] => {
                let domains = domains.iter().filter_map(|domain| domain.parse().ok());
                restrictions.extend(domains.map(|domain| (domain, does == "deny", at.clone(), line)));
            }
            _ => {}
        }
    }
    let asked: BTreeSet<Name> = zones(texts).into_values().flatten().collect();
    let mut denied: BTreeMap<(&str, &str), Vec<Name>> = BTreeMap::new();
    for zone in asked {
        let holds = restrictions.iter().filter(|(domain, ..)| zone.is_in(domain));
        if let Some((_, true, at, line)) = holds.max_by_key(|(domain, ..)| domain.to_string().len()) {
            denied.entry((at, line)).or_default().push(zone);
        }
    }
    let denied = denied.into_iter().map(|((at, line), zones)| {
        idle(Program::Spamassassin, at, zones, true, line, "keeps it from asking")
    });
    denied.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::mail::{rspamd, spamassassin};

    /// How many uses are left, and what is said: where, and whether mail passes.
    fn told(program: Program, files: &[(&str, &str)]) -> (usize, Vec<(String, bool)>) {
        let texts: Vec<Read> = files
            .iter()
            .map(|(place, text)| Read { program, place: (*place).to_owned(), text: (*text).to_owned() })
            .collect();
        let each = texts.iter().flat_map(|read| match program {
            Program::Rspamd => rspamd::mentions(&read.place, &read.text),
            _ => spamassassin::mentions(&read.place, &read.text),
        });
        let mut mentions = each.collect();
        let idle = off(&texts, &mut mentions).into_iter().map(|idle| (idle.at, idle.matters));
        let idle = idle.collect();
        (mentions.len(), idle)
    }

    #[test]
    fn rules_of_rspamd() {
        let rules = "rbl {\n rbls {\n  a { rbl = \"a.test\"; returncodes { A = [\"127.0.0.4\"]; } }\n  b { rbl = \"b.test\"; enabled = true; }\n }\n}\n";
        let told =
            |place, text| told(Program::Rspamd, &[(place, text), ("/etc/rspamd/rspamd.conf.local", rules)]);
        assert_eq!(told("/etc/rspamd/local.d/rbl.conf", "rbls { x { enabled = false; } }"), (2, vec![]));
        let module = "/etc/rspamd/local.d/rbl.conf:2".to_owned();
        assert_eq!(
            told("/etc/rspamd/local.d/rbl.conf", "# x\nenabled = false;\n"),
            (2, vec![(module, true)])
        );
        // What stands beside it changes nothing of it.
        let text = "rbls { \"b\" = { enabled = no; } }";
        assert_eq!(told("/etc/rspamd/override.d/rbl.conf", text), (2, vec![]));
        for off in ["enabled = no", "disabled = true"] {
            let within =
                rules.replace("rbl = \"b.test\"; enabled = true", &format!("rbl = \"b.test\"; {off}"));
            let local = "/etc/rspamd/rspamd.conf.local";
            assert_eq!(
                self::told(Program::Rspamd, &[(local, &within)]),
                (1, vec![(format!("{local}:4"), false)])
            );
        }
    }

    #[test]
    fn rules_of_spamassassin() {
        let rules = "header __A_ANY eval:check_rbl('a', 'a.test.')\nheader A eval:check_rbl_sub('a', '127.0.0.4')\nscore A 6.0\n\
                     urirhssub __B_1 b.test. A 127.0.0.4\nmeta B __B_1 || __B_2\nheader A2 eval:check_rbl_sub('a', '127.0.0.5')\n";
        let told = |text| told(Program::Spamassassin, &[("a.cf", rules), ("z.cf", text)]).1;
        let at = |matters| vec![("z.cf:1".to_owned(), matters)];
        assert_eq!(told("score A 0"), at(false));
        assert_eq!(told("score B 0 0 0 0"), at(false));
        assert_eq!(told("score A 0\nscore A 1"), []);
        assert_eq!(told("score C 0"), []);
        assert_eq!(told("score B 0 0 1 0"), at(false));
        assert_eq!(told("score A 6 0 6 6"), at(false));
        assert_eq!(told("score B 0 1 0 1"), []);
        for again in ["meta A (0)", "meta B 0", "meta A !__B_1", "header __A_ANY X =~ /a/", "meta __B_1 (0)"]
        {
            assert_eq!(told(again), at(false), "{again}");
        }
        for other in [
            "body __B_1 eval:check_uridnsbl('__B_1')",
            "header A eval:check_rbl_sub('a', '127.0.0.6')",
            "meta B __B_1 && A",
            "meta A __B_1 && !C",
            "meta C (0)",
        ] {
            assert_eq!(told(other), [], "{other}");
        }
        assert_eq!(told("dns_query_restriction deny test"), at(true));
        assert_eq!(told("dns_query_restriction deny x.test"), []);
        assert_eq!(told("dns_query_restriction deny test\ndns_query_restriction allow a.test b.test"), []);
        assert_eq!(told("dns_query_restriction deny test\nclear_dns_query_restriction"), []);
    }

    #[test]
    fn rules_that_are_there_to_be_seen() {
        let rules = "header A eval:check_rbl('a', 'a.test.', '127.0.0.4')\nmeta __M A\nheader B X =~ /b/\n";
        let faint = |scores: &str| {
            let read = Read {
                program: Program::Spamassassin,
                place: "a.cf".to_owned(),
                text: format!("{rules}{scores}\n"),
            };
            faint(&[read]).into_iter().map(|faint| (faint.at, faint.zones.len())).collect::<Vec<_>>()
        };
        let at = |line: usize| vec![(format!("a.cf:{line}"), 1)];
        assert_eq!(faint("score A 0.001"), at(4));
        assert_eq!(faint("score A -0.001"), at(4));
        assert_eq!(faint("score A 1 0.001 1 0.01"), at(4));
        for no in [
            "score A 1 0.001 1 2",
            "score A 0",
            "score A 0.001\nscore A 2",
            "score B 0.001",
            "score __M 0.001",
        ] {
            assert_eq!(faint(no), [], "{no}");
        }
    }
}
