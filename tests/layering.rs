//! Holds the code to its layers: who may use whom, where `unsafe` may stand, what the pure core may not name, how
//! long a file may grow. Reads the sources as tokens, so that comments and strings do not count.
//!
//! The second half of this file proves on made-up sources that the checker can fail.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules, lowest first. A module may use those before it and itself.
const LAYERS: [&str; 22] = [
    // The pure core: no sockets, no async, no DNS library.
    "model", "set", "parse", "guard", "compile", "snapshot", "zone", "wire", "export", // The program.
    "config", "store", "feed", "client", "load", "server", "sync", "error", "ops", "rbldnsd", "snippet",
    "doctor", "cli",
];

/// How many of [`LAYERS`] build with `--no-default-features`.
const CORE: usize = 9;

/// Crates that the pure core may not name (a trailing `*` stands for any rest).
const NOT_IN_CORE: [&str; 9] =
    ["tokio", "hickory_*", "reqwest", "clap", "tracing", "tracing_*", "anyhow", "socket2", "nix"];

/// Modules of the core that get everything they need as arguments: no files, sockets, processes or clock.
const WITHOUT_IO: [&str; 8] = ["model", "set", "parse", "guard", "compile", "zone", "wire", "export"];

/// Paths that those modules may not name.
const IO_PATHS: [&[&str]; 6] = [
    &["std", "fs"],
    &["std", "process"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["std", "net", "UdpSocket"],
    &["std", "net", "TcpStream"],
];

/// Further arrows that the order alone would let through, and why they must not be there.
const NEVER: [(&str, &str, &str); 3] = [
    ("server", "parse", "the serving process never parses"),
    ("server", "guard", "the serving process judges no list"),
    ("server", "feed", "the serving process fetches nothing"),
];

/// The files that may hold `unsafe`.
const UNSAFE_FILES: [&str; 2] = ["snapshot/mmap.rs", "server/udp/sys.rs"];

/// A file longer than this wants to be two.
const MAX_LINES: usize = 600;

#[test]
fn the_sources_keep_their_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 10, "no sources found under {}", root.display());
    let mut findings = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        findings.extend(check(&name, &fs::read_to_string(&path).unwrap()));
    }
    let lines: String = findings.iter().map(|finding| format!("\n  {finding}")).collect();
    assert!(findings.is_empty(), "{} findings:{lines}", findings.len());
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            into.push(path);
        }
    }
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Everything that is wrong with one source file; `file` is relative to `src/`.
fn check(file: &str, source: &str) -> BTreeSet<Finding> {
    let mut findings = BTreeSet::new();
    let mut found = |line: usize, what: String| {
        findings.insert(Finding { file: file.to_owned(), line, what });
    };

    let lines = source.lines().count();
    if lines > MAX_LINES {
        found(lines, format!("{lines} lines, more than {MAX_LINES}: split it"));
    }
    let tokens = tokens(source);
    let allowed_unsafe = UNSAFE_FILES.contains(&file);
    for (line, token) in &tokens {
        if *token == Token::Word("unsafe") && !allowed_unsafe {
            found(*line, format!("`unsafe` outside {}", UNSAFE_FILES.join(" and ")));
        }
    }

    let module = module_of(file);
    let Some(top) = module.first().map(String::as_str) else { return findings }; // lib.rs and main.rs
    let Some(rank) = rank(top) else {
        found(1, format!("module `{top}` has no layer: give it one in tests/layering.rs"));
        return findings;
    };
    for Used { line, path } in used_paths(&tokens, &module) {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some((&first, rest)) = names.split_first() else { continue };
        if first != "crate" {
            if rank < CORE && NOT_IN_CORE.iter().any(|crate_| matches(crate_, first)) {
                found(line, format!("`{first}` in the pure core"));
            }
            if WITHOUT_IO.contains(&top) && IO_PATHS.iter().any(|io| names.starts_with(io)) {
                found(
                    line,
                    format!("`{}` in `{top}`, which does no I/O and reads no clock", names.join("::")),
                );
            }
            continue;
        }
        let Some(&target) = rest.first() else { continue };
        let Some(target_rank) = self::rank(target) else { continue }; // an item of lib.rs
        if target_rank > rank {
            found(line, format!("`{top}` uses `{target}`, which stands above it"));
        }
        if let Some((.., why)) = NEVER.iter().find(|(from, to, _)| (*from, *to) == (top, target)) {
            found(line, format!("`{top}` uses `{target}`: {why}"));
        }
    }
    findings
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

/// The module path of a file: `parse/mod.rs` → `[parse]`, `server/udp/sys.rs` → `[server, udp, sys]`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

/// A path that the source names, with `super` and `self` resolved to `crate::…`.
struct Used {
    line: usize,
    path: Vec<String>,
}

/// All paths of two or more parts (and each branch of a `{…}` group) in the source.
fn used_paths(tokens: &[(usize, Token<'_>)], module: &[String]) -> Vec<Used> {
    let mut used = Vec::new();
    let mut inner = Vec::<(String, usize)>::new(); // `mod name {` and the depth of its braces
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].1 {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => {
                depth -= 1;
                inner.retain(|(_, from)| *from <= depth);
            }
            Token::Word("mod") => {
                if let (Some((_, Token::Word(name))), Some((_, Token::Mark('{')))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    inner.push(((*name).to_owned(), depth + 1));
                }
            }
            Token::Word(_) if !follows_path(tokens, at) => {
                let here: Vec<String> =
                    module.iter().cloned().chain(inner.iter().map(|(name, _)| name.clone())).collect();
                at = path_tree(tokens, at, &[], &here, &mut used);
                continue;
            }
            Token::Word(_) | Token::Mark(_) => {}
        }
        at += 1;
    }
    used
}

/// Whether the word at `at` continues a path (`::word`) or is a field or method (`.word`).
fn follows_path(tokens: &[(usize, Token<'_>)], at: usize) -> bool {
    at > 0 && matches!(tokens[at - 1].1, Token::Mark(':' | '.')) && {
        let single_colon =
            tokens[at - 1].1 == Token::Mark(':') && (at < 2 || tokens[at - 2].1 != Token::Mark(':'));
        !single_colon
    }
}

/// Reads `a::b::{c, d::e}` from `at` on; gives where to go on reading.
fn path_tree(
    tokens: &[(usize, Token<'_>)],
    mut at: usize,
    prefix: &[String],
    here: &[String],
    used: &mut Vec<Used>,
) -> usize {
    let line = tokens[at].0;
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some((_, Token::Word(word))) => path.push((*word).to_owned()),
            Some((_, Token::Mark('{'))) => {
                at += 1;
                while let Some((_, token)) = tokens.get(at) {
                    at = match token {
                        Token::Mark('}') => return at + 1,
                        Token::Word(_) => path_tree(tokens, at, &path, here, used),
                        Token::Mark(_) => at + 1,
                    };
                }
                return at;
            }
            Some((_, Token::Mark('*'))) => path.push("*".to_owned()),
            _ => break,
        }
        at += 1;
        if !is_mark(tokens, at, ':') || !is_mark(tokens, at + 1, ':') {
            break;
        }
        at += 2;
    }
    if path.len() > 1 {
        used.push(Used { line, path: resolve(path, here) });
    }
    at
}

fn is_mark(tokens: &[(usize, Token<'_>)], at: usize, mark: char) -> bool {
    tokens.get(at).is_some_and(|(_, token)| *token == Token::Mark(mark))
}

/// `self::x` and `super::x` seen from `here`, as `crate::…::x`.
fn resolve(path: Vec<String>, here: &[String]) -> Vec<String> {
    let mut base = here.to_vec();
    let mut rest = path.as_slice();
    let mut relative = false;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "self" => {}
            "super" => drop(base.pop()),
            _ => break,
        }
        relative = true;
        rest = &rest[1..];
    }
    if !relative {
        return path;
    }
    ["crate".to_owned()].into_iter().chain(base).chain(rest.iter().cloned()).collect()
}

/// What of Rust's tokens matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// An identifier or keyword.
    Word(&'a str),
    /// Any other visible character. Literals and comments leave nothing.
    Mark(char),
}

/// The tokens of a source, each with its line.
fn tokens(source: &str) -> Vec<(usize, Token<'_>)> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (len, token) = next_token(rest, first);
        if let Some(token) = token {
            tokens.push((line, token));
        }
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    tokens
}

/// Length of what stands first in `rest`, and the token that it is.
fn next_token(rest: &str, first: char) -> (usize, Option<Token<'_>>) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), None);
    }
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if word > 0 {
        let prefix = &rest[..word];
        let literal = matches!(prefix, "r" | "b" | "br" | "c" | "cr") && literal_follows(&rest[word..]);
        if literal {
            let raw = prefix.contains('r');
            return (word + literal_len(&rest[word..], raw), None);
        }
        let number = first.is_ascii_digit();
        return (word, (!number).then_some(Token::Word(prefix)));
    }
    match first {
        '"' => (literal_len(rest, false), None),
        '\'' => (quote_len(rest), None),
        c if c.is_whitespace() => (c.len_utf8(), None),
        c => (c.len_utf8(), Some(Token::Mark(c))),
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let step = &rest.as_bytes()[at..];
        match step {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn literal_follows(rest: &str) -> bool {
    rest.trim_start_matches('#').starts_with('"') || rest.starts_with('\'')
}

/// Length of a string or byte literal without its prefix.
fn literal_len(rest: &str, raw: bool) -> usize {
    if rest.starts_with('\'') {
        return quote_len(rest);
    }
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = hashes + 1;
        return rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len());
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of a character literal, or of the quote alone when it starts a lifetime.
fn quote_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let end = rest.char_indices().skip(3).find(|(_, c)| *c == '\'');
            end.map_or(rest.len(), |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

// --- the checker on made-up sources ---

fn complaints(file: &str, source: &str) -> Vec<String> {
    check(file, source).into_iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
}

#[test]
fn an_arrow_that_points_back_is_found() {
    assert_eq!(
        complaints("parse/plain.rs", "use crate::model::Span;\n\nuse crate::snapshot::Snapshot;\n"),
        ["3: `parse` uses `snapshot`, which stands above it"]
    );
    assert_eq!(
        complaints("store/mod.rs", "fn f() {\n    crate::sync::run();\n}\n"),
        ["2: `store` uses `sync`, which stands above it"]
    );
    assert_eq!(complaints("cli/up.rs", "use crate::{model, sync::run, server};"), [""; 0]);
}

#[test]
fn groups_and_relative_paths_are_followed() {
    assert_eq!(
        complaints("guard/never.rs", "use crate::{\n    model::{Span, Use},\n    zone::{self, Verdict},\n};"),
        ["3: `guard` uses `zone`, which stands above it",]
    );
    assert_eq!(
        complaints("set/codec.rs", "mod tests {\n    use super::super::super::wire::reply;\n}"),
        ["2: `set` uses `wire`, which stands above it"]
    );
    assert_eq!(
        complaints("set/codec.rs", "use super::builder; mod tests { use super::super::builder; }"),
        [""; 0]
    );
    assert_eq!(
        complaints(
            "zone/mod.rs",
            "mod a {} use super::wire::x; macro_rules! m { () => { $crate::ops::x() } }"
        ),
        ["1: `zone` uses `ops`, which stands above it", "1: `zone` uses `wire`, which stands above it"]
    );
}

#[test]
fn comments_and_strings_do_not_count() {
    let source = r##"
//! See [`crate::server`]; unsafe.
/* crate::ops /* crate::cli */ tokio::x */
const A: &str = "crate::server::x"; const B: &str = r#"unsafe " crate::ops"#; const C: char = '"';
fn f<'a>(x: &'a str) -> u8 { b'\'' } // unsafe
"##;
    assert_eq!(complaints("model/addr.rs", source), [""; 0]);
    let after = format!("{source}\nuse crate::ops::x;");
    assert_eq!(complaints("model/addr.rs", &after), ["7: `model` uses `ops`, which stands above it"]);
}

#[test]
fn crates_of_the_program_are_not_for_the_core() {
    assert_eq!(
        complaints("wire/reply.rs", "use hickory_proto::rr::Name;"),
        ["1: `hickory_proto` in the pure core"]
    );
    assert_eq!(complaints("zone/mod.rs", "fn f() { tokio::spawn(x); }"), ["1: `tokio` in the pure core"]);
    assert_eq!(
        complaints("parse/csv.rs", "use {std::io::Read, reqwest::Client};"),
        ["1: `reqwest` in the pure core"]
    );
    assert_eq!(complaints("server/tcp.rs", "use hickory_proto::rr::Name; use tokio::net;"), [""; 0]);
}

#[test]
fn the_deciding_modules_do_no_io() {
    assert_eq!(
        complaints("parse/mod.rs", "use std::fs::File;"),
        ["1: `std::fs::File` in `parse`, which does no I/O and reads no clock"]
    );
    assert_eq!(
        complaints("zone/mod.rs", "let now = std::time::SystemTime::now();"),
        ["1: `std::time::SystemTime::now` in `zone`, which does no I/O and reads no clock"]
    );
    assert_eq!(complaints("snapshot/mmap.rs", "use std::fs::File;"), [""; 0]);
}

#[test]
fn the_server_never_parses() {
    assert_eq!(
        complaints("server/reload.rs", "use crate::parse::Format;"),
        ["1: `server` uses `parse`: the serving process never parses"]
    );
}

#[test]
fn unsafe_has_its_two_files() {
    let source = "#[allow(unsafe_code)]\nfn f() {\n    unsafe { g() }\n}\n";
    assert_eq!(
        complaints("snapshot/read.rs", source),
        ["3: `unsafe` outside snapshot/mmap.rs and server/udp/sys.rs"]
    );
    assert_eq!(complaints("snapshot/mmap.rs", source), [""; 0]);
    assert_eq!(complaints("main.rs", "fn main() { unsafe {} }").len(), 1);
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(complaints("set/mod.rs", &"// x\n".repeat(MAX_LINES)), [""; 0]);
    assert_eq!(
        complaints("set/mod.rs", &"// x\n".repeat(MAX_LINES + 1)),
        ["601: 601 lines, more than 600: split it"]
    );
}

#[test]
fn a_module_without_a_layer_is_found() {
    assert_eq!(
        complaints("helpers.rs", ""),
        ["1: module `helpers` has no layer: give it one in tests/layering.rs"]
    );
    assert_eq!(complaints("lib.rs", "pub mod cli;"), [""; 0]);
}
