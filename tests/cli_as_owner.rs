//! What root commands in the state folder of another user: it is done as that user.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cli_support::{Place, until};
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, RenameFlags, renameat2};

const OWNER: (u32, u32) = (4242, 4343);

/// A list in a state folder that is another user's.
fn site() -> Option<Place> {
    if !nix::unistd::geteuid().is_root() {
        loud::skipped("cli_as_owner", "only root works for somebody else");
        return None;
    }
    let place = Place::new();
    fs::set_permissions(place.path("."), fs::Permissions::from_mode(0o755)).unwrap();
    place.write("own.txt", "192.0.2.7\n");
    place.write(
        "gatepost.toml",
        "version = 1\nstate = \"state\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [list.own]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\n\
         code = \"127.0.1.2\"\ntext = \"listed\"\n[zone.\"bl.example\"]\nlists = [\"own\"]\n",
    );
    fs::create_dir(place.path("state")).unwrap();
    chown(place.path("state"), Some(OWNER.0), Some(OWNER.1)).unwrap();
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    Some(place)
}

fn everything_is_the_owners(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), OWNER, "{}", path.display());
        if found.is_dir() {
            everything_is_the_owners(&path);
        }
    }
}

fn ended(mut child: Child) {
    until("it ends", || child.try_wait().unwrap().is_some());
}

#[test]
fn commands_become_the_owner() {
    let Some(place) = site() else { return };
    everything_is_the_owners(&place.path("state"));
    let lock = fs::File::open(place.path("state/lock")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    for command in [&["sync", "own"][..], &["pin", "own"]] {
        let child = place.command(&[command, &["-c", "gatepost.toml"]].concat()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let ids = |key: &str| {
            let status = fs::read_to_string(&status).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
            line.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>()
        };
        // It waits for the lock.
        until("it is the owner", || ids("Uid:") == [OWNER.0; 4]);
        assert_eq!((ids("Gid:"), ids("Groups:")), (vec![OWNER.1; 4], vec![]));
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(child.id() as i32),
            nix::sys::signal::Signal::SIGTERM,
        )
        .unwrap();
        ended(child);
    }
    drop(lock);
    for command in [&["sync", "own"][..], &["block", "198.51.100.7"], &["overlay", "remove", "198.51.100.7"]]
    {
        place.run(&[command, &["-c", "gatepost.toml"]].concat()).ended_with(0);
    }
    everything_is_the_owners(&place.path("state"));
    let log = place.read("state/overlay-log.jsonl");
    assert!(log.lines().all(|line| line.contains("\"by\":\"root")), "who gave it: {log}");
}

/// Files that root alone may read are not read by its commands either, in the state folder of another user: it is said who that is.
#[test]
fn what_root_alone_may_read() {
    let Some(place) = site() else { return };
    let own = place.read("gatepost.toml");
    let closed = |name: &str, mode: u32, text: &str| {
        place.write(name, text);
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    closed("secret", 0o600, "joe:secret\n");
    closed("authority.pem", 0o600, "none");
    closed("closed.txt", 0o600, "192.0.2.7\n");
    closed("hook", 0o700, "#!/bin/sh\n");
    fs::create_dir(place.path("lists.d")).unwrap();
    closed("lists.d/closed.txt", 0o600, "192.0.2.7\n");
    let away = "url = \"http://127.0.0.1:1/l\"\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\n";
    let file = format!(
        "url = \"file://{}\"\nformat = \"plain\"\nuse = \"block\"\n",
        place.path("closed.txt").display()
    );
    // (what is under [sync], what is in the list, the file that cannot be read)
    for (sync, list, named) in [
        ("", format!("{away}credential = \"./secret\"\n"), "secret"),
        ("proxy = \"http://127.0.0.1:1\"\nproxy-credential = \"./secret\"\n", away.to_owned(), "secret"),
        ("ca-file = \"authority.pem\"\n", away.to_owned(), "authority.pem"),
        ("", file.clone(), "closed.txt"),
        ("", "file = \"closed.txt\"\nformat = \"plain\"\nuse = \"block\"\n".to_owned(), "closed.txt"),
        ("", "file = \"lists.d/\"\nformat = \"plain\"\nuse = \"block\"\n".to_owned(), "closed.txt"),
    ] {
        place.write("gatepost.toml", format!("{own}[list.closed]\n{list}[sync]\n{sync}"));
        let said = place.run(&["sync", "-c", "gatepost.toml"]).ended_with(1).err;
        let line = said.lines().find(|line| line.contains(named)).unwrap_or_else(|| panic!("{said}"));
        assert!(
            line.contains(&format!("as user {}", OWNER.0)) && line.contains("ermission denied"),
            "{said}"
        );
        fs::remove_dir_all(place.path("state/feeds/closed")).unwrap();
    }
    place.write("page.html", "<html><body>Slow down.</body></html>\n");
    let page = file.replace("closed.txt", "page.html");
    place.write(
        "gatepost.toml",
        format!("{own}[list.closed]\n{page}[sync]\nhook = [{:?}]\n", place.path("hook")),
    );
    let said = place.run(&["sync", "-c", "gatepost.toml"]).ended_with(1).err;
    assert!(said.contains("cannot be run as user 4242"), "{said}");
    // Nor is root told to be root where the user may not even go.
    fs::set_permissions(place.path("."), fs::Permissions::from_mode(0o700)).unwrap();
    let said = place.run(&["sync", "-c", "gatepost.toml"]).ended_with(3).err;
    assert!(said.contains("user 4242") && said.contains("may not go into a folder above it"), "{said}");
    assert!(!said.contains("as root"), "{said}");
}

/// The owner exchanges a folder of the store for a link, again and again, while root gives commands.
#[test]
fn what_the_owner_exchanges_leads_root_nowhere() {
    let Some(place) = site() else { return };
    let victim = place.path("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join(".tmp-precious"), "mine").unwrap();
    for exchanged in ["feeds", "feeds/own", "snapshots"] {
        let link = place.path("state").join("link");
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        let folder = place.path("state").join(exchanged);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _ = renameat2(AT_FDCWD, &folder, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE);
                }
            });
            let began = Instant::now();
            for turn in 0.. {
                if began.elapsed() > Duration::from_secs(2) {
                    break;
                }
                place.write("own.txt", format!("192.0.2.7\n192.0.2.{}\n", 10 + turn % 200));
                place.run(&["sync", "own", "-c", "gatepost.toml"]);
                place.run(&["sync", "-c", "gatepost.toml"]);
            }
            over.store(true, Ordering::Relaxed);
        });
        let left: Vec<_> = fs::read_dir(&victim).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [".tmp-precious"], "{exchanged}");
        assert_eq!(fs::metadata(&victim).unwrap().uid(), 0);
        if !link.is_symlink() {
            renameat2(AT_FDCWD, &folder, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();
        }
        fs::remove_file(&link).unwrap();
    }
}
