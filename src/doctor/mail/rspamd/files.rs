//! Which of rspamd's files count, where: a text in the wrong one, and rules that weigh nothing. Pure but for [`besides`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::super::super::finding::Cure;
use super::super::off::Read;
use super::super::trouble::Trouble;
use super::super::{Idle, Mention, rspamd};
use crate::snippet::Program;
use crate::snippet::rspamd::INCLUDE;

const FOLDER: &str = "/etc/rspamd";
/// The file that the printed text goes into.
const OWN: &str = "gatepost.conf";

/// Reads what `.include` names in files that are read: of its options none matters here.
pub(in super::super) fn include(texts: &mut Vec<Read>, read: &dyn Fn(&Path) -> Option<String>) {
    let mut at = 0;
    while at < texts.len() && texts.len() < 64 {
        let named = included(&texts[at]).into_iter().map(|(_, path)| path);
        let named: Vec<String> = named.filter(|path| !texts.iter().any(|read| read.place == *path)).collect();
        for place in named {
            let text = read(Path::new(&place));
            texts.extend(text.map(|text| Read { program: Program::Rspamd, place, text }));
        }
        at += 1;
    }
}

/// The lines of a file of rspamd's that include another, and which.
fn included(read: &Read) -> Vec<(usize, String)> {
    let lines = read.text.lines().enumerate().filter(|_| read.program == Program::Rspamd);
    let included = lines.filter_map(|(at, line)| {
        let rest = line.trim_start().strip_prefix(".include")?;
        let path = rest.split('"').nth(1)?.to_owned();
        let names = ["${LOCAL_CONFDIR}", "$LOCAL_CONFDIR", "${CONFDIR}", "$CONFDIR"];
        Some((at + 1, names.iter().fold(path, |path, name| path.replace(name, FOLDER))))
    });
    included.collect()
}

/// Files that are included more than once: each with where that is said first and last.
pub(in super::super) fn included_again(texts: &[Read]) -> Vec<(String, [String; 2])> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut again: Vec<(String, [String; 2])> = Vec::new();
    for (read, (line, path)) in
        texts.iter().flat_map(|read| included(read).into_iter().map(move |one| (read, one)))
    {
        let at = format!("{}:{line}", read.place);
        match first.get(&path) {
            Some(before) => {
                again.retain(|(known, _)| *known != path);
                again.push((path, [before.clone(), at]));
            }
            None => drop(first.insert(path, at)),
        }
    }
    again
}

/// All other files of an administrator's, in which rules may be given a weight.
pub(in super::super) fn besides() -> String {
    let mut text = String::new();
    let mut folders = vec![PathBuf::from(FOLDER).join("local.d"), PathBuf::from(FOLDER).join("override.d")];
    folders.push(PathBuf::from(FOLDER).join("scores.d"));
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name() != "rbl.conf" {
                text.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
    }
    text
}

/// What has no effect where it stands; its uses are taken out of `mentions`.
pub(in super::super) fn idle(texts: &[Read], besides: &str, mentions: &mut Vec<Mention>) -> Vec<Idle> {
    let rspamd: Vec<&Read> = texts.iter().filter(|read| read.program == Program::Rspamd).collect();
    let mut idle: Vec<Idle> = rspamd.iter().filter_map(|read| within(read, mentions)).collect();
    let all: String = rspamd.iter().map(|read| plain(&read.text)).chain([plain(besides)]).collect();
    idle.extend(rspamd.iter().flat_map(|read| weightless(read, &all, mentions)));
    idle
}

/// gatepost's text in a file that nothing includes: rspamd reads those of `local.d` and `override.d` alone that are called as one of its own.
pub(in super::super) fn astray(texts: &[Read], read: &dyn Fn(&str) -> Option<String>) -> Vec<Trouble> {
    let place = |name: &str| format!("{FOLDER}/{name}");
    let unread = |place: &String| !texts.iter().any(|text| text.place == *place);
    let own = place(OWN);
    let others = ["local.d", "override.d", "modules.local.d"].map(|folder| place(&format!("{folder}/{OWN}")));
    let lies = |place: String| {
        let text = read(&place)?;
        let mentions = rspamd::mentions(&place, &text);
        let at = mentions.first()?.at.clone();
        let moved = if place == own { String::new() } else { format!("move {place} to {own}, ") };
        Some(Trouble {
            program: Program::Rspamd,
            name: "mail-not-asked",
            is_bad: true,
            at,
            zones: mentions.into_iter().map(|mention| mention.zone).collect(),
            rest: format!("what asks gatepost stands in {place}, which rspamd does not read"),
            cause: format!("no `.include` names that file in {FOLDER}/rspamd.conf.local"),
            cure: Cure {
                how: format!("{moved}have this line in {FOLDER}/rspamd.conf.local, and restart rspamd"),
                lines: INCLUDE.to_owned(),
            },
        })
    };
    [own.clone()].into_iter().chain(others).filter(unread).filter_map(lies).collect()
}

fn plain(text: &str) -> String {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().to_owned() + "\n").collect()
}

/// A file rbl.conf stands within `rbl { … }` already: what has that block in it has it a second time.
fn within(read: &Read, mentions: &mut Vec<Mention>) -> Option<Idle> {
    let mut depth = 0;
    let mut within: Option<usize> = None;
    let mut lines: BTreeSet<String> = BTreeSet::new();
    for (at, line) in read.text.lines().enumerate().filter(|_| read.place.ends_with("/rbl.conf")) {
        let line = line.split('#').next().unwrap_or_default();
        if depth == 0 {
            let words = line.split('{').next().unwrap_or_default().trim();
            within = (words.trim_matches('"') == "rbl" && line.contains('{'))
                .then_some(at + 1)
                .or_else(|| within.filter(|_| words.is_empty()));
        }
        if within.is_some() {
            lines.insert(format!("{}:{}", read.place, at + 1));
        }
        depth += line.matches('{').count();
        depth = depth.saturating_sub(line.matches('}').count());
        within = within.filter(|_| depth > 0);
    }
    let zones =
        mentions.iter().filter(|mention| lines.contains(&mention.at)).map(|mention| mention.zone.clone());
    let zones: Vec<_> = zones.collect();
    let at = mentions.iter().find(|mention| lines.contains(&mention.at))?.at.clone();
    mentions.retain(|mention| !lines.contains(&mention.at));
    Some(Idle {
        program: Program::Rspamd,
        at,
        zones,
        matters: false,
        cause: format!(
            "{} stands within `rbl {{ … }}` already, and this text has that block once more: rspamd sees no rule in it",
            read.place
        ),
        cure: Cure {
            how: format!(
                "move the text, whole, from {} to {FOLDER}/gatepost.conf, have this line in {FOLDER}/rspamd.conf.local, and restart rspamd",
                read.place
            ),
            lines: INCLUDE.to_owned(),
        },
    })
}

/// Rules whose symbols nothing gives a weight: rspamd has them weigh 0.
fn weightless(read: &Read, all: &str, mentions: &[Mention]) -> Vec<Idle> {
    let mut idle = Vec::new();
    let mut rule: Vec<&str> = Vec::new();
    let mut asks: Option<&Mention> = None;
    for (at, line) in read.text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let place = format!("{}:{}", read.place, at + 1);
        if let Some(mention) = mentions.iter().find(|mention| mention.at == place) {
            idle.extend(weighs_nothing(asks.take(), &std::mem::take(&mut rule), all));
            asks = Some(mention);
        }
        if let Some((_, codes)) = line.split_once("returncodes").and_then(|(_, rest)| rest.split_once('{')) {
            let names = codes.split(['=', ';']).map(|part| part.trim().trim_matches('"'));
            let is_name = |name: &&str| {
                !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            };
            rule.extend(names.filter(is_name));
        }
    }
    idle.extend(weighs_nothing(asks, &rule, all));
    idle
}

fn weighs_nothing(asks: Option<&Mention>, symbols: &[&str], all: &str) -> Option<Idle> {
    let mention = asks?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let number = |symbol: &str| all.split(|c| !is_word(c)).filter(|word| *word == symbol).count();
    // Wherever else it is named it may be given a weight, or an action.
    if symbols.is_empty() || symbols.iter().any(|symbol| number(symbol) > 1) {
        return None;
    }
    Some(Idle {
        program: Program::Rspamd,
        at: mention.at.clone(),
        zones: vec![mention.zone.clone()],
        matters: true,
        cause: format!("nothing gives {} a weight, and without one it is 0", symbols.join(", ")),
        cure: Cure {
            how: format!(
                "take the text of `gatepost snippet rspamd` whole, with its `group` and `force_actions`, into {FOLDER}/gatepost.conf in the place of these rules, with its line `.include` in {FOLDER}/rspamd.conf.local, and restart rspamd"
            ),
            lines: String::new(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str =
        "rbls {\n  a {\n    rbl = \"a.test\";\n    returncodes { A_ONE = [\"127.0.0.4\"]; }\n  }\n}\n";

    /// How many uses are left, and what is said: where, and why.
    fn told(place: &str, text: &str, besides: &str) -> (usize, Vec<(String, String)>) {
        let read = Read { program: Program::Rspamd, place: place.to_owned(), text: text.to_owned() };
        let mut mentions = rspamd::mentions(place, text);
        let idle =
            idle(&[read], besides, &mut mentions).into_iter().map(|idle| (idle.at, idle.cause)).collect();
        (mentions.len(), idle)
    }

    #[test]
    fn a_text_in_the_wrong_file() {
        let whole =
            format!("rbl {{\n{RULES}}}\ngroup \"g\" {{ symbols {{ \"A_ONE\" {{ weight = 8.0; }} }} }}\n");
        let (number, idle) = told("/etc/rspamd/local.d/rbl.conf", &whole, "");
        assert_eq!((number, idle.len()), (0, 1), "{idle:?}");
        assert!(idle[0].0.ends_with("rbl.conf:4") && idle[0].1.contains("once more"), "{idle:?}");
        assert_eq!(told("/etc/rspamd/rspamd.conf.local", &whole, ""), (1, vec![]));
    }

    #[test]
    fn rules_that_weigh_nothing() {
        let (number, idle) = told("/etc/rspamd/local.d/rbl.conf", RULES, "# A_ONE\n");
        assert_eq!((number, idle.len()), (1, 1));
        assert!(idle[0].1.contains("A_ONE"), "{idle:?}");
        let given = "symbols = { \"A_ONE\" { weight = 8.0; } }";
        assert_eq!(told("/etc/rspamd/local.d/rbl.conf", RULES, given), (1, vec![]));
    }

    #[test]
    fn what_is_included_twice() {
        let read =
            |text: &str| Read { program: Program::Rspamd, place: "a".to_owned(), text: text.to_owned() };
        let again = |text: &str| included_again(&[read(text)]);
        let (line, whole) = (".include(try=true) \"$LOCAL_CONFDIR/x\"\n", ".include \"/etc/rspamd/x\"\n");
        assert_eq!(again(&format!("{line}# {line}.include \"$CONFDIR/y\"\n")), []);
        let told = again(&format!("{line}\n{whole}"));
        assert_eq!(told, [("/etc/rspamd/x".to_owned(), ["a:1".to_owned(), "a:3".to_owned()])]);
    }

    #[test]
    fn what_is_included_is_read() {
        let text = ".include(try=true,priority=1) \"$LOCAL_CONFDIR/gatepost.conf\"\n# .include \"/x\"\n";
        let mut texts = vec![Read { program: Program::Rspamd, place: "a".to_owned(), text: text.to_owned() }];
        include(&mut texts, &|path| {
            (path == Path::new("/etc/rspamd/gatepost.conf")).then(|| RULES.to_owned())
        });
        assert_eq!(texts.len(), 2);
        assert_eq!(rspamd::mentions(&texts[1].place, &texts[1].text).len(), 1);
    }
}
