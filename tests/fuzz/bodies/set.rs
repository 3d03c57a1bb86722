//! Any octets as a stored set: a set that can be written again, or an error.

use gatepost::model::ContentHash;
use gatepost::set::codec;

/// What can be read can be written and is the same again; also when a liar signed it.
pub(crate) fn any_bytes(data: &[u8]) {
    read(data);
    let Some((body, hash)) = data.split_last_chunk::<32>() else { return };
    let right = ContentHash::of(body);
    if right.as_bytes() != hash {
        read(&[body, right.as_bytes()].concat());
    }
}

fn read(octets: &[u8]) {
    let Ok(set) = codec::decode(octets) else { return };
    let (text, _) = codec::encode(&set);
    assert!(codec::decode(&text).as_ref() == Ok(&set), "what was read, written and read again");
    assert!(codec::encode(&set).0 == text, "a set has one text");
}
