//! What a machine may not have: it is found, or said loudly to be missing. `.ci/run` counts what is said.
//!
//! Test files that need nothing else of `common` take this one alone.
#![allow(dead_code)] // each test file uses its part

use std::io::Write;
use std::path::{Path, PathBuf};

/// Says something on stderr although the test runner captures what passing tests print.
pub(crate) fn say(line: &str) {
    // At once: other tests speak as well.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Says that a test, or a part of it, cannot be done here.
pub(crate) fn skipped(test: &str, why: &str) {
    say(&format!("SKIPPED: {}::{test}: {why}", env!("CARGO_CRATE_NAME")));
}

/// Where a program of a Debian package is; sbin counts, which is not on everybody's path. `None`, said loudly, where it
/// is not installed.
pub(crate) fn installed(program: &str, package: &str, test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        skipped(test, &format!("{program} is not installed (apt-get install {package})"));
    }
    found
}

/// The folder with real lists: `GATEPOST_FEEDS`, else beside the project. `None`, said loudly, where there is none.
pub(crate) fn feeds(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/feeds");
    let folder = std::env::var_os("GATEPOST_FEEDS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    skipped(test, &format!("no real lists at {} (set GATEPOST_FEEDS)", folder.display()));
    None
}
