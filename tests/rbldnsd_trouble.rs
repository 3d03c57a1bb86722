//! What goes wrong is told once and again at the next start, and telling it costs no answer.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cli_support::daemon::{command, is_listed, place, started};
use cli_support::{Place, is_running, own_lists, until};
use loud::skipped;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// A server whose log nobody can read. Killed when dropped.
struct Unheard(Child);

impl Unheard {
    fn new(mut command: Command, stderr: Stdio) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("it starts");
        // Of a pipe this is the end that is read from.
        drop(child.stderr.take());
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("it runs");
    }

    #[track_caller]
    fn ends_well(mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each stderr that takes no line: a full disk, a reader that is gone.
fn no_logs() -> [Stdio; 2] {
    [File::options().write(true).open("/dev/full").unwrap().into(), Stdio::piped()]
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_log_that_cannot_be_written_costs_no_answer() {
    for stderr in no_logs() {
        let place = place();
        place.write("a", "192.0.2.7\n");
        let server = free_address();
        let bind = format!("127.0.0.1/{}", server.port());
        let daemon = Unheard::new(command(&place, &["-n", "-b", &bind, "z.example:ip4set:a"]), stderr);
        until("the start", || is_listed_if_there(server, "192.0.2.7", "z.example"));
        place.write("a", "192.0.2.9\nnonsense\n");
        daemon.signal(Signal::SIGHUP);
        until("the change", || is_listed(server, "192.0.2.9", "z.example"));
        daemon.ends_well();
    }
}

#[test]
fn nor_does_that_of_the_server_of_a_configuration() {
    for stderr in no_logs() {
        let place = Place::new();
        let server = free_address();
        own_lists(&place, &server.to_string());
        let good = place.read("gatepost.toml").replace("[list.own]", "[sync]\ntimer = \"1h\"\n[list.own]");
        place.write("gatepost.toml", &good);
        let serving = Unheard::new(place.command(&["serve", "-c", "gatepost.toml"]), stderr);
        until("the start", || is_listed_if_there(server, "192.0.2.7", "bl.example.net"));
        place.write("gatepost.toml", "nonsense");
        serving.signal(Signal::SIGHUP);
        place.write("gatepost.toml", good.replace("\"bl.example.net\"", "\"other.example.net\""));
        until("another configuration", || {
            serving.signal(Signal::SIGHUP);
            is_listed(server, "192.0.2.7", "other.example.net")
        });
        serving.ends_well();
    }
}

/// Nobody may listen there yet.
fn is_listed_if_there(server: SocketAddr, address: &str, zone: &str) -> bool {
    let octets: Vec<&str> = address.split('.').rev().collect();
    let client = gatepost::client::Client {
        timeout: Duration::from_millis(200),
        ..gatepost::client::Client::new(server)
    };
    let name = format!("{}.{zone}", octets.join(".")).parse().unwrap();
    client
        .ask(&name, gatepost::model::Rtype::A, gatepost::client::Over::Udp)
        .is_ok_and(|reply| reply.rcode == gatepost::wire::Rcode::NOERROR)
}

/// There is no /dev/null in the root folder, and whoever started the daemon waits for the end of its output.
#[test]
fn from_another_root_folder_it_lets_go_of_its_output_too() {
    if !geteuid().is_root() {
        skipped("from_another_root_folder_it_lets_go_of_its_output_too", "only root may chroot");
        return;
    }
    let place = place();
    place.write("root/a", "192.0.2.7\n");
    let (root, server) = (place.path("root"), free_address());
    let bind = format!("127.0.0.1/{}", server.port());
    let args = ["-b", &bind, "-r", root.to_str().unwrap(), "-p", "pid", "z.example:ip4set:a"];
    let mut command = command(&place, &args);
    let output = || File::create(place.path("output")).unwrap();
    command.env_remove("NOTIFY_SOCKET").stdout(output()).stderr(output());
    assert!(command.status().unwrap().success(), "{}", place.read("output"));
    assert!(is_listed(server, "192.0.2.7", "z.example"));
    let pid: i32 = place.read("pid").trim().parse().unwrap();
    for descriptor in 0..=2 {
        let file = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap();
        assert_eq!(file.to_str(), Some("/dev/null"), "{descriptor}");
    }
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    until("it ends", || !is_running(pid));
}

#[test]
fn a_file_that_is_no_list_is_told_of_once_and_read_once() {
    let place = place();
    place.write("a", "192.0.2.1\n").write("b", "192.0.2.2\n").write("other", "192.0.2.3\n");
    place.write("clients", "192.0.2.1 :refuse\n");
    let zones = ["z.example:ip4set:a", "z.example:ip4trie:b", "other.example:ip4set:other"];
    let access = "other.example:acl:clients";
    std::thread::sleep(Duration::from_millis(50));
    let (daemon, server) = started(&place, &[&["-c", "1h"], &zones[..], &[access]].concat());
    place.write("a", "<html>\n<body>\n").write("clients", "$INCLUDE x\n192.0.2.1 :reject\n");
    std::thread::sleep(Duration::from_millis(50));
    for change in ["192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7"] {
        place.write("other", format!("{change}\n"));
        daemon.signal(Signal::SIGHUP);
        until("another round", || is_listed(server, change, "other.example"));
    }
    assert!(is_listed(server, "192.0.2.1", "z.example") && is_listed(server, "192.0.2.2", "z.example"));
    let ran = daemon.stop().ended_with(0);
    for (text, count) in [
        ("file a(1): ", 1),
        ("file a(2): ", 1),
        ("that is no list", 1),
        ("file clients(1): ", 1),
        ("neither an action nor a value", 1),
        ("ip4trie:b: ", 1),
    ] {
        assert_eq!(ran.err.matches(text).count(), count, "{text}: {}", ran.err);
    }
}

/// Each file is a list or none: the others of its data set do not stand for it.
#[test]
fn an_error_page_in_one_of_several_files_keeps_all_as_they_were() {
    let place = place();
    place.write("a", "192.0.2.1\n").write("b", "192.0.2.2\n").write("soa", "$TTL 60\n$NONSENSE\n");
    place.write("other", "192.0.2.3\n");
    let zones = ["z.example:ip4set:soa,a,b", "other.example:ip4set:other"];
    let (daemon, server) = started(&place, &[&["-c", "1h"], &zones[..]].concat());
    let all_are_there = || {
        assert!(is_listed(server, "192.0.2.1", "z.example") && is_listed(server, "192.0.2.2", "z.example"));
    };
    // A file that says something is one of the list, though it lists nothing.
    all_are_there();
    place.write("a", "<html>\n").write("b", "192.0.2.2\n192.0.2.8\n").write("other", "192.0.2.4\n");
    daemon.signal(Signal::SIGHUP);
    until("the round", || is_listed(server, "192.0.2.4", "other.example"));
    all_are_there();
    daemon.talks("file a: none of its lines can be read as rbldnsd:ip4set; line 1: ");
    place.write("a", "192.0.2.1\n192.0.2.9\n");
    daemon.signal(Signal::SIGHUP);
    until("the list", || is_listed(server, "192.0.2.9", "z.example"));
    all_are_there();
    assert!(is_listed(server, "192.0.2.8", "z.example"));
    daemon.stop().ended_with(0);
}

#[test]
fn what_was_left_out_is_told_at_every_start() {
    let place = place();
    place.write("a", format!("192.0.2.1\n{}", "nonsense\n".repeat(103)));
    let zones = ["-c", "1", "z.example:ip4set:a"];
    std::thread::sleep(Duration::from_millis(50));
    let (daemon, _) = started(&place, &zones);
    let ran = daemon.stop().ended_with(0).talks("103 lines left out");
    assert_eq!(ran.err.matches("WARN file a(").count(), 103, "{}", ran.err);

    let (daemon, server) = started(&place, &zones);
    assert!(is_listed(server, "192.0.2.1", "z.example"));
    let ran = daemon.stop().ended_with(0).talks("as compiled before");
    assert_eq!(ran.err.matches("WARN file a(").count(), 100, "{}", ran.err);
    assert!(ran.err.contains("zone z.example: 3 more lines were left out"), "{}", ran.err);
}

#[test]
fn a_zone_without_a_list_is_warned_of_at_every_start() {
    let place = place();
    place.write("a", "<html>\n502\n");
    for start in ["ip4set:a: ", "as compiled before"] {
        let (daemon, server) = started(&place, &["-c", "1", "z.example:ip4set:a"]);
        assert!(!is_listed(server, "192.0.2.1", "z.example"));
        // A file that was written a moment before it was read is read once more.
        std::thread::sleep(Duration::from_millis(1500));
        let ran = daemon.stop().ended_with(0).talks(start);
        let why = "WARN zone z.example: file a: none of its lines can be read";
        assert_eq!(ran.err.matches(why).count(), 1, "{}", ran.err);
        assert!(!ran.err.contains("ERROR"), "{}", ran.err);
    }
}

/// Names of files are relative to it.
#[test]
fn each_working_folder_has_its_own_in_the_cache() {
    let place = place();
    place.write("one/list", "192.0.2.1\n").write("two/list", "192.0.2.2\n");
    for folder in ["one", "two"] {
        fs::set_permissions(place.path(folder), Permissions::from_mode(0o777)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(50));
    let start = |folder: &str| {
        let path = place.path(folder);
        started(&place, &["-w", path.to_str().unwrap(), "z.example:ip4set:list"])
    };
    start("one").0.stop().ended_with(0);
    start("two").0.stop().ended_with(0);
    for (folder, listed) in [("one", "192.0.2.1"), ("two", "192.0.2.2")] {
        let (daemon, server) = start(folder);
        assert!(is_listed(server, listed, "z.example"));
        daemon.stop().ended_with(0).talks("as compiled before");
    }
}
