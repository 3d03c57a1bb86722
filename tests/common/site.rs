//! A feed server, a folder and a configuration that belong together.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::feed_server::{FeedServer, Page};
use super::program::{self, Ended, Server};

/// A place to run gatepost in.
pub(crate) struct Site {
    pub(crate) web: FeedServer,
    dir: TempDir,
}

impl Site {
    /// With nothing configured.
    pub(crate) fn new() -> Self {
        Self { web: FeedServer::start(), dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("gatepost.toml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes a configuration: what every test needs, then `lists_and_zones`, in which `WEB` is the server's address.
    pub(crate) fn configure(&self, lists_and_zones: &str) {
        let head = "version = 1\nstate = \"state\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n";
        let text = lists_and_zones.replace("WEB", &self.web.url(""));
        fs::write(self.config(), format!("{head}{text}")).expect("our folder");
    }

    /// Lines of a configuration: a list from the server that may be fetched at any time, named as its path.
    pub(crate) fn list(name: &str, code: u8, more: &str) -> String {
        format!(
            "[list.{name}]\nurl = \"WEB/{name}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.{code}\"\n\
             allow-private = true\nfloor = \"0s\"\n{more}\n"
        )
    }

    /// Lines of a configuration: a zone of these lists.
    pub(crate) fn zone(origin: &str, lists: &[&str], more: &str) -> String {
        let lists: Vec<String> = lists.iter().map(|list| format!("{list:?}")).collect();
        format!("[zone.\"{origin}\"]\nlists = [{}]\n{more}\n", lists.join(", "))
    }

    /// Serves `body` at `/NAME`.
    pub(crate) fn put(&self, name: &str, body: impl Into<Vec<u8>>) {
        self.web.put(&format!("/{name}"), Page::new(body));
    }

    /// `gatepost sync` of these lists, with a summary in JSON.
    pub(crate) fn sync(&self, lists: &[&str]) -> Ended {
        program::sync(&self.config(), lists)
    }

    /// `gatepost COMMAND LIST MORE`.
    pub(crate) fn on_list(&self, command: &str, list: &str, more: &[&str]) -> Ended {
        let config = self.config();
        let config = [OsStr::new("--config"), config.as_os_str()];
        program::run([command, list].iter().chain(more).map(OsStr::new).chain(config))
    }

    /// What becomes of `body` when the list is fetched: its part of the summary.
    pub(crate) fn fetch(&self, list: &str, body: impl Into<Vec<u8>>) -> serde_json::Value {
        self.put(list, body);
        self.sync(&[list]).json()["lists"][0].clone()
    }

    /// What `gatepost status --json` says of the first list.
    pub(crate) fn first_list(&self) -> serde_json::Value {
        self.status()["lists"][0].clone()
    }

    /// `gatepost serve`.
    pub(crate) fn serve(&self) -> Server {
        Server::serve(&self.config())
    }

    /// `gatepost status --json`.
    pub(crate) fn status(&self) -> serde_json::Value {
        let arguments = ["status", "--json", "--config"].map(AsRef::as_ref);
        program::run(arguments.into_iter().chain([self.config().as_os_str()])).json()
    }

    /// The SOA serial of `zone` in service.
    #[track_caller]
    pub(crate) fn serial(&self, zone: &str) -> u32 {
        program::serial(&self.state(), zone).unwrap_or_else(|| panic!("{zone} is not in service"))
    }

    /// The octets of the generation file.
    pub(crate) fn generation(&self) -> String {
        fs::read_to_string(self.state().join("generation.json")).expect("a generation")
    }

    /// Names of the files below a folder of the store.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.state().join(folder), "", &mut found);
        found.sort();
        found
    }
}

fn collect(folder: &Path, prefix: &str, into: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.expect("readable")) {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), into);
        } else {
            into.push(name);
        }
    }
}
