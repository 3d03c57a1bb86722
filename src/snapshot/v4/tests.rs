//! Everything against the plain list of spans.

use proptest::prelude::*;

use crate::compile::Answered;
use crate::model::{Address, Span};
use crate::snapshot::testing::{at, octets, open, v4_zone};
use crate::snapshot::{Damaged, Section, Snapshot};

/// The spans as somebody without a snapshot would ask them.
struct Model(Vec<Answered<u32>>);

impl Model {
    fn find(&self, address: u32) -> Option<u32> {
        let end = self.0.partition_point(|item| item.span.first <= address);
        self.0[..end].last().filter(|item| item.span.contains(address)).map(|item| item.answer)
    }

    fn spans(&self, within: Span<u32>) -> Vec<Answered<u32>> {
        let overlapping = self.0.iter().filter(|item| item.span.overlaps(&within));
        overlapping
            .map(|item| at(item.span.first.max(within.first), item.span.last.min(within.last), item.answer))
            .collect()
    }

    /// Addresses worth asking: both ends of every span and their neighbours.
    fn edges(&self) -> Vec<u32> {
        let ends = self.0.iter().flat_map(|item| [item.span.first, item.span.last]);
        let mut all: Vec<_> = ends
            .flat_map(|end| [end.wrapping_sub(1), end, end.wrapping_add(1), end ^ 0x100, end ^ 0x1_0000])
            .chain([0, u32::MAX])
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn check(model: &Model, answers: u32, more: &[u32]) {
    let zone = v4_zone(model.0.iter().copied(), answers);
    assert_eq!(zone.v4.len(), model.0.len(), "the model is joined");
    let snapshot = open(&zone);
    assert_eq!(snapshot.counts().v4_spans, model.0.len() as u64);
    assert_eq!(snapshot.counts().v4_addresses, zone.v4.addresses());
    let mut asked = model.edges();
    asked.extend_from_slice(more);
    let expected: Vec<_> = asked.iter().map(|&address| model.find(address)).collect();
    let mut batch = vec![Some(77); asked.len()];
    snapshot.v4_batch(&asked, &mut batch).unwrap();
    assert_eq!(batch, expected);
    for (&address, &expected) in asked.iter().zip(&expected) {
        assert_eq!(snapshot.v4(address).unwrap(), expected, "{}", Span::host(address));
        let octets = address.to_be_bytes();
        for given in 0..=4 {
            let within = address.prefix(given as u8 * 8);
            let any = model.0.iter().any(|item| item.span.overlaps(&within));
            assert_eq!(snapshot.v4_any(&octets[..given]).unwrap(), any, "{within}");
        }
    }
    let withins = asked.iter().step_by(asked.len().div_ceil(40)).flat_map(|&address| {
        [8, 12, 16, 22, 24, 30]
            .map(|len| address.prefix(len))
            .into_iter()
            .chain(Span::new(address, address | 0x3_ffff))
    });
    for within in withins.chain([Span { first: 0, last: u32::MAX }]) {
        let spans: Vec<_> = snapshot.v4_spans(within).collect::<Result<_, _>>().unwrap();
        assert_eq!(spans, model.spans(within), "{within}");
    }
}

/// Sorted, disjoint and joined, from whatever a strategy made: later ones lose where they overlap.
fn model(mut items: Vec<Answered<u32>>) -> Model {
    items.sort_unstable();
    let mut all: Vec<Answered<u32>> = Vec::new();
    for mut item in items {
        if let Some(last) = all.last_mut() {
            if item.span.last <= last.span.last {
                continue;
            }
            item.span.first = item.span.first.max(last.span.last + 1);
            if last.answer == item.answer && last.span.last + 1 == item.span.first {
                last.span.last = item.span.last;
                continue;
            }
        }
        all.push(item);
    }
    Model(all)
}

/// Addresses close together in a few places, spans of all sizes.
fn spans(answers: u32) -> impl Strategy<Value = Vec<Answered<u32>>> {
    let place = prop_oneof![
        6 => (0u32..4, any::<u16>()).prop_map(|(sixteen, low)| 0x0a00_0000 + (sixteen << 16) + u32::from(low)),
        3 => (any::<u8>(), any::<u16>()).prop_map(|(sixteen, low)| 0x0b00_0000 + (u32::from(sixteen) << 16) + u32::from(low)),
        2 => any::<u32>(),
        1 => prop::sample::select(vec![0, 1, u32::MAX, u32::MAX - 1, 0x7fff_ffff, 0x8000_0000]),
    ];
    let size = prop_oneof![
        8 => Just(0u32),
        2 => 0u32..6,
        1 => 0u32..600,
        1 => prop::sample::select(vec![255, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, 0x2ff_ffff]),
    ];
    let item = (place, size, any::<bool>(), 0..answers).prop_map(|(first, size, aligned, answer)| {
        let first = if aligned && size.wrapping_add(1).is_power_of_two() { first & !size } else { first };
        at(first, first.saturating_add(size), answer)
    });
    prop::collection::vec(item, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn one_answer(items in spans(1), more in prop::collection::vec(any::<u32>(), 20)) {
        check(&model(items), 1, &more);
    }

    #[test]
    fn some_answers(items in spans(3), more in prop::collection::vec(any::<u32>(), 20)) {
        check(&model(items), 3, &more);
    }

    #[test]
    fn every_width(items in spans(70_000), answers in prop::sample::select(vec![16, 17, 256, 257, 0x1_0000, 70_000])) {
        let items = items.into_iter().map(|item| Answered { answer: item.answer % answers, ..item }).collect();
        check(&model(items), answers, &[]);
    }
}

/// A number that looks random, for inputs too large for a strategy.
fn mixed(seed: u32) -> u32 {
    let mixed = (u64::from(seed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(31) as u32
}

/// About `density` addresses in each of some /16s.
fn dense(density: u32, answers: u32) -> Model {
    let addresses = (0x0a05_0000..0x0a08_0000u32).filter(|&a| mixed(a) >> 16 < density);
    let others = (0..70u32).map(|n| 0x0a10_0000 + n * 0x2_0000);
    let all = addresses.chain(others).map(|a| at(a, a, mixed(!a) % answers));
    Model(v4_zone(all, answers).v4.iter().collect())
}

#[test]
fn every_kind_of_chunk() {
    let sizes = [2, 6, 12, 24, 50, 100, 200, 400, 1500, 8000, 20_000, 40_000, 64_500, 0x1_0000];
    let more: Vec<_> = (0..5000).map(|n| 0x0a05_0000 + mixed(n) % 0x3_0000).collect();
    let mut kinds = std::collections::BTreeSet::new();
    for density in sizes {
        for answers in [1, 2, 300] {
            let model = dense(density, answers);
            check_ends(&model, answers, &more);
            let snapshot = open(&v4_zone(model.0.iter().copied(), answers));
            let slots = snapshot.v4_sections().unwrap().unwrap().slots().unwrap();
            kinds.extend(slots.chunks(8).map(|slot| u32::from(slot[0] & 15)));
        }
    }
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        [0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        "each was tried"
    );
}

/// [`check`] without asking both ends of each of very many spans.
fn check_ends(model: &Model, answers: u32, more: &[u32]) {
    let snapshot = open(&v4_zone(model.0.iter().copied(), answers));
    let mut batch = vec![None; more.len()];
    snapshot.v4_batch(more, &mut batch).unwrap();
    for (&address, batch) in more.iter().zip(batch) {
        assert_eq!(batch, model.find(address));
        assert_eq!(snapshot.v4(address).unwrap(), batch);
        let third = address.prefix(24);
        let any = model.0[model.0.partition_point(|item| item.span.last < third.first)..]
            .first()
            .is_some_and(|item| item.span.overlaps(&third));
        assert_eq!(snapshot.v4_any(&address.to_be_bytes()[..3]).unwrap(), any);
    }
    let all: Vec<_> = snapshot.v4_spans(Span { first: 0, last: u32::MAX }).collect::<Result<_, _>>().unwrap();
    assert_eq!(all, model.0);
}

#[test]
fn every_size_of_index() {
    // The bounds between the sizes; each number of suffixes in a /16 of its own, spread over it.
    let sizes = [1, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 254, 255, 256, 257, 1023, 1024, 1025, 8000];
    let hosts = (5u32..).zip(sizes).flat_map(|(second, size)| {
        (0..size)
            .map(move |n| second << 16 | (n * 0xfffe / size + n % 2))
            .map(|host| at(host, host, host & 1))
    });
    let model = Model(v4_zone(hosts, 2).v4.iter().collect());
    let more: Vec<_> =
        model.0.iter().flat_map(|item| [item.span.first, item.span.first ^ 1, item.span.last + 5]).collect();
    check_ends(&model, 2, &more);
}

#[test]
fn buckets_out_of_order_are_damage() {
    let good = octets(&v4_zone((0..200u32).map(|n| at(n * 0x101, n * 0x101, n % 2)), 2));
    let snapshot = Snapshot::open(good.clone()).unwrap();
    let chunks = snapshot.v4_sections().unwrap().unwrap().places.chunks.clone();
    // The index of 65 entries begins the chunk. Three suffixes in each bucket; now one is in none.
    assert_eq!(good[chunks.start..chunks.start + 3], [0, 4, 8]);
    for (entry, wrong) in [(0, 1), (1, 9), (64, 100)] {
        let mut bad = good.clone();
        bad[chunks.start + entry] = wrong;
        let snapshot = Snapshot::open(bad).unwrap();
        let all = snapshot.v4_spans(Span { first: 0, last: u32::MAX });
        assert_eq!(all.last(), Some(Err(Damaged(Section::V4_CHUNKS))), "{entry}");
    }
}

#[test]
fn crowded_buckets() {
    // Two /24s nearly full among sparse ones: buckets far above what a load holds.
    let hosts = (0..0x1_0000u32).filter(|&low| match low >> 8 {
        7 => low % 7 != 0,
        8 => low % 2 == 0,
        _ => mixed(low).is_multiple_of(400),
    });
    let model = Model(
        v4_zone(
            (0..3u32).flat_map(|n| hosts.clone().map(move |low| at(n << 18 | low, n << 18 | low, low % 3))),
            3,
        )
        .v4
        .iter()
        .collect(),
    );
    let more: Vec<_> = (0..0x1_0000).collect();
    check_ends(&model, 3, &more);
}

#[test]
fn small_lists_are_small_files() {
    let prefixes =
        [(4, 0x4000_0000u32), (8, 0x0a00_0000), (9, 0x0b80_0000), (15, 0x0c02_0000), (32, 0x0808_0808)];
    let few = prefixes.iter().map(|&(len, first)| (first, first | (u32::MAX >> (len - 1) >> 1)));
    let ranges = (0..15u32).map(|n| (0x6401_0001 + (n << 25), 0x65fe_fffe + (n << 25)));
    let mut twenty: Vec<_> = few.chain(ranges).map(|(first, last)| at(first, last, 0)).collect();
    twenty.sort_unstable();
    let model = model(twenty);
    check(&model, 1, &[]);
    let len = octets(&v4_zone(model.0.iter().copied(), 1)).len();
    assert!(len <= 64 << 10, "{len}");
    // All in one /8, which gets a block.
    let one_eight = (0..20u32).map(|n| at(n * 0xb_0001 + 1, n * 0xb_0001 + 0xa_0000, n % 2)).collect();
    let model = Model(one_eight);
    check(&model, 2, &[]);
    let len = octets(&v4_zone(model.0.iter().copied(), 2)).len();
    assert!(len <= 64 << 10, "{len}");
}

#[test]
fn nothing_and_everything() {
    check(&Model(Vec::new()), 0, &[5]);
    check(&Model(vec![at(0, u32::MAX, 0)]), 1, &[5]);
    let halves = Model((0..=0xffff_u32).map(|n| at(n << 16, n << 16 | 0x7fff, n % 2)).collect());
    check_ends(&halves, 2, &[0, 0x7fff, 0x8000, u32::MAX, 0xffff_7fff]);
}

#[test]
fn damage_is_an_error() {
    // Every octet of every IPv4 section turned over, hashes not looked at.
    let model = dense(200, 2);
    let good = octets(&v4_zone(model.0.iter().copied(), 2));
    let mut refused = 0;
    for position in (4096..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[position] ^= 0x55;
        let Ok(snapshot) = Snapshot::open(bad) else { continue };
        let asked = [0x0a05_1234, 0x0a06_0001, 0x0a10_0000, 0];
        refused += asked.iter().filter(|&&address| snapshot.v4(address).is_err()).count();
        refused += snapshot.v4_spans(Span { first: 0, last: u32::MAX }).filter(Result::is_err).count();
        let _ = snapshot.v4_batch(&asked, &mut [None; 4]);
    }
    assert!(refused > 100, "{refused}");
}
