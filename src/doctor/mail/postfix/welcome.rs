//! Tables of recipients (`check_recipient_access`) that let in mail for all domains of one's own before lists are asked. Pure.

use super::super::super::finding::Cure;
use super::super::{Does, Idle};
use super::config::Parameters;
use super::restrictions::{Question, questions, restrictions, words};
use super::tables::{Row, Tables};
use crate::snippet::Program;

/// What names one's own domains.
const OWN: [&str; 4] = ["mydestination", "relay_domains", "virtual_alias_domains", "virtual_mailbox_domains"];

/// What is asked in a list behind such a table, whose rows can be read.
pub(super) fn before(value: &str, at: &str, parameters: &Parameters, tables: &Tables) -> Option<Idle> {
    // Where that names none, what maps addresses does (`virtual_alias_domains = $virtual_alias_maps`).
    let maps = (!parameters.contains_key("virtual_alias_domains")).then_some("virtual_alias_maps");
    let values = OWN.into_iter().chain(maps).filter_map(|name| parameters.get(name));
    let named = values.flat_map(|value| words(value));
    let named: Vec<String> = named.map(str::to_ascii_lowercase).collect();
    // A table may have more of them.
    if named.iter().any(|domain| domain.contains([':', '/', '{'])) {
        return None;
    }
    let is_a_domain = |domain: &&String| !domain.contains('$') && !is_the_host(domain, parameters);
    let own: Vec<&String> = named.iter().filter(is_a_domain).collect();
    let mut stood = String::new();
    for restriction in restrictions(value) {
        stood = format!("{stood} {}", restriction.text);
        let table = restriction.argument.filter(|_| restriction.word == "check_recipient_access");
        let rows = table.and_then(|table| tables.get(table)).into_iter().flatten();
        let (let_in, rest): (Vec<&Row>, Vec<&Row>) = rows.partition(|row| lets(row));
        let is_let_in = |own: &&String| let_in.iter().any(|row| domain(row) == **own);
        // One of several may be meant to be left out, and so may all but who asked for it.
        let is_asked_for = |own: &&String| rest.iter().any(|row| domain(row).ends_with(&format!("@{own}")));
        if !own.iter().all(is_let_in) || own.iter().any(is_asked_for) {
            continue;
        }
        let Some(row) = let_in.into_iter().find(|row| own.contains(&&domain(row))) else { continue };
        let all = questions(value);
        let asks = all.iter().skip(questions(&stood).len());
        let asks: Vec<&Question<'_>> = asks.filter(|asks| asks.barred.is_none()).collect();
        let refusing = asks.iter().filter(|asks| asks.does == Does::Reject);
        let zones = refusing.filter_map(|asks| asks.mention(at)).map(|mention| mention.zone);
        let (text, domain) = (&restriction.text, domain(row));
        return Some(Idle {
            program: Program::Postfix,
            at: at.to_owned(),
            zones: zones.collect(),
            matters: false,
            cause: format!(
                "`{text}` stands before it and has `{} {}`: no mail for {domain} comes as far, listed or not",
                row.key, row.does
            ),
            cure: Cure {
                how: format!("move these lines before `{text}`, behind reject_unauth_destination"),
                lines: asks.iter().map(|asks| asks.line()).collect::<Vec<_>>().join("\n"),
            },
        });
    }
    None
}

/// Whether it is the host's own name, which strangers write to nobody at.
fn is_the_host(domain: &str, parameters: &Parameters) -> bool {
    let is_its_name = parameters.get("myhostname").is_some_and(|name| name.eq_ignore_ascii_case(domain));
    is_its_name || domain.split('.').next() == Some("localhost")
}

/// Whether it lets in, and asks nothing more (access(5)).
fn lets(row: &Row) -> bool {
    let word = row.does.split([' ', '\t', ',']).next().unwrap_or_default().to_ascii_lowercase();
    matches!(word.as_str(), "ok" | "permit" | "permit_auth_destination")
        || !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_digit())
}

/// The whole domain that a key has: `example.org`, `/@example\.org$/`.
fn domain(row: &Row) -> String {
    let key = row.key.replace(['/', '^', '$', '\\'], "");
    key.trim_start_matches(".*").trim_start_matches('@').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: &str, does: &str, list: &str) -> Option<(String, String)> {
        let parameters =
            Parameters::from([("mydestination".to_owned(), "localhost, example.org".to_owned())]);
        let row = Row { key: key.to_owned(), does: does.to_owned() };
        let tables = Tables::from([("hash:/r".to_owned(), vec![row])]);
        before(list, "l", &parameters, &tables).map(|idle| (idle.cause, idle.cure.lines))
    }

    #[test]
    fn a_domain_of_ones_own_is_let_in() {
        let list = "permit_mynetworks, reject_unauth_destination, reject_rbl_client b.test=127.0.0.2, check_recipient_access hash:/r, reject_rbl_client a.test=127.0.0.2, permit_dnswl_client c.test";
        for (key, does) in [
            ("example.org", "OK"),
            ("Example.org", "permit x"),
            ("/@example\\.org$/", "200"),
            ("/^.*@example.org$/", "ok"),
        ] {
            let (cause, lines) = told(key, does, list).unwrap();
            assert!(
                cause.contains(&format!("has `{key} {does}`")) && cause.contains("no mail for example.org"),
                "{cause}"
            );
            assert_eq!(lines, "    reject_rbl_client a.test=127.0.0.2,\n    permit_dnswl_client c.test,");
        }
        for (key, does) in [
            ("example.org", "REJECT"),
            ("example.org", "DUNNO"),
            ("postmaster@example.org", "OK"),
            ("other.example", "OK"),
            (".example.org", "OK"),
        ] {
            assert_eq!(told(key, does, list), None, "{key} {does}");
        }
        let two = [
            ("mydestination", "localhost, example.org, mail.example.org"),
            ("relay_domains", "other.example"),
        ];
        let told_of = |more: &[(&str, &str)]| {
            let parameters =
                two.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let row = Row { key: "example.org".to_owned(), does: "OK".to_owned() };
            let tables = Tables::from([("hash:/r".to_owned(), vec![row])]);
            before(list, "l", &parameters.collect(), &tables).is_some()
        };
        assert!(
            !told_of(&[("myhostname", "mail.example.org")]),
            "the other may be meant to be refused alone"
        );
        assert!(!told_of(&[("relay_domains", "")]));
        assert!(told_of(&[("relay_domains", ""), ("myhostname", "mail.example.org")]));
        let only = [("relay_domains", ""), ("myhostname", "mail.example.org")];
        let with = |name: &'static str, value: &'static str| told_of(&[only[0], only[1], (name, value)]);
        assert!(!with("relay_domains", "hash:/more") && !with("virtual_alias_maps", "hash:/more"));
        assert!(with("virtual_alias_maps", "") && with("virtual_mailbox_maps", "hash:/more"));
        let behind = "reject_rbl_client a.test=127.0.0.2, check_recipient_access hash:/r";
        assert_eq!(told("example.org", "OK", behind).unwrap().1, "");
        assert_eq!(told("example.org", "OK", &list.replace("recipient_access", "client_access")), None);
    }
}
