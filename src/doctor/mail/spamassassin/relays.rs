//! Settings of SpamAssassin that keep it from looking somebody up: plugins that nothing loads, networks that are trusted and are nobody's own. Pure.

use std::net::{IpAddr, Ipv4Addr};

use super::super::super::finding::Cure;
use super::super::off::Read;
use super::super::trouble::Trouble;
use super::super::{Idle, Mention};
use crate::config::is_public;
use crate::model::Name;
use crate::snippet::Program;

/// The plugins that the printed rules need, and what they ask by them.
const PLUGINS: [(&str, &str); 2] = [
    ("Mail::SpamAssassin::Plugin::URIDNSBL", "urirhs"),
    ("Mail::SpamAssassin::Plugin::DNSEval", "eval:check_rbl"),
];
/// A network as wide as this is a provider's, with all his customers.
const WIDE: u32 = 8;

/// What asks by a plugin that nothing loads.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Unloaded {
    plugin: &'static str,
    /// Where its rules stand.
    places: Vec<String>,
}

/// `is_whole`: all its files could be read. Looked for before conditions are: what one of them loads may be loaded.
pub(in super::super) fn unloaded(texts: &[Read], is_whole: bool) -> Vec<Unloaded> {
    let texts = || texts.iter().filter(|read| read.program == Program::Spamassassin);
    // Where none of the files that load plugins is here, nobody can say what is loaded.
    if !is_whole || !texts().any(|read| read.place.ends_with(".pre")) {
        return Vec::new();
    }
    let lines = || {
        texts().flat_map(|read| {
            let lines = read.text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            lines.enumerate().map(|(at, line)| (format!("{}:{}", read.place, at + 1), line))
        })
    };
    let is_loaded = |plugin: &str| {
        lines().any(|(_, line)| {
            let mut words = line.split_whitespace();
            let key = words.next().unwrap_or_default().to_ascii_lowercase();
            // What is included is not read here.
            key == "include"
                || matches!(key.as_str(), "loadplugin" | "tryplugin") && words.next() == Some(plugin)
        })
    };
    let all = PLUGINS.iter().filter(|(plugin, _)| !is_loaded(plugin)).map(|(plugin, call)| Unloaded {
        plugin,
        places: lines().filter(|(_, line)| line.contains(call)).map(|(place, _)| place).collect(),
    });
    all.filter(|unloaded| !unloaded.places.is_empty()).collect()
}

/// Rules that `mentions` has, and that SpamAssassin does not know.
pub(in super::super) fn dead(unloaded: &[Unloaded], mentions: &[Mention]) -> Vec<Idle> {
    let idle = unloaded.iter().filter_map(|Unloaded { plugin, places }| {
        let dead: Vec<&Mention> = mentions
            .iter()
            .filter(|mention| mention.program == Program::Spamassassin && places.contains(&mention.at))
            .collect();
        Some(Idle {
            program: Program::Spamassassin,
            at: dead.first()?.at.clone(),
            zones: dead.iter().map(|mention| mention.zone.clone()).collect(),
            matters: true,
            cause: format!("nothing loads the plugin that it asks by, {plugin}"),
            cure: Cure {
                how: "into /etc/spamassassin/init.pre (a `#` before that line there taken out does the same), and restart what calls it"
                    .to_owned(),
                lines: format!("loadplugin {plugin}"),
            },
        })
    });
    idle.collect()
}

/// `trusted_networks` and `internal_networks` that have whole providers: of whoever is there no relay is looked up.
pub(in super::super) fn trusting(texts: &[Read], mentions: &[Mention]) -> Vec<Trouble> {
    let of_it = mentions.iter().filter(|mention| mention.program == Program::Spamassassin);
    let zones: Vec<Name> = of_it.map(|mention| mention.zone.clone()).collect();
    let mut troubles = Vec::new();
    for read in texts.iter().filter(|read| read.program == Program::Spamassassin) {
        for (at, line) in read.text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            let Some(name @ ("trusted_networks" | "internal_networks")) = words.next() else { continue };
            let Some(network) = words.find(|word| is_wide(word)) else { continue };
            troubles.push(Trouble {
                program: Program::Spamassassin,
                name: "mail-trusts-strangers",
                is_bad: false,
                at: format!("{}:{}", read.place, at + 1),
                zones: zones.clone(),
                rest: format!("`{name}` has {network}: nobody who comes from there is looked up"),
                cause: "a public network as wide as that is a provider's, with all his customers; for all of whom are trusted no list is asked".to_owned(),
                cure: Cure {
                    how: format!("SpamAssassin: in that line, your own addresses in the place of {network} (or without it), and restart what calls it"),
                    lines: String::new(),
                },
            });
        }
    }
    troubles
}

/// `5.0.0.0/8`, `5/8`, `5.`; of all the world something else is told.
pub(in super::super) fn is_wide(word: &str) -> bool {
    let (start, bits) = match word.split_once('/') {
        Some((start, bits)) => (start, bits.parse().ok()),
        None => (word, None),
    };
    let octets: Option<Vec<u8>> =
        start.trim_end_matches('.').split('.').map(|octet| octet.parse().ok()).collect();
    let Some(octets) = octets.filter(|octets| octets.len() <= 4) else { return false };
    let bits = bits.or_else(|| start.ends_with('.').then_some(octets.len() as u32 * 8));
    let mut address = [0; 4];
    address[..octets.len()].copy_from_slice(&octets);
    let is_network = |bits: u32| (1..=WIDE).contains(&bits);
    bits.is_some_and(is_network) && is_public(IpAddr::V4(Ipv4Addr::from(address)))
}

#[cfg(test)]
mod tests {
    use super::super::super::spamassassin;
    use super::*;

    fn texts(files: &[(&str, &str)]) -> Vec<Read> {
        let read = |(place, text): &(&str, &str)| Read {
            program: Program::Spamassassin,
            place: (*place).to_owned(),
            text: (*text).to_owned(),
        };
        files.iter().map(read).collect()
    }

    const RULES: &str =
        "header A eval:check_rbl('a', 'a.test.', '127.0.0.4')\nurirhssub B b.test. A 127.0.0.4\n";

    #[test]
    fn plugins_that_nothing_loads() {
        let dns = "loadplugin Mail::SpamAssassin::Plugin::DNSEval\n";
        let uri = "loadplugin Mail::SpamAssassin::Plugin::URIDNSBL\n";
        let dead = |pre: &str| {
            let texts = texts(&[("a.pre", pre), ("a.cf", RULES)]);
            let mentions = spamassassin::mentions("a.cf", RULES);
            let told = dead(&unloaded(&texts, true), &mentions);
            told.into_iter().map(|idle| (idle.at, idle.cure.lines)).collect::<Vec<_>>()
        };
        assert_eq!(dead(&format!("{dns}{uri}")), []);
        assert_eq!(dead(&format!("{dns}if x\n{uri}endif\n")), []);
        assert_eq!(dead("include more.pre\n"), []);
        assert_eq!(dead(&format!("{dns}# {uri}")), [("a.cf:2".to_owned(), uri.trim().to_owned())]);
        assert_eq!(dead(uri), [("a.cf:1".to_owned(), dns.trim().to_owned())]);
        assert_eq!(unloaded(&texts(&[("a.pre", ""), ("a.cf", RULES)]), false), []);
        assert_eq!(unloaded(&texts(&[("a.cf", RULES)]), true), []);
        assert_eq!(unloaded(&texts(&[("a.pre", ""), ("a.cf", "score X 1\n")]), true), []);
    }

    #[test]
    fn networks_of_providers() {
        for wide in ["5.0.0.0/8", "5/8", "5.", "64.0.0.0/3"] {
            assert!(is_wide(wide), "{wide}");
        }
        for own in [
            "10.0.0.0/8",
            "127/8",
            "10.",
            "192.168.",
            "5.6.7.0/24",
            "5.6/16",
            "5.6.7.9",
            "0.0.0.0/0",
            "::1",
            "x",
            "!5.6.7.8",
        ] {
            assert!(!is_wide(own), "{own}");
        }
        let texts = texts(&[("a.cf", "# trusted_networks 5/8\ntrusted_networks 10/8 5/8\n")]);
        let found = trusting(&texts, &spamassassin::mentions("a.cf", RULES));
        assert_eq!(found.iter().map(|told| told.at.as_str()).collect::<Vec<_>>(), ["a.cf:2"]);
    }
}
