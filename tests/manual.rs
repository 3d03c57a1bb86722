//! The manual (`docs/`): its index has every page, its pages run from their beginning to their end, and what they say of fields, lines of the log and
//! tests is so. Each page runs on a host that is played here: a folder in the place of `/etc` and `/var`, and systemctl by hand.
//! (`tests/quick_start.rs`, `tests/moving.rs` and `tests/docs.rs` run the others.)
#![cfg(feature = "full")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use common::dns::{A, try_ask};
use common::program::{PATIENCE, Server, gatepost};
use common::{free_port, installed};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The fenced blocks with this word behind the fence.
fn blocks(page: &str, word: &str) -> Vec<String> {
    let fence = format!("```{word}\n");
    page.split(&fence).skip(1).map(|piece| piece.split("```").next().unwrap().to_owned()).collect()
}

/// The rows of all tables between two marks, cell by cell.
fn rows(page: &str, mark: &str) -> Vec<Vec<String>> {
    let (_, inside) = page.split_once(&format!("<!-- {mark}:")).unwrap();
    let (inside, _) = inside.split_once(&format!("<!-- end of {mark} -->")).unwrap();
    let rows = inside.split("| --- |").skip(1).flat_map(|table| {
        table.lines().skip(1).take_while(|line| line.starts_with('|')).map(|line| {
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
        })
    });
    rows.collect()
}

/// What stands in back quotes.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_index_has_every_page_once() {
    let index = page("docs/README.md");
    let mut named = BTreeSet::new();
    for line in index.lines().filter(|line| line.starts_with("* ")) {
        let (name, rest) = line[2..].strip_prefix('[').unwrap().split_once("](").unwrap();
        let (target, question) = rest.split_once("): ").unwrap_or_else(|| panic!("{line}"));
        assert_eq!(name, target, "{line}");
        assert!(question.ends_with('?'), "what does it answer? {line}");
        assert!(named.insert(name.to_owned()), "twice: {line}");
    }
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages: BTreeSet<String> =
        pages.map(|name| name.into_string().unwrap()).filter(|name| name != "README.md").collect();
    assert_eq!(named, pages, "docs/README.md (left) and what is in docs/ (right)");
    // Who looks at the project for the first time is led there.
    let readme = page("README.md");
    let first_screen: Vec<&str> = readme.lines().take(25).collect();
    assert!(first_screen.join("\n").contains("](docs/README.md)"), "{first_screen:#?}");
}

/// Every row says by which tests it is held, and there are such tests.
#[test]
fn promises_are_held_by_tests() {
    let rows = rows(&page("docs/threat-model.md"), "promises");
    assert!(rows.len() > 30, "{rows:#?}");
    for row in rows {
        let spans = spans(row.last().unwrap());
        assert!(spans.first().is_some_and(|first| first.starts_with("tests/")), "no test holds {row:?}");
        let mut file = String::new();
        for span in spans {
            if span.starts_with("tests/") {
                file = page(span);
                continue;
            }
            let test = file.split_once(&format!("fn {span}(")).map(|(before, _)| before);
            let attributes = test.map(|before| before.rsplit_once('}').map_or(before, |(_, near)| near));
            let is_test = attributes.is_some_and(|near| near.contains("test]") || near.contains("test("));
            assert!(is_test, "there is no test {span}: {row:?}");
        }
    }
}

/// All sources, with strings that go on in the next line in one piece.
fn sources() -> String {
    let mut text = String::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => text.push_str(&fs::read_to_string(path).unwrap()),
            }
        }
    }
    let lines = text.split("\\\n").map(str::trim_start);
    lines.collect::<Vec<_>>().concat()
}

#[test]
fn lines_of_the_log_are_those_of_the_program() {
    let (monitoring, sources) = (page("docs/monitoring.md"), sources());
    let rows = rows(&monitoring, "log");
    assert!(monitoring.contains("the first eight are errors"));
    for (number, row) in rows.iter().enumerate() {
        let line = spans(&row[0])[0];
        let wanted = if number < 8 { "error!(" } else { "warn!(" };
        let told = sources.match_indices(line).filter_map(|(at, _)| sources[..at].rsplit_once("tracing::"));
        let told: Vec<&str> = told.map(|(_, call)| call).collect();
        assert!(told.iter().any(|call| call.starts_with(wanted) && call.len() < 300), "{line:?}: {told:?}");
    }
    assert_eq!(rows.len(), 13);
    // The counters that tell what to turn are those that are counted.
    let logs = page("docs/logs.md");
    for row in page("docs/tuning.md").lines().filter(|line| line.starts_with("| `")) {
        for counter in
            spans(row.split(" | ").next().unwrap()).iter().filter_map(|span| span.strip_suffix('='))
        {
            assert!(sources.contains(counter), "{counter}");
            assert!(logs.contains(counter) || counter == "tot", "{counter} is not in docs/logs.md");
        }
    }
}

/// A host with the lists and zones of docs/zones.md.
struct Host {
    folder: tempfile::TempDir,
    listen: String,
    server: Option<Server>,
    /// The exit codes of every `gatepost lookup`.
    looked_up: Vec<i32>,
}

impl Host {
    fn start() -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut host =
            Self { folder: tempfile::tempdir().unwrap(), listen, server: None, looked_up: Vec::new() };
        for folder in ["bin", "etc/gatepost", "etc/sysctl.d"] {
            fs::create_dir_all(host.path(folder)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_gatepost"), host.path("bin/gatepost")).unwrap();
        symlink(root().join("deploy"), host.path("deploy")).unwrap();
        let config = blocks(&page("docs/zones.md"), "toml").remove(0);
        for (name, text) in [
            ("gatepost.toml", config.as_str()),
            ("partners.txt", "198.51.100.77\n"),
            ("spammers.txt", "198.51.100.9\n198.51.100.77\n"),
            ("trapped.txt", "198.51.100.9\n2001:db8:bad::/48\n"),
            ("bad-domains.txt", "spam.example\n"),
        ] {
            fs::write(host.path("etc/gatepost").join(name), text).unwrap();
        }
        host.restart();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn at_home(&self, mut command: Command) -> Command {
        command.env("GATEPOST_CONFIG", self.path("etc/gatepost/gatepost.toml"));
        command.env("GATEPOST_STATE", self.path("var/lib/gatepost")).env("GATEPOST_LISTEN", &self.listen);
        command.current_dir(self.folder.path());
        command
    }

    fn restart(&mut self) {
        self.server = None;
        let mut command = self.at_home(gatepost());
        command.arg("serve");
        self.server = Some(Server::start(command));
    }

    /// Runs every shell block of a page, line by line.
    fn run(&mut self, name: &str) {
        let page = page(name);
        let mut lines = 0;
        for line in blocks(&page, "sh").iter().flat_map(|block| block.lines()) {
            self.line(name, line);
            lines += 1;
        }
        assert!(lines > 2, "{name} shows no commands");
    }

    fn line(&mut self, page: &str, line: &str) {
        if let Some(words) = line.strip_prefix("systemctl ") {
            return self.systemctl(page, words);
        }
        if line.starts_with("journalctl ") {
            let server = self.server.as_mut().unwrap();
            return server.wait_for(|said| said.contains("stats since start udp").then_some(()));
        }
        if line == "sysctl --system" {
            let line = fs::read_to_string(self.path("etc/sysctl.d/60-gatepost.conf")).unwrap();
            return assert!(line.contains("\nnet.core.rmem_max = "), "{page}: {line}");
        }
        let here = ["/etc/gatepost", "/etc/sysctl.d", "/var/lib/gatepost"]
            .iter()
            .fold(line.to_owned(), |line, folder| {
                line.replace(folder, &format!("{}{folder}", self.folder.path().display()))
            });
        let mut shell = Command::new("sh");
        for (name, value) in gatepost().get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.path("bin").display()));
        let done = self.at_home(shell).arg("-ec").arg(&here).output().unwrap();
        let code = done.status.code().unwrap();
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        if line.starts_with("gatepost lookup ") {
            self.looked_up.push(code);
            return assert!(code < 2, "{page}: {line}: {said}");
        }
        assert_eq!(code, 0, "{page}: {line}: {said}");
    }

    fn systemctl(&mut self, page: &str, words: &str) {
        let pid = self.server.as_ref().unwrap().pid();
        match words {
            "reload gatepost" => kill(pid, Signal::SIGHUP).unwrap(),
            "kill -s USR1 gatepost" => kill(pid, Signal::SIGUSR1).unwrap(),
            "restart gatepost" => self.restart(),
            "start gatepost-sync" => {
                let done = self.at_home(gatepost()).arg("sync").output().unwrap();
                assert!(done.status.success(), "{page}: {done:?}");
                self.until_right();
            }
            other => panic!("{page} says `systemctl {other}`, which nobody plays"),
        }
    }

    /// The server has taken over what the sync made.
    fn until_right(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.at_home(gatepost()).args(["status", "--probe"]).output().unwrap().status.success() {
            assert!(Instant::now() < deadline, "the server never answers rightly");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn status(&self) -> serde_json::Value {
        let done = self.at_home(gatepost()).args(["status", "--json"]).output().unwrap();
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// What the zone of addresses answers for `name` in it.
    fn values(&self, name: &str) -> Vec<[u8; 4]> {
        let name = format!("{name}.block.gatepost.internal");
        try_ask(self.listen.parse().unwrap(), &name, A).expect("a reply").a
    }
}

#[test]
fn zones_and_what_was_rejected_wrongly() {
    let mut host = Host::start();
    host.run("docs/zones.md");
    assert_eq!(host.looked_up, [1, 1, 1], "an address, one of IPv6, a name");
    // Two lists say so, each with its code; what an allow list has is on none.
    assert_eq!(host.values("9.100.51.198"), [[127, 0, 1, 1], [127, 0, 1, 2]]);
    assert!(host.values("77.100.51.198").is_empty());

    host.looked_up.clear();
    host.run("docs/rejected-wrongly.md");
    // Listed, by either name; then not any more; its history; its network has others.
    assert_eq!(host.looked_up[..3], [1, 1, 0]);
    assert_eq!(host.looked_up.len(), 5);
    host.line("what was decided is taken back", "gatepost lookup 198.51.100.9");
    assert_eq!(host.looked_up.last(), Some(&1));
}

#[test]
fn monitoring_and_tuning() {
    let test = "monitoring_and_tuning";
    if installed("jq", "jq", test).is_none() {
        return;
    }
    let mut host = Host::start();
    host.systemctl("before", "start gatepost-sync");
    let monitoring = page("docs/monitoring.md");
    fs::write(host.path("gatepost.jq"), blocks(&monitoring, "jq").remove(0)).unwrap();
    host.run("docs/monitoring.md");
    let metrics = fs::read_to_string(host.path("gatepost.prom")).unwrap();
    for line in [
        "gatepost_list_entries{list=\"spammers\"} 2",
        "gatepost_list_problem{list=\"spammers\"} 0",
        "gatepost_zone_answers{zone=\"block.gatepost.internal\"} 1",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line}: {metrics}");
    }
    for line in metrics.lines() {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("gatepost_") && value.parse::<f64>().is_ok(), "{line}");
    }
    assert_eq!(metrics.lines().count(), 1 + 3 * 4 + 2, "{metrics}");

    // Every field of the table is there.
    let status = host.status();
    let fields: Vec<&str> = monitoring
        .lines()
        .filter(|line| {
            line.starts_with("| `lists") || line.starts_with("| `zones") || line.starts_with("| `unr")
        })
        .flat_map(|line| spans(line.split(" | ").next().unwrap()))
        .collect();
    assert!(fields.len() > 10, "{fields:?}");
    for field in fields {
        let pointer = format!("/{}", field.replace("[].", "/0/").replace('.', "/"));
        assert!(status.pointer(&pointer).is_some(), "{field}");
    }
    host.run("docs/tuning.md");
}
