//! What is said of how Postfix's `main.cf` is written: lines that lost their blanks or are two, and lists that are set more than once. Pure.

use super::super::finding::{Area, Check, Cure};
use super::postfix::{Broken, Glued, GoesOn, SITES, THRESHOLD};
use super::{Again, Idle, is_ours};
use crate::model::Name;
use crate::snippet::postscreen;
use crate::snippet::wiring::Wiring;

/// Lines of this file that are not what they were meant to be.
pub(super) fn broken(broken: &Broken, file: &str) -> Check {
    let Broken { line, says, is_fatal, goes_on } = broken;
    let at = format!("Postfix, {file}, line {line}");
    let Some(GoesOn { name, lines: (first, last), text }) = goes_on else {
        return Check::bad(Area::Mail, "mail-broken-line", format!("{at}: `{says}` sets nothing"))
            .because("Postfix reads no main.cf with such a line, and does not start: a line is `name = value`, and begins with a blank where it goes on with the one above")
            .cured_by("write it so, or take it out");
    };
    let does = match is_fatal {
        true => {
            "Postfix reads no main.cf with such a line (missing '=' after attribute name), and does not start"
        }
        false => "Postfix takes it for a parameter of its own, which nothing uses",
    };
    Check::bad(
        Area::Mail,
        "mail-broken-line",
        format!("{at}: `{says}` was to go on with {name}, and has no blank before it"),
    )
    .because(format!("a line that goes on with the value above has to begin with a blank; {does}"))
    .cured(Cure {
        how: format!("in {file}, in the place of lines {first} to {last}, then `postfix reload`"),
        lines: text.clone(),
    })
}

/// A line of this file that is two.
pub(super) fn glued(glued: &Glued, file: &str) -> Check {
    let Glued { line, own, added } = glued;
    let what = format!(
        "Postfix, {file}, line {line}: `{}` stands behind `{}`, in one line",
        added.trim_end(),
        own.trim()
    );
    Check::bad(Area::Mail, "mail-broken-line", what)
        .because("the file's last line had no end when something was added to it (`>>`): Postfix takes both for one value")
        .cured(Cure {
            how: format!("in {file}, these two lines in the place of line {line}, then `postfix reload`"),
            lines: format!("{}\n{added}", own.trim_end()),
        })
}

/// Lists of which something is lost, since a later line that has to do with gatepost sets them again.
pub(super) fn again(all: &[Again], wiring: &Wiring) -> Vec<Check> {
    all.iter().filter_map(|again| lost(again, wiring)).collect()
}

fn lost(again: &Again, wiring: &Wiring) -> Option<Check> {
    let Again { file, name, lines, last, .. } = again;
    if !again.asks.iter().any(|zone| is_ours(zone, wiring)) {
        return None;
    }
    // What an older text of gatepost's has is not missed.
    let lost: Vec<&str> =
        again.lost.iter().filter(|item| !is_about_ours(item, wiring)).map(String::as_str).collect();
    if lost.is_empty() {
        return None;
    }
    let lines = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let what = format!(
        "Postfix, {name} ({file}, line {lines}): set again in line {last}, and lost is {}",
        lost.join(", ")
    );
    let cause = "of several lines that set a parameter the last holds, and nothing is left of the others";
    let (check, cause) = match name.as_str() {
        // A table that names one has smtpd answer 451 to whom it judges.
        "smtpd_restriction_classes" => (
            Check::bad(Area::Mail, "mail-set-again", what),
            format!(
                "{cause}: where a table names a class that is none any more, smtpd answers 451 (Server configuration error)"
            ),
        ),
        _ => (Check::warn(Area::Mail, "mail-set-again", what), cause.to_owned()),
    };
    Some(check.because(cause).cured(match name.as_str() {
        SITES => sites_again(again, wiring),
        _ => {
            let items = again.joined.iter().filter(|item| !is_older(item, again, wiring));
            let how = format!(
                "in {file}, in the place of all lines that set it (lines {lines} and {last}), then `postfix reload`"
            );
            Cure { how, lines: listed(name, items.cloned()) }
        }
    }))
}

/// postscreen's sites of all lines that set them, with a threshold that fits.
pub(super) fn sites_again(again: &Again, wiring: &Wiring) -> Cure {
    let lines = again.lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Cure {
        how: format!(
            "in {}, in the place of all lines that set these (lines {lines} and {}, and {THRESHOLD}), then `postfix reload`",
            again.file, again.last
        ),
        lines: sites(again, wiring),
    }
}

impl Again {
    /// Whether it is why lines with postscreen's sites have no effect.
    pub(super) fn put_out(&self, idle: &Idle) -> bool {
        let is_its = |line: &usize| idle.at.starts_with(&format!("{SITES} (main.cf, line {line})"));
        // Another instance is named behind the line.
        let is_of_file = match idle.at.split_once(") of ") {
            Some((_, folder)) => self.file.strip_prefix(folder) == Some("/main.cf"),
            None => true,
        };
        self.name == SITES && is_of_file && self.lines.iter().any(is_its)
    }
}

fn is_about_ours(item: &str, wiring: &Wiring) -> bool {
    item.split([' ', '=', '*', '{', '}'])
        .any(|word| word.parse::<Name>().is_ok_and(|zone| is_ours(&zone, wiring)))
}

/// What an older text of gatepost's has and the one that holds has not.
fn is_older(item: &String, again: &Again, wiring: &Wiring) -> bool {
    again.lost.contains(item) && is_about_ours(item, wiring)
}

fn listed(name: &str, items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.map(|item| format!("    {item}")).collect();
    format!("{name} =\n{}", items.join(",\n"))
}

/// All sites, of which each weighs beside the threshold what it weighed beside its own.
fn sites(again: &Again, wiring: &Wiring) -> String {
    let (before, now) = again.thresholds;
    let others = again.joined.iter().filter(|item| !is_about_ours(item, wiring));
    let (earlier, later): (Vec<&String>, Vec<&String>) = others.partition(|item| again.lost.contains(item));
    let common = match (earlier.is_empty(), later.is_empty()) {
        (true, _) => now,
        (false, true) => before,
        (false, false) => before / divisor(before, now) * now,
    };
    let least = i64::try_from(postscreen::enough(wiring)).unwrap_or(i64::MAX);
    let threshold = common * ((least + common - 1) / common);
    let weighed = |site: &String, of: i64| {
        let (zone, weight) = site.rsplit_once('*').unwrap_or((site, "1"));
        weight
            .parse::<i64>()
            .map_or_else(|_| site.clone(), |weight| format!("{zone}*{}", weight * threshold / of))
    };
    let own =
        earlier.iter().map(|site| weighed(site, before)).chain(later.iter().map(|site| weighed(site, now)));
    let ours = postscreen::sites(wiring, usize::try_from(threshold).unwrap_or_default());
    format!("{}\n{THRESHOLD} = {threshold}", listed(SITES, ours.into_iter().chain(own)))
}

/// The greatest that both can be divided by.
fn divisor(one: i64, other: i64) -> i64 {
    if other == 0 { one } else { divisor(other, one % other) }
}
