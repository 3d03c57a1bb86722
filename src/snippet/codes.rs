//! Sets of codes in the ways that programs write them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// As Postfix writes sets of them, one for each group that shares three octets: `127.0.0.[4;6..9]`.
pub(crate) fn brackets<'a>(codes: impl IntoIterator<Item = &'a Ipv4Addr>) -> Vec<String> {
    let filter = |([a, b, c], last): ([u8; 3], Vec<u8>)| match &last[..] {
        [one] => format!("{a}.{b}.{c}.{one}"),
        _ => format!("{a}.{b}.{c}.[{}]", ranges(&last)),
    };
    groups(codes).into_iter().map(filter).collect()
}

/// As a regular expression for the whole of an answer: `^127\.0\.0\.(?:4|5)$`.
pub(crate) fn expression<'a>(codes: impl IntoIterator<Item = &'a Ipv4Addr>) -> String {
    let groups = groups(codes).into_iter().map(|([a, b, c], last)| {
        let last: Vec<String> = last.iter().map(u8::to_string).collect();
        format!(r"{a}\.{b}\.{c}\.(?:{})", last.join("|"))
    });
    let groups: Vec<String> = groups.collect();
    match &groups[..] {
        [one] => format!("^{one}$"),
        several => format!("^(?:{})$", several.join("|")),
    }
}

/// One after the other.
pub(crate) fn list<'a>(codes: impl IntoIterator<Item = &'a Ipv4Addr>, between: &str) -> String {
    codes.into_iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(between)
}

/// Last octets by the three before them, both in order.
fn groups<'a>(codes: impl IntoIterator<Item = &'a Ipv4Addr>) -> BTreeMap<[u8; 3], Vec<u8>> {
    let mut groups: BTreeMap<[u8; 3], Vec<u8>> = BTreeMap::new();
    for code in codes {
        let [a, b, c, d] = code.octets();
        groups.entry([a, b, c]).or_default().push(d);
    }
    for last in groups.values_mut() {
        last.sort_unstable();
        last.dedup();
    }
    groups
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

    fn codes(octets: &[[u8; 4]]) -> Vec<Ipv4Addr> {
        octets.iter().map(|&code| code.into()).collect()
    }

    #[test]
    fn filters_hold_the_codes_and_nothing_else() {
        let filters = |octets: &[[u8; 4]]| brackets(&codes(octets));
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
    fn expressions_are_for_the_whole_answer() {
        assert_eq!(expression(&codes(&[[127, 0, 0, 4], [127, 0, 0, 40]])), r"^127\.0\.0\.(?:4|40)$");
        assert_eq!(
            expression(&codes(&[[127, 0, 0, 4], [127, 0, 2, 2]])),
            r"^(?:127\.0\.0\.(?:4)|127\.0\.2\.(?:2))$"
        );
    }
}
