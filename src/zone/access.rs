//! Access lists: what a client is given, by its address.
//!
//! Overlaps are settled when an [`Access`] is built (the longest prefix counts, as in rbldnsd), so that asking is one
//! binary search. Never: what the server does with an action.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::model::{AccessList, Address, Given, RrData, RrSet, Rtype, Span, Subject, Ttl};

/// What a client is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Action {
    /// Answers.
    #[default]
    Allow,
    /// That everything is listed, with these records; `$` in texts is the client.
    Listed(Box<[RrSet]>),
    /// That nothing is listed; what the zone says of itself stays.
    Empty,
    /// REFUSED.
    Refuse,
    /// No reply. Streams are closed.
    Drop,
}

impl Action {
    /// What a list means; records that it brings are given `ttl`.
    pub fn of(given: &Given, ttl: Ttl) -> Self {
        match given {
            Given::Allow => Self::Allow,
            Given::Empty => Self::Empty,
            Given::Refuse => Self::Refuse,
            Given::Drop => Self::Drop,
            Given::List { code, text } => {
                let code = RrData::Wire(vec![code.octets().to_vec()]);
                let text = (!text.is_empty()).then(|| RrData::Texts(vec![text.clone()]));
                let sets = [(Rtype::A, Some(code)), (Rtype::TXT, text)];
                let sets =
                    sets.into_iter().filter_map(|(rtype, data)| Some(RrSet { rtype, ttl, data: data? }));
                Self::Listed(sets.collect())
            }
        }
    }

    /// Of a server's action and a zone's, the one that gives less.
    #[must_use]
    pub fn stricter<'a>(&'a self, other: &'a Self) -> &'a Self {
        if other.strictness() > self.strictness() { other } else { self }
    }

    fn strictness(&self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Listed(_) => 1,
            Self::Empty => 2,
            Self::Refuse => 3,
            Self::Drop => 4,
        }
    }
}

/// Clients and their actions. A client that no prefix holds is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    actions: Vec<Action>,
    v4: Vec<(Span<u32>, u32)>,
    v6: Vec<(Span<u128>, u32)>,
    /// The actions of all IPv4 and all IPv6 addresses, where those are named.
    strangers: [Option<u32>; 2],
}

impl Access {
    /// Of lists, in a zone whose records have `ttl` unless a list says otherwise.
    pub fn of_lists(lists: &[AccessList], ttl: Ttl) -> Self {
        Self::new(lists.iter().flat_map(|list| {
            let ttl = list.ttl.unwrap_or(ttl);
            list.clients.iter().map(move |(client, given)| (client.clone(), Action::of(given, ttl)))
        }))
    }

    /// Of prefixes in any order; of equal ones the first counts. Names are no clients and are left out.
    pub fn new(clients: impl IntoIterator<Item = (Subject, Action)>) -> Self {
        let mut access = Self::default();
        let mut ids = HashMap::new();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (client, action) in clients {
            let id = *ids.entry(action).or_insert_with_key(|action| {
                access.actions.push(action.clone());
                access.actions.len() as u32 - 1
            });
            match client {
                Subject::V4(span) => v4.push((span, id)),
                Subject::V6(span) => match mapped(span) {
                    Some(span) => v4.push((span, id)),
                    None => v6.push((span, id)),
                },
                Subject::Name(_) => {}
            }
        }
        access.strangers = [everybody(&v4), everybody(&v6)];
        access.v4 = settled(v4);
        access.v6 = settled(v6);
        access
    }

    /// What `client` is given. An IPv4 address in IPv6 clothes (`::ffff:V4`) is that IPv4 address.
    pub fn of(&self, client: IpAddr) -> &Action {
        let action = match client.to_canonical() {
            IpAddr::V4(v4) => find(&self.v4, u32::from(v4)),
            IpAddr::V6(v6) => find(&self.v6, u128::from(v6)),
        };
        action.and_then(|action| self.actions.get(action as usize)).unwrap_or(&Action::Allow)
    }

    /// Whether everybody is allowed.
    pub fn is_open(&self) -> bool {
        self.actions.iter().all(|action| *action == Action::Allow)
    }

    /// What a client is given whom nothing but `0.0.0.0/0` (or `::/0`) names.
    pub fn of_strangers(&self, v6: bool) -> &Action {
        self.strangers[usize::from(v6)].and_then(|at| self.actions.get(at as usize)).unwrap_or(&Action::Allow)
    }
}

/// IPv4 in IPv6's clothes.
fn mapped(span: Span<u128>) -> Option<Span<u32>> {
    let inside = |address: u128| (address >> 32 == 0xffff).then_some(address as u32);
    Span::new(inside(span.first)?, inside(span.last)?)
}

fn everybody<A: Address>(prefixes: &[(Span<A>, u32)]) -> Option<u32> {
    prefixes.iter().find(|(span, _)| *span == A::ZERO.prefix(0)).map(|&(_, action)| action)
}

fn find<A: Address>(spans: &[(Span<A>, u32)], client: A) -> Option<u32> {
    let at = spans.partition_point(|(span, _)| span.last < client);
    spans.get(at).filter(|(span, _)| span.contains(client)).map(|&(_, action)| action)
}

/// Disjoint spans in which the longest prefix counts.
fn settled<A: Address>(mut prefixes: Vec<(Span<A>, u32)>) -> Vec<(Span<A>, u32)> {
    // Outer ones before those inside them; the sort is stable, so the first of equal ones stays the first.
    prefixes.sort_by(|(a, _), (b, _)| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
    prefixes.dedup_by(|next, kept| next.0 == kept.0);
    let mut spans = Vec::new();
    let mut open: Vec<(Span<A>, u32)> = Vec::new();
    // Everything below this is settled.
    let mut from = Some(A::ZERO);
    let mut close_up_to = |open: &mut Vec<(Span<A>, u32)>, from: &mut Option<A>, next: Option<A>| {
        while let Some(&(span, action)) = open.last() {
            let ends_before = next.is_none_or(|next| span.last < next);
            let last = if ends_before { Some(span.last) } else { next.and_then(A::prev) };
            if let (Some(first), Some(last)) = (from.map(|from| from.max(span.first)), last)
                && first <= last
            {
                spans.push((Span { first, last }, action));
                *from = last.next();
            }
            if !ends_before {
                return;
            }
            open.pop();
        }
    };
    for (span, action) in prefixes {
        close_up_to(&mut open, &mut from, Some(span.first));
        from = Some(span.first);
        open.push((span, action));
    }
    close_up_to(&mut open, &mut from, None);
    spans.dedup_by(|next, kept| match (next.1.cmp(&kept.1), kept.0.last.next()) {
        (Ordering::Equal, Some(after)) if after == next.0.first => {
            kept.0.last = next.0.last;
            true
        }
        _ => false,
    });
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{RrData, Rtype};

    fn access(clients: &[(&str, Action)]) -> Access {
        Access::new(clients.iter().map(|(client, action)| (client.parse().unwrap(), action.clone())))
    }

    #[test]
    fn the_longest_prefix_counts() {
        let access = access(&[
            ("0.0.0.0/0", Action::Refuse),
            ("10.0.0.0/8", Action::Allow),
            ("10.1.0.0/16", Action::Empty),
            ("10.1.2.3", Action::Drop),
            ("10.1.2.3", Action::Allow),
            ("2001:db8::/32", Action::Empty),
            ("::ffff:10.9.0.0/112", Action::Drop),
        ]);
        assert_eq!(*access.of_strangers(false), Action::Refuse);
        assert_eq!(*access.of_strangers(true), Action::Allow);
        for (client, action) in [
            ("9.255.255.255", Action::Refuse),
            ("10.0.0.0", Action::Allow),
            ("10.0.255.255", Action::Allow),
            ("10.1.0.0", Action::Empty),
            ("10.1.2.2", Action::Empty),
            ("10.1.2.3", Action::Drop),
            ("10.1.2.4", Action::Empty),
            ("10.1.255.255", Action::Empty),
            ("10.2.0.0", Action::Allow),
            ("10.9.8.7", Action::Drop),
            ("11.0.0.0", Action::Refuse),
            ("255.255.255.255", Action::Refuse),
            ("::ffff:10.1.2.3", Action::Drop),
            ("2001:db8::1", Action::Empty),
            ("2001:db9::1", Action::Allow),
        ] {
            assert_eq!(*access.of(client.parse().unwrap()), action, "{client}");
        }
        assert!(!access.is_open());
        assert!(Access::default().is_open());
        assert_eq!(*Access::default().of("::1".parse().unwrap()), Action::Allow);
    }

    #[test]
    fn the_stricter_counts() {
        let data = RrData::Wire(vec![vec![127, 0, 0, 2]]);
        let listed = Action::Listed(Box::new([RrSet { rtype: Rtype::A, ttl: 60, data }]));
        let ascending = [Action::Allow, listed, Action::Empty, Action::Refuse, Action::Drop];
        for (a, first) in ascending.iter().enumerate() {
            for (b, second) in ascending.iter().enumerate() {
                assert_eq!(first.stricter(second), &ascending[a.max(b)]);
            }
        }
    }

    proptest! {
        #[test]
        fn as_a_plain_search(
            prefixes in prop::collection::vec((any::<u32>(), 0u8..=32, 0usize..4), 0..40),
            asked in prop::collection::vec(any::<u32>(), 40),
        ) {
            let actions = [Action::Allow, Action::Empty, Action::Refuse, Action::Drop];
            // Few different addresses, so that prefixes nest and touch.
            let few = |address: u32| address & 0xc103_0003;
            let spans: Vec<_> =
                prefixes.iter().map(|&(at, len, action)| (few(at).prefix(len), len, action)).collect();
            let access = Access::new(
                spans.iter().map(|&(span, _, action)| (Subject::V4(span), actions[action].clone())),
            );
            let edges = spans.iter().flat_map(|(span, ..)| {
                [span.first, span.last, span.first.wrapping_sub(1), span.last.wrapping_add(1)]
            });
            for address in asked.iter().map(|&address| few(address)).chain(edges) {
                let longest = spans.iter().rev().filter(|(span, ..)| span.contains(address));
                let expected = longest.max_by_key(|(_, len, _)| *len).map_or(0, |&(.., action)| action);
                prop_assert_eq!(access.of(IpAddr::from(address.to_be_bytes())), &actions[expected]);
            }
        }
    }
}
