//! Looks a subject up in every zone and every list.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::records::{self, Records};
use super::super::view::{ListView, View, When, ZoneView, use_word};
use crate::compile::{Answered, Part};
use crate::error::ExitStatus;
use crate::model::{Address, ContentHash, Name, Span, Subject, Use, Value};
use crate::set::{Block, Scope, Set};
use crate::snapshot::{Damaged, Mapped};
use crate::store::{Store, StoreError};
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

/// A list that has it.
#[derive(Debug, Serialize)]
pub(crate) struct InList {
    pub(crate) list: String,
    pub(crate) title: String,
    #[serde(rename = "use")]
    pub(crate) use_: String,
    /// The entries as published, narrowest first.
    pub(crate) entries: Vec<Entry>,
    /// Entries beyond those shown.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) more: u64,
    /// It is past its hard age: no zone answers for it.
    pub(crate) expired: bool,
    /// Zones that answer for it.
    pub(crate) zones: Vec<Name>,
    /// Zones that it takes addresses out of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) excepts: Vec<Name>,
    /// When it was last confirmed.
    pub(crate) confirmed: Option<When>,
    /// Since when its content is what it is.
    pub(crate) changed: Option<When>,
    /// Where to look an address up or get it off.
    pub(crate) lookup: Option<String>,
}

/// An entry as published.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    pub(crate) entry: String,
    /// `!entry`: it takes out of the list.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) exclude: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(number: &u64) -> bool {
    *number == 0
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
    found.lists = in_lists(view, subject, most)?;
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
    let ids = match subject {
        Subject::V4(span) => [snapshot.v4(span.first)?, None],
        Subject::V6(span) => [snapshot.v6(span.first)?, None],
        Subject::Name(_) => [None, None],
    };
    // A zone may hold names that look like addresses.
    let by_name = if snapshot.has_names() { snapshot.name(&labels)?.answer } else { None };
    let mut lists = Vec::new();
    for id in ids.into_iter().flatten().chain(by_name) {
        lists.extend(names(answering, snapshot.answer(id)?.parts()));
    }
    Ok(Some(InZone { zone: origin, allow, lists, records: records::of_hit(&hit), inside: None }))
}

/// The names of the lists behind an answer, without those that are too old.
fn names<'a>(
    zone: &'a Zone<Mapped>,
    parts: impl Iterator<Item = Part> + 'a,
) -> impl Iterator<Item = String> + 'a {
    let name = |part: Part| match zone.snapshot().lists().get(usize::from(part.list)) {
        Some(list) => list.name.clone(),
        None => "test point".to_owned(),
    };
    parts.map(name).filter(|name| !zone.expired().contains(name))
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
        let lists: Vec<String> = names(zone, answer.parts()).collect();
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

fn in_lists(view: &View, subject: &Subject, most: usize) -> anyhow::Result<Vec<InList>> {
    let mut lists = Vec::new();
    let Ok(store) = Store::existing(&view.config.state) else { return Ok(lists) };
    for list in &view.lists {
        let Some(set) = set_of(&store, view, list)? else { continue };
        let (entries, more) = entries(&set, subject, most);
        if entries.is_empty() {
            continue;
        }
        let name = &list.config.name;
        let excepts = view.zones.iter().filter(|zone| zone.config.excepts.contains(name));
        let zones =
            view.zones.iter().filter(|zone| zone.config.members.iter().any(|member| member.list == *name));
        let when =
            |stamp: &Option<crate::store::Stamp>| stamp.as_ref().map(|stamp| When::new(&view.now, stamp));
        lists.push(InList {
            list: name.to_string(),
            title: list.config.title.clone(),
            use_: use_word(list.config.use_),
            entries,
            more,
            expired: list.is_expired(),
            zones: zones.map(|zone| zone.origin().clone()).collect(),
            excepts: excepts.map(|zone| zone.origin().clone()).collect(),
            confirmed: when(&list.status.last_confirmed),
            changed: when(&list.status.content_since),
            lookup: list.config.lookup.as_ref().map(|url| filled(url, subject)),
        });
    }
    Ok(lists)
}

/// The set that zones in service were made from; the current one when none was.
fn set_of(store: &Store, view: &View, list: &ListView) -> Result<Option<Set>, StoreError> {
    let name = list.config.name.as_str();
    let in_service: Option<ContentHash> =
        view.zones.iter().filter_map(ZoneView::answering).find_map(|zone| {
            zone.snapshot().lists().iter().find(|data| data.name == name).map(|data| data.set)
        });
    let current = list.status.set.map(|set| set.hash);
    let Some(hash) = in_service.or(current) else { return Ok(None) };
    let folder = store.list(&list.config.name);
    match (folder.set(&hash), current) {
        // A sync that runs at this moment may have put another in its place.
        (Err(_), Some(current)) if current != hash => folder.set(&current).map(Some),
        (set, _) => set.map(Some),
    }
}

/// The address put into the page to look it up at.
fn filled(url: &str, subject: &Subject) -> String {
    let one = match subject {
        Subject::V4(span) => span.first == span.last,
        Subject::V6(span) => span.first == span.last,
        Subject::Name(_) => true,
    };
    if one { url.replace('$', &subject.to_string()) } else { url.to_owned() }
}

fn entries(set: &Set, subject: &Subject, most: usize) -> (Vec<Entry>, u64) {
    match subject {
        Subject::V4(span) if span.first == span.last => {
            (set.v4_entries_with(span.first).iter().map(|block| entry(set, block)).collect(), 0)
        }
        Subject::V6(span) if span.first == span.last => {
            (set.v6_entries_with(span.first).iter().map(|block| entry(set, block)).collect(), 0)
        }
        Subject::V4(span) => {
            let hosts = &set.v4.hosts;
            let (from, to) =
                (hosts.partition_point(|&h| h < span.first), hosts.partition_point(|&h| h <= span.last));
            let hosts = (from..to).map(|at| Block {
                span: Span::host(hosts[at]),
                exclude: false,
                value: set.v4.host_values.at(at),
            });
            capped(
                set,
                set.v4.blocks.iter().copied().filter(|block| block.span.overlaps(span)).chain(hosts),
                most,
            )
        }
        Subject::V6(span) => {
            capped(set, set.v6.iter().copied().filter(|block| block.span.overlaps(span)), most)
        }
        Subject::Name(asked) => {
            let holds = |entry: &&crate::set::NameEntry| match entry.scope {
                Scope::Exact => entry.name == *asked,
                Scope::Below => asked.is_in(&entry.name) && entry.name != *asked,
            };
            let shown = set.names.iter().filter(holds).map(|entry| {
                let star = if entry.scope == Scope::Below { "*." } else { "" };
                valued(format!("{star}{}", entry.name), entry.exclude, &set.value(entry.value))
            });
            (shown.collect(), 0)
        }
    }
}

fn capped<A: Address>(set: &Set, blocks: impl Iterator<Item = Block<A>>, most: usize) -> (Vec<Entry>, u64) {
    let mut more = 0;
    let mut shown = Vec::new();
    for block in blocks {
        if shown.len() < most {
            shown.push(entry(set, &block));
        } else {
            more += 1;
        }
    }
    (shown, more)
}

fn entry<A: Address>(set: &Set, block: &Block<A>) -> Entry {
    valued(block.span.to_string(), block.exclude, &set.value(block.value))
}

fn valued(entry: String, exclude: bool, value: &Value) -> Entry {
    if exclude {
        return Entry { entry, exclude, code: None, text: None, note: None };
    }
    Entry {
        entry,
        exclude,
        code: value.code.map(|code| code.to_string()),
        text: value.text.as_ref().filter(|text| !text.is_empty()).map(ToString::to_string),
        note: value.note.as_ref().map(ToString::to_string),
    }
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
