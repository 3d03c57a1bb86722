//! Cuts a byte stream into blocks of whole lines, with one buffer that is used over and over.
//!
//! A [`Block`] holds many lines, so that a format's fast path runs over them without being called for each. Every
//! line in it ends with LF: a last line without one gets it here. A byte order mark at the very beginning is
//! dropped. CR before LF is the caller's to drop.

use std::io::{self, Read};

/// The longest line in octets, its end not counted; a longer one is a bad line and not kept in memory.
pub const LINE_MAX: usize = 1 << 20;

/// First size of the buffer: fits the second-level cache. Grows only when a line does not fit.
const BUFFER: usize = 1 << 18;

/// Octets past a block that may be looked at (not used): a fast path reads 16 at once.
const SLACK: usize = 16;

/// A buffer of this size holds a line of [`LINE_MAX`], one octet too many, and LF.
const BUFFER_MAX: usize = LINE_MAX + 2 + SLACK;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What comes next in the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block<'a> {
    /// `buffer[..len]` is one or more whole lines, each ended by LF; what follows is of no meaning.
    Lines {
        /// The lines and a few octets more.
        buffer: &'a [u8],
        /// Octets that belong to the lines.
        len: usize,
    },
    /// The beginning of a line longer than [`LINE_MAX`]; the rest is skipped.
    TooLong(&'a [u8]),
}

/// See the module's documentation.
pub(super) struct Blocks<R> {
    input: R,
    buffer: Vec<u8>,
    /// `buffer[start..end]` is read and not yet handed out.
    start: usize,
    end: usize,
    /// Octets of an overlong line are being dropped.
    skipping: bool,
    at_start: bool,
    at_end: bool,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(input: R) -> Self {
        let buffer = vec![0; BUFFER];
        Self { input, buffer, start: 0, end: 0, skipping: false, at_start: true, at_end: false }
    }

    /// The next lines; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Block<'_>>> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // Octets of the unfinished line at the beginning of the buffer that hold no LF for certain.
        let mut scanned = 0;
        loop {
            if self.at_start {
                self.fill()?;
                continue;
            }
            if let Some(at) = memchr::memrchr(b'\n', &self.buffer[scanned..self.end]) {
                let len = scanned + at + 1;
                if self.skipping {
                    let first = self.buffer[..len].iter().position(|&b| b == b'\n').unwrap_or(at);
                    self.skipping = false;
                    self.buffer.copy_within(first + 1..self.end, 0);
                    self.end -= first + 1;
                    scanned = 0;
                    continue;
                }
                self.start = len;
                return Ok(Some(Block::Lines { buffer: &self.buffer, len }));
            }
            scanned = self.end;
            if self.skipping {
                self.end = 0;
                scanned = 0;
            }
            if self.at_end {
                if self.end == 0 {
                    return Ok(None);
                }
                self.buffer[self.end] = b'\n';
                self.end += 1;
                continue;
            }
            if self.end == self.buffer.len() - SLACK {
                if self.buffer.len() == BUFFER_MAX {
                    self.skipping = true;
                    self.start = self.end;
                    return Ok(Some(Block::TooLong(&self.buffer[..self.end])));
                }
                self.buffer.resize((self.buffer.len() * 2).min(BUFFER_MAX), 0);
            }
            self.fill()?;
        }
    }

    /// Reads what there is room for, but for one octet that the last LF may need.
    fn fill(&mut self) -> io::Result<()> {
        let room = self.buffer.len() - SLACK;
        let got = loop {
            match self.input.read(&mut self.buffer[self.end..room]) {
                Ok(got) => break got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        self.end += got;
        self.at_end = got == 0;
        if self.at_start && (self.end >= BOM.len() || self.at_end) {
            self.at_start = false;
            if self.buffer[..self.end].starts_with(BOM) {
                self.buffer.copy_within(BOM.len()..self.end, 0);
                self.end -= BOM.len();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the input in pieces of `step` octets.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let take = self.1.min(self.0.len()).min(out.len());
            out[..take].copy_from_slice(&self.0[..take]);
            self.0 = &self.0[take..];
            Ok(take)
        }
    }

    /// Lines, and `None` for a line that is too long.
    fn read(input: &[u8], step: usize) -> Vec<Option<Vec<u8>>> {
        let mut blocks = Blocks::new(Drip(input, step));
        let mut lines = Vec::new();
        while let Some(block) = blocks.next().unwrap() {
            match block {
                Block::Lines { buffer, len } => {
                    let text = buffer[..len].strip_suffix(b"\n").expect("ends with LF");
                    lines.extend(text.split(|&b| b == b'\n').map(|line| Some(line.to_vec())));
                }
                Block::TooLong(_) => lines.push(None),
            }
        }
        lines
    }

    #[test]
    fn whole_lines_whatever_the_pieces() {
        let expect: Vec<_> = [&b"a"[..], b"", b"bc\r", b"d"].map(|l| Some(l.to_vec())).into();
        for step in [1, 2, 3, 100] {
            assert_eq!(read(b"\xef\xbb\xbfa\n\nbc\r\nd", step), expect, "{step}");
            assert_eq!(read(b"", step), []);
            assert_eq!(read(b"\xef\xbb\xbf", step), []);
            assert_eq!(read(b"\n", step), [Some(vec![])]);
        }
    }

    #[test]
    fn long_lines() {
        let longest = vec![b'x'; LINE_MAX];
        let mut input = b"a\n".to_vec();
        input.extend(&longest);
        input.extend(b"\nb\n");
        input.extend(&longest);
        input.extend(b"xx\nc\n");
        input.extend(&longest);
        input.extend(&longest);
        let expect =
            [Some(b"a".to_vec()), Some(longest), Some(b"b".to_vec()), None, Some(b"c".to_vec()), None];
        for step in [4096, 300_000, usize::MAX] {
            let lines = read(&input, step);
            assert!(lines == expect, "{step}");
        }
    }

    #[test]
    fn errors_pass_through() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        assert!(Blocks::new(Broken).next().is_err());
    }
}
