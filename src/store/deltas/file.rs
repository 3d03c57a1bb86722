//! The file of one delta.
//!
//! ```text
//! magic      8   "GPDELT" and two octets of format version, little-endian
//! times     16   when the set before was taken, when the set after it: seconds since 1970, little-endian
//! sets      64   the names of the two
//! length     8   octets of the delta, little-endian
//! delta          as of `set::delta`, in one zstd frame
//! hash      32   BLAKE3 of all before it
//! ```

use std::io::{Read, Write};
use std::path::Path;

use crate::model::ContentHash;
use crate::set::Version;
use crate::set::delta::Delta;
use crate::store::error::StoreError;
use crate::store::owner::read_sealed;

const MAGIC: &[u8; 6] = b"GPDELT";
const VERSION: u16 = 1;

/// Higher levels make deltas a fortieth smaller and take several times as long.
const LEVEL: i32 = 3;

/// Below so many octets a block costs more than it saves.
const WORTH_A_BLOCK: usize = 256;

/// A delta that is longer was never written.
const MOST: u64 = 1 << 32;

/// How many times shorter packing makes most of them at the most.
const USUAL: usize = 8;

/// A delta and what it leads from and to.
pub(super) struct Stored {
    pub(super) before: Version,
    pub(super) after: Version,
    pub(super) delta: Vec<u8>,
}

/// The octets of the file.
pub(super) fn octets(before: &Version, after: &Version, delta: &Delta) -> std::io::Result<Vec<u8>> {
    let packed = packed(delta)?;
    let mut out = Vec::with_capacity(packed.len() + 128);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&before.time.to_le_bytes());
    out.extend_from_slice(&after.time.to_le_bytes());
    out.extend_from_slice(before.set.as_bytes());
    out.extend_from_slice(after.set.as_bytes());
    out.extend_from_slice(&(delta.octets.len() as u64).to_le_bytes());
    out.extend_from_slice(&packed);
    let hash = ContentHash::of(&out);
    out.extend_from_slice(hash.as_bytes());
    Ok(out)
}

/// A delta as it is stored: one zstd frame with a block for each sort of numbers, which differ in how often their octets
/// come.
///
/// # Errors
/// When memory is short.
pub fn packed(delta: &Delta) -> std::io::Result<Vec<u8>> {
    let mut packer = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
    packer.set_pledged_src_size(Some(delta.octets.len() as u64))?;
    packer.include_contentsize(false)?;
    let mut begun = 0;
    for &cut in &delta.cuts {
        if cut - begun >= WORTH_A_BLOCK && delta.octets.len() - cut >= WORTH_A_BLOCK {
            packer.write_all(&delta.octets[begun..cut])?;
            packer.flush()?;
            begun = cut;
        }
    }
    packer.write_all(&delta.octets[begun..])?;
    packer.finish()
}

/// The octets of a delta again, of which there are `len`.
///
/// # Errors
/// When they are damaged, or not as many.
pub fn unpacked(packed: &[u8], len: usize) -> std::io::Result<Vec<u8>> {
    // As it comes, not as it says: a few octets may speak of any number.
    let mut octets = Vec::with_capacity(len.min(packed.len().saturating_mul(USUAL)));
    zstd::stream::read::Decoder::new(packed)?.take(len as u64 + 1).read_to_end(&mut octets)?;
    if octets.len() == len { Ok(octets) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

/// What the file at `path` holds. Its hash is checked.
pub(super) fn read(path: &Path) -> Result<Stored, StoreError> {
    let octets = read_sealed(path)?;
    let damaged = || StoreError::damaged(path, "its hash does not fit its content");
    if let Some([.., low, high]) = octets.first_chunk::<8>().filter(|head| head.starts_with(MAGIC)) {
        let found = u16::from_le_bytes([*low, *high]);
        if found != VERSION {
            let (found, known) = (found.into(), VERSION.into());
            return Err(StoreError::Version { path: path.to_owned(), found, known });
        }
    }
    let (body, hash) = octets.split_last_chunk::<32>().ok_or_else(damaged)?;
    if ContentHash::of(body).as_bytes() != hash {
        return Err(damaged());
    }
    parts(body).ok_or_else(damaged)
}

fn parts(body: &[u8]) -> Option<Stored> {
    let mut rest = body.strip_prefix(MAGIC)?.get(2..)?;
    let (before, after) = (number(&mut rest)?, number(&mut rest)?);
    let version = |rest: &mut &[u8], time: u64| {
        let (hash, left) = rest.split_first_chunk::<32>()?;
        *rest = left;
        Some(Version { time: time as i64, set: ContentHash::from_bytes(*hash), at_least: false })
    };
    let (before, after) = (version(&mut rest, before)?, version(&mut rest, after)?);
    let len = number(&mut rest).filter(|&len| len <= MOST)?;
    let delta = unpacked(rest, usize::try_from(len).ok()?).ok()?;
    Some(Stored { before, after, delta })
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, left) = rest.split_first_chunk::<8>()?;
    *rest = left;
    Some(u64::from_le_bytes(*number))
}
