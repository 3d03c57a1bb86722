//! What the program depends on, checked without a network: licences against an allow list, sources, the Rust version
//! that is promised, versions below which an advisory is known, and a reason beside each direct dependency.
//!
//! `cargo deny check` does more where it is installed and may go online; `deny.toml` holds the same licences, which
//! is checked here too.

#![cfg(feature = "full")] // reads TOML

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that code may come under. `deny.toml` says the same.
const LICENCES: [&str; 9] =
    ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "Unicode-3.0", "Zlib"];

/// The least version of crates of which earlier ones have an advisory that touches what this program does.
const AT_LEAST: [(&str, (u64, u64, u64), &str); 4] = [
    ("memmap2", (0, 9, 11), "RUSTSEC-2026-0186"),
    ("hickory-proto", (0, 26, 2), "RUSTSEC-2026-0118 and -0119, CVEs of November 2026"),
    ("rustls", (0, 23, 18), "RUSTSEC-2024-0399"),
    ("ring", (0, 17, 12), "RUSTSEC-2025-0009"),
];

#[test]
fn every_licence_is_allowed() {
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        match package["license"].as_str() {
            Some(licence) if allows(licence) => {}
            other => wrong.push(format!("{name}: {}", other.unwrap_or("no licence given"))),
        }
    }
    assert!(wrong.is_empty(), "licences that nobody allowed: {wrong:#?}");
}

#[test]
fn deny_toml_allows_the_same_licences() {
    let text = read("deny.toml");
    let deny: toml::Table = text.parse().unwrap();
    let allowed = deny["licenses"]["allow"].as_array().unwrap();
    let allowed: BTreeSet<&str> = allowed.iter().map(|licence| licence.as_str().unwrap()).collect();
    assert_eq!(allowed, BTreeSet::from(LICENCES));
}

#[test]
fn everything_comes_from_the_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        let own = package["name"] == "gatepost" && source.is_none();
        let registry = source == Some("registry+https://github.com/rust-lang/crates.io-index");
        assert!(own || registry, "{} comes from {source:?}", package["name"]);
    }
}

#[test]
fn the_promised_rust_version_is_enough_for_every_dependency() {
    let packages = packages();
    let own = packages.iter().find(|package| package["name"] == "gatepost").unwrap();
    let promised = version(own["rust_version"].as_str().unwrap());
    let mut highest = (0, 0, 0);
    for package in packages.iter().filter(|package| package["name"] != "gatepost") {
        let Some(needed) = package["rust_version"].as_str().map(version) else { continue };
        assert!(
            needed <= promised,
            "{} needs Rust {needed:?}, Cargo.toml promises {promised:?}",
            package["name"]
        );
        highest = highest.max(needed);
    }
    assert_eq!(highest, promised, "Cargo.toml could promise an older Rust");
}

#[test]
fn known_advisories_are_behind_us() {
    for package in packages() {
        for (name, least, advisory) in AT_LEAST {
            let found = version(package["version"].as_str().unwrap());
            assert!(
                package["name"] != name || found >= least,
                "{name} {found:?} is older than {least:?}: {advisory}"
            );
        }
    }
}

#[test]
fn each_dependency_says_why_it_is_there() {
    let manifest = read("Cargo.toml");
    let mut section = "";
    let mut reason = false;
    let mut without = Vec::new();
    for line in manifest.lines() {
        match line.trim() {
            // A blank line ends what a comment speaks of.
            "" => reason = false,
            comment if comment.starts_with('#') => reason = true,
            head if head.starts_with('[') => (section, reason) = (head, false),
            // What follows another dependency directly shares its reason (clap and what it generates from).
            dependency if section == "[dependencies]" && !reason => without.push(dependency.to_owned()),
            _ => {}
        }
    }
    assert!(without.is_empty(), "no comment says why: {without:#?}");
}

/// The packages that are built on this platform, as `cargo metadata` gives them.
fn packages() -> Vec<Value> {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().clone();
    assert!(packages.len() > 50, "{} packages", packages.len());
    packages
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// `1.90` → (1, 90, 0).
fn version(text: &str) -> (u64, u64, u64) {
    let mut numbers = text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// Whether an SPDX expression lets us choose licences of the list. `/` is an old way to write OR; an exception
/// (`WITH …`) only ever gives more rights.
fn allows(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let allowed = either(&words, &mut at);
    assert_eq!(at, words.len(), "cannot read the licence `{expression}`");
    allowed
}

fn either(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = both(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= both(words, at);
    }
    allowed
}

fn both(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= one(words, at);
    }
    allowed
}

fn one(words: &[&str], at: &mut usize) -> bool {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    if word == "(" {
        let allowed = either(words, at);
        *at += 1;
        return allowed;
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    LICENCES.contains(&word)
}

#[test]
fn licence_expressions_are_understood() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "Apache-2.0 WITH LLVM-exception",
        "(GPL-2.0 OR MIT) AND ISC",
    ] {
        assert!(allows(good), "{good}");
    }
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "(GPL-2.0 OR AGPL-3.0) AND ISC", "Unknown"] {
        assert!(!allows(bad), "{bad}");
    }
}
