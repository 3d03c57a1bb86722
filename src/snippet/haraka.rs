//! Haraka: zones of its plugin dns-list.

use super::text::{Text, zones};
use super::wiring::{WiredZone, Wiring};
use crate::model::Use;

/// `None` when it can use no zone: without one the plugin asks public lists of its own.
pub(crate) fn text(wiring: &Wiring) -> Option<String> {
    let wiring = &wiring.untold();
    if !wiring.zones.iter().any(is_asked) {
        return None;
    }
    let mut text = Text::new(
        ";",
        "haraka",
        "Haraka: plugin dns-list refuses what gatepost lists. For config/dns-list.ini.",
    );
    text.note("The plugin has no filter for values: to it any answer in 127.0.0.0/8 is a listing. So the zones that reject are those in");
    text.note("which every code does, and gatepost answers with nothing else. It asks when a client connects, before anybody can");
    text.note("authenticate: who does needs a Haraka of their own on port 587. Private addresses are not asked for.");
    text.note("Then restart Haraka.");
    text.mail_test("connect from there: 550 … is listed on.");
    text.legend(wiring);
    text.cannot("The plugin cannot tell null senders and so cannot use", &zones(wiring, Use::Bounce, false));
    text.cannot("The plugin asks for no names", &zones(wiring, Use::Block, true));
    text.cannot(
        "The plugin tells no codes apart: whom these have it lets through, even whom a person blocks",
        &zones(wiring, Use::Allow, false),
    );
    let rejects = |zone: &&WiredZone| zone.codes.keys().all(|use_| *use_ == Use::Block);
    let asked: Vec<(&WiredZone, &str, bool)> = wiring
        .zones
        .iter()
        .filter(|zone| is_asked(zone))
        .map(|zone| match zone.codes.contains_key(&Use::Allow) {
            true => (zone, "allow", false),
            false => (zone, "block", rejects(&zone)),
        })
        .collect();
    text.line("\n[main]");
    text.line("; A zone that once did not answer, or not when Haraka started, is asked no more until the next check: with fewer minutes there is none.");
    text.line("periodic_checks=5");
    asked.iter().for_each(|(zone, ..)| text.line(&format!("zones[]={}", zone.origin)));
    text.line("; all, so that an allow list is heard before a block list refuses.\nsearch=all");
    for (zone, kind, rejects) in asked {
        text.line(&format!("\n[{}]\ntype={kind}\nipv6=true", zone.origin));
        if kind == "block" {
            text.line(&format!("reject={rejects}"));
        }
        for (code, of) in zone.codes.values().flatten() {
            text.line(&format!("{code}={of}"));
        }
    }
    Some(text.end())
}

fn is_asked(zone: &WiredZone) -> bool {
    zone.addresses && !zone.codes.contains_key(&Use::Bounce)
}
