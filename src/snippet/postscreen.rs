//! Postfix's postscreen: sites with filters and weights.

use super::codes::brackets;
use super::text::{Text, zones};
use super::wiring::{Asked, Wiring};
use crate::model::Use;

/// What one block list weighs where score lists are few.
const LEAST: usize = 3;

/// What its text begins with.
pub(crate) const HEAD: &str = "Postfix: postscreen refuses what gatepost lists. For main.cf.";

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new("#", "postscreen", HEAD);
    text.note("postscreen must be on in master.cf, on port 25 alone: who authenticates comes by submission (587, 465).");
    text.note("One block list is enough to refuse; score lists alone never are: give one that you trust more weight.");
    text.note("Where postscreen_access_list or postscreen_dnsbl_sites stand already, add to yours what stands here: of two the later one counts.");
    text.note("Then `postfix reload`: without it what is new in master.cf is not there.");
    text.mail_test("connect from there: 550 at RCPT, and `DNSBL rank` in the log.");
    text.legend(wiring);
    text.cannot("postscreen knows no sender and so cannot use", &zones(wiring, Use::Bounce, false));
    text.cannot("postscreen asks for no names", &zones(wiring, Use::Block, true));
    text.line("");
    let sites = sites(wiring, enough(wiring));
    text.line("postscreen_access_list = permit_mynetworks");
    text.line("postscreen_dnsbl_sites =");
    for (at, site) in sites.iter().enumerate() {
        let comma = if at + 1 < sites.len() { "," } else { "" };
        text.line(&format!("    {site}{comma}"));
    }
    text.line(&format!("postscreen_dnsbl_threshold = {}", enough(wiring)));
    text.line("postscreen_dnsbl_action = enforce");
    text.end()
}

/// Each with its weight. postscreen adds those of all sites whose filter matches, and a zone has as many sites as filters: so
/// whatever may come together is counted in filters. `enough`, what a block list weighs, is the threshold.
pub(crate) fn sites(wiring: &Wiring, enough: usize) -> Vec<String> {
    let rejecting = wiring.rejecting(false);
    let of = |asked: &[Asked<'_>]| -> Vec<String> { asked.iter().flat_map(filters).collect() };
    let (decided, block) = (of(&rejecting.always), of(&rejecting.unless_allowed));
    let score = of(&wiring.addresses(Use::Score).collect::<Vec<_>>());
    let allow = of(&wiring.addresses(Use::Allow).collect::<Vec<_>>());
    // Any one outweighs all that stands before it, and nothing weighs nothing.
    let most = (block.len() * enough + score.len()).max(1);
    let always = allow.len() * most + enough;
    let weighed = |sites: Vec<String>, sign: &'static str, weight: usize| {
        sites.into_iter().map(move |site| format!("{site}*{sign}{weight}"))
    };
    weighed(decided, "", always)
        .chain(weighed(block, "", enough))
        .chain(weighed(score, "", 1))
        .chain(weighed(allow, "-", most))
        .collect()
}

/// What one block list weighs, and from which on a client is refused: more than all score lists together.
pub(crate) fn enough(wiring: &Wiring) -> usize {
    LEAST.max(wiring.addresses(Use::Score).map(|asked| filters(&asked).len()).sum::<usize>() + 1)
}

fn filters(asked: &Asked<'_>) -> Vec<String> {
    let filters = brackets(asked.codes.keys());
    filters.iter().map(|filter| format!("{}={filter}", asked.zone.origin)).collect()
}
