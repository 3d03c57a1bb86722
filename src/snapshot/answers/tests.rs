//! What goes in comes out.

use proptest::prelude::*;

use super::*;
use crate::compile::Compiled;
use crate::model::Template;
use crate::snapshot::testing::{empty_zone, open};

fn read<'a>(sets: impl Iterator<Item = RrSetRef<'a>>) -> Vec<RrSet> {
    sets.map(|set| {
        let mut texts = Vec::new();
        let mut wire = Vec::new();
        for record in set.data() {
            match record {
                RdataRef::Wire(data) => wire.push(data.to_vec()),
                RdataRef::Text(pieces) => {
                    let mut text = Template::default();
                    for piece in pieces {
                        match piece {
                            crate::model::Piece::Literal(octets) => text.push(octets),
                            crate::model::Piece::Subject => text.push_subject(),
                        }
                    }
                    texts.push(text);
                }
            }
        }
        let data = if texts.is_empty() { RrData::Wire(wire) } else { RrData::Texts(texts) };
        RrSet { rtype: set.rtype, ttl: set.ttl, data }
    })
    .collect()
}

fn record_sets() -> impl Strategy<Value = Vec<RrSet>> {
    let wire = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4).prop_map(RrData::Wire);
    let text = prop_oneof![Just(String::new()), "[a-z$ ]{0,40}", "[x]{250,600}"]
        .prop_map(|text| Template::parse(text.as_bytes()));
    let texts = prop::collection::vec(text, 1..4).prop_map(RrData::Texts);
    let set = (prop::sample::select(vec![1, 2, 15, 16, 28, 65_280]), 0u32..3, prop_oneof![wire, texts])
        .prop_map(|(rtype, ttl, data)| RrSet { rtype: Rtype(rtype), ttl, data });
    prop::collection::vec(set, 0..5)
}

proptest! {
    #[test]
    fn round_trip(
        answers in prop::collection::vec((prop::collection::vec((any::<u16>(), any::<u32>()), 0..5), record_sets()), 0..20),
        values in prop::collection::vec(record_sets(), 0..20),
    ) {
        let answers: Vec<_> = answers
            .into_iter()
            .map(|(parts, records)| Answer {
                parts: parts.into_iter().map(|(list, value)| Part { list, value }).collect(),
                records,
            })
            .collect();
        let zone = Compiled { answers, values, ..empty_zone(0) };
        let snapshot = open(&zone);
        for (id, answer) in (0..).zip(&zone.answers) {
            let found = snapshot.answer(id).unwrap();
            prop_assert_eq!(&found.parts().collect::<Vec<_>>(), &answer.parts);
            prop_assert_eq!(&read(found.record_sets()), &answer.records);
        }
        for (id, value) in (0..).zip(&zone.values) {
            prop_assert_eq!(&read(snapshot.value(id).unwrap()), value);
        }
        prop_assert_eq!(snapshot.answer(zone.answers.len() as u32).err(), Some(DAMAGED));
        prop_assert_eq!(snapshot.value(u32::MAX).err(), Some(DAMAGED));
    }
}

#[test]
fn equal_sets_are_stored_once() {
    let set = |ttl| RrSet { rtype: Rtype::A, ttl, data: RrData::Wire(vec![vec![127, 0, 0, 2]]) };
    let answer = |records| Answer { parts: Vec::new(), records };
    let answers = [answer(vec![set(1), set(2)]), answer(vec![set(2)]), answer(vec![set(1), set(2)])];
    let section = encode(&answers, &[vec![set(2)]]).unwrap();
    let table = Answers::new(&section).unwrap();
    assert_eq!((table.sets.len(), table.refs.len(), table.octets.len()), (2, 3, 12));
}

#[test]
fn cut_texts_and_endless_answers_are_damage() {
    let texts = RrData::Texts(vec![Template::literal(b"text")]);
    let set = RrSet { rtype: Rtype::TXT, ttl: 1, data: texts };
    let good = encode(&[Answer { parts: Vec::new(), records: vec![set] }], &[]).unwrap();
    assert!(Answers::new(&good).unwrap().answer(0).is_ok());
    let piece = good.len() - 5;
    for (position, octet) in [(piece, 5), (piece, 3), (piece - 2, 6), (piece - 2, 4)] {
        let mut bad = good.clone();
        bad[position] = octet;
        assert_eq!(Answers::new(&bad).unwrap().answer(0).err(), Some(DAMAGED), "{position} {octet}");
    }
    let large = |octets| {
        let data = RrData::Wire(vec![vec![0; 60_000]; octets / 60_000]);
        encode(&[], &[vec![RrSet { rtype: Rtype(99), ttl: 1, data }]])
    };
    assert!(large(MAX_OCTETS - 60_000).is_ok());
    assert!(matches!(large(MAX_OCTETS + 60_000), Err(WriteError::TooLarge(Section::ANSWERS))));
}
