//! Zones for the tests of this module.

use std::io::Cursor;

use super::{Snapshot, write};
use crate::compile::{Answer, Answered, Compiled, NameNode, NameTree, Part, SpansV6, ZoneData};
use crate::model::{Ns, RrData, RrSet, Rtype, Soa, Span};

/// A zone with nothing in it but `answers` answers, each an A record of its own.
pub(super) fn empty_zone(answers: u32) -> Compiled {
    let origin = "bl.example".parse().unwrap();
    let host: crate::model::Name = "ns.example".parse().unwrap();
    let soa = Soa {
        ttl: 60,
        mname: host.clone(),
        rname: host.clone(),
        serial: None,
        refresh: 1,
        retry: 2,
        expire: 3,
        minimum: 4,
    };
    let ns = Ns { ttl: 60, hosts: vec![host] };
    let answers = (0..answers).map(|id| Answer {
        parts: vec![Part { list: 0, value: id }],
        records: vec![RrSet {
            rtype: Rtype::A,
            ttl: 300,
            data: RrData::Wire(vec![id.to_be_bytes().to_vec()]),
        }],
    });
    let answers: Vec<_> = answers.collect();
    Compiled {
        zone: ZoneData { origin, soa, ns, ttl: 300, test_points: false, combined: false, base: None },
        lists: Vec::new(),
        v4: std::iter::empty::<Answered<u32>>().collect(),
        v6: SpansV6::default(),
        names: NameTree::default(),
        values: answers.iter().map(|answer| answer.records.clone()).collect(),
        answers,
    }
}

pub(super) fn v4_zone(spans: impl IntoIterator<Item = Answered<u32>>, answers: u32) -> Compiled {
    Compiled { v4: spans.into_iter().collect(), ..empty_zone(answers) }
}

pub(super) fn named_zone(names: Vec<NameNode>, answers: u32) -> Compiled {
    Compiled { names: names.into_iter().collect(), ..empty_zone(answers) }
}

pub(super) fn octets(zone: &Compiled) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    write(zone, &serde_json::json!({ "made": "by a test" }), &mut out).unwrap();
    out.into_inner()
}

pub(super) fn open(zone: &Compiled) -> Snapshot<Vec<u8>> {
    let snapshot = Snapshot::open(octets(zone)).unwrap();
    snapshot.verify().unwrap();
    snapshot
}

pub(super) fn at<A>(first: A, last: A, answer: u32) -> Answered<A> {
    Answered { span: Span { first, last }, answer }
}
