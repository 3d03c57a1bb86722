//! The unit files of `deploy/systemd` as systemd runs them: their filters of system calls, address families and file systems are in
//! force, for gatepost and for what a sync starts. Needs root, and a system that lets it have namespaces.
#![cfg(feature = "full")]

#[path = "common/loud.rs"]
mod loud;
mod units_support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use loud::{installed, skipped};
use units_support::Machine;

const CONFIG: &str = r#"version = 1
[list.feed]
url = "http://localhost:8080/feed"
format = "plain"
use = "block"
code = "127.0.1.5"
allow-private = true
floor = "0s"
[list.own]
file = "own.txt"
format = "plain"
use = "block"
code = "127.0.1.6"
[zone."bl.example.net"]
lists = ["feed", "own"]
"#;

const PYTHON: &str = "/usr/bin/python3";
const CONFIG_FILE: &str = "/etc/gatepost/gatepost.toml";

/// Refused system calls kill instead of giving EPERM, which nobody might notice.
const DEADLY: &str = "[Service]\nSystemCallErrorNumber=\n";

/// A machine with gatepost installed as docs/systemd.md says, and a publisher at localhost:8080. `None`, said loudly, where
/// there can be none.
fn machine(test: &str) -> Option<Machine> {
    if !Path::new(PYTHON).exists() {
        skipped(test, "python3 is not installed (apt-get install python3)");
        return None;
    }
    let mut machine = match Machine::boot() {
        Ok(machine) => machine,
        Err(why) => {
            skipped(test, &why);
            return None;
        }
    };
    // What this machine has of a gatepost of its own is none of a test's business.
    for folder in ["/etc/gatepost", "/var/lib/gatepost", "/var/log/gatepost"] {
        let _ = fs::remove_dir_all(machine.path(folder));
    }
    machine.ok(&["systemd-sysusers", "/units/sysusers.d/gatepost.conf"]);
    machine.ok(&["systemd-tmpfiles", "--create", "/units/tmpfiles.d/gatepost.conf"]);
    machine.write(CONFIG_FILE, CONFIG);
    machine.write("/etc/gatepost/own.txt", "192.0.2.9\n");
    publish(&machine, "9.9.9.1\n9.9.9.2\n", 3);
    machine.start(&[PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv/lists", "8080"]);
    machine.until("the publisher answers", |machine| {
        let connect = "import socket; socket.create_connection(('127.0.0.1', 8080))";
        machine.run(&[PYTHON, "-c", connect]).code == Some(0)
    });
    // There is no journal.
    for unit in ["gatepost", "gatepost-sync"] {
        let log = format!("append:/log-{unit}");
        let lines = format!("[Service]\nStandardOutput={log}\nStandardError={log}\n");
        machine.edit(&format!("{unit}.service"), "log", &lines);
    }
    Some(machine)
}

/// Puts a version of the list where the publisher has it, so many minutes old: what came in the same second would be no newer.
fn publish(machine: &Machine, text: &str, minutes: u64) {
    machine.write("/srv/lists/feed", text);
    let file = fs::File::options().write(true).open(machine.path("/srv/lists/feed")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
}

/// Whether the server answers as it should, with data.
fn is_right(machine: &Machine) -> bool {
    machine.run(&["gatepost", "status", "--probe", "--config", CONFIG_FILE]).code == Some(0)
}

fn has_all(machine: &Machine, pid: &str, wanted: &[&str]) {
    let status = machine.read(&format!("/proc/{pid}/status"));
    for line in wanted {
        assert!(
            status.lines().any(|known| known.split_whitespace().eq(line.split(' '))),
            "no {line}: {status}"
        );
    }
}

#[test]
fn the_services_run_in_their_cages() {
    let Some(machine) = machine("the_services_run_in_their_cages") else { return };
    for unit in ["gatepost.service", "gatepost-sync.service"] {
        machine.edit(unit, "deadly", DEADLY);
    }
    // Returns with READY=1: the sockets answer, if only that there are no data yet.
    machine.ok(&["systemctl", "start", "gatepost"]);
    let pid = machine.show("gatepost", "MainPID");
    has_all(
        &machine,
        &pid,
        &["NoNewPrivs: 1", "Seccomp: 2", "CapEff: 0000000000000000", "CapBnd: 0000000000000000"],
    );
    assert!(machine.show("gatepost", "StatusText").contains("1 not there yet"), "{}", machine.logs());

    machine.ok(&["systemctl", "start", "gatepost-sync"]);
    assert!(machine.read("/log-gatepost-sync").contains("2 lists taken"), "{}", machine.logs());
    machine.until("the server has the data", is_right);
    let user = fs::metadata(machine.path("/var/lib/gatepost")).unwrap();
    assert_ne!(user.uid(), 0);
    for file in ["generation.json", "feeds/feed/status.json"] {
        let found = fs::metadata(machine.path(&format!("/var/lib/gatepost/{file}"))).unwrap();
        assert_eq!((found.uid(), found.gid()), (user.uid(), user.gid()), "{file}");
    }

    // Root's commands leave files that the service may replace.
    publish(&machine, "9.9.9.1\n9.9.9.2\n9.9.9.3\n", 2);
    machine.ok(&["gatepost", "sync", "--config", CONFIG_FILE]);
    publish(&machine, "9.9.9.1\n9.9.9.2\n9.9.9.4\n", 1);
    machine.ok(&["systemctl", "start", "gatepost-sync"]);
    machine.until("the server has the new data", |machine| {
        machine.run(&["gatepost", "lookup", "9.9.9.4", "--config", CONFIG_FILE]).code == Some(1)
    });

    machine.ok(&["systemctl", "reload", "gatepost"]);
    machine.until("a reload", |machine| machine.read("/log-gatepost").contains("was read again"));
    assert_eq!(machine.show("gatepost", "MainPID"), pid, "{}", machine.logs());
    assert_eq!(machine.show("gatepost", "NRestarts"), "0");
    machine.ok(&["systemctl", "stop", "gatepost"]);
    assert_eq!(machine.show("gatepost", "Result"), "success", "{}", machine.logs());
}

/// With `timer` in its configuration and everything else that changes what it asks of the system.
#[test]
fn the_server_fetches_by_itself_in_its_cage() {
    let Some(machine) = machine("the_server_fetches_by_itself_in_its_cage") else { return };
    let more =
        "[server]\npin-workers = true\nhit-log = \"/var/log/gatepost/hits.log\"\n[sync]\ntimer = \"1h\"\n";
    machine.write(CONFIG_FILE, &CONFIG.replacen("[list", &format!("{more}[list"), 1));
    machine.edit("gatepost.service", "deadly", DEADLY);
    let start = "[Service]\nExecStart=\nExecStart=gatepost serve --private-copy --config /etc/gatepost/gatepost.toml\n";
    machine.edit("gatepost.service", "private", start);
    machine.ok(&["systemctl", "start", "gatepost"]);
    machine.until("its own sync brings data", is_right);
    assert!(!machine.read("/log-gatepost").contains("not kept on one core"), "{}", machine.logs());
    // The probe has asked for what is listed.
    machine.until("the hit log", |machine| machine.read("/var/log/gatepost/hits.log").contains("test-point"));
    machine.ok(&["systemctl", "stop", "gatepost"]);
}

#[test]
fn rsync_and_ssh_run_in_the_cage_of_a_sync() {
    let test = "rsync_and_ssh_run_in_the_cage_of_a_sync";
    let programs = [("rsync", "rsync"), ("ssh", "openssh-client"), ("sshd", "openssh-server")];
    let found = programs.map(|(program, package)| installed(program, package, test));
    let [Some(_), Some(_), Some(sshd)] = found else { return };
    let Some(mut machine) = machine(test) else { return };
    machine.write("/srv/rsyncd.conf", "use chroot = no\n[lists]\npath = /srv/lists\n");
    let daemon = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", "--port=8730"];
    machine.start(&[&daemon[..], &["--config=/srv/rsyncd.conf"]].concat());
    machine.write("/run/sshd/.there", "");
    for name in ["host", "client"] {
        machine.ok(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &format!("/srv/{name}")]);
    }
    machine.write("/srv/known", &format!("[127.0.0.1]:8022 {}", machine.read("/srv/host.pub")));
    let conf = "ListenAddress 127.0.0.1\nPort 8022\nHostKey /srv/host\nAuthorizedKeysFile /srv/client.pub\n\
        StrictModes no\nUsePAM no\nPidFile none\n";
    machine.write("/srv/sshd.conf", conf);
    machine.start(&[sshd.to_str().unwrap(), "-D", "-e", "-f", "/srv/sshd.conf"]);
    machine.until("both answer", |machine| {
        let connect =
            "import socket; [socket.create_connection(('127.0.0.1', port)) for port in (8730, 8022)]";
        machine.run(&[PYTHON, "-c", connect]).code == Some(0)
    });
    let ssh = "ssh -p 8022 -i /run/credentials/gatepost-sync.service/ssh.key -o UserKnownHostsFile=/srv/known \
        -o BatchMode=yes -o IdentitiesOnly=yes";
    let lines = format!(
        "[Service]\nSystemCallErrorNumber=\nLoadCredential=ssh.key:/srv/client\nExecStart=\n\
         ExecStart=rsync --times --partial rsync://localhost:8730/lists/feed /var/lib/gatepost/by-rsync\n\
         ExecStart=rsync --times --partial -e '{ssh}' root@127.0.0.1:/srv/lists/feed /var/lib/gatepost/by-ssh\n"
    );
    machine.edit("gatepost-sync.service", "rsync", &lines);
    machine.ok(&["systemctl", "start", "gatepost-sync"]);
    for file in ["by-rsync", "by-ssh"] {
        assert_eq!(
            machine.read(&format!("/var/lib/gatepost/{file}")),
            "9.9.9.1\n9.9.9.2\n",
            "{}",
            machine.logs()
        );
    }
}

/// What a fault could reach is not there: the cage is one.
#[test]
fn nothing_else_can_be_reached_from_the_cage() {
    let Some(machine) = machine("nothing_else_can_be_reached_from_the_cage") else { return };
    // Each ends with 0 outside of it.
    let forbidden = [
        "touch /etc/gatepost/by-the-service",
        "touch /usr/by-the-service",
        "ls /root/.",
        "cat /etc/shadow",
        "unshare --user true",
        "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)'",
        "/usr/bin/python3 -c 'import mmap as m; m.mmap(-1, 4096, prot=m.PROT_READ|m.PROT_WRITE|m.PROT_EXEC)'",
        "/usr/bin/python3 -c 'import os; os.chroot(\"/\")'",
        "/usr/bin/python3 -c 'import os; os.chown(\"/var/lib/gatepost\", 0, 0)'",
    ];
    for unit in ["gatepost.service", "gatepost-sync.service"] {
        let only = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\n\
            ExecStart=sh /srv/try.sh\n";
        machine.edit(unit, "try", only);
        for line in forbidden {
            machine.write("/srv/try.sh", line);
            machine.ok(&["sh", "/srv/try.sh"]);
            machine.ok(&["chown", "gatepost:gatepost", "/var/lib/gatepost"]);
            assert_ne!(machine.run(&["systemctl", "start", unit]).code, Some(0), "{unit}: {line}");
            // It was the command that failed, not the unit.
            let why = (machine.show(unit, "Result"), machine.show(unit, "ExecMainStatus"));
            assert!(why.0 == "exit-code" && ["1", "2"].contains(&&*why.1), "{unit}: {line}: {why:?}");
        }
        machine.write("/srv/try.sh", "touch /var/lib/gatepost/x /tmp/x && rm /var/lib/gatepost/x");
        machine.ok(&["systemctl", "start", unit]);
    }
}

#[test]
fn systemd_binds_the_addresses_and_a_restart_loses_nothing() {
    let Some(machine) = machine("systemd_binds_the_addresses_and_a_restart_loses_nothing") else { return };
    // A port that needs a right, which only systemd has.
    let addresses =
        "[Socket]\nListenDatagram=\nListenStream=\nListenDatagram=127.0.0.1:53\nListenStream=127.0.0.1:53\n";
    machine.edit("gatepost.socket", "port", addresses);
    let listening = CONFIG.replacen("[list", "[server]\nlisten = [\"127.0.0.1:53\"]\n[list", 1);
    machine.write(CONFIG_FILE, &listening);
    machine.edit("gatepost.service", "deadly", DEADLY);
    machine.ok(&["systemctl", "start", "gatepost-sync"]);
    machine.ok(&["systemctl", "start", "gatepost.socket"]);
    assert_eq!(machine.show("gatepost", "ActiveState"), "inactive");
    assert!(is_right(&machine), "the first question starts it: {}", machine.logs());
    let first = machine.show("gatepost", "MainPID");
    assert!(
        !machine.logs().contains("net.core.rmem_max"),
        "systemd may have large buffers: {}",
        machine.logs()
    );

    // What is asked while nobody runs waits for the next.
    machine.ok(&["systemctl", "stop", "gatepost"]);
    let asked = "import socket, subprocess\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(60); s.connect(('127.0.0.1', 53))\n\
        s.send(bytes.fromhex('123400000001000000000000') + b''.join(bytes([len(l)]) + l for l in \
        b'1.9.9.9.bl.example.net'.split(b'.')) + bytes.fromhex('0000010001'))\n\
        reply = s.recv(512); assert reply[3] & 15 == 0 and reply[7] == 1, reply";
    machine.ok(&[PYTHON, "-c", asked]);
    assert_ne!(machine.show("gatepost", "MainPID"), first);

    // Sockets elsewhere than the configuration says are a mistake in it, and no reason to try again.
    machine.write(CONFIG_FILE, CONFIG);
    machine.run(&["systemctl", "restart", "gatepost"]);
    machine.until("it gives up", |machine| machine.show("gatepost", "ActiveState") == "failed");
    assert_eq!(machine.show("gatepost", "ExecMainStatus"), "2");
    assert!(machine.logs().contains("a socket for 127.0.0.1:53 was handed over"), "{}", machine.logs());
}

#[test]
fn systemd_starts_it_again_when_it_stands_still() {
    let Some(machine) = machine("systemd_starts_it_again_when_it_stands_still") else { return };
    // A core of a stopped process would have to wait for it to go on.
    let lines = "[Service]\nWatchdogSec=2s\nWatchdogSignal=SIGKILL\nRestartSec=100ms\n";
    machine.edit("gatepost.service", "watchdog", lines);
    machine.ok(&["systemctl", "start", "gatepost"]);
    let first = machine.show("gatepost", "MainPID");
    machine.ok(&["kill", "-STOP", &first]);
    machine.until("it is started again", |machine| {
        machine.show("gatepost", "NRestarts") == "1" && machine.show("gatepost", "ActiveState") == "active"
    });
    assert_ne!(machine.show("gatepost", "MainPID"), first);
}

/// By the timer: a second sync beside another is content, and nobody comes on the hour.
#[test]
fn the_timer() {
    let Some(machine) = machine("the_timer") else { return };
    machine.ok(&["systemctl", "start", "gatepost-sync.timer"]);
    let next = machine.show("gatepost-sync.timer", "NextElapseUSecRealtime");
    // `Sun 2026-11-29 10:43:33 UTC`
    let minute: u32 = next.split(':').nth(1).and_then(|minute| minute.parse().ok()).expect(&next);
    assert!(minute % 15 >= 7 && minute % 15 <= 13, "{next}");
    assert_eq!(machine.show("gatepost-sync.timer", "Unit"), "gatepost-sync.service");

    machine.ok(&["systemctl", "start", "gatepost-sync"]);
    let lock = "import fcntl, subprocess\n\
        with open('/var/lib/gatepost/lock', 'a+') as f:\n\
        \x20   fcntl.flock(f, fcntl.LOCK_EX)\n\
        \x20   subprocess.run(['systemctl', 'start', 'gatepost-sync'], check=True)";
    machine.ok(&[PYTHON, "-c", lock]);
    assert!(machine.read("/log-gatepost-sync").contains("a sync is running already"), "{}", machine.logs());
    assert_eq!(machine.show("gatepost-sync", "Result"), "success");
}
