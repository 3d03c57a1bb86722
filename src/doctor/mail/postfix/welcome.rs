//! Tables that let in mail before lists are asked: for all domains of one's own (`check_recipient_access`), or of everybody. Pure.

use super::super::super::finding::Cure;
use super::super::{Does, Idle};
use super::config::Parameters;
use super::restrictions::{Question, questions, restrictions, words};
use super::tables::{Row, Tables, in_place, of_everybody};
use crate::snippet::Program;

/// What names one's own domains.
const OWN: [&str; 4] = ["mydestination", "relay_domains", "virtual_alias_domains", "virtual_mailbox_domains"];

/// What is asked in a list behind such a table, whose rows can be read.
pub(super) fn before(value: &str, at: &str, parameters: &Parameters, tables: &Tables) -> Option<Idle> {
    let own = own_domains(parameters, tables);
    let mut stood = String::new();
    for restriction in restrictions(value) {
        stood = format!("{stood} {}", restriction.text);
        let is_table =
            restriction.word.starts_with("check_") && !restriction.text.starts_with("warn_if_reject");
        let Some(table) = restriction.argument.filter(|_| is_table) else { continue };
        let in_place = in_place(table);
        let rows = tables.get(table).map_or(&in_place[..], Vec::as_slice);
        // What stands in its place is known for what ends a list.
        let everybodys = of_everybody(rows).filter(|_| in_place.is_empty());
        let (row, whose) = match everybodys {
            Some(row) => (row, "no mail".to_owned()),
            None => {
                let own = own.as_deref().filter(|_| restriction.word == "check_recipient_access");
                let Some((own, row)) = own.and_then(|own| of_all(own, rows, parameters)) else { continue };
                (row, format!("no mail for {own}"))
            }
        };
        let all = questions(value);
        let asks = all.iter().skip(questions(&stood).len());
        let asks: Vec<&Question<'_>> = asks.filter(|asks| asks.barred.is_none()).collect();
        let refusing = asks.iter().filter(|asks| asks.does == Does::Reject);
        let zones = refusing.filter_map(|asks| asks.mention(at)).map(|mention| mention.zone);
        let text = &restriction.text;
        // Strangers are kept from relaying before a list is asked.
        let is_early = restrictions(value)
            .iter()
            .skip_while(|other| other.text != *text)
            .any(|other| matches!(other.word, "reject_unauth_destination" | "defer_unauth_destination"));
        let how = match is_early {
            true => format!("move `{text}` behind these lines, to the end"),
            false => format!("move these lines before `{text}`, behind reject_unauth_destination"),
        };
        return Some(Idle {
            program: Program::Postfix,
            at: at.to_owned(),
            zones: zones.collect(),
            matters: false,
            cause: format!(
                "`{text}` stands before it and has `{} {}`: {whose} comes as far, listed or not",
                row.key, row.does
            ),
            cure: Cure { how, lines: asks.iter().map(|asks| asks.line()).collect::<Vec<_>>().join("\n") },
        });
    }
    None
}

/// What names domains, those of tables among them, which are to be read.
pub(super) fn naming(parameters: &Parameters) -> impl Iterator<Item = &str> {
    // Where that names none, what maps addresses does (`virtual_alias_domains = $virtual_alias_maps`).
    let maps = (!parameters.contains_key("virtual_alias_domains")).then_some("virtual_alias_maps");
    OWN.into_iter().chain(maps).filter_map(|name| parameters.get(name)).flat_map(|value| words(value))
}

/// The domains that it takes mail for. `None`: there may be more.
fn own_domains(parameters: &Parameters, tables: &Tables) -> Option<Vec<String>> {
    let mut named: Vec<String> = Vec::new();
    for word in naming(parameters) {
        match tables.get(word) {
            // Of a table that maps addresses, too, those without a local part are domains.
            Some(rows) => named.extend(rows.iter().map(|row| row.key.to_ascii_lowercase())),
            None if word.contains([':', '/', '{']) => return None,
            None => named.push(word.to_ascii_lowercase()),
        }
    }
    // A pattern has nobody knows how many.
    if named.iter().any(|domain| domain.contains(['/', '*', '(', '^'])) {
        return None;
    }
    named.retain(|domain| !domain.contains('@') && domain.contains('.'));
    let is_a_domain = |domain: &&String| !domain.contains('$') && !is_local(domain);
    let (hosts, own): (Vec<&String>, Vec<&String>) =
        named.iter().filter(is_a_domain).partition(|domain| is_the_host(domain, parameters));
    // A host that has no other mails its people by its own name.
    Some(if own.is_empty() { hosts } else { own }.into_iter().cloned().collect())
}

/// The first of `own`, and the row by which it is let in, where all are.
fn of_all<'a>(own: &'a [String], rows: &'a [Row], parameters: &Parameters) -> Option<(&'a str, &'a Row)> {
    const PARENTS: &str = "parent_domain_matches_subdomains";
    let has_parents =
        parameters.get(PARENTS).is_none_or(|value| words(value).any(|word| word == "smtpd_access_maps"));
    // What has the whole name goes before what has less of it.
    let row_of = |own: &str| {
        let mut name = Some(own);
        while let Some(wanted) = name {
            let found =
                rows.iter().find(|row| domain(row) == wanted && (wanted == own || !row.key.starts_with('/')));
            if found.is_some() {
                return found;
            }
            name = wanted.split_once('.').map(|(_, parent)| parent).filter(|_| has_parents);
        }
        None
    };
    // One of several may be meant to be left out, and so may all but who asked for it.
    let is_asked_for =
        |own: &String| rows.iter().any(|row| !row.lets() && domain(row).ends_with(&format!("@{own}")));
    let is_let_in = |own: &String| row_of(own).is_some_and(Row::lets);
    if !own.iter().all(is_let_in) || own.iter().any(is_asked_for) {
        return None;
    }
    let first = own.first()?;
    Some((first, row_of(first)?))
}

fn is_local(domain: &str) -> bool {
    domain.split('.').next() == Some("localhost")
}

/// Whether it is the host's own name, which strangers write to nobody at.
fn is_the_host(domain: &str, parameters: &Parameters) -> bool {
    parameters.get("myhostname").is_some_and(|name| name.eq_ignore_ascii_case(domain))
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
            ("org", "DUNNO"),
            ("/org/", "OK"),
        ] {
            assert_eq!(told(key, does, list), None, "{key} {does}");
        }
        let shown = told("org", "OK", list).unwrap().0;
        assert!(shown.contains("has `org OK`: no mail for example.org"), "{shown}");
        for place in ["inline:{example.org=OK}", "inline:{{other.example = REJECT}, {example.org = OK}}"] {
            let list = list.replace("hash:/r", place);
            let (cause, lines) = told("x", "OK", &list).unwrap();
            assert!(cause.contains("has `example.org OK`") && lines.contains("a.test"), "{cause} {lines}");
        }
        assert_eq!(told("x", "OK", &list.replace("hash:/r", "inline:{example.org=DUNNO}")), None);
        assert_eq!(
            told(
                "x",
                "OK",
                &list
                    .replace("check_recipient_access hash:/r", "check_client_access inline:{example.org=OK}")
            ),
            None
        );
        for by in ["client", "recipient", "helo", "sender"] {
            let list = list.replace("recipient_access", &format!("{by}_access"));
            let (cause, _) = told("0.0.0.0/0", "permit_auth_destination", &list).unwrap();
            assert!(
                cause.contains("has `0.0.0.0/0 permit_auth_destination`: no mail comes as far"),
                "{cause}"
            );
        }
        assert_eq!(
            told("/./", "OK", &list.replace("check_recipient", "warn_if_reject check_recipient")),
            None
        );
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
        assert!(told_of(&[("relay_domains", "")]), "what is below it is let in with it");
        assert!(!told_of(&[("relay_domains", ""), ("parent_domain_matches_subdomains", "relay_domains")]));
        let host = [("mydestination", "$myhostname, example.org, localhost"), ("relay_domains", "")];
        assert!(told_of(&[host[0], host[1], ("myhostname", "example.org")]), "all that there is");
        assert!(told_of(&[("relay_domains", ""), ("myhostname", "mail.example.org")]));
        let own =
            [("virtual_mailbox_domains", "hash:/own"), ("relay_domains", ""), ("mydestination", "localhost")];
        let in_table = |keys: &[&str]| {
            let parameters = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let row = |key: &str| Row { key: key.to_owned(), does: "OK".to_owned() };
            let tables = Tables::from([
                ("hash:/r".to_owned(), vec![row("example.org")]),
                ("hash:/own".to_owned(), keys.iter().map(|key| row(key)).collect()),
            ]);
            before(list, "l", &parameters.collect(), &tables).is_some()
        };
        assert!(in_table(&["example.org"]) && in_table(&["Example.org", "me@other.example", "root"]));
        assert!(!in_table(&["example.org", "other.example"]) && !in_table(&["/^example/", "example.org"]));
        let front =
            "check_recipient_access hash:/r, reject_unauth_destination, reject_rbl_client a.test=127.0.0.2";
        let parameters = Parameters::from([("mydestination".to_owned(), "example.org".to_owned())]);
        let tables = Tables::from([(
            "hash:/r".to_owned(),
            vec![Row { key: "example.org".to_owned(), does: "OK".to_owned() }],
        )]);
        let cure = before(front, "l", &parameters, &tables).unwrap().cure;
        assert_eq!(cure.how, "move `check_recipient_access hash:/r` behind these lines, to the end");
        let only = [("relay_domains", ""), ("myhostname", "mail.example.org")];
        let with = |name: &'static str, value: &'static str| told_of(&[only[0], only[1], (name, value)]);
        assert!(!with("relay_domains", "hash:/more") && !with("virtual_alias_maps", "hash:/more"));
        assert!(with("virtual_alias_maps", "") && with("virtual_mailbox_maps", "hash:/more"));
        let behind = "reject_rbl_client a.test=127.0.0.2, check_recipient_access hash:/r";
        assert_eq!(told("example.org", "OK", behind).unwrap().1, "");
        assert_eq!(told("example.org", "OK", &list.replace("recipient_access", "client_access")), None);
    }
}
