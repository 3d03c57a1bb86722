//! Postfix's smtpd: restrictions with value filters.

use super::codes::brackets;
use super::text::{TRIED, Text, zones};
use super::wiring::{Asked, Wiring};
use crate::model::Use;

/// Restrictions that reject what `asked` lists, one for each group of codes that share three octets. The filter lets nothing
/// but a real listing reject mail: no test point, no error code. What a person blocks is one.
pub(crate) fn rejects(asked: &Asked<'_>) -> Vec<String> {
    restrictions("reject_rbl_client", asked)
}

/// What is looked up in zones of names.
const NAMES: [&str; 3] = ["reject_rhsbl_client", "reject_rhsbl_helo", "reject_rhsbl_sender"];

fn restrictions(word: &str, asked: &Asked<'_>) -> Vec<String> {
    let filters = brackets(asked.codes.keys());
    filters.iter().map(|filter| format!("{word} {}={filter}", asked.zone.origin)).collect()
}

/// What its text begins with.
pub(crate) const HEAD: &str = "Postfix: smtpd refuses what gatepost lists. For main.cf.";

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new("#", "postfix", HEAD);
    text.note("Where these parameters stand already, add the lines that ask gatepost to yours, behind reject_unauth_destination.");
    if wiring.addresses(Use::Bounce).next().is_some() {
        text.note("The class goes to yours in smtpd_restriction_classes: one that is named there no more is an error to whom it judges.");
    }
    text.note("Then `postfix reload`.");
    text.mail_test(&format!(
        "with smtpd_authorized_xclient_hosts = 127.0.0.1 say XCLIENT ADDR={TRIED}, MAIL and RCPT: 554."
    ));
    text.legend(wiring);
    text.cannot(
        "smtpd cannot weigh; score lists are for postscreen, rspamd or SpamAssassin",
        &zones(wiring, Use::Score, false),
    );
    text.line("");

    let bounce: Vec<String> = wiring.addresses(Use::Bounce).flat_map(|asked| rejects(&asked)).collect();
    if !bounce.is_empty() {
        text.note("Null senders alone: bounces for mail that nobody here sent.");
        text.line("smtpd_restriction_classes = gatepost_bounce");
        list(&mut text, "gatepost_bounce", &bounce);
    }
    let mut all: Vec<String> =
        ["permit_mynetworks", "permit_sasl_authenticated", "reject_unauth_destination"]
            .map(str::to_owned)
            .into();
    let (addresses, names) = (wiring.rejecting(false), wiring.rejecting(true));
    let rejected = |addresses: &[Asked<'_>], names: &[Asked<'_>]| -> Vec<String> {
        let names = NAMES.iter().flat_map(|word| names.iter().flat_map(|asked| restrictions(word, asked)));
        addresses.iter().flat_map(rejects).chain(names).collect()
    };
    // What a person blocks stays blocked, whatever an allow list says.
    all.extend(rejected(&addresses.always, &names.always));
    all.extend(wiring.addresses(Use::Allow).flat_map(|asked| restrictions("permit_dnswl_client", &asked)));
    all.extend(wiring.names(Use::Allow).flat_map(|asked| restrictions("permit_rhswl_client", &asked)));
    all.extend(rejected(&addresses.unless_allowed, &names.unless_allowed));
    if !bounce.is_empty() {
        all.push("check_sender_access inline:{{<> = gatepost_bounce}}".to_owned());
    }
    list(&mut text, "smtpd_recipient_restrictions", &all);
    text.end()
}

/// A parameter with a value on each line.
fn list(text: &mut Text, parameter: &str, values: &[String]) {
    text.line(&format!("{parameter} ="));
    for (at, value) in values.iter().enumerate() {
        let comma = if at + 1 < values.len() { "," } else { "" };
        text.line(&format!("    {value}{comma}"));
    }
}
