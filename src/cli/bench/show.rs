//! What came of a run or of a comparison, for people and as JSON.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::output::{
    Align, BAD, Cell, DIM, GOOD, HEAD, NOTHING, Out, Table, WARN, counted, grouped, json, out, styled,
};
use super::Args;
use crate::load::{Cores, Pace, Plan, Quartiles, Questions, Round, Tally};

/// Latencies that are shown: name and share of the answers that were not slower.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Above this the load may have been limited by this program.
const BUSY: f64 = 0.95;

/// Below this share of its core a server has not shown all that it can do.
const BUSY_CORE: f64 = 0.9;

pub(super) fn single(args: &Args, plan: &Plan, questions: &Questions, tally: &Tally) -> anyhow::Result<()> {
    let mut out = out();
    if args.json {
        let mut value = of_tally(tally);
        value["server"] = json!(plan.server);
        value["load"] = of_plan(plan);
        value["questions"] = of_questions(questions);
        json(&mut out, &value)?;
        return Ok(());
    }
    writeln!(out, "{}  {}, {}", styled(HEAD, plan.server), load(plan), asked(questions))?;
    let share = |count: u64| format!("{:.4} %", 100.0 * count as f64 / tally.sent.max(1) as f64);
    let late = match tally.late {
        0 => String::new(),
        late => format!("; {} came after {}", grouped(late), duration(plan.timeout)),
    };
    let rows = [
        ("sent", tally.sent, HEAD, String::new()),
        ("right", tally.right, HEAD, share(tally.right)),
        ("wrong", tally.wrong_total(), BAD, faults(tally)),
        ("lost", tally.lost, BAD, share(tally.lost) + &late),
        ("not asked", tally.unknown, BAD, "replies with an id that nothing was waiting for".to_owned()),
        ("twice", tally.twice, WARN, "replies to what had been answered".to_owned()),
    ];
    let width = grouped(tally.sent).len();
    for (at, (name, count, style, more)) in rows.into_iter().enumerate() {
        if count == 0 && at > 3 {
            continue; // seldom, and nothing to say
        }
        let count = styled(if count == 0 { GOOD } else { style }, format_args!("{:>width$}", grouped(count)));
        writeln!(out, "{}", format!("  {name:<9}  {count}  {more}").trim_end())?;
    }
    examples(&mut out, tally)?;
    writeln!(out, "  {} answers a second over {}", grouped(tally.rate() as u64), duration(tally.elapsed))?;
    let from = if matches!(plan.pace, Pace::Rate { .. }) { ", from the time each was due" } else { "" };
    let quantiles = QUANTILES.map(|(name, quantile)| format!("{name} {}", duration(tally.latency(quantile))));
    writeln!(out, "  latency{from}: {}, longest {}", quantiles.join(", "), duration(tally.longest()))?;
    remarks(&mut out, tally)?;
    Ok(out.flush()?)
}

pub(super) fn compared(
    args: &Args,
    plan: &Plan,
    cores: Option<Cores>,
    questions: &Questions,
    rounds: &[Vec<Round>],
) -> anyhow::Result<()> {
    let servers: Vec<Compared<'_>> =
        (0..args.compare.len()).map(|at| Compared::of(args, rounds, at)).collect();
    let mut out = out();
    if args.json {
        let value = json!({
            "load": of_plan(plan),
            "questions": of_questions(questions),
            "cores": cores,
            "rounds": rounds.len(),
            "servers": servers.iter().map(Compared::as_json).collect::<Vec<_>>(),
        });
        json(&mut out, &value)?;
        return Ok(());
    }
    let on = cores.map_or_else(
        || "not pinned".to_owned(),
        |cores| format!("servers on core {}, this program on core {}", cores.servers, cores.harness),
    );
    let number = counted(rounds.len() as u64, "round", "rounds");
    writeln!(out, "{number}: {}, {}; {on}", load(plan), asked(questions))?;
    for (at, server) in servers.iter().enumerate() {
        writeln!(out, "  {} {}", styled(HEAD, at + 1), server.command)?;
    }
    writeln!(
        out,
        "Medians, in brackets the quartiles; ratios are to {} in the same round\n",
        styled(HEAD, 1)
    )?;
    let mut table = Table::new([
        ("", Align::Left),
        ("ANSWERS/S", Align::Right),
        ("RATIO", Align::Right),
        ("CPU µs/QUERY", Align::Right),
        ("TIMES LESS", Align::Right),
        ("CORE", Align::Right),
        ("p50 / p99 / p99.9 µs", Align::Right),
        ("LOST", Align::Right),
        ("WRONG", Align::Right),
    ]);
    for (at, server) in servers.iter().enumerate() {
        let ratio = |ratio: Quartiles| {
            if at == 0 { NOTHING.to_owned() } else { quartiles(ratio, 2) }
        };
        let bad = |count: u64| Cell::new(if count > 0 { BAD } else { GOOD }, grouped(count));
        let latency = server.latency.map(|micros| format!("{micros:.0}"));
        table.row([
            Cell::new(HEAD, (at + 1).to_string()),
            thousands(server.rate).into(),
            ratio(server.rate_ratio).into(),
            quartiles(server.cpu, 2).into(),
            ratio(server.cpu_ratio).into(),
            format!("{:.2}", server.core).into(),
            latency.join(" / ").into(),
            bad(server.lost),
            bad(server.wrong),
        ]);
    }
    table.write(&mut out, "")?;
    for server in &servers {
        for round in &server.rounds {
            examples(&mut out, &round.tally)?;
        }
    }
    // A server that has used up its core is measured, however busy this program was.
    let unused = rounds.iter().flatten().filter(|round| core(round) < BUSY_CORE);
    let busy = unused.map(|round| round.tally.busy).fold(0.0, f64::max);
    if busy > BUSY {
        writeln!(out, "{}", styled(WARN, limited(busy)))?;
    }
    Ok(out.flush()?)
}

/// The share of a core that a server used.
fn core(round: &Round) -> f64 {
    round.cpu.as_secs_f64() / round.tally.elapsed.as_secs_f64()
}

/// The rounds of one server.
struct Compared<'a> {
    command: &'a str,
    rounds: Vec<&'a Round>,
    rate: Quartiles,
    rate_ratio: Quartiles,
    cpu: Quartiles,
    /// How many times less CPU time a query takes than with the first server.
    cpu_ratio: Quartiles,
    /// Median of the share of a core that it used.
    core: f64,
    /// Medians in microseconds, as in the table.
    latency: [f64; 3],
    lost: u64,
    wrong: u64,
}

impl<'a> Compared<'a> {
    fn of(args: &'a Args, rounds: &'a [Vec<Round>], at: usize) -> Self {
        let median = |of: fn(&Round) -> f64| Quartiles::of(rounds.iter().map(|round| of(&round[at]))).median;
        let each = |of: fn(&Round) -> f64| Quartiles::of(rounds.iter().map(|round| of(&round[at])));
        let ratio = |of: fn(&Round, &Round) -> f64| {
            Quartiles::of(rounds.iter().map(|round| of(&round[0], &round[at])))
        };
        let own = || rounds.iter().map(|round| &round[at]);
        Self {
            command: &args.compare[at],
            rounds: own().collect(),
            rate: each(|round| round.tally.rate()),
            rate_ratio: ratio(|first, this| this.tally.rate() / first.tally.rate()),
            cpu: each(Round::cpu_per_query),
            cpu_ratio: ratio(|first, this| first.cpu_per_query() / this.cpu_per_query()),
            core: median(core),
            latency: [
                median(|round| micros(round.tally.latency(0.5))),
                median(|round| micros(round.tally.latency(0.99))),
                median(|round| micros(round.tally.latency(0.999))),
            ],
            lost: own().map(|round| round.tally.lost).sum(),
            wrong: own().map(|round| round.tally.wrong_total() + round.tally.unknown).sum(),
        }
    }

    fn as_json(&self) -> Value {
        let rounds = self.rounds.iter().map(|round| {
            let mut value = of_tally(&round.tally);
            value["cpu_us_per_query"] = json!(round.cpu_per_query());
            value
        });
        json!({
            "command": self.command,
            "rate": self.rate,
            "rate_ratio": self.rate_ratio,
            "cpu_us_per_query": self.cpu,
            "cpu_times_less": self.cpu_ratio,
            "core": self.core,
            "lost": self.lost,
            "wrong": self.wrong,
            "rounds": rounds.collect::<Vec<_>>(),
        })
    }
}

fn of_tally(tally: &Tally) -> Value {
    let faults: serde_json::Map<String, Value> =
        tally.faults().map(|(fault, count)| (fault.name().to_owned(), count.into())).collect();
    let mut latency: serde_json::Map<String, Value> =
        QUANTILES.iter().map(|(name, q)| ((*name).to_owned(), micros(tally.latency(*q)).into())).collect();
    latency.insert("mean".to_owned(), micros(tally.mean()).into());
    latency.insert("longest".to_owned(), micros(tally.longest()).into());
    json!({
        "sent": tally.sent,
        "right": tally.right,
        "wrong": tally.wrong_total(),
        "faults": faults,
        "lost": tally.lost,
        "late": tally.late,
        "unknown": tally.unknown,
        "twice": tally.twice,
        "delayed": tally.delayed,
        "unsent": tally.unsent,
        "seconds": tally.elapsed.as_secs_f64(),
        "rate": tally.rate(),
        "latency_us": latency,
        "harness_busy": tally.busy,
    })
}

fn of_plan(plan: &Plan) -> Value {
    let mut value = json!({
        "sockets": plan.sockets,
        "seconds": plan.duration.as_secs_f64(),
        "timeout_seconds": plan.timeout.as_secs_f64(),
    });
    match plan.pace {
        Pace::Window(window) => value["window"] = json!(window),
        Pace::Rate { rate, even } => {
            value["rate"] = json!(rate);
            value["arrivals"] = json!(if even { "even" } else { "poisson" });
        }
    }
    value
}

fn of_questions(questions: &Questions) -> Value {
    json!({ "number": questions.len(), "listed": questions.listed() })
}

fn load(plan: &Plan) -> String {
    let ports = counted(plan.sockets as u64, "port", "ports");
    let pace = match plan.pace {
        Pace::Window(window) => format!("closed loop, {} in flight", grouped(window as u64)),
        Pace::Rate { rate, even } => {
            format!("open loop, {rate} a second{}", if even { " at even distances" } else { "" })
        }
    };
    format!("{pace} over {ports}, {}", duration(plan.duration))
}

fn asked(questions: &Questions) -> String {
    let number = counted(questions.len() as u64, "question", "questions");
    format!("{number}, {} of them listed", grouped(questions.listed() as u64))
}

fn faults(tally: &Tally) -> String {
    let faults = tally.faults().map(|(fault, count)| format!("{} {}", grouped(count), fault.name()));
    faults.collect::<Vec<_>>().join(", ")
}

fn examples(out: &mut Out, tally: &Tally) -> anyhow::Result<()> {
    for wrong in &tally.examples {
        let came = wrong.came.map_or_else(String::new, |(rcode, answers)| {
            format!(" (response code {rcode}, {})", counted(answers.into(), "answer", "answers"))
        });
        writeln!(out, "  {} {}: {}{came}", styled(BAD, "wrong:"), wrong.question, wrong.fault.name())?;
    }
    Ok(())
}

fn remarks(out: &mut Out, tally: &Tally) -> anyhow::Result<()> {
    if tally.delayed > 0 {
        let late = format!("{} were sent more than 1 ms late", grouped(tally.delayed));
        let why = "the machine was busy, or the rate is more than this program sends";
        writeln!(out, "  {}", styled(WARN, format_args!("{late}: {why}; that is in the latencies")))?;
    }
    if tally.unsent > 0 {
        let why = "the rate is more than this program sends, or --sockets has no room for so many lost ones";
        let unsent = grouped(tally.unsent);
        writeln!(out, "  {}", styled(WARN, format_args!("about {unsent} were not sent at all: {why}")))?;
    }
    let busy = format!("this program was busy for {:.0} % of the time", 100.0 * tally.busy);
    if tally.busy > BUSY {
        writeln!(out, "  {}", styled(WARN, limited(tally.busy)))?;
    } else {
        writeln!(out, "  {}", styled(DIM, busy))?;
    }
    Ok(())
}

fn limited(busy: f64) -> String {
    format!("this program was busy for {:.0} % of the time: a server may be able to do more", 100.0 * busy)
}

fn quartiles(Quartiles { low, median, high }: Quartiles, digits: usize) -> String {
    // Of times that are shorter than what the system counts in.
    if [low, median, high].iter().any(|value| !value.is_finite()) {
        return NOTHING.to_owned();
    }
    format!("{median:.digits$} ({low:.digits$}..{high:.digits$})")
}

fn thousands(rate: Quartiles) -> String {
    let Quartiles { low, median, high } = rate;
    let median = grouped(median.round() as u64);
    if low < 1e4 {
        return format!("{median} ({low:.0}..{high:.0})");
    }
    format!("{median} ({:.0}..{:.0} k)", low / 1e3, high / 1e3)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// `34 µs`, `1.3 ms`, `2.5 s`.
fn duration(duration: Duration) -> String {
    let micros = micros(duration);
    match micros {
        _ if micros < 1e3 => format!("{micros:.0} µs"),
        _ if micros < 1e6 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}
