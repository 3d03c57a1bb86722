//! Special lines and the forms of files, each in a zone of its own: what it says of itself, and whether it answers.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Case;
use super::reply::{A, ANY, MX, NS, SOA, TXT};

/// A small ip4set with these lines, asked for what it says of itself and of three addresses.
fn zone(origin: &str, text: &str) -> Case {
    let mut case = Case::bare(origin, "rbldnsd:ip4set", text);
    let text = text.to_ascii_uppercase();
    case.has_soa = text.contains("$SOA");
    case.has_ns = text.contains("$NS") || text.contains("$NAMESERVER");
    asked(case)
}

fn asked(case: Case) -> Case {
    case.ask(&[SOA, NS, A, TXT, ANY, MX], ["", "1.1.1.1", "2.1.1.1", "x.y"])
}

/// One zone for each text, with these lines around it.
fn each(name: &str, head: &str, texts: &[&str]) -> Vec<Case> {
    let text = |text: &str| format!("{head}{text}\n1.1.1.1 :3:$ $0 $1\n");
    texts.iter().zip(0..).map(|(line, number)| zone(&format!("{name}-{number}"), &text(line))).collect()
}

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let of = [soa(), name_servers(), ttls(), ranges(), variables(), words(), stamps(), files()];
    of.into_iter().flatten().collect()
}

fn soa() -> Vec<Case> {
    let mut cases = each(
        "soa",
        "",
        &[
            "$SOA 3600 ns.x h.x 7 1 2 3 4",
            "$SOA 1h ns.x h.x 0 1s 2M 3H 4d",
            "$SOA 0 ns.x h.x 0 1w 2w 3w 0",
            "$soa\t1h \t ns.x\th.x 4294967295 1 2 3 4 \t",
            "$Soa 1h NS.X H.x. 1 1 2 3 4",
            "  $SOA 1h ns.x h.x 1 1 2 3 4",
            "#$SOA 1h ns.x h.x 1 1 2 3 4",
            ";$SOA 1h ns.x h.x 1 1 2 3 4",
            ":$SOA 1h ns.x h.x 1 1 2 3 4",
            "$SOA 1h ns..x .h.x 1 1 2 3 4",
            r"$SOA 1h n\.s.x h\046a\1.x 1 1 2 3 4",
            "$SOA 1h @ *.x 1 1 2 3 4",
            "$SOA 1h . h.x 1 1 2 3 4",
            "$SOA 1h ns.x h.x 4294967295 4294967295 4294967295 4294967295 4",
            "$SOA 2h ns.soa-14.peer soa-14.peer 1 1 2 3 4",
            "$SOA 1h ns.x h.x 1 1 2 3 4\n$SOA 2h other.x h.x 2 1 2 3 4",
            "1.1.1.2\n$TTL 77\n$SOA 0 ns.x h.x 1 1 2 3 4\n$TTL 99",
        ],
    );
    // Not one of these is an SOA record.
    cases.extend(each(
        "no-soa",
        "$SOAX 1 a.x b.x 1 1 1 1 1\n",
        &[
            "$SOA 1h ns.x h.x 1 1 2 3",
            "$SOA 1h ns.x h.x 1 1 2 3 4 5",
            "$SOA 1h ns.x h.x 1 1 2 3 4 # comment",
            "$SOA 1h ns.x h.x 4294967296 1 2 3 4",
            "$SOA 1h ns.x h.x -1 1 2 3 4",
            "$SOA 1h ns.x h.x 1h 1 2 3 4",
            "$SOA 1h ns.x h.x 1 x 2 3 4",
            "$SOA -1 ns.x h.x 1 1 2 3 4",
            "$SOA ns.x h.x 1 1 2 3 4",
            r"$SOA 1h a\256.x h.x 1 1 2 3 4",
            "# $SOA 1h ns.x h.x 1 1 2 3 4",
            "##$SOA 1h ns.x h.x 1 1 2 3 4",
            "! $SOA 1h ns.x h.x 1 1 2 3 4",
            "$SOA",
            "$ SOA 1h ns.x h.x 1 1 2 3 4",
        ],
    ));
    for case in cases.iter_mut().filter(|case| case.origin.starts_with("no-soa")) {
        case.has_soa = false;
    }
    let long = format!("$SOA 1h {}.x h.x 1 1 2 3 4", "y".repeat(64));
    let mut label = zone("soa-label", &format!("{long}\n1.1.1.1\n"));
    label.has_soa = false;
    cases.push(label);
    // The first data set of the zone that says something counts; serial 0 is the time of the newest file of all.
    let serial = "$SOA 1h first.x h.x 0 1 2 3 4\n";
    for number in 0..6 {
        let mut case = zone(&format!("newest-{number}"), &format!("{serial}1.1.1.1\n"))
            .file("1.1.1.2\n")
            .file("# nothing\n");
        if number % 2 == 1 {
            case = case.beside("rbldnsd:dnset", "$SOA 2h second.x h.x 3 1 2 3 4\n$NS 5 late.x\nx.y\n");
            case.has_ns = true;
        }
        cases.push(case);
    }
    let mut late = zone("soa-second", "1.1.1.1 :4:\n")
        .beside("rbldnsd:ip4trie", &format!("$NS 9 a.x\n{serial}1.1.1.2\n"));
    (late.has_soa, late.has_ns) = (true, true);
    let mut file = zone("soa-file", "1.1.1.1\n").file(&format!("$TTL 8\n{serial}1.1.1.2\n"));
    file.has_soa = true;
    cases.extend([late, file]);
    cases
}

fn name_servers() -> Vec<Case> {
    let soa = "$SOA 1h ns.x h.x 7 1 2 3 4\n";
    let mut cases = each(
        "ns",
        soa,
        &[
            "$NS 60 a.x",
            "$NS 1h a.x b.x c.x",
            "$ns 0 a.x\tB.x ",
            "$NameServer 1d a.x a.x A.X a.x. b.x",
            "$NS 60 -a.x b.x -c.x",
            "$NS 60 -a.x\n$NS 61 b.x",
            "$NS 60 a.x\n$NS 61 b.x",
            "#$NS 60 a.x",
            "$NS 60 ns.ns-8.peer ns-8.peer .",
            r"$NS 60 a..x \046.x",
            "$TTL 5\n$NS 0 a.x\n$TTL 6",
        ],
    );
    let mut none = each(
        "no-ns",
        soa,
        &["$NS 60", "$NS a.x", "$NS x a.x", "$NS", "$NS 60 -a.x", "$NS 60 -", "# $NS 60 a.x"],
    );
    none.iter_mut().for_each(|case| case.has_ns = false);
    cases.extend(none);
    let half = zone("ns-half", &format!("{soa}$NS 60 a.x b\\256.x\n$NS 61 c.x\n1.1.1.1\n"));
    cases.push(half.differs("$NS with a bad name", &[""]));
    for (name, count) in [("ns-thirty", 30), ("ns-forty", 40)] {
        let names: Vec<_> = (0..count).map(|n| format!("name-server-{n}.{name}.peer")).collect();
        let case = zone(name, &format!("{soa}$NS 60 {}\n1.1.1.1\n", names.join(" ")));
        cases.push(
            Case { questions: Vec::new(), ..case }
                .ask(&[NS], [""])
                .ask(&[A, TXT], ["1.1.1.1", "x"])
                .differs("name servers of more", &[""]),
        );
    }
    // Names in zones of its own: rbldnsd sends their addresses along.
    let mut glue = zone("glue", &format!("{soa}$NS 60 ns.glue.peer ns2.glue.peer\n1.1.1.1\n"));
    glue = glue.beside("rbldnsd:generic", "ns A 192.0.2.1\nns2 A 192.0.2.2\n");
    cases.push(glue);
    cases
}

fn ttls() -> Vec<Case> {
    let soa = "$SOA 1h ns.x h.x 7 1 2 3 4\n";
    let mut cases = each(
        "ttl",
        soa,
        &[
            "$TTL 5",
            "$TTL 5s",
            "$TTL 5S",
            "$TTL 2m",
            "$TTL 2M",
            "$TTL 2h",
            "$TTL 2d",
            "$TTL 2w",
            "$TTL 0",
            "$TTL 007",
            "$ttl\t5",
            "$Ttl   5  ",
            "#$TTL 5",
            ";$TTL 5",
            ":$TTL 5",
            " \t$TTL 5",
            "$TTL 5\n$TTL 6",
            "$TTL 5\n$TTL 0",
            "$TTL 2147483647",
            "$TTL 0w",
            // None of these.
            "$TTL",
            "$TTL ",
            "$TTL x",
            "$TTL -5",
            "$TTL 5x",
            "$TTL 5 6",
            "$TTL 1h30m",
            "$TTL 5 # c",
            "$TTL 5#c",
            "$TTL5",
            "$TTLS 5",
            "$ TTL 5",
            "# $TTL 5",
            "##$TTL 5",
            "$TTL 1.5h",
            "$TTL 5 s",
            "$TTL 5:",
            "$TTL 4294967296",
            "$TTL 99999999999",
            "$TTL 10000w",
        ],
    );
    let texts = "$TTL 5\n@ A 1.2.3.4\n$TTL 6\nx.y A 1.2.3.4\nx.y TXT t\nx.y MX 1 m.x\n$TTL 0\n1.1.1.1 A 1.2.3.4\n#$TTL 1d\n2.1.1.1 7 A 1.2.3.4\n2.1.1.1 TXT u\n";
    let mut generic = Case::bare("ttl-generic", "rbldnsd:generic", format!("{soa}{texts}"));
    generic.has_soa = true;
    cases.push(asked(generic));
    let mut large = zone("ttl-large", &format!("{soa}$TTL 2147483648\n1.1.1.1\n"));
    large.questions.clear();
    cases.push(large.ask(&[A], ["1.1.1.1"]).differs("a TTL above 31 bits", &["1.1.1.1"]));
    // The smallest of several data sets counts, for each type of record.
    cases.push(
        zone("ttl-least", &format!("{soa}$TTL 50\n1.1.1.1 :3:a\n2.1.1.1 :4:\n"))
            .beside("rbldnsd:ip4trie", "$TTL 40\n1.1.1.1 :4:b\n")
            .beside(
                "rbldnsd:generic",
                "$TTL 30\n1.1.1.1 A 127.0.0.3\n1.1.1.1 TXT c\n1.1.1.1 MX 5 m.x\n1.1.1.1 20 TXT d\n",
            ),
    );
    cases
}

fn ranges() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, line) in [
        "$MAXRANGE4 4",
        "$MAXRANGE4 /30",
        "$MAXRANGE4 1",
        "$MAXRANGE4 /32",
        "$maxrange4 256",
        "$MaxRange4 /24",
        "$MAXRANGE4 65535",
        "$MAXRANGE4 4\n$MAXRANGE4 256",
        "$MAXRANGE4 256\n$MAXRANGE4 4",
        "$MAXRANGE4 4294967295",
        "$MAXRANGE4 /8",
        // None of these.
        "$MAXRANGE4 0",
        "$MAXRANGE4 /0",
        "$MAXRANGE4 /33",
        "$MAXRANGE4",
        "$MAXRANGE4 x",
        "$MAXRANGE4 4 4",
        "$MAXRANGE4 -4",
        "$MAXRANGE4 4294967296",
        "$MAXRANGE4 2k",
        "$MAXRANGE4 / 24",
    ]
    .into_iter()
    .enumerate()
    {
        for kind in ["rbldnsd:ip4set", "rbldnsd:ip4trie"] {
            let entries = "2.2.2/24\n3.3/16\n4.4.4.4/30\n5.5.5.5\n6.6.6.0/23\n7/8\n";
            let spans = if kind == "rbldnsd:ip4set" {
                "8.8.8.8-11\n9.9.9.9-13\n10.10.10-10.10.11\n12.12-13\n"
            } else {
                ""
            };
            let origin = format!("range-{number}-{}", &kind[8..]);
            let case = Case::new(&origin, kind, &format!("1.1.1/24\n{line}\n{entries}"))
                .file(&format!("{spans}11.11.11/24\n"));
            let asked = [
                "1.1.1.1",
                "1.2.2.2",
                "1.1.3.3",
                "4.4.4.4",
                "5.5.5.5",
                "1.6.6.6",
                "1.1.1.7",
                "9.8.8.8",
                "9.9.9.9",
                "1.10.10.10",
                "1.1.12.12",
                "1.11.11.11",
            ];
            cases.push(case.ask(&[A], asked));
        }
    }
    cases
}

fn variables() -> Vec<Case> {
    let texts = "1.1.1.1 :2:0=$0 1=$1 2=$2 9=$9 d=$$ =$= a=$ x=$x 10=$10 $";
    let files = [
        "$0 zero\n$1 one $0\n$9 $$ $ $=",
        "$0 first\n$0 second\n$1\n$1 \n$1 real\n$2\ttab\t \n",
        "$10 ten\n$x ex\n$ \n$1one\n$1=one\n",
        "$= <$=> $0\n$0 nought",
        "$=\n$= \n$= late $ $$ $1\n$= later\n$1 =x",
        "$=x\n$== y\n#$= [$=]\n;$3 3\n:$0 colon",
        "$= $$= $",
        "$0 \u{e9} \u{7f} \u{1}",
    ];
    let mut cases: Vec<Case> = files.iter().zip(0..).map(|(head, number)| {
        let text = format!("{head}\n{texts}\n1.1.1.2\n1.1.1.3 :3:\n1.1.1.4 :4:=bare $= $0\n1.1.1.5 :5:=\n1.1.1.6 ==x $=\n1.1.1.7 :7:  spaced  $\n");
        Case::new(&format!("var-{number}"), "rbldnsd:ip4set", &text).file("$0 in the other file\n$3 three\n1.1.1.8 $0 $3\n")
            .ask(&[A, TXT], (1..9).map(|n| format!("{n}.1.1.1")))
    }).collect();
    // In names `$` is the listed name, in tries the address asked for.
    cases.push(
        Case::new("var-names", "rbldnsd:dnset", "$1 one\n$= $= ($1)\nA.b $ $1\n*.C.d $ x\n.e =$ $=\n")
            .ask(&[TXT], ["a.b", "A.B", "x.c.d", "Y.x.C.d", "e", "z.e"]),
    );
    cases.push(
        Case::new("var-trie", "rbldnsd:ip4trie", "$1 one\n1.2/16 $ $1 $$\n")
            .ask(&[TXT], ["4.3.2.1", "255.255.2.1"]),
    );
    cases.push(
        Case::new("var-set", "rbldnsd:ip4tset", "$1 one\n:5:$ $1 $= $$\n1.2.3.4\n").ask(&[TXT], ["4.3.2.1"]),
    );
    // What is substituted is cut where the text is.
    let long = format!(
        "$0 {}\n$1 {}\n1.1.1.1 $0$1\n1.1.1.2 $1$0\n1.1.1.3 $1$\n1.1.1.4 $1$$\n",
        "x".repeat(200),
        "y".repeat(250)
    );
    cases.push(
        Case::new("var-long", "rbldnsd:ip4set", &long).ask(&[TXT], (1..5).map(|n| format!("{n}.1.1.1"))),
    );
    cases
}

/// What is no special line.
fn words() -> Vec<Case> {
    let lines = [
        "$INCLUDE other",
        "$ORIGIN x.",
        "$GENERATE 1-9 1.1.1.$",
        "$ENT x",
        "$",
        "$$",
        "$ ",
        "$DATASET ip4set a",
        "$NOTHING",
        "#$",
        ";$INCLUDE x",
        ":$",
        ":$x",
        "$ttl",
        "$1.2.3.4",
        "$NSX 60 a.x",
        "$TIMESTAMPS 2001:01:01",
    ];
    each("word", "$SOA 1h ns.x h.x 7 1 2 3 4\n$NS 60 n.x\n", &lines)
}

/// Stamps that lie in the past and ends that have come, in every form; what is none does nothing.
fn stamps() -> Vec<Case> {
    const PAST: [&str; 30] = [
        "2001:02:03",
        "2001-02-03",
        "2001:02-03",
        "20010203",
        "2001:2:3",
        "2001-02-03-04",
        "2001:02:03:04:05",
        "2001:02:03:04:05:06",
        "20010203040506",
        "2001020304",
        "200102030405",
        "20010203:04:05",
        "2001:0203",
        "200102:03",
        "2001:02:03:",
        "2001:02:03-04-",
        "2001:123",
        "2001:1203",
        "2004:02:29",
        "1970:01:01:00:00:01",
        "1970:01:01",
        "0",
        "-",
        ":",
        "2001:02:0304",
        "2001:02:0304:05",
        "2001:12:31:23:59:59",
        "2000:02:29",
        "2001:02:03:4:5:6",
        "2001-2-34",
    ];
    const NONE: [&str; 22] = [
        "2001",
        "2001:02",
        "2001:13:01",
        "2001:00:01",
        "2001:02:30",
        "2001:02:29",
        "1900:01:01",
        "1969:12:31",
        "2001:02:03:24",
        "2001:02:03:04:60",
        "2001:02:03:04:05:60",
        "2001:02:03:04:05:06:07",
        "nonsense",
        "2001/02/03",
        "2001.02.03",
        "+1d",
        "00",
        "2001::02:03",
        "2001:02:03T04:05",
        "20010203040506:",
        "200102030405060",
        "--",
    ];
    let mut cases = Vec::new();
    for (number, stamp) in PAST.iter().chain(&NONE).enumerate() {
        // One of the two shows that it was read: an end reckoned from the stamp, or the stamp as the end.
        cases.push(zone(&format!("from-{number}"), &format!("$TIMESTAMP {stamp} +1d\n1.1.1.1\n")));
        cases.push(zone(&format!("until-{number}"), &format!("$TIMESTAMP 0 {stamp}\n1.1.1.1\n")));
    }
    cases.extend(each(
        "stamp",
        "",
        &[
            "$TIMESTAMP 2001:02:03 +0",
            "$TIMESTAMP 0 +1d",
            "$TIMESTAMP 2001:02:03 + 1d",
            "$TIMESTAMP 2001:02:03 +1w",
            "$TIMESTAMP 2001:02:03 +9000d",
            "$TIMESTAMP 2001:02:03 +4294967295",
            "$TIMESTAMP 2001:02:03 +4294967296",
            "$TIMESTAMP 2001:02:03 -1d",
            "$TIMESTAMP 2001:02:03 2037:01:01",
            "$TIMESTAMP 2001:02:03 2037:01:01 x",
            "$TIMESTAMP 2037:01:01",
            "$TIMESTAMP 2037:01:01 nonsense",
            "$TIMESTAMP 20370101 0",
            "$TIMESTAMP",
            "$TIMESTAMP ",
            "$timestamp 2001:02:03 2002:01:01",
            "#$TIMESTAMP 2001:02:03 2002:01:01",
            "$TIMESTAMP\t2001:02:03\t2002:01:01",
            "$TIMESTAMP 2001:02:03 # c",
            "$TIMESTAMP 2001:02:03 2037:01:01\n$TIMESTAMP 2001:02:03 2002:01:01",
            "$TIMESTAMP 0 0",
            "$TIMESTAMP - -",
            "$TIMESTAMP : :",
            "$TIMESTAMP 0:",
            "$TIMESTAMP 2001:02:03 +1x",
            "$TIMESTAMP 2001:02:03 +1d x",
        ],
    ));
    // One data set that has ended stops the whole zone, wherever it stands.
    cases.push(zone("ended-file", "1.1.1.1\n").file("$TIMESTAMP 0 2002:01:01\n"));
    cases.push(zone("ended-beside", "1.1.1.1\n").beside("rbldnsd:dnset", "x.y\n$TIMESTAMP 0 2002:01:01\n"));
    let beyond = zone("beyond", "$TIMESTAMP 2039:01:01\n1.1.1.1\n");
    cases.push(
        Case { questions: Vec::new(), ..beyond }
            .ask(&[A], ["1.1.1.1"])
            .differs("$TIMESTAMP beyond", &["1.1.1.1"]),
    );
    cases
}

/// With `-c 0`: data end when they are loaded, and those of the future are refused all the same.
pub(crate) fn unwatched() -> Vec<Case> {
    stamps().into_iter().map(|case| case.under(&["-c", "0"])).collect()
}

/// With `-C`: files that are packed are not loaded.
pub(crate) fn not_unpacked() -> Vec<Case> {
    let packed = files().into_iter().filter(|case| case.origin.starts_with("gzip"));
    packed.map(|case| Case { named: Default::default(), ..case }.under(&["-C"])).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text).expect("memory");
    packed.finish().expect("memory")
}

fn files() -> Vec<Case> {
    let head = "$SOA 1h ns.x h.x 7 1 2 3 4\n";
    let whole = || zone("", head);
    let packed = |name: &str, octets: Vec<u8>| {
        let mut case = Case { origin: format!("{name}.peer"), ..whole() }.octets(octets);
        case.questions.clear();
        case.ask(&[A, TXT], ["1.1.1.1", "2.1.1.1", "x"])
    };
    let one = gzip(b"1.1.1.1 :3:packed $\n");
    let damaged = |at: usize| {
        let mut octets = one.clone();
        let at = if at < 4 { octets.len() - 1 - at } else { at };
        octets[at] ^= 0x55;
        octets
    };
    let two = [one.clone(), gzip(b"1.1.1.2\n")].concat();
    let long = |filling: &str, count: usize, rest: &str| {
        format!("{head}1.1.1.1{}{rest}\n1.1.1.2\n", filling.repeat(count))
    };
    let text = |name: &str, text: &str| {
        let case = zone(name, text);
        Case { questions: Vec::new(), ..case }.ask(&[A, TXT, SOA], ["", "1.1.1.1", "2.1.1.1"])
    };
    vec![
        packed("gzip", one.clone()),
        packed("gzip-empty", gzip(b"")),
        packed("gzip-many", two).differs("gzip: members", &["2.1.1.1"]),
        packed("gzip-cut", one[..one.len() - 3].to_vec()),
        packed("gzip-half", one[..one.len() / 2].to_vec()),
        packed("gzip-head", one[..5].to_vec()),
        packed("gzip-magic", one[..2].to_vec()),
        packed("gzip-crc", damaged(one.len() - 6)),
        packed("gzip-len", damaged(0)),
        packed("gzip-data", damaged(15)),
        packed("gzip-zeros", [one.clone(), vec![0; 512]].concat()),
        packed("gzip-junk", [one.clone(), b"junk".to_vec()].concat()),
        packed("gzip-second-head", [&one[..], &[0x1f, 0x8b]].concat()),
        packed("gzip-second-cut", [&one[..], &one[..one.len() - 3]].concat())
            .differs("gzip: a damaged", &["*"]),
        packed("half-magic", vec![0x1f]),
        text("no-lf", &format!("{head}1.1.1.2\n1.1.1.1 :3:last $")),
        text("lf-only", "\n\n\n"),
        text("nothing", ""),
        text("blank-lines", &format!("\n \t\n{head}\t1.1.1.1 \t\n  1.1.1.2\t:3:x \t \n")),
        text("cr-only", &format!("{head}1.1.1.2 x\ry\n1.1.1.1 \r z\n")),
        text("control", &format!("{head}1.1.1.1 \u{1}\u{b}\u{c}\u{1f}\u{7f} x\n1.1.1.2\u{b}\n")),
        Case {
            files: vec![[head.as_bytes(), b"1.1.1.1 \xff\xfe\xe9 \x80$\n1.1.1.2\xa0\n"].concat()],
            ..text("latin", head)
        },
        text("long-comment", &format!("{head}# {}\n1.1.1.1\n1.1.1.2\n", "x ".repeat(50_000))),
        text("long-text", &long(" text", 20_000, "")),
        text("long-tail", &long(" ", 70_000, ":5:five")).differs("a line above", &["1.1.1.1"]),
        text("long-blanks", &format!("{head}{}1.1.1.1\n1.1.1.2\n", " ".repeat(70_000)))
            .differs("a line above", &["1.1.1.1"]),
        text("long-31k", &long(" ", 31_000, ":5:five")),
    ]
}
