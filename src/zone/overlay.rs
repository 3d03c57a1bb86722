//! Local decisions in a zone: what is let through whatever lists say, and what is listed without any.
//!
//! [`Overlay`] is built once from all decisions in force and never changed. Prefixes are laid flat, so that an address costs
//! one binary search; a name costs one look into a table for each depth at which there are decisions. The longest prefix or
//! name decides, and of two decisions about the same the later one. Read [`Overlay::new`] first, then [`Overlay::rule`].
//!
//! Never: files, the clock (whoever builds it leaves out what is over), which zone is meant.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use foldhash::HashMap;

use super::inner_v4;
use super::question::{MAPPED, Nibbles, Question};
use super::records::{Matched, Said};
use crate::model::{Address, Name, OVERLAY_CODE, RrData, RrSet, Rtype, Span, Subject, Template, Ttl};

/// What local decisions go by where lists are named.
pub const OVERLAY_NAME: &str = "overlay";

/// The TTL of what a block answers: short, since it may be taken back.
const TTL: Ttl = 60;

/// Addresses that hold the test points (RFC 5782 section 5) and no client: no decision touches them.
const TEST_ADDRESSES: Span<u32> = Span { first: 0x7f00_0000, last: 0x7fff_ffff };

/// The test points of name lists, in wire form without the final zero octet.
const TEST_NAMES: [&[u8]; 2] = [b"\x04test", b"\x07invalid"];

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// Not listed, whatever lists say.
    Allow,
    /// Listed, whatever lists say.
    Block,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// About what: addresses, or a name with everything below it.
    pub subject: Subject,
    /// What was decided.
    pub ruling: Ruling,
    /// Why, if anybody said so.
    pub reason: Option<String>,
}

/// The decisions that are in force in a zone.
#[derive(Debug, Default)]
pub struct Overlay {
    v4: Flat<u32>,
    v6: Flat<u128>,
    /// By labels in wire form without the final zero octet: decisions, and whatever is above blocks.
    names: HashMap<Box<[u8]>, Node>,
    /// Bit `n`: there is a decision about a name with `n` labels.
    depths: u128,
    /// What blocks answer.
    blocks: Vec<Box<[RrSet]>>,
}

/// What is said of a question by the decision about it.
pub(super) enum Ruled<'a> {
    Allow,
    Block(Said<'a>),
}

/// The decision about an address or a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Allow,
    /// With the answer at this place.
    Block(u32),
}

/// A name, or what is above one.
#[derive(Debug, Default)]
struct Node {
    says: Option<Says>,
    is_above_a_block: bool,
}

/// Decisions about addresses: spans that do not overlap, in order.
#[derive(Debug)]
struct Flat<A> {
    pieces: Box<[(Span<A>, Says)]>,
    /// Those of them that are blocked.
    blocked: Box<[Span<A>]>,
}

impl<A> Default for Flat<A> {
    fn default() -> Self {
        Self { pieces: Box::default(), blocked: Box::default() }
    }
}

impl Overlay {
    /// Of decisions in the order in which they were made.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut overlay = Self::default();
        let (mut v4, mut v6) = (Prefixes::default(), Prefixes::default());
        for entry in entries {
            let says = match entry.ruling {
                Ruling::Allow => Says::Allow,
                Ruling::Block => {
                    overlay.blocks.push(answer(entry.reason.as_deref()));
                    Says::Block(overlay.blocks.len() as u32 - 1)
                }
            };
            match entry.subject.clone().unmapped() {
                Subject::V4(span) => v4.put(span, says),
                Subject::V6(span) => v6.put(span, says),
                Subject::Name(name) => overlay.put_name(&name, says),
            }
        }
        overlay.mark_above_blocks();
        overlay.v4 = Flat::of(v4.flat().into_iter().flat_map(|(span, says)| {
            off_test_points(span).into_iter().flatten().map(move |span| (span, says))
        }));
        overlay.v6 = Flat::of(v6.flat());
        overlay
    }

    /// No decision is in force.
    pub fn is_empty(&self) -> bool {
        self.v4.pieces.is_empty() && self.v6.pieces.is_empty() && self.names.is_empty()
    }

    /// What was decided of the IPv4 addresses in `span`: spans in order, without those of which nothing was.
    pub fn v4_rulings(&self, span: Span<u32>) -> impl Iterator<Item = (Span<u32>, Ruling)> {
        self.v4.rulings(span)
    }

    /// The same for IPv6.
    pub fn v6_rulings(&self, span: Span<u128>) -> impl Iterator<Item = (Span<u128>, Ruling)> {
        self.v6.rulings(span)
    }

    /// The decision about what `labels` ask for, which `question` was read from. An IPv6 address of which none is known
    /// may be that of an IPv4 address (`six_to_four`). Addresses are decided on as addresses, never as names.
    pub(super) fn rule<'a>(
        &'a self,
        labels: &'a [u8],
        question: &Question,
        six_to_four: impl FnOnce(u128) -> Option<u32>,
    ) -> Option<Ruled<'a>> {
        if let Some(v4) = question.v4() {
            return self.rule_v4(v4);
        }
        let Some(v6) = question.nibbles.and_then(Nibbles::address) else { return self.rule_name(labels) };
        match self.v6.find(v6) {
            Some(says) => Some(self.ruled(says, Matched::V6(v6))),
            None => self.rule_v4(six_to_four(v6)?),
        }
    }

    /// Whether something is blocked below the part of an address or the name that `labels` ask for.
    pub(super) fn blocks_below(
        &self,
        labels: &[u8],
        question: &Question,
        six_to_four: Option<Span<u128>>,
    ) -> bool {
        if let Some(octets) = question.octets
            && let (value, len @ ..32) = octets.prefix()
            && self.v4.blocks(value.prefix(len))
        {
            return true;
        }
        if let Some(nibbles) = question.nibbles
            && let (value, len @ ..128) = nibbles.prefix()
            && self.blocks_v6(value.prefix(len), six_to_four)
        {
            return true;
        }
        self.names.get(labels).is_some_and(|node| node.is_above_a_block)
    }

    /// IPv4 addresses have names among those of IPv6, too.
    fn blocks_v6(&self, span: Span<u128>, six_to_four: Option<Span<u128>>) -> bool {
        let within = |other: Span<u128>| Span::new(span.first.max(other.first), span.last.min(other.last));
        let v4 = |span: Option<Span<u128>>, inner: fn(u128) -> u32| {
            span.is_some_and(|span| self.v4.blocks(Span { first: inner(span.first), last: inner(span.last) }))
        };
        self.v6.blocks(span)
            || v4(within(MAPPED), |v6| v6 as u32)
            || v4(six_to_four.and_then(within), inner_v4)
    }

    fn rule_v4(&self, v4: u32) -> Option<Ruled<'_>> {
        self.v4.find(v4).map(|says| self.ruled(says, Matched::V4(v4)))
    }

    /// The longest name decides.
    fn rule_name<'a>(&'a self, labels: &'a [u8]) -> Option<Ruled<'a>> {
        if self.depths == 0 || TEST_NAMES.contains(&labels) {
            return None;
        }
        let mut depth = count(labels);
        let mut rest = labels;
        while let Some(&len) = rest.first() {
            if self.depths >> depth & 1 == 1
                && let Some(Node { says: Some(says), .. }) = self.names.get(rest)
            {
                return Some(self.ruled(*says, Matched::Name(rest)));
            }
            rest = rest.get(1 + usize::from(len)..)?;
            depth -= 1;
        }
        None
    }

    fn ruled<'a>(&'a self, says: Says, matched: Matched<'a>) -> Ruled<'a> {
        match says {
            Says::Allow => Ruled::Allow,
            Says::Block(at) => Ruled::Block(Said::rebuilt(&self.blocks[at as usize], matched)),
        }
    }

    fn put_name(&mut self, name: &Name, says: Says) {
        let labels = without_root(name);
        self.depths |= 1 << count(labels);
        self.names.entry(labels.into()).or_default().says = Some(says);
    }

    fn mark_above_blocks(&mut self) {
        let is_block = |node: &Node| matches!(node.says, Some(Says::Block(_)));
        let blocked: Vec<Box<[u8]>> =
            self.names.iter().filter(|(_, node)| is_block(node)).map(|(labels, _)| labels.clone()).collect();
        for labels in blocked {
            let mut rest = &labels[..];
            while let Some(above) = rest.first().and_then(|&len| rest.get(1 + usize::from(len)..)) {
                rest = above;
                if !rest.is_empty() {
                    self.names.entry(rest.into()).or_default().is_above_a_block = true;
                }
            }
        }
    }
}

impl<A: Address> Flat<A> {
    fn of(pieces: impl IntoIterator<Item = (Span<A>, Says)>) -> Self {
        let pieces: Box<[(Span<A>, Says)]> = pieces.into_iter().collect();
        let is_block = |says: &Says| matches!(says, Says::Block(_));
        let blocked = pieces.iter().filter(|(_, says)| is_block(says)).map(|(span, _)| *span).collect();
        Self { pieces, blocked }
    }

    fn find(&self, address: A) -> Option<Says> {
        let behind = self.pieces.partition_point(|(span, _)| span.first <= address);
        let (span, says) = self.pieces.get(behind.checked_sub(1)?)?;
        span.contains(address).then_some(*says)
    }

    /// Whether some of `span` is blocked.
    fn blocks(&self, span: Span<A>) -> bool {
        let at = self.blocked.partition_point(|blocked| blocked.last < span.first);
        self.blocked.get(at).is_some_and(|blocked| blocked.overlaps(&span))
    }

    fn rulings(&self, span: Span<A>) -> impl Iterator<Item = (Span<A>, Ruling)> {
        let from = self.pieces.partition_point(|(piece, _)| piece.last < span.first);
        let pieces = self.pieces[from..].iter().take_while(move |(piece, _)| piece.first <= span.last);
        pieces.map(move |(piece, says)| {
            let inside = Span { first: piece.first.max(span.first), last: piece.last.min(span.last) };
            let ruling = if *says == Says::Allow { Ruling::Allow } else { Ruling::Block };
            (inside, ruling)
        })
    }
}

/// Decisions about prefixes, those that hold others before them.
struct Prefixes<A>(BTreeMap<(A, Reverse<A>), Says>);

impl<A: Ord> Default for Prefixes<A> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<A: Address> Prefixes<A> {
    fn put(&mut self, span: Span<A>, says: Says) {
        for Span { first, last } in span.prefixes() {
            self.0.insert((first, Reverse(last)), says);
        }
    }

    /// Lays them flat: prefixes hold one another or lie apart.
    fn flat(self) -> Vec<(Span<A>, Says)> {
        let mut pieces = Vec::with_capacity(self.0.len());
        // From which address on nothing has been laid yet; none is left behind the last one.
        let mut from = Some(A::ZERO);
        // Those that hold the address at which we are, the narrowest last.
        let mut open: Vec<(A, Says)> = Vec::new();
        let mut lay = |from: &mut Option<A>, to: A, says: Says| {
            if let Some(span) = from.and_then(|first| Span::new(first, to)) {
                pieces.push((span, says));
                *from = to.next();
            }
        };
        for ((first, Reverse(last)), says) in self.0 {
            while let Some((end, inner)) = open.pop_if(|(end, _)| *end < first) {
                lay(&mut from, end, inner);
            }
            if let (Some((_, outer)), Some(before)) = (open.last(), first.prev()) {
                lay(&mut from, before, *outer);
            }
            from = Some(first);
            open.push((last, says));
        }
        while let Some((end, inner)) = open.pop() {
            lay(&mut from, end, inner);
        }
        pieces
    }
}

/// What lies before and behind the test points.
fn off_test_points(span: Span<u32>) -> [Option<Span<u32>>; 2] {
    let Span { first, last } = TEST_ADDRESSES;
    [Span::new(span.first, span.last.min(first - 1)), Span::new(span.first.max(last + 1), span.last)]
}

/// What a block answers.
fn answer(reason: Option<&str>) -> Box<[RrSet]> {
    let mut text = Template::default();
    text.push_subject();
    text.push(b" is blocked by a local decision");
    if let Some(reason) = reason {
        text.push(b": ");
        text.push(reason.as_bytes());
    }
    let a = RrData::Wire(vec![OVERLAY_CODE.octets().to_vec()]);
    let txt = RrData::Texts(vec![text.printable()]);
    [(Rtype::A, a), (Rtype::TXT, txt)].map(|(rtype, data)| RrSet { rtype, ttl: TTL, data }).into()
}

fn without_root(name: &Name) -> &[u8] {
    let wire = name.as_wire();
    &wire[..wire.len() - 1]
}

/// The number of labels.
fn count(labels: &[u8]) -> usize {
    let mut rest = labels;
    let mut count = 0;
    while let Some((&len, behind)) = rest.split_first() {
        rest = behind.get(usize::from(len)..).unwrap_or_default();
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests;
