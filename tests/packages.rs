//! What is installed, and how: the Debian package is built, installed, upgraded, removed and purged under a systemd of its own; a
//! tree is filled by `make install`; the root of the container is made as its file says and run in it.
//!
//! The program in them is the one that the tests were built with; what differs from a release is its size.
#![cfg(feature = "full")]

mod common;
mod units_support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use common::program::{Server, gatepost, run};
use common::{free_port, installed, skipped};
use units_support::Machine;

const CONFIG: &str = "/etc/gatepost/gatepost.toml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// What a command said, which must end well.
#[track_caller]
fn ok(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("it starts");
    assert!(status.success(), "{command:?}: {status}\n{}{}", text(&stdout), text(&stderr));
    text(&stdout)
}

/// The same package under two versions. `None`, said loudly, where it cannot be made.
fn packages(test: &str) -> Option<&'static [PathBuf; 2]> {
    static MADE: OnceLock<(tempfile::TempDir, [PathBuf; 2])> = OnceLock::new();
    for (program, package) in [("dpkg-deb", "dpkg"), ("make", "make"), ("objdump", "binutils")] {
        installed(program, package, test)?;
    }
    let (_, packages) = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let made = ["0.0.9", "0.1.0"].map(|version| {
            let mut build = Command::new(root().join("deploy/debian/build"));
            build.args(["--fast", "--version", version, "--program", env!("CARGO_BIN_EXE_gatepost")]);
            PathBuf::from(ok(build.arg(folder.path())).trim())
        });
        (folder, made)
    });
    Some(packages)
}

/// Modes, owners and paths of a package's files, as `dpkg-deb -c` has them.
fn contents(package: &Path) -> Vec<(String, String, String)> {
    let listing = ok(Command::new("dpkg-deb").arg("-c").arg(package));
    let lines = listing.lines().map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields[0].to_owned(), fields[1].to_owned(), fields[5].trim_start_matches('.').to_owned())
    });
    lines.collect()
}

/// The pages that the program makes of itself.
fn pages() -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    run(["man", "--dir", folder.path().to_str().unwrap()]).expect(0);
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn the_package_is_as_debian_wants_it() {
    let Some([_, package]) = packages("the_package_is_as_debian_wants_it") else { return };
    let architecture = ok(Command::new("dpkg").arg("--print-architecture"));
    let name = format!("gatepost_{}_{}.deb", env!("CARGO_PKG_VERSION"), architecture.trim());
    assert_eq!(package.file_name().unwrap().to_str(), Some(&*name));

    let control = ok(Command::new("dpkg-deb").arg("-f").arg(package));
    for line in ["Package: gatepost", "Section: net", "Priority: optional", "Depends: libc6 (>= 2."] {
        assert!(control.lines().any(|known| known.starts_with(line)), "{line}: {control}");
    }
    assert!(!control.contains('@') || control.contains("<gatepost@"), "{control}");
    let synopsis = control.lines().find_map(|line| line.strip_prefix("Description: ")).unwrap();
    assert!(
        synopsis.len() < 80 && !synopsis.ends_with('.') && !synopsis.starts_with("gatepost"),
        "{synopsis}"
    );
    assert!(control.lines().all(|line| line.starts_with("Depends") || line.len() <= 80), "{control}");

    let contents = contents(package);
    let paths: BTreeSet<&str> = contents.iter().map(|(.., path)| path.as_str()).collect();
    for (mode, owner, path) in &contents {
        assert_eq!(owner, "root/root", "{path}");
        let wanted = match path {
            _ if path.ends_with('/') => "drwxr-xr-x",
            _ if path.starts_with("/usr/bin/") => "-rwxr-xr-x",
            _ => "-rw-r--r--",
        };
        assert_eq!(mode, wanted, "{path}");
        let known = ["/etc/gatepost", "/usr/bin", "/usr/lib/s", "/usr/lib/tmpfiles.d", "/usr/share"];
        let is_known = known.iter().any(|folder| path.starts_with(folder));
        assert!(is_known || ["/", "/etc/", "/usr/", "/usr/lib/"].contains(&path.as_str()), "{path}");
    }
    for path in [
        "/etc/gatepost/gatepost.toml",
        "/usr/bin/gatepost",
        "/usr/lib/systemd/system/gatepost.service",
        "/usr/lib/systemd/system/gatepost.socket",
        "/usr/lib/systemd/system/gatepost-sync.service",
        "/usr/lib/systemd/system/gatepost-sync.timer",
        "/usr/lib/sysusers.d/gatepost.conf",
        "/usr/lib/tmpfiles.d/gatepost.conf",
        "/usr/lib/sysctl.d/60-gatepost.conf",
        "/usr/share/bash-completion/completions/gatepost",
        "/usr/share/zsh/vendor-completions/_gatepost",
        "/usr/share/fish/vendor_completions.d/gatepost.fish",
        "/usr/share/doc/gatepost/copyright",
        "/usr/share/doc/gatepost/changelog.gz",
        "/usr/share/doc/gatepost/CHANGELOG.md.gz",
        "/usr/share/doc/gatepost/docs/README.md",
        "/usr/share/doc/gatepost/examples/gatepost.toml",
        "/usr/share/doc/gatepost/examples/snippets/postfix.cf",
    ] {
        assert!(paths.contains(path), "{path} is not in it");
    }
    let pages = pages();
    assert!(pages.len() > 25, "{pages:?}");
    let packed: Vec<String> = pages.iter().map(|page| format!("/usr/share/man/man1/{page}.gz")).collect();
    assert!(packed.iter().all(|page| paths.contains(&**page)), "{packed:?}");
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(paths.contains(&*format!("/usr/share/doc/gatepost/docs/{name}")), "{name}");
    }

    let folder = tempfile::tempdir().unwrap();
    ok(Command::new("dpkg-deb").arg("-R").arg(package).arg(folder.path()));
    let debian = folder.path().join("DEBIAN");
    assert_eq!(fs::read_to_string(debian.join("conffiles")).unwrap(), format!("{CONFIG}\n"));
    ok(Command::new("md5sum").args(["-c", "--quiet", "DEBIAN/md5sums"]).current_dir(folder.path()));
    for script in ["postinst", "prerm", "postrm"] {
        let path = debian.join(script);
        let script = fs::read_to_string(&path).unwrap();
        assert!(script.starts_with("#!/bin/sh\n") && script.contains("\nset -e\n"), "{script}");
        ok(Command::new("sh").arg("-n").arg(&path));
    }
    let copyright = fs::read_to_string(folder.path().join("usr/share/doc/gatepost/copyright")).unwrap();
    assert!(
        copyright.contains("Permission is hereby granted") && !copyright.contains("@MIT@"),
        "{copyright}"
    );
    assert!(copyright.contains("AS IS"), "{copyright}");
    // It is a configuration without a feed: nobody is asked for anything.
    let config = folder.path().join("etc/gatepost/gatepost.toml");
    let config = run(["print-config", "--config", config.to_str().unwrap()]).expect(0).stdout;
    assert!(!config.contains("url"), "{config}");
    assert_eq!(config.matches("\n[list.").count(), 1, "{config}");
}

#[test]
fn lintian_has_nothing_to_say() {
    let test = "lintian_has_nothing_to_say";
    let Some([_, package]) = packages(test) else { return };
    let Some(lintian) = installed("lintian", "lintian", test) else { return };
    let mut command = Command::new(lintian);
    command.args(["--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0"]).arg(package);
    assert_eq!(ok(&mut command), "");
}

fn machine(test: &str) -> Option<Machine> {
    match Machine::bare() {
        Ok(machine) => {
            // What this machine has of a gatepost of its own is none of a test's business.
            for folder in ["/etc/gatepost", "/var/lib/gatepost", "/var/log/gatepost"] {
                let _ = fs::remove_dir_all(machine.path(folder));
            }
            Some(machine)
        }
        Err(why) => {
            skipped(test, &why);
            None
        }
    }
}

#[test]
fn installed_upgraded_removed_and_purged() {
    let test = "installed_upgraded_removed_and_purged";
    let Some([old, new]) = packages(test) else { return };
    let Some(machine) = machine(test) else { return };
    for (package, name) in [(old, "/old.deb"), (new, "/new.deb")] {
        fs::copy(package, machine.path(name)).unwrap();
    }
    let dpkg = |arguments: &[&str]| {
        let ran = machine.run(&[&["env", "DEBIAN_FRONTEND=noninteractive", "dpkg"], arguments].concat());
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}\n{}", ran.out, ran.err, machine.logs());
        ran.out + &ran.err
    };
    let state = |unit: &str, what: &str| machine.run(&["systemctl", what, unit]).out.trim().to_owned();
    let is_right = |machine: &Machine| machine.run(&["gatepost", "status", "--probe"]).code == Some(0);
    let lists = |address: &str| machine.run(&["gatepost", "lookup", address]).code;

    // Whoever is no container has receive buffers as after the next start; the real one knows what this machine is.
    let tool = |path: &str, text: &str| {
        machine.write(path, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(machine.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    };
    tool("/usr/local/bin/systemd-detect-virt", "exit 1");
    let real = fs::read(machine.path("/usr/lib/systemd/systemd-sysctl")).unwrap();
    tool("/usr/lib/systemd/systemd-sysctl", "echo \"$@\" >> /sysctl.ran; exit 1");
    let may = |path: &str| machine.read(path).trim().parse::<u64>().unwrap_or_default();
    let is_small = (1..8_320_000).contains(&may("/proc/sys/net/core/rmem_max"));

    // Installed, it answers from the list in the program; the timer runs, and has nobody to ask.
    dpkg(&["-i", "/old.deb"]);
    machine.until("it answers", is_right);
    let ran = if is_small { "--prefix=/net/core/rmem_max\n" } else { "" };
    assert_eq!(machine.read("/sysctl.ran"), ran, "never less than is allowed, and a failure stops nothing");
    tool("/usr/local/bin/systemd-detect-virt", "exit 0");
    for (unit, enabled, active) in [
        ("gatepost.service", "enabled", "active"),
        ("gatepost-sync.timer", "enabled", "active"),
        ("gatepost.socket", "disabled", "inactive"),
    ] {
        assert_eq!(
            (state(unit, "is-enabled"), state(unit, "is-active")),
            (enabled.into(), active.into()),
            "{unit}"
        );
    }
    assert_eq!(lists("10.0.0.1"), Some(1), "bogons");
    let status: serde_json::Value =
        serde_json::from_str(&machine.ok(&["gatepost", "status", "--json"])).unwrap();
    assert_eq!(status["lists"].as_array().unwrap().len(), 1, "{status:#}");
    let user = fs::metadata(machine.path("/var/lib/gatepost")).unwrap();
    assert!(user.uid() != 0 && user.mode() & 0o7777 == 0o750, "{user:?}");
    assert!(machine.read("/etc/passwd").contains("\ngatepost:"));

    // The units, where they stand now.
    if installed("systemd-analyze", "systemd", test).is_some() {
        let units = ["gatepost.service", "gatepost.socket", "gatepost-sync.service", "gatepost-sync.timer"];
        let verify = machine.run(&[&["systemd-analyze", "verify", "--man=no"][..], &units].concat());
        let said = verify.out + &verify.err;
        assert!(!said.contains("gatepost"), "{said}");
        for unit in ["gatepost.service", "gatepost-sync.service"] {
            let path = format!("/usr/lib/systemd/system/{unit}");
            let security = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20"];
            machine.ok(&[&security[..], &[&path]].concat());
        }
    }

    // Lists of one's own; and the terms of a feed, which come before it.
    machine.write("/etc/gatepost/own.txt", "198.51.100.9\n");
    machine.write(
        "/etc/gatepost/conf.d/own.toml",
        "version = 1\n[list.own]\nfile = \"../own.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.5\"\n\
         [zone.\"own.example\"]\nlists = [\"own\"]\n",
    );
    machine.ok(&["gatepost", "check-config", CONFIG]);
    machine.ok(&["systemctl", "reload", "gatepost"]);
    machine.ok(&["systemctl", "start", "gatepost-sync"]);
    machine.until("its own list answers", |_| lists("198.51.100.9") == Some(1));
    // Where the timer runs, an upgrade has a sync make at once what has another form now.
    let synced = || machine.show("gatepost-sync", "ExecMainStartTimestampMonotonic");
    let then = synced();
    dpkg(&["-i", "/old.deb"]);
    machine.until("a sync after the upgrade", |_| synced() != then);
    machine.until("it answers after it", is_right);
    let refused = machine.run(&["gatepost", "feeds", "enable", "uceprotect-1"]);
    assert!(refused.code == Some(2) && refused.err.contains("--accept-terms"), "{}", refused.err);
    assert!(!machine.path("/etc/gatepost/conf.d/feeds.toml").exists());
    machine.ok(&["gatepost", "feeds", "enable", "uceprotect-1", "--accept-terms"]);
    assert!(machine.path("/etc/gatepost/conf.d/feeds.toml").exists());
    assert!(machine.read("/var/lib/gatepost/terms.json").contains("uceprotect-1"));

    assert_eq!(machine.read("/sysctl.ran"), ran, "a container's buffers are its host's");
    fs::write(machine.path("/usr/lib/systemd/systemd-sysctl"), real).unwrap();

    // Upgraded over zones of an older format: they are made again at once, nobody waits for the timer.
    let snapshots = machine.ok(&["find", "/var/lib/gatepost/snapshots", "-type", "f"]);
    for path in snapshots.lines() {
        let mut octets = fs::read(machine.path(path)).unwrap();
        assert!(octets.starts_with(b"GP") && octets[6] > 1, "{path}");
        octets[6] = 1;
        fs::remove_file(machine.path(path)).unwrap();
        fs::write(machine.path(path), octets).unwrap();
    }
    assert!(!snapshots.is_empty());
    let said = machine.run(&["gatepost", "status"]).out;
    assert!(said.contains("has an older format") && !said.contains("damaged"), "{said}");
    machine.ok(&["systemctl", "restart", "gatepost"]);
    assert!(!is_right(&machine), "an older format is no data");
    dpkg(&["-i", "/old.deb"]);
    machine.until("zones of an older format are made again", is_right);
    machine.until("its own list answers again", |_| lists("198.51.100.9") == Some(1));

    // Upgraded: the data, the configuration and what was disabled are as they were, another process answers.
    let edited = machine.read(CONFIG) + "# ours\n";
    machine.write(CONFIG, &edited);
    machine.ok(&["systemctl", "disable", "--now", "gatepost-sync.timer"]);
    let store = || {
        let files = ["generation.json", "terms.json", "feeds/own/status.json"];
        files.map(|file| machine.read(&format!("/var/lib/gatepost/{file}")))
    };
    let (before, pid, then) = (store(), machine.show("gatepost", "MainPID"), synced());
    dpkg(&["-i", "/new.deb"]);
    let version = || machine.ok(&["dpkg-query", "-W", "-f=${Version}", "gatepost"]);
    assert_eq!(version(), "0.1.0");
    machine.until("it answers again", is_right);
    assert_ne!(machine.show("gatepost", "MainPID"), pid);
    assert_eq!(store(), before);
    assert!(before.iter().all(|file| !file.is_empty()), "{before:#?}");
    assert_eq!((machine.read(CONFIG), lists("198.51.100.9")), (edited.clone(), Some(1)));
    assert_eq!(state("gatepost-sync.timer", "is-enabled"), "disabled");
    assert_eq!(state("gatepost-sync.timer", "is-active"), "inactive");
    assert_eq!(synced(), then, "whoever has stopped the timer fetches in another way");

    // With a mistake in the configuration what runs goes on.
    let pid = machine.show("gatepost", "MainPID");
    machine.write("/etc/gatepost/conf.d/bad.toml", "version = 1\nnonsense = 1\n");
    let said = dpkg(&["-i", "/new.deb"]);
    assert!(said.contains("mend /etc/gatepost/gatepost.toml first") && said.contains("nonsense"), "{said}");
    assert_eq!(machine.show("gatepost", "MainPID"), pid);
    fs::remove_file(machine.path("/etc/gatepost/conf.d/bad.toml")).unwrap();

    // Removed: the data and the configuration stay, for the next time.
    dpkg(&["-r", "gatepost"]);
    assert_eq!(state("gatepost.service", "is-active"), "inactive");
    for gone in ["/usr/bin/gatepost", "/usr/lib/systemd/system/gatepost.service"] {
        assert!(!machine.path(gone).exists(), "{gone}");
    }
    assert_eq!((store(), machine.read(CONFIG)), (before, edited));
    dpkg(&["-i", "/new.deb"]);
    machine.until("it answers as before", |_| lists("198.51.100.9") == Some(1) && is_right(&machine));

    // Purged: nothing of it is left but the files that a person put there, and the user. A file system of its own is emptied, and stays.
    let state_folder = "/var/lib/gatepost";
    machine.ok(&["systemctl", "stop", "gatepost"]);
    machine.ok(&["mount", "--bind", state_folder, state_folder]);
    machine.ok(&["mkdir", "/var/lib/gatepost/lost+found"]);
    dpkg(&["-P", "gatepost"]);
    assert_eq!(machine.ok(&["ls", "-A", state_folder]), "lost+found\n");
    machine.ok(&["umount", state_folder]);
    dpkg(&["-i", "/new.deb"]);
    machine.until("it answers on", is_right);
    dpkg(&["-P", "gatepost"]);
    for gone in [state_folder, "/var/log/gatepost", CONFIG, "/etc/gatepost/conf.d/feeds.toml"] {
        assert!(!machine.path(gone).exists(), "{gone}");
    }
    assert!(machine.read("/etc/passwd").contains("\ngatepost:"), "it may have been there before");
    assert!(machine.path("/etc/gatepost/own.txt").exists());
    let links = machine.ok(&["find", "/etc/systemd/system", "-name", "gatepost*"]);
    assert_eq!(links, "");
}

/// `make TARGET DESTDIR=TREE MORE` with the program of the tests.
fn make(target: &str, tree: &Path, more: &[&str]) {
    let program = format!("GATEPOST={}", env!("CARGO_BIN_EXE_gatepost"));
    let mut make = Command::new("make");
    make.args(["-s", "-C"]).arg(root().join("deploy")).args([target, &program]).args(more);
    ok(make.arg(format!("DESTDIR={}", tree.display())));
}

/// Files below a folder, from it.
fn files(folder: &Path) -> BTreeSet<String> {
    let listing = ok(Command::new("find").arg(folder).args(["-type", "f", "-printf", "%P\\n"]));
    listing.lines().map(str::to_owned).collect()
}

#[test]
fn make_fills_an_empty_tree() {
    let Some(_) = installed("make", "make", "make_fills_an_empty_tree") else { return };
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make("install", &tree, &["PREFIX=/opt/gp"]);
    let found = files(&tree);
    let outside: Vec<_> = found.iter().filter(|path| !path.starts_with("opt/gp/")).collect();
    assert_eq!(outside, ["etc/gatepost/gatepost.toml"]);
    for page in pages() {
        assert!(found.contains(&format!("opt/gp/share/man/man1/{page}")), "{page}");
    }
    for unit in ["gatepost.service", "gatepost-sync.service"] {
        let unit = fs::read_to_string(tree.join("opt/gp/lib/systemd/system").join(unit)).unwrap();
        assert!(unit.contains("\nExecStart=/opt/gp/bin/gatepost s"), "{unit}");
    }

    // Another gatepost at the same place answers from there.
    let program = tree.join("opt/gp/bin/gatepost");
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o7777, 0o755);
    let config = tree.join("etc/gatepost/gatepost.toml");
    let with = |word: &str| {
        let mut command = Command::new(&program);
        command.args([word, "--config"]).arg(&config).env("GATEPOST_STATE", folder.path().join("state"));
        command.env("GATEPOST_LISTEN", "127.0.0.1:0").env("NO_COLOR", "1");
        command
    };
    ok(&mut with("sync"));
    let server = Server::start(with("serve"));
    let dns = server.dns.to_string();
    ok(with("status").arg("--probe").env("GATEPOST_LISTEN", dns));
    assert_eq!(server.stop().0, Some(0));

    // What a person wrote stays, whatever comes.
    fs::write(&config, "version = 1 # ours\n").unwrap();
    make("install", &tree, &["PREFIX=/opt/gp"]);
    assert_eq!(fs::read_to_string(&config).unwrap(), "version = 1 # ours\n");
    make("uninstall", &tree, &["PREFIX=/opt/gp"]);
    assert_eq!(files(&tree).into_iter().collect::<Vec<_>>(), ["etc/gatepost/gatepost.toml"]);
}

/// The instructions of the container's file.
fn instructions() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("deploy/container/Containerfile")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once(' ').unwrap()).map(|(word, rest)| (word.into(), rest.into())).collect()
}

/// A folder of what was built here may be gigabytes.
#[test]
fn an_engine_is_sent_the_sources_alone() {
    let lines = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let left_out = lines("deploy/container/Containerfile.dockerignore");
    let ignored = lines(".gitignore");
    for path in ignored.lines().map(|line| line.trim_start_matches('/')).chain([".git"]) {
        assert!(left_out.lines().any(|line| line == path), "{path}");
    }
}

/// What stands behind an instruction, each time.
fn lines_of<'a>(steps: &'a [(String, String)], word: &str) -> Vec<&'a str> {
    steps.iter().filter(|(known, _)| known == word).map(|(_, rest)| rest.as_str()).collect()
}

fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// No engine is needed: the tree is made by the line that the engine would run, gets what its base has (the C library), and runs
/// as the file says: as user 65532, on a root that is mounted read-only, with two volumes.
#[test]
fn the_container_runs() {
    let test = "the_container_runs";
    if !nix::unistd::geteuid().is_root() {
        return skipped(test, "only root may change its root");
    }
    let Some(_) = installed("make", "make", test) else { return };
    let steps = instructions();
    let of = |word: &str| lines_of(&steps, word);
    let [build, make_line] = of("RUN")[..] else { panic!("{steps:?}") };
    assert_eq!(build, "cargo build --release --locked");
    assert_eq!(make_line, "make -C deploy container DESTDIR=/image");
    assert!(of("COPY").contains(&"--from=build /image /"), "{steps:?}");
    let bases = of("FROM");
    assert_eq!((of("USER")[0], bases[1]), ("65532:65532", "gcr.io/distroless/cc-debian12"));
    let health = words(of("HEALTHCHECK")[0].split_once("CMD ").unwrap().1);
    let start = [words(of("ENTRYPOINT")[0]), words(of("CMD")[0])].concat();

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let image = folder.path().join("image");
    make("container", &image, &[]);
    assert_eq!(
        files(&image).into_iter().collect::<Vec<_>>(),
        ["etc/gatepost/gatepost.toml", "usr/bin/gatepost"]
    );
    for volume in words(of("VOLUME")[0]) {
        let found = fs::metadata(image.join(&volume[1..])).unwrap();
        assert_eq!((found.uid(), found.gid()), (65532, 65532), "{volume}");
    }
    // All that the program needs besides itself is in that base: libc6 and libgcc-s1.
    let needed = ok(Command::new("ldd").arg(env!("CARGO_BIN_EXE_gatepost")));
    for library in
        needed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
    {
        let name = library.rsplit('/').next().unwrap();
        let of_base = ["libc.so", "libm.so", "libgcc_s.so", "libdl.so", "libpthread.so", "ld-linux"];
        assert!(of_base.iter().any(|known| name.starts_with(known)), "{needed}");
        let place = image.join(&library[1..]);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(library, place).unwrap();
    }
    for folder in ["proc", "dev", "tmp"] {
        fs::create_dir(image.join(folder)).unwrap();
    }
    let port = free_port();
    // The engine gives it /proc, /dev and its volumes, and takes every right to write elsewhere.
    let script = r#"set -eu
image=$1; health=$2; shift 2
mount --make-rprivate /
mount --bind "$image" "$image"
mount -t proc proc "$image/proc"
mount -t tmpfs dev "$image/dev"
for node in null zero urandom random; do : >"$image/dev/$node"; mount --bind "/dev/$node" "$image/dev/$node"; done
for volume in /var/lib/gatepost /etc/gatepost/conf.d; do
    mount -t tmpfs -o uid=65532,gid=65532,mode=750 volume "$image$volume"
done
mount -o remount,bind,ro "$image"
inside() { chroot --userspec=65532:65532 "$image" "$@"; }
chroot --userspec=65532:65532 "$image" "$@" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
tries=0
until inside $health; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || exit 9
    kill -0 "$server"
    sleep 0.2
done
echo HEALTHY
inside /usr/bin/gatepost lookup 10.0.0.1 && exit 8
inside /usr/bin/gatepost feeds enable uceprotect-1 --accept-terms
inside /usr/bin/gatepost man --dir /pages && exit 7
grep -E '^(Uid|CapEff):' "$image/proc/$server/status"
kill "$server"
wait "$server"
"#;
    let mut command = Command::new("unshare");
    // Everything in it ends with it.
    command
        .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"])
        .arg(&image)
        .arg(health.join(" "))
        .args(&start);
    command.env("GATEPOST_LISTEN", format!("127.0.0.1:{port}")).env("NO_COLOR", "1");
    let done = command.stdin(Stdio::null()).output().unwrap();
    let (said, told) = (text(&done.stdout), text(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{said}\n{told}");
    assert!(said.contains("HEALTHY") && said.contains("bogons.gatepost.internal"), "{said}\n{told}");
    assert!(said.contains("Uid:\t65532\t65532\t65532\t65532"), "{said}");
    assert!(said.contains("CapEff:\t0000000000000000"), "{said}");
    assert!(told.contains("Read-only file system"), "{told}");
}

/// What is written for compose belongs together, and unbound before gatepost answers as it is configured there.
#[test]
fn the_example_with_unbound_answers() {
    let test = "the_example_with_unbound_answers";
    let read = |name: &str| fs::read_to_string(root().join("deploy/container").join(name)).unwrap();
    let (compose, unbound) = (read("compose.yaml"), read("unbound.conf"));
    let address = unbound.lines().find_map(|line| line.trim().strip_prefix("forward-addr: ")).unwrap();
    let (host, port) = address.split_once('@').unwrap();
    assert!(compose.contains(&format!("ipv4_address: {host}\n")) && port == "5354", "{address}");
    let steps = instructions();
    let health = words(lines_of(&steps, "HEALTHCHECK")[0].split_once("CMD ").unwrap().1);
    let quoted: Vec<String> = health.iter().map(|word| format!("{word:?}")).collect();
    assert!(compose.contains(&format!("test: [\"CMD\", {}]", quoted.join(", "))), "{compose}");
    for line in ["read_only: true", "user: \"65532:65532\"", "cap_drop: [ALL]", "condition: service_healthy"]
    {
        assert!(compose.contains(line), "{line}");
    }
    // Whoever has a parser for it reads it.
    let yaml = "import sys, yaml; sys.exit(0 if set(yaml.safe_load(sys.stdin)['services']) == {'gatepost', 'unbound'} else 1)";
    if Command::new("python3")
        .args(["-c", "import yaml"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
    {
        let mut python = Command::new("python3");
        python
            .args(["-c", yaml])
            .stdin(fs::File::open(root().join("deploy/container/compose.yaml")).unwrap());
        assert!(python.status().unwrap().success());
    }

    let config = root().join("deploy/container/gatepost.toml");
    let folder = tempfile::tempdir().unwrap();
    let with = |word: &str| {
        let mut command = gatepost();
        command.args([word, "--config"]).arg(&config).env("GATEPOST_STATE", folder.path().join("state"));
        command.env("GATEPOST_LISTEN", "127.0.0.1:0");
        command
    };
    ok(with("sync").env("NO_COLOR", "1"));
    let server = Server::start(with("serve"));
    let Some(program) = installed("unbound", "unbound", test) else { return };
    let port = free_port();
    let here = unbound
        .replace(address, &format!("127.0.0.1@{}", server.dns.port()))
        .replace("interface: 0.0.0.0", "interface: 127.0.0.1\n    do-not-query-localhost: no")
        .replace("port: 53\n", &format!("port: {port}\n"));
    let path = folder.path().join("unbound.conf");
    fs::write(&path, here).unwrap();
    let mut resolver =
        Command::new(program).arg("-d").arg("-c").arg(&path).stderr(Stdio::null()).spawn().unwrap();
    let resolver_address = ([127, 0, 0, 1], port).into();
    let deadline = std::time::Instant::now() + common::program::PATIENCE;
    let listed = loop {
        let reply = common::dns::try_ask(resolver_address, "2.0.0.127.bogons.gatepost.internal", 1);
        if reply.is_some() || std::time::Instant::now() > deadline {
            break reply;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let _ = resolver.kill();
    let _ = resolver.wait();
    let listed = listed.expect("unbound answers");
    assert_eq!((listed.rcode, listed.answers), (0, 1));
}
