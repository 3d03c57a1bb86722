//! Since when each entry of a set is there, and its stored form.
//!
//! ```text
//! magic      8   "GPSINC" and two octets of format version, little-endian
//! set       32   the name of the set
//! versions   v   count, then each: 1 when entries may be older than it, else 0; time in 8 octets, little-endian, seconds
//!                since 1970; name of the set of this version
//! runs       v   each: how many rows, the version in which their entries came; all rows of the set in order
//! hash      32   BLAKE3 of all before it
//! ```
//!
//! A list that never changes needs one run. Nothing is held for each entry: [`Since::next`] reads the old runs and writes
//! the new ones in one pass over both sets.

use std::ops::Range;

use super::Set;
use super::codec::{Input, SetError, put_u64};
use super::delta::{Step, changes};
use crate::model::ContentHash;

const MAGIC: &[u8; 6] = b"GPSINC";
const VERSION: u16 = 1;

/// Since when each entry of a set is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    set: ContentHash,
    /// Those in which an entry came that is still there, in the order in which they were taken.
    versions: Vec<Version>,
    runs: Runs,
}

/// A version of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// When it was taken, in seconds since 1970.
    pub time: i64,
    /// The name of its set.
    pub set: ContentHash,
    /// What was before it is not known: its entries may be older.
    pub at_least: bool,
}

impl Since {
    /// Of a set before which nothing is known: all its entries are there since then at least.
    pub fn begin(set: &Set, version: Version) -> Self {
        let mut runs = Runs::default();
        runs.push(0, set.rows());
        Self { set: version.set, versions: vec![Version { at_least: true, ..version }], runs: runs.finish() }
    }

    /// The set that it is of.
    pub fn set(&self) -> &ContentHash {
        &self.set
    }

    /// Rows of its set.
    pub fn rows(&self) -> usize {
        self.runs.rows
    }

    /// Of the set after this one: `version`, whose entries are `new`. `None` when `old` is not the set that this is of.
    #[must_use]
    pub fn next(&self, old: &Set, new: &Set, version: Version) -> Option<Self> {
        if old.rows() != self.runs.rows {
            return None;
        }
        let mut versions = self.versions.clone();
        let latest = versions.len() as u64;
        versions.push(version);
        let mut reader = Reader::of(&self.runs.octets);
        let mut runs = Runs::default();
        changes(old, new, |step, row, rows| match (step, row) {
            (Step::Kept | Step::Changed, Some(row)) => reader.copy(row, rows, &mut runs),
            (Step::Came, _) => runs.push(latest, rows),
            _ => {}
        });
        let (runs, versions) = runs.finish().without_unused(versions);
        Some(Self { set: version.set, versions, runs })
    }

    /// Since when there is one of the entries in these rows.
    pub fn of(&self, rows: Range<usize>) -> Option<&Version> {
        let mut reader = Reader::of(&self.runs.octets);
        let mut found = None;
        let mut row = 0;
        while row < rows.end
            && let Some((version, count)) = reader.run()
        {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            row = row.saturating_add(count);
            if row > rows.start && !rows.is_empty() {
                found = Some(found.map_or(version, |found: u64| found.min(version)));
            }
        }
        self.versions.get(usize::try_from(found?).ok()?)
    }

    /// Its octets.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.versions.len() * 41 + self.runs.octets.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(self.set.as_bytes());
        put_u64(&mut out, self.versions.len() as u64);
        for version in &self.versions {
            out.push(u8::from(version.at_least));
            out.extend_from_slice(&version.time.to_le_bytes());
            out.extend_from_slice(version.set.as_bytes());
        }
        out.extend_from_slice(&self.runs.octets);
        let hash = ContentHash::of(&out);
        out.extend_from_slice(hash.as_bytes());
        out
    }

    /// What octets say. Checks their hash and every bound.
    ///
    /// # Errors
    /// When they are of another kind or version, or damaged.
    pub fn decode(octets: &[u8]) -> Result<Self, SetError> {
        let head =
            octets.first_chunk::<8>().filter(|head| head.starts_with(MAGIC)).ok_or(SetError::Foreign)?;
        let version = u16::from_le_bytes([head[6], head[7]]);
        if version != VERSION {
            return Err(SetError::Version(version));
        }
        let (body, hash) = octets.split_last_chunk::<32>().ok_or(SetError::Damaged)?;
        if ContentHash::of(body).as_bytes() != hash {
            return Err(SetError::Damaged);
        }
        body.get(8..).and_then(Self::read).ok_or(SetError::Damaged)
    }

    fn read(body: &[u8]) -> Option<Self> {
        let mut input = Input(body);
        let set = hash(&mut input)?;
        let count = input.count()?;
        let versions: Vec<Version> = (0..count).map(|_| version(&mut input)).collect::<Option<_>>()?;
        let mut rows = 0usize;
        let mut reader = Reader::of(input.0);
        while !reader.rest.is_empty() {
            let (version, count) = reader.run()?;
            rows = rows.checked_add(usize::try_from(count).ok()?)?;
            usize::try_from(version).ok().filter(|&version| version < versions.len())?;
        }
        let runs = Runs { octets: input.0.to_vec(), rows, ..Runs::default() };
        Some(Self { set, versions, runs })
    }
}

fn hash(input: &mut Input) -> Option<ContentHash> {
    let (hash, rest) = input.0.split_first_chunk::<32>()?;
    input.0 = rest;
    Some(ContentHash::from_bytes(*hash))
}

fn version(input: &mut Input) -> Option<Version> {
    let at_least = input.octet()? != 0;
    let (time, rest) = input.0.split_first_chunk::<8>()?;
    input.0 = rest;
    Some(Version { time: i64::from_le_bytes(*time), set: hash(input)?, at_least })
}

/// Rows of one version behind one another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Runs {
    octets: Vec<u8>,
    rows: usize,
    /// The last run, which may become longer.
    last: Option<(u64, usize)>,
}

impl Runs {
    #[inline]
    fn push(&mut self, version: u64, rows: usize) {
        if rows == 0 {
            return;
        }
        self.rows += rows;
        match &mut self.last {
            Some((last, count)) if *last == version => *count += rows,
            _ => {
                self.flush();
                self.last = Some((version, rows));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((version, rows)) = self.last.take() {
            put_u64(&mut self.octets, rows as u64);
            put_u64(&mut self.octets, version);
        }
    }

    fn finish(mut self) -> Self {
        self.flush();
        self
    }

    /// Forgets the versions of which nothing is left.
    fn without_unused(self, versions: Vec<Version>) -> (Self, Vec<Version>) {
        let mut is_used = vec![false; versions.len()];
        let mut reader = Reader::of(&self.octets);
        while let Some((version, _)) = reader.run() {
            is_used[version as usize] = true;
        }
        if is_used.iter().all(|&is_used| is_used) {
            return (self, versions);
        }
        let mut left = Vec::new();
        let mut numbers: Vec<u64> = Vec::with_capacity(versions.len());
        for (version, is_used) in versions.into_iter().zip(is_used) {
            numbers.push(left.len() as u64);
            if is_used {
                left.push(version);
            }
        }
        let mut runs = Self::default();
        let mut reader = Reader::of(&self.octets);
        while let Some((version, rows)) = reader.run() {
            runs.push(numbers[version as usize], rows as usize);
        }
        (runs.finish(), left)
    }
}

/// Reads runs.
struct Reader<'a> {
    all: &'a [u8],
    rest: &'a [u8],
    /// The first row of what is left of the run at hand.
    row: usize,
    version: u64,
    left: usize,
}

impl<'a> Reader<'a> {
    fn of(octets: &'a [u8]) -> Self {
        Self { all: octets, rest: octets, row: 0, version: 0, left: 0 }
    }

    /// The next run: its version and its rows.
    #[inline]
    fn run(&mut self) -> Option<(u64, u64)> {
        let rows = self.number()?;
        Some((self.number()?, rows))
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for (at, &octet) in self.rest.iter().enumerate().take(10) {
            number |= u64::from(octet & 0x7f).checked_shl(7 * at as u32)?;
            if octet < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Some(number);
            }
        }
        None
    }

    /// Copies the versions of `rows` rows from `from` on.
    fn copy(&mut self, from: usize, rows: usize, into: &mut Runs) {
        if from < self.row {
            *self = Self::of(self.all);
        }
        self.skip(from - self.row, |_, _| {});
        self.skip(rows, |version, rows| into.push(version, rows));
    }

    fn skip(&mut self, mut rows: usize, mut passed: impl FnMut(u64, usize)) {
        while rows > 0 {
            if self.left == 0 {
                let Some((version, left)) = self.run() else { return };
                (self.version, self.left) = (version, usize::try_from(left).unwrap_or(usize::MAX));
            }
            let some = rows.min(self.left);
            passed(self.version, some);
            rows -= some;
            self.left -= some;
            self.row += some;
        }
    }
}
