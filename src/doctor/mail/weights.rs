//! What postscreen's sites weigh: whether whom a list has that is good for rejecting is refused for that alone. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::super::finding::{Area, Check, Cure};
use super::judge::Served;
use super::{Found, Mention, cured, is_ours, postfix};
use crate::config::Code;
use crate::model::{Name, Use};
use crate::snippet::postscreen;

impl Found {
    /// Somebody keeps what a resolver gives for as long as that says: postscreen, up to an hour (`postscreen_dnsbl_max_ttl`).
    pub(crate) fn keeps_as_told(&self) -> bool {
        !self.weights.is_empty()
    }
}

/// What is wrong with the weights of `sites`, all that postscreen asks.
pub(super) fn judge(sites: &[(Mention, i64)], served: &Served<'_>) -> Vec<Check> {
    let threshold = served.threshold().unwrap_or(1);
    // That nobody ever reaches it is told by itself.
    if sum(sites.iter().filter(|(_, weight)| *weight > 0)) < threshold {
        return Vec::new();
    }
    let is_others = |site: &Mention| !is_ours(&site.zone, served.wiring());
    let others = sum(sites.iter().filter(|(site, weight)| *weight > 0 && is_others(site)));
    // What block lists weigh.
    let blocks = |site: &&(Mention, i64)| {
        let codes = served.zone(&site.0.zone).and_then(|wired| wired.codes.get(&Use::Block));
        // What a person blocks weighs more than any list.
        let mut of_lists = codes.into_iter().flat_map(BTreeMap::keys).filter(|code| **code != Code::OVERLAY);
        of_lists.any(|code| site.0.filter.lets(*code))
    };
    let heaviest = sites.iter().filter(blocks).map(|(_, weight)| *weight).max().unwrap_or(threshold);
    let mut checks = Vec::new();
    let mut seen: Vec<&Name> = Vec::new();
    for (Mention { zone, .. }, _) in sites {
        let Some(wired) = served.zone(zone).filter(|_| !seen.contains(&zone)) else { continue };
        seen.push(zone);
        // Of one code: lists are many, and an address may be on one alone.
        let weighs = |code: Ipv4Addr| {
            let mut asks =
                sites.iter().filter(|(site, _)| site.zone == *zone && site.filter.lets(code)).peekable();
            asks.peek().is_some().then(|| sum(asks))
        };
        for (use_, codes) in &wired.codes {
            let wrong = codes.iter().filter_map(|(code, of)| {
                let weight = weighs(*code)?;
                // That none is set is told by itself.
                let is_told = served.threshold().is_none();
                Some((format!("{code} ({of})"), weight, verdict(*use_, weight, threshold, is_told)?))
            });
            let wrong: Vec<(String, i64, &str)> = wrong.collect();
            let Some((_, least, verdict)) = wrong.iter().min_by_key(|(_, weight, _)| *weight) else {
                continue;
            };
            let codes: Vec<&str> = wrong.iter().map(|(code, ..)| code.as_str()).collect();
            let weighs = if codes.len() == 1 { "weighs" } else { "weigh down to" };
            let what =
                format!("Postfix, postscreen_dnsbl_sites: of {zone} {} {weighs} {least}", codes.join(", "));
            // With lists that are asked elsewhere it may have been meant so, and who gives a score list as much as a block list may mean it.
            let may_be_meant = match use_ {
                Use::Block => *least > 0 && least + others >= threshold,
                Use::Score => *least >= heaviest,
                _ => false,
            };
            let check = match may_be_meant {
                true => Check::warn(Area::Mail, "mail-weight", what),
                false => Check::bad(Area::Mail, "mail-weight", what),
            };
            let cause = format!("{verdict} (postscreen_dnsbl_threshold is {threshold})");
            checks.push(check.because(cause).cured(cured::sites(served.wiring(), served.threshold())));
        }
    }
    if checks.is_empty() {
        checks.extend(lowered(sites, served));
    }
    checks
}

/// Sites that are those of the printed text, for a higher threshold than the one that is set: score lists are enough together. Who has
/// written weights of his own weighs by them.
fn lowered(sites: &[(Mention, i64)], served: &Served<'_>) -> Option<Check> {
    let threshold = served.threshold()?;
    let ours: BTreeSet<(&Name, i64)> = sites
        .iter()
        .filter(|(site, _)| is_ours(&site.zone, served.wiring()))
        .map(|(site, weight)| (&site.zone, *weight))
        .collect();
    let meant = ours.iter().map(|(_, weight)| *weight).filter(|weight| *weight > threshold).min()?;
    let printed = postscreen::sites(served.wiring(), usize::try_from(meant).ok()?).join(", ");
    let printed = postfix::site_weights(&printed);
    let printed_ours: BTreeSet<(&Name, i64)> =
        printed.iter().map(|(site, weight)| (&site.zone, *weight)).collect();
    let weighing = printed.iter().filter(|(_, weight)| *weight == 1);
    let scores: Vec<String> = weighing.map(|(site, _)| site.zone.to_string()).collect();
    if ours != printed_ours || i64::try_from(scores.len()).ok()? < threshold {
        return None;
    }
    let what = format!("Postfix, postscreen_dnsbl_threshold: whom {threshold} score lists have is refused");
    let cause = format!(
        "it is {threshold}, and the sites were printed for {meant}, where score lists are not enough together: {}",
        scores.join(", ")
    );
    let cure = Cure {
        how: "Postfix: in main.cf, and `postfix reload`".to_owned(),
        lines: format!("postscreen_dnsbl_threshold = {meant}"),
    };
    Some(Check::warn(Area::Mail, "mail-weight", what).because(cause).cured(cure))
}

/// An allow list that weighs against what a person blocks, so that he is let in.
pub(super) fn overruled(sites: &[(Mention, i64)], served: &Served<'_>) -> Option<Check> {
    let threshold = served.threshold()?;
    let decides =
        |site: &&(Mention, i64)| is_ours(&site.0.zone, served.wiring()) && site.0.filter.lets(Code::OVERLAY);
    let decided = sites.iter().filter(decides).map(|(_, weight)| *weight).max()?;
    let lets = |site: &&(Mention, i64)| {
        let wired = served.zone(&site.0.zone);
        wired.is_some_and(|wired| wired.codes.contains_key(&Use::Allow)) && !decides(site)
    };
    let (allow, least) = sites.iter().filter(lets).min_by_key(|(_, weight)| *weight)?;
    // Who has him weigh too little alone has chosen so.
    if decided < threshold || decided + least >= threshold {
        return None;
    }
    let what = format!(
        "Postfix, postscreen_dnsbl_sites: whom {} has is let in though a person blocks him",
        allow.zone
    );
    let cause = format!(
        "{}, with which gatepost says so, weighs {decided}, and that list {least} (postscreen_dnsbl_threshold is {threshold})",
        Code::OVERLAY
    );
    let cure = cured::sites(served.wiring(), served.threshold());
    Some(Check::warn(Area::Mail, "mail-block-unheeded", what).because(cause).cured(cure))
}

fn sum<'a>(sites: impl Iterator<Item = &'a (Mention, i64)>) -> i64 {
    sites.map(|(_, weight)| weight).sum()
}

/// What a weight does that it should not.
fn verdict(use_: Use, weight: i64, threshold: i64, is_told: bool) -> Option<&'static str> {
    match use_ {
        Use::Block if weight < 0 => Some("who is on a list that is good for rejecting is let in for it"),
        Use::Block if weight < threshold => {
            Some("who is on this list alone is not refused, though it is good for rejecting")
        }
        Use::Score if weight >= threshold && !is_told => {
            Some("who is on this list alone is refused for it, though it is for weighing")
        }
        Use::Score if weight < 0 => Some("who is on a list for weighing is let in for it"),
        Use::Bounce if weight >= threshold => {
            Some("postscreen knows no sender, and refuses all mail for a list that is for null senders alone")
        }
        Use::Allow if weight > 0 => Some("who is on an allow list is refused for it"),
        _ => None,
    }
}
