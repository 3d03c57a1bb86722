//! A configuration that Exim refuses: it does not start with it, and whatever else stands in it does nothing. Exim's own words where it is here;
//! and a macro that is defined twice, as a line makes it that is added a second time, which needs no Exim to be seen. Pure but for [`Said::here`],
//! which asks Exim.

use std::path::Path;

use super::super::super::child;
use super::super::super::finding::Cure;
use super::super::trouble::Trouble;
use super::astray::{Debians, MACROS, PARTS, TEMPLATE, form, is_left_over, is_read};
use super::unmade::{Unmade, explained};
use super::{Reads, Uses, uses_of};
use crate::model::Name;
use crate::snippet::Program;

/// As Debian calls it, and as others do; sbin is not on everybody's path.
pub(super) const PROGRAMS: [&str; 4] = ["exim4", "/usr/sbin/exim4", "exim", "/usr/sbin/exim"];
/// How Exim begins, behind the time, what it says of a configuration that it does not take.
const HEAD: &str = "Exim configuration ";
/// And those of its words that are about it: what else hinders it says nothing of what stands there.
const SAID: [&str; 2] = ["error", "has the wrong owner, group, or mode"];

const REFUSES: &str = "Exim refuses it and does not start";
const MAKES_NOTHING: &str = "update-exim4.conf makes nothing of it, and Exim is not started again";
/// Below conf.d.
const SECTIONS: [&str; 7] = ["main", "acl", "router", "transport", "retry", "rewrite", "auth"];

/// A macro that is defined with `=` where it is defined already.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Twice {
    pub(super) name: String,
    pub(super) places: [String; 2],
    pub(super) is_the_same: bool,
}

/// What Exim says of the configuration that it finds.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Taken,
    /// In these words.
    Refused(String),
    /// It is not here, or something else hinders it.
    Nothing,
}

impl Said {
    /// `-bV` reads the configuration, says its version and ends.
    pub(super) fn here(reads: &Reads) -> Self {
        let told = ["-C", &reads.file, "-bV"];
        let words = if reads.is_told { &told[..] } else { &told[2..] };
        Self::of(PROGRAMS.iter().find_map(|program| child::complained(program, words)))
    }

    /// How it ended, and what it complained of.
    pub(super) fn of(ended: Option<(bool, String)>) -> Self {
        match ended {
            Some((true, _)) => Self::Taken,
            Some((false, words)) => own(&words).map_or(Self::Nothing, Self::Refused),
            None => Self::Nothing,
        }
    }
}

/// Its words without the time, in one line.
fn own(words: &str) -> Option<String> {
    let words = &words[words.find(HEAD)?..];
    let is_about_it = SAID.iter().any(|said| words.lines().next().is_some_and(|line| line.contains(said)));
    is_about_it.then(|| words.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// `unmade` is what Debian's would be, `twice` those of the file that Exim reads, `read_one`, and `zones` what it asks.
pub(super) fn refused(
    read_one: &str,
    debians: &Debians<'_>,
    said: &Said,
    unmade: Option<&Unmade>,
    twice: &[Twice],
    mut zones: Vec<Name>,
) -> Option<Trouble> {
    let is_debians = read_one == super::super::EXIM_MADE;
    let next = if is_debians { next(debians) } else { Uses::default() };
    zones.extend(next.mentions.into_iter().map(|mention| mention.zone));
    // Of what Debian's is made of: there it is edited.
    let again = next.twice.first().or_else(|| twice.first().filter(|_| *said != Said::Taken));
    let (at, rest, words) = match (said, again, unmade) {
        (Said::Refused(words), ..) => (read_one.to_owned(), REFUSES, words.as_str()),
        (_, Some(again), _) if next.twice.is_empty() => (again.places[1].clone(), REFUSES, ""),
        (_, Some(again), _) => (again.places[1].clone(), MAKES_NOTHING, ""),
        (_, None, Some(unmade)) => (unmade.at(debians), MAKES_NOTHING, unmade.words.as_str()),
        (_, None, None) => return None,
    };
    let apply = if is_debians {
        "update-exim4.conf && systemctl restart exim4"
    } else {
        "exim -bV && systemctl restart exim"
    };
    let quoted = if words.is_empty() { String::new() } else { format!("Exim says `{words}`") };
    let explained = Some(words).filter(|_| is_debians).and_then(|words| explained(words, &at, debians));
    let (cause, how, lines) = match again {
        None => match explained {
            Some((why, cure)) => (format!("{why}: {quoted}"), cure.how, cure.lines),
            None => {
                (quoted, "Exim: set right what it complains of, and start it again".to_owned(), String::new())
            }
        },
        Some(Twice { name, places: [first, second], is_the_same }) => {
            let cause =
                format!("{name} is defined at {first} and again at {second}, which Exim takes for a mistake");
            let how = match is_the_same {
                true => format!(
                    "Exim: take out the line at {second}, which says the same again, and start Exim again"
                ),
                false => "Exim: have one of these two lines alone (where they name files: with what both of the files have in the one that is named), \
                          and start Exim again"
                    .to_owned(),
            };
            (if quoted.is_empty() { cause } else { format!("{cause}: {quoted}") }, how, String::new())
        }
    };
    Some(Trouble {
        program: Program::Exim,
        name: "mail-refused",
        is_bad: true,
        at,
        zones,
        rest: rest.to_owned(),
        cause,
        cure: Cure { how, lines: format!("{lines}\n{apply}").trim_start().to_owned() },
    })
}

/// What update-exim4.conf would make now, as far as macros and ACLs go.
fn next(debians: &Debians<'_>) -> Uses {
    uses_of(&sources(debians), debians.read)
}

/// What it is made of, in its order.
pub(super) fn sources(debians: &Debians<'_>) -> Vec<(String, String)> {
    let Some(is_split) = form(debians) else { return Vec::new() };
    let of_folder = |part: &str| (debians.files)(Path::new(&format!("{PARTS}{part}")));
    let places: Vec<String> = match is_split {
        true => SECTIONS.into_iter().flat_map(of_folder).map(|path| path.display().to_string()).collect(),
        false => [MACROS, TEMPLATE].map(str::to_owned).to_vec(),
    };
    let places = places.into_iter().filter(|place| is_read(place, is_split) && !is_left_over(place));
    places.filter_map(|place| Some((place.clone(), (debians.read)(Path::new(&place))?))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::uses;
    use super::*;

    const ASKS: &str = "acl_smtp_rcpt = rcpt\nbegin acl\nrcpt:\n  deny dnslists = a.test=127.0.0.4\n";

    fn told(read_one: &str, said: &Said, files: &[(&str, &str)]) -> Option<Trouble> {
        let debians = Debians {
            files: &|folder| {
                let within = files.iter().map(|(place, _)| PathBuf::from(place));
                within.filter(|path| path.parent() == Some(folder)).collect()
            },
            read: &|path| {
                files.iter().find(|(place, _)| Path::new(place) == path).map(|(_, text)| (*text).to_owned())
            },
        };
        let found =
            uses(read_one, (debians.read)(Path::new(read_one)).as_deref().unwrap_or_default(), debians.read);
        let zones = found.mentions.iter().map(|mention| mention.zone.clone()).collect();
        refused(read_one, &debians, said, None, &found.twice, zones)
    }

    #[test]
    fn what_exim_says() {
        let words = "2026-01-01 00:00:00 Exim configuration error in line 5 of /etc/e:\n  unknown word\n";
        assert_eq!(own(words).unwrap(), "Exim configuration error in line 5 of /etc/e: unknown word");
        assert!(
            own("2026-01-01 00:00:00 Exim configuration file /etc/e has the wrong owner, group, or mode\n")
                .is_some()
        );
        // These say nothing of what stands there.
        assert_eq!(own("exim: failed to find uid for user name \"x\"\n"), None);
        assert_eq!(
            own("2026-01-01 00:00:00 Exim configuration file /etc/e: failed to open: Permission denied\n"),
            None
        );

        let own = "/etc/exim4/exim4.conf";
        let refused =
            told(own, &Said::Refused("Exim configuration error: x".to_owned()), &[(own, ASKS)]).unwrap();
        assert!(refused.cause.contains("`Exim configuration error: x`"), "{refused:?}");
        assert_eq!((refused.at.as_str(), refused.zones.len()), (own, 1));
        for said in [Said::Taken, Said::Nothing] {
            assert_eq!(told(own, &said, &[(own, ASKS)]), None);
        }
    }

    #[test]
    fn macros_that_are_defined_twice() {
        let own = "/etc/exim4/exim4.conf";
        for (macros, is_refused) in [
            ("A = x\nA = x\n", true),
            ("A = x\nA = y\n", true),
            ("A = x\nA == y\n", false),
            (".ifndef A\nA = x\n.endif\n.ifndef A\nA = x\n.endif\n", false),
            (".ifdef B\nA = x\n.else\nA = y\n.endif\n", false),
        ] {
            let text = format!("{macros}{ASKS}");
            let found = told(own, &Said::Nothing, &[(own, &text)]);
            assert_eq!(found.is_some(), is_refused, "{macros}: {found:?}");
            // Exim knows it better.
            assert_eq!(told(own, &Said::Taken, &[(own, &text)]), None);
            let Some(found) = found else { continue };
            assert_eq!(found.at, format!("{own}:2"));
            assert_eq!(
                found.cure.how.contains("says the same again"),
                macros.contains("A = x\nA = x"),
                "{found:?}"
            );
        }
    }

    /// Exim goes on with what was made before, until it is started again.
    #[test]
    fn what_debian_makes_nothing_of() {
        let made = super::super::super::EXIM_MADE;
        let line = "CHECK_RCPT_LOCAL_ACL_FILE = /etc/exim4/gatepost.acl\n";
        let twice = format!("# x\n{line}{line}");
        for (split, place) in [("false", MACROS), ("true", "/etc/exim4/conf.d/main/000_local")] {
            let settings = format!("dc_use_split_config='{split}'\n");
            let of = |macros: &str| {
                told(
                    made,
                    &Said::Taken,
                    &[("/etc/exim4/update-exim4.conf.conf", &settings), (made, ASKS), (place, macros)],
                )
            };
            assert_eq!(of(line), None);
            let found = of(&twice).unwrap();
            assert_eq!(found.at, format!("{place}:3"));
            assert!(found.cause.contains(&format!("at {place}:2 and again at {place}:3")), "{found:?}");
            assert_eq!(found.cure.lines, "update-exim4.conf && systemctl restart exim4");
        }
    }
}
