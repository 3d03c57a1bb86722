//! Packets that are answered together are answered as each would be alone.
#![cfg(feature = "full")]

mod dns_support;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use dns_support::{NOW, except, hosts, listed_name, member, name, query, spec, store, with_opt};
use gatepost::model::{Span, Use};
use gatepost::server::respond::{Outcome, Pending, Step, Transport, begin, look_up, respond};
use gatepost::server::udp::BATCH;
use gatepost::server::{AccessLists, Served, World};
use gatepost::snapshot::{Mapped, Snapshot};
use gatepost::wire::{LowerName, Rcode, UDP_MAX};
use gatepost::zone::{Access, Action, Zone};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Zones of every kind of list, with one that is all in another's way, one that has nothing, and access lists.
fn world(state: &std::path::Path) -> World {
    let mut addresses = spec("bl.example");
    member(&mut addresses, "one", Use::Block, 5, "$", |set| hosts(set, &["1.2.3.4", "1.2.3.5", "2.2.3.4"]));
    member(&mut addresses, "two", Use::Block, 6, "two $", |set| {
        let value = dns_support::plain(set);
        set.v4(Span { first: 0x0102_0000, last: 0x0102_ffff }, value);
    });
    except(&mut addresses, "not", |set| hosts(set, &["1.2.3.5"]));
    let mut other = spec("other.example");
    member(&mut other, "three", Use::Block, 7, "$", |set| hosts(set, &["3.2.3.4", "1.2.3.4"]));
    let mut names = spec("deep.bl.example");
    member(&mut names, "names", Use::Block, 8, "$", |set| {
        listed_name(set, "bad.test", true);
        hosts(set, &["1.2.3.4"]);
    });
    store::publish(state, 1, &[(&addresses, 5), (&other, 6), (&names, 7)]);
    let waiting = spec("waiting.example");
    let settings = store::settings(state, &[&addresses, &other, &names, &waiting]);
    let access = |lists: &[(&str, Action)]| {
        let lists =
            lists.iter().map(|(network, action)| (network.parse().expect("a network"), action.clone()));
        Arc::new(Access::new(lists))
    };
    store::world(&settings).guarded(&AccessLists {
        server: access(&[("192.0.2.1", Action::Drop), ("192.0.2.2", Action::Refuse)]),
        zones: BTreeMap::from([(name("other.example"), access(&[("192.0.2.3", Action::Empty)]))]),
        limit: None,
    })
}

fn asked() -> impl Strategy<Value = (IpAddr, Vec<u8>)> {
    let octet = prop_oneof![1..6u8, Just(0), Just(255)];
    let below = prop_oneof![
        4 => vec(octet.clone(), 4).prop_map(|o| format!("{}.{}.{}.{}.", o[0], o[1], o[2], o[3])),
        4 => Just("4.3.2.1.".to_owned()),
        1 => vec(octet, 0..4).prop_map(|o| o.iter().map(|octet| format!("{octet}.")).collect()),
        1 => Just(format!("4.0.3.0.2.0.1.0.f.f.f.f.{}", "0.".repeat(20))),
        1 => Just("www.bad.test.".to_owned()),
    ];
    let origin = prop_oneof![
        4 => Just("bl.example"),
        1 => Just("other.example"),
        1 => Just("deep.bl.example"),
        1 => Just("waiting.example"),
        1 => Just("elsewhere.example"),
    ];
    let qtype = prop_oneof![Just(1), Just(16), Just(255), Just(6), Just(28)];
    let client = (0..5u8).prop_map(|last| IpAddr::from([192, 0, 2, last]));
    (below, origin, qtype, client, any::<bool>(), 0..20u8).prop_map(
        |(below, origin, qtype, client, edns, cut)| {
            let mut packet = query(&(below + origin), qtype);
            if edns {
                packet = with_opt(packet, 1232, 0, 0, b"\x00\x0a\x00\x08abcdefgh");
            }
            if cut == 0 {
                packet.truncate(packet.len() - 3);
            }
            (client, packet)
        },
    )
}

/// What is sent, and whether it is counted as a listing.
fn sent(outcome: &Outcome<'_>, out: &[u8]) -> Option<(Vec<u8>, bool)> {
    match outcome {
        Outcome::Reply { encoded, listed, .. } => Some((out[..encoded.len].to_vec(), *listed)),
        Outcome::Silent(_) | Outcome::Denied | Outcome::Limited => None,
    }
}

/// A batch in which one address leads to damage: the others are answered.
#[test]
fn damage_is_of_one_question() {
    let mut spec = spec("bl.example");
    // Two /16s of a /8, each large enough to have octets of its own.
    let address = |second: u8, third: u8| format!("1.{second}.{third}.9");
    member(&mut spec, "list", Use::Block, 5, "$", |set| {
        for third in 0..200 {
            hosts(set, &[&address(2, third), &address(3, third)]);
        }
    });
    let (octets, _) = dns_support::bytes(&spec);
    let asked = [0x0102_0709, 0x0103_0709];
    // Some octet makes the first of them damaged and leaves the second alone.
    let damaged = (0..octets.len()).find_map(|at| {
        let mut octets = octets.clone();
        octets[at] ^= 0xff;
        let snapshot = Snapshot::open(&octets[..]).ok()?;
        let found = asked.map(|address| snapshot.v4(address));
        drop(snapshot);
        matches!(found, [Err(_), Ok(Some(_))]).then_some(octets)
    });
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("damaged");
    std::fs::write(&path, damaged.expect("there is such an octet")).expect("our folder");
    let snapshot = Snapshot::open(Mapped::open(&path).expect("our file")).expect("its head is whole");
    let zone = Zone::new(Arc::new(snapshot), 1);
    let world = World::new([(zone.origin().clone(), Served::Ready(zone))], None, None);
    let packets = ["9.7.2.1.bl.example", "9.7.3.1.bl.example"].map(|name| query(name, 1));
    let mut names = [LowerName::ROOT, LowerName::ROOT];
    let mut out = vec![0; UDP_MAX];
    let mut pending: Vec<Pending<'_, '_>> = Vec::new();
    for (packet, name) in packets.iter().zip(&mut names) {
        match begin(&world, dns_support::CLIENT, packet, name, Transport::Udp, NOW, &mut out) {
            Step::Pending(one) => pending.push(one),
            Step::Done(outcome) => panic!("a zone's question: {outcome:?}"),
        }
    }
    look_up(&mut pending);
    let rcodes = pending.iter().map(|pending| match pending.finish(&world, &mut out) {
        Outcome::Reply { encoded, listed, .. } => (encoded.rcode, listed),
        other => panic!("a reply: {other:?}"),
    });
    assert_eq!(rcodes.collect::<Vec<_>>(), [(Rcode::SERVFAIL, false), (Rcode::NOERROR, true)]);
}

#[test]
fn together_as_alone() {
    let state = tempfile::tempdir().expect("folder");
    let world = world(state.path());
    let mut runner = TestRunner::new(Config { failure_persistence: None, cases: 3000, ..Config::default() });
    let run = runner.run(&vec(asked(), 1..=BATCH), |batch| {
        let mut alone = vec![0xaa; UDP_MAX];
        let alone: Vec<_> = batch
            .iter()
            .map(|(client, packet)| {
                let outcome = respond(&world, *client, packet, Transport::Udp, NOW, &mut alone);
                sent(&outcome, &alone)
            })
            .collect();
        let mut names = vec![LowerName::ROOT; batch.len()];
        let mut together = vec![None; batch.len()];
        let mut pending: Vec<Pending<'_, '_>> = Vec::new();
        let mut places = Vec::new();
        let mut out = vec![0xaa; UDP_MAX];
        for (at, ((client, packet), name)) in batch.iter().zip(&mut names).enumerate() {
            match begin(&world, *client, packet, name, Transport::Udp, NOW, &mut out) {
                Step::Done(outcome) => together[at] = sent(&outcome, &out),
                Step::Pending(one) => {
                    pending.push(one);
                    places.push(at);
                }
            }
        }
        look_up(&mut pending);
        for (pending, &at) in pending.iter().zip(&places) {
            together[at] = sent(&pending.finish(&world, &mut out), &out);
        }
        prop_assert_eq!(&together, &alone);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    // The questions meet what there is.
    for (zone, last) in [("bl.example", 5), ("other.example", 7), ("deep.bl.example", 8)] {
        let mut out = vec![0; UDP_MAX];
        let packet = query(&format!("4.3.2.1.{zone}"), 1);
        let outcome = respond(&world, [127, 0, 0, 1].into(), &packet, Transport::Udp, NOW, &mut out);
        let (reply, is_listed) = sent(&outcome, &out).expect("answered");
        assert!(is_listed && reply.windows(4).any(|octets| octets == [127, 0, 0, last]), "{zone}");
    }
}
