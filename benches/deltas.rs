//! Time to encode and apply what changed in a list, against `zstd -3` on its whole text in the same run, and the sizes.
//!
//! `cargo bench --bench deltas -- [--size N] [--share PERCENT] [--rounds N]`: lists of N addresses (1 million) of which so
//! many percent (3) are replaced. Rounds of the two alternate; what is printed is the median and the quartiles of the
//! ratios of neighbouring rounds. benches/README.md holds the results.
//!
//! Without `--bench` (`cargo test --bench deltas`) a small list runs once, to prove that it still works.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod lists;

use gatepost::load::Quartiles;
use std::collections::HashSet;
use std::fmt::Write;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant;

use gatepost::model::Value;
use gatepost::set::delta::{apply, encode};
use gatepost::set::{Overlap, Set, SetBuilder, codec};
use gatepost::store::deltas::{packed, unpacked};

/// Of the text; deltas are stored with it too.
const LEVEL: i32 = 3;

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (mut size, mut share, mut rounds) = if is_bench { (1_000_000, 3.0, 15) } else { (20_000, 3.0, 1) };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let (Some(argument), value) = (arguments.next(), arguments.next()) {
        let value = value.unwrap_or_default().replace('_', "");
        match argument.as_str() {
            "--size" => size = value.parse().expect("--size N"),
            "--share" => share = value.parse().expect("--share PERCENT"),
            "--rounds" => rounds = value.parse().expect("--rounds N"),
            _ => {}
        }
    }
    println!("{size} addresses, {share} % replaced, {rounds} rounds; times in ms\n");
    println!(
        "{:<10} {:>8} {:>8} {:>8} {:>8} {:>8}  {:<24} {:>9} {:>9} {:>9}",
        "list", "encode", "zstd", "unzstd", "apply", "text", "ratio", "delta", "set zstd", "text zstd"
    );
    measure("random", &lists::random(size, 1), &lists::random(size, 2), share, rounds);
    measure("clustered", &lists::clustered(size, 1), &lists::clustered(size, 2), share, rounds);
}

/// One line of the table; `others`: where those that come are from.
fn measure(name: &str, list: &[u32], others: &[u32], share: f64, rounds: usize) {
    let (old, new) = (set(list), set(&replaced(list, others, share)));
    let (old_hash, hash) = (codec::hash(&old), codec::hash(&new));
    let text = text(&new);
    let mut times: [Vec<f64>; 5] = Default::default();
    let mut ratios = Vec::new();
    let (mut delta_size, mut text_size) = (0, 0);
    for _ in 0..rounds {
        let (packed_text, text_ms) = timed(|| zstd::bulk::compress(&text, LEVEL).expect("memory"));
        let (delta, encode_ms) = timed(|| encode(&old, &new));
        let (packed, pack_ms) = timed(|| packed(&delta).expect("memory"));
        let len = delta.octets.len();
        let (unpacked, unpack_ms) = timed(|| unpacked(&packed, len).expect("what was packed"));
        let (rebuilt, apply_ms) = timed(|| apply(&old, &unpacked, &hash).expect("its own delta"));
        assert!(rebuilt == new && codec::hash(&old) == old_hash, "another set");
        for (times, ms) in times.iter_mut().zip([encode_ms, pack_ms, unpack_ms, apply_ms, text_ms]) {
            times.push(ms);
        }
        ratios.push((encode_ms + pack_ms + unpack_ms + apply_ms) / text_ms);
        (delta_size, text_size) = (packed.len(), packed_text.len());
    }
    let set_size = zstd::bulk::compress(&codec::encode(&new).0, LEVEL).expect("memory").len();
    let [encode, pack, unpack, apply, whole] = times.map(|mut times| quartiles(&mut times)[1]);
    let [low, median, high] = quartiles(&mut ratios);
    println!(
        "{name:<10} {encode:>8.2} {pack:>8.2} {unpack:>8.2} {apply:>8.2} {whole:>8.1}  {:<24} {delta_size:>9} {set_size:>9} {text_size:>9}",
        format!("{median:.3} ({low:.3}-{high:.3})"),
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let began = Instant::now();
    let done = black_box(work());
    (done, began.elapsed().as_secs_f64() * 1e3)
}

fn quartiles(values: &mut [f64]) -> [f64; 3] {
    let Quartiles { low, median, high } = Quartiles::of(values.iter().copied());
    [low, median, high]
}

fn set(hosts: &[u32]) -> Set {
    let mut builder = SetBuilder::new(Overlap::Narrowest);
    let value = builder.value(&Value::default());
    hosts.iter().for_each(|&host| builder.host(host, value));
    builder.finish()
}

fn replaced(list: &[u32], others: &[u32], share: f64) -> Vec<u32> {
    let mut random = lists::Random::new(7);
    let known: HashSet<u32> = list.iter().copied().collect();
    let mut new = list.to_vec();
    random.shuffle(&mut new);
    let count = (list.len() as f64 * share / 100.0) as usize;
    new.truncate(list.len() - count);
    let mut come: Vec<u32> = others.iter().copied().filter(|other| !known.contains(other)).collect();
    random.shuffle(&mut come);
    new.extend(come.into_iter().take(count));
    new.sort_unstable();
    new
}

fn text(set: &Set) -> Vec<u8> {
    let mut text = String::with_capacity(set.v4.hosts.len() * 15);
    for &host in &set.v4.hosts {
        let _ = writeln!(text, "{}", Ipv4Addr::from(host));
    }
    text.into_bytes()
}
