use std::net::Ipv4Addr;

use super::super::super::{Format, Options, Parsed, Parser, parse};
use crate::model::Span;
use crate::set::Overlap;

fn read(text: &str) -> (Parsed, Vec<(u64, u32, String)>) {
    let mut bad = Vec::new();
    let parsed = parse(Format::Ip4set, &Options::default(), text.as_bytes(), &mut |d| {
        bad.push((d.line, d.column, d.reason));
    });
    (parsed.unwrap(), bad)
}

/// Entry, code, text for 192.0.2.77; exclusions have no code.
fn entries(parsed: &Parsed) -> Vec<String> {
    let said = |value| {
        let value = parsed.set.value(value);
        let text = value.text.unwrap().fill("IP");
        format!("{} {}", value.code.unwrap(), String::from_utf8_lossy(&text)).trim_end().to_owned()
    };
    let v4 = &parsed.set.v4;
    let hosts = v4
        .hosts
        .iter()
        .enumerate()
        .map(|(row, &host)| format!("{} {}", Span::host(host), said(v4.host_values.at(row))));
    let blocks = v4.blocks.iter().map(|b| match b.exclude {
        true => format!("!{}", b.span),
        false => format!("{} {}", b.span, said(b.value)),
    });
    hosts.chain(blocks).collect()
}

#[test]
fn a_file_with_everything() {
    let text = "# Latin-1 \u{a9} in UTF-8\n$SOA 3600 a.example b.example 2026070618 1h 3600 1d 120\n\
        $NS 1d ns1.example ns2.example\n#$TTL 35m\n192.0.2.1\n:127.0.0.3: IP $ is listed\n192.0.2.2\n\
        192.0.2.3 :5\n192.0.2.4 :6:\n192.0.2.5 :7:own $$\n192.0.2.6 text only\n192.0.2.7 # bare\n\
        198.51.100\n!198.51.100.9\n! 198.51.100.16/28 :5:x\n203.0.113.1-9 range\n010.0.0.01\n\
        203.0.113.20 /30\n: nonsense\n192.0.2.300\n2001:db8::1\n";
    let (parsed, bad) = read(text);
    assert_eq!(
        entries(&parsed),
        [
            "10.0.0.1 127.0.0.3 IP IP is listed",
            "192.0.2.1 127.0.0.2",
            "192.0.2.2 127.0.0.3 IP IP is listed",
            "192.0.2.3 127.0.0.5 IP IP is listed",
            "192.0.2.4 127.0.0.6",
            "192.0.2.5 127.0.0.7 own $",
            "192.0.2.6 127.0.0.3 text only",
            "192.0.2.7 127.0.0.3 IP IP is listed",
            "203.0.113.20 127.0.0.3 /30",
            "198.51.100.0/24 127.0.0.3 IP IP is listed",
            "!198.51.100.9",
            "!198.51.100.16/28",
            "203.0.113.1-203.0.113.9 127.0.0.3 range",
        ]
    );
    let places: Vec<_> = bad.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(places, [(19, 2), (20, 9), (21, 1)], "{bad:?}");
    assert_eq!((parsed.report.entries, parsed.report.ignored, parsed.report.lines), (13, 5, 21));
    assert_eq!(parsed.set.overlap, Overlap::OctetLevels);
    let directives = &parsed.set.directives;
    assert_eq!(directives.soa.as_ref().unwrap().serial, Some(2_026_070_618));
    assert_eq!(directives.ns.as_ref().unwrap().hosts.len(), 2);
    assert_eq!(directives.ttl, Some(2100));
}

#[test]
fn values_are_concrete() {
    let (parsed, _) = read("192.0.2.1\n");
    let value = parsed.set.value(0);
    assert_eq!(value.code, Some(Ipv4Addr::new(127, 0, 0, 2)));
    assert!(value.text.unwrap().is_empty());
    assert_eq!(parsed.set.values.len(), 1);
}

#[test]
fn specials_of_which_the_first_or_last_wins() {
    let (parsed, bad) = read(
        "$SOA 10 ns.x h.x 5 1 1 1 1\n$soa 20 ms.x h.x 6 1 1 1 1\n$NS 1 -a.x\n$NS 2 b.x\n$NS 3 c.x\n\
         $TTL 70\n192.0.2.1\n;$TTL 88\n# $TTL 5\n$UNKNOWN\n",
    );
    let directives = &parsed.set.directives;
    assert_eq!(directives.soa.as_ref().unwrap().ttl, 10);
    assert_eq!(directives.ns.as_ref().unwrap().ttl, 2);
    assert_eq!(directives.ttl, Some(88));
    assert_eq!(bad, [(10, 2, "unknown special line".into())]);
    assert_eq!(read("$SOA 1 a b 0 1 1 1 1").0.set.directives.soa.unwrap().serial, None);
}

#[test]
fn max_range_spares_exclusions() {
    let (parsed, bad) = read(
        "$MAXRANGE4 /24\n1.1/16\n2.2.2/24\n!3.3/16\n$MAXRANGE4 1000\n5.5.4/23\n$MAXRANGE4 10\n6.6.6/24\n6.7.8.1-10\n",
    );
    assert_eq!(entries(&parsed), ["2.2.2.0/24 127.0.0.2", "!3.3.0.0/16", "6.7.8.1-6.7.8.10 127.0.0.2"]);
    assert_eq!(bad.iter().map(|b| b.0).collect::<Vec<_>>(), [2, 5, 6, 8]);
}

#[test]
fn variables_work_from_anywhere() {
    let head = "$1 one\n$= [$=] $1\n192.0.2.1 x\n192.0.2.2 =y $1\n192.0.2.3\n192.0.2.4 $1\n192.0.2.5 $$1\n";
    let (early, bad) = read(head);
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(
        entries(&early),
        [
            "192.0.2.1 127.0.0.2 [x] one",
            "192.0.2.2 127.0.0.2 y one",
            "192.0.2.3 127.0.0.2 [IP] one",
            "192.0.2.4 127.0.0.2 [$1] one",
            "192.0.2.5 127.0.0.2 [$$1] one",
        ]
    );
    let mut lines: Vec<_> = head.lines().collect();
    lines.rotate_left(2);
    let (late, _) = read(&lines.join("\n"));
    assert_eq!(entries(&late), entries(&early));
    assert_eq!(late.set, early.set);
    // Equal only while `$1` is undefined.
    let (parsed, _) = read("192.0.2.1 $1\n192.0.2.2 $$1\n!192.0.2.3\n192.0.2/24 :5:\n$1 one\n");
    assert_eq!(
        entries(&parsed),
        ["192.0.2.1 127.0.0.2 one", "192.0.2.2 127.0.0.2 $1", "192.0.2.0/24 127.0.0.5", "!192.0.2.3"]
    );
    // And equal for good.
    let (parsed, _) = read("192.0.2.1 =x\n192.0.2.2 x\n");
    assert_eq!(parsed.set.values.len(), 1);
    assert_eq!(parsed.set.values[0].note, None);
}

#[test]
fn defaults_end_with_their_file() {
    let mut parser = Parser::new(Format::Ip4set, &Options::default());
    let never = &mut |d| panic!("{d:?}");
    parser.read(&b":5:five\n192.0.2.1\n$MAXRANGE4 4\n"[..], never).unwrap();
    let mut bad = 0;
    parser.read(&b"192.0.2.2\n198.51.100/24\n$0 zero\n"[..], &mut |_| bad += 1).unwrap();
    let parsed = parser.finish();
    assert_eq!(entries(&parsed), ["192.0.2.1 127.0.0.5 five", "192.0.2.2 127.0.0.2"]);
    assert_eq!((bad, parsed.report.lines), (1, 6));
}

#[test]
fn timestamps() {
    let now = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let options = Options { now, ..Options::default() };
    let read = |text: &str| parse(Format::Ip4set, &options, text.as_bytes(), &mut |_| {});
    let parsed = read("$TIMESTAMP 2025:12:31 +3d\n192.0.2.1\n$TIMESTAMP 2025:12:30 2026:01:01\n").unwrap();
    assert_eq!(parsed.report.stamp.unwrap().to_string(), "2025-12-31T00:00:00Z");
    assert_eq!(parsed.report.validity.until.unwrap().to_string(), "2026-01-01T00:00:00Z");
    let error = read("192.0.2.1\n$TIMESTAMP 2026:01:02\n").unwrap_err();
    assert!(error.to_string().starts_with("line 2: the data are stamped 2026-01-02"), "{error}");
    assert_eq!(read("$TIMESTAMP nonsense\n192.0.2.1\n").unwrap().report.bad, 1);
}

#[test]
fn damage() {
    let (parsed, bad) = read("\u{feff}192.0.2.1\r\n192.0.2.2 text\r\n192.0.2.3\0x\n\t192.0.2.4 \r\n:2:\0\n");
    assert_eq!(entries(&parsed), ["192.0.2.1 127.0.0.2", "192.0.2.2 127.0.0.2 text", "192.0.2.4 127.0.0.2"]);
    assert_eq!(bad.iter().map(|b| (b.0, b.1)).collect::<Vec<_>>(), [(3, 10), (5, 4)]);
}
