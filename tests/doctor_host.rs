//! `gatepost doctor` on what of a host will bite: each thing set up on purpose, named, and set right by what is printed.
#![cfg(feature = "full")]

mod common;
mod doctor_support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use common::program::run;
use common::site::Site;
use common::skipped;
use doctor_support::{Diagnosis, Host, in_own_network};

const DAY: i64 = 86_400;

/// The host's finding of this name: what, and the cure's words and lines. What the kernel of this machine allows is not looked at.
#[track_caller]
fn finding(found: &Diagnosis, name: &str) -> (String, String, String) {
    let json = found.json();
    let check = json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name}: {found:#?}"));
    assert_eq!(check["area"], "host");
    assert_eq!(found.0.code, Some(1));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&check["what"]), text(&check["cures"][0]["how"]), text(&check["cures"][0]["lines"]))
}

/// What is wrong with the host, but for its kernel.
fn findings(found: &Diagnosis) -> Vec<String> {
    let mut names = found.findings(&["host"]);
    names.retain(|name| name != "buffers");
    names
}

/// A host whose one list is somebody else's: `fed`, in bl.example, with what `more` says of the zone.
fn fed(under_sync: &str, more: &str) -> Host {
    let host = Host::start(&["bl.example"], "");
    host.site.put("fed", "9.9.9.9\n");
    let own = "[list.partners]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"allow\"\n";
    host.site.configure(
        &(format!("[sync]\n{under_sync}\n{own}")
            + &Site::list("fed", 7, "")
            + &Site::zone("bl.example", &["fed"], more)),
    );
    host.site.sync(&[]).expect(0);
    host
}

/// Moves all stamps of a list: by so many seconds, as if another boot had made them.
fn restamp(host: &Host, list: &str, seconds: i64) {
    let path = host.site.state().join("feeds").join(list).join("status.json");
    let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for stamp in ["last_attempt", "last_contact", "last_confirmed", "content_since"] {
        let Some(stamp) = status.get_mut(stamp) else { continue };
        stamp["wall"] = (stamp["wall"].as_i64().unwrap() + seconds).into();
        stamp["boottime"] = 0.into();
        stamp["boot"] = "another boot".into();
    }
    fs::write(&path, serde_json::to_vec(&status).unwrap()).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Types a cure that is a command.
fn type_in(line: &str) {
    let done = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(done.status.success(), "{line}: {done:?}");
}

/// Whether it could be done.
fn type_in_if(command: &str, path: &Path) -> bool {
    let line = format!("{command} {}", path.display());
    Command::new("sh").args(["-ec", &line]).status().unwrap().success()
}

#[test]
fn a_clock_that_is_behind() {
    in_own_network("a_clock_that_is_behind", || {
        let host = Host::start(&["bl.example"], "");
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        restamp(&host, "own", DAY);
        let (what, ..) = finding(&host.doctor(&[]), "clock");
        assert!(what.contains("behind"), "{what}");
        restamp(&host, "own", -DAY);
        assert!(!findings(&host.doctor(&[])).contains(&"clock".to_owned()));
    });
}

#[test]
fn a_store_that_is_others_too() {
    in_own_network("a_store_that_is_others_too", || {
        let host = Host::start(&["bl.example"], "");
        let state = host.site.state();
        set_mode(&state, 0o775);
        let (what, _, lines) = finding(&host.doctor(&[]), "open-store");
        assert!(what.contains("775"), "{what}");
        type_in(&lines);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);

        let generation = state.join("generation.json");
        if chown(&generation, Some(65534), None).is_err() {
            return skipped("a_store_that_is_others_too", "only root may give files away");
        }
        let (what, _, lines) = finding(&host.doctor(&[]), "owner");
        assert!(what.contains("generation.json"), "{what}");
        type_in(&lines);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
    });
}

/// However deep it lies: the list behind it would never change again.
#[test]
fn a_file_of_the_store_that_is_somebody_elses() {
    let test = "a_file_of_the_store_that_is_somebody_elses";
    in_own_network(test, move || {
        let host = Host::start(&["bl.example"], "");
        let status = host.site.state().join("feeds/own/status.json");
        if chown(&status, Some(65534), None).is_err() {
            return skipped(test, "only root may give files away");
        }
        let (what, _, lines) = finding(&host.doctor(&[]), "owner");
        assert!(what.contains("feeds/own/status.json"), "{what}");
        type_in(&lines);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        set_mode(&status, 0o000);
        type_in(&finding(&host.doctor(&[]), "owner").2);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
    });
}

/// What root has written for itself alone, and the service has to read.
#[test]
fn a_configuration_that_the_service_may_not_read() {
    let test = "a_configuration_that_the_service_may_not_read";
    in_own_network(test, move || {
        let host = Host::start(&["bl.example"], "");
        let state = host.site.state();
        if !type_in_if("chown -R 65534:65533", &state) {
            return skipped(test, "only root may give files away");
        }
        let conf_d = host.site.path("conf.d");
        fs::create_dir(&conf_d).unwrap();
        let more = conf_d.join("more.toml");
        fs::write(&more, "version = 1\n").unwrap();
        set_mode(&host.site.path(""), 0o755);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        // Through a folder that is shut nobody comes to what everybody may read.
        set_mode(&host.site.path(""), 0o700);
        let (what, _, lines) = finding(&host.doctor(&[]), "closed-configuration");
        assert!(what.contains("may not go through") && what.contains("(mode 700)"), "{what}");
        type_in(&lines);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        for path in [more, host.site.path("own.txt")] {
            set_mode(&path, 0o600);
            let (what, _, lines) = finding(&host.doctor(&[]), "closed-configuration");
            assert!(what.contains(path.to_str().unwrap()), "{what}");
            type_in(&lines);
            assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        }
    });
}

/// What another service has for itself, such as rbldnsd's files: that one reads them as before.
#[test]
fn a_list_that_is_another_services() {
    let test = "a_list_that_is_another_services";
    in_own_network(test, move || {
        let host = Host::start(&["bl.example"], "");
        let own = host.site.path("own.txt");
        if !type_in_if("chown -R 65534:65533", &host.site.state()) {
            return skipped(test, "only root may give files away");
        }
        set_mode(&host.site.path(""), 0o755);
        let groups = "root:x:0:\nrbldns:x:990:\nnogroup:x:65534:\n";
        host.instead_of("/etc/group", groups);
        type_in(&format!("chgrp 990 {}", own.display()));
        set_mode(&own, 0o640);
        let found = host.doctor(&[]).finding("closed-configuration");
        let cures = found["cures"].as_array().unwrap();
        let joins = "usermod -aG rbldns nobody\nsystemctl restart gatepost\nsystemctl start gatepost-sync";
        assert_eq!(cures[0]["lines"], joins, "{found:#}");
        assert_eq!(cures[1]["lines"], format!("chmod o+r {}", own.display()), "{found:#}");
        let is_as_before = || {
            let found = fs::metadata(&own).unwrap();
            assert_eq!((found.gid(), found.mode() & 0o040), (990, 0o040));
        };
        // Either does.
        type_in(cures[1]["lines"].as_str().unwrap());
        is_as_before();
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        set_mode(&own, 0o640);
        host.instead_of("/etc/group", &groups.replace("990:", "990:nobody"));
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        host.instead_of("/etc/group", groups);

        // What the group itself may not read nobody gives it; and a group that has no name has no members.
        set_mode(&own, 0o600);
        assert!(finding(&host.doctor(&[]), "closed-configuration").2.starts_with("chmod o+r "));
        set_mode(&own, 0o640);
        type_in(&format!("chgrp 991 {}", own.display()));
        assert!(finding(&host.doctor(&[]), "closed-configuration").2.starts_with("chmod o+r "));

        // A folder of the other service's.
        let folder = host.site.path("rbldns");
        fs::create_dir(&folder).unwrap();
        let there = folder.join("own.txt");
        fs::rename(&own, &there).unwrap();
        set_mode(&there, 0o644);
        type_in(&format!("chgrp 990 {}", folder.display()));
        set_mode(&folder, 0o750);
        let config = fs::read_to_string(host.site.config()).unwrap();
        fs::write(host.site.config(), config.replace("\"own.txt\"", "\"rbldns/own.txt\"")).unwrap();
        let (what, _, lines) = finding(&host.doctor(&[]), "closed-configuration");
        assert!(what.contains("may not go through"), "{what}");
        assert_eq!(lines, joins);
        // One of a person's has more in it than lists.
        type_in(&format!("chgrp 1000 {}", folder.display()));
        let (_, how, lines) = finding(&host.doctor(&[]), "closed-configuration");
        assert!(
            how.starts_with("put the file where the service may go") && lines.is_empty(),
            "{how}: {lines}"
        );
    });
}

#[test]
fn a_configuration_that_is_others_too() {
    in_own_network("a_configuration_that_is_others_too", || {
        let host = fed("", "");
        let main = host.site.config();
        let conf_d = host.site.path("conf.d");
        fs::create_dir(&conf_d).unwrap();
        let more = conf_d.join("more.toml");
        fs::write(&more, "version = 1\n").unwrap();
        set_mode(&main, 0o644);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        for (path, mode) in [(&main, 0o664), (&more, 0o646), (&conf_d, 0o777)] {
            set_mode(path, mode);
            let (what, _, lines) = finding(&host.doctor(&[]), "open-configuration");
            assert!(what.contains(path.to_str().unwrap()), "{what}");
            type_in(&lines);
            assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        }

        // A key in a URL is everybody's as long as the file is.
        let text = fs::read_to_string(&main).unwrap();
        fs::write(&main, text.replacen("/fed\"", "/fed?key=0123456789abcdef\"", 1)).unwrap();
        let (what, _, lines) = finding(&host.doctor(&[]), "open-secret");
        assert!(what.contains(main.to_str().unwrap()) && lines.contains("chmod 640"), "{what}: {lines}");
        assert!(!what.contains("0123456789abcdef"), "{what}");
        set_mode(&main, 0o640);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
    });
}

#[test]
fn a_timer_that_does_not_run() {
    in_own_network("a_timer_that_does_not_run", || {
        let host = fed("", "");
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        restamp(&host, "fed", -3 * 3600);
        let (what, how, _) = finding(&host.doctor(&[]), "timer");
        assert!(what.contains("fed") && how.contains("gatepost-sync.timer"), "{what}: {how}");
        // Which the timer would do.
        host.site.sync(&[]).expect(0);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
    });
}

/// What systemd says is said by a script here, in which the words are those that `systemctl` has.
#[test]
fn units_that_nobody_starts() {
    let test = "units_that_nobody_starts";
    in_own_network(test, move || {
        if !Path::new("/usr/bin/systemctl").exists() {
            return skipped(test, "systemd is not installed (apt-get install systemd)");
        }
        let host = Host::start(&["bl.example"], "");
        type_in("mount -t tmpfs nothing /run && mkdir -p /run/systemd/system");
        let failed = std::cell::Cell::new("inactive");
        let socket = std::cell::Cell::new(("disabled", "inactive"));
        let says = |enabled: &str, active: &str, timer: &str| {
            let sync = failed.get();
            let script = format!(
                "#!/bin/sh\ncase \"$*\" in\n\"is-enabled gatepost.service\") echo {enabled};;\n\
                 \"is-active gatepost.service\") echo {active};;\n\"is-enabled gatepost-sync.timer\") echo {timer};;\n\
                 \"is-active gatepost-sync.timer\") echo active;;\n\"is-failed gatepost-sync.service\") echo {sync};;\n\
                 \"show --property=ExecMainStatus gatepost-sync.service\") echo ExecMainStatus=1;;\n\
                 \"is-enabled gatepost.socket\") echo {};;\n\"is-active gatepost.socket\") echo {};;\nesac\n",
                socket.get().0,
                socket.get().1
            );
            host.instead_of("/usr/bin/systemctl", &script);
            set_mode(&host.site.path("_usr_bin_systemctl"), 0o755);
            host.doctor(&[])
        };
        assert_eq!(findings(&says("enabled", "active", "enabled")), [""; 0]);
        for (enabled, active) in [("disabled", "active"), ("enabled", "failed"), ("masked", "inactive")] {
            let found = says(enabled, active, "enabled");
            let (what, _, lines) = finding(&found, "unit");
            assert_eq!(what, format!("gatepost.service is {enabled} and {active}"));
            // systemd enables nothing that is masked.
            let unmask = if enabled == "masked" { "systemctl unmask gatepost.service && " } else { "" };
            assert_eq!(lines, format!("{unmask}systemctl enable --now gatepost.service"));
            let cause = found.finding("unit")["cause"].as_str().unwrap().to_owned();
            assert_eq!(cause.contains("does not run"), active != "active", "{cause}");
            assert_eq!(cause.contains("nobody starts it"), enabled != "enabled", "{cause}");
        }
        let (what, ..) = finding(&says("enabled", "active", "disabled"), "unit");
        assert_eq!(what, "gatepost-sync.timer is disabled and active");
        // The timer runs, and what it starts does not end well.
        failed.set("failed");
        let (what, _, lines) = finding(&says("enabled", "active", "enabled"), "sync-failed");
        assert!(what.contains("gatepost-sync.service") && lines.contains("journalctl"), "{what}: {lines}");
        // What happened to a list is said of that list.
        let own = host.site.path("own.txt");
        let text = fs::read_to_string(&own).unwrap();
        fs::remove_file(&own).unwrap();
        host.site.sync(&[]);
        let told = says("enabled", "active", "enabled");
        assert_eq!((findings(&told), told.findings(&["server"])), (Vec::new(), vec!["list".to_owned()]));
        fs::write(&own, text).unwrap();
        host.site.sync(&[]);
        failed.set("inactive");
        // The first question starts it.
        socket.set(("enabled", "active"));
        assert_eq!(findings(&says("disabled", "active", "enabled")), [""; 0]);
        socket.set(("enabled", "failed"));
        let (what, ..) = finding(&says("disabled", "active", "enabled"), "unit");
        assert_eq!(what, "gatepost.socket is enabled and failed");
        // What is not installed is not missed: it runs in another way.
        assert_eq!(findings(&says("not-found", "inactive", "not-found")), [""; 0]);
    });
}

/// Files are served as they are written: what one's own has in them is listed.
#[test]
fn own_networks_that_a_file_lists() {
    in_own_network("own_networks_that_a_file_lists", || {
        type_in("ip address add 5.6.7.8/32 dev lo");
        let host = Host::start(&["bl.example"], "");
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        let write = |text: &str| {
            fs::write(host.site.path("own.txt"), text).unwrap();
            host.site.sync(&[]).expect(0);
            host.doctor(&[])
        };
        for text in ["5.6.0.0/16\n", "5.6.7.8\n5.6.7.9\n"] {
            let (what, how, _) = finding(&write(text), "own-listed");
            assert!(what.contains("5.6.7.8") && what.contains("bl.example"), "{what}");
            assert!(how.contains("`except` of bl.example"), "{how}");
        }
        assert_eq!(findings(&write("5.6.7.9\n")), [""; 0]);
        for world in ["0.0.0.0/0", "64.0.0.0/2"] {
            let (what, how, _) = finding(&write(&format!("5.6.7.9\n{world}\n")), "listed-everybody");
            assert!(what.contains(world) && how.contains(&format!("take {world} out")), "{what}: {how}");
        }
        write("5.6.7.9\n");
        // An allow list under `except`.
        write("5.6.0.0/16\n");
        fs::write(host.site.path("good.txt"), "5.6.7.8\n").unwrap();
        let config = fs::read_to_string(host.site.config()).unwrap();
        let lists = config.lines().find(|line| line.starts_with("lists = ")).unwrap().to_owned();
        let with = config.replacen(&lists, &format!("{lists}\nexcept = [\"good\"]"), 1);
        fs::write(
            host.site.config(),
            with + "[list.good]\nfile = \"good.txt\"\nformat = \"plain\"\nuse = \"allow\"\ncode = \"127.0.1.99\"\n",
        )
        .unwrap();
        host.site.sync(&[]).expect(0);
        let found = findings(&host.doctor(&[]));
        assert!(!found.contains(&"own-listed".to_owned()), "{found:?}");
        // That has everybody.
        fs::write(host.site.path("good.txt"), "0.0.0.0/0\n").unwrap();
        host.site.sync(&[]).expect(0);
        let (what, how, _) = finding(&host.doctor(&[]), "listed-everybody");
        assert!(what.contains("good has 0.0.0.0/0") && how.contains("the files of good"), "{what}: {how}");
    });
}

#[test]
fn own_networks_that_a_feed_may_list() {
    let test = "own_networks_that_a_feed_may_list";
    in_own_network(test, move || {
        // Public, as the world sees it.
        type_in("ip address add 5.6.7.8/32 dev lo");
        let host = fed("", "");
        let (what, _, lines) = finding(&host.doctor(&[]), "own-networks");
        assert!(what.contains("5.6.7.8"), "{what}");
        assert_eq!(lines, "own-networks = [\"5.6.7.8\"]");

        let has_postfix = host.main_cf("mynetworks = 127.0.0.0/8 5.6.7.0/24 [2a00:1::]/32 10.0.0.0/8\n");
        let has_postfix = has_postfix && Path::new("/usr/sbin/postconf").exists();
        let wanted = match has_postfix {
            true => "own-networks = [\"5.6.7.0/24\", \"2a00:1::/32\"]",
            false => lines.as_str(),
        };
        if !has_postfix {
            skipped(test, "postfix is not installed (apt-get install postfix)");
        }
        let (_, _, lines) = finding(&host.doctor(&[]), "own-networks");
        assert_eq!(lines, wanted);

        // Each cure by itself: under [sync], or an allow list under `except` of the zone.
        let cured = fed(&lines, "");
        assert_eq!(findings(&cured.doctor(&[])), [""; 0]);
        drop(cured);
        fs::write(host.site.path("own.txt"), "5.6.7.0/24\n2a00:1::/32\n").unwrap();
        let config = fs::read_to_string(host.site.config()).unwrap();
        let zone = "lists = [\"fed\"]\n";
        fs::write(host.site.config(), config.replace(zone, &format!("{zone}except = [\"partners\"]\n")))
            .unwrap();
        host.site.sync(&[]).expect(0);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        // Half of it is not all of it.
        fs::write(host.site.path("own.txt"), "5.6.7.0/25\n2a00:1::/32\n").unwrap();
        host.site.sync(&[]).expect(0);
        finding(&host.doctor(&[]), "own-networks");
    });
}

/// Postfix may read its networks from files and tables: what stands there counts, and what cannot be read is said.
#[test]
fn own_networks_in_files_and_tables() {
    let test = "own_networks_in_files_and_tables";
    in_own_network(test, move || {
        let host = fed("", "");
        if !host.main_cf("") || !Path::new("/usr/sbin/postmap").exists() {
            return skipped(test, "postfix is not installed (apt-get install postfix)");
        }
        let found = |mynetworks: &str| {
            fs::write("/etc/postfix/main.cf", format!("mynetworks = 127.0.0.0/8 {mynetworks}\n")).unwrap();
            host.doctor(&[])
        };
        assert_eq!(findings(&found("")), [""; 0]);
        fs::write("/etc/postfix/nets", "# ours\n5.6.7.0/24\n10.0.0.0/8, 5.6.8.0/24\n").unwrap();
        fs::write("/etc/postfix/nets.cidr", "!5.6.0.0/24 ok\n5.6.7.0/24 ok\n10.0.0.0/8 ok\n").unwrap();
        fs::write("/etc/postfix/hosts", "5.6.7.8 ok\n10.0.0.1 ok\n").unwrap();
        type_in("postmap -c /etc/postfix hash:/etc/postfix/hosts");
        for (mynetworks, wanted) in [
            ("/etc/postfix/nets", "\"5.6.7.0/24\", \"5.6.8.0/24\""),
            ("$config_directory/nets", "\"5.6.7.0/24\", \"5.6.8.0/24\""),
            ("cidr:/etc/postfix/nets.cidr", "\"5.6.7.0/24\""),
            ("hash:/etc/postfix/hosts", "\"5.6.7.8\""),
            ("cidr:{{5.6.9.0/24 ok}}", "\"5.6.9.0/24\""),
        ] {
            let found = found(mynetworks);
            assert_eq!(findings(&found), ["own-networks"], "{found:#?}");
            assert_eq!(
                finding(&found, "own-networks").2,
                format!("own-networks = [{wanted}]"),
                "{mynetworks}"
            );
        }
        // Once, however many there are; and nobody else is accused.
        let shut = found("mysql:/etc/postfix/nets.cf, /etc/postfix/none hash:/etc/postfix/none");
        assert_eq!(findings(&shut), ["own-networks-closed"]);
        let told = shut.finding("own-networks-closed");
        assert_eq!(told["level"], "?");
        assert!(
            told["what"]
                .as_str()
                .unwrap()
                .contains("mysql:/etc/postfix/nets.cf, /etc/postfix/none, hash:/etc/postfix/none"),
            "{told}"
        );
        // Where no feed is asked nobody can be listed by one.
        fs::write("/etc/postfix/main.cf", "mynetworks = mysql:/etc/postfix/nets.cf\n").unwrap();
        let own = Host::start(&["bl.example"], "");
        assert_eq!(findings(&own.doctor(&[])), [""; 0]);
    });
}

/// A zone that waits for its first data is no reason to restart what serves: the probe says which, and is content.
#[test]
fn a_zone_that_waits_and_the_health_check() {
    in_own_network("a_zone_that_waits_and_the_health_check", || {
        let site = Site::new();
        fs::write(site.path("own.txt"), "203.0.113.9\n").unwrap();
        let own = "[list.own]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\n";
        let zones = Site::zone("bl.example", &["own"], "") + &Site::zone("fed.example", &["fed"], "");
        site.configure(&(own.to_owned() + &Site::list("fed", 7, "") + &zones));
        site.sync(&["own"]).expect(0);
        let server = site.serve();
        let config = fs::read_to_string(site.config()).unwrap();
        fs::write(site.config(), config.replace("127.0.0.1:0", &server.dns.to_string())).unwrap();
        let probe = |more: &[&str]| {
            let arguments =
                ["status", "--probe", "--config", site.config().to_str().unwrap()].map(str::to_owned);
            run(arguments.iter().map(String::as_str).chain(more.iter().copied())).expect(0)
        };
        let told = probe(&[]).stdout;
        let verdict = told.lines().last().unwrap();
        assert!(verdict.contains("fed.example") && verdict.contains("waits for first data"), "{told}");
        let json = probe(&["--json"]).json();
        assert_eq!(json["probe"]["waiting"], serde_json::json!(["fed.example"]), "{json:#}");
        assert_eq!(json["probe"]["right"], true);
        // With data it is like any other.
        site.put("fed", "9.9.9.9\n");
        site.sync(&[]).expect(0);
        let mut server = server;
        server.wait_for_serial("fed.example", site.serial("fed.example"));
        assert!(probe(&[]).stdout.ends_with("the server answers as it should\n"));
    });
}
