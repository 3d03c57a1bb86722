//! `gatepost doctor` and `gatepost status` on a store that a sync cannot write, or that no sync comes to: named with its cause,
//! and set right by what is printed.
#![cfg(feature = "full")]

mod common;
mod doctor_support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use common::program::{Ended, run};
use common::skipped;
use doctor_support::{Diagnosis, Host, in_own_network};

/// What is wrong with server and host, but for the host's kernel.
fn findings(found: &Diagnosis) -> Vec<String> {
    let mut names = found.findings(&["server", "host"]);
    names.retain(|name| name != "buffers");
    names
}

fn status(host: &Host) -> Ended {
    run(["status", "--config", host.site.config().to_str().unwrap()])
}

fn type_in(line: &str) {
    let done = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(done.status.success(), "{line}: {done:?}");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Puts a file system of so many octets where a folder of the store is, with what is in it.
fn small(folder: &Path, size: &str) {
    let at = folder.display();
    let options = format!("size={size},mode=0755");
    type_in(&format!(
        "cp -a {at} {at}.was && mount -t tmpfs -o {options} nothing {at} && cp -a {at}.was/. {at} && rm -r {at}.was"
    ));
}

/// As if the list had last been asked for so many seconds earlier.
fn restamp(host: &Host, seconds: i64) {
    let path = host.site.state().join("feeds/own/status.json");
    let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for stamp in ["last_attempt", "last_contact", "last_confirmed", "content_since"] {
        // An own file is asked of nobody.
        let Some(stamp) = status.get_mut(stamp) else { continue };
        stamp["wall"] = (stamp["wall"].as_i64().unwrap() - seconds).into();
        stamp["boot"] = "another boot".into();
    }
    fs::write(&path, serde_json::to_vec(&status).unwrap()).unwrap();
}

/// At once, and with the cause, which the sync that met it alone knows.
#[test]
fn a_zone_that_there_is_no_room_for() {
    in_own_network("a_zone_that_there_is_no_room_for", || {
        let mut host = Host::start(&["bl.example"], "");
        let snapshots = host.site.state().join("snapshots");
        small(&snapshots, "60k");
        let many: String = (0..60_000u32).map(|n| format!("6.{}.{}.9\n", n >> 8, n & 255)).collect();
        fs::write(host.site.path("own.txt"), many).unwrap();
        for _ in 0..2 {
            host.site.sync(&[]).expect(1);
            let told = status(&host).expect(1).stdout;
            assert!(told.contains("bl.example: stands behind its lists: the last sync could not"), "{told}");
            assert!(told.contains("No space left on device"), "{told}");
            let found = host.doctor(&[]);
            let what = found.finding("zone-behind")["what"].as_str().unwrap().to_owned();
            assert!(what.starts_with("bl.example stands behind") && what.contains("No space left"), "{what}");
        }
        // With room the next sync makes it, and nothing is remembered.
        type_in(&format!("mount -o remount,size=20m {}", snapshots.display()));
        host.site.sync(&[]).expect(0);
        status(&host).expect(0);
        let serial = host.site.serial("bl.example");
        host.server.as_mut().unwrap().wait_for_serial("bl.example", serial);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        assert!(!host.site.state().join("not-compiled.json").exists());
    });
}

/// A zone that never had data has none for the same reason.
#[test]
fn a_zone_that_there_never_was_room_for() {
    in_own_network("a_zone_that_there_never_was_room_for", || {
        let mut host = Host::start(&["bl.example"], "");
        host.configure_more("[zone.\"new.example\"]\nlists = [\"own\"]\n");
        small(&host.site.state().join("snapshots"), "40k");
        host.site.sync(&[]).expect(3);
        let told = status(&host).expect(1).stdout;
        assert!(told.contains("new.example: has no data: the last sync could not compile it"), "{told}");
        host.server = None;
        host.server = Some(host.site.serve());
        assert_eq!(findings(&host.doctor(&[])), ["zone-behind"]);
    });
}

/// What is in service cannot be told: no zone waits for its first data.
#[test]
fn a_generation_that_is_lost() {
    in_own_network("a_generation_that_is_lost", || {
        let mut host = Host::start(&["bl.example"], "");
        fs::write(host.site.state().join("generation.json"), "").unwrap();
        host.server = None;
        host.server = Some(host.site.serve());
        let found = host.doctor(&[]);
        let cures = found.first("damaged");
        assert_eq!(findings(&found), ["damaged"], "{cures:?}");
    });
}

/// Nobody is late with an own file but who never comes.
#[test]
fn an_own_file_that_no_sync_reads() {
    in_own_network("an_own_file_that_no_sync_reads", || {
        let mut host = Host::start(&["bl.example"], "");
        let own = host.site.path("own.txt");
        let changed = |text: &str, ago: &str| {
            fs::write(&own, text).unwrap();
            type_in(&format!("touch -d '{ago} ago' {}", own.display()));
            host.doctor(&[])
        };
        restamp(&host, 4 * 3600);
        // Touched, changed a moment ago, and changed before the sync.
        assert_eq!(findings(&changed("203.0.113.9\n", "3 hours")), [""; 0]);
        assert_eq!(findings(&changed("203.0.113.10\n", "5 minutes")), [""; 0]);
        status(&host).expect(0);
        let found = changed("203.0.113.10\n", "3 hours");
        assert_eq!(findings(&found), ["timer"]);
        let told = found.finding("timer");
        let what = told["what"].as_str().unwrap();
        assert!(what.starts_with(&format!("{} was changed 3h", own.display())), "{told:#}");
        assert_eq!(told["level"], "warn");
        assert!(told["cures"][1]["how"].as_str().unwrap().contains("gatepost-sync.timer"), "{told:#}");
        let told = status(&host).expect(1).stdout;
        assert!(told.contains("own.txt was changed 3h") && told.contains("`gatepost sync`"), "{told}");
        host.site.sync(&[]).expect(0);
        status(&host).expect(0);
        let serial = host.site.serial("bl.example");
        host.server.as_mut().unwrap().wait_for_serial("bl.example", serial);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        // However long ago that was.
        restamp(&host, 4 * 3600);
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
    });
}

/// As a copy that root made leaves it; who runs a server of his own has a folder of his own.
#[test]
fn a_store_that_is_not_the_services() {
    let test = "a_store_that_is_not_the_services";
    in_own_network(test, move || {
        let mut host = Host::start(&["bl.example"], "");
        let state = host.site.state();
        if !Command::new("chown").args(["-R", "0:0"]).arg(&state).status().unwrap().success() {
            return skipped(test, "only root may give files away");
        }
        set_mode(&host.site.path(""), 0o755);
        let users = fs::read_to_string("/etc/passwd").unwrap();
        host.instead_of("/etc/passwd", &(users + "gatepost:x:64222:64222::/:/usr/sbin/nologin\n"));
        host.make_place("/etc", "gatepost");
        let bind = format!("mount --bind {} /etc/gatepost", host.site.path("").display());
        type_in(&bind);
        let look = |config: &str| Diagnosis(run(["doctor", "--json", "--config", config]));
        let service = "/etc/gatepost/gatepost.toml";
        // It answers, as root.
        assert_eq!(findings(&look(service)), [""; 0]);
        host.server = None;
        let found = look(service);
        assert_eq!(findings(&found), ["silent", "owner"]);
        let told = found.finding("owner");
        let what = told["what"].as_str().unwrap();
        assert!(what.ends_with("belongs to root, and the service runs as gatepost"), "{what}");
        assert_eq!(findings(&look(host.site.config().to_str().unwrap())), ["silent"]);
        // As the unit has it, where there is one.
        if Path::new("/usr/bin/systemctl").exists() {
            type_in("mount -t tmpfs nothing /run && mkdir -p /run/systemd/system");
            for (user, is_found) in [("", false), ("gatepost", true), ("nobody", true), ("unknown", false)] {
                let script = format!(
                    "#!/bin/sh\n[ \"$1\" = show ] && printf 'User=%s\\nLoadState=loaded\\n' '{user}'\nexit 0\n"
                );
                host.instead_of("/usr/bin/systemctl", &script);
                set_mode(&host.site.path("_usr_bin_systemctl"), 0o755);
                assert_eq!(findings(&look(service)).contains(&"owner".to_owned()), is_found, "{user}");
            }
            type_in("umount /run");
        }
        type_in(told["cures"][0]["lines"].as_str().unwrap());
        assert_eq!(findings(&look(service)), ["silent"]);
    });
}

#[test]
fn a_store_that_nobody_can_write() {
    in_own_network("a_store_that_nobody_can_write", || {
        let host = Host::start(&["bl.example"], "");
        let state = host.site.state();
        small(&state, "20m");
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        let remount = |option: &str| type_in(&format!("mount -o remount,{option} {}", state.display()));
        // In this place alone: somebody else may write it in another.
        remount("bind,ro");
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        remount("ro");
        let found = host.doctor(&[]);
        assert_eq!(findings(&found), ["store-read-only"]);
        let told = found.finding("store-read-only");
        assert!(told["what"].as_str().unwrap().contains(state.to_str().unwrap()), "{told:#}");
        remount("rw");
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
    });
}

#[test]
fn a_store_without_room() {
    in_own_network("a_store_without_room", || {
        let host = Host::start(&["bl.example"], "");
        let state = host.site.state();
        small(&state, "1m");
        assert_eq!(findings(&host.doctor(&[])), [""; 0]);
        // Octets that are left: more than enough, less than a sync needs at least, less than the largest file has.
        let filler = |n: u32, octets: usize| fs::write(state.join(format!("filler{n}")), vec![1; octets]);
        for (fillers, octets, is_found) in
            [(0..8, 50_000, false), (0..14, 50_000, true), (0..1, 500_000, true)]
        {
            fillers.for_each(|n| filler(n, octets).unwrap());
            let found = host.doctor(&[]);
            assert_eq!(findings(&found).contains(&"store-full".to_owned()), is_found, "{found:#?}");
            if is_found {
                type_in(&format!("rm {}/filler*", state.display()));
            }
        }
        // Many small ones are no less in the way.
        type_in(&format!("mount -o remount,nr_inodes=40 {}", state.display()));
        assert!((0..40).any(|n| filler(n, 0).is_err()));
        let what = host.doctor(&[]).finding("store-full")["what"].as_str().unwrap().to_owned();
        assert!(what.starts_with("no more files"), "{what}");
    });
}
