//! Whom rspamd takes for its own (`local_addrs`), and asks no list for: the world, a provider's customers, or fewer than Postfix does. Pure.

use std::net::{IpAddr, Ipv4Addr};

use super::super::super::finding::Cure;
use super::super::Idle;
use super::super::trouble::Trouble;
use super::rules::Rules;
use super::tree::{Block, Value};
use crate::config::{is_nobodys_own, is_public};
use crate::model::{Name, Subject};
use crate::snippet::Program;

/// Where an administrator's own are added to those that rspamd has by itself.
const OWN: &str = "/etc/rspamd/local.d/options.inc";

/// `local_addrs`, as they are in effect.
#[derive(Debug, Default)]
pub(in super::super) struct Local {
    networks: Vec<(Subject, String, String)>,
    /// A map, or what else stands there and cannot be read here.
    is_open: bool,
    /// The zones that are not asked for who is there.
    zones: Vec<Name>,
}

impl Local {
    /// `read` gives the text of a map.
    pub(in super::super) fn of(tree: &Block, rules: &Rules, read: &dyn Fn(&str) -> Option<String>) -> Self {
        let options = tree.beside("options");
        let nodes = options.all("local_addrs").iter().flat_map(|node| match &node.value {
            Value::List(list) => list.iter().collect(),
            _ => vec![node],
        });
        let mut local = Self::default();
        for node in nodes {
            let words = node.text().unwrap_or("/").split([',', ' ']).filter(|word| !word.is_empty());
            for word in words {
                match word.parse() {
                    Ok(network) => local.networks.push((network, word.to_owned(), node.at.clone())),
                    Err(_) => local.map(word, read),
                }
            }
        }
        let excluding = rules.rules.iter().filter(|rule| rule.excludes_local && rule.looks_up_addresses());
        local.zones = excluding.map(|rule| rule.zone.clone()).collect();
        local
    }

    /// A network is the first word of a line.
    fn map(&mut self, word: &str, read: &dyn Fn(&str) -> Option<String>) {
        self.is_open = true;
        let path = word.strip_prefix("file://").unwrap_or(word);
        let Some(text) = Some(path).filter(|path| path.starts_with('/')).and_then(read) else { return };
        for (at, line) in text.lines().enumerate() {
            let word = line.split(['#', ';', ' ', '\t']).next().unwrap_or_default().trim_matches('"');
            let network = word.parse().ok();
            self.networks
                .extend(network.map(|network| (network, word.to_owned(), format!("{path}:{}", at + 1))));
        }
    }

    /// Everybody is its own.
    pub(in super::super) fn everybody(&self) -> Option<Idle> {
        let (_, word, at) = self.networks.iter().find(|(network, ..)| is_nobodys_own(network))?;
        Some(Idle {
            program: Program::Rspamd,
            at: at.clone(),
            zones: self.zones.clone(),
            matters: true,
            cause: format!(
                "`local_addrs` has {word}: who comes from there is taken for one's own, and for those no list is asked (exclude_local)"
            ),
            cure: take(word, at),
        })
    }

    /// So are all customers of a provider.
    pub(in super::super) fn strangers(&self) -> Option<Trouble> {
        let (_, word, at) =
            self.networks.iter().find(|(network, word, _)| is_providers(word) && !is_nobodys_own(network))?;
        Some(Trouble {
            program: Program::Rspamd,
            name: "mail-trusts-strangers",
            is_bad: false,
            at: at.clone(),
            zones: self.zones.clone(),
            rest: format!("`local_addrs` has {word}: nobody who comes from there is looked up"),
            cause: "a public network as wide as that is a provider's, with all his customers; for those no list is asked".to_owned(),
            cure: take(word, at),
        })
    }

    /// Networks that Postfix lets pass, and of which rspamd knows nothing.
    pub(in super::super) fn forgotten(&self, own: &[Subject]) -> Option<Trouble> {
        let is_known = |network: &Subject| self.networks.iter().any(|(known, ..)| known.covers(network));
        let forgotten: Vec<String> =
            own.iter().filter(|network| !is_known(network)).map(|network| format!("\"{network}\"")).collect();
        if forgotten.is_empty() || self.is_open {
            return None;
        }
        // What overrides takes the place of all others.
        let overrides = |(_, _, at): &&(Subject, String, String)| {
            !at.starts_with(OWN) && !at.contains("/rspamd/options.inc")
        };
        let file = self.networks.iter().find(overrides).and_then(|(_, _, at)| at.rsplit_once(':'));
        let file = file.map_or(OWN, |(file, _)| file);
        let line = format!("local_addrs = [{}];", forgotten.join(", "));
        let (how, lines) = match file == OWN {
            true => (format!("rspamd: into {file}, beside what is there, and restart rspamd"), line),
            false => (
                format!("rspamd: into `local_addrs` in {file}, beside what is there, and restart rspamd"),
                forgotten.join(", "),
            ),
        };
        Some(Trouble {
            program: Program::Rspamd,
            name: "mail-own-people",
            is_bad: false,
            at: "local_addrs".to_owned(),
            zones: self.zones.clone(),
            rest: format!("own networks are rejected when a list of gatepost's has them: {}", forgotten.join(", ")),
            cause: "Postfix lets them pass (mynetworks) and hands their mail to rspamd, which takes none for its own but those in `local_addrs`".to_owned(),
            cure: Cure { how, lines },
        })
    }
}

/// A public network that is wider than any organisation's that sends mail.
fn is_providers(word: &str) -> bool {
    const WIDEST: u8 = 16;
    let Some((start, bits)) = word.split_once('/') else { return false };
    let start = start.parse::<Ipv4Addr>().is_ok_and(|start| is_public(IpAddr::V4(start)));
    start && bits.parse::<u8>().is_ok_and(|bits| bits < WIDEST)
}

fn take(word: &str, at: &str) -> Cure {
    Cure {
        how: format!(
            "take {word} out of `local_addrs` at {at} (your own networks may stand there), and restart rspamd"
        ),
        lines: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{FOLDER, tree};
    use super::*;

    const COMES: &str = "local_addrs = [192.168.0.0/16, 10.0.0.0/8, fd00::/8];\n";

    fn of(files: &[(&str, &str)]) -> Local {
        let rules =
            ("local.d/rbl.conf", "rbls { a { rbl = \"a.test\"; returncodes { A = \"127.0.0.4\"; } } }");
        let tree = tree(&|path| {
            let mut all = files.iter().chain([&("options.inc", COMES), &rules]);
            let found = all.find(|(name, _)| path == format!("{FOLDER}/{name}"));
            found.map(|(_, text)| (*text).to_owned())
        });
        Local::of(&tree, &Rules::of(&tree), &|path| {
            let found = files.iter().find(|(name, _)| path == format!("{FOLDER}/{name}"));
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn whom_it_takes_for_its_own() {
        let local = "local.d/options.inc";
        let everybody = |text: &str| of(&[(local, text)]).everybody().map(|idle| (idle.at, idle.zones.len()));
        let at = |line: usize| Some((format!("{FOLDER}/{local}:{line}"), 1));
        assert_eq!(everybody("local_addrs = [\n\"0.0.0.0/0\"];"), at(2));
        assert_eq!(everybody("local_addrs = 0.0.0.0/0;"), at(1));
        assert_eq!(everybody("local_addrs = [\"::/0\"];"), at(1));
        assert_eq!(everybody("local_addrs = [\"5.0.0.0/8\"];"), None);
        assert_eq!(everybody("# local_addrs = [\"0.0.0.0/0\"];"), None);
        let strangers = |text: &str| of(&[(local, text)]).strangers().map(|told| told.rest);
        for wide in ["5.0.0.0/8", "5.0.0.0/12"] {
            assert!(strangers(&format!("local_addrs = [\"{wide}\"];")).unwrap().contains(wide));
        }
        let map = |text: &str| of(&[(local, "local_addrs = \"/etc/rspamd/nets\";"), ("nets", text)]);
        let told = map("# 5.0.0.0/8\n5.6.7.0/24\n5.0.0.0/8 a provider's\n").strangers().unwrap();
        assert_eq!(told.at, "/etc/rspamd/nets:3");
        assert_eq!(map("5.6.7.0/24\n0.0.0.0/0\n").everybody().unwrap().at, "/etc/rspamd/nets:2");
        assert_eq!(map("5.6.7.0/24\n").strangers(), None);
        for right in ["", "local_addrs = [\"10.0.0.0/8\", \"5.6.0.0/16\"];", "local_addrs = [\"0.0.0.0/0\"];"]
        {
            assert_eq!(strangers(right), None, "{right}");
        }
    }

    #[test]
    fn networks_that_it_does_not_know() {
        let own: Vec<Subject> =
            ["5.6.7.0/24", "2a00:1::/32"].iter().map(|text| text.parse().unwrap()).collect();
        let local = "local.d/options.inc";
        let told =
            |files: &[(&str, &str)]| of(files).forgotten(&own).map(|told| (told.cure.how, told.cure.lines));
        let (how, lines) = told(&[]).unwrap();
        assert!(how.contains(OWN), "{how}");
        assert_eq!(lines, "local_addrs = [\"5.6.7.0/24\", \"2a00:1::/32\"];");
        assert_eq!(told(&[(local, &lines)]), None);
        let half = "local_addrs = [\"5.6.0.0/16\"];\n";
        assert_eq!(told(&[(local, half)]).unwrap().1, "local_addrs = [\"2a00:1::/32\"];");
        assert_eq!(told(&[(local, &format!("{half}local_addrs = [\"2a00:1::/32\"];"))]), None);
        // What overrides, and what is a map.
        let (how, _) = told(&[(local, &lines), ("override.d/options.inc", half)]).unwrap();
        assert!(how.contains("override.d/options.inc"), "{how}");
        assert_eq!(told(&[(local, "local_addrs = \"/etc/rspamd/nets\";")]), None);
    }
}
