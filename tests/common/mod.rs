//! What the end-to-end tests share: an HTTP server that serves and lies, the program as a process, a DNS client of a
//! few lines, and lists read in the plainest way. Nothing here uses the program's own parsers or encoders.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod dns;
pub(crate) mod feed_server;
pub(crate) mod naive;
pub(crate) mod program;
pub(crate) mod site;

use std::io::Write;
use std::path::{Path, PathBuf};

/// Says something on stderr although the test runner captures what passing tests print.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Where a program of a Debian package is; sbin counts, which is not on everybody's path. `None`, said loudly, where it
/// is not installed.
pub(crate) fn installed(program: &str, package: &str, test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        say(&format!("SKIPPED: {test}: {program} is not installed (apt-get install {package})"));
    }
    found
}

/// The folder with real lists: `GATEPOST_FEEDS`, else beside the project. `None`, said loudly, where there is none.
pub(crate) fn feeds(what: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/feeds");
    let folder = std::env::var_os("GATEPOST_FEEDS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    say(&format!("SKIPPED: {what}: no real lists at {} (set GATEPOST_FEEDS)", folder.display()));
    None
}

/// A file of the made-up lists in `tests/data`.
pub(crate) fn made_up(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

/// The octets of a file, unpacked when its name ends in `.gz`.
pub(crate) fn unpacked(path: &Path) -> Vec<u8> {
    let octets = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_none_or(|extension| extension != "gz") {
        return octets;
    }
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&octets[..]), &mut text).expect("gzip");
    text
}

/// Random numbers with a fixed seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
