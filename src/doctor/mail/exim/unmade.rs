//! What Debian's update-exim4.conf would make now and Exim does not take: in Exim's words, at the line that they are about, and what helps
//! against the usual mistakes. It is made in a folder of its own, which is gone afterwards. Pure but for [`Unmade::here`].

use std::path::Path;

use super::super::super::child;
use super::super::super::finding::Cure;
use super::acl::VERBS;
use super::astray::{Debians, FOLDER, MACRO, asked, form, is_left_over, outside};
use super::definition;
use super::refused::{PROGRAMS, Said, sources};

/// Debian's; sbin is not on everybody's path.
const MAKERS: [&str; 2] = ["update-exim4.conf", "/usr/sbin/update-exim4.conf"];
const CLOSED: &str = "failed to open included configuration file ";
const PART: &str = "cannot be defined as a macro because previously defined macro \"";

/// What Exim says of what would be made.
#[derive(Debug, PartialEq)]
pub(super) struct Unmade {
    pub(super) words: String,
    /// The line that they are about, and how often it stands as far as there.
    line: Option<(String, usize)>,
}

impl Unmade {
    /// Nothing where it is taken, or where it cannot be told: who is not root may not read all that Exim may.
    pub(super) fn here() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let folder = tempfile::tempdir().ok()?;
        let path = folder.path().join("made");
        let file = path.to_str()?;
        // Where it has files of its own for a while.
        let folder = format!("TMPDIR={}", folder.path().display());
        let makes = |maker: &&&str| {
            let made = child::said("env", &[&folder, maker, "--output", file]);
            made.is_some_and(|(well, _)| well)
        };
        MAKERS.iter().find(makes)?;
        let words = PROGRAMS.iter().find_map(|program| child::complained(program, &["-C", file, "-bV"]))?;
        let Said::Refused(words) = Said::of(Some(words)) else { return None };
        Some(Self::of(&words, file, &std::fs::read_to_string(&path).ok()?))
    }

    /// `file` is where what was `made` stood: of no use to anybody.
    fn of(words: &str, file: &str, made: &str) -> Self {
        let parts = words.split_once(" in line ").and_then(|(head, rest)| {
            let (number, rest) = rest.split_once(&format!(" of {file}"))?;
            Some((head, number.parse::<usize>().ok()?, rest))
        });
        let Some((head, number, rest)) = parts else { return Self { words: words.to_owned(), line: None } };
        let lines: Vec<&str> = made.lines().take(number).collect();
        let line =
            lines.last().map(|last| ((*last).to_owned(), lines.iter().filter(|line| *line == last).count()));
        Self { words: format!("{head}{rest}"), line }
    }

    /// Where the line stands, `FILE:NUMBER`.
    pub(super) fn at(&self, debians: &Debians<'_>) -> String {
        let place = self.line.as_ref().and_then(|(wanted, often)| {
            let sources = sources(debians);
            let mut lines = sources.iter().flat_map(|(place, text)| {
                text.lines().enumerate().map(move |(at, line)| (place, at + 1, line))
            });
            lines
                .by_ref()
                .filter(|(.., line)| line == wanted)
                .nth(often - 1)
                .map(|(place, at, _)| format!("{place}:{at}"))
        });
        place.unwrap_or_else(|| FOLDER.to_owned())
    }
}

/// What is behind Exim's words of what Debian's configuration is made of, and helps. `at` is where the line stands that they are about.
pub(super) fn explained(words: &str, at: &str, debians: &Debians<'_>) -> Option<(String, Cure)> {
    if let Some((_, path)) = words.split_once(CLOSED) {
        return Some(closed(path, debians));
    }
    if let Some((_, rest)) = words.split_once(PART) {
        return of_a_part(rest.split('"').next()?, debians);
    }
    let option = words.split_once("option \"")?.1.strip_suffix("\" unknown")?;
    let (file, _) = at.rsplit_once(':').filter(|_| VERBS.contains(&option))?;
    Some(outside(file, form(debians)?))
}

/// A file that is included.
fn closed(path: &str, debians: &Debians<'_>) -> (String, Cure) {
    let cure = |how: String, lines: String| Cure { how: format!("Exim: {how}"), lines };
    if (debians.read)(Path::new(path)).is_some() {
        let cause = format!("Exim's user may not read {path}");
        let is_beside = path.starts_with("/etc/exim4/");
        return match is_beside {
            true => (cause, cure("let everybody read it".to_owned(), format!("chmod 644 {path}"))),
            false => (cause, cure(format!("have that file in {FOLDER}, and name it there"), String::new())),
        };
    }
    let cause = format!("there is no file {path}");
    let named = macros(debians);
    // The macro's name is looked for in each line, and what it stands for put in its place.
    if let Some(part) = named.iter().find(|found| is_part(&found.name) && path.starts_with(&found.value)) {
        let Macro { name, file, .. } = part;
        let cause = format!(
            "{cause}: {name}, at {}, is a part of the name of {MACRO}, and is put in its place",
            part.at()
        );
        let lines = format!("sed -i 's/^{name} *=/{MACRO} =/' {file}");
        return (cause, cure("write its whole name".to_owned(), lines));
    }
    let Some(found) = named.iter().rfind(|found| found.name == MACRO && found.value == path) else {
        return (cause, cure("take out what names it, or have it there".to_owned(), String::new()));
    };
    let cause = format!("{cause}, which {MACRO} names at {}", found.at());
    let others: Vec<String> = (debians.files)(Path::new(FOLDER))
        .into_iter()
        .map(|other| other.display().to_string())
        .filter(|other| {
            !is_left_over(other)
                && (debians.read)(Path::new(other)).is_some_and(|text| !asked(other, &text).is_empty())
        })
        .collect();
    match &others[..] {
        [other] => {
            let lines = format!("sed -i 's|^{MACRO} *=.*|{MACRO} = {other}|' {}", found.file);
            (cause, cure("name the file that there is".to_owned(), lines))
        }
        _ => {
            let lines = format!("gatepost snippet exim --write {path}");
            (cause, cure("have what asks gatepost in it".to_owned(), lines))
        }
    }
}

/// Of two macros the name of one is a part of that of the other, which is defined later.
fn of_a_part(name: &str, debians: &Debians<'_>) -> Option<(String, Cure)> {
    let named = macros(debians);
    let part = named.iter().find(|found| found.name == name && is_part(name))?;
    let cause = format!("{name}, at {}, is a part of the name of {MACRO}", part.at());
    let how = format!("Exim: take out the line at {}", part.at());
    Some((cause, Cure { how, lines: format!("sed -i '/^{name} *=/d' {}", part.file) }))
}

fn is_part(name: &str) -> bool {
    name != MACRO && MACRO.contains(name)
}

struct Macro {
    name: String,
    value: String,
    file: String,
    line: usize,
}

impl Macro {
    fn at(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// Those of the files that are read.
fn macros(debians: &Debians<'_>) -> Vec<Macro> {
    let mut all = Vec::new();
    for (file, text) in sources(debians) {
        for (at, line) in text.lines().enumerate() {
            let Some((name, value)) = definition(line) else { continue };
            let (name, value) = (name.to_owned(), value.replace("CONFDIR", FOLDER));
            all.push(Macro { name, value, file: file.clone(), line: at + 1 });
        }
    }
    all
}
