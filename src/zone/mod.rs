//! What a zone says about one question, without any DNS library type.
//!
//! [`Zone`] puts a snapshot, its serial and the lists that are past their age together; [`Zone::verdict`] takes the
//! labels below the origin and gives a [`Verdict`], whose [`content`](Verdict::content) for a record type is what
//! both encoders put on the wire. Read [`Zone`] first, then [`Verdict`].
//!
//! Local decisions ([`Overlay`]) come before what the lists say.
//!
//! Never: packets, sockets, the clock (somebody else says which lists and decisions have expired), special cases for test
//! points (the compiler settles them; local decisions keep off them), allocation per question.

mod access;
mod authority;
mod mask;
mod overlay;
mod question;
mod records;
mod verdict;

use std::net::IpAddr;
use std::sync::Arc;

pub use access::{Access, Action};
pub use authority::{Authority, InZoneName, Stencil};
pub use overlay::{Entry, OVERLAY_NAME, Overlay, Ruling};
use question::MAPPED;
pub use question::{Nibbles, Octets, Question};
pub use records::{Datum, Matched, Records, Said, SetRef, TextBuf};
pub use verdict::{Content, Hit, Trouble, Verdict};

use crate::compile::{AnswerId, Part};
use crate::model::{Address, Name, RrSet, Span};
use crate::snapshot::{Damaged, Snapshot};
use mask::Mask;
use overlay::Ruled;

/// The addresses of 6to4 (RFC 3056), `2002:V4::/48` for each V4.
const SIX_TO_FOUR: Span<u128> = Span { first: 0x2002 << 112, last: (0x2003 << 112) - 1 };

/// The IPv4 address in a 6to4 address.
fn inner_v4(v6: u128) -> u32 {
    (v6 >> 80) as u32
}

/// What a name means to a kind of list.
enum Asked {
    /// Something that can be an entry.
    Subject,
    /// The beginning of such things.
    Above,
    /// Neither.
    Nothing,
}

/// A zone in service. `D` is where the octets of its snapshot are: a mapped file, or anything else in tests.
///
/// Cheap to clone; the snapshot is shared.
#[derive(Debug)]
pub struct Zone<D> {
    snapshot: Arc<Snapshot<D>>,
    authority: Arc<Authority>,
    mask: Arc<Mask>,
    /// Local decisions; `None` where there are none, which is all that a question then pays for.
    overlay: Option<Arc<Overlay>>,
    /// IPv4 entries answer for 6to4 addresses as well: all lists that can list say so.
    six_to_four: bool,
}

impl<D> Clone for Zone<D> {
    fn clone(&self) -> Self {
        Self {
            snapshot: Arc::clone(&self.snapshot),
            authority: Arc::clone(&self.authority),
            mask: Arc::clone(&self.mask),
            overlay: self.overlay.clone(),
            six_to_four: self.six_to_four,
        }
    }
}

impl<D: AsRef<[u8]>> Zone<D> {
    /// Puts `snapshot` in service under `serial`, with no list expired.
    pub fn new(snapshot: Arc<Snapshot<D>>, serial: u32) -> Self {
        let authority = Arc::new(Authority::new(snapshot.zone(), serial));
        let mut lists = snapshot.lists().iter().filter(|list| !list.except).peekable();
        let six_to_four = lists.peek().is_some() && lists.all(|list| list.six_to_four);
        Self { snapshot, authority, mask: Arc::new(Mask::default()), overlay: None, six_to_four }
    }

    /// The same zone without what expired lists say. `expired` tells by name which lists are past their hard age;
    /// it is asked about lists that can list only: allow lists and excepts never expire.
    pub fn masked(&self, expired: impl Fn(&str) -> bool) -> Result<Self, Damaged> {
        let mask = Arc::new(Mask::build(&self.snapshot, expired)?);
        Ok(Self { mask, ..self.clone() })
    }

    /// The same zone under these local decisions and no others. A zone of allow lists stays without: nobody is taken out of
    /// the good senders, and above all nobody is put among them by a block.
    #[must_use]
    pub fn overlaid(&self, overlay: &Arc<Overlay>) -> Self {
        let concerns = !overlay.is_empty() && !self.is_of_allow_lists();
        Self { overlay: concerns.then(|| Arc::clone(overlay)), ..self.clone() }
    }

    /// The local decisions that it answers under; `None` when there are none.
    pub fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_deref()
    }

    /// All of its lists are allow lists: to be in it is no listing.
    pub fn is_of_allow_lists(&self) -> bool {
        let mut members = self.snapshot.lists().iter().filter(|list| !list.except).peekable();
        members.peek().is_some() && members.all(|list| !list.use_.can_list())
    }

    /// The origin.
    pub fn origin(&self) -> &Name {
        &self.snapshot.zone().origin
    }

    /// Of a subzone: the zone that it is a part of, which the start of authority and the name servers belong to.
    pub fn base(&self) -> Option<&Name> {
        self.snapshot.zone().base.as_ref()
    }

    /// The compiled content.
    pub fn snapshot(&self) -> &Arc<Snapshot<D>> {
        &self.snapshot
    }

    /// Start of authority and name servers, ready for an encoder.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Nothing is left that could list: all of its lists are too old.
    pub fn is_silent(&self) -> bool {
        self.mask.nothing_left()
    }

    /// Names of the lists whose answers are left out because they are too old.
    pub fn expired(&self) -> &[String] {
        self.mask.expired()
    }

    /// What the zone says of the name `labels` below its origin: lower-case wire form without the final zero octet
    /// (empty = the origin). Addresses and names are both tried; what they say adds up.
    pub fn verdict<'a>(&'a self, labels: &'a [u8]) -> Verdict<'a> {
        let question = Question::read(labels);
        self.verdict_found(labels, &question, self.find(&question))
    }

    /// The same for labels that have been read, whose [IPv4 address](Question::v4) has been looked up in the snapshot,
    /// perhaps together with others.
    pub fn verdict_found<'a>(
        &'a self,
        labels: &'a [u8],
        question: &Question,
        found: Result<Option<AnswerId>, Damaged>,
    ) -> Verdict<'a> {
        match &self.overlay {
            None => self.verdict_of_lists(labels, question, found),
            Some(overlay) => {
                let of_lists = self.verdict_of_lists(labels, question, found);
                self.verdict_under(overlay, of_lists, labels, question)
            }
        }
    }

    fn verdict_of_lists<'a>(
        &'a self,
        labels: &'a [u8],
        question: &Question,
        found: Result<Option<AnswerId>, Damaged>,
    ) -> Verdict<'a> {
        if self.mask.nothing_left() {
            return Verdict::Unavailable(Trouble::Expired);
        }
        let verdict = found.and_then(|found| self.look_up(labels, question, found));
        verdict.unwrap_or_else(|damage| Verdict::Unavailable(Trouble::Damaged(damage)))
    }

    /// What local decisions make of what the lists say. A block does not need lists to be true, so it is answered where they are
    /// all too old; whatever else is asked there stays without an answer, as does what is allowed.
    #[cold]
    fn verdict_under<'a>(
        &self,
        overlay: &'a Overlay,
        of_lists: Verdict<'a>,
        labels: &'a [u8],
        question: &Question,
    ) -> Verdict<'a> {
        match (overlay.rule(labels, question, |v6| self.six_to_four(v6)), of_lists) {
            (Some(Ruled::Block(said)), Verdict::Listed(hit)) => Verdict::Listed(hit.and_local(said)),
            (Some(Ruled::Block(said)), _) => Verdict::Listed(Hit::local(said)),
            (Some(Ruled::Allow), Verdict::Listed(_)) if self.is_above_blocks(overlay, labels, question) => {
                Verdict::EmptyNonTerminal
            }
            (Some(Ruled::Allow), Verdict::Listed(_)) => Verdict::NotListed,
            (_, Verdict::NotListed | Verdict::Unavailable(_))
                if self.is_above_blocks(overlay, labels, question) =>
            {
                Verdict::EmptyNonTerminal
            }
            (_, of_lists) => of_lists,
        }
    }

    /// Whether something is blocked below a name.
    fn is_above_blocks(&self, overlay: &Overlay, labels: &[u8], question: &Question) -> bool {
        !labels.is_empty() && overlay.blocks_below(labels, question, self.six_to_four.then_some(SIX_TO_FOUR))
    }

    /// What the snapshot has of the IPv4 address that a question spells, if it spells one.
    pub fn find(&self, question: &Question) -> Result<Option<AnswerId>, Damaged> {
        question.v4().map_or(Ok(None), |v4| self.snapshot.v4(v4))
    }

    /// The lists behind what is said of the name `labels` below the origin, each once, as
    /// [`lists_of`](Self::lists_of) names them; a local decision that lists it goes by [`OVERLAY_NAME`].
    pub fn behind(&self, labels: &[u8]) -> Result<Vec<Option<&str>>, Damaged> {
        let question = Question::read(labels);
        let ruled = self
            .overlay
            .as_ref()
            .and_then(|overlay| overlay.rule(labels, &question, |v6| self.six_to_four(v6)));
        let of_lists = || self.lists_behind(labels, &question);
        match ruled {
            None => of_lists(),
            Some(Ruled::Allow) => Ok(Vec::new()),
            Some(Ruled::Block(_)) if self.mask.nothing_left() => Ok(vec![Some(OVERLAY_NAME)]),
            Some(Ruled::Block(_)) => {
                let mut lists = of_lists()?;
                lists.push(Some(OVERLAY_NAME));
                Ok(lists)
            }
        }
    }

    fn lists_behind(&self, labels: &[u8], question: &Question) -> Result<Vec<Option<&str>>, Damaged> {
        let (by_address, _) = self.address(question, self.find(question)?)?;
        let by_name = if self.snapshot.has_names() { self.snapshot.name(labels)?.answer } else { None };
        let mut lists = Vec::new();
        for id in by_address.into_iter().chain(by_name) {
            for list in self.lists_of(self.snapshot.answer(id)?.parts()) {
                if !lists.contains(&list) {
                    lists.push(list);
                }
            }
        }
        Ok(lists)
    }

    /// The names of the lists of these parts, without those that are too old; `None`: the zone itself, of a test point.
    pub fn lists_of(&self, parts: impl Iterator<Item = Part>) -> impl Iterator<Item = Option<&str>> {
        let name = |part: Part| Some(self.snapshot.lists().get(usize::from(part.list))?.name.as_str());
        let is_too_old = |list: &str| self.expired().iter().any(|expired| expired == list);
        parts.map(name).filter(move |list| !list.is_some_and(is_too_old))
    }

    /// The [`verdict`](Self::verdict) for a client whom a list answers: `listed` are the records that it is told of whatever could be listed;
    /// without any nothing is listed.
    pub fn verdict_for<'a>(
        &'a self,
        labels: &'a [u8],
        client: IpAddr,
        listed: Option<&'a [RrSet]>,
    ) -> Verdict<'a> {
        if self.mask.nothing_left() {
            return Verdict::Unavailable(Trouble::Expired);
        }
        if labels.is_empty() {
            return if self.base().is_some() { Verdict::EmptyNonTerminal } else { Verdict::Apex(None) };
        }
        let Some(sets) = listed else {
            return Verdict::NotListed;
        };
        match self.could_list(labels) {
            Err(damage) => Verdict::Unavailable(Trouble::Damaged(damage)),
            Ok(Asked::Subject) => match Hit::new(Some(Said::rebuilt(sets, Matched::client(client))), None) {
                Some(hit) => Verdict::Listed(hit),
                None => Verdict::NotListed,
            },
            Ok(Asked::Above) => Verdict::EmptyNonTerminal,
            Ok(Asked::Nothing) => Verdict::NotListed,
        }
    }

    /// Whether a name is one that lists like those of this zone could hold: for a client that is told all of them are
    /// listed. Lists without an entry say nothing of what they could hold.
    fn could_list(&self, labels: &[u8]) -> Result<Asked, Damaged> {
        if self.snapshot.has_names() {
            return Ok(Asked::Subject);
        }
        let question = Question::read(labels);
        let v4 = self.snapshot.v4_any(&[])?;
        let v6 = self.snapshot.v6_any(0.prefix(0))?;
        if let (Some(octets), true) = (question.octets, v4) {
            return Ok(if octets.address().is_some() { Asked::Subject } else { Asked::Above });
        }
        let Some(nibbles) = question.nibbles else { return Ok(Asked::Nothing) };
        let (first, len) = nibbles.prefix();
        let inside = first.prefix(len);
        // IPv4 addresses have names among those of IPv6, too.
        let v4 = v4 && (inside.overlaps(&MAPPED) || self.six_to_four && inside.overlaps(&SIX_TO_FOUR));
        Ok(match nibbles.address() {
            _ if !v6 && !v4 => Asked::Nothing,
            Some(_) => Asked::Subject,
            None => Asked::Above,
        })
    }

    fn look_up<'a>(
        &'a self,
        labels: &'a [u8],
        question: &Question,
        found: Option<AnswerId>,
    ) -> Result<Verdict<'a>, Damaged> {
        let (address, matched) = self.address(question, found)?;
        let name = match self.snapshot.has_names() {
            true => Some(self.snapshot.name(labels)?),
            false => None,
        };
        let by_address = self.said(address, matched)?;
        let by_name = match name {
            Some(found) => {
                self.said(found.answer, Matched::Name(labels.get(found.listed_at..).unwrap_or_default()))?
            }
            None => None,
        };
        let hit = Hit::new(by_address, by_name);
        // A subzone has no start of authority of its own: to DNS its origin is a name within the zone.
        let is_subzone = self.base().is_some();
        if labels.is_empty() && !is_subzone {
            return Ok(Verdict::Apex(hit));
        }
        if let Some(hit) = hit {
            return Ok(Verdict::Listed(hit));
        }
        if labels.is_empty() || name.is_some_and(|found| found.exists) || self.exists_below(question)? {
            return Ok(Verdict::EmptyNonTerminal);
        }
        Ok(Verdict::NotListed)
    }

    /// The answer for the whole address that a question spells, if it spells one; `found` is its IPv4 address's.
    fn address(
        &self,
        question: &Question,
        found: Option<AnswerId>,
    ) -> Result<(Option<AnswerId>, Matched<'static>), Damaged> {
        if let Some(v4) = question.v4() {
            return Ok((found, Matched::V4(v4)));
        }
        match question.nibbles.and_then(Nibbles::address) {
            Some(v6) => match (self.snapshot.v6(v6)?, self.six_to_four(v6)) {
                (None, Some(v4)) => Ok((self.snapshot.v4(v4)?, Matched::V4(v4))),
                (found, _) => Ok((found, Matched::V6(v6))),
            },
            None => Ok((None, Matched::V4(0))),
        }
    }

    /// The IPv4 address that a 6to4 address is looked up as when no IPv6 entry holds it.
    pub fn six_to_four(&self, v6: u128) -> Option<u32> {
        (self.six_to_four && SIX_TO_FOUR.contains(v6)).then(|| inner_v4(v6))
    }

    /// The answer `id` as far as its lists have not expired.
    fn said<'a>(&'a self, id: Option<AnswerId>, matched: Matched<'a>) -> Result<Option<Said<'a>>, Damaged> {
        let Some(id) = id else {
            return Ok(None);
        };
        Ok(match self.mask.rebuilt(id) {
            None => Some(Said::stored(self.snapshot.answer(id)?, matched)),
            Some(rebuilt) => rebuilt.map(|sets| Said::rebuilt(sets, matched)),
        })
    }

    /// Whether anything is listed below the part of an address that a question spells (RFC 8020). Expired lists
    /// count as well: NODATA where NXDOMAIN would do costs nothing.
    fn exists_below(&self, question: &Question) -> Result<bool, Damaged> {
        if let Some(octets) = question.octets.filter(|octets| octets.address().is_none())
            && octets.with_leading(|leading| self.snapshot.v4_any(leading))?
        {
            return Ok(true);
        }
        match question.nibbles {
            Some(nibbles) if nibbles.address().is_none() => {
                let (value, len) = nibbles.prefix();
                self.exists_below_v6(value.prefix(len), len)
            }
            _ => Ok(false),
        }
    }

    fn exists_below_v6(&self, span: Span<u128>, len: u8) -> Result<bool, Damaged> {
        if self.six_to_four && span.overlaps(&SIX_TO_FOUR) {
            let v4 = inner_v4(span.first).prefix(len.saturating_sub(16).min(32));
            let any = if len <= 16 { self.snapshot.v4_any(&[])? } else { self.any_v4(v4)? };
            return Ok(any || self.snapshot.v6_any(span)?);
        }
        if !span.overlaps(&MAPPED) {
            return self.snapshot.v6_any(span);
        }
        if len <= 96 {
            return Ok(self.snapshot.v4_any(&[])? || self.snapshot.v6_any(span)?);
        }
        self.any_v4((span.first as u32).prefix(len - 96))
    }

    fn any_v4(&self, span: Span<u32>) -> Result<bool, Damaged> {
        match self.snapshot.v4_spans(span).next() {
            None => Ok(false),
            Some(found) => found.map(|_| true),
        }
    }
}
