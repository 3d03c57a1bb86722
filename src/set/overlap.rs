//! Where entries overlap: which parts of an entry stand how high.

use super::Overlap;
use crate::model::{Address, Span};

impl Overlap {
    /// The parts of an entry over this span, each with its rank: of entries that hold an address those of the greatest rank
    /// answer, and an exclusion among them takes it off.
    pub fn ranked<A: Address>(self, span: Span<A>) -> Vec<(Span<A>, u128)> {
        match self {
            Self::Narrowest => vec![(span, u128::MAX - span.extent())],
            Self::OctetLevels => {
                octet_levels(span).into_iter().map(|(span, level)| (span, u128::from(level))).collect()
            }
        }
    }
}

/// The parts of a span by the widest octet boundary that each part fills: 10.0.0.0/9 is one part on the /16 level,
/// 1.2.3.4-1.2.5.6 has two on the /32 and one on the /24 level.
fn octet_levels<A: Address>(span: Span<A>) -> Vec<(Span<A>, u8)> {
    let mut parts = Vec::new();
    split(span, 8, &mut parts);
    parts.sort_unstable();
    parts
}

fn split<A: Address>(span: Span<A>, level: u8, parts: &mut Vec<(Span<A>, u8)>) {
    if level >= A::BITS {
        parts.push((span, A::BITS));
        return;
    }
    // The first and last whole cells of this level inside the span.
    let head = span.first.prefix(level);
    let first = if head.first == span.first { Some(head.first) } else { head.last.next() };
    let tail = span.last.prefix(level);
    let last = if tail.last == span.last { Some(tail.last) } else { tail.first.prev() };
    let whole = match (first, last) {
        (Some(first), Some(last)) if first < last && first >= span.first && last <= span.last => {
            Span { first, last }
        }
        _ => return split(span, level + 8, parts),
    };
    parts.push((whole, level));
    if span.first < whole.first {
        let last = whole.first.prev().expect("the span begins before it");
        split(Span { first: span.first, last }, level + 8, parts);
    }
    if whole.last < span.last {
        let first = whole.last.next().expect("the span ends after it");
        split(Span { first, last: span.last }, level + 8, parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octet_levels_as_rbldnsd_unfolds() {
        let levels = |text: &str| {
            let (first, last) = text.split_once('-').unwrap();
            let at = |t: &str| crate::model::parse_ipv4(t.as_bytes()).unwrap();
            octet_levels(Span { first: at(first), last: at(last) })
                .into_iter()
                .map(|(span, level)| format!("{span}@{level}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(levels("10.0.0.0-10.127.255.255"), ["10.0.0.0/9@16"]);
        assert_eq!(levels("0.0.0.0-255.255.255.255"), ["0.0.0.0/0@8"]);
        assert_eq!(
            levels("1.2.3.4-1.2.5.6"),
            ["1.2.3.4-1.2.3.255@32", "1.2.4.0/24@24", "1.2.5.0-1.2.5.6@32"]
        );
        assert_eq!(levels("1.2.3.4-1.2.3.4"), ["1.2.3.4@32"]);
        assert_eq!(levels("255.255.255.255-255.255.255.255"), ["255.255.255.255@32"]);
        assert_eq!(
            levels("9.255.255.254-11.0.0.1"),
            ["9.255.255.254/31@32", "10.0.0.0/8@8", "11.0.0.0/31@32"]
        );
    }
}
