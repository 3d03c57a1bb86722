//! How fast text becomes entries: ten million addresses, one core.
//!
//! `cargo bench --bench parse --no-default-features`; `GATEPOST_BENCH_LINES` sets another number of lines.
#![allow(clippy::print_stdout, missing_docs)]

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Instant;

use gatepost::parse::{Format, Options, parse};

const ROUNDS: usize = 5;

fn main() {
    let lines = std::env::var("GATEPOST_BENCH_LINES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    println!(
        "{lines} lines, best of {ROUNDS} rounds, processor time (reading alone / with sorting into a set)"
    );
    let bare = text(lines, |_| "");
    run("plain, bare addresses", Format::Plain, &bare);
    run("rbldnsd:ip4set, bare addresses", Format::Ip4set, &bare);
    run("plain, CR LF", Format::Plain, &text(lines, |_| "\r"));
    run("plain, value column", Format::Plain, &text(lines, |_| "\t10"));
    run("plain, every tenth a /32", Format::Plain, &text(lines, |n| if n % 10 == 0 { "/32" } else { "" }));
    run("rbldnsd:ip4set, eight values", Format::Ip4set, &text(lines, |n| VALUES[n as usize % 8]));
}

const VALUES: [&str; 8] = ["", " :2:a $", " :3:b $", " :4:c $", " :5:d $", " :6:e $", " :7:f $", " :8:g $"];

fn text(lines: u64, tail: impl Fn(u64) -> &'static str) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut text = String::with_capacity(lines as usize * 16);
    for n in 0..lines {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [a, b, c, d] = ((state >> 32) as u32).to_be_bytes();
        let _ = writeln!(text, "{}.{b}.{c}.{d}{}", a % 223 + 1, tail(n));
    }
    text
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Seconds that this thread has been on a processor: a busy neighbour does not count. Elsewhere than on Linux, seconds.
fn seconds() -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .map_or_else(|| START.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

fn run(what: &str, format: Format, text: &str) {
    let (mut read, mut whole) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let mut parser = gatepost::parse::Parser::new(format, &Options::default());
        let begin = seconds();
        parser.read(text.as_bytes(), &mut |bad| panic!("{bad}")).expect("reads memory");
        read = read.min(seconds() - begin);
        drop(parser);
        let begin = seconds();
        let parsed = parse(format, &Options::default(), text.as_bytes(), &mut |_| {}).expect("reads memory");
        whole = whole.min(seconds() - begin);
        assert!(!parsed.is_empty());
    }
    let gigabytes = text.len() as f64 / 1e9;
    println!("{what:34} {:6.2} GB/s / {:6.2} GB/s", gigabytes / read, gigabytes / whole);
}
