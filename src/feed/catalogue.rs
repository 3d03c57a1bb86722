//! The feeds that gatepost knows: `zones/feeds/*.toml`, part of the program, or a folder in their place.

use std::path::Path;

use crate::config::{Config, Draft, Feeds, Overrides, Problems};

macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!("zones/feeds/", $name, ".toml"),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/zones/feeds/", $name, ".toml")),
        )),*]
    };
}

/// Path and text of every feed file. A test compares it with the folder.
const EMBEDDED: &[(&str, &str)] = embed![
    "backscatterer",
    "blocklist-de-mail",
    "cins",
    "et-compromised",
    "greensnow",
    "ipsum",
    "spamhaus-drop",
    "spamhaus-drop-v6",
    "tor-exits",
    "uceprotect-1",
    "whitelisted-org",
];

/// The catalogue in `folder`, or the one in the program.
pub fn load(folder: Option<&Path>) -> Result<Feeds, Problems> {
    match folder {
        Some(folder) => Feeds::read_folder(folder),
        None => Feeds::read(EMBEDDED.iter().map(|(path, text)| (Path::new(*path), *text))),
    }
}

/// The configuration at `path`, read with the catalogue that it names.
pub fn configure(path: &Path, overrides: Overrides) -> Result<Config, Problems> {
    let draft = Draft::read(path, overrides)?;
    match load(draft.catalogue().as_deref()) {
        Ok(feeds) => draft.resolve(&feeds),
        Err(mut problems) => {
            // Without a catalogue every `feed = …` would be one more mistake: report those of the files alone.
            problems.extend(draft.into_problems());
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::config::defaults;

    const LEDGER: &str = include_str!("../../zones/codes.txt");

    /// Code and name of each line of the ledger; a line that gives a code up has `(gone)` behind the name.
    fn ledger() -> Vec<(u8, String)> {
        LEDGER
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let mut words = line.split_whitespace();
                let code = words.next().unwrap();
                let last = code.strip_prefix("127.0.0.").unwrap_or_else(|| panic!("{line}"));
                (last.parse().unwrap(), words.next().unwrap().to_owned())
            })
            .collect()
    }

    #[test]
    fn every_file_is_embedded_and_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones/feeds");
        let on_disk: BTreeSet<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| format!("zones/feeds/{}", entry.unwrap().file_name().into_string().unwrap()))
            .collect();
        let embedded: BTreeSet<String> = EMBEDDED.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(on_disk, embedded);
        let feeds = load(None).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(feeds, load(Some(&folder)).unwrap());
        assert!((8..=20).contains(&feeds.len()));
    }

    #[test]
    fn codes_stand_in_the_ledger_once_and_for_ever() {
        let ledger = ledger();
        let codes: BTreeSet<u8> = ledger.iter().map(|(code, _)| *code).collect();
        let names: BTreeMap<&str, u8> = ledger.iter().map(|(code, name)| (name.as_str(), *code)).collect();
        assert_eq!(codes.len(), ledger.len(), "a code is used twice");
        assert_eq!(names.len(), ledger.len(), "a feed has two codes");
        assert!(codes.iter().all(|code| (3..=254).contains(code)));
        let feeds = load(None).unwrap();
        for feed in feeds.iter() {
            let code = names.get(feed.name.as_str());
            let octets = [127, 0, 0, *code.unwrap_or_else(|| panic!("{} is not in the ledger", feed.name))];
            assert_eq!(feed.code.address().octets(), octets, "{}", feed.name);
        }
        assert!(names.contains_key(defaults::BOGONS));
    }

    #[test]
    fn limits_and_ages_are_sane() {
        for feed in load(None).unwrap().iter() {
            let (soft, hard) = (feed.ages.soft.unwrap(), feed.ages.hard.unwrap());
            assert!(feed.floor < soft && soft < hard, "{}", feed.name);
            assert!(feed.floor.as_secs() >= 600, "{}", feed.name);
            assert!(feed.limits.min_entries > 1 || feed.limits.allow_empty, "{}", feed.name);
            assert!(!feed.allow_private, "{}", feed.name);
            assert!(feed.text.contains('$'), "{}", feed.name);
        }
    }
}
