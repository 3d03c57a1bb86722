//! Lists that are no more (`zones/retired.toml`, part of the program).
//!
//! Guides and old configurations go on naming them. Whoever asks a dead zone waits for nothing, or is told that the
//! whole world is listed; so choosing one is refused with a date and a reason. Never: what a zone of that name answers
//! here. Read [`Retired::called`] and [`Retired::of_zone`] first.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use reqwest::Url;

use super::problem::{Document, Problems};
use super::read::{Table, from_string, keys, parse};
use super::words::Slug;
use crate::model::Name;

const TEXT: &str = include_str!("../../zones/retired.toml");

static ALL: LazyLock<Vec<Retired>> = LazyLock::new(|| {
    let path = Path::new("zones/retired.toml");
    // Part of the program, and read by its tests.
    read(path, TEXT).unwrap_or_else(|problems| panic!("{problems}"))
});

/// A list that is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Its name.
    pub name: Slug,
    /// Its name for people.
    pub title: String,
    /// Other names that it is known by.
    pub also: Vec<Slug>,
    /// The zones that it answered in.
    pub zones: Vec<Name>,
    /// How the addresses begin that it could be fetched from, where its publisher's other lists live on.
    pub urls: Vec<String>,
    /// Since when: a year, a month or a day (`2024-06-05`).
    pub date: String,
    /// What happened.
    pub reason: String,
    /// Feeds of the catalogue that do what it did.
    pub instead: Vec<Slug>,
}

impl Retired {
    /// All of them, in the order of their names.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The list of that name, whichever of its names.
    pub fn called(name: &Slug) -> Option<&'static Self> {
        ALL.iter().find(|retired| retired.name == *name || retired.also.contains(name))
    }

    /// The list that answered in this zone or in one above it.
    pub fn of_zone(origin: &Name) -> Option<&'static Self> {
        ALL.iter().find(|retired| retired.zones.iter().any(|zone| origin.is_in(zone)))
    }

    /// The list that was to be had there: at a host of its publisher's, or at its own address.
    pub fn of_url(url: &Url) -> Option<&'static Self> {
        let host = url.host_str()?;
        let host = host.trim_end_matches('.');
        let place = format!("{host}{}", url.path());
        let is_at = |retired: &&Self| retired.urls.iter().any(|start| place.starts_with(start));
        host.parse().ok().and_then(|host| Self::of_zone(&host)).or_else(|| ALL.iter().find(is_at))
    }

    /// That it is no more, since when and why.
    pub fn sentence(&self) -> String {
        format!("{} is no more since {}: {}", self.title, self.date, self.reason)
    }

    /// What to take instead.
    pub fn advice(&self) -> String {
        let names: Vec<&str> = self.instead.iter().map(Slug::as_str).collect();
        format!("{} may do instead", names.join(" or "))
    }
}

/// A date as exact as is known.
#[derive(Debug, Clone)]
struct Date(String);

from_string!(Date, "a date such as \"2024-06-05\", \"2024-06\" or \"2024\"", |text| {
    let lens: Vec<usize> = text.split('-').map(str::len).collect();
    let numbers = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    match lens[..] {
        [4] | [4, 2] | [4, 2, 2] if numbers => Ok(Date(text.to_owned())),
        _ => Err(format!("`{text}` is not a date")),
    }
});

keys! {
    /// The keys of a retired list, but its arrays.
    struct RetiredKeys {
        "title" title: String,
        "date" date: Date,
        "reason" reason: String,
    }
}

fn read(path: &Path, text: &str) -> Result<Vec<Retired>, Problems> {
    let mut problems = Problems::default();
    let document = Arc::new(Document { path: path.to_owned(), text: text.to_owned() });
    let Some(entries) = parse(&document, &mut problems) else { return Err(problems) };
    let mut root = Table::root(document.clone(), &entries);
    let mut all = Vec::new();
    for (name, mut table) in root.tables::<Slug>("retired", &mut problems) {
        table.require(&["title", "date", "reason", "instead"], &mut problems);
        let keys = RetiredKeys::read(&mut table, &mut problems);
        let also = slugs(&mut table, "also", &mut problems);
        let zones = table.array::<Name>("zones", &mut problems).unwrap_or_default();
        let urls = table.array::<String>("urls", &mut problems).unwrap_or_default();
        let instead = slugs(&mut table, "instead", &mut problems);
        table.finish(&mut problems);
        let (Some(title), Some(date), Some(reason)) = (keys.title, keys.date, keys.reason) else { continue };
        all.push(Retired {
            name: name.value,
            title: title.value,
            also,
            zones: zones.into_iter().map(|at| at.value).collect(),
            urls: urls.into_iter().map(|at| at.value).collect(),
            date: date.value.0,
            reason: reason.value,
            instead,
        });
    }
    root.finish(&mut problems);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    problems.or(|| all)
}

fn slugs(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Vec<Slug> {
    table.array(key, problems).unwrap_or_default().into_iter().map(|at| at.value).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_zone_is_retired_with_all_below_it() {
        let of = |zone: &str| Retired::of_zone(&zone.parse().unwrap()).map(|retired| retired.name.as_str());
        assert_eq!(of("dnsbl.sorbs.net"), Some("sorbs"));
        assert_eq!(of("dul.dnsbl.SORBS.net"), Some("sorbs"));
        assert_eq!(of("ix.dnsbl.manitu.net"), Some("nix-spam"));
        // Its operator's other names live on.
        assert_eq!(of("manitu.net"), None);
        assert_eq!(of("notsorbs.net"), None);
        assert_eq!(of("zen.spamhaus.org"), None);
    }

    #[test]
    fn what_could_be_fetched() {
        let of = |url: &str| Retired::of_url(&url.parse().unwrap()).map(|retired| retired.name.as_str());
        assert_eq!(of("rsync://rsync.sorbs.net/zones/spam"), Some("sorbs"));
        assert_eq!(of("https://WWW.wpbl.info/list.txt"), Some("wpbl"));
        assert_eq!(of("https://www.spamhaus.org/drop/edrop.txt"), Some("spamhaus-edrop"));
        assert_eq!(of("https://www.dnsbl.manitu.net/download/nixspam-ip.dump.gz"), Some("nix-spam"));
        assert_eq!(of("https://sslbl.abuse.ch/blacklist/sslipblacklist.csv"), Some("sslbl"));
        for lives in [
            "https://www.spamhaus.org/drop/drop.txt",
            "https://sslbl.abuse.ch/blacklist/sslblacklist.csv",
            "https://mirror.example/sorbs.net/list",
            "http://192.0.2.1/drop/edrop.txt",
        ] {
            assert_eq!(of(lives), None, "{lives}");
        }
    }

    #[test]
    fn a_list_has_several_names() {
        let called = |name: &str| Retired::called(&name.parse().unwrap());
        assert_eq!(called("nixspam"), called("nix-spam"));
        let sorbs = called("sorbs").unwrap();
        assert!(sorbs.sentence().starts_with("SORBS is no more since 2024-06-05: "), "{}", sorbs.sentence());
        assert_eq!(sorbs.advice(), "uceprotect-1 or spamhaus-pbl may do instead");
        assert_eq!(called("uceprotect-1"), None);
    }

    #[test]
    fn names_and_zones_are_nobody_elses() {
        let names: Vec<&Slug> =
            ALL.iter().flat_map(|retired| retired.also.iter().chain([&retired.name])).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        let zones: Vec<&Name> = ALL.iter().flat_map(|retired| &retired.zones).collect();
        for (at, zone) in zones.iter().enumerate() {
            let others = zones.iter().enumerate().filter(|(other, _)| *other != at);
            assert!(others.into_iter().all(|(_, other)| !zone.is_in(other)), "{zone}");
        }
        assert!(ALL.len() >= 15);
    }

    #[test]
    fn mistakes_have_a_place() {
        let text = "[retired.x]\ntitle = \"X\"\ndate = \"June 2024\"\nwhy = \"because\"\ninstead = []\n";
        let said = read(Path::new("r.toml"), text).unwrap_err().to_string();
        for message in [
            "r.toml:3:8: `June 2024` is not a date",
            "r.toml:1:10: missing key `reason`",
            "r.toml:4:1: unknown key `why`",
        ] {
            assert!(said.contains(message), "{message}\n--- not in\n{said}");
        }
    }
}
