//! Statements of Exim's that refuse one's own people: they ask lists before what lets own networks, or who logged in, pass. Pure.
//!
//! Told where an `accept` of RCPT's ACL shows who they are. What nobody can tell here (`condition = ${if …}`, other ACLs, other lists of
//! hosts) may spare them, and is nothing to tell.

use super::super::super::finding::Cure;
use super::super::trouble::Trouble;
use super::super::{Does, Mention};
use super::acl::{Acl, Statement, is_modifier, lists, of};
use super::named::{named_by, refusing, whole};
use super::never::{OWN_HOSTS, defined};
use super::{Line, items};
use crate::snippet::Program;

const RCPT: &str = "acl_smtp_rcpt";
/// The ACLs that mail comes by, and whether those who log in have done so by then.
const STAGES: [(&str, bool); 6] = [
    ("acl_smtp_connect", false),
    ("acl_smtp_helo", false),
    ("acl_smtp_mail", true),
    (RCPT, true),
    ("acl_smtp_predata", true),
    ("acl_smtp_data", true),
];

/// One's own people, by what shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Networks,
    LoggedIn,
}

impl Own {
    /// Keeps a statement from holding for them.
    fn spared(self) -> String {
        match self {
            Self::Networks => format!("!hosts = : +{OWN_HOSTS}"),
            Self::LoggedIn => "!authenticated = *".to_owned(),
        }
    }
}

pub(super) fn refused(acls: &[Acl<'_>], lines: &[Line]) -> Vec<Trouble> {
    let Some((rcpt, accepts)) = named_by(RCPT, acls, lines) else { return Vec::new() };
    let place = |own| accepts.reached().iter().position(|statement| lets_pass(statement, own, lines));
    let known: Vec<(Own, usize)> = [Own::Networks, Own::LoggedIn]
        .into_iter()
        .filter(|own| exist(*own, lines))
        .filter_map(|own| Some((own, place(own)?)))
        .collect();
    let mut troubles = Vec::new();
    for (option, has_logged_in) in STAGES {
        let Some((_, acl)) = named_by(option, acls, lines) else { continue };
        let all = acl.reached();
        for (at, statement) in all.iter().enumerate() {
            let asked = asked(statement);
            if asked.is_empty() || !is_plain(statement) {
                continue;
            }
            let is_missed = |(own, accept): &&(Own, usize)| {
                let is_before = option != RCPT || at < *accept;
                let can_tell = has_logged_in || *own == Own::Networks;
                let spares =
                    |statement: &Statement<'_>| statement.verb == "accept" && may_spare(statement, *own);
                is_before && !(can_tell && excepts(statement, *own)) && !all[..at].iter().any(spares)
            };
            let missed: Vec<(Own, usize)> = known.iter().filter(is_missed).copied().collect();
            let Some((first, _)) = missed.first() else { continue };
            let own: Vec<Own> = missed.iter().map(|(own, _)| *own).collect();
            let behind: Vec<String> =
                missed.iter().map(|(own, accept)| shown(*own, &accepts.reached()[*accept])).collect();
            let behind = behind.join(" and ");
            let cause = match (option, has_logged_in) {
                (RCPT, _) => format!("what lets them pass stands behind it, and comes too late: {behind}"),
                (_, true) => format!("what lets them pass in RCPT's ACL lets nobody pass here: {behind}"),
                (_, false) => format!("it is asked before anybody can log in, and before {behind}"),
            };
            troubles.push(Trouble {
                program: Program::Exim,
                name: "mail-own-people",
                is_bad: false,
                at: asked[0].at.clone(),
                zones: asked.iter().map(|mention| mention.zone.clone()).collect(),
                rest: format!(
                    "{} refused when a list of gatepost's has the address",
                    whom(*first, own.len())
                ),
                cause,
                cure: cure(statement, &own, has_logged_in, rcpt, lines),
            });
        }
    }
    troubles
}

fn whom(first: Own, number: usize) -> &'static str {
    match (first, number) {
        (Own::Networks, 2) => "own networks, and who logs in, are",
        (Own::Networks, _) => "own networks are",
        (Own::LoggedIn, _) => "who logs in is",
    }
}

fn shown(own: Own, accept: &Statement<'_>) -> String {
    let name = if own == Own::Networks { "hosts" } else { "authenticated" };
    let condition = accept.conditions.iter().find(|(_, condition)| condition.starts_with(name));
    format!("`accept {}` at {}", condition.map_or(name, |(_, condition)| condition), accept.at)
}

/// Where nobody is known yet who logs in later, what asks goes where he is.
fn cure(statement: &Statement<'_>, own: &[Own], has_logged_in: bool, rcpt: &str, lines: &[Line]) -> Cure {
    let is_moved = !has_logged_in && own.contains(&Own::LoggedIn);
    let all = [Own::Networks, Own::LoggedIn];
    let wanted = all.into_iter().filter(|one| match is_moved {
        true => exist(*one, lines) && !excepts(statement, *one),
        false => own.contains(one),
    });
    let conditions: Vec<String> = wanted.map(Own::spared).collect();
    let how = match is_moved {
        true => format!(
            "Exim: take the whole statement that begins at {} out there, and put this at the front of the ACL {rcpt}, which {RCPT} names",
            statement.at
        ),
        false => format!("Exim: in the place of the whole statement that begins at {}", statement.at),
    };
    Cure { how, lines: whole(statement, &conditions) }
}

/// What it asks to refuse whom a list has, whoever sends.
fn asked(statement: &Statement<'_>) -> Vec<Mention> {
    let mut asked = of(&lists(statement));
    asked.retain(|mention| mention.does == Does::Reject);
    asked
}

/// Nothing in it can keep it from holding for one's own people but what `excepts` knows.
fn is_plain(statement: &Statement<'_>) -> bool {
    // A condition more of `require` would refuse all others.
    refusing(statement)
        && statement.conditions.iter().all(|(_, condition)| {
            let (name, value) = condition.split_once('=').unwrap_or((condition, ""));
            match name.trim() {
                "dnslists" | "!dnslists" | "domains" | "!domains" | "!hosts" | "!authenticated" => true,
                "!senders" => value.trim() == ":",
                name => is_modifier(name),
            }
        })
}

/// It does not hold for them, or perhaps not.
fn excepts(statement: &Statement<'_>, own: Own) -> bool {
    let mut values = statement.conditions.iter().filter_map(|(_, condition)| condition.split_once('='));
    values.any(|(name, value)| match own {
        Own::Networks => name.trim() == "!hosts" && !items(value.trim()).all(is_here),
        Own::LoggedIn => name.trim() == "!authenticated",
    })
}

/// An `accept` that they are let pass by, or perhaps.
fn may_spare(statement: &Statement<'_>, own: Own) -> bool {
    statement.conditions.iter().any(|(_, condition)| {
        let (name, value) = condition.split_once('=').unwrap_or((condition, ""));
        match (name.trim().trim_start_matches('!'), own) {
            ("condition" | "acl", _) => true,
            ("hosts", Own::Networks) => !items(value.trim()).all(is_here),
            ("authenticated", Own::LoggedIn) => true,
            _ => false,
        }
    })
}

/// An `accept` that is there for them alone, and for all of them.
fn lets_pass(statement: &Statement<'_>, own: Own, lines: &[Line]) -> bool {
    let is_for_them = |name: &str, value: &str| match own {
        Own::Networks => {
            name == "hosts" && items(value).any(|item| item.strip_prefix('+') == Some(OWN_HOSTS))
        }
        Own::LoggedIn => name == "authenticated" && value == "*",
    };
    let mut is_for = false;
    let all = statement.conditions.iter().all(|(_, condition)| {
        let (name, value) = condition.split_once('=').unwrap_or((condition, ""));
        let (name, value) = (name.trim(), value.trim());
        let here = is_for_them(name, value);
        is_for |= here;
        here || is_modifier(name)
    });
    statement.verb == "accept" && all && is_for && exist(own, lines)
}

/// There are such people: a network besides this machine, an authenticator that serves.
fn exist(own: Own, lines: &[Line]) -> bool {
    match own {
        Own::Networks => lines
            .iter()
            .filter_map(|line| defined(line, "hostlist"))
            .find(|(name, _)| *name == OWN_HOSTS)
            .is_some_and(|(_, value)| !value.contains('$') && !items(value).all(is_here)),
        Own::LoggedIn => {
            let mut section =
                lines.iter().skip_while(|line| !line.text.split_whitespace().eq(["begin", "authenticators"]));
            let is_offered = !lines.iter().any(|line| {
                let option = line.text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
                option == Some(("auth_advertise_hosts", ""))
            });
            section.next();
            is_offered
                && section
                    .take_while(|line| !line.text.starts_with("begin "))
                    .any(|line| line.text.starts_with("server_"))
        }
    }
}

/// Who comes by no connection, or from this machine.
fn is_here(item: &str) -> bool {
    let item = item.replace("::::", "::");
    matches!(item.as_str(), "" | "::1" | "@[]" | "localhost") || item.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::super::uses;

    /// With these statements before what lets own people pass; who they are and what is put in their place.
    fn told(options: &str, acls: &str, rcpt: &str) -> Vec<(String, String, String)> {
        let text = format!(
            "domainlist local_domains = vm.example\nhostlist relay_from_hosts = 127.0.0.1 : ::::1 : 198.51.100.0/24\n{options}acl_smtp_rcpt = acl_check_rcpt\n\
             begin acl\n{acls}acl_check_rcpt:\n{rcpt}  accept hosts = +relay_from_hosts\n    control = submission\n  accept\n    authenticated = *\n\
             \x20 require domains = +local_domains\n  accept\nbegin authenticators\nplain:\n  driver = plaintext\n  server_condition = true\n"
        );
        let found = uses("e", &text, &|_| None).troubles;
        assert!(found.iter().all(|told| told.name == "mail-own-people"), "{found:?}");
        found.into_iter().map(|told| (told.rest, told.cause, told.cure.lines)).collect()
    }

    #[test]
    fn own_people_who_are_asked_for() {
        let deny = |more: &str| format!("  deny\n{more}    dnslists = a.test=127.0.0.4\n    message = no\n");
        let (networks, login) = ("    !hosts = : +relay_from_hosts\n", "    !authenticated = *\n");
        for (has, whom, lines) in [
            ("", "own networks, and who logs in, are", format!("{networks}{login}")),
            (networks, "who logs in is", format!("{login}{networks}")),
            (login, "own networks are", format!("{networks}{login}")),
            (
                "    !hosts = : 127.0.0.1\n",
                "own networks, and who logs in, are",
                format!("{networks}{login}    !hosts = : 127.0.0.1\n"),
            ),
        ] {
            let found = told("", "", &deny(has));
            let [(rest, cause, cured)] = &found[..] else { panic!("{has}: {found:?}") };
            assert!(rest.starts_with(whom), "{rest}");
            assert!(cause.contains("comes too late: `accept "), "{cause}");
            assert_eq!(*cured, deny(&lines).trim_end(), "{has}");
            // As it is printed.
            assert_eq!(told("", "", &format!("{cured}\n")), [], "{has}");
        }
        for right in [
            &deny(&format!("{networks}{login}")),
            &format!("  accept hosts = : +relay_from_hosts\n  accept authenticated = *\n{}", deny("")),
            &format!("  accept condition = ${{if x}}\n{}", deny("")),
            &deny("    hosts = 192.0.2.0/24\n"),
            &deny("    condition = ${if eq{$received_port}{25}}\n"),
            &deny("    !acl = acl_friends\n"),
            &deny("    senders = :\n"),
            "  warn dnslists = a.test=127.0.0.4\n",
            "  deny hosts = 192.0.2.1\n",
        ] {
            assert_eq!(told("", "", right), [], "{right}");
        }
        // Behind what accepts them it is as it should be, whatever stands before.
        let found = told("", "", "  accept local_parts = postmaster\n    domains = +local_domains\n");
        assert_eq!(found, []);
    }

    #[test]
    fn own_people_who_are_asked_for_elsewhere() {
        let in_acl = |option: &str, statement: &str| {
            told(
                &format!("{option} = acl_check_other\n"),
                &format!("acl_check_other:\n{statement}  accept\n"),
                "",
            )
        };
        let deny = "  deny\n    dnslists = a.test=127.0.0.4\n";
        let both = "    !hosts = : +relay_from_hosts\n    !authenticated = *\n";
        let whole = format!("  deny\n{both}    dnslists = a.test=127.0.0.4");
        let found = in_acl("acl_smtp_connect", deny);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].2, whole);
        assert!(found[0].1.contains("before anybody can log in"), "{found:?}");
        let found = in_acl("acl_smtp_data", deny);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].2, whole);
        // Nobody has logged in yet, so that holds for all.
        assert_eq!(in_acl("acl_smtp_helo", &format!("{whole}\n")).len(), 1);
        assert_eq!(in_acl("acl_smtp_mail", &format!("{whole}\n")), []);
        assert_eq!(in_acl("acl_smtp_etrn", deny), []);
    }

    #[test]
    fn people_whom_there_are_none_of() {
        let text = |hosts: &str, server: &str| {
            let text = format!(
                "hostlist relay_from_hosts = {hosts}\nacl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_check_rcpt:\n  deny dnslists = a.test=127.0.0.4\n\
                 \x20 accept hosts = +relay_from_hosts\n  accept authenticated = *\nbegin authenticators\nplain:\n  driver = plaintext\n  {server}\n"
            );
            uses("e", &text, &|_| None).troubles.len()
        };
        assert_eq!(text("127.0.0.1 : ::::1", "client_send = x"), 0);
        assert_eq!(text("<; ; 127.0.0.1 ; ::1", "client_send = x"), 0);
        assert_eq!(text("${lookup{x}lsearch{/etc/x}}", "client_send = x"), 0);
        assert_eq!(text("127.0.0.1", "server_condition = x"), 1);
        assert_eq!(text("10.0.0.0/8", "client_send = x"), 1);
    }
}
