//! OpenSMTPD: arguments of filter-dnsbl.

use super::text::{Text, zones};
use super::wiring::{WiredZone, Wiring};
use crate::model::Use;

/// `None` when it can use no zone: without one the filter ends, and the mail server with it.
pub(crate) fn text(wiring: &Wiring) -> Option<String> {
    let wiring = &wiring.untold();
    let rejects = |zone: &&WiredZone| zone.addresses && zone.codes.keys().all(|use_| *use_ == Use::Block);
    let rejecting: Vec<String> =
        wiring.zones.iter().filter(rejects).map(|zone| zone.origin.to_string()).collect();
    if rejecting.is_empty() {
        return None;
    }
    let mut text = Text::new(
        "#",
        "opensmtpd",
        "OpenSMTPD: filter-dnsbl marks what gatepost lists. For smtpd.conf, before its `listen on`. Not tried with the filter.",
    );
    text.note("Without -m the filter disconnects whoever is listed, and everybody as long as a zone cannot be answered: it fails closed.");
    text.note("Releases that have no -w do so with -m as well, when a zone cannot be answered.");
    text.note("With -m it adds `X-Spam: Yes`, on which your delivery agent can act. It has no filter for values: to it any answer is a");
    text.note("listing. So the zones named here are those in which every code is one to reject on. Allow lists need a release that has -w.");
    text.note("Take the filter to port 25 alone: who authenticates comes by 587 or 465.");
    text.note("Then `smtpd -n`, and restart smtpd.");
    text.mail_test("send a mail from there: X-Spam-DNSBL in its header.");
    text.legend(wiring);
    text.cannot("The filter cannot weigh", &zones(wiring, Use::Score, false));
    text.cannot("The filter cannot tell null senders and so cannot use", &zones(wiring, Use::Bounce, false));
    text.cannot(
        "The filter tells no codes apart: whom these have it lets through, even whom a person blocks",
        &zones(wiring, Use::Allow, false),
    );
    let allowed: String =
        wiring.addresses(Use::Allow).map(|asked| format!(" -w {}", asked.zone.origin)).collect();
    // Releases that have -w read it behind their other options alone.
    let options = if allowed.is_empty() { "-m".to_owned() } else { format!("-m --{allowed}") };
    text.line(&format!("\nfilter \"gatepost\" proc-exec \"filter-dnsbl {options} {}\"", rejecting.join(" ")));
    // What it is called there is nobody's to know here, and to listen twice is an error.
    text.note("And at the end of the `listen on` by which strangers come (`egress` is OpenBSD's, and an error elsewhere: eth0, or an address):");
    text.note("listen on egress port 25 filter \"gatepost\"");
    Some(text.end())
}
