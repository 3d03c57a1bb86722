//! `serve` as a process: answers, reload, signals, the service manager, the sync child.
#![cfg(feature = "full")]

mod cli_support;

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;

use cli_support::{Place, Publisher, Running, is_running, own_lists, under_nohup, until};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SERVE: [&str; 3] = ["serve", "-c", "gatepost.toml"];

fn rcode(server: SocketAddr, name: &str) -> Rcode {
    Client::new(server).ask(&name.parse().unwrap(), Rtype::A, Over::Udp).expect("a reply").rcode
}

/// A service of own lists that runs its own timer, and its first data in service.
fn serving(place: &Place) -> (Running, SocketAddr) {
    own_lists(place, "127.0.0.1:0");
    let config = place.read("gatepost.toml").replace("[list.own]", "[sync]\ntimer = \"1h\"\n[list.own]");
    place.write("gatepost.toml", config);
    let service = place.start(&SERVE);
    let server = service.address();
    until("data in service", || rcode(server, "7.2.0.192.bl.example.net") == Rcode::NOERROR);
    (service, server)
}

#[test]
fn answers_by_itself_and_ends_when_told() {
    let place = Place::new();
    let (service, server) = serving(&place);
    assert_eq!(rcode(server, "8.2.0.192.bl.example.net"), Rcode::NXDOMAIN);
    assert_eq!(rcode(server, "spam.example.names.example.net"), Rcode::NOERROR);
    assert_eq!(rcode(server, "bl.example.org"), Rcode::REFUSED);
    let ran = service.stop().ended_with(0).talks("stopped");
    assert_eq!(ran.out, "", "a service has nothing to say on stdout");
    assert!(Client::new(server).ask(&"bl.example.net".parse().unwrap(), Rtype::SOA, Over::Tcp).is_err());
}

/// Whoever should read the log does not: the pipe is full from the start.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let place = Place::new();
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    own_lists(&place, &free.to_string());
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let (_unread, mut full) = std::io::pipe().unwrap();
    let size = fcntl(&full, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    full.write_all(&vec![b'x'; size as usize]).unwrap();
    let mut command = place.command(&SERVE);
    let mut service = command.env("GATEPOST_LOG", "debug").stderr(full).spawn().unwrap();
    let pid = Pid::from_raw(service.id() as i32);
    let asked = |name: &str| {
        let reply = Client::new(free).ask(&name.parse().unwrap(), Rtype::A, Over::Udp);
        reply.is_ok_and(|reply| reply.rcode == Rcode::NOERROR)
    };
    until("it answers", || asked("7.2.0.192.bl.example.net"));
    let other = place.read("gatepost.toml").replace("\"bl.example.net\"", "\"other.example.net\"");
    place.write("gatepost.toml", other);
    for _ in 0..20 {
        kill(pid, Signal::SIGHUP).unwrap();
    }
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    until("the new zone is in service", || asked("7.2.0.192.other.example.net"));
    kill(pid, Signal::SIGTERM).unwrap();
    until("it ends", || service.try_wait().unwrap().is_some());
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

/// Mistakes at the start are events as well, each with its place.
#[test]
fn mistakes_for_machines() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    place.write("gatepost.toml", place.read("gatepost.toml") + "nonsense = 1\nmore = 2\n");
    for command in ["serve", "sync"] {
        let ran = place.run(&[command, "-c", "gatepost.toml", "--log-format", "json"]).ended_with(2);
        let events: Vec<serde_json::Value> =
            ran.err.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let [first, second, last] = &events[..] else { panic!("{}", ran.err) };
        let lines = place.read("gatepost.toml").lines().count();
        assert_eq!((&first["line"], &second["line"]), (&(lines - 1).into(), &lines.into()), "{}", ran.err);
        assert!(first["message"].as_str().unwrap().contains("unknown key `nonsense`"), "{first}");
        assert!(first["file"].as_str().unwrap().ends_with("gatepost.toml") && first["level"] == "ERROR");
        assert!(last["message"].as_str().unwrap().contains("2 mistakes"), "{last}");
    }
    let config = "version = 1\nstate = \"state\"\n[server]\nlisten = [\"192.0.2.1:5354\"]\nopen = true\n";
    place.write("gatepost.toml", config);
    let ran = place.run(&["serve", "-c", "gatepost.toml", "--log-format", "json"]).ended_with(3);
    let event: serde_json::Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
    assert!(event["message"].as_str().unwrap().contains("192.0.2.1:5354"), "{event}");
}

#[test]
fn interrupted_from_a_terminal_it_ends_well_too() {
    let place = Place::new();
    let (service, _) = serving(&place);
    service.signal(Signal::SIGINT);
    service.end().ended_with(0);
}

#[test]
fn a_configuration_read_again_brings_other_zones_and_a_wrong_one_changes_nothing() {
    let place = Place::new();
    let (service, server) = serving(&place);
    let good = place.read("gatepost.toml");
    let other = good.replace("\"bl.example.net\"", "\"other.example.net\"");
    place.write("gatepost.toml", &other);
    service.signal(Signal::SIGHUP);
    until("the new zone answers", || rcode(server, "7.2.0.192.other.example.net") == Rcode::NOERROR);
    assert_eq!(rcode(server, "7.2.0.192.bl.example.net"), Rcode::REFUSED);
    assert_eq!(rcode(server, "spam.example.names.example.net"), Rcode::NOERROR);

    place.write("gatepost.toml", other + "nonsense = 1\n");
    service.signal(Signal::SIGHUP);
    let talk = service.talks("the old configuration stays");
    assert!(talk.contains("unknown key `nonsense`"), "{talk}");
    assert_eq!(rcode(server, "7.2.0.192.other.example.net"), Rcode::NOERROR);
    service.stop().ended_with(0);
}

#[test]
fn a_configuration_read_again_brings_other_addresses() {
    let place = Place::new();
    let (service, server) = serving(&place);
    let good = place.read("gatepost.toml");
    let taken = std::net::UdpSocket::bind("127.0.0.3:0").unwrap();
    let blocked = taken.local_addr().unwrap();
    let listening = |listen: &str| good.replace("\"127.0.0.1:0\"", listen);
    // Nothing of a configuration is taken over when an address of it cannot be had.
    let wrong = listening(&format!("\"127.0.0.2:0\", \"{blocked}\""));
    place.write("gatepost.toml", wrong.replace("\"bl.example.net\"", "\"other.example.net\""));
    service.signal(Signal::SIGHUP);
    service.talks(&format!("the old configuration stays: cannot listen on {blocked}, UDP"));
    assert_eq!(rcode(server, "7.2.0.192.bl.example.net"), Rcode::NOERROR);

    drop(taken);
    place.write("gatepost.toml", listening(&format!("\"{blocked}\"")));
    service.signal(Signal::SIGHUP);
    let talk = service.talks("the configuration was read again");
    for said in [format!("no longer listening on {server}"), format!("listening on {blocked}, UDP and TCP")] {
        assert!(talk.contains(&said), "{talk}");
    }
    assert!(!talk.contains("needs a restart"), "{talk}");
    assert_eq!(rcode(blocked, "7.2.0.192.bl.example.net"), Rcode::NOERROR);
    assert!(std::net::TcpStream::connect(server).is_err());

    place.write("gatepost.toml", listening(&format!("\"{blocked}\"]\nworkers = 7\n#")));
    service.signal(Signal::SIGHUP);
    service.talks("needs a restart");
    service.stop().ended_with(0);
}

#[test]
fn a_service_started_by_nohup_reads_its_configuration_again_too() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let service = Running::new(under_nohup(&place.command(&["serve", "--config", "gatepost.toml"])));
    service.talks("listening on");
    service.signal(Signal::SIGHUP);
    service.talks("the configuration was read again");
    service.stop().ended_with(0);
}

#[test]
fn another_process_puts_a_generation_in_service() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let service = place.start(&SERVE);
    let server = service.address();
    assert_eq!(rcode(server, "7.2.0.192.bl.example.net"), Rcode::SERVFAIL);
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    until("the generation is noticed", || rcode(server, "7.2.0.192.bl.example.net") == Rcode::NOERROR);
    service.stop().ended_with(0);
}

#[test]
fn the_health_check() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let service = place.start(&SERVE);
    let server = service.address();
    let check = |code: i32| {
        let mut command = place.command(&["status", "-c", "gatepost.toml", "--probe", "--json"]);
        let done = command.env("GATEPOST_LISTEN", server.to_string()).output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(code), "{json:#}");
        json["probe"].clone()
    };
    // No zone can answer: the server is right to say SERVFAIL, but that is no health.
    assert_eq!(check(1)["checks"][0]["result"], "waits");
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let probe = check(0);
    assert_eq!(probe["right"], true);
    // Three zones over two transports.
    assert_eq!(probe["checks"].as_array().unwrap().len(), 6);
    // Only the answers decide: what the store says beside a server that answers well is no matter of its health.
    place.write("state/feeds/own/status.json", "{").write("state/generation.json", "{");
    assert_eq!(check(0)["checks"].as_array().unwrap().len(), 6);
    service.stop().ended_with(0);
    assert_eq!(check(3)["right"], false);
}

/// Workers are counted over all addresses: on each address alone they would all share the first core.
#[test]
fn pinned_workers_have_a_core_each() {
    let cores = std::thread::available_parallelism().unwrap().get().min(4);
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let listen: Vec<String> = (1..=cores).map(|at| format!("\"127.0.0.{at}:0\"")).collect();
    let server = format!("[server]\nworkers = 1\npin-workers = true\nlisten = [{}]\n", listen.join(", "));
    let config = place.read("gatepost.toml").replace("[server]\nlisten = [\"127.0.0.1:0\"]\n", &server);
    assert!(config.contains(&server), "{config}");
    place.write("gatepost.toml", config);
    let service = place.start(&SERVE);
    service.talks(&format!("listening on 127.0.0.{cores}:"));
    let allowed = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap();
        let tasks = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap());
        let workers = tasks.filter(|status| status.contains("Name:\tdns-udp\n"));
        let cores = |status: String| {
            status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).unwrap().to_owned()
        };
        workers.map(cores).collect::<Vec<_>>()
    };
    // A worker takes its core when it runs.
    let is_one = |cores: &String| cores.parse::<usize>().is_ok();
    until("each worker has one core", || allowed().len() == cores && allowed().iter().all(is_one));
    let distinct: std::collections::BTreeSet<String> = allowed().into_iter().collect();
    assert_eq!(distinct.len(), cores, "{distinct:?}");
    service.stop().ended_with(0);
}

#[test]
fn an_address_in_use() {
    let place = Place::new();
    let (service, server) = serving(&place);
    let other = place.command(&SERVE).env("GATEPOST_LISTEN", server.to_string()).output().unwrap();
    assert_eq!(other.status.code(), Some(3));
    let talk = String::from_utf8(other.stderr).unwrap();
    assert!(talk.contains("is in use") && talk.contains("ss -lunpt"), "{talk}");
    service.stop().ended_with(0);
}

#[test]
fn the_service_manager_is_told() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    let mut command = place.command(&SERVE);
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "200000");
    let service = Running::new(command);
    let heard = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let len = socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    assert!(heard("READY=1").contains("STATUS="));
    heard("WATCHDOG=1");
    service.signal(Signal::SIGHUP);
    assert!(heard("RELOADING=1").contains("MONOTONIC_USEC="));
    heard("READY=1");
    service.signal(Signal::SIGTERM);
    heard("STOPPING=1");
    service.end().ended_with(0);
}

#[test]
fn logs_for_machines_and_quiet_ones() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let service = place.start(&["serve", "-c", "gatepost.toml", "--log-format", "json"]);
    service.talks("listening on");
    let ran = service.stop().ended_with(0);
    let synced = place.run(&["sync", "-c", "gatepost.toml", "--log-format", "json"]).ended_with(0);
    assert!(synced.err.contains("own: 3 entries"), "{}", synced.err);
    for line in ran.err.lines().chain(synced.err.lines()) {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    let mut command = place.command(&SERVE);
    command.env("GATEPOST_LOG", "error").env("GATEPOST_LISTEN", "127.0.0.1:0");
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    command.env("NOTIFY_SOCKET", place.path("notify"));
    let service = Running::new(command);
    socket.recv(&mut [0; 4096]).unwrap();
    assert_eq!(service.stop().ended_with(0).err, "");
}

#[test]
fn in_the_journal_lines_have_priorities_and_no_times() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:0");
    let journal = std::fs::File::create(place.path("journal")).unwrap();
    let found = journal.metadata().unwrap();
    let mut command = place.command(&["sync", "-c", "gatepost.toml"]);
    command.env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino())).stderr(journal);
    assert!(command.status().unwrap().success());
    let lines = place.read("journal");
    assert!(lines.lines().any(|line| line == "<6>own: 3 entries"), "{lines}");
    assert!(lines.lines().all(|line| line.starts_with('<')), "{lines}");

    // Somebody sent stderr elsewhere: it is not the journal any more.
    let mut command = place.command(&["sync", "-c", "gatepost.toml"]);
    let done = command.env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino())).output().unwrap();
    assert!(!String::from_utf8(done.stderr).unwrap().contains("<6>"));
}

/// A service whose sync child waits for a publisher that never answers.
fn stalled(place: &Place, publisher: &Publisher) -> (Running, i32) {
    own_lists(place, "127.0.0.1:0");
    let config = place.read("gatepost.toml").replace("[list.own]", "[sync]\ntimer = \"1h\"\n[list.own]")
        + &format!(
            "[list.stall]\nurl = \"{}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.9\"\nallow-private = true\n",
            publisher.url("/stall")
        );
    place.write("gatepost.toml", config);
    let service = place.start(&SERVE);
    until("the publisher is asked", || publisher.asked() == 1);
    let children = service.children();
    assert_eq!(children.len(), 1, "{children:?}");
    (service, children[0])
}

/// Whoever signals a whole unit or group means the service.
#[test]
fn signals_for_the_service_do_not_end_its_sync_child() {
    let publisher = Publisher::new(&[]);
    let place = Place::new();
    let (service, child) = stalled(&place, &publisher);
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
        kill(Pid::from_raw(child), signal).unwrap();
    }
    service.signal(Signal::SIGUSR1);
    service.talks("sec: tot=0");
    assert!(is_running(child), "it ended");
    let ran = service.stop().ended_with(0);
    assert!(!ran.err.contains("the sync died"), "{}", ran.err);
}

/// Sent to a whole unit or group, the end reaches both processes at once, in whatever order.
#[test]
fn an_end_that_the_sync_child_is_told_as_well_is_no_death() {
    let publisher = Publisher::new(&[]);
    let place = Place::new();
    let (service, child) = stalled(&place, &publisher);
    kill(Pid::from_raw(child), Signal::SIGTERM).unwrap();
    until("it is buried", || !std::path::Path::new(&format!("/proc/{child}")).exists());
    let ran = service.stop().ended_with(0);
    assert!(!ran.err.contains("the sync died"), "{}", ran.err);

    // Alone, it is one.
    let place = Place::new();
    let (service, child) = stalled(&place, &Publisher::new(&[]));
    kill(Pid::from_raw(child), Signal::SIGTERM).unwrap();
    service.talks("the sync died (signal: 15 (SIGTERM)); what is in service stays");
    service.stop().ended_with(0);
}

#[test]
fn the_sync_child_ends_with_its_parent_however_that_ends() {
    let publisher = Publisher::new(&[]);
    let place = Place::new();
    let (service, child) = stalled(&place, &publisher);
    service.stop().ended_with(0);
    assert!(!is_running(child), "it was left behind");

    let publisher = Publisher::new(&[]);
    let place = Place::new();
    let (service, child) = stalled(&place, &publisher);
    service.signal(Signal::SIGKILL);
    drop(service);
    until("the child of a killed service ends", || !is_running(child));
}

#[test]
fn a_killed_sync_child_leaves_the_answers_alone() {
    let publisher = Publisher::new(&[]);
    let place = Place::new();
    let (service, child) = stalled(&place, &publisher);
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
    service.talks("the sync died");
    let server = service.address();
    assert_eq!(rcode(server, "7.2.0.192.bl.example.net"), Rcode::NOERROR);
    service.stop().ended_with(0);
}
