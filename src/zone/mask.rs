//! Expired lists: their part is taken out of the answers, in memory, while the bitmaps stay as they are.

use std::collections::HashMap;

use crate::compile::{AnswerId, ListData, Part, compose_again};
use crate::model::{Piece, Pieces, RrData, RrSet, Template};
use crate::snapshot::{AnswerRef, Damaged, RdataRef, RrSetRef, Snapshot};

/// What of a zone's answers is left when lists have expired.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// Names of the expired lists.
    expired: Vec<String>,
    /// No unexpired list that can list is left.
    nothing_left: bool,
    /// The answers that name an expired list: what the others say, or `None` when there are no others.
    answers: HashMap<AnswerId, Option<Box<[RrSet]>>>,
}

impl Mask {
    /// Asks of each list that can list whether it has expired and rebuilds the answers that name one which has.
    pub(super) fn build<D: AsRef<[u8]>>(
        snapshot: &Snapshot<D>,
        expired: impl Fn(&str) -> bool,
    ) -> Result<Self, Damaged> {
        let lists = snapshot.lists();
        let out: Vec<bool> = lists.iter().map(|list| can_expire(list) && expired(&list.name)).collect();
        if !out.contains(&true) {
            return Ok(Self::default());
        }
        let names = lists.iter().zip(&out).filter(|(_, out)| **out).map(|(list, _)| list.name.clone());
        let mut mask = Self { expired: names.collect(), ..Self::default() };
        mask.nothing_left = !lists.iter().zip(&out).any(|(list, out)| can_expire(list) && !out);
        if mask.nothing_left {
            return Ok(mask);
        }
        let is_out = |part: &Part| out.get(usize::from(part.list)).is_some_and(|&out| out);
        for id in 0..snapshot.counts().answers as AnswerId {
            let answer = snapshot.answer(id)?;
            let parts = answer.parts();
            if parts.clone().any(|part| is_out(&part)) {
                let left = parts.filter(|part| !is_out(part));
                mask.answers.insert(id, rebuild(snapshot, answer, left)?);
            }
        }
        Ok(mask)
    }

    /// No unexpired list that can list is left in a zone that has such lists.
    pub(super) fn nothing_left(&self) -> bool {
        self.nothing_left
    }

    /// Names of the expired lists.
    pub(super) fn expired(&self) -> &[String] {
        &self.expired
    }

    /// `None` when the answer stands as stored; `Some(None)` when nothing is left of it.
    pub(super) fn rebuilt(&self, id: AnswerId) -> Option<Option<&[RrSet]>> {
        if self.answers.is_empty() {
            return None;
        }
        self.answers.get(&id).map(Option::as_deref)
    }
}

/// Block, score and bounce lists expire. An allow list warns and stays: without it, mail that should pass would not.
fn can_expire(list: &ListData) -> bool {
    !list.except && list.use_.can_list()
}

/// Puts what the remaining parts of `answer` say together, as the compiler did with all; `None` when none remains.
fn rebuild<D: AsRef<[u8]>>(
    snapshot: &Snapshot<D>,
    answer: AnswerRef<'_>,
    parts: impl Iterator<Item = Part>,
) -> Result<Option<Box<[RrSet]>>, Damaged> {
    let values: Vec<Vec<RrSet>> = parts
        .map(|part| Ok(snapshot.value(part.value)?.map(owned).collect()))
        .collect::<Result<_, Damaged>>()?;
    let before: Vec<RrSet> = answer.record_sets().map(owned).collect();
    let sets = compose_again(values.iter().map(Vec::as_slice), &before);
    Ok((!sets.is_empty()).then(|| sets.into_boxed_slice()))
}

fn owned(set: RrSetRef<'_>) -> RrSet {
    let mut wire = Vec::new();
    let mut texts = Vec::new();
    for data in set.data() {
        match data {
            RdataRef::Wire(octets) => wire.push(octets.to_vec()),
            RdataRef::Text(pieces) => texts.push(template(pieces)),
        }
    }
    let data = if texts.is_empty() { RrData::Wire(wire) } else { RrData::Texts(texts) };
    RrSet { rtype: set.rtype, ttl: set.ttl, data }
}

fn template(pieces: Pieces<'_>) -> Template {
    let mut text = Template::default();
    for piece in pieces {
        match piece {
            Piece::Literal(part) => text.push(part),
            Piece::Subject => text.push_subject(),
        }
    }
    text
}
