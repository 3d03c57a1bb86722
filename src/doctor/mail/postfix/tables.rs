//! Tables that lists of restrictions name and that stand in files of their own (access(5)): what their rows do. Pure but for what the given
//! functions read.

use std::collections::BTreeMap;

use super::restrictions::{elements, is_everybody, is_null_sender, naming, restrictions, words};

/// A key, and what is done with whom it has: restrictions, or the names of classes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) does: String,
}

/// By how they are written; those that cannot be read here are not among them.
pub(super) type Tables = BTreeMap<String, Vec<Row>>;

/// Tables whose rows `postmap` prints.
const KEYED: [&str; 6] = ["btree", "cdb", "dbm", "hash", "lmdb", "sdbm"];
/// Tables that are texts.
const TEXTS: [&str; 4] = ["cidr", "pcre", "regexp", "texthash"];

/// A table in a list: the restriction that asks it, and the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub(super) by: &'a str,
    pub(super) table: &'a str,
}

/// Those of a list that stand elsewhere, as far as somebody comes to them and they may refuse.
pub(super) fn outside(value: &str) -> Vec<Asked<'_>> {
    let mut all = Vec::new();
    for restriction in restrictions(value) {
        let warns = restriction.text.starts_with("warn_if_reject ");
        let argument = restriction.argument.filter(|_| restriction.word.starts_with("check_") && !warns);
        let argument = argument.map_or("", |argument| argument.trim_start_matches('{'));
        let tables = if is_composed(argument) { vec![argument] } else { words(argument).collect() };
        let tables = tables.into_iter().filter(|word| is_outside(word));
        all.extend(tables.map(|table| Asked { by: restriction.word, table }));
        if restriction.ends {
            break;
        }
    }
    all
}

/// Whether it is a table of tables.
fn is_composed(word: &str) -> bool {
    ["pipemap:{", "unionmap:{"].iter().any(|kind| word.starts_with(kind))
}

fn is_outside(word: &str) -> bool {
    let is_in_place = word.contains(":{") && !is_composed(word) || word.starts_with("static:");
    word.contains(':') && !is_in_place
}

/// Reads those of these names. `text` reads a file, `keyed` has `postmap` print a table.
pub(super) fn read<'a>(
    names: impl Iterator<Item = &'a str>,
    text: &dyn Fn(&str) -> Option<String>,
    keyed: &dyn Fn(&str) -> Option<String>,
) -> Tables {
    let mut tables = Tables::new();
    for table in names {
        if tables.contains_key(table) {
            continue;
        }
        let plain =
            ["proxy:", "fail:", "debug:"].iter().find_map(|word| table.strip_prefix(word)).unwrap_or(table);
        let Some((kind, place)) = plain.split_once(':') else { continue };
        let found = match kind {
            _ if KEYED.contains(&kind) => keyed(plain),
            _ if TEXTS.contains(&kind) => text(place),
            _ => None,
        };
        tables.extend(found.map(|text| (table.to_owned(), rows(&text))));
    }
    tables
}

/// What stands in its place in the list: `inline:{a=b, {c = d}}`, `pcre:{{/x/ y}}`.
pub(super) fn in_place(table: &str) -> Vec<Row> {
    let Some((kind, text)) = table.split_once(":{") else { return Vec::new() };
    let text = text.strip_suffix('}').unwrap_or(text);
    let rows = elements(text).filter_map(|element| {
        let element = element.trim_matches(['{', '}', ' ', '\t']);
        match kind {
            "inline" => {
                let (key, does) = element.split_once('=')?;
                Some(Row { key: key.trim().to_owned(), does: does.trim().to_owned() })
            }
            _ => row(element),
        }
    });
    rows.collect()
}

/// The row that lets in everybody whom none before it has, where that is sure.
pub(super) fn of_everybody(rows: &[Row]) -> Option<&Row> {
    // What stands behind `if` is for some.
    if rows.iter().any(|row| row.key == "if") {
        return None;
    }
    rows.iter().find(|row| is_everybody(&row.key)).filter(|row| row.lets())
}

impl Row {
    /// Whether it lets in, and asks nothing more (access(5)).
    pub(super) fn lets(&self) -> bool {
        let word = self.does.split([' ', '\t', ',']).next().unwrap_or_default().to_ascii_lowercase();
        matches!(word.as_str(), "ok" | "permit" | "permit_auth_destination")
            || !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_digit())
    }
}

fn rows(text: &str) -> Vec<Row> {
    super::config::logical(text).into_iter().filter_map(|(_, line)| row(&line)).collect()
}

/// `KEY ACTION`; a pattern may have blanks in it, and ends with `/` and its flags.
fn row(line: &str) -> Option<Row> {
    let start = line.strip_prefix('!').map_or(0, |_| 1);
    let end = match line[start..].starts_with('/') {
        true => {
            let is_end = |at: &usize| {
                let flags = line[at + 1..].trim_start_matches(|c: char| c.is_ascii_alphabetic());
                *at > start && flags.starts_with([' ', '\t'])
            };
            let at = line.match_indices('/').map(|(at, _)| at).find(is_end)?;
            at + line[at..].find([' ', '\t'])?
        }
        false => line.find([' ', '\t'])?,
    };
    let (key, does) = line.split_at(end);
    Some(Row { key: key.to_owned(), does: does.trim().to_owned() })
}

/// How a list names a class, by itself and by its tables, each time whether for null senders alone; and whether a table of it, which cannot be
/// read here, may.
pub(super) fn named(value: &str, class: &str, null: &str, tables: &Tables) -> (Vec<bool>, bool) {
    let mut named = naming(value, class, null);
    let mut may_be = false;
    for Asked { by, table } in outside(value) {
        let Some(rows) = tables.get(table) else {
            may_be = true;
            continue;
        };
        let rows = rows.iter().filter(|row| elements(&row.does).any(|word| word == class));
        named.extend(rows.map(|row| by == "check_sender_access" && is_null_sender(&row.key, null)));
    }
    (named, may_be)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_stand_elsewhere() {
        let tables = |value| outside(value).into_iter().map(|asked| asked.table).collect::<Vec<_>>();
        assert_eq!(
            tables(
                "permit_mynetworks, check_client_access hash:/a check_policy_service inet:127.0.0.1:1, permit, check_helo_access hash:/b"
            ),
            ["hash:/a", "inet:127.0.0.1:1"]
        );
        assert_eq!(tables("check_client_access pipemap:{hash:/a, hash:/b}"), ["pipemap:{hash:/a, hash:/b}"]);
        for none in [
            "check_client_access static:OK",
            "check_client_access inline:{{a = b}}",
            "warn_if_reject check_client_access hash:/a",
        ] {
            assert_eq!(tables(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn who_is_let_in_as_everybody() {
        let told = |text: &str| of_everybody(&rows(text)).map(|row| row.key.clone());
        assert_eq!(told("10.0.0.0/8 DUNNO\n0.0.0.0/0 permit\n").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(told("/x/ REJECT\n/./i OK\n").as_deref(), Some("/./i"));
        for nobody in
            ["0.0.0.0/0 DUNNO\n0.0.0.0/0 OK\n", "192.0.2.1 OK\n", "if /x/\n/./ OK\nendif\n", "/a./ OK\n"]
        {
            assert_eq!(told(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn what_rows_do() {
        let found = read(
            ["proxy:hash:/a", "regexp:/b", "ldap:/c"].into_iter(),
            &|path| {
                (path == "/b")
                    .then(|| "# x\n/^a b\\/c$/i\tgp\n!/x/ permit\nif /y/\n/z/\n  b, gp\nendif\n".to_owned())
            },
            &|table| (table == "hash:/a").then(|| "192.0.2.1\treject_rbl_client a.test, permit\n".to_owned()),
        );
        let shown = |table: &str| -> Vec<(String, String)> {
            found[table].iter().map(|row| (row.key.clone(), row.does.clone())).collect()
        };
        let pair = |key: &str, does: &str| (key.to_owned(), does.to_owned());
        assert_eq!(shown("proxy:hash:/a"), [pair("192.0.2.1", "reject_rbl_client a.test, permit")]);
        let rows = shown("regexp:/b");
        assert_eq!(
            rows,
            [pair("/^a b\\/c$/i", "gp"), pair("!/x/", "permit"), pair("if", "/y/"), pair("/z/", "b, gp")]
        );
        assert_eq!(found.len(), 2);
        let rows = |table: &str| -> Vec<(String, String)> {
            in_place(table).into_iter().map(|row| (row.key, row.does)).collect()
        };
        let two = [pair("a.example", "OK"), pair("b.example", "permit x")];
        for table in [
            "inline:{a.example=OK, {b.example = permit x}}",
            "inline:{ {a.example=OK} {b.example=permit x} }",
        ] {
            assert_eq!(rows(table), two, "{table}");
        }
        assert_eq!(
            rows("pcre:{{/@a\\.b$/ OK}, {/x y/i permit}}"),
            [pair("/@a\\.b$/", "OK"), pair("/x y/i", "permit")]
        );
        let named = |value: &str| named(value, "gp", "<>", &found);
        assert_eq!(named("check_sender_access regexp:/b"), (vec![false, false], false));
        assert_eq!(named("check_sender_access proxy:hash:/a"), (vec![], false));
        assert_eq!(named("check_sender_access ldap:/c"), (vec![], true));
    }
}
