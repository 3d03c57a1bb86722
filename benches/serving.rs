//! Answering under load: gatepost beside an echo that does nothing, Debian's rbldnsd, NSD, Knot and hickory's own UDP.
//!
//! `cargo bench --bench serving -- [--size N] [--rounds N] [--seconds N] [--only NAME,…] [--dir DIR]`. All serve the same list of
//! random addresses, on one core, and are asked the same questions from another, one server after another in rounds that
//! turn round each time; half of the questions are for something listed. Printed are medians and quartiles of rates, of the CPU
//! time of a query, and of the ratios to gatepost in the same round. benches/README.md says what each line means and holds the results.
//!
//! Without `--bench` (`cargo test --bench serving`) a small list runs once, to prove that the comparison still works.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod lists;
#[path = "serving/peers.rs"]
mod peers;
mod rig;
#[path = "serving/roles.rs"]
mod roles;

use std::path::{Path, PathBuf};
use std::slice;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gatepost::load::{Cores, Pace, Plan, Questions, Round, Server, await_answers, pin, round, try_question};
use peers::Peer;
use rig::{ratios, three};

/// Questions in flight: more overflow the small receive buffer of some servers.
const WINDOW: usize = 96;
/// Client ports.
const PORTS: usize = 4;
/// How long a server may take until it answers: NSD and Knot read a million records.
const PATIENCE: Duration = Duration::from_secs(120);

struct Settings {
    size: usize,
    rounds: usize,
    seconds: f64,
    only: Option<String>,
    /// On a tmpfs, so that no disk is measured.
    dir: PathBuf,
}

fn main() {
    let mut settings =
        Settings { size: 1_000_000, rounds: 7, seconds: 2.0, only: None, dir: "/dev/shm".into() };
    let mut real = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--bench" => real = true,
            "--size" => settings.size = next().replace('_', "").parse().expect("--size N"),
            "--rounds" => settings.rounds = next().parse().expect("--rounds N"),
            "--seconds" => settings.seconds = next().parse().expect("--seconds N"),
            "--only" => settings.only = Some(next()),
            "--dir" => settings.dir = next().into(),
            // This program again, as one of the servers.
            "--echo" => return roles::echo(&next()),
            "--hickory" => return roles::hickory(&next(), Path::new(&next())),
            _ => {} // what cargo passes on
        }
    }
    if !rig::has_tools("serving") {
        return;
    }
    if !real {
        settings = Settings { size: 20_000, rounds: 1, seconds: 0.2, ..settings };
    }
    let work = rig::work_folder("serving", &settings.dir);
    println!(
        "{} addresses, {} rounds of {} s to each, {WINDOW} in flight over {PORTS} ports\n",
        settings.size, settings.rounds, settings.seconds
    );
    let list = lists::random(settings.size, 1);
    let peers = peers::all(&list, work.path());
    let snapshot = rig::compiled(work.path(), &work.path().join("list.txt"));
    drop(list);
    // Once: this process is on one of them alone from the first comparison on.
    let cores = Cores::choose();
    for edns in [false, true] {
        let chosen = |peer: &&Peer| {
            let only = settings.only.as_ref();
            peer.edns.is_none_or(|wanted| wanted == edns)
                && only.is_none_or(|only| only.split(',').any(|name| peer.name.starts_with(name)))
        };
        let chosen: Vec<&Peer> = peers.iter().filter(chosen).collect();
        if chosen.len() > 1 {
            compare(&chosen, &mut rig::questions(&snapshot, edns), edns, cores, &settings);
        }
    }
}

/// Rounds of these, and their table.
fn compare(
    peers: &[&Peer],
    questions: &mut Questions,
    edns: bool,
    cores: Option<Cores>,
    settings: &Settings,
) {
    let stop = AtomicBool::new(false);
    let mut servers = Vec::new();
    for peer in peers {
        let mut server =
            Server::start(&peer.command, cores.map(|cores| cores.servers)).expect("it is installed");
        if peer.is_echo {
            while try_question(server.address, questions, Duration::from_millis(20))
                .expect("loopback")
                .is_none()
            {}
        } else {
            let (server, name) = (slice::from_mut(&mut server), [peer.name.to_owned()]);
            let started = await_answers(server, &name, questions, PATIENCE, &stop, |_| {});
            started.unwrap_or_else(|error| panic!("{error}"));
        }
        servers.push(server);
    }
    if let Some(cores) = cores {
        pin(cores.harness).expect("a core that this process may use");
    }
    let plan = Plan {
        server: servers[0].address,
        pace: Pace::Window(WINDOW),
        sockets: PORTS,
        duration: Duration::from_secs_f64(settings.seconds),
        count: u64::MAX,
        timeout: Duration::from_secs(2),
    };
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); peers.len()];
    for number in 0..settings.rounds {
        let done = round(&servers, &plan, questions, number, &stop).expect("nobody stops it");
        for (all, one) in rounds.iter_mut().zip(done) {
            all.push(one);
        }
    }
    show(peers, &rounds, edns);
}

fn show(peers: &[&Peer], rounds: &[Vec<Round>], edns: bool) {
    let cpu = |rounds: &[Round]| rounds.iter().map(Round::cpu_per_query).collect::<Vec<_>>();
    let rate = |rounds: &[Round]| rounds.iter().map(|round| round.tally.rate()).collect::<Vec<_>>();
    let base = peers.iter().position(|peer| peer.name.starts_with("gatepost")).unwrap_or(0);
    let (base_cpu, base_rate) = (cpu(&rounds[base]), rate(&rounds[base]));
    println!("{}", if edns { "with EDNS:" } else { "without EDNS:" });
    println!(
        "| server | answers a second | CPU, µs | its CPU / gatepost's | gatepost's rate / its | wrong | lost |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (peer, rounds) in peers.iter().zip(rounds) {
        let (cpu, rate) = (cpu(rounds), rate(rounds));
        let wrong: u64 = rounds.iter().map(|round| round.tally.wrong_total()).sum();
        let lost: u64 = rounds.iter().map(|round| round.tally.lost).sum();
        let examples: Vec<_> = rounds.iter().flat_map(|round| &round.tally.examples).take(3).collect();
        assert!(peer.is_echo || wrong == 0, "{} answers wrongly: {examples:?}", peer.name);
        let wrong = if peer.is_echo { "all".to_owned() } else { wrong.to_string() };
        println!(
            "| {} | {} | {} | {} | {} | {wrong} | {lost} |",
            peer.name,
            three(&rate, 0),
            three(&cpu, 2),
            three(&ratios(&cpu, &base_cpu), 2),
            three(&ratios(&base_rate, &rate), 2),
        );
    }
    println!();
}
