//! postscreen: its sites with their weights, and what keeps it from refusing whom they list. Pure.

use super::super::super::finding::Cure;
use super::super::{Does, Harsh, Idle, LooksUp, Mention};
use super::again::ACCESS;
use super::config::{Parameters, Service};
use super::doors::{SUBMISSION, at, overridden, own};
use super::restrictions::{elements, mention, of_everybody, words};
use super::{Setup, tables};
use crate::model::Name;
use crate::snippet::Program;

pub(in super::super) const SITES: &str = "postscreen_dnsbl_sites";
pub(in super::super) const THRESHOLD: &str = "postscreen_dnsbl_threshold";
pub(super) const ACTION: &str = "postscreen_dnsbl_action";
/// What asks for it.
const DNSBLOG: &str = "dnsblog   unix  -       -       y       -       0       dnsblog";
/// What switches postscreen on, as in Postfix's own `master.cf`.
const ON: &str = "smtp      inet  n       -       y       -       1       postscreen\n\
                  smtpd     pass  -       -       y       -       -       smtpd";
const TLSPROXY: &str = "tlsproxy  unix  -       -       y       -       0       tlsproxy";

/// postscreen, where it is on for strangers; where nothing says what runs it counts as on.
pub(super) fn service(setup: &Setup) -> Option<&Service> {
    static ON: std::sync::LazyLock<Service> = std::sync::LazyLock::new(|| Service {
        name: "smtp".to_owned(),
        kind: "inet".to_owned(),
        chroot: false,
        command: "postscreen".to_owned(),
        overrides: Vec::new(),
        arguments: String::new(),
    });
    match &setup.services {
        None => Some(&ON),
        Some(services) => {
            services.iter().find(|service| service.command == "postscreen" && !is_for_own(service))
        }
    }
}

/// Whether one's own people send there.
fn is_for_own(service: &Service) -> bool {
    SUBMISSION.contains(&at(service).1)
}

/// postscreen where one's own people send: it asks before anybody can log in, and does not know how to.
pub(super) fn at_submission(setup: &Setup) -> Vec<Harsh> {
    const LOGIN: &str = "smtpd_sasl_auth_enable";
    let services = setup.services.iter().flatten();
    let screened = services.filter(|service| service.command == "postscreen" && is_for_own(service));
    let harsh = screened.map(|service| {
        let Service { name, kind, .. } = service;
        let jail = if service.chroot { "y" } else { "n" };
        let mut lines = format!("{name} {kind} n - {jail} - - smtpd");
        if own(service, LOGIN, setup).is_none() {
            lines += &format!("\n  -o {LOGIN}=yes\n  -o smtpd_client_restrictions=permit_sasl_authenticated,reject");
        }
        Harsh {
            at: format!("{name}/{kind}"),
            zones: named(overridden(setup, service).get(SITES).map_or("", String::as_str)),
            whom: "who logs in is",
            cause: "postscreen answers there: it asks lists before anybody can log in, and hands on to the smtpd of port 25, which has nothing of \
                    what `-o` says here"
                .to_owned(),
            cure: Cure {
                how: format!("in master.cf, in the place of the line of `{name} {kind} … postscreen` (what `-o` says below it stays), then `postfix reload`"),
                lines,
            },
        }
    });
    harsh.collect()
}

pub(super) fn sites(value: &str) -> Vec<Mention> {
    words(value).filter_map(|site| mention(SITES, site, Does::Weigh, LooksUp::Addresses)).collect()
}

/// Each with what it weighs.
pub(in super::super) fn weights(value: &str) -> Vec<(Mention, i64)> {
    let sites = words(value).filter_map(|site| {
        let mention = mention(SITES, site, Does::Weigh, LooksUp::Addresses)?;
        Some((mention, weight(site)))
    });
    sites.collect()
}

/// The sites, as they are pasted.
pub(super) fn lines(value: &str) -> String {
    words(value).map(|site| format!("    {site},")).collect::<Vec<_>>().join("\n")
}

fn named(value: &str) -> Vec<Name> {
    sites(value).into_iter().map(|site| site.zone).collect()
}

/// From which sum on a client is refused, where it is set.
pub(super) fn threshold(parameters: &Parameters) -> Option<i64> {
    parameters.get(THRESHOLD)?.parse().ok()
}

fn idle(at: &str, sites: &str, cause: String, how: &str, lines: String) -> Idle {
    Idle {
        program: Program::Postfix,
        at: at.to_owned(),
        zones: named(sites),
        matters: false,
        cause,
        cure: Cure { how: how.to_owned(), lines },
    }
}

/// Chrooted where what is there is: in a chroot that nobody has filled nobody knows whom to ask.
fn jailed(setup: &Setup, lines: &str) -> String {
    let mut services =
        setup.services.iter().flatten().filter(|service| matches!(&*service.command, "smtpd" | "postscreen"));
    match services.any(|service| service.chroot) {
        true => lines.to_owned(),
        false => lines.replace(" y ", " n "),
    }
}

pub(super) fn switched_off(setup: &Setup, sites: &str) -> Idle {
    let cause = "postscreen is not on in master.cf, and nobody else looks at this parameter".to_owned();
    let how = "in master.cf, in place of the line of `smtp inet … smtpd`, then `postfix reload`; or let smtpd ask: `gatepost snippet postfix`";
    idle(SITES, sites, cause, how, jailed(setup, &[ON, DNSBLOG, TLSPROXY].join("\n")))
}

/// What keeps it from asking, or from refusing whom it found listed.
pub(super) fn hindered(setup: &Setup, service: &Service, parameters: &Parameters) -> Option<Idle> {
    let sites = parameters.get(SITES).map_or("", String::as_str);
    // What `-o` says holds, whatever is written into main.cf.
    let taken_out = |idle: Idle| match own(service, &idle.at, setup) {
        Some(_) => without_option(setup, service, idle),
        None => idle,
    };
    if setup
        .services
        .as_ref()
        .is_some_and(|services| !services.iter().any(|service| service.name == "dnsblog"))
    {
        let cause = "master.cf has no service dnsblog, which asks for postscreen".to_owned();
        return Some(idle(
            SITES,
            sites,
            cause,
            "in master.cf, then `postfix reload`",
            jailed(setup, DNSBLOG),
        ));
    }
    if parameters.get(ACTION).is_none_or(|action| action == "ignore") {
        let cause =
            "postscreen_dnsbl_action is `ignore`, which it is unless it is set: who is listed is let through";
        let action = "postscreen_dnsbl_action = enforce".to_owned();
        let how = "in main.cf, then `postfix reload`";
        return Some(taken_out(idle(ACTION, sites, cause.to_owned(), how, action)));
    }
    let access = parameters.get(ACCESS).map_or("", String::as_str);
    for table in elements(access) {
        if of_everybody(table) == Some(true) {
            let cause = format!("`{table}` lets everybody pass before a list is asked");
            let how = "take it out of postscreen_access_list in main.cf, then `postfix reload`";
            return Some(taken_out(idle(ACCESS, sites, cause, how, String::new())));
        }
        let rows = setup.tables.get(table).map_or(&[][..], Vec::as_slice);
        // It knows no OK.
        let lets = |row: &&tables::Row| row.does.eq_ignore_ascii_case("permit");
        if let Some(row) = tables::of_everybody(rows).filter(lets) {
            let (_, file) = table.split_once(':').unwrap_or_default();
            let row = format!("{} {}", row.key, row.does);
            let cause = format!("`{table}` has `{row}`: everybody passes before a list is asked");
            let how = format!("take `{row}` out of {file}, then `postfix reload`");
            return Some(idle(ACCESS, sites, cause, &how, String::new()));
        }
    }
    let most: i64 = words(sites).map(weight).filter(|weight| *weight > 0).sum();
    // Sites that only let in are there for others to come.
    if words(sites).all(|site| weight(site) < 0) {
        return None;
    }
    let threshold = threshold(parameters).filter(|threshold| *threshold > most)?;
    let cause = format!("it is {threshold}, and all sites together weigh {most}");
    // What cures it depends on what is served.
    Some(taken_out(idle(THRESHOLD, sites, cause, "", String::new())))
}

/// The same, where it is `-o` in `master.cf` that says so: what main.cf has then holds, or what it is to have.
fn without_option(setup: &Setup, service: &Service, idle: Idle) -> Idle {
    let Service { name, kind, .. } = service;
    let parameter = idle.at;
    let out = format!("postconf -PX {name}/{kind}/{parameter}\npostfix reload");
    let is_ignored = || setup.parameters.get(ACTION).is_none_or(|action| action == "ignore");
    let lines = match parameter == ACTION && is_ignored() {
        true => format!("postconf -e {ACTION}=enforce\n{out}"),
        false => out,
    };
    Idle {
        at: format!("{name}/{kind} {parameter}"),
        cause: format!(
            "`-o {parameter}=…` in master.cf holds for this service in place of what main.cf says: {}",
            idle.cause
        ),
        cure: Cure { how: "take it out of master.cf".to_owned(), lines },
        ..idle
    }
}

/// `*WEIGHT` of a site.
fn weight(site: &str) -> i64 {
    site.rsplit_once('*').map_or(1, |(_, weight)| weight.parse().unwrap_or(1))
}
