//! Text of gatepost's in a file that Debian's Exim does not read: it has its configuration in many files or in one, and reads the one form or the
//! other.

use std::path::{Path, PathBuf};

use super::super::super::finding::Cure;
use super::super::trouble::Trouble;
use super::acl::{VERBS, label};
use super::{definition, uses};
use crate::model::Name;
use crate::snippet::Program;

const SETTINGS: &str = "/etc/exim4/update-exim4.conf.conf";
pub(super) const FOLDER: &str = "/etc/exim4";
/// Read where it is split.
pub(super) const PARTS: &str = "/etc/exim4/conf.d/";
const MAIN: &str = "/etc/exim4/conf.d/main/";
/// Read where it is not.
pub(super) const MACROS: &str = "/etc/exim4/exim4.conf.localmacros";
pub(super) const TEMPLATE: &str = "/etc/exim4/exim4.conf.template";
/// Names the file whose statements are put into the ACL of RCPT.
pub(super) const MACRO: &str = "CHECK_RCPT_LOCAL_ACL_FILE";
const APPLIED: &str = "update-exim4.conf && systemctl reload exim4";

/// How the files are looked at.
pub(in super::super) struct Debians<'a> {
    /// The files of a folder.
    pub(in super::super) files: &'a dyn Fn(&Path) -> Vec<PathBuf>,
    pub(in super::super) read: &'a dyn Fn(&Path) -> Option<String>,
}

/// What asks lists and is read by nobody. `read_one` is the file that Exim reads.
pub(super) fn astray(read_one: &str, debians: &Debians<'_>) -> Vec<Trouble> {
    let Some(settings) = (debians.read)(Path::new(SETTINGS)) else { return Vec::new() };
    let is_split = is_split(&settings);
    let made = (debians.read)(Path::new(read_one)).unwrap_or_default();
    let is_debians = read_one == super::super::EXIM_MADE;
    let all: Vec<(String, String)> = [FOLDER, "/etc/exim4/conf.d/main", "/etc/exim4/conf.d/acl"]
        .iter()
        .flat_map(|folder| (debians.files)(Path::new(folder)))
        .map(|path| path.display().to_string())
        .filter(|place| place != read_one && place != SETTINGS && !is_left_over(place))
        .filter_map(|place| Some((place.clone(), (debians.read)(Path::new(&place))?)))
        .collect();
    let defined = |wanted: &'static str| {
        all.iter().flat_map(move |(place, text)| {
            let named = text.lines().filter_map(|line| definition(line.trim()));
            named.filter(move |(name, _)| *name == wanted).map(|(_, value)| (place.as_str(), value))
        })
    };
    // As Debian proposes it: `CONFDIR/check_rcpt_local_acl`.
    let folder = defined("CONFDIR").next().map_or(FOLDER, |(_, folder)| folder);
    let macros: Vec<(&str, String)> =
        defined(MACRO).map(|(place, value)| (place, value.replace("CONFDIR", folder))).collect();
    let has_it = |place: &str| {
        let mut named = made.lines().filter_map(|line| definition(line.trim()));
        made.contains(place)
            || named.any(|(name, value)| name == MACRO && value.replace("CONFDIR", folder) == place)
    };
    let troubles = all.iter().filter_map(|(place, text)| {
        let zones = asked(place, text);
        zones.first()?;
        // The file that has what the macro names, or what is a part of the configuration itself.
        let names: Vec<&str> = macros.iter().filter(|(_, value)| value == place).map(|(at, _)| *at).collect();
        let at = names.iter().find(|at| is_read(at, is_split)).or_else(|| names.first()).copied();
        let part = at.unwrap_or(place);
        let is_part = at.is_some() || place.starts_with(PARTS) || place == TEMPLATE;
        let add = || Cure {
            how: format!("Exim: name the file in {}, which this form of the configuration reads", local(is_split)),
            lines: format!("{}\n{APPLIED}", named(place, is_split)),
        };
        let is_named_there = macros.iter().any(|(at, _)| is_read(at, is_split));
        let by_hand = || Cure {
            how: format!(
                "Exim: put the same statements into {}, then `{APPLIED}`",
                match macros.iter().find(|(at, _)| is_read(at, is_split)) {
                    Some((_, file)) => file,
                    None if is_split => "/etc/exim4/conf.d/acl/30_exim4-config_check_rcpt",
                    None => TEMPLATE,
                }
            ),
            lines: String::new(),
        };
        // An ACL with its name is none of the statements that the macro is for.
        let is_whole = text.lines().any(|line| label(line.trim()).is_some());
        let cured = || if is_whole || is_named_there { by_hand() } else { add() };
        let (cause, cure) = match () {
            () if !is_debians => (
                format!("Exim reads {read_one}, and none of the files that Debian's configuration is made of"),
                Cure {
                    how: format!("Exim: put the same statements into the ACL that acl_smtp_rcpt names in {read_one}; `gatepost snippet exim` prints them"),
                    lines: String::new(),
                },
            ),
            () if is_outside(place, text) => {
                let (cause, cure) = outside(place, is_split);
                (cause, Cure { lines: format!("{}\n{APPLIED}", cure.lines), ..cure })
            }
            () if !is_part => (
                format!("nothing has Exim read that file: {MACRO} names it nowhere"),
                cured(),
            ),
            () if !is_read(part, is_split) && has_odd_name(part) && is_split => (
                format!("update-exim4.conf passes over {part}: the name of a part has letters, digits, `_` and `-` alone"),
                Cure {
                    how: "Exim: give the file such a name".to_owned(),
                    lines: format!("mv {part} {}\n{APPLIED}", part.rsplit_once('.').map_or(part, |(name, _)| name)),
                },
            ),
            () if !is_read(part, is_split) => (
                format!(
                    "{SETTINGS} says dc_use_split_config='{is_split}': so {part} is not read, but {}",
                    if is_split { "what stands below /etc/exim4/conf.d" } else { "exim4.conf.localmacros and exim4.conf.template" }
                ),
                cured(),
            ),
            () if !has_it(place) && zones.iter().all(|zone| !made.contains(&zone.to_string())) => (
                format!("{read_one} was made before"),
                Cure { how: "Exim: make it again".to_owned(), lines: APPLIED.to_owned() },
            ),
            () => return None,
        };
        Some(Trouble {
            program: Program::Exim,
            name: "mail-not-asked",
            is_bad: true,
            at: place.clone(),
            rest: format!("what asks {} stands where Exim does not read it", zones[0]),
            zones,
            cause,
            cure,
        })
    });
    troubles.collect()
}

/// Where a person's macros are.
fn local(is_split: bool) -> &'static str {
    if is_split { "/etc/exim4/conf.d/main/000_local" } else { MACROS }
}

/// What has the macro name this file; typed again it adds no second line, which Exim would refuse.
fn named(place: &str, is_split: bool) -> String {
    let macros = local(is_split);
    format!("grep -qs '^{MACRO}' {macros} || echo '{MACRO} = {place}' >> {macros}")
}

/// Whether statements stand among macros and options.
fn is_outside(place: &str, text: &str) -> bool {
    let mut words = text.lines().filter_map(|line| line.split_whitespace().next());
    (place == MACROS || place.starts_with(MAIN))
        && words.clone().any(|word| VERBS.contains(&word))
        && !words.any(|word| word == "begin")
}

/// Why nothing is made of statements that stand in this file outside of an ACL, and what to do; it is not yet made.
pub(super) fn outside(place: &str, is_split: bool) -> (String, Cure) {
    const OWN: &str = "/etc/exim4/gatepost.acl";
    let cause =
        "these are statements of an ACL, and stand outside of one: update-exim4.conf makes nothing of them";
    let how = format!(
        "Exim: take these statements out of {place}, and have them in a file of their own, which {MACRO} names"
    );
    let lines = format!("gatepost snippet exim --write {OWN}\n{}", named(OWN, is_split));
    (cause.to_owned(), Cure { how, lines })
}

/// Whether the configuration is made of many files, if Debian's settings are here.
pub(super) fn form(debians: &Debians<'_>) -> Option<bool> {
    Some(is_split(&(debians.read)(Path::new(SETTINGS))?))
}

fn is_split(settings: &str) -> bool {
    settings.lines().any(|line| {
        let value = line.trim().strip_prefix("dc_use_split_config=");
        value.is_some_and(|value| value.trim_matches(['"', '\'']).eq_ignore_ascii_case("true"))
    })
}

/// What the text asks, wherever it stands.
pub(super) fn asked(place: &str, text: &str) -> Vec<Name> {
    // As one of statements alone: of what is defined elsewhere nothing is known.
    let statements: String =
        text.lines().filter(|line| label(line.trim()).is_none()).flat_map(|line| [line, "\n"]).collect();
    let found = uses(place, &statements, &|_| None);
    let idle = found.idle.into_iter().flat_map(|idle| idle.zones);
    found.mentions.into_iter().map(|mention| mention.zone).chain(idle).collect()
}

/// Whether the form that is in use has this file.
pub(super) fn is_read(place: &str, is_split: bool) -> bool {
    match is_split {
        true => place.starts_with(PARTS) && !has_odd_name(place),
        false => place == MACROS || place == TEMPLATE,
    }
}

/// What an editor or a package manager keeps of what there was.
pub(super) fn is_left_over(place: &str) -> bool {
    const ENDINGS: [&str; 5] = ["~", ".bak", ".old", ".orig", ".swp"];
    place.contains(".dpkg-") || place.contains(".ucf-") || ENDINGS.iter().any(|end| place.ends_with(end))
}

fn has_odd_name(place: &str) -> bool {
    let name = place.rsplit('/').next().unwrap_or_default();
    place.starts_with(PARTS) && !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKS: &str = "deny\n  dnslists = a.test=127.0.0.4\n";

    /// Why, and the first line of the cure.
    fn told(read_one: &str, split: &str, files: &[(&str, &str)]) -> Vec<(String, String)> {
        let settings = format!("# x\ndc_use_split_config='{split}'\n");
        let all: Vec<(&str, &str)> = files.iter().copied().chain([(SETTINGS, settings.as_str())]).collect();
        let debians = Debians {
            files: &|folder| {
                let within = all.iter().map(|(place, _)| PathBuf::from(place));
                within.filter(|path| path.parent() == Some(folder)).collect()
            },
            read: &|path| {
                let found = all.iter().find(|(place, _)| Path::new(place) == path)?;
                Some(found.1.to_owned())
            },
        };
        let found = astray(read_one, &debians).into_iter();
        found.map(|told| (told.cause, format!("{}\n{}", told.cure.how, told.cure.lines))).collect()
    }

    #[test]
    fn text_that_nobody_reads() {
        let made = super::super::super::EXIM_MADE;
        let one = |read_one: &str, split: &str, files: &[(&str, &str)]| {
            let found = told(read_one, split, files);
            let [told] = &found[..] else { panic!("{files:?}: {found:?}") };
            told.clone()
        };
        let part = "/etc/exim4/conf.d/acl/31_gatepost";
        let (cause, cure) = one(made, "false", &[(part, ASKS)]);
        assert!(cause.contains("dc_use_split_config='false'") && cause.contains(part), "{cause}");
        assert!(cure.contains(&format!("echo 'CHECK_RCPT_LOCAL_ACL_FILE = {part}' >> {MACROS}")), "{cure}");
        assert!(cure.ends_with(APPLIED), "{cure}");

        let file = "/etc/exim4/gatepost.acl";
        let names = format!("CHECK_RCPT_LOCAL_ACL_FILE = {file}\n");
        let (cause, cure) = one(made, "true", &[(file, ASKS), (MACROS, &names)]);
        assert!(cause.contains("dc_use_split_config='true'") && cause.contains(MACROS), "{cause}");
        assert!(cure.contains(&format!("{file}' >> /etc/exim4/conf.d/main/000_local")), "{cure}");

        let (cause, cure) = one(made, "false", &[(file, ASKS)]);
        assert!(cause.contains("names it nowhere") && cure.contains(MACROS), "{cause} {cure}");

        let (cause, cure) = one(made, "true", &[("/etc/exim4/conf.d/acl/31_gatepost.acl", ASKS)]);
        assert!(cause.contains("passes over") && cure.contains("mv "), "{cause} {cure}");

        // An ACL of its own.
        let (_, cure) = one(made, "false", &[(part, &format!("acl_check_rcpt:\n{ASKS}"))]);
        assert!(cure.contains("exim4.conf.template") && !cure.contains("echo"), "{cure}");

        for (split, at) in [("false", MACROS), ("true", "/etc/exim4/conf.d/main/000_local")] {
            let files = [(file, ASKS), (at, names.as_str()), (made, "begin acl\n")];
            let (cause, cure) = one(made, split, &files);
            assert!(cause.ends_with("was made before") && cure.ends_with(APPLIED), "{cause} {cure}");
            let files = [(file, ASKS), (at, names.as_str()), (made, "  .include /etc/exim4/gatepost.acl\n")];
            assert_eq!(told(made, split, &files), []);
        }

        // Statements among macros.
        for (split, at) in
            [("false", MACROS), ("true", "/etc/exim4/conf.d/main/99_gatepost"), ("true", MACROS)]
        {
            let (cause, cure) = one(made, split, &[(at, &format!("A = x\n{ASKS}"))]);
            assert!(cause.contains("outside of one"), "{cause}");
            assert!(
                cure.contains(&format!("out of {at}")) && !cure.contains(&format!("FILE = {at}")),
                "{cure}"
            );
            assert!(cure.contains(&format!("FILE = {file}' >> {}\n", local(split == "true"))), "{cure}");
            assert!(cure.ends_with(APPLIED), "{cure}");
        }

        // As Debian's own words propose it.
        let proposed = "/etc/exim4/check_rcpt_local_acl";
        let names = "CHECK_RCPT_LOCAL_ACL_FILE = CONFDIR/check_rcpt_local_acl\n";
        for (made_of, is_made) in [("begin acl\n", false), (names, true)] {
            let files = [(proposed, ASKS), (MACROS, names), (made, made_of)];
            let found = told(made, "false", &files);
            assert_eq!(found.is_empty(), is_made, "{found:?}");
            let is_so = |(cause, cure): &(String, String)| {
                cause.ends_with("was made before") && cure.ends_with(APPLIED)
            };
            assert!(found.iter().all(is_so), "{found:?}");
        }

        let own = "/etc/exim4/exim4.conf";
        let (cause, _) = one(own, "true", &[(part, ASKS), (own, "begin acl\n")]);
        assert!(cause.contains("reads /etc/exim4/exim4.conf"), "{cause}");
        assert_eq!(told(own, "false", &[(own, ASKS)]), []);
        assert_eq!(told(made, "false", &[(part, "deny hosts = x\n")]), []);
        assert_eq!(told(made, "false", &[("/etc/exim4/exim4.conf.template.dpkg-old", ASKS)]), []);
    }
}
