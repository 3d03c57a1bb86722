//! Several lists, exceptions and test points → one row of disjoint spans with answers.

use super::Answered;
use super::resolve::Listed;
use crate::model::{Address, Span};
use crate::set::ValueId;

/// Walks the spans of all members together and calls `emit` for disjoint pieces in order, with the members that hold
/// them (index and group, in the order of the members). Nothing inside `mask` is emitted.
pub(super) fn merge<'s, A: Address, L: Listed<'s, A>>(
    members: &mut [Without<'_, A, L>],
    mask: &[Span<A>],
    mut emit: impl FnMut(Piece<'s, A>, Hits<'_, A, L>),
) {
    let mut mask = Mask { spans: mask };
    if let [only] = members {
        loop {
            let (hosts, group) = only.plain_hosts(mask.start());
            if !hosts.is_empty() {
                let members = std::slice::from_ref(only);
                emit(Piece::Hosts(hosts), Hits { members, hits: &[(0, group)] });
            }
            let Some(item) = only.next() else { return };
            let members = std::slice::from_ref(only);
            mask.cut(item.span, |span| emit(Piece::Span(span), Hits { members, hits: &[(0, item.answer)] }));
        }
    }
    let mut heads: Vec<_> = members.iter_mut().map(Iterator::next).collect();
    let mut hits = Vec::new();
    let mut at = A::ZERO;
    while let Some(first) = heads.iter().flatten().map(|head| head.span.first.max(at)).min() {
        at = first;
        hits.clear();
        let mut last = A::MAX;
        for (index, head) in heads.iter().enumerate() {
            match head {
                Some(head) if head.span.first <= at => {
                    hits.push((index as u16, head.answer));
                    last = last.min(head.span.last);
                }
                Some(head) => last = last.min(head.span.first.prev().expect("it begins after `at`")),
                None => {}
            }
        }
        mask.cut(Span { first: at, last }, |span| emit(Piece::Span(span), Hits { members, hits: &hits }));
        let Some(next) = last.next() else { return };
        at = next;
        for (head, rest) in heads.iter_mut().zip(members.iter_mut()) {
            if head.is_some_and(|head| head.span.last < at) {
                *head = rest.next();
            }
        }
    }
}

/// Addresses with one answer.
pub(super) enum Piece<'a, A> {
    /// All from the first to the last.
    Span(Span<A>),
    /// Each of these (at least one), in order.
    Hosts(&'a [A]),
}

/// The members that hold a span.
pub(super) struct Hits<'a, A, L> {
    members: &'a [Without<'a, A, L>],
    /// Index of the member and the group of its values.
    pub(super) hits: &'a [(u16, u32)],
}

impl<'s, A: Address, L: Listed<'s, A>> Hits<'_, A, L> {
    /// Each member and the values of its set that answer.
    pub(super) fn values(&self) -> impl Iterator<Item = (u16, &[ValueId])> {
        self.hits
            .iter()
            .map(|&(list, group)| (list, self.members[usize::from(list)].listed.groups().values(group)))
    }
}

/// A list's spans without what it may never list.
pub(super) struct Without<'a, A, L> {
    listed: L,
    never: Mask<'a, A>,
    rest: Option<Answered<A>>,
}

impl<'a, 's, A: Address, L: Listed<'s, A>> Without<'a, A, L> {
    pub(super) fn new(listed: L, never: &'a [Span<A>]) -> Self {
        Self { listed, never: Mask { spans: never }, rest: None }
    }

    /// See [`Listed::plain_hosts`].
    fn plain_hosts(&mut self, end: Option<A>) -> (&'s [A], u32) {
        if self.rest.is_some() {
            return (&[], 0);
        }
        self.listed.plain_hosts(end.into_iter().chain(self.never.start()).min())
    }
}

impl<A: Address, L: Iterator<Item = Answered<A>>> Iterator for Without<'_, A, L> {
    type Item = Answered<A>;

    #[inline]
    fn next(&mut self) -> Option<Answered<A>> {
        loop {
            let item = match self.rest.take() {
                Some(item) => item,
                None => self.listed.next()?,
            };
            let (part, rest) = self.never.split(item.span);
            self.rest = rest.map(|span| Answered { span, ..item });
            if let Some(span) = part {
                return Some(Answered { span, ..item });
            }
        }
    }
}

/// Spans to be taken out (sorted, disjoint) of spans that come in order: those that lie behind are dropped.
struct Mask<'a, A> {
    spans: &'a [Span<A>],
}

impl<A: Address> Mask<'_, A> {
    /// Nothing before this address is masked, unless it lies behind.
    fn start(&self) -> Option<A> {
        self.spans.first().map(|hole| hole.first)
    }

    /// The part of `span` before the first hole in it, and what is left behind that hole.
    #[inline]
    fn split(&mut self, span: Span<A>) -> (Option<Span<A>>, Option<Span<A>>) {
        while let Some(hole) = self.spans.first() {
            if hole.first > span.last {
                break;
            }
            if hole.last >= span.first {
                let before = hole.first.prev().and_then(|last| Span::new(span.first, last));
                let behind = hole.last.next().and_then(|first| Span::new(first, span.last));
                return (before, behind);
            }
            self.spans = &self.spans[1..];
        }
        (Some(span), None)
    }

    #[inline]
    fn cut(&mut self, span: Span<A>, mut emit: impl FnMut(Span<A>)) {
        let mut rest = Some(span);
        while let Some(span) = rest {
            let (part, behind) = self.split(span);
            if let Some(part) = part {
                emit(part);
            }
            rest = behind;
        }
    }
}

/// Sorted and disjoint from any order; neighbours joined.
pub(super) fn union<A: Address>(mut spans: Vec<Span<A>>) -> Vec<Span<A>> {
    spans.sort_unstable();
    let mut joined: Vec<Span<A>> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.last.next().is_none_or(|next| span.first <= next) => {
                last.last = last.last.max(span.last);
            }
            _ => joined.push(span),
        }
    }
    joined
}
