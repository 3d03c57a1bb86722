//! Several lists, exceptions and test points → one row of disjoint spans with answers.

use super::Answered;
use crate::model::{Address, Span};

/// Walks the spans of all members together. `answer` is told which members hold a span (index and the member's own
/// id there, in the order of the members) and gives the zone's answer; `emit` gets the spans in order. Nothing
/// inside `mask` (sorted, disjoint) is emitted.
pub(super) fn merge<A: Address, I: Iterator<Item = Answered<A>>>(
    members: Vec<I>,
    mask: &[Span<A>],
    mut answer: impl FnMut(&[(u16, u32)]) -> u32,
    mut emit: impl FnMut(Span<A>, u32),
) {
    let mut members: Vec<_> = members.into_iter().map(|mut spans| (spans.next(), spans)).collect();
    let mut mask = mask.iter().copied().peekable();
    let mut hits = Vec::new();
    let mut at = A::ZERO;
    loop {
        let heads = members.iter().filter_map(|(head, _)| head.as_ref());
        let Some(first) = heads.map(|head| head.span.first.max(at)).min() else { return };
        at = first;
        hits.clear();
        let mut last = A::MAX;
        for (index, (head, _)) in members.iter().enumerate() {
            match head {
                Some(head) if head.span.first <= at => {
                    hits.push((index as u16, head.answer));
                    last = last.min(head.span.last);
                }
                Some(head) => last = last.min(head.span.first.prev().expect("it begins after `at`")),
                None => {}
            }
        }
        // Asked only where something is left, so that no answer is made that no address has.
        unmasked(Span { first: at, last }, &mut mask, |span| emit(span, answer(&hits)));
        let Some(next) = last.next() else { return };
        at = next;
        for (head, rest) in &mut members {
            if head.as_ref().is_some_and(|head| head.span.last < at) {
                *head = rest.next();
            }
        }
    }
}

/// The parts of `span` outside the mask. Spans come in order, so mask spans that end before it are done with.
fn unmasked<A: Address>(
    span: Span<A>,
    mask: &mut std::iter::Peekable<impl Iterator<Item = Span<A>>>,
    mut emit: impl FnMut(Span<A>),
) {
    let mut first = span.first;
    while let Some(&hole) = mask.peek() {
        if hole.last < first {
            mask.next();
            continue;
        }
        if hole.first > span.last {
            break;
        }
        if let Some(last) = hole.first.prev().filter(|&last| last >= first && hole.first > first) {
            emit(Span { first, last });
        }
        match hole.last.next().filter(|&next| next <= span.last) {
            Some(next) => first = next,
            None => return,
        }
    }
    emit(Span { first, last: span.last });
}

/// `spans` without what lies in `mask` (both sorted and disjoint).
pub(super) fn subtract<A: Address>(
    spans: impl Iterator<Item = Answered<A>>,
    mask: &[Span<A>],
    mut emit: impl FnMut(Span<A>, u32),
) {
    let mut mask = mask.iter().copied().peekable();
    for item in spans {
        unmasked(item.span, &mut mask, |span| emit(span, item.answer));
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
