//! What a person decides, killed by SIGKILL at each named step: what is in service is the old version or the new one,
//! whole; done again, or with the next sync, it is the new one; nothing piles up.
//!
//! Only a debug build has the steps (`store::killpoint`).
#![cfg(all(feature = "full", debug_assertions))]

mod common;

use std::process::Command;

use common::dns::{A, Over, ask};
use common::program::{Server, gatepost};
use common::say;
use common::site::Site;
use common::stopped::Stopped;
use gatepost::store::killpoint;

/// The files that each command writes, and where else it can be stopped. (The snapshot of the version before is still
/// there.)
const COMMANDS: [(&str, &[&str], &[&str]); 2] = [
    (
        "accept",
        &["body", "set", "status", "snapshot", "generation"],
        &["log-appended", "hold-dropped", "sets-prune", "snapshots-prune"],
    ),
    ("rollback", &["status", "generation"], &["log-appended", "sets-prune", "snapshots-prune"]),
];

fn points(files: &[&str], others: &[&str]) -> Vec<String> {
    let steps =
        files.iter().flat_map(|file| killpoint::STEPS.iter().map(move |step| format!("{file}-{step}")));
    steps.chain(others.iter().map(|&other| other.to_owned())).collect()
}

/// Two versions, the second in service, and a third that is held.
fn site() -> Site {
    let site = Site::new();
    site.configure(&(Site::list("victim", 1, "") + &Site::zone("victim.example", &["victim"], "")));
    for body in ["5.6.7.1\n5.6.7.9\n", "5.6.7.2\n5.6.7.9\n"] {
        site.put("victim", body);
        site.sync(&["victim"]).expect(0);
    }
    site.put("victim", "5.6.7.3\n5.6.7.9\n64.0.0.0/7\n");
    site.sync(&["victim"]).expect(1);
    site
}

/// Which version answers.
fn said(server: &mut Server, site: &Site, at: &str) -> u8 {
    server.wait_for_serial("victim.example", site.serial("victim.example"));
    let listed = |n: &u8| !ask(server.dns, Over::Udp, &format!("{n}.7.6.5.victim.example"), A).a.is_empty();
    let all: Vec<u8> = (1..=3).filter(listed).collect();
    assert!(listed(&9) && all.len() == 1, "{at}: {all:?}");
    all[0]
}

#[test]
fn killed_at_each_step() {
    let mut reached = 0;
    for (name, files, others) in COMMANDS {
        let wanted = if name == "accept" { 3 } else { 1 };
        for point in points(files, others) {
            let at = format!("{name}, {point}");
            let site = site();
            let mut server = site.serve();
            let command = || {
                let mut command: Command = gatepost();
                command.args([name, "victim", "--config"]).arg(site.config());
                command
            };
            let stopped = Stopped::at(command(), &point);
            let now = said(&mut server, &site, &at);
            assert!(now == 2 || now == wanted, "{at}, stopped: {now}");
            stopped.kill();
            assert_eq!(server.stop().0, Some(0), "{at}");
            let mut server = site.serve();
            let now = said(&mut server, &site, &at);
            assert!(now == 2 || now == wanted, "{at}, killed: {now}");

            // The timer's next run puts in service what was decided, if it was; else the person does it again. (After a
            // rollback that counts there is no version before.)
            site.sync(&[]);
            if said(&mut server, &site, &at) == 2 {
                assert!(command().output().unwrap().status.success(), "{at}: again");
            }
            assert_eq!(said(&mut server, &site, &at), wanted, "{at}");
            let files = site.files("");
            assert!(!files.iter().any(|file| file.contains(".tmp-")), "{at}: {files:?}");
            let count = |prefix: &str| files.iter().filter(|file| file.starts_with(prefix)).count();
            assert!(count("feeds/victim/body-") <= 2 && count("snapshots/") <= 3, "{at}: {files:?}");
            reached += 1;
        }
    }
    say(&format!(
        "accept and rollback killed by SIGKILL at {reached} steps: one of both versions answered each time"
    ));
}
