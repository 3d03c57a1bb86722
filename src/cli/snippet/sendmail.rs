//! Sendmail: FEATURE(enhdnsbl) with the codes that it is to match.

use super::text::{Text, zones};
use super::wiring::Wiring;
use crate::model::Use;

/// So many answers fit into one FEATURE.
const MATCHES: usize = 6;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "dnl #",
        "sendmail",
        "Sendmail: refuses what gatepost lists. For sendmail.mc, before MAILER.",
    );
    text.note("delay_checks asks when recipients are named, so that clients that authenticate are let through before; your own networks");
    text.note("stand in the access map (Connect:192.0.2 OK). The third argument stays empty: when nothing is answered, mail passes.");
    text.note("It looks at the first address of an answer alone, and for clients with an IPv4 address alone: a client that comes by IPv6");
    text.note("passes, and so does one whose first address is of a list that only weighs. A milter (rspamd, SpamAssassin) sees them all.");
    text.mail_test("connect from there: 550 at RCPT.");
    text.legend(wiring);
    text.cannot("Sendmail cannot weigh", &zones(wiring, Use::Score, false));
    text.cannot(
        "FEATURE(enhdnsbl) cannot tell null senders and so cannot use",
        &zones(wiring, Use::Bounce, false),
    );
    text.cannot(
        "FEATURE(enhdnsbl) cannot let through; name in the access map, or in `except` of the block zone, whom these have",
        &zones(wiring, Use::Allow, false),
    );
    text.line("FEATURE(`delay_checks')dnl");
    for asked in wiring.addresses(Use::Block) {
        let codes: Vec<String> = asked.codes.keys().map(|code| format!("`{code}.'")).collect();
        for few in codes.chunks(MATCHES) {
            text.line(&format!(
                "FEATURE(`enhdnsbl', `{}', `', `', {})dnl",
                asked.zone.origin,
                few.join(", ")
            ));
        }
    }
    text.end()
}
