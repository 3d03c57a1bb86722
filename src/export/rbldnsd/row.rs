//! An answer taken apart into what single lines can say.

use std::io::Write;
use std::net::Ipv4Addr;

use super::super::{Loss, Losses};
use super::escape::text;
use crate::compile::Budget;
use crate::model::{Piece, Rtype, Ttl};
use crate::snapshot::{AnswerRef, RdataRef};

/// What one line says behind its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The TTL of its section.
    pub(super) ttl: Ttl,
    /// The how-manieth row of its answer with this TTL it is.
    pub(super) layer: usize,
    code: Ipv4Addr,
    /// As it is written; empty: none.
    text: Vec<u8>,
}

impl Row {
    /// `:A:text`, without a line end.
    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        write!(out, ":{}:", self.code)?;
        out.write_all(&self.text)
    }
}

/// An answer as lines of address and name data sets say it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// What they do not say.
    pub(super) lost: Vec<Loss>,
    /// A text names what was asked for.
    pub(super) has_subject: bool,
    /// The texts' octets as they stand, and their holes.
    sizes: Vec<(usize, usize)>,
}

impl Rows {
    /// Takes `answer` apart. `shortest`: octets of the shortest subject.
    pub(super) fn of(answer: AnswerRef<'_>, shortest: usize) -> Self {
        let mut said = Self::default();
        let (mut codes, mut texts) = (Vec::new(), Vec::new());
        let (mut code_ttl, mut text_ttl) = (None, None);
        for set in answer.record_sets() {
            for data in set.data() {
                match data {
                    RdataRef::Wire(&[a, b, c, d]) if set.rtype == Rtype::A && [a, b, c, d] != [0; 4] => {
                        code_ttl = Some(set.ttl);
                        codes.push(Ipv4Addr::new(a, b, c, d));
                    }
                    RdataRef::Text(pieces) if set.rtype == Rtype::TXT => {
                        text_ttl = Some(set.ttl);
                        let literal: usize = pieces.clone().map(literal_len).sum();
                        let holes = pieces.clone().filter(|piece| *piece == Piece::Subject).count();
                        said.sizes.push((literal, holes));
                        said.has_subject |= holes > 0;
                        match text(pieces, shortest) {
                            Some(text) => texts.push(text),
                            None => said.lose(Loss::Text),
                        }
                    }
                    _ => said.lose(Loss::Records),
                }
            }
        }
        let (Some(code_ttl), Some(&first)) = (code_ttl, codes.first()) else {
            // No line is without an A value.
            if text_ttl.is_some() {
                said.lose(Loss::Records);
            }
            return said;
        };
        let text_ttl = text_ttl.unwrap_or(code_ttl);
        if code_ttl == 0 || text_ttl == 0 {
            said.lose(Loss::ZeroTtl);
        }
        if code_ttl > text_ttl {
            // Beside its text an A value would have the text's TTL.
            said.lose(Loss::Records);
            texts.clear();
        }
        if code_ttl == text_ttl {
            let longer = codes.len().max(texts.len());
            let last = codes[codes.len() - 1];
            let mut texts = texts.into_iter();
            let rows = (0..longer).map(|layer| Row {
                ttl: code_ttl,
                layer,
                code: codes.get(layer).copied().unwrap_or(last),
                text: texts.next().unwrap_or_default(),
            });
            said.rows = rows.collect();
            return said;
        }
        // The smaller of two TTLs of an A value counts.
        let bare = codes.into_iter().enumerate();
        let bare = bare.map(|(layer, code)| Row { ttl: code_ttl, layer, code, text: Vec::new() });
        let with_text = texts.into_iter().enumerate();
        let with_text = with_text.map(|(layer, text)| Row { ttl: text_ttl, layer, code: first, text });
        said.rows = bare.chain(with_text).collect();
        said
    }

    fn lose(&mut self, loss: Loss) {
        if !self.lost.contains(&loss) {
            self.lost.push(loss);
        }
    }

    /// Whether whoever reads the lines has room for all texts where questions have this budget.
    pub(super) fn fits(&self, budget: impl FnOnce() -> Budget) -> bool {
        self.sizes.len() < 2 || budget().holds(self.sizes.iter().copied())
    }

    /// Counts what is lost.
    pub(super) fn tell(&self, budget: impl FnOnce() -> Budget, losses: &mut Losses) {
        self.lost.iter().for_each(|&loss| losses.add(loss, 1));
        losses.add(Loss::Texts, u64::from(!self.fits(budget)));
    }
}

fn literal_len(piece: Piece<'_>) -> usize {
    match piece {
        Piece::Literal(text) => text.len(),
        Piece::Subject => 0,
    }
}
