//! The lines of the configuration of a resolver that runs here, each with its place: unbound's and dnsmasq's files, with those
//! that they include.
//!
//! Reads files; changes nothing. Never: judging what they do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::who;
use crate::snippet::Program;

/// Files that are read at most.
const FILES: usize = 200;

/// A setting, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// `FILE:NUMBER`, or the command line.
    pub(crate) place: String,
    /// Without comment and blanks around it.
    pub(crate) text: String,
}

impl Line {
    /// The value of a setting of unbound's, without quotation marks.
    pub(crate) fn value_of(&self, word: &str) -> Option<&str> {
        let value = self.text.strip_prefix(word)?.strip_prefix(':')?;
        Some(value.trim().trim_matches('"'))
    }

    /// The value of an option of dnsmasq's, in its files or on its command line; `""` where it has none.
    pub(crate) fn option(&self, word: &str) -> Option<&str> {
        let rest = self.text.trim_start_matches('-').strip_prefix(word)?.trim_start();
        if rest.is_empty() { Some("") } else { rest.strip_prefix('=').map(str::trim) }
    }
}

/// Of the `program` that runs here; none where they cannot be read.
pub(crate) fn of(program: Program) -> Vec<Line> {
    match program {
        Program::Unbound => {
            let Some(file) = who::configuration_of("unbound") else { return Vec::new() };
            let mut lines = Lines::default();
            lines.read(Path::new(file.as_deref().unwrap_or("/etc/unbound/unbound.conf")), &unbound_includes);
            lines.all
        }
        Program::Dnsmasq => {
            who::arguments_of("dnsmasq").map_or_else(Vec::new, |arguments| dnsmasq(&arguments))
        }
        _ => Vec::new(),
    }
}

/// What dnsmasq was started with, and the files that it names.
fn dnsmasq(arguments: &[String]) -> Vec<Line> {
    let mut lines = Lines::default();
    let mut arguments = arguments.iter().map(String::as_str).peekable();
    let mut has_file = false;
    while let Some(argument) = arguments.next() {
        let text = match (argument.strip_prefix("--"), argument.strip_prefix('-')) {
            (Some(long), _) => long.to_owned(),
            (None, Some(short)) => {
                let (letter, rest) = short.split_at(short.len().min(1));
                let long = match letter {
                    "C" => "conf-file",
                    "7" => "conf-dir",
                    "V" => "alias",
                    "A" => "address",
                    "B" => "bogus-nxdomain",
                    _ => continue,
                };
                let value = if rest.is_empty() { arguments.next().unwrap_or_default() } else { rest };
                format!("{long}={value}")
            }
            (None, None) => continue,
        };
        has_file |= text.starts_with("conf-file");
        for file in dnsmasq_includes(&text) {
            lines.read(&file, &dnsmasq_includes);
        }
        lines.all.push(Line { place: "its command line".to_owned(), text: format!("--{text}") });
    }
    if !has_file {
        lines.read(Path::new("/etc/dnsmasq.conf"), &dnsmasq_includes);
    }
    lines.all
}

#[derive(Default)]
struct Lines {
    seen: BTreeSet<PathBuf>,
    all: Vec<Line>,
}

impl Lines {
    fn read(&mut self, file: &Path, includes: &dyn Fn(&str) -> Vec<PathBuf>) {
        if self.seen.len() >= FILES || !self.seen.insert(file.to_owned()) {
            return;
        }
        let Ok(text) = fs::read_to_string(file) else { return };
        for (number, line) in (1..).zip(text.lines()) {
            let text = without_comment(line).trim();
            if text.is_empty() {
                continue;
            }
            for file in includes(text) {
                self.read(&file, includes);
            }
            self.all.push(Line { place: format!("{}:{number}", file.display()), text: text.to_owned() });
        }
    }
}

/// `127.0.0.1#53` is none.
fn without_comment(line: &str) -> &str {
    let begins = |at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').find(|(at, _)| begins(*at)).map_or(line, |(at, _)| &line[..at])
}

fn unbound_includes(line: &str) -> Vec<PathBuf> {
    let rest = ["include:", "include-toplevel:"].iter().find_map(|word| line.strip_prefix(word));
    rest.map_or_else(Vec::new, |rest| matching(rest.trim().trim_matches('"')))
}

/// `conf-file=FILE`, and `conf-dir=FOLDER,…`, where what follows are endings that do not count, or, with `*` before, alone do.
fn dnsmasq_includes(line: &str) -> Vec<PathBuf> {
    let Some((word, value)) = line.split_once('=') else { return Vec::new() };
    match word.trim() {
        "conf-file" => vec![PathBuf::from(value.trim())],
        "conf-dir" => {
            let mut words = value.trim().split(',');
            let folder = words.next().unwrap_or_default();
            let (only, but): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with('*'));
            let is_read = |name: &str| {
                let is_only = only.is_empty() || only.iter().any(|end| name.ends_with(&end[1..]));
                is_only && !but.iter().any(|end| name.ends_with(end)) && !name.starts_with(['.', '#'])
            };
            files(Path::new(folder), is_read)
        }
        _ => Vec::new(),
    }
}

/// The files that a path with at most one `*`, in the name of the file, means.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new(pattern);
    let Some((start, end)) = path.file_name().and_then(|name| name.to_str()?.split_once('*')) else {
        return vec![path.to_owned()];
    };
    let Some(folder) = path.parent() else { return Vec::new() };
    files(folder, |name| name.starts_with(start) && name.ends_with(end))
}

fn files(folder: &Path, is_meant: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let meant = entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_meant));
    let mut files: Vec<PathBuf> = meant.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_included() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("main", format!("conf-dir={},.old\n# filter-A\n", at("d").display())),
            ("d/a", "filter-A # all\n".to_owned()),
            ("d/b.old", "alias=1.2.3.4\n".to_owned()),
            ("d/c", "server=/a.example/127.0.0.1#5354 # gatepost\n".to_owned()),
            ("u", format!("server:\n include: \"{}/*.conf\"\n", at("e").display())),
            ("e/x.conf", " local-zone: \"a.example\" static\n".to_owned()),
            ("e/y", "port: 5\n".to_owned()),
        ] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), text).unwrap();
        }
        let found = |lines: &[Line], text: &str| {
            lines.iter().find(|line| line.text == text).map(|line| line.place.clone())
        };
        let arguments = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let main = at("main");
        let lines =
            dnsmasq(&arguments(&["-k", "-C", main.to_str().unwrap(), "-B127.0.0.2", "--min-cache-ttl=9"]));
        assert_eq!(found(&lines, "filter-A"), Some(format!("{}:1", at("d/a").display())));
        assert!(found(&lines, "server=/a.example/127.0.0.1#5354").is_some());
        assert_eq!(found(&lines, "alias=1.2.3.4"), None);
        assert_eq!(found(&lines, "--bogus-nxdomain=127.0.0.2"), Some("its command line".to_owned()));
        assert!(found(&lines, "--min-cache-ttl=9").is_some());
        let mut unbound = Lines::default();
        unbound.read(&at("u"), &unbound_includes);
        assert_eq!(
            found(&unbound.all, "local-zone: \"a.example\" static"),
            Some(format!("{}:1", at("e/x.conf").display()))
        );
        assert_eq!(found(&unbound.all, "port: 5"), None);
    }
}
