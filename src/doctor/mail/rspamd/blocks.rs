//! Which of rspamd's rules count where several files, or several blocks of a file, have `rbls { … }`: of those that stand side by side rspamd
//! looks at the last alone, and what overrides takes the place of all of another's. Pure.

use std::collections::BTreeMap;

use super::super::super::finding::{Area, Check, Cure};
use super::super::off::Read;
use super::super::{Idle, Mention};
use crate::model::Name;
use crate::snippet::Program;
use crate::snippet::rspamd::INCLUDE;

/// What a statement stands in: with others of the same it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Block {
    /// rspamd's own, which local.d and files that are merged go into.
    Module { is_merged: bool },
    /// What takes the place of its settings, each whole.
    Override,
    /// Beside it, in the order in which they stand.
    Beside(usize),
    /// In the place of all of these.
    Instead(usize),
}

/// A block that is opened, or a setting.
#[derive(Debug)]
pub(in super::super) struct Part {
    pub(in super::super) place: String,
    pub(in super::super) block: Block,
    pub(in super::super) path: Vec<String>,
    /// Its name, and what is set; nothing where a block is opened.
    pub(in super::super) name: String,
    pub(in super::super) value: Option<String>,
}

impl Part {
    fn is_rules(&self) -> bool {
        self.path == ["rbl"] && self.name == "rbls"
    }

    /// By which those are told apart that are merged.
    pub(in super::super) fn key(&self) -> (Block, Vec<String>) {
        let block = match self.block {
            // What overrides and is merged into is one.
            Block::Module { .. } | Block::Override => Block::Module { is_merged: false },
            block => block,
        };
        (block, self.path.clone())
    }
}

/// All that rspamd's files say, what overrides last.
pub(in super::super) fn parts(texts: &[Read]) -> Vec<Part> {
    let mut rspamd: Vec<&Read> = texts.iter().filter(|read| read.program == Program::Rspamd).collect();
    rspamd.sort_by_key(|read| overrides(read));
    let mut number = 0;
    rspamd.into_iter().flat_map(|read| parts_of(read, is_merged(read, texts), &mut number)).collect()
}

fn overrides(read: &Read) -> bool {
    read.place.contains("/override.d/") || read.place.ends_with(".override")
}

/// Whether what includes the file has it merged with what is there.
fn is_merged(read: &Read, texts: &[Read]) -> bool {
    let name = read.place.rsplit('/').next().unwrap_or_default();
    let mut lines = texts.iter().flat_map(|other| other.text.lines());
    lines.any(|line| {
        let line = line.trim_start();
        line.starts_with(".include")
            && line.contains("duplicate=merge")
            && line.contains(&format!("/{name}\""))
    })
}

fn parts_of(read: &Read, is_merged: bool, number: &mut usize) -> Vec<Part> {
    let is_of_module = read.place.ends_with("/rbl.conf");
    let mut path: Vec<String> = Vec::new();
    if is_of_module {
        path.push("rbl".to_owned());
    }
    let mut parts = Vec::new();
    for (at, line) in read.text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let parted = line.replace('{', "{;").replace('}', ";};");
        for part in parted.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            if part == "}" {
                path.pop();
                continue;
            }
            let (name, value) = match part.strip_suffix('{') {
                Some(name) => (name.trim().trim_end_matches('=').trim(), None),
                None => match part.split_once('=') {
                    Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"').to_owned())),
                    None => continue,
                },
            };
            let name = name.trim_matches('"').to_owned();
            *number += usize::from(path.is_empty());
            let block = match (is_of_module, overrides(read)) {
                (true, true) => Block::Override,
                (true, false) => Block::Module { is_merged: false },
                (false, true) => Block::Instead(*number),
                (false, false) if is_merged => Block::Module { is_merged },
                (false, false) => Block::Beside(*number),
            };
            let is_opened = value.is_none();
            parts.push(Part {
                place: format!("{}:{}", read.place, at + 1),
                block,
                path: path.clone(),
                name: name.clone(),
                value,
            });
            if is_opened {
                path.push(name);
            }
        }
    }
    parts
}

/// Rules that another block takes the place of; their uses are taken out of `mentions`.
pub(in super::super) fn replaced(parts: &[Part], mentions: &mut Vec<Mention>) -> Vec<Idle> {
    let Some((holds, by)) = holding(parts) else { return Vec::new() };
    let mut lost: Vec<(&str, &str, &str)> = Vec::new();
    let overriding = parts.iter().find(|part| part.block == Block::Override && part.is_rules());
    let asking = parts.iter().filter(|part| part.name == "rbl" && part.value.is_some());
    for part in asking {
        let is_of_module = matches!(part.block, Block::Module { .. } | Block::Override);
        let taken_by = match (part.block, overriding) {
            _ if is_of_module != matches!(holds, Block::Module { .. }) => Some(by),
            (Block::Beside(_) | Block::Instead(_), _) if part.block != holds => Some(by),
            (Block::Module { is_merged: false }, Some(overriding)) => Some(overriding),
            _ => None,
        };
        lost.extend(taken_by.map(|by| (&*part.place, &*by.place, &*by.name)));
    }
    let mut idle: BTreeMap<(&str, &str), Vec<&Mention>> = BTreeMap::new();
    for (place, by, name) in &lost {
        let here = mentions.iter().filter(|mention| mention.at == *place);
        idle.entry((by, name)).or_default().extend(here);
    }
    let idle = idle.into_iter().filter_map(|((by, name), asked)| {
        Some(Idle {
            program: Program::Rspamd,
            at: asked.first()?.at.clone(),
            zones: asked.iter().map(|mention| mention.zone.clone()).collect(),
            matters: false,
            cause: format!("`{name}` at {by} takes the place of it: of several rspamd looks at one alone"),
            cure: out(name, by, &beside_older(parts, by)),
        })
    });
    let idle: Vec<Idle> = idle.collect();
    mentions.retain(|mention| !lost.iter().any(|(place, ..)| mention.at == *place));
    idle
}

fn out(name: &str, by: &str, more: &[String]) -> Cure {
    let how = match more {
        [] => format!(
            "take the block `{name}` at {by} out, with its other rules beside these where it has some, and restart rspamd"
        ),
        [others @ .., last] => {
            let others: String = others.iter().map(|other| format!(", {other}")).collect();
            format!(
                "take the blocks `{name}` at {by}{others} and {last} out, which are of an older text, with other rules beside these where there are some, and restart rspamd"
            )
        }
    };
    Cure { how, lines: String::new() }
}

/// The other blocks of an older text that the rules at `by` are of: its weights, and its `force_actions`, which would put one's own out of
/// force.
fn beside_older(parts: &[Part], by: &str) -> Vec<String> {
    let file = |place: &str| place.rsplit_once(':').map_or(place, |(file, _)| file).to_owned();
    let older = parts.iter().filter(|part| {
        file(&part.place) == file(by) && matches!(part.block, Block::Beside(_) | Block::Instead(_))
    });
    let of_older: Vec<&Part> = older.collect();
    let is_of_gatepost = |opened: &Part| {
        let within =
            |part: &&&Part| part.block == opened.block && part.path.len() == 2 && part.value.is_none();
        let mut within = of_older.iter().filter(within).peekable();
        within.peek().is_some() && within.all(|part| part.name.starts_with("GATEPOST_"))
    };
    let is_beside = |part: &&&Part| {
        let is_block = part.path.is_empty() && part.value.is_none();
        is_block && (part.name == "force_actions" || part.name.starts_with("group")) && is_of_gatepost(part)
    };
    // The name of a group has lost its last sign.
    let name = |part: &Part| match part.name.contains('"') {
        true => format!("{}\"", part.name),
        false => part.name.clone(),
    };
    of_older.iter().filter(is_beside).map(|part| format!("`{}` at {}", name(part), part.place)).collect()
}

/// Rules beside which rspamd looks at none of its own.
#[derive(Debug)]
pub(in super::super) struct Alone {
    at: String,
    pub(in super::super) zones: Vec<Name>,
}

impl Alone {
    pub(in super::super) fn check(&self) -> Check {
        let what =
            format!("rspamd, {}: these rules take the place of all others, rspamd's own among them", self.at);
        Check::warn(Area::Mail, "mail-set-again", what)
            .because("of blocks `rbl` that stand side by side rspamd looks at the last alone: lists that it asks by itself, and those of local.d/rbl.conf, are asked no more; so it is with `force_actions`")
            .cured(Cure {
                how: "move what is gatepost's out of that file, whole, to /etc/rspamd/gatepost.conf, have this line in /etc/rspamd/rspamd.conf.local, and restart rspamd".to_owned(),
                lines: INCLUDE.to_owned(),
            })
    }
}

/// `mentions` are those that are left.
pub(in super::super) fn alone(parts: &[Part], mentions: &[Mention]) -> Option<Alone> {
    let (holds, by) = holding(parts).filter(|(block, _)| !matches!(block, Block::Module { .. }))?;
    let asks = |mention: &&Mention| {
        parts.iter().any(|part| part.block == holds && part.name == "rbl" && part.place == mention.at)
    };
    let zones: Vec<Name> = mentions.iter().filter(asks).map(|mention| mention.zone.clone()).collect();
    (!zones.is_empty()).then(|| Alone { at: by.place.clone(), zones })
}

/// The block whose rules rspamd looks at, and where it begins.
fn holding(parts: &[Part]) -> Option<(Block, &Part)> {
    let blocks = |part: &&Part| part.path.is_empty() && part.name == "rbl";
    let instead = parts.iter().filter(blocks).rfind(|part| matches!(part.block, Block::Instead(_)));
    let mut rules = parts.iter().filter(|part| part.is_rules());
    match instead {
        // Even one that has no rules.
        Some(last) => {
            let with_rules = rules.rfind(|part| matches!(part.block, Block::Instead(_)));
            let last = with_rules.unwrap_or(last);
            Some((last.block, last))
        }
        None => {
            let beside = rules.clone().rfind(|part| matches!(part.block, Block::Beside(_)));
            let module = || rules.clone().find(|part| part.block == Block::Override);
            let merged = Block::Module { is_merged: false };
            beside.map(|part| (part.block, part)).or_else(|| module().map(|part| (merged, part)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::rspamd;
    use super::*;

    const LOCAL: &str = "/etc/rspamd/rspamd.conf.local";
    const INSTEAD: &str = "/etc/rspamd/rspamd.conf.override";
    const MODULE: &str = "/etc/rspamd/local.d/rbl.conf";
    const OVERRIDE: &str = "/etc/rspamd/override.d/rbl.conf";

    fn rules(name: &str) -> String {
        format!(
            "rbls {{ {name} {{ rbl = \"{name}.test\"; returncodes {{ {name} = [\"127.0.0.4\"]; }} }} }}\n"
        )
    }

    fn block(name: &str) -> String {
        format!("rbl {{ {} }}\n", rules(name).trim())
    }

    /// The zones that are asked, and by what those are replaced that are not.
    fn told(files: Files<'_>) -> (Vec<String>, Vec<String>) {
        let read = |(place, text): &(&str, &str)| Read {
            program: Program::Rspamd,
            place: (*place).to_owned(),
            text: (*text).to_owned(),
        };
        let texts: Vec<Read> = files.iter().map(read).collect();
        let mut mentions = texts.iter().flat_map(|read| rspamd::mentions(&read.place, &read.text)).collect();
        let idle = replaced(&parts(&texts), &mut mentions);
        let by = |idle: Idle| {
            let (_, by) = idle.cause.split_once(" at /etc/rspamd/").unwrap();
            by.split(' ').next().unwrap().to_owned()
        };
        (
            mentions.iter().map(|mention| mention.zone.to_string()).collect(),
            idle.into_iter().map(by).collect(),
        )
    }

    /// Places and texts.
    type Files<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn an_older_text_goes_whole() {
        let group = "group \"gatepost\" {\n symbols {\n \"GATEPOST_A\" { weight = 8.0; }\n }\n}\n";
        let forced = "force_actions {\n rules {\n GATEPOST_A {\n action = \"reject\";\n }\n }\n}\n";
        let told = |more: &str| {
            let texts: Vec<Read> = [(LOCAL, format!("{}{more}", block("a"))), (MODULE, rules("b"))]
                .into_iter()
                .map(|(place, text)| Read { program: Program::Rspamd, place: place.to_owned(), text })
                .collect();
            let mut mentions =
                texts.iter().flat_map(|read| rspamd::mentions(&read.place, &read.text)).collect();
            replaced(&parts(&texts), &mut mentions).remove(0).cure.how
        };
        assert!(told("").starts_with(&format!("take the block `rbls` at {LOCAL}:1 out, ")));
        let both = told(&format!("{group}{forced}"));
        let wanted = format!(
            "take the blocks `rbls` at {LOCAL}:1, `group \"gatepost\"` at {LOCAL}:2 and `force_actions` at {LOCAL}:7 out, "
        );
        assert!(both.starts_with(&wanted), "{both}");
        // What is one's own stays.
        let own = told(&forced.replace("GATEPOST_A {", "MINE {\n }\n GATEPOST_A {"));
        assert!(own.starts_with("take the block `rbls` at "), "{own}");
    }

    /// As rspamd 3.4 was seen to do.
    #[test]
    fn of_several_one_holds() {
        let (a, b) = (rules("a"), rules("b"));
        let (in_a, in_b) = (block("a"), block("b"));
        let all: [(Files<'_>, &[&str], &[&str]); 13] = [
            (&[(LOCAL, &in_a)], &["a.test"], &[]),
            (&[(LOCAL, &in_a), (MODULE, &b)], &["a.test"], &["rspamd.conf.local:1"]),
            (&[(LOCAL, &format!("{in_a}{in_b}"))], &["b.test"], &["rspamd.conf.local:2"]),
            (&[(LOCAL, &format!("{in_a}rbl {{ rbls = {{}} }}\n"))], &[], &["rspamd.conf.local:2"]),
            (&[(LOCAL, &format!("{in_a}rbl {{ default_from = true; }}\n"))], &["a.test"], &[]),
            (&[(LOCAL, &in_a), (OVERRIDE, "rbls { }")], &["a.test"], &[]),
            (&[(LOCAL, &in_a), (INSTEAD, "rbl { }")], &[], &["rspamd.conf.override:1"]),
            (&[(LOCAL, &in_a), (INSTEAD, &in_b)], &["b.test"], &["rspamd.conf.override:1"]),
            (&[(MODULE, &a), (OVERRIDE, "rbls { }")], &[], &["override.d/rbl.conf:1"]),
            (&[(MODULE, &a), (OVERRIDE, &b)], &["b.test"], &["override.d/rbl.conf:1"]),
            (&[(MODULE, &a), (OVERRIDE, "rules = {}")], &["a.test"], &[]),
            (&[(MODULE, &format!("{a}rbls {{ }}\n{b}"))], &["a.test", "b.test"], &[]),
            (
                &[
                    (LOCAL, ".include(try=true,duplicate=merge) \"/etc/rspamd/gatepost.conf\""),
                    ("/etc/rspamd/gatepost.conf", &in_a),
                    (MODULE, &b),
                ],
                &["a.test", "b.test"],
                &[],
            ),
        ];
        for (files, asked, by) in all {
            let (zones, replaced) = told(files);
            assert_eq!(
                (zones, replaced),
                (
                    asked.iter().map(|zone| (*zone).to_owned()).collect(),
                    by.iter().map(|by| (*by).to_owned()).collect()
                ),
                "{files:?}"
            );
        }
    }
}
