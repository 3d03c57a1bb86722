//! Names as sections of a dnset.

use std::collections::BTreeSet;
use std::io::Write;

use super::super::known::Known;
use super::super::names::{Node, labels};
use super::super::{ExportError, Loss, Losses};
use super::escape::write_name;
use super::row::{Row, Rows};
use super::section;
use crate::compile::{AnswerId, Budget};
use crate::model::{Name, Ttl};
use crate::snapshot::{Damaged, Snapshot};

/// Writes what lines of a dnset can say; the names whose own answer they cannot, for a generic.
pub(super) fn write<'a, D: AsRef<[u8]>>(
    at: &Name,
    snapshot: &'a Snapshot<D>,
    nodes: &[Node<'a>],
    left: &mut usize,
    losses: &mut Losses,
    out: &mut impl Write,
) -> Result<Vec<(&'a [u8], AnswerId)>, ExportError> {
    let known = Known::new(snapshot, |answer| Rows::of(answer, 1));
    let mut answers = Answers { known, origin: &snapshot.zone().origin };
    let mut ttls = BTreeSet::new();
    let mut records = Vec::new();
    for node in nodes {
        if let Some(id) = node.exact {
            if node.labels.is_empty() || !answers.are_lines(node.labels, id)? {
                records.push((node.labels, id));
            } else {
                ttls.extend(answers.known.of(id)?.rows.iter().map(|row| row.ttl));
            }
        }
        match node.below {
            Some(_) if node.labels.is_empty() => losses.add(Loss::BelowOrigin, 1),
            Some(id) => {
                let origin = answers.origin;
                let said = answers.known.of(id)?;
                if node.inherited != node.below {
                    said.tell(|| Budget::below(&whole(node.labels), origin), losses);
                }
                ttls.extend(said.rows.iter().map(|row| row.ttl));
            }
            None => {}
        }
    }
    for ttl in ttls {
        if *left < 2 {
            // One is left for records.
            losses.add(Loss::Sections, 1);
            continue;
        }
        *left -= 1;
        section(("dnset", at), Some(ttl), out)?;
        for node in nodes.iter().filter(|node| !node.labels.is_empty()) {
            // What is said of all names below the origin stands nowhere.
            let inherited = node.inherited.filter(|_| labels(node.labels).nth(1).is_some());
            let exact = match node.exact {
                Some(id) if !answers.are_lines(node.labels, id)? => None,
                exact => exact,
            };
            answers.write("", node.labels, exact, inherited, ttl, out)?;
            answers.write("*.", node.labels, node.below, inherited, ttl, out)?;
        }
    }
    Ok(records)
}

/// The answers of names, taken apart.
struct Answers<'a, D> {
    known: Known<'a, D, Rows>,
    origin: &'a Name,
}

impl<D: AsRef<[u8]>> Answers<'_, D> {
    /// Whether lines say all of the answer for a name.
    fn are_lines(&mut self, name: &[u8], id: AnswerId) -> Result<bool, Damaged> {
        let said = self.known.of(id)?;
        Ok(said.lost.is_empty() && said.fits(|| Budget::name(&whole(name), self.origin)))
    }

    /// The lines for a name, or with `*.` before it for those below it, which would say `inherited` without any.
    fn write(
        &mut self,
        before: &str,
        name: &[u8],
        said: Option<AnswerId>,
        inherited: Option<AnswerId>,
        ttl: Ttl,
        out: &mut impl Write,
    ) -> Result<(), ExportError> {
        let has_inherited = match inherited {
            Some(id) => rows(self.known.of(id)?, ttl).next().is_some(),
            None => false,
        };
        let mut any = false;
        if let Some(id) = said {
            let answer = self.known.of(id)?;
            if said == inherited && !answer.has_subject {
                return Ok(());
            }
            for row in rows(answer, ttl) {
                any = true;
                out.write_all(before.as_bytes())?;
                write_name(name, out)?;
                out.write_all(b" ")?;
                row.write(out)?;
                out.write_all(b"\n")?;
            }
        }
        if has_inherited && !any {
            write!(out, "!{before}")?;
            write_name(name, out)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Labels in wire form without the final zero octet as a name.
fn whole(labels: &[u8]) -> Name {
    Name::from_wire(&[labels, &[0]].concat()).unwrap_or_else(Name::root)
}

fn rows(said: &Rows, ttl: Ttl) -> impl Iterator<Item = &Row> {
    said.rows.iter().filter(move |row| row.ttl == ttl)
}
