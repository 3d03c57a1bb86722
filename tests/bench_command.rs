//! `gatepost bench`: against gatepost itself, and against a server that lies in known ways, so that every count is exact.
#![cfg(feature = "full")]

mod cli_support;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cli_support::{Place, Ran, Running, until};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);

/// A folder that the user may read whom a server started by root becomes.
fn place() -> Place {
    let place = Place::new();
    fs::set_permissions(place.path("."), Permissions::from_mode(0o777)).unwrap();
    place
}

/// `gatepost rbldnsd` with these data sets, loaded; and its address.
fn serving(place: &Place, zones: &[&str]) -> (Running, SocketAddr) {
    let mut command = place.command(&["rbldnsd", "-n", "-b", "127.0.0.1/0"]);
    if geteuid().is_root() {
        command.args(["-u", "nobody"]);
    }
    let daemon = Running::new({
        command.args(zones).env("GATEPOST_CACHE", place.path("cache"));
        command
    });
    let talk = daemon.talks("listening on 127.0.0.1/");
    let digits = talk.split("listening on 127.0.0.1/").nth(1).unwrap();
    let port: String = digits.chars().take_while(char::is_ascii_digit).collect();
    daemon.talks("zones reloaded");
    (daemon, format!("127.0.0.1:{port}").parse().unwrap())
}

/// `gatepost bench --server SERVER ARGS`, split at blanks.
fn bench(place: &Place, server: SocketAddr, args: &str) -> Ran {
    let server = server.to_string();
    let args: Vec<&str> = ["bench", "--server", &server].into_iter().chain(args.split(' ')).collect();
    place.run(&args)
}

const LIST: &str = "127.0.0.2\n192.0.2.7 :5:seven $\n!198.51.100.77\n198.51.100.0/24 :9:net\n203.0.113.1\n";

#[test]
fn all_is_right_of_gatepost_itself() {
    let place = place();
    place.write("list", LIST).write("names", "spam.example\n.wild.example\n").write("six", "2001:db8::/32\n");
    let zones = ["bl.example:ip4set:list", "dn.example:dnset:names", "six.example:ip6trie:six"];
    let (daemon, server) = serving(&place, &zones);
    place
        .run(&["compile", "--format", "rbldnsd:ip4set", "--zone", "bl.example", "list", "-o", "snap"])
        .ended_with(0);

    for (what, listed) in [
        ("--zone bl.example --hits list --format rbldnsd:ip4set", 500),
        ("--zone bl.example --hits list --format rbldnsd:ip4set --type TXT --hit-share 90 --edns", 0),
        ("--zone dn.example --hits names --format rbldnsd:dnset --sockets 1 --window 1", 500),
        ("--zone six.example --hits six --format rbldnsd:ip6trie --hit-share 0", 0),
        ("--snapshot snap --hit-share 100", 1000),
        ("--snapshot snap --rate 2000 --arrivals even", 500),
        ("--snapshot snap --rate 2000", 500),
    ] {
        let ran = bench(&place, server, &format!("{what} --duration 1m --timeout 30s --count 1000 --json"));
        let json = ran.ended_with(0).json();
        assert_eq!((&json["sent"], &json["right"]), (&1000.into(), &1000.into()), "{what}: {json:#}");
        for none in ["wrong", "lost", "late", "unknown", "twice", "unsent"] {
            assert_eq!(json[none], 0, "{what}: {json:#}");
        }
        assert_eq!(json["questions"]["listed"], listed, "{what}");
        assert!(json["latency_us"]["p50"].as_f64() <= json["latency_us"]["longest"].as_f64());
        assert!(json["rate"].as_f64().unwrap() > 0.0 && json["seconds"].as_f64().unwrap() > 0.0);
    }
    bench(&place, server, "--snapshot snap --count 10").ended_with(0).says("closed loop").says("right");

    // What the server has is not what it should have.
    place.write("other", "192.0.2.8\n");
    let ran = bench(&place, server, "--zone bl.example --hits other --count 100 --json");
    assert_eq!(ran.ended_with(1).json()["faults"], serde_json::json!({ "not-listed": 50 }));
    place.write("other", LIST.replace(":5:", ":6:"));
    place
        .run(&["compile", "--format", "rbldnsd:ip4set", "--zone", "bl.example", "other", "-o", "snap"])
        .ended_with(0);
    let ran = bench(&place, server, "--snapshot snap --count 200");
    ran.ended_with(1).says("wrong: 7.2.0.192.bl.example A: data (response code 0, 1 answer)");
    daemon.stop().ended_with(0);
}

/// How a question is answered, by the first label of its name.
const WAYS: [&str; 10] =
    ["listed", "nx", "drop", "id", "rcode", "data", "question", "truncated", "twice", "late"];

/// A server on loopback that answers as the names ask it to, and stalls when it is told to.
struct Liar {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Liar {
    /// `stall`: at this question, sleep so long before anything is answered.
    fn start(stall: Option<(usize, Duration)>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let address = socket.local_addr().unwrap();
        let (asked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut later: Vec<(Instant, Vec<u8>, SocketAddr)> = Vec::new();
            let mut buffer = [0; 512];
            while !end.load(Ordering::Relaxed) {
                let due = |(at, ..): &mut (Instant, _, _)| *at <= Instant::now();
                for (_, reply, peer) in later.extract_if(.., due) {
                    socket.send_to(&reply, peer).unwrap();
                }
                let (len, peer) = match socket.recv_from(&mut buffer) {
                    Ok(received) => received,
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                };
                if stall.is_some_and(|(at, _)| at == count.fetch_add(1, Ordering::Relaxed)) {
                    thread::sleep(stall.unwrap().1);
                }
                for (delay, reply) in replies(&buffer[..len]) {
                    match delay {
                        Duration::ZERO => drop(socket.send_to(&reply, peer)),
                        _ => later.push((Instant::now() + delay, reply, peer)),
                    }
                }
            }
        });
        Self { address, asked, stop, thread: Some(thread) }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn replies(query: &[u8]) -> Vec<(Duration, Vec<u8>)> {
    let label = &query[13..13 + usize::from(query[12])];
    let way = str::from_utf8(label).unwrap().trim_end_matches(|c: char| c.is_ascii_digit());
    let reply = |rcode: u8, value: Option<u8>| {
        let mut reply = query.to_vec();
        reply[2..4].copy_from_slice(&[0x85, rcode]);
        if let Some(last) = value {
            reply[7] = 1;
            reply.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0");
            reply.push(last);
        }
        reply
    };
    let now = |reply| vec![(Duration::ZERO, reply)];
    let changed = |at: usize, bits: u8| {
        let mut reply = reply(3, None);
        reply[at] ^= bits;
        reply
    };
    match way {
        "listed" => now(reply(0, Some(2))),
        "nx" => now(reply(3, None)),
        "drop" => vec![],
        "id" => now(changed(0, 0x80)),
        "rcode" => now(reply(2, None)),
        "data" => now(reply(0, Some(9))),
        "question" => now(changed(14, 0x20)),
        "truncated" => now(changed(2, 2)),
        "twice" => vec![(Duration::ZERO, reply(3, None)); 2],
        "late" => vec![(4 * SECOND, reply(3, None))],
        other => panic!("{other}"),
    }
}

/// Lines of a query file: so many of each way.
fn queries(counts: &[(&str, usize)]) -> String {
    let mut lines = Vec::new();
    for (way, count) in counts {
        assert!(WAYS.contains(way));
        let expected = if matches!(*way, "listed" | "data") { "127.0.0.2" } else { "NXDOMAIN" };
        lines.extend((0..*count).map(|number| format!("{way}{number}.bl.example A {expected}\n")));
    }
    lines.concat()
}

#[test]
fn every_lie_is_counted() {
    let place = Place::new();
    let liar = Liar::start(None);
    // The late and the doubled ones first: what is lost behind them keeps the run alive until they have come.
    let counts = [
        ("listed", 100),
        ("late", 3),
        ("twice", 7),
        ("rcode", 11),
        ("data", 13),
        ("question", 17),
        ("truncated", 19),
        ("nx", 200),
        ("id", 21),
        ("drop", 23),
        ("drop", 7),
    ];
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    place.write("queries", queries(&counts));
    let args = format!("--queries queries --window 16 --timeout 2s --duration 5m --count {all} --json");
    let json = bench(&place, liar.address, &args).ended_with(1).json();
    let wanted = serde_json::json!({ "rcode": 11, "data": 13, "other-question": 17, "truncated": 19 });
    assert_eq!(json["faults"], wanted, "{json:#}");
    for (what, count) in [
        ("sent", all),
        ("right", 100 + 7 + 200),
        ("wrong", 11 + 13 + 17 + 19),
        ("lost", 3 + 21 + 23 + 7),
        ("late", 3),
        ("unknown", 21),
        ("twice", 7),
    ] {
        assert_eq!(json[what], count, "{what}: {json:#}");
    }
    // The same for people; fewer, since what is lost takes its time.
    place.write("queries", queries(&[("listed", 5), ("data", 2), ("drop", 1)]));
    let ran = bench(&place, liar.address, "--queries queries --count 8 --timeout 1s").ended_with(1);
    ran.says("wrong: data0.bl.example A: data (response code 0, 1 answer)").says("12.5000 %");
}

fn p90(json: &Value) -> f64 {
    json["latency_us"]["p90"].as_f64().unwrap()
}

/// A stall of a second in the middle of three. Whoever was due in its first half has waited for half a second, and that
/// is more than a tenth of all; a harness that waits with the server would have seen one long answer.
#[test]
fn an_open_loop_shows_a_stall() {
    let place = Place::new();
    place.write("queries", queries(&[("listed", 50)]));
    let args = "--queries queries --rate 200 --arrivals even --duration 3s --timeout 1m --json";

    let liar = Liar::start(Some((200, SECOND)));
    let json = bench(&place, liar.address, args).ended_with(0).json();
    assert!(p90(&json) > 300_000.0, "of the server: {json:#}");
    assert_eq!(json["right"], json["sent"]);

    // One in flight: the stall meets a single question.
    let liar = Liar::start(Some((200, SECOND)));
    let closed = "--queries queries --window 1 --count 600 --duration 1m --timeout 1m --json";
    let json = bench(&place, liar.address, closed).ended_with(0).json();
    assert!(json["latency_us"]["longest"].as_f64().unwrap() > 900_000.0, "{json:#}");
    assert!(p90(&json) < 300_000.0, "{json:#}");

    // The harness itself stands still: what it sends late is charged from the time that it was due.
    let liar = Liar::start(Some((usize::MAX, SECOND)));
    let server = liar.address.to_string();
    let args: Vec<&str> = ["bench", "--server", &server].into_iter().chain(args.split(' ')).collect();
    let running = place.start(&args);
    until("it sends", || liar.asked.load(Ordering::Relaxed) > 100);
    running.signal(Signal::SIGSTOP);
    thread::sleep(SECOND);
    running.signal(Signal::SIGCONT);
    let json = running.end().ended_with(0).json();
    assert!(p90(&json) > 300_000.0, "of the harness: {json:#}");
    assert!(json["delayed"].as_u64().unwrap() > 100, "{json:#}");
    assert_eq!((&json["sent"], &json["right"]), (&599.into(), &599.into()), "{json:#}");
}

#[test]
fn it_sends_to_this_machine_unless_told_otherwise() {
    let place = Place::new();
    place.write("queries", "a.bl.example A\n").write("list", "192.0.2.7\n");
    for remote in ["192.0.2.1:53", "[2001:db8::1]:53", "0.0.0.0:53", "[::ffff:192.0.2.1]:53"] {
        let ran = bench(&place, remote.parse().unwrap(), "--queries queries").ended_with(2);
        assert!(ran.err.contains("--allow-remote") && ran.out.is_empty(), "{ran:#?}");
    }
    for (args, told) in [
        (&["bench"][..], "--hits"),
        (&["bench", "--hits", "list"], "--zone"),
        (&["bench", "--queries", "queries", "--rate", "10", "--window", "3"], "--window"),
        (&["bench", "--queries", "queries", "--server", "localhost:53"], "--server"),
        (&["bench", "--queries", "queries", "--rate", "0"], "--rate"),
        (&["bench", "--queries", "queries", "--duration", "2d"], "--duration"),
        (&["bench", "--queries", "queries", "--compare", "rbldnsd"], "{port}"),
        (&["bench", "--queries", "queries", "--compare", "rbldnsd 'x {port}"], "a quote is not closed"),
        (&["bench", "--queries", "queries", "--compare", "x {port}", "--server", "127.0.0.1:5"], "--compare"),
    ] {
        let ran = place.run(args).ended_with(2).talks(told);
        assert_eq!(ran.out, "", "{args:?}");
    }
    place.write("queries", "a.bl.example A\n\nb.bl.example AA listed\n");
    let nobody = "127.0.0.1:9".parse().unwrap();
    bench(&place, nobody, "--queries queries").ended_with(2).talks("queries:3:14: unknown type");
    place.write("queries", "# nothing\n");
    bench(&place, nobody, "--queries queries").ended_with(2).talks("no line asks anything");
    place.write("list", "<html>\n");
    bench(&place, nobody, "--zone bl.example --hits list").ended_with(3);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    place.write("queries", "a.bl.example A\n");
    let ran = bench(&place, silent.local_addr().unwrap(), "--queries queries --timeout 100ms");
    ran.ended_with(3).talks("no reply from 127.0.0.1:");
}

/// Processes with `word` in their command line.
fn with_word(word: &str) -> Vec<String> {
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).replace('\0', " "))
    });
    commands.filter(|command| command.contains(word)).collect()
}

/// The command of a server of ours for `--compare`, with a word in it that no other process has.
fn server(place: &Place) -> String {
    let user = if geteuid().is_root() { "-u nobody " } else { "" };
    let (program, list) = (env!("CARGO_BIN_EXE_gatepost"), place.path("list"));
    format!("'{program}' rbldnsd -n -q -b 127.0.0.1/{{port}} {user}'bl.example:ip4set:{}'", list.display())
}

#[test]
fn servers_are_compared_and_none_is_left_behind() {
    let place = place();
    place.write("list", LIST);
    let ours = server(&place);
    let list = place.path("list").display().to_string();
    let what = ["bench", "--zone", "bl.example", "--hits", "list", "--format", "rbldnsd:ip4set"];
    let both = ["--compare", &ours, "--compare", &ours, "--timeout", "30s"];
    let args = |more: &[&'static str]| [&what[..], &both, more].concat().into_iter().map(str::to_owned);
    let command = |more: &[&'static str]| {
        let args: Vec<String> = args(more).collect();
        let mut command = place.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        command.env("GATEPOST_CACHE", place.path("cache"));
        command
    };

    let ran = Running::new(command(&["--rounds", "3", "--duration", "1s", "--json"])).end().ended_with(0);
    let json = ran.json();
    assert_eq!(json["rounds"], 3);
    let servers = json["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 2);
    for server in servers {
        assert_eq!(
            (&server["command"], &server["lost"], &server["wrong"]),
            (&ours.clone().into(), &0.into(), &0.into())
        );
        assert_eq!(server["rounds"].as_array().unwrap().len(), 3);
        for round in server["rounds"].as_array().unwrap() {
            assert!(round["right"].as_u64().unwrap() > 0, "{json:#}");
        }
        for numbers in ["rate", "rate_ratio", "cpu_us_per_query", "cpu_times_less"] {
            let [low, median, high] =
                ["low", "median", "high"].map(|name| server[numbers][name].as_f64().unwrap());
            assert!(0.0 < low && low <= median && median <= high, "{numbers}: {json:#}");
        }
    }
    assert_eq!(servers[0]["rate_ratio"]["median"], 1.0);
    assert_eq!(with_word(&list), Vec::<String>::new());

    let ran = Running::new(command(&["--rounds", "1", "--count", "100"])).end().ended_with(0);
    ran.says("1 round: closed loop").says("CPU µs/QUERY").says(&ours);

    // Ctrl-C, and what a service manager sends.
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let running = Running::new(command(&["--rounds", "1000", "--duration", "1s"]));
        until("both run", || with_word(&list).iter().filter(|command| command.contains(" -q ")).count() >= 3);
        running.signal(signal);
        let ran = running.end();
        assert!(matches!(ran.code, 0 | 3) && ran.err.contains("interrupted"), "{ran:#?}");
        assert_eq!(with_word(&list), Vec::<String>::new(), "after {signal}");
    }

    // One that ends, one that is not there, one that answers wrongly: the other is ended all the same.
    place.write("other", "192.0.2.200\n");
    let other = ours.replace(&list, &place.path("other").display().to_string());
    for (bad, told) in [
        ("sh -c 'echo no data for {port}; exit 7'", "no data for "),
        ("/nonexistent/server {port}", "cannot start `/nonexistent/server {port}`"),
    ] {
        let mut command = command(&[]);
        let ran = Running::new({
            command.args(["--compare", bad]);
            command
        });
        ran.end().ended_with(3).talks(told);
        assert_eq!(with_word(&list), Vec::<String>::new(), "after {bad}");
    }
    // In the middle of the rounds, too: what it lost from then on says nothing.
    let mut ending = command(&["--rounds", "1000", "--duration", "500ms"]);
    ending.args(["--compare", &format!("timeout --foreground 4 {ours}")]);
    Running::new(ending).end().ended_with(3).talks("exit status: 124");
    assert_eq!(with_word(&list), Vec::<String>::new());

    let mut command = command(&["--count", "100", "--rounds", "1"]);
    let running = Running::new({
        command.args(["--compare", &other]);
        command
    });
    until("all three run", || with_word(&list).len() >= 3);
    // Wrong at once, and told at the latest when patience ends: a person does not wait so long.
    thread::sleep(SECOND);
    running.signal(Signal::SIGINT);
    running.end().ended_with(3);
    assert_eq!(with_word("bl.example:ip4set:").iter().filter(|c| c.contains(&list)).count(), 0);
}

/// Told after a few seconds, not when patience ends.
#[test]
fn a_server_that_never_answers_is_told_of() {
    let place = Place::new();
    place.write("queries", "a.bl.example A\n");
    let silent = "sh -c 'exec sleep 1000 # {port}'";
    let begin = Instant::now();
    let running = place.start(&["bench", "--queries", "queries", "--compare", silent]);
    let talk = running.talks("waiting for an answer of ");
    let after = begin.elapsed();
    assert!(after >= 2 * SECOND && after < 60 * SECOND, "{after:?}");
    assert!(talk.contains(silent) && talk.contains("it does not answer `a.bl.example A`"), "{talk}");
    running.signal(Signal::SIGINT);
    let ran = running.end().ended_with(3).talks("interrupted");
    assert_eq!(ran.err.matches("waiting for").count(), 1, "once: {ran:#?}");

    // The end of another one that was started is not waited for until then.
    let begin = Instant::now();
    let dies = "sh -c 'echo no data for {port}; sleep 1; exit 7'";
    let ran = place.run(&["bench", "--queries", "queries", "--compare", silent, "--compare", dies]);
    let ran = ran.ended_with(3).talks("exit status: 7").talks("no data for ");
    assert!(begin.elapsed() < 60 * SECOND && ran.err.contains("exit 7'`: it ended"), "{ran:#?}");
}
