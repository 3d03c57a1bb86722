//! Statements of Exim's that let strangers relay: they accept whom an allow list has before anything asks whether the domain is one's own. Pure.
//!
//! What nobody can tell here may keep them from it, and is nothing to tell.

use super::super::super::finding::Cure;
use super::super::trouble::Trouble;
use super::super::{Does, Mention};
use super::acl::{Acl, Statement, is_modifier, lists, of};
use super::named::{named_by, refusing, whole};
use super::never::defined;
use super::taken::OWN_DOMAINS;
use super::{Line, decided, items};
use crate::snippet::Program;

pub(super) fn open(acls: &[Acl<'_>], lines: &[Line]) -> Vec<Trouble> {
    let Some((_, acl)) = named_by("acl_smtp_rcpt", acls, lines) else { return Vec::new() };
    let all = acl.reached();
    let before = all.iter().take_while(|statement| !may_guard(statement));
    let troubles = before.filter(|statement| takes_all(statement)).filter_map(|statement| {
        let mut asked: Vec<Mention> = of(&lists(statement));
        asked.retain(|mention| mention.does == Does::Let);
        let first = asked.first()?;
        let domains = own_domains(all, lines);
        let cure = match &domains {
            Some(domains) => Cure {
                how: format!("Exim: in the place of the whole statement that begins at {}", statement.at),
                // What a person blocks stays blocked.
                lines: decided::before(statement, acl, acls, lines)
                    .into_iter()
                    .chain([whole(statement, &[format!("domains = {domains}")])])
                    .collect::<Vec<_>>()
                    .join("\n\n"),
            },
            None => Cure {
                how: format!("Exim: name the domains that you take mail for in the statement that begins at {} (`domains = …`)", statement.at),
                lines: String::new(),
            },
        };
        Some(Trouble {
            program: Program::Exim,
            name: "mail-relays",
            is_bad: true,
            at: first.at.clone(),
            zones: asked.iter().map(|mention| mention.zone.clone()).collect(),
            rest: format!("whom {} has may send mail through here to all the world", first.zone),
            cause: "it accepts such mail before anything asks whether the domain is one of yours".to_owned(),
            cure,
        })
    });
    troubles.collect()
}

/// Whether an `accept` takes mail to any domain from those whom a list has.
fn takes_all(statement: &Statement<'_>) -> bool {
    statement.verb == "accept"
        && statement.conditions.iter().all(|(_, condition)| {
            let (name, value) = condition.split_once('=').unwrap_or((condition, ""));
            match (name.trim(), value.trim()) {
                ("dnslists" | "!dnslists" | "!authenticated", _) => true,
                ("!hosts", value) => !items(value).any(|item| item == "*"),
                ("domains" | "hosts" | "senders", value) => value == "*",
                ("verify", value) => matches!(value, "recipient" | "sender" | "header_syntax"),
                (name, _) => name != "endpass" && is_modifier(name),
            }
        })
}

/// Whether the statement may keep strangers from relaying.
fn may_guard(statement: &Statement<'_>) -> bool {
    const WORDS: [&str; 6] = ["domain", "relay", "acl_", "lookup", "local_part", "recipient}"];
    let refuses = refusing(statement);
    // For some users, or some senders alone.
    let is_narrow = |name: &str| {
        let name = name.trim_start_matches('!');
        matches!(
            name,
            "local_parts" | "senders" | "sender_domains" | "dnslists" | "spf" | "verify" | "ratelimit"
        )
    };
    let names = || {
        statement.conditions.iter().map(|(_, condition)| condition.split_once('=').unwrap_or((condition, "")))
    };
    if !refuses && statement.verb != "require" || refuses && names().any(|(name, _)| is_narrow(name.trim())) {
        return false;
    }
    names().any(|(name, value)| match name.trim() {
        "domains" if refuses => value.contains(['!', '$', ';', '/', '+']) && !is_own(value),
        "domains" | "!domains" | "recipients" | "!recipients" | "acl" | "!acl" => true,
        "hosts" | "!hosts" | "authenticated" | "!authenticated" => !refuses,
        "condition" | "!condition" => WORDS.iter().any(|word| value.contains(word)),
        _ => false,
    })
}

/// Lists of own domains, and no others.
fn is_own(value: &str) -> bool {
    items(value.trim()).all(|item| item.strip_prefix('+').is_some_and(|name| OWN_DOMAINS.contains(&name)))
}

/// The domains that mail is taken for, as the ACL says it elsewhere, or as Exim's example configuration calls them.
fn own_domains(all: &[Statement<'_>], lines: &[Line]) -> Option<String> {
    let of = |verb: &'static str| {
        let statements = all.iter().filter(move |statement| statement.verb == verb);
        let conditions = statements.flat_map(|statement| &statement.conditions);
        conditions.filter_map(|(_, condition)| condition.split_once('=')).find_map(|(name, value)| {
            (name.trim() == "domains" && is_own(value)).then(|| value.trim().to_owned())
        })
    };
    let defined = || {
        let is_there = |name: &&str| {
            lines.iter().filter_map(|line| defined(line, "domainlist")).any(|(found, _)| found == *name)
        };
        let names: Vec<String> =
            OWN_DOMAINS.iter().filter(|name| is_there(name)).map(|name| format!("+{name}")).collect();
        (!names.is_empty()).then(|| names.join(" : "))
    };
    of("require").or_else(defined)
}

#[cfg(test)]
mod tests {
    use super::super::uses;

    fn told(before: &str, behind: &str) -> Vec<String> {
        let text = format!(
            "domainlist local_domains = vm.example\ndomainlist relay_to_domains =\nacl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_check_rcpt:\n\
             {before}{behind}  accept\n"
        );
        let found = uses("e", &text, &|_| None).troubles;
        assert!(found.iter().all(|told| told.name == "mail-relays"), "{found:?}");
        found.into_iter().map(|told| told.cure.lines).collect()
    }

    const GUARD: &str = "  require\n    message = relay not permitted\n    domains = +local_domains\n";

    #[test]
    fn whom_a_list_has_relays() {
        let accept = "  accept\n    dnslists = a.test=127.0.0.4\n";
        let cured = "  accept\n    domains = +local_domains\n    dnslists = a.test=127.0.0.4";
        for before in [
            accept.to_owned(),
            format!(
                "  accept hosts = :\n  deny domains = !+local_domains\n    local_parts = ^[./|]\n{accept}"
            ),
            format!("  deny condition = ${{if >{{$rcpt_count}}{{10}}}}\n{accept}"),
            format!("  deny dnslists = b.test=127.0.0.4\n    domains = !+local_domains\n{accept}"),
        ] {
            assert_eq!(told(&before, GUARD), [cured], "{before}");
            assert_eq!(told(&before.replace(accept, &format!("{cured}\n")), GUARD), [""; 0], "{before}");
        }
        let as_named = cured.replace("+local_domains", "+local_domains : +relay_to_domains");
        assert_eq!(told(accept, "  accept domains = +local_domains\n  deny\n"), [as_named]);
        for before in [
            format!("{GUARD}{accept}"),
            format!("  deny domains = !+local_domains : !+relay_to_domains\n{accept}"),
            format!("  deny !domains = +local_domains\n    !hosts = +relay_from_hosts\n{accept}"),
            format!("  deny condition = ${{if !match_domain{{$domain}}{{+local_domains}}}}\n{accept}"),
            format!("  require acl = acl_guard\n{accept}"),
            "  accept dnslists = a.test=127.0.0.4\n    domains = +local_domains\n".to_owned(),
            "  accept dnslists = a.test=127.0.0.4\n    hosts = +relay_from_hosts\n".to_owned(),
            "  accept dnslists = a.test=127.0.0.4\n    condition = ${if x}\n".to_owned(),
            "  accept !dnslists = a.test=127.0.0.4\n    hosts = 192.0.2.1\n".to_owned(),
            "  deny !dnslists = a.test=127.0.0.4\n    dnslists = b.test=127.0.0.4\n".to_owned(),
        ] {
            assert_eq!(told(&before, GUARD), [""; 0], "{before}");
        }
    }
}
