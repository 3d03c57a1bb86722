//! The ledger of codes against the repository's history: what once stood in it stands for ever.
//!
//! Mail servers filter on codes, so a line that was ever committed may neither go nor get another code. (That each feed
//! of the catalogue has its code there is proved beside the catalogue.)

#[path = "common/loud.rs"]
mod loud;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const LEDGER: &str = "zones/codes.txt";

#[test]
fn what_ever_stood_in_the_ledger_stands() {
    const TEST: &str = "what_ever_stood_in_the_ledger_stands";
    let Some(_) = loud::installed("git", "git", TEST) else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let history = match history(root) {
        Ok(history) => history,
        Err(why) => return loud::skipped(TEST, &why),
    };
    let gone = gone(&history, &fs::read_to_string(root.join(LEDGER)).unwrap());
    assert!(gone.is_empty(), "these lines stood in {LEDGER} once and are gone or have changed: {gone:#?}");
}

/// Every change of the ledger, as a patch. `Err` says why that cannot be told.
fn history(root: &Path) -> Result<String, String> {
    let shallow = git(root, &["rev-parse", "--is-shallow-repository"]);
    if !shallow.status.success() {
        return Err(format!("no git repository here: {}", String::from_utf8_lossy(&shallow.stderr).trim()));
    }
    if shallow.stdout.starts_with(b"true") {
        return Err("the clone is shallow: its history is not whole (git fetch --unshallow)".to_owned());
    }
    // With merges: what only a merge brought in counts, too.
    let patch =
        ["--patch", "-m", "--full-history", "--format=", "--no-ext-diff", "--no-color", "--no-renames"];
    let log = git(root, &[&["log"], &patch[..], &["--", LEDGER]].concat());
    match String::from_utf8(log.stdout) {
        Ok(patch) if log.status.success() && !patch.is_empty() => Ok(patch),
        _ => Err(format!("git knows no history of {LEDGER}")),
    }
}

fn git(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    // Set where git runs this as a hook.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command.arg("-C").arg(root).args(arguments).output().expect("git starts")
}

/// Lines that a patch ever added and that `ledger` does not have.
fn gone(patch: &str, ledger: &str) -> Vec<String> {
    let stands: BTreeSet<(&str, &str)> = ledger.lines().filter_map(line).collect();
    let added =
        patch.lines().filter_map(|line| line.strip_prefix('+')).filter(|line| !line.starts_with("++"));
    let once: BTreeSet<(&str, &str)> = added.filter_map(line).collect();
    once.difference(&stands).map(|(code, feed)| format!("{code} {feed}")).collect()
}

/// Code and feed; what stands behind them may change.
fn line(text: &str) -> Option<(&str, &str)> {
    let mut words = text.split_whitespace();
    let code = words.next().filter(|word| word.starts_with("127."))?;
    Some((code, words.next()?))
}

/// A history in which a code was changed, a line was removed, and one came and went within merges.
#[test]
fn a_change_is_found() {
    const TEST: &str = "a_change_is_found";
    let Some(_) = loud::installed("git", "git", TEST) else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("zones")).unwrap();
    let run = |arguments: &[&str]| {
        let identity = ["-c", "user.name=x", "-c", "user.email=x@example.net", "-c", "commit.gpgsign=false"];
        let done = git(root, &[&identity[..], arguments].concat());
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    };
    let write = |lines: &[&str]| {
        fs::write(root.join(LEDGER), format!("# codes\n{}\n", lines.join("\n"))).unwrap();
        run(&["add", "."]);
    };
    run(&["init", "-q", "-b", "main"]);
    write(&["127.0.0.3 one", "127.0.0.4 two", "127.0.0.5 three (reserved: soon)"]);
    run(&["commit", "-q", "-m", "1"]);
    run(&["checkout", "-q", "-b", "side"]);
    fs::write(root.join("other"), "x").unwrap();
    run(&["add", "."]);
    run(&["commit", "-q", "-m", "2"]);
    run(&["checkout", "-q", "main"]);
    write(&["127.0.0.3 one", "127.0.0.4 two", "127.0.0.5 three"]);
    run(&["commit", "-q", "-m", "3"]);
    run(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    let all = ["127.0.0.3 one", "127.0.0.4 two", "127.0.0.5 three", "127.0.0.6 merged"];
    write(&all);
    run(&["commit", "-q", "-m", "4"]);

    let gone_with = |lines: &[&str]| {
        write(lines);
        run(&["commit", "-q", "--allow-empty", "-m", "next"]);
        gone(&history(root).unwrap(), &fs::read_to_string(root.join(LEDGER)).unwrap())
    };
    assert!(gone_with(&all).is_empty());
    assert_eq!(gone_with(&["127.0.0.3 one", "127.0.0.7 two", all[2], all[3]]), ["127.0.0.4 two"]);
    // That the change itself is committed makes it no better, and putting it right leaves what was tried.
    assert_eq!(gone_with(&all), ["127.0.0.7 two"]);
    assert_eq!(gone_with(&[all[0], all[1], all[2], "127.0.0.7 two"]), ["127.0.0.6 merged"]);

    let shallow = root.join("shallow");
    let url = format!("file://{}", root.display());
    run(&["clone", "-q", "--depth", "1", &url, shallow.to_str().unwrap()]);
    assert!(history(&shallow).unwrap_err().contains("shallow"));
    assert!(history(tempfile::tempdir().unwrap().path()).unwrap_err().contains("no git repository"));
}
