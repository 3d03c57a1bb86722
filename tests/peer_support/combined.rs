//! rbldnsd's combined data sets: by hand, and made up of sections of every type.

use std::fmt::Write;

use super::random::{self, name_v6};
use super::reply::{A, AAAA, ANY, MX, NS, SOA, TXT};
use super::{Case, Question};
use crate::common::Dice;

const TYPE: &str = "rbldnsd:combined";

/// All cases by hand.
pub(crate) fn by_hand() -> Vec<Case> {
    [sections(), subzones(), beside(), whole()].into_iter().flatten().collect()
}

fn v6(address: &str) -> String {
    name_v6(address.parse::<std::net::Ipv6Addr>().expect(address).into())
}

/// What a section takes over, and what it keeps to itself.
fn sections() -> Vec<Case> {
    let copies = "\
$TTL 77
$0 zero
$1 one
$= B<$=> $0 $1 $2
$MAXRANGE4 256
$FOO
$DATASET ip4set:foo a A2 @
1.1.1.1
2.2
3.3.3 :3:x
$TTL 88
$0 nought
$2 two
$DATASET ip4set b
1.1.1.1 :4:y
2.2
$DATASET dnset c.b
x :5:z $
*.y :6:w $
:7:seven
v
#$dataset ip4tset:n:m d ; e
:5:five
:6:six
1.1.1.1 :9:own
;$DataSet ip6tset d
1:2:3:4
:7:seven
!1:2:3:4::5
$DATASET ip6trie d
!2001:db8::/48
2001:db8::/32 :8:eight $
$DATASET generic g
$TTL 6
@ A 1.1.1.1
x 9 TXT text $ $1
$DATASET ip4trie t
1.2 :2:wide
1.2.3/24
!1.2.3.4
$BAR
$DATASET
1.2.9.9
";
    let asked = "1.1.1.1.a 1.1.1.1.A2 1.1.1.1 1.1.2.2.a 1.3.3.3.a 1.1.1.1.b 1.1.2.2.b x.c.b q.y.c.b v.c.b y.c.b a b c.b d g t \
        q 1.1.1.2.a x.b 1.1.1.1.d 1.1.1.1.e x.g 4.3.2.1.t 5.3.2.1.t 9.9.2.1.t 1.1.2.1.t"
        .split_whitespace()
        .map(str::to_owned)
        .chain(["1:2:3:4::", "1:2:3:4::5", "2001:db8::", "2001:db8:1::"].map(|at| format!("{}.d", v6(at))))
        .chain([String::new()]);
    let files = "$TTL 77\n$0 zero\n$DATASET ip4set a\n1.1.1.1 $0 $1\n";
    let ttls = "$DATASET ip4set a\n$TTL 5\n1.1.1.1\n$DATASET ip4set b\n1.1.1.1\n$DATASET generic c\nx A 1.1.1.1\n$TTL 6\n\
        y A 1.1.1.1\n$DATASET generic d\nx A 1.1.1.1\n";
    vec![
        Case::new("sections", TYPE, copies).ask(&[A, TXT, SOA, NS, ANY, AAAA], asked),
        Case::new("section-files", TYPE, files)
            .file("# c\n$TTL 99\n$1 one\n$DATASET ip4set b\n1.1.1.2 $0 $1\n")
            .file("")
            .ask(&[A, TXT], ["1.1.1.1.a", "2.1.1.1.b", "2.1.1.1.a", "1.1.1.1"]),
        Case::new("section-ttls", TYPE, ttls).ask(&[A], ["1.1.1.1.a", "1.1.1.1.b", "x.c", "y.c", "x.d"]),
    ]
}

/// Which subzone answers.
fn subzones() -> Vec<Case> {
    let long = "x".repeat(64);
    let forms = format!(
        "$DATASET ip4set a. A B.c @ {long} x\\.y \\100 *.w .q r..s\n1.1.1.1\n$DATASET ip4set\n1.1.1.2\n$DATASET ip4set . # h\n1.1.1.3\n"
    );
    let forms_asked = ["a", "b.c", "B.C", "x\\.y", "d", "*.w", "foo.w", "w", "q", "r.s", "c", "s"]
        .map(|sub| format!("1.1.1.1.{sub}"));
    let specific = "\
$DATASET dnset @
*.a :3:base
a :4:a itself
.q :9:q
*.b.a :7:ba
w :8:w
$DATASET dnset a
b :5:b in a
*.c :6:c
$DATASET ip4set b.a
1.1.1.1
$DATASET ip4set d.c.b
1.2.3.4
$DATASET ip4set 1
1.2.3.4
";
    let specific_asked = "a x.a b.a x.b.a 1.1.1.1.b.a x.c.a c.a 1.1.1.1.q w d.c.b c.b b 4.3.2.1.d.c.b x.c.b 4.3.2.1.1 4.3.2.1 1";
    let adds = "\
$DATASET ip4set a
1.1.1.1 :3:x
1.1.1.2
$DATASET dnset a b
1.1.1.1 :4:y
w :5:z
$DATASET ip4trie a
1.1.1.1 :3:x
1.1.1/24 :6:t
$TTL 7
";
    let apex = "$DATASET generic a @\n@ A 1.1.1.1\n@ TXT hi\n@ MX 5 m.x.\nx A 2.2.2.2\n$DATASET generic b\n@ A 3.3.3.3\n\
        $DATASET ip4set b\n1.1.1.1\n";
    vec![
        Case::new("sub-forms", TYPE, &forms)
            .ask(&[A], forms_asked)
            .ask(&[A, SOA], ["", "a", "c", "w", "1.1.1.1", "2.1.1.1", "3.1.1.1", "3.1.1.1.h"]),
        Case::new("specific", TYPE, specific).ask(&[A, TXT, SOA], specific_asked.split(' ')),
        Case::new("adds", TYPE, adds)
            .ask(&[A, TXT, ANY], ["1.1.1.1.a", "2.1.1.1.a", "3.1.1.1.a", "1.1.1.1.b", "w.a", "w.b", "a"]),
        Case::new("sub-apex", TYPE, apex)
            .ask(&[A, TXT, MX, SOA, NS, AAAA, ANY], ["a", "", "x.a", "x", "b", "1.1.1.1.b"]),
        Case::bare("sub-bare", TYPE, "$DATASET ip4set a b.c\n1.1.1.1\n")
            .ask(&[A, SOA, NS, TXT], ["", "a", "c", "1.1.1.1.a", "2.1.1.1.a", "1.1.1.1.b.c"]),
    ]
}

/// Several data sets of one zone.
fn beside() -> Vec<Case> {
    let names = "x.a exact $\n*.a below $\n*.y.a y $\n!n.a\na apex $\nother o\n1.1.1.1.a :8:w\n*.d wild\n";
    let asked = "x.a q.a y.a q.y.a n.a q.n.a a other 1.1.1.1.a 2.1.1.1.a 1.1.1.1 b.a x.b.a w.b.a d q.d x.q.d q.q.q.d 1.1.1.1.c 1.1.1.1.b.a";
    let asked = || asked.split(' ');
    let combined =
        "$DATASET dnset a\nx own\n$DATASET dnset b.a @\nw w\n$DATASET ip4set a @ q.d\n1.1.1.1 :3:x\n";
    let other = "$SOA 1 a.x b.x 1 1 1 1 1\n$TTL 5\n$DATASET ip4set a c\n1.1.1.1 :4:y\n$DATASET ip4set b.a\n1.1.1.1 :5:z\n";
    vec![
        Case::new("beside-names", TYPE, combined).beside("rbldnsd:dnset", names).ask(&[A, TXT], asked()),
        Case::new("beside-set", TYPE, combined)
            .beside("rbldnsd:ip4set", "1.1.1.1 :9:nine\n1.1.1.2\n")
            .ask(&[A, TXT], asked()),
        Case::new(
            "beside-records",
            "rbldnsd:generic",
            "@ A 9.9.9.9\na A 8.8.8.8\n2.0.0.127.a A 127.0.0.2\nx.a TXT hello\n",
        )
        .beside(TYPE, combined)
        .ask(&[A, TXT, MX], asked().chain(["", "2.0.0.127.a"])),
        // Not what rbldnsd's subzones are for: `1.2.3.4` is an address of the list beside it and a name in a subzone.
        Case::new("numbers", TYPE, "$DATASET dnset 4\nx\n")
            .beside("rbldnsd:ip4set", "4.3.2.1 :3:list\n5.3.2.1\n")
            .ask(&[A, TXT], ["1.2.3.4", "x.4", "1.2.3.5"])
            .differs("a subzone of numbers", &["1.2.3.4"]),
        Case::new("two-combined", TYPE, combined)
            .beside(TYPE, other)
            .ask(&[A, TXT, SOA], asked().chain([""])),
    ]
}

/// What holds for the whole list, wherever it stands.
fn whole() -> Vec<Case> {
    let zone = |origin: &str, text: &str| {
        let mut case = Case::bare(origin, TYPE, text);
        (case.has_soa, case.has_ns) = (text.contains("$SOA"), text.contains("$NS"));
        case.ask(&[SOA, NS, A], ["", "a", "1.1.1.1.a", "2.1.1.1.a", "1.1.1.1.b", "2.1.1.1.b"])
    };
    vec![
        zone(
            "soa-inside",
            "$DATASET ip4set a\n$TTL 5\n$SOA 0 ns.x h.x 7 8 9 10 20\n$NS 0 n.x\n1.1.1.1\n$DATASET ip4set b\n$SOA 9 ns.y h.y 7 8 9 10 20\n1.1.1.1\n",
        ),
        zone("soa-before", "$TTL 66\n$SOA 0 ns.x h.x 7 8 9 10 20\n$DATASET ip4set a\n1.1.1.1\n$NS 0 n.x\n"),
        zone(
            "stamp-inside",
            "$SOA 30 ns.x h.x 7 8 9 10 20\n$DATASET ip4set a\n$TIMESTAMP 2001:01:01 2090:01:01\n1.1.1.1\n",
        ),
        zone("nothing", "$SOA 30 ns.x h.x 7 8 9 10 20\n"),
        zone("spoilt-entry", "1.2.3.4\n$DATASET ip4set a\n1.1.1.1\n"),
        zone("spoilt-default", ":2:x\n$DATASET ip4set a\n1.1.1.1\n"),
        zone("spoilt-type", "$DATASET ip4set a\n1.1.1.1\n$DATASET foo b\n1.1.1.1\n"),
        zone("spoilt-case", "$DATASET ip4set a\n1.1.1.1\n$DATASET IP4SET b\n1.1.1.1\n"),
        zone("spoilt-nested", "$DATASET combined a\n$DATASET ip4set b\n1.1.1.1\n"),
        zone("spoilt-acl", "$DATASET acl a\n1.1.1.1 :refuse\n"),
        zone("spoilt-file", "$DATASET ip4set a\n1.1.1.1\n").file("1.1.1.2\n"),
    ]
}

/// Sections of every type in two files, some of them in the same subzones, some subzones in others.
pub(crate) fn random(origin: &str, seed: u64) -> Case {
    const SUBS: [&str; 8] = ["a", "b", "b.a", "c.b.a", "d.e", "7", "@", "Q"];
    const HEADS: [&str; 5] = ["$TTL 99\n", "$0 zero\n", "$1 common\n", "$= [$=] $1\n", "# nothing\n"];
    let mut dice = Dice(seed);
    let mut files = [String::new(), String::new()];
    let mut questions = Vec::new();
    for number in 0..10 {
        let name = format!("{seed}-{number}");
        let part = random_section(number % 8, &name, dice.next());
        let file = &mut files[number / 5];
        if number % 5 == 0 {
            file.push_str(HEADS[dice.below(HEADS.len())]);
        }
        let subs: Vec<&str> = (0..1 + dice.below(3)).map(|_| SUBS[dice.below(SUBS.len())]).collect();
        let kind = part.format.strip_prefix("rbldnsd:").expect("a type").replace("dnhash", "dnset");
        let _ = writeln!(file, "$DATASET {kind}:{name} {}", subs.join(" "));
        file.push_str(&String::from_utf8_lossy(&part.files[0]));
        file.push('\n');
        for sub in subs {
            let behind = if sub == "@" { String::new() } else { format!(".{sub}") };
            questions.extend(part.questions.iter().map(|question| Question {
                below: format!("{}{behind}", question.below).trim_start_matches('.').to_owned(),
                qtype: question.qtype,
            }));
        }
    }
    let mut case = Case::new(origin, TYPE, &files[0]).file(&files[1]);
    questions.sort();
    questions.dedup();
    case.questions = questions;
    case.ask(&[A, TXT, SOA, NS], ["", "a", "b", "b.a", "c.b.a", "d.e", "e", "7", "q"])
}

fn random_section(kind: usize, name: &str, seed: u64) -> Case {
    match kind {
        0 => random::ip4(name, "rbldnsd:ip4set", seed, 120),
        1 => random::dnset(name, "rbldnsd:dnset", seed),
        2 => random::ip4(name, "rbldnsd:ip4trie", seed, 120),
        3 => random::generic(name, seed),
        4 => random::ip4tset(name, seed),
        5 => random::ip6trie(name, seed),
        6 => random::dnset(name, "rbldnsd:dnhash", seed),
        _ => random::ip6tset(name, seed),
    }
}
