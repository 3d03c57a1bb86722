//! The command line itself: help, version, completions, manual pages, wrong arguments, a reader that goes away.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::process::Stdio;

use cli_support::Place;

const COMMANDS: [&str; 27] = [
    "up",
    "serve",
    "sync",
    "status",
    "lookup",
    "allow",
    "block",
    "overlay",
    "accept",
    "diff",
    "history",
    "rollback",
    "pin",
    "unpin",
    "feeds",
    "check-config",
    "print-config",
    "snippet",
    "doctor",
    "compile",
    "inspect",
    "bench",
    "compare",
    "rbldnsd",
    "import-rbldnsd",
    "completions",
    "man",
];

#[test]
fn every_command_explains_itself() {
    let place = Place::new();
    let all = place.run(&["--help"]).ended_with(0).says("Exit codes:");
    assert_eq!(all.err, "");
    for command in COMMANDS {
        assert!(all.out.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not named");
        let help = place.run(&[command, "--help"]).ended_with(0).says("Usage: gatepost ").says("Examples:");
        assert_eq!(help.err, "", "{command}");
        assert_eq!(help.out, place.run(&["help", command]).ended_with(0).out);
        let widest = help.out.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(110), "{command}: {widest:?} columns");
    }
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let place = Place::new();
    for args in [
        &[][..],
        &["nonsense"],
        &["lookup"],
        &["lookup", "192.0.2.1/33"],
        &["lookup", "192.0.2.1/24", "--state", "."],
        &["compile", "--format", "nonsense", "--zone", "bl.example", "x", "-o", "y"],
        &["compile", "--format", "plain", "--zone", "bl..example", "x", "-o", "y"],
        &["compile", "--format", "csv", "--zone", "bl.example", "x", "-o", "y"],
        &["compile", "--format", "plain", "--zone", "bl.example", "--code", "192.0.2.1", "x", "-o", "y"],
        &["status", "--config", "a", "--state", "b"],
        &["status", "--state", "."],
        &["status", "--config", "nowhere.toml"],
        &["sync", "--config", "nowhere.toml"],
        &["serve", "--config", "nowhere.toml"],
        &["up", "--listen", "5354"],
    ] {
        let ran = place.run(args).ended_with(2);
        assert_eq!(ran.out, "", "{args:?}");
        assert!(!ran.err.is_empty(), "{args:?}");
    }
    place.run(&["lookup", "192.0.2.7/24", "--state", "."]).talks("did you mean 192.0.2.0/24?");
}

#[test]
fn without_any_gatepost_it_says_what_to_name() {
    let place = Place::new();
    // Root's state folder is the machine's: only an ordinary person's is in HOME.
    let of_root = nix::unistd::geteuid().is_root().then_some("/var/lib/gatepost/up.toml");
    let mut of_machine = of_root.into_iter().chain(["/etc/gatepost/gatepost.toml"]);
    if let Some(known) = of_machine.find(|path| std::path::Path::new(path).exists()) {
        return loud::skipped("without_any_gatepost_it_says_what_to_name", &format!("{known} is there"));
    }
    place.run(&["status"]).ended_with(2).talks("--config FILE or --state DIR");
}

#[test]
fn version_completions_and_manual_pages() {
    let place = Place::new();
    place.run(&["--version"]).ended_with(0).says(concat!("gatepost ", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        place.run(&["completions", shell]).ended_with(0).says("print-config");
    }
    place.run(&["man"]).ended_with(0).says(".TH gatepost 1");
    place.run(&["man", "--dir", "pages"]).ended_with(0);
    place.read("pages/gatepost.1");
    for command in COMMANDS {
        let page = place.read(&format!("pages/gatepost-{command}.1"));
        assert!(page.contains("Examples:"), "{command}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    for args in [&["completions", "bash"][..], &["man"], &["--help"]] {
        let mut child =
            place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let done = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{args:?}");
        assert_eq!(done.status.code(), Some(0), "{args:?}");
    }
}
