//! `serve` and the service manager: signs of life that are true, words that hold nobody up, sockets that are handed over.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cli_support::{Place, Publisher, Running, handed, own_lists, until};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use loud::skipped;
use nix::sys::signal::Signal;

const SERVE: [&str; 3] = ["serve", "-c", "gatepost.toml"];

/// The manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn at(place: &Place) -> Self {
        let socket = UnixDatagram::bind(place.path("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(socket)
    }

    fn next(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let len = self.0.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..len]).into_owned())
    }

    /// The next message that holds this.
    #[track_caller]
    fn of(&self, wanted: &str) -> String {
        loop {
            let text = self.next().unwrap_or_else(|| panic!("never `{wanted}`"));
            if text.contains(wanted) {
                return text;
            }
        }
    }

    /// What has come is no news; then nothing like this comes for a while.
    #[track_caller]
    fn hears_no(&self, unwanted: &str) {
        self.0.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        self.0.set_nonblocking(true).unwrap();
        while self.next().is_some() {}
        self.0.set_nonblocking(false).unwrap();
        while let Some(text) = self.next() {
            assert!(!text.contains(unwanted), "{text}");
        }
        self.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    }
}

/// With own lists in service, watched over every 0.4 s.
fn watched(place: &Place, pid: Option<&str>) -> Command {
    own_lists(place, "127.0.0.1:0");
    let config = place.read("gatepost.toml").replace("[server]\n", "[server]\nworkers = 1\n");
    place.write("gatepost.toml", config);
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let mut command = place.command(&SERVE);
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "400000");
    if let Some(pid) = pid {
        command.env("WATCHDOG_PID", pid);
    }
    command
}

fn rcode(server: SocketAddr, over: Over) -> Rcode {
    let client = Client { timeout: Duration::from_secs(60), ..Client::new(server) };
    client.ask(&"7.2.0.192.bl.example.net".parse().unwrap(), Rtype::A, over).expect("a reply").rcode
}

/// A thread of a process that is kept from going on.
struct Held(Child);

impl Held {
    /// Holds the thread with this name as a debugger does; `None` where that is not allowed.
    fn of(process: &Running, name: &str) -> Option<Self> {
        let threads = fs::read_dir(format!("/proc/{}/task", process.pid())).unwrap();
        let thread = threads
            .map(|thread| thread.unwrap().path())
            .find(|thread| fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim() == name));
        let thread = thread.unwrap_or_else(|| panic!("there is no thread {name}"));
        // PTRACE_ATTACH stops this thread alone.
        let script = "import ctypes, os, sys\n\
            libc, thread = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])\n\
            if libc.ptrace(16, thread, None, None) != 0: sys.exit('ptrace: ' + os.strerror(ctypes.get_errno()))\n\
            os.waitpid(thread, 0x40000000)\n\
            print('held', flush=True)\n\
            sys.stdin.read()\n\
            libc.ptrace(17, thread, None, None)\n";
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(thread.file_name().unwrap());
        let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut line = String::new();
        BufReader::new(python.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let held = Self(python);
        (line.trim() == "held").then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The end of its input lets the thread go.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn signs_of_life_come_only_while_every_thread_goes_on() {
    let place = Place::new();
    let manager = Manager::at(&place);
    let service = Running::new(watched(&place, None));
    manager.of("READY=1");
    assert_eq!(rcode(service.address(), Over::Udp), Rcode::NOERROR, "it said that it answers");
    manager.of("WATCHDOG=1");
    for (name, what) in [
        ("dns-udp", "UDP worker 0"),
        ("dns-stream", "the thread of TCP, TLS and HTTPS"),
        ("dns-watch", "the thread that watches the store"),
        ("gatepost", "the loop around the server"),
    ] {
        let Some(held) = Held::of(&service, name) else {
            return skipped(
                "signs_of_life_come_only_while_every_thread_goes_on",
                "no thread can be held here",
            );
        };
        service.talks(&format!("{what} stands still"));
        manager.hears_no("WATCHDOG=1");
        drop(held);
        service.talks(&format!("{what} goes on"));
        manager.of("WATCHDOG=1");
    }
    service.stop().ended_with(0);
}

#[test]
fn a_watchdog_of_another_process_gets_nothing() {
    let place = Place::new();
    let manager = Manager::at(&place);
    let service = Running::new(watched(&place, Some("1")));
    manager.of("READY=1");
    manager.hears_no("WATCHDOG=1");
    service.stop().ended_with(0);
}

/// The system keeps a few datagrams for a manager that reads none, then the next would wait for ever.
#[test]
fn a_manager_that_does_not_listen_holds_nobody_up() {
    let place = Place::new();
    let manager = Manager::at(&place);
    let service = Running::new(watched(&place, None));
    let server = service.address();
    let kept: usize =
        fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap().trim().parse().unwrap();
    for count in 1..=kept + 5 {
        service.signal(Signal::SIGHUP);
        until("the configuration is read again", || {
            service.talks("").matches("the configuration was read again").count() >= count
        });
    }
    assert_eq!(rcode(server, Over::Tcp), Rcode::NOERROR);
    // When it listens again, it hears in the end what is true.
    let (mut last, mut quiet) = (String::new(), 0);
    until("nothing but signs of life", || {
        let text = manager.next().expect("signs of life");
        quiet = if text == "WATCHDOG=1\n" { quiet + 1 } else { 0 };
        if text.contains("READY") || text.contains("RELOADING") {
            last = text;
        }
        quiet == 5
    });
    assert!(last.starts_with("READY=1"), "{last}");
    service.stop().ended_with(0);
}

#[test]
fn the_status_line_tells_the_ages_of_feeds() {
    let place = Place::new();
    let publisher = Publisher::new(&[("/feed", "9.9.9.1\n9.9.9.2\n".to_owned())]);
    own_lists(&place, "127.0.0.1:0");
    let list = |name: &str, path: &str, code: u8| {
        let url = publisher.url(path);
        format!(
            "[list.{name}]\nurl = \"{url}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.{code}\"\nallow-private = true\n"
        )
    };
    let more = list("there", "/feed", 8)
        + &list("gone", "/gone", 9)
        + "[zone.\"fed.example.net\"]\nlists = [\"there\", \"gone\"]\n";
    place.write("gatepost.toml", place.read("gatepost.toml") + &more);
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(1);
    let manager = Manager::at(&place);
    let mut command = place.command(&SERVE);
    command.env("NOTIFY_SOCKET", place.path("notify"));
    let service = Running::new(command);
    let status = manager.of("READY=1");
    assert!(status.contains("STATUS=4 zones in service, generation "), "{status}");
    assert!(status.contains("; 2 feeds, the oldest confirmed "), "{status}");
    assert!(status.contains(" ago (there), 1 not there yet"), "{status}");
    service.stop().ended_with(0);
}

#[test]
fn sockets_that_are_handed_over_are_those_of_the_configuration() {
    let place = Place::new();
    let publisher = Publisher::new(&[]);
    own_lists(&place, "127.0.0.1:PORT\", \"127.0.0.2:PORT");
    let stalls = format!(
        "[sync]\ntimer = \"1h\"\n[list.slow]\nurl = \"{}\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.8\"\nallow-private = true\n\
         [zone.\"slow.example.net\"]\nlists = [\"slow\"]\n",
        publisher.url("/stall")
    );
    place.write("gatepost.toml", place.read("gatepost.toml") + &stalls);
    let (service, port) =
        handed("[made('127.0.0.1', STREAM), made('127.0.0.1', DGRAM)]", &place.command(&SERVE));
    service.talks(&format!("listening on 127.0.0.2:{port}"));
    for last in [1, 2] {
        let server = SocketAddr::from(([127, 0, 0, last], port));
        for over in [Over::Udp, Over::Tcp] {
            until("it answers there", || rcode(server, over) == Rcode::NOERROR);
        }
    }
    // They are the server's alone: its child has neither them nor what the service manager said of them.
    until("the sync waits for its publisher", || publisher.asked() > 0);
    let descriptor = |pid: i32, number: u8| fs::read_link(format!("/proc/{pid}/fd/{number}")).ok();
    let ours = [3, 4].map(|number| descriptor(service.pid(), number).expect("a socket"));
    let child = service.children()[0];
    for entry in fs::read_dir(format!("/proc/{child}/fd")).unwrap() {
        let link = fs::read_link(entry.unwrap().path()).unwrap_or_default();
        assert!(!ours.contains(&link), "{}", link.display());
    }
    let environment = fs::read(format!("/proc/{child}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("LISTEN_"));
    // An address that stays is not left by a reload.
    service.signal(Signal::SIGHUP);
    service.talks("the configuration was read again");
    assert_eq!(rcode(SocketAddr::from(([127, 0, 0, 1], port)), Over::Udp), Rcode::NOERROR);
    assert!(!service.talks("").contains("no longer listening"));
    service.stop().ended_with(0);
}

#[test]
fn sockets_elsewhere_than_the_configuration_says_are_a_mistake() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:PORT");
    let (service, port) =
        handed("[made('127.0.0.1', DGRAM), made('127.0.0.3', DGRAM)]", &place.command(&SERVE));
    let ran = service.end().ended_with(2);
    ran.talks(&format!(
        "a socket for 127.0.0.3:{port} was handed over, where the configuration does not listen"
    ))
    .talks("must agree");
}
