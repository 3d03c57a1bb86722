//! Spans of addresses as sections of a trie.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::net::Ipv4Addr;

use super::super::known::Known;
use super::super::{ExportError, Loss, Losses};
use super::row::{Row, Rows};
use super::section;
use crate::compile::{AnswerId, Answered, Budget};
use crate::model::{Address, Name, Span, Ttl};
use crate::snapshot::{AnswerRef, Damaged, Snapshot};

/// An address as rbldnsd's tries read it.
pub(super) trait Key: Address {
    /// Octets of the shortest text of one.
    const SHORTEST: usize;
    /// Of questions for one.
    fn budget(origin: &Name) -> Budget;
    /// Writes it.
    fn key(self, out: &mut impl Write) -> io::Result<()>;
}

impl Key for u32 {
    const SHORTEST: usize = "0.0.0.0".len();

    fn budget(origin: &Name) -> Budget {
        Budget::v4(origin)
    }

    fn key(self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{}", Ipv4Addr::from(self))
    }
}

impl Key for u128 {
    const SHORTEST: usize = "::".len();

    fn budget(origin: &Name) -> Budget {
        Budget::v6(origin)
    }

    fn key(self, out: &mut impl Write) -> io::Result<()> {
        // A dotted quad at the end is no word.
        if self >> 32 == 0xffff {
            return write!(out, "::ffff:{:x}:{:x}", self >> 16 & 0xffff, self & 0xffff);
        }
        struct Shown(u128);
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Address::write(self.0, f)
            }
        }
        write!(out, "{}", Shown(self))
    }
}

/// What stands in which section.
#[derive(Default)]
struct Section {
    /// The answer that most of its spans have, and how many: the default of its lines.
    most: (u64, AnswerId),
    /// Answers in it.
    answers: u64,
}

/// Writes the spans that `spans` walks, section by section. `left`: sections that the file may still have.
pub(super) fn write<A: Key, D: AsRef<[u8]>, I>(
    kind: (&str, &Name),
    snapshot: &Snapshot<D>,
    spans: impl Fn() -> I,
    left: &mut usize,
    losses: &mut Losses,
    out: &mut impl Write,
) -> Result<(), ExportError>
where
    I: Iterator<Item = Result<Answered<A>, Damaged>>,
{
    let rows_of = |answer: AnswerRef<'_>| Rows::of(answer, A::SHORTEST);
    let mut sections: BTreeMap<(usize, Ttl), Section> = BTreeMap::new();
    for (id, spans) in (0..).zip(counts(snapshot, spans())?).filter(|(_, spans)| *spans > 0) {
        let said = rows_of(snapshot.answer(id)?);
        said.tell(|| A::budget(&snapshot.zone().origin), losses);
        for row in &said.rows {
            let section = sections.entry((row.layer, row.ttl)).or_default();
            section.most = section.most.max((spans, id));
            section.answers += 1;
        }
    }
    let mut known = Known::new(snapshot, rows_of);
    for ((layer, ttl), Section { most, answers }) in sections {
        if *left == 0 {
            losses.add(Loss::Sections, answers);
            continue;
        }
        *left -= 1;
        section(kind, Some(ttl), out)?;
        let (_, default) = most;
        if let Some(row) = row(known.of(default)?, layer, ttl) {
            row.write(out)?;
            writeln!(out)?;
        }
        for item in spans() {
            let Answered { span, answer } = item?;
            let Some(row) = row(known.of(answer)?, layer, ttl) else { continue };
            let row = (answer != default).then_some(row);
            span.prefixes().try_for_each(|prefix| line(prefix, row, out))?;
        }
    }
    Ok(())
}

/// How many spans each answer has.
fn counts<A, D: AsRef<[u8]>>(
    snapshot: &Snapshot<D>,
    spans: impl Iterator<Item = Result<Answered<A>, Damaged>>,
) -> Result<Vec<u64>, Damaged> {
    let mut counts = vec![0; snapshot.counts().answers as usize];
    for item in spans {
        let id = item?.answer;
        match counts.get_mut(id as usize) {
            Some(count) => *count += 1,
            None => _ = snapshot.answer(id)?,
        }
    }
    Ok(counts)
}

fn row(said: &Rows, layer: usize, ttl: Ttl) -> Option<&Row> {
    said.rows.iter().find(|row| row.layer == layer && row.ttl == ttl)
}

fn line<A: Key>(prefix: Span<A>, row: Option<&Row>, out: &mut impl Write) -> io::Result<()> {
    prefix.first.key(out)?;
    if let Some(len) = prefix.prefix_len().filter(|&len| len < A::BITS) {
        write!(out, "/{len}")?;
    }
    if let Some(row) = row {
        out.write_all(b" ")?;
        row.write(out)?;
    }
    out.write_all(b"\n")
}
