//! gatepost's text in a file that SpamAssassin does not read: of its folder it reads `*.cf` and `*.pre`, and what its user may read. Pure but for [`is_roots`].

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use super::super::super::finding::Cure;
use super::super::trouble::Trouble;
use super::super::{Mention, spamassassin};
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

/// Files that root alone may read, as a shell with `umask 077` makes them; `is_roots` tells.
pub(in super::super) fn shut(mentions: &[Mention], is_roots: &dyn Fn(&str) -> bool) -> Vec<Trouble> {
    let of_it = || mentions.iter().filter(|mention| mention.program == Program::Spamassassin);
    let file = |mention: &Mention| mention.at.split(':').next().unwrap_or_default().to_owned();
    let files: BTreeSet<String> = of_it().map(file).filter(|file| is_roots(file)).collect();
    let trouble = |place: String| Trouble {
        program: Program::Spamassassin,
        name: "mail-no-effect",
        is_bad: true,
        zones: of_it().filter(|mention| file(mention) == place).map(|mention| mention.zone.clone()).collect(),
        rest: "root alone may read it".to_owned(),
        cause:
            "spamd, amavis and milters look at mail as somebody else, and go on without what they cannot read"
                .to_owned(),
        cure: Cure {
            how: "let them read it, and restart what calls SpamAssassin".to_owned(),
            lines: format!("chmod 644 {place}"),
        },
        at: place,
    };
    files.into_iter().map(trouble).collect()
}

/// Whether root alone may read a file.
pub(in super::super) fn is_roots(file: &str) -> bool {
    fs::metadata(file).is_ok_and(|found| {
        let may_others = found.mode() & 0o004 != 0;
        let may_group = found.mode() & 0o040 != 0 && found.gid() != 0;
        found.uid() == 0 && !may_others && !may_group
    })
}
