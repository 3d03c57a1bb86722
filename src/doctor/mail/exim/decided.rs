//! An `accept` by an allow list that stands before what refuses whom a person blocks: such a one is let in. Pure.

use super::super::super::finding::Cure;
use super::super::statement::line;
use super::super::trouble::Trouble;
use super::super::{Does, Mention};
use super::Line;
use super::acl::{Acl, Statement, lists, of};
use super::named::{named_by, refusing};
use crate::config::Code;
use crate::snippet::Program;

pub(super) fn overruled(acls: &[Acl<'_>], lines: &[Line]) -> Vec<Trouble> {
    let Some((_, acl)) = named_by("acl_smtp_rcpt", acls, lines) else { return Vec::new() };
    let all = acl.reached();
    let troubles = all.iter().filter(|statement| statement.verb == "accept").filter_map(|statement| {
        let mut allowed = of(&lists(statement));
        allowed.retain(|mention| mention.does == Does::Let);
        let first = allowed.first()?;
        Some(Trouble {
            program: Program::Exim,
            name: "mail-block-unheeded",
            is_bad: false,
            at: first.at.clone(),
            rest: format!("whom {} has is let in though a person blocks him", first.zone),
            cause: format!("what asks for {}, with which gatepost says so, stands behind it", Code::OVERLAY),
            cure: Cure {
                how: format!("Exim: these statements before that one at {}", first.at),
                lines: behind(all, statement)?,
            },
            zones: allowed.into_iter().map(|mention| mention.zone).collect(),
        })
    });
    troubles.collect()
}

/// What has to stand before `statement` so that whom a person blocks is refused as he is by what stands behind it. Nothing where something
/// does already.
pub(super) fn behind(all: &[Statement<'_>], statement: &Statement<'_>) -> Option<String> {
    let at = all.iter().position(|other| other.at == statement.at)?;
    let (before, behind) = all.split_at(at);
    if before.iter().any(|other| !decisions(other).is_empty()) {
        return None;
    }
    let lets = of(&lists(statement));
    let decides = |other: &&Statement<'_>| {
        let decisions = decisions(other);
        // What lets in whom the same list has is told by itself.
        !decisions.is_empty()
            && decisions.iter().all(|mention| lets.iter().all(|let_in| let_in.zone != mention.zone))
    };
    let deciding = behind.iter().find(decides)?;
    let mut items: Vec<String> = Vec::new();
    for mention in decisions(deciding) {
        let item = format!("{}={}", mention.zone, Code::OVERLAY);
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let asks = line(false, &items);
    let conditions = deciding.conditions.iter().filter_map(|(_, condition)| {
        let name = condition.split('=').next().unwrap_or_default().trim();
        match name {
            "!dnslists" => None,
            "dnslists" => Some(asks.as_str()),
            _ => Some(*condition),
        }
    });
    let conditions: String = conditions.map(|condition| format!("\n    {condition}")).collect();
    Some(format!("  {}{conditions}", deciding.verb))
}

/// What refuses whom a person blocks.
fn decisions(statement: &Statement<'_>) -> Vec<Mention> {
    let mut asked = of(&lists(statement));
    asked.retain(|mention| {
        refusing(statement)
            && mention.does == Does::Reject
            && !mention.filter.is_open()
            && mention.filter.lets(Code::OVERLAY)
    });
    asked
}

#[cfg(test)]
mod tests {
    use super::super::uses;

    /// The lines that are told.
    fn told(statements: &str) -> Vec<String> {
        let text = format!(
            "domainlist local_domains = vm.example\nacl_smtp_rcpt = rcpt\nbegin acl\nrcpt:\n{statements}  require domains = +local_domains\n  accept\n"
        );
        let found = uses("e", &text, &|_| None).troubles.into_iter();
        found
            .filter(|trouble| trouble.name == "mail-block-unheeded")
            .map(|trouble| trouble.cure.lines)
            .collect()
    }

    #[test]
    fn whom_a_person_blocks() {
        let accept = "  accept domains = +local_domains\n    dnslists = ok.test=127.0.0.2\n";
        let deny = "  deny\n    !hosts = x\n    !dnslists = more.test=127.0.0.2\n    dnslists = a.test=127.0.0.4,127.0.2.2\n    message = no\n";
        let cure = "  deny\n    !hosts = x\n    dnslists = a.test=127.0.2.2\n    message = no";
        assert_eq!(told(&format!("{accept}{deny}")), [cure]);
        assert_eq!(told(&format!("{cure}\n{accept}{deny}")), [""; 0]);
        assert_eq!(told(&format!("{deny}{accept}")), [""; 0]);
        assert_eq!(told(&format!("{accept}{}", deny.replace(",127.0.2.2", ""))), [""; 0]);
        // One's own hosts, or a list that only marks.
        let warn = accept.replace("accept", "warn");
        assert_eq!(told(&format!("{warn}{deny}")), [""; 0]);
        assert_eq!(told(&format!("  accept hosts = 192.0.2.1\n{deny}")), [""; 0]);
    }
}
