//! Lists that are alive and no feed of the catalogue (`zones/not-offered.toml`, part of the program).
//!
//! Whoever looks for one shall not think that it was forgotten. Never: fetching one.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::problem::{Document, Problems};
use super::read::{Table, keys, parse};
use super::words::Slug;

const TEXT: &str = include_str!("../../zones/not-offered.toml");

static ALL: LazyLock<Vec<NotOffered>> = LazyLock::new(|| {
    let path = Path::new("zones/not-offered.toml");
    // Part of the program, and read by its tests.
    read(path, TEXT).unwrap_or_else(|problems| panic!("{problems}"))
});

/// A list that the catalogue does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOffered {
    /// Its name.
    pub name: Slug,
    /// Its name for people.
    pub title: String,
    /// Other names that it is known by.
    pub also: Vec<Slug>,
    /// Why not.
    pub reason: String,
    /// Feeds of the catalogue that come nearest.
    pub instead: Vec<Slug>,
}

impl NotOffered {
    /// All of them, in the order of their names.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The list of that name, whichever of its names.
    pub fn called(name: &Slug) -> Option<&'static Self> {
        ALL.iter().find(|list| list.name == *name || list.also.contains(name))
    }

    /// That it is not offered, and why.
    pub fn sentence(&self) -> String {
        format!("{} is not offered: {}", self.title, self.reason)
    }

    /// What to take instead.
    pub fn advice(&self) -> String {
        let names: Vec<&str> = self.instead.iter().map(Slug::as_str).collect();
        format!("{} may do instead", names.join(" or "))
    }
}

keys! {
    /// The keys of a list, but its arrays.
    struct NotOfferedKeys {
        "title" title: String,
        "reason" reason: String,
    }
}

fn read(path: &Path, text: &str) -> Result<Vec<NotOffered>, Problems> {
    let mut problems = Problems::default();
    let document = Arc::new(Document { path: path.to_owned(), text: text.to_owned() });
    let Some(entries) = parse(&document, &mut problems) else { return Err(problems) };
    let mut root = Table::root(document.clone(), &entries);
    let mut all = Vec::new();
    for (name, mut table) in root.tables::<Slug>("list", &mut problems) {
        table.require(&["title", "reason", "instead"], &mut problems);
        let keys = NotOfferedKeys::read(&mut table, &mut problems);
        let mut slugs = |key| {
            let typed = table.array::<Slug>(key, &mut problems).unwrap_or_default();
            typed.into_iter().map(|at| at.value).collect()
        };
        let (also, instead) = (slugs("also"), slugs("instead"));
        table.finish(&mut problems);
        let (Some(title), Some(reason)) = (keys.title, keys.reason) else { continue };
        all.push(NotOffered { name: name.value, title: title.value, also, reason: reason.value, instead });
    }
    root.finish(&mut problems);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    problems.or(|| all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_several_names() {
        let called = |name: &str| NotOffered::called(&name.parse().unwrap());
        for name in ["asn-drop", "asndrop", "data-shield", "bannedips"] {
            assert!(called(name).is_some(), "{name}");
        }
        assert_eq!(called("asndrop"), called("spamhaus-asndrop"));
        let said = called("asndrop").unwrap();
        assert!(
            said.sentence()
                .starts_with("Spamhaus ASN-DROP is not offered: it names networks by their number")
        );
        assert_eq!(said.advice(), "spamhaus-drop or spamhaus-drop-v6 may do instead");
        assert_eq!(called("spamhaus-drop"), None);
    }

    #[test]
    fn mistakes_have_a_place() {
        let said =
            read(Path::new("n.toml"), "[list.x]\ntitle = \"X\"\nwhy = \"so\"\ninstead = []\n").unwrap_err();
        let said = said.to_string();
        assert!(
            said.contains("missing key `reason`") && said.contains("n.toml:3:1: unknown key `why`"),
            "{said}"
        );
    }
}
