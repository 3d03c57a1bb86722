//! Which zones a Postfix asks, and which its configuration names where that has no effect. Pure.

use std::collections::BTreeSet;

use super::super::super::finding::Cure;
use super::super::{Does, Idle, Mention};
use super::Setup;
use super::again::{CLASSES, unclassed};
use super::config::{Parameters, Written};
use super::doors::{doors, is_private, overridden};
use super::misspelt;
use super::restrictions::{Barred, Question, is_null_sender, naming, questions, unknown, words};
use super::screen::{self, SITES};
use super::tables::{Tables, named as named_by, outside};
use super::welcome;
use crate::model::Name;
use crate::snippet::Program;

/// Where smtpd looks for restrictions.
pub(in super::super) const RESTRICTIONS: [&str; 7] = [
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
];
const LAST_HOLDS: &str = "and of several the last holds";

/// What asks, and what would if it had an effect.
pub(in super::super) fn of(setup: &Setup) -> (Vec<Mention>, Vec<Idle>) {
    let mut mentions: Vec<Mention> = Vec::new();
    let mut idle = Vec::new();
    let mut refused = BTreeSet::new();
    let doors = doors(setup);
    if doors.is_empty() {
        let asked = asked(&setup.parameters, &setup.tables, str::to_owned);
        refused.extend(zones(&asked.mentions));
        add(&mut mentions, asked.mentions);
        add(&mut idle, asked.idle);
    }
    let mut screened = BTreeSet::new();
    let mut hindered = None;
    match screen::service(setup) {
        Some(own) => {
            let parameters = overridden(setup, own);
            let sites = parameters.get(SITES).map_or("", String::as_str);
            add(&mut mentions, screen::sites(sites));
            screened = named(SITES, sites).into_iter().collect();
            idle.extend(misspelt::in_sites(sites));
            let action = parameters.get(screen::ACTION).map_or("", String::as_str);
            idle.extend(misspelt::in_action(action, sites));
            hindered = screen::hindered(setup, own, &parameters);
            if own.overrides.iter().any(|(name, _)| name == SITES) {
                let main = setup.parameters.get(SITES).map_or("", String::as_str);
                idle.extend(replaced(main, sites, SITES, &format!("{}/{}", own.name, own.kind), &screened));
            }
        }
        None => {
            let sites = setup.parameters.get(SITES).map_or("", String::as_str);
            idle.push(screen::switched_off(setup, sites));
        }
    }
    for service in doors {
        let place = format!("{}/{}", service.name, service.kind);
        let is_own = |name: &str| service.overrides.iter().any(|(own, _)| own == name);
        let parameters = overridden(setup, service);
        let at = |name: &str| if is_own(name) { format!("{place} {name}") } else { name.to_owned() };
        let asked = asked(&parameters, &setup.tables, at);
        let mut here = zones(&asked.mentions);
        refused.extend(here.clone());
        if service.kind == "pass" {
            here.extend(screened.clone());
        }
        for name in RESTRICTIONS.into_iter().filter(|name| is_own(name)) {
            let main = setup.parameters.get(name).map_or("", String::as_str);
            let own = parameters.get(name).map_or("", String::as_str);
            idle.extend(replaced(main, own, name, &place, &here));
        }
        let is_screened = service.kind == "pass" || screened.is_empty() || !here.is_disjoint(&screened);
        let is_told = idle.iter().any(|idle| idle.at.starts_with(&place));
        if !is_screened && !is_told && !is_private(service) {
            idle.push(unscreened(place, &screened));
        }
        add(&mut mentions, asked.mentions);
        add(&mut idle, asked.idle);
    }
    if let Some(hindered) = hindered {
        let matters = hindered.zones.iter().any(|zone| !refused.contains(zone));
        idle.push(Idle { matters, ..hindered });
    }
    idle.extend(soft(&setup.parameters, &refused));
    idle.extend(for_a_while(&setup.parameters, &refused));
    idle.extend(unclassed(setup));
    idle.retain(|idle| !idle.zones.is_empty());
    let here = zones(&mentions);
    let unused = setup.written.iter().filter_map(|written| unused(written, setup, &here, &idle));
    let mut unused: Vec<Idle> = unused.collect();
    // What a later line has put out of effect goes before what only that line named.
    unused.sort_by_key(|unused| !unused.cause.ends_with(LAST_HOLDS));
    idle.extend(unused);
    (mentions, idle)
}

/// From which sum on postscreen refuses, where that is set.
pub(in super::super) fn threshold(setup: &Setup) -> Option<i64> {
    let own = screen::service(setup).map(|service| overridden(setup, service));
    screen::threshold(own.as_ref().unwrap_or(&setup.parameters))
}

/// postscreen's sites with what each weighs, where it is on.
pub(in super::super) fn weights(setup: &Setup) -> Vec<(Mention, i64)> {
    let own = screen::service(setup).map(|service| overridden(setup, service)).unwrap_or_default();
    screen::weights(own.get(SITES).map_or("", String::as_str))
}

fn add<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

fn zones(mentions: &[Mention]) -> BTreeSet<Name> {
    mentions.iter().map(|mention| mention.zone.clone()).collect()
}

/// What smtpd asks, and what it names and does not come to.
struct Asked {
    mentions: Vec<Mention>,
    idle: Vec<Idle>,
}

/// What smtpd asks under these parameters; `at` says how a place is called.
fn asked(parameters: &Parameters, tables: &Tables, at: impl Fn(&str) -> String) -> Asked {
    let classes = parameters.get(CLASSES).map_or("", String::as_str);
    let classes: Vec<&str> = words(classes).collect();
    let null = parameters.get("smtpd_null_access_lookup_key").map_or("<>", String::as_str);
    let is_of_bounces =
        |class: &str| parameters.values().any(|value| naming(value, class, null).contains(&true));
    let (mut mentions, mut idle, mut welcomed) = (Vec::new(), Vec::new(), Vec::new());
    let mut waiting: Vec<(&str, bool)> = RESTRICTIONS.iter().map(|name| (*name, false)).collect();
    let mut seen = BTreeSet::new();
    while let Some((name, of_bounces)) = waiting.pop() {
        let Some(value) = parameters.get(name).filter(|_| seen.insert((name, of_bounces))) else { continue };
        let questions = questions(value);
        for asks in questions.iter().filter(|asks| asks.barred.is_none()) {
            let does = if of_bounces && asks.does == Does::Reject { Does::RejectBounces } else { asks.does };
            mentions.extend(asks.mention(&at(name)).map(|mention| Mention { does, ..mention }));
        }
        let reasons: BTreeSet<Barred<'_>> = questions.iter().filter_map(|asks| asks.barred).collect();
        for barred in reasons {
            let asks: Vec<&Question<'_>> =
                questions.iter().filter(|asks| asks.barred == Some(barred)).collect();
            idle.push(self::barred(at(name), barred, &asks));
        }
        idle.extend(misspelt::in_list(value, &at(name)));
        idle.extend(unknown(value).map(|word| broken(at(name), word, &questions)));
        welcomed.extend(welcome::before(value, &at(name), parameters, tables));
        add(&mut mentions, in_tables(value, &at(name), of_bounces, null, tables));
        let of_senders = outside(value).iter().all(|asked| asked.by == "check_sender_access");
        for class in &classes {
            // A table that cannot be read may name any class; one of senders, for null senders.
            let (named, may_be) = named_by(value, class, null, tables);
            if named.is_empty() && may_be {
                waiting.push((class, of_bounces || is_of_bounces(class) || of_senders));
            }
            waiting.extend(named.into_iter().map(|is_for_bounces| (*class, of_bounces || is_for_bounces)));
        }
    }
    // Whom another list of restrictions refuses no table of this one lets in.
    for Idle { at, zones, .. } in &mut welcomed {
        zones.retain(|zone| {
            !mentions.iter().any(|mention: &Mention| mention.zone == *zone && mention.at != *at)
        });
    }
    idle.extend(welcomed);
    Asked { mentions, idle }
}

/// What tables of a list ask by themselves.
fn in_tables(value: &str, at: &str, of_bounces: bool, null: &str, tables: &Tables) -> Vec<Mention> {
    let mut mentions = Vec::new();
    for asked in outside(value) {
        let at = format!("{} ({at})", asked.table);
        for row in tables.get(asked.table).into_iter().flatten() {
            let of_bounces =
                of_bounces || asked.by == "check_sender_access" && is_null_sender(&row.key, null);
            for asks in questions(&row.does).iter().filter(|asks| asks.barred.is_none()) {
                let does =
                    if of_bounces && asks.does == Does::Reject { Does::RejectBounces } else { asks.does };
                add(
                    &mut mentions,
                    asks.mention(&at).map(|mention| Mention { does, ..mention }).into_iter().collect(),
                );
            }
        }
    }
    mentions
}

/// Questions that stand where they do nothing.
fn barred(at: String, barred: Barred<'_>, asks: &[&Question<'_>]) -> Idle {
    let zones = asks.iter().filter_map(|asks| asks.mention(&at)).map(|mention| mention.zone);
    let zones = zones.collect();
    let (cause, how) = match barred {
        Barred::Behind(end) => (
            format!("`{end}` stands before it, and no mail for your own domains comes as far"),
            match end {
                "reject" | "defer" => {
                    format!("move these lines before `{end}`, behind reject_unauth_destination")
                }
                // Further down it lets in nobody else, and classes that are named between them are come to, too.
                _ => format!("move `{end}` behind these lines, to the end"),
            },
        ),
        Barred::Warns => (
            "`warn_if_reject` stands before it: what it would refuse is written to the log, and let through"
                .to_owned(),
            "when the log has shown enough, take `warn_if_reject` out before these lines".to_owned(),
        ),
    };
    // Before what keeps all out nobody is to be let in.
    let keeps_out = matches!(barred, Barred::Behind("reject" | "defer"));
    let asks = asks.iter().filter(|asks| !keeps_out || asks.does == Does::Reject);
    let lines = asks.map(|asks| asks.line()).collect::<Vec<_>>().join("\n");
    Idle { program: Program::Postfix, at, zones, matters: false, cause, cure: Cure { how, lines } }
}

/// A list that smtpd cannot read to its end.
fn broken(at: String, word: &str, asks: &[Question<'_>]) -> Idle {
    let zones = asks.iter().filter_map(|asks| asks.mention(&at)).map(|mention| mention.zone);
    let zones = zones.collect();
    let cause = format!(
        "`{word}` stands in it, which is no restriction: smtpd answers 451 (Server configuration error) to all mail that comes as far"
    );
    let how = match word.chars().next() {
        Some('{') => "take the braces away",
        Some('#') => "put the comment into a line of its own, whose first sign is `#`",
        Some('"' | '\'') => "take the quotes away",
        _ => {
            "a comma ends a filter: put codes that differ in the last octet into brackets (127.0.1.[5;8]), or write a line for each"
        }
    };
    let cure = Cure { how: how.to_owned(), lines: String::new() };
    Idle { program: Program::Postfix, at, zones, matters: true, cause, cure }
}

/// A service of smtpd that strangers reach beside postscreen.
fn unscreened(place: String, screened: &BTreeSet<Name>) -> Idle {
    let cause = "strangers reach smtpd there without postscreen, which asks, and smtpd asks nothing of it";
    let how = "have smtpd ask, too, as `gatepost snippet postfix` prints it; or have postscreen stand there";
    Idle {
        program: Program::Postfix,
        at: place,
        zones: screened.iter().cloned().collect(),
        matters: true,
        cause: cause.to_owned(),
        cure: Cure { how: how.to_owned(), lines: String::new() },
    }
}

/// `maps_rbl_reject_code` that does not refuse for good.
fn for_a_while(parameters: &Parameters, refused: &BTreeSet<Name>) -> Option<Idle> {
    const CODE: &str = "maps_rbl_reject_code";
    let code = parameters.get(CODE).filter(|code| code.starts_with('4'))?;
    let cause =
        format!("{CODE} is {code}: whom a list has is told to try again later, for days, and not refused");
    let cure = Cure {
        how: "out of main.cf: it is 554 then".to_owned(),
        lines: format!("postconf -X {CODE}\npostfix reload"),
    };
    idle(CODE.to_owned(), refused.iter().cloned().collect(), cause, cure)
}

/// `soft_bounce`, which is for trying things out.
fn soft(parameters: &Parameters, refused: &BTreeSet<Name>) -> Option<Idle> {
    parameters.get("soft_bounce").filter(|value| *value == "yes")?;
    let cause = "soft_bounce is `yes`: nobody is refused for good, all are told to try again later (450 in the place of 554)";
    let cure = Cure {
        how: "out of main.cf".to_owned(),
        lines: "postconf -X soft_bounce\npostfix reload".to_owned(),
    };
    idle("soft_bounce".to_owned(), refused.iter().cloned().collect(), cause.to_owned(), cure)
}

/// The zones that a value of any kind names.
fn named(name: &str, value: &str) -> Vec<Name> {
    let mentions = match name {
        SITES => screen::sites(value),
        _ => questions(value).iter().filter_map(|asks| asks.mention(name)).collect(),
    };
    mentions.into_iter().map(|mention| mention.zone).collect()
}

/// The lines of a value that ask, as they are to be pasted elsewhere.
fn lines(value: &str) -> String {
    questions(value).iter().map(Question::line).collect::<Vec<_>>().join("\n")
}

fn idle(at: String, zones: Vec<Name>, cause: String, cure: Cure) -> Option<Idle> {
    (!zones.is_empty()).then_some(Idle { program: Program::Postfix, at, zones, matters: false, cause, cure })
}

/// `-o` in `master.cf`, which sets `own` in the place of `main`.
fn replaced(main: &str, own: &str, name: &str, place: &str, here: &BTreeSet<Name>) -> Option<Idle> {
    // What lets in and keeps out as main.cf does anyhow: without it the service is no more open.
    const PLAIN: [&str; 4] = [
        "permit_mynetworks",
        "permit_sasl_authenticated",
        "reject_unauth_destination",
        "defer_unauth_destination",
    ];
    let mut zones = named(name, main);
    zones.retain(|zone| !here.contains(zone));
    let cause = format!("`-o {name}=…` in master.cf holds for this service in place of what main.cf says");
    let in_main: Vec<&str> = words(main).collect();
    let is_plain = words(own).all(|word| in_main.contains(&word) && (name == SITES || PLAIN.contains(&word)));
    let cure = match is_plain {
        true => Cure {
            how: "take it out of master.cf: main.cf has all that it says".to_owned(),
            lines: format!("postconf -PX {place}/{name}\npostfix reload"),
        },
        // Somebody may be kept out by it.
        false => Cure {
            how: format!(
                "add these lines to what `-o {name}` says there (`-o {{ {name} = … }}` where it has blanks)"
            ),
            lines: if name == SITES { screen::lines(main) } else { lines_and_class(main) },
        },
    };
    Some(Idle { matters: true, ..idle(format!("{place} {name}"), zones, cause, cure)? })
}

/// What stands in `main.cf` and is not looked at.
fn unused(written: &Written, setup: &Setup, here: &BTreeSet<Name>, told: &[Idle]) -> Option<Idle> {
    let Written { name, value, line } = written;
    let last = setup.written.iter().rfind(|other| other.name == *name)?;
    let is_told = |zone: &Name| last.line == *line && told.iter().any(|idle| idle.zones.contains(zone));
    let mut zones = named(name, value);
    zones.retain(|zone| !here.contains(zone) && !is_told(zone));
    let (cause, how) = match last.line == *line {
        false => (
            format!("line {} of main.cf sets {name} again, {LAST_HOLDS}", last.line),
            match name.as_str() {
                // What each has to weigh depends on what is served.
                SITES => String::new(),
                _ => format!(
                    "add these lines to that one, behind reject_unauth_destination, and take out line {line}"
                ),
            },
        ),
        true if is_class(setup, name) => (
            format!("no restriction that is in effect names {name}"),
            "name it in smtpd_recipient_restrictions as `gatepost snippet postfix` does".to_owned(),
        ),
        true => (
            format!("nothing that Postfix uses names {name}"),
            "put these lines into smtpd_recipient_restrictions, behind reject_unauth_destination".to_owned(),
        ),
    };
    let lines = match name.as_str() {
        SITES => screen::lines(value),
        _ if cause.starts_with("no restriction") => class_lines(name),
        _ => lines(value),
    };
    idle(format!("{name} (main.cf, line {line})"), zones, cause, Cure { how, lines })
}

pub(super) fn is_class(setup: &Setup, name: &str) -> bool {
    setup.parameters.get(CLASSES).is_some_and(|classes| words(classes).any(|word| word == name))
}

/// And what names the class for null senders of the text that is printed, where the value does.
fn lines_and_class(value: &str) -> String {
    let class = words(value).map(|word| word.trim_end_matches('}')).find(|word| is_printed_class(word));
    [Some(lines(value)), class.map(class_lines)].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// The class of the text that is printed is for null senders; what another is for its owner knows.
fn class_lines(name: &str) -> String {
    match is_printed_class(name) {
        true => "    check_sender_access inline:{{<> = gatepost_bounce}}".to_owned(),
        false => String::new(),
    }
}

/// Whether it is the class of the text that is printed.
pub(super) fn is_printed_class(name: &str) -> bool {
    name == "gatepost_bounce"
}
