use super::super::super::{Format, Options, Parsed, Parser, RbldnsdOptions};
use crate::set::codec;

fn read_with(options: &Options, files: &[&str]) -> (Result<Parsed, String>, Vec<(u64, u32)>) {
    let mut bad = Vec::new();
    let mut parser = Parser::new(Format::Combined, options);
    for file in files {
        let read = parser.read(file.as_bytes(), &mut |diag| bad.push((diag.line, diag.column)));
        if let Err(error) = read {
            return (Err(error.to_string()), bad);
        }
    }
    (Ok(parser.finish()), bad)
}

fn read(files: &[&str]) -> (Parsed, Vec<(u64, u32)>) {
    let (parsed, bad) = read_with(&Options::default(), files);
    (parsed.unwrap(), bad)
}

/// Subzones, TTL, and each entry with what it says.
fn shown(parsed: &Parsed) -> Vec<String> {
    let sections = parsed.set.sections.iter().map(|section| {
        let set = &section.set;
        let subs: Vec<String> = section.subs.iter().map(ToString::to_string).collect();
        let said = |value| {
            let value = set.value(value);
            let text = value.text.map(|text| String::from_utf8(text.fill("$")).unwrap()).unwrap_or_default();
            let code = value.code.map(|code| code.octets()[3]).unwrap_or_default();
            format!("{code} {text}").trim_end().to_owned()
        };
        let hosts = set.v4.hosts.iter().enumerate();
        let mut entries: Vec<String> = hosts
            .map(|(row, host)| format!("{} {}", host & 0xff, said(set.v4.host_values.at(row))))
            .chain(set.v4.blocks.iter().map(|block| format!("{} {}", block.span, said(block.value))))
            .chain(set.names.iter().map(|entry| format!("{} {}", entry.name, said(entry.value))))
            .collect();
        entries.insert(0, format!("{} {:?}", subs.join(","), set.directives.ttl));
        entries.join("; ")
    });
    sections.collect()
}

/// Seen in rbldnsd 1.0.
#[test]
fn sections_take_over_what_was_said_before_them() {
    let text = "$SOA 44 ns.x h.x 7 8 9 10 20\n$TTL 77\n$0 zero\n$MAXRANGE4 256\n\
        $DATASET ip4set:foo a A B.a @\n1.1.1.1 $0 $1\n2.2\n3.3.3 :3:x\n$TTL 88\n$0 nought\n$1 one\n\
        #$dataset dnset c # d\nx $0 $1\n:5:five\ny\n";
    let (parsed, bad) = read(&[text]);
    assert_eq!(
        shown(&parsed),
        [".,a,b.a Some(88); 1 2 zero one; 3.3.3.0/24 3 x", "c Some(77); x 2 zero $1; y 5 five",]
    );
    assert_eq!(bad, [(7, 1)]);
    assert_eq!(parsed.set.directives.soa.as_ref().unwrap().ttl, 44);
    assert!(parsed.set.v4.hosts.is_empty() && parsed.set.sections[0].set.directives.soa.is_none());
    assert_eq!((parsed.report.entries, parsed.set.len()), (4, 4));
    let (octets, hash) = codec::encode(&parsed.set);
    assert_eq!(codec::decode(&octets), Ok(parsed.set.clone()));
    assert_eq!(codec::encode(&parsed.set.without(|_| false)).1, hash);
    assert!(parsed.set.without(|_| true).is_empty());
}

#[test]
fn what_a_section_says_of_the_zone_is_the_whole_lists() {
    let text = "$DATASET ip4set a\n$TTL 5\n$SOA 0 a.x b.x 7 8 9 10 20\n1.1.1.1\n$DATASET ip4tset b\n$NS 0 n.x\n\
        $TIMESTAMP 2001:01:01 2002:01:01\n1.1.1.1 :9:x\n:4:four\n";
    let (parsed, bad) = read(&[text]);
    assert_eq!(bad, []);
    // A TTL of 0 is the list's default there, whatever the section says.
    assert_eq!(parsed.set.directives.soa.as_ref().unwrap().ttl, 2100);
    assert_eq!(parsed.set.directives.ns.as_ref().unwrap().ttl, 2100);
    assert_eq!(parsed.report.validity.until.unwrap().to_string(), "2002-01-01T00:00:00Z");
    assert_eq!(shown(&parsed), ["a Some(5); 1 2", "b None; 1 4 four"]);
}

/// Seen in rbldnsd 1.0: a section ends with its file, but `$` lines before the next one are still its own.
#[test]
fn several_files() {
    let files = [
        "$TTL 77\n$0 zero\n$DATASET ip4set a\n1.1.1.1 $0 $1\n",
        "# c\n$TTL 99\n$1 one\n$DATASET ip4set b\n1.1.1.2 $1\n",
    ];
    let (parsed, bad) = read(&files);
    assert_eq!(bad, []);
    assert_eq!(shown(&parsed), ["a Some(99); 1 2 zero one", "b Some(77); 2 2 $1"]);
    let (parsed, _) = read_with(&Options::default(), &["$DATASET ip4set a\n1.1.1.1\n", "\n1.1.1.2\n"]);
    assert_eq!(parsed.unwrap_err(), "line 2: an entry before the file's first `$DATASET`");
}

#[test]
fn what_spoils_all_of_it() {
    for (text, why) in [
        ("1.1.1.1\n$DATASET ip4set a\n", "line 1: an entry before the file's first `$DATASET`"),
        ("\n:2:x\n$DATASET ip4set a\n", "line 2: an entry before the file's first `$DATASET`"),
        ("$DATASET foo a\n", "line 1: `foo` is no type of data set"),
        ("$DATASET IP4SET a\n", "line 1: `IP4SET` is no type of data set"),
        (
            "$DATASET ip4set a\n$DATASET combined b\n",
            "line 2: a data set of type `combined` cannot be a section",
        ),
        ("$DATASET acl:x a\n", "line 1: a data set of type `acl` cannot be a section"),
    ] {
        assert_eq!(read_with(&Options::default(), &[text]).0.unwrap_err(), why);
    }
    let many: String = (0..=1000).map(|n| format!("$DATASET ip4set s{}\n", n % 2)).collect();
    assert_eq!(
        read_with(&Options::default(), &[&many]).0.unwrap_err(),
        "line 1001: more than 1000 sections or subzones"
    );
    let many: String = (0..=1000).map(|n| format!(" s{n}")).collect();
    let many = format!("$DATASET ip4set{many}\n");
    assert_eq!(
        read_with(&Options::default(), &[&many]).0.unwrap_err(),
        "line 1: more than 1000 sections or subzones"
    );
}

/// Seen in rbldnsd 1.0: what is wrong with one name costs that name.
#[test]
fn subzones_in_all_spellings() {
    let long = "x".repeat(64);
    let text = format!(
        "$FOO\n$DATASET ip4set:n:m a. {long} b..c x\\.y \\100 *.w .q\n1.1.1.1\n$DATASET\n$DATASET dnhash ; a\nx\n\
         $DATASET generic . @\n@ A 1.1.1.1\n"
    );
    let (parsed, bad) = read(&[&text]);
    assert_eq!(bad, [(1, 2), (2, 87), (4, 9), (5, 9)]);
    assert_eq!(shown(&parsed), [r"*.w,a,b.c,d,q,x\.y None; 1 2", " None; x 2", ". None; . 0"]);
}

#[test]
fn options_hold_in_sections() {
    let rbldnsd = RbldnsdOptions { host_bits: true, min_ttl: 60, ..RbldnsdOptions::default() };
    let options = Options { rbldnsd, ..Options::default() };
    let (parsed, bad) = read_with(&options, &["$DATASET ip4set a\n$TTL 5\n1.1.1.1/24\n"]);
    assert_eq!((shown(&parsed.unwrap()), bad), (vec!["a Some(60); 1.1.1.0/24 2".to_owned()], vec![]));
}
