//! The rows of docs/rbldnsd.md's tables of differences, each with what proves it.

use std::fs;
use std::path::Path;

use super::{exempt, packets};

/// How a row is proved: by an exemption that begins so, or by a test (`FILE::NAME`).
const ROWS: &[(&str, &[&str])] = &[
    ("a name with listed names below it", &["empty non-terminal"]),
    ("TTL of negative answers", &["negative TTL"]),
    ("NS records in positive answers", &["NS in the authority section"]),
    ("addresses of those name servers", &["addresses of name servers"]),
    ("ANY", &["ANY:"]),
    ("types 250 to 254 and from 256 on", &["types 250 to 254", "transfers"]),
    ("`004.3.2.1`", &["zero-padded octets"]),
    ("more than 512 octets", &["does not fit 512", "an answer of more than 512"]),
    ("several texts that do not fit 512 octets", &["several texts"]),
    ("a text of 255 octets", &["texts: cut at 254"]),
    ("SOA or NS of a zone whose files name none", &["apex without"]),
    ("`::ffff:192.0.2.1` where `::ffff:0:0/96` is listed in IPv6 data", &["::ffff:V4"]),
    ("values of one entry beyond 1,024", &["tests/rbldnsd_peer.rs::values_of_one_entry_beyond_1024"]),
    ("EDNS", &["OPT for OPT", "EDNS version above 0", "an answer between 1232"]),
    ("a question with AA or TC set", &["AA or TC set"]),
    (
        "class ANY; `version.bind`, `version.server`",
        &["class ANY", "version.bind: another", "version.bind: flags", "version.bind and version.server"],
    ),
    ("no question, or several", &["no or several questions"]),
    ("an opcode that is no query", &["another opcode without", "another opcode: opcode"]),
    (
        "records that are counted and not there, a malformed OPT",
        &["records that the header counts", "OPT twice"],
    ),
    (
        "a 6to4 address in a zone that has more than `ip4set`, `ip4tset` and `ip4trie`",
        &["6to4 beside other types"],
    ),
    ("a 6to4 address that both an IPv6 and an IPv4 list hold", &["6to4 in IPv6 and IPv4 data"]),
    ("CR LF, a byte order mark", &["CR LF"]),
    ("a NUL octet", &["NUL"]),
    ("a bad line", &["tests/rbldnsd_junk.rs::every_bad_line_is_told_and_one_line_costs_one_line"]),
    ("`$MAXRANGE4` and a wide exclusion", &["$MAXRANGE4"]),
    ("an MX record without host, a TTL out of range in generic", &["generic: a record that stops"]),
    (
        "capital letters in the names of `$SOA` and `$NS`",
        &["tests/rbldnsd_mode.rs::names_are_answered_in_small_letters"],
    ),
    ("no `$TTL`", &["tests/rbldnsd_mode.rs::the_same_as_a_configuration"]),
    ("serial 0 in `$SOA`", &["tests/rbldnsd_peer.rs::the_two_answer_alike"]),
    ("name servers that fill more than 496 octets", &["name servers of more than 496"]),
    ("a name that is none among those of `$NS`", &["$NS with a bad name"]),
    ("members of a gzip file behind the first", &["gzip: members"]),
    ("a damaged gzip member behind the first", &["gzip: a damaged"]),
    ("a year above 2038 in `$TIMESTAMP`", &["$TIMESTAMP beyond"]),
    ("a line above 32 KiB", &["a line above 32 KiB"]),
    ("a TTL above 31 bits", &["a TTL above 31 bits"]),
    ("a comment behind the names of `$NS`", &["$NS: words of a comment"]),
    ("`1::2::3`, `:::5:x`", &["slips"]),
    ("`a A 1.2.3.4junk`, `a A 1.2.3.4.5` in generic", &["slips"]),
    ("`AAAA`, `CNAME`, `NS` in generic", &["generic: AAAA"]),
    ("`\"one\" \"two\"` in a TXT record of generic", &["generic: several strings"]),
    ("a TXT record above 255 octets in generic", &["generic: texts above 255"]),
    (
        "a file of a data set that has lines and not one that can be read",
        &[
            "tests/rbldnsd_trouble.rs::an_error_page_in_one_of_several_files_keeps_all_as_they_were",
            "tests/rbldnsd_junk.rs::junk_that_replaces_good_files_leaves_the_last_good_data",
            "tests/rbldnsd_junk.rs::without_q_what_cannot_be_loaded_stops_the_start_and_junk_does_not",
        ],
    ),
    (
        "a file that says nothing: 0 octets, comments alone",
        &["tests/rbldnsd_junk.rs::junk_that_replaces_good_files_leaves_the_last_good_data"],
    ),
    (
        "`$TIMESTAMP` with an end that has passed",
        &[
            "tests/rbldnsd_mode.rs::data_that_end_answer_servfail_until_there_are_newer_ones",
            "tests/timestamps.rs::a_feed_that_ends_falls_silent_alone",
        ],
    ),
    (
        "data stamped in the future",
        &["tests/rbldnsd_junk.rs::junk_that_replaces_good_files_leaves_the_last_good_data"],
    ),
    (
        "data whose file vanished or cannot be read",
        &["tests/rbldnsd_junk.rs::junk_that_replaces_good_files_leaves_the_last_good_data"],
    ),
    ("a name that is only above a subzone", &["empty non-terminal"]),
    ("a subzone whose labels are numbers, beside another list of addresses", &["a subzone of numbers"]),
    (
        "an entry outside a section, an unknown or nested type, `acl`",
        &["tests/rbldnsd_junk.rs::junk_that_replaces_good_files_leaves_the_last_good_data"],
    ),
    ("more than 1,000 sections or subzones", &["src/parse/rbldnsd/combined/tests.rs::what_spoils_all_of_it"]),
    (
        "a section whose subzone a configured zone holds",
        &["tests/combined.rs::a_configured_zone_goes_before_subzones"],
    ),
    ("the test points of RFC 5782", &["tests/combined.rs::subzones_come_and_go_with_their_list"]),
    (
        "an unknown word (`:reject`), any line that cannot be read as a client",
        &["tests/rbldnsd_acl.rs::a_list_that_cannot_be_read_lets_nobody_in"],
    ),
    ("a list that cannot be loaded", &["tests/rbldnsd_acl.rs::a_list_that_cannot_be_read_lets_nobody_in"]),
    (
        "a word for a default, then a text or code alone",
        &["tests/rbldnsd_acl.rs::a_list_that_cannot_be_read_lets_nobody_in"],
    ),
    ("a prefix larger than `$MAXRANGE4`", &["src/parse/rbldnsd/acl.rs::whole_or_not_at_all"]),
    (
        "`:ignore` of a zone's list, over a stream (`gatepost serve` over HTTPS too)",
        &["tests/dns_streams.rs::access_lists_hold_everywhere"],
    ),
    ("`::ffff:192.0.2.1`", &["src/zone/access.rs::the_longest_prefix_counts"]),
    (
        "a client that is told everything is listed, where a list is empty",
        &["tests/rbldnsd_acl.rs::where_there_is_nothing_to_be_listed"],
    ),
    (
        "the same in a zone of generic data",
        &["tests/rbldnsd_acl.rs::clients_are_given_what_rbldnsd_gives_them"],
    ),
    (
        "a client that is told nothing is listed, in a zone of generic data",
        &["tests/rbldnsd_acl.rs::clients_are_given_what_rbldnsd_gives_them"],
    ),
    ("`version.bind` from a client that is refused", &["tests/dns_access.rs::each_action"]),
];

/// Holds the page against the rows, the rows against the exemptions, and those against the page.
pub(crate) fn hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/rbldnsd.md")).expect("the page");
    let mut of_page = Vec::new();
    for section in page.split("\n## ").filter(|text| {
        ["Answers", "Files", "Subzones", "Access lists"].iter().any(|name| text.starts_with(name))
    }) {
        let cells = section
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
            .map(|(cell, _)| cell);
        of_page.extend(cells.filter(|cell| !cell.starts_with("---")).skip(1));
    }
    let of_rows: Vec<&str> = ROWS.iter().map(|(cell, _)| *cell).collect();
    let missing = |of: &[&str], from: &[&str]| {
        of.iter().filter(|cell| !from.contains(cell)).map(|cell| (*cell).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(missing(&of_page, &of_rows), [""; 0], "rows of the page that nothing proves");
    assert_eq!(missing(&of_rows, &of_page), [""; 0], "rows that are not on the page");

    let known: Vec<&str> = exempt::ALL.iter().chain(packets::ALL).copied().collect();
    let mut used = Vec::new();
    for proof in ROWS.iter().flat_map(|(_, proofs)| *proofs) {
        match proof.split_once(".rs::") {
            Some((file, test)) => {
                let text = fs::read_to_string(root.join(format!("{file}.rs"))).expect(proof);
                assert!(
                    text.contains(&format!("#[test]\nfn {test}()")) || text.contains(&format!("fn {test}()")),
                    "{proof}"
                );
            }
            None => {
                let found: Vec<&str> = known.iter().filter(|name| name.starts_with(proof)).copied().collect();
                assert!(!found.is_empty(), "no exemption begins with `{proof}`");
                used.extend(found);
            }
        }
    }
    assert_eq!(missing(&known, &used), [""; 0], "exemptions that no row tells of");
}
