//! `gatepost rbldnsd` as a process: its options, what it watches, what it writes, how it ends, and what it survives.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::Duration;

use cli_support::daemon::{address, command, is_listed, place, rcode, started};
use cli_support::{Place, Running, is_running, until};
use flate2::Compression;
use flate2::write::GzEncoder;
use gatepost::client::{Client, Data, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use loud::{installed, skipped};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

const LIST: &str = "127.0.0.2\n192.0.2.7 :5:seven $\n!192.0.2.8\n";

#[test]
fn answers_logs_and_counts_as_rbldnsd_does() {
    let place = place();
    place.write("a", LIST).write("names", "test\nspam.example :3:n\n");
    let args = ["-c", "1s", "-l", "+queries", "-s", "stats", "-p", "pid"];
    let zones = ["z.example:ip4set:a", "z.example:dnset:names", "n.example:dnset:names"];
    let (daemon, server) = started(&place, &[&args[..], &zones].concat());
    assert_eq!(place.read("pid"), format!("{}\n", daemon.pid()));
    let answer = Client::new(server).ask(&"7.2.0.192.Z.example".parse().unwrap(), Rtype::TXT, Over::Udp);
    assert_eq!(answer.unwrap().answers[0].data, Data::Txt(vec![b"seven 192.0.2.7".to_vec()]));
    // A line is written when the reply is on its way already; the next worker may be faster.
    let logged = |lines| until("lines in the query log", || place.read("queries").lines().count() == lines);
    logged(1);
    for (name, expected, lines) in [
        ("9.2.0.192.z.example", Rcode::NXDOMAIN, 2),
        ("spam.example.n.example", Rcode::NOERROR, 3),
        ("elsewhere.example", Rcode::REFUSED, 4),
    ] {
        assert_eq!(rcode(server, name), expected, "{name}");
        logged(lines);
    }
    let tcp = Client::new(server).ask(&"7.2.0.192.z.example".parse().unwrap(), Rtype::A, Over::Tcp);
    assert_eq!(tcp.unwrap().rcode, Rcode::NOERROR);
    logged(5);

    let queries = place.read("queries");
    let shown: Vec<_> = queries.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert!(shown[0].starts_with("127.0.0.1 7.2.0.192.z.example TXT IN: NOERROR/1/"), "{queries}");
    assert!(shown[1].starts_with("127.0.0.1 9.2.0.192.z.example A IN: NXDOMAIN/0/"), "{queries}");
    assert!(shown[2].starts_with("127.0.0.1 spam.example.n.example A IN: NOERROR/1/"), "{queries}");
    assert!(shown[3].starts_with("127.0.0.1 elsewhere.example A IN: REFUSED/0/"), "{queries}");
    assert!(shown[4].starts_with("127.0.0.1 7.2.0.192.z.example A IN: NOERROR/1/"), "{queries}");

    daemon.signal(Signal::SIGUSR1);
    daemon.talks("zone z.example: tot=3 ok=2 nxd=1 err=0 in=");
    daemon.talks("zone n.example: tot=1 ok=1 nxd=0 err=0 in=");
    daemon.talks("sec: tot=5 ok=3 nxd=1 err=1 in=");
    let counted = |line: &str| {
        let fields: Vec<_> = line.split(' ').skip(1).map(|f| f.rsplitn(3, ':').last().unwrap()).collect();
        fields.join(" ")
    };
    until("a line of statistics", || {
        let stats = place.read("stats");
        stats.lines().any(|line| counted(line) == "z.example:3:2:1 n.example:1:1:0 *:5:3:1")
    });
    assert_eq!(place.read("stats").lines().next().unwrap().split(' ').count(), 1, "counts begin at zero");
    daemon.signal(Signal::SIGUSR2);
    until("counts from zero", || {
        place.read("stats").lines().last().is_some_and(|l| counted(l).ends_with("*:0:0:0"))
    });

    // A log that was moved away is opened again.
    fs::rename(place.path("queries"), place.path("queries.1")).unwrap();
    daemon.signal(Signal::SIGHUP);
    until("the log is opened again", || place.path("queries").exists());
    // That its file is there is a moment before lines go into it.
    until("a line in the new one", || {
        rcode(server, "1.2.0.192.z.example");
        place.read("queries").lines().count() > 0
    });
    let ran = daemon.stop().ended_with(0).talks("terminating");
    assert_eq!(ran.out, "");
    assert_eq!(place.read("stats").lines().last().unwrap().split(' ').count(), 1, "the end is marked");
}

#[test]
fn changes_are_noticed_and_failures_keep_the_last_good_data() {
    let place = place();
    place.write("a", LIST).write("b", LIST);
    let (daemon, server) = started(&place, &["-c", "1", "a.example:ip4set:a", "b.example:ip4set:b"]);
    assert!(is_listed(server, "192.0.2.7", "a.example"));
    // The same size within the same second: the file system's nanoseconds tell.
    place.write("a", LIST.replace("192.0.2.7", "192.0.2.9"));
    until("the change", || is_listed(server, "192.0.2.9", "a.example"));
    assert!(!is_listed(server, "192.0.2.7", "a.example"));

    fs::remove_file(place.path("a")).unwrap();
    daemon.talks("file a: unable to read: No such file or directory; what it had stays in service");
    assert!(is_listed(server, "192.0.2.9", "a.example") && is_listed(server, "192.0.2.7", "b.example"));
    place.write("b", LIST.replace("192.0.2.7", "192.0.2.6"));
    until("the other zone goes on", || is_listed(server, "192.0.2.6", "b.example"));
    place.write("a", "<html>\n<p>busy</p>\n");
    daemon.talks("none of its lines can be read");
    assert!(is_listed(server, "192.0.2.9", "a.example"));
    place.write("a", "$TIMESTAMP 2099:01:01\n192.0.2.3\n");
    daemon.talks("lies in the future");
    place.write("a", [0x1f, 0x8b, 8, 0, 1, 2, 3]);
    daemon.talks("file a: unable to read: ");
    fs::remove_file(place.path("a")).unwrap();
    fs::create_dir(place.path("a")).unwrap();
    daemon.talks("not a regular file");
    assert!(is_listed(server, "192.0.2.9", "a.example"));
    fs::remove_dir(place.path("a")).unwrap();
    place.write("a", "192.0.2.1\nnonsense\n192.0.2.2 :5\r\n");
    until("it comes back", || is_listed(server, "192.0.2.2", "a.example"));
    daemon.talks("file a(2): not an address: nonsense");
    daemon.stop().ended_with(0);
}

/// rbldnsd's tries say so of a prefix that stands there already, and its reader of gzip stops behind the first member.
#[test]
fn what_counts_for_nothing_is_told_with_its_place() {
    let place = place();
    place.write("t", "127.0.0.2\n10.0.0.0/8 :3:a\n# c\n10/8 :4:b\n!10/8\n192.0.2.7\n192.0.2.7\n");
    place.write("u", "192.0.2.7 :9:\n192.0.2.8\n").write("s", "2001:db8::/32 :2:a\n\n!2001:db8/32\n");
    place.write("c", "$DATASET ip4trie @\n192.0.2.7\n$DATASET ip4trie @\n192.0.2.7\n192.0.2.7/32 x\n");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(LIST.as_bytes()).unwrap();
    place.write("g", [packed.finish().unwrap(), vec![0; 600]].concat());
    let zones =
        ["z.example:ip4trie:t,u", "z.example:ip6trie:s", "c.example:combined:c", "g.example:ip4set:g"];
    let (daemon, server) = started(&place, &zones);
    assert!(is_listed(server, "10.1.1.1", "z.example") && is_listed(server, "192.0.2.8", "z.example"));
    assert!(is_listed(server, "192.0.2.7", "g.example"));
    let ran = daemon.stop().ended_with(0);
    let told: Vec<_> = ran.err.lines().filter_map(|line| Some(line.split_once("WARN file ")?.1)).collect();
    let again = |place: &str, what: &str| {
        format!("{place}: duplicated entry, the first one counts: {what}, column 1")
    };
    for line in [
        again("t(4)", "10.0.0.0/8"),
        again("t(5)", "10.0.0.0/8"),
        again("t(7)", "192.0.2.7"),
        again("u(1)", "192.0.2.7"),
        again("s(3)", "2001:db8::/32"),
        again("c(5)", "192.0.2.7"),
        "g: what lies behind its gzip data is no gzip and ignored".to_owned(),
    ] {
        assert_eq!(told.iter().filter(|told| **told == line).count(), 1, "{line}\n{}", ran.err);
    }
    assert_eq!(told.len(), 7, "{}", ran.err);
}

#[test]
fn data_that_end_answer_servfail_until_there_are_newer_ones() {
    let place = place();
    let soon = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(3)).unwrap();
    let stamp = soon.strftime("%Y:%m:%d:%H:%M:%S");
    place.write("a", format!("$TIMESTAMP 0 {stamp}\n{LIST}")).write("b", LIST);
    let (daemon, server) = started(&place, &["-c", "1", "z.example:ip4set:a", "z.example:ip4set:b"]);
    assert!(is_listed(server, "192.0.2.7", "z.example"));
    until("the whole zone ends", || rcode(server, "7.2.0.192.z.example") == Rcode::SERVFAIL);
    assert_eq!(rcode(server, "z.example"), Rcode::SERVFAIL);
    place.write("a", LIST);
    until("it comes back", || is_listed(server, "192.0.2.7", "z.example"));
    daemon.stop().ended_with(0);
}

#[test]
fn without_a_cache_zones_are_in_sealed_memory() {
    let place = place();
    place.write("a", LIST).write("cache", "no folder");
    let (daemon, server) = started(&place, &["-c", "1", "z.example:ip4set:a"]);
    daemon.talks("kept in memory");
    assert!(is_listed(server, "192.0.2.7", "z.example"));
    let maps = fs::read_to_string(format!("/proc/{}/maps", daemon.pid())).unwrap();
    assert!(maps.contains("memfd:gatepost-zone"), "{maps}");
    place.write("a", "192.0.2.9\n");
    until("the change", || is_listed(server, "192.0.2.9", "z.example"));
    daemon.stop().ended_with(0);
}

#[test]
fn in_another_root_folder_all_else_works() {
    if !geteuid().is_root() {
        skipped("in_another_root_folder_all_else_works", "only root may chroot");
        return;
    }
    let place = place();
    place.write("root/data/a", LIST);
    let root = place.path("root");
    fs::set_permissions(place.path("root/data"), Permissions::from_mode(0o777)).unwrap();
    let (daemon, server) = started(
        &place,
        &[
            "-r",
            root.to_str().unwrap(),
            "-w",
            "/data",
            "-c",
            "1",
            "-p",
            "pid",
            "-l",
            "+q",
            "z.example:ip4set:a",
        ],
    );
    assert!(is_listed(server, "192.0.2.7", "z.example"));
    assert_eq!(place.read("pid"), format!("{}\n", daemon.pid()));
    for process in daemon.children().into_iter().chain([daemon.pid()]) {
        let inside = fs::read_link(format!("/proc/{process}/root")).unwrap();
        assert_eq!(inside, fs::canonicalize(&root).unwrap());
        assert_ne!(fs::metadata(format!("/proc/{process}")).unwrap().uid(), 0, "no longer root");
    }
    place.write("root/data/a", "192.0.2.9\n");
    until("the change", || is_listed(server, "192.0.2.9", "z.example"));
    assert!(place.read("root/data/q").contains("z.example A IN: NOERROR/1/"));
    daemon.stop().ended_with(0);
}

#[test]
fn a_loader_that_dies_is_replaced_and_costs_no_answer() {
    let place = place();
    place.write("a", LIST);
    let (daemon, server) = started(&place, &["-c", "1", "z.example:ip4set:a"]);
    let [loader] = daemon.children()[..] else { panic!("one loader") };
    kill(Pid::from_raw(loader), Signal::SIGKILL).unwrap();
    daemon.talks("the loader died");
    assert!(is_listed(server, "192.0.2.7", "z.example"));
    place.write("a", "192.0.2.9\n");
    until("another loads the change", || is_listed(server, "192.0.2.9", "z.example"));
    let [second] = daemon.children()[..] else { panic!("one loader") };
    daemon.signal(Signal::SIGKILL);
    until("a loader without its server ends", || !is_running(second));
}

#[test]
fn in_the_background() {
    goes_to_the_background("gatepost");
}

#[test]
fn in_the_background_by_the_other_name() {
    goes_to_the_background("rbldnsd");
}

/// Called by this name, which makes it the command or not.
fn goes_to_the_background(name: &str) {
    let place = place();
    place.write("a", LIST);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gatepost"), place.path(name)).unwrap();
    let command = |place: &Place, args: &[&str]| {
        let known = command(place, args);
        let mut called = Command::new(place.path(name));
        called.args(known.get_args().skip(usize::from(name == "rbldnsd")));
        called.current_dir(place.path(".")).env("GATEPOST_CACHE", place.path("cache"));
        called.env_remove("NOTIFY_SOCKET");
        called
    };
    let port = free_port();
    let bind = format!("127.0.0.1/{port}");
    let server: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let args = ["-b", &bind, "-p", "pid", "-c", "1", "z.example:ip4set:a"];
    let started = command(&place, &args).output().unwrap();
    assert!(started.status.success(), "{started:?}");
    // The one that was started has ended, and answers are given.
    assert!(is_listed(server, "192.0.2.7", "z.example"));
    let pid: i32 = place.read("pid").trim().parse().unwrap();
    let stdin = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert_eq!(stdin.to_str(), Some("/dev/null"));
    // Whoever sends a signal by that name finds it.
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim(), name);
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    until("it ends", || !is_running(pid));

    // What goes wrong is told to who started it.
    let failed = command(&place, &["-b", &bind, "z.example:ip4set:none"]).output().unwrap();
    let talk = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(talk.contains("none: unable to read") && talk.contains("zone loading errors"), "{talk}");
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn quick_start_answers_servfail_until_there_are_data() {
    let place = place();
    place.write("b", LIST);
    let zones = ["-q", "-c", "1", "a.example:ip4set:a", "b.example:ip4set:b"];
    let daemon = Running::new(command(&place, &[&["-n", "-b", "127.0.0.1/0"], &zones[..]].concat()));
    let server = address(&daemon);
    until("the zone that can be loaded", || is_listed(server, "192.0.2.7", "b.example"));
    assert_eq!(rcode(server, "7.2.0.192.a.example"), Rcode::SERVFAIL);
    assert_eq!(rcode(server, "a.example"), Rcode::SERVFAIL);
    place.write("a", LIST);
    until("the other", || is_listed(server, "192.0.2.7", "a.example"));
    daemon.stop().ended_with(0);
}

#[test]
fn zones_without_test_points_are_warned_of() {
    let place = place();
    place.write("a", "192.0.2.7\n").write("all", "0/1\n128/1\n").write("n", "test\n.invalid\n");
    let zones =
        ["a.example:ip4set:a", "all.example:ip4trie:all", "n.example:dnset:n", "g.example:generic:/dev/null"];
    let (daemon, server) = started(&place, &zones);
    assert_eq!(rcode(server, "2.0.0.127.a.example"), Rcode::NXDOMAIN, "nothing is forced");
    let err = daemon.stop().ended_with(0).err;
    let warned: Vec<_> =
        err.lines().filter_map(|line| line.split_once("WARN zone ").map(|(_, text)| text)).collect();
    assert_eq!(warned.len(), 3, "{err}");
    assert!(warned[0].starts_with("a.example: the test point 127.0.0.2 is not listed"), "{err}");
    assert!(warned[1].starts_with("all.example: 127.0.0.1 is listed"), "{err}");
    assert!(warned[2].starts_with("n.example: `invalid` is listed"), "{err}");
}

#[test]
fn command_lines_that_make_no_sense() {
    let place = place();
    place.write("a", LIST);
    let run = |args: &[&str]| {
        let done = command(&place, args).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    for (args, says) in [
        (&["-n", "z.example:ip4set:a"][..], "no address to listen on (-b option) specified"),
        (&["-n", "-b", "127.0.0.1/0"], "ZONE:TYPE:FILE"),
        (&["-n", "-b", "127.0.0.1/0", "z.example:nonsense:a"], "unknown dataset type `nonsense`"),
        (&["-n", "-b", "127.0.0.1/0", "z.example"], "invalid zone spec `z.example`"),
        (&["-n", "-b", "127.0.0.1/0", "-x", "lib.so", "z.example:ip4set:a"], "-x and -X load libraries"),
        (&["-n", "-b", "127.0.0.1/0", "-X", "a", "z.example:ip4set:a"], "-x and -X load libraries"),
        (&["-n", "-b", "127.0.0.1/0", "-t", "1:2:3", "z.example:ip4set:a"], "inconsistent def:min:max ttl"),
        (&["-n", "-b", "127.0.0.1/0", "-t", "", "z.example:ip4set:a"], "no time is named"),
        (&["-n", "-b", "127.0.0.1/0", "z.example:ip4set:,"], "missing filenames in `z.example:ip4set:,`"),
        (&["-n", "-b", "127.0.0.1/nothing", "z.example:ip4set:a"], "no such port or service"),
        (&["-n", "-b", "127.0.0.1/0", "-F", "nonsense", "z.example:ip4set:a"], "no such facility"),
        (&["-n", "-b", "127.0.0.1/0", "z.example:ip4set:none"], "zone loading errors, aborting"),
        (&["-n", "-Z"], "-Z"),
    ] {
        let (got, talk) = run(args);
        assert!(talk.contains(says), "{args:?}: {talk}");
        assert_eq!(got, 1, "{args:?}: {talk}");
    }
    let help = command(&place, &["-h"]).output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("-b <ADDRESS/PORT>"));
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("/var/cache/gatepost/rbldnsd for root"), "{help}");
}

/// What is glued, repeated, abbreviated and accepted without effect.
#[test]
fn options_as_they_are_written_there() {
    let place = place();
    place.write("a", LIST);
    let daemon = Running::new(command(
        &place,
        &["-nqfaA", "-b127.1/0", "-c1m", "-t35m", "-v", "-4", "z.example:ip4set:a", "-e", "-C"],
    ));
    let server = address(&daemon);
    until("data", || is_listed(server, "192.0.2.7", "z.example"));
    daemon.stop().ended_with(0);
    // Called by the other name, it is the other program.
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gatepost"), place.path("rbldnsd")).unwrap();
    let called = |args: &[&str]| Command::new(place.path("rbldnsd")).args(args).output().unwrap();
    let help = String::from_utf8(called(&["-h"]).stdout).unwrap();
    assert!(help.contains("-b <ADDRESS/PORT>") && help.contains("Usage: rbldnsd [OPTIONS] <ZONE"), "{help}");
    let wrong = called(&["-Z"]);
    let talk = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(1) && talk.contains("Usage: rbldnsd [OPTIONS]"), "{talk}");
}

#[test]
fn names_are_answered_in_small_letters() {
    let place = place();
    place.write("a", "$SOA 60 NS.Example Host.Example 1 1 1 1 1\n$NS 60 NS.Example\n192.0.2.1\n");
    let ran = place.run(&["rbldnsd", "-d", "Z.Example:ip4set:a"]).ended_with(0).says("ns.example.");
    let out = ran.out;
    assert!(out.contains("host.example.") && !out.contains("NS.") && !out.contains("Host."), "{out}");
}

/// A variable of a script that is empty, signs too many, blanks.
#[test]
fn what_is_empty_is_nothing() {
    let place = place();
    place.write("a", LIST).write("b", "192.0.2.9\n");
    for (log, statistics) in [("", "+"), ("+", "")] {
        let args = ["-l", log, "-s", statistics, "-c", "1 ", "-t", "60 :"];
        let zones = ["z.example:ip4set:,a,", "y.example:ip4set:a::b"];
        let (daemon, server) = started(&place, &[&args[..], &zones].concat());
        assert!(is_listed(server, "192.0.2.7", "z.example") && is_listed(server, "192.0.2.9", "y.example"));
        let name = "7.2.0.192.z.example".parse().unwrap();
        let answer = Client::new(server).ask(&name, Rtype::A, Over::Udp).unwrap();
        assert_eq!(answer.answers[0].ttl, 60);
        // With every check statistics would be written.
        place.write("b", "192.0.2.10\n");
        until("a check", || is_listed(server, "192.0.2.10", "y.example"));
        place.write("b", "192.0.2.9\n");
        daemon.stop().ended_with(0);
        let mut names: Vec<_> =
            fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "b", "cache"]);
    }
}

/// Both programs with the same arguments and files, asked the same questions, write the same query log (but for the
/// octets of replies, since ours carry no NS records and OPT for OPT) and the same statistics.
#[test]
fn the_same_command_line_beside_debians() {
    let Some(program) = installed("rbldnsd", "rbldnsd", "the_same_command_line_beside_debians") else {
        return;
    };
    let place = place();
    let head = "$SOA 1h ns.x h.x 7 1h 1h 1d 10m\n$NS 1h ns.x\n";
    place.write("a", format!("{head}{LIST}10.0.0.1/8 :9:host bits\n$TTL 10\n"));
    place
        .write("more", "10.1.0.0/16 :4:of the second file $\n")
        .write("names", "test\n*.spam.example :3:n $\n");
    place
        .write("six", "2001:db8::/32 :6:six\n")
        .write("records", format!("{head}@ 5m A 192.0.2.1\n@ MX 5 mx.x\n"));
    let sections = "$DATASET ip4set:x ip @\n192.0.2.99\n$DATASET dnset names\nbad.example :7:b\n";
    place.write("sections", format!("{head}{sections}"));
    let zones = [
        "-e",
        "-t",
        "20m:1m:1h",
        "z.example:ip4set:a,more",
        "z.example:dnset:names",
        "in.z.example:ip6trie:six",
        "again.example:ip4set:a,more",
        "records.example:generic:records",
        "all.example:combined:sections",
    ];
    let questions: Vec<(String, Rtype)> = [
        "7.2.0.192.z.example",
        "7.2.0.192.Z.eXample",
        "8.2.0.192.z.example",
        "1.2.1.10.z.example",
        "1.2.3.10.z.example",
        "x.spam.example.z.example",
        "2.0.0.127.again.example",
        "1.2.3.10.again.example",
        "x.in.z.example",
        "records.example",
        "no.records.example",
        "99.2.0.192.ip.all.example",
        "99.2.0.192.all.example",
        "bad.example.names.all.example",
        "z.example",
        "outside.example",
        r"a\.b\@\$\;\(\)\032\000\200.z.example",
    ]
    .iter()
    .flat_map(|name| {
        [Rtype::A, Rtype::TXT, Rtype(15), Rtype::AAAA, Rtype::SOA].map(|t| ((*name).to_owned(), t))
    })
    .collect();

    let mut seen = Vec::new();
    for (turn, program) in [program, env!("CARGO_BIN_EXE_gatepost").into()].into_iter().enumerate() {
        let (log, stats, port) = (format!("queries-{turn}"), format!("stats-{turn}"), free_port());
        let mut command = if turn == 0 { Command::new(program) } else { command(&place, &[]) };
        if turn == 0 && geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        command.current_dir(place.path(".")).args(["-n", "-b", &format!("127.0.0.1/{port}")]);
        command.args(["-c", "1h", "-l", &format!("+{log}"), "-s", &format!("+{stats}")]).args(zones);
        let daemon = Running::new(command);
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let mut client = Client::new(server);
        client.timeout = Duration::from_secs(1);
        until("an answer", || client.ask(&"version.bind".parse().unwrap(), Rtype::A, Over::Udp).is_ok());
        let asked = |name: &str, rtype| {
            let reply = client.ask(&name.parse().unwrap(), rtype, Over::Udp).expect("a reply");
            let mut answers: Vec<_> = reply.answers.into_iter().map(|r| (r.rtype, r.ttl, r.data)).collect();
            answers.sort_by_key(|answer| format!("{answer:?}"));
            (reply.rcode, answers)
        };
        let answers: Vec<_> =
            questions.iter().map(|(name, rtype)| (name, rtype, asked(name, *rtype))).collect();
        // A line of its own, behind which counts begin anew.
        daemon.signal(Signal::SIGUSR1);
        until("a line", || place.read(&stats).lines().count() == 2);
        asked("7.2.0.192.z.example", Rtype::A);
        daemon.signal(Signal::SIGTERM);
        let ran = daemon.end();
        assert_eq!(ran.code, 0, "{ran:?}");
        let lines = place.read(&log);
        let lines = lines.lines().filter(|line| !line.contains("version.bind"));
        // Without the time and the octets, and in whatever order the workers came to write them.
        let mut lines: Vec<_> =
            lines.map(|l| l.split_once(' ').unwrap().1.rsplit_once('/').unwrap().0.to_owned()).collect();
        assert_eq!(lines.len(), questions.len() + 1);
        lines.sort();
        let stats = place.read(&stats);
        assert_eq!(stats.lines().count(), 4, "{stats}");
        let counted: Vec<Vec<String>> =
            stats.lines().map(|line| line.split(' ').skip(1).map(str::to_owned).collect()).collect();
        let answers: Vec<_> = answers.iter().map(|answer| format!("{answer:?}")).collect();
        seen.push((answers, lines, counted));
    }
    let ours = seen.pop().unwrap();
    let theirs = seen.pop().unwrap();
    for (here, there) in ours.0.iter().zip(&theirs.0) {
        assert_eq!(here, there);
    }
    assert_eq!(ours.1, theirs.1);
    let without_octets = |counted: &[String]| -> Vec<String> {
        counted.iter().map(|zone| zone.rsplitn(3, ':').last().unwrap().to_owned()).collect()
    };
    // The total differs by the questions that waited for the start.
    let zones = |counted: &[String]| without_octets(&counted[..counted.len().saturating_sub(1)]);
    for (ours, theirs) in ours.2.iter().zip(&theirs.2) {
        assert_eq!(zones(ours), zones(theirs));
    }
    let since = &ours.2[2];
    assert!(since.iter().any(|zone| zone.starts_with("z.example:1:1:0:")), "{since:?}");
}

#[test]
fn the_same_as_a_configuration() {
    let place = place();
    place
        .write("data/a", LIST)
        .write("data/b", "192.0.2.8\n$TTL 5\n")
        .write("data/n", "test\n*.x.example :3:$\n");
    place.write("data/c", "$DATASET ip4set sub\n192.0.2.50\n");
    let words = [
        "-b",
        "127.0.0.1/0",
        "-w",
        "data",
        "-c",
        "2s",
        "-e",
        "-t",
        "10m:1m",
        "-u",
        "rbldns",
        "-v",
        "z.example:ip4set:a,b",
        "z.example:dnset:n",
        "y.example:ip4set:b",
        "y.example:combined:c",
    ];
    let state = place.path("state");
    let import = ["import-rbldnsd", "--state", state.to_str().unwrap(), "--", "/usr/sbin/rbldnsd"];
    let printed = place.run(&[&import[..], &words].concat()).ended_with(0);
    place.write("gatepost.toml", &printed.out);
    place.run(&["check-config", "gatepost.toml"]).ended_with(0);
    let service = place.start(&["serve", "--config", "gatepost.toml"]);
    let server = service.address();
    until("data", || is_listed(server, "192.0.2.7", "z.example"));
    let (daemon, other) = started(&place, &words[2..]);
    for (name, rtype) in [
        ("7.2.0.192.z.example", Rtype::TXT),
        ("8.2.0.192.z.example", Rtype::A),
        ("8.2.0.192.y.example", Rtype::A),
        ("2.0.0.127.y.example", Rtype::A),
        ("1.x.example.z.example", Rtype::TXT),
        ("50.2.0.192.sub.y.example", Rtype::A),
        ("50.2.0.192.y.example", Rtype::A),
        ("version.bind", Rtype::A),
    ] {
        let ask = |server| {
            let reply = Client::new(server).ask(&name.parse().unwrap(), rtype, Over::Udp).expect("a reply");
            (reply.rcode, reply.answers)
        };
        assert_eq!(ask(server), ask(other), "{name}");
    }
    daemon.stop().ended_with(0);
    service.stop().ended_with(0);
    // The whole line as one word.
    let line = format!("/usr/sbin/rbldnsd {}", words.join(" ").replace("-w data", "-w 'data'"));
    let quoted = place.run(&["import-rbldnsd", "--state", state.to_str().unwrap(), &line]).ended_with(0);
    assert_eq!(quoted.out, printed.out);
    place.run(&["import-rbldnsd", "rbldnsd -b 127.0.0.1 'z.example"]).ended_with(2).talks("not closed");
    place
        .run(&["import-rbldnsd", "--", "-b", "127.0.0.1", "z.example"])
        .ended_with(2)
        .talks("invalid zone spec");
}
