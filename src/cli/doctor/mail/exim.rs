//! Exim: `dnslists` in its ACLs.

use super::super::super::snippet::Program;
use super::filter::Filter;
use super::{Does, Mention};

const VERBS: [&str; 7] = ["accept", "defer", "deny", "discard", "drop", "require", "warn"];

pub(super) fn mentions(file: &str, text: &str) -> Vec<Mention> {
    let mut mentions: Vec<Mention> = Vec::new();
    let (mut does, mut first) = (Does::Weigh, 0);
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let mut line = line.trim().to_owned();
        while line.ends_with('\\') {
            line.pop();
            line.push_str(lines.next().map_or("", |(_, more)| more.trim()));
        }
        let verb = line.split_whitespace().next().and_then(|word| VERBS.iter().find(|verb| **verb == word));
        if let Some(verb) = verb {
            does = if matches!(*verb, "deny" | "drop" | "defer") { Does::Reject } else { Does::Weigh };
            first = mentions.len();
        }
        let condition = verb.map_or(line.as_str(), |verb| line[verb.len()..].trim_start());
        let Some((name, value)) = condition.split_once('=') else { continue };
        let is_bounce = |does| if does == Does::Reject { Does::RejectBounces } else { does };
        match name.trim() {
            // An empty sender alone: it holds for the lists before it, too.
            "senders" if value.trim() == ":" => {
                does = is_bounce(does);
                mentions[first..].iter_mut().for_each(|mention| mention.does = is_bounce(mention.does));
            }
            "dnslists" => {
                let items = value.split(" :").map(str::trim);
                mentions.extend(items.filter_map(|item| mention(&format!("{file}:{}", at + 1), item, does)));
            }
            "!dnslists" => {
                let items = value.split(" :").map(str::trim);
                mentions
                    .extend(items.filter_map(|item| mention(&format!("{file}:{}", at + 1), item, Does::Let)));
            }
            _ => {}
        }
    }
    mentions
}

/// `ZONE`, `ZONE=CODE,CODE`, `ZONE=CODE/KEY`; `!=` filters nothing that is not named, `&` some bits.
fn mention(at: &str, item: &str, does: Does) -> Option<Mention> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let end = item.find(|c| !is_name(c)).unwrap_or(item.len());
    let (zone, rest) = item.split_at(end);
    let filter = match rest.split('/').next().unwrap_or_default() {
        rest if rest.starts_with("==") || rest.starts_with("=&") || rest.starts_with('&') => Filter::Some,
        rest => rest.strip_prefix('=').map_or(Filter::Open, Filter::of),
    };
    Some(Mention { program: Program::Exim, at: at.to_owned(), zone: zone.parse().ok()?, filter, does })
}
