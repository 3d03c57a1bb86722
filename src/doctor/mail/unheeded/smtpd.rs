//! The same of Postfix: which of its permits hold for what refuses, and for whom a person blocks. Pure.

use std::collections::BTreeSet;

use super::super::super::finding::{Area, Check, Cure};
use super::super::{Does, Mention, postfix};
use super::Allowing;
use crate::config::Code;
use crate::model::Name;
use crate::snippet::Program;

/// A permit ends the list of restrictions that it stands in, and no other (postconf(5)). Where a class or a table asks, that is left open.
pub(super) fn is_heeded(smtpd: &[&Mention], permit: usize, refusing: usize) -> bool {
    let (at, other) = (&smtpd[permit].at, &smtpd[refusing].at);
    let is_list = |at: &str| at.split(' ').any(|word| postfix::RESTRICTIONS.contains(&word));
    match at == other {
        true => permit < refusing,
        false => !is_list(at) || !is_list(other),
    }
}

impl Allowing<'_> {
    /// The first use that refuses whom an allow list has that nothing asks for it, and these lists. `heeds`: whether the one of `mentions` is
    /// asked for the other.
    pub(super) fn unheeded<'b>(
        &self,
        mentions: &[&'b Mention],
        heeds: impl Fn(usize, usize) -> bool,
    ) -> Option<(&'b Mention, BTreeSet<Name>)> {
        let asks_whole = |zone: &Name| self.zones().any(|asked| asked.zone.origin == *zone);
        let lacking = |at: usize| {
            let mut zones = self.refused_by(mentions[at]);
            let asked = mentions.iter().enumerate().filter(|(other, _)| heeds(*other, at));
            for (_, Mention { zone, .. }) in asked.filter(|(_, mention)| self.is_one(&mention.zone)) {
                // A part of one may be what somebody wants of it.
                match asks_whole(zone) {
                    true => zones.retain(|other| other != zone),
                    false => zones.clear(),
                }
            }
            (mentions[at], zones)
        };
        (0..mentions.len()).map(lacking).find(|(_, zones)| !zones.is_empty())
    }

    /// A permit of smtpd's that stands before all that refuses whom a person blocks.
    pub(super) fn overruled(&self, smtpd: &[&Mention], sites: &[Mention]) -> Option<Check> {
        let first = smtpd.iter().position(|mention| self.decides(mention))?;
        let decider = smtpd[first];
        let elsewhere = smtpd.iter().copied().chain(sites);
        if elsewhere.filter(|mention| self.decides(mention)).any(|mention| mention.at != decider.at) {
            return None;
        }
        let is_permit = |mention: &&&Mention| {
            mention.at == decider.at && mention.does == Does::Let && self.is_one(&mention.zone)
        };
        let permit = smtpd[..first].iter().find(is_permit)?;
        let what =
            format!("Postfix, {}: whom {} has is let in though a person blocks him", permit.at, permit.zone);
        let cause = format!("what asks for {}, with which gatepost says so, stands behind it", Code::OVERLAY);
        let cure = self.of_smtpd(decider, smtpd)?;
        Some(Check::warn(Area::Mail, "mail-block-unheeded", what).because(cause).cured(cure))
    }

    /// What a person blocks first, then who is let, then lists.
    pub(super) fn of_smtpd(&self, first: &Mention, all: &[&Mention]) -> Option<Cure> {
        let there: Vec<&Mention> = all.iter().copied().filter(|mention| mention.at == first.at).collect();
        let zones = |is_meant: &dyn Fn(&Mention) -> bool| -> BTreeSet<&Name> {
            there.iter().filter(|mention| is_meant(mention)).map(|mention| &mention.zone).collect()
        };
        let lists = zones(&|mention| self.lists(mention));
        let decides = zones(&|mention| self.decides(mention));
        let lets = zones(&|mention| self.is_one(&mention.zone));
        let text = Program::Postfix.text(self.wiring()).ok()?;
        let is_meant = |line: &&str| {
            let asks = |zone: &Name| line.contains(&format!("_client {zone}="));
            lists.iter().any(|zone| asks(zone))
                || decides.iter().any(|zone| asks(zone) && line.contains(&Code::OVERLAY.to_string()))
                || self.zones().any(|asked| asks(&asked.zone.origin))
        };
        let mut is_in_class = false;
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if !line.starts_with(' ') {
                is_in_class = line.starts_with("gatepost_bounce ");
            }
            if !is_in_class && is_meant(&line) {
                lines.push(format!("{},", line.trim_end_matches(',')));
            }
        }
        let zones: BTreeSet<&Name> = lists.into_iter().chain(decides).chain(lets).collect();
        let zones: Vec<String> = zones.into_iter().map(ToString::to_string).collect();
        let how = format!("Postfix: in the place of all that asks these zones there: {}", zones.join(", "));
        (!lines.is_empty()).then(|| Cure { how, lines: lines.join("\n") })
    }
}
