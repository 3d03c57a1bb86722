//! Statements that accept strangers' ordinary mail before those behind them ask a list: mail from a host that is nobody's own, with a sender, to
//! a user that there is. Pure.
//!
//! What cannot be told from the text (`condition = ${if …}`, tables, other ACLs), and what lets some domains, users or hosts alone pass, is somebody's
//! intention and takes nothing.

use super::acl::{Statement, is_modifier};
use super::never::defined;
use super::{Line, items};

/// Named lists within named lists.
const DEPTH: usize = 8;
/// What Exim's example configuration calls the domains that mail is taken for.
pub(super) const OWN_DOMAINS: [&str; 2] = ["local_domains", "relay_to_domains"];
/// What all of a kind match.
const ALL: [&str; 5] = ["*", "*@*", "0.0.0.0/0", "^.*", "^.*$"];
/// Of `verify`, what holds for ordinary mail whoever sends it.
const ORDINARY: [&str; 6] =
    ["recipient", "sender", "header_sender", "header_syntax", "header_names_ascii", "not_blind"];

/// Whose mail the statement accepts, if it does; for what stands behind `endpass` such mail is refused, and goes no further either.
pub(super) fn whose(statement: &Statement<'_>, lines: &[Line]) -> Option<String> {
    if statement.means.verb(statement.verb) != "accept" {
        return None;
    }
    let mut whose = "all strangers".to_owned();
    for (_, condition) in &statement.conditions {
        if *condition == "endpass" {
            break;
        }
        let (name, value) = condition.split_once('=').unwrap_or((condition, ""));
        let (name, value) = (name.trim(), value.trim());
        let (is_negated, name) = match name.strip_prefix('!') {
            Some(name) => (true, name.trim_start()),
            None => (false, name),
        };
        let holds = match name {
            "domains" if !is_negated => {
                whose = format!("strangers to {}", own_domains(value, lines)?);
                true
            }
            // For some users, or all but some, is a choice.
            "local_parts" | "recipients" => !is_negated && has_all(value),
            "hosts" => has_strangers(value, "hostlist", lines, DEPTH) != is_negated,
            "senders" => has_strangers(value, "addresslist", lines, DEPTH) != is_negated,
            "sender_domains" => has_strangers(value, "domainlist", lines, DEPTH) != is_negated,
            "authenticated" => is_negated,
            "condition" => !is_negated && matches!(value, "true" | "yes" | "1"),
            "verify" => !is_negated && ORDINARY.contains(&value.split(['/', '=', ' ']).next()?),
            name => !is_negated && is_modifier(name),
        };
        if !holds {
            return None;
        }
    }
    Some(whose)
}

/// Which of the lists of own domains are in this one, whole.
fn own_domains(value: &str, lines: &[Line]) -> Option<String> {
    let found = leaves(value, lines, DEPTH);
    // All but some, or those alone that want no lists asked.
    if found.iter().any(|item| item.starts_with('!')) {
        return None;
    }
    if has_all(value) || found.iter().any(|item| item == "*") {
        return Some("all domains".to_owned());
    }
    let has = |name: &&str| {
        let all = leaves(&format!("+{name}"), lines, DEPTH);
        !all.is_empty() && all.iter().all(|item| found.contains(item))
    };
    let names: Vec<&str> = OWN_DOMAINS.into_iter().filter(has).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// What a list of domains has in it, with named ones in their places.
fn leaves(value: &str, lines: &[Line], depth: usize) -> Vec<String> {
    let items = items(value).filter(|item| !item.is_empty());
    let all = items.flat_map(|item| {
        let named = item.strip_prefix('+').filter(|_| depth > 0);
        match named.and_then(|name| named_list(name, "domainlist", lines)) {
            Some(value) => leaves(value, lines, depth - 1),
            None => vec![item.to_ascii_lowercase()],
        }
    });
    all.collect()
}

fn named_list<'a>(name: &str, kind: &str, lines: &'a [Line]) -> Option<&'a str> {
    lines
        .iter()
        .filter_map(|line| defined(line, kind))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

fn has_all(value: &str) -> bool {
    items(value).next().is_some_and(|item| ALL.contains(&item))
}

/// Whether a list has whom it does not name: the first item decides that matches, and behind all of them the last, if it has a `!`.
fn has_strangers(value: &str, kind: &str, lines: &[Line], depth: usize) -> bool {
    let mut is_last_negated = false;
    for item in items(value).filter(|item| !item.is_empty()) {
        let (is_negated, item) = match item.strip_prefix('!') {
            Some(item) => (true, item.trim_start()),
            None => (false, item),
        };
        let matches = match item.strip_prefix('+').filter(|_| depth > 0) {
            Some(name) => named_list(name, kind, lines)
                .is_some_and(|value| has_strangers(value, kind, lines, depth - 1)),
            None => ALL.contains(&item),
        };
        if matches {
            return !is_negated;
        }
        is_last_negated = is_negated;
    }
    is_last_negated
}

#[cfg(test)]
mod tests {
    use super::super::{Uses, uses};

    /// What is told of a statement that stands between `accept` and what accepts mail at last: where, why and what to move.
    fn told(before: &str) -> Vec<(String, String, String)> {
        let text = format!(
            "domainlist local_domains = vm.example : @ : +more\ndomainlist more = other.example\ndomainlist relay_to_domains =\n\
             domainlist unfiltered = other.example\nhostlist relay_from_hosts = 127.0.0.1\nhostlist all = !192.0.2.1 : *\n\
             acl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_check_rcpt:\n{before}\n  deny\n    dnslists = a.test=127.0.0.4\n    message = no\n\
             \x20 require\n    domains = +local_domains\n  accept\n"
        );
        let Uses { mentions, idle, .. } = uses("e", &text, &|_| None);
        assert!(mentions.iter().any(|mention| mention.zone == "a.test".parse().unwrap()), "{before}");
        assert!(idle.iter().all(|idle| idle.matters), "{before}");
        idle.into_iter().map(|idle| (idle.at, idle.cause, idle.cure.lines)).collect()
    }

    #[test]
    fn what_takes_strangers_mail() {
        for (before, whose) in [
            ("accept domains = +local_domains", "strangers to local_domains"),
            ("accept domains = +local_domains : +relay_to_domains", "strangers to local_domains"),
            (
                "accept domains = +local_domains\n    endpass\n    condition = ${if x}",
                "strangers to local_domains",
            ),
            (
                "accept domains = +local_domains\n    verify = recipient/callout=10s",
                "strangers to local_domains",
            ),
            ("accept domains = @ : VM.example : other.example", "strangers to local_domains"),
            (
                "accept domains = *\n    local_parts = *\n    control = freeze\n    verify = recipient",
                "strangers to all domains",
            ),
            ("accept verify = recipient", "all strangers"),
            ("accept hosts = !192.0.2.1\n    verify = sender", "all strangers"),
            ("accept !hosts = +relay_from_hosts\n    !authenticated = *", "all strangers"),
            ("accept hosts = +all", "all strangers"),
            ("accept !senders = :\n    domains = +local_domains", "strangers to local_domains"),
            ("accept\n    set acl_m_x = 1\n    verify = recipient\n    condition = yes", "all strangers"),
        ] {
            let found = told(&format!("  {before}"));
            let [(at, cause, lines)] = &found[..] else { panic!("{before}: {found:?}") };
            let line = 12 + before.matches('\n').count();
            assert_eq!(*at, format!("e:{line}"), "{before}");
            assert!(cause.starts_with("`accept "), "{cause}");
            assert!(
                cause.contains(&format!(" at e:10 stands before it and takes the mail of {whose}")),
                "{cause}"
            );
            assert_eq!(lines, "  deny\n    dnslists = a.test=127.0.0.4\n    message = no");
        }
    }

    #[test]
    fn what_goes_on_to_the_lists() {
        for before in [
            // Own people.
            "accept hosts = :",
            "accept hosts = : +relay_from_hosts",
            "accept authenticated = *",
            "accept !hosts = *",
            "accept !hosts = +all",
            "accept domains = +local_domains\n    hosts = +relay_from_hosts",
            "accept domains = +local_domains\n    authenticated = *",
            // Some domains, some users, some senders.
            "accept domains = +unfiltered",
            "accept domains = !+unfiltered : +local_domains",
            "accept domains = +local_domains\n    !domains = +unfiltered",
            "accept domains = +relay_to_domains\n    endpass\n    verify = recipient",
            "accept domains = +nosuch",
            "accept domains = +local_domains\n    local_parts = postmaster : abuse",
            "accept domains = +local_domains\n    !local_parts = lsearch;/etc/exim/wants_lists",
            "accept domains = +local_domains\n    senders = :",
            "accept sender_domains = friend.example",
            "accept hosts = 192.0.2.0/24",
            "accept hosts = ${if exists{/etc/x}{/etc/x}{}}",
            // What nobody can tell here, and what is an allow list.
            "accept domains = +local_domains\n    condition = ${if eq{$acl_m_x}{1}}",
            "accept domains = +local_domains\n    acl = acl_friends",
            "accept domains = +local_domains\n    dnslists = ok.test=127.0.0.2",
            "accept domains = +local_domains\n    !dnslists = a.test=127.0.0.4",
            "accept domains = +local_domains\n    verify = reverse_host_lookup",
            "accept domains = +local_domains\n    spf = pass",
            // Which accepts nothing.
            "require domains = +local_domains",
            "require verify = recipient",
            "deny !domains = +local_domains",
            "deny domains = +local_domains\n    !verify = recipient",
            "warn domains = +local_domains",
            "defer !verify = sender",
        ] {
            assert_eq!(told(&format!("  {before}")), [], "{before}");
        }
        // Nor is it missed behind what takes mail where it is asked before, in the same way.
        let again = "  deny dnslists = a.test=127.0.0.4\n  accept domains = +local_domains";
        assert_eq!(told(again), []);
        let weighed = "  warn dnslists = a.test=127.0.0.4\n  accept domains = +local_domains";
        assert_eq!(told(weighed).len(), 1);
    }
}
