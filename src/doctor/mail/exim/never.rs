//! Statements that ask lists for nobody whom lists are for: a `!` that was lost before one's own hosts, a condition that never holds. Pure.

use super::super::super::finding::Cure;
use super::super::statement::REFUSING;
use super::super::{Idle, Mention};
use super::acl::{Acl, Statement, values};
use super::{Line, PRIMARY, items};
use crate::snippet::Program;

/// Why a statement does nothing.
pub(super) struct Why {
    cause: String,
    cure: Cure,
}

impl Why {
    pub(super) fn idle(self, mentions: &[Mention]) -> Option<Idle> {
        Some(Idle {
            program: Program::Exim,
            at: mentions.first()?.at.clone(),
            zones: mentions.iter().map(|mention| mention.zone.clone()).collect(),
            matters: false,
            cause: self.cause,
            cure: self.cure,
        })
    }
}

/// The condition of the statement that keeps it from holding for strangers' mail. `lines` are all of the configuration.
pub(super) fn holds(statement: &Statement<'_>, acls: &[Acl<'_>], lines: &[Line]) -> Option<Why> {
    let is_refusing = REFUSING.contains(&statement.verb) && statement.means.is_refusing;
    if statement.verb != "warn" && !is_refusing {
        return None;
    }
    statement.conditions.iter().find_map(|(at, condition)| {
        let (name, value) = condition.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let (because, how, instead) = match name {
            "hosts" if items(value).all(is_own_host) => {
                ("holds for your own hosts alone", "put the `!` back", format!("!hosts = {value}"))
            }
            "authenticated" if value == "*" => {
                ("holds for those alone who logged in", "put the `!` back", "!authenticated = *".to_owned())
            }
            "!hosts" if value == "*" => match lines.iter().any(|line| defines(line, "hostlist", OWN_HOSTS)) {
                true => ("holds for nobody", "name your own hosts alone", format!("!hosts = : +{OWN_HOSTS}")),
                false => ("holds for nobody", "name your own hosts alone", String::new()),
            },
            "condition" if matches!(value, "no" | "false" | "0") => {
                ("never holds", "take that line out", String::new())
            }
            "domains" if is_nobodys(value, acls, lines) => (
                "holds for domains that no domainlist here has, so that no mail for them is taken anyway",
                "name your own domains there, or take that line out",
                String::new(),
            ),
            _ => return None,
        };
        Some(Why {
            cause: format!("`{condition}` at {at} {because}"),
            cure: Cure { how: format!("Exim: {how}, at {at}"), lines: instead },
        })
    })
}

/// What Exim's example configuration calls them.
pub(super) const OWN_HOSTS: &str = "relay_from_hosts";

/// An empty item is who comes by no connection.
fn is_own_host(item: &str) -> bool {
    let item = item.replace("::::", "::");
    item.is_empty()
        || item.strip_prefix('+') == Some(OWN_HOSTS)
        || matches!(item.as_str(), "127.0.0.1" | "::1" | "@[]" | "localhost")
}

fn defines(line: &Line, kind: &str, name: &str) -> bool {
    defined(line, kind).is_some_and(|(found, _)| found == name)
}

/// `hostlist NAME = ITEMS`
pub(super) fn defined<'a>(line: &'a Line, kind: &str) -> Option<(&'a str, &'a str)> {
    let (name, value) = line.text.strip_prefix(kind)?.strip_prefix(' ')?.split_once('=')?;
    Some((name.trim(), value.trim()))
}

/// Whether these are plain names, those of all domainlists are plain and others, and nothing else may be about them.
fn is_nobodys(value: &str, acls: &[Acl<'_>], lines: &[Line]) -> bool {
    let lists: Vec<&str> =
        lines.iter().filter_map(|line| defined(line, "domainlist")).map(|(_, value)| value).collect();
    let mut known = lists.iter().flat_map(|list| items(list)).filter(|item| !item.is_empty()).peekable();
    known.peek().is_some()
        && items(value).all(is_plain)
        && known.all(|known| match known {
            "@" => items(value).all(|item| is_other_host(item, lines)),
            known => is_plain(known) && items(value).all(|item| !item.eq_ignore_ascii_case(known)),
        })
        && items(value).all(|item| is_named_nowhere(item, acls, lines))
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

fn is_plain(item: &str) -> bool {
    !item.is_empty() && item.chars().all(is_letter)
}

/// Whether this host is surely called otherwise.
fn is_other_host(item: &str, lines: &[Line]) -> bool {
    let name = |line: &Line| {
        let (name, value) = line.text.split_once('=')?;
        (name.trim() == PRIMARY).then(|| value.trim().to_ascii_lowercase())
    };
    let item = item.to_ascii_lowercase();
    // The kernel may have the first part of it alone.
    lines.iter().find_map(name).is_some_and(|name| {
        is_plain(&name) && item != name && (name.contains('.') || !item.starts_with(&format!("{name}.")))
    })
}

/// Whether nothing takes mail for such a domain: no line has it but those of statements that refuse, and what accepts names its domains or lists of them.
fn is_named_nowhere(item: &str, acls: &[Acl<'_>], lines: &[Line]) -> bool {
    let all = || acls.iter().flat_map(|acl| &acl.statements);
    let refusing = all().filter(|statement| REFUSING.contains(&statement.verb) || statement.verb == "warn");
    let refusing: Vec<&str> =
        refusing.flat_map(|statement| &statement.conditions).map(|(at, _)| *at).collect();
    let names = |line: &Line| line.text.split(|c| !is_letter(c)).any(|word| word.eq_ignore_ascii_case(item));
    let accepting = all().filter(|statement| matches!(statement.verb, "accept" | "require"));
    let is_known = |item: &str| is_plain(item.trim_start_matches(['!', '+', ' ']));
    !lines.iter().any(|line| !refusing.contains(&line.at.as_str()) && names(line))
        && accepting
            .flat_map(|statement| values(statement, "domains"))
            .all(|(_, value)| items(value).all(is_known))
}

#[cfg(test)]
mod tests {
    use super::super::uses;

    /// How many uses are left, and what is told of the rest: why, and the line to put in its place.
    fn told(condition: &str, more: &str) -> (usize, Vec<(String, String)>) {
        let text = format!(
            "domainlist local_domains = vm.example : other.example\ndomainlist relay_to_domains =\n\
             hostlist relay_from_hosts = 127.0.0.1 : ::::1\nacl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_check_rcpt:\n\
             \x20 deny\n    {condition}\n    dnslists = a.test=127.0.0.4\n{more}"
        );
        let found = uses("e", &text, &|_| None);
        let idle = found.idle.into_iter().map(|idle| (idle.cause, idle.cure.lines));
        (found.mentions.len(), idle.collect())
    }

    #[test]
    fn conditions_that_keep_strangers_out_of_a_statement() {
        for (condition, line) in [
            ("hosts = +relay_from_hosts", "!hosts = +relay_from_hosts"),
            ("hosts = : +relay_from_hosts", "!hosts = : +relay_from_hosts"),
            ("hosts = 127.0.0.1 : ::::1", "!hosts = 127.0.0.1 : ::::1"),
            ("authenticated = *", "!authenticated = *"),
            ("!hosts = *", "!hosts = : +relay_from_hosts"),
            ("condition = no", ""),
            ("domains = nosuch.example", ""),
        ] {
            let (number, idle) = told(condition, "");
            assert_eq!((number, idle.len()), (0, 1), "{condition}");
            assert!(idle[0].0.contains(&format!("`{condition}` at e:8 ")), "{idle:?}");
            assert_eq!(idle[0].1, line);
        }
        for condition in [
            "!hosts = : +relay_from_hosts",
            "hosts = !+relay_from_hosts",
            "hosts = 192.0.2.0/24",
            "hosts = +others",
            "condition = yes",
            "domains = +local_domains",
            "domains = other.example",
            "domains = *.example",
        ] {
            assert_eq!(told(condition, ""), (1, vec![]), "{condition}");
        }
        let named = |name: &str, more: &str| {
            let text = format!(
                "domainlist local_domains = @:localhost:vm.example\ndomainlist relay_to_domains =\nacl_smtp_rcpt = rcpt\n{more}begin acl\nrcpt:\n\
                 \x20 deny domains = other.example\n    dnslists = a.test=127.0.0.4\n  require domains = +local_domains : +relay_to_domains\n  accept\n"
            );
            uses("e", &text, &|path| {
                (path == std::path::Path::new(super::super::HOSTNAME)).then(|| format!("{name}\n"))
            })
            .mentions
            .len()
        };
        for (name, more, number) in [
            ("mx.vm.example", "", 0),
            ("mx", "", 0),
            // Which may be this host.
            ("other", "", 1),
            ("other.example", "", 1),
            ("mx", "primary_hostname = other.example\n", 1),
            ("other.example", "primary_hostname = mx.vm.example\n", 0),
            // Or taken for otherwise.
            ("mx", "domainlist more = lsearch;/etc/domains\n", 1),
            ("mx", "begin acl\nelse:\n  accept domains = vm.example : other.example\n", 1),
            ("mx", "begin acl\nelse:\n  accept domains = dsearch;/etc/domains\n", 1),
        ] {
            assert_eq!(named(name, more), number, "{name}: {more}");
        }
        // Beside what asks for all it is nothing that is missed.
        let (number, idle) = told("hosts = +relay_from_hosts", "  deny dnslists = a.test=127.0.0.4\n");
        assert_eq!((number, idle), (1, vec![]));
    }
}
