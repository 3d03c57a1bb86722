//! Looks a subject up in every zone, and puts together what was found.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::overlay::Shown;
use super::super::records::{self, Records};
use super::super::view::{View, ZoneView};
use super::history::InHistory;
use super::lists::{InList, in_lists};
use crate::compile::{Answered, Part};
use crate::error::ExitStatus;
use crate::model::{Address, Name, OVERLAY_CODE, Span, Subject, Use};
use crate::snapshot::{Damaged, Mapped};
use crate::zone::{OVERLAY_NAME, Ruling, Verdict, Zone};

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// What was looked up.
    pub(crate) subject: String,
    /// Some zone lists it (or something in it).
    pub(crate) listed: bool,
    /// Zones that may list it but have no data.
    pub(crate) unknown: Vec<Unknown>,
    /// Zones that were asked.
    pub(crate) asked: usize,
    /// What zones say that list it.
    pub(crate) zones: Vec<InZone>,
    /// Local decisions about it, or about something in it, narrowest first.
    pub(crate) decisions: Vec<Shown>,
    /// Lists that have it, whether or not a zone says so.
    pub(crate) lists: Vec<InList>,
    /// Lists whose entries cannot be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unreadable: Vec<String>,
    /// When it came into lists and went, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<Vec<InHistory>>,
}

/// A zone that cannot tell.
#[derive(Debug, Serialize)]
pub(crate) struct Unknown {
    pub(crate) zone: Name,
    pub(crate) why: String,
}

/// What a zone says.
#[derive(Debug, Serialize)]
pub(crate) struct InZone {
    pub(crate) zone: Name,
    /// It is a zone of good senders: to be in it is no listing.
    pub(crate) allow: bool,
    /// Names of the lists behind the answer.
    pub(crate) lists: Vec<String>,
    /// The answer to a question for the subject.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) records: Vec<Records>,
    /// Of a prefix: what is listed in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inside: Option<Inside>,
}

/// What a zone lists in a prefix.
#[derive(Debug, Serialize)]
pub(crate) struct Inside {
    /// Addresses.
    pub(crate) addresses: u128,
    /// Spans of addresses with one answer.
    pub(crate) spans: u64,
    /// Addresses of each list.
    pub(crate) by_list: BTreeMap<String, u128>,
    /// The first spans.
    pub(crate) shown: Vec<ShownSpan>,
}

/// A listed span.
#[derive(Debug, Serialize)]
pub(crate) struct ShownSpan {
    pub(crate) span: String,
    pub(crate) lists: Vec<String>,
    pub(crate) values: String,
}

impl Found {
    /// Listed, not listed, or who knows.
    pub(crate) fn status(&self) -> ExitStatus {
        match (self.listed, self.unknown.is_empty() && self.asked > 0) {
            (true, _) => ExitStatus::Found,
            (false, true) => ExitStatus::Ok,
            (false, false) => ExitStatus::CannotTell,
        }
    }
}

/// Looks `subject` up; of a prefix `most` spans and entries are shown of each zone and list.
pub(crate) fn find(view: &View, subject: &Subject, most: usize) -> Found {
    let mut found = Found {
        subject: subject.to_string(),
        listed: false,
        unknown: Vec::new(),
        asked: view.zones.len(),
        zones: Vec::new(),
        decisions: decisions(view, subject),
        lists: Vec::new(),
        unreadable: Vec::new(),
        history: None,
    };
    for zone in &view.zones {
        let says = zone.answering_blocks().map(|answering| in_zone(view, zone, answering, subject, most));
        match says.unwrap_or(Ok(None)) {
            Ok(None) => {
                let unknown = |why| Unknown { zone: zone.origin().clone(), why };
                found.unknown.extend(zone.trouble().map(unknown));
            }
            Ok(Some(says)) => {
                found.listed |= !says.allow;
                found.zones.push(says);
            }
            Err(damage) => {
                found.unknown.push(Unknown { zone: zone.origin().clone(), why: damage.to_string() });
            }
        }
    }
    found.lists = in_lists(view, subject, most, &mut found.unreadable);
    found
}

fn decisions(view: &View, subject: &Subject) -> Vec<Shown> {
    let concerns = |what: &Subject| what.covers(subject) || subject.covers(what);
    let standing = view.decisions.standing(view.now.clocks.wall);
    let mut found: Vec<Shown> =
        standing.filter(|decision| concerns(&decision.what)).cloned().map(Shown).collect();
    found.sort_by_key(|Shown(decision)| match &decision.what {
        Subject::V4(span) => span.extent(),
        Subject::V6(span) => span.extent(),
        Subject::Name(name) => u128::MAX - name.labels().count() as u128,
    });
    found
}

fn in_zone(
    view: &View,
    zone: &ZoneView,
    answering: &Zone<Mapped>,
    subject: &Subject,
    most: usize,
) -> Result<Option<InZone>, Damaged> {
    let allow = zone
        .config
        .members
        .iter()
        .all(|member| view.list(member.list.as_str()).is_some_and(|list| list.config.use_ == Use::Allow));
    let origin = zone.origin().clone();
    let snapshot = answering.snapshot();
    let inside = match subject {
        Subject::V4(span) if span.first != span.last => {
            let rulings = answering.overlay().into_iter().flat_map(|overlay| overlay.v4_rulings(*span));
            Some(inside(answering, snapshot.v4_spans(*span), rulings.collect(), most)?)
        }
        Subject::V6(span) if span.first != span.last => {
            let rulings = answering.overlay().into_iter().flat_map(|overlay| overlay.v6_rulings(*span));
            Some(inside(answering, snapshot.v6_spans(*span), rulings.collect(), most)?)
        }
        _ => None,
    };
    if let Some(inside) = inside {
        let lists = inside.by_list.keys().cloned().collect();
        let some = inside.spans > 0;
        return Ok(some.then(|| InZone {
            zone: origin,
            allow,
            lists,
            records: Vec::new(),
            inside: Some(inside),
        }));
    }
    let labels = labels(subject);
    let hit = match answering.verdict(&labels) {
        Verdict::Listed(hit) | Verdict::Apex(Some(hit)) => hit,
        Verdict::Unavailable(crate::zone::Trouble::Damaged(damage)) => return Err(damage),
        _ => return Ok(None),
    };
    let lists = answering.behind(&labels)?.into_iter().map(list_name).collect();
    Ok(Some(InZone { zone: origin, allow, lists, records: records::of_hit(&hit), inside: None }))
}

/// The names of the lists behind an answer, each once, without those that are too old.
fn names(zone: &Zone<Mapped>, parts: impl Iterator<Item = Part>) -> Vec<String> {
    let mut names: Vec<String> = zone.lists_of(parts).map(list_name).collect();
    // A list's values stand side by side.
    names.dedup();
    names
}

fn list_name(list: Option<&str>) -> String {
    list.unwrap_or("test point").to_owned()
}

fn inside<A: Address>(
    zone: &Zone<Mapped>,
    spans: impl Iterator<Item = Result<Answered<A>, Damaged>>,
    rulings: Vec<(Span<A>, Ruling)>,
    most: usize,
) -> Result<Inside, Damaged> {
    let (allowed, blocked): (Vec<_>, Vec<_>) =
        rulings.into_iter().partition(|(_, ruling)| *ruling == Ruling::Allow);
    let mut inside = Inside { addresses: 0, spans: 0, by_list: BTreeMap::new(), shown: Vec::new() };
    // Blocked addresses that a list has as well.
    let mut both = 0;
    for answered in spans {
        let Answered { span, answer } = answered?;
        let answer = zone.snapshot().answer(answer)?;
        let lists = names(zone, answer.parts());
        if lists.is_empty() {
            continue;
        }
        for span in without(span, &allowed) {
            both +=
                overlapping(&blocked, span).filter_map(|block| shared(&span, &block)).map(size).sum::<u128>();
            let values =
                || records::values(&answer.record_sets().map(records::of_set).collect::<Vec<Records>>());
            inside.add(span, &lists, most, values);
        }
    }
    for (span, _) in blocked {
        inside.add(span, &[OVERLAY_NAME.to_owned()], most, || OVERLAY_CODE.to_string());
    }
    inside.addresses = inside.addresses.saturating_sub(both);
    Ok(inside)
}

impl Inside {
    fn add<A: Address>(
        &mut self,
        span: Span<A>,
        lists: &[String],
        most: usize,
        values: impl FnOnce() -> String,
    ) {
        let size = size(span);
        self.addresses = self.addresses.saturating_add(size);
        self.spans += 1;
        for list in lists {
            let count = self.by_list.entry(list.clone()).or_default();
            *count = count.saturating_add(size);
        }
        if self.shown.len() < most {
            let (span, lists, values) = (span.to_string(), lists.to_vec(), values());
            self.shown.push(ShownSpan { span, lists, values });
        }
    }
}

fn size<A: Address>(span: Span<A>) -> u128 {
    span.extent().saturating_add(1)
}

fn shared<A: Address>(one: &Span<A>, other: &Span<A>) -> Option<Span<A>> {
    Span::new(one.first.max(other.first), one.last.min(other.last))
}

/// Those of `spans`, which stand in order, that share an address with `span`.
fn overlapping<A: Address>(spans: &[(Span<A>, Ruling)], span: Span<A>) -> impl Iterator<Item = Span<A>> {
    let from = spans.partition_point(|(other, _)| other.last < span.first);
    spans[from..].iter().map(|(other, _)| *other).take_while(move |other| other.first <= span.last)
}

/// What is left of `span` without `taken`, which stand in order.
fn without<A: Address>(span: Span<A>, taken: &[(Span<A>, Ruling)]) -> Vec<Span<A>> {
    let mut left = Vec::new();
    let mut rest = Some(span);
    for taken in overlapping(taken, span) {
        let Some(span) = rest else { break };
        left.extend(taken.first.prev().and_then(|end| Span::new(span.first, end)));
        rest = taken.last.next().and_then(|next| Span::new(next, span.last));
    }
    left.extend(rest);
    left
}

/// The labels of the question for one address or name.
fn labels(subject: &Subject) -> Vec<u8> {
    match subject {
        Subject::V4(span) => {
            let octets = span.first.to_be_bytes();
            octets.iter().rev().flat_map(|octet| label(octet.to_string().as_bytes())).collect()
        }
        Subject::V6(span) => {
            let nibbles = (0..32).map(|at| (span.first >> (4 * at) & 0xf) as u32);
            nibbles
                .filter_map(|nibble| char::from_digit(nibble, 16))
                .flat_map(|digit| label(&[digit as u8]))
                .collect()
        }
        Subject::Name(name) => name.as_wire()[..name.as_wire().len() - 1].to_vec(),
    }
}

fn label(text: &[u8]) -> Vec<u8> {
    [&[text.len() as u8], text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_without_what_is_taken_out() {
        let span = |text: &str| match text.parse().unwrap() {
            Subject::V4(span) => span,
            _ => unreachable!(),
        };
        let left = |taken: &[&str]| -> Vec<String> {
            let taken: Vec<_> = taken.iter().map(|text| (span(text), Ruling::Allow)).collect();
            without(span("10.0.0.0/24"), &taken).iter().map(ToString::to_string).collect()
        };
        assert_eq!(left(&[]), ["10.0.0.0/24"]);
        assert_eq!(left(&["10.0.0.0/8"]), [""; 0]);
        assert_eq!(
            left(&["9.0.0.0/8", "10.0.0.0/25", "10.0.0.255", "11.0.0.0/8"]),
            ["10.0.0.128-10.0.0.254"]
        );
        assert_eq!(left(&["10.0.0.7"]), ["10.0.0.0-10.0.0.6", "10.0.0.8-10.0.0.255"]);
    }

    #[test]
    fn questions() {
        assert_eq!(labels(&"192.0.2.7".parse().unwrap()), b"\x017\x012\x010\x03192");
        assert_eq!(labels(&"spam.example".parse().unwrap()), b"\x04spam\x07example");
        let v6 = labels(&"2001:db8::1".parse().unwrap());
        assert!(v6.starts_with(b"\x011\x010\x010"));
        assert!(v6.ends_with(b"\x018\x01b\x01d\x010\x011\x010\x010\x012"));
        assert_eq!(v6.len(), 64);
    }
}
