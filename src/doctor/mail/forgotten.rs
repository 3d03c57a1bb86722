//! Zones that are served for rejecting, and that no mail program asks, though others of gatepost's are asked: what came after a text was pasted. Pure.

use super::super::cure;
use super::super::finding::{Area, Check};
use super::{Mention, is_ours};
use crate::config::Code;
use crate::model::{Name, Use};
use crate::snippet::wiring::{WiredZone, Wiring};

/// `perhaps` are zones that may be asked, too.
pub(super) fn check(mentions: &[Mention], perhaps: &[&Name], wiring: &Wiring) -> Option<Check> {
    let program = mentions.iter().find(|mention| is_ours(&mention.zone, wiring))?.program;
    let asked: Vec<&Name> =
        mentions.iter().map(|mention| &mention.zone).chain(perhaps.iter().copied()).collect();
    // Who asks a part of a zone asks it.
    let is_asked = |zone: &Name| {
        let mut parts =
            wiring.narrower.iter().filter(|(_, wider)| wider == zone).map(|(part, _)| &part.origin);
        asked.contains(&zone) || parts.any(|part| asked.contains(&part))
    };
    // Names are looked up by some programs alone.
    let rejects = |zone: &&WiredZone| {
        let mut codes = zone.codes.get(&Use::Block).into_iter().flatten();
        zone.addresses && codes.any(|(code, _)| *code != Code::OVERLAY)
    };
    let rejecting = wiring.zones.iter().filter(rejects).map(|zone| &zone.origin);
    let (in_use, forgotten): (Vec<&Name>, Vec<&Name>) = rejecting.partition(|zone| is_asked(zone));
    // Where none of them is, somebody wants it otherwise.
    if in_use.is_empty() || forgotten.is_empty() {
        return None;
    }
    let forgotten: Vec<String> = forgotten.into_iter().map(ToString::to_string).collect();
    let what = format!("no mail program that was found here asks {}", forgotten.join(", "));
    let program = cure::name(program);
    Some(
        Check::warn(Area::Mail, "mail-zone-not-asked", what)
            .because(format!(
                "{program} asks other zones of gatepost's: whom lists have that came later passes"
            ))
            .cured_by(format!(
                "print `gatepost snippet {}` again, and have it in the place of what asks gatepost now",
                program.to_lowercase()
            )),
    )
}
