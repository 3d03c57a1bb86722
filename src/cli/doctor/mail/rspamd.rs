//! rspamd: rules of its `rbl` module.

use super::super::super::snippet::Program;
use super::filter::Filter;
use super::{Does, Mention};

/// A block: the zone that it names, where, and whether it looks at the answer.
#[derive(Debug, Default)]
struct Block {
    zone: Option<(String, usize)>,
    filtered: bool,
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
                mentions.extend(mention(file, &block));
                continue;
            }
            let word = part.split([' ', '=', '{']).next().unwrap_or_default();
            if let Some(block) = blocks.last_mut() {
                block.filtered |= matches!(word, "returncodes" | "returnbits" | "returncodes_matcher");
                if let (true, Some((_, value))) = (word == "rbl", part.split_once('=')) {
                    block.zone = Some((value.trim().trim_matches('"').to_owned(), at + 1));
                }
            }
            if part.ends_with('{') {
                blocks.push(Block::default());
            }
        }
    }
    mentions
}

fn mention(file: &str, block: &Block) -> Option<Mention> {
    let (zone, line) = block.zone.as_ref()?;
    Some(Mention {
        program: Program::Rspamd,
        at: format!("{file}:{line}"),
        zone: zone.parse().ok()?,
        filter: if block.filtered { Filter::Some } else { Filter::Open },
        does: Does::Weigh,
    })
}
