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
    "0spam",
    "abuseipdb-7d",
    "abusix-authbl",
    "abusix-black",
    "abusix-domains",
    "abusix-exploit",
    "abusix-policy",
    "abusix-white",
    "backscatterer",
    "barracuda",
    "bitwire-inbound",
    "bitwire-outbound",
    "blocklist-de-all",
    "blocklist-de-apache",
    "blocklist-de-bots",
    "blocklist-de-bruteforcelogin",
    "blocklist-de-ftp",
    "blocklist-de-imap",
    "blocklist-de-mail",
    "blocklist-de-sip",
    "blocklist-de-ssh",
    "blocklist-de-strongips",
    "cins",
    "cymru-bogons",
    "cymru-fullbogons-v4",
    "cymru-fullbogons-v6",
    "disposable-domains",
    "dnswl",
    "dronebl",
    "dshield",
    "efnet",
    "et-block-ips",
    "et-compromised",
    "feodo",
    "feodo-recommended",
    "firehol-level1",
    "firehol-level2",
    "firehol-level3",
    "firehol-level4",
    "gbudb-truncate",
    "greensnow",
    "interserver",
    "ipsum",
    "ipsum-1",
    "ipsum-2",
    "ipsum-4",
    "ipsum-5",
    "ipsum-6",
    "justspam",
    "mailspike-bl",
    "mailspike-wl",
    "mailspike-z",
    "malicious-ip-40k",
    "psbl",
    "s5h",
    "sefinek",
    "sem-black",
    "spamcop",
    "spamhaus-authbl",
    "spamhaus-dbl",
    "spamhaus-drop",
    "spamhaus-drop-v6",
    "spamhaus-pbl",
    "spamhaus-sbl",
    "spamhaus-xbl",
    "spamhaus-zen",
    "spamhaus-zrd",
    "spamrats-auth",
    "spamrats-dyna",
    "spamrats-noptr",
    "spamrats-spam",
    "spfbl",
    "stopforumspam-1",
    "stopforumspam-180",
    "stopforumspam-30",
    "stopforumspam-365",
    "stopforumspam-7",
    "stopforumspam-90",
    "stopforumspam-toxic",
    "surbl",
    "threatfox",
    "threatfox-ips",
    "tor-exits",
    "tor-exits-dan",
    "tor-relays",
    "uceprotect-1",
    "uceprotect-2",
    "uceprotect-3",
    "uribl",
    "urlhaus",
    "validity-bl",
    "whitelisted-org",
    "x4b-vpn-v4",
    "x4b-vpn-v6",
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
    understand(Draft::read(path, overrides)?)
}

/// What a configuration means, read with the catalogue that it names.
pub fn understand(draft: Draft) -> Result<Config, Problems> {
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
    use crate::config::{NotOffered, Retired, defaults};

    const LEDGER: &str = include_str!("../../zones/codes.txt");

    struct Line {
        code: u8,
        name: &'static str,
        /// Neither `(gone)` nor `(reserved: …)` stands behind the name.
        has_file: bool,
    }

    fn ledger() -> Vec<Line> {
        LEDGER
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let mut words = line.split_whitespace();
                let code = words.next().unwrap();
                let last = code.strip_prefix("127.0.0.").unwrap_or_else(|| panic!("{line}"));
                let name = words.next().unwrap();
                let mark = words.next().unwrap_or("");
                assert!(["", "(gone)", "(reserved:"].contains(&mark), "{line}");
                Line { code: last.parse().unwrap(), name, has_file: mark.is_empty() }
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
        let registered = feeds.iter().filter(|feed| feed.urls.is_empty()).count();
        assert!(registered >= 30 && feeds.len() - registered >= 50, "{} feeds", feeds.len());
    }

    #[test]
    fn codes_stand_in_the_ledger_once_and_for_ever() {
        let ledger = ledger();
        let codes: BTreeSet<u8> = ledger.iter().map(|line| line.code).collect();
        let names: BTreeMap<&str, u8> = ledger.iter().map(|line| (line.name, line.code)).collect();
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
        let known = |name: &str| name == defaults::BOGONS || feeds.feed(&name.parse().unwrap()).is_some();
        for line in ledger {
            assert_eq!(known(line.name), line.has_file, "{}", line.name);
        }
    }

    #[test]
    fn what_is_retired_is_not_in_the_catalogue_and_what_to_take_instead_is() {
        let feeds = load(None).unwrap();
        for retired in Retired::all() {
            for name in retired.also.iter().chain([&retired.name]) {
                assert!(feeds.feed(name).is_none(), "{name}");
            }
            assert!(!retired.instead.is_empty(), "{}", retired.name);
            for name in &retired.instead {
                assert!(feeds.feed(name).is_some(), "{}: {name}", retired.name);
            }
        }
    }

    #[test]
    fn what_is_not_offered_is_neither_here_nor_retired_and_what_to_take_instead_is_here() {
        let feeds = load(None).unwrap();
        for list in NotOffered::all() {
            for name in list.also.iter().chain([&list.name]) {
                assert!(feeds.feed(name).is_none() && Retired::called(name).is_none(), "{name}");
            }
            assert!(!list.instead.is_empty() && list.instead.iter().all(|name| feeds.feed(name).is_some()));
        }
    }

    /// Two feeds of one URL could not be enabled together.
    #[test]
    fn no_two_feeds_are_one_url() {
        let feeds = load(None).unwrap();
        let urls: Vec<_> = feeds.iter().flat_map(|feed| &feed.urls).collect();
        assert_eq!(urls.iter().collect::<BTreeSet<_>>().len(), urls.len());
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
            assert!(feed.max_size >= 1 << 20, "{}", feed.name);
        }
    }
}
