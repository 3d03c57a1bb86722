//! SpamAssassin's `if` and `ifplugin`: what stands in a block whose condition does not hold is not there. Pure.
//!
//! Where nobody can tell here whether it holds, its lines are neither there nor not: nothing is said of them but that.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::finding::{Area, Check, Cure};
use super::super::off::Read;
use super::super::{Idle, spamassassin};
use super::condition::{Known, holds, number};
use crate::model::Name;
use crate::snippet::Program;

/// What the rules that are printed need, and every SpamAssassin has.
const ASKING: [&str; 2] = ["Mail::SpamAssassin::Plugin::DNSEval", "Mail::SpamAssassin::Plugin::URIDNSBL"];

/// What conditions hide.
#[derive(Debug, Default)]
pub(in super::super) struct Resolved {
    /// Rules that would ask lists and are not there, nor is another that asks the same.
    pub(in super::super) hidden: Vec<Idle>,
    pub(in super::super) undecided: Vec<Undecided>,
}

/// A block of which nobody knows whether it counts.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Undecided {
    at: String,
    condition: String,
    /// What its lines ask, and lines that they may take the place of.
    pub(in super::super) zones: Vec<Name>,
}

/// A condition, or what stands behind its `else`.
#[derive(Debug)]
struct Block {
    condition: String,
    /// Its file among the texts, and its line there.
    file: usize,
    at: usize,
    /// Whether its lines count, where that can be told.
    holds: Option<bool>,
}

/// What becomes of a line; by the number of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Counts,
    Hidden(usize),
    Undecided(usize),
    /// The conditions themselves.
    Spent,
}

/// Takes the lines that do not count, or perhaps do not, out of the texts. `version` is that of the program, asked for where a condition
/// needs it; `is_whole`: all its files could be read.
pub(in super::super) fn resolve(
    texts: &mut [Read],
    is_whole: bool,
    version: impl FnOnce() -> Option<String>,
) -> Resolved {
    let asks_for_version = |read: &Read| {
        read.program == Program::Spamassassin
            && read.text.lines().map(parted).any(|(key, rest)| key == "if" && rest.contains("version"))
    };
    let version = texts.iter().any(asks_for_version).then(version).flatten().and_then(|text| number(&text));
    // Where none of the files that load plugins is here, nobody can say what is loaded.
    let is_known = is_whole && texts.iter().any(|read| read.place.ends_with(".pre"));
    let mut reading = Reading { version, is_known, plugins: BTreeMap::new(), blocks: Vec::new() };
    let fates: Vec<Vec<Fate>> =
        texts.iter().enumerate().map(|(file, read)| reading.fates(file, read)).collect();
    let (blocks, fates) = (reading.blocks, unsettled(texts, fates));
    let resolved = told(texts, &blocks, &fates);
    for (read, fates) in texts.iter_mut().zip(&fates) {
        if read.program == Program::Spamassassin {
            read.text = with_fate(&read.text, fates, Fate::Counts);
        }
    }
    resolved
}

/// A line's first word and the rest, without its comment.
fn parted(line: &str) -> (String, &str) {
    let plain = line.split('#').next().unwrap_or_default().trim();
    let (key, rest) = plain.split_once([' ', '\t']).unwrap_or((plain, ""));
    (key.to_ascii_lowercase().replace('-', "_"), rest.trim())
}

/// What is known while the files are read, one after the other.
struct Reading {
    version: Option<f64>,
    is_known: bool,
    /// Those that are loaded, and whether surely.
    plugins: BTreeMap<String, bool>,
    blocks: Vec<Block>,
}

impl Reading {
    /// What becomes of each line of a file.
    fn fates(&mut self, file: usize, read: &Read) -> Vec<Fate> {
        if read.program != Program::Spamassassin {
            return Vec::new();
        }
        // The blocks that are open: none goes on in the next file.
        let mut open: Vec<usize> = Vec::new();
        let lines = read.text.lines().enumerate().map(|(at, line)| {
            let (key, rest) = parted(line);
            match (key.as_str(), rest) {
                ("ifplugin", name) if !name.is_empty() => {
                    let holds = self.plugin(name);
                    open.push(self.open(format!("ifplugin {name}"), (file, at), holds));
                }
                ("if", condition) if !condition.is_empty() => {
                    let known = Known { plugin: &|name| self.plugin(name), version: self.version };
                    let holds = holds(condition, &known);
                    open.push(self.open(format!("if {condition}"), (file, at), holds));
                }
                ("else", "") => {
                    if let Some(last) = open.pop() {
                        let Block { condition, holds, .. } = &self.blocks[last];
                        let holds = holds.map(|holds| !holds);
                        let condition = match condition.strip_prefix("else of ") {
                            Some(condition) => condition.to_owned(),
                            None => format!("else of {condition}"),
                        };
                        open.push(self.open(condition, (file, at), holds));
                    }
                }
                ("endif", "") => drop(open.pop()),
                _ => {
                    let fate = self.fate(&open);
                    self.load(&key, rest, fate);
                    return fate;
                }
            }
            Fate::Spent
        });
        lines.collect()
    }

    fn open(&mut self, condition: String, (file, at): (usize, usize), holds: Option<bool>) -> usize {
        self.blocks.push(Block { condition, file, at, holds });
        self.blocks.len() - 1
    }

    fn fate(&self, open: &[usize]) -> Fate {
        let first =
            |holds: Option<bool>| open.iter().copied().find(|block| self.blocks[*block].holds == holds);
        match (first(Some(false)), first(None)) {
            (Some(block), _) => Fate::Hidden(block),
            (None, Some(block)) => Fate::Undecided(block),
            (None, None) => Fate::Counts,
        }
    }

    fn plugin(&self, name: &str) -> Option<bool> {
        match self.plugins.get(now_named(name)) {
            Some(true) => Some(true),
            Some(false) => None,
            None => self.is_known.then_some(false),
        }
    }

    /// What a line loads holds for those behind it. `tryplugin` says nothing where there is no such plugin.
    fn load(&mut self, key: &str, rest: &str, fate: Fate) {
        let is_surely = match (key, fate) {
            ("loadplugin", Fate::Counts) => true,
            ("loadplugin", Fate::Undecided(_)) | ("tryplugin", Fate::Counts | Fate::Undecided(_)) => false,
            _ => return,
        };
        if let Some(name) = rest.split_whitespace().next() {
            *self.plugins.entry(now_named(name).to_owned()).or_default() |= is_surely;
        }
    }
}

/// Plugins that SpamAssassin knows by an older name, too.
fn now_named(plugin: &str) -> &str {
    match plugin {
        "Mail::SpamAssassin::Plugin::Dmarc" => "Mail::SpamAssassin::Plugin::DMARC",
        "Mail::SpamAssassin::Plugin::WhiteListSubject" => "Mail::SpamAssassin::Plugin::WelcomeListSubject",
        name => name,
    }
}

/// What a later line that may count would take the place of counts perhaps, too.
fn unsettled(texts: &[Read], mut fates: Vec<Vec<Fate>>) -> Vec<Vec<Fate>> {
    let mut later: BTreeMap<String, usize> = BTreeMap::new();
    for (read, fates) in texts.iter().zip(&mut fates).rev() {
        let lines: Vec<&str> = read.text.lines().collect();
        for (line, fate) in lines.into_iter().zip(fates).rev() {
            let setting = setting(line);
            match *fate {
                Fate::Undecided(block) => drop(later.insert(setting, block)),
                Fate::Counts => {
                    if let Some(block) = later.get(&setting).filter(|_| !setting.is_empty()) {
                        *fate = Fate::Undecided(*block);
                    }
                }
                Fate::Hidden(_) | Fate::Spent => {}
            }
        }
    }
    fates
}

/// What a line sets: a rule, a rule's score, or something of the program's.
fn setting(line: &str) -> String {
    const RULES: [&str; 8] = ["header", "meta", "body", "rawbody", "full", "uri", "urirhsbl", "urirhssub"];
    let (key, rest) = parted(line);
    let name = rest.split_whitespace().next().unwrap_or_default();
    match key.as_str() {
        "score" | "tflags" | "describe" | "priority" => format!("{key} {name}"),
        rule if RULES.contains(&rule) => format!("rule {name}"),
        "clear_dns_query_restriction" => "dns_query_restriction".to_owned(),
        "clear_dns_servers" => "dns_server".to_owned(),
        _ => key,
    }
}

/// The lines of this fate, each where it stood.
fn with_fate(text: &str, fates: &[Fate], wanted: Fate) -> String {
    let lines = text.lines().zip(fates).map(|(line, fate)| if *fate == wanted { line } else { "" });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// What is to be said of each block.
fn told(texts: &[Read], blocks: &[Block], fates: &[Vec<Fate>]) -> Resolved {
    let asked = |wanted: &dyn Fn(Fate) -> bool| -> Vec<super::super::Mention> {
        let of_file = texts.iter().zip(fates).flat_map(|(read, fates)| {
            let lines =
                read.text.lines().zip(fates).map(|(line, fate)| if wanted(*fate) { line } else { "" });
            let lines: String = lines.flat_map(|line| [line, "\n"]).collect();
            spamassassin::mentions(&read.place, &lines)
        });
        of_file.collect()
    };
    let may_count = asked(&|fate| matches!(fate, Fate::Counts | Fate::Undecided(_)));
    let may_count: BTreeSet<Name> = may_count.into_iter().map(|mention| mention.zone).collect();
    let mut resolved = Resolved::default();
    for (number, block) in blocks.iter().enumerate() {
        let place = &texts[block.file].place;
        if block.holds == Some(false) {
            let hidden = asked(&|fate| fate == Fate::Hidden(number));
            // One of several blocks counts, as it was meant: for older versions, without a plugin.
            let zones: Vec<Name> = hidden
                .iter()
                .map(|hidden| hidden.zone.clone())
                .filter(|zone| !may_count.contains(zone))
                .collect();
            if let Some(first) = hidden.iter().find(|hidden| zones.contains(&hidden.zone)) {
                resolved.hidden.push(idle(place, block, first.at.clone(), zones));
            }
        } else if block.holds.is_none() {
            let wanted = |fate| fate == Fate::Undecided(number);
            let zones: BTreeSet<Name> = asked(&wanted).into_iter().map(|mention| mention.zone).collect();
            let is_off = || {
                let lines = texts.iter().zip(fates);
                let mut lines =
                    lines.map(|(read, fates)| with_fate(&read.text, fates, Fate::Undecided(number)));
                lines.any(|lines| spamassassin::off(&lines).is_some())
            };
            if !zones.is_empty() || is_off() {
                resolved.undecided.push(Undecided {
                    at: format!("{place}:{}", block.at + 1),
                    condition: block.condition.clone(),
                    zones: zones.into_iter().collect(),
                });
            }
        }
    }
    resolved
}

impl Undecided {
    pub(in super::super) fn check(&self) -> Check {
        let Self { at, condition, zones } = self;
        let zones: Vec<String> = zones.iter().map(ToString::to_string).collect();
        let asks =
            if zones.is_empty() { "asks lists".to_owned() } else { format!("asks {}", zones.join(", ")) };
        Check::unknown(
            Area::Mail,
            "mail-undecided",
            format!("SpamAssassin, {at}: what {asks} was not looked into"),
        )
        .because(format!("whether `{condition}` holds cannot be told here"))
        .cured_by("where it is to be looked into, rules that ask lists stand outside of such a block")
    }
}

fn idle(place: &str, block: &Block, at: String, zones: Vec<Name>) -> Idle {
    let Block { condition, .. } = block;
    let line = block.at + 1;
    let asking = ASKING.iter().find(|plugin| condition.strip_prefix("ifplugin ") == Some(**plugin));
    let cure = match asking {
        Some(plugin) => Cure {
            how: "in a file *.pre beside it, then restart what calls SpamAssassin".to_owned(),
            lines: format!("loadplugin {plugin}"),
        },
        None => Cure {
            how: format!(
                "take these rules out of the block that begins at {place}:{line}, and restart what calls SpamAssassin"
            ),
            lines: String::new(),
        },
    };
    Idle {
        program: Program::Spamassassin,
        at,
        zones,
        matters: false,
        cause: format!(
            "`{condition}` at line {line} does not hold, so that what stands behind it is not there"
        ),
        cure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(pre: Option<&str>, text: &str, version: Option<&str>) -> (String, Resolved) {
        let read = |place: &str, text: &str| Read {
            program: Program::Spamassassin,
            place: place.to_owned(),
            text: text.to_owned(),
        };
        let mut texts: Vec<Read> = pre.map(|pre| read("init.pre", pre)).into_iter().collect();
        texts.push(read("a.cf", text));
        let resolved = resolve(&mut texts, true, || version.map(str::to_owned));
        let counts = texts.pop().unwrap().text.split_whitespace().collect::<Vec<_>>().join(" ");
        (counts, resolved)
    }

    /// Which lines of the text count, and what is told: where, and the line to paste.
    fn told(pre: Option<&str>, text: &str) -> (String, Vec<(String, String)>) {
        let (counts, resolved) = resolved(pre, text, Some("4.0.1"));
        (counts, resolved.hidden.into_iter().map(|idle| (idle.at, idle.cure.lines)).collect())
    }

    const RULE: &str = "header A eval:check_rbl('a', 'a.test.', '127.0.0.4')";

    /// One of the two blocks counts, and the other is none that somebody forgot.
    #[test]
    fn rules_for_two_versions() {
        const OLD: &str = "header A eval:check_rbl('a', 'a.test.')";
        for (condition, holds) in [("(version >= 3.004)", true), ("(version >= 4.000002)", false)] {
            let text = format!("if {condition}\n{RULE}\nelse\n{OLD}\nendif\nscore A 1\n");
            let (counts, resolved) = resolved(None, &text, Some("4.0.1"));
            let wanted = if holds { RULE } else { OLD };
            assert_eq!(counts, format!("{wanted} score A 1"), "{condition}");
            assert!(resolved.hidden.is_empty() && resolved.undecided.is_empty(), "{resolved:?}");
        }
        // Without a version neither counts, and that is said.
        let text = format!("score A 0\nif (version >= 3.004)\n{RULE}\nelse\n{OLD}\nendif\n");
        let (counts, told) = resolved(None, &text, None);
        assert_eq!((counts.as_str(), told.hidden), ("score A 0", vec![]));
        let places: Vec<&str> = told.undecided.iter().map(|undecided| undecided.at.as_str()).collect();
        assert_eq!(places, ["a.cf:2", "a.cf:4"]);
        assert_eq!(told.undecided[0].zones, ["a.test".parse().unwrap()]);
        // What asks nowhere else is missing.
        let (_, idle) = self::told(None, &format!("if version < 4\n{RULE}\nelse\nother\nendif\n"));
        assert_eq!(idle, [("a.cf:2".to_owned(), String::new())]);
    }

    /// What may be set again counts perhaps, too; what is set again for sure does not.
    #[test]
    fn what_a_block_may_set_again() {
        let may = "if can(Mail::A::b)\nscore A 6\nskip_rbl_checks 0\nheader B eval:check_rbl('b', 'b.test.')\nendif\n";
        let before = format!("{RULE}\nscore A 0\nscore C 0\nskip_rbl_checks 1\nurirhsbl B c.test. A\n");
        let (counts, told) = resolved(None, &(before + may + "score A 2\n"), Some("4.0.1"));
        assert_eq!(counts, format!("{RULE} score C 0 score A 2"));
        assert_eq!(told.undecided.len(), 1);
        let names: Vec<String> = told.undecided[0].zones.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["b.test", "c.test"]);
        assert!(
            resolved(None, "if can(Mail::A::b)\nskip_rbl_checks 1\nendif\n", None).1.undecided.len() == 1
        );
        assert!(resolved(None, "if can(Mail::A::b)\nscore A 1\nendif\n", None).1.undecided.is_empty());
    }

    /// A plugin is there from the line that loads it on; and where that line may not count, perhaps.
    #[test]
    fn plugins_are_loaded_in_their_order() {
        let block = format!("ifplugin Mail::Two\n{RULE}\nendif\n");
        let told = |pre: &str, before: &str| {
            let (counts, told) = resolved(Some(pre), &(before.to_owned() + &block), Some("4.0.1"));
            (counts.contains("header"), told.hidden.len(), told.undecided.len())
        };
        let load = "loadplugin Mail::Two /x.pm\n";
        assert_eq!(told("", load), (true, 0, 0));
        assert_eq!(told(&format!("if 0\n{load}endif\n"), ""), (false, 1, 0));
        assert_eq!(told(&format!("if can(Mail::A::b)\n{load}endif\n"), ""), (false, 0, 1));
        assert_eq!(told("tryplugin Mail::Two\n", ""), (false, 0, 1));
        let (counts, _) = resolved(Some(""), &(block.clone() + load), None);
        assert!(!counts.contains("header"), "{counts}");
        // Where a file cannot be read it may stand there.
        let mut texts = [("init.pre", ""), ("a.cf", block.as_str())].map(|(place, text)| Read {
            program: Program::Spamassassin,
            place: place.to_owned(),
            text: text.to_owned(),
        });
        let told = resolve(&mut texts, false, || None);
        assert_eq!((told.hidden.len(), told.undecided.len()), (0, 1));
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
            "if (! plugin(Mail::No)) && (version >= 3.004)",
            "IF (version >= 3)",
        ] {
            let (counts, idle) = told(pre, &block(&condition.replace("SPF", spf)));
            assert!(counts.starts_with("header A") && idle.is_empty(), "{condition}: {counts}");
        }
        assert_eq!(told(pre, &block(&format!("ifplugin {spf}"))), shown);
        // Without what loads plugins nobody knows.
        assert_eq!(told(None, &block("ifplugin Mail::No")), ("score A 1".to_owned(), vec![]));
        // No condition is known by a word that a sign is part of, nor one with words behind it.
        let glued = format!("if(0)\n{RULE}\nelse\nother\nendif\n");
        assert_eq!(told(pre, &glued).0, format!("if(0) {RULE} other"));
        // A block within one that does not hold does not, either; and what is no rule is not told.
        let within = format!("if 0\nif 1\n{RULE}\nendif\nendif\nif 0\nscore A 0\nendif\n");
        assert_eq!(told(pre, &within), (String::new(), vec![("a.cf:3".to_owned(), String::new())]));
        let eval = "Mail::SpamAssassin::Plugin::DNSEval";
        let (_, idle) = told(pre, &block(&format!("ifplugin {eval}")));
        assert_eq!(idle[0].1, format!("loadplugin {eval}"));
    }
}
