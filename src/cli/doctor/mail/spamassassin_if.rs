//! SpamAssassin's `if` and `ifplugin`: what stands in a block whose condition does not hold is not there. Pure.

use std::collections::BTreeSet;

use super::super::super::snippet::Program;
use super::super::finding::Cure;
use super::off::Read;
use super::{Idle, spamassassin};

/// What the rules that are printed need, and every SpamAssassin has.
const ASKING: [&str; 2] = ["Mail::SpamAssassin::Plugin::DNSEval", "Mail::SpamAssassin::Plugin::URIDNSBL"];

/// A block that is open.
struct Block<'a> {
    /// Whether its lines count, where that can be told.
    holds: Option<bool>,
    condition: &'a str,
    at: usize,
}

/// Takes the lines that do not count out of the texts; what of them would ask lists has no effect.
/// `version` is that of the program, asked for where a condition needs it.
pub(super) fn resolve(texts: &mut [Read], version: impl FnOnce() -> Option<String>) -> Vec<Idle> {
    let is_of = |read: &&mut Read| read.program == Program::Spamassassin;
    // Where none of the files that load plugins is here, nobody can say what is loaded.
    let is_known = texts.iter().any(|read| read.place.ends_with(".pre"));
    let plugins: BTreeSet<String> = texts.iter().flat_map(|read| loaded(&read.text)).collect();
    let plugins = is_known.then_some(plugins);
    let asks_for_version = |read: &Read| {
        let mut lines = read.text.lines().map(str::trim_start);
        read.program == Program::Spamassassin
            && lines.any(|line| line.starts_with("if") && line.contains("version"))
    };
    let version = texts.iter().any(asks_for_version).then(version).flatten().and_then(|text| number(&text));
    let is_there = IsThere { plugins, version };
    texts.iter_mut().filter(is_of).flat_map(|read| resolve_one(read, &is_there)).collect()
}

/// What conditions ask for, as far as it is known.
struct IsThere {
    plugins: Option<BTreeSet<String>>,
    version: Option<[u32; 3]>,
}

/// `4.0.1`, `4.0`, and as Perl has them, `4.000001`.
fn number(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split('.');
    let first = parts.next()?.parse().ok()?;
    let second = parts.next().unwrap_or("0");
    let third = parts.next().unwrap_or("0");
    match second.len() {
        6 => Some([first, second[..3].parse().ok()?, second[3..].parse().ok()?]),
        _ => Some([first, second.parse().ok()?, third.parse().ok()?]),
    }
}

fn loaded(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        words.next().filter(|word| matches!(*word, "loadplugin" | "tryplugin"))?;
        words.next().map(str::to_owned)
    });
    lines.collect()
}

fn resolve_one(read: &mut Read, is_there: &IsThere) -> Vec<Idle> {
    let mut open: Vec<Block<'_>> = Vec::new();
    let mut counts = String::new();
    // By the line of the condition: its text, and what it hides, each where it stood.
    let mut hidden: Vec<(usize, &str, String)> = Vec::new();
    for (at, line) in read.text.lines().enumerate() {
        let plain = line.split('#').next().unwrap_or_default().trim();
        let (word, rest) = plain.split_once([' ', '\t', '(']).unwrap_or((plain, ""));
        match word {
            "ifplugin" => {
                let holds = is_there.plugins.as_ref().map(|plugins| plugins.contains(rest.trim()));
                open.push(Block { holds, condition: plain, at });
            }
            "if" => open.push(Block { holds: holds(plain[2..].trim(), is_there), condition: plain, at }),
            "else" => {
                if let Some(block) = open.last_mut() {
                    *block = Block { holds: block.holds.map(|holds| !holds), condition: plain, at };
                }
            }
            "endif" => drop(open.pop()),
            _ => {
                if let Some(block) = open.iter().find(|block| block.holds == Some(false)) {
                    if hidden.last().is_none_or(|(of, ..)| *of != block.at) {
                        hidden.push((block.at, block.condition, "\n".repeat(at)));
                    }
                    let (.., lines) = hidden.last_mut().expect("one at least");
                    let missing = at - lines.matches('\n').count();
                    lines.push_str(&"\n".repeat(missing));
                    lines.push_str(line);
                    lines.push('\n');
                } else {
                    counts.push_str(line);
                }
            }
        }
        counts.push('\n');
    }
    let place = &read.place;
    let idle: Vec<Idle> =
        hidden.iter().filter_map(|(at, condition, lines)| idle(place, *at, condition, lines)).collect();
    read.text = counts;
    idle
}

/// `plugin(NAME)`, with or without a `!`, `version >= 4.0`, and numbers; what else there is may hold.
fn holds(condition: &str, is_there: &IsThere) -> Option<bool> {
    let plain: String = condition.chars().filter(|c| !c.is_whitespace()).collect();
    let inner = plain.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let plain =
        inner.filter(|inner| inner.find(')').is_none_or(|end| inner[..end].contains('('))).unwrap_or(&plain);
    if let Some(rest) = plain.strip_prefix('!') {
        return holds(rest, is_there).map(|holds| !holds);
    }
    match plain {
        "0" | "false" => return Some(false),
        "1" | "true" => return Some(true),
        _ => {}
    }
    if let Some(rest) = plain.strip_prefix("version") {
        let version = is_there.version?;
        let end = rest.find(|c: char| c.is_ascii_digit())?;
        let other = number(&rest[end..])?;
        return Some(match &rest[..end] {
            ">=" => version >= other,
            ">" => version > other,
            "<=" => version <= other,
            "<" => version < other,
            "==" => version == other,
            "!=" => version != other,
            _ => return None,
        });
    }
    let name = plain.strip_prefix("plugin(")?.strip_suffix(')')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_');
    name.chars().all(is_name).then_some(())?;
    Some(is_there.plugins.as_ref()?.contains(name))
}

fn idle(place: &str, at: usize, condition: &str, lines: &str) -> Option<Idle> {
    let mentions = spamassassin::mentions(place, lines);
    let first = mentions.first()?;
    let asking = ASKING
        .iter()
        .find(|plugin| condition.strip_prefix("ifplugin").is_some_and(|name| name.trim() == **plugin));
    let cure = match asking {
        Some(plugin) => Cure {
            how: "in a file *.pre beside it, then restart what calls SpamAssassin".to_owned(),
            lines: format!("loadplugin {plugin}"),
        },
        None => Cure {
            how: format!(
                "take these rules out of the block that begins at {place}:{}, and restart what calls SpamAssassin",
                at + 1
            ),
            lines: String::new(),
        },
    };
    Some(Idle {
        program: Program::Spamassassin,
        at: first.at.clone(),
        zones: mentions.iter().map(|mention| mention.zone.clone()).collect(),
        matters: false,
        cause: format!(
            "`{condition}` at line {} does not hold, so that what stands behind it is not there",
            at + 1
        ),
        cure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which lines of the text count, and what is told: where, and the line to paste.
    fn told(pre: Option<&str>, text: &str) -> (String, Vec<(String, String)>) {
        let read = |place: &str, text: &str| Read {
            program: Program::Spamassassin,
            place: place.to_owned(),
            text: text.to_owned(),
        };
        let mut texts: Vec<Read> = pre.map(|pre| read("init.pre", pre)).into_iter().collect();
        texts.push(read("a.cf", text));
        let idle = resolve(&mut texts, || Some("4.0.1".to_owned()));
        let counts: String = texts.pop().unwrap().text.split_whitespace().collect::<Vec<_>>().join(" ");
        (counts, idle.into_iter().map(|idle| (idle.at, idle.cure.lines)).collect())
    }

    const RULE: &str = "header A eval:check_rbl('a', 'a.test.', '127.0.0.4')";

    #[test]
    fn versions_are_compared() {
        for (condition, holds) in [
            ("version >= 4.0", true),
            ("version >= 4.000000", true),
            ("(version >= 4.000002)", false),
            ("version < 4", false),
            ("version == 4.0.1", true),
        ] {
            let (counts, idle) = told(None, &format!("if {condition}\n{RULE}\nelse\nother\nendif\n"));
            assert_eq!(
                (counts.contains("header A"), counts.contains("other")),
                (holds, !holds),
                "{condition}"
            );
            assert_eq!(idle.len(), usize::from(!holds));
        }
    }

    #[test]
    fn blocks_whose_condition_does_not_hold() {
        let pre = Some("# x\nloadplugin Mail::SpamAssassin::Plugin::SPF\n");
        let block = |condition: &str| format!("{condition}\n{RULE}\nelse\nother\nendif\nscore A 1\n");
        let hidden = ("other score A 1".to_owned(), vec![("a.cf:2".to_owned(), String::new())]);
        let shown = (format!("{RULE} score A 1"), vec![]);
        for condition in
            ["ifplugin Mail::No", "if plugin(Mail::No)", "if (plugin (Mail::No))", "if 0", "if (!1)"]
        {
            assert_eq!(told(pre, &block(condition)), hidden, "{condition}");
        }
        let spf = "Mail::SpamAssassin::Plugin::SPF";
        for condition in [
            "ifplugin SPF",
            "if !(plugin(Mail::No))",
            "if !plugin(Mail::No)",
            "if can(Mail::No::x)",
            "if (version >= 3)",
        ] {
            let (counts, idle) = told(pre, &block(&condition.replace("SPF", spf)));
            assert!(counts.starts_with("header A") && idle.is_empty(), "{condition}: {counts}");
        }
        assert_eq!(told(pre, &block(&format!("ifplugin {spf}"))), shown);
        // Without what loads plugins nobody knows.
        assert_eq!(told(None, &block("ifplugin Mail::No")).1, []);
        // A block within one that does not hold does not, either; and what is no rule is not told.
        let within = format!("if 0\nif 1\n{RULE}\nendif\nendif\nif 0\nscore A 0\nendif\n");
        assert_eq!(told(pre, &within), (String::new(), vec![("a.cf:3".to_owned(), String::new())]));
        let eval = "Mail::SpamAssassin::Plugin::DNSEval";
        let (_, idle) = told(pre, &block(&format!("ifplugin {eval}")));
        assert_eq!(idle[0].1, format!("loadplugin {eval}"));
    }
}
