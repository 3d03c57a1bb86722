//! Opens a body: gzip is found by content, never by name or header, and what comes out is counted.

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flate2::bufread::{GzDecoder, MultiGzDecoder};

/// Decoded octets for each received one that are plausible: text lists shrink by 3 to 10, never by 100.
const RATIO: u64 = 100;

/// The ratio is not looked at before so many octets: short files of one repeated line are no bombs.
const RATIO_FROM: u64 = 1 << 20;

/// A `.gz` file that the server compressed once more is two layers; more is a trick.
const LAYERS: usize = 2;

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
}

/// The text of `body`: as it is, or unpacked when it is gzip (all members of it). Reading fails once more than
/// `max_decoded` octets have come out, or more than a hundred times what went in.
pub fn decode<'a>(body: impl Read + Send + 'a, max_decoded: u64) -> io::Result<Box<dyn Read + Send + 'a>> {
    decode_with(body, max_decoded, None)
}

/// The same, but what lies behind the last gzip member and begins no further one is ignored, as by rbldnsd; `has_tail`
/// becomes true when there is such.
pub fn decode_with_tail<'a>(
    body: impl Read + Send + 'a,
    max_decoded: u64,
    has_tail: &'a AtomicBool,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    decode_with(body, max_decoded, Some(has_tail))
}

fn decode_with<'a>(
    body: impl Read + Send + 'a,
    max_decoded: u64,
    has_tail: Option<&'a AtomicBool>,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let received = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner: body, count: received.clone() };
    let (mut packed, first) = peek(counted)?;
    if !packed {
        return Ok(Box::new(Capped { inner: first, given: 0, max: max_decoded, received: None }));
    }
    let mut reader: Box<dyn Read + Send + 'a> = Box::new(first);
    for _ in 0..LAYERS {
        let reader_of_all = io::BufReader::new(reader);
        let unpacked: Box<dyn Read + Send + 'a> = match has_tail {
            None => Box::new(MultiGzDecoder::new(reader_of_all)),
            Some(has_tail) => Box::new(Members { member: Some(GzDecoder::new(reader_of_all)), has_tail }),
        };
        let capped = Capped { inner: unpacked, given: 0, max: max_decoded, received: Some(received.clone()) };
        let next;
        (packed, next) = peek(capped)?;
        reader = Box::new(next);
        if !packed {
            return Ok(reader);
        }
    }
    Err(invalid(DecodeError::Layers))
}

fn invalid(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A reader with its first octets put back.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// Whether what comes is gzip, and a reader of all of it.
fn peek<R: Read>(mut inner: R) -> io::Result<(bool, Whole<R>)> {
    let mut head = Vec::with_capacity(2);
    inner.by_ref().take(2).read_to_end(&mut head)?;
    let packed = head == [0x1f, 0x8b];
    Ok((packed, Cursor::new(head).chain(inner)))
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

    #[test]
    fn all_members_are_read() {
        let both = [gzip(b"1.2.3.4\n"), gzip(b"5.6.7.8\n")].concat();
        assert_eq!(read(&both, 100).unwrap(), b"1.2.3.4\n5.6.7.8\n");
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
