//! What was made of answers lately.

use std::collections::HashMap;

use crate::compile::AnswerId;
use crate::snapshot::{AnswerRef, Damaged, Snapshot};

/// Answers that are kept at a time.
const MOST: usize = 1 << 14;

/// Makes something of answers and keeps it for a while: neighbours often have the same few.
pub(super) struct Known<'a, D, T> {
    snapshot: &'a Snapshot<D>,
    make: Box<dyn Fn(AnswerRef<'a>) -> T + 'a>,
    known: HashMap<AnswerId, T>,
}

impl<'a, D: AsRef<[u8]>, T> Known<'a, D, T> {
    pub(super) fn new(snapshot: &'a Snapshot<D>, make: impl Fn(AnswerRef<'a>) -> T + 'a) -> Self {
        Self { snapshot, make: Box::new(make), known: HashMap::new() }
    }

    /// What is made of answer `id`.
    pub(super) fn of(&mut self, id: AnswerId) -> Result<&T, Damaged> {
        if !self.known.contains_key(&id) {
            if self.known.len() >= MOST {
                self.known.clear();
            }
            let made = (self.make)(self.snapshot.answer(id)?);
            self.known.insert(id, made);
        }
        Ok(&self.known[&id])
    }
}
