//! amavis, which calls SpamAssassin for mail and goes by levels of its own in the place of `required_score`: what plain lines of its configuration,
//! a program in Perl, set. Pure but for [`Amavis::here`], which reads it.
//!
//! Never a guess: a value that is worked out is none, and nothing is said of it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::super::super::finding::Cure;
use super::super::{Idle, Mention};
use super::scores::Level;
use crate::snippet::Program;

/// Folders whose files Debian's reads, one after another.
const FOLDERS: [&str; 2] = ["/usr/share/amavis/conf.d", "/etc/amavis/conf.d"];
/// Where others have all of it.
const FILES: [&str; 3] = ["/etc/amavisd/amavisd.conf", "/etc/amavisd.conf", "/usr/local/etc/amavisd.conf"];
/// What Debian's administrators write into, which is read last.
const DEBIANS_OWN: &str = "/etc/amavis/conf.d/50-user";

const BYPASS: &str = "@bypass_spam_checks_maps";
const LOCAL: &str = "$sa_local_tests_only";
const MARKS: &str = "$sa_tag2_level_deflt";
const KILLS: &str = "$sa_kill_level_deflt";
const DESTINY: &str = "$final_spam_destiny";

/// A value, and where it is set.
#[derive(Debug, Clone, PartialEq)]
struct Set {
    value: String,
    at: String,
}

/// What is set in the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Amavis {
    bypass: Option<Set>,
    local: Option<Set>,
    marks: Option<Set>,
    kills: Option<Set>,
    destiny: Option<Set>,
    /// Where a line is to be put that counts more than those.
    own: String,
}

impl Amavis {
    /// The one that is here, where all that it reads can be read.
    pub(in super::super) fn here() -> Option<Self> {
        let mut files: Vec<PathBuf> = FOLDERS.iter().flat_map(|folder| listed(Path::new(folder))).collect();
        if files.is_empty() {
            files.extend(FILES.iter().map(PathBuf::from).find(|path| path.exists()));
        }
        let texts = files.iter().map(|path| Ok((path.display().to_string(), fs::read_to_string(path)?)));
        let texts: Vec<(String, String)> = texts.collect::<io::Result<_>>().ok()?;
        (!texts.is_empty()).then(|| Self::of(&texts))
    }

    fn of(texts: &[(String, String)]) -> Self {
        let is_debians = texts.iter().any(|(place, _)| place == DEBIANS_OWN);
        let own = if is_debians { DEBIANS_OWN } else { texts.last().map_or("", |(place, _)| place) };
        let mut amavis = Self { own: own.to_owned(), ..Self::default() };
        for (place, text) in texts {
            for (at, line) in text.lines().enumerate() {
                let Some((name, value)) = line.trim().split_once('=') else { continue };
                let slot = match name.trim_end() {
                    BYPASS => &mut amavis.bypass,
                    LOCAL => &mut amavis.local,
                    MARKS => &mut amavis.marks,
                    KILLS => &mut amavis.kills,
                    DESTINY => &mut amavis.destiny,
                    _ => continue,
                };
                let value = value.split([';', '#']).next().unwrap_or_default().split_whitespace().collect();
                *slot = Some(Set { value, at: format!("{place}:{}", at + 1) });
            }
        }
        amavis
    }

    /// What keeps it from calling SpamAssassin, or SpamAssassin from asking lists.
    pub(in super::super) fn off(&self, mentions: &[Mention]) -> Option<Idle> {
        let of_it = mentions.iter().filter(|mention| mention.program == Program::Spamassassin);
        let zones = of_it.map(|mention| mention.zone.clone()).collect();
        let idle = |at: &str, cause: &str, how: &str, lines: &str| Idle {
            program: Program::Spamassassin,
            at: at.to_owned(),
            zones,
            matters: true,
            cause: cause.to_owned(),
            cure: Cure { how: format!("{how}, and restart amavis"), lines: lines.to_owned() },
        };
        if let Some(Set { at, .. }) = self.bypass.as_ref().filter(|set| set.value == "(1)") {
            return Some(idle(
                at,
                "Postfix hands mail to amavis, which is told there to have no mail looked at by SpamAssassin (Debian's comes so)",
                &format!("put these lines into {}, before its last", self.own),
                "@bypass_spam_checks_maps = (\n   \\%bypass_spam_checks, \\@bypass_spam_checks_acl, \\$bypass_spam_checks_re);",
            ));
        }
        let Set { at, .. } = self.local.as_ref().filter(|set| set.value == "1")?;
        Some(idle(
            at,
            "Postfix hands mail to amavis, which is told there to have SpamAssassin ask no list",
            &format!("in the place of the line at {at}"),
            "$sa_local_tests_only = 0;",
        ))
    }

    /// Where it refuses, that counts from which it does; else that from which it marks.
    pub(in super::super) fn level(&self) -> Option<Level> {
        let refuses = self.destiny.as_ref().is_some_and(|set| set.value != "D_PASS");
        let (name, set) = if refuses { (KILLS, &self.kills) } else { (MARKS, &self.marks) };
        let set = set.as_ref()?;
        let value = set.value.parse().ok()?;
        Some(Level { name, value, at: set.at.clone() })
    }
}

/// What `run-parts` lists: names of letters, digits, `-` and `_`.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| is_part(path) && !path.is_dir()).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[(&str, &str)]) -> Amavis {
        let own = texts.iter().map(|(place, text)| ((*place).to_owned(), (*text).to_owned()));
        Amavis::of(&own.collect::<Vec<_>>())
    }

    #[test]
    fn of_several_the_last_holds() {
        let package =
            ("/usr/share/amavis/conf.d/20-package", "@bypass_spam_checks_maps  = (1);  # DISABLE\n");
        let shipped =
            ("/etc/amavis/conf.d/15-content_filter_mode", "#@bypass_spam_checks_maps = (\n#  \\%x);\n");
        let switched =
            ("/etc/amavis/conf.d/15-content_filter_mode", "@bypass_spam_checks_maps = (\n  \\%x);\n");
        let off = of(&[package, shipped]).off(&[]).unwrap();
        assert_eq!(off.at, "/usr/share/amavis/conf.d/20-package:1");
        assert_eq!(of(&[package, switched]).off(&[]), None);
        let local = ("/etc/amavis/conf.d/50-user", "use strict;\n$sa_local_tests_only = 1;\n");
        assert_eq!(of(&[package, switched, local]).off(&[]).unwrap().at, "/etc/amavis/conf.d/50-user:2");
    }

    #[test]
    fn levels() {
        let defaults = "$sa_tag2_level_deflt = 6.31; # add\n$sa_kill_level_deflt = 6.9;\n";
        let level = of(&[("/a", defaults)]).level().unwrap();
        assert_eq!((level.name, level.value, level.at.as_str()), ("$sa_tag2_level_deflt", 6.31, "/a:1"));
        let refusing = of(&[("/a", defaults), ("/b", "$final_spam_destiny = D_REJECT;\n")]).level().unwrap();
        assert_eq!((refusing.name, refusing.value), ("$sa_kill_level_deflt", 6.9));
        // What is worked out.
        assert_eq!(of(&[("/a", "$sa_tag2_level_deflt = $x + 1;\n")]).level(), None);
    }
}
