//! Data sets written by hand: each rule at least once, the odd ones on purpose.

use gatepost::parse::RbldnsdOptions;

use super::Case;
use super::random::{self, name_v6};
use super::reply::{A, AAAA, ANY, MX, NS, SOA, TXT};

fn v6(address: &str) -> String {
    name_v6(address.parse::<std::net::Ipv6Addr>().expect(address).into())
}

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    [addresses(), tries(), names(), records(), zones()].into_iter().flatten().collect()
}

fn addresses() -> Vec<Case> {
    let set = "\
:3:def $ $0 $1 $9
1.2.3.4
1.2.3.5 :5
1.2.3.6 :6:
1.2.3.7 :10.9.8.7:lead
1.2.3.8 text $ $$
1.2.3.9:9:glued
1.2.3.10 /24
010.0.0.01
1.2.3.11-13
1.2.4.0-1.2.5.9 range
7.7-7.8 :7:wide
9/8 :8:eight
!9.9.9.9
9.9.9/24 :2:finer
!9.9.8.0-9.9.8.7 :5:x
9.9.8.3
12.1.1.1/24
0/0
13.16/12 :13:
13.17
14.0.0.1 :0:
14.0.0.2 ::x
14.0.0.3 :1.2:y
14.0.0.4 :127.0.0:z
14.0.0.5 :256:w
2.2.2.2 - 2.2.2.9
15.0.0.1 =no base $=
15.0.0.2 :5 # text
15.0.0.3 # comment
15.0.0.4;comment
15.0.0.5 :5#c
15.0.0.6 quotes \" back\\slash
255.255.255.255
0.0.0.0
16.0.0.0/9 :4:nine
16.1 :5:sixteen
16.1 :5:sixteen
16.1 :6:sixteen
# $TTL 5
#$TTL 66
$1 one $2
$1 second
;$0 zero
$9 nine
1.2.3.14 last line";
    let asked =
        "4.3.2.1 5.3.2.1 6.3.2.1 7.3.2.1 8.3.2.1 9.3.2.1 10.3.2.1 1.0.0.10 11.3.2.1 13.3.2.1 14.3.2.1 \
        15.3.2.1 255.4.2.1 9.5.2.1 10.5.2.1 0.0.7.7 255.255.8.7 0.0.9.7 1.1.1.9 9.9.9.9 8.9.9.9 3.8.9.9 \
        4.8.9.9 8.8.9.9 1.1.1.12 1.1.16.13 1.1.17.13 1.0.0.14 2.0.0.14 3.0.0.14 4.0.0.14 5.0.0.14 2.2.2.2 \
        5.2.2.2 1.0.0.15 2.0.0.15 3.0.0.15 4.0.0.15 5.0.0.15 6.0.0.15 255.255.255.255 0.0.0.0 1.1.0.16 \
        1.1.1.16 1.1.128.16 3.2.1 2.1 1 x.4.3.2.1 4.3.2.1.x 300.3.2.1 04.3.2.1 004.003.002.001 x 7.7"
            .split(' ')
            .chain([""]);
    let long = format!(
        "1.2.3.4 {}\n1.2.3.5 :2:{}\n1.2.3.6 {}$\n",
        "x".repeat(254),
        "y".repeat(300),
        "z".repeat(250)
    );
    let many = |text: &str, count: u32| {
        (0..count).map(|n| format!("1.2.3.4 :{}:{n} {text}\n", n % 9 + 1)).collect::<String>()
    };
    vec![
        Case::new("set", "rbldnsd:ip4set", set).ask(&[A, TXT, ANY, AAAA, MX, 13, 99], asked),
        Case::new("files", "rbldnsd:ip4set", ":5:five\n1.1.1.1\n$MAXRANGE4 /24\n").file("1.1.1.2\n2.2\n2.2.2 :7:x $1\n$1 one\n!1.1.1.1\n")
            .ask(&[A, TXT], ["1.1.1.1", "2.1.1.1", "1.1.2.2", "1.2.2.2"]),
        Case::new("max", "rbldnsd:ip4set", "1.2.3\n$MAXRANGE4 4\n!1.2.3.0/28\n!1.2.3.128/31\n2.2.2/24\n2.2.2.4/30\n")
            .ask(&[A], ["1.3.2.1", "15.3.2.1", "16.3.2.1", "128.3.2.1", "1.2.2.2", "5.2.2.2"])
            .differs("$MAXRANGE4", &["1.3.2.1", "15.3.2.1"]),
        Case::new("base", "rbldnsd:ip4set", ":2:def\n$= BASE <$=> $0 $1 $$ $\n$0 zero $1\n1.1.1.1\n1.1.1.2 own $\n1.1.1.3 :3:\n1.1.1.4 =plain $0 $=\n1.1.1.5 =\n1.1.1.6 $\n")
            .ask(&[A, TXT], (1..8).map(|n| format!("{n}.1.1.1"))),
        Case::new("long", "rbldnsd:ip4set", &long).ask(&[A, TXT], ["4.3.2.1", "5.3.2.1", "6.3.2.1"]),
        Case::new("few", "rbldnsd:ip4set", &many(&"x".repeat(80), 4)).ask(&[A, TXT], ["4.3.2.1"]),
        Case::new("many", "rbldnsd:ip4set", &(0..60).map(|n| format!("1.2.3.4 :{}:\n", n + 2)).collect::<String>())
            .ask(&[A, TXT], ["4.3.2.1"]),
        Case::new("tset", "rbldnsd:ip4tset", "1.2.3.4\n:5:first $ $1\n1.2.3.5 :7:own\n:6:second\n1.2.3.6:0:x\n1.2.3\n!1.2.3.4\n1.2.3.4\n010.0.0.1 x\n$1 one\n1.2.3.7/32\n1.2.3.8-9\n")
            .file(":9:other\n1.2.4.4\n")
            .ask(&[A, TXT, ANY], ["4.3.2.1", "5.3.2.1", "6.3.2.1", "7.3.2.1", "8.3.2.1", "1.0.0.10", "4.4.2.1", "3.2.1"])
            .ask(&[TXT], [v6("2002:102:304::1"), v6("::ffff:1.2.3.5"), v6("::1.2.3.4"), v6("2002:102:404::")]),
        Case::new("tset-plain", "rbldnsd:ip4tset", ":0:bad\n1.2.3.4\n").ask(&[A, TXT], ["4.3.2.1"]),
    ]
}

fn tries() -> Vec<Case> {
    let trie = "\
:3:def $
1.2.3 :5:first $
1.2.3/24 :6:second
!1.2.3.0/24
!1.2.3.4
1.2.3.4 :7:later
1.2.3.5 :8:eight
!1.2.3.5
1.2 :9:sixteen
!1.2.3.128/25 :5:x
1.2.3.200 :10:f
1.2.3.201-203
5
5/8
0.0.0.0/5 :11:five
6.1/16:6:glued
$MAXRANGE4 /24
7.7/16
7.7.7/24
";
    let asked =
        "1.3.2.1 4.3.2.1 5.3.2.1 129.3.2.1 200.3.2.1 201.3.2.1 1.4.2.1 1.1.1.5 1.1.1.7 1.1.1.8 1.1.1.6 \
        1.1.7.7 1.7.7.7 255.255.255.7 3.2.1 2.1"
            .split(' ');
    let trie6 = "\
:3:def $
2001:db8 :5:first $
2001:db8::/32 :6:second
!2001:db8::4
2001:db8::4 :7:later
2001:db8:1:2:3:4:5:6:8:glued
2001:db8:2::/48:9:nine
!2001:db8:2::/64
2001:db8:2::5
::1
::/64 :5:sixty-four
::5:6 text
3fff/16 # comment
3fff:1;comment
1:2:3:4:5:6:7:
0003ffe::7
4000/2 :4:quarter
::ffff:0:0/96 :2:mapped
12345::
::1.2.3.4
1::/15
:9:late default
3ffe::8
3ffd::1: #x
3ffd::2:/128
3ffd::3:x
";
    let asked6 =
        "3ffd::1 3ffd::2 3ffd::3 2001:db8::1 2001:db8::4 2001:db8:1:2:3:4:5:6 2001:db8:2:1:: 2001:db8:2::9 2001:db8:2::5 ::1 ::2 \
        ::5:6 3fff:: 3fff:1::1 3ffe::7 3ffe::8 7fff:: 8000:: ::1:0:0:0:0 ffff::"
            .split(' ');
    let slips = [v6("1::2"), v6("::")];
    let slips: Vec<&str> = slips.iter().map(String::as_str).collect();
    let tset6 = "\
1:2:3:4 :9:own
:5:five $
!1:2:3:4::5
! 1:2:3:4::
!1:2:3:4:5:6:7:8
!1:2:3:4
1:2:3
1:2:3:4::
1:2:3:5/64
02001:DB8:0:1#c
2001:db8:0:2;c
!2001:db8:0:2:ffff:ffff:ffff:ffff:5
";
    let asked_tset6 =
        "1:2:3:4::1 1:2:3:4::5 1:2:3:4:: 1:2:3:4:5:6:7:8 1:2:3:5:: 2001:db8:0:1:: 2001:db8:0:2:: \
        2001:db8:0:2:ffff:ffff:ffff:ffff 2001:db8:0:3::"
            .split(' ');
    vec![
        Case::new("trie", "rbldnsd:ip4trie", trie)
            .file("1.2.3.5 :12:x\n1.2.3.6 :13:y\n")
            .ask(&[A, TXT, ANY, AAAA], asked)
            .ask(&[TXT], [v6("2002:102:305::"), v6("::ffff:1.2.3.200")]),
        Case::new("all", "rbldnsd:ip4trie", "0/0 :5:all\n!0/1\n1.2.3.4\n")
            .ask(&[A, TXT], ["4.3.2.1", "1.1.1.1", "1.1.1.200"]),
        Case::new("none", "rbldnsd:ip4trie", "!0/0\n0/0 :5:all\n1.2.3.4\n")
            .ask(&[A, TXT], ["4.3.2.1", "1.1.1.1"]),
        Case::new("trie6", "rbldnsd:ip6trie", trie6).ask(&[A, TXT, ANY], asked6.map(v6)).ask(
            &[A],
            [v6("::ffff:1.2.3.4"), "4.3.2.1".to_owned(), "0.0.2".to_owned(), "8.b.d.0.1.0.0.2".to_owned()],
        ),
        Case::new("all6", "rbldnsd:ip6trie", "::/0 :5:all $\n!8000::/1\n")
            .ask(&[A, TXT], ["::", "7::", "8000::", "2002:102:304::"].map(v6)),
        Case::new("six-to-four", "rbldnsd:ip6trie", "2002:102:304::/48 :7:six $\n")
            .ask(&[TXT], [v6("2002:102:304::9")]),
        Case::new("slips6", "rbldnsd:ip6trie", "1::2::3\n1::9\n:::5:x\n")
            .ask(&[A], [v6("1::2"), v6("1::8"), v6("::")])
            .differs("slips", &slips),
        Case::new("tset6", "rbldnsd:ip6tset", tset6).ask(&[A, TXT, ANY], asked_tset6.map(v6)),
    ]
}

fn names() -> Vec<Case> {
    let text = "\
:3:def $
.a
!b.a
!*.c.a
c.a :4:ca
.e
*.e :5:e5 $
!f.e
f.e :6:six
*.f.e :7:seven $
Q :5:one
q :6:one
q :5:two
q :5:
q
*.r :9:r
s.r ; comment
t.r #comment
u..r.
v.r:5:x
w.r#x
e\\.f.g
h\\105i.g
a\\25x.g
a\\256x.g
odd\\\"\\$\\;\\@\\\\.g
..two
*..three
*
.*.star
@
1.0.0.127
127.0.0.1
*.
!
sp\\032ace.g
\\201.g
slash\\
%s.long
%s.long
";
    let text = text.replacen("%s", &"x".repeat(63), 1).replacen("%s", &"y".repeat(64), 1);
    let long = ["x".repeat(63) + ".long", "y".repeat(63) + ".long"];
    let asked =
        "a x.a b.a x.b.a c.a x.c.a y.x.c.a e x.e f.e x.f.e Q q q.q r x.r s.r t.r u.r v.r v.r:5:x w.r w.r#x \
        e\\.f.g f.g hii.g a\\025x.g a%x.g X.A two x.two three x.three * z *.star x.*.star @ 1.0.0.127 \
        0.0.127 127.0.0.1 g slash odd\"$;@\\\\.g sp\\032ace.g \\201.g y.x.w.v.u.t.a"
            .split(' ')
            .chain([""]);
    let texts = |name: &str, count: u8, text: &str| -> String {
        (0..count).map(|n| format!("{name} :{}:{n} {text}\n", n + 2)).collect()
    };
    let words = "x".repeat(60);
    let many = texts("many", 5, &words) + &texts("more", 6, &words) + &texts("*.wild", 4, &words);
    // Names at whose length some of the texts just fit.
    let edges: Vec<String> = (1..=44).map(|len| "n".repeat(len)).collect();
    let filled: String =
        edges.iter().map(|name| texts(name, 3, &format!("{} $ $", "y".repeat(40)))).collect();
    let several = "m.x :3:plain\n*.m.x :3:plain\n.w.x :4:one\na\\.b.\\200 :4:one\n";
    let beside = "m.x :2:x $\n*.m.x :2:x $\n.x :5:$ and $\na\\.b.\\200 :5:two $ $\n";
    vec![
        Case::new("dn", "rbldnsd:dnset", &text)
            .ask(&[A, TXT, ANY, AAAA, MX], asked.map(str::to_owned).chain(long)),
        Case::new("dn-many", "rbldnsd:dnset", &many)
            .ask(&[A, TXT], ["many", "x.many", "more", "a.wild", "a.b.c.wild"])
            .ask(&[TXT], [format!("{}.{}.wild", "a".repeat(60), "b".repeat(60))]),
        Case::new("dn-edges", "rbldnsd:dnset", &filled).ask(&[TXT], edges),
        Case::new("dn-several", "rbldnsd:dnset", several)
            .beside("rbldnsd:dnset", beside)
            .ask(&[A, TXT], ["m.x", "a.m.x", "w.x", "a.w.x", "x", "a.x", "a\\.b.\\200"]),
        Case::new("dn-late", "rbldnsd:dnhash", "a $1\nb =x $1\n*.c :4:$1 $\n")
            .file("$1 one\n$= [$=]\nd\n:9:e\ne\n")
            .ask(&[A, TXT], ["a", "b", "c", "x.c", "d", "e"]),
    ]
}

fn records() -> Vec<Case> {
    let generic = "\
$TTL 50
@ A 127.0.0.8
@ MX 10 mx.generic.peer.
@ TXT apex
a 60 A 1.1.1.1
a 30 IN A 1.1.1.2
a A 1.1.1.1
a TXT t $ $1
a MX 5 m.x
$TTL 0
b A 1.1.1.1
$TTL 77
c in a 010.1.1
D TXT \"quo ted\"
x.y.z A 5
* A 9.9.9.9
4.3.2.1 A 5.5.5.5
e TXT \"
e2 TXT \"\"
e3 TXT \"a\"\"b\"
e4 TXT \"x\" ; c
e5 TXT un quoted ; x
e6 TXT back\\slash \\065
f 1h A 1.2.3.4 junk
f IN 60 A 1.2.3.5
f HS A 1.2.3.5
f A 256.1.1.1
f A
f
f.. A 1.2.3.6
.f A 1.2.3.7
f\\.g A 1.2.3.8
f MX 70000 x.
f MX 0 .
f MX 1 q..r
:5:x
!h A 1.1.1.1
$1 x
10 A 1.1.1.1
k 0 A 1.1.1.1
l A 0.0.0.0
m A 1.2.3.4#c
";
    let asked = "a b c d D z y.z x.y.z w.x.y.z * q 4.3.2.1 e e2 e3 e4 e5 e6 f f\\.g h !h 10 k l m x.a A"
        .split(' ')
        .chain([""]);
    let beyond = "a AAAA 2001:db8::1\nb CNAME a.x.\nc NS n.x.\nd A 1.1.1.1\n";
    let strings = format!(
        "a TXT \"one\" \"two\"\nb TXT {}\nc TXT \"plain\"\nd TXT {}\n",
        "x".repeat(300),
        "y".repeat(255)
    );
    vec![
        Case::new("generic", "rbldnsd:generic", generic).ask(&[A, TXT, MX, ANY, AAAA, NS, SOA, 13], asked),
        Case::new("beyond", "rbldnsd:generic", beyond)
            .ask(&[AAAA, A], ["a"])
            .ask(&[5, A], ["b"])
            .ask(&[NS], ["c"])
            .ask(&[A], ["d"])
            .differs("generic: AAAA", &["a", "b", "c"]),
        Case::new("strings", "rbldnsd:generic", &strings)
            .ask(&[TXT], ["a", "b", "c", "d"])
            .differs("generic: several strings", &["a"])
            .differs("generic: texts above 255", &["b"]),
        Case::new(
            "stops",
            "rbldnsd:generic",
            "a A 1.1.1.1\nb MX 10\nc MX 10 x y\nd 99999999999 A 1.1.1.1\ne 5x A 1.1.1.1\n",
        )
        .ask(&[A, MX], ["a", "b", "c", "d", "e", ""])
        .differs("generic: a record that stops", &["*"]),
        Case::new(
            "slips",
            "rbldnsd:generic",
            "a A 1.2.3.4junk\nb A 1.2.3.4.5\nc 2147483648 A 1.1.1.1\nd A 1.1.1.1\n",
        )
        .ask(&[A], ["a", "b", "c", "d"])
        .differs("slips", &["a", "b"])
        .differs("a TTL above 31 bits", &["c"]),
        Case::new(
            "big",
            "rbldnsd:generic",
            &(0..40).map(|n| format!("a A 10.0.0.{n}\n")).collect::<String>(),
        )
        .ask(&[A], ["a"]),
    ]
}

/// With `-e` and `-t`: which TTLs the bounds hold for, and what becomes of 0.
pub(crate) fn options() -> Vec<Case> {
    let options = RbldnsdOptions { host_bits: true, default_ttl: 1000, min_ttl: 100, max_ttl: 5000 };
    let zone = |origin: &str, text: &str| {
        let mut case = Case::bare(origin, "rbldnsd:ip4set", text);
        (case.has_soa, case.has_ns) = (text.contains("$SOA"), text.contains("$NS"));
        case.ask(&[SOA, NS, A, TXT], ["", "1.1.1.1", "2.1.1.1"])
    };
    let records = "a 5 A 1.1.1.1\nb 99999 A 1.1.1.1\nc 0 A 1.1.1.1\nd A 1.1.1.1\n$TTL 7\ne A 1.1.1.1\nf 0 A 1.1.1.1\n\
        $TTL 0\ng A 1.1.1.1\n$TTL 99999\nh A 1.1.1.1\ni 300 A 1.1.1.1\n";
    let set = "1.2.3.77/24\n2.2.3/16 :3:\n3.1/12:4:\n!1.2.3.9/29\n! 2.2.9.9/24\n4.4.4.4/0\n65/4 :5:\n7.7.7.7/32\n\
        8.8.8.8-8.8.8.9\n9.9.9.9/33\n$MAXRANGE4 256\n11.11.11.11/23\n11.11.11.11/24\n";
    let asked = "1.3.2.1 8.3.2.1 15.3.2.1 16.3.2.1 1.1.2.2 1.9.2.2 1.10.2.2 1.1.0.3 1.1.5.3 1.1.16.3 1.1.1.64 1.1.1.79 \
        1.1.1.80 7.7.7.7 9.8.8.8 9.9.9.9 1.10.11.11 1.11.11.11 3.2.1";
    let asked = || asked.split_whitespace();
    let trie6 = "2001:db8::1/32 :3:\n3001:1/17\n!2001:db8::ff/120\n4001::1/0 :7:\n4001:1:2::/0 :8:\n2001:db8::2/32 :9:\n";
    let cases = vec![
        zone("low", "$SOA 5 ns.x h.x 7 7 8 9 10\n$NS 6 n.x\n1.1.1.1\n"),
        zone("zero", "$TTL 7\n$SOA 0 a.x b.x 7 1 1 1 90000\n$NS 0 n.x\n1.1.1.1\n"),
        zone("none", "$SOA 0 a.x b.x 7 1 1 1 90000\n$NS 0 n.x\n1.1.1.1\n"),
        zone("high", "$TTL 99999\n$SOA 99999 a.x b.x 7 1 1 1 90000\n$NS 99999 n.x\n1.1.1.1\n"),
        zone("default", "$TTL 0\n1.1.1.1\n"),
        Case::new("records", "rbldnsd:generic", records)
            .ask(&[A], ["a", "b", "c", "d", "e", "f", "g", "h", "i"]),
        Case::new("bits", "rbldnsd:ip4set", set).ask(&[A, TXT], asked()),
        Case::new("bits-trie", "rbldnsd:ip4trie", set).ask(&[A, TXT], asked()),
        Case::new("bits-trie6", "rbldnsd:ip6trie", trie6).ask(
            &[A],
            ["2001:db8:1::", "2001:db8::10", "2001:db8::1000", "3001:7fff::", "3001:8000::", "9001::"]
                .map(v6),
        ),
    ];
    let random = (1..=4).flat_map(|seed| {
        ["rbldnsd:ip4set", "rbldnsd:ip4trie", "rbldnsd:ip6trie"]
            .map(|format| random::host_bits(&format!("{}-{seed}", format.replace(':', "-")), format, seed))
    });
    cases.into_iter().chain(random).map(|case| case.read_with(options)).collect()
}

/// What a zone says of itself, and what spoils files.
fn zones() -> Vec<Case> {
    let soa = |text: &str| {
        let mut case = Case::bare(
            text.split(' ').next().expect("a name"),
            "rbldnsd:ip4set",
            text.split_once(' ').expect("two").1,
        );
        case.has_soa = text.contains("SOA");
        case.has_ns = text.contains("NS ") || text.contains("NAMESERVER");
        case.ask(&[SOA, NS, A, TXT, ANY, MX, 251, 252, 257], ["", "1.1.1.1", "2.1.1.1"])
    };
    let short = soa("short $SOA 30 ns.x h.x 9 1 2 3 1h\n$NS 60 n.x\n1.1.1.1\n");
    // Where it says 0 it has the default.
    let zero = soa("soa-alone #$soa 0 ns.x h.x. 4294967295 1h 1m 1d 1w\n1.1.1.1\n");
    vec![
        short,
        soa("bare 1.1.1.1\n"),
        zero,
        soa("ns-alone $NAMESERVER 0 a.x -b.x A.x c.x.\n$NS 5 d.x\n1.1.1.1\n"),
        soa(
            "first $TTL 99\n$SOA 0 a.x b.x 1 1 1 1 1\n$SOA 5 c.x d.x 2 2 2 2 2\n$NS 0 e.x\n$TTL 7\n1.1.1.1\n$TTL 2d\n",
        ),
        soa(
            "bad-soa $SOA 1 a.x b.x 1 1 1 1\n$SOA 1 a.x b.x 1 1 1 1 1 1\n$SOA 44 a.x b.x 1 1 1 1 5\n$NS x\n$NS 1 n.x\n$TTL 1h30m\n$TTL\n$WORD\n$INCLUDE x\n1.1.1.1\n",
        ),
        soa("stamp $TIMESTAMP 2001:02:03\n$SOA 44 a.x b.x 1 1 1 1 5\n$TIMESTAMP nonsense\n1.1.1.1\n"),
        soa("stamp-end $SOA 44 a.x b.x 1 1 1 1 5\n$TIMESTAMP 20010203 2090:01:01\n1.1.1.1\n"),
        Case::bare("crlf", "rbldnsd:ip4set", "$SOA 44 a.x b.x 1 1 1 1 5\r\n1.1.1.1\r\n1.1.1.2 text\r\n")
            .ask(&[A], ["1.1.1.1", "2.1.1.1"])
            .differs("CR LF", &["1.1.1.1"]),
        {
            let mut case =
                Case::bare("comment", "rbldnsd:ip4set", "$NS 60 n.x # c d\n1.1.1.1\n1.1.1.2\0x\n1.1.1.3\n");
            case.has_ns = true;
            case.ask(&[NS], [""])
                .ask(&[A], ["1.1.1.1", "2.1.1.1", "3.1.1.1"])
                .differs("$NS", &[""])
                .differs("NUL", &["2.1.1.1"])
        },
        Case::bare("bom", "rbldnsd:dnset", "\u{feff}a\nb\n").ask(&[A], ["a", "b"]).differs("CR LF", &["a"]),
    ]
}
