//! Postfix's postscreen: sites with filters and weights.

use super::codes::brackets;
use super::text::{Text, zones};
use super::wiring::{Asked, Wiring};
use crate::model::Use;

/// What one block list weighs where score lists are few.
const LEAST: usize = 3;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text =
        Text::new("#", "postscreen", "Postfix: postscreen refuses what gatepost lists. For main.cf.");
    text.note("postscreen must be on in master.cf, on port 25 alone: who authenticates comes by submission (587, 465).");
    text.note("One block list is enough to refuse; score lists alone never are: give one that you trust more weight.");
    text.mail_test("connect from there: 550 at RCPT, and `DNSBL rank` in the log.");
    text.legend(wiring);
    text.cannot("postscreen knows no sender and so cannot use", &zones(wiring, Use::Bounce, false));
    text.cannot("postscreen asks for no names", &zones(wiring, Use::Block, true));
    text.line("");
    let score = wiring.addresses(Use::Score).count();
    let enough = LEAST.max(score + 1);
    let most = wiring.addresses(Use::Block).count() * enough + score;
    let mut sites: Vec<String> = Vec::new();
    for (use_, weight) in [(Use::Block, enough as i64), (Use::Score, 1), (Use::Allow, -(most as i64))] {
        sites.extend(wiring.addresses(use_).flat_map(|asked| weighed(asked, weight)));
    }
    text.line("postscreen_access_list = permit_mynetworks");
    text.line("postscreen_dnsbl_sites =");
    for (at, site) in sites.iter().enumerate() {
        let comma = if at + 1 < sites.len() { "," } else { "" };
        text.line(&format!("    {site}{comma}"));
    }
    text.line(&format!("postscreen_dnsbl_threshold = {enough}"));
    text.line("postscreen_dnsbl_action = enforce");
    text.end()
}

fn weighed(asked: Asked<'_>, weight: i64) -> Vec<String> {
    let filters = brackets(asked.codes.keys());
    filters.iter().map(|filter| format!("{}={filter}*{weight}", asked.zone.origin)).collect()
}
