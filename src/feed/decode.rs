//! Opens a body: gzip, zstd and a zip archive of one member are found by content, never by name or header, and what
//! comes out is counted.

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flate2::bufread::{GzDecoder, MultiGzDecoder};

mod zip;

pub use zip::ZipError;

/// Decoded octets for each received one that are plausible: text lists shrink by 3 to 10, never by 100.
const RATIO: u64 = 100;

/// The ratio is not looked at before so many octets: short files of one repeated line are no bombs.
const RATIO_FROM: u64 = 1 << 20;

/// A `.gz` file that the server compressed once more is two layers; more is a trick.
const LAYERS: usize = 2;

/// Log of the largest window that a zstd frame may ask for: 8 MiB, what RFC 8878 section 3.1.1.1.2 recommends and RFC 9659
/// makes the limit. It is allocated on the word of a stranger.
const WINDOW_LOG: u32 = 23;

/// Why a body cannot be opened. Comes as the inner error of an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Too much came out.
    #[error("more than {0} octets after decompression")]
    TooLarge(u64),
    /// Too much came out of too little.
    #[error("decompresses to more than {RATIO} times its size")]
    Bomb,
    /// Compressed again and again.
    #[error("compressed more than {LAYERS} times over")]
    Layers,
    /// Nothing says how many pieces there are.
    #[error("the connection closed, and what came is packed in several pieces: others may be missing")]
    Pieces,
}

/// How the layer of a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
    Zip,
}

impl Packing {
    /// Octets that tell.
    const TELLING: usize = 4;

    fn of(head: &[u8]) -> Option<Self> {
        match head {
            // RFC 1952 section 2.3.1, RFC 8878 section 3.1.1.
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ if head.starts_with(&zip::MAGIC) => Some(Self::Zip),
            _ => None,
        }
    }
}

/// Whether a body that begins like this is packed: then it has lengths and checksums of its own.
pub fn is_packed(head: &[u8]) -> bool {
    Packing::of(head).is_some()
}

/// The text of `body`: as it is, or unpacked when it is gzip or zstd (all members of it) or zip. Reading fails once more than
/// `max_decoded` octets have come out, or more than a hundred times what went in.
pub fn decode<'a>(body: impl Read + Send + 'a, max_decoded: u64) -> io::Result<Box<dyn Read + Send + 'a>> {
    decode_with(body, max_decoded, Pieces::All)
}

/// The same, but a packed body is one gzip member or zstd frame: its own end is the end of the body, which nobody else told.
pub fn decode_alone<'a>(
    body: impl Read + Send + 'a,
    max_decoded: u64,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    decode_with(body, max_decoded, Pieces::Alone)
}

/// The same, but what lies behind the last gzip member and begins no further one is ignored, as by rbldnsd; `has_tail`
/// becomes true when there is such.
pub fn decode_with_tail<'a>(
    body: impl Read + Send + 'a,
    max_decoded: u64,
    has_tail: &'a AtomicBool,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    decode_with(body, max_decoded, Pieces::AllAndTail(has_tail))
}

/// What a packed layer consists of.
#[derive(Debug, Clone, Copy)]
enum Pieces<'a> {
    All,
    AllAndTail(&'a AtomicBool),
    Alone,
}

fn decode_with<'a>(
    body: impl Read + Send + 'a,
    max_decoded: u64,
    mut pieces: Pieces<'a>,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let received = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner: body, count: received.clone() };
    let (packing, first) = peek(counted)?;
    let Some(mut packing) = packing else {
        return Ok(Box::new(Capped { inner: first, given: 0, max: max_decoded, received: None }));
    };
    let mut reader: Box<dyn Read + Send + 'a> = Box::new(first);
    for _ in 0..LAYERS {
        let unpacked = unpack(packing, io::BufReader::new(reader), pieces)?;
        // Whatever is in a whole piece is whole.
        if let Pieces::Alone = pieces {
            pieces = Pieces::All;
        }
        let capped = Capped { inner: unpacked, given: 0, max: max_decoded, received: Some(received.clone()) };
        let (again, next) = peek(capped)?;
        reader = Box::new(next);
        match again {
            Some(again) => packing = again,
            None => return Ok(reader),
        }
    }
    Err(invalid(DecodeError::Layers))
}

fn unpack<'a>(
    packing: Packing,
    packed: impl BufRead + Send + 'a,
    pieces: Pieces<'a>,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match (packing, pieces) {
        (Packing::Gzip, Pieces::All) => Box::new(MultiGzDecoder::new(packed)),
        (Packing::Gzip, Pieces::AllAndTail(has_tail)) => {
            Box::new(Members { member: Some(GzDecoder::new(packed)), has_tail })
        }
        (Packing::Gzip, Pieces::Alone) => {
            Box::new(Alone { piece: GzDecoder::new(packed), rest: |piece| piece.get_mut().fill_buf() })
        }
        (Packing::Zip, _) => Box::new(zip::Member::open(packed)?),
        (Packing::Zstd, _) => {
            let mut decoder = zstd::Decoder::with_buffer(packed)?;
            decoder.window_log_max(WINDOW_LOG)?;
            match pieces {
                Pieces::Alone => Box::new(Alone {
                    piece: decoder.single_frame(),
                    rest: |piece| piece.get_mut().fill_buf(),
                }),
                _ => Box::new(decoder),
            }
        }
    })
}

/// One piece, and an error when anything is behind it.
struct Alone<D> {
    piece: D,
    rest: fn(&mut D) -> io::Result<&[u8]>,
}

impl<D: Read> Read for Alone<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.piece.read(buffer)?;
        if read == 0 && !buffer.is_empty() && !(self.rest)(&mut self.piece)?.is_empty() {
            return Err(invalid(DecodeError::Pieces));
        }
        Ok(read)
    }
}

fn invalid(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A reader with its first octets put back.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// How what comes is packed, and a reader of all of it.
fn peek<R: Read>(mut inner: R) -> io::Result<(Option<Packing>, Whole<R>)> {
    let mut head = Vec::with_capacity(Packing::TELLING);
    inner.by_ref().take(Packing::TELLING as u64).read_to_end(&mut head)?;
    let packing = Packing::of(&head);
    Ok((packing, Cursor::new(head).chain(inner)))
}

/// The members of a gzip file, and what is no member behind the last.
struct Members<'a, R> {
    member: Option<GzDecoder<R>>,
    has_tail: &'a AtomicBool,
}

impl<R: BufRead> Read for Members<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { break };
            if rest.fill_buf()?.is_empty() {
                break;
            }
            // A header is read at once; without one it is no member.
            let next = GzDecoder::new(rest);
            match next.header() {
                Some(_) => self.member = Some(next),
                None => self.has_tail.store(true, Ordering::Relaxed),
            }
        }
        Ok(0)
    }
}

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Ends with an error instead of giving out too much.
struct Capped<R> {
    inner: R,
    given: u64,
    max: u64,
    /// Octets that went in, when they were packed.
    received: Option<Arc<AtomicU64>>,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.given += read as u64;
        if self.given > self.max {
            return Err(invalid(DecodeError::TooLarge(self.max)));
        }
        if let Some(received) = &self.received
            && self.given > RATIO_FROM
            && self.given > RATIO * received.load(Ordering::Relaxed)
        {
            return Err(invalid(DecodeError::Bomb));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::zip::tests::{Way, zip};
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: &[u8], max: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        decode(body, max)?.read_to_end(&mut text)?;
        Ok(text)
    }

    fn why(body: &[u8], max: u64) -> DecodeError {
        let error = read(body, max).unwrap_err();
        *error.get_ref().unwrap().downcast_ref().unwrap()
    }

    /// Text that packs about as well as a list of addresses.
    fn list(lines: u32) -> Vec<u8> {
        (0..lines).fold(Vec::new(), |mut text, n| {
            let [a, b, c, d] = n.wrapping_mul(2_654_435_761).to_be_bytes();
            writeln!(text, "{a}.{b}.{c}.{d}").unwrap();
            text
        })
    }

    #[test]
    fn plain_packed_and_packed_twice() {
        let text = list(1000);
        assert_eq!(read(&text, 1 << 20).unwrap(), text);
        assert_eq!(read(&gzip(&text), 1 << 20).unwrap(), text);
        assert_eq!(read(&gzip(&gzip(&text)), 1 << 20).unwrap(), text);
        assert_eq!(why(&gzip(&gzip(&gzip(&text))), 1 << 20), DecodeError::Layers);
        for short in [&b""[..], b"1", b"\x1f"] {
            assert_eq!(read(short, 10).unwrap(), short);
        }
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).unwrap()
    }

    #[test]
    fn zstd_and_zip_are_opened_and_counted_like_gzip() {
        let text = list(1000);
        let zips = [Way::Stored, Way::Deflate, Way::Streamed].map(|way| zip(&text, way));
        for packed in
            zips.into_iter().chain([zstd(&text), zstd(&gzip(&text)), gzip(&zip(&text, Way::Deflate))])
        {
            assert_eq!(read(&packed, 1 << 20).unwrap(), text);
            for cut in [5, packed.len() / 2, packed.len() - 1] {
                assert!(read(&packed[..cut], 1 << 20).is_err(), "cut at {cut}");
            }
        }
        assert_eq!(
            read(&[zstd(b"1.2.3.4\n"), zstd(b"5.6.7.8\n")].concat(), 100).unwrap(),
            b"1.2.3.4\n5.6.7.8\n"
        );
        assert!(read(&[zstd(b"1.2.3.4\n"), b"tail".to_vec()].concat(), 100).is_err());
        assert_eq!(why(&gzip(&zstd(&gzip(&text))), 1 << 20), DecodeError::Layers);
        let zeros = vec![b'0'; 8 << 20];
        for bomb in [zstd(&zeros), zip(&zeros, Way::Deflate), zip(&zstd(&zeros), Way::Stored)] {
            assert_eq!(why(&bomb, 1 << 30), DecodeError::Bomb);
        }
        for large in [zstd(&list(100_000)), zip(&list(100_000), Way::Streamed)] {
            assert_eq!(why(&large, 1 << 20), DecodeError::TooLarge(1 << 20));
        }
    }

    #[test]
    fn a_zstd_frame_cannot_ask_for_more_memory_than_that() {
        let window = |log: u32| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.include_contentsize(false).unwrap();
            encoder.write_all(&list(1000)).unwrap();
            encoder.finish().unwrap()
        };
        assert!(read(&window(23), 1 << 20).is_ok());
        let said = read(&window(27), 1 << 20).unwrap_err().to_string();
        assert!(said.contains("too much memory"), "{said}");
    }

    #[test]
    fn all_members_are_read() {
        let both = [gzip(b"1.2.3.4\n"), gzip(b"5.6.7.8\n")].concat();
        assert_eq!(read(&both, 100).unwrap(), b"1.2.3.4\n5.6.7.8\n");
    }

    #[test]
    fn one_piece_alone() {
        let read = |body: &[u8]| {
            let mut text = Vec::new();
            decode_alone(body, 1 << 20)?.read_to_end(&mut text).map(|_| text)
        };
        let text = list(1000);
        let plain = text.clone();
        for body in [plain, gzip(&text), zstd(&text), zip(&text, Way::Deflate), gzip(&[gzip(&text)].concat())]
        {
            assert_eq!(read(&body).unwrap(), text);
        }
        // In a whole piece there may be several.
        let halves = text.split_at(text.len() / 2);
        assert_eq!(read(&gzip(&[gzip(halves.0), gzip(halves.1)].concat())).unwrap(), text);
        for several in [[gzip(halves.0), gzip(halves.1)].concat(), [zstd(halves.0), zstd(halves.1)].concat()]
        {
            let error = read(&several).unwrap_err();
            assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&DecodeError::Pieces));
        }
    }

    fn read_with_tail(body: &[u8]) -> io::Result<(Vec<u8>, bool)> {
        let (mut text, has_tail) = (Vec::new(), AtomicBool::new(false));
        decode_with_tail(body, 1 << 20, &has_tail)?.read_to_end(&mut text)?;
        Ok((text, has_tail.into_inner()))
    }

    #[test]
    fn what_lies_behind_the_last_member_may_be_ignored() {
        let one = gzip(b"1.2.3.4\n");
        for tail in [&[0; 600][..], b"junk", b"\x1f", b"\x1f\x8b", b"\n"] {
            let body = [&one, tail].concat();
            assert!(read(&body, 100).is_err(), "{tail:?}");
            assert_eq!(read_with_tail(&body).unwrap(), (b"1.2.3.4\n".to_vec(), true), "{tail:?}");
        }
        assert_eq!(read_with_tail(&one).unwrap(), (b"1.2.3.4\n".to_vec(), false));
        let both = [&one[..], &gzip(b"5.6.7.8\n"), b"tail"].concat();
        assert_eq!(read_with_tail(&both).unwrap(), (b"1.2.3.4\n5.6.7.8\n".to_vec(), true));
        assert_eq!(
            read_with_tail(&gzip(&[&one[..], b"in"].concat())).unwrap(),
            (b"1.2.3.4\n".to_vec(), true)
        );
        // A member that is one and damaged is no tail.
        let cut = [&one[..], &one[..one.len() - 3]].concat();
        assert!(read_with_tail(&cut).is_err());
        assert!(read_with_tail(&one[..one.len() - 1]).is_err());
        assert_eq!(read_with_tail(b"plain").unwrap(), (b"plain".to_vec(), false));
    }

    #[test]
    fn cut_or_damaged_gzip_is_an_error() {
        let whole = gzip(&list(1000));
        for cut in [3, 9, 10, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
            assert!(read(&whole[..cut], 1 << 20).is_err(), "cut at {cut}");
        }
        let mut damaged = whole;
        let crc = damaged.len() - 6;
        damaged[crc] ^= 1;
        assert!(read(&damaged, 1 << 20).is_err());
    }

    #[test]
    fn bombs_end_early() {
        let zeros = vec![b'0'; 8 << 20];
        assert_eq!(why(&gzip(&zeros), 1 << 30), DecodeError::Bomb);
        assert_eq!(why(&gzip(&gzip(&zeros)), 1 << 30), DecodeError::Bomb);
        // Below a mebibyte nobody minds.
        assert!(read(&gzip(&zeros[..1 << 20]), 1 << 30).is_ok());
        let text = list(100_000);
        assert_eq!(why(&gzip(&text), 1 << 20), DecodeError::TooLarge(1 << 20));
        assert_eq!(why(&text, 1 << 20), DecodeError::TooLarge(1 << 20));
        assert!(read(&gzip(&text), text.len() as u64).is_ok());
    }

    /// Members without content give nothing out, but a packed layer of them is still counted.
    #[test]
    fn empty_members_packed_once_more_are_a_bomb() {
        let member = gzip(b"");
        let many = member.repeat((16 << 20) / member.len());
        assert_eq!(why(&gzip(&many), 1 << 30), DecodeError::Bomb);
    }
}
