//! Scenarios as they stand in `tests/scenarios`: a question, the reply that is expected, and what NSD and Knot answer
//! where they answer otherwise. How the files are written: `tests/scenarios/README.md`.

pub(crate) mod message;
pub(crate) mod page;
pub(crate) mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use message::{Asked, FIELDS, Lines};

/// Servers that are asked beside gatepost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Nsd,
    Knot,
}

impl Peer {
    pub(crate) const ALL: [Self; 2] = [Self::Nsd, Self::Knot];

    fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.to_string() == text)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nsd => "NSD",
            Self::Knot => "Knot",
        })
    }
}

/// What a server says: `None` is no reply.
pub(crate) type Reply = Option<Lines>;

/// One question and what is said to it.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// File and line, for messages.
    pub(crate) place: String,
    pub(crate) title: String,
    /// Asked over UDP, over streams.
    pub(crate) over: [bool; 2],
    pub(crate) asked: Asked,
    pub(crate) expected: Reply,
    /// What a peer says instead, over UDP and over streams.
    pub(crate) differences: Vec<Difference>,
}

/// What a peer says instead, and why gatepost does not.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) peer: Peer,
    pub(crate) over: [bool; 2],
    pub(crate) choices: Vec<String>,
    pub(crate) said: Reply,
}

/// The same as it stands in a file: lines that its reply has instead.
struct Stated<'l> {
    peer: Peer,
    over: [bool; 2],
    choices: Vec<String>,
    lines: Vec<&'l str>,
}

/// A choice of gatepost's where servers differ.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) asked: String,
    pub(crate) here: String,
    pub(crate) there: String,
    pub(crate) why: String,
    /// What it does to a reply wherever it is named.
    changes: Vec<(Peer, String)>,
}

/// Everything in the folder.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) choices: Vec<Choice>,
    /// The versions of peers that are written of.
    pub(crate) versions: BTreeMap<Peer, String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// A master file of the folder.
pub(crate) fn zone(file: &str) -> Vec<u8> {
    let text = fs::read_to_string(folder().join(file)).expect(file);
    text.lines().map(|line| expand(line) + "\n").collect::<String>().into_bytes()
}

/// `{x*63}` → 63 times `x`.
fn expand(line: &str) -> String {
    let mut pieces = line.split('{');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let repeated = piece.split_once('}').and_then(|(inside, rest)| {
            let (what, count) = inside.split_once('*')?;
            Some(what.repeat(count.parse().ok()?) + rest)
        });
        out += &repeated.unwrap_or_else(|| format!("{{{piece}"));
    }
    out
}

impl Book {
    /// Reads the folder; a line that makes no sense fails the test with its place.
    pub(crate) fn read() -> Self {
        let (versions, choices) =
            choices(&fs::read_to_string(folder().join("choices.txt")).expect("choices.txt"));
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder()).expect("scenarios").map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "scenario"));
        files.sort();
        let mut book = Self { scenarios: Vec::new(), choices, versions };
        for path in files {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let lines = fs::read_to_string(&path).expect("text");
            let mut blocks: Vec<Vec<(usize, String)>> = Vec::new();
            for (number, line) in (1..).zip(lines.lines()).filter(|(_, line)| !is_comment(line)) {
                if line.starts_with("== ") {
                    blocks.push(Vec::new());
                }
                let block = blocks.last_mut().unwrap_or_else(|| panic!("{name}:{number}: before a title"));
                block.push((number, expand(line)));
            }
            let read: Vec<Scenario> = blocks.iter().map(|block| book.scenario(&name, block)).collect();
            book.scenarios.extend(read);
        }
        let titles: BTreeSet<&str> = book.scenarios.iter().map(|one| &*one.title).collect();
        assert_eq!(titles.len(), book.scenarios.len(), "two scenarios have one title");
        book
    }

    fn scenario(&self, file: &str, lines: &[(usize, String)]) -> Scenario {
        let place = format!("{file}:{}", lines[0].0);
        let title = lines[0].1[3..].to_owned();
        let (mut over, mut asked, mut reply) = ([true; 2], None::<Asked>, None);
        let mut given = Vec::new();
        let mut differences: Vec<Stated<'_>> = Vec::new();
        for (number, line) in &lines[1..] {
            let wrong = |why: &str| -> ! { panic!("{file}:{number}: {why}: {line}") };
            if let Some(line) = line.strip_prefix("    ") {
                let Some(last) = differences.last_mut() else { wrong("indented, and no choice before it") };
                last.lines.push(line.trim());
                continue;
            }
            let (key, value) = line.split_once(' ').map_or((&**line, ""), |(key, rest)| (key, rest.trim()));
            match key {
                "over" => over = read_over(value).unwrap_or_else(|| wrong("udp or streams")),
                "ask" => asked = Some(message::ask(value).unwrap_or_else(|why| wrong(&why))),
                "send" => {
                    let more = message::send(value).unwrap_or_else(|why| wrong(&why));
                    match &mut asked {
                        Some(asked) => asked.octets.extend(more.octets),
                        None => asked = Some(more),
                    }
                }
                "reply" if value == "nothing" => reply = Some(false),
                key if FIELDS.contains(&key) => {
                    reply.get_or_insert(true);
                    given.push(&**line);
                }
                "choice" => {
                    let Some((names, peer)) = value.split_once(':') else { wrong("which peer") };
                    let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
                    let (peer, over) = peer.split_once(" over ").unwrap_or((peer, "udp streams"));
                    let over = read_over(over).unwrap_or_else(|| wrong("udp or streams"));
                    let peer = Peer::read(peer.trim()).unwrap_or_else(|| wrong("which peer"));
                    differences.push(Stated { peer, over, choices: names, lines: Vec::new() });
                }
                _ => wrong("what is this"),
            }
        }
        let asked = asked.unwrap_or_else(|| panic!("{place}: nothing is asked"));
        let reply = reply.unwrap_or_else(|| panic!("{place}: no reply, not even `nothing`"));
        let question = asked.question.clone().map(|question| format!("question {question}"));
        let mut base = Lines::new();
        change(&mut base, question.as_deref().into_iter().collect::<Vec<_>>(), &place);
        let mut ours = base.clone();
        change(&mut ours, given, &place);
        let expected = reply.then_some(ours);
        let difference = |Stated { peer, over, choices, lines }: Stated<'_>| {
            let mut said = expected.clone().unwrap_or_else(|| base.clone());
            for name in &choices {
                let choice = self.choices.iter().find(|choice| choice.name == *name);
                let choice = choice.unwrap_or_else(|| panic!("{place}: no choice is called {name}"));
                let changes = choice.changes.iter().filter(|(of, _)| *of == peer);
                change(&mut said, changes.map(|(_, line)| &**line).collect(), &place);
            }
            change(&mut said, lines, &place);
            let is_silent = said.get("reply").is_none_or(|line| line[0] == "nothing");
            let said = (!is_silent).then_some(said);
            assert!(said != expected, "{place}: {peer} answers as gatepost, and yet that is a choice");
            Difference { peer, over, choices, said }
        };
        let differences = differences.into_iter().map(difference).collect();
        Scenario { place, title, over, asked, expected, differences }
    }
}

impl Scenario {
    /// What `peer` is expected to say, and under which difference.
    pub(crate) fn of(&self, peer: Peer, transport: usize) -> (&Reply, Option<&Difference>) {
        let mut own = self.differences.iter().filter(|one| one.peer == peer && one.over[transport]);
        let found = own.next();
        assert!(own.next().is_none(), "{}: two choices about {peer}", self.place);
        (found.map_or(&self.expected, |one| &one.said), found)
    }
}

/// Puts lines in place of those that their fields had; `none` leaves a field empty.
fn change(reply: &mut Lines, lines: Vec<&str>, place: &str) {
    let mut fresh = Lines::new();
    for line in lines {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let Some(field) = FIELDS.iter().find(|field| **field == key) else {
            panic!("{place}: `{key}` is no part of a reply");
        };
        let value = value.trim();
        let lines = fresh.entry(*field).or_default();
        if value != "none" {
            // Texts keep their spaces, what stands before them is words.
            let (words, text) =
                value.split_once('"').map_or((value, None), |(words, text)| (words, Some(text)));
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            lines.push(match text {
                Some(text) => format!("{words} \"{text}"),
                None => words,
            });
        }
    }
    for (field, mut lines) in fresh {
        lines.sort();
        reply.insert(field, lines);
    }
    reply.retain(|_, lines| !lines.is_empty());
}

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn read_over(text: &str) -> Option<[bool; 2]> {
    let mut over = [false; 2];
    for word in text.split_whitespace() {
        over[["udp", "streams"].iter().position(|known| *known == word)?] = true;
    }
    Some(over)
}

fn choices(text: &str) -> (BTreeMap<Peer, String>, Vec<Choice>) {
    let mut choices: Vec<Choice> = Vec::new();
    let mut versions = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line)) {
        let wrong = |why: &str| -> ! { panic!("choices.txt:{number}: {why}: {line}") };
        if let Some(name) = line.strip_prefix("== ") {
            choices.push(Choice { name: name.to_owned(), ..Choice::default() });
            continue;
        }
        if let Some((peer, version)) = line.strip_prefix("version ").and_then(|rest| rest.split_once(' ')) {
            versions.insert(Peer::read(peer).unwrap_or_else(|| wrong("which peer")), version.to_owned());
            continue;
        }
        let Some(choice) = choices.last_mut() else { wrong("before a name") };
        let Some((key, value)) = line.split_once(' ') else { wrong("no words") };
        let value = value.trim().to_owned();
        let place = match key {
            "asked" => &mut choice.asked,
            "here" => &mut choice.here,
            "there" => &mut choice.there,
            "why" => &mut choice.why,
            key => {
                let peer = Peer::read(key).unwrap_or_else(|| wrong("what is this"));
                choice.changes.push((peer, value));
                continue;
            }
        };
        if !place.is_empty() {
            wrong("said twice");
        }
        *place = value;
    }
    (versions, choices)
}
