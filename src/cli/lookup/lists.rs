//! Looks a subject up in every list: the entries as published, whatever zones make of them.

use std::ops::Range;

use serde::Serialize;

use super::super::output::printable;
use super::super::records;
use super::super::view::{ListView, View, When, ZoneView};
use super::since::{ShownSince, Times};
use crate::model::{Address, ContentHash, Name, Span, Subject, Value};
use crate::set::{Block, Key, NameEntry, Scope, Set};
use crate::store::{Stamp, Store, StoreError};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    pub(crate) entry: String,
    /// Its rows in the set.
    #[serde(skip)]
    rows: Range<usize>,
    /// Since when it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<ShownSince>,
    /// The subzones that it answers in, where its list has such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) subzones: Vec<String>,
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

impl Entry {
    /// What it says, for people.
    pub(crate) fn says(&self) -> String {
        let subzones = (!self.subzones.is_empty()).then(|| format!("in {}", self.subzones.join(", ")));
        let says: Vec<&str> = [&subzones, &self.code, &self.text, &self.note]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        printable(&says.join("; "))
    }

    /// Whether another one says the same.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (&self.code, &self.text, &self.note) == (&other.code, &other.text, &other.note)
    }

    /// Adds what another row of the same entry says.
    pub(super) fn says_also(&mut self, other: &Self) {
        let parts =
            [(&mut self.code, &other.code), (&mut self.text, &other.text), (&mut self.note, &other.note)];
        for (said, also) in parts {
            match (said, also) {
                (Some(said), Some(also)) if said != also => *said = format!("{said}, {also}"),
                (said @ None, also) => said.clone_from(also),
                _ => {}
            }
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The lists that have `subject`; of a prefix `most` entries of each are shown. Sets that cannot be read are told in
/// `unreadable`.
pub(crate) fn in_lists(
    view: &View,
    subject: &Subject,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Vec<InList> {
    let mut lists = Vec::new();
    let Ok(store) = Store::existing(&view.config.state) else { return lists };
    for list in &view.lists {
        let (hash, set) = match set_of(&store, view, list) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            // Its entries cannot be shown; what zones say of the subject stands.
            Err(error) => {
                unreadable.push(error.to_string());
                continue;
            }
        };
        let (mut entries, more) = entries(&set, subject, most);
        if entries.is_empty() {
            continue;
        }
        let name = &list.config.name;
        let times = Times::of(&view.now, list, &store.list(name), &hash, &set);
        entries.iter_mut().for_each(|entry| entry.since = times.at(entry.rows.clone()));
        let zones = || view.zones.iter().filter(|zone| !zone.is_subzone());
        let excepts = zones().filter(|zone| zone.config.excepts.contains(name));
        let zones = zones().filter(|zone| zone.config.members.iter().any(|member| member.list == *name));
        let when = |stamp: &Option<Stamp>| stamp.as_ref().map(|stamp| When::new(&view.now, stamp));
        lists.push(InList {
            list: name.to_string(),
            title: list.config.title.clone(),
            use_: list.config.use_.to_string(),
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
    lists
}

/// The set that zones in service were made from; the current one when none was.
fn set_of(store: &Store, view: &View, list: &ListView) -> Result<Option<(ContentHash, Set)>, StoreError> {
    let name = list.config.name.as_str();
    let in_service: Option<ContentHash> =
        view.zones.iter().filter_map(ZoneView::answering).find_map(|zone| {
            zone.snapshot().lists().iter().find(|data| data.name == name).map(|data| data.set)
        });
    // What zones still answer from is of another list that had its name.
    if list.status.given_away {
        return Ok(None);
    }
    let current = list.status.set.map(|set| set.hash);
    let Some(hash) = in_service.or(current) else { return Ok(None) };
    let folder = store.list(&list.config.name);
    match (folder.set(&hash), current) {
        // A sync that runs at this moment may have put another in its place.
        (Err(_), Some(current)) if current != hash => folder.set(&current).map(|set| Some((current, set))),
        (set, _) => set.map(|set| Some((hash, set))),
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

/// The entries that have `subject`, `most` of a prefix, and how many more there are. Those of sections name their subzones.
pub(super) fn entries(set: &Set, subject: &Subject, most: usize) -> (Vec<Entry>, u64) {
    let (mut shown, mut more) = own_entries(set, subject, most);
    let mut before = set.own_rows();
    for section in &set.sections {
        let (of_section, left) = own_entries(&section.set, subject, most.saturating_sub(shown.len()));
        let subzones: Vec<String> = section.subs.iter().map(shown_sub).collect();
        shown.extend(of_section.into_iter().map(|entry| Entry {
            subzones: subzones.clone(),
            rows: before + entry.rows.start..before + entry.rows.end,
            ..entry
        }));
        before += section.set.own_rows();
        more += left;
    }
    (shown, more)
}

/// As its list writes it.
fn shown_sub(sub: &Name) -> String {
    if *sub == Name::root() { "@".to_owned() } else { sub.to_string() }
}

fn own_entries(set: &Set, subject: &Subject, most: usize) -> (Vec<Entry>, u64) {
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
        Subject::V6(span) => capped(set, set.v6.iter().filter(|block| block.span.overlaps(span)), most),
        Subject::Name(asked) => (names(set, asked), 0),
    }
}

/// The entries that hold a name, longest first. A name with all below it is shown as rbldnsd writes it: `.name`.
fn names(set: &Set, asked: &Name) -> Vec<Entry> {
    let holds = |entry: &NameEntry| match entry.scope {
        Scope::Exact => entry.name == *asked,
        Scope::Below => entry.name != *asked,
    };
    let above = std::iter::successors(Some(asked.clone()), Name::parent);
    let entries = above.flat_map(|name| set.names.rows_of(&name)).map(|row| set.names.entry(row));
    let shown = entries.filter(holds).map(|entry| {
        let other = match entry.scope {
            Scope::Exact => Scope::Below,
            Scope::Below => Scope::Exact,
        };
        let is_both = set.names.holds(&entry.name, other, entry.exclude);
        let before = match entry.scope {
            _ if is_both => ".",
            Scope::Exact => "",
            Scope::Below => "*.",
        };
        let rows = set.rows_of(&Key::from(&entry));
        valued(format!("{before}{}", entry.name), rows, entry.exclude, &set.value(entry.value))
    });
    shown.collect()
}

fn capped<A: Address>(set: &Set, blocks: impl Iterator<Item = Block<A>>, most: usize) -> (Vec<Entry>, u64)
where
    for<'a> Key: From<&'a Block<A>>,
{
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

fn entry<'a, A: Address>(set: &Set, block: &'a Block<A>) -> Entry
where
    Key: From<&'a Block<A>>,
{
    let rows = set.rows_of(&Key::from(block));
    valued(block.span.to_string(), rows, block.exclude, &set.value(block.value))
}

fn valued(entry: String, rows: Range<usize>, exclude: bool, value: &Value) -> Entry {
    let (since, subzones) = (None, Vec::new());
    if exclude {
        return Entry { entry, rows, since, subzones, exclude, code: None, text: None, note: None };
    }
    Entry {
        entry,
        rows,
        since,
        subzones,
        exclude,
        code: value.code.map(|code| code.to_string()),
        text: match &value.text {
            Some(text) => (!text.is_empty()).then(|| text.to_string()),
            None => records::of_entry(&value.records),
        },
        note: value.note.as_ref().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_no_publisher() {
        let entry = Entry {
            entry: "192.0.2.1".to_owned(),
            rows: 0..1,
            since: None,
            subzones: Vec::new(),
            exclude: false,
            code: Some("127.0.0.2".to_owned()),
            text: Some("a\x1b[31mb\rc\u{9b}d".to_owned()),
            note: Some("\x07".to_owned()),
        };
        assert_eq!(entry.says(), "127.0.0.2; a?[31mb?c?d; ?");
    }
}
