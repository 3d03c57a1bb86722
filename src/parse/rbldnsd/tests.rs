//! What the types differ in. (What they share is tested with ip4set.)

use super::super::{Diag, Format, Options, Parsed, Parser, REPEATS, parse};
use crate::model::Span;
use crate::set::Scope;

fn read(format: Format, text: &str) -> (Parsed, Vec<(u64, u32)>) {
    let mut bad = Vec::new();
    let parsed = parse(format, &Options::default(), text.as_bytes(), &mut |d| bad.push((d.line, d.column)));
    (parsed.unwrap(), bad)
}

/// Entry, last octet of the code, text for the subject `IP`.
fn entries(parsed: &Parsed) -> Vec<String> {
    let set = &parsed.set;
    let said = |entry: String, exclude: bool, value| {
        if exclude {
            return format!("!{entry}");
        }
        let value = set.value(value);
        let text = String::from_utf8(value.text.unwrap().fill("IP")).unwrap();
        format!("{entry} {} {text}", value.code.unwrap().octets()[3]).trim_end().to_owned()
    };
    let hosts = set.v4.hosts.iter().enumerate();
    let hosts =
        hosts.map(|(row, &host)| said(Span::host(host).to_string(), false, set.v4.host_values.at(row)));
    let v4 = set.v4.blocks.iter().map(|b| said(b.span.to_string(), b.exclude, b.value));
    let v6 = set.v6.iter().map(|b| said(b.span.to_string(), b.exclude, b.value));
    let names = set.names.iter().map(|n| {
        let name = match n.scope {
            Scope::Exact => n.name.to_string(),
            Scope::Below => format!("*.{}", n.name),
        };
        said(name, n.exclude, n.value)
    });
    hosts.chain(v4).chain(v6).chain(names).collect()
}

#[test]
fn ip4tset_has_one_value() {
    let text = "192.0.2.1\n:5:five $ $1\n192.0.2.2 :6:own\n:7:seven\n192.0.2.3 :0:bad\n192.0.2.1\n$1 one\n";
    let (parsed, bad) = read(Format::Ip4tset, text);
    assert_eq!(bad, []);
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|host| format!("{host} 5 five IP one"));
    assert_eq!(entries(&parsed), all);
    let (parsed, bad) = read(Format::Ip4tset, ":0:x\n192.0.2.1\n1.2.3\n1.2.3.4/32\n!192.0.2.1\n1.2.3.4-5\n");
    assert_eq!(entries(&parsed), ["192.0.2.1 2"]);
    assert_eq!(bad, [(1, 2), (3, 6), (4, 8), (5, 2), (6, 8)]);
}

#[test]
fn the_first_default_counts_over_all_files() {
    let mut parser = Parser::new(Format::Ip4tset, &Options::default());
    let never = &mut |d| panic!("{d:?}");
    parser.read(&b"192.0.2.1\n"[..], never).unwrap();
    parser.read(&b":5:five\n192.0.2.2\n"[..], never).unwrap();
    parser.read(&b":6:six\n"[..], never).unwrap();
    assert_eq!(entries(&parser.finish()), ["192.0.2.1 5 five", "192.0.2.2 5 five"]);
}

#[test]
fn tries_keep_the_first_of_a_prefix() {
    let text = "1.2.3 :9:z\n1.2.3/24 :5:a\n!1.2.3.0/24\n!1.2.3.4\n1.2.3.4 :5:a\n1.2.3.5 :6:b\n!1.2.3.5\n0/0 :7:all\n!0/0\n";
    let (parsed, bad) = read(Format::Ip4trie, text);
    assert_eq!(bad, [2, 3, 5, 7, 9].map(|line| (line, 1)));
    assert_eq!((parsed.report.bad, parsed.report.repeated), (0, 5));
    assert_eq!(entries(&parsed), ["1.2.3.5 6 b", "0.0.0.0/0 7 all", "1.2.3.0/24 9 z", "!1.2.3.4"]);
    assert_eq!(parsed.report.entries, 9);
    let text = "2001:db8 :9:z\n2001:db8::/32 :5:a\n!2001:db8::4\n2001:db8::4\n!::/0\n::/0\n";
    let (parsed, bad) = read(Format::Ip6trie, text);
    assert_eq!(bad, [2, 4, 6].map(|line| (line, 1)));
    assert_eq!(entries(&parsed), ["!::/0", "2001:db8::/32 9 z", "!2001:db8::4"]);
}

/// The first of them, and how many there are: two lists put together are no flood.
#[test]
fn many_repeated_prefixes_are_told_of_in_part() {
    let text = "192.0.2.1\n".repeat(REPEATS + 8);
    let mut told = Vec::new();
    let mut on_bad = |diag: Diag| told.push((diag.line, diag.reason));
    let parsed = parse(Format::Ip4trie, &Options::default(), text.as_bytes(), &mut on_bad).unwrap();
    let lines: Vec<u64> = told.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, (2..).take(REPEATS).collect::<Vec<u64>>());
    assert!(told[REPEATS - 2].1.ends_with("counts") && told[REPEATS - 1].1.ends_with("as for 7 more"));
    assert_eq!((parsed.report.entries, parsed.report.repeated), (REPEATS as u64 + 8, REPEATS as u64 + 7));
}

#[test]
fn tries_take_no_ranges() {
    let (parsed, bad) = read(Format::Ip4trie, "1.2.3.4-5\n1\n1.2.3.1/24\n$MAXRANGE4 /24\n1.2/16\n!1.2/16\n");
    assert_eq!(entries(&parsed), ["!1.2.0.0/16"]);
    assert_eq!(bad, [(1, 8), (2, 1), (3, 8), (5, 1)]);
}

#[test]
fn ip6trie_tells_entries_from_defaults() {
    let text = ":1:one $\n::1\n::/64 :5:x\n::5:6 text\n:0:x\n::x\n1:2:3:4:5:6:7:8:9:y\n";
    let (parsed, bad) = read(Format::Ip6trie, text);
    assert_eq!(entries(&parsed), ["::/64 5 x", "::1 1 one IP", "::5:6 1 text", "1:2:3:4:5:6:7:8 9 y"]);
    assert_eq!(bad, [(5, 2), (6, 3)]);
}

#[test]
fn ip6tset_lists_networks_and_excludes_addresses() {
    let text = "1:2:3:4 :9:own\n:5:five $\n!1:2:3:4::5\n! 1::\n!1:2:3:4:5:6:7:8\n\
        1:2:3\n1:2:3:4::\n1:2:3:4/64\n!1:2:3:4\n!1:2:3:4:5:6:7:8/128\n1:2:3:4:5\n";
    let (parsed, bad) = read(Format::Ip6tset, text);
    assert_eq!(entries(&parsed), ["!1::", "1:2:3:4::/64 5 five IP", "!1:2:3:4::5", "!1:2:3:4:5:6:7:8"]);
    assert_eq!(bad, [(6, 1), (7, 1), (8, 8), (9, 2), (10, 17), (11, 1)]);
}

#[test]
fn dnset_scopes_and_values() {
    let text = ":3:def $\nA.Example :5:a\n*.b.example\n.c.example text\n!x.c.example :6:x\n! *.y.c.example\n\
        !.z.c.example\na.example :6:b\nd.example ;c\n*\n.\n*. :5\n!\n";
    let (parsed, bad) = read(Format::Dnset, text);
    let mut found = entries(&parsed);
    found.sort();
    let mut expect = [
        "*.b.example 3 def IP",
        "*.c.example 3 text",
        "c.example 3 text",
        "!x.c.example",
        "!*.y.c.example",
        "!*.z.c.example",
        "!z.c.example",
        "a.example 5 a",
        "a.example 6 b",
        "d.example 3 def IP",
        "* 3 def IP",
    ];
    expect.sort_unstable();
    assert_eq!(found, expect);
    assert_eq!(bad, [(11, 2), (12, 3), (13, 2)]);
    let late = read(Format::Dnset, "a $1\n!b\n*.c $1\n$1 one\n").0;
    assert_eq!(late.set, read(Format::Dnhash, "$1 one\na $1\n!b\n*.c $1\n").0.set);
}

#[test]
fn all_types_take_crlf_a_byte_order_mark_and_special_lines() {
    for (format, entry) in [
        (Format::Ip4set, "192.0.2.1"),
        (Format::Ip4tset, "192.0.2.1"),
        (Format::Ip4trie, "192.0.2.1"),
        (Format::Ip6tset, "1:2:3:4"),
        (Format::Ip6trie, "1:2:3:4"),
        (Format::Dnset, "a.example"),
        (Format::Dnhash, "a.example"),
        (Format::Generic, "a A 127.0.0.2"),
    ] {
        let text = format!(
            "\u{feff}{entry}\r\n#$soa 1 a b 5 1 1 1 1\r\n$NS 5 n.x\r\n$TTL 7\r\n$TIMESTAMP 0 2001:01:01\r\n\
             $MAXRANGE4 /24\r\n\t\r\n# c\r\n; c\r\n{entry}"
        );
        let (parsed, bad) = read(format, &text);
        let is_trie = matches!(format, Format::Ip4trie | Format::Ip6trie);
        assert_eq!(bad, if is_trie { &[(10, 1)][..] } else { &[] }, "{format}");
        assert_eq!((parsed.report.entries, parsed.report.ignored), (2, 8), "{format}");
        assert_eq!((parsed.report.bad, parsed.report.repeated), (0, is_trie.into()), "{format}");
        let directives = &parsed.set.directives;
        assert_eq!(directives.soa.as_ref().unwrap().serial, Some(5));
        assert!(directives.ns.is_some() && parsed.report.validity.until.is_some());
        assert_eq!(directives.ttl, if format == Format::Generic { None } else { Some(7) });
        assert_eq!(directives.six_to_four, format.name().contains(":ip4"));
    }
}
