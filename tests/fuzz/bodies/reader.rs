//! Any octets as a snapshot: the file as it is, and with hashes that fit whatever lies under them.
//!
//! The file is taken apart here as its specification says, not with the library's own types, so that the two check
//! each other.

use gatepost::model::{ContentHash, Hasher, Span};
use gatepost::snapshot::{RdataRef, RecordSets, Snapshot};

pub(crate) const PAGE: usize = 4096;
pub(crate) const TABLE: usize = 96;
pub(crate) const ROW: usize = 56;
pub(crate) const ALL_V4: Span<u32> = Span { first: 0, last: u32::MAX };
pub(crate) const ALL_V6: Span<u128> = Span { first: 0, last: u128::MAX };

/// Whatever is asked of a file of these octets, an answer or an error comes; also when a liar signed it.
pub(crate) fn any_bytes(data: &[u8]) {
    let mut random = Random(data.len() as u64);
    ask_everything(data, &mut random);
    if data.len() < PAGE || u32_at(data, 12) as usize > (PAGE - TABLE) / ROW {
        return;
    }
    let mut file = data.to_vec();
    let rows = table(&file);
    let len = file.len() as u64;
    file[..8].copy_from_slice(b"GPSNAP\x01\0");
    file[8..12].copy_from_slice(&(PAGE as u32).to_le_bytes());
    file[16..24].copy_from_slice(&len.to_le_bytes());
    sign(&mut file, &rows);
    ask_everything(&file, &mut random);
}

/// SplitMix64, so that a failure can be run again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// A row of the section table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: u32,
    pub(crate) flags: u32,
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

pub(crate) fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(octets[at..at + 4].try_into().unwrap())
}

pub(crate) fn u64_at(octets: &[u8], at: usize) -> usize {
    u64::from_le_bytes(octets[at..at + 8].try_into().unwrap()) as usize
}

pub(crate) fn table(file: &[u8]) -> Vec<Row> {
    let row = |at| Row {
        id: u32_at(file, at),
        flags: u32_at(file, at + 4),
        offset: u64_at(file, at + 8),
        length: u64_at(file, at + 16),
    };
    (0..u32_at(file, 12) as usize).map(|n| row(TABLE + n * ROW)).collect()
}

/// Writes `rows` with the right hashes all over.
pub(crate) fn sign(file: &mut [u8], rows: &[Row]) {
    file[12..16].copy_from_slice(&(rows.len() as u32).to_le_bytes());
    file[TABLE..PAGE].fill(0);
    let mut content = Hasher::default();
    for (row, at) in rows.iter().zip((TABLE..).step_by(ROW)) {
        let section = file.get(row.offset..row.offset.saturating_add(row.length)).unwrap_or_default();
        let hash = ContentHash::of(section);
        let head = [
            &row.id.to_le_bytes()[..],
            &row.flags.to_le_bytes(),
            &(row.offset as u64).to_le_bytes(),
            &(row.length as u64).to_le_bytes(),
            hash.as_bytes(),
        ]
        .concat();
        file[at..at + ROW].copy_from_slice(&head);
        if row.flags & 2 == 0 {
            content.update(&head[..4]);
            content.update(&head[16..24]);
            content.update(hash.as_bytes());
        }
    }
    file[24..56].copy_from_slice(content.finish().as_bytes());
    sign_header(file);
}

pub(crate) fn sign_header(file: &mut [u8]) {
    file[56..88].fill(0);
    let hash = ContentHash::of(&file[..PAGE]);
    file[56..88].copy_from_slice(hash.as_bytes());
}

/// Every call of the reader. `None` when it does not open, otherwise how many calls ended in an error.
pub(crate) fn ask_everything(file: &[u8], random: &mut Random) -> Option<u64> {
    let snapshot = Snapshot::open(file).ok()?;
    let mut errors = 0;
    let mut count = |failed: bool| errors += u64::from(failed);
    let addresses: Vec<u32> = (0..40)
        .map(|n| match n % 4 {
            0 => random.next() as u32,
            1 => 0x0600_0000 | random.next() as u32 & 0x81_ffff,
            _ => 0x0500_0000 | random.next() as u32 & 0xf_ffff,
        })
        .collect();
    let mut answers = vec![None; addresses.len()];
    let batch = snapshot.v4_batch(&addresses, &mut answers);
    let single: Vec<_> = addresses.iter().map(|&address| snapshot.v4(address)).collect();
    if batch.is_ok() {
        // A single call may meet damage that the batch does not look at.
        assert!(single.iter().zip(&answers).all(|(single, batch)| single.is_err() || *single == Ok(*batch)));
    } else {
        assert!(single.iter().any(Result::is_err));
    }
    single.iter().for_each(|answer| count(answer.is_err()));
    for &address in &addresses[..12] {
        for given in 0..=4 {
            count(snapshot.v4_any(&address.to_be_bytes()[..given]).is_err());
        }
        let within = Span { first: address, last: address | 0xffff };
        let mut end = None;
        for span in snapshot.v4_spans(within).take(3000) {
            let Ok(span) = span else {
                count(true);
                break;
            };
            assert!(span.span.first <= span.span.last && end.is_none_or(|end| end < span.span.first));
            end = Some(span.span.last);
        }
    }
    for _ in 0..8 {
        let address = u128::from(random.next()) << 64 | u128::from(random.next());
        let address = address >> random.below(40);
        count(snapshot.v6(address).is_err());
        count(snapshot.v6_any(Span { first: address, last: u128::MAX }).is_err());
    }
    count(snapshot.v6_spans(ALL_V6).take(100).any(|span| span.is_err()));
    let names =
        ["", "\x04spam", "\x02n7\x04spam", "\x01a\x03n10\x04spam", "\x05other", "\x01a\x02n5\x04spam"];
    names.iter().for_each(|labels| count(snapshot.name(labels.as_bytes()).is_err()));
    for id in (0..4).chain([u32::MAX, random.next() as u32]) {
        match snapshot.answer(id) {
            Ok(answer) => {
                assert!(answer.parts().count() <= 0xffff);
                read(answer.record_sets());
            }
            Err(_) => count(true),
        }
        match snapshot.value(id) {
            Ok(sets) => read(sets),
            Err(_) => count(true),
        }
    }
    assert!(snapshot.has_names() || snapshot.counts().names == 0);
    let _ = (snapshot.zone(), snapshot.lists(), snapshot.provenance(), snapshot.sections().count());
    Some(errors)
}

/// Every octet of every record.
pub(crate) fn read(sets: RecordSets<'_>) {
    for set in sets {
        for record in set.data() {
            match record {
                RdataRef::Wire(data) => assert!(data.len() <= 0xffff),
                RdataRef::Text(pieces) => assert!(pieces.count() <= 0xffff),
            }
        }
    }
}
