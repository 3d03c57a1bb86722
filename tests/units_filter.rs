//! The filter of system calls of `deploy/systemd`, put around the program without a systemd: for machines where `tests/units_boot.rs`
//! cannot have one. A call that the units refuse kills here.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cli_support::{Place, Publisher, Running, own_lists, under, until};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use loud::{installed, skipped};

/// Loads a filter that lets the calls in its first argument through, and becomes the program behind it.
const CAGE: &str = "import ctypes, os, sys\n\
    lib = ctypes.CDLL('libseccomp.so.2')\n\
    lib.seccomp_init.restype = ctypes.c_void_p\n\
    KILL, ALLOW = 0x80000000, 0x7fff0000\n\
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(KILL)))\n\
    for name in sys.argv[1].split(','):\n\
    \x20   number = lib.seccomp_syscall_resolve_name(name.encode())\n\
    \x20   if number >= 0: lib.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0)\n\
    if lib.seccomp_load(context) != 0: sys.exit('no filter can be loaded')\n\
    os.execv(sys.argv[2], sys.argv[2:])\n";

/// What systemd means by each group of calls.
fn groups(analyze: &Path) -> BTreeMap<String, Vec<String>> {
    let done = Command::new(analyze).args(["syscall-filter", "--no-pager"]).output().unwrap();
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut group = String::new();
    for line in String::from_utf8(done.stdout).unwrap().lines() {
        let word = line.trim();
        if line.starts_with('@') {
            group = word.to_owned();
        } else if !word.is_empty() && !word.starts_with('#') {
            groups.entry(group.clone()).or_default().push(word.to_owned());
        }
    }
    groups
}

fn calls(groups: &BTreeMap<String, Vec<String>>, name: &str) -> BTreeSet<String> {
    match groups.get(name) {
        None => BTreeSet::from([name.to_owned()]),
        Some(names) => names.iter().flat_map(|name| calls(groups, name)).collect(),
    }
}

/// What the filter of a unit lets through.
fn allowed(analyze: &Path, unit: &str) -> BTreeSet<String> {
    let groups = groups(analyze);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(unit);
    let text = fs::read_to_string(file).unwrap();
    let mut allowed = calls(&groups, "@default");
    for line in text.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (refuses, names) = line.strip_prefix('~').map_or((false, line), |names| (true, names));
        let named: BTreeSet<String> = names.split(' ').flat_map(|name| calls(&groups, name)).collect();
        if refuses {
            allowed.retain(|call| !named.contains(call));
        } else {
            allowed.extend(named);
        }
    }
    assert!(allowed.contains("recvmmsg") && !allowed.contains("chroot"), "{allowed:?}");
    allowed
}

/// The command with the filter of a unit around it.
fn caged(analyze: &Path, unit: &str, command: &Command) -> Command {
    let calls: Vec<String> = allowed(analyze, unit).into_iter().collect();
    let mut python = Command::new("python3");
    python.args(["-c", CAGE, &calls.join(",")]);
    under(python, command)
}

/// systemd's list of calls, and a library that can filter them.
fn means(test: &str) -> Option<PathBuf> {
    let analyze = installed("systemd-analyze", "systemd", test)?;
    let can = "import ctypes; ctypes.CDLL('libseccomp.so.2')";
    if !Command::new("python3").args(["-c", can]).status().is_ok_and(|status| status.success()) {
        skipped(test, "no python3 with libseccomp here (apt-get install python3 libseccomp2)");
        return None;
    }
    Some(analyze)
}

#[test]
fn no_service_makes_a_system_call_that_its_unit_refuses() {
    let Some(analyze) = means("no_service_makes_a_system_call_that_its_unit_refuses") else { return };
    let place = Place::new();
    let publisher = Publisher::new(&[("/feed", "9.9.9.1\n9.9.9.2\n".to_owned())]);
    own_lists(&place, "127.0.0.1:0");
    let url = publisher.url("/feed").replace("127.0.0.1", "localhost");
    let more = format!(
        "[list.feed]\nurl = \"{url}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.8\"\nallow-private = true\n\
         [zone.\"fed.example.net\"]\nlists = [\"feed\"]\n"
    );
    let server = "[server]\npin-workers = true\nhit-log = \"hits.log\"\n";
    let config = place.read("gatepost.toml").replace("[server]\n", server) + &more;
    place.write("gatepost.toml", &config);
    let sync = place.command(&["sync", "-c", "gatepost.toml"]);
    Running::new(caged(&analyze, "gatepost-sync.service", &sync)).end().ended_with(0).talks("4 lists taken");

    // The server's own sync is in its cage; what it takes is new to it.
    fs::remove_dir_all(place.path("state")).unwrap();
    place.write("gatepost.toml", config.replace("[list.own]", "[sync]\ntimer = \"1h\"\n[list.own]"));
    let serve = place.command(&["serve", "--private-copy", "-c", "gatepost.toml"]);
    let service = Running::new(caged(&analyze, "gatepost.service", &serve));
    let server = service.address();
    for over in [Over::Udp, Over::Tcp] {
        until("its data are in service", || {
            let asked = Client::new(server).ask(&"1.9.9.9.fed.example.net".parse().unwrap(), Rtype::A, over);
            asked.is_ok_and(|answer| answer.rcode == Rcode::NOERROR)
        });
    }
    service.signal(nix::sys::signal::Signal::SIGHUP);
    let talk = service.talks("was read again");
    assert!(!talk.contains("not kept on one core"), "{talk}");
    service.stop().ended_with(0);
}

/// It is a filter.
#[test]
fn what_a_unit_refuses_kills() {
    let Some(analyze) = means("what_a_unit_refuses_kills") else { return };
    let place = Place::new();
    let mut python = Command::new("/usr/bin/env");
    python.args(["python3", "-c", "import os; os.chroot('/')"]).current_dir(place.path("."));
    let ran = Running::new(caged(&analyze, "gatepost.service", &python)).end();
    // By a signal.
    assert_eq!(ran.code, -1, "{ran:?}");
}
