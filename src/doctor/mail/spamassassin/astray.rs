//! gatepost's text in a file that SpamAssassin does not read: of its folder it reads `*.cf` and `*.pre`. Pure.

use super::super::super::finding::Cure;
use super::super::spamassassin;
use super::super::trouble::Trouble;
use crate::snippet::Program;

const FOLDER: &str = "/etc/spamassassin";
/// What such a file is called by one who has taken it for rspamd's, or for one like others.
const NAMES: [&str; 4] = ["gatepost", "gatepost.conf", "gatepost.txt", "gatepost.rules"];

pub(in super::super) fn astray(read: &dyn Fn(&str) -> Option<String>) -> Vec<Trouble> {
    let lies = |name: &str| {
        let place = format!("{FOLDER}/{name}");
        let mentions = spamassassin::mentions(&place, &read(&place)?);
        Some(Trouble {
            program: Program::Spamassassin,
            name: "mail-not-asked",
            is_bad: true,
            at: mentions.first()?.at.clone(),
            zones: mentions.into_iter().map(|mention| mention.zone).collect(),
            rest: format!("what asks gatepost stands in {place}, which SpamAssassin does not read"),
            cause: format!("of {FOLDER} it reads what ends in .cf"),
            cure: Cure {
                how: format!("move {place} to {FOLDER}/gatepost.cf, and restart what calls SpamAssassin"),
                lines: String::new(),
            },
        })
    };
    NAMES.into_iter().filter_map(lies).collect()
}
