//! The names of one zone or subzone.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::known::Known;
use super::super::names::{self, Node, is_below, labels};
use super::super::{ExportError, Loss, Losses};
use super::record::{self, EXISTS, Lines};
use super::text::write_owner;
use crate::compile::{AnswerId, Answered};
use crate::model::{Address, Name, Span};
use crate::zone::{Octets, Question, Verdict, Zone};

/// `::ffff:0:0/96`: questions for it are for IPv4 addresses.
const MAPPED: Span<u128> = Span { first: 0xffff_0000_0000, last: 0xffff_ffff_ffff };

/// IPv6 prefixes of so many bits have no question for an IPv4 address below them.
const WIDEST_V6: u8 = 16;

/// Octets of a name (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;

/// A prefix of 256 addresses or fewer whose text names the address is written out.
const WRITTEN_OUT: u32 = 8;

/// A zone or subzone that is being written.
pub(super) struct Part<'a, D, W> {
    zone: &'a Zone<D>,
    /// Subzones in it, relative to it: what lies in them is theirs to say.
    subzones: Vec<Name>,
    known: Known<'a, D, Lines>,
    out: &'a mut W,
    /// The owner of the next records, and their lines.
    owner: Vec<u8>,
    lines: Vec<u8>,
}

impl<'a, D: AsRef<[u8]>, W: Write> Part<'a, D, W> {
    pub(super) fn new(zone: &'a Zone<D>, subzones: Vec<Name>, out: &'a mut W) -> Self {
        let known = Known::new(zone.snapshot(), Lines::of);
        Self { zone, subzones, known, out, owner: Vec::new(), lines: Vec::new() }
    }

    pub(super) fn write(mut self, losses: &mut Losses) -> Result<(), ExportError> {
        let nodes = names::nodes(self.zone.snapshot())?;
        let counts = self.zone.snapshot().counts();
        let holds = Holds { v4: counts.v4_addresses > 0, v6: counts.v6_spans > 0 };
        self.apex(&nodes, holds, losses)?;
        // Addresses of which a name says something, too.
        let mut both = Vec::new();
        for node in nodes.iter().filter(|node| !node.labels.is_empty()) {
            if holds.are_around(node) {
                let address = Question::read(node.labels).octets.and_then(Octets::address);
                match (node.exact, node.below, address) {
                    (None, None, _) => {}
                    (Some(_), None, Some(address)) if node.inherited.is_none() => both.push(address),
                    _ => {
                        losses.add(Loss::Mixed, 1);
                        self.left_out(node)?;
                    }
                }
                continue;
            }
            self.name(node, losses)?;
        }
        both.sort_unstable();
        self.v4(&both, losses)?;
        self.v6(losses)
    }

    /// What is said at the origin, and of all names below it.
    fn apex(&mut self, nodes: &[Node<'_>], holds: Holds, losses: &mut Losses) -> Result<(), ExportError> {
        let root = nodes.first().filter(|node| node.labels.is_empty());
        self.lines.clear();
        let zone = self.zone;
        if let Verdict::Apex(Some(hit)) | Verdict::Listed(hit) = zone.verdict(&[]) {
            let apart = record::write_hit(&hit, &mut self.lines);
            self.begin("", &[]);
            self.apart(apart, losses)?;
        }
        if self.lines.is_empty() && zone.base().is_some() {
            let minimum = zone.snapshot().zone().soa.minimum;
            self.lines = format!("\t{minimum}\t{EXISTS}\n").into_bytes();
        }
        if !self.lines.is_empty() {
            self.out.write_all(b"@")?;
            self.out.write_all(&self.lines)?;
        }
        match root.and_then(|root| root.below) {
            Some(_) if holds.any() => {
                losses.add(Loss::Mixed, 1);
                self.begin("*", &[]);
                self.owner_left_out()?;
            }
            Some(below) => {
                self.begin("*", &[]);
                self.answer(below, String::new, losses)?;
            }
            None => {}
        }
        Ok(())
    }

    fn name(&mut self, node: &Node<'_>, losses: &mut Losses) -> Result<(), ExportError> {
        if labels(node.labels).any(|label| label == b"*") {
            losses.add(Loss::Asterisks, u64::from(node.exact.is_some() || node.below.is_some()));
            return self.left_out(node);
        }
        if let Some(exact) = node.exact {
            self.begin("", node.labels);
            self.answer(exact, || record::subject_of(node.labels), losses)?;
        }
        if let Some(below) = node.below {
            self.begin("*", node.labels);
            self.answer(below, || record::subject_of(node.labels), losses)?;
        }
        if node.exact.is_none() && node.below.is_none() && node.inherited.is_some() {
            // Not listed, though the wildcard above is.
            self.begin("", node.labels);
            let minimum = self.zone.snapshot().zone().soa.minimum;
            self.lines = format!("\t{minimum}\t{EXISTS}\n").into_bytes();
            self.finish()?;
        }
        Ok(())
    }

    /// IPv4 span by span, with the addresses in `both` apart.
    fn v4(&mut self, both: &[u32], losses: &mut Losses) -> Result<(), ExportError> {
        let zone = self.zone;
        let mut from = Some(0);
        for &address in both {
            if let Some(span) = from.zip(address.prev()).and_then(|(first, last)| Span::new(first, last)) {
                self.v4_spans(span, losses)?;
            }
            self.begin_v4(address, 4);
            let owner = std::mem::take(&mut self.owner);
            self.lines.clear();
            let mut apart = 0;
            if let Verdict::Listed(hit) = zone.verdict(&owner) {
                apart = record::write_hit(&hit, &mut self.lines);
            }
            self.owner = owner;
            self.apart(apart, losses)?;
            self.finish()?;
            from = address.next();
        }
        match from {
            Some(first) => self.v4_spans(Span { first, last: u32::MAX }, losses),
            None => Ok(()),
        }
    }

    fn v4_spans(&mut self, within: Span<u32>, losses: &mut Losses) -> Result<(), ExportError> {
        let zone = self.zone;
        for item in zone.snapshot().v4_spans(within) {
            let Answered { span, answer } = item?;
            for prefix in span.prefixes() {
                let level = prefix.prefix_len().unwrap_or(32).div_ceil(8).max(1);
                let step = 1u64 << (32 - 8 * u32::from(level));
                let mut first = u64::from(prefix.first);
                while first <= u64::from(prefix.last) {
                    self.v4_piece(first as u32, level, answer, losses)?;
                    first += step;
                }
            }
        }
        Ok(())
    }

    /// A whole /8, /16, /24 or address (levels 1 to 4) with one answer.
    fn v4_piece(
        &mut self,
        first: u32,
        level: u8,
        answer: AnswerId,
        losses: &mut Losses,
    ) -> Result<(), ExportError> {
        if level == 4 {
            self.begin_v4(first, 4);
            return self.answer(answer, || Ipv4Addr::from(first).to_string(), losses);
        }
        let names_it = self.known.of(answer)?.fixed.is_none();
        // Of digits alone could be nibbles: the names of IPv6 addresses lie below.
        let octets = &first.to_be_bytes()[..usize::from(level)];
        let could_be_nibbles = octets.iter().all(|&octet| octet < 10);
        if could_be_nibbles || names_it && level == 3 {
            for octet in 0..256 {
                self.v4_piece(first | octet << (24 - 8 * u32::from(level)), level + 1, answer, losses)?;
            }
            return Ok(());
        }
        losses.add(Loss::Wildcards, u64::from(names_it));
        self.begin_v4(first, level);
        self.answer(answer, || format!("{}/{}", Ipv4Addr::from(first), 8 * level), losses)
    }

    fn begin_v4(&mut self, first: u32, level: u8) {
        self.owner.clear();
        if level < 4 {
            self.owner.extend_from_slice(b"\x01*");
        }
        for octet in first.to_be_bytes()[..usize::from(level)].iter().rev() {
            let at = self.owner.len();
            self.owner.push(0);
            let _ = write!(self.owner, "{octet}");
            self.owner[at] = (self.owner.len() - at - 1) as u8;
        }
    }

    fn v6(&mut self, losses: &mut Losses) -> Result<(), ExportError> {
        let zone = self.zone;
        let before = zone.snapshot().v6_spans(Span { first: 0, last: MAPPED.first - 1 });
        let behind = zone.snapshot().v6_spans(Span { first: MAPPED.last + 1, last: u128::MAX });
        for item in before.chain(behind) {
            let Answered { span, answer } = item?;
            for prefix in span.prefixes() {
                self.v6_prefix(prefix, answer, losses)?;
            }
        }
        Ok(())
    }

    fn v6_prefix(
        &mut self,
        prefix: Span<u128>,
        answer: AnswerId,
        losses: &mut Losses,
    ) -> Result<(), ExportError> {
        let len = prefix.prefix_len().unwrap_or(128).next_multiple_of(4).max(WIDEST_V6);
        let names_it = self.known.of(answer)?.fixed.is_none();
        let few = prefix.extent() < 1 << WRITTEN_OUT;
        let len = if names_it && few { 128 } else { len };
        let mut first = Some(prefix.first);
        while let Some(at) = first.filter(|&at| at <= prefix.last) {
            let piece = at.prefix(len);
            self.owner.clear();
            if len < 128 {
                self.owner.extend_from_slice(b"\x01*");
            }
            for nibble in (0..u32::from(len) / 4).rev() {
                let digit = (at >> (124 - 4 * nibble) & 15) as u32;
                self.owner.extend([1, char::from_digit(digit, 16).unwrap_or('0') as u8]);
            }
            losses.add(Loss::Wildcards, u64::from(names_it && len < 128));
            let text = || Ipv6Addr::from(at).to_string();
            self.answer(answer, || if len < 128 { format!("{}/{len}", text()) } else { text() }, losses)?;
            first = piece.last.next();
        }
        Ok(())
    }

    fn begin(&mut self, star: &str, name: &[u8]) {
        self.owner.clear();
        if !star.is_empty() {
            self.owner.extend_from_slice(b"\x01*");
        }
        self.owner.extend_from_slice(name);
    }

    /// The records of an answer behind the owner.
    fn answer(
        &mut self,
        id: AnswerId,
        subject: impl FnOnce() -> String,
        losses: &mut Losses,
    ) -> Result<(), ExportError> {
        let apart = self.known.of(id)?.apart;
        self.apart(apart, losses)?;
        let known = self.known.of(id)?;
        self.lines.clear();
        match &known.fixed {
            Some(fixed) => self.lines.extend_from_slice(fixed),
            None => _ = record::write(self.zone.snapshot().answer(id)?, &subject(), &mut self.lines),
        }
        self.finish()
    }

    /// Tells that so many records of the owner are left out.
    fn apart(&mut self, records: u64, losses: &mut Losses) -> Result<(), ExportError> {
        losses.add(Loss::Apart, records);
        if records == 0 { Ok(()) } else { self.owner_left_out() }
    }

    /// Tells that what is said of a name, and of those below it, is left out.
    fn left_out(&mut self, node: &Node<'_>) -> Result<(), ExportError> {
        for (star, said) in [("", node.exact), ("*", node.below)] {
            if said.is_some() {
                self.begin(star, node.labels);
                self.owner_left_out()?;
            }
        }
        Ok(())
    }

    fn owner_left_out(&mut self) -> Result<(), ExportError> {
        self.out.write_all(b"; left out: ")?;
        match &self.owner[..] {
            [] => self.out.write_all(b"@")?,
            owner => write_owner(owner, self.out)?,
        }
        Ok(self.out.write_all(b"\n")?)
    }

    /// Owner and lines, unless they lie in a subzone.
    fn finish(&mut self) -> Result<(), ExportError> {
        let is_theirs = |sub: &Name| {
            let wire = sub.as_wire();
            let sub = &wire[..wire.len() - 1];
            self.owner == sub || is_below(&self.owner, sub)
        };
        // What is too long for DNS is nobody's question.
        let is_too_long = self.owner.len() + self.zone.origin().as_wire().len() > NAME_MAX;
        if self.lines.is_empty() || is_too_long || self.subzones.iter().any(is_theirs) {
            return Ok(());
        }
        write_owner(&self.owner, self.out)?;
        self.out.write_all(&self.lines)?;
        Ok(())
    }
}

/// Which addresses a zone lists.
#[derive(Clone, Copy)]
struct Holds {
    v4: bool,
    v6: bool,
}

impl Holds {
    fn any(self) -> bool {
        self.v4 || self.v6
    }

    /// Whether a name lies where wildcards of addresses would end at it, or where its own would have to go round
    /// addresses.
    fn are_around(self, node: &Node<'_>) -> bool {
        let mut right: Vec<&[u8]> = labels(node.labels).collect();
        right.reverse();
        let read = |label: &[u8]| Question::read(&[&[label.len() as u8], label].concat());
        let octets = right.iter().take_while(|label| read(label).octets.is_some()).count();
        let nibbles = right.iter().take_while(|label| read(label).nibbles.is_some()).count();
        let among = |is_held: bool, count: usize, many: usize| {
            is_held && (count >= many || count == right.len() && node.below.is_some())
        };
        among(self.v4, octets, 2) || among(self.v6, nibbles, usize::from(WIDEST_V6 / 4))
    }
}
