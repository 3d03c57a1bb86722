//! postscreen: its sites with their weights, and what keeps it from refusing whom they list. Pure.

use super::super::super::super::snippet::Program;
use super::super::super::finding::Cure;
use super::super::{Does, Idle, LooksUp, Mention};
use super::Setup;
use super::config::{Parameters, Service};
use super::restrictions::{elements, mention, of_everybody, words};
use crate::model::Name;

pub(in super::super) const SITES: &str = "postscreen_dnsbl_sites";
pub(in super::super) const THRESHOLD: &str = "postscreen_dnsbl_threshold";
pub(super) const ACTION: &str = "postscreen_dnsbl_action";
/// What asks for it.
const DNSBLOG: &str = "dnsblog   unix  -       -       y       -       0       dnsblog";
/// What switches postscreen on, as in Postfix's own `master.cf`.
const ON: &str = "smtp      inet  n       -       y       -       1       postscreen\n\
                  smtpd     pass  -       -       y       -       -       smtpd";
const TLSPROXY: &str = "tlsproxy  unix  -       -       y       -       0       tlsproxy";

/// postscreen, where it is on; where nothing says what runs it counts as on.
pub(super) fn service(setup: &Setup) -> Option<&Service> {
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

pub(super) fn sites(value: &str) -> Vec<Mention> {
    words(value).filter_map(|site| mention(SITES, site, Does::Weigh, LooksUp::Addresses)).collect()
}

/// Each with what it weighs.
pub(super) fn weights(value: &str) -> Vec<(Mention, i64)> {
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
pub(super) fn hindered(setup: &Setup, parameters: &Parameters) -> Option<Idle> {
    let sites = parameters.get(SITES).map_or("", String::as_str);
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
        return Some(idle(ACTION, sites, cause.to_owned(), "in main.cf, then `postfix reload`", action));
    }
    let access = parameters.get("postscreen_access_list").map_or("", String::as_str);
    if let Some(all) = elements(access).find(|table| of_everybody(table) == Some(true)) {
        let cause = format!("`{all}` lets everybody pass before a list is asked");
        let how = "take it out of postscreen_access_list in main.cf, then `postfix reload`";
        return Some(idle("postscreen_access_list", sites, cause, how, String::new()));
    }
    let most: i64 = words(sites).map(weight).filter(|weight| *weight > 0).sum();
    let threshold = threshold(parameters).filter(|threshold| *threshold > most)?;
    let cause = format!("it is {threshold}, and all sites together weigh {most}");
    // What cures it depends on what is served.
    Some(idle(THRESHOLD, sites, cause, "", String::new()))
}

/// `*WEIGHT` of a site.
fn weight(site: &str) -> i64 {
    site.rsplit_once('*').map_or(1, |(_, weight)| weight.parse().unwrap_or(1))
}
