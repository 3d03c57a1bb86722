//! Looks a subject up in every zone, and puts together what was found.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::records::{self, Records};
use super::super::view::{View, ZoneView};
use super::history::InHistory;
use super::lists::{InList, in_lists};
use crate::compile::{Answered, Part};
use crate::error::ExitStatus;
use crate::model::{Address, Name, Subject, Use};
use crate::snapshot::{Damaged, Mapped};
use crate::zone::{Verdict, Zone};

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
pub(crate) fn find(view: &View, subject: &Subject, most: usize) -> anyhow::Result<Found> {
    let mut found = Found {
        subject: subject.to_string(),
        listed: false,
        unknown: Vec::new(),
        asked: view.zones.len(),
        zones: Vec::new(),
        lists: Vec::new(),
        unreadable: Vec::new(),
        history: None,
    };
    for zone in &view.zones {
        let Some(answering) = zone.answering() else {
            let why = zone.trouble().unwrap_or_default();
            found.unknown.push(Unknown { zone: zone.origin().clone(), why });
            continue;
        };
        match in_zone(view, zone, answering, subject, most) {
            Ok(None) => {}
            Ok(Some(says)) => {
                found.listed |= !says.allow;
                found.zones.push(says);
            }
            Err(damage) => {
                found.unknown.push(Unknown { zone: zone.origin().clone(), why: damage.to_string() });
            }
        }
    }
    found.lists = in_lists(view, subject, most, &mut found.unreadable)?;
    Ok(found)
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
            Some(inside(answering, snapshot.v4_spans(*span), most)?)
        }
        Subject::V6(span) if span.first != span.last => {
            Some(inside(answering, snapshot.v6_spans(*span), most)?)
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
    most: usize,
) -> Result<Inside, Damaged> {
    let mut inside = Inside { addresses: 0, spans: 0, by_list: BTreeMap::new(), shown: Vec::new() };
    for answered in spans {
        let Answered { span, answer } = answered?;
        let answer = zone.snapshot().answer(answer)?;
        let lists = names(zone, answer.parts());
        if lists.is_empty() {
            continue;
        }
        let size = span.extent().saturating_add(1);
        inside.addresses = inside.addresses.saturating_add(size);
        inside.spans += 1;
        for list in &lists {
            let count = inside.by_list.entry(list.clone()).or_default();
            *count = count.saturating_add(size);
        }
        if inside.shown.len() < most {
            let records: Vec<Records> = answer.record_sets().map(records::of_set).collect();
            inside.shown.push(ShownSpan { span: span.to_string(), lists, values: records::values(&records) });
        }
    }
    Ok(inside)
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
    fn questions() {
        assert_eq!(labels(&"192.0.2.7".parse().unwrap()), b"\x017\x012\x010\x03192");
        assert_eq!(labels(&"spam.example".parse().unwrap()), b"\x04spam\x07example");
        let v6 = labels(&"2001:db8::1".parse().unwrap());
        assert!(v6.starts_with(b"\x011\x010\x010"));
        assert!(v6.ends_with(b"\x018\x01b\x01d\x010\x011\x010\x010\x012"));
        assert_eq!(v6.len(), 64);
    }
}
