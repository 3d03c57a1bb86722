//! The documents are true: links lead to files, paths that are named exist, commands are those that the program has,
//! and what can run offline is run.
#![cfg(feature = "full")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::feed_server::{FeedServer, Page};
use common::program::{Server, gatepost, run};
use common::site::Site;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document: its path from the root, and its text.
fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 7, "{found:?}");
    found
}

/// What stands between `open` and `close`, again and again.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let pieces = text.split(open).skip(1);
    pieces.filter_map(|piece| piece.split_once(close)).map(|(inside, _)| inside).collect()
}

/// The text without fenced blocks.
fn prose(text: &str) -> String {
    let pieces = text.split("```").step_by(2);
    pieces.collect::<Vec<_>>().join("\n")
}

/// The code spans of a line of prose.
fn spans(text: &str) -> Vec<String> {
    let prose = prose(text);
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The fenced blocks with this word behind the fence.
fn blocks<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    between(text, &format!("```{word}\n"), "```")
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for (file, text) in documents() {
        let folder = root().join(&file).parent().unwrap().to_owned();
        for target in between(&prose(&text), "](", ")") {
            let path = target.split('#').next().unwrap();
            if !target.contains("://") && !path.is_empty() && !folder.join(path).exists() {
                dead.push(format!("{file}: {target}"));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// `src/parse/plain.rs` and the like; a word in capitals stands for any name.
#[test]
fn paths_that_are_named_exist() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for (file, text) in documents() {
        for span in spans(&text) {
            let is_path = ["src/", "tests/", "benches/", "zones/", "deploy/", "docs/"]
                .iter()
                .any(|start| span.starts_with(start));
            if !is_path || span.contains(' ') {
                continue;
            }
            seen += 1;
            let known = span.split('/').take_while(|part| !is_placeholder(part)).collect::<PathBuf>();
            if !root().join(&known).exists() {
                missing.push(format!("{file}: {span}"));
            }
        }
    }
    assert!(seen > 20, "{seen}");
    assert!(missing.is_empty(), "{missing:#?}");
}

fn is_placeholder(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default();
    part.contains('*') || stem.len() > 1 && stem.chars().all(|c| c.is_ascii_uppercase())
}

/// Every module has a row in ARCHITECTURE.md's table.
#[test]
fn every_module_is_in_the_architecture() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for entry in fs::read_dir(root().join("src")).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            assert!(rows.contains(name.as_str()), "ARCHITECTURE.md does not say what `{name}` holds");
        }
    }
}

/// Every command line in the documents, in code spans and shell blocks: command and flags exist.
#[test]
fn commands_are_those_of_the_program() {
    let mut seen = 0;
    for (file, text) in documents() {
        for line in command_lines(&text) {
            seen += 1;
            let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if command == "COMMAND" || command.starts_with('-') {
                continue;
            }
            let help = run(["help", command]);
            assert_eq!(help.code, Some(0), "{file}: `gatepost {line}`: there is no such command");
            // Of a command below that one, if the word behind it is one.
            let below = rest.split_whitespace().next().filter(|word| !word.starts_with('-'));
            let below = below.map(|word| run(["help", command, word])).filter(|help| help.code == Some(0));
            let help = below.map_or(help.stdout, |below| below.stdout);
            for flag in rest.split_whitespace().filter(|word| word.starts_with('-') && word.len() > 1) {
                let flag = flag.split('=').next().unwrap();
                assert!(help.contains(flag), "{file}: `gatepost {line}`: there is no {flag}");
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

/// What stands behind `gatepost` in code spans and shell blocks, up to a comment or a pipe.
fn command_lines(text: &str) -> Vec<String> {
    let spans = spans(text).into_iter();
    let blocks = blocks(text, "sh").into_iter().flat_map(str::lines).map(str::to_owned);
    spans
        .chain(blocks)
        .filter_map(|line| {
            let line = line.split(['#', '|', '>']).next()?.trim();
            let arguments =
                line.strip_prefix("gatepost ").or_else(|| line.split_once(" -- ").map(|(_, rest)| rest))?;
            let cargo_run = line.starts_with("cargo run");
            (cargo_run || line.starts_with("gatepost ")).then(|| arguments.trim().to_owned())
        })
        .collect()
}

/// Pages whose shell blocks are run whole, in their order: by tests/moving.rs, tests/quick_start.rs and tests/manual.rs.
const RUN_WHOLE: [&str; 6] = [
    "docs/moving-from-rbldnsd.md",
    "docs/quick-start.md",
    "docs/zones.md",
    "docs/rejected-wrongly.md",
    "docs/monitoring.md",
    "docs/tuning.md",
];

/// The README's table and the other documents' command lines, run against a small store. What they print is not
/// compared; that they run, and end as they say they end, is.
#[test]
fn command_lines_run() {
    let site = Site::new();
    site.configure(&(Site::list("one", 1, "") + &Site::zone("one.example", &["one"], "")));
    site.put("one", "5.6.7.8\n");
    site.sync(&[]).expect(0);
    // What is decided changes answers: it has a store of its own.
    let decided = Site::new();
    decided.configure(&(Site::list("one", 1, "") + &Site::zone("one.example", &["one"], "")));
    let server = site.serve();
    // With the port that was really taken: the probe must find it.
    let port = server.dns.port().to_string();
    let config =
        fs::read_to_string(site.config()).unwrap().replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    fs::write(site.config(), config).unwrap();
    fs::write(site.path("list.txt"), "5.6.7.8\n").unwrap();
    let snapshot = site.files("snapshots").into_iter().next().expect("a snapshot");
    let snapshot = site.state().join("snapshots").join(snapshot);

    let mut ran = BTreeSet::new();
    for (file, text) in documents() {
        let lines = match RUN_WHOLE.contains(&&*file) {
            true => command_lines(&prose(&text)),
            false => command_lines(&text),
        };
        for line in lines {
            let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let command = words[0].clone();
            let elsewhere = ["up", "serve", "rbldnsd", "bench", "compare", "doctor", "COMMAND"];
            let by_hand = ["accept", "diff", "rollback", "pin", "unpin"]; // they need a past
            if elsewhere.contains(&command.as_str())
                || by_hand.contains(&command.as_str())
                || command.starts_with('-')
            {
                continue; // what serves or takes its time is run below and in other tests
            }
            if line.starts_with("feeds enable") || line.starts_with("feeds disable") {
                continue; // would have the lines below fetch from the world; tests/cli_feeds.rs runs it
            }
            let is_compile = command == "compile";
            for word in &mut words[1..] {
                let with = match word.as_str() {
                    "FILE" if is_compile => "list.txt",
                    "FILE" => "gatepost.toml",
                    "/etc/gatepost/gatepost.toml" => "gatepost.toml",
                    "ADDRESS" => "5.6.7.8",
                    "PREFIX" => "5.6.7.0/24",
                    "SHELL" => "bash",
                    "DIR" => "man",
                    "OUT" => "out.snapshot",
                    "SNAPSHOT" => snapshot.to_str().unwrap(),
                    "LIST" => "one",
                    "OPTIONS" => "-b127.0.0.1/5300",
                    "ZONE" => "one.example",
                    "PROGRAM" => "postfix",
                    "ZONES" => "bl.example:ip4set:list.txt",
                    _ => continue,
                };
                *word = with.to_owned();
            }
            let mut process = gatepost();
            let decides = ["allow", "block", "overlay"].contains(&command.as_str());
            let config = if decides { decided.config() } else { site.config() };
            process.args(&words).current_dir(site.path("")).env("GATEPOST_CONFIG", config);
            let output = process.output().unwrap();
            let listed = command == "lookup" && words.iter().any(|word| word.starts_with("5.6.7."));
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(i32::from(listed)), "{file}: gatepost {words:?}: {said}");
            ran.insert(command);
        }
    }
    for command in [
        "sync",
        "check-config",
        "lookup",
        "allow",
        "block",
        "overlay",
        "status",
        "history",
        "compile",
        "inspect",
        "export",
        "import-rbldnsd",
        "snippet",
        "completions",
        "man",
    ] {
        assert!(ran.contains(command), "no document shows `gatepost {command}`");
    }
    drop(server);
}

/// `up` with the real catalogue, whose URLs lead to a server that has nothing: what the README shows of its output is
/// what it prints.
#[test]
fn the_readme_shows_what_up_prints() {
    let web = FeedServer::start();
    let dir = tempfile::tempdir().unwrap();
    let catalogue = dir.path().join("feeds");
    fs::create_dir(&catalogue).unwrap();
    for entry in fs::read_dir(root().join("zones/feeds")).unwrap().map(Result::unwrap) {
        let text = fs::read_to_string(entry.path()).unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("/{name}");
        web.put(&path, Page::status(503, "down"));
        let url = |line: &str| line.starts_with("urls = ");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // What is for registered users has none.
        if let Some(at) = lines.iter().position(|line| url(line)) {
            lines[at] = format!("urls = [{:?}]\nallow-private = true", web.url(&path));
        }
        fs::write(catalogue.join(&name), lines.join("\n")).unwrap();
    }
    let mut command: Command = gatepost();
    command.args(["up", "--listen", "127.0.0.1:0", "--state"]).arg(dir.path().join("state"));
    command.arg("--catalogue").arg(&catalogue);
    let mut server = Server::start(command);
    server.wait_for(|said| said.contains("Ctrl-C ends it").then_some(()));
    let port = server.dns.port();
    let (code, said) = server.stop();
    assert_eq!(code, Some(0), "{said}");
    // As it would be on the default port.
    let said = said.replace(&format!("-p {port} "), "-p 5354 ").replace(&format!("@{port}"), "@5354");
    let said: BTreeSet<&str> = said.lines().map(str::trim).collect();

    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut shown = 0;
    for block in blocks(&readme, "text") {
        for line in block.lines().map(str::trim) {
            let line = line.strip_prefix("smtpd_recipient_restrictions = ... ").unwrap_or(line);
            let of_up = [
                "dig ",
                "do-not-query",
                "domain-insecure",
                "private-domain",
                "name:",
                "forward-addr",
                "reject_",
            ];
            if of_up.iter().any(|start| line.starts_with(start)) {
                assert!(said.contains(line), "README.md shows `{line}`; up said {said:#?}");
                shown += 1;
            }
        }
    }
    assert_eq!(shown, 8);
}

/// The README names the test command that CI runs last.
#[test]
fn ci_runs_the_readmes_test_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let test = blocks(&readme, "sh")
        .into_iter()
        .flat_map(str::lines)
        .find(|line| line.contains("all tests"))
        .and_then(|line| line.split('#').next())
        .map(str::trim);
    assert_eq!(test, Some("cargo test"));
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    let steps: Vec<&str> = ci.lines().filter(|line| line.starts_with("counted cargo ")).collect();
    assert_eq!(steps.last(), Some(&"counted cargo test --locked"));
}
