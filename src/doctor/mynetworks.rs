//! What Postfix lets pass as its own networks: `mynetworks`, with the files and tables that it names.
//!
//! Reads them, asks `postconf` and `postmap`; changes nothing.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use super::child::{postconf, postmap};
use crate::config::{is_nobodys_own, is_public};
use crate::model::Subject;

/// Files within files.
const DEPTH: usize = 8;
/// Larger than this is no list of own networks.
const MOST: u64 = 4 << 20;
/// Tables whose keys `postmap` prints; each is an address.
const KEYED: [&str; 6] = ["btree", "cdb", "dbm", "hash", "lmdb", "sdbm"];

/// Own networks, as far as they can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Networks {
    pub(crate) all: Vec<Subject>,
    /// Files and tables that cannot be read here.
    pub(crate) closed: Vec<String>,
    /// A table that has everybody.
    pub(crate) everybody: Option<String>,
}

/// Those of the Postfix that is here; nothing where there is none.
pub(crate) fn here() -> Networks {
    let mut networks = Networks::default();
    let text = postconf(&["-x", "-h", "mynetworks"]).unwrap_or_default();
    networks.add(&text, &Outside { read: &read, keys: &keys }, 0);
    networks
}

/// How a file is read, and what `postmap -s` says of a table.
struct Outside<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    keys: &'a dyn Fn(&str) -> Option<String>,
}

fn read(path: &str) -> Option<String> {
    let is_small =
        |path: &&Path| fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MOST);
    fs::read_to_string(Some(Path::new(path)).filter(is_small)?).ok()
}

fn keys(table: &str) -> Option<String> {
    postmap(&["-s", table])
}

impl Networks {
    fn add(&mut self, text: &str, outside: &Outside<'_>, depth: usize) {
        for word in words(text) {
            // Who is taken out is own all the same, if somebody put the network there.
            let (word, is_taken_out) = match word.strip_prefix('!') {
                Some(rest) => (rest, true),
                None => (word.as_str(), false),
            };
            match word.split_once(':').filter(|_| network(word).is_none()) {
                _ if is_taken_out => {}
                _ if word.starts_with('/') => match (outside.read)(word).filter(|_| depth < DEPTH) {
                    Some(text) => self.add(&without_comments(&text), outside, depth + 1),
                    None => self.closed.push(word.to_owned()),
                },
                Some((kind, place)) => self.table(kind, place, outside),
                None => self.all.extend(network(word)),
            }
        }
    }

    fn table(&mut self, kind: &str, place: &str, outside: &Outside<'_>) {
        let (kind, place) = match (kind, place.split_once(':')) {
            ("proxy" | "fail" | "debug", Some((kind, place))) => (kind, place),
            _ => (kind, place),
        };
        // Whatever it says: a network is one's own when the table has it.
        if kind == "static" {
            self.everybody = Some(format!("{kind}:{place}"));
            return;
        }
        let rows = match kind {
            "inline" | "cidr" if place.starts_with('{') => Some(rows_in_place(place)),
            "cidr" | "texthash" => (outside.read)(place).map(|text| without_comments(&text)),
            _ if KEYED.contains(&kind) => (outside.keys)(&format!("{kind}:{place}")),
            _ => None,
        };
        match rows {
            // A row that begins with a blank goes on with the one before it.
            Some(rows) => {
                let keys = rows
                    .lines()
                    .filter(|row| !row.starts_with([' ', '\t']))
                    .filter_map(|row| row.split_whitespace().next());
                self.all.extend(keys.filter_map(network));
            }
            None => self.closed.push(format!("{kind}:{place}")),
        }
    }
}

/// Patterns, parted by blanks and commas; what stands in braces is one.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ' ' | ',' | '\t' | '\n' | '\r' if depth <= 0 => words.push(String::new()),
            c => words.last_mut().expect("one at least").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `cidr:{ {192.0.2.0/24 ok}, … }` and `inline:{ 192.0.2.1=ok, {192.0.2.2 = ok}, … }`: a row for each.
fn rows_in_place(place: &str) -> String {
    let within = place.strip_prefix('{').and_then(|text| text.trim_end().strip_suffix('}')).unwrap_or(place);
    words(within)
        .iter()
        .map(|row| row.trim_matches(['{', '}']).replace('=', " ").trim().to_owned() + "\n")
        .collect()
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| format!("{line}\n")).collect()
}

fn network(word: &str) -> Option<Subject> {
    match word.replace(['[', ']'], "").parse::<Subject>().ok()?.unmapped() {
        Subject::Name(_) => None,
        network => Some(network),
    }
}

/// Those of `mynetworks` that a list could name, but for what is nobody's own.
pub(crate) fn public(mynetworks: &Networks) -> Vec<Subject> {
    let narrow = mynetworks.all.iter().filter(|network| !is_nobodys_own(network));
    narrow.filter(|network| is_ours_in_public(network)).cloned().collect()
}

/// What no list of the world names anyway is none to be protected.
pub(crate) fn is_ours_in_public(network: &Subject) -> bool {
    match network {
        Subject::V4(span) => is_public(IpAddr::from(span.first.to_be_bytes())),
        Subject::V6(span) => is_public(IpAddr::from(span.first.to_be_bytes())),
        Subject::Name(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<String>, Vec<String>) {
        let read = |path: &str| {
            Some(match path {
                "/etc/postfix/nets" => "# own\n6.6.6.0/24, 6.6.7.1\n/etc/postfix/more\n".to_owned(),
                "/etc/postfix/more" => "7.7.7.0/24\n".to_owned(),
                "/etc/postfix/nets.cidr" => {
                    "8.8.8.0/24 ok\n  more\n!9.0.0.0/8 ok\nif 1.0.0.0/8\nendif\n".to_owned()
                }
                "/circle" => "/circle\n".to_owned(),
                _ => return None,
            })
        };
        let keys =
            |table: &str| (table == "hash:/etc/postfix/nets").then(|| "5.5.5.5\tok\n::1\tok\n".to_owned());
        let mut networks = Networks::default();
        networks.add(text, &Outside { read: &read, keys: &keys }, 0);
        (networks.all.iter().map(ToString::to_string).collect(), networks.closed)
    }

    #[test]
    fn mynetworks_as_postfix_has_them() {
        let text = "127.0.0.0/8 [::ffff:127.0.0.0]/104, [::1]/128\n5.6.7.0/24 !5.6.7.9 9.9.9.9 fd00::/8";
        assert_eq!(
            shown(text),
            (
                ["127.0.0.0/8", "127.0.0.0/8", "::1", "5.6.7.0/24", "9.9.9.9", "fd00::/8"]
                    .map(str::to_owned)
                    .into(),
                vec![]
            )
        );
    }

    #[test]
    fn a_table_that_has_everybody() {
        let mut networks = Networks::default();
        let nothing = |_: &str| None;
        networks.add("127.0.0.0/8 static:all", &Outside { read: &nothing, keys: &nothing }, 0);
        assert_eq!((networks.everybody.as_deref(), &networks.closed[..]), (Some("static:all"), &[][..]));
    }

    #[test]
    fn files_and_tables() {
        let is = |text: &str, all: &[&str], closed: &[&str]| {
            let of = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
            assert_eq!(shown(text), (of(all), of(closed)), "{text}");
        };
        is("/etc/postfix/nets", &["6.6.6.0/24", "6.6.7.1", "7.7.7.0/24"], &[]);
        is("cidr:/etc/postfix/nets.cidr", &["8.8.8.0/24"], &[]);
        is("hash:/etc/postfix/nets, 1.1.1.1", &["5.5.5.5", "::1", "1.1.1.1"], &[]);
        is("proxy:hash:/etc/postfix/nets", &["5.5.5.5", "::1"], &[]);
        is("cidr:{ {5.6.7.0/24 ok}, {5.6.8.0/24 ok} }", &["5.6.7.0/24", "5.6.8.0/24"], &[]);
        is("inline:{ 5.6.7.2=ok, {5.6.7.1 = ok} }", &["5.6.7.2", "5.6.7.1"], &[]);
        let unread = ["mysql:/etc/postfix/nets.cf", "/etc/postfix/none", "cidr:/none", "hash:/none"];
        is(&unread.join(" "), &[], &unread);
        is("/circle", &[], &["/circle"]);
    }

    #[test]
    fn only_what_the_world_can_list() {
        let is = |text: &str| is_ours_in_public(&text.parse().unwrap());
        assert!(is("5.6.7.0/24") && is("2a00:1::/32"));
        assert!(!is("10.0.0.0/8") && !is("127.0.0.1") && !is("fe80::1") && !is("::1"));
    }
}
