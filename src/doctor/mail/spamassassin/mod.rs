//! SpamAssassin: `check_rbl` and `urirhsbl` in its rules, and settings that keep it from asking.
//!
//! Which lines count is in `blocks`, `condition`, `again` and `astray`; what rules score, each and together, in `scores` and `sums`; whom it looks
//! up in `relays`; who calls it in `calls` and `amavis`.

pub(super) mod again;
pub(super) mod amavis;
pub(super) mod astray;
pub(super) mod blocks;
pub(super) mod calls;
mod condition;
pub(super) mod relays;
pub(super) mod scores;
mod sums;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::super::finding::Cure;
use super::filter::{Filter, of_pattern};
use super::off::Read;
use super::{Does, Idle, LooksUp, Mention};
use crate::snippet::Program;

/// What other rules look for in the answer of a set.
type Subtests = BTreeMap<String, Vec<Filter>>;

/// A line without its comment.
fn plain(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

/// Of all its files together: a rule of one looks into the answer that a rule of another asks for.
pub(super) fn all(texts: &[Read]) -> Vec<Mention> {
    let texts = || texts.iter().filter(|read| read.program == Program::Spamassassin);
    let subtests = subtests(texts().map(|read| read.text.as_str()));
    texts().flat_map(|read| asking(&read.place, &read.text, &subtests)).collect()
}

pub(super) fn mentions(file: &str, text: &str) -> Vec<Mention> {
    asking(file, text, &subtests(std::iter::once(text)))
}

fn subtests<'a>(texts: impl Iterator<Item = &'a str>) -> Subtests {
    let mut subtests = Subtests::new();
    for line in texts.flat_map(str::lines).map(plain) {
        let Some(arguments) = arguments(line, "eval:check_rbl_sub(") else { continue };
        if let [set, pattern, ..] = &arguments[..] {
            subtests.entry(set.clone()).or_default().push(of_pattern(pattern));
        }
    }
    subtests
}

fn asking(file: &str, text: &str, subtests: &Subtests) -> Vec<Mention> {
    let mut mentions = Vec::new();
    for (at, line) in text.lines().map(plain).enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let found = match words[..] {
            ["header", rule, ..] => evaluated(line, rule, subtests),
            ["urirhsbl", _, zone, ..] => vec![(zone.to_owned(), Filter::Open)],
            ["urirhssub", _, zone, _, code, ..] => vec![(zone.to_owned(), of_pattern(code))],
            _ => continue,
        };
        for (zone, filter) in found {
            let Ok(zone) = zone.trim_end_matches('.').parse() else { continue };
            let at = format!("{file}:{}", at + 1);
            let (program, does, looks_up) = (Program::Spamassassin, Does::Weigh, LooksUp::Something);
            mentions.push(Mention { program, at, zone, filter, does, looks_up });
        }
    }
    mentions
}

/// `eval:check_rbl('SET', 'ZONE.', 'SUBTEST')`. A rule whose name begins with `__` scores nothing: others look at its answer.
fn evaluated(line: &str, rule: &str, subtests: &Subtests) -> Vec<(String, Filter)> {
    let found = arguments(line, "eval:check_rbl(").or_else(|| arguments(line, "eval:check_rbl_txt("));
    let filters = match found.as_deref() {
        Some([set, _]) if rule.starts_with("__") => {
            subtests.get(set).cloned().unwrap_or_else(|| vec![Filter::Some])
        }
        Some([_, _]) => vec![Filter::Open],
        Some([_, _, pattern, ..]) => vec![of_pattern(pattern)],
        _ => return Vec::new(),
    };
    let zone = found.and_then(|found| found.get(1).cloned()).unwrap_or_default();
    filters.into_iter().map(|filter| (zone.clone(), filter)).collect()
}

/// The strings that a function is called with.
pub(super) fn arguments(line: &str, function: &str) -> Option<Vec<String>> {
    let call = line.split_once(function)?.1;
    let quote = call.chars().find(|c| matches!(c, '\'' | '"'))?;
    Some(call.split(quote).skip(1).step_by(2).map(str::to_owned).collect())
}

/// The value that a setting has in the end, and its line.
fn setting<'a>(text: &'a str, name: &str) -> Option<(&'a str, usize)> {
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let line = line.split('#').next().unwrap_or_default().trim();
        Some((line.strip_prefix(name)?.strip_prefix([' ', '\t'])?.trim(), at + 1))
    });
    lines.last()
}

/// The servers that it asks in the place of `/etc/resolv.conf`'s: `dns_server 192.0.2.1`, `dns_server 127.0.0.1:5353`, `dns_server [::1]:53`.
pub(super) fn servers(text: &str) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line == "clear_dns_servers" {
            servers.clear();
        }
        let Some(value) = line.strip_prefix("dns_server").and_then(|rest| rest.strip_prefix([' ', '\t']))
        else {
            continue;
        };
        let value = value.trim();
        let alone = value.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let with_port = || {
            value.strip_prefix('[').and_then(|rest| rest.split_once("]:")).or_else(|| value.split_once(':'))
        };
        servers.extend(match alone {
            Ok(ip) => Some(SocketAddr::new(ip, super::DNS)),
            Err(_) => {
                with_port().and_then(|(ip, port)| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?)))
            }
        });
    }
    servers
}

/// spamd that is started without its network tests, by `OPTIONS="… --local"`.
pub(super) fn started(path: &str, text: &str) -> Option<Idle> {
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let (name, value) = line.trim().split_once('=')?;
        matches!(name, "OPTIONS" | "SPAMDOPTIONS").then_some((at + 1, value))
    });
    // Of several the last holds.
    let (at, value) = lines.last()?;
    let words = value.trim().trim_matches(['"', '\'']).split_whitespace();
    let off = words.into_iter().find(|word| {
        let short = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        matches!(*word, "--local" | "--local-only") || short.is_some_and(|rest| rest == "L")
    })?;
    let restart = "restart spamd";
    Some(Idle {
        program: Program::Spamassassin,
        at: format!("{path}:{at}"),
        zones: Vec::new(),
        matters: true,
        cause: format!("`{off}` has spamd ask no list at all"),
        cure: Cure { how: format!("take `{off}` out of that line, and {restart}"), lines: String::new() },
    })
}

/// A setting that keeps it from asking any list: the line, its number.
pub(super) fn off(text: &str) -> Option<(String, usize)> {
    let off = |name: &str, is_off: fn(&str) -> bool| -> Option<(String, usize)> {
        let (value, line) = setting(text, name)?;
        is_off(value).then(|| (format!("{name} {value}"), line))
    };
    let all = |value: &str| value.split_whitespace().any(|net| matches!(net, "0.0.0.0/0" | "0/0" | "::/0"));
    off("skip_rbl_checks", |value| value != "0")
        .or_else(|| off("dns_available", |value| value == "no"))
        // Of whom all are trusted no relay is a client.
        .or_else(|| off("trusted_networks", all))
        .or_else(|| off("internal_networks", all))
}
