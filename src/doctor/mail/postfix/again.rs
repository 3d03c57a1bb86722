//! Parameters that `main.cf` sets more than once, of which the last holds: what an earlier line has that is lost. Pure.
//!
//! Never: numbers and words of which there can be one alone, nor what asks nothing.

use super::super::super::finding::Cure;
use super::super::{Again, Idle};
use super::Setup;
use super::config::Written;
use super::effect::{RESTRICTIONS, is_printed_class};
use super::restrictions::{elements, questions, restrictions, words};
use super::screen::{self, SITES, THRESHOLD};
use super::tables::named as named_by;
use crate::model::Name;
use crate::snippet::Program;

pub(super) const CLASSES: &str = "smtpd_restriction_classes";
pub(super) const ACCESS: &str = "postscreen_access_list";

/// Lists that are set again, each once.
pub(in super::super) fn again(setup: &Setup) -> Vec<Again> {
    let names = RESTRICTIONS.into_iter().chain([CLASSES, SITES, ACCESS]);
    names.filter_map(|name| of(setup, name)).collect()
}

fn of(setup: &Setup, name: &str) -> Option<Again> {
    let all: Vec<&Written> = setup.written.iter().filter(|written| written.name == name).collect();
    let (last, earlier) = all.split_last()?;
    let holds = items(name, &last.value);
    let is_lost = |item: &String| !holds.iter().any(|held| same(name, held, item));
    let mut own: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for written in earlier {
        let items = items(name, &written.value);
        if items.iter().any(is_lost) {
            lines.push(written.line);
            own.extend(items.into_iter().filter(|item| !own.contains(item)).collect::<Vec<_>>());
        }
    }
    let lost: Vec<String> = own.iter().filter(|item| is_lost(item)).cloned().collect();
    // What a site weighs is said by the last.
    let own = if name == SITES { lost.clone() } else { own };
    (!lines.is_empty()).then(|| Again {
        file: setup.main_cf(),
        name: name.to_owned(),
        lines,
        last: last.line,
        asks: asks(setup, name, &last.value),
        lost,
        joined: joined(name, &own, holds),
        thresholds: thresholds(setup, last.line),
    })
}

/// What a list is made of.
fn items(name: &str, value: &str) -> Vec<String> {
    match RESTRICTIONS.contains(&name) {
        true => restrictions(value).into_iter().map(|restriction| restriction.text).collect(),
        false => elements(value).map(str::to_owned).collect(),
    }
}

/// Whether they are one item; a site may have been given another weight.
fn same(name: &str, one: &str, other: &str) -> bool {
    let site = |item: &str| item.split('*').next().unwrap_or_default().to_owned();
    one == other || name == SITES && site(one) == site(other)
}

/// The zones that the value that holds has something to do with.
fn asks(setup: &Setup, name: &str, value: &str) -> Vec<Name> {
    let of = |value: &str| -> Vec<Name> {
        questions(value).iter().filter_map(|asks| asks.mention(name)).map(|mention| mention.zone).collect()
    };
    let sites = || setup.parameters.get(SITES).map_or("", String::as_str);
    match name {
        SITES => screen::sites(value).into_iter().map(|site| site.zone).collect(),
        ACCESS => screen::sites(sites()).into_iter().map(|site| site.zone).collect(),
        CLASSES => {
            words(value).filter_map(|class| setup.parameters.get(class)).flat_map(|value| of(value)).collect()
        }
        _ => of(value),
    }
}

/// Own ones in their order, then what came later: before that behind which nothing is looked at.
fn joined(name: &str, own: &[String], holds: Vec<String>) -> Vec<String> {
    let mut joined = own.to_vec();
    let ends = |item: &String| restrictions(item).first().is_some_and(|restriction| restriction.ends);
    let end = RESTRICTIONS.contains(&name).then(|| own.iter().position(ends)).flatten();
    let more = holds.into_iter().filter(|item| !own.contains(item)).collect::<Vec<_>>();
    let at = end.unwrap_or(own.len());
    joined.splice(at..at, more);
    joined
}

/// From which sum on postscreen refused by what stands before the line, and from which it does.
fn thresholds(setup: &Setup, line: usize) -> (i64, i64) {
    let mut set = setup.written.iter().filter(|written| written.name == THRESHOLD);
    let value = |written: Option<&Written>| {
        written.and_then(|written| written.value.parse().ok()).filter(|value| *value > 0).unwrap_or(1)
    };
    let before = set.clone().rfind(|written| written.line < line);
    (value(before), value(set.next_back()))
}

/// Classes for lists that `smtpd_restriction_classes` does not name: smtpd answers 451 to whom they are to judge.
pub(super) fn unclassed(setup: &Setup) -> Vec<Idle> {
    let classes = setup.parameters.get(CLASSES).map_or("", String::as_str);
    let null = setup.parameters.get("smtpd_null_access_lookup_key").map_or("<>", String::as_str);
    let set = setup.written.iter().rfind(|written| written.name == CLASSES);
    let mut idle = Vec::new();
    // Of a parameter that nothing uses `postconf` does not say what holds.
    for Written { name, value, line } in &setup.written {
        let zones: Vec<Name> = questions(value)
            .iter()
            .filter_map(|asks| asks.mention(name))
            .map(|mention| mention.zone)
            .collect();
        let is_one = RESTRICTIONS.contains(&name.as_str()) || words(classes).any(|class| class == name);
        let is_last =
            setup.written.iter().rfind(|other| other.name == *name).is_some_and(|last| last.line == *line);
        if is_one || zones.is_empty() || !is_last {
            continue;
        }
        let mut lists = RESTRICTIONS.iter().filter_map(|list| Some((list, setup.parameters.get(*list)?)));
        let named = lists
            .find(|(_, list)| !named_by(list, name, null, &setup.tables).0.is_empty())
            .map(|(list, _)| list);
        if named.is_none() && !is_printed_class(name) {
            continue;
        }
        let what = match set {
            Some(set) => format!("{CLASSES} (main.cf, line {}) does not name {name}", set.line),
            None => format!("nothing sets {CLASSES}, which has to name {name}"),
        };
        let cause = match named {
            Some(list) => format!(
                "{what}, and {list} does: smtpd answers 451 (Server configuration error) to whom it is to judge"
            ),
            None => what,
        };
        let how = match set {
            Some(set) => format!("in main.cf, in the place of line {}, then `postfix reload`", set.line),
            None => "in main.cf, then `postfix reload`".to_owned(),
        };
        let all: Vec<&str> = words(classes).chain([name.as_str()]).collect();
        idle.push(Idle {
            program: Program::Postfix,
            at: format!("{name} (main.cf, line {line})"),
            zones,
            matters: named.is_some(),
            cause,
            cure: Cure { how, lines: format!("{CLASSES} = {}", all.join(", ")) },
        });
    }
    idle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(main: &str) -> Vec<(String, Vec<usize>, String)> {
        let setup = Setup::read(main, None);
        again(&setup).into_iter().map(|again| (again.name, again.lines, again.joined.join(" | "))).collect()
    }

    const OURS: &str = "smtpd_recipient_restrictions =\n permit_mynetworks,\n reject_unauth_destination,\n reject_rbl_client b.test=127.0.0.2\n";

    #[test]
    fn what_an_earlier_line_has_is_joined() {
        let own = "smtpd_recipient_restrictions = permit_mynetworks, check_policy_service { inet:127.0.0.1:1, timeout = 2s }, permit\n";
        let (_, lines, joined) = &told(&(own.to_owned() + OURS))[0];
        assert_eq!(lines, &[1]);
        assert_eq!(
            joined,
            "permit_mynetworks | check_policy_service { inet:127.0.0.1:1, timeout = 2s } | reject_unauth_destination | reject_rbl_client b.test=127.0.0.2 | permit"
        );
        let classes = "smtpd_restriction_classes = a b\nsmtpd_restriction_classes = c\n";
        assert_eq!(told(classes)[0].2, "a | b | c");
        // What the later line has, too, is not lost, nor is what nobody set.
        assert_eq!(told(&format!("smtpd_recipient_restrictions = permit_mynetworks\n{OURS}")), []);
        assert_eq!(
            told(&format!("smtpd_recipient_restrictions =\nmyhostname = a\nmyhostname = b\n{OURS}")),
            []
        );
    }
}
