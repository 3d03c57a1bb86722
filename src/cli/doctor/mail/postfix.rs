//! Postfix: `main.cf`, as postconf(5) has it.

use super::super::super::snippet::Program;
use super::filter::Filter;
use super::{Does, Mention};

/// Parameters: a line that begins with a blank goes on with the one before it.
pub(in super::super) fn parameters(text: &str) -> Vec<(String, String)> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match (line.starts_with([' ', '\t']), line.split_once('='), parameters.last_mut()) {
            (true, _, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (false, Some((name, value)), _) => {
                parameters.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => {}
        }
    }
    parameters
}

pub(super) fn mentions(text: &str) -> Vec<Mention> {
    let parameters = parameters(text);
    let mut mentions = Vec::new();
    for (name, value) in &parameters {
        let mut words = value.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        if name == "postscreen_dnsbl_sites" {
            mentions.extend(words.filter_map(|site| mention(name, site, Does::Weigh)));
            continue;
        }
        // `<> = CLASS` in another parameter.
        let of_bounces =
            parameters.iter().any(|(_, value)| value.replace(' ', "").contains(&format!("<>={name}")));
        while let Some(word) = words.next() {
            let does = match word {
                "reject_rbl_client"
                | "reject_rhsbl_client"
                | "reject_rhsbl_helo"
                | "reject_rhsbl_sender"
                | "reject_rhsbl_reverse_client"
                | "reject_rhsbl_recipient"
                    if of_bounces =>
                {
                    Does::RejectBounces
                }
                "reject_rbl_client"
                | "reject_rhsbl_client"
                | "reject_rhsbl_helo"
                | "reject_rhsbl_sender"
                | "reject_rhsbl_reverse_client"
                | "reject_rhsbl_recipient" => Does::Reject,
                "permit_dnswl_client" | "permit_rhswl_client" => Does::Let,
                _ => continue,
            };
            mentions.extend(words.next().and_then(|zone| mention(name, zone, does)));
        }
    }
    mentions
}

/// `ZONE`, `ZONE=FILTER`, `ZONE=FILTER*WEIGHT`.
fn mention(at: &str, text: &str, does: Does) -> Option<Mention> {
    let text = text.split('*').next().unwrap_or(text);
    let (zone, filter) = match text.split_once('=') {
        Some((zone, filter)) => (zone, Filter::of(filter)),
        None => (text, Filter::Open),
    };
    Some(Mention { program: Program::Postfix, at: at.to_owned(), zone: zone.parse().ok()?, filter, does })
}
