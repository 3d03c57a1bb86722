//! Which zones a Postfix asks, and which its configuration names where that has no effect. Pure.

use std::collections::BTreeSet;

use super::super::super::super::snippet::Program;
use super::super::super::finding::Cure;
use super::super::filter::Filter;
use super::super::{Does, Idle, Mention};
use super::Setup;
use super::config::{Parameters, Service, Written, expanded};
use crate::model::Name;

/// Where smtpd looks for restrictions.
const RESTRICTIONS: [&str; 7] = [
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
];
const SITES: &str = "postscreen_dnsbl_sites";
/// Services for one's own people, who authenticate: nobody there is asked for in lists.
const SUBMISSION: [&str; 5] = ["submission", "submissions", "smtps", "587", "465"];
/// What switches postscreen on, as in Postfix's own `master.cf`.
const POSTSCREEN: &str = "smtp      inet  n       -       y       -       1       postscreen\n\
                          smtpd     pass  -       -       y       -       -       smtpd\n\
                          dnsblog   unix  -       -       y       -       0       dnsblog\n\
                          tlsproxy  unix  -       -       y       -       0       tlsproxy";

const LAST_HOLDS: &str = "and of several the last holds";

/// What asks, and what would if it had an effect.
pub(in super::super) fn of(setup: &Setup) -> (Vec<Mention>, Vec<Idle>) {
    let mut mentions: Vec<Mention> = Vec::new();
    let mut idle = Vec::new();
    let mut refused = BTreeSet::new();
    let doors = doors(setup);
    if doors.is_empty() {
        let asked = asked(&setup.parameters, str::to_owned);
        refused.extend(zones(&asked));
        add(&mut mentions, asked);
    }
    let mut screened = BTreeSet::new();
    let mut ignored = None;
    match postscreen(setup) {
        Some(own) => {
            let parameters = overridden(setup, own);
            let sites = parameters.get(SITES).map_or("", String::as_str);
            add(&mut mentions, self::sites(sites));
            screened = named(SITES, sites).into_iter().collect();
            let action = parameters.get("postscreen_dnsbl_action").map_or("ignore", String::as_str);
            ignored = asks_for_nothing(sites).filter(|_| action == "ignore");
        }
        None => idle.extend(switched_off(setup.parameters.get(SITES).map_or("", String::as_str))),
    }
    for service in doors {
        let place = format!("{}/{}", service.name, service.kind);
        let is_own = |name: &str| service.overrides.iter().any(|(own, _)| own == name);
        let parameters = overridden(setup, service);
        let at = |name: &str| if is_own(name) { format!("{place} {name}") } else { name.to_owned() };
        let asked = asked(&parameters, at);
        let mut here = zones(&asked);
        refused.extend(here.clone());
        if service.kind == "pass" {
            here.extend(screened.clone());
        }
        for name in RESTRICTIONS.into_iter().filter(|name| is_own(name)) {
            let main = setup.parameters.get(name).map_or("", String::as_str);
            let own = parameters.get(name).map_or("", String::as_str);
            idle.extend(replaced(main, own, name, &place, &here));
        }
        add(&mut mentions, asked);
    }
    if let Some(ignored) = ignored {
        let matters = ignored.zones.iter().any(|zone| !refused.contains(zone));
        idle.push(Idle { matters, ..ignored });
    }
    let here = zones(&mentions);
    let unused = setup.written.iter().filter_map(|written| unused(written, setup, &here, &idle));
    let mut unused: Vec<Idle> = unused.collect();
    // What a later line has put out of effect goes before what only that line named.
    unused.sort_by_key(|unused| !unused.cause.ends_with(LAST_HOLDS));
    idle.extend(unused);
    (mentions, idle)
}

fn add(mentions: &mut Vec<Mention>, more: Vec<Mention>) {
    for mention in more {
        if !mentions.contains(&mention) {
            mentions.push(mention);
        }
    }
}

fn zones(mentions: &[Mention]) -> BTreeSet<Name> {
    mentions.iter().map(|mention| mention.zone.clone()).collect()
}

/// The services by which strangers' mail comes to smtpd.
fn doors(setup: &Setup) -> Vec<&Service> {
    let services = setup.services.iter().flatten().filter(|service| service.command == "smtpd");
    let is_door = |service: &&Service| match service.kind.as_str() {
        "pass" => true,
        "inet" => {
            let (host, port) = service.name.rsplit_once(':').unwrap_or(("", &service.name));
            let host = host.trim_matches(['[', ']']);
            let is_inner = host == "localhost" || host.starts_with("127.") || host == "::1";
            !SUBMISSION.contains(&port) && !is_inner && !is_closed(setup, service)
        }
        _ => false,
    };
    services.filter(is_door).collect()
}

/// Whether what `-o` says keeps strangers out, or mail comes there from a filter.
fn is_closed(setup: &Setup, service: &Service) -> bool {
    // These let strangers in whatever stands behind them.
    const OPEN: [&str; 3] = ["permit", "permit_auth_destination", "permit_mx_backup"];
    service.overrides.iter().any(|(name, value)| {
        let value = expanded(value, &setup.parameters);
        let mut words = words(&value).filter(|word| OPEN.contains(word) || *word == "reject");
        let refuses = RESTRICTIONS.contains(&name.as_str()) && words.next() == Some("reject");
        refuses || name == "content_filter" && value.is_empty()
    })
}

/// postscreen, where it is on; where nothing says what runs it counts as on.
fn postscreen(setup: &Setup) -> Option<&Service> {
    static ON: std::sync::LazyLock<Service> = std::sync::LazyLock::new(|| Service {
        name: "smtp".to_owned(),
        kind: "inet".to_owned(),
        chroot: false,
        command: "postscreen".to_owned(),
        overrides: Vec::new(),
    });
    match &setup.services {
        None => Some(&ON),
        Some(services) => services.iter().find(|service| service.command == "postscreen"),
    }
}

/// The parameters as a service has them.
fn overridden(setup: &Setup, service: &Service) -> Parameters {
    let mut parameters = setup.parameters.clone();
    for (name, value) in &service.overrides {
        parameters.insert(name.clone(), expanded(value, &setup.parameters));
    }
    parameters
}

/// What smtpd asks under these parameters; `at` says how a place is called.
fn asked(parameters: &Parameters, at: impl Fn(&str) -> String) -> Vec<Mention> {
    let classes = parameters.get("smtpd_restriction_classes").map_or("", String::as_str);
    let classes: Vec<&str> = words(classes).collect();
    let is_of_bounces = |class: &str| {
        parameters.values().any(|value| value.replace(' ', "").contains(&format!("<>={class}")))
    };
    let mut mentions = Vec::new();
    let mut waiting: Vec<(&str, bool)> = RESTRICTIONS.iter().map(|name| (*name, false)).collect();
    let mut seen = BTreeSet::new();
    while let Some((name, of_bounces)) = waiting.pop() {
        let Some(value) = parameters.get(name).filter(|_| seen.insert((name, of_bounces))) else { continue };
        for (does, question) in questions(value) {
            let does = if of_bounces && does == Does::Reject { Does::RejectBounces } else { does };
            mentions.extend(mention(&at(name), question, does));
        }
        // A table outside may name any class.
        let has_table = words(value)
            .any(|word| word.contains(':') && !word.starts_with("inline:") && !word.starts_with("static:"));
        for class in &classes {
            let is_named = words(value).any(|word| word.trim_matches(['{', '}']) == *class);
            let is_for_bounces = is_of_bounces(class);
            if is_named || has_table || (is_for_bounces && value.contains("<>")) {
                waiting.push((class, of_bounces || is_for_bounces));
            }
        }
    }
    mentions
}

/// What the restrictions in a value ask.
fn questions(value: &str) -> Vec<(Does, &str)> {
    let mut questions = Vec::new();
    let mut words = words(value);
    while let Some(word) = words.next() {
        let does = match word {
            "reject_rbl_client"
            | "reject_rhsbl_client"
            | "reject_rhsbl_helo"
            | "reject_rhsbl_sender"
            | "reject_rhsbl_reverse_client"
            | "reject_rhsbl_recipient" => Does::Reject,
            "permit_dnswl_client" | "permit_rhswl_client" => Does::Let,
            _ => continue,
        };
        questions.extend(words.next().map(|question| (does, question)));
    }
    questions
}

fn sites(value: &str) -> Vec<Mention> {
    words(value).filter_map(|site| mention(SITES, site, Does::Weigh)).collect()
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t', ',']).filter(|word| !word.is_empty())
}

/// `ZONE`, `ZONE=FILTER`, `ZONE=FILTER*WEIGHT`.
fn mention(at: &str, text: &str, does: Does) -> Option<Mention> {
    let text = text.split('*').next().unwrap_or(text);
    let (zone, filter) = match text.split_once('=') {
        Some((zone, filter)) => (zone, Filter::of(filter)),
        None => (text, Filter::Open),
    };
    let zone = zone.trim_end_matches('.').parse().ok()?;
    Some(Mention { program: Program::Postfix, at: at.to_owned(), zone, filter, does })
}

/// The zones that a value of any kind names.
fn named(name: &str, value: &str) -> Vec<Name> {
    let mentions = match name {
        SITES => sites(value),
        _ => questions(value).into_iter().filter_map(|(does, text)| mention(name, text, does)).collect(),
    };
    mentions.into_iter().map(|mention| mention.zone).collect()
}

/// The lines of a value that ask, as they are to be pasted elsewhere.
fn lines(value: &str) -> String {
    let mut lines = Vec::new();
    let words: Vec<&str> = words(value).collect();
    for pair in words.windows(2) {
        if !questions(&pair.join(" ")).is_empty() {
            lines.push(format!("    {} {},", pair[0], pair[1]));
        }
    }
    lines.join("\n")
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
    let is_plain = words(own).all(|word| PLAIN.contains(&word) && in_main.contains(&word));
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
            lines: lines(main),
        },
    };
    Some(Idle { matters: true, ..idle(format!("{place} {name}"), zones, cause, cure)? })
}

fn switched_off(sites: &str) -> Option<Idle> {
    let cause = "postscreen is not on in master.cf, and nobody else looks at this parameter".to_owned();
    let cure = Cure {
        how: "in master.cf, in place of the line of `smtp inet … smtpd`, then `postfix reload`; or let smtpd ask: `gatepost snippet postfix`".to_owned(),
        lines: POSTSCREEN.to_owned(),
    };
    idle(SITES.to_owned(), named(SITES, sites), cause, cure)
}

fn asks_for_nothing(sites: &str) -> Option<Idle> {
    let cause =
        "postscreen_dnsbl_action is `ignore`, which it is unless it is set: who is listed is let through"
            .to_owned();
    let cure = Cure {
        how: "in main.cf, then `postfix reload`".to_owned(),
        lines: "postscreen_dnsbl_action = enforce".to_owned(),
    };
    idle("postscreen_dnsbl_action".to_owned(), named(SITES, sites), cause, cure)
}

/// What stands in `main.cf` and is not looked at.
fn unused(written: &Written, setup: &Setup, here: &BTreeSet<Name>, told: &[Idle]) -> Option<Idle> {
    let Written { name, value, line } = written;
    let mut zones = named(name, value);
    zones.retain(|zone| !here.contains(zone));
    let last = setup.written.iter().rfind(|other| other.name == *name)?;
    if last.line == *line && told.iter().any(|idle| idle.zones == zones) {
        return None;
    }
    let (cause, how) = match last.line == *line {
        false => (
            format!("line {} of main.cf sets {name} again, {LAST_HOLDS}", last.line),
            format!(
                "add these lines to that one, behind reject_unauth_destination, and take out line {line}"
            ),
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
    let lines = if cause.starts_with("no restriction") { class_lines(name) } else { lines(value) };
    idle(format!("{name} (main.cf, line {line})"), zones, cause, Cure { how, lines })
}

fn is_class(setup: &Setup, name: &str) -> bool {
    setup
        .parameters
        .get("smtpd_restriction_classes")
        .is_some_and(|classes| words(classes).any(|word| word == name))
}

/// The class of the text that is printed is for null senders; what another is for its owner knows.
fn class_lines(name: &str) -> String {
    match name {
        "gatepost_bounce" => "    check_sender_access inline:{{<> = gatepost_bounce}}".to_owned(),
        _ => String::new(),
    }
}
