//! Which line each entry stands in, where only the first of several counts.
//!
//! Entries mostly stand on lines that follow each other, so a run of them costs one number. Of the present file alone:
//! what is repeated in another was told when that one had been read.

use crate::set::{Row, SetBuilder};

/// The lines of the entries of one file.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Rows of each kind that are accounted for.
    rows: [usize; 3],
    runs: [Vec<Run>; 3],
}

/// Rows from this one on, each on the line behind that of the one before.
#[derive(Debug, Clone, Copy)]
struct Run {
    row: usize,
    line: u64,
}

impl Places {
    /// A file begins.
    pub(super) fn begin(&mut self, builder: &SetBuilder) {
        *self = Self { rows: builder.rows(), ..Self::default() };
    }

    /// The rows that are new stand in `line` and those behind it.
    pub(super) fn note(&mut self, line: u64, builder: &SetBuilder) {
        let rows = builder.rows();
        for ((runs, before), now) in self.runs.iter_mut().zip(self.rows).zip(rows) {
            let goes_on = |run: &Run| run.line + (before - run.row) as u64 == line;
            if now > before && !runs.last().is_some_and(goes_on) {
                runs.push(Run { row: before, line });
            }
        }
        self.rows = rows;
    }

    /// The line of an entry of this file.
    pub(super) fn line(&self, row: Row) -> Option<u64> {
        let runs = &self.runs[row.kind as usize];
        let run = runs.get(runs.partition_point(|run| run.row <= row.row).checked_sub(1)?)?;
        Some(run.line + (row.row - run.row) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;
    use crate::set::{Overlap, RowKind};

    #[test]
    fn lines_of_this_file() {
        let mut builder = SetBuilder::new(Overlap::Narrowest);
        builder.host(1, 0);
        let mut places = Places::default();
        places.begin(&builder);
        (2..5).for_each(|host| builder.host(host, 0));
        places.note(7, &builder);
        builder.v4(Span { first: 0, last: 7 }, 0);
        places.note(10, &builder);
        builder.host(5, 0);
        places.note(11, &builder);
        builder.host(6, 0);
        places.note(12, &builder);
        let lines: Vec<_> = (0..6).map(|row| places.line(Row { kind: RowKind::Host, row })).collect();
        assert_eq!(lines, [None, Some(7), Some(8), Some(9), Some(11), Some(12)]);
        assert_eq!(places.line(Row { kind: RowKind::Block, row: 0 }), Some(10));
        assert_eq!(places.line(Row { kind: RowKind::V6, row: 0 }), None);
        assert_eq!(places.runs[0].len(), 2);
    }
}
