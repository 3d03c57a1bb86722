//! rspamd: rules of its `rbl` module, and which servers it asks.
//!
//! How its files come together is in `tree`, which rules hold in `rules`, what they do in `does` and for whom not in `local`; which files and blocks
//! count at all in `files` and `blocks`; whether Postfix hands it mail in `proxy` and `workers`, whether it runs in `runs` and `refused`.

pub(super) mod blocks;
pub(super) mod does;
pub(super) mod files;
pub(super) mod local;
pub(super) mod proxy;
mod refused;
pub(super) mod rules;
pub(super) mod runs;
pub(super) mod tree;
pub(super) mod workers;

use std::net::{Ipv6Addr, SocketAddr};

use super::filter::Filter;
use super::{Does, LooksUp, Mention};
use crate::snippet::Program;

/// A block: its name, the zone that it names, where, and what it looks at in the answer.
#[derive(Debug, Default)]
struct Block {
    name: String,
    zone: Option<(String, usize)>,
    filtered: bool,
    /// The codes that it knows.
    codes: Vec<String>,
}

pub(super) fn mentions(file: &str, text: &str) -> Vec<Mention> {
    let mut mentions = Vec::new();
    let mut blocks = vec![Block::default()];
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        // One statement after the other, braces by themselves.
        let parted = line.replace('{', "{;").replace('}', ";};");
        for part in parted.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            if part == "}" {
                let block = blocks.pop().unwrap_or_default();
                if let Some(outer) = blocks.last_mut().filter(|_| block.name == "returncodes") {
                    outer.codes.extend(block.codes);
                    continue;
                }
                mentions.extend(mention(file, &block));
                continue;
            }
            let word = part.split([' ', '=', '{']).next().unwrap_or_default();
            if let Some(block) = blocks.last_mut() {
                block.filtered |= matches!(word, "returncodes" | "returnbits" | "returncodes_matcher");
                if let (true, Some((_, value))) = (word == "rbl", part.split_once('=')) {
                    block.zone = Some((value.trim().trim_matches('"').to_owned(), at + 1));
                }
                if block.name == "returncodes" {
                    let values = part.split_once('=').map_or(part, |(_, values)| values);
                    block.codes.extend(values.split('"').skip(1).step_by(2).map(str::to_owned));
                }
            }
            if part.ends_with('{') {
                blocks.push(Block { name: word.to_owned(), ..Block::default() });
            }
        }
    }
    mentions
}

/// In a code of rspamd's: several, or a network, are none to it.
const NO_CODE: [char; 3] = [',', ';', '/'];

fn mention(file: &str, block: &Block) -> Option<Mention> {
    let (zone, line) = block.zone.as_ref()?;
    let filter = match (block.filtered, block.codes.is_empty()) {
        (false, _) => Filter::Open,
        (true, true) => Filter::Some,
        (true, false) => Filter::of_each(block.codes.iter().map(String::as_str), &NO_CODE),
    };
    let zone = zone.trim_end_matches('.').parse().ok()?;
    let (at, looks_up) = (format!("{file}:{line}"), LooksUp::Something);
    Some(Mention { program: Program::Rspamd, at, zone, filter, does: Does::Weigh, looks_up })
}

/// The servers that `dns { nameserver = … }` names in the place of `/etc/resolv.conf`: `127.0.0.1`, `127.0.0.1:53:10`, `master-slave:…`.
pub(super) fn servers(text: &str) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    let plain: String =
        text.lines().map(|line| line.split('#').next().unwrap_or_default().to_owned() + "\n").collect();
    for (at, _) in plain.match_indices("nameserver") {
        let rest = &plain[at..];
        let Some((_, value)) = rest.split_once('=') else { continue };
        let end = if value.trim_start().starts_with('[') { "];" } else { ";" };
        let value = value.split(['}']).next().unwrap_or_default();
        let value = value.split(end).next().unwrap_or_default();
        for word in value.split('"').skip(1).step_by(2) {
            let word = word.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '-');
            let word = word.strip_prefix(':').filter(|rest| !rest.starts_with(':')).unwrap_or(word);
            servers.extend(server(word));
        }
    }
    servers
}

/// `192.0.2.1`, `192.0.2.1:53:10`, `[::1]:53`, `::1`
fn server(word: &str) -> Option<SocketAddr> {
    let (ip, rest) = match word.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None if word.parse::<Ipv6Addr>().is_ok() => (word, ""),
        None => word.split_at(word.find(':').unwrap_or(word.len())),
    };
    let port = rest.split(':').nth(1).and_then(|port| port.parse().ok());
    Some(SocketAddr::new(ip.parse().ok()?, port.unwrap_or(super::DNS)))
}
