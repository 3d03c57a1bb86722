//! `gatepost rbldnsd` as a service: the service manager, signals, what cannot be had at the start, how it ends.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use cli_support::daemon::{address, command, is_listed, place, started};
use cli_support::{Place, Running, under, under_nohup, until};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use loud::{installed, skipped};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, User, getegid, geteuid, mkfifo};

const LIST: &str = "127.0.0.2\n192.0.2.7 :5:seven $\n!192.0.2.8\n";

/// A service manager's end of the notify socket.
struct Notified(UnixDatagram);

impl Notified {
    fn at(place: &Place) -> Self {
        let socket = UnixDatagram::bind(place.path("notify")).unwrap();
        fs::set_permissions(place.path("notify"), Permissions::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(socket)
    }

    /// What has come so far is no news.
    fn forget(&self) {
        self.0.set_nonblocking(true).unwrap();
        while self.0.recv(&mut [0; 4096]).is_ok() {}
        self.0.set_nonblocking(false).unwrap();
    }

    /// The next message that holds this.
    #[track_caller]
    fn of(&self, wanted: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let len = self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("never `{wanted}`: {error}"));
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    }
}

/// The daemon with sockets that were handed over, and its port, which stands where `PORT` does in the arguments.
fn handed(place: &Place, sockets: &str, args: &[&str]) -> (Running, u16) {
    let mut daemon = command(place, args);
    daemon.env("NOTIFY_SOCKET", place.path("notify"));
    cli_support::handed(sockets, &daemon)
}

/// Whether it is answered over TCP.
fn answers_over_tcp(server: SocketAddr) -> bool {
    let client = Client { timeout: Duration::from_secs(5), ..Client::new(server) };
    let asked = client.ask(&"7.2.0.192.z.example".parse().unwrap(), Rtype::A, Over::Tcp);
    asked.is_ok_and(|answer| answer.answers.len() == 1)
}

#[test]
fn the_service_manager_hands_sockets_over_and_is_told() {
    let place = place();
    place.write("a", LIST);
    let notified = Notified::at(&place);
    let (daemon, port) = handed(&place, "[made('127.0.0.1', DGRAM)]", &["-c", "1", "z.example:ip4set:a"]);
    assert!(notified.of("READY=1").contains("1 zone in service"));
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    assert!(is_listed(server, "192.0.2.7", "z.example"));
    assert!(answers_over_tcp(server), "its TCP port is free");
    daemon.signal(Signal::SIGTERM);
    notified.of("STOPPING=1");
    daemon.end().ended_with(0);
}

#[test]
fn sockets_of_the_service_manager_and_addresses_of_b_are_all_answered_on() {
    let place = place();
    place.write("a", LIST);
    let notified = Notified::at(&place);
    let sockets = "[made('127.0.0.1', STREAM), made('127.0.0.2', DGRAM), socket.socket(socket.AF_UNIX, DGRAM), \
        made('127.0.0.1', DGRAM), made('127.0.0.3', STREAM)]";
    // The first is handed over, of the last TCP alone is.
    let args = ["-b", "127.0.0.1/PORT", "-b", "127.0.0.4/PORT", "-b", "127.0.0.3/PORT", "z.example:ip4set:a"];
    let (daemon, port) = handed(&place, sockets, &args);
    notified.of("READY=1");
    for last in 1..=4 {
        let server = SocketAddr::from(([127, 0, 0, last], port));
        assert!(is_listed(server, "192.0.2.7", "z.example"), "{server}");
        assert!(answers_over_tcp(server), "{server}");
    }
    let ran = daemon.stop().ended_with(0);
    assert_eq!(ran.err.matches("listening on 127.0.0.").count(), 4, "{}", ran.err);
    ran.talks("WARN socket 2 of the service manager is neither UDP nor TCP: left alone");

    // TCP alone, and nothing at all.
    let (daemon, port) = handed(&place, "[made('127.0.0.1', STREAM)]", &["z.example:ip4set:a"]);
    notified.of("READY=1");
    assert!(answers_over_tcp(SocketAddr::from(([127, 0, 0, 1], port))));
    daemon.stop().ended_with(0).talks("TCP alone, since no UDP socket came with it");
    let (daemon, _) = handed(&place, "[socket.socket(socket.AF_UNIX, DGRAM)]", &["z.example:ip4set:a"]);
    daemon.end().ended_with(1).talks("no address to listen on (-b option) specified");
}

/// `ListenDatagram=53` is one socket for both families.
#[test]
fn a_socket_of_both_families_has_a_listener_of_both() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        skipped("a_socket_of_both_families_has_a_listener_of_both", "there is no IPv6 here");
        return;
    }
    let place = place();
    place.write("a", LIST);
    let notified = Notified::at(&place);
    let (daemon, port) = handed(&place, "[made('::', DGRAM)]", &["z.example:ip4set:a"]);
    notified.of("READY=1");
    for server in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        let server = server.parse().unwrap();
        assert!(is_listed(server, "192.0.2.7", "z.example") && answers_over_tcp(server), "{server}");
    }
    daemon.stop().ended_with(0);
}

/// The notify socket is outside of the new root folder, and often not for the new user.
#[test]
fn the_service_manager_is_told_from_another_root_folder() {
    if !geteuid().is_root() {
        skipped("the_service_manager_is_told_from_another_root_folder", "only root may chroot");
        return;
    }
    let place = place();
    place.write("root/a", LIST);
    let notified = Notified::at(&place);
    let root = place.path("root");
    let args = ["-n", "-b", "127.0.0.1/0", "-r", root.to_str().unwrap(), "-c", "1", "z.example:ip4set:a"];
    let mut command = command(&place, &args);
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "200000");
    let daemon = Running::new(command);
    assert!(notified.of("READY=1").contains("1 zone in service"));
    fs::set_permissions(place.path("notify"), Permissions::from_mode(0o700)).unwrap();
    notified.of("WATCHDOG=1");
    place.write("root/a", "192.0.2.9\n");
    notified.of("STATUS=");
    daemon.signal(Signal::SIGTERM);
    notified.of("STOPPING=1");
    let ran = daemon.end().ended_with(0);
    assert!(!ran.err.contains("service manager"), "{}", ran.err);
}

/// Containers have it in the abstract namespace.
#[test]
fn the_service_manager_is_told_by_an_abstract_name() {
    let place = place();
    place.write("a", LIST);
    let name = format!("gatepost-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&UnixAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = command(&place, &["-b", "127.0.0.1/0", "z.example:ip4set:a"]);
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let daemon = Running::new(command);
    Notified(socket).of("READY=1");
    daemon.stop().ended_with(0);
}

#[test]
fn a_log_that_cannot_be_opened_is_no_reason_not_to_serve() {
    let place = place();
    place.write("a", LIST);
    for (log, wrong) in [("none/queries", "No such file or directory"), ("pipe", "No such device or address")]
    {
        // Nobody reads the pipe: whoever waits for a reader never answers.
        mkfifo(&place.path("pipe"), Mode::from_bits_truncate(0o666)).unwrap();
        fs::set_permissions(place.path("pipe"), Permissions::from_mode(0o666)).unwrap();
        let args = ["-c", "1", "-l", log, "-s", "none/stats", "z.example:ip4set:a"];
        let (daemon, server) = started(&place, &args);
        daemon.talks("the query log cannot be opened; SIGHUP tries it again");
        assert!(is_listed(server, "192.0.2.7", "z.example"));
        let talk = daemon.talks("statistics cannot be written");
        assert!(talk.contains(wrong), "{talk}");

        fs::remove_file(place.path("pipe")).unwrap();
        fs::create_dir(place.path("none")).unwrap();
        fs::set_permissions(place.path("none"), Permissions::from_mode(0o777)).unwrap();
        until("statistics", || place.path("none/stats").exists());
        daemon.signal(Signal::SIGHUP);
        until("the log is opened", || place.path(log).exists());
        // That its file is there is a moment before lines go into it.
        until("a line", || {
            assert!(is_listed(server, "192.0.2.7", "z.example"));
            place.read(log).contains("7.2.0.192.z.example A IN: NOERROR/1/")
        });
        daemon.stop().ended_with(0);
        fs::remove_dir_all(place.path("none")).unwrap();
    }
}

#[test]
fn sighup_is_heard_under_nohup_too() {
    let place = place();
    place.write("a", LIST);
    let args = ["-n", "-b", "127.0.0.1/0", "-c", "0", "z.example:ip4set:a"];
    let daemon = Running::new(under_nohup(&command(&place, &args)));
    let server = address(&daemon);
    daemon.talks("zones reloaded");
    place.write("a", "192.0.2.9\n");
    daemon.signal(Signal::SIGHUP);
    until("the change", || is_listed(server, "192.0.2.9", "z.example"));
    daemon.stop().ended_with(0);
}

/// Whoever signals a whole unit or group means the daemon.
#[test]
fn signals_for_the_daemon_do_not_end_its_loader() {
    let place = place();
    place.write("a", LIST);
    let (daemon, server) = started(&place, &["-c", "0", "z.example:ip4set:a"]);
    let [loader] = daemon.children()[..] else { panic!("one loader") };
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
        kill(Pid::from_raw(loader), signal).unwrap();
    }
    place.write("a", "192.0.2.9\n");
    daemon.signal(Signal::SIGHUP);
    until("the change", || is_listed(server, "192.0.2.9", "z.example"));
    assert_eq!(daemon.children(), [loader]);
    let ran = daemon.stop().ended_with(0);
    assert!(!ran.err.contains("died"), "{}", ran.err);
}

/// A list that takes a while to be read.
fn many() -> String {
    (0..300_000).map(|n: u32| format!("10.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255)).collect()
}

/// Sent to a whole unit or group, the end reaches both processes at once, in whatever order.
#[test]
fn an_end_that_both_processes_are_told_is_no_death() {
    let place = place();
    place.write("a", LIST);
    let (daemon, _) = started(&place, &["-c", "0", "z.example:ip4set:a"]);
    let [loader] = daemon.children()[..] else { panic!("one loader") };
    kill(Pid::from_raw(loader), Signal::SIGTERM).unwrap();
    until("it is buried", || !exists(loader));
    let ran = daemon.stop().ended_with(0);
    assert!(!ran.err.contains("ERROR") && !ran.err.contains("died"), "{}", ran.err);

    // Also before the data are there.
    place.write("many", many());
    let mut command = command(&place, &["-n", "-b", "127.0.0.1/0", "z.example:ip4set:many"]);
    command.process_group(0);
    let daemon = Running::new(command);
    until("a loader", || daemon.children().len() == 1);
    killpg(Pid::from_raw(daemon.pid()), Signal::SIGINT).unwrap();
    let ran = daemon.end().ended_with(0);
    assert!(!ran.err.contains("ERROR") && !ran.err.contains("ended"), "{}", ran.err);
}

/// A loader alone that is told to end is missed all the same.
#[test]
fn a_loader_that_somebody_ends_is_told_of_and_replaced() {
    let place = place();
    place.write("a", LIST);
    let (daemon, server) = started(&place, &["-c", "0", "z.example:ip4set:a"]);
    let [loader] = daemon.children()[..] else { panic!("one loader") };
    kill(Pid::from_raw(loader), Signal::SIGTERM).unwrap();
    place.write("a", "192.0.2.9\n");
    // Whether before or after its end is heard.
    daemon.signal(Signal::SIGHUP);
    daemon.talks("the loader died (signal: 15 (SIGTERM)); the next check or SIGHUP starts another");
    until("another loads the change", || is_listed(server, "192.0.2.9", "z.example"));
    daemon.stop().ended_with(0);
}

/// Without checks nothing but the signal brings the change.
#[test]
fn no_sighup_is_lost() {
    let place = place();
    let notified = Notified::at(&place);
    place.write("a", LIST);
    let mut command = command(&place, &["-n", "-b", "127.0.0.1/0", "-c", "0", "z.example:ip4set:a"]);
    command.env("NOTIFY_SOCKET", place.path("notify"));
    let daemon = Running::new(command);
    let server = address(&daemon);
    notified.of("READY=1");
    let loader = || {
        until("one loader", || daemon.children().len() == 1);
        Pid::from_raw(daemon.children()[0])
    };
    // The loader dies right before, as far as anybody can tell.
    for number in 1..20 {
        place.write("a", format!("192.0.2.{number}\n"));
        kill(loader(), Signal::SIGKILL).unwrap();
        daemon.signal(Signal::SIGHUP);
        until("the change", || is_listed(server, &format!("192.0.2.{number}"), "z.example"));
        // Whoever never listens stops a service in the end.
        notified.forget();
    }
    // It was told, and dies before it looks.
    place.write("a", "192.0.2.30\n");
    let first = loader();
    notified.forget();
    kill(first, Signal::SIGSTOP).unwrap();
    daemon.signal(Signal::SIGHUP);
    assert!(notified.of("RELOADING=1").contains("MONOTONIC_USEC="));
    kill(first, Signal::SIGKILL).unwrap();
    until("the change", || is_listed(server, "192.0.2.30", "z.example"));
    notified.of("READY=1");
    daemon.stop().ended_with(0);
}

#[test]
fn a_sighup_while_files_are_read_has_them_looked_at_again() {
    let place = place();
    place.write("a", LIST).write("many", many());
    let args = ["-n", "-q", "-b", "127.0.0.1/0", "-c", "0", "a.example:ip4set:a", "m.example:ip4set:many"];
    let daemon = Running::new(command(&place, &args));
    let server = address(&daemon);
    // The one is read, the other is being read.
    daemon.talks("ip4set:a: ");
    place.write("a", "192.0.2.9\n");
    daemon.signal(Signal::SIGHUP);
    until("the change", || is_listed(server, "192.0.2.9", "a.example"));
    daemon.stop().ended_with(0);
}

#[test]
fn what_is_said_of_a_failed_load_is_true() {
    let place = place();
    place.write("b", LIST).write("clients", "127.0.0.1 :pass\n");
    let zones = ["z.example:ip4set:a", "b.example:ip4set:b", "b.example:acl:clients", "c.example:acl:none"];
    let zones = [&zones[..], &["c.example:ip4set:b"]].concat();
    let ran = command(&place, &[&["-n", "-b", "127.0.0.1/0"], &zones[..]].concat()).output().unwrap();
    let talk = String::from_utf8(ran.stderr).unwrap();
    assert!(talk.contains("zone z.example: file a: unable to read: No such file or directory"), "{talk}");
    assert!(talk.contains("; it has no data yet") && talk.contains("; it was never read"), "{talk}");
    assert!(!talk.contains("stays"), "{talk}");

    let quick = ["-n", "-q", "-c", "1", "-b", "127.0.0.1/0"];
    let daemon = Running::new(command(&place, &[&quick[..], &zones].concat()));
    let server = address(&daemon);
    daemon.talks("; it has no data yet");
    until("the zone that can be loaded", || is_listed(server, "192.0.2.7", "b.example"));
    fs::remove_file(place.path("b")).unwrap();
    let talk = daemon.talks(
        "zone b.example: file b: unable to read: No such file or directory; what it had stays in service",
    );
    assert_eq!(talk.matches("stays in service").count(), 1, "{talk}");
    fs::remove_file(place.path("clients")).unwrap();
    daemon.talks("the access list acl:clients: file clients: unable to read: No such file or directory; what it had stays in service");
    daemon.stop().ended_with(0);
}

/// Whether there is such a process, and be it one that waits to be buried.
fn exists(pid: i32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// Started by root as one user, then as another: the folder is the first one's.
#[test]
fn a_cache_of_somebody_else_is_left_alone() {
    if !geteuid().is_root() {
        skipped("a_cache_of_somebody_else_is_left_alone", "only root may be several users");
        return;
    }
    let place = place();
    place.write("a", LIST);
    let start = |user: &str| {
        let mut command =
            place.command(&["rbldnsd", "-u", user, "-n", "-b", "127.0.0.1/0", "z.example:ip4set:a"]);
        command.env("CACHE_DIRECTORY", place.path("var/cache/rbldnsd"));
        let daemon = Running::new(command);
        let server = address(&daemon);
        daemon.talks("zones reloaded");
        assert!(is_listed(server, "192.0.2.7", "z.example"));
        daemon.stop().ended_with(0).err
    };
    let names = || {
        let folder = fs::read_dir(place.path("var/cache/rbldnsd")).unwrap();
        folder.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert!(!start("4711:4711").contains("no cache"));
    let kept = names();
    assert_eq!(kept.len(), 1);
    let talk = start("4712:4712");
    assert!(talk.contains("WARN no cache, compiled zones are kept in memory: "), "{talk}");
    assert!(talk.contains("belongs to user 4711 and this is user 4712"), "{talk}");
    assert_eq!(names(), kept);
    assert!(start("4711:4711").contains("zone z.example: as compiled before"));
}

#[test]
fn root_keeps_none_of_its_groups() {
    let test = "root_keeps_none_of_its_groups";
    if !geteuid().is_root() {
        return skipped(test, "only root may become somebody else");
    }
    let Some(setpriv) = installed("setpriv", "util-linux", test) else { return };
    let place = place();
    place.write("a", LIST);
    let mut outer = Command::new(setpriv);
    outer.args(["--groups", "0,4711"]);
    let daemon =
        Running::new(under(outer, &command(&place, &["-n", "-b", "127.0.0.1/0", "z.example:ip4set:a"])));
    daemon.talks("zones reloaded");
    let [loader] = daemon.children()[..] else { panic!("one loader") };
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let (user, group) = (nobody.uid.to_string(), nobody.gid.to_string());
    for process in [daemon.pid(), loader] {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let words = |field| -> Vec<_> {
            status.lines().find_map(|line| line.strip_prefix(field)).unwrap().split_whitespace().collect()
        };
        assert_eq!(words("Groups:"), [&group]);
        assert_eq!((words("Uid:"), words("Gid:")), (vec![&*user; 4], vec![&*group; 4]));
    }
    daemon.stop().ended_with(0);
}

/// So it is in rbldnsd 1.0, which cannot have both: then each is its own here.
#[test]
fn all_of_ipv6_is_all_of_both_families() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        skipped("all_of_ipv6_is_all_of_both_families", "there is no IPv6 here");
        return;
    }
    let place = place();
    place.write("a", LIST);
    let port = std::net::UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let (all, four) = (format!("::/{port}"), format!("127.0.0.1/{port}"));
    for bind in [&["-b", &all][..], &["-6", "-b", &all], &["-b", &all, "-b", &four]] {
        let args = [&["-n"], bind, &["z.example:ip4set:a"]].concat();
        let daemon = Running::new(command(&place, &args));
        daemon.talks("zones reloaded");
        for server in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
            let server = server.parse().unwrap();
            assert!(is_listed(server, "192.0.2.7", "z.example") && answers_over_tcp(server), "{bind:?}");
        }
        daemon.stop().ended_with(0);
    }
}

/// As somebody who is not root.
fn unprivileged(place: &Place, args: &[&str]) -> (Command, u32, u32) {
    let mut command = place.command(&["rbldnsd"]);
    command.args(args).env("GATEPOST_CACHE", place.path("cache"));
    if !geteuid().is_root() {
        return (command, geteuid().as_raw(), getegid().as_raw());
    }
    command.uid(65_534).gid(65_534);
    (command, 65_534, 65_534)
}

#[test]
fn who_is_not_root_becomes_nobody_else_and_is_told() {
    let place = place();
    place.write("a", LIST);
    let zone = ["-n", "-b", "127.0.0.1/0", "z.example:ip4set:a"];
    for user in ["4711", "4711:4711", "4711:root"] {
        let done = unprivileged(&place, &[&["-u", user][..], &zone].concat()).0.output().unwrap();
        let talk = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{talk}");
        let says = format!("-u {user}: unable to become user 4711 and group ");
        assert!(talk.contains(&says) && talk.contains("leave -u out"), "{talk}");
    }
    let (_, uid, gid) = unprivileged(&place, &[]);
    let own = format!("{uid}:{gid}");
    let daemon = Running::new(unprivileged(&place, &[&["-u", &own][..], &zone].concat()).0);
    assert!(is_listed(address(&daemon), "192.0.2.7", "z.example"));
    daemon.stop().ended_with(0);
    // Who only prints the zones need not be who would serve them.
    let done = unprivileged(&place, &["-d", "-u", "4711", "z.example:ip4set:a"]).0.output().unwrap();
    assert!(done.status.success() && !done.stdout.is_empty(), "{done:?}");
}

/// rbldnsd 1.0 looks a number up nowhere.
#[test]
fn a_number_is_user_and_group() {
    if !geteuid().is_root() {
        skipped("a_number_is_user_and_group", "only root may become somebody else");
        return;
    }
    let place = place();
    place.write("a", LIST);
    // The first has no entry in /etc/passwd; that of the second (man, on Debian) names another group.
    for (user, expected) in [("12345", (12_345, 12_345)), ("6", (6, 6)), ("6:4711", (6, 4711))] {
        let args = ["rbldnsd", "-u", user, "-n", "-b", "127.0.0.1/0", "z.example:ip4set:a"];
        let mut command = place.command(&args);
        command.env("GATEPOST_CACHE", place.path("none/cache"));
        let daemon = Running::new(command);
        assert!(is_listed(address(&daemon), "192.0.2.7", "z.example"), "{user}");
        for process in daemon.children().into_iter().chain([daemon.pid()]) {
            let found = fs::metadata(format!("/proc/{process}")).unwrap();
            assert_eq!((found.uid(), found.gid()), expected, "{user}");
        }
        daemon.stop().ended_with(0);
    }
}

/// The command under this limit of open files, as sh(1) has it.
fn limited(inner: &Command, limit: &str) -> Command {
    let mut outer = Command::new("sh");
    outer.args(["-c", &format!("ulimit {limit}; exec \"$@\""), "sh"]);
    under(outer, inner)
}

/// However fast they come and however few files may be open.
#[test]
fn many_zones_need_few_descriptors() {
    let place = place();
    place.write("a", LIST);
    std::thread::sleep(Duration::from_millis(50));
    let zones: Vec<_> = (0..600).map(|n| format!("z{n}.example:ip4set:a")).collect();
    let zones: Vec<_> = zones.iter().map(String::as_str).collect();
    let args = [&["-n", "-b", "127.0.0.1/0", "-c", "0"][..], &zones].concat();
    // Compiled, then from the cache, which takes no time.
    for _ in 0..4 {
        let daemon = Running::new(limited(&command(&place, &args), "-n 32"));
        let server = address(&daemon);
        daemon.talks("zones reloaded: 600 changed, 0 failed");
        for zone in [0, 300, 599] {
            assert!(is_listed(server, "192.0.2.7", &format!("z{zone}.example")), "{zone}");
        }
        let ran = daemon.stop().ended_with(0);
        assert!(!ran.err.contains("ERROR") && !ran.err.contains("died"), "{}", ran.err);
    }
}

#[test]
fn the_limit_of_open_files_is_as_high_as_it_may_be() {
    let place = place();
    place.write("a", LIST);
    let args = ["-n", "-b", "127.0.0.1/0", "z.example:ip4set:a"];
    let daemon = Running::new(limited(&command(&place, &args), "-n 200; ulimit -S -n 100"));
    daemon.talks("zones reloaded");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[3..5], ["200", "200"], "{limits}");
    daemon.stop().ended_with(0);
}

#[test]
fn what_the_system_says_is_said_once() {
    let place = place();
    place.write("a", LIST);
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let bind = format!("127.0.0.1/{}", taken.local_addr().unwrap().port());
    let done = command(&place, &["-n", "-b", &bind, "z.example:ip4set:a"]).output().unwrap();
    let talk = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{talk}");
    assert_eq!(talk.matches("Address already in use").count(), 1, "{talk}");
}
