//! How zones and data sets go together on a command line: several data sets in a zone, one in several zones, zones in
//! zones, all kinds beside each other.

use super::reply::{A, ANY, MX, NS, SOA, TXT};
use super::{Case, random};
use crate::common::Dice;

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = nested();
    cases.extend(shared());
    cases.extend(families());
    cases.extend((1..=8).map(mixed));
    cases
}

/// The closest zone alone answers, whatever stands first on the command line.
fn nested() -> Vec<Case> {
    let asked = [
        "",
        "1.1.1.1",
        "2.1.1.1",
        "x",
        "b",
        "x.b",
        "1.1.1.1.b",
        "c.b",
        "1.1.1.1.c.b",
        "x.c.b",
        "4",
        "1.1.1.1.4",
    ];
    let ask = |case: Case| case.ask(&[A, TXT, SOA, NS, ANY, MX], asked);
    let names = "x above\n.b :9:what the zone below would say\n*.c.b :8:$\n1.1.1.1.b :7:$\n";
    vec![
        ask(Case::new("c.b.inner", "rbldnsd:ip4set", "1.1.1.1 :5:c\n")),
        ask(Case::new("inner", "rbldnsd:dnset", names).beside("rbldnsd:ip4set", "1.1.1.1 :3:top\n2.1.1.1\n")),
        ask(Case::new("b.inner", "rbldnsd:ip4trie", "1.1.1/24 :4:b\n")
            .beside("rbldnsd:generic", "@ A 192.0.2.1\nx MX 5 m.x\n")),
        ask(Case::new("4.inner", "rbldnsd:ip4set", "1.1.1.1 :6:four\n")),
        ask(Case::bare("deep.er.than.b.inner", "rbldnsd:ip4set", "1.1.1.1\n")),
    ]
}

/// A data set that several zones have is one.
fn shared() -> Vec<Case> {
    let one = Case::new("one", "rbldnsd:ip4set", "1.1.1.1 :3:$\n$TTL 7\n!1.1.1.2\n")
        .file("1.1.1/24 :4:b\n")
        .ask(&[A, TXT, SOA, NS], ["", "1.1.1.1", "2.1.1.1", "3.1.1.1", "1.2.1.1"]);
    let several = Case::new("several", "rbldnsd:dnset", "x :3:$\n$NS 5 late.x\n*.y\n")
        .beside("rbldnsd:ip4trie", "1.1/16 :6:six\n$TTL 60\n")
        .ask(&[A, TXT, SOA, NS], ["", "x", "a.y", "1.1.1.1"]);
    let twice = Case::new("twice", "rbldnsd:ip4set", "1.1.1.1 :3:$\n")
        .beside("rbldnsd:ip4set", "1.1.1.1 :3:$\n1.1.1.2\n")
        .ask(&[A, TXT], ["1.1.1.1", "2.1.1.1"]);
    vec![one.twin("two"), one.twin("in.one"), one, several.twin("other"), several, twice]
}

/// IPv4 and IPv6 data in one zone: which of them a mapped and a 6to4 address meets.
fn families() -> Vec<Case> {
    let v6 = |address: &str| random::name_v6(address.parse::<std::net::Ipv6Addr>().expect(address).into());
    let six = "2002:101:101::/48 :6:six $\n2001:db8::/32 :7:seven\n!2002:101:102::/48\n";
    let four = "1.1.1.1 :3:three $\n1.1.1.2 :4:four\n1.1.1.3\n";
    let names = [
        "2002:101:101::1",
        "2002:101:102::1",
        "2002:101:103::",
        "2002:101:104::",
        "::ffff:1.1.1.1",
        "::ffff:1.1.1.9",
        "2001:db8::1",
        "2001:db9::",
    ];
    let asked = move || names.map(v6).into_iter().chain(["1.1.1.1".to_owned(), "9.1.1.1".to_owned()]);
    let mut cases = Vec::new();
    for (number, kind) in ["rbldnsd:ip4set", "rbldnsd:ip4trie", "rbldnsd:ip4tset"].into_iter().enumerate() {
        cases.push(Case::new(&format!("alone-{number}"), kind, four).ask(&[A, TXT], asked()));
        cases.push(
            Case::new(&format!("with-six-{number}"), kind, four)
                .beside("rbldnsd:ip6trie", six)
                .ask(&[A, TXT], asked()),
        );
        cases.push(
            Case::new(&format!("with-names-{number}"), kind, four)
                .beside("rbldnsd:dnset", "x\n")
                .ask(&[A, TXT], asked()),
        );
    }
    cases
}

/// Random data sets of all types in one zone.
fn mixed(seed: u64) -> Case {
    let mut dice = Dice(seed * 7919);
    let parts = [
        random::ip4("p", "rbldnsd:ip4set", dice.next(), 60),
        random::ip4("p", "rbldnsd:ip4trie", dice.next(), 60),
        random::ip4tset("p", dice.next()),
        random::ip6trie("p", dice.next()),
        random::dnset("p", "rbldnsd:dnset", dice.next()),
        random::generic("p", dice.next()),
    ];
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|_| dice.next());
    order.truncate(2 + dice.below(3));
    let text = |part: usize| String::from_utf8_lossy(&parts[part].files[0]).into_owned();
    let first = &parts[order[0]];
    let mut case = Case::bare(&format!("mixed-{seed}"), first.format, text(order[0]));
    (case.has_soa, case.has_ns) = (true, true);
    for &part in &order[1..] {
        case = case.beside(parts[part].format, &text(part));
    }
    for part in order {
        let questions = &parts[part].questions;
        let step = 1 + questions.len() / 1500;
        case.questions.extend(questions.iter().step_by(step).cloned());
    }
    case
}
