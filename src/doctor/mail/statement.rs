//! Exim's statements as wholes: of their conditions all have to hold, so that a cure writes a list whole, and of two lists in one statement
//! neither is enough. Pure.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::super::finding::{Area, Check, Cure};
use super::{Does, Mention, is_ours};
use crate::config::{Code, Retired};
use crate::model::{Name, Use};
use crate::snippet::Program;
use crate::snippet::wiring::{LeftOut, Wiring};

/// Verbs that refuse whomever their conditions hold for.
pub(super) const REFUSING: [&str; 4] = ["deny", "drop", "defer", "discard"];

/// A statement that asks lists.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) verb: String,
    /// Where it begins.
    pub(super) at: String,
    /// All of them, in their order.
    pub(super) conditions: Vec<String>,
    /// It does nothing but add a header, or write to the log.
    pub(super) only_marks: bool,
    pub(super) lists: Vec<List>,
}

/// A `dnslists` condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List {
    /// Where it begins.
    pub(super) at: String,
    pub(super) is_negated: bool,
    /// As they are written, and as they are understood.
    pub(super) items: Vec<(String, Option<Mention>)>,
}

impl List {
    /// All that it asks, with what is printed in the place of gatepost's own. Nothing where nothing is left.
    pub(super) fn whole(&self, wiring: &Wiring, text: &str) -> Vec<String> {
        let mut items: Vec<String> = Vec::new();
        for (item, mention) in &self.items {
            let instead = match mention {
                None => vec![item.clone()],
                Some(mention) if is_ours(&mention.zone, wiring) => printed(mention, item, wiring, text),
                Some(mention) if is_code(&mention.zone) || Retired::of_zone(&mention.zone).is_some() => {
                    Vec::new()
                }
                Some(_) => vec![item.clone()],
            };
            for item in instead {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
        items
    }

    /// Whether it asks something of gatepost's for what the statement does.
    fn is_for_it(&self, wiring: &Wiring, text: &str) -> bool {
        let mut mentions = self.items.iter().filter_map(|(item, mention)| Some((item, mention.as_ref()?)));
        mentions.any(|(item, mention)| {
            is_ours(&mention.zone, wiring) && !printed(mention, item, wiring, text).is_empty()
        })
    }
}

/// The list in which the use stands, whole: printed for one zone alone it would lose what it asks of the others, and put in beside it both would
/// have to hold.
pub(super) fn cure(mention: &Mention, statements: &[Statement], wiring: &Wiring) -> Option<Cure> {
    let text = Program::Exim.text(wiring).ok()?;
    if printed(mention, "", wiring, &text).is_empty() {
        return None;
    }
    let all =
        statements.iter().flat_map(|statement| statement.lists.iter().map(move |list| (statement, list)));
    let (statement, list) = all.into_iter().find(|(_, list)| list.at == mention.at)?;
    let is_negated = list.is_negated || statement.verb == "require";
    Some(Cure {
        how: format!("Exim: in the place of the whole list that begins at {}", list.at),
        lines: line(is_negated, &list.whole(wiring, &text)),
    })
}

/// Whether what was written where a zone belongs is an answer.
pub(super) fn is_code(zone: &Name) -> bool {
    zone.to_string().parse::<Ipv4Addr>().is_ok()
}

pub(super) fn line(is_negated: bool, items: &[String]) -> String {
    format!("{}dnslists = {}", if is_negated { "!" } else { "" }, items.join(" : \\\n    "))
}

/// What `snippet` prints for the zone, for what the statement does: where it can with a key if the item has one.
fn printed(mention: &Mention, item: &str, wiring: &Wiring, text: &str) -> Vec<String> {
    let within = wiring.left_out.iter().find_map(|(origin, why)| match why {
        LeftOut::Within(wider) if *origin == mention.zone => Some(wider),
        _ => None,
    });
    let start = format!("{}=", within.unwrap_or(&mention.zone));
    let condition = if mention.does == Does::Let { "!dnslists = " } else { "dnslists = " };
    let is_for = |statement: &&str| {
        let of_bounces = statement.lines().any(|line| line.trim() == "senders = :");
        match mention.does {
            Does::Reject => statement.starts_with("deny") && !of_bounces,
            Does::RejectBounces => statement.starts_with("deny"),
            Does::Weigh | Does::Let => true,
        }
    };
    let mut items: Vec<String> = Vec::new();
    for statement in text.split("\n\n").map(str::trim).filter(is_for) {
        let lists = statement.lines().map(str::trim).skip_while(|line| !line.starts_with(condition));
        for line in lists {
            let line = line.strip_prefix(condition).unwrap_or(line);
            for item in line.trim_end_matches(" : \\").split(" : ") {
                if item.starts_with(&start) && !items.iter().any(|other| other == item) {
                    items.push(item.to_owned());
                }
            }
            if !line.ends_with('\\') {
                break;
            }
        }
    }
    let is_alike = |other: &String| other.contains('/') == item.contains('/');
    if items.iter().any(is_alike) {
        items.retain(is_alike);
    }
    items
}

/// What is wrong with statements whatever their filters are.
pub(super) fn checks(statements: &[Statement], mentions: &[Mention], wiring: &Wiring) -> Vec<Check> {
    let Ok(text) = Program::Exim.text(wiring) else { return Vec::new() };
    let all = statements.iter().filter_map(|statement| {
        both(statement, wiring, &text)
            .or_else(|| require(statement, wiring, &text))
            .or_else(|| marks(statement, mentions, wiring, &text))
    });
    all.collect()
}

/// A list that is good for rejecting, and of which nothing is made but a header: as Debian's CHECK_RCPT_IP_DNSBLS has it. `mentions` are those by
/// which a mail may come that comes to Exim.
fn marks(statement: &Statement, mentions: &[Mention], wiring: &Wiring, text: &str) -> Option<Check> {
    let is_for_rejecting = |mention: &Mention| {
        let mut asked = wiring.addresses(Use::Block).chain(wiring.names(Use::Block));
        asked.any(|asked| {
            let mut of_lists = asked.codes.keys().filter(|code| **code != Code::OVERLAY);
            asked.zone.origin == mention.zone && of_lists.any(|code| mention.filter.lets(*code))
        })
    };
    let is_used = |zone: &Name| {
        mentions
            .iter()
            .any(|other| other.zone == *zone && (other.program != Program::Exim || other.does != Does::Weigh))
    };
    let list = statement.lists.iter().find(|list| {
        let mut asked = list.items.iter().filter_map(|(_, mention)| mention.as_ref());
        statement.only_marks && asked.any(|mention| is_for_rejecting(mention) && !is_used(&mention.zone))
    })?;
    let zone = zones(list).into_iter().find(|zone| is_ours(zone, wiring) && !is_used(zone))?;
    let of_zone = |part: &&str| part.starts_with("deny") && part.contains(&format!("{zone}="));
    let lines: Vec<&str> = text.split("\n\n").map(str::trim).filter(of_zone).collect();
    let what = format!("Exim, {}: whom {zone} lists is marked, and let in", list.at);
    let cause = "`warn` refuses nobody: it adds a header or writes to the log, and no more (Debian's CHECK_RCPT_IP_DNSBLS is such a statement)";
    let check = Check::warn(Area::Mail, "mail-no-effect", what).because(cause);
    Some(check.cured(Cure {
        how: format!(
            "Exim: these statements before that one at {}, behind what lets your own people pass (Debian: in a file that CHECK_RCPT_LOCAL_ACL_FILE \
             names, as `gatepost snippet exim` says)",
            list.at
        ),
        lines: lines.join("\n\n"),
    }))
}

/// Two lists, of which each is meant to be enough.
fn both(statement: &Statement, wiring: &Wiring, text: &str) -> Option<Check> {
    let lists: Vec<&List> = statement.lists.iter().filter(|list| !list.is_negated).collect();
    let [first, _, ..] = &lists[..] else { return None };
    if !REFUSING.contains(&&*statement.verb) {
        return None;
    }
    let (for_it, others): (Vec<&List>, Vec<&List>) =
        lists.iter().partition(|list| list.is_for_it(wiring, text));
    let is_of_others = |list: &&List| zones(list).iter().all(|zone| !is_ours(zone, wiring));
    if for_it.is_empty() || !others.iter().all(is_of_others) {
        return None;
    }
    let places: Vec<&str> = lists.iter().map(|list| list.at.as_str()).collect();
    let what =
        format!("Exim, {}: one statement asks {} lists, and none is enough", places.join(", "), lists.len());
    let cause = "all conditions of a statement have to hold: whom one of them lists alone passes";
    if !others.is_empty() {
        let check = Check::warn(Area::Mail, "mail-no-effect", what).because(cause);
        return Some(
            check.cured_by("Exim: where gatepost's list is to be enough, a statement of its own for it"),
        );
    }
    let mut items: Vec<String> = Vec::new();
    for item in lists.iter().flat_map(|list| list.whole(wiring, text)) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Some(Check::bad(Area::Mail, "mail-no-effect", what).because(cause).cured(Cure {
        how: format!("Exim: one list in the place of them, at {}", first.at),
        lines: line(false, &items),
    }))
}

/// `require` refuses whomever its conditions do not hold for.
fn require(statement: &Statement, wiring: &Wiring, text: &str) -> Option<Check> {
    let of_ours = |list: &&List| !list.is_negated && zones(list).iter().any(|zone| is_ours(zone, wiring));
    let list = statement.lists.iter().filter(|_| statement.verb == "require").find(of_ours)?;
    let zones: Vec<String> = zones(list).iter().map(ToString::to_string).collect();
    let what = format!("Exim, {}: refuses everybody whom {} does not list", list.at, zones.join(", "));
    let check = Check::bad(Area::Mail, "mail-wrong-use", what).because(
        "`require` refuses whomever its conditions do not hold for, and a list holds for whom it lists",
    );
    Some(match list.is_for_it(wiring, text) {
        true => check.cured(Cure {
            how: format!("Exim: in the place of the whole list that begins at {}", list.at),
            lines: line(true, &list.whole(wiring, text)),
        }),
        false => check
            .cured_by("take it out there; `gatepost snippet exim` uses each list for what it is good for"),
    })
}

fn zones(list: &List) -> BTreeSet<Name> {
    list.items.iter().filter_map(|(_, mention)| Some(mention.as_ref()?.zone.clone())).collect()
}
