//! Addresses that no feed may list.

use super::special::{LOOPBACK_V4, LOOPBACK_V6, SPECIAL_V4, SPECIAL_V6, Special};
use crate::model::{Address, Span, Subject};

/// Spans that are taken out of every feed, sorted and disjoint; neighbours are joined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NeverList {
    /// IPv4.
    pub v4: Vec<Span<u32>>,
    /// IPv6.
    pub v6: Vec<Span<u128>>,
}

impl NeverList {
    /// IANA's special-purpose blocks, multicast and 240.0.0.0/4: nobody on the internet speaks from there.
    pub fn special_purpose() -> Self {
        Self { v4: unreachable(&SPECIAL_V4), v6: unreachable(&SPECIAL_V6) }
    }

    /// 127.0.0.0/8 and `::1`: what even a list of bogons may not list.
    pub fn loopback() -> Self {
        Self { v4: vec![LOOPBACK_V4.span()], v6: vec![LOOPBACK_V6.span()] }
    }

    /// What is taken out of a feed: its profile's blocks (`bogons`: the feed lists special-purpose space by
    /// design) and the operator's own networks and canaries.
    pub fn of_feed(bogons: bool, own: &[Subject]) -> Self {
        if bogons { Self::loopback() } else { Self::special_purpose() }.with(own)
    }

    /// With these networks besides. Names among them stand for no address and are passed over.
    #[must_use]
    pub fn with(mut self, networks: &[Subject]) -> Self {
        for network in networks {
            match network {
                Subject::V4(span) => self.v4.push(*span),
                Subject::V6(span) => self.v6.push(*span),
                Subject::Name(_) => {}
            }
        }
        Self { v4: joined(self.v4), v6: joined(self.v6) }
    }

    /// What is in one of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            v4: joined([&self.v4[..], &other.v4].concat()),
            v6: joined([&self.v6[..], &other.v6].concat()),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether it has an address of this span.
    pub fn touches_v4(&self, span: Span<u32>) -> bool {
        touches(&self.v4, span)
    }

    /// Whether it has an address of this span.
    pub fn touches_v6(&self, span: Span<u128>) -> bool {
        touches(&self.v6, span)
    }

    /// Whether nobody may list this address.
    pub fn contains_v4(&self, address: u32) -> bool {
        covers(&self.v4, Span::host(address))
    }

    /// Whether nobody may list this address.
    pub fn contains_v6(&self, address: u128) -> bool {
        covers(&self.v6, Span::host(address))
    }

    /// Whether nobody may list any address of this span.
    pub fn covers_v4(&self, span: Span<u32>) -> bool {
        covers(&self.v4, span)
    }

    /// Whether nobody may list any address of this span.
    pub fn covers_v6(&self, span: Span<u128>) -> bool {
        covers(&self.v6, span)
    }

    /// What is left of a span that it does not cover: addresses less one, as [`Span::extent`].
    pub fn left_of_v4(&self, span: Span<u32>) -> u128 {
        left_of(&self.v4, span)
    }

    /// What is left of a span that it does not cover: addresses less one, as [`Span::extent`].
    pub fn left_of_v6(&self, span: Span<u128>) -> u128 {
        left_of(&self.v6, span)
    }
}

fn left_of<A: Address>(never: &[Span<A>], span: Span<A>) -> u128 {
    let from = never.partition_point(|n| n.last < span.first);
    let holes = never[from..].iter().take_while(|n| n.first <= span.last);
    holes.fold(span.extent(), |left, n| {
        let hole = Span { first: n.first.max(span.first), last: n.last.min(span.last) };
        left.saturating_sub(hole.extent().saturating_add(1))
    })
}

/// In joined spans a covered span lies in one of them.
fn covers<A: Address>(never: &[Span<A>], span: Span<A>) -> bool {
    let after = never.partition_point(|n| n.first <= span.first);
    after.checked_sub(1).is_some_and(|at| never[at].last >= span.last)
}

/// The last joined span that begins no later than `span` ends reaches furthest.
fn touches<A: Address>(never: &[Span<A>], span: Span<A>) -> bool {
    let after = never.partition_point(|n| n.first <= span.last);
    after.checked_sub(1).is_some_and(|at| never[at].last >= span.first)
}

fn unreachable<A: Address>(blocks: &[Special<A>]) -> Vec<Span<A>> {
    let spans = |reachable| blocks.iter().filter(move |b| b.reachable == reachable).map(Special::span);
    without(joined(spans(false).collect()), &joined(spans(true).collect()))
}

/// Sorted, disjoint, neighbours as one.
fn joined<A: Address>(mut spans: Vec<Span<A>>) -> Vec<Span<A>> {
    spans.sort_unstable();
    let mut all: Vec<Span<A>> = Vec::with_capacity(spans.len());
    for span in spans {
        match all.last_mut() {
            Some(last) if last.last.next().is_none_or(|next| span.first <= next) => {
                last.last = last.last.max(span.last);
            }
            _ => all.push(span),
        }
    }
    all
}

/// `spans` less `holes`, both sorted and disjoint.
fn without<A: Address>(spans: Vec<Span<A>>, holes: &[Span<A>]) -> Vec<Span<A>> {
    let mut left = Vec::with_capacity(spans.len() + holes.len());
    for span in spans {
        let mut first = Some(span.first);
        for hole in holes.iter().filter(|hole| hole.overlaps(&span)) {
            if let (Some(first), Some(before)) = (first, hole.first.prev())
                && first <= before
            {
                left.push(Span { first, last: before });
            }
            first = hole.last.next();
        }
        left.extend(first.and_then(|first| Span::new(first, span.last)));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, Options, parse};

    fn v4(text: &str) -> u32 {
        text.parse::<std::net::Ipv4Addr>().unwrap().into()
    }

    fn v6(text: &str) -> u128 {
        text.parse::<std::net::Ipv6Addr>().unwrap().into()
    }

    #[test]
    fn sorted_disjoint_and_joined() {
        let never =
            NeverList::of_feed(false, &["198.51.100.0/23", "2001:db8::/32"].map(|s| s.parse().unwrap()));
        assert!(never.v4.windows(2).all(|w| w[0].last < w[1].first - 1));
        assert!(never.v6.windows(2).all(|w| w[0].last < w[1].first - 1));
        assert!(never.covers_v4(
            "224.0.0.0/3".parse().map(|s| if let Subject::V4(s) = s { s } else { panic!() }).unwrap()
        ));
        assert!(!never.covers_v4(Span { first: 0, last: u32::MAX }));
        assert!(!never.covers_v6(Span { first: 0, last: u128::MAX }));
    }

    #[test]
    fn members() {
        let never = NeverList::special_purpose();
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.9.9",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.0.11",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(never.contains_v4(v4(address)), "{address}");
        }
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.0.9",
            "192.0.0.10",
            "192.0.1.0",
            "192.31.196.1",
            "192.175.48.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
        ] {
            assert!(!never.contains_v4(v4(address)), "{address}");
        }
        for address in [
            "::",
            "::1",
            "::ffff:1.2.3.4",
            "64:ff9b::1.2.3.4",
            "64:ff9b:1::1",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:1::",
            "2001:1::4",
            "2001:2::1",
            "2001:10::1",
            "2001:4:113::",
            "2001:1ff:ffff::",
            "2001:db8::1",
            "2002:102:304::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
        ] {
            assert!(never.contains_v6(v6(address)), "{address}");
        }
        for address in [
            "::2",
            "2001:1::1",
            "2001:1::2",
            "2001:1::3",
            "2001:3::1",
            "2001:4:112::1",
            "2001:20::1",
            "2001:3f::1",
            "2001:200::1",
            "2001:470::1",
            "2606:4700::1",
            "2620:4f:8000::1",
            "3fff:1000::1",
            "5f01::1",
            "fec0::1",
        ] {
            assert!(!never.contains_v6(v6(address)), "{address}");
        }
    }

    #[test]
    fn bogon_feeds_keep_all_but_loopback_and_own() {
        let never =
            NeverList::of_feed(true, &["198.51.100.0/24".parse().unwrap(), "name.example".parse().unwrap()]);
        assert!(never.contains_v4(v4("127.0.0.9")) && never.contains_v4(v4("198.51.100.9")));
        assert!(never.contains_v6(1) && !never.contains_v6(0));
        assert!(!never.contains_v4(v4("10.0.0.1")));
    }

    /// `zones/bogons.txt` and the table say the same, and each line bears the registry's words.
    #[test]
    fn bogons_and_loopback_are_the_never_list() {
        let text = include_str!("../../zones/bogons.txt");
        let options = Options { notes: true, ..Options::default() };
        let parsed = parse(Format::Plain, &options, text.as_bytes(), &mut |bad| panic!("{bad}")).unwrap();
        let set = parsed.set;
        let hosts = set.v4.hosts.iter().map(|&host| Subject::V4(Span::host(host)));
        let blocks = set.v4.blocks.iter().map(|b| Subject::V4(b.span));
        let v6 = set.v6.iter().map(|b| Subject::V6(b.span));
        let bogons: Vec<Subject> = hosts.chain(blocks).chain(v6).collect();
        let loopback = NeverList::loopback();
        for bogon in &bogons {
            match bogon {
                Subject::V4(span) => assert!(!loopback.v4.iter().any(|l| l.overlaps(span)), "{bogon}"),
                Subject::V6(span) => assert!(!loopback.v6.iter().any(|l| l.overlaps(span)), "{bogon}"),
                Subject::Name(name) => panic!("{name}"),
            }
        }
        assert_eq!(loopback.with(&bogons), NeverList::special_purpose());
        for value in &set.values {
            let note = value.note.as_deref().unwrap_or_default();
            let known = SPECIAL_V4
                .iter()
                .map(|b| (b.name, b.source))
                .chain(SPECIAL_V6.iter().map(|b| (b.name, b.source)));
            assert!(known.into_iter().any(|(name, source)| note == format!("{name} ({source})")), "{note}");
        }
    }

    #[test]
    fn spans_that_share_an_address() {
        let own = ["198.51.100.0/24", "9.9.9.9", "2001:db8::/32"].map(|s| s.parse().unwrap());
        let never = NeverList::default().with(&own);
        let span = |first, last| Span { first: v4(first), last: v4(last) };
        assert!(never.touches_v4(span("198.51.100.255", "198.51.101.9")));
        assert!(never.touches_v4(span("0.0.0.0", "9.9.9.9")) && never.touches_v4(span("9.9.9.9", "9.9.9.9")));
        assert!(!never.touches_v4(span("9.9.9.10", "198.51.99.255")));
        assert!(!never.touches_v4(span("0.0.0.0", "9.9.9.8")));
        assert!(never.touches_v6(Span { first: 0, last: u128::MAX }) && !never.is_empty());
        assert!(NeverList::default().is_empty() && !NeverList::default().touches_v6(Span::host(1)));
    }

    #[test]
    fn holes() {
        let span = |first: u32, last| Span { first, last };
        let left = without(
            vec![span(0, 9), span(20, u32::MAX)],
            &[span(0, 1), span(5, 5), span(9, 30), span(u32::MAX, u32::MAX)],
        );
        assert_eq!(left, [span(2, 4), span(6, 8), span(31, u32::MAX - 1)]);
    }
}
