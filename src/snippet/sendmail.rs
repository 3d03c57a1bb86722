//! Sendmail: FEATURE(enhdnsbl), which looks for codes that stand in a class: one question for a zone, however many codes it has.

use super::text::{Text, zones};
use super::wiring::{Asked, Wiring};
use crate::model::Use;

/// Codes on a line.
const TOGETHER: usize = 8;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "dnl #",
        "sendmail",
        "Sendmail: refuses what gatepost lists. For sendmail.mc, before MAILER.",
    );
    text.note("delay_checks asks when recipients are named, so that clients that authenticate are let through before; your own networks");
    text.note("stand in the access map (Connect:192.0.2 OK). The third argument stays empty: when nothing is answered, mail passes.");
    text.note("It asks for clients with an IPv4 address alone: a client that comes by IPv6 passes. A milter (rspamd, SpamAssassin) sees them all.");
    text.note("Then make sendmail.cf of it (`make -C /etc/mail`), and restart Sendmail.");
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
    let asked: Vec<Asked<'_>> = wiring.addresses(Use::Block).collect();
    if asked.is_empty() {
        return text.end();
    }
    text.note(
        "A map that brings all addresses of an answer (-z), not the first alone; and the codes of each zone.",
    );
    text.line("LOCAL_CONFIG");
    text.line("Kgatepost dns -R A -a. -z, -T<TMP> -r5");
    for (number, asked) in (1..).zip(&asked) {
        let codes: Vec<String> = asked.codes.keys().map(ToString::to_string).collect();
        for few in codes.chunks(TOGETHER) {
            text.line(&format!("C{{Gatepost{number}}}{}", few.join(" ")));
        }
    }
    text.line("divert(0)dnl");
    text.note(
        "enhdnsbl asks that map while its own has this name; zones of others that it asks go on as they are.",
    );
    text.line("pushdef(`ednsbl', `gatepost')dnl");
    for (number, asked) in (1..).zip(&asked) {
        text.line(&format!(
            "FEATURE(`enhdnsbl', `{}', `', `', `$={{Gatepost{number}}}$+', `$+$={{Gatepost{number}}}$+')dnl",
            asked.zone.origin
        ));
    }
    text.line("popdef(`ednsbl')dnl");
    text.end()
}
