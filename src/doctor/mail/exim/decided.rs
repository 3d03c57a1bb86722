//! An `accept` by an allow list that stands before what refuses whom a person blocks, or a statement that spares whom an allow list has from that,
//! too: such a one is let in. Pure.

use std::slice;

use super::super::super::finding::Cure;
use super::super::statement::line;
use super::super::trouble::Trouble;
use super::super::{Does, LooksUp, Mention};
use super::acl::{Acl, Statement, lists, of};
use super::named::{besides, named_by, refusing};
use super::{Line, mild};
use crate::config::Code;
use crate::snippet::Program;

pub(super) fn overruled(acls: &[Acl<'_>], lines: &[Line]) -> Vec<Trouble> {
    let Some((_, acl)) = named_by("acl_smtp_rcpt", acls, lines) else { return Vec::new() };
    let troubles = acl.reached().iter().filter_map(|statement| {
        let mut allowed = of(&lists(statement));
        allowed.retain(|mention| mention.does == Does::Let);
        let first = allowed.first()?;
        let cause = match statement.verb {
            "accept" => {
                format!("what asks for {}, with which gatepost says so, stands behind it", Code::OVERLAY)
            }
            _ => format!("that line spares him from {}, too, with which gatepost says so", Code::OVERLAY),
        };
        Some(Trouble {
            program: Program::Exim,
            name: "mail-block-unheeded",
            is_bad: false,
            at: first.at.clone(),
            rest: format!("whom {} has is let in though a person blocks him", first.zone),
            cause,
            cure: Cure {
                how: format!("Exim: these statements before that one at {}", first.at),
                lines: before(statement, acl, acls, lines)?,
            },
            zones: allowed.into_iter().map(|mention| mention.zone).collect(),
        })
    });
    let mut troubles: Vec<Trouble> = troubles.collect();
    // What has to stand before the first of them is enough for all.
    let zones: Vec<_> = troubles.iter().flat_map(|trouble| &trouble.zones).cloned().collect();
    troubles.truncate(1);
    troubles.iter_mut().for_each(|first| first.zones.clone_from(&zones));
    troubles
}

/// What has to stand before `statement`, one of RCPT's `acl` that lets some in, so that whom a person blocks is refused as he is by what stands
/// behind it, or by itself. Nothing where something asks for him elsewhere, whatever it makes of that.
pub(super) fn before(
    statement: &Statement<'_>,
    acl: &Acl<'_>,
    acls: &[Acl<'_>],
    lines: &[Line],
) -> Option<String> {
    let all = acl.reached();
    let at = all.iter().position(|other| other.at == statement.at)?;
    let own = lists(statement);
    let lets: Vec<Mention> = of(&own).into_iter().filter(|mention| mention.does == Does::Let).collect();
    let is_let = |mention: &Mention| lets.iter().any(|let_in| let_in.zone == mention.zone);
    let asks = |mention: &Mention| {
        mention.looks_up != LooksUp::Names
            && mention.filter.lets(Code::OVERLAY)
            && !(mention.filter.is_open() && is_let(mention))
    };
    let knows = |other: &Statement<'_>| !mild::only_marks(other) && of(&lists(other)).iter().any(asks);
    let is_refusing = refusing(statement);
    // A later one refuses him for whom this one does not hold, unless it spares him, too.
    let spares = |other: &Statement<'_>| lists(other).iter().any(|list| list.is_negated);
    let later = all[at + 1..].iter().filter(|other| is_refusing && !spares(other));
    let others = acls.iter().filter(|other| other.name != acl.name).flat_map(|acl| &acl.statements);
    let excepted = own.iter().filter(|list| list.is_negated).flat_map(|list| of(slice::from_ref(list)));
    if others.chain(&all[..at]).chain(later).any(knows) || { excepted }.any(|mention| asks(&mention)) {
        return None;
    }
    let deciding = match is_refusing {
        true => Some(statement).filter(|statement| !decisions(statement).is_empty()),
        // What lets in whom the same list has is told by itself.
        false => all[at + 1..].iter().find(|other| {
            let decisions = decisions(other);
            !decisions.is_empty() && !decisions.iter().any(is_let)
        }),
    }?;
    let besides = besides(lines);
    let mut items: Vec<String> = Vec::new();
    for mention in decisions(deciding) {
        if besides.contains(&mention.zone.to_string()) {
            return None;
        }
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
            && mention.looks_up == LooksUp::Addresses
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
        told_with("", statements)
    }

    /// The same with other ACLs before that of RCPT, or options.
    fn told_with(more: &str, statements: &str) -> Vec<String> {
        let more = if more.contains("begin acl") { more.to_owned() } else { format!("{more}begin acl\n") };
        let text = format!(
            "domainlist local_domains = vm.example\nacl_smtp_rcpt = rcpt\n{more}rcpt:\n{statements}  require domains = +local_domains\n  accept\n"
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
        assert_eq!(told(&format!("{accept}{}", deny.replace(",127.0.2.2", ""))), [""; 0]);
        let deny = deny.replace("    !dnslists = more.test=127.0.0.2\n", "");
        assert_eq!(told(&format!("{deny}{accept}")), [""; 0]);
        // One's own hosts, or a list that only marks.
        let warn = accept.replace("accept", "warn");
        assert_eq!(told(&format!("{warn}{deny}")), [""; 0]);
        assert_eq!(told(&format!("  accept hosts = 192.0.2.1\n{deny}")), [""; 0]);
    }

    /// Whatever becomes of it there.
    #[test]
    fn whom_a_person_blocks_is_asked_for_elsewhere() {
        let accept = "  accept domains = +local_domains\n    dnslists = ok.test=127.0.0.2\n";
        let deny = "  deny\n    dnslists = a.test=127.0.0.4,127.0.2.2\n";
        let both = format!("{accept}{deny}");
        let asks = "dnslists = a.test=127.0.2.2";
        assert_eq!(told(&both).len(), 1);
        let other = |option: &str, statement: &str| {
            told_with(&format!("{option} = other\nbegin acl\nother:\n  {statement}\n  accept\n"), &both)
        };
        for option in ["acl_smtp_connect", "acl_smtp_helo", "acl_smtp_mail", "acl_smtp_data"] {
            assert_eq!(other(option, &format!("deny {asks}")), [""; 0], "{option}");
            assert_eq!(other(option, &format!("warn {asks}\n    set acl_c_x = 1")), [""; 0], "{option}");
            assert_eq!(other(option, "deny dnslists = a.test=127.0.0.4").len(), 1, "{option}");
        }
        for before in [
            format!("  warn {asks}\n    set acl_m_x = 1\n  deny condition = $acl_m_x\n"),
            "  deny dnslists = a.test\n".to_owned(),
            "  deny condition = ${if match{${lookup dnsdb{>: a=x.a.test}}}{127.0.2.2}}\n".to_owned(),
        ] {
            assert_eq!(told(&format!("{before}{both}")), [""; 0], "{before}");
        }
        let excepts = both.replacen("    dnslists", &format!("    !{asks}\n    dnslists"), 1);
        assert_eq!(told(&excepts), [""; 0]);
        // What only marks refuses nobody, and names are others.
        for before in [format!("  warn {asks}\n"), format!("  deny {asks}/$sender_address_domain\n")] {
            assert_eq!(told(&format!("{before}{both}")).len(), 1, "{before}");
        }
    }

    #[test]
    fn whom_a_statement_spares_though_a_person_blocks_him() {
        let deny = "  deny\n    !dnslists = ok.test=127.0.0.2\n    dnslists = a.test=127.0.0.4,127.0.2.2\n    message = no\n";
        let cure = "  deny\n    dnslists = a.test=127.0.2.2\n    message = no";
        assert_eq!(told(deny), [cure]);
        assert_eq!(told(&format!("{cure}\n{deny}")), [""; 0]);
        // Of one zone, too, and by what stands behind it.
        let one = deny.replace("ok.test", "a.test");
        assert_eq!(told(&one), [cure]);
        assert_eq!(told(&format!("{cure}\n{one}")), [""; 0]);
        assert_eq!(told(&format!("{deny}{cure}\n")), [""; 0]);
        assert_eq!(told(&format!("{deny}{deny}")), [cure]);
        for right in [
            deny.replace(",127.0.2.2", ""),
            deny.replace("    !dnslists = ok.test=127.0.0.2\n", ""),
            deny.replace("deny", "warn"),
        ] {
            assert_eq!(told(&right), [""; 0], "{right}");
        }
    }
}
