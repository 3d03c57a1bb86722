//! docs/quick-start.md, run from its beginning to its end on a machine of its own: the Debian package under a systemd, unbound and Postfix as
//! Debian has them, a publisher on loopback. What the page promises of the first refused mail is what Postfix says.
#![cfg(feature = "full")]

mod common;
mod units_support;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{installed, skipped};
use units_support::Machine;

const TEST: &str = "from_nothing_to_the_first_refused_mail";

/// What a client says line by line, the last reply on stdout. Arguments: the lines.
const TELNET: &str = "
import socket, sys
replies = socket.create_connection(('127.0.0.1', 25), 30).makefile('rw', newline='\\r\\n')
def reply():
    while True:
        line = replies.readline()
        if line[3:4] != '-':
            return line.strip()
said = reply()
for line in sys.argv[1:]:
    replies.write(line + '\\r\\n'); replies.flush()
    said = reply()
print(said)
";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn blocks(page: &str, word: &str) -> Vec<String> {
    let fence = format!("```{word}\n");
    page.split(&fence).skip(1).map(|piece| piece.split("```").next().unwrap().to_owned()).collect()
}

/// A Debian host with a mail server and a resolver that do nothing about spam yet, and the package in its root folder.
fn machine() -> Option<Machine> {
    for (program, package) in [
        ("dpkg-deb", "dpkg"),
        ("make", "make"),
        ("objdump", "binutils"),
        ("unbound", "unbound"),
        ("postfix", "postfix"),
        ("dig", "dnsutils"),
        ("python3", "python3"),
    ] {
        installed(program, package, TEST)?;
    }
    let mut machine = match Machine::bare() {
        Ok(machine) => machine,
        Err(why) => {
            skipped(TEST, &why);
            return None;
        }
    };
    for folder in ["/etc/gatepost", "/var/lib/gatepost", "/var/log/gatepost"] {
        let _ = fs::remove_dir_all(machine.path(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut build = Command::new(root().join("deploy/debian/build"));
    build.args(["--fast", "--program", env!("CARGO_BIN_EXE_gatepost")]).arg(folder.path());
    let built = build.output().unwrap();
    assert!(built.status.success(), "{built:?}");
    let package = String::from_utf8(built.stdout).unwrap();
    fs::copy(package.trim(), machine.path("/").join(Path::new(package.trim()).file_name().unwrap())).unwrap();

    for unit in ["unbound.service", "postfix.service", "postfix@.service"] {
        let text = fs::read_to_string(Path::new("/lib/systemd/system").join(unit)).unwrap();
        machine.write(&format!("/usr/lib/systemd/system/{unit}"), &text);
    }
    machine.ok(&["systemctl", "daemon-reload"]);
    for line in [
        "rm -f /etc/resolv.conf; echo 'nameserver 127.0.0.1' > /etc/resolv.conf",
        "postconf -e inet_interfaces=127.0.0.1 inet_protocols=ipv4 mydestination=localhost myhostname=mail.example \
         smtpd_tls_security_level=none mynetworks=127.0.0.0/8",
        "postconf -X smtpd_recipient_restrictions smtpd_authorized_xclient_hosts || true",
        "systemctl start unbound",
        "systemctl start postfix@- postfix",
    ] {
        machine.ok(&["sh", "-ec", line]);
    }
    machine.start(&["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv", "8080"]);
    // What their publishers have, as far as this machine can see the world.
    machine.write("/srv/uceprotect-1", "5.6.7.9\n");
    machine.write("/srv/spamhaus-drop", "5.6.8.0/24\n");
    Some(machine)
}

/// The catalogue leads to the publisher of this machine.
fn catalogue(machine: &Machine) {
    for feed in ["uceprotect-1", "spamhaus-drop"] {
        let text = fs::read_to_string(root().join(format!("zones/feeds/{feed}.toml"))).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("min-entries"));
        let lines = lines.map(|line| match line.split(" = ").next() {
            Some("urls") => format!("urls = [\"http://127.0.0.1:8080/{feed}\"]\nallow-private = true"),
            Some("format") => "format = \"plain\"".to_owned(),
            _ => line.to_owned(),
        });
        machine.write(&format!("/etc/gatepost/feeds/{feed}.toml"), &lines.collect::<Vec<_>>().join("\n"));
    }
    under_sync(machine, "catalogue = \"/etc/gatepost/feeds\"");
}

/// Puts a line into the section `[sync]` of the configuration.
fn under_sync(machine: &Machine, line: &str) {
    let config = machine.read("/etc/gatepost/gatepost.toml");
    let with = config.replacen("\n[sync]\n", &format!("\n[sync]\n{line}\n"), 1);
    assert_ne!(with, config);
    machine.write("/etc/gatepost/gatepost.toml", &with);
    machine.ok(&["gatepost", "check-config", "/etc/gatepost/gatepost.toml"]);
}

/// Runs a block of the page line by line; what the last line printed.
fn run(machine: &Machine, block: &str) -> String {
    let mut said = String::new();
    for line in block.lines() {
        // Without a network there is no apt; and a person would be asked whether the terms are right.
        let line = line.replace("apt install ./gatepost_*.deb", "dpkg -i /gatepost_*.deb");
        let line = line.replace("feeds enable ", "feeds enable --accept-terms ");
        if line.starts_with("gatepost status --probe") {
            machine.until(&line, |machine| machine.run(&["sh", "-c", &line]).code == Some(0));
        }
        said = machine.ok(&["sh", "-ec", &line]);
    }
    said
}

#[test]
fn from_nothing_to_the_first_refused_mail() {
    let Some(machine) = machine() else { return };
    let page = fs::read_to_string(root().join("docs/quick-start.md")).unwrap();
    let steps = blocks(&page, "sh");
    let [install, lists, resolver, mail, block, back, doctor, out] = &steps[..] else { panic!("{steps:#?}") };
    let shown = blocks(&page, "text");
    let [session, refused] = &shown[..] else { panic!("{shown:#?}") };
    let client = |address: &str| {
        let lines: Vec<String> = session.lines().map(|line| line.replace("198.18.0.99", address)).collect();
        let words: Vec<&str> =
            ["python3", "-c", TELNET].into_iter().chain(lines.iter().map(String::as_str)).collect();
        machine.ok(&words)
    };

    run(&machine, install);
    catalogue(&machine);
    run(&machine, lists);
    machine.until("the server has them", |machine| {
        machine.run(&["gatepost", "status", "--probe"]).code == Some(0)
    });
    under_sync(&machine, blocks(&page, "toml")[0].trim());
    assert_eq!(run(&machine, resolver), "127.0.0.2\n");
    run(&machine, mail);
    run(&machine, block);
    assert_eq!(client("198.18.0.99"), *refused);
    assert!(client("198.18.0.98").starts_with("250 "));
    // And what a publisher lists.
    let said = client("5.6.7.9");
    assert!(said.starts_with("554 5.7.1 ") && said.contains("listed by UCEPROTECT"), "{said}");
    run(&machine, back);
    // What the kernel allows is this machine's and not to be changed here.
    assert_eq!(doctor.trim(), "gatepost doctor");
    let found = machine.run(&["gatepost", "doctor", "--json"]);
    let json: serde_json::Value =
        serde_json::from_str(&found.out).unwrap_or_else(|error| panic!("{error}: {}", found.err));
    let checks = json["checks"].as_array().unwrap();
    let wrong: Vec<&serde_json::Value> =
        checks.iter().filter(|check| check["level"] != "ok" && check["name"] != "buffers").collect();
    assert!(wrong.is_empty() && checks.len() > 8, "{wrong:#?}");
    run(&machine, out);
    machine.until("the lists are gone", |machine| {
        machine.run(&["gatepost", "lookup", "5.6.7.9"]).code == Some(0)
    });
}
