//! ACLs that say whom a statement spares (`!acl = NAME` beside further conditions): their `deny` refuses nobody that those do not refuse. Pure.

use super::super::Idle;
use super::super::statement::REFUSING;
use super::Line;
use super::acl::{Acl, Statement, idle, is_modifier};
use super::calls::{called, names};

/// `deny` in an ACL that says who is spared.
pub(super) fn denied(acl: &Acl<'_>, acls: &[Acl<'_>], lines: &[Line]) -> Option<Idle> {
    let name = acl.name?;
    let at = sparing(name, acls, lines)?;
    let refusing: Vec<&Statement<'_>> =
        acl.reached().iter().filter(|statement| REFUSING.contains(&statement.verb)).collect();
    let cause = format!(
        "the ACL {name} says whom the statement at {at} spares (`!acl = {name}`): whom it denies is refused for the further conditions there alone"
    );
    let how = "move these statements into the ACL that acl_smtp_rcpt names, behind what lets your own people pass (Debian: into a file that \
               CHECK_RCPT_LOCAL_ACL_FILE names)";
    Some(Idle { matters: true, ..idle(&refusing, acls, cause, how.to_owned())? })
}

/// The statement that asks an ACL whether to spare somebody whom its further conditions refuse, where nothing else names that ACL: what it denies
/// is refused for those conditions alone.
fn sparing<'a>(name: &str, acls: &'a [Acl<'_>], lines: &[Line]) -> Option<&'a str> {
    if lines.iter().any(|line| names(line, name)) {
        return None;
    }
    let calls = |statement: &&Statement<'_>| called(statement).any(|called| called == name);
    let mut calling = acls.iter().flat_map(|acl| &acl.statements).filter(calls);
    let word = |condition: &str| condition.split('=').next().unwrap_or_default().trim().to_owned();
    let is_sparing = |statement: &Statement<'_>| {
        let words: Vec<String> = statement.conditions.iter().map(|(_, condition)| word(condition)).collect();
        let has_more = words.iter().any(|word| !word.ends_with("acl") && !is_modifier(word));
        REFUSING.contains(&statement.verb) && has_more && !words.iter().any(|word| word == "acl")
    };
    let first = calling.next().filter(|statement| is_sparing(statement))?;
    calling.all(is_sparing).then_some(first.at)
}

#[cfg(test)]
mod tests {
    use super::super::uses;

    const ASKS: &str = "  deny\n    dnslists = a.test=127.0.0.4 : b.test=127.0.0.4\n    message = no\n";

    /// Debian's `acl_local_deny_exceptions`, into which a part of a split configuration comes by its number.
    #[test]
    fn what_an_acl_denies_that_says_who_is_spared() {
        let of = |call: &str| {
            uses("e", &format!(
                "acl_smtp_rcpt = rcpt\nbegin acl\nspares:\n  accept hosts = x\n{ASKS}rcpt:\n{call}  accept\n"
            ), &|_| None)
            .idle
            .into_iter()
            .map(|idle| (idle.at, idle.cause, idle.cure.lines))
            .collect::<Vec<_>>()
        };
        let idle = of("  deny\n    !acl = spares\n    hosts = bad\n    message = no\n");
        let [(at, cause, lines)] = &idle[..] else { panic!("{idle:?}") };
        assert_eq!((at.as_str(), lines.as_str()), ("e:6", ASKS.trim_end()));
        assert!(cause.contains("whom the statement at e:9 spares (`!acl = spares`)"), "{cause}");
        for alone in [
            "  deny !acl = spares\n",
            "  deny\n    !acl = spares\n    message = no\n",
            "  require acl = spares\n",
        ] {
            assert_eq!(of(alone), [], "{alone}");
        }
    }
}
