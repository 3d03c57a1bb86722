//! Exim: `dnslists` in its ACLs, as it reads its configuration: macros in their places, `.ifdef` and `.include` followed.
//!
//! `acl` finds the statements that ask, and those that nobody comes to, `age` whether the daemon has read the file since it was changed, `calls` who comes to what other ACLs call, `decided` what lets in whom a person blocks, `mild` those that refuse nobody for good; `never` those that hold for nobody
//! whom lists are for; `taken` what accepts mail before lists are asked; `own_people` what asks lists before own people are let pass, `relays` what lets
//! strangers relay; `reads` which file Exim reads, `astray` what lies in one that it does not read, `refused` what Exim itself refuses to read, `unmade` what it would of what update-exim4.conf makes. Pure but for `age`, `reads`, what asks Exim, and what the given function reads.

mod acl;
mod age;
mod astray;
mod calls;
mod decided;
mod mild;
mod named;
mod never;
mod own_people;
mod reads;
mod refused;
mod relays;
mod sparing;
mod taken;
mod unmade;

pub(super) use age::is_older_than;
pub(super) use astray::Debians;
pub(super) use reads::Reads;
pub(super) use refused::Twice;

use std::path::Path;

use super::super::finding::{Check, Cure};
use super::filter::Filter;
use super::statement::Statement;
use super::trouble::{self, Trouble};
use super::{Does, Idle, LooksUp, Mention};
use crate::model::Name;
use crate::snippet::Program;
use crate::snippet::wiring::Wiring;
use refused::Said;
use unmade::Unmade;

/// What `@` stands for in lists of domains.
const PRIMARY: &str = "primary_hostname";
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// Files within files.
const DEPTH: usize = 8;

/// A line as Exim has it in the end, and where it stands.
struct Line {
    at: String,
    text: String,
}

/// What a configuration is read with.
struct Reader<'a> {
    read: &'a dyn Fn(&Path) -> Option<String>,
    macros: Vec<(String, String)>,
    /// Where each was set.
    set: Vec<(String, String)>,
    lines: Vec<Line>,
    idle: Vec<Idle>,
    twice: Vec<Twice>,
}

/// What asks, and what would if somebody came to it.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) mentions: Vec<Mention>,
    pub(super) idle: Vec<Idle>,
    /// Those that the mentions stand in.
    pub(super) statements: Vec<Statement>,
    pub(super) troubles: Vec<Trouble>,
    /// Macros that Exim takes for a mistake.
    pub(super) twice: Vec<Twice>,
    /// All but what statements ask lists for, in small letters: whatever is named there may be asked, too.
    pub(super) besides: String,
}

/// What keeps Exim from starting, or from what asks.
#[derive(Debug, Default)]
pub(super) struct Hindered {
    refused: Option<Trouble>,
    /// It is about what update-exim4.conf would make, of which nobody knows what it would ask.
    is_unmade: bool,
    astray: Vec<Trouble>,
}

impl Hindered {
    /// `twice` and `zones` are those of the file that it `reads`.
    pub(super) fn of(reads: &Reads, debians: &Debians<'_>, twice: &[Twice], zones: Vec<Name>) -> Self {
        let unmade = Some(&reads.file).filter(|file| *file == super::EXIM_MADE).and_then(|_| Unmade::here());
        let said = Said::here(reads);
        Self {
            refused: refused::refused(&reads.file, debians, &said, unmade.as_ref(), twice, zones),
            is_unmade: unmade.is_some(),
            astray: astray::astray(&reads.file, debians),
        }
    }

    /// Told where it has to do with gatepost.
    pub(super) fn refused(&self, wiring: &Wiring) -> Vec<Check> {
        trouble::checks(self.refused.as_slice(), wiring)
    }

    /// What is told besides where nothing asks gatepost. Before anything that is made is read, something has to be made.
    pub(super) fn elsewhere(&self, wiring: &Wiring) -> Vec<Check> {
        match &self.refused {
            Some(_) if wiring.zones.is_empty() => Vec::new(),
            Some(refused) if self.is_unmade && self.refused(wiring).is_empty() => {
                vec![trouble::check(refused)]
            }
            Some(_) if self.is_unmade => Vec::new(),
            _ => trouble::checks(&self.astray, wiring),
        }
    }
}

pub(super) fn uses(file: &str, text: &str, read: &dyn Fn(&Path) -> Option<String>) -> Uses {
    uses_of(&[(file.to_owned(), text.to_owned())], read)
}

/// Of files that are read one after the other, as if they were one.
fn uses_of(files: &[(String, String)], read: &dyn Fn(&Path) -> Option<String>) -> Uses {
    let mut reader = Reader {
        read,
        macros: Vec::new(),
        set: Vec::new(),
        lines: Vec::new(),
        idle: Vec::new(),
        twice: Vec::new(),
    };
    for (file, text) in files {
        reader.file(file, text, 0);
    }
    reader.named();
    let mut uses =
        Uses { twice: reader.twice, besides: named::besides(&reader.lines), ..acl::uses(&reader.lines) };
    // What is asked elsewhere is not missed.
    let is_asked = |zone: &Name| uses.mentions.iter().any(|mention| mention.zone == *zone);
    reader.idle.iter_mut().for_each(|idle| idle.zones.retain(|zone| !is_asked(zone)));
    uses.idle.extend(reader.idle.into_iter().filter(|idle| !idle.zones.is_empty()));
    uses
}

impl Reader<'_> {
    /// Gives a whole configuration that does not say what this host is called the name that the kernel has.
    fn named(&mut self) {
        let has = |start: &str| self.lines.iter().any(|line| line.text.starts_with(start));
        let name = (self.read)(Path::new(HOSTNAME)).filter(|_| has("begin ") && !has(PRIMARY));
        let line = name.map(|name| Line { at: String::new(), text: format!("{PRIMARY} = {}", name.trim()) });
        self.lines.splice(0..0, line);
    }

    fn file(&mut self, file: &str, text: &str, depth: usize) {
        // Of each `.ifdef` that is open: whether its lines count, and whether one of its branches has.
        let mut open: Vec<(bool, bool)> = Vec::new();
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let mut line = line.trim().to_owned();
            if line.starts_with('#') {
                continue;
            }
            while line.ends_with('\\') {
                line.pop();
                // A comment between two parts of a line is none of them.
                let next = lines.by_ref().map(|(_, more)| more.trim()).find(|more| !more.starts_with('#'));
                line.push_str(next.unwrap_or_default());
            }
            let counts = open.iter().all(|(counts, _)| *counts);
            let (word, rest) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
            match word {
                ".ifdef" | ".ifndef" => {
                    let holds = self.names_a_macro(rest) == (word == ".ifdef");
                    open.push((holds, holds));
                }
                ".elifdef" | ".elifndef" => {
                    let holds = self.names_a_macro(rest) == (word == ".elifdef");
                    if let Some((counts, had)) = open.last_mut() {
                        *counts = holds && !*had;
                        *had |= holds;
                    }
                }
                ".else" => {
                    if let Some((counts, had)) = open.last_mut() {
                        *counts = !*had;
                        *had = true;
                    }
                }
                ".endif" => drop(open.pop()),
                _ if !counts => {}
                ".include" | ".include_if_exists" if depth < DEPTH => {
                    let path = self.in_place(rest.trim());
                    let path = Path::new(file).with_file_name(path.trim_matches('"'));
                    if let Some(text) = (self.read)(&path) {
                        self.file(&path.display().to_string(), &text, depth + 1);
                    }
                }
                _ => self.line(format!("{file}:{}", at + 1), &line),
            }
        }
    }

    fn line(&mut self, at: String, line: &str) {
        match definition(line) {
            Some((name, value)) => {
                let value = self.in_place(value);
                self.twice.extend(self.again(line, name, &value, &at));
                let (name, before) = (name.to_owned(), self.macros.iter().find(|(other, _)| other == name));
                let was_at = self.set.iter().rfind(|(other, _)| *other == name);
                if let (Some((_, before)), Some((_, was_at))) = (before, was_at) {
                    self.idle.extend(set_again(&name, (was_at, before), (&at, &value)));
                }
                self.macros.retain(|(other, _)| *other != name);
                self.set.push((name.clone(), at));
                self.macros.push((name, value));
            }
            None => self.lines.push(Line { at, text: self.in_place(line) }),
        }
    }

    /// Another `=` for a macro that there is: with `==` it would have another value from here on.
    fn again(&self, line: &str, name: &str, value: &str, at: &str) -> Option<Twice> {
        let is_meant = line.split_once('=').is_some_and(|(_, rest)| rest.starts_with('='));
        let (_, was_at) = self.set.iter().find(|(other, _)| other == name).filter(|_| !is_meant)?;
        let (_, before) = self.macros.iter().find(|(other, _)| other == name)?;
        Some(Twice {
            name: name.to_owned(),
            places: [was_at.clone(), at.to_owned()],
            is_the_same: before == value,
        })
    }

    /// Whether a text has the name of a macro in it, which is what `.ifdef` looks at.
    fn names_a_macro(&self, text: &str) -> bool {
        self.macros.iter().any(|(name, _)| text.contains(name.as_str()))
    }

    fn in_place(&self, text: &str) -> String {
        self.macros.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name.as_str(), value))
    }
}

/// A macro that lists zones and is given another value, which has not all of them.
fn set_again(name: &str, (was_at, before): (&str, &str), (at, value): (&str, &str)) -> Option<Idle> {
    let zones = |value: &str| -> Vec<Name> {
        let mentions = items(value).filter_map(|item| mention("", item, Does::Weigh));
        mentions.map(|mention| mention.zone).collect()
    };
    let kept = zones(value);
    let mut lost = zones(before);
    lost.retain(|zone| !kept.contains(zone));
    (!lost.is_empty()).then(|| Idle {
        program: Program::Exim,
        at: was_at.to_owned(),
        zones: lost,
        matters: false,
        cause: format!("{name} is set again at {at}, and what it had is lost behind that line"),
        cure: Cure {
            how: format!("Exim: have what {name} had in the line at {at}, too, or take that line out"),
            lines: match value {
                "" => format!("{name} == {before}"),
                value => format!("{name} == {value} : {before}"),
            },
        },
    })
}

/// `NAME = value` and `NAME == value`; a name begins with a capital.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end();
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| (name, value.strip_prefix('=').unwrap_or(value).trim()))
}

/// Of a list, parted by colons, or by what follows `<` at its start.
fn items(value: &str) -> impl Iterator<Item = &str> {
    let separator = value.strip_prefix('<').and_then(|rest| rest.chars().next());
    let items: Vec<&str> = match separator.filter(char::is_ascii_punctuation) {
        Some(separator) => value[1 + separator.len_utf8()..].split(separator).collect(),
        None => parted(value),
    };
    items.into_iter().map(str::trim)
}

/// At colons; of two there is one in an item.
fn parted(value: &str) -> Vec<&str> {
    let (mut items, mut start) = (Vec::new(), 0);
    let mut colons = value.match_indices(':').peekable();
    while let Some((at, _)) = colons.next() {
        if colons.next_if(|(next, _)| *next == at + 1).is_none() {
            items.push(&value[start..at]);
            start = at + 1;
        }
    }
    items.push(&value[start..]);
    items
}

/// `ZONE`, `ZONE=CODE,CODE`, `ZONE=CODE/KEY`. `&` takes answers that have these bits; behind another `=` all answers have to be taken; `!=`
/// filters nothing that is not named.
fn mention(at: &str, item: &str, does: Does) -> Option<Mention> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let end = item.find(|c| !is_name(c)).unwrap_or(item.len());
    let (zone, rest) = item.split_at(end);
    let filter = filter(rest.split('/').next().unwrap_or_default());
    let looks_up = rest.split_once('/').map_or(LooksUp::Addresses, |(_, key)| looked_up(key));
    let zone = zone.trim_end_matches('.');
    if zone.is_empty() {
        return None;
    }
    Some(Mention {
        program: Program::Exim,
        at: at.to_owned(),
        zone: zone.parse().ok()?,
        filter,
        does,
        looks_up,
    })
}

/// What a key, which is looked up instead of the client, stands for.
fn looked_up(key: &str) -> LooksUp {
    const NAMES: [&str; 4] = ["sender_address_domain", "sender_helo_name", "sender_host_name", "sender_rdns"];
    if key.contains("sender_host_address") {
        LooksUp::Addresses
    } else if NAMES.iter().any(|name| key.contains(name)) {
        LooksUp::Names
    } else {
        LooksUp::Something
    }
}

fn filter(text: &str) -> Filter {
    let every = |filter| Filter::Every(Box::new(filter));
    let starts = |start: &str| text.strip_prefix(start).map(str::trim);
    // As Postfix parts them they are one word, which is no answer's.
    let codes = |codes: &str| Filter::of_each(codes.split(','), &[';', '-', '[']);
    if let Some(text) = starts("==") {
        return every(codes(text));
    }
    match (starts("=&"), starts("&"), starts("=")) {
        (Some(bits), ..) => every(Filter::of_bits(bits)),
        (_, Some(bits), _) => Filter::of_bits(bits),
        (.., Some(text)) => codes(text),
        _ => Filter::Open,
    }
}
/// Whether a configuration may have a scanner such as rspamd look at mail: it says where one is, or a file that it includes does.
pub(super) fn may_scan(text: &str, read: &dyn Fn(&Path) -> Option<String>) -> bool {
    const SAY: [&str; 2] = ["spamd_address", "rspam"];
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let says = |line: &String| SAY.iter().any(|say| line.contains(say));
    // What a macro of Debian's names stands in an ACL, where nobody says that.
    let includes = |line: &String| {
        let rest = line.strip_prefix(".include_if_exists ").or_else(|| line.strip_prefix(".include "));
        let path = rest.map(str::trim).filter(|path| path.starts_with('/'));
        path.is_some_and(|path| read(Path::new(path)).is_some_and(|text| lines(&text).iter().any(says)))
    };
    lines(text).iter().any(|line| says(line) || includes(line))
}
