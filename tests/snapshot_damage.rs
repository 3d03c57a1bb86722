//! Snapshots that are cut, flipped, swapped, forged or no snapshots at all: an error with a name, and never a panic.
//!
//! The file is taken apart (in `fuzz/bodies/reader.rs`, which the fuzz target calls too) as its specification says, not
//! with the library's own types, so that the two check each other.

#[path = "fuzz/bodies/reader.rs"]
#[allow(dead_code)] // `any_bytes` is the fuzz target's
mod body;

use std::collections::BTreeSet;
use std::io::Cursor;

use body::{ALL_V4, PAGE, Random, Row, ask_everything, sign, sign_header, table};
use gatepost::compile::{Answer, Answered, Compiled, ListData, NameNode, Part, ZoneData};
use gatepost::model::{ContentHash, Name, Ns, RrData, RrSet, Rtype, Soa, Span, Template, Use};
use gatepost::snapshot::{Section, Snapshot, SnapshotError, write};

/// Opened and verified.
fn accept(file: impl AsRef<[u8]>) -> Result<(), SnapshotError> {
    Snapshot::open(file)?.verify()
}

/// A zone with every structure in it: each kind of /8 and chunk, mixed answers, IPv6, names, texts.
fn zone() -> Compiled {
    let mut random = Random(7);
    let mut v4 = BTreeSet::new();
    // One /8 with a block: from few to nearly all addresses of a /16, and runs, and a whole one.
    for (second, count) in
        [(0, 3), (1, 7), (2, 14), (3, 30), (4, 60), (5, 120), (6, 250), (7, 700), (8, 2500), (9, 30_000)]
    {
        for _ in 0..count {
            v4.insert((0x0500_0000 | second << 16) + (random.next() as u32 & 0xffff));
        }
    }
    let hosts = v4.into_iter().map(|host| (host, host));
    let runs = (0..40).map(|n| (0x050a_0000 + n * 0x500, 0x050a_0000 + n * 0x500 + 0x123));
    // A whole /16, sparse ones, then whole /8s.
    let wide = [
        (0x050b_0000, 0x050b_ffff),
        (0x0600_0001, 0x0600_0001),
        (0x0601_0000, 0x0680_0003),
        (0x0a00_0000, 0x0bff_ffff),
    ];
    let v4 = hosts.chain(runs).chain(wide).map(|(first, last)| {
        // /16s with an odd number have one answer.
        let answer = if first >> 16 & 1 == 0 { random.below(3) as u32 } else { 1 };
        Answered { span: Span { first, last }, answer }
    });
    let v6 = (0..50u128).map(|n| Answered {
        span: Span { first: n << 90, last: (n << 90) + (1 << (n % 64)) },
        answer: n as u32 % 3,
    });
    let mut names: Vec<_> = (0..60)
        .map(|n| NameNode {
            name: format!("n{n}.spam").parse().unwrap(),
            exact: (n % 3 != 0).then_some(n % 3),
            below: (n % 5 == 0).then_some(2),
            parent: n % 5 == 0,
        })
        .collect();
    let above = |name: &str| NameNode { name: name.parse().unwrap(), exact: None, below: None, parent: true };
    names.extend([above("."), above("spam")]);
    let records = |n: u8| {
        let text = Template::parse(format!("$ is listed, see http://x.example/{n}").as_bytes());
        vec![
            RrSet { rtype: Rtype::A, ttl: 300, data: RrData::Wire(vec![vec![127, 0, 0, n]]) },
            RrSet {
                rtype: Rtype::TXT,
                ttl: 300,
                data: RrData::Texts(vec![text, Template::literal(&[b'x'; 300])]),
            },
        ]
    };
    let host: Name = "ns.example".parse().unwrap();
    let (mname, rname) = (host.clone(), host.clone());
    let soa = Soa { ttl: 60, mname, rname, serial: None, refresh: 1, retry: 2, expire: 3, minimum: 4 };
    Compiled {
        zone: ZoneData {
            origin: "bl.example".parse().unwrap(),
            soa,
            ns: Ns { ttl: 60, hosts: vec![host] },
            ttl: 300,
            test_points: true,
            combined: true,
            base: None,
        },
        lists: vec![ListData {
            name: "made-up".into(),
            set: ContentHash::of(b"set"),
            use_: Use::Block,
            except: false,
            code: None,
            entries: 9,
            texts_dropped: false,
            six_to_four: false,
        }],
        v4: v4.collect(),
        v6: v6.collect(),
        names: names.into_iter().collect(),
        answers: (2..5)
            .map(|n| Answer {
                parts: vec![Part { list: 0, value: n }, Part { list: Part::ZONE, value: 0 }],
                records: records(n as u8),
            })
            .collect(),
        values: (2..5).map(records).collect(),
    }
}

fn good() -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let written = write(&zone(), &serde_json::json!({ "made": ["up"] }), &mut out).unwrap();
    let file = out.into_inner();
    assert_eq!(written.len, file.len() as u64);
    accept(&file).unwrap();
    assert_eq!(Snapshot::open(&file).unwrap().content_hash(), written.content);
    let mut signed = file.clone();
    sign(&mut signed, &table(&file));
    assert_eq!(signed, file, "the specification and the writer agree");
    file
}

#[test]
fn every_section_is_there_and_apart_from_provenance_nothing_depends_on_it() {
    let file = good();
    let ids: Vec<_> = table(&file).iter().map(|row| row.id).collect();
    assert_eq!(ids, [0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x13, 0x20, 0x30]);
    let mut other = Cursor::new(Vec::new());
    let written = write(&zone(), &serde_json::json!({ "made": "elsewhere" }), &mut other).unwrap();
    assert_eq!(Snapshot::open(&file).unwrap().content_hash(), written.content);
    assert_ne!(file, other.into_inner());
}

#[test]
fn empty_foreign_older_newer() {
    assert!(matches!(accept([]), Err(SnapshotError::Empty)));
    assert!(matches!(accept(b"GIF89a"), Err(SnapshotError::Foreign)));
    assert!(matches!(accept([0; 9000]), Err(SnapshotError::Foreign)));
    for (version, older) in [(0u16, true), (1, true), (3, false), (u16::MAX, false)] {
        let mut file = good();
        file[6..8].copy_from_slice(&version.to_le_bytes());
        match accept(&file) {
            Err(SnapshotError::Older(found)) if older => assert_eq!(found, version),
            Err(SnapshotError::Newer(found)) if !older => assert_eq!(found, version),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn cut_anywhere() {
    let file = good();
    for len in (1..file.len()).filter(|len| *len < 700 || len % 61 == 0 || len % PAGE < 2) {
        match accept(&file[..len]) {
            Err(SnapshotError::Cut { stated, actual }) => {
                assert_eq!(actual, len as u64);
                assert_eq!(stated, if len < PAGE { PAGE } else { file.len() } as u64);
            }
            other => panic!("{len}: {other:?}"),
        }
    }
    let mut longer = file;
    longer.push(0);
    assert!(matches!(accept(&longer), Err(SnapshotError::Overlong { .. })));
}

#[test]
fn flipped_anywhere() {
    let file = good();
    let rows = table(&file);
    let mut bad = file.clone();
    for position in (0..file.len()).filter(|at| *at < PAGE || at % 13 == 0) {
        for flip in [0x01, 0x80, 0xff] {
            bad[position] ^= flip;
            let section = rows.iter().find(|row| (row.offset..row.offset + row.length).contains(&position));
            match (accept(&bad), section) {
                (Err(SnapshotError::Foreign), None) if position < 6 => {}
                (Err(SnapshotError::Older(_) | SnapshotError::Newer(_)), None) if position / 2 == 3 => {}
                (Err(SnapshotError::Header), None) if position < PAGE => {}
                (Err(SnapshotError::Stray), None) if position > PAGE => {}
                (Err(SnapshotError::Section(found)), Some(row)) if found.0 == row.id => {}
                (other, _) => panic!("{position}: {other:?}"),
            }
            bad[position] ^= flip;
        }
    }
    accept(&bad).unwrap();
}

#[test]
fn sections_swapped() {
    let file = good();
    let rows = table(&file);
    for from in &rows {
        for to in rows.iter().filter(|to| to.id != from.id) {
            // The octets of one over those of another.
            let mut bad = file.clone();
            let len = from.length.min(to.length);
            bad.copy_within(from.offset..from.offset + len, to.offset);
            assert!(matches!(accept(&bad), Err(SnapshotError::Section(found)) if found.0 == to.id));
            // Their places exchanged, with the right hashes.
            let mut bad = file.clone();
            let mut swapped = rows.clone();
            for row in &mut swapped {
                if row.id == from.id {
                    (row.offset, row.length) = (to.offset, to.length);
                } else if row.id == to.id {
                    (row.offset, row.length) = (from.offset, from.length);
                }
            }
            sign(&mut bad, &swapped);
            ask_everything(&bad, &mut Random(1));
        }
    }
}

#[test]
fn sections_cut_and_gone() {
    let file = good();
    let rows = table(&file);
    for (at, row) in rows.iter().enumerate() {
        for length in
            (1..row.length).filter(|length| row.length < 600 || length % 97 == 0 || row.length - length < 20)
        {
            let mut cut = rows.clone();
            cut[at].length = length;
            let mut bad = file.clone();
            sign(&mut bad, &cut);
            ask_everything(&bad, &mut Random(length as u64));
        }
        let mut without = rows.clone();
        without.remove(at);
        let mut bad = file.clone();
        sign(&mut bad, &without);
        match (Section(row.id), Snapshot::open(&bad)) {
            (
                gone @ (Section::META | Section::PROVENANCE | Section::ANSWERS | Section::V4_ROOT),
                Err(SnapshotError::Missing(missing)),
            ) if missing == gone => {}
            (Section::V6 | Section::NAMES, Ok(_)) => {}
            (Section::V4_SPARSE | Section::V4_SLOTS | Section::V4_CHUNKS, Ok(snapshot)) => {
                assert!(snapshot.v4_spans(ALL_V4).any(|span| span.is_err()), "{row:?}");
            }
            (_, other) => panic!("{row:?}: {:?}", other.map(drop)),
        }
    }
}

#[test]
fn tables_that_lie() {
    let file = good();
    let rows = table(&file);
    let with = |change: &dyn Fn(&mut Vec<Row>)| {
        let (mut bad, mut rows) = (file.clone(), rows.clone());
        change(&mut rows);
        sign(&mut bad, &rows);
        accept(&bad)
    };
    let last = file.len();
    let overlap = with(&|rows| rows[3].offset = rows[4].offset);
    assert!(matches!(overlap, Err(SnapshotError::Overlap(_))), "{overlap:?}");
    let overlap = with(&|rows| rows[5].length += PAGE);
    assert!(matches!(overlap, Err(SnapshotError::Overlap(_))), "{overlap:?}");
    for place in [0, 1, PAGE + 1, last, last.next_multiple_of(PAGE), usize::MAX, usize::MAX - PAGE + 1] {
        let bounds = with(&|rows| rows[3].offset = place);
        assert!(matches!(bounds, Err(SnapshotError::Bounds(_))), "{place}: {bounds:?}");
    }
    for length in [0, last, usize::MAX] {
        let bounds = with(&|rows| rows[3].length = length);
        assert!(matches!(bounds, Err(SnapshotError::Bounds(_))), "{length}: {bounds:?}");
    }
    let twice = with(&|rows| rows[4].id = rows[3].id);
    assert!(matches!(twice, Err(SnapshotError::Header)), "{twice:?}");
    let order = with(&|rows| rows.swap(3, 4));
    assert!(matches!(order, Err(SnapshotError::Header)), "{order:?}");
    let flags = with(&|rows| rows[3].flags |= 2);
    assert!(matches!(flags, Err(SnapshotError::Header)), "{flags:?}");
    let critical = with(&|rows| (rows[8].id, rows[8].flags) = (0x99, 1));
    assert!(matches!(critical, Err(SnapshotError::Critical(Section(0x99)))), "{critical:?}");
    with(&|rows| (rows[8].id, rows[8].flags) = (0x99, 0)).unwrap();
    let mut bad = file.clone();
    bad[12..16].copy_from_slice(&72u32.to_le_bytes());
    sign_header(&mut bad);
    assert!(matches!(accept(&bad), Err(SnapshotError::Header)));
    let mut bad = file.clone();
    bad[16..24].copy_from_slice(&(last as u64 - 1).to_le_bytes());
    sign_header(&mut bad);
    assert!(matches!(accept(&bad), Err(SnapshotError::Overlong { .. })));
    // Octets behind the last section that the header owns up to.
    let mut bad = file;
    bad.extend_from_slice(&[0; 5]);
    bad[16..24].copy_from_slice(&(last as u64 + 5).to_le_bytes());
    sign_header(&mut bad);
    assert!(matches!(accept(&bad), Err(SnapshotError::Stray)));
}

#[test]
fn garbage() {
    let mut random = Random(3);
    for run in 0u32..3000 {
        let mut bad: Vec<u8> = (0..random.below(3 * PAGE)).map(|_| random.next() as u8).collect();
        if run % 3 > 0 && bad.len() > 8 {
            bad[..8].copy_from_slice(b"GPSNAP\x01\0");
        }
        if run % 3 > 1 && bad.len() >= PAGE {
            let len = bad.len() as u64;
            bad[8..12].copy_from_slice(&(PAGE as u32).to_le_bytes());
            bad[12..16].copy_from_slice(&(run % 80).to_le_bytes());
            bad[16..24].copy_from_slice(&len.to_le_bytes());
            sign_header(&mut bad);
        }
        assert!(accept(&bad).is_err());
    }
}

/// Bodies that lie under hashes that fit: whatever is asked, an answer or an error.
#[test]
fn hostile_bodies() {
    const RUNS: u64 = 100_000;
    let file = good();
    let rows = table(&file);
    let (mut opened, mut errors) = (0, 0);
    let mut bad = file.clone();
    for run in 0..RUNS {
        let mut random = Random(run);
        let mut touched = Vec::new();
        for _ in 0..1 + random.below(6) {
            // Any section as likely (the JSON in an eighth of the runs), the start of it as likely as the rest: heads and indexes decide most.
            let rows = if run % 8 == 0 { &rows } else { &rows[2..] };
            let row = &rows[random.below(rows.len())];
            let length = if random.next().is_multiple_of(2) { row.length.min(64) } else { row.length };
            let at = row.offset + random.below(length);
            touched.push(at);
            bad[at] = match random.below(4) {
                0 => 0xff,
                1 => 0,
                2 => random.next() as u8,
                _ => bad[at] ^ 1 << random.below(8),
            };
        }
        // A file is verified before it is put in service, so every hash fits; the reader itself looks at those of the
        // first page and of the two sections of JSON only. All are made to fit in some runs, to show just that.
        if run % 50 == 0
            || touched
                .iter()
                .any(|at| rows[..2].iter().any(|row| (row.offset..row.offset + row.length).contains(at)))
        {
            sign(&mut bad, &rows);
            touched.extend(0..PAGE);
            if let Ok(snapshot) = Snapshot::open(&bad) {
                snapshot.verify().unwrap();
            }
        }
        if let Some(found) = ask_everything(&bad, &mut random) {
            opened += 1;
            errors += found;
        }
        touched.into_iter().for_each(|at| bad[at] = file[at]);
    }
    assert!(opened > RUNS / 2, "{opened}");
    assert!(errors > RUNS / 20, "{errors}");
}
