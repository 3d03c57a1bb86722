//! Statements that ask lists and refuse nobody for good. Pure.

use super::super::super::finding::Cure;
use super::super::{Does, Idle, Mention};
use super::acl::Statement;
use crate::snippet::Program;

/// What a statement may have that does nothing but mark a mail, or say of whom.
const MARKS: [&str; 8] =
    ["dnslists", "!dnslists", "hosts", "!hosts", "!authenticated", "add_header", "message", "log_message"];

/// `warn` with conditions on the client alone, of which nothing is made.
pub(super) fn only_marks(statement: &Statement<'_>) -> bool {
    let name = |condition: &str| condition.split('=').next().unwrap_or_default().trim().to_owned();
    statement.verb == "warn"
        && statement.conditions.iter().all(|(_, condition)| MARKS.contains(&&*name(condition)))
}

/// `defer`, which tells whom a list has to come again.
pub(super) fn for_a_while(statement: &Statement<'_>, mentions: &[Mention]) -> Option<Idle> {
    let refuses = |mention: &&Mention| matches!(mention.does, Does::Reject | Does::RejectBounces);
    let zones: Vec<_> = mentions.iter().filter(refuses).map(|mention| mention.zone.clone()).collect();
    (statement.verb == "defer" && !zones.is_empty()).then(|| Idle {
        program: Program::Exim,
        at: statement.at.to_owned(),
        zones,
        matters: false,
        cause: "`defer` stands there: whom a list has is told to try again later, for days, and not refused"
            .to_owned(),
        cure: Cure {
            how: format!("Exim: write `deny` in the place of `defer` in the line at {}", statement.at),
            lines: String::new(),
        },
    })
}
