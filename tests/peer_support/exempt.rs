//! Deliberate differences: each a name and an exact condition. Whatever no condition holds for is a fault.

use std::collections::{BTreeMap, BTreeSet};

use super::reply::{A, ANY, MX, NOERROR, NOTIMP, NS, NXDOMAIN, REFUSED, Record, SERVFAIL, SOA, Said, TXT};
use super::{Case, Question, labels};

/// All that must be met at least once.
pub(crate) const ALL: &[&str] = &[
    "empty non-terminal: NXDOMAIN there, NODATA here",
    "negative TTL: minimum there, the lesser of minimum and SOA TTL here",
    "NS in the authority section of positive answers: there only",
    "ANY: every type there, one here (RFC 8482)",
    "texts: cut at 254 octets there, at 255 here",
    "several texts: those that fit 512 octets and `+N more` here, all there",
    "does not fit 512 octets: records left out and AA cleared there, TC here",
    "zero-padded octets in a question: an address there only",
    "types 250 to 254 and from 256 on: NOTIMP there",
    "apex without $SOA or $NS: REFUSED there, made up here",
    "::ffff:V4 in IPv6 data: found there only",
    "6to4 beside other types: its IPv4 address there only",
    "6to4 in IPv6 and IPv4 data: both values there, that of the IPv6 data here",
    "a subzone of numbers beside a list of addresses: the list answers there",
    "generic: AAAA, CNAME and NS are read here only",
    "generic: several strings in a TXT record, one there",
    "generic: texts above 255 octets are several strings here, cut there",
    "generic: a record that stops the data set there is a bad line here",
    "$MAXRANGE4 drops exclusions there only",
    "CR LF, byte order marks: harmless here, bad lines there",
    "slips that are taken there and are bad lines here",
    "$NS: words of a comment behind the names are name servers there",
    "$NS with a bad name: those before it without a TTL there, a bad line here",
    "name servers of more than 496 octets: none there, all here",
    "addresses of name servers in the additional section: there only",
    "a TTL above 31 bits: taken there, a bad line here",
    "NUL: ends the line's content there, a bad line here",
    "a line above 32 KiB: cut there, read here",
    "gzip: members behind the first are read here only",
    "gzip: a damaged member behind the first: ignored there, unreadable here",
    "$TIMESTAMP beyond 2038: a bad line there, a stamp here",
];

/// Names that the data of a case make different, with the exemption that says why.
pub(crate) type Named = BTreeMap<String, &'static str>;

/// Why the two may differ at this question; `None` when they may not. `above`: names with a listed one below them.
pub(crate) fn exemption(
    case: &Case,
    question: &Question,
    theirs: &Said,
    ours: &Said,
    above: &BTreeSet<Vec<u8>>,
) -> Option<&'static str> {
    let name = question.below.to_ascii_lowercase();
    if let Some(named) = case.named.get(&name).or_else(|| case.named.get("*")) {
        let why = ALL.iter().find(|why| why.starts_with(named)).expect("one of all");
        return named_holds(why, theirs, ours).then_some(why);
    }
    let (alike, one_type) =
        (theirs.rcode == ours.rcode, ours.answers.iter().all(|r| r.rtype == ours.answers[0].rtype));
    let subset = ours.answers.iter().all(|record| theirs.answers.contains(record));
    let holds = [
        theirs.rcode == NXDOMAIN && ours.is_nodata() && above.contains(&labels(&name)),
        false,
        false,
        question.qtype == ANY
            && alike
            && !ours.answers.is_empty()
            && one_type
            && is_any(theirs, ours, subset),
        alike
            && same_but(theirs, ours, |theirs, ours| {
                theirs.rtype == TXT
                    && theirs.data.len() == 255
                    && ours.data.len() == 256
                    && ours.data[1..].starts_with(&theirs.data[1..])
            }),
        alike && counted(theirs, ours, question, case),
        alike && ours.truncated && !theirs.authoritative && !theirs.answers.is_empty(),
        theirs.rcode == NOERROR && ours.rcode == NXDOMAIN && is_padded(&name),
        theirs.rcode == NOTIMP
            && match question.qtype {
                251 | 252 => ours.rcode == REFUSED,
                250..=254 | 256.. => ours.is_nodata() || matches!(ours.rcode, NXDOMAIN | SERVFAIL),
                _ => false,
            },
        name.is_empty()
            && theirs.rcode == REFUSED
            && ours.rcode == NOERROR
            && (question.qtype == SOA && !case.has_soa
                || question.qtype == NS && !case.has_ns
                || question.qtype == ANY && !(case.has_soa && case.has_ns)),
        theirs.rcode == NOERROR
            && ours.rcode == NXDOMAIN
            && case.format.contains(":ip6")
            && name.ends_with(".f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"),
        case.is_more_than_ip4()
            && theirs.rcode == NOERROR
            && ours.answers.is_empty()
            && is_six_to_four(&name),
        case.is_more_than_ip4()
            && alike
            && is_six_to_four(&name)
            && !ours.answers.is_empty()
            && ours.answers.len() < theirs.answers.len()
            && ours.answers.iter().all(|here| {
                theirs.answers.iter().any(|there| there.is_beside(here) && there.data == here.data)
            }),
    ];
    holds.iter().position(|&holds| holds).map(|at| ALL[at])
}

/// What the data of a case make different must differ in the way that the exemption says.
fn named_holds(why: &str, theirs: &Said, ours: &Said) -> bool {
    let there_only = theirs.rcode == NOERROR && ours.rcode == NXDOMAIN;
    let here_only = theirs.answers.is_empty() && ours.rcode == NOERROR;
    let begins = |start: &str| why.starts_with(start);
    if begins("$MAXRANGE4") || begins("slips") || begins("NUL") || begins("a subzone of numbers") {
        there_only
    } else if begins("a TTL above") {
        theirs.answers.iter().all(|record| record.ttl > i32::MAX as u32)
            && ours.answers.iter().all(|record| record.ttl <= i32::MAX as u32)
    } else if begins("$NS with a bad name") {
        let half = theirs.of(NS);
        !half.is_empty() && half.iter().all(|record| record.ttl == 0 && !ours.answers.contains(record))
    } else if begins("name servers of more") {
        theirs.rcode == REFUSED && ours.rcode == NOERROR && (ours.truncated || !ours.answers.is_empty())
    } else if begins("$TIMESTAMP beyond") {
        ours.rcode == SERVFAIL && theirs.rcode == NOERROR
    } else if begins("gzip: a damaged") {
        theirs.rcode != SERVFAIL && ours.rcode == SERVFAIL
    } else if begins("a line above") {
        // Not there at all, or without what stands behind the cut.
        here_only || same_but(theirs, ours, |_, _| true)
    } else if begins("$NS: words") {
        ours.answers.iter().all(|record| record.rtype == NS && theirs.answers.contains(record))
            && ours.answers.len() < theirs.answers.len()
    } else if begins("CR LF") || begins("generic: AAAA") || begins("gzip: members") {
        here_only
    } else if begins("generic: several strings") {
        same_but(theirs, ours, |theirs, ours| theirs.data[1..] == strings(&ours.data).join(&b"\" \""[..]))
    } else if begins("generic: texts above 255") {
        same_but(theirs, ours, |theirs, ours| {
            theirs.data.len() == 256 && strings(&ours.data).concat().starts_with(&theirs.data[1..])
        })
    } else {
        begins("generic: a record that stops") && theirs.rcode == SERVFAIL && ours.rcode != SERVFAIL
    }
}

/// As many records, and each pair equal or different in this way.
fn same_but(theirs: &Said, ours: &Said, differ: impl Fn(&Record, &Record) -> bool) -> bool {
    let left = |a: &Said, b: &Said| -> Vec<Record> {
        a.answers.iter().filter(|record| !b.answers.contains(record)).cloned().collect()
    };
    let (theirs, ours) = (left(theirs, ours), left(ours, theirs));
    theirs.len() == ours.len()
        && !ours.is_empty()
        && theirs.iter().zip(&ours).all(|(a, b)| a.ttl == b.ttl && a.is_beside(b) && differ(a, b))
}

/// A and whatever else there is: here the A set alone, or the first type where there is no A; the SOA at an apex.
fn is_any(theirs: &Said, ours: &Said, subset: bool) -> bool {
    let rtype = ours.answers[0].rtype;
    match theirs.of(A).is_empty() {
        false => rtype == A && ours.of(A) == theirs.of(A),
        true => matches!(rtype, MX | TXT | SOA) && subset,
    }
}

/// All but the last of our texts are theirs, and the last counts the others, which would not fit.
fn counted(theirs: &Said, ours: &Said, question: &Question, case: &Case) -> bool {
    let (of_theirs, of_ours) = (theirs.of(TXT), ours.of(TXT));
    let extra: Vec<_> = of_ours.iter().filter(|record| !of_theirs.contains(record)).collect();
    let [more] = extra[..] else { return false };
    let left = of_theirs.len() + 1 - of_ours.len();
    theirs.authoritative
        && more.data[1..] == *format!("+{left} more").as_bytes()
        && fills_512_octets(&of_theirs, question, case)
}

/// Header, question and OPT, these records, and what may come of it that nobody knows beforehand: IPv4 addresses as long
/// as they can be in texts and question, a label more below wildcards.
fn fills_512_octets(texts: &[&Record], question: &Question, case: &Case) -> bool {
    let records: usize = texts.iter().map(|record| 12 + record.data.len()).sum();
    let name = question.below.len() + case.origin.len() + 2;
    let unknown = if case.is_more_than_ip4() { 64 } else { 9 + 8 * texts.len() };
    12 + 4 + 11 + records + name + unknown > 512
}

/// An IPv6 address in `2002::/16`, whatever subzone it is asked in.
fn is_six_to_four(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').take(32).collect();
    labels.iter().all(|label| label.len() == 1) && labels.ends_with(&["2", "0", "0", "2"])
}

fn is_padded(name: &str) -> bool {
    name.split('.').any(|label| label.len() > 1 && label.starts_with('0'))
}

fn strings(mut data: &[u8]) -> Vec<&[u8]> {
    let mut strings = Vec::new();
    while let Some((&len, rest)) = data.split_first() {
        let (string, rest) = rest.split_at(len.into());
        strings.push(string);
        data = rest;
    }
    strings
}

/// What is compared beside the answers: it differs without a difference in the answers. `Err`: it may not.
pub(crate) fn beside(
    case: &Case,
    soa_ttl: Option<u32>,
    theirs: &Said,
    ours: &Said,
) -> Result<Vec<&'static str>, &'static str> {
    let mut found = Vec::new();
    match (&theirs.soa, &ours.soa) {
        (Some(there), Some(here)) => {
            if (&there.owner, there.class) != (&here.owner, here.class) {
                return Err("the zone that answers");
            }
            if there.data != here.data {
                return Err("the SOA of a negative answer");
            }
            if there.ttl != here.ttl {
                if Some(here.ttl) != soa_ttl.map(|ttl| ttl.min(there.ttl)) {
                    return Err("the TTL of a negative answer");
                }
                found.push(ALL[1]);
            }
        }
        (None, Some(_)) if case.has_soa => return Err("an SOA here only"),
        (Some(_), None) => return Err("an SOA there only"),
        _ => {}
    }
    if ours.name_servers > 0 {
        return Err("name servers here");
    }
    if theirs.name_servers > 0 {
        if theirs.rcode != NOERROR || theirs.answers.is_empty() {
            return Err("name servers there beside no answer");
        }
        found.push(ALL[2]);
    }
    if ours.additional > 0 {
        return Err("additional records here");
    }
    if theirs.additional > 0 {
        if theirs.name_servers == 0 {
            return Err("additional records there beside no name servers");
        }
        found.push("addresses of name servers in the additional section: there only");
    }
    Ok(found)
}
