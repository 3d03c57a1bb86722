//! A zip archive of one member, read from its beginning to its end (APPNOTE.TXT of PKWARE, sections 4.3 and 4.4).
//!
//! [`Member`] is the member's content; it ends with an error unless length and checksum are what the archive says and the
//! directory behind it names that one member alone. The folders that it lies in may be named, too. Never: a second member,
//! encryption, methods but stored and deflate, the member's name.

use std::io::{self, BufRead, Read, Take};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

/// How an archive begins.
pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";

const DIRECTORY: [u8; 4] = *b"PK\x01\x02";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";

/// Folders that may be named before the member.
const FOLDERS: u32 = 16;

/// The header's id of the field with sizes of 64 bits.
const ZIP64: u16 = 1;

/// Why an archive is of no use. Comes as the inner error of an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// Two or more.
    #[error("the zip archive has more than one member")]
    Members,
    /// A password is needed.
    #[error("the zip archive is encrypted")]
    Encrypted,
    /// Packed in a way that is not read here.
    #[error("the zip archive is packed by method {0}, not stored or deflate")]
    Method(u16),
    /// What it says of itself is not so.
    #[error("the zip archive is damaged or cut: {0}")]
    Damaged(&'static str),
}

/// The content of the one member.
pub(super) struct Member<R> {
    /// Nothing once its end was checked.
    data: Option<Data<R>>,
    crc: Crc,
    given: u64,
    header: Header,
}

enum Data<R> {
    Stored(Take<R>),
    Deflate(DeflateDecoder<R>),
}

/// What stands before an entry.
struct Local {
    flags: u16,
    method: u16,
    zip64: bool,
    sums: Sums,
    is_folder: bool,
}

impl Local {
    fn read(archive: &mut impl Read, is_first: bool) -> io::Result<Self> {
        let fixed: [u8; 30] = take(archive)?;
        if !is_first && fixed[..4] != MAGIC {
            return Err(failed(ZipError::Damaged("no member behind its folder")));
        }
        let flags = u16_at(&fixed, 6);
        // Encrypted: the data, by keys of its own, or the directory.
        if flags & (1 | 1 << 6 | 1 << 13) != 0 {
            return Err(failed(ZipError::Encrypted));
        }
        let mut sums = Sums {
            crc: u32_at(&fixed, 14),
            packed: u32_at(&fixed, 18).into(),
            size: u32_at(&fixed, 22).into(),
        };
        let is_called_folder = ends_with_slash(archive, u16_at(&fixed, 26).into())?;
        let mut extra = vec![0; u16_at(&fixed, 28).into()];
        archive.read_exact(&mut extra).map_err(cut)?;
        let zip64 = field(&extra, ZIP64);
        if let Some([size, packed]) = zip64.and_then(|sizes| Some([sizes.get(..8)?, sizes.get(8..16)?])) {
            sums.size = u64::from_le_bytes(size.try_into().expect("eight"));
            sums.packed = u64::from_le_bytes(packed.try_into().expect("eight"));
        }
        // One whose length stands behind it is not known to be empty.
        let is_folder = is_called_folder && flags & 1 << 3 == 0 && sums.size == 0 && sums.packed <= 16;
        Ok(Self { flags, method: u16_at(&fixed, 8), zip64: zip64.is_some(), sums, is_folder })
    }
}

/// What stands before the data.
struct Header {
    /// They stand behind the data instead.
    descriptor: bool,
    zip64: bool,
    sums: Sums,
    /// Folders before the member.
    folders: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Sums {
    crc: u32,
    packed: u64,
    size: u64,
}

impl<R: BufRead> Member<R> {
    /// Of an archive from its first octet.
    pub(super) fn open(mut archive: R) -> io::Result<Self> {
        let mut folders = 0;
        let local = loop {
            let local = Local::read(&mut archive, folders == 0)?;
            if !local.is_folder {
                break local;
            }
            folders += 1;
            if folders > FOLDERS {
                return Err(failed(ZipError::Members));
            }
            // Nothing, packed.
            skip(&mut archive, local.sums.packed)?;
        };
        let descriptor = local.flags & 1 << 3 != 0;
        let data = match local.method {
            0 if descriptor => return Err(failed(ZipError::Damaged("stored without a length"))),
            0 => Data::Stored(archive.take(local.sums.packed)),
            8 => Data::Deflate(DeflateDecoder::new(archive)),
            other => return Err(failed(ZipError::Method(other))),
        };
        let header = Header { descriptor, zip64: local.zip64, sums: local.sums, folders };
        Ok(Self { data: Some(data), crc: Crc::new(), given: 0, header })
    }

    /// What stands behind the data holds against it.
    fn check(&self, data: Data<R>) -> io::Result<()> {
        let (mut archive, packed) = match data {
            Data::Stored(stored) => (stored.into_inner(), self.given),
            Data::Deflate(decoder) => {
                let packed = decoder.total_in();
                (decoder.into_inner(), packed)
            }
        };
        let found = Sums { crc: self.crc.sum(), packed, size: self.given };
        let (said, next) = match self.header.descriptor {
            true => descriptor(&mut archive, self.header.zip64)?,
            false => (self.header.sums, take(&mut archive)?),
        };
        if said != found {
            return Err(failed(ZipError::Damaged("length or checksum is another")));
        }
        match next {
            DIRECTORY => {}
            MAGIC => return Err(failed(ZipError::Members)),
            _ => return Err(failed(ZipError::Damaged("no directory behind the member"))),
        }
        let (mut files, mut folders) = (0, 0);
        let end = loop {
            let entry: [u8; 42] = take(&mut archive)?;
            let [name, more, comment] = [24, 26, 28].map(|at| u64::from(u16_at(&entry, at)));
            let is_folder = ends_with_slash(&mut archive, name)? && u32_at(&entry, 20) == 0;
            skip(&mut archive, more + comment)?;
            *if is_folder { &mut folders } else { &mut files } += 1;
            if !is_folder && u32_at(&entry, 12) != found.crc {
                return Err(failed(ZipError::Damaged("the directory names another member")));
            }
            match take(&mut archive)? {
                DIRECTORY if files > 1 || folders > self.header.folders => {
                    return Err(failed(ZipError::Members));
                }
                DIRECTORY => {}
                end => break end,
            }
        };
        match (files, end) {
            (1, END) if folders == self.header.folders => take::<18>(&mut archive).map(|_| ()),
            (1, END_64) if folders == self.header.folders => take::<52>(&mut archive).map(|_| ()),
            (1, END | END_64) => Err(failed(ZipError::Damaged("the directory names other folders"))),
            (_, END | END_64) => Err(failed(ZipError::Members)),
            _ => Err(failed(ZipError::Damaged("the directory has no end"))),
        }?;
        // Whatever comment there is: what the archive itself is packed in is checked at its end alone.
        io::copy(&mut archive, &mut io::sink()).map(|_| ())
    }
}

impl<R: BufRead> Read for Member<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.data {
            None => return Ok(0),
            Some(Data::Stored(stored)) => stored.read(buffer).map_err(cut)?,
            Some(Data::Deflate(decoder)) => decoder.read(buffer).map_err(cut)?,
        };
        self.crc.update(&buffer[..read]);
        self.given += read as u64;
        if read == 0
            && let Some(data) = self.data.take()
        {
            self.check(data)?;
        }
        Ok(read)
    }
}

/// Sums behind the data, with or without a signature, and the next signature.
fn descriptor(archive: &mut impl Read, zip64: bool) -> io::Result<(Sums, [u8; 4])> {
    let first: [u8; 4] = take(archive)?;
    let crc = if first == DESCRIPTOR { take(archive)? } else { first };
    let mut size = || match zip64 {
        true => take(archive).map(u64::from_le_bytes),
        false => take(archive).map(|size| u32::from_le_bytes(size).into()),
    };
    let (packed, size) = (size()?, size()?);
    Ok((Sums { crc: u32::from_le_bytes(crc), packed, size }, take(archive)?))
}

/// The field with this id among a header's.
fn field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let len = u16_at(head, 2).into();
        if u16_at(head, 0) == id {
            return rest.get(..len);
        }
        extra = rest.get(len..)?;
    }
    None
}

fn take<const N: usize>(archive: &mut impl Read) -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    archive.read_exact(&mut octets).map_err(cut)?;
    Ok(octets)
}

fn skip(archive: &mut impl Read, octets: u64) -> io::Result<()> {
    match io::copy(&mut archive.take(octets), &mut io::sink())? {
        skipped if skipped == octets => Ok(()),
        _ => Err(failed(ZipError::Damaged("it ends early"))),
    }
}

/// Whether a name of so many octets is a folder's.
fn ends_with_slash(archive: &mut impl Read, octets: u64) -> io::Result<bool> {
    let Some(before) = octets.checked_sub(1) else { return Ok(false) };
    skip(archive, before)?;
    Ok(take::<1>(archive)? == *b"/")
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([octets[at], octets[at + 1]])
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from(u16_at(octets, at)) | u32::from(u16_at(octets, at + 2)) << 16
}

fn cut(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        failed(ZipError::Damaged("it ends early"))
    } else {
        error
    }
}

fn failed(error: ZipError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// How an archive is written.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(in crate::feed::decode) enum Way {
        Stored,
        Deflate,
        /// Lengths behind the data, as when a pipe is written to.
        Streamed,
    }

    fn local(way: Way, crc: u32, packed: usize, size: usize, flags: u16) -> Vec<u8> {
        let streamed = way == Way::Streamed;
        let method: u16 = if way == Way::Stored { 0 } else { 8 };
        let mut out = MAGIC.to_vec();
        out.extend(20u16.to_le_bytes());
        out.extend((flags | u16::from(streamed) << 3).to_le_bytes());
        out.extend(method.to_le_bytes());
        out.extend([0; 4]);
        for number in [crc, packed as u32, size as u32] {
            out.extend(if streamed { 0 } else { number }.to_le_bytes());
        }
        out.extend(4u16.to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out.extend(b"name");
        out
    }

    fn member(text: &[u8], way: Way, flags: u16) -> (Vec<u8>, Vec<u8>) {
        let packed = match way {
            Way::Stored => text.to_vec(),
            _ => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
        };
        let mut crc = Crc::new();
        crc.update(text);
        let mut out = local(way, crc.sum(), packed.len(), text.len(), flags);
        out.extend(&packed);
        let sums = [crc.sum(), packed.len() as u32, text.len() as u32];
        if way == Way::Streamed {
            out.extend(DESCRIPTOR);
            sums.iter().for_each(|sum| out.extend(sum.to_le_bytes()));
        }
        let mut entry = DIRECTORY.to_vec();
        entry.extend([0; 12]);
        sums.iter().for_each(|sum| entry.extend(sum.to_le_bytes()));
        entry.extend(4u16.to_le_bytes());
        entry.extend([0; 16]);
        entry.extend(b"name");
        (out, entry)
    }

    pub(in crate::feed::decode) fn zip(text: &[u8], way: Way) -> Vec<u8> {
        let (mut out, entry) = member(text, way, 0);
        out.extend(entry);
        out.extend(END);
        out.extend([0; 18]);
        out
    }

    fn read(archive: &[u8]) -> Result<Vec<u8>, ZipError> {
        let mut text = Vec::new();
        let read = Member::open(archive).and_then(|mut member| member.read_to_end(&mut text));
        read.map(|_| text).map_err(|error| *error.get_ref().unwrap().downcast_ref().unwrap())
    }

    const TEXT: &[u8] = b"192.0.2.1\n192.0.2.2\n192.0.2.3\n";

    #[test]
    fn one_member_in_any_way() {
        for way in [Way::Stored, Way::Deflate, Way::Streamed] {
            assert_eq!(read(&zip(TEXT, way)).unwrap(), TEXT);
        }
        assert_eq!(read(&zip(b"", Way::Deflate)).unwrap(), b"");
    }

    /// A folder's entry: before the member, and in the directory.
    fn folder() -> (Vec<u8>, Vec<u8>) {
        let (mut here, mut entry) = member(b"", Way::Stored, 0);
        *here.last_mut().unwrap() = b'/';
        *entry.last_mut().unwrap() = b'/';
        (here, entry)
    }

    #[test]
    fn folders_are_no_members() {
        let (folder, folder_entry) = folder();
        for way in [Way::Stored, Way::Deflate, Way::Streamed] {
            let (one, entry) = member(TEXT, way, 0);
            let archive = [&folder[..], &one, &folder_entry, &entry, &END, &[0; 18]].concat();
            assert_eq!(read(&archive).unwrap(), TEXT);
            let reversed = [&folder[..], &one, &entry, &folder_entry, &END, &[0; 18]].concat();
            assert_eq!(read(&reversed).unwrap(), TEXT);
            let unnamed = [&folder[..], &one, &entry, &END, &[0; 18]].concat();
            assert!(matches!(read(&unnamed), Err(ZipError::Damaged(_))));
            let two = [&folder[..], &one, &one, &folder_entry, &entry, &entry, &END, &[0; 18]].concat();
            assert_eq!(read(&two), Err(ZipError::Members));
            let hidden = [&folder[..], &one, &folder_entry, &entry, &entry, &END, &[0; 18]].concat();
            assert_eq!(read(&hidden), Err(ZipError::Members));
        }
        let none = [&folder[..], &folder_entry, &END, &[0; 18]].concat();
        assert!(matches!(read(&none), Err(ZipError::Damaged(_))));
        assert_eq!(read(&folder.repeat(17)), Err(ZipError::Members));
    }

    #[test]
    fn cut_anywhere_it_is_an_error() {
        for way in [Way::Stored, Way::Deflate, Way::Streamed] {
            let whole = zip(TEXT, way);
            for end in 4..whole.len() {
                assert!(matches!(read(&whole[..end]), Err(ZipError::Damaged(_))), "cut at {end}");
            }
        }
    }

    #[test]
    fn what_is_not_read() {
        let (one, entry) = member(TEXT, Way::Deflate, 0);
        let two = [&one[..], &one, &entry, &entry, &END, &[0; 18]].concat();
        assert_eq!(read(&two), Err(ZipError::Members));
        let hidden = [&one[..], &entry, &entry, &END, &[0; 18]].concat();
        assert_eq!(read(&hidden), Err(ZipError::Members));
        assert_eq!(read(&member(TEXT, Way::Deflate, 1).0), Err(ZipError::Encrypted));
        let mut other = zip(TEXT, Way::Deflate);
        other[8] = 12;
        assert_eq!(read(&other), Err(ZipError::Method(12)));
        let mut damaged = zip(TEXT, Way::Stored);
        damaged[40] ^= 1;
        assert!(matches!(read(&damaged), Err(ZipError::Damaged(_))));
    }
}
