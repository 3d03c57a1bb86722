//! The unit files of `deploy/systemd` as they stand there: systemd understands them, they let out little, and what they name is
//! what the program has. `tests/units_boot.rs` runs them.
#![cfg(feature = "full")]

#[path = "common/loud.rs"]
mod loud;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gatepost::config::defaults;
use gatepost::server::DEFAULT_LISTEN;
use loud::{installed, skipped};

const SERVICES: [&str; 2] = ["gatepost.service", "gatepost-sync.service"];
/// What `systemd-analyze security` may find at most, of 10.
const EXPOSURE: f64 = 2.0;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path(name: &str) -> PathBuf {
    root().join("deploy/systemd").join(name)
}

/// The settings of a unit, in order. Comments are left out.
fn settings(name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(path(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The values of a setting.
fn all(name: &str, key: &str) -> Vec<String> {
    settings(name).into_iter().filter(|(known, _)| known == key).map(|(_, value)| value).collect()
}

#[track_caller]
fn one(name: &str, key: &str) -> String {
    let values = all(name, key);
    assert_eq!(values.len(), 1, "{name}: {key}");
    values.into_iter().next().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn gatepost(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    for name in ["GATEPOST_CONFIG", "GATEPOST_STATE", "GATEPOST_LISTEN", "GATEPOST_LOG"] {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

#[test]
fn little_is_exposed() {
    let Some(analyze) = installed("systemd-analyze", "systemd", "little_is_exposed") else { return };
    let exposure = |file: &Path| {
        let mut command = Command::new(&analyze);
        let done = command.args(["security", "--offline=true", "--no-pager"]).arg(file).output().unwrap();
        let said = text(&done.stdout);
        let level = said.lines().last().and_then(|line| line.rsplit_once("service: ")?.1.split(' ').next());
        let level: Option<f64> = level.and_then(|level| level.parse().ok());
        (level.unwrap_or_else(|| panic!("{said}{}", text(&done.stderr))), said)
    };
    for service in SERVICES {
        let (level, said) = exposure(&path(service));
        assert!(level <= EXPOSURE, "{service}: {level}\n{said}");
    }
    // The measure can fail.
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("bare.service");
    fs::write(&bare, "[Service]\nExecStart=/bin/true\n").unwrap();
    assert!(exposure(&bare).0 > EXPOSURE);
}

#[test]
fn systemd_has_nothing_to_say_against_them() {
    let test = "systemd_has_nothing_to_say_against_them";
    let Some(analyze) = installed("systemd-analyze", "systemd", test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let units = ["gatepost.service", "gatepost.socket", "gatepost-sync.service", "gatepost-sync.timer"];
    let verify = |more: &str| {
        for unit in units {
            let program = format!("ExecStart={}", env!("CARGO_BIN_EXE_gatepost"));
            let unit_text = fs::read_to_string(path(unit)).unwrap().replace("ExecStart=gatepost", &program);
            fs::write(folder.path().join(unit), unit_text + more).unwrap();
        }
        let files = units.map(|unit| folder.path().join(unit));
        // That the manual pages are installed is not asked for.
        let done = Command::new(&analyze).args(["verify", "--man=no"]).args(files).output().unwrap();
        (done.status.code(), text(&done.stdout) + &text(&done.stderr))
    };
    let (code, said) = verify("");
    // Of this machine's own units it may have something to say as well.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("gatepost")).collect();
    assert!(ours.is_empty() && (code == Some(0) || !said.is_empty()), "{code:?}: {said}");
    let (_, said) = verify("Nonsense=yes\n");
    assert!(said.lines().any(|line| line.contains("gatepost") && line.contains("Nonsense")), "{said}");
}

/// Debian's postfix.service runs nothing and comes after the unit that does.
#[test]
fn it_is_there_before_whoever_asks() {
    let before = one("gatepost.service", "Before");
    let before: Vec<&str> = before.split(' ').collect();
    let is_before = |unit: &str| before.contains(&unit);
    assert!(is_before("postfix.service") && is_before("exim4.service") && is_before("rspamd.service"));
    let Ok(text) = fs::read_to_string("/lib/systemd/system/postfix@.service") else {
        return skipped(
            "it_is_there_before_whoever_asks",
            "no Postfix of Debian's (apt-get install postfix)",
        );
    };
    assert!(text.contains("ExecStart=/usr/sbin/postmulti") && is_before("postfix@-.service"), "{before:?}");
}

/// The commands and options of every line that starts something.
#[test]
fn they_start_what_there_is() {
    for service in SERVICES {
        let start = one(service, "ExecStart");
        let words: Vec<&str> = start.split(' ').collect();
        let ["gatepost", command, options @ ..] = &words[..] else { panic!("{service}: {start}") };
        let help = gatepost(&["help", command]);
        assert!(help.status.success(), "{service}: there is no {command}");
        let help = text(&help.stdout);
        for option in options.iter().filter(|word| word.starts_with('-')) {
            assert!(help.contains(option), "{service}: {command} has no {option}");
        }
        assert_eq!(options, ["--config", "/etc/gatepost/gatepost.toml"], "{service}");
    }
    assert_eq!(one("gatepost.service", "ExecReload"), "kill -HUP $MAINPID");
    let folder = tempfile::tempdir().unwrap();
    assert!(gatepost(&["man", "--dir", folder.path().to_str().unwrap()]).status.success());
    for unit in SERVICES.into_iter().chain(["gatepost.socket"]) {
        let page = one(unit, "Documentation");
        let page = page.strip_prefix("man:").and_then(|page| page.strip_suffix("(1)")).expect(&page);
        assert!(folder.path().join(format!("{page}.1")).exists(), "{unit}: there is no page {page}");
    }
    // The example that is installed there can be used, as it is.
    let example = root().join("deploy/gatepost.toml");
    let checked = gatepost(&["check-config", example.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}

/// What is written lies where the configuration has it unless it says otherwise, and belongs to one user.
#[test]
fn folders_user_and_addresses_are_those_of_the_program() {
    let tmpfiles = fs::read_to_string(path("tmpfiles.d/gatepost.conf")).unwrap();
    for service in SERVICES {
        assert_eq!(Path::new("/var/lib").join(one(service, "StateDirectory")), Path::new(defaults::STATE));
        let line = tmpfiles.lines().find(|line| line.split_whitespace().nth(1) == Some(defaults::STATE));
        let mode = one(service, "StateDirectoryMode");
        let wanted = ["d", defaults::STATE, &mode, "gatepost", "gatepost", "-"];
        assert!(line.is_some_and(|line| line.split_whitespace().eq(wanted)), "{tmpfiles}");
        assert_eq!((one(service, "User"), one(service, "Group")), ("gatepost".into(), "gatepost".into()));
    }
    let example = fs::read_to_string(root().join("deploy/gatepost.toml")).unwrap();
    let logs = Path::new("/var/log").join(one("gatepost.service", "LogsDirectory"));
    assert!(example.contains(&format!("hit-log = \"{}/", logs.display())));
    assert!(fs::read_to_string(path("sysusers.d/gatepost.conf")).unwrap().contains("\nu gatepost - "));

    assert_eq!(all("gatepost.socket", "ListenDatagram"), [DEFAULT_LISTEN]);
    assert_eq!(all("gatepost.socket", "ListenStream"), [DEFAULT_LISTEN]);
    // As much as `serve` asks for, which the file for sysctl allows it.
    let sysctl = fs::read_to_string(root().join("deploy/sysctl.d/60-gatepost.conf")).unwrap();
    let buffer = one("gatepost.socket", "ReceiveBuffer");
    assert!(sysctl.contains(&format!("net.core.rmem_max = {buffer}")));
}

/// One cage for both, but for what each has a reason for.
#[test]
fn both_services_live_in_the_same_cage() {
    let cage = |service| -> BTreeSet<(String, String)> {
        let all = settings(service);
        let begin = all.iter().position(|(key, _)| key == "CapabilityBoundingSet").unwrap();
        all[begin..].iter().filter(|(key, _)| key != "WantedBy").cloned().collect()
    };
    let (serve, sync) = (cage("gatepost.service"), cage("gatepost-sync.service"));
    let more: Vec<_> = serve.symmetric_difference(&sync).collect();
    let calls = "setpriority sched_setscheduler sched_setaffinity".to_owned();
    assert_eq!(more, [&("SystemCallFilter".to_owned(), calls)]);
    assert!(sync.contains(&("CapabilityBoundingSet".into(), String::new())));
}

/// Whoever asks a publisher at :00 or :30 asks with everybody else.
#[test]
fn the_timer_keeps_off_the_hour_and_its_quarters() {
    let timer = "gatepost-sync.timer";
    // `*:MINUTE/STEP`
    let calendar = one(timer, "OnCalendar");
    let (first, step) = calendar.strip_prefix("*:").and_then(|rest| rest.split_once('/')).expect(&calendar);
    let (first, step): (u32, u32) = (first.parse().unwrap(), step.parse().unwrap());
    let minutes =
        |key: &str| one(timer, key).strip_suffix("min").and_then(|m| m.parse::<u32>().ok()).expect(key);
    let seconds =
        |key: &str| one(timer, key).strip_suffix('s').and_then(|s| s.parse::<u32>().ok()).expect(key);
    let late = minutes("RandomizedDelaySec") * 60 + seconds("AccuracySec");
    assert_eq!(60 % step, 0);
    for start in (first..60).step_by(step as usize) {
        for second in start * 60..=start * 60 + late {
            assert_ne!(second / 60 % 15, 0, "{start} past and {} s", second - start * 60);
        }
    }
    assert_eq!((one(timer, "FixedRandomDelay"), one(timer, "Persistent")), ("yes".into(), "yes".into()));
}

#[test]
fn the_user_can_be_made() {
    let Some(sysusers) = installed("systemd-sysusers", "systemd", "the_user_can_be_made") else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("etc")).unwrap();
    let root = format!("--root={}", folder.path().display());
    let done = Command::new(sysusers).arg(root).arg(path("sysusers.d/gatepost.conf")).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let users = fs::read_to_string(folder.path().join("etc/passwd")).unwrap();
    let fields: Vec<_> =
        users.lines().find(|line| line.starts_with("gatepost:")).unwrap().split(':').collect();
    assert_eq!(fields[5..], ["/var/lib/gatepost", "/usr/sbin/nologin"]);
    assert!(fields[2].parse::<u32>().unwrap() < 1000, "a user of the system's");
}
