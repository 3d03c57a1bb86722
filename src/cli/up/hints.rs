//! How to use what is served: a question that works now, a resolver that knows the zones, a restriction for Postfix.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};

use super::super::probe::reachable;
use crate::config::{Code, ZoneConfig};
use crate::model::Name;

/// A question for the test address of `zone`, and what it answers.
pub(crate) fn dig(zone: &Name, listen: SocketAddr) -> String {
    let server = reachable(listen);
    format!("dig @{} -p {} +short 2.0.0.127.{zone} A", server.ip(), server.port())
}

/// What unbound must be told so that it asks here for everything below `suffix`.
pub(crate) fn unbound(suffix: &Name, listen: SocketAddr) -> String {
    let server = reachable(listen);
    let mut text = String::from("server:\n");
    if server.ip().is_loopback() {
        text.push_str("    do-not-query-localhost: no\n");
    }
    let _ = write!(
        text,
        "    domain-insecure: \"{suffix}\"\n    \
             private-domain: \"{suffix}\"\n\
         forward-zone:\n    \
             name: \"{suffix}\"\n    \
             forward-addr: {}@{}\n",
        server.ip(),
        server.port()
    );
    text
}

/// Restrictions for Postfix: one for each group of codes that share three octets. The filter lets nothing but a real
/// listing reject mail: no test point, no error code. What a person blocks is one.
pub(crate) fn postfix(zone: &ZoneConfig) -> Vec<String> {
    let codes = zone.members.iter().map(|member| member.code.address()).chain([Code::OVERLAY]);
    filters(codes).iter().map(|filter| format!("reject_rbl_client {}={filter}", zone.origin)).collect()
}

/// A client that the restrictions reject: in a zone of several lists 127.0.0.V is listed with the code 127.0.0.V.
/// Not 127.0.0.2, whose answer is no list's.
pub(crate) fn test_client(zone: &ZoneConfig) -> Option<Ipv4Addr> {
    let mut codes = zone.members.iter().map(|member| member.code.address());
    codes.find(|code| zone.members.len() > 1 && code.octets().starts_with(&[127, 0, 0]))
}

/// Codes as Postfix writes sets of them: `127.0.0.[4;6..9]`.
fn filters(codes: impl Iterator<Item = Ipv4Addr>) -> Vec<String> {
    let mut groups: BTreeMap<[u8; 3], Vec<u8>> = BTreeMap::new();
    for code in codes {
        let [a, b, c, d] = code.octets();
        groups.entry([a, b, c]).or_default().push(d);
    }
    let filter = |([a, b, c], mut last): ([u8; 3], Vec<u8>)| {
        last.sort_unstable();
        last.dedup();
        match &last[..] {
            [one] => format!("{a}.{b}.{c}.{one}"),
            _ => format!("{a}.{b}.{c}.[{}]", ranges(&last)),
        }
    };
    groups.into_iter().map(filter).collect()
}

/// Sorted numbers as ranges: `4;6..9`.
fn ranges(numbers: &[u8]) -> String {
    let mut parts: Vec<(u8, u8)> = Vec::new();
    for &number in numbers {
        match parts.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let part = |&(first, last): &(u8, u8)| match last - first {
        0 => first.to_string(),
        1 => format!("{first};{last}"),
        _ => format!("{first}..{last}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_hold_the_codes_and_nothing_else() {
        let filters = |codes: &[[u8; 4]]| filters(codes.iter().map(|&code| code.into()));
        assert_eq!(filters(&[[127, 0, 0, 7]]), ["127.0.0.7"]);
        assert_eq!(filters(&[[127, 0, 0, 7], [127, 0, 0, 4], [127, 0, 0, 8]]), ["127.0.0.[4;7;8]"]);
        assert_eq!(
            filters(&[[127, 0, 0, 6], [127, 0, 0, 8], [127, 0, 0, 7], [127, 0, 0, 254], [127, 0, 1, 5]]),
            ["127.0.0.[6..8;254]", "127.0.1.5"]
        );
        assert_eq!(filters(&[[127, 0, 0, 254], [127, 0, 0, 255]]), ["127.0.0.[254;255]"]);
        assert!(filters(&[]).is_empty());
    }

    #[test]
    fn questions_go_where_the_server_can_be_reached() {
        let zone = "block.gatepost.internal".parse().unwrap();
        assert_eq!(
            dig(&zone, "0.0.0.0:5354".parse().unwrap()),
            "dig @127.0.0.1 -p 5354 +short 2.0.0.127.block.gatepost.internal A"
        );
        assert!(dig(&zone, "[::1]:53".parse().unwrap()).starts_with("dig @::1 -p 53 "));
    }

    #[test]
    fn unbound_may_ask_loopback_only_if_it_has_to() {
        let suffix = "gatepost.internal".parse().unwrap();
        let here = unbound(&suffix, "127.0.0.1:5354".parse().unwrap());
        assert!(here.contains("do-not-query-localhost: no\n"));
        assert!(here.contains("forward-addr: 127.0.0.1@5354\n"));
        assert!(!unbound(&suffix, "192.0.2.1:5354".parse().unwrap()).contains("localhost"));
    }
}
